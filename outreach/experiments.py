"""What may be said of the outcome of an experiment.

Everybody is judged by what they were assigned to, whether it reached them or not (intention to treat): a rep who does
not confirm is part of how a message works. Sayings come from ``Saying`` alone. Pure; who is in which arm says
``outreach.arms``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from outreach.proportions import Interval, Share, newcombe, sample_ratio, z_test

TOO_UNLIKELY = 0.001
"""A spread over the arms as odd as this is no accident: then nothing is said of the outcome."""
ENOUGH = 10
"""So many who did and who did not in each arm, or the z-test does not hold."""
ALPHA = 0.05


class Saying(StrEnum):
    """All that is ever said of an experiment."""

    NOT_YET = "not enough data"
    NO_DIFFERENCE = "no difference shown"
    DIFFERENCE = "difference shown"
    WRONG_SPREAD = "people were not spread as planned"


@dataclass(frozen=True)
class Outcome:
    """What came of two arms: all that a page shows."""

    saying: Saying
    difference: float
    """Share of the variant minus share of the control."""
    interval: Interval
    lift: float | None
    """Relative to the control; None where nobody of it did it."""
    p: float
    spread_p: float
    needed: int | None
    """So many people each arm was planned to have."""


def judge(
    variant: Share, control: Share, *, planned: Sequence[float] = (1, 1), needed: int | None = None, over: bool = True
) -> Outcome:
    """Compare by assignment.

    ``planned``: the shares the two were to have. ``over``: whether the planned end is reached, by size or by date;
    before it nothing is said, so that looking often makes no winner.
    """
    spread_p = sample_ratio([variant.n, control.n], planned)
    _z, p = z_test(variant, control)
    interval = newcombe(variant, control)
    if spread_p < TOO_UNLIKELY:
        saying = Saying.WRONG_SPREAD
    elif not over or not _enough(variant, control, needed):
        saying = Saying.NOT_YET
    else:
        saying = Saying.DIFFERENCE if p < ALPHA and not interval.holds(0.0) else Saying.NO_DIFFERENCE
    lift = variant.rate / control.rate - 1 if control.x else None
    return Outcome(saying, variant.rate - control.rate, interval, lift, p, spread_p, needed)


def _enough(variant: Share, control: Share, needed: int | None) -> bool:
    counts = (variant.x, variant.n - variant.x, control.x, control.n - control.x)
    return min(counts) >= ENOUGH and (needed is None or min(variant.n, control.n) >= needed)


def effect_on_reached(difference: float, reached: Share) -> float | None:
    """What the message did for those it reached, assuming that it does nothing without reaching; None of nobody."""
    return difference / reached.rate if reached.x else None

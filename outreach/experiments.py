"""Who gets what, by a salted hash that never changes its mind, and what may be said of the outcome.

Everybody is judged by what they were assigned to, whether it reached them or not (intention to treat): a rep who does
not confirm is part of how a message works. Sayings come from ``Saying`` alone. Pure; whoever assigns keeps the
assignments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from outreach.proportions import Interval, Share, newcombe, sample_ratio, z_test
from storage.database import bucket as place_of

BUCKETS = 10_000
TOO_UNLIKELY = 0.001
"""A spread over the arms as odd as this is no accident: then nothing is said of the outcome."""
ENOUGH = 10
"""So many who did and who did not in each arm, or the z-test does not hold."""
ALPHA = 0.05
CONTROL = "control"


class Saying(StrEnum):
    """All that is ever said of an experiment."""

    NOT_YET = "not enough data"
    NO_DIFFERENCE = "no difference shown"
    DIFFERENCE = "difference shown"
    WRONG_SPREAD = "people were not spread as planned"


def bucket(key: str, person: str) -> int:
    """0 to 9,999: where a person (``p_17``) falls in the experiment of this key, the same for ever."""
    return place_of(f"exp:{key}|{person}")


def arm_of(key: str, person: str, arms: Mapping[str, int]) -> str:
    """The arm of a person; ``arms`` are names with their shares in ten-thousandths, together 10,000."""
    if sum(arms.values()) != BUCKETS:
        raise ValueError(f"the shares of the arms make {sum(arms.values())}, not {BUCKETS}")
    place = bucket(key, person)
    for name, share in arms.items():
        if place < share:
            return name
        place -= share
    raise AssertionError("the shares make up everybody")


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

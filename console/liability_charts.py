"""The two drawings of the liability page as numbers: how redemptions come about with age, and the months to come.

Places are percent across and pixels down, as in ``console.channel_charts``; each stands above a table of the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from console.channel_charts import FOOT, TOP, Bar, Mark

TALL = 150
LABELS = 12
"""So many names of months or ages have room side by side."""
STEP = 0.25
"""A line across the curve at every quarter of its height."""


@dataclass(frozen=True)
class Stroke:
    """A piece of a line; ``look`` picks its colour and weight."""

    x1: float
    y1: float
    x2: float
    y2: float
    look: str


@dataclass(frozen=True)
class Sketch:
    """Everything a template needs to draw."""

    height: int = TOP + TALL + FOOT
    strokes: list[Stroke] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    labels: list[Mark] = field(default_factory=list)
    numbers: list[Mark] = field(default_factory=list)
    lines: list[int] = field(default_factory=lambda: [TOP + TALL])


def curves(some: Sequence[tuple[str, Sequence[float]]], ages: int) -> Sketch:
    """Lines of shares (0 to 1) by the end of age 0, 1 …; each with its look. The last point carries its number."""
    most = max((max(shares, default=0) for _, shares in some), default=0) or 1
    drawn = Sketch(lines=[TOP + round(TALL * part * STEP) for part in range(1, 5)])
    step = 94 / max(ages, 1)
    for look, shares in some:
        places = [(round(age * step, 3), round(TOP + TALL * (1 - share / most), 1)) for age, share in enumerate(shares)]
        drawn.strokes.extend(Stroke(*one, *other, look) for one, other in pairwise(places))
        if look == "expected" and places:
            drawn.numbers.append(Mark(min(places[-1][0], 97), places[-1][1] - 6, f"{100 * shares[-1]:.0f}%"))
    every = max(1, -(-ages // LABELS))
    drawn.labels.extend(
        Mark(round(age * step, 3), TOP + TALL + FOOT - 6, str(age), minor=age % (2 * every) != 0)
        for age in range(every, ages + 1, every)
    )
    return drawn


def months(some: Sequence[tuple[str, float, float, float, str]]) -> Sketch:
    """A column for each month (name, value, low, high, words), with its range as a thin line."""
    most, step = max((max(one[1], one[3]) for one in some), default=0) or 1, 100 / max(len(some), 1)
    drawn = Sketch()
    for place, (name, value, low, high, words) in enumerate(some):
        middle = round((place + 0.5) * step, 3)
        top, upper, lower = (round(TOP + TALL * (1 - one / most), 1) for one in (value, high, low))
        left, width = round((place + 0.2) * step, 3), round(0.6 * step, 3)
        drawn.bars.append(Bar(left, top, width, round(TOP + TALL - top, 1), 1, words))
        drawn.strokes.append(Stroke(middle, upper, middle, lower, "range"))
        drawn.labels.append(Mark(middle, TOP + TALL + FOOT - 6, name, minor=place % 3 != 0))
    return drawn

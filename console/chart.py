"""A small column chart as inline SVG: places in percent across and pixels down, so that its letters never shrink."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from people.today import Day

UP, DOWN, GAP = 120, 48, 18
"""Pixels for the tallest column above and below the line, and for the number at its end."""
DAYS = 20
"""Pixels for the line of days at the foot."""


@dataclass(frozen=True)
class Column:
    """One day: a column up for arrivals, one down for losses. ``left``, ``width`` and ``middle`` are percent."""

    day: date
    up: int
    down: int
    left: float
    width: float
    middle: float
    top: float
    up_height: float
    down_height: float


@dataclass(frozen=True)
class Chart:
    """The columns, where the line between them lies (pixels), and the whole height."""

    columns: Sequence[Column]
    line: float
    height: float


def of_days(days: Sequence[Day]) -> Chart:
    """Arrivals up, losses down, on one scale."""
    step = 100 / max(len(days), 1)
    highest, lowest = max([*(one.arrivals for one in days), 1]), max([*(one.lost for one in days), 0])
    per_person = min(UP / highest, DOWN / max(lowest, 1), UP / 4)
    line = round(GAP + highest * per_person, 1)
    foot = lowest * per_person + (GAP if lowest else 0) + DAYS
    return Chart([_column(one, number, step, per_person, line) for number, one in enumerate(days)], line, line + foot)


def _column(one: Day, number: int, step: float, per_person: float, line: float) -> Column:
    up, down = one.arrivals * per_person, one.lost * per_person
    left = number * step
    return Column(
        day=one.day,
        up=one.arrivals,
        down=one.lost,
        left=round(left + step * 0.18, 3),
        width=round(step * 0.64, 3),
        middle=round(left + step / 2, 3),
        top=round(line - up, 1),
        up_height=round(up, 1),
        down_height=round(down, 1),
    )

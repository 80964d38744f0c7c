"""The two drawings of a code's page as numbers: arrivals by day and kind, and the week in which somebody is on duty.

Places are percent across and pixels down, so that letters never shrink; colours are classes, since the content policy
allows no style on a page. Each drawing stands above a table of the same figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

TOP, COLUMNS, FOOT = 18, 130, 22
ROW, HOURS_FOOT, DAY_NAMES = 34, 20, 9
"""Pixels of one weekday and of the hours below; percent of the width for the weekdays' names."""
DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class Bar:
    """One rectangle; ``series`` picks its colour, ``words`` tell what it stands for."""

    x: float
    y: float
    width: float
    height: float
    series: int
    words: str


@dataclass(frozen=True)
class Mark:
    """A word at a place; ``minor`` ones go first where there is little room."""

    x: float
    y: float
    words: str
    minor: bool = False


@dataclass(frozen=True)
class Drawing:
    """Everything a template needs to draw; ``lines`` are heights of horizontal lines."""

    height: int
    bars: list[Bar]
    labels: list[Mark]
    numbers: list[Mark]
    lines: list[int]
    left: float = 0


def stacked(labels: Sequence[str], series: Sequence[Sequence[int]], words: Sequence[str]) -> Drawing:
    """Columns of several series on top of each other; the tallest and the last carry their number."""
    totals = [sum(column) for column in zip(*series, strict=True)]
    most, step = max(totals, default=0), 100 / max(len(labels), 1)
    per_one = min(COLUMNS / max(most, 1), COLUMNS / 4)
    bars = []
    for place, label in enumerate(labels):
        y = float(TOP + COLUMNS)
        for number, values in enumerate(series):
            height = values[place] * per_one
            y -= height
            if values[place]:
                said = f"{label} {words[number]} {values[place]}"
                left, width = round((place + 0.15) * step, 3), round(0.7 * step, 3)
                bars.append(Bar(left, round(y, 1), width, round(height, 1), number + 1, said))
    last = len(labels) - 1
    told = {last, totals.index(most)} if most else set()
    numbers = [_over(place, step, totals[place], per_one) for place in sorted(told) if totals[place]]
    marks = [
        Mark(round((n + 0.5) * step, 3), TOP + COLUMNS + FOOT - 6, labels[n], minor=(last - n) % 10 != 0)
        for n in range(last % 5, last + 1, 5)
    ]
    return Drawing(TOP + COLUMNS + FOOT, bars, marks, numbers, [TOP + COLUMNS])


def _over(place: int, step: float, total: int, per_one: float) -> Mark:
    return Mark(round((place + 0.5) * step, 3), round(TOP + COLUMNS - total * per_one - 5, 1), f"{total:,}")


@dataclass(frozen=True)
class Shift:
    """One stretch of one weekday (1 = Monday) in which somebody is on duty; ``ends`` None is midnight."""

    day: int
    starts: time
    ends: time | None
    series: int
    words: str


def week(shifts: Sequence[Shift], day_names: Sequence[str]) -> Drawing:
    """Seven rows of 24 hours; shifts that overlap lie below each other."""
    bars = []
    for day in range(1, 8):
        lanes = _lanes([one for one in shifts if one.day == day])
        height = (ROW - 8) / max(len(lanes), 1)
        for place, lane in enumerate(lanes):
            y = round((day - 1) * ROW + 4 + place * height, 1)
            bars += [_bar(one, y, round(height - 1, 1), day_names[day - 1]) for one in lane]
    hours = [Mark(_across(time(hour)), 7 * ROW + 14, f"{hour:02d}", minor=hour % 6 != 0) for hour in range(0, 24, 3)]
    names = [Mark(0, number * ROW + 21, name) for number, name in enumerate(day_names)]
    return Drawing(7 * ROW + HOURS_FOOT, bars, hours, names, [ROW * day for day in range(1, 8)], DAY_NAMES)


def _lanes(shifts: Sequence[Shift]) -> list[list[Shift]]:
    """The shifts of one day in as few rows as they need without overlapping."""
    lanes: list[list[Shift]] = []
    for one in sorted(shifts, key=lambda shift: shift.starts):
        free = next((lane for lane in lanes if lane[-1].ends is not None and lane[-1].ends <= one.starts), None)
        if free is None:
            lanes.append([one])
        else:
            free.append(one)
    return lanes


def _bar(one: Shift, y: float, height: float, day_name: str) -> Bar:
    start, end = _across(one.starts), _across(one.ends) if one.ends else 100.0
    said = f"{day_name} {one.starts:%H:%M}–{one.ends or time():%H:%M} {one.words}"
    return Bar(start, y, round(max(end - start, 0.3), 3), height, one.series, said)


def _across(at: time) -> float:
    """Where a time of day lies, in percent."""
    return round(DAY_NAMES + (100 - DAY_NAMES) * (at.hour * 60 + at.minute) / DAY_MINUTES, 3)

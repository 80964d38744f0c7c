"""How the value of a condition is written: one class for each form, which checks it and says what would be right."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

Place = tuple[str | int, ...]
"""Where in a tree: ``("all", 0, "value")``."""
Fault = tuple[Place, str]

MAX_DAYS = 3650
MAX_TIMES = 1000
MAX_VALUES = 200
MAX_TEXT = 100
WEEK = ("1", "2", "3", "4", "5", "6", "7")
"""Days of the week, from Monday."""
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

HAS, HAS_ANY, HAS_NONE = "has", "has_any", "has_none"
IS, IN, NOT_IN = "is", "in", "not_in"
LESS, AT_MOST, EQUAL, AT_LEAST, MORE = COMPARISONS = ("<", "<=", "=", ">=", ">")
NOT_IN_LAST, BETWEEN, EVER, NEVER = "not_in_last", "between", "ever", "never"


@dataclass(frozen=True)
class Form:
    """How a field's conditions are written."""

    name: str
    ops: tuple[str, ...]
    bare: frozenset[str] = frozenset()
    """Operators that stand alone, without a value."""

    def faults(self, op: str, value: Any) -> Iterator[Fault]:
        """What is wrong with the value, each at its place below it."""
        raise NotImplementedError

    def named(self, op: str, value: Any) -> tuple[Any, ...]:
        """The things a right value names, which must exist."""
        return ()

    def example(self, op: str) -> Any:
        """A value of the right form; None for an operator that stands alone."""
        raise NotImplementedError


@dataclass(frozen=True)
class Names(Form):
    """One thing by its name, or a list of them."""

    choices: tuple[str, ...] = ()
    """The words there are, where they are fixed."""
    fits: Callable[[Any], bool] = lambda one: isinstance(one, str) and 0 < len(one) <= MAX_TEXT and one.isprintable()
    right: str = ""
    """What one of them looks like, for who wrote something else."""
    sample: str = ""

    def faults(self, op: str, value: Any) -> Iterator[Fault]:
        """Not a name, not a list, an empty list, a name of another form."""
        if op in (HAS, IS):
            if not self.fits(value):
                yield (), f"应是{self.right}"
            return
        if not isinstance(value, list) or not 0 < len(value) <= MAX_VALUES:
            yield (), f"应是 1–{MAX_VALUES} 项的列表，每项是{self.right}"
            return
        for number, one in enumerate(value):
            if not self.fits(one):
                yield (number,), f"应是{self.right}"

    def named(self, op: str, value: Any) -> tuple[Any, ...]:
        """All of them."""
        return (value,) if op in (HAS, IS) else tuple(value)

    def example(self, op: str) -> Any:
        """One, or a list with one."""
        return self.sample if op in (HAS, IS) else [self.sample]


@dataclass(frozen=True)
class Yes(Form):
    """True or false."""

    def faults(self, op: str, value: Any) -> Iterator[Fault]:
        """Anything else."""
        if not isinstance(value, bool):
            yield (), "应是 true 或 false"

    def example(self, op: str) -> Any:
        """Yes."""
        return True


@dataclass(frozen=True)
class Since(Form):
    """How long ago something was: a number of days, or two days between which it was."""

    def faults(self, op: str, value: Any) -> Iterator[Fault]:
        """Not so many days, not two days in order."""
        if op == BETWEEN:
            yield from _range_faults(value)
        elif not _whole(value, 0, MAX_DAYS):
            yield (), f"应是天数：0–{MAX_DAYS} 的整数"

    def example(self, op: str) -> Any:
        """Thirty days, or some days of a month."""
        if op in self.bare:
            return None
        return {"from": "2026-11-01", "to": "2026-11-11"} if op == BETWEEN else 30


def _range_faults(value: Any) -> Iterator[Fault]:
    if not isinstance(value, Mapping) or set(value) != {"from", "to"}:
        yield (), '应写作 {"from": "2026-11-01", "to": "2026-11-11"}'
        return
    days = {name: day(value[name]) for name in ("from", "to")}
    for name, one in days.items():
        if one is None:
            yield (name,), "应是日期，写作 2026-11-01"
    if days["from"] and days["to"] and days["from"] > days["to"]:
        yield ("to",), "结束日期不能早于开始日期"


def day(value: Any) -> date | None:
    """The day that a text like 2026-11-01 names."""
    if not isinstance(value, str) or DAY.fullmatch(value) is None:
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2100 else None


@dataclass(frozen=True)
class Times(Form):
    """How often, or how much, in the last days: ``{"times": 3, "days": 30}``.

    ``kinds``: which of them count. ``hours``: on which days of the week (1 is Monday) and from which to which hour, as
    in ``{"weekdays": [6, 7], "from": 18, "to": 22}``; from a later to an earlier hour is over midnight.
    """

    kinds: tuple[str, ...] = ()
    unit: str = "times"
    """What is counted: times, yuan, points."""
    most: int = MAX_TIMES
    dated: bool = True
    """Whether days are named; else it is as of now."""
    hours: bool = False

    def faults(self, op: str, value: Any) -> Iterator[Fault]:
        """Not these members, numbers out of bounds, kinds that there are not."""
        if not isinstance(value, Mapping) or set(value) != set(self.example(op)):
            yield (), f"应写作 {json.dumps(self.example(op))}"
            return
        if not _whole(value[self.unit], 0, self.most):
            right = f"0–{self.most} 的整数"
            yield (self.unit,), f"应是次数：{right}" if self.unit == "times" else f"应是 {right}"
        if self.dated and not _whole(value["days"], 1, MAX_DAYS):
            yield ("days",), f"应是天数：1–{MAX_DAYS} 的整数"
        if self.kinds:
            yield from self._kind_faults(value["kinds"])
        if self.hours:
            yield from _hour_faults(value)

    def example(self, op: str) -> Any:
        """Three times in thirty days."""
        found: dict[str, Any] = {"kinds": [self.kinds[0]]} if self.kinds else {}
        found |= {self.unit: 3 if self.unit == "times" else 500}
        found |= {"days": 30} if self.dated else {}
        return found | ({"weekdays": [6, 7], "from": 18, "to": 22} if self.hours else {})

    def _kind_faults(self, value: Any) -> Iterator[Fault]:
        if not isinstance(value, list) or not 0 < len(value) <= len(self.kinds):
            yield ("kinds",), f"应是列表，至少一项：{'、'.join(self.kinds)}"
            return
        for number, one in enumerate(value):
            if one not in self.kinds:
                yield ("kinds", number), f"应是其中之一：{'、'.join(self.kinds)}"


def _hour_faults(value: Mapping[str, Any]) -> Iterator[Fault]:
    days = value["weekdays"]
    if not isinstance(days, list) or not 0 < len(days) <= len(WEEK) or not all(_whole(one, 1, 7) for one in days):
        yield ("weekdays",), f"应是列表，至少一项：{'、'.join(WEEK)}"
    for name, most in (("from", 23), ("to", 24)):
        if not _whole(value[name], 0, most):
            yield (name,), f"应是 0–{most} 的整数"
    if value["from"] == value["to"]:
        yield ("to",), "两个时刻不能一样"


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def words(*choices: str, ops: tuple[str, ...]) -> Names:
    """Names of a fixed list."""

    def fits(value: Any) -> bool:
        return isinstance(value, str) and value in choices

    return Names("choice", ops, choices=choices, fits=fits, right=f"其中之一：{'、'.join(choices)}", sample=choices[0])


def numbered(prefix: str) -> Callable[[Any], bool]:
    """Whether a value is one of our ids, such as ``t_5``."""

    def fits(value: Any) -> bool:
        digits = value.removeprefix(prefix) if isinstance(value, str) else ""
        return digits != value and digits.isascii() and digits.isdecimal() and len(digits) <= 15

    return fits


def number_of(public: str) -> int:
    """The number in one of our ids."""
    return int(public.rpartition("_")[2])

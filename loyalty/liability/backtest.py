"""Looking back, pure: without the last months, what would have been forecast for them, and what came.

Only increments are compared: what had been redeemed already is no forecast, and to count it flatters.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from loyalty.liability.forecast import UNKNOWN, YOUNG, Number, Pattern, estimate, lived, pattern, prior
from loyalty.liability.triangle import Cell, Cohort

MOST = 12
"""So many months are looked back at, at most."""


@dataclass(frozen=True)
class Told:
    """One cohort in one month: what would have been said of it a month before, and what came. In points."""

    cohort: date
    age: int
    back: int
    """How many months ago: 1 is the last."""
    said: Number
    came: int


@dataclass(frozen=True)
class Error:
    """Several of them together, in points."""

    said: Number
    came: int

    @property
    def bias(self) -> Fraction | None:
        """By how much too high, as a share of what came; none where nothing came."""
        return Fraction(self.said - self.came) / self.came if self.came else None


@dataclass(frozen=True)
class Backtest:
    """What looking back shows."""

    told: Sequence[Told]

    def by(self, key: Callable[[Told], int]) -> dict[int, Error]:
        """Together by month back, or by age."""
        some: dict[int, list[Told]] = defaultdict(list)
        for one in self.told:
            some[key(one)].append(one)
        return {name: _error(some[name]) for name in sorted(some)}

    @property
    def months(self) -> dict[int, Error]:
        """By month, the last first."""
        return self.by(lambda one: one.back)

    @property
    def ages(self) -> dict[int, Error]:
        """By the age that was forecast."""
        return self.by(lambda one: one.age)

    @property
    def total(self) -> Error:
        """All of it."""
        return _error(self.told)

    @property
    def ratios(self) -> list[float]:
        """What came for what was said, of each month; those of which nothing was said are left out."""
        return [float(one.came / one.said) for one in self.months.values() if one.said > 0]

    @property
    def mape(self) -> Fraction | None:
        """The mean of the months' errors without their sign; months in which nothing came are left out."""
        errors = [abs(one.bias) for one in self.months.values() if one.bias is not None]
        return sum(errors, Fraction()) / len(errors) if errors else None


def _error(some: Sequence[Told]) -> Error:
    return Error(sum((one.said for one in some), Fraction()), sum(one.came for one in some))


def backtest(
    cells: Mapping[Any, Cell],
    sources: Mapping[Any, Cell],
    lives: int | None,
    *,
    months: int = MOST,
    young: Number = YOUNG,
) -> Backtest:
    """Leave out one diagonal, then two …, and forecast the month after what is left.

    ``sources`` are the cells by whose pattern each goes. A month of which nothing could have been said (no cohort had
    come as far) is left out; so is a cohort's first month, of which nothing is known before it begins.
    """
    longest = max((one.age for cell in cells.values() for one in cell.cohorts), default=0)
    told: list[Told] = []
    for back in range(1, min(months, longest - 1) + 1):
        for name, cell in cells.items():
            told += _back(cell, sources[name], back, lives, young)
    return Backtest(told)


def _back(cell: Cell, source: Cell, back: int, lives: int | None, young: Number) -> list[Told]:
    then = source.earlier(back)
    of = pattern(then.cohorts, lived(then, lives))
    expected = prior(then.cohorts, of)
    found = []
    for one in cell.cohorts:
        if one.age <= back:
            continue
        before = one.earlier(back)
        said = _said(before, of, expected, young)
        if said is not None:
            age = before.age + 1
            found.append(Told(one.month, age, back, said, one.at(age) - one.at(before.age)))
    return found


def _said(before: Cohort, of: Pattern, expected: Number | None, young: Number) -> Number | None:
    """The next month's redemptions; where the tail is not known, by the factor alone; none where that is not known."""
    if of.tail != UNKNOWN:
        months = estimate(before, of, expected, young).months
        return months[0] if months else Fraction()
    factor = of.factor(before.age)
    return before.at(before.age) * (factor - 1) if factor is not None else None

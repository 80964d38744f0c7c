"""The cohort triangle, pure: of the points of each month, how many were redeemed by each age.

Age 1 is the month in which points came in. Only months that are over are ages; what came after the last of them is
``recent``. Redeemed is net of what was given back, and points that were handed on count where they came from.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import zip_longest

ENOUGH = 30
"""Redeemers by which a cell stands for itself."""
ALL_ALIKE = 0


@dataclass(frozen=True)
class Cohort:
    """The points of one month."""

    month: date
    """Its first day."""
    issued: int
    redeemed: tuple[int, ...] = ()
    """By the end of age 1, 2, … in all."""
    cancelled: tuple[int, ...] = ()
    """Taken back with their order, likewise."""
    recent: int = 0
    """Redeemed after the last age."""
    recently_cancelled: int = 0
    dies: Mapping[int | None, int] = field(default_factory=dict)
    """Points that are still there, by the last age at which they live (None: they never die)."""
    silent: int = 0
    """Steps from ages before this one tell nothing: they lie before a change of policy."""
    heard: int | None = None
    """Nor do steps to ages beyond this one, by which its points are dead; none: all of them do."""

    @property
    def age(self) -> int:
        """The last age that is over; 0 in the first month."""
        return len(self.redeemed)

    @property
    def so_far(self) -> int:
        """Redeemed in all."""
        return (self.redeemed[-1] if self.redeemed else 0) + self.recent

    @property
    def taken_back(self) -> int:
        """Cancelled in all."""
        return (self.cancelled[-1] if self.cancelled else 0) + self.recently_cancelled

    @property
    def kept(self) -> int:
        """Issued and not taken back."""
        return self.issued - self.taken_back

    @property
    def open(self) -> int:
        """Still there, alive."""
        return sum(self.dies.values())

    @property
    def telling(self) -> range:
        """The ages from which its steps to the next tell how redemptions come about."""
        return range(max(self.silent, 1), self.age if self.heard is None else min(self.age, self.heard))

    def at(self, age: int) -> int:
        """Redeemed by the end of an age."""
        return self.redeemed[age - 1] if age else 0

    def earlier(self, diagonals: int) -> "Cohort":
        """As it was so many months before: what has died since is not known, so all that was left may be redeemed."""
        age = max(0, self.age - diagonals)
        gone = self.cancelled[age - 1] if age and self.cancelled else 0
        left = self.issued - gone - self.at(age)
        return replace(
            self,
            redeemed=self.redeemed[:age],
            cancelled=self.cancelled[:age],
            recent=0,
            recently_cancelled=0,
            dies={max(self.dies, key=_last, default=None): max(left, 0)},
        )


def _last(age: int | None) -> float:
    return float("inf") if age is None else age


@dataclass(frozen=True)
class Cell:
    """Cohorts that are looked at together."""

    cohorts: Sequence[Cohort]
    redeemers: int = 0
    """People who have redeemed any of them."""
    who: frozenset[int] = frozenset()
    """Their accounts, where they are fewer than ``ENOUGH``."""
    lives: int | None = ALL_ALIKE
    """The last age at which points of these can be alive, where it is not that of all."""

    def earlier(self, diagonals: int) -> "Cell":
        """Without the last diagonals; cohorts that had not begun are left out."""
        known = [one.earlier(diagonals) for one in self.cohorts if one.age > diagonals]
        return replace(self, cohorts=known)


def pooled(cells: Iterable[Cell]) -> Cell:
    """Several cells as one, month by month. Whoever is in two is counted twice where it is not known who they are."""
    together: dict[date, list[Cohort]] = defaultdict(list)
    some = list(cells)
    for cell in some:
        for one in cell.cohorts:
            together[one.month].append(one)
    who = frozenset(one for cell in some for one in cell.who)
    known = all(len(cell.who) == cell.redeemers for cell in some)
    redeemers = len(who) if known else sum(cell.redeemers for cell in some)
    return Cell(
        [_sum(month, each) for month, each in sorted(together.items())], redeemers, who if known else frozenset()
    )


@dataclass(frozen=True)
class Era:
    """The months of issue between two changes of policy."""

    since: date
    """The first of them."""
    until: date | None
    """The first that is no more among them; none: there is no end yet."""
    lives: int | None
    """The last age at which points that came in then can be alive; none: they never die."""

    def holds(self, month: date) -> bool:
        """Whether points of a month came in then."""
        return self.since <= month and (self.until is None or month < self.until)


def cut(cell: Cell, era: Era) -> Cell:
    """What came in in an era."""
    return replace(cell, cohorts=[one for one in cell.cohorts if era.holds(one.month)], lives=era.lives)


def heard(cell: Cell, era: Era, eras: Sequence[Era]) -> Cell:
    """What tells of an era: what has happened since it began to what had come in before its end.

    What came in earlier tells only of the ages at which it can be alive.
    """
    found = []
    for one in cell.cohorts:
        own = next(each for each in eras if each.holds(one.month))
        if own is era:
            found.append(one)
        elif one.month < era.since:
            found.append(replace(one, silent=_months(one.month, era.since), heard=own.lives))
    return replace(cell, cohorts=found, lives=era.lives)


def _months(first: date, last: date) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


def _sum(month: date, some: Sequence[Cohort]) -> Cohort:
    dies: dict[int | None, int] = defaultdict(int)
    for one in some:
        for age, points in one.dies.items():
            dies[age] += points
    return Cohort(
        month,
        sum(one.issued for one in some),
        _added(one.redeemed for one in some),
        _added(one.cancelled for one in some),
        sum(one.recent for one in some),
        sum(one.recently_cancelled for one in some),
        dict(dies),
    )


def _added(rows: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(ages) for ages in zip_longest(*rows, fillvalue=0))

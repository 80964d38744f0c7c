"""The cohort triangle, pure: of the points of each month, how many were redeemed by each age.

Age 1 is the month in which points came in. Only months that are over are ages; what came after the last of them is
``recent``. Redeemed is net of what was given back, and points that were handed on count where they came from.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import zip_longest


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

    def earlier(self, diagonals: int) -> "Cell":
        """Without the last diagonals; cohorts that had not begun are left out."""
        known = [one.earlier(diagonals) for one in self.cohorts if one.age > diagonals]
        return Cell(known, self.redeemers)


def pooled(cells: Iterable[Cell]) -> Cell:
    """Several cells as one, month by month. The same people may stand in two cells, and are counted twice."""
    together: dict[date, list[Cohort]] = defaultdict(list)
    redeemers = 0
    for cell in cells:
        redeemers += cell.redeemers
        for one in cell.cohorts:
            together[one.month].append(one)
    return Cell([_sum(month, some) for month, some in sorted(together.items())], redeemers)


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

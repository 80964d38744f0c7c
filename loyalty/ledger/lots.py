"""Which points are there at a moment and which go first: pure, on what is left of each lot.

Time decides, not the sweep: a lot is alive from ``activates_at`` until just before ``expires_at``, whatever bucket its
points are written in. The soonest to die goes first (loyalty.md §2.1, §2.5). Where a lot's end must be told beforehand
(``notice_days``), it lives until it was told and those days have passed, however long that takes: that too is a matter
of time alone (I7, I32).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NEVER = datetime.max.replace(tzinfo=UTC)


class NotEnough(ValueError):
    """Fewer points can be spent than were asked for; nothing was changed."""

    def __init__(self, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} points wanted, {available} available")
        self.wanted, self.available = wanted, available


@dataclass
class Left:
    """What is left of a lot."""

    lot_id: int
    account_id: int
    activates_at: datetime
    expires_at: datetime | None
    pending: int = 0
    available: int = 0
    held: int = 0
    uses: Mapping[str, Any] = field(default_factory=dict)
    notice_days: int = 0
    """So long before it must have been told; 0: need not be."""
    not_before: datetime | None = None
    """It was told so that it does not die earlier; none: it was not told."""
    idle_months: int | None = None
    """It dies after so many months without a purchase or redemption, which would move its end; none: not of that."""
    moved: bool = False
    """Its end is not the one that is kept (``idle.catch_up``)."""

    @property
    def ends_at(self) -> datetime | None:
        """From when on it is gone; none: never, or not before it has been told."""
        if self.expires_at is None or not self.notice_days:
            return self.expires_at
        return None if self.not_before is None else max(self.expires_at, self.not_before)

    @property
    def points(self) -> int:
        """What is not held."""
        return self.pending + self.available

    def alive(self, at: datetime) -> bool:
        """Whether its points count at that moment."""
        return self.activates_at <= at < (self.ends_at or NEVER)

    def over(self, at: datetime) -> bool:
        """Whether it has died."""
        return self.ends_at is not None and self.ends_at <= at


def in_order(lots: Iterable[Left]) -> list[Left]:
    """The soonest to die first, then the oldest."""
    return sorted(lots, key=lambda one: (one.expires_at or NEVER, one.activates_at, one.lot_id))


def alive_points(lots: Iterable[Left], at: datetime) -> int:
    """All that could be spent on something, were there no debt."""
    return sum(one.points for one in lots if one.alive(at))


def anything(_lot: Left) -> bool:
    """No lot is too special."""
    return True


def take(
    lots: Iterable[Left], points: int, at: datetime, fits: Callable[[Left], bool] = anything
) -> Sequence[tuple[Left, int]]:
    """From which lots so many points come: exactly so many. Raises ``NotEnough``."""
    usable = [one for one in in_order(lots) if one.alive(at) and one.points and fits(one)]
    taken, wanted = [], points
    for one in usable:
        n = min(one.points, wanted)
        if n:
            taken.append((one, n))
            wanted -= n
    if wanted:
        raise NotEnough(points, sum(one.points for one in usable))
    return taken

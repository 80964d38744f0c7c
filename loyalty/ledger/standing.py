"""What an account comes to at a moment, whether or not its books have been brought to it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from loyalty.ledger import book
from loyalty.ledger.lots import Left, alive_points, in_order
from storage.tables import PointsAccount

INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Standing:
    """Points of one person."""

    available: int
    """What can be spent: what is alive, less what is owed."""
    pending: int
    held: int
    debt: int
    lots: Sequence[Left]
    """What is left, the soonest to die first; without what has died."""

    def fitting(self, at: datetime, suits: Callable[[Left], bool]) -> int:
        """Points of lots that suit and are alive; what is owed was paid before, from the soonest to die."""
        owed, found = alive_points(self.lots, at) - self.available, 0
        for lot in self.lots:
            if lot.alive(at):
                paid = min(owed, lot.points)
                owed -= paid
                found += lot.points - paid if suits(lot) else 0
        return found

    def ends(self, at: datetime, zone: ZoneInfo) -> list[tuple[date, int]]:
        """The last day of what is left and will die, and how many points; what is owed is taken off the soonest.

        What should have died and was not told of has no day.
        """
        found: dict[date, int] = {}
        for last, points, _ in self._each(at, zone):
            found[last] = found.get(last, 0) + points
        return sorted(found.items())

    def idle(self, at: datetime, zone: ZoneInfo) -> dict[date, int]:
        """How many of ``ends`` live on, by the same days, if something is bought or redeemed by then."""
        found: dict[date, int] = {}
        for last, points, moves in self._each(at, zone):
            if moves:
                found[last] = found.get(last, 0) + points
        return found

    def _each(self, at: datetime, zone: ZoneInfo) -> Iterator[tuple[date, int, bool]]:
        """Lot by lot: the last day, how many points, and whether a purchase moves it."""
        owed = alive_points(self.lots, at) - self.available
        for lot in self.lots:
            paid = min(owed, lot.points) if lot.alive(at) else 0
            owed -= paid
            end = lot.ends_at or lot.expires_at
            if end is not None and end > at and lot.points > paid:
                yield (end - INSTANT).astimezone(zone).date(), lot.points - paid, lot.idle_months is not None


@dataclass
class Part:
    """What one account has and owes, as it is written."""

    held: int = 0
    debt: int = 0
    lots: list[Left] = field(default_factory=list)


def standing(db: Session, account_ids: Sequence[int], at: datetime) -> Standing:
    """Of some accounts together: a person may have several."""
    return together(parts(db, account_ids).values(), at)


def parts(db: Session, account_ids: Sequence[int]) -> dict[int, Part]:
    """What is written of each of these accounts."""
    account = PointsAccount
    own = select(account.id, account.held, account.debt).where(account.id.in_(account_ids))
    found = {account_id: Part(held, debt) for account_id, held, debt in db.execute(own)}
    for lot in book.lots_of(db, account_ids).values():
        found[lot.account_id].lots.append(lot)
    return found


def together(some: Iterable[Part], at: datetime) -> Standing:
    """Accounts of one person at a moment; what one owes the others pay."""
    some = list(some)
    lots = [lot for one in some for lot in one.lots if not lot.over(at)]
    alive, debt = alive_points(lots, at), sum(one.debt for one in some)
    return Standing(
        available=max(0, alive - debt),
        pending=sum(one.points for one in lots if one.activates_at > at),
        held=sum(one.held for one in some),
        debt=max(0, debt - alive),
        lots=in_order(lots),
    )

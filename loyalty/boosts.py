"""Points for more, of one person and once (倍数积分券): given by a journey, used by the first order that gains by it.

Among campaigns it counts as one that does not stack: where a campaign gives at least as much, it is kept for another
order. It holds for orders paid within its days, and brings so many points at most.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select

from loyalty.earning import Boost, Earned
from loyalty.ledger import bulk
from storage.rows import insert_new
from storage.tables import PointsBoost
from storage.work import Work


@dataclass(frozen=True)
class Given:
    """One that somebody is to get."""

    name: str
    factor: int
    """In ten-thousandths."""
    cap: int
    """Points."""
    days: int
    source: str


def give(work: Work, person_id: int, key: str, given: Given) -> bool:
    """Give a person (an anchor) one from now on, once for its key; False when it was given before."""
    account_id = bulk.open_accounts(work, [person_id])[person_id]
    row = {
        "account_id": account_id,
        "name": given.name,
        "factor": given.factor,
        "cap": given.cap,
        "from_at": work.now,
        "to_at": work.now + timedelta(days=given.days),
        "source": given.source,
        "key": key,
        "used_by": "",
        "points": 0,
    }
    return bool(insert_new(work.db, PointsBoost, [row], ["key"]))


@dataclass
class Waiting:
    """Those of some people that wait to be used, held until this work is kept."""

    rows: list[PointsBoost] = field(default_factory=list)

    @classmethod
    def of(cls, work: Work, account_ids: Collection[int], first: datetime, last: datetime) -> "Waiting":
        """Of these accounts, for orders paid between these moments."""
        own = select(PointsBoost).where(PointsBoost.account_id.in_(account_ids), PointsBoost.used_at.is_(None))
        own = own.where(PointsBoost.from_at <= last, PointsBoost.to_at > first).order_by(PointsBoost.id)
        return cls(list(work.db.scalars(own.with_for_update()))) if account_ids else cls()

    def best(self, account_ids: Collection[int], at: datetime) -> list[Boost]:
        """The best that an order of this person, paid then, can use; of equal ones the first."""
        fits = [
            one
            for one in self.rows
            if one.account_id in account_ids and one.used_at is None and one.from_at <= at < one.to_at
        ]
        found = sorted(fits, key=lambda one: (-one.factor, one.id))[:1]
        return [Boost(-one.id, one.name, one.factor, room=one.cap) for one in found]

    def use(self, work: Work, reference: str, earned: Earned) -> None:
        """Write down which one an order has used, if it gained by one."""
        for one in self.rows:
            if points := earned.by_campaign.get(-one.id, 0):
                one.used_at, one.used_by, one.points = work.now, reference, points


def of_accounts(work: Work, account_ids: Sequence[int]) -> Sequence[PointsBoost]:
    """Those these accounts can still use, the soonest to end first."""
    own = select(PointsBoost).where(PointsBoost.account_id.in_(account_ids), PointsBoost.used_at.is_(None))
    return work.db.scalars(own.where(PointsBoost.to_at > work.now).order_by(PointsBoost.to_at)).all()

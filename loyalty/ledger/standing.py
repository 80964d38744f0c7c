"""What an account comes to at a moment, whether or not its books have been brought to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from loyalty.ledger import book
from loyalty.ledger.lots import Left, alive_points, in_order
from storage.tables import PointsAccount


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


def standing(db: Session, account_ids: Sequence[int], at: datetime) -> Standing:
    """Of some accounts together: a person may have several."""
    lots = [one for one in book.lots_of(db, account_ids).values() if not one.over(at)]
    accounts = db.scalars(select(PointsAccount).where(PointsAccount.id.in_(account_ids))).all()
    alive, debt = alive_points(lots, at), sum(one.debt for one in accounts)
    return Standing(
        available=max(0, alive - debt),
        pending=sum(one.points for one in lots if one.activates_at > at),
        held=sum(one.held for one in accounts),
        debt=max(0, debt - alive),
        lots=in_order(lots),
    )

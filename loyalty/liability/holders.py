"""Who had the points when they came in: how long before they had last bought or spent, and of which tier they were.

As it was then, never as it is now: whom somebody has become by today is known only afterwards, and a triangle of those
who are still active would show redemptions of the past as if they had been foreseen (docs/liability.md). What happened
in the same moment does not count: an order does not make whoever pays it active before it.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func, null, select, union_all
from sqlalchemy.orm import Session

from loyalty.ledger.book import DONATED, HELD, REDEEMED
from storage.database import UtcTime, one_of
from storage.tables import PointsEntry, PointsLot, PointsTxn, TierChange

ACTIVE, DORMANT, LOST, NEW = STATES = ("active", "dormant", "lost", "new")
"""Last active within 90 days, within a year, longer ago, never before."""
ACTIVE_DAYS, DORMANT_DAYS = 90, 365
ACTS = ("redeem", "hold", "donate")
NO_TIER = ""
"""None, or the lowest."""


def came(db: Session, end: datetime, recorded: Any) -> Any:
    """Each lot that came of no other: its id, ``at``, and state and tier of its holder then.

    ``recorded`` says of a transaction whether it was by ``end``.
    """
    lot, txn, change, entry = PointsLot, PointsTxn, TierChange, PointsEntry
    bought = and_(txn.kind == "award", txn.source.startswith("order:"))
    spent = and_(one_of(entry.bucket.expression, (REDEEMED, DONATED, HELD)), entry.amount > 0, txn.kind.in_(ACTS))
    none, never = cast(null(), BigInteger), cast(null(), UtcTime)
    lots = _rows(lot.id, lot.account_id, txn.effective_at, case((bought, txn.effective_at)), none)
    acts = _rows(none, entry.account_id, txn.effective_at, txn.effective_at, none)
    rises = _rows(none, change.account_id, change.at, never, change.id).where(change.recorded_at < end)
    some = union_all(
        lots.join(txn, txn.id == lot.txn_id).where(recorded(txn, end), lot.origin_lot.is_(None)),
        acts.join(txn, txn.id == entry.txn_id).where(recorded(txn, end), spent),
        rises,
    ).subquery("happened")
    before: dict[str, Any] = {"partition_by": some.c.account_id, "order_by": some.c.at, "groups": (None, -1)}
    acted, tier = func.max(some.c.acted).over(**before), func.max(some.c.change_id).over(**before)
    seen = select(some.c.lot_id, some.c.at, acted.label("acted"), tier.label("change_id")).subquery("seen")
    own = select(
        seen.c.lot_id,
        seen.c.at,
        _state(db, seen.c.at, seen.c.acted).label("state"),
        case((change.until.is_not(None), change.after), else_=NO_TIER).label("tier"),
    ).outerjoin(change, change.id == seen.c.change_id)
    return own.where(seen.c.lot_id.is_not(None)).cte("came")


def _rows(lot_id: Any, account_id: Any, at: Any, acted: Any, change_id: Any) -> Any:
    names = ("lot_id", "account_id", "at", "acted", "change_id")
    return select(
        *(one.label(name) for name, one in zip(names, (lot_id, account_id, at, acted, change_id), strict=True))
    )


def _state(db: Session, at: Any, acted: Any) -> ColumnElement[str]:
    """Of a moment and when there had last been something before it."""
    if db.get_bind().dialect.name == "sqlite":
        days: Any = func.julianday(at) - func.julianday(acted)
    else:
        days = func.extract("epoch", at - acted) / timedelta(days=1).total_seconds()
    return case((acted.is_(None), NEW), (days <= ACTIVE_DAYS, ACTIVE), (days <= DORMANT_DAYS, DORMANT), else_=LOST)

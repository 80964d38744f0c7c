"""What happened to the points of one person, newest first: each transaction with what it did to their accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from loyalty.ledger.book import AVAILABLE, DEBT, PENDING, STANDING
from storage.tables import PointsEntry, PointsLot, PointsLotNow, PointsTxn


@dataclass
class Move:
    """So many points of a lot into (plus) or out of (minus) where they stand."""

    bucket: str
    points: int
    lot_id: int
    activates_at: datetime
    expires_at: datetime | None
    """As it stands now."""


@dataclass
class Happening:
    """A transaction, as far as it is about these accounts."""

    txn: PointsTxn
    change: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STANDING, 0))
    """By bucket; what is owed counts as it is owed."""
    moves: list[Move] = field(default_factory=list)

    @property
    def points(self) -> int:
        """What it brought (plus) or took (minus): available and pending together, less what became owed."""
        return self.change[AVAILABLE] + self.change[PENDING] - self.change[DEBT]


def page(
    db: Session, account_ids: Sequence[int], *, limit: int, before: int | None = None
) -> tuple[list[Happening], int | None]:
    """So many transactions of these accounts older than ``before``, and where the next page begins, if there is one."""
    entry = PointsEntry
    own = select(entry.txn_id).where(entry.account_id.in_(account_ids)).distinct()
    own = own if before is None else own.where(entry.txn_id < before)
    ids = list(db.scalars(own.order_by(entry.txn_id.desc()).limit(limit + 1)))
    shown = ids[:limit]
    found = {one.id: Happening(one) for one in db.scalars(select(PointsTxn).where(PointsTxn.id.in_(shown)))}
    _fill(db, found, account_ids)
    return [found[one] for one in shown], (shown[-1] if len(ids) > limit else None)


def _fill(db: Session, found: Mapping[int, Happening], account_ids: Sequence[int]) -> None:
    entry, lot = PointsEntry, PointsLotNow
    asked = (
        select(entry.txn_id, entry.bucket, entry.amount, entry.lot_id, lot.activates_at, lot.expires_at)
        .join(lot, lot.lot_id == entry.lot_id)
        .where(entry.txn_id.in_(found), entry.account_id.in_(account_ids), entry.bucket.in_(STANDING))
    )
    for txn_id, bucket, amount, lot_id, activates, expires in db.execute(asked.order_by(entry.txn_id, entry.number)):
        points = -amount if bucket == DEBT else amount
        found[txn_id].change[bucket] += points
        found[txn_id].moves.append(Move(bucket, points, lot_id, activates, expires))


def lots(db: Session, lot_ids: Sequence[int]) -> dict[int, PointsLot]:
    """These lots, by id."""
    return {one.id: one for one in db.scalars(select(PointsLot).where(PointsLot.id.in_(lot_ids)))}

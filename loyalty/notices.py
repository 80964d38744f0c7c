"""That people are told before points of theirs die, and the proof of it (docs/decisions/0012).

Points whose rules ask for it (``Programme.notice_days``, and what the law of their place asks) live until their end was
told and so many days have passed. Told is: sent to them, shown to their rep on a card, or shown on their own page. The
first time is written down for each end of a lot and never again, so that telling twice moves no end. Where a purchase
moves an end (``ledger.idle``), what was told of the one before counts no more. Pages, jobs and journeys call ``told``;
``Left.over`` and ``has_died`` do the rest, by the clock alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from loyalty.expiry import REGIONS
from loyalty.ledger.book import HAS_POINTS, T_NOW, first_id
from storage.rows import insert_new
from storage.tables import PointsAccount, PointsLot, PointsLotNow, PointsNotice, PointsRenewal, has_died
from storage.work import Work

KF, CARD, MASS, PAGE = WAYS = ("kf", "card", "mass", "me")
EARLY = timedelta(days=30)
"""So long before their end people are told for the first time: early enough that hardly anything waits."""


def told(
    work: Work, account_ids: Sequence[int], upto: datetime, way: str, source: str, said_at: datetime | None = None
) -> int:
    """Write down that a person (all their accounts) was told now of what dies up to a moment; of how many lots.

    What was told of before is not told of again; nor was anybody told of ends that came to be since ``said_at`` (none:
    now), or told earlier than the law of their place counts.
    """
    ids = sorted(set(account_ids))
    held = select(PointsAccount.id).where(PointsAccount.id.in_(ids)).order_by(PointsAccount.id).with_for_update()
    work.db.execute(held).all()
    lot = PointsLotNow
    own = select(lot).where(lot.account_id.in_(ids), HAS_POINTS, lot.expires_at <= upto, lot.not_before.is_(None))
    own = own.where(_not_too_early(work.now), *(() if said_at is None else (_stood(said_at),)))
    found = work.db.scalars(own.order_by(lot.lot_id).execution_options(populate_existing=True)).all()
    ends = {one.lot_id: work.now + timedelta(days=one.notice_days) for one in found}
    rows = [
        {
            "lot_id": one.lot_id,
            "expires_at": one.expires_at,
            "account_id": one.account_id,
            "told_at": work.now,
            "way": way,
            "source": source,
            "points": one.pending + one.available,
            "ends_at": max(one.expires_at, ends[one.lot_id]),
        }
        for one in found
        if one.expires_at is not None and not _is_gone(one, work.now)
    ]
    new = insert_new(work.db, PointsNotice, rows, ["lot_id", "expires_at"], "lot_id") if rows else []
    if new:
        move = update(T_NOW).where(T_NOW.c.lot_id == bindparam("of_lot")).values(not_before=bindparam("ends"))
        work.db.connection().execute(move, [{"of_lot": one, "ends": ends[one]} for one in new])
        for row in found:
            work.db.expire(row)
    return len(new)


def _is_gone(lot: PointsLotNow, at: datetime) -> bool:
    """Whether it has died already, which only what need not be told of can."""
    return not lot.notice_days and lot.expires_at is not None and lot.expires_at <= at


def _stood(said_at: datetime) -> ColumnElement[bool]:
    """That the end of a lot is no younger than what was said of it."""
    lot, renewal, first = PointsLotNow, PointsRenewal, first_id(said_at + timedelta(milliseconds=1))
    moved = select(renewal.txn_id).where(
        renewal.account_id == lot.account_id,
        renewal.idle_months == lot.idle_months,
        renewal.ends_at == lot.expires_at,
        renewal.txn_id >= first,
    )
    return and_(lot.lot_id < first, ~moved.exists())


def _not_too_early(at: datetime) -> ColumnElement[bool]:
    """That a place's law does not pass over what is told now, so long before the end (``expiry.REGIONS``)."""
    lot = PointsLotNow
    early = [
        and_(PointsLot.jurisdiction == place, lot.expires_at > at + timedelta(days=region.notice_most))
        for place, region in REGIONS.items()
        if region.notice_most is not None
    ]
    return ~select(PointsLot.id).where(PointsLot.id == lot.lot_id, or_(*early)).exists()


def of_accounts(db: Session, account_ids: Sequence[int]) -> Sequence[PointsNotice]:
    """What these accounts were told, the newest first."""
    own = select(PointsNotice).where(PointsNotice.account_id.in_(account_ids))
    return db.scalars(own.order_by(PointsNotice.told_at.desc(), PointsNotice.lot_id)).all()


# --- what waits ------------------------------------------------------------------------------------------------------


def waits(at: datetime) -> ColumnElement[bool]:
    """The condition on ``PointsLotNow`` for points that should have died and live because nobody was told in time."""
    lot = PointsLotNow
    return and_(HAS_POINTS, lot.expires_at <= at, ~has_died(at))


@dataclass(frozen=True)
class Waiting:
    """How much lives on because nobody was told."""

    people: int
    points: int


def waiting(db: Session, at: datetime) -> Waiting:
    """Over all people."""
    lot = PointsLotNow
    asked = select(func.count(lot.account_id.distinct()), func.coalesce(func.sum(lot.pending + lot.available), 0))
    people, points = db.execute(asked.where(waits(at))).one()
    return Waiting(int(people), int(points))

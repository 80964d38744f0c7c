"""What each day did to the points, per channel and store: opening + what came and went = closing (loyalty.md §2.10).

Every two entries of a transaction are one move (``book.Draft.move``): the even one out of a bucket, the odd one into
another. So the other of the two says where points came from or went, and nothing has to be guessed from the kind of a
transaction. A day is the shop's, by when a transaction was recorded; its closing is the next day's opening.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, insert, or_, select
from sqlalchemy.orm import Session, aliased

from loyalty.ledger.book import CLAWED, DEBT, ISSUED, REDEEMED, STANDING
from storage.tables import PointsDay, PointsEntry, PointsLot, PointsTxn
from storage.work import Work

REISSUED = "reissued"
DAY = timedelta(days=1)
Place = tuple[str, str, str]
"""Channel, store, bucket."""


@dataclass(frozen=True)
class Line:
    """One line of a day's report; in points, what is owed counted as it is owed."""

    channel: str
    store: str
    bucket: str
    opening: int
    moves: Mapping[str, int] = field(default_factory=dict)
    closing: int = 0


def moves(db: Session, day: date, zone: ZoneInfo) -> dict[Place, dict[str, int]]:
    """What came into each bucket (plus) or went out of it (minus) that day, by where from or to."""
    own, other, lot, txn = aliased(PointsEntry), aliased(PointsEntry), PointsLot, PointsTxn
    begins, ends = (datetime.combine(one, time(), zone) for one in (day, day + DAY))
    again = lot.origin == "reissue"
    asked = (
        select(lot.channel, lot.store, own.bucket, other.bucket, again, func.sum(own.amount))
        .select_from(txn)
        .join(own, own.txn_id == txn.id)
        .join(other, (other.txn_id == own.txn_id) & (other.number == own.number + 1 - 2 * (own.number % 2)))
        .join(lot, lot.id == own.lot_id)
        .where(txn.recorded_at >= begins, txn.recorded_at < ends, own.bucket.in_(STANDING))
        .group_by(lot.channel, lot.store, own.bucket, other.bucket, again)
    )
    found: dict[Place, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for channel, store, bucket, beside, reissued, amount in db.execute(asked):
        name = REISSUED if beside == ISSUED and reissued else beside
        found[channel, store, bucket][name] += -int(amount) if bucket == DEBT else int(amount)
    return {place: {name: n for name, n in sorted(some.items()) if n} for place, some in found.items()}


@dataclass(frozen=True)
class Total:
    """What a day did to everybody's points together, in points."""

    given: int
    redeemed: int
    """Less what came back of it."""
    taken_back: int
    """Because of refunds and the like, less what was let back; also what was gone already, or is owed now."""


def total(db: Session, day: date, zone: ZoneInfo) -> Total:
    """The same day in three numbers, from the entries themselves: also while it goes on. Reissued is not given anew."""
    begins, ends = (datetime.combine(one, time(), zone) for one in (day, day + DAY))
    asked = (
        select(PointsEntry.bucket, func.sum(PointsEntry.amount))
        .join(PointsTxn, PointsTxn.id == PointsEntry.txn_id)
        .join(PointsLot, PointsLot.id == PointsEntry.lot_id)
        .where(PointsTxn.recorded_at >= begins, PointsTxn.recorded_at < ends)
        .where(PointsEntry.bucket.in_((ISSUED, REDEEMED, CLAWED)))
        .where(or_(PointsEntry.bucket != ISSUED, PointsLot.origin != "reissue"))
        .group_by(PointsEntry.bucket)
    )
    sums = {bucket: int(amount) for bucket, amount in db.execute(asked)}
    return Total(-sums.get(ISSUED, 0), sums.get(REDEEMED, 0), sums.get(CLAWED, 0))


def report(db: Session, day: date) -> Sequence[Line]:
    """The lines of a day that was closed; none of another."""
    own = select(PointsDay).where(PointsDay.day == day)
    order = (PointsDay.channel, PointsDay.store, PointsDay.bucket)
    return [
        Line(one.channel, one.store, one.bucket, one.opening, one.moves, one.closing)
        for one in db.scalars(own.order_by(*order))
    ]


def made(db: Session, day: date, zone: ZoneInfo) -> Sequence[Line]:
    """The lines of a day, made of the closing before it and the entries of it."""
    before = {(one.channel, one.store, one.bucket): one.closing for one in report(db, day - DAY)}
    told = moves(db, day, zone)
    lines = []
    for place in sorted({*before, *told}):
        opening, some = before.get(place, 0), told.get(place, {})
        if opening or some:
            lines.append(Line(*place, opening, some, opening + sum(some.values())))
    return lines


def close(work: Work, day: date) -> int:
    """Keep the report of a day; how many lines. Closing a day again writes the same."""
    lines = made(work.db, day, work.zone)
    work.db.execute(delete(PointsDay).where(PointsDay.day == day))
    if lines:
        work.db.execute(insert(PointsDay), [{"day": day, **vars(one), "moves": dict(one.moves)} for one in lines])
    return len(lines)


def latest(db: Session) -> date | None:
    """The last day that was closed."""
    return db.scalar(select(func.max(PointsDay.day)))


def to_close(db: Session, today: date, zone: ZoneInfo) -> Iterator[date]:
    """The days that are over and not closed yet, the first first."""
    day = latest(db)
    if day is None:
        first = db.scalar(select(func.min(PointsTxn.recorded_at)))
        day = first.astimezone(zone).date() - DAY if first is not None else today
    while (day := day + DAY) < today:
        yield day


def differences(db: Session, day: date, zone: ZoneInfo) -> Sequence[str]:
    """What in the kept report of a day is not what the entries say, a sentence each."""
    kept = {(one.channel, one.store, one.bucket): one for one in report(db, day)}
    right = {(one.channel, one.store, one.bucket): one for one in made(db, day, zone)}
    return [
        f"points_day {day} {'/'.join(place)}: it is not what the entries of the day say"
        for place in sorted({*kept, *right})
        if kept.get(place) != right.get(place)
    ]

"""Tiers (等级): named and set by the shop; reached by what was earned in a window, valid to the end of the next year.

Spending and expiry never lower what counts: only a refund does (loyalty.md §2.8). A tier is given at once, and taken
only when its time is over: then by one step, or by as many as the points of the window that ended with it say. A refund
within 30 days of an upgrade undoes it where the refunded order brought it about. Every change is a row that stays.

The upper half is pure: days and counters. ``look`` brings one person to the present, whoever calls it how often;
``at`` says what held at a moment, such as when an order was paid. A person may have several accounts: they count
together, and the highest tier of them holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from loyalty.earning import ONE
from loyalty.expiry import add_months
from loyalty.ledger.book import CLAWED
from loyalty.ledger.claw import CLAWS
from storage import shop_settings
from storage.tables import PointsAccount, PointsEntry, PointsLot, PointsTxn, TierChange
from storage.work import Work

SETTING = "points_tiers"
UNDONE_WITHIN = timedelta(days=30)
UP, DOWN, UNDONE = "up", "down", "undone"
MOST_LEVELS = 8


class Level(BaseModel):
    """One tier."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    key: str = Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")
    name: str = Field(min_length=1, max_length=20)
    points: int = Field(ge=0, le=10**9)
    """So many in the window reach it."""
    factor: int = Field(default=ONE, ge=ONE, le=10 * ONE)
    """How many times as many points an order earns, in ten-thousandths."""
    benefits: tuple[str, ...] = Field(default=(), max_length=20)
    """What else it brings, in words."""


class Scheme(BaseModel):
    """The shop's tiers, the lowest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    levels: tuple[Level, ...] = (
        Level(key="silver", name="银卡", points=0),
        Level(key="gold", name="金卡", points=2_000),
        Level(key="black", name="黑卡", points=10_000),
    )
    window: Literal["year", "rolling"] = "year"
    """A natural year, or the last twelve months."""
    downgrade: Literal["one_down", "recompute"] = "one_down"

    @model_validator(mode="after")
    def _grows(self) -> "Scheme":
        steps = [one.points for one in self.levels]
        if not 1 <= len(steps) <= MOST_LEVELS or steps[0] != 0 or any(a >= b for a, b in pairwise(steps)):
            raise ValueError(f"1 to {MOST_LEVELS} levels, the first from 0 points, each from more than the one before")
        if len({one.key for one in self.levels}) < len(steps):
            raise ValueError("two levels have one key")
        return self

    def reached(self, points: int) -> int:
        """The highest level (its place) that so many points reach."""
        return max(place for place, one in enumerate(self.levels) if one.points <= points)

    def place(self, key: str) -> int:
        """Of a key; of one that is not there any more the lowest."""
        return next((place for place, one in enumerate(self.levels) if one.key == key), 0)


# --- pure: days and counters -----------------------------------------------------------------------------------------

Window = tuple[date, date]
"""From this day, to before that."""
Counter = Callable[[Window], int]


@dataclass(frozen=True)
class Standing:
    """What somebody has: a level (its place), and the first day it does not hold any more; none of the lowest."""

    level: int = 0
    until: date | None = None


@dataclass(frozen=True)
class Step:
    """One change, the day from which it holds, and the points by which it was decided."""

    why: str
    before: Standing
    after: Standing
    on: date
    points: int


def window_of(scheme: Scheme, day: date) -> Window:
    """The window in which points count on a day."""
    if scheme.window == "year":
        return date(day.year, 1, 1), date(day.year + 1, 1, 1)
    end = day + timedelta(days=1)
    return add_months(end, -12), end


def valid_until(day: date) -> date:
    """A tier of this day holds to the end of the next natural year."""
    return date(day.year + 2, 1, 1)


def steps(scheme: Scheme, now: Standing, today: date, counted: Counter) -> list[Step]:
    """What becomes of it by today: every end of validity that has passed, then an upgrade where one is reached."""
    found = []
    while now.level and now.until is not None and now.until <= today:
        points = counted(window_of(scheme, now.until - timedelta(days=1)))
        kept = scheme.reached(points)
        level = min(now.level, max(kept, now.level - 1) if scheme.downgrade == "one_down" else kept)
        after = Standing(level, date(now.until.year + 1, 1, 1) if level else None)
        found.append(Step(DOWN if level < now.level else "kept", now, after, now.until, points))
        now = after
    points = counted(window_of(scheme, today))
    if (level := scheme.reached(points)) > now.level:
        found.append(Step(UP, now, Standing(level, valid_until(today)), today, points))
    return found


# --- the shop's ------------------------------------------------------------------------------------------------------


def scheme(db: Session) -> Scheme:
    """As the shop has set it."""
    found = shop_settings.read(db, SETTING)
    return Scheme(**found) if found else Scheme()


def set_scheme(work: Work, wanted: Scheme, *, by: str) -> None:
    """Set it; only an approval does."""
    shop_settings.keep(work.db, SETTING, wanted.model_dump(mode="json"), by=by, at=work.now)


# --- what counts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Earned:
    """What one transaction brought in that counts, less what refunds took of it."""

    txn_id: int
    at: datetime
    """When it was earned: for what was told late, when its points came alive."""
    points: int


def counting(db: Session, account_ids: Sequence[int]) -> list[Earned]:
    """All that ever counted for these accounts, in order."""
    lot, txn = PointsLot, PointsTxn
    own = (
        select(
            lot.txn_id,
            func.min(txn.effective_at),
            func.min(lot.activates_at),
            func.sum(lot.issued).filter(lot.qualifies.is_(True)),
            func.sum(lot.issued),
        )
        .join(txn, txn.id == lot.txn_id)
        .where(lot.account_id.in_(account_ids), txn.kind == "award")
        .group_by(lot.txn_id)
    )
    rows = [row for row in db.execute(own) if row[3]]
    gone = _gone(db, [row[0] for row in rows])
    found = [Earned(txn_id, min(at, alive), qualifying * max(0, all_ - gone.get(txn_id, 0)) // all_)
             for txn_id, at, alive, qualifying, all_ in rows]  # fmt: skip
    return sorted(found, key=lambda one: (one.at, one.txn_id))


def _gone(db: Session, txn_ids: Sequence[int]) -> dict[int, int]:
    """What refunds took of each of these transactions and did not let back, where that is anything."""
    entry, txn = PointsEntry, PointsTxn
    own = select(txn.reverses, func.sum(entry.amount)).join(txn, txn.id == entry.txn_id)
    taken = (txn.kind.in_(CLAWS), entry.bucket == CLAWED, txn.reverses.in_(txn_ids))
    return {number: int(n) for number, n in db.execute(own.where(*taken).group_by(txn.reverses)) if number and n}


def counter(earned: Sequence[Earned], zone: ZoneInfo) -> Counter:
    """Sums of a window's days in the shop's time zone."""
    days = [(one.at.astimezone(zone).date(), one.points) for one in earned]
    return lambda window: sum(n for day, n in days if window[0] <= day < window[1])


def _brought_about(earned: Sequence[Earned], window: Window, wanted: int, zone: ZoneInfo) -> int | None:
    """The transaction with which the sum reached so many points."""
    total = 0
    for one in earned:
        if window[0] <= one.at.astimezone(zone).date() < window[1]:
            total += one.points
            if total >= wanted:
                return one.txn_id
    return None


# --- looking ---------------------------------------------------------------------------------------------------------


def look(work: Work, account_ids: Sequence[int]) -> Level:
    """Bring one person's tier to the present; the tier there is. Looking again changes nothing."""
    ids = sorted(set(account_ids))
    own = select(PointsAccount.id).where(PointsAccount.id.in_(ids)).order_by(PointsAccount.id).with_for_update()
    work.db.execute(own)
    set_here = scheme(work.db)
    earned = counting(work.db, ids)
    counted, today = counter(earned, work.zone), work.now.astimezone(work.zone).date()
    last = _last(work.db, ids, work.now)
    now, holders = _standing(set_here, last), _holders(work.db, ids)
    if last is not None and _undone(work, set_here, last, counted(window_of(set_here, today))):
        back = Standing(set_here.place(last.before), last.until_before)
        _keep(work, holders, set_here, Step(UNDONE, now, back, today, counted(window_of(set_here, today))), last.cause)
        now = back
    for step in steps(set_here, now, today, counted):
        cause = None
        if step.why == UP:
            needed = set_here.levels[step.after.level].points
            cause = _brought_about(earned, window_of(set_here, today), needed, work.zone)
        _keep(work, holders, set_here, step, cause)
        now = step.after
    return set_here.levels[now.level]


def _undone(work: Work, set_here: Scheme, last: TierChange, points: int) -> bool:
    """Whether the order that brought this upgrade about was refunded below it within thirty days."""
    if last.why != UP or last.cause is None or work.now - last.recorded_at > UNDONE_WITHIN:
        return False
    below = points < set_here.levels[set_here.place(last.after)].points
    return below and last.cause in _gone(work.db, [last.cause])


def _standing(set_here: Scheme, last: TierChange | None) -> Standing:
    return Standing() if last is None else Standing(set_here.place(last.after), last.until)


def _last(db: Session, account_ids: Sequence[int], at: datetime) -> TierChange | None:
    """The newest change that held at a moment; of several accounts that of the highest tier."""
    own = select(TierChange).where(TierChange.account_id.in_(account_ids), TierChange.at <= at)
    newest: dict[int, TierChange] = {}
    for one in db.scalars(own.order_by(TierChange.at, TierChange.id)):
        newest[one.account_id] = one
    places = scheme(db)
    return max(newest.values(), key=lambda one: (places.place(one.after), one.at, one.id), default=None)


def _holders(db: Session, ids: Sequence[int]) -> Sequence[int]:
    """The accounts of a person by which a tier was ever held: a change is written for each, or one would keep it."""
    own = select(TierChange.account_id).where(TierChange.account_id.in_(ids)).distinct()
    return db.scalars(own.order_by(TierChange.account_id)).all() or ids[:1]


def _keep(work: Work, account_ids: Sequence[int], set_here: Scheme, step: Step, cause: int | None) -> None:
    for account_id in account_ids:
        _write(work, account_id, set_here, step, cause)
    work.db.flush()


def _write(work: Work, account_id: int, set_here: Scheme, step: Step, cause: int | None) -> None:
    start = datetime.combine(step.on, time(), work.zone).astimezone(UTC)
    row = TierChange(
        account_id=account_id,
        why=step.why,
        before=set_here.levels[step.before.level].key,
        after=set_here.levels[step.after.level].key,
        until_before=step.before.until,
        until=step.after.until,
        points=step.points,
        cause=cause,
        at=work.now if step.why in (UP, UNDONE) else start,
        recorded_at=work.now,
    )
    work.db.add(row)


def at(db: Session, account_ids: Sequence[int], moment: datetime) -> Level:
    """The tier that held for these accounts of one person at a moment."""
    set_here = scheme(db)
    return set_here.levels[_standing(set_here, _last(db, account_ids, moment)).level]


def levels_at(db: Session, asked: Sequence[tuple[Sequence[int], datetime]]) -> list[Level]:
    """The tiers that held for many (accounts of one person, moment): one question for all of them."""
    set_here = scheme(db)
    ids = {account_id for accounts, _ in asked for account_id in accounts}
    own = select(TierChange).where(TierChange.account_id.in_(ids)).order_by(TierChange.at, TierChange.id)
    changes: dict[int, list[TierChange]] = {}
    for one in db.scalars(own):
        changes.setdefault(one.account_id, []).append(one)
    found = []
    for accounts, moment in asked:
        last = [_newest(changes[one], moment) for one in accounts if one in changes]
        places = [set_here.place(one.after) for one in last if one is not None]
        found.append(set_here.levels[max(places, default=0)])
    return found


def _newest(changes: Sequence[TierChange], moment: datetime) -> TierChange | None:
    return next((one for one in reversed(changes) if one.at <= moment), None)


def history(db: Session, account_ids: Sequence[int]) -> Sequence[TierChange]:
    """Every change, the newest first; what was written for several accounts of a person once."""
    own = select(TierChange).where(TierChange.account_id.in_(account_ids))
    found = {(one.at, one.why, one.before, one.after): one for one in db.scalars(own.order_by(TierChange.id.desc()))}
    return sorted(found.values(), key=lambda one: (one.at, one.id), reverse=True)


# --- who has to be looked at -----------------------------------------------------------------------------------------


def due(db: Session, since: datetime, today: date) -> Sequence[int]:
    """Accounts whose tier may be behind: earned or refunded since then, or at the end of its time; in order."""
    moved = (
        select(PointsEntry.account_id)
        .join(PointsTxn, PointsTxn.id == PointsEntry.txn_id)
        .where(PointsTxn.recorded_at > since, PointsTxn.kind.in_(("award", *CLAWS)))
    )
    later = aliased(TierChange)
    superseded = select(later.id).where(later.account_id == TierChange.account_id, later.id > TierChange.id)
    ended = select(TierChange.account_id).where(TierChange.until <= today, ~superseded.exists())
    return db.scalars(moved.union(ended).order_by("account_id")).all()


def would_be(db: Session, wanted: Scheme, now: datetime, zone: ZoneInfo, most: int = 20_000) -> Mapping[str, int]:
    """How many of the newest so many accounts would reach each level by the points of the window there is."""
    own = select(PointsAccount.id).where(PointsAccount.person_id.is_not(None)).order_by(PointsAccount.id.desc())
    accounts = db.scalars(own.limit(most)).all()
    window, found = window_of(wanted, now.astimezone(zone).date()), dict[str, int]()
    for one in accounts:
        key = wanted.levels[wanted.reached(counter(counting(db, [one]), zone)(window))].key
        found[key] = found.get(key, 0) + 1
    return found


def of(raw: Mapping[str, Any]) -> Scheme:
    """A scheme out of a payload. Raises pydantic's ``ValidationError``, which is a ``ValueError``."""
    return Scheme(**raw)

"""Taking over from an older points system (积分对照): its points come in, both run a while, then ours are the points.

* Shadow: what people had there on a first day is noted (``OldBalance``), or their whole history is written into our
  books. From then on ours earn too, but nothing can be spent here: customers spend there.
* Every day the older system's balances are noted again, and differences are listed for each person.
* The switch is an approval (``deeds``): for each account it brings our books to what the older system said last. Once
  all lines are carried out, points can be spent here.

``handlers.points_rows`` reads the files; ``loyalty.ledger.spend`` asks ``shut``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from loyalty.ledger.book import DEBT, HELD, STANDING, TAKEOVER
from storage import shop_settings
from storage.rows import upsert
from storage.tables import Approval, OldBalance, PointsEntry, PointsLotNow, PointsTxn, Setting
from storage.work import Work

SETTING = TAKEOVER
SHADOW, SWITCHED = "shadow", "switched"
HISTORY, BALANCES = "history", "balances"
KIND = "take_over"
DONE = "done"
ORIGINS = ("purchase", "marketing", "compensation")


class NotNow(ValueError):
    """Why not, in a sentence for whoever runs the command."""


@dataclass(frozen=True)
class State:
    """How far it is."""

    name: str
    """Empty: there is nothing to take over."""
    by: str = ""
    """``history`` or ``balances``."""
    approval: int | None = None


@dataclass(frozen=True)
class Difference:
    """What an account has here and there at the end of a day."""

    account_id: int
    ours: int
    theirs: int


def state(db: Session) -> State:
    """How far it is; switched once the approval of the switch is carried out."""
    found = shop_settings.read(db, SETTING)
    name, approval = found.get("state", ""), found.get("approval")
    if name == SHADOW and approval and db.scalar(select(Approval.state).where(Approval.id == approval)) == DONE:
        name = SWITCHED
    return State(name, found.get("by", ""), approval)


def shut(work: Work) -> bool:
    """Whether nothing can be spent here yet, because an older system is where points are spent."""
    return bool(work.found("points takeover", lambda: state(work.db).name == SHADOW))


def begin(work: Work, by: str, *, actor: str) -> None:
    """Let the shadow begin, or go on. Raises ``NotNow``."""
    now = state(work.db)
    if now.name == SWITCHED:
        raise NotNow("points are spent here already; what comes in now is an award, or an adjustment")
    if now.name == SHADOW and now.by != by:
        raise NotNow(f"this takes over {now.by}; one cannot be mixed with the other")
    if now.approval is not None and _is_open(work.db, now.approval):
        raise NotNow("the switch waits for approval; cancel it to go on comparing")
    if now.name != SHADOW:
        _set(work, {"state": SHADOW, "by": by, "since": work.now.isoformat()}, actor)


def _is_open(db: Session, approval_id: int) -> bool:
    return db.scalar(select(Approval.state).where(Approval.id == approval_id)) in ("waiting", "approved", "running")


def _set(work: Work, value: Mapping[str, Any], by: str) -> None:
    shop_settings.keep(work.db, SETTING, value, by=by[:100], at=work.now)
    known = work.db.get(Setting, SETTING)
    if known is not None:
        work.db.refresh(known)
    work.forget("points takeover")


# --- what the older system says --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What the older system says somebody has, as far as it dies on the same day."""

    points: int
    expires_at: datetime | None
    origin: str = "purchase"
    idle_months: int | None = None
    """They die of idleness, by the shop's rules, since the older system does not say when; none: on that day."""


def note(work: Work, day: date, told: Sequence[tuple[int, Told]]) -> set[tuple[int, Told]]:
    """Note what accounts had at the end of a day, in place of what was noted of points that die then; what is news."""
    rows = {(account_id, _number(one)): (account_id, one) for account_id, one in told}
    own = (OldBalance.day == day, OldBalance.account_id.in_({account_id for account_id, _ in rows}))
    before = {(one.account_id, one.number): one.points for one in work.db.scalars(select(OldBalance).where(*own))}
    news = {key: one for key, one in rows.items() if before.get(key) != one[1].points}
    values = [
        {"day": day, "account_id": account_id, "number": number, "points": one.points, "expires_at": one.expires_at,
         "origin": one.origin, "idle_months": one.idle_months}
        for (account_id, number), (_, one) in sorted(news.items())
    ]  # fmt: skip
    upsert(
        work.db, OldBalance, values, ["day", "account_id", "number"], ["points", "expires_at", "origin", "idle_months"]
    )
    return set(news.values())


def _number(one: Told) -> int:
    """Points that die at the same hour and have the same origin are one row: hours since 1970, and the origin."""
    hours = int(one.expires_at.timestamp()) // 3600 if one.expires_at is not None else 0
    return hours * len(ORIGINS) + ORIGINS.index(one.origin)


def days(db: Session) -> Sequence[date]:
    """The days of which something is noted, the newest first."""
    return db.scalars(select(OldBalance.day).distinct().order_by(OldBalance.day.desc())).all()


# --- comparing -------------------------------------------------------------------------------------------------------


def differences(db: Session, day: date, zone: ZoneInfo, *, all_: bool = False) -> Iterator[Difference]:
    """What differs at the end of a day (or everything), account by account."""
    for account_id, ours, theirs in db.execute(_compared(db, day, zone).execution_options(yield_per=1000)):
        if all_ or ours != theirs:
            yield Difference(account_id, int(ours), int(theirs))


@dataclass(frozen=True)
class Summary:
    """How a day compares."""

    day: date
    accounts: int
    different: int
    ours: int
    theirs: int


def summary(db: Session, day: date, zone: ZoneInfo) -> Summary:
    """Of one day."""
    some = _compared(db, day, zone).subquery()
    ours, theirs = some.c.ours, some.c.theirs
    row = db.execute(
        select(
            func.count(),
            func.count().filter(ours != theirs),
            func.coalesce(func.sum(ours), 0),
            func.coalesce(func.sum(theirs), 0),
        ).select_from(some)
    ).one()
    return Summary(day, int(row[0]), int(row[1]), int(row[2]), int(row[3]))


def _compared(db: Session, day: date, zone: ZoneInfo) -> Select[Any]:
    """Account, ours, theirs: of everybody of whom the older system ever said something, up to that day.

    Where balances were taken over ours begin with theirs of the first day; a whole history is in the books.
    """
    first = select(func.min(OldBalance.day)).scalar_subquery()
    known = select(OldBalance.account_id).where(OldBalance.day <= day).distinct().subquery()
    account = known.c.account_id
    now = _sum_there(account, OldBalance.day == day)
    ours = _sum_here(account, end_of(day, zone))
    if state(db).by != HISTORY:
        began = db.scalar(select(func.min(OldBalance.day))) or day
        ours = ours + _sum_there(account, OldBalance.day == first) - _sum_here(account, end_of(began, zone))
    return select(account, ours.label("ours"), now.label("theirs")).order_by(account)


def _sum_there(account: ColumnElement[int], *where: ColumnElement[bool]) -> Any:
    own = select(func.coalesce(func.sum(OldBalance.points), 0)).where(OldBalance.account_id == account, *where)
    return own.scalar_subquery()


def _sum_here(account: ColumnElement[int], before: datetime) -> Any:
    """What an account has here at a moment: what is pending and held too, less what is owed, without what has died.

    A lot whose end has moved since was alive then, so that the end of now says it too.
    """
    lot = PointsLotNow
    living = or_(lot.expires_at.is_(None), lot.expires_at > before, PointsEntry.bucket.in_((HELD, DEBT)))
    own = (
        select(func.coalesce(func.sum(PointsEntry.amount), 0))
        .join(PointsTxn, PointsTxn.id == PointsEntry.txn_id)
        .join(lot, lot.lot_id == PointsEntry.lot_id)
        .where(
            PointsEntry.account_id == account,
            PointsEntry.bucket.in_(STANDING),
            PointsTxn.effective_at < before,
            living,
        )
    )
    return own.scalar_subquery()


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which a day of the shop is over (UTC)."""
    return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)


# --- the switch ------------------------------------------------------------------------------------------------------


def lines(db: Session, day: date, zone: ZoneInfo) -> list[tuple[int, int]]:
    """What each account is to get (plus) or lose (minus) so that our books say what the older system said that day.

    Those that differ in nothing stand there too: they were looked at.
    """
    known = select(OldBalance.account_id).where(OldBalance.day <= day).distinct().subquery()
    account = known.c.account_id
    theirs, ours = _sum_there(account, OldBalance.day == day), _sum_here(account, end_of(day, zone))
    asked: Select[Any] = select(account, theirs - ours).order_by(account)
    return [(int(account_id), int(points)) for account_id, points in db.execute(asked)]


def lots_of(db: Session, account_id: int, day: date, points: int) -> list[Told]:
    """So many of the points that the older system said an account had, the soonest to die first."""
    own = and_(OldBalance.account_id == account_id, OldBalance.day == day)
    rows = db.scalars(select(OldBalance).where(own)).all()
    found, left = [], points
    for one in sorted(rows, key=lambda row: (row.expires_at is None, row.number)):
        if n := min(left, one.points):
            found.append(Told(n, one.expires_at, one.origin, one.idle_months))
            left -= n
    if left:
        found.append(Told(left, None))
    return found


def waits_for(work: Work, approval_id: int, by: str) -> None:
    """The switch was asked for: once this approval is carried out, points are spent here."""
    found = shop_settings.read(work.db, SETTING)
    _set(work, {**found, "approval": approval_id}, by)


@dataclass(frozen=True)
class Wanted:
    """What is asked for."""

    payload: Mapping[str, Any]
    once: str
    lines: Sequence[tuple[int, int]]


def wanted(work: Work, day: date) -> Wanted:
    """The switch as an approval: our books are brought to what the older system said of this day.

    Submit it and say so by ``waits_for``, in one piece of work. Raises ``NotNow``.
    """
    now = state(work.db)
    if now.name != SHADOW:
        raise NotNow("there is nothing to take over")
    if now.approval is not None and _is_open(work.db, now.approval):
        raise NotNow("the switch waits for approval already")
    found = lines(work.db, day, work.zone)
    return Wanted({"day": day.isoformat()}, f"take over:{day.isoformat()}:{work.now.isoformat()}", found)

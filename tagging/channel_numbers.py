"""The figures of channel codes, each counted from rows when asked: arrivals, losses, who stayed, welcomes, per rep.

Days are the shop's days. Arrivals are told apart as on the Today page: new to the shop, known but new to this rep,
re-added, and half (the rep's side is not complete). A transfer between colleagues is neither arrival nor loss.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, func, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from storage.tables import Interval, Welcome

Reps = Callable[[ColumnElement[str]], ColumnElement[bool]]
"""The condition that a userid column names a rep whose figures may be counted: ``people.access.Sight.reps``."""


def everybody(column: ColumnElement[str]) -> ColumnElement[bool]:
    """Count every rep."""
    return true()


KINDS = ("new_to_shop", "new_to_rep", "re_added", "half")
LOSSES = ("rep", "customer")
DAYS = 30
STAY_DAYS = (1, 7, 30)
STAY_LOOK_BACK = 90


NOT_OURS = ("waiting", "no_code", "no_text", "watched")
"""Outcomes that say nothing about how well we greet."""


@dataclass(frozen=True)
class Row:
    """The figures of one code in the list: arrivals, and how the welcomes of 30 days came out."""

    today: int = 0
    week: int = 0
    month: int = 0
    welcomes: int = 0
    """Welcomes of 30 days that have come to an end, of arrivals that could be greeted: with a code, and a text."""
    sent: int = 0


@dataclass(frozen=True)
class Day:
    """One day of one code."""

    day: date
    arrivals: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0

    @property
    def total(self) -> int:
        """All arrivals."""
        return sum(self.arrivals.values())


@dataclass(frozen=True)
class Stayed:
    """Of ``out_of`` arrivals that are at least ``days`` days old, ``stayed`` were not lost within those days."""

    days: int
    stayed: int
    out_of: int


@dataclass(frozen=True)
class RepRow:
    """One rep's share of a code over the days asked about."""

    userid: str
    arrivals: int
    lost: int
    welcomes: int
    sent: int


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The moment (UTC) at which a day of the shop begins."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def for_list(
    db: Session, channel_ids: Iterable[int], now: datetime, zone: ZoneInfo, reps: Reps = everybody
) -> dict[int, Row]:
    """The list's figures for each of these codes."""
    ids, today = list(channel_ids), now.astimezone(zone).date()
    starts = [midnight(today - timedelta(days=back), zone) for back in (0, 6, DAYS - 1)]
    counted = select(Interval.channel_id, *(_count_since(Interval.began_at, start) for start in starts)).where(
        Interval.channel_id.in_(ids),
        Interval.origin == "arrival",
        Interval.began_at >= starts[-1],
        reps(Interval.userid.expression),
    )
    arrivals = {one: counts for one, *counts in db.execute(counted.group_by(Interval.channel_id))}
    rows = select(Welcome.channel_id, *_settled_and_sent()).where(
        Welcome.channel_id.in_(ids), Welcome.event_at >= starts[-1], reps(Welcome.userid.expression)
    )
    greeted = {one: counts for one, *counts in db.execute(rows.group_by(Welcome.channel_id))}
    return {one: Row(*arrivals.get(one, (0, 0, 0)), *greeted.get(one, (0, 0))) for one in ids}


def _count_since(moment: InstrumentedAttribute[datetime | None], start: datetime) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((moment >= start, 1), else_=0)), 0)


def _settled_and_sent() -> tuple[ColumnElement[int], ColumnElement[int]]:
    settled = func.sum(case((Welcome.outcome.not_in(NOT_OURS), 1), else_=0))
    return settled, func.sum(case((Welcome.outcome == "sent", 1), else_=0))


def by_day(
    db: Session, channel_id: int, now: datetime, zone: ZoneInfo, reps: Reps = everybody, *, days: int = DAYS
) -> list[Day]:
    """The last ``days`` days, today included, oldest first; two questions whatever their number."""
    today = now.astimezone(zone).date()
    dates = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    came: list[dict[str, int]] = [{} for _ in dates]
    lost = [0 for _ in dates]
    start = midnight(dates[0], zone)
    own = (Interval.channel_id == channel_id, reps(Interval.userid.expression))
    kind, began_on = _kind(), _bucket(Interval.began_at, dates, zone)
    began = select(began_on, kind, func.count()).where(*own, Interval.origin == "arrival", Interval.began_at >= start)
    for number, name, count in db.execute(began.group_by(began_on, kind)):
        came[number][name] = count
    ended_on = _bucket(Interval.ended_at, dates, zone)
    ended = select(ended_on, func.count()).where(*own, Interval.ended_by.in_(LOSSES), Interval.ended_at >= start)
    for number, count in db.execute(ended.group_by(ended_on)):
        lost[number] = count
    return [Day(*one) for one in zip(dates, came, lost, strict=True)]


def _bucket(
    moment: InstrumentedAttribute[datetime | None], dates: Sequence[date], zone: ZoneInfo
) -> ColumnElement[int]:
    """On which of these days a moment lies, as SQL that both databases read alike."""
    numbered = [(moment >= midnight(day, zone), number) for number, day in enumerate(dates)]
    return case(*reversed(numbered), else_=0)


def _kind() -> ColumnElement[str]:
    """What kind of arrival an interval is."""
    earlier = aliased(Interval)
    known = (
        select(earlier.id).where(earlier.person_id == Interval.person_id, earlier.began_at < Interval.began_at).exists()
    )
    return case(
        (Interval.confirmed_at.is_(None), "half"),
        (Interval.number > 1, "re_added"),
        (known, "new_to_rep"),
        else_="new_to_shop",
    )


def stayed(db: Session, channel_id: int, now: datetime, reps: Reps = everybody) -> list[Stayed]:
    """How many of those who came over this code in the last 90 days were still there after 1, 7 and 30 days."""
    came = (
        Interval.channel_id == channel_id,
        Interval.origin == "arrival",
        Interval.began_at >= now - timedelta(days=STAY_LOOK_BACK),
        reps(Interval.userid.expression),
    )
    left = db.execute(select(Interval.began_at, Interval.ended_at).where(*came, Interval.ended_by.in_(LOSSES))).all()
    found = []
    for days in STAY_DAYS:
        span = timedelta(days=days)
        out_of = db.scalars(select(func.count()).where(*came, Interval.began_at <= now - span)).one()
        gone = sum(began <= now - span and ended - began < span for began, ended in left if began and ended)
        found.append(Stayed(days, out_of - gone, out_of))
    return found


def welcomes(
    db: Session, channel_id: int, now: datetime, zone: ZoneInfo, reps: Reps = everybody, *, days: int = DAYS
) -> dict[str, int]:
    """How the welcomes of the last days' arrivals came out, by outcome."""
    rows = select(Welcome.outcome, func.count()).where(*_greeted(channel_id, now, zone, reps, days))
    return dict(db.execute(rows.group_by(Welcome.outcome)).all())


def _greeted(
    channel_id: int, now: datetime, zone: ZoneInfo, reps: Reps, days: int
) -> tuple[ColumnElement[bool], ColumnElement[bool], ColumnElement[bool]]:
    start = midnight(now.astimezone(zone).date() - timedelta(days=days - 1), zone)
    return Welcome.channel_id == channel_id, Welcome.event_at >= start, reps(Welcome.userid.expression)


def per_rep(
    db: Session, channel_id: int, now: datetime, zone: ZoneInfo, reps: Reps = everybody, *, days: int = DAYS
) -> list[RepRow]:
    """Each rep's arrivals, losses and welcomes over the last days, busiest first."""
    start = midnight(now.astimezone(zone).date() - timedelta(days=days - 1), zone)
    own = (Interval.channel_id == channel_id, reps(Interval.userid.expression))
    arrivals = _by_rep(db, *own, Interval.origin == "arrival", Interval.began_at >= start)
    lost = _by_rep(db, *own, Interval.ended_by.in_(LOSSES), Interval.ended_at >= start)
    rows = select(Welcome.userid, *_settled_and_sent()).where(*_greeted(channel_id, now, zone, reps, days))
    greeted = {one: counts for one, *counts in db.execute(rows.group_by(Welcome.userid))}
    userids = arrivals.keys() | lost.keys() | greeted.keys()
    found = [RepRow(one, arrivals.get(one, 0), lost.get(one, 0), *greeted.get(one, (0, 0))) for one in userids]
    return sorted(found, key=lambda one: (-one.arrivals, one.userid))


def _by_rep(db: Session, *where: ColumnElement[bool]) -> dict[str, int]:
    return dict(db.execute(select(Interval.userid, func.count()).where(*where).group_by(Interval.userid)).all())


def recent_arrivals(db: Session, channel_id: int, now: datetime, zone: ZoneInfo) -> int:
    """How many came over this code in the last 30 days: what deleting it would cut off."""
    return for_list(db, [channel_id], now, zone)[channel_id].month

"""How often one customer may hear from us: one book (``Touch``) for broadcasts, journeys and what reps send themselves.

A touch is held when it is planned, used up when it was sent, given back when it failed. WeCom counts by natural day,
week or month of Asia/Shanghai (wecom.md §4.9: ``day_1``, ``week_7``, ``month_days``), the corp and its members
together; our own smallest gap comes on top.
"""

from calendar import monthrange
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, func, literal, literal_column, select
from sqlalchemy.orm import Session

from outreach.hours import Quiet
from storage.tables import Person, Touch

NIGHT = Quiet(time(22), time(8))
Mode = Literal["day_1", "week_7", "month_days"]
SHANGHAI = ZoneInfo("Asia/Shanghai")
"""Where WeCom's days, weeks and months begin, wherever the shop is."""
LOCK = 0x7363_726D
"""The number of the lock that whoever plans touches holds (``hold``); nobody else uses it."""
HELD, ASKED, SENT = TAKEN = ("held", "asked", "sent")
"""States in which a touch uses up the budget; literally so in ``storage.tables.outreach``."""
BROADCAST, JOURNEY, CARD, OWN = KINDS = ("broadcast", "journey", "card", "own")
"""What a touch may come from: a broadcast, a journey, a card of a rep's day, what a rep sent by herself."""
IS_TAKEN: ColumnElement[bool] = literal_column("touch.state IN ('held', 'asked', 'sent')")
"""The same in the words of the indexes, or no database uses them."""


@dataclass(frozen=True)
class Rules:
    """The shop's settings (``[contact]``)."""

    mode: Mode = "day_1"
    gap: timedelta = timedelta(hours=72)
    quiet: Quiet = NIGHT
    second_above: int = 500
    """More receivers of a broadcast than this need a second person's word (reliability.md S35)."""


@dataclass(frozen=True)
class Period:
    """The natural days in which so many are allowed."""

    first: date
    last: date
    most: int


def day_of(moment: datetime) -> date:
    """The day of WeCom's book on which a moment lies."""
    return moment.astimezone(SHANGHAI).date()


def period(mode: Mode, day: date) -> Period:
    """The period a day belongs to."""
    if mode == "day_1":
        return Period(day, day, 1)
    if mode == "week_7":
        monday = day - timedelta(days=day.weekday())
        return Period(monday, monday + timedelta(days=6), 7)
    days = monthrange(day.year, day.month)[1]
    return Period(day.replace(day=1), day.replace(day=days), days)


def is_used_up(rules: Rules, at: datetime, *, but: Collection[str] = ()) -> ColumnElement[bool]:
    """The condition on ``Person`` that holds where WeCom would take no more for the day of this moment.

    ``but``: sources whose own touches do not count, because they are the ones being asked about.
    """
    of = period(rules.mode, day_of(at))
    own = (Touch.person_id == Person.id, IS_TAKEN, _DAY.between(of.first, of.last), *_others(but))
    if of.most == 1:
        return _any(*own)
    return select(func.count()).where(*own).correlate(Person).scalar_subquery() >= of.most


def is_too_soon(rules: Rules, at: datetime, *, but: Collection[str] = ()) -> ColumnElement[bool]:
    """The condition on ``Person`` that holds where something else of ours reaches them within the smallest gap."""
    near = (Touch.at > at - rules.gap, Touch.at < at + rules.gap)
    return _any(Touch.person_id == Person.id, IS_TAKEN, *near, *_others(but))


_DAY: ColumnElement[date] = func.coalesce(Touch.day, Touch.day)
"""A touch's day out of reach of the indexes by day: a person has few touches, a day of a broadcast has a million."""


def _any(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a ``Person`` has such a touch, looked up by the person: with a limit it cannot be turned round."""
    return select(literal(1)).where(*where).limit(1).correlate(Person).scalar_subquery().is_not(None)


def kind_that_fills(rules: Rules, at: datetime, person_id: ColumnElement[int], *, but: Collection[str]) -> Any:
    """Of what kind (``kind_of``) the first touch is that takes this person's place in the period of a moment."""
    of = period(rules.mode, day_of(at))
    return _first_kind(Touch.person_id == person_id, _DAY.between(of.first, of.last), but=but)


def kind_too_near(rules: Rules, at: datetime, person_id: ColumnElement[int], *, but: Collection[str]) -> Any:
    """Of what kind the first touch is that lies within the smallest gap of a moment."""
    near = (Touch.at > at - rules.gap, Touch.at < at + rules.gap)
    return _first_kind(Touch.person_id == person_id, *near, but=but)


def _first_kind(*where: ColumnElement[bool], but: Collection[str]) -> Any:
    kind = case(
        (Touch.source.startswith("broadcast:"), BROADCAST),
        (Touch.source.startswith("journey:"), JOURNEY),
        (Touch.source.startswith("own:"), OWN),
        else_=CARD,
    )
    first = select(kind).where(*where, IS_TAKEN, *_others(but)).order_by(Touch.at, Touch.id).limit(1)
    return first.correlate_except(Touch).scalar_subquery()


def kind_of(source: str) -> tuple[str, int]:
    """What a touch comes from: ``broadcast:3`` is broadcast 3, ``journey:5:v1:s2:…`` is journey 5; the rest has none.

    Everything else that is no rep's own message came by a card.
    """
    kind, _, rest = source.partition(":")
    number = rest.partition(":")[0]
    if kind in (BROADCAST, JOURNEY):
        return kind, int(number) if number.isdecimal() else 0
    return (OWN if kind == OWN else CARD), 0


def around(
    db: Session, rules: Rules, asked: Iterable[tuple[int, datetime]], *, but: Collection[str]
) -> dict[int, Touch]:
    """Of each of some people and moments, the first touch that takes their place or is too near; a page of people.

    As it is now: what has been given back meanwhile is not said any more.
    """
    moments = dict(asked)
    if not moments:
        return {}
    spans = {one: _span(rules, at) for one, at in moments.items()}
    first, last = min(one[0] for one in spans.values()), max(one[1] for one in spans.values())
    own = select(Touch).where(Touch.person_id.in_(moments), IS_TAKEN, _DAY.between(first, last), *_others(but))
    found: dict[int, Touch] = {}
    for touch in db.scalars(own.order_by(Touch.at, Touch.id)):
        at = moments[touch.person_id]
        of = period(rules.mode, day_of(at))
        if of.first <= touch.day <= of.last or abs(touch.at - at) < rules.gap:
            found.setdefault(touch.person_id, touch)
    return found


def _span(rules: Rules, at: datetime) -> tuple[date, date]:
    """The days on which something may stand in the way of this moment."""
    of = period(rules.mode, day_of(at))
    return min(of.first, day_of(at - rules.gap)), max(of.last, day_of(at + rules.gap))


def hold(db: Session) -> None:
    """Let nobody else plan touches until this transaction is over: two who looked at once would both find room.

    SQLite has one writer at a time anyway.
    """
    if db.get_bind().dialect.name == "postgresql":
        db.execute(select(func.pg_advisory_xact_lock(LOCK)))


def _others(but: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return (Touch.source.not_in(but),) if but else ()

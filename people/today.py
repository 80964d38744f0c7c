"""The day in figures, each derived from rows when asked: arrivals by kind, losses, welcomes by outcome."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from people.access import Sight
from people.directory import Cursor
from storage.tables import Channel, Identity, Interval, Person, Relation, Welcome


@dataclass(frozen=True)
class Day:
    """One day's arrivals and losses. ``new_to_shop + new_to_rep + re_added + half`` are all arrivals."""

    day: date
    new_to_shop: int = 0
    new_to_rep: int = 0
    re_added: int = 0
    half: int = 0
    """Arrived, but the rep's side is not complete (yet)."""
    lost: int = 0
    """Relations ended by the customer or the rep; a transfer is none."""

    @property
    def arrivals(self) -> int:
        """Everybody who came."""
        return self.new_to_shop + self.new_to_rep + self.re_added + self.half

    @property
    def net(self) -> int:
        """Came less lost."""
        return self.arrivals - self.lost


def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The moments (UTC) between which a day of the shop lies."""
    start = datetime.combine(day, time(), zone)
    return start.astimezone(UTC), (start + timedelta(days=1)).astimezone(UTC)


def of_day(db: Session, sight: Sight, day: date, zone: ZoneInfo, *, channel_id: int | None = None) -> Day:
    """Count one day, perhaps of one channel only."""
    start, end = bounds(day, zone)
    kinds = Counter(_kinds(db, sight, start, end, channel_id))
    lost = select(func.count()).where(
        Interval.ended_at >= start,
        Interval.ended_at < end,
        Interval.ended_by.in_(("rep", "customer")),
        sight.reps(Interval.userid.expression),
    )
    if channel_id is not None:
        lost = lost.where(Interval.channel_id == channel_id)
    return Day(
        day,
        kinds["new_to_shop"],
        kinds["new_to_rep"],
        kinds["re_added"],
        kinds["half"],
        db.scalars(lost).one(),
    )


def _kinds(db: Session, sight: Sight, start: datetime, end: datetime, channel_id: int | None) -> list[str]:
    """What kind of arrival each interval that began in this time is."""
    earlier = aliased(Interval)
    known_before = (
        select(earlier.id).where(earlier.person_id == Interval.person_id, earlier.began_at < Interval.began_at).exists()
    )
    began = select(Interval.number, Interval.confirmed_at, known_before).where(
        Interval.began_at >= start,
        Interval.began_at < end,
        Interval.origin == "arrival",
        sight.reps(Interval.userid.expression),
    )
    if channel_id is not None:
        began = began.where(Interval.channel_id == channel_id)
    return [_kind(number, confirmed, known) for number, confirmed, known in db.execute(began)]


def _kind(number: int, confirmed_at: datetime | None, known_before: bool) -> str:
    if confirmed_at is None:
        return "half"
    if number > 1:
        return "re_added"
    return "new_to_rep" if known_before else "new_to_shop"


def welcomes(db: Session, sight: Sight, day: date, zone: ZoneInfo) -> dict[str, int]:
    """How the welcomes of a day's arrivals came out."""
    start, end = bounds(day, zone)
    rows = db.execute(
        select(Welcome.outcome, func.count())
        .where(Welcome.event_at >= start, Welcome.event_at < end, sight.reps(Welcome.userid.expression))
        .group_by(Welcome.outcome)
    )
    return dict(rows.all())


def slowest_welcome(db: Session, sight: Sight, day: date, zone: ZoneInfo) -> tuple[float | None, float | None]:
    """The median and the longest time (seconds) from callback to WeCom's answer that day."""
    start, end = bounds(day, zone)
    took = select(Welcome.seconds).where(
        Welcome.outcome == "sent",
        Welcome.event_at >= start,
        Welcome.event_at < end,
        sight.reps(Welcome.userid.expression),
    )
    seconds = sorted(one for one in db.scalars(took) if one is not None)
    if not seconds:
        return None, None
    return seconds[len(seconds) // 2], seconds[-1]


def days(db: Session, sight: Sight, last: date, number: int, zone: ZoneInfo) -> list[Day]:
    """The figures of so many days up to ``last``, the oldest first."""
    return [of_day(db, sight, last - timedelta(days=back), zone) for back in range(number - 1, -1, -1)]


def served_now(db: Session, sight: Sight) -> int:
    """How many relations live now: what a day's losses are a part of."""
    living = select(func.count()).where(Relation.state.in_(("active", "half")), sight.reps(Relation.userid.expression))
    return db.scalars(living).one()


@dataclass(frozen=True)
class Greeting:
    """One welcome, and the customer it was for as far as the viewer may see them."""

    welcome: Welcome
    person: Person | None
    channel: str | None


def greetings(
    db: Session,
    sight: Sight,
    *,
    outcome: str = "",
    day: date | None = None,
    zone: ZoneInfo,
    limit: int,
    before: Cursor | None = None,
) -> tuple[list[Greeting], Cursor | None]:
    """One page of welcomes, the newest arrival first, and what the next page comes before (None at the end)."""
    question = (
        select(Welcome, Person, Channel.name)
        .outerjoin(Identity, (Identity.type == "external_userid") & (Identity.value == Welcome.external_userid))
        .outerjoin(Person, Person.id == Identity.person_id)
        .outerjoin(Channel, Channel.id == Welcome.channel_id)
        .where(sight.reps(Welcome.userid.expression), or_(Person.id.is_(None), sight.people()))
        .order_by(Welcome.event_at.desc(), Welcome.id.desc())
        .limit(limit + 1)
    )
    if outcome:
        question = question.where(Welcome.outcome == outcome)
    if day is not None:
        start, end = bounds(day, zone)
        question = question.where(Welcome.event_at >= start, Welcome.event_at < end)
    if before is not None:
        question = question.where(tuple_(Welcome.event_at, Welcome.id) < tuple_(*before))
    found = [Greeting(*row) for row in db.execute(question).all()]
    if len(found) <= limit:
        return found, None
    last = found[limit - 1].welcome
    return found[:limit], (last.event_at, last.id)

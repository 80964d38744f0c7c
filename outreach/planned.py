"""What is planned and what went out, day by day: broadcasts, journeys, reps' cards and what reps sent themselves.

Read from the contact budget's book (``Touch``), so a day shows what people really get; ahead of it stand broadcasts
that are approved and not planned yet, with the size they were approved at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from sqlalchemy import ColumnElement, case, func, literal_column, select, true
from sqlalchemy.orm import Session

from outreach import broadcasts, budget, hours, recurring
from people.access import Sight
from storage.tables import Broadcast, Journey, Touch
from storage.work import Work

MOST_TIMES = 40
"""So often a recurring broadcast is looked ahead at."""


@dataclass(frozen=True)
class Entry:
    """One thing on one day: what it is (``broadcast``, ``journey``, ``card``, ``own``), its name, for how many."""

    kind: str
    number: int
    name: str
    coming: int = 0
    out: int = 0
    at: datetime | None = None


@dataclass(frozen=True)
class Day:
    """One day of the shop."""

    day: date
    entries: Sequence[Entry] = field(default_factory=tuple)
    kind: str = ""
    """``holiday`` or ``workday`` where the calendar says so."""

    @property
    def people(self) -> int:
        """How many messages, sent or to be sent."""
        return sum(one.coming + one.out for one in self.entries)


def days(work: Work, first: date, last: date, calendar: Mapping[date, str], sight: Sight) -> list[Day]:
    """Each day from the first to the last, as far as the viewer may see."""
    found: dict[date, list[Entry]] = {}
    for day, entry in (*_touches(work.db, first, last, sight), *_broadcasts_ahead(work, first, last, sight)):
        found.setdefault(day, []).append(entry)
    span = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [Day(one, tuple(sorted(found.get(one, ()), key=_order)), calendar.get(one, "")) for one in span]


def _order(one: Entry) -> tuple[bool, datetime, str]:
    return one.at is None, one.at or datetime.max, f"{one.kind}:{one.number:09d}"


def _touches(db: Session, first: date, last: date, sight: Sight) -> list[tuple[date, Entry]]:
    """From the book: grouped by day and by what it comes from; of a manager's own reps only."""
    mine = true() if sight.everybody else Touch.userid.in_(sight.userids)
    asked = (
        select(Touch.day, _ORIGIN, Touch.state, func.count())
        .where(Touch.day.between(first, last), budget.IS_TAKEN, mine)
        .group_by(Touch.day, _ORIGIN, Touch.state)
    )
    sums: dict[tuple[date, str, int], list[int]] = {}
    for day, source, state, count in db.execute(asked):
        kind, number = budget.kind_of(source)
        numbers = sums.setdefault((day, kind, number), [0, 0])
        numbers[state == budget.SENT] += count
    names = names_of(db, {(kind, number) for _, kind, number in sums})
    return [
        (day, Entry(kind, number, names.get((kind, number), ""), coming, out))
        for (day, kind, number), (coming, out) in sums.items()
    ]


_ORIGIN: ColumnElement[str] = case(
    (literal_column("substr(touch.source, 1, 5) = 'card:'"), literal_column("'card:'")),
    (literal_column("substr(touch.source, 1, 4) = 'own:'"), literal_column("'own:'")),
    else_=literal_column("substr(touch.source, 1, 20)"),
)
"""Where a touch comes from, as far as a day needs it: a source may be of one person alone, and days have millions.

Twenty signs hold the number of every broadcast and journey.
"""


def names_of(db: Session, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """What these broadcasts and journeys (``budget.kind_of``) are called."""
    found: dict[tuple[str, int], str] = {}
    for kind, table in (("broadcast", Broadcast), ("journey", Journey)):
        numbers = {number for one, number in wanted if one == kind}
        own = select(table.id, table.name).where(table.id.in_(numbers))
        found |= {(kind, number): name for number, name in db.execute(own)}
    return found


def _broadcasts_ahead(work: Work, first: date, last: date, sight: Sight) -> list[tuple[date, Entry]]:
    """Approved and not planned yet, recurring ones each time they are to go."""
    own = select(Broadcast).where(
        Broadcast.state == "approved", Broadcast.send_at.is_not(None), broadcasts.seen_by(sight)
    )
    return [
        (moment.astimezone(work.zone).date(), Entry("broadcast", one.id, one.name, coming=one.size or 0, at=moment))
        for one in work.db.scalars(own)
        for moment in _times(one, work, last)
        if first <= moment.astimezone(work.zone).date() <= last
    ]


def _times(broadcast: Broadcast, work: Work, last: date) -> list[datetime]:
    until = hours.instant(last + timedelta(days=1), time(), work.zone)
    found: list[datetime] = []
    moment = broadcast.send_at
    while moment is not None and moment < until and len(found) < MOST_TIMES:
        found.append(moment)
        moment = recurring.next_time(broadcast.repeat, moment, work) if broadcast.repeat else None
    return found


def weeks(first: date, last: date) -> tuple[date, date]:
    """The Monday on or before a day, and the Sunday on or after another: whole weeks of a page."""
    return first - timedelta(days=first.weekday()), last + timedelta(days=6 - last.weekday())

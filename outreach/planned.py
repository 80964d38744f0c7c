"""What is planned and what went out, day by day: broadcasts, journeys, reps' cards and what reps sent themselves.

Read from the contact budget's book (``Touch``), so a day shows what people really get; ahead of it stand broadcasts
that are approved and not planned yet, with the size they were approved at, and whoever waits on a journey for a step
that says something, on the day on which they come to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal_column, select, true, tuple_
from sqlalchemy.orm import Session

from outreach import broadcasts, budget, hours, recurring
from outreach.journeys import definition as shape
from outreach.journeys.definition import Definition, Step
from people.access import Sight
from storage.tables import Broadcast, Enrolment, Journey, JourneyVersion, Person, StepRun, Touch
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
    waiting: int = 0
    """So many wait on a journey and are to come to a step that day that says something, if nothing comes between."""
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
        return sum(one.coming + one.out + one.waiting for one in self.entries)


def days(work: Work, first: date, last: date, calendar: Mapping[date, str], sight: Sight) -> list[Day]:
    """Each day from the first to the last, as far as the viewer may see."""
    found: dict[date, list[Entry]] = {}
    book, waiting = _touches(work.db, first, last, sight), _waiting(work, first, last, sight)
    for day, entry in book:
        more = waiting.pop((day, entry.number), 0) if entry.kind == budget.JOURNEY else 0
        found.setdefault(day, []).append(replace(entry, waiting=more))
    names = names_of(work.db, {(budget.JOURNEY, number) for _, number in waiting})
    for (day, number), count in waiting.items():
        found.setdefault(day, []).append(
            Entry(budget.JOURNEY, number, names.get((budget.JOURNEY, number), ""), waiting=count)
        )
    for day, entry in _broadcasts_ahead(work, first, last, sight):
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


# --- on their way ----------------------------------------------------------------------------------------------------


def _waiting(work: Work, first: date, last: date, sight: Sight) -> dict[tuple[date, int], int]:
    """How many wait on each journey for a step that says something, by the day on which they come to it.

    Who waits for something to happen has no day; whoever is behind their time is taken on today.
    """
    today = work.now.astimezone(work.zone).date()
    first = max(first, today)
    if first > last:
        return {}
    span = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    ends = [hours.instant(one + timedelta(days=1), time(), work.zone) for one in span]
    day = case(*((StepRun.due_at < end, number) for number, end in enumerate(ends)))
    due = [StepRun.state == "waiting", StepRun.due_at < ends[-1], Enrolment.arm == "", Enrolment.state == "live"]
    if first > today:
        due.append(StepRun.due_at >= hours.instant(first, time(), work.zone))
    of = (Enrolment.journey_id, Enrolment.version, StepRun.step, day.label("day"))
    own = select(*of).join(Enrolment, Enrolment.id == StepRun.enrolment_id)
    if not sight.everybody:
        own = own.join(Person, Person.id == Enrolment.person_id).where(sight.people())
    each = own.where(*due).subquery()
    asked: Select[Any] = select(*each.c, func.count()).group_by(*each.c)
    rows = work.db.execute(asked).all()
    saying = _that_say(work.db, {(journey, version) for journey, version, _step, _day, _count in rows})
    found: dict[tuple[date, int], int] = {}
    for journey, version, step, number, count in rows:
        if (journey, version, step) in saying:
            found[span[number], journey] = found.get((span[number], journey), 0) + count
    return found


def _that_say(db: Session, wanted: set[tuple[int, int]]) -> set[tuple[int, int, str]]:
    """The steps of these versions that say something, or after which something is said at once."""
    own = select(JourneyVersion).where(tuple_(JourneyVersion.journey_id, JourneyVersion.number).in_(wanted))
    versions = db.scalars(own).all() if wanted else []
    return {
        (one.journey_id, one.number, name)
        for one in versions
        for name, step in shape.steps_of(one.definition).items()
        if _says(one.definition, step)
    }


def _says(definition: Definition, step: Step) -> bool:
    if step["do"] not in ("send", "wait", "window"):
        return False
    for _ in definition["steps"]:
        if step["do"] == "send":
            return True
        name = shape.following(definition, step)
        if name == shape.END:
            return False
        step = shape.steps_of(definition)[name]
        if step["do"] not in ("send", "task", "tag", "webhook", "goal"):
            return False
    return False


# --- broadcasts ------------------------------------------------------------------------------------------------------


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

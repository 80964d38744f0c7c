"""Who is or was on a journey, as their lines read: entered because, left because, what is due when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from console import journey_words
from console.journey_words import ROUND_WORDS, STEP_WORDS
from console.words import _, mark
from outreach.arms import GHOSTS
from outreach.journeys import definition as shape
from outreach.journeys import parting, rounds
from outreach.journeys.definition import Definition
from storage.tables import Enrolment, Journey, JourneyVersion, Person, Segment, StepRun


@dataclass(frozen=True)
class RoundLine:
    """One round as it is shown."""

    enrolment: Enrolment
    journey: Journey
    person: Person
    state: str
    tone: str
    because: str
    left: str
    """Why they left; nothing while they are on it, or have walked to its end."""
    waits: str
    """The step they wait at; nothing when they are not on it any more."""
    due_at: datetime | None
    control: bool


def of_person(db: Session, person: Person) -> list[RoundLine]:
    """Somebody's rounds, the newest first."""
    return lines(db, [(one, journey, person) for one, journey in rounds.of_person(db, person.id)])


def of_journey(db: Session, journey: Journey, found: Sequence[Enrolment]) -> list[RoundLine]:
    """These rounds of a journey."""
    own = select(Person).where(Person.id.in_({one.person_id for one in found}))
    people = {one.id: one for one in db.scalars(own)}
    return lines(db, [(one, journey, people[one.person_id]) for one in found])


def lines(db: Session, found: Sequence[tuple[Enrolment, Journey, Person]]) -> list[RoundLine]:
    """Rounds as they read; a handful of questions however many they are."""
    enrolments = [one for one, _journey, _person in found]
    waits, definitions = rounds.waits(db, enrolments), _definitions(db, enrolments)
    acts = parting.acts(db, enrolments, {one: of["exits"]["kinds"] for one, of in definitions.items()})
    numbers = {int(one.because.get("segment") or 0) for one in enrolments}
    segments = dict(db.execute(select(Segment.id, Segment.name).where(Segment.id.in_(numbers))).all())
    return [
        _line(
            one,
            journey,
            person,
            waits.get(one.id),
            definitions[one.journey_id, one.version],
            segments,
            acts.get(one.id),
        )
        for one, journey, person in found
    ]


def _definitions(db: Session, enrolments: Sequence[Enrolment]) -> dict[tuple[int, int], Definition]:
    wanted = {(one.journey_id, one.version) for one in enrolments}
    own = select(JourneyVersion).where(tuple_(JourneyVersion.journey_id, JourneyVersion.number).in_(wanted))
    return {(one.journey_id, one.number): one.definition for one in db.scalars(own)} if wanted else {}


def _line(
    enrolment: Enrolment,
    journey: Journey,
    person: Person,
    waiting: StepRun | None,
    definition: Definition,
    segments: Mapping[int, str],
    act: str | None,
) -> RoundLine:
    words, tone = ROUND_WORDS[enrolment.state]
    on_the_way = enrolment.state == rounds.LIVE and waiting is not None
    return RoundLine(
        enrolment,
        journey,
        person,
        _(words),
        tone,
        journey_words.because(enrolment.because, segments),
        journey_words.left(enrolment.left_because, act) if enrolment.left_because else "",
        _waits(waiting, definition) if on_the_way and waiting is not None else "",
        waiting.due_at if on_the_way and waiting is not None else None,
        enrolment.arm in GHOSTS,
    )


def _waits(waiting: StepRun, definition: Definition) -> str:
    names = list(shape.steps_of(definition))
    step = shape.steps_of(definition)[waiting.step]
    do = _(STEP_WORDS[str(step["do"])][0])
    words = _("第 %(n)s 步：%(what)s", n=names.index(waiting.step) + 1, what=do)
    why = journey_words.waits(str(waiting.outcome.get("waits")))
    return f"{words}{mark('，')}{why}" if why else words

"""Journeys: written as a draft, published as versions that never change, stopped; who is on one, and since when."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy.orm import Session

from api import customers, here, paging
from api.operations import Call, Reply
from api.problems import CONFLICT, Problem, not_found
from api.shapes import Asked, Line, Loose, Paged, Shape, example, optional
from outreach.arms import GHOSTS
from outreach.journeys import definition as shape
from outreach.journeys import desk, dry_run, entries, results, rounds
from outreach.journeys.rounds import Candidate
from people import persons
from storage.database import reading
from storage.tables import Enrolment, Journey, StepRun

STATES = "off (never published), live, draining (nobody sets out any more), stopped."
DEFINITION = (
    "Trigger, who, re-entry, exits, goal, control and steps: `docs/journeys.md` lists them all. A fault is answered "
    "with its exact place."
)
EXAMPLE: dict[str, Any] = {
    "trigger": {"on": "event", "kinds": ["added"]},
    "who": {"all": []},
    "again": {"rule": "never"},
    "exits": {"kinds": [], "no_match": False},
    "goal": {"kinds": ["kf_in"], "days": 14},
    "control": 1000,
    "service": False,
    "priority": 50,
    "max_days": 90,
    "steps": [
        {"id": "s1", "do": "wait", "days": 3, "at": "10:00"},
        {"id": "s2", "do": "send", "ways": ["card"], "text": "你好 {name}，豆子喝得惯吗？"},
    ],
}
Name = Annotated[Line, Field(min_length=1, max_length=desk.NAME_AT_MOST, examples=["新客回访"])]
Key = Annotated[Line, Field(max_length=100, examples=["A1001"])]


class JourneyAsked(Asked):
    """A new journey. Nobody sets out before it is published."""

    model_config = example({"name": "新客回访", "definition": EXAMPLE})
    name: Name
    definition: Annotated[Loose, Field(description=DEFINITION)]


class JourneyChange(Asked):
    """What is to be different in the draft; what is left out stays."""

    model_config = example({"name": "新客回访"})
    name: Name = optional()
    definition: Loose = optional(DEFINITION)


class CutAsked(Asked):
    """What becomes of those who are on the way."""

    model_config = example({"cut": False})
    cut: Annotated[bool, Field(description="True: they leave it now. False: they walk on to the end of their version.")]


class EnrolmentAsked(Asked):
    """Somebody who is to set out."""

    model_config = example({"customer_id": "p_1", "key": "A1001"})
    customer_id: Annotated[Line, Field(min_length=1, max_length=100, description="As in `GET /customers/{id}`.")]
    key: Annotated[
        Key, Field(description="What it is about, such as an order; needed where each has its own round.")
    ] = ""


class VersionShape(Shape):
    """A journey as it was published."""

    number: int
    by: str
    at: datetime


class JourneyShape(Shape):
    """A journey and how it stands."""

    id: str = Field(examples=["j_3"])
    name: str
    ready_made: str | None = Field(description="Which of the ready-made ones it began as.")
    state: str = Field(description=STATES)
    draft: Loose | None = Field(description="What is being written; null while a live one has no open version.")
    live: Loose | None = Field(description="The definition on which people set out.")
    live_version: int | None
    versions: list[VersionShape] = Field(description="The newest first.")
    rounds: dict[str, int] = Field(description="How many rounds are live, leaving, done, at their goal, left.")
    made_by: str
    made_at: datetime
    changed_at: datetime
    published_at: datetime | None
    stopped_at: datetime | None


class JourneyPage(Shape):
    """Journeys, the newest first."""

    items: list[JourneyShape]
    next_cursor: str | None


class RoundShape(Shape):
    """One customer's one round of a journey."""

    id: str = Field(examples=["e_17"])
    customer_id: str = Field(examples=["p_1"])
    version: int
    key: str
    round: int
    control: bool = Field(description="Walks along and gets nothing, to compare with.")
    state: str = Field(description="live, leaving, done (walked to the end), goal, left.")
    because: Loose = Field(description="Why they set out.")
    left_because: str = Field(
        description="opted_out, no_relation, exit, no_match, stopped, too_old, loop, failed; or nothing."
    )
    step: str | None = Field(description="The step they wait at.")
    due_at: datetime | None = Field(description="When that step is taken.")
    began_at: datetime
    ended_at: datetime | None
    goal_at: datetime | None


class RoundPage(Shape):
    """Rounds of a journey, the newest first."""

    items: list[RoundShape]
    next_cursor: str | None


class EnrolledShape(Shape):
    """Whether somebody set out."""

    set_out: bool
    because: str = Field(description="Why not: opted_out, no_relation, no_match, on_the_way, before; or nothing.")
    round: RoundShape | None


class DryRunShape(Shape):
    """What the last thirty days would have been. Filters are asked as of now; the contact budget is not in it."""

    by_day: dict[str, int] = Field(description="How many would have set out on each day of the shop.")
    set_out: int
    left_out: dict[str, int] = Field(description="Why others would not: no_fit, opted_out, no_relation, again.")
    walked: int = Field(description="For so many of them, the latest, the way was walked.")
    steps: dict[str, int] = Field(description="Of these, how many come to each step.")
    ways: dict[str, int] = Field(
        description="By which way the first step that says something would reach how many of them now; `none`: by none."
    )
    cut_off: bool = Field(description="Whether there was more than is looked at.")


class ArmShape(Shape):
    """One arm: everybody by what they were assigned to, whether anything reached them or not."""

    control: bool
    assigned: int
    over: int = Field(description="Of these, whose days are over.")
    reached: int | None = Field(description="Of those, who reached the goal; null until it may be said.")


class AtStepShape(Shape):
    """One step of the version on which people set out, or did last."""

    id: str
    waiting: int
    outcomes: dict[str, int] = Field(
        description="done, would (control), failed, left:…, why it was skipped; what was said by way: card:held."
    )
    opens: int = Field(description="How often its tracked links were opened.")


class JourneyOutcomeShape(Shape):
    """How far people come, and whether it helps. Nothing is said before the planned size or ninety days."""

    steps: list[AtStepShape]
    rounds: int = Field(description="The steps are counted over so many rounds, the newest; at most 10,000.")
    arms: list[ArmShape] = Field(description="Empty where the journey has no goal, or was never published.")
    needed: int | None = Field(description="So many whose days are over each arm is planned to have.")
    said_at: datetime | None = Field(description="When it is said even if fewer came.")
    saying: str | None = Field(description="One of a fixed list of sayings; null until it may be said.")
    difference: float | None = Field(description="Share of the treated minus share of control.")
    interval: list[float] | None = Field(description="95 % (Newcombe): from, to.")


class JourneysQuery(Paged):
    """Which page."""


class RoundsQuery(Paged):
    """Which page of which rounds."""

    state: Literal["live", "leaving", "done", "goal", "left"] | None = None


# --- reading ---------------------------------------------------------------------------------------------------------


def list_journeys(call: Call, query: JourneysQuery) -> Reply:
    """One page of the journeys."""
    before = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        found, following = desk.page(db, limit=query.limit, before=before[0] if before else None)
        counts = desk.counts(db, [one.id for one in found])
        items = [shown(db, one, counts[one.id]) for one in found]
    return Reply(200, JourneyPage(items=items, next_cursor=paging.encode(following) if following else None))


def get_journey(call: Call, journey_id: str) -> Reply:
    """One journey: its draft, every version, and how many rounds are where."""
    with reading(here.engine()) as db:
        return Reply(200, shown(db, known(db, journey_id)))


def list_rounds(call: Call, journey_id: str, query: RoundsQuery) -> Reply:
    """One page of who is or was on a journey: why they set out, where they are, why they left."""
    before = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        journey = known(db, journey_id)
        wanted = [Enrolment.state == query.state] if query.state else []
        place = before[0] if before else None
        found, following = rounds.page(db, journey.id, *wanted, limit=query.limit, before=place)
        waits = rounds.waits(db, found)
        items = [_round(one, waits.get(one.id)) for one in found]
    return Reply(200, RoundPage(items=items, next_cursor=paging.encode(following) if following else None))


def try_on_last_month(call: Call, journey_id: str) -> Reply:
    """The draft (or what is live, where there is none) on the last thirty days. Changes nothing."""
    with reading(here.engine()) as db:
        journey = known(db, journey_id)
        definition = journey.draft or desk.live_definition(db, journey) or journey.draft
        shape.check(db, definition)
        found = dry_run.dry_run(here.start_work(db), definition, journey.id)
    return Reply(
        200,
        DryRunShape(
            by_day={one.isoformat(): count for one, count in found.by_day.items()},
            set_out=found.set_out,
            left_out=dict(found.left_out),
            walked=found.walked,
            steps=dict(found.steps),
            ways=dict(found.ways),
            cut_off=found.cut_off,
        ),
    )


def get_journey_outcome(call: Call, journey_id: str) -> Reply:
    """How far people come step by step, and the goal by arm."""
    with reading(here.engine()) as db:
        journey = known(db, journey_id)
        version = journey.live_version
        way = results.way(db, journey.id, version) if version is not None else results.Way({}, 0, True)
        result = results.result(db, journey, here.now())
    outcome = result.outcome if result is not None else None
    return Reply(
        200,
        JourneyOutcomeShape(
            steps=[
                AtStepShape(id=name, waiting=one.waiting, outcomes=dict(one.outcomes or {}), opens=one.opens)
                for name, one in way.at.items()
            ],
            rounds=way.rounds,
            arms=[_arm(one) for one in result.arms] if result is not None else [],
            needed=result.needed if result is not None else None,
            said_at=here.local(result.over_at) if result is not None else None,
            saying=outcome.saying if outcome is not None else None,
            difference=outcome.difference if outcome is not None else None,
            interval=[outcome.interval.low, outcome.interval.high] if outcome is not None else None,
        ),
    )


def _arm(one: results.Arm) -> ArmShape:
    return ArmShape(control=one.name in GHOSTS, assigned=one.assigned, over=one.over, reached=one.reached)


def known(db: Session, journey_id: str, *, lock: bool = False) -> Journey:
    """The journey of this id; 404 when there is none."""
    digits = journey_id.removeprefix(desk.PREFIX)
    right = journey_id != digits and digits.isascii() and digits.isdecimal() and len(digits) <= 15
    found = db.get(Journey, int(digits), with_for_update=lock or None) if right else None
    if found is None:
        raise not_found("journey")
    return found


def shown(db: Session, journey: Journey, counts: dict[str, int] | None = None) -> JourneyShape:
    """A journey as it is answered."""
    versions = desk.versions(db, journey.id)
    return JourneyShape(
        id=desk.public_id(journey.id),
        name=journey.name,
        ready_made=journey.ready_made,
        state=journey.state,
        draft=dict(journey.draft) or None,
        live=next((one.definition for one in versions if one.number == journey.live_version), None),
        live_version=journey.live_version,
        versions=[VersionShape(number=one.number, by=one.by, at=here.local(one.at)) for one in versions],
        rounds=desk.counts(db, [journey.id])[journey.id] if counts is None else counts,
        made_by=journey.made_by,
        made_at=here.local(journey.made_at),
        changed_at=here.local(journey.changed_at),
        published_at=_local(journey.published_at),
        stopped_at=_local(journey.stopped_at),
    )


def _round(one: Enrolment, waiting: StepRun | None) -> RoundShape:
    return RoundShape(
        id=f"e_{one.id}",
        customer_id=persons.public_id(one.person_id),
        version=one.version,
        key=one.entry_key,
        round=one.round,
        control=one.arm in GHOSTS,
        state=one.state,
        because=one.because,
        left_because=one.left_because,
        step=waiting.step if waiting is not None else None,
        due_at=here.local(waiting.due_at) if waiting is not None else None,
        began_at=here.local(one.began_at),
        ended_at=_local(one.ended_at),
        goal_at=_local(one.goal_at),
    )


def _local(moment: datetime | None) -> datetime | None:
    return here.local(moment) if moment is not None else None


# --- writing ---------------------------------------------------------------------------------------------------------


def make_journey(call: Call, body: JourneyAsked) -> Reply:
    """Write a journey; nobody sets out before it is published."""
    with call.work() as work:
        journey = desk.create(work, body.name, body.definition, by=call.actor)
        call.note(work, "journey.create", desk.public_id(journey.id), {"name": journey.name})
        return call.keep(work, Reply(201, shown(work.db, journey)))


def change_journey(call: Call, journey_id: str, body: JourneyChange) -> Reply:
    """Change the draft. What is live cannot be changed: open a version of it first."""
    given = body.model_fields_set
    with call.work() as work:
        journey = known(work.db, journey_id, lock=True)
        if not journey.draft:
            raise Problem(CONFLICT, f"the journey is live: open a version of it (POST /journeys/{journey_id}/versions)")
        name = body.name if "name" in given else journey.name
        definition = body.definition if "definition" in given else journey.draft
        desk.change(work, journey, name, definition, by=call.actor)
        call.note(work, "journey.change", journey_id, {"fields": sorted(given)})
        work.db.flush()
        return Reply(200, shown(work.db, journey))


def open_version(call: Call, journey_id: str) -> Reply:
    """Open a draft of what is live, to be changed and published as the next version; what is live goes on meanwhile."""
    with call.work() as work:
        journey = known(work.db, journey_id, lock=True)
        desk.open_version(work, journey, by=call.actor)
        call.note(work, "journey.open_version", journey_id, {"name": journey.name})
        work.db.flush()
        return call.keep(work, Reply(201, shown(work.db, journey)))


def discard_journey(call: Call, journey_id: str) -> Reply:
    """Throw away a journey that was never published. One that was has a history: stop it."""
    with call.work() as work:
        journey = known(work.db, journey_id, lock=True)
        call.note(work, "journey.discard", journey_id, {"name": journey.name})
        desk.discard(work, journey)
    return Reply(204)


def publish(call: Call, journey_id: str, body: CutAsked) -> Reply:
    """Let the draft go live as the next version, or say everything that is wrong with it."""
    with call.work() as work:
        journey = known(work.db, journey_id, lock=True)
        version = desk.publish(work, journey, by=call.actor, cut=body.cut)
        call.note(work, "journey.publish", journey_id, {"version": version.number, "cut": body.cut})
        reply = Reply(200, shown(work.db, journey))
    here.bell().ring()
    return reply


def stop_journey(call: Call, journey_id: str, body: CutAsked) -> Reply:
    """Let nobody set out any more."""
    with call.work() as work:
        journey = known(work.db, journey_id, lock=True)
        desk.stop(work, journey, by=call.actor, cut=body.cut)
        call.note(work, "journey.stop", journey_id, {"cut": body.cut})
        work.db.flush()
        reply = Reply(200, shown(work.db, journey))
    here.bell().ring()
    return reply


def enrol(call: Call, journey_id: str, body: EnrolmentAsked) -> Reply:
    """Let a customer set out on a journey whose trigger is `api`; 200 with the reason when they may not."""
    with call.work() as work:
        journey = known(work.db, journey_id, lock=True)
        person = customers.person_named(work.db, body.customer_id)
        enrolment = entries.by_api(work, journey, person, body.key, by=call.actor)
        if enrolment is None:
            definition = desk.live_definition(work.db, journey) or {}
            why = rounds.why_not(work, journey, definition, Candidate(person.id, f"api:{body.key}", {}, work.now))
            return call.keep(work, Reply(200, EnrolledShape(set_out=False, because=why or "on_the_way", round=None)))
        told = {"customer": persons.public_id(person.id), "key": body.key}
        call.note(work, "journey.enrol", journey_id, told)
        work.db.flush()
        waiting = rounds.waits(work.db, [enrolment]).get(enrolment.id)
        return call.keep(work, Reply(201, EnrolledShape(set_out=True, because="", round=_round(enrolment, waiting))))

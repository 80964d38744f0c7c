"""Whether a round still goes on: goal, exits, opt-out, age. Asked on the event itself, before each step, before a send.

A goal counts from the day somebody set out, also after the last step and in the control group; whoever reaches it while
waiting is off the journey at once, not when the wait is over.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Update, and_, exists, false, not_, or_, select, true, update
from sqlalchemy.orm import Session

from insight import segments
from insight.fields import Question
from outreach import budget, mass, senders
from outreach.journeys import days, desk, rounds
from outreach.journeys import definition as shape
from outreach.journeys.definition import Definition
from people import consent
from storage.database import changed_rows
from storage.tables import Enrolment, Interaction, JourneyVersion, MassTask, Person, StepRun, Touch
from storage.work import Work


def is_over(work: Work, enrolment: Enrolment, definition: Definition, person: Person) -> bool:
    """End the round of somebody who is held, if it is to go on no more."""
    reached = goal_reached(work.db, enrolment, definition)
    if reached is not None:
        rounds.reach_goal(work, enrolment, reached)
        return True
    why = leaves(work, enrolment, definition, person)
    if why:
        rounds.leave(work, enrolment, why)
    return bool(why)


def goal_reached(db: Session, enrolment: Enrolment, definition: Definition) -> datetime | None:
    """When somebody first did what the journey is for, within its days; None: not yet."""
    if enrolment.goal_at is not None or not definition["goal"]:
        return enrolment.goal_at
    did = (*_since(enrolment, definition["goal"]["kinds"]), Interaction.at <= enrolment.goal_until)
    return db.scalar(select(Interaction.at).where(*did).order_by(Interaction.at).limit(1))


def leaves(work: Work, enrolment: Enrolment, definition: Definition, person: Person) -> str:
    """Why a round that has not reached its goal is over all the same; nothing while it goes on."""
    if enrolment.state == rounds.LEAVING:
        return enrolment.left_because
    if work.now > enrolment.began_at + timedelta(days=definition["max_days"]):
        return "too_old"
    exits = definition["exits"]
    left = _since(enrolment, exits["kinds"]) if exits["kinds"] else (false(),)
    asked = select(
        consent.wanting(),
        senders.is_lost(),
        exists().where(*left) if exits["kinds"] else false(),
        _fits(definition, work) if exits["no_match"] else true(),
    )
    wanting, lost, exited, fits = work.db.execute(asked.where(Person.id == person.id)).one()
    words = (("opted_out", not wanting), ("no_relation", lost), ("exit", exited), ("no_match", not fits))
    return next((why for why, holds in words if holds), "")


def _since(enrolment: Enrolment, kinds: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    own = (Interaction.person_id == enrolment.person_id, Interaction.kind.in_(kinds), Interaction.at >= enrolment.since)
    return (*own, Interaction.id != enrolment.line) if enrolment.line is not None else own


def _fits(definition: Definition, work: Work) -> ColumnElement[bool]:
    """Whoever still fits: the filter, and the segment they came from."""
    asked = segments.question(work.db, work.now, work.zone, paged=10**9)
    return and_(segments.condition(definition["who"], asked), _inside(work.db, definition, asked))


def _inside(db: Session, definition: Definition, asked: Question) -> ColumnElement[bool]:
    if definition["trigger"]["on"] != "segment":
        return true()
    segment = desk.segment_of(db, definition)
    return segments.members(segment, asked) if segment is not None else false()


# --- before a task is made -------------------------------------------------------------------------------------------


def let_go(work: Work, task_id: int) -> int:
    """Leave out of a journey's task whoever's round went on no more since it was planned; how many."""
    task = work.db.get(MassTask, task_id, with_for_update=True)
    if task is None or task.state != "planned" or not task.source.startswith("journey:"):
        return 0
    _, journey_id, version, *_ = task.source.split(":")
    definition = desk.version_of(work.db, int(journey_id), int(version.removeprefix("v")))
    wanted = (
        select(StepRun.id)
        .join(Enrolment, Enrolment.id == StepRun.enrolment_id)
        .join(Person, Person.id == Enrolment.person_id)
        .where(StepRun.touch_id == Touch.id, Enrolment.state.in_((rounds.LIVE, rounds.DONE)))
        .where(not_(_ended(definition)), _fits(definition, work) if definition["exits"]["no_match"] else true())
    )
    held = (Touch.task_id == task.id, Touch.state == budget.HELD)
    leave = update(Touch).values(state="cancelled", reason=mass.LEFT)
    gone = changed_rows(work.db, leave.where(*held, ~wanted.exists()))
    return gone + _let_go_of_the_gone(work, definition, held, leave)


def _let_go_of_the_gone(
    work: Work, definition: Definition, held: tuple[ColumnElement[bool], ...], leave: Update
) -> int:
    """Leave out who was to hear of points that are there no more, of a tier or a threshold that is none."""
    if definition["trigger"].get("date") not in days.OCCASIONS:
        return 0
    own = select(Touch.id, Enrolment.person_id, Enrolment.because).join(StepRun, StepRun.touch_id == Touch.id)
    own = own.join(Enrolment, Enrolment.id == StepRun.enrolment_id).where(*held)
    found = list(work.db.execute(own))
    ids = [touch_id for touch_id, person_id, because in found if not days.still(work, because, person_id)]
    return changed_rows(work.db, leave.where(Touch.id.in_(ids))) if ids else 0


def _ended(definition: Definition) -> ColumnElement[bool]:
    """That somebody got there, or did what takes them off, since they set out."""
    own = (
        Interaction.person_id == Enrolment.person_id,
        Interaction.at >= Enrolment.since,
        or_(Enrolment.line.is_(None), Interaction.id != Enrolment.line),
    )
    goal = definition["goal"]
    parts = []
    if goal:
        parts.append(exists().where(*own, Interaction.kind.in_(goal["kinds"]), Interaction.at <= Enrolment.goal_until))
    if definition["exits"]["kinds"]:
        parts.append(exists().where(*own, Interaction.kind.in_(definition["exits"]["kinds"])))
    return or_(false(), *parts)


# --- on the event itself ---------------------------------------------------------------------------------------------


def concern(db: Session) -> dict[tuple[int, int], Definition]:
    """The versions on which somebody is, or may still reach the goal, with their definitions."""
    going = or_(Enrolment.state.in_((rounds.LIVE, rounds.LEAVING)), Enrolment.goal_at.is_(None))
    walked = exists().where(
        Enrolment.journey_id == JourneyVersion.journey_id, Enrolment.version == JourneyVersion.number, going
    )
    found = db.scalars(select(JourneyVersion).where(walked))
    return {(one.journey_id, one.number): one.definition for one in found}


def heed(work: Work, lines: Collection[Interaction], versions: dict[tuple[int, int], Definition]) -> int:
    """Let these lines of people's stories end what they end, and wake whoever waits for them; how many rounds."""
    people = {one.person_id for one in lines}
    open_goal = and_(Enrolment.goal_at.is_(None), Enrolment.goal_until >= min(one.at for one in lines))
    own = select(Enrolment).where(Enrolment.person_id.in_(people), or_(Enrolment.state == rounds.LIVE, open_goal))
    count = 0
    for enrolment in work.db.scalars(own.order_by(Enrolment.id).with_for_update()).all():
        definition = versions.get((enrolment.journey_id, enrolment.version))
        own_lines = [one for one in lines if one.person_id == enrolment.person_id and _counts(one, enrolment)]
        if definition is not None and own_lines:
            count += _heed(work, enrolment, definition, own_lines)
    return count


def _counts(line: Interaction, enrolment: Enrolment) -> bool:
    return line.at >= enrolment.since and line.id != enrolment.line


def _heed(work: Work, enrolment: Enrolment, definition: Definition, lines: Collection[Interaction]) -> bool:
    goal = definition["goal"]
    until = enrolment.goal_until
    if goal and enrolment.goal_at is None and until is not None:
        reached = [one.at for one in lines if one.kind in goal["kinds"] and one.at <= until]
        if reached:
            rounds.reach_goal(work, enrolment, min(reached))
            return True
    if enrolment.state != rounds.LIVE:
        return False
    if any(one.kind in definition["exits"]["kinds"] for one in lines):
        rounds.leave(work, enrolment, "exit")
        return True
    return _wake(work, enrolment, definition, {one.kind for one in lines})


def _wake(work: Work, enrolment: Enrolment, definition: Definition, kinds: Collection[str]) -> bool:
    """Somebody waits for this: the step is due now, and looks itself whether it came in time."""
    steps = [
        name
        for name, step in shape.steps_of(definition).items()
        if step["do"] == "wait_for" and set(step["kinds"]) & set(kinds)
    ]
    if not steps:
        return False
    own = update(StepRun).where(
        StepRun.enrolment_id == enrolment.id, StepRun.step.in_(steps), StepRun.state == "waiting"
    )
    return bool(changed_rows(work.db, own.where(StepRun.due_at > work.now).values(due_at=work.now)))

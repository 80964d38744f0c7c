"""Takes whoever is due one step further: one transaction a person, so that nobody's trouble is anybody else's.

Before each step is asked again whether the round still goes on (``goals.leaves``). Steps at which no time passes follow
at once, in the same transaction. What a step does is in ``actions``; what leaves the house goes through the outbox, the
contact budget or a card, each under a key of its own, so that a step that is tried again does nothing twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from outreach.budget import Rules
from outreach.journeys import actions, desk, goals, moments, rounds
from outreach.journeys import definition as shape
from outreach.journeys.actions import At, Stays, Went
from outreach.journeys.definition import END, Definition
from people import persons
from storage.tables import Enrolment, Journey, Person, StepRun
from storage.work import Work

AT_ONCE = 200
MOST_TRIES = 3
TRY_AGAIN = timedelta(minutes=10)
STEPS_AT_ONCE = 60
SOONEST = timedelta(minutes=1)
"""Whoever is put off is not looked at again before that, so that nobody is due for ever."""
WAITING, DONE, SKIPPED, FAILED = ("waiting", "done", "skipped", "failed")

DO: Mapping[str, Callable[[At], Went | Stays]] = MappingProxyType(
    {
        "wait": actions.go_on,
        "window": actions.go_on,
        "wait_for": actions.waited_for,
        "branch": actions.branch,
        "split": actions.split,
        "send": actions.send,
        "task": actions.task,
        "tag": actions.tag,
        "give": actions.give,
        "boost": actions.boost,
        "webhook": actions.webhook,
        "goal": actions.go_on,
        "end": actions.go_on,
    }
)
"""What each kind of step does when it is due."""


@dataclass(frozen=True)
class Due:
    """A step that is due, or a round that somebody is to be taken off."""

    enrolment_id: int
    run_id: int | None


def begin(work: Work, enrolment: Enrolment, definition: Definition) -> None:
    """Bring somebody who has just set out to the first step."""
    _arrive(work, enrolment, definition, next(iter(shape.steps_of(definition))), enrolment.since)


def due(db: Session, now: datetime, limit: int = AT_ONCE) -> list[Due]:
    """Who is to be taken further now: the most important first, then who has waited longest."""
    leaving = select(Enrolment.id).where(Enrolment.state == rounds.LEAVING).order_by(Enrolment.id).limit(limit)
    waiting = (
        select(StepRun.enrolment_id, StepRun.id)
        .where(StepRun.state == WAITING, StepRun.due_at <= now)
        .order_by(StepRun.priority.desc(), StepRun.due_at, StepRun.id)
        .limit(limit)
    )
    found = [Due(one, None) for one in db.scalars(leaving)]
    return found or [Due(enrolment_id, run_id) for enrolment_id, run_id in db.execute(waiting)]


def take(work: Work, one: Due, rules: Rules) -> bool:
    """Take somebody as far as they get now; False when somebody else was quicker, or took the step back (``slots``)."""
    person_id = work.db.scalar(select(Enrolment.person_id).where(Enrolment.id == one.enrolment_id))
    if person_id is None:
        return False
    person = work.db.get_one(Person, person_id)
    persons.hold(work, person)
    enrolment = work.db.get_one(Enrolment, one.enrolment_id, with_for_update=True)
    if one.run_id is None:
        rounds.leave(work, enrolment, enrolment.left_because or "stopped")
        return True
    run = work.db.get(StepRun, one.run_id, with_for_update=True)
    if run is None or run.state != WAITING or run.due_at > work.now or enrolment.state != rounds.LIVE:
        return False
    definition = desk.version_of(work.db, enrolment.journey_id, enrolment.version)
    journey = work.db.get_one(Journey, enrolment.journey_id)
    _walk(At(work, journey, definition, enrolment, run, shape.steps_of(definition)[run.step], person, rules))
    return True


def _walk(at: At) -> None:
    for _ in range(STEPS_AT_ONCE):
        if goals.is_over(at.work, at.enrolment, at.definition, at.person):
            return
        came = DO[str(at.step["do"])](at)
        if isinstance(came, Stays):
            _stay(at, came)
            return
        _settle(at, came)
        following = _go_to(at, came.to)
        if following is None or following.due_at > at.work.now:
            return
        at = replace(at, run=following, step=shape.steps_of(at.definition)[following.step])


def _stay(at: At, came: Stays) -> None:
    at.run.due_at, at.run.outcome = max(came.until, at.work.now + SOONEST), dict(came.outcome)


def _settle(at: At, came: Went) -> None:
    at.run.state = SKIPPED if "skipped" in came.outcome else DONE
    at.run.ended_at, at.run.outcome, at.run.touch_id = at.work.now, dict(came.outcome), came.touch_id


def _go_to(at: At, name: str) -> StepRun | None:
    if name == END:
        rounds.finish(at.work, at.enrolment)
        return None
    return _arrive(at.work, at.enrolment, at.definition, name, at.run.began_at or at.run.due_at)


def _arrive(work: Work, enrolment: Enrolment, definition: Definition, name: str, planned: datetime) -> StepRun | None:
    """The step somebody comes to; nobody walks in a circle for ever.

    ``planned``: when they were to come here. Where no time passes it is when the step was planned for, so that one
    that is taken late knows it.
    """
    before = select(func.count()).where(StepRun.enrolment_id == enrolment.id, StepRun.step == name)
    visit = work.db.scalars(before).one() + 1
    if visit > shape.MAX_VISITS:
        rounds.leave(work, enrolment, "loop")
        return None
    step = shape.steps_of(definition)[name]
    run = StepRun(
        enrolment_id=enrolment.id,
        step=name,
        visit=visit,
        due_at=moments.due_at(work, step),
        began_at=None if step["do"] in shape.STANDING else min(planned, work.now),
        since=work.now,
        priority=definition["priority"],
    )
    work.db.add(run)
    work.db.flush()
    return run


def failed(work: Work, one: Due, why: str) -> None:
    """A step could not be taken, by a bug of ours: tried again later, after the third time the round is over."""
    enrolment = work.db.get_one(Enrolment, one.enrolment_id, with_for_update=True)
    run = work.db.get(StepRun, one.run_id, with_for_update=True) if one.run_id is not None else None
    if run is None or run.state != WAITING or enrolment.state != rounds.LIVE:
        return
    run.tries += 1
    if run.tries < MOST_TRIES:
        run.due_at = work.now + TRY_AGAIN
        return
    run.state, run.ended_at, run.outcome = FAILED, work.now, {"failed": why[:200]}
    rounds.leave(work, enrolment, "failed")

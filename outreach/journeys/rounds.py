"""One person's round of a journey: how it begins, exactly once for each reason, and how it ends.

A round that ends before its way does takes back what is not out yet: held touches are given back, a task that no rep
has confirmed is offered again without the person, open cards go.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, not_, select, update
from sqlalchemy.orm import Session

from insight import segments
from outreach import budget, cards, mass, senders
from outreach.arms import BUCKETS, CONTROL, HELD_OUT, arm_of
from outreach.holdout import NOBODY, Holdout, holdout
from outreach.journeys import definition as shape
from outreach.journeys.definition import Definition
from people import consent, persons
from storage.rows import insert_new
from storage.tables import Enrolment, Journey, Person, RepCard, StepRun, Touch
from storage.work import Work

LIVE, LEAVING, DONE, GOAL, LEFT = ("live", "leaving", "done", "goal", "left")
UNIQUE = ("journey_id", "person_id", "entry_key", "round")


@dataclass(frozen=True)
class Candidate:
    """Somebody who may set out, and why."""

    person_id: int
    key: str
    """What it is about: a line of their story, a year's birthday."""
    because: Mapping[str, Any]
    at: datetime
    line: int | None = None


# --- beginning -------------------------------------------------------------------------------------------------------


def set_out(work: Work, journey: Journey, definition: Definition, candidates: Sequence[Candidate]) -> list[Enrolment]:
    """Let those set out who may: they fit, want to hear from us, and are not on the same round already.

    Asking again with the same candidates lets nobody set out twice. Some hundreds at a time.
    """
    ids = sorted({one.person_id for one in candidates})
    fitting = _fitting(work, definition, ids)
    rounds = _rounds(work.db, journey, ids)
    apart = NOBODY if definition["service"] else holdout(work.db)
    rows = []
    for one in candidates:
        if one.person_id not in fitting:
            continue
        number = _next_round(definition["again"], rounds.get(one.person_id, ()), one)
        if number is not None:
            row = _row(work, journey, definition, one, number, apart)
            rows.append(row)
            rounds[one.person_id] = [*rounds.get(one.person_id, ()), _Round(row["entry_key"], number, LIVE, work.now)]
    new = insert_new(work.db, Enrolment, rows, UNIQUE)
    return list(work.db.scalars(select(Enrolment).where(Enrolment.id.in_(new)).order_by(Enrolment.id)))


def _fitting(work: Work, definition: Definition, ids: Collection[int]) -> set[int]:
    """Those of them for whom the journey is; they are held, so that nobody else begins the same round."""
    fits = segments.condition(definition["who"], segments.question(work.db, work.now, work.zone, paged=10**9))
    own = select(Person.id).where(Person.id.in_(ids), consent.wanting(), not_(senders.is_lost()), fits)
    return set(work.db.scalars(own.order_by(Person.id).with_for_update(key_share=True)))


@dataclass(frozen=True)
class _Round:
    key: str
    number: int
    state: str
    began_at: datetime


def _rounds(db: Session, journey: Journey, ids: Collection[int]) -> dict[int, list[_Round]]:
    columns = (Enrolment.person_id, Enrolment.entry_key, Enrolment.round, Enrolment.state, Enrolment.began_at)
    own = select(*columns).where(Enrolment.journey_id == journey.id, Enrolment.person_id.in_(ids))
    found: dict[int, list[_Round]] = {}
    for person_id, key, number, state, began_at in db.execute(own):
        found.setdefault(person_id, []).append(_Round(key, number, state, began_at))
    return found


def _next_round(again: Mapping[str, Any], before: Iterable[_Round], one: Candidate) -> int | None:
    """The number of the round that may begin now; None when none may."""
    known = list(before)
    if again["rule"] == shape.EACH:
        return None if any(each.key == one.key for each in known) else 1
    if any(each.state in (LIVE, LEAVING) for each in known) or (known and again["rule"] == shape.NEVER):
        return None
    if known and max(each.began_at for each in known) > one.at - timedelta(days=again["days"]):
        return None
    return max((each.number for each in known if not each.key), default=0) + 1


def _row(
    work: Work, journey: Journey, definition: Definition, one: Candidate, number: int, apart: Holdout
) -> dict[str, Any]:
    person, goal = persons.public_id(one.person_id), definition["goal"]
    until = work.now + timedelta(days=goal["days"]) if goal else None
    return {
        "journey_id": journey.id,
        "version": journey.live_version,
        "person_id": one.person_id,
        "entry_key": one.key if definition["again"]["rule"] == shape.EACH else "",
        "round": number,
        "arm": HELD_OUT if apart.has(person) else _arm(journey.id, definition["control"], person),
        "state": LIVE,
        "because": dict(one.because),
        "line": one.line,
        "since": one.at,
        "began_at": work.now,
        "goal_until": until,
    }


def _arm(journey_id: int, control: int, person: str) -> str:
    if not control:
        return ""
    return arm_of(f"journey:{journey_id}", person, {CONTROL: control, "": BUCKETS - control})


def why_not(work: Work, journey: Journey, definition: Definition, one: Candidate) -> str:
    """Why somebody does not set out now: opted_out, no_relation, no_match, on_the_way, or before (were on it already).

    Nothing where they may.
    """
    fits = segments.condition(definition["who"], segments.question(work.db, work.now, work.zone, paged=10**9))
    asked = select(consent.wanting(), senders.is_lost(), fits).where(Person.id == one.person_id)
    wanting, lost, fitting = work.db.execute(asked).one()
    if why := next((why for why, holds in (("opted_out", not wanting), ("no_relation", lost)) if holds), ""):
        return why
    if not fitting:
        return "no_match"
    before = _rounds(work.db, journey, [one.person_id]).get(one.person_id, ())
    if _next_round(definition["again"], before, one) is not None:
        return ""
    return "on_the_way" if any(each.state in (LIVE, LEAVING) for each in before) else "before"


# --- ending ----------------------------------------------------------------------------------------------------------


def finish(work: Work, enrolment: Enrolment) -> None:
    """They have walked to the end; what is on its way to them stays so."""
    enrolment.state, enrolment.ended_at = DONE, work.now


def leave(work: Work, enrolment: Enrolment, because: str) -> None:
    """They are taken off it, and nothing more of it reaches them."""
    enrolment.state, enrolment.left_because, enrolment.ended_at = LEFT, because, work.now
    _stop_walking(work, enrolment, because)
    recall(work, enrolment, because)


def reach_goal(work: Work, enrolment: Enrolment, at: datetime) -> None:
    """They did what it was for, at this moment; whoever was still on the way is off it."""
    enrolment.goal_at = at
    if enrolment.state in (LIVE, LEAVING):
        enrolment.state, enrolment.ended_at = GOAL, work.now
        _stop_walking(work, enrolment, GOAL)
    recall(work, enrolment, GOAL)


def _stop_walking(work: Work, enrolment: Enrolment, because: str) -> None:
    own = update(StepRun).where(StepRun.enrolment_id == enrolment.id, StepRun.state == "waiting")
    work.db.execute(own.values(state="skipped", ended_at=work.now, outcome={"left": because}))


def recall(work: Work, enrolment: Enrolment, because: str) -> None:
    """Take back what is not out yet, unless another round wants it too."""
    touched = select(StepRun.touch_id).where(StepRun.enrolment_id == enrolment.id, StepRun.touch_id.is_not(None))
    shared = select(StepRun.touch_id).join(Enrolment, Enrolment.id == StepRun.enrolment_id)
    others = shared.where(
        Enrolment.person_id == enrolment.person_id,
        Enrolment.id != enrolment.id,
        Enrolment.state.in_((LIVE, DONE)),
        StepRun.touch_id.is_not(None),
    )
    own = (Touch.id.in_(touched), Touch.id.not_in(others))
    cards.cancel(work, RepCard.touch_id.in_(touched), why=because)
    held = update(Touch).where(*own, Touch.state == budget.HELD)
    work.db.execute(held.values(state="cancelled", reason=mass.LEFT))
    work.db.execute(update(Touch).where(*own, Touch.state == budget.ASKED).values(reason=mass.LEFT))


# --- reading ---------------------------------------------------------------------------------------------------------


def of_person(db: Session, person_id: int, limit: int = 50) -> list[tuple[Enrolment, Journey]]:
    """Somebody's rounds, the newest first: entered because, left because."""
    own = select(Enrolment, Journey).join(Journey, Journey.id == Enrolment.journey_id)
    own = own.where(Enrolment.person_id == person_id).order_by(Enrolment.id.desc()).limit(limit)
    return [(enrolment, journey) for enrolment, journey in db.execute(own)]


def page(
    db: Session, journey_id: int, *conditions: ColumnElement[bool], limit: int, before: int | None = None
) -> tuple[list[Enrolment], int | None]:
    """One page of a journey's rounds, the newest first, and the id that the next page comes before.

    ``conditions`` are on ``Enrolment`` and ``Person``.
    """
    own = select(Enrolment).join(Person, Person.id == Enrolment.person_id)
    own = own.where(Enrolment.journey_id == journey_id, *conditions).order_by(Enrolment.id.desc()).limit(limit + 1)
    found = list(db.scalars(own.where(Enrolment.id < before) if before is not None else own))
    more, found = len(found) > limit, found[:limit]
    return found, found[-1].id if more else None


def waits(db: Session, enrolments: Sequence[Enrolment]) -> dict[int, StepRun]:
    """Of each round that goes on, the step it waits at."""
    ids = [one.id for one in enrolments]
    own = select(StepRun).where(StepRun.enrolment_id.in_(ids), StepRun.state == "waiting")
    return {one.enrolment_id: one for one in db.scalars(own)}


def count(db: Session, journey_id: int, *states: str) -> int:
    """How many rounds of a journey are in these states."""
    own = select(func.count()).where(Enrolment.journey_id == journey_id, Enrolment.state.in_(states))
    return db.scalars(own).one()

"""Who has a slot of the contact budget when several journeys want it: the most important, whoever was first.

What another holds goes back as long as it is only ours: in no task yet, or on a card that no rep has been shown. Its
step is taken back as if it had not been taken, and waits again; whoever has walked on past the step that follows keeps
what they hold. Broadcasts, reps' own sends and standing occasions have no priority: a person approved them, or they are
out, and they never yield.

Called with the person and the budget held (``budget.hold``). Rows that somebody else is at work on are left alone, so
that nobody waits for anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from outreach import budget, cards
from outreach.budget import Rules
from outreach.journeys import desk, rounds
from outreach.journeys.definition import CARD
from storage.tables import Enrolment, Journey, RepCard, StepRun, Touch
from storage.work import Work

YIELDED = "yielded"
"""Why a step waits again: something more important has its slot."""
AGAIN_IN = timedelta(hours=4)
WAITING = "waiting"


@dataclass(frozen=True)
class _Held:
    """A touch that can still be given back as if it had never been held."""

    touch: Touch
    run: StepRun
    enrolment: Enrolment
    following: StepRun | None
    """The step that was come to afterwards, at which they wait."""
    card: RepCard | None


def make_room(work: Work, run: StepRun, person_id: int, at: datetime, rules: Rules, *, really: bool = True) -> bool:
    """Have less important touches yield the slot of this moment; False, and nothing changed, where they cannot.

    ``really=False`` only says whether they could: for the control group, which takes nothing from anybody.
    """
    yields = _who_yields(work.db, run.priority, person_id, at, rules)
    if yields is None:
        return False
    for one in yields if really else ():
        _take_back(work, one)
    return True


def _who_yields(db: Session, priority: int, person_id: int, at: datetime, rules: Rules) -> list[_Held] | None:
    """All that are too near, and of the others in the period as many as are too many; None where that is not enough."""
    of = budget.period(rules.mode, budget.day_of(at))
    in_period = Touch.day.between(of.first, of.last)
    near = and_(Touch.at > at - rules.gap, Touch.at < at + rules.gap)
    own = (Touch.person_id == person_id, budget.IS_TAKEN, or_(in_period, near))
    found = list(db.scalars(select(Touch).where(*own).order_by(Touch.id)))
    is_near = [one for one in found if abs(one.at - at) < rules.gap]
    others = [one for one in found if one not in is_near]
    must = [_held(db, one, priority) for one in is_near]
    over = sum(of.first <= one.day <= of.last for one in others) + 1 - of.most
    more = _least([_held(db, one, priority) for one in others], over) if over > 0 else []
    yields = [one for one in (*must, *more) if one is not None]
    return yields if len(yields) == len(must) + max(over, 0) else None


def _least(held: Sequence[_Held | None], most: int) -> list[_Held]:
    """So many of the least important."""
    return sorted((one for one in held if one is not None), key=lambda one: (one.run.priority, one.run.id))[:most]


def _held(db: Session, touch: Touch, priority: int) -> _Held | None:
    """What is to be undone to give a touch back; None where it cannot be, or is as important."""
    runs = db.scalars(select(StepRun).where(StepRun.touch_id == touch.id).limit(2)).all()
    if touch.state != budget.HELD or touch.task_id is not None or len(runs) != 1 or runs[0].priority >= priority:
        return None
    run = runs[0]
    enrolment = _mine(db, Enrolment, Enrolment.id == run.enrolment_id)
    later = db.scalars(select(StepRun).where(StepRun.enrolment_id == run.enrolment_id, StepRun.id > run.id)).all()
    if enrolment is None or not _stands_there(db, enrolment, later):
        return None
    card = None
    if touch.way == CARD:
        unseen = (RepCard.touch_id == touch.id, RepCard.state == cards.OPEN, RepCard.shown_at.is_(None))
        card = _mine(db, RepCard, *unseen)
        if card is None:
            return None
    own = _mine(db, Touch, Touch.id == touch.id, Touch.state == budget.HELD, Touch.task_id.is_(None))
    return _Held(own, run, enrolment, later[0] if later else None, card) if own is not None else None


def _mine(db: Session, table: Any, *where: Any) -> Any:
    """The row, locked; None where there is none, or where somebody else has it."""
    own = select(table).where(*where).with_for_update(skip_locked=True)
    return db.scalars(own.execution_options(populate_existing=True)).one_or_none()


def _stands_there(db: Session, enrolment: Enrolment, later: Sequence[StepRun]) -> bool:
    """Whether they wait at the step right behind it, or have walked off the end over it and may be on again."""
    if enrolment.state == rounds.LIVE:
        return len(later) == 1 and later[0].state == WAITING
    if enrolment.state != rounds.DONE or later:
        return False
    anew = exists().where(
        Enrolment.journey_id == enrolment.journey_id,
        Enrolment.person_id == enrolment.person_id,
        Enrolment.entry_key == enrolment.entry_key,
        Enrolment.round > enrolment.round,
    )
    goes_on = select(Journey.id).where(
        Journey.id == enrolment.journey_id, Journey.state.in_((desk.LIVE, desk.DRAINING))
    )
    return db.scalar(goes_on.where(~anew)) is not None


def _take_back(work: Work, one: _Held) -> None:
    """As if the step had not been taken: it waits again, and says why."""
    for row in (one.following, one.card):
        if row is not None:
            work.db.delete(row)
    one.run.state, one.run.touch_id, one.run.ended_at = WAITING, None, None
    one.run.due_at, one.run.outcome = work.now + AGAIN_IN, {"waits": YIELDED}
    one.enrolment.state, one.enrolment.ended_at = rounds.LIVE, None
    work.db.flush()
    work.db.delete(one.touch)
    work.db.flush()

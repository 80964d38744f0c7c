"""Journeys as operators keep them: a draft that is worked on, versions that never change, going live and stopping.

Whoever set out on a version stays on it. What is live cannot be edited: ``open_version`` makes a draft of it, which
goes live as the next version; those on the old one walk it to its end, or are taken off it (``cut``).
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from insight import segments
from outreach import budget, cards, mass
from outreach.journeys import definition as shape
from outreach.journeys import story
from outreach.journeys.definition import Definition
from storage.database import changed_rows
from storage.tables import (
    Enrolment,
    Journey,
    JourneyInside,
    JourneyVersion,
    MassTask,
    Person,
    RepCard,
    Segment,
    Touch,
)
from storage.work import Work

PREFIX = "j_"
OFF, LIVE, DRAINING, STOPPED = ("off", "live", "draining", "stopped")
NAME_AT_MOST = 60
CUT = "the journey was stopped"
MAX_JOURNEYS = 200


class CannotDo(ValueError):
    """Why not, and what to do instead."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def public_id(journey_id: int) -> str:
    """``j_5``."""
    return f"{PREFIX}{journey_id}"


def source_of(journey_id: int) -> str:
    """The beginning of what its touches are called: ``journey:5``."""
    return f"journey:{journey_id}"


# --- writing ---------------------------------------------------------------------------------------------------------


def create(work: Work, name: str, definition: Mapping[str, Any], *, by: str, ready_made: str | None = None) -> Journey:
    """Keep a new journey, switched off. Raises ``WrongJourney``, ``CannotDo``."""
    _check_name(name)
    if work.db.scalars(select(func.count()).select_from(Journey)).one() >= MAX_JOURNEYS:
        raise CannotDo(f"最多 {MAX_JOURNEYS} 个旅程")
    shape.check_shape(work.db, definition)
    told = {"made_by": by, "made_at": work.now, "changed_by": by, "changed_at": work.now}
    journey = Journey(name=name.strip(), draft=dict(definition), ready_made=ready_made, **told)
    work.db.add(journey)
    work.db.flush()
    return journey


def change(work: Work, journey: Journey, name: str, definition: Mapping[str, Any], *, by: str) -> None:
    """Rewrite the draft. Raises ``WrongJourney``, and ``CannotDo`` where there is none because it is live."""
    _check_name(name)
    if not journey.draft:
        raise CannotDo("旅程正在运行，不能直接改：请先建一个新版本，改好后再发布")
    shape.check_shape(work.db, definition)
    journey.name, journey.draft = name.strip(), dict(definition)
    journey.draft_version += 1
    journey.changed_by, journey.changed_at = by, work.now


def open_version(work: Work, journey: Journey, *, by: str) -> None:
    """A draft of what is live, to be worked on. Raises ``CannotDo`` when there is one already."""
    if journey.draft:
        raise CannotDo("已经有一个还没发布的版本")
    journey.draft = dict(live_definition(work.db, journey) or shape.EMPTY)
    journey.draft_version += 1
    journey.changed_by, journey.changed_at = by, work.now


def drop_draft(work: Work, journey: Journey, *, by: str) -> None:
    """Let go of the version that was being worked on; what is live stays. Raises ``CannotDo`` when nothing is."""
    if journey.live_version is None:
        raise CannotDo("还没有发布过，没有可以退回的版本")
    journey.draft, journey.changed_by, journey.changed_at = {}, by, work.now


def discard(work: Work, journey: Journey) -> None:
    """Throw away one that was never published. Raises ``CannotDo`` for one that was: it has a history."""
    if journey.live_version is not None:
        raise CannotDo("已经发布过，不能扔掉；可以停止它")
    work.db.delete(journey)


def _check_name(name: str) -> None:
    if not 0 < len(name.strip()) <= NAME_AT_MOST or not name.isprintable():
        raise CannotDo(f"名称需 1–{NAME_AT_MOST} 个字")


# --- going live ------------------------------------------------------------------------------------------------------


def publish(work: Work, journey: Journey, *, by: str, cut: bool = False) -> JourneyVersion:
    """Let the draft go live as the next version. ``cut``: whoever is on an older one leaves it.

    Raises ``WrongJourney`` with everything that is wrong, ``CannotDo`` when there is no draft.
    """
    if not journey.draft:
        raise CannotDo("没有还没发布的版本")
    shape.check(work.db, journey.draft)
    newest = work.db.scalar(select(func.max(JourneyVersion.number)).where(JourneyVersion.journey_id == journey.id))
    number = (newest or 0) + 1
    version = JourneyVersion(journey_id=journey.id, number=number, definition=dict(journey.draft), by=by, at=work.now)
    work.db.add(version)
    if cut:
        end_all(work, journey)
    if _watches_another(work.db, journey):
        work.db.execute(delete(JourneyInside).where(JourneyInside.journey_id == journey.id))
        journey.read_to = {}
    journey.read_to = {**journey.read_to, "after_line": story.read_to(work).again}
    journey.state, journey.live_version, journey.draft = LIVE, number, {}
    journey.priority = version.definition["priority"]
    journey.published_at, journey.stopped_at = work.now, None
    journey.changed_by, journey.changed_at = by, work.now
    work.db.flush()
    return version


def _watches_another(db: Session, journey: Journey) -> bool:
    """Whether the new version sets out from elsewhere, or begins anew: then who is inside is looked at afresh."""
    before = live_definition(db, journey)
    return before is None or journey.state != LIVE or before["trigger"] != journey.draft["trigger"]


def stop(work: Work, journey: Journey, *, by: str, cut: bool) -> None:
    """Nobody sets out any more; who is on the way walks to the end, or (``cut``) leaves. Raises ``CannotDo``."""
    if journey.state not in (LIVE, DRAINING):
        raise CannotDo("它没有在运行")
    if not journey.draft:
        journey.draft = dict(live_definition(work.db, journey) or shape.EMPTY)
    if cut:
        end_all(work, journey)
    journey.state = STOPPED if cut else DRAINING
    journey.stopped_at, journey.changed_by, journey.changed_at = work.now, by, work.now


def end_all(work: Work, journey: Journey) -> int:
    """Wake everybody who is on the way, so that each leaves at once (``walk`` says why); how many.

    What is not out yet of those who have walked to the end is taken back here.
    """
    _take_back(work, f"{source_of(journey.id)}:v")
    own = update(Enrolment).where(Enrolment.journey_id == journey.id, Enrolment.state == "live")
    return changed_rows(work.db, own.values(state="leaving", left_because="stopped"))


def _take_back(work: Work, sources: str) -> None:
    """Cards, what no task has yet, and tasks that no rep has confirmed; ``sources``: how they begin."""
    cards.cancel(work, RepCard.source.startswith(sources, autoescape=True), why=CUT)
    held = update(Touch).where(
        Touch.source.startswith(sources, autoescape=True), Touch.state == budget.HELD, Touch.task_id.is_(None)
    )
    work.db.execute(held.values(state="cancelled", reason=mass.LEFT))
    tasks = select(MassTask).where(MassTask.source.startswith(sources, autoescape=True), MassTask.state.in_(mass.OPEN))
    for task in work.db.scalars(tasks.order_by(MassTask.id).with_for_update()).all():
        mass.take_back(work, task, CUT)


# --- reading ---------------------------------------------------------------------------------------------------------


def live_definition(db: Session, journey: Journey) -> Definition | None:
    """What is live; None where nothing was ever published."""
    if journey.live_version is None:
        return None
    return version_of(db, journey.id, journey.live_version)


def version_of(db: Session, journey_id: int, number: int) -> Definition:
    """One version's definition."""
    own = select(JourneyVersion).where(JourneyVersion.journey_id == journey_id, JourneyVersion.number == number)
    return db.scalars(own).one().definition


def living(db: Session) -> list[Journey]:
    """Journeys on which somebody can set out now, the most important first."""
    own = select(Journey).where(Journey.state == LIVE).order_by(Journey.priority.desc(), Journey.id)
    return list(db.scalars(own))


def listed(db: Session, *, limit: int = MAX_JOURNEYS, after: int = 0) -> list[Journey]:
    """All there are, by name of their state and age: what is live first."""
    order = func.instr if db.get_bind().dialect.name == "sqlite" else func.strpos
    own = (
        select(Journey)
        .where(Journey.id > after)
        .order_by(order("live draining off stopped", Journey.state), Journey.id)
    )
    return list(db.scalars(own.limit(limit)))


def page(db: Session, *, limit: int, before: int | None = None) -> tuple[list[Journey], int | None]:
    """One page of the journeys, the newest first, and the id that the next page comes before."""
    own = select(Journey).order_by(Journey.id.desc()).limit(limit + 1)
    found = list(db.scalars(own.where(Journey.id < before) if before is not None else own))
    more, found = len(found) > limit, found[:limit]
    return found, found[-1].id if more else None


def versions(db: Session, journey_id: int) -> list[JourneyVersion]:
    """Every version that was published, the newest first."""
    own = select(JourneyVersion).where(JourneyVersion.journey_id == journey_id)
    return list(db.scalars(own.order_by(JourneyVersion.number.desc())))


def counts(db: Session, journey_ids: list[int], seen: ColumnElement[bool] | None = None) -> dict[int, dict[str, int]]:
    """Of each journey, how many rounds are live, done, at their goal, left; ``seen``: of these people only."""
    own = select(Enrolment.journey_id, Enrolment.state, func.count()).where(Enrolment.journey_id.in_(journey_ids))
    if seen is not None:
        own = own.join(Person, Person.id == Enrolment.person_id).where(seen)
    found: dict[int, dict[str, int]] = {one: {} for one in journey_ids}
    for journey_id, state, count in db.execute(own.group_by(Enrolment.journey_id, Enrolment.state)):
        found[journey_id][state] = count
    return found


def settle_drained(work: Work) -> int:
    """Journeys that were stopped and on which nobody is any more; how many."""
    inside = select(Enrolment.id).where(Enrolment.journey_id == Journey.id, Enrolment.state.in_(("live", "leaving")))
    own = update(Journey).where(Journey.state == DRAINING, ~inside.exists())
    return changed_rows(work.db, own.values(state=STOPPED))


def segment_of(db: Session, definition: Definition) -> Segment | None:
    """The segment a journey sets out from; None where that is something else, or gone."""
    trigger = definition["trigger"]
    return segments.living(db, int(trigger["segment"])) if trigger["on"] == "segment" else None

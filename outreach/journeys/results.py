"""What came of a journey: everybody by the arm they were assigned to, whether anything reached them or not.

Only rounds whose days are over count, and nothing is said of them before the planned size is reached or ninety days
have passed, so that looking often makes no winner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from outreach import links
from outreach.arms import BUCKETS, CONTROL, HELD_OUT
from outreach.experiments import Outcome, judge
from outreach.journeys import definition as shape
from outreach.journeys import desk
from outreach.proportions import Share, planned_size
from storage.tables import Enrolment, Journey, JourneyVersion, StepRun, Touch

LIFT = 0.05
"""A difference of so much is worth knowing: by it the size is planned."""
NEWEST = 10_000
"""So many of the newest rounds of a version are counted step by step: enough to see where people stay behind."""
USUAL = 0.2
"""The share that is expected without the journey, until there is a better guess."""
LONGEST = timedelta(days=90)


@dataclass(frozen=True)
class Arm:
    """One arm: the treated (no name), ``control``, or where there is no control of its own ``held_out``."""

    name: str
    assigned: int
    over: int
    """Of these, whose days are over."""
    reached: int | None
    """Of those, who reached the goal; None until it may be said."""


@dataclass(frozen=True)
class Result:
    """How far the experiment is, and what may be said."""

    arms: Sequence[Arm]
    needed: int
    """So many whose days are over each arm is planned to have."""
    over_at: datetime
    """When it is said even if fewer came."""
    outcome: Outcome | None
    """None until it may be said, and where nobody is in control."""
    compares: bool
    """Whether anybody is, or can be, in control: without, nothing can be said."""
    achieved: int
    """Of the treated whose days are over, who reached the goal: a number, no comparison."""


def result(db: Session, journey: Journey, now: datetime) -> Result | None:
    """Of the live (or last) version; None where it has no goal."""
    if journey.live_version is None:
        return None
    definition = desk.version_of(db, journey.id, journey.live_version)
    if not definition["goal"]:
        return None
    own = (JourneyVersion.journey_id == journey.id, JourneyVersion.number == journey.live_version)
    over_at = db.scalars(select(JourneyVersion.at).where(*own)).one() + LONGEST
    counted = _counted(db, journey, definition["control"], now)
    needed = planned_size(USUAL, LIFT)
    enough = all(over >= needed for _, over, _ in counted.values())
    may_say = now >= over_at or enough
    arms = [Arm(name, n, over, did if may_say else None) for name, (n, over, did) in counted.items()]
    outcome = _outcome(counted, definition["control"]) if may_say else None
    compares = bool(definition["control"] or next(n for arm, (n, _, _) in counted.items() if arm))
    return Result(arms, needed, over_at, outcome, compares, counted[""][2])


def _counted(db: Session, journey: Journey, control: int, now: datetime) -> dict[str, tuple[int, int, int]]:
    """Of the treated and those they are compared with: assigned, whose days are over, who of those reached the goal."""
    over = Enrolment.goal_until <= now
    asked = select(
        Enrolment.arm,
        func.count(),
        func.sum(case((over, 1), else_=0)),
        func.sum(case((over & Enrolment.goal_at.is_not(None), 1), else_=0)),
    )
    own = (Enrolment.journey_id == journey.id, Enrolment.version == journey.live_version)
    found = {
        arm: (n, done or 0, did or 0) for arm, n, done, did in db.execute(asked.where(*own).group_by(Enrolment.arm))
    }
    other = HELD_OUT if HELD_OUT in found and CONTROL not in found and not control else CONTROL
    return {name: found.get(name, (0, 0, 0)) for name in ("", other)}


def _outcome(counted: Mapping[str, tuple[int, int, int]], control: int) -> Outcome | None:
    (n, over, did), (other_n, other_over, other_did) = counted.values()
    if not other_n:
        return None
    planned = (BUCKETS - control, control) if control else (n, other_n)  # what was held out then is not kept
    return judge(Share(did, over), Share(other_did, other_over), planned=planned)


# --- how far they come -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AtStep:
    """One step: how many came to it, how many wait there, what came of the others."""

    waiting: int = 0
    outcomes: Mapping[str, int] | None = None
    """``done``, ``would`` (control), ``failed``, or why it was skipped.

    Of a step that says something, by which way and how that stands now: ``card:held``, ``mass:asked``, ``kf:sent``.
    """
    opens: int = 0
    """How often its links were opened, by anybody of this version."""


@dataclass(frozen=True)
class Way:
    """How far people come."""

    at: Mapping[str, AtStep]
    """By the id of the step."""
    rounds: int
    """So many rounds were counted, the newest."""
    is_whole: bool
    """Whether those are all there are."""


def way(db: Session, journey_id: int, version: int) -> Way:
    """Of each step of a version, counted over its newest rounds, however many there are."""
    own = (Enrolment.journey_id == journey_id, Enrolment.version == version)
    newest = select(Enrolment.id).where(*own).order_by(Enrolment.id.desc())
    rounds = db.scalars(select(func.count()).select_from(newest.limit(NEWEST + 1).subquery())).one()
    at = _steps(db, newest.limit(NEWEST))
    for step, opens in _opens(db, journey_id, version).items():
        at[step] = replace(at.get(step, AtStep()), opens=opens)
    return Way(at, min(rounds, NEWEST), rounds <= NEWEST)


def _opens(db: Session, journey_id: int, version: int) -> dict[str, int]:
    steps = shape.steps_of(desk.version_of(db, journey_id, version))
    sources = {f"{desk.source_of(journey_id)}:v{version}:{step}": step for step in steps}
    return {sources[source]: count for source, count in links.opened_of(db, list(sources)).items()}


def _steps(db: Session, rounds: Select[int]) -> dict[str, AtStep]:
    found: dict[str, dict[str, int]] = {}
    skipped = StepRun.outcome["skipped"].as_string()
    left = StepRun.outcome["left"].as_string()
    would = StepRun.outcome["would"].as_string()
    columns = (StepRun.step, StepRun.state, skipped, left, would, Touch.way, Touch.state)
    of = rounds.subquery()
    own = (
        select(*columns, func.count())
        .join(of, of.c.id == StepRun.enrolment_id)
        .outerjoin(Touch, Touch.id == StepRun.touch_id)
        .group_by(*columns)
    )
    for step, state, why, gone, ghost, way, stands, count in db.execute(own):
        went = f"{way}:{stands}" if way else state
        word = "waiting" if state == "waiting" else why or (f"left:{gone}" if gone else "would" if ghost else went)
        at = found.setdefault(step, {})
        at[word] = at.get(word, 0) + count
    return {step: AtStep(words.pop("waiting", 0), words) for step, words in found.items()}

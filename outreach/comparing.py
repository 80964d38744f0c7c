"""Whether a wording helped: two wordings and a control group compared by what customers did within seven days.

Everybody counts in the arm they were assigned to, whether it reached them or not; who was left out before arms were
drawn is in none. Until the seven days are over nothing is counted, so that looking often makes no winner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, exists, func, not_, select
from sqlalchemy.orm import Session

from insight.fields import TALK
from outreach import audience
from outreach.arms import CONTROL, GHOSTS, HELD_OUT
from outreach.broadcasts import LEFT, OPENED, arms_of, source_of
from outreach.experiments import Outcome, judge
from outreach.proportions import Share
from storage.tables import Broadcast, Interaction, LinkOpen, Touch

WITHIN = timedelta(days=7)


@dataclass(frozen=True)
class Arm:
    """One arm: ``a``, ``b``, ``control`` or ``held_out``."""

    name: str
    assigned: int
    reached: int
    did: int | None = None
    """How many did it; None until it may be said."""


@dataclass(frozen=True)
class Pair:
    """Two arms, and what may be said of them."""

    variant: str
    other: str
    outcome: Outcome


@dataclass(frozen=True)
class Comparison:
    """What came of it, or when it will be said."""

    metric: str
    over_at: datetime
    over: bool
    arms: Sequence[Arm]
    pairs: Sequence[Pair] = field(default_factory=tuple)


def comparison(db: Session, broadcast: Broadcast, now: datetime) -> Comparison | None:
    """Of a broadcast with several arms that is under way; None of any other.

    Without a control of its own it is compared with the long-term control group, if there was one.
    """
    shares = arms_of(broadcast)
    if broadcast.planned_at is None:
        return None
    if CONTROL not in shares and _was_held_from_some(db, broadcast):
        shares = {**shares, HELD_OUT: 0}
    if len(shares) < 2:
        return None
    over_at = broadcast.planned_at + WITHIN
    over = now >= over_at
    counted = _counted(db, broadcast, over_at if over else None)
    arms = [counted.get(name, Arm(name, 0, 0, 0 if over else None)) for name in shares]
    return Comparison(broadcast.metric, over_at, over, arms, _pairs(arms, shares) if over else ())


def _was_held_from_some(db: Session, broadcast: Broadcast) -> bool:
    own = (Touch.source == source_of(broadcast), Touch.state == CONTROL, Touch.arm == HELD_OUT)
    return db.scalar(select(Touch.id).where(*own).limit(1)) is not None


def _counted(db: Session, broadcast: Broadcast, until: datetime | None) -> dict[str, Arm]:
    """Everybody by assignment; what they did only once that may be said."""
    source = source_of(broadcast)
    drawn = not_(and_(Touch.state == audience.LEFT_OUT, Touch.task_id.is_(None)))
    reached = func.sum(case((Touch.state == "sent", 1), else_=0))
    asked = select(Touch.arm, func.count(), reached).where(Touch.source == source, drawn).group_by(Touch.arm)
    rows = db.execute(asked).all()
    did: dict[str, int] = {}
    if until is not None and broadcast.planned_at is not None:
        times = (broadcast.planned_at, until)
        own = select(Touch.arm, func.count()).where(Touch.source == source, drawn, _did(broadcast.metric, times))
        did = dict(db.execute(own.group_by(Touch.arm)).all())
    return {arm: Arm(arm, n, got or 0, did.get(arm, 0) if until is not None else None) for arm, n, got in rows}


def _did(metric: str, times: tuple[datetime, datetime]) -> ColumnElement[bool]:
    """Whether the person of a touch did it between two moments."""
    if metric == OPENED:
        return exists().where(LinkOpen.person_id == Touch.person_id, LinkOpen.at.between(*times))
    kinds = ("deleted_by_customer",) if metric == LEFT else TALK
    own = (Interaction.person_id == Touch.person_id, Interaction.kind.in_(kinds), Interaction.at.between(*times))
    return exists().where(*own)


def _pairs(arms: Sequence[Arm], shares: dict[str, int]) -> list[Pair]:
    """Each wording with the control group, and the two wordings with each other."""
    by_name = {one.name: one for one in arms}
    wordings = [one for one in by_name if one not in GHOSTS]
    wanted = [(one, ghost) for ghost in GHOSTS if ghost in by_name for one in wordings]
    wanted += [(wordings[1], wordings[0])] if len(wordings) == 2 else []
    return [Pair(one, other, _judged(by_name[one], by_name[other], shares)) for one, other in wanted]


def _judged(variant: Arm, other: Arm, shares: dict[str, int]) -> Outcome:
    held_out = other.name == HELD_OUT  # its share at that time is not kept
    planned = (variant.assigned, other.assigned) if held_out else (shares[variant.name], shares[other.name])
    return judge(Share(variant.did or 0, variant.assigned), Share(other.did or 0, other.assigned), planned=planned)

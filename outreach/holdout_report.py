"""What the long-term control group tells: how much all journeys and broadcasts together change.

Everybody counts who was a customer when the days looked at began, by the group they were drawn into, whether anything
reached them or not. Kept apart from ``outreach.holdout``, whose draw needs no statistics.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, exists, func, select
from sqlalchemy.orm import Session

from insight.fields import TALK
from outreach.arms import BUCKETS
from outreach.experiments import Outcome, judge
from outreach.holdout import Holdout, holdout
from outreach.proportions import Share
from storage.tables import Interaction, Person, Relation

SPAN = timedelta(days=30)
"""What people do is counted over so long a time."""
TALKED, LEFT = METRICS = ("talked", "left")


@dataclass(frozen=True)
class Told:
    """What the two groups did within the span, by one metric."""

    metric: str
    written_to: Share
    held_out: Share
    outcome: Outcome


@dataclass(frozen=True)
class Report:
    """How much all journeys and broadcasts together change; nothing is said before the span is over."""

    over_at: datetime
    told: tuple[Told, ...] = ()


def report(db: Session, now: datetime) -> Report | None:
    """Of the last thirty days; None while there is no group."""
    group = holdout(db)
    if not group.share or group.since is None:
        return None
    over_at = group.since + SPAN
    if now < over_at:
        return Report(over_at)
    return Report(over_at, tuple(_told(db, group, now - SPAN, now, metric) for metric in METRICS))


def _told(db: Session, group: Holdout, start: datetime, end: datetime, metric: str) -> Told:
    kinds = ("deleted_by_customer",) if metric == LEFT else TALK
    own = (Interaction.person_id == Person.id, Interaction.kind.in_(kinds), Interaction.at.between(start, end))
    ours = exists().where(
        Relation.person_id == Person.id,
        Relation.added_at < start,
        (Relation.ended_at.is_(None)) | (Relation.ended_at >= start),
    )
    inside = case((group.has_column(db, Person.id.expression), 1), else_=0).label("inside")
    did = case((exists().where(*own), 1), else_=0).label("did")
    each = select(inside, did).where(Person.first_seen_at < start, ours).subquery()
    asked = select(each.c.inside, func.count(), func.sum(each.c.did)).group_by(each.c.inside)
    found = {bool(one): Share(int(x or 0), n) for one, n, x in db.execute(asked)}
    others, held_out = found.get(False, Share(0, 0)), found.get(True, Share(0, 0))
    planned = (BUCKETS - group.share, group.share)
    return Told(metric, others, held_out, judge(others, held_out, planned=planned))

"""Who was told that points of theirs will die: read off what was sent and shown, and written down as notices.

Told is whoever a journey's message about their points has reached, and whose rep was shown a card about it; what stands
on people's own pages is noted there. Looked at every few minutes, person by person, for those only who have points
that must be told of; what was noted is not looked at again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import and_, or_, select

from loyalty import accounts, notices
from loyalty.ledger.book import HAS_POINTS
from outreach import budget, occasions
from outreach.journeys import days, desk
from outreach.journeys import definition as shape
from outreach.journeys.definition import MASS
from people import persons
from storage.tables import Enrolment, Person, PointsAccount, PointsLotNow, RepCard, StepRun, Touch
from storage.work import Work

AHEAD = timedelta(days=100)
"""Nobody is told of anything earlier: a journey begins at most 90 days before."""
PORTION = 500


@dataclass(frozen=True)
class Evidence:
    """That somebody was told of what dies up to a day."""

    person_id: int
    last: date
    way: str
    source: str
    said_at: datetime
    """When it was put into words: of what came to be since it tells nothing."""


def note(work: Work, after: int) -> tuple[int, int | None]:
    """Write notices down for a portion of people after an id: of how many lots, and after whom it goes on."""
    first = _untold(work, after)
    told = 0
    for one in _evidence(work, sorted(first)):
        upto = days.end_of(work, one.last)
        if first[one.person_id] <= upto:
            ids = accounts.accounts_of(work.db, persons.anchors(work.db, one.person_id))
            told += notices.told(work, ids, upto, one.way, one.source, one.said_at)
    return told, max(first) if len(first) == PORTION else None


def _untold(work: Work, after: int) -> dict[int, datetime]:
    """People with points that must be told of and were not, and when the first of these die."""
    lot = PointsLotNow
    need = and_(HAS_POINTS, lot.notice_days > 0, lot.not_before.is_(None), lot.expires_at <= work.now + AHEAD)
    own = (
        select(days.HEAD, lot.expires_at)
        .join(PointsAccount, PointsAccount.id == lot.account_id)
        .join(Person, Person.id == PointsAccount.person_id)
        .where(need)
    )
    heads = own.with_only_columns(days.HEAD).where(days.HEAD.op(">")(after)).distinct()
    ids = work.db.scalars(heads.order_by(days.HEAD).limit(PORTION)).all()
    found: dict[int, datetime] = {}
    for head, expires_at in work.db.execute(own.where(days.HEAD.in_(ids)).order_by(lot.expires_at)):
        if expires_at is not None:
            found.setdefault(head, expires_at)
    return found


def _evidence(work: Work, ids: Sequence[int]) -> Iterator[Evidence]:
    """What these people were told, by journeys and by their reps' standing cards."""
    shown = select(RepCard.id).where(RepCard.touch_id == Touch.id, RepCard.shown_at.is_not(None))
    reached = or_(Touch.state == budget.SENT, shown.exists())
    own = (
        select(Enrolment, StepRun.step, Touch)
        .join(StepRun, StepRun.enrolment_id == Enrolment.id)
        .join(Touch, Touch.id == StepRun.touch_id)
        .where(Enrolment.person_id.in_(ids), Enrolment.because["date"].as_string() == days.POINTS_END, reached)
    )
    for enrolment, step, touch in work.db.execute(own.order_by(Touch.id)).all():
        yield Evidence(enrolment.person_id, _last(work, enrolment, step, touch), touch.way, touch.source, touch.at)
    cards = select(RepCard.person_id, RepCard.id, RepCard.once, RepCard.made_at).where(
        RepCard.person_id.in_(ids), RepCard.kind == occasions.POINTS, RepCard.shown_at.is_not(None)
    )
    for person_id, card_id, once, made_at in work.db.execute(cards.order_by(RepCard.id)).all():
        last = date.fromisoformat(once.rpartition(":")[2])
        yield Evidence(person_id, last, notices.CARD, f"card:{card_id}", made_at)


def _last(work: Work, enrolment: Enrolment, step: str, touch: Touch) -> date:
    """Up to which day a message told of points: the one it was for; with ``{expiring}`` in it all that it named."""
    day = date.fromisoformat(enrolment.because["day"])
    text = shape.steps_of(desk.version_of(work.db, enrolment.journey_id, enrolment.version))[step]["text"]
    if touch.way == MASS or "{expiring}" not in text:
        return day
    return max(day, touch.at.astimezone(work.zone).date() + timedelta(days=days.HORIZON_DAYS))

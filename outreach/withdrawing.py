"""A broadcast that drives customers away is stopped by itself.

When more customers delete their rep within a day of receiving it than three times as many as on a usual day (and at
least ten: one of three says nothing), the rest is withdrawn at WeCom and the maker is told. What is usual stands in
``outreach.results``.
"""

from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from outreach import broadcasts, results, telling
from outreach.results import Losses
from storage.tables import Broadcast
from storage.work import Work

WHY = "too many customers deleted their reps"
WITHDRAWN = (
    "24 小时内有 {n} 位客户删除了成员，平时同样多的客户一天约 {usual:.1f} 位：剩下的已自动撤回，请看看内容和人群再决定"
)
TOLD = "24 小时内有 {n} 位客户删除了成员，平时同样多的客户一天约 {usual:.1f} 位：已经全部发出，下次请换内容或人群"
TITLE = "删除成员的客户太多"


def to_look_at(db: Session, now: datetime) -> list[int]:
    """Broadcasts that are going out, or ended so lately that somebody may still leave because of them."""
    going = Broadcast.state == broadcasts.RUNNING
    lately = (Broadcast.state == broadcasts.DONE) & (Broadcast.ended_at > now - results.WITHIN - timedelta(hours=1))
    own = select(Broadcast.id).where(or_(going, lately), Broadcast.note.is_(None)).order_by(Broadcast.id)
    return list(db.scalars(own))


def look_at(work: Work, broadcast_id: int) -> Losses | None:
    """Stop it if too many left; what was found then, None when all is as usual."""
    broadcast = work.db.get_one(Broadcast, broadcast_id, with_for_update=True)
    if broadcast.state not in (broadcasts.RUNNING, broadcasts.DONE) or broadcast.note is not None:
        return None
    found = results.losses(work.db, broadcast, work.now)
    if not found.too_many:
        return None
    goes_on = broadcast.state == broadcasts.RUNNING
    if goes_on:
        broadcasts.stop(work, broadcast, by=None, why=WHY)
    broadcast.note = (WITHDRAWN if goes_on else TOLD).format(n=found.deleted, usual=found.usual)
    telling.maker(work, broadcast, TITLE, broadcast.note)
    return found

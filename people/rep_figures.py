"""What WeCom itself counts of reps' days (get_user_behavior_data), added up. Never mixed with what we measure."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from people.access import Sight
from storage.tables import RepDay


@dataclass(frozen=True)
class RepFigures:
    """One rep's days within a time."""

    userid: str
    days: int
    """So many days WeCom has given figures for."""
    chats: int
    messages: int
    reply_percentage: float | None
    """0 to 100, each day weighing as many chats as it had; None when WeCom gave none."""
    first_reply_minutes: float | None
    """The mean first reply, weighed the same way."""
    new_contacts: int
    deletions: int


def rep_figures(db: Session, sight: Sight, first: date, last: date) -> list[RepFigures]:
    """Each rep within sight who has figures in these days (both included), the busiest first."""
    own = select(RepDay).where(RepDay.day >= first, RepDay.day <= last, sight.reps(RepDay.userid.expression))
    by_rep: dict[str, list[RepDay]] = {}
    for one in db.scalars(own.order_by(RepDay.userid, RepDay.day)):
        by_rep.setdefault(one.userid, []).append(one)
    found = [_summed(userid, days) for userid, days in by_rep.items()]
    return sorted(found, key=lambda one: (-one.chats, one.userid))


def read_until(db: Session) -> date | None:
    """The last day WeCom has given figures for."""
    return db.scalar(select(func.max(RepDay.day)))


def _summed(userid: str, days: list[RepDay]) -> RepFigures:
    return RepFigures(
        userid=userid,
        days=len(days),
        chats=sum(one.chats for one in days),
        messages=sum(one.messages for one in days),
        reply_percentage=_weighed([(one.reply_percentage, one.chats) for one in days]),
        first_reply_minutes=_weighed([(one.first_reply_minutes, one.chats) for one in days]),
        new_contacts=sum(one.new_contacts for one in days),
        deletions=sum(one.deletions for one in days),
    )


def _weighed(values: list[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in values if value is not None and weight > 0]
    weights = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / weights if weights else None

"""Broadcasts to customer groups (客户群): which of those chosen get it, and why each of the others does not."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.orm import Session

from outreach import audience, budget, hours, mass
from outreach.audience import QUOTA, REP_AWAY, Counted, Named
from outreach.budget import Rules
from people.access import Sight
from storage.tables import GroupChat, GroupMember, MassTask, Member

GONE, NOT_YOURS = "gone", "not_yours"
REASONS = (GONE, NOT_YOURS, REP_AWAY, QUOTA)
"""Why a group gets nothing, in the order in which it is asked."""
_IS_OF_GROUPS: ColumnElement[bool] = literal_column("mass_task.audience = 'groups'")
"""In the words of the index that holds only these."""


@dataclass(frozen=True)
class Looked:
    """One group that was chosen."""

    chat_id: str
    name: str
    owner: str
    reason: str = ""
    """Why it gets nothing; empty when it does."""


def choices(db: Session, sight: Sight) -> list[GroupChat]:
    """Every living group whose owner is in sight, by name."""
    own = select(GroupChat).where(GroupChat.dismissed_at.is_(None), sight.reps(GroupChat.owner.expression))
    return list(db.scalars(own.order_by(GroupChat.name, GroupChat.chat_id)))


def looked_at(
    db: Session, chat_ids: Sequence[str], sight: Sight, rules: Rules, now: datetime, source: str
) -> list[Looked]:
    """Each of these groups with why it gets nothing, in the order in which they were chosen."""
    known = {one.chat_id: one for one in db.scalars(select(GroupChat).where(GroupChat.chat_id.in_(chat_ids)))}
    owners = {one.owner for one in known.values()}
    serving = select(Member.userid).where(Member.userid.in_(owners), Member.serves.is_(True), Member.left_at.is_(None))
    able, full = set(db.scalars(serving)), _full(db, chat_ids, rules, now, source)
    found = []
    for chat_id in chat_ids:
        chat = known.get(chat_id)
        if chat is None or chat.dismissed_at is not None:
            found.append(Looked(chat_id, chat.name if chat else chat_id, chat.owner if chat else "", GONE))
        elif not sight.rep(chat.owner):
            found.append(Looked(chat_id, chat.name, chat.owner, NOT_YOURS))
        else:
            reason = REP_AWAY if chat.owner not in able else QUOTA if chat_id in full else ""
            found.append(Looked(chat_id, chat.name, chat.owner, reason))
    return found


def _full(db: Session, chat_ids: Collection[str], rules: Rules, now: datetime, source: str) -> set[str]:
    """Which of these WeCom would take no more for: each counts what it got in its period, and what waits for its owner.

    Only the period's own tasks are read, by indexes that hold them alone.
    """
    of = budget.period(rules.mode, budget.day_of(now))
    begins = hours.instant(of.first, time(), budget.SHANGHAI)
    others = (_IS_OF_GROUPS, MassTask.source != source)
    waiting = select(MassTask.chat_ids).where(*others, mass.IS_OPEN, MassTask.confirmed_at.is_(None))
    got = select(MassTask.reached).where(*others, MassTask.confirmed_at >= begins)
    asked_for = set(chat_ids)
    times = Counter(
        chat_id for own in (waiting, got) for some in db.scalars(own) for chat_id in some if chat_id in asked_for
    )
    return {chat_id for chat_id, count in times.items() if count >= of.most}


def counted(looked: Sequence[Looked]) -> Counted:
    """How many groups get it, and why each of the others does not."""
    reasons = {why: sum(one.reason == why for one in looked) for why in REASONS}
    return Counted(len(reached_by(looked)), 0, 0, {why: count for why, count in reasons.items() if count})


def named(looked: Sequence[Looked]) -> audience.Looked:
    """The same as ``audience.looked_at`` says it of people: each owner has so many groups to send it to."""
    owners = Counter(one.owner for one in looked if not one.reason)
    first = {why: [Named(None, one.name) for one in looked if one.reason == why][: audience.FIRST] for why in REASONS}
    return audience.Looked(counted(looked), dict(owners.most_common()), {}, first)


def reached_by(looked: Sequence[Looked]) -> list[str]:
    """Those that get it."""
    return [one.chat_id for one in looked if not one.reason]


def people_in(db: Session, chat_ids: Sequence[str]) -> int:
    """How many customers and strangers are in these groups."""
    inside = (GroupMember.chat_id.in_(chat_ids), GroupMember.type == 2, GroupMember.left_at.is_(None))
    return db.scalars(select(func.count(func.distinct(GroupMember.member))).where(*inside)).one()

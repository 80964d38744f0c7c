"""What became of a broadcast: for each rep, each customer, each group; who deleted the rep afterwards.

Read from the budget's book (``Touch``) and the tasks. ``states`` are WeCom's four words (asked: waiting; sent;
no_friend; quota) and ours.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, func, literal, select, true
from sqlalchemy.orm import Session

from outreach import audience
from outreach.arms import CONTROL
from outreach.broadcasts import source_of
from people.access import Sight
from storage.tables import Broadcast, Department, GroupChat, Interval, MassTask, Member, Person, Relation, Touch

WAITING, SENT, NO_FRIEND, QUOTA = ("asked", "sent", "no_friend", "quota")
STATES = ("held", WAITING, SENT, NO_FRIEND, QUOTA, "refused", "cancelled", "expired", "left_out", "control")
WITHIN = timedelta(hours=24)
"""So soon after a message a customer who deletes the rep did it because of it, as far as anybody can tell."""
USUAL_DAYS = 28
TOO_MANY_TIMES, TOO_FEW = 3, 10
"""So many times the usual number of deletions is too many; fewer than ten are never."""


@dataclass(frozen=True)
class Standing:
    """How a broadcast stands, in WeCom's four words and ours."""

    states: Mapping[str, int]
    """Of touches: held, asked, sent, no_friend, quota, refused, cancelled, expired, left_out, control."""
    reps: Sequence[tuple[str, str, Mapping[str, int]]]
    """For each rep: userid, name, and how many of her receivers are in which state."""

    @property
    def planned(self) -> int:
        """How many were to get it."""
        return sum(count for state, count in self.states.items() if state not in (audience.LEFT_OUT, CONTROL))


def _touches(broadcast: Broadcast, sight: Sight) -> tuple[ColumnElement[bool], ...]:
    """What of a broadcast somebody may see: their reps' part."""
    own = Touch.source == source_of(broadcast)
    return (own,) if sight.everybody else (own, Touch.userid.in_(sight.userids))


EVERYBODY = Sight(everybody=True)


def standing(db: Session, broadcast: Broadcast, sight: Sight = EVERYBODY) -> Standing:
    """Counted from the budget's book."""
    own = select(Touch.userid, Touch.state, func.count()).where(*_touches(broadcast, sight))
    states: dict[str, int] = {}
    by_rep: dict[str, dict[str, int]] = {}
    for userid, state, count in db.execute(own.group_by(Touch.userid, Touch.state)):
        states[state] = states.get(state, 0) + count
        if userid is not None and state not in (audience.LEFT_OUT, CONTROL):
            by_rep.setdefault(userid, {})[state] = count
    names = _names(db, by_rep)
    return Standing(states, [(one, names.get(one) or one, by_rep[one]) for one in sorted(by_rep)])


def _names(db: Session, userids: Any) -> dict[str, str]:
    own = select(Member.userid, Member.name).where(Member.userid.in_(list(userids)))
    return {userid: name or userid for userid, name in db.execute(own)}


def progress(db: Session, found: Sequence[Broadcast], sight: Sight) -> dict[int, tuple[int, int, int, int]]:
    """For the list, by id: tasks confirmed, tasks in all, receivers who have it, receivers in all."""
    numbers = {source_of(one): one.id for one in found}
    own = (
        MassTask.source.in_(numbers),
        MassTask.state.not_in(("cancelled", "watched")),
        sight.reps(MassTask.userid.expression),
    )
    shown: dict[int, list[int]] = {number: [0, 0, 0, 0] for number in numbers.values()}
    tasks = select(MassTask.source, func.count(MassTask.confirmed_at), func.count(), func.sum(MassTask.size))
    for source, confirmed, count, size in db.execute(tasks.where(*own).group_by(MassTask.source)):
        shown[numbers[source]] = [confirmed, count, 0, size]
    to_groups = select(MassTask.source, MassTask.reached).where(*own, MassTask.audience == "groups")
    for source, reached in db.execute(to_groups):
        shown[numbers[source]][2] += len(reached)
    mine = true() if sight.everybody else Touch.userid.in_(sight.userids)
    its = literal("broadcast:").concat(cast(Broadcast.id, String))
    sent = select(func.count()).where(Touch.source == its, Touch.state == SENT, mine)
    each = sent.correlate(Broadcast).scalar_subquery()  # one look into the index for each, never the whole book
    for number, count in db.execute(select(Broadcast.id, each).where(Broadcast.id.in_(shown))):
        shown[number][2] += count
    return {number: (one[0], one[1], one[2], one[3]) for number, one in shown.items()}


# --- reps ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RepLine:
    """One rep's part: her newest task, and what became of all of her receivers."""

    userid: str
    name: str
    store: str
    tasks: Sequence[MassTask]
    states: Mapping[str, int]
    deleted: int
    """Customers who deleted her within a day of receiving it."""

    @property
    def open_tasks(self) -> list[MassTask]:
        """What she could still confirm."""
        return [one for one in self.tasks if one.state == "made" and one.confirmed_at is None]

    @property
    def confirmed_at(self) -> datetime | None:
        """When she confirmed; of several the last."""
        return max((one.confirmed_at for one in self.tasks if one.confirmed_at), default=None)

    @property
    def receivers(self) -> int:
        """To how many: customers, or groups."""
        groups = sum(len(one.chat_ids) for one in self.tasks if one.audience == "groups" and one.state != "cancelled")
        return groups or sum(self.states.values())

    @property
    def reached(self) -> int:
        """How many have it."""
        groups = {chat_id for one in self.tasks for chat_id in one.reached}
        return len(groups) or self.states.get(SENT, 0)


def reps(db: Session, broadcast: Broadcast, sight: Sight = EVERYBODY) -> list[RepLine]:
    """Each rep's part, those who have not confirmed first."""
    own = select(MassTask).where(MassTask.source == source_of(broadcast), sight.reps(MassTask.userid.expression))
    tasks: dict[str, list[MassTask]] = {}
    for task in db.scalars(own.order_by(MassTask.id)):
        tasks.setdefault(task.userid, []).append(task)
    states = {userid: counts for userid, _, counts in standing(db, broadcast, sight).reps}
    names, stores = _names(db, tasks), stores_of(db, tasks)
    gone = Counter(deleted(db, broadcast, sight).values())
    lines = [
        RepLine(one, names.get(one, one), stores.get(one, ""), own, states.get(one, {}), gone[one])
        for one, own in tasks.items()
    ]
    return sorted(lines, key=lambda one: (not one.open_tasks, one.store, one.name))


def stores_of(db: Session, userids: Any) -> dict[str, str]:
    """The store (the last of the departments) of each of these reps."""
    own = select(Member.userid, Member.departments).where(Member.userid.in_(list(userids)))
    names = dict(db.execute(select(Department.id, Department.name)).all())
    return {userid: names.get(departments[-1], "") for userid, departments in db.execute(own) if departments}


# --- customers and groups --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CustomerLine:
    """One customer's part; the name only where one may see them."""

    touch: Touch
    name: str
    deleted: bool


def customers(
    db: Session,
    broadcast: Broadcast,
    sight: Sight,
    *,
    limit: int,
    after: int = 0,
    which: Mapping[str, str] | None = None,
) -> tuple[list[CustomerLine], int | None]:
    """One page of the customers, and the person's id that the next page comes after.

    ``which`` narrows by ``state``, ``reason``, ``userid`` or ``arm``. By person, because that is the order of the
    indexes: a page costs the same wherever it is.
    """
    narrowed = [getattr(Touch, name) == value for name, value in (which or {}).items() if value]
    asked = (
        select(Touch, Person.name)
        .join(Person, Person.id == Touch.person_id)
        .where(*_touches(broadcast, sight), *narrowed, sight.people(), Touch.person_id > after)
        .order_by(Touch.person_id)
    )
    rows = db.execute(asked.limit(limit + 1)).all()
    more, rows = len(rows) > limit, rows[:limit]
    gone = deleted(db, broadcast, sight, Interval.person_id.in_([one.person_id for one, _ in rows]))
    found = [CustomerLine(one, name, one.id in gone) for one, name in rows]
    return found, (found[-1].touch.person_id if more else None)


def every_customer(db: Session, broadcast: Broadcast, sight: Sight, batch: int = 1000) -> Iterator[CustomerLine]:
    """All of them, read as they are taken: what of them is at hand is never more than one batch."""
    after: int | None = 0
    while after is not None:
        found, after = customers(db, broadcast, sight, limit=batch, after=after)
        yield from found


def groups(
    db: Session, broadcast: Broadcast, sight: Sight = EVERYBODY
) -> list[tuple[GroupChat, bool, datetime | None]]:
    """Each group that was to get it, whether it has, and when its owner confirmed."""
    own = select(MassTask).where(MassTask.source == source_of(broadcast), sight.reps(MassTask.userid.expression))
    tasks = list(db.scalars(own.order_by(MassTask.id)))
    when = {chat_id: one.confirmed_at for one in tasks for chat_id in one.chat_ids}
    reached = {chat_id for one in tasks for chat_id in one.reached}
    chats = select(GroupChat).where(GroupChat.chat_id.in_(when)).order_by(GroupChat.name, GroupChat.chat_id)
    return [(one, one.chat_id in reached, when[one.chat_id]) for one in db.scalars(chats)]


# --- deletions -------------------------------------------------------------------------------------------------------


def deleted(db: Session, broadcast: Broadcast, sight: Sight = EVERYBODY, *only: ColumnElement[bool]) -> dict[int, str]:
    """Touches whose customer deleted her rep within a day of receiving it, by id, with the rep.

    ``only`` are conditions on ``Interval``.
    Read from the few who left, not from the many who were written to.
    """
    if broadcast.approved_at is None:
        return {}
    own = (
        select(Touch.id, Touch.userid, Touch.at, Interval.ended_at)
        .join(Interval, and_(Interval.person_id == Touch.person_id, Interval.userid == Touch.userid))
        .where(*_touches(broadcast, sight), Touch.state == SENT, *only)
        .where(Interval.ended_by == "customer", Interval.ended_at >= broadcast.approved_at)
    )
    found = {}
    for number, userid, at, ended_at in db.execute(own):
        if ended_at is not None and timedelta(0) <= ended_at - at <= WITHIN:
            found[number] = str(userid)
    return found


@dataclass(frozen=True)
class Losses:
    """How many left after a broadcast, beside how many leave on a usual day."""

    sent: int
    deleted: int
    usual: float
    """How many of so many customers delete their rep on a usual day, by the shop's last 28 days before it."""

    @property
    def most(self) -> float:
        """More than this is too many."""
        return max(float(TOO_FEW), TOO_MANY_TIMES * self.usual)

    @property
    def too_many(self) -> bool:
        """Whether the rest should not go out."""
        return self.deleted > self.most


def losses(db: Session, broadcast: Broadcast, now: datetime) -> Losses:
    """Of everybody who has it by now."""
    sent = db.scalars(select(func.count()).where(Touch.source == source_of(broadcast), Touch.state == SENT)).one()
    return Losses(sent, len(deleted(db, broadcast)), sent * usual_rate(db, broadcast.approved_at or now))


def usual_rate(db: Session, before: datetime) -> float:
    """Deletions by customers a day and relation, in the 28 days before a moment."""
    lately = (Interval.ended_by == "customer", Interval.ended_at.between(before - timedelta(days=USUAL_DAYS), before))
    gone = db.scalars(select(func.count()).where(*lately)).one()
    alive = db.scalars(select(func.count()).where(Relation.state == "active")).one()
    return gone / (USUAL_DAYS * max(1, alive + gone))

"""Identities that name nobody in particular by the shop's own word: its telephone, the number of a market stall.

What is blocked joins nobody and finds nobody; whom it alone had joined part again. Released, it counts as before. What
every shop has stands in ``people.blocklist``; what too many are known by is out by rule (``resolving.MOST_ANCHORS``).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, func, select
from sqlalchemy.orm import Session

from people import joining, nearby, resolving
from people.doubts import WAITING
from people.identities import PHONE
from storage.rows import insert_new
from storage.tables import BlockedValue, Evidence, Person, Review
from storage.work import Work

NEVER = ("external_userid", "unionid")
"""WeCom's own names of one account each: nobody is to block these."""


def block(work: Work, type_: str, value: str, *, by: str, why: str) -> bool:
    """Let an identity (spelt by ``people.identities.spelt``) name nobody; False when it was blocked already."""
    row = {"type": type_, "value": value, "by": by[:100], "why": why[:200], "at": work.now}
    if not insert_new(work.db, BlockedValue, [row], ["type", "value"]):
        return False
    _look_again(work, (type_, value), by)
    return True


def unblock(work: Work, type_: str, value: str, *, by: str) -> bool:
    """Let an identity count again; False when it was not blocked."""
    gone = delete(BlockedValue).where(BlockedValue.type == type_, BlockedValue.value == value)
    if not work.db.scalars(gone.returning(BlockedValue.id)).all():
        return False
    _look_again(work, (type_, value), by)
    return True


def _look_again(work: Work, about: resolving.Value, by: str) -> None:
    joining.resolve_again(work, nearby.anchors_of(work.db, [about]), by=by, about=[about])


# --- what would be ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Foreseen:
    """What blocking or releasing an identity would do."""

    known: int
    """How many people are known by it."""
    joined: Sequence[Sequence[int]]
    """People (heads) who would become one."""
    parted: Mapping[int, int]
    """Of each person who would become several, how many."""
    waiting: int
    """How many pairs would newly wait for somebody's word."""

    def people(self) -> set[int]:
        """Everybody who would change."""
        return {one for some in self.joined for one in some} | set(self.parted)


def foresee(work: Work, type_: str, value: str, *, counts: bool) -> Foreseen:
    """What would be if this identity counted (released) or no longer did (blocked); nothing is changed."""
    before, then, held = joining.foresee(work, (type_, value), counts=counts)
    into: dict[int, set[int]] = defaultdict(set)
    out_of: dict[int, set[int]] = defaultdict(set)
    for anchor, head in before.items():
        into[then.head[anchor]].add(head)
        out_of[head].add(then.head[anchor])
    doubts = {(one.a, one.b) for one in (*then.proposals, *then.conflicts)} | set(held)
    return Foreseen(
        known=len({before[one] for one in nearby.anchors_of(work.db, [(type_, value)]) if one in before}),
        joined=sorted(sorted(some) for some in into.values() if len(some) > 1),
        parted={head: len(some) for head, some in sorted(out_of.items()) if len(some) > 1},
        waiting=len(doubts - _waiting(work.db, before)),
    )


def _waiting(db: Session, anchors: Collection[int]) -> set[resolving.Pair]:
    own = select(Review.a, Review.b).where(Review.state.in_(WAITING), Review.a.in_(anchors))
    return {(a, b) for a, b in db.execute(own)}


# --- what there is ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Out:
    """An identity that does not count."""

    type: str
    value: str
    people: int
    """How many are known by it."""
    since: datetime
    id: int = 0
    by: str = ""
    """Who blocked it; empty: too many are known by it."""
    why: str = ""


def listed(db: Session, *, limit: int, before: int | None = None) -> tuple[list[Out], int | None]:
    """One page of what the shop has blocked, the latest first, and the id that the next page comes before."""
    own = select(BlockedValue).order_by(BlockedValue.id.desc()).limit(limit + 1)
    rows = list(db.scalars(own if before is None else own.where(BlockedValue.id < before)))
    counts = _holders(db, [one.id for one in rows])
    found = [
        Out(one.type, one.value, counts.get(one.id, 0), one.at, id=one.id, by=one.by, why=one.why)
        for one in rows[:limit]
    ]
    return found, (found[-1].id if len(rows) > limit else None)


def _holders(db: Session, ids: Collection[int]) -> dict[int, int]:
    """How many people are known by each of these blocked identities."""
    head = func.coalesce(Person.merged_into, Person.id)
    own = select(BlockedValue.id, func.count(head.distinct())).where(BlockedValue.id.in_(ids))
    own = own.join(Evidence, and_(Evidence.type == BlockedValue.type, Evidence.value == BlockedValue.value))
    own = own.join(Person, Person.id == Evidence.anchor_id).where(Evidence.released_at.is_(None))
    return dict(db.execute(own.group_by(BlockedValue.id)).all())


def crowded(db: Session, *, limit: int) -> list[Out]:
    """What is out by rule, because too many are known by it: those of the most people first.

    Reads the index of all evidence from end to end: for a page that is opened seldom.
    """
    count = func.count(Evidence.anchor_id.distinct())
    own = select(Evidence.type, Evidence.value, count).group_by(Evidence.type, Evidence.value)
    own = own.having(count > resolving.MOST_ANCHORS).order_by(count.desc(), Evidence.type, Evidence.value).limit(limit)
    return [Out(type_, value, many, _crowded_since(db, type_, value)) for type_, value, many in db.execute(own).all()]


def _crowded_since(db: Session, type_: str, value: str) -> datetime:
    """When one anchor more than may be became known by it."""
    first = func.min(Evidence.first_seen_at)
    own = select(first).where(Evidence.type == type_, Evidence.value == value).group_by(Evidence.anchor_id)
    return db.scalars(own.order_by(first).offset(resolving.MOST_ANCHORS).limit(1)).one()


def types(db: Session) -> list[str]:
    """What can be blocked: numbers, and every kind of identity that other systems have told of."""
    found, last = [PHONE], ""
    while (last := db.scalar(select(func.min(Evidence.type)).where(Evidence.type > last)) or "") != "":
        if last not in (PHONE, *NEVER):
            found.append(last)
    return found


def is_blocked(db: Session, type_: str, value: str) -> bool:
    """Whether the shop has blocked this identity."""
    own = select(BlockedValue.id).where(BlockedValue.type == type_, BlockedValue.value == value)
    return db.scalar(own) is not None


def living(db: Session, number: int, *, held: bool = False) -> BlockedValue | None:
    """One that is blocked; ``held`` until this work is kept."""
    own = select(BlockedValue).where(BlockedValue.id == number)
    return db.scalars(own.with_for_update() if held else own).one_or_none()


def named(db: Session, ids: Collection[int]) -> dict[int, Person]:
    """These people, to be shown."""
    return {one.id: one for one in db.scalars(select(Person).where(Person.id.in_(ids)))}

"""Who is near: everybody whom evidence connects with somebody, and all that is known about it, read and perhaps held.

Before: ``people.joining``, which decides by it who is one person. Nothing is changed here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlalchemy.orm import Session

from people import doubts, evidence, resolving
from people.resolving import Edge, Pair, Partition, Value
from storage.tables import BlockedValue, Evidence, Person, Verdict

CROSSING = 2 * resolving.MOST_ANCHORS
"""A value of more anchors than that was in quarantine before this evidence came: nobody is looked at again for it."""


@dataclass(frozen=True)
class Near:
    """Everybody whom evidence connects, and all that is known about it."""

    anchors: frozenset[int]
    edges: tuple[Edge, ...]
    ids: Mapping[Value, Sequence[int]]
    """The rows of evidence of each value."""
    cuts: frozenset[Pair]
    ties: frozenset[Pair]
    guarded: frozenset[Pair]
    blocked: frozenset[Value]
    """By the shop's word."""
    crowded: frozenset[Value]
    """In quarantine: known of too many."""

    def resolve(self) -> Partition:
        """Who is one person."""
        found = resolving.resolve(
            self.edges,
            cuts=self.cuts,
            ties=self.ties,
            guarded=self.guarded,
            blocked=self.blocked | self.crowded,
        )
        alone = {one: one for one in self.anchors}
        return replace(found, head={**alone, **found.head}, sure={**alone, **found.sure})


def hold_all(db: Session, anchors: set[int]) -> Near:
    """Look who is near, hold them (in order), and look again: somebody may have come meanwhile."""
    held: set[int] = set()
    while True:
        near = look_around(db, anchors)
        if near.anchors <= held:
            return near
        held |= near.anchors
        own = select(Person.id).where(Person.id.in_(held)).order_by(Person.id)
        db.execute(own.with_for_update()).all()


def look_around(db: Session, anchors: Iterable[int]) -> Near:
    """Everybody whom these anchors share something with, and so on, and what is known of them."""
    found: set[int] = set()
    rows: dict[int, Evidence] = {}
    crowded: set[Value] = set()
    looked: set[Value] = set()
    new = set(anchors) | set(_parts_of(db, anchors))
    while new:
        found |= new
        for one in db.scalars(select(Evidence).where(Evidence.anchor_id.in_(new))):
            rows[one.id] = one
        values = {(one.type, one.value) for one in rows.values()} - looked
        looked |= values
        counts = crowds(db, values)
        crowded |= {about for about, count in counts.items() if count > resolving.MOST_ANCHORS}
        shared = [about for about, count in counts.items() if 1 < count <= CROSSING]
        new = {*anchors_of(db, shared), *_tied(db, found), *_parts_of(db, found)} - found
    verdicts = _verdicts(db, found)
    ids: dict[Value, list[int]] = {}
    for one in sorted(rows.values(), key=lambda row: row.id):
        ids.setdefault((one.type, one.value), []).append(one.id)
    return Near(
        anchors=frozenset(found),
        edges=tuple(_edge(one) for one in rows.values()),
        ids=ids,
        cuts=frozenset(pair for pair, same in verdicts.items() if not same),
        ties=frozenset(pair for pair, same in verdicts.items() if same),
        guarded=frozenset(doubts.guarded(db, found)),
        blocked=frozenset(blocked(db, looked)),
        crowded=frozenset(crowded),
    )


def _edge(row: Evidence) -> Edge:
    return Edge(
        row.anchor_id,
        row.type,
        row.value,
        resolving.strength(verified=row.verified, source=row.source, rep=evidence.REP),
        row.first_seen_at,
        row.seen_at,
        row.released_at,
        row.home,
    )


def crowds(db: Session, values: Collection[Value]) -> dict[Value, int]:
    """How many anchors are known by each of these."""
    if not values:
        return {}
    asked = select(Evidence.type, Evidence.value, func.count(Evidence.anchor_id.distinct()))
    asked = asked.where(any_of(Evidence, values)).group_by(Evidence.type, Evidence.value)
    return {(type_, value): count for type_, value, count in db.execute(asked)}


def anchors_of(db: Session, values: Collection[Value]) -> set[int]:
    """Which anchors are known by any of these."""
    if not values:
        return set()
    return set(db.scalars(select(Evidence.anchor_id).where(any_of(Evidence, values))))


def _parts_of(db: Session, anchors: Iterable[int]) -> set[int]:
    """Everybody who is one person with one of these now, whether or not anything speaks for it any more."""
    some = set(anchors)
    heads = set(db.scalars(select(func.coalesce(Person.merged_into, Person.id)).where(Person.id.in_(some))))
    return heads | set(db.scalars(select(Person.id).where(Person.merged_into.in_(heads))))


def _tied(db: Session, anchors: Collection[int]) -> set[int]:
    own = select(Verdict.a, Verdict.b).where(Verdict.same, Verdict.withdrawn_at.is_(None))
    rows = db.execute(own.where(or_(Verdict.a.in_(anchors), Verdict.b.in_(anchors))))
    return {one for pair in rows for one in pair}


def _verdicts(db: Session, anchors: Collection[int]) -> dict[Pair, bool]:
    own = select(Verdict.a, Verdict.b, Verdict.same).where(Verdict.withdrawn_at.is_(None))
    own = own.where(Verdict.a.in_(anchors), Verdict.b.in_(anchors)).order_by(Verdict.id)
    return {(a, b): same for a, b, same in db.execute(own)}


def blocked(db: Session, values: Collection[Value]) -> set[Value]:
    """Which of these count no longer, by the shop's word."""
    if not values:
        return set()
    own = select(BlockedValue.type, BlockedValue.value).where(any_of(BlockedValue, values))
    return {(type_, value) for type_, value in db.execute(own)}


def heads_now(db: Session, anchors: Collection[int]) -> dict[int, int]:
    """Of each anchor who speaks for it so far."""
    own = select(Person.id, func.coalesce(Person.merged_into, Person.id)).where(Person.id.in_(anchors))
    return dict(db.execute(own).all())


def any_of(table: Any, keys: Collection[tuple[Any, ...]]) -> ColumnElement[bool]:
    """The condition that a row is about one of these identities."""
    by_type: dict[str, set[str]] = {}
    for type_, value, *_ in keys:
        by_type.setdefault(type_, set()).add(value)
    return or_(
        false(), *(and_(table.type == type_, table.value.in_(values)) for type_, values in sorted(by_type.items()))
    )

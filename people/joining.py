"""The one door through which identities come in: who is meant, what speaks for it, and who is one person then.

``people.evidence`` keeps what is said, ``people.nearby`` reads whom it can concern, ``people.resolving`` decides
(pure), ``people.merging`` moves what belongs to whom, ``people.explaining`` says why; this module puts them together.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from people import blocklist, doubts, evidence, explaining, guards, merging, nearby, persons, resolving
from people.identities import PHONE
from people.nearby import Near
from people.resolving import Edge, Pair, Partition, Value, pair_of
from storage.rows import insert_new, insert_new_rows
from storage.tables import Evidence, Identity, Person, Verdict
from storage.work import Work

Key = tuple[str, str, bool]
"""An identity as a fact names it: type, value (spelt by ``people.identities.spelt``), and whether it is certain."""
Place = tuple[int, int]
"""Whose a fact is: the person (the head of their anchors), and the anchor through which it came."""
SYSTEM = "system"


@dataclass(frozen=True)
class Given:
    """One identity that somebody tells of."""

    type: str
    value: str
    """Spelt as ``people.identities.spelt`` does."""
    verified: bool = True


# --- facts that come under an identity --------------------------------------------------------------------------------


def person_by(work: Work, type_: str, value: str, *, verified: bool, source: str, at: datetime) -> Place | None:
    """Whose a fact is that came under this identity; somebody new (without a name) if nobody is known by it.

    ``value`` is spelt as ``people.identities.spelt`` does; ``source`` is the system that tells us, such as ``pos-01``;
    ``at`` is when the fact was (UTC). An identity that is not verified is never taken for somebody who is known by it
    for certain: it has an anchor of its own, which later evidence may join to them.

    Keep both numbers with the fact (``person_id``, ``anchor_id``). None for what names nobody in particular
    (``people.blocklist``, and what the shop has blocked): 散客, 13800138000.
    """
    return people_by(work, [(type_, value, verified)], source=source, at=at).get((type_, value, verified))


def people_by(work: Work, keys: Sequence[Key], *, source: str, at: datetime) -> dict[Key, Place]:
    """The same for some hundred identities, in a few statements; those that name nobody are left out."""
    wanted = [one for one in dict.fromkeys(keys) if not blocklist.names_nobody(one[0], one[1])]
    shut = nearby.blocked(work.db, {(type_, value) for type_, value, _ in wanted})
    wanted = [one for one in wanted if one[:2] not in shut]
    known = _known(work.db, wanted)
    _seen_again(work.db, known, at)
    if missing := [one for one in wanted if one not in known]:
        _make(work, missing, source, at)
        known |= _known(work.db, missing)
    known = _held(work.db, known)
    work.via.update({head: anchor for head, anchor in known.values() if head != anchor})
    return known


def _held(db: Session, known: Mapping[Key, Place]) -> dict[Key, Place]:
    """Whose these are once nobody joins or parts them any more before this work is kept."""
    own = select(Person.id, Person.merged_into).where(Person.id.in_({anchor for _, anchor in known.values()}))
    heads = dict(db.execute(own.order_by(Person.id).with_for_update(read=True, key_share=True)).all())
    return {key: (heads.get(anchor) or anchor, anchor) for key, (_, anchor) in known.items()}


def _known(db: Session, keys: Sequence[Key]) -> dict[Key, Place]:
    """Who is known for certain by those that are certain, and for whom anchors were made by the others."""
    if not keys:
        return {}
    certain = select(Identity.type, Identity.value, Identity.person_id, Identity.anchor_id)
    certain = certain.where(nearby.any_of(Identity, keys), Identity.verified.is_(True))
    rows = db.execute(certain).all()
    found = {(one.type, one.value, True): (one.person_id, one.anchor_id or one.person_id) for one in rows}
    made = select(Evidence.type, Evidence.value, Evidence.verified, Evidence.anchor_id, Person.merged_into)
    made = made.join(Person, Person.id == Evidence.anchor_id).where(Evidence.home, Evidence.released_at.is_(None))
    for one in db.execute(made.where(nearby.any_of(Evidence, keys))):
        found.setdefault((one.type, one.value, one.verified), (one.merged_into or one.anchor_id, one.anchor_id))
    return {one: found[one] for one in keys if one in found}


def _seen_again(db: Session, known: Mapping[Key, Place], at: datetime) -> None:
    """A number is alive as long as something comes under it (``resolving.FRESH``)."""
    phones = {key: anchor for key, (_, anchor) in known.items() if key[0] == PHONE}
    if phones:
        own = (Evidence.anchor_id.in_(set(phones.values())), nearby.any_of(Evidence, list(phones)))
        db.execute(update(Evidence).where(*own, Evidence.seen_at < at).values(seen_at=at))


def _make(work: Work, keys: Sequence[Key], source: str, at: datetime) -> None:
    """An anchor for each of these. Who loses a race to another process uses the other's."""
    anchors = [Person(first_seen_at=at, last_seen_at=at, profile_at=_asked(work, one)) for one in keys]
    work.db.add_all(anchors)
    work.db.flush()
    rows = [
        evidence.edge(anchor.id, type_, value, source=source, verified=verified, at=at, home=True)
        for anchor, (type_, value, verified) in zip(anchors, keys, strict=True)
    ]
    kept = insert_new_rows(work.db, Evidence, rows, [], ["anchor_id", "type", "value", "verified"])
    ours = {one.anchor_id for one in kept}
    for anchor in anchors:
        if anchor.id not in ours:
            work.db.delete(anchor)
    work.db.flush()
    if not kept:
        return
    indexed = [
        {
            "person_id": one.anchor_id,
            "type": one.type,
            "value": one.value,
            "verified": one.verified,
            "added_at": at,
            "source": source[:40],
        }
        for one in kept
    ]
    insert_new(work.db, Identity, indexed, ["type", "value"])
    _look_again_at_shared(work, {(one.type, one.value): one.anchor_id for one in kept})


def _asked(work: Work, key: Key) -> datetime | None:
    """Of whom WeCom knows nothing it is not to be asked: only an external_userid waits for its profile."""
    return None if key[0] == persons.EXTERNAL else work.now


def _look_again_at_shared(work: Work, made: Mapping[Value, int]) -> None:
    """Somebody else may be known by what a new anchor was made for: a number in a remark, a certain one."""
    others = select(Evidence.type, Evidence.value, Evidence.anchor_id).where(nearby.any_of(Evidence, list(made)))
    shared = {(type_, value) for type_, value, anchor in work.db.execute(others) if made[type_, value] != anchor}
    if shared:
        resolve_again(work, {made[one] for one in shared}, by=SYSTEM)


# --- evidence that comes about somebody ------------------------------------------------------------------------------


def learn(
    work: Work, anchor: Person | int | None, identities: Sequence[Given], *, source: str, by: str = SYSTEM,
    at: datetime | None = None,
) -> Person:  # fmt: skip
    """Somebody is known by these identities: keep that, work out who is one person now, and give them.

    ``anchor``: of whom it is told (a person, or the id of an anchor); None: whoever is known by the first identity,
    made if nobody is. ``source`` says who tells it, ``by`` who caused it (for the audit), ``at`` when it was so (UTC,
    default now). Telling the same again changes nothing.
    """
    at = at or work.now
    if anchor is None:
        first = identities[0]
        place = person_by(work, first.type, first.value, verified=first.verified, source=source, at=at)
        if place is None:
            raise ValueError("this identity names nobody in particular")
        number = place[1]
    else:
        number = anchor if isinstance(anchor, int) else work.via.get(anchor.id, anchor.id)
    rows = [
        evidence.edge(number, one.type, one.value, source=source, verified=one.verified, at=at) for one in identities
    ]
    if rows := evidence.news(work.db, rows):
        new = [_queue_up(work, number, about) for about in sorted({(one["type"], one["value"]) for one in rows})]
        if evidence.keep(work.db, rows) or any(new):
            resolve_again(work, [number], by=by)
    return persons.head_of(work.db, work.db.get_one(Person, number, populate_existing=True))


def _queue_up(work: Work, anchor: int, about: Value) -> bool:
    """Two who tell of one identity at the same moment: the second waits here, and then sees what the first has kept.

    Whether nobody was known by it; whose it is then is said at the end (``_index``).
    """
    row = {"person_id": anchor, "type": about[0], "value": about[1], "verified": False, "added_at": work.now}
    if not insert_new(work.db, Identity, [row], ["type", "value"]):
        own = select(Identity.id).where(Identity.type == about[0], Identity.value == about[1])
        work.db.execute(own.with_for_update()).all()
        return False
    return True


def learn_many(work: Work, told: Sequence[tuple[int, Given]], *, source: str, home: Collection[str] = ()) -> None:
    """Many new people are known by these identities, each told with the id of its anchor; in a few statements.

    Of types in ``home`` the anchors were made for them. Only who shares something with somebody is looked at again.
    """
    told = list({(anchor, one.type, one.value): (anchor, one) for anchor, one in told}.values())
    if not told:
        return
    indexed = [
        {"person_id": anchor, "type": one.type, "value": one.value, "verified": one.verified, "added_at": work.now,
         "source": source[:40]}
        for anchor, one in told
    ]  # fmt: skip
    insert_new(work.db, Identity, indexed, ["type", "value"])
    rows = [
        evidence.edge(
            anchor, one.type, one.value, source=source, verified=one.verified, at=work.now, home=one.type in home
        )
        for anchor, one in told
    ]
    insert_new(work.db, Evidence, rows, [])
    crowds = nearby.crowds(work.db, {(one.type, one.value) for _, one in told})
    if shared := {anchor for anchor, one in told if crowds[one.type, one.value] > 1}:
        resolve_again(work, shared, by=SYSTEM)


def forget(work: Work, anchor_id: int, source: str, keep: Collection[Value], type_: str) -> None:
    """What a source says of an anchor no longer was a mistake: its evidence of this type goes, but for ``keep``."""
    own = (Evidence.anchor_id == anchor_id, Evidence.source == source, Evidence.type == type_)
    stale = [
        (one.id, (one.type, one.value))
        for one in work.db.scalars(select(Evidence).where(*own)).all()
        if (one.type, one.value) not in keep
    ]
    if stale:
        near = nearby.anchors_of(work.db, [about for _, about in stale])
        work.db.execute(delete(Evidence).where(Evidence.id.in_([number for number, _ in stale])))
        resolve_again(work, near | {anchor_id}, by=SYSTEM, about=[about for _, about in stale])


def cut(work: Work, anchor_id: int, *, by: str, why: str = "") -> Person:
    """An anchor is not the same person as the others it was joined to; the person that it is from now on."""
    others = [one for one in persons.anchors(work.db, anchor_id) if one != anchor_id]
    for other in others:
        _say(work, pair_of(anchor_id, other), same=False, by=by, why=why)
    resolve_again(work, [anchor_id, *others], by=by)
    return persons.head_of(work.db, work.db.get_one(Person, anchor_id, populate_existing=True))


def keep_apart(work: Work, one: int, other: int, *, by: str, why: str = "") -> None:
    """These two people are not one: no anchor of the one is ever joined to an anchor of the other."""
    for a in persons.anchors(work.db, one):
        for b in persons.anchors(work.db, other):
            if a != b:
                _say(work, pair_of(a, b), same=False, by=by, why=why)
    resolve_again(work, [one, other], by=by)


def tie(work: Work, one: int, other: int, *, by: str, why: str = "") -> bool:
    """These two are one person, somebody says so; False when a limit forbids it (two unionids)."""
    for a in persons.anchors(work.db, one):
        for b in persons.anchors(work.db, other):
            if a != b:
                _withdraw(work, pair_of(a, b))
    _say(work, pair_of(one, other), same=True, by=by, why=why)
    resolve_again(work, [one, other], by=by)
    joined = other in persons.anchors(work.db, one)
    if not joined:
        _withdraw(work, pair_of(one, other))
        resolve_again(work, [one, other], by=by)
    return joined


def uncut(work: Work, one: int, other: int, *, by: str) -> None:
    """What somebody said about these two anchors counts no longer; what else is known decides."""
    _withdraw(work, pair_of(one, other))
    resolve_again(work, [one, other], by=by)


def release(work: Work, person_id: int, type_: str, value: str, *, by: str, at: datetime | None = None) -> bool:
    """A person has given this identity up (a number that was handed back); False when it was not theirs."""
    own = persons.anchors(work.db, person_id)
    if not evidence.release(work.db, own, type_, value, at or work.now):
        return False
    resolve_again(work, {*own, *nearby.anchors_of(work.db, [(type_, value)])}, by=by, about=[(type_, value)])
    return True


def confirmed(db: Session, head_id: int) -> set[int]:
    """Whose points this person may spend: the head's own, and of those anchors that more than a rep's word joined."""
    own = set(persons.anchors(db, head_id))
    if len(own) < 2:
        return own
    sure = _resolved(db, own).sure
    return {one for one in own if sure.get(one, one) == sure.get(head_id, head_id)}


def _say(work: Work, pair: Pair, *, same: bool, by: str, why: str) -> None:
    _withdraw(work, pair)
    work.db.add(Verdict(a=pair[0], b=pair[1], same=same, by=by[:100], why=why[:200], at=work.now))
    work.db.flush()


def _withdraw(work: Work, pair: Pair) -> None:
    own = (Verdict.a == pair[0], Verdict.b == pair[1], Verdict.withdrawn_at.is_(None))
    work.db.execute(update(Verdict).where(*own).values(withdrawn_at=work.now))


# --- who is one person ------------------------------------------------------------------------------------------------


def resolve_again(work: Work, anchors: Iterable[int], *, by: str, about: Collection[Value] = ()) -> None:
    """Work out who is one person among everybody whom evidence connects with these anchors, and carry it out.

    ``about``: identities whose holder is to be looked at again too.
    """
    db = work.db
    db.flush()
    near = nearby.hold_all(db, set(anchors))
    decided = _decide(work, near, by)
    _carry_out(work, near, decided, by)
    _index(db, near, decided, about)
    doubts.keep(work, near.anchors, decided, by=by)


def foresee(work: Work, about: Value, *, counts: bool) -> tuple[Mapping[int, int], Partition, Collection[Pair]]:
    """What would be if this identity counted or no longer did; nothing is changed.

    Of each anchor near who speaks for it now, who is one person then, and the pairs that would wait for two people.
    """
    near = nearby.look_around(work.db, nearby.anchors_of(work.db, [about]))
    then = replace(near, blocked=near.blocked - {about} if counts else near.blocked | {about})
    decided, held = _weighed(work, then)
    return nearby.heads_now(work.db, near.anchors), decided, [pair for pair, _ in held]


def _resolved(db: Session, anchors: Collection[int]) -> Partition:
    return nearby.look_around(db, anchors).resolve()


def _decide(work: Work, near: Near, by: str) -> Partition:
    """Who is one person; two whom a guard holds apart wait for a review first, and stay apart until then."""
    decided, held = _weighed(work, near)
    for pair, otherwise in held:
        doubts.guard(work, pair, otherwise, by=by)
    return decided


def _weighed(work: Work, near: Near) -> tuple[Partition, list[tuple[Pair, Partition]]]:
    """Who is one person, and each pair that a guard holds apart with what would be so otherwise."""
    held: list[tuple[Pair, Partition]] = []
    while True:
        decided = near.resolve()
        pair = guards.first(work, nearby.heads_now(work.db, near.anchors), decided, near.ties)
        if pair is None:
            return decided, held
        held.append((pair, decided))
        near = replace(near, guarded=near.guarded | {pair})


def _carry_out(work: Work, near: Near, decided: Partition, by: str) -> None:
    before = nearby.heads_now(work.db, near.anchors)
    changes = [
        merging.Change(one, before[one], decided.head[one])
        for one in sorted(near.anchors)
        if one in before and before[one] != decided.head[one]
    ]
    if not changes:
        return
    work.look_again()
    _count(work, changes, decided)
    merging.move(work, changes)
    for one in changes:
        explaining.tell(work, one, decided, explaining.parted_by(near, before, decided, one.anchor))
    explaining.explain(work, near, before, decided, by)


def _count(work: Work, changes: Sequence[merging.Change], decided: Partition) -> None:
    tally, sizes = guards.tally(work), Counter(decided.head.values())
    tally.merges += sum(one.after != one.anchor for one in changes)
    tally.biggest = max(tally.biggest, *sizes.values())


# --- who is known by what --------------------------------------------------------------------------------------------


def _index(db: Session, near: Near, decided: Partition, about: Collection[Value]) -> None:
    """Say anew of each value near whose it is: of whom it was made for, else who is known by it the longest."""
    holders: dict[Value, Edge] = {}
    for one in sorted(near.edges, key=_claim):
        if one.released is None and (one.home or one.about not in near.crowded):
            holders.setdefault(one.about, one)
    values = {one.about for one in near.edges} | set(about)
    rows = db.scalars(select(Identity).where(nearby.any_of(Identity, values))).all() if values else []
    known = {(one.type, one.value): one for one in rows}
    for value in sorted(values):
        row, nobody = known.get(value), value in near.blocked or blocklist.names_nobody(*value)
        if row is not None and value in near.crowded and (row.anchor_id or row.person_id) not in near.anchors:
            continue  # somebody further away has it
        _write(db, row, None if nobody else holders.get(value), decided)
    db.flush()


def _claim(one: Edge) -> tuple[Any, ...]:
    return (one.strength != resolving.STRONG, not one.home, one.first, one.anchor)


def _write(db: Session, row: Identity | None, holder: Edge | None, decided: Partition) -> None:
    if holder is None:
        if row is not None:
            db.delete(row)
        return
    if row is None:
        row = Identity(type=holder.type, value=holder.value)
        db.add(row)
    head = decided.head.get(holder.anchor, holder.anchor)
    row.person_id, row.anchor_id = head, holder.anchor if holder.anchor != head else None
    row.verified, row.added_at = holder.strength == resolving.STRONG, holder.first
    row.source = _source(db, holder)


def _source(db: Session, holder: Edge) -> str:
    own = (Evidence.anchor_id == holder.anchor, Evidence.type == holder.type, Evidence.value == holder.value)
    sources = db.scalars(select(Evidence.source).where(*own).order_by(Evidence.verified.desc(), Evidence.id)).all()
    return ("rep" if sources[0].startswith(evidence.REP) else sources[0])[:40]

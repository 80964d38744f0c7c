"""The one door through which identities come in: who is meant, what speaks for it, and who is one person then.

``people.resolving`` decides (pure), ``people.merging`` moves rows, this module keeps the evidence between them.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from people import blocklist, evidence
from storage.database import insert_new_rows
from storage.tables import Evidence, Identity, Person
from storage.work import Work

Key = tuple[str, str, bool]
"""An identity as a fact names it: type, value (spelt by ``people.identities.spelt``), and whether it is certain."""
Place = tuple[int, int]
"""Whose a fact is: the person (the head of their anchors), and the anchor through which it came."""


def person_by(work: Work, type_: str, value: str, *, verified: bool, source: str, at: datetime) -> Place | None:
    """Whose a fact is that came under this identity; somebody new (without a name) if nobody is known by it.

    ``value`` is spelt as ``people.identities.spelt`` does; ``source`` is the system that tells us, such as ``pos-01``;
    ``at`` is when the fact was (UTC). An identity that is not verified is never taken for somebody who is known by it
    for certain: it has an anchor of its own, which later evidence may join to them.

    Keep both numbers with the fact (``person_id``, ``anchor_id``). None for what names nobody in particular
    (``people.blocklist``): 散客, 13800138000.
    """
    return people_by(work, [(type_, value, verified)], source=source, at=at).get((type_, value, verified))


def people_by(work: Work, keys: Sequence[Key], *, source: str, at: datetime) -> dict[Key, Place]:
    """The same for some hundred identities, in a few statements; those that name nobody are left out."""
    wanted = [one for one in dict.fromkeys(keys) if not blocklist.names_nobody(one[0], one[1])]
    known = _known(work.db, wanted)
    if missing := [one for one in wanted if one not in known]:
        _make(work, missing, source, at)
        known |= _known(work.db, missing)
    return known


def _known(db: Session, keys: Sequence[Key]) -> dict[Key, Place]:
    """Who is known for certain by those that are certain, and for whom anchors were made by the others."""
    if not keys:
        return {}
    certain = select(Identity.type, Identity.value, Identity.person_id, Identity.anchor_id)
    certain = certain.where(_any_of(Identity, keys), Identity.verified.is_(True))
    rows = db.execute(certain).all()
    found = {(one.type, one.value, True): (one.person_id, one.anchor_id or one.person_id) for one in rows}
    made = select(Evidence.type, Evidence.value, Evidence.verified, Evidence.anchor_id, Person.merged_into)
    made = made.join(Person, Person.id == Evidence.anchor_id).where(Evidence.home, Evidence.released_at.is_(None))
    for one in db.execute(made.where(_any_of(Evidence, keys))):
        found.setdefault((one.type, one.value, one.verified), (one.merged_into or one.anchor_id, one.anchor_id))
    return {one: found[one] for one in keys if one in found}


def _any_of(table: Any, keys: Collection[tuple[Any, ...]]) -> ColumnElement[bool]:
    """The condition that a row is about one of these identities."""
    by_type: dict[str, set[str]] = {}
    for type_, value, *_ in keys:
        by_type.setdefault(type_, set()).add(value)
    return or_(*(and_(table.type == type_, table.value.in_(values)) for type_, values in sorted(by_type.items())))


def _make(work: Work, keys: Sequence[Key], source: str, at: datetime) -> None:
    """An anchor for each of these. Who loses a race to another process uses the other's."""
    anchors = [Person(first_seen_at=at, last_seen_at=at) for _ in keys]
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
    certain = [
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
    insert_new_rows(work.db, Identity, certain, ["type", "value"], ["id"])

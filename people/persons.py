"""Persons and their relations as we keep them: found or made, brought up to date, and their story written on.

A person is not a relation: history, tags and points hang on the person; WeCom's remark and state on the relation.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from people import evidence, relations
from people.relations import Fact
from storage import search
from storage.rows import insert_new, upsert
from storage.tables import (
    Channel,
    Evidence,
    Identity,
    Interaction,
    Interval,
    Member,
    Person,
    Relation,
    RelationFact,
    Welcome,
)
from storage.work import Work

EXTERNAL, UNIONID = "external_userid", "unionid"
REMARK = "remark"
"""The source of what a rep wrote down as the customer's phone number."""
LIVING = ("active", "half")


def public_id(person_id: int) -> str:
    """How a person is named outside: ``p_17``."""
    return f"p_{person_id}"


def head_of(db: Session, person: Person) -> Person:
    """The anchor that speaks for this one: itself, unless it turned out to be somebody we knew already."""
    return person if person.merged_into is None else db.get_one(Person, person.merged_into)


def anchors_of(db: Session, heads: Collection[int]) -> dict[int, list[int]]:
    """The anchors of several people at once, the head of each first."""
    found: dict[int | None, list[int]] = {one: [one] for one in heads}
    for anchor, head in db.execute(select(Person.id, Person.merged_into).where(Person.merged_into.in_(found))):
        found[head].append(anchor)
    return {one: some for one, some in found.items() if one is not None}


def anchors(db: Session, person_id: int) -> list[int]:
    """The ids of everybody who turned out to be this person; the one that speaks for all first, then the oldest."""
    head = db.scalar(select(func.coalesce(Person.merged_into, Person.id)).where(Person.id == person_id))
    if head is None:
        return []
    return [head, *db.scalars(select(Person.id).where(Person.merged_into == head).order_by(Person.id))]


def hold_all(work: Work, person: Person) -> None:
    """Nobody else writes about this person, under whatever anchor, until this work is kept."""
    own = select(Person).where(Person.id.in_(anchors(work.db, person.id))).order_by(Person.id)
    work.db.scalars(own.with_for_update().execution_options(populate_existing=True)).all()


def find_person(db: Session, type_: str, value: str) -> Person | None:
    """The person known by this identity."""
    known = select(Person).join(Identity).where(Identity.type == type_, Identity.value == value)
    return db.scalars(known).one_or_none()


def person_of(work: Work, external_userid: str, at: datetime | None = None) -> Person:
    """The person behind an external_userid, made if we meet them for the first time (``at`` then, or now).

    Two may meet them at the same moment (an event and the first fill): the identity decides whose person it is.
    """
    while (person := find_through(work, EXTERNAL, external_userid)) is None:
        made = Person(first_seen_at=at or work.now, last_seen_at=at or work.now)
        work.db.add(made)
        work.db.flush()
        if _first_known(work.db, made.id, external_userid, work.now):
            return made
        work.db.delete(made)
        work.db.flush()
    return person


def find_through(work: Work, type_: str, value: str) -> Person | None:
    """The person known by this identity; what is told of them in this work remembers through which anchor."""
    known = select(Person, Identity.anchor_id).join(Identity).where(Identity.type == type_, Identity.value == value)
    row = work.db.execute(known).one_or_none()
    if row is None:
        return None
    person: Person = row[0]
    anchor: int | None = row[1]
    work.via.pop(person.id, None)
    if anchor is not None:
        work.via[person.id] = anchor
    return person


def name_of(db: Session, external_userid: str) -> str | None:
    """The name of whoever has this external_userid, if we know it."""
    own = select(Person.name).join(Identity).where(Identity.type == EXTERNAL, Identity.value == external_userid)
    return db.scalar(own) or None


def identity(db: Session, person: Person, type_: str) -> str | None:
    """The person's (first) identity of a type."""
    own = select(Identity.value).where(Identity.person_id == person.id, Identity.type == type_)
    return db.scalar(own.order_by(Identity.id).limit(1))


def own_external(db: Session, anchor_id: int) -> str | None:
    """The external_userid by which an anchor came to us, whoever speaks for it now."""
    own = select(Evidence.value).where(Evidence.anchor_id == anchor_id, Evidence.type == EXTERNAL)
    return db.scalar(own.order_by(Evidence.home.desc(), Evidence.id).limit(1))


def _first_known(db: Session, person_id: int, external_userid: str, at: datetime) -> bool:
    """Somebody new is known by this; False when it belongs to somebody already."""
    row = {"person_id": person_id, "type": EXTERNAL, "value": external_userid, "added_at": at}
    if not insert_new(db, Identity, [row], ["type", "value"]):
        return False
    edge = evidence.edge(person_id, EXTERNAL, external_userid, source="wecom", verified=True, at=at, home=True)
    return evidence.keep(db, [edge])


def member_of(work: Work, userid: str) -> Member | None:
    """The member of this userid, spelt as we keep it."""
    return work.found(("member", userid), lambda: work.db.get(Member, userid))


def look_up_members(work: Work, userids: Collection[str]) -> None:
    """Look these members up in one; ``member_of`` then finds them in the work."""
    found = {one.userid: one for one in work.db.scalars(select(Member).where(Member.userid.in_(userids)))}
    for userid in userids:
        work.found(("member", userid), partial(found.get, userid))


def own_spelling(work: Work, userid: str) -> str:
    """The userid as we keep it: WeCom compares userids without regard to case and sends both."""
    if member_of(work, userid) is not None:
        return userid
    alike = select(Member.userid).where(func.lower(Member.userid) == userid.lower()).limit(1)
    return work.found(("spelling", userid), lambda: work.db.scalar(alike)) or userid


def rep_name(db: Session, userid: str) -> str:
    """A rep's name, or the userid while we do not know it."""
    return db.scalar(select(Member.name).where(Member.userid == userid)) or userid


def last_interval(db: Session, relation: Relation) -> Interval | None:
    """The newest interval of a relation."""
    own = select(Interval).where(Interval.relation_id == relation.id).order_by(Interval.number.desc()).limit(1)
    return db.scalars(own.execution_options(populate_existing=True)).one_or_none()


def relation_of(db: Session, person: Person, userid: str, external_userid: str) -> Relation:
    """The relation between this rep and this person, made if it is new."""
    pair = select(Relation).where(Relation.external_userid == external_userid, Relation.userid == userid)
    if (known := db.scalars(pair).one_or_none()) is not None:
        return known
    row = {"person_id": person.id, "userid": userid, "external_userid": external_userid, "state": "unknown"}
    insert_new(db, Relation, [{**row, "remark_phones": []}], ["external_userid", "userid"])
    return db.scalars(pair).one()


def hold(work: Work, person: Person) -> None:
    """Until this work is kept nobody else folds this person's relations: two workers must not fold past each other."""
    work.found(("held", person.id), lambda: work.db.refresh(person, with_for_update={"key_share": True}))


def record(work: Work, person: Person, relation: Relation, fact: Fact) -> bool:
    """Keep a fact about a relation and fold again; False when we knew it already."""
    row = {
        "relation_id": relation.id,
        "kind": fact.kind,
        "at": fact.at,
        "source_state": fact.source_state,
        "had_code": fact.had_code,
        "add_way": fact.add_way,
        "inbox_id": work.inbox_id,
    }
    new = bool(insert_new(work.db, RelationFact, [row], ["relation_id", "kind", "at"]))
    refold(work, person)
    return new


def refold(work: Work, person: Person) -> None:
    """Compute every relation of this person anew from its facts."""
    db = work.db
    db.flush()
    hold(work, person)
    mine = select(Relation).where(Relation.person_id == person.id).order_by(Relation.id)
    own = list(db.scalars(mine.execution_options(populate_existing=True)))
    facts: dict[int, list[Fact]] = {one.id: [] for one in own}
    rows = db.scalars(select(RelationFact).where(RelationFact.relation_id.in_(facts)))
    for row in rows:
        facts[row.relation_id].append(Fact(row.kind, row.at, row.source_state, row.had_code, row.add_way))
    gone = {one.id: [fact.at for fact in facts[one.id] if fact.kind == relations.TRANSFERRED] for one in own}
    with db.no_autoflush:  # each row is written once, at the end
        for relation in own:
            elsewhere = [at for other, times in gone.items() if other != relation.id for at in times]
            _store(db, relation, facts[relation.id], elsewhere)
        _choose_owner(person, own)
    person.last_seen_at = max([person.last_seen_at, *(fact.at for some in facts.values() for fact in some)])


def _store(db: Session, relation: Relation, facts: list[Fact], elsewhere: list[datetime]) -> None:
    stretches = relations.fold(facts, elsewhere)
    relation.state = relations.state_of(stretches)
    if not stretches:
        return
    last = stretches[-1]
    relation.added_at, relation.ended_at = last.began_at, last.ended_at
    relation.source_state = last.source_state or relation.source_state
    channels = _channels(db, {one.source_state for one in stretches} | {relation.source_state})
    relation.channel_id = channels.get(relation.source_state or "")
    rows = [
        {
            "relation_id": relation.id,
            "number": number,
            "person_id": relation.person_id,
            "userid": relation.userid,
            "began_at": one.began_at,
            "confirmed_at": one.confirmed_at,
            "ended_at": one.ended_at,
            "ended_by": one.ended_by,
            "origin": one.origin,
            "channel_id": channels.get(one.source_state or ""),
        }
        for number, one in enumerate(stretches, start=1)
    ]
    derived = [name for name in rows[0] if name not in ("relation_id", "number")]
    upsert(db, Interval, rows, ["relation_id", "number"], derived)
    if len(facts) > len(rows):  # there were never more intervals than facts
        db.execute(delete(Interval).where(Interval.relation_id == relation.id, Interval.number > len(rows)))


def _channels(db: Session, states: set[str | None]) -> dict[str, int]:
    codes = [state for state in states if state]
    if not codes:
        return {}
    found = db.execute(select(Channel.code, Channel.id).where(Channel.code.in_(codes)))
    return dict(found.all())


def _choose_owner(person: Person, own: list[Relation]) -> None:
    """The oldest living relation answers for the person, unless an owner was set by hand or stays alive.

    Who has nobody any more keeps the rep they had last, whether or not we ever saw that relation alive: the news of a
    parting may reach us before that of the arrival.
    """
    living = sorted((one for one in own if one.state in LIVING and one.added_at), key=lambda one: str(one.added_at))
    if person.owner_by_hand or person.owner in {one.userid for one in living}:
        return
    ended = sorted((one for one in own if one.ended_at and not living), key=lambda one: str(one.ended_at))
    person.owner = next((one.userid for one in (*living, *reversed(ended))), person.owner)


def give_owner(work: Work, person: Person, userid: str | None) -> None:
    """Let this rep answer for the person from now on; None goes back to the oldest living relation."""
    person.owner_by_hand = userid is not None
    person.owner = userid
    if userid is None:
        refold(work, person)


def tell(
    work: Work,
    person_id: int,
    kind: str,
    at: datetime,
    *,
    once: str,
    userid: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> bool:
    """Write one line of a person's story; telling the same (``once``) again changes nothing."""
    row = {
        "person_id": person_id,
        "userid": userid,
        "kind": kind,
        "at": at,
        "details": dict(details or {}),
        "once": once,
    }
    return told(work, row) is not None


def told(work: Work, row: dict[str, Any]) -> int | None:
    """Write one line of a story, with the columns of ``Interaction``; its id, or None when it was told already.

    Its text can be searched for from now on.
    """
    row = {**row, "anchor_id": row.get("anchor_id", work.via.get(row["person_id"]))}
    new = insert_new(work.db, Interaction, [row], ["once"])
    if new and (said := row["details"].get("text")):
        search.index(work.db, new[0], str(said))
    return new[0] if new else None


def tell_welcomed(work: Work, sent: Sequence[Welcome]) -> None:
    """Write welcomes that were sent into the stories of those we know by now; of the others their arrival tells."""
    if not sent:
        return
    own = (Identity.type == EXTERNAL, Identity.value.in_({one.external_userid for one in sent}))
    rows = work.db.execute(select(Identity.value, Identity.person_id, Identity.anchor_id).where(*own))
    known = {value: (head, anchor) for value, head, anchor in rows}
    lines = [
        {
            "person_id": known[one.external_userid][0],
            "anchor_id": known[one.external_userid][1],
            "userid": one.userid,
            "kind": "welcomed",
            "at": one.settled_at,
            "details": {"text": one.text, "attachments": one.attachments or []},
            "once": f"welcome:{one.id}",
        }
        for one in sent
        if one.external_userid in known
    ]
    insert_new(work.db, Interaction, lines, ["once"])  # not to be searched for: all say the same

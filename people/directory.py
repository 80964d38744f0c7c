"""The list of customers and the whole picture of one: the same questions for console, API and export."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, true, tuple_
from sqlalchemy.orm import Session

from people.access import Sight
from people.stages import in_stage
from storage import search
from storage.tables import (
    Channel,
    Identity,
    Interaction,
    Interval,
    Person,
    PersonTag,
    Relation,
    RelationTag,
    Tag,
    Welcome,
)

MAX_PAGE = 500


@dataclass(frozen=True)
class Filter:
    """What a list of customers is narrowed to. All given conditions must hold."""

    q: str = ""
    tag_id: int | None = None
    owner: str | None = None
    channel_id: int | None = None
    state: str | None = None
    """A relation's state: active, half, lost."""
    stage: str | None = None
    """A person's stage as in ``people.stages``; unlike ``state`` no person has two."""
    life_cycle: str | None = None
    """As ``Person.life_cycle``."""
    opted_out: bool = False
    """Only those who want to hear nothing more unasked."""


Cursor = tuple[datetime, int]
LOST = ("ended_by_rep", "ended_by_customer", "ended_by_both")
RELATION_STATES: dict[str, tuple[str, ...]] = {"active": ("active",), "half": ("half",), "lost": LOST}


def _conditions(sight: Sight, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [sight.people()]
    if wanted.q:
        conditions.append(_matching(sight, wanted.q))
    if wanted.tag_id is not None:
        conditions.append(Person.id.in_(select(PersonTag.person_id).where(PersonTag.tag_id == wanted.tag_id)))
    if wanted.owner:
        conditions.append(and_(Person.owner == wanted.owner, true() if sight.rep(wanted.owner) else false()))
    if wanted.channel_id is not None:
        came = select(Relation.person_id).where(
            Relation.channel_id == wanted.channel_id, sight.reps(Relation.userid.expression)
        )
        conditions.append(Person.id.in_(came))
    if wanted.state in RELATION_STATES:
        conditions.append(_in_state(sight, wanted.state))
    if wanted.stage is not None:
        conditions.append(in_stage(sight, wanted.stage))
    if wanted.life_cycle is not None:
        conditions.append(Person.life_cycle == wanted.life_cycle)
    if wanted.opted_out:
        conditions.append(Person.opted_out.is_(True))
    return conditions


def _matching(sight: Sight, q: str) -> ColumnElement[bool]:
    """A name, a remark in sight, an identity, a whole phone number or its last four digits.

    Typed text is never a pattern. Other parts of a number find nothing, or the hidden digits could be felt out.
    """
    found = Person.name.contains(q, autoescape=True)
    remarks = select(Relation.person_id).where(
        Relation.remark.contains(q, autoescape=True), sight.reps(Relation.userid.expression)
    )
    known = select(Identity.person_id).where(Identity.value == q)
    conditions = [found, Person.id.in_(remarks), Person.id.in_(known)]
    if q.isascii() and q.isdecimal():
        conditions.append(Person.phone.endswith(q) if len(q) == 4 else Person.phone == q)
    return or_(*conditions)


def _in_state(sight: Sight, state: str) -> ColumnElement[bool]:
    """Active or half: with somebody in sight. Lost: with nobody in sight any more."""
    in_sight = sight.reps(Relation.userid.expression)
    some = select(Relation.person_id).where(Relation.state.in_(RELATION_STATES[state]), in_sight)
    if state != "lost":
        return Person.id.in_(some)
    living = select(Relation.person_id).where(Relation.state.in_(("active", "half")), in_sight)
    return and_(Person.id.in_(some), Person.id.not_in(living))


def _listed(sight: Sight, wanted: Filter) -> "Select[Person]":
    return select(Person).where(*_conditions(sight, wanted)).order_by(Person.last_seen_at.desc(), Person.id.desc())


def page(
    db: Session, sight: Sight, wanted: Filter, *, limit: int, after: Cursor | None = None
) -> tuple[list[Person], Cursor | None]:
    """One page, newest first, and where the next one begins (None at the end)."""
    question = _listed(sight, wanted)
    if after is not None:
        question = question.where(tuple_(Person.last_seen_at, Person.id) < tuple_(*after))
    found = list(db.scalars(question.limit(min(limit, MAX_PAGE) + 1)))
    more = len(found) > limit
    found = found[:limit]
    return found, ((found[-1].last_seen_at, found[-1].id) if more else None)


def newest(
    db: Session, sight: Sight, wanted: Filter, *, limit: int, before: int | None = None
) -> tuple[list[Person], int | None]:
    """One page in the order in which people became known, last first, and the id that the next page comes before.

    That order never changes, so somebody who walks the whole list while customers come and chat misses nobody.
    """
    question = select(Person).where(*_conditions(sight, wanted)).order_by(Person.id.desc())
    if before is not None:
        question = question.where(Person.id < before)
    found = list(db.scalars(question.limit(min(limit, MAX_PAGE) + 1)))
    more = len(found) > limit
    found = found[:limit]
    return found, (found[-1].id if more else None)


def count(db: Session, sight: Sight, wanted: Filter) -> int:
    """How many people the list holds."""
    return db.scalars(select(func.count()).select_from(Person).where(*_conditions(sight, wanted))).one()


def every(db: Session, sight: Sight, wanted: Filter) -> Iterator[Person]:
    """The whole list, a thousand at a time, for an export."""
    yield from db.scalars(_listed(sight, wanted).execution_options(yield_per=1000))


def every_id(db: Session, sight: Sight, wanted: Filter) -> Iterator[int]:
    """The ids of the whole list, for work on all of them."""
    question = select(Person.id).where(*_conditions(sight, wanted)).order_by(Person.id.desc())
    yield from db.scalars(question.execution_options(yield_per=1000))


@dataclass(frozen=True)
class TagOnPerson:
    """A tag, why it is there, and whether WeCom shows it."""

    tag: Tag
    source: str
    because: str
    actor: str | None
    at: datetime
    at_wecom: str
    """done, pending, refused, watched; ``none`` when there is no living relation to show it on."""
    detail: str | None


@dataclass(frozen=True)
class Picture:
    """Everything about one person that this viewer may see."""

    person: Person
    identities: list[Identity]
    relations: list[Relation]
    tags: list[TagOnPerson]
    welcomes: list[Welcome]
    channels: dict[int, Channel]


def picture(db: Session, sight: Sight, person: Person) -> Picture:
    """The whole picture of a person; relations of reps outside one's sight are left out."""
    own = select(Relation).where(Relation.person_id == person.id, sight.reps(Relation.userid.expression))
    relations = list(db.scalars(own.order_by(Relation.added_at, Relation.id)))
    identities = list(db.scalars(select(Identity).where(Identity.person_id == person.id).order_by(Identity.id)))
    externals = [one.value for one in identities if one.type == "external_userid"]
    greeted = select(Welcome).where(Welcome.external_userid.in_(externals), sight.reps(Welcome.userid.expression))
    channel_ids = {one.channel_id for one in relations if one.channel_id}
    channels = {one.id: one for one in db.scalars(select(Channel).where(Channel.id.in_(channel_ids)))}
    return Picture(
        person,
        identities,
        relations,
        tags_on(db, [person.id]).get(person.id, []),
        list(db.scalars(greeted.order_by(Welcome.id.desc()).limit(20))),
        channels,
    )


def intervals(db: Session, relation_ids: Sequence[int]) -> dict[int, list[Interval]]:
    """The stretches of time of these relations, each relation's oldest first."""
    found: dict[int, list[Interval]] = {}
    own = select(Interval).where(Interval.relation_id.in_(relation_ids)).order_by(Interval.number)
    for one in db.scalars(own):
        found.setdefault(one.relation_id, []).append(one)
    return found


def tags_on(db: Session, person_ids: Sequence[int]) -> dict[int, list[TagOnPerson]]:
    """The tags of these people, each with its reason and its state at WeCom."""
    own = (
        select(PersonTag, Tag)
        .join(Tag, Tag.id == PersonTag.tag_id)
        .where(PersonTag.person_id.in_(person_ids))
        .order_by(Tag.group_name, Tag.name)
    )
    shown = _shown_at_wecom(db, person_ids)
    found: dict[int, list[TagOnPerson]] = {}
    for row, tag in db.execute(own):
        state, detail = shown.get((row.person_id, tag.id), ("none", None))
        found.setdefault(row.person_id, []).append(
            TagOnPerson(tag, row.source, row.because, row.actor, row.at, state, detail)
        )
    return found


def _shown_at_wecom(db: Session, person_ids: Sequence[int]) -> dict[tuple[int, int], tuple[str, str | None]]:
    """The worst state of each tag over a person's living relations: refused before pending before done."""
    rows = db.execute(
        select(Relation.person_id, RelationTag.tag_id, RelationTag.at_wecom, RelationTag.detail)
        .join(Relation, Relation.id == RelationTag.relation_id)
        .where(Relation.person_id.in_(person_ids), Relation.state.in_(("active", "half")), RelationTag.wanted.is_(True))
    )
    order = ("refused", "pending", "watched", "done")
    worst: dict[tuple[int, int], tuple[str, str | None]] = {}
    for person_id, tag_id, state, detail in rows:
        known = worst.get((person_id, tag_id))
        if known is None or order.index(state) < order.index(known[0]):
            worst[(person_id, tag_id)] = (state, detail)
    return worst


def story(
    db: Session,
    sight: Sight,
    person: Person,
    *,
    limit: int,
    kinds: Sequence[str] = (),
    q: str = "",
    after: Cursor | None = None,
) -> tuple[list[Interaction], Cursor | None]:
    """One page of a person's story, newest first: what this viewer's reps did, and what nobody in particular did.

    Reps are isolated from each other, so what happened with a rep outside one's sight stays outside it; but what
    happened before a transfer stays for whoever serves the customer now.
    """
    handed_over = select(Relation.userid).where(Relation.person_id == person.id, Relation.state == "transferred")
    question = select(Interaction).where(
        Interaction.person_id == person.id,
        or_(
            Interaction.userid.is_(None),
            sight.reps(cast(ColumnElement[str], Interaction.userid.expression)),
            Interaction.userid.in_(handed_over),
        ),
    )
    if kinds:
        question = question.where(Interaction.kind.in_(kinds))
    if q:
        question = question.where(search.holding(db, q))
    if after is not None:
        question = question.where(tuple_(Interaction.at, Interaction.id) < tuple_(*after))
    ordered = question.order_by(Interaction.at.desc(), Interaction.id.desc())
    found = list(db.scalars(ordered.limit(min(limit, MAX_PAGE) + 1)))
    more = len(found) > limit
    found = found[:limit]
    return found, ((found[-1].at, found[-1].id) if more else None)

"""Customers: found, listed, shown with everything we know of them, and given identities and tags."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import here, paging
from api.operations import Call, Reply
from api.problems import CONFLICT, Problem, invalid, not_found
from api.shapes import Asked, Line, Loose, Paged, Prose, Query, Shape, TagId, example
from loyalty import accounts, tiers
from loyalty.ledger.standing import Standing
from people import birthdays, blocklist, directory, identities, joining, persons
from people.cards import Card, cards
from people.directory import Filter, TagOnPerson
from people.joining import Given
from people.stages import STAGES
from storage.database import reading
from storage.tables import Identity, Interaction, Person, Tag
from storage.work import Work
from tagging import tags
from tagging.tags import Ground

STAGE = (
    "Told by the relations to our reps alone, for now: `active`: at least one rep has the customer in WeCom; "
    "`half`: only one side has added the other so far; `lost`: nobody has them any more; `new`: no rep is known to "
    "have, or to have had, them."
)
LIFE_CYCLE = (
    "Where the customer is in the life cycle, by the shop's rules, as of last night (newcomers within minutes): "
    "`prospect` 潜在, `new` 新客, `active` 活跃, `loyal` 忠诚, `dormant` 沉睡, `lost` 流失; null before anybody looked."
)
LifeCycle = Literal["prospect", "new", "active", "loyal", "dormant", "lost"]
AtWeCom = Annotated[
    str,
    Field(
        json_schema_extra={"enum": ["done", "pending", "refused", "watched", "none"]},
        description="Whether WeCom shows the tag: `done`, `pending` (on its way), `refused` by WeCom, `watched` (only "
        "shown, not sent), or `none` (no living relation to show it on).",
    ),
]
IdentityType = Annotated[
    str,
    StringConstraints(pattern=identities.TYPE),
    Field(description="`external_userid`, `unionid`, `phone`, or `<system>:<kind>` such as `pos-01:member`."),
]
IdentityValue = Annotated[Line, Field(min_length=1, max_length=identities.MAX_VALUE)]


class IdentityShape(Shape):
    """One way by which the customer is known."""

    type: str
    value: str
    verified: bool


class RelationShape(Shape):
    """A rep who has, or had, the customer in WeCom."""

    userid: str
    state: str = Field(
        description="half, active, ended_by_rep, ended_by_customer, ended_by_both, transferred or unknown."
    )
    added_at: datetime | None
    ended_at: datetime | None
    channel: str | None = Field(description="The code of the channel over which they came.")
    remark: str | None


class TagShape(Shape):
    """A tag on the customer, and why it is there."""

    id: str
    group: str
    name: str
    source: str = Field(description="channel, manual, wecom or api.")
    because: str
    at: datetime
    at_wecom: AtWeCom


class ExpiryShape(Shape):
    """Points of which this is the last day."""

    on: date
    points: int
    if_idle: int = Field(
        description="Of these, how many end for want of activity: bought or redeemed something by then, they live on."
    )


class PointsShape(Shape):
    """What a customer has in points, over all their accounts."""

    available: int = Field(description="What can be spent now.")
    pending: int = Field(description="Earned, and not to be spent before its time.")
    held: int = Field(description="Set apart for something that is not decided yet.")
    debt: int = Field(description="Owed, because what was refunded had been spent; earned points pay it first.")
    tier: str = Field(
        description="The key of their level, the lowest for whoever has not earned another.", examples=["silver"]
    )
    expiring: list[ExpiryShape]


class CustomerShape(Shape):
    """A customer. `insight` is left out until it exists."""

    id: str = Field(examples=["p_17"])
    external_userid: str | None
    name: str
    unionid: str | None
    stage: str = Field(description=STAGE, json_schema_extra={"enum": list(STAGES)})
    identities: list[IdentityShape]
    relations: list[RelationShape]
    birthday: str | None = Field(description="`1990-05-20`, or `05-20` where the year is not known.")
    life_cycle: LifeCycle | None = Field(description=LIFE_CYCLE)
    tags: list[TagShape]
    points: PointsShape
    opted_out: bool


class CustomerChange(Asked):
    """What may be changed of a customer."""

    birthday: Annotated[
        Line | None, Field(max_length=20, description="`1990-05-20`, `05-20`, or null. 29 February is kept as it is.")
    ]


class CustomerPage(Shape):
    """Customers, those first who became known last."""

    items: list[CustomerShape]
    next_cursor: str | None


class InteractionShape(Shape):
    """One line of the customer's story."""

    id: str
    kind: str = Field(examples=["added", "welcomed", "deleted_by_customer"])
    at: datetime
    userid: str | None = Field(description="The rep it happened with, if it was one.")
    details: Loose


class InteractionPage(Shape):
    """The customer's story, newest first."""

    items: list[InteractionShape]
    next_cursor: str | None


class CustomersQuery(Paged):
    """All given conditions must hold."""

    tag: Annotated[TagId, Field(description="Who has this tag.")] | None = None
    stage: Annotated[Literal["new", "active", "half", "lost"], Field(description=STAGE)] | None = None
    life_cycle: Annotated[LifeCycle, Field(description=LIFE_CYCLE)] | None = None
    owner: Annotated[Line, Field(max_length=64, description="Whom this rep answers for, by userid.")] | None = None
    q: (
        Annotated[
            Line,
            Field(max_length=100, description="Part of a name or remark, a whole identity, or a phone number's end."),
        ]
        | None
    ) = None


class IdentityQuery(Query):
    """Any identity of the customer."""

    type: IdentityType
    value: IdentityValue


class StoryQuery(Paged):
    """Which lines of the story."""

    kind: Annotated[
        tuple[Annotated[Line, Field(max_length=40)], ...],
        Field(max_length=20, description="Only these kinds; may be given several times."),
    ] = ()


class IdentityAsked(Asked):
    """One more way by which the customer is known."""

    model_config = example({"type": "pos-01:member", "value": "M10086"})
    type: IdentityType
    value: IdentityValue
    verified: bool = Field(
        default=True, description="Whether this is known for certain. An unverified identity only proposes a match."
    )


class TagAsked(Asked):
    """A tag, by its `id`, or by `group` and `name` (then it is made, at WeCom too, if there is none)."""

    model_config = example({"group": "意向", "name": "问价", "because": "在收银台问了会员价"})
    id: TagId | None = None
    group: Annotated[Line, Field(min_length=1, max_length=30)] | None = None
    name: Annotated[Line, Field(min_length=1, max_length=30)] | None = None
    because: Annotated[Prose, Field(max_length=200, description="Why; shown to the reps beside the tag.")] | None = None


# --- reading ---------------------------------------------------------------------------------------------------------


def list_customers(call: Call, query: CustomersQuery) -> Reply:
    """One page of customers, those first who became known last; an order that does not change while you page."""
    before = paging.decode(query.cursor)
    wanted = Filter(
        q=query.q or "",
        tag_id=_number(query.tag),
        owner=query.owner or None,
        stage=query.stage,
        life_cycle=query.life_cycle,
    )
    with reading(here.engine()) as db:
        found, following = directory.newest(
            db, here.EVERYBODY, wanted, limit=query.limit, before=before[0] if before else None
        )
        items = all_shown(db, found)
    return Reply(200, CustomerPage(items=items, next_cursor=paging.encode(following) if following else None))


def get_customer(call: Call, customer_id: str) -> Reply:
    """One customer, by the person's id (`p_17`) or by an `external_userid`."""
    with reading(here.engine()) as db:
        return Reply(200, _customer(db, person_named(db, customer_id)))


def find_customer(call: Call, query: IdentityQuery) -> Reply:
    """The customer who is known by this identity. A phone number is found however it is written."""
    with reading(here.engine()) as db:
        person = persons.find_person(db, query.type, _spelt("query", query.type, query.value))
        if person is None:
            raise not_found("customer")
        return Reply(200, _customer(db, person))


def list_interactions(call: Call, customer_id: str, query: StoryQuery) -> Reply:
    """What happened with the customer, newest first."""
    place = paging.decode(query.cursor, 2)
    after = (paging.to_moment(place[0]), place[1]) if place else None
    with reading(here.engine()) as db:
        person = person_named(db, customer_id)
        lines, following = directory.story(db, here.EVERYBODY, person, limit=query.limit, kinds=query.kind, after=after)
    cursor = paging.encode(paging.to_number(following[0]), following[1]) if following else None
    return Reply(200, InteractionPage(items=[_line(one) for one in lines], next_cursor=cursor))


def _line(one: Interaction) -> InteractionShape:
    return InteractionShape(
        id=f"i_{one.id}", kind=one.kind, at=here.local(one.at), userid=one.userid, details=one.details
    )


def person_named(db: Session, name: str) -> Person:
    """The person of an address. Raises ``Problem``."""
    digits = name.removeprefix("p_")
    if name.startswith("p_") and digits.isascii() and digits.isdecimal() and len(digits) <= 18:
        known = db.get(Person, int(digits))
        person = known and persons.head_of(db, known)
    else:
        person = persons.find_person(db, persons.EXTERNAL, name)
    if person is None:
        raise not_found("customer")
    return person


def anchor_named(db: Session, name: str, person: Person) -> int:
    """The very anchor that an address names, whoever speaks for it."""
    digits = name.removeprefix("p_")
    if name != digits:
        return int(digits)
    own = select(Identity.anchor_id).where(Identity.type == persons.EXTERNAL, Identity.value == name)
    return db.scalar(own) or person.id


def _customer(db: Session, person: Person) -> CustomerShape:
    return all_shown(db, [person])[0]


def all_shown(db: Session, people: Sequence[Person]) -> list[CustomerShape]:
    """These customers as the API shows them, in their order."""
    points = points_of(db, people, here.now(), here.zone())
    return [shown(one, here.zone(), points[one.person.id]) for one in cards(db, here.EVERYBODY, people)]


def points_of(db: Session, people: Sequence[Person], at: datetime, zone: ZoneInfo) -> dict[int, PointsShape]:
    """What these people have in points, each over all their anchors, and their levels; a handful of questions."""
    anchors = persons.anchors_of(db, [one.id for one in people])
    known = accounts.by_person(db, [one for some in anchors.values() for one in some])
    own = {head: [known[one] for one in some if one in known] for head, some in anchors.items()}
    levels = tiers.levels_at(db, [(own[one], at) for one in anchors])
    found = accounts.standings(db, anchors, at)
    return {one: points_shown(found[one], level.key, at, zone) for one, level in zip(anchors, levels, strict=True)}


def points_shown(standing: Standing, tier: str, at: datetime, zone: ZoneInfo) -> PointsShape:
    """What somebody has in points, as the API shows it."""
    return PointsShape(
        available=standing.available,
        pending=standing.pending,
        held=standing.held,
        debt=standing.debt,
        tier=tier,
        expiring=_expiring(standing, at, zone),
    )


def _expiring(standing: Standing, at: datetime, zone: ZoneInfo) -> list[ExpiryShape]:
    idle = standing.idle(at, zone)
    return [ExpiryShape(on=day, points=n, if_idle=idle.get(day, 0)) for day, n in standing.ends(at, zone)]


def shown(card: Card, zone: ZoneInfo, points: PointsShape) -> CustomerShape:
    """A customer as the API shows one, with every time in the shop's zone."""
    return CustomerShape(
        id=persons.public_id(card.person.id),
        external_userid=card.known_as(persons.EXTERNAL),
        name=card.person.name,
        unionid=card.known_as(persons.UNIONID),
        stage=card.stage,
        identities=[_identity(one) for one in card.identities],
        relations=[
            RelationShape(
                userid=one.userid,
                state=one.state,
                added_at=one.added_at.astimezone(zone) if one.added_at else None,
                ended_at=one.ended_at.astimezone(zone) if one.ended_at else None,
                channel=card.channels.get(one.channel_id or 0),
                remark=one.remark,
            )
            for one in card.relations
        ],
        birthday=birthdays.shown(card.person) or None,
        life_cycle=cast("LifeCycle | None", card.person.life_cycle),
        tags=[_tag(one, zone) for one in card.tags],
        points=points,
        opted_out=card.person.opted_out,
    )


def _identity(one: Identity) -> IdentityShape:
    return IdentityShape(type=one.type, value=one.value, verified=one.verified)


def _tag(one: TagOnPerson, zone: ZoneInfo) -> TagShape:
    return TagShape(
        id=tags.public_id(one.tag.id),
        group=one.tag.group_name,
        name=one.tag.name,
        source=one.source,
        because=one.because,
        at=one.at.astimezone(zone),
        at_wecom=one.at_wecom,
    )


# --- changing --------------------------------------------------------------------------------------------------------


def add_identity(call: Call, customer_id: str, body: IdentityAsked) -> Reply:
    """Remember one more way by which the customer is known; 200 when it was known.

    Where it is certain, and somebody else is known by it for certain too, the two are one customer from then on (both
    ids stay good), unless something speaks against it: then they wait for somebody's decision in the console, and so do
    those whom an unverified identity only makes look alike. 409 then, when it is somebody else's.
    """
    value = _spelt("body", body.type, body.value)
    if blocklist.names_nobody(body.type, value):
        raise invalid([(("body", "value"), "this is a default value that names nobody in particular")])
    with call.work() as work:
        person = person_named(work.db, customer_id)
        given = Given(body.type, value, body.verified)
        known = _is_known(_identity_row(work.db, body.type, value), person, body.verified)
        head = joining.learn(work, person.id, [given], source="api", by=call.actor)
        row = _identity_row(work.db, body.type, value)
        theirs = row is not None and row.person_id == head.id
        if not known:
            details = {"type": body.type, "verified": body.verified}
            call.note(work, "customer.identity", persons.public_id(head.id), details)
        if theirs or not body.verified:
            shape = _identity(row) if row is not None and theirs else _told(given)
            return call.keep(work, Reply(200 if known else 201, shape))
    raise Problem(
        CONFLICT, "this identity belongs to another customer; that you told it is kept and waits for somebody"
    )


def _is_known(row: Identity | None, person: Person, verified: bool) -> bool:
    return row is not None and row.person_id == person.id and row.verified >= verified


def _told(given: Given) -> IdentityShape:
    return IdentityShape(type=given.type, value=given.value, verified=given.verified)


def _identity_row(db: Session, type_: str, value: str) -> Identity | None:
    return db.scalars(select(Identity).where(Identity.type == type_, Identity.value == value)).one_or_none()


def change_customer(call: Call, customer_id: str, body: CustomerChange) -> Reply:
    """Remember the birthday, or (null) forget it."""
    with call.work() as work:
        person = person_named(work.db, customer_id)
        try:
            if birthdays.keep(work, person, body.birthday or "", by=call.actor):
                call.note(work, "customer.birthday", persons.public_id(person.id), {})
        except ValueError as error:
            raise invalid([(("body", "birthday"), str(error))]) from None
        work.db.flush()
        return Reply(200, _customer(work.db, person))


def give_tag(call: Call, customer_id: str, body: TagAsked) -> Reply:
    """Put a tag on the customer, and bring it to WeCom on every living relation. 200 when it was there already."""
    with call.work() as work:
        person = person_named(work.db, customer_id)
        tag = _tag_asked_for(work, body)
        because = body.because or f"由 API 密钥“{call.key.name}”打上"
        new = tags.give(work, person, tag, Ground("api", because, actor=call.actor[:64]))
        if new:
            details = {"tag": tags.public_id(tag.id), "group": tag.group_name, "name": tag.name}
            call.note(work, "customer.tag", persons.public_id(person.id), details)
        work.db.flush()
        given = next(one for one in directory.tags_on(work.db, [person.id])[person.id] if one.tag.id == tag.id)
        return call.keep(work, Reply(201 if new else 200, _tag(given, here.zone())))


def _tag_asked_for(work: Work, body: TagAsked) -> Tag:
    named = (body.group is not None, body.name is not None)
    if named != ((True, True) if body.id is None else (False, False)):
        raise invalid([(("body",), "give either id, or both group and name")])
    if body.id is not None:
        tag = _tag_named(work.db, body.id)
        if tag is None or tag.deleted_at is not None:
            raise invalid([(("body", "id"), "there is no such tag")])
        return tag
    try:
        return tags.tag_named(work, body.group or "", body.name or "")
    except ValueError as error:
        raise invalid([(("body", "name"), str(error))]) from None


def take_tag(call: Call, customer_id: str, tag_id: str) -> Reply:
    """Take a tag off the customer, and off every living relation at WeCom."""
    with call.work() as work:
        person = person_named(work.db, customer_id)
        tag = _tag_named(work.db, tag_id)
        if tag is None or not tags.take_away(work, person, tag):
            raise not_found("tag on this customer")
        details = {"tag": tag_id, "group": tag.group_name, "name": tag.name}
        call.note(work, "customer.untag", persons.public_id(person.id), details)
    return Reply(204)


def _tag_named(db: Session, name: str | None) -> Tag | None:
    number = _number(name)
    return db.get(Tag, number) if number is not None else None


def _number(name: str | None) -> int | None:
    """5 of ``t_5``."""
    digits = (name or "").removeprefix("t_")
    if name is None or not name.startswith("t_") or not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        return None
    return int(digits)


def _spelt(where: str, type_: str, value: str) -> str:
    try:
        return identities.spelt(type_, value)
    except ValueError as error:
        raise invalid([((where, "value"), str(error))]) from None

"""What moves when two anchors become one person, and comes back when they part again.

Facts carry whose they are: ``person_id`` is the person as known now (the head), ``anchor_id`` the anchor they came
to us by (none: the head itself). So a merge rewrites the rows of the anchors that join, nobody else's, and a cut takes
exactly those rows back. The fields of a person are worked out anew from all anchors; what an anchor had stays with it.

Every table that holds people is decided here, as in ``people.privacy``: a new one fails a test until it stands in
``FOLLOWS``. ``people.joining`` calls this once it is decided who is one person.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, UniqueConstraint, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from people import persons
from storage.rows import insert_new
from storage.tables import (
    Base,
    BulkRow,
    Conversation,
    Enrolment,
    Evidence,
    HandoverRow,
    Identity,
    Interaction,
    Interval,
    JourneyInside,
    KeptFile,
    LifecycleChange,
    LinkOpen,
    OwnPage,
    OwnVisit,
    Person,
    PersonalTag,
    PersonTag,
    PointsAccount,
    Refund,
    Relation,
    RelationFact,
    RelationTag,
    RepCard,
    Review,
    RuleHit,
    SegmentMember,
    ShopOrder,
    StepRun,
    TagGround,
    Task,
    Touch,
    TrackedLink,
    Verdict,
    WebhookCall,
)
from storage.work import Work

MOVES, BY_EXTERNAL, HANGS, STAYS, DERIVED = "moves", "by_external", "hangs", "stays", "derived"
"""What a merge does with the rows of a table: they get the head's id and remember their anchor; they go along with the
external_userid they name; they hang on a row that moves; they stay with their anchor; they are worked out anew."""
MERGED = "merged"
"""Why a round of a journey is over: the person is on it already, under another anchor."""


@dataclass(frozen=True)
class Follow:
    """What becomes of a table's rows when their anchor joins a person or leaves one."""

    table: type[Base]
    how: str
    because: str = ""


FOLLOWS: tuple[Follow, ...] = (
    Follow(Interaction, MOVES),
    Follow(TagGround, MOVES),
    Follow(RuleHit, MOVES),
    Follow(SegmentMember, MOVES, "in a list that has both the head's row stays, and the anchor's with the anchor"),
    Follow(JourneyInside, MOVES, "as segment_member"),
    Follow(Enrolment, MOVES, "who is on the same journey twice goes on with the head's round"),
    Follow(WebhookCall, MOVES),
    Follow(Touch, MOVES, "what both were sent counts once, and the anchor's stays with the anchor"),
    Follow(RepCard, MOVES),
    Follow(TrackedLink, MOVES),
    Follow(LinkOpen, MOVES),
    Follow(Task, MOVES),
    Follow(BulkRow, MOVES),
    Follow(ShopOrder, MOVES),
    Follow(Refund, MOVES),
    Follow(Relation, BY_EXTERNAL),
    Follow(Conversation, BY_EXTERNAL),
    Follow(HandoverRow, BY_EXTERNAL),
    Follow(RelationFact, HANGS, "relation"),
    Follow(RelationTag, HANGS, "relation"),
    Follow(PersonalTag, HANGS, "relation"),
    Follow(KeptFile, HANGS, "interaction"),
    Follow(StepRun, HANGS, "enrolment"),
    Follow(OwnVisit, HANGS, "own_page"),
    Follow(OwnPage, STAYS, "an address that was sent leads to whoever its anchor is"),
    Follow(Interval, DERIVED, "from the relation's facts"),
    Follow(PersonTag, DERIVED, "from tag_ground"),
    Follow(Identity, DERIVED, "from evidence"),
    Follow(Person, DERIVED, "the head's fields, from all anchors"),
    Follow(Evidence, STAYS, "it speaks of the anchor"),
    Follow(Verdict, STAYS, "it speaks of two anchors"),
    Follow(Review, STAYS, "it speaks of two anchors"),
    Follow(LifecycleChange, STAYS, "what was said of the anchor while it was somebody of its own"),
    Follow(PointsAccount, STAYS, "the books name accounts, and an account is where its points were earned"),
)


@dataclass(frozen=True)
class Change:
    """An anchor for which another one speaks from now on (itself: it is somebody of its own again)."""

    anchor: int
    before: int
    after: int


def move(work: Work, changes: Sequence[Change]) -> None:
    """Carry out these changes: rows, relations, tags and fields of the people concerned; nobody else's are touched.

    Everybody concerned is held already (``persons.hold_all``).
    """
    db = work.db
    db.flush()
    joined = [one for one in changes if one.before != one.after]
    for one in joined:
        _restore(db, one.anchor)
        _home(db, one)
    for one in joined:
        db.execute(update(Person).where(Person.id == one.anchor).values(merged_into=_spoken_for(one)))
        if one.after != one.anchor:
            _away(db, one)
        _along(db, one)
    db.expire_all()
    touched = {one for change in joined for one in (change.anchor, change.before, change.after)}
    own = select(Person).where(Person.id.in_(touched)).order_by(Person.id)
    for person in db.scalars(own.execution_options(populate_existing=True)).all():
        if person.merged_into is None:
            persons.refold(work, person)
        _stand_tags(db, person)
    for person_id in sorted(touched):
        derive(db, person_id)


def _spoken_for(one: Change) -> int | None:
    return None if one.after == one.anchor else one.after


# --- rows ------------------------------------------------------------------------------------------------------------


def _moving() -> Iterable[Any]:
    return (one.table for one in FOLLOWS if one.how == MOVES)


def _home(db: Session, one: Change) -> None:
    """Give an anchor all its rows back from who spoke for it so far."""
    if one.before == one.anchor:
        return
    for table in _moving():
        theirs = (table.person_id == one.before, table.anchor_id == one.anchor)
        _pass_on(db, table, theirs, one.anchor, None)


def _away(db: Session, one: Change) -> None:
    """Give the rows of an anchor to who speaks for it from now on. Where both have the same the anchor's stays."""
    _end_double_rounds(db, one)
    for table in _moving():
        own = (table.person_id == one.anchor, or_(table.anchor_id.is_(None), table.anchor_id == one.anchor))
        _pass_on(db, table, own, one.after, one.anchor)


def _pass_on(db: Session, table: Any, which: Sequence[ColumnElement[bool]], to: int, anchor: int | None) -> None:
    twin = aliased(table)
    doubles = [
        exists().where(twin.person_id == to, *(getattr(twin, name) == getattr(table, name) for name in key))
        for key in _keys_with_person(table)
    ]
    free = [~one for one in doubles]
    db.execute(update(table).where(*which, *free).values(person_id=to, anchor_id=anchor))


def _keys_with_person(table: Any) -> list[list[str]]:
    """The other columns of each key of which a person may have only one."""
    own = cast(Table, table.__table__)
    keys = [own.primary_key, *(one for one in own.constraints if isinstance(one, UniqueConstraint))]
    named = [[column.key for column in key.columns] for key in keys]
    return [[name for name in key if name != "person_id"] for key in named if "person_id" in key]


def _end_double_rounds(db: Session, one: Change) -> None:
    """Whoever is on the same journey twice, about the same thing, goes on once: the head's round."""
    twin = aliased(Enrolment)
    same = (twin.journey_id == Enrolment.journey_id, twin.entry_key == Enrolment.entry_key)
    double = exists().where(twin.person_id == one.after, twin.state == "live", *same)
    own = (Enrolment.person_id == one.anchor, Enrolment.state == "live")
    db.execute(update(Enrolment).where(*own, double).values(state="leaving", left_because=MERGED))


def _along(db: Session, one: Change) -> None:
    """What names an external_userid goes along with it."""
    known = _externals(one.anchor, (one.before, one.anchor, one.after))
    for follow in FOLLOWS:
        table: Any = follow.table
        if follow.how == BY_EXTERNAL:
            theirs = (table.person_id.in_((one.before, one.anchor)), table.external_userid.in_(known))
            db.execute(update(table).where(*theirs).values(person_id=one.after))


def _externals(anchor: int, people: Sequence[int]) -> Any:
    """The external_userids that lead to this anchor, whoever of these people it is part of."""
    own = select(Identity.value).where(Identity.person_id.in_(people), Identity.type == persons.EXTERNAL)
    return own.where(func.coalesce(Identity.anchor_id, Identity.person_id) == anchor)


# --- tags ------------------------------------------------------------------------------------------------------------

HEAD = ("source", "because", "actor", "inbox_id", "at")


def _stand_tags(db: Session, person: Person) -> None:
    """A person has the tags of which a ground stands, with the first of them; an anchor that is spoken for has none."""
    first = select(func.min(TagGround.id)).where(TagGround.person_id == person.id).group_by(TagGround.tag_id)
    grounds = db.scalars(select(TagGround).where(TagGround.id.in_(first))).all() if person.merged_into is None else []
    standing = {one.tag_id for one in grounds}
    db.execute(delete(PersonTag).where(PersonTag.person_id == person.id, PersonTag.tag_id.not_in(standing)))
    rows = [
        {"person_id": person.id, "tag_id": one.tag_id, **{name: getattr(one, name) for name in HEAD}} for one in grounds
    ]
    insert_new(db, PersonTag, rows, ["person_id", "tag_id"])


# --- fields ----------------------------------------------------------------------------------------------------------

PROFILE = ("name", "avatar", "gender", "kind", "corp_name", "profile_at")
"""As WeCom told it last, of whichever anchor. What other systems call somebody stands only where WeCom says nothing:
then the head's own name, else that of whoever of the others was known first (docs/identities.md)."""
NUMBER = ("phone", "province", "city", "region_of")
BIRTHDAY = ("birthday", "birth_year")
BY_HAND = ("owner", "owner_by_hand")
OPTED = ("opted_out", "opted_out_at", "opted_out_by")
"""Whoever said no, under whatever anchor, is asked nothing more."""
SEEN = ("last_seen_at",)
FIELDS = (*PROFILE, *NUMBER, *BIRTHDAY, *BY_HAND, *OPTED, *SEEN)

Fields = Mapping[str, Any]


def derive(db: Session, person_id: int) -> None:
    """Work out the fields of a person from all anchors, or (nobody else is this person) put the own ones back.

    What was written into a field since the last time is the head's own from now on.
    """
    db.flush()
    head = db.get(Person, person_id, populate_existing=True)
    if head is None or head.merged_into is not None:
        return
    others = db.scalars(select(Person).where(Person.merged_into == head.id).order_by(Person.id)).all()
    if not others:
        _restore(db, head.id)
        return
    own = own_of(head)
    shown = _shown({head.id: own, **{one.id: _fields(one) for one in others}}, _in_wecom(db, head, others))
    for name, value in shown.items():
        setattr(head, name, value)
    head.own = {"own": _plain(own), "shown": _plain(shown)}
    db.flush()


def write_own(db: Session, anchor: Person, **fields: Any) -> None:
    """Keep fields (of ``FIELDS``) as an anchor's own; whoever speaks for it shows them where they win."""
    if anchor.own is None:
        for name, value in fields.items():
            setattr(anchor, name, value)
    else:
        anchor.own = {"own": _plain({**own_of(anchor), **fields}), "shown": _plain(_fields(anchor))}
    derive(db, anchor.merged_into or anchor.id)


def own_of(anchor: Person) -> dict[str, Any]:
    """What stands in an anchor's fields by its own right, whatever it shows for the others."""
    now = _fields(anchor)
    if anchor.own is None:
        return now
    own, shown = _rich(anchor.own["own"]), _rich(anchor.own["shown"])
    return {name: now[name] if now[name] != shown.get(name) else own.get(name) for name in FIELDS}


def _restore(db: Session, person_id: int) -> None:
    """Put an anchor's own fields back on its row."""
    person = db.get(Person, person_id, populate_existing=True)
    if person is None or person.own is None:
        return
    for name, value in own_of(person).items():
        setattr(person, name, value)
    person.own = None
    db.flush()


def _in_wecom(db: Session, head: Person, others: Sequence[Person]) -> set[int]:
    """The anchors WeCom can tell of: nobody asks it about a till's customer, whatever ``profile_at`` says."""
    own = select(Evidence.anchor_id).where(Evidence.anchor_id.in_([head.id, *(one.id for one in others)]))
    return set(db.scalars(own.where(Evidence.type == persons.EXTERNAL)))


def _shown(anchors: Mapping[int, Fields], in_wecom: set[int]) -> dict[str, Any]:
    """``anchors``: what each has by its own right, the head first, then the one known the longest."""
    every = list(anchors.values())
    own, *others = every
    named = [one for one in every if one["name"]]
    told = [one for number, one in anchors.items() if number in in_wecom and one["name"] and one["profile_at"]]
    profile = max(told, key=lambda one: one["profile_at"]) if told else next(iter(named), own)
    out = [one for one in every if one["opted_out"]]
    return {
        **_taken(PROFILE, profile),
        **_taken(NUMBER, _first_with("phone", own, others)),
        **_taken(BIRTHDAY, _first_with("birthday", own, others)),
        **_taken(BY_HAND, own if own["owner"] or own["owner_by_hand"] else _first_with("owner", own, others)),
        **_taken(OPTED, max(out, key=lambda one: str(one["opted_out_at"])) if out else own),
        "last_seen_at": max(one["last_seen_at"] for one in every),
    }


def _first_with(name: str, own: Fields, others: Sequence[Fields]) -> Fields:
    """The head's own, else that of whoever was seen last of those who have it."""
    if own[name] is not None:
        return own
    having = [one for one in others if one[name] is not None]
    return max(having, key=lambda one: cast(datetime, one["last_seen_at"])) if having else own


def _taken(names: Sequence[str], one: Fields) -> dict[str, Any]:
    return {name: one[name] for name in names}


def _fields(person: Person) -> dict[str, Any]:
    return {name: getattr(person, name) for name in FIELDS}


def _plain(fields: Fields) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def _rich(fields: Fields) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value else value
        for name, value in fields.items()
    }


def going(db: Session, anchor_id: int) -> dict[str, int]:
    """How many rows of each table would leave with this anchor, where there are any; changes nothing."""
    head = db.scalars(select(func.coalesce(Person.merged_into, Person.id)).where(Person.id == anchor_id)).one()
    known = _externals(anchor_id, (head, anchor_id))
    found = {}
    for follow in FOLLOWS:
        table: Any = follow.table
        if follow.how == MOVES:
            which = and_(table.person_id == head, table.anchor_id == anchor_id)
        elif follow.how == BY_EXTERNAL:
            which = and_(table.person_id == head, table.external_userid.in_(known))
        else:
            continue
        if count := db.scalar(select(func.count()).select_from(table).where(which)):
            found[table.__tablename__] = count
    return found

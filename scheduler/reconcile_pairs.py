"""One rep and one customer: what WeCom tells of them beside what we hold, and how a difference is mended.

A page of a hundred pairs is compared with a few queries of plain columns; only a pair that differs is looked at again
and mended, in a transaction of its own, as if the lost callback had come: an arrival gets the tags of its channel, but
nobody is welcomed days late. When WeCom and we disagree about who ended a relation, nothing follows: WeCom goes on
listing a customer who deleted the rep, and does not say that he did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select, update
from sqlalchemy.orm import Session

from people import groups, handover, persons, privacy, profiles, relations
from people.relations import Fact
from scheduler.comparing import JUST_NOW
from scheduler.reconcile_report import Example
from storage import inbox
from storage.database import among, packed
from storage.tables import Identity, Person, PersonalTag, Relation, RelationFact, RelationTag, Tag
from storage.work import Work
from tagging import channels, marks, mirror, rules, welcomes
from wecom.gateway import Follow, Profile

ARRIVED, OUT_OF_SIGHT, CONFIRMED = "arrived", "out_of_sight", "confirmed"
RETURNED, STILL_THERE = "returned", "still_there"
"""Lives that differ: never heard of; the same, but before our time; half as far as we know; met anew; thought gone."""
GONE, HANDED_OVER = "gone", "handed_over"
ARRIVALS = (ARRIVED, CONFIRMED, RETURNED)
LISTED = ("active", "ended_by_customer")
"""States of a relation that WeCom goes on listing."""
SAME_START = timedelta(minutes=1)
"""WeCom's createtime and the time of its event may differ by so much and mean the same arrival."""
A_SECOND = timedelta(seconds=1)
AnyRow = Row[*tuple[Any, ...]]
AnySelect = Select[*tuple[Any, ...]]
LOST = "添加的回调丢失了，核对时才发现"


@dataclass(frozen=True)
class Since:
    """From when on an arrival should have been told to us."""

    listening: datetime
    last_run: datetime | None = None

    def knew(self, since: datetime) -> bool:
        """Whether a pair this old should be known, had it been in our sight all the time."""
        return since >= self.listening and (self.last_run is None or since >= self.last_run - JUST_NOW)


@dataclass(frozen=True)
class PairDifference:
    """A pair that is not the same here and at WeCom: the profile holds that rep's side only."""

    profile: Profile
    life: str | None
    """One of the words above when the relation itself differs."""
    respects: tuple[str, ...] = ()
    """What else differs: name, avatar, gender, kind, corp_name, unionid, remark, description, phones, add_way, state,
    tags, personal_tags."""
    was: str = ""

    @property
    def side(self) -> Follow:
        """The rep's side."""
        return self.profile.follows[0]

    @property
    def example(self) -> Example:
        """The difference as the report shows it."""
        kind = self.life or ", ".join(self.respects)
        since = self.side.since.isoformat(timespec="seconds") if self.side.since and self.life else ""
        return Example(kind, f"{self.profile.external_userid} · {self.side.userid}", self.was, since)


# --- comparing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Held:
    """What we hold of a page's pairs."""

    pairs: Mapping[tuple[str, str], AnyRow]
    tags: Mapping[int, Mapping[str, AnyRow]]
    """By relation, by WeCom's id of the tag."""
    personal: Mapping[int, set[tuple[str, str]]]
    unionids: set[str]
    corp_tags: set[str]
    """Of the ids that WeCom shows, those that are tags of ours."""
    erased: set[str]


def pairs_of(profile: Profile) -> list[Profile]:
    """The profile once for each rep's side."""
    return [replace(profile, follows=(side,)) for side in profile.follows]


def compare(db: Session, page: Sequence[Profile], read_at: datetime, since: Since) -> list[PairDifference]:
    """The pairs (profiles with one side each) in which we differ from what WeCom told when asked at ``read_at``.

    What reached us later than that is left alone, and so is what may still be on its way to us.
    """
    held = _held(db, page)
    found = []
    for profile in page:
        difference = _difference(held, profile, read_at, since)
        if difference is not None:
            found.append(difference)
    return found


def _held(db: Session, page: Sequence[Profile]) -> _Held:
    dialect = db.get_bind().dialect.name
    customers = packed(dialect, {one.external_userid for one in page})
    rows = db.execute(_pairs(dialect), {"customers": customers}).all()
    pairs = {(row.external_userid, row.userid.lower()): row for row in rows}
    wanted = [pairs.get(_key(one)) for one in page]
    ids = packed(dialect, [row.id for row in wanted if row is not None])
    tags: dict[int, dict[str, AnyRow]] = {}
    for row in db.execute(_tags(dialect), {"of": ids}):
        tags.setdefault(row.relation_id, {})[row.wecom_id] = row
    personal: dict[int, set[tuple[str, str]]] = {}
    if any(one.follows[0].all_tags for one in page):
        for relation_id, group, name in db.execute(_personal(dialect), {"of": ids}):
            personal.setdefault(relation_id, set()).add((group, name))
    known = _known_unionids(db, page), _known_tags(db, page, tags)
    return _Held(pairs, tags, personal, *known, _erased(db, page, pairs))


def _key(profile: Profile) -> tuple[str, str]:
    return profile.external_userid, profile.follows[0].userid.lower()


@cache
def _pairs(dialect: str) -> AnySelect:
    """Built once: it is asked for every page."""
    columns = (
        Relation.id,
        Relation.external_userid,
        Relation.userid,
        Relation.state,
        Relation.added_at,
        Relation.ended_at,
        Relation.source_state,
        Relation.add_way,
        Relation.remark,
        Relation.description,
        Relation.remark_phones,
        Person.name,
        Person.avatar,
        Person.gender,
        Person.kind,
        Person.corp_name,
        Person.profile_at,
    )
    own = select(*columns).join(Person, Person.id == Relation.person_id)
    return own.where(among(dialect, Relation.external_userid.expression, "customers"))


@cache
def _tags(dialect: str) -> AnySelect:
    shown = select(
        RelationTag.relation_id, Tag.wecom_id, RelationTag.wanted, RelationTag.at_wecom, RelationTag.changed_at
    ).join(Tag, Tag.id == RelationTag.tag_id)
    return shown.where(among(dialect, RelationTag.relation_id.expression, "of"), Tag.wecom_id.is_not(None))


@cache
def _personal(dialect: str) -> AnySelect:
    own = select(PersonalTag.relation_id, PersonalTag.group_name, PersonalTag.name)
    return own.where(among(dialect, PersonalTag.relation_id.expression, "of"))


def _known_unionids(db: Session, page: Sequence[Profile]) -> set[str]:
    told = {one.unionid for one in page if one.unionid}
    if not told:
        return set()
    return set(db.scalars(select(Identity.value).where(Identity.type == persons.UNIONID, Identity.value.in_(told))))


def _known_tags(db: Session, page: Sequence[Profile], held: Mapping[int, Mapping[str, AnyRow]]) -> set[str]:
    """Tags that no relation of the page has here, but WeCom shows, are looked up: it may know one that we do not."""
    known = {wecom_id for tags in held.values() for wecom_id in tags}
    unsure = {tag_id for one in page for tag_id, _, _ in one.follows[0].tags if tag_id} - known
    if unsure:
        known |= set(db.scalars(select(Tag.wecom_id).where(Tag.wecom_id.in_(unsure))))
    return {one for one in known if one is not None}


def _erased(db: Session, page: Sequence[Profile], pairs: Mapping[tuple[str, str], AnyRow]) -> set[str]:
    """Who was erased on their wish and has not come anew since: WeCom's list does not bring them back."""
    unknown = {one.external_userid: one.follows[0].since for one in page if _key(one) not in pairs}
    return privacy.erased(db, unknown) if unknown else set()


def _difference(held: _Held, profile: Profile, read_at: datetime, since: Since) -> PairDifference | None:
    row, side = held.pairs.get(_key(profile)), profile.follows[0]
    if row is None or row.state == "unknown":
        if _too_fresh(side.since, read_at) or profile.external_userid in held.erased:
            return None
        told = side.since is not None and since.knew(side.since)
        return PairDifference(profile, ARRIVED if told else OUT_OF_SIGHT)
    life, moment = _life(row, side)
    if life is not None and _too_fresh(moment, read_at):
        return None
    respects = _respects(held, row, profile, read_at)
    return PairDifference(profile, life, respects, row.state if life else "") if life or respects else None


def _too_fresh(moment: datetime | None, read_at: datetime) -> bool:
    return moment is not None and moment >= read_at - JUST_NOW


def _life(row: AnyRow, side: Follow) -> tuple[str | None, datetime | None]:
    """How a relation that WeCom lists differs from ours, and the moment that matters for that."""
    if row.state == "half":
        return CONFIRMED, row.added_at
    if row.state == "active":
        anew = side.since and row.added_at and side.since > row.added_at + SAME_START
        return (RETURNED, side.since) if anew else (None, None)
    if side.since and row.ended_at and side.since > row.ended_at:
        return RETURNED, side.since
    if row.state == "ended_by_customer":
        return None, None
    return STILL_THERE, row.ended_at


def _respects(held: _Held, row: AnyRow, profile: Profile, read_at: datetime) -> tuple[str, ...]:
    side = profile.follows[0]
    newer = row.profile_at is not None and row.profile_at > read_at
    found = [] if newer else _wording(row, profile)
    if profile.unionid and profile.unionid not in held.unionids:
        found.append("unionid")
    if side.state and side.state != row.source_state:
        found.append("state")
    if _tags_differ(held.tags.get(row.id, {}), side, held.corp_tags, read_at):
        found.append("tags")
    if side.all_tags and mirror.personal(side.tags) != held.personal.get(row.id, set()):
        found.append("personal_tags")
    return tuple(found)


def _wording(row: AnyRow, profile: Profile) -> list[str]:
    side = profile.follows[0]
    beside = (
        ("name", row.name, profile.name or row.name),
        ("avatar", row.avatar, profile.avatar),
        ("gender", row.gender, profile.gender),
        ("kind", row.kind, profile.kind),
        ("corp_name", row.corp_name, profile.corp_name),
        ("remark", row.remark or "", side.remark),
        ("description", row.description or "", side.description),
        ("phones", row.remark_phones or [], list(side.phones)),
        ("add_way", row.add_way, side.add_way),
    )
    return [name for name, ours, theirs in beside if ours != theirs]


def _tags_differ(ours: Mapping[str, AnyRow], side: Follow, known: set[str], read_at: datetime) -> bool:
    """Whether ``mirror.seen_at_wecom`` would change something: what is on its way to WeCom is no difference."""
    shown = {one for one, _, _ in side.tags if one in known}
    for wecom_id in shown:
        row = ours.get(wecom_id)
        if row is None or (row.wanted and row.at_wecom in ("refused", "watched")):
            return True
        if not row.wanted and row.at_wecom == "done" and row.changed_at < read_at:
            return True
    return any(
        row.wanted and row.at_wecom == "done" and row.changed_at < read_at and tag_id not in shown
        for tag_id, row in ours.items()
    )


@dataclass(frozen=True)
class Listed:
    """A relation that WeCom lists, as far as we know."""

    id: int
    external_userid: str
    userid: str
    state: str
    added_at: datetime | None

    @property
    def pair(self) -> tuple[str, str]:
        """Customer, and rep in small letters: WeCom compares userids without regard to case."""
        return self.external_userid, self.userid.lower()

    def is_new(self, read_at: datetime) -> bool:
        """Whether it is too young to be missed in what was read then."""
        return _too_fresh(self.added_at, read_at)


def listed(db: Session, *where: ColumnElement[bool]) -> list[Listed]:
    """The relations that WeCom lists, as far as we know, narrowed to these."""
    columns = (Relation.id, Relation.external_userid, Relation.userid, Relation.state, Relation.added_at)
    return [Listed(*row) for row in db.execute(select(*columns).where(Relation.state.in_(LISTED), *where))]


# --- mending what WeCom lists ----------------------------------------------------------------------------------------


def mend(work: Work, profile: Profile, since: Since) -> bool:
    """Bring a pair to what WeCom told (``work.looked_at``: when); False when nothing differs any more."""
    read_at = work.looked_at or work.now
    known = persons.find_person(work.db, persons.EXTERNAL, profile.external_userid)
    if known is not None:
        persons.hold(work, known)
    if inbox.open_keys(work.db, [_event_key(profile.external_userid)]):
        return False  # something about them has come meanwhile, and brings its own truth
    again = compare(work.db, [profile], read_at, since)
    if not again:
        return False
    side, life = profile.follows[0], again[0].life
    person = known or persons.person_of(work, profile.external_userid, side.since)
    persons.hold(work, person)
    userid = persons.own_spelling(work, side.userid)
    relation = persons.relation_of(work.db, person, userid, profile.external_userid)
    if life is not None:
        _bring_to_life(work, person, relation, side, life)
    person = _remember_profile(work, person, profile, read_at, anyway=life is not None)
    _remember_state(work, person, relation, side)
    mirror.seen_at_wecom(work, person, relation, side.tags, by_rep=False, all_tags=side.all_tags)
    if life is not None:
        _follow_up(work, person, relation, side, life)
    return True


def _remember_profile(work: Work, person: Person, profile: Profile, read_at: datetime, *, anyway: bool) -> Person:
    """Keep what the page told, unless we have asked WeCom more lately. It told one side: the others are still old."""
    before = person.profile_at
    if before is not None and before > read_at and not anyway:
        return person
    person = profiles.remember(work, person, profile)
    person.profile_at = max(before or read_at, read_at)
    return person


def _event_key(external_userid: str) -> str:
    """As ``wecom.events.ContactEvent`` calls it."""
    return f"customer:{external_userid}"[:200]


def _bring_to_life(work: Work, person: Person, relation: Relation, side: Follow, life: str) -> None:
    """Keep the facts that we missed; the relation is active afterwards, whatever else we were told."""
    read_at = (work.looked_at or work.now).replace(microsecond=0)
    at = side.since or read_at
    before = relation.added_at
    if relation.state in persons.LIVING and before is not None and at > before + SAME_START:
        persons.record(work, person, relation, Fact(relations.PARTED, at - A_SECOND))
        marks.gone_at_wecom(work, relation, but_shown={tag_id for tag_id, _, _ in side.tags})
    kind = relations.TAKEN_OVER if life == OUT_OF_SIGHT else relations.FULL
    persons.record(work, person, relation, Fact(kind, at, side.state, add_way=side.add_way))
    if relation.state != "active":  # we believe in an end after that, and WeCom shows that there was none
        later = max(read_at, (relation.ended_at or read_at) + A_SECOND)
        persons.record(work, person, relation, Fact(relations.FULL, later, side.state, add_way=side.add_way))


def _remember_state(work: Work, person: Person, relation: Relation, side: Follow) -> None:
    """The State came with the arrival, in an event that had lost it: keep it where the relation is folded from."""
    if not side.state or side.state == relation.source_state or side.since is None:
        return
    at = side.since
    own = (RelationFact.relation_id == relation.id, RelationFact.at == at, RelationFact.source_state.is_(None))
    work.db.execute(update(RelationFact).where(*own).values(source_state=side.state))
    persons.record(work, person, relation, Fact(relations.FULL, at, side.state, add_way=side.add_way))
    relation.source_state = side.state


def _follow_up(work: Work, person: Person, relation: Relation, side: Follow, life: str) -> None:
    """What follows an arrival, as far as it is not too late."""
    groups.tell_earlier(work, person, relation.external_userid)
    if life == OUT_OF_SIGHT:
        _tell(work, relation, "taken_over", relation.added_at or work.now, {})
        return
    at = side.since or relation.added_at or work.now
    channel = welcomes.channel_of(work, relation.source_state)
    given = []
    last = persons.last_interval(work.db, relation)
    handed_over = last is not None and last.origin == "transfer"
    handover.arrived(work, person, relation, at)
    if life in ARRIVALS:
        if channel is not None and channel.tags:
            name = persons.rep_name(work.db, relation.userid)
            given = channels.give_own_tags(work, channel, person, rep_name=name, at=at)
        if not handed_over:
            rules.hear_arrival(work, person, relation, at)
    if relation in marks.living(work.db, relation.person_id):
        marks.push_all(work, relation, besides={tag.id for tag in given})
    details: dict[str, Any] = {"channel": channel.name if channel else None}
    details |= {"again": True} if last is not None and last.number > 1 else {}
    _tell(work, relation, "added", at, details)
    if life in ARRIVALS and not handed_over:
        _say_why_no_welcome(work, relation, at)
    if channel is not None and channel.daily_cap and channel.state != "deleted":
        channels.lead(work, channel)


def _say_why_no_welcome(work: Work, relation: Relation, at: datetime) -> None:
    arrival = welcomes.Arrival(
        userid=relation.userid,
        external_userid=relation.external_userid,
        state=relation.source_state,
        codes=(),
        event_at=at,
        received_at=work.now,
        half=False,
        cause=work.cause,
    )
    welcomes.note_missing_code(work, arrival, LOST)


def _tell(work: Work, relation: Relation, kind: str, at: datetime, details: Mapping[str, Any]) -> None:
    told = {"state": relation.source_state, "add_way": relation.add_way, "found": "sync", **details}
    once = f"sync:{kind}:{relation.id}:{int(at.timestamp())}"
    persons.tell(work, relation.person_id, kind, at, once=once, userid=relation.userid, details=told)


# --- mending what WeCom lists no more --------------------------------------------------------------------------------


def how_it_ended(relation_began: datetime | None, profile: Profile | None) -> tuple[str, datetime | None]:
    """What became of a relation whose rep's side is gone: handed over, and when, or deleted by the rep at some time."""
    for side in profile.follows if profile else ():
        began = side.since if side.add_way == relations.ASSIGNED_BY_ADMIN else None
        if began is not None and (relation_began is None or began >= relation_began):
            return HANDED_OVER, began
    return GONE, None


def end(work: Work, relation_id: int, profile: Profile | None) -> bool:
    """The rep's side of a relation is gone at WeCom (``work.looked_at``: when we saw it); False if it has moved since.

    ``profile``: the customer with all sides that are left, if any.
    """
    db, read_at = work.db, work.looked_at or work.now
    relation = db.get_one(Relation, relation_id)
    person = db.get_one(Person, relation.person_id)
    persons.hold(work, person)
    db.refresh(relation)
    fresh = _too_fresh(relation.added_at, read_at)
    if relation.state not in LISTED or fresh or inbox.open_keys(db, [_event_key(relation.external_userid)]):
        return False
    what, when = how_it_ended(relation.added_at, profile)
    kind = relations.TRANSFERRED if what == HANDED_OVER else relations.DELETED_BY_REP
    at = when or read_at.replace(microsecond=0)
    persons.record(work, person, relation, Fact(kind, at))
    if kind == relations.DELETED_BY_REP:
        rules.hear_loss(work, person, relation, "rep", at)
    else:
        handover.follow(work, person)
    marks.gone_at_wecom(work, relation)
    _tell(work, relation, kind, at, {})
    return True

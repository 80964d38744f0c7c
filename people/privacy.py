"""Everything held about one person, given out and erased: 查阅、复制、删除 (个人信息保护法; reliability.md S40, S41).

Every table of ours is decided here: ``HOLDINGS`` says in which rows a person is found and what an erasure does to
them, ``NOBODY`` why a table holds nobody. A new table fails a test until it stands in one of the two.

An erased person is forgotten altogether; only digests stay, by which a restored backup and WeCom's own lists do not
bring them back by themselves. Who comes back by their own doing is somebody new.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import (
    JSON,
    ColumnElement,
    String,
    Text,
    and_,
    delete,
    exists,
    false,
    func,
    inspect,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy import cast as as_type
from sqlalchemy.orm import InstrumentedAttribute, Session, undefer

from people import identities, persons
from storage import search, wiping
from storage.database import changed_rows
from storage.tables import (
    Alarm,
    Approval,
    AuditRow,
    Base,
    BlockedValue,
    BulkJob,
    BulkRow,
    Conversation,
    Enrolment,
    Erasure,
    Evidence,
    GroupMember,
    HandoverRow,
    IdempotentAnswer,
    Identity,
    InboxRow,
    Interaction,
    Interval,
    JobRun,
    JourneyInside,
    KeptFile,
    LifecycleChange,
    LinkOpen,
    OutboxRow,
    OwnPage,
    OwnVisit,
    Person,
    PersonalTag,
    PersonTag,
    PointsAccount,
    Progress,
    Redemption,
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
    SyncRun,
    TagGround,
    Task,
    Touch,
    TrackedLink,
    Unassigned,
    Verdict,
    WebhookCall,
    Welcome,
)
from storage.work import Work

ERASED = "（已删除）"
"""Stands where a text said something about somebody who was erased."""
TO_REPS = ("message/send", "message/update_template_card")
"""Calls whose text may speak of a customer without naming their id. What a customer is sent names who it goes to."""
MESSAGES = (*TO_REPS, "kf/send_msg", "kf/send_msg_on_event")
"""Calls that carry free text."""
LONG_ENOUGH = 6
"""A shorter identity would be found within other words."""
NAMED_AT_LEAST = 2
SAID_AT_LEAST = 4
AT_ONCE = 50
DELETE, SCRUB, RELEASE, KEEP = "delete", "scrub", "release", "keep"
"""What an erasure does to the rows of a table: remove them, take the person out of their texts, make them nobody's,
leave them."""
WHOSE = ("person_id", "anchor_id", "identity_type", "identity_value")
"""Columns by which a row that is made nobody's would still be somebody's."""


@dataclass(frozen=True)
class Traces:
    """By what a person's rows are found."""

    people: tuple[int, ...]
    """The person's anchors, the one that speaks for all first."""
    identities: tuple[tuple[str, str], ...]
    """(type, value), with the external_userids of relations."""
    names: tuple[str, ...]
    """How they are called: by themselves and in reps' remarks."""
    said: tuple[str, ...]
    """What reps wrote or forwarded about them: those messages came in without naming anybody."""
    events: tuple[str, ...]
    """Identities of the inbox rows that made lines of their story."""

    @property
    def public_id(self) -> str:
        """``p_17``."""
        return persons.public_id(self.people[0])

    @property
    def public_ids(self) -> list[str]:
        """It, and the ids of all who turned out to be the same person."""
        return [persons.public_id(one) for one in self.people]

    @property
    def externals(self) -> list[str]:
        """Every external_userid."""
        return [value for type_, value in self.identities if type_ == persons.EXTERNAL]

    @property
    def telling(self) -> list[str]:
        """Identities that can only mean this person, wherever they stand."""
        return list(dict.fromkeys(value for _, value in self.identities if len(value) >= LONG_ENOUGH))

    @property
    def needles(self) -> list[str]:
        """These, and our own id as it stands in JSON: ``p_17`` is also the beginning of ``p_170``."""
        return [*self.telling, *(f'"{one}"' for one in self.public_ids)]


Where = Callable[[Traces], ColumnElement[bool]]


@dataclass(frozen=True)
class Holding:
    """A table in which people are found: where, and what an erasure does."""

    table: type[Base]
    where: Where
    at_erasure: str = DELETE
    texts: tuple[InstrumentedAttribute[Any], ...] = ()
    """Where rows that are left may speak of somebody: free texts, never a state or who did it."""


def _own(column: InstrumentedAttribute[Any]) -> Where:
    return lambda one: column.in_(one.people)


def _of_two(a: InstrumentedAttribute[Any], b: InstrumentedAttribute[Any]) -> Where:
    return lambda one: or_(a.in_(one.people), b.in_(one.people))


def _of_relations(column: InstrumentedAttribute[Any]) -> Where:
    return lambda one: column.in_(select(Relation.id).where(Relation.person_id.in_(one.people)))


def _known_as(column: InstrumentedAttribute[Any]) -> Where:
    return lambda one: column.in_(one.externals)


def _naming(table: type[Base]) -> Where:
    """Rows any text of which names the person by something that is theirs alone."""
    return lambda one: _holding_any(_texts(table), one.needles)


def _blocks(one: Traces) -> ColumnElement[bool]:
    """Blocked values that are this person's alone: what others have too stays out, or erasing one would join them."""
    others = exists().where(
        Evidence.type == BlockedValue.type,
        Evidence.value == BlockedValue.value,
        Evidence.anchor_id.not_in(one.people),
    )
    return and_(_naming(BlockedValue)(one), not_(others))


def _shared_blocks(one: Traces) -> ColumnElement[bool]:
    """The others of which a reason may name the person."""
    return and_(_holding_any(_columns((BlockedValue.why,)), [*one.needles, *one.names]), not_(_blocks(one)))


def _spoken_of(*texts: InstrumentedAttribute[Any]) -> Holding:
    """Rows whose free texts may name the person, if only by a name; they stay, without it."""
    table = cast(type[Base], texts[0].class_)
    return Holding(table, lambda one: _holding_any(_columns(texts), [*one.needles, *one.names]), SCRUB, texts)


def _steps(one: Traces) -> ColumnElement[bool]:
    return StepRun.enrolment_id.in_(select(Enrolment.id).where(Enrolment.person_id.in_(one.people)))


def _opens(one: Traces) -> ColumnElement[bool]:
    """What they opened, and what was opened of links that were made for them."""
    theirs = select(TrackedLink.id).where(_links(one))
    return or_(LinkOpen.person_id.in_(one.people), LinkOpen.link_id.in_(theirs))


def _links(one: Traces) -> ColumnElement[bool]:
    """Also those of a welcome, which was sent before we knew the person."""
    return or_(TrackedLink.person_id.in_(one.people), TrackedLink.external_userid.in_(one.externals))


def _visits(one: Traces) -> ColumnElement[bool]:
    return OwnVisit.page_id.in_(select(OwnPage.id).where(OwnPage.person_id.in_(one.people)))


def _bulk_rows(one: Traces) -> ColumnElement[bool]:
    """Also lines that were refused because whoever sent the file may not see this person."""
    asked = [value for _, value in one.identities]
    return or_(BulkRow.person_id.in_(one.people), BulkRow.asked.in_([*asked, *one.public_ids]))


def _callbacks(one: Traces) -> ColumnElement[bool]:
    grounds = select(TagGround.inbox_id).where(TagGround.person_id.in_(one.people), TagGround.inbox_id.is_not(None))
    return or_(_holding_any(_texts(InboxRow), one.needles), InboxRow.identity.in_(one.events), InboxRow.id.in_(grounds))


HOLDINGS: tuple[Holding, ...] = (
    Holding(InboxRow, _callbacks),
    Holding(OutboxRow, _naming(OutboxRow)),
    Holding(IdempotentAnswer, _naming(IdempotentAnswer)),
    Holding(KeptFile, lambda one: KeptFile.interaction_id.in_(_lines(one))),
    Holding(RuleHit, _own(RuleHit.person_id)),
    Holding(TagGround, _own(TagGround.person_id)),
    Holding(PersonTag, _own(PersonTag.person_id)),
    Holding(RelationTag, _of_relations(RelationTag.relation_id)),
    Holding(PersonalTag, _of_relations(PersonalTag.relation_id)),
    Holding(RelationFact, _of_relations(RelationFact.relation_id)),
    Holding(Interval, _own(Interval.person_id)),
    Holding(Conversation, _own(Conversation.person_id)),
    Holding(GroupMember, _known_as(GroupMember.member)),
    Holding(Task, _own(Task.person_id)),
    Holding(BulkRow, _bulk_rows),
    Holding(HandoverRow, _own(HandoverRow.person_id)),
    Holding(Unassigned, _known_as(Unassigned.external_userid)),
    Holding(Welcome, _known_as(Welcome.external_userid)),
    Holding(Interaction, _own(Interaction.person_id)),
    Holding(StepRun, _steps),
    Holding(Enrolment, _own(Enrolment.person_id)),
    Holding(JourneyInside, _own(JourneyInside.person_id)),
    Holding(WebhookCall, _own(WebhookCall.person_id)),
    Holding(LinkOpen, _opens),
    Holding(TrackedLink, _links),
    Holding(RepCard, _own(RepCard.person_id)),
    Holding(Touch, _own(Touch.person_id)),
    Holding(OwnVisit, _visits),
    Holding(OwnPage, _own(OwnPage.person_id)),
    Holding(SegmentMember, _own(SegmentMember.person_id)),
    Holding(LifecycleChange, _own(LifecycleChange.person_id)),
    Holding(PointsAccount, _own(PointsAccount.person_id), RELEASE),
    Holding(Refund, _own(Refund.person_id), RELEASE),
    Holding(ShopOrder, _own(ShopOrder.person_id), RELEASE),
    Holding(Relation, _own(Relation.person_id)),
    Holding(Identity, _own(Identity.person_id)),
    Holding(Evidence, _own(Evidence.anchor_id)),
    Holding(Verdict, _of_two(Verdict.a, Verdict.b)),
    Holding(Review, _of_two(Review.a, Review.b)),
    Holding(BlockedValue, _blocks),
    Holding(Person, _own(Person.id)),
    _spoken_of(BulkJob.source, BulkJob.reason),
    _spoken_of(SyncRun.report, SyncRun.at, SyncRun.trouble),
    _spoken_of(Progress.at, Progress.note),
    _spoken_of(Alarm.text),
    Holding(BlockedValue, _shared_blocks, SCRUB, (BlockedValue.why,)),
    _spoken_of(Approval.reason, Approval.note),
    _spoken_of(Redemption.note),
    _spoken_of(JobRun.outcome),
    Holding(AuditRow, lambda one: AuditRow.subject.in_(one.public_ids), KEEP),
)
"""In the order in which they are erased: what hangs on a row goes before it.

Audit lines stay: they cannot be changed, and name people by an id of ours that says nothing once the person is gone.
So do the books of points, which name an account, and orders, which the shop must keep: they are nobody's then.
"""
NOBODY: Mapping[str, str] = MappingProxyType(
    {
        "answer": "what the bot says to everybody",
        "api_key": "other systems",
        "approval_line": "an account; whose it is stands in points_account",
        "approval_word": "our own users",
        "attempt": "our own users",
        "broadcast": "one text for many; who was to get it stands in touch",
        "calendar_day": "days",
        "channel": "codes",
        "channel_seat": "reps",
        "department": "our own organisation",
        "erasure": "digests of those who were erased",
        "gate": "how much of each API is used up",
        "gift": "as points_entry; of a number it was sent to the middle is hidden",
        "group_buy": "what so many get together; who stands in group_seat",
        "group_chat": "groups; who is in them stands in group_member",
        "group_seat": "as points_entry",
        "handover": "two reps; the customers stand in handover_row",
        "journey": "what happens on the way; who is on one stands in enrolment",
        "journey_version": "as journey",
        "kf_account": "accounts of ours",
        "lease": "processes",
        "mass_task": "one text for many; who was to get it stands in touch",
        "material": "what may be sent to many",
        "media": "pictures we send",
        "member": "our own people",
        "order_line": "what was bought; by whom stands in shop_order",
        "order_source": "tills and shops",
        "pace": "how many messages a rep was sent",
        "inbound_door": "other systems",
        "inbound_seen": "ids of their messages, and how many orders were in each",
        "points_boost": "as points_entry; what gave it is a journey",
        "points_campaign": "for whom, as a filter",
        "old_balance": "as points_entry",
        "points_counter": "as points_entry",
        "points_day": "sums of a day, of nobody",
        "points_entry": "an account; whose it is stands in points_account",
        "points_forecast": "sums of all points, of nobody",
        "points_forecast_score": "as points_forecast",
        "points_hold": "as points_entry",
        "points_lot": "as points_entry",
        "points_lot_now": "as points_entry",
        "points_notice": "as points_entry; what was told is a touch or a card, which stand elsewhere",
        "points_renewal": "as points_entry",
        "points_rules": "how points are earned",
        "points_seal": "digests of transactions",
        "points_sealed": "as points_seal",
        "points_txn": "as points_entry; its texts name orders and rules, not people",
        "rep_day": "a rep's day in figures",
        "reward": "what points are spent on",
        "reward_code": "codes; who got one stands in redemption, which names an account",
        "sealed": "tokens",
        "segment": "filters; who is in a static one stands in segment_member",
        "setting": "what the shop has set",
        "settlement": "what was paid to a cause",
        "sign_in": "our own users",
        "sign_in_link": "our own users",
        "tag": "tags; who has them stands in person_tag",
        "tag_rule": "rules; at most an id of ours, which says nothing once the person is gone",
        "tag_rule_version": "as tag_rule",
        "tier_change": "an account; whose it is stands in points_account",
        "user": "our own users",
        "webhook": "other systems",
        "webhook_message": "names a fact by its row, and whom it is about by an id of ours",
        "webhook_wish": "as webhook",
    }
)


def _lines(one: Traces) -> Any:
    return select(Interaction.id).where(Interaction.person_id.in_(one.people))


# --- finding ---------------------------------------------------------------------------------------------------------


def traces_of(db: Session, person: Person) -> Traces:
    """By what this person's rows are found."""
    people = persons.anchors(db, person.id)
    told_of = select(Evidence.type, Evidence.value).where(Evidence.anchor_id.in_(people))
    indexed = select(Identity.type, Identity.value).where(Identity.person_id.in_(people))
    known = [*db.execute(indexed.order_by(Identity.id)), *db.execute(told_of.order_by(Evidence.id))]
    relations = list(db.scalars(select(Relation).where(Relation.person_id.in_(people))))
    externals = [(persons.EXTERNAL, one.external_userid) for one in relations]
    numbers = [(identities.PHONE, one) for some in relations for one in some.remark_phones or []]
    told = db.execute(select(Interaction.once, Interaction.kind, Interaction.details["text"].as_string()).where(
        Interaction.person_id.in_(people)))  # fmt: skip
    lines = told.all()
    texts = [text for _, kind, text in lines if kind in ("note", "forwarded")]
    texts += db.scalars(select(Task.text).where(Task.person_id.in_(people)))
    called = db.scalars(select(Person.name).where(Person.id.in_(people)))
    names = [*called, *(one.remark for one in relations)]
    return Traces(
        people=tuple(people),
        identities=tuple(dict.fromkeys([*((type_, value) for type_, value in known), *externals, *numbers])),
        names=tuple(dict.fromkeys(one.strip() for one in names if one and len(one.strip()) >= NAMED_AT_LEAST)),
        said=tuple(dict.fromkeys(one for one in texts if one and len(one) >= SAID_AT_LEAST)),
        events=tuple(once.removeprefix("event:") for once, _, _ in lines if once.startswith("event:")),
    )


def _holding_any(texts: Iterable[ColumnElement[Any]], needles: Iterable[str]) -> ColumnElement[bool]:
    """The condition that any of these texts of a row holds one of these."""
    columns = [(one, _as_text(one)) for one in texts]
    found = [text.contains(form, autoescape=True) for column, text in columns
             for needle in needles for form in _forms(column, needle)]  # fmt: skip
    return or_(false(), *found)


def _texts(table: type[Base]) -> list[ColumnElement[Any]]:
    return [one for one in inspect(table).local_table.columns if isinstance(one.type, String | Text | JSON)]


def _columns(texts: Iterable[InstrumentedAttribute[Any]]) -> list[ColumnElement[Any]]:
    return [one.property.columns[0] for one in texts]


def _as_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    return as_type(column, Text) if isinstance(column.type, JSON) else column


def _forms(column: ColumnElement[Any], needle: str) -> set[str]:
    """As it is written; within JSON other letters than ASCII may be escaped."""
    return {needle, json.dumps(needle.strip('"'))[1:-1]} if isinstance(column.type, JSON) else {needle}


# --- giving out ------------------------------------------------------------------------------------------------------


def held(db: Session, person: Person) -> dict[str, list[dict[str, Any]]]:
    """Every row about this person by table, as plain JSON; what they sent along is in it as base64."""
    traces = traces_of(db, person)
    found: dict[str, list[dict[str, Any]]] = {one.table.__tablename__: [] for one in HOLDINGS}
    for one in HOLDINGS:
        found[one.table.__tablename__] += [_plain_row(row) for row in _rows(db, one.table, one.where(traces))]
    return found


def _rows(db: Session, table: type[Base], where: ColumnElement[bool]) -> Iterator[Base]:
    everything = [undefer(getattr(table, one.key)) for one in inspect(table).column_attrs if one.deferred]
    yield from db.scalars(select(table).where(where).order_by(*inspect(table).primary_key).options(*everything))


def _plain_row(row: Base) -> dict[str, Any]:
    return {one.key: _plain(getattr(row, one.key)) for one in inspect(type(row)).column_attrs}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def about() -> dict[str, str]:
    """What each of these tables is, in a sentence."""
    return {one.table.__tablename__: (one.table.__doc__ or "").partition("\n")[0] for one in HOLDINGS}


# --- erasing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Where callbacks and calls of many weeks speak of somebody: looked for before an erasure, which locks writers out.

    The erasure itself looks only at the rows that came since.
    """

    traces: Traces
    upto: Mapping[type[Any], int]
    """The newest row that was looked at."""
    theirs: Mapping[type[Any], Sequence[int]]
    """Rows that name them by an identity."""
    spoken: Mapping[type[Any], Sequence[int]]
    """Messages from and to reps that may speak of them."""

    def own(self, table: type[Any], condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """The same condition on the rows of a table, without looking through the old ones again."""
        return self._again(table, self.theirs, condition)

    def said(self, table: type[Any], condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """The same of messages."""
        return self._again(table, self.spoken, condition)

    def _again(
        self, table: type[Any], known: Mapping[type[Any], Sequence[int]], condition: ColumnElement[bool]
    ) -> ColumnElement[bool]:
        if table not in known:
            return condition
        return or_(table.id.in_(known[table]), and_(table.id > self.upto[table], condition))

    def fits(self, traces: Traces) -> bool:
        """Whether nothing more is known of the person by now."""
        ours = self.traces
        return (ours.identities, ours.names, ours.said) == (traces.identities, traces.names, traces.said)


def look_through(db: Session, person: Person) -> Found:
    """Find what ``erase`` will remove from the two long tables. Takes seconds in a big shop; changes nothing."""
    return _look_through(db, traces_of(db, person))


def _look_through(db: Session, traces: Traces) -> Found:
    def ids(table: type[Any], *conditions: ColumnElement[bool]) -> list[int]:
        return [one for some in conditions for one in db.scalars(select(table.id).where(some)).all()]

    upto = {one: db.scalar(select(func.max(one.id))) or 0 for one in (InboxRow, OutboxRow)}
    theirs = {one.table: ids(one.table, one.where(traces)) for one in HOLDINGS if one.table in upto}
    spoken = {InboxRow: ids(InboxRow, *_from_reps(traces)), OutboxRow: ids(OutboxRow, *_to_reps(traces))}
    return Found(traces, upto, theirs, spoken)


def erase(work: Work, person: Person, by: str, found: Found | None = None) -> Erasure:
    """Forget this person; the receipt. All of it happens in this transaction, or none of it.

    ``found``: what ``look_through`` saw a moment before. The database's files are cleaned by a job (``wiping``).
    """
    db = work.db
    db.flush()
    persons.hold_all(work, person)
    db.refresh(person)  # who is just writing about them comes before, or finds nobody
    traces = traces_of(db, person)
    if found is None or not found.fits(traces):
        found = _look_through(db, traces)
    wiping.wish(db, work.now)
    receipt = Erasure(
        person=traces.public_id, digests=digests_of(traces), counts=_erase(db, traces, found), by=by[:100], at=work.now
    )
    db.add(receipt)
    db.flush()
    return receipt


def _erase(db: Session, traces: Traces, found: Found) -> dict[str, int]:
    """How many rows of each table went, or had a text taken out."""
    search.forget(db, db.scalars(_lines(traces)).all())
    counts = _erase_what_was_said(db, traces, found)
    db.expunge_all()  # the rows go by statements
    for one in HOLDINGS:
        name = one.table.__tablename__
        if one.at_erasure == DELETE:
            count = changed_rows(db, delete(one.table).where(found.own(one.table, one.where(traces))))
        elif one.at_erasure == RELEASE:
            free = {name: None for name in WHOSE if hasattr(one.table, name)}
            count = changed_rows(db, update(one.table).where(one.where(traces)).values(free))
        elif one.at_erasure == SCRUB:
            count = _scrub(db, one, traces)
        else:
            continue
        counts[name] = counts.get(name, 0) + count
    return {name: count for name, count in counts.items() if count}


def _from_reps(traces: Traces) -> list[ColumnElement[bool]]:
    """Which messages from reps hold what was said of the person."""
    texts = _columns([InboxRow.xml])
    return [and_(InboxRow.name.startswith("message."), _holding_any(texts, some)) for some in _portions(traces.said)]


def _to_reps(traces: Traces) -> list[ColumnElement[bool]]:
    """Which messages to reps may hold it, or a name."""
    texts, words = _columns([OutboxRow.body]), [*traces.names, *traces.said]
    return [and_(OutboxRow.api.in_(TO_REPS), _holding_any(texts, some)) for some in _portions(words)]


def _erase_what_was_said(db: Session, traces: Traces, found: Found) -> dict[str, int]:
    """Messages to and from reps that speak of this person without an id.

    Those from reps are kept to be looked at only: to lose one about somebody of the same name does no harm. Those to
    reps lose the name and what was said; one that waits still goes out, for it may be about somebody else.
    """
    from_reps = found.said(InboxRow, or_(false(), *_from_reps(traces)))
    gone = changed_rows(db, delete(InboxRow).where(from_reps))
    to_reps = found.said(OutboxRow, or_(false(), *_to_reps(traces)))
    blanked = 0
    for row in db.scalars(select(OutboxRow).where(to_reps).with_for_update()).all():
        body = _changed(row.body, lambda text: _without(text, traces), lambda key: key)
        blanked += body != row.body
        row.body = body
    db.flush()
    return {InboxRow.__tablename__: gone, OutboxRow.__tablename__: blanked}


def _portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[first : first + AT_ONCE] for first in range(0, len(texts), AT_ONCE))


def _without(text: str, traces: Traces) -> str:
    """The text without the person: nothing of it where it holds an identity of theirs or what was said of them."""
    if any(one in text for one in (*traces.telling, *traces.said)) or text == traces.public_id:
        return ERASED
    for name in traces.names:
        text = text.replace(name, ERASED)
    return text


def _scrub(db: Session, holding: Holding, traces: Traces) -> int:
    """Take the person out of the free texts of these rows, and leave the rest of them; how many had any."""

    def key(text: str) -> str:
        return ERASED if any(one in text for one in traces.telling) else text  # a name may be a word of ours

    changed = 0
    for row in db.scalars(select(holding.table).where(holding.where(traces)).with_for_update()).all():
        before = [getattr(row, one.key) for one in holding.texts]
        after = [_changed(one, lambda text: _without(text, traces), key) for one in before]
        for column, value in zip(holding.texts, after, strict=True):
            setattr(row, column.key, value)
        changed += before != after
    db.flush()
    return changed


def _changed(value: Any, change: Callable[[str], str], key: Callable[[str], str]) -> Any:
    """The same JSON with every text and every name of a field changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(one, change, key) for one in value]
    if isinstance(value, dict):
        return {key(name): _changed(one, change, key) for name, one in value.items()}
    return value


# --- staying erased --------------------------------------------------------------------------------------------------


def digest(type_: str, value: str) -> str:
    """SHA-256 of ``type:value``: tells whether somebody is the one, not who they are."""
    return hashlib.sha256(f"{type_}:{value}".encode()).hexdigest()


def digests_of(traces: Traces) -> list[str]:
    """Of everything by which a person was known.

    Of phone numbers only where there is nothing else: there are so few that a digest can be tried out.
    """
    known = [one for one in traces.identities if one[0] != identities.PHONE] or traces.identities
    return sorted({digest(*one) for one in known})


def erased_at(db: Session) -> dict[str, datetime]:
    """Each digest of those who were erased, and when they last were."""
    rows = db.execute(select(Erasure.digests, Erasure.at).order_by(Erasure.at))
    return {one: at for digests, at in rows for one in digests}


def erased(db: Session, since: Mapping[str, datetime | None]) -> set[str]:
    """Who of these external_userids was erased here and is only still in WeCom's lists.

    ``since`` says from when WeCom has each of them with a rep (None: unknown): who was added after the erasure has come
    back. Somebody we know is nobody erased.
    """
    when = erased_at(db)
    if not when:
        return set()
    at = {one: when[digest(persons.EXTERNAL, one)] for one in since if digest(persons.EXTERNAL, one) in when}
    known = select(Identity.value).where(Identity.type == persons.EXTERNAL, Identity.value.in_(at))
    back = set(db.scalars(known)) | {one for one, moment in at.items() if (since[one] or moment) > moment}
    return set(at) - back


def erase_again(work: Work, receipts: Sequence[Mapping[str, Any]]) -> int:
    """Erase those of these receipts (rows of ``erasure``) whom a backup has brought back; how many there were."""
    db = work.db
    wanted = {one: receipt for receipt in receipts for one in receipt["digests"]}
    again: dict[int, Mapping[str, Any]] = {}
    every = select(Identity.person_id, Identity.type, Identity.value).execution_options(yield_per=1000)
    for person_id, type_, value in db.execute(every):
        receipt = wanted.get(digest(type_, value))
        if receipt is not None:
            again[person_id] = receipt
    counts = {}
    for person_id, receipt in again.items():
        person = db.get_one(Person, person_id)
        if person.first_seen_at <= receipt["at"]:  # who came after it is somebody new
            traces = traces_of(db, person)
            counts[person_id] = _erase(db, traces, _look_through(db, traces))
    _keep_receipts(db, receipts)
    return len(counts)


def _keep_receipts(db: Session, receipts: Sequence[Mapping[str, Any]]) -> None:
    kept = set(db.scalars(select(Erasure.person)))
    for one in receipts:
        if one["person"] not in kept:
            names = ("person", "digests", "counts", "by", "at")
            db.add(Erasure(**{name: one[name] for name in names}))
            kept.add(one["person"])
    db.flush()


def receipts(db: Session) -> list[dict[str, Any]]:
    """Every erasure so far, as ``erase_again`` takes them."""
    names = ("person", "digests", "counts", "by", "at")
    return [{name: getattr(one, name) for name in names} for one in db.scalars(select(Erasure).order_by(Erasure.id))]


def erasures(db: Session) -> int:
    """How many people were erased so far."""
    return cast(int, db.scalar(select(func.count()).select_from(Erasure)))

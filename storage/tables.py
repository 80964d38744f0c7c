"""Every table, each column in plain sight. The vocabulary is the glossary of the README.

Facts are added and kept; what is derived from them (a relation's state, its intervals) is written beside them and
can be rebuilt. Times are aware and in UTC; ``id`` columns grow.
"""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy import (
    text as sql,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from storage.database import UtcTime

Key = BigInteger().with_variant(Integer, "sqlite")
"""A growing number; SQLite only grows plain INTEGER keys by itself."""

OPEN = sql("state IN ('waiting', 'taken')")
OUTGOING = sql("state IN ('waiting', 'sending')")


class Base(DeclarativeBase):
    """The root of all tables; named constraints, so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[int]: JSON,
        list[dict[str, Any]]: JSON,
    }


# --- the road: what came in, what goes out ---------------------------------------------------------------------------


class InboxRow(Base):
    """One callback as WeCom sent it (decrypted), and how far we got with it."""

    __tablename__ = "inbox"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    identity: Mapped[str] = mapped_column(String(64), unique=True)
    """Digest of the decrypted XML without AgentID and WelcomeCode: a repeated delivery has the same."""
    name: Mapped[str] = mapped_column(String(100))
    """Which event it is, such as ``change_external_contact.add_external_contact``."""
    key: Mapped[str] = mapped_column(String(200))
    """Whose order must be kept: events with one key are handled one after the other."""
    lane: Mapped[str] = mapped_column(String(10))
    """``welcome`` (served first, by threads of its own) or ``events``."""
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, taken, done, aside."""
    xml: Mapped[str] = mapped_column(Text)
    extra_codes: Mapped[list[str]] = mapped_column(default=list)
    """Welcome codes that other receivers were given for the same arrival."""
    tries: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    """Grows with every claim; who holds an older number may not write any more."""
    due_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    event_at: Mapped[datetime]
    received_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    """What became of it, in words; for an event set aside: why."""
    __table_args__ = (
        Index("ix_inbox_open", "lane", "id", postgresql_where=OPEN, sqlite_where=OPEN),
        Index("ix_inbox_open_key", "key", "id", postgresql_where=OPEN, sqlite_where=OPEN),
        Index("ix_inbox_state_received", "state", "received_at"),
        Index("ix_inbox_received", "received_at"),
    )


class OutboxRow(Base):
    """One call we want WeCom to carry out, and what became of it."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    once: Mapped[str] = mapped_column(String(200), unique=True)
    """Why there can be only one: planning the same thing twice plans the same row."""
    name: Mapped[str] = mapped_column(String(50))
    body: Mapped[dict[str, Any]]
    key: Mapped[str] = mapped_column(String(200))
    """Calls with one key leave one after the other, in the order in which they were asked for."""
    lane: Mapped[str] = mapped_column(String(10))
    api: Mapped[str] = mapped_column(String(80))
    harmless: Mapped[bool]
    """Whether making the same call twice does no harm."""
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, sending, done, refused, held (unclear: a person decides), late, dropped, watched."""
    tries: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime]
    before: Mapped[datetime | None]
    """After this moment it is not to be sent any more."""
    lease_until: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    errcode: Mapped[int | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    cause: Mapped[str] = mapped_column(String(200), default="")
    """What made us ask: an event, a page, a job."""
    __table_args__ = (
        Index("ix_outbox_open", "lane", "id", postgresql_where=OUTGOING, sqlite_where=OUTGOING),
        Index("ix_outbox_open_key", "key", "id", postgresql_where=OUTGOING, sqlite_where=OUTGOING),
        Index("ix_outbox_state_asked", "state", "asked_at"),
    )


class Gate(Base):
    """What every sender must know about one API of WeCom before it calls: is it blocked, how much is used up."""

    __tablename__ = "gate"
    api: Mapped[str] = mapped_column(String(80), primary_key=True)
    blocked_until: Mapped[datetime | None]
    minute: Mapped[datetime | None]
    used: Mapped[int] = mapped_column(default=0)


class Lease(Base):
    """Who may do a thing that only one process should do at a time; ``epoch`` fences the one before."""

    __tablename__ = "lease"
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    owner: Mapped[str] = mapped_column(String(100))
    until: Mapped[datetime]
    epoch: Mapped[int] = mapped_column(default=1)


class Sealed(Base):
    """Small secrets shared between processes (access tokens), encrypted with a key from ``web.secret_key``."""

    __tablename__ = "sealed"
    name: Mapped[str] = mapped_column(String(150), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]


class JobRun(Base):
    """One run of one job of the timetable; the key on (job, due) makes planning twice harmless."""

    __tablename__ = "job_run"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    job: Mapped[str] = mapped_column(String(80))
    due_at: Mapped[datetime]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    ok: Mapped[bool | None]
    __table_args__ = (UniqueConstraint("job", "due_at"), Index("ix_job_run_started", "started_at"))


class Progress(Base):
    """How far a long piece of work has come, so that it goes on after a restart."""

    __tablename__ = "progress"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    state: Mapped[str] = mapped_column(String(10))
    """running, done, failed."""
    at: Mapped[dict[str, Any]] = mapped_column(default=dict)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    started_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    note: Mapped[str | None] = mapped_column(Text)


class Alarm(Base):
    """Something an admin must know; raised once, cleared when it is over."""

    __tablename__ = "alarm"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(Text)
    raised_at: Mapped[datetime]
    last_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]
    __table_args__ = (
        Index(
            "uq_alarm_open",
            "kind",
            unique=True,
            postgresql_where=sql("cleared_at IS NULL"),
            sqlite_where=sql("cleared_at IS NULL"),
        ),
    )


# --- the organisation ------------------------------------------------------------------------------------------------


class Department(Base):
    """A department as WeCom tells it. The root has id 1."""

    __tablename__ = "department"
    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(200), default="")
    parent_id: Mapped[int | None]
    order: Mapped[int] = mapped_column(BigInteger, default=0)
    leaders: Mapped[list[str]] = mapped_column(default=list)


class Member(Base):
    """A rep (成员): somebody of ours in WeCom."""

    __tablename__ = "member"
    userid: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    departments: Mapped[list[int]] = mapped_column(default=list)
    leads: Mapped[list[int]] = mapped_column(default=list)
    """Departments this member leads."""
    superiors: Mapped[list[str]] = mapped_column(default=list)
    """Direct superiors (直属上级), by userid."""
    position: Mapped[str] = mapped_column(String(200), default="")
    status: Mapped[int] = mapped_column(default=1)
    """1 active, 2 disabled, 4 not activated, 5 quit (WeCom's numbers)."""
    serves: Mapped[bool] = mapped_column(default=False)
    """Whether the member has the customer-contact feature."""
    left_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]


# --- people ----------------------------------------------------------------------------------------------------------


class Person(Base):
    """One customer (客户), however many identities and reps."""

    __tablename__ = "person"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    avatar: Mapped[str | None] = mapped_column(String(500))
    gender: Mapped[int] = mapped_column(default=0)
    kind: Mapped[int] = mapped_column(default=1)
    """1 WeChat user, 2 WeCom user of another corp."""
    corp_name: Mapped[str | None] = mapped_column(String(200))
    owner: Mapped[str | None] = mapped_column(String(64))
    """The rep who answers for this person; the oldest living relation unless set by hand."""
    owner_by_hand: Mapped[bool] = mapped_column(default=False)
    phone: Mapped[str | None] = mapped_column(String(40))
    opted_out: Mapped[bool] = mapped_column(default=False)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    profile_at: Mapped[datetime | None]
    """When WeCom was last asked about this person; none: still to be asked."""
    identities: Mapped[list["Identity"]] = relationship(back_populates="person", lazy="raise")
    relations: Mapped[list["Relation"]] = relationship(back_populates="person", lazy="raise")
    __table_args__ = (
        Index("ix_person_last_seen", "last_seen_at", "id"),
        Index("ix_person_owner", "owner"),
        Index("ix_person_name", "name"),
    )


class Identity(Base):
    """One way by which a person is known: (type, value) belongs to one person."""

    __tablename__ = "identity"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    type: Mapped[str] = mapped_column(String(40))
    value: Mapped[str] = mapped_column(String(200))
    verified: Mapped[bool] = mapped_column(default=True)
    added_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(40), default="wecom")
    person: Mapped[Person] = relationship(back_populates="identities", lazy="raise")
    __table_args__ = (UniqueConstraint("type", "value"),)


class Relation(Base):
    """A person and a rep who have (or had) each other in WeCom (客户与成员)."""

    __tablename__ = "relation"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    userid: Mapped[str] = mapped_column(String(64))
    external_userid: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(20), default="unknown")
    """half, active, ended_by_rep, ended_by_customer, ended_by_both, transferred, unknown."""
    added_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channel.id"), index=True)
    source_state: Mapped[str | None] = mapped_column(String(64))
    """WeCom's State as it came, kept even when no channel of ours has it."""
    add_way: Mapped[int | None]
    remark: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    remark_phones: Mapped[list[str]] = mapped_column(default=list)
    person: Mapped[Person] = relationship(back_populates="relations", lazy="raise")
    __table_args__ = (
        UniqueConstraint("external_userid", "userid"),
        Index("ix_relation_userid_state", "userid", "state"),
    )


class RelationFact(Base):
    """One thing that happened between a person and a rep. The relation's state is folded from these."""

    __tablename__ = "relation_fact"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    relation_id: Mapped[int] = mapped_column(ForeignKey("relation.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    """half, full, taken_over, deleted_by_rep, deleted_by_customer, transferred."""
    at: Mapped[datetime]
    source_state: Mapped[str | None] = mapped_column(String(64))
    had_code: Mapped[bool] = mapped_column(default=False)
    add_way: Mapped[int | None]
    inbox_id: Mapped[int | None]
    __table_args__ = (UniqueConstraint("relation_id", "kind", "at"),)


class Interval(Base):
    """One stretch of time in which a relation lived: began, perhaps confirmed, perhaps ended, and by whom."""

    __tablename__ = "relation_interval"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    relation_id: Mapped[int] = mapped_column(ForeignKey("relation.id"))
    number: Mapped[int]
    """1 for the first, 2 for the first re-adding …"""
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    userid: Mapped[str] = mapped_column(String(64))
    began_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = mapped_column(String(20))
    """rep, customer, transfer."""
    origin: Mapped[str] = mapped_column(String(20))
    """arrival, transfer, taken_over, unknown (only its end was ever seen)."""
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channel.id"))
    __table_args__ = (
        UniqueConstraint("relation_id", "number"),
        Index("ix_interval_began", "began_at"),
        Index("ix_interval_ended", "ended_at"),
        Index("ix_interval_person_began", "person_id", "began_at"),
        Index("ix_interval_channel", "channel_id", "began_at"),
    )


class Interaction(Base):
    """One line of a person's story."""

    __tablename__ = "interaction"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    userid: Mapped[str | None] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    once: Mapped[str] = mapped_column(String(200), unique=True)
    """Why there can be only one, such as ``event:17``."""
    __table_args__ = (Index("ix_interaction_person_at", "person_id", "at", "id"),)


# --- tags ------------------------------------------------------------------------------------------------------------


class Tag(Base):
    """A corp tag (企业标签) of ours, mirrored at WeCom on demand."""

    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    group_name: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(60))
    wecom_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    wecom_group_id: Mapped[str | None] = mapped_column(String(64))
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("group_name", "name"),)


class PersonTag(Base):
    """A tag on a person, and why."""

    __tablename__ = "person_tag"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), index=True)
    source: Mapped[str] = mapped_column(String(20))
    """channel, manual, wecom, api."""
    because: Mapped[str] = mapped_column(Text)
    actor: Mapped[str | None] = mapped_column(String(64))
    inbox_id: Mapped[int | None]
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("person_id", "tag_id"),)


class RelationTag(Base):
    """Whether WeCom shows a tag on one relation: tags there hang on the relation, not on the person."""

    __tablename__ = "relation_tag"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    relation_id: Mapped[int] = mapped_column(ForeignKey("relation.id"))
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), index=True)
    wanted: Mapped[bool] = mapped_column(default=True)
    at_wecom: Mapped[str] = mapped_column(String(10), default="pending")
    """pending, done, refused, watched."""
    detail: Mapped[str | None] = mapped_column(Text)
    round: Mapped[int] = mapped_column(default=1)
    """Grows each time the wish changes, so that each wish is asked for once."""
    changed_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("relation_id", "tag_id"),)


# --- channels --------------------------------------------------------------------------------------------------------


class Channel(Base):
    """A channel code (渠道活码): a contact way at WeCom, whom it leads to, and what happens on arrival."""

    __tablename__ = "channel"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    """Our name for it and WeCom's State: what comes back with every scan."""
    name: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(10), default="active")
    """active, stopped (the printed QR lives on and leads to a spare rep), deleted."""
    config_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    qr_code: Mapped[str | None] = mapped_column(String(500))
    skip_verify: Mapped[bool] = mapped_column(default=True)
    welcome: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``{"text": …, "attachments": [{"kind": image|link|miniprogram, …}]}``."""
    tags: Mapped[list[int]] = mapped_column(default=list)
    timetable: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """``[{"days": [1..7], "from": "09:00", "to": "18:00", "holidays": "same|off|only", "members": [userid]}]``."""
    daily_cap: Mapped[int | None]
    """How many customers one rep gets from this code a day; then the spare reps take over."""
    taken_over: Mapped[bool] = mapped_column(default=False)
    at_wecom: Mapped[list[str]] = mapped_column(default=list)
    """The reps WeCom now leads this code to, as far as we know."""
    trouble: Mapped[str | None] = mapped_column(Text)
    """Why nobody can answer this code at the moment, if so."""
    round: Mapped[int] = mapped_column(default=0)
    """Grows with every change asked of WeCom."""
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64), default="")
    changed_at: Mapped[datetime]
    seats: Mapped[list["ChannelSeat"]] = relationship(
        back_populates="channel", cascade="all, delete-orphan", lazy="selectin", order_by="ChannelSeat.id"
    )


class ChannelSeat(Base):
    """One rep on one channel code: a main one, or a spare one who steps in."""

    __tablename__ = "channel_seat"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channel.id"))
    userid: Mapped[str] = mapped_column(String(64), index=True)
    spare: Mapped[bool] = mapped_column(default=False)
    channel: Mapped[Channel] = relationship(back_populates="seats", lazy="raise")
    __table_args__ = (UniqueConstraint("channel_id", "userid", "spare"),)


class Welcome(Base):
    """The welcome of one arrival, and its visible outcome."""

    __tablename__ = "welcome"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    arrival: Mapped[str] = mapped_column(String(200), unique=True)
    """Rep, customer, and kind and second of the event: two codes of one arrival meet here."""
    userid: Mapped[str] = mapped_column(String(64))
    external_userid: Mapped[str] = mapped_column(String(64))
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channel.id"))
    outcome: Mapped[str] = mapped_column(String(12))
    """waiting, sent, no_code, no_text, already (41051), late, refused, unclear, watched."""
    detail: Mapped[str | None] = mapped_column(Text)
    half: Mapped[bool] = mapped_column(default=False)
    """Whether the arrival is only half complete as far as this welcome knows."""
    retried_41096: Mapped[bool] = mapped_column(default=False)
    event_at: Mapped[datetime]
    received_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    seconds: Mapped[float | None]
    """From the callback to WeCom's answer."""
    text: Mapped[str | None] = mapped_column(Text)
    attachments: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """What went along: ``[{"kind": "link", "title": "…"}]``."""
    __table_args__ = (
        Index("ix_welcome_event_at", "event_at"),
        Index("ix_welcome_pair", "external_userid", "userid", "event_at"),
    )


class Media(Base):
    """A picture we send: its bytes once, and its three-day life at WeCom."""

    __tablename__ = "media"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    file_name: Mapped[str] = mapped_column(String(200))
    content_type: Mapped[str] = mapped_column(String(80))
    size: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    media_id: Mapped[str | None] = mapped_column(String(300))
    uploaded_at: Mapped[datetime | None]
    trouble: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class CalendarDay(Base):
    """A public holiday or a make-up working day; days not listed follow the week."""

    __tablename__ = "calendar_day"
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    """holiday, workday."""
    name: Mapped[str] = mapped_column(String(60), default="")


# --- the house: who signs in, who did what ---------------------------------------------------------------------------


class User(Base):
    """Somebody who may use the console; ``userid`` is the WeCom userid where there is one."""

    __tablename__ = "user"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    userid: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(10))
    """boss, manager, operator, rep."""
    password_hash: Mapped[str | None] = mapped_column(String(200))
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    language: Mapped[str] = mapped_column(String(5), default="zh")


class SignIn(Base):
    """One session of one user. Only the digest of its token is kept; ending it here ends it everywhere."""

    __tablename__ = "sign_in"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    address: Mapped[str] = mapped_column(String(64), default="")


class SignInLink(Base):
    """A one-time link (the first start prints one); only its digest is kept."""

    __tablename__ = "sign_in_link"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Attempt(Base):
    """A failed sign-in, to slow down who guesses."""

    __tablename__ = "attempt"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    userid: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    __table_args__ = (Index("ix_attempt_userid_at", "userid", "at"), Index("ix_attempt_address_at", "address", "at"))


class AuditRow(Base):
    """Who did what, when, from where. The database refuses to change or delete a row; a hash chain shows a gap."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(200), default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address: Mapped[str] = mapped_column(String(64), default="")
    before_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    __table_args__ = (Index("ix_audit_at", "at"),)


class ApiKey(Base):
    """A key for the open API; only its digest is kept."""

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(12))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class IdempotentAnswer(Base):
    """The answer once given for an Idempotency-Key, to be given again."""

    __tablename__ = "idempotent_answer"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    api_key_id: Mapped[int] = mapped_column(ForeignKey("api_key.id"))
    key: Mapped[str] = mapped_column(String(255))
    request_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("api_key_id", "key"),)

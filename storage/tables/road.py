"""The road: what came in, what goes out, and what keeps it moving."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

OPEN = sql("state IN ('waiting', 'taken')")
OUTGOING = sql("state IN ('waiting', 'sending')")


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
        partial_index("ix_inbox_open", "lane", "id", where=OPEN),
        partial_index("ix_inbox_open_key", "key", "id", where=OPEN),
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
        partial_index("ix_outbox_open", "lane", "id", where=OUTGOING),
        partial_index("ix_outbox_open_key", "key", "id", where=OUTGOING),
        Index("ix_outbox_state_asked", "state", "asked_at"),
    )


class Gate(Base):
    """What every sender must know about one API of WeCom before it calls: is it blocked, how much is used up."""

    __tablename__ = "gate"
    api: Mapped[str] = mapped_column(String(80), primary_key=True)
    blocked_until: Mapped[datetime | None]
    minute: Mapped[datetime | None]
    used: Mapped[int] = mapped_column(default=0)


class Pace(Base):
    """How soon the next message may go to one member: WeCom drops what comes too thick, and does not say so."""

    __tablename__ = "pace"
    userid: Mapped[str] = mapped_column(String(64), primary_key=True)
    free_at: Mapped[datetime]
    """Every message moves it on by its share of a minute; it may run ahead of the clock by what a burst may hold."""


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
        partial_index(
            "uq_alarm_open",
            "kind",
            unique=True,
            where=sql("cleared_at IS NULL"),
        ),
    )

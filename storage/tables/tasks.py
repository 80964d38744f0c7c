"""Work to be done: reps' reminders, bulk work on many people, handing customers over, comparing with WeCom, erasing."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key


class Task(Base):
    """Something a rep means to do about a person, perhaps at a time (跟进)."""

    __tablename__ = "task"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    userid: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(String(500))
    due_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(String(10), default="open")
    """open, done, dropped."""
    once: Mapped[str] = mapped_column(String(120), unique=True)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        Index("ix_task_userid_state", "userid", "state", "due_at"),
        Index("ix_task_due", "state", "due_at"),
        {"sqlite_autoincrement": True},
    )


class BulkJob(Base):
    """Tagging or untagging many people at once, in portions that can be paused."""

    __tablename__ = "bulk_job"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    what: Mapped[str] = mapped_column(String(10))
    """tag, untag."""
    tags: Mapped[list[int]] = mapped_column(default=list)
    source: Mapped[str] = mapped_column(String(200), default="")
    """A file's name, or the filter in words."""
    reason: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(10), default="preview")
    """reading, preview, running, paused, cancelled, done, undoing, undone."""
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    by: Mapped[str] = mapped_column(String(100))
    confirmed_by: Mapped[str | None] = mapped_column(String(100))
    """The second person, where the job is so big that it needs one."""
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class BulkRow(Base):
    """One person of a bulk job, and what became of it."""

    __tablename__ = "bulk_row"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("bulk_job.id"))
    number: Mapped[int]
    """The line of the file, from 1; of a filtered list its place."""
    asked: Mapped[str] = mapped_column(String(200), default="")
    """What the line said, as far as it names somebody."""
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    outcome: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, done, same (nothing to change), refused."""
    detail: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (UniqueConstraint("job_id", "number"), Index("ix_bulk_row_outcome", "job_id", "outcome", "number"))


class Handover(Base):
    """One plan that gives a rep's customers, and what hangs on them, to another rep (继承)."""

    __tablename__ = "handover"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    giver: Mapped[str] = mapped_column(String(64))
    taker: Mapped[str] = mapped_column(String(64))
    resigned: Mapped[bool] = mapped_column(default=False)
    words: Mapped[str] = mapped_column(String(200), default="")
    """What WeCom tells the customers."""
    state: Mapped[str] = mapped_column(String(10), default="running")
    """running, done, cancelled."""
    moved: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """How many tasks and codes went along."""
    by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class HandoverRow(Base):
    """One customer of a handover, and what WeCom says of it."""

    __tablename__ = "handover_row"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    handover_id: Mapped[int] = mapped_column(ForeignKey("handover.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    external_userid: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, asked (WeCom moves it within 24 hours), unclear (the line broke when we asked), done, refused."""
    errcode: Mapped[int | None]
    detail: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("handover_id", "external_userid"),)


class Unassigned(Base):
    """A customer of somebody who left the corp, whom nobody has inherited yet (待分配), as WeCom lists them."""

    __tablename__ = "unassigned"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    giver: Mapped[str] = mapped_column(String(64))
    external_userid: Mapped[str] = mapped_column(String(64), index=True)
    left_at: Mapped[datetime | None]
    read_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("giver", "external_userid"),)


class SyncRun(Base):
    """One comparison with WeCom: what differed, and what was mended."""

    __tablename__ = "sync_run"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    state: Mapped[str] = mapped_column(String(10), default="running")
    """asked (a worker begins, or goes on, as soon as it can), running, stopped (by hand), done, failed."""
    dry: Mapped[bool] = mapped_column(default=False)
    by: Mapped[str] = mapped_column(String(100), default="")
    at: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The place reached, to go on from."""
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``{"relations": {"wecom": 4812, "here": 4809, "different": 3, "fixed": 3, "examples": [...], "note": …}, …}``."""
    started_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    trouble: Mapped[str | None] = mapped_column(Text)


class Erasure(Base):
    """Somebody was erased: the receipt, and digests by which a restored backup erases them again."""

    __tablename__ = "erasure"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person: Mapped[str] = mapped_column(String(20), unique=True)
    """The public id they had; it says nothing about who they were."""
    digests: Mapped[list[str]] = mapped_column(default=list)
    """SHA-256 of each ``type:value`` by which they were known."""
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    by: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime]

"""The programme of points (积分): what waits for a second person's word, and who has which tier.

``loyalty.approvals`` and ``loyalty.tiers`` alone write here. These tables name accounts, never people.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

GOES_ON = "state IN ('waiting', 'approved', 'running')"


class Approval(Base):
    """Something to be done to points, by whom, how grave it is, and what became of it."""

    __tablename__ = "approval"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """A row of ``loyalty.deeds.DEEDS``."""
    grade: Mapped[int]
    """0 to 3: how many have to agree, and whether it waits (loyalty.md §2.9)."""
    reasons: Mapped[list[str]]
    """Why it has this grade: names of ``loyalty.authority.RULES``."""
    payload: Mapped[dict[str, Any]]
    """Exactly what is carried out."""
    payload_hash: Mapped[str] = mapped_column(String(64))
    preview: Mapped[dict[str, Any]]
    """What it came to when it was asked for: ``loyalty.deeds.Look``."""
    size: Mapped[int] = mapped_column(BigInteger)
    """Points moved in all, whichever way."""
    account_id: Mapped[int | None] = mapped_column(Key)
    """Whose points it is about, where it is about one account."""
    reason: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(String(100))
    hand: Mapped[str] = mapped_column(String(100))
    """Who is behind ``made_by``: of an API key, the user who made it."""
    once: Mapped[str] = mapped_column(String(200), unique=True)
    state: Mapped[str] = mapped_column(String(12))
    """waiting (for a word; alone: until ``due_at``), approved (until ``due_at``), running (many accounts), done;
    rejected, cancelled, expired, returned."""
    people: Mapped[int]
    """So many of those there were had to agree when it was asked for."""
    boss: Mapped[bool]
    """Whether a boss has to be among them."""
    short: Mapped[bool]
    """Whether there were too few: then a day's delay stands for whoever is missing."""
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    """When it is carried out, where it has to wait."""
    ended_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(Text, default="")
    """Why it was rejected, or is back with its maker."""
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    told: Mapped[str] = mapped_column(String(12), default="")
    """The state of which everybody concerned has been told."""
    __table_args__ = (
        Index("ix_approval_hand", "hand", "made_at"),
        partial_index("ix_approval_open", "state", "id", where=sql(GOES_ON)),
        partial_index("ix_approval_untold", "id", where=sql("told <> state")),
    )


class ApprovalWord(Base):
    """What somebody said about it: yes or no, to exactly this payload."""

    __tablename__ = "approval_word"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    approval_id: Mapped[int] = mapped_column(ForeignKey("approval.id"))
    said_by: Mapped[str] = mapped_column(String(100))
    hand: Mapped[str] = mapped_column(String(100))
    boss: Mapped[bool]
    yes: Mapped[bool]
    payload_hash: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("approval_id", "hand"),)


class ApprovalLine(Base):
    """One account of many: how many points, and whether it is done."""

    __tablename__ = "approval_line"
    approval_id: Mapped[int] = mapped_column(ForeignKey("approval.id"), primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"), primary_key=True, autoincrement=False)
    points: Mapped[int]
    """Plus: they get them; minus: that is what they had when it was asked for."""
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, done, skipped."""
    txn_id: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (Index("ix_approval_line_state", "approval_id", "state", "account_id"),)


class TierChange(Base):
    """A tier that somebody got or lost, and why. Rows are only added."""

    __tablename__ = "tier_change"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"))
    why: Mapped[str] = mapped_column(String(10))
    """up, down, kept (for another year), undone (the order that brought it was refunded)."""
    before: Mapped[str] = mapped_column(String(20))
    after: Mapped[str] = mapped_column(String(20))
    until_before: Mapped[date | None]
    until: Mapped[date | None]
    """The first day, in the shop's time zone, on which it does not hold any more; none: it has no end."""
    points: Mapped[int] = mapped_column(BigInteger)
    """By how many points of the window it was decided."""
    cause: Mapped[int | None] = mapped_column(BigInteger)
    """The transaction that brought it about."""
    at: Mapped[datetime]
    """From when it holds."""
    recorded_at: Mapped[datetime]
    __table_args__ = (Index("ix_tier_change_account", "account_id", "at", "id"),)

"""Who is one person: what speaks for it, what people have said about it, and what waits for somebody to decide.

An anchor is a row of ``person``; it stays for ever. What is derived from these tables (``person.merged_into``,
``identity``) can be worked out anew at any time (``people.joining.rebuild``).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

HOME = "home AND released_at IS NULL"
WAITS = "state IN ('open', 'asked')"
"""Reviews that nobody has decided yet."""


class Evidence(Base):
    """One source says that an anchor is known by an identity. Never deleted but by an erasure."""

    __tablename__ = "evidence"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    anchor_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    type: Mapped[str] = mapped_column(String(40))
    value: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(80))
    """wecom, remark, api, ``rep:USERID`` (bound by a rep), or the system that told us."""
    verified: Mapped[bool]
    home: Mapped[bool] = mapped_column(default=False)
    """Whether the anchor was made for this identity: what comes under it is this anchor's."""
    first_seen_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    """The identity is this anchor's no longer: a number that was given up."""
    __table_args__ = (
        UniqueConstraint("type", "value", "anchor_id", "source"),
        partial_index("uq_evidence_home", "type", "value", "verified", unique=True, where=sql(HOME)),
    )


class Verdict(Base):
    """Somebody's word about two anchors: one person, or two (a cut). The last one that was not taken back counts."""

    __tablename__ = "identity_verdict"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    a: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    """The lower id of the two."""
    b: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    same: Mapped[bool]
    by: Mapped[str] = mapped_column(String(100))
    why: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class BlockedValue(Base):
    """An identity that names nobody in particular, by somebody's word: a shop's telephone, a number of many."""

    __tablename__ = "identity_block"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    type: Mapped[str] = mapped_column(String(40))
    value: Mapped[str] = mapped_column(String(200))
    by: Mapped[str] = mapped_column(String(100))
    why: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("type", "value"),)


class Review(Base):
    """Two anchors of which somebody is to say whether they are one person."""

    __tablename__ = "identity_review"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    a: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    """The lower id of the two."""
    b: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    """proposal (what speaks for it is not enough), conflict (something speaks against it), guard (both have points,
    tiers or new orders: two people decide)."""
    why: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``{"type": "phone", "value": "…", "reason": "two_unionids"}``."""
    state: Mapped[str] = mapped_column(String(10), default="open")
    """open, asked (one said yes, a second decides), merged, apart, gone (nothing speaks for it any more)."""
    made_by: Mapped[str] = mapped_column(String(100), default="")
    made_at: Mapped[datetime]
    asked_by: Mapped[str | None] = mapped_column(String(100))
    asked_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(100))
    decided_at: Mapped[datetime | None]
    said: Mapped[str] = mapped_column(String(200), default="")
    """The reason that was given with the decision."""
    __table_args__ = (
        partial_index("uq_identity_review_waits", "a", "b", unique=True, where=sql(WAITS)),
        Index("ix_identity_review_state", "state", "id"),
    )

"""Numbers and names about people: segments, who was in one at a moment, and the life cycle's history."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

MOVED = sql("before IS NOT NULL")


class Segment(Base):
    """A segment (分层): whoever fits its filter now (live), or whoever did when it was taken (static)."""

    __tablename__ = "segment"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(10), default="live")
    """live, static."""
    filter: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The tree that ``insight.segments`` reads; of a static one the tree it was taken by."""
    version: Mapped[int] = mapped_column(default=1)
    """Grows with every change."""
    size: Mapped[int | None]
    """How many people it had at ``size_at``."""
    size_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(100), default="")
    created_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(100), default="")
    changed_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class SegmentMember(Base):
    """One person of a static segment."""

    __tablename__ = "segment_member"
    segment_id: Mapped[int] = mapped_column(ForeignKey("segment.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, index=True)
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    __table_args__ = ({"sqlite_with_rowid": False},)


class LifecycleChange(Base):
    """One change of a person's place in the life cycle (生命周期), and why. Only added, with growing ids."""

    __tablename__ = "lifecycle_change"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    before: Mapped[str | None] = mapped_column(String(10))
    """None: it is the first that was said of them."""
    after: Mapped[str] = mapped_column(String(10))
    """As ``Person.life_cycle``."""
    at: Mapped[datetime]
    because: Mapped[str] = mapped_column(Text)
    """The reason as a sentence; ``console.segment_words`` knows its English."""
    __table_args__ = (
        Index("ix_lifecycle_change_person", "person_id", "id"),
        partial_index("ix_lifecycle_change_moved", "id", where=MOVED),
    )

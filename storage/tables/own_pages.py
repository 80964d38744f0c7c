"""Customers' own pages (``/me/<token>``): one address for each of them, and the browsers that may see all of it."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index


class OwnPage(Base):
    """One address. It shows whoever its anchor is now; a new one takes the place of one that was called back."""

    __tablename__ = "own_page"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    """An anchor; the address stays its own when two become one person."""
    token: Mapped[str] = mapped_column(String(40), unique=True)
    made_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    """When somebody last opened it, to the hour."""
    revoked_at: Mapped[datetime | None]
    __table_args__ = (partial_index("uq_own_page_living", "person_id", unique=True, where=sql("revoked_at IS NULL")),)


class OwnVisit(Base):
    """One browser at one page: it has asked for a code, or it may see everything until ``expires_at``."""

    __tablename__ = "own_visit"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    page_id: Mapped[int] = mapped_column(ForeignKey("own_page.id"), index=True)
    digest: Mapped[str | None] = mapped_column(String(64), unique=True)
    """Of the browser's cookie; none: a code that opens nothing, shown so that the counter knows whose points it is."""
    code: Mapped[str | None] = mapped_column(String(6), unique=True)
    """Six digits that a till or a rep may confirm; gone once it was."""
    code_until: Mapped[datetime | None]
    wechat: Mapped[str] = mapped_column(String(300), default="")
    """Who WeChat says is looking, where we did not know it was them: kept for certain once the code is confirmed."""
    made_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    opened_by: Mapped[str] = mapped_column(String(100), default="")
    """wechat, ``key:NAME``, or the userid of who confirmed it."""
    expires_at: Mapped[datetime]

"""The library of what is sent (素材), the tracked links (/t/…) in it, and who opened them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key


class Material(Base):
    """One thing that may be sent: a text, picture, link or mini program, perhaps in several wordings."""

    __tablename__ = "material"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """text, image, link, miniprogram, video, file."""
    name: Mapped[str] = mapped_column(String(60))
    folder: Mapped[str] = mapped_column(String(60), default="")
    contents: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Its wordings (variants): ``[{"name": "a", "text": …}]``, ``[{"name": "a", "title": …, "url": …}]``."""
    open_tags: Mapped[list[int]] = mapped_column(default=list)
    """Tags for whoever opens its link."""
    tell_rep: Mapped[bool] = mapped_column(default=False)
    """Whether the rep hears when her customer opens its link."""
    version: Mapped[int] = mapped_column(default=1)
    made_by: Mapped[str] = mapped_column(String(100), default="")
    made_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(100), default="")
    changed_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    __table_args__ = (Index("ix_material_kind", "kind", "id"),)


class TrackedLink(Base):
    """One address ``/t/<token>``: where it leads, for whom or for which task it was made."""

    __tablename__ = "tracked_link"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    token: Mapped[str] = mapped_column(String(40), unique=True)
    url: Mapped[str] = mapped_column(Text)
    """The only place it leads to."""
    material_id: Mapped[int | None] = mapped_column(ForeignKey("material.id"), index=True)
    source: Mapped[str] = mapped_column(String(60))
    """Where it was sent: ``broadcast:3``, ``journey:5:v1:s2``, ``welcome``, ``answer:2``, ``card``."""
    once: Mapped[str] = mapped_column(String(160), unique=True)
    """Why there can be only one: what it was made for."""
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    external_userid: Mapped[str | None] = mapped_column(String(64), index=True)
    """Whom it was made for where that was before we knew the person: a welcome is quicker than we are."""
    task_id: Mapped[int | None] = mapped_column(ForeignKey("mass_task.id"), index=True)
    userid: Mapped[str | None] = mapped_column(String(64))
    """The rep who sent it."""
    opens: Mapped[int] = mapped_column(default=0)
    made_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    """Last."""
    __table_args__ = (Index("ix_tracked_link_source", "source", "opens"),)


class LinkOpen(Base):
    """One opening of a tracked link by a person's browser; link previews and repeats within a minute are none."""

    __tablename__ = "link_open"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    link_id: Mapped[int] = mapped_column(ForeignKey("tracked_link.id"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    at: Mapped[datetime]
    device: Mapped[str] = mapped_column(String(20), default="")
    """wechat, wecom, phone, desktop."""
    once: Mapped[str] = mapped_column(String(80), unique=True)
    """The link, the browser's cookie and the minute."""
    __table_args__ = (Index("ix_link_open_link", "link_id", "at"),)

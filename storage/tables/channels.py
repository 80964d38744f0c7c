"""Channel codes, welcomes, pictures, and the calendar that leads codes."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storage.tables.base import Base, Key


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

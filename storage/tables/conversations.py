"""Conversations: 微信客服 accounts and chats, what was sent along in them, answers, customer groups, reps' days."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key


class KfAccount(Base):
    """An account of 微信客服, and how far its messages have been pulled."""

    __tablename__ = "kf_account"
    open_kfid: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), default="")
    manageable: Mapped[bool] = mapped_column(default=False)
    """Whether WeCom lets our app answer for it."""
    cursor: Mapped[str] = mapped_column(String(200), default="")
    """Moves in the transaction that keeps the messages before it."""
    welcome: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``{"text": …, "menu": [words …]}`` for somebody who opens the chat."""
    asks_satisfaction: Mapped[bool] = mapped_column(default=False)
    pulled_at: Mapped[datetime | None]
    gone_at: Mapped[datetime | None]
    trouble: Mapped[str | None] = mapped_column(Text)
    servicers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Who answers for it in the client: ``{userid: {"receiving": bool, "stop_type": int}}``."""


class Conversation(Base):
    """One customer's chat with one kf account: who has it, and what may still be sent."""

    __tablename__ = "conversation"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    open_kfid: Mapped[str] = mapped_column(ForeignKey("kf_account.open_kfid"))
    external_userid: Mapped[str] = mapped_column(String(64))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    state: Mapped[int] = mapped_column(default=0)
    """WeCom's number: 0 new, 1 the bot has it, 2 waiting in the pool, 3 a servicer has it, 4 ended."""
    state_at: Mapped[datetime | None]
    """Since when, as far as we know."""
    servicer: Mapped[str | None] = mapped_column(String(64))
    last_customer_at: Mapped[datetime | None]
    """The last message of the customer: for 48 hours from then, up to five messages may be sent."""
    sent_since: Mapped[int] = mapped_column(default=0)
    """Messages of ours since then, those on their way counted."""
    answered_at: Mapped[datetime | None]
    """The last message to the customer, by whomever."""
    last_at: Mapped[datetime]
    read_until: Mapped[datetime | None]
    """Up to when somebody of ours has looked at it in the console."""
    rating: Mapped[int | None]
    """The answer to the last satisfaction question: 1 to 5."""
    rated_at: Mapped[datetime | None]
    asked_rating_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("open_kfid", "external_userid"),
        Index("ix_conversation_last", "last_at", "id"),
        Index("ix_conversation_state", "state", "last_at"),
    )


class KeptFile(Base):
    """A picture, voice, video or file somebody sent: fetched before WeCom drops it, under a name of our own."""

    __tablename__ = "kept_file"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    interaction_id: Mapped[int] = mapped_column(ForeignKey("interaction.id"), index=True)
    media_id: Mapped[str] = mapped_column(String(300))
    kind: Mapped[str] = mapped_column(String(20))
    """What WeCom calls it: image, voice, video, file."""
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, kept, refused (why is in ``detail``), erased."""
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    name: Mapped[str] = mapped_column(String(100), default="")
    content_type: Mapped[str] = mapped_column(String(80), default="")
    """By its first bytes, never by what somebody called it."""
    size: Mapped[int] = mapped_column(default=0)
    content: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    detail: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (Index("ix_kept_file_state", "state", "due_at"),)


class Answer(Base):
    """An answer the bot gives by itself: to keywords, or to one of the questions of the FAQ."""

    __tablename__ = "answer"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    state: Mapped[str] = mapped_column(String(10), default="active")
    """active, stopped, deleted."""
    definition: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """When it is meant, as ``tagging.rules`` reads it."""
    reply: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``{"text": …, "menu": [words …], "hand_over": bool}``."""
    version: Mapped[int] = mapped_column(default=1)
    place: Mapped[int] = mapped_column(default=0)
    """Of two answers that fit equally well the one with the smaller place is given."""
    created_by: Mapped[str] = mapped_column(String(100), default="")
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class GroupChat(Base):
    """A customer group (客户群) as WeCom keeps it."""

    __tablename__ = "group_chat"
    chat_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    owner: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime | None]
    version: Mapped[str] = mapped_column(String(64), default="")
    """WeCom's member_version: another one than the last event named means that we missed something."""
    dismissed_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]


class GroupMember(Base):
    """Somebody's stay in a customer group."""

    __tablename__ = "group_member"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    chat_id: Mapped[str] = mapped_column(ForeignKey("group_chat.chat_id"))
    member: Mapped[str] = mapped_column(String(64), index=True)
    """A userid, or an external_userid."""
    type: Mapped[int] = mapped_column(default=2)
    """1 one of ours, 2 a customer or a stranger."""
    name: Mapped[str] = mapped_column(String(200), default="")
    joined_at: Mapped[datetime]
    scene: Mapped[int | None]
    """How they came in: 1 invited, 2 by a link, 3 by a QR code."""
    left_at: Mapped[datetime | None]
    __table_args__ = (UniqueConstraint("chat_id", "member", "joined_at"),)


class RepDay(Base):
    """One rep's day as WeCom itself counts it (get_user_behavior_data); never mixed with what we measure."""

    __tablename__ = "rep_day"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    userid: Mapped[str] = mapped_column(String(64))
    day: Mapped[date] = mapped_column(Date)
    chats: Mapped[int] = mapped_column(default=0)
    messages: Mapped[int] = mapped_column(default=0)
    reply_percentage: Mapped[float | None]
    first_reply_minutes: Mapped[float | None]
    deletions: Mapped[int] = mapped_column(default=0)
    """Customers who deleted or blocked the rep."""
    applications: Mapped[int] = mapped_column(default=0)
    new_contacts: Mapped[int] = mapped_column(default=0)
    read_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("userid", "day"),)

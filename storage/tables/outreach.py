"""What we start towards people: broadcasts, the tasks that reps confirm, reps' cards, and the contact budget."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

TAKEN = "state IN ('held', 'asked', 'sent')"
"""Touches that use up somebody's budget; also the condition of the index by which it is counted."""
FREE = "state = 'held' AND task_id IS NULL"
"""Touches that no task has yet; also the condition of the index by which they are cut into tasks."""
ALIVE_CARDS = "state IN ('open', 'snoozed')"
"""Cards that may still be acted on; literally so in ``outreach.cards``, or no database uses the index."""
OPEN_TASKS = "state IN ('planned', 'asked', 'unclear', 'made', 'leaving')"
GROUPS = "audience = 'groups'"


class Broadcast(Base):
    """One message to many (群发): whom it is for, what it says, and how far it has come."""

    __tablename__ = "broadcast"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    audience: Mapped[str] = mapped_column(String(10), default="people")
    """people, groups."""
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("segment.id"))
    filter: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The tree by which people are chosen: the segment's, as it was when the broadcast was approved."""
    chat_ids: Mapped[list[str]] = mapped_column(default=list)
    contents: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """``[{"arm": "a", "text": "…", "attachments": […]}]``: one, or two that are compared."""
    control: Mapped[int] = mapped_column(default=0)
    """So many of ten thousand get nothing, to compare with."""
    service: Mapped[bool] = mapped_column(default=False)
    """Whether the long-term control group gets it too: it serves people."""
    metric: Mapped[str] = mapped_column(String(10), default="talked")
    """By what its wordings are compared: talked, opened, left (within seven days)."""
    send_at: Mapped[datetime | None]
    """Not before; none: as soon as it may. Of a recurring one: its next time."""
    repeat: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``{"every": "week", "days": [1, 4], "at": "10:00"}``: each time is a broadcast of its own; none: once."""
    parent_id: Mapped[int | None] = mapped_column(Key, index=True)
    """The recurring one of which it is one time."""
    state: Mapped[str] = mapped_column(String(10), default="draft")
    """draft, asked (a second person decides), approved, running, stopped, done."""
    version: Mapped[int] = mapped_column(default=1)
    size: Mapped[int | None]
    """How many were to get it when it was approved."""
    made_by: Mapped[str] = mapped_column(String(100))
    approved_by: Mapped[str | None] = mapped_column(String(100))
    stopped_by: Mapped[str | None] = mapped_column(String(100))
    note: Mapped[str | None] = mapped_column(Text)
    """Why it is back with its maker, or was stopped."""
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    approved_at: Mapped[datetime | None]
    planned_to: Mapped[int | None]
    """The person to whom planning has come; none: not begun, or all of them."""
    planned_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    __table_args__ = (Index("ix_broadcast_state", "state", "send_at"),)


class MassTask(Base):
    """One to-do for one rep: a text for up to ten thousand of her customers, or some of her groups."""

    __tablename__ = "mass_task"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    """Why there can be only one: ``broadcast:3:lisi:a:0``; made again after a night it ends in ``:2``."""
    source: Mapped[str] = mapped_column(String(60))
    """``broadcast:3``, ``journey:5:v1:s2:20261127``."""
    audience: Mapped[str] = mapped_column(String(10), default="people")
    userid: Mapped[str] = mapped_column(String(64))
    arm: Mapped[str] = mapped_column(String(20), default="")
    text: Mapped[str] = mapped_column(Text, default="")
    attachments: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    chat_ids: Mapped[list[str]] = mapped_column(default=list)
    reached: Mapped[list[str]] = mapped_column(default=list)
    """Of these groups, those that received it."""
    size: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(10), default="planned")
    """planned, asked (the call waits or is made), unclear (WeCom is asked whether it has it), made, leaving (being
    cancelled), done, refused, cancelled, watched."""
    msgid: Mapped[str | None] = mapped_column(String(120), unique=True)
    due_at: Mapped[datetime]
    """Made at WeCom from then on."""
    asked_at: Mapped[datetime | None]
    made_at: Mapped[datetime | None]
    confirm_by: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    look_at: Mapped[datetime | None]
    """When WeCom is to be asked next how it stands."""
    reminded: Mapped[int] = mapped_column(default=0)
    reminded_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index("ix_mass_task_source", "source", "state"),
        partial_index("ix_mass_task_open", "state", "due_at", where=sql(OPEN_TASKS)),
        Index("ix_mass_task_userid", "userid", "made_at"),
        partial_index("ix_mass_task_groups", "confirmed_at", where=sql(GROUPS)),
    )


class Touch(Base):
    """One thing we mean to let somebody have, or why they do not get it: the contact budget's book.

    Held at planning, used when it was sent, given back when it failed. What reps sent by themselves is read from WeCom.
    """

    __tablename__ = "touch"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    source: Mapped[str] = mapped_column(String(60))
    """``broadcast:3``, ``journey:5:node:1``, ``own:MSGID``."""
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    way: Mapped[str] = mapped_column(String(10), default="mass")
    userid: Mapped[str | None] = mapped_column(String(64))
    external_userid: Mapped[str | None] = mapped_column(String(64))
    arm: Mapped[str] = mapped_column(String(20), default="")
    task_id: Mapped[int | None] = mapped_column(ForeignKey("mass_task.id"))
    state: Mapped[str] = mapped_column(String(10))
    """held, asked, sent; no_friend, quota, refused, cancelled, expired (given back); left_out, control (never held)."""
    reason: Mapped[str] = mapped_column(String(20), default="")
    """Of those left out: opted_out, no_relation, rep_away, quota, gap."""
    at: Mapped[datetime]
    """For when it is planned; once it is sent, when that was."""
    day: Mapped[date]
    """The same as a day of the shop."""
    __table_args__ = (
        UniqueConstraint("source", "person_id"),
        partial_index("ix_touch_budget", "person_id", "day", where=sql(TAKEN)),
        Index("ix_touch_task", "task_id", "state"),
        partial_index("ix_touch_free", "source", "userid", "arm", "id", where=sql(FREE)),
        Index("ix_touch_source", "source", "state", "person_id", "userid"),
        partial_index("ix_touch_day", "day", "source", "state", "userid", where=sql(TAKEN)),
        Index("ix_touch_person", "person_id"),
    )


class RepCard(Base):
    """One thing for a rep to do about a customer today, with its reason and a prepared text (今日待办卡片)."""

    __tablename__ = "rep_card"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    userid: Mapped[str] = mapped_column(String(64))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    kind: Mapped[str] = mapped_column(String(20))
    """What it is about: journey, opened, quiet, birthday, new …"""
    source: Mapped[str] = mapped_column(String(60))
    """``journey:5:v1:s2``, ``link:17``."""
    once: Mapped[str] = mapped_column(String(160), unique=True)
    because: Mapped[str] = mapped_column(Text, default="")
    """Why, in words for the rep."""
    text: Mapped[str] = mapped_column(Text, default="")
    """What she may send with one tap; may name the person."""
    attachments: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    rank: Mapped[int] = mapped_column(default=50)
    """Bigger first."""
    state: Mapped[str] = mapped_column(String(10), default="open")
    """open, snoozed, sent, done, irrelevant, expired, cancelled."""
    due_at: Mapped[datetime]
    """Shown from then on."""
    until: Mapped[datetime | None]
    """No use after that."""
    touch_id: Mapped[int | None] = mapped_column(ForeignKey("touch.id"), index=True)
    made_at: Mapped[datetime]
    shown_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(200), default="")
    """Why it is irrelevant, in her words; of one cancelled: opted_out, no_relation …"""
    __table_args__ = (
        Index("ix_rep_card_userid", "userid", "state", "due_at"),
        Index("ix_rep_card_source", "source", "state"),
        partial_index("ix_rep_card_alive", "due_at", where=sql(ALIVE_CARDS)),
    )

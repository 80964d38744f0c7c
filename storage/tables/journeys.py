"""Journeys: what they are in each version, who is on one and why, and each step that somebody has taken."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

LIVE = "state = 'live'"
WAITING = "state = 'waiting'"


class Journey(Base):
    """A journey (旅程): who sets out on it when, and what happens on the way. What is live stands in its versions."""

    __tablename__ = "journey"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    ready_made: Mapped[str | None] = mapped_column(String(40), unique=True)
    """Which of the ready-made ones it is."""
    state: Mapped[str] = mapped_column(String(10), default="off")
    """off (never published), live, draining (nobody sets out any more), stopped."""
    draft: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The definition being worked on (``outreach.journeys.definition``)."""
    draft_version: Mapped[int] = mapped_column(default=1)
    """Grows with every change of the draft."""
    live_version: Mapped[int | None]
    """The number of the version on which people set out."""
    priority: Mapped[int] = mapped_column(default=50)
    """Of the live version: bigger goes first where several want the same slot."""
    read_to: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """How far its triggers have read: ``{"line": 812, "at": "…"}``."""
    made_by: Mapped[str] = mapped_column(String(100), default="")
    made_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(100), default="")
    changed_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]


class JourneyVersion(Base):
    """A journey as it was published. Never changed: whoever set out on it stays on it."""

    __tablename__ = "journey_version"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    journey_id: Mapped[int] = mapped_column(ForeignKey("journey.id"))
    number: Mapped[int]
    definition: Mapped[dict[str, Any]] = mapped_column(default=dict)
    by: Mapped[str] = mapped_column(String(100), default="")
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("journey_id", "number"),)


class JourneyInside(Base):
    """Who was in a journey's segment when it was looked at last: whoever is new there has come in since."""

    __tablename__ = "journey_inside"
    journey_id: Mapped[int] = mapped_column(ForeignKey("journey.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, index=True)
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    __table_args__ = ({"sqlite_with_rowid": False},)


class Enrolment(Base):
    """One person's one round of a journey: why they set out, where they are, why it is over."""

    __tablename__ = "enrolment"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    journey_id: Mapped[int] = mapped_column(ForeignKey("journey.id"))
    version: Mapped[int]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    entry_key: Mapped[str] = mapped_column(String(120), default="")
    """What they set out about: nothing, an order's number, a line of their story."""
    round: Mapped[int] = mapped_column(default=1)
    arm: Mapped[str] = mapped_column(String(20), default="")
    """``control``: walks along, passes the same gates, gets nothing."""
    state: Mapped[str] = mapped_column(String(10), default="live")
    """live, leaving (to be taken off as soon as somebody looks), done (walked to its end), goal, left."""
    because: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Why they set out: ``{"on": "event", "kind": "added", "line": 812}``."""
    left_because: Mapped[str] = mapped_column(String(40), default="")
    """opted_out, no_relation, exit, no_match, stopped, too_old, loop, failed."""
    line: Mapped[int | None] = mapped_column(Key)
    """The line of their story with which it began."""
    since: Mapped[datetime]
    """What happened from then on counts: when that line was, or when they set out."""
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    goal_at: Mapped[datetime | None]
    """When they reached the goal within its days, also after the last step and in control."""
    goal_until: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("journey_id", "person_id", "entry_key", "round"),
        partial_index(
            "uq_enrolment_live",
            "journey_id",
            "person_id",
            "entry_key",
            unique=True,
            where=sql(LIVE),
        ),
        Index("ix_enrolment_state", "journey_id", "state", "id"),
        Index("ix_enrolment_person", "person_id", "id"),
        Index("ix_enrolment_goal", "journey_id", "goal_until"),
        Index("ix_enrolment_version", "journey_id", "version", "id"),
    )


class StepRun(Base):
    """One step of an enrolment: when it is due, and what came of it and why."""

    __tablename__ = "step_run"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    enrolment_id: Mapped[int] = mapped_column(ForeignKey("enrolment.id"))
    step: Mapped[str] = mapped_column(String(20))
    visit: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, done, skipped, failed."""
    due_at: Mapped[datetime]
    since: Mapped[datetime]
    """When the person came to this step."""
    began_at: Mapped[datetime | None]
    """For when it was planned, where no time passes at it: how late it is counts from then."""
    ended_at: Mapped[datetime | None]
    priority: Mapped[int] = mapped_column(default=50)
    tries: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``{"did": "tag"}``, ``{"skipped": "quota"}``, ``{"would": "mass"}``."""
    touch_id: Mapped[int | None] = mapped_column(ForeignKey("touch.id"), index=True)
    __table_args__ = (
        UniqueConstraint("enrolment_id", "step", "visit"),
        partial_index("ix_step_run_due", "due_at", "id", where=sql(WAITING)),
    )


class WebhookCall(Base):
    """One call of a shop's own address that a journey's step makes; repeated until it is taken."""

    __tablename__ = "webhook_call"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    once: Mapped[str] = mapped_column(String(120), unique=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    url: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, done, given_up."""
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(200), default="")
    made_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (partial_index("ix_webhook_call_due", "due_at", where=sql(WAITING)),)

"""Other systems: what they are told by webhooks, what they push to us, and the points system we take over from.

``webhook_message`` is an outbox of its own. Its rows are written by the database itself (``storage.notices``), in the
transaction of the fact they tell of, and name the fact; what is sent is read from it.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

WAITING = "state = 'waiting'"


class Webhook(Base):
    """An address of another system that is told what happens here."""

    __tablename__ = "webhook"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]]
    """Names of ``outreach.webhooks.EVENTS``."""
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted with a key from ``web.secret_key``."""
    secret_before: Mapped[bytes | None] = mapped_column(LargeBinary)
    before_until: Mapped[datetime | None]
    """So long messages are signed with the secret before, too."""
    state: Mapped[str] = mapped_column(String(10), default="on")
    """on, off."""
    why: Mapped[str] = mapped_column(String(200), default="")
    """Why it is off; empty: by hand."""
    fails: Mapped[int] = mapped_column(default=0)
    """Tries since the last that was taken."""
    due_at: Mapped[datetime | None]
    """After a failure: not before."""
    taken_at: Mapped[datetime | None]
    """When it last took a message."""
    made_at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(String(100))


class WebhookWish(Base):
    """A kind of fact that a webhook is to be told of. Nothing is written down while nobody wants it."""

    __tablename__ = "webhook_wish"
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id"), primary_key=True, autoincrement=False)
    fact: Mapped[str] = mapped_column(String(40), primary_key=True)
    """As ``storage.notices`` names them: ``order``, ``points``, ``line:merged``."""
    event: Mapped[str] = mapped_column(String(40))
    __table_args__ = (Index("ix_webhook_wish_fact", "fact"),)


class WebhookMessage(Base):
    """One fact to be told to one webhook; repeated until it is taken. It names the fact and holds nothing of it."""

    __tablename__ = "webhook_message"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    webhook_id: Mapped[int] = mapped_column(Key)
    """Without a foreign key: whoever writes a fact never waits for, nor fails by, what is done to a webhook."""
    event: Mapped[str] = mapped_column(String(40))
    fact: Mapped[str] = mapped_column(String(40))
    row_id: Mapped[int] = mapped_column(BigInteger)
    part: Mapped[int] = mapped_column(BigInteger, default=0)
    """Of a transaction of points: the account."""
    subject: Mapped[str] = mapped_column(String(200))
    """Whom it is about, ``p_17``: what concerns one is told in order."""
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, done, given_up, dropped (there is nothing to tell any more)."""
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    """Not before; none: at once."""
    tried_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(200), default="")
    """What came of the last try."""
    __table_args__ = (
        UniqueConstraint("webhook_id", "fact", "row_id", "part"),
        partial_index("ix_webhook_message_waiting", "webhook_id", "subject", "id", where=sql(WAITING)),
        Index("ix_webhook_message_log", "webhook_id", "id"),
        Index("ix_webhook_message_tried", "tried_at"),
    )


class InboundDoor(Base):
    """A door through which another system pushes its orders, signed, in its own words."""

    __tablename__ = "inbound_door"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    """The end of its address."""
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    secret_before: Mapped[bytes | None] = mapped_column(LargeBinary)
    before_until: Mapped[datetime | None]
    template: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Which of its words are ours: ``people.templates``."""
    shut_at: Mapped[datetime | None]
    heard_at: Mapped[datetime | None]
    trouble: Mapped[str] = mapped_column(String(200), default="")
    """Why the last message was not taken; empty: it was."""
    made_at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(String(100))


class InboundSeen(Base):
    """A message that came through a door, by its id: the same again changes nothing."""

    __tablename__ = "inbound_seen"
    door_id: Mapped[int] = mapped_column(ForeignKey("inbound_door.id"), primary_key=True, autoincrement=False)
    message: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of its body, in hex."""
    answer: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """How many orders were taken, known and refused."""
    at: Mapped[datetime]
    __table_args__ = (Index("ix_inbound_seen_at", "at"),)


class OldBalance(Base):
    """What an older points system says an account had at the end of a day, as far as it dies on the same day."""

    __tablename__ = "old_balance"
    day: Mapped[date] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"), primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 0: an account may have points that die on several days."""
    points: Mapped[int]
    expires_at: Mapped[datetime | None]
    origin: Mapped[str] = mapped_column(String(12), default="purchase")
    idle_months: Mapped[int | None]
    """They die of idleness, by the shop's rules; none: on that day."""
    __table_args__ = (Index("ix_old_balance_account", "account_id", "day"),)

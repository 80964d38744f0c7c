"""Points (积分): accounts, transactions, lots and entries that are only ever added, what they come to, and their seals.

The books are ``points_txn``, ``points_lot`` and ``points_entry``: the database refuses to change or delete a row of
them, nor one of ``points_renewal``, by which the ends of lots that die of idleness move. ``points_account`` and
``points_lot_now`` are what they come to, kept beside them, rebuilt to compare.
``points_day`` tells of each day what it did. Points are whole numbers. ``loyalty.ledger`` alone writes here.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Index, String, Text, and_, literal_column, or_
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

HAS_POINTS = "pending + available > 0"
OPEN_HOLDS = "state = 'open'"
IDLES = "idle_months IS NOT NULL"


class PointsAccount(Base):
    """Where points stand: of one person, or of a cause. The numbers are what the entries say."""

    __tablename__ = "points_account"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), unique=True)
    """None: of a cause, or of somebody who was erased."""
    name: Mapped[str | None] = mapped_column(String(60), unique=True)
    """Of a cause."""
    pending: Mapped[int] = mapped_column(default=0)
    available: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    debt: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=0)
    """How many transactions have touched it."""
    idles: Mapped[bool] = mapped_column(default=False, server_default=sql("false"))
    """Whether points ever came in that die of idleness (docs/decisions/0016): of others nothing need be renewed."""
    made_at: Mapped[datetime]


class PointsTxn(Base):
    """One thing that happened to points, whole. Its id is of time and chance, so that writers share no row."""

    __tablename__ = "points_txn"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    """award, hold, capture, release, give_back, claw, unclaw, transfer, donate, reissue, adjust, activate, expire,
    clear."""
    key: Mapped[str] = mapped_column(String(200), unique=True)
    """Why there can be only one."""
    request_hash: Mapped[str] = mapped_column(String(64))
    """Of all that was asked: the same key for something else is refused."""
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What was answered, and is answered again."""
    effective_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[str] = mapped_column(String(200), default="")
    """What it is about: ``order:pos-01:A1001``."""
    reverses: Mapped[int | None] = mapped_column(BigInteger)
    """The transaction that it settles or takes back, in part or whole."""
    rule_version: Mapped[int | None]
    approval_id: Mapped[int | None] = mapped_column(BigInteger)
    content_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the transaction with its lots and entries."""
    __table_args__ = (
        Index("ix_points_txn_source", "source", "kind"),
        Index("ix_points_txn_reverses", "reverses"),
        Index("ix_points_txn_recorded", "recorded_at"),
    )


class PointsLot(Base):
    """Points that came in together and die together."""

    __tablename__ = "points_lot"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"))
    txn_id: Mapped[int] = mapped_column(ForeignKey("points_txn.id"), index=True)
    issued: Mapped[int]
    activates_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    """From then on they are gone; none: never. Of those that die of idleness, as it was when they came in."""
    idle_months: Mapped[int | None]
    """They die after so many months without a purchase or a redemption; none: not of that."""
    origin: Mapped[str] = mapped_column(String(12))
    """purchase, marketing, compensation, transfer, reissue, restored."""
    origin_lot: Mapped[int | None] = mapped_column(BigInteger)
    channel: Mapped[str] = mapped_column(String(64), default="")
    store: Mapped[str] = mapped_column(String(64), default="")
    campaign: Mapped[str] = mapped_column(String(64), default="")
    jurisdiction: Mapped[str] = mapped_column(String(10), default="")
    uses: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What they may be spent on; empty: anything."""
    qualifies: Mapped[bool] = mapped_column(default=False)
    """Whether they count for a tier."""
    __table_args__ = (
        Index("ix_points_lot_account", "account_id", "id"),
        Index("ix_points_lot_origin", "origin_lot"),
        partial_index("ix_points_lot_idles", "account_id", where=sql(IDLES)),
    )


class PointsEntry(Base):
    """So many points of a lot into (plus) or out of (minus) a bucket; those of a transaction sum to nothing."""

    __tablename__ = "points_entry"
    txn_id: Mapped[int] = mapped_column(ForeignKey("points_txn.id"), primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Its place in the transaction, from 0."""
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"))
    lot_id: Mapped[int] = mapped_column(ForeignKey("points_lot.id"), index=True)
    bucket: Mapped[str] = mapped_column(String(12))
    """pending, available, held, debt; issued, redeemed, expired, donated, clawed, claw_loss, transit."""
    amount: Mapped[int]
    __table_args__ = (Index("ix_points_entry_account", "account_id", "txn_id"),)


class PointsRenewal(Base):
    """That somebody was active: the points of an account that die of idleness live on. Rows are only added.

    It moves the end of every lot of this account and rule that came in before it and had not died when it took effect.
    """

    __tablename__ = "points_renewal"
    txn_id: Mapped[int] = mapped_column(ForeignKey("points_txn.id"), primary_key=True, autoincrement=False)
    """The purchase or redemption."""
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"), primary_key=True, autoincrement=False)
    idle_months: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ends_at: Mapped[datetime]
    """They die no earlier than this, which is never sooner than the one before said."""
    __table_args__ = (Index("ix_points_renewal_account", "account_id", "idle_months", "ends_at"),)


class PointsLotNow(Base):
    """What is left of a lot, as its entries say."""

    __tablename__ = "points_lot_now"
    lot_id: Mapped[int] = mapped_column(ForeignKey("points_lot.id"), primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(Key)
    pending: Mapped[int]
    available: Mapped[int]
    held: Mapped[int] = mapped_column(default=0)
    activates_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    """Of a lot that dies of idleness as the renewals have moved it."""
    idle_months: Mapped[int | None]
    uses: Mapped[dict[str, Any]] = mapped_column(default=dict)
    notice_days: Mapped[int] = mapped_column(default=0, server_default=sql("0"))
    """So long before they die it must have been told; 0: it need not be. Until it is told they live on."""
    not_before: Mapped[datetime | None]
    """So many days after it was told: they do not die earlier; none: it has not been told of the end that stands."""
    __table_args__ = (
        partial_index("ix_points_lot_now_idles", "account_id", "idle_months", where=sql(IDLES)),
        partial_index("ix_points_lot_now_account", "account_id", "expires_at", where=sql(HAS_POINTS)),
        partial_index("ix_points_lot_now_expires", "expires_at", "lot_id", where=sql(HAS_POINTS)),
        partial_index("ix_points_lot_now_activates", "activates_at", "lot_id", where=sql("pending > 0")),
    )


def has_died(at: datetime) -> ColumnElement[bool]:
    """The condition on ``PointsLotNow`` that holds for what is gone at a moment; the same as ``Left.over`` says."""
    now = PointsLotNow
    told = and_(now.not_before.is_not(None), now.not_before <= at)
    return and_(now.expires_at.is_not(None), now.expires_at <= at, or_(now.notice_days == literal_column("0"), told))


class PointsNotice(Base):
    """That somebody was told that points of theirs will die: of each end of a lot once. Rows are only added."""

    __tablename__ = "points_notice"
    lot_id: Mapped[int] = mapped_column(ForeignKey("points_lot.id"), primary_key=True, autoincrement=False)
    expires_at: Mapped[datetime] = mapped_column(primary_key=True)
    """The end they had then, which of points that die of idleness may move: then it must be told of anew."""
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"), index=True)
    told_at: Mapped[datetime]
    way: Mapped[str] = mapped_column(String(10))
    """kf (sent in 微信客服), card (shown to their rep), mass (a task of reps, sent), me (on their page)."""
    source: Mapped[str] = mapped_column(String(200))
    """The touch or card by which it was told."""
    points: Mapped[int]
    """How many were left then."""
    ends_at: Mapped[datetime]
    """When they die, by what was told."""


class PointsHold(Base):
    """Points set apart for something until it is decided: captured or released, once."""

    __tablename__ = "points_hold"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The transaction that made it."""
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"))
    amount: Mapped[int]
    purpose: Mapped[str] = mapped_column(String(60), default="")
    deadline: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="open")
    """open, captured, released."""
    settled_by: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (
        Index("ix_points_hold_account", "account_id", "state"),
        partial_index("ix_points_hold_due", "deadline", where=sql(OPEN_HOLDS)),
    )


class PointsSeal(Base):
    """A block of transactions closed together; each seal holds the hash of the one before."""

    __tablename__ = "points_seal"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    made_at: Mapped[datetime]
    size: Mapped[int]
    hash_before: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class PointsSealed(Base):
    """In which block a transaction is."""

    __tablename__ = "points_sealed"
    txn_id: Mapped[int] = mapped_column(ForeignKey("points_txn.id"), primary_key=True, autoincrement=False)
    seal: Mapped[int] = mapped_column(ForeignKey("points_seal.number"), index=True)


class PointsDay(Base):
    """What a day did to the points of a channel and store in one bucket: from its opening to its closing.

    Made of the entries once the day is over; made again they say the same.
    """

    __tablename__ = "points_day"
    day: Mapped[date] = mapped_column(primary_key=True)
    """The shop's, by when its transactions were recorded."""
    channel: Mapped[str] = mapped_column(String(64), primary_key=True)
    store: Mapped[str] = mapped_column(String(64), primary_key=True)
    bucket: Mapped[str] = mapped_column(String(12), primary_key=True)
    """pending, available, held, debt."""
    opening: Mapped[int] = mapped_column(BigInteger)
    moves: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """How many came (plus) from, or went (minus) to, what: ``{"issued": 100, "redeemed": -40}``."""
    closing: Mapped[int] = mapped_column(BigInteger)

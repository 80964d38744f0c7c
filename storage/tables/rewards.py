"""What points are spent on (奖品): the catalogue, what was redeemed, gifts between people, points put together (拼团).

These tables name accounts, never people: an account stays with the anchor that earned its points, so that nothing moves
when two turn out to be one person. ``loyalty.rewards``, ``loyalty.transfers`` and ``loyalty.group_buys`` alone write
here; what of it was told in people's stories is written by ``scheduler.rewards_told``.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

OPEN = "state = 'open'"
UNTOLD = "told <> state"


class Reward(Base):
    """Something that points can be spent on."""

    __tablename__ = "reward"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(12))
    """goods, coupon (a code of an uploaded list), experience, donation."""
    about: Mapped[str] = mapped_column(Text, default="")
    points: Mapped[int]
    """Its price."""
    stock: Mapped[int | None]
    """How many are left; none: as many as are wanted. Of coupons: how many codes nobody has yet."""
    per_person: Mapped[int | None]
    """So many one person can have in all."""
    per_day: Mapped[int | None]
    """So many all people together can have on one of the shop's days."""
    stores: Mapped[list[str]]
    """Where it is handed out; empty: in every store."""
    from_at: Mapped[datetime | None]
    to_at: Mapped[datetime | None]
    """It can be redeemed from then until before then."""
    level: Mapped[str] = mapped_column(String(20), default="")
    """The key of the tier that one needs at least; empty: none."""
    days: Mapped[int]
    """So many days there are to pick it up."""
    cause: Mapped[str] = mapped_column(String(60), default="")
    """Of a donation: to whom it goes."""
    worth: Mapped[int] = mapped_column(default=0)
    """Of a donation: what the shop pays for one, in fen. That is the published rate."""
    state: Mapped[str] = mapped_column(String(10))
    """draft, live, paused."""
    made_by: Mapped[str] = mapped_column(String(100))
    made_at: Mapped[datetime]
    __table_args__ = (CheckConstraint("stock >= 0", name="ck_reward_stock"),)


class Redemption(Base):
    """One reward that somebody has redeemed, and what became of it."""

    __tablename__ = "redemption"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    reward_id: Mapped[int] = mapped_column(ForeignKey("reward.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"), index=True)
    """The first of the accounts that paid."""
    code: Mapped[str] = mapped_column(String(8), unique=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    """Why there can be only one."""
    points: Mapped[int]
    worth: Mapped[int] = mapped_column(default=0)
    """Of a donation, in fen: the rate of its moment."""
    state: Mapped[str] = mapped_column(String(10))
    """open (paid or set apart, not handed out), used, returned, released (nobody came for it)."""
    hold_id: Mapped[int | None] = mapped_column(BigInteger)
    """The points set apart for it, as long as it is open."""
    txn_id: Mapped[int | None] = mapped_column(BigInteger)
    """The transaction that spent them."""
    day: Mapped[date]
    """The shop's."""
    made_by: Mapped[str] = mapped_column(String(100))
    made_at: Mapped[datetime]
    until: Mapped[datetime]
    """From then on it cannot be picked up."""
    ended_at: Mapped[datetime | None]
    """When it was handed out, returned or released."""
    ended_by: Mapped[str] = mapped_column(String(100), default="")
    store: Mapped[str] = mapped_column(String(64), default="")
    """Where it was handed out."""
    confirmed: Mapped[str] = mapped_column(String(64), default="")
    """By which press of a button it was handed out: the same one sent twice is no second time."""
    note: Mapped[str] = mapped_column(Text, default="")
    """Why it was returned."""
    settlement_id: Mapped[int | None] = mapped_column(Key)
    """Of a donation: the payment it is part of."""
    told: Mapped[str] = mapped_column(String(10), default="")
    """The last state that the story of whoever redeemed it tells of."""
    __table_args__ = (
        Index("ix_redemption_reward", "reward_id", "day"),
        Index("ix_redemption_settlement", "settlement_id"),
        partial_index("ix_redemption_due", "until", where=sql(OPEN)),
        partial_index("ix_redemption_untold", "id", where=sql(UNTOLD)),
    )


class RewardCode(Base):
    """A coupon code of a list that was uploaded. Whose it is, its redemption says."""

    __tablename__ = "reward_code"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    reward_id: Mapped[int] = mapped_column(ForeignKey("reward.id"))
    value: Mapped[str] = mapped_column(String(60))
    redemption_id: Mapped[int | None] = mapped_column(ForeignKey("redemption.id"), unique=True)
    added_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("reward_id", "value"),
        partial_index("ix_reward_code_free", "reward_id", "id", where=sql("redemption_id IS NULL")),
    )


class Settlement(Base):
    """What the shop has paid to a cause for the points that were given to it until then."""

    __tablename__ = "settlement"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    cause: Mapped[str] = mapped_column(String(60))
    count: Mapped[int]
    points: Mapped[int] = mapped_column(BigInteger)
    fen: Mapped[int] = mapped_column(BigInteger)
    certificate: Mapped[str] = mapped_column(String(60))
    """The number of the receipt."""
    made_by: Mapped[str] = mapped_column(String(100))
    made_at: Mapped[datetime]


class Gift(Base):
    """Points that one person gives another: at once, or once the other has accepted."""

    __tablename__ = "gift"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    sender_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"))
    receiver_id: Mapped[int | None] = mapped_column(ForeignKey("points_account.id"))
    """None: nobody is known by the number it was sent to; it waits as any other does, and comes back."""
    named: Mapped[str] = mapped_column(String(20), default="")
    """The number it was sent to, its middle hidden: all that whoever gives is ever shown of the other."""
    points: Mapped[int]
    state: Mapped[str] = mapped_column(String(10))
    """open (waits to be accepted), done, declined, released (nobody accepted in time)."""
    hold_id: Mapped[int | None] = mapped_column(BigInteger)
    txn_id: Mapped[int | None] = mapped_column(BigInteger)
    day: Mapped[date]
    """The shop's."""
    made_by: Mapped[str] = mapped_column(String(100))
    made_at: Mapped[datetime]
    until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    told: Mapped[str] = mapped_column(String(10), default="")
    """The last state that the stories of both tell of."""
    __table_args__ = (
        Index("ix_gift_sender", "sender_id", "day"),
        Index("ix_gift_receiver", "receiver_id"),
        partial_index("ix_gift_due", "until", where=sql(OPEN)),
        partial_index("ix_gift_untold", "id", where=sql(UNTOLD)),
    )


class GroupBuy(Base):
    """So many people who together get a reward for fewer points each (积分拼团)."""

    __tablename__ = "group_buy"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    code: Mapped[str] = mapped_column(String(8), unique=True)
    """By which others find it; as codes of redemptions are made (``loyalty.rewards.new_code``)."""
    reward_id: Mapped[int] = mapped_column(ForeignKey("reward.id"))
    seats: Mapped[int]
    """So many distinct people it takes."""
    points: Mapped[int]
    """What each pays."""
    state: Mapped[str] = mapped_column(String(10))
    """open, done, failed."""
    made_by: Mapped[str] = mapped_column(String(100))
    made_at: Mapped[datetime]
    deadline: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (partial_index("ix_group_buy_due", "deadline", where=sql(OPEN)),)


class GroupSeat(Base):
    """One who has joined a group: their points are set apart until it is decided."""

    __tablename__ = "group_seat"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("group_buy.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"), index=True)
    hold_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(10))
    """open, captured, released."""
    redemption_id: Mapped[int | None] = mapped_column(ForeignKey("redemption.id"))
    """What they got for it."""
    made_at: Mapped[datetime]
    __table_args__ = (
        Index("ix_group_seat_group", "group_id", "state"),
        partial_index("uq_group_seat_account", "group_id", "account_id", unique=True, where=sql("state <> 'released'")),
    )

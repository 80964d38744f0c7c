"""Orders (订单): what people bought, line by line, what came back, and how fresh each source is.

Money is in fen. ``people.orders`` alone writes here.
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index

UNDONE = sql("state <> 'done'")


def reference(what: str, source: str, number: str) -> str:
    """How an order or refund is named in the books: ``order:pos-01:A1001``; no two are named alike."""
    return f"{what}:{source.replace('%', '%25').replace(':', '%3A')}:{number}"


class ShopOrder(Base):
    """One order as its source told it: (source, order number) is told once."""

    __tablename__ = "shop_order"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    source: Mapped[str] = mapped_column(String(64))
    order_no: Mapped[str] = mapped_column(String(100))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    """None: nobody is known to have bought this; a rep may claim it."""
    anchor_id: Mapped[int | None] = mapped_column(BigInteger)
    """Whose it is when that person is one with another; none: ``person_id`` itself."""
    identity_type: Mapped[str | None] = mapped_column(String(40))
    identity_value: Mapped[str | None] = mapped_column(String(200))
    """By what the source knew who bought."""
    paid_at: Mapped[datetime]
    amount: Mapped[int]
    """Fen, as paid."""
    refunded: Mapped[int] = mapped_column(default=0)
    """Fen, so far."""
    store: Mapped[str] = mapped_column(String(64), default="")
    staff: Mapped[str] = mapped_column(String(64), default="")
    digest: Mapped[str] = mapped_column(String(64))
    """Of all that was told, so that the same number for something else is seen."""
    received_at: Mapped[datetime]
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    """The rep who said whose it is."""
    __table_args__ = (
        UniqueConstraint("source", "order_no"),
        Index("ix_shop_order_person", "person_id", "paid_at"),
        Index("ix_shop_order_paid", "paid_at", "id"),
        Index("ix_shop_order_store", "store", "paid_at"),
        Index("ix_shop_order_no", "order_no"),
    )


class OrderLine(Base):
    """One line of an order."""

    __tablename__ = "order_line"
    order_id: Mapped[int] = mapped_column(ForeignKey("shop_order.id"), primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Its place in the order, from 0."""
    sku: Mapped[str] = mapped_column(String(64), default="")
    name: Mapped[str] = mapped_column(String(200), default="")
    category: Mapped[str] = mapped_column(String(64), default="")
    quantity: Mapped[int]
    """In thousandths: half a kilo is 500."""
    amount: Mapped[int]
    """Fen."""


class Refund(Base):
    """Money that came back: for an order, for one that has not come yet, or for one that is not named."""

    __tablename__ = "refund"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    source: Mapped[str] = mapped_column(String(64))
    refund_no: Mapped[str] = mapped_column(String(100))
    order_no: Mapped[str | None] = mapped_column(String(100))
    """As the source named it; none: it named no order."""
    order_id: Mapped[int | None] = mapped_column(ForeignKey("shop_order.id"), index=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    anchor_id: Mapped[int | None] = mapped_column(BigInteger)
    identity_type: Mapped[str | None] = mapped_column(String(40))
    identity_value: Mapped[str | None] = mapped_column(String(200))
    refunded_at: Mapped[datetime]
    amount: Mapped[int]
    """Fen; zero only where the order cost nothing but points."""
    state: Mapped[str] = mapped_column(String(10))
    """waiting (for its order), parked (names no order), aside (its order cannot give so much back), done; guessed
    (taken from another order than it names, which has not come), contested (that one has come); left (somebody has said
    that nothing is to be done)."""
    because: Mapped[str] = mapped_column(Text, default="")
    """Why it is aside or left, or by which rule its order was found."""
    digest: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("source", "refund_no"),
        partial_index("ix_refund_undone", "source", "order_no", where=UNDONE),
    )


class OrderSource(Base):
    """A till, a shop or a file that tells us of orders, and when it last did."""

    __tablename__ = "order_source"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    """When something last came from it."""
    last_paid_at: Mapped[datetime | None]
    """The newest order it has told."""
    orders: Mapped[int] = mapped_column(default=0)
    quiet_since: Mapped[datetime | None]
    """Set while it is silent at an hour at which it never was."""

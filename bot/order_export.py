"""``scrm export orders``: every order as CSV, a row for each of its lines, read as it is written whatever its size."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from people import access, persons
from people.identities import PHONE
from people.orders import yuan
from storage.tables import OrderLine, ShopOrder

PORTION = 500
HEAD = (
    "source", "order_no", "paid_at", "order_amount", "refunded", "identity_type", "identity_value", "customer_id",
    "store", "staff", "sku", "name", "category", "quantity", "amount",
)  # fmt: skip
NO_LINE = ("", "", "", "", "")


def rows(db: Session) -> Iterator[Sequence[object]]:
    """A row for each line, or one for an order without lines; money in yuan, times in UTC, phones masked."""
    own = select(ShopOrder, OrderLine).outerjoin(OrderLine, OrderLine.order_id == ShopOrder.id)
    own = own.order_by(ShopOrder.id, OrderLine.number).execution_options(yield_per=PORTION)
    for order, line in db.execute(own):
        yield [*_order(order), *(_line(line) if line is not None else NO_LINE)]


def _order(one: ShopOrder) -> Sequence[object]:
    value = access.masked(one.identity_value) if one.identity_type == PHONE else one.identity_value
    whose = persons.public_id(one.person_id) if one.person_id is not None else ""
    return [one.source, one.order_no, one.paid_at.isoformat(), yuan(one.amount), yuan(one.refunded), one.identity_type,
            value, whose, one.store, one.staff]  # fmt: skip


def _line(one: OrderLine) -> Sequence[object]:
    return [one.sku, one.name, one.category, f"{one.quantity / 1000:g}", yuan(one.amount)]

"""Orders and refunds as their sources tell them: checked one by one, kept once, and whose they are.

An order is told once: the same again changes nothing, another one under its number is refused. What it earns, and what
a refund takes back, is ``loyalty.order_points``'s; the road of both is ``handlers.orders``. Money is in fen.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, case, delete, or_, select, update
from sqlalchemy.orm import Session

from people import identities
from storage.database import among, packed
from storage.rows import add_rows, insert_new, insert_new_rows
from storage.tables import Interaction, OrderLine, OrderSource, Refund, ShopOrder
from storage.tables.orders import UNDONE, reference
from storage.work import Work

CURRENCY = "CNY"
AMOUNT = re.compile(r"^\d{1,8}(\.\d{1,2})?$")
QUANTITY = re.compile(r"^\d{1,6}(\.\d{1,3})?$")
CLOCKS_DIFFER = timedelta(minutes=5)
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
MAX_LINES = 500
MAX_REFERENCE = 180
WAITING, PARKED, ASIDE, DONE = "waiting", "parked", "aside", "done"
GUESSED, CONTESTED = "guessed", "contested"
"""Taken from an order a rule or somebody found, because the one it names had not come; that one has come since."""
LEFT = "left"
"""Somebody has said, with a reason, that nothing is to be done about it."""
EFFECTIVE = frozenset({DONE, GUESSED, CONTESTED})
"""Of refunds that have taken from an order."""
ORDER_FIELDS = frozenset(("source", "order_no", "paid_at", "amount", "currency", "store", "staff", "identity", "lines"))
REFUND_FIELDS = frozenset({"source", "refund_no", "order_no", "refunded_at", "amount", "currency", "identity"})
LINE_FIELDS = frozenset({"sku", "name", "category", "quantity", "amount"})
IDENTITY_FIELDS = frozenset({"type", "value", "verified"})
Who = tuple[str, str, bool]
"""Identity type, value as it is kept, and whether it is verified."""


class Bad(ValueError):
    """Why an order or refund cannot be taken, in a sentence that names the field."""


@dataclass(frozen=True)
class Line:
    """One line of an order: fen, and thousandths of a piece."""

    sku: str
    name: str
    category: str
    quantity: int
    amount: int


@dataclass(frozen=True)
class GivenOrder:
    """An order as it was told, checked."""

    source: str
    order_no: str
    paid_at: datetime
    amount: int
    who: Who | None = None
    store: str = ""
    staff: str = ""
    lines: tuple[Line, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """By what it is told apart."""
        return self.source, self.order_no

    @cached_property
    def digest(self) -> str:
        """Of all that was told."""
        lines = [[one.sku, one.name, one.category, one.quantity, one.amount] for one in self.lines]
        return _digest([*self.key, self.paid_at.isoformat(), self.amount, self.who, self.store, self.staff, lines])


@dataclass(frozen=True)
class GivenRefund:
    """A refund as it was told, checked. ``amount`` is zero only of an order that was paid with points alone."""

    source: str
    refund_no: str
    order_no: str | None
    refunded_at: datetime
    amount: int
    who: Who | None = None

    @property
    def key(self) -> tuple[str, str]:
        """By what it is told apart."""
        return self.source, self.refund_no

    @cached_property
    def digest(self) -> str:
        """Of all that was told."""
        return _digest([*self.key, self.order_no, self.refunded_at.isoformat(), self.amount, self.who])


_SPELL = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _digest(told: Sequence[Any]) -> str:
    return hashlib.sha256(_SPELL(told).encode()).hexdigest()


# --- checking --------------------------------------------------------------------------------------------------------


def read_order(told: Any, now: datetime, zone: ZoneInfo) -> GivenOrder:
    """An order out of JSON or a row of a file. Raises ``Bad``."""
    only(told, ORDER_FIELDS, "order")
    _currency(told)
    lines = told.get("lines") or []
    if not isinstance(lines, list | tuple) or len(lines) > MAX_LINES:
        raise Bad(f"lines: a list of at most {MAX_LINES}")
    source, order_no = named(told, "order_no", "order")
    return GivenOrder(
        source=source,
        order_no=order_no,
        paid_at=moment(told, "paid_at", now, zone),
        amount=fen(told.get("amount"), "amount"),
        who=who(told.get("identity")),
        store=_text(told, "store", 64, needed=False),
        staff=_text(told, "staff", 64, needed=False),
        lines=tuple(_line(one, number) for number, one in enumerate(lines)),
    )


def read_refund(told: Any, now: datetime, zone: ZoneInfo) -> GivenRefund:
    """A refund out of JSON or a row of a file. Raises ``Bad``."""
    only(told, REFUND_FIELDS, "refund")
    _currency(told)
    amount = fen(told.get("amount"), "amount")
    source, refund_no = named(told, "refund_no", "refund")
    return GivenRefund(
        source=source,
        refund_no=refund_no,
        order_no=_text(told, "order_no", 100, needed=False) or None,
        refunded_at=moment(told, "refunded_at", now, zone),
        amount=amount,
        who=who(told.get("identity")),
    )


def fen(value: Any, name: str) -> int:
    """Yuan as a decimal string, like ``"199.90"``, in fen. Raises ``Bad``."""
    text = value.strip() if isinstance(value, str) else None
    if text is None:
        raise Bad(f'{name}: yuan as a string such as "199.90"')
    if text.startswith("-"):
        raise Bad(f"{name}: {text[:20]} is below zero; what came back is told as a refund")
    if not AMOUNT.match(text):
        raise Bad(f"{name}: {text[:20]!r} is not an amount in yuan with at most two decimals")
    whole, _, rest = text.partition(".")
    return int(whole) * 100 + int(rest.ljust(2, "0") or 0)


def only(told: Any, fields: frozenset[str], what: str) -> None:
    """Refuse what is no object of these fields. Raises ``Bad``."""
    if not isinstance(told, Mapping):
        raise Bad(f"not an object with the fields of {what}")
    if unknown := sorted(set(told) - fields):
        raise Bad(f"{unknown[0]}: unknown field")


def _currency(told: Mapping[str, Any]) -> None:
    currency = told.get("currency") or CURRENCY
    if currency != CURRENCY:
        raise Bad(f"currency: {str(currency)[:10]}; amounts are taken in {CURRENCY} only")


def _text(told: Mapping[str, Any], name: str, most: int, *, needed: bool = True) -> str:
    value = told.get(name)
    if value is None and not needed:
        return ""
    text = value.strip() if isinstance(value, str) else None
    if text is None or len(text) > most or "\x00" in text:
        raise Bad(f"{name}: text of at most {most} characters")
    if needed and not text:
        raise Bad(f"{name}: missing")
    return text


def named(told: Mapping[str, Any], name: str, what: str) -> tuple[str, str]:
    """Source and number of an order or its like. Raises ``Bad``."""
    source, number = _text(told, "source", 64), _text(told, name, 100)
    if len(reference(what, source, number)) > MAX_REFERENCE:
        raise Bad(f"source: too long together with {name}")
    return source, number


def moment(told: Mapping[str, Any], name: str, now: datetime, zone: ZoneInfo) -> datetime:
    """A time that is not in the future, in UTC; without an offset it is the shop's. Raises ``Bad``."""
    value = told.get(name)
    try:
        at = datetime.fromisoformat(value.strip() if isinstance(value, str) else "")
    except ValueError:
        raise Bad(f'{name}: a time such as "2026-11-01T10:00:00+08:00"') from None
    at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    if at > now + CLOCKS_DIFFER:
        raise Bad(f"{name}: {value} is in the future")
    if at < EARLIEST:
        raise Bad(f"{name}: {value} is too long ago")
    return at


def who(told: Any) -> Who | None:
    """An identity; a phone is verified only where it says so. Raises ``Bad``."""
    if told is None:
        return None
    only(told, IDENTITY_FIELDS, "identity")
    type_, value = told.get("type"), told.get("value")
    if not isinstance(type_, str) or not re.match(identities.TYPE, type_):
        raise Bad("identity.type: external_userid, unionid, phone, or <system>:<kind>")
    if not isinstance(value, str):
        raise Bad("identity.value: missing")
    verified = told.get("verified", type_ != identities.PHONE)
    if not isinstance(verified, bool):
        raise Bad("identity.verified: true or false")
    try:
        return type_, identities.spelt(type_, value), verified
    except ValueError as error:
        raise Bad(f"identity.value: {error}") from None


def _line(told: Any, number: int) -> Line:
    try:
        only(told, LINE_FIELDS, "line")
        quantity = str(told.get("quantity", 1)).strip()
        if not QUANTITY.match(quantity):
            raise Bad(f"quantity: {quantity[:20]!r} is not a number of pieces")
        whole, _, rest = quantity.partition(".")
        return Line(
            sku=_text(told, "sku", 64, needed=False),
            name=_text(told, "name", 200, needed=False),
            category=_text(told, "category", 64, needed=False),
            quantity=int(whole) * 1000 + int(rest.ljust(3, "0") or 0),
            amount=fen(told.get("amount", "0"), "amount"),
        )
    except Bad as error:
        raise Bad(f"lines.{number}.{error}") from None


# --- keeping ---------------------------------------------------------------------------------------------------------


@dataclass
class Sorted:
    """What of a batch is new, by its places in the batch."""

    new: dict[int, Any] = field(default_factory=dict)
    duplicate: list[int] = field(default_factory=list)
    rejected: dict[int, str] = field(default_factory=dict)


def sort_out(db: Session, table: type[ShopOrder] | type[Refund], given: Mapping[int, Any]) -> Sorted:
    """Which of these are new, which were told before, and which are another one under a number that is taken."""
    known = _known(db, table, {one.key for one in given.values()})
    found = Sorted()
    for number, one in given.items():
        before = known.get(one.key)
        if before is None:
            found.new[number] = one
            known[one.key] = one.digest, one.amount
        elif before[0] == one.digest:
            found.duplicate.append(number)
        else:
            found.rejected[number] = _another(one, before[1])
    return found


def _another(one: GivenOrder | GivenRefund, amount: int) -> str:
    differs = f"of {yuan(amount)}; this one is of {yuan(one.amount)}"
    if amount == one.amount:
        differs = "of the same amount; something else of it differs"
    return f"{one.key[1]}: {one.key[0]} has told another one under this number before, {differs}"


def _known(
    db: Session, table: type[ShopOrder] | type[Refund], keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, int]]:
    """Digest and amount (fen) of those that are known."""
    dialect = db.get_bind().dialect.name
    column = table.order_no if table is ShopOrder else Refund.refund_no
    by_source: dict[str, list[str]] = {}
    for source, name in keys:
        by_source.setdefault(source, []).append(name)
    found = {}
    for source, names in by_source.items():
        own = select(column, table.digest, table.amount).where(table.source == source, among(dialect, column, "names"))
        for name, digest, amount in db.execute(own, {"names": packed(dialect, names)}):
            found[source, name] = digest, amount
    return found


def keep_orders(
    work: Work, given: Sequence[GivenOrder], whose: Mapping[Who, tuple[int, int]]
) -> dict[tuple[str, str], int]:
    """Keep new orders with their lines; the ids of those nobody else kept meanwhile, by (source, number)."""
    rows = [_order_row(one, whose.get(one.who) if one.who else None, work.now) for one in given]
    new = insert_new_rows(work.db, ShopOrder, rows, ["source", "order_no"], ["id", "source", "order_no"])
    ids = {(one.source, one.order_no): int(one.id) for one in new}
    lines = [
        {"order_id": ids[one.key], "number": number, "sku": line.sku, "name": line.name, "category": line.category,
         "quantity": line.quantity, "amount": line.amount}
        for one in given if one.key in ids for number, line in enumerate(one.lines)
    ]  # fmt: skip
    add_rows(work.db.connection(), OrderLine, lines)
    return ids


def _order_row(one: GivenOrder, whose: tuple[int, int] | None, now: datetime) -> dict[str, Any]:
    return {
        "source": one.source,
        "order_no": one.order_no,
        "paid_at": one.paid_at,
        "amount": one.amount,
        "refunded": 0,
        "store": one.store,
        "staff": one.staff,
        "digest": one.digest,
        "received_at": now,
        **_whose(one.who, whose),
    }


def _whose(who: Who | None, whose: tuple[int, int] | None) -> dict[str, Any]:
    head, anchor = whose or (None, None)
    return {
        "person_id": head,
        "anchor_id": None if anchor == head else anchor,
        "identity_type": who[0] if who else None,
        "identity_value": who[1] if who else None,
    }


def keep_refunds(
    work: Work, given: Sequence[GivenRefund], whose: Mapping[Who, tuple[int, int]]
) -> dict[tuple[str, str], int]:
    """Keep new refunds, still to be applied: waiting for the order they name, or parked when they name none."""
    rows = [
        {
            "source": one.source,
            "refund_no": one.refund_no,
            "order_no": one.order_no,
            "refunded_at": one.refunded_at,
            "amount": one.amount,
            "state": WAITING if one.order_no else PARKED,
            "because": "",
            "digest": one.digest,
            "received_at": work.now,
            **_whose(one.who, whose.get(one.who) if one.who else None),
        }
        for one in given
    ]
    new = insert_new_rows(work.db, Refund, rows, ["source", "refund_no"], ["id", "source", "refund_no"])
    return {(one.source, one.refund_no): int(one.id) for one in new}


def alike_but_for_order(db: Session, one: GivenRefund) -> Refund | None:
    """The refund that was told before just like this one, whatever order each of them names; held."""
    own = select(Refund).where(
        Refund.source == one.source,
        Refund.refund_no == one.refund_no,
        Refund.amount == one.amount,
        Refund.refunded_at == one.refunded_at,
    )
    found = db.scalars(own.with_for_update()).one_or_none()
    if found is None or (found.identity_type, found.identity_value) != (one.who or (None, None))[:2]:
        return None
    return found


def hold_sources(work: Work, sources: Collection[str]) -> None:
    """Until this work is kept nobody else takes orders or refunds of these sources.

    Otherwise a refund and its order that come at once would each not see the other.
    """
    rows = [{"name": one, "first_at": work.now, "last_at": work.now, "orders": 0} for one in sorted(sources)]
    insert_new(work.db, OrderSource, rows, ["name"], "name")
    own = select(OrderSource.name).where(OrderSource.name.in_(sources)).order_by(OrderSource.name)
    work.db.scalars(own.with_for_update()).all()


def refund_of(work: Work, refund_id: int) -> Refund | None:
    """One refund, held with its source until this work is kept: its order cannot come meanwhile. None: there is none.

    The source first, as everywhere: whoever takes orders comes from there to their refunds.
    """
    source = work.db.scalar(select(Refund.source).where(Refund.id == refund_id))
    if source is None:
        return None
    hold_sources(work, {source})
    return work.db.get(Refund, refund_id, with_for_update=True, populate_existing=True)


def heard_of(work: Work, given: Iterable[GivenOrder]) -> None:
    """Note for each source that it has told something now, how many orders, and the newest of them."""
    sums: dict[str, tuple[int, datetime]] = {}
    for one in given:
        count, newest = sums.get(one.source, (0, one.paid_at))
        sums[one.source] = (count + 1, max(newest, one.paid_at))
    for name in sorted(sums):
        count, newest = sums[name]
        known = OrderSource.last_paid_at
        later = case((known >= newest, known), else_=newest)
        own = update(OrderSource).where(OrderSource.name == name)
        told = {"last_at": work.now, "orders": OrderSource.orders + count, "last_paid_at": later, "quiet_since": None}
        work.db.execute(own.values(told), execution_options={"synchronize_session": False})


# --- refunds and their orders ----------------------------------------------------------------------------------------


def ahead_of(db: Session, keys: Iterable[tuple[str, str]]) -> Sequence[Refund]:
    """Refunds that name these orders and came before them, in the order they were given back."""
    dialect = db.get_bind().dialect.name
    by_source: dict[str, list[str]] = {}
    for source, order_no in keys:
        by_source.setdefault(source, []).append(order_no)
    found: list[Refund] = []
    for source, names in by_source.items():
        own = select(Refund).where(
            Refund.state.in_((WAITING, GUESSED)),
            UNDONE,
            Refund.source == source,
            among(dialect, Refund.order_no, "names"),
        )
        found += db.scalars(own, {"names": packed(dialect, names)})
    return sorted(found, key=lambda one: (one.refunded_at, one.id))


def order_of(db: Session, source: str, order_no: str) -> ShopOrder | None:
    """One order, held until this work is kept."""
    own = select(ShopOrder).where(ShopOrder.source == source, ShopOrder.order_no == order_no).with_for_update()
    return db.scalars(own.execution_options(populate_existing=True)).one_or_none()


def claimable(db: Session, order_no: str, amount: int) -> Sequence[ShopOrder]:
    """Orders of nobody with this number and amount (fen), held: whoever knows both may say whose it is."""
    own = select(ShopOrder).where(
        ShopOrder.order_no == order_no, ShopOrder.amount == amount, ShopOrder.person_id.is_(None)
    )
    return db.scalars(own.order_by(ShopOrder.id).with_for_update()).all()


def lines_of(db: Session, order_id: int) -> Sequence[OrderLine]:
    """The lines of an order."""
    return db.scalars(select(OrderLine).where(OrderLine.order_id == order_id).order_by(OrderLine.number)).all()


def too_much(order: ShopOrder, amount: int) -> str:
    """Why the order cannot give so much back; empty: it can."""
    left = order.amount - order.refunded
    if not amount and order.amount:
        return "a refund gives something back"
    if amount <= left:
        return ""
    return f"{yuan(amount)} is more than the {yuan(left)} left of order {order.order_no} ({yuan(order.amount)})"


def yuan(amount: int) -> str:
    """Fen as yuan with two decimals."""
    return f"{amount // 100}.{amount % 100:02d}"


# --- the story -------------------------------------------------------------------------------------------------------


def untell(work: Work, once: str) -> None:
    """Take back a line that turned out to be another order's."""
    work.db.execute(delete(Interaction).where(Interaction.once == once))


def undone(db: Session, source: str, after: tuple[datetime, int], limit: int) -> Sequence[Refund]:
    """The next refunds of a source without effect yet, the oldest first; ``after``: time and id of the last one."""
    at, number = after
    later = or_(Refund.refunded_at > at, and_(Refund.refunded_at == at, Refund.id > number))
    own = select(Refund).where(Refund.state.in_([WAITING, PARKED, ASIDE]), Refund.source == source, later)
    return db.scalars(own.order_by(Refund.refunded_at, Refund.id).limit(limit)).all()

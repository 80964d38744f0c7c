"""What a webhook is told of a fact: read from the fact itself, so that every try tells the same.

Ids and figures, no names, numbers or texts of people: whoever may know more asks the API for it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from people import persons
from people.orders import yuan
from storage.tables import Interaction, Person, PointsEntry, PointsTxn, Refund, ShopOrder, TierChange, WebhookMessage

STANDING = ("pending", "available", "held", "debt")
Body = tuple[datetime, dict[str, Any]]
"""When it happened, and ``data``."""


def body(db: Session, message: WebhookMessage, zone: ZoneInfo) -> dict[str, Any] | None:
    """The whole message; None when there is nothing (any more) to tell: erased, or an arrival over no code."""
    found = READ[message.fact.partition(":")[0]](db, message, zone)
    if found is None:
        return None
    at, data = found
    return {"type": message.event, "timestamp": _time(at, zone), "data": data}


def _time(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat()


def _person(db: Session, message: WebhookMessage, zone: ZoneInfo) -> Body | None:
    row = db.get(Person, message.row_id)
    if row is None:
        return None
    seen = _time(row.first_seen_at, zone)
    return row.first_seen_at, {"customer_id": persons.public_id(row.id), "first_seen_at": seen}


def _line(db: Session, message: WebhookMessage, zone: ZoneInfo) -> Body | None:
    row = db.get(Interaction, message.row_id)
    told = None if row is None else LINES[row.kind](row)
    return None if row is None or told is None else (row.at, {"customer_id": message.subject, **told})


def _added(row: Interaction) -> dict[str, Any] | None:
    channel = row.details.get("channel")
    if not channel:
        return None
    return {"channel": channel, "userid": row.userid, "again": bool(row.details.get("again"))}


LINES: Mapping[str, Callable[[Interaction], dict[str, Any] | None]] = MappingProxyType(
    {
        "merged": lambda row: {"merged_id": row.details.get("customer")},
        "separated": lambda row: {"separated_id": row.details.get("customer")},
        "opted_out": lambda row: {"by": row.details.get("by")},
        "opted_in": lambda row: {"by": row.details.get("by")},
        "added": _added,
    }
)
"""What is told of a line of the story, by its kind."""


def _order(db: Session, message: WebhookMessage, zone: ZoneInfo) -> Body | None:
    row = db.get(ShopOrder, message.row_id)
    if row is None:
        return None
    order = {"source": row.source, "order_no": row.order_no, "paid_at": _time(row.paid_at, zone),
             "amount": yuan(row.amount), "store": row.store, "staff": row.staff}  # fmt: skip
    return row.received_at, {"customer_id": _whose(message), "order": order}


def _refund(db: Session, message: WebhookMessage, zone: ZoneInfo) -> Body | None:
    row = db.get(Refund, message.row_id)
    if row is None:
        return None
    order = db.get(ShopOrder, row.order_id) if row.order_id is not None else None
    told = {"source": row.source, "refund_no": row.refund_no, "order_no": order.order_no if order else row.order_no,
            "refunded_at": _time(row.refunded_at, zone), "amount": yuan(row.amount)}  # fmt: skip
    return row.received_at, {"customer_id": _whose(message), "refund": told}


def _whose(message: WebhookMessage) -> str | None:
    """The customer; of an order of nobody there is none."""
    return message.subject if message.subject.startswith("p_") else None


def _points(db: Session, message: WebhookMessage, zone: ZoneInfo) -> Body | None:
    row = db.get(PointsTxn, message.row_id)
    if row is None:
        return None
    entry = PointsEntry
    own = select(entry.bucket, func.sum(entry.amount)).where(entry.txn_id == row.id, entry.account_id == message.part)
    changes = {bucket: _sign(bucket) * int(n) for bucket, n in db.execute(own.group_by(entry.bucket)) if n}
    told = {name: changes[name] for name in STANDING if name in changes}
    return row.recorded_at, {"customer_id": message.subject, "transaction": str(row.id), "kind": row.kind,
                             "source": row.source, "changes": told}  # fmt: skip


def _sign(bucket: str) -> int:
    """What is owed stands below zero in the books."""
    return -1 if bucket == "debt" else 1


def _tier(db: Session, message: WebhookMessage, zone: ZoneInfo) -> Body | None:
    row = db.get(TierChange, message.row_id)
    if row is None:
        return None
    until = row.until.isoformat() if row.until else None
    return row.recorded_at, {"customer_id": message.subject, "before": row.before, "after": row.after, "why": row.why,
                             "until": until}  # fmt: skip


READ: Mapping[str, Callable[[Session, WebhookMessage, ZoneInfo], Body | None]] = MappingProxyType(
    {"person": _person, "line": _line, "order": _order, "refund": _refund, "points": _points, "tier": _tier}
)
"""How each fact is read, by the beginning of its name."""

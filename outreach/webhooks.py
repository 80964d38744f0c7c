"""Webhooks: which systems are told what happens here (设置 → 外部系统), signed as Standard Webhooks asks.

``EVENTS`` is all that can be told, in plain sight. The lines are written by the database (``storage.notices``) for each
``WebhookWish``; ``outreach.webhook_bodies`` says what is told; ``scheduler.outgoing`` sends it.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import and_, delete, func, insert, or_, select
from sqlalchemy.orm import Session
from standardwebhooks import Webhook as Signer

from people import alarms
from storage.shared import unseal
from storage.tables import InboundSeen, Webhook, WebhookMessage, WebhookWish
from storage.work import Work

ON, OFF = "on", "off"
WAITING, DONE, GIVEN_UP, DROPPED = "waiting", "done", "given_up", "dropped"
SECRET = "whsec_"  # noqa: S105  # how every secret begins, not one
SECRET_BYTES = 32
BOTH_HOLD = timedelta(hours=24)
"""So long the secret before is good too, after it was changed."""
MOST = 20
KEEP = timedelta(days=30)
"""So long what was sent can be looked at and sent again."""
KEEP_SEEN = timedelta(days=7)


@dataclass(frozen=True)
class Event:
    """Something that can be told."""

    facts: Sequence[str]
    """As ``storage.notices`` names them."""
    about: str
    """When it is told, for the documentation."""
    example: Mapping[str, Any]
    """What ``data`` may hold."""


_ORDER = {"source": "pos-01", "order_no": "A1001", "paid_at": "2026-11-01T10:00:00+08:00", "amount": "199.90",
          "store": "上海静安店", "staff": "zhangsan"}  # fmt: skip
_REFUND = {"source": "pos-01", "refund_no": "R1", "order_no": "A1001", "refunded_at": "2026-11-02T10:00:00+08:00",
           "amount": "50.00"}  # fmt: skip
EVENTS: Mapping[str, Event] = MappingProxyType(
    {
        "customer.created": Event(
            ("person",),
            "Somebody is known for the first time.",
            {"customer_id": "p_17", "first_seen_at": "2026-11-01T10:00:00+08:00"},
        ),
        "customer.merged": Event(
            ("line:merged",),
            "Two turned out to be one: `merged_id` is `customer_id` from now on. Both ids stay good.",
            {"customer_id": "p_17", "merged_id": "p_40"},
        ),
        "customer.separated": Event(
            ("line:separated",),
            "`separated_id` is somebody of their own again.",
            {"customer_id": "p_17", "separated_id": "p_40"},
        ),
        "customer.opted_out": Event(
            ("line:opted_out",), "They want to hear from us no more.", {"customer_id": "p_17", "by": "customer"}
        ),
        "customer.opted_in": Event(
            ("line:opted_in",), "They want to hear from us again.", {"customer_id": "p_17", "by": "customer"}
        ),
        "channel.arrival": Event(
            ("line:added",),
            "Somebody has come over a channel code and is a rep's customer.",
            {"customer_id": "p_17", "channel": "抖音直播间", "userid": "zhangsan", "again": False},
        ),
        "order.created": Event(
            ("order",),
            "An order was taken. `customer_id` is null for nobody's.",
            {"customer_id": "p_17", "order": _ORDER},
        ),
        "order.refunded": Event(
            ("refund",), "A refund has taken effect on its order.", {"customer_id": "p_17", "refund": _REFUND}
        ),
        "points.changed": Event(
            ("points",),
            "Points of an account moved: so many more (or fewer, below zero) in each bucket. `kind` says by what.",
            {"customer_id": "p_17", "transaction": "878398122012345", "kind": "award", "source": "order:pos-01:A1001",
             "changes": {"pending": 199}},
        ),
        "tier.changed": Event(
            ("tier",),
            "Somebody got, lost or kept a tier.",
            {"customer_id": "p_17", "before": "", "after": "silver", "why": "up", "until": "2027-12-31"},
        ),
    }
)  # fmt: skip
"""All that can be told. Another: a row here, its facts in ``storage.notices``, its body in ``webhook_bodies``."""


class CannotBe(ValueError):
    """Why not: the field, and a sentence."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field, self.words = field, words


# --- keeping ---------------------------------------------------------------------------------------------------------


def make(work: Work, cipher: Fernet, url: str, events: Sequence[str], by: str) -> tuple[Webhook, str]:
    """Let an address be told of these events from now on; its row, and the secret, which nobody can read again.

    The address is looked at by the caller (``scheduler.calling.look_up``), outside of any transaction. Raises
    ``CannotBe``.
    """
    chosen = _events(events)
    if (work.db.scalar(select(func.count()).select_from(Webhook)) or 0) >= MOST:
        raise CannotBe("url", f"最多 {MOST} 个地址")
    plain = new_secret()
    row = Webhook(url=url, events=chosen, secret=cipher.encrypt(plain.encode()), made_at=work.now, made_by=by[:100])
    row.state, row.why = ON, ""
    work.db.add(row)
    work.db.flush()
    _wish(work.db, row)
    return row, plain


def _events(events: Sequence[str]) -> list[str]:
    if not events:
        raise CannotBe("events", "请至少选择一种事件")
    if unknown := [one for one in events if one not in EVENTS]:
        raise CannotBe("events", f"没有这种事件：{unknown[0][:40]}")
    return [one for one in EVENTS if one in events]


def _wish(db: Session, row: Webhook) -> None:
    rows = [{"webhook_id": row.id, "fact": fact, "event": one} for one in row.events for fact in EVENTS[one].facts]
    db.execute(insert(WebhookWish), rows)


def _wish_nothing(db: Session, webhook_id: int) -> None:
    db.execute(delete(WebhookWish).where(WebhookWish.webhook_id == webhook_id))


def new_secret() -> str:
    """A secret as Standard Webhooks spells it."""
    return SECRET + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def held(work: Work, webhook_id: int) -> Webhook | None:
    """A webhook, held until this work is kept."""
    return work.db.get(Webhook, webhook_id, with_for_update=True, populate_existing=True)


def change(work: Work, row: Webhook, url: str, events: Sequence[str]) -> None:
    """Lead it elsewhere or tell it of other events. Raises ``CannotBe``."""
    row.url, row.events = url, _events(events)
    _wish_nothing(work.db, row.id)
    if row.state == ON:
        _wish(work.db, row)


def change_secret(work: Work, cipher: Fernet, row: Webhook) -> str:
    """A new secret; for a day messages are signed with the one before, too."""
    plain = new_secret()
    row.secret_before, row.before_until = row.secret, work.now + BOTH_HOLD
    row.secret = cipher.encrypt(plain.encode())
    return plain


def turn_on(work: Work, row: Webhook) -> None:
    """Tell it again, what still waits first; what happened while it was off it is not told."""
    if row.state == ON:
        return
    row.state, row.why, row.fails, row.due_at = ON, "", 0, None
    alarms.clear(work, alarm(row))
    _wish(work.db, row)
    again = select(WebhookMessage).where(WebhookMessage.webhook_id == row.id, WebhookMessage.state == WAITING)
    for one in work.db.scalars(again.where(WebhookMessage.tries > 0)):
        one.tries, one.due_at = 0, None


def turn_off(work: Work, row: Webhook, why: str = "") -> None:
    """Tell it nothing more. What waits stays; what happens from now on is not written down for it."""
    row.state, row.why = OFF, why[:200]
    _wish_nothing(work.db, row.id)


def remove(work: Work, row: Webhook) -> None:
    """Forget the address and all that was to be told to it."""
    alarms.clear(work, alarm(row))
    _wish_nothing(work.db, row.id)
    work.db.execute(delete(WebhookMessage).where(WebhookMessage.webhook_id == row.id))
    work.db.delete(row)


def alarm(row: Webhook) -> str:
    """The kind of the alarm about it."""
    return f"webhook:{row.id}"


def replay(work: Work, webhook_id: int, message_id: int) -> WebhookMessage | None:
    """Send a message again, under the same id; None when it has no such message, or it waits already."""
    row = work.db.get(WebhookMessage, message_id, with_for_update=True, populate_existing=True)
    if row is None or row.webhook_id != webhook_id or row.state == WAITING:
        return None
    row.state, row.tries, row.due_at = WAITING, 0, None
    return row


def forget_old(db: Session, now: datetime, limit: int) -> int:
    """Remove what was settled long ago (how many), and the ids of what was pushed to us: too old to come again."""
    db.execute(delete(InboundSeen).where(InboundSeen.at < now - KEEP_SEEN))
    over = and_(WebhookMessage.tried_at < now - KEEP, WebhookMessage.state != WAITING)
    nobody = WebhookMessage.webhook_id.not_in(select(Webhook.id))  # a fact that was written while it was removed
    ids = db.scalars(select(WebhookMessage.id).where(or_(over, nobody)).limit(limit)).all()
    db.execute(delete(WebhookMessage).where(WebhookMessage.id.in_(ids)))
    return len(ids)


# --- looking ---------------------------------------------------------------------------------------------------------


def listed(db: Session) -> Sequence[Webhook]:
    """Every webhook, the newest first."""
    return db.scalars(select(Webhook).order_by(Webhook.id.desc())).all()


def waiting(db: Session) -> Mapping[int, int]:
    """How many messages wait for each webhook."""
    own = select(WebhookMessage.webhook_id, func.count()).where(WebhookMessage.state == WAITING)
    return dict(db.execute(own.group_by(WebhookMessage.webhook_id)).all())


def messages(
    db: Session, webhook_id: int, state: str = "", *, limit: int, before: int | None = None
) -> tuple[Sequence[WebhookMessage], int | None]:
    """One page of what it was or is to be told, the newest first, and the id the next page comes before."""
    own = select(WebhookMessage).where(WebhookMessage.webhook_id == webhook_id)
    own = own.where(WebhookMessage.state == state) if state else own
    own = own.where(WebhookMessage.id < before) if before is not None else own
    found = db.scalars(own.order_by(WebhookMessage.id.desc()).limit(limit + 1)).all()
    return found[:limit], (found[limit - 1].id if len(found) > limit else None)


# --- signing ---------------------------------------------------------------------------------------------------------


def secrets_of(cipher: Fernet, row: Any, now: datetime) -> list[str]:
    """The secrets with which its messages are signed now, the newest first; empty when they cannot be read."""
    before = row.secret_before if row.before_until is not None and row.before_until > now else None
    found = [unseal(cipher, one) for one in (row.secret, before)]
    return [one for one in found if one is not None]


def signed(keys: Sequence[str], name: str, body: str, at: datetime) -> dict[str, str]:
    """The headers that say which message it is, when it was sent and that we sent it (one signature a secret)."""
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Signer(one).sign(name, at, body) for one in keys),
    }

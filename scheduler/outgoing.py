"""Sending what webhooks are to be told (``storage.notices`` wrote it down): at least once, in order for each subject.

A message that is not taken waits longer each time, for three days in all; then its webhook is turned off, the message
kept, and the admins are told; where the webhook takes others meanwhile, this one is given up. While one of a subject
waits, later ones of the same subject wait behind it. A message is taken (its next try put off) before it is sent, so a
sender that dies in between has it sent again: the receiver knows it by its id.
"""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session, aliased

from outreach import webhook_bodies, webhooks
from outreach.webhooks import DONE, DROPPED, GIVEN_UP, ON, WAITING
from people import alarms
from scheduler import calling
from storage.database import reading, transaction
from storage.tables import Webhook, WebhookMessage

if TYPE_CHECKING:
    from scheduler.timetable import Hands

WAITS = (
    *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=5)),
    *(timedelta(hours=10), timedelta(hours=14), timedelta(hours=20), timedelta(hours=24)),
)
"""Before each further try, as Standard Webhooks proposes: 75 hours in all."""
REST, LONGEST_REST = timedelta(seconds=10), timedelta(minutes=5)
"""After a failure the whole address rests, so that one that is down is not asked for each of its subjects."""
AT_ONCE = 50
SENDERS = 4
"""Addresses served at a time: a slow one does not hold up the others."""
SECONDS_A_RUN = 20.0
GONE = 410
"""The receiver says that it wants no more of it."""


@dataclass(frozen=True)
class Sent:
    """A message in the hands of a sender."""

    message_id: int
    name: str
    url: str
    body: str
    keys: Sequence[str]


def send(hands: "Hands") -> str:
    """Send what is due to each webhook, several webhooks at a time."""
    with reading(hands.engine) as db:
        ids = _due(db, hands.clock())
    until = time.monotonic() + SECONDS_A_RUN
    if len(ids) < 2:
        counts = [_serve(hands, until, one) for one in ids]
    else:
        with ThreadPoolExecutor(SENDERS, thread_name_prefix="webhook") as pool:
            counts = list(pool.map(partial(_serve, hands, until), ids))
    return f"messages told: {sum(counts)}"


def _due(db: Session, now: datetime) -> list[int]:
    """Webhooks that have something to be told now."""
    ready = or_(Webhook.due_at.is_(None), Webhook.due_at <= now)
    some = exists().where(WebhookMessage.webhook_id == Webhook.id, *_ready(now))
    return list(db.scalars(select(Webhook.id).where(Webhook.state == ON, ready, some).order_by(Webhook.id)))


def _ready(now: datetime) -> tuple[ColumnElement[bool], ...]:
    due = or_(WebhookMessage.due_at.is_(None), WebhookMessage.due_at <= now)
    return WebhookMessage.state == WAITING, due


def _first_of_its_subject() -> ColumnElement[bool]:
    earlier = aliased(WebhookMessage)
    own = (earlier.webhook_id == WebhookMessage.webhook_id, earlier.subject == WebhookMessage.subject)
    return ~exists().where(*own, earlier.state == WAITING, earlier.id < WebhookMessage.id)


def _serve(hands: "Hands", until: float, webhook_id: int) -> int:
    """Send to one webhook until nothing is due, it does not answer, or the time is over; how many it has taken."""
    count = 0
    while not hands.stopping() and time.monotonic() < until:
        with reading(hands.engine) as db:
            own = select(WebhookMessage.id).where(WebhookMessage.webhook_id == webhook_id, *_ready(hands.clock()))
            ids = db.scalars(own.where(_first_of_its_subject()).order_by(WebhookMessage.id).limit(AT_ONCE)).all()
        if not ids:
            break
        for message_id in ids:
            if hands.stopping() or time.monotonic() > until:
                return count
            taken = _tell(hands, webhook_id, message_id)
            if taken is False:
                return count
            count += taken is True
    return count


def _tell(hands: "Hands", webhook_id: int, message_id: int) -> bool | None:
    """Take one message, send it, write down what came of it; None when there was nothing to send."""
    sent = _take(hands, webhook_id, message_id)
    if sent is None:
        return None
    headers = webhooks.signed(sent.keys, sent.name, sent.body, hands.clock())
    status, outcome = calling.call(sent.url, sent.body.encode(), headers, private=hands.private)
    _settle(hands, webhook_id, sent, status, outcome)
    return 200 <= status < 300


def _take(hands: "Hands", webhook_id: int, message_id: int) -> Sent | None:
    now = hands.clock()
    with transaction(hands.engine) as db:
        row = db.get(Webhook, webhook_id)
        message = db.get(WebhookMessage, message_id, with_for_update=True)
        if row is None or message is None or not _still_due(row, message, now):
            return None
        message.tries, message.tried_at = message.tries + 1, now
        message.due_at = now + WAITS[min(message.tries, len(WAITS)) - 1]
        told = webhook_bodies.body(db, message, hands.zone)
        if told is None:
            message.state, message.outcome = DROPPED, "没有可以通知的内容"
            return None
        keys = webhooks.secrets_of(hands.cipher, row, now) if hands.cipher is not None else []
        if not keys:
            message.tries -= 1
            _shut(hands, db, row, "密钥读不出来：web.secret_key 换过了，请换一个新密钥")
            return None
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        return Sent(message.id, f"msg_{row.id}_{message.id}", row.url, text, keys)


def _still_due(row: Webhook, message: WebhookMessage, now: datetime) -> bool:
    """Whether nobody else has taken it meanwhile, nor turned the webhook off."""
    return row.state == ON and message.state == WAITING and (message.due_at is None or message.due_at <= now)


def _settle(hands: "Hands", webhook_id: int, sent: Sent, status: int, outcome: str) -> None:
    now = hands.clock()
    with transaction(hands.engine) as db:
        row = db.get(Webhook, webhook_id, with_for_update=True)
        message = db.get(WebhookMessage, sent.message_id, with_for_update=True)
        if row is None or message is None:
            return  # it was removed meanwhile
        message.outcome = outcome[:200]
        if 200 <= status < 300:
            message.state, message.due_at = DONE, None
            row.fails, row.due_at, row.taken_at = 0, None, now
            return
        row.fails += 1
        row.due_at = now + min(REST * 2 ** min(row.fails - 1, 10), LONGEST_REST)
        if status == GONE:
            _shut(hands, db, row, "对方回答 410：不再接收")
        elif message.tries > len(WAITS) and _takes_others(row, now):
            message.state = GIVEN_UP
        elif message.tries > len(WAITS):
            _shut(hands, db, row, f"三天都没有送达，最后一次：{outcome}")


def _takes_others(row: Webhook, now: datetime) -> bool:
    """Whether it is this one message that it does not take."""
    return row.taken_at is not None and row.taken_at > now - sum(WAITS, timedelta(0))


def _shut(hands: "Hands", db: Session, row: Webhook, why: str) -> None:
    """Turn it off and tell the admins."""
    work = hands.work(db, "send webhooks")
    webhooks.turn_off(work, row, why)
    host = calling.shown(row.url)
    alarms.raise_alarm(work, webhooks.alarm(row), f"通知外部系统 {host} 已停止（{why[:80]}）。请看：设置 → 外部系统")

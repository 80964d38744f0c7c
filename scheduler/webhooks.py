"""Calls of a shop's own addresses that journeys ask for (``WebhookCall``), each repeated until it is taken.

How they are made says ``scheduler.calling``. Each call carries its id, by which a receiver knows a repetition.
"""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from scheduler import calling
from storage.database import reading, transaction
from storage.tables import WebhookCall

if TYPE_CHECKING:
    from scheduler.timetable import Hands

AT_ONCE = 50
MOST_TRIES = 12
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=6)
SECONDS_A_RUN = 20.0
"""What is slow must not hold up the other jobs; the rest is made at the next beat."""
WAITING, DONE, GIVEN_UP = ("waiting", "done", "given_up")


def call_webhooks(hands: "Hands") -> str:
    """Make the calls that are due, one after the other."""
    with reading(hands.engine) as db:
        own = select(WebhookCall.id).where(WebhookCall.state == WAITING, WebhookCall.due_at <= hands.clock())
        ids = list(db.scalars(own.order_by(WebhookCall.due_at, WebhookCall.id).limit(AT_ONCE)))
    made, until = 0, time.monotonic() + SECONDS_A_RUN
    for call_id in ids:
        if hands.stopping() or time.monotonic() > until:
            break
        made += _call(hands, call_id)
    return f"webhooks called: {made} of {len(ids)}"


def _call(hands: "Hands", call_id: int) -> bool:
    """Take it (so that nobody else makes it meanwhile), make it, write down what came of it."""
    with transaction(hands.engine) as db:
        call = db.get_one(WebhookCall, call_id, with_for_update=True)
        if call.state != WAITING or call.due_at > hands.clock():
            return False
        call.tries += 1
        call.due_at = hands.clock() + min(FIRST_WAIT * 2 ** min(call.tries, 10), LONGEST_WAIT)
        url, body, name = call.url, dict(call.body), f"msg_{call.id}"
    taken, outcome = deliver(url, name, body, private=hands.private)
    with transaction(hands.engine) as db:
        call = db.get_one(WebhookCall, call_id, with_for_update=True)
        call.outcome = outcome[:200]
        if taken or call.tries >= MOST_TRIES:
            call.state, call.ended_at = (DONE if taken else GIVEN_UP), hands.clock()
    return taken


def deliver(url: str, name: str, body: Mapping[str, Any], *, private: bool = False) -> tuple[bool, str]:
    """Make one call; whether it was taken (any 2xx), and what was said. Raises nothing."""
    text = json.dumps(body, ensure_ascii=False).encode()
    status, outcome = calling.call(url, text, {"webhook-id": name}, private=private)
    return 200 <= status < 300, outcome

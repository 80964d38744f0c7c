"""Calls of a shop's own addresses that journeys ask for (``WebhookCall``), each repeated until it is taken.

An address is looked up once and called where it then led, so that nothing changes between looking and calling; what
leads into our own network is refused, and no redirect is followed (reliability.md S26). Each call carries its id, by
which a receiver knows a repetition.
"""

import ipaddress
import json
import logging
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import select

from storage.database import reading, transaction
from storage.tables import WebhookCall

if TYPE_CHECKING:
    from scheduler.timetable import Hands

log = logging.getLogger(__name__)

AT_ONCE = 50
MOST_TRIES = 12
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=6)
TIMEOUT_SECONDS = 10.0
SECONDS_A_RUN = 20.0
"""What is slow must not hold up the other jobs; the rest is made at the next beat."""
PORTS: Mapping[str, int] = MappingProxyType({"https": 443, "http": 80})
WAITING, DONE, GIVEN_UP = ("waiting", "done", "given_up")


class NotThere(Exception):
    """Why an address is not called, in words for whoever wrote it."""


@dataclass(frozen=True)
class Target:
    """Where an address led when it was looked up."""

    parts: SplitResult
    ip: str
    port: int

    @property
    def path(self) -> str:
        """What is asked for there."""
        query = f"?{self.parts.query}" if self.parts.query else ""
        return f"{self.parts.path or '/'}{query}"


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
    taken, outcome = deliver(url, name, body)
    with transaction(hands.engine) as db:
        call = db.get_one(WebhookCall, call_id, with_for_update=True)
        call.outcome = outcome[:200]
        if taken or call.tries >= MOST_TRIES:
            call.state, call.ended_at = (DONE if taken else GIVEN_UP), hands.clock()
    return taken


def deliver(url: str, name: str, body: Mapping[str, Any]) -> tuple[bool, str]:
    """Make one call; whether it was taken (any 2xx), and what was said. Raises nothing."""
    from urllib3.exceptions import HTTPError  # the connection is only needed where somebody uses this

    try:
        target = look_up(url)
        status = _post(target, json.dumps(body, ensure_ascii=False).encode(), name)
    except NotThere as why:
        return False, str(why)
    except (HTTPError, OSError, ValueError) as error:
        log.info("webhook %s was not taken: %s", name, type(error).__name__)
        return False, f"没有接通：{type(error).__name__}"
    return 200 <= status < 300, f"HTTP {status}"


def look_up(url: str) -> Target:
    """Where an address leads. Raises ``NotThere`` unless every place it may lead to is outside."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise NotThere("地址要以 https:// 开头")
    port = parts.port or PORTS[parts.scheme]
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)}
    except OSError:
        raise NotThere("找不到这个域名") from None
    inside = [one for one in found if not is_outside(one)]
    if inside or not found:
        raise NotThere("这个地址指向内部网络，不会去调用；请换成公网地址")
    return Target(parts, sorted(found)[0], port)


def is_outside(ip: str) -> bool:
    """Whether an address is one of the public internet."""
    own = ipaddress.ip_address(ip.partition("%")[0])
    mapped = getattr(own, "ipv4_mapped", None)
    own = mapped or own
    return own.is_global and not own.is_multicast


def _post(target: Target, body: bytes, name: str) -> int:
    """The status of the answer; what else it says nobody reads."""
    import certifi
    import urllib3

    host = str(target.parts.hostname)
    headers = {"Content-Type": "application/json", "Host": target.parts.netloc.rpartition("@")[2], "webhook-id": name}
    timeout = urllib3.Timeout(total=TIMEOUT_SECONDS)
    if target.parts.scheme == "https":
        pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
            target.ip,
            target.port,
            server_hostname=host,
            assert_hostname=host,
            ca_certs=certifi.where(),
            timeout=timeout,
        )
    else:
        pool = urllib3.HTTPConnectionPool(target.ip, target.port, timeout=timeout)
    with pool:
        answer = pool.urlopen(
            "POST", target.path, body=body, headers=headers, redirect=False, retries=False, preload_content=False
        )
        status = answer.status
        answer.close()
    return int(status)

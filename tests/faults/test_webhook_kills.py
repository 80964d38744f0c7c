"""A sender of webhooks that is killed: what it was to tell is told once or more, in order, and nothing is lost."""

import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from outreach import webhooks
from scheduler import outgoing
from storage.tables import WebhookMessage
from tests.forks import Fork
from tests.opened import BOTH
from tests.receiver import Receiver, listening
from tests.scheduler.test_outgoing import hook
from tests.shop import Shop

on_both = pytest.mark.parametrize("opened_shop", BOTH, indirect=True)
BEGIN = """
import os, signal
from dataclasses import replace
from scheduler import calling, outgoing
from tests.scheduler.test_outgoing import sell
from tests.shop import build_shop
shop = build_shop(url)
def die(*_args, **_more):
    os.kill(os.getpid(), signal.SIGKILL)
"""
SELL = """
for number in ("A1", "A2", "A3"):
    sell(shop, number)
"""
SEND = """
outgoing.send(replace(shop.parts.hands(lambda: None, lambda: False), private=True))
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


def killed(shop: Shop, *lines: str) -> None:
    """Run this in a process of its own until it is killed."""
    script = "\n".join([BEGIN, *lines])
    assert Fork(_run, script, shop.parts.engine.url.render_as_string(False)).end() == -signal.SIGKILL


def _run(script: str, url: str) -> None:
    exec(script, {"url": url})


def send(shop: Shop) -> None:
    outgoing.send(replace(shop.parts.hands(lambda: None, lambda: False), private=True))


@on_both
@pytest.mark.parametrize("at", ["outgoing._tell = die", "calling.call = die", "outgoing._settle = die"])
def test_whenever_it_is_killed_each_message_arrives_in_order(shop: Shop, receiver: Receiver, at: str) -> None:
    hook(shop, receiver.url, "order.created")
    killed(shop, SELL, at, SEND)
    assert len(shop.rows(WebhookMessage)) == 3
    for _ in range(4):
        send(shop)
        shop.advance(minutes=10)
    first = list(dict.fromkeys(one["data"]["order"]["order_no"] for one in receiver.taken))
    assert first == ["A1", "A2", "A3"]
    assert {one.state for one in shop.rows(WebhookMessage)} == {webhooks.DONE}
    ids = [headers["webhook-id"] for headers, _ in receiver.heard]
    assert len(set(ids)) == 3
    assert len(ids) == (4 if "_settle" in at else 3)

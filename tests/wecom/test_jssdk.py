"""Two tickets and two signatures for a page in the chat's toolbar."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from sandbox.adapter import SandboxAdapter
from sandbox.clock import ManualClock
from sandbox.world import AGENT_ID, APP_SECRET, World
from tests.wecom.test_line import Script, make_line
from tests.wecom.test_line import clock as clock
from tests.wecom.test_line import engine as engine
from tests.wecom.test_line import scripted as scripted
from wecom.errors import Blocked, TryLater
from wecom.gateway import Gateway
from wecom.jssdk import signature
from wecom.line import Line

URL = "https://crm.example.test/sidebar?a=1&b=2"
APIS = ("getContext", "getCurExternalContact", "sendChatMessage")
NOW = datetime(2025, 11, 13, 2, 0, tzinfo=UTC)


def gateway_of(engine: Engine, clock: ManualClock, world: World) -> Gateway:
    line = make_line(engine, SandboxAdapter(world), clock, APP_SECRET, world.corp_id)
    return Gateway(line, None, AGENT_ID)


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World.small_shop(clock)


@pytest.fixture
def gateway(engine: Engine, clock: ManualClock, world: World) -> Gateway:
    return gateway_of(engine, clock, world)


def fetched(world: World) -> tuple[int, int]:
    return world.log.tally("get_jsapi_ticket").calls, world.log.tally("ticket/get").calls


def test_the_known_answer() -> None:
    known = "8326855fa88b3c796b9c861da9f3ad8472377574"
    assert signature("SIMTICKET0001", "noncejs01", 1_700_000_003, URL) == known
    assert signature("SIMTICKET0001", "noncejs01", 1_700_000_003, f"{URL}#top#2") == known
    assert signature("SIMTICKET0001", "noncejs01", 1_700_000_003, f"{URL}&") != known


@given(
    ticket=st.text("abcXYZ019", min_size=1),
    nonce=st.text("abc019", min_size=1),
    url=st.text("abc/?&=#%豆", max_size=40),
)
def test_what_comes_behind_the_mark_never_counts(ticket: str, nonce: str, url: str) -> None:
    page = url.split("#")[0]
    assert signature(ticket, nonce, 1, url) == signature(ticket, nonce, 1, page)
    assert signature(ticket, nonce, 1, page) != signature(ticket, nonce, 2, page)


def test_both_signatures_are_good_at_the_sandbox_and_each_only_for_its_own(gateway: Gateway, world: World) -> None:
    keys = gateway.js.keys_for(URL, APIS, NOW)
    assert {one: keys.config[one] for one in ("beta", "appId", "timestamp")} == {
        "beta": True,
        "appId": world.corp_id,
        "timestamp": int(NOW.timestamp()),
    }
    assert (keys.agent_config["corpid"], keys.agent_config["agentid"]) == (world.corp_id, AGENT_ID)
    assert keys.config["jsApiList"] == keys.agent_config["jsApiList"] == list(APIS)

    def good(kind: str, one: dict[str, object]) -> bool:
        return world.check_js_signature(
            kind, AGENT_ID, str(one["nonceStr"]), str(one["timestamp"]), URL, str(one["signature"])
        )

    assert good("jsapi", keys.config)
    assert good("agent_config", keys.agent_config)
    assert not good("agent_config", keys.config)
    assert not good("jsapi", keys.agent_config)


def test_every_page_has_a_nonce_of_its_own(gateway: Gateway) -> None:
    assert gateway.js.keys_for(URL, APIS, NOW) != gateway.js.keys_for(URL, APIS, NOW)
    assert gateway.js.keys_for(URL, APIS, NOW, "n") == gateway.js.keys_for(URL, APIS, NOW, "n")


def test_tickets_are_fetched_once_for_all_threads_and_processes(
    engine: Engine, clock: ManualClock, world: World
) -> None:
    gateways = [gateway_of(engine, clock, world) for _ in range(3)]

    def ask(number: int) -> str:
        return gateways[number % 3].js.ticket("agent_config" if number % 2 else "jsapi")

    with ThreadPoolExecutor(12) as pool:
        tickets = set(pool.map(ask, range(60)))
    assert len(tickets) == 2
    assert fetched(world) == (1, 1)


def test_a_ticket_that_is_about_to_die_is_not_used(gateway: Gateway, world: World, clock: ManualClock) -> None:
    gateway.js.ticket("jsapi")
    clock.advance(7000)
    gateway.js.ticket("jsapi")
    assert fetched(world) == (2, 0)


def test_refused_keys_renew_both_tickets_once(gateway: Gateway, world: World, clock: ManualClock) -> None:
    keys = gateway.js.keys_for(URL, APIS, NOW)
    clock.advance(7200)
    gateway.js.keys_for(URL, APIS, NOW)
    before = fetched(world)
    gateway.js.renew(URL, keys)
    assert fetched(world) == before, "these keys are of tickets that are gone already"
    fresh = gateway.js.keys_for(URL, APIS, NOW)
    world.tickets._tickets.clear()
    gateway.js.renew(URL, fresh)
    gateway.js.renew(URL, fresh)
    assert fetched(world) == (before[0] + 1, before[1] + 1)
    healed = gateway.js.keys_for(URL, APIS, NOW)
    nonce, stamp, seal = (str(healed.config[one]) for one in ("nonceStr", "timestamp", "signature"))
    assert world.check_js_signature("jsapi", AGENT_ID, nonce, stamp, URL, seal)


def test_a_dead_token_costs_one_repetition(gateway: Gateway, world: World) -> None:
    gateway.agent()
    world.kill_token()
    assert gateway.js.ticket("agent_config")
    assert fetched(world) == (0, 2)


def test_nobody_can_make_us_fetch_tickets_without_end(gateway: Gateway, world: World, clock: ManualClock) -> None:
    """WeCom allows an app 100 an hour."""
    stale = gateway.js.ticket("agent_config")
    blocked = 0
    for _ in range(30):
        try:
            gateway.js.ticket("agent_config", stale)
        except Blocked:
            blocked += 1
    assert blocked > 20
    assert fetched(world)[1] <= 2


@pytest.mark.parametrize("answer", [{"ticket": "x"}, {"expires_in": 7200}, {"ticket": "x", "expires_in": "soon"}])
def test_an_answer_without_a_ticket_means_asking_again(
    scripted: Callable[..., tuple[Line, Script]], answer: dict[str, object]
) -> None:
    line, _ = scripted(answer)
    with pytest.raises(TryLater):
        Gateway(line, None, 1).js.ticket("jsapi")


def test_a_ticket_lies_encrypted(scripted: Callable[..., tuple[Line, Script]], engine: Engine, sqlite_url: str) -> None:
    line, _ = scripted({"ticket": "ticket-nobody-may-see", "expires_in": 7200})
    assert Gateway(line, None, 1).js.ticket("jsapi") == "ticket-nobody-may-see"
    engine.dispose()
    raw = b"".join(one.read_bytes() for one in Path(sqlite_url.removeprefix("sqlite:///")).parent.glob("*.db*"))
    assert b"ticket-nobody-may-see" not in raw


def test_time_is_in_seconds(gateway: Gateway) -> None:
    keys = gateway.js.keys_for(URL, APIS, NOW + timedelta(milliseconds=900))
    assert keys.config["timestamp"] == int(NOW.timestamp())

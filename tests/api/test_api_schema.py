"""Schemathesis reads our OpenAPI document and asks whatever fits it, and whatever does not.

A handful of cases each time; a thousand of each kind for every operation with SCRM_SOAK=1.
"""

import os
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from requests import Request
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from sqlalchemy import select

from api.rate import Rate
from api.table import OPERATIONS
from loyalty import accounts, group_buys, reward_desk, rewards, transfers
from loyalty.group_buys import Terms
from loyalty.ledger import earn, spend
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from loyalty.reward_desk import Draft
from loyalty.transfers import Limits, Party
from storage.tables import GroupBuy
from tests.api.caller import ONE_DATABASE, Caller
from tests.shop import Shop

SOAK = os.environ.get("SCRM_SOAK") == "1"
EXAMPLES = 1000 if SOAK else 4
REFUSED_BEFORE_THE_DATABASE = pytest.mark.usefixtures() if SOAK else ONE_DATABASE
OURS_TO_DECIDE = {"positive_data_acceptance"}
"""A body of the right shape may still name a rep who is not there."""


@pytest.fixture
def busy_shop(shop: Shop) -> Shop:
    """A shop with something to find behind every address, where nobody is counted."""
    channel = shop.channel()
    for name in ("小雨", "阿明"):
        shop.world.scan(channel.code, name=name)
    shop.catch_up()
    shop.app.extensions["api_rate"] = Rate(10**9)
    return shop


def named(shop: Shop) -> dict[str, list[str]]:
    """What really stands behind the variable parts of an address."""
    caller = Caller(shop)
    found = caller.get("/customers")["items"]
    return {
        "customer_id": ["p_1", found[0]["external_userid"]],
        "tag_id": ["t_1", "t_2"],
        "rule_id": ["r_1"],
        "segment_id": ["s_1"],
        "material_id": ["m_1"],
        "broadcast_id": ["b_1"],
        "approval_id": ["a_1"],
        "journey_id": ["j_1"],
        "webhook_id": ["w_1"],
        "message_id": ["msg_1_1"],
        "hold_id": [_hold(shop), "h_1"],
        "redemption_id": [_redemption(shop), "rd_999"],
        "gift_id": [_gift(shop), "g_999"],
        "group_id": [_group(shop), "gb_999"],
        "code": [one["code"] for one in caller.get("/channels", limit=5)["items"]] or ["c1"],
    }


def _hold(shop: Shop) -> str:
    """Some points of a customer who has some, set apart."""
    with shop.work() as work:
        account = accounts.open_account(work, 1)
        grant = Grant(1000, work.now, None, "marketing")
        earn.award(work, account, [grant], About("award", "some", work.now, "test"))
        held = spend.hold(work, account, 5, work.now + timedelta(days=1), About("hold", "some hold", work.now, "test"))
        return f"h_{held.id}"


def _redemption(shop: Shop) -> str:
    """A reward that this customer has redeemed."""
    with shop.work() as work:
        reward = reward_desk.keep(work, Draft("杯子", points=10), "boss")
        reward_desk.move(reward, "go")
        row = rewards.redeem(work, [1], [accounts.open_account(work, 1)], reward.id, f"some {reward.id}")
        return f"rd_{row.id}"


def _gift(shop: Shop) -> str:
    """Points that this customer gives another, who has to accept."""
    with shop.work() as work:
        transfers.set_limits(work, Limits(on=True, new_days=0), by="boss")
        sender, receiver = (Party([one], [accounts.open_account(work, one)]) for one in (1, 2))
        return f"g_{transfers.give(work, sender, receiver, 5, 'some').id}"


def _group(shop: Shop) -> str:
    """A group that this customer has begun."""
    with shop.work() as work:
        group_buys.set_terms(work, Terms(on=True), by="boss")
        known = work.db.scalars(select(GroupBuy)).first()
        if known is not None:
            return f"gb_{known.id}"
        reward = reward_desk.keep(work, Draft("壶", points=10), "boss")
        reward_desk.move(reward, "go")
        return f"gb_{group_buys.begin(work, [1], [accounts.open_account(work, 1)], reward.id, 'some').id}"


def test_no_fitting_request_breaks_the_server_or_the_schema(busy_shop: Shop) -> None:
    ask_everything(busy_shop, GenerationMode.POSITIVE)


@REFUSED_BEFORE_THE_DATABASE
def test_no_unfitting_request_is_taken_or_breaks_the_server(busy_shop: Shop) -> None:
    ask_everything(busy_shop, GenerationMode.NEGATIVE)


def ask_everything(shop: Shop, mode: GenerationMode) -> None:
    """Ask every operation of the document."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", shop.app)
    operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    assert len(operations) == len(OPERATIONS)
    for operation in operations:
        if mode is GenerationMode.POSITIVE or can_be_wrong(operation):
            ask_anything(shop, operation, mode)


def ask_anything(shop: Shop, operation: Any, mode: GenerationMode) -> None:
    """Ask this operation again and again, half of the fitting times for something that is there."""
    real = named(shop)
    headers = {"Authorization": f"Bearer {Caller(shop).key}", "Accept-Encoding": "identity"}
    checks = [one for one in CHECKS.get_all() if one.__name__ not in OURS_TO_DECIDE]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not SOAK,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def ask(case: Any, data: st.DataObject) -> None:
        if mode is GenerationMode.POSITIVE and data.draw(st.booleans()):
            for name in case.path_parameters or {}:
                case.path_parameters[name] = data.draw(st.sampled_from(real[name]))
        assume(not vanishes(case, operation))
        case.call_and_validate(headers=headers, checks=checks)

    ask()


def vanishes(case: Any, operation: Any) -> bool:
    """An unknown parameter without a value is not even sent: nothing is wrong with what arrives."""
    unknown = set(case.query or {}) - {one.name for one in operation.query}
    sent = parse_qs(urlsplit(Request("GET", "http://shop.invalid", params=case.query).prepare().url or "").query)
    return bool(unknown) and unknown.isdisjoint(sent)


def can_be_wrong(operation: Any) -> bool:
    """Whether anything can be asked that does not fit: a list without parameters takes everything."""
    return bool(list(operation.iter_parameters()) or operation.body)

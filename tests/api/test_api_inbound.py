"""Orders that other systems push in their own words: signed or refused, once for each id, clear about what is wrong."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from handlers import inbound
from people import templates
from people.orders import Bad
from people.templates import BadTemplate
from storage.tables import InboundDoor, PointsTxn, Refund, ShopOrder
from storage.work import SHANGHAI
from tests.api.caller import ONE_DATABASE, problem
from tests.shop import Shop

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ORDER = {"id": "T1", "pay_time": 1795341600, "total": 19990, "status": "PAID", "buyer": {"id": "b1"},
         "items": [{"sku": "S1", "title": "拿铁", "count": 2, "price": 6000}]}  # fmt: skip
on_one = ONE_DATABASE


class Pusher:
    """A web shop with a door here."""

    def __init__(self, shop: Shop, template: dict[str, str] | None = None) -> None:
        self.shop, self.client = shop, shop.app.test_client()
        with shop.work() as work:
            made = inbound.make_door(work, shop.parts.cipher, "shop-01", template or dict(templates.EXAMPLE), "boss")
            assert made is not None
            self.secret = made[1]

    def push(self, told: Any, name: str = "m1", *, secret: str = "", at: datetime | None = None, door: str = "shop-01",
             **headers: str) -> TestResponse:  # fmt: skip
        body = told if isinstance(told, str) else json.dumps(told)
        at = at or self.shop.now()
        signed = {"webhook-id": name, "webhook-timestamp": str(int(at.timestamp())),
                  "webhook-signature": Webhook(secret or self.secret).sign(name, at, body)}  # fmt: skip
        return self.client.post(f"/api/v1/inbound/{door}", data=body.encode(), headers=signed | headers)


@on_one
def test_orders_and_refunds_are_taken_in_the_sender_s_words_once_for_each_id(shop: Shop) -> None:
    pusher = Pusher(shop)
    refund = {**ORDER, "status": "REFUNDED", "total": 9990}
    told = {"orders": [ORDER, {**ORDER, "id": "T2", "total": 500}, refund]}
    first = pusher.push(told)
    assert (first.status_code, first.get_json()["accepted"], first.get_json()["again"]) == (200, 3, False), first.text
    assert {one.order_no: one.amount for one in shop.rows(ShopOrder)} == {"T1": 19990, "T2": 500}
    assert [one.amount for one in shop.rows(Refund)] == [9990]
    before = len(shop.rows(PointsTxn))
    again = pusher.push(told)
    assert (again.get_json()["accepted"], again.get_json()["again"]) == (3, True)
    other = pusher.push(told, "m2")
    assert (other.get_json()["accepted"], other.get_json()["duplicate"]) == (0, 3)
    assert len(shop.rows(PointsTxn)) == before


@on_one
def test_what_is_not_signed_is_refused_alike_whatever_is_wrong(shop: Shop) -> None:
    pusher = Pusher(shop)
    foreign = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    late = shop.now() - timedelta(minutes=6)
    answers = [
        pusher.push({"orders": [ORDER]}, secret=foreign),
        pusher.push({"orders": [ORDER]}, door="nobody"),
        pusher.push({"orders": [ORDER]}, at=late),
        pusher.push({"orders": [ORDER]}, at=shop.now() + timedelta(minutes=6)),
        pusher.push({"orders": [ORDER]}, **{"webhook-timestamp": "soon"}),
        pusher.push({"orders": [ORDER]}, **{"webhook-id": "m9"}),
        pusher.push({"orders": [ORDER]}, **{"webhook-signature": "v1,x v2,y"}),
        pusher.client.post("/api/v1/inbound/shop-01", data=b"{}"),
    ]
    for answer in answers:
        problem(answer, 401, "no-valid-signature")
    assert answers[0].get_json()["detail"] == answers[1].get_json()["detail"]
    assert shop.rows(ShopOrder) == []


@on_one
def test_what_cannot_be_read_says_why_and_may_come_again(shop: Shop) -> None:
    pusher = Pusher(shop)
    bad = problem(pusher.push({"orders": [{**ORDER, "total": -1}]}), 422, "invalid")
    assert "below zero" in bad["errors"][0]["msg"]
    assert "list" in problem(pusher.push({"rows": []}, "m2"), 422, "invalid")["detail"]
    problem(pusher.push("{no json", "m3"), 400, "malformed-json")
    problem(pusher.push("[" * 100_000, "m4"), 400, "malformed-json")
    assert shop.rows(InboundDoor)[0].trouble
    assert pusher.push({"orders": [ORDER]}).status_code == 200
    assert shop.rows(InboundDoor)[0].trouble == ""
    problem(pusher.push({"orders": [{**ORDER, "id": "T9"}]}), 409, "conflict")


@on_one
def test_a_shut_door_opens_to_nobody_and_a_new_secret_lets_the_old_one_live_for_a_day(shop: Shop) -> None:
    pusher = Pusher(shop)
    with shop.work() as work:
        row = work.db.get_one(InboundDoor, 1)
        new = inbound.change_secret(work, shop.parts.cipher, row)
    assert pusher.push({"orders": [ORDER]}).status_code == 200
    assert pusher.push({"orders": [ORDER]}, "m2", secret=new).status_code == 200
    shop.advance(hours=25)
    problem(pusher.push({"orders": [ORDER]}, "m3"), 401, "no-valid-signature")
    with shop.work() as work:
        work.db.get_one(InboundDoor, 1).shut_at = shop.now()
    problem(pusher.push({"orders": [ORDER]}, "m4", secret=new), 401, "no-valid-signature")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"order_no": ""}, "order_no"),
        ({"order_no": "a..b"}, "order_no"),
        ({"unit": "=cent"}, "unit"),
        ({"identity_type": ""}, "identity_type"),
        ({"refund_when": ""}, "refund_when"),
        ({"colour": "x"}, "colour"),
    ],
)
def test_a_template_that_cannot_work_is_refused_by_field(changes: dict[str, str], field: str) -> None:
    with pytest.raises(BadTemplate) as error:
        templates.checked({**templates.EXAMPLE, **changes})
    assert field in error.value.problems


@pytest.mark.parametrize("paid", [1795341600, "1795341600000", "2026-11-22T08:00:00Z"])
def test_times_are_read_as_they_come(paid: Any) -> None:
    found = templates.read(templates.EXAMPLE, {"orders": [{**ORDER, "pay_time": paid}]}, NOW, SHANGHAI)
    (order,) = found.orders.values()
    assert order.paid_at.date().year == 2026


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ORDER, "orders"]), inner, max_size=5),
    max_leaves=12,
)


@given(told=JSON)
def test_whatever_is_pushed_is_read_or_refused_in_a_sentence(told: Any) -> None:
    try:
        found = templates.read(templates.EXAMPLE, told, NOW, SHANGHAI)
    except Bad:
        return
    assert all(found.rejected.values())
    assert all(one.amount >= 0 for one in found.orders.values())

"""From the till to the books: sold, told twice, refunded, paid with points, over the open API as any till does it."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from loyalty.ledger import proof
from sandbox.web import create_app
from storage.tables import Interaction, PointsTxn, ShopOrder
from tests.api.caller import make_key
from tests.shop import Shop


@pytest.fixture
def till(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The sandbox's till, connected to the shop in process."""

    def ask(method: str, url: str, *, json: Any, headers: dict[str, str], timeout: float) -> requests.Response:
        path = url.removeprefix("http://product.invalid")
        answer = shop.client.open(path, method=method, json=json, headers=headers)
        found = requests.Response()
        found.status_code, found._content = answer.status_code, answer.data
        found.headers["Content-Type"] = answer.content_type
        return found

    monkeypatch.setattr(requests, "request", ask)
    client = create_app(shop.world).test_client()
    _, key = make_key(shop, "orders:write", "points", "customers:read", name="till")
    act(client, "till", address="http://product.invalid", key=key)
    yield client
    with shop.db() as db:
        assert proof.verify(db).holds


def act(client: FlaskClient, name: str, **body: Any) -> Any:
    answer = client.post(f"/sandbox/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_a_sale_told_twice_earns_once_and_stands_in_the_customer_s_story(shop: Shop, till: FlaskClient) -> None:
    arrival = shop.world.scan(shop.channel().code, name="小雨", userid="lisi")
    shop.catch_up()
    receipt = act(till, "sell", items={"拿铁": 2}, customer=arrival.external_userid, staff="lisi", times=2)
    assert (receipt["amount"], receipt["told"]) == (5600, "ok")
    (order,) = shop.rows(ShopOrder)
    assert (order.amount, order.staff) == (5600, "lisi")
    assert [one.kind for one in shop.rows(Interaction) if one.kind == "bought"] == ["bought"]
    assert [one.result["points"] for one in shop.rows(PointsTxn)] == [56]


def test_points_pay_at_the_till_and_come_back_with_the_money(shop: Shop, till: FlaskClient) -> None:
    arrival = shop.world.scan(shop.channel().code, name="小雨", userid="lisi")
    shop.catch_up()
    customer = arrival.external_userid
    act(till, "sell", items={"豆子 250 g": 1}, customer=customer, days_ago=8)
    seen = till.get(f"/sandbox/till?customer={customer}").get_json()
    assert seen["points"]["available"] == 88
    act(till, "sell", items={"手冲": 1}, customer=customer, points=80)
    assert till.get(f"/sandbox/till?customer={customer}").get_json()["points"]["available"] == 8
    act(till, "refund_sale", number="T00002", amount=1900)
    assert till.get(f"/sandbox/till?customer={customer}").get_json()["points"]["available"] == 48
    refused = act(till, "redeem", customer=customer, points=500)["told"]
    assert "48" in refused


def test_what_the_shop_does_not_sell_and_an_empty_counter_are_refused(shop: Shop, till: FlaskClient) -> None:
    assert till.post("/sandbox/sell", json={"items": {"汽车": 1}}).status_code == 400
    assert till.post("/sandbox/sell", json={"items": {}}).status_code == 400
    assert till.post("/sandbox/refund_sale", json={"number": "T9"}).status_code == 400


def test_a_till_that_is_not_connected_says_so(shop: Shop) -> None:
    client = create_app(shop.world).test_client()
    assert act(client, "sell", items={"美式": 1})["told"] == "no answer"
    assert client.get("/sandbox/till").get_json()["connected"] is False
    assert "收银台" in client.get("/till").text
    assert "Till" in client.get("/till?lang=en").text

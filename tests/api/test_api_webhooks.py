"""Webhooks over the open API: a secret shown once, an address inside refused, messages seen and sent again."""

import socket
from typing import Any

import pytest

from outreach.webhooks import EVENTS
from storage.tables import IdempotentAnswer, Webhook, WebhookMessage
from tests.api.caller import ONE_DATABASE, Caller, problem
from tests.shop import Shop

URL = "https://erp.example.com/hooks?shop=1"
pytestmark = ONE_DATABASE


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of this file lead outside; numbers lead where they say."""
    real = socket.getaddrinfo

    def look(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        named_here = str(host).endswith("example.com")
        return [(2, 1, 6, "", ("93.184.216.34", port))] if named_here else real(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look)


def made(api: Caller, *events: str, once: str | None = None) -> dict[str, Any]:
    answer = api.post("/webhooks", {"url": URL, "events": list(events or ["order.created"])}, once=once)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def test_the_secret_is_shown_once_also_to_who_asks_again(shop: Shop, api: Caller) -> None:
    first = made(api, once="k1")
    assert first["secret"].startswith("whsec_")
    again = made(api, once="k1")
    assert (again["id"], again["secret"]) == (first["id"], None)
    assert api.get(f"/webhooks/{first['id']}")["secret"] is None
    assert [one["id"] for one in api.get("/webhooks")["items"]] == [first["id"]]
    (kept,) = shop.rows(IdempotentAnswer)
    assert first["secret"] not in kept.body


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "[::ffff:10.0.0.1]", "169.254.169.254", "localhost"])
def test_an_address_that_leads_inside_is_refused_when_it_is_saved(shop: Shop, api: Caller, host: str) -> None:
    found = problem(api.post("/webhooks", {"url": f"https://{host}/", "events": ["order.created"]}), 422, "invalid")
    assert found["errors"][0]["loc"] == ["body", "url"]
    assert shop.rows(Webhook) == []


def test_what_is_no_webhook_is_refused_by_field(api: Caller) -> None:
    for url in ("http://erp.example.com/", "https://u:p@erp.example.com/", "ftp://erp.example.com", "x"):
        assert problem(api.post("/webhooks", {"url": url, "events": ["order.created"]}), 422, "invalid")["errors"]
    found = problem(api.post("/webhooks", {"url": URL, "events": ["order.exploded"]}), 422, "invalid")
    assert found["errors"][0]["loc"] == ["body", "events"]


def test_messages_are_seen_and_sent_again_and_a_removed_webhook_is_gone(shop: Shop, api: Caller) -> None:
    hook = made(api)
    told = {"source": "pos", "order_no": "A1", "paid_at": "2026-11-22T10:00:00+08:00", "amount": "9.00"}
    api.post("/orders", {"orders": [told]})
    (message,) = api.walk(f"/webhooks/{hook['id']}/messages")
    assert (message["state"], message["body"]["data"]["order"]["order_no"]) == ("waiting", "A1")
    problem(api.post(f"/webhooks/{hook['id']}/messages/{message['id']}/replay", None), 404, "not-found")
    with shop.work() as work:
        work.db.get_one(WebhookMessage, int(message["id"].rpartition("_")[2])).state = "done"
    again = api.post(f"/webhooks/{hook['id']}/messages/{message['id']}/replay", None)
    assert (again.status_code, again.get_json()["state"]) == (200, "waiting")
    assert api.delete(f"/webhooks/{hook['id']}").status_code == 204
    problem(api.ask("GET", f"/webhooks/{hook['id']}"), 404, "not-found")
    assert shop.rows(WebhookMessage) == []


def test_a_key_needs_the_scope(shop: Shop, api: Caller) -> None:
    reader = Caller(shop, "webhooks:read", name="reader")
    problem(reader.post("/webhooks", {"url": URL, "events": ["order.created"]}), 403, "missing-scope")
    assert reader.get("/webhooks")["items"] == []


def test_every_event_stands_in_the_document_with_an_example(api: Caller) -> None:
    told = api.client.get("/api/v1/openapi.json").get_json()["webhooks"]
    assert list(told) == list(EVENTS)
    for name, one in told.items():
        example = one["post"]["requestBody"]["content"]["application/json"]["example"]
        assert example["type"] == name
        assert example["data"]["customer_id"]

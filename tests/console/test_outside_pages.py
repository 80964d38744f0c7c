"""Other systems in the console: webhooks made and looked after, doors whose template is tried before it is kept."""

import json
import re
import socket
from typing import Any

import pytest

from console.outside import SAMPLE
from console.outside_words import EVENT_WORDS, FIELD_WORDS
from outreach.webhooks import EVENTS
from people import templates
from storage.tables import AuditRow, InboundDoor, ShopOrder, Webhook, WebhookMessage
from tests.console.acting import Counter

URL = "https://erp.example.com/hooks?key=verysecret"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{40,}")


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def look(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        named_here = str(host).endswith("example.com")
        return [(2, 1, 6, "", ("93.184.216.34", port))] if named_here else real(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look)


def test_every_event_and_field_has_words() -> None:
    assert list(EVENT_WORDS) == list(EVENTS)
    assert list(FIELD_WORDS) == list(templates.FIELDS)


def test_a_webhook_shows_its_secret_once_and_is_looked_after(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    made = boss.post("/settings/outside/webhooks", {"url": URL, "event": ["order.created", "customer.created"]})
    (secret,) = SECRET.findall(made.text)
    (hook,) = fresh.shop.rows(Webhook)
    page = boss.get("/settings/outside").text
    assert "erp.example.com" in page
    assert "verysecret" not in page
    assert secret not in page
    fresh.shop.world.add_by_phone("lisi", "小新")
    fresh.shop.catch_up()
    (message,) = fresh.shop.rows(WebhookMessage)
    log = boss.get(f"/settings/outside/webhooks/{hook.id}").text
    assert "customer.created" in log
    assert "新客户" in log
    assert boss.post(f"/settings/outside/webhooks/{hook.id}/off").status_code == 303
    assert fresh.shop.rows(Webhook)[0].state == "off"
    again = SECRET.findall(boss.post(f"/settings/outside/webhooks/{hook.id}/secret").text)
    assert len(again) == 1
    assert again[0] != secret
    assert boss.post(f"/settings/outside/webhooks/{hook.id}/messages/{message.id}").status_code == 303
    assert boss.post(f"/settings/outside/webhooks/{hook.id}/remove").status_code == 303
    assert fresh.shop.rows(Webhook) == []
    lines = [
        json.dumps([one.action, one.details]) for one in fresh.shop.rows(AuditRow, AuditRow.subject == f"w_{hook.id}")
    ]
    assert len(lines) == 4
    assert not any("verysecret" in one or "whsec" in one for one in lines)


def test_an_address_inside_is_refused_beside_its_field(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    answer = boss.post("/settings/outside/webhooks", {"url": "https://127.0.0.1/x", "event": ["order.created"]})
    assert (answer.status_code, "指向内部网络" in answer.text) == (422, True)
    assert "[webhooks] private_networks = true" in answer.text
    answer = boss.post("/settings/outside/webhooks", {"url": "http://127.0.0.1:9000/x", "event": ["order.created"]})
    assert (answer.status_code, "[webhooks] private_networks = true" in answer.text) == (422, True)
    answer = boss.post("/settings/outside/webhooks", {"url": URL})
    assert (answer.status_code, "至少选择一种事件" in answer.text) == (422, True)
    assert fresh.shop.rows(Webhook) == []


def test_a_door_is_tried_kept_changed_and_shut(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    form = {**templates.EXAMPLE, "name": "shop-01", "sample": SAMPLE}
    tried = boss.post("/settings/outside/doors/new", {**form, "deed": "try"}).text
    assert "T1001" in tried
    assert "199.90" in tried
    assert fresh.shop.rows(InboundDoor) == fresh.shop.rows(ShopOrder) == []
    wrong = boss.post("/settings/outside/doors/new", {**form, "order_no": "a..b", "deed": "try"})
    assert (wrong.status_code, "data.items[0].id" in wrong.text) == (422, True)
    made = boss.post("/settings/outside/doors/new", {**form, "deed": "keep"})
    assert len(SECRET.findall(made.text)) == 1
    assert boss.post("/settings/outside/doors/new", {**form, "deed": "keep"}).status_code == 422
    path = "/settings/outside/doors/1"
    assert boss.post(path, {**form, "store": "=静安店", "deed": "keep"}).status_code == 303
    assert fresh.shop.rows(InboundDoor)[0].template["store"] == "=静安店"
    boss.post(path, {**form, "deed": "shut"})
    assert fresh.shop.rows(InboundDoor)[0].shut_at is not None
    assert "已关闭" in boss.get("/settings/outside").text


def test_only_the_boss_sees_any_of_it(fresh: Counter) -> None:
    for who in ("wangwu", "zhaoliu", "lisi"):
        assert fresh.visitor(who).get("/settings/outside").status_code == 404

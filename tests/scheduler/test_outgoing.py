"""Webhooks: each fact is told with the transaction that made it, signed, in order, until it is taken."""

import logging
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from bot import backups
from handlers import orders as road
from outreach import webhooks
from outreach.webhooks import EVENTS
from people import consent, joining, orders, persons
from scheduler import calling, outgoing
from soak import FULL
from storage.database import open_engine, transaction
from storage.tables import Alarm, Person, PointsTxn, TierChange, Webhook, WebhookMessage, WebhookWish
from tests.opened import BOTH
from tests.receiver import Receiver, listening
from tests.shop import Shop

on_both = pytest.mark.parametrize("opened_shop", BOTH, indirect=True)
PAID = "2026-11-22T10:00:00+08:00"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


def hook(shop: Shop, url: str, *events: str) -> tuple[int, str]:
    with shop.work() as work:
        row, plain = webhooks.make(work, shop.parts.cipher, url, events or list(EVENTS), "boss")
        return row.id, plain


def send(shop: Shop, *, private: bool = True) -> str:
    hands = replace(shop.parts.hands(lambda: None, lambda: False), private=private)
    return outgoing.send(hands)


def sell(shop: Shop, number: str, member: str = "m1", amount: str = "100.00") -> None:
    who = {"type": "pos-01:member", "value": member}
    told = {"source": "pos-01", "order_no": number, "paid_at": PAID, "amount": amount, "identity": who}
    with shop.work() as work:
        taken = road.take_orders(work, {0: orders.read_order(told, shop.now(), shop.parts.zone)})
        assert taken.accepted == [0], taken


def refund(shop: Shop, number: str, order: str, amount: str) -> None:
    told = {"source": "pos-01", "refund_no": number, "order_no": order, "refunded_at": PAID, "amount": amount}
    with shop.work() as work:
        assert road.take_refunds(work, {0: orders.read_refund(told, shop.now(), shop.parts.zone)}).accepted == [0]


@on_both
def test_every_kind_of_fact_is_told_once_by_the_database_itself(shop: Shop, receiver: Receiver) -> None:
    _, secret = hook(shop, receiver.url)
    sell(shop, "A1")
    refund(shop, "R1", "A1", "40.00")
    (person,) = (one for one in shop.rows(Person) if one.merged_into is None)
    code = shop.channel().code
    shop.world.scan(code, name="小雨", userid="lisi")
    shop.catch_up()
    with shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, person.id), "page")
    send(shop)
    kinds = [one["type"] for one in receiver.taken]
    wanted = ["customer.created", "order.created", "points.changed", "order.refunded", "points.changed"]
    wanted += ["customer.opted_out"]
    own = [one for one in receiver.taken if one["data"]["customer_id"] == persons.public_id(person.id)]
    assert sorted(one["type"] for one in own if one["type"] in wanted) == sorted(wanted)
    assert "channel.arrival" in kinds
    bought = next(one for one in own if one["type"] == "order.created")
    assert bought["data"]["order"] == {"source": "pos-01", "order_no": "A1", "paid_at": PAID, "amount": "100.00",
                                       "store": "", "staff": ""}  # fmt: skip
    changes = [one["data"]["changes"] for one in own if one["type"] == "points.changed"]
    assert changes == [{"pending": 100}, {"pending": -40}]
    assert all(receiver.signed_with(secret, number) for number in range(len(receiver.heard)))
    before = len(receiver.heard)
    send(shop)
    assert len(receiver.heard) == before


@on_both
def test_a_fact_that_was_not_kept_is_told_to_nobody(shop: Shop, receiver: Receiver) -> None:
    hook(shop, receiver.url)
    told = {"source": "pos-01", "order_no": "A1", "paid_at": PAID, "amount": "9.00"}
    with shop.work() as work:
        road.take_orders(work, {0: orders.read_order(told, shop.now(), shop.parts.zone)})
        work.db.flush()
        assert work.db.scalar(select(func.count()).select_from(WebhookMessage)) == 1
        work.db.rollback()
    send(shop)
    assert receiver.heard == []
    assert shop.rows(WebhookMessage) == []


@on_both
def test_nothing_is_written_down_that_nobody_wants(shop: Shop, receiver: Receiver) -> None:
    sell(shop, "A1")
    assert shop.rows(WebhookMessage) == []
    hook(shop, receiver.url, "order.refunded")
    sell(shop, "A2")
    assert shop.rows(WebhookMessage) == []
    refund(shop, "R1", "A2", "1.00")
    assert [one.event for one in shop.rows(WebhookMessage)] == ["order.refunded"]


@on_both
def test_an_account_of_two_movements_in_one_transaction_is_told_once(shop: Shop, receiver: Receiver) -> None:
    hook(shop, receiver.url, "points.changed")
    sell(shop, "A1")
    shop.advance(days=8)
    shop.run("sweep points")
    told = shop.rows(WebhookMessage)
    assert len(told) == len({one.row_id for one in told}) == len(shop.rows(PointsTxn))
    send(shop)
    assert [one["data"]["kind"] for one in receiver.taken] == ["award", "activate"]
    assert receiver.taken[1]["data"]["changes"] == {"pending": -100, "available": 100}


@on_both
def test_a_webhook_that_is_removed_while_a_fact_is_written_hinders_nobody(shop: Shop, receiver: Receiver) -> None:
    number, _ = hook(shop, receiver.url, "order.created")
    sell(shop, "A1")
    told = {"source": "pos-01", "order_no": "A2", "paid_at": PAID, "amount": "9.00"}
    if shop.parts.engine.dialect.name == "postgresql":
        with shop.work() as writer:
            road.take_orders(writer, {0: orders.read_order(told, shop.now(), shop.parts.zone)})
            writer.db.flush()
            remove(shop, number)
    else:
        sell(shop, "A2")
        remove(shop, number)
    send(shop)
    assert receiver.heard == []
    shop.run("tidy")
    assert shop.rows(WebhookMessage) == shop.rows(Webhook) == []


def remove(shop: Shop, number: int) -> None:
    with shop.work() as work:
        row = webhooks.held(work, number)
        assert row is not None
        webhooks.remove(work, row)


@on_both
def test_a_backup_that_is_brought_back_tells_of_nothing_again(shop: Shop, receiver: Receiver, tmp_path: Path) -> None:
    hook(shop, receiver.url)
    sell(shop, "A1")
    send(shop)
    heard = len(receiver.heard)
    assert heard
    backups.write(shop.parts.settings.storage.url, tmp_path / "b.gz")
    fresh = f"sqlite:///{tmp_path}/restored.db"
    backups.restore(fresh, tmp_path / "b.gz", verify_only=False)
    engine = open_engine(fresh)
    with transaction(engine) as db:
        assert {one.state for one in db.scalars(select(WebhookMessage))} == {"done"}
        assert db.scalar(select(func.count()).select_from(WebhookMessage)) == heard
    engine.dispose()


def test_a_tier_is_told(shop: Shop, receiver: Receiver) -> None:
    hook(shop, receiver.url, "tier.changed")
    sell(shop, "A1", amount="90000.00")
    shop.run("look at tiers")
    changes = shop.rows(TierChange)
    send(shop)
    assert [one["data"]["after"] for one in receiver.taken] == [one.after for one in changes]


@on_both
def test_who_was_joined_is_told_by_both_ids(shop: Shop, receiver: Receiver) -> None:
    sell(shop, "A1", "m1")
    sell(shop, "A2", "m2")
    one, other = sorted(one.id for one in shop.rows(Person))[-2:]
    hook(shop, receiver.url, "customer.merged", "customer.separated")
    with shop.work() as work:
        assert joining.tie(work, one, other, by="boss")
    send(shop)
    assert [told["data"] for told in receiver.taken] == [
        {"customer_id": persons.public_id(one), "merged_id": persons.public_id(other)}
    ]


def test_what_concerns_one_waits_for_what_came_before_and_nobody_else_does(shop: Shop, receiver: Receiver) -> None:
    hook(shop, receiver.url, "order.created")
    for number, member in (("A1", "m1"), ("A2", "m1"), ("B1", "m2")):
        sell(shop, number, member)
    receiver.refuses = '"A1"'
    for _ in range(3):
        send(shop)
        shop.advance(minutes=1)
    assert [one["data"]["order"]["order_no"] for one in receiver.taken] == ["B1"]
    receiver.refuses = ""
    shop.advance(hours=1)
    send(shop)
    assert [one["data"]["order"]["order_no"] for one in receiver.taken] == ["B1", "A1", "A2"]
    ids = [headers["webhook-id"] for headers, body in receiver.heard if '"A1"' in body]
    assert len(ids) > 1
    assert len(set(ids)) == 1


def test_after_three_days_it_is_turned_off_with_an_alarm_and_what_waits_is_kept(shop: Shop, receiver: Receiver) -> None:
    number, _ = hook(shop, receiver.url, "order.created")
    sell(shop, "A1")
    began = shop.now()
    receiver.refuses = "order"
    while shop.rows(Webhook)[0].state == "on" and shop.now() - began < timedelta(days=9):
        send(shop)
        shop.advance(minutes=1)
    off_after = shop.now() - began
    assert timedelta(days=3) < off_after < timedelta(days=3, hours=5), off_after
    assert len(receiver.heard) == len(outgoing.WAITS) + 1
    (alarm,) = shop.rows(Alarm, Alarm.kind == f"webhook:{number}")
    assert "127.0.0.1" in alarm.text
    assert "shop=1" not in alarm.text
    assert shop.rows(WebhookWish) == []
    sell(shop, "A2")
    receiver.refuses = ""
    with shop.work() as work:
        row = webhooks.held(work, number)
        assert row is not None
        webhooks.turn_on(work, row)
    send(shop)
    assert [one["data"]["order"]["order_no"] for one in receiver.taken] == ["A1"]
    assert shop.rows(Alarm, Alarm.kind == f"webhook:{number}")[0].cleared_at is not None


def test_one_message_that_is_never_taken_is_given_up_and_the_others_go_on(shop: Shop, receiver: Receiver) -> None:
    hook(shop, receiver.url, "order.created")
    sell(shop, "BAD", "m1")
    sell(shop, "A2", "m1")
    receiver.refuses = '"BAD"'
    for day in range(6):
        sell(shop, f"B{day}", "m2")
        for _ in range(24):
            send(shop)
            shop.advance(hours=1)
    states = {one.outcome: one.state for one in shop.rows(WebhookMessage) if one.state != "done"}
    assert states == {"HTTP 500": "given_up"}
    assert shop.rows(Webhook)[0].state == "on"
    assert "A2" in [one["data"]["order"]["order_no"] for one in receiver.taken]


def test_a_receiver_that_says_gone_is_told_nothing_more(shop: Shop, receiver: Receiver) -> None:
    hook(shop, receiver.url, "order.created")
    sell(shop, "A1")
    receiver.answers = [410]
    send(shop)
    assert (shop.rows(Webhook)[0].state, len(receiver.heard)) == ("off", 1)


def test_redirects_are_not_followed(shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    hook(shop, receiver.url, "order.created")
    sell(shop, "A1")
    receiver.answers = [302]
    called: list[str] = []
    look_up = calling.look_up
    monkeypatch.setattr(calling, "look_up", lambda url, private: called.append(url) or look_up(url, private=private))
    send(shop)
    assert (called, shop.rows(WebhookMessage)[0].outcome) == ([receiver.url], "HTTP 302")


def test_without_the_switch_nothing_inside_is_called(shop: Shop, receiver: Receiver) -> None:
    hook(shop, receiver.url, "order.created")
    sell(shop, "A1")
    send(shop, private=False)
    assert receiver.heard == []
    assert "内部网络" in shop.rows(WebhookMessage)[0].outcome


def test_a_name_that_changes_between_looking_and_calling_is_called_where_it_was_looked_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(receiver.url.rpartition(":")[2].partition("/")[0])
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    looked: list[str] = []

    def look(host: str, port: int) -> list[Any]:
        looked.append(host)
        return [(2, 1, 6, "", (ip, port)) for ip in next(answers)]

    real = calling.socket.getaddrinfo
    monkeypatch.setattr(
        calling.socket,
        "getaddrinfo",
        lambda host, port, *more, **named: look(host, port) if host == "x.test" else real(host, port, *more, **named),
    )
    status, _ = calling.call(f"http://x.test:{port}/", b"{}", {}, private=True)
    assert (status, looked, receiver.heard[0][0]["host"]) == (204, ["x.test"], f"x.test:{port}")


def test_a_receiver_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import threading
    import time

    monkeypatch.setattr(calling, "DEADLINE_SECONDS", 0.5)
    door = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        line, _ = door.accept()
        try:
            while True:
                line.send(b"H")
                time.sleep(0.05)
        except OSError:
            line.close()

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    status, words = calling.call(f"http://127.0.0.1:{door.getsockname()[1]}/", b"{}", {}, private=True)
    assert (status, time.monotonic() - began < 5) == (0, True), words
    door.close()


def test_while_a_secret_changes_both_are_good(shop: Shop, receiver: Receiver) -> None:
    number, first = hook(shop, receiver.url, "order.created")
    with shop.work() as work:
        row = webhooks.held(work, number)
        assert row is not None
        second = webhooks.change_secret(work, shop.parts.cipher, row)
    sell(shop, "A1")
    send(shop)
    assert receiver.signed_with(first)
    assert receiver.signed_with(second)
    shop.advance(hours=25)
    sell(shop, "A2")
    send(shop)
    assert receiver.signed_with(second)
    assert not receiver.signed_with(first)


def test_no_secret_lies_open_or_is_logged(shop: Shop, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _, secret = hook(shop, receiver.url, "order.created")
    sell(shop, "A1")
    receiver.answers = [500]
    send(shop)
    (row,) = shop.rows(Webhook)
    assert secret.removeprefix("whsec_").encode() not in row.secret
    assert secret not in caplog.text
    assert secret.removeprefix("whsec_") not in caplog.text


def test_the_signature_is_the_one_of_the_standard() -> None:
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(1614265330, UTC)
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = webhooks.signed([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}', at)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


RUNS = count()


class Died(BaseException):
    """The sender is no more."""


@given(seed=st.integers(0, 2**32))
@settings(max_examples=100 if FULL else 8, deadline=None, phases=[Phase.generate])
def _dies_anywhere(shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance, run = random.Random(seed), next(RUNS)
    people = {f"m{n}-{run}": [f"{n}-{run}-{k}" for k in range(3)] for n in range(2)}
    for _ in range(3):
        for member, numbers in people.items():
            if numbers:
                sell(shop, numbers.pop(0), member)
    settle, call = outgoing._settle, calling.call

    def dying(real: Any, chances: float) -> Any:
        def run(*args: Any, **more: Any) -> Any:
            if chance.random() < chances:
                raise Died
            found = real(*args, **more)
            if chance.random() < chances:
                raise Died
            return found

        return run

    receiver.answers = [chance.choice([204, 500]) for _ in range(6)]
    with monkeypatch.context() as patch:
        patch.setattr(outgoing, "_settle", dying(settle, 0.3))
        patch.setattr(calling, "call", dying(call, 0.2))
        for _ in range(6):
            try:
                send(shop)
            except Died:
                pass
            shop.advance(minutes=chance.randint(0, 40))
    for _ in range(40):
        send(shop)
        shop.advance(hours=1)


def test_a_sender_that_dies_anywhere_loses_nothing_and_keeps_the_order(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(shop, receiver.url, "order.created")
    _dies_anywhere(shop, receiver, monkeypatch)
    first: dict[str, list[str]] = {}
    for one in receiver.taken:
        told = first.setdefault(one["data"]["customer_id"], [])
        if one["data"]["order"]["order_no"] not in told:
            told.append(one["data"]["order"]["order_no"])
    assert first
    for told in first.values():
        assert len(told) == 3, told
        assert [one.rpartition("-")[2] for one in told] == ["0", "1", "2"], told
    assert {one.state for one in shop.rows(WebhookMessage)} == {"done"}

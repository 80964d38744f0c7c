"""Orders in the console: who sees which, why points are so many, refunds found by hand, orders claimed by a rep."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from handlers import orders as road
from people import orders
from storage.tables import Identity, PointsTxn, Refund, ShopOrder
from tests.console.acting import Counter, Pattern
from tests.shop import Shop

PAID = "2026-11-01T10:00:00+08:00"


@pytest.fixture
def counter(tmp_path_factory: pytest.TempPathFactory, first_customers: Pattern) -> Iterator[Counter]:
    with contextmanager(first_customers.copied)(tmp_path_factory.mktemp("orders")) as counter:
        _sell(counter)
        yield counter


def tell(shop: Shop, read: Any, take: Any, *told: dict[str, Any]) -> None:
    given = [read(one, shop.now(), shop.parts.zone) for one in told]
    with shop.work() as work:
        taken = take(work, dict(enumerate(given)))
        assert not taken.rejected, taken.rejected


def _sell(counter: Counter) -> None:
    def who(rep: str) -> dict[str, str]:
        (own,) = counter.shop.rows(
            Identity, Identity.person_id == counter.people[rep], Identity.type == "external_userid"
        )
        return {"type": own.type, "value": own.value}

    usual = {"source": "pos-01", "paid_at": PAID, "store": "静安店", "staff": "lisi"}
    lines = [{"name": "拿铁", "category": "咖啡", "quantity": 2, "amount": "60.00"}]
    tell(counter.shop, orders.read_order, road.take_orders,
         {**usual, "order_no": "L1", "amount": "199.90", "identity": who("lisi"), "lines": lines},
         {**usual, "order_no": "S1", "amount": "50.00", "identity": who("sunqi")},
         {**usual, "order_no": "N1", "amount": "88.00"})  # fmt: skip
    at = {"source": "pos-01", "refunded_at": PAID}
    named = {**at, "refund_no": "R1", "order_no": "L1", "amount": "50.00"}
    tell(counter.shop, orders.read_refund, road.take_refunds, named, {**at, "refund_no": "R2", "amount": "20.00"})


def test_everybody_sees_the_orders_of_their_own_customers(counter: Counter) -> None:
    seen = {who: counter.visitor(who).get("/orders").text for who in ("zhangsan", "zhaoliu", "lisi")}
    assert [name for name in ("L1", "S1", "N1") if f">{name}</a>" in seen["zhangsan"]] == ["L1", "S1", "N1"]
    assert [name for name in ("L1", "S1", "N1") if f">{name}</a>" in seen["zhaoliu"]] == ["S1"]
    assert [name for name in ("L1", "S1", "N1") if f">{name}</a>" in seen["lisi"]] == ["L1"]
    order = counter.shop.rows(ShopOrder, ShopOrder.order_no == "S1")[0]
    assert counter.visitor("lisi").get(f"/orders/{order.id}").status_code == 404
    assert counter.visitor("zhaoliu").get(f"/orders/{order.id}").status_code == 200


def test_an_order_says_what_it_earned_and_why_and_what_a_refund_took(counter: Counter) -> None:
    order = counter.shop.rows(ShopOrder, ShopOrder.order_no == "L1")[0]
    page = counter.visitor("lisi").get(f"/orders/{order.id}").text
    assert "199.90 元 × 每元 1 分 = 199 分" in page
    assert "因退款收回" in page
    assert "退款 R1 退了 50.00 元：原得 199 分，剩 149.90 元还得 149 分，这次收回 50 分" in page
    assert "退款写明了订单号" in page
    assert "拿铁" in page
    english = counter.visitor("lisi").get(f"/orders/{order.id}?lang=en").text
    assert "¥199.90 × 1 points a yuan = 199 points" in english


def test_the_points_page_says_in_words_where_points_came_from_and_which_refund_took_some(counter: Counter) -> None:
    page = counter.visitor("lisi").get(f"/points/p_{counter.people['lisi']}").text
    assert "消费 · 订单 · 静安店" in page
    assert "按最初的规则 · 按订单，自动" in page
    assert "退款 R1 退了 50.00 元" in page
    assert not re.search(r"· (order|orders)\b|规则第 0 版", page)


def test_orders_are_found_by_number_by_name_and_by_what_is_wrong_with_them(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert ">S1</a>" in boss.get("/orders?q=S1").text
    assert ">L1</a>" not in boss.get("/orders?q=S1").text
    assert ">L1</a>" in boss.get("/orders?q=lisi的").text
    assert ">N1</a>" in boss.get("/orders?state=nobodys").text
    assert ">N1</a>" not in boss.get("/orders?state=refunded").text
    assert "没有符合条件的订单" in boss.get("/orders?q=nothing").text


def test_the_customer_s_page_shows_orders_and_their_lines_in_the_story(counter: Counter) -> None:
    page = counter.page_of("lisi", "lisi")
    assert "199.90 元" in page
    assert "买了 199.90 元" in page
    assert "订单 L1 · 静安店 · 得 199 积分" in page
    assert "退了 50.00 元" in page


def test_a_rep_claims_an_order_of_nobody_once_by_number_and_amount(counter: Counter) -> None:
    rep, path = counter.visitor("lisi"), f"/customers/p_{counter.people['lisi']}/orders/claim"
    for amount, says in (("8.00", "没有这样一笔无人认领的订单"), ("soon", "金额写成"), ("88.00", "已记在这位客户名下")):
        assert says in rep.post(path, {"order_no": "N1", "amount": amount}, follow_redirects=True).text
    order = counter.shop.rows(ShopOrder, ShopOrder.order_no == "N1")[0]
    assert (order.person_id, order.claimed_by) == (counter.people["lisi"], "lisi")
    assert len(counter.shop.rows(PointsTxn, PointsTxn.source == "order:pos-01:N1")) == 1
    again = rep.post(path, {"order_no": "N1", "amount": "88.00"}, follow_redirects=True).text
    assert "没有这样一笔无人认领的订单" in again
    assert [line.actor for line in counter.audit("order.claim")] == ["lisi"]
    other = counter.visitor("zhaoliu").post(path, {"order_no": "L1", "amount": "199.90"})
    assert other.status_code == 404


def test_a_refund_without_an_order_is_assigned_by_hand_and_takes_back_then(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert "R2" in boss.get("/orders/refunds").text
    (refund,) = counter.shop.rows(Refund, Refund.refund_no == "R2")
    path = f"/orders/refunds/{refund.id}/match"
    assert "没有订单 X9" in boss.post(path, {"order_no": "X9"}, follow_redirects=True).text
    assert "已记在订单 S1 上" in boss.post(path, {"order_no": "S1"}, follow_redirects=True).text
    claws = counter.shop.rows(PointsTxn, PointsTxn.kind == "claw", PointsTxn.source == "order:pos-01:S1")
    assert [one.result["points"] for one in claws] == [20]
    assert "没有待处理的退款" in boss.get("/orders/refunds").text
    assert counter.visitor("lisi").get("/orders/refunds").status_code == 404


def test_a_refund_whose_order_comes_after_another_gave_for_it_is_shown_and_moved_once(counter: Counter) -> None:
    boss, at = counter.visitor("zhangsan"), {"source": "pos-01", "refunded_at": PAID}
    tell(
        counter.shop,
        orders.read_refund,
        road.take_refunds,
        {**at, "refund_no": "R3", "order_no": "LATE", "amount": "30.00"},
    )
    (refund,) = counter.shop.rows(Refund, Refund.refund_no == "R3")
    boss.post(f"/orders/refunds/{refund.id}/match", {"order_no": "S1"})
    assert "R3" not in boss.get("/orders/refunds").text
    told = {"source": "pos-01", "paid_at": PAID, "order_no": "LATE", "amount": "30.00"}
    tell(counter.shop, orders.read_order, road.take_orders, told)
    page = boss.get("/orders/refunds?state=contested").text
    assert "写明的订单后来到了" in page
    assert "现在记在 S1 上" in page
    path = f"/orders/refunds/{refund.id}/move"
    assert "退款已改记到订单 LATE" in boss.post(path, {"do": "move"}, follow_redirects=True).text
    assert "刚才已经处理了" in boss.post(path, {"do": "move"}, follow_redirects=True).text
    back = counter.shop.rows(PointsTxn, PointsTxn.kind == "unclaw")
    assert [(one.source, one.result["points"]) for one in back] == [("order:pos-01:S1", 30)]
    order = {one.order_no: one for one in counter.shop.rows(ShopOrder)}
    assert "收回的还给客户" in boss.get(f"/orders/{order['S1'].id}").text
    assert "原先记在订单 S1 上" in boss.get(f"/orders/{order['LATE'].id}").text
    assert [(line.actor, line.details["from"]) for line in counter.audit("refund.move")] == [("zhangsan", "S1")]
    assert counter.visitor("lisi").post(path, {"do": "stay"}).status_code == 404


def test_a_refund_that_is_more_than_its_order_says_so_on_both_pages_and_can_be_left_with_a_reason(
    counter: Counter,
) -> None:
    """R5 came before its order and is 10.00 more; who leaves it says why, and it can still be matched."""
    boss, usual = counter.visitor("zhangsan"), {"source": "pos-01", "order_no": "A21"}
    early = {**usual, "refund_no": "R5", "refunded_at": PAID, "amount": "30.00"}
    tell(counter.shop, orders.read_refund, road.take_refunds, early)
    tell(counter.shop, orders.read_order, road.take_orders, {**usual, "paid_at": PAID, "amount": "20.00"})
    page = boss.get("/orders/refunds?state=aside").text
    assert "实付 20.00 元，还能退 20.00 元" in page
    (order,) = counter.shop.rows(ShopOrder, ShopOrder.order_no == "A21")
    shown = boss.get(f"/orders/{order.id}").text
    assert "写明这一笔、没有生效的退款" in shown
    assert "金额对不上" in shown
    (refund,) = counter.shop.rows(Refund, Refund.refund_no == "R5")
    path = f"/orders/refunds/{refund.id}"
    assert "请写上不处理的原因" in boss.post(f"{path}/leave", {"reason": " "}, follow_redirects=True).text
    assert "已搁下" in boss.post(f"{path}/leave", {"reason": "收银打错: 多打了 (一个) 零"}, follow_redirects=True).text
    assert "刚才已经处理了" in boss.post(f"{path}/leave", {"reason": "x"}, follow_redirects=True).text
    assert "R5" not in boss.get("/orders/refunds").text
    assert "zhangsan 决定不处理：收银打错: 多打了 (一个) 零" in boss.get("/orders/refunds?state=left").text
    assert "zhangsan 决定不处理：收银打错: 多打了 (一个) 零" in boss.get(f"/orders/{order.id}").text
    assert [line.details["reason"] for line in counter.audit("refund.leave")] == ["收银打错: 多打了 (一个) 零"]
    assert counter.visitor("lisi").post(f"{path}/leave", {"reason": "x"}).status_code == 404
    assert "已记在订单 L1 上" in boss.post(f"{path}/match", {"order_no": "L1"}, follow_redirects=True).text


def test_a_refund_that_was_left_stays_so_when_its_order_comes(counter: Counter) -> None:
    boss, usual = counter.visitor("zhangsan"), {"source": "pos-01", "order_no": "A22"}
    early = {**usual, "refund_no": "R6", "refunded_at": PAID, "amount": "5.00"}
    tell(counter.shop, orders.read_refund, road.take_refunds, early)
    (refund,) = counter.shop.rows(Refund, Refund.refund_no == "R6")
    boss.post(f"/orders/refunds/{refund.id}/leave", {"reason": "重复"})
    tell(counter.shop, orders.read_order, road.take_orders, {**usual, "paid_at": PAID, "amount": "20.00"})
    assert [one.refunded for one in counter.shop.rows(ShopOrder, ShopOrder.order_no == "A22")] == [0]
    assert [one.state for one in counter.shop.rows(Refund, Refund.refund_no == "R6")] == ["left"]


def test_sources_say_when_they_were_heard(counter: Counter) -> None:
    page = counter.visitor("zhangsan").get("/orders/sources").text
    assert "pos-01" in page
    assert "正常" in page

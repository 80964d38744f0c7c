"""今日: what waits for whose word, and the day's sales and points, each with a way to what it counts."""

import re
from collections.abc import Mapping

from handlers import orders as road
from people import orders
from storage.tables import Broadcast
from tests.console.acting import Counter, Visitor
from tests.console.test_approvals_pages import decide, give
from tests.console.test_orders_pages import tell
from tests.console.test_today_pages import figures

WHO = ("zhangsan", "wangwu", "zhaoliu", "lisi")


def sell(fresh: Counter) -> None:
    """Two orders of today, one of them nobody's; two refunds that have no order."""
    at = fresh.shop.now().isoformat()
    who = {"type": "phone", "value": "13911112222", "verified": True}
    usual = {"source": "pos-01", "paid_at": at, "store": "静安店"}
    tell(fresh.shop, orders.read_order, road.take_orders,
         {**usual, "order_no": "A1", "amount": "1200.50", "identity": who},
         {**usual, "order_no": "A2", "amount": "30.00"},
         {**usual, "order_no": "OLD", "amount": "5.00", "paid_at": "2026-11-20T10:00:00+08:00"})  # fmt: skip
    refund = {"source": "pos-01", "refunded_at": at, "amount": "20.00"}
    tell(fresh.shop, orders.read_refund, road.take_refunds,
         {**refund, "refund_no": "R1", "order_no": "LATER"}, {**refund, "refund_no": "R2"})  # fmt: skip


def pages(fresh: Counter, path: str = "/") -> Mapping[str, str]:
    return {one: fresh.visitor(one).get(path).text for one in WHO}


def waits(page: str) -> list[str]:
    """Where the lines of what waits lead to."""
    part = page.split('id="waits"')[1].split("</section>")[0] if 'id="waits"' in page else ""
    return re.findall(r'href="([^"]+)"', part)


def test_refunds_without_an_order_wait_for_those_who_may_match_them(fresh: Counter) -> None:
    assert {who: waits(page) for who, page in pages(fresh).items()} == {who: [] for who in WHO}
    sell(fresh)
    shown = pages(fresh)
    assert {who: waits(page) for who, page in shown.items()} == {
        "zhangsan": ["/orders/refunds"], "wangwu": ["/orders/refunds"], "zhaoliu": [], "lisi": []}  # fmt: skip
    assert "有 2 笔退款没有对上订单" in shown["zhangsan"]
    assert not waits(fresh.visitor("zhangsan").get("/?day=2026-11-21").text), "a day gone by waits for nobody"


def test_an_approval_waits_for_whoever_may_say_yes_and_has_not(fresh: Counter) -> None:
    large = give(fresh.visitor("wangwu"), fresh, "60,000")
    assert large is not None
    assert {who for who, page in pages(fresh).items() if "/approvals" in waits(page)} == {"zhangsan", "zhaoliu"}
    decide(fresh.visitor("zhangsan"), large)
    assert {who for who, page in pages(fresh).items() if "/approvals" in waits(page)} == {"zhaoliu"}
    assert "有 1 件积分审批等你说话" in fresh.visitor("zhaoliu").get("/").text
    fresh.shop.advance(days=4)
    assert not waits(fresh.visitor("zhaoliu").get("/").text), "nobody can decide it any more"


def test_a_broadcast_waits_for_somebody_else_than_its_maker(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        usual = {"state": "asked", "made_by": "wangwu", "made_at": work.now, "changed_at": work.now}
        work.db.add(Broadcast(name="周末", **usual))
    assert {who for who, page in pages(fresh).items() if "/broadcasts" in waits(page)} == {"zhangsan"}


def test_the_day_s_sales_and_points_lead_to_what_they_count(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    assert "发出积分" not in boss.get("/").text, "a shop without a till hears nothing of it"
    sell(fresh)
    shown = {who: figures(page) for who, page in pages(fresh).items()}
    sums = {name: shown["zhangsan"][name] for name in ("订单数", "实付", "发出积分", "兑换积分", "收回积分")}
    assert sums == {"订单数": "2", "实付": "¥1,230.50", "发出积分": "1,200", "兑换积分": "0", "收回积分": "0"}
    assert "好友 0 · 会员 1 · 无人认领 1" in boss.get("/").text
    assert shown["lisi"]["订单数"] == "0"
    assert "发出积分" not in shown["lisi"]
    assert figures(boss.get("/?day=2026-11-20").text)["实付"] == "¥5.00"
    assert _numbers(boss, "/orders?day=2026-11-22") == ["A1", "A2"]
    assert _numbers(boss, "/orders?day=2026-11-20") == ["OLD"]
    assert _numbers(boss, "/orders?day=nonsense") == ["A1", "A2", "OLD"]
    assert _numbers(boss, "/orders?day=2026-11-22&state=nobodys") == ["A2"]


def _numbers(boss: Visitor, path: str) -> list[str]:
    return sorted(re.findall(r'row-link cut" href="/orders/\d+">([^<]+)</a>', boss.get(path).text))


def test_every_page_of_the_orders_says_how_many_refunds_wait(fresh: Counter) -> None:
    sell(fresh)
    for path in ("/orders", "/orders/refunds", "/orders/sources", "/orders/unusual"):
        shown = pages(fresh, path)
        assert ["待处理退款 2</a>" in shown[who] for who in WHO] == [True, True, False, False], path

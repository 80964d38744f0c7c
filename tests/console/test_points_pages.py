"""The pages of points: who has how many, why each number is what it is, how the books stand; everybody sees theirs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from loyalty import accounts
from loyalty.ledger import earn, spend
from loyalty.ledger.book import About
from loyalty.ledger.claw import Policy, claw_back
from loyalty.ledger.earn import Grant
from tests.console.acting import SEEN_BY, Counter, Pattern


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory, first_customers: Pattern) -> Iterator[Counter]:
    with contextmanager(first_customers.copied)(tmp_path_factory.mktemp("points")) as counter:
        live(counter)
        yield counter


def live(counter: Counter) -> None:
    """Each rep's customer earns; 李四's spends, has some set apart, and owes after a refund. Two days, closed."""
    shop = counter.shop
    orders = {}
    with shop.work() as work:
        for number, (rep, person_id) in enumerate(counter.people.items(), start=1):
            account = accounts.open_account(work, person_id)
            end = work.now + timedelta(days=39)
            grants = [Grant(100 * number, work.now, end, "purchase", channel="抖音", store="静安店")]
            source = f"order:pos-01:A{number}"
            about = About("award", source, work.now, "clock", source=source, rule_version=3)
            orders[rep] = earn.award(work, account, grants, about).id
    with shop.work() as work:
        (own,) = accounts.accounts_of(work.db, [counter.people["lisi"]])
        spend.redeem(work, own, 120, About("redeem", "r1", work.now, "key:pos", reason="换了一只<杯子>"))
        spend.hold(work, own, 30, work.now + timedelta(hours=1), About("hold", "h1", work.now, "wangwu"))
        refund = About("claw", "c1", work.now, "clock", source="refund:pos-01:R1")
        claw_back(work, own, orders["lisi"], 200, refund, Policy())
    shop.advance(days=1)
    shop.run("seal points", "reconcile points")


def test_the_list_says_who_has_how_many_and_only_of_those_in_sight(counter: Counter) -> None:
    for userid in ("zhangsan", "wangwu", "zhaoliu"):
        page = counter.visitor(userid).get("/points").text
        assert {rep for rep in counter.people if f"{rep}的客人" in page} == SEEN_BY[userid]
    assert counter.visitor("lisi").get("/points").status_code == 404


def test_the_list_is_ordered_and_searched(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    page = boss.get("/points").text
    assert page.index("sunqi的客人") < page.index("zhaoliu的客人") < page.index("zhangsan的客人")
    owing = boss.get("/points?by=debt").text
    assert "lisi的客人" in owing
    assert "sunqi的客人" not in owing
    assert "sunqi的客人" not in boss.get("/points?q=zhaoliu").text
    assert "没有符合条件的客户" in boss.get("/points?q=nobody").text
    assert "500" in page
    assert "12月31日" in page


def test_every_entry_of_a_person_says_why_it_is_so_many(counter: Counter) -> None:
    page = counter.visitor("wangwu").get(f"/points/p_{counter.people['lisi']}").text
    for words in (
        "订单 A2（pos-01）",
        "规则第 3 版",
        "到了时间，自动",
        "换了一只&lt;杯子&gt;",
        "接口 pos",
        "退款 R1（pos-01）",
        "王五",
        "欠下 150 分",
        "+200",
        "−120",
    ):
        assert words in page, words


def test_a_rep_sees_the_points_of_their_own_customers_and_nobody_elses(counter: Counter) -> None:
    lisi = counter.visitor("lisi")
    own, other = counter.people["lisi"], counter.people["sunqi"]
    assert lisi.get(f"/points/p_{own}").status_code == 200
    assert lisi.get(f"/points/p_{other}").status_code == 404
    assert f"/points/p_{own}" in lisi.get(f"/customers/p_{own}").text
    assert lisi.get("/points/books").status_code == 404


def test_the_person_page_has_a_card_with_what_ends_next(counter: Counter) -> None:
    page = counter.visitor("zhangsan").get(f"/customers/p_{counter.people['sunqi']}").text
    card = page[page.index(f"/points/p_{counter.people['sunqi']}") :]
    assert '<strong class="num">500</strong>' in card
    assert "用到 12月31日" in card


def test_the_books_say_how_far_they_are_sealed_proved_and_what_each_day_did(counter: Counter) -> None:
    page = counter.visitor("wangwu").get("/points/books").text
    for words in ("抖音 / 静安店", '兑换 <span class="num">−120', '发放 <span class="num">+1,500', "第 1 封", "8 笔"):
        assert words in page, words
    assert "1 笔过了时间还没定" in page
    assert counter.visitor("wangwu").get("/points/books?day=2020-01-01").text.count("这一天没有积分") == 1
    assert counter.visitor("wangwu").get("/points/books?day=x").status_code == 200
    assert counter.visitor("zhaoliu").get("/points/books").status_code == 404


def test_a_shop_without_points_is_told_how_they_come(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    assert "还没有人有积分" in boss.get("/points").text
    assert "还没有积分" in boss.get(f"/points/p_{fresh.people['lisi']}").text
    books = boss.get("/points/books").text
    assert "每一笔都对得上" in books
    assert "第一天过完之后" in books

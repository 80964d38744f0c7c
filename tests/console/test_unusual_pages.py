"""The page of unusual orders: days, who is one of ours, what was looked at; a rep sees only their own customers."""

from loyalty import insiders
from storage.tables import Person, ShopOrder
from tests.console.acting import Counter


def buys(fresh: Counter, rep: str, times: int) -> int:
    with fresh.shop.work() as work:
        who = fresh.people[rep]
        for number in range(times):
            work.db.add(
                ShopOrder(source="pos", order_no=f"{rep}-{number}", person_id=who, paid_at=work.now, amount=1_990,
                          store="静安", digest="d", received_at=work.now, refunded=0)
            )  # fmt: skip
        return who


def test_who_buys_six_times_a_day_is_listed_and_told_as_one_of_ours(fresh: Counter) -> None:
    who = buys(fresh, "lisi", 6)
    buys(fresh, "sunqi", 5)
    with fresh.shop.work() as work:
        work.db.get_one(Person, who).phone = "13800138001"
        insiders.tell(work, ["13800138001"], by="zhangsan")
    page = fresh.visitor("zhangsan").get("/orders/unusual").text
    for words in (f"p_{who}", "119.40", "自己人"):
        assert words in page, words
    assert f"p_{fresh.people['sunqi']}" not in page
    assert "没有这样的客户" in fresh.visitor("zhaoliu").get("/orders/unusual").text
    assert f"p_{who}" in fresh.visitor("lisi").get("/orders/unusual").text


def test_the_alarm_on_today_goes_when_somebody_says_it_is_all_right(fresh: Counter) -> None:
    who = buys(fresh, "lisi", 6)
    boss = fresh.visitor("zhangsan")
    assert fresh.shop.run("watch buyers") == {"watch buyers": "unusual buyers: 1"}
    assert "1 位客户一天内的订单不像一个人买的" in boss.get("/").text
    assert "ordered more in one day than one person does" in boss.get("/?lang=en").text
    assert boss.post(f"/orders/unusual/p_{who}", {"fine": "1"}).status_code == 303
    fresh.shop.run("watch buyers")
    assert "不像一个人买的" not in boss.get("/?lang=zh").text
    assert "重新提醒" in boss.get("/orders/unusual?lang=zh").text


def test_other_limits_are_kept_and_wrong_ones_refused_with_words(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    refused = boss.post("/orders/unusual", {"orders": "1", "stores": "x"})
    assert refused.status_code == 422
    assert "两个数都请填" in refused.text
    assert boss.post("/orders/unusual", {"orders": "3", "stores": "2"}).status_code == 303
    buys(fresh, "lisi", 3)
    assert f"p_{fresh.people['lisi']}" in boss.get("/orders/unusual").text
    assert fresh.visitor("lisi").post("/orders/unusual", {"orders": "9", "stores": "9"}).status_code in (403, 404)

"""Rewards in the console and at the counter: set up, redeemed, handed out once, taken back; what fails is named."""

import io
import re
from typing import Any

import pytest
from sqlalchemy import select

from loyalty import rewards
from people import persons
from storage.tables import PointsAccount, Redemption, Reward, Settlement
from tests.console.acting import Counter, Visitor
from tests.console.own import award, phone
from tests.console.test_campaigns_pages import sell


def form(**more: str) -> dict[str, str]:
    return {"name": "马克杯", "kind": "goods", "points": "60", "stock": "5", "days": "30", **more}


def put(counter: Counter, **more: str) -> int:
    """A live reward, made by an operator."""
    operator = counter.visitor("wangwu")
    assert operator.post("/points/rewards/new", form(**more)).status_code == 303
    number = counter.shop.rows(Reward)[-1].id
    operator.post(f"/points/rewards/{number}/move", {"do": "go"})
    return int(number)


def redeem(counter: Counter, reward: int, rep: str = "lisi", key: str = "k") -> Redemption:
    with counter.shop.work() as work:
        people = persons.anchors(work.db, counter.people[rep])
        own = work.db.scalars(select(PointsAccount.id).where(PointsAccount.person_id.in_(people))).all()
        return rewards.redeem(work, people, own, reward, key)


def rich(counter: Counter, rep: str = "lisi") -> None:
    """Points that can be spent already."""
    sell(counter, rep, f"rich-{rep}", "500.00", days_ago=9)


def at(counter: Counter, userid: str, store: str = "静安店") -> Visitor:
    """Somebody who works at a store."""
    visitor = counter.visitor(userid)
    assert visitor.post("/counter/store", {"other": store}).status_code == 303
    return visitor


def once_of(page: str) -> str:
    found = re.search(r'name="once" value="(\w+)"', page)
    assert found is not None
    return found[1]


def test_a_reward_is_drafted_goes_live_is_redeemed_and_handed_out_once_by_a_rep(fresh: Counter) -> None:
    rich(fresh)
    row = redeem(fresh, put(fresh))
    rep = at(fresh, "lisi")
    page = rep.get(f"/counter?code={rewards.spelt(row.code)}").text
    assert "马克杯" in page
    assert "确认核销" in page
    assert "l＊＊＊" in page
    assert "lisi的客人" not in page
    sent = {"code": row.code, "once": once_of(page)}
    assert "已核销：马克杯，60 分" in rep.post("/counter/confirm", sent, follow_redirects=True).text
    assert "已核销" in rep.post("/counter/confirm", sent, follow_redirects=True).text
    again = rep.post("/counter/confirm", {**sent, "once": "another"}, follow_redirects=True).text
    assert "已经领过了" in again
    assert "静安店" in again
    assert "确认核销" not in again
    assert len(fresh.audit("reward.hand_out")) == 1
    (done,) = fresh.shop.rows(Redemption)
    assert (done.state, done.store, done.ended_by) == ("used", "静安店", "lisi")


def test_the_counter_takes_the_six_digits_of_a_customer_in_the_same_field(fresh: Counter) -> None:
    award(fresh.shop, fresh.people["lisi"], 137)
    mine = phone(fresh.shop, fresh.people["lisi"])
    digits = mine.code()
    rep = at(fresh, "lisi")
    page = rep.get(f"/counter?code={digits[:3]} {digits[3:]}").text
    assert "确认是本人" in page
    assert "137 分" in page
    assert "l＊＊＊" in page
    assert "lisi的客人" not in page
    assert not mine.inside, "looking confirms nothing"
    done = rep.post("/counter/confirm", {"code": digits}, follow_redirects=True).text
    assert "已确认是本人" in done
    assert "现在能用 137 分" in done
    assert mine.inside
    assert [one.actor for one in fresh.audit("customer.confirm")] == ["lisi"]
    assert "没有这个确认码" in rep.get(f"/counter?code={digits}").text
    assert "没有这个确认码" in rep.post("/counter/confirm", {"code": digits}, follow_redirects=True).text


def test_at_the_counter_nobody_tries_digits_nor_learns_of_customers_out_of_sight(fresh: Counter) -> None:
    theirs = phone(fresh.shop, fresh.people["wangwu"])
    digits = theirs.code()
    rep = at(fresh, "lisi")
    assert "没有这个确认码" in rep.get(f"/counter?code={digits}").text
    rep.post("/counter/confirm", {"code": digits})
    assert not theirs.inside
    for number in range(9):
        rep.get(f"/counter?code={number:06d}")
    assert "十分钟后" in rep.get(f"/counter?code={digits}").text
    assert "六位" in fresh.visitor("lisi").get("/counter?code=123456").text, "nothing is looked up without a store"


@pytest.mark.parametrize("typed", ["", "ABCD-2345", "hello", "%00"])
def test_what_is_no_code_is_said_so(fresh: Counter, typed: str) -> None:
    page = at(fresh, "lisi").get(f"/counter?code={typed}").text
    assert ("没有这个码" in page) == bool(typed)
    assert "确认核销" not in page


def test_the_wrong_store_a_return_and_a_day_too_late_are_each_said_by_name(fresh: Counter) -> None:
    rich(fresh)
    mug, plate = put(fresh, stores="徐汇店\n静安店"), put(fresh, name="盘子", days="1")
    first, second = redeem(fresh, mug, key="a"), redeem(fresh, plate, key="b")
    far = at(fresh, "lisi", "浦东店")
    page = far.get(f"/counter?code={first.code}").text
    assert "请去 徐汇店、静安店" in page
    assert "确认核销" not in page
    sent = {"code": first.code, "once": "x"}
    assert "请去 徐汇店、静安店" in far.post("/counter/confirm", sent, follow_redirects=True).text
    operator = fresh.visitor("wangwu")
    told = f"/points/rewards/redemptions/{first.id}/return"
    assert "写一句为什么退回" in operator.post(told, {"note": " "}, follow_redirects=True).text
    assert "已退回：60 分" in operator.post(told, {"note": "颜色不对"}, follow_redirects=True).text
    assert "已经退回" in far.get(f"/counter?code={first.code}").text
    fresh.shop.advance(days=3)
    assert "已过领取期限" in at(fresh, "lisi").get(f"/counter?code={second.code}").text
    assert fresh.shop.run("let go of rewards")["let go of rewards"].startswith("rewards let go of: 1,")
    assert "过期没有领取" in at(fresh, "lisi").get(f"/counter?code={second.code}").text
    assert [one.stock for one in fresh.shop.rows(Reward)] == [5, 5]


def test_whoever_has_not_said_where_they_work_says_so_first(fresh: Counter) -> None:
    rich(fresh)
    row = redeem(fresh, put(fresh, stores="徐汇店"))
    visitor = fresh.visitor("lisi")
    page = visitor.get(f"/counter?code={row.code}").text
    assert "先选你在哪家店" in page
    assert "徐汇店" in page
    assert "确认核销" not in page
    answer = visitor.post("/counter/confirm", {"code": row.code, "once": "x"}, follow_redirects=True)
    assert "先选你在哪家店" in answer.text
    visitor.post("/counter/store", {"store": "徐汇店", "code": row.code})
    assert "确认核销" in visitor.get(f"/counter?code={row.code}").text
    assert "camera=(self)" in visitor.get("/counter").headers["Permissions-Policy"]
    assert "camera=()" in visitor.get("/my-sign-in").headers["Permissions-Policy"]


def test_codes_are_uploaded_once_and_only_their_last_four_signs_are_shown(fresh: Counter) -> None:
    rich(fresh)
    coupon = put(fresh, name="十元券", kind="coupon", stock="")
    operator = fresh.visitor("wangwu")

    def upload(text: str) -> str:
        file = {"file": (io.BytesIO(text.encode()), "codes.csv")}
        return operator.post(f"/points/rewards/{coupon}/codes", file, follow_redirects=True).text

    assert "收下 2 个新券码，0 个以前就有" in upload("券码\nSECRET-AAAA1\nSECRET-BBBB2\n")
    assert "收下 1 个新券码，1 个以前就有" in upload("SECRET-BBBB2\nSECRET-CCCC3")
    assert "文件里没有券码" in upload("\n")
    row = redeem(fresh, coupon)
    for page in (f"/points/rewards/{coupon}", f"/points/rewards/redemptions/{row.id}", "/points/rewards"):
        text = operator.get(page).text
        assert "SECRET" not in text
    assert "AAA1" in operator.get(f"/points/rewards/redemptions/{row.id}").text
    assert "BBB2" in operator.get(f"/points/rewards/{coupon}").text


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": ""}, "写一个 60 字以内的名称"),
        ({"points": "0"}, "整数，至少 1"),
        ({"points": "很多"}, "整数，至少 1"),
        ({"stock": "-1"}, "整数，至少 0"),
        ({"days": ""}, "0 到 366"),
        ({"kind": "donation", "worth": "x"}, "写明捐给谁"),
        ({"kind": "donation", "cause": "树", "worth": "0.001"}, "写一份折多少元"),
    ],
)
def test_a_form_that_makes_no_sense_is_refused_field_by_field(fresh: Counter, wrong: dict[str, str], says: str) -> None:
    answer = fresh.visitor("wangwu").post("/points/rewards/new", form(**wrong))
    assert answer.status_code == 422
    assert says in answer.text
    assert fresh.shop.rows(Reward) == []


def test_stock_is_changed_by_itself_so_that_a_form_left_open_brings_nothing_back(fresh: Counter) -> None:
    rich(fresh)
    mug = put(fresh)
    redeem(fresh, mug)
    operator = fresh.visitor("wangwu")
    operator.post(f"/points/rewards/{mug}/edit", form(name="大马克杯", stock="5"))
    (row,) = fresh.shop.rows(Reward)
    assert (row.name, row.stock) == ("大马克杯", 4)
    for typed, stock in (("10", 14), ("-4", 10), ("-11", 10), ("x", 10)):
        operator.post(f"/points/rewards/{mug}/stock", {"more": typed})
        assert fresh.shop.rows(Reward)[0].stock == stock


def test_a_form_sent_back_as_it_is_shown_changes_nothing(fresh: Counter) -> None:
    facts = {"stores": "徐汇店\n静安店", "per_person": "2", "per_day": "9", "about": "限店内", "level": "gold"}
    put(fresh, **facts, from_at="2026-12-01T10:00", to_at="2026-12-31T22:00")

    def said() -> dict[str, Any]:
        (row,) = fresh.shop.rows(Reward)
        return {name: value for name, value in vars(row).items() if not name.startswith("_")}

    before = said()
    operator = fresh.visitor("wangwu")
    page = operator.get(f"/points/rewards/{before['id']}/edit").text
    assert "徐汇店" in page
    told = {name: str(before[name]) for name in ("name", "kind", "points", "days", "about", "level")}
    more = {"per_person": "2", "per_day": "9", "stores": facts["stores"]}
    operator.post(
        f"/points/rewards/{before['id']}/edit",
        {**told, **more, "from_at": "2026-12-01T10:00", "to_at": "2026-12-31T22:00"},
    )
    assert said() == before


def test_what_was_given_to_a_cause_is_paid_once_with_its_receipt(fresh: Counter) -> None:
    rich(fresh)
    gift = put(fresh, name="捐一本书", kind="donation", stock="", cause="乡村图书角", worth="1.50")
    redeem(fresh, gift, key="a")
    redeem(fresh, gift, key="b")
    boss = fresh.visitor("zhangsan")
    page = boss.get("/points/rewards/causes").text
    assert "和积分账一致" in page
    assert "¥3.00" in page
    told = {"cause": "乡村图书角", "certificate": ""}
    assert "写上收据" in boss.post("/points/rewards/causes/settle", told, follow_redirects=True).text
    for _turn in range(2):
        boss.post("/points/rewards/causes/settle", {**told, "certificate": "R-2026-1"})
    (paid,) = fresh.shop.rows(Settlement)
    assert (paid.count, paid.points, paid.fen) == (2, 120, 300)


def test_a_manager_sees_no_name_of_a_customer_out_of_sight_and_a_rep_no_catalogue(fresh: Counter) -> None:
    rich(fresh)
    row = redeem(fresh, put(fresh))
    manager = fresh.visitor("zhaoliu")
    for page in (
        "/points/rewards/redemptions",
        f"/points/rewards/redemptions/{row.id}",
        f"/points/rewards/{row.reward_id}",
    ):
        text = manager.get(page).text
        assert "不在你可见范围的客户" in text
        assert "lisi的客人" not in text
    assert manager.post(f"/points/rewards/redemptions/{row.id}/return", {"note": "x"}).status_code == 404
    assert fresh.visitor("lisi").get("/points/rewards").status_code == 404
    assert "lisi的客人" in fresh.visitor("wangwu").get("/points/rewards/redemptions?state=open").text
    assert "data:image/svg+xml" in fresh.visitor("wangwu").get(f"/points/rewards/redemptions/{row.id}").text


def test_the_story_says_what_was_redeemed_and_collected_in_the_words_of_its_kind(fresh: Counter) -> None:
    rich(fresh)
    mug, trees = put(fresh), put(fresh, name="种树", kind="donation", stock="", cause="环保", worth="1.50")
    lesson = put(fresh, name="手冲课", kind="experience")
    row = redeem(fresh, mug, key="mug")
    redeem(fresh, trees, key="trees")
    rep = at(fresh, "lisi")
    for one in (row, redeem(fresh, lesson, key="lesson")):
        once = once_of(rep.get(f"/counter?code={rewards.spelt(one.code)}").text)
        rep.post("/counter/confirm", {"code": one.code, "once": once})
    fresh.shop.run("tell of rewards")
    story = rep.get(f"/customers/p_{fresh.people['lisi']}?kinds=points").text
    for words in ("用 60 积分兑换了“马克杯”", "领走了“马克杯”", "捐了 60 积分给“种树”", "体验了“手冲课”", "静安店"):
        assert words in story
    assert "领走了“手冲课”" not in story
    assert "买了" not in story.split('class="story"')[1]

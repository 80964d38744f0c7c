"""Campaigns and rules of earning in the console: tried on earlier orders, agreed to by somebody else, then in force."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from handlers import orders as road
from insight import segments
from people import orders
from storage.tables import Approval, Campaign, Identity, PointsRules, PointsTxn
from tests.console.acting import Counter
from tests.console.test_approvals_pages import decide


def sell(counter: Counter, rep: str, number: str, amount: str, days_ago: float = 0.1) -> int:
    """Let the customer of a rep buy; the points earned."""
    shop = counter.shop
    own = shop.rows(Identity, Identity.person_id == counter.people[rep])
    who = next({"type": one.type, "value": one.value} for one in own if one.type == "external_userid")
    at = (shop.now() - timedelta(days=days_ago)).isoformat()
    told = {"source": "pos", "order_no": number, "paid_at": at, "amount": amount, "identity": who}
    with shop.work() as work:
        return road.take_orders(work, {0: orders.read_order(told, shop.now(), shop.parts.zone)}).points


def local(counter: Counter, **span: float) -> str:
    return f"{(counter.shop.now() + timedelta(**span)).astimezone(counter.shop.parts.zone):%Y-%m-%dT%H:%M}"


def form(counter: Counter, **more: Any) -> dict[str, Any]:
    times = {"from_at": local(counter, hours=1), "to_at": local(counter, days=2)}
    return {"name": "会员日", "multiplier": "2", **times, **more}


def approve_as_boss(counter: Counter) -> None:
    for approval in counter.shop.rows(Approval, Approval.state == "waiting"):
        assert decide(counter.visitor("zhangsan"), approval) == 303


def test_a_campaign_is_tried_on_earlier_weeks_agreed_to_and_then_doubles(fresh: Counter) -> None:
    sell(fresh, "lisi", "before", "100.00", days_ago=6)
    operator = fresh.visitor("wangwu")
    page = operator.post("/points/campaigns/new", form(fresh, budget="150"), follow_redirects=True).text
    assert "试算" in page
    assert "<strong>100</strong>" in page
    (row,) = fresh.shop.rows(Campaign)
    page = operator.post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆"}, follow_redirects=True).text
    assert "等审批" in page
    fresh.shop.advance(hours=2)
    assert sell(fresh, "lisi", "unapproved", "100.00", days_ago=0) == 100
    approve_as_boss(fresh)
    fresh.shop.advance(minutes=1)
    assert sell(fresh, "lisi", "doubled", "100.00", days_ago=0) == 200
    assert sell(fresh, "sunqi", "rest", "100.00", days_ago=0) == 150
    page = operator.get("/points/campaigns").text
    assert "进行中" in page
    assert "150 / 150" in page


def test_what_waits_for_approval_goes_back_to_a_draft_when_it_is_changed(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    operator.post("/points/campaigns/new", form(fresh))
    (row,) = fresh.shop.rows(Campaign)
    operator.post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆"})
    operator.post(f"/points/campaigns/{row.id}/edit", form(fresh, multiplier="3"))
    approve_as_boss(fresh)
    (row,) = fresh.shop.rows(Campaign)
    assert (row.state, row.multiplier) == ("draft", 30_000)


def test_one_that_is_approved_late_holds_from_then_on_however_late_an_order_is_told(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    operator.post("/points/campaigns/new", form(fresh, budget="1000"))
    (row,) = fresh.shop.rows(Campaign)
    operator.post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆"})
    fresh.shop.advance(hours=3)
    (asked,) = fresh.shop.rows(Approval)
    assert "之前付款的不补" in fresh.visitor("zhangsan").get(f"/approvals/{asked.id}").text
    approve_as_boss(fresh)
    fresh.shop.advance(minutes=1)
    assert sell(fresh, "lisi", "told late", "100.00", days_ago=1 / 24) == 100, "as if it had been told in time"
    assert sell(fresh, "lisi", "after", "100.00", days_ago=0) == 200
    assert "实际从什么时候起" in operator.get(f"/approvals/{asked.id}").text


def test_one_that_is_over_before_it_is_approved_is_back_with_its_maker(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    times = {"from_at": local(fresh, hours=1), "to_at": local(fresh, hours=2)}
    operator.post("/points/campaigns/new", form(fresh, budget="1000", **times))
    (row,) = fresh.shop.rows(Campaign)
    operator.post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆"})
    fresh.shop.advance(hours=3)
    (asked,) = fresh.shop.rows(Approval)
    assert "已经过了结束的时间" in fresh.visitor("zhangsan").get(f"/approvals/{asked.id}").text
    approve_as_boss(fresh)
    assert [one.state for one in fresh.shop.rows(Approval)] == ["returned"]
    assert [one.state for one in fresh.shop.rows(Campaign)] == ["draft"]
    assert sell(fresh, "lisi", "late", "100.00", days_ago=1.5 / 24) == 100


def test_a_start_that_has_passed_is_refused_when_it_is_kept_and_when_it_is_sent(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    past = operator.post("/points/campaigns/new", form(fresh, from_at=local(fresh, hours=-1)))
    assert past.status_code == 422
    assert "之前付款的订单不会补" in past.text
    operator.post("/points/campaigns/new", form(fresh))
    (row,) = fresh.shop.rows(Campaign)
    fresh.shop.advance(hours=2)
    answer = operator.post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆"}, follow_redirects=True).text
    assert "请先改时间再提交" in answer
    assert fresh.shop.rows(Approval) == []


def test_whoever_decides_sees_the_whole_campaign_and_a_no_makes_it_a_draft_again(fresh: Counter) -> None:
    sell(fresh, "lisi", "before", "100.00", days_ago=6)
    with fresh.shop.work() as work:
        segment = segments.create(work, "李四的", {"field": "rep", "op": "is", "value": "lisi"}, by="zhangsan")
        number = segment.id
    operator, boss = fresh.visitor("wangwu"), fresh.visitor("zhangsan")
    operator.post("/points/campaigns/new", form(fresh, budget="1500", cap="300", stacks="1", segment=str(number)))
    (row,) = fresh.shop.rows(Campaign)
    operator.post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆"})
    (asked,) = fresh.shop.rows(Approval)
    there = f"/approvals/{asked.id}"
    assert f'href="{there}"' in operator.get(f"/points/campaigns/{row.id}").text
    page = boss.get(f"{there}?sure=yes").text
    for words in ("会员日", "1,500 分", "300 分", "现在 1 人", "叠加", "试算", "<strong>100</strong>", "2 倍"):
        assert words in page, words
    assert f'href="/points/campaigns/{row.id}"' in page
    assert "0 位客户" not in page
    decide(boss, asked, "reject", words="改天")
    assert [one.state for one in fresh.shop.rows(Campaign)] == ["draft"]
    fresh.shop.advance(minutes=1)
    operator.post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆，再问一次"})
    assert [one.state for one in fresh.shop.rows(Approval)] == ["rejected", "waiting"]


def test_whoever_decides_is_told_that_a_campaign_was_changed_meanwhile(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    operator.post("/points/campaigns/new", form(fresh))
    (row,) = fresh.shop.rows(Campaign)
    operator.post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆"})
    operator.post(f"/points/campaigns/{row.id}/edit", form(fresh, multiplier="3"))
    (asked,) = fresh.shop.rows(Approval)
    assert "提交以后它被改过了" in fresh.visitor("zhangsan").get(f"/approvals/{asked.id}").text


def test_a_campaign_for_a_segment_reaches_whoever_is_in_it_when_points_are_earned(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    with fresh.shop.work() as work:
        tree = {"field": "rep", "op": "is", "value": "lisi"}
        segment = segments.create(work, "李四的", tree, by="zhangsan")
        number = segment.id
    fresh.visitor("wangwu").post("/points/campaigns/new", form(fresh, segment=str(number), budget="1000"))
    (row,) = fresh.shop.rows(Campaign)
    assert "现在 1 人" in boss.get(f"/points/campaigns/{row.id}").text
    fresh.visitor("wangwu").post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆"})
    approve_as_boss(fresh)
    fresh.shop.advance(hours=2)
    assert sell(fresh, "lisi", "in", "100.00", days_ago=0) == 200
    assert sell(fresh, "sunqi", "out", "100.00", days_ago=0) == 100


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": ""}, "写一个 60 字以内的名称"),
        ({"multiplier": "1"}, "倍数大于 1"),
        ({"multiplier": "x"}, "倍数大于 1"),
        ({"to_at": ""}, "选结束的时间"),
        ({"to_at": "2020-01-01T00:00"}, "结束要在开始之后"),
        ({"cap": "0"}, "至少 1"),
        ({"budget": "-5"}, "至少 1"),
    ],
)
def test_a_draft_that_makes_no_sense_is_refused_field_by_field(
    fresh: Counter, wrong: dict[str, str], says: str
) -> None:
    answer = fresh.visitor("wangwu").post("/points/campaigns/new", form(fresh, **wrong))
    assert answer.status_code == 422
    assert says in answer.text
    assert fresh.shop.rows(Campaign) == []


def test_pausing_and_ending_hold_at_once(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    operator.post("/points/campaigns/new", form(fresh, budget="1000"))
    (row,) = fresh.shop.rows(Campaign)
    operator.post(f"/points/campaigns/{row.id}/submit", {"reason": "店庆"})
    approve_as_boss(fresh)
    fresh.shop.advance(hours=2)
    operator.post(f"/points/campaigns/{row.id}/move", {"do": "pause"})
    assert sell(fresh, "lisi", "paused", "100.00", days_ago=0) == 100
    fresh.shop.advance(hours=1)
    operator.post(f"/points/campaigns/{row.id}/move", {"do": "resume"})
    assert sell(fresh, "lisi", "resumed", "100.00", days_ago=0) == 200
    assert "暂停过" in operator.get(f"/points/campaigns/{row.id}").text
    operator.post(f"/points/campaigns/{row.id}/move", {"do": "end"})
    fresh.shop.advance(minutes=1)
    assert sell(fresh, "lisi", "ended", "100.00", days_ago=0) == 100
    assert (
        "它现在的状态不能这样改"
        in operator.post(f"/points/campaigns/{row.id}/move", {"do": "resume"}, follow_redirects=True).text
    )


def rules(counter: Counter, **more: str) -> dict[str, str]:
    usual = {"rate": "2", "kind": "rolling", "months": "12", "day": "12-31", "claw": "allow_debt"}
    return {**usual, "valid_from": local(counter, hours=1), "reason": "更大方", **more}


def test_other_rules_are_tried_then_need_two_words_and_hold_for_orders_of_their_days(fresh: Counter) -> None:
    sell(fresh, "lisi", "old", "100.00", days_ago=6)
    operator = fresh.visitor("wangwu")
    tried = operator.post("/points/rules", {**rules(fresh), "do": "try"}).text
    assert "现在的规则得 100 分，改后得 200 分" in tried
    operator.post("/points/rules", {**rules(fresh), "do": "submit"})
    (approval,) = fresh.shop.rows(Approval)
    assert approval.grade == 2
    page = fresh.visitor("zhaoliu").get(f"/approvals/{approval.id}").text
    assert "每实付 1 元得 2 分" in page
    assert "从什么时候起" in page
    assert "记为欠分，以后先还" in page
    decide(fresh.visitor("zhaoliu"), approval)
    assert fresh.shop.rows(PointsRules) == []
    decide(fresh.visitor("zhangsan"), approval)
    assert [one.version for one in fresh.shop.rows(PointsRules)] == [1]
    assert sell(fresh, "lisi", "before", "100.00", days_ago=0) == 100
    fresh.shop.advance(hours=2)
    assert sell(fresh, "lisi", "after", "100.00", days_ago=0) == 200
    with fresh.shop.db() as db:
        award = db.scalars(select(PointsTxn).where(PointsTxn.source == "order:pos:after")).one()
    assert award.rule_version == 1
    assert "第 1 版" in operator.get("/points/rules").text


def test_points_that_die_of_inactivity_are_chosen_and_said_to_be_such(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    operator.post("/points/rules", {**rules(fresh, kind="inactivity", jurisdiction="CA-QC"), "do": "submit"})
    (approval,) = fresh.shop.rows(Approval)
    decide(fresh.visitor("zhaoliu"), approval)
    approve_as_boss(fresh)
    fresh.shop.advance(hours=2)
    sell(fresh, "lisi", "first", "100.00", days_ago=0)
    sell(fresh, "lisi", "again", "50.00", days_ago=0)
    page = operator.get("/points/rules").text
    assert "12 个月没有消费也没有兑换就过期" in page
    assert "过期前至少 30 天要告诉客户" in page
    page = operator.get(f"/points/p_{fresh.people['lisi']}").text
    assert "若到那天没有消费也没有兑换" in page
    assert page.count("（12 个月）") == 2


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"kind": "rolling"}, "不许积分只因为时间过去就过期"),
        ({"kind": "inactivity", "months": "6"}, "至少要 12 个月"),
        ({"kind": "inactivity", "notice_days": "61"}, "最多提前 60 天"),
    ],
)
def test_what_the_law_of_a_place_forbids_is_refused_with_the_law(
    fresh: Counter, wrong: dict[str, str], why: str
) -> None:
    told = {**rules(fresh, jurisdiction="CA-QC", **wrong), "do": "submit"}
    answer = fresh.visitor("wangwu").post("/points/rules", told)
    assert answer.status_code == 422
    assert why in answer.text
    assert "s.187.7" in answer.text


@pytest.mark.parametrize("wrong", [{"rate": "-1"}, {"pending_days": "many"}, {"day": "02-31"}, {"order_cap": "0"}])
def test_rules_that_make_no_sense_are_refused(fresh: Counter, wrong: dict[str, str]) -> None:
    answer = fresh.visitor("wangwu").post("/points/rules", {**rules(fresh, **wrong), "do": "submit"})
    assert answer.status_code == 422
    assert "这里填得不对" in answer.text
    assert fresh.shop.rows(Approval) == []


def test_rules_cannot_hold_for_the_past(fresh: Counter) -> None:
    told = {**rules(fresh, valid_from="2020-01-01T00:00"), "do": "submit"}
    answer = fresh.visitor("wangwu").post("/points/rules", told)
    assert "选一个将来的时间" in answer.text

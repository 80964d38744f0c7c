"""Tiers in the console: seen, tried, asked for; and the job that brings everybody's to the present."""

from loyalty import tiers
from loyalty.ledger import book, earn
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from storage.tables import Approval, TierChange
from tests.console.acting import Counter

FORM = {
    "name-0": "会员", "points-0": "0", "key-0": "silver", "name-1": "银杏", "points-1": "100", "factor-1": "1.2",
    "benefits-1": "生日蛋糕；免排队", "window": "rolling", "downgrade": "recompute", "reason": "年终",
}  # fmt: skip


def give(fresh: Counter, rep: str, points: int) -> int:
    with fresh.shop.work() as work:
        account = book.open_account(work, fresh.people[rep]).id
        about = About("award", f"order-{rep}", work.now, "till")
        earn.award(work, account, [Grant(points, work.now, None, "purchase", qualifies=True)], about)
        return account


def test_other_levels_are_tried_and_hold_after_two_words(fresh: Counter) -> None:
    give(fresh, "lisi", 150)
    boss = fresh.visitor("zhangsan")
    assert "金卡" in boss.get("/tiers").text
    page = boss.post("/tiers", {**FORM, "do": "try"}).text
    assert "会员 0，银杏 1" in page
    assert fresh.count(Approval) == 0
    boss.post("/tiers", {**FORM, "do": "ask"})
    (asked,) = fresh.shop.rows(Approval)
    assert (asked.kind, asked.grade) == ("tiers", 2)
    assert "免排队" in fresh.visitor("wangwu").get(f"/approvals/{asked.id}").text
    for who in ("wangwu", "zhaoliu"):
        fresh.visitor(who).post(f"/approvals/{asked.id}/approve", {"content": asked.payload_hash})
    fresh.shop.advance(hours=24)
    fresh.shop.run("tend approvals")
    with fresh.shop.db() as db:
        assert [one.name for one in tiers.scheme(db).levels] == ["会员", "银杏"]
        assert tiers.scheme(db).levels[1].benefits == ("生日蛋糕", "免排队")


def test_nonsense_is_explained_and_only_the_boss_asks(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    for wrong in ({"points-0": "5"}, {"points-1": "0"}, {"points-1": "many"}, {"factor-1": "99"}, {"window": "week"}):
        answer = boss.post("/tiers", {**FORM, **wrong, "do": "ask"})
        assert answer.status_code == 422
        assert "等级不对" in answer.text
    assert fresh.visitor("wangwu").post("/tiers", FORM).status_code == 404
    assert fresh.visitor("lisi").get("/tiers").status_code == 404


def test_the_job_looks_at_whoever_earned_and_at_nobody_else(fresh: Counter) -> None:
    account = give(fresh, "lisi", 2_500)
    give(fresh, "wangwu", 10)
    assert fresh.shop.run("look at tiers") == {"look at tiers": "customers looked at: 2"}
    assert [(one.account_id, one.after) for one in fresh.shop.rows(TierChange)] == [(account, "gold")]
    fresh.shop.advance(minutes=10)
    fresh.shop.run("look at tiers")
    assert fresh.shop.run("look at tiers") == {"look at tiers": "customers looked at: 0"}

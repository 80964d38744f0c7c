"""Approvals in the console: asked for, looked at, decided by somebody else in two steps, told in WeCom."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from console import approval_shown, approval_words
from insight import segments
from loyalty import authority
from loyalty.authority import Limits
from loyalty.deeds import DEEDS, Look
from loyalty.ledger import standing
from people.persons import public_id
from scheduler.approval_jobs import KIND_WORDS
from storage.tables import Approval, ApprovalWord, OutboxRow, PointsAccount, PointsTxn, User
from tests.console.acting import Counter, Visitor

CONTENT = re.compile(r'name="content" value="([0-9a-f]{64})"')


def give(visitor: Visitor, counter: Counter, points: object, rep: str = "lisi", **more: object) -> Approval | None:
    form = {"kind": "award", "points": points, "reason": "道歉", **more}
    before = counter.count(Approval)
    visitor.post(f"/approvals/new/{public_id(counter.people[rep])}", form)
    rows = counter.shop.rows(Approval)
    return rows[-1] if len(rows) > before else None


def decide(visitor: Visitor, approval: Approval, verb: str = "approve", **more: str) -> int:
    step = {"approve": "yes", "reject": "no"}[verb]
    page = visitor.get(f"/approvals/{approval.id}?sure={step}").text
    found = CONTENT.search(page)
    form = {"content": found[1] if found else approval.payload_hash, **more}
    return visitor.post(f"/approvals/{approval.id}/{verb}", form).status_code


def state(counter: Counter, approval: Approval) -> str:
    with counter.shop.db() as db:
        return db.get_one(Approval, approval.id).state


def available(counter: Counter) -> int:
    with counter.shop.db() as db:
        return standing.standing(db, [one.id for one in db.query(PointsAccount)], counter.shop.now()).available


def cards(counter: Counter) -> list[tuple[str, str]]:
    rows = counter.shop.rows(OutboxRow)
    told = [one.body for one in rows if "积分审批" in str(one.body)]
    return [(str(one["touser"] if "touser" in one else one.get("userid")), str(one)) for one in told]


def test_a_little_is_done_at_once_and_much_waits_for_somebody_else(fresh: Counter) -> None:
    operator, manager, boss = (fresh.visitor(one) for one in ("wangwu", "zhaoliu", "zhangsan"))
    small = give(operator, fresh, 150)
    assert small is not None
    assert (small.state, available(fresh)) == ("done", 150)
    much = give(operator, fresh, "1,000")
    assert much is not None
    assert much.state == "waiting"
    assert re.search(r"最后一天 \d+年\d+月\d+日", manager.get(f"/approvals/{much.id}").text)
    assert "等人审批" in boss.get("/approvals").text
    page = boss.get(f"/approvals/{much.id}").text
    assert "lisi的客人" in page
    assert "一天内给同一位客户的积分超过额度" in page
    assert "lisi的客人" not in manager.get(f"/approvals/{much.id}").text  # not hers to see
    assert "同意…" not in operator.get(f"/approvals/{much.id}").text
    decide(operator, much)
    assert state(fresh, much) == "waiting"
    assert decide(manager, much) == 303
    assert (state(fresh, much), available(fresh)) == ("done", 1_150)
    assert [one.actor for one in fresh.audit("approval.approve")] == ["zhaoliu"]


def test_what_was_not_on_the_page_is_not_agreed_to(fresh: Counter) -> None:
    asked = give(fresh.visitor("wangwu"), fresh, 1_000)
    assert asked is not None
    boss = fresh.visitor("zhangsan")
    boss.post(f"/approvals/{asked.id}/approve", {"content": "0" * 64})
    assert state(fresh, asked) == "waiting"
    assert "什么也没有改变" in boss.get(f"/approvals/{asked.id}").text


def test_every_kind_has_its_words_and_shows_exactly_what_it_does() -> None:
    assert set(approval_shown.SHOWN) == set(approval_words.KINDS) == set(KIND_WORDS) == set(DEEDS)


def test_whoever_decides_sees_when_given_points_die(fresh: Counter) -> None:
    asked = give(fresh.visitor("wangwu"), fresh, 1_000)
    assert asked is not None
    assert "送出的积分" in fresh.visitor("zhangsan").get(f"/approvals/{asked.id}").text


def test_nobody_but_its_maker_can_let_it_be(fresh: Counter) -> None:
    boss, operator = fresh.visitor("zhangsan"), fresh.visitor("wangwu")
    asked = give(boss, fresh, 1_000)
    assert asked is not None
    there = f"/approvals/{asked.id}"
    assert f'action="{there}/cancel"' not in operator.get(there).text
    answer = operator.post(f"{there}/cancel", follow_redirects=True).text
    assert "只有提交人能撤销" in answer
    assert (state(fresh, asked), fresh.audit("approval.cancel")) == ("waiting", [])
    assert f'action="{there}/cancel"' in boss.get(there).text
    boss.post(f"{there}/cancel")
    assert state(fresh, asked) == "cancelled"


def test_a_no_needs_a_reason_and_its_maker_reads_it(fresh: Counter) -> None:
    operator, boss = fresh.visitor("wangwu"), fresh.visitor("zhangsan")
    asked = give(operator, fresh, 1_000)
    assert asked is not None
    decide(boss, asked, "reject", words=" ")
    assert state(fresh, asked) == "waiting"
    decide(boss, asked, "reject", words="太多了")
    assert "太多了" in operator.get(f"/approvals/{asked.id}").text
    assert available(fresh) == 0


def test_approvers_get_a_card_that_leads_to_the_page_and_the_maker_what_became_of_it(fresh: Counter) -> None:
    asked = give(fresh.visitor("wangwu"), fresh, 1_000)
    assert asked is not None
    fresh.shop.run("tend approvals")
    fresh.shop.run("tend approvals")
    told = [who for who, _ in cards(fresh)]
    assert sorted(told) == ["zhangsan", "zhaoliu"]
    assert all(f"/approvals/{asked.id}" in words for _, words in cards(fresh))
    decide(fresh.visitor("zhangsan"), asked)
    fresh.shop.run("tend approvals")
    assert [who for who, _ in cards(fresh)][2:] == ["wangwu"]


def test_a_form_sent_twice_asks_once(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    assert give(operator, fresh, 100, once="f1") is not None
    assert give(operator, fresh, 100, once="f1") is None
    assert give(operator, fresh, 101, once="f1") is None
    assert available(fresh) == 100


@pytest.mark.parametrize("points", ["", "0", "-5", "1.5", "很多", "9999999999"])
def test_nonsense_is_explained_beside_the_form(fresh: Counter, points: str) -> None:
    form = {"kind": "award", "points": points, "reason": "生日"}
    answer = fresh.visitor("wangwu").post(f"/approvals/new/{public_id(fresh.people['lisi'])}", form)
    assert answer.status_code == 422
    assert "积分要是整数" in answer.text
    assert fresh.count(Approval) == 0


def test_a_rep_gives_to_her_own_customers_from_her_budget_and_sees_only_what_is_hers(fresh: Counter) -> None:
    rep = fresh.visitor("lisi")
    assert give(rep, fresh, 10) is None
    with fresh.shop.work() as work:
        authority.set_limits(work, Limits(rep_month=300), by="zhangsan")
    assert "本月你还可以发 300 分" in rep.get("/approvals").text
    given = give(rep, fresh, 250)
    assert given is not None
    assert given.state == "done"
    assert give(rep, fresh, 51) is None
    assert give(rep, fresh, 10, rep="wangwu") is None
    other = give(fresh.visitor("wangwu"), fresh, 1_000)
    assert other is not None
    assert rep.get(f"/approvals/{other.id}").status_code == 404
    assert rep.post(f"/approvals/{other.id}/approve", {"content": other.payload_hash}).status_code == 404
    assert rep.get("/approvals/many").status_code == 404


def test_a_segment_gets_points_after_two_words(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    with fresh.shop.work() as work:
        number = segments.create(work, "所有人", {"all": []}, by="zhangsan").id
    form = {"segment": number, "kind": "award", "points": 20, "reason": "周年", "once": "m1"}
    boss.post("/approvals/many", form)
    (asked,) = fresh.shop.rows(Approval)
    assert (asked.grade, asked.preview["accounts"], asked.preview["points"]) == (2, 5, 100)
    decide(fresh.visitor("wangwu"), asked)
    decide(fresh.visitor("zhaoliu"), asked)
    assert state(fresh, asked) == "approved"  # the only boss made it, so a day stands for the other
    fresh.shop.advance(hours=24)
    fresh.shop.run("tend approvals")
    assert (state(fresh, asked), available(fresh), fresh.count(PointsTxn)) == ("done", 100, 5)
    boss = fresh.visitor("zhangsan")
    boss.post(f"/approvals/{asked.id}/undo")
    assert fresh.shop.rows(Approval)[-1].preview["points"] == -100
    assert "撤回" in boss.get("/approvals?tab=mine").text
    refused = boss.post("/approvals/many", {**form, "kind": "clear", "once": "m2"})
    assert refused.status_code == 422  # it does not say how customers were told


def test_the_limits_change_by_others_words_only(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    numbers = {"person": 500, "day": 5_000, "large": 60_000, "huge": 600_000, "rep_month": 100}
    assert boss.post("/approvals/limits", {**numbers, "reason": "旺季", "do": "limits"}).status_code == 303
    with fresh.shop.db() as db:
        assert authority.limits(db) == Limits()
    assert boss.post("/approvals/limits", {**numbers, "day": 1, "reason": "旺季"}).status_code == 422
    boss.post("/approvals/limits", {"do": "staff", "staff": "13800001001\n\n"})
    asked = give(boss, fresh, 1_000)
    assert asked is not None
    assert "自己人" in fresh.visitor("wangwu").get(f"/approvals/{asked.id}").text
    assert fresh.visitor("wangwu").get("/approvals/limits").status_code == 404


def test_what_is_taken_is_said_as_taken_at_every_step_and_what_is_given_with_a_plus(fresh: Counter) -> None:
    operator, boss = fresh.visitor("wangwu"), fresh.visitor("zhangsan")
    asked = give(operator, fresh, 1_000)
    assert asked is not None
    for page in (boss.get(f"/approvals/{asked.id}").text, boss.get("/approvals").text):
        assert "+1,000 分" in page
    assert "同意“发积分”：给 1 位客户 +1,000 分。" in boss.get(f"/approvals/{asked.id}?sure=yes").text
    decide(boss, asked)
    taken = give(operator, fresh, 250, kind="down")
    assert taken is not None
    page = boss.get(f"/approvals/{taken.id}").text
    assert re.search(r'积分增减</span>\s*<span class="figure-number">-250 分<', page)
    assert re.search(r'现在执行会扣</span>\s*<span class="figure-number">250 分<', page)
    assert "同意“调整积分”：从 1 位客户扣 250 分。" in boss.get(f"/approvals/{taken.id}?sure=yes").text
    english = boss.get(f"/approvals/{taken.id}?sure=yes&lang=en").text
    assert "250 points taken from 1 customer(s)" in english


def test_what_is_moved_says_which_way_also_where_it_goes_both_ways(fresh: Counter) -> None:
    with fresh.shop.app.test_request_context():
        assert approval_words.moved("transfer", Look(2, 0, 30)) == "把 30 分从一位客户转给另一位"
        assert approval_words.moved("take_over", Look(3, 100, 300)) == "涉及 3 位客户，共加 200 分，扣 100 分"
        assert approval_words.moved("bulk_clear", Look(3, -3_000, 3_000)) == "从 3 位客户扣 3,000 分"


@pytest.mark.parametrize(
    ("grade", "said", "words"),
    [(1, [], "还差一位同事"), (2, ["boss"], "还差一位同事"), (2, ["manager"], "还差一位老板"),
     (3, [], "还差两位同事，其中一位是老板；同意后再等一天执行"), (2, ["boss", "manager"], "")],
)  # fmt: skip
def test_who_is_missing_follows_the_grade(fresh: Counter, grade: int, said: list[str], words: str) -> None:
    asked = Approval(state="waiting", due_at=None, grade=grade, people=min(grade, 2), boss=grade > 1)
    with fresh.shop.app.test_request_context():
        yes = [ApprovalWord(yes=True, boss=one == "boss") for one in said]
        assert approval_words.missing(asked, yes) == words


def test_what_waits_for_a_day_alone_says_when_it_is_done(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        for one in work.db.scalars(select(User).where(User.userid != "zhangsan")):
            one.disabled_at = work.now - timedelta(days=9)
    boss = fresh.visitor("zhangsan")
    asked = give(boss, fresh, 1_000)
    assert asked is not None
    assert re.search(r"没有第二个人，一天后执行 · \d+月\d+日 \d\d:\d\d 执行", boss.get(f"/approvals/{asked.id}").text)

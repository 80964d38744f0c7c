"""Rules of points that were asked for: whose word is missing, on whose page it shows, what their numbers count."""

import pytest

from storage.tables import Approval
from tests.console.acting import Counter
from tests.console.test_approvals_pages import decide
from tests.console.test_campaigns_pages import rules
from tests.console.test_gifts_pages import GIFTS, GROUPS
from tests.console.test_tiers_pages import FORM as TIERS

LIMITS = {"person": "500", "day": "5000", "large": "60000", "huge": "600000", "rep_month": "100"}


def test_after_each_word_it_says_whose_is_missing_and_when_it_is_done(fresh: Counter) -> None:
    operator, manager, boss = (fresh.visitor(one) for one in ("wangwu", "zhaoliu", "zhangsan"))
    operator.post("/points/rules", {**rules(fresh), "do": "submit"})
    (asked,) = fresh.shop.rows(Approval)
    there = f"/approvals/{asked.id}"
    assert "等人审批 · 还差两位同事，其中一位是老板" in operator.get(there).text
    decide(manager, asked)
    assert "你已同意 · 等人审批 · 还差一位老板" in manager.get(there).text
    assert "<span>还差一位老板</span>" in operator.get(there).text
    decide(boss, asked)
    assert "你已同意 · 已执行" in boss.get(there).text


@pytest.mark.parametrize(
    ("path", "form"),
    [("/points/gifts", GIFTS), ("/points/groups", GROUPS), ("/approvals/limits", LIMITS), ("/tiers", TIERS),
     ("/points/rules", {})],
)  # fmt: skip
def test_what_was_asked_for_is_shown_on_the_page_of_its_rules_and_not_asked_for_twice(
    fresh: Counter, path: str, form: dict[str, str]
) -> None:
    boss = fresh.visitor("zhangsan")
    form = form or rules(fresh)
    assert "还没有结果" not in boss.get(path).text
    answer = boss.post(path, {**form, "reason": "店庆"})
    (asked,) = fresh.shop.rows(Approval)
    there = f"/approvals/{asked.id}"
    assert answer.location.endswith(there)
    assert f'<a href="{there}">审批 {asked.id} 还没有结果：等人审批 · 还差两位同事</a>' in boss.get(path).text
    again = boss.post(path, {**form, "reason": "再说一遍"})
    assert again.location.endswith(there)
    assert "没有再提交一份" in boss.get(there).text
    assert fresh.count(Approval) == 1
    boss.post(f"{there}/cancel")
    assert "还没有结果" not in boss.get(path).text
    boss.post(path, {**form, "reason": "又想要了"})
    assert fresh.count(Approval) == 2


def test_rules_that_are_agreed_to_say_what_their_numbers_count(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    boss.post("/points/groups", {**GROUPS, "reason": "店庆"})
    boss.post("/points/gifts", {**GIFTS, "reason": "店庆"})
    groups, gifts = (boss.get(f"/approvals/{one.id}").text for one in fresh.shop.rows(Approval))
    assert "<dt>每人付</dt><dd>原价的 80%</dd>" in groups
    assert "<dd>2 人</dd>" in groups
    assert "<dd>24 小时</dd>" in groups
    assert "<dd>500 分</dd>" in gifts
    assert "<dd>7 天</dd>" in gifts
    assert "80% of its price" in boss.get(f"/approvals/{fresh.shop.rows(Approval)[0].id}?lang=en").text

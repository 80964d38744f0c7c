"""The page of the long-term control group: who may set it, and what it says before and after."""

import pytest

from storage.tables import AuditRow
from tests.console.acting import Counter


def test_the_boss_sets_it_and_draws_it_anew_and_both_are_written_down(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    assert "现在没有" in boss.get("/settings/holdout").text
    assert boss.post("/settings/holdout", {"share": "7.5", "do": "share"}).status_code == 303
    page = boss.get("/settings/holdout").text
    assert "现在 7.5%" in page
    assert "给出" in page
    boss.post("/settings/holdout", {"do": "draw"})
    assert [one.action for one in fresh.shop.rows(AuditRow, AuditRow.action.startswith("holdout"))] == [
        "holdout.share",
        "holdout.draw",
    ]
    assert "Long-term control group" in boss.get("/settings/holdout?lang=en").text


@pytest.mark.parametrize("typed", ["20.1", "-1", "abc", "", "1e9", "五"])
def test_what_is_no_share_is_said_and_stays_typed(fresh: Counter, typed: str) -> None:
    answer = fresh.visitor("zhangsan").post("/settings/holdout", {"share": typed, "do": "share"})
    assert answer.status_code == 422
    assert "请填 0 到 20 的数字" in answer.text
    assert "现在没有" in answer.text


def test_operators_look_and_do_not_set(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    assert 'name="share"' not in operator.get("/settings/holdout").text
    assert operator.post("/settings/holdout", {"share": "5", "do": "share"}).status_code == 404
    assert fresh.visitor("lisi").get("/settings/holdout").status_code == 404

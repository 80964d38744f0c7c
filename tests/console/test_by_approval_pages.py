"""Points that were lost are given again, and moved to somebody else, from a customer's page, by others' words."""

from datetime import timedelta

import pytest

from loyalty import accounts
from loyalty.ledger import earn
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from people import joining
from storage.tables import Approval, PointsTxn
from tests.console.acting import Counter
from tests.console.test_rewards_pages import rich


def lost(fresh: Counter, points: int = 90) -> PointsTxn:
    """Points of lisi's customer that have expired."""
    with fresh.shop.work() as work:
        grant = Grant(points, work.now, work.now + timedelta(days=1), "marketing")
        earn.award(work, accounts.open_account(work, fresh.people["lisi"]), [grant], About("award", "k", work.now, "x"))
    fresh.shop.advance(hours=49)
    fresh.shop.run("sweep points")
    (txn,) = fresh.shop.rows(PointsTxn, PointsTxn.kind == "expire")
    return txn


def test_what_expired_is_given_again_once_somebody_else_agrees(fresh: Counter) -> None:
    txn = lost(fresh)
    there = f"/points/p_{fresh.people['lisi']}"
    form = f"{there}/lost/{txn.id}"
    operator = fresh.visitor("wangwu")
    assert form in operator.get(there).text
    assert "其中 90 分还没有补发" in operator.get(form).text
    assert operator.post(form, {"points": "91", "reason": "系统故障"}).status_code == 422
    answer = operator.post(form, {"points": "60", "reason": "系统故障"})
    (asked,) = fresh.shop.rows(Approval)
    assert answer.location.endswith(f"/approvals/{asked.id}")
    fresh.visitor("zhangsan").post(f"/approvals/{asked.id}/approve", {"content": asked.payload_hash})
    assert "其中 30 分还没有补发" in operator.get(form).text
    assert "补发" in operator.get(there).text
    operator.post(form, {"points": "30", "reason": "系统故障"})
    second = fresh.shop.rows(Approval)[-1]
    fresh.visitor("zhangsan").post(f"/approvals/{second.id}/approve", {"content": second.payload_hash})
    assert form not in operator.get(there).text
    assert operator.get(form).status_code == 404


def test_points_go_over_to_another_customer_once_somebody_else_agrees(fresh: Counter) -> None:
    rich(fresh)
    here, there = (f"/points/p_{fresh.people[who]}" for who in ("lisi", "sunqi"))
    operator = fresh.visitor("wangwu")
    assert f"{here}/move" in operator.get(here).text
    answer = operator.post(f"{here}/move", {"to": there, "points": "30", "reason": "家人合并"})
    (asked,) = fresh.shop.rows(Approval)
    assert (asked.kind, asked.state) == ("transfer", "waiting")
    assert answer.location.endswith(f"/approvals/{asked.id}")
    fresh.visitor("zhangsan").post(f"/approvals/{asked.id}/approve", {"content": asked.payload_hash})
    assert "送给 sunqi的客人" in operator.get(here).text
    assert "来自 lisi的客人" in operator.get(there).text
    with fresh.shop.work() as work:
        assert joining.tie(work, fresh.people["lisi"], fresh.people["sunqi"], by="zhangsan")
    page = operator.get(here).text
    assert "转赠" in page
    assert "送给" not in page, "they are one person now"


@pytest.mark.parametrize(
    "wrong", [{"to": "p_999999"}, {"to": ""}, {"to": "itself"}, {"points": "0"}, {"points": "x"}, {"points": "9999999"},
              {"reason": ""}],
)  # fmt: skip
def test_a_move_that_cannot_be_is_explained_and_nothing_is_asked(fresh: Counter, wrong: dict[str, str]) -> None:
    rich(fresh)
    own = f"p_{fresh.people['lisi']}"
    form = {"to": f"p_{fresh.people['sunqi']}", "points": "30", "reason": "家人合并", **wrong}
    form["to"] = own if form["to"] == "itself" else form["to"]
    answer = fresh.visitor("wangwu").post(f"/points/{own}/move", form)
    assert answer.status_code == 422
    assert fresh.count(Approval) == 0


def test_a_rep_moves_nothing_and_gives_nothing_again(fresh: Counter) -> None:
    txn = lost(fresh)
    there = f"/points/p_{fresh.people['lisi']}"
    rep = fresh.visitor("lisi")
    assert "/move" not in rep.get(there).text
    assert rep.get(f"{there}/move").status_code == 404
    assert rep.get(f"{there}/lost/{txn.id}").status_code == 404

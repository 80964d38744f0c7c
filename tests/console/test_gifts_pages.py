"""Gifts of points and group purchases in the console: turned on by others, off at once; each seen with its end."""

import re

import pytest

from bot import people_desk
from loyalty import accounts, approvals, authority, group_buys, transfers
from loyalty.approvals import Asked
from loyalty.group_buys import Terms
from loyalty.transfers import Limits, Named, Party
from people import persons
from storage.tables import Approval, GroupBuy
from tests.console.acting import Counter
from tests.console.test_rewards_pages import at, put, rich

GIFTS = {"day": "500", "new_days": "0", "phone_days": "7", "accept": "1", "reason": "店庆"}
GROUPS = {"seats": "2", "percent": "80", "hours": "24", "reason": "店庆"}


@pytest.mark.parametrize(("path", "form", "kind"), [("gifts", GIFTS, "gifts"), ("groups", GROUPS, "groups")])
def test_it_is_on_after_two_words_and_off_at_once(fresh: Counter, path: str, form: dict[str, str], kind: str) -> None:
    boss, operator = fresh.visitor("zhangsan"), fresh.visitor("wangwu")
    page = operator.get(f"/points/{path}").text
    assert "没有打开" in page
    assert "微信不允许用积分或奖品奖励分享" in page
    assert "提交审批" not in page
    assert operator.post(f"/points/{path}", form).status_code == 404
    answer = boss.post(f"/points/{path}", form)
    (asked,) = fresh.shop.rows(Approval)
    assert (asked.kind, asked.grade) == (kind, 2)
    assert answer.location.endswith(f"/approvals/{asked.id}")
    shown = operator.get(f"/approvals/{asked.id}?sure=yes").text
    assert "同意改成下面写的" in shown
    assert {"gifts": "客户可以转赠积分", "groups": "客户可以开团"}[path] in shown
    for who in ("wangwu", "zhaoliu"):
        fresh.visitor(who).post(f"/approvals/{asked.id}/approve", {"content": asked.payload_hash})
    fresh.shop.advance(hours=24)
    fresh.shop.run("tend approvals")
    boss, operator = fresh.visitor("zhangsan"), fresh.visitor("wangwu")
    assert "已打开" in operator.get(f"/points/{path}").text
    assert operator.post(f"/points/{path}/off").status_code == 404
    assert "已关闭" in boss.post(f"/points/{path}/off", follow_redirects=True).text
    assert "没有打开" in operator.get(f"/points/{path}").text
    boss.post(f"/points/{path}/off")
    assert len(fresh.audit(f"points.{kind}_off")) == 1


@pytest.mark.parametrize(
    ("path", "wrong", "said"),
    [("gifts", {"day": "0"}, "1 到 100,000,000 之间的整数"), ("gifts", {"new_days": "x"}, "0 到 366 之间的整数"),
     ("gifts", {"phone_days": "400"}, "0 到 366 之间的整数"), ("gifts", {"reason": ""}, "请写明原因"),
     ("groups", {"seats": "1"}, "2 到 100 之间的整数"), ("groups", {"percent": "101"}, "1 到 100 之间的整数"),
     ("groups", {"hours": ""}, "1 到 720 之间的整数"), ("groups", {"reason": ""}, "请写明原因"),
     ("groups", {"seats": "1", "hours": "721"}, "1 到 720 之间的整数")],
)  # fmt: skip
def test_what_makes_no_sense_is_explained_at_its_field_and_the_form_stays_filled(
    fresh: Counter, path: str, wrong: dict[str, str], said: str
) -> None:
    form = {**(GIFTS if path == "gifts" else GROUPS), "day": "499", "percent": "79", **wrong}
    answer = fresh.visitor("zhangsan").post(f"/points/{path}", form)
    assert answer.status_code == 422
    assert re.findall(r'class="field-error" id="e-(\w+)"', answer.text) == list(wrong)
    assert said in answer.text
    assert 'value="499"' in answer.text or 'value="79"' in answer.text or "percent" in wrong or "day" in wrong
    assert fresh.count(Approval) == 0


def test_gifts_are_listed_with_their_end_and_nobody_out_of_sight_by_name(fresh: Counter) -> None:
    rich(fresh)
    with fresh.shop.work() as work:
        transfers.set_limits(work, Limits(on=True, new_days=0), by="boss")
        own = accounts.accounts_of(work.db, [fresh.people["lisi"]])
        other = accounts.open_account(work, fresh.people["sunqi"])
        sender = Party([fresh.people["lisi"]], own)
        transfers.give(work, sender, Party([fresh.people["sunqi"]], [other]), 30, "a", named=Named("138****1005", "a"))
        transfers.give(work, sender, Party([], []), 40, "b", named=Named("139****2222", "b"))
    page = fresh.visitor("wangwu").get("/points/gifts").text
    assert "lisi的客人" in page
    assert "sunqi的客人" in page
    assert "139****2222（没有这位客户）" in page
    assert page.count("等对方接收") >= 2
    manager = fresh.visitor("zhaoliu").get("/points/gifts?state=open").text
    assert "lisi的客人" not in manager
    assert "不在你可见范围的客户" in manager
    assert "sunqi的客人" in manager
    assert "还没有人送过积分" in fresh.visitor("wangwu").get("/points/gifts?state=done").text
    assert fresh.visitor("lisi").get("/points/gifts").status_code == 404
    people_desk.erase(fresh.shop.parts.engine, f"p_{fresh.people['sunqi']}")
    page = fresh.visitor("wangwu").get("/points/gifts").text
    assert "资料已删除的客户" in page
    assert "sunqi的客人" not in page
    assert "不在你可见范围的客户" not in page


def test_a_group_is_listed_and_says_who_is_in_it(fresh: Counter) -> None:
    rich(fresh)
    mug = put(fresh)
    with fresh.shop.work() as work:
        group_buys.set_terms(work, Terms(on=True, seats=3), by="boss")
        people = persons.anchors(work.db, fresh.people["lisi"])
        group_buys.begin(work, people, accounts.accounts_of(work.db, people), mug, "k")
    (group,) = fresh.shop.rows(GroupBuy)
    operator = fresh.visitor("wangwu")
    page = operator.get("/points/groups").text
    assert "1 / 3" in page
    assert "正在拼团" in page
    one = operator.get(f"/points/groups/{group.id}").text
    assert "lisi的客人" in one
    assert f"{group.code[:4]}-{group.code[4:]}" in one
    counter = at(fresh, "lisi")
    for typed in (group.code, f"{group.code[:4]}-{group.code[4:].lower()}", f"http://127.0.0.1:8000/me/g/{group.code}"):
        assert "这是拼团的码，不是领取码" in counter.get("/counter", query_string={"code": typed}).text
        sent = {"code": typed, "once": "x"}
        assert "这是拼团的码" in counter.post("/counter/confirm", sent, follow_redirects=True).text
    fresh.shop.advance(hours=25)
    fresh.shop.run("let go of rewards")
    operator = fresh.visitor("wangwu")
    one = operator.get(f"/points/groups/{group.id}").text
    assert "已退回" in one
    assert "当时有 1 人" in one
    page = operator.get("/points/groups?state=failed").text
    assert "没有拼满" in page
    assert "1 / 3" in page
    assert operator.get("/points/groups/999").status_code == 404


def test_points_that_were_moved_by_an_approval_name_both_ends(fresh: Counter) -> None:
    rich(fresh)
    with fresh.shop.work() as work:
        (own,) = accounts.accounts_of(work.db, [fresh.people["lisi"]])
        other = accounts.open_account(work, fresh.people["sunqi"])
        payload = {"account_ids": [own], "receiver": other, "points": 30}
        asked = approvals.submit(work, Asked("transfer", payload, "家人", "k"), authority.of_user("wangwu", "operator"))
    fresh.visitor("zhangsan").post(f"/approvals/{asked.id}/approve", {"content": asked.payload_hash})
    fresh.shop.run("tend approvals")
    operator = fresh.visitor("wangwu")
    assert "送给 sunqi的客人" in operator.get(f"/points/p_{fresh.people['lisi']}").text
    assert "来自 lisi的客人" in operator.get(f"/points/p_{fresh.people['sunqi']}").text

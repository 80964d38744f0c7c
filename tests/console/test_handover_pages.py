"""Handing customers over in the console: whose wait, the plan, how each one went, once more, and who may."""

import pytest

from storage.tables import Channel, Handover, HandoverRow, OutboxRow, Task
from tests.console.acting import Counter

HERE = "/customers/handover"


def begin(counter: Counter, by: str = "zhangsan", **more: str) -> str:
    answer = counter.visitor(by).post(f"{HERE}/new", {"giver": "lisi", "taker": "wangwu", **more})
    assert answer.status_code == 303, answer.text
    counter.shop.catch_up()
    return str(answer.headers["Location"])


def a_day(counter: Counter) -> None:
    counter.shop.advance(hours=24, minutes=1)
    counter.shop.catch_up()
    counter.shop.tick()


def leaves(counter: Counter, userid: str) -> None:
    """Somebody leaves the corp, and WeCom lists their customers as unassigned."""
    counter.shop.world.dismiss_member(userid)
    counter.shop.catch_up()
    counter.shop.advance(hours=1, minutes=1)
    counter.shop.tick()


def another(counter: Counter, name: str) -> str:
    arrival = counter.shop.world.scan(counter.channel, name=name, userid="lisi")
    counter.shop.catch_up()
    return str(arrival.external_userid)


def test_a_leaver_is_listed_with_their_customers_and_all_of_them_go(fresh: Counter) -> None:
    leaves(fresh, "lisi")
    boss = fresh.visitor("zhangsan")
    page = boss.get(HERE).text
    assert "李四" in page
    assert f"{HERE}/new?giver=lisi" in page
    form = boss.get(f"{HERE}/new?giver=lisi").text
    for words in ("已离职", "1 / 1 位", "lisi的客人", "渠道活码也改为新成员"):
        assert words in form, words
    assert "给客户的话" not in form  # WeCom sends none
    there = begin(fresh, codes="1")
    page = boss.get(there).text
    assert "企业微信正在转" in page
    assert 'data-fresh="15"' in page
    a_day(fresh)
    boss = fresh.visitor("zhangsan")
    page = boss.get(there).text
    for words in ("已结束", "已转给新成员", "1 / 1 位有了结果"):
        assert words in page, words
    (channel,) = fresh.shop.rows(Channel)
    assert "lisi" not in [seat.userid for seat in channel.seats]
    assert "没有待分配的客户" in boss.get(HERE).text
    (line,) = fresh.audit("handover.begin")
    assert line.details == {"from": "lisi", "to": "wangwu", "count": 1}


def test_on_the_job_some_go_with_words_and_their_tasks(fresh: Counter) -> None:
    another(fresh, "阿哲")
    lisi = fresh.visitor("lisi")
    lisi.post(f"/customers/p_{fresh.people['lisi']}/tasks", {"text": "回访"})
    boss = fresh.visitor("zhangsan")
    form = boss.get(f"{HERE}/new?giver=lisi&q=lisi").text
    assert "1 / 2 位" in form
    assert "阿哲" not in form
    there = begin(fresh, q="lisi", words="以后由王五为您服务")
    (row,) = fresh.shop.rows(HandoverRow)
    assert row.person_id == fresh.people["lisi"]
    a_day(fresh)
    assert "一起转的待办" in fresh.visitor("zhangsan").get(there).text
    (task,) = fresh.shop.rows(Task)
    assert task.userid == "wangwu"
    (plan,) = fresh.shop.rows(Handover)
    assert (plan.words, plan.moved["tasks"]) == ("以后由王五为您服务", 1)


def test_what_wecom_refused_says_why_and_is_tried_again_where_that_helps(fresh: Counter) -> None:
    zhe, lin = another(fresh, "阿哲"), another(fresh, "林夕")
    there = begin(fresh)
    fresh.shop.world.refuse_transfer(zhe)
    fresh.shop.world.refuse_transfer(lin, "customer_limit_exceed")
    fresh.shop.catch_up()
    a_day(fresh)
    boss = fresh.visitor("zhangsan")
    page = boss.get(f"{there}?state=refused").text
    for words in ("客户拒绝了接替", "接替成员的客户已达上限", "再试没转成的 1 位"):
        assert words in page, words
    assert "lisi的客人" not in page
    form = boss.get(f"{HERE}/new?giver=lisi&again=1").text
    assert "上次没转成的" in form
    assert "林夕" in form
    assert "阿哲" not in form  # who said no is not asked again
    begin(fresh, taker="zhaoliu", again="1")
    rows = fresh.shop.rows(HandoverRow, HandoverRow.handover_id == 2)
    assert [row.external_userid for row in rows] == [lin]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"taker": ""}, "请选择交给谁"),
        ({"taker": "lisi"}, "同一人"),
        ({"taker": "nobody"}, "没有这位成员"),
        ({"words": "长" * 201}, "最多 200 个字"),
        ({"q": "查无此人"}, "没有可以移交的客户"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_its_reason(fresh: Counter, more: dict[str, str], words: str) -> None:
    answer = fresh.visitor("zhangsan").post(f"{HERE}/new", {"giver": "lisi", "taker": "wangwu", **more})
    assert answer.status_code == 422
    assert words in answer.text
    assert fresh.shop.rows(Handover) == []


def test_what_was_not_sent_yet_is_called_off(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    answer = boss.post(f"{HERE}/new", {"giver": "lisi", "taker": "wangwu"})
    there = answer.headers["Location"]
    assert "取消没发出的" in boss.get(there).text
    assert "已取消；1 位" in boss.post(f"{there}/cancel", follow_redirects=True).text
    assert "已经结束" in boss.post(f"{there}/cancel", follow_redirects=True).text
    fresh.shop.catch_up()
    assert "移交已取消" in boss.get(there).text
    assert [row.state for row in fresh.shop.rows(OutboxRow, OutboxRow.name.contains("Transfer"))] == ["dropped"]


def test_a_manager_hands_over_below_them_and_sees_no_other_plan(fresh: Counter) -> None:
    manager = fresh.visitor("zhaoliu")
    assert manager.get(f"{HERE}/new?giver=lisi").status_code == 404
    assert manager.post(f"{HERE}/new", {"giver": "lisi", "taker": "zhaoliu"}).status_code == 404
    page = manager.get(f"{HERE}/new").text
    assert "孙七" in page
    assert "李四" not in page
    form = manager.get(f"{HERE}/new?giver=sunqi").text
    assert 'value="zhaoliu"' in form
    assert 'value="wangwu"' not in form
    answer = manager.post(f"{HERE}/new", {"giver": "sunqi", "taker": "wangwu"})
    assert (answer.status_code, "没有这位成员" in answer.text) == (422, True)
    own = begin(fresh, by="zhaoliu", giver="sunqi", taker="zhaoliu")
    assert manager.get(own).status_code == 200
    others = begin(fresh)
    assert manager.get(others).status_code == 404
    assert manager.post(f"{others}/cancel").status_code == 404
    assert "王五" not in manager.get(HERE).text


@pytest.mark.parametrize("userid", ["wangwu", "lisi"])
def test_operators_and_reps_hand_nobody_over(fresh: Counter, userid: str) -> None:
    visitor = fresh.visitor(userid)
    assert visitor.get(HERE).status_code == 404
    assert visitor.post(f"{HERE}/new", {"giver": "lisi", "taker": "wangwu"}).status_code == 404
    assert "离职与在职交接" not in visitor.get("/customers").text

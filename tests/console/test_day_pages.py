"""The day list in the console: whose it is, what can be done on it, and the shop's numbers."""

import re

from outreach import cards
from outreach.budget import Rules
from outreach.cards import Draft
from people import rep_rules
from storage.tables import Member, RepCard
from tests.console.acting import Counter

RULES = {
    "starts": "08:00",
    "ends": "18:00",
    "morning": "08:30",
    "late": "11:00",
    "most": "3",
    "gap_days": "0",
    "rest_days": "7",
    "working_days": "1",
}


def card(counter: Counter, rep: str, once: str, **more: object) -> int:
    with counter.shop.work() as work:
        given = {"kind": "journey", "source": once, "because": f"原因{once}", "text": f"要发的话{once}", **more}
        draft = Draft(rep, counter.people[rep], once=once, due_at=work.now, asks_to_write=False, **given)  # type: ignore[arg-type]
        made = cards.make(work, draft, Rules())
        assert made.card is not None
        return made.card.id


def test_a_rep_sees_her_own_list_and_a_manager_that_of_reps_below(counter: Counter) -> None:
    card(counter, "lisi", "甲")
    card(counter, "sunqi", "乙")
    own = counter.visitor("lisi").get("/day").text
    assert "要发的话甲" in own
    assert "旅程安排的一步" in own
    assert "看谁的清单" not in own
    assert "要发的话乙" not in own
    below = counter.visitor("zhaoliu").get("/day?rep=sunqi").text
    assert "要发的话乙" in below
    assert "已处理</button>" not in below
    assert counter.visitor("zhaoliu").get("/day?rep=lisi").status_code == 404
    assert counter.visitor("lisi").get("/day?rep=sunqi").status_code == 404
    assert "要发的话甲" in counter.visitor("zhangsan").get("/day?rep=lisi").text
    assert "A step of a journey" in counter.visitor("lisi").get("/day?lang=en").text


def test_heading_and_picker_agree_on_whose_list_is_shown(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    for asked, heading, chosen in (("", "我的清单", ""), ("?rep=lisi", "李四 的清单", "lisi")):
        page = boss.get(f"/day{asked}").text
        assert f"<h1>{heading}</h1>" in page
        assert f"<title>{heading}" in page
        assert re.findall(r'<option value="(\w*)" selected>', page) == [chosen]
    with counter.shop.work() as work:
        work.db.get_one(Member, "lisi").serves = False
    page = boss.get("/day?rep=lisi").text
    assert re.findall(r'<option value="(\w*)" selected>', page) == ["lisi"]
    with counter.shop.work() as work:
        work.db.get_one(Member, "lisi").serves = True


def test_days_in_reasons_are_said_in_the_language_of_the_page(counter: Counter) -> None:
    card(counter, "sunqi", "加", kind="new", because="11月25日加的你，还没聊过")
    boss = counter.visitor("zhangsan")
    assert "11月25日加的你，还没聊过" in boss.get("/day?rep=sunqi").text
    assert "Added you on 25 Nov, not spoken to yet" in boss.get("/day?rep=sunqi&lang=en").text


def test_cards_are_closed_by_their_rep_alone_and_it_is_noted(counter: Counter) -> None:
    numbers = {how: card(counter, "lisi", how) for how in ("done", "later", "irrelevant")}
    boss, rep = counter.visitor("zhangsan"), counter.visitor("lisi")
    for how, number in numbers.items():
        assert boss.post(f"/day/cards/{number}/{how}", {"at": "明天上午十点"}).status_code == 404
        assert rep.post(f"/day/cards/{number}/{how}", {"at": "随便"}).status_code == 303
    assert "没看懂这个时间" in rep.get("/day").text
    rep.post(f"/day/cards/{numbers['later']}/later", {"at": "明天上午十点"})
    assert "到时候再出现在清单里" in rep.get("/day").text
    states = {one.id: one.state for one in counter.shop.rows(RepCard)}
    assert [states[one] for one in numbers.values()] == ["done", "snoozed", "irrelevant"]
    assert [len(counter.audit(f"card.{one}")) for one in ("done", "snoozed", "irrelevant")] == [1, 1, 1]


def test_the_numbers_are_changed_by_who_may_and_mistakes_are_named(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert counter.visitor("lisi").post("/day/rules", RULES).status_code == 404
    for name, wrong, told in (
        ("ends", "07:00", "下班要晚于上班"),
        ("most", "0", "应是 1–100 的整数"),
        ("most", "x", "请填一个整数"),
        ("morning", "25:00", "请写成 09:30 这样"),
    ):
        answer = boss.post("/day/rules", {**RULES, name: wrong})
        assert (answer.status_code, told in answer.text, f'value="{wrong}"' in answer.text) == (422, True, True)
    assert boss.post("/day/rules", RULES).status_code == 303
    with counter.shop.db() as db:
        set_now = rep_rules.rules(db)
    assert (set_now.starts.hour, set_now.most, set_now.gap_days, set_now.working_days) == (8, 3, 0, True)
    assert "08:30 发清单" in counter.visitor("lisi").get("/day").text
    assert set_now.occasions is False
    counter.shop.advance(minutes=11)
    counter.shop.tick()
    assert ("make cards", "occasions make no cards") in counter.shop.jobs_run
    assert len(counter.audit("rep_day.rules")) == 1

"""A rep's list: in which order, once for each customer, and no more than the day holds."""

from datetime import timedelta

import pytest

from outreach import cards, day_list, day_words
from outreach.day_list import DayList
from people import persons, rep_rules, tasks
from people.rep_rules import RepRules, WrongRules
from storage.tables import Conversation, KfAccount, MassTask, Person, RepCard
from tests.outreach.test_cards import RULES, customer, draft
from tests.shop import Shop


def card(shop: Shop, person_id: int, kind: str, once: str, rank: int = 50) -> int:
    with shop.work() as work:
        made = cards.make(work, draft(shop, person_id, once, kind=kind, rank=rank, asks_to_write=False), RULES)
        assert made.card is not None
        return made.card.id


def chat(shop: Shop, person_id: int, external: str, servicer: str = "lisi", **more: object) -> None:
    with shop.db() as db:
        db.merge(KfAccount(open_kfid="wk1", name="豆子客服"))
        db.flush()
        row = Conversation(open_kfid="wk1", external_userid=external, person_id=person_id, state=3, servicer=servicer)
        row.last_at = row.last_customer_at = shop.now() - timedelta(minutes=12)
        for name, value in more.items():
            setattr(row, name, value)
        db.add(row)


def listed(shop: Shop, userid: str = "lisi") -> DayList:
    with shop.work() as work:
        return day_list.of(work, userid)


def names(found: DayList) -> list[str]:
    return [one.person.name if one.person is not None else "" for one in found.entries]


def test_the_list_stands_in_the_stated_order_and_says_why(shop: Shop) -> None:
    people = {
        name: customer(shop, f"wm{name}", name=name) for name in ("静", "旅", "旅二", "新", "客服", "待办", "点开")
    }
    card(shop, people["静"], "quiet", "1")
    card(shop, people["旅"], "journey", "2", rank=10)
    card(shop, people["旅二"], "unheard_of", "3", rank=90)
    card(shop, people["新"], "new", "4")
    card(shop, people["点开"], "opened", "5")
    card(shop, people["待办"], "quiet", "6")
    chat(shop, people["客服"], "wm客服")
    with shop.work() as work:
        person = work.db.get_one(Person, people["待办"])
        tasks.make(work, "lisi", "寄豆子", work.now + timedelta(hours=1), person=person, once="a")
        tasks.make(work, "lisi", "盘点", work.now + timedelta(hours=2), once="b")
        tasks.make(work, "lisi", "后天的事", work.now + timedelta(days=2), once="c")
        work.db.add(MassTask(key="k", source="broadcast:1", userid="lisi", size=31, state="made", due_at=work.now))
        work.db.add(MassTask(key="l", source="broadcast:1", userid="wangwu", size=31, state="made", due_at=work.now))
    found = listed(shop)
    assert names(found) == ["客服", "待办", "", "点开", "旅二", "旅", "新", "静"]
    assert (len(found.mass), found.mass_people) == (1, 31)
    assert [one.kind for one in found.entries[1].reasons] == ["due", "quiet"]
    assert found.entries[0].why_here == "客户在微信客服里等你回复"
    with shop.work() as work:
        lines = day_words.in_bot(work, found)
    assert lines[0] == "1 个群发待确认（共 31 位），请到企业微信的群发助手里发送"
    assert lines[2] == "1. 客服：在微信客服里等了 12 分钟"
    assert lines[3].startswith("2. 待办：#1 11月22日（周日）19:00 寄豆子")
    assert lines[-2] == "……还有 1 位，打开侧边栏看"
    assert not listed(shop, "zhangsan")


def test_a_chat_that_is_answered_or_out_of_time_or_anothers_is_not_hers(shop: Shop) -> None:
    for number, more in enumerate(
        ({"answered_at": shop.now()}, {"last_customer_at": shop.now() - timedelta(hours=49)}, {"state": 4})
    ):
        chat(shop, customer(shop, f"wm{number}"), f"wm{number}", **more)
    chat(shop, customer(shop, "wm9"), "wm9", servicer="wangwu")
    assert not listed(shop)


def test_cards_are_capped_a_day_and_a_customer_dealt_with_rests(shop: Shop) -> None:
    with shop.work() as work:
        rep_rules.set_rules(work, RepRules(most=2), by="boss")
    people = [customer(shop, f"wm{number}", name=f"客{number}") for number in range(3)]
    numbers = [card(shop, one, "journey", f"c{one}") for one in people]
    card(shop, people[0], "quiet", "second reason")
    assert (names(listed(shop)), listed(shop).left) == (["客0", "客1"], 1)
    with shop.work() as work:
        cards.done(work, work.db.get_one(RepCard, numbers[0]), by="lisi")
    found = listed(shop)
    assert (names(found), found.left, found.dealt_with) == (["客1"], 1, 1)
    shop.advance(days=1)
    assert names(listed(shop)) == ["客1", "客2"]
    with shop.work() as work:
        rep_rules.set_rules(work, RepRules(most=9, gap_days=3), by="boss")
    assert names(listed(shop)) == ["客1", "客2"]
    shop.advance(days=2)
    assert names(listed(shop)) == ["客1", "客2", "客0"]


def test_nobody_else_s_customer_is_named(shop: Shop) -> None:
    with shop.work() as work:
        stranger = persons.person_of(work, "wm77")
        stranger.name = "别人的客户"
        tasks.make(work, "lisi", "问问", work.now + timedelta(hours=1), person=stranger, once="a")
    assert names(listed(shop)) == [""]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"starts": "21:00"}, "ends"),
        ({"morning": "22:00"}, "morning"),
        ({"late": "09:00"}, "late"),
        ({"most": 0}, "most"),
    ],
)
def test_wrong_numbers_are_refused_by_name(shop: Shop, wrong: dict[str, object], field: str) -> None:
    read = {name: rep_rules._read(value) for name, value in wrong.items()}
    with shop.work() as work, pytest.raises(WrongRules) as refused:
        rep_rules.set_rules(work, RepRules(**read), by="boss")
    assert field in refused.value.faults

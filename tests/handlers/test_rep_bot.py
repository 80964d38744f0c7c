"""The bot for reps: each thing one can say to it, from the callback to the rep's screen."""

import pytest

from handlers import rep_commands
from people import joining, persons, sign_in
from storage.tables import AuditRow, Interaction, Member, OutboxRow, Person, PersonTag, RuleHit, ShopOrder, Task
from tagging import rules
from tagging.rules import Draft
from tests.console.own import address_of, award
from tests.reps import AGENT, customer, last_card, press, told, write
from tests.shop import Shop, event_xml


def notes(shop: Shop) -> list[tuple[int, str]]:
    return [(one.person_id, one.details["text"]) for one in shop.rows(Interaction, Interaction.kind == "note")]


def key_of(shop: Shop, external_userid: str) -> str:
    with shop.work() as work:
        person = persons.find_person(work.db, persons.EXTERNAL, external_userid)
        assert person is not None
        return persons.public_id(person.id)


# --- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["找 小雨", "找小雨", "小雨", "　小雨　", "查一下 小雨", "找：小雨", "老客", "8000", "８０００", "找 8000"]
)
def test_a_customer_is_found_however_they_are_called(shop: Shop, said: str) -> None:
    customer(shop, "小雨", remark="老客小雨", phone="13800008000")
    customer(shop, "阿哲", phone="13800009000")
    assert told(shop, said).startswith("小雨（老客小雨）\n")


def test_a_name_may_begin_with_the_word_that_asks_for_it(shop: Shop) -> None:
    customer(shop, "查理")
    assert told(shop, "查理").startswith("查理\n")
    assert told(shop, "查查理").startswith("查理\n")


def test_part_of_a_phone_number_finds_nobody(shop: Shop) -> None:
    customer(shop, "小雨", phone="13800008000")
    assert "没有找到" in told(shop, "找 800")
    assert "没有找到" in told(shop, "1380")


def test_somebody_elses_customer_looks_like_nobody(shop: Shop) -> None:
    customer(shop, "小雨", "wangwu", phone="13800008000")
    for said in ("找 小雨", "8000", "备注 小雨 喜欢手冲", "转发 小雨：多少钱"):
        assert told(shop, said).startswith("在你的客户里没有找到“")
    nobody = told(shop, "找 没有的人").replace("没有的人", "小雨")
    assert told(shop, "找 小雨") == nobody
    assert "没有认出是哪位客户" in told(shop, "明天提醒我联系小雨")
    assert notes(shop) == []


def test_a_manager_sees_those_below_and_whoever_has_no_role_only_their_own(shop: Shop) -> None:
    customer(shop, "小雨", "sunqi")
    assert "没有找到" in told(shop, "小雨", "zhaoliu")
    with shop.work() as work:
        sign_in.add_user(work.db, "zhaoliu", "manager", work.now)
        sign_in.add_user(work.db, "zhangsan", "boss", work.now)
    assert told(shop, "小雨", "zhaoliu").startswith("小雨\n")
    assert told(shop, "小雨", "zhangsan").startswith("小雨\n")
    assert "没有找到" in told(shop, "小雨", "wangwu")


def test_who_is_no_member_or_has_left_learns_nothing(shop: Shop) -> None:
    customer(shop, "小雨")
    with shop.db() as db:
        db.get_one(Member, "lisi").left_at = shop.now()
    told_lisi = told(shop, "小雨")
    assert "小雨" not in told_lisi
    assert "联系管理员" in told_lisi
    with shop.db() as db:
        db.delete(db.get_one(Member, "sunqi"))
    assert "联系管理员" in told(shop, "今天", "sunqi")


# --- the choice ------------------------------------------------------------------------------------------------------


def test_of_several_the_rep_chooses_and_what_was_asked_goes_on_with_that_one(shop: Shop) -> None:
    first = customer(shop, "小雨", remark="一楼小雨", phone="13800008000")
    second = customer(shop, "小雨", remark="二楼小雨", phone="13900009000")
    card = told(shop, "备注 小雨 喜欢手冲")
    assert "你说的是哪位？" in card
    assert "小雨（一楼小雨） · 11月22日添加 · 138****8000" in card
    assert "小雨（二楼小雨） · 11月22日添加 · 139****9000" in card
    assert notes(shop) == []
    assert press(shop, key_of(shop, second)) == ["已给小雨记下备注：喜欢手冲"]
    (one,) = notes(shop)
    assert f"p_{one[0]}" == key_of(shop, second) != key_of(shop, first)
    assert last_card(shop)["updated"] == {"button": {"replace_name": "已选 小雨"}}


def test_the_second_press_does_nothing_and_is_answered(shop: Shop) -> None:
    first, second = customer(shop, "小雨"), customer(shop, "小雨")
    write(shop, "备注 小雨 喜欢手冲")
    press(shop, key_of(shop, first))
    assert press(shop, key_of(shop, second)) == ["这张卡片已经选过了，没有再做一次。"]
    assert press(shop, key_of(shop, first)) == ["这张卡片已经选过了，没有再做一次。"]
    assert len(notes(shop)) == 1


def test_a_card_older_than_three_days_does_nothing_and_is_answered(shop: Shop) -> None:
    first, _ = customer(shop, "小雨"), customer(shop, "小雨")
    write(shop, "备注 小雨 喜欢手冲")
    shop.advance(hours=73)
    assert press(shop, key_of(shop, first)) == ["这张卡片已过期，什么都没有做。请重新发一次。"]
    assert notes(shop) == []


def test_a_customer_who_went_to_somebody_else_meanwhile_cannot_be_chosen(shop: Shop) -> None:
    first, _ = customer(shop, "小雨"), customer(shop, "小雨")
    write(shop, "备注 小雨 喜欢手冲")
    shop.world.transfer("lisi", "wangwu", first)
    shop.catch_up()
    (answer,) = press(shop, key_of(shop, first))
    assert "没有找到" in answer
    assert notes(shop) == []


@pytest.mark.parametrize(
    ("task_id", "key"), [("pick-1-0000000000000000", "p_1"), ("other-7", "p_1"), ("pick-1-zz", "yes"), ("", "")]
)
def test_a_button_we_do_not_know_does_nothing_and_is_answered(shop: Shop, task_id: str, key: str) -> None:
    fields = {
        "FromUserName": "lisi",
        "EventKey": key,
        "TaskId": task_id,
        "ResponseCode": "r",
        "CardType": "button_interaction",
    }
    shop.post(event_xml("template_card_event", CreateTime="1", AgentID=str(AGENT), **fields))
    shop.catch_up()
    assert "什么都没有做" in shop.world.inbox_of("lisi")[-1].content["content"]


def test_nobody_can_press_anothers_card(shop: Shop) -> None:
    first, _ = customer(shop, "小雨"), customer(shop, "小雨")
    write(shop, "备注 小雨 喜欢手冲")
    task_id = last_card(shop)["task_id"]
    fields = {"FromUserName": "wangwu", "EventKey": key_of(shop, first), "TaskId": task_id, "ResponseCode": "r"}
    shop.post(event_xml("template_card_event", CreateTime="1", AgentID=str(AGENT), **fields))
    shop.catch_up()
    assert shop.world.inbox_of("wangwu")[-1].content["content"] == "这个按钮我不认识，什么都没有做。"
    assert notes(shop) == []


def test_more_than_six_are_cut_to_six_and_the_rest_is_counted(shop: Shop) -> None:
    for _ in range(8):
        customer(shop, "小雨")
    assert "还有 2 位没列出" in told(shop, "小雨")
    assert len(last_card(shop)["button_list"]) == 6


# --- writing down ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "备注 小雨 喜欢手冲",
        "备注小雨喜欢手冲",
        "记一下 小雨，喜欢手冲",
        "加备注：小雨：喜欢手冲",
        "备注　小雨　喜欢手冲",
    ],
)
def test_a_note_is_written_however_it_is_said(shop: Shop, said: str) -> None:
    customer(shop, "小雨")
    assert told(shop, said) == "已给小雨记下备注：喜欢手冲"
    ((_, text),) = notes(shop)
    assert text == "喜欢手冲"
    assert shop.rows(AuditRow)[-1].action == "person.note"


def test_a_name_with_a_blank_and_one_within_another_are_told_apart(shop: Shop) -> None:
    customer(shop, "Li Lei")
    customer(shop, "小雨点")
    customer(shop, "小雨")
    assert told(shop, "备注 li lei 周末来") == "已给Li Lei记下备注：周末来"
    assert told(shop, "备注 小雨点 要糖") == "已给小雨点记下备注：要糖"
    assert told(shop, "备注 小雨 点心要甜的") == "已给小雨记下备注：点心要甜的"


def test_half_a_name_never_gets_a_note_without_asking(shop: Shop) -> None:
    rain = customer(shop, "小雨点")
    assert "你说的是哪位？" in told(shop, "备注 小雨 喜欢手冲")
    assert notes(shop) == []
    press(shop, key_of(shop, rain))
    assert [text for _, text in notes(shop)] == ["喜欢手冲"]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("备注", "是哪位客户"),
        ("备注 小雨", "要给小雨记什么"),
        ("标签", "是哪位客户"),
        ("标签 小雨", "要给小雨打什么标签"),
        ("提醒我", "什么时候提醒"),
        ("明天提醒我", "提醒做什么"),
        ("昨天提醒我联系小雨", "已经过去"),
        ("完成", "请写上编号"),
        ("推迟 99999", "没有编号 99999"),
        ("转发 小雨", "小雨说了什么"),
        ("明天", "看出了时间“明天”"),
        ("上一条 小雨", "前一个小时里没有"),
        ("备注 小雨 " + "长" * 2001, "1–2000"),
        ("提醒我" + "长" * 300 + " 明天", "1–200"),
    ],
)
def test_what_is_missing_is_asked_for_with_an_example(shop: Shop, said: str, answer: str) -> None:
    customer(shop, "小雨")
    assert answer in told(shop, said)
    assert notes(shop) == []
    assert shop.rows(Task) == []


@pytest.mark.parametrize(
    "said", ["标签 小雨 意向/问价", "标签 小雨 问价", "打标签 小雨 问价", "加标签小雨问价", "标签 小雨 意向／问价"]
)
def test_a_tag_is_given_however_it_is_said(shop: Shop, said: str) -> None:
    shop.world.console_tags("意向", ("问价", "复购"))
    external = customer(shop, "小雨")
    assert told(shop, said) == "已给小雨打上：意向/问价"
    assert shop.world.tag_names(shop.world.relation("lisi", external)) == ["问价"]
    (row,) = shop.rows(PersonTag)
    assert (row.source, row.actor, row.because) == ("manual", "lisi", "李四手动添加")
    assert told(shop, said) == "小雨原来就有：意向/问价"


def test_tags_that_are_unknown_or_not_clear_are_not_given(shop: Shop) -> None:
    shop.world.console_tags("意向", ("问价", "复购"))
    shop.world.console_tags("售后", ("问价",))
    customer(shop, "小雨")
    assert "没有标签“问价格”，没有打。相近的有：售后/问价、意向/问价" in told(shop, "标签 小雨 问价格")
    assert "不止一个：售后/问价、意向/问价" in told(shop, "标签 小雨 问价")
    assert "没有标签“没有的”" in told(shop, "标签 小雨 复购 没有的")
    assert shop.rows(PersonTag) == []
    assert told(shop, "标签 小雨 复购、售后/问价") == "已给小雨打上：意向/复购、售后/问价"


# --- the customer's words --------------------------------------------------------------------------------------------


@pytest.fixture
def asked_for_price(shop: Shop) -> Shop:
    draft = Draft("问价", definition={"any_keywords": ["多少钱"]}, tags=(("意向", "问价"),))
    with shop.work() as work:
        rules.create(work, draft, by="boss")
    customer(shop, "小雨")
    return shop


@pytest.mark.parametrize(
    "said",
    [
        "转发 小雨：多少钱一斤",
        "转发小雨:多少钱一斤",
        "转发 小雨\n多少钱一斤",
        "小雨\n多少钱一斤",
        "小雨@微信 11-26 15:03:22\n多少钱一斤",
        "客户说 小雨 多少钱一斤",
    ],
)
def test_words_that_are_passed_on_tag_their_customer(asked_for_price: Shop, said: str) -> None:
    shop = asked_for_price
    assert told(shop, said) == "已记下小雨的原话。打上了：意向/问价"
    (line,) = shop.rows(Interaction, Interaction.kind == "forwarded")
    assert (line.userid, line.details["text"]) == ("lisi", "多少钱一斤")
    (hit,) = shop.rows(RuleHit)
    assert (hit.evidence["where"], hit.evidence["interaction"]) == ("forwarded", line.id)


def test_words_without_a_rule_are_kept_and_that_is_said(asked_for_price: Shop) -> None:
    assert told(asked_for_price, "转发 小雨：明天来取") == "已记下小雨的原话。没有命中打标签的规则。"
    assert told(asked_for_price, "转发 小雨：多少钱") == "已记下小雨的原话。打上了：意向/问价"
    assert told(asked_for_price, "转发 小雨：多少钱啊") == "已记下小雨的原话。命中的标签原来就有。"


def test_a_message_passed_on_without_a_name_gets_one_afterwards(asked_for_price: Shop) -> None:
    shop = asked_for_price
    assert "上一条 客户名" in told(shop, "你们那个耶加雪菲的豆子现在一斤到底是多少钱呀，我想先买两斤试试看味道")
    told(shop, "小雨")
    assert told(shop, "上一条 小雨") == "已记下小雨的原话。打上了：意向/问价"
    (line,) = shop.rows(Interaction, Interaction.kind == "forwarded")
    assert line.details["text"].startswith("你们那个")


def test_a_short_message_passed_on_is_no_name_and_can_be_given_to_its_customer_too(asked_for_price: Shop) -> None:
    assert "上一条 客户名" in told(asked_for_price, "多少钱")
    assert "打上了：意向/问价" in told(asked_for_price, "上一条是小雨说的")


def test_of_copied_messages_only_the_customers_are_kept(asked_for_price: Shop) -> None:
    copied = "小雨@微信 11-26 15:03:22\n在吗\n\n李四 11-26 15:03:40\n多少钱都可以\n\n小雨@微信 11-26 15:04:00\n明天来"
    assert "没有命中" in told(asked_for_price, copied)
    (line,) = asked_for_price.rows(Interaction, Interaction.kind == "forwarded")
    assert "多少钱" not in line.details["text"]
    assert "明天来" in line.details["text"]


# --- binding ---------------------------------------------------------------------------------------------------------


def test_a_customer_of_a_till_is_bound_by_number_when_it_is_said_twice(shop: Shop) -> None:
    customer(shop, "小雨")
    with shop.work() as work:
        place = joining.person_by(work, "phone", "13911112222", verified=True, source="pos", at=work.now)
        assert place is not None
        work.db.add(ShopOrder(source="pos", order_no="A1", person_id=place[0], anchor_id=place[1], paid_at=work.now,
                              amount=1000, digest="d", received_at=work.now))  # fmt: skip
    asked = told(shop, "绑定 小雨 139 1111 2222")
    assert asked.startswith("139****2222 有 1 笔订单")
    assert asked.endswith("确认请再发：绑定 小雨 13911112222 确认")
    assert len(shop.rows(Person, Person.merged_into.is_(None))) == 2
    assert told(shop, "绑定 小雨 13911112222 确认").startswith("已绑定，小雨的订单看得到了")
    (head,) = shop.rows(Person, Person.merged_into.is_(None))
    assert {one.person_id for one in shop.rows(ShopOrder)} == {head.id}
    assert "哪个手机号" in told(shop, "绑定 小雨 随便")
    assert [one.actor for one in shop.rows(AuditRow, AuditRow.action == "customer.bind")] == ["lisi"]


# --- tasks, today, help ----------------------------------------------------------------------------------------------


def test_a_task_is_made_put_off_and_done_by_its_number(shop: Shop) -> None:
    customer(shop, "小雨")
    told(shop, "下周三上午十点提醒我给小雨寄豆子")
    (task,) = shop.rows(Task)
    assert (task.text, task.userid) == ("给小雨寄豆子", "lisi")
    assert task.person_id == shop.rows(Person)[0].id
    assert told(shop, f"推迟 {task.id} 到明天上午十点").startswith(f"好，#{task.id} 改到 11月23日（周一）10:00")
    assert told(shop, f"推迟{task.id} 半小时").startswith(f"好，#{task.id} 改到 11月22日（周日）18:30")
    assert "推迟到什么时候" in told(shop, f"推迟 {task.id} 到有空")
    assert told(shop, f"{task.id} 完成") == f"已完成 #{task.id} 给小雨寄豆子"
    assert "早就完成了" in told(shop, f"完成#{task.id}")


def test_anothers_task_looks_like_none(shop: Shop) -> None:
    told(shop, "明天提醒我盘点", "wangwu")
    (task,) = shop.rows(Task)
    for said in (f"完成 {task.id}", f"推迟 {task.id} 到后天"):
        assert told(shop, said) == f"你没有编号 {task.id} 的待办。"
    assert shop.rows(Task)[0].state == "open"


def test_a_reminder_about_two_of_one_name_waits_for_the_choice_and_counts_from_when_it_was_said(shop: Shop) -> None:
    first, _ = customer(shop, "小雨"), customer(shop, "小雨")
    assert "你说的是哪位？" in told(shop, "一小时后提醒我联系小雨")
    shop.advance(minutes=30)
    (answer,) = press(shop, key_of(shop, first))
    assert answer.startswith("好，11月22日（周日）19:00 提醒你：联系小雨")
    write(shop, "一小时后提醒我联系小雨")
    shop.advance(hours=2)
    assert press(shop, key_of(shop, first)) == ["“一小时后”已经过去了，没有设提醒。"]


def test_today_lists_what_is_new_unfinished_and_due(shop: Shop) -> None:
    assert told(shop, "今天") == "11月22日（周日）\n今天还没有新客户\n今天没有到期的待办"
    shop.world.half_add, shop.world.half_delay = True, None
    channel = shop.channel(members=("lisi",))
    shop.world.scan(channel.code, name="阿哲")
    shop.catch_up()
    shop.world.half_add = False
    customer(shop, "小雨")
    customer(shop, "别人的", "wangwu")
    told(shop, "今晚提醒我联系小雨")
    told(shop, "后天提醒我盘点")
    listed = told(shop, "今天？")
    assert "新客户 2 位：" in listed
    assert "别人的" not in listed
    assert "：对方已加你，等你通过" in listed
    assert "到期的待办：\n#" in listed
    assert "20:00 联系小雨" in listed
    assert "之后的待办：\n#" in listed


def test_the_card_tells_what_to_do_next(shop: Shop) -> None:
    customer(shop, "小雨")
    assert "下一步 欢迎语没发出去，可以先打个招呼" in told(shop, "小雨")
    shop.advance(days=3)
    assert "下一步 没有没做完的事" in told(shop, "小雨")
    told(shop, "明天提醒我给小雨寄豆子")
    told(shop, "备注 小雨 喜欢手冲")
    card = told(shop, "小雨")
    assert "11月26日（周四）09:00 给小雨寄豆子" in card
    assert "最近 11月25日有了新备注" in card


def test_help_lists_everything_one_can_say(shop: Shop) -> None:
    for said in ("帮助", "？", "help", "帮助！"):
        answer = told(shop, said)
        assert all(row.example in answer for row in rep_commands.TABLE)
    assert shop.world.inbox_of("lisi")[-1].msgtype == "markdown"
    assert len(answer.encode()) <= 2048


# --- what WeCom does to us -------------------------------------------------------------------------------------------


def test_a_message_that_comes_twice_is_answered_once(shop: Shop) -> None:
    customer(shop, "小雨")
    write(shop, "备注 小雨 喜欢手冲")
    many = len(shop.world.inbox_of("lisi"))
    shop.deliverer.redeliver(shop.world.events[-1].id)
    shop.catch_up()
    assert len(shop.world.inbox_of("lisi")) == many
    assert len(notes(shop)) == 1


@pytest.mark.parametrize("kind", ["image", "voice", "video", "location", "link", "file", "poem"])
def test_what_is_no_text_is_kept_and_answered_with_a_hint(shop: Shop, kind: str) -> None:
    for _ in range(3):
        shop.world.member_sends("lisi", AGENT, kind, {"MediaId": "m"})
    shop.catch_up()
    (hint,) = shop.world.inbox_of("lisi")
    assert "只看得懂文字" in hint.content["content"]


def test_forty_answers_in_a_row_all_arrive_and_never_thirty_in_a_minute(shop: Shop) -> None:
    for number in range(40):
        shop.world.member_writes("lisi", f"找 第{number}位", AGENT)
    for _ in range(60):
        shop.catch_up()
        shop.advance(seconds=4)
    inbox = shop.world.inbox_of("lisi")
    assert [f"第{number}位" in one.content["content"] for number, one in enumerate(inbox)] == [True] * 40
    times = [one.at for one in inbox]
    assert max(sum(0 <= at - start < 60 for at in times) for start in times) <= 27
    assert {one.state for one in shop.rows(OutboxRow, OutboxRow.name == "TellRep")} == {"done"}


def test_an_answer_of_which_nobody_knows_whether_it_arrived_is_not_sent_again(shop: Shop) -> None:
    write(shop, "找 甲")
    shop.world.faults.reset_after_effect = 1.0
    shop.world.member_writes("lisi", "找 谁", AGENT)
    shop.catch_up()
    shop.world.faults.reset_after_effect = 0.0
    shop.advance(hours=1)
    shop.tick()
    assert [one.state for one in shop.rows(OutboxRow, OutboxRow.name == "TellRep")] == ["done", "held"]
    assert len(shop.world.inbox_of("lisi")) == 2


def test_hostile_names_are_no_links_and_break_no_lines(shop: Shop) -> None:
    customer(shop, "<a>领奖</a>\n{name}%s", remark="\u202e倒\u200b着")
    card = told(shop, "领奖")
    assert "<a" not in card
    assert "\u202e" not in card
    assert "{name}%s" in card.splitlines()[0]
    assert "<a" not in told(shop, "备注 领奖 试试")


def test_the_longest_of_everything_keeps_within_wecoms_limits(shop: Shop) -> None:
    shop.world.console_tags("组" * 15, [f"{number:02}" + "签" * 20 for number in range(9)])
    name = "😀名" * 15
    customer(shop, name, remark="备" * 20)
    for number in range(9):
        told(shop, f"标签 {name} {number:02}{'签' * 20}")
        told(shop, f"明天提醒我找{name}{'做' * 90}{number}")
        shop.advance(minutes=2)
    for said in (name, "今天"):
        told(shop, said)
    shop.advance(hours=24)
    shop.tick()
    for message in shop.world.inbox_of("lisi"):
        content = message.content
        assert len(str(content.get("content", "")).encode()) <= 2048
        assert len(str(content.get("title", "")).encode()) <= 128
        assert len(str(content.get("description", "")).encode()) <= 512
        assert "\ufffd" not in str(content)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "   ",
        "！！！",
        "\u200b",
        "😀" * 400,
        "小雨\n\n\n",
        "a" * 2000,
        "%s {0} {name}",
        "完成 " + "9" * 30,
        "推迟 1 到 " + "9" * 30,
        "标签 / /",
    ],
)
def test_whatever_is_typed_is_answered_once_and_changes_nothing(shop: Shop, said: str) -> None:
    assert len(write(shop, said)) == 1
    assert shop.rows(Task) == []
    assert notes(shop) == []
    assert shop.rows(OutboxRow, OutboxRow.state == "refused") == []


def test_a_rep_hears_of_the_points_of_their_own_customer_and_gets_the_address_to_send(shop: Shop) -> None:
    rain = customer(shop, "小雨")
    customer(shop, "阿哲", "wangwu")
    with shop.work() as work:
        person = persons.find_person(work.db, persons.EXTERNAL, rain)
        assert person is not None
        sign_in.add_user(work.db, "lisi", "operator", work.now)
    assert "还没有积分" in told(shop, "积分 小雨")
    award(shop, person.id, 80, days=20)
    answer = told(shop, "积分 小雨")
    assert "积分 80 · 银卡 · 12月12日后过期 80" in answer
    assert f"http://127.0.0.1:8000{address_of(shop, person.id)}" in answer
    assert "积分 80 · 银卡" in told(shop, "小雨")
    assert "不是你的客户" in told(shop, "积分 阿哲"), "an operator sees everybody, points are told of their own"
    assert "积分" not in told(shop, "阿哲")

"""A rep's day with the bot, from the callback to the rep's screen."""

from datetime import timedelta

from storage.tables import Interaction, Person, PersonTag, RepCard, Task, Touch
from tests.reps import spoken, told, write
from tests.shop import Shop


def test_a_rep_finds_a_customer_adds_a_tag_a_note_and_a_reminder_in_four_messages(shop: Shop) -> None:
    channel = shop.channel(members=("lisi",))
    shop.world.console_tags("意向", ("问价", "复购"))
    shop.catch_up()
    arrival = shop.world.scan(channel.code, name="小雨")
    shop.catch_up()

    card = told(shop, "找 小雨")
    assert card.startswith("小雨\n")
    assert "负责人 李四 · 11月22日起 · 渠道 抖音直播间" in card
    assert "抖音（" in card
    (person,) = shop.rows(Person)
    assert card.endswith(f"http://127.0.0.1:8000/customers/p_{person.id}")
    assert told(shop, "标签 小雨 问价") == "已给小雨打上：意向/问价"
    assert told(shop, "备注 小雨 喜欢手冲") == "已给小雨记下备注：喜欢手冲"
    said = told(shop, "明天下午三点提醒我联系小雨")
    assert said.startswith("好，11月23日（周一）15:00 提醒你：联系小雨\n待办 #")
    assert said.endswith("客户：小雨")

    row = shop.world.relation("lisi", arrival.external_userid)
    assert sorted(shop.world.tag_names(row)) == ["抖音", "问价"]
    assert {one.source for one in shop.rows(PersonTag)} == {"channel", "manual"}
    kinds = [one.kind for one in shop.rows(Interaction)]
    assert [kind for kind in kinds if kind in ("tagged", "note", "task")] == ["tagged", "note", "task"]

    shop.advance(hours=20, minutes=59)
    shop.tick()
    assert "【提醒】" not in shop.world.inbox_of("lisi")[-1].content["content"]
    shop.advance(minutes=1, seconds=1)
    shop.tick()
    (task,) = shop.rows(Task)
    reminder = shop.world.inbox_of("lisi")[-1].content["content"]
    assert reminder.splitlines()[:2] == ["【提醒】到时间了：", f"#{task.id} 11月23日（周一）15:00 联系小雨"]
    assert "晚" not in reminder

    many = len(shop.world.inbox_of("lisi"))
    shop.advance(minutes=5)
    shop.tick()
    assert len(shop.world.inbox_of("lisi")) == many
    assert write(shop, f"完成 {task.id}") == [f"已完成 #{task.id} 联系小雨"]
    assert [one.kind for one in shop.rows(Interaction)][-1] == "task_done"


def test_reminders_that_fell_due_while_we_were_away_come_late_together_and_say_so(shop: Shop) -> None:
    for text in ("明天下午三点提醒我联系小雨", "明天下午四点提醒我盘点", "后天晚上八点提醒我寄样品"):
        told(shop, text)
    shop.advance(hours=39)
    before = len(shop.world.inbox_of("lisi"))
    shop.tick()
    (reminder,) = shop.world.inbox_of("lisi")[before:]
    text = reminder.content["content"]
    assert "【提醒】2 件事到时间了" in text
    assert "联系小雨" in text
    assert "盘点" in text
    assert "寄样品" not in text
    assert "其中 2 件发晚了" in text


def test_a_time_outside_the_reps_hours_is_taken_and_said_to_come_later(shop: Shop) -> None:
    said = told(shop, "明天早上七点提醒我开门")
    assert said.startswith("好，11月23日（周一）07:00 提醒你：开门")
    assert said.endswith("那时不在上班时间（09:00–21:00），到 11月23日（周一）09:00 才提醒。")
    (task,) = shop.rows(Task)
    assert told(shop, f"推迟 {task.id} 到明晚十点").endswith("到 11月24日（周二）09:00 才提醒。")


def morning_of(shop: Shop, **when: int) -> None:
    """Go on to a time of the shop's next Monday."""
    local = shop.now().astimezone(shop.parts.zone)
    monday = (local + timedelta(days=7 - local.weekday())).replace(minute=0, second=1, **when)
    shop.advance(seconds=(monday - local).total_seconds())


def cards_told(shop: Shop, userid: str = "lisi") -> list[str]:
    return [spoken(one.msgtype, one.content) for one in shop.world.inbox_of(userid) if one.msgtype == "textcard"]


def test_a_rep_gets_her_list_in_the_morning_once_and_deals_with_it_by_reply(shop: Shop) -> None:
    channel = shop.channel(members=("lisi",))
    for name in ("小雨", "阿明", "老周"):
        shop.world.scan(channel.code, name=name)
    shop.catch_up()
    told(shop, "明天下午三点提醒我盘点")
    morning_of(shop, hour=8)
    shop.tick()
    assert cards_told(shop) == []
    shop.advance(hours=2)
    for _ in range(3):
        shop.tick()
        shop.advance(minutes=1)
    (morning,) = cards_told(shop)
    assert morning.splitlines()[0] == "今天 4 件事"
    assert "盘点" in morning.splitlines()[1]
    assert "小雨：11月22日加的你，还没聊过（K1）" in morning
    assert morning.endswith("http://127.0.0.1:8000/sidebar")

    first, second, third = (f"K{one.id}" for one in shop.rows(RepCard))
    assert f"1. 小雨：11月22日加的你，还没聊过（{first}）" in told(shop, "今天")
    assert told(shop, f"完成 {first}") == "好，小雨这件事记为已处理：11月22日加的你，还没聊过"
    assert told(shop, f"推迟 {second.lower()} 到明天上午十点").startswith("好，阿明这件事 11月24日（周二）10:00 再出现")
    assert told(shop, f"不相关 {third} 是同行").startswith("好，老周这件事不再提")
    assert told(shop, f"{third} 完成") == f"{third} 早就处理过了，或已过期。"
    assert told(shop, "完成 K999") == "你的清单里没有 K999。发“今天”看清单。"
    assert told(shop, f"完成 {first}", "zhangsan") == f"你的清单里没有 {first}。发“今天”看清单。"
    assert told(shop, "不相关").startswith("请写上清单里的卡号")
    assert "清单（" not in told(shop, "今天")
    assert [one.state for one in shop.rows(RepCard)] == ["done", "snoozed", "irrelevant"]
    assert [one.state for one in shop.rows(Touch)] == ["sent", "held", "cancelled"]
    assert shop.rows(RepCard)[2].reason == "是同行"


def test_no_list_comes_on_a_day_off_or_after_noon(shop: Shop) -> None:
    channel = shop.channel(members=("lisi",))
    shop.advance(days=6)
    shop.world.scan(channel.code, name="小雨")
    shop.catch_up()
    shop.advance(hours=16)
    shop.tick()  # Sunday at ten
    assert shop.rows(RepCard) != []
    assert cards_told(shop) == []
    morning_of(shop, hour=12)
    shop.tick()
    assert cards_told(shop) == []
    shop.advance(hours=22)
    shop.tick()
    assert len(cards_told(shop)) == 1

"""A rep's day with the bot, from the callback to the rep's screen."""

from storage.tables import Interaction, Person, PersonTag, Task
from tests.reps import told, write
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
    for text in ("明天下午三点提醒我联系小雨", "明天下午四点提醒我盘点", "后天提醒我寄样品"):
        told(shop, text)
    shop.advance(hours=30)
    before = len(shop.world.inbox_of("lisi"))
    shop.tick()
    (reminder,) = shop.world.inbox_of("lisi")[before:]
    text = reminder.content["content"]
    assert "【提醒】2 件事到时间了" in text
    assert "联系小雨" in text
    assert "盘点" in text
    assert "寄样品" not in text
    assert "其中 2 件发晚了" in text

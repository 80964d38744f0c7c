"""What chats come to, day by day."""

from typing import Any

import pytest

from sandbox.clock import ManualClock
from sandbox.world import World

DAY = 86_400
MIDNIGHT = 1_762_963_200  # 13 November 2025 in Shanghai; the clock of the tests starts at 10:13


def rows(api: Any, first: int, last: int, **who: Any) -> list[dict[str, Any]]:
    body = {"userid": ["lisi"], **who, "start_time": first, "end_time": last}
    found: list[dict[str, Any]] = api.post("externalcontact/get_user_behavior_data", body)["behavior_data"]
    return found


@pytest.fixture
def busy_day(world: World, clock: ManualClock) -> World:
    way = world.make_way(["lisi"], "counter")
    first, second = (world.scan(way.config_id, name).external_userid for name in ("小雨", "阿哲"))
    world.add_by_phone("lisi", "老王")
    world.chat("lisi", first, "在吗", "customer")
    clock.advance(600)
    world.chat("lisi", first, "在的")
    world.chat("lisi", first, "想喝什么")
    world.chat("lisi", second, "有豆子吗", "customer")
    world.customer_deletes("lisi", second)
    return world


def test_a_day_can_be_read_the_next_morning(api: Any, busy_day: World, clock: ManualClock) -> None:
    assert [one["stat_time"] for one in rows(api, MIDNIGHT - DAY, MIDNIGHT)] == [MIDNIGHT - DAY]
    clock.advance(MIDNIGHT + DAY - clock.now() + 5 * 3600)
    api.token = ""
    assert rows(api, MIDNIGHT, MIDNIGHT) == []
    clock.advance(3600)
    assert rows(api, MIDNIGHT, MIDNIGHT + DAY) == [
        {
            "stat_time": MIDNIGHT,
            "chat_cnt": 1,
            "message_cnt": 2,
            "reply_percentage": 50.0,
            "avg_reply_time": 10,
            "negative_feedback_cnt": 1,
            "new_apply_cnt": 1,
            "new_contact_cnt": 3,
        }
    ]


def test_a_day_without_questions_has_nothing_to_say_of_answers(api: Any, world: World) -> None:
    (row,) = rows(api, MIDNIGHT - DAY, MIDNIGHT - DAY)
    assert "reply_percentage" not in row
    assert "avg_reply_time" not in row


def test_members_and_departments_are_summed_up(api: Any, busy_day: World, clock: ManualClock) -> None:
    ext = busy_day.add_by_phone("wangwu", "大鹏").external_userid
    busy_day.chat("wangwu", ext, "你好")
    clock.advance(DAY)
    api.token = ""
    (row,) = rows(api, MIDNIGHT, MIDNIGHT, userid=[], partyid=[2])
    assert (row["chat_cnt"], row["new_contact_cnt"]) == (2, 4)


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"userid": []}, 40058),
        ({"userid": ["nobody"]}, 40003),
        ({"partyid": [99]}, 60123),
        ({"start_time": MIDNIGHT - 31 * DAY}, 40058),
        ({"start_time": MIDNIGHT - 181 * DAY, "end_time": MIDNIGHT - 170 * DAY}, 40058),
        ({"start_time": MIDNIGHT + DAY}, 40058),
    ],
)
def test_a_question_about_days_is_checked(api: Any, change: dict[str, Any], errcode: int) -> None:
    body = {"userid": ["lisi"], "start_time": MIDNIGHT - DAY, "end_time": MIDNIGHT, **change}
    assert api.post("externalcontact/get_user_behavior_data", body)["errcode"] == errcode

"""Mass messages: the corp asks, members confirm, customers receive within their quota."""

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.clock import ManualClock
from sandbox.facts import MASS_NO_FRIEND, MASS_QUOTA, MASS_SENT, MASS_UNSENT, Member
from sandbox.knobs import Habits
from sandbox.world import AGENT_ID, World

DAY, HOUR = 86_400, 3600
BEYOND_DISPATCH = 6
TEXT = {"content": "周五手冲课，来吗"}
Json = dict[str, Any]
LINK: Json = {"msgtype": "link", "link": {"title": "本周豆单", "url": "https://shop.example/beans"}}


@pytest.fixture
def three(world: World) -> list[str]:
    return [world.remember("lisi", name).external_userid for name in ("小雨", "阿哲", "林夕")]


@pytest.fixture
def make(api: Any, clock: ManualClock) -> Callable[..., Json]:
    """Makes a task and waits until it has reached the members."""

    def make(customers: list[str] | None = None, *, wait: float = BEYOND_DISPATCH, **body: Any) -> Json:
        asked = {"external_userid": customers} if customers is not None else {}
        said: Json = api.post("externalcontact/add_msg_template", {"sender": "lisi", "text": TEXT, **asked, **body})
        clock.advance(wait)
        return said

    return make


def members(api: Any, msgid: str) -> list[tuple[str, int]]:
    rows = api.post("externalcontact/get_groupmsg_task", {"msgid": msgid})["task_list"]
    return [(one["userid"], one["status"]) for one in rows]


def results(api: Any, msgid: str, userid: str = "lisi") -> dict[str, int]:
    body = {"msgid": msgid, "userid": userid}
    rows = api.post("externalcontact/get_groupmsg_send_result", body)["send_list"]
    return {one.get("external_userid") or one["chat_id"]: one["status"] for one in rows}


def received(world: World, userid: str, external_userid: str) -> list[str]:
    return [one.text for one in world.chat_of(userid, external_userid) if one.who == "mass"]


# --- making one -------------------------------------------------------------------------------------------------


def test_a_task_sends_nothing_until_the_member_confirms(
    api: Any, world: World, three: list[str], make: Callable[..., Json], clock: ManualClock
) -> None:
    said = make(three)
    assert (said["errcode"], said["fail_list"]) == (0, [])
    assert said["msgid"].startswith("msg")
    assert members(api, said["msgid"]) == [("lisi", 0)]
    assert results(api, said["msgid"]) == dict.fromkeys(three, MASS_UNSENT)
    assert received(world, "lisi", three[0]) == []
    world.confirm_mass("lisi", said["msgid"])
    assert members(api, said["msgid"]) == [("lisi", 2)]
    rows = api.post("externalcontact/get_groupmsg_send_result", {"msgid": said["msgid"], "userid": "LiSi"})["send_list"]
    assert rows[0] == {
        "external_userid": three[0],
        "userid": "lisi",
        "status": MASS_SENT,
        "send_time": int(clock.now()),
    }
    assert all(received(world, "lisi", one) == [TEXT["content"]] for one in three)
    assert {one.receiver for one in world.mass_received()} == set(three)


def test_who_cannot_get_it_is_named_at_once(
    api: Any, world: World, three: list[str], make: Callable[..., Json]
) -> None:
    stranger = world.remember("wangwu", "大鹏").external_userid
    world.member_deletes("lisi", three[1])
    world.limits.mass_quota = "day_1"
    world.member_mass("lisi", "早安", [three[2]])
    said = make([*three, stranger, "wm-nobody", three[0]])
    assert said["fail_list"] == [three[1], three[2], stranger, "wm-nobody"]
    assert results(api, said["msgid"]) == {three[0]: MASS_UNSENT}
    world.limits.mass_quota_at_creation = False
    assert make([three[2]])["fail_list"] == []


def test_nobody_left_is_41048(world: World, make: Callable[..., Json]) -> None:
    assert make(["wm-nobody"])["errcode"] == 41048
    assert make()["errcode"] == 41048
    assert world.mass_tasks == {}


def test_a_customer_who_deleted_the_member_still_counts_and_fails_later(
    api: Any, world: World, three: list[str], make: Callable[..., Json]
) -> None:
    world.customer_deletes("lisi", three[0])
    said = make(three[:2])
    assert said["fail_list"] == []
    world.customer_deletes("lisi", three[1])
    world.confirm_mass("lisi", said["msgid"])
    assert results(api, said["msgid"]) == dict.fromkeys(three[:2], MASS_NO_FRIEND)
    assert list(world.mass_received()) == []


def test_a_sender_alone_means_all_his_customers(api: Any, three: list[str], make: Callable[..., Json]) -> None:
    assert set(results(api, make()["msgid"])) == set(three)


def test_without_a_sender_the_member_with_the_latest_interaction_is_asked(
    api: Any, world: World, make: Callable[..., Json], clock: ManualClock
) -> None:
    shared = world.remember("lisi", "小雨", days_ago=30).external_userid
    world.add_by_phone("wangwu", external_userid=shared)
    alone = world.remember("sunqi", "阿哲").external_userid
    first = make([shared, alone], sender="")
    assert members(api, first["msgid"]) == [("wangwu", 0), ("sunqi", 0)]
    clock.advance(60)
    world.chat("lisi", shared, "在吗", "customer")
    assert members(api, make([shared], sender="")["msgid"]) == [("lisi", 0)]
    world.confirm_mass("wangwu", first["msgid"])
    assert members(api, make([shared], sender="")["msgid"]) == [("lisi", 0)]
    world.customer_deletes("lisi", shared)
    assert members(api, make([shared], sender="")["msgid"]) == [("wangwu", 0)]


def test_tags_choose_one_of_each_group(api: Any, world: World, three: list[str], make: Callable[..., Json]) -> None:
    world.console_tags("口味", ["美式", "拿铁"])
    world.console_tags("到店", ["周末"])
    for one, tags in zip(three, (["美式", "周末"], ["拿铁"], ["周末"]), strict=True):
        world.rep_tags("lisi", one, add=tags)
    taste, visit = [world.tag_id("美式"), world.tag_id("拿铁")], [world.tag_id("周末")]
    chosen = make(tag_filter={"group_list": [{"tag_list": taste}, {"tag_list": visit}]})
    assert set(results(api, chosen["msgid"])) == {three[0]}
    corp_wide = make(sender="", tag_filter={"group_list": [{"tag_list": taste}]})
    assert set(results(api, corp_wide["msgid"])) == set(three[:2])
    assert make(tag_filter={"group_list": [{"tag_list": ["et-none"]}]})["errcode"] == 40068
    assert make(tag_filter={"group_list": [{"tag_list": []}]})["errcode"] == 40058


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"text": {"content": "豆" * 1334}}, 45002),
        ({"text": {}}, 44004),
        ({"text": None, "attachments": [LINK] * 10}, 41064),
        ({"attachments": [{"msgtype": "voice", "voice": {"media_id": "x"}}]}, 41065),
        ({"attachments": [{"msgtype": "image", "image": {"media_id": "none"}}]}, 40007),
        ({"attachments": [{"msgtype": "link", "link": {**LINK["link"], "title": "豆" * 43}}]}, 40058),
        ({"external_userid": [f"wm-{number}" for number in range(10_001)]}, 40058),
        ({"external_userid": "wm-1"}, 40058),
        ({"sender": ""}, 40058),
        ({"sender": "nobody"}, 40003),
        ({"chat_type": "both"}, 40058),
        ({"allow_select": "yes"}, 40058),
        ({"chat_type": "group", "sender": ""}, 41009),
        ({"chat_type": "group", "chat_id_list": [f"wr-{number}" for number in range(2001)]}, 40058),
    ],
)
def test_a_task_is_checked(
    world: World, three: list[str], make: Callable[..., Json], change: Json, errcode: int
) -> None:
    assert make(**change)["errcode"] == errcode
    assert world.mass_tasks == {}


def test_text_may_have_exactly_4000_bytes(three: list[str], make: Callable[..., Json]) -> None:
    assert make(text={"content": "豆" * 1333 + "x"}, attachments=[LINK] * 9)["errcode"] == 0


def test_the_sender_must_be_able_to_have_customers(world: World, three: list[str], make: Callable[..., Json]) -> None:
    world.update_member("lisi", customer_contact=False)
    assert make(three)["errcode"] == 84074
    world.update_member("lisi", status=4)
    assert make(three)["errcode"] == 41054
    world.dismiss_member("lisi")
    assert make(three)["errcode"] == 60011


# --- following it -----------------------------------------------------------------------------------------------


def test_a_new_task_is_still_being_handed_out(
    api: Any, world: World, three: list[str], make: Callable[..., Json], clock: ManualClock
) -> None:
    world.limits.mass_dispatch_seconds = 30
    msgid = make(three, wait=29)["msgid"]
    body = {"msgid": msgid, "userid": "lisi"}
    paths = ("get_groupmsg_task", "get_groupmsg_send_result", "remind_groupmsg_send", "cancel_groupmsg_send")
    assert [api.post(f"externalcontact/{one}", body)["errcode"] for one in paths] == [41063] * 4
    assert world.mass_todos("lisi") == []
    with pytest.raises(ValueError, match="cannot send"):
        world.confirm_mass("lisi", msgid)
    clock.advance(1)
    assert members(api, msgid) == [("lisi", 0)]
    assert [one.msgid for one in world.mass_todos("lisi")] == [msgid]


@pytest.mark.parametrize(
    ("path", "body", "errcode"),
    [
        ("get_groupmsg_task", {}, 41046),
        ("get_groupmsg_task", {"msgid": "msg-none"}, 41047),
        ("cancel_groupmsg_send", {"msgid": "msg-none"}, 41047),
        ("remind_groupmsg_send", {}, 41046),
        ("get_groupmsg_list_v2", {"chat_type": "single", "start_time": 0, "end_time": 31 * DAY + 1}, 40058),
        ("get_groupmsg_list_v2", {"chat_type": "single", "start_time": 5, "end_time": 4}, 40058),
        ("get_groupmsg_list_v2", {"start_time": 0, "end_time": 5}, 40058),
        ("get_groupmsg_list_v2", {"chat_type": "single", "start_time": 0, "end_time": 5, "limit": 101}, 40058),
        ("get_groupmsg_list_v2", {"chat_type": "single", "start_time": 0, "end_time": 5, "cursor": "x"}, 50100),
    ],
)
def test_a_question_is_checked(api: Any, path: str, body: Json, errcode: int) -> None:
    assert api.post(f"externalcontact/{path}", body)["errcode"] == errcode


def test_pages_are_followed_by_signed_cursors(
    api: Any, world: World, three: list[str], make: Callable[..., Json]
) -> None:
    world.faults.short_page, world.faults.empty_page = 0.3, 0.2
    msgid = make(three)["msgid"]
    for path, name, rows in (
        ("get_groupmsg_send_result", "send_list", three),
        ("get_groupmsg_task", "task_list", ["lisi"]),
    ):
        found, cursor = [], ""
        while True:
            body = {"msgid": msgid, "userid": "lisi", "limit": 2, "cursor": cursor}
            said = api.post(f"externalcontact/{path}", body)
            found += [one.get("external_userid") or one["userid"] for one in said[name]]
            cursor = said["next_cursor"]
            if not cursor:
                break
        assert found == rows
    stolen = api.world.cursors.make("externalcontact/get_groupmsg_task", 0)
    body = {"msgid": msgid, "userid": "lisi", "cursor": stolen}
    assert api.post("externalcontact/get_groupmsg_send_result", body)["errcode"] == 50100
    assert api.post("externalcontact/get_groupmsg_task", {"msgid": msgid, "limit": 1001})["errcode"] == 40058


def listed(api: Any, clock: ManualClock, **body: Any) -> list[str]:
    now = int(clock.now())
    span = {"chat_type": "single", "start_time": now - DAY, "end_time": now}
    said = api.post("externalcontact/get_groupmsg_list_v2", {**span, **body})
    return [one["msgid"] for one in said["group_msg_list"]]


def test_the_list_has_the_corps_tasks_and_the_members_own(
    api: Any, world: World, three: list[str], make: Callable[..., Json], clock: ManualClock
) -> None:
    corp = make(three, attachments=[LINK])["msgid"]
    own = world.member_mass("wangwu", "早安", []).msgid
    assert listed(api, clock) == [corp, own]
    assert (listed(api, clock, filter_type=0), listed(api, clock, filter_type=1)) == ([corp], [own])
    assert (listed(api, clock, creator="wangwu"), listed(api, clock, creator="lisi")) == ([own], [])
    assert listed(api, clock, chat_type="group") == []
    assert listed(api, clock, end_time=int(clock.now()) - BEYOND_DISPATCH) == [corp]
    assert listed(api, clock, start_time=int(clock.now())) == [own]
    now = int(clock.now())
    body = {"chat_type": "single", "start_time": now - DAY, "end_time": now}
    first, second = api.post("externalcontact/get_groupmsg_list_v2", body)["group_msg_list"]
    assert "creator" not in first
    assert first["text"] == TEXT
    assert first["attachments"] == [LINK]
    assert (first["create_type"], first["create_time"]) == (0, now - BEYOND_DISPATCH)
    assert (second["creator"], second["create_type"]) == ("wangwu", 1)


def test_a_task_may_be_missing_from_the_list_for_a_while(
    api: Any, world: World, three: list[str], make: Callable[..., Json], clock: ManualClock
) -> None:
    world.limits.mass_list_lag_seconds = 20
    msgid = make(three)["msgid"]
    assert listed(api, clock) == []
    clock.advance(20)
    assert listed(api, clock) == [msgid]


def test_a_line_that_breaks_after_the_effect_leaves_one_task(
    api: Any, world: World, three: list[str], clock: ManualClock
) -> None:
    import requests

    api.get_token()
    world.faults.reset_after_effect = 1.0
    body = {"sender": "lisi", "external_userid": three, "text": TEXT}
    with pytest.raises(requests.ConnectionError):
        api.post("externalcontact/add_msg_template", body)
    world.faults.reset_after_effect = 0.0
    assert listed(api, clock) == list(world.mass_tasks)
    assert len(world.mass_tasks) == 1


def test_a_reminder_goes_out_three_times_in_24_hours(
    api: Any, world: World, three: list[str], make: Callable[..., Json], clock: ManualClock
) -> None:
    body = {"msgid": make(three)["msgid"]}

    def remind() -> int:
        errcode: int = api.post("externalcontact/remind_groupmsg_send", body)["errcode"]
        return errcode

    assert remind() == 0
    clock.advance(HOUR)
    assert [remind() for _ in range(3)] == [0, 0, 41094]
    assert world.mass_todos("lisi")[0].reminders == 3
    clock.advance(DAY - HOUR - 1)
    api.token = ""
    assert remind() == 41094
    clock.advance(1)
    assert [remind(), remind()] == [0, 41094]


def test_a_cancelled_task_can_only_be_read(
    api: Any, world: World, make: Callable[..., Json], clock: ManualClock
) -> None:
    hers, his = world.remember("lisi", "小雨").external_userid, world.remember("wangwu", "阿哲").external_userid
    other = make([hers])["msgid"]
    half = make([his, hers], sender="")["msgid"]
    world.confirm_mass("wangwu", half)
    body = {"msgid": half}
    assert api.post("externalcontact/cancel_groupmsg_send", body)["errcode"] == 0
    assert members(api, half) == [("wangwu", 2), ("lisi", 0)]
    assert results(api, half, "wangwu") == {his: MASS_SENT}
    with pytest.raises(ValueError, match="cannot send"):
        world.confirm_mass("lisi", half)
    paths = ("cancel_groupmsg_send", "remind_groupmsg_send")
    assert [api.post(f"externalcontact/{one}", body)["errcode"] for one in paths] == [41093, 41093]
    assert [one.msgid for one in world.mass_todos("lisi")] == [other]


# --- members send -----------------------------------------------------------------------------------------------


def test_corp_and_members_use_up_one_quota_and_the_surplus_is_status_3(
    api: Any, world: World, three: list[str], make: Callable[..., Json], clock: ManualClock
) -> None:
    world.limits.mass_quota = "day_1"
    early, late = make(three)["msgid"], make(three)["msgid"]
    own = world.member_mass("lisi", "早安", [three[0]])
    assert own.parcels[0].status == MASS_SENT
    world.confirm_mass("lisi", early)
    assert results(api, early) == {three[0]: MASS_QUOTA, three[1]: MASS_SENT, three[2]: MASS_SENT}
    world.confirm_mass("lisi", late)
    assert results(api, late) == dict.fromkeys(three, MASS_QUOTA)
    assert received(world, "lisi", three[0]) == ["早安"]
    again = make(three)
    assert again["errcode"] == 41048
    clock.advance(DAY)
    api.token = ""
    assert make(three)["fail_list"] == []


def test_a_task_that_is_only_made_uses_up_nothing(world: World, three: list[str], make: Callable[..., Json]) -> None:
    world.limits.mass_quota = "day_1"
    make(three)
    assert make(three)["fail_list"] == []
    assert [one.status for one in world.member_mass("lisi", "早安").parcels] == [MASS_SENT] * 3


def test_a_members_own_send_is_done_at_once_and_can_be_read(api: Any, world: World, three: list[str]) -> None:
    world.customer_deletes("lisi", three[2])
    msgid = world.member_mass("LiSi", "早安", three, attachments=[LINK]).msgid
    assert members(api, msgid) == [("lisi", 2)]
    assert results(api, msgid) == {three[0]: MASS_SENT, three[1]: MASS_SENT, three[2]: MASS_NO_FRIEND}
    assert world.chat_of("lisi", three[0])[-1].attachments == (LINK,)


def test_a_member_chooses_only_where_the_corp_lets_him(
    api: Any, world: World, three: list[str], make: Callable[..., Json]
) -> None:
    fixed, free = make(three)["msgid"], make(three[:2], allow_select=True)["msgid"]
    with pytest.raises(ValueError, match="choose"):
        world.confirm_mass("lisi", fixed, three[:1])
    world.confirm_mass("lisi", free, three[1:])
    assert results(api, free) == {three[0]: MASS_UNSENT, three[1]: MASS_SENT, three[2]: MASS_SENT}
    assert received(world, "lisi", three[0]) == []


def test_who_has_left_the_corp_sends_nothing(
    api: Any, world: World, three: list[str], make: Callable[..., Json], clock: ManualClock
) -> None:
    world.habits = Habits(mass_confirm=1.0)
    msgid = make(three)["msgid"]
    world.dismiss_member("lisi")
    clock.advance(DAY)
    api.token = ""
    with pytest.raises(ValueError, match="cannot send"):
        world.confirm_mass("lisi", msgid)
    assert members(api, msgid) == [("lisi", 0)]


def test_nothing_is_sent_twice(world: World, three: list[str], make: Callable[..., Json]) -> None:
    msgid = make(three)["msgid"]
    world.confirm_mass("lisi", msgid)
    with pytest.raises(ValueError, match="cannot send"):
        world.confirm_mass("lisi", msgid)
    assert received(world, "lisi", three[0]) == [TEXT["content"]]


def test_a_renamed_member_keeps_his_todos(api: Any, world: World, three: list[str], make: Callable[..., Json]) -> None:
    msgid = make(three)["msgid"]
    world.rename_member("lisi", "li.si")
    world.confirm_mass("li.si", msgid)
    assert members(api, msgid) == [("li.si", 2)]
    assert set(results(api, msgid, "li.si").values()) == {MASS_SENT}


# --- by habit ---------------------------------------------------------------------------------------------------


def crowd(seed: int, confirm: float) -> tuple[World, ManualClock]:
    clock = ManualClock()
    world = World.small_shop(clock, seed=seed)
    world.habits = Habits(confirm, mass_soonest_seconds=600, mass_latest_seconds=2 * HOUR)
    for number in range(100):
        world.add_member(Member(f"rep{number}", f"成员{number}"))
    customers = {f"rep{number}": [world.remember(f"rep{number}", "客户").external_userid] for number in range(100)}
    world.make_mass(customers, "早安")
    return world, clock


def sent_times(world: World) -> dict[str, int]:
    (task,) = world.mass_tasks.values()
    return {one.userid: one.send_time for one in task.errands.values() if one.is_sent}


def test_members_confirm_by_probability_within_their_range_of_time() -> None:
    world, clock = crowd(seed=3, confirm=0.5)
    began = clock.now()
    clock.advance(5 + 600 - 1)
    assert sent_times(world) == {}
    clock.advance(DAY)
    times = sent_times(world)
    assert 30 < len(times) < 70
    assert max(times.values()) <= began + 5 + 2 * HOUR
    assert len(set(times.values())) > 25


def test_the_same_seed_makes_the_same_members_confirm() -> None:
    def times(seed: int) -> dict[str, int]:
        world, clock = crowd(seed, 0.5)
        clock.advance(DAY)
        return sent_times(world)

    assert times(3) == times(3)
    assert times(3) != times(4)


@pytest.mark.parametrize(("confirm", "sent"), [(0.0, 0), (1.0, 100)])
def test_never_is_never_and_always_is_always(confirm: float, sent: int) -> None:
    world, clock = crowd(1, confirm)
    clock.advance(30 * DAY)
    assert len(sent_times(world)) == sent


def test_a_reminder_lets_them_decide_anew_and_a_cancellation_stops_them() -> None:
    world, clock = crowd(1, 0.5)
    (msgid,) = world.mass_tasks
    clock.advance(DAY)
    before = len(sent_times(world))
    world.remind_mass(msgid)
    clock.advance(DAY)
    after = len(sent_times(world))
    assert before < after < 100
    world.remind_mass(msgid)
    world.cancel_mass(msgid)
    clock.advance(DAY)
    assert len(sent_times(world)) == after


# --- groups -----------------------------------------------------------------------------------------------------


def test_a_group_gets_what_its_owner_sends(
    api: Any, world: World, three: list[str], make: Callable[..., Json], clock: ManualClock
) -> None:
    mine, other = world.open_group("lisi", "豆友群", three).chat_id, world.open_group("wangwu", "外卖群").chat_id
    said = make(chat_type="group", chat_id_list=[mine, other, "wr-none"])
    assert said["fail_list"] == [other, "wr-none"]
    assert results(api, said["msgid"]) == {}
    world.confirm_mass("lisi", said["msgid"])
    assert results(api, said["msgid"]) == {mine: MASS_SENT}
    assert [one.text for one in world.room_chat(mine)] == [TEXT["content"]]
    assert listed(api, clock, chat_type="group") == [said["msgid"]]
    assert received(world, "lisi", three[0]) == []


def test_a_group_has_a_quota_and_lists_only_what_was_sent(api: Any, world: World, make: Callable[..., Json]) -> None:
    world.limits.mass_quota = "day_1"
    full, gone, lost, good = (world.open_group("lisi", name).chat_id for name in ("甲", "乙", "丙", "丁"))
    msgid = make(chat_type="group")["msgid"]
    world.member_mass("lisi", "早安", chat_ids=[full])
    world.dismiss_group(gone)
    world.give_group(lost, "wangwu")
    errand = world.confirm_mass("lisi", msgid)
    assert [one.status for one in errand.parcels] == [MASS_QUOTA, MASS_NO_FRIEND, MASS_NO_FRIEND, MASS_SENT]
    assert results(api, msgid) == {good: MASS_SENT}
    assert make(chat_type="group", chat_id_list=[full])["errcode"] == 41048


# --- over the admin API and on the page -------------------------------------------------------------------------


def test_the_page_shows_the_todo_and_what_the_customer_received(
    world: World, three: list[str], make: Callable[..., Json]
) -> None:
    from sandbox.web import create_app

    client = create_app(world).test_client()
    chat_id = world.open_group("lisi", "豆友群", three).chat_id
    msgid = make(three, attachments=[LINK], allow_select=True)["msgid"]
    world.member_mass("lisi", "群里见", chat_ids=[chat_id])
    query = {"customer": three[0], "rep": "lisi"}

    def view() -> Json:
        found: Json = client.get("/sandbox/view", query_string=query).json or {}
        return found

    (todo,) = view()["mass"]["todos"]
    assert (todo["text"], todo["attachments"], todo["receivers"]) == (TEXT["content"], ["本周豆单"], 3)
    assert [one["name"] for one in todo["choose"]] == ["小雨", "阿哲", "林夕"]
    body = {"userid": "lisi", "msgid": msgid, "receivers": three[:2]}
    assert client.post("/sandbox/confirm_mass", json=body).status_code == 200
    assert client.post("/sandbox/confirm_mass", json=body).status_code == 400
    seen = view()
    assert seen["mass"]["todos"] == []
    assert [(one["got"], one["missed"]) for one in seen["mass"]["done"]] == [(1, 0), (2, 1)]
    assert [one["text"] for one in seen["chat"]["lines"] if one["who"] == "mass"] == [TEXT["content"]]
    assert [(one["name"], one["lines"][0]["text"]) for one in seen["rooms"]] == [("豆友群", "群里见")]


def test_the_admin_api_tells_everything_of_mass_messages(
    world: World, three: list[str], make: Callable[..., Json]
) -> None:
    from sandbox.web import create_app

    client = create_app(world).test_client()
    msgid = make(three)["msgid"]
    assert (client.get("/sandbox/mass_todos?userid=lisi").json or [])[0]["msgid"] == msgid
    assert client.post("/sandbox/habits", json={"mass_confirm": 0.5}).json == {
        "mass_confirm": 0.5,
        "mass_soonest_seconds": 60.0,
        "mass_latest_seconds": 4.0 * HOUR,
    }
    client.post("/sandbox/member_mass", json={"userid": "lisi", "text": "早安", "external_userids": three[:1]})
    corp, own = client.get("/sandbox/mass").json or []
    assert (corp["members"][0]["statuses"], own["members"][0]["statuses"]) == ({"0": 3}, {"1": 1})
    assert (own["creator"], own["create_type"]) == ("lisi", 1)
    assert [one["receiver"] for one in client.get("/sandbox/mass_received").json or []] == three[:1]
    assert client.get("/sandbox/room_chat?chat_id=wr-none").json == []


def test_mass_messages_do_not_count_as_talk(world: World, three: list[str], api: Any, clock: ManualClock) -> None:
    world.member_mass("lisi", "早安")
    midnight = (int(clock.now()) + 8 * HOUR) // DAY * DAY - 8 * HOUR
    clock.advance(DAY)
    body = {"userid": ["lisi"], "start_time": midnight, "end_time": midnight}
    (row,) = api.post("externalcontact/get_user_behavior_data", body)["behavior_data"]
    assert (row["chat_cnt"], row["message_cnt"]) == (0, 0)


def test_an_app_without_customer_contact_makes_none(world: World, make: Callable[..., Json], three: list[str]) -> None:
    world.app(AGENT_ID).customer_contact = False
    assert make(three)["errcode"] == 48002

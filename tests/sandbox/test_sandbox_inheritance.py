"""Leavers and what they leave: customers without a rep, groups without an owner, transfers that go wrong."""

from typing import Any

import pytest

from sandbox.clock import ManualClock
from sandbox.world import World

TO_SUNQI = {"handover_userid": "lisi", "takeover_userid": "sunqi"}


@pytest.fixture
def three(world: World) -> list[str]:
    return [world.remember("lisi", name).external_userid for name in ("小雨", "阿哲", "林夕")]


def codes(api: Any, externals: list[str], *, resigned: bool = True, **change: str) -> list[int]:
    path = "externalcontact/resigned/transfer_customer" if resigned else "externalcontact/transfer_customer"
    said = api.post(path, {**TO_SUNQI, "external_userid": externals, **change})
    return [one["errcode"] for one in said["customer"]] if "customer" in said else [said["errcode"]]


def unassigned(api: Any, **body: Any) -> list[tuple[str, str]]:
    info = api.post("externalcontact/get_unassigned_list", body)["info"]
    return [(one["handover_userid"], one["external_userid"]) for one in info]


def test_a_leavers_customers_are_unassigned_until_inherited(
    api: Any, world: World, three: list[str], clock: ManualClock
) -> None:
    assert unassigned(api) == []
    world.customer_deletes("lisi", three[1])
    world.dismiss_member("lisi")
    assert unassigned(api) == [("lisi", one) for one in three]
    world.events.clear()
    assert codes(api, three[:2]) == [0, 0]
    assert unassigned(api) == [("lisi", three[2])]
    clock.advance(86_400)
    api.token = ""
    changes = [(event.fields["ChangeType"], event.fields["UserID"]) for event in world.events]
    assert changes == [("add_external_contact", "sunqi")] * 2
    assert world.relation("sunqi", three[0]).add_way == 202
    result = api.post("externalcontact/resigned/transfer_result", TO_SUNQI)["customer"]
    assert [(one["external_userid"], one["status"]) for one in result] == [(three[0], 1), (three[1], 1)]
    assert api.post("externalcontact/transfer_result", TO_SUNQI)["customer"] == []
    follow = api.get("externalcontact/get", external_userid=three[0])["follow_user"]
    assert [one["userid"] for one in follow] == ["sunqi"]


def test_the_latest_leaver_comes_first_page_by_page(
    api: Any, world: World, three: list[str], clock: ManualClock
) -> None:
    late = world.remember("wangwu", "大鹏").external_userid
    world.dismiss_member("lisi")
    clock.advance(60)
    world.dismiss_member("wangwu")
    said = api.post("externalcontact/get_unassigned_list", {"page_size": 1})
    assert (said["info"][0]["external_userid"], said["is_last"]) == (late, False)
    assert said["info"][0]["dimission_time"] == int(clock.now())
    rest = {"page_size": 1000, "cursor": said["next_cursor"]}
    assert unassigned(api, **rest) == [("lisi", one) for one in three]
    assert unassigned(api, page_size=2, page_id=1) == [("lisi", one) for one in three[1:]]
    assert api.post("externalcontact/get_unassigned_list", {"page_size": 1000, "page_id": 50})["errcode"] == 40058


def test_each_customer_of_a_leaver_has_an_errcode_of_his_own(api: Any, world: World, three: list[str]) -> None:
    stranger = world.remember("wangwu", "大鹏").external_userid
    assert codes(api, three[:1]) == [40097]
    world.dismiss_member("lisi")
    assert codes(api, ["wm-none", stranger, three[0], three[0]]) == [40096, 40131, 0, 40100]
    assert codes(api, three[:1], handover_userid="nobody") == [40003]
    world.limits.customers_per_member = 0
    assert codes(api, three[1:2]) == [40099]
    assert codes(api, three[1:2], resigned=False) == [60011]


def test_a_customer_on_the_job_moves_twice_in_90_days(
    api: Any, world: World, three: list[str], clock: ManualClock
) -> None:
    back = {"handover_userid": "sunqi", "takeover_userid": "lisi"}
    ext = three[:1]
    assert codes(api, ext, resigned=False) == [0]
    clock.advance(86_400)
    api.token = ""
    assert codes(api, ext, resigned=False) == [40131]
    assert codes(api, ext, resigned=False, **back) == [0]
    clock.advance(86_400)
    api.token = ""
    assert codes(api, ext, resigned=False) == [40128]
    assert codes(api, ext, resigned=False, takeover_userid="lisi") == [40130]
    clock.advance(90 * 86_400)
    api.token = ""
    assert codes(api, ext, resigned=False) == [0]


def test_a_rep_who_is_full_by_then_takes_nobody(api: Any, world: World, three: list[str], clock: ManualClock) -> None:
    codes(api, three[:1], resigned=False)
    world.limits.customers_per_member = 0
    clock.advance(86_400)
    api.token = ""
    assert world.events[-1].fields["FailReason"] == "customer_limit_exceed"
    assert api.post("externalcontact/transfer_result", TO_SUNQI)["customer"][0]["status"] == 4


def test_a_refused_customer_is_unassigned_again(api: Any, world: World, three: list[str], clock: ManualClock) -> None:
    world.dismiss_member("lisi")
    codes(api, three[:1])
    world.refuse_transfer(three[0])
    assert ("lisi", three[0]) in unassigned(api)


# --- groups ---------------------------------------------------------------------------------------------------


def owners(api: Any, status: int) -> list[tuple[str, int]]:
    rows = api.post("externalcontact/groupchat/list", {"limit": 100, "status_filter": status})["group_chat_list"]
    return [(one["chat_id"], one["status"]) for one in rows]


def test_a_leavers_groups_get_another_owner(api: Any, world: World, three: list[str], clock: ManualClock) -> None:
    left, other = world.open_group("lisi", "豆友群", three), world.open_group("wangwu", "外卖群")
    clock.advance(2)
    body = {"chat_id_list": [left.chat_id, "wr-none"], "new_owner": "sunqi"}
    early = api.post("externalcontact/groupchat/transfer", body)["failed_chat_list"]
    assert [(one["chat_id"], one["errcode"]) for one in early] == [(left.chat_id, 90500), ("wr-none", 90501)]
    world.dismiss_member("lisi")
    assert owners(api, 1) == [(left.chat_id, 1)]
    assert api.post("externalcontact/groupchat/onjob_transfer", body)["failed_chat_list"][0]["errcode"] == 90502
    both = {**body, "chat_id_list": [left.chat_id, other.chat_id]}
    assert [one["errcode"] for one in api.post("externalcontact/groupchat/transfer", both)["failed_chat_list"]] == [
        90500
    ]
    clock.advance(2)
    assert (owners(api, 1), owners(api, 3)) == ([], [(left.chat_id, 3)])
    group = api.post("externalcontact/groupchat/get", {"chat_id": left.chat_id})["group_chat"]
    assert group["owner"] == "sunqi"
    assert "sunqi" in [one["userid"] for one in group["member_list"]]


def test_a_group_changes_hands_on_the_job(api: Any, world: World, second_app: Any, clock: ManualClock) -> None:
    chat = world.open_group("lisi", "豆友群")
    world.events.clear()
    body = {"chat_id_list": [chat.chat_id], "new_owner": "sunqi"}
    assert api.post("externalcontact/groupchat/onjob_transfer", body)["failed_chat_list"] == []
    assert [(one.agent_id, one.fields["UpdateDetail"]) for one in world.events] == [(1000003, "change_owner")]
    world.limits.group_transfers_per_day = 1
    again = api.post("externalcontact/groupchat/onjob_transfer", body)["failed_chat_list"]
    assert [one["errcode"] for one in again] == [90503]


def test_member_versions_make_a_chain(world: World, three: list[str]) -> None:
    chat = world.open_group("lisi", "豆友群")
    world.events.clear()
    world.join_group(chat.chat_id, three[:2])
    world.join_group(chat.chat_id, three, scene=0)
    world.leave_group(chat.chat_id, [*three[:2], "wm-none"], scene=1)
    told = [event.fields for event in world.events]
    assert [(one["MemChangeCnt"], one.get("JoinScene"), one.get("QuitScene")) for one in told] == [
        (2, 3, None),
        (1, 0, None),
        (2, None, 1),
    ]
    assert [one["LastMemVer"] for one in told] == [chat.version, told[0]["CurMemVer"], told[1]["CurMemVer"]]


def test_a_busy_group_can_still_be_read(api: Any, world: World, clock: ManualClock) -> None:
    chat = world.open_group("lisi", "豆友群")
    clock.advance(2)
    for number in range(20):
        world.rename_group(chat.chat_id, f"{number}")
    assert api.post("externalcontact/groupchat/get", {"chat_id": chat.chat_id})["group_chat"]["name"] == "豆友群"
    world.announce_in_group(chat.chat_id, "今晚八点")
    clock.advance(2)
    group = api.post("externalcontact/groupchat/get", {"chat_id": chat.chat_id})["group_chat"]
    assert (group["name"], group["notice"]) == ("19", "今晚八点")


# --- tags in the console --------------------------------------------------------------------------------------


def told(world: World) -> list[tuple[str, str, str]]:
    names = ("ChangeType", "TagType", "Id")
    return [tuple(str(event.fields.get(name, "")) for name in names) for event in world.events]  # type: ignore[misc]


def test_what_the_console_does_to_tags_is_told(world: World) -> None:
    group = world.console_tags("口味", ["美式", "拿铁"])
    tags = list(group.tags)
    assert told(world) == [("create", "tag_group", group.id), *(("create", "tag", one) for one in tags)]
    world.events.clear()
    world.console_tags("口味", ["拿铁"])
    world.console_rename_tag("美式", "冰美式")
    world.console_rename_group("口味", "喝什么")
    world.console_shuffle("喝什么", ["拿铁"])
    world.console_shuffle()
    world.console_delete_tag("拿铁")
    world.console_delete_group("喝什么")
    assert told(world) == [
        ("update", "tag", tags[0]),
        ("update", "tag_group", group.id),
        ("shuffle", "", group.id),
        ("shuffle", "", ""),
        ("delete", "tag", tags[1]),
        ("delete", "tag_group", group.id),
    ]


def test_the_order_of_the_console_is_the_order_of_the_list(api: Any, world: World) -> None:
    world.console_tags("口味", ["美式", "拿铁", "手冲"])
    world.console_shuffle("口味", ["手冲", "美式"])
    listed = api.post("externalcontact/get_corp_tag_list")["tag_group"][0]["tag"]
    assert [one["name"] for one in listed] == ["手冲", "美式", "拿铁"]


def test_a_name_is_given_once(world: World) -> None:
    world.console_tags("口味", ["美式", "拿铁"])
    world.console_tags("到店", ["周末"])
    with pytest.raises(ValueError, match="taken"):
        world.console_rename_tag("美式", "拿铁")
    with pytest.raises(ValueError, match="taken"):
        world.console_rename_group("口味", "到店")

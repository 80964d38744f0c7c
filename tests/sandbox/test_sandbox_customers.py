"""Arrivals, welcomes, partings, contact ways, tags, paging, transfers, groups."""

from typing import Any

import pytest

from sandbox.clock import ManualClock
from sandbox.facts import WECOM, Member
from sandbox.world import AGENT_ID, World


def changes(world: World) -> list[str]:
    return [str(event.fields.get("ChangeType")) for event in world.events]


# --- welcomes -------------------------------------------------------------------------------------------------


def test_a_scan_leads_to_a_friend_with_state_and_code(api: Any, world: World) -> None:
    arrival = world.scan(api.make_way(state="门店A"), name="小雨")
    assert (arrival.outcome, arrival.userid, arrival.state) == ("added", "lisi", "门店A")
    fields = world.events[-1].fields
    assert (fields["FromUserName"], fields["State"], fields["WelcomeCode"]) == ("sys", "门店A", arrival.welcome_code)
    follow = api.get("externalcontact/get", external_userid=arrival.external_userid)["follow_user"][0]
    assert (follow["state"], follow["add_way"], follow["oper_userid"]) == ("门店A", 1, arrival.external_userid)


def test_a_welcome_reaches_the_customer_once(api: Any, world: World) -> None:
    arrival = world.scan(api.make_way())
    assert api.welcome(arrival.welcome_code, "欢迎") == 0
    assert api.welcome(arrival.welcome_code, "欢迎") == 41051
    assert [one.text for one in world.sent] == ["欢迎"]
    assert world.chat_of("lisi", arrival.external_userid)[-1].who == "welcome"


def test_a_welcome_code_dies_after_twenty_seconds(api: Any, world: World, clock: ManualClock) -> None:
    arrival = world.scan(api.make_way())
    clock.advance(20.5)
    assert api.welcome(arrival.welcome_code) == 41050
    assert world.sent == []


def test_a_welcome_needs_a_code_and_something_to_say(api: Any) -> None:
    assert api.post("externalcontact/send_welcome_msg", {"text": {"content": "x"}})["errcode"] == 41049
    assert api.post("externalcontact/send_welcome_msg", {"welcome_code": "c"})["errcode"] == 44004
    assert api.welcome("c", "长" * 1334) == 45002


def test_of_two_apps_the_quicker_welcomes(api: Any, second_app: Any, world: World, clock: ManualClock) -> None:
    arrival = world.scan(api.make_way())
    assert set(arrival.codes) == {AGENT_ID, 1000003}
    assert api.welcome(arrival.codes[AGENT_ID]) == 0
    assert second_app.welcome(arrival.codes[1000003]) == 41096
    clock.advance(2)
    assert second_app.welcome(arrival.codes[1000003]) == 41051
    assert second_app.welcome(arrival.codes[AGENT_ID]) == 41050


def test_a_chat_that_has_begun_needs_no_welcome(api: Any, world: World) -> None:
    arrival = world.scan(api.make_way())
    world.chat("lisi", arrival.external_userid, "在的")
    assert api.welcome(arrival.welcome_code) == 41051


def test_no_code_is_given_for_a_console_welcome_or_a_wecom_user(api: Any, world: World) -> None:
    way = api.make_way()
    assert world.scan(way, name="同行", kind=WECOM).welcome_code == ""
    world.member("lisi").console_welcome = True
    assert world.scan(way).welcome_code == ""
    assert "WelcomeCode" not in world.events[-1].fields


def test_half_comes_before_whole_and_one_welcome_between_them(api: Any, world: World, clock: ManualClock) -> None:
    world.half_add, world.half_delay = True, 5.0
    arrival = world.scan(api.make_way())
    assert arrival.outcome == "half"
    assert api.get("externalcontact/get", external_userid=arrival.external_userid)["errcode"] == 84061
    assert api.welcome(arrival.welcome_code) == 0
    clock.advance(5)
    assert changes(world) == ["add_half_external_contact", "add_external_contact"]
    assert "WelcomeCode" not in world.events[-1].fields
    assert world.events[-1].fields["State"] == "counter"
    assert api.get("externalcontact/get", external_userid=arrival.external_userid)["errcode"] == 0


def test_a_half_add_may_stay_half_until_confirmed(api: Any, world: World, clock: ManualClock) -> None:
    world.half_add, world.half_delay = True, None
    arrival = world.scan(api.make_way())
    clock.advance(3600)
    assert changes(world) == ["add_half_external_contact"]
    assert world.confirm("lisi", arrival.external_userid).outcome == "added"


def test_a_code_with_verification_waits_for_the_rep(api: Any, world: World) -> None:
    waiting = world.scan(api.make_way(skip_verify=False))
    assert (waiting.outcome, len(world.events)) == ("waiting", 0)
    assert world.confirm("lisi", waiting.external_userid).state == "counter"


def test_a_friend_who_scans_again_changes_nothing(api: Any, world: World) -> None:
    way = api.make_way()
    first = world.scan(way)
    assert world.scan(way, external_userid=first.external_userid).outcome == "already"
    assert len(world.events) == 1


def test_an_unknown_or_deleted_code_leads_to_nothing(api: Any, world: World) -> None:
    way = api.make_way()
    api.post("externalcontact/del_contact_way", {"config_id": way})
    assert world.scan(way).outcome == "nothing"
    assert not world.events


# --- partings -------------------------------------------------------------------------------------------------


def test_a_customer_who_left_is_still_readable_and_one_the_rep_deleted_is_not(api: Any, world: World) -> None:
    arrival = world.scan(api.make_way())
    world.customer_deletes("lisi", arrival.external_userid)
    assert api.get("externalcontact/get", external_userid=arrival.external_userid)["errcode"] == 0
    world.member_deletes("lisi", arrival.external_userid)
    assert api.get("externalcontact/get", external_userid=arrival.external_userid)["errcode"] == 84061
    assert changes(world)[1:] == ["del_follow_user", "del_external_contact"]


def test_a_customer_may_return(api: Any, world: World) -> None:
    way = api.make_way()
    arrival = world.scan(way)
    world.customer_deletes("lisi", arrival.external_userid)
    again = world.scan(way, external_userid=arrival.external_userid)
    assert again.outcome == "added"
    assert again.welcome_code not in ("", arrival.welcome_code)


def test_a_change_of_phone_numbers_alone_is_not_told(api: Any, world: World) -> None:
    arrival = world.scan(api.make_way())
    world.edit_remark("lisi", arrival.external_userid, mobiles=["13900000000"])
    assert changes(world) == ["add_external_contact"]
    world.edit_remark("lisi", arrival.external_userid, remark="小雨 拿铁")
    assert changes(world)[-1] == "edit_external_contact"


def test_remarks_are_bounded_and_phones_can_be_cleared(api: Any, world: World) -> None:
    customer = world.remember("lisi", "小雨")
    pair = {"userid": "lisi", "external_userid": customer.external_userid}
    assert api.post("externalcontact/remark", pair)["errcode"] == 40058
    assert api.post("externalcontact/remark", {**pair, "remark": "长" * 21})["errcode"] == 40058
    assert api.post("externalcontact/remark", {**pair, "remark_mobiles": ["13900000000"]})["errcode"] == 0
    assert api.post("externalcontact/remark", {**pair, "remark_mobiles": [""]})["errcode"] == 0
    assert world.relation("lisi", customer.external_userid).mobiles == ()
    assert api.post("externalcontact/remark", {**pair, "userid": "wangwu", "remark": "x"})["errcode"] == 84061
    assert not world.events


# --- contact ways ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "errcode"),
    [
        ({"type": None}, 41037),
        ({"type": 3}, 41039),
        ({"scene": None}, 41038),
        ({"scene": 9}, 41040),
        ({"state": "长" * 31}, 40058),
        ({"remark": "长" * 31}, 40058),
        ({"user": ["lisi", "wangwu"]}, 40058),
        ({"user": ["nobody"]}, 40003),
        ({"user": ["sleepy"]}, 41054),
        ({"user": ["cook"]}, 84074),
        ({"type": 2, "user": [], "party": [99]}, 60123),
        ({"type": 2, "user": [], "party": [1]}, 41041),
    ],
)
def test_a_contact_way_is_checked(api: Any, world: World, wrong: dict[str, Any], errcode: int) -> None:
    world.limits.contact_way_members = 4
    world.add_member(Member("sleepy", "未激活", status=4))
    world.add_member(Member("cook", "后厨", customer_contact=False))
    body = {"type": 1, "scene": 2, "user": ["lisi"], **wrong}
    sent = {name: value for name, value in body.items() if value is not None}
    assert api.post("externalcontact/add_contact_way", sent)["errcode"] == errcode


def test_a_contact_way_comes_back_as_made_and_changes_only_what_is_said(api: Any) -> None:
    way = api.make_way(type=2, user=["LISI", "wangwu"], remark="门口")
    body = {"config_id": way, "user": ["wangwu"]}
    assert api.post("externalcontact/update_contact_way", body)["errcode"] == 0
    found = api.post("externalcontact/get_contact_way", {"config_id": way})["contact_way"]
    assert (found["user"], found["state"], found["remark"], found["skip_verify"]) == (
        ["wangwu"],
        "counter",
        "门口",
        True,
    )
    assert found["qr_code"].endswith(f"/qr/{way}.png")
    assert api.post("externalcontact/get_contact_way", {"config_id": "x"})["errcode"] == 41044
    assert api.post("externalcontact/get_contact_way", {})["errcode"] == 41043


def test_the_list_shows_recent_ways_without_temporary_ones(api: Any, clock: ManualClock) -> None:
    old = api.make_way()
    clock.advance(91 * 86_400)
    api.token = ""
    ways = [api.make_way() for _ in range(3)]
    api.make_way(is_temp=True)
    first = api.post("externalcontact/list_contact_way", {"limit": 2})
    rest = api.post("externalcontact/list_contact_way", {"limit": 2, "cursor": first["next_cursor"]})
    found = [one["config_id"] for one in first["contact_way"] + rest["contact_way"]]
    assert found == ways
    assert old not in found


def test_reps_behind_a_code_take_turns_unless_the_customer_is_theirs(api: Any, world: World) -> None:
    way = api.make_way(type=2, user=["lisi", "wangwu"], is_exclusive=True)
    first = world.scan(way)
    assert [world.scan(way).userid for _ in range(3)] == ["wangwu", "lisi", "wangwu"]
    world.customer_deletes(first.userid, first.external_userid)
    assert world.scan(way, external_userid=first.external_userid).userid == first.userid


def test_a_temporary_code_expires(api: Any, world: World, clock: ManualClock) -> None:
    way = api.make_way(is_temp=True, expires_in=60)
    clock.advance(61)
    assert world.scan(way).outcome == "nothing"


# --- tags -----------------------------------------------------------------------------------------------------


def test_new_tags_are_answered_alone_and_doubles_made_once(api: Any) -> None:
    first = api.post(
        "externalcontact/add_corp_tag", {"group_name": "口味", "tag": [{"name": "拿铁"}, {"name": "拿铁"}]}
    )
    assert [one["name"] for one in first["tag_group"]["tag"]] == ["拿铁"]
    more = api.post("externalcontact/add_corp_tag", {"group_name": "口味", "tag": [{"name": "拿铁"}, {"name": "手冲"}]})
    assert [one["name"] for one in more["tag_group"]["tag"]] == ["手冲"]
    assert more["tag_group"]["group_id"] == first["tag_group"]["group_id"]
    again = api.post("externalcontact/add_corp_tag", {"group_name": "口味", "tag": [{"name": "拿铁"}]})
    assert again["errcode"] == 40071
    assert len(api.post("externalcontact/get_corp_tag_list")["tag_group"][0]["tag"]) == 2


def test_the_last_tag_takes_its_group_along(api: Any) -> None:
    group = api.post("externalcontact/add_corp_tag", {"group_name": "口味", "tag": [{"name": "拿铁"}]})["tag_group"]
    assert api.post("externalcontact/del_corp_tag", {"tag_id": [group["tag"][0]["id"]]})["errcode"] == 0
    assert api.post("externalcontact/get_corp_tag_list")["tag_group"] == []


def test_three_thousand_tags_are_enough(api: Any, world: World) -> None:
    world.limits.corp_tags = 1
    body = {"group_name": "口味", "tag": [{"name": "a"}, {"name": "b"}]}
    assert api.post("externalcontact/add_corp_tag", body)["errcode"] == 40126


def test_console_tags_can_be_put_on_but_not_changed(api: Any, world: World) -> None:
    tag_id = next(iter(world.console_tags("口味", ["拿铁"]).tags))
    customer = world.remember("lisi", "小雨")
    assert api.post("externalcontact/edit_corp_tag", {"id": tag_id, "name": "x"})["errcode"] == 81011
    body = {"userid": "lisi", "external_userid": customer.external_userid, "add_tag": [tag_id]}
    assert api.post("externalcontact/mark_tag", body)["errcode"] == 0
    assert api.post("externalcontact/mark_tag", {**body, "add_tag": []})["errcode"] == 40058
    assert api.post("externalcontact/mark_tag", {**body, "add_tag": ["et-none"]})["errcode"] == 40068
    assert api.post("externalcontact/mark_tag", {**body, "userid": "wangwu"})["errcode"] == 84061


def test_what_an_app_changes_is_told_to_the_others_only(api: Any, second_app: Any, world: World) -> None:
    api.post("externalcontact/add_corp_tag", {"group_name": "口味", "tag": [{"name": "拿铁"}]})
    assert {event.agent_id for event in world.events} == {1000003}
    world.console_rename_tag("拿铁", "燕麦拿铁")
    assert [event.agent_id for event in list(world.events)[-2:]] == [AGENT_ID, 1000003]


def test_personal_tags_have_no_id_and_stay_out_of_the_batch(api: Any, world: World) -> None:
    world.console_tags("口味", ["拿铁"])
    customer = world.remember("lisi", "小雨")
    world.rep_tags("lisi", customer.external_userid, add=["拿铁"], personal=[("我的", "老顾客")])
    tags = api.get("externalcontact/get", external_userid=customer.external_userid)["follow_user"][0]["tags"]
    assert [(one["type"], "tag_id" in one) for one in tags] == [(1, True), (2, False)]
    batch = api.post("externalcontact/batch/get_by_user", {"userid_list": ["lisi"]})["external_contact_list"]
    assert len(batch[0]["follow_info"]["tag_id"]) == 1
    assert "tags" not in batch[0]["follow_info"]


# --- many -----------------------------------------------------------------------------------------------------


def walk(api: Any, userids: list[str], limit: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    cursor = ""
    for _ in range(1000):
        body = {"userid_list": userids, "limit": limit, "cursor": cursor}
        page = api.post("externalcontact/batch/get_by_user", body)
        rows = page["external_contact_list"]
        found += [(one["follow_info"]["userid"], one["external_contact"]["external_userid"]) for one in rows]
        cursor = page["next_cursor"]
        if not cursor:
            return found
    raise AssertionError("the pages never end")


def test_every_pair_comes_once_however_the_pages_fall(api: Any, world: World) -> None:
    world.populate(503)
    world.faults.short_page, world.faults.empty_page = 0.3, 0.2
    found = walk(api, ["zhangsan", "lisi", "wangwu", "zhaoliu", "sunqi"], 20)
    assert len(found) == len(set(found)) == 503


def test_a_parting_between_two_pages_hides_nobody_else(api: Any, world: World) -> None:
    world.populate(50)
    everyone = walk(api, ["lisi"], 4)
    first = api.post("externalcontact/batch/get_by_user", {"userid_list": ["lisi"], "limit": 4})
    world.member_deletes(*everyone[0])
    body = {"userid_list": ["lisi"], "limit": 100, "cursor": first["next_cursor"]}
    rest = api.post("externalcontact/batch/get_by_user", body)["external_contact_list"]
    assert [one["external_contact"]["external_userid"] for one in rest] == [ext for _, ext in everyone[4:]]


def test_a_member_without_customers_is_84061(api: Any) -> None:
    assert api.get("externalcontact/list", userid="lisi")["errcode"] == 84061


def test_many_followers_come_in_pages(api: Any, world: World) -> None:
    world.limits.followers_per_page = 2
    customer = world.new_customer("小雨")
    for userid in ("lisi", "wangwu", "sunqi"):
        world.relations.add(userid, customer, "active", 1)
    first = api.get("externalcontact/get", external_userid=customer.external_userid)
    rest = api.get("externalcontact/get", external_userid=customer.external_userid, cursor=first["next_cursor"])
    assert (len(first["follow_user"]), len(rest["follow_user"]), "next_cursor" in rest) == (2, 1, False)


# --- transfers and groups -------------------------------------------------------------------------------------


def test_a_transfer_takes_effect_after_a_day(api: Any, world: World, clock: ManualClock) -> None:
    customer = world.remember("lisi", "小雨")
    ext = customer.external_userid
    body = {"handover_userid": "lisi", "takeover_userid": "sunqi", "external_userid": [ext, "wm-nobody"]}
    codes = [one["errcode"] for one in api.post("externalcontact/transfer_customer", body)["customer"]]
    assert codes == [0, 40096]
    assert api.post("externalcontact/transfer_customer", body)["customer"][0]["errcode"] == 40129
    clock.advance(86_400)
    assert changes(world) == ["add_external_contact", "del_external_contact"]
    assert world.events[-1].fields["Source"] == "DELETE_BY_TRANSFER"
    assert "WelcomeCode" not in world.events[0].fields
    api.token = ""
    pair = {"handover_userid": "lisi", "takeover_userid": "sunqi"}
    assert api.post("externalcontact/transfer_result", pair)["customer"][0]["status"] == 1


def test_a_customer_may_refuse_a_transfer(api: Any, world: World, clock: ManualClock) -> None:
    ext = world.remember("lisi", "小雨").external_userid
    body = {"handover_userid": "lisi", "takeover_userid": "sunqi", "external_userid": [ext]}
    api.post("externalcontact/transfer_customer", body)
    world.refuse_transfer(ext)
    clock.advance(86_400)
    assert changes(world) == ["transfer_fail"]
    assert world.events[-1].fields["UserID"] == "sunqi"


def test_a_group_is_read_two_seconds_late(api: Any, world: World, clock: ManualClock) -> None:
    ext = world.remember("lisi", "小雨").external_userid
    chat = world.open_group("lisi", "豆友群")
    assert api.post("externalcontact/groupchat/get", {"chat_id": chat.chat_id})["errcode"] == 40050
    clock.advance(2)
    world.join_group(chat.chat_id, [ext])
    assert (world.events[-1].fields["UpdateDetail"], world.events[-1].fields["MemChangeCnt"]) == ("add_member", 1)
    before = api.post("externalcontact/groupchat/get", {"chat_id": chat.chat_id})["group_chat"]
    clock.advance(2)
    after = api.post("externalcontact/groupchat/get", {"chat_id": chat.chat_id})["group_chat"]
    assert (len(before["member_list"]), len(after["member_list"])) == (1, 2)
    assert after["member_version"] == world.events[-1].fields["CurMemVer"]


def test_changes_to_members_are_told_with_what_changed(world: World) -> None:
    world.update_member("lisi", position="店长")
    fields = world.events[-1].fields
    assert (fields["ChangeType"], fields["Position"], "Name" in fields) == ("update_user", "店长", False)
    world.dismiss_member("lisi")
    assert world.events[-1].fields["ChangeType"] == "delete_user"


def test_the_past_is_told_late_with_the_time_it_happened(api: Any, world: World, clock: ManualClock) -> None:
    way = world.make_way(["lisi", "wangwu"], "counter")
    stayed, left = world.past_scan("counter", "小雨", 3), world.past_scan("counter", "阿哲", 3, left_days_ago=1)
    assert changes(world) == ["add_external_contact", "add_external_contact", "del_follow_user"]
    days = [(clock.now() - int(str(event.fields["CreateTime"]))) / 86_400 for event in world.events]
    assert [round(one, 3) for one in days] == [3, 3, 1]
    assert not any("WelcomeCode" in event.fields for event in world.events)
    read = api.get("externalcontact/get", external_userid=stayed.external_userid)["follow_user"][0]
    assert (read["userid"], read["state"], read["createtime"]) == ("lisi", way.state, int(clock.now() - 3 * 86_400))
    assert world.relation("wangwu", left.external_userid).status == "customer_deleted"
    with pytest.raises(KeyError):
        world.past_scan("no such code", "小雨", 3)


def test_one_seed_makes_one_world() -> None:
    first, second = (World.demo(ManualClock(), seed=7) for _ in range(2))
    assert list(first.customers) == list(second.customers)
    assert list(World.demo(ManualClock(), seed=8).customers) != list(first.customers)

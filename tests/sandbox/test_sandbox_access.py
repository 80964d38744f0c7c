"""Tokens, rights, limits, cursors, sign-in: the door of the API."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.clock import ManualClock, SystemClock
from sandbox.facts import App, Member
from sandbox.knobs import Faults, Limits
from sandbox.world import AES_KEY, AGENT_ID, World


def test_a_token_stays_the_same_while_it_is_valid(api: Any) -> None:
    first = api.get_token()
    api.token = ""
    assert api.get_token() == first


def test_a_killed_token_is_refused_and_a_new_one_works(api: Any, world: World) -> None:
    api.get_token()
    world.kill_token()
    assert api.get("agent/get", agentid=AGENT_ID)["errcode"] == 40014
    api.token = ""
    assert api.get("agent/get", agentid=AGENT_ID)["errcode"] == 0


def test_an_old_token_has_expired(api: Any, clock: ManualClock) -> None:
    api.get_token()
    clock.advance(7200)
    assert api.get("agent/get", agentid=AGENT_ID)["errcode"] == 42001


def test_a_token_must_be_there_and_the_secret_right(api: Any) -> None:
    assert api.get("agent/get", access_token="")["errcode"] == 41001
    assert api.get("gettoken", corpid=api.world.corp_id, corpsecret="guess")["errcode"] == 40001


def test_an_app_cannot_use_the_agentid_of_another(api: Any) -> None:
    assert api.get("agent/get", agentid=1000009)["errcode"] == 301002
    message = {"touser": "lisi", "msgtype": "text", "agentid": 1000009, "text": {"content": "hi"}}
    assert api.post("message/send", message)["errcode"] == 301002


def test_an_app_without_customer_contact_is_kept_out(world: World, caller: Callable[..., Any]) -> None:
    world.add_app(App(1000005, "考勤", "other-secret", "t", AES_KEY, customer_contact=False))
    assert caller(world, 1000005).get("externalcontact/get_follow_user_list")["errcode"] == 48002


def test_only_trusted_addresses_get_in(api: Any, world: World) -> None:
    world.trusted_ips = frozenset({"10.0.0.1"})
    assert api.get("agent/get", agentid=AGENT_ID)["errcode"] == 60020


def test_an_idle_app_is_shut_out(api: Any, world: World) -> None:
    world.app(AGENT_ID).suspended = True
    assert api.get("agent/get", agentid=AGENT_ID)["errcode"] == 48006


def test_the_wrong_verb_and_broken_json_are_refused(api: Any) -> None:
    assert api.get("externalcontact/mark_tag")["errcode"] == 40058
    url = f"https://qyapi.weixin.qq.com/cgi-bin/message/send?access_token={api.get_token()}"
    said = api.session.post(url, data="{not json").json()
    assert said["errcode"] == 40058
    assert "wrong json format" in said["errmsg"]


def test_an_error_message_is_never_the_same_twice(api: Any) -> None:
    assert api.get("user/get", userid="nobody")["errmsg"] != api.get("user/get", userid="nobody")["errmsg"]


def test_some_answers_have_no_errcode(api: Any) -> None:
    assert set(api.get("getcallbackip")) == {"ip_list"}


def test_a_full_window_shuts_one_endpoint_for_its_length(api: Any, world: World, clock: ManualClock) -> None:
    world.limits.per_minute = 3
    codes = [api.get("department/list")["errcode"] for _ in range(5)]
    assert codes == [0, 0, 0, 45009, 45009]
    assert api.get("user/get", userid="lisi")["errcode"] == 0
    assert world.counts()["department/list"]["inside_block"] == 1
    clock.advance(59)
    assert api.get("department/list")["errcode"] == 45009
    clock.advance(2)
    assert api.get("department/list")["errcode"] == 0


def test_more_than_five_mark_tags_at_once_are_too_many(caller: Callable[..., Any]) -> None:
    world = World.small_shop(SystemClock(), faults=Faults(latency={"externalcontact/mark_tag": 0.2}))
    customer = world.remember("lisi", "小雨")
    tag_id = next(iter(world.console_tags("口味", ["拿铁"]).tags))
    body = {"userid": "lisi", "external_userid": customer.external_userid, "add_tag": [tag_id]}
    codes = at_once(8, lambda: caller(world).post("externalcontact/mark_tag", body)["errcode"])
    assert sorted(codes) == [0] * 5 + [45033] * 3
    assert world.counts()["externalcontact/mark_tag"]["most_at_once"] == 8


def at_once(count: int, act: Callable[[], int]) -> list[int]:
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(act())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return codes


def test_userids_match_in_any_case_and_keep_their_own(api: Any) -> None:
    assert api.get("user/get", userid="LiSi")["userid"] == "lisi"


def test_a_member_who_is_missing_or_out_of_sight_has_his_own_code(api: Any, world: World) -> None:
    world.add_member(Member("ghost", "隐", in_range=False))
    assert api.get("user/get", userid="nobody")["errcode"] == 60111
    assert api.get("user/get", userid="ghost")["errcode"] == 60011


def test_a_new_app_reads_no_mobile_numbers(api: Any, world: World) -> None:
    assert "mobile" not in api.get("user/get", userid="lisi")
    world.app(AGENT_ID).sensitive_fields = True
    assert api.get("user/get", userid="lisi")["gender"] == "2"


def test_a_planned_failure_comes_first_and_only_so_often(api: Any, world: World) -> None:
    world.fail_next("user/get", -1, times=2)
    assert [api.get("user/get", userid="lisi")["errcode"] for _ in range(3)] == [-1, -1, 0]


def test_a_cursor_is_signed_and_dies(api: Any, clock: ManualClock) -> None:
    page = api.post("user/list_id", {"limit": 2})
    assert len(page["dept_user"]) == 2
    more = api.post("user/list_id", {"limit": 2, "cursor": page["next_cursor"]})
    assert more["dept_user"] != page["dept_user"]
    assert api.post("user/list_id", {"cursor": "A" + page["next_cursor"][1:]})["errcode"] == 50100
    assert api.post("user/list_id", {"cursor": "!"})["errcode"] == 50100
    clock.advance(600)
    assert api.post("user/list_id", {"cursor": page["next_cursor"]})["errcode"] == 50100


def test_a_cursor_of_another_endpoint_is_worth_nothing(api: Any) -> None:
    cursor = api.post("user/list_id", {"limit": 2})["next_cursor"]
    body = {"userid_list": ["lisi"], "cursor": cursor}
    assert api.post("externalcontact/batch/get_by_user", body)["errcode"] == 50100


def test_a_sign_in_code_is_used_once_and_within_five_minutes(api: Any, world: World, clock: ManualClock) -> None:
    code = world.sign_in.give_code("lisi")
    assert api.get("auth/getuserinfo", code=code)["userid"] == "lisi"
    assert api.get("auth/getuserinfo", code=code)["errcode"] == 42022
    assert api.get("auth/getuserinfo", code="guess")["errcode"] == 40029
    late = world.sign_in.give_code("lisi")
    clock.advance(300)
    assert api.get("auth/getuserinfo", code=late)["errcode"] == 42003


def test_the_old_sign_in_address_answers_in_capitals(api: Any, world: World) -> None:
    assert api.get("user/getuserinfo", code=world.sign_in.give_code("lisi"))["UserId"] == "lisi"


def test_private_details_need_consent(api: Any, world: World) -> None:
    code = world.sign_in.give_code("lisi", scope="snsapi_privateinfo")
    ticket = api.get("auth/getuserinfo", code=code)["user_ticket"]
    assert api.post("auth/getuserdetail", {"user_ticket": ticket})["mobile"] == "13800000002"
    assert api.post("auth/getuserdetail", {"user_ticket": "x"})["errcode"] == 84015


def test_a_customer_signs_in_as_an_outsider(api: Any, world: World) -> None:
    customer = world.remember("lisi", "小雨")
    code = world.sign_in.give_code(customer.external_userid, is_member=False)
    said = api.get("auth/getuserinfo", code=code)
    assert said["external_userid"] == customer.external_userid
    assert "userid" not in said


def test_the_two_jsapi_tickets_differ_and_signatures_can_be_checked(api: Any, world: World) -> None:
    corp = api.get("get_jsapi_ticket")["ticket"]
    app = api.get("ticket/get", type="agent_config")["ticket"]
    assert corp != app
    from sandbox.credentials import js_signature

    page = "https://crm.example.test/sidebar"
    signature = js_signature(app, "n", 1, page)
    assert world.check_js_signature("agent_config", AGENT_ID, "n", 1, page, signature)
    assert not world.check_js_signature("jsapi", AGENT_ID, "n", 1, page, signature)


def test_unknown_fields_turn_up_when_asked_for(api: Any, world: World) -> None:
    world.faults.unknown_fields = 1.0
    assert "sandbox_new_field" in json.dumps(api.get("department/list"))


@pytest.mark.parametrize("path", ["externalcontact/unheard_of", "x"])
def test_an_unknown_path_is_an_error_in_json(api: Any, path: str) -> None:
    assert api.get(path)["errcode"] == 40094


def test_scaled_limits_scale_the_windows() -> None:
    assert (Limits.scaled(0.001).per_minute, Limits.scaled(0.001).per_hour) == (10, 150)

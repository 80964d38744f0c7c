"""微信客服: pulling with a cursor, the window of 48 hours, states, codes, accounts, servicers."""

from typing import Any

import pytest

from sandbox.clock import ManualClock
from sandbox.facts import KF_ASSISTANT, KF_ENDED, KF_HUMAN, KF_NEW, KF_POOL, KfAccount, KfVisit
from sandbox.kf_actors import FILES, SAMPLES
from sandbox.world import AGENT_ID, World

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
HOUR = 3600


@pytest.fixture
def account(world: World) -> KfAccount:
    made = world.kf_account("豆子客服", ["lisi", "wangwu"])
    world.events.clear()
    return made


@pytest.fixture
def visit(world: World, account: KfAccount) -> KfVisit:
    return world.kf_enter(account.open_kfid, "小雨")


@pytest.fixture
def asker(world: World, visit: KfVisit) -> KfVisit:
    world.kf_say(visit.open_kfid, visit.external_userid, "在吗")
    return visit


def pull(api: Any, world: World, account: KfAccount, cursor: str = "", **more: Any) -> dict[str, Any]:
    token = next((str(one.fields["Token"]) for one in reversed(world.events) if "Token" in one.fields), "")
    found: dict[str, Any] = api.post(
        "kf/sync_msg", {"open_kfid": account.open_kfid, "cursor": cursor, "token": token, **more}
    )
    return found


def say(api: Any, visit: KfVisit, content: str = "在的", **more: Any) -> dict[str, Any]:
    body = {"touser": visit.external_userid, "open_kfid": visit.open_kfid, "msgtype": "text"}
    found: dict[str, Any] = api.post("kf/send_msg", {**body, "text": {"content": content}, **more})
    return found


def trans(api: Any, visit: KfVisit, state: int, **more: Any) -> dict[str, Any]:
    body = {"open_kfid": visit.open_kfid, "external_userid": visit.external_userid, "service_state": state}
    found: dict[str, Any] = api.post("kf/service_state/trans", {**body, **more})
    return found


def on_event(api: Any, code: str, msgtype: str = "text", **more: Any) -> int:
    place = {"latitude": 31.2, "longitude": 121.4}
    contents = {"text": {"content": "您好"}, "msgmenu": {"head_content": "满意吗"}, "location": place}
    body = {"code": code, "msgtype": msgtype, msgtype: contents.get(msgtype, {}), **more}
    errcode: int = api.post("kf/send_msg_on_event", body)["errcode"]
    return errcode


def events_of(account: KfAccount) -> list[dict[str, Any]]:
    return [one.body["event"] for one in account.items if one.body["msgtype"] == "event"]


# --- the callback, and pulling --------------------------------------------------------------------------------


def test_the_callback_says_only_that_there_is_something(world: World, account: KfAccount, asker: KfVisit) -> None:
    fields = world.events[-1].fields
    assert set(fields) == {"ToUserName", "CreateTime", "MsgType", "Event", "Token", "OpenKfId"}
    assert (fields["Event"], fields["OpenKfId"]) == ("kf_msg_or_event", account.open_kfid)


def test_a_message_is_pulled_once_with_the_cursor(api: Any, world: World, account: KfAccount, asker: KfVisit) -> None:
    first = pull(api, world, account)
    enter, text = first["msg_list"]
    assert (enter["msgtype"], enter["origin"], enter["event"]["event_type"]) == ("event", 4, "enter_session")
    assert "external_userid" not in enter
    assert enter["event"]["external_userid"] == asker.external_userid
    assert (text["origin"], text["text"], text["external_userid"]) == (3, {"content": "在吗"}, asker.external_userid)
    assert (first["has_more"], len(first["next_cursor"]) <= 64) == (0, True)
    again = pull(api, world, account, first["next_cursor"])
    assert (again["msg_list"], again["has_more"]) == ([], 0)
    world.kf_say(account.open_kfid, asker.external_userid, "还在吗")
    assert [one["text"]["content"] for one in pull(api, world, account, again["next_cursor"])["msg_list"]] == ["还在吗"]


def test_has_more_is_the_only_end(api: Any, world: World, account: KfAccount, asker: KfVisit) -> None:
    for number in range(40):
        world.kf_say(account.open_kfid, asker.external_userid, f"{number}")
    world.faults.empty_page, world.faults.short_page = 0.4, 0.4
    found: list[str] = []
    empty, cursor, more = 0, "", 1
    while more:
        page = pull(api, world, account, cursor, limit=5)
        found += [one["msgid"] for one in page["msg_list"]]
        empty += not page["msg_list"] and page["has_more"]
        cursor, more = page["next_cursor"], page["has_more"]
    assert len(found) == len(set(found)) == 42
    assert empty


def test_a_cursor_is_good_at_its_account_and_lasts(
    api: Any, world: World, account: KfAccount, asker: KfVisit, clock: ManualClock
) -> None:
    cursor = pull(api, world, account)["next_cursor"]
    other = world.kf_account("售后")
    assert api.post("kf/sync_msg", {"open_kfid": other.open_kfid, "cursor": cursor})["errcode"] == 50100
    assert api.post("kf/sync_msg", {"open_kfid": account.open_kfid, "cursor": "x" * 65})["errcode"] == 50100
    clock.advance(30 * 86_400)
    api.token = ""
    assert api.post("kf/sync_msg", {"open_kfid": account.open_kfid, "cursor": cursor})["errcode"] == 0


def test_three_days_are_remembered(
    api: Any, world: World, account: KfAccount, asker: KfVisit, clock: ManualClock
) -> None:
    clock.advance(2 * 86_400)
    world.kf_say(account.open_kfid, asker.external_userid, "新的")
    clock.advance(86_400)
    api.token = ""
    assert [one["text"]["content"] for one in pull(api, world, account, token="")["msg_list"]] == ["新的"]


def test_a_token_frees_for_ten_minutes_from_a_strict_limit(
    api: Any, world: World, account: KfAccount, asker: KfVisit, clock: ManualClock
) -> None:
    world.limits.kf_pulls_without_token_per_minute = 2
    assert [pull(api, world, account)["errcode"] for _ in range(5)] == [0] * 5
    assert [pull(api, world, account, token="")["errcode"] for _ in range(3)] == [0, 0, 45009]
    assert pull(api, world, account)["errcode"] == 0
    clock.advance(600)
    assert [pull(api, world, account)["errcode"] for _ in range(3)] == [0, 0, 45009]
    assert pull(api, world, account, token="made-up")["errcode"] == 95007


@pytest.mark.parametrize(("open_kfid", "errcode"), [("", 95000), ("nobody", 95000), ("wkNobody", 95004)])
def test_an_account_must_be_there(api: Any, open_kfid: str, errcode: int) -> None:
    assert api.post("kf/sync_msg", {"open_kfid": open_kfid})["errcode"] == errcode


def test_more_than_a_thousand_cannot_be_asked_for(api: Any, world: World, account: KfAccount) -> None:
    assert pull(api, world, account, limit=1001)["errcode"] == 40058


def test_what_happens_together_shares_a_callback(
    api: Any, world: World, account: KfAccount, visit: KfVisit, clock: ManualClock
) -> None:
    world.events.clear()
    with world.acting():
        world.kf_say(account.open_kfid, visit.external_userid, "一")
        world.kf_say(account.open_kfid, visit.external_userid, "二")
    assert len(world.events) == 1
    world.limits.kf_merge_seconds = 3
    for word in ("三", "四", "五"):
        world.kf_say(account.open_kfid, visit.external_userid, word)
    assert len(world.events) == 1
    clock.advance(3)
    assert len(world.events) == 2
    assert len(pull(api, world, account)["msg_list"]) == 6


def test_pulls_that_meet_are_counted(api: Any, world: World, account: KfAccount) -> None:
    pull(api, world, account)
    assert world.kf_pulls_at_once(account.open_kfid) == 1
    with world.log.under_way(f"kf/sync_msg {account.open_kfid}"):
        pull(api, world, account)
    assert world.kf_pulls_at_once(account.open_kfid) == 2


def test_every_kind_of_message_can_be_said(api: Any, world: World, account: KfAccount, visit: KfVisit) -> None:
    kinds = [*SAMPLES, *FILES, "meeting", "schedule", "note", "hologram"]
    for kind in kinds:
        world.kf_say(account.open_kfid, visit.external_userid, msgtype=kind)
    found = {one["msgtype"]: one for one in pull(api, world, account)["msg_list"][1:]}
    assert list(found) == kinds
    assert "note" not in found["note"]
    assert found["channels_shop_order"]["channels_shop_order"]["state"] == "待发货"


def test_a_customers_file_is_there_for_three_days(
    api: Any, world: World, account: KfAccount, visit: KfVisit, clock: ManualClock
) -> None:
    world.kf_send_file(account.open_kfid, visit.external_userid, "file", "合同", "合同.txt")
    media_id = pull(api, world, account)["msg_list"][-1]["file"]["media_id"]
    url = "https://qyapi.weixin.qq.com/cgi-bin/media/get"
    query = {"access_token": api.get_token(), "media_id": media_id}
    assert api.session.get(url, params=query).content == "合同".encode()
    clock.advance(3 * 86_400)
    api.token = ""
    assert api.get("media/get", media_id=media_id)["errcode"] == 40007


# --- sending --------------------------------------------------------------------------------------------------


def test_five_answers_to_each_word_of_the_customer(api: Any, world: World, asker: KfVisit, account: KfAccount) -> None:
    assert [say(api, asker)["errcode"] for _ in range(6)] == [0, 0, 0, 0, 0, 95001]
    world.kf_say(asker.open_kfid, asker.external_userid, "好的")
    assert say(api, asker)["errcode"] == 0
    assert "text" not in [one["msgtype"] for one in pull(api, world, account)["msg_list"] if one["origin"] != 3]


def test_after_48_hours_there_is_no_answer(api: Any, visit: KfVisit, world: World, clock: ManualClock) -> None:
    assert say(api, visit)["errcode"] == 95002
    world.kf_say(visit.open_kfid, visit.external_userid, "在吗")
    clock.advance(48 * HOUR)
    api.token = ""
    assert say(api, visit)["errcode"] == 95002
    assert world.kf_state(visit.open_kfid, visit.external_userid) == KF_ENDED


def test_a_msgid_is_delivered_once(api: Any, world: World, asker: KfVisit) -> None:
    assert say(api, asker, msgid="answer-1")["msgid"] == "answer-1"
    assert say(api, asker, msgid="answer-1") == {"errcode": 0, "errmsg": "ok", "msgid": "answer-1"}
    assert [one.msgid for one in world.kf_sent] == ["answer-1"]
    assert say(api, asker, msgid="no spaces")["errcode"] == 40058


def test_the_customer_sees_what_was_sent(api: Any, world: World, asker: KfVisit) -> None:
    say(api, asker, "在的")
    lines = world.kf_chat(asker.open_kfid, asker.external_userid)
    assert [(one.who, one.content["content"]) for one in lines] == [("customer", "在吗"), ("app", "在的")]


def test_accepted_is_not_delivered(api: Any, world: World, asker: KfVisit, account: KfAccount) -> None:
    world.kf_refuse(asker.open_kfid, asker.external_userid)
    msgid = say(api, asker)["msgid"]
    assert events_of(account)[-1] == {
        "event_type": "msg_send_fail",
        "open_kfid": account.open_kfid,
        "external_userid": asker.external_userid,
        "fail_msgid": msgid,
        "fail_type": 10,
    }
    world.kf_refuse(asker.open_kfid, asker.external_userid, on=False)
    world.faults.kf_send_fail = 1.0
    say(api, asker)
    assert events_of(account)[-1]["fail_type"] == 0


def menu(count: int = 1, **entry: Any) -> dict[str, Any]:
    one = entry or {"type": "click", "click": {"id": "101", "content": "查订单"}}
    return {"head_content": "您想？", "list": [one] * count, "tail_content": "点一个"}


@pytest.mark.parametrize(
    ("msgtype", "content", "errcode"),
    [
        ("poem", {}, 40008),
        ("text", {"content": ""}, 44004),
        ("text", {"content": "长" * 683}, 45002),
        ("image", {"media_id": "gone"}, 40007),
        ("file", {}, 41006),
        ("link", {"title": "x" * 129, "url": "https://a.example", "thumb_media_id": "m"}, 40058),
        ("link", {"title": "x", "thumb_media_id": "m"}, 40058),
        ("link", {"title": "x", "url": "https://a.example", "thumb_media_id": "gone"}, 40007),
        ("miniprogram", {"appid": "wx", "title": "长" * 22, "pagepath": "p", "thumb_media_id": "m"}, 40058),
        ("msgmenu", menu(11), 95008),
        ("msgmenu", menu(type="dance", dance={}), 95009),
        ("msgmenu", menu(type="click", click={"id": "x" * 65, "content": "a"}), 40058),
        ("msgmenu", menu(type="view", view={"content": "a"}), 40058),
        ("msgmenu", menu(10), 0),
        ("msgmenu", menu(type="text", text={"content": "a", "no_newline": 1}), 0),
        ("location", {"name": "店"}, 40058),
        ("location", {"name": "店", "latitude": 31.2, "longitude": 121.4}, 0),
        ("business_card", {"userid": "nobody"}, 40003),
        ("business_card", {"userid": "lisi"}, 0),
        ("ca_link", {"link_url": "https://shop.example"}, 40058),
        ("ca_link", {"link_url": "https://work.weixin.qq.com/ca/cawcde"}, 0),
    ],
)
def test_a_message_to_a_customer_is_checked(
    api: Any, asker: KfVisit, msgtype: str, content: dict[str, Any], errcode: int
) -> None:
    assert say(api, asker, msgtype=msgtype, **{msgtype: content})["errcode"] == errcode


def test_a_pressed_menu_says_its_words_and_its_id(api: Any, world: World, asker: KfVisit, account: KfAccount) -> None:
    say(api, asker, msgtype="msgmenu", msgmenu=menu())
    world.kf_click(asker.open_kfid, asker.external_userid, "101")
    assert pull(api, world, account)["msg_list"][-1]["text"] == {"content": "查订单", "menu_id": "101"}
    with pytest.raises(KeyError):
        world.kf_click(asker.open_kfid, asker.external_userid, "102")


# --- codes ----------------------------------------------------------------------------------------------------


def test_entering_brings_a_code_for_one_welcome(api: Any, world: World, account: KfAccount, clock: ManualClock) -> None:
    visit = world.kf_enter(account.open_kfid, "小雨", scene="poster", scene_param="a=1")
    event = events_of(account)[-1]
    assert (event["scene"], event["scene_param"], event["welcome_code"]) == ("poster", "a=1", visit.welcome_code)
    assert on_event(api, visit.welcome_code, "location") == 40008
    assert on_event(api, visit.welcome_code, msgid="hello") == 0
    assert on_event(api, visit.welcome_code) == 95007
    assert [(one.msgid, one.code) for one in world.kf_sent] == [("hello", visit.welcome_code)]
    assert world.kf_enter(account.open_kfid, external_userid=visit.external_userid).welcome_code == ""
    clock.advance(48 * HOUR)
    late = world.kf_enter(account.open_kfid, external_userid=visit.external_userid).welcome_code
    clock.advance(21)
    api.token = ""
    assert on_event(api, late) == 95007


def test_no_code_for_somebody_who_wrote_or_a_console_welcome(world: World, account: KfAccount, asker: KfVisit) -> None:
    assert world.kf_enter(account.open_kfid, external_userid=asker.external_userid).welcome_code == ""
    account.console_welcome = True
    assert world.kf_enter(account.open_kfid, "阿哲").welcome_code == ""


def test_a_code_holds_while_the_session_stays_where_it_was_given(
    api: Any, world: World, asker: KfVisit, clock: ManualClock
) -> None:
    pool = trans(api, asker, KF_POOL)["msg_code"]
    assert on_event(api, pool, "msgmenu") == 40008
    clock.advance(HOUR)
    api.token = ""
    assert on_event(api, pool) == 0
    again = trans(api, asker, KF_HUMAN, servicer_userid="lisi")["msg_code"]
    ended = trans(api, asker, KF_ENDED)["msg_code"]
    assert on_event(api, again) == 95018
    assert on_event(api, ended, "msgmenu") == 0
    assert on_event(api, ended) == 95007


# --- states ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", range(5))
def test_only_some_ways_lead_on(api: Any, world: World, asker: KfVisit, start: int) -> None:
    allowed = {0: {1, 2, 3}, 1: {2, 3}, 2: {3}, 3: {3, 4}, 4: set()}[start]
    for wanted in range(5):
        session = world.kf_session(asker.open_kfid, asker.external_userid)
        session.state, session.servicer = start, "wangwu" if start == KF_HUMAN else ""
        said = trans(api, asker, wanted, servicer_userid="lisi")
        assert said["errcode"] == (0 if wanted in allowed else 95016)
        assert ("msg_code" in said) == (wanted in allowed and wanted != KF_ASSISTANT)


def test_a_human_must_be_a_servicer_who_receives(api: Any, world: World, asker: KfVisit) -> None:
    assert trans(api, asker, KF_HUMAN, servicer_userid="sunqi")["errcode"] == 95014
    assert trans(api, asker, KF_HUMAN)["errcode"] == 95014
    world.kf_receiving(asker.open_kfid, "lisi", on=False, stop_type=1)
    assert trans(api, asker, KF_HUMAN, servicer_userid="lisi")["errcode"] == 95019
    assert trans(api, asker, KF_HUMAN, servicer_userid="wangwu")["errcode"] == 0
    body = {"open_kfid": asker.open_kfid, "external_userid": asker.external_userid}
    said = api.post("kf/service_state/get", body)
    assert (said["service_state"], said["servicer_userid"]) == (KF_HUMAN, "wangwu")


@pytest.mark.parametrize("state", [KF_POOL, KF_HUMAN])
def test_an_app_is_silent_where_a_human_answers(api: Any, asker: KfVisit, state: int) -> None:
    trans(api, asker, state, servicer_userid="lisi")
    assert say(api, asker)["errcode"] == 95018


def test_a_servicer_takes_writes_passes_on_and_ends(api: Any, world: World, asker: KfVisit, account: KfAccount) -> None:
    pair = (asker.open_kfid, asker.external_userid)
    trans(api, asker, KF_POOL)
    code = world.kf_take(asker.open_kfid, "lisi", asker.external_userid)
    assert events_of(account)[-1]["change_type"] == 1
    assert on_event(api, code) == 0
    world.kf_servicer_says(asker.open_kfid, "lisi", asker.external_userid, "我来帮您")
    written = account.items[-1].body
    assert (written["origin"], written["servicer_userid"], written["text"]) == (5, "lisi", {"content": "我来帮您"})
    world.kf_pass_on(*pair, "wangwu")
    passed = events_of(account)[-1]
    assert (passed["change_type"], passed["old_servicer_userid"], passed["new_servicer_userid"]) == (
        2,
        "lisi",
        "wangwu",
    )
    with pytest.raises(ValueError, match="wangwu"):
        world.kf_servicer_says(asker.open_kfid, "lisi", asker.external_userid, "还有我")
    ended = world.kf_end(*pair)
    assert events_of(account)[-1]["msg_code"] == ended
    assert on_event(api, ended, "msgmenu") == 0
    world.kf_take(asker.open_kfid, "wangwu", asker.external_userid)
    assert (events_of(account)[-1]["change_type"], "msg_code" in events_of(account)[-1]) == (4, False)
    world.kf_end(*pair)
    world.kf_say(*pair, "又来了")
    assert world.kf_state(*pair) == KF_NEW


def test_recalls_switches_and_pauses_are_events(world: World, asker: KfVisit, account: KfAccount, api: Any) -> None:
    pair = (asker.open_kfid, asker.external_userid)
    msgid = world.kf_say(*pair, "说错了")
    world.kf_recall(*pair, msgid)
    assert events_of(account)[-1] == {
        "event_type": "user_recall_msg",
        "open_kfid": account.open_kfid,
        "external_userid": asker.external_userid,
        "recall_msgid": msgid,
    }
    trans(api, asker, KF_HUMAN, servicer_userid="lisi")
    world.kf_recall(*pair, world.kf_servicer_says(asker.open_kfid, "lisi", asker.external_userid, "哎"))
    assert events_of(account)[-1]["servicer_userid"] == "lisi"
    world.kf_reject(asker.open_kfid, "lisi", asker.external_userid)
    assert events_of(account)[-1]["reject_switch"] == 1
    world.kf_receiving(asker.open_kfid, "lisi", on=False)
    assert (events_of(account)[-1]["status"], events_of(account)[-1]["stop_type"]) == (2, 0)


# --- accounts, servicers, links, customers --------------------------------------------------------------------


def upload(api: Any) -> str:
    url = "https://qyapi.weixin.qq.com/cgi-bin/media/upload"
    query = {"access_token": api.get_token(), "type": "image"}
    media_id: str = api.session.post(url, params=query, files={"media": ("a.png", PNG)}).json()["media_id"]
    return media_id


def test_an_app_makes_renames_lists_and_deletes_accounts(api: Any, second_app: Any, world: World) -> None:
    media_id = upload(api)
    assert api.post("kf/account/add", {"name": "长" * 17, "media_id": media_id})["errcode"] == 95006
    assert api.post("kf/account/add", {"name": "售后", "media_id": "gone"})["errcode"] == 40007
    open_kfid = api.post("kf/account/add", {"name": "售后", "media_id": media_id})["open_kfid"]
    assert open_kfid.startswith("wk")
    assert not world.events
    assert api.post("kf/account/update", {"open_kfid": open_kfid, "name": "售后客服"})["errcode"] == 0
    for number in range(2):
        world.kf_account(f"客服{number}")
    names = [api.post("kf/account/list", {"offset": n, "limit": 1})["account_list"] for n in range(4)]
    assert [one["name"] for page in names for one in page] == ["售后客服", "客服0", "客服1"]
    others = second_app.post("kf/account/list")["account_list"]
    assert [one["manage_privilege"] for one in others] == [False, True, True]
    assert second_app.post("kf/account/del", {"open_kfid": open_kfid})["errcode"] == 48007
    assert api.post("kf/account/del", {"open_kfid": open_kfid})["errcode"] == 0
    assert api.post("kf/account/del", {"open_kfid": open_kfid})["errcode"] == 95004


def test_the_console_says_which_apps_may_manage_an_account(api: Any, second_app: Any, world: World) -> None:
    account = world.kf_account("豆子客服", managers=[1000003])
    assert (world.events[-1].agent_id, len(world.events)) == (1000003, 1)
    assert world.events[-1].fields["AuthAddOpenKfId"] == [account.open_kfid]
    assert api.post("kf/sync_msg", {"open_kfid": account.open_kfid})["errcode"] == 48007
    world.kf_authorise(account.open_kfid, AGENT_ID)
    assert api.post("kf/sync_msg", {"open_kfid": account.open_kfid})["errcode"] == 0
    world.kf_authorise(account.open_kfid, AGENT_ID, on=False)
    assert f"<AuthDelOpenKfId><![CDATA[{account.open_kfid}]]></AuthDelOpenKfId>" in world.events[-1].xml


def test_an_app_without_the_right_neither_calls_nor_hears(api: Any, world: World) -> None:
    world.app(AGENT_ID).kf = False
    account = world.kf_account()
    world.kf_enter(account.open_kfid)
    assert not world.events
    assert api.post("kf/account/list")["errcode"] == 48002


def test_each_servicer_has_an_errcode_of_his_own(api: Any, world: World, account: KfAccount) -> None:
    body = {"open_kfid": account.open_kfid, "userid_list": ["SunQi", "nobody"], "department_id_list": [2, 99]}
    said = api.post("kf/servicer/add", body)["result_list"]
    assert [one["errcode"] for one in said] == [0, 95014, 0, 60123]
    world.kf_receiving(account.open_kfid, "sunqi", on=False, stop_type=1)
    listed = api.get("kf/servicer/list", open_kfid=account.open_kfid)["servicer_list"]
    assert listed[-2:] == [{"userid": "sunqi", "status": 1, "stop_type": 1}, {"department_id": 2}]
    gone = {"open_kfid": account.open_kfid, "userid_list": ["sunqi", "sunqi"], "department_id_list": [2]}
    assert [one["errcode"] for one in api.post("kf/servicer/del", gone)["result_list"]] == [0, 95014, 0]
    world.dismiss_member("lisi")
    assert list(account.servicers) == ["wangwu"]


def test_a_link_carries_its_scene(api: Any, world: World, account: KfAccount) -> None:
    body = {"open_kfid": account.open_kfid, "scene": "menu_card-1"}
    url = api.post("kf/add_contact_way", body)["url"]
    world.kf_follow_link(f"{url}&scene_param=a%3D1", "阿哲")
    assert (events_of(account)[-1]["scene"], events_of(account)[-1]["scene_param"]) == ("menu_card-1", "a=1")
    bare = api.post("kf/add_contact_way", {"open_kfid": account.open_kfid})["url"]
    world.kf_follow_link(f"{bare}?scene_param=a", "阿哲")
    assert (events_of(account)[-1]["scene"], events_of(account)[-1]["scene_param"]) == ("", "")
    assert api.post("kf/add_contact_way", {**body, "scene": "no spaces"})["errcode"] == 40058


def test_customers_are_read_by_the_hundred(api: Any, world: World, account: KfAccount) -> None:
    visit = world.kf_enter(account.open_kfid, "小雨", unionid="o-1", scene="poster")
    stranger = world.new_customer("老王").external_userid
    body = {"external_userid_list": [visit.external_userid, stranger, "wm-none"], "need_enter_session_context": 1}
    said = api.post("kf/customer/batchget", body)
    (found,) = said["customer_list"]
    assert (found["nickname"], found["unionid"]) == ("小雨", "o-1")
    assert found["enter_session_context"] == {"scene": "poster", "scene_param": ""}
    assert said["invalid_external_userid"] == [stranger, "wm-none"]

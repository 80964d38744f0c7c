"""Messages of the app to members, and files."""

from typing import Any

import pytest

from sandbox.clock import ManualClock
from sandbox.world import AGENT_ID, World

PNG = b"\x89PNG\r\n\x1a\n" + b"\r\n--not a boundary" + bytes(range(256))


def text(content: str = "有新客户", **more: Any) -> dict[str, Any]:
    return {"touser": "lisi", "msgtype": "text", "agentid": AGENT_ID, "text": {"content": content}, **more}


def card(task_id: str | None, **more: Any) -> dict[str, Any]:
    parts = {"card_type": "button_interaction", "main_title": {"title": "跟进"}, "task_id": task_id, **more}
    body = {name: value for name, value in parts.items() if value is not None}
    return {"touser": "lisi", "msgtype": "template_card", "agentid": AGENT_ID, "template_card": body}


def test_bad_recipients_are_named_in_small_letters(api: Any, world: World) -> None:
    said = api.post("message/send", text(touser="LiSi|Nobody|Ghost"))
    assert (said["errcode"], said["invaliduser"]) == (0, "nobody|ghost")
    assert [one.content["content"] for one in world.inbox_of("lisi")] == ["有新客户"]


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"touser": ""}, 82001),
        ({"touser": "Nobody"}, 81013),
        ({"touser": "|".join("abcdefgh"[n % 8] * 2 for n in range(1001))}, 40031),
        ({"msgtype": "poem"}, 40008),
        ({"text": {"content": ""}}, 44004),
    ],
)
def test_a_message_is_checked(api: Any, change: dict[str, Any], errcode: int) -> None:
    assert api.post("message/send", {**text(), **change})["errcode"] == errcode


def test_a_long_text_is_cut_at_2048_bytes(api: Any, world: World) -> None:
    api.post("message/send", text("长" * 1000))
    assert len(world.inbox_of("lisi")[0].content["content"]) == 682


def test_the_same_to_the_same_is_dropped_silently(api: Any, world: World, clock: ManualClock) -> None:
    body = text(enable_duplicate_check=1)
    assert [api.post("message/send", body)["errcode"] for _ in range(2)] == [0, 0]
    assert len(world.inbox_of("lisi")) == 1
    clock.advance(1800)
    api.post("message/send", body)
    assert len(world.inbox_of("lisi")) == 2


def test_the_thirty_first_message_in_a_minute_is_dropped_silently(api: Any, world: World, clock: ManualClock) -> None:
    assert {api.post("message/send", text(f"{n}"))["errcode"] for n in range(31)} == {0}
    assert len(world.inbox_of("lisi")) == 30
    clock.advance(60)
    api.post("message/send", text("later"))
    assert len(world.inbox_of("lisi")) == 31


def test_an_interactive_card_needs_a_task_of_its_own(api: Any) -> None:
    assert api.post("message/send", card(None))["errcode"] == 42014
    assert api.post("message/send", card("task 1"))["errcode"] == 42014
    assert api.post("message/send", card("task-1"))["errcode"] == 0
    assert api.post("message/send", card("task-1"))["errcode"] == 42014


def test_a_pressed_card_can_be_changed_once(api: Any, world: World, clock: ManualClock) -> None:
    msgid = api.post("message/send", card("task-1"))["msgid"]
    world.press_card("lisi", msgid, "done")
    code = world.events[-1].fields["ResponseCode"]
    body = {"response_code": code, "agentid": AGENT_ID, "button": {"replace_name": "已跟进"}}
    assert api.post("message/update_template_card", body)["errcode"] == 0
    assert api.post("message/update_template_card", body)["errcode"] == 60140
    world.press_card("lisi", msgid, "done")
    clock.advance(72 * 3600)
    api.token = ""
    late = {**body, "response_code": world.events[-1].fields["ResponseCode"]}
    assert api.post("message/update_template_card", late)["errcode"] == 60140


def upload(api: Any, kind: str, data: bytes, filename: str = "a.png") -> dict[str, Any]:
    url = "https://qyapi.weixin.qq.com/cgi-bin/media/upload"
    query = {"access_token": api.get_token(), "type": kind}
    found: dict[str, Any] = api.session.post(url, params=query, files={"media": (filename, data, "image/png")}).json()
    return found


def test_a_file_comes_back_as_it_went_for_three_days(api: Any, clock: ManualClock) -> None:
    said = upload(api, "image", PNG)
    assert isinstance(said["created_at"], str)
    url = "https://qyapi.weixin.qq.com/cgi-bin/media/get"
    query = {"access_token": api.get_token(), "media_id": said["media_id"]}
    whole = api.session.get(url, params=query)
    assert (whole.content, whole.headers["Content-Type"]) == (PNG, "image/png")
    part = api.session.get(url, params=query, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, PNG[:4])
    clock.advance(3 * 86_400)
    api.token = ""
    assert api.get("media/get", media_id=said["media_id"])["errcode"] == 40007


@pytest.mark.parametrize(
    ("kind", "data", "errcode"),
    [
        ("image", b"GIF89a....", 40005),
        ("poem", PNG, 40004),
        ("file", b"tiny", 40006),
        ("image", PNG + bytes(10 << 20), 45001),
    ],
)
def test_a_file_is_checked(api: Any, kind: str, data: bytes, errcode: int) -> None:
    assert upload(api, kind, data)["errcode"] == errcode


def test_a_welcome_with_an_old_picture_is_refused(api: Any, world: World) -> None:
    arrival = world.scan(api.make_way())
    body = {"welcome_code": arrival.welcome_code, "attachments": [{"msgtype": "image", "image": {"media_id": "gone"}}]}
    assert api.post("externalcontact/send_welcome_msg", body)["errcode"] == 40007
    link = {"msgtype": "link", "link": {"title": "菜单", "url": "https://shop.example"}}
    assert api.post("externalcontact/send_welcome_msg", {**body, "attachments": [link] * 10})["errcode"] == 41064
    assert (
        api.post("externalcontact/send_welcome_msg", {**body, "attachments": [{"msgtype": "poem"}]})["errcode"] == 41065
    )
    assert api.post("externalcontact/send_welcome_msg", {**body, "attachments": [link]})["errcode"] == 0
    assert world.sent[0].attachments == (link,)

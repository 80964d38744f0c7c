"""F15: the welcome of each arrival: once, inside its twenty seconds, and with an outcome that can be read."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from handlers.dispatch import Greeted
from sandbox.facts import Arrival
from storage.outbox import Claimed
from storage.tables import Channel, InboxRow, Interaction, Media, OutboxRow, Welcome
from storage.work import Work
from tagging import welcomes
from tests.shop import Shop, build_shop, close_shop, event_xml
from wecom.commands import SendWelcome, render

SEND, GET = "externalcontact/send_welcome_msg", "externalcontact/get"


def scan(shop: Shop, channel: Channel, name: str = "小雨", **options: object) -> Arrival:
    return shop.world.scan(channel.code, name=name, userid="lisi", **options)  # type: ignore[arg-type]


def welcome(shop: Shop) -> Welcome:
    (found,) = shop.rows(Welcome)
    return found


def settle(shop: Shop, seconds: float = 22, step: float = 1.0) -> None:
    """Let time pass in small steps, working all the while."""
    shop.catch_up()
    for _ in range(int(seconds / step)):
        shop.advance(seconds=step)
        shop.parts.sender().rescue()
        shop.catch_up()


def greet(shop: Shop) -> None:
    """Only the express lanes work."""
    dispatcher, sender = shop.parts.dispatcher(), shop.parts.sender()
    for claimed in dispatcher.greet(5).calls:
        sender.deliver_one(claimed)


def test_a_welcome_tells_how_long_it_took(shop: Shop) -> None:
    channel = shop.channel()
    scan(shop, channel)
    shop.advance(seconds=1.5)
    shop.catch_up()
    found = welcome(shop)
    assert (found.outcome, found.text, found.detail) == ("sent", "你好 小雨，我是李四，欢迎来到抖音直播间", None)
    assert found.seconds == pytest.approx(1.5, abs=0.01)
    (line,) = shop.rows(Interaction, Interaction.kind == "welcomed")
    assert line.details == {"text": found.text, "attachments": []}


@pytest.mark.parametrize(
    ("reason", "words"),
    [("console welcome", "管理后台设有欢迎语"), ("another corp", "其他企业的企业微信用户")],
)
def test_an_arrival_without_a_code_says_why(shop: Shop, reason: str, words: str) -> None:
    channel = shop.channel()
    shop.world.member("lisi").console_welcome = reason == "console welcome"
    scan(shop, channel, kind=2 if reason == "another corp" else 1)
    settle(shop)
    found = welcome(shop)
    assert found.outcome == "no_code"
    assert words in (found.detail or "")
    assert shop.world.calls_to(SEND) == []


def test_an_arrival_without_a_channel_says_so(shop: Shop) -> None:
    shop.world.add_by_phone("lisi")
    settle(shop)
    assert (welcome(shop).outcome, welcome(shop).detail) == ("no_text", "不是通过渠道活码来的，没有设置欢迎语")
    assert shop.world.calls_to(SEND) == []


def test_whoever_was_greeted_or_chatted_with_already_is_left_alone(shop: Shop) -> None:
    channel = shop.channel()
    arrival = scan(shop, channel)
    shop.world.chat("lisi", arrival.external_userid, "你好呀")
    settle(shop)
    assert (welcome(shop).outcome, len(shop.world.calls_to(SEND))) == ("already", 1)
    assert "41051" in (welcome(shop).detail or "")
    assert shop.world.sent == []


@pytest.mark.parametrize("times", [1, 3])
def test_while_another_app_is_sending_we_try_again_inside_the_twenty_seconds(shop: Shop, times: int) -> None:
    channel = shop.channel()
    shop.world.fail_next(SEND, 41096, times)
    scan(shop, channel)
    settle(shop)
    found = welcome(shop)
    assert (found.outcome, len(shop.world.sent)) == ("sent", 1)
    assert "41096" in (found.detail or "")
    assert (found.seconds or 99) < times + 1


def test_another_app_that_never_stops_sending_is_not_waited_for_beyond_twenty_seconds(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.fail_next(SEND, 41096, 500)
    scan(shop, channel)
    settle(shop)
    calls = shop.world.calls_to(SEND)
    assert welcome(shop).outcome == "late"
    assert calls[-1].at - calls[0].at < 20
    assert len(calls) < 60


@pytest.mark.parametrize("waited", ["before it came", "in the inbox", "in hand"])
def test_after_twenty_seconds_wecom_is_not_even_asked(shop: Shop, waited: str) -> None:
    channel = shop.channel()
    if waited == "before it came":
        shop.deliverer.pause()
        scan(shop, channel)
        shop.advance(seconds=21)
        shop.deliverer.resume()
    else:
        scan(shop, channel)
        calls = shop.parts.dispatcher().greet(10).calls if waited == "in hand" else []
        shop.advance(seconds=21)
        for one in calls:
            shop.parts.sender().deliver_one(one)
    settle(shop, 5)
    assert (welcome(shop).outcome, welcome(shop).detail) == ("late", "超过 20 秒，没有发送")
    assert shop.world.calls_to(SEND) == []


def test_a_slow_name_does_not_push_the_call_over_the_twenty_seconds(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.faults.hang = {GET: (1.0, 30.0)}
    scan(shop, channel)
    shop.advance(seconds=19.5)
    greet(shop)
    (call,) = shop.world.calls_to(SEND)
    assert call.at - shop.world.events[-1].at < 20
    assert welcome(shop).outcome == "sent"
    assert shop.world.sent[0].text == "你好，我是李四，欢迎来到抖音直播间"


def test_a_dead_code_is_shown_as_late(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.fail_next(SEND, 41050)
    scan(shop, channel)
    settle(shop)
    assert (welcome(shop).outcome, len(shop.world.calls_to(SEND))) == ("late", 1)


@pytest.mark.parametrize("errcode", [41053, 45002, 99999])
def test_a_refusal_is_shown_with_its_code(shop: Shop, errcode: int) -> None:
    channel = shop.channel()
    shop.world.fail_next(SEND, errcode)
    scan(shop, channel)
    settle(shop)
    assert (welcome(shop).outcome, len(shop.world.calls_to(SEND))) == ("refused", 1)
    assert str(errcode) in (welcome(shop).detail or "")


def test_a_line_that_breaks_after_the_effect_is_asked_again_and_counts_as_sent(shop: Shop) -> None:
    channel = shop.channel(text="欢迎")
    shop.world.faults.hang = {SEND: (1.0, 10.0)}
    scan(shop, channel)
    shop.catch_up()
    assert welcome(shop).outcome == "waiting"
    shop.world.faults.hang = {}
    settle(shop)
    found = welcome(shop)
    assert (found.outcome, len(shop.world.sent), len(shop.world.calls_to(SEND))) == ("sent", 1, 2)
    assert "41051" in (found.detail or "")
    assert [one.details for one in shop.rows(Interaction, Interaction.kind == "welcomed")] == [
        {"text": "欢迎", "attachments": []}
    ]


def test_after_another_app_was_sending_41051_is_its_welcome_not_ours(shop: Shop) -> None:
    channel = shop.channel(text="欢迎")
    shop.world.fail_next(SEND, 41096)
    arrival = scan(shop, channel)
    shop.catch_up()
    shop.world.chat("lisi", arrival.external_userid, "另一个应用的欢迎语")
    settle(shop, 3)
    assert welcome(shop).outcome == "already"
    assert shop.rows(Interaction, Interaction.kind == "welcomed") == []


def test_an_unclear_try_is_not_forgotten_when_wecom_is_busy_in_between(shop: Shop) -> None:
    channel = shop.channel(text="欢迎")
    shop.world.faults.hang = {SEND: (1.0, 10.0)}
    scan(shop, channel)
    shop.catch_up()
    shop.world.faults.hang = {}
    shop.world.fail_next(SEND, -1, 2)
    settle(shop, 10)
    assert (welcome(shop).outcome, len(shop.world.sent)) == ("sent", 1)


def test_the_story_tells_the_text_that_went_out(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.faults.hang = {GET: (1.0, 30.0)}
    scan(shop, channel)
    greet(shop)
    shop.world.faults.hang = {}
    settle(shop, 3)
    lines = shop.rows(Interaction, Interaction.kind == "welcomed")
    assert [one.details["text"] for one in lines] in ([], [shop.world.sent[0].text])


def test_a_line_that_stays_broken_is_unclear(shop: Shop) -> None:
    channel = shop.channel(text="欢迎")
    shop.world.faults.not_json = 1.0
    scan(shop, channel)
    settle(shop)
    assert welcome(shop).outcome == "unclear"
    assert shop.world.sent == []


def test_two_codes_for_one_arrival_are_one_welcome(shop: Shop) -> None:
    channel = shop.channel()
    first = shop.world.app(1000002)
    second = replace(first, agent_id=1000003, secret="another-secret", callback_url="http://p.invalid/wecom/callback")
    shop.world.add_app(second)
    scan(shop, channel)
    settle(shop)
    assert (welcome(shop).outcome, len(shop.world.sent)) == ("sent", 1)
    (row,) = [one for one in shop.rows(InboxRow) if "add_" in one.name]
    assert len(row.extra_codes) == 1
    states = sorted(one.state for one in shop.rows(OutboxRow, OutboxRow.name == "SendWelcome"))
    assert states in (["done"], ["done", "dropped"])


@pytest.mark.parametrize("handled", ["greeted", "looked up"])
def test_a_code_that_comes_while_the_event_is_in_hand_is_not_lost(shop: Shop, handled: str) -> None:
    """The other receiver's copy arrives at the worst moment, and only it has a code."""
    channel = shop.channel(text="欢迎")
    customer = shop.world.new_customer("小雨")
    common = {"ChangeType": "add_external_contact", "UserID": "lisi", "ExternalUserID": customer.external_userid}
    common |= {"State": channel.code, "CreateTime": str(int(shop.clock.now()))}
    dead = {"WelcomeCode": "a-code-of-nobody"} if handled == "greeted" else {}
    assert shop.post(event_xml(**common, **dead)) == 200
    shop.deliverer.pause()
    arrival = shop.world.scan(channel.code, external_userid=customer.external_userid, userid="lisi")
    dispatcher = shop.parts.dispatcher()
    (taken,) = dispatcher.claim("welcome" if handled == "greeted" else "events", 1)
    assert shop.post(event_xml(**common, WelcomeCode=arrival.welcome_code, AgentID="1000003")) == 200
    if handled == "greeted":
        dispatcher._greet([taken], 5, greeted := Greeted(1))
        for call in greeted.calls:
            shop.parts.sender().deliver_one(call)
    else:
        dispatcher.handle_one(taken)
    settle(shop)
    assert [one.text for one in shop.world.sent] == ["欢迎"]
    assert "sent" in {one.outcome for one in shop.rows(Welcome)}


def test_a_half_add_and_its_confirmation_are_one_welcome_also_with_many_hands(shop: Shop) -> None:
    """Both codes may wait at the same moment: the second is looked at when the first has been asked for."""
    shop.world.half_add, shop.world.half_delay = True, None
    channel = shop.channel(text="欢迎")
    arrival = scan(shop, channel)
    shop.advance(seconds=1)
    shop.world.confirm("lisi", arrival.external_userid)
    scan(shop, channel)
    one, two = shop.parts.dispatcher(), shop.parts.dispatcher()
    first = one.claim("welcome", 5)
    assert len(first) == 2
    assert two.claim("welcome", 5) == []
    one._greet(first, 5, greeted := Greeted(2))
    assert two.greet(5).calls == []  # the code of the second half waits for that of the first
    for call in greeted.calls:
        shop.parts.sender().deliver_one(call)
    settle(shop, 3)
    assert [one.outcome for one in shop.rows(Welcome)] == ["sent", "sent"]
    assert len(shop.world.sent) == 2


def test_one_arrival_that_cannot_be_planned_does_not_hold_up_those_beside_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that wait are planned in one transaction; when it fails, each is tried alone, and the last try gives way."""
    channel = shop.channel(text="欢迎")
    plan = welcomes.plan

    def poisoned(work: Work, arrivals: Sequence[welcomes.Arrival], *more: Any) -> list[Claimed]:
        if any(one.external_userid == bad for one in arrivals):
            raise ZeroDivisionError
        return plan(work, arrivals, *more)

    monkeypatch.setattr(welcomes, "plan", poisoned)
    bad = ""
    arrivals = [scan(shop, channel, name=f"客户{number}") for number in range(5)]
    bad = arrivals[2].external_userid
    greet(shop)
    assert sorted(one.external_userid for one in shop.world.sent) == sorted(
        one.external_userid for one in arrivals if one.external_userid != bad
    )
    settle(shop, 10)
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    assert len(shop.rows(Interaction, Interaction.kind == "added")) == 5


def test_arrivals_do_not_wait_for_hands_that_wecom_keeps_busy(shop: Shop) -> None:
    """All are planned at once; those for whom there is no hand wait in the outbox, and their arrival goes on."""
    channel = shop.channel(text="欢迎")
    for number in range(7):
        scan(shop, channel, name=f"客户{number}")
    dispatcher = shop.parts.dispatcher()
    assert len(dispatcher.greet(2).calls) == 2
    assert dispatcher.greet(0).arrivals == 0
    assert len(dispatcher.claim("events", 10)) == 7
    assert len(shop.parts.sender().claim("welcome", 10)) == 5


@pytest.mark.parametrize("first", ["the welcome", "the arrival"])
def test_the_story_tells_of_the_welcome_once_whichever_is_written_down_first(shop: Shop, first: str) -> None:
    channel = shop.channel(text="欢迎")
    scan(shop, channel)
    dispatcher, sender = shop.parts.dispatcher(), shop.parts.sender()
    (call,) = dispatcher.greet(5).calls
    (arrived,) = dispatcher.claim("events", 5)
    if first == "the welcome":
        sender.deliver_one(call)
        assert shop.rows(Interaction) == []
        dispatcher.handle_one(arrived)
    else:
        dispatcher.handle_one(arrived)
        assert [one.kind for one in shop.rows(Interaction)] == ["added"]
        sender.deliver_one(call)
    settle(shop, 3)
    assert [one.details for one in shop.rows(Interaction, Interaction.kind == "welcomed")] == [
        {"text": "欢迎", "attachments": []}
    ]


def test_a_text_without_a_name_does_not_wait_for_one(shop: Shop) -> None:
    channel = shop.channel(text="欢迎来到{channel}")
    shop.world.faults.hang = {GET: (1.0, 30.0)}
    scan(shop, channel)
    greet(shop)
    assert (welcome(shop).outcome, welcome(shop).seconds) == ("sent", pytest.approx(0, abs=0.01))
    assert shop.world.calls_to(GET) == []


def test_a_name_is_waited_for_only_so_long(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.faults.hang = {GET: (1.0, 30.0)}
    scan(shop, channel)
    greet(shop)
    assert shop.world.sent[0].text == "你好，我是李四，欢迎来到抖音直播间"
    assert (welcome(shop).seconds or 99) < 1


def picture(shop: Shop) -> int:
    with shop.db() as db:
        media = Media(
            digest="d" * 64,
            file_name="a.png",
            content_type="image/png",
            size=8,
            content=b"\x89PNG\r\n\x1a\n" + b"\x00" * 64,
            created_at=shop.now(),
        )
        db.add(media)
        db.flush()
        return media.id


def test_a_picture_that_is_not_there_yet_is_left_out_and_said_so(shop: Shop) -> None:
    number = picture(shop)
    shop.world.fail_next("media/upload", 40004, 50)
    channel = shop.channel(text="欢迎", attachments=({"kind": "image", "media": number},))
    scan(shop, channel)
    settle(shop, 3)
    found = welcome(shop)
    assert (found.outcome, found.detail) == ("sent", "图片还没有上传到企业微信，未附上")
    assert shop.world.sent[0].attachments == ()


def test_a_picture_that_is_there_goes_along(shop: Shop) -> None:
    channel = shop.channel(text="欢迎", attachments=({"kind": "image", "media": picture(shop)},))
    scan(shop, channel)
    settle(shop, 3)
    assert (welcome(shop).outcome, welcome(shop).detail) == ("sent", None)
    (sent,) = shop.world.sent
    assert [one["msgtype"] for one in sent.attachments] == ["image"]


def test_nothing_but_a_missing_picture_is_no_welcome_and_says_why(shop: Shop) -> None:
    number = picture(shop)
    shop.world.fail_next("media/upload", 40004, 50)
    channel = shop.channel(text="", attachments=({"kind": "image", "media": number},))
    scan(shop, channel)
    settle(shop, 3)
    assert (welcome(shop).outcome, welcome(shop).detail) == ("no_text", "图片还没有上传到企业微信，未附上")


def test_a_blocked_api_lets_the_welcome_come_too_late_without_a_call_inside_the_block(shop: Shop) -> None:
    channel = shop.channel(text="欢迎")
    shop.world.fail_next(SEND, 45009)
    scan(shop, channel)
    settle(shop, 30)
    assert (welcome(shop).outcome, len(shop.world.calls_to(SEND))) == ("late", 1)


@pytest.fixture
def watching(sqlite_url: str) -> Iterator[Shop]:
    shop = build_shop(sqlite_url, watch=("welcome", "tags"))
    shop.open_for_business()
    yield shop
    close_shop(shop)


def test_in_watch_mode_everything_is_shown_and_nothing_sent(watching: Shop) -> None:
    channel = watching.channel()
    scan(watching, channel)
    settle(watching, 3)
    assert welcome(watching).outcome == "watched"
    assert watching.world.sent == []
    assert watching.world.calls_to(SEND) == []
    assert watching.world.calls_to("externalcontact/mark_tag") == []
    (shown,) = watching.rows(OutboxRow, OutboxRow.name == "SendWelcome")
    assert shown.state == "watched"


def test_a_command_shows_no_code_when_it_is_printed() -> None:
    command = SendWelcome("secret-code", "你好", {}, "wm1")
    assert "secret-code" not in repr(command)


def test_a_text_is_cut_at_four_thousand_bytes_between_two_characters() -> None:
    assert len(render("欢" * 2000, {}).encode()) == 3999

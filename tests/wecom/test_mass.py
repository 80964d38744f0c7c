"""Mass messages from our side: what we ask, what we read, and which errors mean what."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from sandbox.adapter import SandboxAdapter
from sandbox.clock import ManualClock
from sandbox.world import AGENT_ID, APP_SECRET, World
from tests.wecom.test_line import Script, make_line
from tests.wecom.test_line import clock as clock
from tests.wecom.test_line import engine as engine
from tests.wecom.test_line import scripted as scripted
from wecom.commands import (
    COMMANDS,
    CancelMass,
    Command,
    MakeGroupMass,
    MakeMass,
    RemindMass,
    UploadMedia,
    revive,
)
from wecom.errors import (
    MASS_CANCELLED,
    NOBODY_TO_SEND_TO,
    REMINDED_ENOUGH,
    STILL_DISPATCHING,
    Busy,
    EnoughForToday,
    Refused,
    TryLater,
    WeComError,
    error_for,
    explain,
)
from wecom.gateway import Gateway
from wecom.line import Line
from wecom.mass import BY_CORP, BY_MEMBERS, NO_FRIEND, QUOTA_USED, SENT, UNSENT

TEXT = "周五手冲课，来吗"
LINK: dict[str, Any] = {"msgtype": "link", "link": {"title": "本周豆单", "url": "https://shop.example/beans"}}
DAY = timedelta(days=1)


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World.small_shop(clock)


@pytest.fixture
def gateway(engine: Engine, clock: ManualClock, world: World) -> Gateway:
    line = make_line(engine, SandboxAdapter(world), clock, APP_SECRET, world.corp_id)
    return Gateway(line, None, AGENT_ID)


@pytest.fixture
def three(world: World) -> list[str]:
    return [world.remember("lisi", name).external_userid for name in ("小雨", "阿哲", "林夕")]


def now(clock: ManualClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


def test_a_task_is_made_confirmed_and_read_back(
    gateway: Gateway, world: World, three: list[str], clock: ManualClock
) -> None:
    made_at = now(clock)
    answer = gateway.deliver(MakeMass(7, "lisi", [*three, "wm-nobody"], TEXT, [LINK]))
    msgid = answer["msgid"]
    assert answer["fail_list"] == ["wm-nobody"]
    clock.advance(60)
    world.customer_deletes("lisi", three[1])
    world.limits.mass_quota = "day_1"
    world.member_mass("lisi", "早安", [three[2]])
    assert [(one.userid, one.sent, one.sent_at) for one in gateway.mass.members(msgid)[0]] == [("lisi", False, None)]
    assert {one.status for one in gateway.mass.results(msgid, "lisi")[0]} == {UNSENT}
    world.confirm_mass("lisi", msgid)
    (member,), cursor = gateway.mass.members(msgid)
    assert (member.sent, member.sent_at, cursor) == (True, now(clock), "")
    rows, _ = gateway.mass.results(msgid, "lisi")
    assert [(one.external_userid, one.status) for one in rows] == [
        (three[0], SENT),
        (three[1], NO_FRIEND),
        (three[2], QUOTA_USED),
    ]
    assert rows[0].sent_at == now(clock)
    assert rows[1].sent_at is None
    (corp,), _ = gateway.mass.page("single", made_at - DAY, now(clock), filter_type=BY_CORP)
    assert (corp.msgid, corp.creator, corp.personal, corp.text, corp.attachments) == (msgid, "", False, TEXT, (LINK,))
    assert corp.created_at == made_at
    (own,), _ = gateway.mass.page("single", made_at - DAY, now(clock), filter_type=BY_MEMBERS, creator="lisi")
    assert (own.creator, own.personal) == ("lisi", True)
    assert gateway.mass.page("single", made_at - DAY, now(clock), creator="wangwu") == ([], "")


def test_groups_get_theirs_from_their_owner(gateway: Gateway, world: World, clock: ManualClock) -> None:
    chat = world.open_group("lisi", "豆友群")
    msgid = gateway.deliver(MakeGroupMass(8, "lisi", [chat.chat_id], TEXT))["msgid"]
    clock.advance(60)
    world.confirm_mass("lisi", msgid)
    (row,), _ = gateway.mass.results(msgid, "lisi")
    assert (row.chat_id, row.external_userid, row.status) == (chat.chat_id, "", SENT)
    assert len(gateway.mass.page("group", now(clock) - DAY, now(clock))[0]) == 1


def test_pages_end_with_an_empty_cursor_however_short_they_are(
    gateway: Gateway, world: World, three: list[str], clock: ManualClock
) -> None:
    msgid = gateway.deliver(MakeMass(7, "lisi", three, TEXT))["msgid"]
    clock.advance(60)
    world.faults.short_page, world.faults.empty_page = 0.5, 0.3
    found: list[str] = []
    cursor = ""
    while True:
        rows, cursor = gateway.mass.results(msgid, "lisi", cursor)
        found += [one.external_userid for one in rows]
        if not cursor:
            break
    assert found == three


def test_a_new_task_asks_for_patience(gateway: Gateway, three: list[str], clock: ManualClock) -> None:
    msgid = gateway.deliver(MakeMass(7, "lisi", three, TEXT))["msgid"]
    asked: list[Callable[[], Any]] = [
        lambda: gateway.mass.members(msgid),
        lambda: gateway.mass.results(msgid, "lisi"),
        lambda: gateway.deliver(CancelMass(7, msgid)),
    ]
    for ask in asked:
        with pytest.raises(Busy) as caught:
            ask()
        assert caught.value.errcode == STILL_DISPATCHING
    clock.advance(60)
    gateway.deliver(CancelMass(7, msgid))
    with pytest.raises(Refused) as cancelled:
        gateway.deliver(CancelMass(7, msgid))
    assert cancelled.value.errcode == MASS_CANCELLED


def test_nobody_to_send_to_is_a_refusal(gateway: Gateway, world: World) -> None:
    with pytest.raises(Refused) as caught:
        gateway.deliver(MakeMass(7, "lisi", ["wm-nobody"], TEXT))
    assert caught.value.errcode == NOBODY_TO_SEND_TO


def test_a_fourth_reminder_within_24_hours_waits_for_the_next_day(
    gateway: Gateway, three: list[str], clock: ManualClock
) -> None:
    msgid = gateway.deliver(MakeMass(7, "lisi", three, TEXT))["msgid"]
    clock.advance(60)
    for _ in range(3):
        gateway.deliver(RemindMass(7, msgid))
    with pytest.raises(EnoughForToday) as caught:
        gateway.deliver(RemindMass(7, msgid))
    assert (caught.value.wait, caught.value.errcode) == (timedelta(hours=24), REMINDED_ENOUGH)


@pytest.mark.parametrize(
    ("errcode", "error", "later"),
    [
        (41046, Refused, False),
        (41047, Refused, False),
        (41048, Refused, False),
        (41063, Busy, True),
        (41064, Refused, False),
        (41093, Refused, False),
        (41094, EnoughForToday, True),
    ],
)
def test_each_code_is_on_its_branch_and_has_words(errcode: int, error: type[WeComError], later: bool) -> None:
    found = error_for("x", errcode)
    assert (type(found), isinstance(found, TryLater)) == (error, later)
    assert explain(errcode) != explain(-999)


# --- what is kept in the outbox -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        MakeMass(7, "lisi", ["wm-1"], TEXT, [LINK], allow_select=True),
        MakeGroupMass(7, "lisi", ["wr-1"], "", [LINK]),
        RemindMass(7, "msg-1"),
        CancelMass(7, "msg-1"),
    ],
    ids=lambda one: one.name,
)
def test_a_command_is_kept_and_revived_in_the_lane_of_its_own(command: Command) -> None:
    assert revive(command.name, command.body()) == command
    assert COMMANDS[command.name] is type(command)
    assert (command.lane, command.sender) == ("calls", "mass")
    assert "task" not in command.request()


def test_only_a_cancellation_may_be_repeated_blindly() -> None:
    kinds = (MakeMass, MakeGroupMass, RemindMass, CancelMass)
    assert [kind.name for kind in kinds if kind.harmless] == ["CancelMass"]


def test_what_is_said_stays_out_of_the_log() -> None:
    assert TEXT not in repr(MakeMass(7, "lisi", ["wm-1"], TEXT))


def test_the_request_is_as_wecom_wants_it() -> None:
    assert MakeMass(7, "lisi", ["wm-1"], TEXT).request() == {
        "chat_type": "single",
        "external_userid": ["wm-1"],
        "sender": "lisi",
        "allow_select": False,
        "text": {"content": TEXT},
    }
    assert MakeGroupMass(7, "lisi", ["wr-1"], "", [LINK]).request() == {
        "chat_type": "group",
        "chat_id_list": ["wr-1"],
        "sender": "lisi",
        "allow_select": False,
        "attachments": [LINK],
    }


def image(**fields: str) -> dict[str, Any]:
    return {"msgtype": "image", "image": fields}


@pytest.mark.parametrize(
    ("receivers", "text", "attachments", "words"),
    [
        (0, TEXT, [], "1 to 10000"),
        (10_001, TEXT, [], "1 to 10000"),
        (1, "", [], "empty"),
        (1, "豆" * 1334, [], "4000 bytes"),
        (1, TEXT, [LINK] * 10, "9 attachments"),
        (1, TEXT, [{"msgtype": "voice", "voice": {}}], "attachment 1: voice is no kind"),
        (1, TEXT, [{}], "attachment 1: it is no kind"),
        (1, TEXT, [LINK, image()], "attachment 2: image without media_id"),
        (1, TEXT, [{"msgtype": "video", "video": {}}], "video without media_id"),
        (1, TEXT, [{"msgtype": "link", "link": {"title": "x"}}], "link without url"),
        (1, TEXT, [{"msgtype": "link", "link": {**LINK["link"], "title": "豆" * 43}}], "title has more than 128"),
    ],
)
def test_what_wecom_would_refuse_by_its_size_is_never_asked(
    receivers: int, text: str, attachments: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        MakeMass(7, "lisi", ["wm"] * receivers, text, attachments)


def test_groups_are_2000_at_most() -> None:
    assert MakeGroupMass(7, "lisi", ["wr"] * 2000, TEXT).receivers
    with pytest.raises(ValueError, match="1 to 2000"):
        MakeGroupMass(7, "lisi", ["wr"] * 2001, TEXT)


def test_the_greatest_of_everything_is_taken_by_wecom_too(gateway: Gateway, world: World, clock: ManualClock) -> None:
    world.populate(3)
    own = [row.external_userid for row in world.relations.of_member("lisi")]
    padded = own + [f"wm-{number}" for number in range(10_000 - len(own))]
    answer = gateway.deliver(MakeMass(7, "lisi", padded, "豆" * 1333 + "x", [LINK] * 9))
    assert len(answer["fail_list"]) == 10_000 - len(own)


def test_answers_may_lack_almost_everything(scripted: Callable[..., tuple[Line, Script]]) -> None:
    line, _ = scripted({"group_msg_list": [{"msgid": "m"}, {}, None], "task_list": [{}], "send_list": [{}]})
    mass = Gateway(line, None, 1).mass
    moment = datetime.fromtimestamp(1_763_000_000, UTC)
    (task,), cursor = mass.page("single", moment, moment)
    assert (task.created_at, task.personal, task.text, task.attachments, cursor) == (None, False, "", (), "")
    assert mass.members("m") == ([], "")
    (row,), _ = mass.results("m", "lisi")
    assert (row.userid, row.status, row.sent_at) == ("lisi", UNSENT, None)


@pytest.mark.parametrize("kind", ["image", "video", "file"])
def test_media_of_each_kind_is_uploaded_as_what_it_is(scripted: Callable[..., tuple[Line, Script]], kind: str) -> None:
    line, script = scripted({"media_id": "x"})
    Gateway(line, None, 1).deliver(UploadMedia(1, kind), ("a.bin", b"content", "application/octet-stream"))
    assert f"type={kind}" in str(script.calls[-1].url)
    assert revive("UploadMedia", {"media": 1}) == UploadMedia(1, "image")

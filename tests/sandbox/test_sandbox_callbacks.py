"""Callbacks: sealed anew each time, tried again, lost, doubled, overtaken, forged."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from flask import Flask, request

from sandbox.callbacks import Deliverer, Reply
from sandbox.clock import ManualClock
from sandbox.forgeries import FORGERIES
from sandbox.world import AGENT_ID, World


@dataclass
class Receiver:
    """A product that remembers what it got, and answers as told."""

    world: World
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[float, Mapping[str, str], bytes]] = field(default_factory=list)
    slow: float = 0.0

    def __call__(self, url: str, params: Mapping[str, str], body: bytes, headers: Mapping[str, str]) -> int:
        assert headers["Content-Type"] == "text/xml"
        self.got.append((self.world.clock.now(), params, body))
        self.world.clock.sleep(self.slow)
        return self.statuses.pop(0) if self.statuses else 200

    def opened(self) -> list[str]:
        return [opened(self.world, params, body) for _, params, body in self.got]


def opened(world: World, params: Mapping[str, str], body: bytes) -> str:
    """Read a callback as a careful receiver would."""
    encrypt = ET.fromstring(body).findtext("Encrypt") or ""
    envelope = world.app(AGENT_ID).envelope(world.corp_id)
    assert envelope.sign(params["timestamp"], params["nonce"], encrypt) == params["msg_signature"]
    return envelope.decrypt(encrypt)


@pytest.fixture
def receiver(world: World) -> Receiver:
    return Receiver(world)


@pytest.fixture
def deliverer(world: World, receiver: Receiver) -> Deliverer:
    return Deliverer(world, receiver)


def scan(world: World) -> str:
    return world.scan(world.make_way(["lisi"], "counter").config_id).external_userid


def test_an_event_arrives_sealed_and_signed(world: World, deliverer: Deliverer, receiver: Receiver) -> None:
    ext = scan(world)
    inner = ET.fromstring(receiver.opened()[0])
    assert (inner.findtext("ExternalUserID"), inner.findtext("State")) == (ext, "counter")
    outer = ET.fromstring(receiver.got[0][2])
    assert (outer.findtext("ToUserName"), outer.findtext("AgentID")) == (world.corp_id, str(AGENT_ID))
    assert deliverer.of(world.events[-1].id).fate == "received"


def test_a_failed_try_is_repeated_and_the_event_is_the_same(
    world: World, deliverer: Deliverer, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.statuses = [500, 0]
    started = clock.now()
    scan(world)
    clock.advance(60)
    assert [at - started for at, _, _ in receiver.got] == [0, 5, 15]
    assert len({body for _, _, body in receiver.got}) == 3
    assert len(set(receiver.opened())) == 1
    assert [one.status for one in deliverer.of(world.events[-1].id).tries] == [500, 0, 200]


def test_after_three_more_tries_the_event_is_lost(
    world: World, deliverer: Deliverer, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.statuses = [500] * 9
    scan(world)
    clock.advance(600)
    assert len(receiver.got) == 4
    assert deliverer.of(world.events[-1].id).fate == "lost"


def test_an_answer_after_five_seconds_does_not_count(
    world: World, deliverer: Deliverer, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.slow = 6
    scan(world)
    clock.advance(600)
    assert [one.status for one in deliverer.of(world.events[-1].id).tries] == [0, 0, 0, 0]


def test_a_broken_line_is_a_failed_try(world: World, clock: ManualClock) -> None:
    def unreachable(*_: object) -> int:
        raise ConnectionRefusedError

    deliverer = Deliverer(world, unreachable)
    scan(world)
    assert deliverer.of(world.events[-1].id).tries[0].status == 0


def test_events_can_be_held_back(world: World, deliverer: Deliverer, receiver: Receiver) -> None:
    deliverer.pause()
    scan(world)
    assert receiver.got == []
    deliverer.resume()
    assert len(receiver.got) == 1


def test_events_are_lost_and_doubled_when_asked(
    world: World, deliverer: Deliverer, receiver: Receiver, clock: ManualClock
) -> None:
    world.faults.lose = 1.0
    scan(world)
    assert receiver.got == []
    world.faults.lose, world.faults.duplicate = 0.0, 1.0
    scan(world)
    clock.advance(10)
    assert len(receiver.got) == 2


def test_events_overtake_when_asked(world: World, deliverer: Deliverer, receiver: Receiver, clock: ManualClock) -> None:
    world.faults.reorder = 1.0
    for number in range(6):
        world.emit({"Event": "surprise", "Number": str(number)})
    clock.advance(10)
    numbers = [ET.fromstring(one).findtext("Number") for one in receiver.opened()]
    assert sorted(numbers, key=str) == list("012345")
    assert numbers != list("012345")


def test_an_unknown_event_is_delivered_like_any_other(world: World, deliverer: Deliverer, receiver: Receiver) -> None:
    world.faults.odd_xml = 1.0
    world.emit({"Event": "never_heard_of", "ChangeType": "x", "Text": "a]]>b<c"})
    inner = ET.fromstring(receiver.opened()[0])
    assert (inner.findtext("Text"), inner.findtext("SandboxEmpty")) == ("a]]>b<c", "")


def test_a_suspended_app_hears_nothing(world: World, deliverer: Deliverer, receiver: Receiver) -> None:
    world.app(AGENT_ID).suspended = True
    scan(world)
    assert receiver.got == []


def test_a_receiver_may_call_the_api_while_it_answers(world: World, api: object) -> None:
    def answering(*_: object) -> int:
        code = world.events[-1].fields["WelcomeCode"]
        assert api.welcome(code) == 0  # type: ignore[attr-defined]
        return 200

    Deliverer(world, answering)
    scan(world)
    assert world.sent[0].seconds_since_event == 0


def echoing(world: World) -> Flask:
    """A product that does the URL check right, and replies passively."""
    app = Flask("product")

    @app.get("/wecom/callback")
    def check() -> str:
        query = request.args
        envelope = world.app(AGENT_ID).envelope(world.corp_id)
        assert envelope.sign(query["timestamp"], query["nonce"], query["echostr"]) == query["msg_signature"]
        return envelope.decrypt(query["echostr"])

    @app.post("/wecom/callback")
    def hear() -> str:
        opened(world, request.args, request.data)
        return ""

    return app


def test_a_callback_url_is_checked_to_the_byte(world: World) -> None:
    app = echoing(world)
    assert Deliverer.into(world, app.test_client()).verify_url(AGENT_ID)
    quoting = Deliverer(world, lambda *_: 200, fetch=lambda url, params: Reply(200, b'"123"'))
    assert not quoting.verify_url(AGENT_ID)


def test_a_flask_client_is_a_receiver(world: World) -> None:
    deliverer = Deliverer.into(world, echoing(world).test_client())
    scan(world)
    assert deliverer.of(world.events[-1].id).fate == "received"


def test_a_reply_that_is_not_sealed_is_complained_of(world: World) -> None:
    deliverer = Deliverer(world, lambda *_: Reply(200, b"<xml><Encrypt>x</Encrypt></xml>"))
    scan(world)
    assert "signature" in deliverer.of(world.events[-1].id).complaint


def test_what_the_app_answers_on_the_spot_stands_in_the_members_chat(world: World) -> None:
    app = world.app(AGENT_ID)
    encrypt = app.envelope(world.corp_id).encrypt("<xml><MsgType>text</MsgType><Content>三位新客户</Content></xml>")
    signature = app.envelope(world.corp_id).sign("1", "2", encrypt)
    fields = {"Encrypt": encrypt, "MsgSignature": signature, "TimeStamp": "1", "Nonce": "2"}
    body = "<xml>" + "".join(f"<{name}>{value}</{name}>" for name, value in fields.items()) + "</xml>"
    Deliverer(world, lambda *_: Reply(200, body.encode()))
    world.member_writes("lisi", "今天", AGENT_ID)
    assert [line.text for line in world.app_chat_of(AGENT_ID, "lisi")] == ["今天", "三位新客户"]


@pytest.mark.parametrize("kind", sorted(FORGERIES))
def test_a_forgery_does_not_open(world: World, deliverer: Deliverer, receiver: Receiver, kind: str) -> None:
    deliverer.post_forged(kind, "<xml><Event>evil</Event></xml>", AGENT_ID)
    _, params, body = receiver.got[0]
    with pytest.raises((ValueError, AssertionError, ET.ParseError)):
        opened(world, params, body)

"""Faults as a client of `requests` meets them."""

import time
from typing import Any

import pytest
import requests

from sandbox.clock import ManualClock
from sandbox.world import World

URL = "https://qyapi.weixin.qq.com/cgi-bin/user/get"


def test_a_hang_ends_in_a_time_out_at_no_cost(api: Any, world: World, clock: ManualClock) -> None:
    api.get_token()
    world.faults.hang = {"user/get": (1.0, 60.0)}
    before, started = clock.now(), time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        api.session.get(URL, params={"access_token": api.token, "userid": "lisi"}, timeout=(3, 10))
    assert clock.now() - before == 10
    assert time.monotonic() - started < 1
    assert world.calls_to("user/get")[-1].outcome == "hung"


def test_a_patient_caller_gets_the_late_answer(api: Any, world: World, clock: ManualClock) -> None:
    api.get_token()
    before = clock.now()
    world.faults.latency = {"user/get": 0.2}
    assert api.get("user/get", userid="lisi")["errcode"] == 0
    assert clock.now() - before == pytest.approx(0.2)


def test_a_line_that_breaks_after_the_effect_leaves_the_effect(api: Any, world: World) -> None:
    arrival = world.scan(api.make_way())
    world.faults.reset_after_effect = 1.0
    with pytest.raises(requests.ConnectionError):
        api.welcome(arrival.welcome_code)
    assert len(world.sent) == 1
    call = world.calls_to("externalcontact/send_welcome_msg")[0]
    assert (call.outcome, call.accepted) == ("reset", True)


def test_a_gateway_may_answer_in_html(api: Any, world: World) -> None:
    api.get_token()
    world.faults.not_json = 1.0
    said = api.session.get(URL, params={"access_token": api.token, "userid": "lisi"})
    assert said.status_code == 502
    with pytest.raises(ValueError, match="Expecting value"):
        said.json()
    assert not world.calls_to("user/get")[0].accepted


def test_a_busy_system_does_nothing(api: Any, world: World) -> None:
    arrival = world.scan(api.make_way())
    world.faults.busy = 1.0
    assert api.welcome(arrival.welcome_code) == -1
    assert world.sent == []


def test_the_log_keeps_bodies_and_no_secrets(api: Any, world: World) -> None:
    api.make_way(state="counter")
    call = world.calls_to("externalcontact/add_contact_way")[0]
    assert (call.body["state"], call.errcode, call.accepted) == ("counter", 0, True)
    assert "access_token" not in call.query
    assert "corpsecret" not in world.calls_to("gettoken")[0].query

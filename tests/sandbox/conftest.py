"""A small shop for each test, a clock moved by hand, and a caller that speaks to the API through `requests`."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from sandbox.adapter import SandboxAdapter
from sandbox.clock import ManualClock
from sandbox.world import AGENT_ID, World

BASE = "https://qyapi.weixin.qq.com/cgi-bin/"
Json = dict[str, Any]


class Caller:
    """An app that calls the API as a plain client would."""

    def __init__(self, world: World, agent_id: int = AGENT_ID) -> None:
        self.world, self.agent_id = world, agent_id
        self.session = requests.Session()
        self.session.mount("https://", SandboxAdapter(world))
        self.token = ""

    def get(self, path: str, **query: Any) -> Json:
        found: Json = self.session.get(BASE + path, params={"access_token": self.get_token(), **query}).json()
        return found

    def post(self, path: str, body: Json | None = None, **options: Any) -> Json:
        answer = self.session.post(BASE + path, params={"access_token": self.get_token()}, json=body or {}, **options)
        found: Json = answer.json()
        return found

    def get_token(self) -> str:
        if not self.token:
            secret = self.world.app(self.agent_id).secret
            query = {"corpid": self.world.corp_id, "corpsecret": secret}
            self.token = self.session.get(BASE + "gettoken", params=query).json()["access_token"]
        return self.token

    def make_way(self, **fields: Any) -> str:
        body = {"type": 1, "scene": 2, "user": ["lisi"], "state": "counter", **fields}
        found: str = self.post("externalcontact/add_contact_way", body)["config_id"]
        return found

    def welcome(self, code: str, text: str = "你好") -> int:
        body = {"welcome_code": code, "text": {"content": text}}
        errcode: int = self.post("externalcontact/send_welcome_msg", body)["errcode"]
        return errcode


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World.small_shop(clock)


@pytest.fixture
def api(world: World) -> Caller:
    return Caller(world)


@pytest.fixture
def caller() -> Callable[..., Caller]:
    return Caller


@pytest.fixture
def second_app(world: World) -> Caller:
    """Another app with customer contact, with a receiver of its own."""
    from dataclasses import replace

    first = world.app(AGENT_ID)
    world.add_app(replace(first, agent_id=1000003, secret="second-secret", callback_url="http://second.invalid/cb"))
    return Caller(world, 1000003)

"""WeChat's own sign-in: what it says about whom, what it refuses, and that its secret stands in no error."""

from collections.abc import Mapping
from typing import Any

import pytest
import requests

from sandbox.adapter import SandboxAdapter
from sandbox.clock import ManualClock
from sandbox.world import MP_APP_ID, MP_SECRET, World
from tests.shop import START
from wecom.errors import Refused, TryLater
from wecom.mp import SNAPSHOT, Mp


@pytest.fixture
def world() -> World:
    world = World.small_shop(ManualClock(START), seed=3)
    world.mp_bound = True
    return world


def mp(world: World, secret: str = MP_SECRET) -> Mp:
    http = requests.Session()
    http.mount("http://", SandboxAdapter(world))
    return Mp(MP_APP_ID, secret, "http://sandbox.invalid", "http://sandbox.invalid", http)


def test_a_code_tells_who_it_is_once(world: World) -> None:
    rain = world.new_customer("小雨")
    code = world.sign_in.give_code(rain.external_userid, False, "snsapi_userinfo")
    user = mp(world).user(code)
    assert (user.openid, user.unionid) == (rain.openid, rain.unionid)
    assert user.unionid
    with pytest.raises(Refused) as used:
        mp(world).user(code)
    assert used.value.errcode == 40163


def test_without_a_unionid_there_is_the_openid(world: World) -> None:
    world.mp_bound = False
    rain = world.new_customer("小雨")
    user = mp(world).user(world.sign_in.give_code(rain.external_userid, False, "snsapi_userinfo"))
    assert (user.openid, user.unionid) == (rain.openid, "")


def test_a_code_that_is_too_old_or_nobodys_is_refused(world: World) -> None:
    code = world.sign_in.give_code("", False, "snsapi_userinfo")
    world.clock.advance(301)  # type: ignore[attr-defined]
    for one in (code, "made-up"):
        with pytest.raises(Refused):
            mp(world).user(one)


def test_a_wrong_secret_is_refused_and_stands_in_no_error(world: World) -> None:
    code = world.sign_in.give_code("", False, "snsapi_userinfo")
    with pytest.raises(Refused) as refused:
        mp(world, "guessed-secret").user(code)
    assert "guessed-secret" not in str(refused.value)
    assert "guessed-secret" not in repr(mp(world, "guessed-secret"))


class Says:
    """A session that gives these answers."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get(self, url: str, params: Mapping[str, str], timeout: object) -> requests.Response:
        if isinstance(self.answer, Exception):
            raise self.answer
        found = requests.Response()
        found.status_code, found._content = 200, self.answer
        return found


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>busy</html>",
        b"[]",
        b'{"errcode": -1}',
        b'{"errcode": 45011}',
        b"{}",
        requests.ConnectionError("http://api/?secret=S3CRET"),
    ],
)
def test_whatever_is_no_answer_may_be_asked_again(answer: Any) -> None:
    own = Mp(MP_APP_ID, "S3CRET", "http://api", "http://open", Says(answer))  # type: ignore[arg-type]
    with pytest.raises(TryLater) as later:
        own.user("code")
    assert "S3CRET" not in str(later.value)
    assert later.value.__cause__ is None


def test_an_identity_that_wechat_lends_is_nobodys() -> None:
    told = b'{"openid": "o1", "unionid": "u1", "is_snapshotuser": 1, "access_token": "t"}'
    with pytest.raises(Refused) as refused:
        Mp(MP_APP_ID, "s", "http://api", "http://open", Says(told)).user("code")  # type: ignore[arg-type]
    assert refused.value.errcode == SNAPSHOT


def test_the_address_asks_in_wechats_order() -> None:
    address = Mp("wx1", "s", "http://api", "https://open.weixin.qq.com").sign_in_address(
        "https://t.example/me/wechat", "S"
    )
    assert address == (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1&redirect_uri=https%3A%2F%2Ft.example%2Fme%2Fwechat"
        "&response_type=code&scope=snsapi_userinfo&state=S#wechat_redirect"
    )

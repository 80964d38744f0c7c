"""F12 to F14: one line to WeCom, when tokens die, answers fail to come, and everybody calls at once."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from sqlalchemy import Engine
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError

from sandbox.adapter import SandboxAdapter
from sandbox.clock import ManualClock
from sandbox.web import running
from sandbox.world import World
from storage.database import open_engine
from storage.shared import DatabaseTokens, GateLedger, cipher_from
from wecom.commands import MarkTag, SendWelcome
from wecom.errors import Answered, Blocked, Busy, Misconfigured, Refused, TryLater, Unclear, WeComError
from wecom.gateway import Gateway
from wecom.line import Line
from wecom.pacing import Pacing

SECRET = "corp-secret-nobody-may-see"
BASE = "http://sandbox.invalid/cgi-bin/"
KEY = "k" * 40


class Script(BaseAdapter):
    """Answers as told: a JSON value, text with a status, or an exception; the last one again and again."""

    def __init__(self, *steps: Any) -> None:
        super().__init__()
        self.steps, self.calls = list(steps), []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.calls.append(request)
        if "gettoken" in str(request.url):
            return self._said({"errcode": 0, "access_token": "token-nobody-may-see", "expires_in": 7200}, request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return self._said(step, request)

    def _said(self, step: Any, request: requests.PreparedRequest) -> requests.Response:
        answer = requests.Response()
        status, text = step if isinstance(step, tuple) else (200, step)
        answer.status_code, answer.url, answer.request = status, request.url or "", request
        answer._content = text if isinstance(text, bytes) else requests.compat.json.dumps(text).encode()
        return answer

    def close(self) -> None:
        pass

    def to(self, api: str) -> int:
        return sum(f"/cgi-bin/{api}?" in str(one.url) for one in self.calls)


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    engine = open_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def make_line(
    engine: Engine, adapter: BaseAdapter, clock: ManualClock, secret: str = SECRET, corp: str = "ww1", **pace: int
) -> Line:
    def now() -> datetime:
        return datetime.fromtimestamp(clock.now(), UTC)

    http = requests.Session()
    http.mount("http://", adapter)
    tokens = DatabaseTokens(engine, cipher_from(KEY), now)
    return Line(corp, secret, api_base=BASE, tokens=tokens, pacing=Pacing(GateLedger(engine), now, **pace), http=http)


@pytest.fixture
def scripted(engine: Engine, clock: ManualClock) -> Callable[..., tuple[Line, Script]]:
    def make(*steps: Any) -> tuple[Line, Script]:
        script = Script(*steps)
        return make_line(engine, script, clock), script

    return make


# --- answers that are none --------------------------------------------------------------------------------------------

NEVER_THERE = requests.ConnectionError(
    MaxRetryError(HTTPConnectionPool("x"), f"/gettoken?corpsecret={SECRET}", NewConnectionError(None, "refused"))
)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (requests.ReadTimeout(f"access_token=token-nobody-may-see {SECRET}"), Unclear),
        (requests.ConnectionError("connection reset by peer"), Unclear),
        (requests.exceptions.ChunkedEncodingError("broken"), Unclear),
        (requests.ConnectTimeout(SECRET), TryLater),
        (requests.exceptions.SSLError(SECRET), TryLater),
        (NEVER_THERE, TryLater),
        ((502, b"<html><h1>502 Bad Gateway</h1></html>"), Unclear),
        ((504, b""), Unclear),
        ((404, b"not here"), TryLater),
        ((200, b"<html>welcome to the hotel wifi</html>"), Unclear),
        ((200, b""), Unclear),
        ((200, b"[1, 2]"), Unclear),
        ((200, b'"text"'), Unclear),
        ((200, b'{"errcode": "many"}'), Unclear),
        ({"errcode": -1, "errmsg": f"busy {SECRET}"}, Busy),
        ({"errcode": "-1"}, Busy),
        ({"errcode": 6000}, Busy),
        ({"errcode": 48002}, Misconfigured),
        ({"errcode": 60020}, Misconfigured),
        ({"errcode": 40058}, Refused),
        ({"errcode": "84061"}, Refused),
        ({"errcode": 123456789}, Refused),
    ],
    ids=lambda one: repr(one)[:60],
)
def test_every_failure_is_one_of_ours_and_tells_no_secret(
    scripted: Callable[..., tuple[Line, Script]], step: Any, error: type[WeComError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    line, _ = scripted(step)
    with pytest.raises(error) as caught:
        line.call("externalcontact/get", params={"external_userid": "wm1"})
    assert caught.value.__cause__ is None
    for secret in (SECRET, "token-nobody-may-see"):
        assert secret not in str(caught.value)
        assert secret not in caplog.text
        assert secret not in repr(caught.value)


def test_a_success_may_lack_its_code_and_bring_what_nobody_announced(
    scripted: Callable[..., tuple[Line, Script]],
) -> None:
    line, _ = scripted({"ip_list": ["1.2.3.*"], "brand_new": {"a": [1]}})
    assert line.call("getcallbackip")["brand_new"] == {"a": [1]}
    line, _ = scripted({"errcode": "0", "errmsg": "ok"})
    assert line.call("getcallbackip")["errmsg"] == "ok"
    line, _ = scripted({"errcode": None})
    assert line.call("getcallbackip") == {"errcode": None}


def test_a_profile_is_read_from_strings_and_without_what_is_missing(
    scripted: Callable[..., tuple[Line, Script]],
) -> None:
    side = {"userid": "lisi", "createtime": "1700000000", "add_way": "1", "tags": [{"tag_name": "own"}], "new": 1}
    line, _ = scripted(
        {"external_contact": {"name": "小雨", "gender": "2", "type": "1"}, "follow_user": [side, "odd", None]}
    )
    profile = Gateway(line, None, 1).profile("wm1")
    assert profile is not None
    assert (profile.external_userid, profile.gender, profile.kind, profile.unionid) == ("wm1", 2, 1, None)
    (follow,) = profile.follows
    assert (follow.add_way, follow.state, follow.remark, follow.phones) == (1, None, "", ())
    assert follow.since == datetime.fromtimestamp(1_700_000_000, UTC)
    empty, _ = scripted({"external_contact": None, "follow_user": None})
    assert Gateway(empty, None, 1).profile("wm2") is not None


@pytest.mark.parametrize("errcode", [84061, 40096])
def test_a_stranger_has_no_profile(scripted: Callable[..., tuple[Line, Script]], errcode: int) -> None:
    line, _ = scripted({"errcode": errcode})
    assert Gateway(line, None, 1).profile("wm1") is None


def test_a_broken_line_while_reading_only_means_asking_again(scripted: Callable[..., tuple[Line, Script]]) -> None:
    line, _ = scripted(requests.ReadTimeout("x"))
    with pytest.raises(TryLater):
        Gateway(line, None, 1).profile("wm1")
    with pytest.raises(Unclear):
        Gateway(line, None, 1).deliver(MarkTag("lisi", "wm1", ["t"]))


def test_chinese_goes_out_as_it_is(scripted: Callable[..., tuple[Line, Script]]) -> None:
    """Illegal escapes are 40033 at WeCom: raw UTF-8 needs none."""
    line, script = scripted({"errcode": 0})
    Gateway(line, None, 1).deliver(SendWelcome("c", "你好 😀", {}, "wm1"))
    assert "你好 😀".encode() in bytes(script.calls[-1].body or b"")


# --- F13: tokens ------------------------------------------------------------------------------------------------------


def test_a_dead_token_is_fetched_anew_once_and_the_call_made_once_more(
    scripted: Callable[..., tuple[Line, Script]],
) -> None:
    line, script = scripted({"errcode": 40014}, {"errcode": 0, "name": "ok"})
    assert line.call("agent/get")["name"] == "ok"
    assert (script.to("gettoken"), script.to("agent/get")) == (2, 2)


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_token_that_stays_dead_is_not_tried_for_ever(
    scripted: Callable[..., tuple[Line, Script]], errcode: int
) -> None:
    line, script = scripted({"errcode": errcode})
    with pytest.raises(Misconfigured):
        line.call("agent/get")
    assert (script.to("gettoken"), script.to("agent/get")) == (2, 2)


@pytest.mark.parametrize("lines", [1, 4])
def test_two_hundred_calls_on_a_dead_token_fetch_one(engine: Engine, clock: ManualClock, lines: int) -> None:
    """F13: over threads of one process, and over processes (each has a line and a token store of its own)."""
    world = World.small_shop(clock)
    app = world.app(1000002)
    adapter = SandboxAdapter(world)
    ours = [make_line(engine, adapter, clock, app.secret, world.corp_id) for _ in range(lines)]
    ours[0].call("agent/get", params={"agentid": 1000002})
    world.kill_token()
    world.log.clear()
    ready = threading.Barrier(50)

    def call(number: int) -> Any:
        if number < 50:
            ready.wait()
        return ours[number % lines].call("agent/get", params={"agentid": 1000002})["errcode"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(call, range(200)))
    assert answers == [0] * 200
    assert world.log.tally("gettoken").calls == 1


def test_a_wrong_secret_is_not_asked_about_again_and_again(engine: Engine, clock: ManualClock) -> None:
    """WeCom blocks an address for an hour after some 2,000 wrong questions."""
    world = World.small_shop(clock)
    line = make_line(engine, SandboxAdapter(world), clock, "wrong-secret", world.corp_id)
    for _ in range(100):
        with pytest.raises(Misconfigured):
            line.call("agent/get")
    assert world.log.tally("gettoken").calls == 1


def test_too_many_token_fetches_refuse_no_command_for_good(engine: Engine, clock: ManualClock) -> None:
    world = World.small_shop(clock)
    world.fail_next("gettoken", 45009)
    line = make_line(engine, SandboxAdapter(world), clock, world.app(1000002).secret, world.corp_id)
    with pytest.raises(TryLater):
        line.call("agent/get")


def test_a_token_that_is_about_to_die_is_not_used(engine: Engine, clock: ManualClock) -> None:
    world = World.small_shop(clock)
    line = make_line(engine, SandboxAdapter(world), clock, world.app(1000002).secret, world.corp_id)
    line.call("agent/get", params={"agentid": 1000002})
    clock.advance(7000)
    line.call("agent/get", params={"agentid": 1000002})
    assert world.log.tally("gettoken").calls == 2


def test_a_token_lies_encrypted(engine: Engine, clock: ManualClock, sqlite_url: str) -> None:
    """S36."""
    line = make_line(engine, Script({"errcode": 0}), clock)
    line.call("agent/get")
    engine.dispose()
    raw = b"".join(one.read_bytes() for one in Path(sqlite_url.removeprefix("sqlite:///")).parent.glob("*.db*"))
    assert b"token-nobody-may-see" not in raw
    assert SECRET.encode() not in raw


# --- F12: pace and blocks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("processes", "late"), [(1, 0.0), (2, 1.0)])
def test_no_call_is_made_inside_a_block(engine: Engine, clock: ManualClock, processes: int, late: float) -> None:
    """Whoever hears 45009 calls no more; the other processes hear of it within a second; other APIs go on."""
    world = World.small_shop(clock)
    api, secret = "externalcontact/get_follow_user_list", world.app(1000002).secret
    world.limits.own_windows = {api: ((60, 10),)}
    lines = [make_line(engine, SandboxAdapter(world), clock, secret, world.corp_id) for _ in range(processes)]
    waits = []
    for number in range(700):
        line = lines[number % processes]
        try:
            line.call(api)
        except Blocked as error:
            waits.append(error.wait)
        line.call("agent/get", params={"agentid": 1000002})
        clock.advance(0.2)
    assert all(timedelta(0) < one <= timedelta(seconds=61) for one in waits if one)
    calls = world.calls_to(api)
    begun = [one.at for one, before in zip(calls[1:], calls, strict=False) if one.errcode == 45009 != before.errcode]
    assert len(begun) == 3
    inside = [one.at - start for start in begun for one in calls if 0 < one.at - start < 60]
    assert max(inside, default=0.0) <= late


def test_we_stay_below_the_limit_by_ourselves_over_all_processes(engine: Engine, clock: ManualClock) -> None:
    script = Script({"errcode": 0})
    lines = [make_line(engine, script, clock, per_minute=250) for _ in range(3)]
    made = blocked = 0
    for number in range(600):
        try:
            lines[number % 3].call("agent/get")
            made += 1
        except Blocked:
            blocked += 1
    assert (made <= 250, made + blocked) == (True, 600)
    clock.advance(60)
    lines[0].call("agent/get")


# --- S38: over a real line --------------------------------------------------------------------------------------------


def test_nothing_secret_reaches_the_log_of_a_real_call(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World.small_shop()
    secret = world.app(1000002).secret
    with running(world) as address:
        world.fail_next("agent/get", 40014)
        tokens = DatabaseTokens(engine, cipher_from(KEY), lambda: datetime.now(UTC))
        pacing = Pacing(GateLedger(engine), lambda: datetime.now(UTC))
        line = Line(world.corp_id, secret, api_base=f"{address}/cgi-bin/", tokens=tokens, pacing=pacing)
        line.call("agent/get", params={"agentid": 1000002})
        token = line.token()
        with pytest.raises(Answered) as refused:
            line.call("externalcontact/send_welcome_msg", {"welcome_code": "code-x", "text": {"content": "私"}})
        line._http.close()
    for hidden in (secret, token, "code-x", "私"):
        assert hidden not in caplog.text
        assert hidden not in str(refused.value)

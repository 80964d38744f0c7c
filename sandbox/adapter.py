"""The simulated API for `requests`, in process: mount it, and nothing leaves the machine.

    session.mount("https://qyapi.weixin.qq.com", SandboxAdapter(world))

A simulated hang ends in `ReadTimeout` when it is longer than the caller's time-out (with a `ManualClock` at no cost), a
reset after the effect in `ConnectionError`.
"""

import io
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter

from sandbox import mp
from sandbox.api import Answer, answer
from sandbox.call import Request
from sandbox.world import World

MARK, SNS = "/cgi-bin/", "/sns/"


class SandboxAdapter(BaseAdapter):
    """Answers every address that has /cgi-bin/ in it."""

    def __init__(self, world: World, ip: str = "127.0.0.1") -> None:
        super().__init__()
        self.world = world
        self.ip = ip

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer a prepared request, as the network would."""
        if SNS in urlsplit(request.url or "").path:
            return response(wechat(self.world, request.url or ""), request)
        said = answer(self.world, received(request, self.ip), patience(timeout))
        if said.hung:
            raise requests.ReadTimeout("the sandbox did not answer in time", request=request)
        if said.reset:
            raise requests.ConnectionError("the sandbox broke the line", request=request)
        return response(said, request)

    def close(self) -> None:
        """There is nothing to close."""


def wechat(world: World, url: str) -> Answer:
    """What WeChat itself answers, not WeCom."""
    address = urlsplit(url)
    query = dict(parse_qsl(address.query, keep_blank_values=True))
    return Answer(json.dumps(mp.answer(world, address.path.partition(SNS)[2], query)).encode())


def patience(timeout: Any) -> float | None:
    """How long the caller waits to read."""
    found = timeout[1] if isinstance(timeout, tuple) else timeout
    return None if found is None else float(found)


def received(request: requests.PreparedRequest, ip: str) -> Request:
    """The prepared request as WeCom would get it."""
    address = urlsplit(request.url or "")
    if MARK not in address.path:
        raise requests.ConnectionError(f"the sandbox has no {address.path}", request=request)
    return Request(
        verb=request.method or "GET",
        path=address.path.split(MARK, 1)[1],
        query=dict(parse_qsl(address.query, keep_blank_values=True)),
        body=whole(request.body),
        headers={name: text(value) for name, value in request.headers.items()},
        ip=ip,
    )


def whole(body: Any) -> bytes:
    """The body in one piece, however it was prepared."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "read"):
        return whole(body.read())
    return b"".join(whole(one) for one in body)


def text(value: str | bytes) -> str:
    """A header as text, whichever way it was given."""
    return value.decode() if isinstance(value, bytes) else value


def response(said: Answer, request: requests.PreparedRequest) -> requests.Response:
    """The answer as `requests` would hand it over."""
    found = requests.Response()
    found.status_code = said.status
    found.headers.update({"Content-Type": said.content_type, "Content-Length": str(len(said.data)), **said.headers})
    found.encoding = "utf-8" if "json" in said.content_type else None
    found.raw = io.BytesIO(said.data)
    found.url = request.url or ""
    found.request = request
    found.reason = "OK"
    return found

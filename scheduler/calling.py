"""Calling an address that somebody else has written down, without being led anywhere they like (reliability.md S26).

An address is looked up once and called where it then led, so that nothing changes between looking and calling. What
leads into our own network is refused, however it is spelt, unless the shop has switched that on; no redirect is
followed, nothing of the answer is read but its status, and the whole call has an end.
"""

import ipaddress
import logging
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
"""To connect, and between two bytes."""
DEADLINE_SECONDS = 15.0
"""Of the whole call: one byte at a time is no answer."""
LONGEST = 2000
PORTS: Mapping[str, int] = MappingProxyType({"https": 443, "http": 80})
NAT64 = ipaddress.ip_network("64:ff9b::/96")
COMPATIBLE = ipaddress.ip_network("::/96")
"""IPv4 in the clothes of IPv6, as it was written long ago."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


HTTPS_ONLY = "地址要以 https:// 开头；http 只有在设置里写了 [webhooks] private_networks = true 才能用"
"""What webhooks are refused by in the console and the API."""


class NotThere(Exception):
    """Why an address is not called, in words for whoever wrote it."""


@dataclass(frozen=True)
class Target:
    """Where an address led when it was looked up."""

    parts: SplitResult
    ip: str
    port: int

    @property
    def path(self) -> str:
        """What is asked for there."""
        query = f"?{self.parts.query}" if self.parts.query else ""
        return f"{self.parts.path or '/'}{query}"


def look_up(url: str, *, private: bool = False) -> Target:
    """Where an address leads. Raises ``NotThere`` unless every place it may lead to is outside, or ``private``."""
    parts, port = _read(url)
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        raise NotThere("找不到这个域名") from None
    inside = [] if private else [one for one in found if not is_outside(one)]
    if inside or not found:
        raise NotThere(
            "这个地址指向内部网络，不会去调用；请换成公网地址，或在设置里写 [webhooks] private_networks = true"
        )
    return Target(parts, sorted(found)[0], port)


def _read(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        raise NotThere("这不是一个地址") from None
    if parts.scheme not in PORTS or not parts.hostname or len(url) > LONGEST or not url.isprintable():
        raise NotThere("地址要以 https:// 开头")
    if not url.isascii() or " " in url:
        raise NotThere("地址里不能有空格和中文，请写成编码后的样子")
    if parts.username is not None or parts.password is not None:
        raise NotThere("地址里不能有用户名和密码")
    return parts, port


def is_outside(ip: str) -> bool:
    """Whether an address is one of the public internet, also where it only wraps another."""
    own = ipaddress.ip_address(ip.partition("%")[0])
    return not getattr(own, "is_site_local", False) and all(map(_is_public, (own, *_within(own))))


def _is_public(own: Address) -> bool:
    return own.is_global and not own.is_multicast and not own.is_reserved


def _within(own: Address) -> list[Address]:
    """The IPv4 addresses to which an IPv6 address leads in the end (mapped, 6to4, Teredo, NAT64, compatible)."""
    if isinstance(own, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [own.ipv4_mapped, own.sixtofour, *(own.teredo or ())]
    if own in NAT64 or own in COMPATIBLE:
        found.append(ipaddress.IPv4Address(int(own) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


def post(target: Target, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer; what else it says nobody reads. Raises ``OSError`` and urllib3's ``HTTPError``."""
    line = _line(target)
    ends = threading.Timer(DEADLINE_SECONDS, _cut, [line])
    ends.daemon = True
    ends.start()
    try:
        own = {"Host": target.parts.netloc, "Content-Type": "application/json", "User-Agent": "wecom-scrm"}
        line.request("POST", target.path, body=body, headers={**own, **headers}, preload_content=False)
        return int(line.getresponse().status)
    finally:
        ends.cancel()
        line.close()


def _line(target: Target) -> Any:
    """A connection to where the address led; of TLS it is asked who the name says."""
    import certifi
    from urllib3.connection import HTTPConnection, HTTPSConnection

    timeout = TIMEOUT_SECONDS
    if target.parts.scheme == "http":
        return HTTPConnection(target.ip, target.port, timeout=timeout)
    name = str(target.parts.hostname)
    return HTTPSConnection(
        target.ip, target.port, timeout=timeout, server_hostname=name, assert_hostname=name, ca_certs=certifi.where(),
        cert_reqs="CERT_REQUIRED",
    )  # fmt: skip


def _cut(line: Any) -> None:
    """End a call that does not end by itself."""
    if (own := getattr(line, "sock", None)) is not None:
        try:
            own.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def call(url: str, body: bytes, headers: Mapping[str, str], *, private: bool = False) -> tuple[int, str]:
    """Make one call; the status of the answer (0: there was none), and what was said. Raises nothing."""
    from http.client import HTTPException  # the connection is only needed where somebody uses this

    from urllib3.exceptions import HTTPError

    try:
        status = post(look_up(url, private=private), body, headers)
    except NotThere as why:
        return 0, str(why)
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        log.info("a call was not taken: %s", type(error).__name__)
        return 0, f"没有接通：{type(error).__name__}"
    return status, f"HTTP {status}"


def shown(url: str) -> str:
    """An address as it may be told on: its host alone, for what stands behind it can be a secret."""
    return urlsplit(url).netloc.rpartition("@")[2][:100]

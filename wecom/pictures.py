"""QR pictures, fetched from WeCom's own hosts and nowhere else.

WeCom answers a new contact way with the address of its picture. We fetch it ourselves, so that the console shows no
foreign address and a page of codes can be downloaded; which hosts may be asked is fixed here, whatever is stored.
"""

import re
from urllib.parse import urlsplit

import requests

from wecom.errors import TryLater, WeComError

HOSTS = (".qpic.cn", ".qlogo.cn", "work.weixin.qq.com", ".work.weixin.qq.com")
HOST = re.compile(r"[a-z0-9.-]+")
MAX_BYTES = 1024 * 1024
TIMEOUT = (3.05, 5.0)
KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class NoPicture(WeComError):
    """There is no QR picture to be had at this address, and asking again would not help."""


def allowed(address: str, api_base: str) -> str | None:
    """The address to ask: over TLS at WeCom's hosts, as it is where ``api_base`` lives; None for any other."""
    try:
        parts, home = urlsplit(address), urlsplit(api_base)
        host, plain = parts.hostname or "", parts.username is None and parts.port in (None, 80, 443)
    except ValueError:
        return None
    if parts.scheme in ("http", "https") and (parts.scheme, parts.netloc) == (home.scheme, home.netloc):
        return address
    known = any(host.endswith(one) if one.startswith(".") else host == one for one in HOSTS)
    if parts.scheme not in ("http", "https") or not HOST.fullmatch(host) or not known or not plain:
        return None
    return parts._replace(scheme="https", netloc=host).geturl()


def fetch(http: requests.Session, address: str, api_base: str) -> tuple[bytes, str]:
    """The picture and its content type. No redirect is followed. Raises ``NoPicture`` and ``TryLater``."""
    asked = allowed(address, api_base)
    if asked is None:
        raise NoPicture("the address of the QR picture is not one of WeCom's")
    try:
        with http.get(asked, timeout=TIMEOUT, stream=True, allow_redirects=False) as answer:
            if answer.status_code >= 500:
                raise TryLater(f"QR picture: HTTP {answer.status_code}")
            if answer.status_code != 200:
                raise NoPicture(f"QR picture: HTTP {answer.status_code}")
            content = _read(answer)
    except requests.RequestException as error:
        raise TryLater(f"QR picture: {type(error).__name__}") from None
    kind = next((kind for start, kind in KINDS.items() if content.startswith(start)), None)
    if kind is None or len(content) > MAX_BYTES:
        raise NoPicture("what is at the address of the QR picture is not a small PNG or JPG")
    return content, kind


def _read(answer: requests.Response) -> bytes:
    """The body, and no more than a little too much of it."""
    content = b""
    for piece in answer.iter_content(64 * 1024):
        content += piece
        if len(content) > MAX_BYTES:
            break
    return content

"""What every answer carries, errors included: a strict content policy, no caching of data, and compression.

Scripts and styles come only from our own files, never from a page, so a nickname that slipped through an escape could
still not run.
"""

import gzip
from functools import lru_cache
from urllib.parse import urlsplit

from flask import Flask, Response, request

SDK_OF_WECOM = "https://res.wx.qq.com https://open.work.weixin.qq.com"
"""Where WeCom keeps its JS-SDK; pages in the chat's toolbar load it, no other page does."""
YEAR = 31_536_000
WORTH_PACKING = 500
TEXT = ("text/", "application/json", "application/javascript", "image/svg+xml", "application/problem+json")
PICTURES_OF_WECOM = "https://*.qpic.cn https://*.qlogo.cn"
"""Where WeCom keeps QR pictures and avatars."""


def install(app: Flask) -> None:
    """Add the headers to every answer of this application."""
    base_url = str(app.extensions["base_url"])
    standing = always(str(app.extensions["oauth_base"]), base_url)
    over_tls = base_url.startswith("https://")
    app.config.update(
        SESSION_COOKIE_NAME="__Host-scrm-form" if over_tls else "scrm-form",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=over_tls,
        SESSION_COOKIE_PATH="/",
    )

    @app.after_request
    def finish(response: Response) -> Response:
        own = response.headers.get("Content-Security-Policy", "")
        for name, value in standing:
            if name != "X-Frame-Options" or "frame-ancestors http" not in own:  # who may frame it stands there
                response.headers.setdefault(name, value)
        _say_how_long_it_keeps(response)
        return pack(response)


def always(wecom: str, base_url: str) -> list[tuple[str, str]]:
    """The headers of every answer, whichever application gives it."""
    headers = [
        ("Content-Security-Policy", content_policy(wecom)),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("X-Frame-Options", "DENY"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ]
    if base_url.startswith("https://"):
        headers.append(("Strict-Transport-Security", f"max-age={YEAR}; includeSubDomains"))
    return headers


def content_policy(wecom: str) -> str:
    """Only our own scripts and styles; pictures also from WeCom, and from the sandbox where that plays WeCom."""
    return _policy("'self'", _sandbox(wecom), "'none'")


def sidebar_policy(wecom: str) -> str:
    """As ``content_policy``, with WeCom's JS-SDK. In WeCom the page stands alone; the sandbox frames it."""
    sandbox = _sandbox(wecom)
    return _policy(f"'self' {sandbox or SDK_OF_WECOM}", sandbox, sandbox or "'none'")


def _sandbox(wecom: str) -> str:
    """Where the sandbox is, if that plays WeCom."""
    parts = urlsplit(wecom)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme == "http" else ""


def _policy(scripts: str, sandbox: str, ancestors: str) -> str:
    pictures = f"{PICTURES_OF_WECOM} {sandbox}".strip()
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; connect-src 'self'; font-src 'self'; "
        f"img-src 'self' data: {pictures}; "
        f"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    )


def _say_how_long_it_keeps(response: Response) -> None:
    """Files with a version in their address keep for a year; everything else is not kept at all."""
    static = _is_static() and response.status_code in (200, 304)
    if static and "v" in request.args:
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    elif static:
        response.headers["Cache-Control"] = "public, max-age=300"
    else:
        response.headers.setdefault("Cache-Control", "no-store")


def pack(response: Response) -> Response:
    """Compress texts for browsers that take it; what streams (an export) stays as it is."""
    static = _is_static()
    whole = response.status_code == 200 and (static or not response.is_streamed) and request.range is None
    if not (whole and (response.mimetype or "").startswith(TEXT)) or "Content-Encoding" in response.headers:
        return response
    response.headers.add("Vary", "Accept-Encoding")
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return response
    response.direct_passthrough = False
    body = response.get_data()
    if len(body) >= WORTH_PACKING:
        response.set_data(_packed_file(body) if static else gzip.compress(body, 5))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.pop("ETag", None)
    return response


def _is_static() -> bool:
    return (request.endpoint or "").endswith(".static")


@lru_cache(maxsize=32)
def _packed_file(body: bytes) -> bytes:
    return gzip.compress(body, 9)

"""Which doors there are and who may pass: every route is public by list, guarded by a right, or for members in WeCom.

``@guarded("see_people")`` goes directly above a view, below its route. Who is not signed in is led to the sign-in
page and back; who lacks the right gets the same 404 as for a page that does not exist. ``undecided`` names every route
without a decision; a test walks it, and at run time such a route answers 404.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, abort, redirect, request, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.routing import IntegerConverter, Map

from console import here
from people.access import RIGHTS

View = TypeVar("View", bound=Callable[..., Any])

MACHINES = ("/api/",)
"""Doors for machines: they prove themselves by key, never by a cookie, so no forged form gets in."""
PUBLIC = frozenset(
    {
        "health.alive",
        "health.ready",
        "health.metrics",
        "bootstrap.static",
        "console.static",
        "console.favicon",
        "console.language",
        "sign_in.show",
        "sign_in.by_password",
        "sign_in.link",
        "sign_in.by_link",
        "sign_in.to_wecom",
        "sign_in.from_wecom",
        "sidebar.come_in",
        "tracked.follow",
        "own_page.show",
        "own_page.messages",
        "own_door.start",
        "own_door.to_own",
        "own_door.code",
        "own_door.leave",
        "own_door.to_wechat",
        "own_door.from_wechat",
        "own_door.bound",
        "own_rewards.ask_for_counter",
        "own_rewards.for_counter",
        "own_rewards.show",
        "own_rewards.redeem",
        "own_rewards.redemption",
        "own_gifts.show",
        "own_gifts.give",
        "own_gifts.decide",
        "own_groups.front",
        "own_groups.find",
        "own_groups.show",
        "own_groups.begin",
        "own_groups.join",
    }
)
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Number(IntegerConverter):
    """A number in an address. One that no id can be leads nowhere, as if there were no such route."""

    def __init__(self, of: Map) -> None:
        super().__init__(of, max=here.LARGEST)


def guarded(right: str) -> Callable[[View], View]:
    """Let in only who is signed in and has this right. Raises ``ValueError`` at import for a right nobody defined."""
    if right not in RIGHTS:
        raise ValueError(f"no such right: {right}")

    def guard(view: View) -> View:
        @wraps(view)
        def inner(*args: Any, **kwargs: Any) -> Any:
            if here.user() is None:
                return _to_sign_in()
            if not here.viewer().may(right):
                here.not_here()
            return view(*args, **kwargs)

        inner.guarded_by = right  # type: ignore[attr-defined]
        return inner  # type: ignore[return-value]

    return guard


def right_of(app: Flask, endpoint: str) -> str | None:
    """The right that guards an endpoint; None where there is none."""
    found: str | None = getattr(app.view_functions[endpoint], "guarded_by", None)
    return found


def undecided(app: Flask) -> list[str]:
    """Every route that is neither public by list, nor a machine's door, nor guarded."""
    return [
        f"{rule.endpoint} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith(MACHINES) and not _is_decided(app, rule.endpoint)
    ]


def _is_decided(app: Flask, endpoint: str) -> bool:
    """Public by list, guarded by a right, or kept by the sidebar's own door (``console.side_door``)."""
    sidebar = getattr(app.view_functions[endpoint], "members_only", False)
    return endpoint in PUBLIC or right_of(app, endpoint) is not None or sidebar


def _to_sign_in() -> Any:
    back = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("sign_in.show", next=back if back != "/" else None), 303)


def safe_return(address: str | None) -> str:
    """The address to go back to after signing in, if it is one of ours; ``/`` otherwise."""
    if not address or not address.startswith("/") or address.startswith("//"):
        return "/"
    if "\\" in address or any(ord(sign) < 32 for sign in address):
        return "/"
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else address


def install(app: Flask) -> None:
    """Keep the doors of this application. A form's token lives as long as the browser's session, not an hour."""
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None, WTF_CSRF_SSL_STRICT=False)
    app.url_map.converters["int"] = Number
    csrf = CSRFProtect(app)

    @app.after_request
    def note(answer: Response) -> Response:
        here.note_refusal()
        return answer

    @app.before_request
    def keep() -> None:
        if request.path.startswith(MACHINES) or request.endpoint is None:
            return
        if not _is_decided(app, request.endpoint):
            abort(404)
        if request.method in UNSAFE:
            _refuse_foreigners()
            csrf.protect()


def _refuse_foreigners() -> None:
    """A form posted from another site is refused, whatever token it brings."""
    if request.headers.get("Sec-Fetch-Site", "none") in ("cross-site", "same-site"):
        abort(403)
    origin = request.headers.get("Origin")
    ours = (request.host_url.rstrip("/"), _origin(here.setting("base_url")), _origin(here.home()))
    if origin and origin not in ours:
        abort(403)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"

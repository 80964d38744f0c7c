"""The door of the sidebar: a member opens it inside WeCom, and WeCom says who that is (OAuth, without a question).

It is apart from the console's own sign-in: any member may come in, as the bot answers any member, and what they see is
their own. Who has come in stands in the browser's signed session under a name that the page carries along; the page
itself says nothing about who it is. Whoever has left meanwhile is out at the next request.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask import Response, g, redirect, render_template, request, session, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from console import headers, here, sign_in
from console.words import _
from people import reps
from people.access import Sight
from storage.tables import Member
from wecom.errors import Refused, TryLater

View = TypeVar("View", bound=Callable[..., Any])

STATES, CAME_IN = "side_states", "side_came_in"
AT_ONCE = 5
"""So many sign-ins may be under way, and so many members may have come in, in one browser."""
LIVES = 12 * 3600
"""Seconds."""


@dataclass(frozen=True)
class Visitor:
    """The member who looks, and whom they may see."""

    member: Member
    sight: Sight
    name: str
    """What the page carries along."""

    @property
    def userid(self) -> str:
        """As we keep it."""
        return self.member.userid


def members_only(view: View) -> View:
    """Let in only whoever has come in by WeCom: a page is led there, a call of a page that is too old gets 401."""

    @wraps(view)
    def inner(*args: Any, **kwargs: Any) -> Any:
        name = request.values.get("s", "")
        with here.reading() as db:
            known = _known(db, name)
        if known is None:
            return to_wecom() if request.method == "GET" else Response("", 401)
        g.acting, g.side_visitor = known.userid, known
        return view(*args, **kwargs)

    inner.members_only = True  # type: ignore[attr-defined]
    return inner  # type: ignore[return-value]


def visitor() -> Visitor:
    """Whoever has come in. Only for views that are ``members_only``."""
    found: Visitor = g.side_visitor
    return found


def _known(db: Session, name: str) -> Visitor | None:
    came = next((one for one in session.get(CAME_IN, []) if one[0] == name), None)
    if came is None or here.now().timestamp() - came[2] > LIVES:
        return None
    found = reps.known(db, came[1])
    return Visitor(*found, name) if found is not None else None


def to_wecom() -> AnyResponse:
    """Send the browser to WeCom with a state that only this browser knows, and only once."""
    state = secrets.token_hex(16)
    session[STATES] = [*session.get(STATES, []), state][-AT_ONCE:]
    back = here.setting("base_url") + url_for("sidebar.come_in")
    return redirect(sign_in.inside_wecom(back, state), 303)


def come_in() -> AnyResponse:
    """Back from WeCom: the state must be one of this browser's, then WeCom says whose code it is."""
    under_way = list(session.get(STATES, []))
    state = request.args.get("state", "")
    if state not in under_way:
        return _stop(_("没有打开"), _("这次打开不是从这个浏览器开始的，或已经用过。请关掉侧边栏再打开。"), 400)
    session[STATES] = [one for one in under_way if one != state]
    try:
        userid = here.gateway().signed_in_member(request.args.get("code", ""))
    except Refused:
        return _stop(_("没有打开"), _("企业微信说这个登录码已用过或已过期。请关掉侧边栏再打开。"), 400)
    except TryLater:
        return _stop(_("暂时连不上企业微信"), _("请稍等片刻，关掉侧边栏再打开。"), 503)
    with here.reading() as db:
        found = reps.known(db, userid) if userid else None
    if found is None:
        return _stop(
            _("这里还没有你"),
            _("你不在这个应用的通讯录里。请联系管理员：管理后台 → 应用管理 → 本应用 → 可见范围。"),
            403,
        )
    return redirect(url_for("sidebar.show", s=_let_in(found[0].userid)), 303)


def _let_in(userid: str) -> str:
    name = secrets.token_hex(8)
    others = [one for one in session.get(CAME_IN, []) if one[1] != userid]
    session[CAME_IN] = [*others, [name, userid, int(here.now().timestamp())]][-AT_ONCE:]
    return name


def _stop(title: str, sentence: str, status: int) -> AnyResponse:
    return framed(Response(render_template("sidebar/stop.html", title=title, sentence=sentence), status))


def framed(answer: Response) -> Response:
    """The answer under the policy of the sidebar's pages: with WeCom's scripts, and framed by the sandbox alone."""
    answer.headers["Content-Security-Policy"] = headers.sidebar_policy(here.setting("oauth_base"))
    return answer

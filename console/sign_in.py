"""Coming in and going out: by WeCom (in the app or by QR code), by password, by a one-time link.

After: ``people.sign_in`` keeps sessions and counts guesses; here are only the forms, the cookie and the way to WeCom
and back. Who signs in gets a new session and a fresh form token; what was there before is dead.
"""

import secrets
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from console import here
from console.doors import guarded, safe_return
from console.layout import say
from console.words import _
from people import persons, sign_in
from people.access import BOSS
from storage.tables import SignInLink, User
from wecom.errors import Refused, TryLater

pages = Blueprint("sign_in", __name__)

STATES = 5
"""So many sign-ins by WeCom may be under way in one browser (tabs); an older one has to begin anew."""


# --- the page, and the password --------------------------------------------------------------------------------------


@pages.get("/sign-in")
def show() -> Any:
    """The ways in. Inside WeCom there is nothing to choose: WeCom knows who it is."""
    target = safe_return(request.args.get("next"))
    if here.user() is not None:
        return redirect(target, 303)
    if _in_wecom() and "stay" not in request.args:
        return redirect(url_for("sign_in.to_wecom", next=target), 303)
    return _form(target)


@pages.post("/sign-in")
def by_password() -> Any:
    """Sign in with userid and password; after ten wrong ones in ten minutes nothing is even looked at."""
    userid, password = request.form.get("userid", "").strip(), request.form.get("password", "")
    target = safe_return(request.form.get("next"))
    with here.working() as work:
        attempt = sign_in.begin_attempt(work.db, userid, here.address(), work.now)
        if attempt is None:
            here.note(work, "sign_in.slow_down", actor="-")
    if attempt is None:
        return _too_many(target, userid)
    with here.reading() as db:
        user = sign_in.find_user(db, userid)
    if user is None or not sign_in.matches(user, password):
        if user is None:
            sign_in.matches(None, password)
        with here.working() as work:
            here.note(work, "sign_in.bad", actor=user.userid if user else "-", details={"by": "password"})
        return _form(target, userid=userid, error=_("用户名或密码不对")), 401
    with here.working() as work:
        sign_in.forgive(work.db, attempt)
    return _come_in(user, "password", target)


def _form(target: str, userid: str = "", error: str = "") -> str:
    return render_template("sign_in/show.html", target=target, userid=userid, error=error)


def _too_many(target: str, userid: str) -> AnyResponse:
    minutes = int(sign_in.GUESS_WINDOW.total_seconds() // 60)
    error = _("输错太多次了，请 %(n)s 分钟后再试，或用企业微信扫码登录", n=minutes)
    answer = Response(_form(target, userid, error), 429)
    answer.headers["Retry-After"] = str(int(sign_in.GUESS_WINDOW.total_seconds()))
    return answer


def _come_in(user: User, by: str, target: str = "/") -> AnyResponse:
    """Begin a session: the old one of this browser ends, and nothing it held lives on."""
    old = here.session_token()
    with here.working() as work:
        if old is not None:
            sign_in.end_session(work.db, old, work.now)
        token = sign_in.open_session(work.db, user, work.now, here.address())
        here.note(work, "sign_in.good", details={"by": by}, actor=user.userid)
    session.clear()
    answer = redirect(safe_return(target), 303)
    answer.set_cookie(
        here.cookie_name(),
        token,
        max_age=int(sign_in.SESSION_LIVES.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=here.secure(),
        path="/",
    )
    return answer


def _go_out() -> AnyResponse:
    session.clear()
    answer = redirect(url_for("sign_in.show", stay=1), 303)
    answer.delete_cookie(here.cookie_name(), path="/", secure=here.secure(), httponly=True, samesite="Lax")
    return answer


@pages.post("/sign-out")
@guarded("see_today")
def out() -> Any:
    """Go out: this session is dead, here and wherever its cookie was copied to."""
    token = here.session_token()
    with here.working() as work:
        here.note(work, "sign_in.out")
        sign_in.end_session(work.db, token or "", work.now)
    return _go_out()


# --- one-time links --------------------------------------------------------------------------------------------------


@pages.get("/sign-in/link/<token>")
def link(token: str) -> str:
    """Ask before the link is used up: programs that look at links in chats must not burn it."""
    return render_template("sign_in/link.html", token_value=token)


@pages.post("/sign-in/link/<token>")
def by_link(token: str) -> Any:
    """Sign in by a link that works once within a day."""
    with here.working() as work:
        user = sign_in.redeem_link(work.db, token, work.now)
        if user is None:
            known = select(User.userid).join(SignInLink).where(SignInLink.digest == sign_in.digest(token))
            here.note(work, "sign_in.bad", details={"by": "link"}, actor=work.db.scalar(known) or "-")
    if user is None:
        return _stop(_("这个链接不能用了"), _("它已用过、已超过 24 小时，或不完整。请让管理员再发一个。"), 410)
    return _come_in(user, "link")


# --- by WeCom --------------------------------------------------------------------------------------------------------


def _in_wecom() -> bool:
    return "wxwork" in (request.user_agent.string or "").lower()


@pages.get("/sign-in/wecom")
def to_wecom() -> Any:
    """Send the browser to WeCom with a state that only this browser's session knows, and only once."""
    state = secrets.token_hex(16)
    under_way = list(session.get("states", []))[-(STATES - 1) :]
    session["states"] = [*under_way, [state, safe_return(request.args.get("next"))]]
    return redirect(_wecom_address(state), 303)


def _wecom_address(state: str) -> str:
    """WeCom reads the parameters in this order, and wants its fragment."""
    back = here.setting("base_url") + url_for("sign_in.from_wecom")
    if _in_wecom():
        return inside_wecom(back, state)
    asked = {
        "login_type": "CorpApp",
        "appid": here.setting("corp_id"),
        "agentid": here.setting("agent_id"),
        "redirect_uri": back,
        "state": state,
    }
    return f"{here.setting('login_base')}/wwlogin/sso/login?{urlencode(asked)}"


def inside_wecom(back: str, state: str) -> str:
    """Where WeCom, in whose own browser we are, says who it is without asking; it comes back to ``back``."""
    asked = {
        "appid": here.setting("corp_id"),
        "redirect_uri": back,
        "response_type": "code",
        "scope": "snsapi_base",
        "state": state,
        "agentid": here.setting("agent_id"),
    }
    return f"{here.setting('oauth_base')}/connect/oauth2/authorize?{urlencode(asked)}#wechat_redirect"


@pages.get("/sign-in/wecom/done")
def from_wecom() -> Any:
    """Back from WeCom: the state must be one of this browser's, then WeCom says whose code it is."""
    target = _spend_state(request.args.get("state", ""))
    if target is None:
        return _stop(_("登录没有完成"), _("这次登录不是从这个浏览器开始的，或已经用过。请再试一次。"), 400)
    try:
        userid = here.gateway().signed_in_member(request.args.get("code", ""))
    except Refused:
        return _stop(_("登录没有完成"), _("企业微信说这个登录码已用过或已过期。请再试一次。"), 400)
    except TryLater:
        return _stop(_("暂时连不上企业微信"), _("你的账号没有问题。请稍等片刻再试。"), 503)
    with here.reading() as db:
        user = sign_in.find_user(db, userid) if userid else None
    if user is None:
        return _unknown(userid)
    return _come_in(user, "wecom", target)


def _spend_state(state: str) -> str | None:
    """Where to go after this sign-in; None for a state this browser does not have (any more)."""
    under_way: dict[str, str] = dict(session.get("states", []))
    target = under_way.pop(state, None)
    session["states"] = [list(one) for one in under_way.items()]
    return target


def _unknown(userid: str | None) -> AnyResponse:
    """A member of the corp who may not use the console yet: say who can change that."""
    with here.working() as work:
        here.note(work, "sign_in.bad", subject=(userid or "")[:64], details={"by": "wecom"}, actor="-")
        bosses = work.db.scalars(select(User.userid).where(User.role == BOSS, User.disabled_at.is_(None)))
        names = [persons.rep_name(work.db, one) for one in bosses] if userid else []
    return Response(render_template("sign_in/unknown.html", userid=userid, names=names), 403)


def _stop(title: str, sentence: str, status: int) -> AnyResponse:
    return Response(render_template("sign_in/stop.html", title=title, sentence=sentence), status)


# --- my own sign-in --------------------------------------------------------------------------------------------------


@pages.get("/my-sign-in")
@guarded("see_today")
def mine() -> str:
    """One's own password and sessions."""
    return _mine()


def _mine(error: str = "", wrong: str = "") -> str:
    user = here.user()
    return render_template(
        "sign_in/mine.html", has_password=bool(user and user.password_hash), error=error, wrong=wrong
    )


@pages.post("/my-sign-in/password")
@guarded("see_today")
def change_password() -> Any:
    """Change one's password: every session ends, this browser gets a new one."""
    user = here.user()
    assert user is not None  # noqa: S101  # guarded  # nosec B101
    with here.working() as work:
        attempt = sign_in.begin_attempt(work.db, user.userid, here.address(), work.now)
    if attempt is None:
        return _mine(wrong=_("输错太多次了，请稍后再试")), 429
    if user.password_hash and not sign_in.matches(user, request.form.get("old", "")):
        return _mine(wrong=_("现在的密码不对")), 422
    try:
        with here.working() as work:
            sign_in.forgive(work.db, attempt)
            sign_in.set_password(work.db, user, request.form.get("new", ""), work.now)
            here.note(work, "password.change")
    except sign_in.Refused as error:
        return _mine(error=_(str(error))), 422
    answer = _come_in(user, "password change", url_for("sign_in.mine"))
    say(_("密码已更改，其他设备都已退出"))
    return answer


@pages.post("/my-sign-in/out-everywhere")
@guarded("see_today")
def out_everywhere() -> Any:
    """End every session of one's own."""
    with here.working() as work:
        sign_in.end_sessions(work.db, here.viewer().user_id, work.now)
        here.note(work, "sign_in.out_everywhere")
    return _go_out()

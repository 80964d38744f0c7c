"""How a browser comes in to a customer's own page: by six digits that somebody of the shop confirms, or by WeChat.

Before: the bare page (``own_page``). After: everything, for half an hour. ``people.own_pages`` says who is let in.
"""

import secrets
from datetime import timedelta

from flask import Response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from console import here, own_visit
from console.layout import say
from console.own_visit import CUSTOMER, Gone, acting, back, looking, note, remember, stop
from console.words import _
from people import joining, own_pages, persons
from people.joining import Given
from storage import audit
from wecom.errors import Refused, TryLater

pages = own_visit.blueprint("own_door")

STATES, AT_ONCE = "me_states", 5
"""So many sign-ins by WeChat may be under way in one browser."""
GROUP = "me_group"
"""The code of the group that somebody who signs in was asked to join."""


@pages.post("/<token>/code")
def code(token: str) -> AnyResponse:
    """Six digits for the counter or a rep; this browser comes in once they are confirmed."""
    with acting(token) as (work, found):
        cookie = own_pages.ask_code(work, found.page)
    answer = back(token)
    remember(answer, token, cookie, own_pages.CODE_LIVES)
    return answer


@pages.post("/<token>/leave")
def leave(token: str) -> AnyResponse:
    """Close it: this browser sees little again."""
    with acting(token) as (work, found):
        if found.visit is not None:
            own_pages.leave(work.db, found.visit)
    answer = back(token)
    answer.delete_cookie(own_visit.COOKIE, path=url_for("own_page.show", token=token))
    return answer


@pages.post("/<token>/bound")
def bound(token: str) -> AnyResponse:
    """What a rep has bound is theirs, they say so themselves: signed in by WeChat, not by a code."""
    with acting(token, inside=True) as (work, found):
        if found.visit is not None and found.visit.opened_by == own_pages.WECHAT:
            certain, _left = own_pages.settle(work, found.page, by=own_pages.WECHAT)
            if certain:
                note(work, found, "customer.bound", {"certain": certain})
    return back(token)


# --- by WeChat -------------------------------------------------------------------------------------------------------


@pages.get("")
def start() -> AnyResponse:
    """The address that is everybody's (a menu of the 公众号, a message to many): WeChat says whose page to open."""
    if not here.mp().app_id:
        raise Gone
    return Response(render_template("own_page/start.html", shop=here.setting("shop_name")))


@pages.get("/go")
def to_own() -> AnyResponse:
    """From there to WeChat; ``group`` is the code of a group to be led to afterwards."""
    own_visit.LOOKS.step(here.address(), here.now())
    if not here.mp().app_id:
        raise Gone
    session[GROUP] = request.args.get("group", "")[:20]
    return _to_wechat("")


@pages.get("/<token>/wechat")
def to_wechat(token: str) -> AnyResponse:
    """Send the browser to WeChat with a state that only this browser knows, and only once."""
    with looking(token):
        if not here.mp().app_id:
            raise Gone
    return _to_wechat(token)


def _to_wechat(token: str) -> AnyResponse:
    state = secrets.token_hex(16)
    session[STATES] = [*session.get(STATES, []), [state, token]][-AT_ONCE:]
    return redirect(here.mp().sign_in_address(here.home() + url_for("own_door.from_wechat"), state), 303)


@pages.get("/wechat")
def from_wechat() -> AnyResponse:
    """Back from WeChat: the state must be one of this browser's, and says which page it was; WeChat says who it is."""
    token = _spend_state(request.args.get("state", ""))
    if token is None:
        return stop(_("登录没有完成"), _("这次登录不是从这个浏览器开始的，或已经用过。请回到聊天里再点一次链接。"), 400)
    try:
        user = here.mp().user(request.args.get("code", ""))
    except Refused:
        return stop(_("登录没有完成"), _("微信说这次登录已用过、已过期，或还没有登录微信。请再试一次。"), 400)
    except TryLater:
        return stop(_("暂时连不上微信"), _("请稍等片刻再试。"), 503)
    told = [Given("unionid", user.unionid)] if user.unionid else []
    told.append(Given(f"{here.mp().app_id}:openid", user.openid))
    return _come_in(token, told) if token else _come_to_own(told)


def _spend_state(state: str) -> str | None:
    """The page this sign-in began at (empty: at none); None for a state that this browser does not have (any more)."""
    under_way: dict[str, str] = dict(session.get(STATES, []))
    token = under_way.pop(state, None)
    session[STATES] = [list(one) for one in under_way.items()]
    return token


def _come_to_own(told: list[Given]) -> AnyResponse:
    """Open the page of whoever this is for certain, or the group that they were asked to join."""
    with here.working() as work:
        person = own_pages.known(work.db, told)
        if person is not None:
            token = own_pages.address(work, person).rpartition("/")[2]
            page = own_pages.find(work.db, token)
            cookie = own_pages.come_in(work, page[0], by=own_pages.WECHAT) if page is not None else ""
            joining.learn(work, person, told, source=own_pages.WECHAT, by=own_pages.WECHAT)
            details = {"outcome": own_pages.FAMILIAR}
            audit.note(work.db, actor=CUSTOMER, action="customer.wechat", subject=persons.public_id(person.id),
                       details=details, address=here.address(), at=work.now)  # fmt: skip
    if person is None:
        return stop(_("还不认识这个微信"), _("请从顾问发给你的链接打开一次，或在店里请店员帮你打开。"), 404)
    group = session.pop(GROUP, "")
    answer = redirect(url_for("own_groups.show", token=token, code=group), 303) if group else back(token)
    remember(answer, token, cookie)
    return answer


def _come_in(token: str, told: list[Given]) -> AnyResponse:
    waits, cookie = timedelta(), ""
    with here.working() as work:
        found = own_visit.opened(work.db, token)
        outcome = own_pages.by_wechat(work, found.page, told)
        if outcome == own_pages.FAMILIAR:
            cookie = own_pages.come_in(work, found.page, by=own_pages.WECHAT)
        elif outcome == own_pages.CLAIMED:
            cookie = own_pages.ask_code(work, found.page, wechat=own_pages.spelt(told))
            waits = own_pages.CODE_LIVES
        note(work, found, "customer.wechat", {"outcome": outcome})
    if outcome == own_pages.ANOTHER:
        say(_("这个微信是另一位会员的。如果都是你，请到店里出示确认码。"), "warn")
    elif outcome == own_pages.CLAIMED:
        say(_("我们还不认识这个微信。请把下面的确认码给店员看一次，以后用微信就能直接登录。"), "warn")
    answer = back(token)
    if cookie:
        remember(answer, token, cookie, waits)
    return answer

"""A customer's own page (``/me/<token>``): what they have, what ends when, what it is good for. For the phone first.

Public, and without script. The bare address shows little: it is sent in chats and may be passed on. A browser that has
come in (by WeChat, or by a code that the counter or a rep has confirmed) sees all of it for half an hour; its cookie
goes to this one page only. Whoever the page is about is decided by the token, never by anything a browser sends.

Nothing of an address is written into a log, no answer is kept by anybody, and a token that there is not looks like
one that was called back.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import segno
from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from console import here, points_words
from console.layout import say
from console.pace import Pace
from console.words import N_, _
from loyalty import accounts, notices, rewards, tiers
from loyalty.ledger import history
from loyalty.ledger.history import Happening
from loyalty.ledger.lots import NotEnough
from loyalty.ledger.spend import InDebt
from loyalty.ledger.standing import Standing
from loyalty.rewards import CannotRedeem
from people import consent, joining, own_pages, persons
from people.joining import Given
from storage import audit
from storage.tables import OwnPage, OwnVisit, Person, Redemption, Reward
from storage.work import Work
from wecom.errors import Refused, TryLater

log = logging.getLogger(__name__)

pages = Blueprint("own_page", __name__, url_prefix="/me")

COOKIE = "me"
STATES, AT_ONCE = "me_states", 5
"""So many sign-ins by WeChat may be under way in one browser."""
PAGE = 20
MONTHS = 3
WINDOW = timedelta(minutes=10)
LOOKS, WRONG, ACTS = Pace(900, WINDOW), Pace(30, WINDOW), Pace(60, WINDOW)
"""Of one address in so much time: pages, tokens that there are not, and forms."""
CUSTOMER = "customer"
MACHINES = ("orders", "rules", "import")
"""Who acts in the books without being anybody: customers need not hear of them."""
OBSTACLES: Mapping[str, str] = {
    "no_reward": N_("这个奖品已经没有了"),
    "not_live": N_("这个奖品现在不能兑换"),
    "early": N_("还没到可以兑换的时间"),
    "over": N_("兑换时间已经过了"),
    "level": N_("要到更高的等级才能兑换"),
    "person_limit": N_("你已经兑换过了，到了每人的上限"),
    "day_limit": N_("今天的已经换完了，明天再来"),
    "sold_out": N_("已经换完了"),
}
STATE_WORDS: Mapping[str, str] = {
    rewards.OPEN: N_("待领取"),
    rewards.USED: N_("已领取"),
    rewards.RETURNED: N_("已退回"),
    rewards.RELEASED: N_("过期未领，积分已退回"),
}


@dataclass(frozen=True)
class Opened:
    """A page that was asked for, and by whom."""

    page: OwnPage
    person: Person
    visit: OwnVisit | None

    @property
    def inside(self) -> bool:
        """Whether this browser may see everything."""
        return self.visit is not None and self.visit.opened_at is not None


def _opened(db: Session, token: str) -> Opened | None:
    """Raises ``TooManyRequests`` for who tries many tokens, or asks too often."""
    LOOKS.step(here.address(), here.now())
    found = own_pages.find(db, token[:60])
    if found is None:
        WRONG.step(here.address(), here.now())
        return None
    cookie = request.cookies.get(COOKIE, "")
    return Opened(*found, own_pages.visit_of(db, found[0].id, cookie, here.now()) if cookie else None)


def _gone() -> AnyResponse:
    return Response(render_template("own_page/gone.html"), 404)


@pages.after_request
def keep_to_itself(answer: Response) -> Response:
    """Nobody keeps it, finds it or hears of its address."""
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answer


@pages.errorhandler(Exception)
def failed(error: Exception) -> Any:
    """The log tells what went wrong, and not at which address."""
    if isinstance(error, HTTPException):
        return error
    log.error("a customer's own page failed", exc_info=error)
    return Response(render_template("own_page/stop.html", title=_("出了点问题"), sentence=_("请稍后再打开。")), 500)


# --- looking ---------------------------------------------------------------------------------------------------------


@pages.get("/<token>")
def show(token: str) -> Any:
    """What there is: everything for a browser that has come in, else very little."""
    with here.reading() as db:
        opened = _opened(db, token)
        if opened is None:
            return _gone()
        shown = _everything(db, opened) if opened.inside else _little(db, opened)
        owed = persons.anchors(db, opened.person.id) if opened.inside else []
    _write_down(token, owed)
    return shown


def _write_down(token: str, anchors: Sequence[int]) -> None:
    """That it was opened, and (to whoever has seen all of it) that they were told what ends soon."""
    with here.working() as work:
        found = own_pages.find(work.db, token)
        if found is not None:
            own_pages.seen(work, found[0])
            if anchors:
                own = accounts.accounts_of(work.db, anchors)
                notices.told(work, own, work.now + notices.EARLY, notices.PAGE, f"me:{found[0].id}")


def masked(points: int) -> str:
    """Points as anybody may see them: the first digit and how many there are; of a single digit nothing."""
    text = str(points)
    return "*" if len(text) < 2 else text[0] + "*" * (len(text) - 1)


def letter(name: str | None) -> str:
    """The first letter of a name, unless that is all of it."""
    plain = (name or "").strip()
    return f"{plain[0]}**" if len(plain) > 1 else "**"


def _little(db: Session, opened: Opened) -> str:
    standing = accounts.standing_of(db, persons.anchors(db, opened.person.id), here.now())
    visit = opened.visit
    return render_template(
        "own_page/bare.html",
        token=opened.page.token,
        shop=here.setting("shop_name"),
        letter=letter(opened.person.name),
        points=masked(standing.available),
        months=[(month, masked(n)) for month, n in _by_month(standing)],
        out=consent.is_out(opened.person),
        wechat=bool(here.mp().app_id),
        code=visit.code if visit is not None and visit.code_until and visit.code_until > here.now() else None,
        until=visit.code_until if visit is not None else None,
        drawn=_drawn,
    )


def _by_month(standing: Standing) -> list[tuple[date, int]]:
    found: dict[date, int] = {}
    for day, n in standing.ends(here.now(), here.zone()):
        found[day.replace(day=1)] = found.get(day.replace(day=1), 0) + n
    return sorted(found.items())[:MONTHS]


def _drawn(text: str) -> str:
    """A QR code as an address of its own; dark on white in every light."""
    return str(segno.make(text, error="m", micro=False).svg_data_uri(scale=8, border=3, dark="#000", light="#fff"))


@dataclass(frozen=True)
class Mine:
    """Whose accounts, and which of them may be spent from."""

    anchors: Sequence[int]
    own: Sequence[int]
    sure_anchors: Sequence[int]
    sure: Sequence[int]


def _mine(db: Session, opened: Opened) -> Mine:
    """What only a rep's word has joined to them is seen and not spent."""
    anchors, sure = persons.anchors(db, opened.person.id), sorted(joining.confirmed(db, opened.page.person_id))
    return Mine(anchors, accounts.accounts_of(db, anchors), sure, accounts.accounts_of(db, sure))


def _everything(db: Session, opened: Opened) -> str:
    now, mine = here.now(), _mine(db, opened)
    standing = accounts.standing_of(db, mine.anchors, now)
    usable = accounts.standing_of(db, mine.sure_anchors, now).available
    happened, following = history.page(db, mine.own, limit=PAGE, before=here.number(request.args.get("before")))
    assert opened.visit is not None  # noqa: S101  # looked at before  # nosec B101
    return render_template(
        "own_page/show.html",
        token=opened.page.token,
        shop=here.setting("shop_name"),
        person=opened.person,
        standing=standing,
        usable=usable,
        bound=[joining.shown(*one) for one in own_pages.unsure(db, opened.page.person_id)],
        may_say=opened.visit.opened_by == own_pages.WECHAT,
        pending=_pending(standing, now),
        ends=standing.ends(now, here.zone()),
        idle=standing.idle(now, here.zone()),
        level=_level(db, mine.own, now),
        happened=[(one, _why(one)) for one in happened],
        following=following,
        words=points_words,
        wanted=[(one, _hindrance(db, one, mine, usable)) for one in rewards.catalogue(db, now)],
        redeemed=_redeemed(db, mine.own),
        state_words=STATE_WORDS,
        out=consent.is_out(opened.person),
    )


def _pending(standing: Standing, now: datetime) -> list[tuple[date, int]]:
    """On which day how many can be spent that cannot yet."""
    found: dict[date, int] = {}
    for lot in standing.lots:
        if lot.activates_at > now and lot.points:
            day = lot.activates_at.astimezone(here.zone()).date()
            found[day] = found.get(day, 0) + lot.points
    return sorted(found.items())


def _level(db: Session, own: Sequence[int], now: datetime) -> dict[str, Any]:
    """Which level they have, what it brings, and what is missing to the next."""
    scheme, level = tiers.scheme(db), tiers.at(db, own, now)
    window = tiers.window_of(scheme, now.astimezone(here.zone()).date())
    counted = tiers.counter(tiers.counting(db, own), here.zone())(window)
    above = next((one for one in scheme.levels if one.points > level.points), None)
    changes = tiers.history(db, own)
    until = changes[0].until if changes and changes[0].after == level.key else None
    missing = 0 if above is None else max(0, above.points - counted)
    return {"level": level, "next": above, "missing": missing, "until": until, "ends": window[1]}


def _why(one: Happening) -> list[str]:
    """Why the number is what it is, without what says something only to the shop."""
    actor, source = one.txn.actor, one.txn.source
    own = {CUSTOMER: _("你自己"), **dict.fromkeys(MACHINES, "")}
    said = points_words.why(one, {actor: own.get(actor, _("店员"))})
    first = _("规则第 %(n)s 版", n=0)
    return [part for part in said if part not in (actor, first) and (part != source or ":" not in source)]


def _hindrance(db: Session, reward: Reward, mine: Mine, usable: int) -> str:
    """Why they cannot have it now; empty where they can."""
    if (why := rewards.obstacle(db, reward, mine.sure, here.now(), here.zone())) is not None:
        return _(OBSTACLES.get(why.code, OBSTACLES["not_live"]))
    return _("还差 %(n)s 分", n=reward.points - usable) if usable < reward.points else ""


def _redeemed(db: Session, own: Sequence[int]) -> list[tuple[Redemption, Reward]]:
    return [(one, db.get_one(Reward, one.reward_id)) for one in rewards.of_accounts(db, own, limit=PAGE)]


# --- messages, and coming in by a code -------------------------------------------------------------------------------


def _back(token: str) -> AnyResponse:
    return redirect(url_for("own_page.show", token=token), 303)


def _note(work: Work, opened: Opened, action: str, details: Mapping[str, Any] | None = None) -> None:
    subject = persons.public_id(opened.person.id)
    audit.note(
        work.db, actor=CUSTOMER, action=action, subject=subject, details=details, address=here.address(), at=work.now
    )


@pages.post("/<token>/messages")
def messages(token: str) -> AnyResponse:
    """Hear nothing more from the shop unasked, or hear from it again. As easy as that: the bare address is enough."""
    ACTS.step(here.address(), here.now())
    with here.working() as work:
        opened = _opened(work.db, token)
        if opened is None:
            return _gone()
        if request.form.get("wanted") == "1":
            changed = consent.opt_in(work, opened.person, "page")
        else:
            changed = consent.opt_out(work, opened.person, "page")
        if changed:
            _note(work, opened, "customer.opt_in" if request.form.get("wanted") == "1" else "customer.opt_out")
    return _back(token)


@pages.post("/<token>/code")
def code(token: str) -> AnyResponse:
    """Six digits for the counter or a rep; this browser comes in once they are confirmed."""
    ACTS.step(here.address(), here.now())
    with here.working() as work:
        opened = _opened(work.db, token)
        if opened is None:
            return _gone()
        try:
            cookie = own_pages.ask_code(work, opened.page)
        except own_pages.TooManyCodes:
            return _too_many_codes()
    answer = _back(token)
    _remember(answer, token, cookie, own_pages.CODE_LIVES)
    return answer


def _too_many_codes() -> AnyResponse:
    words = {"title": _("要的确认码太多了"), "sentence": _("请十分钟后再试，或直接告诉店员。")}
    answer = Response(render_template("own_page/stop.html", **words), 429)
    answer.headers["Retry-After"] = str(int(own_pages.CODES_WINDOW.total_seconds()))
    return answer


def _remember(answer: AnyResponse, token: str, cookie: str, waits: timedelta = timedelta()) -> None:
    """To this page only; longer than the visit itself, which the books end."""
    lives = int((own_pages.LIVES + waits).total_seconds())
    secure = here.home().startswith("https://")
    path = url_for("own_page.show", token=token)
    answer.set_cookie(COOKIE, cookie, lives, path=path, httponly=True, samesite="Lax", secure=secure)


@pages.post("/<token>/leave")
def leave(token: str) -> AnyResponse:
    """Close it: this browser sees little again."""
    with here.working() as work:
        opened = _opened(work.db, token)
        if opened is None:
            return _gone()
        if opened.visit is not None:
            own_pages.leave(work.db, opened.visit)
    answer = _back(token)
    answer.delete_cookie(COOKIE, path=url_for("own_page.show", token=token))
    return answer


# --- coming in by WeChat ---------------------------------------------------------------------------------------------


@pages.get("")
def start() -> AnyResponse:
    """The address that is everybody's (a menu of the 公众号, a message to many): WeChat says whose page to open."""
    if not here.mp().app_id:
        return _gone()
    return Response(render_template("own_page/start.html", shop=here.setting("shop_name")))


@pages.get("/go")
def to_own() -> AnyResponse:
    """From there to WeChat."""
    LOOKS.step(here.address(), here.now())
    return _to_wechat("") if here.mp().app_id else _gone()


@pages.get("/<token>/wechat")
def to_wechat(token: str) -> AnyResponse:
    """Send the browser to WeChat with a state that only this browser knows, and only once."""
    with here.reading() as db:
        opened = _opened(db, token)
        if opened is None or not here.mp().app_id:
            return _gone()
    return _to_wechat(token)


def _to_wechat(token: str) -> AnyResponse:
    state = secrets.token_hex(16)
    session[STATES] = [*session.get(STATES, []), [state, token]][-AT_ONCE:]
    back = here.home() + url_for("own_page.from_wechat")
    return redirect(here.mp().sign_in_address(back, state), 303)


@pages.get("/wechat")
def from_wechat() -> AnyResponse:
    """Back from WeChat: the state must be one of this browser's, and says which page it was; WeChat says who it is."""
    token = _spend_state(request.args.get("state", ""))
    if token is None:
        return _stop(
            _("登录没有完成"), _("这次登录不是从这个浏览器开始的，或已经用过。请回到聊天里再点一次链接。"), 400
        )
    try:
        user = here.mp().user(request.args.get("code", ""))
    except Refused:
        return _stop(_("登录没有完成"), _("微信说这次登录已用过、已过期，或还没有登录微信。请再试一次。"), 400)
    except TryLater:
        return _stop(_("暂时连不上微信"), _("请稍等片刻再试。"), 503)
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
    """Open the page of whoever this is for certain."""
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
        return _stop(_("还不认识这个微信"), _("请从顾问发给你的链接打开一次，或在店里请店员帮你打开。"), 404)
    answer = _back(token)
    _remember(answer, token, cookie)
    return answer


def _come_in(token: str, told: list[Given]) -> AnyResponse:
    waits, cookie = timedelta(), ""
    with here.working() as work:
        opened = _opened(work.db, token)
        if opened is None:
            return _gone()
        outcome = own_pages.by_wechat(work, opened.page, told)
        if outcome == own_pages.FAMILIAR:
            cookie = own_pages.come_in(work, opened.page, by=own_pages.WECHAT)
        elif outcome == own_pages.CLAIMED:
            try:
                cookie = own_pages.ask_code(work, opened.page, wechat=own_pages.spelt(told))
            except own_pages.TooManyCodes:
                return _too_many_codes()
            waits = own_pages.CODE_LIVES
        _note(work, opened, "customer.wechat", {"outcome": outcome})
    if outcome == own_pages.ANOTHER:
        say(_("这个微信是另一位会员的。如果都是你，请到店里出示确认码。"), "warn")
    elif outcome == own_pages.CLAIMED:
        say(_("我们还不认识这个微信。请把下面的确认码给店员看一次，以后用微信就能直接登录。"), "warn")
    answer = _back(token)
    if cookie:
        _remember(answer, token, cookie, waits)
    return answer


def _stop(title: str, sentence: str, status: int) -> AnyResponse:
    return Response(render_template("own_page/stop.html", title=title, sentence=sentence), status)


# --- for whoever has come in -----------------------------------------------------------------------------------------


@pages.post("/<token>/bound")
def bound(token: str) -> AnyResponse:
    """What a rep has bound is theirs, they say so themselves: signed in by WeChat, not by a code."""
    ACTS.step(here.address(), here.now())
    with here.working() as work:
        opened = _opened(work.db, token)
        if opened is None:
            return _gone()
        if opened.inside and opened.visit is not None and opened.visit.opened_by == own_pages.WECHAT:
            certain, _left = own_pages.settle(work, opened.page, by=own_pages.WECHAT)
            if certain:
                _note(work, opened, "customer.bound", {"certain": certain})
    return _back(token)


@pages.post("/<token>/counter")
def ask_for_counter(token: str) -> AnyResponse:
    """Six digits by which the counter knows whose points it takes."""
    ACTS.step(here.address(), here.now())
    with here.working() as work:
        opened = _opened(work.db, token)
        if opened is None:
            return _gone()
        try:
            if opened.inside:
                own_pages.show_code(work, opened.page)
        except own_pages.TooManyCodes:
            return _too_many_codes()
    return redirect(url_for("own_page.for_counter", token=token), 303)


@pages.get("/<token>/counter")
def for_counter(token: str) -> Any:
    """The same digits, large, with a QR code."""
    with here.reading() as db:
        opened = _opened(db, token)
        if opened is None:
            return _gone()
        shown = own_pages.shown_code(db, opened.page, here.now()) if opened.inside else None
        if shown is None:
            return _back(token)
        return render_template("own_page/counter.html", token=token, code=shown[0], until=shown[1], drawn=_drawn)


@pages.get("/<token>/rewards/<int:reward_id>")
def reward(token: str, reward_id: int) -> Any:
    """Once more what it is and what it costs, before points are spent."""
    with here.reading() as db:
        opened = _opened(db, token)
        if opened is None:
            return _gone()
        return _asked(db, opened, reward_id) if opened.inside else _back(token)


def _asked(db: Session, opened: Opened, reward_id: int, trouble: str = "") -> Any:
    found = next((one for one in rewards.catalogue(db, here.now()) if one.id == reward_id), None)
    if found is None:
        return _back(opened.page.token)
    mine = _mine(db, opened)
    usable = accounts.standing_of(db, mine.sure_anchors, here.now()).available
    return render_template(
        "own_page/reward.html",
        token=opened.page.token,
        reward=found,
        usable=usable,
        trouble=trouble or _hindrance(db, found, mine, usable),
        key=secrets.token_hex(16),
    )


@pages.post("/<token>/rewards/<int:reward_id>")
def redeem(token: str, reward_id: int) -> Any:
    """Redeem it: once for each form that was shown, however often it is sent."""
    ACTS.step(here.address(), here.now())
    key = request.form.get("key", "")[:64]
    try:
        with here.working() as work:
            opened = _opened(work.db, token)
            if opened is None:
                return _gone()
            if not opened.inside or not key:
                return _back(token)
            mine = _mine(work.db, opened)
            own = f"me:{opened.page.id}:{key}"
            row = rewards.redeem(work, mine.sure_anchors, mine.sure, reward_id, own, by=CUSTOMER)
            _note(work, opened, "reward.redeem", {"reward": reward_id, "points": row.points})
            number = row.id
    except (CannotRedeem, NotEnough, InDebt) as error:
        return _refused(token, reward_id, error)
    return redirect(url_for("own_page.redemption", token=token, redemption_id=number), 303)


def _refused(token: str, reward_id: int, error: Exception) -> Any:
    """Nothing has changed; why."""
    if isinstance(error, CannotRedeem):
        why = _(OBSTACLES.get(error.code, OBSTACLES["not_live"]))
    elif isinstance(error, NotEnough):
        why = _("能用的积分不够：现在有 %(n)s 分", n=error.available)
    else:
        why = _("还欠着积分，还清以后才能兑换")
    with here.reading() as db:
        opened = _opened(db, token)
        return _gone() if opened is None else _asked(db, opened, reward_id, why)


@pages.get("/<token>/redemptions/<int:redemption_id>")
def redemption(token: str, redemption_id: int) -> Any:
    """What was redeemed, with the code that the counter wants to see."""
    with here.reading() as db:
        opened = _opened(db, token)
        if opened is None:
            return _gone()
        found = _redeemed(db, _mine(db, opened).own) if opened.inside else []
        row = next((one for one in found if one[0].id == redemption_id), None)
        if row is None:
            return _back(token)
        coupon = rewards.coupon_of(db, redemption_id)
        return render_template(
            "own_page/redemption.html",
            token=token,
            row=row[0],
            reward=row[1],
            coupon=coupon,
            spelt=rewards.spelt(row[0].code),
            drawn=_drawn,
            state=_(STATE_WORDS[row[0].state]),
        )

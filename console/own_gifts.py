"""Points given from one customer to another (转赠) on their own pages: sent to a phone number, accepted or declined.

Whoever sends is told nothing of whoever has the number, not even that anybody has it: a gift to a number nobody is
known by waits as long and comes back likewise (``loyalty.transfers``). Whoever is to accept sees the first letter of a
name. What a gift is sent to is asked once more before points are set apart, for it cannot be called back.
"""

import hmac
import secrets
from typing import Any

from flask import current_app, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from console import here, own_visit, own_words
from console.layout import back_to, say
from console.own_visit import CUSTOMER, PAGE, Mine, Opened, acting, back, letters, looking, mine_of, note
from console.shown import exact, moment
from console.words import _
from loyalty import accounts, transfers
from loyalty.approvals import MOST_POINTS
from loyalty.transfers import Named, Party
from people import access, identities, own_pages, persons
from people.identities import PHONE
from storage.tables import Gift
from storage.work import Work

pages = own_visit.blueprint("own_gifts")

HOURS = int(transfers.WAITS.total_seconds()) // 3600


def on(db: Session) -> bool:
    """Whether anything can be given now."""
    return transfers.limits(db).on and not own_visit.shut(db)


def offered(db: Session, mine: Mine) -> list[tuple[Gift, str]]:
    """What waits to be accepted, each with as much of a name as the other is shown."""
    found = transfers.waiting_for(db, mine.sure, here.now())
    names = letters(db, [one.sender_id for one in found])
    return [(one, names[one.sender_id]) for one in found]


@pages.get("/<token>/gifts")
def show(token: str) -> Any:
    """A number and how many points; what waits for them; what they have given."""
    with looking(token, inside=True) as (db, found):
        return _page(db, found)


def _page(db: Session, found: Opened, trouble: str = "") -> str:
    mine, own = mine_of(db, found), transfers.limits(db)
    paying = accounts.standing_of(db, mine.sure_anchors, here.now())
    work, given = here.start_work(db), transfers.made_by(db, mine.own, PAGE)
    names = letters(db, [one.receiver_id for one in given if one.receiver_id is not None and not one.named])
    return render_template(
        "own_page/gifts.html",
        token=found.page.token,
        on=on(db),
        shut=own_visit.shut(db),
        offered=offered(db, mine),
        given=[(one, one.named or names.get(one.receiver_id or 0, "")) for one in given],
        states=own_words.GIFT_STATES,
        usable=paying.available,
        givable=transfers.first_hand(db, paying, here.now()),
        left=max(0, own.day - transfers.given_today(work, mine.sure)),
        hours=HOURS,
        trouble=trouble,
        typed=request.form,
    )


@pages.post("/<token>/gifts")
def give(token: str) -> Any:
    """Ask once more (without ``sure``), then give: once for each form that was shown, however often it is sent.

    ``change``: back from the question to what was typed; by a form, for no address may hold a phone number.
    """
    if request.form.get("change"):
        with looking(token, inside=True) as (db, found):
            return _page(db, found)
    phone, points = _typed()
    if not identities.is_mobile(phone) or not points:
        trouble = _("手机号不对：大陆手机号是 11 位，别处的写 + 和国家代码") if points else _("写一个大于 0 的整数")
        with looking(token, inside=True) as (db, found):
            return _page(db, found, trouble), 422
    key = request.form.get("key", "")[:64]
    if not (request.form.get("sure") and key):
        return _ask(token, phone, points)
    try:
        with acting(token, inside=True) as (work, found):
            row = _give(work, found, phone, points, key)
            told_of, until = row.named, row.until
    except own_words.REFUSALS as error:
        with looking(token, inside=True) as (db, found):
            return _page(db, found, own_words.why_not_given(error, own_visit.shut(db))), 422
    say(
        _(
            "已送出 %(n)s 分，等 %(who)s 接收。%(at)s 前没有接收，积分会退回。",
            n=exact(points),
            who=told_of,
            at=moment(until),
        )
    )
    return back_to("own_gifts.show", token=token)


def _ask(token: str, phone: str, points: int) -> Any:
    """The question, where nothing is in the way that can be known before."""
    with looking(token, inside=True) as (db, found):
        mine, anchor = mine_of(db, found), own_pages.holder(db, PHONE, phone)
        other = Party(persons.anchors(db, anchor) if anchor is not None else [], [])
        try:
            transfers.check(here.start_work(db), Party(mine.anchors, mine.sure), other, points)
        except own_words.REFUSALS as error:
            return _page(db, found, own_words.why_not_given(error, own_visit.shut(db))), 422
        left = accounts.standing_of(db, mine.sure_anchors, here.now()).available - points
        told = {"phone": phone, "points": points, "left": left, "hours": HOURS, "key": secrets.token_hex(16)}
        return render_template("own_page/gift.html", token=token, **told)


def _typed() -> tuple[str, int]:
    """The number as it is kept, and points; empty and 0 for what is none."""
    try:
        phone = identities.spelt(PHONE, request.form.get("phone", "")[:40])
    except ValueError:
        phone = ""
    return phone, min(here.number(request.form.get("points", "").strip()) or 0, MOST_POINTS)


def _give(work: Work, found: Opened, phone: str, points: int, key: str) -> Gift:
    mine = mine_of(work.db, found)
    sender = Party(mine.anchors, mine.sure)
    own = f"me:{found.page.id}:{key}"
    named = Named(access.masked(phone) or "", _digest(phone))
    row = transfers.give(work, sender, _receiver(work, phone), points, own, named=named, by=CUSTOMER)
    note(work, found, "gift.give", {"count": points})
    return row


def _digest(phone: str) -> str:
    """Of a number, with the key of this house: whoever has the books alone cannot try out which number it is of."""
    return hmac.new(current_app.config["SECRET_KEY"].encode(), f"gift:{phone}".encode(), "sha256").hexdigest()


def _receiver(work: Work, phone: str) -> Party:
    """Whoever is certain to have this number; nobody, where nobody is."""
    anchor = own_pages.holder(work.db, PHONE, phone)
    if anchor is None:
        return Party([], [])
    return Party(persons.anchors(work.db, anchor), [accounts.open_account(work, anchor)])


@pages.post("/<token>/gifts/<int:gift_id>")
def decide(token: str, gift_id: int) -> AnyResponse:
    """Accept what somebody has sent (``do=accept``), or decline it; again: no change.

    Of what was sent to a number whoever sent it is not told that it was declined (``transfers.decline``).
    """
    do = request.form.get("do", "")
    if do not in ("accept", "decline"):
        return back(token)
    accepts = do == "accept"
    try:
        with acting(token, inside=True) as (work, found):
            settle = transfers.accept if accepts else transfers.decline
            row = settle(work, gift_id, mine_of(work.db, found).sure, by=CUSTOMER)
            note(work, found, "gift.accept" if accepts else "gift.decline", {"count": row.points})
            points, named = row.points, row.named
    except own_words.REFUSALS as error:
        with looking(token, inside=True) as (db, found):
            say(own_words.why_not(error, own_visit.shut(db)), "bad")
        return back(token)
    if accepts:
        say(_("已接收 %(n)s 分", n=exact(points)))
    else:
        say(_("没有接收，到时间积分会退回给对方") if named else _("没有接收，积分已退回给对方"))
    return back(token)

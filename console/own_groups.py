"""Rewards got together for fewer points (拼团) on customers' own pages: a group is begun, found by its code, joined.

Whoever has the address of a group (``/me/g/CODE``) sees what it is for, not who is in it; in it stand first letters
only. Nothing is given for bringing others: WeChat forbids rewarding an act of sharing.
"""

from typing import Any

from flask import Response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from console import here, own_rewards, own_visit, own_words
from console.layout import say
from console.own_visit import CUSTOMER, PAGE, Gone, Mine, Opened, acting, back, drawn, letters, looking, mine_of
from console.own_visit import note as write_down
from console.words import _
from loyalty import accounts, group_buys, rewards
from storage.tables import GroupBuy, Reward

pages = own_visit.blueprint("own_groups")


def on(db: Session) -> bool:
    """Whether groups are begun and joined now."""
    return group_buys.terms(db).on and not own_visit.shut(db)


def mine(db: Session, own: Mine) -> list[tuple[GroupBuy, Reward, int]]:
    """Groups they are or were in, each with its reward and the seats that are (or were at its end) taken."""
    found = group_buys.of_accounts(db, own.own, PAGE)
    seats = group_buys.taken(db, [one.id for one in found])
    return [(one, db.get_one(Reward, one.reward_id), seats.get(one.id, 0)) for one in found]


def _named(db: Session, typed: str) -> GroupBuy | None:
    """The group of what was typed or scanned; who tries many is slowed down."""
    code = rewards.read_code(typed.rpartition("/")[2])
    row = group_buys.by_code(db, code) if code is not None else None
    if row is None:
        own_visit.WRONG.step(here.address(), here.now())
    return row


@pages.get("/g/<code>")
def front(code: str) -> AnyResponse:
    """What others are led to: what it is for and how to come in; who is in it, nobody is told here."""
    own_visit.LOOKS.step(here.address(), here.now())
    with here.reading() as db:
        row = _named(db, code)
        if row is None:
            raise Gone
        told = {"group": row, "reward": db.get_one(Reward, row.reward_id), "code": rewards.spelt(row.code)}
        taken = group_buys.taken(db, [row.id]).get(row.id, 0)
        over = row.state != group_buys.OPEN or row.deadline <= here.now()
        page = render_template(
            "own_page/group_front.html",
            **told,
            shop=here.setting("shop_name"),
            taken=taken,
            over=over,
            wechat=bool(here.mp().app_id),
        )
    return Response(page)


@pages.get("/<token>/groups")
def find(token: str) -> AnyResponse:
    """By its code (``code``)."""
    with looking(token, inside=True) as (db, _found):
        row = _named(db, request.args.get("code", ""))
        if row is None:
            say(_("没有这个团。请对照朋友给你的码再输一次。"), "bad")
            return back(token)
        return redirect(url_for("own_groups.show", token=token, code=row.code), 303)


@pages.get("/<token>/groups/<code>")
def show(token: str, code: str) -> Any:
    """Its seats and deadline, what happens then, and what stands in the way of joining."""
    with looking(token, inside=True) as (db, found):
        row = _named(db, code)
        return _page(db, found, row) if row is not None else back(token)


def _page(db: Session, found: Opened, row: GroupBuy, refused: str = "") -> str:
    own, now = mine_of(db, found), here.now()
    seats = group_buys.seats_of(db, row.id)
    names = letters(db, [seat.account_id for seat, _person in seats])
    reward = db.get_one(Reward, row.reward_id)
    paying = accounts.standing_of(db, own.sure_anchors, now)
    return render_template(
        "own_page/group.html",
        token=found.page.token,
        group=row,
        reward=reward,
        taken=group_buys.taken(db, [row.id]).get(row.id, 0),
        seats=[(names[seat.account_id], person == found.person.id) for seat, person in seats],
        inside=any(person == found.person.id for _seat, person in seats),
        over=row.state != group_buys.OPEN or row.deadline <= now,
        state=_(own_words.GROUP_STATES[row.state]),
        refused=refused,
        trouble=own_rewards.hindrance(db, reward, own, paying, row.points),
        redemption=next((seat.redemption_id for seat, person in seats if person == found.person.id), None),
        code=rewards.spelt(row.code),
        address=here.home() + url_for("own_groups.front", code=row.code),
        drawn=drawn,
    )


@pages.post("/<token>/rewards/<int:reward_id>/group")
def begin(token: str, reward_id: int) -> Any:
    """Begin a group for a reward and take the first seat: once for each form that was shown."""
    key = request.form.get("key", "")[:64]
    try:
        with acting(token, inside=True) as (work, found):
            if not key:
                return back(token)
            own = mine_of(work.db, found)
            row = group_buys.begin(
                work, own.sure_anchors, own.sure, reward_id, f"me:{found.page.id}:{key}", by=CUSTOMER
            )
            write_down(work, found, "group.begin", {"reward": reward_id, "count": row.points})
            code = row.code
    except own_words.REFUSALS as error:
        with looking(token, inside=True) as (db, found):
            return own_rewards.asked(db, found, reward_id, own_words.why_not(error, own_visit.shut(db)))
    return redirect(url_for("own_groups.show", token=token, code=code), 303)


@pages.post("/<token>/groups/<code>")
def join(token: str, code: str) -> Any:
    """Take a seat; again: the same one."""
    try:
        with acting(token, inside=True) as (work, found):
            row = _named(work.db, code)
            if row is None:
                return back(token)
            own = mine_of(work.db, found)
            group_buys.join(work, own.sure_anchors, own.sure, row.id, by=CUSTOMER)
            write_down(work, found, "group.join", {"count": row.points})
    except own_words.REFUSALS as error:
        with looking(token, inside=True) as (db, found):
            row = _named(db, code)
            said = own_words.why_not(error, own_visit.shut(db))
            return _page(db, found, row, said) if row is not None else back(token)
    return redirect(url_for("own_groups.show", token=token, code=code), 303)

"""The counter (核销): on a phone, a customer's code is typed or scanned, looked at, and confirmed once.

One field takes both codes that customers show: of a redemption (eight signs), which is handed out, and the six digits
of their own page, by which they are known for certain (``confirming``).

Everybody who may sign in can work at a counter. Of the customer nobody sees more here than needed to be sure who it is.
At which store one works is chosen once and kept in the browser; what is handed out remembers it.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote

import segno
from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console import confirming, here, reward_words
from console.confirming import Outcome
from console.doors import guarded
from console.layout import back_to, say
from console.words import _
from loyalty import accounts, group_buys, rewards
from loyalty.approvals import chance
from loyalty.reward_desk import MAX_STORE
from loyalty.rewards import LIVE, CannotHandOut
from people import access, joining, own_pages
from storage.tables import Member, Person, PointsAccount, Redemption, Reward, ShopOrder

pages = Blueprint("counter", __name__, url_prefix="/counter")

COOKIE = "store"
LIVES = timedelta(days=365)
LATELY = timedelta(days=30)
MOST_STORES = 100


def picture(code: str) -> str:
    """The QR of a redemption, as the address of a picture: scanned at the counter it leads to the code's page."""
    address = f"{here.setting('base_url').rstrip('/')}/counter?code={code}"
    return str(segno.make(address, error="m").svg_data_uri(scale=6, border=2, dark="#1E2227", light="#FFFFFF"))


@pages.get("")
@guarded("use_counter")
def show() -> Response:
    """A place for a code; with one (``code``) the reward or the customer, and the button."""
    store, typed = _store(), request.args.get("code", "")
    digits = confirming.digits(typed) if store else ""
    outcome = _look(digits) if digits else None
    with here.reading() as db:
        asked = (
            {} if not typed.strip() else _asked(db, typed, store) if outcome is None else _whose(db, outcome, digits)
        )
        told = {"store": store, "stores": _stores(db), "typed": typed, "once": chance()}
        page = render_template("counter/show.html", **told, **asked)
    answer = make_response(page)
    answer.headers["Permissions-Policy"] = "camera=(self), geolocation=(), microphone=(), payment=()"
    return answer


def _store() -> str:
    return unquote(request.cookies.get(COOKIE, ""))[:MAX_STORE]


def _stores(db: Session) -> list[str]:
    """Stores there are: of live rewards, and of the orders of the last thirty days."""
    since = here.now() - LATELY
    sold = select(ShopOrder.store).where(ShopOrder.store != "", ShopOrder.paid_at >= since).distinct()
    named = {one for some in db.scalars(select(Reward.stores).where(Reward.state == LIVE)) for one in some}
    return sorted(named.union(db.scalars(sold.limit(MOST_STORES))))[:MOST_STORES]


def _asked(db: Session, typed: str, store: str) -> dict[str, Any]:
    code = rewards.read_code(typed)
    row = rewards.by_code(db, code) if code is not None else None
    if row is None:
        return {"trouble": reward_words.why_not(CannotHandOut(_no_code(db, typed)), {})}
    why = rewards.why_not(db, row, store, here.now())
    return {
        "row": row,
        "reward": db.get_one(Reward, row.reward_id),
        "code": rewards.spelt(row.code),
        "customer": _customer(db, _owner(db, row)),
        "trouble": reward_words.why_not(why, _names(db, row)) if why is not None else "",
        "became": reward_words.BECAME,
        "kinds": reward_words.KINDS,
    }


def _no_code(db: Session, typed: str) -> str:
    """What is wrong with what is no redemption's code; a group's may be scanned, as an address that ends with it."""
    code = rewards.read_code(typed.rpartition("/")[2])
    return "of_group" if code is not None and group_buys.by_code(db, code) is not None else "no_code"


def _look(digits: str) -> Outcome:
    with here.reading() as db:
        sight = here.sight(db)
    return confirming.look(digits, sight, here.viewer().userid)


def _whose(db: Session, outcome: Outcome, digits: str) -> dict[str, Any]:
    if outcome.person_id is None:
        return {"trouble": outcome.words}
    return {"digits": digits, "customer": _customer(db, outcome.person_id), "usable": _usable(db, outcome.person_id)}


def _usable(db: Session, person_id: int) -> int:
    """What they can spend now, in points: what only a rep's word has joined to them is not counted."""
    anchor = own_pages.anchor_of(db, db.get_one(Person, person_id))
    return accounts.standing_of(db, sorted(joining.confirmed(db, anchor)), here.now()).available


def _names(db: Session, row: Redemption) -> dict[str, str]:
    own = select(Member.userid, Member.name).where(Member.userid == row.ended_by)
    return {userid: name or userid for userid, name in db.execute(own)}


def _owner(db: Session, row: Redemption) -> int | None:
    return db.scalar(select(PointsAccount.person_id).where(PointsAccount.id == row.account_id))


def _customer(db: Session, anchor_id: int | None) -> str:
    """Enough to be sure: the first sign of the name, and the phone without its middle."""
    head = select(func.coalesce(Person.merged_into, Person.id)).where(Person.id == anchor_id).scalar_subquery()
    person = db.scalars(select(Person).where(Person.id == head)).one_or_none()
    if person is None:
        return ""
    return " ".join(one for one in (masked_name(person.name), access.masked(person.phone)) if one)


def masked_name(name: str | None) -> str:
    """小雨 is 小＊."""
    return f"{name[0]}{'＊' * min(len(name) - 1, 3)}" if name else ""


@pages.post("/store")
@guarded("use_counter")
def choose() -> Any:
    """At which store one works, from now on in this browser."""
    store = (request.form.get("store") or request.form.get("other") or "").strip()[:MAX_STORE]
    answer = back_to("counter.show", code=request.form.get("code") or None)
    answer.set_cookie(COOKIE, quote(store), max_age=int(LIVES.total_seconds()), httponly=True, samesite="Lax",
                      secure=here.secure())  # fmt: skip
    return answer


@pages.post("/confirm")
@guarded("use_counter")
def confirm() -> Any:
    """Hand it out, or let it be confirmed who it is. The same press sent twice hands it out once."""
    if digits := confirming.digits(request.form.get("code", "")):
        return _confirm_customer(digits)
    code, store, once = rewards.read_code(request.form.get("code", "")), _store(), request.form.get("once", "")[:64]
    if not store:
        say(_("先选你在哪家店。"), "warn")
        return back_to("counter.show", code=code)
    try:
        with here.working() as work:
            row = rewards.by_code(work.db, code) if code is not None else None
            if row is None:
                raise CannotHandOut(_no_code(work.db, request.form.get("code", "")))
            before = row.state
            done = rewards.hand_out(work, row.id, store, here.viewer().userid, once)
            name, points = work.db.get_one(Reward, done.reward_id).name, done.points
            if before != done.state or not done.confirmed:
                here.note(work, "reward.hand_out", f"redemption:{done.id}", {"name": name, "store": store})
    except CannotHandOut as error:
        with here.reading() as db:
            row = rewards.by_code(db, code) if code is not None else None
            say(reward_words.why_not(error, _names(db, row) if row is not None else {}), "bad")
        return back_to("counter.show", code=code)
    say(_("已核销：%(name)s，%(n)s 分。可以把它交给客户。", name=name, n=f"{points:,}"))
    return back_to("counter.show")


def _confirm_customer(digits: str) -> Any:
    with here.reading() as db:
        sight = here.sight(db)
    outcome = confirming.confirm(digits, sight, here.viewer().userid)
    if outcome.person_id is None:
        say(outcome.words, "bad")
        return back_to("counter.show")
    with here.reading() as db:
        who = _customer(db, outcome.person_id) or _("没有名字的客户")
        usable = _usable(db, outcome.person_id)
    say(outcome.words)
    say(_("%(who)s 现在能用 %(n)s 分。", who=who, n=f"{usable:,}"))
    return back_to("counter.show")

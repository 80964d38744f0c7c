"""A code off a customer's own page is confirmed by somebody of the shop: at the counter, or by the customer's rep.

Shared by the counter's page, the customer's page here and the sidebar: they differ in who asks and whom they may see.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request

from console import here
from console.doors import guarded
from console.layout import back_to, say
from console.person import person_of
from console.words import _
from people import access, own_pages, persons
from people.access import Sight
from storage.database import transaction
from storage.tables import Person
from storage.work import Work

pages = Blueprint("confirming", __name__)

LONGEST = 12


@dataclass(frozen=True)
class Outcome:
    """What to say, and about whom."""

    words: str
    good: bool
    person_id: int | None = None


def digits(typed: str) -> str:
    """The six digits in what was typed or scanned; empty where it is something else."""
    plain = "".join(typed[:LONGEST].split())
    return plain if len(plain) == own_pages.DIGITS and plain.isascii() and plain.isdigit() else ""


def look(typed: str, sight: Sight, by: str) -> Outcome:
    """Whose code it is, before it is confirmed; counted and refused as ``confirm`` does."""
    return _guessed(typed, sight, by, None, _only_look)


def confirm(typed: str, sight: Sight, by: str, only: int | None = None) -> Outcome:
    """Confirm what somebody typed; of people out of their sight (or of another than ``only``) it is a wrong code."""
    return _guessed(typed, sight, by, only, _confirm)


def _guessed(
    typed: str, sight: Sight, by: str, only: int | None, then: Callable[[Work, str, Person, str], Outcome]
) -> Outcome:
    """A guess is counted and kept before it is looked at."""
    code = "".join(sign for sign in typed[:LONGEST] if sign.isascii() and sign.isdigit())
    with transaction(here.engine()) as db:
        attempt = own_pages.begin_guess(db, by, here.now())
    if attempt is None:
        return Outcome(_("输错太多次了，请十分钟后再试。"), good=False)
    with here.working() as work:
        person = own_pages.waiting_for(work.db, code, work.now)
        seen = person is not None and access.person_in_sight(work.db, sight, person.id) is not None
        if person is None or not seen or (only is not None and person.id != only):
            return Outcome(_("没有这个确认码：可能输错了，或超过了十分钟。请客户再出示一个。"), good=False)
        outcome = then(work, code, person, by)
        if outcome.good:
            own_pages.forgive(work.db, attempt)
        return outcome


def _only_look(_work: Work, _code: str, person: Person, _by: str) -> Outcome:
    return Outcome("", good=True, person_id=person.id)


def _confirm(work: Work, code: str, _person: Person, by: str) -> Outcome:
    found = own_pages.confirm(work, code, by=by)
    if found is None:
        return Outcome(_("这个确认码刚刚用过了。"), good=False)
    here.note(work, "customer.confirm", persons.public_id(found.person.id), {"certain": found.certain})
    return Outcome(_said(found), good=True, person_id=found.person.id)


def _said(found: own_pages.Confirmation) -> str:
    if found.left:
        return _("已确认是本人。会员号是你自己绑定的，要另一位同事或收银台确认以后，那里的积分才能用。")
    if found.certain:
        return _("已确认是本人，绑定的会员从现在起可以用积分。")
    return _("已确认是本人。")


@pages.get("/points/confirm")
@guarded("confirm_customers")
def show() -> str:
    """A field for the digits on the customer's phone."""
    return render_template("confirming/show.html", error="")


@pages.post("/points/confirm")
@guarded("confirm_customers")
def send() -> Any:
    """Confirm them, and go to the customer."""
    with here.reading() as db:
        sight = here.sight(db)
    outcome = confirm(request.form.get("code", ""), sight, here.viewer().userid)
    if not outcome.good or outcome.person_id is None:
        return render_template("confirming/show.html", error=outcome.words), 422
    say(outcome.words)
    return back_to("points.show", person_id=persons.public_id(outcome.person_id))


@pages.post("/points/<person_id>/own-page")
@guarded("see_points")
def make(person_id: str) -> Any:
    """Make the customer's own address, to be sent to them."""
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is None:
            here.not_here(person_id)
        own_pages.address(work, person)
        here.note(work, "customer.own_page", persons.public_id(person.id))
    return back_to("points.show", person_id=person_id)


@pages.post("/points/<person_id>/own-page/revoke")
@guarded("revoke_own_pages")
def revoke(person_id: str) -> Any:
    """Call every address of a customer back: what was passed on leads nowhere from now on."""
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is None:
            here.not_here(person_id)
        if gone := own_pages.revoke(work, person):
            here.note(work, "customer.own_page_revoke", persons.public_id(person.id), {"n": gone})
    say(_("已收回：旧地址从现在起打不开，已登录的页面也已退出"))
    return back_to("points.show", person_id=person_id)


def page_of(db: Any, person: Any) -> dict[str, Any]:
    """What the page about a customer's points shows of their own page."""
    page = own_pages.of_person(db, person)
    address = f"{here.home()}/me/{page.token}" if page is not None else ""
    return {"own_address": address, "own_seen": page.seen_at if page is not None else None}

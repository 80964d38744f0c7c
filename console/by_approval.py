"""What an operator asks for on a customer's points: to give again what was lost (补发), to move some to somebody else.

Both are done as asked once others have agreed (``loyalty.approvals``, kinds ``reissue`` and ``transfer``); what was
lost is an expiry or a clearing, as a line of the customer's history.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from console import approval_words, here, points_words
from console.approvals import in_sight, me, once_of, public_id, sent, whole
from console.doors import guarded
from loyalty import accounts, approvals, deeds
from loyalty.approvals import Asked, CannotDo
from loyalty.ledger.book import Conflict
from loyalty.ledger.history import Happening
from people import access, persons
from storage.tables import Person, PointsTxn
from storage.work import Work

pages = Blueprint("by_approval", __name__, url_prefix="/points")

LOSSES = ("expire", "clear")
"""Kinds of transactions whose points can be given again."""
LARGEST = 2**63 - 1
"""No id of the books is larger."""


def left_of(db: Session, own: Sequence[int], happened: Sequence[Happening]) -> dict[int, int]:
    """How much of each loss among these nobody has given again yet, by transaction."""
    losses = [one.txn.id for one in happened if one.txn.kind in LOSSES]
    return {txn_id: left for txn_id in losses if (left := _lost(db, own, txn_id)[1])}


def _lost(db: Session, own: Sequence[int], txn_id: int) -> tuple[int, int]:
    """Which of these accounts lost by a transaction, and how much of it nobody has given again yet."""
    found = [(account_id, deeds.lost(db, account_id, txn_id)) for account_id in own]
    return max(found, key=lambda one: one[1], default=(0, 0))


def _person(db: Session, name: str) -> Person | None:
    digits = here.number(name.removeprefix("p_"))
    return access.person_in_sight(db, here.sight(db), digits) if digits is not None else None


def _here(db: Session, name: str) -> tuple[Person, list[int]]:
    """Somebody in sight, and their accounts."""
    person = in_sight(db, name)
    return person, list(accounts.accounts_of(db, persons.anchors(db, person.id)))


def _submit(kind: str, payload: Callable[[Work], dict[str, Any]], form: dict[str, str]) -> Any:
    with here.working() as work:
        approval = approvals.submit(work, Asked(kind, payload(work), form["reason"], once_of(form)), me())
        details = {"approval": approval.id, "points": approval.payload["points"]}
        here.note(work, f"points.{kind}", public_id(approval), details)
    return sent(approval)


def _typed(*names: str) -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in (*names, "reason", "once")}


# --- what was lost ---------------------------------------------------------------------------------------------------


@pages.get("/<person_id>/lost/<txn_id>")
@guarded("make_points")
def lost(person_id: str, txn_id: str) -> str:
    """A form for what an expiry or a clearing took."""
    with here.reading() as db:
        return _lost_page(db, person_id, _txn(txn_id), {})


def _txn(text: str) -> int:
    """The id of a transaction, which is longer than the other ids of addresses."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST)) and int(text) <= LARGEST):
        here.not_here(text)
    return int(text)


def _lost_page(db: Session, person_id: str, txn_id: int, form: dict[str, str], error: str = "") -> str:
    person, own = _here(db, person_id)
    left, txn = _lost(db, own, txn_id)[1], db.get(PointsTxn, txn_id)
    if txn is None or not left:
        here.not_here(str(txn_id))
    return render_template(
        "by_approval/lost.html",
        person=person,
        key=persons.public_id(person.id),
        what=points_words.title(txn.kind),
        txn=txn,
        left=left,
        form=form,
        error=error,
        once=form.get("once") or approvals.chance(),
    )


@pages.post("/<person_id>/lost/<txn_id>")
@guarded("make_points")
def give_again(person_id: str, txn_id: str) -> Any:
    """Ask for as much of it to be given again; somebody else has to agree."""
    form, number = _typed("points"), _txn(txn_id)
    with here.reading() as db:
        account_id, left = _lost(db, _here(db, person_id)[1], number)
    try:
        if not left:
            raise CannotDo("nothing")
        wanted = {"account_ids": [account_id], "points": whole(form["points"]), "lost_txn": number}
        return _submit("reissue", lambda work: wanted | approvals.usual_life(work), form)
    except (CannotDo, Conflict) as error:
        with here.reading() as db:
            return _lost_page(db, person_id, number, form, approval_words.why_not(error)), 422


# --- to somebody else ------------------------------------------------------------------------------------------------


@pages.get("/<person_id>/move")
@guarded("make_points")
def move(person_id: str) -> str:
    """A form for points that go over to another customer."""
    with here.reading() as db:
        return _move_page(db, person_id, {})


def _move_page(db: Session, person_id: str, form: dict[str, str], error: str = "", wrong: str = "") -> str:
    person, _own = _here(db, person_id)
    return render_template(
        "by_approval/move.html",
        person=person,
        key=persons.public_id(person.id),
        now=accounts.standing_of(db, persons.anchors(db, person.id), here.now()),
        form=form,
        error=error,
        wrong=wrong,
        once=form.get("once") or approvals.chance(),
    )


@pages.post("/<person_id>/move")
@guarded("make_points")
def move_over(person_id: str) -> Any:
    """Ask for points to go over to another customer; somebody else has to agree."""
    form = _typed("to", "points")
    with here.reading() as db:
        person, own = _here(db, person_id)
        receiver = _person(db, form["to"].rsplit("/", 1)[-1])
        if receiver is None or receiver.id == person.id:
            return _move_page(db, person_id, form, wrong=form["to"] or "–"), 422
    try:
        points = whole(form["points"])
        if not own:
            raise CannotDo("not_enough", wanted=points, available=0)
        wanted = {"account_ids": own, "points": points}
        return _submit("transfer", lambda work: wanted | {"receiver": _account(work, receiver)}, form)
    except (CannotDo, Conflict) as error:
        with here.reading() as db:
            return _move_page(db, person_id, form, approval_words.why_not(error)), 422


def _account(work: Work, person: Person) -> int:
    return approvals.own_accounts(work, persons.anchors(work.db, person.id))[0]

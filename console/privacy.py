"""What a customer may ask of us (个人信息保护法): to hear nothing more, to get all that is held, to be forgotten.

Opting out is one tap for whoever sees the customer; giving out and erasing are the boss's. Rules: ``people.consent``,
``people.privacy``.
"""

import json
from typing import Any

from flask import Blueprint, Response, render_template, request

from console import here, known
from console.doors import guarded
from console.layout import back_to, say
from console.person import person_of
from console.words import _
from people import consent, persons, privacy
from storage.tables import Erasure, Person

pages = Blueprint("privacy", __name__)


# --- hearing nothing more --------------------------------------------------------------------------------------------


@pages.post("/customers/<person_id>/opt-out")
@guarded("edit_people")
def opt_out(person_id: str) -> Any:
    """Write to this customer no more unasked."""
    return _turn(person_id, out=True)


@pages.post("/customers/<person_id>/opt-in")
@guarded("edit_people")
def opt_in(person_id: str) -> Any:
    """They want to hear from us again."""
    return _turn(person_id, out=False)


def _turn(person_id: str, *, out: bool) -> Any:
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None:
            turn = consent.opt_out if out else consent.opt_in
            if turn(work, person, here.viewer().userid):
                here.note(work, "person.opt_out" if out else "person.opt_in", person_id)
    if person is None:
        here.not_here(person_id)
    say(_("记下了，客户不再接收消息；来问还是会回") if out else _("记下了，可以再主动发消息了"))
    return back_to("person.show", person_id=person_id)


# --- giving out ------------------------------------------------------------------------------------------------------


@pages.post("/customers/<person_id>/held")
@guarded("privacy")
def held(person_id: str) -> Response:
    """Everything held about this customer, as JSON; that it was given out is noted."""
    with here.reading() as db:
        person = person_of(db, person_id)
        found = {} if person is None else privacy.held(db, person)
    if person is None:
        here.not_here(person_id)
    with here.working() as work:
        rows = {table: len(some) for table, some in found.items() if some}
        here.note(work, "customer.export", person_id, {"rows": rows})
    content = {"person": person_id, "at": here.now().isoformat(), "about": privacy.about(), "tables": found}
    answer = Response(json.dumps(content, ensure_ascii=False, indent=1), mimetype="application/json")
    answer.headers.set("Content-Disposition", "attachment", filename=f"{person_id}.json")
    return answer


# --- forgetting ------------------------------------------------------------------------------------------------------


@pages.get("/customers/<person_id>/erase")
@guarded("privacy")
def ask_erase(person_id: str) -> str:
    """What would be gone, and the words that make it so."""
    return _form(person_id)


def _form(person_id: str, error: str = "") -> str:
    with here.reading() as db:
        person = person_of(db, person_id)
        rows = {} if person is None else {table: len(some) for table, some in privacy.held(db, person).items() if some}
    if person is None:
        here.not_here(person_id)
    return render_template(
        "privacy/erase.html",
        person=person,
        public=person_id,
        typed=_typed(person),
        rows=sum(rows.values()),
        files=rows.get("kept_file", 0),
        error=error,
    )


def _typed(person: Person) -> str:
    """What is to be typed: the name, where there is one that can be."""
    return person.name if person.name.isprintable() and person.name.strip() else persons.public_id(person.id)


@pages.post("/customers/<person_id>/erase")
@guarded("privacy")
def erase(person_id: str) -> Any:
    """Forget this customer; the receipt follows."""
    typed, receipt_id = request.form.get("typed", "").strip(), 0
    with here.reading() as db:
        person = person_of(db, person_id)
        found = None if person is None else privacy.look_through(db, person)
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None and typed in (_typed(person).strip(), person_id):
            receipt = privacy.erase(work, person, by=here.viewer().userid, found=found)
            receipt_id = receipt.id
            here.note(work, "customer.erase", person_id, {"rows": receipt.counts})
    if person is None:
        here.not_here(person_id)
    if not receipt_id:
        return _form(person_id, _("写的不一样，什么也没有删除。请照着写一遍。")), 422
    return back_to("privacy.receipt", erasure_id=receipt_id)


@pages.get("/erasures/<int:erasure_id>")
@guarded("privacy")
def receipt(erasure_id: int) -> str:
    """What was removed, by whom and when: to be kept, and shown to whoever asked for it."""
    with here.reading() as db:
        found = (db.get(Erasure, erasure_id) if erasure_id < 2**53 else None) or here.not_here()
        names = {found.by: known.reps(db, {found.by}).get(found.by.lower(), found.by)}
    return render_template("privacy/receipt.html", receipt=found, names=names, rows=sum(found.counts.values()))

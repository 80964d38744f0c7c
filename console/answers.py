"""Answers the bot gives by itself in 微信客服 (自动回复): to keywords and questions; tried on a sentence first."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import answer_form, forms, here
from console.answer_form import Form
from console.doors import guarded
from console.lately import Lately
from console.layout import back_to, say
from console.words import N_, _, said
from storage.tables import Answer
from tagging import answer_uses, answers
from tagging.answers import Chosen, Silence
from tagging.channels import Invalid
from tagging.keywords import LISTS

pages = Blueprint("answers", __name__, url_prefix="/answers")

COUNTED_DAYS = 30
GIVEN = Lately(lambda db, now: answer_uses.given(db, now - timedelta(days=COUNTED_DAYS)))
MOST_TRIED = 2000
STATE_WORDS: Mapping[str, tuple[str, str]] = {"active": (N_("使用中"), "good"), "stopped": (N_("已停用"), "quiet")}


@pages.get("")
@guarded("see_answers")
def index() -> str:
    """Every answer with how often it was given lately."""
    return _list()


@pages.post("/try")
@guarded("see_answers")
def try_out() -> str:
    """Which answer a sentence would get, or why none. Nothing is kept, and nobody's words stand in an address."""
    return _list(request.form.get("text", "")[:MOST_TRIED].strip())


def _list(text: str = "") -> str:
    with here.reading() as db:
        own = select(Answer).where(Answer.state != "deleted").order_by(Answer.place, Answer.id)
        found = answers.choose(db, text, "", [], here.now()) if text else None
        return render_template(
            "answers/index.html",
            answers=list(db.scalars(own)),
            given=GIVEN.of(db, here.now()),
            days=COUNTED_DAYS,
            states=STATE_WORDS,
            lists=LISTS[:2],
            text=text,
            chosen=found if isinstance(found, Chosen) else None,
            because=said(found.because) if isinstance(found, Chosen) else "",
            silent=said(found.why) if isinstance(found, Silence) else "",
        )


# --- making and changing ---------------------------------------------------------------------------------------------


@pages.get("/new")
@guarded("edit_answers")
def new() -> str:
    """An empty form."""
    return _form(Form())


@pages.post("/new")
@guarded("edit_answers")
def create() -> Any:
    """Make an answer; it is given from the next message on."""
    form = answer_form.read(request.form)
    try:
        with here.working() as work:
            answer = answers.create(work, form.draft(), by=here.viewer().userid)
            here.note(work, "answer.create", f"a_{answer.id}", {"name": answer.name})
    except Invalid as error:
        return _wrong(form, error)
    say(_("自动回复已保存，从下一条消息起生效"))
    return back_to("answers.index")


@pages.get("/<int:answer_id>/edit")
@guarded("edit_answers")
def edit(answer_id: int) -> str:
    """The form of an answer as it is."""
    with here.reading() as db:
        answer = _answer(db, answer_id)
        return _form(answer_form.of_answer(answer), answer)


@pages.post("/<int:answer_id>/edit")
@guarded("edit_answers")
def change(answer_id: int) -> Any:
    """Change an answer; the version grows."""
    form = answer_form.read(request.form)
    try:
        with here.working() as work:
            answer = _answer(work.db, answer_id, lock=True)
            forms.same_version(form.version, answer.version)
            if answers.change(work, answer, form.draft()):
                here.note(work, "answer.change", f"a_{answer_id}", {"name": answer.name})
    except Invalid as error:
        return _wrong(form, error, answer_id)
    say(_("自动回复已保存，从下一条消息起生效"))
    return back_to("answers.index")


def _wrong(form: Form, error: Invalid, answer_id: int | None = None) -> Any:
    with here.reading() as db:
        answer = _answer(db, answer_id) if answer_id is not None else None
        return _form(replace(form, errors=forms.told(error.problems)), answer), 422


def _form(form: Form, answer: Answer | None = None) -> str:
    return render_template(
        "answers/form.html",
        form=form,
        answer=answer,
        errors=form.errors,
        most=answers.TEXT_BYTES,
        menu_most=answers.HEAD_BYTES,
    )


@pages.post("/preview")
@guarded("edit_answers")
def preview() -> str:
    """The drawn phone alone, for the live preview."""
    return render_template("answers/preview.html", form=answer_form.read(request.form))


def _answer(db: Session, answer_id: int, *, lock: bool = False) -> Answer:
    own = select(Answer).where(Answer.id == answer_id, Answer.state != "deleted")
    found = db.scalars(own.with_for_update() if lock else own).one_or_none()
    return found or here.not_here(f"a_{answer_id}")


@pages.post("/<int:answer_id>/<any(stop, resume, delete):verb>")
@guarded("edit_answers")
def turn(answer_id: int, verb: str) -> Any:
    """Stop an answer, take it up again, or delete it."""
    state = {"stop": "stopped", "resume": "active", "delete": "deleted"}[verb]
    with here.working() as work:
        answer = _answer(work.db, answer_id, lock=True)
        if answers.turn(work, answer, state):
            here.note(work, f"answer.{verb}", f"a_{answer_id}", {"name": answer.name})
    if verb == "delete":
        say(_("自动回复“%(name)s”已删除", name=answer.name))
    return back_to("answers.index")

"""Follow-ups (待办): made on a customer's page, finished and put off there and on the page of today.

A rep's own: ``people.tasks`` reminds them at the time. Times are said in plain Chinese, as ``people.when`` reads them.
"""

import secrets
from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, request

from console import here
from console.doors import guarded, safe_return
from console.layout import back_to, say
from console.person import page_of, person_of
from console.words import _, said
from handlers.rep_acts import ASKING
from people import rep_rules, tasks, when
from people.when import NotATime
from storage.tables import Task

pages = Blueprint("tasks", __name__)


@pages.post("/customers/<person_id>/tasks")
@guarded("edit_people")
def add(person_id: str) -> Any:
    """Keep a task about this customer; its time stands in a field of its own, or in its words."""
    text, at = request.form.get("text", "").strip(), request.form.get("at", "").strip()
    once = request.form.get("once", "")[:64] or secrets.token_hex(12)
    trouble, task = "", None
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None:
            by = here.viewer().userid
            try:
                due, text = _when(text, at)
                task = tasks.make(work, by, text, due, person=person, once=f"console:{person.id}:{by}:{once}")
                here.note(work, "task.add", person_id)
            except ValueError as error:
                trouble = said(str(error))
    if person is None:
        here.not_here(person_id)
    if trouble or task is None:
        return page_of(person_id, task=request.form.get("text", ""), task_at=at, task_error=trouble), 422
    say(_("已记下，%(at)s 提醒你", at=_in_words(task.due_at)) if task.due_at else _("已记下；没有时间，不会提醒"))
    return back_to("person.show", person_id=person_id)


def _when(text: str, at: str) -> tuple[datetime | None, str]:
    """When it is due, and what is to be done. Raises ``ValueError`` with words for whoever typed it."""
    if at:
        return _moment(at), text
    said_so = when.read(text, here.now(), here.zone())
    return (said_so.at, ASKING.sub("", said_so.rest) or text) if said_so is not None else (None, text)


def _moment(at: str) -> datetime:
    found = when.read(at, here.now(), here.zone())
    if found is None or found.rest:
        raise NotATime(_("没看懂这个时间，请写成“明天下午三点”“周五上午十点”“11月30日 15:30”这样"))
    return found.at


def _in_words(at: datetime) -> str:
    """When the reminder leaves: what is due outside the reps' hours waits until they begin."""
    with here.reading() as db:
        leaves = rep_rules.rules(db).first_at_work(at, here.zone())
    return when.in_words(leaves, here.now(), here.zone())


@pages.post("/tasks/<int:task_id>/finish")
@guarded("edit_people")
def finish(task_id: int) -> Any:
    """It is done."""
    with here.working() as work:
        task = tasks.own(work.db, here.viewer().userid, task_id)
        if task is not None and tasks.finish(work, task):
            here.note(work, "task.finish", str(task_id))
    return _back(task)


@pages.post("/tasks/<int:task_id>/postpone")
@guarded("edit_people")
def postpone(task_id: int) -> Any:
    """Bring it to mind at another time."""
    trouble = ""
    with here.working() as work:
        task = tasks.own(work.db, here.viewer().userid, task_id)
        if task is not None:
            try:
                tasks.postpone(task, _moment(request.form.get("at", "").strip()))
                here.note(work, "task.postpone", str(task_id))
            except NotATime as error:
                trouble = said(str(error))
    if task is not None:
        say(trouble or _("改到 %(at)s 提醒你", at=_in_words(task.due_at or here.now())), "warn" if trouble else "good")
    return _back(task)


def _back(task: Task | None) -> Any:
    """Where the list stood; a task that is not the viewer's is not there."""
    if task is None:
        here.not_here()
    return redirect(safe_return(request.form.get("next")), 303)

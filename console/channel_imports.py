"""Many channel codes at once: from a CSV, or one for each rep or store like a code that exists.

First everything is shown, with a reason beside each row that will not do; then ``scheduler.timetable`` makes the codes
one after the other, and this page shows how far it is. It goes on after a restart and can be stopped.
"""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import here
from console.channels import member_names
from console.doors import guarded
from console.layout import back_to
from console.words import N_, _, listed
from storage.sheets import BadSheet
from storage.tables import Channel, Department, Member
from tagging import channel_files, channel_imports, channel_lists
from tagging.channel_files import Row
from tagging.channel_imports import Line, Plan, Reject

pages = Blueprint("channel_imports", __name__, url_prefix="/channels")

KNOWN = N_("已有同名的渠道码，跳过")
STATE_WORDS = {
    "preview": (N_("等你确认"), "info"),
    "running": (N_("正在创建"), "info"),
    "stopped": (N_("已停下"), "warn"),
    "done": (N_("已完成"), "good"),
}
OUTCOME_WORDS = {
    "made": (N_("已创建"), "good"),
    "open": (N_("等企业微信回应"), "warn"),
    "refused": (N_("没有创建"), "bad"),
}


@pages.get("/import")
@guarded("edit_channels")
def index() -> str:
    """Where to begin, and what was begun."""
    return _index()


def _index(error: str = "") -> str:
    with here.reading() as db:
        plans = channel_imports.listed(db)
    return render_template("channels/import.html", plans=plans, error=error, states=STATE_WORDS,
                           columns=channel_files.COLUMNS, example=channel_files.EXAMPLE[0])  # fmt: skip


@pages.get("/import/example.csv")
@guarded("edit_channels")
def example() -> Response:
    """A CSV to begin with."""
    return _csv("channels-example.csv", "".join(channel_files.example()))


def _csv(name: str, content: str) -> Response:
    return Response(content, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


@pages.post("/import")
@guarded("edit_channels")
def look() -> Any:
    """Read a file and show what would be made of it."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _index(_("请选择一个 CSV 文件")), 422
    try:
        with here.reading() as db:
            rows = channel_files.read(db, file.read())
    except BadSheet as error:
        return _index(_(str(error))), 422
    lines = [Line(row.number, row.draft, row.cells) for row in rows if row.good and row.draft]
    rejects = [Reject(row.number, row.cells, _why(row)) for row in rows if not row.good]
    return _prepare(_("CSV 文件"), lines, rejects)


def _why(row: Row) -> str:
    return listed((words for _name, words in row.problems), "；") or _(KNOWN)


def _prepare(source: str, lines: Sequence[Line], rejects: Sequence[Reject]) -> Any:
    with here.working() as work:
        plan_id = channel_imports.prepare(work, source, lines, rejects, by=here.viewer().userid)
        here.note(work, "channel_import.prepare", plan_id, {"rows": len(lines), "rejected": len(rejects)})
    return back_to("channel_imports.show", plan_id=plan_id)


@pages.get("/copies")
@guarded("edit_channels")
def copies() -> str:
    """One code for each of several reps or stores, like one that exists."""
    with here.reading() as db:
        return _copies(db)


def _copies(db: Session, error: str = "") -> str:
    serving = select(Member).where(Member.serves.is_(True), Member.left_at.is_(None)).order_by(Member.name)
    living = select(Channel).where(Channel.state != "deleted", Channel.taken_over.is_(False))
    return render_template(
        "channels/copies.html",
        templates=list(db.scalars(living.order_by(Channel.id.desc()).limit(500))),
        chosen=request.values.get("like", ""),
        members=list(db.scalars(serving)),
        departments=list(db.scalars(select(Department).order_by(Department.order.desc(), Department.id))),
        ticked=set(request.form.getlist("members")) | set(request.form.getlist("departments")),
        error=error,
    )


@pages.post("/copies")
@guarded("edit_channels")
def copy() -> Any:
    """Show what the copies would be."""
    with here.reading() as db:
        template = channel_lists.find(db, request.form.get("like", ""))
        userids = request.form.getlist("members")
        departments = [
            number for one in request.form.getlist("departments") if (number := here.number(one)) is not None
        ]
        if template is None or not (userids or departments):
            return _copies(db, _("请选择一个样板渠道码，再勾选成员或部门")), 422
        lines = channel_imports.for_members(db, template, userids)
        lines += channel_imports.for_departments(db, template, departments)
        good, rejects = channel_imports.sorted_out(db, channel_imports.numbered(lines))
    return _prepare(_("按“%(name)s”批量创建", name=template.name), good, rejects)


@pages.get("/import/<plan_id>")
@guarded("edit_channels")
def show(plan_id: str) -> str:
    """A plan before it begins, while it runs, and what became of it."""
    plan = _found(plan_id)
    passed = (here.now() - plan.started_at).total_seconds()
    left = passed / plan.settled * (len(plan.lines) - plan.settled) if plan.settled else None
    with here.reading() as db:
        names = member_names(db)
    return render_template(
        "channels/plan.html",
        plan=plan,
        states=STATE_WORDS,
        outcomes=OUTCOME_WORDS,
        passed=passed,
        left=left,
        names=names,
    )


def _found(plan_id: str) -> Plan:
    with here.reading() as db:
        return channel_imports.find(db, plan_id) or here.not_here()


@pages.post("/import/<plan_id>/<any(start, stop, resume):verb>")
@guarded("edit_channels")
def turn(plan_id: str, verb: str) -> Any:
    """Begin, stop or go on."""
    _found(plan_id)
    acts = {"start": channel_imports.start, "stop": channel_imports.stop, "resume": channel_imports.resume}
    with here.working() as work:
        if acts[verb](work, plan_id):
            here.note(work, f"channel_import.{verb}", plan_id)
    here.bell().ring()
    return back_to("channel_imports.show", plan_id=plan_id)


@pages.get("/import/<plan_id>/rejected.csv")
@guarded("edit_channels")
def rejected(plan_id: str) -> Response:
    """The rows of which no code was made, each with its reason."""
    rows = channel_imports.not_made(_found(plan_id))
    with here.working() as work:
        here.note(work, "channel_import.rejected", plan_id, {"count": len(rows)})
    return _csv("rejected.csv", "".join(channel_files.rejected(rows)))

"""Bulk tags (批量打标签): of a filtered list or of a file; looked at first, then followed row by row, undone in one go.

Made and decided here; ``scheduler.bulk_work`` does it. Whoever sees the whole shop sees every job. Others see their
own, and those that wait for a second person's word, without the names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, Response, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console import here, known
from console.customers import Asked, asked_for, in_words, number_of
from console.doors import guarded
from console.layout import back_to, say
from console.words import N_, _, listed, said
from people import directory, lookups
from scheduler.bulk_work import BulkDesk, Order
from storage import sheets
from storage.sheets import BadSheet
from storage.tables import BulkJob, BulkRow, Person, Tag
from tagging import bulk, bulk_files, tags
from tagging.bulk import CannotDo

pages = Blueprint("bulk", __name__, url_prefix="/customers/bulk")

PAGE = 100
JOBS = 50
UNDER_WAY = (bulk.RUNNING, bulk.UNDOING)
LIST, FILE = "list", "file"
WHAT_WORDS = {bulk.TAG: N_("打上标签"), bulk.UNTAG: N_("去掉标签")}
STATE_WORDS: Mapping[str, tuple[str, str]] = {
    bulk.PREVIEW: (N_("等你确认"), "info"),
    bulk.RUNNING: (N_("正在进行"), "info"),
    bulk.PAUSED: (N_("已暂停"), "warn"),
    bulk.CANCELLED: (N_("已取消"), "quiet"),
    bulk.DONE: (N_("已完成"), "good"),
    bulk.UNDOING: (N_("正在收回"), "info"),
    bulk.UNDONE: (N_("已收回"), "quiet"),
}
OUTCOME_WORDS: Mapping[str, tuple[str, str]] = {
    bulk.WAITING: (N_("还没轮到"), "quiet"),
    bulk.CHANGED: (N_("已改"), "good"),
    bulk.SAME: (N_("本来就是这样"), "quiet"),
    bulk.REFUSED: (N_("没有改"), "bad"),
}
FORESEEN_WORDS: Mapping[str, tuple[str, str]] = {
    **OUTCOME_WORDS,
    bulk.WAITING: (N_("等你确认"), "info"),
    bulk.REFUSED: (N_("不会改"), "bad"),
}
"""The same before anything was done."""
VERBS = {"start": bulk.start, "stop": bulk.pause, "resume": bulk.resume, "cancel": bulk.cancel, "undo": bulk.undo}


def public_id(job: BulkJob) -> str:
    """How the audit names a job."""
    return f"b_{job.id}"


def visible(db: Session, job: BulkJob) -> bool:
    """Whether whoever looks may know of this job: a manager knows of their own, and of what wants their word."""
    return here.sight(db).everybody or job.by == here.viewer().userid or _wants_my_word(db, job)


def _wants_my_word(db: Session, job: BulkJob) -> bool:
    mine = job.by == here.viewer().userid or not here.may("confirm_bulk")
    return not mine and job.state == bulk.PREVIEW and bulk.wants_second(db, job)


def _found(db: Session, job_id: int) -> BulkJob:
    job = bulk.find(db, job_id)
    return job if job is not None and visible(db, job) else here.not_here()


# --- the list of jobs ------------------------------------------------------------------------------------------------


@pages.get("")
@guarded("bulk_tags")
def index() -> str:
    """What was done and is being done."""
    with here.reading() as db:
        jobs = [one for one in bulk.listed(db, most=JOBS) if visible(db, one)]
        return render_template(
            "bulk/index.html",
            jobs=jobs,
            tags=_tags(db, jobs),
            names=_names(db, jobs),
            states=STATE_WORDS,
            what_words=WHAT_WORDS,
            under_way=UNDER_WAY,
        )


def _tags(db: Session, jobs: Sequence[BulkJob]) -> dict[int, Tag]:
    ids = {one for job in jobs for one in job.tags}
    return {one.id: one for one in db.scalars(select(Tag).where(Tag.id.in_(ids)))}


def _names(db: Session, jobs: Sequence[BulkJob]) -> dict[str, str]:
    userids = {one for job in jobs for one in (job.by, job.confirmed_by) if one}
    found = known.reps(db, userids)
    return {one: found[one.lower()] for one in userids if one.lower() in found}


# --- making one ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """What is to be done to whom, as it stands on the page."""

    who: str = LIST
    what: str = bulk.TAG
    tags: tuple[str, ...] = ()
    reason: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


def _read() -> Form:
    sent = request.values
    return Form(
        FILE if sent.get("who") == FILE else LIST,
        bulk.UNTAG if sent.get("what") == bulk.UNTAG else bulk.TAG,
        tuple(one for one in request.form.getlist("tags") if one),
        sent.get("reason", "").strip(),
    )


@pages.get("/new")
@guarded("bulk_tags")
def new() -> str:
    """What is to be done to the people of the list, or of a file."""
    return _form(replace(_read(), reason=""))


def _form(form: Form) -> str:
    with here.reading() as db:
        asked = asked_for(db)
        return render_template(
            "bulk/form.html",
            form=form,
            asked=asked,
            total=_count(db, asked),
            narrowed=in_words(db, asked),
            groups=tags.known_groups(db),
            columns=bulk_files.COLUMNS,
            most=bulk_files.MAX_ROWS,
            alone=bulk.ALONE_UP_TO,
        )


def _count(db: Session, asked: Asked) -> int:
    return 0 if asked.nobody else directory.count(db, here.sight(db), asked.wanted)


@pages.post("/new")
@guarded("bulk_tags")
def create() -> Any:
    """Look everybody up; nothing is changed before somebody says so on the page that follows."""
    form = _read()
    file = request.files.get("file")
    data = file.read() if file is not None and file.filename else b""
    errors = _errors(form, data)
    if errors:
        return _form(replace(form, errors=errors)), 422
    try:
        job_id = _make(form, data, (file.filename or "") if file is not None else "")
    except (BadSheet, CannotDo) as error:
        where = "file" if isinstance(error, BadSheet) else ""
        return _form(replace(form, errors={where: said(str(error))})), 422
    with here.working() as work:
        job = work.db.get_one(BulkJob, job_id)
        here.note(work, "bulk.prepare", public_id(job), {"name": job.source, "count": job.total, "reason": job.reason})
    return back_to("bulk.show", job_id=job_id)


def _errors(form: Form, data: bytes) -> dict[str, str]:
    errors = {}
    if not 0 < len(form.tags) <= bulk.MAX_TAGS:
        errors["tags"] = _("请选 1–%(n)s 个标签", n=bulk.MAX_TAGS)
    if not 0 < len(form.reason) <= bulk.LONGEST_REASON:
        errors["reason"] = _("请写明原因（1–%(n)s 个字），例如“双十一回访名单”", n=bulk.LONGEST_REASON)
    if form.who == FILE and not data:
        errors["file"] = _("请选择一个 CSV 文件")
    if form.who == LIST:
        with here.reading() as db:
            if not _count(db, asked_for(db)):
                errors["who"] = _("没有符合条件的客户")
    return errors


def _make(form: Form, data: bytes, file_name: str) -> int:
    desk = BulkDesk(here.engine(), here.start_work)
    with here.reading() as db:
        asked, sight = asked_for(db), here.sight(db)
        source = file_name if form.who == FILE else listed(in_words(db, asked)) or _("全部客户")
    tag_ids = [number for one in form.tags if (number := number_of("t_", one)) is not None]
    order = Order(form.what, tag_ids, source, form.reason, here.viewer().userid)
    if form.who == FILE:
        return desk.of_file(sight, data, order)
    return desk.of_list(sight, asked.wanted, order)


@pages.get("/example.csv")
@guarded("bulk_tags")
def example() -> Response:
    """A CSV to begin with."""
    heads = [bulk_files.COLUMNS[kind][0] for kind in (bulk_files.ANY, bulk_files.PHONE)]
    return _csv("customers-example.csv", "".join(sheets.lines(heads, bulk_files.EXAMPLE)))


def _csv(name: str, content: str) -> Response:
    return Response(content, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


# --- one job ---------------------------------------------------------------------------------------------------------


@pages.get("/<int:job_id>")
@guarded("bulk_tags")
def show(job_id: int) -> str:
    """What would be done, or what became of it, row by row."""
    outcome = request.args.get("outcome", "")
    outcome = outcome if outcome in OUTCOME_WORDS else ""
    after = here.number(request.args.get("after")) or 0
    with here.reading() as db:
        job = _found(db, job_id)
        named = here.sight(db).everybody or job.by == here.viewer().userid
        found = bulk.rows(db, job.id, outcome=outcome or None, after=after, limit=PAGE + 1) if named else []
        rows = _rows_in_sight(db, found[:PAGE])
        return render_template(
            "bulk/show.html",
            job=job,
            counts=bulk.counts(db, job),
            rows=rows,
            named=named,
            outcome=outcome,
            after=after,
            following=rows[-1][0].number if len(found) > PAGE else None,
            second=job.state == bulk.PREVIEW and bulk.wants_second(db, job),
            my_word=_wants_my_word(db, job),
            tags=_tags(db, [job]),
            names=_names(db, [job]),
            states=STATE_WORDS,
            outcomes=FORESEEN_WORDS if job.state == bulk.PREVIEW else OUTCOME_WORDS,
            by_outcome=_by_outcome(db, job.id),
            what_words=WHAT_WORDS,
            under_way=UNDER_WAY,
            alone=bulk.ALONE_UP_TO,
        )


def _by_outcome(db: Session, job_id: int) -> dict[str, int]:
    counted = select(BulkRow.outcome, func.count()).where(BulkRow.job_id == job_id).group_by(BulkRow.outcome)
    return dict.fromkeys(OUTCOME_WORDS, 0) | dict(db.execute(counted).all())


def _rows_in_sight(db: Session, rows: Sequence[tuple[BulkRow, Person | None]]) -> list[tuple[BulkRow, Person | None]]:
    """The rows, with the people only whom the viewer may see now."""
    seen = lookups.visible(db, here.sight(db), [person.id for _, person in rows if person is not None])
    return [(row, person if person is not None and person.id in seen else None) for row, person in rows]


@pages.post("/<int:job_id>/<any(start, stop, resume, cancel, undo):verb>")
@guarded("bulk_tags")
def turn(job_id: int, verb: str) -> Any:
    """Begin, pause, go on, give up, or take back what was given."""
    with here.reading() as db:
        _mine(db, _found(db, job_id))
    try:
        with here.working() as work:
            VERBS[verb](work, job_id)
            job = work.db.get_one(BulkJob, job_id)
            here.note(work, f"bulk.{verb}", public_id(job), {"name": job.source, "count": job.total})
    except CannotDo as error:
        say(said(str(error)), "warn")
    here.bell().ring()
    return back_to("bulk.show", job_id=job_id)


def _mine(db: Session, job: BulkJob) -> None:
    """Who only confirms decides nothing else."""
    if not (here.sight(db).everybody or job.by == here.viewer().userid):
        here.not_here()


@pages.post("/<int:job_id>/confirm")
@guarded("confirm_bulk")
def confirm(job_id: int) -> Any:
    """A second person's word, with which it begins."""
    with here.reading() as db:
        _found(db, job_id)
    try:
        with here.working() as work:
            bulk.confirm(work, job_id, here.viewer().userid)
            bulk.start(work, job_id)
            job = work.db.get_one(BulkJob, job_id)
            here.note(work, "bulk.confirm", public_id(job), {"name": job.source, "count": job.total})
    except CannotDo as error:
        say(said(str(error)), "warn")
        return back_to("bulk.show", job_id=job_id)
    here.bell().ring()
    say(_("已确认，开始了"))
    return back_to("bulk.index")


@pages.get("/<int:job_id>/rejected.csv")
@guarded("bulk_tags")
def rejected(job_id: int) -> Response:
    """The rows that were refused, each with its reason."""
    with here.reading() as db:
        job = _found(db, job_id)
        _mine(db, job)
        content = "".join(bulk.rejects(db, job_id))
    with here.working() as work:
        here.note(work, "bulk.rejected", public_id(job))
    return _csv("rejected.csv", content)

"""Operations (运行): what came in and what became of it, what goes out, the jobs, alarms, and how much WeCom allows.

Replaying an event and deciding about a call are asked for here and carried out by the workers.
"""

import json
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console import here, known, masking
from console.books import CALL_WORDS, EVENT_WORDS, FILL_WORDS, JOB_WORDS
from console.doors import guarded
from console.layout import back_to, say
from console.words import N_, _
from people import alarms
from scheduler import first_fill
from scheduler.loop import Every, Job
from scheduler.timetable import TIMETABLE
from storage import inbox, lists, outbox
from storage.tables import InboxRow, JobRun, Member, OutboxRow, Progress
from tagging import channel_imports
from wecom.errors import WeComError
from wecom.pacing import PER_MINUTE

pages = Blueprint("operations", __name__, url_prefix="/operations")

PAGE = 100
RECENT = timedelta(days=30)
EVENT_STATES = {"waiting": (N_("待处理"), "info"), "done": (N_("已完成"), "good"), "aside": (N_("搁置"), "bad")}
CALL_STATES = {
    "waiting": (N_("待发出"), "info"),
    "held": (N_("待人决定"), "bad"),
    "refused": (N_("被企业微信拒绝"), "bad"),
    "done": (N_("已完成"), "good"),
    "late": (N_("过了时限"), "warn"),
    "dropped": (N_("不再发送"), "quiet"),
    "watched": (N_("观察模式，未发送"), "info"),
}
FILL_STEPS = tuple(FILL_WORDS)


def state_of_event(row: InboxRow) -> str:
    """The state as the filter names it."""
    return next(name for name, states in lists.EVENT_STATES.items() if row.state in states)


def state_of_call(row: OutboxRow) -> str:
    """The state as the filter names it."""
    return next(name for name, states in lists.CALL_STATES.items() if row.state in states)


# --- how everything stands -------------------------------------------------------------------------------------------


@pages.get("")
@guarded("see_operations")
def index() -> str:
    """How the boxes stand, what is wrong, how far the first fill is, what WeCom allows."""
    with here.reading() as db:
        return render_template(
            "operations/index.html",
            incoming=inbox.health(db),
            outgoing=outbox.health(db),
            standing=alarms.standing(db),
            past=lists.past_alarms(db),
            fill=_fill(db),
            plans=[one for one in channel_imports.listed(db, 5) if one.state == channel_imports.RUNNING],
            apis=lists.api_use(db, here.now()),
            per_minute=PER_MINUTE,
            without_steps=lists.events_without_steps(db, here.now() - RECENT),
            event_words=EVENT_WORDS,
            members=db.scalars(select(func.count()).where(Member.left_at.is_(None))).one(),
            read_at=db.scalar(select(func.max(Member.read_at))),
        )


def _fill(db: Session) -> dict[str, Any] | None:
    """How far the first fill is: its step, people read, time passed, and time left once that can be guessed."""
    row = db.get(Progress, first_fill.NAME)
    if row is None:
        return None
    step = str(row.at.get("step") or "members")
    reps = db.scalars(select(func.count()).where(Member.serves.is_(True))).one()
    passed = ((row.changed_at if row.state == "done" else here.now()) - row.started_at).total_seconds()
    part = min(int(row.at.get("rep", 0)) / reps, 1.0) if reps and step == "relations" else 0.0
    return {
        "row": row,
        "step": step,
        "number": FILL_STEPS.index(step) + 1 if step in FILL_STEPS else 1,
        "passed": passed,
        "part": 1.0 if row.state == "done" else part,
        "left": passed / part - passed if part else None,
        "words": FILL_WORDS,
    }


@pages.post("/organisation")
@guarded("read_organisation")
def read_organisation() -> Any:
    """Read members and departments anew, at once."""
    try:
        count, gone = first_fill.read_organisation(here.engine(), here.gateway(), here.now, here.zone(), here.watch())
    except WeComError as error:
        with here.working() as work:
            here.note(work, "organisation.read_failed", details={"why": str(error)})
        say(_("没有读到：%(why)s。原有的成员和部门没有改变，请稍后再试；一直不行请检查应用的可见范围和可信 IP。",
              why=str(error)), "bad")  # fmt: skip
        return back_to("operations.index")
    with here.working() as work:
        here.note(work, "organisation.read", details={"members": count, "left": gone})
    here.bell().ring()
    say(_("读到 %(n)s 名成员，%(gone)s 人已离开", n=count, gone=len(gone)))
    return back_to("operations.index")


# --- events ----------------------------------------------------------------------------------------------------------


@pages.get("/events")
@guarded("see_operations")
def events() -> str:
    """What came in, newest first."""
    state, name = request.args.get("state", ""), request.args.get("name", "")
    with here.reading() as db:
        rows, following = lists.events(
            db, state=state, name=name, limit=PAGE, before=here.number(request.args.get("before"))
        )
        return render_template(
            "operations/events.html",
            rows=rows,
            about=known.of_events(db, here.sight(db), rows),
            following=following,
            chosen=state if state in EVENT_STATES else "",
            name=name,
            health=inbox.health(db),
            names=lists.event_names(db, here.now() - RECENT),
            event_words=EVENT_WORDS,
            states=EVENT_STATES,
            state_of=state_of_event,
        )


@pages.get("/events/<int:event_id>")
@guarded("see_operations")
def event(event_id: int) -> str:
    """One event as WeCom sent it, without codes and without what people wrote."""
    with here.reading() as db:
        row = db.get(InboxRow, event_id) or here.not_here()
        asked = select(OutboxRow).where(OutboxRow.cause.startswith(f"event {row.id} ")).order_by(OutboxRow.id)
        return render_template(
            "operations/event.html",
            row=row,
            about=known.of_events(db, here.sight(db), [row])[row.id],
            xml=masking.event(row.xml),
            calls=list(db.scalars(asked.limit(50))),
            event_words=EVENT_WORDS,
            call_words=CALL_WORDS,
            states=EVENT_STATES,
            call_states=CALL_STATES,
            state_of=state_of_event,
            state_of_call=state_of_call,
        )


@pages.post("/events/replay")
@guarded("replay")
def replay() -> Any:
    """Run set-aside events again: the one named, or all."""
    one = here.number(request.form.get("id"))
    if one is None and request.form.get("all") != "1":
        return back_to("operations.events", state="aside")
    ids = None if one is None else [one]
    with here.working() as work:
        count = inbox.replay(work.db, ids, work.now)
        here.note(work, "event.replay", str(one or "all"), {"count": count})
    here.bell().ring()
    if count:
        say(_("%(n)s 个事件会再处理一次", n=count))
    else:
        say(_("没有搁置的事件可以再处理；它可能已经处理好了"), "warn")
    return back_to("operations.event", event_id=one) if one else back_to("operations.events")


# --- calls -----------------------------------------------------------------------------------------------------------


@pages.get("/calls")
@guarded("see_operations")
def calls() -> str:
    """What we asked of WeCom, newest first."""
    state, name = request.args.get("state", ""), request.args.get("name", "")
    with here.reading() as db:
        rows, following = lists.calls(
            db, state=state, name=name, limit=PAGE, before=here.number(request.args.get("before"))
        )
        return render_template(
            "operations/calls.html",
            rows=rows,
            about=known.of_calls(db, here.sight(db), rows),
            following=following,
            chosen=state if state in CALL_STATES else "",
            name=name if name in CALL_WORDS else "",
            health=outbox.health(db),
            call_words=CALL_WORDS,
            states=CALL_STATES,
            state_of=state_of_call,
        )


@pages.get("/calls/<int:call_id>")
@guarded("see_operations")
def call(call_id: int) -> str:
    """One call: its body without codes, what became of it, and the decision where one is needed."""
    with here.reading() as db:
        row = db.get(OutboxRow, call_id) or here.not_here()
        about = known.of_calls(db, here.sight(db), [row])[row.id]
    return render_template(
        "operations/call.html",
        row=row,
        about=about,
        once=masking.once(row.once),
        body=json.dumps(masking.call(row.body), ensure_ascii=False, indent=2),
        call_words=CALL_WORDS,
        states=CALL_STATES,
        chosen=state_of_call(row),
        undecided=row.state in ("held", "refused"),
    )


@pages.post("/calls/<int:call_id>/decide")
@guarded("decide_calls")
def decide(call_id: int) -> Any:
    """A person's word on a call that is held or was refused: once more, or never."""
    with here.reading() as db:
        row = db.get(OutboxRow, call_id) or here.not_here()
    again = request.form.get("decision") == "again"
    if not again and request.form.get("decision") != "drop":
        return back_to("operations.call", call_id=call_id)
    with here.working() as work:
        decided = outbox.decide(work.db, call_id, send_again=again, now=work.now)
        if decided:
            here.note(work, "call.again" if again else "call.drop", str(call_id), {"name": row.name})
            work.lanes.add(row.lane)
    if not decided:
        say(_("它已经有结果了，没有改变什么"), "warn")
    else:
        say(_("会再发一次") if again else _("不再发送"))
    return back_to("operations.call", call_id=call_id)


# --- jobs ------------------------------------------------------------------------------------------------------------


@pages.get("/jobs")
@guarded("see_operations")
def jobs() -> str:
    """The timetable: when each job ran last, how it went, when it is due."""
    with here.reading() as db:
        runs, failed = lists.last_runs(db), lists.failed_runs(db)
    rows = [(job, _how_often(job), runs.get(job.name), _next_due(job, runs.get(job.name))) for job in TIMETABLE]
    return render_template("operations/jobs.html", rows=rows, failed=failed, job_words=JOB_WORDS)


def _how_often(job: Job) -> str:
    if isinstance(job.when, Every):
        seconds = int(job.when.period.total_seconds())
        return _("每 %(n)s 秒", n=seconds) if seconds < 60 else _("每 %(n)s 分钟", n=seconds // 60)
    return _("每天 %(at)s", at=f"{job.when.at:%H:%M}")


def _next_due(job: Job, last: JobRun | None) -> datetime:
    """When the job is due next; now, if its latest due time has not had its run."""
    latest = job.when.latest(here.now(), here.zone())
    if last is None or last.due_at < latest:
        return latest
    period = job.when.period if isinstance(job.when, Every) else timedelta(days=1)
    return latest + period

"""Making many channel codes: each a row of a plan, one after the other, going on after a restart.

Before: a CSV, or a template code and the reps or departments to copy it for. The plan is one ``Progress`` row; what
became of a row is written in the very transaction that keeps its channel, so that no row makes two codes.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage import audit
from storage.database import reading, transaction
from storage.tables import Channel, Department, Member, Progress
from storage.work import Work
from tagging import channels
from tagging.channel_desk import Desk
from tagging.channels import MAX_NAME, Draft, Invalid
from wecom.errors import Refused, WeComError

PREFIX = "channel-import:"
PREVIEW, RUNNING, STOPPED, DONE = "preview", "running", "stopped", "done"
MADE, OPEN, REFUSED = "made", "open", "refused"


@dataclass(frozen=True)
class Line:
    """One code to be made; ``number`` is its line in the file, or its place in the plan. ``cells`` as they came."""

    number: int
    draft: Draft
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Reject:
    """One row of which no code can be made, and why."""

    number: int
    cells: Mapping[str, str]
    why: str


@dataclass(frozen=True)
class Outcome:
    """What became of a line: made, open (WeCom has not answered yet), or refused with the reason."""

    state: str
    words: str = ""
    channel_id: int | None = None


@dataclass(frozen=True)
class Plan:
    """How far a plan has come."""

    id: str
    state: str
    source: str
    """The file's name, or what was copied."""
    by: str
    lines: list[Line]
    rejects: list[Reject]
    outcomes: dict[int, Outcome]
    started_at: datetime
    changed_at: datetime
    note: str | None

    def count(self, state: str) -> int:
        """How many lines came out so."""
        return sum(one.state == state for one in self.outcomes.values())

    @property
    def settled(self) -> int:
        """Lines that need nothing more."""
        return self.count(MADE) + self.count(REFUSED)


class _MadeMeanwhile(Exception):
    """Another worker has taken this line."""


def prepare(work: Work, source: str, lines: Sequence[Line], rejects: Sequence[Reject], by: str) -> str:
    """Keep a plan to be looked at first; its id. An older one of the same person that was never started goes."""
    own = select(Progress).where(Progress.name.startswith(PREFIX), Progress.state == PREVIEW)
    for old in work.db.scalars(own).all():
        if old.at["by"] == by:
            work.db.delete(old)
    plan_id = secrets.token_urlsafe(9)
    work.db.add(
        Progress(
            name=PREFIX + plan_id,
            state=PREVIEW,
            at={
                "source": source[:200],
                "by": by,
                "lines": [asdict(one) for one in lines],
                "rejects": [asdict(one) for one in rejects],
                "outcomes": {},
            },
            total=len(lines),
            started_at=work.now,
            changed_at=work.now,
        )
    )
    return plan_id


def start(work: Work, plan_id: str) -> bool:
    """Begin with a plan that was looked at; ``go_on``, which the timetable calls, makes its codes."""
    begun = _turn(work, plan_id, PREVIEW, RUNNING)
    if begun:
        work.db.get_one(Progress, PREFIX + plan_id).started_at = work.now
    return begun


def find(db: Session, plan_id: str) -> Plan | None:
    """A plan as it stands; None when there is none of this id."""
    row = db.get(Progress, PREFIX + plan_id)
    return None if row is None else _plan(row)


def listed(db: Session, most: int = 20) -> list[Plan]:
    """The newest plans."""
    own = select(Progress).where(Progress.name.startswith(PREFIX), Progress.state != PREVIEW)
    own = own.order_by(Progress.started_at.desc())
    return [_plan(row) for row in db.scalars(own.limit(most))]


def _plan(row: Progress) -> Plan:
    return Plan(
        id=row.name.removeprefix(PREFIX),
        state=row.state,
        source=str(row.at["source"]),
        by=str(row.at["by"]),
        lines=[Line(one["number"], revived(one["draft"]), one["cells"]) for one in row.at["lines"]],
        rejects=[Reject(**one) for one in row.at["rejects"]],
        outcomes={int(number): Outcome(**one) for number, one in row.at["outcomes"].items()},
        started_at=row.started_at,
        changed_at=row.changed_at,
        note=row.note,
    )


def revived(values: Mapping[str, Any]) -> Draft:
    """A draft that was kept as JSON."""
    lists = {name: tuple(values[name]) for name in ("members", "spare", "attachments", "timetable")}
    tags = tuple((group, name) for group, name in values["tags"])
    return Draft(**{**values, **lists, "tags": tags})


def stop(work: Work, plan_id: str) -> bool:
    """Make no further code of this plan; those made stay. False when it does not run."""
    return _turn(work, plan_id, RUNNING, STOPPED)


def resume(work: Work, plan_id: str) -> bool:
    """Go on with a stopped plan."""
    return _turn(work, plan_id, STOPPED, RUNNING)


def _turn(work: Work, plan_id: str, was: str, becomes: str) -> bool:
    row = work.db.get(Progress, PREFIX + plan_id, with_for_update=True)
    if row is None or row.state != was:
        return False
    row.state, row.changed_at = becomes, work.now
    return True


# --- making ----------------------------------------------------------------------------------------------------------


def go_on(desk: Desk, stopping: Callable[[], bool]) -> int:
    """Make what the running plans still want, one code after the other; how many were made."""
    with reading(desk.engine) as db:
        running = select(Progress.name).where(Progress.name.startswith(PREFIX), Progress.state == RUNNING)
        names = db.scalars(running.order_by(Progress.started_at)).all()
    return sum(_go_on_with(desk, name, stopping) for name in names)


def _go_on_with(desk: Desk, name: str, stopping: Callable[[], bool]) -> int:
    """Go through one plan; how many codes were made. When WeCom cannot just now, the rest waits for the next run."""
    made = 0
    for line in _left(desk, name):
        if stopping() or not _still_runs(desk, name):
            return made
        try:
            _make(desk, name, line)
        except _MadeMeanwhile:
            return made
        except Refused as error:
            _settle(desk, name, line, Outcome(REFUSED, f"企业微信没有接受：{error}"))
        except Invalid as error:
            _settle(desk, name, line, Outcome(REFUSED, "；".join(words for _, words in error.problems)))
        except WeComError as error:
            _say(desk, name, f"企业微信暂时没有回应，稍后自动继续：{error}")
            return made
        else:
            made += 1
    _end(desk, name)
    return made


def _left(desk: Desk, name: str) -> list[Line]:
    with reading(desk.engine) as db:
        plan = _plan(db.get_one(Progress, name))
    settled = {number for number, one in plan.outcomes.items() if one.state != OPEN}
    return [line for line in plan.lines if line.number not in settled]


def _still_runs(desk: Desk, name: str) -> bool:
    with reading(desk.engine) as db:
        return db.scalar(select(Progress.state).where(Progress.name == name)) == RUNNING


def _make(desk: Desk, name: str, line: Line) -> None:
    """Make the line's code, or finish the one that was begun."""
    with reading(desk.engine) as db:
        plan = _plan(db.get_one(Progress, name))
        begun = plan.outcomes.get(line.number)
        kept = db.get(Channel, begun.channel_id) if begun and begun.channel_id else None

    def note(work: Work, channel: Channel) -> None:
        _write(work, name, line, Outcome(OPEN, channel_id=channel.id), only_new=True)
        details = {"name": channel.name, "import": plan.id, "line": line.number}
        audit.note(work.db, actor=plan.by, action="channel.create", subject=channel.code, details=details, at=work.now)

    if begun is not None and kept is None:
        _settle(desk, name, line, Outcome(REFUSED, "企业微信没有接受（创建时中断，原因见运行页）"))
        return
    channel = desk.finish(kept.id) if kept else desk.open(line.draft, by=plan.by, note=note)
    _settle(desk, name, line, Outcome(MADE, channel.code, channel.id))


def _settle(desk: Desk, name: str, line: Line, outcome: Outcome) -> None:
    with transaction(desk.engine) as db:
        _write(desk.work(db), name, line, outcome)


def _write(work: Work, name: str, line: Line, outcome: Outcome, *, only_new: bool = False) -> None:
    row = work.db.get_one(Progress, name, with_for_update=True, populate_existing=True)
    outcomes = dict(row.at["outcomes"])
    if only_new and str(line.number) in outcomes:
        raise _MadeMeanwhile
    outcomes[str(line.number)] = asdict(outcome)
    row.at = {**row.at, "outcomes": outcomes}
    row.done = sum(one["state"] != OPEN for one in outcomes.values())
    row.changed_at, row.note = work.now, None


def _say(desk: Desk, name: str, words: str) -> None:
    with transaction(desk.engine) as db:
        db.get_one(Progress, name).note = words


def _end(desk: Desk, name: str) -> None:
    with transaction(desk.engine) as db:
        row = db.get_one(Progress, name, with_for_update=True)
        if row.done == row.total:
            row.state, row.changed_at = DONE, desk.work(db).now


def not_made(plan: Plan) -> list[tuple[Mapping[str, str], str]]:
    """The rows of which there is no code: rejected before, or refused when they were made; each with the reason."""
    refused = [(line.cells, plan.outcomes[line.number].words) for line in plan.lines if _refused(plan, line)]
    return [*((one.cells, one.why) for one in plan.rejects), *refused]


def _refused(plan: Plan, line: Line) -> bool:
    return line.number in plan.outcomes and plan.outcomes[line.number].state == REFUSED


def sorted_out(db: Session, lines: Sequence[Line]) -> tuple[list[Line], list[Reject]]:
    """The lines of which a code can be made, and the others with the reason."""
    good, rejects = [], []
    for line in lines:
        try:
            channels.check(db, line.draft)
        except Invalid as error:
            rejects.append(Reject(line.number, line.cells, "；".join(words for _, words in error.problems)))
        else:
            good.append(line)
    return good, rejects


# --- copies of one code ----------------------------------------------------------------------------------------------


def for_members(db: Session, template: Channel, userids: Sequence[str]) -> list[Line]:
    """One code for each of these members, otherwise like the template."""
    names = dict(db.execute(select(Member.userid, Member.name).where(Member.userid.in_(userids))).all())
    wanted = [(names[one] or one, (one,)) for one in dict.fromkeys(userids) if one in names]
    return _copies(db, template, wanted)


def for_departments(db: Session, template: Channel, department_ids: Sequence[int]) -> list[Line]:
    """One code for each of these departments (a store): all its members who serve, otherwise like the template."""
    serving = list(db.scalars(select(Member).where(Member.serves.is_(True), Member.left_at.is_(None))))
    wanted = []
    for department in db.scalars(select(Department).where(Department.id.in_(department_ids)).order_by(Department.id)):
        own = tuple(one.userid for one in serving if department.id in one.departments)
        wanted.append((department.name or str(department.id), own))
    return _copies(db, template, wanted)


def _copies(db: Session, template: Channel, wanted: Sequence[tuple[str, tuple[str, ...]]]) -> list[Line]:
    """The template's timetable names its own reps, so a copy has none."""
    spare = tuple(seat.userid for seat in template.seats if seat.spare)
    lines = []
    for number, (label, userids) in enumerate(wanted, start=1):
        name = f"{template.name[: MAX_NAME - len(label[:15]) - 1]}·{label[:15]}"
        draft = Draft(
            name=name,
            members=userids,
            spare=tuple(one for one in spare if one not in userids),
            tags=tuple(channels.tag_names(db, template)),
            text=str(template.welcome.get("text") or ""),
            attachments=tuple(template.welcome.get("attachments") or []),
            skip_verify=template.skip_verify,
            daily_cap=template.daily_cap,
        )
        lines.append(Line(number, draft, {"name": name, "members": "|".join(userids)}))
    return lines


def numbered(lines: Sequence[Line]) -> list[Line]:
    """The same lines, counted through from one."""
    return [replace(line, number=number) for number, line in enumerate(lines, start=1)]

"""What operators look at: pages of what came in, what goes out, who did what, and how the jobs went. Newest first.

A page is asked for by the id before which it lies, so that a box of millions answers as quickly as a small one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from storage.tables import Alarm, AuditRow, Gate, InboxRow, JobRun, OutboxRow

Row = TypeVar("Row", InboxRow, OutboxRow, AuditRow)

NO_STEP = "kept: no step follows this event"
"""What ``handlers.dispatch`` writes on an event that no route knows."""
EVENT_STATES = {"waiting": ("waiting", "taken"), "done": ("done",), "aside": ("aside",)}
CALL_STATES = {
    "waiting": ("waiting", "sending"),
    "held": ("held",),
    "refused": ("refused",),
    "done": ("done",),
    "late": ("late",),
    "dropped": ("dropped",),
    "watched": ("watched",),
}
NOT_APIS = ("audit", "lane:")


def _page(
    db: Session, table: type[Row], where: Sequence[ColumnElement[bool]], limit: int, before: int | None
) -> tuple[list[Row], int | None]:
    """One page, and the id before which the next one lies (None at the end)."""
    question = select(table).where(*where).order_by(table.id.desc())
    if before is not None:
        question = question.where(table.id < before)
    found = list(db.scalars(question.limit(limit + 1)))
    return found[:limit], (found[limit - 1].id if len(found) > limit else None)


def events(
    db: Session, *, state: str = "", name: str = "", limit: int = 100, before: int | None = None
) -> tuple[list[InboxRow], int | None]:
    """Events by state (a name of ``EVENT_STATES``) and by what they are."""
    where: list[ColumnElement[bool]] = []
    if state in EVENT_STATES:
        where.append(InboxRow.state.in_(EVENT_STATES[state]))
    if name:
        where.append(InboxRow.name == name)
    return _page(db, InboxRow, where, limit, before)


def calls(
    db: Session, *, state: str = "", name: str = "", limit: int = 100, before: int | None = None
) -> tuple[list[OutboxRow], int | None]:
    """Calls to WeCom by state (a name of ``CALL_STATES``) and by command."""
    where: list[ColumnElement[bool]] = []
    if state in CALL_STATES:
        where.append(OutboxRow.state.in_(CALL_STATES[state]))
    if name:
        where.append(OutboxRow.name == name)
    return _page(db, OutboxRow, where, limit, before)


def audit_rows(
    db: Session,
    *,
    actor: str = "",
    action: str = "",
    subject: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    before: int | None = None,
) -> tuple[list[AuditRow], int | None]:
    """Audit lines: by whom, what (a whole action, or all of one thing: ``channel``), about what, and when."""
    where: list[ColumnElement[bool]] = []
    if actor:
        where.append(AuditRow.actor == actor)
    if action:
        where.append(AuditRow.action == action if "." in action else AuditRow.action.startswith(f"{action}."))
    if subject:
        where.append(AuditRow.subject == subject)
    if since is not None:
        where.append(AuditRow.at >= since)
    if until is not None:
        where.append(AuditRow.at < until)
    return _page(db, AuditRow, where, limit, before)


def event_names(db: Session, since: datetime) -> dict[str, int]:
    """How many events of each name came in since then, most first."""
    return _by_name(db, InboxRow.received_at >= since)


def events_without_steps(db: Session, since: datetime) -> dict[str, int]:
    """The same for events that were kept although nothing follows them."""
    return _by_name(db, InboxRow.received_at >= since, InboxRow.outcome == NO_STEP)


def _by_name(db: Session, *where: ColumnElement[bool]) -> dict[str, int]:
    counted = select(InboxRow.name, func.count()).where(*where).group_by(InboxRow.name)
    return dict(db.execute(counted.order_by(func.count().desc(), InboxRow.name)).all())


def last_runs(db: Session) -> dict[str, JobRun]:
    """The newest run of each job."""
    newest = select(func.max(JobRun.id)).group_by(JobRun.job)
    return {run.job: run for run in db.scalars(select(JobRun).where(JobRun.id.in_(newest)))}


def failed_runs(db: Session, limit: int = 20) -> list[JobRun]:
    """The newest runs that failed."""
    return list(db.scalars(select(JobRun).where(JobRun.ok.is_(False)).order_by(JobRun.id.desc()).limit(limit)))


def past_alarms(db: Session, limit: int = 20) -> list[Alarm]:
    """The newest alarms that are over."""
    over = select(Alarm).where(Alarm.cleared_at.is_not(None)).order_by(Alarm.cleared_at.desc())
    return list(db.scalars(over.limit(limit)))


@dataclass(frozen=True)
class ApiUse:
    """One API of WeCom: whether it is blocked, and how many permits this minute has used."""

    api: str
    blocked_until: datetime | None
    used: int
    last: datetime | None


def api_use(db: Session, now: datetime) -> list[ApiUse]:
    """Every API that was ever called, blocked ones first."""
    minute = now.replace(second=0, microsecond=0)
    found = [
        ApiUse(
            gate.api,
            gate.blocked_until if gate.blocked_until and gate.blocked_until > now else None,
            gate.used if gate.minute == minute else 0,
            gate.minute,
        )
        for gate in db.scalars(select(Gate).order_by(Gate.api))
        if not gate.api.startswith(NOT_APIS)
    ]
    return sorted(found, key=lambda one: one.blocked_until is None)

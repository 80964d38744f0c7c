"""Our copy compared with WeCom, and mended: every night, and whenever somebody asks (``scrm sync``).

Callbacks get lost and our own calls cause none: so callbacks make us quick, and this makes us right. One run at a time
(a lease); it is paced, waits out what passes, and goes on where it stopped. What it found is kept in ``SyncRun``.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from people import alarms
from scheduler import first_fill, reconcile_groups, reconcile_house, reconcile_relations
from scheduler.comparing import Comparing, Show, Stopped
from scheduler.reconcile_report import CHANNELS, GROUPS, MEMBERS, NAMES, PROFILES, RELATIONS, TAGS, Report
from storage import leases
from storage.database import Clock, reading, transaction
from storage.shared import utc_wall
from storage.tables import Lease, Progress, SyncRun
from wecom.errors import Misconfigured, Refused, TryLater, WeComError
from wecom.gateway import Gateway

log = logging.getLogger(__name__)

LEASE_NAME = "sync"
LEASE = timedelta(minutes=2)
GOES_ON_WITHIN = timedelta(hours=2)
"""A run that stopped longer ago is not gone on with: what it has compared may have changed since."""
ASKED, RUNNING, STOPPED, DONE, FAILED = "asked", "running", "stopped", "done", "failed"
Step = Callable[[Comparing], None]
STEPS: Mapping[str, tuple[str, Step]] = MappingProxyType(
    {
        "organisation": (MEMBERS, reconcile_house.compare_organisation),
        "tags": (TAGS, reconcile_house.compare_tags),
        "ways": (CHANNELS, reconcile_house.compare_ways),
        "relations": (RELATIONS, reconcile_relations.compare_relations),
        "leavers": (RELATIONS, reconcile_relations.compare_leavers),
        "profiles": (PROFILES, reconcile_relations.compare_profiles),
        "groups": (GROUPS, reconcile_groups.compare_groups),
    }
)
"""What is compared, in this order, and the subject it is reported under."""
OURS_NOT_ALLOWED = frozenset({48001, 48002})


class CannotSync(Exception):
    """Another run is under way, or there is nothing to compare yet; the sentence says which."""


@dataclass(frozen=True)
class Reconcile:
    """Everything a comparison needs; ``stopping`` is asked between pages."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    zone: ZoneInfo
    stopping: Callable[[], bool]
    watch: Collection[str] = ()
    ring: Callable[[], None] = lambda: None
    show: Show = lambda *_: None
    sleep: Callable[[float], None] = time.sleep

    def run(self, *, by: str, dry: bool = False, stops_as: str = STOPPED) -> SyncRun:
        """Compare everything; the run as it is kept, "done" or, when we were told to stop, as ``stops_as`` says.

        A run that stopped in the middle is gone on with. Raises ``CannotSync``, and ``WeComError`` when WeCom cannot be
        asked; the run is "failed" then.
        """
        began = self._first_fill_began()
        owner = f"{socket.gethostname()}:{os.getpid()}:{time.monotonic_ns()}"
        with transaction(self.engine) as db:
            if leases.take(db, LEASE_NAME, owner, LEASE, utc_wall()) is None:
                raise CannotSync("another sync is under way")
            run = _begin(db, self.clock(), by=by, dry=dry)
        sync = self._comparing(run, began, owner)
        try:
            return self._walk(sync, stops_as)
        finally:
            with transaction(self.engine) as db:
                leases.release(db, LEASE_NAME, owner, utc_wall())

    def _walk(self, sync: Comparing, stops_as: str) -> SyncRun:
        try:
            _steps(sync)
        except Stopped:
            return self._end(sync, stops_as)
        except TryLater as error:
            if self.stopping():
                return self._end(sync, stops_as)
            self._end(sync, FAILED, str(error))
            raise
        except Exception as error:
            self._end(sync, FAILED, str(error) if isinstance(error, WeComError) else type(error).__name__)
            raise
        return self._end(sync, DONE)

    def _end(self, sync: Comparing, state: str, trouble: str | None = None) -> SyncRun:
        with transaction(self.engine) as db:
            run = db.get_one(SyncRun, sync.run_id)
            run.state, run.trouble, run.changed_at = state, trouble, self.clock()
            run.ended_at = self.clock() if state in (DONE, FAILED) else None
            if state == DONE:
                run.at, run.report = {"step": "done"}, sync.report.as_json()
                _clear_alarms(sync, db)
        return run

    def _comparing(self, run: SyncRun, listening_since: datetime, owner: str) -> Comparing:
        def beat() -> None:
            with transaction(self.engine) as db:
                if leases.take(db, LEASE_NAME, owner, LEASE, utc_wall()) is None:
                    raise CannotSync("another process has taken this sync over")

        with reading(self.engine) as db:
            last_run = _last_whole_run(db, before=run.id)
        return Comparing(
            engine=self.engine,
            gateway=self.gateway,
            clock=self.clock,
            zone=self.zone,
            run_id=run.id,
            dry=run.dry,
            stopping=self.stopping,
            listening_since=listening_since,
            last_run=last_run,
            report=Report.read(run.report),
            place=dict(run.at),
            watch=self.watch,
            ring=self.ring,
            show=self.show,
            beat=beat,
            sleep=self.sleep,
        )

    def _first_fill_began(self) -> datetime:
        """Raises ``CannotSync`` before everything that was there before us has been taken over."""
        with reading(self.engine) as db:
            filling = db.get(Progress, first_fill.NAME)
        if filling is None or filling.state != "done":
            raise CannotSync("what was there before us is still being taken over; `scrm serve` does that")
        return filling.started_at


def _steps(sync: Comparing) -> None:
    """Walk the steps from the one reached. A step whose API we may not use is left out, and says so."""
    names = list(STEPS)
    reached = sync.place.get("step")
    begin = names.index(reached) if reached in names else 0
    for number, name in enumerate(names[begin:], start=begin + 1):
        subject, step = STEPS[name]
        if sync.place.get("step") != name:
            sync.place = {"step": name}
        sync.count(subject)
        sync.show(subject, 0, None)
        try:
            step(sync)
        except (Misconfigured, Refused) as error:
            if error.errcode not in OURS_NOT_ALLOWED:
                raise
            log.warning("sync: %s is left out: %s", name, error)
            sync.note(subject, str(error))
        if number < len(names):
            sync.reached(step=names[number])
            sync.go_on()


def _clear_alarms(sync: Comparing, db: Session) -> None:
    """What a whole run did not find any more is over."""
    if sync.dry or sync.report.different > sync.report.fixed:
        return
    for kind in (reconcile_relations.NARROWED, reconcile_groups.NARROWED, reconcile_house.TAGS_MISSING):
        alarms.clear(sync.work(db), kind)


# --- runs ------------------------------------------------------------------------------------------------------------


def _begin(db: Session, now: datetime, *, by: str, dry: bool) -> SyncRun:
    """The run to go on with, or a new one."""
    open_runs = select(SyncRun).where(SyncRun.state.in_((ASKED, RUNNING, STOPPED, FAILED))).order_by(SyncRun.id.desc())
    newest = db.scalars(open_runs.where(SyncRun.dry == dry).limit(1)).one_or_none()
    whole_since = newest is not None and _done_after(db, newest)
    if newest is None or whole_since or now - newest.changed_at > GOES_ON_WITHIN or (dry and newest.state != ASKED):
        newest = SyncRun(state=RUNNING, dry=dry, by=by, at={}, report={}, started_at=now, changed_at=now)
        db.add(newest)
        db.flush()
    newest.state, newest.trouble, newest.ended_at, newest.changed_at = RUNNING, None, None, now
    killed = update(SyncRun).where(SyncRun.state == RUNNING, SyncRun.id != newest.id)
    db.execute(killed.values(state=FAILED, trouble="stopped in the middle", ended_at=now))
    return newest


def _done_after(db: Session, run: SyncRun) -> bool:
    later = select(SyncRun.id).where(SyncRun.id > run.id, SyncRun.dry == run.dry, SyncRun.state == DONE)
    return db.scalar(later.limit(1)) is not None


def _last_whole_run(db: Session, before: int) -> datetime | None:
    whole = select(SyncRun.started_at).where(SyncRun.state == DONE, SyncRun.dry.is_(False), SyncRun.id < before)
    return db.scalar(whole.order_by(SyncRun.id.desc()).limit(1))


def ask(db: Session, now: datetime, *, by: str, dry: bool = False) -> SyncRun:
    """Have a worker compare everything as soon as it can; the run that is open already, if one is."""
    waits = select(SyncRun).where(SyncRun.state.in_((ASKED, RUNNING)), SyncRun.dry == dry).order_by(SyncRun.id.desc())
    known = db.scalars(waits.limit(1)).one_or_none()
    if known is not None and now - known.changed_at <= GOES_ON_WITHIN:
        return known
    run = SyncRun(state=ASKED, dry=dry, by=by, at={}, report={}, started_at=now, changed_at=now)
    db.add(run)
    db.flush()
    return run


def latest(db: Session, limit: int = 20) -> list[SyncRun]:
    """The latest runs, newest first."""
    return list(db.scalars(select(SyncRun).order_by(SyncRun.id.desc()).limit(limit)))


def waiting(engine: Engine, now: datetime) -> SyncRun | None:
    """A run that was asked for, or whose process died, if nobody is at it."""
    wanted = SyncRun.state.in_((ASKED, RUNNING)) & (SyncRun.changed_at > now - GOES_ON_WITHIN)
    with reading(engine) as db:
        run = db.scalars(select(SyncRun).where(wanted).order_by(SyncRun.id.desc()).limit(1)).one_or_none()
        lease = db.get(Lease, LEASE_NAME)
    return None if lease is not None and lease.until > utc_wall() else run


def outcome(run: SyncRun) -> str:
    """What a run came to, in one line."""
    report = Report.read(run.report)
    if run.state != DONE:
        return f"{run.state} at {run.at.get('step') or 'the beginning'}"
    looked_at = ", ".join(f"{NAMES[name]} {one.wecom}" for name, one in report.subjects.items())
    return f"different: {report.different}, fixed: {report.fixed} ({looked_at})"

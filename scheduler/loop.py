"""The loop that keeps the timetable: APScheduler rings, one leader among all processes does the job.

What is due lives in tables, never in APScheduler (its store is in memory; shared stores run everything twice). A job
runs once for each due time, by a unique key on (job, due): that is the fence, and a second scheduler, or an old leader
that wakes up, finds the row and lets it be.
"""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import Engine, delete, select, update

from storage import leases
from storage.database import Clock, changed_rows, transaction
from storage.rows import insert_new
from storage.shared import utc_wall
from storage.tables import JobRun
from wecom.errors import WeComError

log = logging.getLogger(__name__)

LEADER = "scheduler"
LEASE = timedelta(seconds=15)
HEARTBEAT_SECONDS = 5
"""APScheduler sleeps past a due time when the clock is set back; a short beat bounds that, and leads on in time."""
TRY_AGAIN_AFTER = timedelta(minutes=10)
"""A run that failed is tried again after this, as long as its job's patience lasts."""
TAKEN_FOR_DEAD = timedelta(hours=2)
"""A run that neither ended nor failed: its process was killed."""
KEEP_RUNS = timedelta(days=14)
KEEP_SHORT_RUNS = 20
"""Of a job that runs every few seconds the last twenty good runs are enough."""


@dataclass(frozen=True)
class Every:
    """Due every so often, counted from midnight UTC."""

    period: timedelta

    def latest(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The latest due time at or before ``now``."""
        seconds = int(self.period.total_seconds())
        return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


@dataclass(frozen=True)
class Daily:
    """Due once a day at a time of the shop's clock."""

    at: time

    def latest(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The latest due time at or before ``now``."""
        local = now.astimezone(zone)
        due = datetime.combine(local.date(), self.at, zone)
        if due > local:
            due = datetime.combine(local.date() - timedelta(days=1), self.at, zone)
        return due.astimezone(UTC)


@dataclass(frozen=True)
class Job:
    """One row of the timetable. A run later than ``patience`` after its due time is left out, and said so."""

    name: str
    when: Every | Daily
    work: Callable[..., str]
    patience: timedelta = timedelta(hours=12)


class Loop:
    """Keeps the timetable as long as it leads."""

    def __init__(self, engine: Engine, clock: Clock, zone: ZoneInfo, timetable: Sequence[Job], hands: Any) -> None:
        self._engine, self._clock, self._zone = engine, clock, zone
        self._timetable, self._hands = timetable, hands
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._leads_until = utc_wall()
        self._done_until: dict[str, datetime] = {}
        """Saves asking the table again and again for a run that we know of."""
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    def start(self) -> None:
        """Begin to beat, in threads of APScheduler's own: one for the lead, and each job by itself.

        Every job has its own moment within the beat, so that idle jobs share one thread and one connection.
        """
        beat = timedelta(seconds=HEARTBEAT_SECONDS)
        first = utc_wall()
        self._beat(first, self._lead)
        for number, job in enumerate(self._timetable, start=1):
            self._beat(first + beat * number / (len(self._timetable) + 1), self._tend, job)
        self._scheduler.start()

    def _beat(self, first: datetime, work: Callable[..., None], *args: Job) -> None:
        beat = IntervalTrigger(seconds=HEARTBEAT_SECONDS, start_date=first)
        self._scheduler.add_job(work, beat, args=args, next_run_time=first)

    def stop(self) -> None:
        """Let running jobs end, then give the lead away at once."""
        self._scheduler.shutdown(wait=True)
        with transaction(self._engine) as db:
            leases.release(db, LEADER, self._owner, utc_wall())

    def _lead(self) -> None:
        """Take or keep the lead; the time until which we have it."""
        with transaction(self._engine) as db:
            held = leases.take(db, LEADER, self._owner, LEASE, utc_wall()) is not None
        self._leads_until = utc_wall() + LEASE if held else utc_wall()

    def _tend(self, job: Job) -> None:
        """Run the job if it is due and we lead."""
        if utc_wall() < self._leads_until:
            self.run_if_due(job)

    def run_due(self) -> list[tuple[str, str]]:
        """Run once every job that is due now, whoever leads; (job, outcome) of each that ran."""
        outcomes = ((job.name, self.run_if_due(job)) for job in self._timetable)
        return [(name, outcome) for name, outcome in outcomes if outcome is not None]

    def run_if_due(self, job: Job) -> str | None:
        """Run the job unless its latest due time has had its run; what it did."""
        due = job.when.latest(self._clock(), self._zone)
        if self._done_until.get(job.name) == due:
            return None
        if self._begin(job, due):
            return self._run(job, due)
        return None

    def _begin(self, job: Job, due: datetime) -> bool:
        """Claim this run by its unique key; one that failed or was killed is claimed anew after a while."""
        now = self._clock()
        row = {"job": job.name, "due_at": due, "started_at": now}
        this = (JobRun.job == job.name, JobRun.due_at == due)
        with transaction(self._engine) as db:
            known = db.scalars(select(JobRun).where(*this)).one_or_none()
            if known is None:
                return bool(insert_new(db, JobRun, [row], ["job", "due_at"]))
            if known.ok:
                self._done_until[job.name] = due
            if not _wants_another_try(known, now):
                return False
            again = update(JobRun).where(*this, JobRun.started_at == known.started_at)
            return changed_rows(db, again.values(started_at=now, ended_at=None, ok=None)) == 1

    def _run(self, job: Job, due: datetime) -> str:
        ok = True
        if self._clock() - due > job.patience:
            outcome = "left out: too late" if self._ran_before(job) else "left out: before our time"
        else:
            try:
                outcome = job.work(self._hands)
            except Exception as error:  # a failing job must not stop the others; the row and the log tell
                expected = isinstance(error, WeComError)
                log.warning("job %s failed: %s", job.name, error, exc_info=None if expected else error)
                ok, outcome = False, f"{type(error).__name__}: {error}".partition("\n")[0][:300]
        with transaction(self._engine) as db:
            this = update(JobRun).where(JobRun.job == job.name, JobRun.due_at == due)
            db.execute(this.values(ended_at=self._clock(), outcome=outcome, ok=ok))
            if isinstance(job.when, Every):
                old = due - KEEP_SHORT_RUNS * job.when.period
                db.execute(delete(JobRun).where(JobRun.job == job.name, JobRun.due_at < old, JobRun.ok.is_(True)))
        return outcome

    def _ran_before(self, job: Job) -> bool:
        with transaction(self._engine) as db:
            runs = select(JobRun.id).where(JobRun.job == job.name, JobRun.ended_at.is_not(None)).limit(1)
            return db.scalar(runs) is not None


def _wants_another_try(run: JobRun, now: datetime) -> bool:
    if run.ended_at is None:
        return now - run.started_at > TAKEN_FOR_DEAD
    return run.ok is False and now - run.ended_at > TRY_AGAIN_AFTER


def forget_old_runs(engine: Engine, now: datetime) -> int:
    """Remove job runs older than two weeks."""
    with transaction(engine) as db:
        old = delete(JobRun).where(JobRun.started_at < now - KEEP_RUNS).returning(JobRun.id)
        return len(db.execute(old).all())

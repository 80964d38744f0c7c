"""How long it takes, and how much memory, to plan a broadcast to 1 million people and cut it into their reps' tasks.

Planning is what the product does between approval and the first task: everybody who is meant is written into the
contact budget with their rep, their arm, and why they get nothing where they do not; then the tasks are cut. It runs
in a process of its own, whose peak of memory is taken. An older broadcast to all of them stands in the book already.

Reference: one INSERT … SELECT that writes the same rows again under another name, on the same database. It asks nothing
of anybody: the floor of what it costs to write them.
"""

import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, delete, func, select, text, update
from sqlalchemy.orm import Session

from benchmarks import databases
from benchmarks.processes import elsewhere
from benchmarks.report import held, ratio, show
from benchmarks.segments import fill, settle
from benchmarks.shop import engine_to
from insight import segments
from outreach import broadcasts
from outreach.budget import Rules
from people import sign_in
from storage import schema
from storage.database import open_engine, transaction, utc_now
from storage.tables import Broadcast, MassTask, Member, Person, Segment, Touch
from storage.work import Work

ROUNDS = 3
MOST_SECONDS, AIM_SECONDS, MOST_MB = 120, 60, 500
ZONE = ZoneInfo("Asia/Shanghai")
MAKER = "benchmark"
OLDER, AGAIN = "broadcast:0", "again"
COLUMNS = "person_id, way, userid, external_userid, arm, task_id, state, reason, at, day"
HEADS = (
    "database",
    "people",
    "get it",
    "tasks",
    "planned",
    f"≤ {MOST_SECONDS} s",
    f"aim {AIM_SECONDS} s",
    "INSERT … SELECT",
    "ratio",
    "peak memory",
    f"≤ {MOST_MB} MB",
)


def run(quick: bool) -> None:
    """Measure on every database this machine has."""
    people = 5_000 if quick else 1_000_000
    print(f"{people:,} people, an older broadcast to all of them; {ROUNDS} rounds\n", flush=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="scrm-bench-") as name:
        for kind in databases.kinds():
            with _filled(kind, Path(name), people) as (url, engine):
                rows.append(_row(kind, url, engine, people))
    show(HEADS, rows)


@contextmanager
def _filled(kind: str, folder: Path, people: int) -> Iterator[tuple[str, Engine]]:
    with databases.empty(kind, folder) as url:
        schema.migrate(url)
        with engine_to(url) as engine:
            started = time.monotonic()
            fill(engine, people, 1_000)
            _prepare(engine)
            settle(engine)
            print(f"{kind}: filled in {time.monotonic() - started:.0f} s", flush=True)
            yield url, engine


def _prepare(engine: Engine) -> None:
    """Reps who can confirm, and what everybody had of us a month ago."""
    with transaction(engine) as db:
        db.execute(update(Member).values(serves=True, status=1))
        sign_in.add_user(db, MAKER, "boss", utc_now())
        at = utc_now() - timedelta(days=30)
        older = select(Person.id, Person.owner).order_by(Person.id)
        db.execute(
            text(
                f"INSERT INTO touch (source, {COLUMNS}) SELECT '{OLDER}', id, 'mass', owner, 'wm' || id, '', NULL, "
                f"'sent', '', :at, :day FROM ({older.compile(db.get_bind())}) AS people"
            ).bindparams(at=at.replace(tzinfo=None) if _is_sqlite(db) else at, day=at.date())
        )


def _is_sqlite(db: Session) -> bool:
    return db.get_bind().dialect.name == "sqlite"


# --- one round -------------------------------------------------------------------------------------------------------


def _row(kind: str, url: str, engine: Engine, people: int) -> list[str]:
    ours, floor, peaks, told = [], [], [], []
    for _ in range(ROUNDS):
        seconds, megabytes = elsewhere(_planned, url, people)
        ours.append(seconds)
        peaks.append(megabytes)
        told = _told(engine, people)
        floor.append(_written_again(engine))
        _forget(engine)
    planned = median(ours)
    return [
        kind,
        f"{people:,}",
        *told,
        f"{planned:.1f} s",
        held(planned <= MOST_SECONDS),
        held(planned <= AIM_SECONDS),
        f"{median(floor):.1f} s",
        f"{ratio(ours, floor):.2f}",
        f"{max(peaks):.0f} MB",
        held(max(peaks) <= MOST_MB),
    ]


def _planned(url: str, people: int) -> tuple[float, float]:
    """Seconds to plan and cut a new broadcast to everybody, and the peak of this process in MB."""
    engine = open_engine(url)

    def work(db: Session) -> Work:
        return Work(db, utc_now(), zone=ZONE, home="https://t.example.com")

    with transaction(engine) as db:
        own = work(db)
        everybody = segments.create(own, "everybody", segments.EVERYBODY, by=MAKER)
        broadcast = broadcasts.create(own, broadcasts.Draft("b", everybody.id, "hello {rep}"), by=MAKER)
        broadcast.state, broadcast.size = broadcasts.APPROVED, people
        broadcast.approved_at, broadcast.filter = own.now, dict(segments.EVERYBODY)
    started, more = time.perf_counter(), True
    while more:
        with transaction(engine) as db:
            more = broadcasts.carry_on(work(db), broadcast.id, Rules())
    seconds = time.perf_counter() - started
    engine.dispose()
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _told(engine: Engine, people: int) -> list[str]:
    """How many get it, and in how many tasks; all of them must have been looked at, and all who get it be in one."""
    with transaction(engine) as db:
        new = Touch.source != OLDER
        seen = db.scalars(select(func.count()).where(new)).one()
        get_it = db.scalars(select(func.count()).where(new, Touch.state == "held")).one()
        loose = db.scalars(select(func.count()).where(new, Touch.state == "held", Touch.task_id.is_(None))).one()
        tasks, sizes = db.execute(select(func.count(), func.sum(MassTask.size))).one()
        if (seen, loose, sizes) != (people, 0, get_it):
            raise SystemExit(f"{people} people: {seen} planned, {get_it} get it, {loose} in no task, {sizes} in tasks")
        return [f"{get_it:,}", f"{tasks:,}"]


def _written_again(engine: Engine) -> float:
    started = time.perf_counter()
    with transaction(engine) as db:
        db.execute(
            text(
                f"INSERT INTO touch (source, {COLUMNS}) SELECT '{AGAIN}', {COLUMNS} FROM touch "
                f"WHERE source <> '{OLDER}'"
            )
        )
    return time.perf_counter() - started


def _forget(engine: Engine) -> None:
    """As before the round."""
    with transaction(engine) as db:
        db.execute(delete(Touch).where(Touch.source != OLDER))
        db.execute(delete(MassTask))
        db.execute(delete(Broadcast))
        db.execute(delete(Segment))
    settle(engine)

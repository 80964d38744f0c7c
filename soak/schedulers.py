"""Several schedulers at once, and the one that leads killed: every reminder is planned once, and none is lost.

Example: python -m soak.schedulers --processes 4 --reminders 1000 --database postgresql

Each process runs the timetable and nothing else; what they plan is sent from here, so that a killed scheduler never
takes a message along that was just leaving (which is looked at in ``soak.kills``). The leader is killed while it is
planning reminders, and the seconds are taken until another has the lead.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Select, func, select

from bot import logs
from bot.assembly import Parts, assemble
from bot.serve import ready_schema
from bot.settings import load
from people import rep_rules
from sandbox.callbacks import Deliverer, Reply
from sandbox.web import running as sandbox_running
from sandbox.world import World
from scheduler import loop as keeping
from scheduler.first_fill import FirstFill
from scheduler.loop import LEADER, Every, Loop
from scheduler.timetable import TIMETABLE
from soak import house
from soak.kills import Result
from soak.tables import table
from storage import shop_settings
from storage.database import reading, transaction, utc_now
from storage.tables import JobRun, Lease, Member, Task
from wecom.commands import TellRep

REMINDS = "remind reps"
TAKEOVER_SECONDS = 30.0
PATIENCE_SECONDS = 240.0
NUMBER = re.compile(r"^#([0-9]+) ", re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """What to do to them."""

    database: str
    processes: int
    reminders: int
    over_seconds: float = 40.0
    """The reminders fall due within this time."""
    members: int = 45
    """Beside the shop's own: one member takes only so many messages a minute."""
    hurry: bool = False
    """A short lease and a job every other second, so that there is little to wait for."""


def run(plan: Plan) -> Result:
    """One run from an empty database to the last check."""
    with tempfile.TemporaryDirectory(prefix="scrm-soak-") as name:
        folder, world = Path(name), World.small_shop(seed=1)
        world.populate(0, members=plan.members)
        silent = Deliverer(world, lambda *_: Reply(200))
        world.listeners.clear()
        with sandbox_running(world, deliverer=silent), house.database(plan.database, folder) as url:
            config = house.write_config(folder, world, url, house.free_port())
            parts = _prepared(config)
            try:
                with _sending(parts), _schedulers(config, plan, folder) as schedulers:
                    return Run(plan, world, parts, schedulers).go()
            finally:
                parts.close()


def _prepared(config: Path) -> Parts:
    """A shop whose members are known and at work at any hour."""
    settings = load(config)
    ready_schema(settings)
    parts = assemble(settings)
    FirstFill(parts.engine, parts.gateway, parts.clock, parts.zone, stopping=lambda: False).run()
    with transaction(parts.engine) as db:
        hours = {"starts": "00:00", "ends": "23:59:59.999999"}
        shop_settings.keep(db, rep_rules.SETTING, hours, by="soak", at=utc_now())
    return parts


@contextmanager
def _sending(parts: Parts) -> Iterator[None]:
    """Make the calls that wait, all the while."""
    over = threading.Event()

    def send() -> None:
        sender = parts.sender()
        while not over.wait(0.1):
            for claimed in sender.claim(TellRep.lane, 20):
                sender.deliver_one(claimed)

    thread = threading.Thread(target=send, name="sending")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _schedulers(config: Path, plan: Plan, folder: Path) -> Iterator[dict[int, "subprocess.Popen[bytes]"]]:
    """So many processes that keep the timetable, by their number."""
    command = [sys.executable, "-m", "soak.schedulers", "--serve", str(config), *(["--hurry"] if plan.hurry else [])]
    with (folder / "schedulers.log").open("wb") as out:
        started = [subprocess.Popen(command, cwd=house.ROOT, stdout=out, stderr=out) for _ in range(plan.processes)]  # noqa: S603
    try:
        yield {one.pid: one for one in started}
    finally:
        for one in started:
            one.send_signal(signal.SIGTERM)
        for one in started:
            one.wait(60)


def serve(config: Path, *, hurry: bool = False) -> None:
    """Keep the timetable until told to end; in a hurry only the one job of it, often."""
    logs.configure("WARNING")
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    parts = assemble(load(config))
    loop = _hurried(parts, over.is_set) if hurry else parts.loop(lambda: None, over.is_set)
    loop.start()
    over.wait()
    loop.stop()
    parts.close()


def _hurried(parts: Parts, stopping: Callable[[], bool]) -> Loop:
    keeping.LEASE, keeping.HEARTBEAT_SECONDS = timedelta(seconds=4), 1
    jobs = [replace(one, when=Every(timedelta(seconds=2))) for one in TIMETABLE if one.name == REMINDS]
    return Loop(parts.engine, parts.clock, parts.zone, jobs, parts.hands(lambda: None, stopping))


@dataclass
class Run:
    """One run under way."""

    plan: Plan
    world: World
    parts: Parts
    schedulers: dict[int, "subprocess.Popen[bytes]"]
    takeover: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        """The database they share."""
        return self.parts.engine

    def go(self) -> Result:
        """Let reminders fall due, kill whoever leads while they are planned, wait for the others, count."""
        self._wait("somebody leads", lambda: self._leader() in self.schedulers)
        began = time.monotonic()
        self._make_reminders()
        killed = self._kill_the_leader_while_it_plans()
        died = time.monotonic()
        self._wait("another leads", lambda: self._leader() not in (killed, None))
        self.takeover = time.monotonic() - died
        self._wait("all are planned", lambda: self._left() == 0)
        self._wait("all are sent", lambda: len(self._told()) >= self.plan.reminders)
        time.sleep(2)  # what came twice would come now
        return self._result(time.monotonic() - began)

    def _make_reminders(self) -> None:
        now, count = utc_now(), self.plan.reminders
        with transaction(self.engine) as db:
            reps = list(db.scalars(select(Member.userid).where(Member.left_at.is_(None)).order_by(Member.userid)))
            db.add_all(
                Task(
                    userid=reps[number % len(reps)],
                    text=f"回访第 {number} 位",
                    due_at=now + timedelta(seconds=self.plan.over_seconds * number / count),
                    once=f"soak:{number}",
                    created_by="soak",
                    created_at=now,
                )
                for number in range(count)
            )

    def _kill_the_leader_while_it_plans(self) -> int:
        """At the moment at which a run of the job has begun: its transaction is open, or is just being kept."""
        since = utc_now()
        running = select(JobRun.id).where(JobRun.job == REMINDS, JobRun.started_at > since, JobRun.ended_at.is_(None))
        self._wait("reminders are planned", lambda: self._any(running), every=0.001)
        leader = self._leader()
        if leader not in self.schedulers:
            raise SystemExit(f"no scheduler of ours leads, but {leader}")
        os.kill(leader, signal.SIGKILL)
        self.schedulers.pop(leader).wait()
        return leader

    def _any(self, asked: Select[Any]) -> bool:
        with reading(self.engine) as db:
            return db.scalar(asked.limit(1)) is not None

    def _leader(self) -> int | None:
        """The process that leads just now."""
        with reading(self.engine) as db:
            lease = db.scalars(select(Lease).where(Lease.name == LEADER)).one_or_none()
        if lease is None or lease.until < utc_now():
            return None
        return int(lease.owner.rpartition(":")[2])

    def _left(self) -> int:
        with reading(self.engine) as db:
            return db.scalars(select(func.count()).where(Task.reminded_at.is_(None))).one()

    def _told(self) -> Counter[int]:
        """How often each task was brought to mind, on WeCom's word."""
        with self.world.lock:
            texts = [str(one.content.get("content")) for one in self.world.app_messages.values()]
        return Counter(int(number) for text in texts for number in NUMBER.findall(text))

    def _wait(self, what: str, true_now: Callable[[], bool], every: float = 0.05) -> None:
        started = time.monotonic()
        while not true_now():
            if time.monotonic() - started > PATIENCE_SECONDS:
                raise SystemExit(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
            time.sleep(every)

    def _result(self, seconds: float) -> Result:
        told = self._told()
        with reading(self.engine) as db:
            ids = set(db.scalars(select(Task.id)))
            runs = db.scalars(select(func.count()).where(JobRun.job == REMINDS)).one()
        double, lost = [one for one in told if told[one] > 1], ids - told.keys()
        result = Result()
        result.rows += [
            ("database", self.plan.database),
            ("schedulers", self.plan.processes),
            ("reminders", len(ids)),
            ("double", len(double)),
            ("lost", len(lost)),
            ("runs of the job", runs),
            ("kill -9 of the leader, another leads after (s)", self.takeover),
            ("all told after (s)", seconds),
        ]
        if double:
            result.problems.append(f"told more than once: {double[:5]}")
        if lost:
            result.problems.append(f"never told: {sorted(lost)[:5]}")
        if self.takeover > TAKEOVER_SECONDS:
            result.problems.append(f"it took {self.takeover:.1f} s until another led")
        return result


def main(given: list[str]) -> int:
    """Read the command line, run, print."""
    reader = argparse.ArgumentParser(prog="python -m soak.schedulers")
    reader.add_argument("--processes", type=int, default=2)
    reader.add_argument("--reminders", type=int, default=1000)
    reader.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    reader.add_argument("--hurry", action="store_true", help="a short lease, and one job only")
    reader.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = reader.parse_args(given)
    if asked.serve:
        serve(asked.serve, hurry=asked.hurry)
        return 0
    result = run(Plan(asked.database, asked.processes, asked.reminders, hurry=asked.hurry))
    sys.stdout.write(table(result.rows, f"{asked.processes} schedulers on {asked.database}") + "\n")
    sys.stdout.write("".join(f"PROBLEM: {one}\n" for one in result.problems))
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Reminders of points under several schedulers, the leading one killed: each person hears once, nobody is left out.

Example: python -m soak.points_reminders --processes 2 --reminders 1000 --database postgresql

A journey reminds everybody whose points die in thirty days: it gives a point (so that a step that is taken twice shows
in the books), and puts a card on the rep's list. Each process keeps the two jobs of journeys and nothing else. The
leader is killed while it takes people along. What counts are the cards, the touches and the awards in the end.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from subprocess import Popen

from sqlalchemy import func, select

from bot import logs
from bot.assembly import Parts, assemble
from bot.serve import ready_schema
from bot.settings import load
from loyalty import accounts
from loyalty.ledger import earn, proof
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from outreach.journeys import desk, rounds
from outreach.journeys.definition import EMPTY
from people import persons
from sandbox.callbacks import Deliverer, Reply
from sandbox.web import running as sandbox_running
from sandbox.world import World
from scheduler import loop as keeping
from scheduler.loop import LEADER, Every, Loop
from scheduler.timetable import TIMETABLE
from soak import house
from soak.kills import Result
from soak.tables import table
from storage.database import reading, transaction, utc_now
from storage.tables import Enrolment, Lease, Member, PointsTxn, RepCard, StepRun, Touch
from storage.work import Work

WALKS = "walk journeys"
JOBS = (WALKS, "keep days")
DAYS = 30
AT_LEAST = 0.2
"""The leader is killed when so many of them have been taken along."""
PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class Plan:
    """What to do to them."""

    database: str
    processes: int
    reminders: int


def run(plan: Plan) -> Result:
    """One run from an empty database to the last check."""
    with tempfile.TemporaryDirectory(prefix="scrm-soak-") as name:
        folder, world = Path(name), World.small_shop(seed=1)
        silent = Deliverer(world, lambda *_: Reply(200))
        world.listeners.clear()
        with sandbox_running(world, deliverer=silent), house.database(plan.database, folder) as url:
            config = house.write_config(folder, world, url, house.free_port())
            with config.open("a", encoding="utf-8") as file:
                file.write('\n[contact]\nquiet_from = "00:00"\nquiet_to = "00:00"\n')
            ready_schema(load(config))
            parts = assemble(load(config))
            try:
                _prepare(parts, plan.reminders)
                with _schedulers(config, plan, folder) as schedulers:
                    return _go(plan, parts, schedulers)
            finally:
                parts.close()


def _prepare(parts: Parts, reminders: int) -> None:
    """People whose points die in thirty days, and the journey, live."""
    now = utc_now()
    last = now.astimezone(parts.zone).date() + timedelta(days=DAYS)
    ends = datetime.combine(last + timedelta(days=1), clock(), parts.zone).astimezone(UTC)
    with transaction(parts.engine) as db:
        work = Work(db, now, cause="soak", zone=parts.zone)
        db.add(Member(userid="soak", name="soak", serves=True))
        for number in range(reminders):
            external = f"wmsoak{number:05d}"
            person = persons.person_of(work, external, now)
            relation = persons.relation_of(db, person, "soak", external)
            relation.state, relation.added_at, person.owner = "active", now, "soak"
            db.flush()
            about = About("award", f"soak:{number}", now, "soak")
            grant = Grant(100, now, ends, "purchase", notice_days=7)
            earn.award(work, accounts.open_account(work, person.id), [grant], about)
        journey = desk.create(work, "积分快过期了", _definition(), by="soak")
        desk.publish(work, journey, by="soak", cut=False)


def _definition() -> dict[str, object]:
    steps = [
        {"id": "s1", "do": "give", "points": 1, "reason": "谢谢"},
        {"id": "s2", "do": "send", "ways": ["card"], "text": "{name}：{expiring}"},
    ]
    trigger = {"on": "date", "date": "points_end", "days": -DAYS, "at": "00:00"}
    return {**EMPTY, "trigger": trigger, "again": {"rule": "each"}, "service": True, "steps": steps}


@contextmanager
def _schedulers(config: Path, plan: Plan, folder: Path) -> Iterator[dict[int, "Popen[bytes]"]]:
    """So many processes that keep the jobs of journeys, by their number."""
    command = [sys.executable, "-m", "soak.points_reminders", "--serve", str(config)]
    with (folder / "schedulers.log").open("wb") as out:
        started = [Popen(command, cwd=house.ROOT, stdout=out, stderr=out) for _ in range(plan.processes)]  # noqa: S603
    try:
        yield {one.pid: one for one in started}
    finally:
        for one in started:
            one.send_signal(signal.SIGTERM)
        for one in started:
            one.wait(60)


def serve(config: Path) -> None:
    """Keep the jobs of journeys, often, until told to end."""
    logs.configure("WARNING")
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    parts = assemble(load(config))
    keeping.LEASE, keeping.HEARTBEAT_SECONDS = timedelta(seconds=4), 1
    jobs = [replace(one, when=Every(timedelta(seconds=1))) for one in TIMETABLE if one.name in JOBS]
    loop = Loop(parts.engine, parts.clock, parts.zone, jobs, parts.hands(lambda: None, over.is_set))
    loop.start()
    over.wait()
    loop.stop()
    parts.close()


def _go(plan: Plan, parts: Parts, schedulers: "dict[int, Popen[bytes]]") -> Result:
    """Kill whoever leads while people are taken along, wait for the others, count."""
    began = time.monotonic()
    _wait(lambda: AT_LEAST * plan.reminders <= _cards(parts) < plan.reminders)
    leader = _leader(parts)
    if leader not in schedulers:
        raise SystemExit(f"no scheduler of ours leads, but {leader}")
    os.kill(leader, signal.SIGKILL)
    schedulers.pop(leader).wait()
    at_the_kill = _cards(parts)
    _wait(lambda: _on_the_way(parts) == 0 and _cards(parts) >= plan.reminders)
    time.sleep(3)  # what came twice would come now
    return _result(plan, parts, at_the_kill, time.monotonic() - began)


def _cards(parts: Parts) -> int:
    with reading(parts.engine) as db:
        return db.scalars(select(func.count()).select_from(RepCard)).one()


def _on_the_way(parts: Parts) -> int:
    with reading(parts.engine) as db:
        return db.scalars(select(func.count()).where(Enrolment.state == rounds.LIVE)).one()


def _leader(parts: Parts) -> int:
    with reading(parts.engine) as db:
        lease = db.scalars(select(Lease).where(Lease.name == LEADER)).one()
    return int(lease.owner.rpartition(":")[2])


def _wait(true_now: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not true_now():
        if time.monotonic() - started > PATIENCE_SECONDS:
            raise SystemExit(f"not within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.01)


def _result(plan: Plan, parts: Parts, at_the_kill: int, seconds: float) -> Result:
    with reading(parts.engine) as db:
        people = set(db.scalars(select(Enrolment.person_id)))
        cards = Counter(db.scalars(select(RepCard.person_id)))
        touches = Counter(db.scalars(select(Touch.person_id)))
        gifts = db.scalars(select(func.count()).where(PointsTxn.actor.startswith("journey:"))).one()
        undone = db.scalars(select(func.count()).where(StepRun.state != "done")).one()
        holds = proof.verify(db).holds
    double = [one for one in people if cards[one] > 1 or touches[one] > 1]
    lost = [one for one in people if not cards[one] or not touches[one]]
    result = Result()
    result.rows += [
        ("database", plan.database),
        ("schedulers", plan.processes),
        ("people whose points die", plan.reminders),
        ("cards when the leader was killed (kill -9)", at_the_kill),
        ("double", len(double)),
        ("lost", len(lost) + plan.reminders - len(people)),
        ("points given by the way", gifts),
        ("steps not done", undone),
        ("the books hold", str(holds)),
        ("all told after (s)", seconds),
    ]
    for trouble, what in ((double, "told twice"), (lost, "never told")):
        if trouble:
            result.problems.append(f"{what}: {sorted(trouble)[:5]}")
    if (len(people), gifts, undone, holds) != (plan.reminders, plan.reminders, 0, True):
        result.problems.append("somebody did not set out, or a step was taken twice or not at all")
    return result


def main(given: list[str]) -> int:
    """Read the command line, run, print."""
    reader = argparse.ArgumentParser(prog="python -m soak.points_reminders")
    reader.add_argument("--processes", type=int, default=2)
    reader.add_argument("--reminders", type=int, default=1000)
    reader.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    reader.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = reader.parse_args(given)
    if asked.serve:
        serve(asked.serve)
        return 0
    result = run(Plan(asked.database, asked.processes, asked.reminders))
    sys.stdout.write(table(result.rows, f"{asked.processes} schedulers on {asked.database}") + "\n")
    sys.stdout.write("".join(f"PROBLEM: {one}\n" for one in result.problems))
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

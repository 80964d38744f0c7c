"""How many awards and redemptions the books of points take a second, from 1 writer and from 8.

Reference: ``pgbench -N`` at scale 10 on the same PostgreSQL, as many clients: an UPDATE, a SELECT and an INSERT in one
transaction, written in C. Ours and the reference run in turn; 8 writers are two processes of four threads each, as
pgbench's are. On SQLite there is one writer at a time, whoever else waits, and no reference. At the end the books are
proved.
"""

import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, make_url, select

from benchmarks import databases
from benchmarks.databases import POSTGRESQL
from benchmarks.processes import CannotMeasure, Elsewhere
from benchmarks.report import held, ratio, show, spread
from benchmarks.shop import engine_to
from loyalty.ledger import earn, proof, spend
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from storage import schema
from storage.database import open_engine, reading, transaction, utc_now
from storage.tables import Person, PointsAccount
from storage.work import Work

CUSTOMERS = 10_000
WRITERS = ((1, 1), (2, 4))
"""Processes, and threads in each."""
LEAST = 0.15
SCALE = 10
PLENTY = 1_000_000
HEADS = ("database", "writers", "what", "a second", "pgbench -N", "ratio", f"≥ {LEAST}")
PROOF_HEADS = ("database", "transactions", "entries", "proved in", "holds")
RATE = re.compile(r"tps = ([\d.]+)")


@dataclass(frozen=True)
class Size:
    """How long it is measured."""

    rounds: int = 5
    seconds: float = 5.0


def run(quick: bool) -> None:
    """Measure on every database this machine has."""
    size, customers = (Size(1, 1), 200) if quick else (Size(), CUSTOMERS)
    print(f"{customers:,} customers; {size.rounds} rounds of {size.seconds:.0f} s each\n", flush=True)
    rows, proofs = [], []
    with tempfile.TemporaryDirectory(prefix="scrm-bench-") as name:
        for kind in databases.kinds():
            with filled(kind, Path(name), customers) as url, reference(kind) as beside:
                for processes, threads in WRITERS:
                    rows += measured(kind, url, beside, (processes, threads), size)
                proofs.append(proved(kind, url))
    show(HEADS, rows)
    show(PROOF_HEADS, proofs)


def measured(kind: str, url: str, beside: "Pgbench | None", writers: tuple[int, int], size: Size) -> list[list[str]]:
    """Rounds of awards, redemptions and the reference, in turn."""
    processes, threads = writers
    rates: dict[str, list[float]] = {one: [] for one in WORKS}
    theirs: list[float] = []
    for _ in range(size.rounds):
        for what in WORKS:
            rates[what].append(rate(url, what, writers, size.seconds))
        if beside is not None:
            theirs.append(beside.rate(processes * threads, processes, size.seconds))
    rows = []
    for what, ours in rates.items():
        share = ratio(ours, theirs) if theirs else None
        told = ("–", "–", "") if share is None else (spread(theirs), f"{share:.2f}", held(share >= LEAST))
        rows.append([kind, f"{processes * threads}", what, spread(ours), *told])
    return rows


def proved(kind: str, url: str) -> list[str]:
    """The books after all that."""
    started = time.monotonic()
    with engine_to(url) as engine, reading(engine) as db:
        found = proof.verify(db)
    seconds = f"{time.monotonic() - started:.1f} s"
    return [kind, f"{found.transactions:,}", f"{found.entries:,}", seconds, held(found.holds)]


# --- ours ------------------------------------------------------------------------------------------------------------


def _award(work: Work, account_id: int, once: str) -> None:
    grant = Grant(10, work.now, work.now + timedelta(days=365), "purchase", channel="bench")
    about = About("award", once, work.now, "bench", source=f"order:bench:{once}", request={"points": 10})
    earn.award(work, account_id, [grant], about)


def _redeem(work: Work, account_id: int, once: str) -> None:
    about = About("redeem", once, work.now, "bench", reason="till", request={"points": 5})
    spend.redeem(work, account_id, 5, about)


WORKS: dict[str, Callable[[Work, int, str], None]] = {"awards": _award, "redemptions": _redeem}


def rate(url: str, what: str, writers: tuple[int, int], seconds: float) -> float:
    """Transactions kept a second, by so many writers, each choosing customers by chance."""
    processes, threads = writers
    others = [Elsewhere(_process, url, what, threads, seed, seconds) for seed in range(processes)]
    return float(sum(chain.from_iterable(one.result() for one in others)))


def _process(url: str, what: str, threads: int, seed: int, seconds: float) -> list[float]:
    engine = open_engine(url)
    with reading(engine) as db:
        accounts = list(db.scalars(select(PointsAccount.id)))
    said: list[float] = []
    writers = [
        threading.Thread(target=_write, args=(engine, accounts, what, f"{seed}-{n}", seconds, said))
        for n in range(threads)
    ]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    engine.dispose()
    return said


def _write(engine: Engine, accounts: Sequence[int], what: str, name: str, seconds: float, said: list[float]) -> None:
    """Works until the time is over; appends how many a second."""
    chance, work, stem = random.Random(f"{name}{time.time()}"), WORKS[what], os.urandom(8).hex()
    done, started = 0, time.monotonic()
    while time.monotonic() - started < seconds:
        with transaction(engine) as db:
            work(Work(db, utc_now(), cause="benchmark"), chance.choice(accounts), f"{what}-{stem}-{done}")
        done += 1
    said.append(done / (time.monotonic() - started))


@contextmanager
def filled(kind: str, folder: Path, customers: int) -> Iterator[str]:
    """A database with this many customers, each with an account and plenty of points; its address."""
    with databases.empty(kind, folder) as url:
        schema.migrate(url)
        with engine_to(url) as engine:
            for first in range(0, customers, 1000):
                with transaction(engine) as db:
                    fill(db, range(first, min(customers, first + 1000)))
        yield url


def fill(db: Any, numbers: range) -> None:
    """These customers, rich."""
    now = utc_now()
    seen = {"first_seen_at": now, "last_seen_at": now, "gender": 0, "kind": 1, "owner_by_hand": False}
    db.execute(insert(Person), [{"id": n + 1, "name": f"p{n}", "opted_out": False, **seen} for n in numbers])
    db.execute(insert(PointsAccount), [{"id": n + 1, "person_id": n + 1, "made_at": now} for n in numbers])
    work = Work(db, now, cause="benchmark")
    for n in numbers:
        about = About("award", f"fill:{n}", now, "bench")
        earn.award(work, n + 1, [Grant(PLENTY, now, now + timedelta(days=300), "marketing")], about)


# --- the reference ---------------------------------------------------------------------------------------------------


class Pgbench:
    """PostgreSQL's own benchmark, in a database of its own on the same server."""

    def __init__(self, url: str) -> None:
        self.program = _found("pgbench")
        address = make_url(url)
        self.where = ["-h", address.host or "127.0.0.1", "-p", str(address.port or 5432), "-U", str(address.username)]
        self.name = str(address.database)
        self.secret = {"PGPASSWORD": str(address.password)} if address.password else {}
        self._run("-i", "-q", "-s", str(SCALE))

    def rate(self, clients: int, threads: int, seconds: float) -> float:
        """Transactions a second of ``-N``."""
        said = self._run("-N", "-c", str(clients), "-j", str(threads), "-T", str(max(1, round(seconds))))
        if (found := RATE.search(said)) is None:
            raise CannotMeasure(f"pgbench said: {said[-300:]}")
        return float(found[1])

    def _run(self, *arguments: str) -> str:
        command = [self.program, *arguments, *self.where, self.name]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.secret}, check=False)
        if done.returncode:
            raise CannotMeasure(f"pgbench: {done.stderr[-300:]}")
        return done.stdout


@contextmanager
def reference(kind: str) -> Iterator[Pgbench | None]:
    """pgbench where it has a meaning."""
    if kind != POSTGRESQL:
        yield None
        return
    with databases.empty(kind, Path()) as url:
        yield Pgbench(url)


def _found(program: str) -> str:
    places = [*sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True)]
    found = shutil.which(program) or next((str(one) for one in places), None)
    if found is None:
        raise CannotMeasure(f"{program} is not here; it comes with PostgreSQL's server packages")
    return found

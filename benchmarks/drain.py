"""How many events a second are handled to the end, by one worker process and by several.

Each event is the arrival of another customer without a welcome code: one read of the profile from the sandbox, then
person, relation, fact, interval and story in one transaction. Reference: the bare loop of the same reads, in as many
processes and threads. The sandbox's read takes a fixed time, given in the table.
"""

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import requests
from sqlalchemy import Engine, func, select, text

from benchmarks import databases, shop
from benchmarks.processes import Elsewhere, wait_until
from benchmarks.report import held, ratio, show, spread
from benchmarks.shop import Simulator
from bot.worker import EVENT_HANDS
from storage.database import utc_now
from storage.tables import InboxRow

READ = "externalcontact/get"
ROUNDS = 5
READY_SECONDS = 1.5
"""Until every worker is at work, not only the first."""
LATENCIES = (0.200, 0.030, 0.0)
"""As in ``welcome``, a short one, and none at all, which leaves our own work."""
TWO, FOUR = 1.4, 2.0
HEADS = ("database", "workers", "read takes", "events/s", "bare reads/s", "ratio", "against 1 worker")

Pairs = Sequence[tuple[str, str]]


def run(quick: bool) -> None:
    """Measure on every database this machine has."""
    each = 20 if quick else 150
    latencies = LATENCIES[:1] if quick else LATENCIES
    print(f"{ROUNDS} rounds of {each} events for each worker; {EVENT_HANDS} threads a process, reference too\n")
    with tempfile.TemporaryDirectory(prefix="scrm-bench-") as name, shop.simulator(Path(name)) as wecom:
        folder = Path(name)
        for kind in databases.kinds():
            with shop.opened(kind, folder, wecom) as (url, _):
                several = (1,) if kind == databases.SQLITE else (1, 2) if quick else (1, 2, 4)
                people = wecom.people((ROUNDS + 1) * len(latencies) * each * max(several))
                show(HEADS, _on(url, folder, wecom, people, several, latencies, each, kind))


def _on(
    url: str,
    folder: Path,
    wecom: Simulator,
    people: Pairs,
    several: Sequence[int],
    latencies: Sequence[float],
    each: int,
    kind: str,
) -> list[list[str]]:
    """Every number of workers on a copy of this database."""
    alone: dict[float, float] = {}
    rows = []
    for workers in several:
        measured = _workers(url, folder, wecom, people, workers, latencies, each)
        for latency, (ours, theirs) in measured.items():
            alone.setdefault(latency, median(ours))
            times = median(ours) / alone[latency]
            mark = {2: held(times >= TWO), 4: held(times >= FOUR)}.get(workers, "")
            figures = [spread(ours), spread(theirs), f"{ratio(ours, theirs):.2f}", f"{times:.2f} {mark}".strip()]
            rows.append([kind, str(workers), f"{latency * 1000:.0f} ms", *figures])
    return rows


def _workers(
    url: str, folder: Path, wecom: Simulator, people: Pairs, workers: int, latencies: Sequence[float], each: int
) -> dict[float, tuple[list[float], list[float]]]:
    """Rates of the workers and of the bare loop, by the time a read takes."""
    with databases.copied(url, folder) as copy, shop.engine_to(copy) as engine:
        config = shop.write_config(folder, copy, wecom.callback_port, wecom.address)
        with shop.parts_running("worker", [config] * workers, folder):
            left = iter(people)
            _drained(engine, [next(left) for _ in range(10 * workers)])
            time.sleep(READY_SECONDS)
            rates: dict[float, tuple[list[float], list[float]]] = {one: ([], []) for one in latencies}
            for _ in range(ROUNDS):
                for latency, (ours, theirs) in rates.items():
                    wecom.sandbox.act("faults", latency={READ: latency})
                    batch = [next(left) for _ in range(each * workers)]
                    ours.append(_drained(engine, batch))
                    theirs.append(_bare(wecom, batch, workers))
    return rates


def _drained(engine: Engine, people: Pairs) -> float:
    """Let one of each arrive, wait until all are done; events a second, first and last tenth left out."""
    first = shop.count(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE gate SET used = 0"))  # our pace for WeCom, which is not what is measured
    shop.preload(engine, shop.inbox_rows((shop.event("add_external_contact", *one) for one in people), utc_now()))
    wait_until(lambda: not shop.count(engine, "state IN ('waiting', 'taken')"), "the inbox", within=300, every=0.2)
    with engine.connect() as connection:
        done = [at for (at,) in connection.execute(select(InboxRow.done_at).order_by(InboxRow.done_at)) if at][first:]
        aside = connection.scalar(select(func.count()).where(InboxRow.state != "done"))
    if aside:
        raise RuntimeError(f"{aside} events were set aside")
    early, late = len(done) // 10, len(done) * 9 // 10
    return (late - early) / (done[late] - done[early]).total_seconds()


def _bare(wecom: Simulator, people: Pairs, processes: int) -> float:
    """The same reads and nothing else; how many a second."""
    token = wecom.token()
    shares = [people[n::processes] for n in range(processes)]
    spans = [one.result() for one in [Elsewhere(_read_all, wecom.address, token, share) for share in shares]]
    return len(people) / (max(end for _, end in spans) - min(start for start, _ in spans))


def _read_all(address: str, token: str, people: Pairs) -> tuple[float, float]:
    http = requests.Session()

    def read(pair: tuple[str, str]) -> None:
        query = {"external_userid": pair[1], "access_token": token}
        if http.get(f"{address}/cgi-bin/{READ}", params=query).json()["errcode"] != 0:
            raise RuntimeError(f"the sandbox does not know {pair[1]}")

    started = time.monotonic()
    with ThreadPoolExecutor(EVENT_HANDS) as hands:
        list(hands.map(read, people))
    return started, time.monotonic()

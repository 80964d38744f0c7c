"""How many callbacks a second are kept for good and acknowledged, and how long each takes.

Product: its web processes, nothing else of it running. Reference: the same number of bare Flask processes on the same
server and settings, which decrypt with wechatpy and keep nothing. Rounds of the two alternate.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from sqlalchemy import Engine

from benchmarks import databases, load, shop
from benchmarks.load import Volley
from benchmarks.processes import answers, elsewhere, free_port, running, wait_until, worked_seconds
from benchmarks.report import held, ms, percentile, ratio, show, spread
from storage import schema

ROUNDS = 5
CONNECTIONS = (4, 8, 16)
LEAST_SHARE, LONGEST = 0.5, 0.100
HEADS = (
    *("database", "web", "conns", "kept/s", "p50", "p99", "cpu each"),
    *("bare/s", "bare p50", "bare p99", "bare cpu", "ratio"),
)
PACED_HEADS = ("database", "web", "conns", "paced/s", "p50", "p99", "worst round p99", "bare p99", "p99 < 100 ms")


@dataclass
class Side:
    """The processes of one side, and where they listen."""

    ports: list[int]
    pids: list[int]


@dataclass
class Pair:
    """Product and reference, both listening, and the events that are still to be sent."""

    kind: str
    product: Side
    reference: Side
    engine: Engine
    sent: int = 0

    def events(self, count: int) -> list[bytes]:
        """The next events; none is ever sent to the product twice."""
        self.sent += count
        return shop.arrivals(count, first=self.sent - count)

    def kept(self) -> str:
        """Whether the inbox holds as many rows as were acknowledged."""
        rows, where = shop.count(self.engine), f"{self.kind}, {len(self.product.ports)} web"
        return f"{where}: {rows:,} rows for {self.sent:,} acknowledgements {held(rows == self.sent)}"


def run(quick: bool) -> None:
    """Measure on every database this machine has."""
    shots = 100 if quick else 1000
    print(f"{ROUNDS} rounds of {shots} events, each another customer; the load generator is one process more\n")
    closed, paced, kept = [], [], []
    for kind, processes in _setups():
        with tempfile.TemporaryDirectory(prefix="scrm-bench-") as folder, _pair(kind, processes, Path(folder)) as pair:
            rates = {}
            for connections in CONNECTIONS[:1] if quick else CONNECTIONS:
                row, rates[connections] = _closed(pair, connections, shots)
                closed.append(row)
            paced.append(_paced(pair, max(rates), rates[max(rates)] / 2, shots))
            kept.append(pair.kept())
    show(HEADS, closed)
    show(PACED_HEADS, paced)
    print("\n".join(kept))


def _setups() -> list[tuple[str, int]]:
    several = [(databases.POSTGRESQL, 1), (databases.POSTGRESQL, 2)]
    return [(databases.SQLITE, 1), *(several if databases.POSTGRESQL in databases.kinds() else [])]


@contextmanager
def _pair(kind: str, processes: int, folder: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        url = stack.enter_context(databases.empty(kind, folder))
        schema.migrate(url)
        ours, theirs = ([free_port() for _ in range(processes)] for _ in range(2))
        configs = [shop.write_config(folder, url, port) for port in ours]
        product = Side(ours, stack.enter_context(shop.parts_running("web", configs, folder)))
        bare = (running("-m", "benchmarks.bare", str(port), log=folder / "bare.log") for port in theirs)
        reference = Side(theirs, [stack.enter_context(one).pid for one in bare])
        for port in (*ours, *theirs):
            wait_until(partial(answers, f"http://127.0.0.1:{port}/healthz"), f"port {port}")
        pair = Pair(kind, product, reference, stack.enter_context(shop.engine_to(url)))
        _rounds(pair, 4, 50, None, 1)
        yield pair


def _rounds(
    pair: Pair, connections: int, shots: int, rate: float | None, rounds: int
) -> tuple[list[Volley], list[Volley]]:
    """Product and reference in turn."""
    ours, theirs = [], []
    for _ in range(rounds):
        events = pair.events(shots)
        ours.append(_round(pair.product, events, connections, rate))
        theirs.append(_round(pair.reference, events, connections, rate))
    return ours, theirs


def _round(side: Side, events: list[bytes], connections: int, rate: float | None) -> Volley:
    before = worked_seconds(side.pids)
    volley: Volley = elsewhere(load.fire, side.ports, events, connections, rate)
    volley.worked = worked_seconds(side.pids) - before
    if set(volley.statuses) != {200}:
        raise RuntimeError(f"answers other than 200: {dict(volley.statuses)}")
    return volley


def _closed(pair: Pair, connections: int, shots: int) -> tuple[list[str], float]:
    """As fast as they answer."""
    ours, theirs = _rounds(pair, connections, shots, None, ROUNDS)
    rates, bare = [one.per_second for one in ours], [one.per_second for one in theirs]
    share = ratio(rates, bare)
    row = [
        *_who(pair, connections),
        spread(rates),
        *_times(ours),
        _work(ours),
        spread(bare),
        *_times(theirs),
        _work(theirs),
        f"{share:.2f} {held(share >= LEAST_SHARE)}",
    ]
    return row, median(rates)


def _paced(pair: Pair, connections: int, rate: float, shots: int) -> list[str]:
    """At half of what the product can do."""
    ours, theirs = _rounds(pair, connections, shots, rate, ROUNDS)
    p99s = [percentile(one.times, 0.99) for one in ours]
    p50, p99 = _times(ours)
    return [
        *_who(pair, connections),
        f"{rate:,.0f}",
        p50,
        p99,
        ms(max(p99s)),
        _times(theirs)[1],
        held(median(p99s) < LONGEST),
    ]


def _who(pair: Pair, connections: int) -> list[str]:
    return [pair.kind, str(len(pair.product.ports)), str(connections)]


def _work(volleys: Sequence[Volley]) -> str:
    """Processor time a request took of the web processes, median over the rounds."""
    return f"{median(one.worked / len(one.times) for one in volleys) * 1000:.2f} ms"


def _times(volleys: Sequence[Volley]) -> tuple[str, str]:
    """Median over the rounds of p50 and p99."""
    p50, p99 = (ms(median(percentile(one.times, share) for one in volleys)) for share in (0.5, 0.99))
    return p50, p99

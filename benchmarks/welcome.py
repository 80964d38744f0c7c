"""How long after its callback a welcome reaches WeCom: idle, at 50 arrivals/s, and behind 100,000 other events.

Customers scan a channel code in the sandbox, which posts the callbacks itself; both times are the sandbox's: when it
began to post, and when the welcome was accepted. The welcome text holds ``{name}``, so each needs a read of the profile
first; a read takes 200 ms and one in fifty hangs. Reference: that read and a welcome call, made by hand meanwhile.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import requests
from sqlalchemy import Engine

from benchmarks import databases, load, shop
from benchmarks.processes import SCRM, CannotMeasure, Elsewhere, answers, elsewhere, running, wait_until
from benchmarks.report import held, ms, percentile, show
from benchmarks.shop import Simulator
from storage.database import utc_now

READ, SEND = "externalcontact/get", "externalcontact/send_welcome_msg"
READ_SECONDS, HANGS, HANG_SECONDS = 0.2, 0.02, 5.0
ROUNDS = 5
BURST = 50
BACKLOG, QUICK_BACKLOG = 100_000, 2_000
TARGET = 1.0
CODE_LIVES = 20.0
SCANNERS = 4
HEADS = (
    "database",
    "load",
    "welcomes",
    "p50",
    "p99",
    "worst round p99",
    "never sent",
    "others handled/s",
    "bare p50",
    "p50 ratio",
    "p99 < 1 s",
)


@dataclass
class Stage:
    """The product at work on one database, and its WeCom."""

    kind: str
    wecom: Simulator
    code: str
    engine: Engine
    known: str
    """A customer whom the reference asks about."""


@dataclass
class Phase:
    """What was seen under one load."""

    rounds: list[list[float]] = field(default_factory=list)
    """Seconds from callback to welcome; infinite for one that never came."""
    bare: list[float] = field(default_factory=list)
    others: float = 0.0
    """Events of the ordinary lane handled a second meanwhile."""


def run(quick: bool) -> None:
    """Measure on every database this machine has."""
    seconds, backlog = (1, QUICK_BACKLOG) if quick else (5, BACKLOG)
    print(
        f"{ROUNDS} rounds of {seconds} s each; a profile read takes {READ_SECONDS:.1f} s, "
        f"and {HANGS:.0%} of them {HANG_SECONDS:.0f} s more\n"
    )
    with tempfile.TemporaryDirectory(prefix="scrm-bench-") as name:
        folder = Path(name)
        for kind in databases.kinds():
            rows = []
            with shop.simulator(folder) as wecom, shop.opened(kind, folder, wecom) as (url, code):
                people = wecom.people(backlog // 5)
                with _stage(kind, folder, wecom, url, code, people, 0) as stage:
                    rows.append(_row(stage, "idle: 2/s", _phase(stage, 2, seconds)))
                    rows.append(_row(stage, f"{BURST}/s", _phase(stage, BURST, seconds)))
                with _stage(kind, folder, wecom, url, code, people, backlog) as stage:
                    rows.append(_row(stage, f"{BURST}/s, {backlog:,} others wait", _phase(stage, BURST, seconds)))
            show(HEADS, rows)


@contextmanager
def _stage(
    kind: str, folder: Path, wecom: Simulator, url: str, code: str, people: Sequence[tuple[str, str]], backlog: int
) -> Iterator[Stage]:
    """``scrm serve`` on a copy of the database, so many events already waiting in its ordinary lane."""
    wecom.sandbox.act("faults", latency={}, hang={})
    with databases.copied(url, folder) as copy, shop.engine_to(copy) as engine:
        edits = (shop.event("edit_external_contact", *people[n % len(people)], N=str(n)) for n in range(backlog))
        shop.preload(engine, shop.inbox_rows(edits, utc_now()))
        config = shop.write_config(folder, copy, wecom.callback_port, wecom.address)
        with running(*SCRM, "--log-level", "WARNING", "serve", "--config", str(config), log=folder / "serve.log"):
            wait_until(lambda: answers(f"http://127.0.0.1:{wecom.callback_port}/readyz"), "scrm serve")
            wecom.callbacks(on=True)
            stage = Stage(kind, wecom, code, engine, people[0][1])
            _welcomed(stage, 5, 5)
            wecom.sandbox.act("faults", latency={READ: READ_SECONDS}, hang={READ: [HANGS, HANG_SECONDS]})
            yield stage
            wecom.callbacks(on=False)
            wecom.sandbox.act("faults", latency={}, hang={})


def _phase(stage: Stage, rate: float, seconds: float) -> Phase:
    """All rounds under one load, the reference asking beside them."""
    phase, token = Phase(), stage.wecom.token()
    before, started = _handled(stage), time.monotonic()
    for _ in range(ROUNDS):
        asking = Elsewhere(_ask_by_hand, stage.wecom.address, token, stage.known, seconds)
        phase.rounds.append(_welcomed(stage, int(rate * seconds), rate))
        phase.bare += asking.result()
    phase.others = (_handled(stage) - before) / (time.monotonic() - started)
    return phase


def _welcomed(stage: Stage, count: int, rate: float) -> list[float]:
    """Let so many customers scan; the seconds each waited for the welcome."""
    before = stage.wecom.sandbox.view("counts")
    body = json.dumps({"config_id": stage.code, "name": "小雨"}).encode()
    scans = [load.post("/sandbox/scan", body, "application/json")] * count
    elsewhere(load.fire, [stage.wecom.port], scans, SCANNERS, rate)
    try:
        sent = lambda: stage.wecom.sandbox.view("counts")["welcomes"] - before["welcomes"]  # noqa: E731
        wait_until(lambda: sent() >= count, "the welcomes", within=CODE_LIVES + 1, every=0.2)
    except CannotMeasure:
        pass
    waits = _waits(stage.wecom, before["events"])
    return waits + [float("inf")] * (count - len(waits))


def _waits(wecom: Simulator, first_event: int) -> list[float]:
    """From the beginning of the callback to the welcome, for each arrival since this event."""
    limit = wecom.sandbox.view("counts")["events"] - first_event
    events = {one["id"]: one["fields"] for one in wecom.sandbox.view("events", limit=limit)}
    posted = {
        events[one["event_id"]]["ExternalUserID"]: one["tries"][0]["at"]
        for one in wecom.sandbox.view("deliveries", limit=limit)
        if events.get(one["event_id"], {}).get("ChangeType") == "add_external_contact" and one["tries"]
    }
    sent = {one["external_userid"]: one["at"] for one in wecom.sandbox.view("sent", limit=limit)}
    return [sent[one] - at for one, at in posted.items() if one in sent]


def _ask_by_hand(address: str, token: str, customer: str, seconds: float) -> list[float]:
    """Read a profile and call for a welcome (with a code that is none), about once a second."""
    http, times = requests.Session(), []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.monotonic()
        http.get(f"{address}/cgi-bin/{READ}", params={"access_token": token, "external_userid": customer}).json()
        body = {"welcome_code": "none", "text": {"content": "你好"}}
        http.post(f"{address}/cgi-bin/{SEND}", params={"access_token": token}, json=body).json()
        times.append(time.monotonic() - started)
        time.sleep(0.5)
    return times


def _handled(stage: Stage) -> int:
    return shop.count(stage.engine, "state = 'done'")


def _row(stage: Stage, under: str, phase: Phase) -> list[str]:
    every = [one for some in phase.rounds for one in some]
    p99s = [percentile(one, 0.99) for one in phase.rounds]
    p50, bare = percentile(every, 0.5), percentile(phase.bare, 0.5)
    never = every.count(float("inf"))
    return [
        stage.kind,
        under,
        f"{len(every) - never:,}",
        ms(p50),
        ms(median(p99s)),
        ms(max(p99s)),
        str(never),
        f"{phase.others:.0f}",
        ms(bare),
        f"{p50 / bare:.2f}",
        held(median(p99s) < TARGET),
    ]

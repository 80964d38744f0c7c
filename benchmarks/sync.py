"""How many relations a second a full comparison with WeCom gets through, and how much memory it takes.

Nothing differs, as on most nights. Reference: the bare loop of the same calls, which throws the answers away: the pages
of every rep's customers one after the other, then the profiles of those whose turn it is tonight (a seventh of the
people), four at a time. With calls that take no time what is left is our own work; 30 ms is a quick WeCom. Memory: PSS
of ``scrm sync``, its peak.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import requests
from sqlalchemy import select, text

from benchmarks import databases, shop
from benchmarks.processes import SCRM, elsewhere, weight_mb
from benchmarks.report import held, ratio, show, spread
from benchmarks.shop import Simulator
from bot.assembly import assemble
from bot.settings import load
from scheduler.comparing import HANDS
from scheduler.reconcile import Reconcile
from scheduler.reconcile_relations import NIGHTS, READ_ALL_BELOW
from scheduler.reconcile_report import PROFILES, RELATIONS
from storage.database import utc_now
from storage.tables import Relation

PAGES, PROFILE = "externalcontact/batch/get_by_user", "externalcontact/get"
ROUNDS = 5
REPS = 25
ENOUGH = 0.5
MOST_MB = 300
LATENCY = 0.030
HEADS = ("database", "what", "a call takes", "relations/s", "bare loop", "ratio", f"≥ {ENOUGH}")
WEIGHT_HEADS = ("database", "relations", "peak memory of scrm sync", f"< {MOST_MB} MB")


def run(quick: bool) -> None:
    """Measure on every database this machine has."""
    relations, many = (600, 1_000) if quick else (20_000, 50_000)
    print(f"{ROUNDS} rounds over {relations:,} relations of {REPS} reps, nothing of which differs\n")
    with tempfile.TemporaryDirectory(prefix="scrm-bench-") as name, shop.simulator(Path(name)) as wecom:
        folder = Path(name)
        wecom.sandbox.act("populate", relations=relations, members=REPS - 5)
        rates, weights = [], []
        for kind in databases.kinds():
            with shop.opened(kind, folder, wecom) as (url, _):
                rates += _rates(kind, folder, url, wecom, relations)
        show(HEADS, rates)
        wecom.sandbox.act("populate", relations=many - relations)
        for kind in databases.kinds():
            with shop.opened(kind, folder, wecom) as (url, _):
                weights.append(_weight(kind, folder, url, wecom))
        show(WEIGHT_HEADS, weights)


def _rates(kind: str, folder: Path, url: str, wecom: Simulator, relations: int) -> list[list[str]]:
    """Rounds of the product and of the bare loop, side by side."""
    config = shop.write_config(folder, url, wecom.callback_port, wecom.address)
    token, tonight = wecom.token(), _tonight(url)
    reps = [one["userid"] for one in wecom.sandbox.view("state")["members"] if one["status"] == 1]
    rounds = Rounds(relations)
    for _ in range(ROUNDS):
        with shop.engine_to(url) as engine, engine.begin() as connection:
            connection.execute(text("UPDATE gate SET used = 0"))  # our pace for WeCom, which is not what is measured
        took = elsewhere(_sync, config)
        pages = elsewhere(_page_all, wecom.address, token, reps)
        profiles = elsewhere(_read_all, wecom.address, token, tonight)
        rounds.add("everything", "0 ms", took[""], pages + profiles)
        rounds.add("pages alone", "0 ms", took[RELATIONS], pages)
        wecom.sandbox.act("faults", latency={PAGES: LATENCY})
        took = elsewhere(_sync, config, True)
        rounds.add("pages alone", "30 ms", took[RELATIONS], elsewhere(_page_all, wecom.address, token, reps))
        wecom.sandbox.act("faults", latency={})
    return rounds.rows(kind)


class Rounds:
    """Relations a second, ours and the bare loop's, by what was measured."""

    def __init__(self, relations: int) -> None:
        self._relations = relations
        self._rates: dict[tuple[str, str], tuple[list[float], list[float]]] = {}

    def add(self, what: str, latency: str, ours: float, bare: float) -> None:
        """A round of each, in seconds."""
        kept = self._rates.setdefault((what, latency), ([], []))
        kept[0].append(self._relations / ours)
        kept[1].append(self._relations / bare)

    def rows(self, kind: str) -> list[list[str]]:
        """As a table shows them; the target is about everything."""
        found = []
        for (what, latency), (ours, bare) in self._rates.items():
            mark = held(ratio(ours, bare) >= ENOUGH) if what == "everything" or latency != "0 ms" else ""
            found.append([kind, what, latency, spread(ours), spread(bare), f"{ratio(ours, bare):.2f}", mark])
        return found


def _tonight(url: str) -> list[str]:
    """Whose profile the comparison reads tonight."""
    with shop.engine_to(url) as engine, engine.connect() as connection:
        known = connection.execute(select(Relation.external_userid, Relation.person_id)).all()
    if len(known) <= READ_ALL_BELOW:
        return [external for external, _ in known]
    turn = utc_now().toordinal() % NIGHTS
    return [external for external, person_id in known if person_id % NIGHTS == turn]


def _sync(config: Path, pages_alone: bool = False) -> dict[str, float]:
    """Seconds the comparison took, by subject; all of it under no name. Only the pages: it stops after them."""
    parts = assemble(load(config))
    began: list[tuple[str, float]] = []

    def note(subject: str, done: int, _: int | None) -> None:
        if done == 0:
            began.append((subject, time.monotonic()))

    def enough() -> bool:
        return pages_alone and bool(began) and began[-1][0] == PROFILES

    comparison = Reconcile(parts.engine, parts.gateway, parts.clock, parts.zone, enough, show=note)
    started = time.monotonic()
    comparison.run(by="benchmark", dry=pages_alone)
    ended = time.monotonic()
    parts.close()
    took: dict[str, float] = {"": ended - started}
    for (subject, at), (_, following) in zip(began, [*began[1:], ("", ended)], strict=True):
        took[subject] = took.get(subject, 0.0) + following - at
    return took


def _page_all(address: str, token: str, reps: Sequence[str]) -> float:
    http = requests.Session()
    query = {"access_token": token}
    started = time.monotonic()
    for rep in reps:
        cursor = ""
        while True:
            body = {"userid_list": [rep], "cursor": cursor, "limit": 100}
            answer = http.post(f"{address}/cgi-bin/{PAGES}", params=query, json=body).json()
            cursor = answer.get("next_cursor", "")
            if not cursor:
                break
    return time.monotonic() - started


def _read_all(address: str, token: str, people: Sequence[str]) -> float:
    http = requests.Session()
    read = partial(_read, http, f"{address}/cgi-bin/{PROFILE}", token)
    started = time.monotonic()
    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(read, people))
    return time.monotonic() - started


def _read(http: requests.Session, address: str, token: str, external_userid: str) -> None:
    query = {"external_userid": external_userid, "access_token": token}
    if http.get(address, params=query).json()["errcode"] != 0:
        raise RuntimeError(f"the sandbox does not know {external_userid}")


def _weight(kind: str, folder: Path, url: str, wecom: Simulator) -> list[str]:
    """The peak of a whole ``scrm sync``, looked at every tenth of a second."""
    config = shop.write_config(folder, url, wecom.callback_port, wecom.address)
    command = [sys.executable, *SCRM, "--log-level", "WARNING", "sync", "--config", str(config)]
    peak = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            try:
                peak = max(peak, weight_mb(process.pid))
            except (FileNotFoundError, ProcessLookupError, IndexError):
                break
            time.sleep(0.1)
        said, complaints = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(complaints.decode()[-2000:])
    compared = re.search(r"customers: WeCom ([\d,]+), here [\d,]+: the same", said.decode())
    if compared is None:
        raise RuntimeError(f"not what was expected:\n{said.decode()}")
    return [kind, compared[1], f"{peak:.0f} MB", held(peak < MOST_MB)]

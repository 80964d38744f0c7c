"""How quickly ``scrm serve`` is there, and how much memory it holds: idle, and after some work.

Start: from the command to the first answered callback (the URL check). Memory: PSS of the whole family of processes.
Reference: the bare Flask process of the callback benchmark.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urljoin, urlsplit

import requests

from benchmarks import databases, load, shop
from benchmarks.processes import SCRM, elsewhere, free_port, running, wait_until, weight_mb
from benchmarks.report import held, show
from benchmarks.shop import Simulator
from storage import schema

ROUNDS = 5
START_SECONDS, IDLE_MB, WORKED_MB = 3.0, 150, 260
PAGES = 30
HEADS = ("measured", "scrm serve", "target", "", "bare Flask", "ratio")


def run(quick: bool) -> None:
    """Measure on SQLite, as in a small shop."""
    rest, events = (1, 50) if quick else (10, 500)
    with tempfile.TemporaryDirectory(prefix="scrm-bench-") as name, shop.simulator(Path(name)) as wecom:
        folder = Path(name)
        print(f"start: median of {ROUNDS}; memory: {rest} s after the start, and again after some work\n")
        migrated, first, bare = ([one(folder, wecom) for _ in range(ROUNDS)] for one in (_migrated, _first, _bare))
        rows = [
            _start_row("start, database ready", migrated, bare),
            _start_row("start, first ever", first, bare),
            *_memory_rows(folder, wecom, rest, events),
        ]
    show(HEADS, rows)


def _migrated(folder: Path, wecom: Simulator) -> float:
    with databases.empty(databases.SQLITE, folder) as url:
        schema.migrate(url)
        return _started(*_serve(folder, wecom, url), log=folder / "serve.log", port=wecom.callback_port)


def _first(folder: Path, wecom: Simulator) -> float:
    with databases.empty(databases.SQLITE, folder) as url:
        return _started(*_serve(folder, wecom, url), log=folder / "serve.log", port=wecom.callback_port)


def _bare(folder: Path, wecom: Simulator) -> float:
    port = free_port()
    return _started("-m", "benchmarks.bare", str(port), log=folder / "bare.log", port=port)


def _serve(folder: Path, wecom: Simulator, url: str) -> tuple[str, ...]:
    config = shop.write_config(folder, url, wecom.callback_port, wecom.address)
    return (*SCRM, "--log-level", "WARNING", "serve", "--config", str(config))


def _started(*command: str, log: Path, port: int) -> float:
    """Seconds from the command to the first right answer."""
    started = time.monotonic()
    with running(*command, log=log):
        _wait_for_callback(port)
        return time.monotonic() - started


def _wait_for_callback(port: int) -> None:
    query, echo = shop.url_check()

    def checked() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/wecom/callback", params=query, timeout=5).content == echo
        except requests.ConnectionError:
            return False

    wait_until(checked, "the callback", every=0.01)


def _start_row(what: str, ours: list[float], bare: list[float]) -> list[str]:
    took, reference = median(ours), median(bare)
    return [
        what,
        f"{took:.2f} s",
        f"< {START_SECONDS:.0f} s",
        held(took < START_SECONDS),
        f"{reference:.2f} s",
        f"{took / reference:.1f}",
    ]


def _memory_rows(folder: Path, wecom: Simulator, rest: float, events: int) -> list[list[str]]:
    bare_port = free_port()
    with (
        databases.empty(databases.SQLITE, folder) as url,
        _up(*_serve(folder, wecom, url), log=folder / "weighed.log", port=wecom.callback_port) as product,
        _up("-m", "benchmarks.bare", str(bare_port), log=folder / "bare.log", port=bare_port) as bare,
    ):
        time.sleep(rest)
        idle = [weight_mb(product.pid), weight_mb(bare.pid)]
        shots = shop.arrivals(events)
        for port in (wecom.callback_port, bare_port):
            elsewhere(load.fire, [port], shots, 8, None)
        pages = _look_around(f"http://127.0.0.1:{wecom.callback_port}", folder / "weighed.log")
        with shop.engine_to(url) as engine:
            wait_until(lambda: not shop.count(engine, "state IN ('waiting', 'taken')"), "the inbox", within=120)
        worked = [weight_mb(product.pid), weight_mb(bare.pid)]
    after = f"memory after {events} arrivals, {pages} pages"
    return [_memory_row("memory, idle", *idle, IDLE_MB), _memory_row(after, *worked, WORKED_MB)]


@contextmanager
def _up(*command: str, log: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    with running(*command, log=log) as process:
        _wait_for_callback(port)
        yield process


def _memory_row(what: str, ours: float, bare: float, target: int) -> list[str]:
    return [what, f"{ours:.0f} MB", f"≤ {target} MB", held(ours <= target), f"{bare:.0f} MB", f"{ours / bare:.1f}"]


def _look_around(address: str, log: Path) -> int:
    """Sign in with the first start's link and open the console's pages; how many there were."""
    browser = requests.Session()
    link = re.search(r"http://\S+/sign-in/link/\S+", log.read_text())
    if link is None:
        return 0
    page = browser.get(link[0])
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    browser.post(link[0], data={"csrf_token": token[1] if token else ""})
    seen, left = set[str](), ["/"]
    while left and len(seen) < PAGES:
        path = left.pop(0)
        seen.add(path)
        answer = browser.get(address + path)
        if answer.status_code >= 500:
            sys.stderr.write(f"{path} answered {answer.status_code}\n")
        left += [one for one in _links(answer, path) if one not in seen and one not in left]
    return len(seen)


def _links(answer: requests.Response, path: str) -> list[str]:
    """Pages of ours that this one leads to."""
    if "text/html" not in answer.headers.get("Content-Type", ""):
        return []
    found = (urljoin(path, one.replace("&amp;", "&")) for one in re.findall(r'<a [^>]*href="([^"#]+)"', answer.text))
    return [one for one in found if not urlsplit(one).netloc and one.startswith("/")]

"""Real processes: the product, the sandbox, a reference; started, watched, weighed, ended."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

SCRM = ("-c", "from bot.cli import main; main()")
PATIENCE_SECONDS = 30.0


class CannotMeasure(Exception):
    """Something did not come up or did not come to an end."""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(*arguments: str, log: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python process with these arguments while inside, in a group of its own; what it says goes to ``log``."""
    with log.open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=said,
            stderr=said,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "", **environment},  # as installed
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll():
            sys.stderr.write(f"{' '.join(arguments)} ended by itself:\n{log.read_text()[-2000:]}\n")
        process.terminate()
        try:
            process.wait(12)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(true: Callable[[], bool], what: str, within: float = PATIENCE_SECONDS, every: float = 0.05) -> float:
    """Look until it is so; how long it took. Raises ``CannotMeasure``."""
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > within:
            raise CannotMeasure(f"{what}: not within {within:.0f} s")
        time.sleep(every)
    return time.monotonic() - started


def answers(address: str) -> bool:
    """Whether something answers there without an error of its own."""
    try:
        return requests.get(address, timeout=2).status_code < 500
    except requests.RequestException:
        return False


class Elsewhere:
    """A function running in another process, so that it does not share our interpreter; ``result`` waits for it."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("fork")
        self._ear, mouth = context.Pipe(duplex=False)
        self._process = context.Process(target=_say, args=(mouth, function, arguments), daemon=True)
        self._process.start()
        mouth.close()

    def result(self) -> Any:
        """What the function gave. Raises ``EOFError`` when it failed."""
        said = self._ear.recv()
        self._process.join()
        return said


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in another process and wait for what it gives."""
    return Elsewhere(function, *arguments).result()


def _say(mouth: Any, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    mouth.send(function(*arguments))


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def worked_seconds(pids: Iterable[int]) -> float:
    """Processor time these processes have used so far: it says what a request costs even on a busy machine."""
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(one[11]) + int(one[12]) for one in stats) / os.sysconf("SC_CLK_TCK")


def weight_mb(pid: int) -> float:
    """Memory of a process and all below it, what they share counted once (PSS)."""
    rolls = (Path(f"/proc/{one}/smaps_rollup").read_text() for one in family(pid))
    return sum(int(roll.split("\nPss:")[1].split()[0]) for roll in rolls) / 1024

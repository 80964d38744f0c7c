"""The bell that wakes a worker: in one process, or between supervised processes.

Over machines it is ``postgres_bell`` or ``over_redis``, which are loaded only where they are used.

A bell may be missed: every listener looks by itself once a second anyway. It carries no work, only "look now", and in
which lane, if only one is meant.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import Protocol

TOPIC = "scrm_bell"
REST_SECONDS = 0.025


class Bell(Protocol):
    """Rings for every listener, wherever it runs."""

    def ring(self, lane: str = "") -> None:
        """Say that there is something to do (in this lane only). Never raises: the listener looks anyway."""

    def listen(self, wake: Callable[[str], None]) -> None:
        """Call ``wake`` with the lane at every ring from now on, from a thread of the bell's own."""


class LocalBell:
    """One process: ring and listener share memory."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[str], None]] = []

    def ring(self, lane: str = "") -> None:
        """Wake every listener of this process."""
        for wake in self._listeners:
            wake(lane)

    def listen(self, wake: Callable[[str], None]) -> None:
        """Remember whom to wake."""
        self._listeners.append(wake)


class PipeBell:
    """Processes under one supervisor: a line in a pipe for each listener, made before they were born."""

    def __init__(self, listeners: int = 1) -> None:
        self._pipes = [os.pipe() for _ in range(listeners)]
        for _, clapper in self._pipes:
            os.set_blocking(clapper, False)
        self._own = 0

    def heard_by(self, listener: int) -> "PipeBell":
        """The same bell in the hands of this listener (0, 1 …), who reads a pipe of its own."""
        same = copy(self)
        same._own = listener
        return same

    def ring(self, lane: str = "") -> None:
        """Put a line into each pipe; a full one has rung enough."""
        for _, clapper in self._pipes:
            with suppress(BlockingIOError):
                os.write(clapper, f"{lane}\n".encode())

    def listen(self, wake: Callable[[str], None]) -> None:
        """Wake at every line."""
        in_thread("bell", lambda: self._wait(wake))

    def _wait(self, wake: Callable[[str], None]) -> None:
        with os.fdopen(self._pipes[self._own][0], encoding="utf-8", closefd=False) as lines:
            for line in lines:
                wake(line.rstrip("\n"))


class Clapper:
    """Strikes a bell that is far away from a thread of its own, so that nobody who rings waits for the network.

    What is rung during a stroke and the short rest after it is struck once, however often it was rung.
    """

    def __init__(self, strike: Callable[[str], None]) -> None:
        self._strike = strike
        self._rung: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._alive = False

    def ring(self, lane: str) -> None:
        """Have this lane's bell struck. The thread is born at the first ring: before it the process may still fork."""
        with self._lock:
            self._rung.add(lane)
            if not self._alive:
                self._alive = True
                in_thread("clapper", self._run)
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                rung, self._rung = self._rung, set()
            for lane in rung:
                self._strike(lane)
            time.sleep(REST_SECONDS)


def in_thread(name: str, target: Callable[[], None]) -> None:
    """Run ``target`` in a daemon thread of this name."""
    threading.Thread(target=target, name=name, daemon=True).start()

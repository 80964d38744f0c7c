"""The bell that wakes a worker: in one process, or between supervised processes.

Over machines it is ``postgres_bell`` or ``over_redis``, which are loaded only where they are used.

A bell may be missed: every listener looks by itself once a second anyway. It carries no work, only "look now".
"""

import os
import select as readiness
import threading
from collections.abc import Callable
from typing import Protocol

TOPIC = "scrm_bell"


class Bell(Protocol):
    """Rings for every listener, wherever it runs."""

    def ring(self) -> None:
        """Say that there is something to do. Never raises: the listener looks anyway."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` at every ring from now on, from a thread of the bell's own."""


class LocalBell:
    """One process: ring and listener share memory."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def ring(self) -> None:
        """Wake every listener of this process."""
        for wake in self._listeners:
            wake()

    def listen(self, wake: Callable[[], None]) -> None:
        """Remember whom to wake."""
        self._listeners.append(wake)


class PipeBell:
    """Processes under one supervisor: a byte in a pipe that was made before they were born."""

    def __init__(self) -> None:
        self._ears, self._clapper = os.pipe()
        os.set_blocking(self._clapper, False)

    def ring(self) -> None:
        """Put a byte into the pipe; a full pipe has rung enough."""
        try:
            os.write(self._clapper, b"!")
        except BlockingIOError:
            return

    def listen(self, wake: Callable[[], None]) -> None:
        """Wake at every byte."""
        in_thread("bell", lambda: self._wait(wake))

    def _wait(self, wake: Callable[[], None]) -> None:
        while True:
            readiness.select([self._ears], [], [])
            os.read(self._ears, 4096)
            wake()


def in_thread(name: str, target: Callable[[], None]) -> None:
    """Run ``target`` in a daemon thread of this name."""
    threading.Thread(target=target, name=name, daemon=True).start()

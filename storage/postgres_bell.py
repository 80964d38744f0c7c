"""The bell over PostgreSQL: NOTIFY and LISTEN, on connections of their own. Loaded only where PostgreSQL is used."""

import time
from collections.abc import Callable

import psycopg

from storage.bell import TOPIC, Clapper, in_thread
from storage.database import ALIVE


class PostgresBell:
    """Any number of machines on one PostgreSQL: NOTIFY and LISTEN, on connections of their own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._line: psycopg.Connection | None = None
        self._clapper = Clapper(self._strike)

    def ring(self, lane: str = "") -> None:
        """Notify, soon."""
        self._clapper.ring(lane)

    def _strike(self, lane: str) -> None:
        """A broken line is dialled again at the next ring."""
        try:
            self._line = self._line or psycopg.connect(self._url, autocommit=True, **ALIVE)
            self._line.execute("SELECT pg_notify(%s, %s)", (TOPIC, lane))
        except psycopg.Error:
            self._line = None

    def listen(self, wake: Callable[[str], None]) -> None:
        """Listen on a line of our own, dialling again whenever it breaks."""
        in_thread("bell", lambda: self._wait(wake))

    def _wait(self, wake: Callable[[str], None]) -> None:
        while True:
            try:
                with psycopg.connect(self._url, autocommit=True, **ALIVE) as line:
                    line.execute(f"LISTEN {TOPIC}")
                    for said in line.notifies():
                        wake(said.payload)
            except psycopg.Error:
                time.sleep(1)

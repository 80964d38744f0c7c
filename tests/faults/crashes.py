"""A process that dies at a commit: just before it reaches the disk, or just after."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

FLOORS = ("scheduler", "handlers", "outreach", "tagging", "people")
HOUSE = Path(__file__).resolve().parents[2]


class Died(BaseException):
    """The process is gone. No ``except Exception`` may save it."""


class Reaper:
    """Counts commits over several engines, and kills at the one it is told to."""

    def __init__(self) -> None:
        self.commits = 0
        self.at: int | None = None
        self.before = True
        self.places: list[str] = []

    @contextmanager
    def watching(self, *engines: Engine) -> Iterator["Reaper"]:
        """Count the commits of these engines while inside."""
        kept = [(engine, engine.dialect.do_commit) for engine in engines]
        for engine, commit in kept:
            engine.dialect.do_commit = self._wrapped(commit)  # type: ignore[method-assign]
        try:
            yield self
        finally:
            for engine, commit in kept:
                engine.dialect.do_commit = commit  # type: ignore[method-assign]

    def _wrapped(self, commit: Any) -> Any:
        def do_commit(connection: Any) -> None:
            self.commits += 1
            self.places.append(_place())
            if self.commits == self.at and self.before:
                raise Died
            commit(connection)
            if self.commits == self.at:
                raise Died

        return do_commit


def _place() -> str:
    """Who opened the transaction that is being kept: the nearest of our functions that is not the storage's own."""
    frame = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(HOUSE) and path.relative_to(HOUSE).parts[0] in FLOORS:
            return f"{path.stem}.{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "elsewhere"

"""A process that dies at a commit: just before it reaches the disk, or just after."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine


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
            if self.commits == self.at and self.before:
                raise Died
            commit(connection)
            if self.commits == self.at:
                raise Died

        return do_commit

"""A file beside the one that is taken in: rows that were not taken, each with the reason."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from storage import sheets


class Listing:
    """It is there only if something stands in it. Use as a context."""

    def __init__(self, path: Path, name: str, head: Sequence[str]) -> None:
        self._path, self._head = path.with_name(f"{path.name}.{name}.csv"), head
        self._path.unlink(missing_ok=True)
        self._out: Any = None

    @property
    def written(self) -> Path | None:
        """The file, if it is there."""
        return self._path if self._out is not None else None

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write these rows."""
        for line in islice(sheets.lines(self._head, rows), 1, None):
            if self._out is None:
                self._out = self._path.open("w", encoding="utf-8", newline="")
                self._out.write(next(sheets.lines(self._head, [])))
            self._out.write(line)

    def __enter__(self) -> "Listing":
        return self

    def __exit__(self, *_: object) -> None:
        if self._out is not None:
            self._out.close()

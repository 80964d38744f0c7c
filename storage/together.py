"""Lets threads share a transaction: whoever comes while one runs shares the next. A commit costs more than its content.

The transaction is shared, the fate is not: when it fails, each of those who shared it is tried alone.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from storage.database import is_away

Item = TypeVar("Item")


class Abandoned(Exception):
    """The thread that was keeping this for us was ended in the middle of it."""


@dataclass
class _Slip(Generic[Item]):
    item: Item
    kept: bool = False
    error: Exception | None = None


class Together(Generic[Item]):
    """``keep`` is given everything that waits, and keeps it in one transaction or raises and keeps nothing.

    When the last transaction was shared by several, the next one waits ``gather`` seconds for more to come.
    """

    def __init__(self, keep: Callable[[Sequence[Item]], None], gather: float) -> None:
        self._keep, self._gather = keep, gather
        self._waiting: list[_Slip[Item]] = []
        self._busy = False
        self._pile = threading.Lock()
        self._desk = threading.Lock()

    def add(self, item: Item) -> None:
        """Return when ``item`` is kept; raise what hindered it. With the database away nobody is tried alone."""
        slip = _Slip(item)
        with self._pile:
            self._waiting.append(slip)
        with self._desk:
            if not slip.kept and slip.error is None:
                self._keep_all()
        if not slip.kept:
            raise slip.error or Abandoned

    def _keep_all(self) -> None:
        if self._busy:
            time.sleep(self._gather)
        slips = self._take_pile()
        if not slips:
            return
        self._busy = len(slips) > 1
        try:
            self._keep_each(slips)
        except Exception as error:  # noqa: BLE001  handed to those who wait for it
            if is_away(error):
                slips += self._take_pile()  # who came meanwhile has waited for the same
            for slip in slips:
                if is_away(error) or len(slips) == 1:
                    slip.error = error
                else:
                    self._keep_alone(slip)

    def _keep_alone(self, slip: _Slip[Item]) -> None:
        try:
            self._keep_each([slip])
        except Exception as error:  # noqa: BLE001  as above
            slip.error = error

    def _keep_each(self, slips: Sequence[_Slip[Item]]) -> None:
        self._keep([slip.item for slip in slips])
        for slip in slips:
            slip.kept = True

    def _take_pile(self) -> list[_Slip[Item]]:
        with self._pile:
            slips, self._waiting = self._waiting, []
        return slips

"""Lets threads share a transaction: whoever comes while one runs shares the next. A commit costs more than its content.

The transaction is shared, the fate is not: when it fails, each of those who shared it is tried alone.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from storage.database import is_away, is_crossed

Item = TypeVar("Item")


class Abandoned(Exception):
    """The thread that was keeping this for us was ended in the middle of it."""


class _Slip(Generic[Item]):
    """One item on the pile, and whoever waits for it."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.kept = False
        self.error: Exception | None = None
        self._call = threading.Lock()
        self._call.acquire()

    def wait(self) -> None:
        """Until ``call``: it is kept, or has failed, or it is our turn to keep the pile."""
        self._call.acquire()

    def call(self) -> None:
        """Wake whoever waits for it."""
        self._call.release()

    @property
    def settled(self) -> bool:
        """Whether its fate is known."""
        return self.kept or self.error is not None


class Together(Generic[Item]):
    """``keep`` is given everything that waits, and keeps it in one or raises. It may be given an item again then.

    The first who comes keeps the pile; who comes meanwhile waits, and one of them keeps the next. When the last
    transaction was shared by several, the next one waits ``gather`` seconds for more to come.
    """

    def __init__(self, keep: Callable[[Sequence[Item]], None], gather: float) -> None:
        self._keep, self._gather = keep, gather
        self._waiting: list[_Slip[Item]] = []
        self._somebody_keeps = False
        self._busy = False
        self._pile = threading.Lock()

    def add(self, item: Item) -> None:
        """Return when ``item`` is kept; raise what hindered it. With the database away nobody is tried alone."""
        slip = _Slip(item)
        with self._pile:
            self._waiting.append(slip)
            wait, self._somebody_keeps = self._somebody_keeps, True
        if wait:
            slip.wait()
        if not slip.settled:
            self._keep_pile()
        if slip.error is not None:
            raise slip.error

    def _keep_pile(self) -> None:
        if self._busy:
            time.sleep(self._gather)
        slips = self._take_pile()
        self._busy = len(slips) > 1
        try:
            self._keep_each(slips)
        except Exception as error:  # noqa: BLE001  handed to those who wait for it
            away = is_away(error) and not is_crossed(error)
            if away:
                slips += self._take_pile()  # who came meanwhile has waited for the same
            for slip in slips:
                if away or len(slips) == 1:
                    slip.error = error
                else:
                    self._keep_alone(slip)
        finally:
            self._call_all(slips)

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

    def _call_all(self, slips: Sequence[_Slip[Item]]) -> None:
        """Everybody whose fate is known, and the first of those who wait, who keeps the next pile."""
        with self._pile:
            following = self._waiting[:1]
            self._somebody_keeps = bool(following)
        for slip in slips:
            if not slip.settled:
                slip.error = Abandoned()
        for slip in (*following, *slips):
            slip.call()

"""Reading from WeCom without hurry: what passes (blocks, busy servers, broken lines) is waited out."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from wecom.errors import Misconfigured, TryLater

T = TypeVar("T")
TRIES = 30
"""Tries in a row for one answer before we give up until the next start."""


@dataclass(frozen=True)
class Patience:
    """Reads again and again; ``stopping`` is asked while it waits.

    Without ``waits_for_admins`` a refusal that only an admin can end (permission, secret) is raised at once.
    """

    stopping: Callable[[], bool]
    sleep: Callable[[float], None] = time.sleep
    waits_for_admins: bool = True

    def read(self, ask: Callable[[], T]) -> T:
        """What ``ask`` gives; raises ``TryLater`` when the trouble does not pass or we are told to stop."""
        for turn in range(1, TRIES + 1):
            try:
                return ask()
            except TryLater as error:
                hopeless = isinstance(error, Misconfigured) and not self.waits_for_admins
                if hopeless or turn == TRIES or self.stopping():
                    raise
                self.rest(error.wait.total_seconds() if error.wait else min(turn, 10))
        raise AssertionError("unreachable")

    def rest(self, seconds: float) -> None:
        """Sleep, but not past the moment at which we are told to stop."""
        left = seconds
        while left > 0 and not self.stopping():
            self.sleep(min(left, 1.0))
            left -= 1.0

"""What was asked of the API, remembered and counted.

Calls are kept up to a bound; the counts and the greatest number at one time are kept for ever, so a benchmark can
read them cheaply after a million calls.
"""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sandbox.facts import Json, LoggedCall

KEPT = 200_000


@dataclass(slots=True)
class Tally:
    """The counts of one endpoint."""

    calls: int = 0
    accepted: int = 0
    errcodes: Counter[int] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    inside_block: int = 0
    """Calls made while the endpoint was blocked by 45009: a good client makes few."""

    def as_json(self) -> Json:
        """For the admin API."""
        return {
            "calls": self.calls,
            "accepted": self.accepted,
            "errcodes": {str(code): count for code, count in self.errcodes.items()},
            "most_at_once": self.most_at_once,
            "inside_block": self.inside_block,
        }


class CallLog:
    """The bounded list of calls, and a tally for each endpoint."""

    def __init__(self, kept: int = KEPT) -> None:
        self.calls: deque[LoggedCall] = deque(maxlen=kept)
        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._lock = threading.Lock()

    @contextmanager
    def under_way(self, path: str) -> Iterator[int]:
        """Count a call as going on; gives how many go on with it."""
        with self._lock:
            tally = self._tallies[path]
            tally.at_once += 1
            tally.most_at_once = max(tally.most_at_once, tally.at_once)
            at_once = tally.at_once
        try:
            yield at_once
        finally:
            with self._lock:
                tally.at_once -= 1

    def add(self, call: LoggedCall) -> None:
        """Write a call down, and count it."""
        with self._lock:
            self.calls.append(call)
            tally = self._tallies[call.path]
            tally.calls += 1
            tally.accepted += call.accepted
            tally.errcodes[call.errcode] += 1

    def inside_block(self, path: str) -> None:
        """Count a call made although the endpoint is shut."""
        with self._lock:
            self._tallies[path].inside_block += 1

    def tally(self, path: str) -> Tally:
        """The counts of one endpoint."""
        return self._tallies[path]

    def to(self, path: str) -> list[LoggedCall]:
        """The calls to one endpoint, oldest first."""
        with self._lock:
            return [call for call in self.calls if call.path == path]

    def counts(self) -> dict[str, Json]:
        """The counts of every endpoint."""
        with self._lock:
            return {path: tally.as_json() for path, tally in sorted(self._tallies.items())}

    def clear(self) -> None:
        """Forget the calls and counts (not what is under way)."""
        with self._lock:
            self.calls.clear()
            for tally in self._tallies.values():
                tally.calls = tally.accepted = tally.inside_block = 0
                tally.most_at_once = tally.at_once
                tally.errcodes.clear()

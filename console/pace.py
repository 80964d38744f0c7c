"""How often one person may do a thing in this process: enough for hands, too little for a script."""

import threading
from collections import defaultdict, deque
from datetime import datetime, timedelta

from werkzeug.exceptions import TooManyRequests

KEYS = 10_000
"""So many are remembered before those that are over are let go of."""


class Pace:
    """At most ``most`` times in ``window`` for each key."""

    def __init__(self, most: int, window: timedelta) -> None:
        self._most, self._window = most, window
        self._times: dict[object, deque[datetime]] = defaultdict(deque)
        self._lock = threading.Lock()

    def step(self, key: object, now: datetime) -> None:
        """Count one; raises ``TooManyRequests`` with the wait in it when it is one too many."""
        with self._lock:
            self._forget(now)
            times = self._times[key]
            while times and now - times[0] >= self._window:
                times.popleft()
            if len(times) >= self._most:
                wait = times[0] + self._window - now
                raise TooManyRequests(retry_after=int(wait.total_seconds()) + 1)
            times.append(now)

    def _forget(self, now: datetime) -> None:
        """Let go of keys that are over: at public doors there is no end of them."""
        if len(self._times) > KEYS:
            living = {one: times for one, times in self._times.items() if times and now - times[-1] < self._window}
            self._times = defaultdict(deque, living)

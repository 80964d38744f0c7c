"""How often one key may ask: a token bucket for each, so that one client cannot starve another.

The buckets live in the web process; with several web processes each has its own.
"""

import threading
from dataclasses import dataclass
from datetime import datetime
from math import ceil

PER_MINUTE = 600
"""A key may ask so often at once, and so often a minute in the long run."""


@dataclass
class _Bucket:
    left: float
    at: datetime


class Rate:
    """Tokens come back evenly; a request takes one."""

    def __init__(self, per_minute: int = PER_MINUTE) -> None:
        self.per_minute = per_minute
        self._buckets: dict[int, _Bucket] = {}
        self._lock = threading.Lock()

    def wait(self, key_id: int, now: datetime) -> int:
        """Take a token: 0, or how many whole seconds to wait for the next one."""
        with self._lock:
            bucket = self._buckets.setdefault(key_id, _Bucket(self.per_minute, now))
            came_back = max(0.0, (now - bucket.at).total_seconds()) * self.per_minute / 60
            bucket.left, bucket.at = min(float(self.per_minute), bucket.left + came_back), now
            if bucket.left >= 1:
                bucket.left -= 1
                return 0
            return max(1, ceil((1 - bucket.left) * 60 / self.per_minute))

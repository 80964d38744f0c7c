"""Keeps us below WeCom's limits: so many calls a minute for each API, and none at all while an API is blocked.

WeCom allows 10,000 calls a minute for each API of a corp and answers 45009 beyond, for the rest of the window. Permits
are drawn in handfuls from a ledger that all processes share; a block is posted there for everybody.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol

from wecom.errors import Blocked

PER_MINUTE = 9000
HANDFUL = 100
BLOCK = timedelta(seconds=61)
LOOK_AGAIN = timedelta(seconds=1)
PULL_WITHOUT_TOKEN = "kf/sync_msg without token"  # noqa: S105  # no secret: what such pulls are counted under  # nosec B105
FEWER: Mapping[str, int] = MappingProxyType({PULL_WITHOUT_TOKEN: 10, "get_jsapi_ticket": 6, "ticket/get": 2})
"""Calls a minute where WeCom allows far fewer: 400 corp tickets and 100 app tickets an hour (wecom.md §4.2).

Two app tickets a minute are one and its repetition with a new token. How many pulls without a callback's token it
allows, WeCom does not say.
"""


class Ledger(Protocol):
    """Where all processes draw their permits and post blocks."""

    def draw(self, api: str, wanted: int, per_minute: int, now: datetime) -> tuple[int, datetime | None]:
        """Permits granted for this minute, and until when the API is blocked."""

    def block(self, api: str, until: datetime) -> None:
        """Post a block."""

    def blocks(self, now: datetime) -> dict[str, datetime]:
        """Every block that still holds."""


class Pacing:
    """Asked before every call."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], per_minute: int = PER_MINUTE) -> None:
        self._ledger, self._clock, self._per_minute = ledger, clock, per_minute
        self._lock = threading.Lock()
        self._permits: dict[str, tuple[datetime, int]] = {}
        self._blocks: dict[str, datetime] = {}
        self._looked_at: datetime | None = None

    def enter(self, api: str) -> None:
        """Use one permit; raises ``Blocked`` when there is none this minute or WeCom has blocked the API."""
        now = self._clock()
        with self._lock:
            self._look_for_blocks(now)
            until = self._blocks.get(api)
            if until is not None and until > now:
                raise Blocked(api, until, now)
            self._use_permit(api, now)

    def block(self, api: str) -> Blocked:
        """WeCom said 45009: post it, and give the error to raise."""
        now = self._clock()
        until = now + BLOCK
        with self._lock:
            self._blocks[api] = until
        self._ledger.block(api, until)
        return Blocked(api, until, now)

    def _look_for_blocks(self, now: datetime) -> None:
        if self._looked_at is None or abs(now - self._looked_at) >= LOOK_AGAIN:
            self._blocks = {**self._ledger.blocks(now), **{a: t for a, t in self._blocks.items() if t > now}}
            self._looked_at = now

    def _use_permit(self, api: str, now: datetime) -> None:
        minute = now.replace(second=0, microsecond=0)
        drawn_for, left = self._permits.get(api, (minute, 0))
        if drawn_for != minute or left == 0:
            left, until = self._ledger.draw(api, HANDFUL, FEWER.get(api, self._per_minute), now)
            if until is not None and until > now:
                self._blocks[api] = until
                raise Blocked(api, until, now)
            if left == 0:
                raise Blocked(api, minute + timedelta(minutes=1), now)
        self._permits[api] = (minute, left - 1)

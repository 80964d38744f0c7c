"""What processes share besides the work itself: access tokens, blocks and the pace of each API.

In the database by default; with Redis configured the tokens live there. Losing either costs a few extra calls, never
work. Tokens are encrypted wherever they lie, with a key derived from ``web.secret_key``.
"""

import base64
import hashlib
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Engine, delete, select

from storage import leases
from storage.database import Clock, reading, transaction
from storage.rows import upsert
from storage.tables import Gate, Sealed

REFRESH_LEASE = timedelta(seconds=12)
REFRESH_PATIENCE_SECONDS = 10.0
HELD = timedelta(seconds=30)
"""So long a token is used without looking whether it is still the shared one; WeCom says when it is not."""


def cipher_from(secret_key: str) -> Fernet:
    """A cipher for secrets at rest, derived from the one key the operator keeps."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"wecom-scrm sealed:" + secret_key.encode()).digest()))


class DatabaseTokens:
    """Tokens in the ``sealed`` table."""

    def __init__(self, engine: Engine, cipher: Fernet, clock: Clock) -> None:
        self._engine, self._cipher, self._clock = engine, cipher, clock
        self._fetching: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._held: dict[str, tuple[str, datetime, datetime]] = {}

    def get(self, name: str) -> str | None:
        """The living token of this name; one sealed with another key counts as none."""
        now = self._clock()
        if name in self._held:
            token, since, until = self._held[name]
            if since <= now < until:
                return token
        with reading(self._engine) as db:
            row = db.execute(select(Sealed.value, Sealed.expires_at).where(Sealed.name == name)).one_or_none()
        found = unseal(self._cipher, row.value) if row is not None and row.expires_at > now else None
        if row is not None and found is not None:
            self._held[name] = found, now, min(row.expires_at, now + HELD)
        return found

    def put(self, name: str, token: str, seconds: float) -> None:
        """Share a token that lives ``seconds`` more."""
        row = {
            "name": name,
            "value": self._cipher.encrypt(token.encode()),
            "expires_at": self._clock() + timedelta(seconds=seconds),
        }
        with transaction(self._engine) as db:
            upsert(db, Sealed, [row], ["name"], ["value", "expires_at"])

    @contextmanager
    def one_at_a_time(self, name: str) -> Iterator[None]:
        """Hold a lease row while fetching; after ten seconds of waiting go on regardless: two fetches do no harm.

        The lease is the process's; among its threads a lock decides.
        """
        deadline = time.monotonic() + REFRESH_PATIENCE_SECONDS
        with self._fetching[name]:
            while not self._take(name) and time.monotonic() < deadline:
                time.sleep(0.05)
            self._held.pop(name, None)
            try:
                yield
            finally:
                with transaction(self._engine) as db:
                    leases.release(db, f"token:{name}", self._me(), utc_wall())

    def _me(self) -> str:
        """Another name in each process: this object may have been made before a fork."""
        return f"{socket.gethostname()}:{os.getpid()}:{id(self)}"

    def _take(self, name: str) -> bool:
        with transaction(self._engine) as db:
            return leases.take(db, f"token:{name}", self._me(), REFRESH_LEASE, utc_wall()) is not None


def unseal(cipher: Fernet, value: bytes | None) -> str | None:
    """What was sealed; None when there is nothing, or it was sealed with another key."""
    if value is None:
        return None
    try:
        return cipher.decrypt(value).decode()
    except InvalidToken:
        return None


def utc_wall() -> datetime:
    """Wall time for leases between processes, which must not follow a simulated clock."""
    return datetime.now(UTC)


class GateLedger:
    """The pace of each API over all processes: permits are drawn in handfuls, blocks are posted for everybody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def draw(self, api: str, wanted: int, per_minute: int, now: datetime) -> tuple[int, datetime | None]:
        """Draw up to ``wanted`` permits for this minute; how many were there, and until when the API is blocked."""
        minute = now.replace(second=0, microsecond=0)
        with transaction(self._engine) as db:
            upsert(db, Gate, [{"api": api, "used": 0}], ["api"], ["api"])
            gate = db.scalars(select(Gate).where(Gate.api == api).with_for_update()).one()
            if gate.minute != minute:
                gate.minute, gate.used = minute, 0
            granted = max(0, min(wanted, per_minute - gate.used))
            gate.used += granted
            return granted, gate.blocked_until

    def block(self, api: str, until: datetime) -> None:
        """Post a block (45009): no process calls this API before ``until``."""
        with transaction(self._engine) as db:
            upsert(db, Gate, [{"api": api, "used": 0, "blocked_until": until}], ["api"], ["blocked_until"])

    def blocks(self, now: datetime) -> dict[str, datetime]:
        """Every block that still holds."""
        with reading(self._engine) as db:
            found = db.execute(select(Gate.api, Gate.blocked_until).where(Gate.blocked_until > now))
            return {api: until for api, until in found if until is not None}


def forget_expired(engine: Engine, now: datetime) -> None:
    """Remove dead tokens."""
    with transaction(engine) as db:
        db.execute(delete(Sealed).where(Sealed.expires_at < now))

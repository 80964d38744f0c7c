"""The first answer to a request that creates something, kept under the caller's Idempotency-Key to be given again.

A request claims its key before it does anything. A claim without an answer means that it is running, or that its
process died: then after a minute another request may take it over, and the first one, should it still live, finds its
claim gone and undoes its work. What a request has begun outside the database it notes on the claim, to be completed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Update, delete, select, update
from sqlalchemy.orm import Session

from storage.database import changed_rows
from storage.rows import insert_new
from storage.tables import IdempotentAnswer

STALE = timedelta(minutes=1)
KEPT = timedelta(hours=48)


class OtherRequest(Exception):
    """The key was used for another request."""


class StillRunning(Exception):
    """The first request with this key has not ended, or its claim was taken over by another."""


@dataclass(frozen=True)
class Claim:
    """The right to answer for a key. ``begun`` is what an interrupted request had begun."""

    id: int
    taken_at: datetime
    begun: str | None = None


@dataclass(frozen=True)
class Kept:
    """An answer given before."""

    status: int
    body: str


def claim(db: Session, api_key_id: int, key: str, digest: str, now: datetime) -> Claim | Kept:
    """Claim the key for this request, or find its answer. Raises ``OtherRequest`` and ``StillRunning``."""
    row = {"api_key_id": api_key_id, "key": key, "request_digest": digest, "created_at": now}
    ids = insert_new(db, IdempotentAnswer, [row], ["api_key_id", "key"])
    if ids:
        return Claim(ids[0], now)
    own = select(IdempotentAnswer).where(IdempotentAnswer.api_key_id == api_key_id, IdempotentAnswer.key == key)
    known = db.scalars(own.with_for_update()).one_or_none()
    if known is None:
        raise StillRunning
    if known.request_digest != digest:
        raise OtherRequest
    if known.status is not None:
        return Kept(known.status, known.body or "")
    if now - known.created_at < STALE:
        raise StillRunning
    known.created_at = now
    return Claim(known.id, now, known.body)


def keep(db: Session, held: Claim, status: int, body: str) -> None:
    """Keep the answer, best in the transaction of its effects. Raises ``StillRunning`` when taken over."""
    if not changed_rows(db, _own(held).values(status=status, body=body)):
        raise StillRunning


def note(db: Session, held: Claim, begun: str) -> None:
    """Write down what was begun, for whoever must complete it. Raises ``StillRunning`` when taken over."""
    if not changed_rows(db, _own(held).values(body=begun)):
        raise StillRunning


def release(db: Session, held: Claim) -> None:
    """The request failed: the key is free again, at once. What it had begun stays noted."""
    mine = (IdempotentAnswer.id == held.id, IdempotentAnswer.created_at == held.taken_at)
    db.execute(
        delete(IdempotentAnswer).where(*mine, IdempotentAnswer.status.is_(None), IdempotentAnswer.body.is_(None))
    )
    db.execute(_own(held).values(created_at=held.taken_at - STALE))


def _own(held: Claim) -> Update:
    return update(IdempotentAnswer).where(
        IdempotentAnswer.id == held.id,
        IdempotentAnswer.created_at == held.taken_at,
        IdempotentAnswer.status.is_(None),
    )


def forget_old(db: Session, now: datetime) -> int:
    """Remove answers that nobody will ask for any more; how many there were."""
    return changed_rows(db, delete(IdempotentAnswer).where(IdempotentAnswer.created_at < now - KEPT))

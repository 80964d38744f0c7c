"""Who may do what only one process should do: a lease row with an end and an epoch, alike on both databases.

A lease is economy, not correctness: keys and fences guard the rows themselves. (An advisory lock of PostgreSQL does
not notice a leader that hangs; a lease does, when it runs out.)
"""

from datetime import datetime, timedelta

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from storage.database import changed_rows
from storage.rows import insert_new
from storage.tables import Lease


def take(db: Session, name: str, owner: str, length: timedelta, now: datetime) -> int | None:
    """Take or keep the lease until ``now + length``; its epoch, or None while another owner has it.

    The epoch grows when the owner changes, so that an old owner that wakes up can be told apart.
    """
    row = {"name": name, "owner": owner, "until": now + length, "epoch": 1}
    if insert_new(db, Lease, [row], ["name"], returning="name"):
        return 1
    kept = update(Lease).where(Lease.name == name, Lease.owner == owner).values(until=now + length)
    won = update(Lease).where(Lease.name == name, Lease.until < now)
    won = won.values(owner=owner, until=now + length, epoch=Lease.epoch + 1)
    if changed_rows(db, kept) or changed_rows(db, won):
        lease = db.get(Lease, name, populate_existing=True)
        return lease.epoch if lease else None
    return None


def release(db: Session, name: str, owner: str, now: datetime) -> None:
    """Let go at once, so that the next owner need not wait for the lease to run out."""
    mine = update(Lease).where(Lease.name == name, or_(Lease.owner == owner, Lease.until < now))
    changed_rows(db, mine.values(until=now - timedelta(seconds=1)))

"""Who did what, when and from where: rows that only ever grow, each carrying the hash of the one before.

The database refuses UPDATE and DELETE (triggers in the migration); ``verify`` finds a row taken out behind its back.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.rows import insert_new
from storage.tables import AuditRow, Gate

FIRST = "0" * 64


def note(
    db: Session,
    *,
    actor: str,
    action: str,
    subject: str = "",
    details: Mapping[str, Any] | None = None,
    address: str = "",
    at: datetime,
) -> None:
    """Add one line. ``action`` is ``thing.verb`` such as ``channel.create``; ``details`` must hold no secret."""
    insert_new(db, Gate, [{"api": "audit", "used": 0}], ["api"], returning="api")
    db.execute(select(Gate.api).where(Gate.api == "audit").with_for_update())
    before = db.scalar(select(AuditRow.hash).order_by(AuditRow.id.desc()).limit(1)) or FIRST
    row = AuditRow(
        at=at,
        actor=actor[:100],
        action=action,
        subject=subject[:200],
        details=dict(details or {}),
        address=address[:64],
        before_hash=before,
    )
    row.hash = _hash(row)
    db.add(row)
    db.flush()


def verify(db: Session) -> list[str]:
    """Walk the chain; every break is one sentence. An empty list means that nothing was taken out or changed."""
    problems, before = [], FIRST
    for row in db.scalars(select(AuditRow).order_by(AuditRow.id).execution_options(yield_per=1000)):
        if row.before_hash != before:
            problems.append(f"a row is missing before audit row {row.id}")
        if row.hash != _hash(row):
            problems.append(f"audit row {row.id} was changed after it was written")
        before = row.hash
    return problems


def _hash(row: AuditRow) -> str:
    line = [row.before_hash, row.at.isoformat(), row.actor, row.action, row.subject, row.details, row.address]
    return hashlib.sha256(json.dumps(line, ensure_ascii=False, sort_keys=True).encode()).hexdigest()

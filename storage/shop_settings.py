"""What the shop has set in the console, by name; whoever reads it knows the default."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from storage.rows import upsert
from storage.tables import Setting


def read(db: Session, name: str, *, hold: bool = False) -> dict[str, Any]:
    """What is set under this name; empty when nothing is. ``hold``: nobody else changes it until this ends."""
    found = db.get(Setting, name, with_for_update=hold or None, populate_existing=hold)
    return dict(found.value) if found is not None else {}


def keep(db: Session, name: str, value: Mapping[str, Any], *, by: str, at: datetime) -> None:
    """Set it."""
    row = {"name": name, "value": dict(value), "changed_by": by, "changed_at": at}
    upsert(db, Setting, [row], ["name"], ["value", "changed_by", "changed_at"])

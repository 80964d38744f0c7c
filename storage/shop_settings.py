"""What the shop has set in the console, by name; whoever reads it knows the default."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from storage.database import upsert
from storage.tables import Setting


def read(db: Session, name: str) -> dict[str, Any]:
    """What is set under this name; empty when nothing is."""
    found = db.get(Setting, name)
    return dict(found.value) if found is not None else {}


def keep(db: Session, name: str, value: Mapping[str, Any], *, by: str, at: datetime) -> None:
    """Set it."""
    row = {"name": name, "value": dict(value), "changed_by": by, "changed_at": at}
    upsert(db, Setting, [row], ["name"], ["value", "changed_by", "changed_at"])

"""How a box (inbox or outbox) stands."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session


@dataclass(frozen=True)
class Health:
    """Rows by state, how many are still open, and since when the oldest of those waits."""

    counts: dict[str, int]
    open: int
    oldest_waiting: datetime | None


def count(
    db: Session,
    state: InstrumentedAttribute[str],
    since: InstrumentedAttribute[datetime],
    open_states: Collection[str],
) -> Health:
    """Count a box by its state column; ``since`` is when a row came in."""
    counts = dict(db.execute(select(state, func.count()).group_by(state)).all())
    oldest = db.scalar(select(func.min(since)).where(state.in_(open_states)))
    return Health(counts, sum(counts.get(one, 0) for one in open_states), oldest)

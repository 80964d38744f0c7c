"""Jobs that keep what is known about people: where they are in the life cycle, where from, how many in a segment."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from insight import lifecycle, segments
from insight.lifecycle import Moment
from people import regions
from storage.database import reading, transaction
from storage.work import Work

PORTION = 1000
"""So many people are looked at in one question and changed in one transaction."""

Stopping = Callable[[], bool]


def settle_life_cycles(
    engine: Engine, work: Callable[[Session], Work], stopping: Stopping, *, only_new: bool = False
) -> tuple[int, int]:
    """Look at everybody (or at those of whom nothing was said yet); how many were looked at, how many moved."""
    seen = moved = last = 0
    while not stopping():
        with reading(engine) as db:
            begun = work(db)
            people = lifecycle.portion(db, last, PORTION, only_new=only_new)
            found = _changes(db, people, begun.now, begun.zone) if people else []
        if not people:
            break
        if found:
            with transaction(engine) as db:
                moved += lifecycle.keep(work(db), found)
        seen, last = seen + len(people), people[-1]
    return seen, moved


def _changes(db: Session, people: list[int], now: datetime, zone: ZoneInfo) -> list[lifecycle.Change]:
    return lifecycle.changes_of(db, people, Moment(lifecycle.rules(db), now, zone))


def know_regions(engine: Engine, stopping: Stopping) -> int:
    """Find out where new phone numbers are from; how many."""
    count = 0
    while not stopping():
        with transaction(engine) as db:
            turn = regions.keep(db, PORTION)
        count += turn
        if turn < PORTION:
            break
    return count


def measure_segments(engine: Engine, work: Callable[[Session], Work], stopping: Stopping) -> int:
    """Count every live segment anew; how many there are."""
    with reading(engine) as db:
        found, _ = segments.listed(db, limit=segments.MAX_SEGMENTS)
        asked = [(one.id, segments.members(one, segments.question(db, work(db).now, work(db).zone)))
                 for one in found if one.kind == segments.LIVE]  # fmt: skip
    for segment_id, members in asked:
        if stopping():
            break
        with reading(engine) as db:
            size = segments.count(db, members)
        with transaction(engine) as db:
            segments.measured(work(db), segment_id, size)
    return len(asked)

"""How far journeys have read the story of everybody, so that each line counts, and counts once.

Before: whatever writes an ``Interaction``. After: ``entries.read_story``, which may read a line twice, never none.
"""

from dataclasses import dataclass, replace

from sqlalchemy import func, select, text

from storage.rows import upsert
from storage.tables import Interaction, Progress
from storage.work import Work

PROGRESS = "journeys: story"
MARK_EVERY = 30.0
"""Seconds between two places that are remembered while a long transaction is open."""
OLDEST_WRITER = text(
    "SELECT extract(epoch FROM clock_timestamp()), extract(epoch FROM coalesce(min(xact_start), clock_timestamp())) "
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
"""The database's own clock, and when the oldest transaction still open there began."""


@dataclass(frozen=True)
class Read:
    """How far the story was read: up to which line, and after which line the next reading begins.

    On PostgreSQL a line with a smaller id may appear after a bigger one was read: its writer took the id early and
    committed late. A writer takes its ids after it began, so whatever a reading cannot see yet lies behind the line at
    which the story ended when the oldest transaction open before that reading began. From there on the next one reads
    again: whoever set out does not do so twice; whoever could not, and can now, does. SQLite has one writer at a time:
    ids appear in order, nothing is read again.
    """

    line: int
    again: int
    marks: tuple[tuple[float, int], ...] = ()
    """Where the story ended at some moments before (seconds of the database's clock, and the line), oldest first."""


def read_to(work: Work) -> Read:
    """How far it was read; the first time, everything that was before is left alone."""
    known = work.db.get(Progress, PROGRESS)
    if known is None:
        newest = work.db.scalar(select(func.max(Interaction.id))) or 0
        return keep_read(work, newest, Read(newest, newest))
    marks = tuple((float(at), int(line)) for at, line in known.at["marks"])
    return Read(int(known.at["line"]), int(known.at["again"]), marks)


def begin_reading(work: Work) -> tuple[int, Read]:
    """The line after which a reading begins, and how far things stand, for ``keep_read``.

    Call it in a transaction that ends before the first line is read.
    """
    known = read_to(work)
    if _in_order(work):
        return known.again, known
    _, oldest = _clock(work)
    older = [one for one in known.marks if one[0] <= oldest][-1:]
    newer = [one for one in known.marks if one[0] > oldest]
    return known.again, replace(known, again=older[0][1] if older else known.again, marks=(*older, *newer))


def keep_read(work: Work, line: int, begun: Read) -> Read:
    """Remember that it was read up to this line by a reading that had ``begun`` so."""
    marks, again = begun.marks, line
    if not _in_order(work):
        now, _ = _clock(work)
        again = min(begun.again, line)
        if not marks or len(marks) == 1 or now - marks[-1][0] >= MARK_EVERY:
            marks = (*marks, (now, line))
    found = Read(max(line, begun.line), again, marks)
    row = {
        "name": PROGRESS,
        "state": "running",
        "at": {"line": found.line, "again": found.again, "marks": [list(one) for one in found.marks]},
        "done": 0,
        "started_at": work.now,
        "changed_at": work.now,
    }
    upsert(work.db, Progress, [row], ["name"], ["at", "changed_at"])
    return found


def _in_order(work: Work) -> bool:
    return work.db.get_bind().dialect.name == "sqlite"


def _clock(work: Work) -> tuple[float, float]:
    now, oldest = work.db.execute(OLDEST_WRITER).one()
    return float(now), float(oldest)

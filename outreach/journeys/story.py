"""How far journeys have read the story of everybody, so that each line counts, and counts once.

Before: whatever writes an ``Interaction``. After: ``entries.read_story``, which may read a line twice, never none.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from storage.database import upsert
from storage.tables import Interaction, Progress
from storage.work import Work

PROGRESS = "journeys: story"
LOOK_BACK = timedelta(minutes=10)
"""On PostgreSQL a line with a smaller id may appear after a bigger one was read; none takes so long to appear.

What was read in that time is read again. Whoever set out does not do so twice; whoever could not, and can now, does.
"""


@dataclass(frozen=True)
class Read:
    """How far the story was read: up to which line, and where it stood at some moments before."""

    line: int
    marks: tuple[tuple[str, int], ...] = ()

    def start(self, work: Work) -> int:
        """The line after which reading begins, again where lines may have appeared since."""
        now = work.now
        if work.db.get_bind().dialect.name == "sqlite":
            return self.line  # one writer at a time: ids appear in order
        old = [line for at, line in self.marks if datetime.fromisoformat(at) <= now - LOOK_BACK]
        return max(old) if old else min((line for _, line in self.marks), default=self.line)

    def on(self, line: int, now: datetime) -> "Read":
        """The same, further."""
        kept = [one for one in self.marks if datetime.fromisoformat(one[0]) > now - 2 * LOOK_BACK]
        older = [one for one in self.marks if one not in kept][-1:]
        fresh = kept and datetime.fromisoformat(kept[-1][0]) > now - timedelta(minutes=1)
        marks = (*older, *kept) if fresh else (*older, *kept, (now.astimezone(UTC).isoformat(), line))
        return Read(max(line, self.line), marks)


def read_to(work: Work) -> Read:
    """How far it was read; the first time, everything that was before is left alone."""
    known = work.db.get(Progress, PROGRESS)
    if known is not None:
        return Read(int(known.at["line"]), tuple((str(at), int(line)) for at, line in known.at["marks"]))
    newest = work.db.scalar(select(func.max(Interaction.id))) or 0
    found = Read(newest).on(newest, work.now)
    keep_read(work, found)
    return found


def keep_read(work: Work, read: Read) -> None:
    """Remember how far it was read."""
    row = {
        "name": PROGRESS,
        "state": "running",
        "at": {"line": read.line, "marks": [list(one) for one in read.marks]},
        "done": 0,
        "started_at": work.now,
        "changed_at": work.now,
    }
    upsert(work.db, Progress, [row], ["name"], ["at", "changed_at"])

"""After people were joined or parted: WeCom shows their tags on the relations they have now."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.database import transaction
from storage.rows import upsert
from storage.tables import Interaction, Person, Progress
from storage.work import Work
from tagging import marks

if TYPE_CHECKING:
    from scheduler.timetable import Hands

NAME = "tags of joined people"
KINDS = ("merged", "separated")
AGAIN = timedelta(minutes=5)
"""Lines may be kept later than they are dated: this much is read again (to do it twice changes nothing)."""
AT_FIRST = timedelta(days=1)


def tag_who_was_joined(hands: "Hands") -> str:
    """Bring the tags of whoever was joined or parted since the last run to WeCom."""
    with transaction(hands.engine) as db:
        work = hands.work(db, "tag who was joined")
        since = _read_to(work) - AGAIN
        people = _people(db, since)
        for person_id in people:
            marks.bring_in_line(work, person_id)
        rows = [{"name": NAME, "state": "running", "at": {"to": work.now.isoformat()}, "done": 0,
                 "started_at": work.now, "changed_at": work.now}]  # fmt: skip
        upsert(db, Progress, rows, ["name"], ["at", "changed_at"])
    if people:
        hands.ring()
    return f"people looked at: {len(people)}"


def _people(db: Session, since: datetime) -> list[int]:
    own = select(Interaction.person_id).join(Person, Person.id == Interaction.person_id)
    own = own.where(Interaction.kind.in_(KINDS), Interaction.at >= since, Person.merged_into.is_(None))
    return sorted(set(db.scalars(own)))


def _read_to(work: Work) -> datetime:
    row = work.db.get(Progress, NAME)
    return datetime.fromisoformat(row.at["to"]) if row is not None else work.now - AT_FIRST

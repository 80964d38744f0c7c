"""What people change about a customer by hand, each a line of the story.

Notes are the first of them; who wrote one may take it back.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from people import persons
from storage import search
from storage.tables import Interaction, Person, Relation
from storage.work import Work

NOTE, TAGGED, UNTAGGED, OWNER_GIVEN = "note", "tagged", "untagged", "owner_given"
LONGEST = 2000


def add_note(work: Work, person: Person, text: str, *, by: str, once: str) -> bool:
    """Write a note; the same (``once``) again changes nothing. Raises ``ValueError`` when it is empty or too long."""
    text = text.strip()
    if not 0 < len(text) <= LONGEST:
        raise ValueError(f"备注需 1–{LONGEST} 个字")
    return tell(work, person, NOTE, by=by, once=f"note:{once}", details={"text": text})


def own_note(db: Session, person: Person, note_id: int, by: str) -> Interaction | None:
    """The note on this person if this user wrote it; None otherwise."""
    note = db.get(Interaction, note_id)
    if note is None or (note.person_id, note.kind, note.details.get("by")) != (person.id, NOTE, by):
        return None
    return note


def take_back(work: Work, note: Interaction) -> None:
    """Delete a note of one's own; it is not found any more either."""
    search.forget(work.db, [note.id])
    work.db.delete(note)


def tell(
    work: Work, person: Person, kind: str, *, by: str, once: str, details: Mapping[str, Any], at: datetime | None = None
) -> bool:
    """Write the line. What a rep of the customer does is part of what those two have; by anybody else it is for all."""
    own = select(Relation.id).where(Relation.person_id == person.id, Relation.userid == by)
    userid = by if work.db.scalar(own.limit(1)) is not None else None
    told = {**details, "by": by}
    return persons.tell(work, person.id, kind, at or work.now, once=once, userid=userid, details=told)

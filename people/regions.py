"""Where people's numbers were given out, kept on the person so that a segment can ask for it.

A number changes in several places; so whoever has another one than was looked at is found by an index, and looked at
again by a job of the timetable.
"""

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from people import identities, phones
from storage.tables import Person
from storage.tables.people import REGION_DUE


def keep(db: Session, most: int) -> int:
    """Find out where the numbers of up to so many people are from; how many there were."""
    due = select(Person.id, Person.phone).where(text(REGION_DUE)).order_by(Person.id).limit(most)
    found = db.execute(due).all()
    if found:
        db.execute(update(Person), [_row(person_id, phone) for person_id, phone in found])
    return len(found)


def _row(person_id: int, phone: str | None) -> dict[str, object]:
    spelt = identities.spelt_phones([phone] if phone else [])
    region = phones.region(spelt[0]) if spelt else None
    return {
        "id": person_id,
        "region_of": phone,
        "province": region.province if region else None,
        "city": region.city if region else None,
    }

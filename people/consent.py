"""Who wants to hear nothing more from us unasked: every sender asks here, whoever said so.

What answers a customer's own words is no such message and goes on. Rule: 个人信息保护法 art. 15, 24 (consent is
withdrawn as easily as it was given).
"""

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from people import persons
from storage.tables import Person
from storage.work import Work

OPTED_OUT, OPTED_IN = "opted_out", "opted_in"


def is_out(person: Person) -> bool:
    """Whether nothing may be sent to this person unasked."""
    return person.opted_out


def wanting() -> ColumnElement[bool]:
    """The condition on ``Person`` that holds for those who may be written to unasked."""
    return Person.opted_out.is_(False)


def opt_out(work: Work, person: Person, by: str, *, once: str = "") -> bool:
    """Write to this person no more unasked; False when that holds already.

    ``by``: kf (their own word there), page (their own page), a userid, or api:NAME. ``once`` names what was said, so
    that the story tells it once (default: the moment).
    """
    return _turn(work, person, by, once, out=True)


def opt_in(work: Work, person: Person, by: str, *, once: str = "") -> bool:
    """Write to this person again, they want it; False when that holds already."""
    return _turn(work, person, by, once, out=False)


def _turn(work: Work, person: Person, by: str, once: str, *, out: bool) -> bool:
    persons.hold(work, person)
    if person.opted_out == out:
        return False
    said = {"opted_out": out, "opted_out_at": work.now if out else None, "opted_out_by": by if out else None}
    for name, value in said.items():
        setattr(person, name, value)
    work.db.execute(update(Person).where(Person.merged_into == person.id).values(**said))  # and if they part again
    kind = OPTED_OUT if out else OPTED_IN
    name = once or f"{person.id}:{work.now.isoformat()}"
    return persons.tell(work, person.id, kind, work.now, once=f"{kind}:{name}", details={"by": by})


def may_start(db: Session, person_id: int) -> bool:
    """As ``is_out``, turned round, for who has only the id; False also for nobody."""
    person = db.get(Person, person_id)
    return person is not None and not is_out(person)

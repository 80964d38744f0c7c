"""A rep binds a customer to the member of a till who has a number: a rep's word, which shows but does not spend.

Orders become visible at once; points can be spent once the customer has confirmed (``joining.confirmed``). A number of
somebody whom another rep serves is not for a rep to give away: then somebody who may decides.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from people import blocklist, evidence, joining, persons
from people.access import Sight
from people.identities import PHONE
from people.joining import Given
from storage.tables import Evidence, Person, Relation, ShopOrder
from storage.work import Work

BOUND, WAITS, NOBODY = "bound", "waits", "nobody"
ASKED = "asked"
"""The source of what a rep would like to bind and may not."""


@dataclass(frozen=True)
class Match:
    """Who has a number at the tills, as much as a rep may know of it before binding."""

    people: int
    """How many others have it."""
    orders: int
    free: bool
    """Whether a rep's word is enough: nobody out of their sight serves them."""


def match(db: Session, sight: Sight, person_id: int, phone: str) -> Match:
    """Who else has this number (spelt as it is kept)."""
    heads = select(func.coalesce(Person.merged_into, Person.id)).join(Evidence, Evidence.anchor_id == Person.id)
    certain = heads.where(Evidence.type == PHONE, Evidence.value == phone, Evidence.released_at.is_(None))
    own = set(db.scalars(certain.where(Evidence.verified | Evidence.home))) - {person_id}
    orders = db.scalars(select(func.count()).where(ShopOrder.person_id.in_(own))).one()
    served = db.scalars(select(Relation.person_id).where(Relation.person_id.in_(own)).distinct()).all()
    seen = set(db.scalars(select(Person.id).where(Person.id.in_(own), sight.people())))
    return Match(len(own), orders, set(served) <= seen)


def bind(work: Work, person: Person, phone: str, found: Match | None, *, by: str) -> str:
    """Keep the rep's word; what follows from it: bound, waits for somebody, or nobody has the number yet."""
    if blocklist.names_nobody(PHONE, phone):
        return WAITS
    free = found is None or found.free
    source = f"{evidence.REP}{by}" if free else ASKED
    joining.learn(work, person, [Given(PHONE, phone, verified=False)], source=source, by=by)
    if found is None or not found.people:
        return NOBODY
    own = persons.anchors(work.db, person.id)
    has = (Evidence.anchor_id.in_(own), Evidence.type == PHONE, Evidence.value == phone)
    joined = work.db.scalars(select(Evidence.anchor_id).where(*has).distinct()).all()
    return BOUND if free and len(joined) > 1 else WAITS

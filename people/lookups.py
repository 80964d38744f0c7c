"""Who is meant by what a file or a message says: an id of ours, an identity, a phone number; of many at once.

Somebody outside the viewer's sight is not found, exactly like somebody who does not exist.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from people import identities, persons
from people.access import Sight
from storage.tables import Identity, Person, is_head

ANY = "any"
OURS = re.compile(r"p_(\d{1,18})", re.ASCII)


def visible(db: Session, sight: Sight, ids: Collection[int]) -> set[int]:
    """Who of these people may be seen."""
    return set(db.scalars(select(Person.id).where(Person.id.in_(ids), sight.people())))


def find_all(db: Session, sight: Sight, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], set[int]]:
    """For each (kind, value), as written, the people in sight whom it can mean; some hundred at a time.

    The kind is an identity's type, or ``any``. A number that somebody is known by for certain means them alone; one
    that reps wrote down may mean several.
    """
    wanted = set(wanted)
    spelt = {way: _spellings(*way) for way in wanted}
    found = _found(db, {one for some in spelt.values() for one in some})
    meant = {way: _first_meaning(found, some) for way, some in spelt.items()}
    seen = visible(db, sight, {one for some in meant.values() for one in some})
    return {way: some & seen for way, some in meant.items()}


def _spellings(kind: str, value: str) -> list[tuple[str, str]]:
    """The identities that a text can be, ours first."""
    if kind != ANY:
        return _spelt(kind, value)
    own = OURS.fullmatch(value)
    if own is not None:
        return [("id", own[1])]
    return [one for type_ in (persons.EXTERNAL, persons.UNIONID, identities.PHONE) for one in _spelt(type_, value)]


def _spelt(type_: str, value: str) -> list[tuple[str, str]]:
    try:
        return [(type_, identities.spelt(type_, value))]
    except ValueError:
        return []


def _found(db: Session, ways: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], set[int]]:
    found: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    values = {value for type_, value in ways if type_ != "id"}
    certain = set()
    known = select(Identity.type, Identity.value, Identity.person_id, Identity.verified)
    for type_, value, person_id, verified in db.execute(known.where(Identity.value.in_(values))):
        found[type_, value].add(person_id)
        if verified:
            certain.add((type_, value))
    numbers = {value for type_, value in ways if type_ == identities.PHONE} - {value for _, value in certain}
    for person_id, number in db.execute(select(Person.id, Person.phone).where(is_head(), Person.phone.in_(numbers))):
        found[identities.PHONE, str(number)].add(person_id)
    for value in (value for type_, value in ways if type_ == "id"):
        found["id", value].add(int(value))
    return found


def _first_meaning(found: Mapping[tuple[str, str], set[int]], ways: Iterable[tuple[str, str]]) -> set[int]:
    return next((found[one] for one in ways if found.get(one)), set())

"""Finding the customer somebody means, by what they call them: a name, a remark, the last four digits of a phone.

For people who type: who comes of it is said back to them, and where several could be meant they choose. Only customers
within sight are ever looked at; somebody else's looks like nobody.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, Select, String, func, literal, or_, select
from sqlalchemy.orm import Session

from people import directory
from people.access import Sight
from people.directory import Filter
from storage.tables import Person, Relation

MOST = 50
"""So many are looked at; a name that more people have tells nobody apart."""
AFTER_A_NAME = re.compile(r"[\s:：,，、。;；]+")


@dataclass(frozen=True)
class Found:
    """Who could be meant (the newest first), whether they are called exactly so, and what was said besides."""

    people: Sequence[Person] = ()
    exact: bool = False
    rest: str = ""
    called: str = ""
    """The words that were taken for the customer."""


def find(db: Session, sight: Sight, called: str) -> Found:
    """Who is called exactly so (or whose phone ends so); otherwise everybody whose name or remark has it in it."""
    called = called.strip()
    if not called:
        return Found()
    plain = unicodedata.normalize("NFKC", called)
    if exact := _called(db, sight, called) or _called(db, sight, plain):
        return Found(exact, exact=True, called=called)
    some, _ = directory.page(db, sight, Filter(q=plain), limit=MOST)
    return Found(some, exact=_is_number(plain), called=called)


def find_at_start(db: Session, sight: Sight, text: str) -> Found:
    """Who a text begins with, and what follows: 小雨 喜欢手冲, also without the blank or with one in the name.

    When nobody is called so, the first word is looked for as a part of names.
    """
    text = text.strip()
    head, rest = _parted(text)
    named = _names_in(db, sight, text, anywhere=False)
    whole = [(name, one) for name, one in named if len(name) > 1 or len(name) == len(head)]
    longest = max((len(name) for name, _ in whole), default=0)
    if longest >= len(head):
        people = _once(one for name, one in whole if len(name) == longest)
        return Found(people, exact=True, rest=_unled(text[longest:]), called=text[:longest])
    found = find(db, sight, head)
    if found.people and found.exact:
        return Found(found.people, exact=True, rest=rest, called=head)
    if longest:
        people = _once(one for name, one in whole if len(name) == longest)
        return Found(people, exact=True, rest=_unled(text[longest:]), called=text[:longest])
    return Found(found.people, rest=rest, called=head)


def find_within(db: Session, sight: Sight, text: str) -> Found:
    """Who is named somewhere in a text, by the longest name in it; names of one character do not count."""
    named = [(name, one) for name, one in _names_in(db, sight, text, anywhere=True) if len(name) > 1]
    longer = {name.lower() for name, _ in named}
    kept = [
        (name, one) for name, one in named if not any(name.lower() != more and name.lower() in more for more in longer)
    ]
    return Found(_once(one for _, one in kept), exact=True, rest=text, called=kept[0][0] if kept else "")


def _parted(text: str) -> tuple[str, str]:
    """The first word, and the rest."""
    parted = AFTER_A_NAME.split(text, maxsplit=1)
    return parted[0], parted[1] if len(parted) > 1 else ""


def _unled(text: str) -> str:
    return AFTER_A_NAME.sub("", text, count=1) if AFTER_A_NAME.match(text) else text


def _once(people: Iterable[Person]) -> list[Person]:
    unique = {one.id: one for one in people}
    return sorted(unique.values(), key=lambda one: (one.last_seen_at, one.id), reverse=True)


def _is_number(called: str) -> bool:
    """A phone number or its end is never a part of anything."""
    return called.isascii() and called.isdecimal()


def _called(db: Session, sight: Sight, called: str) -> list[Person]:
    """Whose name or remark is exactly this, or whose phone ends with these four digits."""
    wanted = called.lower()
    conditions = [
        func.lower(Person.name) == wanted,
        Person.id.in_(_remarks(sight, func.lower(Relation.remark) == wanted)),
    ]
    if _is_number(called):
        conditions.append(Person.phone.endswith(called) if len(called) == 4 else Person.phone == called)
    return list(db.scalars(_newest(sight).where(or_(*conditions)).limit(MOST)))


def _names_in(db: Session, sight: Sight, text: str, *, anywhere: bool) -> list[tuple[str, Person]]:
    """Every name and remark of people within sight that stands in the text (or that it begins with)."""
    said = literal(text.lower(), String)

    def stands(name: ColumnElement[str]) -> ColumnElement[bool]:
        if anywhere:
            place = func.instr(said, func.lower(name)) if _sqlite(db) else func.strpos(said, func.lower(name))
            return (func.length(name) > 1) & (place > 0)
        return (name != "") & (func.substr(said, 1, func.length(name)) == func.lower(name))

    remark = cast(ColumnElement[str], Relation.remark.expression)
    own = select(Person, Relation.remark).outerjoin(
        Relation, (Relation.person_id == Person.id) & sight.reps(Relation.userid.expression)
    )
    asked = own.where(sight.people(), or_(stands(Person.name.expression), stands(remark))).limit(10 * MOST)
    found = []
    for person, remark_said in db.execute(asked):
        for name in (person.name, remark_said or ""):
            at = text.lower().find(name.lower()) if name else -1
            if at == 0 or (anywhere and at > 0):
                found.append((name, person))
    return found


def _sqlite(db: Session) -> bool:
    return db.get_bind().dialect.name == "sqlite"


def _newest(sight: Sight) -> "Select[Person]":
    return select(Person).where(sight.people()).order_by(Person.last_seen_at.desc(), Person.id.desc())


def _remarks(sight: Sight, condition: ColumnElement[bool]) -> "Select[int]":
    return select(Relation.person_id).where(condition, sight.reps(Relation.userid.expression))

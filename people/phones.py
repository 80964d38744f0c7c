"""Phone numbers: found in what people write, where they are from, and hidden where not everybody may read them.

Mainland mobile numbers only. Region by the package ``phone`` (libraries.md §9: known for 8,555 of 10,000 segments, in
5 MB); ``phonenumbers`` would take 48 MB to know half as many. The operator is not told: since numbers can be carried
along (2019) the segment says nothing about it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from people import access, identities, persons
from people.access import Sight
from people.by_hand import NOTE
from storage.tables import Identity, Interaction, Person, Relation

if TYPE_CHECKING:
    from phone import Phone

MOBILE = re.compile(r"1[3-9]\d{9}")
BETWEEN = r"[ \u3000.\-‐-―－·]?"
"""What people put between the groups of a number."""
DIGIT = "[0-9０-９]"
COUNTRY = rf"[（(]?(?:[+＋]|[0０]{{2}})?[8８][6６][)）]?{BETWEEN}"
WRITTEN = re.compile(rf"(?<!{DIGIT})(?:{COUNTRY})?([1１][3-9３-９]{DIGIT}(?:{BETWEEN}{DIGIT}{{4}}){{2}})(?!{DIGIT})")
"""A mobile number as people write it: perhaps with the country's code, whole or in groups of 3, 4 and 4 digits.

Eleven digits within a longer number (an identity card, an order) are none.
"""


@dataclass(frozen=True)
class Region:
    """Where a number was given out."""

    province: str
    city: str

    @property
    def words(self) -> str:
        """``江苏连云港``; of a municipality its name once."""
        return self.province if self.city == self.province else f"{self.province}{self.city}"


@dataclass(frozen=True)
class Known:
    """A number of a person, and what can be said of it."""

    number: str
    valid: bool
    """Whether it has the form of a mainland mobile number."""
    region: Region | None
    places: tuple[str, ...]
    """Where it stands: ``identity`` (another system told us), ``profile`` (电话 in WeCom), ``remark``, ``note``."""

    @property
    def masked(self) -> str:
        """138****0000."""
        return access.masked(self.number) or ""


def found(text: str | None) -> list[str]:
    """The mobile numbers in a text, each once, as eleven digits, in the order in which they stand there."""
    return list(dict.fromkeys(_digits(one[1]) for one in WRITTEN.finditer(text or "")))


def hidden(text: str | None) -> str:
    """The text with the middle of every mobile number hidden, the rest as it was."""

    def hide(match: re.Match[str]) -> str:
        number = match[1]
        return match[0].replace(number, access.masked(_digits(number)) or "")

    return WRITTEN.sub(hide, text or "")


def _digits(written: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", written) if one.isdecimal())


def valid(number: str) -> bool:
    """Whether a number, as ``people.identities`` spells it, has the form of a mainland mobile number."""
    return number.isascii() and MOBILE.fullmatch(number) is not None


def region(number: str) -> Region | None:
    """Where a mobile number was given out; None for any other, and for segments that are not known."""
    if not valid(number):
        return None
    known = _segments().find(number)
    return Region(str(known["province"]), str(known["city"])) if known else None


@cache
def _segments() -> "Phone":
    from phone import Phone  # 5 MB, for who looks at a person

    return Phone()


# --- whose they are --------------------------------------------------------------------------------------------------


def of_person(db: Session, sight: Sight, person: Person) -> list[Known]:
    """Every number of a person that this viewer can find, each with its region and where it stands.

    Remarks and notes of reps outside one's sight are left out. Numbers come whole: who shows them hides them.
    """
    places: dict[str, list[str]] = {}
    for place, number in _standing(db, sight, person):
        if place not in places.setdefault(number, []):
            places[number].append(place)
    return [Known(number, valid(number), region(number), tuple(where)) for number, where in places.items()]


def main(person: Person, found: Sequence[Known]) -> str | None:
    """The number a person is called by, of those ``of_person`` found: what reps keep in WeCom, else what stands first.

    None where nothing is known that has the form of a mobile number.
    """
    return person.phone or next((one.number for one in found if one.valid), None)


def _standing(db: Session, sight: Sight, person: Person) -> Iterator[tuple[str, str]]:
    known = select(Identity.value).where(
        Identity.person_id == person.id, Identity.type == identities.PHONE, Identity.source != persons.REMARK
    )
    yield from (("identity", one) for one in db.scalars(known.order_by(Identity.id)))
    if person.phone:
        yield from (("profile", one) for one in identities.spelt_phones([person.phone]))
    own = select(Relation).where(Relation.person_id == person.id, sight.reps(Relation.userid.expression))
    for relation in db.scalars(own.order_by(Relation.id)):
        yield from (("profile", one) for one in identities.spelt_phones(relation.remark_phones or []))
        yield from (("remark", one) for one in found(f"{relation.remark or ''}\n{relation.description or ''}"))
    notes = select(Interaction.details).where(Interaction.person_id == person.id, Interaction.kind == NOTE)
    for details in db.scalars(notes.where(_in_sight(sight)).order_by(Interaction.id)):
        yield from (("note", one) for one in found(str(details.get("text") or "")))


def _in_sight(sight: Sight) -> ColumnElement[bool]:
    by = cast(ColumnElement[str], Interaction.userid.expression)
    return or_(by.is_(None), sight.reps(by))

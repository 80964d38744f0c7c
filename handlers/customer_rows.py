"""Customers out of a file: who they are known as, and what is to be kept of them. Told again, they change nothing.

A row speaks of one person. Its identities are evidence (``people.joining``) like any other: what is certain may join
two we knew, a number that is not verified only proposes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from handlers.orders import Taken
from people import birthdays, guards, identities, joining, merging, orders, persons
from people.joining import Given
from people.orders import Bad
from storage.tables import Evidence, Person
from storage.work import Work
from tagging import tags
from tagging.tags import Ground

COLUMNS = (
    "source", "identity_type", "identity_value", "external_userid", "unionid", "phone", "phone_verified", "name",
    "birthday", "tags", "since",
)  # fmt: skip
NEEDED = ("source",)
YES: Mapping[str, bool] = {
    **dict.fromkeys(("true", "1", "是", "yes"), True), **dict.fromkeys(("false", "0", "否", "no", ""), False),
}  # fmt: skip
LONGEST_NAME = 100
MOST_TAGS = 20


class Storm(Exception):
    """So many would be joined that something is wrong with the file: a default in a column, most likely."""


@dataclass(frozen=True)
class GivenCustomer:
    """A customer as a row tells it, checked."""

    source: str
    known_as: tuple[Given, ...]
    name: str
    birthday: str
    tags: tuple[tuple[str, str], ...]
    since: datetime


def read_customer(cells: Mapping[str, str], now: datetime, zone: ZoneInfo) -> GivenCustomer:
    """A row's customer. Raises ``Bad``."""
    source = cells.get("source", "").strip()
    if not 0 < len(source) <= 40:
        raise Bad("source: 1 to 40 characters")
    found = tuple(dict.fromkeys(_identities(cells)))
    if not found:
        raise Bad("no identity: fill in identity_type and identity_value, external_userid, unionid or phone")
    name = cells.get("name", "").strip()
    if len(name) > LONGEST_NAME or "\x00" in name:
        raise Bad(f"name: at most {LONGEST_NAME} characters")
    since = orders.moment(cells, "since", now, zone) if cells.get("since") else now
    return GivenCustomer(source, found, name, _birthday(cells, now), _tags(cells.get("tags", "")), since)


def _identities(cells: Mapping[str, str]) -> Sequence[Given]:
    """The certain ones first: by the first of them the person is found."""
    told = []
    if cells.get("identity_value"):
        told.append({"type": cells.get("identity_type", ""), "value": cells["identity_value"]})
    told += [{"type": one, "value": cells[one]} for one in (persons.EXTERNAL, persons.UNIONID) if cells.get(one)]
    found = [who for one in told if (who := orders.who(one)) is not None]
    if cells.get("phone"):
        said = cells.get("phone_verified", "").strip().lower()
        if said not in YES:
            raise Bad("phone_verified: true or false")
        who = orders.who({"type": identities.PHONE, "value": cells["phone"], "verified": YES[said]})
        found += [who] if who else []
    return [Given(*one) for one in found]


def _birthday(cells: Mapping[str, str], now: datetime) -> str:
    text = cells.get("birthday", "").strip()
    try:
        year = birthdays.read(text)[1] if text else None
    except ValueError as error:
        raise Bad(f"birthday: {error}") from None
    if year is not None and year > now.year:
        raise Bad(f"birthday: {text[:20]} is in the future")
    return text


def _tags(text: str) -> tuple[tuple[str, str], ...]:
    """``来源/抖音|意向/问价``, as our own exports write them."""
    found = [one.strip().partition("/") for one in text.replace("；", "|").replace(";", "|").split("|") if one.strip()]
    fits = all(0 < len(one.strip()) <= tags.MAX_NAME for group, _, name in found for one in (group, name))
    if not fits or len(found) > MOST_TAGS:
        raise Bad(f"tags: group/name, several separated by |, at most {MOST_TAGS}")
    return tuple((group.strip(), name.strip()) for group, _, name in found)


def take_customers(work: Work, given: Mapping[int, GivenCustomer]) -> Taken:
    """Take a portion; keys are their places in it. Raises ``Storm``: then none of it may be kept."""
    taken = Taken()
    for number, one in given.items():
        try:
            changed = _take(work, one)
        except ValueError as error:
            taken.rejected[number] = str(error)
            continue
        (taken.accepted if changed else taken.duplicate).append(number)
    if why := guards.storm(work, len(given)):
        raise Storm(why)
    return taken


def _take(work: Work, one: GivenCustomer) -> bool:
    """Keep what is new about one; whether anything was. Raises ``ValueError``."""
    before = _told(work.db, one)
    first = one.known_as[0]
    place = joining.person_by(work, first.type, first.value, verified=first.verified, source=one.source, at=one.since)
    if place is None:
        raise ValueError("this identity names nobody in particular")
    person = joining.learn(work, place[1], one.known_as, source=one.source, by=f"import:{one.source}", at=one.since)
    changed = _told(work.db, one) > before
    anchor = work.db.get_one(Person, place[1])
    work.via.pop(person.id, None)
    if anchor is not person:
        work.via[person.id] = anchor.id
    return any([changed, _named(work, anchor, one.name), _born(work, anchor, one), _tagged(work, person, one)])


def _told(db: Session, one: GivenCustomer) -> int:
    """How much of this was known before."""
    about = [(Evidence.type == each.type) & (Evidence.value == each.value) for each in one.known_as]
    return db.scalar(select(func.count()).select_from(Evidence).where(or_(*about), Evidence.source == one.source)) or 0


def _named(work: Work, anchor: Person, name: str) -> bool:
    """A name where there is none, kept with the anchor it came by: what WeCom says is never overwritten."""
    if not name or merging.own_of(anchor)["name"]:
        return False
    merging.write_own(work.db, anchor, name=name)
    return True


def _born(work: Work, anchor: Person, one: GivenCustomer) -> bool:
    if not one.birthday or merging.own_of(anchor)["birthday"] is not None:
        return False
    if anchor.merged_into is None and anchor.own is None:
        return birthdays.keep(work, anchor, one.birthday, by=f"import:{one.source}")
    day, year = birthdays.read(one.birthday)
    merging.write_own(work.db, anchor, birthday=day, birth_year=year)
    return True


def _tagged(work: Work, person: Person, one: GivenCustomer) -> bool:
    ground = Ground("import", f"导入：{one.source}", source_id=f"import:{one.source}"[:60], actor="import")
    given = [tags.give(work, person, tags.tag_named(work, *names), ground) for names in one.tags]
    return any(given)

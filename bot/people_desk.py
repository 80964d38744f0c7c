"""What the command line does with people, keys and users, through the same functions as console and API."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from api import customers
from bot import ledger, order_export
from loyalty.ledger import proof
from people import access, api_keys, directory, persons, phones, privacy, sign_in
from people.access import Sight
from people.cards import cards
from people.directory import Filter
from storage import audit, sheets, wiping
from storage.database import reading, transaction, utc_now
from storage.tables import Interaction, Person
from storage.work import Work

ACTOR = "command line"
ALL = Sight(everybody=True)
EVERYBODY = Filter()


def find(db: Session, name: str) -> Person | None:
    """A person by public id (``p_17``) or external_userid."""
    number = name.removeprefix("p_")
    if name.startswith("p_") and number.isdecimal():
        return db.get(Person, int(number))
    return persons.find_person(db, persons.EXTERNAL, name)


def show(engine: Engine, zone: ZoneInfo, name: str) -> dict[str, Any] | None:
    """One person as the API shows them; None when nobody is known by this name."""
    with reading(engine) as db:
        person = find(db, name)
        if person is None:
            return None
        (card,), now = cards(db, ALL, [person]), utc_now()
        points = customers.points_of(db, [person], now, zone)[person.id]
    return customers.shown(card, zone, points).model_dump(mode="json")


def as_text(found: dict[str, Any]) -> str:
    """The same for people to read."""
    lines = [f"{found['name'] or '(no name yet)'}  {found['id']}  {found['stage']}"]
    lines += [f"  {one['type']}: {one['value']}" for one in found["identities"]]
    for one in found["relations"]:
        over = f" over {one['channel']}" if one["channel"] else ""
        lines.append(f"  {one['userid']}: {one['state']} since {one['added_at'] or '?'}{over}")
    lines += [f"  {one['group']}/{one['name']} ({one['at_wecom']} at WeCom): {one['because']}" for one in found["tags"]]
    return "\n".join(lines)


def hold_of(engine: Engine, name: str) -> dict[str, Any] | None:
    """Everything held about one person, as JSON; None when nobody is known by this name. The export is noted."""
    with transaction(engine) as db:
        person = find(db, name)
        if person is None:
            return None
        tables, now = privacy.held(db, person), utc_now()
        counts = {table: len(rows) for table, rows in tables.items() if rows}
        subject = persons.public_id(person.id)
        audit.note(db, actor=ACTOR, action="customer.export", subject=subject, details={"rows": counts}, at=now)
    return {"person": subject, "at": now.isoformat(), "about": privacy.about(), "tables": tables}


def erase(engine: Engine, name: str) -> dict[str, Any] | None:
    """Forget one person; the receipt. None when nobody is known by this name. The erasure is noted."""
    with reading(engine) as db:
        person = find(db, name)
        found = None if person is None else privacy.look_through(db, person)
    with transaction(engine) as db:
        person = find(db, name)
        if person is None:
            return None
        work = Work(db, utc_now(), cause=ACTOR)
        receipt = privacy.erase(work, person, by=ACTOR, found=found)
        audit.note(
            db,
            actor=ACTOR,
            action="customer.erase",
            subject=receipt.person,
            details={"rows": receipt.counts},
            at=work.now,
        )
        shown = {
            "person": receipt.person,
            "at": receipt.at.isoformat(),
            "by": receipt.by,
            "digests": receipt.digests,
            "rows": receipt.counts,
        }
    wiping.carry_out(engine, utc_now())
    return shown


def create_key(engine: Engine, name: str, scopes: list[str]) -> str:
    """Make an API key; the key itself. Raises ``ValueError``."""
    with transaction(engine) as db:
        work = Work(db, utc_now(), cause=ACTOR)
        row, plain = api_keys.create(work, name, scopes, by=ACTOR)
        audit.note(db, actor=ACTOR, action="key.create", subject=name, details={"scopes": row.scopes}, at=work.now)
    return plain


def add_user(engine: Engine, userid: str, role: str, password: str | None) -> str | None:
    """Let somebody use the console; a one-time token unless a password is given. Raises ``ValueError``."""
    with transaction(engine) as db:
        now = utc_now()
        user = sign_in.add_user(db, userid, role, now)
        if password is not None:
            sign_in.set_password(db, user, password, now)
        token = sign_in.issue_link(db, user, now) if password is None else None
        audit.note(db, actor=ACTOR, action="user.add", subject=userid, details={"role": role}, at=now)
    return token


def export(engine: Engine, what: str, out: Path | None) -> int:
    """Write a CSV to ``out`` or stdout; how many rows. The export is noted."""
    count = 0
    with ExitStack() as stack:
        look = proof.one_moment if what in ("ledger", "orders") else reading
        lines = _lines(stack.enter_context(look(engine)), what)
        begin = list(islice(lines, 2))  # a database that does not answer is told of before anything is written
        file = stack.enter_context(out.open("w", encoding="utf-8", newline="")) if out else sys.stdout
        for line in chain(begin, lines):
            file.write(line)
            count += 1
    count -= 1  # the heading
    with transaction(engine) as db:
        audit.note(db, actor=ACTOR, action=f"export.{what}", details={"rows": count}, at=utc_now())
    engine.dispose()
    return count


def _lines(db: Session, what: str) -> Iterator[str]:
    if what == "ledger":
        return ledger.lines(db)
    if what == "orders":
        return sheets.lines(order_export.HEAD, order_export.rows(db))
    if what == "customers":
        heads = ("id", "external_userid", "name", "owner", "phone", "first_seen_at", "last_seen_at", "tags")
        return sheets.lines(heads, _customers(db))
    return sheets.lines(("id", "customer", "at", "kind", "userid", "details"), _interactions(db))


def _customers(db: Session) -> Iterator[tuple[object, ...]]:
    for person in directory.every(db, ALL, EVERYBODY):
        tags = "|".join(
            f"{one.tag.group_name}/{one.tag.name}" for one in directory.tags_on(db, [person.id]).get(person.id, [])
        )
        external = persons.identity(db, person, persons.EXTERNAL)
        yield (
            persons.public_id(person.id),
            external,
            phones.hidden(person.name),
            person.owner,
            access.masked(person.phone),
            person.first_seen_at.isoformat(),
            person.last_seen_at.isoformat(),
            tags,
        )


def _interactions(db: Session) -> Iterator[tuple[object, ...]]:
    everything = select(Interaction).order_by(Interaction.id).execution_options(yield_per=1000)
    for one in db.scalars(everything):
        yield one.id, persons.public_id(one.person_id), one.at.isoformat(), one.kind, one.userid, one.details

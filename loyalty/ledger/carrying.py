"""The books as rows of a CSV, and such a CSV back into empty books: the same balances, the same seals (I34).

Each row names its ``record``: an account, a transaction, a lot, an entry, a renewal, a hold, a seal, which transaction
is in which seal, a notice of points that will die, or by when the end of a lot must be told and whether it was
(``term``). What an account comes to, and where ends have moved, is not carried but made anew, and the books are proved
before they are kept. People are not carried either: an account whose person is not here belongs to nobody.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Integer,
    Table,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from loyalty.ledger import idle, proof
from loyalty.ledger.book import (
    AVAILABLE,
    DEBT,
    HELD,
    PENDING,
    STANDING,
    T_ACCOUNT,
    T_ENTRY,
    T_LOT,
    T_NOW,
    T_TXN,
)
from loyalty.ledger.proof import Proof
from storage.database import UtcTime
from storage.tables import Person, PointsHold, PointsNotice, PointsSeal, PointsSealed

PORTION = 1_000
RECORD = "record"
RECORDS: Mapping[str, Table] = {
    "account": T_ACCOUNT,
    "transaction": T_TXN,
    "lot": T_LOT,
    "entry": T_ENTRY,
    "renewal": idle.T_RENEWAL,
    "hold": cast(Table, PointsHold.__table__),
    "seal": cast(Table, PointsSeal.__table__),
    "sealed": cast(Table, PointsSealed.__table__),
    "notice": cast(Table, PointsNotice.__table__),
    "term": T_NOW,
}
"""In an order in which each finds what it names."""
MADE_ANEW: Mapping[str, Any] = {**dict.fromkeys(STANDING, 0), "idles": False}
"""Of an account, and what stands there until it is."""
TERM = ("lot_id", "notice_days", "not_before")
"""All that is carried of what is left of a lot; the rest is made anew."""
HAS_TERM = or_(T_NOW.c.notice_days > 0, T_NOW.c.not_before.is_not(None))


class NotEmpty(ValueError):
    """There are books already; two cannot be put into one another."""


class BadBooks(ValueError):
    """What the rows say does not hold."""


def _columns(table: Table) -> list[Column[Any]]:
    if table is T_NOW:
        return [table.c[name] for name in TERM]
    return [one for one in table.columns if not (table is T_ACCOUNT and one.name in MADE_ANEW)]


HEAD: Sequence[str] = (RECORD, *dict.fromkeys(one.name for table in RECORDS.values() for one in _columns(table)))
"""The columns of the file: those of all tables, each once."""
LATER = frozenset({"idle_months", "ends_at", "told_at", "way", "points"})
"""Those that exports from before points could die of inactivity do not have: their books say nothing of it."""


# --- out -------------------------------------------------------------------------------------------------------------


def rows(db: Session) -> Iterator[Sequence[object]]:
    """Every row of the books, as cells under ``HEAD``; in ``proof.one_moment`` where others write meanwhile."""
    for record, table in RECORDS.items():
        columns = _columns(table)
        places = [HEAD.index(one.name) for one in columns]
        asked = select(*columns).order_by(*table.primary_key).execution_options(yield_per=PORTION)
        for row in db.execute(asked.where(HAS_TERM) if table is T_NOW else asked):
            cells: list[object] = [record, *("" for _ in HEAD[1:])]
            for place, value in zip(places, row, strict=True):
                cells[place] = _cell(value)
            yield cells


def _cell(value: Any) -> object:
    """A value so that it can be read back exactly."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


# --- in --------------------------------------------------------------------------------------------------------------


def carry_in(db: Session, head: Sequence[str], cells: Iterable[Sequence[str]]) -> Proof:
    """Write these rows into empty books; what the proof of them says, which holds.

    ``head`` may be that of an older export. Raises ``NotEmpty``, and ``BadBooks`` where a row cannot be read or the
    books do not hold: then nothing may be kept.
    """
    if db.scalar(select(T_TXN.c.id).limit(1)) or db.scalar(select(T_ACCOUNT.c.id).limit(1)):
        raise NotEmpty("there are points here already")
    places = {name: place for place, name in enumerate(head)}
    if len(places) != len(head) or not set(HEAD) - LATER <= set(places) <= set(HEAD):
        raise BadBooks("these are not the columns of `scrm export ledger`")
    terms: list[Sequence[str]] = []
    for record, some in groupby(cells, key=lambda row: row[places[RECORD]] if row else ""):
        if record not in RECORDS:
            raise BadBooks(f"unknown record {record!r:.40}")
        if RECORDS[record] is T_NOW:
            terms += some
        else:
            _write(db, RECORDS[record], _read(RECORDS[record], places, some))
    _count_on(db)
    _make_anew(db)
    _set_terms(db, _read(T_NOW, places, terms))
    _move_ends(db)
    found = proof.verify(db)
    if not found.holds:
        raise BadBooks(str(found.faults[0]))
    return found


Portions = Iterator[list[dict[str, Any]]]
"""Rows of a table as they were read."""


def _write(db: Session, table: Table, some: Portions) -> None:
    for written in some:
        db.execute(insert(table), _of_people_here(db, written) if table is T_ACCOUNT else written)


def _read(table: Table, places: Mapping[str, int], some: Iterable[Sequence[str]]) -> Portions:
    """Rows out of cells, which stand at these places; of a column that is not there each cell is empty."""
    readers = [(places.get(one.name), one.name, _reader(one)) for one in _columns(table)]
    rest = iter(some)
    while portion := list(islice(rest, PORTION)):
        try:
            yield [
                {name: read("" if place is None else row[place]) for place, name, read in readers} for row in portion
            ]
        except (ValueError, IndexError) as error:
            raise BadBooks(f"a row of {table.name} cannot be read: {error}") from None


def _set_terms(db: Session, some: Portions) -> None:
    """By when the end of a lot must be told, and whether it was."""
    own = update(T_NOW).where(T_NOW.c.lot_id == bindparam("of_lot"))
    own = own.values(notice_days=bindparam("days"), not_before=bindparam("told_until"))
    for written in some:
        rows = [
            {"of_lot": one["lot_id"], "days": one["notice_days"], "told_until": one["not_before"]} for one in written
        ]
        db.connection().execute(own, rows)


def _move_ends(db: Session) -> None:
    """Of lots that die of idleness, to where they were moved."""
    lot, own = T_LOT.c, update(T_NOW).where(T_NOW.c.lot_id == bindparam("of_lot"))
    idling = lot.idle_months.is_not(None)
    after = -1
    while portion := db.execute(
        select(T_LOT, T_NOW.c.notice_days).join(T_NOW, T_NOW.c.lot_id == lot.id).where(idling, lot.id > after)
        .order_by(lot.id).limit(PORTION)
    ).all():  # fmt: skip
        told_of = {one.id for one in portion if one.notice_days}
        ends = idle.ends(lambda _table, asked: db.execute(asked).all(), portion, told_of)
        rows = [{"of_lot": lot_id, "end": end} for lot_id, end in ends.items()]
        db.connection().execute(own.values(expires_at=bindparam("end")), rows)
        after = portion[-1].id
    idles = select(lot.account_id).where(idling)
    db.execute(update(T_ACCOUNT).where(T_ACCOUNT.c.id.in_(idles)).values(idles=True))


def _of_people_here(db: Session, some: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Accounts with nothing in them yet; of people who are not here they are nobody's."""
    ids = [one["person_id"] for one in some if one["person_id"] is not None]
    known = set(db.scalars(select(Person.id).where(Person.id.in_(ids))))
    return [{**one, **MADE_ANEW, "person_id": one["person_id"] if one["person_id"] in known else None} for one in some]


def _reader(column: Column[Any]) -> Callable[[str], Any]:
    """How the cells of a column become values; an empty one is none where the column may have none."""
    read = next((read for kind, read in READERS.items() if isinstance(column.type, kind)), str)
    return (lambda cell: None if cell == "" else read(cell)) if column.nullable else read


READERS: Mapping[type, Callable[[str], Any]] = {
    Boolean: lambda cell: cell == "true",
    UtcTime: datetime.fromisoformat,
    JSON: json.loads,
    BigInteger: int,
    Integer: int,
}


def _count_on(db: Session) -> None:
    """The next account gets the next number; SQLite sees to it by itself."""
    if db.get_bind().dialect.name != "sqlite":
        last = "(SELECT coalesce(max(id), 0) + 1 FROM points_account)"
        db.execute(text(f"SELECT setval(pg_get_serial_sequence('points_account', 'id'), {last}, false)"))


def _make_anew(db: Session) -> None:
    """What accounts and lots come to, from the entries."""
    entry, lot = T_ENTRY.c, T_LOT.c

    def of(bucket: str, column: Any, own: Any) -> Any:
        total = func.coalesce(func.sum(entry.amount), 0)
        return select(total).where(column == own, entry.bucket == bucket).scalar_subquery()

    sums = [of(bucket, entry.lot_id, lot.id) for bucket in (PENDING, AVAILABLE, HELD)]
    names = ["lot_id", "account_id", "activates_at", "expires_at", "idle_months", "uses", PENDING, AVAILABLE, HELD]
    facts = (lot.id, lot.account_id, lot.activates_at, lot.expires_at, lot.idle_months, lot.uses)
    db.execute(insert(T_NOW).from_select(names, select(*facts, *sums)))
    values = {bucket: of(bucket, entry.account_id, T_ACCOUNT.c.id) for bucket in (PENDING, AVAILABLE, HELD)}
    owed = literal_column("0") - of(DEBT, entry.account_id, T_ACCOUNT.c.id)
    db.execute(T_ACCOUNT.update().values(**values, debt=owed))

"""The books cannot be changed unseen: the database refuses, and whoever gets past it is found and named."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from loyalty.ledger import book, proof, seals
from loyalty.ledger.book import AVAILABLE, CLAWED
from storage.database import open_engine, transaction
from storage.tables import PointsEntry, PointsLot, PointsSeal, PointsSealed, PointsTxn
from tests.loyalty.books import Books

BOOKS = (PointsTxn, PointsLot, PointsEntry, PointsSeal, PointsSealed)
CELLS = [(one.__tablename__, column.name) for one in BOOKS for column in one.__table__.columns]


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    """Two blocks, and a transaction that is in none yet."""
    books = Books(database_url)
    for day in (1, 2):
        books.to(day)
        books.award(100, lives=50, campaign="双倍", store="s1")
        books.hold(30)
        with books.work() as work:
            assert seals.seal(work) == 2
    books.redeem(20)
    yield books
    books.close()


def test_i27_what_stands_in_the_books_is_refused_to_whoever_would_change_it(books: Books) -> None:
    for table in BOOKS:
        name, column = table.__tablename__, next(iter(table.__table__.columns)).name
        for statement in (f"UPDATE {name} SET {column} = {column}", f"DELETE FROM {name}"):
            with pytest.raises(DBAPIError, match="only added to"), books.work() as work:
                work.db.execute(text(statement))


def test_i27_a_book_nobody_touched_holds(books: Books) -> None:
    found = books.verify()
    assert (found.holds, found.seals, found.unsealed) == (True, 2, 1)
    assert (found.transactions, found.lots) == (5, 2)
    assert len(found.head) == 64


@pytest.mark.parametrize(("table", "column"), CELLS)
def test_i27_whatever_is_changed_behind_the_databases_back_is_found(books: Books, table: str, column: str) -> None:
    with _unguarded(books) as db:
        row = dict(db.execute(text(f"SELECT * FROM {table} ORDER BY 1 LIMIT 1")).mappings().one())
        keys = [one for one in ("txn_id", "number", "id") if one in row][:2]
        where = " AND ".join(f"{one} = :k_{one}" for one in keys)
        changed = other(row[column])
        values = {f"k_{one}": row[one] for one in keys}
        db.execute(text(f"UPDATE {table} SET {column} = :changed WHERE {where}"), {"changed": changed, **values})
        found = proof.verify(db)
        assert not found.holds, (row[column], changed)
        names = {str(row[one]) for one in ("id", "txn_id", "number", "seal") if one in row}
        assert any(name == str(one.id) for one in found.faults for name in names), found.faults
        db.rollback()


def other(value: Any) -> Any:
    """Another value of the kind."""
    if value is None:
        return 7
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 100_000
    if isinstance(value, datetime):
        return value + timedelta(seconds=1)
    if isinstance(value, dict):
        return '{"x": 1}'
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1") if value else "x"
    raise TypeError(type(value))


@pytest.mark.parametrize("table", [one.__tablename__ for one in BOOKS])
def test_i27_whatever_is_taken_out_behind_the_databases_back_is_found(books: Books, table: str) -> None:
    with _unguarded(books) as db:
        key = db.execute(text(f"SELECT * FROM {table} ORDER BY 1 LIMIT 1")).mappings().one()
        name = next(iter(key))
        db.execute(text(f"DELETE FROM {table} WHERE {name} = :key"), {"key": key[name]})
        assert not proof.verify(db).holds
        db.rollback()


def test_i4_a_lot_with_more_in_it_than_was_issued_is_found(books: Books) -> None:
    with books.work() as work:
        draft = book.begin(work, books.about("unclaw"), books.people[0])
        assert isinstance(draft, book.Draft)
        draft.move(draft.of(books.people[0])[0], CLAWED, AVAILABLE, 101)
        book.write(draft)
    assert [one.what for one in books.verify().faults] == ["more is there than was issued"]


class _unguarded:  # noqa: N801  reads like a function
    """A transaction in which no trigger refuses and no key is asked for."""

    def __init__(self, books: Books) -> None:
        self.engine = open_engine(books.url)

    def __enter__(self) -> Any:
        self.opened = transaction(self.engine)
        db = self.opened.__enter__()
        if self.engine.dialect.name == "sqlite":
            db.execute(text("PRAGMA defer_foreign_keys = ON"))
            for (name,) in db.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                db.execute(text(f"DROP TRIGGER {name}"))
        else:
            db.execute(text("SET LOCAL session_replication_role = replica"))
        return db

    def __exit__(self, *error: Any) -> None:
        self.opened.__exit__(*error)
        self.engine.dispose()


def test_the_moment_of_a_hash_does_not_depend_on_the_zone() -> None:
    from loyalty.ledger.book import canonical

    moment = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)
    assert canonical([moment]) == b'["2026-11-27T16:00:00.000000+00:00"]'
    with pytest.raises(TypeError):
        canonical([object()])

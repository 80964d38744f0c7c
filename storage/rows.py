"""Rows that come in: one, a few, or hundreds at once, new or perhaps there already, alike on SQLite and PostgreSQL."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import JSON, Column, Connection, Dialect, Executable, Row, String, Table
from sqlalchemy.engine import result_tuple
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeEngine

from storage.database import driven


def insert_new(
    db: Session | Connection,
    table: type[DeclarativeBase],
    rows: Sequence[dict[str, Any]],
    unique: Sequence[str],
    returning: str = "id",
) -> list[Any]:
    """Insert the rows whose ``unique`` columns (none named: any) are new; give the ids. Works alike on both databases.

    All rows name the same columns. (``rowcount`` is -1 here on PostgreSQL, so only RETURNING tells the truth.)
    """
    return [one for (one,) in insert_new_rows(db, table, rows, unique, [returning])]


def insert_new_rows(
    db: Session | Connection,
    table: type[DeclarativeBase],
    rows: Sequence[dict[str, Any]],
    unique: Sequence[str],
    returning: Sequence[str],
) -> Sequence[Row[Any]]:
    """The same, giving several columns of those that were new, in no particular order."""
    if not rows:
        return []
    dialect = (db if isinstance(db, Connection) else db.get_bind()).dialect
    if len(rows) > FEW and dialect.name != "sqlite":
        line = db if isinstance(db, Connection) else db.connection()
        return _many_new(dialect, table, _named(table, rows), tuple(unique), tuple(returning)).insert(line, rows)
    statement = _insert_new(dialect.name, table, tuple(unique), tuple(returning))
    return db.execute(statement, list(rows)).all()


def _named(table: type[DeclarativeBase], rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns of these rows, and those whose value is made here where nobody says it."""
    own = cast(Table, table.__table__).columns
    return (*rows[0], *(one.name for one in own if one.default is not None and one.name not in rows[0]))


def add_rows(
    connection: Connection,
    table: type[DeclarativeBase],
    rows: Sequence[Mapping[str, Any]],
    tell: Callable[[str, Any], Any] | None = None,
) -> None:
    """Insert rows that are new, in the driver's own words: for what is written by the million.

    All rows name the same columns, each that has no value of the database's own. ``tell`` is that of ``all_at_once``.
    """
    if rows:
        _bare(connection.dialect, table, tuple(rows[0])).add(connection, rows, tell)


FEW = 8
"""So many rows are spelt out as one statement, which is prepared; more of them would be another one each time."""


class BareInsert:
    """Inserts the rows whose ``unique`` columns are new, in the driver's own words, which are written down once.

    For statements that are made for every callback and every order: an ``insert()`` takes about twice the processor
    time. ``fixed`` columns have the same SQL value in each row. Many rows that are all new are copied to PostgreSQL.
    """

    def __init__(
        self,
        dialect: Dialect,
        table: type[DeclarativeBase],
        names: Sequence[str],
        unique: Sequence[str] = (),
        fixed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        own, quoted = cast(Table, table.__table__), dialect.identifier_preparer.quote
        mark = "?" if dialect.name == "sqlite" else "%s"
        self._target = f"{quoted(own.name)} {_bracketed([quoted(one) for one in (*names, *fixed)])}"
        self._into = " ".join(["INSERT INTO", self._target, "VALUES "])
        self._row = _bracketed([*(mark for _ in names), *fixed.values()])
        self._unless = f" ON CONFLICT {_bracketed(unique)} DO NOTHING"
        self._texts: dict[int, str] = {}
        spell = {name: own.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names}
        self._columns = [(name, spell[name] or _as_it_is) for name in names]

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """How many of the rows were new."""
        return connection.exec_driver_sql(self._values(len(rows)) + self._unless, self._flat(rows)).rowcount

    def add(
        self, connection: Connection, rows: Sequence[Mapping[str, Any]], tell: Callable[[str, Any], Any] | None = None
    ) -> None:
        """Insert them, all of which are new; ``tell``: together with other things (``all_at_once``)."""
        if len(rows) <= FEW:
            (tell or connection.exec_driver_sql)(self._values(len(rows)), self._flat(rows))
            return
        each = [tuple([spell(row[name]) for name, spell in self._columns]) for row in rows]
        if tell is not None or connection.dialect.name == "sqlite":
            (tell or connection.exec_driver_sql)(self._values(1), each)
        else:
            self._copy(connection, each)

    def _copy(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        own = cast(Any, connection.connection.driver_connection)
        with driven(connection), own.cursor() as cursor, cursor.copy(f"COPY {self._target} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def _values(self, rows: int) -> str:
        if rows not in self._texts:
            self._texts[rows] = self._into + ", ".join([self._row] * rows)
        return self._texts[rows]

    def _flat(self, rows: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
        return tuple([spell(row[name]) for row in rows for name, spell in self._columns])


class ManyNew:
    """Inserts many rows on PostgreSQL, those that are new, and tells ``returning`` of them: they go as one JSON.

    To spell out their values takes the driver more than twice as long, and what may be there already cannot be copied.
    """

    def __init__(
        self,
        dialect: Dialect,
        table: type[DeclarativeBase],
        names: Sequence[str],
        unique: Sequence[str],
        returning: Sequence[str],
    ) -> None:
        own, quoted = cast(Table, table.__table__), dialect.identifier_preparer.quote
        self._columns = [own.c[name] for name in names]
        spelt = [(quoted(one.name), one.type) for one in self._columns]
        columns = ", ".join(name for name, _kind in spelt)
        read = ", ".join(f"{name}::JSON" if isinstance(kind, JSON) else name for name, kind in spelt)
        row = ", ".join(f"{name} {_spelt(kind, dialect)}" for name, kind in spelt)
        unless = f"ON CONFLICT {_bracketed(list(map(quoted, unique))) if unique else ''} DO NOTHING"
        self._text = (
            f"INSERT INTO {quoted(own.name)} ({columns}) "  # noqa: S608  # names of ours  # nosec B608
            f"SELECT {read} FROM json_to_recordset(%s::JSON) AS given({row}) "
            f"{unless} RETURNING {', '.join(map(quoted, returning))}"
        )
        kinds = [own.c[name].type.dialect_impl(dialect) for name in returning]
        self._readers = [kind.result_processor(dialect, None) or _as_it_is for kind in kinds]
        self._row = result_tuple(list(returning))

    def insert(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Row[Any]]:
        """What ``returning`` names of those that were new, in no particular order."""
        told = [_as_json(_said(one, rows), one.type) for one in self._columns]
        names = [one.name for one in self._columns]
        whole = [dict(zip(names, row, strict=True)) for row in zip(*told, strict=True)]
        found = connection.exec_driver_sql(self._text, (json.dumps(whole, ensure_ascii=False, default=_plain),))
        return [self._row([read(value) for read, value in zip(self._readers, one, strict=True)]) for one in found]


def _said(column: Column[Any], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What the rows say of a column; nothing: its default, made here."""
    default: Any = column.default
    if column.name in rows[0] or default is None:
        return [row[column.name] for row in rows]
    return [default.arg(None) if default.is_callable else default.arg for _ in rows]


_BARE: dict[tuple[Any, ...], BareInsert] = {}
_MANY: dict[tuple[Any, ...], ManyNew] = {}


def _bare(dialect: Dialect, table: type[DeclarativeBase], names: tuple[str, ...]) -> BareInsert:
    key = dialect.name, table, names
    if key not in _BARE:
        _BARE[key] = BareInsert(dialect, table, names)
    return _BARE[key]


def _many_new(dialect: Dialect, table: type[DeclarativeBase], *of: tuple[str, ...]) -> ManyNew:
    key = table, of
    if key not in _MANY:
        _MANY[key] = ManyNew(dialect, table, *of)
    return _MANY[key]


def _spelt(own: TypeEngine[Any], dialect: Dialect) -> str:
    """A column's type without its length: a text that is too long shall be refused, not cut off."""
    impl = own.dialect_impl(dialect)
    return "TEXT" if isinstance(impl, String | JSON) else impl.compile(dialect)


def _as_json(values: Sequence[Any], own: TypeEngine[Any]) -> Sequence[Any]:
    """What is JSON itself goes as a text, so that its null is no missing value."""
    if not isinstance(own, JSON):
        return values
    return [None if one is None and own.none_as_null else json.dumps(one) for one in values]


def _plain(value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"a time without a zone cannot be kept: {value!r}")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be told to the database so")


def _bracketed(words: Sequence[str]) -> str:
    return f"({', '.join(words)})"


def _as_it_is(value: Any) -> Any:
    return value


def upsert(
    db: Session,
    table: type[DeclarativeBase],
    rows: Sequence[dict[str, Any]],
    unique: Sequence[str],
    update: Sequence[str],
) -> None:
    """Insert the rows, or bring the named ``update`` columns of existing ones up to date."""
    if rows:
        db.execute(_upsert(db.get_bind().dialect.name, table, tuple(unique), tuple(update)), list(rows))


@cache
def _insert_new(
    dialect: str, table: type[DeclarativeBase], unique: tuple[str, ...], returning: tuple[str, ...]
) -> Executable:
    """Built once, so that SQLAlchemy finds its compiled form again: compiling costs more than inserting."""
    own = cast(Table, table.__table__)
    statement = _dialect(dialect).insert(own).on_conflict_do_nothing(index_elements=list(unique) or None)
    return cast(Executable, statement.returning(*(own.c[name] for name in returning)))


@cache
def _upsert(dialect: str, table: type[DeclarativeBase], unique: tuple[str, ...], update: tuple[str, ...]) -> Executable:
    statement = _dialect(dialect).insert(cast(Table, table.__table__))
    changes = {name: statement.excluded[name] for name in update}
    return cast(Executable, statement.on_conflict_do_update(index_elements=list(unique), set_=changes))


def _dialect(name: str) -> Any:
    """The dialect in use; both say ON CONFLICT alike. The other one is never loaded."""
    return import_module(f"sqlalchemy.dialects.{name}")

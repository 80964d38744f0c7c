"""Backup and restore: a consistent copy while the shop runs, and a restore that proves itself.

One file on both databases: a gzip of JSON lines, one table after the other, read in one snapshot (SQLite: a read
transaction; PostgreSQL: REPEATABLE READ). The last line holds the row count and a digest of every table; a restore
compares them with what it wrote. So a backup taken on SQLite can also be restored into PostgreSQL.
"""

import base64
import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Date, Engine, LargeBinary, Table, func, insert, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError, StatementError
from sqlalchemy.orm import Session
from tqdm import tqdm

from people import privacy
from storage import schema, search
from storage.database import UtcTime, is_away, open_engine, reading, utc_now
from storage.tables import Base, Erasure, Person, WebhookWish
from storage.work import Work

FORMAT = "wecom-scrm backup 1"
CHUNK = 2000
NOT_KNOWN = "; who was erased after the backup is only known with --erased-in"
LEFT_OUT = frozenset({"lease", "sealed", "sign_in", "sign_in_link", "attempt"})
"""What must not come back to life: leases, tokens, sessions, one-time links."""


class BackupError(Exception):
    """Why a backup cannot be written or brought back; one line."""


@dataclass
class Seal:
    """Row count and digest of one table, grown line by line."""

    rows: int
    digest: Any

    def add(self, line: str) -> None:
        """Count one row."""
        self.rows += 1
        self.digest.update(line.encode())

    def as_json(self) -> dict[str, Any]:
        """As the last line of the file holds it."""
        return {"rows": self.rows, "sha256": self.digest.hexdigest()}


def tables() -> list[Table]:
    """The tables that are kept, parents before children; what others want to be told of last.

    While there are no wishes, facts that come back tell nobody of themselves a second time.
    """
    kept = [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]
    return sorted(kept, key=lambda table: table.name == WebhookWish.__tablename__)


def write(url: str, path: Path) -> str:
    """Write the backup; one line that says what is in it. Raises ``BackupError``."""
    if path.exists():
        raise BackupError(f"{path} exists; choose another name")
    engine = open_engine(url)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        if trouble := schema.trouble(engine):
            raise BackupError(trouble)
        with _snapshot(engine) as connection, gzip.open(unfinished, "wt", encoding="utf-8", compresslevel=5) as file:
            seals = _write_all(connection, file)
        _flush_to_disk(unfinished)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise BackupError(f"cannot write {path}: {error.strerror}") from None
    finally:
        engine.dispose()
    rows = sum(seal.rows for seal in seals.values())
    return f"{path}: {rows:,} rows of {len(seals)} tables, {path.stat().st_size:,} bytes"


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _snapshot(engine: Engine) -> Connection:
    """A connection that sees one moment, whatever is written meanwhile."""
    if engine.dialect.name == "sqlite":
        connection = engine.execution_options(sqlite_begin="DEFERRED").connect()
    else:
        connection = engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    connection.execute(text("SELECT 1"))
    return connection


def _write_all(connection: Connection, file: IO[str]) -> dict[str, Seal]:
    file.write(_line({"format": FORMAT, "schema": schema.newest(), "tables": [table.name for table in tables()]}))
    seals = {}
    for table in tqdm(tables(), unit="table", disable=None, leave=False):
        seals[table.name] = seal = Seal(0, hashlib.sha256())
        for row in _rows(connection, table):
            line = _line([table.name, row])
            seal.add(line)
            file.write(line)
    file.write(_line({"end": {name: seal.as_json() for name, seal in seals.items()}}))
    return seals


def _rows(connection: Connection, table: Table) -> Iterator[list[Any]]:
    ordered = select(table).order_by(*table.primary_key)
    for row in connection.execute(ordered.execution_options(yield_per=CHUNK)):
        yield [_plain(value) for value in row]


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def restore(url: str, path: Path, *, verify_only: bool, erased_in: str | None = None) -> str:
    """Bring a backup back into an empty database, or only prove that it could be. Raises ``BackupError``.

    Who was erased, by the file's own list or that of the database it replaces (``erased_in``), is erased again.
    """
    receipts = _erasures_in(erased_in) if erased_in else []
    if verify_only:
        with tempfile.TemporaryDirectory() as folder:
            return f"{path} is whole: {_bring_back(f'sqlite:///{folder}/verify.db', path)} restored and compared"
    engine = open_engine(url)
    try:
        if schema.current(engine) is not None and not _is_empty(engine):
            name = make_url(url).database
            raise BackupError(f"{name} is not empty; restore into a new database and point [storage] url at it")
    finally:
        engine.dispose()
    again: list[int] = []
    brought = _bring_back(url, path, lambda db: again.append(_erase_again(db, receipts)))
    told = f"; erased again: {again[0]}" if again[0] or erased_in else ""
    return f"restored {brought}; every count and digest agrees{told}" + ("" if erased_in else NOT_KNOWN)


def _erasures_in(url: str) -> list[dict[str, Any]]:
    """Who was erased in the database that a backup replaces."""
    try:
        engine = open_engine(url)
        try:
            with reading(engine) as db:
                return privacy.receipts(db)
        finally:
            engine.dispose()
    except (SQLAlchemyError, ValueError) as error:
        raise BackupError(f"--erased-in cannot be read as a database of ours: {type(error).__name__}") from None


def _erase_again(db: Session, receipts: list[dict[str, Any]]) -> int:
    """Within the transaction that brings the backup back: nobody ever sees those who were erased.

    The index of what was said is made anew from what is left.
    """
    again = privacy.erase_again(Work(db, utc_now(), cause="restore"), [*privacy.receipts(db), *receipts])
    search.index_all(db)
    return again


def _is_empty(engine: Engine) -> bool:
    with engine.connect() as connection:
        return all(connection.execute(select(table).limit(1)).first() is None for table in tables())


def _bring_back(url: str, path: Path, then: Callable[[Session], None] | None = None) -> str:
    schema.migrate(url)
    engine = open_engine(url)
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            head = _head(file)
            with engine.begin() as connection:
                promised = _read_all(connection, file)
                found = _seals(connection, head["tables"])
                _set_counters(connection)
                _compare(promised, found)
                if then is not None:
                    with Session(connection, expire_on_commit=False) as db:
                        then(db)
                        db.commit()  # of the session; the connection's transaction goes on
                    _keep_ids_apart(connection)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise BackupError(f"{path} cannot be read as a whole: {error}") from None
    except StatementError as error:  # damage that gzip notices only at the end of the file
        if is_away(error):
            raise
        raise BackupError(f"{path} cannot be read as a whole: the database refuses a row of it") from None
    finally:
        engine.dispose()
    return f"{sum(seal.rows for seal in found.values()):,} rows of {len(found)} tables"


def _head(file: IO[str]) -> dict[str, Any]:
    head: dict[str, Any] = json.loads(file.readline())
    if head.get("format") != FORMAT:
        raise ValueError("not a backup of this program")
    if head["schema"] != schema.newest():
        raise ValueError(f"it has schema {head['schema']}, this program needs {schema.newest()}")
    return head


def _read_all(connection: Connection, file: IO[str]) -> dict[str, dict[str, Any]]:
    known = {table.name: table for table in tables()}
    waiting: list[dict[str, Any]] = []
    now_reading = ""
    for line in tqdm(file, unit="row", disable=None, leave=False):
        value = json.loads(line)
        if isinstance(value, dict):
            _put(connection, known.get(now_reading), waiting)
            end: dict[str, dict[str, Any]] = value["end"]
            return end
        name, row = value
        if name != now_reading or len(waiting) >= CHUNK:
            _put(connection, known.get(now_reading), waiting)
            waiting, now_reading = [], name
        waiting.append(_typed(known[name], row))
    raise ValueError("it ends in the middle")


def _put(connection: Connection, table: Table | None, rows: list[dict[str, Any]]) -> None:
    if table is not None and rows:
        connection.execute(insert(table), rows)


def _typed(table: Table, row: list[Any]) -> dict[str, Any]:
    return {column.name: _value(column, value) for column, value in zip(table.columns, row, strict=True)}


def _value(column: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value)
    if isinstance(column.type, UtcTime):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if isinstance(column.type, Date) else value


def _seals(connection: Connection, names: list[str]) -> dict[str, Seal]:
    seals = {}
    for table in tables():
        if table.name in names:
            seals[table.name] = seal = Seal(0, hashlib.sha256())
            for row in _rows(connection, table):
                seal.add(_line([table.name, row]))
    return seals


def _compare(promised: dict[str, dict[str, Any]], found: dict[str, Seal]) -> None:
    for name, seal in found.items():
        if promised[name] != seal.as_json():
            raise ValueError(f"table {name} differs: {promised[name]['rows']} rows promised, {seal.rows} found")


def _keep_ids_apart(connection: Connection) -> None:
    """The ids of those who were erased are given to nobody else, also when the backup is older than they were."""
    erased = connection.execute(select(Erasure.person)).scalars()
    last = max((int(one.removeprefix("p_")) for one in erased), default=0)
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence("person", "id")
        most = func.greatest(func.max(Person.id), last, 1)
        connection.execute(select(func.setval(sequence, most)).select_from(Person))
    elif last:
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = 'person'")
        highest = connection.execute(select(func.coalesce(func.max(Person.id), 0))).scalar_one()
        row = ("person", max(last, highest))
        connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", row)


def _set_counters(connection: Connection) -> None:
    """PostgreSQL numbers rows by sequences, which inserts with given ids do not move."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables():
        key = table.primary_key.columns.values()[0]
        if key.name != "id" or key.autoincrement is False:
            continue
        sequence = func.pg_get_serial_sequence(f'"{table.name}"', "id")
        connection.execute(select(func.setval(sequence, func.greatest(func.max(key), 1))))

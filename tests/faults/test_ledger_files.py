"""F19: whatever is changed in the stored books while nobody runs, `scrm ledger verify` finds it, names it and exits 1.

Every column of every book, on SQLite's file and on PostgreSQL with its triggers off; single bytes of the file; whole
pages of it. What cannot be read is a finding too, never a traceback.
"""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Json

from loyalty.ledger import seals
from scheduler import points_jobs
from soak import many
from storage.tables import PointsEntry, PointsLot, PointsSeal, PointsSealed, PointsTxn
from tests.bot.test_command_line import CONFIG, run
from tests.loyalty.books import Books

BOOKS = (PointsTxn, PointsLot, PointsEntry, PointsSeal, PointsSealed)
CELLS = [(one.__tablename__, column.name) for one in BOOKS for column in one.__table__.columns]
KEYS = {one.__tablename__: [column.name for column in one.__table__.primary_key] for one in BOOKS}
Verify = Callable[[], tuple[int, Mapping[str, Any]]]


def lived(url: str) -> None:
    """Two sealed blocks and a transaction that is in none."""
    books = Books(url)
    for day in (1, 2):
        books.to(day)
        books.award(100, lives=50, campaign="双倍", store="s1")
        books.hold(30)
        with books.work() as work:
            seals.seal(work)
    books.redeem(20)
    books.close()


@pytest.fixture
def verify(tmp_path: Path, database_url: str) -> Verify:
    """What the command says of these books, and how it ends."""
    lived(database_url)
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace("URL", database_url).replace("API", "http://127.0.0.1:9/"), encoding="utf-8")

    def said() -> tuple[int, Mapping[str, Any]]:
        code, out, err = run("--config", path, "ledger", "verify", "--json")
        return code, json.loads(out) if out else {"faults": [], "error": err}

    return said


def test_books_that_nobody_touched_hold_and_say_how_much_is_sealed(verify: Verify) -> None:
    code, said = verify()
    assert (code, said["holds"], said["sealed"], said["unsealed"], said["seals"]) == (0, True, 4, 1, 2)


@pytest.mark.parametrize(("table", "column"), CELLS)
def test_i27_f19_a_value_changed_while_nobody_runs_is_found_and_named(
    verify: Verify, database_url: str, table: str, column: str
) -> None:
    named = (change_in_file if database_url.startswith("sqlite") else change_in_server)(database_url, table, column)
    code, said = verify()
    assert code == 1
    assert {str(one["id"]) for one in said["faults"]} & named, said["faults"]
    assert all(one["table"].startswith("points_") and one["what"] for one in said["faults"])


def change_in_file(url: str, table: str, column: str) -> set[str]:
    """Another value in the first row; the ids by which that may be named."""
    line = sqlite3.connect(url.removeprefix("sqlite:///"))
    line.row_factory = sqlite3.Row
    for (name,) in line.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        line.execute(f"DROP TRIGGER {name}")
    row = dict(line.execute(f"SELECT * FROM {table} ORDER BY 1 LIMIT 1").fetchone())
    where = " AND ".join(f"{one} = :{one}" for one in KEYS[table])
    changed = other(row[column])
    line.execute(f"UPDATE {table} SET {column} = :changed_to WHERE {where}", {**row, "changed_to": changed})
    line.commit()
    line.close()
    return {str(row[one]) for one in ("id", "txn_id", "number", "seal") if one in row} | {str(changed)}


def change_in_server(url: str, table: str, column: str) -> set[str]:
    """The same on PostgreSQL, whose triggers and keys are looked away from."""
    with psycopg.connect(url.replace("+psycopg", ""), row_factory=psycopg.rows.dict_row) as line:
        line.execute("SET session_replication_role = replica")
        row = line.execute(SQL("SELECT * FROM {} ORDER BY 1 LIMIT 1").format(Identifier(table))).fetchone()
        assert row is not None
        changed = other(row[column])
        where = SQL(" AND ").join(SQL("{} = %s").format(Identifier(one)) for one in KEYS[table])
        statement = SQL("UPDATE {} SET {} = %s WHERE {}").format(Identifier(table), Identifier(column), where)
        line.execute(statement, [changed, *(row[one] for one in KEYS[table])])
    return {str(row[one]) for one in ("id", "txn_id", "number", "seal") if one in row} | {str(changed)}


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
        return Json({"x": 1})
    return value[:-1] + ("0" if value[-1:] != "0" else "1") if value else "x"


# --- bytes and pages of SQLite's file --------------------------------------------------------------------------------


@pytest.fixture
def file(sqlite_url: str) -> Path:
    """The file of books that were lived in, all of it in one piece."""
    lived(sqlite_url)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    line = sqlite3.connect(path)
    line.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    line.close()
    return path


@pytest.fixture
def say(tmp_path: Path, file: Path) -> Callable[..., tuple[int, str, str]]:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.replace("URL", f"sqlite:///{file}").replace("API", "http://127.0.0.1:9/"))
    return lambda: run("--config", config, "ledger", "verify")


def values(file: Path) -> Iterator[bytes]:
    """Stored texts of which each must be found when a bit of it is another."""
    line = sqlite3.connect(file)
    for table, column in (
        *(("points_txn", name) for name in ("key", "request_hash", "content_hash", "actor", "effective_at")),
        *(("points_lot", name) for name in ("activates_at", "expires_at", "campaign")),
        *(("points_seal", name) for name in ("hash", "made_at")),
    ):
        for (value,) in line.execute(f"SELECT {column} FROM {table}"):
            if value:
                yield value.encode()
    line.close()


def test_i27_f19_a_single_bit_of_a_stored_value_is_found(file: Path, say: Callable[..., tuple[int, str, str]]) -> None:
    whole, chance = file.read_bytes(), random.Random(27)
    stored = sorted({*values(file)})
    for _ in range(many(25, 400)):
        value = chance.choice(stored)
        where = whole.index(value) + chance.randrange(len(value))
        file.write_bytes(whole[:where] + bytes([whole[where] ^ (1 << chance.randrange(7))]) + whole[where + 1 :])
        code, out, err = say()
        assert (code == 1) == bool(changed(file, whole)), (value, out, err)
    file.write_bytes(whole)
    assert say()[0] == 0


def changed(file: Path, whole: bytes) -> bool:
    """Whether the rows of the books really are others now: a value may stand twice, in an index too."""
    now, before = file.read_bytes(), file.with_suffix(".before")
    before.write_bytes(whole)
    try:
        return _rows(file) != _rows(before)
    finally:
        before.unlink()
        file.write_bytes(now)


def _rows(file: Path) -> list[Any]:
    line = sqlite3.connect(file)
    line.text_factory = bytes
    try:
        return [line.execute(f"SELECT * FROM {one.__tablename__} NOT INDEXED").fetchall() for one in BOOKS]
    finally:
        line.close()


@pytest.mark.parametrize("table", [one.__tablename__ for one in BOOKS])
def test_f19_a_torn_page_is_a_finding_and_no_traceback(
    file: Path, say: Callable[..., tuple[int, str, str]], table: str
) -> None:
    line = sqlite3.connect(file)
    (page,) = line.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    (size,) = line.execute("PRAGMA page_size").fetchone()
    line.close()
    with file.open("r+b") as out:
        out.seek((page - 1) * size)
        out.write(random.Random(table).randbytes(size))
    code, out_, err = say()
    assert code == 1
    assert "broken page" in out_ + err
    assert "Traceback" not in out_ + err


def test_a_file_that_is_no_database_any_more_is_said_so(file: Path, say: Callable[..., tuple[int, str, str]]) -> None:
    file.write_bytes(b"x" * 8192)
    code, _, err = say()
    assert (code, err.count("\n")) == (1, 1)
    assert "not a database" in err


def test_a_chain_that_was_written_anew_differs_from_what_was_kept_outside(
    verify: Verify, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points_jobs, "heads_file", lambda _engine: tmp_path / "heads.txt")
    code, said = verify()
    assert (code, said["heads_outside"]) == (0, 0)
    seals.write_head(tmp_path / "heads.txt", 2, said["head"], datetime.fromisoformat("2026-01-03T00:00:00+00:00"))
    assert verify()[1]["heads_outside"] == 1
    seals.write_head(tmp_path / "heads.txt", 1, "0" * 64, datetime.fromisoformat("2026-01-03T00:00:00+00:00"))
    code, said = verify()
    assert (code, [(one["table"], one["id"]) for one in said["faults"]]) == (1, [("points_seal", 1)])

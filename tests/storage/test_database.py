"""Opening a database: what is locked for a moment is waited for; a portion of long work is planned for itself."""

import sqlite3
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from storage.database import all_at_once, open_engine, opened, plan_anew, transaction
from storage.tables import JobRun

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def test_who_opens_the_file_while_another_has_it_alone_for_a_moment_waits(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    alone = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    alone.execute("BEGIN EXCLUSIVE")
    leaving = threading.Timer(0.2, alone.rollback)
    leaving.start()
    engine = open_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
    leaving.join()
    alone.close()


def test_a_portion_is_planned_for_the_tables_as_they_are(database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite keeps no plans that outlive their tables")
    with opened(database_url) as engine, transaction(engine) as db:
        db.execute(text("PREPARE soonest AS SELECT id FROM job_run WHERE job = $1"))
        db.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        before = _plan(db)
        many = "SELECT 'job', now() + n * interval '1 s', now() FROM generate_series(1, 20000) n"
        db.execute(text(f"INSERT INTO job_run (job, due_at, started_at) {many}"))
        assert _plan(db) == before
        plan_anew(db)
        assert _plan(db) != before


def _plan(db: Session) -> list[str]:
    return list(db.scalars(text("EXPLAIN EXECUTE soonest('one')")))


def _double(db: Session) -> None:
    """The same job run twice, and something after it."""
    db.connection().execute(insert(JobRun), [{"job": "one", "due_at": NOON, "started_at": NOON}] * 2)
    db.connection().execute(update(JobRun).values(outcome="after"))


def test_what_is_told_at_once_is_refused_as_ever_and_nothing_of_it_is_kept(database_url: str) -> None:
    with opened(database_url) as engine:
        with pytest.raises(IntegrityError), transaction(engine) as db, all_at_once(db.connection()):
            _double(db)
        with transaction(engine) as db:
            assert db.scalars(select(JobRun.job)).all() == []


def test_a_server_that_goes_away_meanwhile_is_an_error_of_operation_and_the_next_one_gets_a_new_line(
    database_url: str,
) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite has no server")
    with opened(database_url) as engine:
        with pytest.raises(OperationalError) as raised:
            _cut_off(engine, database_url)
        assert raised.value.connection_invalidated
        with transaction(engine) as db:
            assert db.scalar(select(JobRun.id).limit(1)) is None


def _cut_off(engine: Engine, database_url: str) -> None:
    with transaction(engine) as db:
        own = db.scalar(text("SELECT pg_backend_pid()"))
        with all_at_once(db.connection()):
            db.connection().execute(update(JobRun).values(outcome="after"))
            with psycopg.connect(database_url.replace("+psycopg", "")) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [own])
            time.sleep(0.2)


def test_who_is_told_to_stop_meanwhile_stops_and_nothing_is_kept(database_url: str) -> None:
    with opened(database_url) as engine:
        with pytest.raises(SystemExit), transaction(engine) as db, all_at_once(db.connection()):
            _stopped(db)
        with transaction(engine) as db:
            assert db.scalars(select(JobRun.job)).all() == []


def _stopped(db: Session) -> None:
    rows = [{"job": job, "due_at": NOON, "started_at": NOON} for job in ("one", "other")]
    db.connection().execute(insert(JobRun), rows)
    raise SystemExit

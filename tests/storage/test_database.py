"""Opening a database: what is locked for a moment is waited for; a portion of long work is planned for itself."""

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from storage.database import open_engine, opened, plan_anew, transaction, tried_out


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
        plan_anew(db, 1)
        assert _plan(db) != before


def _plan(db: Session) -> list[str]:
    return list(db.scalars(text("EXPLAIN EXECUTE soonest('one')")))


def test_two_that_count_at_once_do_not_wait_for_each_other_and_a_try_counts_nothing(database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite counts nothing")
    counted = text("SELECT count(*) FROM pg_stats WHERE tablename = 'setting'")
    with opened(database_url) as engine, opened(database_url) as other:
        with transaction(engine) as db:
            db.execute(text("INSERT INTO setting (name, value, changed_at, changed_by) VALUES ('a', '{}', now(), '')"))
        with tried_out(database_url) as books, transaction(books) as db:
            plan_anew(db, 4)
            assert db.scalar(counted) == 0
        with transaction(engine) as db, transaction(other) as at_once:
            plan_anew(db, 4)
            at_once.execute(text("SET LOCAL lock_timeout = '100ms'"))
            plan_anew(at_once, 8)
        with transaction(engine) as db:
            plan_anew(db, 5)
            assert db.scalar(counted) > 0

"""Opening a database: what is locked for a moment is waited for; a portion of long work is planned for itself."""

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.database import open_engine, opened, plan_anew, transaction


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


def test_a_portion_is_planned_anew_and_what_comes_after_it_as_always(database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite keeps no plans that outlive their tables")
    with opened(database_url) as engine:
        with transaction(engine) as db:
            plan_anew(db)
            assert db.scalar(text("SHOW plan_cache_mode")) == "force_custom_plan"
        with transaction(engine) as db:
            assert db.scalar(text("SHOW plan_cache_mode")) == "auto"

"""Opening a database: what is locked for a moment is waited for."""

import sqlite3
import threading
from pathlib import Path

from storage.database import open_engine


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

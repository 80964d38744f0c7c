"""After an erasure: what was deleted is not left lying in the database's files either (reliability.md S41).

SQLite writes zeros over what is deleted (``thorough``), and forgets what its full-text index and its log still hold;
PostgreSQL gives the room of dead rows free. Copies made before (backups, replicas) are not reached.
"""

from contextlib import closing
from datetime import datetime

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from storage.database import changed_rows, reading, transaction
from storage.rows import upsert
from storage.tables import Progress

PAGES_A_TURN = 500
"""So much of the full-text index is rewritten in one transaction, so that nobody who writes waits long."""


WISH = "wipe"
"""The name under which it stands that something was erased and the files still hold it."""


def wish(db: Session, now: datetime) -> None:
    """Let the files be cleaned soon after this transaction."""
    thorough(db)
    row = {"name": WISH, "state": "running", "at": {}, "done": 0, "started_at": now, "changed_at": now}
    upsert(db, Progress, [row], ["name"], ["state", "started_at", "changed_at"])


def is_wished(engine: Engine) -> datetime | None:
    """Since when the files wait to be cleaned, if they do."""
    with reading(engine) as db:
        row = db.get(Progress, WISH)
        return row.started_at if row is not None and row.state == "running" else None


def carry_out(engine: Engine, now: datetime) -> bool:
    """Clean them if that is wished; an erasure meanwhile stays a wish. False when there was nothing to do."""
    since = is_wished(engine)
    if since is None:
        return False
    wipe(engine)
    done = update(Progress).where(Progress.name == WISH, Progress.started_at == since)
    with transaction(engine) as db:
        changed_rows(db, done.values(state="done", changed_at=now))
    return True


def thorough(db: Session) -> None:
    """Overwrite what this transaction deletes, as many builds of SQLite do anyway."""
    if db.get_bind().dialect.name == "sqlite":
        db.connection().exec_driver_sql("PRAGMA secure_delete = ON")


def wipe(engine: Engine) -> None:
    """Let go of what was deleted. Takes as long as it takes to rewrite the full-text index once."""
    if engine.dialect.name == "sqlite":
        _merge_index(engine)
        with closing(engine.raw_connection()) as connection:  # outside any transaction, which SQLAlchemy would begin
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")


def _merge_index(engine: Engine) -> None:
    """FTS5 keeps deleted words until it merges its parts: all of it, in turns."""
    turn = -PAGES_A_TURN  # a negative number begins to merge everything, positive ones go on
    while True:
        with transaction(engine) as db:
            connection = db.connection()
            before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
            connection.exec_driver_sql(f"INSERT INTO story_text (story_text, rank) VALUES ('merge', {turn})")  # noqa: S608  # nosec B608
            after = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
        if after - before < 2:  # as SQLite's manual says: then nothing is left to do
            return
        turn = PAGES_A_TURN

"""Real databases for tests: SQLite always, PostgreSQL where it answers. Each test gets a fresh, migrated one."""

import os
import shutil
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from soak import FULL
from storage import schema

SERVER = os.environ.get("SCRM_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


MEMORY, ROOM = Path("/dev/shm"), 4 * 1024**3
"""Where files of tests need not wait for a disk, and how many bytes must be free there."""


def keep_in_memory() -> None:
    """Let pytest put its folders into memory where there is much: what tests commit is written to no disk."""
    if not FULL and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def required(what: str) -> bool:
    """Whether CI insists that this is there."""
    return what in os.environ.get("SCRM_REQUIRE", "").split(",")


@cache
def postgres_trouble() -> str | None:
    """Why PostgreSQL cannot be used here, or None."""
    try:
        psycopg.connect(SERVER, connect_timeout=2).close()
    except psycopg.Error as error:
        return f"no PostgreSQL at {SERVER.rpartition('@')[2]}: {str(error).splitlines()[0]}"
    return None


def need_postgres() -> None:
    """Skip, or fail where CI insists."""
    if trouble := postgres_trouble():
        (pytest.fail if required("postgres") else pytest.skip)(trouble)


def sqlite_template(folder: Path) -> Path:
    """A migrated, empty SQLite file."""
    path = folder / "template.db"
    if not path.exists():
        schema.migrate(f"sqlite:///{path}")
    return path


def fresh_sqlite(folder: Path, template: Path) -> str:
    """A copy of the template."""
    path = folder / f"{uuid.uuid4().hex[:8]}.db"
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"


def sqlalchemy_url(database: str) -> str:
    """The address of a database on the test server, as settings want it."""
    return make_url(SERVER).set(drivername="postgresql+psycopg", database=database).render_as_string(False)


def run(statement: str) -> None:
    """One statement outside any transaction, on the test server."""
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(statement)


def postgres_template() -> Iterator[str]:
    """A migrated, empty PostgreSQL database, removed at the end."""
    name = f"scrm_template_{uuid.uuid4().hex[:8]}"
    run(f"CREATE DATABASE {name}")
    schema.migrate(sqlalchemy_url(name))
    yield name
    run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def fresh_postgres(template: str, *, as_served: bool = False) -> Iterator[str]:
    """A copy of the template, removed at the end.

    A commit in it does not wait for the disk, unless it is to be ``as_served``: tests kill processes of ours, never the
    server.
    """
    name = f"scrm_test_{uuid.uuid4().hex[:8]}"
    run(f"CREATE DATABASE {name} TEMPLATE {template}")
    if not as_served:
        run(f"ALTER DATABASE {name} SET synchronous_commit TO off")
    yield sqlalchemy_url(name)
    run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

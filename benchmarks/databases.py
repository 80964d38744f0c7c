"""Databases made for one measurement and removed after it: SQLite in a folder, PostgreSQL on this machine."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url

SERVER = os.environ.get("SCRM_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


def kinds() -> tuple[str, ...]:
    """The databases this machine has."""
    try:
        psycopg.connect(SERVER, connect_timeout=2).close()
    except psycopg.Error:
        return (SQLITE,)
    return (SQLITE, POSTGRESQL)


@contextmanager
def empty(kind: str, folder: Path) -> Iterator[str]:
    """An empty database; its address."""
    if kind == SQLITE:
        yield f"sqlite:///{folder / uuid.uuid4().hex[:8]}.db"
        return
    with _made("") as name:
        yield _address(name)


@contextmanager
def copied(address: str, folder: Path) -> Iterator[str]:
    """A copy of a database nobody has open; its address."""
    original = make_url(address).database or ""
    if address.startswith("sqlite"):
        path = folder / f"{uuid.uuid4().hex[:8]}.db"
        shutil.copyfile(original, path)
        yield f"sqlite:///{path}"
        return
    with _made(f"TEMPLATE {original}") as name:
        yield _address(name)


@contextmanager
def _made(options: str) -> Iterator[str]:
    name = f"scrm_bench_{uuid.uuid4().hex[:8]}"
    _run(f"CREATE DATABASE {name} {options}")
    try:
        yield name
    finally:
        _run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _address(name: str) -> str:
    return make_url(SERVER).set(drivername="postgresql+psycopg", database=name).render_as_string(False)


def _run(statement: str) -> None:
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(statement)

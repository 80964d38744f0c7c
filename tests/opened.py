"""Shops that have opened for business already: copied, not built anew for each of some hundred tests."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Composed, Identifier, Literal

from soak import FULL
from storage.database import transaction
from storage.tables import Sealed
from tests import databases
from tests.shop import Shop, build_shop, close_shop

BOTH = ["sqlite", "postgresql"]
ONE = BOTH if FULL else ["sqlite"]
"""For what is the same on every database: one of them will do, except in a soak run."""


def open_once(url: str) -> None:
    """Open a shop on this database and leave it; its token died with its WeCom."""
    shop = build_shop(url)
    shop.open_for_business()
    with transaction(shop.parts.engine) as db:
        db.query(Sealed).delete()
    close_shop(shop)


class Kept:
    """A PostgreSQL database that can be put back to how it was: to make one for each test takes ten times longer."""

    def __init__(self, name: str) -> None:
        self.url = databases.sqlalchemy_url(name)
        self._line = psycopg.connect(databases.SERVER, dbname=name, autocommit=True)
        self._back = SQL("; ").join(self._keep())

    def _keep(self) -> Iterator[Composed]:
        """Copy every row there is to a schema of its own; the statements that bring them back."""
        self._line.execute("CREATE SCHEMA kept")
        yield SQL("SET LOCAL session_replication_role = replica").format()  # no trigger refuses, no key is asked for
        tables = self._line.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in tables:
            here, there = Identifier("public", name), Identifier("kept", name)
            self._line.execute(SQL("CREATE TABLE {} AS TABLE {}").format(there, here))
            yield SQL("DELETE FROM {}").format(here)
            if self._line.execute(SQL("SELECT EXISTS (SELECT FROM {})").format(there)).fetchone() == (True,):
                yield SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE SELECT * FROM {}").format(here, there)
        numbers = self._line.execute("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'")
        for name, last in numbers.fetchall():
            told = SQL("SELECT setval({}, {}, {})")
            yield told.format(Literal(f"public.{name}"), Literal(last or 1), Literal(last is not None))

    def put_back(self) -> str:
        """Its address, with nothing in it but what was kept; whoever still holds a line to it has lost it."""
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        self._line.execute(f"SELECT pg_terminate_backend(pid) {others}".encode())
        with self._line.transaction():
            self._line.execute(self._back)
        return self.url

    def close(self) -> None:
        """Let go of it."""
        self._line.close()


def kept_copy(template: str) -> Iterator[Kept]:
    """A copy of a PostgreSQL database that is put back again and again, removed at the end."""
    for url in databases.fresh_postgres(template):
        kept = Kept(url.rpartition("/")[2])
        yield kept
        kept.close()


@pytest.fixture(scope="session")
def opened_sqlite(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    url = databases.fresh_sqlite(tmp_path_factory.mktemp("opened"), sqlite_template)
    open_once(url)
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture(scope="session")
def opened_postgres(postgres_template: str) -> Iterator[Kept]:
    for url in databases.fresh_postgres(postgres_template):
        open_once(url)
        kept = Kept(url.rpartition("/")[2])
        yield kept
        kept.close()


@pytest.fixture
def opened_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A shop on the database that the parameter names."""
    if request.param == "sqlite":
        url = databases.fresh_sqlite(tmp_path, request.getfixturevalue("opened_sqlite"))
    else:
        url = request.getfixturevalue("opened_postgres").put_back()
    shop = build_shop(url)
    yield shop
    close_shop(shop)

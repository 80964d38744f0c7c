"""Shops that have opened for business already: copied, not built anew for each of some hundred tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def opened_sqlite(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    url = databases.fresh_sqlite(tmp_path_factory.mktemp("opened"), sqlite_template)
    open_once(url)
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture(scope="session")
def opened_postgres(postgres_template: str) -> Iterator[str]:
    made = databases.fresh_postgres(postgres_template)
    url = next(made)
    open_once(url)
    yield url.rpartition("/")[2]
    next(made, None)


@pytest.fixture
def opened_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A shop on the database that the parameter names."""
    if request.param == "sqlite":
        shop = build_shop(databases.fresh_sqlite(tmp_path, request.getfixturevalue("opened_sqlite")))
        yield shop
        close_shop(shop)
        return
    made = databases.fresh_postgres(request.getfixturevalue("opened_postgres"))
    shop = build_shop(next(made))
    yield shop
    close_shop(shop)
    next(made, None)

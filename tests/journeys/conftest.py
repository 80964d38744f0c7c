"""A shop in the evening, with customers of old and nothing sent to anybody: set up once, copied for each journey."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from sandbox.world import World
from tests import databases
from tests.journeys.broadcasting import open_shop
from tests.opened import Kept
from tests.shop import Shop, build_shop, close_shop, twin


def _set_up(url: str) -> World:
    """The shop's WeCom, which knows the token that stays in the database."""
    shop = open_shop(url)
    close_shop(shop)
    return shop.world


@pytest.fixture(scope="session")
def evening_sqlite(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> tuple[Path, World]:
    url = databases.fresh_sqlite(tmp_path_factory.mktemp("evening"), sqlite_template)
    return Path(url.removeprefix("sqlite:///")), _set_up(url)


@pytest.fixture(scope="session")
def evening_postgres(postgres_template: str) -> Iterator[tuple[Kept, World]]:
    for url in databases.fresh_postgres(postgres_template):
        world = _set_up(url)
        kept = Kept(url.rpartition("/")[2])
        yield kept, world
        kept.close()


@pytest.fixture
def evening_on_sqlite(tmp_path: Path, evening_sqlite: tuple[Path, World]) -> Iterator[Shop]:
    pattern, world = evening_sqlite
    yield from _open(databases.fresh_sqlite(tmp_path, pattern), world)


@pytest.fixture
def evening_on_postgres(evening_postgres: tuple[Kept, World]) -> Iterator[Shop]:
    kept, world = evening_postgres
    yield from _open(kept.put_back(), world)


def _open(url: str, world: World) -> Iterator[Shop]:
    shop = build_shop(url, twin(world))
    yield shop
    close_shop(shop)


@pytest.fixture(params=["evening_on_sqlite", "evening_on_postgres"])
def evening(request: pytest.FixtureRequest) -> Shop:
    """Twelve customers of old. It is six in the evening."""
    return cast(Shop, request.getfixturevalue(request.param))

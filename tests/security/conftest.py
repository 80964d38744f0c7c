"""One shop for a whole file: the door is knocked at many times."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.shop import Shop, build_shop, close_shop


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Shop]:
    shop = build_shop(databases.fresh_sqlite(tmp_path_factory.mktemp("door"), sqlite_template))
    yield shop
    close_shop(shop)

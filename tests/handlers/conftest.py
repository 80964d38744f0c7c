"""Each test has an opened shop, on each kind of database."""

import pytest

from tests.shop import Shop
from tests.storage.opened import BOTH, opened_postgres, opened_shop, opened_sqlite

__all__ = ["opened_postgres", "opened_shop", "opened_sqlite", "shop"]


@pytest.fixture
def shop(opened_shop: Shop) -> Shop:
    return opened_shop


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shop" in metafunc.fixturenames:
        metafunc.parametrize("opened_shop", BOTH, indirect=True)

"""What is decided here is the same on every database: one of them will do, except in a soak run."""

import pytest

from tests.shop import Shop
from tests.storage.opened import ONE, opened_postgres, opened_shop, opened_sqlite

__all__ = ["opened_postgres", "opened_shop", "opened_sqlite", "shop"]


@pytest.fixture
def shop(opened_shop: Shop) -> Shop:
    return opened_shop


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shop" in metafunc.fixturenames:
        metafunc.parametrize("opened_shop", ONE, indirect=True)

"""Each test that asks for a shop has an opened one, on each kind of database."""

from tests.handlers.conftest import opened_postgres, opened_shop, opened_sqlite, pytest_generate_tests, shop

__all__ = ["opened_postgres", "opened_shop", "opened_sqlite", "pytest_generate_tests", "shop"]

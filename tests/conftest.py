"""What all tests share: fresh databases, whole shops, and one real browser where there is one."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from tests import databases, sharing
from tests.machines import Ground
from tests.opened import BOTH, ONE, Kept, kept_copy, opened_postgres, opened_shop, opened_sqlite
from tests.shop import Shop

__all__ = ["opened_postgres", "opened_shop", "opened_sqlite"]

sharing.share()
databases.keep_in_memory()
CHROMIUM = os.environ.get("SCRM_TEST_CHROMIUM", "/usr/bin/chromium")
SAME_ON_EVERY_DATABASE = ("scheduler", "tagging")
"""Folders whose tests decide nothing in SQL of their own: one database will do, except in a soak run."""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.sqlite_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    databases.need_postgres()
    yield from databases.postgres_template()


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    return databases.fresh_sqlite(tmp_path, sqlite_template)


@pytest.fixture(scope="session")
def empty_postgres(postgres_template: str) -> Iterator[Kept]:
    yield from kept_copy(postgres_template)


@pytest.fixture
def postgres_url(empty_postgres: Kept) -> str:
    return empty_postgres.put_back()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def sqlite_ground(tmp_path: Path, sqlite_template: Path) -> Ground:
    return Ground("sqlite", partial(databases.fresh_sqlite, tmp_path, sqlite_template))


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest) -> Ground:
    """Where a state machine walks, on each kind of database."""
    if request.param == "sqlite":
        return cast(Ground, request.getfixturevalue("sqlite_ground"))
    return Ground("postgresql", request.getfixturevalue("empty_postgres").put_back)


@pytest.fixture
def shop(opened_shop: Shop) -> Shop:
    """A small shop, open for business, on each kind of database."""
    return opened_shop


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "opened_shop" in metafunc.fixturenames and "opened_shop" not in own:
        kinds = ONE if metafunc.definition.path.parent.name in SAME_ON_EVERY_DATABASE else BOTH
        metafunc.parametrize("opened_shop", kinds, indirect=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, or a skip with the reason (a failure where CI insists)."""
    give_up = pytest.fail if databases.required("chromium") else pytest.skip
    if not Path(CHROMIUM).exists():
        give_up(f"no Chromium at {CHROMIUM}; SCRM_TEST_CHROMIUM names another place")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        except Error as error:
            give_up(f"Chromium does not start: {str(error).splitlines()[0]}")
        yield browser
        browser.close()

"""One shop for a whole file; a test that changes what others look at takes a fresh one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from people import sign_in
from tests import databases
from tests.console.acting import Counter, Pattern, code_only, people_only, set_up
from tests.shop import build_shop, close_shop


@pytest.fixture(scope="session")
def first_customers(tmp_path_factory: pytest.TempPathFactory, opened_sqlite: Path) -> Pattern:
    """An opened shop in which one customer has come to each rep; copied, not built anew for each test."""
    return Pattern.of(databases.fresh_sqlite(tmp_path_factory.mktemp("first"), opened_sqlite), set_up)


@pytest.fixture(scope="session")
def no_customers(tmp_path_factory: pytest.TempPathFactory, opened_sqlite: Path) -> Pattern:
    """An opened shop with users and one channel code."""
    return Pattern.of(databases.fresh_sqlite(tmp_path_factory.mktemp("none"), opened_sqlite), code_only)


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory, first_customers: Pattern) -> Iterator[Counter]:
    yield from first_customers.copied(tmp_path_factory.mktemp("counter"))


@pytest.fixture
def fresh(tmp_path: Path, first_customers: Pattern) -> Iterator[Counter]:
    yield from first_customers.copied(tmp_path)


@pytest.fixture
def door(sqlite_url: str) -> Iterator[Counter]:
    """Only members and users: for tests of signing in."""
    shop = build_shop(sqlite_url)
    yield people_only(shop)
    close_shop(shop)


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Passwords are hashed with little effort in tests; one test looks at the real effort."""
    monkeypatch.setattr(sign_in, "_hasher", PasswordHasher(time_cost=1, memory_cost=64))
    sign_in._nobodys.cache_clear()
    yield
    sign_in._nobodys.cache_clear()


@pytest.fixture
def quiet(tmp_path: Path, no_customers: Pattern) -> Iterator[Counter]:
    """A fresh shop with users and one channel code, to which nobody has come yet."""
    yield from no_customers.copied(tmp_path)

"""One shop for a whole file; a test that changes what others look at takes a fresh one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from people import sign_in
from tests import databases
from tests.console.acting import REPS, Counter, people_only, set_up
from tests.shop import build_shop, close_shop


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Counter]:
    shop = build_shop(databases.fresh_sqlite(tmp_path_factory.mktemp("counter"), sqlite_template))
    yield set_up(shop)
    close_shop(shop)


@pytest.fixture
def fresh(sqlite_url: str) -> Iterator[Counter]:
    shop = build_shop(sqlite_url)
    yield set_up(shop)
    close_shop(shop)


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
def quiet(sqlite_url: str) -> Iterator[Counter]:
    """A fresh shop with users and one channel code, to which nobody has come yet."""
    shop = build_shop(sqlite_url)
    counter = people_only(shop)
    shop.open_for_business()
    counter.channel = shop.channel(members=REPS, text="").code
    yield counter
    close_shop(shop)

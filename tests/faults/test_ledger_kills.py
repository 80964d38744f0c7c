"""I29: whoever spends points is killed at every statement, after the commit, and by chance; the books hold.

Afterwards `scrm ledger verify` holds, and the same doings asked again with the same keys are completed, none twice.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak import many
from tests.bot.test_command_line import CONFIG, run
from tests.loyalty import spender
from tests.loyalty.books import Books

TIMES, POINTS, THERE = 12, 7, 1000
STATEMENTS = 24
"""Those of the first redemptions, the opening of the connection apart."""


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    books = Books(database_url)
    for number in range(5):
        books.award(THERE // 5, lives=40 + number)
    yield books
    books.close()


def spends(books: Books, **more: object) -> object:
    asked = {"url": books.url, "account": books.people[0], "does": "one_by_one", "points": POINTS, "times": TIMES}
    return spender.start(**asked, **more).told()


def holds_and_goes_on(books: Books, folder: Path) -> None:
    """The books hold; what is asked again is done once in all."""
    config = folder / "config.toml"
    config.write_text(CONFIG.replace("URL", books.url).replace("API", "http://127.0.0.1:9/"), encoding="utf-8")
    code, said, trouble = run("--config", config, "ledger", "verify")
    assert code == 0, said + trouble
    left = books.standing().available
    assert (THERE - left) % POINTS == 0
    first = spends(books)
    assert spends(books) == first
    assert books.standing().available == THERE - TIMES * POINTS
    assert run("--config", config, "ledger", "verify")[0] == 0


@pytest.mark.parametrize("at", [*random.Random(29).sample(range(1, STATEMENTS), many(3, STATEMENTS - 1)), -1, -3])
def test_i29_killed_at_a_statement_or_after_a_commit_all_of_a_doing_or_nothing_is_there(
    books: Books, tmp_path: Path, at: int
) -> None:
    assert spends(books, dies_at=at) is None
    if at < 0:
        assert books.standing().available == THERE + at * POINTS
    holds_and_goes_on(books, tmp_path)


@pytest.mark.parametrize("seed", range(many(1, 20)))
def test_i29_killed_by_chance_all_of_a_doing_or_nothing_is_there(books: Books, tmp_path: Path, seed: int) -> None:
    process = spender.start(
        url=books.url, account=books.people[0], does="one_by_one", points=POINTS, times=TIMES, name="x"
    )
    before = books.standing().available
    while books.standing().available == before and process.running():
        time.sleep(0.005)
    time.sleep(random.Random(seed).uniform(0, 0.05))
    process.kill()
    holds_and_goes_on(books, tmp_path)

"""Many spend from one account at once: nobody gets what is not there (I28), and the same key spends once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from loyalty.ledger.lots import NotEnough
from soak import many
from tests.loyalty.books import Books

THREADS = 20


def spend(books: Books, points: int, key: str) -> str:
    try:
        return str(books.redeem(points, key=key))
    except NotEnough:
        return "not enough"


@pytest.mark.parametrize(("there", "points"), [(100, 30), (100, 100), (55, 9)])
def test_i28_of_many_at_once_as_many_succeed_as_there_are_points_for(books: Books, there: int, points: int) -> None:
    for number in range(3):
        books.award(there // 3 + (there % 3 if number == 0 else 0), lives=50 + number)
    for turn in range(many(1, 20)):
        before = books.standing().available
        with ThreadPoolExecutor(THREADS) as pool:
            said = list(pool.map(lambda n, turn=turn: spend(books, points, f"{turn}-{n}"), range(THREADS)))
        succeeded = sum(one != "not enough" for one in said)
        assert succeeded == min(THREADS, before // points)
        assert books.standing().available == before - succeeded * points
        books.award(there, lives=90)


def test_i12_the_same_key_from_twenty_threads_spends_once(books: Books) -> None:
    books.award(100)
    with ThreadPoolExecutor(THREADS) as pool:
        said = Counter(pool.map(lambda _: spend(books, 60, "till-1"), range(THREADS)))
    assert len(said) == 1
    assert books.standing().available == 40


def test_i30_what_happens_on_different_accounts_does_not_wait_or_mix(books: Books) -> None:
    books.award(500, who=0)
    books.award(500, who=1)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda n: books.redeem(10, who=n % 2, key=f"k{n}"), range(40)))
        list(pool.map(lambda n: books.transfer(5, who=n % 2), range(20)))
    assert sum(books.standing(one).available for one in (0, 1)) == 600
    books.now += timedelta(days=1)

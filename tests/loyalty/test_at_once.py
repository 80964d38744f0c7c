"""Many spend from one account at once: nobody gets what is not there (I28), and the same key spends once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from loyalty.ledger import proof
from loyalty.ledger.lots import NotEnough
from soak import many
from tests.loyalty import spender
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


# --- several processes -----------------------------------------------------------------------------------------------

PROCESSES = 4


@pytest.mark.parametrize(("there", "points"), [(100, 30), (700, 9)])
def test_i28_of_four_processes_of_twenty_threads_as_many_succeed_as_there_are_points_for(
    books: Books, there: int, points: int
) -> None:
    books.award(there // 2, lives=50)
    books.award(there - there // 2, lives=51)
    asked = {"url": books.url, "account": books.people[0], "does": "redeem", "points": points, "threads": THREADS}
    begun = [spender.start(**asked, name=f"p{n}") for n in range(PROCESSES)]
    said = [one for process in begun for one in process.told()]
    assert len(said) == PROCESSES * THREADS
    assert sum(one != spender.REFUSED for one in said) == min(PROCESSES * THREADS, there // points)
    assert books.standing().available == there - points * min(PROCESSES * THREADS, there // points)


def test_i12_g7_the_same_key_from_four_processes_spends_once_and_answers_all_the_same(books: Books) -> None:
    books.award(100)
    asked = {"url": books.url, "account": books.people[0], "does": "redeem", "points": 60, "threads": THREADS}
    begun = [spender.start(**asked, name="p", key="till-1") for _ in range(PROCESSES)]
    said = {one for process in begun for one in process.told()}
    assert len(said) == 1
    assert books.standing().available == 40


def test_f18_after_thousands_of_doings_of_eight_writers_the_books_are_what_these_were_told(books: Books) -> None:
    """Beside the books a ledger of one line: what each writer was told that it had done. Proved while they write."""
    for who in range(3):
        books.award(500, who=who)
    asked = {"url": books.url, "accounts": books.people, "does": "anything", "threads": 2, "times": many(25, 1250)}
    begun = [spender.start(**asked, name=f"w{n}") for n in range(PROCESSES)]
    faults = []
    while any(one.running() for one in begun):
        with proof.one_moment(books.engine) as db:
            faults += proof.verify(db).faults
    assert faults == []
    told = dict.fromkeys(books.people, 500)
    for process in begun:
        for account, points in process.told():
            told[account] += points
    for who, account in enumerate(books.people):
        standing = books.standing(who)
        assert standing.available + standing.held - standing.debt == told[account]

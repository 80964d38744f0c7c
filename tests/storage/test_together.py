"""Threads that share a transaction: one commit for those who come meanwhile, and each with a fate of its own."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage.together import Abandoned, Together


class Book:
    """Keeps numbers; the first page is only written when it is let go."""

    def __init__(self, *bad: int, trouble: BaseException | None = None) -> None:
        self.pages: list[list[int]] = []
        self.bad, self.trouble = set(bad), trouble or ValueError("bad")
        self.begun, self.go = threading.Event(), threading.Event()
        self.desk = Together(self.keep, 0.001)

    def keep(self, numbers: Sequence[int]) -> None:
        if not self.begun.is_set():
            self.begun.set()
            assert self.go.wait(5)
        if self.bad & set(numbers):
            raise self.trouble
        self.pages.append(sorted(numbers))

    def add_while_busy(self, *numbers: int) -> dict[int, Future[None]]:
        """0 is being kept while the others come."""
        with ThreadPoolExecutor(len(numbers) + 1) as pool:
            answers = {0: pool.submit(self.desk.add, 0)}
            assert self.begun.wait(5)
            answers |= {one: pool.submit(self.desk.add, one) for one in numbers}
            while len(self.desk._waiting) < len(numbers):
                threading.Event().wait(0.001)
            self.go.set()
        return answers


def test_whoever_comes_meanwhile_shares_the_next_transaction() -> None:
    book = Book()
    answers = book.add_while_busy(1, 2, 3, 4)
    assert book.pages == [[0], [1, 2, 3, 4]]
    assert all(one.result() is None for one in answers.values())


def test_one_that_fails_does_not_take_the_others_with_it() -> None:
    book = Book(3)
    answers = book.add_while_busy(1, 2, 3, 4)
    assert sorted(page for page in book.pages) == [[0], [1], [2], [4]]
    assert {number for number, one in answers.items() if one.exception() is not None} == {3}


@pytest.mark.parametrize(
    "trouble", [PoolTimeout(), OperationalError("", None, Exception(), connection_invalidated=True)]
)
def test_with_the_database_away_everybody_hears_of_it_at_once(trouble: Exception) -> None:
    book = Book(1, trouble=trouble)
    answers = book.add_while_busy(1, 2, 3)
    assert book.pages == [[0]]
    assert {number for number, one in answers.items() if one.exception() is trouble} == {1, 2, 3}


def test_what_a_dying_thread_had_in_its_hand_does_not_count_as_kept() -> None:
    book = Book(1, trouble=SystemExit())
    answers = book.add_while_busy(1, 2)
    assert book.pages == [[0]]
    assert {type(answers[one].exception()) for one in (1, 2)} == {SystemExit, Abandoned}

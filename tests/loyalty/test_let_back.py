"""A refund turns out to be another order's: what it took comes back to where it was, and to whoever paid for it."""

import pytest

from tests.loyalty.books import Books


def owed(books: Books, *points: int) -> list[int]:
    """Orders whose points are spent and whose refunds are owed; their transactions."""
    orders = [books.award(each, lives=900) for each in points]
    books.redeem(sum(points))
    for order, each in zip(orders, points, strict=True):
        books.claw(order, each)
    return orders


def test_i4_a_debt_that_two_lots_paid_returns_to_each_what_it_paid(books: Books) -> None:
    first, second = owed(books, 100, 100)
    for lives in (300, 200):
        books.award(100, lives=lives)
    assert books.standing().debt == 0
    for order in (first, second):
        books.let_back(order, 0)
    assert books.left() == [(100, 200), (100, 300)]
    assert books.verify().faults == []


def test_what_is_let_back_in_parts_comes_to_the_same(books: Books) -> None:
    first, second = owed(books, 100, 50)
    for lives in (300, 200, 100):
        books.award(40, lives=lives)
    for order, target in ((first, 70), (second, 20), (first, 0), (second, 0)):
        books.let_back(order, target)
    assert (books.standing().debt, books.left()) == (0, [(40, 100), (40, 200), (40, 300)])
    assert books.verify().faults == []


@pytest.mark.parametrize("parts", [(0,), (60, 25, 0)])
def test_what_another_account_of_theirs_paid_returns_to_that_one_even_when_they_are_two_again(
    books: Books, parts: tuple[int, ...]
) -> None:
    (order,) = owed(books, 100)
    books.award(70, who=2, lives=300)
    books.award(60, who=2, lives=200)
    books.joined = True
    books.settle()
    books.joined = False
    assert (books.standing(0).debt, books.left(2)) == (0, [(30, 300)])
    for target in parts:
        books.let_back(order, target)
    assert (books.left(0), books.left(2)) == ([], [(60, 200), (70, 300)])
    assert books.verify().faults == []


def test_what_paid_and_would_have_died_since_lives_for_the_days_of_grace_with_whoever_paid(books: Books) -> None:
    (order,) = owed(books, 100)
    books.award(40, lives=5)
    books.award(60, who=2, lives=5)
    books.joined = True
    books.settle()
    books.joined = False
    books.to(6)
    books.let_back(order, 50)
    books.let_back(order, 0)
    assert (books.left(0), books.left(2)) == ([(40, 9)], [(50, 9), (10, 9)])
    assert books.verify().faults == []


def test_a_refund_after_one_was_let_back_may_owe_as_much_as_the_first(books: Books) -> None:
    (order,) = owed(books, 100)
    books.let_back(order, 0)
    assert books.standing().debt == 0
    books.claw(order, 100)
    assert books.standing().debt == 100
    books.award(100, lives=300)
    books.let_back(order, 0)
    assert books.left() == [(100, 300)]

"""The golden traces of loyalty.md §2.13, to the last point."""

import pytest

from loyalty.ledger.book import Conflict
from loyalty.ledger.claw import ONLY_PENDING, WITHIN_BALANCE, Policy
from loyalty.ledger.lots import NotEnough
from loyalty.ledger.spend import InDebt, Settled
from tests.loyalty.books import Books


def test_g1_the_soonest_to_die_go_first_and_come_back_last(books: Books) -> None:
    """
    lots A 100 (dies 100), B 200 (dies 200), C 50 (never)
    """
    for points, lives in ((100, 100), (200, 200), (50, None)):
        books.award(points, lives=lives)
    books.redeem(120)
    assert books.left() == [(180, 200), (50, None)]
    books.to(100)
    assert books.standing().available == 230
    spent = books.redeem(200)
    assert books.left() == [(30, None)]
    books.give_back(spent, 150)
    assert books.left() == [(130, 200), (50, None)]
    assert books.standing().available == 180
    books.to(200)
    assert books.standing().available == 50
    books.sweep()
    assert (books.standing().available, books.sum("expired")) == (50, 130)
    books.give_back(spent, 50)
    assert (books.standing().available, books.sum("expired")) == (50, 180)


@pytest.mark.parametrize(
    ("policy", "available", "debt", "lost"),
    [
        (Policy(), 0, 50, 0),
        (Policy(ONLY_PENDING), 50, 0, 100),
        (Policy(WITHIN_BALANCE), 0, 0, 50),
    ],
)
def test_g3_what_was_spent_is_owed_or_lost_by_policy(
    books: Books, policy: Policy, available: int, debt: int, lost: int
) -> None:
    order = books.award(100, lives=50)
    books.award(30, lives=60)
    books.redeem(80)
    done = books.claw(order, 100, policy)
    standing = books.standing()
    assert (standing.available, standing.debt, done.result["lost"]) == (available, debt, lost)
    assert -books.sum("claw_loss") == lost
    if debt:
        with pytest.raises(InDebt):
            books.redeem(1)
        books.award(120)
        assert (books.standing().available, books.standing().debt) == (70, 0)


def test_g4_a_hold_takes_what_it_holds_and_gives_back_the_rest(books: Books) -> None:
    books.award(100)
    hold = books.hold(60)
    with pytest.raises(NotEnough) as error:
        books.hold(50)
    assert error.value.available == 40
    books.capture(hold, 45)
    assert books.standing().available == 55
    with pytest.raises(Settled):
        books.release(hold)


def test_g5_held_points_do_not_die_and_have_three_days_when_they_come_back_late(books: Books) -> None:
    books.award(40, lives=10)
    books.to(9)
    hold = books.hold(40)
    books.to(11)
    books.sweep()
    assert books.standing().held == 40
    books.release(hold)
    assert books.left() == [(40, 14)]
    books.to(14)
    assert books.standing().available == 0


def test_g6_given_on_points_keep_their_end(books: Books) -> None:
    books.award(20, lives=50)
    books.award(20, lives=60)
    books.transfer(30)
    assert books.left(1) == [(20, 50), (10, 60)]
    assert books.left(0) == [(10, 60)]
    with pytest.raises(NotEnough):
        books.transfer(10, who=1)


def test_g7_the_same_key_spends_once_and_answers_the_same(books: Books) -> None:
    books.award(100)
    first = books.redeem(60, key="till-1")
    assert books.redeem(60, key="till-1") == first
    assert books.standing().available == 40
    with pytest.raises(Conflict):
        books.redeem(50, key="till-1")
    with pytest.raises(NotEnough):
        books.redeem(60, key="till-2")
    assert books.standing().available == 40


def test_what_died_unspent_counts_first_when_its_order_is_refunded(books: Books) -> None:
    """earn 100, spend 60, 40 die; half of the order is refunded, then all of it."""
    order = books.award(100, lives=10)
    books.redeem(60)
    books.to(11)
    books.sweep()
    books.claw(order, 50)
    assert books.standing().debt == 10
    books.claw(order, 100)
    assert books.standing().debt == 60

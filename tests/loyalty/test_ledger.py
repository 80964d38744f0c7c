"""What the books do besides: giving again what was lost, letting go of what nobody decided, refusing nonsense."""

from datetime import timedelta

import pytest

from loyalty.ledger import book, spend, sweeps
from loyalty.ledger.earn import Grant, TooMuch
from loyalty.ledger.lots import NotEnough
from loyalty.ledger.spend import Died, InDebt, Settled
from storage.tables import PointsHold, PointsTxn
from tests.loyalty.books import Books, day


def test_i22_no_more_is_given_again_than_was_lost(books: Books) -> None:
    books.award(70, lives=5)
    books.award(30, lives=9)
    books.to(6)
    books.sweep()
    (lost,) = (one.id for one in books.rows(PointsTxn) if one.kind == "expire")
    books.reissue(50, lost)
    with pytest.raises(TooMuch):
        books.reissue(21, lost)
    books.reissue(20, lost)
    assert books.standing().available == 100
    with pytest.raises(TooMuch):
        books.reissue(1, lost, who=1)


def test_a_hold_that_nobody_decides_is_let_go_when_its_time_is_over_and_once(books: Books) -> None:
    books.award(50, lives=20)
    late, decided = books.hold(20, days=2), books.hold(10, days=2)
    books.capture(decided)
    books.to(2)
    with books.work() as work:
        assert sweeps.undecided(work.db, books.now, 10) == [late]
        for hold in (late, late, decided):
            sweeps.let_go(work, hold, timedelta(days=3))
    assert books.standing().available == 40
    assert {one.id: one.state for one in books.rows(PointsHold)} == {late: "released", decided: "captured"}


def test_days_of_grace_are_given_once_however_often_it_is_set_apart(books: Books) -> None:
    books.award(100, lives=1)
    hold = books.hold(100)
    books.to(3)
    books.release(hold)
    assert books.left() == [(100, 6)]
    hold = books.hold(100)
    books.to(7)
    books.release(hold)
    assert (books.left(), books.sum("expired")) == ([], 100)
    assert books.verify().holds


def test_what_is_received_has_had_its_days_of_grace(books: Books) -> None:
    books.award(100, lives=1)
    hold = books.hold(100)
    books.to(3)
    books.release(hold)
    books.transfer(100)
    hold = books.hold(100, who=1)
    books.to(7)
    books.release(hold)
    assert (books.left(1), books.sum("expired", 1)) == ([], 100)


def test_what_was_received_is_not_given_on_after_it_came_back_either(books: Books) -> None:
    books.award(100, lives=1)
    books.transfer(100)
    hold = books.hold(100, who=1)
    books.to(3)
    books.release(hold)
    assert books.left(1) == [(100, 6)]
    for give in (books.transfer, books.offer):
        with pytest.raises(NotEnough):
            give(100, who=1)


def test_what_is_accepted_keeps_its_end_and_what_has_died_is_not_given(books: Books) -> None:
    books.award(60, lives=2)
    books.award(40, lives=4)
    first, second = books.offer(30), books.offer(70)
    books.to(1)
    books.hand_over(first)
    assert books.left(1) == [(30, 2)]
    books.to(3)
    before = books.everything()
    with pytest.raises(Died):
        books.hand_over(second)
    assert books.everything() == before
    books.release(second)
    assert books.left() == [(40, 4), (30, 6)]
    with pytest.raises(Settled):
        books.hand_over(first)
    assert books.verify().holds


def test_whoever_owes_gives_nothing_that_waits(books: Books) -> None:
    order = books.award(100)
    hold = books.offer(100)
    books.claw(order, 100)
    with pytest.raises(InDebt):
        books.hand_over(hold)
    books.release(hold)
    assert (books.standing().available, books.standing().debt) == (0, 0)


def test_i32_what_may_not_die_yet_stays_and_cannot_be_spent(books: Books) -> None:
    books.award(40, lives=3)
    books.to(4)
    with books.work() as work:
        assert sweeps.sweep(work, books.people[0], may_die=lambda lot: False) == []
        assert sweeps.due(work.db, books.now, 10) == [books.people[0]]
    assert (books.standing().available, books.sum("expired")) == (0, 0)


@pytest.mark.parametrize("points", [0, -5])
def test_no_award_is_nothing_or_less(points: int) -> None:
    with pytest.raises(ValueError, match="at least one point"):
        Grant(points, day(0), None, "marketing")
    with pytest.raises(ValueError, match="before they are there"):
        Grant(5, day(2), day(2), "marketing")


def test_an_account_nobody_opened_is_named(books: Books) -> None:
    books.people.append(999)
    with pytest.raises(book.NoAccount, match="999"):
        books.award(5, who=3)


# --- a person with two accounts --------------------------------------------------------------------------------------


def test_of_two_accounts_the_soonest_to_die_goes_first_and_comes_back_where_it_was(books: Books) -> None:
    books.joined = True
    books.award(30, lives=20, who=0)
    books.award(30, lives=10, who=2)
    spent = books.redeem(40)
    assert books.left() == [(20, 20)]
    books.give_back(spent, 25)
    assert books.left() == [(15, 10), (30, 20)]
    books.joined = False
    assert (books.left(0), books.left(2)) == ([(30, 20)], [(15, 10)])


def test_a_hold_over_two_accounts_is_captured_in_part_and_the_rest_comes_back_to_each(books: Books) -> None:
    books.joined = True
    books.award(30, lives=20, who=0)
    books.award(30, lives=10, who=2)
    hold = books.hold(50)
    books.capture(hold, 35)
    books.joined = False
    assert (books.left(0), books.left(2)) == ([(25, 20)], [])


def test_what_one_account_owes_the_other_pays_and_only_while_they_are_one_person(books: Books) -> None:
    order = books.award(100)
    books.redeem(100)
    books.claw(order, 100)
    books.award(130, who=2)
    with pytest.raises(InDebt):
        books.redeem(1)
    assert (books.standing(0).debt, books.standing(2).available) == (100, 130)
    books.joined = True
    assert (books.standing().debt, books.standing().available) == (0, 30)
    with pytest.raises(NotEnough):
        books.redeem(31)
    books.redeem(30)
    books.joined = False
    assert [(one.available, one.debt) for one in map(books.standing, (0, 2))] == [(0, 0), (0, 0)]


def test_a_refund_takes_from_the_other_account_before_anything_is_owed(books: Books) -> None:
    books.joined = True
    order = books.award(100)
    books.redeem(100)
    books.award(40, who=2)
    books.claw(order, 100)
    assert (books.standing().available, books.standing().debt) == (0, 60)


def test_nobody_without_an_account_can_spend(books: Books) -> None:
    with pytest.raises(book.NoAccount), books.work() as work:
        spend.redeem(work, [], 5, books.about("redeem"))

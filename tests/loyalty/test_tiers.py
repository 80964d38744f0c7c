"""Tiers are reached by what was earned, hold to the end of the next year, and go only when their time is over (I25)."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loyalty import tiers
from loyalty.earning import ONE
from loyalty.tiers import Level, Scheme, Standing, Step
from storage.tables import TierChange
from storage.work import SHANGHAI
from tests.loyalty.books import Books, day
from tests.machines import Ground, walk

LOW = Scheme(
    levels=(
        Level(key="silver", name="银卡", points=0),
        Level(key="gold", name="金卡", points=100, factor=12_000),
        Level(key="black", name="黑卡", points=300, factor=15_000),
    )
)


def set_scheme(books: Books, scheme: Scheme = LOW) -> None:
    with books.work() as work:
        tiers.set_scheme(work, scheme, by="wang")


def look(books: Books, who: int = 0) -> str:
    with books.work() as work:
        return tiers.look(work, books.own(who)).key


def changes(books: Books) -> list[tuple[str, str, str, date | None]]:
    return [(one.why, one.before, one.after, one.until) for one in books.rows(TierChange)]


@pytest.fixture
def shop(books: Books) -> Books:
    """The first of January 2026, eight in the morning in Shanghai."""
    set_scheme(books)
    return books


# --- pure ------------------------------------------------------------------------------------------------------------


def counted(points: dict[int, int]) -> Any:
    return lambda window: points.get(window[0].year, 0)


@pytest.mark.parametrize(
    ("downgrade", "last_year", "expected"),
    [("one_down", 0, 1), ("one_down", 300, 2), ("recompute", 0, 0), ("recompute", 150, 1), ("recompute", 300, 2)],
)
def test_at_the_end_of_its_time_it_goes_down_by_one_or_to_what_was_earned(
    downgrade: Any, last_year: int, expected: int
) -> None:
    scheme = LOW.model_copy(update={"downgrade": downgrade})
    black = Standing(2, date(2028, 1, 1))
    assert tiers.steps(scheme, black, date(2027, 12, 31), counted({2027: last_year})) == []
    (step,) = tiers.steps(scheme, black, date(2028, 1, 1), counted({2027: last_year}))
    assert (step.after.level, step.on) == (expected, date(2028, 1, 1))
    assert step.after.until == (date(2029, 1, 1) if expected else None)


def test_whoever_was_forgotten_for_years_goes_down_year_by_year() -> None:
    found = tiers.steps(LOW, Standing(2, date(2028, 1, 1)), date(2030, 5, 1), counted({}))
    assert [(one.after.level, one.on.year) for one in found] == [(1, 2028), (0, 2029)]


def test_a_tier_holds_to_the_end_of_the_next_natural_year() -> None:
    for today in (date(2026, 1, 1), date(2026, 12, 31)):
        assert tiers.steps(LOW, Standing(), today, counted({2026: 100})) == [
            Step("up", Standing(), Standing(1, date(2028, 1, 1)), today, 100)
        ]


def test_the_rolling_window_is_twelve_months_to_the_day() -> None:
    scheme = LOW.model_copy(update={"window": "rolling"})
    assert tiers.window_of(scheme, date(2026, 5, 9)) == (date(2025, 5, 10), date(2026, 5, 10))
    assert tiers.window_of(scheme, date(2024, 2, 29)) == (date(2023, 3, 1), date(2024, 3, 1))


@pytest.mark.parametrize("points", [(), (5,), (0, 0), (0, 9, 5), tuple(range(9))])
def test_levels_that_do_not_grow_are_refused(points: Sequence[int]) -> None:
    levels = [{"key": f"l{number}", "name": "级", "points": one} for number, one in enumerate(points)]
    with pytest.raises(ValueError, match="levels"):
        tiers.of({"levels": levels})


# --- on the books ----------------------------------------------------------------------------------------------------


def test_it_is_given_at_once_spending_does_not_lower_it_and_what_does_not_qualify_does_not_count(shop: Books) -> None:
    shop.award(99, qualifies=True)
    shop.award(500)
    assert look(shop) == "silver"
    shop.award(1, qualifies=True, pends=7)
    assert look(shop) == "gold"
    shop.redeem(599)
    assert look(shop) == look(shop) == "gold"
    assert changes(shop) == [("up", "silver", "gold", date(2028, 1, 1))]


def test_the_tier_of_the_moment_of_payment_counts(shop: Books) -> None:
    shop.to(10)
    shop.award(100, qualifies=True)
    look(shop)
    with shop.work() as work:
        moments = [(shop.own(0), day(when)) for when in (9, 10, 400)]
        assert [tiers.at(work.db, *one).factor for one in moments] == [ONE, 12_000, 12_000]
        assert tiers.levels_at(work.db, [*moments, (shop.own(1), day(20)), ([], day(20))]) == [
            *(tiers.at(work.db, *one) for one in moments),
            LOW.levels[0],
            LOW.levels[0],
        ]


def test_a_refund_of_the_order_that_brought_it_within_thirty_days_undoes_it(shop: Books) -> None:
    shop.award(90, qualifies=True)
    order = shop.award(20, qualifies=True)
    assert look(shop) == "gold"
    shop.to(29)
    shop.claw(order, 15)
    assert look(shop) == look(shop) == "silver"
    assert changes(shop)[-1] == ("undone", "gold", "silver", None)


@pytest.mark.parametrize(("wait", "which"), [(31, 1), (5, 0)])
def test_a_later_refund_or_one_of_another_order_leaves_it_to_its_end(shop: Books, wait: int, which: int) -> None:
    orders = [shop.award(90, qualifies=True), shop.award(20, qualifies=True)]
    assert look(shop) == "gold"
    shop.to(wait)
    shop.claw(orders[which], 15)
    assert look(shop) == "gold"
    shop.now = datetime(2027, 12, 31, 15, 59, tzinfo=UTC)  # a minute before midnight in Shanghai
    assert look(shop) == "gold"
    shop.now += timedelta(minutes=1)
    assert look(shop) == "silver"
    with shop.work() as work:
        assert tiers.at(work.db, shop.own(0), shop.now - timedelta(seconds=1)).key == "gold"


def test_an_order_whose_refund_was_let_back_leaves_it_to_its_end_too(shop: Books) -> None:
    other, order = shop.award(90, qualifies=True), shop.award(20, qualifies=True)
    assert look(shop) == "gold"
    shop.to(5)
    shop.claw(order, 5)
    shop.let_back(order, 0)
    shop.claw(other, 90)
    assert look(shop) == "gold"
    assert changes(shop)[-1][0] == "up"


def test_several_accounts_of_one_person_count_together(shop: Books) -> None:
    shop.award(60, who=0, qualifies=True)
    shop.award(60, who=2, qualifies=True)
    assert (look(shop, 0), look(shop, 2)) == ("silver", "silver")
    shop.joined = True
    assert look(shop, 0) == "gold"


def test_who_has_to_be_looked_at_is_found(shop: Books) -> None:
    before = shop.now - timedelta(seconds=1)
    shop.award(100, who=1, qualifies=True)
    with shop.work() as work:
        assert list(tiers.due(work.db, before, date(2026, 1, 1))) == [shop.people[1]]
    look(shop, 1)
    with shop.work() as work:
        assert list(tiers.due(work.db, shop.now, date(2027, 12, 31))) == []
        assert list(tiers.due(work.db, shop.now, date(2028, 1, 1))) == [shop.people[1]]
        assert tiers.would_be(work.db, LOW, shop.now, SHANGHAI) == {"silver": 2, "gold": 1}


# --- I25 -------------------------------------------------------------------------------------------------------------


class Tiers(RuleBasedStateMachine):
    """Somebody earns, is refunded and waits; what they have is held against a sum written down beside."""

    def __init__(self, url: str, scheme: Scheme) -> None:
        super().__init__()
        self.books, self.scheme = Books(url), scheme
        set_scheme(self.books, scheme)
        self.orders: list[tuple[int, date, int, int]] = []
        """Transaction, day, points, how many of them refunded."""
        self.refunded: set[int] = set()
        """Orders of which something was refunded, also if it was another order's in the end."""
        self.fresh = False

    def teardown(self) -> None:
        self.books.close()

    def today(self) -> date:
        return self.books.now.astimezone(SHANGHAI).date()

    def sum(self) -> int:
        first, last = tiers.window_of(self.scheme, self.today())
        return sum(points - gone for _, on, points, gone in self.orders if first <= on < last)

    @rule(points=st.sampled_from([20, 60, 100, 150, 310]))
    def earns(self, points: int) -> None:
        self.orders.append((self.books.award(points, qualifies=True), self.today(), points, 0))
        self.fresh = False

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), share=st.sampled_from([0.3, 1]))
    def is_refunded(self, data: Any, share: float) -> None:
        number = data.draw(st.integers(0, len(self.orders) - 1))
        txn, on, points, gone = self.orders[number]
        gone = max(gone, int(points * share))
        self.books.claw(txn, gone)
        self.refunded.add(txn)
        self.orders[number] = (txn, on, points, gone)
        self.fresh = False

    @precondition(lambda self: any(gone for *_, gone in self.orders))
    @rule(data=st.data(), share=st.sampled_from([0, 0.5]))
    def a_refund_was_another_orders(self, data: Any, share: float) -> None:
        number = data.draw(st.sampled_from([number for number, one in enumerate(self.orders) if one[3]]))
        txn, on, points, gone = self.orders[number]
        self.books.let_back(txn, int(gone * share))
        self.orders[number] = (txn, on, points, int(gone * share))
        self.fresh = False

    @rule(days=st.sampled_from([1, 20, 40, 200, 366, 800]))
    def time_passes(self, days: int) -> None:
        self.books.now += timedelta(days=days)
        self.fresh = False

    @rule()
    def is_looked_at(self) -> None:
        key = look(self.books)
        assert self.scheme.place(key) >= self.scheme.reached(self.sum()), "I25: upgrade instant"
        count = len(self.books.rows(TierChange))
        assert look(self.books) == key
        assert len(self.books.rows(TierChange)) == count
        self.fresh = True

    @invariant()
    def i25_what_counts_is_the_sum_of_the_window(self) -> None:
        with self.books.work() as work:
            earned = tiers.counting(work.db, self.books.own(0))
        assert tiers.counter(earned, SHANGHAI)(tiers.window_of(self.scheme, self.today())) == self.sum()

    @invariant()
    def i25_nothing_is_lost_inside_its_validity(self) -> None:
        rows = self.books.rows(TierChange)
        for before, after in pairwise(rows):
            assert after.before == before.after
            assert after.until_before == before.until
            lower = self.scheme.place(after.after) < self.scheme.place(after.before)
            if lower and after.why != "undone":
                assert after.until_before is not None
                assert after.at.astimezone(SHANGHAI).date() >= after.until_before
            if after.why == "undone":
                assert before.why == "up"
                assert after.recorded_at - before.recorded_at <= timedelta(days=30)
                assert before.cause in self.refunded

    @invariant()
    def a_tier_has_an_end_at_a_new_year_and_the_lowest_none(self) -> None:
        for one in self.books.rows(TierChange):
            assert (one.until is None) == (self.scheme.place(one.after) == 0)
            assert one.until is None or (one.until.month, one.until.day) == (1, 1)


SCHEMES = [LOW, LOW.model_copy(update={"window": "rolling", "downgrade": "recompute"})]


@pytest.mark.parametrize("scheme", SCHEMES, ids=["year, one down", "rolling, recompute"])
def test_i25_a_tier_comes_at_once_and_goes_only_at_its_end(sqlite_ground: Ground, scheme: Scheme) -> None:
    walk(partial(Tiers, scheme=scheme), sqlite_ground, sqlite=20)

"""L5 and L6 of the worked examples, and what a forecast promises whatever it is given."""

from datetime import date
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.expiry import add_months
from loyalty.liability.accounting import allocated, alone, nearest, position
from loyalty.liability.backtest import backtest
from loyalty.liability.forecast import (
    ALL,
    CHAIN,
    ENDS,
    OTHERS,
    OVER,
    TAIL,
    UNKNOWN,
    Estimate,
    estimate,
    factors,
    forecast,
    pattern,
    prior,
    sources,
)
from loyalty.liability.triangle import Cell, Cohort, pooled
from soak import many

QUARTERS = [date(2025, month, 1) for month in (1, 4, 7, 10)]
ISSUED = (100_000, 120_000, 150_000, 200_000)
REDEEMED: tuple[tuple[int, ...], ...] = (
    (20_000, 35_000, 45_000, 50_000),
    (24_000, 43_200, 54_000),
    (33_000, 57_000),
    (42_000,),
)
LIVES = 4
L5 = Cell(
    [
        Cohort(quarter, issued, redeemed, dies={LIVES: issued - redeemed[-1]} if len(redeemed) < LIVES else {})
        for quarter, issued, redeemed in zip(QUARTERS, ISSUED, REDEEMED, strict=True)
    ]
)
WHOLE = Fraction(0)
"""No cohort is too young to go by itself: the chain ladder alone."""


def rounded(number: Any, digits: int = 2) -> float:
    return round(float(number), digits)


def test_l5_the_cohort_forecast() -> None:
    found = forecast({"all": L5}, LIVES, young=WHOLE)
    estimates = found.cells["all"]
    assert [rounded(one, 6) for one in factors(L5.cohorts)] == [1.755844, 1.265985, 1.111111]
    assert [rounded(one.ultimate) for one in estimates] == [50_000, 60_000, 80_179.03, 103_734.02]
    assert [rounded(100 * one.rate) for one in estimates] == [50.0, 50.0, 53.45, 51.87]
    assert [rounded(one.future) for one in estimates] == [0, 6_000, 23_179.03, 61_734.02]
    assert rounded(found.total.value) == 90_913.04
    assert rounded(100 * sum(one.ultimate for one in estimates) / sum(ISSUED)) == 51.56
    assert [one.method for one in estimates] == [OVER, CHAIN, CHAIN, CHAIN]


def test_l5_bornhuetter_ferguson_for_the_youngest() -> None:
    of = pattern(L5.cohorts, LIVES)
    expected = prior(L5.cohorts, of)
    assert expected == Fraction(1, 2)
    assert rounded(100 * of.share(1), 3) == 40.488
    young = estimate(L5.cohorts[-1], of, expected)
    assert (young.method, rounded(young.ultimate)) == (OTHERS, 101_511.83)


def test_l5_deferred_revenue_and_expected_cost() -> None:
    """Sales of 1 元 a point, a face of 0.01 元: in fen here."""
    estimates = forecast({"all": L5}, LIVES, young=WHOLE).cells["all"]
    parts, left = [], []
    for one in estimates:
        part = allocated(100 * one.cohort.issued, alone(one.cohort.issued, Fraction(1), one.rate))
        parts.append(part)
        left.append(position(part, one.cohort.so_far, one.ultimate).deferred)
    assert [nearest(one) for one in parts] == [49_751, 59_701, 79_753, 103_199]
    assert [nearest(one) for one in left] == [0, 5_970, 23_056, 61_415]
    assert nearest(sum(left, Fraction())) == 90_441
    assert nearest(sum((one.future for one in estimates), Fraction()) * Fraction(6, 10)) == 54_548


def test_l6_looking_back_at_l5() -> None:
    then = L5.earlier(1)
    assert [rounded(one, 6) for one in factors(then.cohorts)] == [1.777273, 1.285714]
    seen = backtest({"all": L5}, sources({"all": L5}), LIVES, months=1, young=WHOLE)
    assert [(one.age, rounded(one.said), one.came) for one in seen.told] == [
        (3, 12_342.86, 10_800),
        (2, 25_650.0, 24_000),
    ]
    totals = [L5.cohorts[1].at(2) + seen.told[0].said, L5.cohorts[2].at(1) + seen.told[1].said]
    assert [rounded(one) for one in totals] == [55_542.86, 58_650.0]
    assert [rounded(100 * (said / came - 1)) for said, came in zip(totals, (54_000, 57_000), strict=True)] == [
        2.86,
        2.89,
    ]
    assert (rounded(seen.total.said), seen.total.came) == (37_992.86, 34_800)
    assert seen.total.bias is not None
    assert rounded(100 * seen.total.bias) == 9.17
    assert seen.mape == seen.total.bias  # of one month


# --- what is known decides how it is estimated -----------------------------------------------------------------------


def steady(months: int, issued: int = 10_000, lives: int = 13, seen: int | None = None) -> Cell:
    """Cohorts of which a tenth is redeemed in the first month and four fifths of that in each that follows."""
    cohorts = []
    for number in range(months):
        ages, so_far, row = months - number, 0, []
        for age in range(ages):
            so_far += round(issued / 10 * 0.8**age) if age < lives else 0
            row.append(so_far)
        dies: dict[int | None, int] = {lives: issued - so_far} if ages < lives else {}
        cohorts.append(Cohort(add_months(date(2024, 1, 1), number), issued, tuple(row), dies=dies))
    return Cell(cohorts, seen if seen is not None else 100)


def test_with_two_months_nothing_is_guessed_and_every_point_counts() -> None:
    cell = steady(2)
    found = forecast({"all": cell}, 13)
    assert found.patterns["all"].tail == UNKNOWN
    assert [one.method for one in found.cells["all"]] == [ALL, ALL]
    assert found.total.value == sum(one.open for one in cell.cohorts)


def test_a_tail_is_fitted_where_points_outlive_what_was_seen() -> None:
    """Eight months of points that live thirteen: what is fitted comes within a twentieth of what will be."""
    found = forecast({"all": steady(8)}, 13)
    assert found.patterns["all"].tail == TAIL
    whole = steady(20).cohorts[0].at(13)
    assert float(found.cells["all"][0].ultimate) == pytest.approx(whole, rel=0.05)


def test_where_nothing_comes_any_more_the_tail_is_flat() -> None:
    row = (1_000, 1_500, 1_500, 1_500, 1_500)
    found = pattern([Cohort(date(2024, 1, 1), 10_000, row, dies={None: 8_500})], None)
    assert (found.tail, found.share(5), found.share(9)) == (TAIL, 1, 1)


def test_without_a_single_redemption_nothing_is_concluded() -> None:
    cohorts = [Cohort(add_months(date(2024, 1, 1), n), 1_000, (0,) * (3 - n), dies={4: 1_000}) for n in range(3)]
    found = forecast({"all": Cell(cohorts)}, 4)
    assert {one.method for one in found.cells["all"]} == {ALL}
    assert found.total.value == 3_000


def test_a_cohort_of_which_nothing_was_redeemed_goes_by_the_others_however_old_it_is() -> None:
    """Its own pattern would make nothing of it, and all of its part of the sales revenue at once."""
    old = Cohort(date(2024, 1, 1), 1_000, (100, 300, 500, 500))
    late = Cohort(date(2024, 2, 1), 1_000, (0, 0, 0), dies={4: 1_000})
    found = forecast({"all": Cell([old, late])}, 4).cells["all"][1]
    assert found.method == OTHERS
    slow = Cohort(date(2024, 3, 1), 1_000, (0, 0), dies={4: 1_000})
    of = pattern([old], 4)
    assert estimate(slow, of, Fraction(1, 2)).ultimate == Fraction(1, 2) * 1_000 * (1 - of.share(2)) == 200
    assert estimate(slow, of, None).method == ALL


def test_no_month_takes_more_than_lives_in_it() -> None:
    """300 die at the end of age 2; the pattern would take 600 then and 600 later."""
    old = [Cohort(date(2024, 1, 1), 2_000, (600, 1_200, 1_800), dies={})]
    one = Cohort(date(2024, 3, 1), 2_000, (600,), dies={2: 300, 3: 100})
    found = estimate(one, pattern(old, 3), Fraction(9, 10), WHOLE)
    assert list(found.months) == [400, 0]
    assert found.ultimate == 1_000


def test_what_came_since_the_last_month_is_taken_off_the_next() -> None:
    found = estimate(
        Cohort(date(2025, 10, 1), 200_000, (42_000,), recent=10_000, dies={4: 148_000}),
        pattern(L5.cohorts, LIVES), None, WHOLE,
    )  # fmt: skip
    assert rounded(found.months[0]) == rounded(Fraction(42_000 * 135_200, 77_000) - 42_000 - 10_000)
    assert rounded(found.ultimate) == 103_734.02


def test_a_cell_with_few_redeemers_goes_by_all_together() -> None:
    few, many_ = steady(20, issued=500, seen=29), steady(20, seen=30)
    found = forecast({"few": few, "many": many_}, 13)
    assert found.own == {"many"}
    assert sources({"few": few, "many": many_})["few"].cohorts == pooled([few, many_]).cohorts
    assert found.patterns["few"] == pattern(pooled([few, many_]).cohorts, 13)
    assert found.patterns["few"].tail == ENDS


def test_the_range_holds_what_comes_in_most_months_of_an_uneven_shop() -> None:
    """Months differ by a quarter, which no cohort shows by itself: what looking back has shown widens the range."""
    inside, wide, months = 0, 0, 0
    for seed in range(many(8, 60)):
        cell, came = _uneven(Random(seed))
        looked_back = backtest({"all": cell}, {"all": cell}, 13)
        found = forecast({"all": cell}, 13, ratios=looked_back.ratios)
        narrow = forecast({"all": cell}, 13)
        for one, other, actual in zip(found.months, narrow.months, came, strict=False):
            inside += one.low <= actual <= one.high
            wide += other.low <= actual <= other.high
            months += 1
    assert inside / months > 0.7
    assert wide / months < inside / months


def _uneven(chance: Random, months: int = 24, lives: int = 13) -> tuple[Cell, list[int]]:
    mood = [chance.lognormvariate(0, 0.25) for _ in range(months + lives)]
    cohorts, to_come = [], [0] * lives
    for number in range(months):
        issued, so_far, row = chance.randint(50_000, 150_000), 0, []
        for age in range(lives):
            more = min(int(issued * 0.12 * 0.8**age * mood[number + age]), issued - so_far)
            if number + age < months:
                so_far += more
                row.append(so_far)
            else:
                to_come[number + age - months] += more
        row += [so_far] * (months - number - len(row))
        dies: dict[int | None, int] = {lives: issued - so_far} if months - number < lives else {}
        cohorts.append(Cohort(add_months(date(2024, 1, 1), number), issued, tuple(row), dies=dies))
    return Cell(cohorts, 100), to_come[:-1]


# --- promises --------------------------------------------------------------------------------------------------------


@st.composite
def triangles(draw: st.DrawFn) -> tuple[Cell, int | None]:
    """Any history there can be: points given back, taken back, dead; cohorts without a redemption."""
    months, lives = draw(st.integers(1, 7)), draw(st.one_of(st.none(), st.integers(1, 9)))
    cohorts = []
    for number in range(months):
        issued = draw(st.integers(1, 5_000))
        redeemed, row, cancelled, taken = 0, [], 0, []
        for _age in range(months - number):
            redeemed = draw(st.integers(max(0, redeemed - 50), issued - cancelled))
            cancelled = draw(st.integers(cancelled, issued - redeemed))
            row.append(redeemed)
            taken.append(cancelled)
        recent = draw(st.integers(0, issued - redeemed - cancelled))
        left = draw(st.integers(0, issued - redeemed - cancelled - recent))
        ages = st.one_of(st.none(), st.integers(len(row) + 1, len(row) + 6))
        dies = {draw(ages): left} if left else {}
        cohorts.append(Cohort(add_months(date(2024, 1, 1), number), issued, tuple(row), tuple(taken), recent, 0, dies))
    return Cell(cohorts, draw(st.integers(0, 60))), lives


def possible(one: Estimate) -> None:
    assert all(month >= 0 for month in one.months)
    assert 0 <= one.future <= one.cohort.open
    assert one.cohort.so_far <= one.ultimate <= one.cohort.kept
    assert 0 <= one.rate <= 1
    for dies, points in one.cohort.dies.items():
        if dies is not None and len(one.cohort.dies) == 1:
            assert sum(one.months[dies - one.cohort.age :], Fraction()) == 0 or points == 0


@given(triangles())
@settings(max_examples=many(40, 500), deadline=None)
def test_no_forecast_is_beyond_what_is_there_and_it_is_the_same_again(known: tuple[Cell, int | None]) -> None:
    cell, lives = known
    first, again = (forecast({"a": cell, "b": cell}, lives, ratios=(0.5, 1.5)) for _ in range(2))
    assert first == again
    for some in first.cells.values():
        for one in some:
            possible(one)
    assert first.total.value == sum((one.future for some in first.cells.values() for one in some), Fraction())
    assert sum((one.value for one in first.months), Fraction()) == first.total.value
    there = 2 * sum(one.open for one in cell.cohorts)
    assert all(0 <= one.low <= one.high <= there + 0.001 for one in (first.total, *first.months))


@given(triangles())
@settings(max_examples=many(12, 500), deadline=None)
def test_looking_back_compares_with_what_came_and_says_the_same_as_a_forecast_then(
    known: tuple[Cell, int | None],
) -> None:
    cell, lives = known
    seen = backtest({"a": cell}, {"a": cell}, lives)
    cohorts = {one.month: one for one in cell.cohorts}
    for one in seen.told:
        cohort = cohorts[one.cohort]
        assert one.came == cohort.at(one.age) - cohort.at(one.age - 1)
        assert cohort.age - one.back == one.age - 1
        then = forecast({"a": cell.earlier(one.back)}, lives).cells["a"]
        (as_then,) = [each for each in then if each.cohort.month == one.cohort]
        if as_then.method not in (ALL, OVER):
            assert one.said == as_then.months[0]

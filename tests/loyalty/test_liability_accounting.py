"""L1–L4 of the worked examples, and the promises of §3.3 about money."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.liability.accounting import Position, allocated, alone, nearest, position, posted
from soak import many

amounts = st.integers(min_value=0, max_value=10**9)
rates = st.fractions(min_value=0, max_value=1, max_denominator=997)


def test_l1_ifrs_15_example_52() -> None:
    goods, points = posted(
        [Fraction(100_000) - allocated(100_000, Fraction(9_500)), allocated(100_000, Fraction(9_500))]
    )
    assert (goods, points) == (91_324, 8_676)
    first, second = position(Fraction(points), 4_500, 9_500), position(Fraction(points), 8_500, 9_700)
    year_1, year_2 = nearest(first.recognised), nearest(second.recognised)
    assert (year_1, year_2 - year_1, points - year_2) == (4_110, 3_493, 1_073)


@pytest.mark.parametrize(("expected", "third_year"), [(9_900, 3_552), (9_200, 4_140)])
def test_l2_kpmg_10a_and_10b(expected: int, third_year: int) -> None:
    points = Fraction(9_000)  # as KPMG rounds the split
    second = nearest(position(points, 4_500, 9_700).recognised)
    assert second == 4_175
    assert nearest(position(points, 8_500, expected).recognised) - second == third_year


def test_l3_the_exam_problem() -> None:
    """In 万元, posted to two digits."""
    part = allocated(30_000, alone(30_000, Fraction(1, 100), Fraction(80, 100)))
    goods, points = posted([100 * (30_000 - part), 100 * part])
    assert (goods, points) == (2_976_190, 23_810)
    first, second = position(part, 18_000, 27_000), position(part, 25_000, 30_000)
    assert (nearest(100 * first.recognised), nearest(100 * first.deferred)) == (15_873, 7_937)
    assert nearest(100 * (second.recognised - first.recognised)) == 3_968
    assert nearest(100 * second.deferred) == 3_968


def test_l4_the_split_is_exact_and_its_last_posting_takes_the_rest() -> None:
    part = allocated(200_000, alone(2_000, Fraction(10), Fraction(85, 100)))
    assert posted([200_000 - part, part]) == [184_332, 15_668]
    assert posted([part, 200_000 - part]) == [15_668, 184_332]
    rounded = [Fraction(92, 100) * 2_000, Fraction(8, 100) * 2_000]
    assert posted(rounded) == [1_840, 160]  # shares rounded first say something else


def test_tax_is_no_part_of_what_is_deferred() -> None:
    assert allocated(113, Fraction(113), Fraction(13, 100)) == 50
    assert allocated(0, Fraction(100)) == allocated(0, Fraction()) == 0


@given(st.lists(st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=997), min_size=1, max_size=20))
@settings(max_examples=many(60, 500))
def test_postings_add_up_to_the_whole(parts: list[Fraction]) -> None:
    made = posted(parts)
    assert sum(made) == nearest(sum(parts, Fraction()))
    assert all(abs(one - part) <= Fraction(1, 2) for one, part in zip(made[:-1], parts[:-1], strict=True))


@given(amounts, st.integers(0, 10**6), rates, st.lists(st.tuples(st.integers(0, 10**4), rates), max_size=12))
@settings(max_examples=many(60, 500))
def test_over_its_life_a_cohort_becomes_revenue_whole_and_never_owes_less_than_nothing(
    sale: int, points: int, rate: Fraction, steps: list[tuple[int, Fraction]]
) -> None:
    """Whatever is estimated meanwhile: what was recognised in parts is in the end what was allocated."""
    part = allocated(sale, alone(points, Fraction(1), rate))
    assert 0 <= part <= sale
    redeemed, booked = 0, 0
    for more, share in steps:
        redeemed = min(points, redeemed + more)
        now = position(part, redeemed, redeemed + (points - redeemed) * share)
        assert 0 <= now.deferred <= part
        booked += nearest(now.recognised) - booked
    end = position(part, redeemed, redeemed)  # nothing more is to come: all redeemed, or dead
    assert end == Position(part, part)
    assert end.deferred == 0
    assert booked + (nearest(part) - booked) == nearest(part)


@given(amounts, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
@settings(max_examples=many(60, 500))
def test_a_higher_estimate_means_less_revenue_so_far(part: int, redeemed: int, open_: int, more: int) -> None:
    low, high = redeemed + open_, redeemed + open_ + more
    assert position(Fraction(part), redeemed, high).recognised <= position(Fraction(part), redeemed, low).recognised

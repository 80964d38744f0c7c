"""Published cases, to the last digit given, and assignments that stay."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach import proportions
from outreach.arms import BUCKETS, CONTROL, arm_of, bucket
from outreach.experiments import Saying, effect_on_reached, judge
from outreach.proportions import Share, always_valid_lift, newcombe, people_needed, sample_ratio, wilson, z_test


@pytest.mark.parametrize(
    ("x", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_newcombe_1998_prints_it(x: int, n: int, low: float, high: float) -> None:
    found = wilson(Share(x, n))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((7, 34), (1, 34), 0.0189, 0.3404),
    ],
)
def test_newcombe_as_printed(one: tuple[int, int], other: tuple[int, int], low: float, high: float) -> None:
    found = newcombe(Share(*one), Share(*other))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_the_z_test_as_printed() -> None:
    z, p = z_test(Share(56, 70), Share(48, 80))
    assert (round(z, 4), round(p, 5)) == (2.6502, 0.00805)
    z, p = z_test(Share(120, 10_000), Share(100, 10_000))
    assert (round(z, 4), round(p, 4)) == (1.3559, 0.1751)
    found = newcombe(Share(120, 10_000), Share(100, 10_000))
    assert (round(found.low, 5), round(found.high, 5)) == (-0.00090, 0.00493)


@pytest.mark.parametrize(
    ("before", "after", "power", "n"),
    [(0.50, 0.75, 0.90, 76.70693), (0.2, 0.25, 0.8, 1093.7), (0.1, 0.12, 0.8, 3840.8), (0.05, 0.07, 0.8, 2212.2)],
)
def test_how_many_people_it_takes_as_r_says(before: float, after: float, power: float, n: float) -> None:
    assert people_needed(before, after, power=power) == pytest.approx(n, abs=0.06 if n > 100 else 0.00002)


def test_the_power_of_fifty_as_r_says() -> None:
    assert round(proportions.power_of(50, 0.5, 0.75), 4) == 0.7402
    assert round(people_needed(0.03, 0.04, power=0.8), 1) == 5300.7


def test_a_wrong_spread_over_the_arms_is_seen() -> None:
    assert sample_ratio([5000, 5400], [1, 1]) == pytest.approx(8.77e-05, rel=1e-3)
    assert round(sample_ratio([490, 510], [1, 1]), 3) == 0.527
    assert sample_ratio([100, 100, 100], [1, 1, 1]) == 1.0
    assert judge(Share(500, 5000), Share(500, 5400)).saying == Saying.WRONG_SPREAD


@pytest.mark.parametrize(("freedom", "distance"), [(1, 3.841), (2, 5.991), (3, 7.815), (4, 9.488), (5, 11.070)])
def test_the_tails_of_chi_square_as_every_table_has_them(freedom: int, distance: float) -> None:
    assert proportions._chi_square_tail(distance, freedom) == pytest.approx(0.05, abs=2e-5)


def test_looking_at_any_time_as_growthbook_does() -> None:
    found = always_valid_lift(Share(1396, 3000), Share(2422, 3461))
    assert (round(found.low, 5), round(found.high, 5)) == (0.40098, 0.60675)


def test_by_assignment_and_for_those_it_reached() -> None:
    found = judge(Share(150, 1000), Share(110, 1000))
    assert found.saying == Saying.DIFFERENCE
    assert (round(found.difference, 3), round(found.p, 4)) == (0.04, 0.0078)
    assert (round(found.interval.low, 4), round(found.interval.high, 4)) == (0.0105, 0.0695)
    reached = effect_on_reached(found.difference, Share(600, 1000))
    assert reached is not None
    assert round(reached, 3) == 0.067
    assert effect_on_reached(found.difference, Share(0, 1000)) is None


def test_nothing_is_said_before_the_end_or_of_too_few() -> None:
    assert judge(Share(150, 1000), Share(110, 1000), over=False).saying == Saying.NOT_YET
    assert judge(Share(150, 1000), Share(110, 1000), needed=1001).saying == Saying.NOT_YET
    assert judge(Share(30, 40), Share(9, 40)).saying == Saying.NOT_YET
    assert judge(Share(111, 1000), Share(110, 1000)).saying == Saying.NO_DIFFERENCE


def test_the_published_buckets() -> None:
    assert [bucket("winback-2024q1", f"p_{n:06d}") for n in (1, 2, 3)] == [3493, 2678, 3073]


ARMS = st.lists(st.integers(1, 2000), min_size=1, max_size=5).map(
    lambda some: {CONTROL: BUCKETS - sum(some[1:4]), **{f"v{n}": share for n, share in enumerate(some[1:4])}}
)


@given(st.text(min_size=1), st.integers(1, 10**9), ARMS)
def test_j8_an_assignment_depends_on_key_and_person_alone(key: str, number: int, arms: dict[str, int]) -> None:
    assert arm_of(key, f"p_{number}", arms) == arm_of(key, f"p_{number}", dict(arms))


def test_people_are_spread_as_the_shares_say() -> None:
    arms = {CONTROL: 500, "a": 4750, "b": 4750}
    seen = Counter(arm_of("spring", f"p_{n}", arms) for n in range(20_000))
    assert sample_ratio([seen[one] for one in arms], list(arms.values())) > 0.001
    with pytest.raises(ValueError, match="9999"):
        arm_of("spring", "p_1", {"a": 9999})

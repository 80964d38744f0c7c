"""What an order earns and what remains of it after refunds: exact, in any order of parts (I16, I17, I23, G2)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.earning import ONE, Boost, Terms, by_line, chosen, earn, exact, still_earned

FACTORS = st.integers(ONE, 5 * ONE)
BOOSTS = st.lists(
    st.builds(
        Boost,
        campaign_id=st.integers(1, 5),
        name=st.just("加速日"),
        factor=FACTORS,
        stacks=st.booleans(),
        room=st.none() | st.integers(0, 500),
    ),
    max_size=3,
    unique_by=lambda one: one.campaign_id,
)
TERMS = st.builds(
    Terms,
    rate=st.integers(0, 3 * ONE),
    tier=st.just("金卡"),
    tier_factor=st.integers(ONE, 2 * ONE),
    boosts=BOOSTS,
    order_cap=st.none() | st.integers(1, 2000),
    day_room=st.none() | st.integers(0, 2000),
)
BASIS = st.integers(0, 2_000_000)


def claws(basis: int, terms: Terms, refunds: list[int]) -> list[int]:
    """What each of these refunds takes back."""
    earned, gone, found = earn(basis, terms), 0, []
    left = earned.total
    for one in refunds:
        gone += one
        now = still_earned(earned.because, earned.total, gone)
        found.append(left - now)
        left = now
    return found


def test_g2_an_order_with_a_level_and_a_campaign_and_its_three_refunds() -> None:
    terms = Terms(ONE, "金卡", 12_000, [Boost(1, "加速日", 20_000)])
    earned = earn(199_90, terms)
    assert (earned.total, earned.base, earned.bonus) == (479, 199, 280)
    assert claws(199_90, terms, [50_00, 100_00, 49_90]) == [120, 240, 119]


def test_g2_no_point_leaks_where_each_refund_alone_would_be_rounded_down() -> None:
    assert claws(10_00, Terms(), [3_33, 3_33, 3_34]) == [4, 3, 3]


def test_a_rate_of_one_gives_a_point_a_whole_yuan() -> None:
    assert [exact(one, ONE, []) for one in (0, 99, 100, 199_90)] == [0, 0, 1, 199]


def test_the_best_campaign_counts_and_those_that_stack_go_on_top() -> None:
    two, three, extra = Boost(1, "双倍", 20_000), Boost(2, "三倍", 30_000), Boost(3, "叠加", 15_000, stacks=True)
    assert chosen([two, three, extra]) == [three, extra]
    assert earn(100_00, Terms(boosts=[two, three, extra])).total == 450
    assert earn(100_00, Terms(boosts=[two, extra])).by_campaign == {1: 100, 3: 100}


def test_what_a_cap_leaves_no_room_for_is_not_given_and_the_breakdown_says_so() -> None:
    earned = earn(100_00, Terms(boosts=[Boost(7, "双倍", 20_000, room=30)]))
    assert (earned.base, earned.bonus, earned.by_campaign) == (100, 30, {7: 30})
    assert earned.because["limits"] == {"campaign:7": 30}
    capped = earn(100_00, Terms(order_cap=40, day_room=60))
    assert (capped.total, capped.because["limits"]) == (40, {"order": 40})


@settings(max_examples=200, deadline=None)
@given(BASIS, TERMS)
def test_i23_base_and_bonus_are_whole_and_a_factor_of_one_adds_nothing(basis: int, terms: Terms) -> None:
    earned = earn(basis, terms)
    assert earned.base >= 0
    assert earned.bonus >= 0
    assert sum(earned.by_campaign.values()) <= earned.bonus
    assert earn(basis, Terms(terms.rate)).bonus == 0


@settings(max_examples=200, deadline=None)
@given(BASIS, st.integers(0, 100_000), TERMS)
def test_i23_more_money_never_earns_less(basis: int, more: int, terms: Terms) -> None:
    assert earn(basis + more, terms).total >= earn(basis, terms).total


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=12), st.integers(0, 5000))
def test_i23_the_points_of_the_lines_are_those_of_the_order(amounts: list[int], points: int) -> None:
    shares = by_line(amounts, points)
    assert sum(shares) == points
    assert all(one >= 0 for one in shares)
    if whole := sum(amounts):
        assert all(abs(share - points * one / whole) < 1 for one, share in zip(amounts, shares, strict=True))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 500_000), TERMS, st.data())
def test_i16_however_money_comes_back_the_same_points_remain(basis: int, terms: Terms, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, basis), max_size=6)))
    parts = [after - before for before, after in zip([0, *cuts], [*cuts, basis], strict=True)]
    earned = earn(basis, terms)
    taken = claws(basis, terms, data.draw(st.permutations(parts)))
    assert sum(taken) == earned.total
    assert still_earned(earned.because, earned.total, basis) == 0


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 500_000), TERMS, st.lists(st.integers(0, 100_000), max_size=6))
def test_i17_a_further_refund_never_gives_points(basis: int, terms: Terms, refunds: list[int]) -> None:
    assert all(one >= 0 for one in claws(basis, terms, refunds))

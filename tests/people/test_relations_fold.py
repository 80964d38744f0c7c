"""F5, F6: what became of a relation, whatever the order in which it was told."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from people.relations import (
    DELETED_BY_CUSTOMER,
    DELETED_BY_REP,
    FULL,
    HALF,
    TAKEN_OVER,
    TRANSFERRED,
    Fact,
    Stretch,
    fold,
    state_of,
)
from soak import many
from tests.people import model
from tests.people.model import Life, Side, Told

T0 = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
KIND = {
    model.ADD: FULL,
    model.HALF: HALF,
    model.BY_REP: DELETED_BY_REP,
    model.BY_CUSTOMER: DELETED_BY_CUSTOMER,
    model.HANDED_OVER: TRANSFERRED,
}


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def moment(second: int | None) -> datetime | None:
    return None if second is None else datetime.fromtimestamp(second, UTC)


def fact_of(told: Told) -> Fact:
    when = datetime.fromtimestamp(told.at, UTC)
    return Fact(KIND[told.what], when, told.state or None, had_code=bool(told.code))


def folded(events: list[Told], reps: tuple[str, ...]) -> dict[str, list[Stretch]]:
    """Every side of the customer, as the shop keeps it: one fact for each kind and second."""
    kept = {rep: {(e.what, e.at): fact_of(e) for e in events if e.rep == rep and e.what in KIND} for rep in reps}
    lost = {rep: [f.at for f in kept[rep].values() if f.kind == TRANSFERRED] for rep in reps}
    return {
        rep: fold(kept[rep].values(), [when for other in reps if other != rep for when in lost[other]]) for rep in reps
    }


def as_model(stretch: Stretch) -> list[object]:
    return [
        stretch.began_at,
        stretch.confirmed_at,
        stretch.ended_at,
        stretch.ended_by,
        stretch.origin,
        stretch.source_state,
    ]


def as_times(side: Side) -> list[list[object]]:
    return [[moment(b), moment(c), moment(e), *rest] for b, c, e, *rest in side.times]  # type: ignore[arg-type]


@settings(max_examples=many(300, 20_000), deadline=None, database=None)
@given(seed=st.integers(0, 2**40), length=st.integers(1, 40))
def test_any_order_folds_to_what_really_happened(seed: int, length: int) -> None:
    reps = ("zhangsan", "lisi", "wangwu")
    life = Life(seed, reps, int(T0.timestamp()), length)
    sides = folded(life.shuffled(), reps)
    for rep in reps:
        assert state_of(sides[rep]) == life.sides[rep].state, rep
        assert [as_model(one) for one in sides[rep]] == as_times(life.sides[rep]), rep


CASES = {
    "a half add that is confirmed": ([Fact(HALF, at(0), "s"), Fact(FULL, at(3), "s")], "active", 1),
    "a half add and its confirmation in one second": ([Fact(HALF, at(0)), Fact(FULL, at(0))], "active", 1),
    "an add and a parting in one second": (
        [Fact(FULL, at(0)), Fact(DELETED_BY_CUSTOMER, at(0))],
        "ended_by_customer",
        1,
    ),
    "a parting and a return in one second": (
        [Fact(FULL, at(0)), Fact(DELETED_BY_REP, at(9)), Fact(FULL, at(9))],
        "active",
        2,
    ),
    "a parting and a half return in one second": (
        [Fact(FULL, at(0)), Fact(DELETED_BY_REP, at(9)), Fact(HALF, at(9)), Fact(FULL, at(9))],
        "active",
        2,
    ),
    "half added, confirmed and parted in one second": (
        [Fact(HALF, at(0)), Fact(FULL, at(5)), Fact(DELETED_BY_REP, at(5))],
        "ended_by_rep",
        1,
    ),
    "both parted": (
        [Fact(FULL, at(0)), Fact(DELETED_BY_REP, at(1)), Fact(DELETED_BY_CUSTOMER, at(2))],
        "ended_by_both",
        1,
    ),
    "only the end was ever told": ([Fact(DELETED_BY_CUSTOMER, at(2))], "ended_by_customer", 1),
    "taken over, then told late": ([Fact(TAKEN_OVER, at(0)), Fact(FULL, at(0), had_code=True)], "active", 1),
    "added again without a parting": ([Fact(FULL, at(0)), Fact(FULL, at(500))], "active", 1),
}


@pytest.mark.parametrize("name", CASES)
def test_every_order_of_a_case_gives_the_same(name: str) -> None:
    facts, state, stretches = CASES[name]
    results = {tuple(fold(one)) for one in permutations(facts)}
    assert len(results) == 1
    (only,) = results
    assert (state_of(only), len(only)) == (state, stretches)


def test_a_transfer_is_neither_arrival_nor_loss() -> None:
    old = fold([Fact(FULL, at(0), had_code=True), Fact(TRANSFERRED, at(100))])
    new = fold([Fact(FULL, at(101))], handed_over_at=[at(100)])
    assert (state_of(old), old[-1].ended_by) == ("transferred", "transfer")
    assert (state_of(new), new[-1].origin) == ("active", "transfer")


@pytest.mark.parametrize(("late", "origin"), [(119, "transfer"), (121, "arrival")])
def test_only_an_add_near_a_transfer_belongs_to_it(late: int, origin: str) -> None:
    assert fold([Fact(FULL, at(late))], handed_over_at=[at(0)])[0].origin == origin


def test_an_add_with_a_code_near_a_transfer_is_an_arrival() -> None:
    assert fold([Fact(FULL, at(1), had_code=True)], handed_over_at=[at(0)])[0].origin == "arrival"
    assert fold([Fact(FULL, at(1), "counter")], handed_over_at=[at(0)])[0].origin == "arrival"


def test_an_assignment_by_the_admin_is_a_transfer_even_if_the_other_half_was_lost() -> None:
    assert fold([Fact(FULL, at(1), add_way=202)])[0].origin == "transfer"


def test_whoever_was_read_by_the_first_fill_and_then_told_has_arrived() -> None:
    assert fold([Fact(TAKEN_OVER, at(2)), Fact(HALF, at(0), "s"), Fact(FULL, at(2), "s")])[0].origin == "arrival"
    assert fold([Fact(TAKEN_OVER, at(0)), Fact(FULL, at(500))])[0].origin == "taken_over"


def test_nothing_told_is_unknown() -> None:
    assert state_of(fold([])) == "unknown"

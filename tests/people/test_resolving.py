"""Who is one person: D1 to D10 of loyalty.md §6.3 as properties of the pure part, its golden case, its faults."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from people import resolving
from people.blocklist import names_nobody
from people.resolving import BOUND, LIMITS, MEDIUM, STRONG, Edge, Pair, Partition, resolve
from soak import many

START = datetime(2026, 1, 1, tzinfo=UTC)
POOLS = {
    "unionid": ["U1", "U2", "U3"],
    "external_userid": ["E1", "E2", "E3"],
    "wx1:openid": ["O1", "O2"],
    "pos:member": ["M1", "M2", "M3"],
    "phone": ["13911110001", "13911110002", "13800138000"],
}


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def edge(
    anchor: int, type_: str, value: str, *, first: float = 0, last: float | None = None, strength: str = STRONG,
    home: bool = False, released: float | None = None,
) -> Edge:  # fmt: skip
    ended = day(first if last is None else last)
    return Edge(anchor, type_, value, strength, day(first), ended, None if released is None else day(released), home)


@st.composite
def edges(draw: st.DrawFn) -> Edge:
    type_ = draw(st.sampled_from(sorted(POOLS)))
    strength = draw(st.sampled_from([STRONG, STRONG, STRONG, BOUND, MEDIUM])) if type_ == "phone" else STRONG
    first = draw(st.integers(0, 400))
    last = first + draw(st.sampled_from([0, 5, 300]))
    released = draw(st.sampled_from([None, None, None, 200]))
    return edge(draw(st.integers(1, 8)), type_, draw(st.sampled_from(POOLS[type_])), first=first, last=last,
                strength=strength, home=draw(st.booleans()), released=released)  # fmt: skip


PAIRS = st.tuples(st.integers(1, 8), st.integers(1, 8)).filter(lambda one: one[0] < one[1])
EVIDENCE = st.lists(edges(), max_size=24)
SAID = st.sets(PAIRS, max_size=4)
THOROUGHLY = settings(max_examples=many(80, 500), deadline=None)


def people(found: Partition) -> set[frozenset[int]]:
    return {frozenset(one) for one in found.groups().values()}


def held(found: Partition, evidence: Sequence[Edge]) -> dict[int, dict[str, set[str]]]:
    """The strong values that count, by person and type."""
    own: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in evidence:
        counts = one.strength == STRONG and one.released is None and one.about not in found.quarantined
        if counts and not names_nobody(*one.about) and (one.anchor, one.type, one.value) not in found.excess:
            own[found.head[one.anchor]][one.type].add(one.value)
    return own


@THOROUGHLY
@given(EVIDENCE, SAID, SAID)
def test_d1_everybody_is_in_exactly_one_person(evidence: list[Edge], cuts: set[Pair], ties: set[Pair]) -> None:
    found = resolve(evidence, cuts=cuts, ties=ties - cuts)
    assert set(found.head) == {one.anchor for one in evidence} | {one for pair in ties - cuts for one in pair}
    for anchor, head in found.head.items():
        assert found.head[head] == head <= anchor
    assert all(found.sure[one] >= found.head[one] for one in found.head), "the sure part is within the person"


@THOROUGHLY
@given(st.data(), EVIDENCE, SAID)
def test_d2_the_order_in_which_evidence_came_changes_nothing(
    data: st.DataObject, evidence: list[Edge], cuts: set[Pair]
) -> None:
    other = data.draw(st.permutations(evidence))
    assert resolve(evidence, cuts=cuts) == resolve(other, cuts=cuts)


AT_ODDS = st.lists(
    st.builds(
        lambda anchor, about, first: edge(anchor, *about, first=first),
        st.integers(1, 6),
        st.sampled_from([("unionid", "U1"), ("unionid", "U2"), ("phone", "13911110001"), ("phone", "13911110002")]),
        st.integers(0, 90),
    ),
    min_size=8,
    max_size=20,
)
"""So much said about so few that much of it contradicts."""


@THOROUGHLY
@given(st.data(), AT_ODDS)
def test_d2_the_numbers_of_anchors_change_nothing_where_evidence_tells_them_apart(
    data: st.DataObject, evidence: list[Edge]
) -> None:
    marks = [edge(one, f"pos{one}:card", "C", home=True) for one in range(1, 9)]  # each anchor has something of its own
    number = dict(zip(range(1, 9), data.draw(st.permutations(range(1, 9))), strict=True))
    renumbered = [replace(one, anchor=number[one.anchor]) for one in [*evidence, *marks]]
    before = people(resolve([*evidence, *marks]))
    assert people(resolve(renumbered)) == {frozenset(number[one] for one in group) for group in before}


def near(evidence: Sequence[Edge], anchor: int) -> set[int]:
    """Everybody whom shared values connect with this anchor."""
    found, new = set(), {anchor}
    while new:
        found |= new
        values = {one.about for one in evidence if one.anchor in found}
        new = {one.anchor for one in evidence if one.about in values} - found
    return found


@THOROUGHLY
@given(EVIDENCE, SAID)
def test_d3_what_is_worked_out_near_somebody_is_what_is_worked_out_of_everything(
    evidence: list[Edge], cuts: set[Pair]
) -> None:
    whole = resolve(evidence, cuts=cuts)
    for anchor in whole.head:
        some = near(evidence, anchor)
        part = resolve([one for one in evidence if one.anchor in some], cuts=cuts)
        assert {one: whole.head[one] for one in some} == part.head


@THOROUGHLY
@given(EVIDENCE, SAID, SAID)
def test_d4_nobody_has_two_unionids_and_whom_somebody_cut_stay_apart(
    evidence: list[Edge], cuts: set[Pair], ties: set[Pair]
) -> None:
    found = resolve(evidence, cuts=cuts, ties=ties)
    assert all(len(own["unionid"]) <= 1 for own in held(found, evidence).values())
    assert not any(found.head.get(a) == found.head.get(b) for a, b in cuts if a in found.head)


MANY_CARDS = st.lists(
    st.builds(
        edge,
        st.integers(1, 8),
        st.sampled_from(["pos:member", "external_userid", "phone"]),
        st.sampled_from([f"1391111000{one}" for one in range(9)]),
        first=st.integers(0, 90),
    ),
    max_size=40,
)


@THOROUGHLY
@given(st.one_of(EVIDENCE, MANY_CARDS), st.sets(PAIRS, max_size=8))
def test_d5_nobody_has_more_of_a_kind_than_its_limit(evidence: list[Edge], ties: set[Pair]) -> None:
    for own in held(resolve(evidence, ties=ties), evidence).values():
        for type_, values in own.items():
            assert len(values) <= resolving.limit_of(type_)


@THOROUGHLY
@given(EVIDENCE, PAIRS)
def test_d6_a_cut_that_is_taken_back_leaves_everything_as_it_was(evidence: list[Edge], pair: Pair) -> None:
    before = resolve(evidence)
    resolve(evidence, cuts=[pair])
    assert resolve(evidence, cuts=[]) == before


@THOROUGHLY
@given(EVIDENCE, st.sampled_from([(type_, value) for type_, pool in POOLS.items() for value in pool]))
def test_d7_a_blocked_value_joins_nobody(evidence: list[Edge], value: tuple[str, str]) -> None:
    without = [one for one in evidence if one.about != value]
    found = resolve(evidence, blocked=[value])
    assert {one: head for one, head in found.head.items() if one in resolve(without).head} == resolve(without).head
    assert value not in {(one.type, one.value) for one in found.joined}


@THOROUGHLY
@given(EVIDENCE, st.integers(0, 400))
def test_d10_evidence_about_others_changes_nobody_else(evidence: list[Edge], first: int) -> None:
    before = resolve(evidence)
    more = [edge(20, "unionid", "U9", first=first), edge(21, "unionid", "U9", first=first)]
    after = resolve([*evidence, *more])
    assert {one: head for one, head in after.head.items() if one < 20} == before.head
    assert after.head[21] == 20


def test_the_golden_case() -> None:
    one_person = [
        edge(1, "external_userid", "ext1", home=True),
        edge(1, "unionid", "U1"),
        edge(2, "wxa:openid", "mini", first=1, home=True),
        edge(2, "unionid", "U1", first=1),
        edge(2, "phone", "13911110001", first=1),
        edge(3, "pos:member", "pos9", first=2, home=True),
        edge(3, "phone", "13911110001", first=2),
    ]
    assert people(resolve(one_person)) == {frozenset({1, 2, 3})}
    another = [
        edge(4, "external_userid", "ext2", first=3, home=True),
        edge(4, "unionid", "U2", first=3),
        edge(4, "phone", "13911110001", first=4),
    ]
    found = resolve([*one_person, *another])
    assert people(found) == {frozenset({1, 2, 3}), frozenset({4})}
    assert [(one.a, one.b, one.type, one.reason) for one in found.conflicts] == [(1, 4, "phone", "two_unionids")]
    blocked = resolve([*one_person, *another], blocked=[("phone", "13911110001")])
    assert people(blocked) == {frozenset({1, 2}), frozenset({3}), frozenset({4})}
    assert not blocked.conflicts


# --- classic faults (§6.4) -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["13800138000", "11111111111", "00000000000", "0", "--", "10086", "12345", "95588", "4001234567", "散客", "guest 7",
     "null", "-1", "None", "游客12", " ", "66666666"],
)  # fmt: skip
def test_default_values_join_nobody(value: str) -> None:
    assert names_nobody("phone", value)
    assert people(resolve([edge(1, "phone", value), edge(2, "phone", value)])) == {frozenset({1}), frozenset({2})}


@pytest.mark.parametrize("value", ["13911112222", "+85291234567", "01012345678", "M10086", "oUnion1"])
def test_real_values_are_no_default_values(value: str) -> None:
    assert not names_nobody("phone" if value.strip("+").isdecimal() else "pos:member", value)


def test_a_tablet_in_the_shop_joins_nobody_once_more_than_five_have_used_it() -> None:
    some = [edge(one, "phone", "13911110001", first=one) for one in range(1, 6)]
    assert people(resolve(some)) == {frozenset(range(1, 6))}
    found = resolve([*some, edge(6, "phone", "13911110001", first=6)])
    assert len(people(found)) == 6
    assert found.quarantined == {("phone", "13911110001")}


def test_a_number_in_a_remark_only_proposes() -> None:
    found = resolve([edge(1, "phone", "13911110001", strength=MEDIUM), edge(2, "phone", "13911110001")])
    assert len(people(found)) == 2
    assert [(one.a, one.b) for one in found.proposals] == [(1, 2)]


def test_a_number_that_was_silent_for_half_a_year_only_proposes() -> None:
    old = edge(1, "phone", "13911110001", first=0, last=10)
    assert len(people(resolve([old, edge(2, "phone", "13911110001", first=190)]))) == 1
    recycled = resolve([old, edge(2, "phone", "13911110001", first=191)])
    assert len(people(recycled)) == 2
    assert len(recycled.proposals) == 1


def test_a_number_that_was_given_up_joins_nobody_who_has_it_later() -> None:
    given_up = edge(1, "phone", "13911110001", first=0, last=10, released=20)
    assert len(people(resolve([given_up, edge(2, "phone", "13911110001", first=5)]))) == 1
    later = resolve([given_up, edge(2, "phone", "13911110001", first=20)])
    assert len(people(later)) == 2
    assert not later.proposals


def test_a_reps_word_joins_but_is_not_sure() -> None:
    found = resolve([edge(1, "external_userid", "E1"), edge(1, "phone", "13911110001", strength=BOUND),
                     edge(2, "phone", "13911110001", strength=MEDIUM, home=True)])  # fmt: skip
    assert found.head == {1: 1, 2: 1}
    assert found.sure == {1: 1, 2: 2}


def test_what_two_reps_bind_to_two_people_stays_with_the_first_and_is_asked_about() -> None:
    till = edge(3, "phone", "13911110001", strength=STRONG, home=True)
    first = edge(1, "phone", "13911110001", first=1, strength=BOUND)
    found = resolve([till, first, edge(2, "phone", "13911110001", first=2, strength=BOUND)])
    assert people(found) == {frozenset({1, 3}), frozenset({2})}
    assert [one.reason for one in found.conflicts] == ["bound_twice"]


def test_somebodys_word_joins_but_never_two_unionids() -> None:
    assert len(people(resolve([edge(1, "pos:member", "M1"), edge(2, "pos:member", "M2")], ties=[(1, 2)]))) == 1
    found = resolve([edge(1, "unionid", "U1"), edge(2, "unionid", "U2")], ties=[(1, 2)])
    assert len(people(found)) == 2


def test_every_kind_of_identity_has_a_limit() -> None:
    assert {resolving.kind_of(one) for one in POOLS} == set(LIMITS)

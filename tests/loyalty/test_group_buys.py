"""Group purchases (积分拼团): all get it or nobody pays; a seat is a person's (I21 of loyalty.md §2.12)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loyalty import group_buys, rewards
from loyalty.group_buys import CannotJoin, Terms
from loyalty.ledger import book
from loyalty.ledger.lots import NotEnough
from loyalty.rewards import CannotRedeem
from storage.tables import GroupBuy, GroupSeat, Person, PointsHold, Redemption
from tests.loyalty.books import START, Books
from tests.loyalty.shelf import Shelf
from tests.machines import Ground, walk

PRICE, PAYS, SEATS, STOCK = 50, 40, 3, 6


def crowd(url: str, more: int = 3) -> Shelf:
    """Books with three people and some more, and groups of three turned on."""
    books = Books(url)
    with books.work() as work:
        for number in range(more):
            person = Person(name=f"路人{number}", first_seen_at=START, last_seen_at=START)
            work.db.add(person)
            work.db.flush()
            books.people.append(book.open_account(work, person.id).id)
        group_buys.set_terms(work, Terms(on=True, seats=SEATS, percent=80, hours=24), by="boss")
    return Shelf(books)


@pytest.fixture
def shelf(database_url: str) -> Any:
    shelf = crowd(database_url)
    for who in range(6):
        shelf.books.award(100, who=who)
    yield shelf
    assert shelf.books.verify().holds
    shelf.books.close()


def ids(shelf: Shelf, who: int) -> tuple[list[int], list[int]]:
    own = shelf.books.own(who)
    return [shelf.persons[one] for one in own], own


def begin(shelf: Shelf, reward: int, who: int = 0, key: str = "g") -> int:
    with shelf.books.work() as work:
        return group_buys.begin(work, *ids(shelf, who), reward, key).id


def join(shelf: Shelf, group: int, who: int) -> GroupSeat:
    with shelf.books.work() as work:
        return group_buys.join(work, *ids(shelf, who), group)


def look(shelf: Shelf, group: int) -> str:
    with shelf.books.work() as work:
        return group_buys.look(work, group).state


def taken(shelf: Shelf, group: int) -> int:
    with shelf.books.work() as work:
        return group_buys.taken(work.db, [group]).get(group, 0)


def merge(shelf: Shelf, joined: bool) -> None:
    """The first and the third turn out to be one person, or two."""
    shelf.books.joined = joined
    with shelf.books.work() as work:
        head = shelf.persons[shelf.books.people[0]] if joined else None
        work.db.get_one(Person, shelf.persons[shelf.books.people[2]]).merged_into = head


def test_with_the_last_seat_all_pay_and_have_a_reward_to_pick_up(shelf: Shelf) -> None:
    mug = shelf.put(points=PRICE, stock=STOCK)
    group = begin(shelf, mug)
    assert (begin(shelf, mug), join(shelf, group, 0).state, join(shelf, group, 1).state) == (group, "open", "open")
    assert (shelf.books.standing().held, shelf.stock(mug)) == (PAYS, STOCK - 2)
    assert join(shelf, group, 3).state == "captured"
    rows = shelf.books.rows(Redemption)
    assert [(one.points, one.state) for one in rows] == [(PAYS, "open")] * 3
    assert shelf.hand_out(rows[0].id).state == "used"
    shelf.give_back(rows[1].id)
    assert [shelf.books.standing(who).available for who in (0, 1, 3)] == [60, 100, 60]
    assert shelf.stock(mug) == STOCK - 2
    with pytest.raises(CannotJoin, match="over"):
        join(shelf, group, 4)


def test_at_the_deadline_everything_comes_back(shelf: Shelf) -> None:
    mug = shelf.put(points=PRICE, stock=STOCK)
    group = begin(shelf, mug)
    join(shelf, group, 1)
    shelf.books.now += timedelta(hours=24)
    with pytest.raises(CannotJoin, match="over"):
        join(shelf, group, 3)
    assert look(shelf, group) == look(shelf, group) == "failed"
    assert taken(shelf, group) == 2
    assert [shelf.books.standing(who).available for who in (0, 1)] == [100, 100]
    assert shelf.stock(mug) == STOCK


def test_of_six_who_join_at_once_three_get_it_and_nobody_else_pays(shelf: Shelf) -> None:
    mug = shelf.put(points=PRICE, stock=STOCK)
    group = begin(shelf, mug)

    def one(who: int) -> str:
        try:
            return join(shelf, group, who).state
        except CannotJoin as error:
            return error.code

    with ThreadPoolExecutor(20) as pool:
        said = Counter(pool.map(one, [who % 6 for who in range(20)]))
    assert said["over"] > 0
    assert sorted(shelf.books.standing(who).available for who in range(6)) == [60, 60, 60, 100, 100, 100]
    assert [one.state for one in shelf.books.rows(GroupBuy)] == ["done"]
    assert shelf.stock(mug) == STOCK - 3


def test_of_two_who_turn_out_to_be_one_a_seat_is_given_back(shelf: Shelf) -> None:
    mug = shelf.put(points=PRICE, stock=STOCK)
    group = begin(shelf, mug)
    join(shelf, group, 2)
    merge(shelf, joined=True)
    assert look(shelf, group) == "open"
    assert shelf.books.standing().held == PAYS
    assert join(shelf, group, 1).state == "open"
    assert join(shelf, group, 3).state == "captured"


@pytest.mark.parametrize("early", [True, False])
def test_a_seat_that_was_given_back_before_is_not_one_that_was_there_at_the_end(shelf: Shelf, early: bool) -> None:
    group = begin(shelf, shelf.put(points=PRICE, stock=STOCK))
    join(shelf, group, 2)
    merge(shelf, joined=True)
    if early:
        assert look(shelf, group) == "open"
    assert taken(shelf, group) == (1 if early else 2)
    shelf.books.now += timedelta(hours=24)
    assert look(shelf, group) == "failed"
    assert taken(shelf, group) == 1


def test_the_shop_turns_it_on_and_a_limit_of_one_holds_over_groups_too(shelf: Shelf) -> None:
    mug = shelf.put(points=PRICE, stock=STOCK, per_person=1)
    begin(shelf, mug)
    with pytest.raises(CannotRedeem, match="person_limit"):
        begin(shelf, mug, key="other")
    with pytest.raises(CannotJoin, match="kind"):
        begin(shelf, shelf.put(kind="coupon"), who=1, key="c")
    with shelf.books.work() as work:
        group_buys.set_terms(work, Terms(), by="boss")
    with pytest.raises(CannotJoin, match="off"):
        begin(shelf, mug, who=1, key="later")


def test_a_group_is_an_activity_once_it_is_full_and_of_all_they_have(shelf: Shelf) -> None:
    books, mug = shelf.books, shelf.put(points=PRICE, stock=STOCK)
    merge(shelf, joined=True)
    for who in (0, 2, 1, 3):
        books.given(50, who=who)
    began = {one.lot_id: one.expires_at for who in (0, 2, 1, 3) for one in books.standing(who).lots if one.idle_months}

    def moved(*who: int) -> set[bool]:
        lots = [one for each in who for one in books.standing(each).lots if one.idle_months]
        return {one.expires_at != began[one.lot_id] for one in lots}

    books.now += timedelta(days=30)
    group = begin(shelf, mug)
    join(shelf, group, 1)
    assert moved(0, 1, 3) == {False}
    join(shelf, group, 3)
    assert moved(0, 1, 3) == {True}


class Groups(RuleBasedStateMachine):
    """Six people, one reward, groups of three, and time."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.shelf = crowd(url)
        self.books = self.shelf.books
        self.mug = self.shelf.put(points=PRICE, stock=STOCK, days=2)
        self.begun: list[int] = []

    def teardown(self) -> None:
        self.books.close()

    @rule(who=st.integers(0, 5), points=st.sampled_from([20, 40, 90]))
    def earns(self, who: int, points: int) -> None:
        self.books.award(points, who=who)

    @rule(who=st.integers(0, 5))
    def begins(self, who: int) -> None:
        try:
            self.begun.append(begin(self.shelf, self.mug, who, key=f"g{len(self.begun)}"))
        except (CannotRedeem, NotEnough):
            return

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), who=st.integers(0, 5))
    def joins(self, data: Any, who: int) -> None:
        group = data.draw(st.sampled_from(self.begun))
        before = self.books.standing(who).available
        try:
            join(self.shelf, group, who)
        except (CannotJoin, CannotRedeem, NotEnough):
            assert self.books.standing(who).available == before, "I21"

    @rule(joined=st.booleans())
    def two_turn_out_to_be_one_or_not(self, joined: bool) -> None:
        merge(self.shelf, joined)
        self._looks()

    @rule(hours=st.sampled_from([1, 12, 25, 80]))
    def time_passes(self, hours: float) -> None:
        self.books.now += timedelta(hours=hours)
        self._looks()
        self.shelf.let_go()

    def _looks(self) -> None:
        for group in self.begun:
            look(self.shelf, group)
            before = self.books.everything()
            look(self.shelf, group)
            assert self.books.everything() == before, "I21"

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def one_is_handed_out_or_brought_back(self, data: Any) -> None:
        rows = [one for one in self.books.rows(Redemption) if one.state == "open" and self.books.now < one.until]
        if rows:
            what = data.draw(st.sampled_from([self.shelf.hand_out, self.shelf.give_back]))
            what(data.draw(st.sampled_from([one.id for one in rows])))

    @invariant()
    def i21_seats_are_open_holds_and_a_group_succeeds_with_so_many_distinct_people(self) -> None:
        seats, holds = self.books.rows(GroupSeat), {one.id: one for one in self.books.rows(PointsHold)}
        for group in self.books.rows(GroupBuy):
            own = [one for one in seats if one.group_id == group.id]
            states = Counter(one.state for one in own)
            assert states["open"] == sum(
                one.state == "open" and one.purpose == f"group:{group.id}" for one in holds.values()
            ), "I21: seats = open holds"
            assert all((one.state == "captured") == (holds[one.hold_id].state == "captured") for one in own), "I21"
            people = {self._person(one.account_id) for one in own if one.state == "open"}
            assert len(people) == states["open"] < SEATS, "I21: distinct people"
            assert states["captured"] == (SEATS if group.state == "done" else 0), "I21: success iff N"
            assert group.state == "open" or not states["open"], "I21: after the end no open hold"

    def _person(self, account_id: int) -> int:
        joined = self.books.joined and account_id == self.books.people[2]
        return self.books.people[0] if joined else account_id

    @invariant()
    def pieces_are_where_they_should_be(self) -> None:
        kept = sum(one.state == "open" for one in self.books.rows(GroupSeat))
        out = sum(one.state in rewards.COUNTS for one in self.books.rows(Redemption))
        assert (self.shelf.stock(self.mug) or 0) + kept + out == STOCK
        assert self.books.verify().holds


def test_i21_holds_whatever_is_done(ground: Ground) -> None:
    walk(Groups, ground, sqlite=10, postgresql=2)

"""Rewards: stock and points change together, once, however many ask; what comes back is whole."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loyalty import reward_desk, rewards
from loyalty.ledger import standing
from loyalty.ledger.book import Conflict
from loyalty.ledger.lots import NotEnough
from loyalty.reward_desk import BadCodes, Draft, Wrong
from loyalty.rewards import LETTERS, CannotHandOut, CannotRedeem
from soak import many
from storage.tables import Person, PointsHold, Redemption, Reward, RewardCode
from tests.loyalty.books import Books, day
from tests.loyalty.shelf import Shelf
from tests.machines import Ground, walk

THREADS = 20


@pytest.fixture
def shelf(books: Books) -> Shelf:
    return Shelf(books)


def refused(what: Any) -> str:
    with pytest.raises((CannotRedeem, CannotHandOut)) as error:
        what()
    return error.value.code


def test_a_reward_is_set_apart_and_its_points_are_spent_when_it_is_handed_out(shelf: Shelf) -> None:
    shelf.books.award(100)
    cup = shelf.put()
    row = shelf.redeem(cup)
    now = shelf.books.standing()
    assert (row.state, now.available, now.held, shelf.stock(cup)) == ("open", 70, 30, 4)
    done = shelf.hand_out(row.id, once="press-1")
    now = shelf.books.standing()
    assert (done.state, done.store, done.ended_by, now.available, now.held) == ("used", "静安店", "lisi", 70, 0)
    assert shelf.hand_out(row.id, once="press-1").ended_at == done.ended_at
    assert refused(lambda: shelf.hand_out(row.id, once="press-2")) == "used"
    assert shelf.books.sum("redeemed") == 30


def test_asking_again_with_the_same_key_is_the_same_redemption(shelf: Shelf) -> None:
    shelf.books.award(100)
    cup, plate = shelf.put(), shelf.put(name="盘子")
    first = shelf.redeem(cup, key="a")
    assert shelf.redeem(cup, key="a").id == first.id
    with pytest.raises(Conflict):
        shelf.redeem(plate, key="a")
    shelf.books.award(100, who=1)
    with pytest.raises(Conflict):
        shelf.redeem(cup, who=1, key="a")
    assert (shelf.stock(cup), shelf.stock(plate)) == (4, 5)


def test_of_twenty_at_once_as_many_get_one_as_there_are(shelf: Shelf) -> None:
    """Three people with points for many; seven pieces."""
    for who in range(3):
        shelf.books.award(1_000, who=who)
    cup = shelf.put(stock=7)

    def one(number: int) -> str:
        try:
            return shelf.redeem(cup, who=number % 3, key=f"k{number}").code
        except CannotRedeem as error:
            return error.code

    with ThreadPoolExecutor(THREADS) as pool:
        said = Counter(pool.map(one, range(THREADS)))
    assert said.pop("sold_out") == THREADS - 7
    assert len(said) == 7
    assert shelf.stock(cup) == 0
    assert sum(shelf.books.standing(who).held for who in range(3)) == 7 * 30


def test_of_twenty_at_once_as_many_get_one_as_one_person_has_points_for(shelf: Shelf) -> None:
    shelf.books.award(100)
    cup = shelf.put(stock=None)

    def one(number: int) -> bool:
        try:
            return bool(shelf.redeem(cup, key=f"k{number}"))
        except NotEnough:
            return False

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(one, range(THREADS))) == 3
    assert shelf.books.standing().available == 10


def test_the_limit_of_one_person_and_of_a_day_hold_under_twenty_threads(shelf: Shelf) -> None:
    for who in range(3):
        shelf.books.award(1_000, who=who)
    each, daily = shelf.put(stock=None, per_person=2), shelf.put(stock=None, per_day=4)

    def one(reward: int, number: int) -> str:
        try:
            return str(shelf.redeem(reward, who=number % 3, key=f"{reward}-{number}").id)
        except CannotRedeem as error:
            return error.code

    with ThreadPoolExecutor(THREADS) as pool:
        said = Counter(pool.map(lambda n: one(each, n), range(THREADS)))
        said_of_day = Counter(pool.map(lambda n: one(daily, n), range(THREADS)))
    assert said["person_limit"] == THREADS - 6
    assert said_of_day["day_limit"] == THREADS - 4
    shelf.books.now += timedelta(days=1)
    assert shelf.redeem(daily).state == "open"


def test_one_key_from_twenty_threads_redeems_once_and_one_press_hands_out_once(shelf: Shelf) -> None:
    shelf.books.award(1_000)
    cup = shelf.put()
    with ThreadPoolExecutor(THREADS) as pool:
        (number,) = set(pool.map(lambda _: shelf.redeem(cup, key="one").id, range(THREADS)))
        assert {one.state for one in pool.map(lambda _: shelf.hand_out(number, once="p"), range(THREADS))} == {"used"}
    assert shelf.stock(cup) == 4
    assert shelf.books.sum("redeemed") == 30


@pytest.mark.parametrize("used", [True, False])
def test_a_return_brings_back_the_points_to_their_lots_and_the_piece_to_the_stock(shelf: Shelf, used: bool) -> None:
    shelf.books.award(20, lives=50)
    shelf.books.award(80, lives=90)
    before = shelf.books.left()
    cup = shelf.put(per_person=1)
    row = shelf.redeem(cup)
    if used:
        shelf.hand_out(row.id)
    assert refused(lambda: shelf.redeem(cup)) == "person_limit"
    assert shelf.give_back(row.id).state == "returned"
    assert shelf.give_back(row.id).note == "不合适"
    assert (shelf.books.left(), shelf.stock(cup)) == (before, 5)
    assert refused(lambda: shelf.hand_out(row.id)) == "returned"
    assert shelf.redeem(cup).state == "open"


def test_what_nobody_comes_for_is_let_go_of_and_late_is_said_even_before(shelf: Shelf) -> None:
    shelf.books.award(100)
    cup = shelf.put(days=2)
    row = shelf.redeem(cup)
    shelf.books.now = row.until - timedelta(seconds=1)
    assert shelf.let_go() == 0
    shelf.books.now = row.until
    assert refused(lambda: shelf.hand_out(row.id)) == "late"
    assert shelf.let_go() == 1
    assert shelf.let_go() == 0
    assert (shelf.books.standing().available, shelf.stock(cup)) == (100, 5)
    assert refused(lambda: shelf.hand_out(row.id)) == "released"
    assert refused(lambda: shelf.give_back(row.id)) == "released"


def test_a_hold_that_the_sweep_released_first_brings_the_piece_back_once(shelf: Shelf) -> None:
    shelf.books.award(100)
    cup = shelf.put(days=0)
    row = shelf.redeem(cup)
    shelf.books.now = row.until
    (hold,) = shelf.books.rows(PointsHold)
    shelf.books.release(hold.id)
    assert shelf.let_go() == 1
    assert (shelf.books.standing().available, shelf.stock(cup)) == (100, 5)


def test_each_coupon_code_goes_to_one_person_at_once_and_never_to_a_second(shelf: Shelf) -> None:
    shelf.books.award(1_000)
    coupon = shelf.put(kind="coupon", points=10, stock=99)
    assert refused(lambda: shelf.redeem(coupon)) == "sold_out"
    assert shelf.codes(coupon, ["A1", "A2", "A3"]) == 3
    assert shelf.codes(coupon, ["A3", "A4"]) == 1
    with ThreadPoolExecutor(THREADS) as pool:
        said = list(pool.map(lambda n: _redeemed(shelf, coupon, f"c{n}"), range(THREADS)))
    got = [one for one in said if one]
    with shelf.books.work() as work:
        assert sorted(str(rewards.coupon_of(work.db, one)) for one in got) == ["A1", "A2", "A3", "A4"]
    assert shelf.books.sum("redeemed") == 40
    shelf.give_back(got[0])
    assert (shelf.stock(coupon), shelf.books.sum("redeemed")) == (0, 30)
    assert refused(lambda: shelf.redeem(coupon)) == "sold_out"


def _redeemed(shelf: Shelf, reward: int, key: str) -> int | None:
    try:
        return shelf.redeem(reward, key=key).id
    except CannotRedeem:
        return None


def test_donations_are_final_and_are_paid_at_the_rate_of_their_moment(shelf: Shelf) -> None:
    shelf.books.award(1_000)
    gift = shelf.put(kind="donation", points=100, stock=None, cause="乡村图书角", worth=100)
    first = shelf.redeem(gift)
    assert (first.state, shelf.books.sum("donated")) == ("used", 100)
    assert refused(lambda: shelf.give_back(first.id)) == "donation"
    with shelf.books.work() as work:
        dearer = Draft("捐书", "donation", points=100, cause="乡村图书角", worth=150)
        reward_desk.keep(work, dearer, "boss", gift)
    shelf.redeem(gift)
    with shelf.books.work() as work:
        paid = reward_desk.settle(work, "乡村图书角", "R-1", "boss")
        assert paid is not None
        assert (paid.count, paid.points, paid.fen) == (2, 200, 250)
    shelf.redeem(gift)
    with shelf.books.work() as work:
        (cause,) = reward_desk.causes(work.db)
    assert (cause.points, cause.fen, cause.paid_points, cause.paid_fen, cause.in_books) == (300, 400, 200, 250, 300)
    assert cause.reconciles
    with shelf.books.work() as work:
        reward_desk.settle(work, "乡村图书角", "R-2", "boss")
        assert reward_desk.settle(work, "乡村图书角", "R-3", "boss") is None


def test_points_that_may_be_spent_on_some_days_or_rewards_only_are_not_spent_otherwise(shelf: Shelf) -> None:
    """1 January 2026 is a Thursday."""
    cup, plate = shelf.put(), shelf.put(name="盘子")
    shelf.books.award(30, lives=50, uses={"weekdays": [6, 7]})
    shelf.books.award(30, lives=60, uses={"rewards": [cup]})
    shelf.books.award(30, lives=70, uses={"moon": "full"})
    with pytest.raises(NotEnough) as error:
        shelf.redeem(plate)
    assert error.value.available == 0
    assert shelf.redeem(cup).state == "open"
    shelf.books.to(2)
    assert shelf.redeem(plate).state == "open"
    assert shelf.books.left() == [(30, 70.0)]


def test_a_reward_is_for_its_time_its_level_and_as_long_as_it_is_live(shelf: Shelf) -> None:
    shelf.books.award(3_000, qualifies=True)
    shelf.books.award(100, who=1)
    early, over = shelf.put(from_at=day(1)), shelf.put(to_at=day(0))
    assert refused(lambda: shelf.redeem(early)) == "early"
    assert refused(lambda: shelf.redeem(over)) == "over"
    gold = shelf.put(level="gold")
    assert refused(lambda: shelf.redeem(gold, who=1)) == "level"
    assert shelf.redeem(gold).state == "open"
    shelf.change(gold, "pause")
    assert refused(lambda: shelf.redeem(gold)) == "not_live"
    shelf.change(gold, "go")
    assert shelf.redeem(gold).state == "open"
    assert refused(lambda: shelf.redeem(999)) == "no_reward"


def test_a_reward_is_handed_out_in_its_stores_only(shelf: Shelf) -> None:
    shelf.books.award(100)
    row = shelf.redeem(shelf.put(stores=("徐汇店",)))
    with pytest.raises(CannotHandOut) as error:
        shelf.hand_out(row.id)
    assert (error.value.code, error.value.facts) == ("wrong_store", {"stores": ["徐汇店"]})
    assert shelf.hand_out(row.id, store="徐汇店").state == "used"


def test_somebody_elses_account_is_refused(shelf: Shelf) -> None:
    cup = shelf.put()
    with shelf.books.work() as work, pytest.raises(ValueError, match="not theirs"):
        rewards.redeem(work, [shelf.persons[shelf.books.people[1]]], [shelf.books.people[0]], cup, "x")


def test_a_refused_redemption_changes_nothing(shelf: Shelf) -> None:
    shelf.books.award(29)
    cup = shelf.put()
    before = shelf.books.everything()
    with pytest.raises(NotEnough):
        shelf.redeem(cup)
    assert (shelf.books.everything(), shelf.stock(cup), shelf.books.rows(Redemption)) == (before, 5, [])


def test_points_of_two_accounts_of_one_person_pay_together(shelf: Shelf) -> None:
    shelf.books.award(20, who=0)
    shelf.books.award(20, who=2)
    cup = shelf.put(per_person=1)
    with pytest.raises(NotEnough):
        shelf.redeem(cup)
    shelf.books.joined = True
    row = shelf.redeem(cup)
    assert refused(lambda: shelf.redeem(cup, who=2)) == "person_limit"
    shelf.give_back(row.id)
    assert shelf.books.standing().available == 40


def test_a_limit_is_the_whole_persons_also_when_one_anchor_asks(shelf: Shelf) -> None:
    shelf.books.award(100, who=0)
    shelf.books.award(100, who=2)
    cup = shelf.put(per_person=1)
    shelf.redeem(cup, who=2)
    with shelf.books.work() as work:
        other = work.db.get_one(Person, shelf.persons[shelf.books.people[2]])
        other.merged_into = shelf.persons[shelf.books.people[0]]
    assert refused(lambda: shelf.redeem(cup, who=0)) == "person_limit"


# --- codes -----------------------------------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=many(100, 2_000), deadline=None)
def test_a_code_with_one_wrong_sign_or_two_that_changed_places_is_no_code(data: st.DataObject) -> None:
    code = rewards.new_code()
    assert rewards.read_code(rewards.spelt(code).lower()) == code
    assert rewards.read_code(f"https://shop.test/counter?code={code}") == code
    place = data.draw(st.integers(0, rewards.SIGNS - 1))
    other = data.draw(st.sampled_from([one for one in LETTERS if one != code[place]]))
    assert rewards.read_code(code[:place] + other + code[place + 1 :]) is None
    a, b = sorted(data.draw(st.lists(st.integers(0, rewards.SIGNS - 1), min_size=2, max_size=2, unique=True)))
    swapped = [*code]
    swapped[a], swapped[b] = code[b], code[a]
    assert code[a] == code[b] or rewards.read_code("".join(swapped)) is None


@pytest.mark.parametrize("typed", ["", "ABC", "O0O0-I1I1", "积分积分积分积分"])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert rewards.read_code(typed) is None


# --- the desk --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"points": 0}, "points"),
        ({"points": None}, "points"),
        ({"stock": -1}, "stock"),
        ({"per_person": 0}, "per_person"),
        ({"kind": "lottery"}, "kind"),
        ({"level": "platinum"}, "level"),
        ({"days": None}, "days"),
        ({"from_at": day(2), "to_at": day(1)}, "to_at"),
        ({"kind": "donation", "cause": "", "worth": 5}, "cause"),
        ({"kind": "donation", "cause": "树", "worth": 0}, "worth"),
    ],
)
def test_a_draft_that_makes_no_sense_is_refused(shelf: Shelf, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as error:
        shelf.put(**wrong)
    assert [name for name, _ in error.value.problems] == [field]
    assert shelf.books.rows(Reward) == []


def test_the_codes_of_a_csv_are_its_first_column_each_once() -> None:
    assert reward_desk.read_codes("\ufeffcode,note\r\nA1,x\r\n A2 \r\nA1\r\n\r\n") == ["A1", "A2"]
    for text, code in (("code\n", "empty"), ("x" * 61, "bad")):
        with pytest.raises(BadCodes) as error:
            reward_desk.read_codes(text)
        assert error.value.code == code


# --- whatever is done ------------------------------------------------------------------------------------------------


class Shop(RuleBasedStateMachine):
    """Two people, two rewards, and time: stock and points must always tell the same story."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.shelf = Shelf(Books(url))
        self.books = self.shelf.books
        self.rewards = [self.shelf.put(points=20, stock=3, days=2), self.shelf.put(points=50, stock=2, per_person=1)]
        self.begun: list[int] = []
        self.earned = 0

    def teardown(self) -> None:
        self.books.close()

    @rule(who=st.sampled_from([0, 1, 2]), points=st.integers(10, 80))
    def earns(self, who: int, points: int) -> None:
        self.books.award(points, who=who)
        self.earned += points

    @rule(who=st.sampled_from([0, 1, 2]), number=st.sampled_from([0, 1]))
    def redeems(self, who: int, number: int) -> None:
        there, left = self.books.standing(who).available, self.shelf.stock(self.rewards[number])
        price, why = (20, 50)[number], ""
        try:
            self.begun.append(self.shelf.redeem(self.rewards[number], who=who).id)
        except NotEnough:
            why = "not_enough"
        except CannotRedeem as error:
            why = error.code
        assert (why == "sold_out") <= (left == 0)
        assert (why == "not_enough") <= (there < price)
        assert (why == "person_limit") <= (number == 1)
        assert why in ("", "sold_out", "not_enough", "person_limit")

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), what=st.sampled_from(["hand_out", "give_back"]))
    def is_settled(self, data: Any, what: str) -> None:
        one = data.draw(st.sampled_from(self.begun))
        (before,) = (row.state for row in self.books.rows(Redemption) if row.id == one)
        may = {"hand_out": ("open",), "give_back": ("open", "used", "returned")}[what]
        done = True
        try:
            getattr(self.shelf, what)(one)
        except CannotHandOut:
            done = False
        assert done == (before in may)

    @rule(days=st.sampled_from([0.5, 1, 3]))
    def time_passes(self, days: float) -> None:
        self.books.now += timedelta(days=days)
        self.shelf.let_go()

    @rule()
    def two_turn_out_to_be_one_or_not(self) -> None:
        self.books.joined = not self.books.joined

    @invariant()
    def pieces_and_points_are_where_they_should_be(self) -> None:
        rows = self.books.rows(Redemption)
        for reward, stock in zip(self.rewards, (3, 2), strict=True):
            out = sum(one.reward_id == reward and one.state in ("open", "used") for one in rows)
            left = self.shelf.stock(reward)
            assert left is not None
            assert left + out == stock
            assert left >= 0
        held = sum(one.amount for one in self.books.rows(PointsHold) if one.state == "open")
        assert held == sum(one.points for one in rows if one.state == "open")
        assert sum(self.books.sum("redeemed", who) for who in range(3)) == sum(
            one.points for one in rows if one.state == "used"
        )
        assert self.books.verify().holds


def test_whatever_is_done_stock_and_points_agree(ground: Ground) -> None:
    walk(Shop, ground, sqlite=10, postgresql=2)


def test_no_code_is_ever_free_and_given(shelf: Shelf) -> None:
    coupon = shelf.put(kind="coupon", points=10)
    shelf.codes(coupon, ["A1", "B2"])
    shelf.books.award(100)
    row = shelf.redeem(coupon)
    free = [one.value for one in shelf.books.rows(RewardCode) if one.redemption_id is None]
    with shelf.books.work() as work:
        assert rewards.coupon_of(work.db, row.id) not in free
        assert reward_desk.last_signs(work.db, coupon) == free == ["B2"]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"points": 30}, ""),
        ({"points": 90}, "NotEnough"),
        ({"points": 130}, "NotEnough"),
        ({"points": 10, "level": "gold"}, "level"),
        ({"points": 10, "per_person": 1}, "person_limit"),
        ({"points": 10, "per_day": 1}, "day_limit"),
        ({"points": 10, "stock": 1}, "sold_out"),
        ({"points": 10, "kind": "coupon"}, "sold_out"),
    ],
)
def test_what_would_stand_in_the_way_is_what_redeeming_is_refused_with(
    shelf: Shelf, facts: dict[str, Any], why: str
) -> None:
    """Limits are those of the whole person, also where one account pays; lots for something else do not count."""
    books = shelf.books
    reward = shelf.put(**{"stock": 3, **facts})
    books.award(50)
    books.award(60, uses={"rewards": [reward + 1]})
    books.award(40, who=2)
    if why in ("person_limit", "day_limit", "sold_out") and facts.get("kind") != "coupon":
        shelf.redeem(reward, who=2)
    books.joined = True
    with books.work() as work:
        work.db.get_one(Person, shelf.persons[books.people[2]]).merged_into = shelf.persons[books.people[0]]
    everybody, paying = books.own(0), [books.people[0]]
    with books.work() as work:
        row = work.db.get_one(Reward, reward)
        has = standing.standing(work.db, paying, work.now)
        told = rewards.hindrance(work.db, row, everybody, has, row.points, work.now, work.zone)
    met: Exception | None = None
    try:
        with books.work() as work:
            rewards.redeem(work, [shelf.persons[one] for one in everybody], paying, reward, "k")
    except (CannotRedeem, NotEnough) as error:
        met = error
    assert (type(told), getattr(told, "code", None)) == (type(met), getattr(met, "code", None))
    assert getattr(told, "available", None) == getattr(met, "available", None)
    assert (getattr(told, "code", None) or ("" if told is None else type(told).__name__)) == why

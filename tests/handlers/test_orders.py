"""The road of orders: kept once, whose they are, what they earn, what refunds take back, and that the books hold."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from handlers import orders as road
from loyalty import accounts, campaign_desk, deeds, programme, tiers
from loyalty.ledger import bulk, earn, proof, spend
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from loyalty.ledger.standing import Standing, standing
from people import joining, orders, persons, refund_matching
from storage.database import open_engine, transaction
from storage.tables import Campaign, Interaction, OrderLine, OrderSource, PointsAccount, PointsTxn, Refund, ShopOrder
from storage.tables.orders import reference
from storage.work import SHANGHAI, Work

NOON = datetime(2026, 11, 2, 4, tzinfo=UTC)
WHO = {"type": "external_userid", "value": "wm1"}


class Till:
    """A shop's till and the books behind it, with a clock."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.now = engine, NOON

    @contextmanager
    def work(self) -> Iterator[Work]:
        with transaction(self.engine) as db:
            yield Work(db, self.now, cause="test")

    def sell(self, *told: dict[str, Any]) -> road.Taken:
        """Each of these orders; what is not said is as usual."""
        usual = {"source": "pos-01", "paid_at": "2026-11-01T10:00:00+08:00", "amount": "100.00", "identity": WHO}
        given = [orders.read_order({**usual, **one}, self.now, SHANGHAI) for one in told]
        with self.work() as work:
            return road.take_orders(work, dict(enumerate(given)))

    def refund(self, *told: dict[str, Any]) -> road.Taken:
        usual = {"source": "pos-01", "refunded_at": "2026-11-01T12:00:00+08:00", "amount": "50.00"}
        given = [orders.read_refund({**usual, **one}, self.now, SHANGHAI) for one in told]
        with self.work() as work:
            return road.take_refunds(work, dict(enumerate(given)))

    def account(self, value: str = "wm1") -> int:
        with self.work() as work:
            _, anchor = joining.person_by(work, "external_userid", value, verified=True, source="t", at=self.now) or (
                0,
                0,
            )
            return bulk.open_accounts(work, [anchor])[anchor]

    def points(self, value: str = "wm1") -> Standing:
        with self.work() as work:
            return standing(work.db, [self.account(value)], self.now)

    def rows(self, table: type[Any]) -> list[Any]:
        with self.work() as work:
            return list(work.db.scalars(select(table).order_by(*table.__table__.primary_key)))


@pytest.fixture
def till(database_url: str) -> Iterator[Till]:
    engine = open_engine(database_url)
    till = Till(engine)
    yield till
    with transaction(engine) as db:
        found = proof.verify(db)
    assert found.holds, found.faults
    engine.dispose()


def test_an_order_makes_a_person_earns_points_and_stands_in_their_story(till: Till) -> None:
    taken = till.sell({"order_no": "A1", "amount": "199.90", "store": "静安店", "staff": "lisi",
                       "lines": [{"sku": "S1", "name": "拿铁", "quantity": "1.5", "amount": "60.00"}]})  # fmt: skip
    assert (taken.accepted, taken.points) == ([0], 199)
    (order,), (line,) = till.rows(ShopOrder), till.rows(OrderLine)
    assert (order.amount, order.store, order.staff, line.quantity, line.amount) == (19990, "静安店", "lisi", 1500, 6000)
    (told,) = till.rows(Interaction)
    assert (told.kind, told.person_id, told.details["points"], told.details["amount"]) == (
        "bought", order.person_id, 199, "199.90")  # fmt: skip
    assert (till.points().pending, till.points().available) == (199, 0)
    till.now += timedelta(days=7)
    assert (till.points().pending, till.points().available) == (0, 199)
    (source,) = till.rows(OrderSource)
    assert (source.name, source.orders, source.last_paid_at) == ("pos-01", 1, order.paid_at)


def test_the_same_order_again_changes_nothing_and_another_under_its_number_is_refused(till: Till) -> None:
    till.sell({"order_no": "A1"})
    again = till.sell({"order_no": "A1"}, {"order_no": "A1", "amount": "1.00"}, {"order_no": "A2"})
    assert (again.accepted, again.duplicate) == ([2], [0])
    assert "told another one" in again.rejected[1]
    assert till.points().pending == 200
    assert len(till.rows(Interaction)) == 2


def test_the_same_number_from_two_sources_is_two_orders(till: Till) -> None:
    till.sell({"order_no": "A1"}, {"order_no": "A1", "source": "pos-02"})
    assert len(till.rows(ShopOrder)) == 2
    assert till.points().pending == 200


@pytest.mark.parametrize(("one", "other"), [(("a:b", "c"), ("a", "b:c")), (("a%3A", "c"), ("a:", "c"))])
def test_no_two_orders_are_named_alike_in_the_books(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert reference("order", *one) != reference("order", *other)


def test_refunds_in_parts_take_back_what_the_order_does_not_earn_any_more(till: Till) -> None:
    till.sell({"order_no": "A1", "amount": "10.00"})
    parts = [
        {"refund_no": f"R{n}", "order_no": "A1", "amount": amount} for n, amount in enumerate(["3.33", "3.33", "3.34"])
    ]
    assert [till.refund(one).points for one in parts] == [4, 3, 3]
    assert till.points().pending == 0
    assert till.refund(parts[0]).duplicate == [0]


def test_a_refund_above_what_is_left_of_its_order_is_refused_and_nothing_changes(till: Till) -> None:
    till.sell({"order_no": "A1"})
    till.refund({"refund_no": "R1", "order_no": "A1", "amount": "60.00"})
    refused = till.refund({"refund_no": "R2", "order_no": "A1", "amount": "40.01"})
    assert "40.01 is more than the 40.00 left" in refused.rejected[0]
    assert [one.refund_no for one in till.rows(Refund)] == ["R1"]


def test_a_refund_that_comes_before_its_order_waits_for_it(till: Till) -> None:
    till.refund({"refund_no": "R1", "order_no": "A1"})
    assert [one.state for one in till.rows(Refund)] == ["waiting"]
    till.sell({"order_no": "A1"})
    (refund,) = till.rows(Refund)
    assert (refund.state, refund.person_id) == ("done", till.rows(ShopOrder)[0].person_id)
    assert till.points().pending == 50


def test_an_early_refund_that_is_more_than_its_order_is_set_aside_with_the_reason(till: Till) -> None:
    till.refund({"refund_no": "R1", "order_no": "A1", "amount": "500.00"})
    till.sell({"order_no": "A1"})
    (refund,) = till.rows(Refund)
    assert (refund.state, till.points().pending) == ("aside", 100)
    assert "more than" in refund.because


def test_points_spent_on_an_order_come_back_with_its_money(till: Till) -> None:
    till.sell({"order_no": "A1", "amount": "300.00"})
    till.now += timedelta(days=8)
    till.sell({"order_no": "A2", "paid_at": "2026-11-09T10:00:00+08:00"})
    with till.work() as work:
        about = About("redeem", "spend-1", till.now, "till", source=reference("order", "pos-01", "A2"))
        spend.redeem(work, till.account(), 101, about)
    assert till.points().available == 199
    at = "2026-11-09T12:00:00+08:00"
    till.refund({"refund_no": "R1", "order_no": "A2", "amount": "33.33", "refunded_at": at})
    assert till.points().available == 199 + 33
    till.refund({"refund_no": "R2", "order_no": "A2", "amount": "66.67", "refunded_at": at})
    assert till.points().available == 300
    assert till.points().pending == 0


def test_an_order_without_anybody_is_kept_and_earns_nothing_yet(till: Till) -> None:
    taken = till.sell({"order_no": "A1", "identity": None})
    assert (taken.accepted, taken.points) == ([0], 0)
    assert till.rows(ShopOrder)[0].person_id is None
    assert till.rows(PointsTxn) == []


def test_a_guest_id_makes_nobody(till: Till) -> None:
    till.sell({"order_no": "A1", "identity": {"type": "pos-01:member", "value": "散客"}})
    assert till.rows(ShopOrder)[0].person_id is None
    assert till.rows(PointsAccount) == []


def test_rules_of_the_order_s_day_hold_also_when_it_is_told_late(till: Till) -> None:
    with till.work() as work:
        programme.decide(work, {"rate": 20_000, "excluded": ["运费"]}, NOON, "boss")
    till.now += timedelta(days=1)
    till.sell({"order_no": "old", "paid_at": "2026-11-01T10:00:00+08:00"})
    assert till.points().pending == 100
    lines = [{"category": "运费", "amount": "10.00"}, {"category": "咖啡", "amount": "90.00"}]
    till.sell({"order_no": "new", "paid_at": "2026-11-03T10:00:00+08:00", "lines": lines})
    assert till.points().pending == 100 + 180
    till.refund({"refund_no": "R1", "order_no": "old", "refunded_at": "2026-11-03T10:30:00+08:00"})
    assert till.points().pending == 50 + 180


def test_i24_a_campaign_s_budget_and_cap_are_never_passed(till: Till) -> None:
    with till.work() as work:
        some = timedelta(days=3)
        campaign = Campaign(name="加速日", from_at=NOON - some, to_at=NOON + some, state="live", made_at=NOON)
        campaign.multiplier, campaign.cap, campaign.budget, campaign.made_by = 20_000, 150, 180, "boss"
        work.db.add(campaign)
    till.sell({"order_no": "A1"}, {"order_no": "A2"})
    assert till.points().pending == 100 + 100 + 100 + 50
    till.sell({"order_no": "B1", "identity": {"type": "external_userid", "value": "wm2"}})
    assert till.points("wm2").pending == 100 + 30
    award = next(one for one in till.rows(PointsTxn) if one.source.endswith(":B1"))
    assert award.result["because"]["limits"] == {"campaign:1": 30}


def test_a_day_s_cap_is_shared_by_all_orders_of_that_day(till: Till) -> None:
    with till.work() as work:
        programme.decide(work, {"day_cap": 150}, NOON, "boss")
    till.now += timedelta(days=1)
    day = "2026-11-03T{:02d}:00:00+08:00"
    till.sell({"order_no": "A1", "paid_at": day.format(9)}, {"order_no": "A2", "paid_at": day.format(10)})
    assert till.points().pending == 150


def test_whoever_owes_points_pays_first_also_when_many_orders_come_at_once(till: Till) -> None:
    with till.work() as work:
        programme.decide(work, {"pending_days": 0}, NOON, "boss")
    till.now += timedelta(days=1)
    day = "2026-11-03T10:00:00+08:00"
    till.sell({"order_no": "A1", "paid_at": day})
    with till.work() as work:
        spend.redeem(work, till.account(), 80, About("redeem", "s", till.now, "till"))
    till.refund({"refund_no": "R1", "order_no": "A1", "amount": "100.00", "refunded_at": day})
    assert till.points().debt == 80
    till.sell({"order_no": "A2", "paid_at": day}, {"order_no": "A3", "paid_at": day, "amount": "20.00"})
    assert (till.points().debt, till.points().available) == (0, 40)


def test_a_level_is_reached_with_the_order_that_reaches_it_and_multiplies_what_is_paid_from_then_on(till: Till) -> None:
    levels = [
        {"key": "silver", "name": "银卡", "points": 0},
        {"key": "gold", "name": "金卡", "points": 150, "factor": 12_000},
    ]
    with till.work() as work:
        tiers.set_scheme(work, tiers.of({"levels": levels}), by="boss")
    till.sell({"order_no": "A1", "amount": "160.00"})
    till.now += timedelta(minutes=1)
    paid = till.now.isoformat()
    till.sell({"order_no": "A2", "paid_at": paid}, {"order_no": "late"})
    points = {one.source.rpartition(":")[2]: one.result["points"] for one in till.rows(PointsTxn)}
    assert points == {"A1": 160, "A2": 120, "late": 100}
    award = next(one for one in till.rows(PointsTxn) if one.source.endswith("A2"))
    assert (award.result["because"]["tier"], award.result["because"]["factors"]) == ("金卡", [12_000])


def test_a_refund_finds_its_order_by_the_stated_rule_or_stays(till: Till) -> None:
    till.sell(
        {"order_no": "A1", "amount": "80.00", "paid_at": "2026-09-01T10:00:00+08:00"},
        {"order_no": "A2", "amount": "50.00", "paid_at": "2026-10-01T10:00:00+08:00"},
        {"order_no": "A3", "amount": "70.00", "paid_at": "2026-10-20T10:00:00+08:00"},
        {"order_no": "B1", "amount": "900.00", "identity": {"type": "external_userid", "value": "wm2"}},
    )
    till.refund(
        {"refund_no": "same", "amount": "50.00", "identity": WHO},
        {"refund_no": "part", "amount": "60.00", "identity": WHO},
        {"refund_no": "more", "amount": "500.00", "identity": WHO},
        {"refund_no": "nobody", "amount": "5.00"},
    )
    start = (datetime(2000, 1, 1, tzinfo=UTC), 0)
    with till.work() as work:
        done = road.match_refunds(work, "pos-01", refund_matching.LATEST, start, 100)
        taken = {one.refund_no: points for one, points in done}
        assert taken == {"same": 50, "part": 60, "more": None, "nobody": None}
    refunded = {one.order_no: one.refunded for one in till.rows(ShopOrder)}
    assert refunded == {"A1": 0, "A2": 5000, "A3": 6000, "B1": 0}
    told = {one.refund_no: one.because for one in till.rows(Refund)}
    assert told["same"].startswith("same-amount")
    assert told["part"].startswith("latest")


def test_the_stricter_rule_matches_whole_orders_only(till: Till) -> None:
    till.sell({"order_no": "A1", "amount": "80.00"})
    till.refund({"refund_no": "part", "amount": "60.00", "identity": WHO})
    with till.work() as work:
        start = (datetime(2000, 1, 1, tzinfo=UTC), 0)
        assert [taken for _, taken in road.match_refunds(work, "pos-01", "same-amount", start, 100)] == [None]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"amount": "-5.00"}, "below zero"),
        ({"amount": "0.005"}, "at most two decimals"),
        ({"amount": 5}, "as a string"),
        ({"amount": "5e3"}, "not an amount"),
        ({"currency": "USD"}, "currency: USD"),
        ({"paid_at": "2026-11-03T10:00:00+08:00"}, "in the future"),
        ({"paid_at": "yesterday"}, "a time such as"),
        ({"order_no": " "}, "order_no: missing"),
        ({"source": None}, "source"),
        ({"identity": {"type": "phone", "value": "abc"}}, "identity.value"),
        ({"identity": {"type": "e-mail", "value": "a@b"}}, "identity.type"),
        ({"tip": "1.00"}, "tip: unknown field"),
        ({"lines": [{"amount": "1.00"}, {"quantity": "-1", "amount": "1.00"}]}, "lines.1.quantity"),
    ],
)
def test_what_cannot_be_an_order_is_refused_with_the_field_and_the_reason(told: dict[str, Any], says: str) -> None:
    usual = {"source": "pos-01", "order_no": "A1", "paid_at": "2026-11-01T10:00:00+08:00", "amount": "1.00"}
    with pytest.raises(orders.Bad, match=says):
        orders.read_order({**usual, **told}, NOON, SHANGHAI)


def test_a_cap_is_one_person_s_however_many_ways_they_are_known(till: Till) -> None:
    with till.work() as work:
        programme.decide(work, {"day_cap": 100}, NOON, "boss")
        place = joining.person_by(work, "pos-01:member", "m1", verified=True, source="t", at=NOON)
        assert place is not None
        joining.learn(work, place[1], [joining.Given("app:user", "u1")], source="t")
    till.now += timedelta(days=1)
    day = "2026-11-03T{:02d}:00:00+08:00"
    for number, (type_, value) in enumerate((("pos-01:member", "m1"), ("app:user", "u1"))):
        who = {"type": type_, "value": value}
        till.sell({"order_no": f"A{number}", "paid_at": day.format(9 + number), "identity": who})
    assert sum(one.result["points"] for one in till.rows(PointsTxn)) == 100


def test_what_cost_points_alone_comes_back_with_a_refund_of_nothing(till: Till) -> None:
    with till.work() as work:
        programme.decide(work, {"pending_days": 0}, NOON, "boss")
    till.now += timedelta(days=1)
    day = "2026-11-03T10:00:00+08:00"
    till.sell({"order_no": "A1", "paid_at": day}, {"order_no": "free", "amount": "0.00", "paid_at": day})
    with till.work() as work:
        about = About("redeem", "s", till.now, "till", source=reference("order", "pos-01", "free"))
        spend.redeem(work, till.account(), 100, about)
    assert till.points().available == 0
    assert "gives something back" in till.refund({"refund_no": "R0", "order_no": "A1", "amount": "0"}).rejected[0]
    till.refund({"refund_no": "R1", "order_no": "free", "amount": "0.00", "refunded_at": day})
    assert till.points().available == 100


def test_points_that_died_before_they_were_told_of_cannot_be_spent(till: Till) -> None:
    till.sell({"order_no": "old", "paid_at": "2019-05-01T10:00:00+08:00"})
    assert (till.points().available, till.points().pending) == (0, 0)


def test_a_rule_is_not_asked_about_refunds_that_wait_for_an_order_of_their_own(till: Till) -> None:
    till.sell({"order_no": "OLD", "amount": "50.00", "paid_at": "2026-10-20T10:00:00+08:00"})
    till.refund({"refund_no": "named", "order_no": "NEW", "identity": WHO})
    start = (datetime(2000, 1, 1, tzinfo=UTC), 0)
    with till.work() as work:
        found = road.match_refunds(work, "pos-01", "latest", start, 10, lambda one: one.state == "parked")
    assert [points for _, points in found] == [None]
    till.sell({"order_no": "NEW", "amount": "50.00"})
    assert {one.order_no: one.refunded for one in till.rows(ShopOrder)} == {"OLD": 0, "NEW": 5000}


def test_what_one_account_of_a_person_owes_is_paid_from_another_before_those_points_die(till: Till) -> None:
    with till.work() as work:
        programme.decide(work, {"pending_days": 0}, NOON, "boss")
    till.now += timedelta(days=1)
    day = "2026-11-03T10:00:00+08:00"
    till.sell({"order_no": "A1", "paid_at": day})
    with till.work() as work:
        spend.redeem(work, till.account(), 100, About("redeem", "s", till.now, "till"))
    till.refund({"refund_no": "R1", "order_no": "A1", "amount": "100.00", "refunded_at": day})
    with till.work() as work:
        place = joining.person_by(work, "external_userid", "wm1", verified=True, source="t", at=till.now)
        assert place is not None
        joining.learn(work, place[1], [joining.Given("app:user", "u1")], source="t")
        other = joining.person_by(work, "app:user", "u1", verified=True, source="t", at=till.now)
    assert other is not None
    till.sell({"order_no": "B1", "amount": "130.00", "paid_at": day, "identity": {"type": "app:user", "value": "u1"}})
    with till.work() as work:
        own = accounts.by_person(work.db, persons.anchors(work.db, place[0]))
        debts = {one.debt for one in work.db.scalars(select(PointsAccount).where(PointsAccount.id.in_(own.values())))}
        assert debts == {0}
        assert standing(work.db, list(own.values()), till.now).available == 30


def test_points_given_again_after_they_were_lost_are_taken_back_with_the_order(till: Till) -> None:
    with till.work() as work:
        programme.decide(work, {"pending_days": 0}, NOON, "boss")
    till.now += timedelta(days=1)
    day = "2026-11-03T10:00:00+08:00"
    till.sell({"order_no": "A1", "paid_at": day})
    own = till.account()
    with till.work() as work:
        lost = deeds.clear(work, own, About("clear", "c", till.now, "boss"))
        assert lost is not None
        grant = Grant(100, till.now, None, "reissue")
        earn.reissue(work, own, grant, lost.id, About("reissue", "r", till.now, "boss", reverses=lost.id))
    till.refund({"refund_no": "R1", "order_no": "A1", "amount": "100.00", "refunded_at": day})
    assert (till.points().available, till.points().debt) == (0, 0)


def test_whoever_loses_a_race_is_told_apart_by_what_was_said(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process keeps the same numbers after they were looked up: alike is told before, otherwise refused."""
    till.refund({"refund_no": "R1", "order_no": "X"}, {"refund_no": "R2", "order_no": "X"})
    till.sell({"order_no": "A1"}, {"order_no": "A2"})
    known, asked = orders._known, list[object]()

    def late(db: Any, table: Any, keys: Any) -> dict[tuple[str, str], str]:
        asked.append(table)
        return {} if len(asked) % 2 else known(db, table, keys)

    monkeypatch.setattr(orders, "_known", late)
    taken = till.sell({"order_no": "A1"}, {"order_no": "A2", "amount": "99.00"})
    assert (taken.accepted, taken.duplicate, list(taken.rejected)) == ([], [0], [1])
    assert "told another one under this number" in taken.rejected[1]
    asked.clear()
    back = till.refund({"refund_no": "R1", "order_no": "X"})
    assert (back.accepted, back.duplicate, back.rejected) == ([], [0], {})
    asked.clear()
    back = till.refund({"refund_no": "R2", "order_no": "X", "amount": "49.00"})
    assert (back.accepted, back.duplicate) == ([], [])
    assert "told another one under this number" in back.rejected[0]


# --- a refund that a rule gave to another order than it names --------------------------------------------------------

LONG_AGO = (datetime(2000, 1, 1, tzinfo=UTC), 0)
EARNED = {"award": 1, "unclaw": 1, "claw": -1}


def guess(till: Till) -> None:
    """A refund of NEW, which has not come: the rule takes it from OLD."""
    till.sell({"order_no": "OLD", "amount": "80.00", "paid_at": "2026-10-20T10:00:00+08:00"})
    till.refund({"refund_no": "R1", "order_no": "NEW", "amount": "50.00", "identity": WHO})
    with till.work() as work:
        assert [n for _, n in road.match_refunds(work, "pos-01", "latest", LONG_AGO, 10)] == [50]


def settle(till: Till, *, there: bool) -> None:
    with till.work() as work:
        refund = work.db.scalars(select(Refund).where(Refund.refund_no == "R1")).one()
        assert refund.state == orders.CONTESTED
        if there:
            road.move(work, refund, "moved from OLD: boss")
        else:
            road.stay(refund, "kept here: boss")


def earned(till: Till) -> dict[str, int]:
    """What each order has brought and kept."""
    found: dict[str, int] = {}
    for one in till.rows(PointsTxn):
        if one.kind in EARNED:
            name = one.source.rpartition(":")[2]
            found[name] = found.get(name, 0) + EARNED[one.kind] * one.result["points"]
    return found


def test_a_refund_is_moved_to_the_order_it_names_when_that_comes_and_both_orders_points_are_put_right(
    till: Till,
) -> None:
    guess(till)
    assert [one.state for one in till.rows(Refund)] == [orders.GUESSED]
    till.sell({"order_no": "NEW", "amount": "60.00"})
    assert [one.state for one in till.rows(Refund)] == [orders.CONTESTED]
    assert earned(till) == {"OLD": 30, "NEW": 60}
    settle(till, there=True)
    (refund,) = till.rows(Refund)
    assert (refund.state, refund.because) == ("done", "moved from OLD: boss")
    assert {one.order_no: one.refunded for one in till.rows(ShopOrder)} == {"OLD": 0, "NEW": 5000}
    assert earned(till) == {"OLD": 80, "NEW": 10}
    assert till.points().pending + till.points().available == 90
    told = [one.details for one in till.rows(Interaction) if one.kind == "refunded"]
    assert [(one["order_no"], one["taken"]) for one in told] == [("NEW", 50)]
    till.refund({"refund_no": "R2", "order_no": "OLD", "amount": "80.00"})
    assert earned(till) == {"OLD": 0, "NEW": 10}


def test_a_contested_refund_can_stay_where_it_is(till: Till) -> None:
    guess(till)
    till.sell({"order_no": "NEW", "amount": "60.00"})
    settle(till, there=False)
    assert [(one.state, one.because) for one in till.rows(Refund)] == [("done", "kept here: boss")]
    assert earned(till) == {"OLD": 30, "NEW": 60}


def test_moving_gives_back_a_debt_and_what_had_paid_it(till: Till) -> None:
    with till.work() as work:
        programme.decide(work, {"pending_days": 0}, NOON, "boss")
    till.now += timedelta(days=1)
    at = "2026-11-03T10:00:00+08:00"
    till.sell({"order_no": "OLD", "amount": "80.00", "paid_at": at})
    with till.work() as work:
        spend.redeem(work, till.account(), 80, About("redeem", "s", till.now, "till"))
    till.refund({"refund_no": "R1", "order_no": "NEW", "amount": "50.00", "identity": WHO, "refunded_at": at})
    with till.work() as work:
        road.match_refunds(work, "pos-01", "latest", LONG_AGO, 10)
    assert till.points().debt == 50
    till.sell({"order_no": "OTHER", "amount": "20.00", "paid_at": at})  # pays a part of it
    assert till.points().debt == 30
    till.sell({"order_no": "NEW", "amount": "50.00", "paid_at": at})
    settle(till, there=True)
    assert (till.points().debt, till.points().available) == (0, 20)
    assert earned(till) == {"OLD": 80, "OTHER": 20, "NEW": 0}


def test_moving_spends_again_what_was_given_back_by_mistake_or_is_refused(till: Till) -> None:
    with till.work() as work:
        programme.decide(work, {"pending_days": 0}, NOON, "boss")
    till.now += timedelta(days=1)
    at = "2026-11-03T10:00:00+08:00"
    till.sell({"order_no": "A", "amount": "300.00", "paid_at": at}, {"order_no": "OLD", "paid_at": at})
    with till.work() as work:
        about = About("redeem", "s", till.now, "till", source=reference("order", "pos-01", "OLD"))
        spend.redeem(work, till.account(), 200, about)
    before = till.points().available
    till.refund({"refund_no": "R1", "order_no": "NEW", "amount": "50.00", "identity": WHO, "refunded_at": at})
    with till.work() as work:
        road.match_refunds(work, "pos-01", "latest", LONG_AGO, 10)
    assert till.points().available == before - 50 + 100  # of 100 earned, and of 200 spent
    till.sell({"order_no": "NEW", "amount": "50.00", "paid_at": at})
    with till.work() as work:
        spend.redeem(work, till.account(), before + 100, About("redeem", "all", till.now, "till"))
    with pytest.raises(road.CannotMove, match="用掉"):
        settle(till, there=True)
    assert {one.order_no: one.refunded for one in till.rows(ShopOrder)}["OLD"] == 5000
    till.sell({"order_no": "MORE", "amount": "200.00", "paid_at": at})
    settle(till, there=True)
    assert till.points().available == 200 + 50 - 100 - 50
    for number, back in (("R2", 66), ("R3", 134)):
        start = till.points().available
        money = "33.33" if number == "R2" else "66.67"
        taken = till.refund({"refund_no": number, "order_no": "OLD", "amount": money, "refunded_at": at}).points
        assert till.points().available == start - taken + back


def test_a_refund_too_large_for_the_order_it_names_stays_where_it_is(till: Till) -> None:
    guess(till)
    till.sell({"order_no": "NEW", "amount": "40.00"})
    with pytest.raises(road.CannotMove, match="退不了这么多"):
        settle(till, there=True)
    assert {one.order_no: one.refunded for one in till.rows(ShopOrder)} == {"OLD": 5000, "NEW": 0}


def test_orders_paid_while_a_campaign_was_paused_have_no_part_in_it_however_late_they_are_told(till: Till) -> None:
    hour = timedelta(hours=1)
    with till.work() as work:
        row = Campaign(name="加速日", from_at=NOON, to_at=NOON + 10 * hour, state="live", made_at=NOON)
        row.multiplier, row.made_by = 20_000, "boss"
        work.db.add(row)
    for at, do in ((1, "pause"), (2, "resume"), (4, "pause"), (5, "resume"), (7, "pause")):
        with till.work() as work:
            assert campaign_desk.move(work.db.scalars(select(Campaign)).one(), do, NOON + at * hour)
    till.now = NOON + 12 * hour
    paid = (0.5, 1, 1.5, 2, 4, 4.5, 5, 6.5, 7, 9)
    till.sell(*({"order_no": f"A{at}", "paid_at": (NOON + at * hour).isoformat()} for at in paid))
    points = {one.source.rpartition(":")[2]: one.result["points"] for one in till.rows(PointsTxn)}
    assert [at for at in paid if points[f"A{at}"] == 200] == [0.5, 2, 5, 6.5]
    with till.work() as work:
        assert campaign_desk.move(work.db.scalars(select(Campaign)).one(), "end", NOON + 11 * hour)
    till.sell({"order_no": "in", "paid_at": (NOON + 3 * hour).isoformat()},
              {"order_no": "out", "paid_at": (NOON + 4.5 * hour).isoformat()})  # fmt: skip
    points = {one.source.rpartition(":")[2]: one.result["points"] for one in till.rows(PointsTxn)}
    assert (points["in"], points["out"]) == (200, 100)


def wait_until_it_waits(till: Till, done: Future[Any]) -> None:
    """Until it is over, or another transaction stands in its way; on SQLite only one writes anyway."""
    while till.engine.dialect.name == "postgresql" and not done.done():
        with till.engine.connect() as line:
            waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            if line.scalar(text(f"SELECT count(*) {waiting}")):
                return
        time.sleep(0.005)


def by_hand(till: Till, work: Work) -> Callable[[], Any]:
    refund = orders.refund_of(work, till.rows(Refund)[0].id)
    order = orders.order_of(work.db, "pos-01", "OLD")
    assert refund is not None
    assert order is not None
    return lambda: road.apply(work, refund, order, because="by hand: boss")


def by_rule(till: Till, work: Work) -> Callable[[], Any]:
    road.match_refunds(work, "pos-01", None, LONG_AGO, 10)
    return lambda: road.match_refunds(work, "pos-01", "latest", LONG_AGO, 10)


@pytest.mark.parametrize("assign", [by_hand, by_rule])
def test_a_refund_is_taken_from_one_order_although_the_one_it_names_comes_while_it_is_put_on_another(
    till: Till, assign: Callable[[Till, Work], Callable[[], Any]]
) -> None:
    till.sell({"order_no": "OLD", "amount": "80.00", "paid_at": "2026-10-20T10:00:00+08:00"})
    till.refund({"refund_no": "R1", "order_no": "NEW", "amount": "50.00", "identity": WHO})
    with ThreadPoolExecutor(1) as pool:
        with till.work() as work:
            put = assign(till, work)
            comes = pool.submit(lambda: till.sell({"order_no": "NEW", "amount": "60.00"}))
            wait_until_it_waits(till, comes)
            put()
        assert comes.result().accepted == [0]
    assert {one.order_no: one.refunded for one in till.rows(ShopOrder)} == {"OLD": 5000, "NEW": 0}
    assert [one.state for one in till.rows(Refund)] == [orders.CONTESTED]
    assert earned(till) == {"OLD": 30, "NEW": 60}

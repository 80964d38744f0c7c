"""What the books say of each month's points: by hand, against a plain reading of every row, and on both databases."""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, func, select, update

from loyalty.expiry import add_months
from loyalty.ledger import earn
from loyalty.ledger.book import About
from loyalty.ledger.claw import Policy
from loyalty.ledger.earn import Grant
from loyalty.ledger.lots import NotEnough
from loyalty.ledger.spend import InDebt
from loyalty.liability import facts as reading
from loyalty.liability import parameters, report
from loyalty.liability.facts import OTHER, PURCHASE, Facts, month_of
from loyalty.liability.parameters import Parameters
from loyalty.liability.triangle import Cohort
from soak import many
from storage.database import UtcTime, open_engine, transaction
from storage.tables import PointsEntry, PointsLot, PointsLotNow, PointsTxn, ShopOrder
from storage.tables.orders import reference
from tests import databases
from tests.loyalty.books import Books

SHANGHAI = ZoneInfo("Asia/Shanghai")
JANUARY = date(2026, 1, 1)


def facts(books: Books, as_of: date) -> Facts:
    with books.work() as work:
        return reading.read(work.db, as_of, SHANGHAI)


def order(books: Books, number: str, amount: int, points: int, *, lives: float | None = None, who: int = 0) -> int:
    """An order of so many fen, and what it earned."""
    named = reference("order", "门店:1%", number)
    with books.work() as work:
        row = {"paid_at": work.now, "received_at": work.now, "digest": "", "amount": amount}
        work.db.add(ShopOrder(source="门店:1%", order_no=number, **row))
        until = None if lives is None else books.now + timedelta(days=lives)
        grants = [Grant(points, books.now, until, PURCHASE), Grant(7, books.now, until, "marketing")]
        about = About("award", named, books.now, "orders", source=named, request={"n": number})
        return earn.award(work, books.people[who], grants, about).id


def cohort(found: Facts, kind: str, month: date) -> Cohort:
    (only,) = [one for one in found.cells[kind].cohorts if one.month == month]
    return only


def test_a_month_by_hand(books: Books) -> None:
    books.to(2)
    first = order(books, "A:1", 10_000, 100, lives=80)
    order(books, "A2", 5_000, 50, lives=80)
    spent = books.redeem(30)  # of A:1 and its bonus: the soonest to die, the older first
    books.to(40)
    books.give_back(spent, 10)
    books.claw(first, 50)
    books.donate(20)
    books.to(45)
    books.transfer(15)
    books.redeem(15, who=1)
    found = facts(books, date(2026, 2, 28))
    assert (found.first, found.through) == (JANUARY, 2)
    sold, given_ = cohort(found, PURCHASE, JANUARY), cohort(found, OTHER, JANUARY)
    assert sold.issued + given_.issued == 164
    assert sold.redeemed[0] + given_.redeemed[0] == 30
    assert sold.redeemed[1] + given_.redeemed[1] == 30 - 10 + 20 + 15
    assert sold.taken_back + given_.taken_back == 50
    assert sold.open + given_.open == 164 - 55 - 50
    assert found.sales == {JANUARY: reading.Sale(15_000, 150, 0)}
    assert found.cells[PURCHASE].redeemers == 2


def test_a_debt_leaves_what_was_spent_spent_and_takes_what_pays_it(books: Books) -> None:
    books.to(1)
    first = order(books, "1", 10_000, 100)
    books.redeem(107)
    books.to(35)
    books.claw(first, 100, Policy())  # 100 are owed
    order(books, "2", 4_000, 40)
    found = facts(books, date(2026, 2, 28))
    january, february = cohort(found, PURCHASE, JANUARY), cohort(found, PURCHASE, date(2026, 2, 1))
    assert (january.issued, january.redeemed, january.taken_back, january.open) == (100, (100, 100), 0, 0)
    assert (february.issued, february.taken_back, february.open) == (40, 40, 0)


def test_what_one_account_pays_for_another_is_taken_back_where_it_was(books: Books) -> None:
    books.to(1)
    first = books.award(50, key="a")
    books.redeem(50)
    books.to(35)
    books.award(60, who=2)
    books.claw(first, 50, Policy())
    books.joined = True
    books.redeem(5)
    found = facts(books, date(2026, 2, 28))
    assert cohort(found, PURCHASE, JANUARY).redeemed == (50, 50)
    february = cohort(found, PURCHASE, date(2026, 2, 1))
    assert (february.redeemed, february.taken_back, february.open) == ((5,), 50, 5)


def test_points_that_died_are_dead_before_anybody_sweeps_and_what_came_back_lives_in_its_old_month(
    books: Books,
) -> None:
    books.award(100, lives=20)
    spent = books.redeem(40)
    books.to(21)
    before = facts(books, date(2026, 1, 31))
    assert (cohort(before, PURCHASE, JANUARY).open, before.gone[PURCHASE, JANUARY]) == (0, 60)
    books.sweep()
    assert facts(books, date(2026, 1, 31)) == before
    books.to(50)
    books.give_back(spent, 40, grace=30)
    books.redeem(10)
    after = facts(books, date(2026, 2, 28))
    january = cohort(after, PURCHASE, JANUARY)
    assert (january.redeemed, january.open, january.dies) == ((40, 10), 30, {3: 30})
    assert len(after.cells[PURCHASE].cohorts) == 1


def test_what_is_set_apart_does_not_die_with_its_lot(books: Books) -> None:
    books.award(100, lives=20)
    hold = books.hold(40, days=60)
    books.to(45)
    found = facts(books, date(2026, 1, 31))
    january = cohort(found, PURCHASE, JANUARY)
    assert (january.open, january.dies, found.gone[PURCHASE, JANUARY]) == (40, {2: 40}, 60)
    books.sweep()
    assert facts(books, date(2026, 1, 31)) == found
    books.capture(hold)
    assert cohort(facts(books, date(2026, 2, 28)), PURCHASE, JANUARY).redeemed == (0, 40)


def test_points_count_where_they_began_however_often_they_changed_hands_and_lots(books: Books) -> None:
    books.award(100, lives=20)
    books.transfer(15)
    spent = books.redeem(15, who=1)
    books.to(50)
    books.give_back(spent, 15, grace=30)  # a lot that came of a lot that came of the first
    books.redeem(5, who=1)
    found = facts(books, date(2026, 2, 28))
    (january,) = found.cells[PURCHASE].cohorts
    assert found.cells[OTHER].cohorts == []
    assert (january.month, january.issued, january.redeemed) == (JANUARY, 100, (15, 5))
    assert (january.open, january.taken_back, found.gone[PURCHASE, JANUARY]) == (10, 0, 85)
    assert found.cells[PURCHASE].redeemers == 1


def test_points_whose_end_must_be_told_live_until_it_was(database_url: str) -> None:
    books = Books(database_url)  # not proved at the end: it is told behind the books' back
    books.award(100, lives=20)
    books.award(10, lives=20)
    with books.work() as work:
        first = select(func.min(PointsLotNow.lot_id)).scalar_subquery()
        own = update(PointsLotNow).where(PointsLotNow.lot_id == first)
        work.db.execute(own.values(notice_days=30), execution_options={"synchronize_session": False})
    books.to(40)
    found = facts(books, date(2026, 1, 31))
    january = cohort(found, PURCHASE, JANUARY)
    assert (january.open, january.dies, found.gone[PURCHASE, JANUARY]) == (100, {2: 100}, 10)
    with books.work() as work:
        told = own.values(not_before=datetime(2026, 3, 10, tzinfo=UTC))
        work.db.execute(told, execution_options={"synchronize_session": False})
    assert facts(books, date(2026, 1, 31)) == found  # told later: that day says the same
    assert cohort(facts(books, date(2026, 3, 31)), PURCHASE, JANUARY).open == 0
    books.close()


def test_an_earlier_day_answers_the_same_whenever_it_is_asked(books: Books) -> None:
    books.award(100)
    books.to(20)
    books.redeem(30)
    then = facts(books, date(2026, 1, 31))
    books.to(60)
    books.redeem(50)
    books.award(10)
    assert facts(books, date(2026, 1, 31)) == then
    assert facts(books, date(2025, 12, 31)).cells == {}
    late = facts(books, date(2026, 3, 10))
    assert (late.through, cohort(late, PURCHASE, JANUARY).redeemed) == (2, (30, 30))
    assert cohort(late, PURCHASE, JANUARY).recent == 50


def test_purchase_points_without_an_order_are_told_apart(books: Books) -> None:
    order(books, "1", 10_000, 100)
    books.award(30)
    found = facts(books, date(2026, 1, 31))
    assert found.sales[JANUARY] == reading.Sale(10_000, 100, 30)
    with books.work() as work:
        parameters.decide(work, Parameters(10_000, 5_000), "boss")
        one = report.look(work.db, date(2026, 1, 31), SHANGHAI)
    assert one.guessed
    money = one.of(PURCHASE)[0].money
    assert money is not None  # nothing is known yet, so all are expected to be redeemed
    assert money.allocated == Fraction(10_000 * 100, 10_100) + 30
    assert one.cost_of((OTHER,)) == Fraction(7, 2)
    assert one.cost_of() == Fraction(137, 2)


def test_money_is_there_once_the_shop_has_said_what_a_point_is_worth_and_follows_its_versions(books: Books) -> None:
    books.to(1)
    order(books, "1", 10_000, 100)
    with books.work() as work:
        assert report.look(work.db, date(2026, 1, 31), SHANGHAI).deferred is None
    books.to(40)
    with books.work() as work:
        parameters.decide(work, Parameters(10_000, 5_000), "boss")
    books.to(70)
    order(books, "2", 10_000, 100)
    with books.work() as work:
        first = report.look(work.db, date(2026, 2, 28), SHANGHAI)
        assert parameters.decide(work, Parameters(20_000, 5_000), "boss") is not None
        assert parameters.decide(work, Parameters(20_000, 5_000), "boss") is None
        assert report.look(work.db, date(2026, 2, 28), SHANGHAI) == first
        later = report.look(work.db, date(2026, 3, 31), SHANGHAI)
    old, new = (one.money for one in later.of(PURCHASE))
    assert old is not None
    assert new is not None
    assert old.allocated == Fraction(10_000 * 100, 10_100)  # never measured again
    assert new.allocated == Fraction(10_000 * 200, 10_200)


@pytest.mark.parametrize(("name", "wanted"), [
    ("face", Parameters(0, 1)), ("face", Parameters(-1, 1)), ("cost", Parameters(1, -1)),
    ("tax", Parameters(1, 1, 10_001)),
])  # fmt: skip
def test_numbers_that_cannot_be_are_named(name: str, wanted: Parameters, sqlite_url: str) -> None:
    books = Books(sqlite_url)
    with books.work() as work, pytest.raises(parameters.BadParameters) as caught:
        parameters.decide(work, wanted, "boss")
    assert caught.value.name == name
    books.close()


# --- every row, read plainly -----------------------------------------------------------------------------------------


def plainly(books: Books, as_of: date) -> dict[tuple[str, date, str], int]:
    """By kind, month and what became of them, told without any of the words of ``facts``."""
    end = datetime.combine(as_of + timedelta(days=1), time(), SHANGHAI)
    lots = {one.id: one for one in books.rows(PointsLot)}
    txns = {one.id: one for one in books.rows(PointsTxn) if one.recorded_at < end}

    def root(lot: PointsLot) -> PointsLot:
        return lot if lot.origin_lot is None else root(lots[lot.origin_lot])

    found: dict[tuple[str, date, str], int] = defaultdict(int)
    for one in books.rows(PointsEntry):
        if one.txn_id not in txns:
            continue
        lot = lots[one.lot_id]
        first = root(lot)
        month = txns[first.txn_id].effective_at.astimezone(SHANGHAI).date().replace(day=1)
        kind = PURCHASE if first.origin == PURCHASE else OTHER
        if one.bucket in ("redeemed", "donated"):
            found[kind, month, "redeemed"] += one.amount
            own = txns[one.txn_id].effective_at.astimezone(SHANGHAI).date().replace(day=1)
            found[kind, month, f"in {own}"] += one.amount
        elif one.bucket == "held":
            found[kind, month, "open"] += one.amount
        elif one.bucket in ("pending", "available"):
            dead = lot.expires_at is not None and lot.expires_at <= end
            found[kind, month, "gone" if dead else "open"] += one.amount
        elif one.bucket == "expired":
            found[kind, month, "gone"] += one.amount
        elif one.bucket == "issued":
            found[kind, month, "issued"] -= one.amount
        else:
            found[kind, month, "back"] += one.amount
    return {key: n for key, n in found.items() if n}


def told(found: Facts) -> dict[tuple[str, date, str], int]:
    """The same of ``facts``."""
    told_: dict[tuple[str, date, str], int] = {}
    for kind, cell in found.cells.items():
        for one in cell.cohorts:
            sums = {"issued": one.issued, "redeemed": one.so_far, "open": one.open, "back": one.taken_back}
            sums["gone"] = found.gone.get((kind, one.month), 0)
            for age, so_far in enumerate(one.redeemed, start=1):
                sums[f"in {add_months(one.month, age - 1)}"] = so_far - one.at(age - 1)
            sums[f"in {add_months(one.month, one.age)}"] = one.recent
            told_ |= {(kind, one.month, what): n for what, n in sums.items() if n}
    return told_


WHAT = (
    "award",
    "gift",
    "brief",
    "redeem",
    "hold",
    "capture",
    "claw",
    "give",
    "back",
    "donate",
    "sweep",
    "wait",
    "join",
)
DOINGS = st.lists(
    st.tuples(st.sampled_from(WHAT), st.integers(1, 80), st.sampled_from([0, 1, 2])), min_size=4, max_size=30
)


def play(books: Books, doings: list[tuple[str, int, int]]) -> None:
    orders, holds, spent = [], [], []
    for what, points, who in doings:
        try:
            if what == "award":
                orders.append((books.award(points, who=who, pends=points % 3), who, points))
            elif what == "gift":
                books.award(points, who=who, origin="marketing")
            elif what == "brief":
                ends = (books.now - datetime(2026, 1, 1, tzinfo=UTC)) / timedelta(days=1) + points
                orders.append((books.award(points, who=who, lives=ends), who, points))
            elif what == "redeem":
                spent.append((books.redeem(points, who=who), points))
            elif what == "hold":
                holds.append(books.hold(points, who=who))
            elif what == "capture" and holds:
                books.capture(holds.pop(), 0 if points % 2 else None)
            elif what == "claw" and orders:
                order_, whose, earned = orders.pop()
                books.claw(order_, earned, who=whose)
            elif what == "give":
                books.transfer(points, who=who)
            elif what == "back" and spent:
                txn, n = spent.pop()
                books.give_back(txn, n, grace=points)
            elif what == "donate":
                books.donate(points, who=who)
            elif what == "sweep":
                books.sweep()
            elif what == "wait":
                books.now += timedelta(days=points // 3, hours=9)
            elif what == "join":
                books.joined = not books.joined
        except (NotEnough, InDebt):
            continue


@given(doings=DOINGS, days=st.integers(0, 60))
@settings(max_examples=many(12, 500), deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_whatever_happens_every_point_is_accounted_for_as_of_any_day(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: object, doings: list[tuple[str, int, int]], days: int
) -> None:
    books = Books(databases.fresh_sqlite(tmp_path_factory.mktemp("liability"), sqlite_template))  # type: ignore[arg-type]
    play(books, doings)
    for as_of in (JANUARY + timedelta(days=days), books.now.astimezone(SHANGHAI).date()):
        found = facts(books, as_of)
        assert told(found) == plainly(books, as_of)
        for kind, cell in found.cells.items():
            for one in cell.cohorts:
                dead = found.gone.get((kind, one.month), 0)
                assert one.issued == one.so_far + one.taken_back + one.open + dead
                assert 0 <= one.so_far <= one.kept
                assert min([*one.redeemed, *one.cancelled, *one.dies.values(), 0]) >= 0
    books.close()


def test_both_databases_say_the_same(books: Books) -> None:
    play(books, [(WHAT[n * 7 % len(WHAT)], 1 + n * 37 % 80, n % 3) for n in range(120)])
    as_of = books.now.astimezone(SHANGHAI).date()
    assert told(facts(books, as_of)) == plainly(books, as_of)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_a_moment_lies_in_the_month_of_the_shops_time(database_url: str, zone: str) -> None:
    starts = [datetime.combine(add_months(JANUARY, n), time(), ZoneInfo(zone)) for n in range(30)]
    engine = open_engine(database_url)
    asked = bindparam("at", type_=UtcTime())
    with transaction(engine) as db:
        for number, start in enumerate(starts):
            for moment, month in ((start, number), (start - timedelta(microseconds=1), max(0, number - 1))):
                own = {"at": moment}
                assert db.scalar(select(month_of(asked, starts)), own) == month
            assert db.scalar(select(month_of(asked, starts, last_alive=True)), {"at": start}) == max(0, number - 1)
    engine.dispose()

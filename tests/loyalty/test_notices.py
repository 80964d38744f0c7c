"""I32, and I7 with it: points die no earlier than they were told to, so many days after it; the clock alone decides."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from loyalty import notices
from loyalty.ledger import carrying
from loyalty.programme import Programme
from soak import many
from storage.database import open_engine, transaction
from storage.tables import PointsEntry, PointsLotNow, PointsNotice, PointsTxn
from tests import databases
from tests.loyalty.books import Books, day
from tests.opened import Kept

ZONE = ZoneInfo("Asia/Shanghai")


def tell(books: Books, who: int = 0, *, upto: float = 9999, way: str = notices.CARD) -> int:
    with books.work() as work:
        return notices.told(work, books.own(who), day(upto), way, "card:1")


def test_what_was_told_in_time_dies_on_its_day(books: Books) -> None:
    books.award(40, lives=30, notice_days=7)
    books.to(20)
    assert tell(books) == 1
    books.to(29.9)
    assert books.standing().available == 40
    books.to(30)
    assert books.standing().available == 0
    books.sweep()
    assert books.sum("expired") == 40


def test_what_nobody_was_told_of_lives_and_can_be_spent(books: Books) -> None:
    books.award(40, lives=30, notice_days=7)
    books.to(400)
    assert books.standing().available == 40
    books.sweep()
    assert books.sum("expired") == 0
    books.redeem(15)
    assert books.standing().available == 25
    with books.work() as work:
        assert notices.waiting(work.db, books.now) == notices.Waiting(1, 25)


def test_what_is_told_late_dies_the_days_after_it(books: Books) -> None:
    books.award(40, lives=30, notice_days=7)
    books.to(28)
    tell(books)
    books.to(34.9)
    assert books.standing().available == 40
    assert books.standing().ends(books.now, ZONE) == [(day(35).date(), 40)]
    books.to(35)
    assert books.standing().available == 0


def test_telling_twice_moves_nothing_and_is_written_once(books: Books) -> None:
    books.award(40, lives=30, notice_days=7)
    books.to(10)
    assert tell(books) == 1
    books.to(29)
    assert tell(books, way=notices.KF) == 0
    (row,) = books.rows(PointsNotice)
    assert (row.told_at, row.way, row.points, row.ends_at) == (day(10), "card", 40, day(30))
    books.to(30)
    assert books.standing().available == 0


def test_only_what_was_named_is_told_of(books: Books) -> None:
    books.award(40, lives=30, notice_days=7)
    books.award(60, lives=60, notice_days=7)
    books.to(20)
    assert tell(books, upto=31) == 1
    books.to(70)
    assert books.standing().available == 60


def test_given_on_it_has_to_be_told_to_whoever_has_it_now(books: Books) -> None:
    books.award(40, lives=30, notice_days=7)
    books.to(10)
    tell(books)
    books.transfer(40)
    books.to(31)
    assert books.standing(1).available == 40
    assert tell(books, 1) == 1
    books.to(38)
    assert books.standing(1).available == 0


def test_the_books_do_not_let_a_notice_be_changed(books: Books) -> None:
    books.award(40, lives=30, notice_days=7)
    tell(books)
    with pytest.raises(Exception, match="append-only"), books.work() as work:
        work.db.connection().exec_driver_sql("UPDATE points_notice SET points = 1")


def test_carried_to_another_place_what_waits_still_waits(books: Books, tmp_path: Path) -> None:
    books.award(40, lives=30, notice_days=7)
    books.award(60, lives=30, notice_days=7, who=1)
    books.to(10)
    tell(books, 1)
    with books.work() as work:
        rows = [[str("" if cell is None else cell) for cell in row] for row in carrying.rows(work.db)]
    other = open_engine(databases.fresh_sqlite(tmp_path, databases.sqlite_template(tmp_path)))
    with transaction(other) as db:
        carrying.carry_in(db, carrying.HEAD, rows)
        kept = {one.account_id: (one.notice_days, one.not_before) for one in db.query(PointsLotNow)}
    assert kept == {books.people[0]: (7, None), books.people[1]: (7, day(17))}
    other.dispose()


def test_the_law_of_a_place_may_ask_for_more_days_than_the_shop() -> None:
    assert Programme().told_before == 7
    assert Programme(notice_days=0).told_before == 0
    assert Programme(jurisdiction="CA-QC", expiry={"kind": "never"}).told_before == 30


# --- whatever is done, in whatever order -----------------------------------------------------------------------------

DO = st.one_of(
    st.tuples(st.just("award"), st.integers(1, 90), st.integers(1, 40), st.sampled_from([0, 3, 7, 30])),
    st.tuples(st.just("buys"), st.integers(1, 90), st.sampled_from([0, 7, 30]), st.sampled_from([0, 5, 40])),
    st.tuples(st.just("tell"), st.integers(0, 60)),
    st.tuples(st.just("redeem"), st.integers(1, 60)),
    st.tuples(st.just("transfer"), st.integers(1, 30)),
    st.tuples(st.just("hold"), st.integers(1, 30)),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 1, 3, 8, 31])),
)


def play(books: Books, acts: list[tuple[Any, ...]]) -> None:
    for do, *numbers in acts:
        if do == "wait":
            books.now += timedelta(days=numbers[0])
        elif do == "award":
            lives = (books.now - day(0)) / timedelta(days=1) + numbers[1]
            books.award(numbers[0], lives=lives, notice_days=numbers[2])
        elif do == "buys":
            paid = (books.now - day(0)) / timedelta(days=1) - numbers[2]
            books.buys(numbers[0], months=1, notice_days=numbers[1], paid=paid)
        elif do == "tell":
            with books.work() as work:
                upto = books.now + timedelta(days=numbers[0])
                notices.told(work, books.own(0), upto, notices.PAGE, f"me:{books.now}")
        elif do == "sweep":
            before = books.standing(0).available, books.standing(1).available
            books.sweep()
            assert (books.standing(0).available, books.standing(1).available) == before, "I7"
        elif books.standing().available >= numbers[0]:
            getattr(books, do)(numbers[0])
        assert_told_before_death(books)
        assert_what_lives_can_be_spent(books)


def assert_what_lives_can_be_spent(books: Books) -> None:
    """What the books say can be spent is what has not died by this rule, read off the notices, not off the lots."""
    told = {(one.lot_id, one.expires_at): one.told_at for one in books.rows(PointsNotice)}
    for who in (0, 1):
        lives = 0
        for one in books.rows(PointsLotNow):
            if one.account_id == books.people[who] and one.activates_at <= books.now:
                said = told.get((one.lot_id, one.expires_at))
                announced = not one.notice_days or (
                    said is not None and said + timedelta(days=one.notice_days) <= books.now
                )
                died = one.expires_at is not None and one.expires_at <= books.now and announced
                lives += 0 if died else one.pending + one.available
        assert books.standing(who).available == lives, "I32"


def assert_told_before_death(books: Books) -> None:
    """Whatever the books say has died was told of so many days before, or never had to be."""
    asked = {one.lot_id: one.notice_days for one in books.rows(PointsLotNow)}
    told = {(one.lot_id, one.expires_at): one.told_at for one in books.rows(PointsNotice)}
    promised = {one.lot_id: one.expires_at for one in books.rows(PointsLotNow)}
    for lot_id, died_at in deaths(books).items():
        assert promised[lot_id] <= died_at, "I32: before its day"
        if asked[lot_id]:
            said = told.get((lot_id, promised[lot_id]))
            assert said is not None, "I32: nobody was told"
            assert said + timedelta(days=asked[lot_id]) <= died_at, "I32: told too late"


def deaths(books: Books) -> dict[int, datetime]:
    when = {one.id: one.effective_at for one in books.rows(PointsTxn) if one.kind == "expire"}
    return {
        one.lot_id: when[one.txn_id]
        for one in books.rows(PointsEntry)
        if one.bucket == "expired" and one.amount > 0 and one.txn_id in when
    }


@given(acts=st.lists(DO, min_size=4, max_size=many(14, 30)))
@settings(max_examples=many(25, 500), deadline=None, phases=[Phase.generate], derandomize=True)
def test_i32_nothing_dies_before_it_was_told_and_i7_the_sweep_changes_nothing(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[Any, ...]]
) -> None:
    books = Books(databases.fresh_sqlite(tmp_path_factory.getbasetemp(), sqlite_template))
    try:
        play(books, acts)
        assert books.verify().holds
    finally:
        books.close()


@given(acts=st.lists(DO, min_size=6, max_size=many(10, 30)))
@settings(max_examples=many(4, 500), deadline=None, phases=[Phase.generate], derandomize=True)
def test_i32_on_postgresql_too(opened_postgres: Kept, acts: list[tuple[Any, ...]]) -> None:
    books = Books(opened_postgres.put_back())
    try:
        play(books, acts)
        assert books.verify().holds
    finally:
        books.close()

"""Published forecasts stay as they were, are scored once, and their journals add up to where the books stand."""

from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from loyalty.liability import parameters, published, report
from loyalty.liability.accounting import nearest
from loyalty.liability.facts import OTHER
from loyalty.liability.journal import CONTRACT, PROVISION, Posting, postings
from loyalty.liability.parameters import Parameters
from loyalty.liability.published import CannotPublish
from loyalty.liability.report import Report
from scheduler import liability_jobs
from soak import many
from storage.tables import PointsForecast, PointsForecastScore
from storage.work import Work
from tests.loyalty.books import Books
from tests.loyalty.test_liability_facts import SHANGHAI, order

JANUARY, FEBRUARY, MARCH = date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)


def look(books: Books, as_of: date) -> Report:
    with books.work() as work:
        return report.look(work.db, as_of, SHANGHAI)


def publish(books: Books, as_of: date) -> PointsForecast:
    one = look(books, as_of)
    with books.work() as work:
        return published.publish(work, one, "boss")


def worth(books: Books, face: int = 10_000, cost: int = 5_000) -> None:
    with books.work() as work:
        parameters.decide(work, Parameters(face, cost), "boss")


def score(books: Books) -> int:
    def work(db: object) -> Work:
        return Work(db, books.now, cause="test")  # type: ignore[arg-type]

    return liability_jobs.score(books.engine, work, lambda: False)


@pytest.fixture
def trading(books: Books) -> Books:
    """A shop in its fourth month: each month 1,000 points are sold and some given, a part of them spent."""
    worth(books)
    for month in range(3):
        for n in range(4):
            books.to(31 * month + 2 + n)
            order(books, f"{month}-{n}", 25_000, 250, lives=400)
        books.to(31 * month + 10)
        books.redeem(120 + 40 * month)
        books.to(31 * month + 20)
        books.redeem(60)
    books.to(92)  # 2 or 3 April
    return books


def test_what_cannot_be_published_is_named(books: Books) -> None:
    for as_of, why in ((date(2026, 1, 1), "month"), (date(2025, 12, 31), "empty")):
        with pytest.raises(CannotPublish) as caught:
            publish(books, as_of)
        assert caught.value.why == why
    books.award(10)
    books.to(40)
    with pytest.raises(CannotPublish, match="parameters"):
        publish(books, JANUARY)
    worth(books)
    publish(books, JANUARY)
    with pytest.raises(CannotPublish, match="published"):
        publish(books, JANUARY)
    with pytest.raises(CannotPublish, match="month"):
        publish(books, FEBRUARY)  # it is not over


def test_a_publication_can_be_neither_changed_nor_deleted(trading: Books) -> None:
    publish(trading, JANUARY)
    trading.to(150)
    assert score(trading) > 0
    for table in ("points_forecast", "points_forecast_score"):
        for statement in (f"UPDATE {table} SET month = month", f"DELETE FROM {table}"):
            own = statement.replace("month = month", "as_of = as_of") if table == "points_forecast" else statement
            with pytest.raises(DBAPIError, match="append-only"), trading.work() as work:
                work.db.execute(text(own))


def test_each_month_is_scored_once_when_it_is_over_by_the_points_that_were_there(trading: Books) -> None:
    row = publish(trading, FEBRUARY)
    told = {one["month"]: one["expected"] for one in row.months}
    assert score(trading) == 1  # March
    assert score(trading) == 0
    before = look(trading, MARCH).facts
    (first,) = trading.rows(PointsForecastScore)
    came = before.redeemed_in(date(2026, 3, 1), FEBRUARY)
    assert (first.month, first.expected, first.actual) == (date(2026, 3, 1), told["2026-03"], came)
    assert 0 < came <= 260
    order(trading, "new", 1_000_000, 5_000, lives=1)
    trading.redeem(4_000)  # new points, the soonest to die: not what was forecast
    trading.to(125)
    assert score(trading) == 1
    assert [one.actual for one in trading.rows(PointsForecastScore)] == [came, 0]
    with trading.work() as work:
        (record,) = published.records(work.db)
    assert (record.expected, record.actual) == (told["2026-03"] + told["2026-04"], came)
    assert record.error == Fraction(record.expected - came, came)
    assert 0 <= record.within <= 2


def test_the_score_is_right_whichever_day_it_is_made(trading: Books) -> None:
    publish(trading, JANUARY)
    trading.redeem(33)
    trading.to(200)
    score(trading)
    late = {(one.month, one.actual) for one in trading.rows(PointsForecastScore)}
    assert (date(2026, 2, 1), look(trading, FEBRUARY).facts.redeemed_in(date(2026, 2, 1), JANUARY)) in late


def balances(lines: list[Posting]) -> dict[str, int]:
    """What is owed on each account, in fen."""
    found: dict[str, int] = defaultdict(int)
    for one in lines:
        found[one.account] += one.credit - one.debit
    return dict(found)


def test_journals_follow_each_other_to_where_the_books_stand(trading: Books) -> None:
    all_lines: list[Posting] = []
    for as_of in (JANUARY, FEBRUARY, MARCH):
        one = look(trading, as_of)
        with trading.work() as work:
            before = published.journal(work.db, one)
        row, again = publish(trading, as_of), look(trading, as_of)
        with trading.work() as work:
            lines = published.journal_of(work.db, row)
            assert published.journal(work.db, again) == lines == before
        assert sum(line.debit for line in lines) == sum(line.credit for line in lines) > 0
        all_lines += lines
        stand = balances(all_lines)
        sold = [line.money for line in one.lines if line.money is not None]
        assert stand[CONTRACT] == sum(nearest(m.allocated) - nearest(m.recognised) for m in sold)
        provided = sum((line.cost for line in one.of(OTHER) if line.cost is not None), Fraction())
        assert abs(stand[PROVISION] - provided) <= len(one.of(OTHER))
        assert sum(stand.values()) == 0
    day, account, debit, credit, cohort, why = all_lines[0].cells()
    assert (day, account, credit, cohort) == ("2026-01-31", "主营业务收入", "", "2026-01 消费积分")
    assert (debit, why) == (f"{all_lines[0].debit / 100:.2f}", "从售价中分摊给积分：1000 分")


position_ = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["purchase", "other"]),
        "month": st.sampled_from(["2026-01", "2026-02"]),
        "allocated": st.integers(0, 10**6),
        "recognised": st.integers(0, 10**6),
        "provided": st.integers(0, 10**6),
        "kept": st.integers(0, 100),
    }
)


@given(st.lists(st.lists(position_, max_size=4, unique_by=lambda one: (one["kind"], one["month"])), max_size=6))
@settings(max_examples=many(60, 500))
def test_whatever_the_estimates_do_the_postings_end_where_the_last_position_is(positions: list[list[dict]]) -> None:  # type: ignore[type-arg]
    lines: list[Posting] = []
    before: list[dict[str, int]] = []
    for number, now in enumerate(positions):
        more = list(postings(JANUARY + timedelta(days=number), now, before))
        assert all((one.debit > 0) != (one.credit > 0) and min(one.debit, one.credit) == 0 for one in more)
        lines += more
        before = now
    stand = balances(lines)
    assert stand.get(CONTRACT, 0) == sum(one["allocated"] - one["recognised"] for one in before)
    assert stand.get(PROVISION, 0) == sum(one["provided"] for one in before)


def test_points_that_are_all_gone_owe_nothing(books: Books) -> None:
    worth(books)
    order(books, "1", 33_333, 333, lives=20)
    books.redeem(100)
    books.to(35)
    publish(books, JANUARY)
    one = look(books, JANUARY)
    with books.work() as work:
        lines = published.journal(work.db, one)
    assert one.deferred == 0
    assert balances(lines)[CONTRACT] == 0
    assert one.open == 0
    assert "已无剩余积分" in lines[-1].why

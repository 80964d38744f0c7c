"""I33: a day's report adds up, each closing is the next opening, and all of it is what the entries say."""

from collections import defaultdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from loyalty.ledger import daily
from loyalty.ledger.book import DEBT, STANDING
from loyalty.ledger.claw import Policy
from loyalty.ledger.lots import NotEnough
from loyalty.ledger.spend import InDebt
from soak import many
from storage.tables import PointsAccount, PointsDay, PointsEntry, PointsLot, PointsTxn
from tests import databases
from tests.loyalty.books import Books

SHANGHAI = ZoneInfo("Asia/Shanghai")


def close(books: Books) -> list[object]:
    """Close every day that is over."""
    closed: list[object] = []
    with books.work() as work:
        for day in daily.to_close(work.db, books.now.astimezone(SHANGHAI).date(), SHANGHAI):
            daily.close(work, day)
            closed.append(day)
    return closed


def test_i33_a_day_says_where_points_came_from_and_went(books: Books) -> None:
    books.now += timedelta(hours=20)  # 4 o'clock of the next day in Shanghai
    order = books.award(100, lives=30, channel="抖音", store="s1")
    books.award(50, pends=7, channel="抖音", store="s1")
    books.redeem(60)
    hold = books.hold(30)
    books.to(2)
    books.capture(hold, 10)
    books.claw(order, 100, Policy())
    books.to(3)
    (first, second) = close(books)
    with books.work() as work:
        lines = {(one.bucket, day): one for day in (first, second) for one in daily.report(work.db, day)}
    assert dict(lines["available", first].moves) == {"held": -30, "issued": 100, "redeemed": -60}
    assert dict(lines["pending", first].moves) == {"issued": 50}
    assert dict(lines["held", second].moves) == {"available": -20, "redeemed": -10}
    assert dict(lines["debt", second].moves) == {"clawed": 70}
    assert [lines[one, second].closing for one in ("available", "pending", "held", "debt")] == [0, 50, 0, 70]


def test_a_day_in_three_numbers_while_it_goes_on(books: Books) -> None:
    books.now += timedelta(hours=20)
    order = books.award(100)
    books.award(50)
    spent = books.redeem(60)
    today = books.now.astimezone(SHANGHAI).date()
    with books.work() as work:
        assert daily.total(work.db, today, SHANGHAI) == daily.Total(150, 60, 0)
    books.give_back(spent, 10)
    books.claw(order, 100, Policy())
    with books.work() as work:
        assert daily.total(work.db, today, SHANGHAI) == daily.Total(150, 50, 100)
        assert daily.total(work.db, today + timedelta(days=1), SHANGHAI) == daily.Total(0, 0, 0)


def test_i33_a_changed_report_is_found_and_closing_again_writes_the_same(books: Books) -> None:
    books.award(100)
    books.to(1)
    (day,) = close(books)
    before = [vars(one) for one in books.rows(PointsDay)]
    with books.work() as work:
        daily.close(work, day)
        assert daily.differences(work.db, day, SHANGHAI) == []
        work.db.execute(text("UPDATE points_day SET closing = closing + 1"))
        assert len(daily.differences(work.db, day, SHANGHAI)) == 1
        daily.close(work, day)
    assert len(books.rows(PointsDay)) == len(before)


@given(
    doings=st.lists(
        st.tuples(st.sampled_from(["award", "redeem", "hold", "capture", "claw", "give", "sweep", "wait", "join"]),
                  st.integers(1, 80), st.sampled_from([0, 1, 2]), st.sampled_from(["", "抖音"])),
        min_size=3, max_size=25,
    )
)  # fmt: skip
@settings(max_examples=many(12, 300), deadline=None)
def test_i33_every_day_channel_and_bucket_adds_up_and_closings_are_openings(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: object, doings: list[tuple[str, int, int, str]]
) -> None:
    books = Books(databases.fresh_sqlite(tmp_path_factory.mktemp("i33"), sqlite_template))  # type: ignore[arg-type]
    play(books, doings)
    books.now += timedelta(days=1)
    close(books)
    lines = books.rows(PointsDay)
    standing: dict[tuple[str, str, str], int] = defaultdict(int)
    for day in sorted({one.day for one in lines}):
        there = {(one.channel, one.store, one.bucket): one for one in lines if one.day == day}
        assert all(one.opening + sum(one.moves.values()) == one.closing for one in there.values())
        assert {place: one.opening for place, one in there.items() if one.opening} == {
            place: n for place, n in standing.items() if n
        }
        standing = defaultdict(int, {place: one.closing for place, one in there.items()})
        assert {place: n for place, n in standing.items() if n} == said(books, day)
    for name in STANDING:
        kept = sum(getattr(one, name) for one in books.rows(PointsAccount))
        assert sum(n for place, n in standing.items() if place[2] == name) == kept
    books.close()


def play(books: Books, doings: list[tuple[str, int, int, str]]) -> None:
    orders, holds = [], []
    for what, points, who, channel in doings:
        try:
            if what == "award":
                orders.append((books.award(points, who=who, channel=channel, pends=points % 3), who, points))
            elif what == "redeem":
                books.redeem(points, who=who)
            elif what == "hold":
                holds.append(books.hold(points, who=who))
            elif what == "capture" and holds:
                books.capture(holds.pop(), 0 if points % 2 else None)
            elif what == "claw" and orders:
                order, whose, earned = orders.pop()
                books.claw(order, earned, who=whose)
            elif what == "give":
                books.transfer(points, who=who)
            elif what == "sweep":
                books.sweep()
            elif what == "wait":
                books.now += timedelta(hours=9 * (points % 4))
            elif what == "join":
                books.joined = not books.joined
        except (NotEnough, InDebt):
            continue


def said(books: Books, day: object) -> dict[tuple[str, str, str], int]:
    """What the entries come to at the end of a day, told without any of the report's own words."""
    lots = {one.id: one for one in books.rows(PointsLot)}
    at: dict[int, datetime] = {one.id: one.recorded_at for one in books.rows(PointsTxn)}
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for one in books.rows(PointsEntry):
        lot = lots[one.lot_id]
        if one.bucket in STANDING and at[one.txn_id].astimezone(SHANGHAI).date() <= day:  # type: ignore[operator]
            sums[lot.channel, lot.store, one.bucket] += -one.amount if one.bucket == DEBT else one.amount
    return {place: n for place, n in sums.items() if n}

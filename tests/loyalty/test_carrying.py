"""I34: the books go out as a CSV and come back into empty ones the same, to the last seal; never half, never wrong."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from loyalty import accounts, notices
from loyalty.ledger import carrying, proof, seals, spend, standing
from loyalty.ledger.book import About
from storage import sheets
from storage.database import open_engine, transaction
from storage.tables import (
    PointsAccount,
    PointsEntry,
    PointsHold,
    PointsLot,
    PointsLotNow,
    PointsNotice,
    PointsRenewal,
    PointsSeal,
    PointsSealed,
    PointsTxn,
)
from storage.work import Work
from tests import databases
from tests.loyalty import old_books
from tests.loyalty.books import Books, day
from tests.opened import Kept, kept_copy

ALL = (
    PointsTxn, PointsLot, PointsEntry, PointsRenewal, PointsLotNow, PointsHold, PointsNotice, PointsSeal, PointsSealed
)  # fmt: skip


@pytest.fixture(scope="module")
def other_postgres(postgres_template: str) -> Iterator[Kept]:
    yield from kept_copy(postgres_template)


@pytest.fixture(params=["sqlite", "postgresql"])
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return databases.fresh_sqlite(tmp_path, request.getfixturevalue("sqlite_template"))
    return str(request.getfixturevalue("other_postgres").put_back())


def lived(books: Books) -> None:
    """A bit of everything, with texts that a spreadsheet would take for formulas, some of it sealed."""
    books.buys(70, months=1, notice_days=7)
    books.buys(40, months=2)
    books.given(5, months=1, who=1)
    order = books.award(100, lives=30, channel="=1+1", store="'@x", campaign="双倍\n“大促”", uses={"sku": ["A"]})
    books.award(50, who=1, pends=7)
    with books.work() as work:
        notices.told(work, books.own(0), day(60), notices.CARD, "card:1")
    books.to(1)
    hold = books.hold(30)
    books.hold(10)
    books.joined = True
    books.award(20, who=2)
    spent = books.redeem(60)
    books.give_back(spent, 10)
    books.capture(hold, 20)
    books.transfer(5)
    books.claw(order, 100)
    for _ in range(2):
        books.to(books.now.day + 2)
        books.sweep()
        with books.work() as work:
            seals.seal(work)
    books.redeem(1, key="=cmd|' /C calc'!A0", who=1) if books.standing(1).available else None


def carried(books: Books) -> str:
    with books.work() as work:
        return "".join(sheets.lines(carrying.HEAD, carrying.rows(work.db)))


def take_in(url: str, file: str) -> proof.Proof:
    engine = open_engine(url)
    cells = ([sheets.plain(one) for one in row] for row in csv.reader(io.StringIO(file.removeprefix(sheets.BOM))))
    try:
        with transaction(engine) as db:
            return carrying.carry_in(db, next(cells), cells)
    finally:
        engine.dispose()


def test_i34_books_carried_over_are_the_same_to_the_last_seal_and_go_on(books: Books, other_url: str) -> None:
    lived(books)
    before = books.verify()
    found = take_in(other_url, carried(books))
    assert (found.head, found.transactions, found.unsealed) == (before.head, before.transactions, before.unsealed)
    engine = open_engine(other_url)
    with transaction(engine) as db:
        for table in ALL:
            order = table.__table__.primary_key
            there = [tuple(one) for one in db.execute(select(table.__table__).order_by(*order))]
            with books.work() as work:
                here = [tuple(one) for one in work.db.execute(select(table.__table__).order_by(*order))]
            assert there == here, table
        for account in books.rows(PointsAccount):
            ours = books.standing(books.people.index(account.id))
            if not books.joined or account.id == books.people[1]:
                assert standing.standing(db, [account.id], books.now) == ours
        work = Work(db, books.now, cause="test")
        fresh = accounts.open_account(work, _person(work))
        assert fresh not in books.people
        rich = max(books.people, key=lambda one: standing.standing(db, [one], books.now).available)
        spend.redeem(work, rich, 1, About("redeem", "after", books.now, "test"))
        assert proof.verify(db).holds
    engine.dispose()


def test_books_that_an_older_release_exported_come_in_as_they_were(other_url: str) -> None:
    found = take_in(other_url, old_books.ROWS)
    assert (found.transactions, found.seals, found.unsealed) == (3, 1, 0)
    assert found.head == "0e236b4be5043ef25dc3c25c5bc450228e449e522337d2b0357dd99fd851920d"
    engine = open_engine(other_url)
    with transaction(engine) as db:
        (lot,) = db.scalars(select(PointsLotNow))
        assert (lot.available, lot.expires_at, lot.notice_days, lot.idle_months) == (70, day(30), 7, None)
    engine.dispose()


@pytest.mark.parametrize("column", ["reverses", "person_id", "record", "not_before"])
def test_a_file_that_lacks_what_every_export_has_is_refused(other_url: str, column: str) -> None:
    with pytest.raises(carrying.BadBooks, match="columns"):
        take_in(other_url, old_books.ROWS.replace(f"{column},", "", 1).replace(f",{column}\n", "\n", 1))


def test_a_record_without_the_columns_it_needs_is_refused(other_url: str) -> None:
    with pytest.raises(carrying.BadBooks, match="cannot be read"):
        take_in(other_url, f"{old_books.ROWS}renewal{',1' * 43}\n")


def _person(work: Work) -> int:
    from storage.tables import Person

    person = Person(name="新", first_seen_at=work.now, last_seen_at=work.now)
    work.db.add(person)
    work.db.flush()
    return person.id


def test_books_are_not_put_into_others(books: Books) -> None:
    books.award(5)
    with pytest.raises(carrying.NotEmpty):
        take_in(books.url, carried(books))


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (",redeemed,60", ",redeemed,61"),
        ("purchase", "marketing"),
        ("2026-01-01T", "2026-01-99T"),
        ("entry,", "entrée,"),
    ],
)
def test_a_file_that_was_changed_is_refused_whole(books: Books, other_url: str, was: str, now: str) -> None:
    lived(books)
    file = carried(books)
    assert was in file
    with pytest.raises(carrying.BadBooks):
        take_in(other_url, file.replace(was, now, 1))
    engine = open_engine(other_url)
    with transaction(engine) as db:
        assert db.scalar(text("SELECT count(*) FROM points_txn")) == 0
    engine.dispose()


def test_no_cell_of_the_file_is_a_formula(books: Books) -> None:
    lived(books)
    cells = [one for row in csv.reader(io.StringIO(carried(books).removeprefix(sheets.BOM))) for one in row]
    assert any(one.startswith("'=1+1") for one in cells)
    assert not any(one.lstrip("'\"").startswith(("=", "@", "+")) and not one.startswith("'") for one in cells)

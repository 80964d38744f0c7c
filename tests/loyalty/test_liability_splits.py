"""By what a forecast is split: who stands for themselves, what a change of policy cuts, and that it adds up."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty import programme
from loyalty.expiry import add_months
from loyalty.liability import facts as reading
from loyalty.liability import journal, parameters, published, report
from loyalty.liability.forecast import forecast
from loyalty.liability.parameters import Parameters
from loyalty.liability.report import Report
from loyalty.liability.splits import ALONE, FEW, REST, SHORT, arranged, parts
from loyalty.liability.triangle import Cell, Cohort, Era, pooled
from scheduler import liability_jobs
from soak import many
from storage.tables import PointsForecastScore, TierChange
from storage.work import Work
from tests.loyalty.books import Books
from tests.loyalty.test_liability_facts import SHANGHAI, order
from tests.loyalty.test_liability_forecast import steady, triangles

FIRST = date(2024, 1, 1)
ONE_ERA = [Era(FIRST, None, 13)]
GOLD, BLACK, LOST = ("purchase", "active", "gold"), ("purchase", "active", "black"), ("purchase", "lost", "")
GIVEN = ("other", "active", "")


def test_a_split_stands_with_thirty_redeemers_and_the_others_go_together() -> None:
    cells = {GOLD: steady(20, seen=30), BLACK: steady(20, seen=29), LOST: steady(20, seen=5), GIVEN: steady(20, seen=3)}
    found = parts(cells, ONE_ERA)
    assert [(one.name, one.why) for one in found] == [
        (("other", REST, REST), FEW),
        (GOLD, ALONE),
        (("purchase", REST, REST), ALONE),
    ]
    assert found[2].of == {BLACK: FEW, LOST: FEW}
    _, by = arranged(found, ONE_ERA)
    assert by[("other", REST, REST), 0].cohorts == pooled(cells.values()).cohorts
    assert by[GOLD, 0].cohorts == cells[GOLD].cohorts


def test_tiers_of_a_state_that_stand_only_together_stand_together() -> None:
    cells = {GOLD: steady(20, seen=20), BLACK: steady(20, seen=20), LOST: steady(20, seen=40)}
    assert [one.name for one in parts(cells, ONE_ERA)] == [("purchase", "active", REST), LOST]


def test_people_in_two_splits_are_counted_once_where_it_is_known_who_they_are() -> None:
    some = [Cell(steady(20).cohorts, 20, frozenset(range(20))), Cell(steady(20).cohorts, 20, frozenset(range(20)))]
    cells = dict(zip((GOLD, BLACK), some, strict=True))
    assert [(one.name, one.why) for one in parts(cells, ONE_ERA)] == [(("purchase", REST, REST), FEW)]


def test_a_split_whose_months_do_not_reach_as_far_does_not_stand() -> None:
    young = Cell([one for one in steady(20).cohorts if one.age < 3], 100)
    found = parts({GOLD: steady(20), LOST: young}, ONE_ERA)
    assert [(one.name, one.why) for one in found] == [(GOLD, ALONE), (("purchase", REST, REST), SHORT)]


# --- changes of policy -----------------------------------------------------------------------------------------------


def cohorts(rows: list[list[int]], issued: int = 1_000, lives: int = 3) -> Cell:
    """Month after month; redeemed in each age."""
    found = []
    for number, each in enumerate(rows):
        row = [sum(each[: n + 1]) for n in range(len(each))]
        dies: dict[int | None, int] = {lives: issued - row[-1]} if len(row) < lives else {}
        found.append(Cohort(add_months(FIRST, number), issued, tuple(row), dies=dies))
    return Cell(found, 100)


def test_diagonals_before_a_change_tell_nothing_of_points_after_it() -> None:
    """Before March half as many came after the first month as in it; from March on as many as in it."""
    cell = cohorts([[100, 50, 100], [100, 100, 0], [100, 100, 0], [100, 100], [100]])
    eras = [Era(FIRST, date(2024, 3, 1), 3), Era(date(2024, 3, 1), None, 3)]
    found = parts({GOLD: cell}, eras)
    cells, by = arranged(found, eras)
    assert [one.month.month for one in cells[GOLD, 1].cohorts] == [3, 4, 5]
    after = forecast(cells, 3, by=by)
    assert after.patterns[GOLD, 1].factors[0] == 2  # February's, March's and April's, not January's
    assert after.patterns[GOLD, 0].factors[0] == Fraction(350, 200)  # January's and February's


def test_ages_that_older_points_never_reach_are_not_known_from_them() -> None:
    """Points live three months at first, six from April on: that nothing comes of the old ones then says nothing."""
    cell = cohorts([[100, 100, 100, 0, 0, 0], [100, 100, 100, 0, 0], [100, 100, 100, 0], [100, 100, 100], [100, 100]])
    eras = [Era(FIRST, date(2024, 4, 1), 3), Era(date(2024, 4, 1), None, 6)]
    _, by = arranged(parts({GOLD: cell}, eras), eras)
    assert [len(one.telling) for one in by[GOLD, 1].cohorts] == [0, 1, 2, 2, 1]


@given(triangles(), triangles(), triangles(), st.integers(1, 5))
@settings(max_examples=many(25, 400), deadline=None)
def test_the_splits_add_up_are_never_beyond_what_is_there_and_the_same_again(
    one: tuple[Cell, int | None], two: tuple[Cell, int | None], three: tuple[Cell, int | None], month: int
) -> None:
    cells = {GOLD: one[0], LOST: two[0], GIVEN: three[0]}
    change = add_months(FIRST, month)
    eras = [Era(FIRST, change, one[1]), Era(change, None, two[1])]
    found = parts(cells, eras)
    assert sorted(name for each in found for name in each.of) == sorted(cells)
    arrangement = arranged(found, eras)
    first, again = (forecast(arrangement[0], one[1], ratios=(0.5, 1.5), by=arrangement[1]) for _ in range(2))
    assert first == again
    some = [each for estimates in first.cells.values() for each in estimates]
    assert len(some) == sum(len(each.cell.cohorts) for each in found)
    assert all(0 <= each.future <= each.cohort.open for each in some)
    assert first.total.value == sum((each.future for each in some), Fraction())
    assert first.total.high <= sum(each.cohort.open for each in some) + 0.001


# --- from the books --------------------------------------------------------------------------------------------------


def look(books: Books, as_of: date) -> Report:
    with books.work() as work:
        return report.look(work.db, as_of, SHANGHAI)


def test_points_are_split_by_who_had_them_when_they_came_in(books: Books) -> None:
    """A first order, one within 90 days, one within a year, one after more; a tier counts from the next order on."""
    for day, number in ((1, "A"), (60, "B"), (250, "C"), (700, "D")):
        books.to(day)
        order(books, number, 10_000, 100, lives=2_000)
        if number == "A":
            with books.work() as work:
                row = {"why": "up", "before": "silver", "after": "gold", "until": date(2027, 1, 1), "points": 100}
                work.db.add(TierChange(account_id=books.people[0], at=work.now, recorded_at=work.now, **row))
    books.to(701)
    books.redeem(5)
    books.to(702)
    order(books, "E", 10_000, 100)
    found = look(books, date(2027, 12, 31)).facts
    issued = {name[1:]: sum(one.issued for one in cell.cohorts) for name, cell in found.splits.items()
              if name[0] == "purchase"}  # fmt: skip
    gold = {"active": 200, "dormant": 100, "lost": 100}
    assert issued == {("new", ""): 100, **{(state, "gold"): points for state, points in gold.items()}}


def test_the_splits_are_those_of_their_kind_and_the_same_whenever_they_are_asked(books: Books) -> None:
    for n in range(12):
        books.to(10 * n + 1)
        order(books, f"{n}", 10_000, 100, lives=400, who=n % 3)
        books.redeem(20 + n, who=n % 3)
    as_of = date(2026, 3, 31)
    first = look(books, as_of)
    for kind in reading.KINDS:
        own = pooled(cell for name, cell in first.facts.splits.items() if name[0] == kind)
        assert list(own.cohorts) == list(first.facts.cells[kind].cohorts)
    assert sum((one.future for one in first.splits), Fraction()) == first.future == first.forecast.total.value
    assert sum(one.open for one in first.splits) == first.open
    books.to(300)
    books.redeem(50)
    assert look(books, as_of) == first


def test_another_life_of_points_cuts_the_triangle_from_the_first_month_wholly_under_it(books: Books) -> None:
    order(books, "1", 10_000, 100, lives=400)
    books.to(20)
    with books.work() as work:
        programme.decide(work, {"rate": 20_000}, work.now + timedelta(days=1), "boss")
        life = {"expiry": {"kind": "rolling", "months": 3}}
        programme.decide(work, life, work.now + timedelta(days=40), "boss")
    books.to(100)
    found = look(books, date(2026, 4, 10)).facts
    assert [(one.why, one.since) for one in found.changes] == [("expiry", date(2026, 4, 1))]
    assert [one.since for one in found.eras] == [date(2026, 1, 1), date(2026, 4, 1)]
    assert look(books, date(2026, 1, 31)).facts.changes == []


def test_a_published_forecast_keeps_its_splits_and_each_is_scored(books: Books) -> None:
    with books.work() as work:
        parameters.decide(work, Parameters(10_000, 5_000), "boss")
    for n in range(8):
        books.to(7 * n + 1)
        order(books, f"{n}", 10_000, 100, lives=400, who=n % 3)
        books.redeem(30, who=n % 3)
    books.to(60)
    one = look(books, date(2026, 2, 28))
    with books.work() as work:
        row = published.publish(work, one, "boss")
        kept: list[dict[str, Any]] = row.figures["splits"]
        assert all(sum(month["splits"]) == month["expected"] for month in row.months)
    assert [(each["kind"], each["state"], each["tier"]) for each in kept] == [each.part.name for each in one.splits]
    books.redeem(25)
    books.to(95)
    liability_jobs.score(books.engine, lambda db: Work(db, books.now, cause="test"), lambda: False)
    (score,) = books.rows(PointsForecastScore)
    assert sum(score.splits) == score.actual == 25
    with books.work() as work:
        (record,) = published.records(work.db)
    assert sum(said for _, said, _ in record.splits) == record.expected
    assert sum(came for _, _, came in record.splits) == record.actual


def test_the_file_for_accountants_says_each_split_and_their_sum(books: Books) -> None:
    order(books, "1", 10_000, 100, lives=400)
    lines = journal.split_cells(look(books, date(2026, 1, 31)))
    assert all(len(line) == len(journal.SPLIT_HEAD) for line in lines)
    assert lines[-1][1] == "合计"
    for column in (4, 5):
        assert sum(int(line[column]) for line in lines[:-1]) == int(lines[-1][column]) == 107


def test_splits_add_up_to_the_last_point_wherever_they_are_shown(books: Books) -> None:
    order(books, "1", 10_000, 100, lives=400)
    one = look(books, date(2026, 1, 31))
    third = replace(one.splits[0], months=[one.future / 3], cost=None)
    split = replace(one, splits=[third] * 3)
    assert sum(split.split_points()) == 107
    assert split.split_points() != [round(one.future / 3)] * 3
    assert sum(each["expected_redemptions"] for each in report.as_json(split)["splits"]) == 107
    assert sum(int(line[5]) for line in journal.split_cells(split)[:-1]) == 107

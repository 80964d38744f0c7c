"""积分负债 in the console: taught when empty, counted, priced, published, scored; for the boss alone."""

import csv
import re
from collections.abc import Iterator

import pytest

from console.channel_charts import TOP
from console.liability import MONTHS
from console.liability_charts import TALL, curves, months
from storage.tables import AuditRow, PointsForecast, PointsForecastScore
from tests.console.acting import Counter
from tests.loyalty.books import Books
from tests.loyalty.test_liability_facts import order

HERE = "/points/liability"
WORTH = {"face": "0.01", "cost": "0.006", "tax": "6"}


def trade(counter: Counter, until: int, *, every: int = 6) -> None:
    """Orders and redemptions from the first of January 2026 on, for so many days."""
    books = Books(counter.shop.parts.settings.storage.url)
    for day in range(0, until, every):
        books.to(day)
        order(books, f"L{day}", 20_000 + 100 * day, 200 + day, lives=365, who=day % 3)
        books.redeem(40 + day // 4, who=day % 3)
        if day % 5 == 0:
            books.award(60, origin="marketing", lives=day + 200, who=day % 3)
    books.close()


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory, first_customers: object) -> Iterator[Counter]:
    """A shop with eleven months of points, to look at."""
    for counter in first_customers.copied(tmp_path_factory.mktemp("traded")):  # type: ignore[attr-defined]
        trade(counter, 320)
        yield counter


def test_an_empty_shop_is_told_what_will_be_here(fresh: Counter) -> None:
    page = fresh.visitor("zhangsan").get(HERE).text
    assert "到这一天还没有积分" in page
    assert 'name="face"' in page
    assert "公布" not in page


def test_only_the_boss_sees_it(counter: Counter) -> None:
    for userid in ("wangwu", "zhaoliu", "lisi"):
        visitor = counter.visitor(userid)
        assert visitor.get(HERE).status_code == 404
        assert visitor.get(f"{HERE}/journal.csv").status_code == 404
        assert visitor.post(f"{HERE}/publish").status_code == 404
        assert visitor.post(f"{HERE}/parameters", WORTH).status_code == 404
        assert HERE not in visitor.get("/").text


def test_points_are_counted_before_anything_is_priced_and_priced_once_it_is(traded: Counter) -> None:
    boss = traded.visitor("zhangsan")
    page = boss.get(HERE).text
    for words in ("还没有填每分抵多少钱", "各月发出的积分", "2026-01", "回头看", "预计每月兑换"):
        assert words in page, words
    assert boss.post(f"{HERE}/parameters", WORTH).status_code == 303
    (line,) = traded.audit("liability.parameters")
    assert line.details == WORTH
    page = boss.get(HERE).text
    assert "还没有填每分抵多少钱" not in page
    assert "¥" in page
    assert 'value="0.01"' in page
    assert "没有变化" in boss.post(f"{HERE}/parameters", WORTH, follow_redirects=True).text
    assert len(traded.audit("liability.parameters")) == 1


@pytest.mark.parametrize(
    ("name", "typed"),
    [("face", "0"), ("face", "-1"), ("face", "0.0000001"), ("face", "一分"), ("face", "1e999"), ("cost", "nan"),
     ("cost", ""), ("tax", "101"), ("tax", "6.001")],
)  # fmt: skip
def test_what_is_no_amount_is_said_and_stays_typed(counter: Counter, name: str, typed: str) -> None:
    answer = counter.visitor("zhangsan").post(f"{HERE}/parameters", {**WORTH, name: typed})
    assert answer.status_code == 422
    assert f'id="e-{name}"' in answer.text
    assert answer.text.count('class="field-error"') == 1
    assert counter.audit("liability.parameters") == []


def test_the_boss_publishes_a_month_and_it_is_scored_when_the_next_is_over(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    trade(fresh, 320)
    assert "先填每分抵多少钱" in boss.post(f"{HERE}/publish", follow_redirects=True).text
    boss.post(f"{HERE}/parameters", WORTH)
    before = boss.get(f"{HERE}/journal.csv?as_of=2026-10-31").text
    assert "已公布" in boss.post(f"{HERE}/publish", follow_redirects=True).text
    assert "这个月末或更晚的已经公布过" in boss.post(f"{HERE}/publish", follow_redirects=True).text
    (row,) = fresh.shop.rows(PointsForecast)
    assert (row.as_of.isoformat(), row.published_by) == ("2026-10-31", "zhangsan")
    assert [one.action for one in fresh.shop.rows(AuditRow, AuditRow.action == "liability.publish")]
    assert boss.get(f"{HERE}/journal.csv?as_of=2026-10-31").text == before
    fresh.shop.advance(days=12)
    assert fresh.shop.run("score forecasts") == {"score forecasts": "months scored: 1"}
    (scored,) = fresh.shop.rows(PointsForecastScore)
    assert scored.actual > 0
    page = fresh.visitor("zhangsan").get(HERE).text
    assert f'<td class="num">{scored.actual:,}</td>' in page


def test_the_months_shown_add_up_to_all_that_is_expected(traded: Counter) -> None:
    page = traded.visitor("zhangsan").get(HERE).text
    part = page.split("预计每月兑换")[1].split("</table>")[0]
    *months_shown, total = [
        int(one.replace(",", ""))
        for one in re.findall(r'<td class="num">(?:<strong>)?([\d,]+)(?:</strong>)?</td>', part)
    ]
    assert len(months_shown) == MONTHS + 1, "as many months as are shown, and one line for all later ones"
    assert "起以后各月" in part
    assert sum(months_shown) == total > 0


def test_the_journal_goes_to_the_accountant(traded: Counter) -> None:
    boss = traded.visitor("zhangsan")
    boss.post(f"{HERE}/parameters", WORTH)
    answer = boss.get(f"{HERE}/journal.csv?as_of=2026-11-15")
    head, *rows = list(csv.reader(answer.text.removeprefix("\ufeff").splitlines()))
    assert head == ["日期", "科目", "借方", "贷方", "批次", "摘要"]
    assert {row[0] for row in rows} == {"2026-11-15"}
    debit, credit = (round(sum(float(row[n] or 0) for row in rows), 2) for n in (2, 3))
    assert debit == credit > 0


def test_an_earlier_day_is_shown_and_one_that_is_none_means_today(traded: Counter) -> None:
    boss = traded.visitor("zhangsan")
    assert 'value="2026-05-31"' in boss.get(f"{HERE}?as_of=2026-05-31").text
    for asked in ("2027-05-31", "morgen", ""):
        assert 'value="2026-11-22"' in boss.get(f"{HERE}?as_of={asked}").text


def test_it_speaks_english(traded: Counter) -> None:
    page = traded.visitor("zhangsan").get(f"{HERE}?lang=en").text
    assert "Points liability" in page
    assert "Contract liability" in page


def test_drawings_lie_within_their_frame_and_say_what_they_show() -> None:
    drawn = curves([("seen", [0, 0.1, 0.2]), ("expected", [0, 0.2, 0.3, 0.4])], 3)
    assert len(drawn.strokes) == 2 + 3
    assert min(one.y2 for one in drawn.strokes) == TOP
    assert max(one.y1 for one in drawn.strokes) == TOP + TALL
    assert [one.words for one in drawn.numbers] == ["40%"]
    columns = months([("26-11", 50, 40, 100, "a"), ("26-12", 25, 25, 25, "b")])
    assert [round(one.height) for one in columns.bars] == [TALL // 2, TALL // 4 + 1]
    assert [(one.y1, one.y2) for one in columns.strokes] == [(TOP, TOP + 0.6 * TALL), (TOP + 0.75 * TALL,) * 2]
    assert curves([("seen", [])], 0).strokes == []
    assert months([]).bars == []

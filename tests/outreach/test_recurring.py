"""When a recurring broadcast comes: weekdays, days of a month, working days, clocks that are put forward."""

from datetime import UTC, date, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from outreach import recurring

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
NATIONAL = {date(2026, 10, day): "holiday" for day in range(1, 8)} | {date(2026, 10, 10): "workday"}


def days(rule: dict[str, Any], first: date, count: int, calendar: dict[date, str] | None = None) -> list[str]:
    times = recurring.times({"at": "10:00", **rule}, first, SHANGHAI, calendar or {})
    return [f"{one.astimezone(SHANGHAI):%m-%d %H:%M}" for one in islice(times, count)]


def test_every_week_on_these_days() -> None:
    rule = {"every": "week", "days": [1, 5]}
    assert days(rule, date(2026, 11, 25), 3) == ["11-27 10:00", "11-30 10:00", "12-04 10:00"]


def test_the_31st_of_a_shorter_month_is_its_last_day() -> None:
    rule = {"every": "month", "days": [15, 31]}
    assert days(rule, date(2027, 2, 1), 4) == ["02-15 10:00", "02-28 10:00", "03-15 10:00", "03-31 10:00"]


def test_what_falls_on_a_holiday_moves_to_the_next_working_day_and_meets_nobody_twice() -> None:
    rule = {"every": "day", "working": True}
    assert days(rule, date(2026, 9, 30), 4, NATIONAL) == ["09-30 10:00", "10-08 10:00", "10-09 10:00", "10-10 10:00"]


def test_nothing_comes_after_the_last_day() -> None:
    rule = {"every": "day", "until": "2026-11-28"}
    assert days(rule, date(2026, 11, 27), 9) == ["11-27 10:00", "11-28 10:00"]


def test_a_time_that_the_clock_skips_is_the_moment_after() -> None:
    """On 28 March 2027 the clock in Berlin goes from 02:00 to 03:00."""
    rule = {"every": "day", "at": "02:30"}
    (at,) = islice(recurring.times(rule, date(2027, 3, 28), BERLIN, {}), 1)
    assert at == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "rule",
    [
        {"every": "hour", "at": "10:00"},
        {"every": "week", "days": [], "at": "10:00"},
        {"every": "week", "days": [8], "at": "10:00"},
        {"every": "month", "days": ["1"], "at": "10:00"},
        {"every": "day", "at": "25:00"},
        {"every": "day", "at": "10:00", "until": "soon"},
        {"every": "day", "at": "10:00", "sometimes": True},
    ],
)
def test_a_rule_that_cannot_be_is_named(rule: dict[str, Any]) -> None:
    assert [place for place, _words in recurring.problems(rule)] == ["repeat"]


def test_none_is_right_too() -> None:
    assert list(recurring.problems({})) == []

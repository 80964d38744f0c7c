"""Quiet hours over midnight, days that are worked, and clocks that are put forward and back."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.hours import HOLIDAY, WORKDAY, Quiet, instant, is_working, next_working, yearly

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
NIGHT = Quiet(time(22), time(8))


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("22T23:30", "23T08:00"),
        ("22T07:59", "22T08:00"),
        ("22T08:00", "22T08:00"),
        ("22T21:59", "22T21:59"),
        ("22T22:00", "23T08:00"),
        ("22T00:00", "22T08:00"),
    ],
)
def test_the_golden_times_of_quiet_hours(moment: str, opens: str) -> None:
    assert NIGHT.next_open(at(moment), SHANGHAI) == at(opens)


def test_hours_that_do_not_cross_midnight_are_not_turned_round() -> None:
    lunch = Quiet(time(12), time(14))
    assert lunch.next_open(at("22T12:30"), SHANGHAI) == at("22T14:00")
    assert lunch.next_open(at("22T23:00"), SHANGHAI) == at("22T23:00")


def test_equal_ends_are_no_quiet_hours() -> None:
    assert not any(Quiet(time(8), time(8)).holds(at(f"22T{hour:02d}:00"), SHANGHAI) for hour in range(24))
    assert Quiet(time(8), time(8)).next_start(at("22T08:00"), SHANGHAI) is None


def test_a_time_that_does_not_exist_is_the_first_moment_after_the_gap() -> None:
    found = instant(date(2024, 3, 10), time(2, 30), NEW_YORK)
    assert found.astimezone(NEW_YORK).strftime("%H:%M %z") == "03:00 -0400"


def test_a_time_that_comes_twice_is_the_first_of_them() -> None:
    found = instant(date(2024, 11, 3), time(1, 30), NEW_YORK)
    assert found.astimezone(NEW_YORK).strftime("%H:%M %z") == "01:30 -0400"


TIMES = st.times().map(lambda one: one.replace(microsecond=0))
ZONES = st.sampled_from(["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]).map(
    ZoneInfo
)
MOMENTS = st.datetimes(datetime(2023, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@given(TIMES, TIMES, ZONES, MOMENTS)
def test_what_is_moved_out_of_quiet_hours_lies_outside_them_and_never_before(
    starts: time, ends: time, zone: ZoneInfo, moment: datetime
) -> None:
    """J4's ground: of any hours, zone and moment."""
    quiet = Quiet(starts, ends)
    opens = quiet.next_open(moment, zone)
    assert moment <= opens <= moment + timedelta(hours=26)
    assert not quiet.holds(opens, zone) or opens.astimezone(zone).time() == ends
    assert quiet.holds(moment, zone) or opens == moment


@given(st.dates(date(2023, 1, 1), date(2027, 12, 31)), TIMES, ZONES)
def test_every_local_time_has_one_moment_that_shows_it_or_the_end_of_the_gap(
    day: date, shown: time, zone: ZoneInfo
) -> None:
    local = instant(day, shown, zone).astimezone(zone)
    if local.replace(tzinfo=None) != datetime.combine(day, shown):
        before = (local.astimezone(UTC) - timedelta(seconds=1)).astimezone(zone)
        assert before.replace(tzinfo=None) < datetime.combine(day, shown) < local.replace(tzinfo=None)
        assert before.utcoffset() != local.utcoffset()
    else:
        assert local.fold == 0


def test_working_days_know_holidays_and_the_days_that_make_up_for_them() -> None:
    calendar = {date(2026, 10, 1): HOLIDAY, date(2026, 10, 2): HOLIDAY, date(2026, 10, 10): WORKDAY}
    worked = [is_working(date(2026, 10, day), calendar) for day in (1, 2, 3, 5, 9, 10, 11)]
    assert worked == [False, False, False, True, True, True, False]
    assert next_working(date(2026, 10, 1), calendar) == date(2026, 10, 5)
    assert next_working(date(2026, 10, 9), calendar, after=1) == date(2026, 10, 10)


def test_a_birthday_on_the_29th_of_february_comes_every_year() -> None:
    assert [yearly(date(2000, 2, 29), year) for year in (2024, 2026)] == [date(2024, 2, 29), date(2026, 2, 28)]

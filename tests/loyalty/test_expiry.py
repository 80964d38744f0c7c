"""When points die: the table of examples, months of every length, and what the law of a place forbids."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loyalty.expiry import Expiry, add_months, forbidden
from loyalty.programme import Programme

SHANGHAI = ZoneInfo("Asia/Shanghai")


def end(expiry: Expiry, day: str) -> str:
    found = expiry.ends(datetime.fromisoformat(day).replace(hour=15, tzinfo=SHANGHAI), SHANGHAI)
    assert found is not None
    local = found.astimezone(SHANGHAI)
    assert (local.hour, local.minute) == (0, 0)
    return local.date().isoformat()


@pytest.mark.parametrize(
    ("expiry", "day", "gone"),
    [
        (Expiry(kind="fixed_day"), "2024-05-01", "2025-01-01"),
        (Expiry(kind="fixed_day", years=1), "2024-05-01", "2026-01-01"),
        (Expiry(kind="fixed_day", least_days=30), "2024-12-15", "2026-01-01"),
        (Expiry(kind="fixed_day"), "2024-12-31", "2025-01-01"),
        (Expiry(kind="fixed_day", day="06-30"), "2024-07-15", "2025-07-01"),
        (Expiry(end_of_month=False), "2024-02-29", "2025-03-01"),
        (Expiry(months=1, end_of_month=False), "2024-01-31", "2024-03-01"),
        (Expiry(), "2020-07-06", "2021-08-01"),
        (Expiry(kind="inactivity"), "2024-02-29", "2025-03-01"),
        (Expiry(kind="inactivity", months=1), "2024-01-31", "2024-03-01"),
    ],
)
def test_points_die_on_the_day_of_the_rule(expiry: Expiry, day: str, gone: str) -> None:
    assert end(expiry, day) == gone


def test_some_never_die() -> None:
    assert Expiry(kind="never").ends(datetime(2026, 1, 1, tzinfo=UTC), SHANGHAI) is None


def test_the_day_is_that_of_the_shop() -> None:
    late = datetime(2024, 12, 31, 17, tzinfo=UTC)  # in Shanghai a new year has begun
    found = Expiry(kind="fixed_day").ends(late, SHANGHAI)
    assert found == datetime(2025, 12, 31, 16, tzinfo=UTC)


@settings(max_examples=200, deadline=None)
@given(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.integers(0, 120), st.integers(0, 120))
def test_months_add_up_and_never_leave_the_month(day: date, some: int, more: int) -> None:
    later = add_months(day, some)
    months = (later.year - day.year) * 12 + later.month - day.month
    assert months == some
    assert later.day <= day.day
    assert add_months(day, some + more).month == add_months(day.replace(day=1), some + more).month


@settings(max_examples=200, deadline=None)
@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1)),
    st.builds(
        Expiry,
        kind=st.sampled_from(["fixed_day", "rolling"]),
        months=st.integers(1, 36),
        end_of_month=st.booleans(),
        least_days=st.integers(0, 366),
    ),
)
def test_points_live_at_least_as_long_as_was_said(moment: datetime, expiry: Expiry) -> None:
    since = moment.replace(tzinfo=SHANGHAI)
    found = expiry.ends(since, SHANGHAI)
    assert found is not None
    assert found > since
    if expiry.kind == "fixed_day":
        assert found - since >= timedelta(days=expiry.least_days - 1)


def test_rules_that_a_place_forbids_are_refused_when_they_are_saved() -> None:
    assert forbidden(Expiry(), "CA-ON")
    assert not forbidden(Expiry(kind="never"), "CA-ON")
    assert forbidden(Expiry(kind="never"), "nowhere")
    with pytest.raises(ValidationError, match="passage of time"):
        Programme(jurisdiction="CA-ON")
    assert Programme(jurisdiction="CA-ON", expiry=Expiry(kind="never")).jurisdiction == "CA-ON"


def test_of_inactivity_points_may_die_where_the_law_lets_them_and_as_late_as_it_says() -> None:
    idle = Expiry(kind="inactivity")
    assert Programme(jurisdiction="CA-ON", expiry=idle).told_before == 7
    assert Programme(jurisdiction="CA-QC", expiry=idle).told_before == 30
    with pytest.raises(ValidationError, match="at least 12 months"):
        Programme(jurisdiction="CA-QC", expiry=Expiry(kind="inactivity", months=11))
    with pytest.raises(ValidationError, match="at least 12 months"):
        Programme(jurisdiction="CA-QC", expiry=idle, bonus_expiry=Expiry(kind="inactivity", months=6))
    with pytest.raises(ValidationError, match="at most 60 days"):
        Programme(jurisdiction="CA-QC", expiry=idle, notice_days=61)


@pytest.mark.parametrize("day", ["02-30", "13-01", "00-10", "1-1"])
def test_a_day_that_does_not_exist_is_refused(day: str) -> None:
    with pytest.raises(ValidationError):
        Expiry(kind="fixed_day", day=day)


def test_an_act_of_sharing_earns_nothing() -> None:
    with pytest.raises(ValidationError, match="sharing"):
        Programme(acts={"sharing": 10})

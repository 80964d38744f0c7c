"""How many mass messages somebody may get: days, weeks and months of Shanghai, in each mode."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.knobs import Limits, QuotaMode
from sandbox.quota import Quota

SHANGHAI = ZoneInfo("Asia/Shanghai")
MODES: tuple[QuotaMode, ...] = ("day_1", "week_7", "month_days")
HOUR = 3600


def at(text: str) -> float:
    """A moment of Shanghai in Unix seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp()


def quota(mode: QuotaMode) -> Quota:
    return Quota(Limits(mass_quota=mode))


def taken(mode: QuotaMode, *moments: str) -> list[bool]:
    one = quota(mode)
    return [one.take("wm-1", at(moment)) for moment in moments]


def test_a_day_begins_at_midnight_in_shanghai() -> None:
    assert taken("day_1", "2025-11-12T10:00", "2025-11-12T23:59:59", "2025-11-13T00:00") == [True, False, True]


def test_a_week_begins_on_monday() -> None:
    one = quota("week_7")
    sunday, monday = at("2025-11-16T23:59:59"), at("2025-11-17T00:00")
    assert [one.take("wm-1", sunday) for _ in range(8)] == [True] * 7 + [False]
    assert one.left("wm-1", monday) == 7


@pytest.mark.parametrize(
    ("day", "most"), [("2024-02-29", 29), ("2025-02-01", 28), ("2025-04-30", 30), ("2025-12-31", 31)]
)
def test_a_month_allows_as_many_as_it_has_days(day: str, most: int) -> None:
    one = quota("month_days")
    assert [one.take("wm-1", at(f"{day}T12:00")) for _ in range(most + 1)] == [True] * most + [False]


def test_everybody_has_a_quota_of_his_own() -> None:
    one = quota("day_1")
    assert [one.take(who, at("2025-11-12T10:00")) for who in ("wm-1", "wm-2", "wm-1")] == [True, True, False]


def test_a_stricter_mode_counts_what_was_received_before_it() -> None:
    one = quota("month_days")
    now = at("2025-11-12T10:00")
    assert one.take("wm-1", now)
    assert one.take("wm-1", now)
    one.limits.mass_quota = "day_1"
    assert one.left("wm-1", now) == 0


def period(mode: QuotaMode, moment: float) -> tuple[object, int]:
    """The period of a moment and what it allows, worked out another way: with the calendar of the time zone."""
    day = datetime.fromtimestamp(moment, UTC).astimezone(SHANGHAI).date()
    if mode == "day_1":
        return day, 1
    if mode == "week_7":
        return day.isocalendar()[:2], 7
    next_month = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return (day.year, day.month), (next_month - timedelta(days=1)).day


@given(
    mode=st.sampled_from(MODES),
    start=st.integers(min_value=1_577_836_800, max_value=1_893_456_000),
    steps=st.lists(st.integers(min_value=0, max_value=40 * HOUR), max_size=80),
)
def test_no_period_ever_sees_more_than_it_allows_and_none_is_stinted(
    mode: QuotaMode, start: int, steps: list[int]
) -> None:
    one, now, got = quota(mode), float(start), {}  # type: ignore[var-annotated]
    for step in steps:
        now += step
        which, most = period(mode, now)
        room = got.get(which, 0) < most
        assert one.take("wm-1", now) == room
        got[which] = got.get(which, 0) + room


@given(moments=st.lists(st.integers(min_value=1_577_836_800, max_value=1_893_456_000), max_size=60))
def test_one_a_natural_day_is_legal_in_every_mode(moments: list[int]) -> None:
    quotas = [quota(mode) for mode in MODES]
    days = {period("day_1", moment)[0]: moment for moment in sorted(moments)}
    for moment in days.values():
        assert all(one.take("wm-1", moment) for one in quotas)

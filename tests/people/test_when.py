"""Times in plain Chinese, as reps type them, and that no text whatever breaks the reader."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from people import when
from people.when import NotATime

ZONE = ZoneInfo("Asia/Shanghai")
SUNDAY_EVENING = datetime(2026, 11, 22, 18, 0, tzinfo=ZONE)
NEW_YEARS_EVE = datetime(2026, 12, 31, 23, 30, tzinfo=ZONE)


def read(text: str, now: datetime = SUNDAY_EVENING) -> str | None:
    found = when.read(text, now, ZONE)
    return found and f"{found.at.astimezone(ZONE):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("今天晚上八点", "2026-11-22 20:00"),
        ("今晚", "2026-11-22 20:00"),
        ("明天", "2026-11-23 09:00"),
        ("明天下午三点", "2026-11-23 15:00"),
        ("明天三点", "2026-11-23 15:00"),
        ("明天九点", "2026-11-23 09:00"),
        ("今天九点", "2026-11-22 21:00"),
        ("明早", "2026-11-23 08:00"),
        ("明晚八点一刻", "2026-11-23 20:15"),
        ("后天", "2026-11-24 09:00"),
        ("大后天傍晚六点", "2026-11-25 18:00"),
        ("周五下午", "2026-11-27 14:00"),
        ("周5 3点半", "2026-11-27 15:30"),
        ("周日", "2026-11-29 09:00"),
        ("这周日晚上8点", "2026-11-22 20:00"),
        ("星期天早上9点", "2026-11-29 09:00"),
        ("下周三上午十点半", "2026-11-25 10:30"),
        ("下下周一", "2026-11-30 09:00"),
        ("11月30日", "2026-11-30 09:00"),
        ("11月30号下午两点", "2026-11-30 14:00"),
        ("十一月三十日", "2026-11-30 09:00"),
        ("30号", "2026-11-30 09:00"),
        ("31号", "2026-12-31 09:00"),
        ("下个月5号", "2026-12-05 09:00"),
        ("2026-12-01", "2026-12-01 09:00"),
        ("2026/12/1 15:30", "2026-12-01 15:30"),
        ("1月1号", "2027-01-01 09:00"),
        ("明年2月3日中午", "2027-02-03 12:00"),
        ("2月29日", "2028-02-29 09:00"),
        ("3天后", "2026-11-25 09:00"),
        ("3天后下午三点", "2026-11-25 15:00"),
        ("两周后", "2026-12-06 09:00"),
        ("一个月后", "2026-12-22 09:00"),
        ("半小时后", "2026-11-22 18:30"),
        ("半个小时以后", "2026-11-22 18:30"),
        ("一个半小时后", "2026-11-22 19:30"),
        ("1.5小时后", "2026-11-22 19:30"),
        ("2小时15分钟后", "2026-11-22 20:15"),
        ("二十五分钟后", "2026-11-22 18:25"),
        ("一刻钟后", "2026-11-22 18:15"),
        ("三点", "2026-11-23 15:00"),
        ("九点", "2026-11-22 21:00"),
        ("三点三刻", "2026-11-23 15:45"),
        ("十五点", "2026-11-23 15:00"),
        ("15:30", "2026-11-23 15:30"),
        ("9:30", "2026-11-23 09:30"),
        ("凌晨一点", "2026-11-23 01:00"),
        ("中午12点半", "2026-11-23 12:30"),
        ("晚上12点", "2026-11-23 00:00"),
        ("明天24点", "2026-11-24 00:00"),
        ("晚上20:30", "2026-11-22 20:30"),
    ],
)
def test_what_reps_say_is_understood(said: str, meant: str) -> None:
    assert read(said) == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("明天", "2027-01-01 09:00"),
        ("半小时后", "2027-01-01 00:00"),
        ("12月31日", "2027-12-31 09:00"),
        ("1月2日", "2027-01-02 09:00"),
        ("下个月31号", "2027-01-31 09:00"),
        ("两个月后", "2027-02-28 09:00"),
        ("下周一", "2027-01-04 09:00"),
        ("30号", "2027-01-30 09:00"),
    ],
)
def test_the_year_turns(said: str, meant: str) -> None:
    assert read(said, NEW_YEARS_EVE) == meant


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("明天下午三点提醒我联系小雨", "提醒我联系小雨"),
        ("提醒我明天下午三点联系小雨", "提醒我 联系小雨"),
        ("联系小雨 明天下午三点", "联系小雨"),
        ("联系小雨，明天下午三点。", "联系小雨"),
        ("联系小雨明天下午三点", "联系小雨"),
        ("明天提醒我后天联系小雨", "提醒我后天联系小雨"),
        ("明天下午3点左右提醒我联系小雨", "提醒我联系小雨"),
    ],
)
def test_the_rest_of_the_sentence_is_given_back(said: str, left: str) -> None:
    found = when.read(said, SUNDAY_EVENING, ZONE)
    assert found is not None
    assert found.rest == left


@pytest.mark.parametrize(
    "said",
    [
        "提醒我问小雨明天来不来",
        "提醒我跟小雨说便宜一点",
        "提醒我给30号桌送咖啡",
        "你好",
        "",
        "8000",
        "下周",
        "提醒我买三点五斤豆子",
    ],
)
def test_words_that_only_look_like_a_time_are_none(said: str) -> None:
    assert read(said) is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("昨天", "已经过去"),
        ("前天下午", "已经过去"),
        ("上周五", "已经过去"),
        ("这周三", "已经过去"),
        ("今天三点", "已经过去"),
        ("今年1月1号", "已经过去"),
        ("2020-01-01", "已经过去"),
        ("0分钟后", "已经过去"),
        ("2月30日", "没有这一天"),
        ("13月1日", "没有这一天"),
        ("0号", "没有这一天"),
        ("25点", "没有这个钟点"),
        ("上午15点", "几点"),
        ("凌晨", "几点"),
        ("2099年1月1日", "太远"),
    ],
)
def test_a_time_that_cannot_be_says_why(said: str, why: str) -> None:
    with pytest.raises(NotATime, match=why):
        read(said)


moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))


@given(now=moments, minutes=st.integers(1, 366 * 24 * 60))
def test_a_time_that_is_said_is_the_time_that_is_read(now: datetime, minutes: int) -> None:
    at = now.replace(second=0, microsecond=0) + timedelta(minutes=minutes)
    found = when.read(when.in_words(at, now, ZONE), now, ZONE)
    assert found is not None
    assert (found.at, found.rest) == (at, "")


PIECES = re.split(
    "/",
    "明天/后天/周五/下周/星期/上/11月/30号/2月29日/下午/晚上/凌晨/三/十/二十/点/半/一刻/3/0/24/:/30/小时"
    "/个/分钟/天/后/月/年/2026/-/ /提醒我/，/小雨",
)


@given(now=moments, pieces=st.lists(st.sampled_from(PIECES), max_size=8))
def test_whatever_is_said_the_time_lies_ahead_or_is_refused_in_words(now: datetime, pieces: list[str]) -> None:
    try:
        found = when.read("".join(pieces), now, ZONE)
    except NotATime:
        return
    assert found is None or found.at > now


@given(now=moments, text=st.text(max_size=60))
def test_no_text_breaks_the_reader(now: datetime, text: str) -> None:
    try:
        when.read(text, now, ZONE)
    except NotATime:
        pass


@given(now=moments, hour=st.integers(1, 12))
def test_a_bare_hour_is_the_next_one_of_the_waking_day(now: datetime, hour: int) -> None:
    found = when.read(f"{hour}点", now, ZONE)
    assert found is not None
    local, today = found.at.astimezone(ZONE), now.astimezone(ZONE).date()
    assert local.time() in {time(hour % 24), time((hour + 12) % 24)}
    assert 7 <= local.hour < 24
    earlier = [datetime.combine(today, time(h), ZONE) for h in (hour, hour + 12) if 7 <= h < 24]
    assert all(not now < at < found.at for at in earlier)
    assert date.min < local.date() <= today + timedelta(days=1)


def test_long_texts_cost_next_to_nothing() -> None:
    began = datetime.now(UTC)
    when.read("三十" * 10_000, SUNDAY_EVENING, ZONE)
    when.read("明天下" * 7_000, SUNDAY_EVENING, ZONE)
    when.read("上" * 20_000 + "周", SUNDAY_EVENING, ZONE)
    assert datetime.now(UTC) - began < timedelta(seconds=1)

"""Times in plain Chinese: 明天下午三点, 下周三上午十点半, 半小时后, 11月30号, 15:30. Pure: text in, a moment out.

Ours, because what there is does not serve (measured 2026-11-26, Python 3.11): dateparser 1.5.0 reads 3 of 17 such
sentences rightly; jionlp 1.5.31 reads most, but takes 周五下午 and 三点半 to be over, does not say which words it read,
and costs 38 MB and numpy.

A time counts only where one says it: at the beginning or the end of a sentence, or beside 提醒. 提醒我问小雨明天来不来
names none. What could mean two things is decided by the table of rules here and shown to whoever said it
(``in_words``); what could mean anything is no time.

* A bare day is 9:00. A bare hour (三点, 3点) is the next time it comes between 7 and 24 o'clock; 15:30 and 03:05 are
  the 24-hour clock.
* 周五 is the next one to come, 这周五 that of this week, 下周五 that of the next; weeks begin on Monday.
* 30号 and 11月30号 are the next ones to come.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

MORNING = time(9)
"""A day without an hour."""
WAKING = (7, 24)
"""Between these hours a bare hour is looked for."""
FARTHEST = timedelta(days=3660)
LONGEST = 500
"""So many characters are looked at: nobody says a time after more of them."""
HOURS: dict[str, tuple[int, dict[int, int]]] = {
    "凌晨": (-1, {12: 0, **{hour: hour for hour in range(7)}}),
    "清晨": (7, {hour: hour for hour in range(4, 10)}),
    "早上": (8, {hour: hour for hour in range(4, 12)}),
    "上午": (9, {hour: hour for hour in range(6, 13)}),
    "中午": (12, {11: 11, 12: 12, 1: 13, 2: 14}),
    "下午": (14, {12: 12, **{hour: hour + 12 for hour in range(1, 8)}}),
    "傍晚": (18, {hour: hour + 12 for hour in range(4, 9)}),
    "晚上": (20, {**{hour: hour + 12 for hour in range(5, 12)}, 12: 24}),
}
"""What an hour means in each part of the day, and the hour of the part by itself (none for 凌晨)."""
PARTS = {"早": "早上", "早晨": "早上", "晨": "早上", "正午": "中午", "晚": "晚上", "夜里": "晚上", "今夜": "晚上"}
NEAR = {"前": -2, "昨": -1, "今": 0, "明": 1, "后": 2, "大后": 3}
WEEKDAYS = "一二三四五六日"
DIGITS = {"零": 0, "〇": 0, "两": 2, **{sign: number for number, sign in enumerate("一二三四五六七八九", start=1)}}

N = r"(?:\d{1,4}|[零〇一二两三四五六七八九十]{1,3})"
LATER = r"\s?(?:之后|以后|后)"
SPAN = rf"""
    (?:再?过\s?)? (?:
        (?P<span_hours>\d{{1,3}}\.\d|{N}) \s? 个? \s? (?P<span_half>半)? \s? (?:小时|钟头)
            (?: \s? (?P<span_more>{N}) \s? 分钟? )?
        | (?P<half_hour>半) \s? 个? \s? (?:小时|钟头)
        | (?P<span_minutes>{N}) \s? 分钟?
        | (?P<span_quarters>{N}) \s? 刻钟
    ) {LATER}
"""
DAY = rf"""
    (?: (?P<near>大后|后|明|今|昨|前) (?: [天日] | (?=[早晚晨]) )
    | (?P<days>{N}) \s? 天 {LATER}
    | (?P<weeks>{N}) \s? 个? \s? (?:周|星期|礼拜) {LATER}
    | (?P<months>{N}) \s? 个月 {LATER}
    | (?: (?P<which>上{{1,3}}|下{{1,3}}|这|本) \s? 个? \s? )? (?:周|星期|礼拜)
        (?: (?P<weekday>[一二三四五六日天末]) | (?P<weekday_digit>[1-6]) (?![\d:：点點时]) )
    | (?P<year>\d{{4}}) \s? [-/.年] \s? (?P<month>\d{{1,2}}) \s? [-/.月] \s? (?P<day>\d{{1,2}}) (?!\d) \s? [日号號]?
    | (?: (?P<year_word>\d{{4}}|今|明|后) 年 \s? )? (?P<month_said>{N}) \s? 月 \s? (?P<day_said>{N})
        (?:\s?[日号號]|(?![\d个天]))
    | (?P<month_word>下个?月|这个?月|本月) \s? (?P<day_of_word>{N}) \s? [日号號]
    | (?P<day_alone>{N}) \s? [日号號]
    ) (?: \s? [(（] (?:周|星期) [{WEEKDAYS}天] [)）] )?
"""
PART = r"(?P<part>凌晨|清晨|早上|早晨|上午|中午|正午|下午|傍晚|晚上|夜里|(?<=[天日明今后昨一二三四五六末])[早晚晨])"
CLOCK = rf"""
    (?: (?P<hour24>\d{{1,2}}) \s? [:：] \s? (?P<minute24>[0-5]\d) (?!\d)
    | (?P<hour>{N}) \s? [点點时] (?![候间])
        (?: \s? (?: (?P<half>半) | (?P<quarter>[一三]) 刻 | 整 | 钟
            | (?P<minute>{N}) \s? (?: 分钟?(?!{LATER}) | (?![\d个位人号天杯件元块]) ) ) )?
    )
"""
GAP = r"[\s,，的]{0,3}"
SAID = re.compile(
    rf"(?<![\d.零〇一二两三四五六七八九十]) (?: {SPAN} | {DAY} (?:{GAP} {PART})? (?:{GAP} {CLOCK})? | "
    rf"{PART.replace('<part>', '<part_alone>')} (?:{GAP} {CLOCK.replace('P<', 'P<part_')})? | "
    rf"{CLOCK.replace('P<', 'P<bare_')} ) (?:\s?左右)?",
    re.VERBOSE,
)
SET_OFF = re.compile(r"(?:^|提醒(?:我|一下|下|我一下)?|[\s,，。;；:：])\s*$")
"""What stands before a time that is told, not told about."""
THEN_REMIND = re.compile(r"^\s*[,，]?\s*(?:请|记得|再)?\s*提醒")
EDGES = " \t\r\n\u3000,，。;；:：、"


class NotATime(ValueError):
    """A time was meant but cannot be: it is over, there is no such day, it contradicts itself. Its text says which."""


@dataclass(frozen=True)
class Moment:
    """When somebody means, which of their words said so, and the words that are left."""

    at: datetime
    """Aware, in UTC, always later than the now it was read at."""
    said: str
    rest: str


class Clock(NamedTuple):
    """An hour of a day as it was said; ``hour`` None: only the day was."""

    hour: int | None
    minute: int = 0
    part: str = ""
    exact: bool = False
    """Said on the 24-hour clock."""


def read(text: str, now: datetime, zone: ZoneInfo) -> Moment | None:
    """The time a sentence names and what else it says; None when it names none. Raises ``NotATime``."""
    for found in SAID.finditer(text, 0, LONGEST):
        before, after = text[: found.start()], text[found.end() :]
        if SET_OFF.search(before) or THEN_REMIND.search(after) or (_is_full(found) and not after.strip(EDGES)):
            at = _moment(found, now.astimezone(zone))
            rest = f"{before.rstrip(EDGES)} {after.lstrip(EDGES)}".strip(EDGES)
            return Moment(at.astimezone(UTC), found[0].strip(), rest)
    return None


def in_words(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """11月27日（周五）15:00, another year with the year. ``read`` understands it."""
    local = at.astimezone(zone)
    year = "" if local.year == now.astimezone(zone).year else f"{local.year}年"
    return f"{year}{local.month}月{local.day}日（周{WEEKDAYS[local.weekday()]}）{local:%H:%M}"


def _is_full(found: re.Match[str]) -> bool:
    """A day with its hour: at the end of a sentence it needs nothing to set it off."""
    said = found.groupdict()
    return bool(said["hour"] or said["hour24"] or said["part"])


def _moment(found: re.Match[str], now: datetime) -> datetime:
    """What was said, from ``now`` in the shop's zone."""
    said = {name: value for name, value in found.groupdict().items() if value}
    if any(name.startswith(("span_", "half_hour")) for name in said):
        at = (now.astimezone(UTC) + _span(said)).astimezone(now.tzinfo)
    else:
        first = _first_after(now, list(_days(said, now.date())), _clock(said))
        if first is None:
            raise NotATime(f"“{found[0].strip()}”已经过去了")
        at = first
    if not now < at <= now + FARTHEST:
        raise NotATime(f"“{found[0].strip()}”{'已经过去了' if at <= now else '太远了'}")
    return at


def _span(said: dict[str, str]) -> timedelta:
    if "half_hour" in said:
        return timedelta(minutes=30)
    if "span_hours" in said:
        half, more = 30 * ("span_half" in said), number(said.get("span_more", "0"))
        return timedelta(hours=_hours(said["span_hours"]), minutes=half + more)
    return timedelta(minutes=number(said.get("span_minutes", "0")) + 15 * number(said.get("span_quarters", "0")))


def _hours(said: str) -> float:
    return float(said) if "." in said else number(said)


def number(said: str) -> int:
    """十五, 二十, 两, 15 as a number. Raises ``NotATime`` for what is none."""
    if said.isdecimal():
        return int(said)
    tens, ten, ones = said.rpartition("十")
    if "十" in tens or (ten and max(len(tens), len(ones)) > 1):
        raise NotATime(f"“{said}”不是一个数")
    if not ten:
        return int("".join(str(DIGITS[sign]) for sign in said))
    return 10 * (DIGITS[tens] if tens else 1) + (DIGITS[ones] if ones else 0)


# --- which day -------------------------------------------------------------------------------------------------------


def _days(said: dict[str, str], today: date) -> Iterator[date]:
    """The days that could be meant, the nearest first; more than one where the next to come is."""
    try:
        yield from _days_named(said, today)
    except (OverflowError, ValueError) as error:
        raise error if isinstance(error, NotATime) else NotATime("没有这一天") from None


def _days_named(said: dict[str, str], today: date) -> Iterator[date]:
    if "near" in said:
        yield today + timedelta(days=NEAR[said["near"]])
    elif "days" in said or "weeks" in said:
        yield today + timedelta(days=number(said.get("days", "0")) + 7 * number(said.get("weeks", "0")))
    elif "months" in said:
        yield _months_on(today, number(said["months"]))
    elif "weekday" in said or "weekday_digit" in said:
        yield from _weekdays(said, today)
    elif "year" in said:
        yield date(int(said["year"]), int(said["month"]), int(said["day"]))
    elif "month_said" in said:
        yield from _dates(said, today)
    elif "month_word" in said:
        first = _months_on(today.replace(day=1), 1 if said["month_word"].startswith("下") else 0)
        yield first.replace(day=number(said["day_of_word"]))
    elif "day_alone" in said:
        yield from _days_of_month(number(said["day_alone"]), today)
    else:
        yield today
        yield today + timedelta(days=1)


def _weekdays(said: dict[str, str], today: date) -> Iterator[date]:
    word = said.get("weekday") or WEEKDAYS[int(said["weekday_digit"]) - 1]
    index = WEEKDAYS.index({"天": "日", "末": "六"}.get(word, word))
    this = today + timedelta(days=index - today.weekday())
    which = said.get("which", "")
    if which:
        yield this + timedelta(weeks=len(which) * {"上": -1, "下": 1}.get(which[0], 0))
    else:
        yield from (this + timedelta(weeks=later) for later in (0, 1))


def _dates(said: dict[str, str], today: date) -> Iterator[date]:
    """Without a year: this year's or the next one's; the 29th of February waits for its year."""
    month, day, word = number(said["month_said"]), number(said["day_said"]), said.get("year_word")
    if word:
        year = int(word) if word.isdecimal() else today.year + {"今": 0, "明": 1, "后": 2}[word]
        yield date(year, month, day)
        return
    date(2024, month, day)  # a leap year has every day there is
    for year in range(today.year, today.year + 9):
        if day <= _days_in(year, month):
            yield date(year, month, day)


def _days_of_month(day: int, today: date) -> Iterator[date]:
    if not 1 <= day <= 31:
        raise NotATime("没有这一天")
    for later in range(13):
        month = _months_on(today.replace(day=1), later)
        if day <= _days_in(month.year, month.month):
            yield month.replace(day=day)


def _months_on(day: date, months: int) -> date:
    """So many months later, on the same day or the last one that month has."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, _days_in(year, month)))


def _days_in(year: int, month: int) -> int:
    first = date(year, month, 1)
    return ((first + timedelta(days=31)).replace(day=1) - first).days


# --- which hour ------------------------------------------------------------------------------------------------------


def _clock(said: dict[str, str]) -> Clock:
    """The hour as it was said, wherever in the sentence its parts were caught."""
    plain = {name.removeprefix("part_").removeprefix("bare_"): value for name, value in said.items()}
    part = plain.get("part") or plain.get("alone") or ""
    part = PARTS.get(part, part)
    if "hour24" in plain:
        return Clock(int(plain["hour24"]), int(plain["minute24"]), part, exact=not part)
    if "hour" not in plain:
        return Clock(None, 0, part)
    minute = 30 if "half" in plain else 15 * number(plain["quarter"]) if "quarter" in plain else 0
    return Clock(number(plain["hour"]), number(plain.get("minute", str(minute))), part)


def _first_after(now: datetime, days: list[date], clock: Clock) -> datetime | None:
    """The first of the moments that could be meant which is still to come."""
    hours = _hours_of(clock)
    moments = (
        datetime.combine(day, time(), now.tzinfo) + timedelta(hours=hour, minutes=clock.minute)
        for day in days
        for hour in hours
    )
    return next((at for at in moments if at > now), None)


def _hours_of(clock: Clock) -> list[int]:
    """The hours of the day that could be meant, the earlier first. Raises ``NotATime`` for a contradiction."""
    if clock.hour is None:
        if not clock.part:
            return [MORNING.hour]
        if HOURS[clock.part][0] < 0:
            raise NotATime(f"“{clock.part}”几点？")
        return [HOURS[clock.part][0]]
    if clock.minute > 59 or clock.hour > 24 or (clock.hour == 24 and clock.minute):
        raise NotATime("没有这个钟点")
    if clock.part:
        return [_hour_in(clock.part, clock.hour)]
    if clock.exact or clock.hour == 0 or clock.hour > 12:
        return [clock.hour]
    return [hour for hour in (clock.hour, clock.hour + 12) if WAKING[0] <= hour < WAKING[1]]


def _hour_in(part: str, hour: int) -> int:
    known = HOURS[part][1]
    found = known.get(hour, hour if hour in known.values() else None)
    if found is None:
        raise NotATime(f"“{part}{hour}点”是几点？")
    return found

"""Broadcasts that come again: on which days, at which local time, until when; and the one broadcast of each time.

    {"every": "week", "days": [1, 5], "at": "10:00", "working": true, "until": "2027-03-31"}

``days`` are those of a week (1 is Monday) or of a month (31: its last day where it is shorter). With ``working`` a time
that falls on a day that is not worked moves to the next one that is; two that meet there are one. Times are the
shop's: where a clock skips over one, it is the moment after. A time that is missed by more than half a day is left out.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import select

from outreach import hours
from storage.tables import Broadcast, CalendarDay
from storage.work import Work

EVERY = ("day", "week", "month")
LAST_DAY = {"week": 7, "month": 31}
LATEST = timedelta(hours=12)
"""What is later than this is not made up for: a Friday's greeting on Monday helps nobody."""
LONGEST_HOLIDAY = timedelta(days=16)
AHEAD = timedelta(days=400)
NAME_AT_MOST = 60


def problems(repeat: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a rule; nothing for one that is not there."""
    if not repeat:
        return
    every = repeat.get("every")
    if unknown := set(repeat) - {"every", "days", "at", "working", "until"}:
        yield "repeat", f"不认识 {'、'.join(sorted(unknown))}"
    if every not in EVERY:
        yield "repeat", "重复只能是每天、每周或每月"
    elif every in LAST_DAY and not _are_days(repeat.get("days"), LAST_DAY[every]):
        yield "repeat", "请选每周的哪几天" if every == "week" else "请填每月的几号（1–31）"
    if _time(repeat.get("at")) is None:
        yield "repeat", "请填几点发，例如 10:00"
    if repeat.get("until") is not None and _day(repeat["until"]) is None:
        yield "repeat", "结束日期写作 2027-03-31，或留空"


def _are_days(days: Any, last: int) -> bool:
    numbers = isinstance(days, list) and all(isinstance(one, int) and 1 <= one <= last for one in days)
    return numbers and 0 < len(days) <= last


def _time(text: Any) -> time | None:
    try:
        return time.fromisoformat(text) if isinstance(text, str) and len(text) == 5 else None
    except ValueError:
        return None


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        return None


# --- when ------------------------------------------------------------------------------------------------------------


def next_time(repeat: Mapping[str, Any], after: datetime, work: Work) -> datetime | None:
    """The first time later than a moment, in UTC; None when there is none any more."""
    first = after.astimezone(work.zone).date() - LONGEST_HOLIDAY
    days = select(CalendarDay.day, CalendarDay.kind).where(CalendarDay.day >= first)
    calendar: dict[date, str] = dict(work.db.execute(days).all())
    return next((at for at in times(repeat, first, work.zone, calendar) if at > after), None)


def times(repeat: Mapping[str, Any], first: date, zone: Any, calendar: hours.Calendar) -> Iterator[datetime]:
    """Each time from a day on, for about a year; none after the last day."""
    at, until = _time(repeat["at"]) or time(), _day(repeat.get("until")) or first + AHEAD
    before = None
    for number in range(AHEAD.days):
        day = first + timedelta(days=number)
        if not _fits(repeat, day):
            continue
        day = hours.next_working(day, calendar) if repeat.get("working") else day
        if day <= until and day != before:
            yield hours.instant(day, at, zone)
        before = day


def _fits(repeat: Mapping[str, Any], day: date) -> bool:
    if repeat["every"] == "day":
        return True
    if repeat["every"] == "week":
        return day.isoweekday() in repeat["days"]
    last = monthrange(day.year, day.month)[1]
    return day.day in {min(one, last) for one in repeat["days"]}


def after(work: Work, broadcast: Broadcast) -> datetime:
    """The moment after which its first time may lie."""
    wanted = broadcast.send_at
    return max(work.now, wanted - timedelta(seconds=1)) if wanted is not None else work.now


# --- each time -------------------------------------------------------------------------------------------------------


def one_time(work: Work, parent: Broadcast, at: datetime) -> Broadcast:
    """The broadcast of one time: what was approved, to whoever fits then."""
    day = f" {at.astimezone(work.zone):%m-%d}"
    return Broadcast(
        name=parent.name[: NAME_AT_MOST - len(day)] + day,
        audience=parent.audience,
        segment_id=parent.segment_id,
        filter=dict(parent.filter),
        chat_ids=list(parent.chat_ids),
        contents=[dict(one) for one in parent.contents],
        control=parent.control,
        service=parent.service,
        metric=parent.metric,
        send_at=at,
        parent_id=parent.id,
        state="approved",
        size=parent.size,
        made_by=parent.made_by,
        approved_by=parent.approved_by,
        made_at=work.now,
        changed_at=work.now,
        approved_at=work.now,
    )

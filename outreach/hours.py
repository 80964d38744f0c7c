"""When a person may hear from us: quiet hours, working days, and local times that do not exist or come twice.

Times go in and out aware; what is local is local to the zone that is given. Pure: no database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

HOLIDAY, WORKDAY = "holiday", "workday"
"""Kinds of ``CalendarDay``: a public holiday, and a weekend day that is worked to make up for one (调休)."""
Calendar = Mapping[date, str]


def instant(day: date, at: time, zone: tzinfo) -> datetime:
    """The moment at which a clock on the wall shows this time on this day, in UTC.

    Where the clock is put forward over it: the first moment after the gap. Where it comes twice: the first of them.
    """
    early = datetime.combine(day, at, zone).replace(fold=0).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, at):
        return early
    return _end_of_gap(datetime.combine(day, at, zone).replace(fold=1).astimezone(UTC), early, zone)


def _end_of_gap(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The moment between these two at which the clock is put forward, to the second."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


@dataclass(frozen=True)
class Quiet:
    """The hours of a day in which nobody hears from us unasked; may run past midnight. Equal ends: there are none."""

    starts: time
    ends: time

    def holds(self, moment: datetime, zone: tzinfo) -> bool:
        """Whether it is quiet at this moment."""
        now = moment.astimezone(zone).time()
        if self.starts <= self.ends:
            return self.starts <= now < self.ends
        return now >= self.starts or now < self.ends

    def next_open(self, moment: datetime, zone: tzinfo) -> datetime:
        """The moment itself, or the end of the quiet hours it lies in; in UTC."""
        if not self.holds(moment, zone):
            return moment.astimezone(UTC)
        local = moment.astimezone(zone)
        day = local.date() if local.time() < self.ends else local.date() + timedelta(days=1)
        return instant(day, self.ends, zone)

    def next_start(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """When it becomes quiet next after this moment; None when it never does."""
        if self.starts == self.ends:
            return None
        day = moment.astimezone(zone).date()
        found = instant(day, self.starts, zone)
        return found if found > moment else instant(day + timedelta(days=1), self.starts, zone)


def is_working(day: date, calendar: Calendar) -> bool:
    """Whether a day is worked: Monday to Friday but for public holidays, and the weekend days that make up for them."""
    kind = calendar.get(day)
    return kind == WORKDAY or (kind != HOLIDAY and day.isoweekday() <= 5)


def next_working(day: date, calendar: Calendar, after: int = 0) -> date:
    """The first working day from this one on; ``after``: so many working days later."""
    while True:
        if is_working(day, calendar):
            if after == 0:
                return day
            after -= 1
        day += timedelta(days=1)


def yearly(day: date, year: int) -> date:
    """The day in a year of something that comes every year: of 29 February the 28th where there is none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def birthdays_on(day: date) -> list[int]:
    """The birthdays that are kept on this day, each as ``Person.birthday`` has it: 1127 is 27 November."""
    numbers = [day.month * 100 + day.day]
    return (
        [*numbers, 229] if (day.month, day.day) == (2, 28) and yearly(date(2024, 2, 29), day.year) == day else numbers
    )

"""When a step of a journey is due: local days and times of the shop, through holidays and changes of the clock."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import select

from outreach import hours
from outreach.hours import Calendar, Quiet
from outreach.journeys.definition import Step, clock
from storage.tables import CalendarDay
from storage.work import Work

WAVE_AT = time(10)
"""When mass tasks are made whose step names no time: one wave a day, so that a rep has one task for many people."""
GRACE = timedelta(minutes=15)
"""What comes so soon after its time is not late."""


def due_at(work: Work, step: Step) -> datetime:
    """When somebody who comes to this step now is taken further; in UTC."""
    if step["do"] == "wait":
        return _waited(work, step)
    if step["do"] == "window":
        return _open(work, step)
    if step["do"] == "wait_for":
        return work.now + timedelta(days=step["days"])
    return work.now


def _waited(work: Work, step: Step) -> datetime:
    """Minutes and hours pass; days are days of the shop, at the same time of day or at the one that is named."""
    if "days" not in step:
        return work.now + timedelta(minutes=step.get("minutes", 0), hours=step.get("hours", 0))
    local = work.now.astimezone(work.zone)
    day = local.date() + timedelta(days=step["days"])
    if "at" not in step:
        return hours.instant(day, local.time(), work.zone)
    found = hours.instant(day, clock(step["at"]), work.zone)
    return found if found >= work.now else hours.instant(day + timedelta(days=1), clock(step["at"]), work.zone)


def _open(work: Work, step: Step) -> datetime:
    """The first moment from now on that lies between two times of day, on a working day where that is asked."""
    opens, closes = clock(step["from"]), clock(step["to"])
    shut = Quiet(closes, opens)
    found = shut.next_open(work.now, work.zone)
    if step.get("working_days"):
        days = calendar(work)
        while not hours.is_working(day := found.astimezone(work.zone).date(), days):
            found = hours.instant(hours.next_working(day, days), opens, work.zone)
    return found


def next_at(work: Work, at: time, quiet: Quiet) -> datetime:
    """The next moment at which a clock on the wall shows this time and it is not quiet; in UTC.

    A few minutes ago counts too: whoever is due at ten is looked at some seconds after it.
    """
    day = work.now.astimezone(work.zone).date()
    found = hours.instant(day, at, work.zone)
    if found < work.now - GRACE:
        found = hours.instant(day + timedelta(days=1), at, work.zone)
    return quiet.next_open(found, work.zone)


def day_after(work: Work, moment: datetime, at: time, quiet: Quiet) -> datetime:
    """The same time of day a day later; in UTC."""
    day = moment.astimezone(work.zone).date() + timedelta(days=1)
    return quiet.next_open(hours.instant(day, at, work.zone), work.zone)


def calendar(work: Work) -> Calendar:
    """The shop's holidays and worked weekend days, looked up once in this work."""

    def look() -> Mapping[date, str]:
        return dict(work.db.execute(select(CalendarDay.day, CalendarDay.kind)).all())

    found: Any = work.found("calendar", look)
    return found  # type: ignore[no-any-return]

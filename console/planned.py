"""The calendar (日历): what customers are to get and got, day by day, so that nobody plans into somebody else's day."""

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import here
from console.broadcast_words import TOUCH_WORDS
from console.doors import guarded
from console.words import N_, _
from outreach import planned
from storage.tables import CalendarDay

pages = Blueprint("planned", __name__, url_prefix="/calendar")

WEEKDAYS = (N_("周一"), N_("周二"), N_("周三"), N_("周四"), N_("周五"), N_("周六"), N_("周日"))
FURTHEST = 400
"""Days ahead or back that are shown."""


@pages.get("")
@guarded("see_broadcasts")
def show() -> Any:
    """One month in whole weeks, with how many messages each day brings and from what."""
    month = _month()
    following = (month + timedelta(days=32)).replace(day=1)
    first, last = planned.weeks(month, following - timedelta(days=1))
    with here.reading() as db:
        days = planned.days(here.start_work(db), first, last, _calendar(db, first, last), here.sight(db))
    return render_template(
        "planned/show.html",
        days=days,
        month=month,
        before=(month - timedelta(days=1)).replace(day=1),
        following=following,
        today=here.today(),
        kinds=TOUCH_WORDS,
        weekdays=[_(one) for one in WEEKDAYS],
        most=max((one.people for one in days), default=0),
    )


def _month() -> date:
    """The month in the address; this one otherwise."""
    try:
        found = date.fromisoformat(f"{request.args.get('month', '')}-01")
    except ValueError:
        return here.today().replace(day=1)
    return found if abs((found - here.today()).days) <= FURTHEST else here.today().replace(day=1)


def _calendar(db: Session, first: date, last: date) -> dict[date, str]:
    own = select(CalendarDay.day, CalendarDay.kind).where(CalendarDay.day.between(first, last))
    return dict(db.execute(own).all())

"""The shop's calendar of public holidays and make-up working days, mended by hand where the shop differs."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.rows import upsert
from storage.tables import CalendarDay
from storage.work import Work

KINDS = ("holiday", "workday")
MAX_NAME = 60


def of_year(db: Session, year: int) -> dict[date, CalendarDay]:
    """The days of a year that do not follow the week."""
    own = select(CalendarDay).where(CalendarDay.day.between(date(year, 1, 1), date(year, 12, 31)))
    return {one.day: one for one in db.scalars(own)}


def change(work: Work, day: date, kind: str, name: str = "") -> str:
    """Make a day a holiday or a working day, or (``kind`` empty) let it follow the week; what it was before."""
    known = work.db.get(CalendarDay, day)
    before = known.kind if known else ""
    if kind in KINDS:
        upsert(work.db, CalendarDay, [{"day": day, "kind": kind, "name": name[:MAX_NAME]}], ["day"], ["kind", "name"])
    elif known is not None:
        work.db.delete(known)
    return before

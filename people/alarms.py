"""Things an admin must know, each raised once and cleared when it is over; a job of the timetable tells the admins."""

from collections.abc import Collection

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.database import changed_rows
from storage.tables import Alarm
from storage.work import Work

ONE_API_ONLY = frozenset({48001, 48002})
"""Codes that keep us from one API; the other refusals of us as a whole keep us from all."""
STANDING_TROUBLE = select(Alarm.kind).where(Alarm.kind.startswith("wecom_"), Alarm.cleared_at.is_(None))


def trouble_kind(errcode: int, api: str) -> str:
    """The kind of the alarm for a refusal of us as a whole."""
    return f"wecom_{errcode}" + (f":{api.rpartition('/')[2][:24]}" if errcode in ONE_API_ONLY else "")


def raise_alarm(work: Work, kind: str, text: str) -> bool:
    """Raise an alarm of this kind, or say again that it holds; True when it is new."""
    standing = work.db.scalars(select(Alarm).where(Alarm.kind == kind, Alarm.cleared_at.is_(None))).one_or_none()
    if standing is not None:
        standing.last_at, standing.text = work.now, text
        return False
    try:
        with work.db.begin_nested():
            work.db.add(Alarm(kind=kind, text=text, raised_at=work.now, last_at=work.now))
    except IntegrityError:
        return False  # somebody else has just raised it
    return True


def clear(work: Work, kind: str) -> bool:
    """The trouble is over; False when there was none."""
    standing = update(Alarm).where(Alarm.kind == kind, Alarm.cleared_at.is_(None))
    return changed_rows(work.db, standing.values(cleared_at=work.now)) > 0


def clear_trouble(work: Work, apis: Collection[str]) -> bool:
    """Calls of these APIs worked: whatever kept us from all of WeCom, or from these APIs, is over.

    Looks first: it is asked after each call that worked.
    """
    own = tuple(":" + api.rpartition("/")[2][:24] for api in apis)
    over = [kind for kind in work.db.scalars(STANDING_TROUBLE) if ":" not in kind or kind.endswith(own)]
    for kind in over:
        clear(work, kind)
    return bool(over)


def standing(db: Session) -> list[Alarm]:
    """Every alarm that holds, newest first."""
    return list(db.scalars(select(Alarm).where(Alarm.cleared_at.is_(None)).order_by(Alarm.raised_at.desc())))

"""When somebody's birthday is, as they or a rep said: month and day, perhaps the year."""

import re
from calendar import isleap
from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from people import by_hand
from storage.tables import Person
from storage.work import Work

FORM = re.compile(r"(?:(\d{4})-)?(\d{1,2})-(\d{1,2})", re.ASCII)
WRONG = "生日写作 1990-05-20，不知道年份写作 05-20；没有“{text}”这一天"
LEAP = 2024
"""A year that has every day."""
OLDEST = 1900
SET = "birthday"


def read(text: str) -> tuple[int, int | None]:
    """``1990-05-20`` as (520, 1990), ``05-20`` as (520, None). Raises ``ValueError`` with words for who typed it."""
    found = FORM.fullmatch(text.strip())
    try:
        year, month, day = (int(one) if one else None for one in found.groups()) if found else (None, None, None)
        date(year or LEAP, month or 0, day or 0)
    except ValueError:
        raise ValueError(WRONG.format(text=text.strip()[:20])) from None
    if year is not None and year < OLDEST:
        raise ValueError(WRONG.format(text=text.strip()[:20]))
    return (month or 0) * 100 + (day or 0), year


def shown(person: Person) -> str:
    """As ``read`` takes it; empty when nobody has said it."""
    if person.birthday is None:
        return ""
    day = f"{person.birthday // 100:02d}-{person.birthday % 100:02d}"
    return day if person.birth_year is None else f"{person.birth_year}-{day}"


def born_on(db: Session, day: date) -> Sequence[int]:
    """Whose birthday a day is; in a year without 29 February it is the 28th."""
    numbers = [day.month * 100 + day.day]
    if numbers == [228] and not isleap(day.year):
        numbers.append(229)
    own = select(Person.id).where(Person.birthday.in_(numbers), Person.merged_into.is_(None))
    return db.scalars(own.order_by(Person.id)).all()


def keep(work: Work, person: Person, text: str, *, by: str) -> bool:
    """Remember it, or (an empty text) forget it; False when that changes nothing. Raises ``ValueError``."""
    wanted = read(text) if text.strip() else (None, None)
    if wanted[1] is not None and wanted[1] > work.now.year:
        raise ValueError("出生年份在将来")
    if wanted == (person.birthday, person.birth_year):
        return False
    person.birthday, person.birth_year = wanted
    once, details = f"{SET}:{person.id}:{work.now.isoformat()}", {"text": shown(person)}
    by_hand.tell(work, person, SET, by=by, once=once, details=details)
    return True

"""Changes of policy: a new rule of how long points live, a clearing of many.

What happened before one tells nothing of what came in after it. It goes by what was decided and done by a day, so that
the answer of that day stays the same.
"""

from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from loyalty.expiry import add_months
from loyalty.programme import FIRST, Programme
from storage.tables import Approval, PointsRules

EXPIRY, CLEAR = "expiry", "clear"
"""Why."""


@dataclass(frozen=True)
class Change:
    """Of policy."""

    day: date
    """On which it happened, in the shop's time."""
    why: str

    @property
    def since(self) -> date:
        """The first day of the first month that came in wholly under it."""
        return self.day if self.day.day == 1 and self.why == EXPIRY else add_months(self.day.replace(day=1), 1)


def changes(db: Session, end: datetime, zone: ZoneInfo, first: date) -> list[Change]:
    """Those by the end of a day that lie within the books (from ``first``), the first first; of one month one."""
    found = [*_of_expiry(db, end, zone), *_clearings(db, end, zone)]
    last = end.astimezone(zone).date()
    by_month = {one.since: one for one in sorted(found, key=lambda one: one.day, reverse=True)}
    return [by_month[since] for since in sorted(by_month) if first < since < last]


def _of_expiry(db: Session, end: datetime, zone: ZoneInfo) -> list[Change]:
    """Where the rule that holds next gives points another life."""
    own = select(PointsRules).where(PointsRules.made_at < end, PointsRules.valid_from < end)
    rows = list(db.scalars(own.order_by(PointsRules.valid_from, PointsRules.version)))
    lives = [_life(FIRST.programme), *(_life(Programme(**one.definition)) for one in rows)]
    return [
        Change(row.valid_from.astimezone(zone).date(), EXPIRY)
        for row, (before, after) in zip(rows, pairwise(lives), strict=True)
        if before != after
    ]


def _life(one: Programme) -> tuple[object, object]:
    return one.expiry, one.bonus_expiry or one.expiry


def _clearings(db: Session, end: datetime, zone: ZoneInfo) -> list[Change]:
    own = select(Approval.ended_at).where(
        Approval.kind == "bulk_clear", Approval.state == "done", Approval.ended_at < end
    )
    return [Change(at.astimezone(zone).date(), CLEAR) for at in db.scalars(own) if at is not None]

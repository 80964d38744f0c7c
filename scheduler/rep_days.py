"""Each morning: what WeCom itself counts of every rep's days, kept beside (never mixed with) what we measure.

A call is for one rep, since WeCom adds up whom it is asked for together. Days that were missed are caught up with as
far as one call reaches (30).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.patience import Patience
from storage.database import Clock, reading, transaction
from storage.rows import upsert
from storage.tables import RepDay
from wecom.errors import Refused
from wecom.gateway import Gateway
from wecom.statistics import BEIJING, MOST_DAYS, DayFigures

HANDS = 4
FIGURES = (
    "chats",
    "messages",
    "reply_percentage",
    "first_reply_minutes",
    "deletions",
    "applications",
    "new_contacts",
)


@dataclass(frozen=True)
class RepDays:
    """Everything the fetching needs; ``stopping`` is asked between two reps."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    stopping: Callable[[], bool]

    def fetch(self) -> tuple[int, int]:
        """Fetch what is missing up to yesterday; how many days were kept, of how many reps. Raises ``TryLater``."""
        yesterday = self.clock().astimezone(BEIJING).date() - timedelta(days=1)
        patience = Patience(self.stopping, waits_for_admins=False)
        reps = patience.read(self.gateway.reps)
        with reading(self.engine) as db:
            known = _last_days(db)
        wanted = [(rep, _first_missing(known.get(rep), yesterday)) for rep in reps]
        behind = [(rep, first) for rep, first in wanted if first <= yesterday]
        days = 0
        with ThreadPoolExecutor(HANDS) as hands:
            for rep, figures in hands.map(partial(self._ask, patience, yesterday), behind):
                days += self._keep(rep, figures)
        return days, len(behind)

    def _ask(self, patience: Patience, last: date, wanted: tuple[str, date]) -> tuple[str, list[DayFigures]]:
        rep, first = wanted
        if self.stopping():
            return rep, []
        try:
            return rep, patience.read(partial(self.gateway.statistics.days, rep, first, last))
        except Refused:
            return rep, []  # not in sight any more: the others' figures must not wait for this one's

    def _keep(self, rep: str, figures: list[DayFigures]) -> int:
        with transaction(self.engine) as db:
            rows = [_row(rep, one, self.clock()) for one in figures]
            upsert(db, RepDay, rows, ["userid", "day"], [*FIGURES, "read_at"])
        return len(figures)


def _last_days(db: Session) -> dict[str, date]:
    return dict(db.execute(select(RepDay.userid, func.max(RepDay.day)).group_by(RepDay.userid)).all())


def _first_missing(known: date | None, yesterday: date) -> date:
    earliest = yesterday - timedelta(days=MOST_DAYS - 1)
    return earliest if known is None else max(earliest, known + timedelta(days=1))


def _row(rep: str, one: DayFigures, now: datetime) -> dict[str, Any]:
    return {"userid": rep, "day": one.day, **{name: getattr(one, name) for name in FIGURES}, "read_at": now}

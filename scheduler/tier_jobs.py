"""The job about tiers: whoever earned or was refunded, or whose tier is at the end of its time, is looked at."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from loyalty import tiers
from people import persons
from storage.database import reading, transaction
from storage.rows import upsert
from storage.tables import PointsAccount, Progress

if TYPE_CHECKING:
    from scheduler.timetable import Hands

LOOKED = "tiers"
"""The row of ``Progress`` that says up to when everybody was looked at."""
OVERLAP = timedelta(minutes=5)
"""Whoever wrote for so long is seen all the same; to look again changes nothing."""


def look_at_tiers(hands: "Hands") -> str:
    """Look at everybody who may be behind; stopped in the middle, the next run begins where this one did."""
    now = hands.clock()
    with reading(hands.engine) as db:
        known = db.get(Progress, LOOKED)
        since = (
            datetime.fromisoformat(known.at["at"]) - OVERLAP if known is not None else datetime(2000, 1, 1, tzinfo=UTC)
        )
        accounts = tiers.due(db, since, now.astimezone(hands.zone).date())
    for account in accounts:
        if hands.stopping():
            return "stopped"
        _look(hands, account)
    with transaction(hands.engine) as db:
        row = {"name": LOOKED, "state": "done", "at": {"at": now.isoformat()}, "started_at": now, "changed_at": now}
        upsert(db, Progress, [row], ["name"], ["at", "changed_at"])
    return f"customers looked at: {len(accounts)}"


def _look(hands: "Hands", account_id: int) -> None:
    """With all accounts of whoever this one belongs to; one that is nobody's any more is left."""
    with transaction(hands.engine) as db:
        person = db.scalar(select(PointsAccount.person_id).where(PointsAccount.id == account_id))
        if person is None:
            return
        own = select(PointsAccount.id).where(PointsAccount.person_id.in_(persons.anchors(db, person)))
        tiers.look(hands.work(db, "look at tiers"), db.scalars(own).all())

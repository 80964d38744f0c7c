"""What reps send to many by themselves, read back from WeCom: it uses up the same quota, and nobody tells us.

Each of their mass messages becomes touches ``own:MSGID`` in the budget's book, one for each customer who received it;
the text is not kept. Windows overlap, because WeCom lists late; what is there already is not doubled.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from outreach import budget
from people import persons
from storage.database import Clock, reading, transaction
from storage.rows import insert_new, upsert
from storage.tables import Identity, Progress, Touch
from wecom.errors import Busy, Refused
from wecom.gateway import Gateway
from wecom.mass import BY_MEMBERS, LONGEST_SPAN, SENT, MassResult, MassTask, pages

log = logging.getLogger(__name__)

NAME = "own sends"
OVERLAP = timedelta(hours=6)
STILL_SENDING = timedelta(hours=1)
"""One that is younger is read again, though it is known: WeCom may not have told of everybody yet."""
FIRST = LONGEST_SPAN - timedelta(hours=1)
"""At the first time as far back as one question may reach: what counts against this month's quota."""
AT_ONCE = 500


@dataclass(frozen=True)
class OwnSends:
    """Reads them."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    stopping: Callable[[], bool]

    def read(self) -> tuple[int, int]:
        """How many messages of reps were read, and how many customers they reached that we did not know of."""
        until = self.clock()
        messages = touched = 0
        for task in self._new_ones(self._since(until), until):
            if self.stopping():
                return messages, touched  # the same window again next time
            try:
                touched += self._keep(task)
            except (Busy, Refused) as error:
                log.info("a rep's own mass message cannot be read: %s", error)
                continue
            messages += 1
        row = {"name": NAME, "state": "done", "at": {"to": until.isoformat()}, "started_at": until, "changed_at": until}
        with transaction(self.engine) as db:
            upsert(db, Progress, [{**row, "done": 0}], ["name"], ["at", "changed_at"])
        return messages, touched

    def _since(self, until: datetime) -> datetime:
        with reading(self.engine) as db:
            before = db.get(Progress, NAME)
        if before is None:
            return until - FIRST
        return max(datetime.fromisoformat(before.at["to"]) - OVERLAP, until - FIRST)

    def _new_ones(self, since: datetime, until: datetime) -> Iterator[MassTask]:
        """Those that reps have made and we have not read to the end."""
        for page in pages(lambda cursor: self.gateway.mass.page(
            "single", since, until, filter_type=BY_MEMBERS, cursor=cursor
        )):  # fmt: skip
            own = [one for one in page if one.personal and one.creator]
            with reading(self.engine) as db:
                known = _known(db, own)
            for one in own:
                young = one.created_at is None or until - one.created_at < STILL_SENDING
                if young or one.msgid not in known:
                    yield one

    def _keep(self, task: MassTask) -> int:
        found = [one for page in pages(lambda cursor: self.gateway.mass.results(task.msgid, task.creator, cursor))
                 for one in page if one.status == SENT and one.external_userid]  # fmt: skip
        count = 0
        with transaction(self.engine) as db:  # all of it or nothing: one that is known is not looked at again
            for first in range(0, len(found), AT_ONCE):
                rows = _rows(db, task, found[first : first + AT_ONCE], self.clock())
                count += len(insert_new(db, Touch, rows, ["source", "person_id"]))
        return count


def source_of(task: MassTask) -> str:
    """``own:MSGID``, within what the column takes."""
    return f"own:{task.msgid}"[:60]


def _known(db: Session, tasks: Sequence[MassTask]) -> set[str]:
    sources = {source_of(one): one.msgid for one in tasks}
    asked = select(Touch.source).where(Touch.source.in_(sources)).distinct()
    return {sources[one] for one in db.scalars(asked)}


def _rows(db: Session, task: MassTask, found: Sequence[MassResult], now: datetime) -> list[dict[str, Any]]:
    """One touch for each customer we know; who is not known has no budget either."""
    externals = {one.external_userid for one in found}
    own = select(Identity.value, Identity.person_id).where(
        Identity.type == persons.EXTERNAL, Identity.value.in_(externals)
    )
    people = dict(db.execute(own).all())
    rows = {}
    for one in found:
        person_id, at = people.get(one.external_userid), one.sent_at or task.created_at or now
        if person_id is not None:
            rows[person_id] = {
                "source": source_of(task),
                "person_id": person_id,
                "way": "mass",
                "userid": task.creator,
                "external_userid": one.external_userid,
                "arm": "",
                "state": budget.SENT,
                "reason": "",
                "at": at,
                "day": budget.day_of(at),
            }
    return list(rows.values())

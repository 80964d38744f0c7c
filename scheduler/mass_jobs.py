"""Jobs about mass messages: plan broadcasts, make tasks, read how they stand, take back what must not go out.

The network and a transaction are never open together: each task is read from WeCom first and written down afterwards.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outreach import broadcasts, hours, mass, withdrawing
from outreach.budget import Rules
from outreach.journeys import goals
from storage.database import Clock, reading, transaction
from storage.tables import MassTask
from storage.work import Work
from wecom.errors import Busy
from wecom.gateway import Gateway
from wecom.mass import BY_ALL, MassResult, pages
from wecom.mass import MassTask as Listed

log = logging.getLogger(__name__)

SHOWN_SINCE = timedelta(minutes=2)
"""Clocks differ: so much before our call a task of ours may be dated."""


@dataclass(frozen=True)
class MassDesk:
    """Everything these jobs need."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    zone: ZoneInfo
    rules: Rules
    work: Callable[[Session], Work]
    stopping: Callable[[], bool]

    def plan(self) -> int:
        """Carry every broadcast that is due through its planning, one transaction a portion; how many portions."""
        portions = 0
        with reading(self.engine) as db:
            ids = broadcasts.due(db, self.clock())
        for broadcast_id in ids:
            more = True
            while more and not self.stopping():
                with transaction(self.engine) as db:
                    more = broadcasts.carry_on(self.work(db), broadcast_id, self.rules)
                portions += 1
        return portions

    def make(self) -> int:
        """Ask WeCom for the tasks that are due, outside quiet hours; how many."""
        now, asked = self.clock(), 0
        if self.rules.quiet.holds(now, self.zone):
            return 0
        with reading(self.engine) as db:
            ids = mass.due(db, now, self._today(now))
        for task_id in ids:
            with transaction(self.engine) as db:
                goals.let_go(self.work(db), task_id)
                asked += mass.ask(self.work(db), task_id, self.rules)
        return asked

    def _today(self, now: datetime) -> tuple[datetime, datetime]:
        day = now.astimezone(self.zone).date()
        return hours.instant(day, time(), self.zone), hours.instant(day + timedelta(days=1), time(), self.zone)

    def look(self) -> int:
        """Read how the open tasks stand; how many were read. Of which WeCom cannot tell yet, it is asked later."""
        with reading(self.engine) as db:
            ids = mass.to_look_at(db, self.clock())
        read = 0
        for task_id in ids:
            if self.stopping():
                break
            with reading(self.engine) as db:
                task = db.get_one(MassTask, task_id)
            try:
                self._look_at(task)
            except Busy as error:
                log.info("mass task %d cannot be read yet: %s", task_id, error)
                continue
            read += 1
        with transaction(self.engine) as db:
            broadcasts.finish(self.work(db))
        return read

    def _look_at(self, task: MassTask) -> None:
        if task.state == "unclear":
            self._find(task)
            return
        confirmed, rows = self._standing(str(task.msgid), task.userid)
        with transaction(self.engine) as db:
            again_at = self.rules.quiet.next_open(self.clock(), self.zone)
            mass.results(self.work(db), task.id, confirmed, rows, again_at)

    def _standing(self, msgid: str, userid: str) -> tuple[bool, list[MassResult]]:
        members = [one for page in pages(lambda cursor: self.gateway.mass.members(msgid, cursor)) for one in page]
        confirmed = any(one.sent for one in members if one.userid.lower() == userid.lower())
        return confirmed, self._results(msgid, userid)

    def _results(self, msgid: str, userid: str) -> list[MassResult]:
        rows = pages(lambda cursor: self.gateway.mass.results(msgid, userid, cursor))
        return [one for page in rows for one in page]

    def _find(self, task: MassTask) -> None:
        """Look in WeCom's list for a task of whose call nobody knows the end."""
        asked_at = task.asked_at or self.clock()
        kind = "group" if task.audience == "groups" else "single"
        until = min(self.clock() + SHOWN_SINCE, asked_at + timedelta(days=1))
        found = pages(
            lambda cursor: self.gateway.mass.page(
                kind,  # type: ignore[arg-type]
                asked_at - SHOWN_SINCE,
                until,
                filter_type=BY_ALL,
                cursor=cursor,
            )
        )
        like = [one for page in found for one in page if not one.personal and one.text == task.text]
        ours = next((one for one in like if self._is_ours(task, one)), None)
        with transaction(self.engine) as db:
            work = self.work(db)
            if ours is not None:
                mass.made(work, task.id, ours.msgid, (), mass.confirm_by(work))
            else:
                mass.not_there(work, task.id)

    def _is_ours(self, task: MassTask, listed: Listed) -> bool:
        with reading(self.engine) as db:
            if mass.known_msgids(db, [listed.msgid]):
                return False
        members = [
            one for page in pages(lambda cursor: self.gateway.mass.members(listed.msgid, cursor)) for one in page
        ]
        if [one.userid.lower() for one in members] != [task.userid.lower()]:
            return False
        if task.audience == "groups":
            return True
        shown = {one.external_userid for one in self._results(listed.msgid, task.userid)}
        with reading(self.engine) as db:
            return mass.is_ours(db, task, shown)

    def guard(self) -> tuple[int, int]:
        """Stop broadcasts that drive customers away; how many were looked at, and how many too many had left."""
        with reading(self.engine) as db:
            ids = withdrawing.to_look_at(db, self.clock())
        left = 0
        for broadcast_id in ids:
            with transaction(self.engine) as db:
                left += withdrawing.look_at(self.work(db), broadcast_id) is not None
        return len(ids), left

    def expire(self) -> int:
        """Take back what no rep confirmed in time; how many tasks."""
        with reading(self.engine) as db:
            ids = mass.overdue(db, self.clock())
        return sum(self._take_back(one, mass.LATE) for one in ids)

    def keep_quiet(self) -> int:
        """When quiet hours have begun: what is unconfirmed is taken back and offered again when they are over."""
        now = self.clock()
        if not self.rules.quiet.holds(now, self.zone):
            return 0
        with reading(self.engine) as db:
            ids = mass.unconfirmed(db)
        return sum(self._take_back(one, mass.QUIET) for one in ids)

    def obey(self) -> int:
        """Take back what somebody who is not to get it any more could still get; the others are offered it again."""
        with reading(self.engine) as db:
            ids = mass.with_leavers(db)
        return sum(self._take_back(one, mass.GONE) for one in ids)

    def _take_back(self, task_id: int, why: str) -> bool:
        with transaction(self.engine) as db:
            task = db.get_one(MassTask, task_id, with_for_update=True)
            return mass.take_back(self.work(db), task, why)

"""Jobs about journeys: read what happened, let people set out, take whoever is due further, cut the waves."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outreach.budget import Rules
from outreach.journeys import desk, entries, story, walk, waves
from outreach.journeys.walk import Due
from storage.database import Clock, is_away, reading, transaction
from storage.work import Work

if TYPE_CHECKING:
    from scheduler.timetable import Hands

log = logging.getLogger(__name__)

MOST_A_RUN = 5_000
"""So many steps at most before the others have their turn; the rest is due at the next beat."""


@dataclass(frozen=True)
class JourneyDesk:
    """Everything these jobs need."""

    engine: Engine
    clock: Clock
    rules: Rules
    work: Callable[[Session], Work]
    stopping: Callable[[], bool]

    def read(self) -> tuple[int, int]:
        """Read the story on, portion by portion: how many lines concerned a journey, and how many people set out."""
        with transaction(self.engine) as db:
            after, begun_so = story.begin_reading(self.work(db))
        lines = begun = 0
        more = True
        while more and not self.stopping():
            with transaction(self.engine) as db:
                work = self.work(db)
                before, (after, count, set_out) = after, entries.read_story(work, after)
                story.keep_read(work, after, begun_so)
            lines, begun, more = lines + count, begun + set_out, count >= entries.PORTION and after > before
        return lines, begun

    def look_into_segments(self) -> int:
        """Let whoever has come into a segment set out; how many."""
        with reading(self.engine) as db:
            ids = entries.of_segments(db)
        begun = 0
        for journey_id in ids:
            after: int | None = 0
            while after is not None and not self.stopping():
                with transaction(self.engine) as db:
                    after, count = entries.look_into_segment(self.work(db), journey_id, after)
                begun += count
        return begun

    def keep_days(self) -> int:
        """What comes by stage, by day and by the clock; how many set out."""
        begun = 0
        for look in (entries.read_stages, entries.keep_dates, entries.keep_schedules):
            more = True
            while more and not self.stopping():
                with transaction(self.engine) as db:
                    count, more = look(self.work(db))
                begun += count
        with transaction(self.engine) as db:
            desk.settle_drained(self.work(db))
        return begun

    def take_on(self) -> int:
        """Take everybody who is due one step further or more, one transaction each; how many."""
        taken = 0
        while taken < MOST_A_RUN and not self.stopping():
            with reading(self.engine) as db:
                found = walk.due(db, self.clock())
            if not found:
                break
            taken += sum(self._take(one) for one in found if not self.stopping())
        return taken

    def _take(self, one: Due) -> bool:
        try:
            with transaction(self.engine) as db:
                walk.take(self.work(db), one, self.rules)
        except Exception as error:
            if is_away(error):
                raise
            log.exception("step %s of round %d failed", one.run_id, one.enrolment_id)
            with transaction(self.engine) as db:
                walk.failed(self.work(db), one, type(error).__name__)
        return True

    def cut_waves(self) -> int:
        """Make the tasks of the waves whose time has come; how many."""
        with reading(self.engine) as db:
            sources = waves.due(db, self.clock())
        tasks = 0
        for source in sources:
            more = True
            while more and not self.stopping():
                with transaction(self.engine) as db:
                    more = waves.cut(self.work(db), source, self.rules)
                tasks += more
        return tasks

    def settle(self) -> int:
        """Write down what became of what was said in 微信客服; how many."""
        with transaction(self.engine) as db:
            return waves.settle_kf(self.work(db))


def read_what_happened(hands: "Hands") -> str:
    """Let what people did end, wake and begin journeys."""
    lines, begun = _desk(hands, "read what happened").read()
    if lines:
        hands.ring()
    return f"lines about journeys: {lines}, set out: {begun}"


def look_into_segments(hands: "Hands") -> str:
    """Let whoever has come into a segment set out."""
    return f"set out: {_desk(hands, 'look into segments').look_into_segments()}"


def keep_days(hands: "Hands") -> str:
    """Let those set out whose day or stage has come."""
    return f"set out: {_desk(hands, 'keep days').keep_days()}"


def walk_journeys(hands: "Hands") -> str:
    """Take whoever is due further, make the tasks of the waves, note what became of what was said."""
    own = _desk(hands, "walk journeys")
    taken = own.take_on()
    tasks, settled = own.cut_waves(), own.settle()
    if taken or tasks:
        hands.ring()
    return f"steps taken: {taken}, tasks cut: {tasks}, messages settled: {settled}"


def _desk(hands: "Hands", cause: str) -> JourneyDesk:
    return JourneyDesk(hands.engine, hands.clock, hands.rules, partial(hands.work, cause=cause), hands.stopping)

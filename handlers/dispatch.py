"""Takes events out of the inbox and walks them along their route.

Before: ``storage.inbox`` (commit 1 has kept the event). Here: look, then one transaction with all effects, the outbox
rows and "done" (commit 2). After: ``scheduler.delivery``. A step that raises undoes everything; after the third try the
event is set aside for a person. The bug is ours; the event is not lost.

An arrival with a welcome code has an express lap before (``greet``): all that wait have their welcomes planned in one
transaction, and whoever planned them makes the calls.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from handlers.books import Books
from handlers.routes import GREET, ROUTES, Route
from storage import inbox
from storage.database import Clock, is_away, is_crossed, transaction
from storage.inbox import EVENTS, MAX_TRIES, WELCOME, Taken
from storage.outbox import Claimed
from storage.work import Work
from wecom.errors import Blocked, Refused, TryLater
from wecom.events import Event, read_event
from wecom.gateway import Gateway

log = logging.getLogger(__name__)

GREETED_AT_ONCE = 100
AWAY = timedelta(seconds=2)
"""How long an event waits at least when the database went away under it. That is no try of the event's own."""


class LostLease(Exception):
    """Somebody else holds the event by now: what we did about it must be undone."""


@dataclass
class Greeted:
    """What came of the express lap: how many arrivals there were, the calls to make now, and lanes to ring."""

    arrivals: int
    calls: list[Claimed] = field(default_factory=list)
    lanes: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Dispatcher:
    """Everything needed to handle an event."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    zone: ZoneInfo
    watch: Collection[str] = ()
    notice: str = ""
    home: str = ""

    def claim(self, lane: str, room: int) -> list[Taken]:
        """Take events that are due in this lane."""
        with transaction(self.engine) as db:
            return inbox.claim(db, lane, room, self.clock())

    def rescue(self) -> set[str]:
        """Free the events whose worker died; the lanes in which something waits now."""
        with transaction(self.engine) as db:
            return {f"inbox:{lane}" for lane in inbox.rescue(db, self.clock())}

    def greet(self, hands: int) -> Greeted:
        """Plan the welcomes of all arrivals that wait, up to a hundred; no more calls are given than there are hands.

        The others wait in the outbox: an arrival must not be held up by how long WeCom takes to answer.
        """
        taken = self.claim(WELCOME, GREETED_AT_ONCE)
        greeted = Greeted(len(taken))
        if taken:
            self._greet(taken, hands, greeted)
        return greeted

    def _greet(self, taken: Sequence[Taken], hands: int, greeted: Greeted) -> None:
        """The transaction is shared, the fate is not: when it fails, each arrival is tried alone."""
        try:
            self._plan(taken, hands, greeted)
        except Exception as error:  # noqa: BLE001  any bug of ours, see _failed
            if len(taken) > 1 and (is_crossed(error) or not is_away(error)):
                for one in taken:
                    self._greet([one], hands - len(greeted.calls), greeted)
            else:
                for one in taken:
                    self._failed(one, error)

    def _plan(self, taken: Sequence[Taken], hands: int, greeted: Greeted) -> None:
        """A welcome that cannot be planned must not cost the arrival: its last try hands the event on without it."""
        read = [(one, read_event(one.xml)) for one in taken if one.tries < MAX_TRIES]
        with transaction(self.engine) as db:
            work = self._work(db)
            events = [(event, one.extra_codes, replace(work, **_of(one))) for one, event in read]
            calls = GREET(events, work, hands)
            if not inbox.hand_on(db, taken, work.now):
                raise LostLease
        greeted.calls += calls
        greeted.lanes |= {*work.lanes, f"inbox:{EVENTS}"}

    def handle_one(self, taken: Taken) -> set[str]:
        """Handle one claimed event; the lanes of the outbox in which something waits now."""
        try:
            return self._handle(taken)
        except Exception as error:  # noqa: BLE001  any bug of ours, see _failed
            self._failed(taken, error)
        return set()

    def _failed(self, taken: Taken, error: Exception) -> None:
        """The event goes back, and after three tries to a person. To be called where ``error`` is caught."""
        if isinstance(error, LostLease):
            log.warning("event %d was taken over by another worker", taken.id)
        elif isinstance(error, Blocked):
            self._put_back(taken, str(error), wait=error.wait)
        elif isinstance(error, TryLater):
            log.warning("event %d (%s) has to wait at try %d: %s", taken.id, taken.name, taken.tries, error)
            self._put_back(taken, str(error))
        elif is_away(error):
            log.error("event %d has to wait, the database is away: %s", taken.id, type(error).__name__)
            self._put_back(taken, "the database was away", wait=AWAY)
        else:
            log.exception("event %d (%s) failed at try %d", taken.id, taken.name, taken.tries)
            self._put_back(taken, f"{type(error).__name__}: {_first_line(error)}")

    def _handle(self, taken: Taken) -> set[str]:
        event = read_event(taken.xml)
        route = ROUTES.get(type(event))
        if route is None:
            return self._finish(taken, "kept: no step follows this event")
        looked_at = self.clock()
        facts, note = self._look(taken, event, route)
        with transaction(self.engine) as db:
            work = self._work(db, looked_at=looked_at, **_of(taken))
            for step in route.steps:
                step(event, facts, work)
            if work.goes_on:
                self._go_on(work, taken)
            else:
                self._done(work, taken, f"done{note}")
        return work.lanes

    def _look(self, taken: Taken, event: Event, route: Route) -> tuple[Any, str]:
        """Read what the steps need. WeCom away for good must not hold the event: the last try goes on without."""
        if route.look is None and route.study is None:
            return None, ""
        try:
            if route.study is not None:
                return route.study(event, self.gateway, Books(self.engine, self.clock(), taken.received_at)), ""
            return route.look(event, self.gateway) if route.look else None, ""
        except Blocked:
            raise
        except Refused as error:
            return None, f", without a look at WeCom: {error}"
        except TryLater as error:
            if taken.tries < MAX_TRIES:
                raise
            return None, f", without a look at WeCom: {error}"

    def _work(self, db: Session, **of: Any) -> Work:
        now = self.clock()
        return Work(db, now, watch=self.watch, zone=self.zone, notice=self.notice, home=self.home, **of)

    def _finish(self, taken: Taken, outcome: str) -> set[str]:
        with transaction(self.engine) as db:
            self._done(self._work(db), taken, outcome)
        return set()

    def _go_on(self, work: Work, taken: Taken) -> None:
        """One portion is kept; the event stays open for the next."""
        if not inbox.go_on(work.db, taken, "a portion is kept, there is more", self.clock()):
            raise LostLease
        work.lanes.add(f"inbox:{EVENTS}")

    def _done(self, work: Work, taken: Taken, outcome: str) -> None:
        if not inbox.finish(work.db, taken, outcome, self.clock()):
            raise LostLease

    def _put_back(self, taken: Taken, why: str, *, wait: timedelta | None = None) -> None:
        try:
            with transaction(self.engine) as db:
                inbox.postpone(db, taken, why, self.clock(), wait=wait)
        except SQLAlchemyError as error:
            log.error("event %d is left to its lease: %s", taken.id, type(error).__name__)


def _of(taken: Taken) -> dict[str, Any]:
    """What work about this event knows of it."""
    return {"cause": taken.cause, "inbox_id": taken.id, "received_at": taken.received_at}


def _first_line(error: Exception) -> str:
    """Enough to see what happened, without what somebody wrote in a chat."""
    return str(error).partition("\n")[0][:200]

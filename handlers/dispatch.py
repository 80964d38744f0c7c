"""Takes events out of the inbox and walks them along their route.

Before: ``storage.inbox`` (commit 1 has kept the event). Here: look, then one transaction with all effects, the outbox
rows and "done" (commit 2). After: ``scheduler.delivery``. A step that raises undoes everything; after the third try the
event is set aside for a person. The bug is ours; the event is not lost.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from handlers.routes import ROUTES, Route
from storage import inbox
from storage.database import Clock, is_away, transaction
from storage.inbox import EVENTS, MAX_TRIES, WELCOME, Taken
from storage.work import Work
from wecom.errors import Blocked, Refused, TryLater
from wecom.events import Event, read_event
from wecom.gateway import Gateway

log = logging.getLogger(__name__)

AWAY = timedelta(seconds=2)
"""How long an event waits at least when the database went away under it. That is no try of the event's own."""


class LostLease(Exception):
    """Somebody else holds the event by now: what we did about it must be undone."""


@dataclass(frozen=True)
class Dispatcher:
    """Everything needed to handle an event."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    zone: ZoneInfo
    watch: Collection[str] = ()

    def claim(self, lane: str, room: int) -> list[Taken]:
        """Take events that are due in this lane."""
        with transaction(self.engine) as db:
            return inbox.claim(db, lane, room, self.clock())

    def rescue(self) -> set[str]:
        """Free the events whose worker died; the lanes in which something waits now."""
        with transaction(self.engine) as db:
            return {f"inbox:{lane}" for lane in inbox.rescue(db, self.clock())}

    def handle_one(self, taken: Taken) -> set[str]:
        """Handle one claimed event; the lanes of the outbox in which something waits now."""
        try:
            return self._handle(taken)
        except LostLease:
            log.warning("event %d was taken over by another worker", taken.id)
        except Blocked as error:
            self._put_back(taken, str(error), wait=error.wait)
        except Exception as error:  # any bug of ours: the event goes back, and after three tries to a person
            if isinstance(error, TryLater):
                log.warning("event %d (%s) has to wait at try %d: %s", taken.id, taken.name, taken.tries, error)
                self._put_back(taken, str(error))
            elif is_away(error):
                log.error("event %d has to wait, the database is away: %s", taken.id, type(error).__name__)
                self._put_back(taken, "the database was away", wait=AWAY)
            else:
                log.exception("event %d (%s) failed at try %d", taken.id, taken.name, taken.tries)
                self._put_back(taken, f"{type(error).__name__}: {_first_line(error)}")
        return set()

    def _handle(self, taken: Taken) -> set[str]:
        event = read_event(taken.xml)
        route = ROUTES.get(type(event))
        if route is None:
            return self._finish(taken, "kept: no step follows this event")
        if taken.lane == WELCOME and route.welcome is not None:
            return self._greet(taken, event, route)
        facts, note = self._look(taken, event, route)
        with transaction(self.engine) as db:
            work = self._work(db, taken)
            for step in route.steps:
                step(event, facts, work)
            self._done(work, taken, f"done{note}")
        return work.lanes

    def _greet(self, taken: Taken, event: Event, route: Route) -> set[str]:
        """The express lap: ask for the welcome, then hand the event to the ordinary lane.

        A welcome that cannot be planned must not cost the arrival: the last try hands the event on without it.
        """
        with transaction(self.engine) as db:
            work = self._work(db, taken)
            if route.welcome is not None and taken.tries < MAX_TRIES:
                route.welcome(event, taken.extra_codes, work)
            self._done(work, taken, "welcome asked for", next_lane=EVENTS)
        return {*work.lanes, f"inbox:{EVENTS}"}

    def _look(self, taken: Taken, event: Event, route: Route) -> tuple[Any, str]:
        """Read what the steps need. WeCom away for good must not hold the event: the last try goes on without."""
        if route.look is None:
            return None, ""
        try:
            return route.look(event, self.gateway), ""
        except Blocked:
            raise
        except Refused as error:
            return None, f", without a look at WeCom: {error}"
        except TryLater as error:
            if taken.tries < MAX_TRIES:
                raise
            return None, f", without a look at WeCom: {error}"

    def _work(self, db: Any, taken: Taken) -> Work:
        return Work(
            db,
            self.clock(),
            cause=f"event {taken.id} {taken.name}",
            inbox_id=taken.id,
            received_at=taken.received_at,
            watch=self.watch,
            zone=self.zone,
        )

    def _finish(self, taken: Taken, outcome: str) -> set[str]:
        with transaction(self.engine) as db:
            self._done(self._work(db, taken), taken, outcome)
        return set()

    def _done(self, work: Work, taken: Taken, outcome: str, *, next_lane: str | None = None) -> None:
        if not inbox.finish(work.db, taken, outcome, self.clock(), next_lane=next_lane):
            raise LostLease

    def _put_back(self, taken: Taken, why: str, *, wait: timedelta | None = None) -> None:
        with transaction(self.engine) as db:
            inbox.postpone(db, taken, why, self.clock(), wait=wait)


def _first_line(error: Exception) -> str:
    """Enough to see what happened, without what somebody wrote in a chat."""
    return str(error).partition("\n")[0][:200]

"""The inbox: every callback is one row here before WeCom hears that we have it.

Before: ``bot.callback`` (through ``Intake``). After: ``handlers.dispatch`` claims rows, oldest first, never two of
one key at a time. A claim is a lease with a fence: who dies is replaced, who wakes up late cannot write.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session, aliased

from storage.database import changed_rows, insert_new, is_away, one_of, transaction
from storage.health import Health, count
from storage.tables import InboxRow

MAX_TRIES = 3
LEASE = timedelta(seconds=30)
WELCOME_LEASE = timedelta(seconds=6)
"""The express lap makes no call, and who waits for it has twenty seconds."""
BACKOFF = (timedelta(seconds=1), timedelta(seconds=5))
WELCOME, EVENTS = "welcome", "events"
OPEN_STATES = ("waiting", "taken")


@dataclass(frozen=True)
class Arriving:
    """A callback on its way into the inbox; times are aware and in UTC."""

    identity: str
    name: str
    key: str
    lane: str
    xml: str = field(repr=False)
    event_at: datetime
    welcome_code: str | None = field(default=None, repr=False)

    def row(self, at: datetime) -> dict[str, Any]:
        """The columns of the row that keeps it."""
        return {
            "identity": self.identity,
            "name": self.name,
            "key": self.key,
            "lane": self.lane,
            "xml": self.xml,
            "event_at": self.event_at,
            "received_at": at,
            "due_at": at,
            "state": "waiting",
            "tries": 0,
            "fence": 0,
            "extra_codes": [],
        }


@dataclass(frozen=True)
class Taken:
    """A claimed row: enough to work on it without a transaction, and the fence that guards its end."""

    id: int
    fence: int
    tries: int
    name: str
    lane: str
    xml: str = field(repr=False)
    extra_codes: tuple[str, ...] = field(repr=False)
    received_at: datetime


def accept(db: Session, events: Sequence[Arriving], at: datetime) -> int:
    """Keep each event unless we already have it; how many were new.

    The same arrival through a second receiver has the same identity and perhaps another welcome code:
    then only that code is added, as one more to try.
    """
    first: dict[str, Arriving] = {}
    for one in events:
        first.setdefault(one.identity, one)
    new = insert_new(db, InboxRow, [one.row(at) for one in first.values()], ["identity"])
    if len(new) < len(events):
        _add_codes(db, [one for one in events if one.welcome_code])
    return len(new)


def _add_codes(db: Session, events: Sequence[Arriving]) -> None:
    for one in events:
        row = db.scalar(select(InboxRow).where(InboxRow.identity == one.identity).with_for_update())
        assert row is not None  # noqa: S101  # accept has just made sure of it  # nosec B101
        if one.welcome_code and one.welcome_code not in row.xml and one.welcome_code not in row.extra_codes:
            row.extra_codes = [*row.extra_codes, one.welcome_code]
            row.lane, row.due_at = WELCOME, row.received_at
            if row.state == "done":
                row.state, row.tries = "waiting", 0


class Intake:
    """Keeps events durably and quickly: whoever comes while a commit runs shares the next one.

    ``accept`` returns only when the event is on disk and raises what the database raised otherwise, so that the
    callback can answer 5xx and WeCom sends again. The commit is shared, the fate is not: when a batch fails,
    each event is tried alone.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._waiting: list[_Slip] = []
        self._pile = threading.Lock()
        self._desk = threading.Lock()

    def accept(self, event: Arriving) -> None:
        """Return when ``event`` is kept; raise when it could not be."""
        slip = _Slip(event)
        with self._pile:
            self._waiting.append(slip)
        with self._desk:
            if not slip.settled:
                self._keep_all()
        if slip.error is not None:
            raise slip.error

    def _keep_all(self) -> None:
        slips = self._take_pile()
        try:
            self._keep([slip.event for slip in slips])
        except DataError:
            for slip in slips:
                self._keep_alone(slip)
        except Exception as error:  # noqa: BLE001  handed to every waiting request, which answers 5xx
            if is_away(error):
                slips += self._take_pile()  # who came meanwhile has waited for the same
            for slip in slips:
                slip.error = error
        for slip in slips:
            slip.settled = True

    def _take_pile(self) -> "list[_Slip]":
        with self._pile:
            slips, self._waiting = self._waiting, []
        return slips

    def _keep_alone(self, slip: "_Slip") -> None:
        try:
            self._keep([slip.event])
        except Exception as error:  # noqa: BLE001  as above
            slip.error = error

    def _keep(self, events: Sequence[Arriving]) -> None:
        with transaction(self._engine) as db:
            accept(db, events, self._clock())


@dataclass
class _Slip:
    event: Arriving
    settled: bool = False
    error: Exception | None = None


def claim(db: Session, lane: str, room: int, now: datetime) -> list[Taken]:
    """Take up to ``room`` rows that are due; of one key only the oldest open one, and only if nobody has it.

    Two statements, since PostgreSQL may look into a LIMIT below an UPDATE once for each row, and take them all.

    The welcome lane waits for other welcomes of its customer only: its code dies in seconds. For the same reason it
    does not wait for the timetable to free what a dead worker held.
    """
    if lane == WELCOME:
        rescue(db, now, lane)
    older = aliased(InboxRow)
    waiting = select(InboxRow.id).where(
        one_of(InboxRow.state.expression, OPEN_STATES),
        InboxRow.lane == lane,
        InboxRow.state == "waiting",
        InboxRow.due_at <= now,
    )
    ahead = select(older.id).where(
        older.key == InboxRow.key, older.id < InboxRow.id, one_of(older.state.expression, OPEN_STATES)
    )
    waiting = waiting.where(~(ahead.where(older.lane == WELCOME) if lane == WELCOME else ahead).exists())
    due = db.scalars(waiting.order_by(InboxRow.id).limit(room).with_for_update(skip_locked=True)).all()
    if not due:
        return []
    taken = db.execute(
        update(InboxRow)
        .where(InboxRow.id.in_(due), InboxRow.state == "waiting")
        .values(state="taken", lease_until=now + _lease(lane), fence=InboxRow.fence + 1, tries=InboxRow.tries + 1)
        .returning(
            InboxRow.id,
            InboxRow.fence,
            InboxRow.tries,
            InboxRow.name,
            InboxRow.lane,
            InboxRow.xml,
            InboxRow.extra_codes,
            InboxRow.received_at,
        )
    )
    found = [
        Taken(row_id, fence, tries, name, lane, xml, tuple(codes), received)
        for row_id, fence, tries, name, lane, xml, codes, received in taken
    ]
    return sorted(found, key=lambda one: one.id)


def _lease(lane: str) -> timedelta:
    return WELCOME_LEASE if lane == WELCOME else LEASE


def finish(db: Session, taken: Taken, outcome: str, now: datetime, *, next_lane: str | None = None) -> bool:
    """Mark the row done (or hand it to ``next_lane``) in the transaction that holds its effects.

    A welcome code that came in meanwhile sends it round once more.
    False means that the lease was lost and somebody else has it: the caller must undo everything.
    """
    values: dict[str, Any] = {"state": "done", "done_at": now, "outcome": outcome, "lease_until": None}
    if next_lane is not None:
        values = {"state": "waiting", "lane": next_lane, "tries": 0, "due_at": now, "lease_until": None}
    if not _settle(db, taken, values):
        return False
    codes = db.scalars(select(InboxRow.extra_codes).where(InboxRow.id == taken.id)).one()
    if len(codes) > len(taken.extra_codes):
        again = {"state": "waiting", "lane": WELCOME, "tries": 0, "due_at": now, "done_at": None}
        db.execute(update(InboxRow).where(InboxRow.id == taken.id).values(**again))
    return True


def postpone(db: Session, taken: Taken, why: str, now: datetime, *, wait: timedelta | None = None) -> None:
    """Put the row back after a failure, for a while; after the third try set it aside for a person.

    With ``wait`` the failure was not the event's: it does not count.
    """
    if wait is not None:
        values: dict[str, Any] = {"state": "waiting", "due_at": now + wait, "tries": taken.tries - 1}
    elif taken.tries >= MAX_TRIES:
        values = {"state": "aside", "done_at": now}
    else:
        values = {"state": "waiting", "due_at": now + BACKOFF[taken.tries - 1]}
    _settle(db, taken, {**values, "outcome": why, "lease_until": None})


def _settle(db: Session, taken: Taken, values: dict[str, Any]) -> bool:
    mine = (InboxRow.id == taken.id, InboxRow.fence == taken.fence, InboxRow.state == "taken")
    return changed_rows(db, update(InboxRow).where(*mine).values(**values)) == 1


def rescue(db: Session, now: datetime, lane: str | None = None) -> int:
    """Free the rows (of one lane) whose worker died; who has used up the tries is set aside. How many there were."""
    taken = (one_of(InboxRow.state.expression, OPEN_STATES), InboxRow.state == "taken")
    lost = [*taken, InboxRow.lease_until < now] + ([InboxRow.lane == lane] if lane else [])
    why = "the worker stopped in the middle of it"
    tired = update(InboxRow).where(*lost, InboxRow.tries >= MAX_TRIES)
    aside = changed_rows(db, tired.values(state="aside", outcome=why, done_at=now, lease_until=None))
    freed = changed_rows(db, update(InboxRow).where(*lost).values(state="waiting", outcome=why, lease_until=None))
    return aside + freed


def replay(db: Session, ids: Sequence[int] | None, now: datetime) -> int:
    """Run set-aside events again: those named, or all. How many there were."""
    which = [InboxRow.state == "aside"] + ([] if ids is None else [InboxRow.id.in_(ids)])
    again = {"state": "waiting", "tries": 0, "due_at": now, "lane": EVENTS, "done_at": None}
    return changed_rows(db, update(InboxRow).where(*which).values(**again))


def health(db: Session) -> Health:
    """Count the rows by state, and find the oldest that is still open."""
    return count(db, InboxRow.state, InboxRow.received_at, OPEN_STATES)

"""The inbox: every callback is one row here before WeCom hears that we have it.

Before: ``bot.callback`` (through ``Intake``). After: ``handlers.dispatch`` claims rows, oldest first, never two of
one key at a time. A claim is a lease with a fence: who dies is replaced, who wakes up late cannot write.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    Select,
    Table,
    bindparam,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from storage.database import Clock, changed_rows, one_of, reading, transaction
from storage.health import Health, count
from storage.rows import BareInsert, insert_new
from storage.tables import InboxRow
from storage.together import Together

MAX_TRIES = 3
LEASE = timedelta(seconds=30)
WELCOME_LEASE = timedelta(seconds=6)
"""The express lap makes no call, and who waits for it has twenty seconds."""
JUST_NOW = timedelta(seconds=5)
"""Whose welcome has waited longer is not helped by holding everybody else up."""
BACKOFF = (timedelta(seconds=1), timedelta(seconds=5))
WELCOME, EVENTS = "welcome", "events"
OPEN_STATES = ("waiting", "taken")
inbox = cast(Table, InboxRow.__table__)


TOLD = ("identity", "name", "key", "lane", "xml", "event_at", "received_at", "due_at")
AT_FIRST = {"state": "waiting", "tries": 0, "fence": 0, "extra_codes": []}
"""How every row begins, beside what the event told."""


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
    settles: timedelta = timedelta(0)
    """It is looked at so long after it came: WeCom's API must be able to tell the same."""

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
            "due_at": at + self.settles,
            **AT_FIRST,
        }


@dataclass(frozen=True)
class Taken:
    """A claimed row: enough to work on it without a transaction, and the fence that guards its end."""

    id: int
    fence: int
    tries: int
    name: str
    xml: str = field(repr=False)
    extra_codes: tuple[str, ...] = field(repr=False)
    received_at: datetime

    @property
    def cause(self) -> str:
        """What work about it says of its cause."""
        return f"event {self.id} {self.name}"


def unknown_codes(db: Session, events: Sequence[Arriving]) -> list[Arriving]:
    """The repeated events that bring a welcome code we do not have yet."""
    told = {one.identity: one for one in events if one.welcome_code}
    rows = db.execute(select(inbox.c.identity, inbox.c.xml, inbox.c.extra_codes).where(inbox.c.identity.in_(told)))
    known = {identity: (xml, codes) for identity, xml, codes in rows}
    return [one for one in events if one.welcome_code and not _has_code(one.welcome_code, *known[one.identity])]


def add_code(db: Session, event: Arriving) -> None:
    """Add the welcome code of a repeated event to the row we have; one row a transaction, so that nobody is crossed.

    The same arrival through a second receiver has the same identity and perhaps another code: one more to try.
    """
    row = db.scalars(select(InboxRow).where(InboxRow.identity == event.identity).with_for_update()).one()
    code = event.welcome_code or ""
    if not _has_code(code, row.xml, row.extra_codes):
        row.extra_codes = [*row.extra_codes, code]
        row.lane, row.due_at = WELCOME, row.received_at
        if row.state == "done":
            row.state, row.tries = "waiting", 0


def _has_code(code: str, xml: str, more: Sequence[str]) -> bool:
    return code in xml or code in more


GATHER_SECONDS = 0.001


class Intake:
    """Keeps events durably and quickly, together with whatever comes meanwhile.

    ``accept`` returns only when the event is on disk and raises what the database raised otherwise, so that the
    callback can answer 5xx and WeCom sends again. ``ring`` is called for each lane in which something was left.
    """

    def __init__(self, front: Engine, engine: Engine, clock: Clock, ring: Callable[[str], None]) -> None:
        self._front, self._engine, self._clock, self._ring = front, engine, clock, ring
        self._insert = BareInsert(
            front.dialect, InboxRow, TOLD, ["identity"], {name: f"'{value}'" for name, value in AT_FIRST.items()}
        )
        self._line: Connection | None = None
        self._desk = Together(self._keep, GATHER_SECONDS)

    def accept(self, event: Arriving) -> None:
        """Return when ``event`` is kept; raise when it could not be."""
        self._desk.add(event)

    def close(self) -> None:
        """Let go of the database."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _keep(self, events: Sequence[Arriving]) -> None:
        now = self._clock()
        rows = {one.identity: one.row(now) for one in reversed(events)}
        if self._keep_rows([rows[one] for one in sorted(rows)]) < len(events):
            self._add_codes(events)
        for lane in {one.lane for one in events}:
            self._ring(lane)

    def _add_codes(self, events: Sequence[Arriving]) -> None:
        with reading(self._engine) as db:
            more = unknown_codes(db, events)
        for one in more:
            with transaction(self._engine) as db:
                add_code(db, one)

    def _keep_rows(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """How many were new. They come in one order from every process: two that bring the same must not cross.

        Over a line that stays ours, since fetching one and bringing it back takes as long as the statement. A line that
        died while it rested is dialled again: the statement may be repeated.
        """
        rested = self._line is not None
        line = self._line = self._line or self._front.connect()
        try:
            new = self._insert.run(line, rows)
            line.commit()
        except BaseException as error:
            self.close()
            if rested and isinstance(error, DBAPIError) and error.connection_invalidated:
                return self._keep_rows(rows)
            raise
        return new


def claim(db: Session, lane: str, room: int, now: datetime) -> list[Taken]:
    """Take up to ``room`` rows that are due; of one key only the oldest open one, and only if nobody has it.

    Looking and taking are two statements, since PostgreSQL may look into a LIMIT below an UPDATE once for each row, and
    take them all.

    The welcome lane waits for other welcomes of its customer only, and not for one that was put off: its code dies in
    seconds. While a welcome waits that came just now, the other lane takes nothing new.
    """
    if lane != WELCOME and db.scalar(_urgent(), {"now": now, "just": now - JUST_NOW}):
        return []
    due = db.scalars(_due(express=lane == WELCOME), {"of": lane, "now": now, "room": room}).all()
    if not due:
        return []
    taken = db.execute(_take(), {"due": due, "until": now + _lease(lane)})
    found = [Taken(**{**row._mapping, "extra_codes": tuple(row.extra_codes)}) for row in taken]
    return sorted(found, key=lambda one: one.id)


@cache
def _due(*, express: bool) -> Select[int]:
    """Built once, as the others here: building costs more than asking."""
    older = inbox.alias()
    ahead = [older.c.key == inbox.c.key, older.c.id < inbox.c.id, one_of(older.c.state, OPEN_STATES)]
    if express:
        ahead += [older.c.lane == WELCOME, or_(older.c.state == "taken", older.c.due_at <= bindparam("now"))]
    return (
        select(inbox.c.id)
        .where(
            one_of(inbox.c.state, OPEN_STATES),
            inbox.c.lane == bindparam("of"),
            inbox.c.state == "waiting",
            inbox.c.due_at <= bindparam("now"),
            ~select(older.c.id).where(*ahead).exists(),
        )
        .order_by(inbox.c.id)
        .limit(bindparam("room"))
        .with_for_update(skip_locked=True)
    )


@cache
def _urgent() -> Select[int]:
    """A welcome that waits, and came just now. A question of its own: SQLite would answer it for each row."""
    waits = (one_of(inbox.c.state, OPEN_STATES), inbox.c.lane == WELCOME, inbox.c.state == "waiting")
    lately = inbox.c.due_at.between(bindparam("just"), bindparam("now"))
    return select(inbox.c.id).where(*waits, lately).order_by(inbox.c.id).limit(1)  # in the order of the lane's index


@cache
def _take() -> Executable:
    taken = update(inbox).where(inbox.c.id.in_(bindparam("due", expanding=True)))  # locked since we looked
    taken = taken.values(
        state="taken", lease_until=bindparam("until"), fence=inbox.c.fence + 1, tries=inbox.c.tries + 1
    )
    return taken.returning(*(inbox.c[one.name] for one in fields(Taken)))


def _lease(lane: str) -> timedelta:
    return WELCOME_LEASE if lane == WELCOME else LEASE


def finish(db: Session, taken: Taken, outcome: str, now: datetime) -> bool:
    """Mark the row done in the transaction that holds its effects.

    A welcome code that came in meanwhile sends it round once more.
    False means that the lease was lost and somebody else has it: the caller must undo everything.
    """
    asked = {"mine": taken.id, "held": taken.fence, "at": now, "said": outcome}
    codes = db.scalars(_finish(), asked).one_or_none()
    if codes is None:
        return False
    if len(codes) > len(taken.extra_codes):
        _greet_again(db, [taken.id], now)
    return True


@cache
def _finish() -> Executable:
    """The row's welcome codes come back: one may have been added while we worked."""
    done: dict[str, Any] = {
        "state": "done",
        "done_at": bindparam("at"),
        "outcome": bindparam("said"),
        "lease_until": None,
    }
    mine = (inbox.c.id == bindparam("mine"), inbox.c.fence == bindparam("held"), inbox.c.state == "taken")
    return update(inbox).where(*mine).values(**done).returning(inbox.c.extra_codes)


def hand_on(db: Session, taken: Sequence[Taken], now: datetime) -> bool:
    """Send arrivals whose welcome is planned on to the ordinary lane. False when one of them is somebody else's by now.

    A welcome code that came in meanwhile sends its arrival round once more first.
    """
    mine = {one.id: one for one in taken}
    rows = db.execute(_held(), {"mine": list(mine)}).all()
    if len(rows) < len(mine) or any(state != "taken" or fence != mine[one].fence for one, fence, state, _ in rows):
        return False
    db.execute(_hand_on(), {"mine": list(mine), "at": now})
    _greet_again(db, [one for one, _, _, codes in rows if len(codes) > len(mine[one].extra_codes)], now)
    return True


@cache
def _held() -> Select[Any]:
    """Lock them one after the other, as everybody does who locks several."""
    among = inbox.c.id.in_(bindparam("mine", expanding=True))
    asked = select(inbox.c.id, inbox.c.fence, inbox.c.state, inbox.c.extra_codes).where(among)
    return asked.order_by(inbox.c.id).with_for_update()


@cache
def _hand_on() -> Executable:
    on = {"state": "waiting", "lane": EVENTS, "tries": 0, "due_at": bindparam("at"), "lease_until": None}
    return update(inbox).where(inbox.c.id.in_(bindparam("mine", expanding=True))).values(**on)


def _greet_again(db: Session, ids: Sequence[int], now: datetime) -> None:
    if ids:
        again = {"state": "waiting", "lane": WELCOME, "tries": 0, "due_at": now, "done_at": None}
        db.execute(update(inbox).where(inbox.c.id.in_(ids)).values(**again))


def go_on(db: Session, taken: Taken, outcome: str, now: datetime) -> bool:
    """Keep the row open for its next portion, due at once; a portion that was kept costs no try.

    To be called in the transaction that holds this portion's effects. False when the lease was lost, as in ``finish``.
    """
    next_turn = {"state": "waiting", "due_at": now, "tries": 0, "outcome": outcome, "lease_until": None}
    return _settle(db, taken, next_turn)


def wake(db: Session, event: Arriving, now: datetime) -> bool:
    """Have an event of our own making handled now: a row that is used again and again. False while it is still open."""
    if insert_new(db, InboxRow, [event.row(now)], ["identity"]):
        return True
    rests = (InboxRow.identity == event.identity, InboxRow.state.not_in(OPEN_STATES))
    again = {"state": "waiting", "tries": 0, "due_at": now, "received_at": now, "lane": event.lane, "done_at": None}
    return changed_rows(db, update(InboxRow).where(*rests).values(**again)) == 1


def keep_only(db: Session, event: Arriving, outcome: str, now: datetime) -> None:
    """Keep something that came in and that no step follows, so that it can be looked at."""
    insert_new(db, InboxRow, [{**event.row(now), "state": "done", "done_at": now, "outcome": outcome}], ["identity"])


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


def rescue(db: Session, now: datetime) -> set[str]:
    """Free the rows whose worker died, and set those aside that have used up their tries; the lanes to look into.

    Who is just ending one, late but alive, is not waited for.
    """
    found = select(inbox.c.id).where(one_of(inbox.c.state, OPEN_STATES), inbox.c.state == "taken")
    found = found.where(inbox.c.lease_until < now).order_by(inbox.c.id).with_for_update(skip_locked=True)
    lost = inbox.c.id.in_(db.scalars(found).all())
    why = "the worker stopped in the middle of it"
    tired = update(inbox).where(lost, inbox.c.tries >= MAX_TRIES)
    db.execute(tired.values(state="aside", outcome=why, done_at=now, lease_until=None))
    freed = update(inbox).where(lost, inbox.c.tries < MAX_TRIES)
    return set(db.scalars(freed.values(state="waiting", outcome=why, lease_until=None).returning(inbox.c.lane)))


def replay(db: Session, ids: Sequence[int] | None, now: datetime) -> int:
    """Run set-aside events again: those named, or all. How many there were."""
    which = [InboxRow.state == "aside"] + ([] if ids is None else [InboxRow.id.in_(ids)])
    again = {"state": "waiting", "tries": 0, "due_at": now, "lane": EVENTS, "done_at": None}
    return changed_rows(db, update(InboxRow).where(*which).values(**again))


def open_keys(db: Session, keys: Collection[str]) -> set[str]:
    """Which of these keys have events that still wait or are being handled."""
    among = (one_of(inbox.c.state, OPEN_STATES), inbox.c.key.in_(keys))
    return set(db.scalars(select(inbox.c.key).where(*among)))


def forget_old(db: Session, before: datetime, most: int) -> int:
    """Remove up to ``most`` events that were done before this moment; those set aside stay. How many there were."""
    over = (inbox.c.state == "done", inbox.c.received_at < before, inbox.c.done_at < before)
    return changed_rows(db, delete(inbox).where(inbox.c.id.in_(select(inbox.c.id).where(*over).limit(most))))


def health(db: Session) -> Health:
    """Count the rows by state, and find the oldest that is still open."""
    return count(db, InboxRow.state, InboxRow.received_at, OPEN_STATES)

"""The outbox: what we want WeCom to do is a row here, written in the transaction that wanted it.

Before: ``Work.ask``. After: ``scheduler.delivery`` claims a row, makes the one call and settles it. A call that may be
repeated goes back to waiting when its sender died; a message to a customer never does: it is held for a person.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar, Protocol, cast

from sqlalchemy import BindParameter, Executable, Select, Table, and_, bindparam, delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from storage.database import changed_rows, one_of
from storage.health import Health, count
from storage.inbox import JUST_NOW
from storage.rows import insert_new, insert_new_rows
from storage.tables import Gate, OutboxRow

LEASE = timedelta(seconds=30)
WELCOME_LEASE = timedelta(seconds=6)
OPEN_STATES = ("waiting", "sending")
outbox = cast(Table, OutboxRow.__table__)
UNCLEAR = "unclear: "
"""Begins the words of a call that may have been carried out; it stays, whatever the later tries bring."""
STOPPED = f"{UNCLEAR}the sender stopped in the middle of it"
MAX_STOPS = 12
"""Whose sender stopped so often is held: the call itself may be what stops it."""
WELCOME = "welcome"
AT_ONCE = {"tags": 5}
"""WeCom answers 45033 when more than five mark_tag calls of one corp run at a time."""
FINAL_STATES = ("done", "refused", "held", "late", "dropped", "watched")


class Command(Protocol):
    """What the outbox must know of a command: a name and a body, and how careful to be with it."""

    name: ClassVar[str]
    api: ClassVar[str]
    lane: ClassVar[str]
    harmless: ClassVar[bool]
    sender: ClassVar[str]

    def body(self) -> dict[str, Any]:
        """The command as plain JSON."""


@dataclass(frozen=True)
class Claimed:
    """A row marked "sending", to be carried out by whoever holds its fence."""

    id: int
    fence: int
    tries: int
    name: str
    body: dict[str, Any]
    api: str
    harmless: bool
    asked_at: datetime
    before: datetime | None
    key: str
    once: str
    outcome: str | None = None
    """What became of the try before, in words."""


@dataclass(frozen=True)
class Outcome:
    """What became of a call: a final state, or waiting again until ``due_at``."""

    state: str
    words: str = ""
    errcode: int | None = None
    due_at: datetime | None = None


@dataclass(frozen=True)
class Wish:
    """A call somebody wants made."""

    command: Command
    once: str
    """Why there can be only one: the same is planned but once."""
    key: str
    """Calls of one key leave one after the other."""
    before: datetime | None = None
    """The last moment at which it may leave."""
    cause: str = ""
    """What made us ask, in words."""

    def row(self, now: datetime) -> dict[str, Any]:
        """The columns of the row that keeps it."""
        return {
            "once": self.once,
            "name": self.command.name,
            "body": self.command.body(),
            "key": self.key,
            "lane": self.command.lane,
            "api": self.command.api,
            "harmless": self.command.harmless,
            "state": "waiting",
            "tries": 0,
            "fence": 0,
            "asked_at": now,
            "due_at": now,
            "before": self.before,
            "lease_until": None,
            "settled_at": None,
            "cause": self.cause,
        }


def ask(db: Session, wish: Wish, now: datetime, *, watched: bool = False) -> bool:
    """Plan a call; False when the same is planned already. A ``watched`` call is only shown."""
    row = wish.row(now)
    if watched:
        row |= {"state": "watched", "settled_at": now}
    return bool(insert_new(db, OutboxRow, [row], ["once"]))


def ask_many(db: Session, wishes: Sequence[Wish], now: datetime, *, watched: bool = False) -> int:
    """Plan several calls in one statement; how many were not planned already."""
    shown = {"state": "watched", "settled_at": now} if watched else {}
    return len(insert_new(db, OutboxRow, [{**one.row(now), **shown} for one in wishes], ["once"]))


def ask_and_take(db: Session, wishes: Sequence[Wish], now: datetime) -> list[Claimed]:
    """Plan calls of new keys and take them in one: whoever plans them makes them, nobody has to look for them.

    What is planned already is left to whoever takes it. The lease and the fence are those of any claim.
    """
    taken = {"state": "sending", "fence": 1, "tries": 1}
    rows = [{**one.row(now), **taken, "lease_until": now + _lease(one.command.lane)} for one in wishes]
    found = insert_new_rows(db, OutboxRow, rows, ["once"], [one.name for one in fields(Claimed)])
    return sorted((Claimed(**row._mapping) for row in found), key=lambda one: one.id)


def next_turn(db: Session, stem: str, *, watched: bool = False) -> str | None:
    """A fresh ``once`` for a call that may be needed again after it ended; None while one is under way.

    (``watched``: while its sender is only watched, having shown it once is enough.)
    """
    earlier = list(db.scalars(select(OutboxRow.state).where(OutboxRow.once.startswith(f"{stem}:", autoescape=True))))
    if any(state in OPEN_STATES or (watched and state == "watched") for state in earlier):
        return None
    return f"{stem}:{len(earlier) + 1}"


def claim(db: Session, lane: str, room: int, now: datetime) -> list[Claimed]:
    """Take up to ``room`` calls that are due: in order within a key, none to a blocked API, few at once.

    In several statements, and giving way to welcomes, for the same reasons as ``inbox.claim``.
    """
    if lane != WELCOME and db.scalar(_urgent(), {"now": now, "just": now - JUST_NOW}):
        return []
    room = min(room, _room_in(db, lane, room))
    if room <= 0:
        return []
    due = db.scalars(_due(), {"of": lane, "now": now, "room": room}).all()
    if not due:
        return []
    taken = db.execute(_take(), {"due": due, "until": now + _lease(lane)})
    return sorted((Claimed(*row) for row in taken), key=lambda one: one.id)


@cache
def _due() -> Select[int]:
    """Built once, as the others here: building costs more than asking."""
    older, gate = outbox.alias(), cast(Table, Gate.__table__)
    now: BindParameter[datetime] = bindparam("now")
    ahead = (older.c.key == outbox.c.key, older.c.id < outbox.c.id, one_of(older.c.state, OPEN_STATES))
    return (
        select(outbox.c.id)
        .where(
            one_of(outbox.c.state, OPEN_STATES),
            outbox.c.lane == bindparam("of"),
            outbox.c.state == "waiting",
            outbox.c.due_at <= now,
            ~select(gate.c.api).where(gate.c.api == outbox.c.api, gate.c.blocked_until > now).exists(),
            ~select(older.c.id).where(*ahead).exists(),
        )
        .order_by(outbox.c.id)
        .limit(bindparam("room"))
        .with_for_update(skip_locked=True, of=outbox)
    )


@cache
def _urgent() -> Select[int]:
    waits = (one_of(outbox.c.state, OPEN_STATES), outbox.c.lane == WELCOME, outbox.c.state == "waiting")
    lately = outbox.c.due_at.between(bindparam("just"), bindparam("now"))
    return select(outbox.c.id).where(*waits, lately).order_by(outbox.c.id).limit(1)  # in the order of the lane's index


@cache
def _take() -> Executable:
    taken = update(outbox).where(outbox.c.id.in_(bindparam("due", expanding=True)))  # locked since we looked
    taken = taken.values(
        state="sending", lease_until=bindparam("until"), fence=outbox.c.fence + 1, tries=outbox.c.tries + 1
    )
    return taken.returning(*(outbox.c[one.name] for one in fields(Claimed)))


def _room_in(db: Session, lane: str, room: int) -> int:
    """How many more of this lane may be under way, over all processes; the gate's row keeps them from miscounting."""
    if lane not in AT_ONCE:
        return room
    name = f"lane:{lane}"
    while db.scalar(select(Gate.api).where(Gate.api == name).with_for_update()) is None:
        insert_new(db, Gate, [{"api": name, "used": 0}], ["api"], returning="api")
    open_here = (one_of(outbox.c.state, OPEN_STATES), outbox.c.lane == lane)
    under_way = select(func.count()).where(*open_here, outbox.c.state == "sending")
    return AT_ONCE[lane] - db.scalars(under_way).one()


def _lease(lane: str) -> timedelta:
    return WELCOME_LEASE if lane == WELCOME else LEASE


def settle(db: Session, ended: Sequence[tuple[Claimed, Outcome]], now: datetime) -> set[tuple[int, int]]:
    """Write down what became of calls; id and fence of those that were still ours to settle."""
    alike: defaultdict[Outcome, list[tuple[int, int]]] = defaultdict(list)
    for claimed, outcome in ended:
        alike[outcome].append((claimed.id, claimed.fence))
    settled: set[tuple[int, int]] = set()
    for outcome, mine in alike.items():
        waits = outcome.state == "waiting"
        values = {
            "mine": mine,
            "to": outcome.state,
            "words": outcome.words,
            "code": outcome.errcode,
            "due": (outcome.due_at or now) if waits else None,
            "at": None if waits else now,
        }
        settled.update((number, fence) for number, fence in db.execute(_settle(), values))
    return settled


@cache
def _settle() -> Executable:
    mine = tuple_(outbox.c.id, outbox.c.fence).in_(bindparam("mine", expanding=True))
    ended = {
        "state": bindparam("to"),
        "outcome": bindparam("words"),
        "errcode": bindparam("code", type_=outbox.c.errcode.type),
        "lease_until": None,
        "settled_at": bindparam("at", type_=outbox.c.settled_at.type),
        "due_at": func.coalesce(bindparam("due", type_=outbox.c.due_at.type), outbox.c.due_at),
    }
    return (
        update(outbox).where(mine, outbox.c.state == "sending").values(**ended).returning(outbox.c.id, outbox.c.fence)
    )


def rest_of(db: Session, keys: Collection[str], besides: Collection[int]) -> set[str]:
    """Which of these keys have open calls besides those of these ids."""
    asked = {"keys": list(keys), "besides": list(besides)}
    return set(db.scalars(_rest_of(), asked))


@cache
def _rest_of() -> Select[str]:
    among: BindParameter[str] = bindparam("keys", expanding=True)
    not_these: BindParameter[int] = bindparam("besides", expanding=True)
    more = (one_of(outbox.c.state, OPEN_STATES), outbox.c.key.in_(among), outbox.c.id.not_in(not_these))
    return select(outbox.c.key).where(*more).order_by(outbox.c.key, outbox.c.id)  # in the order of the keys' index


def drop_rest(db: Session, keys: Collection[str], why: str, now: datetime) -> int:
    """Give up the calls of these keys that still wait: they are not needed any more."""
    open_here = (one_of(outbox.c.state, OPEN_STATES), outbox.c.key.in_(keys), outbox.c.state == "waiting")
    rest = db.scalars(select(outbox.c.id).where(*open_here).order_by(outbox.c.key, outbox.c.id).with_for_update())
    dropped = update(outbox).where(outbox.c.id.in_(rest.all()))
    return changed_rows(db, dropped.values(state="dropped", outcome=why, settled_at=now))


def rescue(db: Session, now: datetime) -> list[Claimed]:
    """Free the rows whose sender died: what may be repeated waits again, the rest is held; the held ones are given.

    Who is just settling one, late but alive, is not waited for.
    """
    found = select(outbox.c.id).where(one_of(outbox.c.state, OPEN_STATES), outbox.c.state == "sending")
    found = found.where(outbox.c.lease_until < now).order_by(outbox.c.id).with_for_update(skip_locked=True)
    lost = outbox.c.id.in_(db.scalars(found).all())
    may = and_(outbox.c.harmless.is_(True), outbox.c.tries < MAX_STOPS)
    db.execute(update(outbox).where(lost, may).values(state="waiting", due_at=now, lease_until=None, outcome=STOPPED))
    held = db.execute(
        update(outbox)
        .where(lost, ~may)
        .values(state="held", outcome=STOPPED, settled_at=now, lease_until=None)
        .returning(*(outbox.c[one.name] for one in fields(Claimed)))
    )
    return [Claimed(**row._mapping) for row in held]


def once_more(db: Session, ids: Collection[int], now: datetime) -> None:
    """Let held calls that WeCom can tell from their repetition be made again. They keep the end of their time."""
    held = update(OutboxRow).where(OutboxRow.id.in_(ids), OutboxRow.state == "held")
    db.execute(held.values(state="waiting", due_at=now, settled_at=None))


def decide(db: Session, row_id: int, *, send_again: bool, now: datetime) -> bool:
    """A person's word on a held or refused call: send it again, or let it be. False when it is neither."""
    undecided = (OutboxRow.id == row_id, OutboxRow.state.in_(("held", "refused")))
    values: dict[str, Any] = {"state": "waiting", "due_at": now, "settled_at": None, "before": None}
    if not send_again:
        values = {"state": "dropped", "outcome": "given up by hand", "settled_at": now}
    return changed_rows(db, update(OutboxRow).where(*undecided).values(**values)) == 1


def forget_old(db: Session, before: datetime, most: int) -> int:
    """Remove up to ``most`` calls that came to their end before this moment. How many there were."""
    over = (outbox.c.state.in_(FINAL_STATES), outbox.c.asked_at < before, outbox.c.settled_at < before)
    return changed_rows(db, delete(outbox).where(outbox.c.id.in_(select(outbox.c.id).where(*over).limit(most))))


def rename_rep(db: Session, old: str, new: str) -> None:
    """Calls that still wait name the rep as WeCom does now."""
    waiting = select(OutboxRow).where(one_of(OutboxRow.state.expression, OPEN_STATES), OutboxRow.state == "waiting")
    for row in db.scalars(waiting.with_for_update(skip_locked=True)):
        row.body = {name: _renamed(value, old, new) for name, value in row.body.items()}


def _renamed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, list):
        return [_renamed(one, old, new) for one in value]
    return new if value == old else value


def health(db: Session) -> Health:
    """Count the rows by state, and find the oldest that is still open."""
    return count(db, OutboxRow.state, OutboxRow.asked_at, OPEN_STATES)

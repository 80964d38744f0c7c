"""What customers and reps wrote is kept only as long as the shop decided (``[privacy] keep_text_days``; S42).

The lines of the story stay, and say that there was a message; its words, what was sent along and every copy of them
(the words a rule met, the calls and callbacks that carried them) go. A job of the timetable does it every night, in
portions.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from people.privacy import MESSAGES
from storage import search
from storage.outbox import FINAL_STATES
from storage.rows import insert_new
from storage.tables import InboxRow, Interaction, KeptFile, OutboxRow, Progress, RuleHit, TagGround

SAID = ("kf_in", "kf_out", "forwarded")
"""Kinds of the story that hold what somebody wrote to somebody. A rep's notes are the shop's own, and stay."""
BARE = frozenset(
    {"type", "by", "open_kfid", "msgid", "fate", "window", "notice", "asks", "recalled_at", "recalled_by", "fail_type"}
)
"""What stays of a line's details. Everything else may hold words: a message has many parts, and new kinds will come."""
BLANKED = "blanked"
PLACE = "texts blanked"
LATE = timedelta(days=7)
"""So much later than it was written a message may have reached us."""


Place = list[Any]
"""Where a portion ended: the key of its last row, as JSON keeps it; empty before the first."""
Portion = tuple[int, Place | None]
"""How many rows there were, and where they ended; None where there are no more."""
Part = Callable[[Session, datetime, Place, int], Portion]
"""(db, before, after, most): does up to ``most`` rows that were written before this moment, from that place on."""


def next_portion(db: Session, before: datetime, most: int, now: datetime) -> tuple[int, bool]:
    """Blank up to ``most`` rows of each kind written before this moment; how many there were, and whether that is all.

    Each portion begins where the one before ended, also after a restart, so that a night goes through each kind once.
    """
    kept = _kept(db, now)
    run = kept.at.get("run") or {"before": before.isoformat(), "after": {}}
    until = datetime.fromisoformat(run["before"])
    count, ended = 0, dict(run["after"])
    for name, part in PARTS.items():
        after = ended.get(name, [])
        if after is not None:
            found, ended[name] = part(db, until, after, most)
            count += found
    over = all(after is None for after in ended.values())
    done = max(until, _done_until(kept)) if over else _done_until(kept)
    kept.at = {"until": done.isoformat(), **({} if over else {"run": {**run, "after": ended}})}
    kept.changed_at = now
    return count, over and until >= before


def _kept(db: Session, now: datetime) -> Progress:
    row = {"name": PLACE, "state": "done", "at": {}, "done": 0, "started_at": now, "changed_at": now}
    insert_new(db, Progress, [row], ["name"], returning="name")
    return db.get_one(Progress, PLACE)


def _done_until(kept: Progress) -> datetime:
    """Up to when everything is blanked already, so that the whole story is not read every night.

    A longer term than before changes nothing of that.
    """
    return datetime.fromisoformat(kept.at.get("until") or "2000-01-01T00:00:00+00:00")


def blank_lines(kind: str, db: Session, before: datetime, after: Place, most: int) -> Portion:
    """The words of the story's lines of this kind go, with what was sent along and what finds them."""
    late = _done_until(db.get_one(Progress, PLACE)) - LATE
    old = (Interaction.kind == kind, Interaction.at < before, Interaction.at >= late)
    wanted = select(Interaction).where(*old, Interaction.details[BLANKED].as_boolean().is_(None))
    if after:
        at = datetime.fromisoformat(after[0])
        wanted = wanted.where(Interaction.at >= at, or_(Interaction.at > at, Interaction.id > after[1]))
    lines = db.scalars(wanted.order_by(Interaction.at, Interaction.id).limit(most)).all()
    ids = [one.id for one in lines]
    for one in lines:
        one.details = {**{name: value for name, value in one.details.items() if name in BARE}, BLANKED: True}
    search.forget(db, ids)
    gone = {"content": None, "state": "erased", "name": "", "media_id": "", "detail": None}
    db.execute(update(KeptFile).where(KeptFile.interaction_id.in_(ids)).values(**gone))
    return len(lines), [lines[-1].at.isoformat(), lines[-1].id] if len(lines) == most else None


def blank_evidence(
    table: type[TagGround] | type[RuleHit], db: Session, before: datetime, after: Place, most: int
) -> Portion:
    """Of what a rule met its own words stay, the sentence around them goes."""
    quoted = table.evidence["quote"].as_string().is_not(None)
    old = select(table).where(table.at < before, quoted, table.id > _last(after)).order_by(table.id).limit(most)
    rows = cast(Sequence[TagGround | RuleHit], db.scalars(old).all())
    for one in rows:
        one.evidence = {name: value for name, value in one.evidence.items() if name != "quote"}
    return len(rows), [rows[-1].id] if len(rows) == most else None


def forget_calls(db: Session, before: datetime, after: Place, most: int) -> Portion:
    """Messages that were sent go; the welcome's text stays with the welcome."""
    over = and_(OutboxRow.api.in_(MESSAGES), OutboxRow.state.in_(FINAL_STATES), OutboxRow.asked_at < before)
    return _forget(db, OutboxRow, over, after, most)


def forget_callbacks(db: Session, before: datetime, after: Place, most: int) -> Portion:
    """What reps wrote to the app goes."""
    over = and_(InboxRow.name.startswith("message."), InboxRow.state == "done", InboxRow.received_at < before)
    return _forget(db, InboxRow, over, after, most)


def _forget(
    db: Session, table: type[InboxRow] | type[OutboxRow], which: ColumnElement[bool], after: Place, most: int
) -> Portion:
    old = select(table.id).where(which, table.id > _last(after)).order_by(table.id).limit(most)
    ids = db.scalars(old).all()
    db.execute(delete(table).where(table.id.in_(ids)))
    return len(ids), [ids[-1]] if len(ids) == most else None


def _last(after: Place) -> int:
    return int(after[0]) if after else 0


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        **{f"lines {kind}": partial(blank_lines, kind) for kind in SAID},
        "grounds": partial(blank_evidence, TagGround),
        "hits": partial(blank_evidence, RuleHit),
        "calls": forget_calls,
        "callbacks": forget_callbacks,
    }
)

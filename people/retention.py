"""What customers and reps wrote is kept only as long as the shop decided (``[privacy] keep_text_days``; S42).

The lines of the story stay, and say that there was a message; its words, what was sent along and every copy of them
(the words a rule met, the calls and callbacks that carried them) go. A job of the timetable does it every night, in
portions.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Select, and_, delete, select, update
from sqlalchemy.orm import Session

from people.privacy import MESSAGES
from storage import search
from storage.database import changed_rows, insert_new
from storage.outbox import FINAL_STATES
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


def next_portion(db: Session, before: datetime, most: int) -> int:
    """Blank up to ``most`` rows of each kind written before this moment; how many there were."""
    return sum(part(db, before, most) for part in PARTS)


def blank_lines(db: Session, before: datetime, most: int) -> int:
    """The words of the story's lines go, with what was sent along and what finds them."""
    old = (Interaction.kind.in_(SAID), Interaction.at < before, Interaction.at >= _done_until(db) - LATE)
    unblanked = Interaction.details[BLANKED].as_boolean().is_(None)
    lines = db.scalars(select(Interaction).where(*old, unblanked).order_by(Interaction.at).limit(most)).all()
    ids = [one.id for one in lines]
    for one in lines:
        one.details = {**{name: value for name, value in one.details.items() if name in BARE}, BLANKED: True}
    search.forget(db, ids)
    gone = {"content": None, "state": "erased", "name": "", "media_id": "", "detail": None}
    db.execute(update(KeptFile).where(KeptFile.interaction_id.in_(ids)).values(**gone))
    return len(lines)


def blank_evidence(db: Session, before: datetime, most: int) -> int:
    """Of what a rule met its own words stay, the sentence around them goes."""
    return _unquote(db, TagGround, before, most) + _unquote(db, RuleHit, before, most)


def _unquote(db: Session, table: "type[TagGround | RuleHit]", before: datetime, most: int) -> int:
    quoted = table.evidence["quote"].as_string().is_not(None)
    old = select(table).where(table.at < before, quoted).order_by(table.id).limit(most)
    rows = cast(Sequence[TagGround | RuleHit], db.scalars(old).all())
    for one in rows:
        one.evidence = {name: value for name, value in one.evidence.items() if name != "quote"}
    return len(rows)


def forget_calls(db: Session, before: datetime, most: int) -> int:
    """Messages that were sent go; the welcome's text stays with the welcome."""
    over = and_(OutboxRow.api.in_(MESSAGES), OutboxRow.state.in_(FINAL_STATES), OutboxRow.asked_at < before)
    return _forget(db, OutboxRow, select(OutboxRow.id).where(over), most)


def forget_callbacks(db: Session, before: datetime, most: int) -> int:
    """What reps wrote to the app goes."""
    over = and_(InboxRow.name.startswith("message."), InboxRow.state == "done", InboxRow.received_at < before)
    return _forget(db, InboxRow, select(InboxRow.id).where(over), most)


def _forget(db: Session, table: type[InboxRow] | type[OutboxRow], which: Select[Any], most: int) -> int:
    return changed_rows(db, delete(table).where(table.id.in_(which.limit(most))))


PARTS: tuple[Callable[[Session, datetime, int], int], ...] = (
    blank_lines,
    blank_evidence,
    forget_calls,
    forget_callbacks,
)


def _done_until(db: Session) -> datetime:
    """Up to when everything is blanked already, so that the whole story is not read every night."""
    place = db.get(Progress, PLACE)
    until = (place.at if place else {}).get("until")
    return datetime.fromisoformat(until) if until else datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def note_done(db: Session, before: datetime, now: datetime) -> None:
    """Remember that everything up to this moment is blanked; a longer term than before changes nothing of that."""
    row = {"name": PLACE, "state": "done", "at": {}, "done": 0, "started_at": now, "changed_at": now}
    insert_new(db, Progress, [row], ["name"], returning="name")
    place = db.get_one(Progress, PLACE, populate_existing=True)
    place.at, place.changed_at = {"until": max(before, _done_until(db)).isoformat()}, now

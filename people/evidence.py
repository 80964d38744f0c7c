"""The evidence itself: who says that an anchor is known by an identity, kept and brought up to date, never judged.

``people.resolving`` says what follows from it, ``people.joining`` is the door through which it comes.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from people.identities import PHONE
from storage.rows import insert_new
from storage.tables import Evidence

REP = "rep:"
"""Before the userid of a rep who bound somebody to a member of a till (the source of that evidence)."""
ONE_EDGE = ["type", "value", "anchor_id", "source"]


def edge(
    anchor_id: int, type_: str, value: str, *, source: str, verified: bool, at: datetime, home: bool = False
) -> dict[str, Any]:
    """A row of evidence, seen once."""
    return {
        "anchor_id": anchor_id,
        "type": type_,
        "value": value,
        "source": source,
        "verified": verified,
        "home": home,
        "first_seen_at": at,
        "seen_at": at,
    }


def keep(db: Session, edges: Iterable[dict[str, Any]]) -> bool:
    """Keep these rows; whether any of them says something new: a way to be known, certainty, another time.

    What was known is not said less surely than before; it is known since the earliest and until the latest time. One
    that was given up and is told of again at a later time is theirs again.
    """
    rows = list(edges)
    new = bool(insert_new(db, Evidence, rows, ONE_EDGE))
    for row in rows if not new or len(rows) > 1 else ():
        new |= _bring_up_to_date(db, row)
    return new


def news(db: Session, edges: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of these rows that say something we do not know yet; told of again and again, most say nothing new."""
    rows = list(edges)
    if not rows:
        return []
    own = select(Evidence).where(
        Evidence.anchor_id.in_({one["anchor_id"] for one in rows}), Evidence.released_at.is_(None)
    )
    known = {tuple(getattr(one, name) for name in ONE_EDGE): one for one in db.scalars(own)}
    return [one for one in rows if not _says_it(known.get(tuple(one[name] for name in ONE_EDGE)), one)]


def _says_it(known: Evidence | None, row: dict[str, Any]) -> bool:
    if known is None or known.verified < row["verified"] or known.first_seen_at > row["seen_at"]:
        return False
    return bool(row["type"] != PHONE or known.seen_at >= row["seen_at"])  # only numbers grow old


def _bring_up_to_date(db: Session, row: dict[str, Any]) -> bool:
    own = select(Evidence).where(*(getattr(Evidence, name) == row[name] for name in ONE_EDGE))
    known = db.scalars(own.with_for_update().execution_options(populate_existing=True)).one()
    at: datetime = row["seen_at"]
    before = (known.verified, known.first_seen_at, known.seen_at, known.released_at)
    known.verified = known.verified or row["verified"]
    known.first_seen_at, known.seen_at = min(known.first_seen_at, at), max(known.seen_at, at)
    if known.released_at is not None and at > known.released_at:
        known.released_at, known.home = None, known.home and not _has_another_home(db, known)
    db.flush()
    return before != (known.verified, known.first_seen_at, known.seen_at, known.released_at)


def _has_another_home(db: Session, row: Evidence) -> bool:
    """Whether somebody else was made for the same identity while this one had given it up."""
    own = (Evidence.type == row.type, Evidence.value == row.value, Evidence.verified == row.verified)
    other = select(Evidence.id).where(*own, Evidence.home, Evidence.released_at.is_(None), Evidence.id != row.id)
    return db.scalar(other.limit(1)) is not None


def release(db: Session, anchor_ids: Iterable[int], type_: str, value: str, at: datetime) -> bool:
    """The identity is not theirs any more from ``at`` on (a number that was given up); False when it was not."""
    own = (Evidence.anchor_id.in_(list(anchor_ids)), Evidence.type == type_, Evidence.value == value)
    live = or_(Evidence.released_at.is_(None), Evidence.released_at > at)
    gone = update(Evidence).where(and_(*own), live).values(released_at=at).returning(Evidence.id)
    return bool(db.scalars(gone).all())

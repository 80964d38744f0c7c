"""What waits for somebody to say whether two are one person: written down as it comes up, closed when it is over.

``people.joining`` tells what it could not decide; ``people.reviews`` shows it to people and takes their word.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from people import guards
from people.resolving import GUARDED, Doubt, Pair, Partition
from storage.rows import insert_new
from storage.tables import Review
from storage.work import Work

PROPOSAL, CONFLICT, GUARD = "proposal", "conflict", "guard"
OPEN, ASKED, JOINED, APART, GONE = "open", "asked", "merged", "apart", "gone"
WAITING = (OPEN, ASKED)


def guarded(db: Session, anchors: Collection[int]) -> set[Pair]:
    """Pairs among these that stay apart until two people have decided."""
    own = select(Review.a, Review.b).where(Review.kind == GUARD, Review.state.in_(WAITING))
    return {(a, b) for a, b in db.execute(own.where(Review.a.in_(anchors), Review.b.in_(anchors)))}


def guard(work: Work, pair: Pair, decided: Partition, *, by: str) -> None:
    """Evidence would join these two, and both have something to lose (``guards.STAKES``): two people decide."""
    joined = decided.joined[-1] if decided.joined else None
    for one in decided.joined:
        if {decided.head[one.a], decided.head[one.b]} & set(pair):
            joined = one
    why = {"type": joined.type, "value": joined.value} if joined else {}
    doubt = Doubt(pair[0], pair[1], why.get("type", ""), why.get("value", ""), GUARDED)
    _open(work, doubt, GUARD, by, guards.at_stake(work, pair))


def keep(work: Work, anchors: Collection[int], decided: Partition, *, by: str) -> None:
    """Open what is new among these anchors, close what nothing speaks for any more."""
    wanted: dict[Pair, tuple[Doubt, str]] = {}
    for one in decided.proposals:
        wanted[one.a, one.b] = (one, PROPOSAL)
    for one in decided.conflicts:
        wanted[one.a, one.b] = (one, GUARD if one.reason == GUARDED else CONFLICT)
    own = select(Review).where(Review.state.in_(WAITING), or_(Review.a.in_(anchors), Review.b.in_(anchors)))
    known = {(one.a, one.b): one for one in work.db.scalars(own.order_by(Review.id)).all()}
    for pair, row in known.items():
        if pair not in wanted:
            row.state, row.decided_at = GONE, work.now
        elif row.kind != GUARD:
            doubt, row.kind = wanted[pair]
            row.why = _why(doubt)
    work.db.flush()
    for pair in wanted.keys() - known.keys():
        _open(work, *wanted[pair], by)


def _open(work: Work, doubt: Doubt, kind: str, by: str, stakes: Sequence[str] = ()) -> None:
    why = {**_why(doubt), "stakes": list(stakes)} if stakes else _why(doubt)
    row = {"a": doubt.a, "b": doubt.b, "kind": kind, "why": why, "made_by": by[:100], "made_at": work.now}
    insert_new(work.db, Review, [row], [])


def _why(doubt: Doubt) -> dict[str, Any]:
    return {"type": doubt.type, "value": doubt.value, "reason": doubt.reason}

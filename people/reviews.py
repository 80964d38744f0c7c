"""Two people of whom somebody is to say whether they are one: listed for whoever may see both, and decided.

A guard (both have something to lose) is decided by two: one says yes, another one carries it out. Nobody does both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session, aliased

from people import blocklist, doubts, joining, persons
from people.access import Sight
from people.doubts import ASKED, GUARD, OPEN, WAITING
from people.resolving import BOUND, strength
from storage.tables import BlockedValue, Evidence, Person, Review
from storage.work import Work


class NotYours(Exception):
    """Whoever said yes first does not decide: the second word is somebody else's."""


class NotOne(Exception):
    """A limit forbids it: two unionids, more cards of one shop than one person has."""


@dataclass(frozen=True)
class Waiting:
    """One pair that waits, with both people as they are now."""

    review: Review
    one: Person
    other: Person


def _both_seen(sight: Sight) -> ColumnElement[bool]:
    """That the viewer may see both: a pair of which one is out of sight does not exist."""
    seen = select(func.coalesce(Person.merged_into, Person.id).label("id"), Person.id.label("anchor")).subquery()
    heads = select(Person.id).where(sight.people())
    anchors = select(seen.c.anchor).where(seen.c.id.in_(heads))
    return Review.a.in_(anchors) & Review.b.in_(anchors)


def _waiting(sight: Sight) -> list[ColumnElement[bool]]:
    own: list[ColumnElement[bool]] = [Review.state.in_(WAITING)]
    return own if sight.everybody else [*own, _both_seen(sight)]


def count(db: Session, sight: Sight) -> int:
    """How many pairs wait within sight."""
    return db.scalars(select(func.count()).select_from(Review).where(*_waiting(sight))).one()


def listed(db: Session, sight: Sight, *, limit: int, after: int = 0) -> tuple[list[Waiting], int | None]:
    """One page of what waits, the oldest first, and the id that the next page comes after."""
    one, other = aliased(Person), aliased(Person)
    asked = select(Review, one, other).join(one, one.id == Review.a).join(other, other.id == Review.b)
    rows = db.execute(asked.where(*_waiting(sight), Review.id > after).order_by(Review.id).limit(limit + 1)).all()
    more, rows = len(rows) > limit, rows[:limit]
    found = [Waiting(review, persons.head_of(db, a), persons.head_of(db, b)) for review, a, b in rows]
    return found, (rows[-1][0].id if more else None)


def living(db: Session, sight: Sight, number: int) -> Review | None:
    """A pair that waits, if both are within sight; held until this work is kept."""
    own = select(Review).where(Review.id == number, *_waiting(sight))
    return db.scalars(own.with_for_update()).one_or_none()


def join(work: Work, review: Review, *, by: str, why: str) -> bool:
    """The two are one person; False when a second person is to say so too.

    Raises ``NotYours`` when ``by`` is who said it first, ``NotOne`` where a limit forbids it.
    """
    if review.kind == GUARD and review.state == OPEN:
        review.state, review.asked_by, review.asked_at, review.said = ASKED, by[:100], work.now, why[:200]
        work.db.flush()
        return False
    if review.kind == GUARD and by in (review.asked_by, review.made_by):
        raise NotYours
    _decide(work, review, doubts.JOINED, by, why)
    if not joining.tie(work, review.a, review.b, by=by, why=why):
        raise NotOne
    return True


def keep_apart(work: Work, review: Review, *, by: str, why: str) -> None:
    """The two are not one person, whatever speaks for it."""
    _decide(work, review, doubts.APART, by, why)
    joining.keep_apart(work, review.a, review.b, by=by, why=why)


def _decide(work: Work, review: Review, state: str, by: str, why: str) -> None:
    review.state, review.decided_by, review.decided_at, review.said = state, by[:100], work.now, why[:200]
    work.db.flush()


# --- how somebody is known -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """One identity of one anchor, since when, and who says so."""

    anchor: int
    type: str
    value: str
    since: datetime
    seen_at: datetime
    released_at: datetime | None
    source: str
    strength: str
    out: bool = False
    """Whether it names nobody: the shop has blocked it, or it is one of those that are typed for anybody."""

    @property
    def bound(self) -> bool:
        """Whether only a rep's word says so."""
        return self.strength == BOUND


def known(db: Session, person_id: int) -> dict[int, list[Known]]:
    """How a person is known, by anchor: the one that speaks for all first, each with its evidence in order."""
    found: dict[int, list[Known]] = {one: [] for one in persons.anchors(db, person_id)}
    blocked = and_(BlockedValue.type == Evidence.type, BlockedValue.value == Evidence.value)
    own = select(Evidence, BlockedValue.id).outerjoin(BlockedValue, blocked).where(Evidence.anchor_id.in_(found))
    for one, shut in db.execute(own.order_by(Evidence.first_seen_at, Evidence.id)):
        said = strength(verified=one.verified, source=one.source)
        out = shut is not None or blocklist.names_nobody(one.type, one.value)
        since, seen, released = one.first_seen_at, one.seen_at, one.released_at
        found[one.anchor_id].append(
            Known(one.anchor_id, one.type, one.value, since, seen, released, one.source, said, out)
        )
    return found


def about(db: Session, pairs: Sequence[Waiting]) -> dict[int, dict[int, list[Known]]]:
    """How each of these people is known."""
    return {one.id: known(db, one.id) for pair in pairs for one in (pair.one, pair.other)}

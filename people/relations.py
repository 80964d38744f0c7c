"""What became of a relation, folded from the facts about it, in whatever order they reached us.

Callbacks come late, twice and out of order. So each thing that happened is kept as a fact with WeCom's own time, and
state and intervals are computed from all facts of a person, sorted by that time. A transfer between colleagues is
neither arrival nor loss. Pure: no database here (``people.persons`` stores the result).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

HALF, FULL, TAKEN_OVER = "half", "full", "taken_over"
DELETED_BY_REP, DELETED_BY_CUSTOMER, TRANSFERRED = "deleted_by_rep", "deleted_by_customer", "transferred"
PARTED = "parted"
"""They must have parted, as WeCom tells that they met anew, but we missed when and by whom."""
ORDER_IN_A_SECOND = {
    TAKEN_OVER: 0,
    HALF: 1,
    FULL: 2,
    DELETED_BY_REP: 3,
    DELETED_BY_CUSTOMER: 4,
    TRANSFERRED: 5,
    PARTED: 6,
}
"""WeCom's times are whole seconds: within one, a relation begins, is confirmed and ends (but see below)."""
ENDED_BY = {DELETED_BY_REP: "rep", DELETED_BY_CUSTOMER: "customer", TRANSFERRED: "transfer", PARTED: "unknown"}
ASSIGNED_BY_ADMIN = 202
SAME_TRANSFER = timedelta(minutes=2)
SAME_ARRIVAL = timedelta(minutes=1)


@dataclass(frozen=True)
class Fact:
    """One thing that happened to a relation. ``at`` is WeCom's time."""

    kind: str
    at: datetime
    source_state: str | None = None
    had_code: bool = False
    add_way: int | None = None


@dataclass(frozen=True)
class Stretch:
    """One interval of a relation's life. ``began_at`` is None when only its end was ever seen."""

    began_at: datetime | None
    confirmed_at: datetime | None
    origin: str
    source_state: str | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    ended_again_by: str | None = None


def fold(facts: Iterable[Fact], handed_over_at: Sequence[datetime] = ()) -> list[Stretch]:
    """The intervals of one relation, oldest first.

    ``handed_over_at`` are the moments at which colleagues lost this customer by a transfer: an add without a code at
    such a moment is the other half of that transfer.
    """
    stretches: list[Stretch] = []
    in_order = sorted(facts, key=lambda one: (one.at, ORDER_IN_A_SECOND[one.kind]))
    for _, second in groupby(in_order, key=lambda one: one.at):
        for fact in _within_a_second(list(second), stretches):
            alive = bool(stretches) and stretches[-1].ended_at is None
            if fact.kind in ENDED_BY:
                _end(stretches, fact, alive)
            elif alive:
                stretches[-1] = _joined(stretches[-1], fact)
            else:
                stretches.append(_begun(fact, handed_over_at))
    return stretches


def _within_a_second(facts: list[Fact], stretches: Sequence[Stretch]) -> list[Fact]:
    """In the order in which they can have happened: who is had already can only be added after a parting."""
    had = bool(stretches) and stretches[-1].ended_at is None
    if had and (stretches[-1].confirmed_at is not None or any(one.kind == HALF for one in facts)):
        return sorted(facts, key=lambda one: one.kind not in ENDED_BY)
    return facts


def state_of(stretches: Sequence[Stretch]) -> str:
    """The relation's state after these intervals."""
    if not stretches:
        return "unknown"
    last = stretches[-1]
    if last.ended_at is None:
        return "active" if last.confirmed_at else "half"
    if last.ended_by == "transfer":
        return "transferred"
    if last.ended_again_by not in (None, last.ended_by):
        return "ended_by_both"
    return f"ended_by_{last.ended_by}"


def _begun(fact: Fact, handed_over_at: Sequence[datetime]) -> Stretch:
    confirmed = None if fact.kind == HALF else fact.at
    return Stretch(fact.at, confirmed, _origin(fact, handed_over_at), fact.source_state)


def _origin(fact: Fact, handed_over_at: Sequence[datetime]) -> str:
    if fact.kind == TAKEN_OVER:
        return "taken_over"
    unasked = not fact.had_code and fact.source_state is None
    handed = any(abs(fact.at - at) <= SAME_TRANSFER for at in handed_over_at)
    if unasked and (handed or fact.add_way == ASSIGNED_BY_ADMIN):
        return "transfer"
    return "arrival"


def _joined(stretch: Stretch, fact: Fact) -> Stretch:
    """A second beginning inside a living interval confirms it, or repeats what we know."""
    if stretch.confirmed_at is None and fact.kind != HALF:
        stretch = replace(stretch, confirmed_at=fact.at)
    if stretch.source_state is None and fact.source_state is not None:
        stretch = replace(stretch, source_state=fact.source_state)
    just_seen = stretch.began_at is not None and fact.at - stretch.began_at <= SAME_ARRIVAL
    if stretch.origin == "taken_over" and fact.kind in (HALF, FULL) and just_seen:
        stretch = replace(stretch, origin="arrival")
    return stretch


def _end(stretches: list[Stretch], fact: Fact, alive: bool) -> None:
    by = ENDED_BY[fact.kind]
    if alive:
        stretches[-1] = replace(stretches[-1], ended_at=fact.at, ended_by=by)
    elif stretches:
        stretches[-1] = replace(stretches[-1], ended_again_by=by)
    else:
        stretches.append(Stretch(None, None, "unknown", ended_at=fact.at, ended_by=by))

"""A customer's stage, as far as their relations to our reps tell it: one word each, no customer in two.

``new``: no rep is known to have, or to have had, this person in WeCom (known by an order or an import only).
``active``: at least one rep has them. ``half``: only one side has added the other so far. ``lost``: nobody has them any
more.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, and_, exists, not_, select

from people.access import Sight
from storage.tables import Person, Relation

NEW, ACTIVE, HALF, LOST = STAGES = ("new", "active", "half", "lost")
ENDED = ("ended_by_rep", "ended_by_customer", "ended_by_both", "transferred")


def stage_of(states: Iterable[str]) -> str:
    """The stage of somebody whose relations have these states."""
    found = set(states)
    if "active" in found:
        return ACTIVE
    if "half" in found:
        return HALF
    return NEW if found.isdisjoint(ENDED) else LOST


def in_stage(sight: Sight, stage: str) -> ColumnElement[bool]:
    """The condition on ``Person`` that ``stage_of`` gives this stage. Raises ``ValueError`` for another word."""
    active, half, ended = _has(sight, "active"), _has(sight, "half"), _has(sight, *ENDED)
    conditions = {
        ACTIVE: active,
        HALF: and_(half, not_(active)),
        LOST: and_(ended, not_(half), not_(active)),
        NEW: and_(not_(ended), not_(half), not_(active)),
    }
    if stage not in conditions:
        raise ValueError(f"no such stage: {stage}")
    return conditions[stage]


def _has(sight: Sight, *states: str) -> ColumnElement[bool]:
    return exists(
        select(Relation.id).where(
            Relation.person_id == Person.id, Relation.state.in_(states), sight.reps(Relation.userid.expression)
        )
    )

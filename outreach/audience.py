"""Who of a segment gets a message, from which rep, and why each of the others does not: worked out by the database.

``counted`` says it in numbers (the preflight), ``plan`` writes it into the contact budget, some thousand people a
transaction, so that nobody who writes waits and a restart goes on where it was. Both ask the same question, so what was
shown is what is planned, but for what has changed meanwhile.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    insert,
    literal,
    not_,
    select,
    true,
)
from sqlalchemy.orm import Session, aliased

from outreach import budget
from outreach.arms import BUCKETS, CONTROL
from outreach.budget import Rules
from people import consent
from storage.database import bucket_of
from storage.tables import Member, Person, Relation, Touch

PORTION = 20_000
OPTED_OUT, NO_RELATION, REP_AWAY, QUOTA, GAP = REASONS = ("opted_out", "no_relation", "rep_away", "quota", "gap")
"""Why somebody gets nothing, in the order in which it is asked; the first that holds is said."""
LEFT_OUT = "left_out"


@dataclass(frozen=True)
class Plan:
    """One message to many."""

    source: str
    """``broadcast:3``: also the key of its experiment."""
    fits: ColumnElement[bool]
    """The condition on ``Person`` that holds for those who are meant."""
    at: datetime
    """For when it is planned."""
    rules: Rules
    arms: Mapping[str, int] = field(default_factory=lambda: {"": BUCKETS})
    """Arms with their shares in ten-thousandths; ``control`` gets nothing and is asked the same questions."""
    reps: ColumnElement[bool] | None = None
    """The condition on ``Relation`` that narrows from whom it may come: a manager's own reps."""


@dataclass(frozen=True)
class Counted:
    """Selected, and of those: how many will get it and why each of the others does not."""

    will: int
    control: int
    reasons: Mapping[str, int]

    @property
    def selected(self) -> int:
        """All that are meant."""
        return self.will + self.control + sum(self.reasons.values())


def _served() -> tuple[ColumnElement[bool], ...]:
    """Reps who can confirm a task."""
    return (Member.serves.is_(True), Member.left_at.is_(None))


def _sender(plan: Plan) -> ColumnElement[int]:
    """The relation over which a person is written to: the owner's if that is alive, else the youngest."""
    own = select(Relation.id).join(Member, Member.userid == Relation.userid)
    alive = (Relation.person_id == Person.id, Relation.state == "active", *_served(), _within(plan))
    youngest = own.where(*alive).order_by(Relation.added_at.desc(), Relation.id.desc()).limit(1)
    owners = own.where(*alive, Relation.userid == Person.owner).limit(1)
    return func.coalesce(owners.correlate(Person).scalar_subquery(), youngest.correlate(Person).scalar_subquery())


def _within(plan: Plan) -> ColumnElement[bool]:
    return true() if plan.reps is None else plan.reps


def _question(plan: Plan, *columns: Any) -> tuple[Select[Any], Any, ColumnElement[str]]:
    """Everybody who is meant, with the relation over which they are written to and why they are not."""
    sender = aliased(Relation)
    any_rep = exists().where(Relation.person_id == Person.id, Relation.state == "active", _within(plan))
    but = (plan.source,)
    reason = case(
        (not_(consent.wanting()), OPTED_OUT),
        (and_(sender.id.is_(None), any_rep), REP_AWAY),
        (sender.id.is_(None), NO_RELATION),
        (budget.is_used_up(plan.rules, plan.at, but=but), QUOTA),
        (budget.is_too_soon(plan.rules, plan.at, but=but) if plan.rules.gap else false(), GAP),
        else_="",
    )
    asked = select(*columns).select_from(Person).outerjoin(sender, sender.id == _sender(plan)).where(plan.fits)
    return asked, sender, reason


def _arm(db: Session, plan: Plan) -> ColumnElement[str]:
    """The arm of each, by the hash of ``outreach.arms.bucket``."""
    if len(plan.arms) == 1:
        return literal(next(iter(plan.arms)), String)
    place = bucket_of(db, literal(f"exp:{plan.source}|p_", String).concat(cast(Person.id, String)))
    upto, steps = 0, []
    for name, share in plan.arms.items():
        upto += share
        steps.append((place < upto, name))
    return case(*steps, else_=list(plan.arms)[-1])


def counted(db: Session, plan: Plan) -> Counted:
    """The preflight: changes nothing."""
    arm = _arm(db, plan)
    asked, _, reason = _question(plan)
    inner = asked.add_columns(reason.label("reason"), arm.label("arm")).subquery()
    grouped = select(inner.c.reason, inner.c.arm, func.count()).group_by(inner.c.reason, inner.c.arm)
    return _added_up(db.execute(grouped))


def people(
    db: Session, plan: Plan, why: str, *where: ColumnElement[bool], limit: int, after: int = 0
) -> tuple[list[tuple[Person, str | None]], int | None]:
    """One page of those who would get it (``why`` is empty), are in ``control``, or are left out for a reason.

    With each the rep they would hear from; and the id that the next page comes after.
    """
    arm = _arm(db, plan)
    asked, sender, reason = _question(plan)
    asked = asked.add_columns(Person, sender.userid).where(*where, Person.id > after)
    if why in ("", CONTROL):
        asked = asked.where(reason == "", arm == CONTROL if why else arm != CONTROL)
    else:
        asked = asked.where(reason == why)
    found = [(one, userid) for one, userid in db.execute(asked.order_by(Person.id).limit(limit + 1))]
    more, found = len(found) > limit, found[:limit]
    return found, (found[-1][0].id if more else None)


def plan(db: Session, message: Plan, after: int) -> int | None:
    """Write the next portion into the budget; the person it has come to, None when that were the last."""
    upto = db.scalar(select(Person.id).where(Person.id > after).order_by(Person.id).offset(PORTION - 1).limit(1))
    arm = _arm(db, message)
    asked, sender, reason = _question(message)
    state = case((reason != "", LEFT_OUT), (arm == CONTROL, CONTROL), else_=budget.HELD)
    columns = {
        "source": literal(message.source),
        "person_id": Person.id,
        "way": literal("mass"),
        "userid": sender.userid,
        "external_userid": sender.external_userid,
        "arm": arm,
        "state": state,
        "reason": reason,
        "at": literal(message.at, Touch.at.type),
        "day": literal(budget.day_of(message.at), Touch.day.type),
    }
    rows = asked.add_columns(*columns.values()).where(Person.id > after)
    if upto is not None:
        rows = rows.where(Person.id <= upto)
    db.execute(insert(Touch).from_select(list(columns), rows))
    return upto


def planned(db: Session, source: str) -> Counted:
    """What was planned, as ``counted`` says it."""
    asked = select(Touch.reason, Touch.arm, func.count()).where(Touch.source == source)
    return _added_up(db.execute(asked.group_by(Touch.reason, Touch.arm)))


def _added_up(rows: Iterable[Any]) -> Counted:
    """Of (reason, arm, how many)."""
    reasons: dict[str, int] = {}
    will = control = 0
    for why, arm, count in rows:
        if why:
            reasons[why] = reasons.get(why, 0) + count
        elif arm == CONTROL:
            control += count
        else:
            will += count
    return Counted(will, control, {one: reasons[one] for one in REASONS if one in reasons})

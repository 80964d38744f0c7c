"""Who of a segment gets a message, from which rep, and why each of the others does not: worked out by the database.

``counted`` says it in numbers, ``looked_at`` by name as well (the preflight). ``plan`` writes it into the contact
budget, some thousand people a transaction, so that nobody who writes waits and a restart goes on where it was. All ask
the same question, so what was shown is what is planned, but for what has changed meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
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
    union_all,
)
from sqlalchemy.orm import Session, aliased

from outreach import budget, senders
from outreach.arms import BUCKETS, CONTROL, GHOSTS, HELD_OUT
from outreach.budget import Rules
from outreach.holdout import NOBODY, Holdout
from people import consent
from storage.database import bucket_of
from storage.tables import Person, Relation, Touch

PORTION = 20_000
OPTED_OUT, NO_RELATION, REP_AWAY, QUOTA, GAP = REASONS = ("opted_out", "no_relation", "rep_away", "quota", "gap")
"""Why somebody gets nothing, in the order in which it is asked; the first that holds is said."""
LEFT_OUT = "left_out"
FIRST = 20
"""So many of those who get nothing for one reason are named at once."""


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
    holdout: Holdout = NOBODY
    """The long-term control group, drawn before the arms are."""


@dataclass(frozen=True)
class Counted:
    """Selected, and of those: how many will get it and why each of the others does not."""

    will: int
    control: int
    held_out: int
    """Of the long-term control group."""
    reasons: Mapping[str, int]

    @property
    def selected(self) -> int:
        """All that are meant."""
        return self.will + self.control + self.held_out + sum(self.reasons.values())


@dataclass(frozen=True)
class Named:
    """One of those who get nothing; a group has no id."""

    person_id: int | None
    name: str
    held_by: Touch | None = None
    """What takes their place, where that is why."""


@dataclass(frozen=True)
class Looked:
    """The preflight with names: bounded, however many are meant."""

    counted: Counted
    reps: Mapping[str, int]
    """How many each rep would send it to, the most first."""
    held: Mapping[str, Mapping[str, int]]
    """Where something else of ours is why (QUOTA, GAP): how many because of each kind (``budget.KINDS``)."""
    first: Mapping[str, Sequence[Named]]
    """Of each reason the first ``FIRST``."""


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
    asked = (
        select(*columns)
        .select_from(Person)
        .outerjoin(sender, sender.id == senders.relation(_within(plan)))
        .where(plan.fits)
    )
    return asked, sender, reason


def _arm(db: Session, plan: Plan) -> ColumnElement[str]:
    """The arm of each, by the hash of ``outreach.arms.bucket``: held out first, then of the message's own."""
    own = _own_arm(db, plan)
    return case((plan.holdout.has_column(db, Person.id.expression), HELD_OUT), else_=own) if plan.holdout.share else own


def _own_arm(db: Session, plan: Plan) -> ColumnElement[str]:
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


def looked_at(db: Session, plan: Plan, *seen: ColumnElement[bool]) -> Looked:
    """The preflight with names of those ``seen``: everybody is asked about once, by one statement.

    Two more read the names of what that found. Changes nothing.
    """
    sums: list[tuple[str, str, int]] = []
    reps: dict[str, int] = {}
    held: dict[str, dict[str, int]] = {}
    ids: dict[str, list[int]] = {}
    for what, reason, arm, userid, kind, count in db.execute(_by_name(db, plan)):
        if what == _PERSON:
            ids.setdefault(reason, []).append(count)
            continue
        sums.append((reason, arm, count))
        if kind:
            of = held.setdefault(reason, {})
            of[kind] = of.get(kind, 0) + count
        if userid:
            reps[userid] = reps.get(userid, 0) + count
    shown = sorted(reps.items(), key=lambda one: (-one[1], one[0]))
    return Looked(_added_up(sums), dict(shown), held, _named(db, plan, ids, seen))


_SUM, _PERSON = "sum", "person"


def _by_name(db: Session, plan: Plan) -> CompoundSelect[Any]:
    """Rows of (sum, reason, arm, rep, kind that is in the way, how many) and (person, reason, "", "", "", id)."""
    question, sender, why = _question(plan, Person.id)
    columns = (why.label("reason"), _arm(db, plan).label("arm"), sender.userid.label("userid"))
    all_ = question.add_columns(*columns).cte("asked")
    gets = and_(all_.c.reason == "", all_.c.arm.not_in(GHOSTS))
    but = (plan.source,)
    kind = case(
        (all_.c.reason == QUOTA, budget.kind_that_fills(plan.rules, plan.at, all_.c.id, but=but)),
        (all_.c.reason == GAP, budget.kind_too_near(plan.rules, plan.at, all_.c.id, but=but)),
        else_="",
    )
    rows = select(
        all_.c.reason, all_.c.arm, case((gets, all_.c.userid), else_="").label("userid"), kind.label("kind")
    ).subquery()
    of = (rows.c.reason, rows.c.arm, rows.c.userid, rows.c.kind)
    sums = select(literal(_SUM), *of, func.count()).group_by(*of)
    first = [
        select(all_.c.reason, all_.c.id).where(all_.c.reason == one).order_by(all_.c.id).limit(FIRST).subquery()
        for one in REASONS
    ]
    none = (literal("", String), literal("", String), literal("", String))
    return union_all(sums, *(select(literal(_PERSON), one.c.reason, *none, one.c.id) for one in first))


def _named(
    db: Session, plan: Plan, ids: Mapping[str, Sequence[int]], seen: Sequence[ColumnElement[bool]]
) -> dict[str, list[Named]]:
    wanted = [one for some in ids.values() for one in some]
    names = dict(db.execute(select(Person.id, Person.name).where(Person.id.in_(wanted), *seen)).all())
    blocked = [(one, plan.at) for why in (QUOTA, GAP) for one in ids.get(why, ()) if one in names]
    by = budget.around(db, plan.rules, blocked, but=(plan.source,))
    return {why: [Named(one, names[one], by.get(one)) for one in some if one in names] for why, some in ids.items()}


def people(
    db: Session, plan: Plan, why: str, *where: ColumnElement[bool], limit: int, after: int = 0
) -> tuple[list[tuple[Person, str | None]], int | None]:
    """One page of those who would get it (``why`` is empty), are in an arm of ``GHOSTS``, or are left out for a reason.

    With each the rep they would hear from; and the id that the next page comes after.
    """
    arm = _arm(db, plan)
    asked, sender, reason = _question(plan)
    asked = asked.add_columns(Person, sender.userid).where(*where, Person.id > after)
    if why in ("", *GHOSTS):
        asked = asked.where(reason == "", arm == why if why else arm.not_in(GHOSTS))
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
    state = case((reason != "", LEFT_OUT), (arm.in_(GHOSTS), CONTROL), else_=budget.HELD)
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
    will = control = held_out = 0
    for why, arm, count in rows:
        if why:
            reasons[why] = reasons.get(why, 0) + count
        elif arm == CONTROL:
            control += count
        elif arm == HELD_OUT:
            held_out += count
        else:
            will += count
    return Counted(will, control, held_out, {one: reasons[one] for one in REASONS if one in reasons})

"""Who has how many points, the most first; and how the books of points stand, for whoever keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from storage.tables import Person, PointsAccount, PointsHold, PointsSeal, PointsSealed, PointsTxn

ORDERS = ("available", "pending", "held", "debt")
"""By what the list can be ordered."""


@dataclass(frozen=True)
class Holder:
    """A person who has an account, as it is written; what time has changed since, ``accounts.standings`` tells."""

    person: Person
    points: int


def holders(
    db: Session, whom: ColumnElement[bool], *, by: str, q: str = "", limit: int, offset: int = 0
) -> tuple[Sequence[Holder], bool]:
    """People who fulfil the condition, those with the most points first; whether there are more."""
    head = func.coalesce(Person.merged_into, Person.id)
    sums = (
        select(head.label("head"), func.sum(getattr(PointsAccount, by)).label("points"))
        .join(Person, Person.id == PointsAccount.person_id)
        .group_by(head)
        .subquery()
    )
    own = select(Person, sums.c.points).join(sums, sums.c.head == Person.id).where(whom)
    if q:
        own = own.where(Person.name.contains(q, autoescape=True))
    if by != ORDERS[0]:
        own = own.where(sums.c.points > 0)
    found = db.execute(own.order_by(sums.c.points.desc(), Person.id).limit(limit + 1).offset(offset)).all()
    return [Holder(person, int(points)) for person, points in found[:limit]], len(found) > limit


@dataclass(frozen=True)
class State:
    """How the books stand."""

    accounts: int
    pending: int
    available: int
    held: int
    debt: int
    transactions: int
    unsealed: int
    last: PointsSeal | None
    overdue: int
    """Open holds whose time is over."""


def state(db: Session, now: datetime) -> State:
    """Sums over all accounts as they are written, and how much of it is sealed."""
    account = PointsAccount
    columns = (account.pending, account.available, account.held, account.debt)
    asked = select(func.count(account.id), *(func.coalesce(func.sum(one), 0) for one in columns))
    accounts, pending, available, held, debt = map(int, db.execute(asked).one())
    transactions = db.scalar(select(func.count()).select_from(PointsTxn)) or 0
    sealed = db.scalar(select(func.count()).select_from(PointsSealed)) or 0
    late = select(func.count()).select_from(PointsHold).where(PointsHold.state == "open", PointsHold.deadline <= now)
    last = db.scalars(select(PointsSeal).order_by(PointsSeal.number.desc()).limit(1)).one_or_none()
    return State(
        accounts=accounts,
        pending=pending,
        available=available,
        held=held,
        debt=debt,
        transactions=transactions,
        unsealed=max(0, transactions - sealed),
        last=last,
        overdue=db.scalar(late) or 0,
    )

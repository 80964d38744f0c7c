"""Of a day's orders: bought by friends in WeCom, by members we know only from a till, or by nobody we know.

All together of the customers one sees, by store for those who see everybody, by rep for whoever sees that rep: the rep
who asks for the member's code at the counter makes the difference. Every count says which of the three it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, exists, func, literal, select
from sqlalchemy.orm import Session

from people.access import Sight
from people.persons import LIVING
from people.today import bounds
from storage.tables import Person, Relation, ShopOrder

MOST = 20


@dataclass(frozen=True)
class Rate:
    """The orders of one store or rep, or of all."""

    name: str
    """Empty: the source did not say; all."""
    orders: int
    friends: int
    """Bought by somebody who has one of us in WeCom."""
    members: int
    """Bought by somebody we know, who has none of us."""
    amount: int
    """Fen, as paid."""

    @property
    def nobodys(self) -> int:
        """Bought by nobody we know."""
        return self.orders - self.friends - self.members

    @property
    def known(self) -> int:
        """Friends and members."""
        return self.friends + self.members


def whole(db: Session, sight: Sight, day: date, zone: ZoneInfo) -> Rate:
    """Every order of the day within sight, as ``order_lists`` lists them."""
    seen = [] if sight.everybody else [exists().where(Person.id == ShopOrder.person_id, sight.people())]
    return next(iter(_rates(db, day, zone, literal(""), *seen)), Rate("", 0, 0, 0, 0))


def by_store(db: Session, sight: Sight, day: date, zone: ZoneInfo) -> Sequence[Rate]:
    """Stores with the most orders first; nothing for those who do not see everybody."""
    return _rates(db, day, zone, ShopOrder.store.expression) if sight.everybody else []


def by_rep(db: Session, sight: Sight, day: date, zone: ZoneInfo) -> Sequence[Rate]:
    """Reps within sight with the most orders first."""
    staff = ShopOrder.staff.expression
    return _rates(db, day, zone, staff, staff != "", sight.reps(staff))


def _rates(db: Session, day: date, zone: ZoneInfo, name: ColumnElement[str], *where: ColumnElement[bool]) -> list[Rate]:
    start, end = bounds(day, zone)
    has_rep = select(Relation.id).where(Relation.person_id == ShopOrder.person_id, Relation.state.in_(LIVING)).exists()
    friends = func.sum(case((has_rep, 1), else_=0))
    known = func.sum(case((ShopOrder.person_id.is_not(None), 1), else_=0))
    own = select(name.label("name"), func.count(), friends, known, func.sum(ShopOrder.amount))
    own = own.where(ShopOrder.paid_at >= start, ShopOrder.paid_at < end, *where)
    rows = db.execute(own.group_by("name").order_by(func.count().desc(), "name").limit(MOST))
    return [Rate(one or "", int(n), int(f), int(k) - int(f), int(paid)) for one, n, f, k, paid in rows]

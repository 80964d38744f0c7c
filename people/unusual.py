"""Customers who buy more often in a day than one person does, or in more stores.

A clerk who shows a code of their own to customers who have none collects points for what others bought. Told are days
with so many orders of one person, or from so many stores; who looks at them may say that this one is all right.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import Session

from people import alarms, persons
from people.access import Sight
from people.today import bounds
from storage import shop_settings
from storage.tables import Person, ShopOrder
from storage.work import Work

SETTING = "unusual_orders"
ALARM = "unusual_orders"
MOST = 1_000
"""The largest limit that can be set, and so many days of people are told of at once."""
ALARM_DAYS = 2
"""Today and yesterday."""
WORDS = "{} 位客户一天内的订单不像一个人买的（{} 笔起，或 {} 家门店起）。请到“订单 → 异常”查看"


@dataclass(frozen=True)
class Limits:
    """From where on it is told, as the shop has set it."""

    orders: int = 6
    """Orders of one person on one of the shop's days."""
    stores: int = 3
    """Stores in which they bought that day."""
    fine: tuple[int, ...] = ()
    """Ids of people who were looked at and are all right: a buyer for a whole office."""


@dataclass(frozen=True)
class Busy:
    """One person's day."""

    person_id: int
    day: date
    orders: int
    stores: int
    amount: int
    """Fen."""


def limits(db: Session, *, hold: bool = False) -> Limits:
    """The shop's own. ``hold``: for who changes them, nobody else does so meanwhile."""
    kept = shop_settings.read(db, SETTING, hold=hold)
    return Limits(**{**kept, "fine": tuple(kept.get("fine", ()))})


def set_limits(work: Work, orders: int, stores: int, *, by: str) -> None:
    """Set from where on it is told. Raises ``ValueError`` unless both are 2 to 1,000."""
    if not (2 <= orders <= MOST and 2 <= stores <= MOST):
        raise ValueError("2 to 1,000 orders and stores")
    _keep(work, replace(limits(work.db, hold=True), orders=orders, stores=stores), by)


def say_fine(work: Work, person_id: int, fine: bool, *, by: str) -> None:
    """Somebody is all right and not told of any more; or is again."""
    own = limits(work.db, hold=True)
    others = tuple(one for one in own.fine if one not in persons.anchors(work.db, person_id))
    _keep(work, replace(own, fine=(*others, person_id) if fine else others), by)


def _keep(work: Work, wanted: Limits, by: str) -> None:
    shop_settings.keep(work.db, SETTING, asdict(wanted), by=by, at=work.now)


def fine_people(db: Session) -> list[Person]:
    """Who was looked at and is all right."""
    ids = limits(db).fine
    heads = select(func.coalesce(Person.merged_into, Person.id)).where(Person.id.in_(ids))
    return list(db.scalars(select(Person).where(Person.id.in_(heads)).order_by(Person.id))) if ids else []


def recent(db: Session, today: date, days: int, zone: ZoneInfo, sight: Sight | None = None) -> Sequence[Busy]:
    """The days to be told of among the last ones, the newest and busiest first; of people within sight, if given."""
    own = limits(db)
    whose = and_(Person.id.not_in([one.id for one in fine_people(db)]), sight.people() if sight is not None else true())
    found: list[Busy] = []
    for back in range(days):
        found += _on(db, today - timedelta(days=back), zone, own, whose)
    return found[:MOST]


def _on(db: Session, day: date, zone: ZoneInfo, own: Limits, whose: ColumnElement[bool]) -> list[Busy]:
    start, end = bounds(day, zone)
    orders, stores = func.count(), func.count(func.nullif(ShopOrder.store, "").distinct())
    asked = (
        select(Person.id, orders, stores, func.sum(ShopOrder.amount))
        .join(Person, Person.id == ShopOrder.person_id)
        .where(ShopOrder.paid_at >= start, ShopOrder.paid_at < end, whose)
        .group_by(Person.id)
        .having(or_(orders >= own.orders, stores >= own.stores))
        .order_by(orders.desc(), Person.id)
    )
    return [Busy(person, day, many, places, int(fen)) for person, many, places, fen in db.execute(asked)]


def look(work: Work) -> int:
    """Let an alarm stand while today or yesterday has somebody to be told of; how many people."""
    today = work.now.astimezone(work.zone).date()
    people = {one.person_id for one in recent(work.db, today, ALARM_DAYS, work.zone)}
    if people:
        own = limits(work.db)
        alarms.raise_alarm(work, ALARM, WORDS.format(len(people), own.orders, own.stores))
    else:
        alarms.clear(work, ALARM)
    return len(people)

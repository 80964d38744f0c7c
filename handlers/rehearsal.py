"""What a campaign, or other rules, would have made of the orders of the last weeks: asked before anything starts.

A campaign is tried on its own hours, whole weeks ago: weekends on weekends. Who is meant now is taken for who was meant
then. Levels are left out: they change both sides alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from insight import segments
from loyalty import earning
from loyalty.earning import Boost, Terms
from loyalty.programme import Programme
from storage.tables import Campaign, OrderLine, Person, ShopOrder

WEEK = timedelta(weeks=1)
WEEKS = 4
LATELY = timedelta(days=30)


@dataclass
class Tried:
    """What came of it in one stretch of time."""

    since: datetime
    until: datetime
    orders: int = 0
    people: set[int] = field(default_factory=set)
    before: int = 0
    """Points by what holds now."""
    after: int = 0
    """Points by what is tried."""
    missed: int = 0
    """Points that caps and budget left no room for."""


def campaign(db: Session, row: Campaign, own: Programme, now: datetime, zone: ZoneInfo) -> list[Tried]:
    """The campaign tried on the same hours of up to four earlier weeks, the latest first."""
    weeks = max(1, ceil((row.to_at - now) / WEEK))
    found = []
    for number in range(weeks, weeks + WEEKS):
        tried = Tried(row.from_at - number * WEEK, row.to_at - number * WEEK)
        _try(db, tried, row, own, _meant(db, row.audience, now, zone))
        found.append(tried)
    return found


def _meant(db: Session, audience: Mapping[str, Any], now: datetime, zone: ZoneInfo) -> Any:
    """The condition on people; None for everybody."""
    return segments.condition(audience, segments.question(db, now, zone)) if audience else None


def _try(db: Session, tried: Tried, row: Campaign, own: Programme, meant: Any) -> None:
    each: dict[int, int] = {}
    spent = 0
    for person_id, amount, excluded in _orders(db, tried.since, tried.until, own.excluded, meant):
        basis = max(0, amount - excluded)
        limits = ((row.cap, each.get(person_id, 0)), (row.budget, spent))
        rooms = [most - gone for most, gone in limits if most is not None]
        room = max(0, min(rooms)) if rooms else None
        plain = _plain(own, basis)
        boosts = [Boost(1, row.name, row.multiplier)]
        full = earning.earn(basis, Terms(own.rate, boosts=boosts, order_cap=own.order_cap)).total
        got = full - plain if room is None else min(full - plain, room)
        each[person_id], spent = each.get(person_id, 0) + got, spent + got
        tried.orders += 1
        tried.people.add(person_id)
        tried.before, tried.after = tried.before + plain, tried.after + plain + got
        tried.missed += full - plain - got


def rules(db: Session, now_hold: Programme, wanted: Programme, now: datetime) -> Tried:
    """What the last thirty days would have earned by these rules."""
    tried = Tried(now - LATELY, now)
    for person_id, amount, excluded in _orders(db, tried.since, tried.until, now_hold.excluded, None):
        tried.before += _plain(now_hold, amount - excluded)
        tried.orders += 1
        tried.people.add(person_id)
    for _person, amount, excluded in _orders(db, tried.since, tried.until, wanted.excluded, None):
        tried.after += _plain(wanted, amount - excluded)
    return tried


def _plain(own: Programme, basis: int) -> int:
    """What an order of this basis (fen) earns without level and campaign."""
    return earning.earn(max(0, basis), Terms(own.rate, order_cap=own.order_cap)).total


def _orders(
    db: Session, since: datetime, until: datetime, excluded: Sequence[str], meant: Any
) -> Iterator[tuple[int, int, int]]:
    """Person, amount, and the amount of excluded lines of each order, in the order they were paid; read as taken."""
    left_out = (
        select(func.coalesce(func.sum(OrderLine.amount), 0))
        .where(OrderLine.order_id == ShopOrder.id, OrderLine.category.in_(excluded))
        .scalar_subquery()
    )
    own = select(ShopOrder.person_id, ShopOrder.amount - ShopOrder.refunded, left_out if excluded else literal(0))
    own = own.where(ShopOrder.paid_at >= since, ShopOrder.paid_at < until, ShopOrder.person_id.is_not(None))
    if meant is not None:
        own = own.where(ShopOrder.person_id.in_(select(Person.id).where(meant)))
    for person_id, amount, lines in db.execute(own.order_by(ShopOrder.paid_at).execution_options(yield_per=5000)):
        yield int(person_id), int(amount), int(lines)

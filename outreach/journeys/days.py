"""Whose day it is: birthdays, points about to die, tiers about to lapse, no order for so long, points near a threshold.

Each gives, for a day of the shop, who has it and what it is about (the key of the round), a portion at a time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, not_, or_, select
from sqlalchemy.orm import aliased

from insight import segments
from loyalty import accounts, tiers
from loyalty.ledger.book import HAS_POINTS
from loyalty.ledger.standing import INSTANT
from outreach import hours
from people import persons
from storage.tables import (
    Enrolment,
    Person,
    PointsAccount,
    PointsLotNow,
    Reward,
    ShopOrder,
    TierChange,
    has_died,
    is_head,
)
from storage.work import Work

BIRTHDAY, POINTS_END, TIER_END = "birthday", "points_end", "tier_end"
LAST_ORDER, NEAR_POINTS = "last_order", "near_points"
NEAR_PERCENT = 80
"""From so much of a threshold on somebody is near it (loyalty.md §4.3)."""
NEAR_AGAIN = timedelta(days=30)
HORIZON_DAYS = 30
"""What dies within so many days is told of together, each day with its points."""
HEAD: ColumnElement[int] = func.coalesce(Person.merged_into, Person.id)


@dataclass(frozen=True)
class Has:
    """Somebody whose day it is."""

    person_id: int
    key: str
    because: Mapping[str, Any]


Look = Callable[[Work, Mapping[str, Any], date, int, int], tuple[list[Has], int | None]]
"""Of a trigger's day: a portion of people after an id, and the id the next portion comes after; None: that were all."""


def who(work: Work, trigger: Mapping[str, Any], due: date, after: int, limit: int) -> tuple[list[Has], int | None]:
    """Those for whom a trigger is meant on this day of the shop, after a person's id; and after whom it goes on."""
    return OCCASIONS[trigger["date"]](work, trigger, due, after, limit)


def _portion(work: Work, own: Select[Any], limit: int) -> tuple[list[int], int | None]:
    ids = list(work.db.scalars(own.limit(limit)))
    return ids, ids[-1] if len(ids) == limit else None


def _day(work: Work, day: date) -> tuple[datetime, datetime]:
    """A day of the shop, from its midnight to the next."""
    first, last = (datetime.combine(one, time(), work.zone).astimezone(UTC) for one in (day, day + timedelta(days=1)))
    return first, last


def _birthdays(
    work: Work, trigger: Mapping[str, Any], due: date, after: int, limit: int
) -> tuple[list[Has], int | None]:
    """Of 29 February on the 28th where there is none."""
    day = due - timedelta(days=trigger["days"])
    own = select(Person.id).where(is_head(), Person.birthday.in_(hours.birthdays_on(day)), Person.id > after)
    ids, following = _portion(work, own.order_by(Person.id), limit)
    because = {"on": "date", "date": BIRTHDAY, "day": day.isoformat()}
    return [Has(one, f"birthday:{day.year}", because) for one in ids], following


def _points_end(
    work: Work, trigger: Mapping[str, Any], due: date, after: int, limit: int
) -> tuple[list[Has], int | None]:
    """Whose points have this as their last day, over all that turned out to be them: once, however many lots."""
    last = due - timedelta(days=trigger["days"])
    begins, midnight = _day(work, last)
    lot = PointsLotNow
    dying = and_(HAS_POINTS, lot.expires_at > begins, lot.expires_at <= midnight, not_(has_died(work.now)))
    own = (
        select(HEAD)
        .select_from(lot)
        .join(PointsAccount, PointsAccount.id == lot.account_id)
        .join(Person, Person.id == PointsAccount.person_id)
        .where(dying, HEAD.op(">")(after))
        .group_by(HEAD)
        .order_by(HEAD)
    )
    ids, following = _portion(work, own, limit)
    because = {"on": "date", "date": POINTS_END, "day": last.isoformat()}
    return [Has(one, f"points:{last.isoformat()}", because) for one in ids], following


def _tier_end(
    work: Work, trigger: Mapping[str, Any], due: date, after: int, limit: int
) -> tuple[list[Has], int | None]:
    """Whose tier does not hold from that day on, by the points they have in its window so far."""
    until = due - timedelta(days=trigger["days"])
    later = aliased(TierChange)
    newer = or_(later.at > TierChange.at, and_(later.at == TierChange.at, later.id > TierChange.id))
    own = (
        select(HEAD)
        .select_from(TierChange)
        .join(PointsAccount, PointsAccount.id == TierChange.account_id)
        .join(Person, Person.id == PointsAccount.person_id)
        .where(TierChange.until == until, HEAD.op(">")(after))
        .where(~exists().where(later.account_id == TierChange.account_id, newer))
        .group_by(HEAD)
        .order_by(HEAD)
    )
    ids, following = _portion(work, own, limit)
    because = {"on": "date", "date": TIER_END, "day": until.isoformat()}
    return [Has(one, f"tier:{until.isoformat()}", because) for one in ids if lapses(work, one, until)], following


def lapses(work: Work, person_id: int, until: date) -> bool:
    """Whether somebody's tier, which holds until then, is lost by the points of its window as they are now."""
    scheme = tiers.scheme(work.db)
    ids = accounts.accounts_of(work.db, persons.anchors(work.db, person_id))
    window = tiers.window_of(scheme, until - timedelta(days=1))
    points = tiers.counter(tiers.counting(work.db, ids), work.zone)(window)
    return scheme.reached(points) < scheme.place(tiers.at(work.db, ids, work.now).key)


def _last_order(
    work: Work, trigger: Mapping[str, Any], due: date, after: int, limit: int
) -> tuple[list[Has], int | None]:
    """Who bought on that day and not since."""
    day = due - timedelta(days=trigger["days"])
    begins, midnight = _day(work, day)
    since = aliased(ShopOrder)
    own = (
        select(ShopOrder.person_id)
        .where(ShopOrder.paid_at >= begins, ShopOrder.paid_at < midnight, ShopOrder.person_id > after)
        .where(~exists().where(since.person_id == ShopOrder.person_id, since.paid_at >= midnight))
        .group_by(ShopOrder.person_id)
        .order_by(ShopOrder.person_id)
    )
    ids, following = _portion(work, own, limit)
    because = {"on": "date", "date": LAST_ORDER, "day": day.isoformat()}
    return [Has(one, f"order:{day.isoformat()}", because) for one in ids], following


def _near_points(
    work: Work, trigger: Mapping[str, Any], due: date, after: int, limit: int
) -> tuple[list[Has], int | None]:
    """Who has four fifths of a threshold and not all of it; of those the ones not told of it within thirty days.

    The threshold is the trigger's own, or the price of the cheapest reward that can be had now.
    """
    reward = None if "points" in trigger else cheapest(work)
    points = trigger.get("points") or (reward.points if reward is not None else 0)
    if not points:
        return [], None
    about = f"near:reward-{reward.id}:" if reward is not None else f"near:{points}:"
    least = -(-points * NEAR_PERCENT // 100)
    tree = {
        "all": [
            {"field": "points", "op": ">=", "value": {"points": least}},
            {"field": "points", "op": "<", "value": {"points": points}},
        ]
    }
    fits = segments.condition(tree, segments.question(work.db, work.now, work.zone))
    told = exists().where(
        Enrolment.person_id == Person.id,
        Enrolment.entry_key.startswith(about, autoescape=True),
        Enrolment.began_at > work.now - NEAR_AGAIN,
    )
    own = select(Person.id).where(Person.id > after, fits, ~told).order_by(Person.id)
    ids, following = _portion(work, own, limit)
    because = {"on": "date", "date": NEAR_POINTS, "points": points}
    because |= {"reward": reward.name} if reward is not None else {}
    return [Has(one, f"{about}{due.isoformat()}", because) for one in ids], following


def cheapest(work: Work) -> Reward | None:
    """The cheapest reward of the catalogue that can be had now; of two the older."""
    opens = or_(Reward.from_at.is_(None), Reward.from_at <= work.now)
    open_still = or_(Reward.to_at.is_(None), Reward.to_at > work.now)
    there = or_(Reward.stock.is_(None), Reward.stock > 0)
    own = select(Reward).where(Reward.state == "live", Reward.kind != "donation", Reward.points > 0)
    own = own.where(opens, open_still, there).order_by(Reward.points, Reward.id).limit(1)
    return work.db.scalars(own).one_or_none()


OCCASIONS: Mapping[str, Look] = MappingProxyType(
    {
        BIRTHDAY: _birthdays,
        POINTS_END: _points_end,
        TIER_END: _tier_end,
        LAST_ORDER: _last_order,
        NEAR_POINTS: _near_points,
    }
)
"""Of each day a journey can wait for, who has it."""


# --- asked again when something is said ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Points:
    """What can be said to somebody about their points."""

    available: int
    ends: Sequence[tuple[date, int]]
    """The last day of what dies soon, and how many; the soonest first."""


def points_of(work: Work, person_id: int) -> Points:
    """As they are now, over all that turned out to be them."""
    found = accounts.standing_of(work.db, persons.anchors(work.db, person_id), work.now)
    last = work.now.astimezone(work.zone).date() + timedelta(days=HORIZON_DAYS)
    return Points(found.available, [(day, n) for day, n in found.ends(work.now, work.zone) if day <= last])


def still(work: Work, because: Mapping[str, Any], person_id: int) -> bool:
    """Whether what somebody set out for is still so: the points are there, the tier in danger, the threshold near.

    Nobody is told of points that are gone.
    """
    if because.get("date") == POINTS_END:
        return any(day <= date.fromisoformat(because["day"]) for day, _ in _all_ends(work, person_id))
    if because.get("date") == TIER_END:
        return lapses(work, person_id, date.fromisoformat(because["day"]))
    if because.get("date") == NEAR_POINTS:
        points = points_of(work, person_id).available
        threshold = int(because["points"])
        return threshold * NEAR_PERCENT <= points * 100 and points < threshold
    return True


def _all_ends(work: Work, person_id: int) -> list[tuple[date, int]]:
    found = accounts.standing_of(work.db, persons.anchors(work.db, person_id), work.now)
    return found.ends(work.now, work.zone)


def end_of(work: Work, day: date) -> datetime:
    """The moment at which what has this as its last day is gone."""
    return _day(work, day)[1]


def last_day(at: datetime, work: Work) -> date:
    """The last day of the shop on which something lives that is gone at a moment."""
    return (at - INSTANT).astimezone(work.zone).date()

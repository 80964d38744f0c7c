"""Campaigns of more points (积分加速日): which hold for an order, and how much room their caps and budgets leave.

Counters are rows that are held, in the order of their keys, before the accounts are: two writers neither wait for each
other crosswise nor go past a cap together (I24).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from loyalty import programme
from loyalty.earning import Boost, Earned
from storage.database import changed_rows
from storage.rows import insert_new
from storage.tables import Campaign, PointsCounter
from storage.work import Work

LIVE, PAUSED, ENDED = "live", "paused", "ended"
HOLD = (LIVE, PAUSED, ENDED)
"""One that is paused or has ended still holds for orders of the days before that are told late."""


def holding(db: Session, first: datetime, last: datetime) -> Sequence[Campaign]:
    """Campaigns that can hold at some moment of this time, first and last among them; at which, ``holds`` says."""
    own = select(Campaign).where(Campaign.state.in_(HOLD), Campaign.from_at <= last, Campaign.to_at > first)
    return db.scalars(own.order_by(Campaign.id)).all()


def holds(one: Campaign, at: datetime) -> bool:
    """Whether it held at a moment: when an order was paid, however late that is told."""
    if not one.from_at <= at < one.to_at or (one.paused_at is not None and at >= one.paused_at):
        return False
    return not any(since <= at < until for since, until in pauses(one))


def pauses(one: Campaign) -> list[tuple[datetime, datetime]]:
    """From when to before when it was paused, the one it may be in apart."""
    return [(datetime.fromisoformat(each["from"]), datetime.fromisoformat(each["to"])) for each in one.pauses]


@dataclass
class Used:
    """What is used of the caps that matter for some orders, as these orders leave it."""

    zone: ZoneInfo
    running: Sequence[Campaign]
    used: dict[str, int] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Work, orders: Sequence[tuple[Sequence[int], datetime]]) -> "Used":
        """Hold the counters of these (accounts of the person, time of payment)."""
        if not orders:
            return cls(work.zone, ())
        times = [at for _, at in orders]
        found = cls(work.zone, holding(work.db, min(times), max(times)))
        keys = {key for own, at in orders for account_id in own for key in found.keys(work, account_id, at)}
        found.used = _hold(work.db, sorted(keys))
        found.before = dict(found.used)
        return found

    def keys(self, work: Work, account_id: int, at: datetime) -> Iterable[str]:
        """The counters that one order may move."""
        for one in self.running:
            if holds(one, at):
                if one.budget is not None:
                    yield budget_key(one.id)
                if one.cap is not None:
                    yield _each(one.id, account_id)
        if programme.rules_at(work, at).programme.day_cap is not None:
            yield self.day(account_id, at)

    def day(self, account_id: int, at: datetime) -> str:
        """The counter of an account's day."""
        return f"day:{account_id}:{at.astimezone(self.zone):%Y-%m-%d}"

    def boosts(self, own: Sequence[int], at: datetime, eligible: frozenset[int]) -> list[Boost]:
        """The campaigns that hold for an order of a person, whose accounts share one cap."""
        found = []
        for one in self.running:
            if holds(one, at) and (not one.audience or one.id in eligible):
                limits = ((one.cap, [_each(one.id, each) for each in own]), (one.budget, [budget_key(one.id)]))
                rooms = [most - sum(self.used[key] for key in keys) for most, keys in limits if most is not None]
                room = max(0, min(rooms)) if rooms else None
                found.append(Boost(one.id, one.name, one.multiplier, one.stacks, room))
        return found

    def day_room(self, own: Sequence[int], at: datetime, cap: int | None) -> int | None:
        """What is left of the day's cap, which the accounts of a person share."""
        return None if cap is None else max(0, cap - sum(self.used[self.day(each, at)] for each in own))

    def add(self, account_id: int, at: datetime, earned: Earned) -> None:
        """Count what an order has earned."""
        for campaign_id, points in earned.by_campaign.items():
            self._count(budget_key(campaign_id), points)
            self._count(_each(campaign_id, account_id), points)
        self._count(self.day(account_id, at), earned.total)

    def _count(self, key: str, points: int) -> None:
        if key in self.used:
            self.used[key] += points

    def keep(self, work: Work) -> None:
        """Write down what has changed."""
        for key in sorted(self.used):
            if self.used[key] != self.before[key]:
                own = update(PointsCounter).where(PointsCounter.key == key).values(used=self.used[key])
                work.db.execute(own, execution_options={"synchronize_session": False})


def budget_key(campaign_id: int) -> str:
    """The counter of what a campaign has given to all."""
    return f"campaign:{campaign_id}"


def _each(campaign_id: int, account_id: int) -> str:
    return f"campaign:{campaign_id}:{account_id}"


def _hold(db: Session, keys: Sequence[str]) -> dict[str, int]:
    if not keys:
        return {}
    insert_new(db, PointsCounter, [{"key": key, "used": 0} for key in keys], ["key"], "key")
    own = select(PointsCounter.key, PointsCounter.used).where(PointsCounter.key.in_(keys)).order_by(PointsCounter.key)
    return dict(db.execute(own.with_for_update()).all())


def hold(work: Work, because: Mapping[str, Any], account_id: int) -> list[Campaign]:
    """Hold the counters of the campaigns that gave to an award, before its account is held; those that give back."""
    given = [campaign_id for campaign_id, _ in because.get("by_campaign", ())]
    found = list(work.db.scalars(select(Campaign).where(Campaign.id.in_(given), Campaign.gives_back)))
    _hold(work.db, sorted(key for one in found for key in (budget_key(one.id), _each(one.id, account_id))))
    return found


def give_back(
    work: Work, held: Sequence[Campaign], because: Mapping[str, Any], account_id: int, share: Fraction
) -> None:
    """Let others have what a refund took of a campaign's points: so much of them as of the award was taken.

    A share below nothing is one that came back: they are used again, also beyond a budget that others have used up.
    """
    points = dict(because.get("by_campaign", ()))
    for one in held:
        back = int(share * points[one.id])  # towards nothing, both ways
        for key in (budget_key(one.id), _each(one.id, account_id)):
            own = update(PointsCounter).where(PointsCounter.key == key, PointsCounter.used >= back)
            changed_rows(work.db, own.values(used=PointsCounter.used - back))

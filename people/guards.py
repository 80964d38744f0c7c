"""What evidence alone may not do: join two members who both have something to lose, or half a file at once.

loyalty.md §6.3, §6.4: two with many points, both with orders lately, two with different tiers, a merge storm from one
import.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from people.resolving import Pair, Partition
from storage.tables import Person, PointsAccount, ShopOrder, TierChange
from storage.work import Work

POINTS, ORDERS, TIERS = STAKES = ("points", "orders", "tiers")
"""What is at stake."""
MANY_POINTS = 1000
"""Two accounts with more than that are put together by people, not by evidence."""
LATELY = timedelta(days=30)
FEW = 10
"""So many merges in one batch are never a storm."""
SHARE = 0.01
"""Of what a batch told: more merges stop it."""
MOST_TOGETHER = 10
"""A person of more anchors than that stops a batch."""


@dataclass
class Tally:
    """What one work has joined so far."""

    merges: int = 0
    biggest: int = 0


def tally(work: Work) -> Tally:
    """The tally of this work."""
    return work.found(("merge tally",), Tally)


def storm(work: Work, told: int) -> str | None:
    """Why a batch that told of so many identities must stop and be undone (in words for its report); None: go on.

    Call it before the batch is kept: raise, and the transaction takes everything back.
    """
    so_far = tally(work)
    if so_far.biggest > MOST_TOGETHER:
        return f"{so_far.biggest} 个身份会并成一位客户（超过 {MOST_TOGETHER} 个就停下）"
    if so_far.merges > max(FEW, told * SHARE):
        return f"{told} 行里有 {so_far.merges} 次合并（超过 1% 就停下）：可能是某个默认值"
    return None


def first(work: Work, now: Mapping[int, int], decided: Partition, ties: Collection[Pair]) -> Pair | None:
    """Two people who would become one and are for people to decide: the first such pair of heads; None: there is none.

    ``now`` says of each anchor who speaks for it so far; ``ties`` were decided by somebody already.
    """
    become: dict[int, set[int]] = defaultdict(set)
    for anchor, head in now.items():
        become[decided.head.get(anchor, anchor)].add(head)
    pairs = [pair for heads in become.values() for pair in combinations(sorted(heads), 2)]
    if not pairs:
        return None
    has = _stakes(work, {one for pair in pairs for one in pair}, now)
    said = {tuple(sorted((now.get(a, a), now.get(b, b)))) for a, b in ties}
    for pair in sorted(pairs):
        if pair not in said and has[pair[0]].together(has[pair[1]]):
            return pair
    return None


def at_stake(work: Work, pair: Pair) -> list[str]:
    """What these two heads would put together unseen: of ``STAKES``."""
    own = select(Person.id, func.coalesce(Person.merged_into, Person.id))
    now = dict(work.db.execute(own.where(or_(Person.id.in_(pair), Person.merged_into.in_(pair)))).all())
    has = _stakes(work, pair, now)
    return has[pair[0]].together(has[pair[1]])


@dataclass
class _Stake:
    """What one person has that is not to be put together unseen."""

    points: bool = False
    """Many."""
    orders: bool = False
    """Lately."""
    tiers: set[str] = field(default_factory=set)
    """Above the lowest, as they hold now: what one has becomes the other's."""

    def together(self, other: "_Stake") -> list[str]:
        """What is at stake when the two become one."""
        differ = self.tiers and other.tiers and self.tiers != other.tiers
        found = ((POINTS, self.points and other.points), (ORDERS, self.orders and other.orders), (TIERS, differ))
        return [name for name, both in found if both]


def _stakes(work: Work, heads: Collection[int], now: Mapping[int, int]) -> Mapping[int, _Stake]:
    anchors = {anchor for anchor, head in now.items() if head in heads}
    found = {one: _Stake() for one in heads}
    for anchor in _with_points(work.db, anchors):
        found[now[anchor]].points = True
    bought = select(ShopOrder.person_id).where(ShopOrder.person_id.in_(heads), ShopOrder.paid_at > work.now - LATELY)
    for head in work.db.scalars(bought.distinct()):
        if head is not None:
            found[head].orders = True
    for anchor, tier in _with_tiers(work, anchors):
        found[now[anchor]].tiers.add(tier)
    return found


def _with_points(db: Session, anchors: Collection[int]) -> list[int]:
    has = PointsAccount.available + PointsAccount.pending + PointsAccount.held > MANY_POINTS
    own = select(PointsAccount.person_id).where(PointsAccount.person_id.in_(anchors), has)
    return [one for one in db.scalars(own) if one is not None]


def _with_tiers(work: Work, anchors: Collection[int]) -> list[tuple[int, str]]:
    """Which of these have a tier above the lowest now: the lowest has no end, and others hold until theirs."""
    account, change = PointsAccount, TierChange
    own = select(account.person_id, change.after, change.until).join(change, change.account_id == account.id)
    own = own.where(account.person_id.in_(anchors), change.at <= work.now).order_by(change.at, change.id)
    newest = {anchor: (tier, until) for anchor, tier, until in work.db.execute(own) if anchor is not None}
    today = work.now.astimezone(work.zone).date()
    return [(anchor, tier) for anchor, (tier, until) in newest.items() if until is not None and until > today]

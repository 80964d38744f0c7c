"""A crowd made by chance, kept as plain values and as rows; and the filter tree, evaluated in plain Python."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from insight.fields import BEHAVIOURS, LIFE, REWARDS, TALK
from storage.tables import (
    Channel,
    Department,
    Interaction,
    Interval,
    Member,
    OrderLine,
    Person,
    PersonTag,
    PointsAccount,
    PointsLot,
    PointsLotNow,
    PointsTxn,
    Redemption,
    Relation,
    Reward,
    Segment,
    SegmentMember,
    ShopOrder,
    Tag,
    TierChange,
)

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
TAGS = (1, 2, 3, 4)
CHANNELS = {1: "cDouyin", 2: "cDoor", 3: "cMail"}
REPS = {"lisi": [2], "wangwu": [3, 4], "zhaoliu": [], "sunqi": [5]}
PARENTS = {1: None, 2: 1, 3: 1, 4: 3, 5: 4}
LISTS = (1, 2)
STATES = ("active", "half", "ended_by_rep", "ended_by_customer", "ended_by_both", "transferred", "unknown")
REGIONS = (("江苏", "南京"), ("江苏", "苏州"), ("上海", "上海"), ("浙江", None))
STORES = ("静安店", "徐汇店", "网店")
CATEGORIES = ("咖啡", "豆子", "")
TIERS = ("silver", "gold", "black")
MERGED = 1_000
"""Whoever turned out to be the first of some has this much more in their id."""
SPANS = (0, 1, 7, 29, 30, 31, 90, 400)
"""Days ago at which things happen, to the second or a little beside."""


@dataclass
class Bought:
    """One order: fen."""

    at: datetime
    amount: int
    refunded: int
    store: str
    categories: set[str]


@dataclass
class Lot:
    """Points that came together."""

    points: int
    activates_at: datetime
    expires_at: datetime | None
    notice_days: int
    not_before: datetime | None

    @property
    def ends_at(self) -> datetime | None:
        if self.expires_at is None or not self.notice_days:
            return self.expires_at
        return max(self.expires_at, self.not_before) if self.not_before else None

    def alive(self) -> bool:
        return self.activates_at <= NOW and (self.ends_at is None or self.ends_at > NOW)

    def soon(self, days: int) -> bool:
        """Whether it dies within so many days, by its own day or by when it was told."""
        last = max(one for one in (self.expires_at, self.not_before) if one) if self.expires_at else None
        return self.activates_at <= NOW and last is not None and NOW < last <= NOW + timedelta(days=days)


@dataclass
class Account:
    """Points of one anchor."""

    lots: list[Lot]
    debt: int
    tiers: list[tuple[datetime, str]]
    redeemed: list[tuple[str, datetime, str]] = field(default_factory=list)
    """(kind of the reward, at, state)."""


@dataclass
class Somebody:
    """One person, as plain values."""

    id: int
    life_cycle: str | None
    owner: str | None
    region: tuple[str, str | None] | None
    opted_out: bool
    tags: set[int]
    lists: set[int]
    relations: dict[str, str]
    arrivals: list[tuple[datetime | None, int | None]] = field(default_factory=list)
    lines: list[tuple[str, datetime, str]] = field(default_factory=list)
    """(kind, at, the type in its details)."""
    orders: list[Bought] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    """Their own, and of who turned out to be them."""


def _moment(chance: random.Random) -> datetime:
    return NOW - timedelta(days=chance.choice(SPANS), seconds=chance.choice((0, 0, 1, -1, 3600, 40_000)))


def crowd(seed: int, size: int = 60) -> list[Somebody]:
    """So many people; the first has nothing at all."""
    chance = random.Random(seed)
    found = [Somebody(1, None, None, None, False, set(), set(), {})]
    for number in range(2, size + 1):
        relations = {rep: chance.choice(STATES) for rep in REPS if chance.random() < 0.4}
        one = Somebody(
            number,
            chance.choice((None, *LIFE)),
            chance.choice((None, *REPS)),
            chance.choice((None, *REGIONS)),
            chance.random() < 0.2,
            {tag for tag in TAGS if chance.random() < 0.3},
            {own for own in LISTS if chance.random() < 0.3},
            relations,
        )
        for _ in relations:
            began = None if chance.random() < 0.1 else _moment(chance)
            one.arrivals.append((began, chance.choice((None, *CHANNELS))))
        for _ in range(chance.randrange(8)):
            kind = chance.choice((*BEHAVIOURS, "opened", "kf_event", "kf_in", "kf_in", "note"))
            one.lines.append((kind, _moment(chance), chance.choice(("enter_session", "text"))))
        one.orders = [_bought(chance) for _ in range(chance.choice((0, 0, 1, 2, 4)))]
        one.accounts = [_account(chance) for _ in range(chance.choice((0, 1, 1, 2)))]
        found.append(one)
    return found


def _bought(chance: random.Random) -> Bought:
    amount = chance.choice((0, 100, 9_950, 50_000, 120_000))
    categories = {one for one in CATEGORIES if chance.random() < 0.4}
    return Bought(
        _moment(chance), amount, chance.choice((0, 0, amount // 2, amount)), chance.choice(STORES), categories
    )


def _account(chance: random.Random) -> Account:
    lots = [_lot(chance) for _ in range(chance.randrange(4))]
    changes = [(_moment(chance), chance.choice(TIERS)) for _ in range(chance.choice((0, 0, 1, 2)))]
    states = ("open", "used", "returned", "released")
    redeemed = [(chance.choice(REWARDS), _moment(chance), chance.choice(states)) for _ in range(chance.randrange(4))]
    return Account(lots, chance.choice((0, 0, 0, 30)), changes, redeemed)


def _lot(chance: random.Random) -> Lot:
    expires = None if chance.random() < 0.2 else NOW + timedelta(days=chance.choice((-8, 0, 1, 7, 30, 31, 90)))
    told = expires is not None and chance.random() < 0.5
    not_before = NOW + timedelta(days=chance.choice((-30, -1, 0, 7, 30))) if told else None
    began = NOW - timedelta(days=chance.choice((-3, 0, 40)))
    return Lot(chance.choice((0, 1, 20, 40, 500)), began, expires, chance.choice((0, 7)) if expires else 0, not_before)


def keep(db: Session, people: list[Somebody]) -> None:
    """The same crowd as rows."""
    db.add_all(Department(id=one, name=f"部门{one}", parent_id=parent) for one, parent in PARENTS.items())
    db.add_all(Member(userid=one, name=one, departments=inside) for one, inside in REPS.items())
    db.add_all(Tag(id=one, group_name="组", name=f"标签{one}", created_at=NOW) for one in TAGS)
    db.add_all(Channel(id=one, code=code, name=code, created_at=NOW, changed_at=NOW) for one, code in CHANNELS.items())
    for kind in REWARDS:
        facts = {"points": 1, "stores": [], "days": 1, "state": "live", "made_by": "", "made_at": NOW}
        db.add(Reward(name=kind, kind=kind, **facts))
        db.flush()
    made = {"created_at": NOW, "changed_at": NOW}
    for one in LISTS:
        own = Segment(name=f"名单{one}", kind="static", filter={"all": []}, **made)
        db.add(own)
        db.flush()
        assert own.id == one
    for one in people:
        province, city = one.region or (None, None)
        seen = {"first_seen_at": NOW, "last_seen_at": NOW}
        own = {"province": province, "city": city, "life_cycle": one.life_cycle, "opted_out": one.opted_out}
        db.add(Person(id=one.id, owner=one.owner, **own, **seen))
    db.flush()
    for one in people:
        _keep_one(db, one)
        _keep_points(db, one)
    db.add(ShopOrder(source="till", order_no="nobody's", paid_at=NOW, amount=100, digest="", received_at=NOW))


def _keep_points(db: Session, one: Somebody) -> None:
    for number, order in enumerate(one.orders):
        told = {"source": "till", "order_no": f"{one.id}-{number}", "digest": "", "received_at": NOW}
        own = ShopOrder(person_id=one.id, paid_at=order.at, amount=order.amount, refunded=order.refunded, **told)
        own.store = order.store
        db.add(own)
        db.flush()
        for place, category in enumerate(sorted(order.categories)):
            db.add(OrderLine(order_id=own.id, number=place, category=category, quantity=1000, amount=0))
    for number, account in enumerate(one.accounts):
        if number:
            db.add(Person(id=MERGED + one.id, merged_into=one.id, first_seen_at=NOW, last_seen_at=NOW))
            db.flush()
        _keep_account(db, one.id + number * MERGED, account)


def _keep_account(db: Session, anchor: int, account: Account) -> None:
    row = PointsAccount(person_id=anchor, debt=account.debt, made_at=NOW)
    db.add(row)
    db.flush()
    for number, lot in enumerate(account.lots):
        lot_id = anchor * 100 + number
        txn = {"kind": "award", "key": str(lot_id), "request_hash": "", "actor": "", "content_hash": ""}
        db.add(PointsTxn(id=lot_id, effective_at=NOW, recorded_at=NOW, **txn))
        db.flush()
        facts = {"account_id": row.id, "activates_at": lot.activates_at, "expires_at": lot.expires_at}
        db.add(PointsLot(id=lot_id, txn_id=lot_id, issued=lot.points, origin="purchase", **facts))
        db.flush()
        terms = {"notice_days": lot.notice_days, "not_before": lot.not_before}
        db.add(PointsLotNow(lot_id=lot_id, pending=0, available=lot.points, **facts, **terms))
    for number, (kind, at, state) in enumerate(account.redeemed):
        told = {"code": f"{anchor}-{number}", "key": f"{anchor}-{number}", "points": 1, "until": NOW, "made_by": ""}
        reward_id = REWARDS.index(kind) + 1
        db.add(Redemption(reward_id=reward_id, account_id=row.id, state=state, day=at.date(), made_at=at, **told))
    for at, tier in account.tiers:
        told = {"why": "up", "before": "silver", "points": 0, "recorded_at": NOW}
        db.add(TierChange(account_id=row.id, after=tier, at=at, **told))
        db.flush()


def _keep_one(db: Session, one: Somebody) -> None:
    db.add_all(PersonTag(person_id=one.id, tag_id=tag, source="manual", because="", at=NOW) for tag in one.tags)
    db.add_all(SegmentMember(segment_id=own, person_id=one.id) for own in one.lists)
    for number, ((rep, state), (began, channel)) in enumerate(zip(one.relations.items(), one.arrivals, strict=True)):
        relation = Relation(person_id=one.id, userid=rep, external_userid=f"wm{one.id}", state=state)
        db.add(relation)
        db.flush()
        told = {"userid": rep, "began_at": began, "origin": "arrival", "channel_id": channel}
        db.add(Interval(relation_id=relation.id, number=number + 1, person_id=one.id, **told))
    for number, (kind, at, type_) in enumerate(one.lines):
        once = f"{one.id}:{number}"
        db.add(Interaction(person_id=one.id, kind=kind, at=at, details={"type": type_}, once=once))


# --- the tree, in plain Python ---------------------------------------------------------------------------------------


def fits(tree: Mapping[str, Any], one: Somebody) -> bool:
    """Whether somebody fits a tree."""
    if "all" in tree:
        return all(fits(each, one) for each in tree["all"])
    if "any" in tree:
        return any(fits(each, one) for each in tree["any"])
    if "not" in tree:
        return not fits(tree["not"], one)
    return _leaf(tree["field"], tree["op"], tree.get("value"), one)


def _leaf(name: str, op: str, value: Any, one: Somebody) -> bool:
    if name in ("last_order_days", "orders"):
        moments = [order.at for order in one.orders]
        return _since(op, value, moments) if name == "last_order_days" else _times(op, value, moments)
    if name == "first_order_days":
        return _first(op, value, [order.at for order in one.orders])
    if name == "order_sum":
        lately = [order for order in one.orders if order.at >= NOW - timedelta(days=value["days"])]
        return _compared(op, sum(order.amount - order.refunded for order in lately), value["yuan"] * 100)
    if name == "redemptions":
        some = [each for account in one.accounts for each in account.redeemed if each[0] in value["kinds"]]
        return _times(op, value, [at for _, at, state in some if state in ("open", "used")])
    if name == "order_hours":
        return _times(op, value, [order.at for order in one.orders if _is_at(value, order.at)])
    if name == "points":
        return _compared(op, _left(one, lambda lot: lot.alive()), value["points"])
    if name == "points_expiring":
        return _compared(op, _left(one, lambda lot: lot.soon(value["days"])), value["points"])
    if name in ("arrival_days", "last_talk_days"):
        moments = [at for at, _ in one.arrivals] if name == "arrival_days" else _said(one, TALK)
        return _since(op, value, [at for at in moments if at is not None])
    if name == "messages":
        return _times(op, value, _said(one, TALK))
    if name == "kf_opens":
        return _times(
            op, value, [at for kind, at, type_ in one.lines if (kind, type_) == ("kf_event", "enter_session")]
        )
    if name == "opens":
        return _times(op, value, _said(one, ("opened",)))
    if name == "rhythm":
        return _silent(value, _said(one, TALK))
    if name == "behaviour":
        return _times(op, value, _said(one, value["kinds"]))
    if name == "opted_out":
        return one.opted_out is value
    wanted = value if isinstance(value, list) else [value]
    return any(each in _names(name, one) for each in wanted) is not (op in ("not_in", "has_none"))


def _said(one: Somebody, kinds: Any) -> list[datetime]:
    return [at for kind, at, _ in one.lines if kind in kinds]


def _since(op: str, value: Any, moments: list[datetime]) -> bool:
    if op in ("ever", "never"):
        return bool(moments) is (op == "ever")
    if op == "between":
        first, last = (date.fromisoformat(value[name]) for name in ("from", "to"))
        return any(first <= at.astimezone(ZONE).date() <= last for at in moments)
    edge = NOW - timedelta(days=value)
    if not moments:
        return op == "not_in_last"
    latest = max(moments)
    answers = {"<": latest > edge, "<=": latest >= edge, ">": latest < edge, ">=": latest <= edge}
    return {**answers, "not_in_last": latest < edge}[op]


def _first(op: str, value: Any, moments: list[datetime]) -> bool:
    if op in ("ever", "never", "between") or not moments:
        return _since(op, value, [min(moments)] if moments else [])
    return _since(op, value, [min(moments)])


def _is_at(value: Any, at: datetime) -> bool:
    """Whether an order lies in these hours of these weekdays; those after midnight belong to the evening before."""
    local = at.astimezone(ZONE)
    begins, ends = value["from"], value["to"]
    if begins < ends:
        within, day = begins <= local.hour < ends, local.isoweekday()
    else:
        late = local.hour >= begins
        within, day = late or local.hour < ends, (local if late else local - timedelta(days=1)).isoweekday()
    return within and day in value["weekdays"]


def _left(one: Somebody, counts: Callable[[Lot], bool]) -> int:
    points = sum(lot.points for account in one.accounts for lot in account.lots if counts(lot))
    return max(0, points - sum(account.debt for account in one.accounts))


def _times(op: str, value: Any, moments: list[datetime]) -> bool:
    return _compared(op, sum(at >= NOW - timedelta(days=value["days"]) for at in moments), value["times"])


def _compared(op: str, count: int, number: int) -> bool:
    answers = {"<": count < number, "<=": count <= number, "=": count == number, ">=": count >= number}
    return {**answers, ">": count > number}[op]


def _silent(value: Any, moments: list[datetime]) -> bool:
    lately = [int(at.timestamp()) for at in moments if at >= NOW - timedelta(days=365)]
    days = {at // 86_400 for at in lately}
    if len(days) < 4:
        return False
    silence = NOW.timestamp() - max(lately)
    gap = (max(lately) - min(lately)) / (len(days) - 1)
    return silence >= value["days"] * 86_400 and silence >= value["times"] * gap


def _names(name: str, one: Somebody) -> set[str]:
    """What of this kind can be said of somebody."""
    living = {rep for rep, state in one.relations.items() if state in ("active", "half")}
    if name == "tag":
        return {f"t_{tag}" for tag in one.tags}
    if name == "order_store":
        return {order.store for order in one.orders}
    if name == "order_category":
        return {category for order in one.orders for category in order.categories}
    if name == "tier":
        return {_tier(one)} if one.accounts else set()
    if name == "life_cycle":
        return {one.life_cycle} - {None} if one.life_cycle else set()
    if name == "relation":
        return {_relation(set(one.relations.values()))}
    if name == "channel":
        return {CHANNELS[channel] for _, channel in one.arrivals if channel}
    if name == "store":
        return {f"d_{above}" for rep in living for inside in REPS[rep] for above in _above(inside)}
    if name == "rep":
        return living
    if name == "owner":
        return {one.owner} if one.owner else set()
    if name == "region":
        province, city = one.region or ("", None)
        return ({province} if province else set()) | ({f"{province}/{city}"} if city else set())
    return {f"s_{own}" for own in one.lists}


def _tier(one: Somebody) -> str:
    last = [
        max(enumerate(known), key=lambda pair: (pair[1][0], pair[0]))[1][1]
        for account in one.accounts
        if (known := [change for change in account.tiers if change[0] <= NOW])
    ]
    return max(last, key=TIERS.index, default="silver")


def _relation(states: set[str]) -> str:
    if "active" in states:
        return "active"
    if "half" in states:
        return "half"
    ended = {"ended_by_rep", "ended_by_customer", "ended_by_both", "transferred"}
    return "lost" if states & ended else "new"


def _above(department: int | None) -> set[int]:
    return {department} | _above(PARENTS[department]) if department else set()

"""What the books say of the points of each month, for ``triangle`` and ``accounting``: sums alone, no rows of people.

As of a day: what had been *recorded* by its end, so that the answer is the same whenever it is asked. A month is that
of ``effective_at`` in the shop's time. The lots of one grant and all that came of it (handed on, come back after its
end) are one family and count where they began. The sums are worked out by the database; what comes back are some
numbers a month, however many lots there are.

Of each family the entries sum to nothing: points that were issued are redeemed, taken back, dead or still there.
*Taken back* is what a refund or a correction took unspent, and what paid a debt: a debt stands for points that had been
spent already, and those stay redeemed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    String,
    and_,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from loyalty.expiry import add_months
from loyalty.ledger.book import (
    CLAW_LOSS,
    CLAWED,
    DEBT,
    DONATED,
    EXPIRED,
    HELD,
    ISSUED,
    REDEEMED,
    TRANSIT,
)
from loyalty.liability import holders, policy
from loyalty.liability.policy import Change
from loyalty.liability.triangle import ENOUGH, Cell, Cohort, Era
from storage.database import one_of
from storage.tables import PointsEntry, PointsLot, PointsLotNow, PointsTxn, ShopOrder

PURCHASE, OTHER = KINDS = ("purchase", "other")
"""Points that were sold with something, and those that were given (marketing, compensation, re-issue)."""
FURTHEST = 240
"""Months ahead that are told apart; what dies later dies then."""
NEVER = -1
MOST_PART = (99, 100)
"""Points live as long as this part of them does: one lot that never dies does not make the others immortal."""
Name = tuple[str, ...]
"""Of points that are looked at together: kind, state and tier of who had them when they came in (``holders``)."""
BACK, GONE, OPEN, SET_APART = "back", "gone", "open", "set_apart"
SPENT = (REDEEMED, DONATED)
ENTRY = PointsEntry


@dataclass(frozen=True)
class Sale:
    """What the purchase points of a month were sold with."""

    amount: int = 0
    """Fen, of the orders behind them, as paid."""
    points: int = 0
    """Issued by those orders."""
    unknown: int = 0
    """Issued as purchase points with no order behind them here."""


@dataclass
class Facts:
    """As of the end of a day."""

    as_of: date
    first: date
    """The first month of the books."""
    through: int
    """Months that are over."""
    lives: int | None
    """The last age at which points can be alive; none: they never die."""
    cells: Mapping[str, Cell] = field(default_factory=dict)
    """By kind."""
    splits: Mapping[Name, Cell] = field(default_factory=dict)
    """The same, by kind, state and tier."""
    changes: Sequence[Change] = ()
    """Of policy, the first first."""
    eras: Sequence[Era] = ()
    """What lies between them: at least one."""
    sales: Mapping[date, Sale] = field(default_factory=dict)
    gone: Mapping[tuple[str, date], int] = field(default_factory=dict)
    """Dead and unspent, by kind and month of issue."""

    def month(self, index: int) -> date:
        """The first day of a month, counted from the first."""
        return add_months(self.first, index)

    def index(self, month: date) -> int:
        """Which month it is, counted from the first."""
        return (month.year - self.first.year) * 12 + month.month - self.first.month

    @cached_property
    def complete(self) -> bool:
        """Whether the day is the last of a month."""
        return (self.as_of + timedelta(days=1)).day == 1

    def redeemed_in(self, month: date, issued_by: date, of: Iterable[Name] | None = None) -> int:
        """Redeemed in a month that is over, of points issued up to a day; of these splits, or of all."""
        total, some = 0, self.cells.values() if of is None else [self.splits[one] for one in of if one in self.splits]
        for cell in some:
            for one in cell.cohorts:
                age = self.index(month) - self.index(one.month) + 1
                if one.month <= issued_by and 1 <= age <= one.age:
                    total += one.at(age) - one.at(age - 1)
        return total


# --- asking ----------------------------------------------------------------------------------------------------------


def read(db: Session, as_of: date, zone: ZoneInfo) -> Facts:
    """What the books said at the end of a day (the shop's)."""
    end = _begins(as_of + timedelta(days=1), zone)
    earliest = db.scalar(select(func.min(PointsTxn.effective_at)).where(PointsTxn.recorded_at < end))
    first = (min(earliest, end).astimezone(zone).date() if earliest else as_of).replace(day=1)
    facts = Facts(as_of, first, 0, None)
    facts.through = facts.index(as_of) + facts.complete
    if earliest is None:
        return facts
    starts = [_begins(facts.month(n), zone) for n in range(facts.index(as_of) + 2 + FURTHEST)]
    told, redeemers = _told(db, end, starts)
    facts.lives = _lives(told)
    facts.cells = {kind: _cell(facts, [one for one in told if one.kind == kind], redeemers[kind,]) for kind in KINDS}
    names = sorted({one.name for one in told})
    facts.splits = {name: _cell(facts, [one for one in told if one.name == name], redeemers[name]) for name in names}
    facts.changes = policy.changes(db, end, zone, first)
    facts.eras = _eras(facts, told)
    facts.gone = _gone(facts, told)
    facts.sales = {facts.month(n): sale for n, sale in _sales(db, end, starts).items()}
    return facts


def _begins(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def month_of(at: Any, starts: Sequence[datetime], *, last_alive: bool = False) -> ColumnElement[int]:
    """Which month a moment lies in, counted from the first; ``last_alive``: the last in which what ends then lives.

    Some questions one inside the other, half of the months out with each: no function of either database knows the
    shop's time zone on both.
    """

    def within(low: int, high: int) -> ColumnElement[int]:
        if high - low == 1:
            return literal_column(str(low))
        middle = (low + high) // 2
        before = at <= starts[middle] if last_alive else at < starts[middle]
        return case((before, within(low, middle)), else_=within(middle, high))

    return within(0, len(starts))


def _families() -> Any:
    """Each lot that came of another, with the one it began as."""
    lot, before = PointsLot, aliased(PointsLot)
    grown = select(lot.id.label("lot_id"), lot.origin_lot.label("root_id")).where(lot.origin_lot.is_not(None))
    tree = grown.cte("tree", recursive=True)
    tree = tree.union_all(
        select(tree.c.lot_id, before.origin_lot)
        .join(before, before.id == tree.c.root_id)
        .where(before.origin_lot.is_not(None))
    )
    ends = select(tree.c.lot_id, tree.c.root_id).join(before, before.id == tree.c.root_id)
    return ends.where(before.origin_lot.is_(None)).cte("family")


def _recorded(txn: Any, end: datetime) -> ColumnElement[bool]:
    """Whether it was recorded by then, in words that are no index's: nearly all were, and to look each up is slower."""
    return func.coalesce(txn.recorded_at, txn.effective_at) < end


def _kind(lot: Any) -> ColumnElement[str]:
    return case((lot.origin == PURCHASE, literal_column(f"'{PURCHASE}'")), else_=literal_column(f"'{OTHER}'"))


@dataclass(frozen=True)
class Told:
    """So many points of a cohort."""

    name: Name
    cohort: int
    what: str
    """issued, redeemed, back, gone, open, set_apart."""
    month: int
    """When they were redeemed or taken back; of others the last month they live, or ``NEVER``."""
    amount: int

    @property
    def kind(self) -> str:
        """Purchase or other."""
        return self.name[0]


@dataclass(frozen=True)
class Redeemers:
    """Accounts that have ever spent points of a split: how many, and, where they are few, which."""

    count: int = 0
    who: frozenset[int] = frozenset()


def _told(db: Session, end: datetime, starts: Sequence[datetime]) -> tuple[list[Told], dict[Name, Redeemers]]:
    """What was issued, where it went, and what is there still or died; and who has redeemed.

    Entries that only move points about are not asked for, which spares the database most of them: what came into lots
    and did not go is there. Of lots that are over it is asked what is set apart, for that is not dead. All of it is
    one question, so that who the holders were is worked out once.
    """
    told: list[Told] = []
    left: dict[tuple[Name, int, int, bool], int] = defaultdict(int)
    counts: dict[Name, int] = {}
    who: dict[Name, set[int]] = defaultdict(set)
    for part, kind, state, tier, cohort, what, month, dies, over, account_id, amount in _asked(db, end, starts):
        name: Name = (kind,) if part == "kind" else (kind, state, tier)
        if part in ("kind", "count"):
            counts[name] = int(amount)
        elif part == "few":
            who[name].add(account_id)
        elif part == "issued":
            told.append(Told(name, cohort, ISSUED, dies, int(amount)))
            left[name, cohort, dies, bool(over)] += int(amount)
        else:
            told.append(Told(name, cohort, what, dies if what == SET_APART else month, int(amount)))
            left[name, cohort, dies, bool(over)] -= int(amount)
    told += [Told(name, cohort, GONE if over else OPEN, dies, n) for (name, cohort, dies, over), n in left.items()]
    found = {own: Redeemers(count, frozenset(who[own])) for own, count in counts.items()}
    return told, defaultdict(Redeemers, found)


def _asked(db: Session, end: datetime, starts: Sequence[datetime]) -> Any:
    came, family = holders.came(db, end, _recorded), _families()
    spent = _spenders(came, family, end)
    return db.execute(union_all(_issued(came, end, starts), _went(came, family, end, starts), *_redeemers(spent)))


PART: Mapping[str, Any] = {
    "part": String, "kind": String, "state": String, "tier": String, "cohort": Integer, "what": String,
    "month": Integer, "dies": Integer, "over": Boolean, "account_id": BigInteger, "amount": BigInteger,
}  # fmt: skip
"""The columns of every part of the question; one that a part does not have is null."""


def _as_part(part: str, group_by: Sequence[str], **told: Any) -> Any:
    """A part of the question: these columns, the last of them added up by the others where ``group_by`` says so."""
    columns = {"part": literal_column(f"'{part}'"), **told}
    asked = select(*((cast(null(), type_) if name not in columns else columns[name]).label(name)
                     for name, type_ in PART.items()))  # fmt: skip
    return asked.group_by(*(columns[one] for one in group_by))


def _summed(part: str, rows: Any) -> Any:
    """The rows added up by all of their columns but the amount."""
    told = {one.name: one for one in rows.c if one.name != "amount"}
    return _as_part(part, list(told), **told, amount=cast(func.sum(rows.c.amount), BigInteger))


def _dies(lot: Any, end: datetime, starts: Sequence[datetime]) -> tuple[ColumnElement[int], ColumnElement[bool]]:
    """The last month in which a lot lives, and whether it is over: what was not told of by then still lives.

    One that dies of idleness has no last month, for nobody knows it beforehand. Its end of now says whether it was over
    then: only what was alive has moved.
    """
    open_end = or_(lot.expires_at.is_(None), lot.idle_months.is_not(None))
    last = case((open_end, literal_column(str(NEVER))), else_=month_of(lot.expires_at, starts, last_alive=True))
    kept: Any = select(PointsLotNow.expires_at).where(PointsLotNow.lot_id == lot.id).scalar_subquery()
    ends: Any = case((lot.idle_months.is_(None), lot.expires_at), else_=kept)
    waits: Any = select(literal_column("1")).where(
        PointsLotNow.lot_id == lot.id,
        PointsLotNow.notice_days > 0,
        or_(PointsLotNow.not_before.is_(None), PointsLotNow.not_before > end),
    )
    return last, and_(lot.expires_at.is_not(None), ends <= end, ~waits.exists())


def _issued(came: Any, end: datetime, starts: Sequence[datetime]) -> Any:
    """Of lots that came of no other: month of issue, last month alive, whether over, points."""
    dies, over = _dies(PointsLot, end, starts)
    cohort = month_of(came.c.at, starts[: len(starts) - FURTHEST])
    rows = select(*_name(PointsLot, came), cohort.label("cohort"), dies.label("dies"), over.label("over"),
                  PointsLot.issued.label("amount"))  # fmt: skip
    return _summed("issued", rows.join(came, came.c.lot_id == PointsLot.id).subquery())


def _name(root: Any, came: Any) -> list[Any]:
    return [_kind(root).label("kind"), came.c.state, came.c.tier]


def _went(came: Any, family: Any, end: datetime, starts: Sequence[datetime]) -> Any:
    """Month of issue, what became of them, when, last month alive, whether over, points."""
    lot, root = PointsLot, aliased(PointsLot)
    bucket, upto = ENTRY.bucket.expression, starts[: len(starts) - FURTHEST]
    dies, over = _dies(lot, end, starts)
    what = case((one_of(bucket, SPENT), REDEEMED), (bucket == EXPIRED, GONE), (bucket == HELD, SET_APART), else_=BACK)
    gone = one_of(bucket, (*SPENT, EXPIRED, CLAWED, DEBT, CLAW_LOSS, TRANSIT))
    rows = (
        select(
            *_name(root, came),
            month_of(came.c.at, upto).label("cohort"),
            what.label("what"),
            month_of(PointsTxn.effective_at, upto).label("month"),
            dies.label("dies"),
            over.label("over"),
            ENTRY.amount.label("amount"),
        )
        .join(PointsTxn, PointsTxn.id == ENTRY.txn_id)
        .join(lot, lot.id == ENTRY.lot_id)
        .outerjoin(family, family.c.lot_id == lot.id)
        .join(root, root.id == func.coalesce(family.c.root_id, lot.id))
        .join(came, came.c.lot_id == root.id)
        .where(_recorded(PointsTxn, end), or_(gone, and_(bucket == HELD, over)))
    )
    return _summed("went", rows.subquery())


def _redeemers(spent: Any) -> list[Any]:
    """How many accounts have redeemed, by kind and by kind, state and tier; where they are few, which."""
    name, each = {one: spent.c[one] for one in ("kind", "state", "tier")}, func.count()
    ranked = select(*name.values(), spent.c.account_id, each.over(partition_by=[*name.values()]).label("n"))
    few = ranked.subquery("ranked")
    own = {one: few.c[one] for one in (*name, "account_id")}
    return [
        _as_part("kind", ["kind"], kind=spent.c.kind, amount=func.count(spent.c.account_id.distinct())),
        _as_part("count", list(name), **name, amount=each),
        _as_part("few", [], **own, amount=few.c.n).where(few.c.n < ENOUGH),
    ]


def _spenders(came: Any, family: Any, end: datetime) -> Any:
    """Which accounts have ever spent points of which split."""
    lot, root = PointsLot, aliased(PointsLot)
    asked = (
        select(*_name(root, came), ENTRY.account_id)
        .join(PointsTxn, PointsTxn.id == ENTRY.txn_id)
        .join(lot, lot.id == ENTRY.lot_id)
        .outerjoin(family, family.c.lot_id == lot.id)
        .join(root, root.id == func.coalesce(family.c.root_id, lot.id))
        .join(came, came.c.lot_id == root.id)
        .where(_recorded(PointsTxn, end), one_of(ENTRY.bucket.expression, SPENT), ENTRY.amount > 0)
    )
    return asked.distinct().cte("spent")


def _sales(db: Session, end: datetime, starts: Sequence[datetime]) -> dict[int, Sale]:
    """What the orders behind the purchase points of each month came to, each once."""
    lot, txn, order = PointsLot, PointsTxn, ShopOrder
    own = select(lot.txn_id, func.sum(lot.issued).label("issued"))
    awards = own.where(lot.origin == PURCHASE, lot.origin_lot.is_(None)).group_by(lot.txn_id).subquery()
    source, number = _order_of(db, txn.source)
    known = order.id.is_not(None)
    rows = (
        select(
            month_of(txn.effective_at, starts[: len(starts) - FURTHEST]).label("cohort"),
            func.coalesce(order.amount, 0).label("amount"),
            case((known, awards.c.issued), else_=0).label("points"),
            case((known, 0), else_=awards.c.issued).label("unknown"),
        )
        .select_from(awards)
        .join(txn, txn.id == awards.c.txn_id)
        .outerjoin(order, and_(txn.source.startswith("order:"), order.source == source, order.order_no == number))
        .where(_recorded(txn, end))
        .subquery()
    )
    sums = (func.sum(one) for one in (rows.c.amount, rows.c.points, rows.c.unknown))
    asked = select(rows.c.cohort, *sums).group_by(rows.c.cohort)
    return {cohort: Sale(*map(int, numbers)) for cohort, *numbers in db.execute(asked)}


def _order_of(db: Session, source: Any) -> tuple[ColumnElement[str], ColumnElement[str]]:
    """Source and number of the order that a transaction is about: ``storage.tables.orders.reference``, backwards."""
    rest = func.substr(source, len("order:") + 1)
    at = func.instr(rest, ":") if db.get_bind().dialect.name == "sqlite" else func.strpos(rest, ":")
    own = func.substr(rest, 1, case((at > 0, at - 1), else_=0))
    return func.replace(func.replace(own, "%3A", ":"), "%25", "%"), func.substr(rest, at + 1)


# --- putting together ------------------------------------------------------------------------------------------------


def _lives(told: Sequence[Told]) -> int | None:
    """The age by which all but a hundredth of the points are dead; none where they are not."""
    by_age: dict[int | None, int] = defaultdict(int)
    for one in told:
        if one.what == ISSUED:
            by_age[None if one.month == NEVER else max(1, one.month - one.cohort + 1)] += one.amount
    total, so_far = sum(by_age.values()), 0
    for age in sorted(one for one in by_age if one is not None):
        so_far += by_age[age]
        if so_far * MOST_PART[1] >= total * MOST_PART[0]:
            return age
    return None


def _cell(facts: Facts, told: Sequence[Told], redeemers: Redeemers) -> Cell:
    return Cell(_cohorts(facts, told), redeemers.count, redeemers.who)


def _eras(facts: Facts, told: Sequence[Told]) -> list[Era]:
    """Between the changes of policy; of each how long the points live that came in then."""
    starts = [facts.first, *(one.since for one in facts.changes if one.since > facts.first)]
    bounds: list[tuple[date, date | None]] = [*pairwise(starts), (starts[-1], None)]
    found = []
    for since, until in bounds:
        last = facts.index(until) if until is not None else None
        own = [one for one in told if facts.index(since) <= one.cohort and (last is None or one.cohort < last)]
        found.append(Era(since, until, _lives(own)))
    return found


def _cohorts(facts: Facts, told: Sequence[Told]) -> list[Cohort]:
    some: dict[int, list[Told]] = defaultdict(list)
    for one in told:
        some[one.cohort].append(one)
    return [_cohort(facts, number, some[number]) for number in sorted(some)]


def _cohort(facts: Facts, number: int, told: Sequence[Told]) -> Cohort:
    ages = max(0, facts.through - number)

    def by_age(what: str) -> tuple[tuple[int, ...], int]:
        """In all by each age that is over, and after the last of them."""
        each = [0] * (ages + 1)
        for one in told:
            if one.what == what:
                each[min(max(one.month - number, 0), ages)] += one.amount
        sums = [sum(each[: age + 1]) for age in range(ages)]
        return tuple(sums), each[ages]

    (redeemed, recent), (cancelled, lately) = by_age(REDEEMED), by_age(BACK)
    dies: dict[int | None, int] = defaultdict(int)
    for one in told:
        if one.what in (OPEN, SET_APART) and one.amount:
            dies[None if one.month == NEVER else max(one.month - number + 1, ages + 1)] += one.amount
    issued = sum(one.amount for one in told if one.what == ISSUED)
    alive = {age: points for age, points in dies.items() if points}
    return Cohort(facts.month(number), issued, redeemed, cancelled, recent, lately, alive)


def _gone(facts: Facts, told: Sequence[Told]) -> dict[tuple[str, date], int]:
    found: dict[tuple[str, date], int] = defaultdict(int)
    for one in told:
        if one.what == GONE:
            found[one.kind, facts.month(one.cohort)] += one.amount
    return dict(found)

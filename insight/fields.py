"""Every field a segment can ask about, in one table: ``FIELDS``. A new one is a row there, and nothing elsewhere.

A condition is never NULL for anybody, so that what is not so can always be asked. What hangs on people in many rows is
asked as EXISTS on PostgreSQL, whose planner turns that into whatever join is cheapest. SQLite
does as it is told: IN reads the rows once in the order of an index, which is right for everybody; EXISTS looks once for
each person, which is right for the first page of many.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Exists,
    Integer,
    Select,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from insight.values import (
    AT_LEAST,
    AT_MOST,
    BETWEEN,
    COMPARISONS,
    EQUAL,
    EVER,
    HAS,
    HAS_ANY,
    HAS_NONE,
    IN,
    IS,
    LESS,
    MORE,
    NEVER,
    NOT_IN,
    NOT_IN_LAST,
    Form,
    Names,
    Since,
    Times,
    Yes,
    day,
    number_of,
    numbered,
    words,
)
from storage import shop_settings
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
    PointsLotNow,
    Redemption,
    Relation,
    Reward,
    Segment,
    SegmentMember,
    ShopOrder,
    Tag,
    TierChange,
    has_died,
)
from storage.tables.points import HAS_POINTS

LIFE = PROSPECT, NEW, ACTIVE, LOYAL, DORMANT, LOST = ("prospect", "new", "active", "loyal", "dormant", "lost")
"""潜在 → 新客 → 活跃 → 忠诚 → 沉睡 → 流失; ``insight.lifecycle`` says who is where."""
RELATIONS = ("active", "half", "lost", "new")
"""As ``people.stages`` words them: somebody has them, half, nobody any more, nobody ever."""
LIVING = ("active", "half")
ENDED = ("ended_by_rep", "ended_by_customer", "ended_by_both", "transferred")
TALK = ("kf_in", "forwarded")
"""A customer's own words, as far as they reach us: in 微信客服, and passed on by a rep."""
KF_EVENT, KF_OPENED = "kf_event", "enter_session"
OPENED = "opened"
TIERS_SETTING, FIRST_TIERS = "points_tiers", ("silver", "gold", "black")
"""Where the shop's tiers stand, and those there are before it has set any: the same as ``loyalty.tiers`` says."""
REWARDS = ("goods", "coupon", "experience", "donation")
REDEEMED = ("open", "used")
MAX_YUAN, MAX_POINTS = 10_000_000, 1_000_000_000
YEAR = 365
HOUR, HOURS, DAY_SECONDS, FEN = 3_600, 24, 86_400, 100
THURSDAY = "3"
"""The day of the week, counted from Monday, of 1 January 1970."""
BUYER: Any = ShopOrder.person_id
RHYTHM_DAYS = 4
"""On so many days of a year somebody has to have talked before one may speak of their rhythm."""
BEHAVIOURS = (
    "added",
    "half_added",
    "deleted_by_customer",
    "deleted_by_rep",
    "handed_over",
    "welcomed",
    "kf_in",
    "kf_out",
    "forwarded",
    "group_joined",
    "group_left",
    "opted_out",
    "opted_in",
    "bought",
    "refunded",
    "redeemed",
    "collected",
)
"""Kinds of the story that can be counted."""


@dataclass(frozen=True)
class Question:
    """What a condition is worded for: which database, which moment, which time zone."""

    dialect: str
    now: datetime
    zone: ZoneInfo
    levels: Callable[[], Sequence[str]] = lambda: FIRST_TIERS
    """The shop's tiers, the lowest first."""
    walks: bool = False
    """Whether people are looked at one after the other until a page is full, rather than all of them."""

    @property
    def at_once(self) -> bool:
        """Whether the rows are read once for all people."""
        return self.dialect == "sqlite" and not self.walks

    def ago(self, days: int) -> datetime:
        """So many times 24 hours before now."""
        return self.now - timedelta(days=days)


Build = Callable[[Question, str, Any], ColumnElement[bool]]
Known = Callable[[Session, Collection[Any]], set[Any]]


@dataclass(frozen=True)
class Field:
    """One thing a segment can ask: how it is written, and its condition on ``Person``."""

    name: str
    words: str
    form: Form
    build: Build
    known: Known | None = None
    """Of the things a value names, those that exist; None where the form itself says which there are."""
    own: bool = False
    """Whether it stands on the person itself, so that no other rows are read."""


# --- what a row says of its person -----------------------------------------------------------------------------------


class Has(Exists):
    """That the person has such a row; ``owners`` selects the ids of everybody who has."""

    inherit_cache = True

    def __init__(self, row: Select[Any], owners: Select[Any]) -> None:
        super().__init__(row)
        self.owners = owners


def has(question: Question, person: InstrumentedAttribute[int], *where: ColumnElement[bool]) -> ColumnElement[bool]:
    """That the person has a row that fulfils this."""
    if question.at_once:
        return Person.id.in_(select(person).where(*where))
    row: Select[Any] = select(literal_column("1")).where(person == Person.id, *where)
    return Has(row, select(person).where(*where))


def has_often(
    question: Question, person: InstrumentedAttribute[int], least: int, *where: ColumnElement[bool]
) -> ColumnElement[bool]:
    """That the person has at least so many such rows."""
    if least <= 0:
        return true()
    if least == 1:
        return has(question, person, *where)
    if question.dialect == "sqlite" and question.walks:
        own: Select[Any] = select(literal_column("1")).where(person == Person.id, *where)
        return exists(own.limit(1).offset(least - 1))
    return _among(question, select(person).where(*where).group_by(person).having(func.count() >= least))


def _among(question: Question, owners: Select[Any]) -> ColumnElement[bool]:
    """That the person is among those whose ids a question selects, each once."""
    if question.dialect == "sqlite":
        return Person.id.in_(owners)
    found = owners.subquery()
    return Has(select(literal_column("1")).select_from(found).where(found.c[0] == Person.id), owners)


def _chosen(op: str, value: Any) -> Sequence[Any]:
    return [value] if op in (HAS, IS) else value


def _unless(op: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return not_(condition) if op in (HAS_NONE, NOT_IN) else condition


def _since(
    question: Question,
    op: str,
    value: Any,
    person: InstrumentedAttribute[int],
    at: ColumnElement[Any],
    *where: ColumnElement[bool],
) -> ColumnElement[bool]:
    """When the latest of these rows was; ``between``: whether any was on one of these days."""
    ever = has(question, person, *where, at.is_not(None))
    if op == EVER:
        return ever
    if op == NEVER:
        return not_(ever)
    if op == BETWEEN:
        begins, ends = _bounds(question, value)
        return has(question, person, *where, at >= begins, at < ends)
    edge = question.ago(value)
    within = has(question, person, *where, at > edge if op in (LESS, AT_LEAST) else at >= edge)
    if op in (LESS, AT_MOST):
        return within
    return not_(within) if op == NOT_IN_LAST else and_(ever, not_(within))


def _bounds(question: Question, value: Mapping[str, str]) -> tuple[datetime, datetime]:
    """From the first midnight of the shop to the one after the last day."""
    first, last = day(value["from"]), day(value["to"])
    if first is None or last is None:
        raise ValueError(f"not checked before: {value}")
    begins, ends = (datetime.combine(one, time(), question.zone) for one in (first, last + timedelta(days=1)))
    return begins, ends


def _times(
    question: Question, op: str, value: Any, person: InstrumentedAttribute[int], *where: ColumnElement[bool]
) -> ColumnElement[bool]:
    """How many of these rows there are."""
    return _compared(op, value["times"], lambda least: has_often(question, person, least, *where))


def _compared(op: str, number: int, at_least: Callable[[int], ColumnElement[bool]]) -> ColumnElement[bool]:
    """A comparison of something of which can be asked whether it is at least so much."""
    if op in (AT_LEAST, MORE):
        return at_least(number + (op == MORE))
    few = not_(at_least(number + (op != LESS)))
    return and_(at_least(number), few) if op == EQUAL else few


# --- the conditions --------------------------------------------------------------------------------------------------


def _tag(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    ids = [number_of(one) for one in _chosen(op, value)]
    return _unless(op, has(question, PersonTag.person_id, PersonTag.tag_id.in_(ids)))


def _column(column: InstrumentedAttribute[str | None], question: Question, op: str, value: Any) -> ColumnElement[bool]:
    return _unless(op, and_(column.is_not(None), column.in_(_chosen(op, value))))


def _relation(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    """The same words as ``people.stages``, in which nobody is twice."""

    def some(*states: str) -> ColumnElement[bool]:
        return has(question, Relation.person_id, Relation.state.in_(states))

    active, living, met = some("active"), some(*LIVING), some(*LIVING, *ENDED)
    conditions = {
        "active": active,
        "half": and_(some("half"), not_(active)),
        "lost": and_(some(*ENDED), not_(living)),
        "new": not_(met),
    }
    return _unless(op, or_(false(), *(conditions[one] for one in dict.fromkeys(_chosen(op, value)))))


def _channel(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    codes = select(Channel.id).where(Channel.code.in_(_chosen(op, value)))
    return _unless(op, has(question, Interval.person_id, Interval.channel_id.in_(codes)))


def _rep(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    served = (Relation.userid.in_(_chosen(op, value)), Relation.state.in_(LIVING))
    return _unless(op, has(question, Relation.person_id, *served))


def _store(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    reps = _members_of(question, [number_of(one) for one in _chosen(op, value)])
    return _unless(op, has(question, Relation.person_id, Relation.userid.in_(reps), Relation.state.in_(LIVING)))


def _members_of(question: Question, departments: Sequence[int]) -> Select[Any]:
    """The userids of everybody in these departments and in those below them."""
    below = select(Department.id).where(Department.id.in_(departments)).cte(recursive=True)
    below = below.union(select(Department.id).join(below, Department.parent_id == below.c.id))
    each = func.json_each if question.dialect == "sqlite" else func.json_array_elements_text
    own = each(Member.departments).table_valued("value")
    inside = cast(own.c.value, Integer).in_(select(below.c.id))
    return select(Member.userid).join(own, true()).where(inside)


def _arrival(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    return _since(question, op, value, Interval.person_id, Interval.began_at.expression)


def _talked(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    said = Interaction.kind.in_(TALK)
    return _since(question, op, value, Interaction.person_id, Interaction.at.expression, said)


def _messages(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    lately = (Interaction.kind.in_(TALK), Interaction.at >= question.ago(value["days"]))
    return _times(question, op, value, Interaction.person_id, *lately)


def _kf_opens(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    opened = Interaction.details["type"].as_string() == KF_OPENED
    lately = (Interaction.kind == KF_EVENT, Interaction.at >= question.ago(value["days"]), opened)
    return _times(question, op, value, Interaction.person_id, *lately)


def _opens(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    lately = (Interaction.kind == OPENED, Interaction.at >= question.ago(value["days"]))
    return _times(question, op, value, Interaction.person_id, *lately)


def _behaviour(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    lately = (Interaction.kind.in_(value["kinds"]), Interaction.at >= question.ago(value["days"]))
    return _times(question, op, value, Interaction.person_id, *lately)


def _rhythm(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    """Silent for so many days, and for so many times as long as they usually let pass between two days they talk on.

    Whoever talked on fewer than four days of the last year has no rhythm yet.
    """
    epoch = _epoch(question.dialect, Interaction.at.expression)
    first, last = func.min(epoch), func.max(epoch)
    days = func.count(func.floor(epoch / 86_400.0).distinct())
    now = question.now.timestamp()
    lately = (Interaction.kind.in_(TALK), Interaction.at >= question.ago(YEAR))
    quiet = last <= now - value["days"] * 86_400
    longer = (now - last) * (days - 1) >= value["times"] * (last - first)
    own = select(Interaction.person_id).where(*lately).group_by(Interaction.person_id)
    return _among(question, own.having(days >= RHYTHM_DAYS, quiet, longer))


def _epoch(dialect: str, at: ColumnElement[Any]) -> ColumnElement[int]:
    """A moment in whole seconds since 1970, as a number."""
    return cast(func.strftime("%s", at) if dialect == "sqlite" else func.floor(func.extract("epoch", at)), Integer)


def _region(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    return _unless(op, or_(false(), *(_from(one) for one in _chosen(op, value))))


def _from(region: str) -> ColumnElement[bool]:
    province, _, city = region.partition("/")
    known = and_(Person.province.is_not(None), Person.province == province)
    return and_(known, Person.city.is_not(None), Person.city == city) if city else known


def _list(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    ids = [number_of(one) for one in _chosen(op, value)]
    return _unless(op, has(question, SegmentMember.person_id, SegmentMember.segment_id.in_(ids)))


def _opted_out(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    return Person.opted_out.is_(value)


# --- orders ----------------------------------------------------------------------------------------------------------


OWNED = ShopOrder.person_id.is_not(None)
"""Orders of nobody are left out by name: among the ids of all others, NULL would make every NOT IN unknown."""


def _bought(question: Question, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    return has(question, BUYER, OWNED, *where)


def _last_order(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    return _since(question, op, value, BUYER, ShopOrder.paid_at.expression, OWNED)


def _first_order(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    """When the first order was: nothing before a moment, and something after it."""
    some = partial(_bought, question)
    ever = some()
    if op in (EVER, NEVER):
        return ever if op == EVER else not_(ever)
    if op == BETWEEN:
        begins, ends = _bounds(question, value)
        within = some(ShopOrder.paid_at >= begins, ShopOrder.paid_at < ends)
        return and_(within, not_(some(ShopOrder.paid_at < begins)))
    edge = question.ago(value)
    before = some(ShopOrder.paid_at <= edge if op in (LESS, AT_LEAST) else ShopOrder.paid_at < edge)
    if op in (LESS, AT_MOST):
        return and_(ever, not_(before))
    return or_(before, not_(ever)) if op == NOT_IN_LAST else before


def _orders(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    return _times(question, op, value, BUYER, OWNED, ShopOrder.paid_at >= question.ago(value["days"]))


def _order_sum(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    """What they paid for orders of these days, less what came back of them."""
    own = select(BUYER).where(OWNED, ShopOrder.paid_at >= question.ago(value["days"])).group_by(BUYER)
    total = func.sum(ShopOrder.amount - ShopOrder.refunded)

    def at_least(fen: int) -> ColumnElement[bool]:
        return true() if fen <= 0 else _among(question, own.having(total >= fen))

    return _compared(op, value["yuan"] * FEN, at_least)


def _order_store(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    return _unless(op, _bought(question, ShopOrder.store.in_(_chosen(op, value))))


def _order_category(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    line = exists().where(OrderLine.order_id == ShopOrder.id, OrderLine.category.in_(_chosen(op, value)))
    return _unless(op, _bought(question, line))


def _order_hours(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    """Orders by the shop's weekdays and hours; what is over midnight belongs to the day on which it began."""
    first, last = value["from"], value["to"]
    since = question.ago(value["days"])
    local = _epoch(question.dialect, ShopOrder.paid_at.expression) + _offset(question, since)
    shifted = local - literal_column(str(first * HOUR), Integer)
    day_length = literal_column(str(DAY_SECONDS), Integer)
    weekday = (shifted // day_length + literal_column(THURSDAY, Integer)) % literal_column("7", Integer)
    span = (last - first) % HOURS
    within = [shifted % day_length < literal_column(str(span * HOUR), Integer)] if span else []
    days = weekday.in_([one - 1 for one in value["weekdays"]])
    return _times(question, op, value, BUYER, OWNED, ShopOrder.paid_at >= since, days, *within)


def _offset(question: Question, since: datetime) -> ColumnElement[int]:
    """Seconds by which the shop's clock is ahead of UTC when an order is paid: not the same all the year everywhere."""
    at = question.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    whens: list[tuple[ColumnElement[bool], ColumnElement[int]]] = []
    while at > since:
        before = at - timedelta(days=1)
        ahead = _ahead(question, at)
        if _ahead(question, before) != ahead:
            while _ahead(question, at - timedelta(hours=1)) == ahead:
                at -= timedelta(hours=1)
            whens.append((ShopOrder.paid_at >= at, literal_column(str(ahead), Integer)))
        at = before
    earliest = literal_column(str(_ahead(question, at)), Integer)
    return case(*whens, else_=earliest) if whens else earliest


def _ahead(question: Question, at: datetime) -> int:
    offset = at.astimezone(question.zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


# --- points ----------------------------------------------------------------------------------------------------------


def _points(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    """What they can spend now, as time says, over all that turned out to be them, less what they owe."""
    alive = (PointsLotNow.activates_at <= question.now, not_(has_died(question.now)))
    return _compared(op, value["points"], partial(_has_points, question, alive))


def _points_expiring(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    """What of it dies within so many days; what they owe is taken off."""
    lot, now, edge = PointsLotNow, question.now, question.now + timedelta(days=value["days"])
    ahead = or_(lot.expires_at > now, and_(lot.not_before.is_not(None), lot.not_before > now))
    soon = and_(lot.expires_at <= edge, or_(lot.not_before.is_(None), lot.not_before <= edge))
    return _compared(op, value["points"], partial(_has_points, question, (lot.activates_at <= now, ahead, soon)))


def _has_points(question: Question, where: Sequence[ColumnElement[bool]], least: int) -> ColumnElement[bool]:
    """That what is left of these lots comes to at least so many, debts taken off."""
    if least <= 0:
        return true()
    lot, account, anchor = PointsLotNow, PointsAccount, aliased(Person)
    left = (
        select(lot.account_id, func.sum(lot.pending + lot.available).label("points"))
        .where(literal_column(HAS_POINTS), *where)
        .group_by(lot.account_id)
        .subquery()
    )
    head = func.coalesce(anchor.merged_into, anchor.id)
    own = (
        select(head)
        .select_from(account)
        .outerjoin(left, left.c.account_id == account.id)
        .join(anchor, anchor.id == account.person_id)
        .where(or_(left.c.points.is_not(None), account.debt > 0))
        .group_by(head)
        .having(func.coalesce(func.sum(left.c.points), 0) - func.sum(account.debt) >= least)
    )
    return _among(question, own)


def _redemptions(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    """How many rewards of these kinds they redeemed and did not give back."""
    account, anchor = PointsAccount, aliased(Person)
    head = func.coalesce(anchor.merged_into, anchor.id)
    own = (
        select(head)
        .select_from(Redemption)
        .join(Reward, Reward.id == Redemption.reward_id)
        .join(account, account.id == Redemption.account_id)
        .join(anchor, anchor.id == account.person_id)
        .where(Reward.kind.in_(value["kinds"]), Redemption.state.in_(REDEEMED))
        .where(Redemption.made_at >= question.ago(value["days"]))
        .group_by(head)
    )
    return _compared(
        op, value["times"], lambda least: _among(question, own.having(func.count() >= least)) if least > 0 else true()
    )


def _tier(question: Question, op: str, value: Any) -> ColumnElement[bool]:
    """The highest tier of all that turned out to be them; whoever has an account and no tier yet has the lowest."""
    levels = list(question.levels())
    places = [levels.index(one) for one in _chosen(op, value) if one in levels]
    later, change, account, anchor = aliased(TierChange), TierChange, PointsAccount, aliased(Person)
    newer = or_(later.at > change.at, and_(later.at == change.at, later.id > change.id))
    superseded = exists().where(later.account_id == change.account_id, later.at <= question.now, newer)
    now = (change.account_id == account.id) & (change.at <= question.now) & ~superseded
    rank = case(*[(change.after == one, place) for place, one in enumerate(levels)], else_=0)
    head = func.coalesce(anchor.merged_into, anchor.id)
    own = (
        select(head)
        .select_from(account)
        .join(anchor, anchor.id == account.person_id)
        .outerjoin(change, now)
        .group_by(head)
        .having(func.max(rank).in_(places))
    )
    return _unless(op, _among(question, own))


# --- what exists -----------------------------------------------------------------------------------------------------


def _numbered(
    prefix: str, ids: Callable[[Collection[int]], Select[Any]], db: Session, named: Collection[Any]
) -> set[Any]:
    found = db.scalars(ids([number_of(one) for one in named])).all()
    return {f"{prefix}{one}" for one in found}


def _tags_known(numbers: Collection[int]) -> Select[Any]:
    return select(Tag.id).where(Tag.id.in_(numbers), Tag.deleted_at.is_(None))


def _lists_known(numbers: Collection[int]) -> Select[Any]:
    return select(Segment.id).where(Segment.id.in_(numbers), Segment.kind == "static", Segment.deleted_at.is_(None))


def _departments_known(numbers: Collection[int]) -> Select[Any]:
    return select(Department.id).where(Department.id.in_(numbers))


def _channels_known(db: Session, named: Collection[Any]) -> set[Any]:
    return set(db.scalars(select(Channel.code).where(Channel.code.in_(named), Channel.state != "deleted")))


def _members_known(db: Session, named: Collection[Any]) -> set[Any]:
    return set(db.scalars(select(Member.userid).where(Member.userid.in_(named))))


def _stores_known(db: Session, named: Collection[Any]) -> set[Any]:
    return set(db.scalars(select(ShopOrder.store).where(ShopOrder.store.in_(named)).distinct()))


def _categories_known(db: Session, named: Collection[Any]) -> set[Any]:
    return set(db.scalars(select(OrderLine.category).where(OrderLine.category.in_(named)).distinct()))


def tiers(db: Session) -> Sequence[str]:
    """The keys of the shop's tiers, the lowest first."""
    found = shop_settings.read(db, TIERS_SETTING)
    return [str(one["key"]) for one in found["levels"]] if found else FIRST_TIERS


def _tiers_known(db: Session, named: Collection[Any]) -> set[Any]:
    return set(tiers(db)) & set(named)


def _is_region(value: Any) -> bool:
    province, slash, city = value.partition("/") if isinstance(value, str) else ("", "", "")
    right = all(0 < len(one) <= 30 and one.isprintable() for one in ([province, city] if slash else [province]))
    return right and "/" not in city


CHOOSE = (IS, IN, NOT_IN)
HOLD = (HAS, HAS_ANY, HAS_NONE)
AGO = (LESS, AT_MOST, AT_LEAST, MORE, NOT_IN_LAST, BETWEEN, EVER, NEVER)
ALONE = frozenset({EVER, NEVER})
RIGHT_REGION = "省，或 省/市，例如 江苏 或 江苏/南京"

FIELDS: tuple[Field, ...] = (
    Field(
        "tag",
        "标签",
        Names("tags", HOLD, fits=numbered("t_"), right="标签的编号，例如 t_5", sample="t_5"),
        _tag,
        partial(_numbered, "t_", _tags_known),
    ),
    Field("life_cycle", "生命周期", words(*LIFE, ops=CHOOSE), partial(_column, Person.life_cycle), own=True),
    Field("relation", "关系", words(*RELATIONS, ops=CHOOSE), _relation),
    Field(
        "channel",
        "来自渠道",
        Names("channels", HOLD, right="渠道活码的代码，例如 c7QkWmZ3xYbA", sample="c7QkWmZ3xYbA"),
        _channel,
        _channels_known,
    ),
    Field(
        "store",
        "门店",
        Names("departments", CHOOSE, fits=numbered("d_"), right="部门的编号，例如 d_2", sample="d_2"),
        _store,
        partial(_numbered, "d_", _departments_known),
    ),
    Field("rep", "在联成员", Names("members", CHOOSE, right="成员的 userid", sample="lisi"), _rep, _members_known),
    Field(
        "owner",
        "负责人",
        Names("members", CHOOSE, right="成员的 userid", sample="lisi"),
        partial(_column, Person.owner),
        _members_known,
        own=True,
    ),
    Field("arrival_days", "添加", Since("since", AGO, ALONE), _arrival),
    Field("last_talk_days", "说话", Since("since", AGO, ALONE), _talked),
    Field("messages", "说话条数", Times("times", COMPARISONS), _messages),
    Field("kf_opens", "打开微信客服的次数", Times("times", COMPARISONS), _kf_opens),
    Field("rhythm", "比平时的节奏沉默", Times("times", (AT_LEAST,)), _rhythm),
    Field("opens", "打开链接的次数", Times("times", COMPARISONS), _opens),
    Field("behaviour", "做过的事", Times("times", COMPARISONS, kinds=BEHAVIOURS), _behaviour),
    Field(
        "region",
        "手机号归属地",
        Names("regions", CHOOSE, fits=_is_region, right=RIGHT_REGION, sample="江苏/南京"),
        _region,
        own=True,
    ),
    Field(
        "list",
        "名单",
        Names("lists", CHOOSE, fits=numbered("s_"), right="名单的编号，例如 s_3", sample="s_3"),
        _list,
        partial(_numbered, "s_", _lists_known),
    ),
    Field("last_order_days", "最近一次下单", Since("since", AGO, ALONE), _last_order),
    Field("first_order_days", "第一次下单", Since("since", AGO, ALONE), _first_order),
    Field("orders", "下单次数", Times("times", COMPARISONS), _orders),
    Field("order_sum", "消费金额", Times("times", COMPARISONS, unit="yuan", most=MAX_YUAN), _order_sum),
    Field("order_hours", "下单的星期和钟点", Times("times", COMPARISONS, hours=True), _order_hours),
    Field(
        "order_store",
        "在哪家店买过",
        Names("order_stores", HOLD, right="订单里的门店名，例如 上海静安店", sample="上海静安店"),
        _order_store,
        _stores_known,
    ),
    Field(
        "order_category",
        "买过的类别",
        Names("order_categories", HOLD, right="订单里的类别，例如 咖啡", sample="咖啡"),
        _order_category,
        _categories_known,
    ),
    Field("points", "可用积分", Times("times", COMPARISONS, unit="points", most=MAX_POINTS, dated=False), _points),
    Field(
        "points_expiring",
        "快过期的积分",
        Times("times", COMPARISONS, unit="points", most=MAX_POINTS),
        _points_expiring,
    ),
    Field("redemptions", "换过几次奖品", Times("times", COMPARISONS, kinds=REWARDS), _redemptions),
    Field("tier", "等级", Names("tiers", CHOOSE, right="等级的代号，例如 gold", sample="gold"), _tier, _tiers_known),
    Field("opted_out", "不再接收", Yes("yes", (IS,)), _opted_out, own=True),
)
"""In the order in which they are offered."""
BY_NAME: Mapping[str, Field] = {one.name: one for one in FIELDS}

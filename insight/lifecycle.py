"""The life cycle (生命周期): 潜在 → 新客 → 活跃 → 忠诚 → 沉睡 → 流失, by what is known without orders.

``LADDER`` is the whole of it, read from above: the first rule that holds says where a person is, and why. Its numbers
are the shop's (``Rules``). A sign of life is an arrival, a word, an opened chat, joining a group: what customers do
where we can see it. Private chats between reps and customers never reach us, so nobody is called lost for silence
unless the shop says after how many days.

A job of the timetable looks at everybody each night in portions: ``portion``, ``changes_of``, ``keep``. Journeys read
what changed with ``changes``.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    and_,
    case,
    cast,
    extract,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from insight.fields import ACTIVE, DORMANT, ENDED, KF_EVENT, LIFE, LOST, LOYAL, NEW, PROSPECT, TALK
from insight.values import Fault
from storage import shop_settings
from storage.database import among, packed
from storage.tables import Interaction, Interval, LifecycleChange, Person, Relation, is_head
from storage.work import Work

SETTING = "life_cycle"
SIGNS = ("added", "half_added", *TALK, KF_EVENT, "group_joined")
MOST = {"new_days": 365, "active_days": 365, "loyal_days": 730, "loyal_talks": 365, "lost_days": 3650}


@dataclass(frozen=True)
class Rules:
    """The numbers of the ladder."""

    new_days: int = 30
    """So long somebody is new."""
    active_days: int = 30
    """A sign of life within so many days keeps somebody active."""
    loyal_days: int = 90
    loyal_talks: int = 6
    """On so many days within ``loyal_days`` a loyal customer has talked."""
    lost_days: int = 0
    """Without a sign of life for so long somebody is lost; 0: silence alone never means that."""


class WrongRules(ValueError):
    """What is wrong with the numbers, as ``insight.segments.WrongFilter`` has it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("；".join(f"{place[-1]}：{words}" for place, words in faults))
        self.faults = faults


def rules(db: Session) -> Rules:
    """The shop's numbers."""
    known = {one.name for one in fields(Rules)}
    return Rules(**{name: value for name, value in shop_settings.read(db, SETTING).items() if name in known})


def set_rules(work: Work, wanted: Rules, *, by: str) -> bool:
    """Change the numbers; the next night goes by them. False when they are so already. Raises ``WrongRules``."""
    faults: list[Fault] = []
    for name, value in asdict(wanted).items():
        least = 0 if name == "lost_days" else 1
        if not least <= value <= MOST[name]:
            faults.append(((name,), f"应是 {least}–{MOST[name]} 的整数"))
    if not faults and 0 < wanted.lost_days <= wanted.active_days:
        faults.append((("lost_days",), "要比“多久没有往来算沉睡”更长；不按沉默算流失请填 0"))
    if faults:
        raise WrongRules(faults)
    if wanted == rules(work.db):
        return False
    shop_settings.keep(work.db, SETTING, asdict(wanted), by=by, at=work.now)
    return True


# --- the ladder ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """What the database knows of each person of a portion, as expressions."""

    active: ColumnElement[bool]
    ended: ColumnElement[bool]
    first_at: ColumnElement[datetime]
    last_at: ColumnElement[datetime]
    talks: ColumnElement[int]


@dataclass(frozen=True)
class Known:
    """The same of one person, as values."""

    first_at: datetime
    last_at: datetime
    talks: int


@dataclass(frozen=True)
class Moment:
    """When it is, and by which numbers."""

    rules: Rules
    now: datetime
    zone: ZoneInfo

    def ago(self, days: int) -> datetime:
        """So many times 24 hours before now."""
        return self.now - timedelta(days=days)

    def day(self, at: datetime) -> str:
        """A day of the shop, as it stands in a reason."""
        return f"{at.astimezone(self.zone):%Y-%m-%d}"


@dataclass(frozen=True)
class Rung:
    """One rule of the ladder: where it puts somebody, when it holds, and the reason in words."""

    stage: str
    holds: Callable[[Facts, Moment], ColumnElement[bool]]
    because: Callable[[Known, Moment], str]


LADDER: tuple[Rung, ...] = (
    Rung(
        LOST,
        lambda facts, _: and_(facts.ended, ~facts.active),
        lambda *_: "已经没有成员在联",
    ),
    Rung(
        PROSPECT,
        lambda facts, _: ~facts.active,
        lambda *_: "还没有成员和客户互为好友",
    ),
    Rung(
        LOST,
        lambda facts, at: and_(literal(at.rules.lost_days > 0), facts.last_at < at.ago(at.rules.lost_days)),
        lambda known, at: f"{at.rules.lost_days} 天没有往来，最近一次是 {at.day(known.last_at)}",
    ),
    Rung(
        NEW,
        lambda facts, at: facts.first_at >= at.ago(at.rules.new_days),
        lambda known, at: f"{at.day(known.first_at)} 第一次添加，未满 {at.rules.new_days} 天",
    ),
    Rung(
        LOYAL,
        lambda facts, at: facts.talks >= at.rules.loyal_talks,
        lambda known, at: f"{at.rules.loyal_days} 天里有 {known.talks} 天说过话",
    ),
    Rung(
        ACTIVE,
        lambda facts, at: facts.last_at >= at.ago(at.rules.active_days),
        lambda known, at: f"{at.rules.active_days} 天内有往来，最近一次是 {at.day(known.last_at)}",
    ),
    Rung(
        DORMANT,
        lambda *_: true(),
        lambda known, at: f"{at.rules.active_days} 天没有往来，最近一次是 {at.day(known.last_at)}",
    ),
)


# --- looking ---------------------------------------------------------------------------------------------------------


def portion(db: Session, after: int, most: int, *, only_new: bool = False) -> list[int]:
    """The next people by id; with ``only_new`` those of whom nothing was said yet."""
    own = select(Person.id).where(Person.id > after, is_head()).order_by(Person.id).limit(most)
    return list(db.scalars(own.where(Person.life_cycle.is_(None)) if only_new else own))


@dataclass(frozen=True)
class Change:
    """Somebody whose place is another than it was."""

    person_id: int
    before: str | None
    after: str
    because: str


def changes_of(db: Session, people: Sequence[int], at: Moment) -> list[Change]:
    """Who of these people belongs elsewhere now, and why: one question for all of them."""
    dialect = db.get_bind().dialect.name
    found = db.execute(_changed(dialect, at), {"people": packed(dialect, people)})
    return [_change(one, at) for one in found]


def _change(row: Row[Any], at: Moment) -> Change:
    rung = LADDER[row.rung]
    return Change(row.id, row.life_cycle, rung.stage, rung.because(Known(row.first_at, row.last_at, row.talks), at))


def _changed(dialect: str, at: Moment) -> Any:
    """Everybody of the parameter ``people`` whose first rule that holds leads elsewhere."""
    served = _relations(dialect).subquery()
    came = _arrivals(dialect).subquery()
    signs = _signs(dialect, at).subquery()
    first_at = func.coalesce(came.c.first_at, Person.first_seen_at)
    last_at = func.coalesce(signs.c.last_at, came.c.last_at, Person.first_seen_at)
    talks = func.coalesce(signs.c.talks, 0)
    one = Facts(func.coalesce(served.c.active, 0) == 1, func.coalesce(served.c.ended, 0) == 1, first_at, last_at, talks)
    holds = [(rung.holds(one, at), number) for number, rung in enumerate(LADDER)]
    number = case(*holds, else_=len(LADDER) - 1)
    stage = case(*((condition, LADDER[n].stage) for condition, n in holds), else_=LADDER[-1].stage)
    return (
        select(
            Person.id,
            Person.life_cycle,
            number.label("rung"),
            first_at.label("first_at"),
            last_at.label("last_at"),
            talks.label("talks"),
        )
        .outerjoin(served, served.c.person_id == Person.id)
        .outerjoin(came, came.c.person_id == Person.id)
        .outerjoin(signs, signs.c.person_id == Person.id)
        .where(_ours(dialect, Person.id), or_(Person.life_cycle.is_(None), Person.life_cycle != stage))
        .order_by(Person.id)
    )


def _ours(dialect: str, column: Any) -> ColumnElement[bool]:
    return among(dialect, column.expression, "people")


def _relations(dialect: str) -> Any:
    def any_in(*states: str) -> ColumnElement[int]:
        return func.max(case((Relation.state.in_(states), 1), else_=0))

    own = select(Relation.person_id, any_in("active").label("active"), any_in(*ENDED).label("ended"))
    return own.where(_ours(dialect, Relation.person_id)).group_by(Relation.person_id)


def _arrivals(dialect: str) -> Any:
    began = Interval.began_at
    own = select(Interval.person_id, func.min(began).label("first_at"), func.max(began).label("last_at"))
    return own.where(_ours(dialect, Interval.person_id)).group_by(Interval.person_id)


def _signs(dialect: str, at: Moment) -> Any:
    """The last sign of life of each, and on how many of the shop's days they talked lately."""
    lately = and_(Interaction.kind.in_(TALK), Interaction.at >= at.ago(at.rules.loyal_days))
    days = func.count(case((lately, _day_number(dialect, at))).distinct())
    own = select(Interaction.person_id, func.max(Interaction.at).label("last_at"), days.label("talks"))
    own = own.where(_ours(dialect, Interaction.person_id), Interaction.kind.in_(SIGNS))
    return own.group_by(Interaction.person_id)


def _day_number(dialect: str, at: Moment) -> ColumnElement[int]:
    """The shop's day on which something was, as a number (where clocks change, by their present offset)."""
    offset = at.now.astimezone(at.zone).utcoffset() or timedelta()
    seconds = int(offset.total_seconds())
    if dialect == "sqlite":
        return (cast(func.strftime("%s", Interaction.at), Integer) + seconds) // 86_400
    return func.floor((extract("epoch", Interaction.at) + seconds) / 86_400)


def keep(work: Work, found: Sequence[Change]) -> int:
    """Write these changes down, with their reasons; how many there were. Who was erased meanwhile is left out."""
    ids = [one.person_id for one in found]
    own = select(Person.id).where(Person.id.in_(ids)).order_by(Person.id).with_for_update(key_share=True)
    there = set(work.db.scalars(own))
    kept = [one for one in found if one.person_id in there]
    if kept:
        rows = [{**asdict(one), "at": work.now} for one in kept]
        work.db.execute(insert(LifecycleChange), rows)
        work.db.execute(update(Person), [{"id": one.person_id, "life_cycle": one.after} for one in kept])
    return len(kept)


# --- reading ---------------------------------------------------------------------------------------------------------


def latest(db: Session, person_id: int) -> LifecycleChange | None:
    """How somebody came to be where they are: since when, and why."""
    own = select(LifecycleChange).where(LifecycleChange.person_id == person_id)
    return db.scalars(own.order_by(LifecycleChange.id.desc()).limit(1)).one_or_none()


def history(db: Session, person_id: int, limit: int = 50) -> list[LifecycleChange]:
    """Somebody's way through the life cycle, the newest step first."""
    own = select(LifecycleChange).where(LifecycleChange.person_id == person_id)
    return list(db.scalars(own.order_by(LifecycleChange.id.desc()).limit(limit)))


def changes(
    db: Session, *, after: int, limit: int, to: Collection[str] = (), first: bool = False
) -> list[LifecycleChange]:
    """What changed since this id, the oldest first: what may start a journey. ``to``: only changes to these stages.

    The first that is said of somebody is no change, unless ``first`` asks for it. One job at a time writes them, so
    ids grow in the order in which they appear.
    """
    own = select(LifecycleChange).where(LifecycleChange.id > after)
    own = own.where(LifecycleChange.after.in_(to)) if to else own
    own = own if first else own.where(LifecycleChange.before.is_not(None))
    return list(db.scalars(own.order_by(LifecycleChange.id).limit(limit)))


def spread(db: Session, *where: ColumnElement[bool]) -> dict[str, int]:
    """How many people are at each stage, all of them named; under no name those of whom nothing was said yet."""
    counted = select(Person.life_cycle, func.count()).where(is_head(), *where).group_by(Person.life_cycle)
    found = {stage or "": number for stage, number in db.execute(counted)}
    return {stage: found.get(stage, 0) for stage in (*LIFE, "")}

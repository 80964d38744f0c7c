"""Who sets out: by an event of the story, by coming into a segment or a stage, on a day, by the clock, or by the API.

What was read stands in the database (``Progress``, ``Journey.read_to``, ``JourneyInside``), and every round has a key,
so that reading the same twice lets nobody set out twice. After downtime events of the last days are caught up with;
what comes by the clock comes once, however often it was missed.
"""

from calendar import monthrange
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, exists, func, insert, literal, not_, select
from sqlalchemy.orm import Session

from insight import lifecycle, segments
from outreach import hours
from outreach.journeys import days, desk, goals, rounds, walk
from outreach.journeys import definition as shape
from outreach.journeys.definition import Definition
from outreach.journeys.rounds import Candidate
from storage.database import changed_rows
from storage.tables import (
    Enrolment,
    Interaction,
    Journey,
    JourneyInside,
    LifecycleChange,
    OrderLine,
    Person,
    ShopOrder,
)
from storage.work import Work

PORTION = 500
STALE = timedelta(days=3)
"""Nobody sets out because of something older: after a long outage, or when an old chat is read for the first time."""
PEOPLE_AT_ONCE = 20_000


def let_set_out(
    work: Work, journey: Journey, definition: Definition, candidates: Sequence[Candidate]
) -> list[Enrolment]:
    """Let those of them set out who may, and bring each to the first step."""
    begun = rounds.set_out(work, journey, definition, candidates) if candidates else []
    for enrolment in begun:
        walk.begin(work, enrolment, definition)
    return begun


def _live(db: Session, on: str) -> list[tuple[Journey, Definition]]:
    """Live journeys with this trigger, the most important first."""
    found = [(one, desk.live_definition(db, one)) for one in desk.living(db)]
    return [(one, definition) for one, definition in found if definition and definition["trigger"]["on"] == on]


# --- events of the story ---------------------------------------------------------------------------------------------


def read_story(work: Work, after: int) -> tuple[int, int, int]:
    """Read the next portion of the story: the line it has come to, how many lines concerned journeys, who set out.

    First it ends and wakes rounds there are, then it lets people set out.
    """
    versions = goals.concern(work.db)
    starting = _live(work.db, "event")
    kinds = {kind for one in versions.values() for kind in shape.listens_to(one)}
    kinds |= {kind for _, definition in starting for kind in shape.listens_to(definition)}
    upto = work.db.scalar(select(func.max(Interaction.id))) or after
    own = select(Interaction).where(Interaction.id > after, Interaction.kind.in_(kinds)).order_by(Interaction.id)
    lines = list(work.db.scalars(own.limit(PORTION))) if kinds else []
    begun = 0
    if lines:
        _hold_all(work, {one.person_id for one in lines})
        goals.heed(work, lines, versions)
        begun = sum(
            len(let_set_out(work, one, definition, _who(work, one, definition, lines))) for one, definition in starting
        )
    return (lines[-1].id if len(lines) == PORTION else max(upto, after)), len(lines), begun


def _hold_all(work: Work, people: Collection[int]) -> None:
    """Hold these people before their rounds, as ``walk`` does, so that the two never wait for each other."""
    own = select(Person.id).where(Person.id.in_(people)).order_by(Person.id).with_for_update(key_share=True)
    work.db.execute(own).all()


def _who(work: Work, journey: Journey, definition: Definition, lines: Collection[Interaction]) -> list[Candidate]:
    trigger = definition["trigger"]
    since = max(journey.published_at or work.now, work.now - STALE)
    first = int(journey.read_to.get("after_line", 0))
    return [
        Candidate(
            one.person_id,
            f"line:{one.id}",
            {"on": "event", "kind": one.kind, "line": one.id, "at": one.at.isoformat()},
            one.at,
            one.id,
        )
        for one in lines
        if one.at >= since and one.id > first and is_about(work.db, trigger, one, journey.id)
    ]


def is_about(db: Session, trigger: Any, line: Interaction, journey_id: int = 0) -> bool:
    """Whether a line of a story is what a trigger waits for; what the journey itself gave never is."""
    if line.kind not in trigger["kinds"] and not (shape.EARNED in trigger["kinds"] and _earned(line, journey_id)):
        return False
    if "material" in trigger and line.details.get("material") != trigger["material"]:
        return False
    return _is_such_an_order(db, trigger, line)


def _earned(line: Interaction, journey_id: int) -> bool:
    if line.kind == shape.GIVEN:
        return bool(line.details.get("journey") != journey_id)
    return line.kind == "bought" and bool(line.details.get("points"))


def _is_such_an_order(db: Session, trigger: Any, line: Interaction) -> bool:
    """Whether an order or a refund is as large, from such a store and of such a category as is asked."""
    if "amount" in trigger and Decimal(str(line.details.get("amount", "0"))) < trigger["amount"]:
        return False
    wanted = {name: trigger[name] for name in ("stores", "categories") if name in trigger}
    if not wanted:
        return True
    own = (ShopOrder.source == line.details.get("source"), ShopOrder.order_no == line.details.get("order_no"))
    order = db.scalars(select(ShopOrder).where(*own)).one_or_none()
    if order is None or order.store not in wanted.get("stores", (order.store,)):
        return False
    has = select(OrderLine.order_id).where(OrderLine.order_id == order.id)
    return "categories" not in wanted or db.scalar(has.where(OrderLine.category.in_(wanted["categories"]))) is not None


# --- segments --------------------------------------------------------------------------------------------------------


def of_segments(db: Session) -> list[int]:
    """Journeys that begin with coming into a segment."""
    return [journey.id for journey, _ in _live(db, "segment")]


def look_into_segment(work: Work, journey_id: int, after: int) -> tuple[int | None, int]:
    """One portion of people: who has come in sets out, who has gone is forgotten; where it came to, and how many.

    None: that were all. Whoever was inside before the journey went live sets out only if it says so (``first``).
    """
    journey = work.db.get_one(Journey, journey_id, with_for_update=True)
    definition = desk.live_definition(work.db, journey)
    segment = desk.segment_of(work.db, definition) if definition is not None else None
    if journey.state != desk.LIVE or definition is None or segment is None:
        return None, 0
    upto = work.db.scalar(
        select(Person.id).where(Person.id > after).order_by(Person.id).offset(PEOPLE_AT_ONCE - 1).limit(1)
    )
    asked = segments.question(work.db, work.now, work.zone, paged=10**9)
    here = (Person.id > after, Person.id <= upto) if upto is not None else (Person.id > after,)
    inside = exists().where(JourneyInside.journey_id == journey.id, JourneyInside.person_id == Person.id)
    new = select(Person.id).where(*here, segments.members(segment, asked), not_(inside)).order_by(Person.id)
    if not journey.read_to.get("filled") and not definition["trigger"]["first"]:
        columns = ["journey_id", "person_id"]
        rows = select(literal(journey.id), new.subquery().c.id)
        work.db.execute(insert(JourneyInside).from_select(columns, rows))
        begun, following = 0, upto
    else:
        begun, following = _come_in(work, journey, definition, list(work.db.scalars(new.limit(PORTION))), upto)
    _go_out(work, journey, segment, asked, here)
    if following is None and not journey.read_to.get("filled"):
        journey.read_to = {**journey.read_to, "filled": True}
    return following, begun


def _come_in(
    work: Work, journey: Journey, definition: Definition, new: Sequence[int], upto: int | None
) -> tuple[int, int | None]:
    if not new:
        return 0, upto
    work.db.execute(insert(JourneyInside), [{"journey_id": journey.id, "person_id": one} for one in new])
    because = {"on": "segment", "segment": definition["trigger"]["segment"]}
    begun = len(let_set_out(work, journey, definition, [Candidate(one, "", because, work.now) for one in new]))
    return begun, (new[-1] if len(new) == PORTION else upto)


def _go_out(work: Work, journey: Journey, segment: Any, asked: Any, here: Any) -> int:
    """Who is not inside any more may come in again."""
    still = select(Person.id).where(*here, segments.members(segment, asked))
    places = select(Person.id).where(*here)
    gone = delete(JourneyInside).where(
        JourneyInside.journey_id == journey.id,
        JourneyInside.person_id.in_(places),
        JourneyInside.person_id.not_in(still),
    )
    return changed_rows(work.db, gone)


# --- stages ----------------------------------------------------------------------------------------------------------


def read_stages(work: Work) -> tuple[int, bool]:
    """Let whoever has come to a stage set out, a portion; how many, and whether there are more."""
    begun, more = 0, False
    for journey, definition in _live(work.db, "stage"):
        after = journey.read_to.get("change")
        if after is None:
            after = work.db.scalar(select(func.max(LifecycleChange.id))) or 0
        found = lifecycle.changes(work.db, after=after, limit=PORTION, to=definition["trigger"]["to"], first=True)
        fresh = [one for one in found if one.at >= max(journey.published_at or work.now, work.now - STALE)]
        who = [
            Candidate(
                one.person_id, "", {"on": "stage", "from": one.before, "to": one.after, "why": one.because}, one.at
            )
            for one in fresh
        ]
        begun += len(let_set_out(work, journey, definition, who))
        newest = (
            found[-1].id if len(found) == PORTION else work.db.scalar(select(func.max(LifecycleChange.id))) or after
        )
        journey.read_to = {**journey.read_to, "change": max(newest, after)}
        more = more or len(found) == PORTION
    return begun, more


# --- days and the clock ----------------------------------------------------------------------------------------------


def keep_dates(work: Work) -> tuple[int, bool]:
    """Let whoever has a day that a journey waits for set out: the next such day; how many, and whether there are more.

    Days that were missed are caught up with, up to three.
    """
    for journey, definition in _live(work.db, "date"):
        day = next(_days_due(work, journey, definition), None)
        if day is not None:
            begun = _on_day(work, journey, definition, day)
            journey.read_to = {**journey.read_to, "day": day.isoformat()}
            return begun, True
    return 0, False


def _days_due(work: Work, journey: Journey, definition: Definition) -> Iterator[date]:
    """The days since the last one that was looked at whose time of day has come."""
    at = shape.clock(definition["trigger"]["at"])
    today = work.now.astimezone(work.zone).date()
    known = journey.read_to.get("day")
    published = (journey.published_at or work.now).astimezone(work.zone).date()
    day = date.fromisoformat(known) + timedelta(days=1) if known else published
    day = max(day, today - STALE)
    while day <= today and hours.instant(day, at, work.zone) <= work.now:
        yield day
        day += timedelta(days=1)


def _on_day(work: Work, journey: Journey, definition: Definition, due: date) -> int:
    """Everybody for whose day this one is meant."""
    trigger = definition["trigger"]
    at = hours.instant(due, shape.clock(trigger["at"]), work.zone)
    after: int | None = 0
    begun = 0
    while after is not None:
        some, after = days.who(work, trigger, due, after, PORTION)
        who = [Candidate(one.person_id, one.key, one.because, at) for one in some]
        begun += len(let_set_out(work, journey, definition, who))
    return begun


def keep_schedules(work: Work) -> tuple[int, bool]:
    """Let everybody who fits set out when it is time, a portion; how many, and whether there are more.

    A time that was missed comes once, however many there were.
    """
    begun, more = 0, False
    for journey, definition in _live(work.db, "schedule"):
        turn = _turn(work, journey, definition)
        if turn is None:
            continue
        key, after = turn
        asked = segments.question(work.db, work.now, work.zone, paged=10**9)
        fits = segments.condition(definition["who"], asked)
        own = select(Person.id).where(Person.id > after, fits).order_by(Person.id).limit(PORTION)
        ids = list(work.db.scalars(own))
        who = [Candidate(one, key, {"on": "schedule", "turn": key}, work.now) for one in ids]
        begun += len(let_set_out(work, journey, definition, who))
        kept = {name: value for name, value in journey.read_to.items() if name != "going"}
        journey.read_to = {**kept, **({"turn": key} if len(ids) < PORTION else {"going": [key, ids[-1]]})}
        more = more or len(ids) == PORTION
    return begun, more


def _turn(work: Work, journey: Journey, definition: Definition) -> tuple[str, int] | None:
    """The turn that is due or under way, and after which person it goes on."""
    going = journey.read_to.get("going")
    if going:
        return str(going[0]), int(going[1])
    latest = latest_turn(definition["trigger"], work.now, work)
    if latest is None or latest <= (journey.published_at or work.now):
        return None
    key = f"turn:{latest.astimezone(work.zone):%Y-%m-%d}"
    return None if journey.read_to.get("turn") == key else (key, 0)


def latest_turn(trigger: Any, now: datetime, work: Work) -> datetime | None:
    """The last moment up to now at which this was to begin, within the last month and a bit."""
    at = shape.clock(trigger["at"])
    today = now.astimezone(work.zone).date()
    for back in range(32):
        day = today - timedelta(days=back)
        moment = hours.instant(day, at, work.zone)
        if moment <= now and falls_on(trigger, day):
            return moment
    return None


def falls_on(trigger: Any, day: date) -> bool:
    """Whether a schedule begins on this day; of a day that a month does not have on its last."""
    if trigger["every"] == "day":
        return True
    if trigger["every"] == "week":
        return day.isoweekday() in trigger["days"]
    last = monthrange(day.year, day.month)[1]
    return day.day in trigger["days"] or (day.day == last and any(one > last for one in trigger["days"]))


# --- by the API ------------------------------------------------------------------------------------------------------


def by_api(work: Work, journey: Journey, person: Person, key: str, *, by: str) -> Enrolment | None:
    """Let one person set out at the word of another system; None when they may not, or are on the way.

    Raises ``desk.CannotDo`` for a journey that is not live, or begins otherwise.
    """
    definition = desk.live_definition(work.db, journey)
    if journey.state != desk.LIVE or definition is None:
        raise desk.CannotDo("旅程没有在运行")
    if definition["trigger"]["on"] != "api":
        raise desk.CannotDo("这个旅程不是由接口触发的")
    one = Candidate(
        person.id, f"api:{key}" if key else f"api:{work.now.isoformat()}", {"on": "api", "by": by}, work.now
    )
    begun = let_set_out(work, journey, definition, [one])
    return begun[0] if begun else None

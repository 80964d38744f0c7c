"""A journey on last month: who would have set out, who not and why, and how far they would have come. Changes nothing.

Filters are asked as of now (what tags somebody had a month ago nobody knows), which the page says. The way is walked
for some hundreds of them only; whatever the contact budget would have held up is not in it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import and_, func, select

from insight import segments
from outreach import hours, senders
from outreach.arms import arm_of
from outreach.journeys import days, desk, entries
from outreach.journeys import definition as shape
from outreach.journeys.definition import CARD, END, KF, MASS, Definition, Step
from people import consent, persons
from people.conversations import cannot_send
from storage.tables import Conversation, Interaction, LifecycleChange, Person
from storage.work import Work

DAYS = 30
MOST = 50_000
"""So many beginnings are looked at, the latest."""
WALKED = 300
PORTION = 500
NO_FIT, OPTED_OUT, NO_RELATION, AGAIN = REASONS = ("no_fit", "opted_out", "no_relation", "again")


@dataclass(frozen=True)
class DryRun:
    """What the last thirty days would have been."""

    by_day: Mapping[date, int]
    """How many would have set out on each day of the shop."""
    set_out: int
    left_out: Mapping[str, int]
    """Why others would not: no_fit, opted_out, no_relation, again."""
    walked: int
    """For so many of them the way was walked."""
    steps: Mapping[str, int]
    """Of these, how many come to each step."""
    ways: Mapping[str, int]
    """By which way the first step that says something would reach how many of them now; ``none``: by none."""
    cut_off: bool = False
    """Whether there was more than is looked at."""


@dataclass(frozen=True, slots=True)
class _Begin:
    person_id: int
    key: str
    at: datetime


def dry_run(work: Work, definition: Definition, journey_id: int = 0) -> DryRun:
    """Let the last thirty days happen once more on paper. The definition must have been checked."""
    begins = sorted(islice(_begins(work, definition), MOST), key=lambda one: one.at)
    reasons = _reasons(work, definition, {one.person_id for one in begins})
    left_out: Counter[str] = Counter()
    out: list[_Begin] = []
    before: dict[int, _Begin] = {}
    keys: set[tuple[int, str]] = set()
    for one in begins:
        why = reasons[one.person_id] or _not_again(definition["again"], one, before, keys)
        if why:
            left_out[why] += 1
            continue
        out.append(one)
        before[one.person_id] = one
        keys.add((one.person_id, one.key))
    by_day = Counter(one.at.astimezone(work.zone).date() for one in out)
    sample = out[-WALKED:]
    steps = Counter(step for one in sample for step in _way(work, definition, one, journey_id))
    ways = _ways(work, definition, {one.person_id for one in out})
    days_ = dict(sorted(by_day.items()))
    return DryRun(days_, len(out), dict(left_out), len(sample), steps, ways, len(begins) == MOST)


def _not_again(again: Mapping[str, Any], one: _Begin, before: Mapping[int, _Begin], keys: set[tuple[int, str]]) -> str:
    known = before.get(one.person_id)
    if again["rule"] == shape.EACH:
        return AGAIN if (one.person_id, one.key) in keys else ""
    if known is None:
        return ""
    if again["rule"] == shape.NEVER or one.at - known.at < timedelta(days=again["days"]):
        return AGAIN
    return ""


# --- who begins ------------------------------------------------------------------------------------------------------


def _begins(work: Work, definition: Definition) -> Iterable[_Begin]:
    return _OF_TRIGGERS[definition["trigger"]["on"]](work, definition)


def _by_event(work: Work, definition: Definition) -> Iterator[_Begin]:
    trigger = definition["trigger"]
    kinds = {each for one in trigger["kinds"] for each in shape.LINES_OF.get(one, (one,))}
    own = select(Interaction).where(Interaction.kind.in_(kinds), Interaction.at >= work.now - timedelta(days=DAYS))
    for line in work.db.scalars(own.order_by(Interaction.at.desc()).limit(MOST)):
        if entries.is_about(work.db, trigger, line):
            yield _Begin(line.person_id, f"line:{line.id}", line.at)


def _by_segment(work: Work, definition: Definition) -> Iterator[_Begin]:
    """Who is inside now, as if they had come in today: when somebody came in is not known."""
    segment = desk.segment_of(work.db, definition)
    if segment is not None:
        asked = segments.question(work.db, work.now, work.zone)
        for one in work.db.scalars(select(Person.id).where(segments.members(segment, asked)).limit(MOST)):
            yield _Begin(one, "", work.now)


def _by_stage(work: Work, definition: Definition) -> Iterator[_Begin]:
    own = select(LifecycleChange.person_id, LifecycleChange.at).where(
        LifecycleChange.after.in_(definition["trigger"]["to"]), LifecycleChange.at >= work.now - timedelta(days=DAYS)
    )
    for person_id, at in work.db.execute(own.order_by(LifecycleChange.id.desc()).limit(MOST)):
        yield _Begin(person_id, "", at)


def _by_date(work: Work, definition: Definition) -> Iterator[_Begin]:
    """Whose day it was, by what is known of them now."""
    trigger = definition["trigger"]
    for day in _days(work)[-1:] if trigger["date"] == days.NEAR_POINTS else _days(work):
        at = hours.instant(day, shape.clock(trigger["at"]), work.zone)
        after: int | None = 0
        while after is not None:
            some, after = days.who(work, trigger, day, after, PORTION)
            yield from (_Begin(one.person_id, one.key, at) for one in some)


def _by_schedule(work: Work, definition: Definition) -> Iterator[_Begin]:
    """Who fits now, each time it would have begun."""
    trigger = definition["trigger"]
    turns = [
        hours.instant(day, shape.clock(trigger["at"]), work.zone)
        for day in _days(work)
        if entries.falls_on(trigger, day)
    ]
    asked = segments.question(work.db, work.now, work.zone)
    people = list(work.db.scalars(select(Person.id).where(segments.condition(definition["who"], asked)).limit(MOST)))
    for at in reversed(turns):  # the latest first: of too many the oldest are not looked at
        for one in people:
            yield _Begin(one, f"turn:{at:%Y-%m-%d}", at)


def _by_api(work: Work, definition: Definition) -> Iterator[_Begin]:
    yield from ()  # nobody knows what another system will tell


_OF_TRIGGERS = {
    "event": _by_event,
    "segment": _by_segment,
    "stage": _by_stage,
    "date": _by_date,
    "schedule": _by_schedule,
    "api": _by_api,
}


def _days(work: Work) -> list[date]:
    """The last thirty days of the shop, today included if its time has come."""
    today = work.now.astimezone(work.zone).date()
    return [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]


def _reasons(work: Work, definition: Definition, ids: Iterable[int]) -> dict[int, str]:
    """Of each person why they would not set out; nothing where they would."""
    found: dict[int, str] = {}
    asked = segments.question(work.db, work.now, work.zone, paged=10**9)
    fits = segments.condition(definition["who"], asked)
    everybody = sorted(ids)
    for first in range(0, len(everybody), PORTION):
        some = everybody[first : first + PORTION]
        own = select(Person.id, fits, consent.wanting(), senders.is_lost()).where(Person.id.in_(some))
        for person_id, fitting, wanting, lost in work.db.execute(own):
            words = ((OPTED_OUT, not wanting), (NO_RELATION, lost), (NO_FIT, not fitting))
            found[person_id] = next((why for why, holds in words if holds), "")
    return {one: found.get(one, NO_FIT) for one in everybody}


# --- by which way ----------------------------------------------------------------------------------------------------

NO_WAY = "none"


def _ways(work: Work, definition: Definition, ids: Iterable[int]) -> dict[str, int]:
    """Each person once, by the first way that is open to them now; nothing where no step says anything."""
    step = next((one for one in definition["steps"] if one["do"] == "send"), None)
    if step is None:
        return {}
    found = Counter(dict.fromkeys([*step["ways"], NO_WAY], 0))
    everybody = sorted(ids)
    for first in range(0, len(everybody), PORTION):
        some = everybody[first : first + PORTION]
        chats = select(Conversation).where(Conversation.person_id.in_(some))
        open_to = {one.person_id for one in work.db.scalars(chats) if cannot_send(one, work.now) is None}
        reps = senders.reps_of(work.db, some)
        for one in some:
            opens = {KF: one in open_to, CARD: one in reps, MASS: one in reps}
            found[next((way for way in step["ways"] if opens[way]), NO_WAY)] += 1
    return dict(found)


# --- how far ---------------------------------------------------------------------------------------------------------


def _way(work: Work, definition: Definition, one: _Begin, journey_id: int) -> list[str]:
    """The steps this person would have come to; a goal or an exit on the way ends it."""
    steps = shape.steps_of(definition)
    walked: list[str] = []
    name, at = next(iter(steps), END), one.at
    while name != END and len(walked) < shape.MAX_STEPS:
        if at > work.now or _is_over(work, definition, one, at):
            break
        walked.append(name)
        name, at = _onwards(work, definition, steps[name], one, at, journey_id)
    return walked


def _onwards(
    work: Work, definition: Definition, step: Step, one: _Begin, at: datetime, journey_id: int
) -> tuple[str, datetime]:
    """The next step, and when they would have come to it."""
    after = shape.following(definition, step)
    if step["do"] == "wait":
        return after, at + timedelta(**{name: step[name] for name in ("minutes", "hours", "days") if name in step})
    if step["do"] == "wait_for":
        until = at + timedelta(days=step["days"])
        came = _first(work, one.person_id, step["kinds"], at, until)
        return (str(step.get("then") or after), came) if came else (str(step.get("otherwise") or after), until)
    if step["do"] == "split":
        shares = {str(arm["name"]): int(arm["share"]) for arm in step["arms"]}
        name = arm_of(f"journey:{journey_id}:{step['id']}", persons.public_id(one.person_id), shares)
        return str(next(arm.get("to") for arm in step["arms"] if arm["name"] == name) or after), at
    if step["do"] == "branch":
        return _branch(work, step, one, after), at
    return (END if step["do"] == "end" else after), at


def _branch(work: Work, step: Step, one: _Begin, after: str) -> str:
    asked = segments.question(work.db, work.now, work.zone, paged=10**9)
    for way in step["ways"]:
        fits = select(Person.id).where(Person.id == one.person_id, segments.condition(way["if"], asked))
        if work.db.scalar(fits) is not None:
            return str(way["to"])
    return str(step.get("otherwise") or after)


def _is_over(work: Work, definition: Definition, one: _Begin, at: datetime) -> bool:
    """Whether they had reached the goal, or done what takes them off, before this moment."""
    goal, exits = definition["goal"], definition["exits"]["kinds"]
    reached = goal and _first(
        work, one.person_id, goal["kinds"], one.at, min(at, one.at + timedelta(days=goal["days"]))
    )
    return bool(reached) or bool(exits and _first(work, one.person_id, exits, one.at, at))


def _first(work: Work, person_id: int, kinds: Sequence[str], since: datetime, until: datetime) -> datetime | None:
    """When one of these first happened after a moment, up to another."""
    own = and_(Interaction.person_id == person_id, Interaction.kind.in_(kinds))
    return work.db.scalar(select(func.min(Interaction.at)).where(own, Interaction.at > since, Interaction.at <= until))

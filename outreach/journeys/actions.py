"""What each step of a journey does to one person, inside the transaction of ``walk``.

In the control group a step passes the same gates and says what it would have done. Nothing here calls anybody: a mass
task is held in the contact budget (``waves`` makes it), 微信客服 and tags go through the outbox, a rep's part is a card
or a task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select

from insight import segments
from loyalty import boosts, giving
from loyalty.earning import ONE
from outreach import budget, cards, links, senders
from outreach.arms import CONTROL, GHOSTS, arm_of
from outreach.budget import Rules
from outreach.journeys import days, moments, slots
from outreach.journeys import definition as shape
from outreach.journeys.definition import CARD, END, KF, MASS, Definition, Step
from people import consent, conversations, own_pages, persons, tasks
from people.conversations import CannotSend, Message
from storage.rows import insert_new
from storage.tables import Conversation, Enrolment, Interaction, Journey, Person, StepRun, Tag, Touch, WebhookCall
from storage.work import Work
from tagging import tags
from tagging.tags import Ground

CARD_LIVES = timedelta(days=3)
"""What a rep has not sent by then, nobody waits for any more."""
PATIENCE_HOURS = 72
TOGETHER = timedelta(days=3)
"""Points that die on several days are told of together: one message names them all, and within this time is enough."""
TOLD = "journey"


@dataclass(frozen=True)
class At:
    """Where somebody is."""

    work: Work
    journey: Journey
    definition: Definition
    enrolment: Enrolment
    run: StepRun
    step: Step
    person: Person
    rules: Rules

    @property
    def is_control(self) -> bool:
        """Whether they only walk along."""
        return self.enrolment.arm in GHOSTS

    @property
    def key(self) -> str:
        """Why anything this step does can be done only once: ``e17:s2:1``."""
        return f"e{self.enrolment.id}:{self.run.step}:{self.run.visit}"

    @property
    def wish(self) -> str:
        """The same, as calls, cards and tasks know it."""
        return f"{TOLD}:{self.key}"

    def own_source(self, way: str) -> str:
        """What the touch of this very step is called, by this way: ``journey:5:v1:s2:kf:e17:1``."""
        return f"{self.source}:{way}:e{self.enrolment.id}:{self.run.visit}"

    @property
    def source(self) -> str:
        """What its touches are called: ``journey:5:v1:s2``."""
        return f"journey:{self.journey.id}:v{self.enrolment.version}:{self.run.step}"

    @property
    def onwards(self) -> str:
        """The step that follows when this one says nothing else."""
        return shape.following(self.definition, self.step)


@dataclass(frozen=True)
class Went:
    """The step is behind them."""

    to: str
    outcome: Mapping[str, Any] = field(default_factory=dict)
    touch_id: int | None = None


@dataclass(frozen=True)
class Stays:
    """Not yet."""

    until: datetime
    outcome: Mapping[str, Any] = field(default_factory=dict)


# --- where to --------------------------------------------------------------------------------------------------------


def go_on(at: At) -> Went:
    """Time has passed, or there is nothing to do here."""
    return Went(END if at.step["do"] == "end" else at.onwards)


def waited_for(at: At) -> Went | Stays:
    """What they were waited for came, or its time is over; which of the two, the story says, whoever looks first."""
    deadline = at.run.since + timedelta(days=at.step["days"])
    came = exists().where(
        Interaction.person_id == at.person.id,
        Interaction.kind.in_(at.step["kinds"]),
        Interaction.at >= at.run.since,
        Interaction.at <= deadline,
    )
    if at.work.db.scalar(select(came)):
        return Went(str(at.step.get("then") or at.onwards), {"came": True})
    if at.work.now >= deadline:
        return Went(str(at.step.get("otherwise") or at.onwards), {"came": False})
    return Stays(deadline)


def branch(at: At) -> Went:
    """The first way whose condition holds."""
    asked = segments.question(at.work.db, at.work.now, at.work.zone, paged=10**9)
    for number, way in enumerate(at.step["ways"]):
        fits = select(Person.id).where(Person.id == at.person.id, segments.condition(way["if"], asked))
        if at.work.db.scalar(fits) is not None:
            return Went(str(way["to"]), {"way": number})
    return Went(str(at.step.get("otherwise") or at.onwards), {"way": None})


def split(at: At) -> Went:
    """By the hash of the person: the same way in every round and whoever asks."""
    shares = {str(one["name"]): int(one["share"]) for one in at.step["arms"]}
    name = arm_of(f"journey:{at.journey.id}:{at.run.step}", persons.public_id(at.person.id), shares)
    to = next(one.get("to") for one in at.step["arms"] if one["name"] == name)
    return Went(str(to or at.onwards), {"arm": name})


# --- saying something ------------------------------------------------------------------------------------------------


def send(at: At) -> Went | Stays:
    """Say it by the first way that is open; put off while it is quiet or they heard from us lately, skipped when late.

    How late it may be, and what happens then, is the step's (``late_hours``, ``late``).
    """
    if late := _too_late(at):
        return Went(at.onwards, {"skipped": late})
    if not consent.may_start(at.work.db, at.person.id):
        return Went(at.onwards, {"skipped": "opted_out"})
    if pointless := _pointless(at):
        return Went(at.onwards, {"skipped": pointless})
    budget.hold(at.work.db)
    why: dict[str, str] = {}
    put_off: list[Stays] = []
    for way in at.step["ways"]:
        came = _BY_WAY[way](at)
        if isinstance(came, Went):
            return came
        if isinstance(came, Stays):
            put_off.append(came)
        else:
            why[way] = came
    if not put_off:
        return Went(at.onwards, {"skipped": "no_way", "because": why})
    first = min(put_off, key=lambda one: one.until)
    if first.until > _due(at) + _patience(at):
        return Went(at.onwards, {"skipped": first.outcome.get("waits", "late")})
    return first


def _pointless(at: At) -> str:
    """Why there is nothing to say any more: what they set out for is gone, or was said today of another day."""
    because = at.enrolment.because
    if not days.still(at.work, because, at.person.id):
        return "gone"
    if because.get("date") != days.POINTS_END:
        return ""
    lately = (Touch.at > at.work.now - TOGETHER, Touch.at < at.work.now + TOGETHER, Touch.state.in_(budget.TAKEN))
    others = (
        select(Touch.id)
        .join(StepRun, StepRun.touch_id == Touch.id)
        .join(Enrolment, Enrolment.id == StepRun.enrolment_id)
        .where(Touch.person_id == at.person.id, *lately)
        .where(Enrolment.journey_id == at.journey.id, Enrolment.id != at.enrolment.id)
    )
    return "told" if at.work.db.scalar(others.limit(1)) is not None else ""


def _due(at: At) -> datetime:
    return at.run.began_at or at.run.due_at


def _patience(at: At) -> timedelta:
    return timedelta(hours=at.step.get("late_hours", PATIENCE_HOURS))


def _too_late(at: At) -> str:
    late = at.work.now - _due(at)
    if at.step.get("late") == shape.SKIP and not at.run.outcome and late > moments.GRACE:
        return "late"
    return "late" if late > _patience(at) else ""


def _by_mass(at: At) -> Went | Stays | str:
    """Held for the next wave: WeCom and the rep have one task for everybody who is in it."""
    relation = senders.sender_of(at.work.db, at.person)
    if relation is None:
        return "no_relation"
    clock = shape.clock(at.step["at"]) if "at" in at.step else moments.WAVE_AT
    moment = moments.next_at(at.work, clock, at.rules.quiet)
    if why := _no_room(at, moment):
        return Stays(moments.day_after(at.work, moment, clock, at.rules.quiet), {"waits": why})
    source = f"{at.source}:{moment.astimezone(at.work.zone):%Y%m%d}"
    return _touched(at, MASS, source, moment, relation.userid, relation.external_userid)


def _by_kf(at: At) -> Went | Stays | str:
    """In 微信客服, while its window is open: at most five messages within 48 hours of their last word."""
    if (later := _not_before(at)) is not None:
        return later
    chat = _open_chat(at)
    if chat is None:
        return "no_window"
    if why := _no_room(at, at.work.now):
        return Stays(at.work.now + timedelta(hours=1), {"waits": why})
    text, _ = _personal(at, None)
    if at.is_control:
        return _touched(at, KF, at.own_source(KF), at.work.now, None, chat.external_userid)
    quiet_from = at.rules.quiet.next_start(at.work.now, at.work.zone)
    told = {"journey": at.journey.id}
    try:
        conversations.send(at.work, chat, Message(text), once=at.wish, details=told, before=quiet_from)
    except CannotSend:
        return "no_window"
    return _touched(at, KF, at.own_source(KF), at.work.now, None, chat.external_userid, state=budget.ASKED)


def _open_chat(at: At) -> Conversation | None:
    own = select(Conversation).where(Conversation.person_id == at.person.id)
    chats = at.work.db.scalars(own.order_by(Conversation.last_customer_at.desc().nulls_last()).with_for_update()).all()
    return next((one for one in chats if conversations.cannot_send(one, at.work.now) is None), None)


def _by_card(at: At) -> Went | Stays | str:
    """On the rep's list of today, with the text prepared."""
    if (later := _not_before(at)) is not None:
        return later
    relation = senders.sender_of(at.work.db, at.person)
    if relation is None:
        return "no_relation"
    if why := _no_room(at, at.work.now):
        return Stays(at.work.now + timedelta(hours=4), {"waits": why})
    went = _touched(at, CARD, at.own_source(CARD), at.work.now, relation.userid, relation.external_userid)
    if not at.is_control and went.touch_id is not None:
        made = cards.make(at.work, _card(at, relation.userid, went.touch_id), at.rules)
        if made.card is None:
            at.work.db.delete(at.work.db.get_one(Touch, went.touch_id))
            at.work.db.flush()
            return made.reason
    return went


def _card(at: At, userid: str, touch_id: int) -> cards.Draft:
    text, attachments = _personal(at, userid)
    return cards.Draft(
        userid=userid,
        person_id=at.person.id,
        kind=TOLD,
        source=at.source,
        once=at.wish,
        because=f"旅程“{at.journey.name}”",
        due_at=at.work.now,
        until=at.work.now + CARD_LIVES,
        text=text,
        attachments=attachments,
        rank=at.definition["priority"],
        touch_id=touch_id,
    )


_BY_WAY = {MASS: _by_mass, KF: _by_kf, CARD: _by_card}


def _not_before(at: At) -> Stays | None:
    """Until when it has to wait for the time of day that the step names, or for the end of the quiet hours."""
    now, moment = at.work.now, at.work.now
    if "at" in at.step and not at.run.outcome:
        moment = moments.next_at(at.work, shape.clock(at.step["at"]), at.rules.quiet)
    moment = at.rules.quiet.next_open(moment, at.work.zone)
    return Stays(moment, {"waits": "time"}) if moment > now else None


def _no_room(at: At, moment: datetime) -> str:
    """Why the budget has no room for them at this moment; nothing when it has, or what is less important yields."""
    asked = [("quota", budget.is_used_up(at.rules, moment))]
    asked += [("gap", budget.is_too_soon(at.rules, moment))] if at.rules.gap else []
    own = select(Person.id).where(Person.id == at.person.id)
    why = next((why for why, holds in asked if at.work.db.scalar(own.where(holds)) is not None), "")
    if why and slots.make_room(at.work, at.run, at.person.id, moment, at.rules, really=not at.is_control):
        return ""
    return why


def _touched(
    at: At, way: str, source: str, moment: datetime, userid: str | None, external: str | None, state: str = budget.HELD
) -> Went:
    """Write it into the budget's book, once; in the control group only that it would have been sent."""
    row = {
        "source": source,
        "person_id": at.person.id,
        "way": way,
        "userid": userid,
        "external_userid": external,
        "arm": at.enrolment.arm,
        "state": CONTROL if at.is_control else state,
        "reason": "",
        "at": moment,
        "day": budget.day_of(moment),
    }
    new = insert_new(at.work.db, Touch, [row], ["source", "person_id"])
    own = select(Touch).where(Touch.source == source, Touch.person_id == at.person.id)
    touch = at.work.db.scalars(own).one()
    if not new and touch.state not in budget.TAKEN:
        return Went(at.onwards, {"skipped": "same_day"}, touch.id)
    return Went(at.onwards, {"would": way} if at.is_control else {"did": way, "at": moment.isoformat()}, touch.id)


def _personal(at: At, userid: str | None) -> tuple[str, list[dict[str, Any]]]:
    """Text and attachments with links of the person's own in them, the rep's name, and theirs last.

    Last, so that whoever is called ``{link:7}`` is only called so.
    """
    files = at.step.get("attachments") or ()
    text, attachments = links.personal(at.work, at.step["text"], files, at.person, at.source, userid, again=at.key)
    text = text.replace("{rep}", persons.rep_name(at.work.db, userid) if userid else "")
    text = _about_points(at, text)
    return text.replace("{name}", at.person.name.strip() or "您"), attachments


def _about_points(at: At, text: str) -> str:
    """What a text says of their points, as they are at this moment: amounts by date, the soonest first."""
    if "{me}" in text:
        text = text.replace("{me}", own_pages.address(at.work, at.person) if at.work.home else "")
    if "{points}" not in text and "{expiring}" not in text:
        return text
    found = days.points_of(at.work, at.person.id)
    ends = "、".join(f"{day.month}月{day.day}日 {points:,} 分" for day, points in found.ends)
    return text.replace("{points}", f"{found.available:,}").replace("{expiring}", ends)


# --- doing something -------------------------------------------------------------------------------------------------


def task(at: At) -> Went:
    """A task for the rep who answers for them: she is reminded, the customer hears nothing."""
    relation = senders.sender_of(at.work.db, at.person)
    if relation is None:
        return Went(at.onwards, {"skipped": "no_relation"})
    if at.is_control:
        return Went(at.onwards, {"would": "task"})
    due_at = at.work.now + timedelta(days=at.step.get("days", 0))
    text = at.step["text"].replace("{name}", at.person.name)[: tasks.LONGEST]
    try:
        tasks.make(at.work, relation.userid, text, due_at, person=at.person, once=at.wish)
    except ValueError:
        return Went(at.onwards, {"skipped": "rep_full"})
    return Went(at.onwards, {"did": "task"})


def tag(at: At) -> Went:
    """Put tags on them, or take them off."""
    if at.is_control:
        return Went(at.onwards, {"would": "tag"})
    because = f"旅程“{at.journey.name}”"
    for own in _tags(at, "add"):
        tags.give(at.work, at.person, own, Ground("journey", because, source_id=f"journey:{at.journey.id}"))
    for own in _tags(at, "remove"):
        tags.take_away(at.work, at.person, own)
    return Went(at.onwards, {"did": "tag"})


def _tags(at: At, name: str) -> list[Tag]:
    ids = [int(one.removeprefix("t_")) for one in at.step.get(name) or ()]
    own = select(Tag).where(Tag.id.in_(ids), Tag.deleted_at.is_(None)).order_by(Tag.id)
    return list(at.work.db.scalars(own)) if ids else []


def give(at: At) -> Went:
    """Give them points, once; as many in a day as the shop's limits let one hand give."""
    if at.is_control:
        return Went(at.onwards, {"would": "give"})
    points, journey = int(at.step["points"]), f"journey:{at.journey.id}"
    asked = giving.Gift(at.person.id, points, journey, at.wish, str(at.step["reason"]))
    if not giving.give(at.work, asked):
        return Went(at.onwards, {"skipped": "points_budget"})
    told = {"points": points, "journey": at.journey.id, "because": str(at.step["reason"])}
    persons.tell(at.work, at.person.id, shape.GIVEN, at.work.now, once=f"{shape.GIVEN}:{at.key}", details=told)
    return Went(at.onwards, {"did": "give"})


def boost(at: At) -> Went:
    """Give them points for more, for one order within so many days; of the day's budget it takes all it can bring."""
    if at.is_control:
        return Went(at.onwards, {"would": "boost"})
    times, cap, lives = (int(at.step[name]) for name in ("times", "cap", "days"))
    source = f"journey:{at.journey.id}"
    if not giving.room(at.work, source, cap):
        return Went(at.onwards, {"skipped": "points_budget"})
    given = boosts.Given(f"{times} 倍积分券", times * ONE, cap, lives, source)
    boosts.give(at.work, at.person.id, at.wish, given)
    told = {"times": times, "cap": cap, "until": (at.work.now + timedelta(days=lives)).isoformat()}
    told |= {"journey": at.journey.id}
    persons.tell(at.work, at.person.id, shape.BOOSTED, at.work.now, once=f"{shape.BOOSTED}:{at.key}", details=told)
    return Went(at.onwards, {"did": "boost"})


def webhook(at: At) -> Went:
    """Tell a system of the shop's; the call is made outside this transaction, and repeated until it is taken."""
    if at.is_control:
        return Went(at.onwards, {"would": "webhook"})
    body = {
        "type": "journey.step",
        "journey": f"j_{at.journey.id}",
        "step": at.run.step,
        "customer": persons.public_id(at.person.id),
        "at": at.work.now.isoformat(),
    }
    row = {
        "once": at.wish,
        "person_id": at.person.id,
        "url": at.step["url"],
        "body": body,
        "state": "waiting",
        "tries": 0,
        "due_at": at.work.now,
        "outcome": "",
        "made_at": at.work.now,
    }
    insert_new(at.work.db, WebhookCall, [row], ["once"])
    return Went(at.onwards, {"did": "webhook"})

"""A rep's day (今日清单): whom to turn to, in a stated order, each with the reason of its place.

The rule, as the pages say it too: mass tasks to confirm stand above everything; then each customer once, however many
reasons there are, at the place of the most urgent one (``PLACES``); within a place the longer waits first, of cards the
bigger rank. Customers who wait in 微信客服 and tasks she made herself are never left out; of customers with nothing but
cards so many a day, and one she has dealt with rests (``people.rep_rules``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from types import MappingProxyType

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from outreach import cards, hours, occasions
from people import consent, rep_rules, tasks
from people.access import Sight
from people.conversations import HUMAN, WINDOW
from people.rep_rules import RepRules
from storage.tables import CalendarDay, Conversation, MassTask, Person, RepCard, Task
from storage.work import Work

WAITING, OVERDUE, DUE = "waiting", "overdue", "due"
OPENED, JOURNEY = "opened", "journey"
PLACES: Mapping[str, str] = MappingProxyType(
    {
        WAITING: "客户在微信客服里等你回复",
        OVERDUE: "你记的待办已过时间",
        DUE: "你记的待办今天到时间",
        OPENED: "客户打开了你发的内容",
        occasions.BIRTHDAY: "客户今天生日",
        JOURNEY: "旅程安排的一步",
        occasions.POINTS: "客户的积分快过期",
        occasions.NEW: "新加的客户还没聊过",
        occasions.QUIET: "很久没有往来",
    }
)
"""Why something stands where it stands, the most urgent first. A card of another kind stands with JOURNEY."""
ORDER = {kind: place for place, kind in enumerate(PLACES)}
TASKS = 100


@dataclass(frozen=True)
class Reason:
    """One reason to turn to somebody."""

    kind: str
    words: str
    since: datetime
    """Since when it stands: the longer, the earlier it comes."""
    rank: int = 50
    card: RepCard | None = None
    task: Task | None = None
    chat_id: int = 0

    @property
    def place(self) -> tuple[int, int, datetime]:
        """Where it stands; smaller first."""
        return ORDER.get(self.kind, ORDER[JOURNEY]), -self.rank, self.since


@dataclass(frozen=True)
class Entry:
    """One customer of the list (or a task about nobody), with every reason, the most urgent first."""

    person: Person | None
    reasons: Sequence[Reason]

    @property
    def why_here(self) -> str:
        """Why it stands where it stands."""
        return PLACES.get(self.reasons[0].kind, PLACES[JOURNEY])

    @property
    def card(self) -> RepCard | None:
        """The card to act on: the most urgent one."""
        return next((one.card for one in self.reasons if one.card is not None), None)

    @property
    def only_cards(self) -> bool:
        """Whether nothing but cards speaks for it, so that it counts towards the day's most."""
        return all(one.card is not None for one in self.reasons)


@dataclass(frozen=True)
class DayList:
    """One rep's list."""

    entries: Sequence[Entry]
    mass: Sequence[MassTask]
    """Tasks to confirm in WeCom's 群发助手."""
    left: int = 0
    """Customers with cards for whom there is no room today."""
    dealt_with: int = 0
    """Customers with cards she has dealt with today."""
    rules: RepRules = field(default_factory=RepRules)

    @property
    def mass_people(self) -> int:
        """How many customers and groups receive those."""
        return sum(one.size for one in self.mass)

    def __bool__(self) -> bool:
        return bool(self.entries or self.mass)


def of(work: Work, userid: str) -> DayList:
    """The list of this rep now. Changes nothing."""
    rules = rep_rules.rules(work.db)
    entries = _merged(work, userid, [*_waiting(work, userid), *_tasks(work, userid), *_cards(work, userid, rules)])
    dealt_with = _dealt_with(work, userid)
    room, kept, left = rules.most - dealt_with, [], 0
    for one in entries:
        if one.only_cards and room <= 0:
            left += 1
            continue
        room -= one.only_cards
        kept.append(one)
    return DayList(kept, _mass(work.db, userid), left, dealt_with, rules)


def seen(work: Work, found: DayList) -> None:
    """The rep has it before her: no card on it is taken from under her hands (``outreach.journeys.slots``)."""
    for entry in found.entries:
        if entry.card is not None:
            entry.card.shown_at = entry.card.shown_at or work.now


def _merged(work: Work, userid: str, found: Sequence[tuple[int | None, Reason]]) -> list[Entry]:
    """Each customer once; tasks about nobody each for themselves."""
    of_person: dict[object, list[Reason]] = {}
    for person_id, reason in found:
        of_person.setdefault(person_id or ("task", id(reason)), []).append(reason)
    ids = [one for one in of_person if isinstance(one, int)]
    people = {one.id: one for one in work.db.scalars(select(Person).where(Person.id.in_(ids), _sees(userid)))}
    entries = [
        Entry(people.get(key) if isinstance(key, int) else None, sorted(some, key=lambda one: one.place))
        for key, some in of_person.items()
    ]
    return sorted(entries, key=lambda one: one.reasons[0].place)


def _sees(userid: str) -> ColumnElement[bool]:
    """The condition on ``Person`` that holds for those this rep may see: her customers, and whose chat she has."""
    hers = exists().where(Conversation.person_id == Person.id, Conversation.servicer == userid)
    return Sight(everybody=False, userids=frozenset({userid})).people() | hers


def _end_of_day(work: Work) -> datetime:
    return hours.instant(_today(work) + timedelta(days=1), time(), work.zone)


def _today(work: Work) -> date:
    return work.now.astimezone(work.zone).date()


def _waiting(work: Work, userid: str) -> list[tuple[int | None, Reason]]:
    """Customers whose last word in 微信客服 this servicer has not answered."""
    asked = select(Conversation).where(is_waiting(work.now), Conversation.servicer == userid)
    return [
        (one.person_id, Reason(WAITING, "", one.last_customer_at or work.now, chat_id=one.id))
        for one in work.db.scalars(asked.order_by(Conversation.last_customer_at).limit(TASKS))
    ]


def is_waiting(now: datetime) -> ColumnElement[bool]:
    """The condition on ``Conversation`` that holds where a servicer has it and the customer waits."""
    unanswered = or_(Conversation.answered_at.is_(None), Conversation.answered_at < Conversation.last_customer_at)
    return (Conversation.state == HUMAN) & (Conversation.last_customer_at > now - WINDOW) & unanswered


def _tasks(work: Work, userid: str) -> list[tuple[int | None, Reason]]:
    """Her own tasks that are due by the end of the day; of those about somebody who wants to hear nothing, none."""
    found = []
    for one in tasks.open_of(work.db, userid, until=_end_of_day(work), limit=TASKS, withheld=False):
        if one.due_at is not None:
            kind = OVERDUE if one.due_at <= work.now else DUE
            found.append((one.person_id, Reason(kind, one.text, one.due_at, task=one)))
    return found


def _cards(work: Work, userid: str, rules: RepRules) -> list[tuple[int | None, Reason]]:
    """Her cards that are due, without customers she has just dealt with."""
    asked = (
        select(RepCard)
        .join(Person, Person.id == RepCard.person_id)
        .where(RepCard.userid == userid, *cards.due(work.now), *cards.may_show())
    )
    if rules.gap_days:
        asked = asked.where(~_dealt_with_since(hours.instant(_rest_from(work, rules), time(), work.zone)))
    rows = work.db.scalars(asked.order_by(RepCard.due_at, RepCard.id))
    return [(one.person_id, Reason(one.kind, one.because, one.due_at, one.rank, card=one)) for one in rows]


def _rest_from(work: Work, rules: RepRules) -> date:
    return _today(work) - timedelta(days=rules.gap_days - 1)


def _dealt_with_since(moment: datetime) -> ColumnElement[bool]:
    """The condition on ``RepCard`` that holds where the rep has dealt with another card about this customer."""
    other = aliased(RepCard)
    return exists().where(
        other.person_id == RepCard.person_id,
        other.userid == RepCard.userid,
        other.state.in_((cards.DONE_BY_TAP, cards.DONE)),
        other.ended_at >= moment,
    )


def _dealt_with(work: Work, userid: str) -> int:
    today = hours.instant(_today(work), time(), work.zone)
    own = (RepCard.userid == userid, RepCard.ended_at >= today, RepCard.ended_by.is_not(None))
    return work.db.scalars(select(func.count(func.distinct(RepCard.person_id))).where(*own)).one()


def _mass(db: Session, userid: str) -> Sequence[MassTask]:
    own = (MassTask.userid == userid, MassTask.state == "made", MassTask.confirmed_at.is_(None))
    return db.scalars(select(MassTask).where(*own).order_by(MassTask.confirm_by, MassTask.id)).all()


# --- whose day has something in it -----------------------------------------------------------------------------------


def reps_with_something(work: Work) -> set[str]:
    """The userids of whoever may have a list that is not empty."""
    ready = select(RepCard.userid).join(Person, Person.id == RepCard.person_id)
    ready = ready.where(*cards.due(work.now), consent.wanting()).distinct()
    due = select(Task.userid).where(Task.state == "open", Task.due_at < _end_of_day(work)).distinct()
    mass = select(MassTask.userid).where(MassTask.state == "made", MassTask.confirmed_at.is_(None)).distinct()
    chats = select(Conversation.servicer).where(is_waiting(work.now)).distinct()
    return {str(one) for question in (ready, due, mass, chats) for one in work.db.scalars(question) if one}


def is_working_day(work: Work) -> bool:
    """Whether the shop's calendar calls today a working day."""
    day = _today(work)
    kind = work.db.scalar(select(CalendarDay.kind).where(CalendarDay.day == day))
    return hours.is_working(day, {day: kind} if kind else {})

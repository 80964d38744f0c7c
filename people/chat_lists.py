"""Chats of 微信客服 for people to read: lists, one chat's lines, how quickly answers came, how satisfied they were.

Response times here are measured by us, to the second, from the messages themselves; WeCom's own daily figures of reps
(``RepDay``) are another thing and never shown as this. What a chat allows to say is in ``people.conversations``.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from sqlalchemy import (
    ColumnElement,
    Float,
    Row,
    case,
    cast,
    extract,
    func,
    or_,
    select,
    text,
    tuple_,
    union,
)
from sqlalchemy.orm import Session

from people.access import Sight
from people.conversations import BOT, KF_EVENT, KF_IN, KF_OUT, KINDS, LATE, REFUSED, WAITING, WINDOW
from people.directory import Cursor
from storage.tables import Conversation, Interaction, KfAccount, Person

MAX_PAGE = 200
AT_ONCE = 5000
"""So many lines are in memory while a report reads them."""
QUICK = 30.0
"""Seconds: the share of answers within them is what shops are measured by."""
BY_US = "us"


@dataclass(frozen=True)
class Chat:
    """One row of the list."""

    conversation: Conversation
    person: Person
    account: str
    """The account's name."""
    last: Interaction | None
    unread: int
    """Messages of the customer since somebody of ours has last looked."""


def in_sight(sight: Sight) -> ColumnElement[bool]:
    """The condition on ``Conversation`` joined with ``Person`` that holds for chats within sight.

    One's customers' chats, and those one is (or a rep below one is) the servicer of.
    """
    if sight.everybody:
        return sight.people()
    return or_(sight.people(), Conversation.servicer.in_(sight.userids))


def chat_in_sight(db: Session, sight: Sight, conversation_id: int) -> tuple[Conversation, Person] | None:
    """One chat and its customer; None also when there is no such chat."""
    asked = select(Conversation, Person).join(Person, Person.id == Conversation.person_id)
    row = db.execute(asked.where(Conversation.id == conversation_id, in_sight(sight))).one_or_none()
    return (row[0], row[1]) if row is not None else None


def lines(
    db: Session, conversation: Conversation, *, limit: int = 50, after: Cursor | None = None
) -> tuple[list[Interaction], Cursor | None]:
    """One page of a chat, the newest first, and where the next begins."""
    asked = select(Interaction).where(*of_chat(conversation), Interaction.kind.in_(KINDS))
    if after is not None:
        asked = asked.where(tuple_(Interaction.at, Interaction.id) < tuple_(*after))
    most = max(1, min(limit, MAX_PAGE))
    found = list(db.scalars(asked.order_by(Interaction.at.desc(), Interaction.id.desc()).limit(most + 1)))
    more, found = len(found) > most, found[:most]
    return found, ((found[-1].at, found[-1].id) if more else None)


def of_chat(conversation: Conversation) -> tuple[ColumnElement[bool], ...]:
    """The conditions on ``Interaction`` that hold for the lines of this chat."""
    account = Interaction.details["open_kfid"].as_string()
    return Interaction.person_id == conversation.person_id, account == conversation.open_kfid


def last_line(db: Session, conversation: Conversation) -> Interaction | None:
    """The latest thing said in a chat; None when nothing was yet."""
    said = Interaction.kind.in_((KF_IN, KF_OUT))
    asked = select(Interaction).where(*of_chat(conversation), said)
    return db.scalars(asked.order_by(Interaction.at.desc(), Interaction.id.desc()).limit(1)).one_or_none()


def unread(db: Session, conversation: Conversation) -> int:
    """How many messages of the customer nobody of ours has looked at."""
    asked = select(func.count()).where(*of_chat(conversation), Interaction.kind == KF_IN)
    if conversation.read_until is not None:
        asked = asked.where(Interaction.at > conversation.read_until)
    return db.scalars(asked).one()


def mark_read(conversation: Conversation, until: datetime) -> bool:
    """Somebody of ours has looked at it up to here; False when that is nothing new."""
    if conversation.read_until is not None and conversation.read_until >= until:
        return False
    conversation.read_until = until
    return True


# --- how quickly, how well -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResponseTimes:
    """How quickly one of us (or the bot) answered at one account, in seconds."""

    open_kfid: str
    by: str
    """``bot``, or a userid."""
    answers: int
    first: float | None
    """The median wait for the first answer of a chat; None when somebody else gave all first answers."""
    median: float
    within_30s: float
    """The share of answers that came within 30 seconds, from 0 to 1."""
    measured_by: str = BY_US


@dataclass
class _Waits:
    """Seconds, packed: there may be millions."""

    all: "array[float]" = field(default_factory=lambda: array("d"))
    first: "array[float]" = field(default_factory=lambda: array("d"))


def response_times(db: Session, sight: Sight, since: datetime, until: datetime) -> tuple[list[ResponseTimes], int]:
    """The answers of this time by account and by who gave them, and how many customers' questions had none.

    A wait begins with the first message of a customer after our last, and ends with our next one. A chat begins anew
    when 48 hours have passed. Of reps only those within sight, each with all their answers; of the bot and of questions
    without an answer, those of customers within sight or whom one of these reps answered.
    """
    waits: defaultdict[tuple[str, str], _Waits] = defaultdict(_Waits)
    unanswered = 0
    asked: dict[str, tuple[float, bool]] = {}
    latest: dict[str, float] = {}
    whose: int | None = None
    for person_id, account, by, at in _said(db, sight, since, until):
        if person_id != whose:
            unanswered += len(asked)
            whose, asked, latest = person_id, {}, {}
        if by is None:
            begins = account not in latest or at - latest[account] >= WINDOW.total_seconds()
            asked.setdefault(account, (at, begins))
            latest[account] = at
        elif (question := asked.pop(account, None)) is not None:
            own = waits[account, by]
            own.all.append(max(0.0, at - question[0]))
            if question[1]:
                own.first.append(own.all[-1])
    unanswered += len(asked)
    shown = [(account, by, own) for (account, by), own in sorted(waits.items()) if _may_see(sight, by)]
    return [_summed(*one) for one in shown], unanswered


def _said(db: Session, sight: Sight, since: datetime, until: datetime) -> "Iterable[Row[int, str, str | None, float]]":
    """Person, account, who of ours wrote it (None: the customer) and the second of each line, chat by chat."""
    by = case((Interaction.kind == KF_OUT, func.coalesce(_detail("by"), "")))
    at = cast(extract("epoch", Interaction.at), Float)
    arrived = or_(Interaction.kind == KF_IN, func.coalesce(_detail("fate"), "").not_in((REFUSED, LATE, WAITING)))
    asked = select(Interaction.person_id, func.coalesce(_detail("open_kfid"), ""), by, at)
    asked = asked.where(Interaction.kind.in_((KF_IN, KF_OUT)), *_within(sight, since, until), arrived)
    ordered = asked.order_by(Interaction.person_id, Interaction.at, Interaction.id)
    return db.connection().execute(ordered.execution_options(yield_per=AT_ONCE))  # the ORM would take twice the time


def _detail(name: str) -> ColumnElement[str]:
    found: ColumnElement[str] = Interaction.details[name].as_string()
    return found


def _within(sight: Sight, since: datetime, until: datetime) -> Iterator[ColumnElement[bool]]:
    """The conditions on ``Interaction`` that hold for this time and, where sight is narrow, for whom it reaches."""
    span = (Interaction.at >= since, Interaction.at < until)
    yield from span
    if not sight.everybody:
        answered = select(Interaction.person_id).where(Interaction.kind == KF_OUT, *span, sight.reps(_detail("by")))
        yield Interaction.person_id.in_(union(select(Person.id).where(sight.people()), answered))


def _may_see(sight: Sight, who: str) -> bool:
    """The bot is nobody's; of people only those within sight."""
    return who in ("", BOT) or sight.rep(who)


def _summed(account: str, by: str, own: _Waits) -> ResponseTimes:
    quick = sum(one <= QUICK for one in own.all) / len(own.all)
    return ResponseTimes(account, by, len(own.all), median(own.first) if own.first else None, median(own.all), quick)


@dataclass(frozen=True)
class Satisfaction:
    """The answers to the satisfaction question about one servicer's chats at one account."""

    open_kfid: str
    servicer: str
    """Whoever had written last; empty when that was only the bot."""
    answers: int
    mean: float
    by_stars: dict[int, int]


def satisfaction(db: Session, sight: Sight, since: datetime, until: datetime) -> tuple[list[Satisfaction], int]:
    """How satisfied customers said they were in this time, and how many were asked; of whom, as ``response_times``."""
    span = tuple(_within(sight, since, until))
    servicer, rating = func.coalesce(_detail("servicer"), ""), Interaction.details["rating"].as_integer()
    rated = select(_detail("open_kfid"), servicer, func.coalesce(rating, 0), func.count())
    rated = rated.where(Interaction.kind == KF_EVENT, *span, _detail("type") == "rated").group_by(text("1, 2, 3"))
    stars: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for account, who, given, times in db.execute(rated):
        stars[account, who][given] += times
    sent = func.coalesce(_detail("fate"), "").not_in((REFUSED, LATE))
    asked = select(func.count()).where(Interaction.kind == KF_OUT, *span, _detail("asks") == "rating", sent)
    found = [_rated(*key, counted) for key, counted in sorted(stars.items()) if _may_see(sight, key[1])]
    return found, db.scalars(asked).one()


def _rated(account: str, servicer: str, counted: Counter[int]) -> Satisfaction:
    answers = counted.total()
    mean = sum(stars * count for stars, count in counted.items()) / answers
    return Satisfaction(account, servicer, answers, mean, {stars: counted[stars] for stars in range(1, 6)})


def accounts(db: Session) -> Sequence[KfAccount]:
    """Every account that is there, by name."""
    return db.scalars(select(KfAccount).where(KfAccount.gone_at.is_(None)).order_by(KfAccount.name)).all()

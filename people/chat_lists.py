"""Chats of 微信客服 for people to read: lists, one chat's lines, how quickly answers came, how satisfied they were.

Response times here are measured by us, to the second, from the messages themselves; WeCom's own daily figures of reps
(``RepDay``) are another thing and never shown as this. What a chat allows to say is in ``people.conversations``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.orm import Session

from people.access import Sight
from people.conversations import KF_EVENT, KF_IN, KF_OUT, KINDS, LATE, REFUSED, WAITING, WINDOW
from people.directory import Cursor
from storage.tables import Conversation, Interaction, KfAccount, Person

MAX_PAGE = 200
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
    all: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)


def response_times(
    db: Session, since: datetime, until: datetime, *, open_kfid: str | None = None
) -> tuple[list[ResponseTimes], int]:
    """The answers of this time by account and by who gave them, and how many customers' questions had none.

    A wait begins with the first message of a customer after our last, and ends with our next one. A chat begins anew
    when 48 hours have passed.
    """
    waits: defaultdict[tuple[str, str], _Waits] = defaultdict(_Waits)
    unanswered = 0
    asked: dict[str, tuple[datetime, bool]] = {}
    latest: dict[str, datetime] = {}
    whose: int | None = None
    for line in _said(db, since, until):
        if line.person_id != whose:
            unanswered += len(asked)
            whose, asked, latest = line.person_id, {}, {}
        account = str(line.details.get("open_kfid") or "")
        if open_kfid is not None and account != open_kfid:
            continue
        if line.kind == KF_IN:
            begins = account not in latest or line.at - latest[account] >= WINDOW
            asked.setdefault(account, (line.at, begins))
            latest[account] = line.at
        elif line.details.get("fate") not in (REFUSED, LATE, WAITING) and (question := asked.pop(account, None)):
            own = waits[account, str(line.details.get("by") or "")]
            seconds = max(0.0, (line.at - question[0]).total_seconds())
            own.all.append(seconds)
            if question[1]:
                own.first.append(seconds)
    unanswered += len(asked)
    return [_summed(account, by, own) for (account, by), own in sorted(waits.items())], unanswered


def _said(db: Session, since: datetime, until: datetime) -> Iterator[Interaction]:
    own = (Interaction.kind.in_((KF_IN, KF_OUT)), Interaction.at >= since, Interaction.at < until)
    ordered = select(Interaction).where(*own).order_by(Interaction.person_id, Interaction.at, Interaction.id)
    yield from db.scalars(ordered.execution_options(yield_per=1000))


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


def satisfaction(db: Session, since: datetime, until: datetime) -> tuple[list[Satisfaction], int]:
    """How satisfied customers said they were in this time, and how many were asked."""
    own = (Interaction.kind.in_((KF_EVENT, KF_OUT)), Interaction.at >= since, Interaction.at < until)
    stars: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    asked = 0
    for line in db.scalars(select(Interaction).where(*own).execution_options(yield_per=1000)):
        if line.kind == KF_OUT:
            asked += line.details.get("asks") == "rating" and line.details.get("fate") not in (REFUSED, LATE)
        elif line.details.get("type") == "rated":
            key = str(line.details.get("open_kfid")), str(line.details.get("servicer") or "")
            stars[key][int(line.details.get("rating") or 0)] += 1
    return [_rated(*key, counted) for key, counted in sorted(stars.items())], asked


def _rated(account: str, servicer: str, counted: Counter[int]) -> Satisfaction:
    answers = counted.total()
    mean = sum(stars * count for stars, count in counted.items()) / answers
    return Satisfaction(account, servicer, answers, mean, {stars: counted[stars] for stars in range(1, 6)})


def accounts(db: Session) -> Sequence[KfAccount]:
    """Every account that is there, by name."""
    return db.scalars(select(KfAccount).where(KfAccount.gone_at.is_(None)).order_by(KfAccount.name)).all()

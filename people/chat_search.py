"""The inbox narrowed and searched: by whose turn it is, by account, by what was said, by the customer's name.

Sight is decided in ``people.chat_lists.in_sight`` and nowhere else; what stands in one chat is read there too.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true, tuple_
from sqlalchemy.orm import Session

from people import chat_lists
from people.access import Sight
from people.chat_lists import Chat, in_sight, of_chat
from people.conversations import ENDED, KF_IN, KF_OUT, KINDS, OURS, POOL, WINDOW
from people.directory import Cursor
from storage import search
from storage.tables import Conversation, Interaction, KeptFile, KfAccount, Person, is_head

Turn = Literal["all", "waiting", "mine", "pool", "bot", "ended"]
"""All; those who wait for an answer that may still be given; those a servicer (who asks) or their own customers are in;
those in the pool; those the bot has; those that are over."""
TURNS: tuple[Turn, ...] = get_args(Turn)
MAX_PAGE = 200
SHOWN_AFTER = 8
"""So many later lines are shown below one that was searched for."""


def page(
    db: Session,
    sight: Sight,
    turn: Turn,
    *,
    viewer: str,
    now: datetime,
    open_kfid: str = "",
    limit: int = 50,
    after: Cursor | None = None,
) -> tuple[list[Chat], Cursor | None]:
    """One page of chats within sight, the latest first, and where the next begins (None: this is the last).

    ``viewer`` is the userid of whoever looks; an empty ``open_kfid`` stands for every account.
    """
    asked = _chats(sight, open_kfid).where(_turn(turn, viewer, now))
    if after is not None:
        asked = asked.where(tuple_(Conversation.last_at, Conversation.id) < tuple_(*after))
    most = max(1, min(limit, MAX_PAGE))
    rows = _rows(db, asked, most + 1)
    more, rows = len(rows) > most, rows[:most]
    return rows, ((rows[-1].conversation.last_at, rows[-1].conversation.id) if more else None)


def called(db: Session, sight: Sight, name: str, *, open_kfid: str = "", limit: int = 8) -> list[Chat]:
    """Chats within sight whose customer's name has this in it, the latest first."""
    return _rows(db, _chats(sight, open_kfid).where(Person.name.contains(name, autoescape=True)), limit)


def counts(db: Session, sight: Sight, *, viewer: str, now: datetime, open_kfid: str = "") -> dict[Turn, int]:
    """How many chats each filter holds: a look at every chat within sight, so not for every few seconds."""
    sums = [func.coalesce(func.sum(case((_turn(one, viewer, now), 1), else_=0)), 0) for one in TURNS]
    asked = select(*sums).select_from(Conversation).where(_at(open_kfid))
    if not sight.everybody:
        asked = asked.join(Person, Person.id == Conversation.person_id).where(in_sight(sight))
    row = db.execute(asked).one()
    return {one: int(number) for one, number in zip(TURNS, row, strict=True)}


def _chats(sight: Sight, open_kfid: str) -> "Select[Conversation, Person, str]":
    asked = select(Conversation, Person, KfAccount.name).join(Person, Person.id == Conversation.person_id)
    asked = asked.join(KfAccount, KfAccount.open_kfid == Conversation.open_kfid)
    return asked.where(in_sight(sight), _at(open_kfid))


def _at(open_kfid: str) -> ColumnElement[bool]:
    return Conversation.open_kfid == open_kfid if open_kfid else true()


def _rows(db: Session, asked: "Select[Conversation, Person, str]", limit: int) -> list[Chat]:
    ordered = asked.order_by(Conversation.last_at.desc(), Conversation.id.desc()).limit(limit)
    return [
        Chat(chat, person, name, chat_lists.last_line(db, chat), chat_lists.unread(db, chat))
        for chat, person, name in db.execute(ordered)
    ]


def _turn(turn: Turn, viewer: str, now: datetime) -> ColumnElement[bool]:
    match turn:
        case "waiting":
            unanswered = or_(
                Conversation.answered_at.is_(None), Conversation.answered_at < Conversation.last_customer_at
            )
            return and_(unanswered, Conversation.last_customer_at > now - WINDOW, Conversation.state != ENDED)
        case "mine":
            own = select(Person.id).where(is_head(), Person.owner == viewer)
            return or_(Conversation.servicer == viewer, Conversation.person_id.in_(own))
        case "pool":
            return Conversation.state == POOL
        case "bot":
            return Conversation.state.in_(OURS)
        case "ended":
            return Conversation.state == ENDED
        case _:
            return true()


# --- what was said ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """A line that holds the words somebody looks for."""

    line: Interaction
    conversation: Conversation
    person: Person
    account: str


def said(
    db: Session, sight: Sight, words: str, *, open_kfid: str = "", limit: int = 50, after: Cursor | None = None
) -> tuple[list[Heard], Cursor | None]:
    """One page of what was said within sight and holds these words, the latest first, and where the next begins."""
    same_account = Interaction.details["open_kfid"].as_string() == Conversation.open_kfid
    asked = select(Interaction, Conversation, Person, KfAccount.name).join(Person, Person.id == Interaction.person_id)
    asked = asked.join(Conversation, and_(Conversation.person_id == Person.id, same_account))
    asked = asked.join(KfAccount, KfAccount.open_kfid == Conversation.open_kfid)
    spoken = (Interaction.kind.in_((KF_IN, KF_OUT)), search.holding(db, words))
    asked = asked.where(*spoken, in_sight(sight), _at(open_kfid))
    if after is not None:
        asked = asked.where(tuple_(Interaction.at, Interaction.id) < tuple_(*after))
    most = max(1, min(limit, MAX_PAGE))
    ordered = asked.order_by(Interaction.at.desc(), Interaction.id.desc()).limit(most + 1)
    rows = [Heard(*row) for row in db.execute(ordered)]
    more, rows = len(rows) > most, rows[:most]
    return rows, ((rows[-1].line.at, rows[-1].line.id) if more else None)


def place_of(db: Session, conversation: Conversation, line_id: int) -> Cursor | None:
    """Where to begin ``chat_lists.lines`` so that this line stands among its neighbours.

    None when it is no line of this chat, or one of the newest.
    """
    own = (*of_chat(conversation), Interaction.kind.in_(KINDS))
    line = db.scalars(select(Interaction).where(*own, Interaction.id == line_id)).one_or_none()
    if line is None:
        return None
    later = select(Interaction.at, Interaction.id).where(
        *own, tuple_(Interaction.at, Interaction.id) > tuple_(line.at, line.id)
    )
    found = db.execute(later.order_by(Interaction.at, Interaction.id).limit(SHOWN_AFTER + 1)).all()
    if len(found) <= SHOWN_AFTER:
        return None
    at, number = found[-1]
    return at, number


# --- what came along -------------------------------------------------------------------------------------------------


def files_of(db: Session, line_ids: Collection[int]) -> dict[int, KeptFile]:
    """What came along with these lines, by line; without the contents."""
    own = select(KeptFile).where(KeptFile.interaction_id.in_(line_ids))
    return {one.interaction_id: one for one in db.scalars(own)}


def file_in(db: Session, conversation: Conversation, file_id: int) -> KeptFile | None:
    """A file of this very chat; None for any other."""
    asked = select(KeptFile).join(Interaction, Interaction.id == KeptFile.interaction_id)
    return db.scalars(asked.where(KeptFile.id == file_id, *of_chat(conversation))).one_or_none()

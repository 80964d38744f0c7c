"""Reps' cards (今日待办卡片): one thing to do about a customer, why, and a text she may send with one tap.

Made by standing rules (``outreach.occasions``) and by journeys, each once (``Draft.once``). A card that asks her to
write to somebody holds a touch in the contact budget for the day it is due: used when she has sent it, given back when
she has not. Nobody gets a card about a customer who wants to hear nothing more, or whom the rep does not have any more;
where that becomes so later the card is cancelled (``obey``), and no list shows it meanwhile.

After: ``outreach.day_list`` puts them in order, the bot and the sidebar show them and close them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, literal_column, not_, select, update
from sqlalchemy.orm import Session

from outreach import budget
from outreach.budget import Rules
from people import consent, persons, rep_rules
from storage.rows import insert_new
from storage.tables import Person, Relation, RepCard, Touch
from storage.work import Work

OPEN, SNOOZED, DONE_BY_TAP, DONE, IRRELEVANT = "open", "snoozed", "sent", "done", "irrelevant"
EXPIRED, CANCELLED = "expired", "cancelled"
ALIVE = (OPEN, SNOOZED)
_IS_ALIVE: ColumnElement[bool] = literal_column("rep_card.state IN ('open', 'snoozed')")
SENT_LINE = "card_sent"
"""The kind of the story line that says what a rep sent with one tap."""
LONGEST_REASON = 200
LONGEST_TEXT = 4000
"""Bytes of what she sends, as everywhere in WeCom."""
OPTED_OUT, NO_RELATION, RESTS, QUOTA, GAP = "opted_out", "no_relation", "irrelevant", "quota", "gap"
"""Why no card was made."""


@dataclass(frozen=True)
class Draft:
    """A card to be made."""

    userid: str
    person_id: int
    kind: str
    """What it is about: ``day_list.PLACES`` knows the kinds and where each stands."""
    source: str
    """What it comes from: what she calls irrelevant is not asked again for this person and source."""
    once: str
    because: str
    due_at: datetime
    until: datetime | None = None
    text: str = ""
    attachments: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    rank: int = 50
    """Within its kind, bigger first."""
    asks_to_write: bool = True
    """Whether it asks her to write to the person, so that it uses up the contact budget."""
    touch_id: int | None = None
    """The touch that holds the budget, where whoever makes the card has taken it already."""


@dataclass(frozen=True)
class Made:
    """The card (new, or the one there is), or why there is none."""

    card: RepCard | None
    reason: str = ""


# --- making ----------------------------------------------------------------------------------------------------------


def make(work: Work, draft: Draft, rules: Rules) -> Made:
    """Make a card, once; ``Made.reason`` says why there is none. What is refused today may be asked for again."""
    same = select(RepCard).where(RepCard.once == draft.once)
    if (known := work.db.scalars(same).one_or_none()) is not None:
        return Made(known)
    relation = _relation(work.db, draft.userid, draft.person_id)
    if reason := _refusal(work, draft, relation, rules):
        return Made(None, reason)
    row = {
        "userid": draft.userid,
        "person_id": draft.person_id,
        "kind": draft.kind,
        "source": draft.source,
        "once": draft.once,
        "because": draft.because,
        "text": draft.text,
        "attachments": [dict(one) for one in draft.attachments],
        "rank": draft.rank,
        "state": OPEN,
        "due_at": draft.due_at,
        "until": draft.until,
        "touch_id": draft.touch_id,
        "made_at": work.now,
    }
    new = insert_new(work.db, RepCard, [row], ["once"])
    card = work.db.scalars(same).one()
    if new and draft.asks_to_write and card.touch_id is None and relation is not None:
        card.touch_id = _hold(work, card, relation)
    return Made(card)


def _relation(db: Session, userid: str, person_id: int) -> Relation | None:
    """The living relation over which she can write to them."""
    own = select(Relation).where(Relation.person_id == person_id, Relation.userid == userid, Relation.state == "active")
    return db.scalars(own.order_by(Relation.id.desc()).limit(1)).one_or_none()


def _refusal(work: Work, draft: Draft, relation: Relation | None, rules: Rules) -> str:
    person = work.db.get(Person, draft.person_id)
    if person is None or relation is None:
        return NO_RELATION
    persons.hold(work, person)  # two at once would both find the budget free
    if consent.is_out(person):
        return OPTED_OUT
    rests = timedelta(days=rep_rules.rules(work.db).rest_days)
    told_so = exists().where(
        RepCard.person_id == draft.person_id,
        RepCard.source == draft.source,
        RepCard.state == IRRELEVANT,
        RepCard.ended_at > work.now - rests,
    )
    if work.db.scalar(select(told_so)):
        return RESTS
    if not draft.asks_to_write or draft.touch_id is not None:
        return ""
    budget.hold(work.db)
    return _no_room(work.db, draft.person_id, draft.due_at, rules)


def _no_room(db: Session, person_id: int, at: datetime, rules: Rules) -> str:
    """Why the budget has no room for another touch at this moment; empty when it has."""
    for reason, condition in (
        (QUOTA, budget.is_used_up(rules, at)),
        (GAP, budget.is_too_soon(rules, at)),
    ):
        if db.scalar(select(Person.id).where(Person.id == person_id, condition)) is not None:
            return reason
    return ""


def _hold(work: Work, card: RepCard, relation: Relation) -> int:
    at = max(card.due_at, work.now)
    touch = Touch(
        source=f"card:{card.id}",
        person_id=card.person_id,
        way="card",
        userid=card.userid,
        external_userid=relation.external_userid,
        state=budget.HELD,
        at=at,
        day=budget.day_of(at),
    )
    work.db.add(touch)
    work.db.flush()
    return touch.id


# --- finding ---------------------------------------------------------------------------------------------------------


def may_show() -> tuple[ColumnElement[bool], ...]:
    """The conditions on ``RepCard`` joined with ``Person`` that hold where the rep may still act on it."""
    alive = exists().where(
        Relation.person_id == RepCard.person_id, Relation.userid == RepCard.userid, Relation.state == "active"
    )
    return consent.wanting(), alive


def due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """The conditions that hold for cards whose time it is."""
    return _IS_ALIVE, RepCard.due_at <= now, (RepCard.until.is_(None)) | (RepCard.until > now)


def of_rep(db: Session, userid: str, card_id: int) -> RepCard | None:
    """The card of this number if it is this rep's, however it stands; locked. None otherwise."""
    mine = (RepCard.id == card_id, RepCard.userid == userid)
    return db.scalars(select(RepCard).where(*mine).with_for_update()).one_or_none()


def own(db: Session, userid: str, card_id: int) -> RepCard | None:
    """The card of this number if it is this rep's and she may act on it; locked. None otherwise."""
    found = of_rep(db, userid, card_id)
    if found is None or found.state not in ALIVE:
        return found
    shown = select(RepCard.id).join(Person, Person.id == RepCard.person_id).where(RepCard.id == card_id, *may_show())
    return found if db.scalar(shown) is not None else None


# --- closing ---------------------------------------------------------------------------------------------------------


def sent(work: Work, card: RepCard, text: str, *, by: str) -> bool:
    """She has sent it with one tap; what she sent goes into the story. False when that is known already.

    It is a fact also where the card has been cancelled in that very moment: the customer has it.
    """
    if card.state == DONE_BY_TAP:
        return False
    card.state, card.ended_at, card.ended_by = DONE_BY_TAP, work.now, by
    _use(work, card)
    persons.tell(
        work,
        card.person_id,
        SENT_LINE,
        work.now,
        once=f"{SENT_LINE}:{card.id}",
        userid=card.userid,
        details={"text": text, "card": card.id, "by": by, "because": card.because},
    )
    return True


def done(work: Work, card: RepCard, *, by: str) -> bool:
    """She has dealt with it in her own way: the customer has heard from her, so the touch is used."""
    if not _close(work, card, DONE, by):
        return False
    _use(work, card)
    return True


def snooze(work: Work, card: RepCard, until: datetime, *, by: str) -> bool:
    """Show it again at another time; its touch moves along. False when it was over already.

    Raises ``ValueError`` with words for the rep: the time is over, or behind the card's end, or something else of ours
    reaches the customer on that day. (The smallest gap is not asked about: when to write again is hers to say.)
    """
    if card.state not in ALIVE:
        return False
    if until <= work.now:
        raise ValueError("这个时间已经过去了，请换一个")
    if card.until is not None and until >= card.until:
        raise ValueError("到那时这件事已经过期了，请换个早一点的时间，或点“不相关”")
    touch = work.db.get(Touch, card.touch_id) if card.touch_id is not None else None
    if touch is not None:
        if _taken_on(work.db, touch, until):
            raise ValueError("那天已经给这位客户安排了别的消息，请换一天")
        touch.at, touch.day = until, budget.day_of(until)
    card.state, card.due_at, card.ended_by = SNOOZED, until, by
    return True


def _taken_on(db: Session, touch: Touch, moment: datetime) -> bool:
    """Whether another touch of this person is on the day of this moment."""
    same_day = (Touch.person_id == touch.person_id, Touch.day == budget.day_of(moment), Touch.state.in_(budget.TAKEN))
    return db.scalar(select(Touch.id).where(*same_day, Touch.id != touch.id).limit(1)) is not None


def irrelevant(work: Work, card: RepCard, reason: str, *, by: str) -> bool:
    """It is not for this customer: the same source does not ask again for a while. False when it was over already."""
    if not _close(work, card, IRRELEVANT, by):
        return False
    card.reason = reason.strip()[:LONGEST_REASON]
    _give_back(work, card, CANCELLED)
    return True


def _close(work: Work, card: RepCard, state: str, by: str | None) -> bool:
    if card.state not in ALIVE:
        return False
    card.state, card.ended_at, card.ended_by = state, work.now, by
    return True


def _use(work: Work, card: RepCard) -> None:
    touch = work.db.get(Touch, card.touch_id) if card.touch_id is not None else None
    if touch is not None:
        touch.state, touch.at, touch.day = budget.SENT, work.now, budget.day_of(work.now)


def _give_back(work: Work, card: RepCard, state: str) -> None:
    """What was held is free again; a touch that was never held stays as it is."""
    held = (Touch.id == card.touch_id, Touch.state == budget.HELD)
    work.db.execute(update(Touch).where(*held).values(state=state))


# --- what ends them without her --------------------------------------------------------------------------------------


def cancel(work: Work, which: ColumnElement[bool], *, why: str) -> int:
    """Cancel those of these cards that are open: its goal is reached, its journey is over. How many."""
    return _end(work, select(RepCard).where(RepCard.state.in_(ALIVE), which), CANCELLED, why)


def obey(work: Work, most: int = 500) -> int:
    """Cancel cards about customers who opted out or whom the rep does not have any more; end those out of time."""
    wanting, alive = may_show()
    about = select(RepCard).join(Person, Person.id == RepCard.person_id).where(_IS_ALIVE)
    gone = _end(work, about.where(not_(wanting)).limit(most), CANCELLED, OPTED_OUT)
    gone += _end(work, about.where(not_(alive)).limit(most), CANCELLED, NO_RELATION)
    over = select(RepCard).where(_IS_ALIVE, RepCard.until <= work.now)
    return gone + _end(work, over.limit(most), EXPIRED, "")


def _end(work: Work, which: Any, state: str, why: str) -> int:
    ended = 0
    for card in work.db.scalars(which.with_for_update(of=RepCard)).all():
        card.reason = why
        ended += _close(work, card, state, None)
        _give_back(work, card, state)
    return ended

"""What a rep says about a card of her day list: it is done, she will do it later, it is not for this customer."""

from collections.abc import Callable
from datetime import datetime

from handlers import rep_words as words
from handlers.rep_cards import name_of
from outreach import cards, day_words
from people import persons, when
from people.tasks import plain
from storage import audit
from storage.tables import Person, RepCard
from storage.work import Work


def finish(work: Work, userid: str, number: int) -> str:
    """She has dealt with it in her own way."""
    return _closed(work, userid, number, words.CARD_DONE, lambda card: cards.done(work, card, by=userid))


def irrelevant(work: Work, userid: str, number: int, reason: str) -> str:
    """It is not for this customer."""
    return _closed(
        work, userid, number, words.CARD_IRRELEVANT, lambda card: cards.irrelevant(work, card, reason, by=userid)
    )


def postpone(work: Work, userid: str, number: int, at: datetime) -> str:
    """Show it again at another time."""
    told = words.CARD_POSTPONED.replace("{at}", when.in_words(at, work.now, work.zone))
    return _closed(work, userid, number, told, lambda card: cards.snooze(work, card, at, by=userid))


def _closed(work: Work, userid: str, number: int, told: str, close: Callable[[RepCard], bool]) -> str:
    card = cards.own(work.db, userid, number)
    if card is None:
        return words.NO_SUCH_CARD.format(number=number)
    try:
        closed = close(card)
    except ValueError as error:
        return str(error)
    if not closed:
        return words.CARD_OVER.format(number=day_words.card_number(card))
    name = persons.public_id(card.person_id)
    audit.note(work.db, actor=userid, action=f"card.{card.state}", subject=name, address="wecom", at=work.now)
    person = work.db.get_one(Person, card.person_id)
    return told.format(name=name_of(person), because=plain(card.because, 40))

"""The bot for reps: a member writes to our app, or presses a button of a card, and is answered.

Before: ``wecom.events`` (who wrote is sealed by WeCom). What can be asked stands in ``handlers.rep_commands``, what it
does in ``handlers.rep_acts``. Whoever is no member, or has left, learns nothing; a member sees the customers that their
role in the console lets them see, a rep's own otherwise.

Where several customers could be meant the rep chooses on a card. The card remembers which message it belongs to (by the
number and the digest of its inbox row), so the choice outlives every process; the first press counts.
"""

import re

from handlers import rep_commands
from handlers import rep_words as words
from handlers.rep_acts import ACTS, Turn, time_in, whom_pasted
from handlers.rep_cards import AGE, Rep, choice, name_of
from handlers.rep_commands import Asked
from people import access, persons, reps
from people.finding import Found
from people.tasks import plain, rep_key
from storage.tables import InboxRow, Person
from storage.work import Work
from tagging import segment
from wecom.commands import TellRep, UpdateCard, cut, text_to
from wecom.events import CardPressed, MemberEvent, MemberSent, MemberWrote, read_event
from wecom.gateway import Gateway

PICK = re.compile(r"pick-(\d{1,15})-([0-9a-f]{16})")
PERSON = re.compile(r"p_(\d{1,15})")
MAX_BUTTON_BYTES = 30
HEARD = (rep_commands.FORWARD, rep_commands.PREVIOUS, rep_commands.UNCLEAR)
"""Texts that may be a customer's words."""


def prepare(event: MemberWrote, gateway: Gateway) -> None:
    """Whose words are a customer's need the dictionary: load it before the database is held."""
    if rep_commands.read(event.text or "").kind in HEARD:
        segment.load()


def answer(event: MemberWrote, _: None, work: Work) -> None:
    """Do what the rep asks for, and say what was done."""
    rep = _rep(event, work)
    if rep is None:
        _say_once_a_minute(event, words.STRANGER, work)
        return
    asked = rep_commands.read(event.text or "")
    turn = Turn(rep, asked, event.at or work.now, work.inbox_id or 0, work)
    _reply(work, _asked_or_pasted(turn, event.identity))


def answer_other(event: MemberSent, _: None, work: Work) -> None:
    """Pictures, voices and whatever comes are kept as events; the sender is told what we understand."""
    stranger = _rep(event, work) is None
    _say_once_a_minute(event, words.STRANGER if stranger else words.NOT_TEXT, work)


def go_on(event: CardPressed, _: None, work: Work) -> None:
    """The rep has chosen: go on with what they had asked for, once."""
    rep = _rep(event, work)
    if rep is None:
        _say_once_a_minute(event, words.STRANGER, work)
        return
    _reply(work, _chosen(event, rep, work))


def _rep(event: MemberEvent, work: Work) -> Rep | None:
    """Who this is and whom they may see; None for whoever is no member of ours (any more)."""
    known = reps.known(work.db, persons.own_spelling(work, event.userid))
    return Rep(*known) if known is not None else None


def _reply(work: Work, message: TellRep) -> None:
    work.ask(message, once=f"bot:{work.inbox_id}", key=rep_key(message.userid))


def _say_once_a_minute(event: MemberEvent, text: str, work: Work) -> None:
    """Twenty pictures at once are answered once."""
    userid = persons.own_spelling(work, event.userid)
    minute = (event.at or work.now).strftime("%Y%m%d%H%M")
    work.ask(text_to(userid, text), once=f"bot:hint:{userid}:{minute}", key=rep_key(userid))


def _asked_or_pasted(turn: Turn, identity: str) -> TellRep:
    """A text that asks for nothing may be a customer's words below their name."""
    if turn.asked.kind == rep_commands.UNCLEAR and (found := whom_pasted(turn)).people:
        pasted = Turn(turn.rep, _as_forwarded(turn.asked), turn.said_at, turn.message_id, turn.work)
        return _with(pasted, found, identity)
    act = ACTS[turn.asked.kind]
    return _with(turn, act.whom(turn) if act.whom else Found(), identity)


def _as_forwarded(asked: Asked) -> Asked:
    return Asked(rep_commands.FORWARD, asked.text, asked.text)


def _with(turn: Turn, found: Found, identity: str) -> TellRep:
    """Carry it out with the one who is meant; ask where it is not clear who."""
    act = ACTS[turn.asked.kind]
    if act.whom is None or (act.anybody and not found.people):
        return act.do(turn, None, found.rest)
    if not found.people:
        return _nobody(turn, found)
    if len(found.people) == 1 and (found.exact or act.harmless):
        return act.do(turn, found.people[0], found.rest)
    task_id = f"pick-{turn.message_id}-{identity[:16]}"
    return choice(turn.rep, found.people, task_id, turn.asked.text, turn.work)


def _nobody(turn: Turn, found: Found) -> TellRep:
    if not found.called:
        return ACTS[turn.asked.kind].do(turn, None, "")
    if turn.asked.kind == rep_commands.FIND and (said := time_in(turn)):
        return turn.say(words.TIMED, said=said)
    bare = turn.asked.kind == rep_commands.FIND and turn.asked.is_bare
    return turn.say(words.NOBODY_OR_WORDS if bare else words.NOBODY, called=plain(found.called, 20))


# --- the choice ------------------------------------------------------------------------------------------------------


def _chosen(event: CardPressed, rep: Rep, work: Work) -> TellRep:
    pick, pressed = PICK.fullmatch(event.task_id or ""), PERSON.fullmatch(event.button or "")
    if pick is None or pressed is None or not event.response_code:
        return text_to(rep.userid, words.NOT_OURS)
    row = work.db.get(InboxRow, int(pick[1]))
    if row is None or not row.identity.startswith(pick[2]) or work.now - row.received_at > AGE:
        return text_to(rep.userid, words.CARD_EXPIRED)
    asked = read_event(row.xml)
    if not isinstance(asked, MemberWrote) or asked.userid.lower() != rep.userid.lower():
        return text_to(rep.userid, words.NOT_OURS)
    person = access.person_in_sight(work.db, rep.sight, int(pressed[1]))
    told = cut(words.CHOSEN.format(name=name_of(person)) if person else "已失效", MAX_BUTTON_BYTES)
    update = UpdateCard(rep.userid, event.response_code, told)
    if not work.ask(update, once=f"picked:{row.id}", key=rep_key(rep.userid)):
        return text_to(rep.userid, words.CHOSEN_BEFORE)
    turn = Turn(rep, rep_commands.read(asked.text or ""), asked.at or row.received_at, row.id, work)
    return _carry_on(turn, person)


def _carry_on(turn: Turn, person: Person | None) -> TellRep:
    """What was asked for, with whoever was chosen; they may be out of sight by now."""
    if turn.asked.kind == rep_commands.UNCLEAR:
        turn = Turn(turn.rep, _as_forwarded(turn.asked), turn.said_at, turn.message_id, turn.work)
    act = ACTS[turn.asked.kind]
    found = act.whom(turn) if act.whom else Found()
    if person is None:
        return turn.say(words.NOBODY, called=plain(found.called, 20))
    return act.do(turn, person, found.rest)

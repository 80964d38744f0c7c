"""Answers the bot gives by itself: to keywords, and to the questions of the FAQ; and when it had better say nothing.

An answer's definition is a keyword rule as everywhere (``tagging.keywords``: any, all, not), and beside it or instead
``questions``, the ways in which customers put it. A question is met when it stands in a message, and also when a
message of some length stands in it (几点开门 in 你们几点开门). Of several answers the one is given whose words are the
longest; two that fit equally well are parted by their ``place``, and where that does not part them nothing is said.

The bot must not talk to another bot: it says nothing to its own words, gives the same answer no third time within ten
minutes once three were given, and no more than ten in that time whatever is asked.

Whether the bot has the chat at all, and how many messages are left, is decided in ``people.conversations``.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.tables import Answer
from storage.work import Work
from tagging import placeholders
from tagging.channels import Invalid
from tagging.keywords import LISTS, MAX_KEYWORD, Rule, Tagger
from tagging.normal import normalise

log = logging.getLogger(__name__)

MAX_NAME = 60
MAX_ANSWERS = 500
MAX_QUESTIONS = 50
SHORTEST_PART = 4
"""A message shorter than this is no part of a question: 怎么 stands in half of them."""
TEXT_BYTES, HEAD_BYTES = 1500, 1000
"""A message of 微信客服 has 2,048 bytes, above a menu 1,024; the privacy notice must find room too."""
MOST_ENTRIES, ENTRY_BYTES = 10, 128
STATES = ("active", "stopped", "deleted")

LATELY = timedelta(minutes=10)
SAME_AGAIN_UP_TO = 3
MOST_LATELY = 10
ANSWER = "answer:"
MENU_HUMAN, MENU_WORDS = "human", "words"
MARKS = " \n.。!?~,;:、'\"()"


@dataclass(frozen=True)
class Draft:
    """What a person wants an answer to be."""

    name: str
    definition: Mapping[str, Any] = field(default_factory=dict)
    """``{"any_keywords": […], "all_keywords": […], "not_keywords": […], "questions": […]}``."""
    text: str = ""
    menu: tuple[str, ...] = ()
    """Words below the text that can be clicked; an answer of that name is given, else they count as typed."""
    hand_over: bool = False
    """Whether a servicer takes the chat then."""
    place: int = 0


@dataclass(frozen=True)
class Given:
    """Something we wrote lately in the same chat."""

    at: datetime
    text: str
    answer_id: int | None
    """None when a person wrote it."""


@dataclass(frozen=True)
class Chosen:
    """The answer to give."""

    id: int
    name: str
    text: str
    menu: tuple[tuple[str, str], ...]
    """(menu_id, words)."""
    hand_over: bool
    because: str


@dataclass(frozen=True)
class Silence:
    """Why nothing is said; shown beside the message. ``loop``: it looks as if a bot were at the other end."""

    why: str
    loop: bool = False


# --- making and changing ---------------------------------------------------------------------------------------------


def check(db: Session, draft: Draft) -> None:
    """Raise ``Invalid`` with every problem at once, each naming its field."""
    problems = [*_problems(draft), *(("text", words) for words in placeholders.problems(db, draft.text))]
    if problems:
        raise Invalid(problems)


def _problems(draft: Draft) -> Iterator[tuple[str, str]]:
    if not 0 < len(draft.name.strip()) <= MAX_NAME:
        yield "name", f"名称需 1–{MAX_NAME} 个字"
    questions = draft.definition.get("questions") or []
    if not isinstance(questions, list) or not all(isinstance(one, str) for one in questions):
        yield "questions", "问法请给出文字的列表"
    elif len(questions) > MAX_QUESTIONS:
        yield "questions", f"问法最多 {MAX_QUESTIONS} 条"
    elif any(not 0 < len(_bare(one)) <= MAX_KEYWORD for one in questions):
        yield "questions", f"每条问法需 1–{MAX_KEYWORD} 个字"
    if not questions or any(draft.definition.get(name) for name in LISTS):
        try:
            Rule.read(draft.definition)
        except Invalid as error:
            yield from error.problems
    yield from _reply_problems(draft)


def _reply_problems(draft: Draft) -> Iterator[tuple[str, str]]:
    if not draft.text.strip():
        yield "text", "请填写回复的文字"
    most = HEAD_BYTES if draft.menu else TEXT_BYTES
    if placeholders.size_of(draft.text) > most:
        yield "text", f"回复太长：最多 {most} 字节（约 {most // 3} 个汉字）"
    if len(draft.menu) > MOST_ENTRIES or any(not 0 < len(one.encode()) <= ENTRY_BYTES for one in draft.menu):
        yield "menu", f"菜单最多 {MOST_ENTRIES} 项，每项 1–{ENTRY_BYTES} 字节（约 {ENTRY_BYTES // 3} 个汉字）"


def create(work: Work, draft: Draft, *, by: str) -> Answer:
    """Keep a new answer; it is given from the next message on. Raises ``Invalid``."""
    check(work.db, draft)
    if work.db.scalars(select(func.count()).where(Answer.state != "deleted")).one() >= MAX_ANSWERS:
        raise Invalid([("name", f"最多 {MAX_ANSWERS} 条自动回复；请先删除不用的")])
    answer = Answer(name="", created_by=by, created_at=work.now, changed_at=work.now, version=0)
    _apply(work, answer, draft)
    work.db.add(answer)
    work.db.flush()
    return answer


def change(work: Work, answer: Answer, draft: Draft) -> bool:
    """Bring an answer to what the draft says; False when that changes nothing. Raises ``Invalid``."""
    check(work.db, draft)
    if draft_of(answer) == draft:
        return False
    _apply(work, answer, draft)
    return True


def turn(work: Work, answer: Answer, state: str) -> bool:
    """Stop an answer, take it up again or delete it; False when it is so already."""
    if answer.state == state or answer.state == "deleted" or state not in STATES:
        return False
    answer.state, answer.changed_at, answer.version = state, work.now, answer.version + 1
    return True


def _apply(work: Work, answer: Answer, draft: Draft) -> None:
    answer.name, answer.place = draft.name.strip(), draft.place
    answer.definition = {name: value for name, value in draft.definition.items() if value}
    answer.reply = {"text": draft.text, "menu": list(draft.menu), "hand_over": draft.hand_over}
    answer.version, answer.changed_at = answer.version + 1, work.now


def draft_of(answer: Answer) -> Draft:
    """The answer as a draft, to be changed."""
    reply = answer.reply
    menu, hand_over = tuple(reply.get("menu") or ()), bool(reply.get("hand_over"))
    return Draft(answer.name, answer.definition, str(reply.get("text") or ""), menu, hand_over, answer.place)


# --- choosing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Book:
    """The active answers of one database, ready to be chosen from."""

    stamp: tuple[Any, ...]
    tagger: Tagger
    questions: Sequence[tuple[int, str]]
    answers: Mapping[int, Answer]
    by_name: Mapping[str, int]
    own_words: frozenset[str]
    """What we say ourselves, in normal form."""


_BOOKS: "WeakKeyDictionary[Any, Book]" = WeakKeyDictionary()


def book(db: Session) -> Book:
    """The answers as they are now: built by this process already, or built now."""
    asked = select(func.count(), func.max(Answer.changed_at), func.sum(Answer.version), func.sum(Answer.id))
    stamp = tuple(db.execute(asked.where(Answer.state == "active")).one())
    engine = db.get_bind().engine
    known = _BOOKS.get(engine)
    if known is not None and known.stamp == stamp:
        return known
    built = _BOOKS[engine] = _built(db, stamp)
    return built


def _built(db: Session, stamp: tuple[Any, ...]) -> Book:
    found = {one.id: one for one in db.scalars(select(Answer).where(Answer.state == "active").order_by(Answer.id))}
    rules, questions = [], []
    for one in list(found.values()):
        db.expunge(one)
        try:
            rules += [replace(rule, id=one.id) for rule in _rules_of(one)]
        except Invalid as error:
            log.error("answer %d is left out, it cannot be read: %s", one.id, error)  # one must not cost the others
            del found[one.id]
        else:
            questions += [(one.id, _bare(each)) for each in _questions_of(one)]
    return Book(
        stamp=stamp,
        tagger=Tagger(rules),
        questions=questions,
        answers=found,
        by_name={normalise(one.name).text: one.id for one in found.values()},
        own_words=frozenset(_bare(str(one.reply.get("text") or "")) for one in found.values()),
    )


def _questions_of(answer: Answer) -> list[str]:
    return [str(one) for one in answer.definition.get("questions") or ()]


def _rules_of(answer: Answer) -> Iterator[Rule]:
    """Its keywords as one rule, and its questions as another; what must not be said parts it from both."""
    if any(answer.definition.get(name) for name in ("any_keywords", "all_keywords")):
        yield Rule.read(answer.definition)
    if questions := _questions_of(answer):
        never = answer.definition.get("not_keywords") or []
        yield Rule.read({"any_keywords": [_bare(one) for one in questions], "not_keywords": never})


def choose(db: Session, said: str, menu_id: str, lately: Sequence[Given], now: datetime) -> Chosen | Silence:
    """What to say to this message, or why nothing. ``lately``: what we wrote in this chat in the last ``LATELY``."""
    own = book(db)
    if _bare(said) in own.own_words or any(_bare(one.text) == _bare(said) for one in lately):
        return Silence("和我们自己的话一样，对方可能也是机器人", loop=True)
    found = _clicked(own, menu_id, said) or _best(own, said)
    if isinstance(found, Silence):
        return found
    answer, because = found
    ours = [one for one in lately if one.answer_id is not None and now - one.at < LATELY]
    again = sum(one.answer_id == answer.id for one in ours)
    if len(ours) >= MOST_LATELY or (again and len(ours) >= SAME_AGAIN_UP_TO):
        return Silence("短时间内自动回复太多，对方可能也是机器人", loop=True)
    reply = draft_of(answer)
    return Chosen(answer.id, answer.name, reply.text, menu_of(own, reply.menu), reply.hand_over, because)


def menu_of(own: Book, words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each entry with the id that leads to its answer."""
    return tuple((_menu_id(own, one, number), one) for number, one in enumerate(words, start=1))


def _menu_id(own: Book, words: str, number: int) -> str:
    known = own.by_name.get(normalise(words).text)
    return f"{ANSWER}{known}" if known is not None else f"{MENU_WORDS}:{number}"


def _clicked(own: Book, menu_id: str, said: str) -> tuple[Answer, str] | None:
    """The answer that a click names, if it is still given; else its words count as typed."""
    number = menu_id.removeprefix(ANSWER)
    if not menu_id.startswith(ANSWER) or not (number.isascii() and number.isdecimal()) or len(number) > 9:
        return None
    answer = own.answers.get(int(number))
    return (answer, f"点了菜单“{said[:30]}”") if answer is not None else None


def _best(own: Book, said: str) -> tuple[Answer, str] | Silence:
    fits: dict[int, tuple[int, int, str]] = {}
    for match in own.tagger.matches(said):
        lengths = [hit.end - hit.start for hit in match.hits]
        words = "、".join(dict.fromkeys(hit.words for hit in match.hits))
        fit = (max(lengths, default=0), sum(lengths), words)
        fits[match.rule_id] = max(fits.get(match.rule_id, fit), fit)
    part = _bare(said)
    if len(part) >= SHORTEST_PART:
        for answer_id, question in own.questions:
            if part in question and 2 * len(part) >= len(question):
                fit = (len(part), len(part), question)
                fits[answer_id] = max(fits.get(answer_id, fit), fit)
    if not fits:
        return Silence("没有符合的答案")
    longest = max(fit[:2] for fit in fits.values())
    first = sorted((own.answers[one].place, one) for one, fit in fits.items() if fit[:2] == longest)
    if len(first) > 1 and first[0][0] == first[1][0]:
        names = "、".join(own.answers[one].name for _, one in first[:3])
        return Silence(f"几个答案同样合适：{names}")
    answer = own.answers[first[0][1]]
    return answer, f"说到“{fits[answer.id][2][:60]}”"


def _bare(text: str) -> str:
    return normalise(text[:2000]).text.strip(MARKS)

"""What each thing a rep can ask for does, and whom it is about: one row of ``ACTS`` each.

An act that is about a customer says how they are named in the text; ``handlers.rep_bot`` asks back where several could
be meant, and carries the act out with whoever was chosen. Everything an act writes bears ``Turn.once``, so that the
same message, however often it comes, does it once.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import select

from handlers import rep_cards, rep_commands, rep_list
from handlers import rep_words as words
from handlers.rep_cards import Rep, name_of
from handlers.rep_commands import Asked
from people import access, binding, by_hand, directory, finding, identities, own_pages, persons, rep_rules, tasks, when
from people.finding import Found
from people.tasks import plain
from people.when import Moment, NotATime
from storage import audit
from storage.tables import InboxRow, Interaction, Person, PersonTag, Tag
from storage.work import Work
from tagging import rules, tags
from tagging.rules import Words
from wecom.commands import TellRep, markdown_to, text_to
from wecom.events import MemberWrote, read_event

FORWARDED = "forwarded"
JUST_BEFORE = timedelta(hours=1)
"""So long after a text was passed on it can still be given to a customer."""
ASKING = re.compile(r"^(?:请|麻烦|记得|帮我|新建|加|个|\s)*(?:提醒(?:一下)?我?(?:一下)?|待办|跟进)[\s,，:：]*")
TO_WHEN = re.compile(r"^(?:的?待办)?\s*(?:推迟|延后|推后|改)?(?:到|至|成|为)?\s*")
HEADER = re.compile(
    r"^(.{1,40}?)(?:@\S{1,20})?(?:\s+\d{1,4}[-/.月]\d{1,2}\S*)?(?:\s+\d{1,2}:\d{2}(?::\d{2})?)?[\s:：]*$"
)
"""The line above a copied message: who, perhaps ``@微信``, and when."""
BETWEEN_TAGS = re.compile(r"[\s,，、;；]+")
TAGS_TOLD = 10


@dataclass(frozen=True)
class Turn:
    """One thing asked by one rep."""

    rep: Rep
    asked: Asked
    said_at: datetime
    """When the rep said it: 半小时后 counts from there."""
    message_id: int
    """Of the inbox row that holds the message."""
    work: Work

    @property
    def once(self) -> str:
        """Why what it does is done once."""
        return f"bot:{self.message_id}"

    def say(self, template: str, /, **values: object) -> TellRep:
        """An answer in words; what people wrote must have gone through ``plain``."""
        return text_to(self.rep.userid, template.format(**values))

    def example(self) -> str:
        """What to type for this."""
        return rep_commands.example_of(self.asked.kind)


@dataclass(frozen=True)
class Act:
    """Whom it is about (None: nobody), and what it does; ``harmless``: it may be done with whoever is the only one."""

    do: Callable[[Turn, Person | None, str], TellRep]
    whom: Callable[[Turn], Found] | None = None
    harmless: bool = False
    anybody: bool = False
    """Whether it is also done when nobody was named."""


# --- looking ---------------------------------------------------------------------------------------------------------


def whom_to_find(turn: Turn) -> Found:
    """Somebody called what was typed; 查理 may be a name before it is 查 and 理."""
    db, sight, asked = turn.work.db, turn.rep.sight, turn.asked
    if asked.close and (found := finding.find(db, sight, asked.text)).exact and found.people:
        return found
    return finding.find(db, sight, asked.rest)


def show(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """The customer's card."""
    if person is None:
        return turn.say(words.WHO, example=turn.example())
    return rep_cards.customer(turn.rep, person, turn.work)


def show_points(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """What the rep's own customer has in points, and the address of their page, to be sent to them."""
    if person is None:
        return turn.say(words.WHO, example=turn.example())
    relations = directory.picture(turn.work.db, turn.rep.sight, person).relations
    if all(one.userid != turn.rep.userid for one in relations):
        return turn.say(words.NOT_YOURS, name=name_of(person))
    has = rep_cards.points_line(person, turn.work) or words.NO_POINTS
    return turn.say(words.POINTS, name=name_of(person), has=has, address=own_pages.address(turn.work, person))


def show_today(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """Today's list."""
    return rep_cards.todays(turn.rep, turn.work)


def show_help(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """Everything one can say."""
    return markdown_to(turn.rep.userid, words.help_text())


def ask_back(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """What was understood of it, and what to type."""
    said = time_in(turn)
    return turn.say(words.TIMED, said=said) if said else turn.say(words.UNCLEAR)


def time_in(turn: Turn) -> str | None:
    """The words of the text that say a time, if any do."""
    try:
        moment = when.read(turn.asked.text, turn.said_at, turn.work.zone)
    except NotATime:
        return None
    return plain(moment.said, 20) if moment else None


# --- writing down ----------------------------------------------------------------------------------------------------


def whom_at_start(turn: Turn) -> Found:
    """The customer whom the text names first."""
    return finding.find_at_start(turn.work.db, turn.rep.sight, turn.asked.rest)


def note(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """A note on the customer."""
    if person is None:
        return turn.say(words.WHO, example=turn.example())
    if not rest:
        return turn.say(words.NO_NOTE, name=name_of(person))
    try:
        by_hand.add_note(turn.work, person, rest, by=turn.rep.userid, once=turn.once)
    except ValueError as error:
        return turn.say("{why}", why=error)
    _audit(turn, "person.note", person)
    return turn.say(words.NOTED, name=name_of(person), text=plain(rest, 60))


def tag(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """One or several tags on the customer; all of them must be known, or none is given."""
    if person is None:
        return turn.say(words.WHO, example=turn.example())
    if not rest:
        return turn.say(words.NO_TAG, name=name_of(person))
    known = [one for some in tags.known_groups(turn.work.db).values() for one in some]
    whole = _tags_called(known, rest)
    wanted = [rest] if whole else [part for part in BETWEEN_TAGS.split(rest) if part]
    chosen: dict[int, Tag] = {}
    for said in wanted:
        found = _tags_called(known, said)
        if not found:
            return turn.say(words.UNKNOWN_TAG, said=plain(said, 20), alike=_alike(known, said))
        if len(found) > 1:
            told = "、".join(_tag_name(one) for one in found[:TAGS_TOLD])
            first = _tag_name(found[0])
            return turn.say(words.SEVERAL_TAGS, said=plain(said, 20), tags=told, name=name_of(person), first=first)
        chosen[found[0].id] = found[0]
    return _tagged(turn, person, list(chosen.values()))


def _tagged(turn: Turn, person: Person, chosen: list[Tag]) -> TellRep:
    by, called = turn.rep.userid, turn.rep.member.name or turn.rep.userid
    new, old = [], []
    for one in chosen:
        given = tags.give_by_hand(turn.work, person, one.id, by=by, called=called)
        if given is not None and given.new:
            once = f"{by_hand.TAGGED}:{turn.once}:{one.id}"
            by_hand.tell(turn.work, person, by_hand.TAGGED, by=by, once=once, details={"tag": given.name})
            new.append(_tag_name(one))
        elif given is not None:
            old.append(_tag_name(one))
    _audit(turn, "person.tag", person, {"tags": [tags.public_id(one.id) for one in chosen]})
    lines = [words.TAGGED.format(name=name_of(person), tags="、".join(new))] if new else []
    lines += [words.TAGGED_BEFORE.format(name=name_of(person), tags="、".join(old))] if old else []
    return text_to(turn.rep.userid, "\n".join(lines))


def bind(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """Bind the customer of a till who has this number; said twice, the second time with 确认."""
    if person is None:
        return turn.say(words.WHO, example=turn.example())
    said = rest.strip()
    sure, typed = said.endswith(SURE), said.removesuffix(SURE).strip()
    try:
        phone = identities.spelt(identities.PHONE, typed)
    except ValueError:
        return turn.say(words.NO_NUMBER, name=name_of(person))
    found = binding.match(turn.work.db, turn.rep.sight, person.id, phone)
    told = {"name": name_of(person), "number": access.masked(phone), "orders": found.orders, "typed": phone}
    if not sure:
        which = words.BIND_NOBODY if not found.people else words.BIND_ORDERS if found.free else words.BIND_OTHERS
        return turn.say(which + words.BIND_SURE, **told)
    outcome = binding.bind(turn.work, person, phone, found, by=turn.rep.userid)
    _audit(turn, "customer.bind", person, {"outcome": outcome})
    return turn.say(_BOUND[outcome], **told)


SURE = "确认"
_BOUND = {binding.BOUND: words.BOUND, binding.NOBODY: words.BOUND_LATER, binding.WAITS: words.BOUND_WAITS}


def _tags_called(known: list[Tag], said: str) -> list[Tag]:
    """Tags of this name, or of this group and name."""
    wanted = said.translate(rep_commands.FULL_WIDTH).strip().lower()
    return [one for one in known if wanted in (one.name.lower(), f"{one.group_name}/{one.name}".lower())]


def _alike(known: list[Tag], said: str) -> str:
    wanted = said.lower()
    alike = [one for one in known if wanted in one.name.lower() or one.name.lower() in wanted]
    if alike:
        return words.ALIKE_TAGS.format(tags="、".join(map(_tag_name, alike[:TAGS_TOLD])))
    if known:
        return words.LIST_TAGS.format(tags="、".join(map(_tag_name, known[:TAGS_TOLD])))
    return words.NO_TAGS_YET


def _tag_name(one: Tag) -> str:
    return f"{plain(one.group_name, 15)}/{plain(one.name, 15)}"


def _audit(turn: Turn, action: str, person: Person, details: Mapping[str, object] | None = None) -> None:
    subject = persons.public_id(person.id)
    audit.note(
        turn.work.db,
        actor=turn.rep.userid,
        action=action,
        subject=subject,
        details=details,
        address="wecom",
        at=turn.work.now,
    )


# --- the customer's own words ----------------------------------------------------------------------------------------


def whom_forwarded(turn: Turn) -> Found:
    """转发 小雨：… or the name on a line of its own; the name may stand as it does above a copied message."""
    first, _, rest = turn.asked.rest.partition("\n")
    header = HEADER.match(first.strip())
    if rest.strip() and header is not None:
        found = finding.find(turn.work.db, turn.rep.sight, header[1])
        if found.people:
            return Found(found.people, found.exact, rest.strip(), found.called)
    return whom_at_start(turn)


def whom_pasted(turn: Turn) -> Found:
    """A pasted text whose first line is exactly a customer's name; otherwise nobody."""
    found = whom_forwarded(turn)
    return found if found.exact and "\n" in turn.asked.text else Found()


def hear(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """Keep the customer's words as theirs, and let the rules look at them."""
    if person is None:
        return turn.say(words.WHO, example=turn.example())
    said = _words_of(person, turn, rest)
    if not said:
        return turn.say(words.NO_WORDS, name=name_of(person))
    work, userid, once = turn.work, turn.rep.userid, f"{FORWARDED}:{turn.once}"
    persons.tell(
        work, person.id, FORWARDED, turn.said_at, once=once, userid=userid, details={"text": said, "by": userid}
    )
    line = work.db.scalars(select(Interaction).where(Interaction.once == once)).one()
    before = _tag_ids(person, work)
    heard = Words(text=said, interaction_id=line.id, where="forwarded", at=turn.said_at, userid=userid)
    hits = rules.hear(work, person, heard)
    new = work.db.scalars(select(Tag).where(Tag.id.in_(_tag_ids(person, work) - before)).order_by(Tag.id)).all()
    told = words.HEARD_TAGS.format(tags="、".join(map(_tag_name, new))) if new else ""
    told = told or (words.HEARD_AGAIN if hits else words.HEARD_NONE)
    return turn.say("{heard}{told}", heard=words.HEARD.format(name=name_of(person)), told=told)


def _words_of(person: Person, turn: Turn, text: str) -> str:
    """What the customer said, of several copied messages: those below the rep's own name are left out."""
    own = {name.lower() for name in (turn.rep.member.name, turn.rep.userid) if name}
    kept, listening = [], True
    for line in text.strip().splitlines():
        header = HEADER.match(line.strip())
        speaker = header[1].strip().lower() if header is not None and header.end(1) < len(line.strip()) else ""
        if speaker in own:
            listening = False
        elif speaker and speaker == person.name.lower():
            listening = True
        elif listening:
            kept.append(line)
    return "\n".join(kept).strip()


def _tag_ids(person: Person, work: Work) -> set[int]:
    return set(work.db.scalars(select(PersonTag.tag_id).where(PersonTag.person_id == person.id)))


def whom_before(turn: Turn) -> Found:
    """Who said what the rep has just passed on."""
    return finding.find(turn.work.db, turn.rep.sight, turn.asked.rest)


def hear_before(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """The rep's last text that was no request, as this customer's words."""
    if person is None:
        return turn.say(words.WHO, example=turn.example())
    if (text := _passed_on(turn)) is None:
        return turn.say(words.NOTHING_BEFORE)
    return hear(turn, person, text)


def _passed_on(turn: Turn) -> str | None:
    own = select(InboxRow).where(
        InboxRow.key == f"rep:{turn.rep.userid.lower()}",
        InboxRow.name == "message.text",
        InboxRow.id < turn.message_id,
        InboxRow.received_at >= turn.said_at - JUST_BEFORE,
    )
    for row in turn.work.db.scalars(own.order_by(InboxRow.id.desc()).limit(5)):
        event = read_event(row.xml)
        text = (event.text or "").strip() if isinstance(event, MemberWrote) else ""
        if text and _asks_for_nothing(turn, text):
            return text
    return None


def _asks_for_nothing(turn: Turn, text: str) -> bool:
    """Neither words of the table nor somebody's name."""
    asked = rep_commands.read(text)
    if asked.kind != rep_commands.FIND:
        return asked.kind == rep_commands.UNCLEAR
    return asked.is_bare and not finding.find(turn.work.db, turn.rep.sight, text).people


# --- tasks -----------------------------------------------------------------------------------------------------------


def whom_to_remind_of(turn: Turn) -> Found:
    """The customer named in what is to be done; without a time nobody needs to be chosen yet."""
    try:
        moment = _moment(turn)
    except NotATime:
        return Found()
    return finding.find_within(turn.work.db, turn.rep.sight, _to_do(moment)) if moment else Found()


def _moment(turn: Turn) -> Moment | None:
    return when.read(turn.asked.text.translate(rep_commands.FULL_WIDTH), turn.said_at, turn.work.zone)


def _to_do(moment: Moment) -> str:
    return ASKING.sub("", moment.rest).strip(rep_commands.SIGNS)


def remind(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """A task with its time."""
    try:
        moment = _moment(turn)
    except NotATime as error:
        return turn.say(words.NOT_A_TIME, why=plain(str(error), 40), example=turn.example())
    if moment is None:
        return turn.say(words.NO_TIME, example=turn.example())
    if moment.at <= turn.work.now:
        return turn.say(words.TOO_LATE, said=plain(moment.said, 20))
    text = _to_do(moment)
    if not text:
        return turn.say(words.NOTHING_TO_DO, example=turn.example())
    try:
        task = tasks.make(turn.work, turn.rep.userid, text, moment.at, person=person, once=turn.once)
    except ValueError as error:
        return turn.say("{why}", why=error)
    told = {"at": _at(turn, moment.at), "text": plain(text, 60), "number": task.id, "later": _later(turn, moment.at)}
    if person is None:
        return turn.say(words.REMINDED_NOBODY, **told)
    return turn.say(words.REMINDED, **told, name=name_of(person))


def _later(turn: Turn, at: datetime) -> str:
    """What is to be said of a time outside the reps' hours: the reminder leaves when they begin."""
    rules = rep_rules.rules(turn.work.db)
    leaves = rules.first_at_work(at, turn.work.zone)
    if leaves == at:
        return ""
    return words.OUTSIDE_HOURS.format(starts=f"{rules.starts:%H:%M}", ends=f"{rules.ends:%H:%M}", at=_at(turn, leaves))


def _at(turn: Turn, at: datetime) -> str:
    return when.in_words(at, turn.work.now, turn.work.zone)


def finish(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """The task or card of this number is done."""
    if not turn.asked.number:
        return turn.say(words.WHICH_TASK, example=turn.example())
    if turn.asked.card:
        return turn.say("{told}", told=rep_list.finish(turn.work, turn.rep.userid, turn.asked.number))
    task = tasks.own(turn.work.db, turn.rep.userid, turn.asked.number)
    if task is None:
        return turn.say(words.NO_SUCH_TASK, number=turn.asked.number)
    told = words.FINISHED if tasks.finish(turn.work, task) else words.FINISHED_BEFORE
    return turn.say(told, number=task.id, text=plain(task.text, 60))


def postpone(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """The task or card of this number at another time; 半小时 alone is 半小时后."""
    if not turn.asked.number:
        return turn.say(words.WHICH_TASK, example=turn.example())
    task = None
    if not turn.asked.card and (task := tasks.own(turn.work.db, turn.rep.userid, turn.asked.number)) is None:
        return turn.say(words.NO_SUCH_TASK, number=turn.asked.number)
    number = f"{'K' if turn.asked.card else ''}{turn.asked.number}"
    said = TO_WHEN.sub("", turn.asked.rest.translate(rep_commands.FULL_WIDTH))
    try:
        moment = when.read(said, turn.said_at, turn.work.zone) or when.read(f"{said}后", turn.said_at, turn.work.zone)
    except NotATime as error:
        return turn.say("{why}。{how}", why=plain(str(error), 40), how=words.POSTPONE_TO_WHEN.format(number=number))
    if moment is None or moment.rest:
        return turn.say(words.POSTPONE_TO_WHEN, number=number)
    if moment.at <= turn.work.now:
        return turn.say(words.TOO_LATE, said=plain(moment.said, 20))
    if task is None:
        told = rep_list.postpone(turn.work, turn.rep.userid, turn.asked.number, moment.at)
        return turn.say("{told}", told=told)
    tasks.postpone(task, moment.at)
    at, later = _at(turn, moment.at), _later(turn, moment.at)
    return turn.say(words.POSTPONED, number=number, at=at, text=plain(task.text, 60), later=later)


def not_for_them(turn: Turn, person: Person | None, rest: str) -> TellRep:
    """The card of this number is not for its customer; what stands behind the number is why."""
    if not turn.asked.number:
        return turn.say(words.WHICH_CARD, example=turn.example())
    told = rep_list.irrelevant(turn.work, turn.rep.userid, turn.asked.number, turn.asked.rest)
    return turn.say("{told}", told=told)


ACTS: Mapping[str, Act] = MappingProxyType(
    {
        rep_commands.FIND: Act(show, whom_to_find, harmless=True),
        rep_commands.POINTS: Act(show_points, whom_to_find, harmless=True),
        rep_commands.TODAY: Act(show_today),
        rep_commands.NOTE: Act(note, whom_at_start),
        rep_commands.TAG: Act(tag, whom_at_start),
        rep_commands.BIND: Act(bind, whom_at_start),
        rep_commands.TASK: Act(remind, whom_to_remind_of, anybody=True),
        rep_commands.DONE: Act(finish),
        rep_commands.POSTPONE: Act(postpone),
        rep_commands.IRRELEVANT: Act(not_for_them),
        rep_commands.FORWARD: Act(hear, whom_forwarded),
        rep_commands.PREVIOUS: Act(hear_before, whom_before),
        rep_commands.HELP: Act(show_help),
        rep_commands.UNCLEAR: Act(ask_back),
    }
)

"""What follows when something happened at an account of 微信客服: it is pulled page by page, kept, and answered.

``pull`` reads one page without a transaction; ``keep_page`` keeps all of it in one, moves the cursor and applies the
effects. While WeCom has more, the event stays open and its next turn reads the next page. Whoever dies in between has
moved nothing: the page is read again, and every message is known by its msgid. Rules: kf reference §6.

A customer's message is first kept, then heard by the tagging rules, then obeyed or answered, in that order; the bot
says at most one thing to it, and nothing to what is older than ``FRESH``: hours later an answer is none.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import select, update

from handlers.books import Books
from handlers.kf_items import CUSTOMER, SERVICER, Item, read_item
from outreach import links
from people import consent, conversations, joining, kept_files, kf_accounts, persons, profiles
from people.conversations import ENDED, HUMAN, KF_EVENT, KF_IN, KF_OUT, OURS, QUICK_CODE, CannotSend, Message
from storage import inbox
from storage.database import changed_rows
from storage.inbox import EVENTS, Arriving
from storage.tables import Conversation, Identity, Interaction, KfAccount, Person
from storage.work import Work
from tagging import answers, rules, segment, wishes
from tagging.answers import LATELY, MENU_HUMAN, Chosen, Given, Silence
from tagging.rules import Words
from wecom import xml
from wecom.answers import number, text
from wecom.commands import SendKf
from wecom.errors import NO_SUCH_ACCOUNT, Refused, TryLater
from wecom.events import KfAccountsChanged, KfWaiting
from wecom.gateway import Gateway
from wecom.kf import KfAccountFacts, KfCustomer

log = logging.getLogger(__name__)

TOKEN_LIVES = timedelta(minutes=9)
"""WeCom says ten; an older one only looks like one."""
PULLED_SINCE = timedelta(seconds=2)
"""A pull that began this long after a callback had come in has read what the callback was about."""
FRESH = timedelta(minutes=10)
RATED_WITHIN = timedelta(hours=24)
HANDING_OVER = "正在为您转接人工客服，请稍候。"
THANKS = "谢谢您的评价！"
STOPPED = "已为您停止推送，我们不会再主动打扰您。想恢复时，请回复“恢复订阅”。"
BACK = "已为您恢复订阅。"


@dataclass(frozen=True)
class Pulled:
    """One page, from which cursor it was read, and who the customers in it are whom we have no name of."""

    old_cursor: str
    cursor: str = ""
    messages: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    more: bool = False
    customers: Mapping[str, KfCustomer] = field(default_factory=dict)
    known_already: bool = False
    """A pull that began after this callback has read everything."""
    trouble: str = ""
    errcode: int = 0


@dataclass(frozen=True)
class Said:
    """One element of the list with everything it is about."""

    item: Item
    account: KfAccount
    person: Person
    conversation: Conversation
    line: int
    """The number of its line in the story."""
    work: Work


# --- pulling ---------------------------------------------------------------------------------------------------------


def pull(event: KfWaiting, gateway: Gateway, books: Books) -> Pulled:
    """Read the next page of this account. Raises ``TryLater``; a refusal is part of the answer."""
    with books.open() as db:
        account = db.get(KfAccount, event.open_kfid)
    cursor = account.cursor if account else ""
    pulled_at = account.pulled_at if account else None
    if event.token and pulled_at is not None and pulled_at > books.received_at + PULLED_SINCE:
        return Pulled(cursor, known_already=True)
    fresh = event.at is not None and books.now - event.at < TOKEN_LIVES
    try:
        page = gateway.kf.page(event.open_kfid, cursor, (event.token or "") if fresh else "")
    except Refused as error:
        return Pulled(cursor, trouble=str(error), errcode=error.errcode)
    if any(one.get("msgtype") == "text" for one in page.messages):
        segment.load()  # here, and not with the database held
    return Pulled(cursor, page.cursor, page.messages, page.more, _customers(page.messages, gateway, books))


def _customers(messages: tuple[dict[str, Any], ...], gateway: Gateway, books: Books) -> dict[str, KfCustomer]:
    """Who the nameless are. That we cannot ask just now must not hold their messages up."""
    ids = {read_item(one, books.now).external_userid for one in messages} - {""}
    with books.open() as db:
        named = select(Identity.value).join(Person).where(Identity.type == persons.EXTERNAL, Person.name != "")
        nameless = sorted(ids - set(db.scalars(named.where(Identity.value.in_(ids)))))
    if not nameless:
        return {}
    try:
        return {one.external_userid: one for one in gateway.kf.customers(nameless)}
    except (Refused, TryLater) as error:
        log.warning("kf: %d customers keep no name for now: %s", len(nameless), error)
        return {}


def keep_page(event: KfWaiting, page: Pulled | None, work: Work) -> None:
    """Keep everything of a page, and the cursor behind it."""
    account = kf_accounts.account_of(work, event.open_kfid)
    if page is None:
        account.pulled_at = None  # WeCom was away: the next run of the job pulls
        return
    if page.trouble:
        account.trouble, account.pulled_at = page.trouble, work.now
        account.gone_at = work.now if page.errcode in NO_SUCH_ACCOUNT else account.gone_at
        return
    if page.known_already:
        return
    if not _moved(work, event.open_kfid, page):
        work.goes_on = True  # somebody else has moved it meanwhile: read on from there
        return
    for one in page.messages:
        _keep(read_item(one, work.now), account, page.customers, work)
    account.trouble = None
    if page.more:
        work.goes_on = True
    else:
        account.pulled_at = work.looked_at


def _moved(work: Work, open_kfid: str, page: Pulled) -> bool:
    """The cursor moves only from where this page began: of two who read the same page one keeps it."""
    own = (KfAccount.open_kfid == open_kfid, KfAccount.cursor == page.old_cursor)
    moved = update(KfAccount).where(*own).values(cursor=page.cursor)
    return changed_rows(work.db, moved.execution_options(synchronize_session=False)) == 1


def _keep(item: Item, account: KfAccount, customers: Mapping[str, KfCustomer], work: Work) -> None:
    """Write it into the story of the customer, and do what follows, once."""
    if not item.external_userid:
        _keep_without_customer(item, account, work)
        return
    person = _person(work, item, customers.get(item.external_userid))
    conversation = conversations.conversation_of(work, account.open_kfid, item.external_userid, person, item.at)
    kind, act = _kind_of(item)
    row = {
        "person_id": person.id,
        "userid": None,
        "kind": kind,
        "at": item.at,
        "details": _details(item, account, work),
    }
    line = persons.told(work, {**row, "once": conversations.line_name(item.msgid)})
    if line is None:
        return
    person.last_seen_at = max(person.last_seen_at, item.at)
    act(Said(item, account, person, conversation, line, work))


def _kind_of(item: Item) -> "tuple[str, Callable[[Said], None]]":
    if item.is_event:
        return KF_EVENT, HAPPENED.get(item.type, _nothing_more)
    if item.origin == SERVICER:
        return KF_OUT, _servicer_said
    if item.origin == CUSTOMER:
        return KF_IN, _customer_said
    return KF_EVENT, _nothing_more


def _details(item: Item, account: KfAccount, work: Work) -> dict[str, Any]:
    known = {"open_kfid": account.open_kfid, "msgid": item.msgid}
    by = {"by": persons.own_spelling(work, item.servicer), "fate": conversations.SENT}
    return {**item.details(), **known, **(by if item.origin == SERVICER and not item.is_event else {})}


def _person(work: Work, item: Item, customer: KfCustomer | None) -> Person:
    """Who it is: by external_userid, and by unionid where that is new to us."""

    def look() -> Person:
        person = persons.person_of(work, item.external_userid, item.at)
        return person if customer is None else _remember(work, person, item.external_userid, customer)

    return work.found(("kf person", item.external_userid), look)


def _remember(work: Work, person: Person, external_userid: str, customer: KfCustomer) -> Person:
    """Keep what 微信客服 tells of somebody; who they are then: the unionid may be somebody's whom we know."""
    person.name = person.name or customer.name
    person.avatar, person.gender = person.avatar or customer.avatar, person.gender or customer.gender
    if not customer.unionid:
        return person
    anchor = profiles.anchor_of(work, person, external_userid)
    return joining.learn(work, anchor.id, [joining.Given(persons.UNIONID, customer.unionid)], source="wecom")


def _keep_without_customer(item: Item, account: KfAccount, work: Work) -> None:
    """It concerns nobody in particular: kept among the events, where people can look at it."""
    if item.type == "servicer_status_change" and item.servicer:
        receiving, stop_type = number(item.payload, "status") == 1, number(item.payload, "stop_type") or 0
        userid = persons.own_spelling(work, item.servicer)
        kf_accounts.servicer_changed(account, userid, receiving=receiving, stop_type=stop_type)
    raw = json.dumps(item.raw, ensure_ascii=False)
    event = Arriving(
        identity=hashlib.sha256(f"kf:{account.open_kfid}:{item.msgid}".encode()).hexdigest(),
        name=f"kf_item.{item.type}"[:100],
        key=f"kf:{account.open_kfid}",
        lane=EVENTS,
        xml=xml.write({"Event": "kf_item", "ChangeType": item.type, "Raw": raw}),
        event_at=item.at,
    )
    inbox.keep_only(work.db, event, "kept: it concerns no customer", work.now)


# --- what customers and servicers say --------------------------------------------------------------------------------


def _customer_said(said: Said) -> None:
    item, work = said.item, said.work
    conversations.customer_wrote(work, said.conversation, item.at)
    if item.media_id is not None:
        kept_files.ask_for(work, said.line, item.type, item.media_id)
    if item.text:
        words = Words(item.text, said.line, rules.KF, item.at, open_kfid=said.account.open_kfid)
        rules.hear(work, said.person, words)
        _heed(said)


def _servicer_said(said: Said) -> None:
    item, work = said.item, said.work
    conversations.servicer_wrote(work, said.conversation, persons.own_spelling(work, item.servicer), item.at)
    if item.media_id is not None:
        kept_files.ask_for(work, said.line, item.type, item.media_id)


def _heed(said: Said) -> None:
    """What the customer asks of the bot itself comes first; then the shop's answers. One of them, once."""
    item = said.item
    stars = _stars(said)
    if stars is not None:
        _rated(said, stars)
    elif wishes.wants_to_stop(item.text):
        if consent.opt_out(said.work, said.person, KF_BY, once=item.msgid[:150]):
            _say(said, Message(STOPPED), {"because": "退订"})
    elif wishes.wants_back(item.text) and consent.is_out(said.person):
        consent.opt_in(said.work, said.person, KF_BY, once=item.msgid[:150])
        _say(said, Message(BACK), {"because": "恢复订阅"})
    elif item.menu_id == MENU_HUMAN or wishes.wants_human(item.text):
        _hand_over(said, HANDING_OVER)
    elif _may_speak(said):
        _answer(said)


KF_BY = "kf"


def _may_speak(said: Said) -> bool:
    """Only while the bot has the chat, and only to what was said just now."""
    return said.conversation.state in OURS and said.work.now - said.item.at < FRESH


def _answer(said: Said) -> None:
    lately = _lately(said)
    chosen = answers.choose(said.work.db, said.item.text, said.item.menu_id, lately, said.work.now)
    if isinstance(chosen, Chosen) and links.wanted(chosen.text) and _may_speak(said):
        chosen = replace(chosen, text=_with_own_links(said, chosen))
    match chosen:
        case Silence():
            _note(said, {"silent": chosen.why})
            if chosen.loop:
                once = f"kf-silent:{said.conversation.id}:{said.work.now:%Y%m%d%H}"
                told = {"type": "bot_silent", "why": chosen.why}
                conversations.tell_event(said.work, said.conversation, told, once=once, at=said.work.now)
        case Chosen(hand_over=True):
            _hand_over(said, chosen.text, {"answer": _named(chosen)})
        case Chosen():
            _say(said, Message(chosen.text, chosen.menu), {"answer": _named(chosen)})


def _with_own_links(said: Said, chosen: Chosen) -> str:
    """Each time an answer is given its links are new ones, so that it can be told which one was opened."""
    source, again = f"answer:{chosen.id}", str(said.line)
    return links.personal(said.work, chosen.text, (), said.person, source, again=again)[0]


def _named(chosen: Chosen) -> dict[str, Any]:
    return {"id": chosen.id, "name": chosen.name, "because": chosen.because}


def _lately(said: Said) -> list[Given]:
    """What we wrote in this chat in the last minutes, the bot or one of us."""
    since = said.work.now - LATELY
    lines = select(Interaction).where(
        Interaction.person_id == said.person.id, Interaction.kind == KF_OUT, Interaction.at >= since
    )
    own = [one for one in said.work.db.scalars(lines) if one.details.get("open_kfid") == said.account.open_kfid]
    return [
        Given(one.at, str(one.details.get("text") or ""), (one.details.get("answer") or {}).get("id"))
        for one in own
        if one.details.get("fate") not in (conversations.REFUSED, conversations.LATE)
    ]


def _say(said: Said, message: Message, details: Mapping[str, Any]) -> None:
    """The bot's one reply to this message, if the chat allows it; beside the message stands what came of it."""
    if not _may_speak(said):
        return
    try:
        once = f"kf-answer:{said.item.msgid[:150]}"
        conversations.send(said.work, said.conversation, message, once=once, details=details)
    except CannotSend as why:
        _note(said, {"silent": str(why)})
    else:
        _note(said, {"answered": dict(details)})


def _hand_over(said: Said, word: str, details: Mapping[str, Any] | None = None) -> None:
    """To the rep who answers for the customer if they take customers here, else into the pool."""
    if not _may_speak(said):
        return
    owner = said.person.owner if kf_accounts.receives(said.account, said.person.owner) else None
    try:
        once = f"kf-hand:{said.item.msgid[:150]}"
        conversations.hand_over(said.work, said.conversation, once=once, servicer=owner, word=word)
    except CannotSend as why:
        _note(said, {"silent": str(why)})
    else:
        _note(said, {"handed_over": True, **(details or {})})


def _note(said: Said, more: Mapping[str, Any]) -> None:
    """Write beside the customer's message what the bot made of it. While it only watches nothing is written."""
    if said.work.watches(SendKf.sender):
        return
    line = said.work.db.get_one(Interaction, said.line)
    line.details = {**line.details, **more}


def _stars(said: Said) -> int | None:
    """How satisfied they say they are: a click on the question, or its number soon after it was asked."""
    clicked = conversations.rating_in(said.item.menu_id)
    asked, rated = said.conversation.asked_rating_at, said.conversation.rated_at
    if clicked is not None or asked is None or (rated is not None and rated >= asked):
        return clicked
    typed = said.item.text.strip()
    return int(typed) if typed in ("1", "2", "3", "4", "5") and said.item.at - asked < RATED_WITHIN else None


def _rated(said: Said, stars: int) -> None:
    work, item = said.work, said.item
    servicer = conversations.last_servicer(work, said.conversation)
    once = f"kf-rated:{item.msgid[:150]}"
    conversations.rate(work, said.conversation, stars, servicer=servicer, once=once, at=item.at)
    _say(said, Message(THANKS), {"because": "评价"})


# --- what happens ----------------------------------------------------------------------------------------------------


def _nothing_more(said: Said) -> None:
    """It stands in the story; nothing follows from it."""
    conversations.touch(said.conversation, said.item.at)


def _entered(said: Said) -> None:
    """Greet somebody who opens the chat, where WeCom gave a code and the shop has something to say."""
    work, item, welcome = said.work, said.item, said.account.welcome
    conversations.touch(said.conversation, item.at)
    code, words, before = text(item.payload, "welcome_code"), str(welcome.get("text") or ""), item.at + QUICK_CODE
    if not code or not words or work.now >= before:
        return
    menu = answers.menu_of(answers.book(work.db), welcome.get("menu") or ())
    once, told = f"{conversations.WELCOME}:{item.msgid[:150]}", {"welcome": True}
    try:
        conversations.send_on_event(
            work, said.conversation, code, Message(words, menu), once=once, before=before, details=told
        )
    except CannotSend as why:
        _note(said, {"silent": str(why)})


def _session_changed(said: Said) -> None:
    """A servicer took the chat (from the pool, from a colleague, again), or ended it."""
    work, item, change = said.work, said.item, number(said.item.payload, "change_type")
    conversations.touch(said.conversation, item.at)
    if change in (1, 2, 4):
        servicer = text(item.payload, "new_servicer_userid")[:64]
        conversations.move(work, said.conversation, HUMAN, persons.own_spelling(work, servicer) if servicer else None)
    elif change == 3:
        conversations.move(work, said.conversation, ENDED)
        code, before = text(item.payload, "msg_code"), item.at + QUICK_CODE
        if code and work.now < before:
            once = f"kf-rate:{item.msgid[:150]}"
            conversations.ask_rating(work, said.conversation, code, once=once, before=before)


def _send_failed(said: Said) -> None:
    """WeCom took a message of ours and did not bring it to the customer."""
    fail_type = number(said.item.payload, "fail_type") or 0
    conversations.send_failed(said.work, text(said.item.payload, "fail_msgid"), fail_type)


def _recalled(said: Said) -> None:
    """Somebody took a message back."""
    by = persons.own_spelling(said.work, said.item.servicer) if said.item.servicer else "customer"
    conversations.recalled(said.work, text(said.item.payload, "recall_msgid"), by, said.item.at)


HAPPENED: Mapping[str, Callable[[Said], None]] = MappingProxyType(
    {
        "enter_session": _entered,
        "session_status_change": _session_changed,
        "msg_send_fail": _send_failed,
        "user_recall_msg": _recalled,
        "servicer_recall_msg": _recalled,
    }
)
"""What follows an event, by its type; every other one is only told."""


# --- accounts --------------------------------------------------------------------------------------------------------


def fetch_accounts(event: KfAccountsChanged, gateway: Gateway) -> list[KfAccountFacts]:
    """Read all accounts anew: the event names ids only. Raises ``TryLater``."""
    return gateway.kf.accounts()


def remember_accounts(event: KfAccountsChanged, found: list[KfAccountFacts] | None, work: Work) -> None:
    """Keep them as WeCom lists them now."""
    if found is not None:
        kf_accounts.remember(work, found)

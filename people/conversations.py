"""Chats of 微信客服: whose they are, what may still be said in them, and what became of what we said.

WeCom's rules (kf reference §6.3, §6.4), kept here and nowhere else: we write only while a chat is new or the bot's
(state 0 or 1), within 48 hours of the customer's last message, and at most five times since. Whoever plans a message
holds the chat's row, so that two can never both take the last of the five; a message counts from when it is planned,
and counts no more when WeCom has surely refused it. What a code of an event allows to say (a greeting, a word when
hands change) is counted by WeCom apart.

Before: ``handlers.kf`` (what customers and servicers did) and the console (what people of ours want to say). After:
``scheduler.delivery``, which hands each call's outcome to ``settle``. Reading for people is in ``people.chat_lists``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from people import persons
from storage import outbox
from storage.database import one_of
from storage.outbox import OPEN_STATES, UNCLEAR, Claimed, Outcome
from storage.rows import insert_new
from storage.tables import Conversation, Interaction, KfAccount, OutboxRow, Person
from storage.work import Work
from wecom.commands import HandKf, KfCommand, ReadKfState, ReplyKf, SendKf, SendKfOnEvent, TransKf
from wecom.errors import (
    BAD_KF_TOKEN,
    KF_FIVE_SENT,
    KF_STATE_IS_OTHER,
    NOT_A_SERVICER,
    SERVICER_PAUSED,
    Answered,
    Misconfigured,
    Refused,
    TryLater,
    Unclear,
    WeComError,
)

WINDOW = timedelta(hours=48)
MOST_SENT = 5
QUICK_CODE = timedelta(seconds=20)
"""The life of the code of a greeting, and of an ending."""
NEW, BOT_HAS_IT, POOL, HUMAN, ENDED = range(5)
OURS = (NEW, BOT_HAS_IT)
MOVES: Mapping[int, tuple[int, ...]] = {
    NEW: (BOT_HAS_IT, POOL, HUMAN),
    BOT_HAS_IT: (POOL, HUMAN),
    POOL: (HUMAN,),
    HUMAN: (HUMAN, ENDED),
    ENDED: (),
}
"""Which moves WeCom allows us. An ended chat begins anew with the customer's next message."""
KF_IN, KF_OUT, KF_EVENT = KINDS = ("kf_in", "kf_out", "kf_event")
BOT = "bot"
WAITING, SENT, NOT_SURE, REFUSED, LATE, FAILED = "waiting", "sent", "unclear", "refused", "late", "failed"
"""What became of a line of ours."""
FATES = {"done": SENT, "refused": REFUSED, "late": LATE, "held": NOT_SURE}
COUNTED = (SENT, NOT_SURE, FAILED)
MESSAGES = (SendKf.name, ReplyKf.name)
TEXT_BYTES, HEAD_BYTES, ENTRY_BYTES, MOST_ENTRIES = 2048, 1024, 128, 10
MAX_TRIES = 12
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=5)
WELCOME = "kf-welcome"
"""Begins the ``once`` of a greeting."""
RATE = "rate:"
STARS = (("5", "非常满意"), ("4", "满意"), ("3", "一般"), ("2", "不满意"), ("1", "非常不满意"))
WHY_FAILED: Mapping[int, str] = {
    0: "企业微信没有说明原因",
    1: "客服帐号已删除",
    2: "应用已关闭",
    4: "超过 48 小时",
    5: "会话已结束",
    6: "超过 5 条",
    7: "没有绑定视频号",
    8: "主体未验证",
    9: "没有绑定视频号，且主体未验证",
    10: "客户拒收",
}


class CannotSend(Exception):
    """Why nothing can be said in this chat now, in words for whoever wants to."""


@dataclass(frozen=True)
class Message:
    """Something to say: a text, perhaps with a menu of (id, words) below it."""

    text: str
    menu: tuple[tuple[str, str], ...] = ()

    def content(self, notice: str = "") -> dict[str, Any]:
        """As WeCom wants it, with the privacy notice below. Raises ``CannotSend`` for what is too long or empty."""
        if not self.menu:
            whole = f"{self.text}\n\n{notice}" if notice else self.text
            _bounded("消息", whole, TEXT_BYTES)
            return {"msgtype": "text", "text": {"content": whole}}
        _bounded("菜单上方的文字", self.text, HEAD_BYTES)
        if len(self.menu) > MOST_ENTRIES:
            raise CannotSend(f"菜单最多 {MOST_ENTRIES} 项")
        for _, words in self.menu:
            _bounded("菜单的一项", words, ENTRY_BYTES)
        entries = [{"type": "click", "click": {"id": one, "content": words}} for one, words in self.menu]
        menu = {"head_content": self.text, "list": entries} | ({"tail_content": notice} if notice else {})
        return {"msgtype": "msgmenu", "msgmenu": menu}


def _bounded(what: str, text: str, most: int) -> None:
    if not text.strip():
        raise CannotSend(f"{what}不能为空")
    if len(text.encode()) > most:
        raise CannotSend(f"{what}太长：最多 {most} 字节（约 {most // 3} 个汉字）")


def key_of(open_kfid: str, external_userid: str) -> str:
    """The outbox key of a chat: everything in it leaves in order."""
    return f"kf:{open_kfid}:{external_userid}"


def line_of_wish(once: str) -> str:
    """The ``once`` of the story line that a message makes which is asked for with this ``once``."""
    return line_name(_msgid(once))


def line_name(msgid: str) -> str:
    """The ``once`` of the line of a story that a msgid makes; WeCom's are at most some 64 characters long."""
    return f"kf:{msgid}" if len(msgid) <= 150 else f"kf:{hashlib.sha256(msgid.encode()).hexdigest()}"


# --- whose chat it is ------------------------------------------------------------------------------------------------


def conversation_of(work: Work, open_kfid: str, external_userid: str, person: Person, at: datetime) -> Conversation:
    """The chat of this customer with this account, made if it is new, and held until this work is kept."""

    def look() -> Conversation:
        own = select(Conversation).where(
            Conversation.open_kfid == open_kfid, Conversation.external_userid == external_userid
        )
        held = own.with_for_update().execution_options(populate_existing=True)
        if (known := work.db.scalars(held).one_or_none()) is not None:
            return known
        row = {
            "open_kfid": open_kfid,
            "external_userid": external_userid,
            "person_id": person.id,
            "state": NEW,
            "sent_since": 0,
            "last_at": at,
        }
        insert_new(work.db, Conversation, [row], ["open_kfid", "external_userid"])
        return work.db.scalars(held).one()

    return work.found(("conversation", open_kfid, external_userid), look)


def held(work: Work, conversation_id: int) -> Conversation | None:
    """The chat of this number, held until this work is kept: to be asked for by whoever wants to say something."""
    own = select(Conversation).where(Conversation.id == conversation_id).with_for_update()
    return work.db.scalars(own.execution_options(populate_existing=True)).one_or_none()


def move(work: Work, conversation: Conversation, state: int, servicer: str | None = None) -> None:
    """The chat is in these hands now, whoever put it there; what cannot be said in it any more is not said."""
    if state != conversation.state:
        conversation.state_at = work.now
        _drop_waiting(work, conversation, state)
    conversation.state, conversation.servicer = state, servicer if state == HUMAN else None


def _drop_waiting(work: Work, conversation: Conversation, state: int) -> None:
    """What a code allows to say about one pair of hands must not reach the customer in the next (WeCom: 95018).

    Nor may what we planned while the chat was ours, once it is not.
    """
    own_key = key_of(conversation.open_kfid, conversation.external_userid)
    names = (SendKfOnEvent.name,) if state in OURS else (SendKfOnEvent.name, *MESSAGES)
    waiting = select(OutboxRow).where(
        one_of(OutboxRow.state.expression, OPEN_STATES),
        OutboxRow.key == own_key,
        OutboxRow.state == "waiting",
        OutboxRow.name.in_(names),
        OutboxRow.once.not_like(f"{WELCOME}:%"),
    )
    for row in work.db.scalars(waiting.order_by(OutboxRow.id).with_for_update(skip_locked=True)):
        row.state, row.settled_at, row.outcome = "dropped", work.now, "the chat is in other hands by now"
        if line := line_of(work, str(row.body["msgid"])):
            line.details = {**line.details, "fate": LATE, "why": "会话已经到了别人手里"}
            if line.details.get("asks"):
                conversation.asked_rating_at = None
    work.db.flush()
    recount(work, conversation)


def customer_wrote(work: Work, conversation: Conversation, at: datetime) -> None:
    """A message of the customer: 48 hours and five messages begin anew, and what had ended is open again."""
    last = conversation.last_customer_at
    if last is not None and at < last:
        return
    if conversation.state == ENDED or (last is not None and at - last >= WINDOW):
        move(work, conversation, NEW)
    conversation.last_customer_at = at
    touch(conversation, at)
    recount(work, conversation)


def servicer_wrote(work: Work, conversation: Conversation, userid: str, at: datetime) -> None:
    """A message of a servicer in the client; only who has a chat can write in it."""
    if conversation.state != HUMAN and (conversation.state_at is None or at >= conversation.state_at):
        move(work, conversation, HUMAN, userid)
    answered(conversation, at)


def answered(conversation: Conversation, at: datetime) -> None:
    """Somebody has written to the customer."""
    conversation.answered_at = max(conversation.answered_at or at, at)
    touch(conversation, at)


def touch(conversation: Conversation, at: datetime) -> None:
    """Something was said."""
    conversation.last_at = max(conversation.last_at, at)


def close_old(work: Work, limit: int = 500) -> int:
    """A chat in which the customer has said nothing for 48 hours is over at WeCom; how many there were."""
    old = select(Conversation).where(
        Conversation.state.in_((NEW, BOT_HAS_IT, POOL, HUMAN)),
        func.coalesce(Conversation.last_customer_at, Conversation.last_at) < work.now - WINDOW,
    )
    found = list(work.db.scalars(old.order_by(Conversation.id).limit(limit).with_for_update(skip_locked=True)))
    for one in found:
        move(work, one, ENDED)
    return len(found)


def waiting_too_long(work: Work, patience: timedelta) -> int:
    """How many customers have waited in the pool for longer than this, and nobody took them."""
    own = (Conversation.state == POOL, Conversation.state_at < work.now - patience)
    return work.db.scalars(select(func.count()).where(*own)).one()


# --- what may be said ------------------------------------------------------------------------------------------------


def cannot_send(conversation: Conversation, now: datetime) -> str | None:
    """Why we may write nothing in this chat now, in words for people; None when we may."""
    if conversation.last_customer_at is None:
        return "客户还没有发过消息，企业微信不允许先发"
    if now >= conversation.last_customer_at + WINDOW:
        return "客户最后一次发言已超过 48 小时，要等客户再次发言"
    if conversation.state == HUMAN:
        return "接待人员正在接待，请在企业微信客户端里回复"
    if conversation.state == POOL:
        return "客户正在等待接入，请先在企业微信客户端里接入"
    if conversation.state == ENDED:
        return "会话已结束，要等客户再次发言"
    if conversation.sent_since >= MOST_SENT:
        return f"客户最后一次发言后已发满 {MOST_SENT} 条，要等客户再次发言"
    return None


def recount(work: Work, conversation: Conversation) -> None:
    """Count what we sent since the customer's last message: what is on its way, and what (perhaps) arrived since.

    What was on its way when the customer wrote counts too: WeCom may see it after that message. A message that ended in
    the same second counts as later. Both err on the side on which the limit is kept.
    """
    since = conversation.last_customer_at
    if since is None:
        return
    own_key = key_of(conversation.open_kfid, conversation.external_userid)
    on_the_way = select(func.count()).where(
        one_of(OutboxRow.state.expression, OPEN_STATES), OutboxRow.key == own_key, OutboxRow.name.in_(MESSAGES)
    )
    lines = select(Interaction).where(
        Interaction.person_id == conversation.person_id, Interaction.kind == KF_OUT, Interaction.at >= since
    )
    arrived = [
        one
        for one in work.db.scalars(lines)
        if one.details.get("window")
        and one.details.get("fate") in COUNTED
        and one.details.get("open_kfid") == conversation.open_kfid
    ]
    conversation.sent_since = work.db.scalars(on_the_way).one() + len(arrived)


def send(
    work: Work,
    conversation: Conversation,
    message: Message,
    *,
    once: str,
    by: str = BOT,
    details: Mapping[str, Any] | None = None,
    before: datetime | None = None,
) -> bool:
    """Plan a message in a chat that is held; False when it is planned already. Raises ``CannotSend``.

    ``by`` is ``bot`` or the userid of one of us; ``once`` names why there can be only one. ``before``: of no use after
    that, though the chat may be open longer.
    """
    if why := cannot_send(conversation, work.now):
        raise CannotSend(why)
    kind, notice = SendKf if by == BOT else ReplyKf, _notice(work, conversation)
    command = kind(**_whose(conversation), msgid=_msgid(once), content=message.content(notice))
    closes = (conversation.last_customer_at or work.now) + WINDOW
    before = closes if before is None else min(before, closes)
    told = {"window": True, "notice": bool(notice), **(details or {})}
    planned = _ask(work, conversation, command, message, once, before, by, told)
    recount(work, conversation)
    return planned


def send_on_event(
    work: Work,
    conversation: Conversation,
    code: str,
    message: Message,
    *,
    once: str,
    before: datetime,
    details: Mapping[str, Any] | None = None,
) -> bool:
    """Plan the one thing a code allows to say; False when it is planned already. Raises ``CannotSend``."""
    notice = _notice(work, conversation)
    command = SendKfOnEvent(**_whose(conversation), code=code, msgid=_msgid(once), content=message.content(notice))
    told = {"notice": bool(notice), **(details or {})}
    return _ask(work, conversation, command, message, once, before, BOT, told)


def _ask(
    work: Work,
    conversation: Conversation,
    command: SendKf | SendKfOnEvent,
    message: Message,
    once: str,
    before: datetime,
    by: str,
    told: Mapping[str, Any],
) -> bool:
    """Plan it and write its line. In watch mode it is only shown among the calls, and nothing is written."""
    key = key_of(conversation.open_kfid, conversation.external_userid)
    if not work.ask(command, once=once, key=key, before=before):
        return False
    if work.watches(command.sender):
        return True
    details = {
        "type": command.content["msgtype"],
        "text": message.text,
        "by": by,
        "open_kfid": conversation.open_kfid,
        "msgid": command.msgid,
        "fate": WAITING,
        **({"menu": [words for _, words in message.menu]} if message.menu else {}),
        **{name: value for name, value in told.items() if value},
    }
    row = {"person_id": conversation.person_id, "userid": None, "kind": KF_OUT, "at": work.now, "details": details}
    persons.told(work, {**row, "once": line_name(command.msgid)})
    return True


def _whose(conversation: Conversation) -> dict[str, Any]:
    return {
        "open_kfid": conversation.open_kfid,
        "external_userid": conversation.external_userid,
        "conversation": conversation.id,
    }


def _msgid(once: str) -> str:
    """Ours, so that WeCom can tell a repetition: the same wish always has the same."""
    return hashlib.sha256(once.encode()).hexdigest()[:32]


def _notice(work: Work, conversation: Conversation) -> str:
    """The privacy notice, while this person has not been told."""
    if not work.notice:
        return ""
    lines = select(Interaction.details).where(
        Interaction.person_id == conversation.person_id, Interaction.kind == KF_OUT
    )
    told = any(one.get("notice") and one.get("fate") not in (REFUSED, LATE, FAILED) for one in work.db.scalars(lines))
    return "" if told else work.notice


# --- into other hands ------------------------------------------------------------------------------------------------


def hand_over(
    work: Work, conversation: Conversation, *, once: str, servicer: str | None = None, word: str = "", by: str = BOT
) -> bool:
    """Give a chat that is held into the pool or to a servicer, and tell the customer ``word``; False when it is there.

    From then on the bot is silent. Raises ``CannotSend`` when WeCom allows no such move.
    """
    wanted = HUMAN if servicer else POOL
    if (conversation.state, conversation.servicer) == (wanted, servicer):
        return False
    if wanted not in MOVES[conversation.state]:
        raise CannotSend("会话现在的状态不能转给接待人员")
    return _ask_move(work, conversation, wanted, servicer, word, once, by)


def end(work: Work, conversation: Conversation, *, once: str, by: str) -> bool:
    """End a chat that a servicer has. Raises ``CannotSend`` for any other."""
    if ENDED not in MOVES[conversation.state]:
        raise CannotSend("只有接待人员接待中的会话可以结束")
    return _ask_move(work, conversation, ENDED, None, "", once, by)


def _ask_move(
    work: Work, conversation: Conversation, state: int, servicer: str | None, word: str, once: str, by: str
) -> bool:
    kind = TransKf if by == BOT else HandKf
    command = kind(**_whose(conversation), state=state, servicer=servicer or "", word=word)
    if not work.ask(command, once=once, key=key_of(conversation.open_kfid, conversation.external_userid)):
        return False
    if not work.watches(command.sender):
        if state != conversation.state:  # what was planned before this leaves before this: nothing is dropped
            conversation.state_at = work.now
        conversation.state, conversation.servicer = state, servicer
        told = {"type": "ended" if state == ENDED else "handed_over", "to": servicer or "", "by": by}
        tell_event(work, conversation, told, once=f"kf-event:{once}", at=work.now)
    return True


def tell_event(work: Work, conversation: Conversation, told: Mapping[str, Any], *, once: str, at: datetime) -> bool:
    """Write something that happened in a chat into the customer's story."""
    details = {**told, "open_kfid": conversation.open_kfid}
    return persons.tell(work, conversation.person_id, KF_EVENT, at, once=once, details=details)


# --- what became of what we asked ------------------------------------------------------------------------------------


def outcome_of_error(claimed: Claimed, command: KfCommand, error: WeComError, now: datetime) -> Outcome:
    """What a failed call means for its row.

    A message that may have arrived is asked for again with its msgid, a code with itself: WeCom takes both but once. So
    a refusal of a repetition says nothing of the first: a used code means that it arrived, for the rest nobody knows.
    """
    errcode = error.errcode if isinstance(error, Answered) else None
    was_unclear = (claimed.outcome or "").startswith(UNCLEAR)
    if isinstance(error, Refused):
        if was_unclear and isinstance(command, SendKfOnEvent) and errcode == BAD_KF_TOKEN:
            return Outcome("done", "the code is used up: it arrived the first time", errcode)
        if was_unclear and isinstance(command, SendKf):
            return Outcome("held", f"{UNCLEAR}the repetition was refused: {error}", errcode)
        return Outcome("refused", str(error), errcode)
    unclear = was_unclear or isinstance(error, Unclear)
    words = str(error) if not unclear or str(error).startswith(UNCLEAR) else f"{UNCLEAR}{error}"
    tired = claimed.tries >= MAX_TRIES and not isinstance(error, Misconfigured)
    if tired and (unclear or not isinstance(error, TryLater) or error.wait is None):
        return Outcome("held" if unclear else "refused", f"{words} ({claimed.tries} tries)", errcode)
    named = error.wait if isinstance(error, TryLater) else None
    wait = named or min(FIRST_WAIT * 2 ** min(claimed.tries - 1, 9), LONGEST_WAIT)
    return Outcome("waiting", words, errcode, due_at=now + wait)


def settle(
    work: Work, claimed: Claimed, command: KfCommand, outcome: Outcome, at: datetime, answer: Mapping[str, Any] | None
) -> None:
    """Write the outcome of one call where people see it, and do what follows. ``at`` is when the call ended."""
    conversation = held(work, command.conversation)
    if conversation is None or outcome.state == "waiting":
        return
    if outcome.state == "held" and outcome.words == outbox.STOPPED and claimed.tries < MAX_TRIES:
        outbox.once_more(work.db, [claimed.id], work.now)
        work.lanes.add(command.lane)
        return
    match command:
        case SendKf() | SendKfOnEvent():
            _message_ended(work, conversation, command, outcome, at)
        case TransKf():
            _move_ended(work, conversation, command, claimed, outcome, answer)
        case ReadKfState() if answer is not None:
            servicer = str(answer.get("servicer_userid") or "")
            state = int(answer.get("service_state") or 0)
            move(work, conversation, state, persons.own_spelling(work, servicer) if servicer else None)


def _message_ended(
    work: Work, conversation: Conversation, command: SendKf | SendKfOnEvent, outcome: Outcome, at: datetime
) -> None:
    fate = FATES.get(outcome.state, REFUSED)
    if line := line_of(work, command.msgid):
        why = {} if fate == SENT else {"why": outcome.words}
        if line.details.get("fate") != FAILED:
            line.details = {**line.details, "fate": fate, **why}
        if fate in (SENT, NOT_SURE):
            line.at = at
    if fate == SENT:
        answered(conversation, at)
    if isinstance(command, SendKf):
        work.db.flush()
        recount(work, conversation)
        if outcome.errcode == KF_FIVE_SENT:
            conversation.sent_since = max(conversation.sent_since, MOST_SENT)  # somebody else sends here too
    if outcome.errcode in KF_STATE_IS_OTHER:
        read_state(work, conversation)


def _move_ended(
    work: Work,
    conversation: Conversation,
    command: TransKf,
    claimed: Claimed,
    outcome: Outcome,
    answer: Mapping[str, Any] | None,
) -> None:
    if answer is not None:
        if conversation.state != command.state:  # what we read meanwhile was from before this move
            move(work, conversation, command.state, command.servicer or None)
            read_state(work, conversation)
        code = str(answer.get("msg_code") or "")
        if code and command.state == ENDED:
            ask_rating(work, conversation, code, once=f"{claimed.once}:rate", before=work.now + QUICK_CODE)
        elif code and command.word:
            before = work.now + WINDOW
            send_on_event(work, conversation, code, Message(command.word), once=f"{claimed.once}:word", before=before)
    elif outcome.errcode in (NOT_A_SERVICER, SERVICER_PAUSED) and command.servicer:
        move(work, conversation, NEW)
        if command.state == HUMAN:
            by = BOT if command.sender == TransKf.sender else "console"
            _ask_move(work, conversation, POOL, None, command.word, f"{claimed.once}:pool", by)
    elif outcome.state in ("refused", "held"):
        read_state(work, conversation)


def read_state(work: Work, conversation: Conversation) -> None:
    """Ask WeCom whose this chat is."""
    key = key_of(conversation.open_kfid, conversation.external_userid)
    work.ask_again(ReadKfState(**_whose(conversation)), stem=f"kf-state:{conversation.id}", key=key)


def line_of(work: Work, msgid: str) -> Interaction | None:
    """The line of a story that this message made."""
    return work.db.scalars(select(Interaction).where(Interaction.once == line_name(msgid))).one_or_none()


def send_failed(work: Work, msgid: str, fail_type: int) -> bool:
    """WeCom took a message of ours and could not deliver it; False when we know no such message."""
    line = line_of(work, msgid)
    if line is None:
        return False
    why = WHY_FAILED.get(fail_type, WHY_FAILED[0])
    line.details = {**line.details, "fate": FAILED, "fail_type": fail_type, "why": why}
    return True


def recalled(work: Work, msgid: str, by: str, at: datetime) -> bool:
    """Whoever wrote a message took it back: it stays, marked. False when we know no such message."""
    line = line_of(work, msgid)
    if line is None:
        return False
    line.details = {**line.details, "recalled_at": at.isoformat(), "recalled_by": by}
    return True


# --- satisfaction ----------------------------------------------------------------------------------------------------


def ask_rating(work: Work, conversation: Conversation, code: str, *, once: str, before: datetime) -> bool:
    """Ask how satisfied they were, if the account does so; one answer of five."""
    account = work.db.get(KfAccount, conversation.open_kfid)
    if account is None or not account.asks_satisfaction:
        return False
    question = Message("请为本次服务打分：", tuple((f"{RATE}{stars}", words) for stars, words in STARS))
    if not send_on_event(work, conversation, code, question, once=once, before=before, details={"asks": "rating"}):
        return False
    if not work.watches(SendKfOnEvent.sender):
        conversation.asked_rating_at = work.now
    return True


def rating_in(menu_id: str) -> int | None:
    """The stars of a click on the satisfaction question."""
    stars = menu_id.removeprefix(RATE)
    return int(stars) if menu_id.startswith(RATE) and stars in {one for one, _ in STARS} else None


def rate(work: Work, conversation: Conversation, stars: int, *, servicer: str | None, once: str, at: datetime) -> None:
    """Keep the answer to the satisfaction question."""
    conversation.rating, conversation.rated_at = stars, at
    told = {"type": "rated", "rating": stars, "servicer": servicer or ""}
    tell_event(work, conversation, told, once=once, at=at)


def last_servicer(work: Work, conversation: Conversation) -> str | None:
    """Who of ours was the last to have written to this customer."""
    lines = select(Interaction.details).where(
        Interaction.person_id == conversation.person_id, Interaction.kind == KF_OUT
    )
    newest = work.db.scalars(lines.order_by(Interaction.at.desc(), Interaction.id.desc()).limit(50))
    writers = (str(one.get("by")) for one in newest if one.get("open_kfid") == conversation.open_kfid)
    return next((one for one in writers if one not in (BOT, "None")), None)

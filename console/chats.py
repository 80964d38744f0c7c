"""The inbox (聊天): chats of 微信客服 within sight, found by whose turn it is and by what was said; one chat to act on.

Whose chat one may see is decided in ``people.chat_lists``, what may be said in it in ``people.conversations``; a chat
out of sight is answered exactly like one that does not exist.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import chat_lines, here
from console.cursors import read_cursor, write_cursor
from console.customers import STAGES, number_of
from console.doors import guarded
from console.layout import back_to, say
from console.pace import Pace
from console.person import AT_WECOM, had
from console.words import N_, _, said
from people import (
    access,
    by_hand,
    chat_lists,
    chat_search,
    conversations,
    directory,
    kept_files,
    kf_accounts,
    persons,
    stages,
)
from people.access import Sight
from people.chat_search import TURNS, Turn
from people.conversations import BOT_HAS_IT, ENDED, HUMAN, MOST_SENT, NEW, POOL, WINDOW, CannotSend, Message
from storage.tables import Conversation, KfAccount, Member, Person, Relation
from storage.work import Work
from tagging import tags

pages = Blueprint("chats", __name__, url_prefix="/chats")

PAGE, LINES = 30, 60
SEARCHES = Pace(60, timedelta(minutes=1))
MOST_TEXT, MOST_WORD = 2000, 200
FRESH_SECONDS = 5
TURN_WORDS: Mapping[Turn, str] = {
    "all": N_("全部"),
    "waiting": N_("等我们回复"),
    "mine": N_("我的"),
    "pool": N_("等待接入"),
    "bot": N_("机器人接待"),
    "ended": N_("已结束"),
}
STATE_WORDS: Mapping[int, tuple[str, str]] = {
    NEW: (N_("机器人接待"), "info"),
    BOT_HAS_IT: (N_("机器人接待"), "info"),
    POOL: (N_("等待接入"), "warn"),
    HUMAN: (N_("人工接待"), "good"),
    ENDED: (N_("已结束"), "quiet"),
}


# --- the list --------------------------------------------------------------------------------------------------------


@pages.get("")
@guarded("see_chats")
def index() -> str:
    """Chats in sight, the latest first, narrowed by what stands in the address; or what was said in them."""
    turn: Turn = next((one for one in TURNS if one == request.args.get("turn")), "all")
    open_kfid = request.args.get("account", "")[:64]
    q = request.args.get("q", "").strip()[:100]
    after = read_cursor(request.args.get("after"))
    if q:
        SEARCHES.step(here.viewer().user_id, here.now())
    with here.reading() as db:
        sight = here.sight(db)
        looked: dict[str, Any] = {"viewer": here.viewer().userid, "now": here.now(), "open_kfid": open_kfid}
        known = chat_lists.accounts(db)
        narrowed: dict[str, Any] = {
            "turn": turn if turn != "all" else None,
            "account": open_kfid or None,
            "q": q or None,
        }
        heard: Sequence[chat_search.Heard] = ()
        if q:
            rows = [] if after else chat_search.called(db, sight, q, open_kfid=open_kfid)
            heard, following = chat_search.said(db, sight, q, open_kfid=open_kfid, limit=PAGE, after=after)
        else:
            rows, following = chat_search.page(db, sight, turn, **looked, limit=PAGE, after=after)
        told = [*(one.line for one in heard), *(one.last for one in rows if one.last is not None)]
        names = _names(db, {*chat_lines.people_in(told), *(one.conversation.servicer or "" for one in rows)})
        return render_template(
            "chats/index.html",
            rows=rows,
            heard=heard,
            q=q,
            turn=turn,
            open_kfid=open_kfid,
            narrowed=narrowed,
            counts={} if q or here.shown_anew() else chat_search.counts(db, sight, **looked),
            accounts=known,
            waits=_waits(one.conversation for one in rows),
            lines={one.id: chat_lines.line(one, None, names) for one in told},
            names=names,
            following=url_for("chats.index", **narrowed, after=write_cursor(following)) if following else "",
            first=url_for("chats.index", **narrowed) if after else "",
            turn_words=TURN_WORDS,
            state_words=STATE_WORDS,
            room=room,
            window_left=window_left,
            fresh=FRESH_SECONDS,
        )


def _waits(chats: Iterable[Conversation]) -> set[int]:
    """The chats in which the customer's last word has no answer and may still get one."""
    return {
        one.id
        for one in chats
        if one.last_customer_at is not None
        and (one.answered_at is None or one.answered_at < one.last_customer_at)
        and one.last_customer_at > here.now() - WINDOW
        and one.state != ENDED
    }


def _names(db: Session, userids: Iterable[str]) -> dict[str, str]:
    """Names of ours: who may read a chat may read who had it."""
    rows = db.execute(select(Member.userid, Member.name).where(Member.userid.in_([one for one in userids if one])))
    return {userid: name or userid for userid, name in rows}


def room(chat: Conversation) -> int:
    """How many messages may still be sent in this chat now; 0 also when none may for another reason."""
    return 0 if conversations.cannot_send(chat, here.now()) else MOST_SENT - chat.sent_since


def window_left(chat: Conversation) -> str:
    """How long WeCom's 48 hours go on, in words; empty when they are over or have not begun."""
    left = chat.last_customer_at + WINDOW - here.now() if chat.last_customer_at is not None else timedelta()
    hours, minutes = left // timedelta(hours=1), left // timedelta(minutes=1)
    if minutes <= 0:
        return _("不到 1 分钟") if left > timedelta() else ""
    return _("%(n)s 小时", n=hours) if hours else _("%(n)s 分钟", n=minutes)


# --- one chat --------------------------------------------------------------------------------------------------------


@pages.get("/<int:chat_id>")
@guarded("see_chats")
def show(chat_id: int) -> str:
    """One chat: its lines, the person beside it, and what may be done."""
    return _page(chat_id)


def _page(chat_id: int, *, text: str = "", error: str = "") -> str:
    with here.reading() as db:
        sight = here.sight(db)
        chat, person = _chat(db, sight, chat_id)
        found = here.number(request.args.get("line"))
        after = read_cursor(request.args.get("after"))
        if after is None and found is not None:
            after = chat_search.place_of(db, chat, found)
        rows, following = chat_lists.lines(db, chat, limit=LINES, after=after)
        files = chat_search.files_of(db, [one.id for one in rows])
        account = db.get_one(KfAccount, chat.open_kfid)
        servicers = sorted(account.servicers)
        names = _names(db, {*chat_lines.people_in(rows), *servicers, chat.servicer or "", person.owner or ""})
        why = conversations.cannot_send(chat, here.now())
        return render_template(
            "chats/show.html",
            chat=chat,
            person=person,
            account=account,
            lines=[chat_lines.line(one, files.get(one.id), names) for one in reversed(rows)],
            found=found,
            following=write_cursor(following),
            after=bool(after),
            names=names,
            cannot=said(why),
            room=room(chat),
            window_left=window_left(chat),
            moves=conversations.MOVES[chat.state],
            pool=POOL,
            human=HUMAN,
            ended=ENDED,
            servicers=[
                (one, names.get(one, one), kf_accounts.receives(account, one))
                for one in servicers
                if one != chat.servicer
            ],
            unread=chat_lists.unread(db, chat),
            seen=write_cursor((rows[0].at, rows[0].id)) if rows else "",
            waits=bool(_waits([chat])),
            state_words=STATE_WORDS,
            text=text,
            error=error,
            once=secrets.token_hex(12),
            most=MOST_TEXT,
            fresh=FRESH_SECONDS,
            **_card(db, sight, person),
        )


def _card(db: Session, sight: Sight, person: Person) -> dict[str, Any]:
    """What stands beside a chat about its customer; a link only for whom one may see otherwise too."""
    reasons = tags.reasons(db, person.id, sight.rep)
    own = directory.tags_on(db, [person.id]).get(person.id, [])
    states = select(Relation.state).where(Relation.person_id == person.id, sight.reps(Relation.userid.expression))
    return {
        "known": access.person_in_sight(db, sight, person.id) is not None,
        "stage": STAGES[stages.stage_of(db.scalars(states))],
        "phone": access.masked(person.phone),
        "own_tags": own,
        "choices": tags.known_groups(db),
        "taken": had(reasons),
        "at_wecom": AT_WECOM,
        "reasons": reasons,
    }


def _chat(db: Session, sight: Sight, chat_id: int) -> tuple[Conversation, Person]:
    """The chat of this number and its customer, if the viewer may see it; else the answer is 404."""
    found = chat_lists.chat_in_sight(db, sight, chat_id)
    return found or here.not_here(f"k_{chat_id}")


@pages.get("/<int:chat_id>/files/<int:file_id>")
@guarded("see_chats")
def file(chat_id: int, file_id: int) -> Response:
    """Something that was sent in this chat: a picture is shown, everything else is only given away to be saved."""
    with here.reading() as db:
        chat, _person = _chat(db, here.sight(db), chat_id)
        kept = chat_search.file_in(db, chat, file_id)
        served = kept_files.serving(kept) if kept is not None else None
        if kept is None or served is None:
            here.not_here(f"k_{chat_id}")
        picture = served.inline and served.content_type.startswith("image/")
        answer = Response(kept.content or b"", mimetype=served.content_type if picture else kept_files.UNKNOWN)
        answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers.set("Content-Disposition", "inline" if picture else "attachment", filename=served.name)
        return answer


# --- acting ----------------------------------------------------------------------------------------------------------


@pages.post("/<int:chat_id>/reply")
@guarded("answer_chats")
def reply(chat_id: int) -> Any:
    """Write to the customer. What cannot be sent is given back with the reason."""
    text = request.form.get("text", "").replace("\r\n", "\n")
    error = ""
    if not text.strip():
        error = _("请先写点什么")
    elif len(text) > MOST_TEXT:
        error = _("太长了：最多 %(n)s 个字", n=MOST_TEXT)
    else:
        error = _try(chat_id, "chat.reply", lambda work, chat: _send(work, chat, text.strip()))
    if error:
        return _page(chat_id, text=text, error=error), 422
    return back_to("chats.show", chat_id=chat_id)


def _send(work: Work, chat: Conversation, text: str) -> Mapping[str, Any] | None:
    by = here.viewer().userid
    return {} if conversations.send(work, chat, Message(text), once=_once("kf-reply", chat), by=by) else None


@pages.post("/<int:chat_id>/hand-over")
@guarded("answer_chats")
def hand_over(chat_id: int) -> Any:
    """Give the chat to a servicer, or into the pool where the first who is free takes it."""
    to, word = request.form.get("to", "")[:64], request.form.get("word", "").strip()[:MOST_WORD]
    error = _try(chat_id, "chat.hand_over", lambda work, chat: _hand(work, chat, to, word))
    if error:
        return _page(chat_id, error=error), 422
    say(_("已转给 %(to)s", to=_names_of(to)) if to else _("已转给接待人员，谁有空谁接"))
    return back_to("chats.show", chat_id=chat_id)


def _hand(work: Work, chat: Conversation, to: str, word: str) -> Mapping[str, Any] | None:
    account = work.db.get_one(KfAccount, chat.open_kfid)
    if to and not kf_accounts.receives(account, to):
        raise CannotSend(_("这位接待人员现在不接待，请换一位"))
    by, once = here.viewer().userid, _once("kf-hand", chat)
    done = conversations.hand_over(work, chat, once=once, servicer=to or None, word=word, by=by)
    return {"to": to} if done else None


def _names_of(userid: str) -> str:
    with here.reading() as db:
        return persons.rep_name(db, userid)


@pages.post("/<int:chat_id>/end")
@guarded("answer_chats")
def end(chat_id: int) -> Any:
    """End a chat that a servicer has."""
    error = _try(chat_id, "chat.end", _end)
    if error:
        return _page(chat_id, error=error), 422
    say(_("会话已结束；客户再次发言时会重新开始"))
    return back_to("chats.show", chat_id=chat_id)


def _end(work: Work, chat: Conversation) -> Mapping[str, Any] | None:
    return {} if conversations.end(work, chat, once=_once("kf-end", chat), by=here.viewer().userid) else None


def _once(what: str, chat: Conversation) -> str:
    """The same form sent twice is one wish."""
    given = request.form.get("once", "")[:64] or secrets.token_hex(12)
    return f"{what}:{chat.id}:{here.viewer().userid}:{given}"


def _try(chat_id: int, action: str, act: "Callable[[Work, Conversation], Mapping[str, Any] | None]") -> str:
    """Do something in a chat that is held meanwhile, which counts as looking; why it cannot be done, or nothing.

    ``act`` gives what the books keep of it, or None when there was nothing to do.
    """
    try:
        with here.working() as work:
            chat = _held(work, chat_id)
            details = act(work, chat)
            _looked(chat)
            if details is not None:
                here.note(work, action, f"k_{chat_id}", details)
    except CannotSend as why:
        return said(str(why))
    return ""


def _held(work: Work, chat_id: int) -> Conversation:
    _chat(work.db, here.sight(work.db), chat_id)
    return conversations.held(work, chat_id) or here.not_here(f"k_{chat_id}")


def _looked(chat: Conversation) -> bool:
    """What the page showed when the form was sent has been looked at; what came since has not."""
    seen = read_cursor(request.form.get("seen"))
    return seen is not None and chat_lists.mark_read(chat, min(seen[0], chat.last_at))


@pages.post("/<int:chat_id>/read")
@guarded("see_chats")
def mark_read(chat_id: int) -> Any:
    """Somebody has looked at it and nothing is to be done."""
    with here.working() as work:
        if _looked(_held(work, chat_id)):
            here.note(work, "chat.read", f"k_{chat_id}")
    return back_to("chats.show", chat_id=chat_id)


@pages.post("/<int:chat_id>/tags")
@guarded("answer_chats")
def give_tag(chat_id: int) -> Any:
    """Put a tag on the customer, here and at WeCom."""
    number = number_of("t_", request.form.get("tag", ""))
    with here.working() as work:
        _found, person = _chat(work.db, here.sight(work.db), chat_id)
        by = here.viewer().userid
        given = tags.give_by_hand(work, person, number, by=by, called=persons.rep_name(work.db, by))
        if given is not None:
            if given.new:
                once = f"{by_hand.TAGGED}:{secrets.token_hex(12)}"
                by_hand.tell(work, person, by_hand.TAGGED, by=by, once=once, details={"tag": given.name})
            here.note(work, "person.tag", persons.public_id(person.id), {"tag": tags.public_id(given.tag.id)})
    if given is None:
        say(_("请先选一个标签"), "warn")
    return back_to("chats.show", chat_id=chat_id)

"""The welcome of each arrival: chosen, asked for in its own lane, and its outcome kept where people can see it.

Rules: WeCom gives a code that works once and for 20 seconds from the event. 41051 means that somebody has greeted or
chatted already, 41096 that another app is just sending. The same arrival may bring several codes (one a receiver).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, lazyload

from storage import outbox
from storage.outbox import Claimed, Outcome
from storage.tables import Channel, Media, Member, OutboxRow, Welcome
from storage.work import Work
from tagging import pictures
from wecom.commands import SendWelcome
from wecom.errors import ALREADY_WELCOMED, CODE_DEAD, OTHER_APP_SENDING, TryLater, Unclear, WeComError, explain

CODE_LIVES = timedelta(seconds=20)
MARGIN = timedelta(milliseconds=300)
"""A call that would reach WeCom in the last moment is not made."""
RETRY = timedelta(milliseconds=400)
SETTLED = ("sent", "already")
CONFIRMED = "confirmed"
"""41051 after a try of ours that may have been carried out: it was."""


def plan(
    work: Work,
    *,
    userid: str,
    external_userid: str,
    state: str | None,
    codes: Sequence[str],
    event_at: datetime,
    half: bool,
) -> None:
    """Ask for the welcome of an arrival that came with one code or several; each code is tried until one worked."""
    with work.db.no_autoflush:  # the row is written once, with its text
        welcome = _welcome_of(work, userid, external_userid, state, event_at, half)
        if welcome.outcome in SETTLED:
            return
        command = _command(work, welcome, codes[0], userid)
        if isinstance(command, str):
            _close(welcome, "no_text", command, work.now)
            return
        welcome.text = command.template
    work.db.flush()
    deadline = min(event_at, work.received_at or work.now) + CODE_LIVES - MARGIN
    for code in codes:
        one = SendWelcome(code, command.template, command.values, external_userid, command.attachments)
        if work.ask(one, once=f"welcome:{code}"[:200], key=f"welcome:{welcome.id}", before=deadline):
            welcome.outcome = "waiting"
    if work.watches(SendWelcome.sender):
        _close(welcome, "watched", "观察模式：只展示，不发送", work.now)


def _welcome_of(
    work: Work, userid: str, external_userid: str, state: str | None, event_at: datetime, half: bool
) -> Welcome:
    """The welcome of this arrival. A half add and its confirmation within a code's life are one arrival.

    Two adds of the same kind are two: the customer has gone and come back meanwhile.
    """
    near = (
        select(Welcome)
        .where(
            Welcome.external_userid == external_userid,
            Welcome.userid == userid,
            Welcome.event_at.between(event_at - CODE_LIVES, event_at + CODE_LIVES),
            or_(Welcome.half.is_not(half), Welcome.event_at == event_at),
        )
        .order_by(Welcome.id)
        .limit(1)
    )
    welcome = work.db.scalars(near).one_or_none()
    if welcome is not None and welcome.half and not half:
        welcome.half = False
    if welcome is None:
        channel = channel_of(work, state)
        welcome = Welcome(
            arrival=f"{userid}:{external_userid}:{int(event_at.timestamp())}:{'half' if half else 'full'}",
            userid=userid,
            external_userid=external_userid,
            channel_id=channel.id if channel else None,
            outcome="waiting",
            half=half,
            event_at=event_at,
            received_at=work.received_at or work.now,
        )
        work.db.add(welcome)
    return welcome


def channel_of(work: Work, state: str | None) -> Channel | None:
    """The channel whose code came back as State, also a stopped or deleted one."""
    if not state:
        return None
    own = select(Channel).where(Channel.code == state).options(lazyload(Channel.seats))
    return work.found(("channel", state), lambda: work.db.scalars(own).one_or_none())


def _command(work: Work, welcome: Welcome, code: str, userid: str) -> SendWelcome | str:
    """The command to send, or why there is nothing to send."""
    channel = work.db.get(Channel, welcome.channel_id) if welcome.channel_id else None
    if channel is None:
        return "不是通过渠道活码来的，没有设置欢迎语"
    text = str(channel.welcome.get("text") or "")
    attachments, missing = _attachments(work.db, channel, work.now)
    if not text and not attachments:
        return "、".join(missing) or "这个渠道没有设置欢迎语"
    welcome.detail = "；".join(missing) or None
    member = work.found(("member", userid), lambda: work.db.get(Member, userid))
    values = {"rep": (member.name if member and member.name else userid), "channel": channel.name}
    return SendWelcome(code, text, values, welcome.external_userid, attachments)


def _attachments(db: Session, channel: Channel, now: datetime) -> tuple[list[dict[str, Any]], list[str]]:
    """The attachments as WeCom wants them, and what had to be left out because its picture is not there yet."""
    ready: list[dict[str, Any]] = []
    missing: list[str] = []
    for one in channel.welcome.get("attachments") or []:
        media = db.get(Media, int(one["media"])) if one.get("media") is not None else None
        if one["kind"] in ("image", "miniprogram") and not pictures.alive(media, now):
            missing.append("图片还没有上传到企业微信，未附上")
            continue
        ready.append(_attachment(one, media.media_id if media else None))
    return ready, missing


def _attachment(one: dict[str, Any], media_id: str | None) -> dict[str, Any]:
    kind = one["kind"]
    parts: dict[str, dict[str, Any]] = {
        "image": {"media_id": media_id},
        "link": {name: one[name] for name in ("title", "picurl", "desc", "url") if one.get(name)},
        "miniprogram": {
            "title": one.get("title"),
            "pic_media_id": media_id,
            "appid": one.get("appid"),
            "page": one.get("page"),
        },
    }
    return {"msgtype": kind, kind: parts[kind]}


def outcome_of_error(claimed: Claimed, error: WeComError, now: datetime) -> Outcome:
    """What a failed welcome call means for its row: try again inside the 20 seconds, or let it be."""
    errcode = getattr(error, "errcode", None)
    was_unclear = (claimed.outcome or "").startswith(outbox.UNCLEAR)
    if errcode == ALREADY_WELCOMED:
        return Outcome("done", CONFIRMED if was_unclear else explain(ALREADY_WELCOMED), errcode)
    if isinstance(error, TryLater | Unclear):
        unclear = was_unclear or isinstance(error, Unclear)
        wait, words = getattr(error, "wait", None) or RETRY, f"{outbox.UNCLEAR if unclear else ''}{error}"
        if claimed.before is None or now + wait < claimed.before:
            return Outcome("waiting", words, errcode, due_at=now + wait)
        return Outcome("held" if unclear else "late", words, errcode)
    return Outcome("refused", str(error), errcode)


def rep_of(work: Work, claimed: Claimed) -> str | None:
    """The rep in whose name a claimed welcome goes out."""
    welcome = _welcome_behind(work, claimed)
    return welcome.userid if welcome else None


def _welcome_behind(work: Work, claimed: Claimed) -> Welcome | None:
    """The welcome a call is for; nobody else settles it meanwhile."""
    welcome_id = int(claimed.key.removeprefix("welcome:"))
    return work.found(("welcome", welcome_id), lambda: work.db.get(Welcome, welcome_id, with_for_update=True))


def settled(work: Work, claimed: Claimed, outcome: Outcome) -> None:
    """Write the outcome where people see it; with another code still to try, wait for that."""
    welcome = _welcome_behind(work, claimed)
    if welcome is None or welcome.outcome in SETTLED:
        return
    if outcome.errcode == OTHER_APP_SENDING:
        welcome.retried_41096 = True
    if outcome.state == "waiting":
        return
    name, detail = _in_words(claimed, outcome, welcome)
    if name in SETTLED:
        outbox.drop_rest(work.db, claimed.key, "another code of this arrival worked", work.now)
    elif _another_code_waits(work.db, claimed):
        return
    _close(welcome, name, detail, work.now)


def _in_words(claimed: Claimed, outcome: Outcome, welcome: Welcome) -> tuple[str, str | None]:
    if outcome.state == "done" and outcome.errcode == ALREADY_WELCOMED:
        if outcome.words == CONFIRMED:
            return "sent", "断线后再次请求，企业微信确认已送达（41051）"
        return "already", f"{explain(ALREADY_WELCOMED)}（41051）"
    if outcome.state == "done":
        return "sent", "另一个应用在发送（41096），重试后送达" if welcome.retried_41096 else welcome.detail
    if outcome.state == "late" or outcome.errcode == CODE_DEAD:
        return "late", f"{explain(CODE_DEAD)}" if outcome.errcode == CODE_DEAD else "超过 20 秒，没有发送"
    if outcome.state == "held":
        return "unclear", "请求发出后断线，不知道是否送达"
    return "refused", outcome.words


def _another_code_waits(db: Session, claimed: Claimed) -> bool:
    more = select(OutboxRow.id).where(
        OutboxRow.key == claimed.key, OutboxRow.id != claimed.id, OutboxRow.state.in_(outbox.OPEN_STATES)
    )
    return db.scalar(more.limit(1)) is not None


def _close(welcome: Welcome, outcome: str, detail: str | None, now: datetime) -> None:
    welcome.outcome, welcome.detail, welcome.settled_at = outcome, detail, now
    if outcome == "sent":
        welcome.seconds = (now - welcome.received_at).total_seconds()


def note_missing_code(
    work: Work,
    *,
    userid: str,
    external_userid: str,
    state: str | None,
    event_at: datetime,
    half: bool,
    why: str,
) -> None:
    """An arrival came without a code: keep the reason, unless its first half was greeted already."""
    welcome = _welcome_of(work, userid, external_userid, state, event_at, half)
    if welcome.outcome == "waiting" and not _asked(work.db, welcome):
        _close(welcome, "no_code", why, work.now)


def _asked(db: Session, welcome: Welcome) -> bool:
    return db.scalar(select(OutboxRow.id).where(OutboxRow.key == f"welcome:{welcome.id}").limit(1)) is not None

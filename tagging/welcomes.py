"""The welcome of each arrival: chosen, asked for in its own lane, and its outcome kept where people can see it.

Rules: WeCom gives a code that works once and for 20 seconds from the event. 41051 means that somebody has greeted or
chatted already, 41096 that another app is just sending. The same arrival may bring several codes (one a receiver).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, lazyload

from storage import outbox
from storage.outbox import Claimed, Outcome, Wish
from storage.tables import Channel, Media, Member, Welcome
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


@dataclass(frozen=True)
class Arrival:
    """A customer who came to a rep, and what WeCom gave to greet them with; times in UTC."""

    userid: str
    external_userid: str
    state: str | None
    codes: tuple[str, ...] = field(repr=False)
    event_at: datetime
    received_at: datetime
    half: bool
    """Whether the rep's side is not complete yet."""
    cause: str = ""

    @property
    def name(self) -> str:
        """What no other arrival is called."""
        kind = "half" if self.half else "full"
        return f"{self.userid}:{self.external_userid}:{int(self.event_at.timestamp())}:{kind}"

    @property
    def deadline(self) -> datetime:
        """The last moment at which a welcome may leave."""
        return min(self.event_at, self.received_at) + CODE_LIVES - MARGIN


Attachments = Sequence[Mapping[str, Any]]
Own = Callable[[Work, str, str, str, Attachments], tuple[str, Attachments]]
"""Puts the customer's own addresses into a text and attachments: work, userid, external_userid, text, attachments."""


def as_written(
    work: Work, userid: str, external_userid: str, text: str, attachments: Attachments
) -> tuple[str, Attachments]:
    """A welcome without anybody's own addresses."""
    return text, attachments


def plan(work: Work, arrivals: Sequence[Arrival], hands: int, own: Own = as_written) -> list[Claimed]:
    """Plan the welcomes of arrivals that came with a code or several. Gives up to ``hands`` to be made by us, now.

    Each code is tried until one has worked. All but the first of a new arrival, and what there are no hands for, are
    left to the outbox. ``own`` makes links into the customer's own where the channel wants them tracked.
    """
    first: list[tuple[Arrival, Welcome, SendWelcome]] = []
    others: list[tuple[Arrival, Welcome, SendWelcome]] = []
    with work.db.no_autoflush:  # each row is written once, with its text
        for one, welcome in _welcomes_of(work, arrivals):
            asked = _to_ask(work, one, welcome, own)
            at_once = welcome.id is None and len(first) < hands and not work.watches(SendWelcome.sender)
            taken = first if at_once else others
            taken += [(one, welcome, command) for command in asked[:1]]
            others += [(one, welcome, command) for command in asked[1:]]
    work.db.flush()
    for one, welcome, command in others:
        if work.ask(command, once=_once(command), key=_key(welcome), before=one.deadline):
            welcome.outcome = "waiting"
        if work.watches(SendWelcome.sender):
            _close(welcome, "watched", "观察模式：只展示，不发送", work.now)
    return outbox.ask_and_take(work.db, [_wish(*each) for each in first], work.now)


def _to_ask(work: Work, arrival: Arrival, welcome: Welcome, own: Own) -> list[SendWelcome]:
    """One command for each code; none when the welcome is settled or there is nothing to say."""
    if welcome.outcome in SETTLED:
        return []
    command = _command(work, welcome, arrival, own)
    if isinstance(command, str):
        _close(welcome, "no_text", command, work.now)
        return []
    welcome.text = command.template
    welcome.attachments = [_named(one) for one in command.attachments]
    return [replace(command, code=code) for code in arrival.codes]


def _wish(arrival: Arrival, welcome: Welcome, command: SendWelcome) -> Wish:
    return Wish(command, _once(command), _key(welcome), arrival.deadline, arrival.cause)


def _once(command: SendWelcome) -> str:
    return f"welcome:{command.code}"[:200]


def _key(welcome: Welcome) -> str:
    return f"welcome:{welcome.id}"


def _welcomes_of(work: Work, arrivals: Sequence[Arrival]) -> list[tuple[Arrival, Welcome]]:
    """The welcome of each arrival, made where there is none yet.

    A half add and its confirmation within a code's life are one arrival. Two adds of the same kind are two: the
    customer has gone and come back meanwhile.
    """
    if not arrivals:
        return []
    known: defaultdict[tuple[str, str], list[Welcome]] = defaultdict(list)
    near = select(Welcome).where(
        Welcome.external_userid.in_({one.external_userid for one in arrivals}),
        Welcome.event_at >= min(one.event_at for one in arrivals) - CODE_LIVES,
    )
    for welcome in work.db.scalars(near.order_by(Welcome.id)):
        known[welcome.userid, welcome.external_userid].append(welcome)
    channels = _channels(work.db, {one.state for one in arrivals if one.state})
    pairs = []
    for one in arrivals:
        same = [each for each in known[one.userid, one.external_userid] if _same(one, each)]
        welcome = same[0] if same else _new(one, channels.get(one.state or ""))
        welcome.half = welcome.half and one.half
        work.db.add(welcome)
        pairs.append((one, welcome))
    return pairs


def _same(arrival: Arrival, welcome: Welcome) -> bool:
    near = abs(welcome.event_at - arrival.event_at) <= CODE_LIVES
    return near and (welcome.half != arrival.half or welcome.event_at == arrival.event_at)


def _new(arrival: Arrival, channel_id: int | None) -> Welcome:
    return Welcome(
        arrival=arrival.name,
        userid=arrival.userid,
        external_userid=arrival.external_userid,
        channel_id=channel_id,
        outcome="waiting",
        half=arrival.half,
        event_at=arrival.event_at,
        received_at=arrival.received_at,
    )


def _channels(db: Session, codes: Collection[str]) -> dict[str, int]:
    if not codes:
        return {}
    return dict(db.execute(select(Channel.code, Channel.id).where(Channel.code.in_(codes))).all())


def channel_of(work: Work, state: str | None) -> Channel | None:
    """The channel whose code came back as State, also a stopped or deleted one."""
    if not state:
        return None
    own = select(Channel).where(Channel.code == state).options(lazyload(Channel.seats))
    return work.found(("channel", state), lambda: work.db.scalars(own).one_or_none())


def _command(work: Work, welcome: Welcome, arrival: Arrival, own: Own) -> SendWelcome | str:
    """The command to send, or why there is nothing to send."""
    channel = _greeting(work, welcome.channel_id)
    if channel is None:
        return "不是通过渠道活码来的，没有设置欢迎语"
    name, settings = channel
    kept = settings.get("attachments") or []
    text, kept = own(work, arrival.userid, welcome.external_userid, str(settings.get("text") or ""), kept)
    attachments, missing = _attachments(work, kept)
    if not text and not attachments:
        return "、".join(missing) or "这个渠道没有设置欢迎语"
    welcome.detail = "；".join(missing) or None
    userid = arrival.userid
    member = work.found(("member", userid), lambda: work.db.get(Member, userid))
    values = {"rep": (member.name if member and member.name else userid), "channel": name}
    return SendWelcome(arrival.codes[0], text, values, welcome.external_userid, attachments)


def _greeting(work: Work, channel_id: int | None) -> tuple[str, Mapping[str, Any]] | None:
    """Name and welcome of a channel."""
    if channel_id is None:
        return None
    own = select(Channel.name, Channel.welcome).where(Channel.id == channel_id)
    return work.found(("greeting", channel_id), lambda: work.db.execute(own).one_or_none())


def _attachments(work: Work, kept: Attachments) -> tuple[list[dict[str, Any]], list[str]]:
    """The attachments as WeCom wants them, and what had to be left out because its picture is not there yet."""
    ready: list[dict[str, Any]] = []
    missing: list[str] = []
    for one in kept:
        media = _media(work, int(one["media"])) if one.get("media") is not None else None
        if one["kind"] in ("image", "miniprogram") and not pictures.alive(media, work.now):
            missing.append("图片还没有上传到企业微信，未附上")
            continue
        ready.append(_attachment(one, media.media_id if media else None))
    return ready, missing


def _media(work: Work, number: int) -> Media | None:
    return work.found(("media", number), lambda: work.db.get(Media, number))


def _named(attachment: Mapping[str, Any]) -> dict[str, Any]:
    """What the story says of an attachment."""
    kind = str(attachment["msgtype"])
    return {"kind": kind, "title": str(attachment[kind].get("title") or "")}


def _attachment(one: Mapping[str, Any], media_id: str | None) -> dict[str, Any]:
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


@dataclass(frozen=True)
class Try:
    """A call for a welcome that was made, or whose time was over, and what became of it."""

    claimed: Claimed
    outcome: Outcome
    at: datetime
    """When it ended."""
    text: str | None
    """The text that went out, if we know."""


def settled(work: Work, tries: Sequence[Try]) -> list[Welcome]:
    """Write the outcomes where people see them; the welcomes that were sent by these tries.

    With another code still to try a welcome waits for that. The rows are held from here on: see ``sent_to``.
    """
    numbers = {one.claimed.id: int(one.claimed.key.removeprefix("welcome:")) for one in tries}
    own = select(Welcome).where(Welcome.id.in_(numbers.values())).order_by(Welcome.id).with_for_update()
    held = {one.id: one for one in work.db.scalars(own)}
    rest = outbox.rest_of(work.db, {one.claimed.key for one in tries}, numbers.keys())
    sent, over = [], set()
    for one in tries:
        welcome = held.get(numbers[one.claimed.id])
        if welcome is None or welcome.outcome in SETTLED:
            continue
        if one.outcome.errcode == OTHER_APP_SENDING:
            welcome.retried_41096 = True
        if one.outcome.state == "waiting":
            continue
        name, detail = _in_words(one.claimed, one.outcome, welcome)
        if name not in SETTLED and one.claimed.key in rest:
            work.lanes.add(SendWelcome.lane)
            continue
        _close(welcome, name, detail, one.at)
        if name in SETTLED:
            over.add(one.claimed.key)
        if name == "sent":
            welcome.text = one.text if one.text is not None else welcome.text
            sent.append(welcome)
    if over & rest:
        outbox.drop_rest(work.db, over & rest, "another code of this arrival worked", work.now)
    return sent


def sent_to(work: Work, userid: str, external_userid: str, at: datetime) -> list[Welcome]:
    """The welcomes that this rep's arrival at this time was sent.

    They are held, so that of two who write down the arrival and the welcome at the same time the second sees the first.
    """
    near = Welcome.event_at.between(at - CODE_LIVES, at + CODE_LIVES)
    own = select(Welcome).where(Welcome.external_userid == external_userid, Welcome.userid == userid, near)
    held = work.db.scalars(own.order_by(Welcome.id).with_for_update().execution_options(populate_existing=True))
    return [one for one in held if one.outcome == "sent"]


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


def _close(welcome: Welcome, outcome: str, detail: str | None, now: datetime) -> None:
    welcome.outcome, welcome.detail, welcome.settled_at = outcome, detail, now
    if outcome == "sent":
        welcome.seconds = (now - welcome.received_at).total_seconds()


def note_missing_code(work: Work, arrival: Arrival, why: str) -> None:
    """An arrival came without a code: keep the reason, unless it has a welcome already (its first half was greeted)."""
    with work.db.no_autoflush:
        ((_, welcome),) = _welcomes_of(work, [arrival])
    if welcome.id is None:
        _close(welcome, "no_code", why, work.now)
    work.db.flush()

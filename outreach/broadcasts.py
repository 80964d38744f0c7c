"""Broadcasts (群发): written, looked at before (preflight), approved by a second person above a size, planned, stopped.

One text for all: WeCom has no placeholders in mass messages, only ``{rep}`` may differ, by sender; ``{name}``, points
and personal links are refused on saving. What is approved is frozen: the filter, the text and how many were to get it;
when ten times as many fit at the time of sending it goes back to its maker.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, String, cast, func, literal, select, update
from sqlalchemy.orm import Session

from insight import segments
from outreach import audience, budget, mass
from outreach.arms import BUCKETS, CONTROL
from outreach.audience import Counted, Plan
from outreach.budget import Rules
from outreach.mass import Content
from storage.tables import Broadcast, MassTask, Member, Segment, Touch
from storage.work import Work
from wecom import attachments as limits

NAME_AT_MOST = 60
SECOND_ABOVE = 500
"""More receivers than this need a second person's word (reliability.md S35)."""
TENFOLD = 10
EVERYBODY = 10**9
"""People are looked at one after the other, portion by portion."""
CONTROL_AT_MOST = 5000
PLACEHOLDER = re.compile(r"\{(\w*)\}")
ONLY_REP = (
    "群发对所有人是同一段文字，企业微信没有占位符：只能用 {rep}；"
    "称呼、积分和专属链接请用在欢迎语、客服回复和一对一卡片里"
)
DRAFT, ASKED, APPROVED, RUNNING, STOPPED, DONE = ("draft", "asked", "approved", "running", "stopped", "done")
BACK = "符合条件的人是批准时的 {times} 倍（{now} 人，批准时 {then} 人），退回给制作人重新确认"


class CannotDo(ValueError):
    """Why not, and what to do instead; the place is a field of the form, or empty."""

    def __init__(self, place: str, words: str) -> None:
        super().__init__(words)
        self.place, self.words = place, words


@dataclass(frozen=True)
class Draft:
    """A broadcast as somebody wrote it."""

    name: str
    segment_id: int | None
    text: str = ""
    other_text: str = ""
    """A second wording, to be compared with the first."""
    attachments: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    control: int = 0
    """So many of ten thousand get nothing, to compare with."""
    send_at: datetime | None = None
    chat_ids: Sequence[str] = ()
    """For groups: which; then the segment does not count."""


def source_of(broadcast: Broadcast) -> str:
    """``broadcast:3``."""
    return f"broadcast:{broadcast.id}"


def listed(db: Session, *, limit: int, before: int | None = None) -> tuple[list[Broadcast], int | None]:
    """One page of the broadcasts there are, the newest first, and the id that the next page comes before."""
    own = select(Broadcast).order_by(Broadcast.id.desc()).limit(limit + 1)
    found = list(db.scalars(own.where(Broadcast.id < before) if before is not None else own))
    more, found = len(found) > limit, found[:limit]
    return found, (found[-1].id if more else None)


# --- writing ---------------------------------------------------------------------------------------------------------


def create(work: Work, draft: Draft, *, by: str) -> Broadcast:
    """Keep a new broadcast; nothing is sent. Raises ``CannotDo``."""
    _check(work, draft)
    broadcast = Broadcast(made_by=by, made_at=work.now, changed_at=work.now, name="", state=DRAFT)
    _take_over(work, broadcast, draft)
    work.db.add(broadcast)
    work.db.flush()
    return broadcast


def change(work: Work, broadcast: Broadcast, draft: Draft, *, by: str) -> None:
    """Rewrite one that has not been approved; whoever was asked is to be asked again. Raises ``CannotDo``."""
    if broadcast.state not in (DRAFT, ASKED):
        raise CannotDo("", "已经批准，不能再改；可以停止它，或复制一份再改")
    _check(work, draft)
    _take_over(work, broadcast, draft)
    broadcast.state, broadcast.made_by, broadcast.note = DRAFT, by, None
    broadcast.version, broadcast.changed_at = broadcast.version + 1, work.now


def _take_over(work: Work, broadcast: Broadcast, draft: Draft) -> None:
    broadcast.name = draft.name.strip()
    broadcast.audience = "groups" if draft.chat_ids else "people"
    broadcast.segment_id, broadcast.chat_ids = draft.segment_id, list(draft.chat_ids)
    files = [dict(one) for one in draft.attachments]
    texts = [draft.text, draft.other_text] if draft.other_text.strip() else [draft.text]
    broadcast.contents = [
        {"arm": arm, "text": text, "attachments": files} for arm, text in zip("ab", texts, strict=False)
    ]
    broadcast.control, broadcast.send_at = draft.control, draft.send_at


def _check(work: Work, draft: Draft) -> None:
    if not 0 < len(draft.name.strip()) <= NAME_AT_MOST:
        raise CannotDo("name", f"名称需 1–{NAME_AT_MOST} 个字")
    if not draft.chat_ids:
        _segment(work.db, draft.segment_id)
    elif draft.control or draft.other_text.strip():
        raise CannotDo("control", "群里的人不能分组比较；请只写一段文字")
    for place, text in (("text", draft.text), ("other_text", draft.other_text)):
        if wrong := sorted(set(PLACEHOLDER.findall(text)) - {"rep"}):
            raise CannotDo(place, f"{ONLY_REP}（写了 {'、'.join('{' + one + '}' for one in wrong)}）")
    if not draft.text.strip() and not draft.attachments:
        raise CannotDo("text", "写一段文字，或加一个附件")
    for place, text in (("text", draft.text), ("other_text", draft.other_text)):
        try:
            limits.check(text or draft.text, list(draft.attachments))
        except ValueError as error:
            raise CannotDo(place, str(error)) from None
    if not 0 <= draft.control <= CONTROL_AT_MOST:
        raise CannotDo("control", "对照组占 0 到 50%")
    if draft.send_at is not None and draft.send_at < work.now - timedelta(minutes=1):
        raise CannotDo("send_at", "这个时间已经过去；请选以后的时间，或留空表示尽快")


def _segment(db: Session, segment_id: int | None) -> Segment:
    found = segments.living(db, segment_id) if segment_id is not None else None
    if found is None:
        raise CannotDo("segment", "请选一个分层：发给谁")
    return found


# --- looking before --------------------------------------------------------------------------------------------------


def preflight(
    db: Session, broadcast: Broadcast, rules: Rules, now: datetime, zone: ZoneInfo, reps: ColumnElement[bool] | None
) -> Counted:
    """Who would get it if it went now (or at its time), and why each of the others does not. Changes nothing."""
    return audience.counted(db, plan_of(db, broadcast, rules, now, zone, reps))


def plan_of(
    db: Session,
    broadcast: Broadcast,
    rules: Rules,
    now: datetime,
    zone: ZoneInfo,
    reps: ColumnElement[bool] | None = None,
) -> Plan:
    """The broadcast as the contact budget wants it. Raises ``CannotDo`` when its segment is gone."""
    if broadcast.approved_at is not None:
        fits = segments.condition(broadcast.filter, segments.question(db, now, zone, paged=EVERYBODY))
    else:
        fits = segments.members(_segment(db, broadcast.segment_id), segments.question(db, now, zone))
    at = rules.quiet.next_open(max(now, broadcast.send_at or now), zone)
    return Plan(source_of(broadcast), fits, at, rules, _arms(broadcast), reps)


def _arms(broadcast: Broadcast) -> dict[str, int]:
    """Control first, the rest in equal parts."""
    names = [str(one["arm"]) for one in broadcast.contents]
    if len(names) == 1 and not broadcast.control:
        return {names[0]: BUCKETS}
    rest = BUCKETS - broadcast.control
    shares = {one: rest // len(names) for one in names}
    shares[names[0]] += rest - sum(shares.values())
    return {CONTROL: broadcast.control, **shares} if broadcast.control else shares


# --- approving, stopping ---------------------------------------------------------------------------------------------


def submit(work: Work, broadcast: Broadcast, size: int, *, by: str) -> str:
    """Let it go, or ask a second person where it is that big; the state it is in. Raises ``CannotDo``."""
    if broadcast.state != DRAFT:
        raise CannotDo("", "它已经提交过了")
    if size == 0:
        raise CannotDo("segment", "现在没有人会收到：请看下面每种原因各有多少人")
    broadcast.size = size
    if size > SECOND_ABOVE:
        broadcast.state, broadcast.changed_at = ASKED, work.now
    else:
        _approve(work, broadcast, by)
    return broadcast.state


def approve(work: Work, broadcast: Broadcast, size: int, *, by: str) -> None:
    """The second person's word; ``size`` is what they saw. Raises ``CannotDo``."""
    if broadcast.state != ASKED:
        raise CannotDo("", "它现在不等待批准")
    if by == broadcast.made_by:
        raise CannotDo("", "制作人不能批准自己的群发：请另一位同事来批准")
    broadcast.size = size
    _approve(work, broadcast, by)


def _approve(work: Work, broadcast: Broadcast, by: str) -> None:
    if broadcast.audience == "people":
        segment = _segment(work.db, broadcast.segment_id)
        static = {"field": "list", "op": "is", "value": segments.public_id(segment.id)}
        broadcast.filter = static if segment.kind == segments.STATIC else dict(segment.filter)
    broadcast.state, broadcast.approved_by, broadcast.approved_at = APPROVED, by, work.now
    broadcast.changed_at = work.now


def send_back(work: Work, broadcast: Broadcast, why: str) -> None:
    """Back to its maker, who decides anew."""
    broadcast.state, broadcast.note, broadcast.changed_at = DRAFT, why, work.now
    broadcast.approved_by = broadcast.approved_at = None


def stop(work: Work, broadcast: Broadcast, *, by: str) -> int:
    """Let nobody get it who has not; how many tasks that ends. What was out is out."""
    if broadcast.state in (STOPPED, DONE, DRAFT):
        return 0
    broadcast.state, broadcast.stopped_by, broadcast.changed_at = STOPPED, by, work.now
    broadcast.ended_at = work.now
    open_tasks = (MassTask.source == source_of(broadcast), MassTask.state.in_(mass.OPEN))
    ended = sum(
        mass.take_back(work, one, "stopped by hand") for one in work.db.scalars(select(MassTask).where(*open_tasks))
    )
    free = (Touch.source == source_of(broadcast), Touch.state == budget.HELD, Touch.task_id.is_(None))
    work.db.execute(update(Touch).where(*free).values(state="cancelled"))
    return ended


# --- carrying out ----------------------------------------------------------------------------------------------------


def due(db: Session, now: datetime) -> list[int]:
    """Approved ones whose time has come, and those whose planning is not over."""
    ready = (Broadcast.state == APPROVED) & (func.coalesce(Broadcast.send_at, now) <= now)
    going = (Broadcast.state == RUNNING) & Broadcast.planned_at.is_(None)
    return list(db.scalars(select(Broadcast.id).where(ready | going).order_by(Broadcast.id)))


def carry_on(work: Work, broadcast_id: int, rules: Rules) -> bool:
    """Plan the next portion, or cut the next task: one transaction each; False when all of it is planned."""
    broadcast = work.db.get_one(Broadcast, broadcast_id, with_for_update=True)
    if broadcast.state not in (APPROVED, RUNNING) or broadcast.planned_at is not None:
        return False
    if broadcast.state == APPROVED:
        return _begin(work, broadcast, rules)
    if broadcast.planned_to is not None:
        message = plan_of(work.db, broadcast, rules, work.now, work.zone)
        broadcast.planned_to = audience.plan(work.db, message, broadcast.planned_to)
        return True
    at = rules.quiet.next_open(work.now, work.zone)
    if mass.cut(work, source_of(broadcast), _contents(broadcast), at) is not None:
        return True
    broadcast.planned_at = work.now
    return False


def _begin(work: Work, broadcast: Broadcast, rules: Rules) -> bool:
    """Look once more before anything is held."""
    if broadcast.audience == "groups":
        mass.cut_groups(work, source_of(broadcast), _contents(broadcast)["a"], broadcast.chat_ids, work.now)
        broadcast.state, broadcast.planned_to, broadcast.planned_at = RUNNING, None, work.now
        return False
    will = audience.counted(work.db, plan_of(work.db, broadcast, rules, work.now, work.zone)).will
    if broadcast.size and will >= TENFOLD * broadcast.size:
        send_back(work, broadcast, BACK.format(times=will // broadcast.size, now=will, then=broadcast.size))
        return False
    broadcast.state, broadcast.planned_to = RUNNING, 0
    return True


def _contents(broadcast: Broadcast) -> dict[str, Content]:
    return {str(one["arm"]): Content(str(one["text"]), tuple(one["attachments"])) for one in broadcast.contents}


def finish(work: Work) -> int:
    """Close those of whose tasks none is open any more; how many."""
    open_task = select(MassTask.id).where(
        MassTask.source == literal("broadcast:").concat(cast(Broadcast.id, String)), MassTask.state.in_(mass.OPEN)
    )
    over = (Broadcast.state == RUNNING, Broadcast.planned_at.is_not(None), ~open_task.exists())
    ended = work.db.scalars(select(Broadcast).where(*over)).all()
    for one in ended:
        one.state, one.ended_at = DONE, work.now
    return len(ended)


# --- how it stands ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """How a broadcast stands, in WeCom's four words and ours."""

    states: Mapping[str, int]
    """Of touches: held, asked, sent, no_friend, quota, refused, cancelled, expired, left_out, control."""
    reps: Sequence[tuple[str, str, Mapping[str, int]]]
    """For each rep: userid, name, and how many of her receivers are in which state."""


def standing(db: Session, broadcast: Broadcast) -> Standing:
    """Counted from the budget's book."""
    own = select(Touch.userid, Touch.state, func.count()).where(Touch.source == source_of(broadcast))
    states: dict[str, int] = {}
    by_rep: dict[str, dict[str, int]] = {}
    for userid, state, count in db.execute(own.group_by(Touch.userid, Touch.state)):
        states[state] = states.get(state, 0) + count
        if userid is not None and state not in (audience.LEFT_OUT, CONTROL):
            by_rep.setdefault(userid, {})[state] = count
    names = dict(db.execute(select(Member.userid, Member.name).where(Member.userid.in_(by_rep))).all())
    return Standing(states, [(one, names.get(one) or one, by_rep[one]) for one in sorted(by_rep)])

"""Broadcasts (群发): written, looked at before (preflight), approved by a second person above a size, planned, stopped.

One text for all: WeCom has no placeholders in mass messages, only ``{rep}`` may differ, by sender; ``{name}``, points
and personal links are refused on saving. What is approved is frozen: the filter, the text and how many were to get it;
when ten times as many fit at the time of sending it goes back to its maker. Whom it reaches is narrowed to whom its
maker may see: a manager's own reps and their customers. One that recurs is approved once; each time is a broadcast of
its own. What became of it is read by ``outreach.results``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, String, and_, cast, func, literal, or_, select, true, update
from sqlalchemy.orm import Session

from insight import segments
from outreach import audience, budget, contents, groups, mass, recurring, telling
from outreach.arms import BUCKETS, CONTROL
from outreach.audience import Counted, Plan
from outreach.budget import Rules
from outreach.holdout import NOBODY, holdout
from outreach.mass import Content
from people import access
from people.access import Sight
from storage.tables import Broadcast, MassTask, Relation, Segment, Touch
from storage.work import Work

NAME_AT_MOST = 60
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
MAKER_GONE = "制作人已经不能登录控制台，没有发送；请另一位同事看过后重新提交"
PEOPLE, GROUPS = "people", "groups"
TALKED, OPENED, LEFT = METRICS = ("talked", "opened", "left")
"""By what wordings may be compared: what the customer did within seven days."""


class CannotDo(ValueError):
    """Why not, and what to do instead: pairs of a place and words; the place is a field of the form, or empty."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__("；".join(words for _, words in problems))
        self.problems = problems


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
    audience: str = PEOPLE
    repeat: Mapping[str, Any] = field(default_factory=dict)
    """When it comes again (``outreach.recurring``); none: once."""
    metric: str = TALKED
    service: bool = False
    """Whether it serves people (a closed shop, a recall): then the long-term control group gets it too."""


def source_of(broadcast: Broadcast) -> str:
    """``broadcast:3``."""
    return f"broadcast:{broadcast.id}"


def listed(
    db: Session, *, limit: int, before: int | None = None, seen: ColumnElement[bool] | None = None
) -> tuple[list[Broadcast], int | None]:
    """One page of the broadcasts there are, the newest first, and the id that the next page comes before."""
    own = select(Broadcast).where(true() if seen is None else seen).order_by(Broadcast.id.desc()).limit(limit + 1)
    found = list(db.scalars(own.where(Broadcast.id < before) if before is not None else own))
    more, found = len(found) > limit, found[:limit]
    return found, (found[-1].id if more else None)


def seen_by(sight: Sight) -> ColumnElement[bool]:
    """The condition that somebody with this sight may know of a broadcast: made below them, or sent by their reps."""
    if sight.everybody:
        return true()
    source = literal("broadcast:").concat(cast(Broadcast.id, String))
    tasks = select(MassTask.id).where(MassTask.source == source, MassTask.userid.in_(sight.userids))
    return or_(Broadcast.made_by.in_(sight.userids), tasks.exists())


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
        raise CannotDo(("", "已经批准，不能再改；可以停止它，或复制一份再改"))
    _check(work, draft)
    _take_over(work, broadcast, draft)
    broadcast.state, broadcast.made_by, broadcast.note = DRAFT, by, None
    broadcast.version, broadcast.changed_at = broadcast.version + 1, work.now


def _take_over(work: Work, broadcast: Broadcast, draft: Draft) -> None:
    broadcast.name, broadcast.audience = draft.name.strip(), draft.audience
    to_people = draft.audience == PEOPLE
    broadcast.segment_id = draft.segment_id if to_people else None
    broadcast.chat_ids = [] if to_people else list(dict.fromkeys(draft.chat_ids))
    files = [dict(one) for one in draft.attachments]
    texts = [draft.text, draft.other_text] if draft.other_text.strip() else [draft.text]
    broadcast.contents = [
        {"arm": arm, "text": text, "attachments": files} for arm, text in zip("ab", texts, strict=False)
    ]
    broadcast.control, broadcast.metric = draft.control, draft.metric
    broadcast.service = draft.service
    broadcast.send_at, broadcast.repeat = draft.send_at, dict(draft.repeat)


def _check(work: Work, draft: Draft) -> None:
    if found := list(_problems(work, draft)):
        raise CannotDo(*found)


def _problems(work: Work, draft: Draft) -> Iterator[tuple[str, str]]:
    if not 0 < len(draft.name.strip()) <= NAME_AT_MOST:
        yield "name", f"名称需 1–{NAME_AT_MOST} 个字"
    if draft.audience == PEOPLE:
        if not _living(work.db, draft.segment_id):
            yield "segment", NO_SEGMENT
    else:
        yield from _group_problems(draft)
    yield from _text_problems(work.db, draft)
    if not 0 <= draft.control <= CONTROL_AT_MOST:
        yield "control", "对照组最多占一半"
    if draft.metric not in METRICS:
        yield "metric", f"只能是 {'、'.join(METRICS)}"
    yield from recurring.problems(draft.repeat)
    if draft.send_at is not None and draft.send_at < work.now - timedelta(minutes=1):
        yield "send_at", "这个时间已经过去；请选以后的时间，或留空表示尽快"


def _group_problems(draft: Draft) -> Iterator[tuple[str, str]]:
    if not draft.chat_ids:
        yield "chat_ids", "请选至少一个客户群"
    if draft.control or draft.other_text.strip():
        yield "control", "群里的人不能分组比较；请只写一段文字，不留对照组"


def _text_problems(db: Session, draft: Draft) -> Iterator[tuple[str, str]]:
    for place, text in (("text", draft.text), ("other_text", draft.other_text)):
        if wrong := sorted(set(PLACEHOLDER.findall(text)) - {"rep"}):
            yield place, f"{ONLY_REP}（写了 {'、'.join('{' + one + '}' for one in wrong)}）"
    yield from contents.problems(db, draft.text, draft.attachments)
    for place, words in contents.problems(db, draft.other_text or draft.text, ()):
        if place == "text" and draft.other_text.strip():
            yield "other_text", words


NO_SEGMENT = "请选一个分层：发给谁"


def _living(db: Session, segment_id: int | None) -> Segment | None:
    return segments.living(db, segment_id) if segment_id is not None else None


def _segment(db: Session, segment_id: int | None) -> Segment:
    found = _living(db, segment_id)
    if found is None:
        raise CannotDo(("segment", NO_SEGMENT))
    return found


# --- looking before --------------------------------------------------------------------------------------------------


def preflight(db: Session, broadcast: Broadcast, rules: Rules, now: datetime, zone: ZoneInfo) -> Counted:
    """Who would get it if it went now (or at its time), and why each of the others does not. Changes nothing."""
    if broadcast.audience == GROUPS:
        return groups.counted(
            groups.looked_at(db, broadcast.chat_ids, maker(db, broadcast), rules, now, source_of(broadcast))
        )
    return audience.counted(db, plan_of(db, broadcast, rules, now, zone))


def looked_at(
    db: Session, broadcast: Broadcast, rules: Rules, now: datetime, zone: ZoneInfo, seen: ColumnElement[bool]
) -> audience.Looked:
    """The preflight with names of those ``seen``, and how many each rep would send it to. Changes nothing."""
    if broadcast.audience == GROUPS:
        return groups.named(
            groups.looked_at(db, broadcast.chat_ids, maker(db, broadcast), rules, now, source_of(broadcast))
        )
    return audience.looked_at(db, plan_of(db, broadcast, rules, now, zone), seen)


def maker(db: Session, broadcast: Broadcast) -> Sight:
    """Whom its maker may see now: only they can be reached."""
    return access.sight_of_asker(db, broadcast.made_by)


def plan_of(db: Session, broadcast: Broadcast, rules: Rules, now: datetime, zone: ZoneInfo) -> Plan:
    """The broadcast as the contact budget wants it. Raises ``CannotDo`` when its segment is gone."""
    if broadcast.approved_at is not None:
        fits = segments.condition(broadcast.filter, segments.question(db, now, zone, paged=EVERYBODY))
    else:
        fits = segments.members(_segment(db, broadcast.segment_id), segments.question(db, now, zone))
    at = rules.quiet.next_open(max(now, broadcast.send_at or now), zone)
    sight, apart = maker(db, broadcast), NOBODY if broadcast.service else holdout(db)
    if sight.everybody:
        return Plan(source_of(broadcast), fits, at, rules, arms_of(broadcast), holdout=apart)
    theirs = sight.reps(Relation.userid.expression)
    return Plan(source_of(broadcast), and_(fits, sight.people()), at, rules, arms_of(broadcast), theirs, apart)


def arms_of(broadcast: Broadcast) -> dict[str, int]:
    """The arms with their shares in ten-thousandths: control first, the rest in equal parts."""
    names = [str(one["arm"]) for one in broadcast.contents]
    if len(names) == 1 and not broadcast.control:
        return {names[0]: BUCKETS}
    rest = BUCKETS - broadcast.control
    shares = {one: rest // len(names) for one in names}
    shares[names[0]] += rest - sum(shares.values())
    return {CONTROL: broadcast.control, **shares} if broadcast.control else shares


# --- approving, stopping ---------------------------------------------------------------------------------------------


def submit(work: Work, broadcast: Broadcast, size: int, *, by: str, above: int = Rules.second_above) -> str:
    """Let it go, or ask a second person where it reaches more than ``above``; its state. Raises ``CannotDo``.

    ``size`` is how many would get it: people, or groups.
    """
    if broadcast.state != DRAFT:
        raise CannotDo(("", "它已经提交过了"))
    if size == 0:
        raise CannotDo(("segment", "现在没有人会收到：请看下面每种原因各有多少人"))
    broadcast.size, broadcast.note = size, None
    if _reach(work.db, broadcast, size) > above:
        broadcast.state, broadcast.changed_at = ASKED, work.now
    else:
        _approve(work, broadcast, by)
    return broadcast.state


def _reach(db: Session, broadcast: Broadcast, size: int) -> int:
    """How many people that are; in groups everybody reads it."""
    return size if broadcast.audience == PEOPLE else groups.people_in(db, broadcast.chat_ids)


def approve(work: Work, broadcast: Broadcast, size: int, *, by: str) -> None:
    """The second person's word; ``size`` is what they saw. Raises ``CannotDo``."""
    if broadcast.state != ASKED:
        raise CannotDo(("", "它现在不等待批准"))
    if by == broadcast.made_by:
        raise CannotDo(("", "制作人不能批准自己的群发：请另一位同事来批准"))
    if size == 0:
        raise CannotDo(("", "现在没有人会收到，请退回给制作人"))
    broadcast.size = size
    _approve(work, broadcast, by)


def _approve(work: Work, broadcast: Broadcast, by: str) -> None:
    if broadcast.audience == PEOPLE:
        segment = _segment(work.db, broadcast.segment_id)
        static = {"field": "list", "op": "is", "value": segments.public_id(segment.id)}
        broadcast.filter = static if segment.kind == segments.STATIC else dict(segment.filter)
    if broadcast.repeat:
        broadcast.send_at = recurring.next_time(broadcast.repeat, recurring.after(work, broadcast), work)
        if broadcast.send_at is None:
            raise CannotDo(("repeat", "结束日期之前没有一次会发出；请改结束日期"))
    broadcast.state, broadcast.approved_by, broadcast.approved_at = APPROVED, by, work.now
    broadcast.changed_at = work.now


def send_back(work: Work, broadcast: Broadcast, why: str) -> None:
    """Back to its maker, who decides anew; of one that recurs, as a whole."""
    parent = work.db.get(Broadcast, broadcast.parent_id, with_for_update=True) if broadcast.parent_id else None
    if parent is not None:
        broadcast.state, broadcast.ended_at = STOPPED, work.now
    for one in (parent,) if parent is not None else (broadcast,):
        one.state, one.approved_by, one.approved_at = DRAFT, None, None
    for one in (broadcast, *((parent,) if parent is not None else ())):
        one.note, one.changed_at = why, work.now
    telling.maker(work, parent or broadcast, "群发退回给你", why)


def return_to_maker(work: Work, broadcast: Broadcast, words: str, *, by: str) -> None:
    """The second person says no. Raises ``CannotDo``."""
    if broadcast.state != ASKED:
        raise CannotDo(("", "它现在不等待批准"))
    if not words.strip():
        raise CannotDo(("words", "请写明为什么退回"))
    send_back(work, broadcast, words.strip()[:200])


def discard(work: Work, broadcast: Broadcast, *, by: str) -> None:
    """Give up a draft, or one that waits for a second person. Raises ``CannotDo``."""
    if broadcast.state not in (DRAFT, ASKED):
        raise CannotDo(("", "已经批准，不能放弃；可以停止它"))
    broadcast.state, broadcast.stopped_by = STOPPED, by
    broadcast.ended_at = broadcast.changed_at = work.now


def stop(work: Work, broadcast: Broadcast, *, by: str | None, why: str = "stopped by hand") -> int:
    """Let nobody get it who has not; how many tasks that ends. What was out is out. Of one that recurs, all of it."""
    if broadcast.state in (STOPPED, DONE, DRAFT):
        return 0
    broadcast.state, broadcast.stopped_by, broadcast.changed_at = STOPPED, by, work.now
    broadcast.ended_at = work.now
    open_tasks = (MassTask.source == source_of(broadcast), MassTask.state.in_(mass.OPEN))
    tasks = work.db.scalars(select(MassTask).where(*open_tasks).order_by(MassTask.id).with_for_update()).all()
    ended = sum(mass.take_back(work, one, why) for one in tasks)
    free = (Touch.source == source_of(broadcast), Touch.state == budget.HELD, Touch.task_id.is_(None))
    work.db.execute(update(Touch).where(*free).values(state="cancelled"))
    times = select(Broadcast).where(Broadcast.parent_id == broadcast.id) if broadcast.repeat else None
    return ended + sum(stop(work, one, by=by, why=why) for one in (work.db.scalars(times) if times is not None else ()))


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
    if broadcast.state == APPROVED and broadcast.repeat:
        return _next_time(work, broadcast)
    if broadcast.state == APPROVED:
        return _begin(work, broadcast, rules)
    if broadcast.planned_to is not None:
        budget.hold(work.db)
        message = plan_of(work.db, broadcast, rules, work.now, work.zone)
        broadcast.planned_to = audience.plan(work.db, message, broadcast.planned_to)
        return True
    at = rules.quiet.next_open(work.now, work.zone)
    if mass.cut(work, source_of(broadcast), _contents(broadcast), at) is not None:
        return True
    broadcast.planned_at = work.now
    return False


def _next_time(work: Work, broadcast: Broadcast) -> bool:
    """Make the broadcast of the time that has come, and look forward to the next; both or neither."""
    at = broadcast.send_at
    if at is None or at > work.now:
        return False
    if work.now - at <= recurring.LATEST:
        work.db.add(recurring.one_time(work, broadcast, at))
    broadcast.send_at = recurring.next_time(broadcast.repeat, max(at, work.now), work)
    if broadcast.send_at is None:
        broadcast.state, broadcast.ended_at = DONE, work.now
    return False


def _begin(work: Work, broadcast: Broadcast, rules: Rules) -> bool:
    """Look once more before anything is held."""
    sight = maker(work.db, broadcast)
    if not sight.everybody and not sight.userids:
        send_back(work, broadcast, MAKER_GONE)
        return False
    will = preflight(work.db, broadcast, rules, work.now, work.zone).will
    if broadcast.size and will >= TENFOLD * broadcast.size:
        send_back(work, broadcast, BACK.format(times=will // broadcast.size, now=will, then=broadcast.size))
        return False
    broadcast.state, broadcast.planned_to = RUNNING, 0
    if broadcast.audience == GROUPS:
        looked = groups.looked_at(work.db, broadcast.chat_ids, sight, rules, work.now, source_of(broadcast))
        at = rules.quiet.next_open(work.now, work.zone)
        mass.cut_groups(work, source_of(broadcast), _contents(broadcast)["a"], groups.reached_by(looked), at)
        broadcast.planned_to, broadcast.planned_at = None, work.now
        return False
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

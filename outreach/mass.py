"""Tasks that reps confirm (企业群发): cut from the contact budget, made at WeCom once, read back until they are over.

Making one sends nothing: the rep confirms, and WeCom tells nobody; so it is asked. A call whose answer was lost is
never repeated before WeCom has been asked whether it has the task (``unclear``). Each touch of a task shows WeCom's own
word: sent, no friend any more, had other mass messages; what was not sent is given back to the budget.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal_column, not_, or_, select, update
from sqlalchemy.orm import Session, aliased

from outreach import budget, contents, hours, links
from outreach.budget import Rules
from people import consent, persons
from storage.database import changed_rows
from storage.tables import CalendarDay, GroupChat, MassTask, Person, Relation, Touch
from storage.work import Work
from wecom.commands import MAX_MASS_CUSTOMERS, MAX_MASS_GROUPS, CancelMass, MakeGroupMass, MakeMass, RemindMass
from wecom.mass import NO_FRIEND, QUOTA_USED, SENT, MassResult

TASKS_A_DAY = 2
"""A rep who is asked for more sends by rote, or not at all."""
FIRST_LOOK, LONGEST_LOOK = timedelta(minutes=1), timedelta(minutes=30)
LOST_AFTER = timedelta(minutes=10)
"""A task that WeCom does not list so long after the call was not made."""
Task = aliased(MassTask)
CONFIRMED_UNTIL = time(18)
OPEN = ("planned", "asked", "unclear", "made", "leaving")
IS_OPEN: ColumnElement[bool] = literal_column("mass_task.state IN ('planned', 'asked', 'unclear', 'made', 'leaving')")
"""The same in the words of the index that holds only these."""
QUIET, GONE = AGAIN = ("quiet hours have begun", "somebody in it is not to get it any more")
"""Why a task is taken back that is offered again."""
LATE = "no rep confirmed it in time"
LEFT = "left"
"""Of a touch: why it is not to be sent any more although its task is made (a journey's goal was reached, say)."""
REMINDERS, REMINDERS_WITHIN = 3, timedelta(hours=24)
"""WeCom lets a task be brought to mind so often (wecom.md §4.9)."""
ATTACHMENTS_TAKE = timedelta(minutes=1)
WORDS: Mapping[int, str] = {SENT: budget.SENT, NO_FRIEND: "no_friend", QUOTA_USED: "quota"}
"""WeCom's word of a receiver as a state of the touch."""
IS_FREE: ColumnElement[bool] = literal_column("(touch.state = 'held' AND touch.task_id IS NULL)")
"""Held, and in no task yet: in the words of the index by which that is found (``storage.tables.outreach``)."""


@dataclass(frozen=True)
class Content:
    """What is sent: a text of at most 4,000 bytes and up to nine attachments (``outreach.contents``)."""

    text: str
    attachments: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


# --- cutting ---------------------------------------------------------------------------------------------------------


def cut(work: Work, source: str, contents: Mapping[str, Content], due_at: datetime) -> MassTask | None:
    """Make the next task of touches that have none: up to ten thousand of one rep and arm. None when all have one."""
    free = (Touch.source == source, IS_FREE)
    next_of = select(Touch.userid, Touch.arm).where(*free).order_by(Touch.userid, Touch.arm).limit(1)
    first = work.db.execute(next_of).first()
    if first is None:
        return None
    userid, arm = first
    same = (MassTask.source == source, MassTask.userid == userid, MassTask.arm == arm)
    number = work.db.scalars(select(func.count()).where(*same)).one()
    content = contents[arm]
    task = MassTask(
        key=f"{source}:{userid}:{arm}:{number}",
        source=source,
        userid=userid,
        arm=arm,
        text=_signed(work.db, content.text, str(userid)),
        attachments=[dict(one) for one in content.attachments],
        due_at=due_at,
    )
    work.db.add(task)
    work.db.flush()
    own = select(Touch.id).where(*free, Touch.userid == userid, Touch.arm == arm)
    chosen = own.order_by(Touch.id).limit(MAX_MASS_CUSTOMERS).scalar_subquery()
    task.size = changed_rows(work.db, update(Touch).where(Touch.id.in_(chosen)).values(task_id=task.id))
    return task


def _signed(db: Session, text: str, userid: str) -> str:
    """``{rep}`` is the only thing that may differ, by sender."""
    return text.replace("{rep}", persons.rep_name(db, userid))


def cut_groups(work: Work, source: str, content: Content, chat_ids: Sequence[str], due_at: datetime) -> int:
    """One task for each owner of these groups; how many. Groups that are gone are left out."""
    groups = select(GroupChat.owner, GroupChat.chat_id).where(
        GroupChat.chat_id.in_(chat_ids), GroupChat.dismissed_at.is_(None)
    )
    owned: dict[str, list[str]] = {}
    for owner, chat_id in work.db.execute(groups.order_by(GroupChat.chat_id)):
        owned.setdefault(owner, []).append(chat_id)
    for owner, own in owned.items():
        for number, first in enumerate(range(0, len(own), MAX_MASS_GROUPS)):
            some = own[first : first + MAX_MASS_GROUPS]
            said = {
                "text": _signed(work.db, content.text, owner),
                "attachments": [dict(one) for one in content.attachments],
            }
            task = MassTask(
                key=f"{source}:{owner}:groups:{number}", source=source, userid=owner, audience="groups", **said
            )
            task.chat_ids, task.size, task.due_at = some, len(some), due_at
            work.db.add(task)
    work.db.flush()
    return len(owned)


# --- making ----------------------------------------------------------------------------------------------------------


def due(db: Session, now: datetime, day: tuple[datetime, datetime]) -> list[int]:
    """Tasks that may be made now: due, and of a rep who has not had two this day (from and to, as moments)."""
    in_vain = and_(MassTask.state == "cancelled", MassTask.confirmed_at.is_(None))
    today = (MassTask.asked_at >= day[0], MassTask.asked_at < day[1], not_(in_vain))
    others = select(func.count()).where(MassTask.userid == Task.userid, MassTask.id != Task.id, *today)
    free = others.correlate(Task).scalar_subquery() < TASKS_A_DAY
    waiting = select(Task.id).where(Task.state == "planned", Task.due_at <= now, free).order_by(Task.due_at, Task.id)
    first: dict[str, int] = {}
    for task_id, userid in db.execute(waiting.add_columns(Task.userid)):
        first.setdefault(userid, task_id)  # one at a time, so that the count holds
    return list(first.values())


def ask(work: Work, task_id: int, rules: Rules) -> bool:
    """Ask WeCom for a task, with those who may still get it. False when nobody is left or somebody was quicker."""
    task = work.db.get(MassTask, task_id, with_for_update=True)
    if task is None or task.state != "planned":
        return False
    if task.audience == "groups":
        receivers = list(task.chat_ids)
    else:
        budget.hold(work.db)
        _let_go(work, task, rules)
        held = select(Touch.external_userid).where(Touch.task_id == task.id, Touch.state == budget.HELD)
        receivers = [str(one) for one in work.db.scalars(held.order_by(Touch.id))]
    if not receivers:
        return _end(work, task, "cancelled", "nobody is left who may get it")
    links.of_task(work, task)
    ready = contents.ready(work, task.attachments)
    if ready.trouble:
        return _end(work, task, "refused", ready.trouble)
    if ready.waits:
        task.due_at = work.now + ATTACHMENTS_TAKE
        return False
    task.state, task.asked_at, task.size = "asked", work.now, len(receivers)
    kind = MakeGroupMass if task.audience == "groups" else MakeMass
    command = kind(task.id, task.userid, receivers, task.text, ready.attachments)
    if work.watches(command.sender):
        _give_back(work, task, "cancelled", "watched")
        task.state, task.ended_at = "watched", work.now
    else:
        _move(work, task, budget.HELD, budget.ASKED)
    return work.ask(command, once=f"mass:{task.key}", key=f"mass:{task.userid}")


def _let_go(work: Work, task: MassTask, rules: Rules) -> None:
    """Leave out who may not get it any more: asked again at the last moment, because planning may be days old."""
    gone = not_(
        exists().where(
            Relation.person_id == Touch.person_id, Relation.userid == Touch.userid, Relation.state == "active"
        )
    )
    reasons = {
        "opted_out": not_(consent.wanting()),
        "no_relation": gone,
        "quota": budget.is_used_up(rules, work.now, but=(task.source,)),
    }
    for reason, condition in reasons.items():
        people = select(Person.id).where(Person.id == Touch.person_id, condition)
        left = (Touch.task_id == task.id, Touch.state == budget.HELD, exists(people.correlate(Touch)))
        work.db.execute(update(Touch).where(*left).values(state="left_out", reason=reason))


def _move(work: Work, task: MassTask, before: str, after: str, *more: ColumnElement[bool]) -> int:
    own = update(Touch).where(Touch.task_id == task.id, Touch.state == before, *more)
    return changed_rows(work.db, own.values(state=after))


def _give_back(work: Work, task: MassTask, state: str, reason: str = "") -> int:
    """What was held or asked for and not sent is free again."""
    own = update(Touch).where(Touch.task_id == task.id, Touch.state.in_((budget.HELD, budget.ASKED)))
    return changed_rows(work.db, own.values(state=state, reason=reason))


def _end(work: Work, task: MassTask, state: str, outcome: str) -> bool:
    _give_back(work, task, "expired" if outcome == LATE else "refused" if state == "refused" else "cancelled")
    task.state, task.outcome, task.ended_at, task.look_at = state, outcome, work.now, None
    return False


# --- what WeCom said -------------------------------------------------------------------------------------------------


def confirm_by(work: Work) -> datetime:
    """Until when a rep may confirm what is made now: the evening of the next working day."""
    day = work.now.astimezone(work.zone).date()
    days = select(CalendarDay.day, CalendarDay.kind).where(CalendarDay.day >= day)
    calendar: dict[date, str] = dict(work.db.execute(days).all())
    return hours.instant(hours.next_working(day + timedelta(days=1), calendar), CONFIRMED_UNTIL, work.zone)


def made(work: Work, task_id: int, msgid: str, fail_list: Collection[str], confirm_by: datetime | None) -> None:
    """WeCom has the task; it will never reach those in ``fail_list``."""
    task = work.db.get(MassTask, task_id, with_for_update=True)
    if task is None or task.state not in ("asked", "unclear"):
        return
    task.state, task.msgid, task.made_at = "made", msgid, work.now
    task.confirm_by = task.confirm_by or confirm_by  # one that is offered again keeps its end
    task.look_at = work.now + FIRST_LOOK
    if fail_list:
        _move(work, task, budget.ASKED, "refused", Touch.external_userid.in_(sorted(fail_list)))
    if task.outcome is not None:  # it was to be taken back while the call was on its way
        take_back(work, task, task.outcome)


def refused(work: Work, task_id: int, why: str) -> None:
    """WeCom does not take it."""
    task = work.db.get(MassTask, task_id, with_for_update=True)
    if task is not None and task.state in ("asked", "unclear"):
        _give_back(work, task, "refused")
        task.state, task.outcome, task.ended_at = "refused", why, work.now


def unclear(work: Work, task_id: int) -> None:
    """Nobody knows whether WeCom has it: it is looked for before anything is repeated."""
    task = work.db.get(MassTask, task_id, with_for_update=True)
    if task is not None and task.state == "asked":
        task.state, task.look_at = "unclear", work.now + FIRST_LOOK


def not_there(work: Work, task_id: int) -> bool:
    """WeCom does not list it, long after the call: it is made anew. False while that is too early to say."""
    task = work.db.get(MassTask, task_id, with_for_update=True)
    if task is None or task.state != "unclear" or task.asked_at is None:
        return False
    if work.now - task.asked_at < LOST_AFTER:
        task.look_at = work.now + FIRST_LOOK
        return False
    if task.outcome is not None:
        _end(work, task, "cancelled", task.outcome)
        return True
    _move(work, task, budget.ASKED, budget.HELD)
    task.state, task.key, task.look_at = "planned", f"{task.key}:again", None
    return True


def is_ours(db: Session, task: MassTask, shown: Collection[str]) -> bool:
    """Whether receivers that WeCom shows can be this task's: only of them, and some."""
    if task.audience == "groups":
        return set(shown) <= set(task.chat_ids)
    own = set(db.scalars(select(Touch.external_userid).where(Touch.task_id == task.id)))
    return bool(shown) and set(shown) <= own


def known_msgids(db: Session, msgids: Collection[str]) -> set[str]:
    """Which of these are tasks of ours already."""
    return {str(one) for one in db.scalars(select(MassTask.msgid).where(MassTask.msgid.in_(msgids)))}


def results(work: Work, task_id: int, confirmed: bool, rows: Sequence[MassResult], again_at: datetime) -> None:
    """Write down how a task stands; it is over when the rep has confirmed and nobody waits any more.

    Of one that was taken back for a night, or for somebody who opted out, the rest is offered again at ``again_at``.
    """
    task = work.db.get(MassTask, task_id, with_for_update=True)
    if task is None or task.state not in ("made", "leaving"):
        return
    for status, state in WORDS.items():
        said = {one.external_userid: one.sent_at for one in rows if one.status == status and one.external_userid}
        for some in _portions(sorted(said)):
            _move(work, task, budget.ASKED, state, Touch.external_userid.in_(some))
        if state == budget.SENT:
            _note_when(work, task, said)
    task.reached = sorted({one.chat_id for one in rows if one.chat_id and one.status == SENT} | set(task.reached))
    if confirmed and task.confirmed_at is None:
        task.confirmed_at = min((one.sent_at for one in rows if one.sent_at), default=work.now)
    waiting = work.db.scalar(select(Touch.id).where(Touch.task_id == task.id, Touch.state == budget.ASKED).limit(1))
    if confirmed and waiting is None:
        task.state, task.ended_at, task.look_at = "done", work.now, None
    elif task.state == "leaving":
        if task.outcome in AGAIN and (task.confirm_by is None or again_at < task.confirm_by):
            _offer_again(work, task, again_at)
            _end(work, task, "cancelled", task.outcome)
        else:
            _end(work, task, "cancelled", LATE if task.outcome in AGAIN else task.outcome or "")
    else:
        task.look_at = work.now + _next_look(task, work.now)


def _offer_again(work: Work, task: MassTask, at: datetime) -> None:
    """The same task anew, for those who have not got it."""
    same = (MassTask.source == task.source, MassTask.userid == task.userid, MassTask.arm == task.arm)
    number = work.db.scalars(select(func.count()).where(*same)).one()
    again = MassTask(
        key=f"{task.source}:{task.userid}:{task.arm}:{number}",
        source=task.source,
        audience=task.audience,
        userid=task.userid,
        arm=task.arm,
        text=task.text,
        attachments=list(task.attachments),
        chat_ids=[one for one in task.chat_ids if one not in task.reached],
        due_at=at,
        confirm_by=task.confirm_by,
    )
    work.db.add(again)
    work.db.flush()
    left = update(Touch).where(Touch.task_id == task.id, Touch.state == budget.ASKED, Touch.reason != LEFT)
    count = changed_rows(work.db, left.values(task_id=again.id, state=budget.HELD, at=at, day=budget.day_of(at)))
    again.size = len(again.chat_ids) or count


def _note_when(work: Work, task: MassTask, said: Mapping[str, datetime | None]) -> None:
    """The moment and day on which it used up the budget: the rep may confirm days after we planned it."""
    moments: dict[datetime, list[str]] = {}
    for external, moment in said.items():
        moments.setdefault(moment or work.now, []).append(external)
    for moment, externals in moments.items():
        for some in _portions(externals):
            own = (Touch.task_id == task.id, Touch.state == budget.SENT, Touch.external_userid.in_(some))
            work.db.execute(update(Touch).where(*own).values(at=moment, day=budget.day_of(moment)))


def _portions(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[first : first + 500] for first in range(0, len(values), 500)]


def _next_look(task: MassTask, now: datetime) -> timedelta:
    """The older a task, the rarer it is asked about."""
    age = now - (task.made_at or now)
    return max(FIRST_LOOK, min(age / 4, LONGEST_LOOK))


# --- bringing to mind ------------------------------------------------------------------------------------------------


def reminders_left(task: MassTask, now: datetime) -> int:
    """How often WeCom would still bring this task to its rep's mind; 0 when there is nothing to remind of."""
    if task.state != "made" or task.confirmed_at is not None:
        return 0
    lately = task.reminded_at is not None and now - task.reminded_at < REMINDERS_WITHIN
    return REMINDERS - (task.reminded if lately else 0)


def remind(work: Work, task: MassTask) -> bool:
    """Have WeCom ask the rep again; False when she has confirmed, or was asked three times within 24 hours."""
    if reminders_left(task, work.now) <= 0 or task.msgid is None:
        return False
    lately = task.reminded_at is not None and work.now - task.reminded_at < REMINDERS_WITHIN
    task.reminded, task.reminded_at = (task.reminded if lately else 0) + 1, work.now
    once = f"mass-reminder:{task.msgid}:{int(work.now.timestamp())}"
    return work.ask(RemindMass(task.id, task.msgid), once=once, key=f"mass:{task.userid}")


def not_reminded(work: Work, task_id: int) -> None:
    """WeCom did not take it: that one does not count."""
    task = work.db.get(MassTask, task_id, with_for_update=True)
    if task is not None and task.reminded:
        task.reminded -= 1


# --- taking back -----------------------------------------------------------------------------------------------------


def take_back(work: Work, task: MassTask, why: str) -> bool:
    """Let nobody get a task who has not: at once while it is ours alone, by WeCom's leave afterwards.

    Who confirms in the same moment is quicker: what they sent is read afterwards. False when it is over already.
    """
    if task.state == "planned":
        _end(work, task, "cancelled", why)
        return True
    if task.state in ("asked", "unclear"):  # nobody knows yet what to cancel: ``made`` does it
        task.outcome = why
        return False
    if task.state != "made" or task.msgid is None:
        return False
    task.state, task.outcome, task.look_at = "leaving", why, None
    return work.ask(CancelMass(task.id, task.msgid), once=f"cancel:{task.msgid}", key=f"mass:{task.userid}")


def taken_back(work: Work, task_id: int) -> None:
    """WeCom has stopped it: read what was out before."""
    task = work.db.get(MassTask, task_id, with_for_update=True)
    if task is not None and task.state == "leaving":
        task.look_at = work.now


def overdue(db: Session, now: datetime) -> list[int]:
    """Tasks that no rep has confirmed in their time."""
    own = (MassTask.state == "made", MassTask.confirmed_at.is_(None), MassTask.confirm_by <= now)
    return list(db.scalars(select(MassTask.id).where(*own).order_by(MassTask.id)))


def to_look_at(db: Session, now: datetime) -> list[int]:
    """Tasks about which WeCom is to be asked now."""
    own = (MassTask.state.in_(("unclear", "made", "leaving")), MassTask.look_at <= now)
    return list(db.scalars(select(MassTask.id).where(*own).order_by(MassTask.look_at, MassTask.id).limit(200)))


def unconfirmed(db: Session) -> list[int]:
    """Tasks that reps may still confirm, and nobody has."""
    own = (MassTask.state == "made", MassTask.confirmed_at.is_(None))
    return list(db.scalars(select(MassTask.id).where(*own).order_by(MassTask.id)))


def with_leavers(db: Session) -> list[int]:
    """Tasks that reps may still confirm although somebody in them is not to get it any more, or opted out."""
    unwanted = or_(not_(consent.wanting()), Touch.reason == LEFT)
    inside = select(Touch.id).join(Person, Person.id == Touch.person_id)
    inside = inside.where(Touch.task_id == MassTask.id, Touch.state == budget.ASKED, unwanted)
    own = (MassTask.state == "made", MassTask.confirmed_at.is_(None), inside.exists())
    return list(db.scalars(select(MassTask.id).where(*own).order_by(MassTask.id)))

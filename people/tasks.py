"""What reps mean to do: made, listed, put off, done, and brought to mind at their time by one message of our app.

A task is the rep's who made it; somebody else's looks like none. About a customer it is also two lines of that
person's story: that it was made, and that it was done.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select, update
from sqlalchemy.orm import Session

from people import by_hand, persons, rep_rules, when
from people.rep_rules import RepRules
from storage.rows import insert_new
from storage.tables import Member, OutboxRow, Person, Relation, Task
from storage.work import Work
from wecom.commands import text_to

MADE, DONE = "task", "task_done"
LONGEST = 200
MANY = 200
"""So many open tasks one rep may have: a list that nobody can read brings nothing to mind."""
LATE = timedelta(minutes=5)
"""A reminder that leaves longer after its time (or after hours began since) says so."""
RECALLED = "taken back: outside hours, or its customer wants no contact or has gone"
"""What is said of a reminder in the outbox that did not leave."""
AT_ONCE = 500
JOINER = "\u200d"
"""Holds the parts of one emoji together."""
IN_A_MESSAGE = 12
"""Reminders of one moment that share a message: 2,048 bytes, at most 160 each."""


def rep_key(userid: str) -> str:
    """The outbox key of what is written to a rep: it leaves in the order in which it was asked for."""
    return f"rep:{userid}"


def make(
    work: Work, userid: str, text: str, due_at: datetime | None, *, person: Person | None = None, once: str
) -> Task:
    """Keep a task of this rep's; the same (``once``) again gives the one there is.

    Raises ``ValueError`` with words for the rep: no text, too long, too many open ones.
    """
    text = text.strip()
    if not 0 < len(text) <= LONGEST:
        raise ValueError(f"待办需 1–{LONGEST} 个字")
    if _open_count(work.db, userid) >= MANY:
        raise ValueError(f"未完成的待办已有 {MANY} 条，请先完成一些")
    row = {
        "person_id": person.id if person else None,
        "userid": userid,
        "text": text,
        "due_at": due_at,
        "state": "open",
        "once": once,
        "created_by": userid,
        "created_at": work.now,
    }
    made = insert_new(work.db, Task, [row], ["once"])
    task = work.db.scalars(select(Task).where(Task.once == once)).one()
    if made:
        _tell(work, task, MADE)
    return task


def _open_count(db: Session, userid: str) -> int:
    return db.scalars(select(func.count()).where(Task.userid == userid, Task.state == "open")).one()


def _tell(work: Work, task: Task, kind: str) -> None:
    person = work.db.get(Person, task.person_id) if task.person_id is not None else None
    if person is not None:
        due = task.due_at.isoformat() if task.due_at else None
        details = {"task": task.id, "text": task.text, "due_at": due}
        by_hand.tell(work, person, kind, by=task.userid, once=f"{kind}:{task.id}", details=details)


def own(db: Session, userid: str, task_id: int) -> Task | None:
    """The task of this number if it is this rep's; None otherwise."""
    return db.scalars(select(Task).where(Task.id == task_id, Task.userid == userid)).one_or_none()


def finish(work: Work, task: Task) -> bool:
    """The task is done; False when it was already."""
    if task.state != "open":
        return False
    task.state, task.ended_at = "done", work.now
    _tell(work, task, DONE)
    return True


def postpone(task: Task, due_at: datetime) -> None:
    """Bring it to mind at another time; a task that was done is open again."""
    task.due_at, task.reminded_at, task.state, task.ended_at = due_at, None, "open", None


def open_of(
    db: Session, userid: str, *, until: datetime | None = None, limit: int = 20, withheld: bool = True
) -> Sequence[Task]:
    """A rep's open tasks, the next one first and those without a time last.

    ``until``: only what is due by then; ``withheld``: also those nobody is reminded of (``is_withheld``).
    """
    mine = select(Task).where(Task.userid == userid, Task.state == "open")
    if not withheld:
        mine = mine.where(not_(is_withheld()))
    if until is not None:
        mine = mine.where(Task.due_at < until)
    return db.scalars(mine.order_by(Task.due_at.is_(None), Task.due_at, Task.id).limit(limit)).all()


def open_about(db: Session, person: Person, userids: Sequence[str] | None, limit: int = 5) -> Sequence[Task]:
    """Open tasks about a customer: those of these reps, or of everybody (None)."""
    about = select(Task).where(Task.person_id == person.id, Task.state == "open")
    if userids is not None:
        about = about.where(Task.userid.in_(userids))
    return db.scalars(about.order_by(Task.due_at.is_(None), Task.due_at, Task.id).limit(limit)).all()


# --- bringing to mind ------------------------------------------------------------------------------------------------


def is_withheld() -> ColumnElement[bool]:
    """The condition on ``Task`` that holds where nobody is reminded of it: its customer wants no contact, or has gone.

    Gone means that this rep had them and has not any more; a task about a colleague's customer is no such thing.
    """
    out = exists().where(Person.id == Task.person_id, Person.opted_out.is_(True))
    own = and_(Relation.person_id == Task.person_id, Relation.userid == Task.userid)
    return or_(out, and_(exists().where(own), ~exists().where(own, Relation.state.in_(persons.LIVING))))


def remind(work: Work) -> int:
    """Plan the reminders that are due, one message for each rep; how many tasks that were.

    Called every half minute by the timetable; outside the reps' hours nothing leaves. Each due time of a task is
    reminded of once; what fell due while we were away is sent late and says so. Whoever has left is not written to:
    their tasks wait for who takes over. Nobody is reminded of a customer who wants no contact or has gone, not even by
    what waits in the outbox already.
    """
    rules = rep_rules.rules(work.db)
    _recall(work, rules)
    if not rules.at_work(work.now, work.zone):
        return 0
    due = (
        select(Task)
        .join(Member, Member.userid == Task.userid)
        .where(Task.state == "open", Task.due_at <= work.now, Task.reminded_at.is_(None), Member.left_at.is_(None))
        .where(not_(is_withheld()))
        .order_by(Task.due_at, Task.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True, of=Task)
    )
    of_rep: defaultdict[str, list[Task]] = defaultdict(list)
    for task in work.db.scalars(due):
        of_rep[task.userid].append(task)
    for userid, some in of_rep.items():
        for first in range(0, len(some), IN_A_MESSAGE):
            _remind_of(work, userid, some[first : first + IN_A_MESSAGE], rules)
    return sum(map(len, of_rep.values()))


def _recall(work: Work, rules: RepRules) -> None:
    """Take back reminders that still wait and must not leave now; what may leave of them is planned anew.

    A message and the tasks in it were written at the same moment, which is how they are found again.
    """
    waiting = select(OutboxRow).where(OutboxRow.state == "waiting", OutboxRow.once.like("remind:%"))
    over = not rules.at_work(work.now, work.zone)
    for row in work.db.scalars(waiting.with_for_update(skip_locked=True)).all():
        told = (Task.reminded_at == row.asked_at, Task.userid == row.body["userid"])
        if over or work.db.scalar(select(Task.id).where(*told, is_withheld()).limit(1)) is not None:
            row.state, row.outcome, row.settled_at = "dropped", RECALLED, work.now
            work.db.execute(update(Task).where(*told).values(reminded_at=None))


def _remind_of(work: Work, userid: str, some: Sequence[Task], rules: RepRules) -> None:
    first = some[0]
    for task in some:
        task.reminded_at = work.now
    stem = f"remind:{first.id}:{first.due_at:%Y%m%d%H%M%S}"
    work.ask_again(text_to(userid, _reminder(work, some, rules)), stem=stem, key=rep_key(userid))


def _reminder(work: Work, some: Sequence[Task], rules: RepRules) -> str:
    lines = [f"【提醒】{len(some)} 件事到时间了：" if len(some) > 1 else "【提醒】到时间了："]
    lines += [line(task, work) for task in some]
    if late := [task for task in some if task.due_at is not None and _is_late(work, task.due_at, rules)]:
        lines.append("这条提醒发晚了，请见谅。" if len(some) == 1 else f"其中 {len(late)} 件发晚了，请见谅。")
    number = some[0].id
    return "\n".join([*lines, f"做完回复“完成 {number}”，改时间回复“推迟 {number} 到明天上午十点”"])


def _is_late(work: Work, due_at: datetime, rules: RepRules) -> bool:
    """Whether it leaves later than it could have: what is due outside hours leaves when they begin."""
    return work.now - rules.first_at_work(due_at, work.zone) > LATE


def line(task: Task, work: Work) -> str:
    """One task in one line: its number, its time, what it is; a customer's words can be no link in it."""
    at = f"{when.in_words(task.due_at, work.now, work.zone)} " if task.due_at else ""
    return f"#{task.id} {at}{plain(task.text, 40)}"


def plain(text: str, most: int) -> str:
    """Somebody's words as they may stand in a message of ours: one line, no link, at most so many characters."""
    harmless = text.replace("<", "＜").replace(">", "＞")
    shown = "".join(sign if sign.isprintable() or sign == JOINER else " " for sign in harmless)
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"

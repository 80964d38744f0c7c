"""Giving customers to another rep (继承), on the job or after one has left: a plan, and what became of each customer.

Before: the list of the unassigned, or a rep's customers. A plan asks WeCom through the outbox, 100 customers a call;
WeCom says yes or no to each, and some 24 hours later how it went (by events, and ``settle`` asks). With a customer who
has changed hands go their owner and their open tasks; tags and history hang on the person and stay. Nothing is asked
twice blindly: after a broken line WeCom is asked first whether it has heard of it. Rules: wecom.md §4.12, §9.3.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from people import persons, relations
from people.access import Sight
from people.members import QUIT
from people.relations import ASSIGNED_BY_ADMIN, Fact
from storage import outbox
from storage.database import changed_rows
from storage.rows import insert_new, upsert
from storage.tables import Handover, HandoverRow, Identity, Member, Person, Relation, Task, Unassigned
from storage.work import Work
from wecom import transfers
from wecom.commands import TransferCustomers, TransferCustomersOfLeaver
from wecom.errors import explain
from wecom.transfers import Result, Waiting

RUNNING, ENDED, CANCELLED = "running", "done", "cancelled"
WAITING, ASKED, UNCLEAR, DONE, REFUSED = "waiting", "asked", "unclear", "done", "refused"
OPEN = (WAITING, ASKED, UNCLEAR)
A_CALL = 100
"""So many customers WeCom takes in one call."""
MOST = 5000
"""So many customers in one plan, which is kept in one transaction."""
MAX_WORDS = 200
UNDER_WAY = frozenset({40100, 40129})
"""WeCom is moving this customer already."""
DECLINED, FULL, CALLED_OFF = "客户拒绝了接替", explain(40099), "移交已取消，没有发出"
NO_RECORD = "企业微信没有这次接替的记录"
CHECKING = "请求发出后断线，正在向企业微信核对"
LEFT_OUT = "企业微信的回答里没有这位客户，正在核对"
FAILED: Mapping[str, str] = {"customer_refused": DECLINED, "customer_limit_exceed": FULL}
"""Why a transfer failed, as WeCom's event says it."""
AGAIN_AFTER = timedelta(minutes=5)
"""So long after a broken line WeCom knows whether it has heard us."""
NO_RECORD_AFTER = timedelta(days=3)
EARLIER = timedelta(minutes=5)
"""A transfer that took effect so long before we asked is an older one."""


class CannotHandOver(ValueError):
    """Why a plan cannot be made, in words for whoever makes it."""


@dataclass(frozen=True)
class Candidate:
    """A customer who can be handed over."""

    external_userid: str
    person_id: int | None
    name: str


@dataclass(frozen=True)
class Leaver:
    """Somebody who left, and how many customers of theirs nobody has inherited."""

    userid: str
    name: str
    left_at: datetime | None
    customers: int


# --- whose customers wait --------------------------------------------------------------------------------------------


def keep_unassigned(work: Work, page: Sequence[Waiting], read_at: datetime) -> None:
    """Keep one page of WeCom's list; ``read_at`` is when the reading of the whole list began."""
    rows = [
        {
            "giver": persons.own_spelling(work, one.giver),
            "external_userid": one.external_userid,
            "left_at": one.left_at,
            "read_at": read_at,
        }
        for one in page
    ]
    upsert(work.db, Unassigned, rows, ["giver", "external_userid"], ["left_at", "read_at"])


def forget_assigned(work: Work, read_at: datetime) -> int:
    """The whole list was read: who was not in it waits no more. How many."""
    return changed_rows(work.db, delete(Unassigned).where(Unassigned.read_at < read_at))


def leavers(db: Session, sight: Sight) -> list[Leaver]:
    """Everybody in sight who left customers behind, the latest first."""
    counted = select(Unassigned.giver, func.max(Unassigned.left_at), func.count()).group_by(Unassigned.giver)
    rows = db.execute(counted.where(sight.reps(Unassigned.giver.expression))).all()
    names = dict(
        db.execute(select(Member.userid, Member.name).where(Member.userid.in_([row[0] for row in rows]))).all()
    )
    found = [Leaver(userid, names.get(userid) or userid, left_at, count) for userid, left_at, count in rows]
    return sorted(found, key=lambda one: (str(one.left_at), one.userid), reverse=True)


def candidates(db: Session, giver: str) -> list[Candidate]:
    """Every customer of this rep who can be handed over: who is with them, and whom WeCom lists as unassigned."""
    active = select(Relation.external_userid).where(Relation.userid == giver, Relation.state == "active")
    left = select(Unassigned.external_userid).where(Unassigned.giver == giver)
    externals = sorted({*db.scalars(active), *db.scalars(left)})
    known: dict[str, tuple[int | None, str]] = {}
    for first in range(0, len(externals), A_CALL * 5):
        some = externals[first : first + A_CALL * 5]
        named = select(Identity.value, Person.id, Person.name).join(Person, Person.id == Identity.person_id)
        own = named.where(Identity.type == persons.EXTERNAL, Identity.value.in_(some))
        known |= {value: (person_id, name) for value, person_id, name in db.execute(own)}
    return [Candidate(one, *known.get(one, (None, ""))) for one in externals]


# --- the plan --------------------------------------------------------------------------------------------------------


def plan(
    work: Work,
    sight: Sight,
    giver: str,
    taker: str,
    *,
    chosen: Collection[str] | None = None,
    words: str = "",
    by: str,
) -> Handover:
    """Give these customers (external_userids; None: all) of the giver to the taker. Raises ``CannotHandOver``."""
    resigned = _check(work, sight, giver, taker, words)
    able = {one.external_userid: one for one in candidates(work.db, giver)}
    asked = set(able if chosen is None else chosen)
    wanted = _not_under_way(work.db, giver, [one for one in able if one in asked])
    if not asked <= set(able):
        raise CannotHandOver("所选客户里有人不是这位成员的客户，请刷新后重选")
    if not wanted:
        raise CannotHandOver("没有可以移交的客户，或都已在移交中")
    if len(wanted) > MOST:
        raise CannotHandOver(f"一次最多移交 {MOST} 位客户，请分批")
    kept = Handover(
        giver=giver, taker=taker, resigned=resigned, words=words.strip(), by=by, created_at=work.now, moved={}
    )
    work.db.add(kept)
    work.db.flush()
    rows = [
        {
            "handover_id": kept.id,
            "person_id": able[one].person_id or persons.person_of(work, one).id,
            "external_userid": one,
            "state": WAITING,
            "changed_at": work.now,
        }
        for one in wanted
    ]
    insert_new(work.db, HandoverRow, rows, ["handover_id", "external_userid"])
    for number, first in enumerate(range(0, len(wanted), A_CALL), start=1):
        _ask(work, kept, wanted[first : first + A_CALL], f"handover:{kept.id}:{number}")
    return kept


def _check(work: Work, sight: Sight, giver: str, taker: str, words: str) -> bool:
    """Whether the giver has left."""
    old, new = work.db.get(Member, giver), work.db.get(Member, taker)
    known = old is not None or work.db.scalar(select(Unassigned.id).where(Unassigned.giver == giver).limit(1))
    if not known or new is None or not (sight.rep(giver) and sight.rep(taker)):
        raise CannotHandOver("没有这位成员")
    if giver == taker:
        raise CannotHandOver(explain(40130))
    if new.left_at is not None or new.status != 1 or not new.serves:
        raise CannotHandOver(f"{new.name or taker}现在不能接客户：未激活、已离职或没有客户联系功能")
    resigned = old is None or old.left_at is not None or old.status == QUIT
    if len(words.strip()) > MAX_WORDS:
        raise CannotHandOver(f"给客户的话最多 {MAX_WORDS} 个字")
    if resigned and words.strip():
        raise CannotHandOver("离职继承时企业微信不会给客户发话，请把这一栏留空")
    if work.watches(TransferCustomers.sender):
        raise CannotHandOver("观察模式下不能移交客户")
    return resigned


def _not_under_way(db: Session, giver: str, externals: Sequence[str]) -> list[str]:
    """Without those whom another plan of this giver is moving."""
    moving = select(HandoverRow.external_userid).join(Handover).where(Handover.giver == giver)
    busy = set(db.scalars(moving.where(HandoverRow.state.in_(OPEN))))
    return [one for one in externals if one not in busy]


def _ask(work: Work, plan: Handover, externals: Sequence[str], once: str) -> None:
    kind = TransferCustomersOfLeaver if plan.resigned else TransferCustomers
    command = kind(plan.id, plan.giver, plan.taker, list(externals), plan.words)
    work.ask(command, once=once, key=_key(plan))


def _key(plan: Handover) -> str:
    return f"handover:{plan.id}"


def cancel(work: Work, handover_id: int) -> int:
    """Ask WeCom for no more of this plan; how many customers stay. What it was asked for cannot be taken back."""
    plan = work.db.get_one(Handover, handover_id)
    if plan.state != RUNNING:
        return 0
    outbox.drop_rest(work.db, [_key(plan)], "given up by hand", work.now)
    sending = select(outbox.outbox.c.body).where(outbox.outbox.c.key == _key(plan), outbox.outbox.c.state == "sending")
    under_way = {one for body in work.db.scalars(sending) for one in body["external_userids"]}
    waiting = (HandoverRow.handover_id == plan.id, HandoverRow.state == WAITING)
    rest = HandoverRow.external_userid.not_in(under_way)
    called_off = {"state": REFUSED, "detail": CALLED_OFF, "changed_at": work.now}
    count = changed_rows(work.db, update(HandoverRow).where(*waiting, rest).values(**called_off))
    plan.state, plan.ended_at = CANCELLED, work.now
    return count


def rows(
    db: Session, handover_id: int, *, state: str | None = None, after: int = 0, limit: int = 100
) -> list[tuple[HandoverRow, Person]]:
    """Some customers of a plan with their results, oldest first; the next page begins after an id."""
    own = select(HandoverRow, Person).join(Person, Person.id == HandoverRow.person_id)
    own = own.where(HandoverRow.handover_id == handover_id, HandoverRow.id > after)
    if state is not None:
        own = own.where(HandoverRow.state == state)
    return [(row, person) for row, person in db.execute(own.order_by(HandoverRow.id).limit(limit))]


def counts(db: Session, handover_id: int) -> dict[str, int]:
    """How many customers of a plan stand how."""
    own = select(HandoverRow.state, func.count()).where(HandoverRow.handover_id == handover_id)
    return dict(db.execute(own.group_by(HandoverRow.state)).all())


# --- what WeCom answers ----------------------------------------------------------------------------------------------


def answered(work: Work, handover_id: int, asked: Collection[str], errcodes: Mapping[str, int]) -> None:
    """WeCom took the call, and said yes or no to each of these customers."""
    for row in _open_rows(work.db, handover_id, asked):
        code = errcodes.get(row.external_userid)
        if code is None:
            _set(work, row, UNCLEAR, LEFT_OUT)
        elif code == 0 or code in UNDER_WAY:
            _set(work, row, ASKED, explain(code) if code else None, code or None)
        else:
            _set(work, row, REFUSED, explain(code), code)
    _end_if_settled(work, handover_id)


def call_refused(work: Work, handover_id: int, asked: Collection[str], words: str, errcode: int | None) -> None:
    """WeCom took nothing of the call."""
    for row in _open_rows(work.db, handover_id, asked):
        _set(work, row, REFUSED, explain(errcode) if errcode else words, errcode)
    _end_if_settled(work, handover_id)


def call_unclear(work: Work, handover_id: int, asked: Collection[str]) -> None:
    """Nobody knows whether WeCom took the call: ``settle`` finds out."""
    for row in _open_rows(work.db, handover_id, asked):
        _set(work, row, UNCLEAR, CHECKING)


def _open_rows(db: Session, handover_id: int, externals: Collection[str]) -> Sequence[HandoverRow]:
    own = (HandoverRow.handover_id == handover_id, HandoverRow.external_userid.in_(externals))
    found = select(HandoverRow).where(*own, HandoverRow.state.in_((WAITING, UNCLEAR))).order_by(HandoverRow.id)
    return db.scalars(found.with_for_update()).all()


def _set(work: Work, row: HandoverRow, state: str, detail: str | None = None, errcode: int | None = None) -> None:
    row.state, row.detail, row.errcode, row.changed_at = state, detail, errcode, work.now


def _end_if_settled(work: Work, handover_id: int) -> None:
    work.db.flush()
    more = select(HandoverRow.id).where(HandoverRow.handover_id == handover_id, HandoverRow.state.in_(OPEN))
    if work.db.scalar(more.limit(1)) is None:
        ended = (Handover.id == handover_id, Handover.state == RUNNING)
        work.db.execute(update(Handover).where(*ended).values(state=ENDED, ended_at=work.now))


# --- how it went -----------------------------------------------------------------------------------------------------


def unsettled(db: Session) -> list[Handover]:
    """The plans of which WeCom has still to say how it went."""
    open_ids = select(HandoverRow.handover_id).where(HandoverRow.state.in_((ASKED, UNCLEAR))).distinct()
    return list(db.scalars(select(Handover).where(Handover.id.in_(open_ids)).order_by(Handover.id)))


def done_at(db: Session, plan: Handover, results: Mapping[str, Result]) -> list[tuple[int, datetime | None]]:
    """The rows of this plan of which WeCom says that the customer has changed hands, and when."""
    own = (HandoverRow.handover_id == plan.id, HandoverRow.state.in_((ASKED, UNCLEAR)))
    found = db.scalars(select(HandoverRow).where(*own).order_by(HandoverRow.id)).all()
    told = [(row.id, _result(row, results)) for row in found]
    return [(row_id, one.at) for row_id, one in told if one is not None and one.status == transfers.DONE]


def _result(row: HandoverRow, results: Mapping[str, Result]) -> Result | None:
    """What WeCom says of a customer; an older transfer between the same two is none of ours."""
    one = results.get(row.external_userid)
    if one is None or one.status == transfers.NO_RECORD or (one.at and one.at < row.changed_at - EARLIER):
        return None
    return one


def settle(work: Work, handover_id: int, results: Mapping[str, Result]) -> int:
    """Write down how the others of a plan stand (who changed hands: ``done``); how many were settled or asked again.

    Who was asked for over a line that broke, and of whom WeCom has not heard, is asked for once more.
    """
    plan = work.db.get_one(Handover, handover_id)
    own = (HandoverRow.handover_id == plan.id, HandoverRow.state.in_((ASKED, UNCLEAR)))
    again, count = [], 0
    for row in work.db.scalars(select(HandoverRow).where(*own).order_by(HandoverRow.id).with_for_update()).all():
        one, age = _result(row, results), work.now - row.changed_at
        if one is not None and one.status in (transfers.DECLINED, transfers.FULL):
            _set(work, row, REFUSED, DECLINED if one.status == transfers.DECLINED else FULL)
        elif one is not None and one.status == transfers.WAITING and row.state == UNCLEAR:
            _set(work, row, ASKED)
        elif one is None and row.state == UNCLEAR and age >= AGAIN_AFTER and plan.state == RUNNING:
            _set(work, row, WAITING)
            again.append(row.external_userid)
        elif one is None and (age >= NO_RECORD_AFTER or (row.state == UNCLEAR and plan.state != RUNNING)):
            _set(work, row, REFUSED, NO_RECORD)
        else:
            continue
        count += 1
    for first in range(0, len(again), A_CALL):
        some = again[first : first + A_CALL]
        _ask(work, plan, some, f"handover:{plan.id}:again:{some[0]}:{int(work.now.timestamp())}")
    _end_if_settled(work, plan.id)
    return count


def done(work: Work, row_id: int, at: datetime | None) -> Relation | None:
    """A customer has changed hands, at WeCom's time ``at`` (None: unknown); the taker's relation if that is news."""
    row = work.db.get_one(HandoverRow, row_id)
    person = work.db.get_one(Person, row.person_id)
    persons.hold(work, person)
    work.db.refresh(row, with_for_update=True)
    plan = work.db.get_one(Handover, row.handover_id)
    if row.state not in OPEN:
        return None
    _set(work, row, DONE)
    new = _change_hands(work, person, plan, row.external_userid, at or work.now)
    moved = follow(work, person, plan.taker)
    told = {"from": plan.giver, "to": plan.taker, "by": plan.by, "resigned": plan.resigned}
    persons.tell(work, person.id, "handed_over", at or work.now, once=f"handover:{row.id}", details=told)
    own = (Unassigned.giver == plan.giver, Unassigned.external_userid == row.external_userid)
    work.db.execute(delete(Unassigned).where(*own))
    if moved:
        count_moved(work, plan.id, tasks=moved)
    _end_if_settled(work, plan.id)
    return new


def count_moved(work: Work, handover_id: int, **more: int) -> None:
    """Add to what has gone along with a plan: tasks, codes."""
    plan = work.db.get_one(Handover, handover_id, with_for_update=True, populate_existing=True)
    plan.moved = {**plan.moved, **{name: plan.moved.get(name, 0) + number for name, number in more.items()}}
    work.db.flush()


def _change_hands(work: Work, person: Person, plan: Handover, external: str, at: datetime) -> Relation | None:
    """What WeCom's events tell, where they did not reach us or (after somebody left) do not come."""
    old = persons.relation_of(work.db, person, plan.giver, external)
    if old.state != "transferred":
        persons.record(work, person, old, Fact(relations.TRANSFERRED, at))
    new = persons.relation_of(work.db, person, plan.taker, external)
    if new.state in persons.LIVING:
        return None
    persons.record(work, person, new, Fact(relations.FULL, at, add_way=ASSIGNED_BY_ADMIN))
    return new


# --- what follows a customer -----------------------------------------------------------------------------------------


def arrived(work: Work, person: Person, relation: Relation, at: datetime) -> None:
    """An event: this rep has got the customer, by a transfer or otherwise."""
    last = persons.last_interval(work.db, relation)
    if last is None or last.origin != "transfer":
        return
    row = _moving(work.db, relation.external_userid, Handover.taker == relation.userid)
    if row is not None:
        done(work, row.id, at)
    else:
        follow(work, person, relation.userid)


def failed(work: Work, relation: Relation, reason: str | None) -> None:
    """An event: the customer did not go over to this rep."""
    row = _moving(work.db, relation.external_userid, Handover.taker == relation.userid)
    if row is not None:
        _set(work, row, REFUSED, FAILED.get(reason or "", f"接替没有成功（{reason}）"))
        _end_if_settled(work, row.handover_id)


def _moving(db: Session, external_userid: str, whose: ColumnElement[bool]) -> HandoverRow | None:
    own = select(HandoverRow).join(Handover).where(HandoverRow.external_userid == external_userid, whose)
    return db.scalars(own.where(HandoverRow.state.in_(OPEN)).order_by(HandoverRow.id.desc()).limit(1)).first()


def follow(work: Work, person: Person, taker: str | None = None) -> int:
    """What hung on a rep who handed this person over goes to the one who has them now; how many open tasks.

    While nobody has them yet, the old rep answers for them no more all the same.
    """
    work.db.flush()
    own = list(work.db.scalars(select(Relation).where(Relation.person_id == person.id).order_by(Relation.id)))
    givers = {one.userid for one in own if one.state == "transferred"}
    taker = taker or _taker_among(work.db, own)
    if taker is None:
        if person.owner in givers and person.owner_by_hand:
            persons.give_owner(work, person, None)
        return 0
    givers -= {taker}
    if person.owner in givers:
        person.owner = taker
    open_tasks = (Task.person_id == person.id, Task.userid.in_(givers), Task.state == "open")
    return changed_rows(work.db, update(Task).where(*open_tasks).values(userid=taker))


def _taker_among(db: Session, own: Iterable[Relation]) -> str | None:
    """Who got the person by the latest transfer, of those who have them."""
    living = [one for one in own if one.state in persons.LIVING]
    last = [(persons.last_interval(db, one), one.userid) for one in living]
    got = [(str(interval.began_at), userid) for interval, userid in last if interval and interval.origin == "transfer"]
    return max(got)[1] if got else None


def give_open_tasks(work: Work, giver: str, taker: str) -> int:
    """The open tasks of somebody who left that are about nobody in particular; how many."""
    own = (Task.userid == giver, Task.person_id.is_(None), Task.state == "open")
    return changed_rows(work.db, update(Task).where(*own).values(userid=taker))

"""Our own members and departments, as WeCom tells them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, aliased

from people import alarms, persons
from storage import outbox
from storage.database import insert_new, upsert
from storage.tables import (
    Channel,
    ChannelSeat,
    Department,
    Interaction,
    Interval,
    Member,
    Person,
    Relation,
    RelationFact,
    RelationTag,
    Task,
    User,
    Welcome,
)
from storage.work import Work
from wecom.gateway import DepartmentFacts, MemberFacts

QUIT = 5
MANY = 10
"""More leavers than this (and a fifth of all) at one reading are rather a narrowed visible range."""


def keep(work: Work, facts: Iterable[MemberFacts]) -> int:
    """Keep these members; one who had left and is back has not left any more. How many there were.

    Their console user stays as it is: a boss lets them in again.
    """
    rows = [
        {
            "userid": one.userid,
            "name": one.name,
            "departments": list(one.departments),
            "leads": list(one.leads),
            "superiors": list(one.superiors),
            "position": one.position,
            "status": one.status,
            "left_at": work.now if one.status == QUIT else None,
            "read_at": work.now,
        }
        for one in facts
    ]
    for row in rows:
        told = [name for name in row if name != "userid" and not (name == "name" and not row["name"])]
        upsert(work.db, Member, [row], ["userid"], told)
    return len(rows)


def keep_all(work: Work, facts: Sequence[MemberFacts], serving: Sequence[str]) -> list[str]:
    """Keep the whole organisation: who is not in it any more has left. The userids of those who left just now."""
    keep(work, facts)
    told = {one.userid.lower() for one in facts}
    unseen = [userid for userid in serving if userid.lower() not in told]
    insert_new(work.db, Member, [{"userid": userid} for userid in unseen], ["userid"], returning="userid")
    set_serving(work, serving)
    here = told | {userid.lower() for userid in serving}
    known = work.db.scalars(select(Member.userid).where(Member.left_at.is_(None))).all()
    gone = [userid for userid in known if userid.lower() not in here]
    if len(gone) > max(MANY, len(known) // 5) or (gone and len(gone) == len(known)):
        text = f"通讯录里一下少了 {len(gone)} 人，先不当作离职处理：请检查应用的可见范围"
        alarms.raise_alarm(work, "many_left", text)
        return []
    alarms.clear(work, "many_left")
    for userid in gone:
        leave(work, userid)
    return gone


def set_serving(work: Work, serving: Sequence[str]) -> None:
    """Remember who has the customer-contact feature."""
    work.db.execute(update(Member).values(serves=func.lower(Member.userid).in_([userid.lower() for userid in serving])))


def set_status(work: Work, userid: str, status: int) -> None:
    """Keep a status that only an event told us."""
    left = {"left_at": work.now} if status == QUIT else {}
    work.db.execute(update(Member).where(Member.userid == userid).values(status=status, **left))


def leave(work: Work, userid: str) -> None:
    """The member is gone; their customers and history stay."""
    insert_new(work.db, Member, [{"userid": userid}], ["userid"], returning="userid")
    own = func.lower(Member.userid) == userid.lower()
    work.db.execute(update(Member).where(own).values(left_at=work.now, status=QUIT, serves=False))
    work.db.execute(update(User).where(func.lower(User.userid) == userid.lower()).values(disabled_at=work.now))


def rename(work: Work, old: str, new: str) -> None:
    """WeCom lets a userid be changed once: everything that names it follows.

    Events may have come under the new name already; then two relations of one customer are one from now on.
    """
    db = work.db
    if old == new:
        return
    own = select(Relation.person_id).where(Relation.userid == old)
    db.execute(select(Person.id).where(Person.id.in_(own)).order_by(Person.id).with_for_update(key_share=True))
    _rename_member(db, old, new)
    merged = _merge_relations(db, old, new)
    taken = select(ChannelSeat.channel_id).where(ChannelSeat.userid == new)
    db.execute(delete(ChannelSeat).where(ChannelSeat.userid == old, ChannelSeat.channel_id.in_(taken)))
    for table in (Relation, Interval, Interaction, ChannelSeat, Task):
        db.execute(update(table).where(table.userid == old).values(userid=new))
    if db.scalar(select(User.id).where(User.userid == new)) is None:
        db.execute(update(User).where(User.userid == old).values(userid=new))
    db.execute(update(Person).where(Person.owner == old).values(owner=new))
    _rename_in_channels(db, old, new)
    _rename_as_superior(db, old, new)
    outbox.rename_rep(db, old, new)
    for person in db.scalars(select(Person).where(Person.id.in_(merged))).all():
        persons.refold(work, person)
    db.flush()
    greeted = select(Welcome.id).where(Welcome.userid == old).order_by(Welcome.id).with_for_update()
    db.scalars(greeted).all()  # last, and in order: whoever settles a welcome locks it too
    db.execute(update(Welcome).where(Welcome.userid == old).values(userid=new))


def _rename_member(db: Session, old: str, new: str) -> None:
    known, already = db.get(Member, old), db.get(Member, new)
    if known is not None and already is not None:
        already.serves = already.serves or known.serves
        db.delete(known)
    elif known is not None:
        known.userid = new
    db.flush()


def _merge_relations(db: Session, old: str, new: str) -> set[int]:
    """Where a customer has relations under both names, the older one takes in the facts of the younger; the people."""
    young = aliased(Relation)
    both = select(Relation, young).join(young, young.external_userid == Relation.external_userid)
    merged = set()
    for kept, gone in db.execute(both.where(Relation.userid == old, young.userid == new)).all():
        for table, same in ((RelationFact, ("kind", "at")), (RelationTag, ("tag_id",))):
            _move(db, table, same, gone.id, kept.id)
        db.execute(delete(Interval).where(Interval.relation_id == gone.id))
        db.execute(delete(Relation).where(Relation.id == gone.id))
        merged.add(kept.person_id)
    return merged


def _move(
    db: Session, table: type[RelationFact] | type[RelationTag], same: Sequence[str], gone: int, kept: int
) -> None:
    """Move the rows of one relation to another that it does not have yet; the rest goes."""
    twin = aliased(table)
    alike = [getattr(twin, name) == getattr(table, name) for name in same]
    known = select(twin.id).where(twin.relation_id == kept, *alike).exists()
    db.execute(delete(table).where(table.relation_id == gone, known))
    db.execute(update(table).where(table.relation_id == gone).values(relation_id=kept))


def _rename_in_channels(db: Session, old: str, new: str) -> None:
    for channel in db.scalars(select(Channel).where(Channel.state != "deleted")):
        channel.at_wecom = _renamed(channel.at_wecom, old, new)
        channel.timetable = [{**row, "members": _renamed(row["members"], old, new)} for row in channel.timetable]


def _rename_as_superior(db: Session, old: str, new: str) -> None:
    for member in db.scalars(select(Member)):
        if old in member.superiors:
            member.superiors = _renamed(member.superiors, old, new)
    for department in db.scalars(select(Department)):
        if old in department.leaders:
            department.leaders = _renamed(department.leaders, old, new)


def _renamed(userids: Sequence[str], old: str, new: str) -> list[str]:
    return list(dict.fromkeys(new if one == old else one for one in userids))


def keep_departments(work: Work, facts: Sequence[DepartmentFacts]) -> None:
    """Keep all departments; one that WeCom no longer names is gone."""
    rows = [
        {"id": one.id, "name": one.name, "parent_id": one.parent_id, "order": one.order, "leaders": list(one.leaders)}
        for one in facts
    ]
    upsert(work.db, Department, rows, ["id"], ["name", "parent_id", "order", "leaders"])
    if rows:
        work.db.execute(delete(Department).where(Department.id.not_in([row["id"] for row in rows])))


def subordinates(db: Session, userid: str) -> set[str]:
    """Everybody below this member: in the departments they lead (and below), and who names them as superior.

    The member is part of the answer. Peers in a led department are subordinates, other leaders' departments are not.
    """
    everybody = list(db.scalars(select(Member)))
    children: dict[int, list[int]] = {}
    leading: dict[str, set[int]] = {}
    for department in db.scalars(select(Department)):
        children.setdefault(department.parent_id or 0, []).append(department.id)
        for leader in department.leaders:
            leading.setdefault(leader, set()).add(department.id)
    for member in everybody:
        leading.setdefault(member.userid, set()).update(member.leads)
    below, ahead = {userid}, [userid]
    while ahead:
        boss = ahead.pop()
        led = _with_children(leading.get(boss, set()), children)
        for member in everybody:
            under = boss in member.superiors or bool(led.intersection(member.departments))
            if under and member.userid not in below:
                below.add(member.userid)
                ahead.append(member.userid)
    return below


def _with_children(departments: Iterable[int], children: dict[int, list[int]]) -> set[int]:
    found, ahead = set(departments), list(departments)
    while ahead:
        for child in children.get(ahead.pop(), []):
            if child not in found:
                found.add(child)
                ahead.append(child)
    return found

"""Our own members and departments, as WeCom tells them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from people import alarms
from storage.rows import insert_new, upsert
from storage.tables import Department, Member, User
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

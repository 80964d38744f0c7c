"""Console users as the house manages them: listed with their member, given a role, shut out; never without a boss."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from people import sign_in
from people.access import BOSS
from people.sign_in import Refused
from storage.tables import Member, SignIn, User
from storage.work import Work


@dataclass(frozen=True)
class Listed:
    """One user: the member's name where there is one, and when they were last signed in."""

    user: User
    name: str
    left: bool
    last_sign_in: datetime | None


def listed(db: Session) -> Sequence[Listed]:
    """Every user, those who may come in first."""
    last = select(SignIn.user_id, func.max(SignIn.created_at).label("at")).group_by(SignIn.user_id).subquery()
    rows = db.execute(
        select(User, Member.name, Member.left_at, last.c.at)
        .outerjoin(Member, func.lower(Member.userid) == func.lower(User.userid))
        .outerjoin(last, last.c.user_id == User.id)
        .order_by(User.disabled_at.is_not(None), User.id)
    )
    return [Listed(user, name or user.userid, left is not None, at) for user, name, left, at in rows]


def change_role(work: Work, user_id: int, role: str) -> User:
    """Give a user another role. Raises ``Refused`` for an unknown role, and for the last boss."""
    user = _locked(work, user_id)
    if user.role == BOSS and role != BOSS:
        _keep_a_boss(work, user)
    sign_in.change_role(work.db, user_id, role, work.now)
    return user


def disable(work: Work, user_id: int) -> User:
    """Shut a user out. Raises ``Refused`` for the last boss."""
    user = _locked(work, user_id)
    if user.role == BOSS:
        _keep_a_boss(work, user)
    sign_in.disable(work.db, user_id, work.now)
    return user


def _locked(work: Work, user_id: int) -> User:
    """The user; every boss is locked along, so that two bosses cannot demote each other at the same moment."""
    work.db.execute(select(User.id).where(User.role == BOSS).order_by(User.id).with_for_update())
    user = work.db.get(User, user_id, populate_existing=True)
    if user is None:
        raise Refused("没有这个用户")
    return user


def _keep_a_boss(work: Work, user: User) -> None:
    """Raise ``Refused`` unless another boss can still come in."""
    if not any(one.id != user.id for one in _bosses(work.db)):
        raise Refused("这是最后一位老板，不能降级或停用；请先让另一个人成为老板")


def _bosses(db: Session) -> Sequence[User]:
    left = select(func.lower(Member.userid)).where(Member.left_at.is_not(None))
    living = select(User).where(User.role == BOSS, User.disabled_at.is_(None), func.lower(User.userid).not_in(left))
    return db.scalars(living).all()

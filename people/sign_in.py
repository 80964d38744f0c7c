"""Who signs in to the console, and how: sessions, passwords, one-time links, and patience with who guesses.

Nothing here knows the web. Tokens have 256 bits from ``secrets`` and only their digests are kept, so a copy of the
database opens no door. Ending a session is a fact in its row: whoever asks next is out, on every machine.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from people.access import ROLES
from people.common_passwords import too_common
from storage.database import changed_rows
from storage.tables import Attempt, Member, SignIn, SignInLink, User

SESSION_LIVES = timedelta(hours=12)
"""A working day; in WeCom signing in again takes no typing."""
LINK_LIVES = timedelta(hours=24)
GUESSES, GUESS_WINDOW = 10, timedelta(minutes=10)
"""So many wrong passwords for one user, or from one address, in so much time; then the next is not even looked at."""
SHORTEST, LONGEST = 8, 128

_hasher = PasswordHasher()


class Refused(ValueError):
    """What was asked for cannot be; the text says why, for the person who asked."""


# --- users -----------------------------------------------------------------------------------------------------------


def add_user(db: Session, userid: str, role: str, now: datetime) -> User:
    """Let somebody use the console. Raises ``Refused`` for an unknown role or a userid that is there already."""
    if role not in ROLES:
        raise Refused(f"没有这个角色：{role}")
    if not 0 < len(userid) <= 64 or find_user(db, userid, even_disabled=True) is not None:
        raise Refused(f"{userid} 已经是用户，或不是有效的 userid")
    user = User(userid=userid, role=role, created_at=now)
    db.add(user)
    db.flush()
    return user


def find_user(db: Session, userid: str, *, even_disabled: bool = False) -> User | None:
    """The user of this userid (WeCom compares them without regard to case); None also when disabled."""
    own = select(User).where(func.lower(User.userid) == userid.lower())
    return db.scalars(own if even_disabled else own.where(*_welcome_here())).first()


def _welcome_here() -> tuple[ColumnElement[bool], ...]:
    """Not disabled, and not a member who has left."""
    left = select(Member.userid).where(
        func.lower(Member.userid) == func.lower(User.userid), Member.left_at.is_not(None)
    )
    return (User.disabled_at.is_(None), ~left.exists())


def disable(db: Session, user_id: int, now: datetime) -> None:
    """Shut a user out: every session and link of theirs is dead from now on."""
    db.execute(update(User).where(User.id == user_id).values(disabled_at=now))
    end_sessions(db, user_id, now)


def enable(db: Session, user_id: int) -> None:
    """Let a disabled user in again; they sign in anew."""
    db.execute(update(User).where(User.id == user_id).values(disabled_at=None))


def change_role(db: Session, user_id: int, role: str, now: datetime) -> None:
    """Give another role; they sign in anew. Raises ``Refused`` for an unknown role."""
    if role not in ROLES:
        raise Refused(f"没有这个角色：{role}")
    db.execute(update(User).where(User.id == user_id).values(role=role))
    end_sessions(db, user_id, now)


# --- sessions --------------------------------------------------------------------------------------------------------


def open_session(db: Session, user: User, now: datetime, address: str = "") -> str:
    """Begin a session; its token, which is nowhere else."""
    token = secrets.token_urlsafe(32)
    db.add(
        SignIn(
            digest=digest(token), user_id=user.id, created_at=now, expires_at=now + SESSION_LIVES, address=address[:64]
        )
    )
    return token


def user_of_session(db: Session, token: str, now: datetime) -> User | None:
    """Whose living session this is; None when it has ended, expired, or its user may not be here any more."""
    living = (
        select(User)
        .join(SignIn, SignIn.user_id == User.id)
        .where(SignIn.digest == digest(token), SignIn.ended_at.is_(None), SignIn.expires_at > now, *_welcome_here())
    )
    return db.scalars(living).one_or_none()


def end_session(db: Session, token: str, now: datetime) -> None:
    """End this one session."""
    db.execute(update(SignIn).where(SignIn.digest == digest(token), SignIn.ended_at.is_(None)).values(ended_at=now))


def end_sessions(db: Session, user_id: int, now: datetime) -> int:
    """End every session and every unused link of a user; how many sessions there were."""
    links = update(SignInLink).where(SignInLink.user_id == user_id, SignInLink.used_at.is_(None))
    db.execute(links.values(used_at=now))
    open_ones = update(SignIn).where(SignIn.user_id == user_id, SignIn.ended_at.is_(None))
    return changed_rows(db, open_ones.values(ended_at=now))


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


# --- passwords -------------------------------------------------------------------------------------------------------


def password_trouble(password: str, userid: str = "") -> str | None:
    """Why this password will not do, in words; None when it will."""
    if len(password) < SHORTEST:
        return f"密码至少 {SHORTEST} 个字符"
    if len(password) > LONGEST:
        return f"密码最多 {LONGEST} 个字符"
    if too_common(password, userid):
        return "这个密码太常见，容易被猜到；换一句只有你知道的话"
    return None


def set_password(db: Session, user: User, password: str, now: datetime) -> None:
    """Give the user a password and end every session. Raises ``Refused`` with the reason."""
    if trouble := password_trouble(password, user.userid):
        raise Refused(trouble)
    hashed = _hasher.hash(password)
    db.execute(update(User).where(User.id == user.id).values(password_hash=hashed))
    end_sessions(db, user.id, now)


def matches(user: User | None, password: str) -> bool:
    """Whether this is the user's password. It takes the same time when there is no such user or no password."""
    hashed = user.password_hash if user is not None else None
    try:
        right = _hasher.verify(hashed or _nobodys(), password)
    except (VerificationError, InvalidHashError):
        return False
    return right and hashed is not None


@cache
def _nobodys() -> str:
    """The hash of a password nobody knows."""
    return _hasher.hash(secrets.token_urlsafe(32))


def begin_attempt(db: Session, userid: str, address: str, now: datetime) -> int | None:
    """Count a guess before looking at it; None when there were too many. ``forgive`` takes a right one back.

    Counted first and kept at once, so that many guesses at the same moment cannot all slip through. Of the name only
    a digest is kept: people type passwords into the wrong field.
    """
    db.execute(delete(Attempt).where(Attempt.at < now - timedelta(days=1)))
    attempt = Attempt(userid=digest(userid.lower()), address=address[:64], at=now)
    db.add(attempt)
    db.flush()
    since = Attempt.at > now - GUESS_WINDOW
    by_user = select(func.count()).where(since, Attempt.userid == attempt.userid)
    by_address = select(func.count()).where(since, Attempt.address == attempt.address)
    if max(db.scalars(by_user).one(), db.scalars(by_address).one()) > GUESSES:
        db.delete(attempt)
        return None
    return attempt.id


def forgive(db: Session, attempt_id: int) -> None:
    """The guess was right: the wrong ones before it do not count against this user any more."""
    attempt = db.get_one(Attempt, attempt_id)
    db.execute(delete(Attempt).where(or_(Attempt.id == attempt_id, Attempt.userid == attempt.userid)))


# --- one-time links --------------------------------------------------------------------------------------------------


def issue_link(db: Session, user: User, now: datetime) -> str:
    """A token that signs this user in once within a day."""
    token = secrets.token_urlsafe(32)
    db.add(SignInLink(digest=digest(token), user_id=user.id, expires_at=now + LINK_LIVES))
    return token


def redeem_link(db: Session, token: str, now: datetime) -> User | None:
    """Use a link up; whom it signs in, or None when it is used, too old, or its user may not come in."""
    own = (SignInLink.digest == digest(token), SignInLink.used_at.is_(None), SignInLink.expires_at > now)
    user_id = db.scalar(update(SignInLink).where(*own).values(used_at=now).returning(SignInLink.user_id))
    if user_id is None:
        return None
    return db.scalars(select(User).where(User.id == user_id, *_welcome_here())).one_or_none()

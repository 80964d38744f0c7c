"""Keys for the open API: made here and shown once, found by their digest, revoked at once.

A key is ``scrm_`` and 43 random characters; the table holds only its SHA-256 and the last four characters. (A key is as
long as the digest is strong, so a slow hash would only slow every request down.)
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from storage.database import utc_now
from storage.tables import ApiKey
from storage.work import Work

PREFIX = "scrm_"
MAX_NAME = 100
ALL = "all"
SUBJECTS = (
    "customers",
    "channels",
    "tags",
    "events",
    "orders",
    "points",
    "segments",
    "materials",
    "broadcasts",
    "journeys",
    "approvals",
    "reports",
    "webhooks",
)
VERBS = ("read", "write")


class BadKey(ValueError):
    """Why a key cannot be made: a list of (field, sentence)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("；".join(f"{name}：{words}" for name, words in problems))
        self.problems = list(problems)


def known_scope(scope: str) -> bool:
    """Whether this is ``all``, a subject (``channels``) or one half of it (``customers:read``)."""
    subject, _, verb = scope.partition(":")
    return scope == ALL or (subject in SUBJECTS and (verb in VERBS if ":" in scope else True))


def allows(scopes: Iterable[str], subject: str, verb: str) -> bool:
    """Whether one of these scopes covers reading or writing this subject."""
    return not {ALL, subject, f"{subject}:{verb}"}.isdisjoint(scopes)


def create(
    work: Work, name: str, scopes: Sequence[str], by: str, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key; its row, and the key itself, which nobody can read again. Raises ``BadKey``."""
    problems = _problems(work, name, scopes, expires_at)
    if problems:
        raise BadKey(problems)
    plain = PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(
        name=name.strip(),
        digest=_digest(plain),
        hint=plain[-4:],
        scopes=[ALL] if ALL in scopes else sorted(set(scopes)),
        created_at=work.now,
        created_by=by,
        expires_at=expires_at,
    )
    work.db.add(row)
    work.db.flush()
    return row, plain


def _problems(work: Work, name: str, scopes: Sequence[str], expires_at: datetime | None) -> list[tuple[str, str]]:
    problems = []
    if not 0 < len(name.strip()) <= MAX_NAME:
        problems.append(("name", f"请给密钥起个名字（1–{MAX_NAME} 个字），例如使用它的系统"))
    if not scopes:
        problems.append(("scopes", "请至少选择一项权限"))
    problems += [("scopes", f"没有这项权限：{one}") for one in scopes if not known_scope(one)]
    if expires_at is not None and expires_at <= work.now:
        problems.append(("expires_at", "到期时间要晚于现在；不设到期请留空"))
    return problems


def find(db: Session, plain: str, now: datetime | None = None) -> ApiKey | None:
    """The key that lives at ``now`` (the system's time if not said); None when unknown, revoked or expired."""
    if not plain.startswith(PREFIX):
        return None
    living = select(ApiKey).where(
        ApiKey.digest == _digest(plain),
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > (now or utc_now())),
    )
    return db.scalars(living).one_or_none()


def revoke(work: Work, key_id: int) -> ApiKey | None:
    """Let a key do nothing any more, from the next request on; None when there is no such living key."""
    row = work.db.get(ApiKey, key_id, with_for_update=True)
    if row is None or row.revoked_at is not None:
        return None
    row.revoked_at = work.now
    return row


def listed(db: Session) -> list[ApiKey]:
    """Every key, living ones first, then newest first."""
    return list(db.scalars(select(ApiKey).order_by(ApiKey.revoked_at.is_not(None), ApiKey.id.desc())))


def _digest(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()

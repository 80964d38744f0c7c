"""The house: who signs in, who did what, and who may call the API."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key


class User(Base):
    """Somebody who may use the console; ``userid`` is the WeCom userid where there is one."""

    __tablename__ = "user"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    userid: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(10))
    """boss, manager, operator, rep."""
    password_hash: Mapped[str | None] = mapped_column(String(200))
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    language: Mapped[str] = mapped_column(String(5), default="zh")


class SignIn(Base):
    """One session of one user. Only the digest of its token is kept; ending it here ends it everywhere."""

    __tablename__ = "sign_in"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    address: Mapped[str] = mapped_column(String(64), default="")


class SignInLink(Base):
    """A one-time link (the first start prints one); only its digest is kept."""

    __tablename__ = "sign_in_link"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Attempt(Base):
    """A failed sign-in, to slow down who guesses."""

    __tablename__ = "attempt"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    userid: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    __table_args__ = (Index("ix_attempt_userid_at", "userid", "at"), Index("ix_attempt_address_at", "address", "at"))


class AuditRow(Base):
    """Who did what, when, from where. The database refuses to change or delete a row; a hash chain shows a gap."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(200), default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address: Mapped[str] = mapped_column(String(64), default="")
    before_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    __table_args__ = (Index("ix_audit_at", "at"),)


class Setting(Base):
    """Something the shop has set in the console, by name; what is not here has its default."""

    __tablename__ = "setting"
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[dict[str, Any]]
    changed_by: Mapped[str] = mapped_column(String(100), default="")
    changed_at: Mapped[datetime]


class ApiKey(Base):
    """A key for the open API; only its digest is kept."""

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(12))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class IdempotentAnswer(Base):
    """The answer once given for an Idempotency-Key, to be given again."""

    __tablename__ = "idempotent_answer"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    api_key_id: Mapped[int] = mapped_column(ForeignKey("api_key.id"))
    key: Mapped[str] = mapped_column(String(255))
    request_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("api_key_id", "key"),)

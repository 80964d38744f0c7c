"""By what points are earned: versions of the shop's rules, campaigns, and how much of a cap is used up."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key, partial_index


class PointsRules(Base):
    """One version of the rules of points (``loyalty.programme``); it holds from its day until the next one's."""

    __tablename__ = "points_rules"
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    valid_from: Mapped[datetime]
    definition: Mapped[dict[str, Any]]
    made_by: Mapped[str] = mapped_column(String(100))
    made_at: Mapped[datetime]
    approval_id: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (Index("ix_points_rules_valid", "valid_from", "version"),)


class Campaign(Base):
    """A time of more points (积分加速日): for whom, how many times as many, and up to how many."""

    __tablename__ = "points_campaign"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    from_at: Mapped[datetime]
    to_at: Mapped[datetime]
    """The first moment it does not hold any more."""
    audience: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The filter of a segment; empty: everybody. Who fits when points are earned has them."""
    multiplier: Mapped[int]
    """In ten-thousandths: 20,000 is twice as many."""
    stacks: Mapped[bool] = mapped_column(default=False)
    """Whether it goes on top of other campaigns, rather than the best one counting."""
    cap: Mapped[int | None]
    """Points one person can have more by it."""
    budget: Mapped[int | None]
    """Points everybody together can have more by it."""
    gives_back: Mapped[bool] = mapped_column(default=False)
    """Whether what a refund takes back is there for others again."""
    state: Mapped[str] = mapped_column(String(10), default="draft")
    """draft, submitted, live, paused, ended."""
    paused_at: Mapped[datetime | None]
    """Since when it is paused now."""
    pauses: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default=sql("'[]'"))
    """When it was paused before: ``{"from", "to"}`` in ISO 8601; orders paid then have no part, however late told."""
    made_by: Mapped[str] = mapped_column(String(100))
    made_at: Mapped[datetime]
    approval_id: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (Index("ix_points_campaign_state", "state", "from_at"),)


class PointsCounter(Base):
    """How many points of a cap are used: ``campaign:7``, ``campaign:7:31`` of an account, ``day:31:2026-11-01``."""

    __tablename__ = "points_counter"
    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    used: Mapped[int] = mapped_column(default=0)


class PointsBoost(Base):
    """Points for more, once: of one person, for one order that is paid within its days."""

    __tablename__ = "points_boost"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("points_account.id"))
    name: Mapped[str] = mapped_column(String(60))
    factor: Mapped[int]
    """In ten-thousandths: 20,000 is twice as many."""
    cap: Mapped[int]
    """Points it can bring at most."""
    from_at: Mapped[datetime]
    to_at: Mapped[datetime]
    """The first moment it does not hold any more."""
    source: Mapped[str] = mapped_column(String(100))
    """Who gave it: ``journey:5``."""
    key: Mapped[str] = mapped_column(String(200), unique=True)
    used_at: Mapped[datetime | None]
    used_by: Mapped[str] = mapped_column(String(200), default="")
    """The order that used it."""
    points: Mapped[int] = mapped_column(default=0)
    """What it brought."""
    __table_args__ = (partial_index("ix_points_boost_open", "account_id", "to_at", where=sql("used_at IS NULL")),)

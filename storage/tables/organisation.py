"""The organisation: our own departments and members."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key


class Department(Base):
    """A department as WeCom tells it. The root has id 1."""

    __tablename__ = "department"
    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(200), default="")
    parent_id: Mapped[int | None]
    order: Mapped[int] = mapped_column(BigInteger, default=0)
    leaders: Mapped[list[str]] = mapped_column(default=list)


class Member(Base):
    """A rep (成员): somebody of ours in WeCom."""

    __tablename__ = "member"
    userid: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    departments: Mapped[list[int]] = mapped_column(default=list)
    leads: Mapped[list[int]] = mapped_column(default=list)
    """Departments this member leads."""
    superiors: Mapped[list[str]] = mapped_column(default=list)
    """Direct superiors (直属上级), by userid."""
    position: Mapped[str] = mapped_column(String(200), default="")
    status: Mapped[int] = mapped_column(default=1)
    """1 active, 2 disabled, 4 not activated, 5 quit (WeCom's numbers)."""
    serves: Mapped[bool] = mapped_column(default=False)
    """Whether the member has the customer-contact feature."""
    left_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]

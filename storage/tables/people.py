"""People: persons, how they are known, their relations to reps, and their story."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storage.tables.base import Base, Key, partial_index

REGION_DUE = "coalesce(phone, '') <> coalesce(region_of, '')"
"""Whose region is still to be found out, as SQL; also the condition of the index by which they are found."""
IS_HEAD = "merged_into IS NULL"
"""Who stands in lists; also the condition of the indexes by which people are listed."""
IS_MERGED = "merged_into IS NOT NULL"


def is_head() -> ColumnElement[bool]:
    """The condition on ``Person`` that leaves out those for whom another row speaks."""
    return Person.merged_into.is_(None)


class Person(Base):
    """One customer (客户), however many identities and reps. The id of somebody who was erased is never given again.

    It stays for ever, also when it turns out to be somebody we know already: then another row speaks for it.
    """

    __tablename__ = "person"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    avatar: Mapped[str | None] = mapped_column(String(500))
    gender: Mapped[int] = mapped_column(default=0)
    kind: Mapped[int] = mapped_column(default=1)
    """1 WeChat user, 2 WeCom user of another corp."""
    corp_name: Mapped[str | None] = mapped_column(String(200))
    owner: Mapped[str | None] = mapped_column(String(64))
    """The rep who answers for this person; the oldest living relation unless set by hand."""
    owner_by_hand: Mapped[bool] = mapped_column(default=False)
    phone: Mapped[str | None] = mapped_column(String(40))
    birthday: Mapped[int | None]
    """Month and day as one number: 229 is 29 February."""
    birth_year: Mapped[int | None]
    province: Mapped[str | None] = mapped_column(String(30))
    """Where the number in ``region_of`` was given out, kept for segments (``people.regions``)."""
    city: Mapped[str | None] = mapped_column(String(30))
    region_of: Mapped[str | None] = mapped_column(String(40))
    """The phone that was looked at for it; another one than ``phone`` means that it is to be looked at again."""
    life_cycle: Mapped[str | None] = mapped_column(String(10))
    """prospect, new, active, loyal, dormant, lost (``insight.lifecycle``); none: nobody has looked yet."""
    opted_out: Mapped[bool] = mapped_column(default=False)
    opted_out_at: Mapped[datetime | None]
    opted_out_by: Mapped[str | None] = mapped_column(String(100))
    """kf (their own word there), page (their own page), a userid, or api:NAME."""
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    profile_at: Mapped[datetime | None]
    """When WeCom was last asked about this person; none: still to be asked."""
    merged_into: Mapped[int | None] = mapped_column(Key)
    """The anchor that speaks for this one (the head): they are one person. Never one that is merged itself."""
    own: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Of a head: what stands in its fields by its own right, and what was derived for them (``people.merging``)."""
    identities: Mapped[list["Identity"]] = relationship(back_populates="person", lazy="raise")
    relations: Mapped[list["Relation"]] = relationship(back_populates="person", lazy="raise")
    __table_args__ = (
        partial_index("ix_person_merged_into", "merged_into", where=sql(IS_MERGED)),
        partial_index("ix_person_last_seen", "last_seen_at", "id", where=sql(IS_HEAD)),
        partial_index("ix_person_owner", "owner", where=sql(IS_HEAD)),
        partial_index("ix_person_name", "name", where=sql(IS_HEAD)),
        partial_index("ix_person_phone", "phone", where=sql(IS_HEAD)),
        partial_index("ix_person_birthday", "birthday", "id", where=sql(IS_HEAD)),
        partial_index("ix_person_life_cycle", "life_cycle", "id", where=sql(IS_HEAD)),
        partial_index("ix_person_region", "province", "city", where=sql(IS_HEAD)),
        partial_index("ix_person_region_due", "id", where=sql(REGION_DUE)),
        {"sqlite_autoincrement": True},
    )


class Identity(Base):
    """One way by which a person is known: (type, value) belongs to one person."""

    __tablename__ = "identity"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    type: Mapped[str] = mapped_column(String(40))
    value: Mapped[str] = mapped_column(String(200))
    verified: Mapped[bool] = mapped_column(default=True)
    added_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(40), default="wecom")
    person: Mapped[Person] = relationship(back_populates="identities", lazy="raise")
    __table_args__ = (UniqueConstraint("type", "value"),)


class Relation(Base):
    """A person and a rep who have (or had) each other in WeCom (客户与成员)."""

    __tablename__ = "relation"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    userid: Mapped[str] = mapped_column(String(64))
    external_userid: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(20), default="unknown")
    """half, active, ended_by_rep, ended_by_customer, ended_by_both, transferred, unknown."""
    added_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channel.id"), index=True)
    source_state: Mapped[str | None] = mapped_column(String(64))
    """WeCom's State as it came, kept even when no channel of ours has it."""
    add_way: Mapped[int | None]
    remark: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    remark_phones: Mapped[list[str]] = mapped_column(default=list)
    person: Mapped[Person] = relationship(back_populates="relations", lazy="raise")
    __table_args__ = (
        UniqueConstraint("external_userid", "userid"),
        Index("ix_relation_userid_state", "userid", "state"),
        Index("ix_relation_state", "state", "person_id"),
    )


class RelationFact(Base):
    """One thing that happened between a person and a rep. The relation's state is folded from these."""

    __tablename__ = "relation_fact"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    relation_id: Mapped[int] = mapped_column(ForeignKey("relation.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    """half, full, taken_over, deleted_by_rep, deleted_by_customer, transferred, parted (we missed how)."""
    at: Mapped[datetime]
    source_state: Mapped[str | None] = mapped_column(String(64))
    had_code: Mapped[bool] = mapped_column(default=False)
    add_way: Mapped[int | None]
    inbox_id: Mapped[int | None]
    __table_args__ = (UniqueConstraint("relation_id", "kind", "at"),)


class Interval(Base):
    """One stretch of time in which a relation lived: began, perhaps confirmed, perhaps ended, and by whom."""

    __tablename__ = "relation_interval"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    relation_id: Mapped[int] = mapped_column(ForeignKey("relation.id"))
    number: Mapped[int]
    """1 for the first, 2 for the first re-adding …"""
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    userid: Mapped[str] = mapped_column(String(64))
    began_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = mapped_column(String(20))
    """rep, customer, transfer, unknown (they met anew later, and we missed the parting)."""
    origin: Mapped[str] = mapped_column(String(20))
    """arrival, transfer, taken_over, unknown (only its end was ever seen)."""
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channel.id"))
    __table_args__ = (
        UniqueConstraint("relation_id", "number"),
        Index("ix_interval_began", "began_at", "person_id"),
        Index("ix_interval_ended", "ended_at"),
        Index("ix_interval_person_began", "person_id", "began_at"),
        Index("ix_interval_channel", "channel_id", "began_at"),
    )


class Interaction(Base):
    """One line of a person's story."""

    __tablename__ = "interaction"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    userid: Mapped[str | None] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    once: Mapped[str] = mapped_column(String(200), unique=True)
    """Why there can be only one, such as ``event:17``."""
    __table_args__ = (
        Index("ix_interaction_person_at", "person_id", "at", "id"),
        Index("ix_interaction_person_kind", "person_id", "kind", "at"),
        Index("ix_interaction_kind_at", "kind", "at", "person_id"),
    )

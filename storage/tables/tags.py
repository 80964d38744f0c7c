"""Tags, why they are on people, and what WeCom shows of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key


class Tag(Base):
    """A corp tag (企业标签) of ours, mirrored at WeCom on demand."""

    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    group_name: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(60))
    wecom_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    wecom_group_id: Mapped[str | None] = mapped_column(String(64))
    order: Mapped[int] = mapped_column(BigInteger, default=0)
    """WeCom's place in its group: bigger first."""
    group_order: Mapped[int] = mapped_column(BigInteger, default=0)
    made_here: Mapped[bool] = mapped_column(default=False)
    """Whether WeCom made it for our app: only then it lets us rename or delete it."""
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("group_name", "name"),)


class PersonTag(Base):
    """A tag that stands on a person, with the first of the grounds it stands on (derived from ``TagGround``)."""

    __tablename__ = "person_tag"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"))
    source: Mapped[str] = mapped_column(String(20))
    """As in ``TagGround``."""
    because: Mapped[str] = mapped_column(Text)
    actor: Mapped[str | None] = mapped_column(String(64))
    inbox_id: Mapped[int | None]
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("person_id", "tag_id"), Index("ix_person_tag_tag", "tag_id", "person_id"))


class TagGround(Base):
    """One reason why a person has a tag (来由). The tag stands as long as one of its grounds does."""

    __tablename__ = "tag_ground"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), index=True)
    source: Mapped[str] = mapped_column(String(20))
    """channel, keyword, arrival, loss, group, manual, wecom, import, api, link, journey, points."""
    source_id: Mapped[str] = mapped_column(String(80), default="")
    """Which of that source, such as ``rule:5``, ``channel:3``, ``relation:17``, ``bulk:4``."""
    rule_id: Mapped[int | None] = mapped_column(ForeignKey("tag_rule.id"), index=True)
    rule_version: Mapped[int | None]
    because: Mapped[str] = mapped_column(Text)
    """The reason as a sentence; ``console.words.said`` knows its English."""
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What it rests on: ``{"words": [...], "quote": "…", "interaction": 17, "where": "kf"}``."""
    actor: Mapped[str | None] = mapped_column(String(64))
    inbox_id: Mapped[int | None]
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("person_id", "tag_id", "source", "source_id"),)


class TagRule(Base):
    """Something that tags by itself: words in a message, the hour of an arrival, a loss."""

    __tablename__ = "tag_rule"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(20))
    """keyword, arrival, loss."""
    state: Mapped[str] = mapped_column(String(10), default="active")
    """active, stopped, deleted."""
    version: Mapped[int] = mapped_column(default=1)
    """Grows with every change of what it does; every hit and every ground says which version it was."""
    definition: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Its words, as ``tagging.rules`` reads them."""
    scope: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Where and when it looks: sources, channels, reps, days and hours."""
    tags: Mapped[list[int]] = mapped_column(default=list)
    cap: Mapped[int | None]
    """So many hits of one customer count; further ones do nothing."""
    created_by: Mapped[str] = mapped_column(String(100), default="")
    created_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(100), default="")
    changed_at: Mapped[datetime]


class TagRuleVersion(Base):
    """What a rule said in one of its versions; never changed."""

    __tablename__ = "tag_rule_version"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    rule_id: Mapped[int] = mapped_column(ForeignKey("tag_rule.id"))
    version: Mapped[int]
    said: Mapped[dict[str, Any]]
    """``{"name", "definition", "scope", "tags", "cap"}``."""
    by: Mapped[str] = mapped_column(String(100), default="")
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("rule_id", "version"),)


class RuleHit(Base):
    """A rule that met a person: which words, where, what it gave, and whether that was undone."""

    __tablename__ = "rule_hit"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    rule_id: Mapped[int] = mapped_column(ForeignKey("tag_rule.id"))
    version: Mapped[int]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    anchor_id: Mapped[int | None] = mapped_column(Key)
    """Whose it was before a merge (``people.merging``); none: the person's own."""
    once: Mapped[str] = mapped_column(String(120), unique=True)
    """Why there can be only one, such as ``5:interaction:17``."""
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    given: Mapped[list[int]] = mapped_column(default=list)
    """Tags the person had not had before."""
    at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    __table_args__ = (
        Index("ix_rule_hit_rule_at", "rule_id", "at"),
        Index("ix_rule_hit_person", "person_id", "rule_id"),
    )


class PersonalTag(Base):
    """A rep's own tag (个人标签) on one relation: WeCom shows it to that rep alone."""

    __tablename__ = "personal_tag"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    relation_id: Mapped[int] = mapped_column(ForeignKey("relation.id"))
    group_name: Mapped[str] = mapped_column(String(60), default="")
    name: Mapped[str] = mapped_column(String(60))
    __table_args__ = (UniqueConstraint("relation_id", "group_name", "name"),)


class RelationTag(Base):
    """Whether WeCom shows a tag on one relation: tags there hang on the relation, not on the person."""

    __tablename__ = "relation_tag"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    relation_id: Mapped[int] = mapped_column(ForeignKey("relation.id"))
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), index=True)
    wanted: Mapped[bool] = mapped_column(default=True)
    at_wecom: Mapped[str] = mapped_column(String(10), default="pending")
    """pending, done, refused, watched."""
    detail: Mapped[str | None] = mapped_column(Text)
    round: Mapped[int] = mapped_column(default=1)
    """Grows each time the wish changes, so that each wish is asked for once."""
    changed_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("relation_id", "tag_id"),)

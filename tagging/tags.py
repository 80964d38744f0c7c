"""Tags on people, each with its grounds: who or what put it there, on which evidence, and how it goes again.

A tag stands as long as one of its grounds (来由) does: a rule that is undone takes away its own ground only, so that a
tag which somebody else gave too stays. A person's word (taken away by hand) ends all grounds. ``tagging.marks`` brings
tags to WeCom, ``tagging.mirror`` brings WeCom's here.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from storage.database import changed_rows
from storage.rows import insert_new
from storage.tables import Interaction, Person, PersonTag, Relation, RelationTag, Tag, TagGround
from storage.work import Work
from tagging import marks
from wecom.commands import EditCorpTag

MAX_NAME = 30
"""WeCom takes up to 30 characters for a group and for a tag."""
MAX_TAGS = 3000
"""Corp tags of one corp (40126 beyond)."""


@dataclass(frozen=True)
class Ground:
    """Why a tag is put on somebody."""

    source: str
    """channel, keyword, arrival, loss, group, manual, wecom, import, api, link, journey, points."""
    because: str
    """The reason as a sentence."""
    source_id: str = ""
    """Which of that source: ``rule:5``, ``channel:3``, ``relation:17``. Giving again for the same changes nothing."""
    rule: tuple[int, int] | None = None
    """Id and version of the rule."""
    evidence: dict[str, Any] = field(default_factory=dict)
    actor: str | None = None
    at: datetime | None = None


def public_id(tag_id: int) -> str:
    """How a tag is named outside: ``t_5``."""
    return f"t_{tag_id}"


def tag_named(work: Work, group: str, name: str) -> Tag:
    """The tag of this group and name, made (or brought back) if there is none.

    Raises ``ValueError`` for a name WeCom would refuse.
    """
    group, name = group.strip(), name.strip()
    if not (0 < len(group) <= MAX_NAME and 0 < len(name) <= MAX_NAME):
        raise ValueError(f"标签组和标签名各需 1–{MAX_NAME} 个字：“{group}/{name}”")
    row = {"group_name": group, "name": name, "created_at": work.now}
    insert_new(work.db, Tag, [row], ["group_name", "name"])
    tag = work.db.scalars(select(Tag).where(Tag.group_name == group, Tag.name == name)).one()
    tag.deleted_at = None
    return tag


def give(work: Work, person: Person, tag: Tag, ground: Ground) -> bool:
    """Put a tag on a person and on each of their living relations at WeCom; False when the person has it already.

    The ground is kept in either case.
    """
    _hold(work, [person.id])
    if tag.deleted_at is not None:  # deleted at WeCom, and needed again
        tag.deleted_at = None
    row = _row(work, person.id, tag.id, ground)
    insert_new(work.db, TagGround, [row], ["person_id", "tag_id", "source", "source_id"])
    head = {name: row[name] for name in HEAD}
    new = bool(insert_new(work.db, PersonTag, [head], ["person_id", "tag_id"]))
    for relation in marks.living(work.db, person.id):
        marks.push(work, relation, [tag])
    return new


@dataclass(frozen=True)
class Given:
    """A tag that was put on somebody by hand; ``new``: they had not had it."""

    tag: Tag
    new: bool

    @property
    def name(self) -> str:
        """Group and name, as a story tells it."""
        return f"{self.tag.group_name}/{self.tag.name}"


def give_by_hand(work: Work, person: Person, tag_id: int | None, *, by: str, called: str) -> Given | None:
    """Put a tag on a person at the word of ``by``, who is called so; None when there is no such tag (any more).

    A form that was open since before a tag was deleted does not bring it back.
    """
    own = select(Tag).where(Tag.id == tag_id, Tag.deleted_at.is_(None))
    tag = work.db.scalars(own.with_for_update(read=True, key_share=True)).one_or_none()
    if tag is None:
        return None
    return Given(tag, give(work, person, tag, Ground("manual", f"{called}手动添加", actor=by)))


HEAD = ("person_id", "tag_id", "source", "because", "actor", "inbox_id", "at")


def _row(work: Work, person_id: int, tag_id: int, ground: Ground) -> dict[str, Any]:
    return {
        "person_id": person_id,
        "anchor_id": work.via.get(person_id),
        "tag_id": tag_id,
        "source": ground.source,
        "source_id": ground.source_id,
        "rule_id": ground.rule[0] if ground.rule else None,
        "rule_version": ground.rule[1] if ground.rule else None,
        "because": ground.because,
        "evidence": ground.evidence,
        "actor": ground.actor,
        "inbox_id": work.inbox_id,
        "at": ground.at or work.now,
    }


def take_away(work: Work, person: Person, tag: Tag) -> bool:
    """Take a tag off a person and off their relations at WeCom, whatever it stood on; False when they had it not."""
    _hold(work, [person.id])
    own = (TagGround.person_id == person.id, TagGround.tag_id == tag.id)
    work.db.execute(delete(TagGround).where(*own))
    gone = _take_off(work, [person.id], tag)
    marks.unpush(work, [person.id], tag)
    return bool(gone)


def withdraw(work: Work, person_ids: Collection[int], tag: Tag, source: str, source_id: str) -> list[int]:
    """End one ground of a tag on these people; who does not have the tag any more, because no other ground stands.

    Meant for some hundreds of people at a time. Off their relations at WeCom it goes too.
    """
    if not person_ids:
        return []
    _hold(work, person_ids)
    own = (TagGround.tag_id == tag.id, TagGround.person_id.in_(person_ids))
    ended = (TagGround.source == source, TagGround.source_id == source_id)
    work.db.execute(delete(TagGround).where(*own, *ended))
    standing = dict(
        work.db.execute(
            select(TagGround.person_id, func.min(TagGround.id)).where(*own).group_by(TagGround.person_id)
        ).all()
    )
    _lead_with(work, tag, standing)
    bare = [one for one in person_ids if one not in standing]
    gone = _take_off(work, bare, tag)
    marks.unpush(work, gone, tag)
    return gone


def _lead_with(work: Work, tag: Tag, first: dict[int, int]) -> None:
    """Say the first ground that stands where the one that has ended was said."""
    for ground in work.db.scalars(select(TagGround).where(TagGround.id.in_(first.values()))).all():
        head = {name: getattr(ground, name) for name in HEAD[2:]}
        own = (PersonTag.person_id == ground.person_id, PersonTag.tag_id == tag.id)
        work.db.execute(update(PersonTag).where(*own).values(**head))


def _take_off(work: Work, person_ids: Collection[int], tag: Tag) -> list[int]:
    own = delete(PersonTag).where(PersonTag.person_id.in_(person_ids), PersonTag.tag_id == tag.id)
    return list(work.db.scalars(own.returning(PersonTag.person_id)))


def _hold(work: Work, person_ids: Collection[int]) -> None:
    """Nobody else changes these people's tags from here on; the ids in order, so that two never wait for each other."""
    held = select(Person.id).where(Person.id.in_(person_ids)).order_by(Person.id).with_for_update()
    work.db.execute(held).all()


@dataclass(frozen=True)
class Reason:
    """One ground of a tag, as somebody may read it."""

    ground: TagGround
    quote: str
    """The customer's words with some around them; empty for whoever may not read them."""


def reasons(db: Session, person_id: int, sees: Callable[[str], bool]) -> dict[int, list[Reason]]:
    """Every ground of each tag of a person, the first first.

    ``sees`` says of a rep's userid whether the reader may see what happened with them: words that one rep passed on are
    read by those who may.
    """
    grounds = db.scalars(select(TagGround).where(TagGround.person_id == person_id).order_by(TagGround.id)).all()
    lines = {number for one in grounds if (number := one.evidence.get("interaction")) is not None}
    told: dict[Any, str | None] = dict(
        db.execute(select(Interaction.id, Interaction.userid).where(Interaction.id.in_(lines))).all()
    )
    found: dict[int, list[Reason]] = {}
    for one in grounds:
        rep = told.get(one.evidence.get("interaction"))
        quote = str(one.evidence.get("quote") or "") if rep is None or sees(rep) else ""
        found.setdefault(one.tag_id, []).append(Reason(one, quote))
    return found


# --- the tags themselves ---------------------------------------------------------------------------------------------


NOT_OURS = "这个标签不是从这里建的，企业微信不让我们改名或删除；请管理员在企业微信管理后台（客户联系 → 企业标签）更改"
WATCHED = "观察模式下不能更改企业微信里已有的标签"


def may_change(tag: Tag) -> bool:
    """Whether WeCom lets us rename and delete a tag: it does so with those that our app has made."""
    return tag.wecom_id is None or tag.made_here


def _check_change(work: Work, tag: Tag) -> None:
    if not may_change(tag):
        raise ValueError(NOT_OURS)
    if tag.wecom_id is not None and work.watches(EditCorpTag.sender):
        raise ValueError(WATCHED)


def rename(work: Work, tag: Tag, name: str) -> None:
    """Call a tag something else, here and at WeCom. Raises ``ValueError`` with words for the operator."""
    _check_change(work, tag)
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME:
        raise ValueError(f"标签名需 1–{MAX_NAME} 个字")
    taken = select(Tag).where(Tag.group_name == tag.group_name, Tag.name == name, Tag.id != tag.id)
    if work.db.scalars(taken).first() is not None:
        raise ValueError("这个标签组里已有同名标签")
    tag.name = name
    marks.rename(work, tag, name)


def remove(work: Work, tag: Tag) -> int:
    """Delete a tag off everybody; how many people have it. Raises ``ValueError`` with words for the operator.

    One that is at WeCom goes there first, and here when it is gone there: a refusal must cost nobody their grounds.
    """
    _check_change(work, tag)
    if tag.wecom_id is None:
        return forget(work, tag)
    marks.delete(work, tag)
    return work.db.scalars(select(func.count()).where(PersonTag.tag_id == tag.id)).one()


def forget(work: Work, tag: Tag) -> int:
    """The tag is no more: take it off everybody here; how many people had it. A code or rule may bring it back.

    In three statements, however many people they are.
    """
    work.db.execute(delete(TagGround).where(TagGround.tag_id == tag.id))
    work.db.execute(delete(RelationTag).where(RelationTag.tag_id == tag.id))
    gone = changed_rows(work.db, delete(PersonTag).where(PersonTag.tag_id == tag.id))
    tag.deleted_at, tag.wecom_id, tag.wecom_group_id, tag.made_here = work.now, None, None, False
    return gone


def page(db: Session, *, limit: int, after: int = 0) -> tuple[list[tuple[Tag, int]], int | None]:
    """One page of the living tags with how many people have each, oldest first, and where the next page begins."""
    own = select(Tag).where(Tag.deleted_at.is_(None), Tag.id > after).order_by(Tag.id).limit(limit + 1)
    found = db.scalars(own).all()
    more, found = len(found) > limit, found[:limit]
    counted = select(PersonTag.tag_id, func.count()).where(PersonTag.tag_id.in_([tag.id for tag in found]))
    people = dict(db.execute(counted.group_by(PersonTag.tag_id)).all())
    return [(tag, people.get(tag.id, 0)) for tag in found], (found[-1].id if more else None)


def known_groups(db: Session) -> dict[str, list[Tag]]:
    """Every living tag by its group, in WeCom's order (bigger first, then older)."""
    ordered = (Tag.group_order.desc(), Tag.group_name, Tag.order.desc(), Tag.id)
    found: dict[str, list[Tag]] = {}
    for one in db.scalars(select(Tag).where(Tag.deleted_at.is_(None)).order_by(*ordered)):
        found.setdefault(one.group_name, []).append(one)
    return found


def pushed(db: Session, tag_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """How each tag stands at WeCom: relations by done, pending, refused, watched."""
    counted = (
        select(RelationTag.tag_id, RelationTag.at_wecom, func.count())
        .join(Relation, Relation.id == RelationTag.relation_id)
        .where(RelationTag.tag_id.in_(tag_ids), RelationTag.wanted.is_(True), Relation.state == "active")
        .group_by(RelationTag.tag_id, RelationTag.at_wecom)
    )
    found: dict[int, dict[str, int]] = {}
    for tag_id, state, count in db.execute(counted):
        found.setdefault(tag_id, {})[state] = count
    return found

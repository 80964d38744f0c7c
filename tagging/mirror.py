"""WeCom's tags as they are there, brought here: the list of corp tags, and what reps set on their customers.

A rep who sets a corp tag in the WeCom client gives it to the person, as by hand; one who takes it off takes it off the
relation, and off the person when no other living relation shows it. Personal tags are kept as such, on the relation.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.orm import Session

from storage import inbox
from storage.inbox import EVENTS, Arriving
from storage.rows import insert_new
from storage.tables import (
    BulkJob,
    Channel,
    Person,
    PersonalTag,
    PersonTag,
    Relation,
    RelationTag,
    Tag,
    TagGround,
    TagRule,
)
from storage.work import Work
from tagging import marks, tags
from tagging.tags import MAX_NAME, Ground
from wecom import xml
from wecom.events import read_event
from wecom.gateway import CorpTag

BECAUSE_AT_WECOM = "企业微信里已有此标签"
NO_GROUP = "未分组"
LIST_DUE = xml.write({"Event": "change_external_tag", "ChangeType": "update"})
"""What we tell ourselves when the list of corp tags is to be read anew."""


# --- the list of corp tags -------------------------------------------------------------------------------------------


def mirror(work: Work, corp_tags: Iterable[CorpTag]) -> dict[str, int]:
    """Take over WeCom's corp tags as they are now; how many are new, renamed, gone, of all.

    Known ones (by WeCom's id) take their names, groups and places; unknown ones are kept; those that WeCom has no more
    go off everybody.
    """
    seen = {one.id: one for one in corp_tags if one.id}
    known = {str(one.wecom_id): one for one in work.db.scalars(select(Tag).where(Tag.wecom_id.is_not(None))).all()}
    gone = [tag for wecom_id, tag in known.items() if wecom_id not in seen]
    for tag in gone:
        tags.forget(work, tag)
    work.db.flush()
    renamed = _rename(work, [(known[one.id], one) for one in seen.values() if one.id in known])
    new = [one for one in seen.values() if one.id not in known]
    for one in new:
        tag = tags.tag_named(work, *_names(one))
        tag.wecom_id, tag.wecom_group_id, tag.made_here = one.id, one.group_id, False
        tag.order, tag.group_order = one.order, one.group_order
        work.db.flush()
        marks.mark_waiting(work, tag)
    return {"new": len(new), "renamed": renamed, "gone": len(gone), "all": len(seen)}


@dataclass(frozen=True)
class TagDifference:
    """A corp tag that is not the same here and at WeCom. ``kind``: new, gone, changed."""

    kind: str
    name: str
    was: str
    now: str


def differences(db: Session, corp_tags: Iterable[CorpTag]) -> list[TagDifference]:
    """What ``mirror`` would change, were it given these."""
    seen = {one.id: one for one in corp_tags if one.id}
    known = {str(one.wecom_id): one for one in db.scalars(select(Tag).where(Tag.wecom_id.is_not(None))).all()}
    gone = [_called(*_own(tag)) for wecom_id, tag in known.items() if wecom_id not in seen]
    found = [TagDifference("gone", name, name, "") for name in gone]
    for wecom_id, one in seen.items():
        tag, names = known.get(wecom_id), _names(one)
        if tag is None:
            found.append(TagDifference("new", _called(*names), "", _called(*names)))
        elif _own(tag) != names:
            found.append(TagDifference("changed", _called(*names), _called(*_own(tag)), _called(*names)))
        elif (tag.order, tag.group_order) != (one.order, one.group_order):
            was, now = f"{tag.group_order}.{tag.order}", f"{one.group_order}.{one.order}"
            found.append(TagDifference("changed", _called(*names), was, now))
    return found


def _own(tag: Tag) -> tuple[str, str]:
    return tag.group_name, tag.name


def _called(group: str, name: str) -> str:
    return f"{group}/{name}"


def _names(one: CorpTag) -> tuple[str, str]:
    return one.group_name.strip()[:MAX_NAME] or NO_GROUP, one.name.strip()[:MAX_NAME] or one.id[:MAX_NAME]


def _rename(work: Work, pairs: Sequence[tuple[Tag, CorpTag]]) -> int:
    """Give each its names. Two may have swapped theirs, so all let go of the old ones first."""
    moved = [(tag, one) for tag, one in pairs if (tag.group_name, tag.name) != _names(one)]
    for tag, _ in moved:
        tag.name = f"\u00b7{tag.id}"
    work.db.flush()
    for tag, one in moved:
        group, name = _names(one)
        ours = select(Tag).where(Tag.group_name == group, Tag.name == name, Tag.id != tag.id)
        if (other := work.db.scalars(ours).one_or_none()) is not None:
            _merge(work, other, tag)
        tag.group_name, tag.name = group, name
        work.db.flush()
    for tag, one in pairs:
        tag.order, tag.group_order, tag.wecom_group_id = one.order, one.group_order, one.group_id
    return len(moved)


def _merge(work: Work, other: Tag, into: Tag) -> None:
    """A tag of ours that WeCom never had, and one of WeCom's that has taken its name, are one from now on."""
    db = work.db
    for table, key in (
        (TagGround, ("person_id", "source", "source_id")),
        (PersonTag, ("person_id",)),
        (RelationTag, ("relation_id",)),
    ):
        columns = [getattr(table, name) for name in key]
        there = select(*columns).where(table.tag_id == into.id)
        double = tuple_(*columns).in_(there) if len(columns) > 1 else columns[0].in_(there)
        db.execute(delete(table).where(table.tag_id == other.id, double))
        db.execute(update(table).where(table.tag_id == other.id).values(tag_id=into.id))
    holders: list[Any] = [one for table in (Channel, TagRule, BulkJob) for one in db.scalars(select(table)).all()]
    for holder in holders:
        if other.id in holder.tags:
            holder.tags = list(dict.fromkeys(into.id if one == other.id else one for one in holder.tags))
            holder.changed_at = work.now  # so that no process goes on with a rule as it was
    db.delete(other)
    db.flush()


# --- what became of our changes --------------------------------------------------------------------------------------


def deleted(work: Work, wecom_ids: Collection[str]) -> None:
    """WeCom has deleted these at our wish."""
    for tag in work.db.scalars(select(Tag).where(Tag.wecom_id.in_(wecom_ids))).all():
        tags.forget(work, tag)


def change_refused(work: Work, wecom_ids: Collection[str], *, forbidden: bool) -> None:
    """WeCom did not rename or delete these: its list is read anew, so that ours says the same.

    ``forbidden``: because they are not of our making.
    """
    if forbidden:
        work.db.execute(update(Tag).where(Tag.wecom_id.in_(wecom_ids)).values(made_here=False))
    event = read_event(LIST_DUE)
    told = Arriving(event.identity, event.name, event.key, EVENTS, LIST_DUE, event_at=work.now)
    inbox.wake(work.db, told, work.now)
    work.lanes.add(f"inbox:{EVENTS}")


# --- what one relation shows -----------------------------------------------------------------------------------------


def seen_at_wecom(
    work: Work,
    person: Person,
    relation: Relation,
    shown: Collection[tuple[str, str, str]],
    *,
    by_rep: bool,
    all_tags: bool = True,
) -> None:
    """Bring one relation up to date with the tags WeCom shows on it: (its id, group, name); no id: a personal one.

    ``by_rep``: a rep has just edited, so that what is new was put there by hand. Without ``all_tags`` personal ones
    were not told, and stay as they are. What we have on the way to WeCom, or brought there after the facts were read,
    is left alone.
    """
    if all_tags:
        _keep_personal(work, relation, personal(shown))
    ids = {tag_id for tag_id, _, _ in shown if tag_id}
    there = {tag.id: tag for tag in work.db.scalars(select(Tag).where(Tag.wecom_id.in_(ids))).all()} if ids else {}
    rows = work.db.scalars(select(RelationTag).where(RelationTag.relation_id == relation.id)).all()
    ours = {row.tag_id: row for row in rows}
    for tag in there.values():
        row = ours.get(tag.id)
        if row is None or (not row.wanted and _settled(work, row)):
            _shown(work, person, relation, tag, row, by_rep)
        elif row.wanted and row.at_wecom in ("refused", "watched"):
            row.at_wecom, row.detail, row.changed_at = "done", None, work.now
    for row in rows:
        if row.tag_id not in there and row.wanted and row.at_wecom == "done" and _settled(work, row):
            _taken_off(work, person, relation, row)


def personal(shown: Collection[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """The personal tags among these, as (group, name) the way we keep them."""
    return {(group[:60], name[:60]) for tag_id, group, name in shown if not tag_id and name}


def _settled(work: Work, row: RelationTag) -> bool:
    """Whether the row says what WeCom shows, and said so before the facts were read."""
    return row.at_wecom == "done" and (work.looked_at is None or row.changed_at < work.looked_at)


def _shown(work: Work, person: Person, relation: Relation, tag: Tag, row: RelationTag | None, by_rep: bool) -> None:
    if row is None:
        new = {"relation_id": relation.id, "tag_id": tag.id, "at_wecom": "done", "wanted": True, "round": 1}
        insert_new(work.db, RelationTag, [{**new, "changed_at": work.now}], ["relation_id", "tag_id"])
    else:
        row.wanted, row.at_wecom, row.detail, row.changed_at = True, "done", None, work.now
    tags.give(work, person, tag, ground_of(relation, by_rep=by_rep))


def ground_of(relation: Relation, *, by_rep: bool) -> Ground:
    """Why a tag that WeCom shows on this relation is there."""
    if by_rep:
        return Ground("manual", f"{relation.userid}在企业微信里打上", f"relation:{relation.id}", actor=relation.userid)
    return Ground("wecom", BECAUSE_AT_WECOM, f"relation:{relation.id}")


def _taken_off(work: Work, person: Person, relation: Relation, row: RelationTag) -> None:
    """The rep took a tag off in the client."""
    row.wanted, row.changed_at = False, work.now
    work.db.flush()
    elsewhere = (
        select(RelationTag.id)
        .join(Relation, Relation.id == RelationTag.relation_id)
        .where(
            Relation.person_id == person.id,
            Relation.state.in_(("active", "half")),
            RelationTag.tag_id == row.tag_id,
            RelationTag.wanted.is_(True),
        )
    )
    tag = work.db.get_one(Tag, row.tag_id)
    if work.db.scalar(elsewhere.limit(1)) is None:
        tags.take_away(work, person, tag)
    else:
        for source in ("manual", "wecom"):
            tags.withdraw(work, [person.id], tag, source, f"relation:{relation.id}")


def _keep_personal(work: Work, relation: Relation, shown: set[tuple[str, str]]) -> None:
    own = select(PersonalTag).where(PersonalTag.relation_id == relation.id)
    known = {(one.group_name, one.name): one for one in work.db.scalars(own).all()}
    for pair, row in known.items():
        if pair not in shown:
            work.db.delete(row)
    new = [
        {"relation_id": relation.id, "group_name": group, "name": name} for group, name in sorted(shown - set(known))
    ]
    insert_new(work.db, PersonalTag, new, ["relation_id", "group_name", "name"])

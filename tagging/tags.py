"""Corp tags on people: given with a reason here, and brought to WeCom on every living relation.

A tag at WeCom hangs on one relation and needs WeCom's own id. So: the tag is made there on demand (``AddCorpTag``),
then marked (``MarkTag``) on each relation; ``relation_tag`` says for each whether WeCom shows it, or why not.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from storage.database import insert_new
from storage.tables import Person, PersonTag, Relation, RelationTag, Tag
from storage.work import Work
from wecom.commands import AddCorpTag, MarkTag
from wecom.gateway import CorpTag

MAX_NAME = 30
"""WeCom takes up to 30 characters for a group and for a tag."""
BECAUSE_AT_WECOM = "企业微信里已有此标签"


def public_id(tag_id: int) -> str:
    """How a tag is named outside: ``t_5``."""
    return f"t_{tag_id}"


def tag_named(work: Work, group: str, name: str) -> Tag:
    """The tag of this group and name, made if there is none. Raises ``ValueError`` for a name WeCom would refuse."""
    group, name = group.strip(), name.strip()
    if not (0 < len(group) <= MAX_NAME and 0 < len(name) <= MAX_NAME):
        raise ValueError(f"标签组和标签名各需 1–{MAX_NAME} 个字：“{group}/{name}”")
    row = {"group_name": group, "name": name, "created_at": work.now}
    insert_new(work.db, Tag, [row], ["group_name", "name"])
    return work.db.scalars(select(Tag).where(Tag.group_name == group, Tag.name == name)).one()


def ensure_at_wecom(work: Work, tag: Tag) -> None:
    """Ask WeCom for the tag unless it has it or was asked."""
    if tag.wecom_id is None:
        command = AddCorpTag(tag.group_name, tag.name, tag.id)
        work.ask_again(command, stem=f"corp-tag:{tag.id}", key=f"corp-tags:{tag.group_name}")


def give(
    work: Work,
    person: Person,
    tag: Tag,
    *,
    source: str,
    because: str,
    actor: str | None = None,
    at: datetime | None = None,
) -> bool:
    """Put a tag on a person and on each of their living relations at WeCom; False when the person has it already."""
    row = {
        "person_id": person.id,
        "tag_id": tag.id,
        "source": source,
        "because": because,
        "actor": actor,
        "inbox_id": work.inbox_id,
        "at": at or work.now,
    }
    new = bool(insert_new(work.db, PersonTag, [row], ["person_id", "tag_id"]))
    for relation in _living(work.db, person.id):
        push(work, relation, [tag])
    return new


def take_away(work: Work, person: Person, tag: Tag) -> bool:
    """Take a tag off a person and off their relations at WeCom; False when they did not have it."""
    gone = work.db.execute(
        delete(PersonTag).where(PersonTag.person_id == person.id, PersonTag.tag_id == tag.id).returning(PersonTag.id)
    ).all()
    for relation in work.db.scalars(select(Relation).where(Relation.person_id == person.id)).all():
        _wish(work, relation, tag, wanted=False)  # an ended one too: it may come to life again
    return bool(gone)


def push(work: Work, relation: Relation, tags: Iterable[Tag]) -> None:
    """Bring these tags to WeCom on one relation. While it is half added WeCom would refuse: then they wait for it."""
    for tag in tags:
        _wish(work, relation, tag, wanted=True)


def push_all(work: Work, relation: Relation, *, besides: Collection[int] = ()) -> None:
    """Bring every tag of the person to this relation, after it came to life, but for those brought already."""
    own = select(Tag).join(PersonTag, PersonTag.tag_id == Tag.id).where(PersonTag.person_id == relation.person_id)
    push(work, relation, [tag for tag in work.db.scalars(own) if tag.id not in besides])


def gone_at_wecom(work: Work, relation: Relation) -> None:
    """The rep deleted the customer, and WeCom the tags between them: they are brought again when the two meet again."""
    shown = select(RelationTag).where(RelationTag.relation_id == relation.id, RelationTag.wanted.is_(True))
    for row in work.db.scalars(shown).all():
        row.at_wecom, row.round, row.changed_at = "pending", row.round + 1, work.now
    work.db.flush()
    if relation.state == "active":
        push_all(work, relation)


def _living(db: Session, person_id: int) -> Sequence[Relation]:
    return db.scalars(
        select(Relation).where(Relation.person_id == person_id, Relation.state.in_(("active", "half")))
    ).all()


def _wish(work: Work, relation: Relation, tag: Tag, *, wanted: bool) -> None:
    """Write down what WeCom should show on this relation, and ask for it when that is possible now."""
    if wanted:
        new = {"relation_id": relation.id, "tag_id": tag.id, "wanted": True, "at_wecom": "pending", "round": 1}
        insert_new(work.db, RelationTag, [{**new, "changed_at": work.now}], ["relation_id", "tag_id"])
    row = work.db.scalars(
        select(RelationTag).where(RelationTag.relation_id == relation.id, RelationTag.tag_id == tag.id)
    ).one_or_none()
    if row is None:
        return
    if row.wanted != wanted or row.at_wecom == "refused":
        row.wanted, row.at_wecom, row.round, row.changed_at = wanted, "pending", row.round + 1, work.now
    work.db.flush()
    if row.at_wecom == "pending" and relation.state == "active":
        _ask(work, relation, tag, row)


def _ask(work: Work, relation: Relation, tag: Tag, row: RelationTag) -> None:
    if work.watches(MarkTag.sender):
        row.at_wecom = "watched"
    if tag.wecom_id is None:
        ensure_at_wecom(work, tag)
        return
    marks: dict[str, Any] = {"add_tag": [tag.wecom_id]} if row.wanted else {"remove_tag": [tag.wecom_id]}
    command = MarkTag(relation.userid, relation.external_userid, tag_ids=[tag.id], **marks)
    once = f"mark:{relation.id}:{tag.id}:{row.round}"
    work.ask(command, once=once, key=f"relation:{relation.userid}:{relation.external_userid}")


def tag_made(work: Work, command: AddCorpTag, answer: dict[str, Any]) -> None:
    """WeCom has the tag now: keep its id and mark everybody who waited for it."""
    tag = work.db.get(Tag, command.tag_id)
    if tag is None:
        return
    group = _first_group(answer)
    made = {str(one.get("name")): str(one.get("id")) for one in group.get("tag") or []}
    if command.tag_name not in made:
        raise ValueError("WeCom answered add_corp_tag without the tag")
    tag.wecom_id, tag.wecom_group_id = made[command.tag_name], str(group.get("group_id") or "") or None
    _mark_waiting(work, tag)


def tag_refused(work: Work, command: AddCorpTag, refusal: str) -> None:
    """WeCom does not want this tag: whoever waits for it shows why."""
    waiting = update(RelationTag).where(RelationTag.tag_id == command.tag_id, RelationTag.at_wecom == "pending")
    work.db.execute(waiting.values(at_wecom="refused", detail=refusal, changed_at=work.now))


def _mark_waiting(work: Work, tag: Tag) -> None:
    """Mark everybody whose tag waited for its id, or was only watched and is so no more."""
    states = ("pending",) if work.watches(MarkTag.sender) else ("pending", "watched")
    waiting = (
        select(RelationTag, Relation)
        .join(Relation, Relation.id == RelationTag.relation_id)
        .where(RelationTag.tag_id == tag.id, RelationTag.at_wecom.in_(states), Relation.state == "active")
    )
    for row, relation in work.db.execute(waiting).all():
        if row.at_wecom == "watched":
            row.at_wecom, row.round = "pending", row.round + 1
        _ask(work, relation, tag, row)


def _first_group(answer: dict[str, Any]) -> dict[str, Any]:
    group = answer.get("tag_group")
    if isinstance(group, list):
        group = group[0] if group else None
    return group if isinstance(group, dict) else {}


def tag_marked(work: Work, command: MarkTag, refusal: str | None) -> None:
    """Write down that WeCom shows the tags now, or why it refused."""
    rows = (
        select(RelationTag)
        .join(Relation, Relation.id == RelationTag.relation_id)
        .where(
            Relation.userid == command.userid,
            Relation.external_userid == command.external_userid,
            RelationTag.tag_id.in_(command.tag_ids),
        )
    )
    for row in work.db.scalars(rows):
        row.at_wecom, row.detail, row.changed_at = ("refused" if refusal else "done"), refusal, work.now


def mirror(work: Work, corp_tags: Iterable[CorpTag]) -> int:
    """Take over WeCom's corp tags: new ones are kept, known ones learn their id, gone ones lose it. Their count."""
    seen = {one.id: one for one in corp_tags}
    for tag in work.db.scalars(select(Tag).where(Tag.wecom_id.is_not(None))).all():
        if tag.wecom_id not in seen:
            tag.wecom_id = tag.wecom_group_id = None
    work.db.flush()
    for one in seen.values():
        known = work.db.scalars(select(Tag).where(Tag.wecom_id == one.id)).one_or_none()
        tag = known or tag_named(work, one.group_name[:MAX_NAME] or "未分组", one.name[:MAX_NAME] or one.id[:MAX_NAME])
        tag.wecom_id, tag.wecom_group_id = one.id, one.group_id
        if known is None:
            _mark_waiting(work, tag)
    return len(seen)


def page(db: Session, *, limit: int, after: int = 0) -> tuple[list[tuple[Tag, int]], int | None]:
    """One page of the living tags with how many people have each, oldest first, and where the next page begins."""
    own = select(Tag).where(Tag.deleted_at.is_(None), Tag.id > after).order_by(Tag.id).limit(limit + 1)
    found = db.scalars(own).all()
    more, found = len(found) > limit, found[:limit]
    counted = select(PersonTag.tag_id, func.count()).where(PersonTag.tag_id.in_([tag.id for tag in found]))
    people = dict(db.execute(counted.group_by(PersonTag.tag_id)).all())
    return [(tag, people.get(tag.id, 0)) for tag in found], (found[-1].id if more else None)


def seen_at_wecom(work: Work, person: Person, relation: Relation, wecom_ids: Iterable[str]) -> None:
    """Keep the corp tags that WeCom shows on this relation and we do not know of yet."""
    ids = [one for one in wecom_ids if one]
    if not ids:
        return
    leaving = set(
        work.db.scalars(
            select(RelationTag.tag_id).where(
                RelationTag.relation_id == relation.id, RelationTag.wanted.is_(False), RelationTag.at_wecom == "pending"
            )
        )
    )
    for tag in work.db.scalars(select(Tag).where(Tag.wecom_id.in_(ids), Tag.id.not_in(leaving))).all():
        row = {
            "person_id": person.id,
            "tag_id": tag.id,
            "source": "wecom",
            "because": BECAUSE_AT_WECOM,
            "inbox_id": work.inbox_id,
            "at": work.now,
        }
        insert_new(work.db, PersonTag, [row], ["person_id", "tag_id"])
        shown = {"relation_id": relation.id, "tag_id": tag.id, "at_wecom": "done", "wanted": True, "round": 1}
        insert_new(work.db, RelationTag, [{**shown, "changed_at": work.now}], ["relation_id", "tag_id"])

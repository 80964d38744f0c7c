"""Our tags at WeCom: made there on demand, marked on each living relation, and what WeCom shows written down.

A tag at WeCom hangs on one relation and needs WeCom's own id. So: the tag is made there on demand (``AddCorpTag``),
then marked (``MarkTag``) on each relation; ``relation_tag`` says for each whether WeCom shows it, or why not.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.database import insert_new
from storage.tables import PersonTag, Relation, RelationTag, Tag
from storage.work import Work
from wecom.commands import AddCorpTag, DeleteCorpTags, EditCorpTag, MarkTag


def ensure_at_wecom(work: Work, tag: Tag) -> None:
    """Ask WeCom for the tag unless it has it or was asked."""
    if tag.wecom_id is None:
        command = AddCorpTag(tag.group_name, tag.name, tag.id)
        work.ask_again(command, stem=f"corp-tag:{tag.id}", key=f"corp-tags:{tag.group_name}")


def push(work: Work, relation: Relation, tags: Iterable[Tag]) -> None:
    """Bring these tags to WeCom on one relation. While it is half added WeCom would refuse: then they wait for it."""
    for tag in tags:
        wish(work, relation, tag, wanted=True)


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


def living(db: Session, person_id: int) -> Sequence[Relation]:
    """The relations on which WeCom can show a tag, now or once the rep has accepted."""
    return db.scalars(
        select(Relation).where(Relation.person_id == person_id, Relation.state.in_(("active", "half")))
    ).all()


def unpush(work: Work, person_id: int, tag: Tag) -> None:
    """Take a tag off every relation of a person; an ended one too: it may come to life again."""
    for relation in work.db.scalars(select(Relation).where(Relation.person_id == person_id)).all():
        wish(work, relation, tag, wanted=False)


def wish(work: Work, relation: Relation, tag: Tag, *, wanted: bool) -> None:
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


def rename(work: Work, tag: Tag, name: str) -> None:
    """Ask WeCom to call a tag so. Only tags of our own making may be renamed there."""
    if tag.wecom_id is not None:
        command = EditCorpTag(tag.wecom_id, name, tag.id)
        work.ask_again(command, stem=f"edit-tag:{tag.id}:{name}", key=f"corp-tags:{tag.group_name}")


def delete(work: Work, tag: Tag) -> None:
    """Ask WeCom to delete a tag; it goes from every customer there by itself."""
    if tag.wecom_id is not None:
        command = DeleteCorpTags([tag.wecom_id])
        work.ask(command, once=f"delete-tag:{tag.wecom_id}", key=f"corp-tags:{tag.group_name}")


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
    tag.made_here = command.tag_name in {str(one.get("name")) for one in group.get("tag") or [] if not one.get("known")}
    mark_waiting(work, tag)


def tag_refused(work: Work, command: AddCorpTag, refusal: str) -> None:
    """WeCom does not want this tag: whoever waits for it shows why."""
    waiting = update(RelationTag).where(RelationTag.tag_id == command.tag_id, RelationTag.at_wecom == "pending")
    work.db.execute(waiting.values(at_wecom="refused", detail=refusal, changed_at=work.now))


def mark_waiting(work: Work, tag: Tag) -> None:
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

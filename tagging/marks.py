"""Our tags at WeCom: made there on demand, marked on each living relation, and what WeCom shows written down.

A tag at WeCom hangs on one relation and needs WeCom's own id. So: the tag is made there on demand (``AddCorpTag``),
then marked (``MarkTag``) on each relation; ``relation_tag`` says for each whether WeCom shows it, or why not.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Engine, or_, select, update
from sqlalchemy.orm import Session

from storage.database import one_of, reading, transaction
from storage.outbox import OPEN_STATES, Wish
from storage.rows import insert_new, upsert
from storage.tables import Member, OutboxRow, PersonTag, Progress, Relation, RelationTag, Tag
from storage.work import Work
from wecom.commands import AddCorpTag, DeleteCorpTags, EditCorpTag, MarkTag

PORTION = 500
"""Relations that are marked in one transaction."""
PREFIX = "marks:"
"""Begins the name of what says how far the marking of a tag has come."""


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


def bring_in_line(work: Work, person_id: int) -> None:
    """Let WeCom show on every living relation of a person the tags they have, and no others of ours.

    After relations have come to a person, or left one (``people.merging``).
    """
    own = select(PersonTag.tag_id).where(PersonTag.person_id == person_id)
    for relation in living(work.db, person_id):
        push_all(work, relation)
        stale = select(Tag).join(RelationTag, RelationTag.tag_id == Tag.id)
        stale = stale.where(RelationTag.relation_id == relation.id, RelationTag.wanted.is_(True), Tag.id.not_in(own))
        for tag in work.db.scalars(stale).all():
            wish(work, relation, tag, wanted=False)


def gone_at_wecom(work: Work, relation: Relation, *, but_shown: Collection[str] = ()) -> None:
    """The rep deleted the customer, and WeCom the tags between them: they are brought again when the two meet again.

    ``but_shown``: WeCom's ids of tags that it does show on them.
    """
    wanted = (RelationTag.relation_id == relation.id, RelationTag.wanted.is_(True))
    gone = select(RelationTag).join(Tag, Tag.id == RelationTag.tag_id).where(*wanted)
    gone = gone.where(or_(Tag.wecom_id.is_(None), Tag.wecom_id.not_in(but_shown)))
    for row in work.db.scalars(gone).all():
        row.at_wecom, row.round, row.changed_at = "pending", row.round + 1, work.now
    work.db.flush()
    if relation.state == "active":
        push_all(work, relation)


def living(db: Session, person_id: int) -> Sequence[Relation]:
    """The relations on which WeCom can show a tag, now or once the rep has accepted; not those of reps who left."""
    own = select(Relation).outerjoin(Member, Member.userid == Relation.userid)
    alive = (Relation.state.in_(("active", "half")), Member.left_at.is_(None))
    return db.scalars(own.where(Relation.person_id == person_id, *alive)).all()


def unpush(work: Work, person_ids: Collection[int], tag: Tag) -> None:
    """Take a tag off every relation of these people; off ended ones too: they may come to life again.

    In a few statements, however many people they are.
    """
    theirs = select(Relation.id).where(Relation.person_id.in_(person_ids))
    shown = (RelationTag.tag_id == tag.id, RelationTag.relation_id.in_(theirs))
    changed = {"wanted": False, "at_wecom": "pending", "round": RelationTag.round + 1, "changed_at": work.now}
    unwanted = update(RelationTag).where(*shown, RelationTag.wanted.is_(True)).values(**changed)
    ids = work.db.scalars(unwanted.returning(RelationTag.id)).all()
    if tag.wecom_id is None or not ids:
        return
    living = (
        select(RelationTag, Relation)
        .join(Relation, Relation.id == RelationTag.relation_id)
        .where(RelationTag.id.in_(ids), Relation.state == "active")
        .execution_options(populate_existing=True)
    )
    wishes = [_mark(work, relation, tag, row) for row, relation in work.db.execute(living).all()]
    if work.watches(MarkTag.sender):
        work.db.execute(update(RelationTag).where(RelationTag.id.in_(ids)).values(at_wecom="watched"))
    work.ask_many(wishes)


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
    work.ask_many([_mark(work, relation, tag, row)])


def _mark(work: Work, relation: Relation, tag: Tag, row: RelationTag) -> Wish:
    """The call that brings WeCom to what we wish."""
    marks: dict[str, Any] = {"add_tag": [tag.wecom_id]} if row.wanted else {"remove_tag": [tag.wecom_id]}
    command = MarkTag(relation.userid, relation.external_userid, tag_ids=[tag.id], **marks)
    once = f"mark:{relation.id}:{tag.wecom_id}:{row.round}"  # a tag deleted at WeCom and made anew begins anew
    return Wish(command, once, f"relation:{relation.userid}:{relation.external_userid}", cause=work.cause)


def rename(work: Work, tag: Tag, name: str) -> None:
    """Ask WeCom to call a tag so. Only tags of our own making may be renamed there."""
    if tag.wecom_id is not None:
        command = EditCorpTag(tag.wecom_id, name, tag.id)
        work.ask_again(command, stem=f"edit-tag:{tag.id}:{name}", key=f"corp-tags:{tag.group_name}")


def delete(work: Work, tag: Tag) -> None:
    """Ask WeCom to delete a tag; it goes from every customer there by itself."""
    if tag.wecom_id is not None:
        command = DeleteCorpTags([tag.wecom_id])
        work.ask_again(command, stem=f"delete-tag:{tag.wecom_id}", key=f"corp-tags:{tag.group_name}")


def leaving(db: Session) -> set[str]:
    """WeCom's ids of the tags that it is being asked to delete."""
    under_way = (one_of(OutboxRow.state.expression, OPEN_STATES), OutboxRow.name == DeleteCorpTags.name)
    return {str(one) for body in db.scalars(select(OutboxRow.body).where(*under_way)) for one in body["tag_id"]}


def tag_made(work: Work, command: AddCorpTag, answer: dict[str, Any]) -> None:
    """WeCom has the tag now: keep its id and mark everybody who waited for it."""
    tag = work.db.get(Tag, command.tag_id)
    if tag is None:
        return
    group = _first_group(answer)
    made = next((one for one in group.get("tag") or [] if str(one.get("name")) == command.tag_name), None)
    if made is None:
        raise ValueError("WeCom answered add_corp_tag without the tag")
    tag.wecom_id, tag.wecom_group_id = str(made.get("id")), str(group.get("group_id") or "") or None
    tag.order, tag.group_order = int(made.get("order") or 0), int(group.get("order") or 0)
    tag.made_here = not made.get("known")
    mark_waiting(work, tag)


def tag_refused(work: Work, command: AddCorpTag, refusal: str) -> None:
    """WeCom does not want this tag: whoever waits for it shows why."""
    waiting = update(RelationTag).where(RelationTag.tag_id == command.tag_id, RelationTag.at_wecom == "pending")
    work.db.execute(waiting.values(at_wecom="refused", detail=refusal, changed_at=work.now))


def mark_waiting(work: Work, tag: Tag) -> None:
    """Mark everybody whose tag waited for its id, or was only watched and is so no more.

    The first of them now; where there are many, ``go_on`` marks the rest, so that nobody who writes waits long.
    """
    after = _mark_some(work, tag, 0)
    if after is not None:
        rest = {"name": f"{PREFIX}{tag.id}", "state": "running", "at": {"after": after}, "done": 0}
        rows = [{**rest, "started_at": work.now, "changed_at": work.now}]
        upsert(work.db, Progress, rows, ["name"], ["state", "at", "started_at", "changed_at"])


def _mark_some(work: Work, tag: Tag, after: int) -> int | None:
    """Mark a portion of those that wait; after which row the next begins, None when these were the last."""
    watched = work.watches(MarkTag.sender)
    states = ("pending",) if watched else ("pending", "watched")
    waiting = (
        select(RelationTag, Relation)
        .join(Relation, Relation.id == RelationTag.relation_id)
        .where(RelationTag.tag_id == tag.id, RelationTag.at_wecom.in_(states), Relation.state == "active")
        .where(RelationTag.id > after)
    )
    found = work.db.execute(waiting.order_by(RelationTag.id).limit(PORTION)).all()
    for row, _ in found:
        if watched:
            row.at_wecom = "watched"
        elif row.at_wecom == "watched":
            row.at_wecom, row.round = "pending", row.round + 1
    work.ask_many([_mark(work, relation, tag, row) for row, relation in found])
    return found[-1][0].id if len(found) == PORTION else None


def go_on(engine: Engine, open_work: Callable[[Session], Work], stopping: Callable[[], bool]) -> int:
    """Mark the rest of those that waited, until all are marked or we are to stop; how many portions."""
    portions = 0
    while not stopping():
        with reading(engine) as db:
            own = select(Progress.name).where(Progress.name.startswith(PREFIX), Progress.state == "running")
            name = db.scalars(own.order_by(Progress.started_at).limit(1)).first()
        if name is None:
            break
        with transaction(engine) as db:
            _go_on_with(open_work(db), name)
        portions += 1
    return portions


def _go_on_with(work: Work, name: str) -> None:
    progress = work.db.get(Progress, name, with_for_update=True)
    if progress is None:
        return
    tag = work.db.get(Tag, int(name.removeprefix(PREFIX)))
    after = _mark_some(work, tag, int(progress.at["after"])) if tag is not None and tag.wecom_id is not None else None
    if after is None:
        work.db.delete(progress)
    else:
        progress.at, progress.changed_at = {"after": after}, work.now


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

"""A member goes by another userid: WeCom lets it be changed once, and everything that names them follows.

Every column in which one of ours may be named is decided here: ``NAMES`` and ``WITHIN`` say where, ``STAYS`` why it is
left as it was. A new column fails a test until it stands in one of them, or the test knows that it names nobody.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import Table, Text, UniqueConstraint, delete, literal, select, update
from sqlalchemy import cast as as_type
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from people import persons
from storage import outbox
from storage.tables import (
    Answer,
    ApiKey,
    Approval,
    ApprovalWord,
    Base,
    BlockedValue,
    Broadcast,
    BulkJob,
    Campaign,
    Channel,
    ChannelSeat,
    Conversation,
    Department,
    Erasure,
    Evidence,
    Gift,
    GroupBuy,
    GroupChat,
    GroupMember,
    Handover,
    InboundDoor,
    Interaction,
    Interval,
    Journey,
    JourneyVersion,
    KfAccount,
    MassTask,
    Material,
    Member,
    OwnVisit,
    Pace,
    Person,
    PersonalTag,
    PersonTag,
    PointsRules,
    Progress,
    Redemption,
    Relation,
    RelationFact,
    RelationTag,
    RepCard,
    RepDay,
    Review,
    Reward,
    Segment,
    Setting,
    Settlement,
    ShopOrder,
    SyncRun,
    TagGround,
    TagRule,
    TagRuleVersion,
    Task,
    Touch,
    TrackedLink,
    Unassigned,
    User,
    Verdict,
    Webhook,
    Welcome,
)
from storage.work import Work

Column = InstrumentedAttribute[Any]

NAMES: tuple[Column, ...] = (
    Relation.userid,
    Interval.userid,
    Interaction.userid,
    Person.owner,
    Person.opted_out_by,
    Task.userid,
    Task.created_by,
    PersonTag.actor,
    TagGround.actor,
    Conversation.servicer,
    GroupChat.owner,
    GroupMember.member,
    Handover.giver,
    Handover.taker,
    Handover.by,
    Unassigned.giver,
    RepDay.userid,
    Pace.userid,
    ChannelSeat.userid,
    Channel.created_by,
    TagRule.created_by,
    TagRule.changed_by,
    TagRuleVersion.by,
    Answer.created_by,
    BulkJob.by,
    BulkJob.confirmed_by,
    SyncRun.by,
    Erasure.by,
    ApiKey.created_by,
    Approval.made_by,
    Approval.hand,
    ApprovalWord.said_by,
    ApprovalWord.hand,
    Setting.changed_by,
    Segment.created_by,
    Segment.changed_by,
    Broadcast.made_by,
    Broadcast.approved_by,
    Broadcast.stopped_by,
    MassTask.userid,
    Touch.userid,
    RepCard.userid,
    RepCard.ended_by,
    TrackedLink.userid,
    OwnVisit.opened_by,
    Material.made_by,
    Material.changed_by,
    Journey.made_by,
    Journey.changed_by,
    JourneyVersion.by,
    Verdict.by,
    BlockedValue.by,
    Review.made_by,
    Review.asked_by,
    Review.decided_by,
    ShopOrder.staff,
    ShopOrder.claimed_by,
    PointsRules.made_by,
    Campaign.made_by,
    Webhook.made_by,
    InboundDoor.made_by,
    Reward.made_by,
    Redemption.made_by,
    Redemption.ended_by,
    Settlement.made_by,
    Gift.made_by,
    GroupBuy.made_by,
)
"""Columns that are a userid (or, where others may act too, can be one)."""
WITHIN: tuple[tuple[Column, tuple[str, ...]], ...] = (
    (KfAccount.servicers, ()),
    (Progress.at, ("by", "members", "spare")),
    (Channel.at_wecom, ()),
    (Channel.timetable, ("members",)),
    (TagRule.scope, ("reps",)),
    (Segment.filter, ("value",)),
    (Broadcast.filter, ("value",)),
    (Journey.draft, ("value", "reps")),
    (Person.own, ("owner", "opted_out_by")),
    (Campaign.audience, ("value",)),
    (Member.superiors, ()),
    (Department.leaders, ()),
    (Interaction.details, ("by", "to", "from", "servicer", "recalled_by")),
)
"""JSON that holds userids, and under which names; without one its elements, or its own names, are userids."""
APART: tuple[Column, ...] = (Member.userid, User.userid, Welcome.userid, Evidence.source)
"""Userids that follow in a way of their own (and so do the calls that still wait: ``outbox.rename_rep``)."""
STAYS: Mapping[str, str] = MappingProxyType(
    {
        "attempt.userid": "what somebody typed",
        "audit.actor": "the books cannot be changed",
        "audit.details": "the books cannot be changed",
        "journey_version.definition": "what was published then",
        "mass_task.key": "what it was planned as; who it is for stands beside",
        "outbox.body": "what was asked; what still waits follows",
        "points_forecast.published_by": "the books cannot be changed",
        "points_rules.definition": "what was decided then",
        "points_txn.actor": "the books cannot be changed",
        "sync_run.report": "what was found then",
        "tag_rule_version.said": "what the rule said then",
    }
)
HELD_FIRST = (KfAccount, BulkJob, Progress)
"""Whoever works on these holds them and then people: so do we, or we would wait for each other."""
OF_RELATIONS: tuple[tuple[type[Base], tuple[str, ...]], ...] = (
    (RelationFact, ("kind", "at")),
    (RelationTag, ("tag_id",)),
    (PersonalTag, ("group_name", "name")),
)
"""What hangs on a relation, and by what two rows of it are the same. (Intervals are folded anew.)"""


def rename(work: Work, old: str, new: str) -> None:
    """Let everything that names ``old`` name ``new``.

    Events may have come under the new name already; then two relations of one customer are one from now on.
    """
    db = work.db
    if old == new:
        return
    _follow(work, old, new, first=True)
    own = select(Relation.person_id).where(Relation.userid == old)
    db.execute(select(Person.id).where(Person.id.in_(own)).order_by(Person.id).with_for_update(key_share=True))
    _rename_member(db, old, new)
    merged = _merge_relations(db, old, new)
    _follow(work, old, new, first=False)
    if db.scalar(select(User.id).where(User.userid == new)) is None:
        db.execute(update(User).where(User.userid == old).values(userid=new))
    outbox.rename_rep(db, old, new)
    db.execute(update(Evidence).where(Evidence.source == f"rep:{old}").values(source=f"rep:{new}"))
    for person in db.scalars(select(Person).where(Person.id.in_(merged))).all():
        persons.refold(work, person)
    db.flush()
    greeted = select(Welcome.id).where(Welcome.userid == old).order_by(Welcome.id).with_for_update()
    db.scalars(greeted).all()  # last, and in order: whoever settles a welcome locks it too
    db.execute(update(Welcome).where(Welcome.userid == old).values(userid=new))


def _rename_member(db: Session, old: str, new: str) -> None:
    known, already = db.get(Member, old), db.get(Member, new)
    if known is not None and already is not None:
        already.serves = already.serves or known.serves
        db.delete(known)
    elif known is not None:
        known.userid = new
    db.flush()


def _merge_relations(db: Session, old: str, new: str) -> set[int]:
    """Where a customer has relations under both names, the older one takes in the facts of the younger; the people."""
    young = aliased(Relation)
    both = select(Relation, young).join(young, young.external_userid == Relation.external_userid)
    merged = set()
    for kept, gone in db.execute(both.where(Relation.userid == old, young.userid == new)).all():
        for table, same in OF_RELATIONS:
            _move(db, table, same, gone.id, kept.id)
        db.execute(delete(Interval).where(Interval.relation_id == gone.id))
        db.execute(delete(Relation).where(Relation.id == gone.id))
        merged.add(kept.person_id)
    return merged


def _move(db: Session, table: Any, same: Sequence[str], gone: int, kept: int) -> None:
    """Move the rows of one relation to another that it does not have yet; the rest goes."""
    twin = aliased(table)
    alike = [getattr(twin, name) == getattr(table, name) for name in same]
    known = select(twin.id).where(twin.relation_id == kept, *alike).exists()
    db.execute(delete(table).where(table.relation_id == gone, known))
    db.execute(update(table).where(table.relation_id == gone).values(relation_id=kept))


# --- columns ---------------------------------------------------------------------------------------------------------


def _follow(work: Work, old: str, new: str, *, first: bool) -> None:
    """Rename in the columns of the tables that are held first, or in all others."""
    for column in NAMES:
        if (column.class_ in HELD_FIRST) == first:
            _rename_column(work.db, column, old, new)
    for column, names in WITHIN:
        if (column.class_ in HELD_FIRST) == first:
            _rename_within(work, column, names, old, new)


def _rename_column(db: Session, column: Column, old: str, new: str) -> None:
    """Where only one row may be so, the one that stands under the new name already stays."""
    table: Any = column.class_
    for key in _unique_keys(table):
        if column.key in key:
            twin = aliased(table)
            same = [getattr(twin, one) == getattr(table, one) for one in key if one != column.key]
            double = select(literal(1)).select_from(twin).where(getattr(twin, column.key) == new, *same).exists()
            db.execute(delete(table).where(column == old, double))
    db.execute(update(table).where(column == old).values({column: new}))


def _unique_keys(table: type[Base]) -> Iterable[list[str]]:
    own = cast(Table, table.__table__)
    together = (one for one in own.constraints if isinstance(one, UniqueConstraint))
    return [[column.key for column in key.columns] for key in (own.primary_key, *together)]


def _rename_within(work: Work, column: Column, names: Sequence[str], old: str, new: str) -> None:
    table: Any = column.class_
    named = select(table).where(as_type(column, Text).contains(json.dumps(old), autoescape=True))
    for row in work.db.scalars(named.with_for_update().execution_options(populate_existing=True)).all():
        setattr(row, column.key, _renamed(getattr(row, column.key), names, old, new, here=not names))
        if isinstance(row, TagRule):
            row.changed_at = work.now  # so that no process goes on with the rule as it was
    work.db.flush()


def _renamed(value: Any, names: Sequence[str], old: str, new: str, *, here: bool) -> Any:
    """The same JSON with the other userid in its place; ``here``: whether this very part holds userids."""
    if isinstance(value, dict):
        parts = {key: _renamed(one, names, old, new, here=key in names) for key, one in value.items()}
        return {new if here and key == old else key: one for key, one in parts.items()}
    if isinstance(value, list):
        changed = [_renamed(one, names, old, new, here=here) for one in value]
        return list(dict.fromkeys(changed)) if here else changed
    return new if here and value == old else value

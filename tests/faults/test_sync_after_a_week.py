"""F25: everything of ours stands still for a week while the corp goes on living; one sync, and our copy is WeCom's."""

from typing import Any

import pytest
from sqlalchemy import event

from sandbox.clock import ManualClock
from sandbox.facts import READABLE
from sandbox.world import World
from scheduler.reconcile import Reconcile
from scheduler.reconcile_report import Report
from soak import many
from storage.tables import (
    Department,
    GroupChat,
    GroupMember,
    Interaction,
    Member,
    Person,
    PersonalTag,
    Relation,
    RelationTag,
    SyncRun,
    Tag,
    Welcome,
)
from tests.shop import START, Shop, build_shop, close_shop

READS = ("get", "list", "batch", "department", "user/")
ACTS = many(25, 40)
"""A day."""
SETTLES = 15
"""Minutes: what happened so lately may still be on its way, and is not touched."""


def lively(seed: int) -> World:
    world = World.demo(ManualClock(START), seed=seed)
    world.make_way(["lisi", "wangwu"], "counter", remark="柜台")
    world.populate(40)
    world.events.clear()
    return world


def in_no_fear_of_power_cuts(shop: Shop) -> None:
    """Saves this file a third of its time."""

    @event.listens_for(shop.parts.engine, "connect")
    def trust(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    shop.parts.engine.dispose()


def sync(shop: Shop, *, dry: bool = False) -> Report:
    parts = shop.parts
    run = Reconcile(
        parts.engine, parts.gateway, parts.clock, parts.zone, stopping=lambda: False, sleep=shop.clock.advance
    ).run(by="test", dry=dry)
    assert run.state == "done"
    return Report.read(run.report)


# --- the whole of what the API can tell ------------------------------------------------------------------------------


def told(world: World) -> dict[str, Any]:
    """What WeCom would answer, subject by subject."""
    serving = {one.userid for one in world.members.values() if one.can_have_customers()}
    left = {one.userid for one in world.members.values() if not one.in_range}
    named = {row.userid for row in world.relations.all() if row.userid in left and row.status in READABLE}
    return {
        "members": {
            one.userid: (one.name, list(one.departments), list(one.leads), list(one.direct_leader), one.position)
            for one in world.members.values()
            if one.in_range
        },
        "departments": {
            one.id: (one.name, one.parent_id or None, one.order, list(one.leaders))
            for one in world.departments.values()
        },
        "tags": {tag.id: (group.name, tag.name, tag.order, group.order) for group, tag in world.tags.values()},
        "relations": {
            (row.userid, row.external_userid): (
                row.createtime,
                row.remark or row.customer.name,
                row.description,
                list(row.mobiles),
                row.add_way,
                {one for one in row.tag_ids if one in world.tags},
                set(row.personal_tags),
            )
            for row in world.relations.all()
            if row.userid in serving | named and row.status in READABLE
        },
        "customers": {
            row.external_userid: (row.customer.name, row.customer.gender, row.customer.type)
            for row in world.relations.all()
            if row.userid in serving and row.status in READABLE
        },
        "groups": {
            chat[-1].chat_id: (
                chat[-1].name,
                chat[-1].owner,
                {(one.id, one.join_time, one.name) for one in chat[-1].members},
            )
            for chat in world.groups.values()
        },
    }


def held(shop: Shop, only: dict[str, Any]) -> dict[str, Any]:
    """What we hold, in the same words; of members who left what WeCom still tells."""
    told_of = {userid for userid, _ in only["relations"]}
    with shop.db() as db:
        members = db.query(Member).filter(Member.left_at.is_(None)).all()
        serving = {one.userid for one in members if one.serves}
        wecom_ids = {one.id: one.wecom_id for one in db.query(Tag).filter(Tag.wecom_id.is_not(None))}
        tags: dict[int, set[str]] = {}
        for row in db.query(RelationTag).filter(RelationTag.wanted, RelationTag.at_wecom == "done"):
            tags.setdefault(row.relation_id, set()).add(str(wecom_ids[row.tag_id]))
        personal: dict[int, set[tuple[str, str]]] = {}
        for mine in db.query(PersonalTag):
            personal.setdefault(mine.relation_id, set()).add((mine.group_name, mine.name))
        listed = db.query(Relation).filter(Relation.state.in_(("active", "ended_by_customer"))).all()
        relations = [one for one in listed if one.userid in serving | told_of]
        people = {one.external_userid: db.get_one(Person, one.person_id) for one in relations if one.userid in serving}
        inside: dict[str, set[tuple[str, int, str]]] = {}
        for stay in db.query(GroupMember).filter(GroupMember.left_at.is_(None)):
            inside.setdefault(stay.chat_id, set()).add((stay.member, int(stay.joined_at.timestamp()), stay.name))
        return {
            "members": {
                one.userid: (one.name, one.departments, one.leads, one.superiors, one.position) for one in members
            },
            "departments": {
                one.id: (one.name, one.parent_id, one.order, one.leaders) for one in db.query(Department).all()
            },
            "tags": {
                str(one.wecom_id): (one.group_name, one.name, one.order, one.group_order)
                for one in db.query(Tag).filter(Tag.wecom_id.is_not(None))
            },
            "relations": {
                (one.userid, one.external_userid): (
                    int(one.added_at.timestamp()) if one.added_at else None,
                    one.remark,
                    one.description,
                    one.remark_phones,
                    one.add_way,
                    tags.get(one.id, set()),
                    personal.get(one.id, set()),
                )
                for one in relations
            },
            "customers": {external: (one.name, one.gender, one.kind) for external, one in people.items()},
            "groups": {
                one.chat_id: (one.name, one.owner, inside.get(one.chat_id, set()))
                for one in db.query(GroupChat).filter(GroupChat.dismissed_at.is_(None))
            },
        }


def compare(shop: Shop) -> None:
    theirs = told(shop.world)
    ours = held(shop, theirs)
    for subject in theirs:
        assert ours[subject] == theirs[subject], subject
    serving = {one.userid for one in shop.world.members.values() if one.can_have_customers()}
    with shop.db() as db:
        stuck = (
            db.query(RelationTag, Relation)
            .join(Relation, Relation.id == RelationTag.relation_id)
            .filter(RelationTag.at_wecom != "done", Relation.state == "active", Relation.userid.in_(serving))
        )
        assert [(row.at_wecom, row.detail) for row, _ in stuck] == []


def writes(world: World, after: int) -> list[str]:
    """Calls since then that were meant to change something."""
    names = [call.path for call in list(world.calls)[after:]]
    return [one for one in names if not any(word in one for word in READS)]


# --- the week --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(many(3, 200)))
def test_after_a_week_of_silence_one_sync_makes_our_copy_wecoms(sqlite_url: str, seed: int) -> None:
    print(f"seed {seed}")
    shop = build_shop(sqlite_url, lively(seed))
    in_no_fear_of_power_cuts(shop)
    try:
        shop.open_for_business()
        shop.channel(tags=(("来源", "抖音"), ("口味", "拿铁")))
        sync(shop)
        shop.catch_up()
        shop.world.random_week(seed, days=1, acts_a_day=ACTS, heard=True)
        shop.catch_up()
        welcomed = len(shop.world.sent)

        shop.world.random_week(1000 + seed, days=7, acts_a_day=ACTS, heard=False)
        shop.advance(minutes=SETTLES)
        before = held(shop, told(shop.world))
        foreseen = sync(shop, dry=True)
        assert held(shop, told(shop.world)) == before
        report = sync(shop)
        assert report.different >= foreseen.of("relations").different > 0
        assert report.fixed == report.different, report.as_json()
        shop.catch_up()
        compare(shop)
        assert len(shop.world.sent) == welcomed

        shop.advance(minutes=SETTLES)
        calls = len(shop.world.calls)
        again = sync(shop)
        shop.catch_up()
        assert again.different == 0, again.as_json()
        assert writes(shop.world, calls) == []
        compare(shop)
        check_the_story(shop)
    finally:
        close_shop(shop)


def check_the_story(shop: Shop) -> None:
    """Whoever was found has a line that says so, and a reason for the missing welcome."""
    found = [one for one in shop.rows(Interaction, Interaction.kind == "added") if one.details.get("found") == "sync"]
    assert found
    unwelcomed = shop.rows(Welcome, Welcome.detail.contains("核对时才发现"))
    assert unwelcomed
    assert {one.state for one in shop.rows(SyncRun)} == {"done"}

"""F25: everything of ours stands still for a week while the corp goes on living; one sync, and our copy is WeCom's."""

import random
from typing import Any

import pytest
from sqlalchemy import event

from sandbox.chance import DEEDS, Days
from sandbox.clock import ManualClock
from sandbox.facts import READABLE
from sandbox.world import World
from scheduler import reconcile_relations
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

    if shop.parts.engine.dialect.name != "sqlite":
        return

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
    a_week(sqlite_url, seed)


@pytest.mark.parametrize("seed", range(300, 300 + many(1, 30)))
def test_it_does_so_on_postgresql(postgres_url: str, seed: int) -> None:
    a_week(postgres_url, seed)


def a_week(url: str, seed: int) -> None:
    print(f"seed {seed}")
    shop = build_shop(url, lively(seed))
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


# --- amid life -------------------------------------------------------------------------------------------------------


HEARD = ("arrive", "second rep", "customer leaves", "rep deletes", "return", "tag", "personal tag", "talk")
HEARD += ("new tag", "rename tag", "open group", "join group", "leave group", "leave")
"""What WeCom tells of by an event; edits of phone numbers alone it does not."""


@pytest.mark.parametrize("seed", range(many(2, 100)))
def test_a_sync_amid_a_lively_day_mistakes_nothing(sqlite_url: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its pages customers come and go, and every callback is heard: what it read before is old by then."""
    print(f"seed {seed}")
    monkeypatch.setattr(reconcile_relations, "RELATIONS_A_GROUP", 15)
    shop = build_shop(sqlite_url, lively(seed))
    in_no_fear_of_power_cuts(shop)
    try:
        shop.open_for_business()
        shop.channel(tags=(("来源", "抖音"),))
        shop.world.faults.short_page = 0.7
        days = Days(shop.world, random.Random(seed))
        asked = shop.parts.gateway.relations

        def amid_life(userids: list[str], cursor: str = "") -> Any:
            page = asked(userids, cursor)
            for name in days.chance.choices(HEARD, k=3):
                shop.clock.advance(days.chance.uniform(1, 30))
                DEEDS[name][1](days)
            shop.catch_up()
            return page

        shop.parts.gateway.relations = amid_life  # type: ignore[method-assign]
        sync(shop)
        shop.advance(seconds=10)
        shop.catch_up()
        compare(shop)
        assert [one for one in shop.rows(Interaction) if one.details.get("found") == "sync"] == []
    finally:
        close_shop(shop)

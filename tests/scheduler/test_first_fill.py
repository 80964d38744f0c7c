"""What a corp had before we came: everybody is taken over, nobody is taken for a newcomer."""

from collections.abc import Iterator
from typing import Any

import pytest

from people import today
from people.access import Sight
from sandbox.clock import ManualClock
from sandbox.world import World
from scheduler.first_fill import NAME, FirstFill
from soak import many
from storage.tables import (
    Channel,
    Identity,
    Interaction,
    Interval,
    Member,
    OutboxRow,
    Person,
    PersonTag,
    Progress,
    Relation,
    RelationFact,
    RelationTag,
    Welcome,
)
from tests.faults.crashes import Died, Reaper
from tests.shop import START, Shop, build_shop, close_shop, event_xml

BATCH, MARK = "externalcontact/batch/get_by_user", "externalcontact/mark_tag"
PEOPLE = many(2000, 20_000)


def old_corp(relations: int, members: int = 0, tags_each: int = 2) -> World:
    world = World.small_shop(ManualClock(START), seed=7)
    world.console_tags("口味", ("美式", "拿铁", "手冲"))
    world.populate(relations, members=members, tags_each=tags_each)
    world.make_way(("lisi",), "old-code", remark="老门店")
    world.events.clear()
    return world


@pytest.fixture
def corp(database_url: str) -> Iterator[Shop]:
    shop = build_shop(database_url, old_corp(PEOPLE))
    yield shop
    close_shop(shop)


@pytest.fixture
def small(sqlite_url: str) -> Iterator[Shop]:
    shop = build_shop(sqlite_url, old_corp(450))
    yield shop
    close_shop(shop)


class Pages:
    """Stops a fill after so many pages."""

    def __init__(self, shop: Shop, pages: int | None = None) -> None:
        self.shop, self.left, self.slept = shop, pages, 0.0

    def stopping(self) -> bool:
        if self.left is None:
            return False
        self.left -= bool(self.shop.world.calls_to(BATCH))
        return self.left <= 0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.shop.clock.advance(seconds)

    def run(self) -> bool:
        parts = self.shop.parts
        return FirstFill(
            parts.engine, parts.gateway, parts.clock, parts.zone, stopping=self.stopping, sleep=self.sleep
        ).run()


def compare(shop: Shop, count: int) -> None:
    """Our copy is WeCom's, relation for relation."""
    theirs = {
        (row.external_userid, row.userid, row.createtime, tuple(sorted(row.tag_ids)))
        for row in shop.world.relations.all()
        if row.status == "active"
    }
    with shop.db() as db:
        tags: dict[int, list[str]] = {}
        for relation_id, tag_id in db.query(RelationTag.relation_id, RelationTag.tag_id):
            tags.setdefault(relation_id, []).append(str(tag_id))
        ours = [
            (one.external_userid, one.userid, int(one.added_at.timestamp()), len(tags.get(one.id, [])))
            for one in db.query(Relation).filter(Relation.state == "active")
            if one.added_at is not None
        ]
    assert sorted(ours) == sorted((ext, rep, since, len(own)) for ext, rep, since, own in theirs)
    assert len(ours) == count


def test_everybody_is_taken_over_and_nobody_counts_as_arrived(corp: Shop) -> None:
    assert Pages(corp).run()
    compare(corp, PEOPLE)
    with corp.db() as db:
        counted = {one.__tablename__: db.query(one).count() for one in (Person, Relation, Interval, RelationFact)}
        assert counted == dict.fromkeys(counted, PEOPLE)
        assert db.query(Identity).filter(Identity.type == "external_userid").count() == PEOPLE
        assert db.query(Interaction).filter(Interaction.kind == "taken_over").count() == PEOPLE
        assert db.query(PersonTag).count() == 2 * PEOPLE
        assert {one for (one,) in db.query(RelationTag.at_wecom).distinct()} == {"done"}
        assert {one for (one,) in db.query(Interval.origin).distinct()} == {"taken_over"}
        day = today.of_day(db, Sight(everybody=True), corp.now().date(), corp.parts.zone)
        assert (day.arrivals, day.lost) == (0, 0)
    assert corp.rows(Welcome) == []
    assert corp.rows(OutboxRow) == []
    assert corp.world.calls_to(MARK) == []
    assert {one.code: one.taken_over for one in corp.rows(Channel)} == {"old-code": True}
    (progress,) = corp.rows(Progress, Progress.name == NAME)
    assert (progress.state, progress.done) == ("done", PEOPLE)
    calls = len(corp.world.calls)
    assert Pages(corp).run()
    assert len(corp.world.calls) == calls


def test_one_rep_without_customers_does_not_hide_the_others_of_their_group(small: Shop) -> None:
    """WeCom may answer 84061 for the whole group."""
    asked = small.parts.gateway.relations

    def strict(userids: list[str], cursor: str = "") -> Any:
        return ([], "") if len(userids) > 1 else asked(userids, cursor)

    small.parts.gateway.relations = strict  # type: ignore[method-assign]
    runs = 1
    while not Pages(small, 2).run():
        runs += 1
        assert runs < 30
    assert runs > 1
    with small.db() as db:
        assert db.query(Relation).count() == len([row for row in small.world.relations.all() if row.status == "active"])


def test_a_stopped_fill_goes_on_where_it_was(small: Shop) -> None:
    runs = 1
    while not Pages(small, 2).run():
        runs += 1
        assert runs < 10
    compare(small, 450)
    assert runs >= 3
    assert len(small.world.calls_to(BATCH)) == 5
    assert len(small.rows(Person)) == 450


@pytest.mark.parametrize("before", [True, False])
def test_a_fill_killed_at_any_commit_ends_whole(sqlite_url: str, before: bool, tmp_path: Any) -> None:
    shop = build_shop(sqlite_url, old_corp(250))
    number = 0
    try:
        while True:
            number += many(5, 1)
            reaper = Reaper()
            reaper.at, reaper.before = number, before
            with reaper.watching(shop.parts.engine):
                try:
                    done = Pages(shop).run()
                except Died:
                    continue
            if done:
                break
            assert number < 200
        compare(shop, 250)
        assert len(shop.rows(Person)) == 250
        assert len(shop.rows(Interaction)) == 250
    finally:
        close_shop(shop)


def test_a_cursor_that_died_while_we_were_away_costs_one_more_look(small: Shop) -> None:
    assert not Pages(small, 2).run()
    small.advance(hours=3)
    assert Pages(small).run()
    compare(small, 450)
    assert len(small.rows(Person)) == 450


def test_a_rep_who_left_meanwhile_makes_nobody_else_be_skipped(sqlite_url: str) -> None:
    """More than one group of reps: a place remembered as a number would shift."""
    world = World.small_shop(ManualClock(START), seed=7)
    world.populate(480, members=235)
    shop = build_shop(sqlite_url, world)
    assert not Pages(shop, 3).run()
    for userid in ("rep0001", "rep0002", "rep0003", "rep0150"):
        world.dismiss_member(userid)
    while not Pages(shop, 1).run():
        pass
    ours = {one.userid for one in shop.rows(Relation)}
    assert {one.userid for one in world.members.values() if one.can_have_customers()} <= ours
    close_shop(shop)


def test_events_during_the_fill_win_over_it(small: Shop) -> None:
    """Somebody parts, somebody comes, somebody is edited, each before the fill reached them."""
    rows = sorted(small.world.relations.all(), key=lambda row: (row.userid, row.serial))
    parted, edited, parted_later = rows[-1], rows[-2], rows[-3]
    assert not Pages(small, 2).run()
    small.world.member_deletes(parted.userid, parted.external_userid)
    small.world.edit_remark(edited.userid, edited.external_userid, remark="改过")
    small.world.add_by_phone("zhangsan", external_userid="wmNewcomer")
    small.world.customers.pop("wmNewcomer")
    small.catch_up()
    small.world.edit_remark(parted_later.userid, parted_later.external_userid, remark="x")
    small.world.customer_deletes(parted_later.userid, parted_later.external_userid)
    small.catch_up()
    small.world.relations.by_customer.pop("wmNewcomer", None)
    small.world.relations.by_member["zhangsan"] = [
        one for one in small.world.relations.by_member["zhangsan"] if one.external_userid != "wmNewcomer"
    ]
    while not Pages(small, 50).run():
        pass
    states = {one.external_userid: one.state for one in small.rows(Relation)}
    assert states[parted.external_userid] == "ended_by_rep"
    assert states[edited.external_userid] == "active"
    assert states[parted_later.external_userid] == "ended_by_customer"
    assert states["wmNewcomer"] == "active"
    assert len(states) == 451
    assert len(small.rows(Person)) == 451


def test_somebody_an_event_only_mentioned_is_taken_over_all_the_same(small: Shop) -> None:
    """The edit came while WeCom could not be asked: we knew the pair, but not since when."""
    row = next(iter(small.world.relations.all()))
    fields = {"ChangeType": "transfer_fail", "UserID": row.userid, "ExternalUserID": row.external_userid}
    small.post(event_xml(CreateTime=str(int(small.clock.now())), FailReason="customer_refused", **fields))
    small.catch_up()
    assert [one.state for one in small.rows(Relation)] == ["unknown"]
    assert Pages(small).run()
    compare(small, 450)
    assert len(small.rows(Interval)) == 450


def test_a_relation_without_a_time_is_taken_over_as_of_now(small: Shop) -> None:
    next(iter(small.world.relations.all())).createtime = 0
    assert Pages(small).run()
    assert len(small.rows(Relation, Relation.state == "active")) == 450


def test_a_blocked_api_is_waited_for_without_asking(small: Shop) -> None:
    small.world.limits.own_windows = {BATCH: ((60, 2),)}
    pages = Pages(small)
    assert pages.run()
    compare(small, 450)
    assert small.world.log.tally(BATCH).inside_block == 0
    assert pages.slept > 100


def test_a_wecom_that_stutters_is_asked_again(small: Shop) -> None:
    small.world.faults.busy = small.world.faults.not_json = 0.15
    small.world.faults.short_page = small.world.faults.empty_page = 0.3
    small.world.faults.unknown_fields = 0.5
    assert Pages(small).run()
    small.world.faults = type(small.world.faults)()
    compare(small, 450)


def test_members_and_departments_come_first(small: Shop) -> None:
    assert Pages(small).run()
    members = {one.userid: one for one in small.rows(Member)}
    assert members["lisi"].name == "李四"
    assert all(one.serves for one in members.values())


def test_whoever_arrives_after_the_fill_is_an_arrival(small: Shop) -> None:
    assert Pages(small).run()
    channel = small.channel()
    small.world.scan(channel.code, userid="lisi")
    small.catch_up()
    with small.db() as db:
        day = today.of_day(db, Sight(everybody=True), small.now().astimezone(small.parts.zone).date(), small.parts.zone)
    assert day.arrivals == 1
    assert len(small.world.sent) == 1

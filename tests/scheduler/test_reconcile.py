"""A whole comparison with WeCom: when it runs, that it goes on where it stopped, and the corp itself in it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from people import alarms
from sandbox.clock import ManualClock
from sandbox.facts import Department, Member
from sandbox.world import World
from scheduler import reconcile
from scheduler import reconcile_pairs as pairs
from scheduler.reconcile import CannotSync
from scheduler.reconcile_report import Report
from scheduler.timetable import TIMETABLE
from soak import many
from storage import leases
from storage.database import transaction
from storage.shared import utc_wall
from storage.tables import (
    Alarm,
    Channel,
    Interaction,
    JobRun,
    OutboxRow,
    Person,
    Relation,
    SyncRun,
    Tag,
    Welcome,
)
from storage.tables import Department as KeptDepartment
from storage.tables import Member as KeptMember
from tagging import channels
from tests.faults.crashes import Died, Reaper
from tests.scheduler.syncing import SETTLED, comparison, run, sync, unheard
from tests.shop import START, Shop, build_shop, close_shop
from wecom.errors import TryLater

UPDATE = "externalcontact/update_contact_way"


def job(shop: Shop, name: str) -> str | None:
    """Run a job of the timetable by name, if it is due."""
    loop = shop.parts.loop(lambda: None, lambda: False)
    return loop.run_if_due(next(one for one in TIMETABLE if one.name == name))


# --- when it runs ----------------------------------------------------------------------------------------------------


def test_nothing_is_compared_before_the_first_fill_is_through(sqlite_url: str) -> None:
    shop = build_shop(sqlite_url)
    with pytest.raises(CannotSync, match="taken over"):
        sync(shop)
    assert shop.rows(SyncRun) == []
    close_shop(shop)


def test_one_run_at_a_time(shop: Shop) -> None:
    with shop.db() as db:
        leases.take(db, reconcile.LEASE_NAME, "somebody else", timedelta(minutes=1), utc_wall())
    with pytest.raises(CannotSync, match="under way"):
        sync(shop)
    with shop.db() as db:
        leases.release(db, reconcile.LEASE_NAME, "somebody else", utc_wall())
    sync(shop)
    sync(shop)


def test_it_runs_each_night(shop: Shop) -> None:
    with unheard(shop):
        shop.world.add_by_phone("lisi")
    shop.clock.advance(timedelta(hours=12).total_seconds())
    outcome = job(shop, "nightly sync")
    assert outcome is not None
    assert outcome.startswith("different: 1, fixed: 1 (")
    (kept,) = shop.rows(SyncRun)
    assert (kept.by, kept.state, kept.dry) == ("nightly", "done", False)
    assert job(shop, "nightly sync") is None


def test_it_runs_when_somebody_asks(shop: Shop) -> None:
    with shop.db() as db:
        asked = reconcile.ask(db, shop.now(), by="boss")
        assert reconcile.ask(db, shop.now(), by="another").id == asked.id
    shop.advance(seconds=10)
    assert str(job(shop, "sync on demand")).startswith("different: 0")
    (kept,) = shop.rows(SyncRun)
    assert (kept.by, kept.state) == ("boss", "done")
    shop.advance(seconds=10)
    assert job(shop, "sync on demand") == "nothing was asked for"
    with shop.db() as db:
        assert [one.id for one in reconcile.latest(db)] == [kept.id]


def test_a_run_that_fails_says_why_and_is_gone_on_with(shop: Shop) -> None:
    shop.world.fail_next("externalcontact/groupchat/list", 40003)
    with pytest.raises(Exception, match="groupchat/list"):
        run(shop)
    (kept,) = shop.rows(SyncRun)
    assert (kept.state, kept.at) == ("failed", {"step": "groups"})
    assert "groupchat/list" in kept.trouble
    calls = len(shop.world.calls)
    sync(shop)
    (kept,) = shop.rows(SyncRun)
    assert (kept.state, kept.trouble) == ("done", None)
    assert [call.path for call in list(shop.world.calls)[calls:]] == ["externalcontact/groupchat/list"]


def test_an_api_we_may_not_use_is_left_out_and_said(shop: Shop) -> None:
    shop.world.fail_next("externalcontact/get_unassigned_list", 48002)
    shop.world.fail_next("externalcontact/groupchat/list", 48002)
    report = sync(shop)
    assert "48002" in report.of("groups").note
    assert "48002" in report.of("relations").note


def test_a_trouble_that_does_not_pass_ends_the_run(shop: Shop) -> None:
    shop.world.faults.busy = 1.0
    with pytest.raises(TryLater):
        sync(shop)
    assert [one.state for one in shop.rows(SyncRun)] == ["failed"]


# --- going on --------------------------------------------------------------------------------------------------------


class Pages:
    """Says stop after so many questions."""

    def __init__(self, most: int) -> None:
        self.left = most

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def busy_world() -> World:
    world = World.small_shop(ManualClock(START), seed=7)
    world.console_tags("口味", ("美式", "拿铁"))
    world.populate(120, tags_each=2)
    world.make_way(["lisi"], "alt", remark="旧码")
    for number in range(5):
        world.open_group("lisi", f"群{number}", [f"wmSandboxPastAAAAAAAAAAAA{number:08d}"])
    world.events.clear()
    return world


def week_passed(url: str) -> Shop:
    """A shop that has missed a few things."""
    shop = build_shop(url, busy_world())
    shop.open_for_business()
    shop.advance(minutes=1)
    run(shop)
    rows = [row for row in shop.world.relations.all() if row.userid == "lisi"]
    with unheard(shop):
        for row in rows[:4]:
            shop.world.member_deletes("lisi", row.external_userid)
        for _ in range(5):
            shop.world.scan("alt", userid="lisi")
        for row in rows[5:9]:
            shop.world.edit_remark("lisi", row.external_userid, remark="新")
        for chat_id in list(shop.world.groups)[:3]:
            shop.world.leave_group(chat_id, [one.id for one in shop.world.group(chat_id).members if one.type == 2])
    return shop


EXPECTED = {"relations": 13, "groups": 3}


def test_a_run_that_was_stopped_goes_on_and_counts_nothing_twice(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile.reconcile_relations, "RELATIONS_A_GROUP", 30)
    shop = week_passed(sqlite_url)
    runs = 0
    while True:
        runs += 1
        kept = run(shop, stopping=Pages(9 + runs))
        if kept.state == "done":
            break
        assert kept.state == "stopped"
        assert runs < 30
    assert runs > 2
    assert kept.id == 2
    report = Report.read(kept.report)
    assert {name: one.fixed for name, one in report.subjects.items() if one.different} == EXPECTED
    assert (report.of("relations").wecom, report.of("relations").here) == (121, 120)
    assert sync(shop).different == 0
    close_shop(shop)


@pytest.mark.parametrize("before", [True, False])
def test_a_run_killed_at_any_commit_ends_whole(sqlite_url: str, before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile.reconcile_relations, "RELATIONS_A_GROUP", 30)
    monkeypatch.setattr(reconcile, "LEASE", timedelta(seconds=-1))
    shop = week_passed(sqlite_url)
    number, deaths = 0, 0
    while True:
        number += many(7, 1)
        reaper = Reaper()
        reaper.at, reaper.before = number, before
        with reaper.watching(shop.parts.engine):
            try:
                kept = comparison(shop).run(by="test")
            except Died:
                deaths += 1
                assert deaths < 300
                continue
        break
    shop.catch_up()
    assert deaths >= 2
    report = Report.read(kept.report)
    fixed = {name: one.fixed for name, one in report.subjects.items() if one.different}
    assert fixed == EXPECTED
    assert len([one for one in shop.rows(Interaction) if one.details.get("found") == "sync"]) == 9
    assert len(shop.rows(Welcome)) == 5
    assert sync(shop).different == 0
    assert {one.state for one in shop.rows(SyncRun)} == {"done"}
    close_shop(shop)


def test_a_run_whose_process_died_is_gone_on_with_by_a_worker(sqlite_url: str) -> None:
    shop = week_passed(sqlite_url)
    reaper = Reaper()
    reaper.at = 8
    with reaper.watching(shop.parts.engine), pytest.raises(Died):
        comparison(shop).run(by="boss")
    with transaction(shop.parts.engine) as db:
        assert db.scalar(select(func.count()).where(SyncRun.state == "running")) == 1
    assert str(job(shop, "sync on demand")).startswith(f"different: {sum(EXPECTED.values())}")
    close_shop(shop)


# --- the corp itself -------------------------------------------------------------------------------------------------


def test_members_and_departments_are_brought_up_to_date(shop: Shop) -> None:
    channel = shop.channel(members=("lisi", "wangwu"))
    with unheard(shop):
        shop.world.hire(Member("xinren", "新人", (2,), "学徒"))
        shop.world.update_member("sunqi", position="店长")
        shop.world.dismiss_member("lisi")
        shop.world.open_department(Department(9, "新店", 1, 50))
        shop.world.rename_department(3, "会员部")
    report = sync(shop)
    assert (report.of("members").fixed, report.of("departments").fixed) == (3, 2)
    kept = {one.userid: one for one in shop.rows(KeptMember)}
    assert kept["xinren"].name == "新人"
    assert kept["sunqi"].position == "店长"
    assert kept["lisi"].left_at is not None
    assert {one.id: one.name for one in shop.rows(KeptDepartment)}[9] == "新店"
    assert shop.world.contact_ways[channel.config_id].users == ("wangwu",)
    assert sync(shop).different == 0


def test_a_member_who_goes_by_another_userid_since_keeps_their_customers(shop: Shop) -> None:
    """Taken for a leaver and a newcomer, each of them would have arrived anew."""
    externals = [shop.world.add_by_phone("lisi", name).external_userid for name in ("甲", "乙", "丙")]
    shop.catch_up()
    shop.advance(hours=1)
    with unheard(shop):
        shop.world.rename_member("lisi", "li.si")
    assert sync(shop, dry=True).of("members").examples[0]["kind"] == "renamed"
    report = sync(shop)
    assert [(one["kind"], one["was"], one["is"]) for one in report.of("members").examples] == [
        ("renamed", "lisi", "li.si")
    ]
    assert report.of("relations").different == 0
    kept = {(one.userid, one.external_userid, one.state) for one in shop.rows(Relation)}
    assert kept == {("li.si", one, "active") for one in externals}
    assert [one.left_at for one in shop.rows(KeptMember, KeptMember.userid == "li.si")] == [None]
    assert sync(shop).different == 0


def test_an_answer_without_any_member_is_not_believed(shop: Shop) -> None:
    for one in shop.world.members.values():
        one.in_range = False
    report = sync(shop)
    assert (report.of("members").different, report.of("members").fixed) == (5, 0)
    assert {one.left_at for one in shop.rows(KeptMember)} == {None}


def test_a_pair_that_cannot_be_mended_does_not_hold_the_others_up(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with unheard(shop):
        broken, fine = (shop.world.add_by_phone("lisi", name).external_userid for name in ("甲", "乙"))
    whole = pairs.mend

    def mend(work: Any, profile: Any, since: Any) -> bool:
        if profile.external_userid == broken:
            raise ValueError("a bug of ours")
        return whole(work, profile, since)

    monkeypatch.setattr(pairs, "mend", mend)
    report = sync(shop)
    assert (report.of("relations").different, report.of("relations").fixed) == (2, 1)
    assert [one.external_userid for one in shop.rows(Relation)] == [fine]


def test_when_a_fifth_of_the_members_is_gone_at_once_it_is_not_believed(shop: Shop) -> None:
    for number in range(40):
        shop.world.add_member(Member(f"temp{number:02d}", f"临时{number}", (2,)))
    sync(shop)
    for number in range(30):
        shop.world.member(f"temp{number:02d}").in_range = False
    report = sync(shop)
    assert (report.of("members").different, report.of("members").fixed) == (30, 0)
    assert [one.kind for one in shop.rows(Alarm)] == ["many_left"]


def test_corp_tags_made_renamed_and_deleted_unheard_are_so_here(shop: Shop) -> None:
    shop.world.console_tags("口味", ("美式", "拿铁"))
    sync(shop)
    with unheard(shop):
        shop.world.console_rename_tag("美式", "冰美式")
        shop.world.console_delete_tag("拿铁")
        shop.world.console_tags("到店", ("周末",))
    report = sync(shop)
    assert sorted(one["kind"] for one in report.of("tags").examples) == ["changed", "gone", "new"]
    assert {one.name for one in shop.rows(Tag, Tag.wecom_id.is_not(None))} == {"冰美式", "周末"}
    assert sync(shop).different == 0


def test_when_most_corp_tags_are_gone_at_once_it_is_not_believed(shop: Shop) -> None:
    shop.world.console_tags("多", [f"标签{number}" for number in range(30)])
    sync(shop)
    kept = dict(shop.world.tag_groups)
    with unheard(shop):
        shop.world.console_delete_group("多")
    report = sync(shop)
    assert (report.of("tags").different, report.of("tags").fixed) == (30, 0)
    assert len(shop.rows(Tag, Tag.wecom_id.is_not(None))) == 30
    assert [one.kind for one in shop.rows(Alarm)] == ["sync_tags_missing"]
    shop.world.tag_groups.update(kept)
    shop.world.tags.update({tag.id: (group, tag) for group in kept.values() for tag in group.tags.values()})
    assert sync(shop).different == 0
    with shop.db() as db:
        assert alarms.standing(db) == []


def test_a_contact_way_made_elsewhere_is_taken_over(shop: Shop) -> None:
    way = shop.world.make_way(["lisi"], "elsewhere", remark="别处做的")
    report = sync(shop)
    assert report.of("channels").fixed == 1
    (channel,) = shop.rows(Channel)
    assert (channel.config_id, channel.taken_over, channel.at_wecom) == (way.config_id, True, ["lisi"])
    way.users = ("wangwu",)
    assert sync(shop).of("channels").fixed == 1
    (channel,) = shop.rows(Channel)
    assert (channel.at_wecom, [one.userid for one in channel.seats]) == (["wangwu"], ["wangwu"])
    assert shop.world.calls_to(UPDATE) == []
    assert sync(shop).different == 0


def test_a_code_of_ours_that_leads_elsewhere_is_led_back(shop: Shop) -> None:
    channel = shop.channel(members=("zhangsan", "lisi"))
    shop.world.contact_ways[channel.config_id].users = ("sunqi",)
    report = sync(shop)
    (example,) = report.of("channels").examples
    assert (example["kind"], example["was"], example["is"]) == ("users", "zhangsan, lisi", "sunqi")
    assert shop.world.contact_ways[channel.config_id].users == ("zhangsan", "lisi")
    assert sync(shop).different == 0


def test_a_code_whose_change_is_on_its_way_is_let_be(shop: Shop) -> None:
    channel = shop.channel(members=("zhangsan", "lisi"))
    with shop.work() as work:
        kept = work.db.get_one(Channel, channel.id)
        kept.at_wecom = ["wangwu"]
        channels.lead(work, kept)
    assert comparison(shop).run(by="test").report["channels"]["different"] == 0
    assert len(shop.rows(OutboxRow, OutboxRow.name == "UpdateContactWay")) == 1


def test_a_code_that_wecom_has_no_more_says_so_and_is_asked_for_no_more(shop: Shop) -> None:
    channel = shop.channel()
    way = shop.world.contact_ways.pop(channel.config_id)
    shop.advance(minutes=1)
    report = sync(shop)
    assert (report.of("channels").different, report.of("channels").fixed) == (1, 0)
    (kept,) = shop.rows(Channel)
    assert kept.trouble == channels.GONE
    shop.advance(minutes=31)
    job(shop, "lead channel codes")
    assert shop.rows(Channel)[0].trouble == channels.GONE
    assert shop.world.calls_to(UPDATE) == []
    shop.world.contact_ways[way.config_id] = way
    sync(shop)
    assert shop.rows(Channel)[0].trouble is None


def test_old_codes_that_are_never_listed_are_still_there(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.contact_ways[channel.config_id].created_at = 1_500_000_000
    shop.advance(minutes=1)
    assert sync(shop).of("channels").different == 0


# --- watching --------------------------------------------------------------------------------------------------------


def test_what_a_run_came_to_is_one_line(shop: Shop) -> None:
    kept = run(shop)
    assert reconcile.outcome(kept).startswith("different: 0, fixed: 0 (members 5, departments 3, corp tags 0")
    kept.state = "stopped"
    assert reconcile.outcome(kept) == "stopped at done"


def test_the_watched_tags_of_a_found_arrival_are_only_shown(sqlite_url: str) -> None:
    shop = build_shop(sqlite_url, watch=["all"])
    shop.open_for_business()
    channel: Any = shop.channel()
    shop.catch_up()
    with unheard(shop):
        shop.world.scan(channel.code, userid="lisi")
    sync(shop)
    assert len(shop.rows(Relation)) == len(shop.rows(Person)) == 1
    assert shop.world.calls_to("externalcontact/mark_tag") == []
    shop.advance(minutes=SETTLED)
    assert sync(shop).different == 0
    assert {one.state for one in shop.rows(OutboxRow)} == {"watched"}
    assert shop.rows(JobRun)
    close_shop(shop)

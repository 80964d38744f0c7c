"""F25, customer by customer: what a lost callback would have told is found, and follows where it is not too late."""

from datetime import timedelta
from typing import Any

import pytest

from people import access, alarms, persons, privacy, tasks, today
from people.access import Sight, Viewer
from scheduler import handovers, reconcile_relations
from scheduler.handovers import Wish
from storage.tables import (
    Alarm,
    HandoverRow,
    Interaction,
    Interval,
    Person,
    PersonalTag,
    PersonTag,
    Relation,
    RelationFact,
    RelationTag,
    Tag,
    TagGround,
    Task,
    Welcome,
)
from tagging import rules, tags
from tagging.rules import Draft
from tests.scheduler.syncing import SETTLED, relation_of, sync, unheard
from tests.shop import Shop, event_xml

LISTED = "externalcontact/batch/get_by_user"
PROFILE = "externalcontact/get"


def lines(shop: Shop, *kinds: str) -> list[Any]:
    return [one for one in shop.rows(Interaction) if one.kind in kinds]


def arrived(shop: Shop, name: str = "小雨") -> str:
    """A customer whose arrival was told as it should be."""
    external = shop.world.add_by_phone("lisi", name).external_userid
    shop.catch_up()
    shop.advance(minutes=SETTLED)
    return external


# --- arrivals --------------------------------------------------------------------------------------------------------


def test_a_lost_arrival_is_found_and_gets_the_tags_of_its_channel(shop: Shop) -> None:
    channel = shop.channel()
    with unheard(shop):
        external = shop.world.scan(channel.code, userid="lisi").external_userid
        at = shop.now()
    report = sync(shop)
    assert (report.of("relations").different, report.of("relations").fixed) == (1, 1)
    (example,) = report.of("relations").examples
    assert (example["kind"], example["who"]) == ("arrived", f"{external} · lisi")
    relation = relation_of(shop, external)
    assert (relation.state, relation.source_state, relation.channel_id) == ("active", channel.code, channel.id)
    (fact,) = shop.rows(RelationFact)
    assert (fact.kind, fact.add_way) == ("full", 1)
    assert fact.at == relation.added_at == at.replace(microsecond=0)
    (ground,) = shop.rows(TagGround)
    assert (ground.source, ground.source_id) == ("channel", f"channel:{channel.id}")
    row = shop.world.relation("lisi", external)
    assert shop.world.tag_names(row) == ["抖音"]
    assert [one.at_wecom for one in shop.rows(RelationTag)] == ["done"]
    (line,) = lines(shop, "added")
    assert line.details["found"] == "sync"
    assert line.details["channel"] == channel.name
    (welcome,) = shop.rows(Welcome)
    assert (welcome.outcome, welcome.detail) == ("no_code", "添加的回调丢失了，核对时才发现")
    assert shop.world.sent == []
    assert sync(shop).different == 0


def test_a_callback_that_comes_after_all_tells_nothing_twice_but_its_own_line(shop: Shop) -> None:
    with unheard(shop):
        external = shop.world.add_by_phone("lisi").external_userid
    xml = shop.world.events[-1].xml
    sync(shop)
    assert shop.post(xml) == 200
    shop.catch_up()
    assert len(shop.rows(RelationFact)) == 1
    assert len(shop.rows(Interval)) == 1
    assert relation_of(shop, external).state == "active"


def test_what_has_just_happened_is_left_to_its_callback(shop: Shop) -> None:
    with shop.world.unheard():
        external = shop.world.add_by_phone("lisi").external_userid
    assert sync(shop).different == 0
    assert shop.rows(Relation) == []
    shop.advance(minutes=SETTLED)
    sync(shop)
    assert relation_of(shop, external).state == "active"


def test_an_event_that_waits_in_the_inbox_is_left_to_its_handler(shop: Shop) -> None:
    shop.world.add_by_phone("lisi")
    shop.advance(hours=1)
    report = sync(shop)
    assert report.of("relations").different == 0
    assert len(lines(shop, "added")) == 1
    assert "found" not in lines(shop, "added")[0].details


def test_whoever_was_there_before_a_rep_came_into_sight_did_not_arrive(shop: Shop) -> None:
    """The rep gets the customer-contact feature only now, and brings old customers along."""
    shop.world.member("wangwu").customer_contact = False
    shop.world.remember("wangwu", "老客", days_ago=-0.01)  # after the first fill, out of our sight
    shop.advance(hours=1)
    sync(shop)
    shop.advance(days=1)
    shop.world.member("wangwu").customer_contact = True
    report = sync(shop)
    assert [one["kind"] for one in report.of("relations").examples] == ["out_of_sight"]
    assert [one.origin for one in shop.rows(Interval)] == ["taken_over"]
    assert [one.kind for one in shop.rows(Interaction)] == ["taken_over"]
    assert shop.rows(Welcome) == []
    with shop.db() as db:
        day = today.of_day(db, Sight(everybody=True), shop.now().date(), shop.parts.zone)
    assert day.arrivals == 0


def test_a_half_add_whose_confirmation_was_lost_is_whole(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.half_add, shop.world.half_delay = True, None
    external = shop.world.scan(channel.code, userid="lisi").external_userid
    shop.catch_up()
    assert relation_of(shop, external).state == "half"
    with unheard(shop):
        shop.world.confirm("lisi", external)
    report = sync(shop)
    assert [one["kind"] for one in report.of("relations").examples] == ["confirmed"]
    assert relation_of(shop, external).state == "active"
    assert [one.outcome for one in shop.rows(Welcome)] == ["sent"]
    assert shop.world.tag_names(shop.world.relation("lisi", external)) == ["抖音"]
    assert sync(shop).different == 0


def test_a_half_add_that_is_still_half_stays_so(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.half_add, shop.world.half_delay = True, None
    external = shop.world.scan(channel.code, userid="lisi").external_userid
    shop.catch_up()
    shop.advance(days=1)
    assert sync(shop).different == 0
    assert relation_of(shop, external).state == "half"


# --- partings --------------------------------------------------------------------------------------------------------


def test_a_rep_who_deleted_unheard_has_done_so_by_now(shop: Shop) -> None:
    external = arrived(shop)
    with unheard(shop):
        shop.world.member_deletes("lisi", external)
    report = sync(shop)
    assert [one["kind"] for one in report.of("relations").examples] == ["gone"]
    relation = relation_of(shop, external)
    assert relation.state == "ended_by_rep"
    (line,) = lines(shop, "deleted_by_rep")
    assert line.details["found"] == "sync"
    assert sync(shop).different == 0


def test_a_customer_who_deleted_unheard_cannot_be_found_out(shop: Shop) -> None:
    """WeCom lists the relation as before; it tells of such a parting by its event alone."""
    external = arrived(shop)
    with unheard(shop):
        shop.world.customer_deletes("lisi", external)
    assert sync(shop).different == 0
    assert relation_of(shop, external).state == "active"


def test_a_customer_who_deleted_the_rep_and_stays_listed_is_no_difference(shop: Shop) -> None:
    external = arrived(shop)
    shop.world.customer_deletes("lisi", external)
    shop.catch_up()
    shop.advance(days=1)
    assert sync(shop).different == 0
    assert relation_of(shop, external).state == "ended_by_customer"


def test_a_customer_who_left_and_whom_the_rep_deleted_then_is_deleted_by_both(shop: Shop) -> None:
    external = arrived(shop)
    shop.world.customer_deletes("lisi", external)
    shop.catch_up()
    with unheard(shop):
        shop.world.member_deletes("lisi", external)
    sync(shop)
    assert relation_of(shop, external).state == "ended_by_both"
    assert sync(shop).different == 0


def test_a_customer_who_left_and_came_back_unheard_is_back(shop: Shop) -> None:
    external = arrived(shop)
    shop.world.customer_deletes("lisi", external)
    shop.catch_up()
    shop.advance(hours=1)
    with unheard(shop):
        shop.world.add_by_phone("lisi", external_userid=external)
    sync(shop)
    relation = relation_of(shop, external)
    assert relation.state == "active"
    assert [one.number for one in shop.rows(Interval)] == [1, 2]
    assert relation.added_at is not None
    assert int(relation.added_at.timestamp()) == shop.world.relation("lisi", external).createtime
    assert lines(shop, "added")[-1].details == {
        "state": None,
        "channel": None,
        "add_way": 2,
        "again": True,
        "found": "sync",
    }
    assert sync(shop).different == 0


def test_a_parting_and_a_return_that_were_both_lost_are_two_stretches(shop: Shop) -> None:
    channel = shop.channel()
    external = shop.world.scan(channel.code, userid="lisi").external_userid
    shop.catch_up()
    shop.advance(hours=1)
    with unheard(shop):
        shop.world.member_deletes("lisi", external)
        shop.advance(hours=1)
        shop.world.scan(channel.code, external_userid=external, userid="lisi")
    report = sync(shop)
    assert [one["kind"] for one in report.of("relations").examples] == ["returned"]
    first, second = shop.rows(Interval)
    assert first.ended_by == "unknown"
    assert second.began_at - first.ended_at == timedelta(seconds=1)
    assert relation_of(shop, external).state == "active"
    assert shop.world.tag_names(shop.world.relation("lisi", external)) == ["抖音"]  # it had gone with the deletion
    assert sync(shop).different == 0


def test_a_relation_we_thought_gone_and_wecom_lists_is_there(shop: Shop) -> None:
    external = arrived(shop)
    gone = {"ChangeType": "del_external_contact", "UserID": "lisi", "ExternalUserID": external}
    shop.post(event_xml(CreateTime=str(int(shop.clock.now())), **gone))
    shop.catch_up()
    assert relation_of(shop, external).state == "ended_by_rep"
    shop.advance(hours=1)
    report = sync(shop)
    assert [one["kind"] for one in report.of("relations").examples] == ["still_there"]
    assert relation_of(shop, external).state == "active"
    assert sync(shop).different == 0


def test_a_transfer_that_was_lost_is_no_loss(shop: Shop) -> None:
    external = arrived(shop)
    with unheard(shop):
        shop.world.transfer("lisi", "wangwu", external)
    report = sync(shop)
    assert {one["kind"] for one in report.of("relations").examples} == {"handed_over", "arrived"}
    assert relation_of(shop, external).state == "transferred"
    assert relation_of(shop, external, "wangwu").state == "active"
    origins = [one.origin for one in shop.rows(Interval, Interval.userid == "wangwu")]
    assert origins == ["transfer"]
    assert lines(shop, "deleted_by_rep") == []
    assert shop.rows(Welcome, Welcome.userid == "wangwu") == []
    assert sync(shop).different == 0


def test_after_a_transfer_that_was_lost_everything_is_as_if_it_had_been_told(shop: Shop) -> None:
    with shop.work() as work:
        rules.create(work, Draft("来了", kind="arrival", tags=(("时段", "新到"),)), by="boss")
    external = arrived(shop)
    with shop.work() as work:
        (person,) = work.db.query(Person)
        persons.give_owner(work, person, "lisi")
        tasks.make(work, "lisi", "回访", None, person=person, once="1")
        (tag,) = work.db.query(Tag)
        assert tags.take_away(work, person, tag)
    with unheard(shop):
        shop.world.transfer("lisi", "wangwu", external)
    sync(shop)
    (kept,) = shop.rows(Person)
    with shop.db() as db:
        giver, taker = (access.sight_of(db, Viewer(userid, "rep")) for userid in ("lisi", "wangwu"))
        assert access.person_in_sight(db, giver, kept.id) is None
        assert access.person_in_sight(db, taker, kept.id) is not None
    assert (kept.owner, [one.userid for one in shop.rows(Task)]) == ("wangwu", ["wangwu"])
    assert shop.rows(TagGround) == []
    assert shop.world.tag_names(shop.world.relation("wangwu", external)) == []


def test_a_handover_of_ours_whose_events_were_lost_is_done_after_the_sync(shop: Shop) -> None:
    external = arrived(shop)
    with shop.work() as work:
        handovers.begin(work, Sight(everybody=True), Wish("lisi", "wangwu"), by="zhangsan")
    shop.catch_up()
    with shop.world.unheard():
        shop.advance(hours=25)
        shop.catch_up()
    shop.advance(minutes=SETTLED)
    sync(shop)
    assert relation_of(shop, external, "wangwu").state == "active"
    assert [one.state for one in shop.rows(HandoverRow)] == ["done"]
    assert len(lines(shop, "handed_over")) == 1
    assert sync(shop).different == 0


def test_customers_of_a_leaver_stay_theirs_until_somebody_is_given_them(shop: Shop) -> None:
    kept, given, deleted = (arrived(shop, name) for name in ("甲", "乙", "丙"))
    with unheard(shop):
        lost = shop.world.add_by_phone("lisi", "丁").external_userid
        shop.world.member_deletes("lisi", deleted)
        shop.world.dismiss_member("lisi")
        shop.world.transfer("lisi", "wangwu", given)
    sync(shop)
    states = {one.external_userid: one.state for one in shop.rows(Relation, Relation.userid == "lisi")}
    assert states == {kept: "active", given: "transferred", deleted: "ended_by_rep", lost: "active"}
    assert sync(shop).different == 0


def test_a_member_who_is_only_out_of_sight_loses_nobody(shop: Shop) -> None:
    external = arrived(shop)
    shop.world.member("lisi").in_range = False
    sync(shop)
    assert relation_of(shop, external).state == "active"


def test_too_many_missing_at_once_are_not_believed(shop: Shop) -> None:
    shop.world.populate(300)
    shop.advance(hours=1)
    sync(shop)
    rows = [row for row in shop.world.relations.all() if row.userid == "lisi"]
    with unheard(shop):
        for row in rows:
            shop.world.member_deletes("lisi", row.external_userid)
    for row in shop.world.relations.all():
        if row.userid in ("zhangsan", "wangwu"):
            row.status = "member_deleted"
    report = sync(shop)
    assert report.of("relations").different - report.of("relations").fixed > 50
    (alarm,) = shop.rows(Alarm)
    assert alarm.kind == reconcile_relations.NARROWED
    assert "先不当作已删除" in alarm.text
    assert {one.state for one in shop.rows(Relation)} == {"active"}
    for row in shop.world.relations.all():
        row.status = "active"
    assert sync(shop).different == 0
    with shop.db() as db:
        assert alarms.standing(db) == []


# --- profiles, remarks, tags -----------------------------------------------------------------------------------------


def test_what_the_rep_wrote_unheard_is_here(shop: Shop) -> None:
    external = arrived(shop)
    with unheard(shop):
        shop.world.edit_remark("lisi", external, remark="爱喝手冲", description="周末来", mobiles=["13900001111"])
        shop.world.customers[external].name = "小雨（改名）"
    report = sync(shop)
    assert report.of("relations").fixed == 1
    assert "remark" in report.of("relations").examples[0]["kind"]
    relation = relation_of(shop, external)
    assert (relation.remark, relation.description, relation.remark_phones) == ("爱喝手冲", "周末来", ["13900001111"])
    (person,) = shop.rows(Person)
    assert (person.name, person.phone) == ("小雨（改名）", "13900001111")
    assert "爱喝手冲" not in str(report.as_json())
    assert sync(shop).different == 0


def test_two_reps_remarks_about_one_customer_are_both_kept(shop: Shop) -> None:
    external = arrived(shop)
    shop.world.add_by_phone("wangwu", external_userid=external)
    shop.catch_up()
    with unheard(shop):
        shop.world.edit_remark("lisi", external, remark="一")
        shop.world.edit_remark("wangwu", external, remark="二")
    sync(shop)
    assert (relation_of(shop, external).remark, relation_of(shop, external, "wangwu").remark) == ("一", "二")
    assert sync(shop).different == 0


def test_corp_tags_set_and_taken_off_unheard_are_so_here(shop: Shop) -> None:
    shop.world.console_tags("口味", ("美式", "拿铁"))
    external = arrived(shop)
    shop.world.rep_tags("lisi", external, add=["美式"])
    shop.catch_up()
    shop.advance(minutes=SETTLED)
    with unheard(shop):
        shop.world.rep_tags("lisi", external, add=["拿铁"], remove=["美式"])
    report = sync(shop)
    assert [one["kind"] for one in report.of("relations").examples] == ["tags"]
    (ground,) = shop.rows(TagGround)
    assert (ground.source, ground.because) == ("wecom", "企业微信里已有此标签")
    assert len(shop.rows(PersonTag)) == 1
    assert sync(shop).different == 0


def test_a_tag_on_its_way_to_wecom_is_no_difference(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.fail_next("externalcontact/mark_tag", -1)
    shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    assert [one.at_wecom for one in shop.rows(RelationTag)] == ["pending"]
    shop.advance(minutes=SETTLED)
    assert sync(shop).different == 0
    assert [one.at_wecom for one in shop.rows(RelationTag)] == ["done"]


def test_personal_tags_come_with_the_profile_and_no_page_wipes_them(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    external = arrived(shop)
    with unheard(shop):
        shop.world.rep_tags("lisi", external, personal=[("我的", "爱拍照")])
        shop.world.edit_remark("lisi", external, remark="改过")
    report = sync(shop)
    assert report.of("profiles").examples[0]["kind"] == "personal_tags"
    assert [(one.group_name, one.name) for one in shop.rows(PersonalTag)] == [("我的", "爱拍照")]
    with unheard(shop):
        shop.world.edit_remark("lisi", external, remark="又改过")
    monkeypatch.setattr(reconcile_relations, "compare_profiles", lambda sync: None)
    sync(shop)
    assert len(shop.rows(PersonalTag)) == 1


def test_in_a_big_shop_a_seventh_of_the_people_is_read_each_night(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_relations, "READ_ALL_BELOW", 20)
    shop.world.populate(70)
    shop.advance(hours=1)
    sync(shop)
    read: list[str] = []
    for _ in range(7):
        shop.world.calls.clear()
        report = sync(shop)
        read += [call.query["external_userid"] for call in shop.world.calls_to(PROFILE)]
        assert "七分之一" in report.of("profiles").note
        assert 0 < report.of("profiles").wecom < 30
        shop.advance(days=1)
    assert len(read) == len(set(read)) == 70


def test_somebody_who_was_erased_is_not_brought_back(shop: Shop) -> None:
    external = arrived(shop)
    with shop.work() as work:
        person = persons.find_person(work.db, persons.EXTERNAL, external)
        assert person is not None
        privacy.erase(work, person, by="boss")
    shop.advance(hours=1)
    assert sync(shop).different == 0
    assert shop.rows(Person) == []
    with unheard(shop):
        shop.world.member_deletes("lisi", external)
        shop.world.add_by_phone("lisi", external_userid=external)
    sync(shop)
    assert len(shop.rows(Person)) == 1


# --- the road --------------------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing_and_says_what_it_would(shop: Shop) -> None:
    channel = shop.channel()
    shop.catch_up()
    with unheard(shop):
        shop.world.scan(channel.code, userid="lisi")
        shop.world.console_tags("新", ("一",))
        shop.world.hire(shop.world.member("lisi").__class__("xinren", "新人", (2,)))
        shop.world.open_group("lisi", "群")
    calls = len(shop.world.calls)
    report = sync(shop, dry=True)
    assert {name: one.different for name, one in report.subjects.items() if one.different} == {
        "members": 1,
        "tags": 1,
        "relations": 1,
        "groups": 1,
    }
    assert report.fixed == 0
    assert shop.rows(Relation) == []
    assert len(shop.world.calls) > calls
    assert sync(shop).fixed == 4
    assert sync(shop).different == 0


def test_a_cursor_that_dies_costs_the_group_another_look(shop: Shop) -> None:
    shop.world.populate(450)
    shop.advance(hours=1)
    shop.world.limits.cursor_seconds = 5
    slow = iter([0.0, 10.0])
    asked = shop.parts.gateway.relations

    def dawdling(userids: list[str], cursor: str = "") -> Any:
        shop.clock.advance(next(slow, 0.0))
        return asked(userids, cursor)

    shop.parts.gateway.relations = dawdling  # type: ignore[method-assign]
    report = sync(shop)
    assert (report.of("relations").wecom, report.of("relations").fixed) == (450, 450)


def test_a_blocked_api_is_waited_for_without_asking(shop: Shop) -> None:
    shop.world.populate(350)
    shop.advance(hours=1)
    shop.world.limits.own_windows = {LISTED: ((60, 2),)}
    assert sync(shop).of("relations").wecom == 350
    assert shop.world.log.tally(LISTED).inside_block == 0


def test_a_wecom_that_stutters_is_asked_again(shop: Shop) -> None:
    shop.world.populate(120)
    shop.advance(hours=1)
    shop.world.faults.busy = shop.world.faults.not_json = 0.1
    shop.world.faults.short_page = shop.world.faults.empty_page = 0.3
    shop.world.faults.unknown_fields = 0.5
    sync(shop)
    assert sync(shop).different == 0
    assert len(shop.rows(Relation)) == 120


def test_one_rep_who_may_have_no_customers_now_does_not_hide_the_others(shop: Shop) -> None:
    shop.world.populate(50)
    shop.advance(hours=1)
    sync(shop)
    asked = shop.parts.gateway.reps
    shop.parts.gateway.reps = lambda: [*asked(), "nobody"]  # type: ignore[method-assign]
    report = sync(shop)
    assert (report.of("relations").wecom, report.of("relations").different) == (50, 0)

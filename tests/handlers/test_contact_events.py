"""Each contact event, from the callback to what people see."""

from datetime import timedelta
from typing import Any

import pytest

from people import today
from people.access import Sight
from storage.tables import (
    Channel,
    Identity,
    InboxRow,
    Interaction,
    Interval,
    Member,
    OutboxRow,
    Person,
    PersonalTag,
    PersonTag,
    Relation,
    RelationTag,
    Tag,
    Welcome,
)
from tagging import channels, tags
from tests.shop import Shop, event_xml

EVERYBODY = Sight(everybody=True)


def told(shop: Shop, change: str, userid: str = "lisi", external: str = "wm1", back: int = 0, **more: str) -> str:
    """An event as WeCom writes it, ``back`` seconds old."""
    fields = {"ChangeType": change, "UserID": userid, "ExternalUserID": external}
    return event_xml(CreateTime=str(int(shop.clock.now()) - back), **fields, **more)


def post(shop: Shop, change: str, userid: str = "lisi", external: str = "wm1", back: int = 0, **more: str) -> None:
    assert shop.post(told(shop, change, userid, external, back, **more)) == 200
    shop.catch_up()


def day_of(shop: Shop, days_ago: int = 0) -> today.Day:
    with shop.db() as db:
        day = shop.now().astimezone(shop.parts.zone).date() - timedelta(days=days_ago)
        return today.of_day(db, EVERYBODY, day, shop.parts.zone)


def relation(shop: Shop, userid: str = "lisi") -> Relation:
    (found,) = shop.rows(Relation, Relation.userid == userid)
    return found


def kinds(shop: Shop) -> list[str]:
    return [one.kind for one in shop.rows(Interaction)]


def test_half_added_and_then_whole_is_one_arrival(shop: Shop) -> None:
    shop.world.half_add, shop.world.half_delay = True, None
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    assert relation(shop).state == "half"
    assert day_of(shop).half == 1
    assert [one.at_wecom for one in shop.rows(RelationTag)] == ["pending"]
    shop.advance(seconds=5)
    shop.world.confirm("lisi", arrival.external_userid)
    shop.catch_up()
    assert relation(shop).state == "active"
    assert (day_of(shop).half, day_of(shop).new_to_shop, day_of(shop).arrivals) == (0, 1, 1)
    assert [one.at_wecom for one in shop.rows(RelationTag)] == ["done"]
    assert len(shop.world.sent) == 1
    assert [one.outcome for one in shop.rows(Welcome)] == ["sent"]
    assert len(shop.rows(Interval)) == 1


def test_whole_before_half_keeps_the_state_and_greets_once(shop: Shop) -> None:
    channel = shop.channel()
    post(shop, "add_external_contact")
    post(shop, "add_half_external_contact", back=1, State=channel.code)
    found = relation(shop)
    assert (found.state, found.channel_id, found.source_state) == ("active", channel.id, channel.code)
    (interval,) = shop.rows(Interval)
    assert (interval.channel_id, interval.origin) == (channel.id, "arrival")


def test_a_rep_who_edits_brings_name_and_remark_up_to_date(shop: Shop) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, name="小雨", userid="lisi")
    shop.catch_up()
    shop.world.edit_remark("lisi", arrival.external_userid, remark="小雨 爱喝拿铁", mobiles=["13800000000"])
    shop.catch_up()
    assert relation(shop).remark == "小雨 爱喝拿铁"
    assert shop.rows(Person)[0].phone == "13800000000"
    assert kinds(shop)[-1] == "edited"


def test_a_tag_put_on_by_a_rep_is_taken_over(shop: Shop) -> None:
    shop.world.console_tags("口味", ("拿铁",))
    shop.advance(hours=20)
    shop.tick()
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    shop.world.rep_tags("lisi", arrival.external_userid, add=["拿铁"], personal=[("我的", "熟客")])
    shop.catch_up()
    assert {one.source for one in shop.rows(PersonTag)} == {"channel", "manual"}
    assert [(one.group_name, one.name) for one in shop.rows(PersonalTag)] == [("我的", "熟客")]
    assert {one.at_wecom for one in shop.rows(RelationTag)} == {"done"}


@pytest.mark.parametrize(
    ("change", "state", "by"),
    [("del_external_contact", "ended_by_rep", "rep"), ("del_follow_user", "ended_by_customer", "customer")],
)
def test_a_parting_is_a_loss_and_the_history_stays(shop: Shop, change: str, state: str, by: str) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    shop.advance(minutes=5)
    delete = shop.world.member_deletes if by == "rep" else shop.world.customer_deletes
    delete("lisi", arrival.external_userid)
    shop.catch_up()
    assert relation(shop).state == state
    assert [one.ended_by for one in shop.rows(Interval)] == [by]
    assert (day_of(shop).arrivals, day_of(shop).lost, day_of(shop).net) == (1, 1, 0)
    assert {"added", "welcomed"} < set(kinds(shop))
    assert len(shop.rows(PersonTag)) == 1


def test_an_edit_that_comes_late_does_not_bring_a_lost_customer_back(shop: Shop) -> None:
    post(shop, "add_external_contact", back=100)
    post(shop, "del_follow_user", back=50)
    post(shop, "edit_external_contact", back=70)
    assert relation(shop).state == "ended_by_customer"


def test_a_parting_before_its_arrival_is_told_ends_as_parted(shop: Shop) -> None:
    post(shop, "del_follow_user", back=50)
    post(shop, "add_external_contact", back=100, State="gone")
    assert relation(shop).state == "ended_by_customer"
    (interval,) = shop.rows(Interval)
    assert interval.origin == "arrival"


def test_whoever_comes_back_is_counted_as_added_again(shop: Shop) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    shop.advance(minutes=1)
    shop.world.customer_deletes("lisi", arrival.external_userid)
    shop.advance(minutes=1)
    shop.world.scan(channel.code, external_userid=arrival.external_userid, userid="lisi")
    shop.catch_up()
    assert relation(shop).state == "active"
    assert sorted(one.number for one in shop.rows(Interval)) == [1, 2]
    assert (day_of(shop).new_to_shop, day_of(shop).re_added, day_of(shop).lost) == (1, 1, 1)
    assert len(shop.rows(Person)) == 1
    assert len(shop.world.sent) == 2


@pytest.mark.parametrize("late", [False, True])
def test_tags_that_went_with_a_deletion_come_back_with_the_customer(shop: Shop, late: bool) -> None:
    """WeCom forgets the tags between the two when the rep deletes; perhaps we hear of that after the return."""
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    shop.advance(minutes=1)
    if late:
        shop.deliverer.pause()
    shop.world.member_deletes("lisi", arrival.external_userid)
    deleted = shop.world.events[-1].xml
    shop.advance(minutes=1)
    shop.world.scan(channel.code, external_userid=arrival.external_userid, userid="lisi")
    for xml in (shop.world.events[-1].xml, deleted) if late else ():
        shop.post(xml)
        shop.catch_up()
    shop.catch_up()
    assert relation(shop).state == "active"
    assert len(shop.world.relation("lisi", arrival.external_userid).tag_ids) == 1
    assert [one.at_wecom for one in shop.rows(RelationTag)] == ["done"]


@pytest.mark.parametrize("order", ["add first", "loss first"])
@pytest.mark.parametrize("looked_up", [True, False])
def test_a_transfer_is_neither_arrival_nor_loss(shop: Shop, order: str, looked_up: bool) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    shop.advance(hours=1)
    before = day_of(shop)
    shop.deliverer.pause()
    shop.world.transfer("lisi", "wangwu", arrival.external_userid)
    held = [one.xml for one in shop.world.events][-2:]
    if not looked_up:
        shop.world.customers.pop(arrival.external_userid)
    for xml in held if order == "add first" else reversed(held):
        assert shop.post(xml) == 200
        shop.catch_up()
    assert (relation(shop, "lisi").state, relation(shop, "wangwu").state) == ("transferred", "active")
    assert day_of(shop) == before
    assert [one.origin for one in shop.rows(Interval)] == ["arrival", "transfer"]
    assert len(shop.world.sent) == 1
    person = shop.rows(Person)[0]
    assert person.owner == "wangwu"
    marks = shop.world.calls_to("externalcontact/mark_tag")
    assert [one.body["userid"] for one in marks] == ["lisi", "wangwu"]


def test_the_welcomes_of_the_day_do_not_count_a_transfer(shop: Shop) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    shop.advance(hours=1)
    shop.world.transfer("lisi", "wangwu", arrival.external_userid)
    shop.catch_up()
    assert [one.outcome for one in shop.rows(Welcome)] == ["sent"]


def test_a_transfer_that_failed_changes_nothing_but_the_story(shop: Shop) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    before = day_of(shop)
    post(shop, "transfer_fail", "wangwu", arrival.external_userid, FailReason="customer_refused")
    assert relation(shop, "lisi").state == "active"
    assert relation(shop, "wangwu").state == "unknown"
    assert day_of(shop) == before
    (line,) = shop.rows(Interaction, Interaction.kind == "transfer_failed")
    assert line.details == {"reason": "customer_refused"}


def test_an_event_told_many_times_has_one_effect(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.scan(channel.code, userid="lisi")
    last = shop.world.events[-1].xml
    for _ in range(5):
        assert shop.post(last) == 200
        shop.catch_up()
        shop.advance(minutes=10)
    assert len(shop.world.sent) == 1
    assert len(shop.rows(Interval)) == 1
    assert kinds(shop).count("added") == 1
    assert len(shop.world.calls_to("externalcontact/mark_tag")) == 1


def test_a_second_receiver_with_another_agent_and_code_only_adds_a_code(shop: Shop) -> None:
    channel = shop.channel()
    more = {"State": channel.code}
    post(shop, "add_external_contact", WelcomeCode="first-code", AgentID="1000002", **more)
    post(shop, "add_external_contact", WelcomeCode="second-code", AgentID="1000003", **more)
    post(shop, "add_external_contact", WelcomeCode="second-code", AgentID="1000003", **more)
    (row,) = [one for one in shop.rows(InboxRow) if "external" in one.name]
    assert row.extra_codes == ["second-code"]
    assert len(shop.rows(Welcome)) == 1
    assert len(shop.rows(Interval)) == 1
    assert kinds(shop).count("added") == 1


@pytest.mark.parametrize("deleted", [True, False])
def test_the_code_of_a_deleted_or_unknown_channel_never_loses_the_customer(shop: Shop, deleted: bool) -> None:
    code = "somebody-elses-code"
    if deleted:
        channel = shop.channel()
        code = channel.code
        with shop.work() as work:
            channels.delete(work, work.db.get_one(Channel, channel.id))
        shop.catch_up()
    post(shop, "add_external_contact", State=code, WelcomeCode="w1")
    found = relation(shop)
    assert (found.state, found.source_state) == ("active", code)
    assert (found.channel_id is not None) == deleted
    assert [one.state for one in shop.rows(InboxRow)] == ["done"] * len(shop.rows(InboxRow))


@pytest.mark.parametrize(
    "more",
    [
        {"State": "s" * 300},
        {"WelcomeCode": "w" * 1000},
        {"State": "渠道" * 100, "WelcomeCode": "码" * 300},
        {"State": "😀'\";--"},
    ],
    ids=["long state", "long code", "both, in Chinese", "odd"],
)
def test_fields_longer_than_anybody_announced_lose_nobody(shop: Shop, more: dict[str, str]) -> None:
    post(shop, "add_external_contact", **{"State": shop.channel().code, **more})
    assert relation(shop).state == "active"
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}


@pytest.mark.parametrize("change", ["del_external_contact", "del_follow_user", "transfer_fail"])
def test_ids_longer_than_wecom_has_are_kept_as_unknown(shop: Shop, change: str) -> None:
    post(shop, change, external="wm" + "x" * 200)
    assert [one.outcome for one in shop.rows(InboxRow)] == ["kept: no step follows this event"]


def test_userids_are_one_whatever_their_case(shop: Shop) -> None:
    post(shop, "add_external_contact", "LiSi", back=9)
    post(shop, "edit_external_contact", "LISI", back=5)
    post(shop, "del_follow_user", "lisi")
    assert relation(shop).state == "ended_by_customer"
    assert len(shop.rows(Relation)) == 1


def test_a_member_who_leaves_in_another_case_leaves_the_codes(shop: Shop) -> None:
    channel = shop.channel(spare=("wangwu",), members=("lisi",))
    shop.world.dismiss_member("lisi")
    before = len(shop.rows(Member))
    shop.post(event_xml("change_contact", ChangeType="delete_user", UserID="LiSi", CreateTime="5"))
    shop.catch_up()
    assert len(shop.rows(Member)) == before
    assert shop.rows(Channel)[0].at_wecom == ["wangwu"]
    assert shop.world.contact_ways[channel.config_id or ""].users == ("wangwu",)


def test_what_still_waits_for_wecom_names_a_renamed_rep_as_wecom_does_now(shop: Shop) -> None:
    channel = shop.channel(members=("lisi",))
    shop.world.scan(channel.code, userid="lisi")
    shop.advance(seconds=1)
    shop.world.fail_next("externalcontact/mark_tag", -1)
    shop.catch_up()
    with shop.work() as work:
        work.db.get_one(Member, "wangwu").superiors = ["lisi"]
    shop.world.rename_member("lisi", "li.si")
    shop.catch_up()
    shop.advance(minutes=1)
    shop.catch_up()
    assert {row.body["userid"] for row in shop.rows(OutboxRow, OutboxRow.name == "MarkTag")} == {"li.si"}
    assert {row.at_wecom for row in shop.rows(RelationTag)} == {"done"}
    assert shop.rows(Member, Member.userid == "wangwu")[0].superiors == ["li.si"]


def test_a_tag_taken_away_while_the_relation_is_ended_is_not_wanted_there_any_more(shop: Shop) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    shop.world.customer_deletes("lisi", arrival.external_userid)
    shop.catch_up()
    with shop.work() as work:
        person, tag = work.db.query(Person).one(), work.db.query(Tag).filter(Tag.name == "抖音").one()
        assert tags.take_away(work, person, tag)
    assert [row.wanted for row in shop.rows(RelationTag)] == [False]


def test_events_of_different_members_do_not_wait_for_each_other(shop: Shop) -> None:
    def about(userid: str) -> str:
        return event_xml(Event="change_contact", ChangeType="update_user", UserID=userid)

    for userid in ("lisi", "LiSi", "wangwu"):
        shop.post(about(userid))
    claimed = shop.parts.dispatcher().claim("events", 10)
    assert len(claimed) == 2


def test_a_renamed_member_keeps_customers_codes_and_history(shop: Shop) -> None:
    slot: dict[str, Any] = {"days": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "23:59", "members": ["lisi"]}
    channel = shop.channel(members=("lisi",), timetable=(slot,))
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    shop.deliverer.pause()
    shop.world.rename_member("lisi", "li.si")
    renamed = shop.world.events[-1].xml
    shop.advance(minutes=1)
    shop.world.customer_deletes("li.si", arrival.external_userid)
    shop.post(shop.world.events[-1].xml)
    shop.catch_up()
    shop.post(renamed)
    shop.catch_up()

    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    found = relation(shop, "li.si")
    assert found.state == "ended_by_customer"
    assert {one.userid for one in shop.rows(Interval)} == {"li.si"}
    assert {one.userid for one in shop.rows(Interaction) if one.userid} == {"li.si"}
    assert shop.rows(Person)[0].owner == "li.si"
    kept = shop.rows(Channel)[0]
    assert (kept.at_wecom, kept.timetable[0]["members"], kept.trouble) == (["li.si"], ["li.si"], None)
    (member,) = shop.rows(Member, Member.userid == "li.si")
    assert (member.name, member.serves, member.left_at) == ("李四", True, None)
    assert not shop.rows(Member, Member.userid == "lisi")


def test_one_person_known_by_two_reps_is_one_person(shop: Shop) -> None:
    channel = shop.channel()
    first = shop.world.scan(channel.code, userid="lisi", unionid="oUnion1")
    shop.advance(minutes=1)
    shop.world.scan(channel.code, external_userid=first.external_userid, userid="zhangsan")
    shop.catch_up()
    assert len(shop.rows(Person)) == 1
    assert {one.type for one in shop.rows(Identity)} == {"external_userid", "unionid"}
    assert (day_of(shop).new_to_shop, day_of(shop).new_to_rep) == (1, 1)
    assert {one.at_wecom for one in shop.rows(RelationTag)} == {"done"}
    assert len(shop.rows(RelationTag)) == 2


def test_an_event_about_a_customer_whose_arrival_was_lost_makes_him_known(shop: Shop) -> None:
    """WeCom loses callbacks: the edit of somebody we never heard of shows that he is ours."""
    customer = shop.world.remember("lisi", "老客", days_ago=3)
    shop.world.edit_remark("lisi", customer.external_userid, remark="老客")
    shop.catch_up()
    found = relation(shop)
    assert (found.state, found.remark) == ("active", "老客")
    assert [one.origin for one in shop.rows(Interval)] == ["taken_over"]
    assert day_of(shop).arrivals == 0


def test_what_wecom_tells_days_late_counts_on_the_day_it_happened(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.past_scan(channel.code, "小雨", days_ago=3, left_days_ago=1)
    shop.catch_up()
    figures = {back: day_of(shop, back) for back in (3, 1, 0)}
    assert [(figures[back].new_to_shop, figures[back].lost) for back in (3, 1, 0)] == [(1, 0), (0, 1), (0, 0)]
    assert relation(shop, "zhangsan").state == "ended_by_customer"
    assert [one.outcome for one in shop.rows(Welcome)] == ["no_code"]


@pytest.mark.parametrize("name", ["a\x00b", "𝕏" * 300, "x\r\nINFO forged line", "</xml>", "名" * 500, ""])
def test_no_nickname_is_too_odd_to_be_kept(shop: Shop, name: str) -> None:
    channel = shop.channel()
    shop.world.scan(channel.code, name=name, userid="lisi")
    shop.catch_up()
    assert relation(shop).state == "active"
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    assert len(shop.world.sent) == 1


def test_an_event_with_no_time_or_a_silly_one_takes_the_time_it_came(shop: Shop) -> None:
    for number, when in enumerate(("", "soon", "-1", "999999999999", "0")):
        fields = {"ChangeType": "add_external_contact", "UserID": "lisi", "ExternalUserID": f"wmT{number}"}
        assert shop.post(event_xml(CreateTime=when, **fields)) == 200
    shop.catch_up()
    added = [one.added_at for one in shop.rows(Relation)]
    assert all(abs(one - shop.now()) < timedelta(minutes=1) for one in added[:4])
    assert {one.state for one in shop.rows(Relation)} == {"active"}


def test_events_without_a_word_of_ours_are_kept_and_counted(shop: Shop) -> None:
    for event in ("brand_new_event", "change_external_chat", "customer_acquisition"):
        assert shop.post(event_xml(event, ChangeType="del_follow_user", UserID="lisi", ExternalUserID="wm1")) == 200
    shop.catch_up()
    assert [one.outcome for one in shop.rows(InboxRow)] == ["kept: no step follows this event"] * 3
    assert shop.rows(Relation) == []


def test_the_story_says_what_the_rep_edited(shop: Shop) -> None:
    arrival = shop.world.scan(shop.channel("门店").code, name="小雨")
    shop.catch_up()
    shop.world.edit_remark(arrival.userid, arrival.external_userid, remark="雨姐", description="爱喝手冲")
    shop.catch_up()
    (line,) = shop.rows(Interaction, Interaction.kind == "edited")
    assert line.details["changed"] == {"remark": ["小雨", "雨姐"], "description": ["", "爱喝手冲"]}

"""Recurring broadcasts, broadcasts to groups, and what reps send by themselves."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from insight import segments
from outreach import broadcasts, results
from outreach.audience import QUOTA
from outreach.broadcasts import CannotDo
from outreach.groups import GONE
from scheduler.timetable import plan_broadcasts, read_own_sends
from storage.tables import Broadcast, GroupChat, MassTask, Progress, Relation, SegmentMember, Touch, User
from tests.journeys.broadcasting import (
    BOSS,
    BY,
    JOBS,
    begin,
    confirm_all,
    read_back,
    received,
    run,
    state,
    states,
    written,
)
from tests.shop import Shop

FRIDAYS = {"every": "week", "days": [5], "at": "10:00", "working": False}


@pytest.fixture
def shop(evening: Shop) -> Shop:
    return evening


@pytest.fixture
def one_shop(evening_on_sqlite: Shop) -> Shop:
    """Where the SQL is the same on both."""
    return evening_on_sqlite


def children(shop: Shop, parent: int) -> list[Broadcast]:
    return shop.rows(Broadcast, Broadcast.parent_id == parent)


def to_friday(shop: Shop) -> None:
    """Ten o'clock of the next Friday, and a little later."""
    local = shop.now().astimezone(shop.parts.zone)
    ahead = (4 - local.weekday()) % 7 or 7
    friday = (local + timedelta(days=ahead)).replace(hour=10, minute=1, second=0)
    shop.advance(seconds=(friday - local).total_seconds())


def test_each_time_is_a_broadcast_of_its_own_and_planning_twice_makes_one(one_shop: Shop) -> None:
    parent = begin(one_shop, repeat=FRIDAYS)
    assert state(one_shop, parent) == "approved"
    run(one_shop, 1)
    assert children(one_shop, parent) == []
    for week in (1, 2):
        to_friday(one_shop)
        hands = one_shop.parts.hands(lambda: None, lambda: False)
        plan_broadcasts(hands)
        plan_broadcasts(hands)
        run(one_shop)
        confirm_all(one_shop)
        read_back(one_shop)
        assert len(children(one_shop, parent)) == week
        assert set(received(one_shop).values()) == {week}
    first, second = children(one_shop, parent)
    assert (first.name, second.name) == ("会员日 11-27", "会员日 12-04")
    assert {first.state, second.state} == {"done"}


def test_a_time_that_was_missed_by_days_is_not_made_up_for(one_shop: Shop) -> None:
    parent = begin(one_shop, repeat=FRIDAYS)
    to_friday(one_shop)
    one_shop.advance(days=2)
    run(one_shop, 1)
    assert children(one_shop, parent) == []
    (kept,) = one_shop.rows(Broadcast, Broadcast.id == parent)
    assert f"{kept.send_at.astimezone(one_shop.parts.zone):%m-%d %H:%M}" == "12-04 10:00"


def test_when_its_audience_grew_tenfold_the_whole_of_it_goes_back_and_the_maker_is_told(one_shop: Shop) -> None:
    parent = begin(one_shop, repeat=FRIDAYS)
    with one_shop.db() as db:
        db.get_one(Broadcast, parent).size = 1
    to_friday(one_shop)
    run(one_shop, 1)
    (child,) = children(one_shop, parent)
    assert (child.state, state(one_shop, parent), one_shop.rows(Touch)) == ("stopped", "draft", [])
    told = [one.content["description"] for one in one_shop.world.app_messages.values() if one.userid == BY]
    assert len(told) == 1
    assert "12 倍" in told[0]


def test_stopping_it_stops_every_time(one_shop: Shop) -> None:
    parent = begin(one_shop, repeat=FRIDAYS)
    to_friday(one_shop)
    run(one_shop)
    assert any(one_shop.world.mass_todos(one) for one in one_shop.world.members)
    with one_shop.work() as work:
        broadcasts.stop(work, work.db.get_one(Broadcast, parent), by=BOSS)
    run(one_shop)
    assert not any(one_shop.world.mass_todos(one) for one in one_shop.world.members)
    to_friday(one_shop)
    run(one_shop, 1)
    assert len(children(one_shop, parent)) == 1


def test_a_maker_who_cannot_come_in_any_more_sends_nothing(one_shop: Shop) -> None:
    number = begin(one_shop, send_at=one_shop.now() + timedelta(minutes=30))
    with one_shop.db() as db:
        db.scalars(select(User).where(User.userid == BY)).one().disabled_at = one_shop.now()
    run(one_shop, 31)
    (kept,) = one_shop.rows(Broadcast, Broadcast.id == number)
    assert (kept.state, one_shop.rows(MassTask)) == ("draft", [])
    assert "制作人已经不能登录" in (kept.note or "")


# --- groups ----------------------------------------------------------------------------------------------------------


def test_groups_get_it_from_their_owners_and_those_that_reached_it_are_named(one_shop: Shop) -> None:
    shop = one_shop
    owners = (("lisi", "一群"), ("wangwu", "二群"))
    rooms = [shop.world.open_group(owner, name, []).chat_id for owner, name in owners]
    shop.advance(seconds=10)
    shop.catch_up()
    with shop.db() as db:
        for chat_id in rooms:
            assert db.get(GroupChat, chat_id) is not None
        db.add(GroupChat(chat_id="wr-gone", name="没了", owner="lisi", dismissed_at=shop.now()))
    number = written(shop, segment_id=None, audience="groups", chat_ids=[*rooms, "wr-gone"])
    with shop.work() as work:
        broadcast = work.db.get_one(Broadcast, number)
        shown = broadcasts.preflight(work.db, broadcast, shop.parts.rules, work.now, work.zone)
        assert (shown.will, dict(shown.reasons)) == (2, {GONE: 1})
        broadcasts.submit(work, broadcast, shown.will, by=BY)
    run(shop)
    assert {one.userid for one in shop.rows(MassTask)} == {"lisi", "wangwu"}
    (errand,) = shop.world.mass_todos("lisi")
    shop.world.confirm_mass("lisi", errand.msgid)
    read_back(shop)
    with shop.db() as db:
        found = results.groups(db, db.get_one(Broadcast, number))
    assert [(chat.name, reached) for chat, reached, _at in found] == [("一群", True), ("二群", False)]
    assert [one.text for one in shop.world.room_chat(rooms[0])] == ["本周五会员日，全场八折。李四"]
    again = written(shop, name="又一次", segment_id=None, audience="groups", chat_ids=rooms)
    with shop.db() as db:
        shown = broadcasts.preflight(db, db.get_one(Broadcast, again), shop.parts.rules, shop.now(), shop.parts.zone)
    assert dict(shown.reasons) == {QUOTA: 2}


def test_people_in_groups_are_not_compared(one_shop: Shop) -> None:
    with pytest.raises(CannotDo) as refused:
        written(one_shop, audience="groups", chat_ids=["wr1"], control=1000)
    assert [place for place, _words in refused.value.problems] == ["control"]


# --- what reps send by themselves ------------------------------------------------------------------------------------


def test_what_reps_send_by_themselves_is_read_once_and_uses_up_the_budget(shop: Shop) -> None:
    shop.world.member_mass("lisi", "我自己发的")
    shop.advance(minutes=15)
    shop.run(*JOBS)
    own = {one.person_id for one in shop.rows(Relation, Relation.userid == "lisi")}
    touches = shop.rows(Touch)
    assert {one.person_id for one in touches} == own
    assert {(one.state, one.userid, one.source.partition(":")[0]) for one in touches} == {("sent", "lisi", "own")}
    shop.advance(minutes=15)
    shop.run(*JOBS)
    assert len(shop.rows(Touch)) == len(own)
    number = written(shop)
    with shop.db() as db:
        shown = broadcasts.preflight(db, db.get_one(Broadcast, number), shop.parts.rules, shop.now(), shop.parts.zone)
    assert dict(shown.reasons) == {QUOTA: len(own)}
    assert "我自己发的" not in repr([vars(one) for one in shop.rows(Touch) + shop.rows(Progress)])


def test_our_own_tasks_are_no_sends_of_reps(one_shop: Shop) -> None:
    begin(one_shop)
    run(one_shop)
    confirm_all(one_shop)
    read_back(one_shop)
    assert read_own_sends(one_shop.parts.hands(lambda: None, lambda: False)) == "messages of reps: 0, customers: 0"
    assert states(one_shop) == {"sent": 12}


# --- two tasks a day -------------------------------------------------------------------------------------------------


def test_a_rep_is_asked_twice_a_day_and_no_more(one_shop: Shop) -> None:
    """Three broadcasts to three different parts of everybody: the third waits for the next day."""
    with one_shop.work() as work:
        seen = sorted(one.person_id for one in work.db.query(Relation).filter_by(userid="lisi"))
        parts = [seen[0::3], seen[1::3], seen[2::3]]
        numbers = []
        for n, ids in enumerate(parts):
            made = segments.create(work, f"名单 {n}", {"all": []}, by=BY, kind="static")
            keep(work.db, made.id, ids)
            numbers.append(made.id)
    for number in numbers:
        begin(one_shop, segment_id=number)
    run(one_shop, 5)
    assert len(one_shop.world.mass_todos("lisi")) == 2
    assert sorted(one.state for one in one_shop.rows(MassTask, MassTask.userid == "lisi")) == [
        "made",
        "made",
        "planned",
    ]
    one_shop.advance(hours=16)
    run(one_shop, 5)
    assert "planned" not in {one.state for one in one_shop.rows(MassTask, MassTask.userid == "lisi")}


def keep(db: Any, segment_id: int, ids: list[int]) -> None:
    db.query(SegmentMember).filter(SegmentMember.segment_id == segment_id, SegmentMember.person_id.not_in(ids)).delete(
        synchronize_session=False
    )

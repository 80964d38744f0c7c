"""A broadcast from its first draft to what each customer received, on the sandbox's word."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from outreach import broadcasts
from outreach.audience import OPTED_OUT, QUOTA
from outreach.broadcasts import CannotDo, Draft
from people import consent
from storage.tables import Broadcast, MassTask, Person, Relation, Touch
from tests.journeys.broadcasting import (
    BOSS,
    BY,
    JOBS,
    TEXT,
    begin,
    confirm_all,
    everybody,
    read_back,
    received,
    run,
    state,
    states,
    written,
)
from tests.shop import Shop


@pytest.fixture
def shop(evening: Shop) -> Shop:
    return evening


def test_everybody_gets_it_once_from_the_rep_who_answers_for_them(shop: Shop) -> None:
    broadcast = begin(shop)
    run(shop)
    tasks = shop.rows(MassTask)
    assert {one.state for one in tasks} == {"made"}
    assert sum(one.size for one in tasks) == 12
    assert received(shop) == Counter()
    confirm_all(shop)
    read_back(shop)
    assert set(received(shop).values()) == {1}
    assert len(received(shop)) == 12
    assert states(shop) == {"sent": 12}
    assert (state(shop, broadcast), {one.state for one in shop.rows(MassTask)}) == ("done", {"done"})
    owners = {one.external_userid: one.userid for one in shop.rows(Relation)}
    assert all(owners[one.receiver] == one.userid for one in shop.world.mass_received())
    assert all("{rep}" not in one.text for one in tasks)


def test_the_preflight_is_what_happens_and_says_why_each_of_the_others_is_left_out(shop: Shop) -> None:
    with shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, 1), "lisi")
    first = begin(shop)
    run(shop)
    with shop.db() as db:
        shown = broadcasts.preflight(db, db.get_one(Broadcast, first), shop.parts.rules, shop.now(), shop.parts.zone)
    assert (shown.will, dict(shown.reasons)) == (11, {OPTED_OUT: 1})
    with pytest.raises(CannotDo, match="没有人会收到"):
        begin(shop, name="又一次")
    second = written(shop, name="又一次")
    assert reasons(shop, second) == {OPTED_OUT: 1, QUOTA: 11}


def reasons(shop: Shop, broadcast_id: int) -> dict[str, int]:
    with shop.db() as db:
        broadcast = db.get_one(Broadcast, broadcast_id)
        shown = broadcasts.preflight(db, broadcast, shop.parts.rules, shop.now(), shop.parts.zone)
        return dict(shown.reasons)


def test_quiet_hours_take_back_what_is_unconfirmed_and_offer_it_next_morning(shop: Shop) -> None:
    begin(shop)
    run(shop)
    shop.advance(hours=4)  # ten in the evening
    run(shop, 5)
    assert all(not shop.world.mass_todos(one) for one in shop.world.members)
    assert {one.state for one in shop.rows(MassTask)} == {"cancelled", "planned"}
    assert states(shop) == {"held": 12}
    shop.advance(hours=10)
    run(shop, 5)
    confirm_all(shop)
    read_back(shop)
    assert states(shop) == {"sent": 12}
    assert set(received(shop).values()) == {1}


def test_somebody_who_opts_out_is_taken_out_and_the_others_still_get_it(shop: Shop) -> None:
    begin(shop)
    run(shop)
    with shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, 5), "kf")
    (gone,) = {one.external_userid for one in shop.rows(Relation, Relation.person_id == 5)}
    run(shop, 5)
    confirm_all(shop)
    read_back(shop)
    assert gone not in received(shop)
    assert states(shop) == {"sent": 11, "left_out": 1}
    assert set(received(shop).values()) == {1}


def test_a_line_that_breaks_after_wecom_took_it_makes_no_second_task(shop: Shop) -> None:
    """F17: the answer is lost, the task is there: it is found in WeCom's list and adopted."""
    shop.world.faults.reset_after_effect = 1.0
    begin(shop)
    shop.advance(seconds=30)
    shop.run(*JOBS)
    assert {one.state for one in shop.rows(MassTask)} == {"unclear"}
    shop.world.faults.reset_after_effect = 0.0
    run(shop, 10)
    assert {one.state for one in shop.rows(MassTask)} == {"made"}
    assert len(shop.world.mass_tasks) == len(shop.rows(MassTask))
    confirm_all(shop)
    read_back(shop)
    assert set(received(shop).values()) == {1}
    assert states(shop) == {"sent": 12}


def test_a_task_that_never_reached_wecom_is_made_after_it_was_looked_for_long_enough(shop: Shop) -> None:
    begin(shop)
    shop.world.faults.not_json = 1.0  # a gateway's page instead of an answer, and nothing done
    run(shop, 1)
    assert {one.state for one in shop.rows(MassTask)} == {"unclear"}
    shop.world.faults.not_json = 0.0
    run(shop, 5)
    assert ({one.state for one in shop.rows(MassTask)}, shop.world.mass_tasks) == ({"unclear"}, {})
    run(shop, 15)
    assert {one.state for one in shop.rows(MassTask)} == {"made"}
    assert len(shop.world.mass_tasks) == len(shop.rows(MassTask))


def test_what_a_rep_sent_by_himself_first_is_wecoms_no_and_given_back(shop: Shop) -> None:
    shop.world.limits.mass_quota = "day_1"
    begin(shop)
    run(shop)
    shop.world.member_mass("lisi", "我自己发的")
    confirm_all(shop)
    read_back(shop)
    lost = {one.external_userid for one in shop.rows(Touch, Touch.state == "quota")}
    assert lost == {one.external_userid for one in shop.rows(Relation, Relation.userid == "lisi")}
    assert set(received(shop).values()) == {1}


def test_stopping_lets_nobody_get_it_who_has_not(shop: Shop) -> None:
    broadcast = begin(shop)
    run(shop)
    first = next(one for one in shop.world.members if shop.world.mass_todos(one))
    shop.world.confirm_mass(first, shop.world.mass_todos(first)[0].msgid)
    with shop.work() as work:
        broadcasts.stop(work, work.db.get_one(Broadcast, broadcast), by=BOSS)
    run(shop, 10)
    assert all(not shop.world.mass_todos(one) for one in shop.world.members)
    assert states(shop)["sent"] == len(received(shop)) > 0
    assert set(states(shop)) == {"sent", "cancelled"}


def test_what_nobody_confirms_in_time_is_over_and_the_budget_free_again(shop: Shop) -> None:
    broadcast = begin(shop)
    run(shop)
    for _ in range(30):  # from Sunday evening over a night to Monday evening
        shop.advance(hours=1)
        run(shop, 1)
    assert all(not shop.world.mass_todos(one) for one in shop.world.members)
    assert (states(shop), state(shop, broadcast)) == ({"expired": 12}, "done")
    assert received(shop) == Counter()
    again = written(shop, name="又一次")
    assert reasons(shop, again) == {}


@pytest.mark.parametrize(
    ("draft", "place"),
    [
        ({"text": "{name}你好"}, "text"),
        ({"text": "你有 {points} 分"}, "text"),
        ({"text": ""}, "text"),
        ({"text": "字" * 1400}, "text"),
        ({"name": ""}, "name"),
        ({"segment_id": None}, "segment"),
        ({"control": 6000}, "control"),
    ],
)
def test_what_wecom_cannot_do_is_refused_when_it_is_written(shop: Shop, draft: dict[str, Any], place: str) -> None:
    segment = everybody(shop)
    with shop.work() as work, pytest.raises(CannotDo) as refused:
        broadcasts.create(work, Draft(**{"name": "会员日", "segment_id": segment, "text": TEXT, **draft}), by=BY)
    assert [one for one, _words in refused.value.problems] == [place]
    assert shop.rows(Broadcast) == []


def test_a_time_that_is_over_is_refused(shop: Shop) -> None:
    segment = everybody(shop)
    with shop.work() as work, pytest.raises(CannotDo, match="已经过去"):
        broadcasts.create(work, Draft("会员日", segment, TEXT, send_at=shop.now() - timedelta(hours=1)), by=BY)


def test_above_a_size_a_second_person_decides_and_never_the_maker(shop: Shop) -> None:
    broadcast = begin(shop, above=5)
    run(shop)
    assert (state(shop, broadcast), shop.rows(MassTask)) == ("asked", [])
    with shop.work() as work, pytest.raises(CannotDo, match="不能批准自己"):
        broadcasts.approve(work, work.db.get_one(Broadcast, broadcast), 12, by=BY)
    with shop.work() as work:
        broadcasts.approve(work, work.db.get_one(Broadcast, broadcast), 12, by=BOSS)
    run(shop)
    assert state(shop, broadcast) == "running"


def test_when_ten_times_as_many_fit_it_goes_back_to_its_maker(shop: Shop) -> None:
    broadcast = begin(shop, send_at=shop.now() + timedelta(minutes=30))
    with shop.db() as db:
        db.get_one(Broadcast, broadcast).size = 1
    run(shop, 31)
    (back,) = shop.rows(Broadcast, Broadcast.id == broadcast)
    assert (back.state, shop.rows(Touch)) == ("draft", [])
    assert "12 倍" in (back.note or "")

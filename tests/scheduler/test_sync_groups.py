"""Customer groups compared with WeCom; and WeCom's own figures of reps' days."""

from datetime import date, timedelta
from typing import Any

import pytest

from scheduler import reconcile_groups
from scheduler.timetable import TIMETABLE
from storage.tables import Alarm, GroupChat, GroupMember, Interaction, RepDay
from tests.scheduler.syncing import SETTLED, sync, unheard
from tests.shop import Shop
from wecom.groups import TOO_MANY_OWNERS

LIST, GET = "externalcontact/groupchat/list", "externalcontact/groupchat/get"
FIGURES = "externalcontact/get_user_behavior_data"


def test_a_group_opened_changed_and_dissolved_unheard_is_so_here(shop: Shop) -> None:
    external = shop.world.add_by_phone("lisi", "小雨").external_userid
    shop.catch_up()
    with unheard(shop):
        chat = shop.world.open_group("lisi", "豆友群", [external])
    report = sync(shop)
    assert [(one["kind"], one["who"]) for one in report.of("groups").examples] == [("new", "豆友群")]
    with unheard(shop):
        shop.world.leave_group(chat.chat_id, [external])
        shop.world.rename_group(chat.chat_id, "手冲群")
    report = sync(shop)
    assert report.of("groups").examples[0]["kind"] == "changed, left"
    kinds = [one.kind for one in shop.rows(Interaction) if one.kind.startswith("group_")]
    assert kinds == ["group_joined", "group_left"]
    with unheard(shop):
        shop.world.dismiss_group(chat.chat_id)
    report = sync(shop)
    assert report.of("groups").examples[0]["kind"] == "dismissed"
    assert shop.rows(GroupChat)[0].dismissed_at is not None
    assert sync(shop).different == 0


def test_an_event_after_the_comparison_tells_nothing_twice(shop: Shop) -> None:
    external = shop.world.add_by_phone("lisi", "小雨").external_userid
    shop.catch_up()
    with unheard(shop):
        shop.world.open_group("lisi", "豆友群", [external])
    xml = shop.world.events[-1].xml
    sync(shop)
    shop.post(xml)
    shop.advance(seconds=2)
    shop.catch_up()
    assert len(shop.rows(GroupMember)) == 2
    assert len(shop.rows(Interaction, Interaction.kind == "group_joined")) == 1


def test_where_there_are_too_many_owners_groups_are_asked_for_owner_by_owner(shop: Shop) -> None:
    """One owner whom WeCom does not let us ask for makes it refuse the whole filter."""
    for rep in ("lisi", "wangwu"):
        shop.world.open_group(rep, f"{rep}的群")
    shop.advance(minutes=SETTLED)
    asked = shop.parts.gateway.reps
    shop.parts.gateway.reps = lambda: [*asked(), "nobody"]  # type: ignore[method-assign]
    shop.world.fail_next(LIST, TOO_MANY_OWNERS)
    assert reconcile_groups._listed(_hands(shop)) == set(shop.world.groups)
    filters = [call.body.get("owner_filter") for call in shop.world.calls_to(LIST)]
    assert filters[0] is None
    assert len(filters) == 2 + 6


def _hands(shop: Shop) -> Any:
    class Hands:
        engine, gateway = shop.parts.engine, shop.parts.gateway

        @staticmethod
        def patiently(ask: Any) -> Any:
            return ask()

        @staticmethod
        def go_on() -> None: ...

    return Hands()


def test_many_groups_out_of_sight_at_once_are_not_taken_for_dissolved(shop: Shop) -> None:
    for number in range(15):
        shop.world.open_group("lisi", f"群{number}")
    shop.advance(minutes=SETTLED)
    sync(shop)
    hidden, shop.world.groups = shop.world.groups, {}
    report = sync(shop)
    assert (report.of("groups").different, report.of("groups").fixed) == (15, 0)
    assert {one.dismissed_at for one in shop.rows(GroupChat)} == {None}
    assert [one.kind for one in shop.rows(Alarm)] == [reconcile_groups.NARROWED]
    shop.world.groups = hidden
    assert sync(shop).different == 0


def test_each_group_is_read_and_a_refused_one_stops_nobody(shop: Shop) -> None:
    with unheard(shop):
        for number in range(3):
            shop.world.open_group("lisi", f"群{number}")
    shop.world.fail_next(GET, 60011)
    assert sync(shop).of("groups").fixed == 2
    assert sync(shop).of("groups").fixed == 1


# --- WeCom's own figures ---------------------------------------------------------------------------------------------


@pytest.fixture
def morning(shop: Shop) -> Shop:
    """The day after, at eight in Shanghai."""
    shop.clock.advance(timedelta(hours=14).total_seconds())
    return shop


def fetch(shop: Shop) -> str | None:
    loop = shop.parts.loop(lambda: None, lambda: False)
    return loop.run_if_due(next(one for one in TIMETABLE if one.name == "rep days"))


def test_each_morning_wecoms_figures_of_every_rep_are_fetched(shop: Shop) -> None:
    external = shop.world.add_by_phone("lisi", "小雨").external_userid
    shop.world.chat("lisi", external, "在吗", "customer")
    shop.advance(minutes=3)
    shop.world.chat("lisi", external, "在的", "rep")
    shop.clock.advance(timedelta(hours=14).total_seconds())
    assert len(shop.rows(RepDay)) == 150  # thirty days at the start
    assert fetch(shop) == "days: 5, reps: 5"
    yesterday = date(2026, 11, 22)
    days = {(one.userid, one.day): one for one in shop.rows(RepDay)}
    own = days["lisi", yesterday]
    assert (own.chats, own.messages, own.reply_percentage, own.first_reply_minutes) == (1, 1, 100.0, 3.0)
    assert (own.new_contacts, own.deletions) == (1, 0)
    assert days["wangwu", yesterday].reply_percentage is None
    assert len(shop.world.calls_to(FIGURES)) == 5


def test_the_next_morning_only_the_new_day_is_fetched_and_missed_ones_are_caught_up(morning: Shop) -> None:
    fetch(morning)
    morning.advance(days=1)
    assert fetch(morning) == "days: 5, reps: 5"
    morning.advance(days=4)
    assert fetch(morning) == "days: 20, reps: 5"
    morning.advance(days=200)
    assert fetch(morning) == "days: 150, reps: 5"
    days = [one.day for one in morning.rows(RepDay, RepDay.userid == "lisi")]
    assert len(days) == len(set(days)) == 30 + 1 + 1 + 4 + 30


def test_a_rep_of_whom_wecom_tells_nothing_does_not_hold_the_others(morning: Shop) -> None:
    morning.world.fail_next(FIGURES, 60011)
    assert fetch(morning) == "days: 4, reps: 5"

"""Who receives a channel code's customers: the rule by itself, and in a shop as time passes."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.timetable import public_days
from soak import many
from storage.tables import CalendarDay, Channel, Media
from tagging import channels
from tagging.channels import Invalid
from tagging.timetable import OFF, ONLY, SAME, Rota, Slot, who_serves
from tests.shop import Shop

ZONE = ZoneInfo("Asia/Shanghai")
EVERYBODY = {"day", "night", "spare", "holiday"}
WEEK = [1, 2, 3, 4, 5, 6, 7]


def slot(days: list[int], starts: str, ends: str, *members: str, holidays: str = SAME) -> dict[str, Any]:
    return {"days": days, "from": starts, "to": ends, "members": list(members), "holidays": holidays}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


NIGHT = Slot.read(slot([5], "22:00", "06:00", "night"))


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-11-27T21:59:59", False),
        ("2026-11-27T22:00:00", True),
        ("2026-11-27T23:59:59", True),
        ("2026-11-28T00:00:00", True),
        ("2026-11-28T05:59:59", True),
        ("2026-11-28T06:00:00", False),
        ("2026-11-28T22:30:00", False),
        ("2026-11-27T03:00:00", False),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_began(moment: str, open_: bool) -> None:
    assert NIGHT.covers(at(moment), {}) == open_


@pytest.mark.parametrize(
    ("holidays", "day", "kind", "open_"),
    [
        (SAME, "2026-10-01", "holiday", True),
        (OFF, "2026-10-01", "holiday", False),
        (ONLY, "2026-10-01", "holiday", True),
        (ONLY, "2026-10-08", None, False),
        (SAME, "2026-10-10", "workday", False),
        (OFF, "2026-10-10", "workday", True),
        (ONLY, "2026-10-10", "workday", False),
        (OFF, "2026-10-17", None, False),
        (OFF, "2026-10-08", None, True),
    ],
)
def test_holidays_and_make_up_days(holidays: str, day: str, kind: str | None, open_: bool) -> None:
    """2026-10-10 is a Saturday on which shops work; the slot is for Mondays to Fridays."""
    office = Slot.read(slot([1, 2, 3, 4, 5], "09:00", "18:00", "day", holidays=holidays))
    calendar = {date.fromisoformat(day): kind} if kind else {}
    assert office.covers(at(f"{day}T10:00"), calendar) == open_


def test_the_night_before_a_holiday_runs_into_it() -> None:
    night = Slot.read(slot([3], "22:00", "06:00", "night", holidays=OFF))
    calendar = {date(2026, 10, 1): "holiday"}
    assert night.covers(at("2026-10-01T02:00"), calendar)
    assert not night.covers(at("2026-10-01T22:30"), calendar)


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": []},
        {"days": [0]},
        {"days": [8]},
        {"days": "1"},
        {"members": []},
        {"members": "day"},
        {"from": "9 o'clock"},
        {"to": "24:00"},
        {"to": "09:00"},
        {"from": "09:00+08:00"},
        {"from": None},
        {"holidays": "sometimes"},
    ],
    ids=str,
)
def test_a_slot_that_makes_no_sense_is_refused_with_its_field(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"days|members|from|holidays"):
        Slot.read({**slot([1], "09:00", "18:00", "day"), **wrong})


@settings(max_examples=many(300, 5000), deadline=None, database=None)
@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=7),
    st.times(),
    st.times(),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
)
def test_a_slot_is_open_exactly_inside_its_hours(days: list[int], starts: time, ends: time, moment: datetime) -> None:
    """Against a model that lays every evening of the last days on a line."""
    if starts == ends:
        return
    one = Slot(tuple(sorted(set(days))), starts, ends, ("day",))
    stretches = []
    for back in range(3):
        day = moment.date() - timedelta(days=back)
        if day.isoweekday() in days:
            begin = datetime.combine(day, starts)
            stretches.append((begin, datetime.combine(day + timedelta(days=starts > ends), ends)))
    assert one.covers(moment, {}) == any(begin <= moment < end for begin, end in stretches)


@pytest.mark.parametrize(
    ("able", "arrivals", "stopped", "serves", "trouble"),
    [
        ({"a", "b", "s"}, {}, False, ("a", "b"), False),
        ({"b", "s"}, {}, False, ("b",), False),
        ({"s"}, {}, False, ("s",), False),
        (set(), {}, False, (), True),
        ({"a", "b", "s"}, {"a": 2}, False, ("b",), False),
        ({"a", "b", "s"}, {"a": 2, "b": 5}, False, ("s",), False),
        ({"a", "b"}, {"a": 2, "b": 5}, False, ("a", "b"), False),
        ({"a", "b", "s"}, {}, True, ("s",), False),
        ({"a", "b"}, {}, True, (), True),
    ],
)
def test_who_serves(
    able: set[str], arrivals: dict[str, int], stopped: bool, serves: tuple[str, ...], trouble: bool
) -> None:
    rota = Rota(main=("a", "b"), spare=("s",), daily_cap=2, stopped=stopped)
    found = who_serves(rota, at("2026-11-23T10:00"), able=able, arrivals_today=arrivals, calendar={})
    assert (found.userids, found.trouble is not None) == (serves, trouble)


def test_the_calendar_knows_the_spring_festival_and_its_make_up_days() -> None:
    days = public_days(2026)
    assert days[date(2026, 2, 17)] == "holiday"
    assert days[date(2026, 10, 10)] == "workday"
    assert date(2026, 3, 10) not in days
    assert public_days(2099) == {}


# --- in a shop --------------------------------------------------------------------------------------------------------


def go_to(shop: Shop, text: str) -> None:
    shop.clock.advance(max(0.0, at(text).timestamp() - shop.clock.now()))
    shop.tick()


def leads_to(shop: Shop, channel: Channel) -> tuple[str, ...]:
    return shop.world.contact_ways[channel.config_id or ""].users


def test_a_code_follows_its_timetable_over_night_and_holiday(shop: Shop) -> None:
    table = (
        slot([1, 2, 3, 4, 5], "09:00", "18:00", "zhangsan", holidays=OFF),
        slot(WEEK, "18:00", "09:00", "lisi"),
    )
    channel = shop.channel(members=("zhangsan", "lisi"), spare=("wangwu",), timetable=table)
    with shop.db() as db:
        db.merge(CalendarDay(day=date(2026, 11, 25), kind="holiday"))
        db.merge(CalendarDay(day=date(2026, 11, 28), kind="workday"))
    for when, who in (
        ("2026-11-23T09:01", ("zhangsan",)),
        ("2026-11-23T18:01", ("lisi",)),
        ("2026-11-24T02:00", ("lisi",)),
        ("2026-11-24T09:01", ("zhangsan",)),
        ("2026-11-25T10:00", ("wangwu",)),
        ("2026-11-25T19:00", ("lisi",)),
        ("2026-11-26T10:00", ("zhangsan",)),
        ("2026-11-28T10:00", ("zhangsan",)),
        ("2026-11-29T10:00", ("wangwu",)),
    ):
        go_to(shop, when)
        assert leads_to(shop, channel) == who, when
    calls = shop.world.calls_to("externalcontact/update_contact_way")
    shop.advance(minutes=30)
    shop.tick()
    assert len(shop.world.calls_to("externalcontact/update_contact_way")) == len(calls)


def test_a_code_at_its_cap_leads_to_the_spare_until_midnight(shop: Shop) -> None:
    go_to(shop, "2026-11-23T10:00")
    channel = shop.channel(members=("lisi",), spare=("wangwu",), daily_cap=2)
    for number in range(2):
        assert leads_to(shop, channel) == ("lisi",)
        shop.world.scan(channel.code, external_userid=f"wmCap{number}")
        shop.catch_up()
        shop.advance(minutes=1)
    assert leads_to(shop, channel) == ("wangwu",)
    go_to(shop, "2026-11-23T23:59")
    assert leads_to(shop, channel) == ("wangwu",)
    go_to(shop, "2026-11-24T00:01")
    assert leads_to(shop, channel) == ("lisi",)


def test_a_leaver_is_off_every_code_at_once(shop: Shop) -> None:
    channel = shop.channel(members=("lisi", "zhangsan"))
    alone = shop.channel("只有一个人", members=("lisi",))
    timed = shop.channel("排班", members=("zhangsan",), timetable=(slot(WEEK, "00:00", "23:59", "lisi", "zhangsan"),))
    shop.world.dismiss_member("lisi")
    shop.catch_up()
    assert leads_to(shop, channel) == ("zhangsan",)
    assert leads_to(shop, timed) == ("zhangsan",)
    found = {one.id: one for one in shop.rows(Channel)}
    assert found[channel.id].trouble is None
    assert "不能接待" in (found[alone.id].trouble or "")


def test_a_member_who_is_disabled_is_off_and_on_again_with_the_event(shop: Shop) -> None:
    channel = shop.channel(members=("lisi", "zhangsan"))
    shop.world.update_member("lisi", status=2)
    shop.catch_up()
    assert leads_to(shop, channel) == ("zhangsan",)
    shop.world.update_member("lisi", status=1)
    shop.catch_up()
    assert leads_to(shop, channel) == ("lisi", "zhangsan")


def test_a_code_nobody_can_answer_says_so_and_recovers_by_itself(shop: Shop) -> None:
    channel = shop.channel(members=("lisi",))
    shop.world.update_member("lisi", status=2)
    shop.catch_up()
    assert shop.rows(Channel)[0].trouble
    shop.advance(minutes=2)
    shop.tick()
    assert shop.rows(Channel)[0].trouble
    shop.world.update_member("lisi", status=1)
    shop.catch_up()
    shop.advance(minutes=2)
    shop.tick()
    assert shop.rows(Channel)[0].trouble is None
    assert leads_to(shop, channel) == ("lisi",)


def test_a_stopped_code_leads_to_its_spare_and_needs_one(shop: Shop) -> None:
    with_spare, without = shop.channel(members=("lisi",), spare=("wangwu",)), shop.channel("没有备用")
    with shop.work() as work:
        channels.stop(work, work.db.get_one(Channel, with_spare.id))
        with pytest.raises(Invalid):
            channels.stop(work, work.db.get_one(Channel, without.id))
    shop.catch_up()
    assert leads_to(shop, with_spare) == ("wangwu",)
    with shop.work() as work:
        channels.resume(work, work.db.get_one(Channel, with_spare.id))
    shop.catch_up()
    assert leads_to(shop, with_spare) == ("lisi",)


def test_a_change_wecom_refuses_is_shown_and_tried_again(shop: Shop) -> None:
    channel = shop.channel(members=("lisi", "zhangsan"))
    shop.world.fail_next("externalcontact/update_contact_way", 40098)
    shop.world.dismiss_member("lisi")
    shop.catch_up()
    assert "企业微信没有接受更改" in (shop.rows(Channel)[0].trouble or "")
    for _ in range(channels.TRY_AGAIN_MINUTES + 1):
        shop.advance(minutes=1)
        shop.tick()
    assert leads_to(shop, channel) == ("zhangsan",)
    assert shop.rows(Channel)[0].trouble is None


def test_one_code_that_makes_no_sense_does_not_hold_the_others(shop: Shop) -> None:
    """A row written by hand or by another version."""
    bad = shop.channel("坏的", members=("lisi",))
    go_to(shop, "2026-11-23T10:00")
    good = shop.channel("好的", members=("zhangsan", "lisi"), timetable=(slot(WEEK, "09:00", "18:00", "zhangsan"),))
    with shop.db() as db:
        db.get_one(Channel, bad.id).timetable = [{"days": [1], "from": "whenever", "to": "18:00", "members": ["lisi"]}]
    go_to(shop, "2026-11-23T19:00")
    found = {one.id: one for one in shop.rows(Channel)}
    assert found[bad.id].trouble
    assert "没有人值班" in (found[good.id].trouble or "")


def test_pictures_are_brought_again_before_their_three_days_are_over(shop: Shop) -> None:
    with shop.db() as db:
        media = Media(
            digest="d" * 64, file_name="a.png", content_type="image/png", size=72, created_at=shop.now(),
            content=b"\x89PNG\r\n\x1a\n" + b"\x00" * 64,
        )  # fmt: skip
        db.add(media)
        db.flush()
        number = media.id
    channel = shop.channel(text="欢迎", attachments=({"kind": "image", "media": number},))
    seen = set()
    for day in range(8):
        for _ in range(4):
            shop.advance(hours=6)
            shop.tick()
        seen.add(shop.rows(Media)[0].media_id)
        shop.world.scan(channel.code, external_userid=f"wmPic{day}", userid="lisi")
        shop.catch_up()
    assert len(seen) >= 3
    assert [len(one.attachments) for one in shop.world.sent] == [1] * 8

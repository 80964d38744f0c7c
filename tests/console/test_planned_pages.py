"""The calendar: what stands on which day, for whom, and what a manager sees of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from outreach.budget import SHANGHAI, day_of
from outreach.journeys import desk
from outreach.journeys.definition import EMPTY
from storage.tables import Broadcast, CalendarDay, Journey, Touch
from tests.console.acting import Counter, Pattern


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory, first_customers: Pattern) -> Iterator[Counter]:
    with contextmanager(first_customers.copied)(tmp_path_factory.mktemp("planned")) as counter:
        _plan(counter)
        yield counter


def _plan(counter: Counter) -> None:
    shop = counter.shop
    now, told = shop.now(), {"made_by": "boss", "made_at": shop.now(), "changed_at": shop.now()}
    with shop.db() as db:
        journey = Journey(name="新客跟进", made_at=now, changed_at=now)
        broadcast = Broadcast(name="会员日", state="running", **told)
        weekly = {"every": "week", "days": [2], "at": "10:00"}
        ahead = Broadcast(
            name="周二见", state="approved", size=1203, send_at=now + timedelta(days=2), repeat=weekly, **told
        )
        db.add_all([journey, broadcast, ahead, CalendarDay(day=day_of(now + timedelta(days=1)), kind="holiday")])
        db.flush()
        for number, (rep, source, way, state) in enumerate(
            [
                ("lisi", f"broadcast:{broadcast.id}", "mass", "sent"),
                ("sunqi", f"broadcast:{broadcast.id}", "mass", "held"),
                ("lisi", f"journey:{journey.id}:v1:s2:20261122", "mass", "asked"),
                ("lisi", "card:7", "card", "held"),
                ("lisi", "own:msg", "mass", "sent"),
                ("lisi", f"broadcast:{broadcast.id + 9}", "mass", "cancelled"),
            ]
        ):
            person = list(counter.people.values())[number % len(counter.people)]
            db.add(Touch(source=source, person_id=person, way=way, userid=rep, state=state, at=now, day=day_of(now)))


def test_each_day_says_what_brings_how_many_and_what_is_still_to_come(counter: Counter) -> None:
    page = counter.visitor("zhangsan").get("/calendar").text
    assert "会员日" in page
    assert "新客跟进" in page
    assert "成员自己发的" in page
    assert "已发 1 · 待发 1" in page
    assert page.count("周二见") >= 1
    assert "待发 1,203" in page
    assert "休" in page
    assert "周二见" in counter.visitor("zhangsan").get("/calendar?month=2026-12").text


def test_who_is_on_the_way_is_counted_on_the_day_on_which_something_is_said(fresh: Counter) -> None:
    steps = [{"id": "s1", "do": "wait", "days": 2, "at": "10:00"}, {"id": "s2", "do": "tag", "add": ["t_1"]},
             {"id": "s3", "do": "send", "ways": ["card"], "text": "在吗"}, {"id": "s4", "do": "wait", "days": 1},
             {"id": "s5", "do": "task", "text": "打电话"}]  # fmt: skip
    shop = fresh.shop
    with shop.work() as work:
        journey = desk.create(work, "回访新客", {**EMPTY, "steps": steps}, by="wangwu")
        desk.publish(work, journey, by="wangwu")
    for name, rep in (("小雨", "lisi"), ("阿明", "sunqi")):
        shop.world.scan(fresh.channel, name=name, userid=rep)
    shop.catch_up()
    shop.advance(seconds=30)
    shop.run("read what happened", "walk journeys")
    assert planned_on(fresh, "zhangsan", shop.now() + timedelta(days=2)) == ("回访新客", "预计 2")
    assert planned_on(fresh, "zhaoliu", shop.now() + timedelta(days=2)) == ("回访新客", "预计 1")
    assert planned_on(fresh, "zhangsan", shop.now()) == ()
    shop.advance(days=2)
    shop.run("read what happened", "walk journeys")
    assert planned_on(fresh, "zhangsan", shop.now()) == ("回访新客", "待发 2")
    assert planned_on(fresh, "zhangsan", shop.now() + timedelta(days=1)) == ()


def planned_on(counter: Counter, who: str, at: datetime) -> tuple[str, ...]:
    """What the calendar says of journeys on a day."""
    page = counter.visitor(who).get(f"/calendar?month={at:%Y-%m}").text
    [own] = [one for one in page.split("<li ") if f'datetime="{at.astimezone(SHANGHAI):%Y-%m-%d}"' in one]
    [entry] = [one for one in own.split("<p ") if "is-journey" in one] or [""]
    return tuple(one for one in re.findall(r">([^<>]+)<", entry) if one.strip())


def test_the_month_and_its_first_day_are_said_as_one_says_them(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert "2026年11月" in boss.get("/calendar?month=2026-11").text
    assert "12月1日</time>" in boss.get("/calendar?month=2026-11").text
    assert "November 2026" in boss.get("/calendar?month=2026-11&lang=en").text
    assert "1 Dec</time>" in boss.get("/calendar?month=2026-11&lang=en").text


def test_a_month_that_is_none_is_this_one(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert "2026-11" in boss.get("/calendar?month=nonsense").text
    assert "2026-11" in boss.get("/calendar?month=9999-01").text


def test_a_manager_sees_what_comes_over_her_own_reps_and_a_rep_no_calendar(counter: Counter) -> None:
    page = counter.visitor("zhaoliu").get("/calendar").text
    assert "会员日" in page
    assert "待发 1<" in page
    assert "已发" not in page
    assert counter.visitor("lisi").get("/calendar").status_code == 404

"""Journeys from the event that starts them to what the customer received, on the sandbox's word."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from insight import segments
from outreach import materials
from outreach.journeys import desk, results
from outreach.journeys.definition import EMPTY
from people import consent, persons
from sandbox.clock import ManualClock
from sandbox.world import World
from storage.tables import (
    Enrolment,
    Journey,
    MassTask,
    Person,
    Relation,
    RepCard,
    StepRun,
    Tag,
    Task,
    Touch,
    TrackedLink,
)
from tagging import tags
from tagging.tags import Ground
from tests.shop import START, Shop, build_shop, close_shop

BY = "wangwu"
HI = "周末新品到店，来坐坐。{rep}"


@pytest.fixture
def shop(database_url: str) -> Iterator[Shop]:
    """Some customers of old. It is six in the evening, a Sunday."""
    world = World.small_shop(ManualClock(START), seed=3)
    world.populate(4)
    shop = build_shop(database_url, world)
    shop.open_for_business()
    yield shop
    close_shop(shop)


def live(shop: Shop, *steps: dict[str, Any], **changes: Any) -> int:
    """A journey that goes live now, with these steps."""
    named = [{"id": f"s{number}", **step} for number, step in enumerate(steps, 1)]
    with shop.work() as work:
        journey = desk.create(work, "回访", {**EMPTY, "steps": named, **changes}, by=BY)
        desk.publish(work, journey, by=BY)
        return journey.id


JOBS = ("read what happened", "keep days", "look into segments", "walk journeys")
SENDING = ("make mass tasks", "read mass tasks")


def pass_time(shop: Shop, step: timedelta = timedelta(hours=4), **span: float) -> None:
    """Let time pass in steps, with everything about journeys that is due."""
    until = shop.now() + timedelta(**span)
    while shop.now() < until:
        shop.advance(seconds=min(step, until - shop.now()).total_seconds())
        shop.run(*JOBS, *SENDING)
        shop.run("walk journeys", *SENDING)


def to_ten(shop: Shop) -> None:
    """From the evening to a quarter past ten."""
    pass_time(shop, hours=15, minutes=50)
    pass_time(shop, timedelta(minutes=5), minutes=25)


def arrive(shop: Shop, name: str = "小雨", rep: str = "lisi") -> int:
    external = shop.world.add_by_phone(rep, name).external_userid
    shop.catch_up()
    shop.advance(seconds=30)
    shop.run(*JOBS)
    (relation,) = shop.rows(Relation, Relation.external_userid == external, Relation.userid == rep)
    return relation.person_id


def rounds_of(shop: Shop) -> list[tuple[str, str]]:
    return [(one.state, one.left_because) for one in shop.rows(Enrolment)]


def touches(shop: Shop) -> Counter[tuple[str, str]]:
    return Counter((one.way, one.state) for one in shop.rows(Touch))


def confirm_all(shop: Shop) -> None:
    for userid in list(shop.world.members):
        for errand in shop.world.mass_todos(userid):
            shop.world.confirm_mass(userid, errand.msgid)


def test_a_newcomer_is_written_to_on_the_third_morning_by_one_task_and_once(shop: Shop) -> None:
    live(shop, {"do": "wait", "days": 3, "at": "10:00"}, {"do": "send", "ways": ["mass"], "text": HI})
    arrive(shop, "小雨")
    arrive(shop, "阿哲")
    assert rounds_of(shop) == [("live", "")] * 2
    pass_time(shop, days=2)
    assert touches(shop) == {}
    to_ten(shop)
    (task,) = shop.rows(MassTask)
    assert (task.userid, task.size, task.state) == ("lisi", 2, "made")
    assert "{rep}" not in task.text
    confirm_all(shop)
    pass_time(shop, timedelta(minutes=5), minutes=30)
    assert Counter(one.receiver for one in shop.world.mass_received()).most_common(1)[0][1] == 1
    assert touches(shop) == {("mass", "sent"): 2}
    assert rounds_of(shop) == [("done", "")] * 2
    pass_time(shop, days=5)
    assert len(shop.rows(MassTask)) == 1


def test_whoever_reaches_the_goal_while_waiting_is_off_at_that_moment_and_hears_nothing(shop: Shop) -> None:
    goal = {"kinds": ["deleted_by_customer", "group_joined"], "days": 14}
    live(
        shop,
        {"do": "wait", "days": 1, "at": "10:00"},
        {"do": "send", "ways": ["card"], "text": "你好 {name}"},
        goal=goal,
    )
    person = arrive(shop)
    with shop.work() as work:
        persons.tell(work, person, "group_joined", shop.now(), once="test:1", details={})
    shop.advance(seconds=15)
    shop.run(*JOBS)
    assert rounds_of(shop) == [("goal", "")]
    assert [one.state for one in shop.rows(StepRun)] == ["skipped"]
    pass_time(shop, days=2)
    assert touches(shop) == {}


def test_a_goal_takes_back_what_no_rep_has_confirmed_yet(shop: Shop) -> None:
    live(
        shop,
        {"do": "wait", "days": 1, "at": "10:00"},
        {"do": "send", "ways": ["mass"], "text": HI},
        goal={"kinds": ["group_joined"], "days": 14},
    )
    person, other = arrive(shop), arrive(shop, "阿哲")
    to_ten(shop)
    (task,) = shop.rows(MassTask)
    assert (task.size, task.state) == (2, "made")
    with shop.work() as work:
        persons.tell(work, person, "group_joined", shop.now(), once="test:1", details={})
    pass_time(shop, timedelta(minutes=4), minutes=20)
    assert {one.person_id: one.state for one in shop.rows(Touch)} == {person: "cancelled", other: "asked"}
    confirm_all(shop)
    assert len(list(shop.world.mass_received())) == 1


def test_a_card_names_the_person_and_goes_when_they_opt_out(shop: Shop) -> None:
    live(shop, {"do": "wait", "minutes": 1}, {"do": "send", "ways": ["card"], "at": "10:00", "text": "你好 {name}"})
    person = arrive(shop)
    to_ten(shop)
    (card,) = shop.rows(RepCard)
    assert (card.userid, card.text, card.state) == ("lisi", "你好 小雨", "open")
    assert touches(shop) == {("card", "held"): 1}
    with shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, person), by="kf")
    shop.run("end cards")
    assert [one.state for one in shop.rows(RepCard)] == ["cancelled"]
    assert touches(shop) == {("card", "cancelled"): 1}


def test_control_walks_along_passes_the_same_gates_and_gets_nothing(shop: Shop) -> None:
    live(
        shop,
        {"do": "wait", "minutes": 5},
        {"do": "tag", "add": [tag_of(shop)]},
        {"do": "task", "text": "问问 {name} 用得怎么样"},
        {"do": "send", "ways": ["card"], "text": "你好 {name}", "at": "10:00"},
        control=5000,
    )
    for number in range(12):
        arrive(shop, f"客户{number}")
    to_ten(shop)
    arms = Counter(one.arm for one in shop.rows(Enrolment))
    assert set(arms) == {"", "control"}
    assert touches(shop) == {("card", "held"): arms[""], ("card", "control"): arms["control"]}
    assert len(shop.rows(RepCard)) == len(shop.rows(Task)) == arms[""]
    would = Counter(str(one.outcome.get("would")) for one in shop.rows(StepRun) if "would" in one.outcome)
    assert would == {"tag": arms["control"], "task": arms["control"], "card": arms["control"]}


def tag_of(shop: Shop) -> str:
    with shop.work() as work:
        return tags.public_id(tags.tag_named(work, "旅程", "新客回访").id)


def test_whoever_comes_into_a_segment_sets_out_and_those_inside_before_do_not(shop: Shop) -> None:
    old = arrive(shop, "老客")
    with shop.work() as work:
        tag = tag_of_work(work)
        tree = {"field": "tag", "op": "has", "value": f"t_{tag.id}"}
        segment = segments.create(work, "有意向", tree, by=BY).id
        give(work, old, tag)
    trigger = {"on": "segment", "segment": segment, "first": False}
    live(shop, {"do": "wait", "days": 30}, trigger=trigger, exits={"kinds": [], "no_match": True})
    pass_time(shop, timedelta(minutes=15), minutes=30)
    assert shop.rows(Enrolment) == []
    new = arrive(shop, "新客")
    with shop.work() as work:
        give(work, new, tag_of_work(work))
    pass_time(shop, timedelta(minutes=15), minutes=30)
    (enrolment,) = shop.rows(Enrolment)
    assert enrolment.because == {"on": "segment", "segment": segment}
    with shop.work() as work:
        tags.take_away(work, work.db.get_one(Person, new), tag_of_work(work))
    pass_time(shop, timedelta(days=1), days=31)
    assert rounds_of(shop) == [("left", "no_match")]


def tag_of_work(work: Any) -> Tag:
    return tags.tag_named(work, "旅程", "有意向")


def give(work: Any, person: int, tag: Tag) -> None:
    tags.give(work, work.db.get_one(Person, person), tag, Ground("manual", "手动"))


def test_stopping_at_once_takes_back_what_waits_for_those_who_have_walked_to_the_end(shop: Shop) -> None:
    mass = live(shop, {"do": "wait", "days": 1, "at": "10:00"}, {"do": "send", "ways": ["mass"], "text": HI})
    arrive(shop)
    pass_time(shop, hours=15, minutes=50)
    pass_time(shop, timedelta(minutes=5), minutes=10)
    assert (rounds_of(shop), touches(shop)) == ([("done", "")], {("mass", "asked"): 1})
    with shop.work() as work:
        desk.stop(work, work.db.get_one(Journey, mass), by=BY, cut=True)
    pass_time(shop, timedelta(minutes=5), minutes=15)
    assert [one.state for one in shop.rows(MassTask)] == ["cancelled"]
    assert touches(shop) == {("mass", "cancelled"): 1}
    confirm_all(shop)
    assert list(shop.world.mass_received()) == []


def test_openings_count_for_the_step_that_brought_the_link_whichever_way_and_on_whichever_day(shop: Shop) -> None:
    content = ({"title": "菜单", "url": "https://shop.example.com/menu"},)
    with shop.work() as work:
        menu = materials.create(work, materials.Draft("菜单", "link", contents=content), by=BY).id
    seen = f"看 {{link:{menu}}}"
    number = live(
        shop,
        {"do": "send", "ways": ["card"], "text": seen, "late_hours": 100},
        {"do": "wait", "days": 3, "at": "10:00"},
        {"do": "send", "ways": ["mass"], "text": seen, "late_hours": 100},
        again={"rule": "never"},
    )
    arrive(shop, "小雨")
    pass_time(shop, days=1)
    arrive(shop, "阿哲")
    pass_time(shop, days=6)
    made = shop.rows(TrackedLink)
    assert Counter((one.source, one.task_id is not None) for one in made) == {
        (f"journey:{number}:v1:s1", False): 2,
        (f"journey:{number}:v1:s3", True): 2,
    }
    agent = {"User-Agent": "Mozilla/5.0 (iPhone) MicroMessenger/8.0"}
    for one in (*made, made[0]):
        shop.advance(seconds=90)
        assert shop.client.get(f"/t/{one.token}", headers=agent).status_code == 302
    shop.catch_up()
    with shop.db() as db:
        at = results.way(db, number, 1).at
    assert {step: one.opens for step, one in at.items()} == {"s1": 3, "s2": 0, "s3": 2}

"""Who gets a message, from whom, and why each of the others does not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import true

from outreach import audience, budget
from outreach.arms import CONTROL, arm_of
from outreach.audience import GAP, NO_RELATION, OPTED_OUT, QUOTA, REP_AWAY, Plan
from outreach.budget import Mode, Rules, day_of, period
from outreach.hours import Quiet
from people import consent, persons
from storage.tables import Member, Person, Relation, Touch
from tests.shop import Shop

DAILY = Rules("day_1", timedelta(0), Quiet(time(22), time(8)))


def customer(shop: Shop, *reps: str, state: str = "active", owner: str | None = None) -> int:
    with shop.work() as work:
        number = work.db.query(Person).count() + 1
        person = persons.person_of(work, f"wm{number:04d}")
        person.owner = owner
        for place, rep in enumerate(reps):
            relation = persons.relation_of(work.db, person, rep, f"wm{number:04d}")
            relation.state, relation.added_at = state, work.now + timedelta(minutes=place)
        return person.id


def plan_of(shop: Shop, source: str = "broadcast:1", rules: Rules = DAILY, **more: Any) -> Plan:
    return Plan(source, true(), more.pop("at", shop.now()), rules, **more)


def written(shop: Shop, message: Plan) -> dict[int, Touch]:
    after: int | None = 0
    while after is not None:
        with shop.db() as db:
            after = audience.plan(db, message, after)
    return {one.person_id: one for one in shop.rows(Touch, Touch.source == message.source)}


def touch(shop: Shop, person_id: int, at: datetime, state: str = "sent", source: str = "own:1") -> None:
    with shop.db() as db:
        db.add(Touch(source=source, person_id=person_id, state=state, at=at, day=day_of(at)))


def test_each_is_written_to_once_by_whoever_answers_for_them(shop: Shop) -> None:
    one = customer(shop, "lisi", "wangwu", owner="lisi")
    other = customer(shop, "lisi", "wangwu")
    rows = written(shop, plan_of(shop))
    assert {rows[one].userid, rows[other].userid} == {"lisi", "wangwu"}
    assert (rows[one].userid, rows[one].state, rows[one].external_userid) == ("lisi", "held", "wm0001")


def test_each_of_the_others_is_told_why_and_the_first_reason_counts(shop: Shop) -> None:
    out, lost, half, away, used = (customer(shop, "lisi") for _ in range(5))
    fine = customer(shop, "wangwu")
    with shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, out), "lisi")
        for person_id, state in ((lost, "ended_by_customer"), (half, "half")):
            work.db.query(Relation).filter_by(person_id=person_id).one().state = state
        work.db.query(Relation).filter_by(person_id=away).one().userid = "sunqi"
        work.db.get_one(Member, "sunqi").serves = False
    touch(shop, out, shop.now())
    touch(shop, used, shop.now())
    message = plan_of(shop)
    with shop.db() as db:
        shown = audience.counted(db, message)
    rows = written(shop, message)
    reasons = {out: OPTED_OUT, lost: NO_RELATION, half: NO_RELATION, away: REP_AWAY, used: QUOTA, fine: ""}
    assert {one: rows[one].reason for one in reasons} == reasons
    assert {rows[one].state for one, why in reasons.items() if why} == {"left_out"}
    with shop.db() as db:
        assert audience.planned(db, message.source) == shown
    assert (shown.selected, shown.will) == (6, 1)
    assert list(shown.reasons) == [OPTED_OUT, NO_RELATION, REP_AWAY, QUOTA]


@pytest.mark.parametrize(("hours", "reason"), [(71, GAP), (73, ""), (-71, GAP), (-73, "")])
def test_the_smallest_gap_holds_in_both_directions(shop: Shop, hours: int, reason: str) -> None:
    person = customer(shop, "lisi")
    touch(shop, person, shop.now() + timedelta(hours=hours), "held")
    rows = written(shop, plan_of(shop, rules=Rules()))
    assert rows[person].reason == reason


@pytest.mark.parametrize("state", ["no_friend", "quota", "refused", "cancelled", "expired", "left_out", "control"])
def test_what_did_not_reach_them_is_given_back(shop: Shop, state: str) -> None:
    person = customer(shop, "lisi")
    touch(shop, person, shop.now(), state)
    assert written(shop, plan_of(shop))[person].reason == ""


def test_a_week_takes_seven_and_a_new_one_begins_on_monday(shop: Shop) -> None:
    person = customer(shop, "lisi")
    sunday = datetime(2026, 11, 22, 12, tzinfo=budget.SHANGHAI)
    for number in range(7):
        touch(shop, person, sunday - timedelta(minutes=number), source=f"own:{number}")
    weekly = replace(DAILY, mode="week_7")
    assert written(shop, plan_of(shop, "a", weekly, at=sunday))[person].reason == QUOTA
    assert written(shop, plan_of(shop, "b", weekly, at=sunday + timedelta(days=1)))[person].reason == ""


def test_planning_in_portions_is_the_same_as_planning_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [customer(shop, "lisi") for _ in range(7)]
    monkeypatch.setattr(audience, "PORTION", 3)
    assert sorted(written(shop, plan_of(shop))) == people


def test_j8_the_database_assigns_as_we_do_and_j9_control_passes_the_same_gates(shop: Shop) -> None:
    arms = {CONTROL: 3000, "a": 3500, "b": 3500}
    people = [customer(shop, "lisi") for _ in range(60)]
    touch(shop, people[0], shop.now())
    rows = written(shop, plan_of(shop, "broadcast:9", arms=arms))
    assert {one: row.arm for one, row in rows.items()} == {
        one: arm_of("broadcast:9", f"p_{one}", arms) for one in people
    }
    assert rows[people[0]].state == "left_out"
    states = Counter((row.arm == CONTROL, row.state) for one, row in rows.items() if one != people[0])
    assert set(states) == {(True, "control"), (False, "held")}


def test_two_broadcasts_of_one_day_reach_nobody_twice(shop: Shop) -> None:
    people = [customer(shop, "lisi") for _ in range(3)]
    first, second = written(shop, plan_of(shop, "broadcast:1")), written(shop, plan_of(shop, "broadcast:2"))
    assert [first[one].state for one in people] == ["held"] * 3
    assert [second[one].reason for one in people] == [QUOTA] * 3


def looked_at(shop: Shop, message: Plan) -> audience.Looked:
    with shop.db() as db:
        return audience.looked_at(db, message)


def test_looking_by_name_counts_the_same_and_says_how_much_falls_to_each_rep(shop: Shop) -> None:
    reached = [customer(shop, "lisi") for _ in range(3)] + [customer(shop, "wangwu")]
    out = [customer(shop, "lisi") for _ in range(audience.FIRST + 2)]
    with shop.work() as work:
        for one in out:
            consent.opt_out(work, work.db.get_one(Person, one), "lisi")
    message = plan_of(shop, arms={CONTROL: 0, "a": 5000, "b": 5000})
    looked = looked_at(shop, message)
    with shop.db() as db:
        assert looked.counted == audience.counted(db, message)
    assert (looked.counted.will, looked.reps) == (len(reached), {"lisi": 3, "wangwu": 1})
    assert [one.person_id for one in looked.first[OPTED_OUT]] == out[: audience.FIRST]
    assert (looked.held, looked.counted.reasons) == ({}, {OPTED_OUT: len(out)})


def test_the_control_group_falls_to_no_rep(shop: Shop) -> None:
    for _ in range(20):
        customer(shop, "lisi")
    looked = looked_at(shop, plan_of(shop, arms={CONTROL: 5000, "a": 5000}))
    assert 0 < looked.counted.control < 20
    assert looked.reps == {"lisi": looked.counted.will}


@pytest.mark.parametrize(
    ("source", "kind"),
    [("broadcast:7", "broadcast"), ("journey:5:v1:s2:1", "journey"), ("link:17", "card"), ("own:abc", "own")],
)
@pytest.mark.parametrize(("hours", "reason"), [(0, QUOTA), (30, GAP)])
def test_what_is_in_the_way_is_said_by_kind_and_by_name(
    shop: Shop, source: str, kind: str, hours: int, reason: str
) -> None:
    person = customer(shop, "lisi")
    touch(shop, person, shop.now() + timedelta(hours=hours), "held", source)
    looked = looked_at(shop, plan_of(shop, rules=Rules()))
    assert (looked.counted.reasons, looked.held) == ({reason: 1}, {reason: {kind: 1}})
    [named] = looked.first[reason]
    assert named.held_by is not None
    assert (named.person_id, named.held_by.source, budget.kind_of(source)[0]) == (person, source, kind)


def test_nobody_out_of_sight_is_named(shop: Shop) -> None:
    seen, hidden = customer(shop), customer(shop)
    with shop.db() as db:
        looked = audience.looked_at(db, plan_of(shop), Person.id == seen)
    assert looked.counted.reasons == {NO_RELATION: 2}
    assert [one.person_id for one in looked.first[NO_RELATION]] == [seen]
    assert hidden != seen


DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))
MODES: Sequence[Mode] = ("day_1", "week_7", "month_days")


@given(DAYS, st.sampled_from(MODES))
def test_periods_hold_their_day_and_follow_each_other_without_gap(day: date, mode: Mode) -> None:
    own = period(mode, day)
    following = period(mode, own.last + timedelta(days=1))
    assert own.first <= day <= own.last
    assert own.most == {"day_1": 1, "week_7": 7}.get(mode, (own.last - own.first).days + 1)
    assert following.first == own.last + timedelta(days=1)
    assert period(mode, own.first) == own == period(mode, own.last)

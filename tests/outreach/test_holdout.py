"""The long-term control group: drawn alike everywhere, written to by nobody, and what it tells."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select

from outreach import audience, holdout, holdout_report
from outreach.arms import CONTROL, HELD_OUT, arm_of
from outreach.experiments import Saying
from outreach.holdout import CannotSet, Holdout
from outreach.journeys import desk, rounds
from outreach.journeys.definition import EMPTY
from outreach.journeys.rounds import Candidate
from people import persons
from storage.tables import Interaction, Person
from tests.outreach.test_audience import customer, plan_of, written
from tests.shop import Shop


def crowd(shop: Shop, count: int) -> list[int]:
    """So many customers of one rep."""
    with shop.work() as work:
        found = []
        for number in range(count):
            person = persons.person_of(work, f"wmc{number:05d}")
            relation = persons.relation_of(work.db, person, "lisi", f"wmc{number:05d}")
            relation.state, relation.added_at = "active", work.now
            found.append(person.id)
        return found


def apart(shop: Shop, share: int) -> Holdout:
    with shop.work() as work:
        holdout.set_share(work, share, by="boss")
        return holdout.holdout(work.db)


def test_the_database_draws_whom_the_program_draws(shop: Shop) -> None:
    ids = crowd(shop, 300)
    group = apart(shop, 1500)
    with shop.db() as db:
        inside = set(db.scalars(select(Person.id).where(group.has_column(db, Person.id.expression))))
    assert inside == {one for one in ids if group.has(persons.public_id(one))}
    assert 20 <= len(inside) <= 75


def test_a_larger_share_keeps_those_who_were_in_it_and_a_new_draw_takes_others(shop: Shop) -> None:
    people = [f"p_{number}" for number in range(3000)]
    small, large = apart(shop, 500), apart(shop, 1000)
    assert {one for one in people if small.has(one)} < {one for one in people if large.has(one)}
    with shop.work() as work:
        holdout.draw_anew(work, by="boss")
        other = holdout.holdout(work.db)
    both = [one for one in people if other.has(one) and large.has(one)]
    assert 10 <= len(both) <= 60


@pytest.mark.parametrize("share", [-1, 2001])
def test_a_share_that_makes_no_sense_changes_nothing(shop: Shop, share: int) -> None:
    apart(shop, 500)
    with shop.work() as work:
        with pytest.raises(CannotSet):
            holdout.set_share(work, share, by="boss")
        assert holdout.holdout(work.db).share == 500


def test_who_is_held_out_gets_no_broadcast_and_its_own_arms_stay_as_planned(shop: Shop) -> None:
    ids = crowd(shop, 200)
    gone = customer(shop, "lisi", state="ended_by_customer")
    group = apart(shop, 2000)
    arms = {CONTROL: 2000, "a": 8000}
    message = plan_of(shop, arms=arms, holdout=group)
    with shop.db() as db:
        counted = audience.counted(db, message)
        held_out, _ = audience.people(db, message, HELD_OUT, limit=500)
    rows = written(shop, message)
    expected = {one: HELD_OUT if group.has(f"p_{one}") else arm_of("broadcast:1", f"p_{one}", arms) for one in ids}
    assert {one: rows[one].arm for one in ids} == expected
    sums = Counter(expected.values())
    assert (counted.will, counted.control, counted.held_out) == (sums["a"], sums[CONTROL], sums[HELD_OUT])
    assert counted.selected == 201
    assert {one.id for one, _ in held_out} == {one for one, arm in expected.items() if arm == HELD_OUT}
    assert {rows[one].state for one in ids if expected[one] != "a"} == {"control"}
    assert {rows[one].state for one in ids if expected[one] == "a"} == {"held"}
    assert rows[gone].reason == "no_relation"


@pytest.mark.parametrize("service", [False, True])
def test_who_is_held_out_walks_a_journey_as_a_ghost_unless_it_serves_people(shop: Shop, service: bool) -> None:
    ids = crowd(shop, 120)
    group = apart(shop, 2000)
    inside = {one for one in ids if group.has(f"p_{one}")}
    with shop.work() as work:
        steps = [{"id": "s1", "do": "task", "text": "问候一下"}]
        journey = desk.create(work, "回访", {**EMPTY, "steps": steps, "control": 2000, "service": service}, by="boss")
        desk.publish(work, journey, by="boss")
        definition = desk.live_definition(work.db, journey)
        assert definition is not None
        candidates = [Candidate(one, f"line:{one}", {"on": "event"}, work.now) for one in ids]
        begun = rounds.set_out(work, journey, definition, candidates)
    own = {CONTROL: 2000, "": 8000}
    drawn = {one: arm_of(f"journey:{journey.id}", f"p_{one}", own) for one in ids}
    wanted = drawn if service else {one: HELD_OUT if one in inside else arm for one, arm in drawn.items()}
    assert {one.person_id: one.arm for one in begun} == wanted


def test_what_it_tells_waits_thirty_days_and_counts_by_the_draw(shop: Shop) -> None:
    ids = crowd(shop, 1500)
    with shop.db() as db:
        assert holdout_report.report(db, shop.now()) is None
    shop.advance(days=1)
    group = apart(shop, 1000)
    with shop.db() as db:
        early = holdout_report.report(db, shop.now() + timedelta(days=29))
    assert early is not None
    assert not early.told
    shop.advance(days=31)
    with shop.db() as db:
        for number, one in enumerate(ids):
            talks = number % 10 == 0 if group.has(f"p_{one}") else number % 2 == 0
            if talks:
                db.add(
                    Interaction(
                        person_id=one, kind="kf_in", at=shop.now() - timedelta(days=3), details={}, once=f"t{one}"
                    )
                )
        late = persons.person_of(shop.work_in(db), "wmlate")
        db.add(Interaction(person_id=late.id, kind="kf_in", at=shop.now(), details={}, once="late"))
    with shop.db() as db:
        report = holdout_report.report(db, shop.now())
    assert report is not None
    talked, left = report.told
    inside = sum(group.has(f"p_{one}") for one in ids)
    assert (talked.held_out.n, talked.written_to.n) == (inside, len(ids) - inside)
    assert talked.outcome.saying == Saying.DIFFERENCE
    assert talked.outcome.difference > 0.25
    assert (left.written_to.x, left.held_out.x) == (0, 0)
    assert left.outcome.saying == Saying.NOT_YET

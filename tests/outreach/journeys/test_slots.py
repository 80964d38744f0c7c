"""Several journeys want one slot of the contact budget: the most important has it, whoever came first."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outreach import day_list
from outreach.budget import Rules
from outreach.journeys.definition import EMPTY
from soak import many
from storage.tables import Enrolment, RepCard, StepRun, Touch
from tests import databases
from tests.outreach.journeys.drawn import HAPPENS
from tests.outreach.journeys.life import NIGHT, REPS, Life

SEND: dict[str, Any] = {"do": "send", "text": "你好", "late_hours": 200}
WAIT: dict[str, Any] = {"do": "wait", "days": 2}


def journey(kind: str, priority: int, *ways: str, then: tuple[dict[str, Any], ...] = (WAIT,)) -> dict[str, Any]:
    steps = [{**one, "id": f"s{place}"} for place, one in enumerate(({**SEND, "ways": list(ways)}, *then))]
    return {**EMPTY, "trigger": {"on": "event", "kinds": [kind]}, "priority": priority, "steps": steps}


@pytest.fixture(params=["sqlite", "postgresql"])
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    one = Life(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))
    one.add_person(REPS[0])
    one.read()
    yield one
    one.check()
    one.close()


def happens(life: Life, kind: str) -> None:
    """It happens, and everybody is taken as far as they get."""
    life.now += timedelta(minutes=2)
    life.happens(life.people[0], kind)
    life.read()
    life.walk()
    life.check()


def holders(life: Life) -> list[tuple[str, str]]:
    return [(one.source.split(":")[1], one.way) for one in life.rows(Touch, Touch.state.in_(("held", "asked", "sent")))]


def runs(life: Life, journey_id: int) -> list[tuple[str, str, dict[str, Any]]]:
    (enrolment,) = life.rows(Enrolment, Enrolment.journey_id == journey_id)
    return [(one.step, one.state, one.outcome) for one in life.rows(StepRun, StepRun.enrolment_id == enrolment.id)]


@pytest.mark.parametrize("way", ["mass", "card"])
@pytest.mark.parametrize("then", [(WAIT,), ()], ids=["waits behind it", "has walked off the end"])
def test_what_is_only_planned_yields_to_what_is_more_important_and_waits_again(
    life: Life, way: str, then: tuple[dict[str, Any], ...]
) -> None:
    low = life.make(journey("added", 10, way, then=then))
    high = life.make(journey("opened", 90, "mass"))
    happens(life, "added")
    assert holders(life) == [(str(low), way)]
    happens(life, "opened")
    assert holders(life) == [(str(high), "mass")]
    assert runs(life, low) == [("s0", "waiting", {"waits": "yielded"})]
    assert life.rows(Enrolment, Enrolment.journey_id == low)[0].state == "live"
    assert life.rows(RepCard, RepCard.state == "open") == []
    life.now += timedelta(days=3)
    life.walk()
    assert (str(low), way) in holders(life)


def test_nothing_yields_to_what_is_no_more_important(life: Life) -> None:
    low = life.make(journey("added", 50, "mass"))
    high = life.make(journey("opened", 50, "mass"))
    happens(life, "added")
    happens(life, "opened")
    assert holders(life) == [(str(low), "mass")]
    assert runs(life, high) == [("s0", "waiting", {"waits": "quota"})]


def test_a_card_a_rep_has_before_her_is_not_taken_from_under_her_hands(life: Life) -> None:
    low = life.make(journey("added", 10, "card"))
    life.make(journey("opened", 90, "card"))
    happens(life, "added")
    with life.work() as work:
        day_list.seen(work, day_list.of(work, REPS[0]))
    happens(life, "opened")
    assert holders(life) == [(str(low), "card")]


def test_what_is_in_a_task_is_not_taken_out_of_it(life: Life) -> None:
    life.rules = Rules("day_1", timedelta(hours=72), NIGHT)
    low = life.make(journey("added", 10, "mass"))
    life.make(journey("opened", 90, "mass"))
    happens(life, "added")
    life.now += timedelta(hours=2)
    life.cut_waves()
    happens(life, "opened")
    assert holders(life) == [(str(low), "mass")]


def test_whoever_has_walked_on_past_the_next_step_keeps_what_they_hold(life: Life) -> None:
    hurry = ({"do": "send", "text": "再说", "ways": ["kf"], "late_hours": 1}, WAIT)
    low = life.make(journey("added", 10, "mass", then=hurry))
    life.make(journey("opened", 90, "mass"))
    happens(life, "added")
    happens(life, "opened")
    assert holders(life) == [(str(low), "mass")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slots")


RIVALS = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([("mass",), ("card",), ("mass", "card")]), st.booleans()),
    min_size=2,
    max_size=4,
)


@settings(max_examples=many(25, 500), deadline=None, suppress_health_check=list(HealthCheck))
@given(rivals=RIVALS, gap=st.sampled_from([0, 72]), order=st.permutations(range(4)))
def test_in_whichever_order_they_come_the_most_important_has_the_slot(
    folder: Path, sqlite_template: Path, rivals: Any, gap: int, order: list[int]
) -> None:
    life = Life(databases.fresh_sqlite(folder, sqlite_template), Rules("day_1", timedelta(hours=gap), NIGHT))
    life.add_person(REPS[0])
    life.read()
    ids = [
        life.make(journey(HAPPENS[place], priority, *ways, then=(WAIT,) if waits else ()))
        for place, (priority, ways, waits) in enumerate(rivals)
    ]
    came = [place for place in order if place < len(rivals)]
    for place in came:
        happens(life, HAPPENS[place])
    best = max(rivals[place][0] for place in came)
    first = next(place for place in came if rivals[place][0] == best)
    assert [int(number) for number, _ in holders(life)] == [ids[first]]
    waiting = life.rows(StepRun, StepRun.state == "waiting", StepRun.step == "s0")
    assert len(waiting) == len(rivals) - 1
    life.close()


def test_what_somebody_else_is_at_work_on_is_left_alone_and_nobody_waits(postgres_url: str) -> None:
    life = Life(postgres_url)
    life.add_person(REPS[0])
    life.read()
    low = life.make(journey("added", 10, "mass"))
    high = life.make(journey("opened", 90, "mass"))
    happens(life, "added")
    (enrolment,) = life.rows(Enrolment, Enrolment.journey_id == low)
    life.now += timedelta(minutes=2)
    life.happens(life.people[0], "opened")
    life.read()
    with life.db() as other:
        other.get_one(Enrolment, enrolment.id, with_for_update=True)
        life.walk()
        assert holders(life) == [(str(low), "mass")]
        assert runs(life, high) == [("s0", "waiting", {"waits": "quota"})]
    life.now += timedelta(days=1)
    life.walk()
    life.check()
    life.close()

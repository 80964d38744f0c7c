"""J1 to J15: what a journey promises, whatever people do and whenever a process dies."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from outreach.arms import CONTROL, arm_of
from outreach.journeys.definition import WrongJourney
from people import persons
from soak import many
from storage.tables import Enrolment, JourneyVersion
from tests import databases
from tests.outreach.journeys.drawn import HAPPENS, definitions
from tests.outreach.journeys.life import REPS, ZONE, Life

LENGTH = 30
PEOPLE = st.integers(0, 2)


class Journeys(RuleBasedStateMachine):
    """Three people, two reps, two journeys; every promise is looked at after each step."""

    address: str = ""
    """Of a database that is empty but for its tables; each run has a fresh one."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(type(self).fresh())

    @classmethod
    def fresh(cls) -> str:
        """An empty database."""
        raise NotImplementedError

    def teardown(self) -> None:
        self.life.close()

    @initialize(first=definitions(), second=definitions())
    def begin(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        for rep in (*REPS, REPS[0]):
            self.life.add_person(rep)
        self.life.read()
        self.journeys = [self._make(one) for one in (first, second)]

    def _make(self, definition: dict[str, Any]) -> int:
        try:
            return self.life.make(definition)
        except WrongJourney:
            assume(False)
            raise

    def _person(self, number: int) -> int:
        return self.life.people[number]

    @rule(who=PEOPLE, kind=st.sampled_from(HAPPENS), late=st.sampled_from([0, 0, 30, 7200]), heard=st.booleans())
    def something_happens(self, who: int, kind: str, late: int, heard: bool) -> None:
        self.life.happens(self._person(who), kind, timedelta(seconds=late))
        if heard:
            self.life.read()

    @rule(minutes=st.sampled_from([1, 31, 120, 300, 700, 1500, 5000]))
    def time_passes(self, minutes: int) -> None:
        self.life.now += timedelta(minutes=minutes)

    @rule(die_at=st.none() | st.integers(0, 3))
    def everything_runs(self, die_at: int | None) -> None:
        self.life.read(crash=die_at == 0)
        self.life.walk(crash_after=die_at)
        self.life.take_back()
        self.life.cut_waves()
        self.life.ask()
        self.life.look()
        self.life.settle_kf()

    @rule(line=st.sampled_from(["lost_before", "lost_after"]))
    def the_line_breaks(self, line: str) -> None:
        self.life.walk()
        self.life.cut_waves()
        self.life.ask(line)

    @rule()
    def the_story_is_read_again_from_its_beginning(self) -> None:
        self.life.read()
        before = [(one.id, one.state) for one in self.life.rows(Enrolment)]
        self.life.read(from_start=True)
        assert [(one.id, one.state) for one in self.life.rows(Enrolment)] == before, "J10"

    @precondition(lambda self: any(not one.cancelled and one.sent_at is None for one in self.life.tasks.values()))
    @rule(number=st.integers(0, 50))
    def a_rep_confirms(self, number: int) -> None:
        self.life.take_back()
        open_ones = [key for key, one in self.life.tasks.items() if not one.cancelled and one.sent_at is None]
        if open_ones and not self.life.rules.quiet.holds(self.life.now, ZONE):
            self.life.confirm(open_ones[number % len(open_ones)])

    @rule(who=PEOPLE, out=st.booleans())
    def somebody_turns_consent(self, who: int, out: bool) -> None:
        self.life.turn_consent(self._person(who), out)

    @rule(who=PEOPLE, state=st.sampled_from(["active", "active", "ended_by_customer"]))
    def somebody_goes_or_comes_back(self, who: int, state: str) -> None:
        self.life.turn_relation(self._person(who), state)

    @rule(which=st.integers(0, 1), definition=definitions(), cut=st.booleans())
    def a_version_is_published(self, which: int, definition: dict[str, Any], cut: bool) -> None:
        try:
            self.life.publish_anew(self.journeys[which], definition, cut=cut)
        except WrongJourney:
            event("a wrong version")

    @rule(which=st.integers(0, 1), cut=st.booleans())
    def a_journey_is_stopped(self, which: int, cut: bool) -> None:
        self.life.stop(self.journeys[which], cut=cut)

    @invariant()
    def the_promises_hold(self) -> None:
        self.life.check()

    @invariant()
    def arms_depend_on_nothing_but_the_person(self) -> None:
        versions = {(one.journey_id, one.number): one.definition for one in self.life.rows(JourneyVersion)}
        for one in self.life.rows(Enrolment):
            control = versions[one.journey_id, one.version]["control"]
            shares = {CONTROL: control, "": 10_000 - control}
            drawn = arm_of(f"journey:{one.journey_id}", persons.public_id(one.person_id), shares) if control else ""
            assert one.arm == drawn, "J8"


def _run(fresh: Any) -> None:
    machine = type("Journeys", (Journeys,), {"fresh": classmethod(lambda cls: fresh())})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=many(12, 500),
            stateful_step_count=LENGTH,
            deadline=None,
            derandomize=not os.environ.get("SCRM_SOAK"),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )


def test_j1_to_j5_j7_j8_j10_j11_j13_j15_hold_on_sqlite(tmp_path: Path, sqlite_template: Path) -> None:
    _run(lambda: databases.fresh_sqlite(tmp_path, sqlite_template))

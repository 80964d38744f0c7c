"""J1 to J15: what a journey promises, whatever people do and whenever a process dies."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from outreach.arms import CONTROL, arm_of
from outreach.budget import Rules
from outreach.journeys import definition as shape
from outreach.journeys import entries, rounds
from outreach.journeys.definition import EMPTY, END, WrongJourney
from people import persons
from soak import many
from storage.tables import Enrolment, Interaction, JourneyVersion, StepRun, Touch
from tests import databases
from tests.machines import AS_FOUND, Ground, walk
from tests.outreach.journeys.drawn import HAPPENS, definitions, graphs
from tests.outreach.journeys.life import NIGHT, REPS, START, ZONE, Life
from tests.shop import build_shop, close_shop

QUICK: Any = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": False}
PEOPLE = st.integers(0, 2)


class Journeys(RuleBasedStateMachine):
    """Three people, two reps, two journeys; every promise is looked at after each step."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.life = Life(url)

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
    def everything_is_told_once_more(self) -> None:
        """As when the inbox is replayed: each event finds its line written."""
        self.life.read()
        before = [(one.id, one.state) for one in self.life.rows(Enrolment)]
        self.life.tell_again()
        self.life.read()
        assert [(one.id, one.state) for one in self.life.rows(Enrolment)] == before, "J10"

    @rule()
    def the_reader_dies_and_reads_the_same_again(self) -> None:
        start = self.life.read_to()
        self.life.read()
        before = [(one.id, one.state) for one in self.life.rows(Enrolment)]
        self.life.read(after=start)
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


def test_j1_to_j5_j7_j8_j10_j11_j13_j15_hold_whatever_happens(ground: Ground) -> None:
    walk(Journeys, ground, sqlite=12, postgresql=4)


# --- J6, J9: two lives beside each other -----------------------------------------------------------------------------

Told = tuple[int, int, str]
"""Who does what, so many minutes after the beginning."""
TALES = st.lists(st.tuples(PEOPLE, st.integers(0, 8 * 1440), st.sampled_from(HAPPENS)), max_size=8)


def _live(life: Life, definition: dict[str, Any], tale: list[Told], away: tuple[int, int] = (0, 0)) -> None:
    """Four weeks, looked at whenever something is due or happens, but while nobody is there."""
    for rep in (*REPS, REPS[0]):
        life.add_person(rep)
    life.read()
    life.make(definition)
    told = sorted({one[1]: one for one in tale}.values(), key=lambda one: one[1])
    begins, back = (START + timedelta(minutes=one) for one in away)
    while life.now < START + timedelta(days=28):
        due = [one.due_at for one in life.rows(StepRun, StepRun.state == "waiting")]
        happens = [START + timedelta(minutes=one[1]) for one in told[:1]]
        returns = [back] if begins <= life.now < back else []
        at = max(life.now, min([*due, *happens, *returns, START + timedelta(days=28)]))
        if begins <= at < back and at not in happens:
            at = min([back, *happens])
        life.now = at
        if at in happens:
            who, _, kind = told.pop(0)
            life.happens(life.people[who], kind)
        if not begins <= at < back:
            life.read()
            life.walk()
            life.settle_kf()


def _walked(life: Life) -> dict[tuple[int, str, int, str, int], str]:
    """Every step anybody took: whose, what they set out on, in which round, which one, and what came of it.

    A line of the story is told by what and when it was: its number depends on what else was written before it.
    """
    lines = {f"line:{one.id}": f"{one.kind} {one.at}" for one in life.rows(Interaction)}
    walking = {one.id: one for one in life.rows(Enrolment)}
    found = {}
    for run in life.rows(StepRun):
        one = walking[run.enrolment_id]
        key = lines.get(one.entry_key, one.entry_key)
        found[one.person_id, key, one.round, run.step, run.visit] = run.state
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lives")


@settings(max_examples=many(8, 500), phases=AS_FOUND, **QUICK)
@given(definition=definitions(), tale=TALES, begins=st.integers(0, 8 * 1440), length=st.integers(180, 6 * 1440))
def test_j6_downtime_neither_adds_a_step_nor_takes_one_but_by_policy(
    folder: Path, sqlite_template: Path, definition: dict[str, Any], tale: list[Told], begins: int, length: int
) -> None:
    straight = [
        {**one, "late_hours": 700} if one["do"] == "send" else one
        for one in definition["steps"]
        if one["do"] in ("wait", "window", "send")
    ]
    assume(straight and definition["again"]["rule"] != "after")
    plain = {**definition, "steps": straight, "goal": None, "exits": EMPTY["exits"], "max_days": 90}
    back = begins + length
    awake, asleep = (Life(databases.fresh_sqlite(folder, sqlite_template)) for _ in range(2))
    _live(awake, plain, tale)
    _live(asleep, plain, tale, away=(begins, back))
    since, stale = START + timedelta(minutes=begins), START + timedelta(minutes=back) - entries.STALE
    missed = {one.person_id for one in asleep.rows(Interaction) if since <= one.at < stale}
    steady, late = ({key for key in _walked(life) if key[0] not in missed} for life in (awake, asleep))
    assert late == steady
    awake.close()
    asleep.close()


@settings(max_examples=many(8, 500), phases=AS_FOUND, **QUICK)
@given(definition=definitions(), tale=TALES)
def test_j9_ghost_and_treatment_pass_the_same_gates(
    folder: Path, sqlite_template: Path, definition: dict[str, Any], tale: list[Told]
) -> None:
    plain = {**definition, "again": {"rule": "never"}}
    roomy = Rules("month_days", timedelta(0), NIGHT)
    treated, ghosts = (Life(databases.fresh_sqlite(folder, sqlite_template), roomy) for _ in range(2))
    try:
        _live(treated, {**plain, "control": 0}, tale)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(rounds, "_arm", lambda *_: CONTROL)
            _live(ghosts, {**plain, "control": 0}, tale)
    except WrongJourney:
        assume(False)
    assert _walked(treated) == _walked(ghosts)
    assert {one.state for one in ghosts.rows(Touch)} <= {CONTROL}
    for one, other in zip(treated.rows(StepRun), ghosts.rows(StepRun), strict=True):
        assert one.outcome.get("did") == other.outcome.get("would")
        assert one.outcome.get("skipped") == other.outcome.get("skipped")
    treated.close()
    ghosts.close()


# --- J12: the way ----------------------------------------------------------------------------------------------------


def _plainly_wrong(steps: list[dict[str, Any]]) -> bool:
    """By walking every way there is, independently of the product: stuck, unknown, never reached, or hurrying round."""
    names = [one["id"] for one in steps]
    leads: dict[str, list[str]] = {}
    for place, step in enumerate(steps):
        after = names[place + 1] if place + 1 < len(names) else END
        to = [step.get("next") or after]
        if step["do"] == "wait_for":
            to = [step["then"], step["otherwise"]]
        elif step["do"] == "branch":
            to = [*(way["to"] for way in step["ways"]), step["otherwise"]]
        elif step["do"] == "split":
            to = [arm["to"] for arm in step["arms"]]
        elif step["do"] == "end":
            to = [END]
        leads[step["id"]] = to
    if any(one not in (*names, END) for to in leads.values() for one in to):
        return True
    reach = {name: {name} for name in names}
    hurry: dict[str, set[str]] = {name: set() for name in names}
    standing = {one["id"] for one in steps if one["do"] in ("wait", "window", "wait_for")}
    for _ in names:
        for name in names:
            for one in leads[name]:
                if one != END:
                    reach[name] |= reach[one]
                    if name not in standing and one not in standing:
                        hurry[name] |= {one} | hurry[one]
    ends = {name for name in names if END in leads[name]}
    unreached = set(names) - reach[names[0]]
    return (
        bool(unreached) or any(not reach[name] & ends for name in names) or any(name in hurry[name] for name in names)
    )


@settings(max_examples=many(200, 2000), deadline=None)
@given(steps=graphs())
def test_j12_no_step_leads_nowhere_and_every_way_ends(steps: list[dict[str, Any]]) -> None:
    found = list(shape.way_faults({**EMPTY, "steps": steps}))
    assert bool(found) == _plainly_wrong(steps)


# --- J14: the welcome ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 7, 18, 19.5, 20, 21, 300])
def test_j14_a_welcome_leaves_within_twenty_seconds_of_the_event_or_not_at_all(sqlite_url: str, seconds: float) -> None:
    shop = build_shop(sqlite_url)
    shop.open_for_business()
    channel = shop.channel()
    shop.deliverer.pause()
    shop.world.scan(str(channel.config_id), "小雨")
    xml = shop.world.events[-1].xml
    shop.advance(seconds=seconds)
    shop.post(xml)
    shop.catch_up()
    assert len(shop.world.sent) == (seconds < 20)
    close_shop(shop)

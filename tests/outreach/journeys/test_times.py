"""The golden times of journeys: clocks put forward and back, nights, holidays, and a goal in the middle of a wait."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from outreach import hours
from outreach.hours import Quiet
from outreach.journeys import entries, moments
from outreach.journeys.definition import EMPTY
from storage.database import transaction
from storage.tables import CalendarDay, Enrolment, JourneyVersion, Person, StepRun
from storage.work import Work
from tests import databases
from tests.outreach.journeys.life import Life

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
NIGHT = Quiet(time(22), time(8))


@pytest.fixture
def life(tmp_path: Path, sqlite_template: Path) -> Iterator[Life]:
    life = Life(databases.fresh_sqlite(tmp_path, sqlite_template))
    yield life
    life.close()


def due(life: Life, step: dict[str, object], now: datetime) -> datetime:
    """When somebody who comes to this step now is taken further, in their own zone."""
    with transaction(life.engine) as db:
        work = Work(db, now.astimezone(UTC), zone=now.tzinfo)  # type: ignore[arg-type]
        return moments.due_at(work, step).astimezone(now.tzinfo)


def test_a_purchase_at_three_in_the_night_ends_a_wait_of_a_day_at_three(life: Life) -> None:
    """Where others judge at the end of the wait, they miss it."""
    life.now = datetime(2026, 7, 3, 18, 0, tzinfo=UTC)
    person = life.add_person("lisi")
    life.read()
    steps = [{"id": "s1", "do": "wait", "days": 1}, {"id": "s2", "do": "send", "ways": ["card"], "text": "你好"}]
    goal = {"kinds": ["group_joined"], "days": 1}
    life.make({**EMPTY, "steps": steps, "goal": goal})
    life.happens(person, "added")
    life.read()
    life.now = datetime(2026, 7, 4, 3, 0, tzinfo=SHANGHAI).astimezone(UTC)
    life.happens(person, "group_joined")
    life.read()
    (enrolment,) = life.rows(Enrolment)
    assert (enrolment.state, enrolment.goal_at, enrolment.ended_at) == ("goal", life.now, life.now)
    life.now += timedelta(days=2)
    life.walk()
    assert [(one.step, one.state) for one in life.rows(StepRun)] == [("s1", "skipped")]


def test_days_of_waiting_are_days_of_the_shop_through_a_change_of_the_clock(life: Life) -> None:
    evening = datetime(2024, 3, 9, 18, 0, tzinfo=NEW_YORK)
    assert due(life, {"do": "wait", "days": 1}, evening) == datetime(2024, 3, 10, 18, 0, tzinfo=NEW_YORK)
    gap = due(life, {"do": "wait", "days": 1, "at": "02:30"}, evening)
    assert gap.strftime("%m-%d %H:%M %z") == "03-10 03:00 -0400"
    twice = due(life, {"do": "wait", "days": 1, "at": "01:30"}, datetime(2024, 11, 2, 12, 0, tzinfo=NEW_YORK))
    assert twice.strftime("%m-%d %H:%M %z") == "11-03 01:30 -0400"


def test_a_wait_until_a_time_of_today_that_is_over_is_tomorrows(life: Life) -> None:
    noon = datetime(2026, 11, 27, 12, 0, tzinfo=SHANGHAI)
    assert due(life, {"do": "wait", "days": 0, "at": "15:00"}, noon).hour == 15
    assert due(life, {"do": "wait", "days": 0, "at": "10:00"}, noon) == datetime(2026, 11, 28, 10, tzinfo=SHANGHAI)


def test_a_window_may_cross_midnight_and_skip_what_is_not_worked(life: Life) -> None:
    late = {"do": "window", "from": "20:00", "to": "02:00"}
    assert due(life, late, datetime(2026, 11, 27, 1, 0, tzinfo=SHANGHAI)).hour == 1
    assert due(life, late, datetime(2026, 11, 27, 3, 0, tzinfo=SHANGHAI)).hour == 20
    with life.work() as work:
        work.db.add(CalendarDay(day=date(2026, 11, 30), kind=hours.HOLIDAY))
        work.db.add(CalendarDay(day=date(2026, 11, 29), kind=hours.WORKDAY))
    office = {"do": "window", "from": "09:00", "to": "18:00", "working_days": True}
    friday = datetime(2026, 11, 27, 19, 0, tzinfo=SHANGHAI)
    assert due(life, office, friday) == datetime(2026, 11, 29, 9, tzinfo=SHANGHAI)
    sunday = datetime(2026, 11, 29, 19, 0, tzinfo=SHANGHAI)
    assert due(life, office, sunday) == datetime(2026, 12, 1, 9, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("now", "at", "meant"),
    [
        ("2026-11-27T09:00", "10:00", "2026-11-27T10:00"),
        ("2026-11-27T10:05", "10:00", "2026-11-27T10:00"),
        ("2026-11-27T10:30", "10:00", "2026-11-28T10:00"),
        ("2026-11-27T20:00", "23:00", "2026-11-28T08:00"),
        ("2026-11-27T21:00", "07:00", "2026-11-28T08:00"),
    ],
)
def test_a_wave_leaves_at_its_time_of_day_and_never_at_night(life: Life, now: str, at: str, meant: str) -> None:
    local = datetime.fromisoformat(now).replace(tzinfo=SHANGHAI)
    with transaction(life.engine) as db:
        work = Work(db, local.astimezone(UTC), zone=SHANGHAI)
        found = moments.next_at(work, time.fromisoformat(at), NIGHT)
    assert found.astimezone(SHANGHAI) == datetime.fromisoformat(meant).replace(tzinfo=SHANGHAI)


def test_whoever_was_born_on_the_29th_of_february_has_a_birthday_every_year(life: Life) -> None:
    assert hours.birthdays_on(date(2026, 2, 28)) == [228, 229]
    assert hours.birthdays_on(date(2024, 2, 28)) == [228]
    assert hours.birthdays_on(date(2024, 2, 29)) == [229]
    assert hours.birthdays_on(date(2026, 3, 1)) == [301]


def test_a_birthday_journey_catches_up_with_the_days_it_missed_and_goes_once_a_year(life: Life) -> None:
    people = [life.add_person("lisi") for _ in range(3)]
    with life.work() as work:
        for person, day in zip(people, (1125, 1126, 1201), strict=True):
            work.db.get_one(Person, person).birthday = day
    steps = [{"id": "s1", "do": "wait", "days": 400 - 40}]
    trigger = {"on": "date", "date": "birthday", "days": 0, "at": "09:00"}
    life.make({**EMPTY, "trigger": trigger, "again": {"rule": "each"}, "steps": steps, "max_days": 5})
    life.now = datetime(2026, 11, 27, 12, 0, tzinfo=SHANGHAI).astimezone(UTC)
    life.keep_days()
    life.keep_days()
    assert [(one.person_id, one.entry_key) for one in life.rows(Enrolment)] == [
        (people[0], "birthday:2026"),
        (people[1], "birthday:2026"),
    ]
    life.now = datetime(2027, 11, 26, 12, 0, tzinfo=SHANGHAI).astimezone(UTC)
    life.keep_days()
    assert [one.entry_key for one in life.rows(Enrolment, Enrolment.person_id == people[1])] == [
        "birthday:2026",
        "birthday:2027",
    ]
    assert len(life.rows(JourneyVersion)) == 1


def test_a_schedule_that_was_missed_comes_once(life: Life) -> None:
    person = life.add_person("lisi")
    trigger = {"on": "schedule", "every": "week", "days": [1, 4], "at": "10:00"}
    steps = [{"id": "s1", "do": "wait", "minutes": 1}]
    life.make({**EMPTY, "trigger": trigger, "again": {"rule": "after", "days": 1}, "steps": steps})
    life.now += timedelta(days=24, hours=2)
    for _ in range(3):
        life.keep_days()
        life.now += timedelta(hours=1)
    assert [(one.person_id, one.because["turn"]) for one in life.rows(Enrolment)] == [(person, "turn:2026-12-17")]


def test_a_schedule_on_the_31st_comes_on_the_last_day_of_a_shorter_month(life: Life) -> None:
    with life.work() as work:
        trigger = {"every": "month", "days": [31], "at": "10:00"}
        found = entries.latest_turn(trigger, datetime(2027, 3, 1, 0, 0, tzinfo=UTC), work)
    assert found is not None
    assert found.astimezone(SHANGHAI).date() == date(2027, 2, 28)

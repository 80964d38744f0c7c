"""The timetable is kept once for each due time, by one leader at a time, and late work is treated by a stated rule."""

import threading
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine

from scheduler.loop import LEADER, LEASE, Daily, Every, Job, Loop, forget_old_runs
from scheduler.timetable import KEEP_HANDLED, TIMETABLE, tidy
from storage import leases
from storage.tables import InboxRow, Interaction, JobRun, Lease, OutboxRow
from tests.shop import Shop

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Counting:
    """A job that counts its runs."""

    def __init__(self) -> None:
        self.runs: list[datetime] = []
        self.lock = threading.Lock()

    def job(self, name: str, when: Every | Daily, patience: timedelta = timedelta(hours=12)) -> Job:
        def work(hands: "Counting") -> str:
            with hands.lock:
                hands.runs.append(datetime.now(UTC))
            return "done"

        return Job(name, when, work, patience)


def loop_of(shop: Shop, hands: object, *jobs: Job) -> Loop:
    return Loop(shop.parts.engine, shop.parts.clock, shop.parts.zone, jobs, hands)


def test_two_loops_that_look_at_once_run_a_job_once_for_each_due_time(shop: Shop) -> None:
    hands = Counting()
    job = hands.job("nudge", Every(timedelta(minutes=1)))
    loops = [loop_of(shop, hands, job) for _ in range(4)]
    for _ in range(20):
        threads = [threading.Thread(target=one.run_due) for one in loops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shop.advance(seconds=20)
    assert len(hands.runs) == 7
    assert len(shop.rows(JobRun, JobRun.job == "nudge")) == 7


def test_only_the_leader_tends_and_another_takes_over_when_the_lease_ran_out(shop: Shop) -> None:
    hands = Counting()
    job = hands.job("nudge", Every(timedelta(minutes=1)))
    first, second = loop_of(shop, hands, job), loop_of(shop, hands, job)
    second._owner = "another:1"
    with time_machine.travel(datetime(2026, 11, 22, 10, 0, tzinfo=UTC), tick=False) as wall:
        first._lead()
        second._lead()
        second._tend(job)
        assert hands.runs == []
        first._tend(job)
        assert len(hands.runs) == 1
        wall.shift(LEASE - timedelta(seconds=1))
        shop.advance(minutes=1)
        second._lead()
        second._tend(job)
        assert len(hands.runs) == 1
        wall.shift(timedelta(seconds=2))
        first._tend(job)
        assert len(hands.runs) == 1
        second._lead()
        second._tend(job)
        assert len(hands.runs) == 2
        first._lead()
        first._tend(job)
        assert len(hands.runs) == 2
    (lease,) = shop.rows(Lease, Lease.name == LEADER)
    assert (lease.owner, lease.epoch) == ("another:1", 2)


def test_a_leader_that_goes_lets_another_lead_at_once(shop: Shop) -> None:
    now = datetime.now(UTC)
    with shop.db() as db:
        assert leases.take(db, "x", "one", LEASE, now) == 1
        assert leases.take(db, "x", "two", LEASE, now) is None
        leases.release(db, "x", "one", now)
        assert leases.take(db, "x", "two", LEASE, now) == 2


def test_real_loops_in_two_threads_share_the_work_and_stop(shop: Shop) -> None:
    hands = Counting()
    job = hands.job("nudge", Every(timedelta(minutes=1)))
    loops = [loop_of(shop, hands, job) for _ in range(2)]
    loops[1]._owner = "another:1"
    for one in loops:
        one.start()
    waited = threading.Event()
    for _ in range(40):
        if hands.runs or waited.wait(0.1):
            break
    for one in loops:
        one.stop()
    assert len(hands.runs) == 1


@pytest.mark.parametrize(("late", "runs"), [(timedelta(hours=1), 1), (timedelta(hours=13), 0)])
def test_a_job_that_is_too_late_is_left_out_and_said_so(shop: Shop, late: timedelta, runs: int) -> None:
    hands = Counting()
    job = hands.job("nightly", Daily(time(3, 0)))
    with shop.db() as db:
        db.query(JobRun).delete()
        before = job.when.latest(shop.now(), SHANGHAI)
        db.add(JobRun(job="nightly", due_at=before, started_at=before, ended_at=before, ok=True))
    due = before + timedelta(days=1)
    shop.clock.advance((due + late - shop.now()).total_seconds())
    loop_of(shop, hands, job).run_due()
    assert len(hands.runs) == runs
    row = shop.rows(JobRun)[-1]
    assert (row.due_at, row.outcome) == (due, "done" if runs else "left out: too late")


def test_a_daily_job_of_a_new_shop_has_not_missed_what_was_before_it(shop: Shop) -> None:
    hands = Counting()
    job = hands.job("nightly", Daily(time(3, 0)))
    with shop.db() as db:
        db.query(JobRun).delete()
    due = job.when.latest(shop.now(), SHANGHAI) + timedelta(days=1)
    shop.clock.advance((due + timedelta(hours=13) - shop.now()).total_seconds())
    loop_of(shop, hands, job).run_due()
    assert [one.outcome for one in shop.rows(JobRun)] == ["left out: before our time"]


def test_a_sleep_of_days_is_one_run_not_many(shop: Shop) -> None:
    hands = Counting()
    job = hands.job("nudge", Every(timedelta(minutes=1)))
    loop_of(shop, hands, job).run_due()
    shop.advance(hours=60)
    loop_of(shop, hands, job).run_due()
    assert len(hands.runs) == 2


@pytest.mark.parametrize("jump", [timedelta(hours=1), -timedelta(hours=1), timedelta(days=1)])
def test_a_clock_that_jumps_runs_nothing_twice(shop: Shop, jump: timedelta) -> None:
    """F11."""
    hands = Counting()
    job = hands.job("nightly", Daily(time(3, 0)), timedelta(days=3))
    loop = loop_of(shop, hands, job)
    loop.run_due()
    shop.clock._now += jump.total_seconds()
    loop.run_due()
    shop.clock._now -= jump.total_seconds()
    loop.run_due()
    rows = shop.rows(JobRun, JobRun.job == "nightly")
    assert len(hands.runs) == len(rows) == len({one.due_at for one in rows})


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "America/New_York"])
def test_a_daily_job_is_due_once_each_day_of_the_shop_also_when_its_clocks_change(zone: str) -> None:
    when, there = Daily(time(2, 30)), ZoneInfo(zone)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    dues = {when.latest(start + timedelta(minutes=30 * n), there) for n in range(48 * 366)}
    days = [one.astimezone(there).date() for one in sorted(dues)]
    assert len(days) == len(set(days)) == 367


def test_a_failing_job_does_not_stop_the_others(shop: Shop) -> None:
    hands = Counting()
    bad = Job("bad", Every(timedelta(minutes=1)), lambda hands: 1 / 0)  # type: ignore[arg-type,return-value]
    good = hands.job("good", Every(timedelta(minutes=1)))
    loop_of(shop, hands, bad, good).run_due()
    assert len(hands.runs) == 1
    (row,) = shop.rows(JobRun, JobRun.job == "bad")
    assert (row.ok, row.outcome) == (False, "ZeroDivisionError: division by zero")


def test_old_runs_are_forgotten_and_frequent_ones_sooner(shop: Shop) -> None:
    hands = Counting()
    job = hands.job("often", Every(timedelta(seconds=10)))
    for _ in range(60):
        loop_of(shop, hands, job).run_due()
        shop.advance(seconds=10)
    assert len(shop.rows(JobRun, JobRun.job == "often")) <= 22
    shop.advance(days=15)
    assert forget_old_runs(shop.parts.engine, shop.now()) > 0
    assert shop.rows(JobRun) == []


def test_every_job_of_the_timetable_runs_in_a_shop(shop: Shop) -> None:
    for _ in range(30):
        shop.advance(hours=1)
        shop.tick()
    ran = dict(shop.jobs_run)
    assert set(ran) == {one.name for one in TIMETABLE}
    assert all(one.ok for one in shop.rows(JobRun))


def test_a_nightly_job_that_failed_or_was_killed_is_tried_again_the_same_night(shop: Shop) -> None:
    turns: list[str] = []

    def work(hands: object) -> str:
        turns.append("run")
        if len(turns) == 1:
            raise RuntimeError("WeCom is away\nand this line is nobody's business")
        return "done"

    job = Job("nightly", Daily(time(17, 0)), work)
    loop = loop_of(shop, object(), job)
    loop.run_due()
    (run,) = shop.rows(JobRun, JobRun.job == "nightly")
    assert (run.ok, run.outcome) == (False, "RuntimeError: WeCom is away")
    shop.advance(minutes=5)
    assert loop.run_due() == []
    shop.advance(minutes=6)
    assert loop.run_due() == [("nightly", "done")]
    shop.advance(minutes=30)
    assert loop.run_due() == []

    with shop.db() as db:
        db.query(JobRun).update({"ended_at": None, "ok": None})
    another = loop_of(shop, object(), job)
    shop.advance(hours=1)
    assert another.run_due() == []
    shop.advance(hours=1)
    assert another.run_due() == [("nightly", "done")]
    assert len(shop.rows(JobRun, JobRun.job == "nightly")) == 1
    assert len(turns) == 3


def test_handled_events_and_calls_are_forgotten_after_ninety_days_and_open_ones_never(shop: Shop) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    shop.deliverer.pause()
    shop.advance(days=89)
    hands = shop.parts.hands(lambda: None, lambda: False)
    tidy(hands)
    assert [row.state for row in shop.rows(InboxRow)] == ["done"]
    shop.world.customer_deletes("lisi", arrival.external_userid)
    shop.post(shop.world.events[-1].xml)
    shop.advance(days=2)
    tidy(hands)
    assert [row.state for row in shop.rows(InboxRow)] == ["waiting"]
    assert not [row for row in shop.rows(OutboxRow) if row.settled_at and row.settled_at < shop.now() - KEEP_HANDLED]
    assert len(shop.rows(Interaction, Interaction.kind == "added")) == 1

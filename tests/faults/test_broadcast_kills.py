"""F17, S31: a broadcast killed at every boundary of its planning, making, sending and reading: each task once, always.

With ``SCRM_SOAK=1`` 25,000 people, the first and the last commit of each kind, before and after it reaches the disk;
in the ordinary suite few people and some of these. (A task takes fewer people here than at WeCom, so that a rep has
several, and a rep may have as many a day as there are.)
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.ticking import work_off
from insight import segments
from outreach import audience, broadcasts, mass
from people import sign_in
from sandbox import adapter
from sandbox.api import Answer, answer
from sandbox.call import Request
from sandbox.clock import ManualClock
from sandbox.world import World
from scheduler import timetable
from soak import FULL
from storage.tables import Broadcast, MassTask, Touch
from tests import databases
from tests.faults.crashes import Died, Reaper
from tests.shop import START, Shop, build_shop, close_shop

PEOPLE, PORTION, CHUNK = (25_000, 20_000, 2_000) if FULL else (20, 12, 3)
MAKE = "externalcontact/add_msg_template"
PLANNING = "mass_jobs.plan"
ROUNDS = 80
CONFIRMED_EVERY = 4
Copies = Callable[[], AbstractContextManager[str]]


class Stage:
    """One shop with an approved broadcast, as often as one likes."""

    def __init__(self, kind: str, world: World, copies: Copies) -> None:
        self.kind, self.world, self._copies = kind, world, copies
        self.began = world.clock.now()

    @contextmanager
    def shop(self) -> Iterator[Shop]:
        """A copy of it, with a WeCom that knows of no mass message yet, at the same hour of another day."""
        self.began += 86_400
        assert isinstance(self.world.clock, ManualClock)
        self.world.clock.advance(self.began - self.world.clock.now())
        self.world.mass_tasks.clear()
        self.world.mass_errands.clear()
        self.world.listeners.clear()
        with self._copies() as url:
            shop = build_shop(url, world=self.world)
            try:
                yield shop
            finally:
                close_shop(shop)


def approved(url: str) -> World:
    """A corp of this size, read in; a broadcast to all of it, approved."""
    world = World.small_shop(ManualClock(START), seed=3)
    world.populate(PEOPLE)
    shop = build_shop(url, world)
    shop.open_for_business()
    with shop.db() as db:
        sign_in.add_user(db, "wangwu", "operator", shop.now())
        sign_in.add_user(db, "zhangsan", "boss", shop.now())
    with shop.work() as work:
        everybody = segments.create(work, "所有人", {"all": []}, by="wangwu")
        broadcast = broadcasts.create(work, broadcasts.Draft("会员日", everybody.id, "周五八折。{rep}"), by="wangwu")
        if broadcasts.submit(work, broadcast, PEOPLE, by="wangwu") == broadcasts.ASKED:
            broadcasts.approve(work, broadcast, PEOPLE, by="zhangsan")
    close_shop(shop)
    return world


def once_round(shop: Shop) -> None:
    """What worker and scheduler do in half a minute."""
    shop.advance(seconds=30)
    shop.parts.sender().rescue()
    hands = shop.parts.hands(lambda: None, lambda: False)
    timetable.plan_broadcasts(hands)
    timetable.make_mass_tasks(hands)
    work_off(shop.parts)
    timetable.read_mass_tasks(hands)


def run(shop: Shop, reaper: Reaper) -> Shop:
    """From the approval to the end, perhaps killed once on the way and started again."""
    for number in range(ROUNDS):
        try:
            with reaper.watching(shop.parts.engine, shop.parts.front):
                once_round(shop)
        except Died:
            shop = restarted(shop)
        if number % CONFIRMED_EVERY == CONFIRMED_EVERY - 1:
            confirm_all(shop.world)
        if is_over(shop):
            return shop
    return shop


def restarted(shop: Shop) -> Shop:
    """New processes on the same database, with the same WeCom."""
    shop.parts.close()
    shop.world.listeners.clear()
    return build_shop(shop.parts.settings.storage.url, world=shop.world)


def is_over(shop: Shop) -> bool:
    with shop.db() as db:
        return db.scalars(select(Broadcast.state)).one() == broadcasts.DONE


def confirm_all(world: World) -> None:
    for userid in list(world.members):
        for errand in world.mass_todos(userid):
            world.confirm_mass(userid, errand.msgid)


def problems(shop: Shop) -> list[str]:
    """What must never be: a task twice, a person twice, somebody forgotten, our books other than WeCom's."""
    found = []
    tasks = shop.rows(MassTask)
    at_wecom = sorted(tuple(sorted(_receivers(one))) for one in shop.world.mass_tasks.values())
    ours: dict[int, list[str]] = {one.id: [] for one in tasks}
    for touch in shop.rows(Touch):
        ours.setdefault(touch.task_id or 0, []).append(str(touch.external_userid))
    if sorted(tuple(sorted(some)) for some in ours.values()) != at_wecom:
        found.append(f"{len(tasks)} tasks of ours, {len(at_wecom)} at WeCom")
    received = Counter(one.receiver for one in shop.world.mass_received())
    if twice := sum(count > 1 for count in received.values()):
        found.append(f"{twice} people got it twice")
    if len(received) != PEOPLE:
        found.append(f"{len(received)} of {PEOPLE} people got it")
    states = Counter(one.state for one in shop.rows(Touch))
    if states != {"sent": PEOPLE}:
        found.append(f"our books say {dict(states)}")
    if not is_over(shop):
        found.append("it is not over")
    return found


def _receivers(task: Any) -> set[str]:
    return {parcel.receiver for errand in task.errands.values() for parcel in errand.parcels}


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "PORTION", PORTION)
    monkeypatch.setattr(mass, "MAX_MASS_CUSTOMERS", CHUNK)
    monkeypatch.setattr(mass, "TASKS_A_DAY", 100)


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Made once for all the kills; each is on a copy of its own."""
    if request.param == "sqlite":
        url = databases.fresh_sqlite(tmp_path, request.getfixturevalue("sqlite_template"))
        world = approved(url)
        yield Stage(request.param, world, lambda: _copied_file(tmp_path, Path(url.removeprefix("sqlite:///"))))
        return
    made = databases.fresh_postgres(request.getfixturevalue("postgres_template"))
    url = next(made)
    world = approved(url)
    yield Stage(request.param, world, lambda: _copied_database(url.rpartition("/")[2]))
    next(made, None)


@contextmanager
def _copied_file(folder: Path, original: Path) -> Iterator[str]:
    url = databases.fresh_sqlite(folder, original)
    yield url
    for one in folder.glob(f"{Path(url).name}*"):
        one.unlink()


@contextmanager
def _copied_database(original: str) -> Iterator[str]:
    made = databases.fresh_postgres(original)
    yield next(made)
    next(made, None)


def chosen(places: list[str]) -> list[int]:
    """Numbers (from 1) of the first and the last commit of each kind; planning and cutting share one, all of which."""
    first = {place: number for number, place in reversed(list(enumerate(places, start=1)))}
    last = {place: number for number, place in enumerate(places, start=1)}
    planning = (number for number, place in enumerate(places, start=1) if place == PLANNING)
    return sorted({*first.values(), *last.values(), *planning})


def test_killed_at_any_boundary_each_task_is_made_once(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    counter, started = Reaper(), time.monotonic()
    with stage.shop() as shop:
        run(shop, counter)
        assert problems(shop) == []
        tasks = len(shop.rows(MassTask))
    points = [(number, before) for number in chosen(counter.places) for before in (True, False)]
    tried = points if FULL else points[:: 9 if stage.kind == "sqlite" else 21]
    wrong: list[tuple[int, str, str, list[str]]] = []
    for number, before in tried:
        reaper = Reaper()
        reaper.at, reaper.before = number, before
        with stage.shop() as shop:
            again = run(shop, reaper)
            if found := problems(again):
                wrong.append((number, counter.places[number - 1], "before" if before else "after", found))
            again.parts.close()
    kinds = dict(Counter(counter.places))
    with capsys.disabled():
        print(f"\n{PEOPLE:,} people, {tasks} tasks, {counter.commits} commits of {len(kinds)} kinds: {kinds}")
        print(f"killed at {len(tried)} of {len(points)} points, {len(wrong)} wrong; {time.monotonic() - started:.0f} s")
    assert not wrong, "\n".join(map(str, wrong))


def test_a_line_that_breaks_after_wecom_accepted_makes_no_second_task(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first call, at the last, and at all of them: the answer is lost, the task is found in WeCom's list."""
    with stage.shop() as shop:
        run(shop, Reaper())
        calls = len(shop.world.mass_tasks)
    for broken in ({1}, {calls}, set(range(1, calls + 1)))[0 if FULL else 2 :]:
        with stage.shop() as shop:
            with monkeypatch.context() as here:
                here.setattr(adapter, "answer", Breaking(broken))
                run(shop, Reaper())
            assert problems(shop) == [], broken


class Breaking:
    """Carries every call out, and breaks the line after those that make these tasks (from 1)."""

    def __init__(self, broken: set[int]) -> None:
        self._broken, self._made = broken, 0

    def __call__(self, world: World, request: Request, patience: float | None) -> Answer:
        said = answer(world, request, patience)
        self._made += request.path == MAKE
        return replace(said, reset=True) if request.path == MAKE and self._made in self._broken else said

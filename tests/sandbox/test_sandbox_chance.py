"""Days in which chance moves the corp."""

from typing import Any

import pytest

from sandbox.callbacks import Deliverer
from sandbox.chance import DEEDS
from sandbox.clock import ManualClock, SystemClock
from sandbox.world import World


def lively(seed: int = 1) -> World:
    world = World.demo(ManualClock(), seed=seed)
    world.make_way(["lisi", "wangwu"], "counter")
    world.kf_account("豆子客服", ["lisi", "sunqi"])
    world.populate(40)
    return world


def test_everything_happens_in_some_weeks() -> None:
    world = lively()
    done = world.random_week(3, days=21)
    missing = {"serve kf"}  # nobody is led into the pool without a product
    assert set(DEEDS) - set(done) <= missing
    assert len(done) > 600


def test_the_same_chance_makes_the_same_week() -> None:
    first, second, other = lively(), lively(), lively()
    assert first.random_week(5) == second.random_week(5)
    assert [one.xml for one in first.events] == [one.xml for one in second.events]
    assert other.random_week(6) != first.random_week(5)


def test_the_days_pass_on_the_clock() -> None:
    world = lively()
    before = world.clock.now()
    world.random_week(1, days=3, acts_a_day=5)
    assert 0 <= world.clock.now() - before - 3 * 86_400 < 3 * 86_400
    with pytest.raises(ValueError, match="by hand"):
        World.small_shop(SystemClock()).random_week(1)


def test_a_week_unheard_is_written_down_and_never_sent() -> None:
    world = lively()
    got: list[Any] = []
    deliverer = Deliverer(world, lambda *post: got.append(post) or 200)
    world.random_week(1, days=2, heard=False)
    assert not got
    assert not deliverer.recent()
    assert len(world.events) > 30
    world.add_by_phone("lisi", "老王")
    assert len(got) == 1

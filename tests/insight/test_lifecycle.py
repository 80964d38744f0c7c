"""The life cycle: the ladder means the same to both databases as to plain Python; every change says why, once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, select

from insight import lifecycle, segments
from insight.lifecycle import Moment, Rules, WrongRules
from people import privacy
from scheduler import insight_jobs
from storage.database import reading, transaction
from storage.tables import Interaction, Interval, LifecycleChange, Person, Relation
from storage.work import Work
from tests.insight.crowd import NOW, ZONE, Somebody, crowd, keep
from tests.shop import Shop, build_shop, close_shop

ENDED = {"ended_by_rep", "ended_by_customer", "ended_by_both", "transferred"}


@pytest.fixture
def bare(database_url: str) -> Iterator[Shop]:
    """A shop that was never opened: nobody is in its books."""
    shop = build_shop(database_url)
    yield shop
    close_shop(shop)


@pytest.fixture
def people() -> list[Somebody]:
    return [replace(one, life_cycle=None) for one in crowd(seed=11, size=120)]


def expected(one: Somebody, rules: Rules) -> str:
    """The ladder again, in plain Python."""
    states = set(one.relations.values())
    if "active" not in states:
        return "lost" if states & ENDED else "prospect"
    arrivals = [at for at, _ in one.arrivals if at is not None]
    signs = [at for kind, at, _ in one.lines if kind in lifecycle.SIGNS]
    first = min(arrivals, default=NOW)
    last = max(signs, default=max(arrivals, default=NOW))
    talked = [at for kind, at, _ in one.lines if kind in lifecycle.TALK]
    days = {at.astimezone(ZONE).date() for at in talked if at >= ago(rules.loyal_days)}
    if rules.lost_days and last < ago(rules.lost_days):
        return "lost"
    if first >= ago(rules.new_days):
        return "new"
    if len(days) >= rules.loyal_talks:
        return "loyal"
    return "active" if last >= ago(rules.active_days) else "dormant"


def ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


def settle(shop: Shop, rules: Rules) -> None:
    with reading(shop.parts.engine) as db:
        found = lifecycle.changes_of(db, lifecycle.portion(db, 0, 1000), Moment(rules, NOW, ZONE))
    with transaction(shop.parts.engine) as db:
        lifecycle.keep(Work(db, NOW, zone=ZONE), found)


@pytest.mark.parametrize(
    "rules",
    [
        Rules(),
        Rules(loyal_talks=1, loyal_days=400),
        Rules(lost_days=90),
        Rules(new_days=1, active_days=7, loyal_talks=2),
    ],
)
def test_the_ladder_means_the_same_in_sql(bare: Shop, people: list[Somebody], rules: Rules) -> None:
    with bare.db() as db:
        keep(db, people)
    settle(bare, rules)
    with bare.db() as db:
        own = select(Person.id, Person.life_cycle).where(Person.merged_into.is_(None))
        told = dict(db.execute(own).all())
    assert told == {one.id: expected(one, rules) for one in people}


def test_every_change_is_written_once_with_its_reason(bare: Shop, people: list[Somebody]) -> None:
    with bare.db() as db:
        keep(db, people)
    settle(bare, Rules())
    settle(bare, Rules())
    first = bare.rows(LifecycleChange)
    assert len(first) == len(people)
    assert all(one.because and one.before is None for one in first)
    new = next(one for one in first if one.after == "new")
    with bare.db() as db:
        db.execute(delete(Interval).where(Interval.person_id == new.person_id))
        db.execute(delete(Relation).where(Relation.person_id == new.person_id))
    settle(bare, Rules())
    with bare.db() as db:
        (change,) = lifecycle.changes(db, after=first[-1].id, limit=10)
        assert (change.before, change.after, change.because) == ("new", "prospect", "还没有成员和客户互为好友")
        assert lifecycle.changes(db, after=0, limit=10, to=("loyal",)) == []
        assert len(lifecycle.changes(db, after=0, limit=500, first=True)) == len(people) + 1
        latest = lifecycle.latest(db, new.person_id)
        assert latest is not None
        assert latest.id == change.id
        assert [one.after for one in lifecycle.history(db, new.person_id)] == ["prospect", "new"]
        assert sum(lifecycle.spread(db).values()) == len(people)


def test_reasons_name_days_and_numbers(shop: Shop) -> None:
    """Whoever reads one can check it."""
    words = {
        rung.because(lifecycle.Known(ago(40), ago(3), 7), Moment(Rules(lost_days=180), NOW, ZONE))
        for rung in lifecycle.LADDER
    }
    assert words == {
        "已经没有成员在联",
        "还没有成员和客户互为好友",
        "180 天没有往来，最近一次是 2026-11-19",
        "2026-10-13 第一次添加，未满 30 天",
        "90 天里有 7 天说过话",
        "30 天内有往来，最近一次是 2026-11-19",
        "30 天没有往来，最近一次是 2026-11-19",
    }


def test_newcomers_are_placed_within_minutes_and_everybody_at_night(shop: Shop) -> None:
    shop.world.scan(shop.channel().code, name="小雨", userid="lisi")
    shop.catch_up()
    shop.advance(minutes=11)
    assert ("settle newcomers", "newcomers: 1") in shop.tick()
    (person,) = shop.rows(Person)
    assert person.life_cycle == "new"
    for _ in range(31):
        shop.advance(days=1)
        ran = shop.run("settle life cycles")
    assert ran["settle life cycles"] == "people looked at: 1, moved: 0"
    (person,) = shop.rows(Person)
    assert person.life_cycle == "dormant"
    assert [one.after for one in shop.rows(LifecycleChange)] == ["new", "dormant"]


def test_portions_reach_everybody_and_stop_when_told_to(
    bare: Shop, people: list[Somebody], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insight_jobs, "PORTION", 7)
    with bare.db() as db:
        keep(db, people)
    turns = iter([False, False, True])
    job = (bare.parts.engine, bare.work_in)
    assert insight_jobs.settle_life_cycles(*job, lambda: next(turns)) == (14, 14)
    assert insight_jobs.settle_life_cycles(*job, lambda: False, only_new=True) == (106, 106)
    assert insight_jobs.settle_life_cycles(*job, lambda: False) == (120, 0)


def test_somebody_who_was_erased_meanwhile_is_left_out(bare: Shop, people: list[Somebody]) -> None:
    with bare.db() as db:
        keep(db, people[:3])
    with reading(bare.parts.engine) as db:
        found = lifecycle.changes_of(db, [1, 2, 3], Moment(Rules(), NOW, ZONE))
    with bare.work() as work:
        privacy.erase(work, work.db.get_one(Person, 2), by="boss")
    with bare.work() as work:
        assert lifecycle.keep(work, found) == 2


def test_an_erased_person_leaves_neither_history_nor_lists(bare: Shop, people: list[Somebody]) -> None:
    with bare.db() as db:
        keep(db, people)
    settle(bare, Rules())
    listed = next(one.id for one in people if one.lists)
    with bare.work() as work:
        receipt = privacy.erase(work, work.db.get_one(Person, listed), by="boss")
    assert receipt.counts["lifecycle_change"] == 1
    assert receipt.counts["segment_member"] >= 1


def test_the_shops_numbers_are_kept_and_wrong_ones_refused(shop: Shop) -> None:
    with shop.work() as work:
        assert lifecycle.rules(work.db) == Rules()
        assert lifecycle.set_rules(work, Rules(new_days=14), by="boss")
        assert not lifecycle.set_rules(work, Rules(new_days=14), by="boss")
        assert lifecycle.rules(work.db).new_days == 14
        for wrong in (Rules(new_days=0), Rules(loyal_talks=10**6), Rules(lost_days=30), Rules(lost_days=-1)):
            with pytest.raises(WrongRules):
                lifecycle.set_rules(work, wrong, by="boss")


def test_where_numbers_are_from_is_found_out_and_follows_them(bare: Shop) -> None:
    with bare.db() as db:
        seen = {"first_seen_at": NOW, "last_seen_at": NOW}
        db.add(Person(id=1, phone="13800001234", **seen))
        db.add(Person(id=2, phone="+1 212 555 0100", **seen))
        db.add(Person(id=3, **seen))
    assert insight_jobs.know_regions(bare.parts.engine, lambda: False) == 2
    first, second, third = bare.rows(Person)
    assert first.province
    assert (second.province, second.region_of, third.region_of) == (None, "+1 212 555 0100", None)
    with bare.db() as db:
        db.get_one(Person, 1).phone = None
    assert insight_jobs.know_regions(bare.parts.engine, lambda: False) == 1
    assert bare.rows(Person)[0].province is None


def test_the_night_counts_every_live_segment(bare: Shop, people: list[Somebody]) -> None:
    with bare.work() as work:
        keep(work.db, people)
        one = segments.create(work, "所有人", segments.EVERYBODY, by="boss")
        one.size = None
    assert insight_jobs.measure_segments(bare.parts.engine, bare.work_in, lambda: False) == 1
    with bare.db() as db:
        found = segments.living(db, one.id)
        assert found is not None
        assert found.size == len(people)
        assert db.scalars(select(Interaction.id).limit(1)).first()

"""F5: what happened between one rep and one customer, told in any order, ends as it ended in the sandbox."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlers.routes import ROUTES
from people import relations
from sandbox.facts import Event as Told
from soak import many
from storage.database import transaction
from storage.tables import Interval, Relation
from storage.work import Work
from tests import databases
from tests.shop import Shop, build_shop, close_shop
from wecom.events import (
    ContactAdded,
    ContactDeletedByCustomer,
    ContactDeletedByRep,
    ContactHalfAdded,
    read_event,
)

ORDERS = 500
LIVES_A_TEST = 20
TOLD = 20
STATES = {
    "active": {"active"},
    "half": {"half"},
    "customer_deleted": {"ended_by_customer"},
    "member_deleted": {"ended_by_rep", "ended_by_both"},
}


FACTS = {
    ContactAdded: relations.FULL,
    ContactHalfAdded: relations.HALF,
    ContactDeletedByRep: relations.DELETED_BY_REP,
    ContactDeletedByCustomer: relations.DELETED_BY_CUSTOMER,
}


class Pair:
    """One customer of lisi, and what happens between the two, a while apart each time."""

    def __init__(self, shop: Shop, chance: random.Random, code: str) -> None:
        self.shop, self.chance, self.code = shop, chance, code
        self.external = shop.world.new_customer("小雨").external_userid
        self.told: list[Told] = []
        shop.world.listeners[:] = [self.told.append]

    def live(self, events: int) -> None:
        """Let things happen until so many events have told of them."""
        while len(self.told) < events:
            self.shop.clock.advance(self.chance.choice((1, 2, 45, 600, 86_400)))
            self.chance.choice(self._possible())()

    def _possible(self) -> list[Any]:
        world, pair = self.shop.world, ("lisi", self.external)
        row = world.relations.find(*pair)
        status = row.status if row is not None else "none"
        world.half_add, world.half_delay = self.chance.random() < 0.5, None
        back = [self._scan, self._scan, lambda: world.add_by_phone("lisi", external_userid=self.external)]
        edit = [lambda: world.edit_remark(*pair, remark=f"备注{self.chance.randrange(99)}")]
        return {
            "none": back,
            "half": [lambda: world.confirm(*pair), lambda: world.confirm(*pair), lambda: world.member_deletes(*pair)],
            "active": [*edit, lambda: world.customer_deletes(*pair), lambda: world.member_deletes(*pair)],
            "customer_deleted": [*edit, *back, lambda: world.member_deletes(*pair)],
            "member_deleted": back,
        }[status]

    def _scan(self) -> None:
        self.shop.world.scan(self.code, external_userid=self.external, userid="lisi")

    def any_order(self) -> list[str]:
        """The XML of the events in any order, five of them twice."""
        events = [one.xml for one in self.told]
        events += self.chance.choices(events, k=5)
        self.chance.shuffle(events)
        return events

    @property
    def truth(self) -> Any:
        return self.shop.world.relation("lisi", self.external)


def hear(shop: Shop, external: str, xmls: list[str]) -> None:
    """Walk each event along its route, as the dispatcher does, but in one transaction for all of them."""
    profile = shop.parts.gateway.profile(external)
    now = shop.now()
    with transaction(shop.parts.engine) as db:
        for xml in xmls:
            event: Any = read_event(xml)
            route = ROUTES[type(event)]
            work = Work(db, now, cause="event", zone=shop.parts.zone, received_at=now, looked_at=now)
            for step in route.steps:
                step(event, profile if route.look is not None else None, work)


@pytest.fixture
def one(opened_sqlite: Path, tmp_path: Path) -> Iterator[Shop]:
    """What is decided here is the same on every database: one of them will do."""
    shop = build_shop(databases.fresh_sqlite(tmp_path, opened_sqlite))
    yield shop
    close_shop(shop)


def test_five_hundred_orders_of_twenty_events_fold_to_the_sandboxs_truth(one: Shop) -> None:
    """The heart of it: facts sorted by WeCom's own time."""
    code = one.channel(tags=()).code
    for number in range(ORDERS):
        pair = Pair(one, random.Random(number), code)
        pair.live(TOLD)
        stretches = relations.fold(facts_of(pair.any_order()))
        assert relations.state_of(stretches) in STATES[pair.truth.status], number
        began = stretches[-1].began_at
        assert began is not None
        assert int(began.timestamp()) == pair.truth.createtime, number


def facts_of(xmls: list[str]) -> list[relations.Fact]:
    """What is kept of these events, each once."""
    events: list[Any] = [read_event(xml) for xml in xmls]
    kept = {
        (FACTS[type(event)], event.at): relations.Fact(FACTS[type(event)], event.at, getattr(event, "state", None))
        for event in events
        if type(event) in FACTS
    }
    return list(kept.values())


@pytest.mark.parametrize("seed", range(many(1, ORDERS // LIVES_A_TEST)))
def test_any_order_of_twenty_events_about_one_pair_ends_in_the_sandboxs_truth(one: Shop, seed: int) -> None:
    """The whole of it: every step of every event."""
    shop, code = one, one.channel(tags=()).code
    for number in range(LIVES_A_TEST):
        pair = Pair(shop, random.Random(1000 * seed + number), code)
        pair.live(TOLD)
        hear(shop, pair.external, pair.any_order())
        check(shop, pair, number)


def check(shop: Shop, pair: Pair, number: int) -> None:
    (relation,) = shop.rows(Relation, Relation.external_userid == pair.external)
    truth = pair.truth
    assert relation.state in STATES[truth.status], (number, [one.fields.get("ChangeType") for one in pair.told])
    assert int(relation.added_at.timestamp()) == truth.createtime, number
    begun = [one for one in pair.told if "add" in str(one.fields.get("ChangeType"))]
    intervals = shop.rows(Interval, Interval.relation_id == relation.id)
    assert 0 < len(intervals) <= len(begun)
    assert all(one.ended_at is not None for one in intervals[:-1])
    if truth.status in ("active", "customer_deleted"):
        assert relation.remark == (truth.remark or truth.customer.name)

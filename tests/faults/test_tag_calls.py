"""A wrong rule tags everybody and is undone, while WeCom throttles the tagging: no call lost, none inside a block."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import func, select

from bot.assembly import Parts, assemble
from bot.worker import Duty, Worker
from people import persons
from sandbox.adapter import SandboxAdapter
from sandbox.clock import ManualClock
from sandbox.world import World
from soak import many
from storage.bell import LocalBell
from storage.tables import OutboxRow, Person, PersonTag, Relation, RelationTag, RuleHit, Tag, TagGround
from tagging import marks, rule_work, rules, tags
from tagging.rules import Draft
from tagging.tags import Ground
from tests import databases
from tests.faults.test_commit_points import fresh
from tests.shop import START, Shop, build_shop, close_shop, line_to

__all__ = ["fresh"]
PEOPLE = many(80, 10_000)
EVERY = 10
"""Every tenth person has the tag by a rep's hand too."""
MARK = "externalcontact/mark_tag"
WRONG = Draft("问价", definition={"any_keywords": ["多少钱"]}, tags=(("意向", "问价"),))
STEP = 0.05
ON_ITS_WAY = 0.1
"""Seconds of ours: who had the call in hand when another's refusal came home cannot take it back."""
MARKS_ONLY = Duty({}, {"calls": 4, "tags": 5}, keeps_time=False)


class Watched(SandboxAdapter):
    """The way to WeCom, with somebody who notes the calls that leave although WeCom's refusal is home already."""

    ROAD = "the road to mark_tag"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.refused_at, self.shut_until = float("-inf"), 0.0
        self.inside: list[float] = []
        """Of each such call: how long after the refusal it left."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Pass the call on."""
        if MARK not in (request.url or ""):
            return super().send(request, *args, **kwargs)
        late = time.monotonic() - self.refused_at
        if late > ON_ITS_WAY and self.world.clock.now() < self.shut_until:
            self.inside.append(late)
        with self.world.log.under_way(self.ROAD):
            time.sleep(0.02)
            answer = super().send(request, *args, **kwargs)
        if json.loads(answer.content).get("errcode") == 45009:
            self.refused_at, self.shut_until = time.monotonic(), self.world.gates.gates[MARK].shut_until
        return answer


@contextmanager
def hurrying(shop: Shop) -> Iterator[None]:
    """The shop's clock goes with ours, and twenty times as fast while WeCom has shut the door: a minute is long."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(STEP):
            shut = shop.world.gates.is_shut(MARK, shop.world.clock.now())
            shop.advance(seconds=20 * STEP if shut else STEP)

    hurry = threading.Thread(target=run)
    hurry.start()
    try:
        yield
    finally:
        stop.set()
        hurry.join()


def machine(shop: Shop, way: Watched) -> Parts:
    """A process of the shop: it shares the database with others, and nothing else."""
    http = line_to(shop.world)
    http.mount("http://sandbox.invalid", way)
    return assemble(shop.parts.settings, clock=shop.parts.clock, http=http, bell=LocalBell())


def waiting(shop: Shop) -> int:
    with shop.db() as db:
        return db.scalars(select(func.count()).where(OutboxRow.state.in_(("waiting", "sending")))).one()


def make_all_calls(shop: Shop, way: Watched) -> None:
    """Two processes make every call there is, in real threads."""
    machines = [machine(shop, way) for _ in range(2)]
    workers = [Worker(one, MARKS_ONLY) for one in machines]
    try:
        with hurrying(shop):
            for worker in workers:
                worker.start()
            for _ in range(many(600, 12_000)):
                if not waiting(shop) and not marks.go_on(shop.parts.engine, shop.work_in, lambda: False):
                    break
                threading.Event().wait(0.1)
            for worker in workers:
                worker.stop()
    finally:
        for one in machines:
            one.close()
    assert waiting(shop) == 0


def carry_out(shop: Shop) -> int:
    return rule_work.go_on(shop.parts.engine, shop.work_in, lambda: False)


def asked_the_price(shop: Shop) -> None:
    """Everybody said it once, and every tenth has been tagged by a rep."""
    with shop.work() as work:
        tag = tags.tag_named(work, "意向", "问价")
        for number, person in enumerate(work.db.scalars(select(Person).order_by(Person.id)).all()):
            row = {"person_id": person.id, "userid": None, "kind": "kf_in", "at": work.now - timedelta(hours=1)}
            persons.told(work, {**row, "details": {"text": "这个多少钱"}, "once": f"said:{person.id}"})
            if number % EVERY == 0:
                tags.give(work, person, tag, Ground("manual", "李四手动添加", actor="lisi"))


def shown_at_wecom(shop: Shop) -> set[str]:
    """Who has the tag there."""
    (tag,) = shop.rows(Tag, Tag.name == "问价")
    return {one.external_userid for one in shop.world.relations.all() if tag.wecom_id in one.tag_ids}


def having(shop: Shop) -> set[str]:
    """Who has the tag here."""
    with shop.db() as db:
        own = select(Relation.external_userid).join(PersonTag, PersonTag.person_id == Relation.person_id)
        return set(db.scalars(own))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_wrong_rule_is_undone_while_wecom_throttles_and_no_call_is_lost_or_made_in_a_block(
    fresh: Any, kind: str
) -> None:
    if kind == "postgresql":
        databases.need_postgres()
    world = World.small_shop(ManualClock(START), seed=11)
    world.populate(PEOPLE)
    shop = build_shop(fresh(kind), world)
    shop.open_for_business()
    assert len(shop.rows(Person)) == PEOPLE
    asked_the_price(shop)
    world.limits.own_windows = {MARK: ((60, PEOPLE // many(2, 8)),)}
    world.faults.busy = world.faults.reset_after_effect = 0.02
    way = Watched(world)

    with shop.work() as work:
        rule = rules.create(work, WRONG, by="boss")
        rule_work.begin_backfill(work, rule)
    assert carry_out(shop) == PEOPLE
    make_all_calls(shop, way)
    everybody = {one.external_userid for one in world.relations.all()}
    assert having(shop) == shown_at_wecom(shop) == everybody

    with shop.work() as work:
        rule_work.begin_undo(work, work.db.get_one(type(rule), rule.id), by="boss")
    assert carry_out(shop) == PEOPLE
    make_all_calls(shop, way)
    kept = {one.because for one in shop.rows(TagGround)}
    assert kept == {"李四手动添加"}
    assert len(having(shop)) == PEOPLE // EVERY
    assert shown_at_wecom(shop) == having(shop)
    assert not shop.rows(RuleHit, RuleHit.undone_at.is_(None))
    assert {one.at_wecom for one in shop.rows(RelationTag)} == {"done"}

    tally = world.log.tally(MARK)
    print(f"{kind}: {tally.as_json()}")
    assert tally.errcodes[45009] > 0
    assert tally.errcodes[45033] == 0
    assert 1 < world.log.tally(way.ROAD).most_at_once <= 5
    assert not way.inside
    close_shop(shop)

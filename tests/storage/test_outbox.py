"""The outbox: asked for once, sent in order, few at a time, and held when nobody knows what became of it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from people import alarms
from scheduler import delivery
from storage import outbox
from storage.outbox import LEASE, Outcome
from storage.tables import OutboxRow, RelationTag
from tests.shop import Shop, event_xml
from wecom.commands import AddCorpTag, MarkTag, TellMembers, UpdateContactWay

MARK, TELL = "externalcontact/mark_tag", "message/send"


def ask(shop: Shop, command: Any, once: str, key: str = "k", before: timedelta | None = None) -> bool:
    with shop.work() as work:
        return work.ask(command, once=once, key=key, before=work.now + before if before else None)


def states(shop: Shop) -> list[str]:
    return [one.state for one in shop.rows(OutboxRow)]


@dataclass
class Slow:
    """Everything about WeCom that takes a while."""

    shop: Shop
    seconds: float

    def __post_init__(self) -> None:
        sleep = self.shop.world.clock.sleep
        self.shop.world.clock.sleep = lambda seconds: (time.sleep(self.seconds), sleep(seconds))[-1]  # type: ignore[method-assign]


def customers(shop: Shop, count: int) -> list[str]:
    found = [shop.world.remember("lisi", f"客户{number}").external_userid for number in range(count)]
    shop.world.console_tags("口味", ("拿铁",))
    return found


def test_planning_the_same_twice_plans_it_once(shop: Shop) -> None:
    assert ask(shop, TellMembers(["lisi"], "早"), "hello")
    assert not ask(shop, TellMembers(["lisi"], "早"), "hello")
    shop.catch_up()
    assert not ask(shop, TellMembers(["lisi"], "早"), "hello")
    assert len(shop.world.inbox_of("lisi")) == 1


def test_calls_of_one_key_leave_in_the_order_in_which_they_were_asked_for(shop: Shop) -> None:
    for number in range(5):
        ask(shop, TellMembers(["lisi"], f"第{number}条"), f"m{number}", key="lisi")
    sender = shop.parts.sender()
    order = []
    while claimed := sender.claim("calls", 10):
        assert len(claimed) == 1
        order += [claimed[0].once]
        sender.deliver_one(claimed[0])
    assert order == [f"m{number}" for number in range(5)]


def test_never_more_than_five_marks_are_under_way(shop: Shop) -> None:
    """F12, with threads: over all workers, 45033 never comes."""
    everybody = customers(shop, 40)
    (tag_id,) = shop.world.tags
    for external in everybody:
        ask(shop, MarkTag("lisi", external, [tag_id]), f"mark:{external}", key=f"relation:lisi:{external}")
    Slow(shop, 0.03)

    def work(_: int) -> int:
        sender, done = shop.parts.sender(), 0
        for _ in range(4000):
            claimed = sender.claim("tags", 1)
            for one in claimed:
                sender.deliver_one(one)
                done += 1
            if not claimed and set(states(shop)) == {"done"}:
                break
        return done

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 40
    tally = shop.world.log.tally(MARK)
    assert (tally.calls, tally.errcodes[45033]) == (40, 0)
    assert 1 < tally.most_at_once <= 5


def test_a_block_of_a_minute_loses_nothing_doubles_nothing_and_is_kept(shop: Shop) -> None:
    everybody = customers(shop, 40)
    (tag_id,) = shop.world.tags
    shop.world.limits.own_windows = {MARK: ((60, 15),)}
    for external in everybody:
        ask(shop, MarkTag("lisi", external, [tag_id]), f"mark:{external}", key=f"relation:lisi:{external}")
    for _ in range(25):
        shop.catch_up()
        shop.advance(seconds=10)
    tally = shop.world.log.tally(MARK)
    assert set(states(shop)) == {"done"}
    assert (tally.accepted, tally.inside_block) == (40, 0)
    assert all(row.tag_ids == (tag_id,) for row in shop.world.relations.all())


@pytest.mark.parametrize("way", ["hang", "reset", "html"])
def test_a_message_whose_fate_nobody_knows_is_held_and_never_repeated_by_itself(shop: Shop, way: str) -> None:
    """F14: a time-out is unknown, not failed."""
    faults = shop.world.faults
    shop.parts.gateway._app.token()
    if way == "hang":
        faults.hang = {TELL: (1.0, 60.0)}
    elif way == "reset":
        faults.reset_after_effect = 1.0
    else:
        faults.not_json = 1.0
    ask(shop, TellMembers(["lisi"], "早"), "hello")
    for _ in range(20):
        shop.catch_up()
        shop.advance(minutes=1)
        shop.parts.sender().rescue()
    assert len(shop.world.calls_to(TELL)) <= (1 if way != "html" else 20)
    assert states(shop) in (["held"], ["waiting"])
    if way == "html":
        return
    faults.hang, faults.reset_after_effect = {}, 0.0
    (row,) = shop.rows(OutboxRow)
    shop.advance(hours=1)
    with shop.db() as db:
        assert outbox.decide(db, row.id, send_again=True, now=shop.now())
    shop.catch_up()
    assert states(shop) == ["done"]
    with shop.db() as db:
        assert not outbox.decide(db, row.id, send_again=True, now=shop.now())


def test_a_harmless_call_whose_line_broke_is_made_again(shop: Shop) -> None:
    (external,) = customers(shop, 1)
    (tag_id,) = shop.world.tags
    shop.world.faults.hang = {MARK: (1.0, 60.0)}
    ask(shop, MarkTag("lisi", external, [tag_id]), "mark")
    shop.catch_up()
    shop.world.faults.hang = {}
    shop.advance(seconds=3)
    shop.catch_up()
    assert states(shop) == ["done"]
    assert len(shop.world.calls_to(MARK)) == 2


@pytest.mark.parametrize(("harmless", "state"), [(True, "waiting"), (False, "held")])
def test_a_sender_that_died_leaves_its_call_to_another_or_to_a_person(shop: Shop, harmless: bool, state: str) -> None:
    ask(shop, MarkTag("lisi", "wm1", ["t"]) if harmless else TellMembers(["lisi"], "早"), "one")
    sender = shop.parts.sender()
    (asleep,) = sender.claim("tags" if harmless else "calls", 5)
    shop.advance(seconds=LEASE.total_seconds() + 1)
    sender.rescue()
    assert states(shop) == [state]
    assert sender.deliver_one(asleep) == set()
    assert states(shop) == [state]


def test_a_sender_that_wakes_up_late_does_not_overwrite_the_other(shop: Shop) -> None:
    (external,) = customers(shop, 1)
    ask(shop, MarkTag("lisi", external, ["no-such-tag"]), "mark")
    one, two = shop.parts.sender(), shop.parts.sender()
    (asleep,) = one.claim("tags", 5)
    shop.advance(seconds=LEASE.total_seconds() + 1)
    two.rescue()
    (taken,) = two.claim("tags", 5)
    with shop.db() as db:
        assert outbox.settle(db, [(asleep, delivery.DONE)], shop.now()) == set()
    two.deliver_one(taken)
    assert states(shop) == ["refused"]


def test_a_call_that_breaks_what_follows_it_is_held_after_a_dozen_tries(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Poison in the outbox: it must neither go round for ever nor stop what stands behind it."""
    ask(shop, AddCorpTag("口味", "拿铁", 999_999), "tag", key="corp-tags:口味")
    ask(shop, TellMembers(["lisi"], "早"), "hello", key="corp-tags:口味")
    monkeypatch.setattr(delivery, "AFTER", {AddCorpTag: lambda *args: 1 / 0})
    sender = shop.parts.sender()
    for _ in range(20):
        for one in sender.claim("calls", 5):
            try:
                sender.deliver_one(one)
            except ZeroDivisionError:
                continue
        shop.advance(seconds=LEASE.total_seconds() + 1)
        monkeypatch.setattr(delivery, "AFTER", {}) if states(shop)[0] == "held" else None
        try:
            sender.rescue()
        except ZeroDivisionError:
            monkeypatch.setattr(delivery, "AFTER", {})
    assert states(shop) == ["held", "done"]


def test_a_command_that_nobody_knows_any_more_does_not_stop_the_rescue(shop: Shop) -> None:
    ask(shop, TellMembers(["lisi"], "早"), "hello")
    sender = shop.parts.sender()
    sender.claim("calls", 1)
    with shop.db() as db:
        db.query(OutboxRow).update({"name": "CommandOfAnotherVersion"})
    shop.advance(minutes=2)
    sender.rescue()
    assert states(shop) == ["held"]


def test_what_wecom_refuses_as_a_whole_waits_for_the_admin(shop: Shop) -> None:
    ask(shop, TellMembers(["lisi"], "早"), "hello")
    shop.world.trusted_ips = frozenset({"9.9.9.9"})
    for _ in range(40):
        shop.catch_up()
        shop.advance(minutes=1)
    with shop.db() as db:
        (alarm,) = [one for one in alarms.standing(db) if one.kind.startswith("wecom_")]
        assert (alarm.kind, "可信 IP" in alarm.text) == ("wecom_60020", True)
    assert len(shop.world.calls_to(TELL)) <= 21
    shop.world.trusted_ips = None
    shop.advance(minutes=3)
    shop.catch_up()
    assert states(shop) == ["done"]
    with shop.db() as db:
        assert [one for one in alarms.standing(db) if one.kind.startswith("wecom_")] == []


@pytest.mark.parametrize("room", [1, 3])
def test_no_more_is_taken_than_there_is_room_for(shop: Shop, room: int) -> None:
    """A planner may look into a subquery once for each row: then a limit inside it limits nothing."""
    for number in range(50):
        ask(shop, TellMembers(["lisi"], "早"), f"m{number}", key=f"k{number}")
        fields = {"ChangeType": "add_external_contact", "UserID": "lisi", "ExternalUserID": f"wm{number}"}
        shop.post(event_xml(CreateTime="1760000000", **fields))
    assert len(shop.parts.sender().claim("calls", room)) == room
    assert len(shop.parts.dispatcher().claim("events", room)) == room
    with shop.db() as db:
        if db.get_bind().dialect.name == "postgresql":
            db.execute(text("ANALYZE inbox"))
            db.execute(text("ANALYZE outbox"))
    assert len(shop.parts.sender().claim("calls", room)) == room
    assert len(shop.parts.dispatcher().claim("events", room)) == room


def test_a_try_of_somebody_else_is_not_followed_up_though_it_ends_beside_ours(shop: Shop) -> None:
    ask(shop, TellMembers(["lisi"], "早"), "hello")
    sender = shop.parts.sender()
    (asleep,) = sender.claim("calls", 1)
    awake = replace(asleep, fence=asleep.fence + 1)
    with shop.db() as db:
        db.query(OutboxRow).update({"fence": awake.fence})
    with shop.db() as db:
        ended = [(asleep, Outcome("refused")), (awake, delivery.DONE)]
        assert outbox.settle(db, ended, shop.now()) == {(awake.id, awake.fence)}
    assert states(shop) == ["done"]


def test_two_callers_who_look_at_the_same_time_take_different_calls(shop: Shop) -> None:
    for number in range(30):
        ask(shop, UpdateContactWay("c", ["lisi"], "r", True, "s", number), f"w{number}", key=f"k{number}")
    barrier, taken = threading.Barrier(6), []

    def take() -> None:
        barrier.wait()
        taken.extend(one.id for one in shop.parts.sender().claim("calls", 4))

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken))
    assert shop.rows(RelationTag) == []

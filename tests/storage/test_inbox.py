"""F4, F7 and the lanes of the inbox: kept once, handled in order, by one worker at a time."""

import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from bot.callback import arriving
from handlers import dispatch, routes
from soak import many
from storage import inbox, outbox
from storage.database import transaction
from storage.inbox import LEASE, Intake
from storage.tables import InboxRow, Interaction, OutboxRow, Person, Relation
from tests.shop import Shop, event_xml
from wecom.commands import SendWelcome, TellMembers
from wecom.events import ContactAdded, read_event


def added(external: str, when: int = 1_760_000_000, userid: str = "lisi", **more: str) -> str:
    fields = {"ChangeType": "add_external_contact", "UserID": userid, "ExternalUserID": external}
    return event_xml(CreateTime=str(when), **fields, **more)


def test_three_deliveries_of_each_on_eight_connections_are_one_row_each(shop: Shop) -> None:
    """F4."""
    shop.parts.gateway.profile = lambda external: None  # type: ignore[method-assign]
    events = many(120, 10_000)
    letters = [shop.seal(added(f"wm{number}"), nonce=f"n{number}") for number in range(events)]

    def deliver(connection: int) -> Counter[int]:
        client = shop.app.test_client()
        answers: Counter[int] = Counter()
        for turn in range(3 * events):
            if turn % 8 == connection:
                query, body = letters[(turn * 7) % events]
                answers[client.post("/wecom/callback", query_string=query, data=body).status_code] += 1
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers: Counter[int] = sum(pool.map(deliver, range(8)), Counter())
    assert answers == {200: 3 * events}
    assert len(shop.rows(InboxRow)) == events
    shop.catch_up()
    assert len(shop.rows(Relation, Relation.state == "active")) == events
    assert len(shop.rows(Interaction, Interaction.kind == "added")) == events


def test_one_event_that_cannot_be_kept_does_not_take_the_others_with_it(shop: Shop) -> None:
    """On PostgreSQL a NUL cannot be kept; the commit is shared, the fate is not."""
    now = shop.now()
    good = [arriving(read_event(added(f"wm{number}")), "<xml/>", now) for number in range(6)]
    bad = replace(good[0], identity="bad", xml="\x00")
    intake = Intake(shop.parts.front, shop.parts.engine, shop.parts.clock, lambda lane: None)
    desk = intake._desk
    desk._somebody_keeps = True
    results: dict[str, str] = {}

    def keep(one: Any) -> None:
        try:
            intake.accept(one)
            results[one.identity] = "kept"
        except SQLAlchemyError as error:
            results[one.identity] = type(error).__name__

    threads = [threading.Thread(target=keep, args=[one]) for one in [*good, bad]]
    for thread in threads:
        thread.start()
    while len(desk._waiting) < len(threads):
        time.sleep(0.005)
    desk._waiting[0].call()
    for thread in threads:
        thread.join()
    intake.close()
    assert [results[one.identity] for one in good] == ["kept"] * 6
    assert results["bad"] in ("kept", "DataError")
    assert len(shop.rows(InboxRow, InboxRow.identity != "bad")) == 6


def test_nothing_new_is_begun_while_a_welcome_waits_that_came_just_now(shop: Shop) -> None:
    dispatcher, sender = shop.parts.dispatcher(), shop.parts.sender()
    shop.post(added("wmOrdinary"))
    shop.post(added("wmGreeted", WelcomeCode="code"))
    assert dispatcher.claim("events", 5) == []
    shop.advance(seconds=6)
    (ordinary,) = dispatcher.claim("events", 5)
    assert "wmOrdinary" in ordinary.xml
    (greeted,) = dispatcher.claim("welcome", 5)
    assert "wmGreeted" in greeted.xml

    with shop.work() as work:
        work.ask(TellMembers(["zhangsan"], "x"), once="told", key="told")
        work.ask(SendWelcome("code", "hello", {}, "wmGreeted", []), once="welcome", key="welcome:1")
    assert sender.claim("calls", 5) == []
    assert [one.name for one in sender.claim("welcome", 5)] == ["SendWelcome"]
    assert [one.name for one in sender.claim("calls", 5)] == ["TellMembers"]


def test_neither_claiming_nor_settling_looks_through_all_that_waits(shop: Shop) -> None:
    """A planner without statistics liked an index by state better: 76 ms in the write lock behind 100,000 events."""
    if shop.parts.engine.dialect.name != "sqlite":
        pytest.skip("SQLite has no statistics unless asked to make them")
    shop.post(added("wmWaits"))
    asked: list[tuple[str, Any]] = []
    remember = lambda *args: asked.append((args[2], args[3]))  # noqa: E731
    event.listen(shop.parts.engine, "before_cursor_execute", remember)
    shop.post(added("wmGreeted", WelcomeCode="code"))
    shop.parts.dispatcher().greet(5)
    shop.parts.dispatcher().claim("events", 5)
    for lane in ("calls", "welcome"):
        shop.parts.sender().claim(lane, 5)
    with shop.db() as db:
        outbox.rest_of(db, {"a", "b", "c"}, {1, 2})
        outbox.drop_rest(db, {"a", "b"}, "", shop.now())
    event.remove(shop.parts.engine, "before_cursor_execute", remember)
    with shop.parts.engine.connect() as line:
        plans = [line.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all() for text, values in asked]
    steps = [str(step) for plan in plans for (*_, step) in plan]
    assert [one for one in steps if one.startswith(("SCAN inbox", "SCAN outbox")) or "_state_" in one] == []
    assert sum("_open" in one for one in steps) >= 7


def in_threads(*jobs: Any) -> list[BaseException | None]:
    """All at the same time; what each raised."""
    barrier = threading.Barrier(len(jobs))

    def run(job: Any) -> None:
        barrier.wait()
        job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [one.exception() for one in [pool.submit(run, job) for job in jobs]]


def test_two_doors_that_keep_the_same_events_in_another_order_do_not_cross(shop: Shop) -> None:
    for turn in range(many(15, 200)):
        xmls = [added(f"wm{turn}x{number}", WelcomeCode=f"c{number}") for number in range(12)]
        events = [arriving(read_event(xml), xml, shop.now()) for xml in xmls]
        doors = [Intake(shop.parts.front, shop.parts.engine, shop.parts.clock, lambda lane: None) for _ in range(2)]
        orders = (events, events[::-1])
        keeping = [partial(door._keep, order) for door, order in zip(doors, orders, strict=True)]
        assert in_threads(*keeping) == [None, None]
        for door in doors:
            door.close()
    assert len(shop.rows(InboxRow)) == 12 * many(15, 200)


def test_codes_of_a_second_receiver_and_the_planning_of_the_first_do_not_cross(shop: Shop) -> None:
    """Both lock rows of many arrivals: the door one at a time, the planner in the order of their ids."""
    channel = shop.channel(text="欢迎")
    for turn in range(many(8, 100)):
        arrivals = [(f"wm{turn}x{number}", f"{turn}x{number}") for number in range(12)]
        for external, code in arrivals:
            shop.post(added(external, State=channel.code, WelcomeCode=f"first{code}"))
        second = [added(external, State=channel.code, WelcomeCode=f"second{code}") for external, code in arrivals]
        events = [arriving(read_event(xml), xml, shop.now()) for xml in reversed(second)]
        door = Intake(shop.parts.front, shop.parts.engine, shop.parts.clock, lambda lane: None)
        dispatcher = shop.parts.dispatcher()
        assert in_threads(partial(door._keep, events), partial(dispatcher.greet, 24)) == [None, None]
        dispatcher.greet(24)
        door.close()
    rows = shop.rows(InboxRow, InboxRow.name.contains("add_"))
    assert {len(one.extra_codes) for one in rows} == {1}
    assert [one.outcome for one in rows if one.outcome] == []
    asked = {one.once for one in shop.rows(OutboxRow, OutboxRow.name == "SendWelcome")}
    assert len(asked) == 2 * len(rows)


def test_a_worker_that_wakes_up_late_writes_nothing(shop: Shop) -> None:
    shop.post(added("wmLate"))
    first, second = shop.parts.dispatcher(), shop.parts.dispatcher()
    (asleep,) = first.claim("events", 5)
    assert second.claim("events", 5) == []
    shop.advance(seconds=LEASE.total_seconds() + 1)
    with shop.db() as db:
        assert inbox.rescue(db, shop.now()) == {"events"}
    (taken,) = second.claim("events", 5)
    assert taken.fence == asleep.fence + 1
    first.handle_one(asleep)
    assert shop.rows(Person) == []
    assert [one.state for one in shop.rows(InboxRow)] == ["taken"]
    second.handle_one(taken)
    first.handle_one(asleep)
    assert len(shop.rows(Person)) == 1
    assert [(one.state, one.fence) for one in shop.rows(InboxRow)] == [("done", taken.fence)]
    assert len(shop.rows(Interaction)) == 1


def test_a_late_failure_does_not_put_a_done_event_back(shop: Shop) -> None:
    shop.post(added("wmLate"))
    dispatcher = shop.parts.dispatcher()
    (taken,) = dispatcher.claim("events", 5)
    with shop.db() as db:
        inbox.postpone(db, replace(taken, fence=taken.fence - 1), "too late", shop.now())
    assert [one.state for one in shop.rows(InboxRow)] == ["taken"]
    dispatcher.handle_one(taken)
    with shop.db() as db:
        inbox.postpone(db, taken, "too late", shop.now())
    assert [one.state for one in shop.rows(InboxRow)] == ["done"]


def test_events_of_one_customer_keep_their_order_over_several_workers(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers, each = many(12, 100), many(6, 20)
    shop.parts.gateway.profile = lambda external: None  # type: ignore[method-assign]
    for turn in range(each):
        for number in range(customers):
            change = "edit_external_contact" if turn else "add_external_contact"
            fields = {"ChangeType": change, "UserID": "lisi", "ExternalUserID": f"wm{number}"}
            shop.post(event_xml(CreateTime=str(1_760_000_000 + turn), **fields))
    lock, running, order = threading.Lock(), set(), defaultdict(list)
    together = []

    def work() -> None:
        dispatcher = shop.parts.dispatcher()
        for _ in range(2000):
            taken = dispatcher.claim("events", 2)
            if not taken and all(one.state == "done" for one in shop.rows(InboxRow)):
                return
            for one in taken:
                key = one.xml.partition("ExternalUserID")[2][:20]
                with lock:
                    if key in running:
                        together.append(one.id)
                    running.add(key)
                    order[key].append(one.id)
                time.sleep(0.001)
                with lock:
                    running.discard(key)
                dispatcher.handle_one(one)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == []
    assert len(order) == customers
    assert all(ids == sorted(ids) and len(ids) == each for ids in order.values())


# --- F7: poison -------------------------------------------------------------------------------------------------------


def poisoned(monkeypatch: pytest.MonkeyPatch, bite: Any) -> None:
    """Every event of a customer called poison meets this step."""

    def step(event: ContactAdded, facts: Any, work: Any) -> None:
        if event.external_userid == "wmPoison":
            bite()

    route = routes.ROUTES[ContactAdded]
    table = {**routes.ROUTES, ContactAdded: replace(route, steps=(*route.steps, step))}
    monkeypatch.setattr(dispatch, "ROUTES", table)


def raise_it() -> None:
    raise ZeroDivisionError("in a step of ours")


def test_an_event_that_breaks_its_step_is_set_aside_after_three_tries_and_can_be_run_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, raise_it)
    for number in range(20):
        shop.post(added("wmPoison" if number == 7 else f"wm{number}"))
    shop.catch_up()
    assert len(shop.rows(Relation, Relation.state == "active")) == 19
    for _ in range(4):
        shop.advance(seconds=6)
        shop.catch_up()
    (aside,) = shop.rows(InboxRow, InboxRow.state == "aside")
    assert (aside.tries, aside.outcome) == (3, "ZeroDivisionError: in a step of ours")
    assert shop.rows(Relation, Relation.external_userid == "wmPoison") == []
    monkeypatch.undo()
    with shop.db() as db:
        assert inbox.replay(db, [aside.id], shop.now()) == 1
    shop.catch_up()
    assert [one.state for one in shop.rows(Relation, Relation.external_userid == "wmPoison")] == ["active"]
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    assert len(shop.rows(Interaction)) == 20


@pytest.mark.parametrize("way", ["hangs", "kills"])
def test_an_event_that_hangs_or_kills_its_worker_is_set_aside_after_three_leases(shop: Shop, way: str) -> None:
    """Whoever took it never comes back. Later events of the same customer wait; all others go on."""
    shop.post(added("wmPoison"))
    shop.post(added("wmPoison", when=1_760_000_100, userid="wangwu"))
    started = shop.clock.now()
    lost = []
    for turn in range(3):
        dispatcher = shop.parts.dispatcher()
        lost += dispatcher.claim("events", 1)
        shop.post(added(f"wmOther{turn}"))
        shop.catch_up()
        assert len(shop.rows(Relation, Relation.state == "active")) == turn + 1
        shop.advance(seconds=LEASE.total_seconds() + 1)
        with shop.db() as db:
            inbox.rescue(db, shop.now())
    shop.catch_up()
    assert len(lost) == 3
    assert shop.clock.now() - started < 120
    (aside,) = shop.rows(InboxRow, InboxRow.state == "aside")
    assert (aside.tries, aside.outcome) == (3, "the worker stopped in the middle of it")
    assert [one.userid for one in shop.rows(Relation, Relation.external_userid == "wmPoison")] == ["wangwu"]
    if way == "hangs":
        shop.parts.dispatcher().handle_one(lost[-1])
        assert len(shop.rows(Relation, Relation.external_userid == "wmPoison")) == 1
    with shop.db() as db:
        assert inbox.replay(db, None, shop.now()) == 1
    shop.catch_up()
    assert len(shop.rows(Relation, Relation.external_userid == "wmPoison")) == 2


def test_wecom_away_for_good_does_not_hold_an_event(shop: Shop) -> None:
    shop.world.faults.not_json = 1.0
    shop.post(added("wmAlone"))
    for _ in range(5):
        shop.catch_up()
        shop.advance(seconds=6)
    (relation,) = shop.rows(Relation)
    assert relation.state == "active"
    (row,) = shop.rows(InboxRow)
    assert row.state == "done"
    assert "without a look at WeCom" in (row.outcome or "")
    shop.world.faults.not_json = 0.0


def test_a_blocked_api_holds_an_event_without_costing_it_a_try(shop: Shop) -> None:
    shop.world.fail_next("externalcontact/get", 45009)
    shop.post(added("wmBlocked"))
    for _ in range(10):
        shop.catch_up()
        shop.advance(seconds=5)
    assert [(one.state, one.tries) for one in shop.rows(InboxRow)] == [("waiting", 0)]
    assert len(shop.world.calls_to("externalcontact/get")) == 1
    shop.advance(seconds=15)
    shop.catch_up()
    assert [one.state for one in shop.rows(InboxRow)] == ["done"]


def test_the_inbox_tells_how_it_stands(shop: Shop) -> None:
    for number in range(3):
        shop.post(added(f"wm{number}"))
    shop.post(event_xml("something_new"))
    with shop.db() as db:
        before = inbox.health(db)
    assert (before.open, before.counts) == (4, {"waiting": 4})
    assert before.oldest_waiting == shop.now()
    shop.catch_up()
    with shop.db() as db:
        after = inbox.health(db)
    assert (after.open, after.counts, after.oldest_waiting) == (0, {"done": 4}, None)
    with transaction(shop.parts.engine) as db:
        assert inbox.rescue(db, shop.now()) == set()

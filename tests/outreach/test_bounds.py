"""What is counted and listed stays bounded in a shop with a million people: by an index, a page, a newest part."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.orm import Session

from outreach import budget, groups, links, planned, results
from outreach.budget import Rules
from outreach.journeys import results as journey_results
from outreach.journeys import waves
from outreach.journeys.definition import EMPTY
from people.access import Sight
from storage.database import open_engine, reading, transaction
from storage.tables import Broadcast, Enrolment, Journey, JourneyVersion, MassTask, StepRun, Touch
from storage.work import Work
from tests.outreach.test_audience import customer, touch
from tests.shop import Shop

NOW = datetime(2026, 11, 20, 3, tzinfo=ZoneInfo("UTC"))
SOME = Sight(everybody=False, userids=frozenset({"lisi"}))
BROADCAST = Broadcast(id=3, approved_at=NOW)
LOOKS: dict[str, Callable[[Session], Any]] = {
    "calendar": lambda db: planned._touches(db, date(2026, 10, 26), date(2026, 12, 6), results.EVERYBODY),
    "calendar of some": lambda db: planned._touches(db, date(2026, 10, 26), date(2026, 12, 6), SOME),
    "list": lambda db: results.progress(db, [BROADCAST], results.EVERYBODY),
    "standing": lambda db: results.standing(db, BROADCAST),
    "standing of some": lambda db: results.standing(db, BROADCAST, SOME),
    "losses": lambda db: results.losses(db, BROADCAST, NOW),
    "customers": lambda db: results.customers(db, BROADCAST, results.EVERYBODY, limit=50, after=7),
    "customers by state": lambda db: results.customers(
        db, BROADCAST, results.EVERYBODY, limit=50, after=7, which={"state": "sent"}
    ),
    "groups": lambda db: groups._full(db, ["wr1"], Rules(), NOW, "broadcast:3"),
    "steps": lambda db: journey_results.way(db, 5, 1),
    "waves": lambda db: waves.due(db, NOW),
    "kf": lambda db: waves.settle_kf(Work(db, NOW, cause="test", watch=(), zone=ZoneInfo("Asia/Shanghai"))),
    "opens": lambda db: links.opens_of(db, "broadcast:3"),
}
BOOKS = ("touch", "step_run", "enrolment", "tracked_link", "mass_task")
"""Tables that grow with every message."""


@pytest.mark.parametrize("look", LOOKS)
def test_no_book_is_read_from_end_to_end_for_a_page(database_url: str, look: str) -> None:
    engine = open_engine(database_url)
    asked: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_line: Connection, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        asked.append((statement, values))

    with transaction(engine) as db:
        db.add(Journey(id=5, name="新客跟进", made_at=NOW, changed_at=NOW))
        db.flush()
        db.add(
            JourneyVersion(journey_id=5, number=1, definition={**EMPTY, "steps": [{"id": "s1", "do": "send"}]}, at=NOW)
        )
    with reading(engine) as db:
        LOOKS[look](db)
        looked, asked = list(asked), []
        if engine.dialect.name == "postgresql":  # an empty table is quicker read without an index
            db.execute(text("SET LOCAL enable_seqscan = off"))
        for statement, values in looked:
            word = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
            plan = [str(one[-1]) for one in db.connection().exec_driver_sql(f"{word} {statement}", values)]
            scans = [one for one in plan for book in BOOKS if f"Seq Scan on {book}" in one or f"SCAN {book}" in one]
            assert not scans, f"{statement}\n{plan}"
    engine.dispose()


def test_pages_of_customers_hold_everybody_once_whatever_their_size(shop: Shop) -> None:
    people = [customer(shop, "lisi") for _ in range(7)]
    for one in reversed(people):
        touch(shop, one, shop.now(), "held" if one % 2 else "sent", source="broadcast:3")
    with shop.db() as db:
        for batch in (1, 2, 3, 50):
            found = [one.touch.person_id for one in results.every_customer(db, BROADCAST, results.EVERYBODY, batch)]
            assert found == people
        page, following = results.customers(
            db, BROADCAST, results.EVERYBODY, limit=2, after=people[2], which={"state": "sent"}
        )
    assert [one.touch.person_id for one in page] == [one for one in people[3:] if not one % 2][:2]
    assert following == (page[-1].touch.person_id if len([one for one in people[3:] if not one % 2]) > 2 else None)


def test_a_day_of_a_journey_is_one_entry_however_many_people_have_a_source_of_their_own(shop: Shop) -> None:
    with shop.db() as db:
        journey = Journey(name="新客跟进", made_at=shop.now(), changed_at=shop.now())
        db.add(journey)
        db.flush()
        number = journey.id
    people = [customer(shop, "lisi") for _ in range(4)]
    for one in people:
        touch(shop, one, shop.now(), "sent", source=f"journey:{number}:v12:s3:kf:e{one * 1000}:1")
        touch(shop, one, shop.now(), "held", source=f"journey:{number}:v12:s4:20261123")
        touch(shop, one, shop.now(), "held", source=f"card:{one}")
        touch(shop, one, shop.now(), "sent", source=f"own:m{one}")
    day = budget.day_of(shop.now())
    with shop.db() as db:
        found = {(one.kind, one.number): one for _, one in planned._touches(db, day, day, results.EVERYBODY)}
    assert {key: (one.coming, one.out) for key, one in found.items()} == {
        ("journey", number): (4, 4),
        ("card", 0): (4, 0),
        ("own", 0): (0, 4),
    }


def test_steps_are_counted_over_the_newest_rounds_only(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey_results, "NEWEST", 3)
    person = customer(shop, "lisi")
    with shop.db() as db:
        journey = Journey(name="新客跟进", made_at=shop.now(), changed_at=shop.now())
        db.add(journey)
        db.flush()
        db.add(
            JourneyVersion(
                journey_id=journey.id,
                number=1,
                definition={**EMPTY, "steps": [{"id": "s1", "do": "send"}]},
                at=shop.now(),
            )
        )
        for number in range(5):
            told = {"since": shop.now(), "began_at": shop.now()}
            one = Enrolment(
                journey_id=journey.id, version=1, person_id=person, entry_key=str(number), state="done", **told
            )
            db.add(one)
            db.flush()
            state = "done" if number < 2 else "skipped"
            db.add(StepRun(enrolment_id=one.id, step="s1", state=state, due_at=shop.now(), since=shop.now()))
        number = journey.id
    with shop.db() as db:
        newest = journey_results.way(db, number, 1)
        monkeypatch.setattr(journey_results, "NEWEST", 5)
        whole = journey_results.way(db, number, 1)
    assert (newest.rounds, newest.is_whole, newest.at["s1"].outcomes) == (3, False, {"skipped": 3})
    assert (whole.rounds, whole.is_whole, whole.at["s1"].outcomes) == (5, True, {"done": 2, "skipped": 3})


def test_a_group_is_full_by_what_it_got_in_this_period_and_by_what_waits_for_its_owner(shop: Shop) -> None:
    now, told = shop.now(), {"audience": "groups", "userid": "lisi", "due_at": shop.now()}

    def task(key: str, state: str, chats: list[str], confirmed_at: datetime | None) -> MassTask:
        reached = chats if confirmed_at else []
        made = MassTask(key=key, source=f"broadcast:{key}", state=state, chat_ids=chats, reached=reached, **told)
        made.confirmed_at = confirmed_at
        return made

    with shop.db() as db:
        db.add_all(
            [
                task("1", "done", ["today"], now),
                task("2", "done", ["yesterday"], now - timedelta(days=1)),
                task("3", "made", ["waits"], None),
                task("4", "cancelled", ["taken back"], None),
                task("5", "done", ["of this broadcast"], now),
            ]
        )
    asked = ["today", "yesterday", "waits", "taken back", "of this broadcast", "new"]
    with shop.db() as db:
        assert groups._full(db, asked, Rules(), now, "broadcast:5") == {"today", "waits"}
        assert groups._full(db, asked[1:], Rules(), now, "broadcast:5") == {"waits"}


def test_a_held_wave_is_found_and_nothing_else(shop: Shop) -> None:
    one, two = (customer(shop, "lisi") for _ in range(2))
    touch(shop, one, shop.now() - timedelta(minutes=1), "held", source="journey:5:v1:s2:20261123")
    touch(shop, one, shop.now() + timedelta(hours=1), "held", source="journey:5:v1:s3:20261124")
    touch(shop, two, shop.now() - timedelta(minutes=1), "held", source="broadcast:3")
    with shop.db() as db:
        assert waves.due(db, shop.now()) == ["journey:5:v1:s2:20261123"]
        assert db.query(Touch).count() == 3

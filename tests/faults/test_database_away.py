"""F8, F9, F26: the database is locked, gone or full. No 200 without a commit, and nothing is lost."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError

from bot.worker import Worker
from soak import many
from storage import inbox
from storage.database import durability, is_away, open_engine, reading
from storage.tables import InboxRow, Interaction, Relation
from tests import databases
from tests.shop import Shop, build_shop, close_shop, event_xml


def added(number: int) -> str:
    fields = {"ChangeType": "add_external_contact", "UserID": "lisi", "ExternalUserID": f"wm{number}"}
    return event_xml(CreateTime="1760000000", **fields)


@pytest.fixture
def on_sqlite(sqlite_url: str) -> Iterator[Shop]:
    shop = build_shop(sqlite_url)
    yield shop
    close_shop(shop)


@pytest.fixture
def on_postgres(postgres_template: str) -> Iterator[Shop]:
    """In a database of its own: whoever is connected to it is cut off."""
    for url in databases.fresh_postgres(postgres_template):
        yield from _open(url)


def _open(url: str) -> Iterator[Shop]:
    shop = build_shop(url)
    yield shop
    close_shop(shop)


@contextmanager
def locked(shop: Shop) -> Iterator[None]:
    """Somebody else holds SQLite's one write lock."""
    other = sqlite3.connect(shop.parts.settings.storage.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def timed(shop: Shop, number: int) -> tuple[int, float]:
    started = time.monotonic()
    return shop.post(added(number)), time.monotonic() - started


def test_a_locked_database_is_503_within_two_seconds_and_works_again_at_once(on_sqlite: Shop) -> None:
    assert timed(on_sqlite, 0)[0] == 200
    with locked(on_sqlite):
        answers = [timed(on_sqlite, 1)]
        threads = [threading.Thread(target=lambda n=n: answers.append(timed(on_sqlite, n))) for n in range(2, 10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert on_sqlite.client.get("/healthz").status_code == 200
    assert {status for status, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < 2
    assert answers[0][1] < 2
    status, seconds = timed(on_sqlite, 1)
    assert (status, seconds < 0.5) == (200, True)
    on_sqlite.catch_up()
    assert {one.external_userid for one in on_sqlite.rows(Relation)} == {"wm0", "wm1"}


def test_a_lock_while_an_event_is_handled_costs_it_no_try(on_sqlite: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    on_sqlite.parts.engine.dispose()
    impatient = open_engine(on_sqlite.parts.settings.storage.url, patience=0.05)
    object.__setattr__(on_sqlite.parts, "engine", impatient)
    on_sqlite.post(added(1))
    dispatcher = on_sqlite.parts.dispatcher()
    (taken,) = dispatcher.claim("events", 1)
    monkeypatch.setattr(on_sqlite.parts.gateway, "profile", lambda external: None)
    real = type(dispatcher)._put_back
    with locked(on_sqlite):
        put_back: list[str] = []
        monkeypatch.setattr(type(dispatcher), "_put_back", lambda self, taken, why, **wait: put_back.append(why))
        dispatcher.handle_one(taken)
    assert put_back == ["the database was away"]
    monkeypatch.setattr(type(dispatcher), "_put_back", real)
    for _ in range(4):
        with on_sqlite.db() as db:
            db.execute(text("UPDATE inbox SET state = 'taken'"))
        dispatcher._put_back(taken, "the database was away", wait=timedelta(seconds=2))
    (row,) = on_sqlite.rows(InboxRow)
    assert (row.state, row.tries) == ("waiting", 0)


def test_a_full_disk_is_503_and_goes_on_when_there_is_room_again(on_sqlite: Shop) -> None:
    """F9: nothing lost, no half rows, the file whole."""
    pages: dict[str, int] = {}

    def bound(connection: sqlite3.Connection, record: object, proxy: object = None) -> None:
        connection.execute(f"PRAGMA max_page_count={pages['most']}")

    engines = (on_sqlite.parts.engine, on_sqlite.parts.front)
    with reading(on_sqlite.parts.engine) as db:
        pages["most"] = db.execute(text("PRAGMA page_count")).scalar_one() + 8
    for engine in engines:
        event.listen(engine, "checkout", bound)
    statuses = [on_sqlite.post(added(number) + " " * 3000) for number in range(60)]
    assert set(statuses) == {200, 503}
    assert statuses[-1] == 503
    kept = statuses.count(200)
    assert len(on_sqlite.rows(InboxRow)) == kept
    away: list[bool] = []
    try:
        on_sqlite.catch_up()
    except SQLAlchemyError as error:
        away.append(is_away(error))
    assert all(away)
    pages["most"] = 1_000_000
    again = [on_sqlite.post(added(number)) for number, status in enumerate(statuses) if status == 503]
    assert set(again) == {200}
    for _ in range(3):
        on_sqlite.advance(seconds=40)
        on_sqlite.tick()
    assert {one.state for one in on_sqlite.rows(InboxRow)} == {"done"}
    assert len(on_sqlite.rows(Relation, Relation.state == "active")) == 60
    assert len(on_sqlite.rows(Interaction)) == 60
    with reading(on_sqlite.parts.engine) as db:
        assert db.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"


def cut_all(shop: Shop) -> int:
    """Every connection of ours to this database ends, whatever it is doing."""
    name = shop.parts.settings.storage.url.rpartition("/")[2]
    with psycopg.connect(databases.SERVER, autocommit=True) as line:
        question = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        return len(line.execute(question, [name]).fetchall())


def test_connections_cut_in_the_middle_lose_and_double_nothing(on_postgres: Shop) -> None:
    """F8 with a worker at work: whoever got no 200 sends again; nobody restarts anything of ours."""
    shop = on_postgres
    shop.parts.gateway.profile = lambda external: None  # type: ignore[method-assign]
    worker = Worker(shop.parts)
    worker.start()
    events, cuts = many(60, 3000), 0
    stop = threading.Event()

    def cut() -> None:
        nonlocal cuts
        while not stop.wait(0.25):
            cuts += bool(cut_all(shop))

    cutter = threading.Thread(target=cut)
    cutter.start()
    refused, slowest = 0, 0.0
    for number in range(events):
        for _ in range(20):
            status, seconds = timed(shop, number)
            slowest = max(slowest, seconds)
            if status == 200:
                break
            refused += 1
            assert status == 503
        time.sleep(0.005)
    stop.set()
    cutter.join()
    started = time.monotonic()
    assert shop.post(added(events)) == 200
    assert time.monotonic() - started < 5
    for _ in range(600):
        if all(one.state == "done" for one in shop.rows(InboxRow)):
            break
        shop.clock.advance(1)
        shop.parts.sender().rescue()
        with shop.db() as db:
            inbox.rescue(db, shop.now())
        worker.wake_all()
        time.sleep(0.05)
    worker.stop()
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    assert len(shop.rows(InboxRow)) == events + 1
    assert len(shop.rows(Relation, Relation.state == "active")) == events + 1
    assert len(shop.rows(Interaction)) == events + 1
    assert slowest < 2
    assert cuts > 0


@pytest.fixture(params=["sqlite", "postgresql"])
def as_served(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database as its server has it, without what tests do to be quicker."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
    else:
        yield from databases.fresh_postgres(request.getfixturevalue("postgres_template"), as_served=True)


def test_a_commit_survives_a_power_cut_on_each_database(as_served: str) -> None:
    """F26: it cannot be shown by killing, so the setting itself is asked."""
    engine = open_engine(as_served)
    try:
        words, enough = durability(engine)
        assert enough, words
        weaker = "PRAGMA synchronous=NORMAL" if engine.dialect.name == "sqlite" else "SET synchronous_commit TO off"
        event.listen(engine, "checkout", lambda connection, *_: connection.execute(weaker))
        words, enough = durability(engine)
        assert not enough, words
        assert words in ("synchronous = 1", "synchronous_commit = off")
    finally:
        engine.dispose()

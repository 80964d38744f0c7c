"""The heart of each benchmark beats, on SQLite and at sizes that say nothing about speed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import broadcast, callback, drain, footprint, importing, ledger, load, segments, shop, sync, welcome
from benchmarks.databases import SQLITE
from benchmarks.shop import Simulator

Stage = tuple[Path, Simulator, str, str]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("benchmarks")
    with shop.simulator(folder) as wecom, shop.opened(SQLITE, folder, wecom) as (url, code):
        yield folder, wecom, url, code


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in (broadcast, callback, drain, segments, sync, welcome):
        monkeypatch.setattr(one, "ROUNDS", 1)
    monkeypatch.setattr(drain, "READY_SECONDS", 0.0)


def test_every_acknowledged_callback_is_a_row(tmp_path: Path) -> None:
    with callback._pair(SQLITE, 1, tmp_path) as pair:
        row, rate = callback._closed(pair, 2, 20)

        assert pair.kept() == "SQLite, 1 web: 70 rows for 70 acknowledgements ✓"
    assert rate > 0
    assert len(row) == len(callback.HEADS)


def test_every_arrival_gets_its_welcome(stage: Stage) -> None:
    folder, wecom, url, code = stage
    with welcome._stage(SQLITE, folder, wecom, url, code, wecom.people(5), backlog=10) as shown:
        phase = welcome._phase(shown, rate=5, seconds=1)

        assert len(welcome._row(shown, "5/s", phase)) == len(welcome.HEADS)
    (waits,) = phase.rounds
    assert len(waits) == 5
    assert all(0 < one < welcome.CODE_LIVES for one in waits)


def test_every_event_is_drained(stage: Stage) -> None:
    folder, wecom, url, _ = stage
    rates = drain._workers(url, folder, wecom, wecom.people(30), 1, [0.0], 20)

    ((ours,), (theirs,)) = rates[0.0]
    assert ours > 0
    assert theirs > 0


def test_every_relation_is_compared(stage: Stage) -> None:
    folder, wecom, url, _ = stage
    rows = sync._rates(SQLITE, folder, url, wecom, 50)

    assert [row[1] for row in rows] == ["everything", "pages alone", "pages alone"]
    assert {len(row) for row in rows} == {len(sync.HEADS)}
    assert sync._weight(SQLITE, folder, url, wecom)[-1] == "✓"


def test_every_segment_is_counted_as_by_hand(tmp_path: Path) -> None:
    with segments._filled(SQLITE, tmp_path, 300, 3_000) as engine:
        assert len(segments._nights(engine, 300)) == len(segments.NIGHT_HEADS) - 1
        rows = [segments._row(SQLITE, engine, asked) for asked in segments.QUESTIONS]

    assert {len(row) for row in rows} == {len(segments.HEADS)}
    assert rows[0][2] == "300"


def test_a_broadcast_is_planned_and_every_receiver_is_in_a_task(tmp_path: Path) -> None:
    with broadcast._filled(SQLITE, tmp_path, 300) as (url, engine):
        row = broadcast._row(SQLITE, url, engine, 300)

    assert len(row) == len(broadcast.HEADS)
    assert row[1] == "300"
    assert 0 < int(row[2]) < 300


def test_awards_and_redemptions_are_kept_and_the_books_hold(tmp_path: Path) -> None:
    with ledger.filled(SQLITE, tmp_path, 20) as url:
        rows = ledger.measured(SQLITE, url, None, (2, 2), ledger.Size(1, 0.3))
        proof = ledger.proved(SQLITE, url)

    assert [row[2] for row in rows] == ["awards", "redemptions"]
    assert {len(row) for row in rows} == {len(ledger.HEADS)}
    assert int(proof[1]) > 20
    assert proof[-1] == "✓"


def test_every_order_of_a_file_comes_in_and_its_rows_are_written_again(tmp_path: Path) -> None:
    row = importing._row(SQLITE, tmp_path, 50)

    assert len(row) == len(importing.HEADS)
    assert row[1] == "50"


def test_the_start_is_measured(stage: Stage) -> None:
    folder, wecom, _, _ = stage

    assert 0 < footprint._migrated(folder, wecom) < 30


def test_a_paced_volley_takes_its_time(stage: Stage) -> None:
    _, wecom, _, _ = stage
    request = load.post("/sandbox/forget_calls", b"{}", "application/json")
    volley = load.fire([wecom.port], [request] * 10, connections=2, rate=50)

    assert volley.statuses == {200: 10}
    assert volley.seconds >= 9 / 50

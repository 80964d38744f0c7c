"""How many orders a second come in out of a file, with their points and their lines in the buyers' stories.

One million orders of a line each, seven to a buyer, in slices: each slice is a CSV that ``bot.importing`` takes in a
process of its own, whose peak of memory is taken. At the end the books of points are proved.

Reference: the very rows that a slice left in all tables, written again into an empty database of the same schema by the
driver alone, five thousand a statement and commit: the floor of what it costs to write them.
"""

import csv
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, cast

from sqlalchemy import Engine, Table, func, select

from benchmarks import databases
from benchmarks.processes import elsewhere
from benchmarks.report import held, ratio, show, spread
from benchmarks.shop import engine_to, write_config
from bot import importing
from bot.settings import load
from handlers.order_files import Shape
from loyalty.ledger import proof
from storage import schema
from storage.database import reading
from storage.tables import (
    Base,
    Evidence,
    Identity,
    Interaction,
    OrderLine,
    Person,
    PointsAccount,
    PointsEntry,
    PointsLot,
    PointsLotNow,
    PointsTxn,
    ShopOrder,
)

SLICES = 5
LEAST, AIM = 0.2, 3_000
EACH = 7
"""Orders of a buyer."""
AT_ONCE = 5_000
START = datetime(2025, 1, 1, tzinfo=UTC)
WRITTEN: tuple[tuple[type[Base], str], ...] = (
    (Person, "id"),
    (Identity, "id"),
    (Evidence, "id"),
    (PointsAccount, "id"),
    (ShopOrder, "id"),
    (OrderLine, "order_id"),
    (PointsTxn, "id"),
    (PointsLot, "id"),
    (PointsEntry, "txn_id"),
    (PointsLotNow, "lot_id"),
    (Interaction, "id"),
)
"""Every table an order leaves rows in, and the column by which new ones are told from old."""
HEADS = ("database", "orders", "a second", f"aim {AIM:,}", "rows a second, bare", "ratio", f"≥ {LEAST}", "peak memory")


@dataclass(frozen=True)
class Slice:
    """One round: orders a second, and what the reference took for the same rows."""

    ours: float
    floor: float
    rows: int
    peak: float


def run(quick: bool) -> None:
    """Measure on every database this machine has."""
    orders = 2_000 if quick else 1_000_000
    print(f"{orders:,} orders of {orders // EACH:,} people in {SLICES} slices\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="scrm-bench-") as name:
        show(HEADS, [_row(kind, Path(name), orders) for kind in databases.kinds()])


def _row(kind: str, folder: Path, orders: int) -> list[str]:
    size = orders // SLICES
    with _fresh(kind, folder) as (url, engine), _fresh(kind, folder) as (_other, floor):
        slices = [_slice(folder, url, (engine, floor), number * size, size) for number in range(SLICES)]
        with reading(engine) as db:
            assert proof.verify(db).holds
            kept = db.scalar(select(func.count()).select_from(ShopOrder))
    if kept != size * SLICES:
        raise SystemExit(f"{kept} orders were kept of {size * SLICES}")
    rates = [size / one.ours for one in slices]
    floors = [size / one.floor for one in slices]
    return [
        kind,
        f"{size * SLICES:,}",
        spread(rates),
        held(median(rates) >= AIM),
        spread([one.rows / one.floor for one in slices]),
        f"{ratio(rates, floors):.2f}",
        held(ratio(rates, floors) >= LEAST),
        f"{max(one.peak for one in slices):.0f} MB",
    ]


@contextmanager
def _fresh(kind: str, folder: Path) -> Iterator[tuple[str, Engine]]:
    with databases.empty(kind, folder) as url:
        schema.migrate(url)
        with engine_to(url) as engine:
            yield url, engine


def _slice(folder: Path, url: str, engines: tuple[Engine, Engine], first: int, size: int) -> Slice:
    engine, floor = engines
    path = folder / "orders.csv"
    _write(path, first, size)
    before = {table: _newest(engine, table, name) for table, name in WRITTEN}
    config = write_config(folder, url, 1, "http://127.0.0.1:1/")
    seconds, peak = elsewhere(_imported, config, path)
    bare, rows = _written_again(engine, floor, before)
    return Slice(seconds, bare, rows, peak)


def _write(path: Path, first: int, size: int) -> None:
    chance = random.Random(first)  # the same file each time, guards nothing  # nosec B311
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["source", "order_no", "paid_at", "amount", "identity_type", "identity_value", "store", "sku"])
        for number in range(first, first + size):
            at = START + timedelta(seconds=30 * number)
            fen = chance.randrange(500, 50_000)
            out.writerow(["pos", f"A{number}", at.isoformat(), f"{fen // 100}.{fen % 100:02d}", "pos:member",
                          f"m{number // EACH}", f"店{number % 40}", f"S{number % 90}"])  # fmt: skip


def _imported(config: Path, path: Path) -> tuple[float, float]:
    """Seconds, and the peak of memory in MB."""
    settings = load(config)
    started = time.monotonic()
    report = importing.import_orders(settings, path, Shape())
    seconds = time.monotonic() - started
    if report.orders["rejected"] or not report.orders["accepted"]:
        raise SystemExit(f"not all orders were taken: {report.as_json()}")
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _newest(engine: Engine, table: type[Base], name: str) -> int:
    with reading(engine) as db:
        return int(db.scalar(select(func.max(getattr(table, name)))) or 0)


def _written_again(engine: Engine, floor: Engine, before: dict[type[Base], int]) -> tuple[float, int]:
    """Seconds it takes to write the same rows, and how many they are; reading them is not counted."""
    seconds, count = 0.0, 0
    for table, name in WRITTEN:
        for portion in _portions(engine, cast(Table, table.__table__), name, before[table]):
            seconds += _insert(floor, cast(Table, table.__table__), portion)
            count += len(portion)
    return seconds, count


def _portions(engine: Engine, table: Table, name: str, after: int) -> Iterator[Sequence[Any]]:
    """New rows as the driver gives them, in the order of their key."""
    key = list(table.primary_key.columns)
    own = select(table).where(table.c[name] > after).order_by(*key)
    text = str(own.compile(engine, compile_kwargs={"literal_binds": True}))
    with closing(engine.raw_connection()) as line, closing(line.cursor()) as cursor:
        cursor.execute(text)
        while rows := cursor.fetchmany(AT_ONCE):
            yield rows
        line.rollback()


def _insert(engine: Engine, table: Table, rows: Sequence[Any]) -> float:
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    names = [one.name for one in table.columns]
    text = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"
    plain = [tuple(map(_plain, row)) for row in rows] if engine.dialect.name != "sqlite" else rows
    with closing(engine.raw_connection()) as line, closing(line.cursor()) as cursor:
        started = time.monotonic()
        if engine.dialect.name == "sqlite":
            cursor.execute("BEGIN IMMEDIATE")
        cursor.executemany(text, plain)
        line.commit() if engine.dialect.name != "sqlite" else cursor.execute("COMMIT")
        return time.monotonic() - started


def _plain(value: Any) -> Any:
    """JSON goes in as the text it came out of."""
    from psycopg.types.json import Json

    return Json(value) if isinstance(value, dict | list) else value

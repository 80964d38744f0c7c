"""Orders and refunds out of a file: its columns, its rows put together to orders, in the order in which they were paid.

A file can hold a million orders whose lines lie anywhere in it: rows go to a temporary database on disk first and come
out sorted, so that no more than one portion is in memory. Columns are those of docs/orders.md, or renamed (``Shape``).
"""

import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from handlers.row_files import Columns, Shape, columns
from people import orders
from people.orders import Bad, GivenOrder, GivenRefund
from storage import long_sheets
from storage.tables import Refund

COLUMNS = (
    "source", "order_no", "paid_at", "amount", "identity_type", "identity_value", "identity_verified", "store", "staff",
    "sku", "name", "category", "quantity", "kind", "refund_no", "currency",
)  # fmt: skip
NEEDED = ("source", "order_no", "paid_at", "amount")
ONE_FOR_ALL = ("paid_at", "identity_type", "identity_value", "identity_verified", "store", "staff", "currency")
"""What the rows of one order must agree about."""
KINDS: Mapping[str, str] = MappingProxyType(
    {"": "order", "order": "order", "订单": "order", "refund": "refund", "退款": "refund"}
)
YES: Mapping[str, bool] = MappingProxyType(
    {"true": True, "1": True, "是": True, "false": False, "0": False, "否": False}
)
ORDER, REFUND = "order", "refund"
STAGED = """
CREATE TABLE staged (number INTEGER PRIMARY KEY, kind TEXT, source TEXT, name TEXT, at TEXT, row TEXT);
CREATE TABLE refused (number INTEGER PRIMARY KEY, reason TEXT);
"""


@dataclass(frozen=True)
class Read:
    """One order or refund of the file: what it says, or why it cannot be taken, and the rows it stands in."""

    rows: Sequence[int]
    """Line numbers as a spreadsheet shows them: the head is 1."""
    given: GivenOrder | GivenRefund | None
    trouble: str = ""


AS_JSON = json.JSONEncoder(ensure_ascii=False).encode


class OrderFile:
    """A file of orders, staged on disk. Use as a context."""

    def __init__(self, path: Path, shape: Shape, zone: ZoneInfo, now: datetime) -> None:
        self._path, self._shape, self._zone, self._now = path, shape, zone, now
        self.head: list[str] = []
        self._own = Columns({}, (), {})
        self.unused: list[str] = []
        """Columns of the file that are not read."""
        self.rows = 0
        self._alike: Counter[str] = Counter()
        self._folder = tempfile.TemporaryDirectory(prefix="scrm-import-")
        self._staged = sqlite3.connect(f"{self._folder.name}/rows.db")
        self._staged.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {STAGED}")

    def __enter__(self) -> "OrderFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._staged.close()
        self._folder.cleanup()

    # --- in ---

    def stage(self) -> None:
        """Read the whole file. Raises ``BadSheet`` when it is no such file or a column is missing."""
        found = long_sheets.rows(self._path)
        self.head = next(found, [])
        self._own = columns(self.head, COLUMNS, NEEDED, self._shape)
        self.unused = list(self._own.unused)
        with self._staged:
            self._staged.executemany("INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?)", self._cells(found))
            self._staged.execute("CREATE INDEX by_name ON staged (kind, source, name)")

    def _cells(self, found: Iterable[list[str]]) -> Iterator[tuple[Any, ...]]:
        for number, row in enumerate(found, start=2):
            if not any(row):
                continue
            self.rows += 1
            cells = self._own.cells(row)
            kind = KINDS.get(cells.get("kind", "").strip().lower(), "?")
            at = self._sortable(cells.get("paid_at", ""))
            name = self._refund_no(cells, at) if kind == REFUND else cells.get("order_no", "")
            yield number, kind, cells.get("source", ""), name, at, AS_JSON(row)

    def _refund_no(self, cells: Mapping[str, str], at: str) -> str:
        """A refund without a number of its own is told apart by what it names and when it was.

        One that names no order either: by whose it is, when, and its place among those alike, the same in each run.
        """
        if given := cells.get("refund_no"):
            return given
        stamp = at[:16].replace("-", "").replace(":", "")
        if order_no := cells.get("order_no"):
            return f"{order_no}@{stamp}"
        name = f"{cells.get('identity_value', '')[:40]}@{stamp}"
        self._alike[name] += 1
        return name if self._alike[name] == 1 else f"{name}#{self._alike[name]}"

    def _sortable(self, text: str) -> str:
        """A time in UTC that sorts as text; what is none stays as it is, to be refused later."""
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return text
        return (at if at.tzinfo else at.replace(tzinfo=self._zone)).astimezone(UTC).isoformat(timespec="seconds")

    # --- out ---

    def count(self, kind: str) -> int:
        """How many orders or refunds there are."""
        own = "SELECT count(*) FROM (SELECT 1 FROM staged WHERE kind = ? GROUP BY source, name)"
        return int(self._staged.execute(own, (kind,)).fetchone()[0])

    def names(self, refund: Refund) -> bool:
        """Whether this refund stands in the file."""
        return self._has(REFUND, refund.source, refund.refund_no)

    def concerns(self, refund: Refund) -> bool:
        """Whether this refund, or the order that it names, stands in the file."""
        return self.names(refund) or self._has(ORDER, refund.source, refund.order_no or "")

    def _has(self, kind: str, source: str, name: str) -> bool:
        own = "SELECT 1 FROM staged WHERE kind = ? AND source = ? AND name = ? LIMIT 1"
        return self._staged.execute(own, (kind, source, name)).fetchone() is not None

    def sources(self) -> list[str]:
        """Whose orders and refunds they are."""
        return [one for (one,) in self._staged.execute("SELECT DISTINCT source FROM staged ORDER BY source")]

    def read(self, kind: str) -> Iterator[Read]:
        """The orders, or the refunds, in the order of their times."""
        own = (
            "SELECT name, json_group_array(json_array(number, json(row))) FROM staged WHERE kind = ? "
            "GROUP BY source, name ORDER BY min(at), min(number)"
        )
        with closing(self._staged.execute(own, (kind,))) as found:
            for name, told in found:
                rows = [(number, self._own.cells(row)) for number, row in sorted(json.loads(told))]
                yield self._one(kind, name, rows)

    def strange(self) -> Iterator[Read]:
        """Rows that are neither."""
        for number, row in self._staged.execute("SELECT number, row FROM staged WHERE kind = '?' ORDER BY number"):
            kind = self._own.cells(json.loads(row))["kind"]
            yield Read([number], None, f"kind: {kind[:20]!r} is neither order nor refund")

    # --- refused ---

    def refuse(self, numbers: Iterable[int], reason: str) -> None:
        """Note why these rows are not taken."""
        rows = ((number, reason) for number in numbers)
        self._staged.executemany("INSERT OR REPLACE INTO refused VALUES (?, ?)", rows)

    def refused(self) -> Iterator[tuple[int, list[str], str]]:
        """The rows that are not taken, as they stand in the file and in its order: number, cells, why."""
        own = "SELECT number, row, reason FROM refused JOIN staged USING (number) ORDER BY number"
        for number, row, reason in self._staged.execute(own):
            yield number, json.loads(row), reason

    def _one(self, kind: str, name: str, rows: Sequence[tuple[int, dict[str, str]]]) -> Read:
        numbers = [number for number, _ in rows]
        made = _order if kind == ORDER else _refund
        try:
            return Read(numbers, made(name, [cells for _, cells in rows], self._now, self._zone))
        except Bad as error:
            return Read(numbers, None, str(error))


def _order(name: str, rows: Sequence[Mapping[str, str]], now: datetime, zone: ZoneInfo) -> GivenOrder:
    first = rows[0]
    named = [one for one in rows if any(one.get(name) for name in ("sku", "name", "category", "quantity"))]
    told = {
        **_same(rows),
        "order_no": name,
        "paid_at": first["paid_at"],
        "store": first.get("store", ""),
        "staff": first.get("staff", ""),
        "amount": orders.yuan(sum(orders.fen(one["amount"], "amount") for one in rows)),
        "lines": [_line(one) for one in named],
    }
    return orders.read_order(told, now, zone)


def _refund(name: str, rows: Sequence[Mapping[str, str]], now: datetime, zone: ZoneInfo) -> GivenRefund:
    first = rows[0]
    told = {
        **_same(rows),
        "refund_no": name,
        "order_no": first.get("order_no") or None,
        "refunded_at": first["paid_at"],
        "amount": orders.yuan(sum(orders.fen(one["amount"].removeprefix("-"), "amount") for one in rows)),
    }
    return orders.read_refund(told, now, zone)


def _same(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What all rows of an order say alike. Raises ``Bad``."""
    first = rows[0]
    for name in ONE_FOR_ALL:
        if any(one.get(name, "") != first.get(name, "") for one in rows[1:]):
            raise Bad(f"{name}: the rows of {first.get('order_no')} do not agree")
    told: dict[str, Any] = {"source": first["source"], "currency": first.get("currency") or orders.CURRENCY}
    if first.get("identity_value"):
        told["identity"] = {"type": first.get("identity_type", ""), "value": first["identity_value"]}
        if said := first.get("identity_verified"):
            if said.lower() not in YES:
                raise Bad("identity_verified: true or false")
            told["identity"]["verified"] = YES[said.lower()]
    return told


def _line(one: Mapping[str, str]) -> dict[str, str]:
    told = {name: one.get(name, "") for name in ("sku", "name", "category")}
    return {**told, "quantity": one.get("quantity") or "1", "amount": one["amount"]}

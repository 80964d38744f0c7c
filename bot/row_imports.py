"""``scrm import customers|points|events``: files with one thing a row, portion by portion, and what became of the rows.

Each portion is kept whole; the same file again changes nothing. Rows that cannot be taken stand with the reason in
``FILE.rejected.csv``. A dry run does everything in books that are thrown away.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine
from tqdm import tqdm

from bot.listings import Listing
from bot.seldom import seldom_collecting
from bot.settings import Settings
from handlers import behaviour, customer_rows, event_rows, points_rows
from handlers.customer_rows import Storm
from handlers.orders import Taken
from handlers.row_files import Row, RowFile, Shape
from people.orders import Bad
from storage import audit
from storage.database import opened, plan_anew, transaction, tried_out, utc_now
from storage.tables import Approval
from storage.work import Work

PORTION = 500
EXAMPLES = 5


@dataclass(frozen=True)
class Kind:
    """What is read out of a row, and how some hundred of them are taken."""

    name: str
    columns: Sequence[str]
    needed: Sequence[str]
    read: Callable[[Mapping[str, str], datetime, ZoneInfo], Any]
    take: Callable[[Work, Mapping[int, Any]], Taken]


CUSTOMERS = Kind(
    "customers", customer_rows.COLUMNS, customer_rows.NEEDED, customer_rows.read_customer, customer_rows.take_customers
)
EVENTS = Kind("events", event_rows.COLUMNS, event_rows.NEEDED, event_rows.read_event, behaviour.take_events)


def points(take: Callable[[Work, Mapping[int, Any]], Taken]) -> Kind:
    """Points, taken in one of the ways of ``points_rows``."""
    return Kind("points", points_rows.COLUMNS, points_rows.NEEDED, points_rows.read_points, take)


@dataclass
class Report:
    """What became of a file."""

    what: str
    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """accepted, duplicate, rejected."""
    unused: Sequence[str] = ()
    rejected_file: Path | None = None
    examples: list[str] = field(default_factory=list)
    approvals: list[tuple[int, str, int]] = field(default_factory=list)
    """Of balances to be awarded: id, state, points."""
    stopped: str = ""
    """Why it did not go on to the end."""
    dry: bool = False

    def as_json(self) -> dict[str, Any]:
        """One document."""
        return {
            "what": self.what,
            "dry": self.dry,
            "rows": self.rows,
            **{one: self.counts[one] for one in ("accepted", "duplicate", "rejected")},
            "columns_not_used": list(self.unused),
            "rejected_file": str(self.rejected_file) if self.rejected_file else None,
            "approvals": [{"id": f"a_{one}", "state": state, "points": n} for one, state, n in self.approvals],
            "stopped": self.stopped or None,
        }

    def as_text(self) -> str:
        """The report as lines."""
        said = ", ".join(f"{self.counts[one]:,} {words}" for one, words in WORDS.items() if self.counts[one])
        lines = [f"{self.rows:,} rows" + (" (dry run: nothing was kept)" if self.dry else "")]
        lines.append(f"{self.what}: {said or 'none'}")
        lines += [f"approval a_{one}: {n:,} points, {state}" for one, state, n in self.approvals]
        lines += [f"columns not used: {', '.join(self.unused)}"] if self.unused else []
        lines += [f"  {one}" for one in self.examples]
        lines += [f"rows that were not taken: {self.rejected_file}"] if self.rejected_file else []
        return "\n".join([*lines, *([f"stopped: {self.stopped}"] if self.stopped else [])])


WORDS = {"accepted": "new", "duplicate": "known already", "rejected": "not taken"}


@seldom_collecting()
def import_rows(settings: Settings, path: Path, shape: Shape, kind: Kind, *, dry: bool = False) -> Report:
    """Take a file. Raises ``BadSheet``, ``OSError`` and what ``kind.take`` raises for a whole file."""
    url = settings.storage.url
    with tried_out(url) if dry else opened(url) as books:
        return _import(books, settings, path, shape, kind, dry)


def _import(books: Engine | Connection, settings: Settings, path: Path, shape: Shape, kind: Kind, dry: bool) -> Report:
    file = RowFile(path, kind.columns, kind.needed, shape)
    report = Report(kind.name, unused=file.columns.unused, dry=dry)
    with Listing(path, "rejected", [*file.head, "error"]) as refused:
        for portion in _portions(file, kind):
            report.rows += len(portion)
            try:
                _take(books, settings, kind, portion, report, refused)
            except Storm as why:
                report.stopped = f"rows {portion[0].number} to {portion[-1].number} were not taken: {why}"
                break
    report.rejected_file = refused.written
    with transaction(books) as db:
        details = {"rows": report.rows, **report.counts}
        audit.note(db, actor="command line", action=f"import.{kind.name}", details=details, at=utc_now())
    return report


def _portions(file: RowFile, kind: Kind) -> Iterator[list[Row]]:
    with tqdm(unit="row", desc=kind.name, disable=None, leave=False, file=sys.stderr) as bar:
        found = file.rows()
        while portion := list(islice(found, PORTION)):
            yield portion
            bar.update(len(portion))


def _take(
    books: Engine | Connection,
    settings: Settings,
    kind: Kind,
    portion: Sequence[Row],
    report: Report,
    refused: Listing,
) -> None:
    now, zone = utc_now(), settings.timezone
    good, why = dict[int, Any](), dict[int, str]()
    for place, row in enumerate(portion):
        try:
            good[place] = kind.read(row.cells, now, zone)
        except Bad as error:
            why[place] = str(error)
    with transaction(books) as db:
        plan_anew(db, -(-report.rows // PORTION))
        work = Work(db, now, cause="import", zone=zone, pending_days=settings.points.pending_days)
        taken = kind.take(work, good)
    why |= taken.rejected
    report.counts.update(accepted=len(taken.accepted), duplicate=len(taken.duplicate), rejected=len(why))
    told = sorted(why.items())
    report.examples += [f"row {portion[n].number}: {words}" for n, words in told][: EXAMPLES - len(report.examples)]
    refused.add([*portion[n].whole, words] for n, words in told)


def import_balances(
    settings: Settings, path: Path, shape: Shape, *, day: date | None = None, reason: str = "", dry: bool = False
) -> Report:
    """Take a file of balances: noted as of a day (taking over), or asked for as awards of many."""
    balances = points_rows.Balances(day)
    report = import_rows(settings, path, shape, points(balances.take), dry=dry)
    if day is None and not dry and balances.awards:
        with opened(settings.storage.url) as engine, transaction(engine) as db:
            work = Work(db, utc_now(), cause="import", zone=settings.timezone)
            report.approvals = [_told(one) for one in balances.ask(work, reason or f"期初积分：{path.name}")]
    return report


def _told(one: Approval) -> tuple[int, str, int]:
    return one.id, one.state, one.size

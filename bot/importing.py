"""``scrm import orders``: a file of orders and refunds into the books, portion by portion, and what became of its rows.

Each portion is kept whole; after a crash the same command goes on, for what was taken before changes nothing. Rows that
cannot be taken stand with the reason in ``FILE.rejected.csv``, refunds without an order in ``FILE.parked.csv``.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from tqdm import tqdm

from bot.listings import Listing
from bot.settings import Settings
from handlers import orders as road
from handlers.order_files import ORDER, REFUND, OrderFile, Read
from handlers.row_files import Shape
from people import guards, orders
from people.orders import GivenOrder, GivenRefund
from storage.database import open_engine, past_crossings, transaction, utc_now
from storage.tables import Refund, ShopOrder
from storage.work import Work

PORTION = 500
LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)


class Storm(ValueError):
    """A portion would have made one of too many people; it was not kept, those before it were."""


@dataclass
class Report:
    """What became of a file."""

    rows: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    """accepted, duplicate, rejected."""
    refunds: Counter[str] = field(default_factory=Counter)
    """The same, and matched and unmatched (those without an order)."""
    points: int = 0
    taken_back: int = 0
    unused: Sequence[str] = ()
    rejected_file: Path | None = None
    parked_file: Path | None = None
    examples: list[str] = field(default_factory=list)
    """The first reasons for which rows were not taken."""
    dry: bool = False

    def as_json(self) -> dict[str, Any]:
        """One document."""
        files = {"rejected_file": self.rejected_file, "parked_file": self.parked_file}
        return {
            "dry": self.dry,
            "rows": self.rows,
            "orders": dict(self.orders),
            "refunds": dict(self.refunds),
            "points_earned": self.points,
            "points_taken_back": self.taken_back,
            "columns_not_used": list(self.unused),
            **{name: str(path) if path else None for name, path in files.items()},
        }


@dataclass
class Job:
    """One run over a file."""

    settings: Settings
    engine: Engine
    file: OrderFile
    report: Report
    dry: bool

    def portions(self, kind: str) -> Iterator[list[Read]]:
        """Portions of the file with a bar over them; rows that say nothing sensible are refused on the way."""
        bar = tqdm(total=self.file.count(kind), unit=kind, desc=f"{kind}s", disable=None, leave=False, file=sys.stderr)
        with bar:
            found = self.file.read(kind)
            while portion := list(islice(found, PORTION)):
                yield portion
                bar.update(len(portion))

    def may_match(self, refund: Refund) -> bool:
        """The rule is for refunds that name no order, and for those of this very file."""
        return refund.state == orders.PARKED or self.file.names(refund)

    def work(self, db: Any) -> Work:
        """A piece of work of the command line."""
        own = self.settings
        return Work(db, utc_now(), cause="import", zone=own.timezone, pending_days=own.points.pending_days)


def import_orders(
    settings: Settings, path: Path, shape: Shape, *, dry: bool = False, match: str | None = None
) -> Report:
    """Take a file of orders and refunds. Raises ``BadSheet``, ``OSError`` and ``Storm``."""
    engine = open_engine(settings.storage.url)
    report = Report(dry=dry)
    try:
        with OrderFile(path, shape, settings.timezone, utc_now()) as file:
            file.stage()
            report.rows, report.unused = file.rows, file.unused
            job = Job(settings, engine, file, report, dry)
            with Listing(path, "rejected", [*file.head, "error"]) as refused:
                _refuse(job, refused, {tuple(one.rows): one.trouble for one in file.strange()})
                _take(job, ORDER, refused, report.orders)
                _take(job, REFUND, refused, report.refunds)
            report.rejected_file = refused.written
            if not dry:
                _match(job, path, match)
    finally:
        engine.dispose()
    return report


EXAMPLES = 5


def _refuse(job: Job, refused: Listing, why: Mapping[tuple[int, ...], str]) -> None:
    """List rows, by their numbers, and why they were not taken."""
    for numbers, reason in why.items():
        if len(job.report.examples) < EXAMPLES:
            job.report.examples.append(f"row {numbers[0]}: {reason}")
        refused.add([*cells, reason] for cells in job.file.cells(numbers))


def _take(job: Job, kind: str, refused: Listing, counts: Counter[str]) -> None:
    for portion in job.portions(kind):
        good = {number: one.given for number, one in enumerate(portion) if one.given is not None}
        taken = _look(job, kind, good) if job.dry else _keep(job, kind, good)
        why = {number: one.trouble for number, one in enumerate(portion) if one.given is None} | taken.rejected
        _refuse(job, refused, {tuple(portion[number].rows): reason for number, reason in sorted(why.items())})
        counts.update(accepted=len(taken.accepted), duplicate=len(taken.duplicate), rejected=len(why))
        if kind == ORDER:
            job.report.points += taken.points
        else:
            job.report.taken_back += taken.points


def _keep(job: Job, kind: str, good: Mapping[int, GivenOrder | GivenRefund]) -> road.Taken:
    return past_crossings(lambda: _keep_once(job, kind, good))


def _keep_once(job: Job, kind: str, good: Mapping[int, GivenOrder | GivenRefund]) -> road.Taken:
    take: Any = road.take_orders if kind == ORDER else road.take_refunds
    with transaction(job.engine) as db:
        work = job.work(db)
        taken: road.Taken = take(work, good)
        if (why := guards.storm(work, len(good))) is not None:
            raise Storm(why)
    return taken


def _look(job: Job, kind: str, good: Mapping[int, GivenOrder | GivenRefund]) -> road.Taken:
    """What would become of a portion: which are new. Nothing is kept."""
    with transaction(job.engine) as db:
        found = orders.sort_out(db, ShopOrder if kind == ORDER else Refund, good)
    return road.Taken(list(found.new), found.duplicate, found.rejected)


def _match(job: Job, path: Path, rule: str | None) -> None:
    """Find the orders of refunds that have none, by a rule if one is given; the rest is listed."""
    head = ["source", "refund_no", "order_no", "refunded_at", "amount", "identity_value", "why"]
    with Listing(path, "parked", head) as rest:
        for source in job.file.sources():
            for portion in _undone(job, source, rule):
                left = [one for one, taken in portion if taken is None]
                rest.add(_told(one, rule) for one in left)
                job.report.taken_back += sum(taken or 0 for _, taken in portion)
                job.report.refunds.update(matched=len(portion) - len(left), unmatched=len(left))
    job.report.parked_file = rest.written


def _undone(job: Job, source: str, rule: str | None) -> Iterator[list[tuple[Refund, int | None]]]:
    after = (LONG_AGO, 0)
    bar = tqdm(unit="refund", desc="matching", disable=None, leave=False, file=sys.stderr)
    while True:
        with transaction(job.engine) as db:
            found = road.match_refunds(job.work(db), source, rule, after, PORTION, job.may_match)
        if not found:
            bar.close()
            return
        bar.update(len(found))
        yield found
        after = (found[-1][0].refunded_at, found[-1][0].id)


def _told(one: Refund, rule: str | None) -> tuple[str, ...]:
    at, amount = one.refunded_at.isoformat(timespec="seconds"), orders.yuan(one.amount)
    why = "names no order" if one.order_no is None else f"order {one.order_no} has not come"
    why += f"; no order by the rule {rule}" if rule else ""
    return one.source, one.refund_no, one.order_no or "", at, amount, one.identity_value or "", why


def as_text(report: Report) -> str:
    """The report as lines."""
    lines = [f"{report.rows:,} rows" + (" (dry run: nothing was kept)" if report.dry else "")]
    for name, counts in (("orders", report.orders), ("refunds", report.refunds)):
        said = ", ".join(f"{counts[what]:,} {word}" for what, word in WORDS.items() if counts[what])
        lines.append(f"{name}: {said or 'none'}")
    if report.points or report.taken_back:
        lines.append(f"points: {report.points:,} earned, {report.taken_back:,} taken back")
    if report.unused:
        lines.append(f"columns not used: {', '.join(report.unused)}")
    lines += [f"  {one}" for one in report.examples]
    files = {"rows that were not taken": report.rejected_file, "refunds without an order": report.parked_file}
    lines += [f"{what}: {path}" for what, path in files.items() if path is not None]
    return "\n".join(lines)


WORDS = {
    "accepted": "new",
    "duplicate": "known already",
    "rejected": "not taken",
    "matched": "matched to an order by the rule",
    "unmatched": "without an order",
}

"""``scrm import orders``: a file of orders and refunds into the books, portion by portion, and what became of its rows.

Each portion is kept whole; after a crash the same command goes on, for what was taken before changes nothing. Rows that
cannot be taken stand with the reason in ``FILE.rejected.csv``, refunds that had no effect yet in ``FILE.parked.csv``.
A dry run does all of it in books that are thrown away.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, func, select
from tqdm import tqdm

from bot.listings import Listing
from bot.seldom import seldom_collecting
from bot.settings import Settings
from handlers import orders as road
from handlers.order_files import ORDER, REFUND, OrderFile, Read
from handlers.row_files import Shape
from people import guards, orders
from people.orders import GivenOrder, GivenRefund
from storage.database import opened, past_crossings, plan_anew, transaction, tried_out, utc_now
from storage.tables import Person, Refund
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
    """accepted, of these nobodys, duplicate, rejected."""
    refunds: Counter[str] = field(default_factory=Counter)
    """The same; of those that had come before an order of the file: came (in effect now), contested, aside (more than
    the order); of all: matched by the rule; of the file's: unmatched (without an order)."""
    people: int = 0
    """Customers that were made: nobody was known by what the file says."""
    points: int = 0
    taken_back: int = 0
    """By refunds of the file, by those that had waited for its orders, and by those that were matched."""
    unused: Sequence[str] = ()
    rejected_file: Path | None = None
    parked_file: Path | None = None
    examples: list[str] = field(default_factory=list)
    """The first reasons for which rows were not taken."""
    dry: bool = False

    @property
    def rejected(self) -> int:
        """How many orders and refunds were not taken."""
        return self.orders["rejected"] + self.refunds["rejected"]

    def as_json(self) -> dict[str, Any]:
        """One document."""
        files = {"rejected_file": self.rejected_file, "parked_file": self.parked_file}
        return {
            "dry": self.dry,
            "rows": self.rows,
            "orders": dict(self.orders),
            "refunds": dict(self.refunds),
            "customers_new": self.people,
            "points_earned": self.points,
            "points_taken_back": self.taken_back,
            "columns_not_used": list(self.unused),
            **{name: str(path) if path else None for name, path in files.items()},
        }


@dataclass
class Job:
    """One run over a file."""

    settings: Settings
    books: Engine | Connection
    file: OrderFile
    report: Report

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


@seldom_collecting()
def import_orders(
    settings: Settings, path: Path, shape: Shape, *, dry: bool = False, match: str | None = None
) -> Report:
    """Take a file of orders and refunds; ``dry``: all of it, and nothing is kept.

    Raises ``BadSheet``, ``OSError`` and ``Storm``.
    """
    report = Report(dry=dry)
    with OrderFile(path, shape, settings.timezone, utc_now()) as file:
        file.stage()
        report.rows, report.unused = file.rows, file.unused
        with tried_out(settings.storage.url) if dry else opened(settings.storage.url) as books:
            try:
                _take_all(Job(settings, books, file, report), path, match)
            finally:
                _list_refused(file, path, report)
    return report


def _take_all(job: Job, path: Path, match: str | None) -> None:
    for one in job.file.strange():
        job.file.refuse(one.rows, one.trouble)
        job.report.orders["rejected"] += 1
    _take(job, ORDER, job.report.orders)
    _take(job, REFUND, job.report.refunds)
    _match(job, path, match)


EXAMPLES = 5


def _list_refused(file: OrderFile, path: Path, report: Report) -> None:
    """Rows that were not taken, as they stand in the file, each with the reason."""
    with Listing(path, "rejected", [*file.head, "error"]) as refused:
        refused.add([*cells, reason] for _, cells, reason in file.refused())
    report.rejected_file = refused.written
    report.examples = [f"row {number}: {reason}" for number, _, reason in islice(file.refused(), EXAMPLES)]


def _take(job: Job, kind: str, counts: Counter[str]) -> None:
    report = job.report
    for place, portion in enumerate(job.portions(kind), start=1):
        good = {number: one.given for number, one in enumerate(portion) if one.given is not None}
        taken, new = past_crossings(partial(_keep, job, kind, good, place))
        report.people += new
        report.orders.update(nobodys=taken.nobodys)
        why = {number: one.trouble for number, one in enumerate(portion) if one.given is None} | taken.rejected
        for number, reason in why.items():
            job.file.refuse(portion[number].rows, reason)
        counts.update(accepted=len(taken.accepted), duplicate=len(taken.duplicate), rejected=len(why))
        report.refunds.update({AHEAD[state]: n for state, n in taken.ahead.items() if state in AHEAD})
        report.points += taken.points if kind == ORDER else 0
        report.taken_back += taken.taken_back if kind == ORDER else taken.points


AHEAD = {orders.DONE: "came", orders.CONTESTED: "contested"}
"""Refunds that had come before their orders, as they are counted; too large ones are counted with what is left."""


def _keep(job: Job, kind: str, good: Mapping[int, GivenOrder | GivenRefund], place: int) -> tuple[road.Taken, int]:
    """What became of a portion, and how many customers were made for it."""
    take: Any = road.take_orders if kind == ORDER else road.take_refunds
    with transaction(job.books) as db:
        plan_anew(db, place)
        newest = db.scalar(select(func.max(Person.id))) or 0
        work = job.work(db)
        taken: road.Taken = take(work, good)
        if (why := guards.storm(work, len(good))) is not None:
            raise Storm(why)
    return taken, sum(one > newest for one in taken.people)


def _match(job: Job, path: Path, rule: str | None) -> None:
    """Find the orders of refunds that have none, by a rule if one is given.

    Those of the file that had no effect are listed, and those that are more than an order of it, as rows that can be
    taken in when somebody has written the order's number into them.
    """
    with Listing(path, "parked", PARKED_HEAD) as rest:
        for source in job.file.sources():
            for portion in _undone(job, source, rule):
                left = [one for one, taken in portion if taken is None and job.file.concerns(one)]
                rest.add(_told(one, rule, job.settings.timezone) for one in left)
                job.report.taken_back += sum(taken or 0 for _, taken in portion)
                aside = sum(one.state == orders.ASIDE for one in left)
                job.report.refunds.update(matched=sum(taken is not None for _, taken in portion))
                job.report.refunds.update(aside=aside, unmatched=len(left) - aside)
    job.report.parked_file = rest.written


def _undone(job: Job, source: str, rule: str | None) -> Iterator[list[tuple[Refund, int | None]]]:
    after = (LONG_AGO, 0)
    bar = tqdm(unit="refund", desc="matching", disable=None, leave=False, file=sys.stderr)
    while True:
        with transaction(job.books) as db:
            found = road.match_refunds(job.work(db), source, rule, after, PORTION, job.may_match)
        if not found:
            bar.close()
            return
        bar.update(len(found))
        yield found
        after = (found[-1][0].refunded_at, found[-1][0].id)


PARKED_HEAD = (
    "source", "refund_no", "order_no", "kind", "paid_at", "amount", "identity_type", "identity_value", "why",
)  # fmt: skip


def _told(one: Refund, rule: str | None, zone: ZoneInfo) -> tuple[str, ...]:
    if one.state == orders.ASIDE:
        why = one.because
    else:
        why = "names no order" if one.order_no is None else f"order {one.order_no} has not come"
        why += f"; no order by the rule {rule}" if rule else ""
    at, amount = one.refunded_at.astimezone(zone).isoformat(" "), orders.yuan(one.amount)
    whose = one.identity_type or "", one.identity_value or ""
    return one.source, one.refund_no, one.order_no or "", "refund", at, amount, *whose, why


def as_text(report: Report) -> str:
    """The report as lines."""
    lines = [f"{report.rows:,} rows" + (" (dry run: nothing was kept)" if report.dry else "")]
    for name, counts in (("orders", report.orders), ("refunds", report.refunds)):
        said = ", ".join(f"{counts[what]:,} {word}" for what, word in WORDS.items() if counts[what])
        lines.append(f"{name}: {said or 'none'}")
    if report.people:
        lines.append(f"customers: {report.people:,} new")
    if report.orders["accepted"] or report.points or report.taken_back:
        lines.append(f"points: {report.points:,} earned, {report.taken_back:,} taken back")
    if report.unused:
        lines.append(f"columns not used: {', '.join(report.unused)}")
    lines += [f"  {one}" for one in report.examples]
    files = {"rows that were not taken": report.rejected_file, "refunds without effect yet": report.parked_file}
    lines += [f"{what}: {path}" for what, path in files.items() if path is not None]
    return "\n".join(lines)


WORDS = {
    "accepted": "new",
    "nobodys": "of these nobody's",
    "duplicate": "known already",
    "rejected": "not taken",
    "came": "from before, in effect now that their orders came",
    "contested": "from before, on another order than theirs that came (see 待处理退款)",
    "matched": "matched to an order by the rule",
    "unmatched": "without an order",
    "aside": "more than the order they name",
}

"""``scrm liability``: the report of the points liability as tables, as one document, and its journal as a CSV."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.commands import table
from loyalty.ledger import proof
from loyalty.liability import published, report
from loyalty.liability.accounting import nearest
from loyalty.liability.facts import OTHER
from loyalty.liability.journal import HEAD, SPLIT_HEAD, Posting, split_cells
from loyalty.liability.published import Record
from loyalty.liability.report import Line, Report
from storage import sheets
from storage.database import open_engine

KINDS = {"purchase": "sold", "other": "given"}


def look(url: str, as_of: date, zone: ZoneInfo) -> tuple[Report, list[Record], list[Posting]]:
    """The report of a day, what was published, and what is to be posted; all of one moment."""
    engine = open_engine(url)
    try:
        with proof.one_moment(engine) as db:
            one = report.look(db, as_of, zone)
            return one, published.records(db), published.journal(db, one)
    finally:
        engine.dispose()


def write(one: Report, lines: Sequence[Posting], journal: Path | None, splits: Path | None) -> None:
    """The journal lines and the splits as CSV that Excel reads, where a file is named. Raises ``OSError``."""
    told = ((journal, HEAD, [each.cells() for each in lines]), (splits, SPLIT_HEAD, split_cells(one)))
    for file, head, cells in told:
        if file is not None:
            with file.open("w", encoding="utf-8", newline="") as out:
                out.writelines(sheets.lines(head, cells))


def as_json(one: Report, records: Sequence[Record]) -> dict[str, Any]:
    """All of it."""
    return {**report.as_json(one), "published": [record_json(each) for each in records]}


def record_json(one: Record) -> dict[str, Any]:
    """A publication and how it did."""
    return {
        "as_of": one.row.as_of.isoformat(),
        "published_at": one.row.published_at.isoformat(),
        "figures": one.row.figures,
        "months_scored": len(one.scores),
        "months_within_range": one.within,
        "expected": one.expected,
        "actual": one.actual,
        "error": report.share(one.error),
        "splits": [{**split, "expected": said, "actual": came} for split, said, came in one.splits],
        "months": [
            {"month": f"{each.month:%Y-%m}", "expected": each.expected, "actual": each.actual} for each in one.scores
        ],
    }


def as_text(one: Report, records: Sequence[Record]) -> str:
    """All of it as aligned tables."""
    if not one.lines:
        return f"as of {one.facts.as_of}: no points have come in yet"
    parts = [_headline(one), _splits(one), _cohorts(one.lines), _months(one), _looked_back(one), _published(records)]
    return "\n\n".join(part for part in parts if part)


def _money(fen: Fraction | None) -> str:
    return "–" if fen is None else f"¥{nearest(fen) / 100:,.2f}"


def _percent(part: Fraction | None, *, signed: bool = False) -> str:
    return "–" if part is None else f"{100 * float(part):{'+' if signed else ''}.1f} %"


def _points(number: Fraction | int) -> str:
    return f"{nearest(Fraction(number)):,}"


def _headline(one: Report) -> str:
    total = one.forecast.total
    rows = [
        ["open points", _points(one.open)],
        ["of which will be redeemed", f"{_points(one.future)}  ({round(total.low):,} – {round(total.high):,})"],
        ["redemption rate in the end", _percent(one.rate)],
        ["deferred revenue 合同负债 (points that were sold)", _money(one.deferred)],
        ["expected cost of all open points", _money(one.cost_of())],
        ["  of points that were given 预计负债", _money(one.cost_of((OTHER,)))],
    ]
    notes = []
    if one.parameters is None:
        notes.append("no money yet: set what a point is worth on the page 积分负债")
    if one.guessed:
        notes.append("too few months for an estimate: every open point counts as one that will be redeemed")
    if one.unknown:
        notes.append(f"{one.unknown:,} purchase points have no order here; they count at what they would cost alone")
    return "\n".join([table(rows, [f"as of {one.facts.as_of}", ""]), *notes])


def _splits(one: Report) -> str:
    """By what it is split, and which were put together and why."""
    rows = []
    for each in one.splits:
        kind, state, tier = each.part.name
        why = {"": "itself", "few": "all: fewer than 30 have redeemed", "short": "all: too few months"}[each.part.why]
        rows.append([KINDS[kind], state, tier or "none", _points(each.open), _points(each.future),
                     _percent(each.rate), _money(each.cost), why, f"{len(each.part.of)}"])  # fmt: skip
    heads = ["points", "holder then", "tier", "open", "will be redeemed", "rate", "cost", "goes by", "splits in it"]
    said = [f"{one.day}: {WHY[one.why]}; what was before tells nothing of points from {one.since:%Y-%m} on"
            for one in one.facts.changes]  # fmt: skip
    return "\n".join([table(rows, heads), *said])


WHY = {"expiry": "points live longer or shorter by the rules", "clear": "points of many were cleared"}


def _cohorts(lines: Sequence[Line]) -> str:
    rows = []
    for one in lines:
        cohort, deferred = one.cohort, one.money.deferred if one.money else None
        numbers = (cohort.issued, cohort.taken_back, cohort.so_far, one.gone, cohort.open, one.estimate.ultimate)
        rows.append(
            [KINDS[one.kind], f"{one.month:%Y-%m}", *map(_points, numbers), _percent(one.estimate.rate),
             one.estimate.method, _money(deferred), _money(one.cost)]
        )  # fmt: skip
    heads = ["points", "month", "issued", "taken back", "redeemed", "dead", "open", "in the end", "rate", "by",
             "deferred", "cost"]  # fmt: skip
    return table(rows, heads)


def _months(one: Report) -> str:
    rows = [
        [f"{month:%Y-%m}", _points(of.value), f"{round(of.low):,} – {round(of.high):,}"] for month, of in one.months()
    ]
    return table(rows, ["month", "redemptions expected", "range (5 % – 95 %)"]) if rows else ""


def _looked_back(one: Report) -> str:
    seen = one.looked_back
    if not seen.told:
        return "nothing to look back at yet"
    rows = [
        [f"{one.facts.month(one.facts.through - back):%Y-%m}", _points(each.said), _points(each.came),
         _percent(each.bias, signed=True)]
        for back, each in seen.months.items()
    ]  # fmt: skip
    foot = f"bias {_percent(seen.total.bias, signed=True)}, mean absolute error {_percent(seen.mape)}"
    return "\n".join([table(rows, ["looking back", "would have been said", "came", "error"]), foot])


def _published(records: Sequence[Record]) -> str:
    rows = [
        [f"{one.row.as_of}", f"{one.row.figures['expected_redemptions']:,}", f"{len(one.scores)}",
         f"{one.expected:,}", f"{one.actual:,}", _percent(one.error, signed=True), f"{one.within} of {len(one.scores)}"]
        for one in records
    ]  # fmt: skip
    heads = ["published", "redemptions", "months over", "expected", "came", "error", "in range"]
    return table(rows, heads) if rows else ""

"""Published forecasts: what the boss has put their name to at the end of a month, kept for ever, and how it did.

A publication is also what has been posted: the next journal begins where it ended (``journal``). ``score`` compares its
months with what came, once they are over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from loyalty.expiry import add_months
from loyalty.liability.accounting import posted
from loyalty.liability.facts import Facts, Name
from loyalty.liability.journal import Posting, booked_by, postings
from loyalty.liability.report import Report, as_json
from storage.rows import insert_new_rows
from storage.tables import PointsForecast, PointsForecastScore
from storage.work import Work

HEADLINE = (
    "open_points", "expected_redemptions", "interval", "redemption_rate", "deferred_revenue", "expected_cost",
    "expected_cost_of_given_points", "splits",
)  # fmt: skip


class CannotPublish(ValueError):
    """Why not, in one word: month (it is not a month's end that is over), parameters, empty, published."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def latest(db: Session, before: date | None = None) -> PointsForecast | None:
    """The newest publication, or the newest for a day before this one."""
    own = select(PointsForecast).order_by(PointsForecast.as_of.desc()).limit(1)
    return db.scalars(own if before is None else own.where(PointsForecast.as_of < before)).one_or_none()


def month_end(today: date) -> date:
    """The last day of the last month that is over."""
    return today.replace(day=1) - timedelta(days=1)


def obstacle(db: Session, one: Report, today: date) -> str | None:
    """Why this report cannot be published (``CannotPublish.why``); none: it can."""
    if not one.facts.complete or one.facts.as_of >= today:
        return "month"
    if not one.lines:
        return "empty"
    if one.parameters is None:
        return "parameters"
    newest = latest(db)
    return "published" if newest is not None and newest.as_of >= one.facts.as_of else None


def publish(work: Work, one: Report, by: str) -> PointsForecast:
    """Keep a report of a month's end for good. Raises ``CannotPublish``."""
    if why := obstacle(work.db, one, work.now.astimezone(work.zone).date()):
        raise CannotPublish(why)
    told = as_json(one)
    row = PointsForecast(
        as_of=one.facts.as_of,
        published_at=work.now,
        published_by=by,
        parameters=told["parameters"],
        figures={name: told[name] for name in HEADLINE},
        positions=booked_by(one),
        months=[{**each, "splits": parts} for each, parts in zip(told["months"], split_months(one), strict=True)],
    )
    work.db.add(row)
    work.db.flush()
    return row


def split_months(one: Report) -> list[list[int]]:
    """Of each month to come what each split is expected to bring, in whole points that add up to the month."""
    found = []
    for place in range(len(one.forecast.months)):
        of = [each.months[place] if place < len(each.months) else Fraction() for each in one.splits]
        found.append(posted(of))
    return found


# --- how it did ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Due:
    """A month of a publication that is over and not scored yet."""

    forecast_id: int
    as_of: date
    month: date
    expected: int
    splits: Sequence[Sequence[Name]] = ()
    """What each split of it is made of."""


def due(db: Session, today: date) -> list[Due]:
    """All such, the oldest month first."""
    scored = select(PointsForecastScore.forecast_id, PointsForecastScore.month)
    known = {(number, month) for number, month in db.execute(scored)}
    this_month, found = today.replace(day=1), []
    for one in db.scalars(select(PointsForecast)):
        for told in one.months:
            month = date.fromisoformat(f"{told['month']}-01")
            if month < this_month and (one.id, month) not in known:
                found.append(Due(one.id, one.as_of, month, told["expected"], _split_by(one)))
    return sorted(found, key=lambda each: (each.month, each.as_of))


def _split_by(one: PointsForecast) -> list[list[Name]]:
    some = one.figures.get("splits", [])
    return [[(each["kind"], of["state"], of["tier"]) for of in each["of"]] for each in some]


def last_day(month: date) -> date:
    """Of a month."""
    return add_months(month, 1) - timedelta(days=1)


def keep_scores(work: Work, some: Sequence[Due], facts: Facts) -> int:
    """Write down what came in one month, by the facts of its end; how many scores were new."""
    rows = [
        {
            "forecast_id": one.forecast_id,
            "month": one.month,
            "expected": one.expected,
            "actual": facts.redeemed_in(one.month, one.as_of),
            "splits": [facts.redeemed_in(one.month, one.as_of, of) for of in one.splits],
            "scored_at": work.now,
        }
        for one in some
    ]
    unique = ["forecast_id", "month"]
    return len(insert_new_rows(work.db, PointsForecastScore, rows, unique, unique))


@dataclass(frozen=True)
class Record:
    """A publication with what came of it so far."""

    row: PointsForecast
    scores: Sequence[PointsForecastScore]

    @property
    def expected(self) -> int:
        """In the months that were scored."""
        return sum(one.expected for one in self.scores)

    @property
    def actual(self) -> int:
        """In the same months."""
        return sum(one.actual for one in self.scores)

    @property
    def error(self) -> Fraction | None:
        """By how much too high, as a share of what came."""
        return Fraction(self.expected - self.actual, self.actual) if self.actual else None

    @property
    def splits(self) -> list[tuple[Mapping[str, Any], int, int]]:
        """Each split, and what was expected of it and came, in the months that were scored."""
        months: Mapping[str, Any] = {one["month"]: one.get("splits", []) for one in self.row.months}
        told = [(months[f"{one.month:%Y-%m}"], one.splits) for one in self.scores]
        return [
            (split, sum(said[n] for said, _ in told), sum(came[n] for _, came in told))
            for n, split in enumerate(self.row.figures.get("splits", []))
        ]

    @property
    def within(self) -> int:
        """Months in which what came lay in the range that was published."""
        ranges: Mapping[str, Any] = {one["month"]: one for one in self.row.months}
        told = [(ranges[f"{one.month:%Y-%m}"], one.actual) for one in self.scores]
        return sum(one["low"] <= actual <= one["high"] for one, actual in told)


def records(db: Session, limit: int = 24) -> list[Record]:
    """The newest publications with their scores."""
    rows = db.scalars(select(PointsForecast).order_by(PointsForecast.as_of.desc()).limit(limit)).all()
    scores: dict[int, list[PointsForecastScore]] = {one.id: [] for one in rows}
    own = select(PointsForecastScore).where(PointsForecastScore.forecast_id.in_(scores))
    for one in db.scalars(own.order_by(PointsForecastScore.month)):
        scores[one.forecast_id].append(one)
    return [Record(one, scores[one.id]) for one in rows]


# --- what is to be posted --------------------------------------------------------------------------------------------


def journal(db: Session, one: Report) -> list[Posting]:
    """The lines from the last publication before this day to this day; of a published day always the same."""
    before = latest(db, one.facts.as_of)
    kept = db.scalars(select(PointsForecast).where(PointsForecast.as_of == one.facts.as_of)).one_or_none()
    now = kept.positions if kept is not None else booked_by(one)
    return list(postings(one.facts.as_of, now, before.positions if before is not None else []))


def journal_of(db: Session, row: PointsForecast) -> list[Posting]:
    """The lines that a publication posted."""
    before = latest(db, row.as_of)
    return list(postings(row.as_of, row.positions, before.positions if before is not None else []))

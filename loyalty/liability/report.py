"""The liability report, pure but for ``look``: facts and parameters in, every figure of the page, command and CSV out.

Two measures, kept apart (docs/liability.md): the *deferred revenue* of points that were sold with something (合同负债),
and the *expected cost* of all open points, whoever got them for what.

The part of a sale that belongs to its points is fixed by what was known at the end of their first month, and not
measured again; how much of it is revenue follows the newest estimate.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from loyalty.liability import facts as books
from loyalty.liability import parameters as shop
from loyalty.liability.accounting import Position, allocated, alone, nearest, position, posted
from loyalty.liability.backtest import Backtest, backtest
from loyalty.liability.facts import PURCHASE, Facts, Sale
from loyalty.liability.forecast import (
    UNKNOWN,
    Estimate,
    Forecast,
    estimate,
    forecast,
    pattern,
    prior,
    sources,
)
from loyalty.liability.parameters import Parameters
from loyalty.liability.splits import ALONE, Part, arranged, parts
from loyalty.liability.triangle import Cell, Cohort, Era, cut, heard

MOST_RATE = Fraction(1)


@dataclass(frozen=True)
class Line:
    """One cohort of one kind: points, and fen where the shop has said what a point is worth."""

    kind: str
    estimate: Estimate
    gone: int
    """Dead and unspent."""
    first_rate: Fraction
    """The share that was expected to be redeemed at the end of its first month."""
    money: Position | None
    """Of purchase points."""
    cost: Fraction | None
    """What redeeming the rest will cost."""

    @property
    def cohort(self) -> Cohort:
        """Whose figures these are."""
        return self.estimate.cohort

    @property
    def month(self) -> date:
        """In which the points came in."""
        return self.cohort.month


@dataclass(frozen=True)
class SplitLine:
    """One part of the points, all its months together."""

    part: Part
    open: int
    months: Sequence[Fraction]
    """What will still be redeemed in the month after the last age, and in those that follow."""
    rate: Fraction | None
    """The share of what was issued and kept that will have been redeemed in the end."""
    cost: Fraction | None

    @property
    def future(self) -> Fraction:
        """What will still be redeemed in all."""
        return sum(self.months, Fraction())


@dataclass(frozen=True)
class Report:
    """As of the end of a day."""

    facts: Facts
    parameters: Parameters | None
    forecast: Forecast
    looked_back: Backtest
    lines: Sequence[Line] = field(default_factory=list)
    splits: Sequence[SplitLine] = field(default_factory=list)

    def of(self, kind: str) -> list[Line]:
        """The cohorts of one kind, the oldest first."""
        return [one for one in self.lines if one.kind == kind]

    @property
    def open(self) -> int:
        """Points that are there and alive."""
        return sum(one.cohort.open for one in self.lines)

    @property
    def future(self) -> Fraction:
        """Points that will still be redeemed."""
        return sum((Fraction(one.estimate.future) for one in self.lines), Fraction())

    @property
    def rate(self) -> Fraction | None:
        """Of all points issued and kept, the share that will have been redeemed in the end."""
        kept = sum(one.cohort.kept for one in self.lines)
        return sum((Fraction(one.estimate.ultimate) for one in self.lines), Fraction()) / kept if kept else None

    @property
    def deferred(self) -> Fraction | None:
        """Fen of sales that are not revenue yet (合同负债)."""
        if self.parameters is None:
            return None
        return sum((one.money.deferred for one in self.lines if one.money), Fraction())

    def cost_of(self, kinds: Sequence[str] = books.KINDS) -> Fraction | None:
        """Fen that redeeming the open points of these kinds will cost."""
        if self.parameters is None:
            return None
        return sum((one.cost for one in self.lines if one.kind in kinds and one.cost is not None), Fraction())

    @property
    def unknown(self) -> int:
        """Purchase points of which the order is not known here."""
        return sum(one.unknown for one in self.facts.sales.values())

    @property
    def guessed(self) -> bool:
        """Whether too little is known for an estimate, so that all open points count as if they came."""
        return self.open > 0 and any(one.tail == UNKNOWN for one in self.forecast.patterns.values())

    def split_points(self) -> list[int]:
        """What each split will still redeem in whole points that add up to the whole."""
        return posted([each.future for each in self.splits])

    def split_costs(self) -> list[Fraction | None]:
        """What each split will cost in whole fen that add up to the whole."""
        if self.parameters is None:
            return [None for _ in self.splits]
        return [Fraction(fen) for fen in posted([each.cost or Fraction() for each in self.splits])]

    def months(self) -> list[tuple[date, Any]]:
        """The months to come and what will be redeemed in each."""
        return [(self.facts.month(self.facts.through + n), one) for n, one in enumerate(self.forecast.months)]


def look(db: Session, as_of: date, zone: ZoneInfo) -> Report:
    """The report of a day, from the books. What it says depends on what was recorded and set by its end alone."""
    return report(books.read(db, as_of, zone), shop.versions(db), zone)


def report(facts: Facts, versions: Sequence[Parameters], zone: ZoneInfo) -> Report:
    """Put it together."""
    end = datetime.combine(facts.as_of + timedelta(days=1), time(), zone)
    now = shop.held(versions, end)
    some = parts(facts.splits, facts.eras)
    cells, by = arranged(some, facts.eras)
    looked_back = backtest(cells, by, facts.lives)
    found = forecast(cells, facts.lives, ratios=looked_back.ratios, by=by)
    kinds = {kind: cell for kind, cell in facts.cells.items() if cell.cohorts}
    lines = []
    for kind, source in sources(kinds).items():
        rates = _first_rates(kinds[kind], source, facts.eras)
        for one in _by_month(facts, kind, found):
            month = one.cohort.month
            then = shop.held(versions, datetime.combine(facts.month(facts.index(month) + 1), time(), zone))
            money = _money(one, rates[month], facts.sales.get(month, Sale()), then) if kind == PURCHASE else None
            cost = None if now is None else Fraction(one.future) * now.unit_cost
            lines.append(Line(kind, one, facts.gone.get((kind, month), 0), rates[month], money, cost))
    return Report(facts, now, found, looked_back, lines, [_split(one, found, now) for one in some])


def _by_month(facts: Facts, kind: str, found: Forecast) -> list[Estimate]:
    """The parts of a kind put together again, month by month: what the forecast of a month is, is the sum of them."""
    some: dict[date, list[Estimate]] = {one.month: [] for one in facts.cells[kind].cohorts}
    for (name, _era), estimates in found.cells.items():
        if name[0] == kind:
            for one in estimates:
                some[one.cohort.month].append(one)
    return [_together(one, some[one.month]) for one in facts.cells[kind].cohorts]


def _together(cohort: Cohort, some: Sequence[Estimate]) -> Estimate:
    """Estimated as most of its open points are."""
    main = max(some, key=lambda one: one.cohort.open)
    return Estimate(cohort, main.method, summed(one.months for one in some))


def summed(rows: Iterable[Sequence[Fraction]]) -> list[Fraction]:
    """Month by month."""
    return [sum(month, Fraction()) for month in zip_longest(*rows, fillvalue=Fraction())]


def _split(part: Part, found: Forecast, now: Parameters | None) -> SplitLine:
    own = [one for (name, _era), estimates in found.cells.items() if name == part.name for one in estimates]
    months, kept = summed(one.months for one in own), sum(one.cohort.kept for one in own)
    rate = Fraction(sum(one.cohort.so_far for one in own) + sum(months, Fraction())) / kept if kept else None
    cost = None if now is None else sum(months, Fraction()) * now.unit_cost
    return SplitLine(part, sum(one.cohort.open for one in own), months, rate, cost)


def _first_rates(cell: Cell, source: Cell, eras: Sequence[Era]) -> dict[date, Fraction]:
    found: dict[date, Fraction] = {}
    for era in eras:
        found |= first_rates(cut(cell, era), heard(source, era, eras), era.lives)
    return found


def first_rates(cell: Cell, source: Cell, lives: int | None) -> dict[date, Fraction]:
    """The share of each cohort's points that was expected to be redeemed when its first month was over."""
    found = {}
    for back in sorted({max(one.age - 1, 0) for one in cell.cohorts}):
        then = source.earlier(back) if back else source
        of = pattern(then.cohorts, lives)
        expected = prior(then.cohorts, of)
        for one in cell.cohorts:
            if max(one.age - 1, 0) == back:
                before = one.earlier(back) if back else one
                rate = estimate(before, of, expected).rate
                found[one.month] = min(max(rate, Fraction()), MOST_RATE)
    return found


def _money(one: Estimate, rate: Fraction, sale: Sale, then: Parameters | None) -> Position | None:
    """A cohort's part of its sales, as far as it is revenue.

    What a refund took of its points it took of the sale. Of points whose sale is not known here the part is what they
    would cost alone, which is more than any sale would give them.
    """
    if then is None:
        return None
    issued = sale.points + sale.unknown
    kept = Fraction(one.cohort.kept, issued) if issued else Fraction()
    by_order = alone(sale.points * kept, then.face_value, rate)
    part = allocated(sale.amount * kept, by_order, then.tax_rate)
    part += alone(sale.unknown * kept, then.face_value, rate) / (1 + then.tax_rate)
    return position(part, one.cohort.so_far, Fraction(one.ultimate))


# --- as data ---------------------------------------------------------------------------------------------------------


def yuan(fen: Fraction | None) -> str | None:
    """``1234.50``; none of nothing known."""
    return None if fen is None else f"{nearest(fen) / 100:.2f}"


def share(part: Fraction | None) -> float | None:
    """Rounded to a hundredth of a percent."""
    return None if part is None else round(float(part), 4)


def as_json(one: Report) -> dict[str, Any]:
    """All of it as one document; money in yuan, points whole."""
    facts, total = one.facts, one.forecast.total
    return {
        "as_of": facts.as_of.isoformat(),
        "parameters": None if one.parameters is None else one.parameters.as_json(),
        "open_points": one.open,
        "expected_redemptions": nearest(one.future),
        "interval": [round(total.low), round(total.high)],
        "redemption_rate": share(one.rate),
        "deferred_revenue": yuan(one.deferred),
        "expected_cost": yuan(one.cost_of()),
        "expected_cost_of_given_points": yuan(one.cost_of((books.OTHER,))),
        "purchase_points_without_order": one.unknown,
        "too_young_to_estimate": one.guessed,
        "points_live_months": facts.lives,
        "months_known": facts.through,
        "cohorts": [_line(each) for each in one.lines],
        "months": [
            {"month": f"{month:%Y-%m}", "expected": nearest(of.value), "low": round(of.low), "high": round(of.high)}
            for month, of in one.months()
        ],
        "splits": [
            split_json(each, points, fen)
            for each, points, fen in zip(one.splits, one.split_points(), one.split_costs(), strict=True)
        ],
        "policy_changes": [
            {"day": each.day.isoformat(), "why": each.why, "since": f"{each.since:%Y-%m}"} for each in facts.changes
        ],
        "factors": {piece(name): [share(each) for each in of.factors] for name, of in one.forecast.patterns.items()},
        "backtest": backtest_json(facts, one.looked_back),
    }


def piece(name: tuple[tuple[str, ...], int]) -> str:
    """``purchase/active/gold``, and the era where it is not the first: ``purchase/active/gold 2``."""
    own, era = name
    return "/".join(own) + (f" {era + 1}" if era else "")


def split_json(one: SplitLine, points: int, cost: Fraction | None) -> dict[str, Any]:
    """One part: what is in it, how many points and fen of the whole it brings, by whose pattern it goes and why."""
    kind, state, tier = one.part.name
    return {
        "kind": kind,
        "state": state,
        "tier": tier,
        "of": [{"state": name[1], "tier": name[2], "why": why} for name, why in one.part.of.items()],
        "by": "itself" if one.part.why == ALONE else "all",
        "why": one.part.why,
        "redeemers": one.part.cell.redeemers,
        "open": one.open,
        "expected_redemptions": points,
        "redemption_rate": share(one.rate),
        "expected_cost": yuan(cost),
    }


def _line(one: Line) -> Mapping[str, Any]:
    cohort, money = one.cohort, one.money
    return {
        "kind": one.kind,
        "month": f"{one.month:%Y-%m}",
        "issued": cohort.issued,
        "taken_back": cohort.taken_back,
        "redeemed": list(cohort.redeemed),
        "redeemed_since": cohort.recent,
        "dead": one.gone,
        "open": cohort.open,
        "ultimate": nearest(Fraction(one.estimate.ultimate)),
        "redemption_rate": share(one.estimate.rate),
        "first_redemption_rate": share(one.first_rate),
        "method": one.estimate.method,
        "allocated": yuan(money.allocated) if money else None,
        "recognised": yuan(money.recognised) if money else None,
        "deferred": yuan(money.deferred) if money else None,
        "expected_cost": yuan(one.cost),
    }


def backtest_json(facts: Facts, one: Backtest) -> dict[str, Any]:
    """What looking back showed, month by month, the last first."""
    return {
        "bias": share(one.total.bias),
        "mape": share(one.mape),
        "months": [
            {
                "month": f"{facts.month(facts.through - back):%Y-%m}",
                "said": nearest(Fraction(each.said)),
                "came": each.came,
                "error": share(each.bias),
            }
            for back, each in one.months.items()
        ],
        "ages": [
            {"age": age, "said": nearest(Fraction(each.said)), "came": each.came, "error": share(each.bias)}
            for age, each in one.ages.items()
        ],
    }

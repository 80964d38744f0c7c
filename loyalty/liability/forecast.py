"""How many open points will be redeemed, and when: chain ladder and Bornhuetter-Ferguson, pure (loyalty.md §3.2).

Factors are volume weighted. Where points can still live longer than any cohort has been seen, what happens then is
fitted (the factors' excess over one falls like a geometric row); where too little is known even for that, every open
point counts as one that will be redeemed: a liability is not lowered by a guess. Young cohorts go by what older ones
came to. Point estimates are exact fractions; the interval draws each cohort's weight anew (Bayesian bootstrap, Rubin
1981) and lets one of the errors that looking back has shown come again (``ratios``), from a fixed seed, in floats, so
that the same cut-off always gives the same answer; no draw goes beyond the points that are there.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from loyalty.liability.triangle import ALL_ALIKE, ENOUGH, Cell, Cohort, pooled

Number = Any
"""``Fraction`` for the estimate, ``float`` in the bootstrap; the arithmetic is the same."""
ONE = Fraction(1)
YOUNG, MATURE = Fraction(1, 2), Fraction(9, 10)
"""Developed to less: goes by the others. Developed to as much: the others go by it."""
FITTED = 6
"""The last factors that a tail is fitted to; at least ``FEWEST`` of them must exceed one."""
FEWEST = 3
LONGEST_TAIL = 60
"""Ages beyond what was seen, for points that never die."""
SETTLED = Fraction(1, 10_000)
EVENLY = 24
"""Months over which points are spread that never die and of which nothing is known."""
DRAWS, SEED = 200, 20_140_519
LOW, HIGH = 5, 95
"""The interval's percentiles."""
ENDS, TAIL, UNKNOWN = "ends", "fitted", "unknown"
OVER, CHAIN, OTHERS, ALL = "over", "chain", "others", "all"
"""How a cohort was estimated: nothing is left; by its own redemptions; by those of older ones too; as if all came."""


# --- the pattern -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pattern:
    """How redemptions come about with age."""

    factors: Sequence[Number | None]
    """From age 1 to 2, 2 to 3 …; none where nothing had been redeemed."""
    developed: Sequence[Number]
    """What share of all redemptions has come by age 0, 1, 2 …; of an unknown tail, of those up to the last age."""
    tail: str

    def share(self, age: int) -> Number:
        """By the end of an age."""
        return self.developed[min(age, len(self.developed) - 1)]

    def factor(self, age: int) -> Number | None:
        """From an age to the next; one where nothing comes any more."""
        return self.factors[age - 1] if age <= len(self.factors) else None


def factors(cohorts: Sequence[Cohort], weights: Sequence[float] | None = None) -> list[Number | None]:
    """Volume-weighted age-to-age factors, as far as any cohort goes."""
    found: list[Number | None] = []
    for age in range(1, max((one.telling.stop for one in cohorts), default=0)):
        before, after = _sums(cohorts, weights, age)
        found.append((Fraction(after, before) if weights is None else after / before) if before > 0 else None)
    return found


def _sums(cohorts: Sequence[Cohort], weights: Sequence[float] | None, age: int) -> tuple[Any, Any]:
    before: Any = 0
    after: Any = 0
    for number, one in enumerate(cohorts):
        if age in one.telling:
            weight: Any = 1 if weights is None else weights[number]
            before += weight * one.redeemed[age - 1]
            after += weight * one.redeemed[age]
    return before, after


def pattern(cohorts: Sequence[Cohort], lives: int | None, weights: Sequence[float] | None = None) -> Pattern:
    """The pattern of these cohorts; ``lives``: the last age at which any of their points can be alive."""
    known = factors(cohorts, weights)
    seen = len(known) + 1 if cohorts else 0
    if lives is not None and lives <= seen:
        return Pattern(known, _developed(known[: lives - 1], weights is None), ENDS)
    after = _tail(known, lives)
    if after is None:
        return Pattern(known, _developed(known, weights is None), UNKNOWN)
    return Pattern(known, _developed([*known, *after], weights is None), TAIL)


def _developed(known: Sequence[Number | None], exact: bool) -> list[Number]:
    """From the last age, by which all has come, back to the first; before a factor that is not known: nothing."""
    share: Number = ONE if exact else 1.0
    shares = [share]
    for factor in reversed(known):
        share = share / factor if factor else share * 0
        shares.append(share)
    return [share * 0, *reversed(shares)]


def _tail(known: Sequence[Number | None], lives: int | None) -> list[Fraction] | None:
    """Factors beyond the last age; none where they cannot be known."""
    last = [(age, one) for age, one in enumerate(known, start=1) if one is not None][-FITTED:]
    longest = (lives or len(known) + 1 + LONGEST_TAIL) - len(known) - 1
    if len(last) >= FEWEST and all(one <= 1 for _, one in last[-FEWEST:]):
        return [ONE] * longest
    line = _line([(age, math.log(float(one) - 1)) for age, one in last if one > 1])
    if line is None:
        return None
    start, slope = line
    found = []
    for age in range(len(known) + 1, len(known) + 1 + longest):
        more = Fraction(round(math.exp(start + slope * age) * 1_000_000), 1_000_000)
        if more < SETTLED:
            break
        found.append(ONE + more)
    return found


def _line(points: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
    """Least squares; none for too few points, and for a line that does not fall."""
    if len(points) < FEWEST:
        return None
    x_mean, y_mean = (sum(one[n] for one in points) / len(points) for n in (0, 1))
    slope = sum((x - x_mean) * (y - y_mean) for x, y in points) / sum((x - x_mean) ** 2 for x, _ in points)
    return (y_mean - slope * x_mean, slope) if slope < 0 else None


# --- one cohort ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """What a cohort will come to, in points."""

    cohort: Cohort
    method: str
    months: Sequence[Number]
    """What will still be redeemed in the month after the last age, and in those that follow."""

    @property
    def future(self) -> Number:
        """What will still be redeemed in all."""
        return sum(self.months, Fraction() if not self.months else self.months[0] * 0)

    @property
    def ultimate(self) -> Number:
        """What will have been redeemed in all."""
        return self.cohort.so_far + self.future

    @property
    def rate(self) -> Fraction:
        """Of the points that were issued and not taken back."""
        return Fraction(self.ultimate) / self.cohort.kept if self.cohort.kept > 0 else Fraction()


def prior(cohorts: Sequence[Cohort], of: Pattern, weights: Sequence[float] | None = None) -> Number | None:
    """The redemption rate of mature cohorts together; none where there are none."""
    redeemed: Any = 0
    kept: Any = 0
    for number, one in enumerate(cohorts):
        share = of.share(one.age)
        if one.kept > 0 and not one.silent and (share >= MATURE or (not one.open and one.age)):
            weight: Any = 1 if weights is None else weights[number]
            redeemed += weight * (one.at(one.age) / share if one.open else one.at(one.age))
            kept += weight * one.kept
    if not kept:
        return None
    return Fraction(redeemed) / kept if weights is None else redeemed / kept


def estimate(one: Cohort, of: Pattern, expected: Number | None, young: Number = YOUNG) -> Estimate:
    """What is to come of a cohort: by its own pattern, or, younger than ``young``, by the rate of the others.

    So goes one of which nothing was redeemed yet: times nothing is nothing, and would call all of it breakage.
    """
    if not one.open:
        return Estimate(one, OVER, [])
    share = of.share(one.age)
    if of.tail == UNKNOWN:
        return _all(one)
    if one.at(one.age) and share and (share >= young or expected is None):
        return Estimate(one, CHAIN, _capped(one, of, one.at(one.age) / share - one.at(one.age)))
    if expected is None:
        return _all(one)
    return Estimate(one, OTHERS, _capped(one, of, expected * one.kept * (1 - share)))


def _all(one: Cohort) -> Estimate:
    """As if every open point were redeemed, evenly while it lives."""
    months: list[Number] = []
    for age, points in one.dies.items():
        left = EVENLY if age is None else max(1, age - one.age)
        months += [Fraction()] * (left - len(months))
        for month in range(left):
            months[month] += Fraction(points, left)
    return Estimate(one, ALL, months)


def _capped(one: Cohort, of: Pattern, future: Number) -> list[Number]:
    """Spread over the ages to come as the pattern says; never more than what is there and alive then."""
    left = {(math.inf if age is None else age): points for age, points in one.dies.items() if points > 0}
    share, months = of.share(one.age), []
    for age in range(one.age + 1, max(len(of.developed), one.age + 2)):
        step = of.share(age) - of.share(age - 1)
        wanted = future * step / (1 - share) if share < 1 else future * 0
        if age == one.age + 1:
            wanted -= one.recent
        months.append(_take(left, age, max(wanted, future * 0)))
    return months


def _take(left: dict[float, Number], age: int, wanted: Number) -> Number:
    """So much of what lives at this age, the soonest to die first."""
    for dies in [one for one in left if one < age]:
        del left[dies]
    taken = wanted * 0
    for dies in sorted(left):
        part = min(left[dies], wanted - taken)
        left[dies] -= part
        taken += part
    return taken


# --- all of them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """A number and between what it probably lies (the 5th and 95th percentile of the draws)."""

    value: Number
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """Of some cells together."""

    cells: Mapping[Any, Sequence[Estimate]]
    patterns: Mapping[Any, Pattern]
    """By which each cell goes."""
    own: frozenset[Any]
    """Cells that stand for themselves; the others go by all together."""
    total: Range
    months: Sequence[Range]
    """Redemptions in the month after the last age, and in those that follow."""


def sources(cells: Mapping[Any, Cell]) -> dict[Any, Cell]:
    """By whose pattern each cell goes: its own where enough people have redeemed, else that of all together."""
    together = pooled(cells.values())
    return {name: one if one.redeemers >= ENOUGH or len(cells) == 1 else together for name, one in cells.items()}


def forecast(
    cells: Mapping[Any, Cell],
    lives: int | None,
    *,
    young: Number = YOUNG,
    ratios: Sequence[float] = (),
    by: Mapping[Any, Cell] | None = None,
) -> Forecast:
    """Estimate every cohort of every cell; ``lives`` as in ``pattern``, of cells that do not say so themselves.

    ``ratios``: what came for what would have been said, of the months looked back at; they widen the range. ``by``: by
    whose pattern each cell goes, where it is not ``sources``.
    """
    by = sources(cells) if by is None else by
    patterns, found = _estimated(cells, by, lives, young, None)
    months = _by_month(found)
    drawn = [_drawn(cells, by, lives, young, draw, ratios) for draw in range(DRAWS)]
    spread = [_range(one, [each[n] if n < len(each) else 0.0 for each in drawn]) for n, one in enumerate(months)]
    own = frozenset(name for name, one in by.items() if one is cells[name])
    return Forecast(found, patterns, own, _range(sum(months, Fraction()), [sum(each) for each in drawn]), spread)


def _estimated(
    cells: Mapping[Any, Cell],
    by: Mapping[Any, Cell],
    lives: int | None,
    young: Number,
    weights: Mapping[date, float] | None,
) -> tuple[dict[Any, Pattern], dict[Any, list[Estimate]]]:
    known: dict[int, tuple[Pattern, Number | None]] = {}
    patterns, found = {}, {}
    for name, cell in cells.items():
        source = by[name]
        if id(source) not in known:
            own = None if weights is None else [weights[one.month] for one in source.cohorts]
            of = pattern(source.cohorts, lived(source, lives), own)
            known[id(source)] = of, prior(source.cohorts, of, own)
        patterns[name], expected = known[id(source)]
        found[name] = [estimate(one, patterns[name], expected, young) for one in cell.cohorts]
    return patterns, found


def lived(cell: Cell, lives: int | None) -> int | None:
    """The last age at which points of a cell can be alive: as it says itself, or as all."""
    return lives if cell.lives == ALL_ALIKE else cell.lives


def _by_month(found: Mapping[Any, Sequence[Estimate]]) -> list[Number]:
    """The months of all cohorts begin together: each one's last age is the same month."""
    rows = [one.months for some in found.values() for one in some]
    return [sum((row[n] for row in rows if n < len(row)), Fraction()) for n in range(max(map(len, rows), default=0))]


def _drawn(
    cells: Mapping[Any, Cell],
    by: Mapping[Any, Cell],
    lives: int | None,
    young: Number,
    draw: int,
    ratios: Sequence[float],
) -> list[float]:
    """The months once more, with cohorts that count for more or less by chance, and an error by chance."""
    chance = random.Random(SEED + draw)  # noqa: S311  # draws a sample, guards nothing  # nosec B311
    known = sorted({one.month for cell in by.values() for one in cell.cohorts})
    weights = {one: chance.expovariate(1.0) for one in known}
    _, found = _estimated(cells, by, lives, young, weights)
    ratio, months = chance.choice(ratios) if ratios else 1.0, [float(one) for one in _by_month(found)]
    there = sum(one.open for cell in cells.values() for one in cell.cohorts)
    ratio = min(ratio, there / sum(months)) if sum(months) else ratio
    return [one * ratio for one in months]


def _range(value: Number, drawn: Sequence[float]) -> Range:
    some = sorted(drawn) or [float(value)]
    return Range(value, *(some[(len(some) - 1) * rank // 100] for rank in (LOW, HIGH)))

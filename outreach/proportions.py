"""How sure we may be of a share, of the difference of two, and of how many people that takes. Pure.

Sources: Wilson 1927 and Newcombe 1998 (hybrid score interval, method 10) for intervals; Fleiss, Levin and Paik for the
size of a sample; Pocock 1977 and O'Brien and Fleming 1979 for looks that were planned; Waudby-Smith et al. 2021, eq. 9,
for looks at any time (as GrowthBook uses it, tuned to 5,000 people).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, erfc, exp, log, pi, sqrt
from statistics import NormalDist

NORMAL = NormalDist()
ALPHA, POWER = 0.05, 0.8
TUNED_TO = 5000
POCOCK_5 = 2.4132
O_BRIEN_FLEMING_5 = (4.562, 3.226, 2.634, 2.281, 2.040)
"""Bounds of |z| for five planned looks at 5 %: the same at each, and falling from look to look."""


@dataclass(frozen=True)
class Share:
    """``x`` of ``n`` people."""

    x: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.x <= self.n:
            raise ValueError(f"{self.x} of {self.n} is no share")

    @property
    def rate(self) -> float:
        """The share; 0 of nobody."""
        return self.x / self.n if self.n else 0.0


@dataclass(frozen=True)
class Interval:
    """From and to, both included."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies within."""
        return self.low <= value <= self.high


def _z(alpha: float) -> float:
    return NORMAL.inv_cdf(1 - alpha / 2)


def wilson(share: Share, alpha: float = ALPHA) -> Interval:
    """Where the true share lies; of nobody anywhere from 0 to 1."""
    if share.n == 0:
        return Interval(0.0, 1.0)
    z, n, p = _z(alpha), share.n, share.rate
    middle, spread = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(max(0.0, (middle - spread) / (1 + z * z / n)), min(1.0, (middle + spread) / (1 + z * z / n)))


def newcombe(one: Share, other: Share, alpha: float = ALPHA) -> Interval:
    """Where the true difference ``one - other`` lies."""
    first, second = wilson(one, alpha), wilson(other, alpha)
    difference = one.rate - other.rate
    down = sqrt((one.rate - first.low) ** 2 + (second.high - other.rate) ** 2)
    up = sqrt((first.high - one.rate) ** 2 + (other.rate - second.low) ** 2)
    return Interval(max(-1.0, difference - down), min(1.0, difference + up))


def z_test(one: Share, other: Share) -> tuple[float, float]:
    """The z and the two-sided p of "no difference", pooled; (0, 1) where nothing can be said."""
    n = one.n + other.n
    pooled = (one.x + other.x) / n if n else 0.0
    if not one.n or not other.n or pooled in (0.0, 1.0):
        return 0.0, 1.0
    z = (one.rate - other.rate) / sqrt(pooled * (1 - pooled) * (1 / one.n + 1 / other.n))
    return z, erfc(abs(z) / sqrt(2))


def people_needed(before: float, after: float, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """How many people each arm needs to tell these two shares apart. Raises ``ValueError`` when they are the same."""
    if before == after:
        raise ValueError("two equal shares cannot be told apart")
    middle = (before + after) / 2
    spread = _z(alpha) * sqrt(2 * middle * (1 - middle))
    spread += NORMAL.inv_cdf(power) * sqrt(before * (1 - before) + after * (1 - after))
    return float((spread / abs(before - after)) ** 2)


def planned_size(before: float, lift: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """The same in whole people, for a share that is to grow by this much (0.05: from 20 % to 25 %)."""
    return ceil(people_needed(before, before + lift, alpha=alpha, power=power))


def power_of(n: int, before: float, after: float, alpha: float = ALPHA) -> float:
    """How likely so many people in each arm show that these shares differ."""
    middle = (before + after) / 2
    spread = sqrt(before * (1 - before) + after * (1 - after))
    return NORMAL.cdf((abs(before - after) * sqrt(n) - _z(alpha) * sqrt(2 * middle * (1 - middle))) / spread)


def sample_ratio(assigned: Sequence[int], planned: Sequence[float]) -> float:
    """The p of "people were spread as planned" (chi-square); below 0.001 something is wrong with the assignment."""
    total, weights = sum(assigned), sum(planned)
    if not total or len(assigned) < 2:
        return 1.0
    expected = [total * one / weights for one in planned]
    distance = sum((seen - wanted) ** 2 / wanted for seen, wanted in zip(assigned, expected, strict=True))
    return _chi_square_tail(distance, len(assigned) - 1)


def _chi_square_tail(distance: float, freedom: int) -> float:
    """P(chi-square with so many degrees of freedom ≥ distance); Abramowitz and Stegun 26.4.4 and 26.4.5."""
    half = distance / 2
    if freedom % 2:
        term, tail = 2 * sqrt(half / pi) * exp(-half), erfc(sqrt(half))
        start = 3
    else:
        term, tail = exp(-half), 0.0
        start = 2
    for more in range(start, freedom + 1, 2):
        tail += term
        term *= half / (more / 2)
    return tail


def always_valid_lift(control: Share, variant: Share, alpha: float = ALPHA) -> Interval:
    """Where the true relative lift ``variant / control - 1`` lies, however often one looks. Both need conversions."""
    a, b, n = control.rate, variant.rate, control.n + variant.n
    spread = b * b * a * (1 - a) / (a**4 * control.n) + b * (1 - b) / (a * a * variant.n)
    rho = sqrt((-2 * log(alpha) + log(-2 * log(alpha) + 1)) / TUNED_TO)
    mixed = n * rho * rho + 1
    half = sqrt(spread * n) * sqrt(2 * mixed / (n * n * rho * rho) * log(sqrt(mixed) / alpha))
    return Interval((b - a) / a - half, (b - a) / a + half)

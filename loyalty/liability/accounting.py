"""The money of points, pure: how much of a sale belongs to its points, and when it becomes revenue.

IFRS 15 B39–B42 and ASC 606-10-55-41 ff. (a material right is an obligation of its own), 企业会计准则第14号: the price
is split by what goods and points would cost alone (those of the points weighted by how many will be redeemed); the
points' part becomes revenue as they are redeemed, ``redeemed / expected to be redeemed`` in all, so that a new
estimate catches up at once. What was allocated is never measured again. Money is in fen and exact (``Fraction``); only
what is posted is whole fen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

WHOLE = 10_000
"""Rates and values of a point are in ten-thousandths."""


def nearest(amount: Fraction) -> int:
    """Whole fen; half a fen goes away from nothing."""
    half = Fraction(1, 2)
    return int(amount + half) if amount >= 0 else -int(half - amount)


def posted(parts: Sequence[Fraction]) -> list[int]:
    """These amounts in whole fen that add up to the whole in fen: each rounded, the last takes the rest."""
    if not parts:
        return []
    first = [nearest(one) for one in parts[:-1]]
    return [*first, nearest(sum(parts, Fraction())) - sum(first)]


def alone(points: Fraction | int, face: Fraction, rate: Fraction) -> Fraction:
    """What so many points would cost alone: their value (fen each) by the share of them that will be redeemed."""
    return points * face * rate


def allocated(sale: Fraction | int, points_alone: Fraction, tax: Fraction = Fraction()) -> Fraction:
    """The points' part of a sale (fen, tax included), without tax: by what goods and points would cost alone.

    Goods cost alone what was paid. ``tax`` is the rate, such as 13/100. Nothing sold is nothing allocated.
    """
    whole = sale + points_alone
    return Fraction(sale) * points_alone / whole / (1 + tax) if whole else Fraction()


@dataclass(frozen=True)
class Position:
    """Where one cohort stands: fen that belong to its points, and how much of them is revenue by now."""

    allocated: Fraction
    recognised: Fraction

    @property
    def deferred(self) -> Fraction:
        """Still owed (合同负债)."""
        return self.allocated - self.recognised


def position(part: Fraction, redeemed: Fraction | int, expected: Fraction | int) -> Position:
    """After so many of the points that are expected to be redeemed in all; all of it once nothing more is expected."""
    if redeemed >= expected:
        return Position(part, part)
    return Position(part, part * Fraction(max(redeemed, 0)) / expected)

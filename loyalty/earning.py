"""How many points an order earns: pure, on whole fen and ten-thousandths, with one floor at the end (loyalty.md §2.2).

The base is what the shop's rate alone gives; the bonus what a level and campaigns add. The best campaign counts, and on
top of it those that stack. What caps and budgets leave no room for is not given, and the breakdown says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Any

ONE = 10_000
"""A factor of one; rates are points a yuan in the same unit."""
FEN = 100


@dataclass(frozen=True)
class Boost:
    """A campaign that holds for this order, with what room it has left (None: without end)."""

    campaign_id: int
    name: str
    factor: int
    stacks: bool = False
    room: int | None = None
    """Points it can still add for this person: the smaller of its cap for one and its budget for all."""

    def __post_init__(self) -> None:
        if self.factor < ONE:
            raise ValueError("a campaign gives more points, never fewer")


@dataclass(frozen=True)
class Terms:
    """By what an order earns."""

    rate: int = ONE
    tier: str = ""
    tier_factor: int = ONE
    boosts: Sequence[Boost] = ()
    order_cap: int | None = None
    day_room: int | None = None
    """What is left of the cap of that person's day."""


@dataclass(frozen=True)
class Earned:
    """Points of an order, and why so many."""

    base: int
    bonus: int
    by_campaign: Mapping[int, int] = field(default_factory=dict)
    because: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Base and bonus."""
        return self.base + self.bonus


def chosen(boosts: Sequence[Boost]) -> list[Boost]:
    """The best of those that do not stack (of equal ones the first made), then all that do."""
    alone = sorted((one for one in boosts if not one.stacks), key=lambda one: (-one.factor, one.campaign_id))
    on_top = sorted((one for one in boosts if one.stacks), key=lambda one: one.campaign_id)
    return [*alone[:1], *on_top]


def exact(basis: int, rate: int, factors: Sequence[int]) -> int:
    """Points of a basis in fen: one floor of the exact product."""
    value = Fraction(basis * rate, FEN * ONE)
    for one in factors:
        value *= Fraction(one, ONE)
    return max(0, floor(value))


def earn(basis: int, terms: Terms) -> Earned:
    """What an order of this basis (fen) earns."""
    base = exact(basis, terms.rate, [])
    factors, total, limits = [terms.tier_factor], exact(basis, terms.rate, [terms.tier_factor]), dict[str, int]()
    by_campaign, missed, before = dict[int, int](), 0, total
    for one in chosen(terms.boosts):
        factors.append(one.factor)
        full = exact(basis, terms.rate, factors)
        extra, before = max(0, full - before), full
        got = extra if one.room is None else min(extra, one.room)
        by_campaign[one.campaign_id], missed = got, missed + extra - got
        if got < extra:
            limits[f"campaign:{one.campaign_id}"] = got
    total = before - missed
    for name, room in (("order", terms.order_cap), ("day", terms.day_room)):
        if room is not None and total > room:
            total, limits[name] = max(0, room), max(0, room)
    base = min(base, total)
    fitting = _fitting(by_campaign, total - base)
    return Earned(base, total - base, fitting, _because(basis, terms, factors, limits, fitting))


def _fitting(by_campaign: Mapping[int, int], bonus: int) -> dict[int, int]:
    """No more than the bonus that was left by the caps of the order and the day."""
    found, left = {}, bonus
    for one, points in by_campaign.items():
        found[one] = min(points, left)
        left -= found[one]
    return {one: points for one, points in found.items() if points}


def _because(
    basis: int, terms: Terms, factors: Sequence[int], limits: Mapping[str, int], by_campaign: Mapping[int, int]
) -> dict[str, Any]:
    told: dict[str, Any] = {"basis": basis, "rate": terms.rate, "factors": list(factors)}
    if terms.tier:
        told["tier"] = terms.tier
    if terms.boosts:
        told["campaigns"] = [[one.campaign_id, one.name, one.factor] for one in chosen(terms.boosts)]
        told["by_campaign"] = [[one, points] for one, points in by_campaign.items()]
    return {**told, "limits": dict(limits)} if limits else told


def still_earned(because: Mapping[str, Any], awarded: int, refunded: int) -> int:
    """What of the awarded points remains when so many fen came back in all: the same rule on what is left.

    Never more than was awarded, so that it does not matter in how many parts money comes back (I16, I17).
    """
    left = max(0, int(because["basis"]) - refunded)
    return min(awarded, exact(left, int(because["rate"]), [int(one) for one in because["factors"]]))


def by_line(amounts: Sequence[int], points: int) -> list[int]:
    """The points of an order shared out to its lines by their amounts: the largest remainders get the rest (I23)."""
    whole = sum(amounts)
    if whole <= 0:
        return [points, *(0 for _ in amounts[1:])] if amounts else []
    shares = [divmod(one * points, whole) for one in amounts]
    rest = points - sum(share for share, _ in shares)
    first = sorted(range(len(amounts)), key=lambda one: (-shares[one][1], one))[:rest]
    return [share + (number in first) for number, (share, _) in enumerate(shares)]

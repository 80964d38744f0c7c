"""Which points are looked at by themselves, pure: by kind, state and tier of who had them, where that can be borne.

A split stands for itself when 30 people have redeemed of it and its months reach as far as those of all together; the
others are put together, first over the tiers of a state, then over the states of a kind; what does not stand even so
goes by the pattern of all. A change of policy cuts each of them: see ``triangle.heard``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loyalty.liability.forecast import ENDS, UNKNOWN, Pattern, pattern
from loyalty.liability.triangle import ENOUGH, Cell, Era, cut, heard, pooled

Name = tuple[str, ...]
REST = "*"
"""In place of a state or tier: those that do not stand for themselves, together."""
ALONE, FEW, SHORT = "", "few", "short"
"""How it goes: by itself; by all together, for too few have redeemed of it, or its months do not reach far enough."""


@dataclass(frozen=True)
class Part:
    """Points that are looked at together."""

    name: Name
    """Kind, state, tier; ``REST`` where several were put together."""
    cell: Cell
    of: Mapping[Name, str]
    """The splits in it, each with why it does not stand for itself (``ALONE`` of one that does)."""
    why: str
    """``ALONE``, or why it goes by all together."""


def parts(cells: Mapping[Name, Cell], eras: Sequence[Era]) -> list[Part]:
    """Every split in exactly one part, in the order of their names."""
    whole = _patterns(pooled(cells.values()), eras)
    by_kind: dict[str, dict[str, dict[Name, Cell]]] = defaultdict(lambda: defaultdict(dict))
    for name in sorted(cells):
        by_kind[name[0]][name[1]][name] = cells[name]
    found: list[Part] = []
    for kind, by_state in by_kind.items():
        rest: dict[Name, str] = {}
        for state, some in by_state.items():
            alone, left = _standing(some, (kind, state, REST), cells, whole, eras)
            found += alone
            rest |= left
        if rest:
            cell = pooled(cells[one] for one in rest)
            found.append(Part((kind, REST, REST), cell, rest, _why_not(cell, whole, eras)))
    return found


def _standing(
    some: Mapping[Name, Cell], together: Name, cells: Mapping[Name, Cell], whole: Sequence[Pattern], eras: Sequence[Era]
) -> tuple[list[Part], dict[Name, str]]:
    """The tiers of a state that stand, alone or the others together, and those that do not, with the reason."""
    why = {name: _why_not(cell, whole, eras) for name, cell in some.items()}
    found = [Part(name, some[name], {name: ALONE}, ALONE) for name in some if why[name] == ALONE]
    left = {name: reason for name, reason in why.items() if reason != ALONE}
    if len(left) > 1:
        cell = pooled(cells[one] for one in left)
        if _why_not(cell, whole, eras) == ALONE:
            return [*found, Part(together, cell, left, ALONE)], {}
    return found, left


def _why_not(cell: Cell, whole: Sequence[Pattern], eras: Sequence[Era]) -> str:
    if cell.redeemers < ENOUGH:
        return FEW
    own = _patterns(cell, eras)
    reaches = all(_reach(one) >= _reach(other) for one, other in zip(own, whole, strict=True))
    return ALONE if reaches else SHORT


def _patterns(cell: Cell, eras: Sequence[Era]) -> list[Pattern]:
    return [pattern(heard(cell, one, eras).cohorts, one.lives) for one in eras]


def _reach(one: Pattern) -> int:
    """How far it is known: not at all, by a fitted tail, to the end; what is not known at some age is not known."""
    if one.tail == UNKNOWN or any(factor is None for factor in one.factors):
        return 0
    return 2 if one.tail == ENDS else 1


Piece = tuple[Name, int]
"""A part in an era, by its place."""


def arranged(found: Sequence[Part], eras: Sequence[Era]) -> tuple[dict[Piece, Cell], dict[Piece, Cell]]:
    """What is estimated together, and by whose pattern each goes."""
    whole = pooled(one.cell for one in found)
    all_ = [heard(whole, era, eras) for era in eras]
    cells: dict[Piece, Cell] = {}
    by: dict[Piece, Cell] = {}
    for one in found:
        for place, era in enumerate(eras):
            own = cut(one.cell, era)
            if own.cohorts:
                cells[one.name, place] = own
                by[one.name, place] = heard(one.cell, era, eras) if one.why == ALONE else all_[place]
    return cells, by

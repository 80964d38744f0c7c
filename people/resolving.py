"""Who is one person: the partition of anchors that follows from evidence. Pure: no database, no clock.

Every pair of anchors that share something strong is a candidate; candidates are taken in an order that depends on
nothing but the evidence itself, and each joins two groups unless something speaks against it. So the same evidence
gives the same people, in whatever order it came. Rules: loyalty.md §6.3.

``people.joining`` keeps the evidence, ``people.merging`` moves what belongs to whom.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import combinations

from people import blocklist
from people.identities import PHONE

RULES = "1"
"""The version of what is written here; every explanation names it."""
STRONG, BOUND, MEDIUM = "strong", "bound", "medium"
"""How much a piece of evidence says: certain; a rep's word; a hint that only proposes."""
FRESH = timedelta(days=180)
"""A number that was silent for longer may have been given to somebody else."""
MOST_ANCHORS = 5
"""What more anchors are known by names nobody (quarantine)."""
UNIONID, EXTERNAL, OPENID = "unionid", "external_userid", ":openid"
LIMITS: Mapping[str, int] = {UNIONID: 1, EXTERNAL: 5, OPENID: 1, ":": 3, PHONE: 5}
"""How many strong identities of one type a person may have; of numbers one is the current one, the others history."""
TWO_UNIONIDS, TOO_MANY, GUARDED, BOUND_TWICE = "two_unionids", "too_many", "guarded", "bound_twice"
BY_HAND, BY_EVIDENCE, BY_REP = 0, 1, 2
"""Tiers of candidates: somebody said so; two certain identities agree; a rep bound them."""

Value = tuple[str, str]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Edge:
    """One piece of evidence: an anchor is known by an identity, from ``first`` to ``last`` at least."""

    anchor: int
    type: str
    value: str
    strength: str
    first: datetime
    last: datetime
    released: datetime | None = None
    home: bool = False

    @property
    def about(self) -> Value:
        """(type, value)."""
        return self.type, self.value


@dataclass(frozen=True)
class Candidate:
    """Two anchors that may be one person, and what says so."""

    tier: int
    type: str
    value: str
    since: datetime | None
    a: int
    b: int


@dataclass(frozen=True)
class Doubt:
    """Two groups that stay apart although something speaks for joining them; each named by one of its anchors."""

    a: int
    b: int
    type: str
    value: str
    reason: str
    """Why they were not joined; empty: what speaks for it only proposes."""


@dataclass(frozen=True)
class Partition:
    """Who is one person."""

    head: Mapping[int, int]
    """Of every anchor the one that speaks for it."""
    sure: Mapping[int, int]
    """The same where reps' words alone do not join: whose points may be spent together."""
    joined: tuple[Candidate, ...]
    """What joined them."""
    conflicts: tuple[Doubt, ...]
    proposals: tuple[Doubt, ...]
    quarantined: frozenset[Value]
    excess: frozenset[tuple[int, str, str]]
    """(anchor, type, value) that count for nothing: one anchor has too many of them."""

    def groups(self) -> dict[int, list[int]]:
        """The anchors of each head."""
        found: dict[int, list[int]] = defaultdict(list)
        for anchor in sorted(self.head):
            found[self.head[anchor]].append(anchor)
        return dict(found)


def pair_of(one: int, other: int) -> Pair:
    """Two anchors as a pair, the smaller number first."""
    return min(one, other), max(one, other)


def kind_of(type_: str) -> str:
    """Which row of ``LIMITS`` a type falls under: itself, ``:openid`` or (member of another system) ``:``."""
    if ":" not in type_:
        return type_
    return OPENID if type_.endswith(OPENID) else ":"


def limit_of(type_: str) -> int:
    """How many strong identities of this very type one person may have."""
    return LIMITS.get(kind_of(type_), LIMITS[":"])


def rank_of(type_: str) -> int:
    """Its place among the kinds, the surest first."""
    return list(LIMITS).index(kind_of(type_)) if kind_of(type_) in LIMITS else len(LIMITS)


def strength(*, verified: bool, source: str, rep: str = "rep:") -> str:
    """What a piece of evidence says, by where it comes from."""
    if verified:
        return STRONG
    return BOUND if source.startswith(rep) else MEDIUM


def mark(type_: str, value: str) -> str:
    """A digest of an identity: an order in which nobody had a hand."""
    return hashlib.sha256(f"{type_}:{value}".encode()).hexdigest()


def resolve(
    edges: Iterable[Edge],
    *,
    cuts: Collection[Pair] = (),
    ties: Collection[Pair] = (),
    guarded: Collection[Pair] = (),
    blocked: Collection[Value] = (),
) -> Partition:
    """The partition that follows from this evidence; pairs are (lower id, higher id).

    ``cuts`` are never one person, ``ties`` are at somebody's word (unless a limit forbids it), ``guarded`` wait for two
    people's decision and stay apart until then, ``blocked`` values count for nothing.
    """
    return _Resolver(list(edges), set(cuts), set(ties), set(guarded), set(blocked)).partition()


@dataclass
class _Resolver:
    edges: list[Edge]
    cuts: set[Pair]
    ties: set[Pair]
    guarded: set[Pair]
    blocked: set[Value]
    groups: dict[int, set[int]] = field(default_factory=dict)
    sure: dict[int, set[int]] = field(default_factory=dict)

    def partition(self) -> Partition:
        anchors = {one.anchor for one in self.edges} | {one for pair in self.ties for one in pair}
        self.groups = {one: {one} for one in anchors}
        self.sure = {one: {one} for one in anchors}
        joined, refused = [], []
        for one in self._candidates():
            if self.groups[one.a] is self.groups[one.b]:
                self._join_surely(one)
            elif reason := self._against(one):
                refused.append((one, reason))
            else:
                _join(self.groups, one)
                self._join_surely(one)
                joined.append(one)
        doubts = (Doubt(one.a, one.b, one.type, one.value, why) for one, why in refused if why != "cut")
        return Partition(
            head={one: min(group) for one, group in self.groups.items()},
            sure={one: min(group) for one, group in self.sure.items()},
            joined=tuple(joined),
            conflicts=tuple(self._once_a_pair(doubts)),
            proposals=tuple(self._once_a_pair(self._hints())),
            quarantined=frozenset(self._quarantined),
            excess=self._excess,
        )

    def _join_surely(self, one: Candidate) -> None:
        if one.tier != BY_REP:
            _join(self.sure, one)

    # what counts

    @cached_property
    def _live(self) -> dict[Value, list[Edge]]:
        """Every value that can join anybody, with its edges."""
        found: dict[Value, list[Edge]] = defaultdict(list)
        for one in self.edges:
            if one.about not in self.blocked and not blocklist.names_nobody(*one.about):
                found[one.about].append(one)
        return found

    @cached_property
    def _quarantined(self) -> set[Value]:
        return {about for about, some in self._live.items() if len({one.anchor for one in some}) > MOST_ANCHORS}

    @cached_property
    def _excess(self) -> frozenset[tuple[int, str, str]]:
        """Of one anchor's strong identities of a type those beyond the limit: the later ones, of numbers the older."""
        own: dict[tuple[int, str], dict[str, Edge]] = defaultdict(dict)
        for about, some in self._live.items():
            for one in some:
                if one.strength == STRONG and about not in self._quarantined:
                    known = own[one.anchor, one.type].get(one.value, one)
                    own[one.anchor, one.type][one.value] = min(known, one, key=lambda each: _age(each))
        return frozenset(
            (anchor, type_, one.value)
            for (anchor, type_), some in own.items()
            for one in sorted(some.values(), key=_age)[limit_of(type_) :]
        )

    @cached_property
    def _counting(self) -> dict[Value, list[Edge]]:
        return {
            about: [one for one in some if (one.anchor, one.type, one.value) not in self._excess]
            for about, some in self._live.items()
            if about not in self._quarantined
        }

    @cached_property
    def _strong_of(self) -> dict[int, dict[str, set[str]]]:
        """The strong values of each anchor by type."""
        found: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for some in self._counting.values():
            for one in some:
                if one.strength == STRONG and one.released is None:
                    found[one.anchor][one.type].add(one.value)
        return found

    @cached_property
    def _bound_to(self) -> dict[Value, set[int]]:
        """Which anchors a rep has bound to each value."""
        return {
            about: {one.anchor for one in some if one.strength == BOUND and one.released is None}
            for about, some in self._counting.items()
        }

    # what may join

    def _candidates(self) -> list[Candidate]:
        found = {Candidate(BY_HAND, "", "", None, *pair) for pair in self.ties}
        for (type_, value), some in self._counting.items():
            for one, other in combinations(some, 2):
                if one.anchor != other.anchor and (tier := _tier(one, other)) is not None:
                    a, b = sorted((one.anchor, other.anchor))
                    found.add(Candidate(tier, type_, value, max(one.first, other.first), a, b))
        return sorted(found, key=self._place)

    def _place(self, one: Candidate) -> tuple[object, ...]:
        """Its place in an order that does not depend on ids: they say who came first to us, not what is true."""
        names = sorted((self._name(one.a), self._name(one.b)))
        since = one.since.timestamp() if one.since else 0.0
        return (one.tier, rank_of(one.type), since, mark(one.type, one.value), names, one.a, one.b)

    def _name(self, anchor: int) -> str:
        return self._names.get(anchor, "")

    @cached_property
    def _names(self) -> dict[int, str]:
        """Of each anchor a name that is made of what it is known by."""
        own: dict[int, set[str]] = defaultdict(set)
        for one in self.edges:
            own[one.anchor].add(f"{int(not one.home)}{mark(one.type, one.value)}")
        return {anchor: "".join(sorted(some)) for anchor, some in own.items()}

    def _against(self, one: Candidate) -> str:
        """Why these two groups may not become one; empty: they may."""
        left, right = self.groups[one.a], self.groups[one.b]
        if _across(self.cuts, left, right):
            return "cut"
        if why := self._over_limit(left | right):
            return why
        if _across(self.guarded, left, right) and one.tier != BY_HAND:
            return GUARDED
        bound = self._bound_to.get((one.type, one.value), set()) & (left | right)
        return BOUND_TWICE if one.tier == BY_REP and len(bound) > 1 else ""

    def _over_limit(self, group: set[int]) -> str:
        held: dict[str, set[str]] = defaultdict(set)
        for anchor in group:
            for type_, values in self._strong_of.get(anchor, {}).items():
                held[type_] |= values
        over = sorted(type_ for type_, values in held.items() if len(values) > limit_of(type_))
        if not over:
            return ""
        return TWO_UNIONIDS if UNIONID in over else TOO_MANY

    # what is left to be asked

    def _hints(self) -> Iterator[Doubt]:
        """What two groups share that is not enough to join them."""
        for type_, value in sorted(self._counting, key=lambda about: (rank_of(about[0]), mark(*about))):
            live = [one for one in self._counting[type_, value] if one.released is None]
            for one, other in combinations(sorted(live, key=lambda each: self._name(each.anchor)), 2):
                if one.anchor != other.anchor and _tier(one, other) is None:
                    a, b = sorted((one.anchor, other.anchor))
                    yield Doubt(a, b, type_, value, "")

    def _once_a_pair(self, doubts: Iterable[Doubt]) -> Iterator[Doubt]:
        """Only those between groups that are apart in the end, and nobody has cut; the first of each pair of groups."""
        seen = set()
        for one in doubts:
            left, right = self.groups[one.a], self.groups[one.b]
            pair = tuple(sorted((min(left), min(right))))
            if left is not right and pair not in seen and not _across(self.cuts, left, right):
                seen.add(pair)
                yield Doubt(pair[0], pair[1], one.type, one.value, one.reason)


def _age(one: Edge) -> tuple[float, str]:
    when = -one.last.timestamp() if one.type == PHONE else one.first.timestamp()
    return when, mark(one.type, one.value)


def _tier(one: Edge, other: Edge) -> int | None:
    """How surely two pieces of evidence about the same value make one person; None: they only hint at it."""
    if not _at_one_time(one, other):
        return None
    if {one.strength, other.strength} == {STRONG}:
        return BY_EVIDENCE
    if one.strength == BOUND and (other.strength == STRONG or other.home):
        return BY_REP
    if other.strength == BOUND and (one.strength == STRONG or one.home):
        return BY_REP
    return None


def _at_one_time(one: Edge, other: Edge) -> bool:
    """Whether both were known by it while it can have meant the same person.

    A number that was given up means nobody from then on, one that was silent for half a year perhaps somebody else.
    """
    earlier, later = sorted((one, other), key=lambda each: (each.first, each.last))
    if earlier.released is not None and later.first >= earlier.released:
        return False
    if later.released is not None and earlier.first >= later.released:
        return False
    return one.type != PHONE or later.first - earlier.last <= FRESH


def _join(groups: dict[int, set[int]], one: Candidate) -> None:
    left, right = groups[one.a], groups[one.b]
    if left is not right:
        left |= right
        for anchor in right:
            groups[anchor] = left


def _across(pairs: Collection[Pair], left: set[int], right: set[int]) -> bool:
    return any((a in left and b in right) or (a in right and b in left) for a, b in pairs)

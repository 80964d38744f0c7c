"""A small model of what happens between one customer and some reps, written apart from the product.

It lives a random life second by second and writes down two things: what WeCom would tell of it, and what is true at
the end. Within one second it only does what the events, which carry whole seconds, can tell apart.
"""

import random
from dataclasses import dataclass, field

ADD, HALF, BY_REP, BY_CUSTOMER, HANDED_OVER, EDIT = "add", "half", "by_rep", "by_customer", "handed_over", "edit"
ENDS = {BY_REP: "rep", BY_CUSTOMER: "customer", HANDED_OVER: "transfer"}


@dataclass(frozen=True)
class Told:
    """One event."""

    what: str
    rep: str
    at: int
    code: str = ""
    state: str = ""


@dataclass
class Side:
    """One rep's side: [began, confirmed, ended, ended by, origin, state] for each time together."""

    times: list[list[object]] = field(default_factory=list)
    ended_again: str = ""

    @property
    def together(self) -> bool:
        return bool(self.times) and self.times[-1][2] is None

    @property
    def confirmed(self) -> bool:
        return self.together and self.times[-1][1] is not None

    @property
    def state(self) -> str:
        if not self.times:
            return "unknown"
        if self.together:
            return "active" if self.confirmed else "half"
        by = self.times[-1][3]
        if by == "transfer":
            return "transferred"
        return "ended_by_both" if self.ended_again not in ("", by) else f"ended_by_{by}"


class Life:
    """A random life of one customer."""

    def __init__(self, seed: int, reps: tuple[str, ...], start: int, length: int) -> None:
        self.rng = random.Random(seed)
        self.sides = {rep: Side() for rep in reps}
        self.told: list[Told] = []
        self.now = start
        self._this_second: dict[str, list[str]] = {}
        while len(self.told) < length:
            self._step()

    def _step(self) -> None:
        if self.rng.random() < 0.7:
            self.now += self.rng.choice((1, 2, 30, 200, 5000))
            self._this_second = {}
        rep = self.rng.choice(list(self.sides))
        side, before = self.sides[rep], self._this_second.setdefault(rep, [])
        choices = [one for one in self._possible(side) if one not in before and self._can_be_told_apart(one, before)]
        if choices:
            before.append("was " + side.state)
            what = self.rng.choice(choices)
            getattr(self, f"_{what}")(rep, side)

    def _possible(self, side: Side) -> list[str]:
        if side.confirmed:
            return [BY_REP, BY_CUSTOMER, EDIT, "transfer"]
        if side.together:
            return [ADD, BY_REP]
        again = {"ended_by_rep": [BY_CUSTOMER], "ended_by_customer": [BY_REP]}.get(side.state, [])
        return [ADD, ADD, HALF, HALF, *again] + ([EDIT] if side.times else [])

    def _can_be_told_apart(self, what: str, before: list[str]) -> bool:
        """Events of one second have no order: leave out what could have been another story."""
        done = [one for one in before if not one.startswith("was ")]
        if not done or what == EDIT:
            return True
        ended = any(one in ENDS for one in done)
        if what == "transfer":
            return done == [ADD]
        if what in ENDS:
            return not ended and before[0] != "was half" and (before[0].startswith("was ended") is False)
        return before[0] == "was active" if ended else done == [HALF]

    def _told(self, what: str, rep: str, **more: str) -> None:
        self._this_second.setdefault(rep, []).append(what)
        self.told.append(Told(what, rep, self.now, **more))

    def _add(self, rep: str, side: Side) -> None:
        state = self.rng.choice(("", "counter"))
        if side.together:
            side.times[-1][1] = self.now
            side.times[-1][5] = side.times[-1][5] or state or None
        else:
            side.times.append([self.now, self.now, None, None, "arrival", state or None])
            side.ended_again = ""
        self._told(ADD, rep, code=self._code(), state=state)

    def _half(self, rep: str, side: Side) -> None:
        side.times.append([self.now, None, None, None, "arrival", "counter"])
        side.ended_again = ""
        self._told(HALF, rep, code=self._code(), state="counter")

    def _code(self) -> str:
        return f"code{self.rng.getrandbits(60)}"

    def _by_rep(self, rep: str, side: Side) -> None:
        self._end(BY_REP, rep, side)

    def _by_customer(self, rep: str, side: Side) -> None:
        self._end(BY_CUSTOMER, rep, side)

    def _end(self, what: str, rep: str, side: Side) -> None:
        if side.together:
            side.times[-1][2], side.times[-1][3] = self.now, ENDS[what]
        else:
            side.ended_again = ENDS[what]
        self._told(what, rep)

    def _edit(self, rep: str, side: Side) -> None:
        self._told(EDIT, rep)

    def _transfer(self, rep: str, side: Side) -> None:
        """A colleague who does not have the customer takes over; he is added without code and state."""
        free = [
            one
            for one, other in self.sides.items()
            if one != rep and not other.together and not self._this_second.get(one)
        ]
        if not free:
            return
        other = self.rng.choice(free)
        self.sides[other].times.append([self.now, self.now, None, None, "transfer", None])
        self.sides[other].ended_again = ""
        self._told(ADD, other)
        self._end(HANDED_OVER, rep, side)

    def shuffled(self) -> list[Told]:
        """What is told, in any order, some of it more than once."""
        events = [*self.told, *self.rng.choices(self.told, k=len(self.told) // 4)]
        self.rng.shuffle(events)
        return events

"""I1 to I20 and I31 of loyalty.md §2.12: what the books promise, whatever is done to them and in whatever order."""

from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loyalty.ledger.book import Conflict
from loyalty.ledger.claw import ALLOW_DEBT, CLAWS, POLICIES, Policy
from loyalty.ledger.lots import NEVER, NotEnough
from loyalty.ledger.spend import Died, InDebt, Settled, TooMuchBack
from soak import many
from storage.tables import PointsAccount, PointsEntry, PointsHold, PointsLot, PointsLotNow, PointsTxn
from tests import databases
from tests.loyalty.books import Books, day
from tests.machines import Ground, walk

POINTS = st.integers(1, 120)
WHO = st.sampled_from([0, 1, 2])
GONE = ("redeemed", "expired", "donated", "clawed", "claw_loss", "debt", "transit")
REFUSED = (NotEnough, InDebt, Settled, TooMuchBack, Died)


class Points(RuleBasedStateMachine):
    """Three accounts, of three people or of two, their points, and time."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.books = Books(url)
        self.orders: list[tuple[int, int, int, int]] = []
        """Earned by, whose, how many, how many of them refunded."""
        self.holds: list[int] = []
        self.offers: list[tuple[int, int]] = []
        """Which of the holds are to be given, and to whom."""
        self.spent: list[tuple[int, int]] = []
        """Which redemption, how many of it given back."""
        self.keys: list[tuple[str, int, int]] = []

    def teardown(self) -> None:
        self.books.close()

    def _views(self) -> list[int]:
        """An account of each person there is now."""
        return [0, 1] if self.books.joined else [0, 1, 2]

    @rule()
    def two_turn_out_to_be_one_or_not(self) -> None:
        entries, before = len(self.books.rows(PointsEntry)), [self._said(who) for who in (0, 2)]
        self.books.joined = not self.books.joined
        self._adds_up()
        assert len(self.books.rows(PointsEntry)) == entries, "I31"
        after = [self._said(who) for who in (0, 2)]
        self.books.joined = not self.books.joined
        assert [self._said(who) for who in (0, 2)] == before, "I31"
        self.books.joined = not self.books.joined
        assert [self._said(who) for who in (0, 2)] == after, "I31"

    def _adds_up(self) -> None:
        """What a person has and owes is what their accounts have and owe."""
        joined = self.books.joined
        self.books.joined = True
        together = self._said(0)
        self.books.joined = False
        apart = [self._said(who) for who in (0, 2)]
        self.books.joined = joined
        net = sum(one[0] - one[3] for one in apart)
        assert together == (max(0, net), apart[0][1] + apart[1][1], apart[0][2] + apart[1][2], max(0, -net)), "I31"

    def _day(self) -> float:
        return (self.books.now - day(0)) / timedelta(days=1)

    def _tried(self, what: Any) -> Any:
        """What it gives; refused, it must have changed nothing (I13)."""
        before = self.books.everything()
        try:
            return what()
        except REFUSED:
            assert self.books.everything() == before, "I13"
            return None

    @rule(who=WHO, points=POINTS, pends=st.sampled_from([0, 0, 1, 7]), lives=st.sampled_from([None, 3, 9, 9, 30]))
    def earns(self, who: int, points: int, pends: float, lives: float | None) -> None:
        ends = None if lives is None else self._day() + pends + lives
        self.orders.append((self.books.award(points, who=who, lives=ends, pends=pends), who, points, 0))

    @rule(who=WHO, points=POINTS)
    def spends(self, who: int, points: int) -> None:
        there, debt = self.books.standing(who).available, self.books.standing(who).debt
        before = self._remainders(who)
        done = self._tried(lambda: self.books.redeem(points, who=who))
        assert (done is not None) == (points <= there and not debt), "I10"
        if done is not None:
            self.spent.append((done, 0))
            assert self.books.standing(who).available == there - points, "I10"
            self._soonest_first(before, self._remainders(who))

    def _remainders(self, who: int) -> dict[int, tuple[Any, int]]:
        lots = self.books.standing(who).lots
        return {one.lot_id: (one.expires_at or NEVER, one.points) for one in lots if one.alive(self.books.now)}

    def _soonest_first(self, before: dict[int, tuple[Any, int]], after: dict[int, tuple[Any, int]]) -> None:
        touched = [ends for lot, (ends, n) in before.items() if after.get(lot, (ends, 0))[1] < n]
        kept = [ends for lot, (ends, n) in after.items() if n]
        assert not touched or not kept or max(touched) <= min(kept), "I9"

    @rule(who=WHO, points=POINTS, days=st.sampled_from([1, 5]))
    def holds_some(self, who: int, points: int, days: float) -> None:
        if (done := self._tried(lambda: self.books.hold(points, who=who, days=days))) is not None:
            self.holds.append(done)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), share=st.sampled_from([0, 0.5, 1]), grace=st.sampled_from([0, 3]))
    def a_hold_is_decided(self, data: Any, share: float, grace: float) -> None:
        hold = data.draw(st.sampled_from(self.holds))
        (row,) = (one for one in self.books.rows(PointsHold) if one.id == hold)
        points = int(row.amount * share)
        before = row.state
        done = self._tried(
            lambda: self.books.capture(hold, points, grace=grace) if points else self.books.release(hold, grace=grace)
        )
        assert (done is not None) == (before == "open"), "I11"
        if done is not None and points:
            self.spent.append((done, 0))

    @precondition(lambda self: self.spent)
    @rule(data=st.data(), points=POINTS, grace=st.sampled_from([0, 30]))
    def something_is_returned(self, data: Any, points: int, grace: float) -> None:
        number = data.draw(st.integers(0, len(self.spent) - 1))
        spent, back = self.spent[number]
        (txn,) = (one for one in self.books.rows(PointsTxn) if one.id == spent)
        done = self._tried(lambda: self.books.give_back(spent, points, grace=grace))
        assert (done is not None) == (back + points <= txn.result["points"]), "I15"
        if done is not None:
            self.spent[number] = (spent, back + points)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), more=POINTS, rule=st.sampled_from(POLICIES), limit=st.sampled_from([None, 0, 20]))
    def an_order_is_refunded(self, data: Any, more: int, rule: str, limit: int | None) -> None:
        number = data.draw(st.integers(0, len(self.orders) - 1))
        order, who, earned, before = self.orders[number]
        target = min(earned, before + more)
        owed = self._debt()
        self.books.claw(order, target, Policy(rule, limit), who=who)
        now = self._debt()
        assert rule == ALLOW_DEBT or now <= owed, "I18"
        assert now - owed <= (earned if limit is None else limit), "I18"
        assert self._clawed(order) == target, "I16"
        self.orders[number] = (order, who, earned, target)

    @precondition(lambda self: any(refunded for *_, refunded in self.orders))
    @rule(data=st.data(), less=POINTS, grace=st.sampled_from([0, 30]))
    def a_refund_was_another_orders(self, data: Any, less: int, grace: float) -> None:
        refunded = [number for number, one in enumerate(self.orders) if one[3]]
        number = data.draw(st.sampled_from(refunded))
        order, who, earned, before = self.orders[number]
        target = max(0, before - less)
        worth = self._worth()
        self.books.let_back(order, target, grace=grace)
        assert self._clawed(order) == target, "I16"
        assert worth <= self._worth() <= worth + before - target, "I15"
        self.orders[number] = (order, who, earned, target)

    def _worth(self) -> int:
        """What all have, less what all owe."""
        rows = self.books.rows(PointsAccount)
        return sum(one.pending + one.available + one.held - one.debt for one in rows)

    def _debt(self) -> int:
        return sum(one.debt for one in self.books.rows(PointsAccount))

    def _clawed(self, order: int) -> int:
        claws = {one.id for one in self.books.rows(PointsTxn) if one.kind in CLAWS and one.reverses == order}
        entries = self.books.rows(PointsEntry)
        return sum(one.amount for one in entries if one.txn_id in claws and one.bucket == "clawed")

    @rule(who=WHO, points=POINTS)
    def gives_to_the_other(self, who: int, points: int) -> None:
        everybody = [self.books.standing(one) for one in self._views()]
        ends = {one.lot_id: one.expires_at for one in self.books.standing(who).lots}
        known = {one.id for one in self.books.rows(PointsLot)}
        if self._tried(lambda: self.books.transfer(points, who=who)) is None:
            return
        new = [one for one in self.books.rows(PointsLot) if one.id not in known]
        assert all(one.expires_at == ends[one.origin_lot] for one in new), "I20"
        assert sum(one.issued for one in new) == points, "I20"
        after = [self.books.standing(one) for one in self._views()]
        assert sum(one.available - one.debt for one in after) == sum(one.available - one.debt for one in everybody), (
            "I20"
        )

    @rule(who=WHO, points=POINTS, days=st.sampled_from([1, 5]))
    def offers_some_to_the_other(self, who: int, points: int, days: float) -> None:
        if (done := self._tried(lambda: self.books.offer(points, who=who, days=days))) is not None:
            self.holds.append(done)
            self.offers.append((done, 0 if who == 1 else 1))

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def an_offer_is_accepted(self, data: Any) -> None:
        hold, to = data.draw(st.sampled_from(self.offers))
        (row,) = (one for one in self.books.rows(PointsHold) if one.id == hold)
        known = {one.id for one in self.books.rows(PointsLot)}
        ends = {one.lot_id: one.expires_at for one in self.books.rows(PointsLotNow)}
        done = self._tried(lambda: self.books.hand_over(hold, to=to))
        assert done is None or row.state == "open", "I11"
        if done is not None:
            new = [one for one in self.books.rows(PointsLot) if one.id not in known]
            assert all(one.expires_at == ends[one.origin_lot] for one in new), "I20"
            assert sum(one.issued for one in new) == row.amount, "I20"

    @invariant()
    def i20_of_one_family_hands_change_once_and_days_of_grace_are_given_once(self) -> None:
        lots = {one.id: one for one in self.books.rows(PointsLot)}
        for one in lots.values():
            origins = [one.origin]
            while one.origin_lot is not None:
                one = lots[one.origin_lot]
                origins.append(one.origin)
            assert max(origins.count("transfer"), origins.count("restored")) <= 1, "I20"

    @rule(who=WHO, points=POINTS)
    def gives_to_a_cause(self, who: int, points: int) -> None:
        self._tried(lambda: self.books.donate(points, who=who))

    @rule(days=st.sampled_from([0.5, 1, 3, 8, 31]))
    def time_passes(self, days: float) -> None:
        self.books.now += timedelta(days=days)

    @rule()
    def the_books_are_brought_to_the_present(self) -> None:
        before = [self._said(who) for who in self._views()]
        self.books.sweep()
        assert [self._said(who) for who in self._views()] == before, "I7"
        count = len(self.books.rows(PointsTxn))
        self.books.sweep()
        assert len(self.books.rows(PointsTxn)) == count, "I7"

    def _said(self, who: int) -> tuple[int, ...]:
        one = self.books.standing(who)
        return (one.available, one.pending, one.held, one.debt)

    @rule(points=POINTS, other=POINTS)
    def the_till_asks_twice(self, points: int, other: int) -> None:
        key = f"till-{len(self.keys)}"
        done = self._tried(lambda: self.books.redeem(points, key=key))
        assume(done is not None)
        self.keys.append((key, points, done))
        self.spent.append((done, 0))
        for known, asked, first in self.keys:
            before = self.books.everything()
            assert self.books.redeem(asked, key=known) == first, "I12"
            if other != asked:
                with pytest.raises(Conflict):
                    self.books.redeem(other, key=known)
            assert self.books.everything() == before, "I12"

    # --- what always holds ---

    @invariant()
    def i1_every_transaction_sums_to_nothing(self) -> None:
        sums: dict[int, int] = defaultdict(int)
        for one in self.books.rows(PointsEntry):
            sums[one.txn_id] += one.amount
        assert set(sums.values()) <= {0}

    @invariant()
    def i2_i3_i4_what_came_in_is_what_is_there_and_what_went(self) -> None:
        sums: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for one in self.books.rows(PointsEntry):
            sums[one.lot_id][one.bucket] += one.amount
        for lot in self.books.rows(PointsLot):
            said = sums[lot.id]
            there = [said[name] for name in ("pending", "available", "held")]
            arrived = lot.issued if lot.origin in ("transfer", "restored") else 0
            went = sum(said[name] for name in GONE) + arrived
            assert lot.issued == sum(there) + went, "I2"
            assert min(there) >= 0, "I3"
            assert sum(there) <= lot.issued, "I4"
        assert sum(one.amount for one in self.books.rows(PointsEntry) if one.bucket == "transit") == 0, "I2"
        assert all(one.debt >= 0 for one in self.books.rows(PointsAccount)), "I3"

    @invariant()
    def i5_nobody_has_points_and_owes_some(self) -> None:
        for who in self._views():
            one = self.books.standing(who)
            assert not (one.available and one.debt)

    @invariant()
    def i6_what_is_kept_is_what_the_entries_say(self) -> None:
        proof = self.books.verify()
        assert proof.holds, proof.faults

    @invariant()
    def i8_nothing_is_taken_from_a_lot_before_or_after_its_time(self) -> None:
        lots = {one.id: one for one in self.books.rows(PointsLot)}
        txns = {one.id: one for one in self.books.rows(PointsTxn)}
        for one in self.books.rows(PointsEntry):
            out = one.bucket in ("pending", "available") and one.amount < 0
            if out and txns[one.txn_id].kind in ("redeem", "hold", "donate", "transfer"):
                lot, at = lots[one.lot_id], txns[one.txn_id].effective_at
                assert lot.activates_at <= at < (lot.expires_at or NEVER), "I8"

    @invariant()
    def i10_what_was_held_was_taken_or_came_back(self) -> None:
        held = sum(one.amount for one in self.books.rows(PointsHold) if one.state == "open")
        assert held == sum(one.held for one in self.books.rows(PointsLotNow)), "I10"


def test_i1_to_i13_i15_i16_i18_i20_i31_hold_whatever_is_done(ground: Ground) -> None:
    walk(Points, ground, sqlite=20, postgresql=3)


@given(
    earned=st.lists(st.tuples(POINTS, st.sampled_from([None, 5.0, 9.0])), min_size=1, max_size=5),
    share=st.floats(0.1, 1),
    parts=st.lists(st.integers(1, 60), min_size=1, max_size=6),
)
@settings(max_examples=many(15, 500), deadline=None)
def test_i14_whatever_is_given_back_in_time_leaves_every_lot_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_template: Path,
    earned: list[tuple[int, float | None]],
    share: float,
    parts: list[int],
) -> None:
    books = Books(databases.fresh_sqlite(tmp_path_factory.mktemp("i14"), sqlite_template))
    for points, lives in earned:
        books.award(points, lives=lives)
    before = books.left()
    points = max(1, int(sum(one for one, _ in earned) * share))
    spent, left = books.redeem(points), points
    for part in [*parts, points]:
        if left:
            books.give_back(spent, min(part, left))
            left -= min(part, left)
    assert books.left() == before
    books.close()


@given(
    earned=POINTS,
    other=st.integers(0, 120),
    used=st.integers(0, 240),
    parts=st.lists(st.integers(0, 120), max_size=5),
    rule=st.sampled_from(POLICIES),
)
@settings(max_examples=many(15, 500), deadline=None)
def test_i16_i17_i19_it_does_not_matter_in_how_many_parts_an_order_is_refunded(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_template: Path,
    earned: int,
    other: int,
    used: int,
    parts: list[int],
    rule: str,
) -> None:
    ways = []
    for targets in (sorted({min(one, earned) for one in parts} | {earned}), [earned]):
        books = Books(databases.fresh_sqlite(tmp_path_factory.mktemp("i16"), sqlite_template))
        if other:
            books.award(other)
        before = books.standing().available
        order = books.award(earned)
        spent = min(used, earned + other)
        if spent:
            books.redeem(spent)
        for target in targets:
            books.claw(order, target, Policy(rule))
        now = books.standing()
        ways.append((now.available, now.debt, -books.sum("claw_loss")))
        assert rule != ALLOW_DEBT or now.available - now.debt <= before - spent, "I19"
        assert books.verify().holds
        books.close()
    assert ways[0] == ways[1], "I16"

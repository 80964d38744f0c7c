"""Points that die of idleness: what moves their ends, what does not, and that nothing dead comes back (decision 16)."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from sqlalchemy import select, text

from loyalty import notices
from loyalty.expiry import idle_end
from loyalty.ledger import book, bulk, idle, proof
from loyalty.ledger.book import About
from loyalty.ledger.bulk import Award
from loyalty.ledger.lots import Left
from loyalty.ledger.proof import Fault
from storage.tables import PointsAccount, PointsEntry, PointsLot, PointsLotNow, PointsRenewal, PointsTxn
from storage.work import SHANGHAI, Work
from tests.loyalty.books import Books, day
from tests.loyalty.test_invariants import POINTS, WHO, Points
from tests.machines import Ground, walk


def local(text_: str) -> datetime:
    return datetime.fromisoformat(text_).replace(tzinfo=SHANGHAI)


def at(books: Books, text_: str) -> Books:
    books.now = local(text_)
    return books


def ends(books: Books, who: int = 0) -> set[str]:
    """The days from which on what is left is gone."""
    found = [one.expires_at for one in books.standing(who).lots if one.points and one.expires_at]
    return {f"{one.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" for one in found}


def tell(books: Books, upto: str) -> int:
    with books.work() as work:
        return notices.told(work, books.own(0), local(upto), notices.PAGE, "me:1")


# --- worked examples -------------------------------------------------------------------------------------------------


def test_twelve_months_after_a_leap_day_points_are_gone_at_midnight_of_the_shop(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    assert at(books, "2025-02-28T23:59:59").standing().available == 100
    assert at(books, "2025-03-01T00:00").standing().available == 0
    books.sweep()
    assert books.sum("expired") == 100


def test_a_redemption_the_day_before_lets_all_live_on(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    at(books, "2024-05-01T12:00").given(50)
    assert ends(books) == {"2025-03-01 00:00", "2025-05-02 00:00"}
    at(books, "2025-02-28T23:00").redeem(10)
    assert ends(books) == {"2026-03-01 00:00"}
    assert at(books, "2026-02-28T23:00").standing().available == 140
    assert at(books, "2026-03-01T00:00").standing().available == 0


def test_an_order_told_after_they_died_revives_nothing_swept_or_not(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    at(books, "2024-02-29T15:00").buys(100, who=1)
    at(books, "2025-03-02T12:00").sweep()
    at(books, "2024-02-29T15:00").buys(60, who=2)
    at(books, "2025-03-03T12:00")
    for who in (0, 1, 2):
        books.buys(7, who=who, paid=(local("2025-02-20T10:00") - day(0)) / timedelta(days=1))
        assert books.standing(who).available == 7
        assert ends(books, who) == {"2026-02-21 00:00"}
    books.sweep()
    assert books.standing(2).available == 7


def test_an_order_told_late_but_in_time_moves_all_to_the_day_it_was_paid(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    at(books, "2025-01-20T12:00").buys(5, paid=(local("2025-01-10T10:00") - day(0)) / timedelta(days=1))
    assert ends(books) == {"2026-01-11 00:00"}


def test_what_is_told_late_shares_the_end_that_was_reached_since(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    at(books, "2024-10-01T15:00").redeem(10)
    at(books, "2024-10-02T15:00").buys(5, paid=(local("2024-05-10T10:00") - day(0)) / timedelta(days=1))
    assert ends(books) == {"2025-10-02 00:00"}


def test_what_a_clerk_gives_or_takes_and_what_comes_back_moves_nothing(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    hold = at(books, "2024-03-10T12:00").hold(30)
    before = ends(books)
    at(books, "2024-06-01T12:00").given(1, who=1)
    books.release(hold)
    books.award(5, lives=(local("2025-12-31T00:00") - day(0)) / timedelta(days=1))
    books.transfer(1, who=1)
    at(books, "2024-07-01T12:00").sweep()
    assert before == {"2025-03-11 00:00"}
    assert before < ends(books)


def test_what_waits_to_be_given_or_for_others_is_no_activity(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    first, second = (at(books, "2024-12-01T12:00").offer(40) for _ in range(2))
    at(books, "2024-12-02T12:00").release(first)
    books.hand_over(second)
    assert ends(books) == ends(books, 1) == {"2025-03-01 00:00"}


def test_what_is_spent_is_not_moved_and_has_the_end_of_the_others_when_it_comes_back(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    spent = at(books, "2024-03-01T12:00").redeem(100)
    at(books, "2024-05-01T12:00").buys(5)
    before = [one.expires_at for one in books.rows(PointsLotNow)]
    at(books, "2025-04-01T12:00").buys(7)
    after = [one.expires_at for one in books.rows(PointsLotNow)][:2]
    assert [old != new for old, new in zip(before, after, strict=True)] == [False, True], "what had something left"
    at(books, "2026-03-31T12:00").give_back(spent, 60)
    assert ends(books) == {"2026-04-02 00:00"}
    assert books.standing().available == 72
    assert books.verify().holds
    at(books, "2026-05-01T12:00").give_back(spent, 40)
    assert books.standing().available == 0, "it died with the others"
    assert books.sum("expired") == 40
    assert books.verify().holds


def test_an_order_that_earns_nothing_is_a_purchase_all_the_same(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    at(books, "2024-12-01T12:00").buys(0)
    assert ends(books) == {"2025-12-02 00:00"}


def test_what_is_held_moves_with_the_rest_and_comes_back_alive(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    hold = at(books, "2024-03-01T12:00").hold(100, days=800)
    at(books, "2025-02-01T12:00").buys(1)
    at(books, "2025-12-01T12:00").release(hold)
    assert books.standing().available == 101
    assert ends(books) == {"2026-02-02 00:00"}


def test_what_was_given_on_keeps_its_end_until_whoever_has_it_is_active(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    at(books, "2024-12-01T12:00").buys(3, who=1)
    books.transfer(40)
    assert ends(books, 1) == {"2025-03-01 00:00", "2025-12-02 00:00"}
    at(books, "2025-01-01T12:00").redeem(1, who=1)
    assert ends(books, 1) == {"2026-01-02 00:00"}


def test_what_was_given_on_joins_the_others_also_by_a_purchase_that_moves_none_of_them(books: Books) -> None:
    at(books, "2024-02-10T15:00").buys(100)
    at(books, "2024-02-29T15:00").buys(3, who=1)
    books.transfer(40)
    assert ends(books, 1) == {"2025-02-11 00:00", "2025-03-01 00:00"}
    books.buys(1, who=1)
    assert ends(books, 1) == {"2025-03-01 00:00"}


def test_who_is_one_person_is_active_once_for_all_accounts_and_keeps_that_when_parted(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100, who=2)
    books.joined = True
    at(books, "2024-06-01T12:00").buys(10, who=0)
    books.joined = False
    assert ends(books, 2) == {"2025-06-02 00:00"}
    at(books, "2024-08-01T12:00").buys(10, who=0)
    assert ends(books, 2) == {"2025-06-02 00:00"}


def test_each_lot_keeps_the_rule_it_came_in_by(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100, months=24)
    at(books, "2024-03-01T12:00").buys(10, months=6)
    assert ends(books) == {"2026-03-02 00:00", "2024-09-02 00:00"}


def test_of_what_ends_it_is_said_how_many_live_on_by_a_purchase(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    books.award(30, lives=(local("2025-03-01T00:00") - day(0)) / timedelta(days=1))
    books.award(5, lives=(local("2024-12-01T00:00") - day(0)) / timedelta(days=1))
    standing, last = books.standing(), date(2025, 2, 28)
    assert standing.ends(books.now, SHANGHAI) == [(date(2024, 11, 30), 5), (last, 130)]
    assert standing.idle(books.now, SHANGHAI) == {last: 100}


# --- told of ---------------------------------------------------------------------------------------------------------


def test_an_end_that_moved_must_be_told_of_anew(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100, notice_days=7)
    assert tell(at(books, "2025-02-10T12:00"), "2025-03-01") == 1
    at(books, "2025-02-20T12:00").redeem(10)
    assert at(books, "2026-02-22T12:00").standing().available == 90
    assert tell(books, "2026-03-01") == 1
    assert at(books, "2026-03-01T12:00").standing().available == 0


def test_what_waits_to_be_told_of_lives_and_moves(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100, notice_days=7)
    at(books, "2025-05-01T12:00").redeem(10)
    assert ends(books) == {"2026-05-02 00:00"}


def test_what_waits_to_be_told_of_and_is_given_on_lives_until_its_new_owner_was_told(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100, notice_days=7)
    at(books, "2025-05-01T12:00").transfer(40)
    assert (books.standing(0).available, books.standing(1).available) == (60, 40)


def test_what_was_said_of_the_end_before_is_no_notice_of_the_one_after(books: Books) -> None:
    at(books, "2024-02-29T15:00").buys(100, months=1, notice_days=7)
    said = local("2024-03-20T12:00")
    at(books, "2024-03-21T12:00").redeem(1)
    with books.work() as work:
        told = (work, books.own(0), local("2024-06-01T00:00"), notices.CARD, "card:1")
        assert notices.told(*told, said) == 0
        assert notices.told(*told, local("2024-03-21T12:01")) == 1


def test_what_is_told_longer_before_than_a_law_counts_is_no_notice(books: Books) -> None:
    end = (local("2025-03-01T00:00") - day(0)) / timedelta(days=1)
    at(books, "2024-02-29T15:00").award(10, lives=end, jurisdiction="CA-QC", notice_days=30)
    assert tell(at(books, "2024-12-20T12:00"), "2025-03-01") == 0
    assert tell(at(books, "2025-01-01T12:00"), "2025-03-01") == 1


# --- in the books ----------------------------------------------------------------------------------------------------


def test_many_orders_at_once_are_the_same_as_one_after_the_other(books: Books) -> None:
    at(books, "2024-02-29T15:00")
    books.joined = True

    def award(number: int, who: int, paid: str) -> Award:
        when = local(paid)
        about = About("award", f"o{number}", books.now, "test", active=when)
        return Award(books.people[who], [books.idling(10, 1, when)], about, {}, tuple(books.own(who)))

    orders = [(0, "2024-02-01T10:00"), (2, "2024-02-03T10:00"), (1, "2024-02-02T10:00"), (0, "2024-02-20T10:00")]
    with books.work() as work:
        bulk.award_many(work, [award(number, *one) for number, one in enumerate(orders)])
    assert {one for who in (0, 2) for one in ends(books, who)} == {"2024-03-21 00:00"}
    assert ends(books, 1) == {"2024-03-03 00:00"}


def test_whoever_has_none_of_them_pays_nothing_for_them(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """No question more than before there was such a thing."""
    asked: list[Any] = []
    monkeypatch.setattr(idle, "select", lambda *some: asked.append(some))
    books.award(100)
    books.buys(0)
    books.redeem(5)
    books.release(books.hold(5))
    assert not asked
    assert books.rows(PointsRenewal) == []
    assert not any(one.idles for one in books.rows(PointsAccount))


@pytest.mark.parametrize(
    ("changed", "table", "what"),
    [
        ("UPDATE points_lot_now SET expires_at = '2029-01-01 00:00:00'", "points_lot_now", "moved it"),
        ("UPDATE points_account SET idles = false", "points_account", "die of idleness"),
        ("UPDATE points_lot_now SET idle_months = 3", "points_lot_now", "issued"),
    ],
)
def test_an_end_that_nothing_has_moved_is_found(books: Books, changed: str, table: str, what: str) -> None:
    at(books, "2024-02-29T15:00").buys(100)
    with books.work() as work:
        work.db.execute(text(changed))
        (fault,) = _verified(work)
        work.db.rollback()
    assert fault.table == table
    assert what in fault.what


def test_a_renewal_that_nobody_wrote_is_found(books: Books) -> None:
    txn = at(books, "2024-02-29T15:00").buys(100)
    with books.work() as work:
        work.db.add(PointsRenewal(account_id=books.people[0], idle_months=3, ends_at=day(9999), txn_id=txn))
        work.db.flush()
        assert next((one.table, one.id) for one in _verified(work)) == ("points_txn", txn)
        work.db.rollback()
    with pytest.raises(Exception, match="append-only"), books.work() as work:
        work.db.execute(text("UPDATE points_renewal SET idle_months = 1"))


def _verified(work: Work) -> Sequence[Fault]:
    return proof.verify(work.db).faults


# --- whatever is done, in whatever order -----------------------------------------------------------------------------


class Idling(Points):
    """The same people with points that die of idleness among the others: what lives and what moves is watched."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.dead: dict[int, datetime] = {}
        for name in ("buys", "redeem", "hold", "donate"):
            setattr(self.books, name, self._watched(getattr(self.books, name), active=True))
        for name in (
            "award",
            "given",
            "capture",
            "release",
            "give_back",
            "claw",
            "transfer",
            "offer",
            "hand_over",
            "sweep",
        ):
            setattr(self.books, name, self._watched(getattr(self.books, name), active=False))

    def _watched(self, does: Callable[..., Any], *, active: bool) -> Callable[..., Any]:
        def watched(*some: Any, **more: Any) -> Any:
            before, txns = self._lots(), len(self.books.rows(PointsTxn))
            try:
                return does(*some, **more)
            finally:
                after = self._lots()
                acted = active and len(self.books.rows(PointsTxn)) > txns
                self._compare(before, after, self.books.own(more.get("who", 0)) if acted else [], more)

        return watched

    def _compare(self, before: dict[int, Left], after: dict[int, Left], active: list[int], more: Any) -> None:
        now, paid = self.books.now, more.get("paid")
        for lot_id, was in before.items():
            one = after[lot_id]
            if was.idle_months is None or was.account_id not in active or was.over(now):
                assert (one.expires_at, one.not_before) == (was.expires_at, was.not_before), "nothing moved it"
            else:
                least = idle_end(now if paid is None else day(paid), was.idle_months, SHANGHAI)
                assert one.expires_at is not None
                assert was.expires_at is not None
                assert one.expires_at >= max(was.expires_at, least), "its person was active"
                assert one.expires_at == was.expires_at or one.not_before is None, "I32: to be told anew"
            gone = was.points - one.points
            assert gone <= 0 or was.activates_at > now or was.alive(now) or was.over(now), "I8"

    def _lots(self) -> dict[int, Left]:
        """Each with the end to which it was moved, also where nothing is left of it."""
        with self.books.work() as work:
            return book.these_lots(work.db, work.db.scalars(select(PointsLotNow.lot_id)))

    @rule(who=WHO, points=POINTS, notice=st.sampled_from([0, 0, 7]), late=st.sampled_from([0, 0, 3, 20, 50]))
    def buys(self, who: int, points: int, notice: int, late: float) -> None:
        txn = self.books.buys(points, who=who, months=1, notice_days=notice, paid=self._day() - late)
        self.orders.append((txn, who, points, 0))

    @rule(who=WHO, points=POINTS, months=st.sampled_from([1, 2]))
    def is_given_some(self, who: int, points: int, months: int) -> None:
        self.books.given(points, who=who, months=months)

    @rule(who=WHO, days=st.sampled_from([10, 40]))
    def is_told(self, who: int, days: int) -> None:
        with self.books.work() as work:
            notices.told(work, self.books.own(who), self.books.now + timedelta(days=days), notices.PAGE, "me:1")

    @rule()
    def half_a_month_passes(self) -> None:
        self.books.now += timedelta(days=16)

    @invariant()
    def what_has_died_stays_dead(self) -> None:
        for lot_id, one in self._lots().items():
            if lot_id in self.dead:
                assert one.expires_at == self.dead[lot_id]
                assert one.over(self.books.now)
            elif one.over(self.books.now):
                assert one.expires_at is not None
                self.dead[lot_id] = one.expires_at

    @invariant()
    def i8_nothing_is_taken_from_a_lot_before_or_after_its_time(self) -> None:
        lots = {one.id: one for one in self.books.rows(PointsLot)}
        txns = {one.id: one for one in self.books.rows(PointsTxn)}
        for one in self.books.rows(PointsEntry):
            if one.bucket in ("pending", "available") and one.amount < 0 and one.lot_id in self.dead:
                txn = txns[one.txn_id]
                if txn.kind in ("redeem", "hold", "donate", "transfer"):
                    assert lots[one.lot_id].activates_at <= txn.effective_at, "I8"


def test_i1_to_i13_and_i32_hold_with_points_that_die_of_idleness(ground: Ground) -> None:
    walk(Idling, ground, sqlite=12, postgresql=2)

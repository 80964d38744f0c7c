"""Points given from person to person: within the shop's limits, once, whole; what is not accepted comes back."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from loyalty import transfers
from loyalty.ledger.book import Conflict
from loyalty.ledger.lots import NotEnough
from loyalty.transfers import CannotGive, Limits, Named, Party
from storage.tables import Evidence, Gift
from tests.loyalty.books import Books
from tests.loyalty.shelf import Shelf


@pytest.fixture
def shelf(books: Books) -> Shelf:
    books.to(100)
    books.award(1_000)
    return Shelf(books)


def allow(shelf: Shelf, **facts: Any) -> None:
    with shelf.books.work() as work:
        transfers.set_limits(work, Limits(**{"on": True, "accept": False, **facts}), by="boss")


def party(shelf: Shelf, who: int) -> Party:
    own = shelf.books.own(who)
    return Party([shelf.persons[one] for one in own], own)


def give(shelf: Shelf, points: int, *, who: int = 0, to: int = 1, key: str = "") -> Gift:
    shelf.said += 1
    with shelf.books.work() as work:
        return transfers.give(work, party(shelf, who), party(shelf, to), points, key or f"g{shelf.said}")


def refused(shelf: Shelf, points: int, **more: int) -> str:
    before = shelf.books.everything()
    with pytest.raises(CannotGive) as error:
        give(shelf, points, **more)  # type: ignore[arg-type]
    assert shelf.books.everything() == before
    return error.value.code


def settle(shelf: Shelf, what: str, gift: int, who: int = 1) -> Gift:
    with shelf.books.work() as work:
        done: Gift = getattr(transfers, what)(work, gift, shelf.books.own(who))
        return done


def test_nothing_is_given_until_the_shop_turns_it_on(shelf: Shelf) -> None:
    assert refused(shelf, 10) == "off"
    allow(shelf)
    assert give(shelf, 10).state == "done"
    assert [shelf.books.standing(who).available for who in (0, 1)] == [990, 10]
    with pytest.raises(NotEnough):
        give(shelf, 5, who=1, to=2)


def test_one_key_gives_once_and_means_one_gift(shelf: Shelf) -> None:
    allow(shelf)
    assert give(shelf, 10, key="a").id == give(shelf, 10, key="a").id
    with pytest.raises(Conflict):
        give(shelf, 11, key="a")
    assert shelf.books.standing(1).available == 10


def test_a_day_allows_so_many_whoever_asks_how_often_at_once(shelf: Shelf) -> None:
    allow(shelf, day=100)

    def one(number: int) -> str:
        try:
            return give(shelf, 30, to=1 + number % 2, key=f"k{number}").state
        except CannotGive as error:
            return error.code

    with ThreadPoolExecutor(20) as pool:
        assert Counter(pool.map(one, range(20))) == {"done": 3, "day_limit": 17}
    shelf.books.now += timedelta(days=1)
    assert give(shelf, 30).state == "done"


def test_what_they_do_not_have_is_said_before_what_the_day_allows(shelf: Shelf) -> None:
    allow(shelf, day=100)
    assert refused(shelf, 101) == "day_limit"
    with pytest.raises(NotEnough) as error:
        give(shelf, 1_001)
    assert error.value.available == 1_000


def test_newcomers_another_phone_and_oneself_are_refused(shelf: Shelf) -> None:
    allow(shelf, new_days=101)
    assert refused(shelf, 10) == "new"
    allow(shelf)
    assert refused(shelf, 10, to=0) == "oneself"
    with shelf.books.work() as work:
        for value, days in (("13800000001", 50), ("13800000002", 3)):
            at = work.now - timedelta(days=days)
            row = {"type": "phone", "value": value, "source": "pos", "verified": True, "first_seen_at": at}
            work.db.add(Evidence(anchor_id=shelf.persons[shelf.books.people[0]], seen_at=at, **row))
    assert refused(shelf, 10) == "phone"
    shelf.books.now += timedelta(days=5)
    assert give(shelf, 10).state == "done"


def test_what_must_be_accepted_waits_and_goes_or_comes_back_whole(shelf: Shelf) -> None:
    allow(shelf, accept=True)
    first, second, third = (give(shelf, 100) for _ in range(3))
    assert (shelf.books.standing().held, shelf.books.standing(1).available) == (300, 0)
    assert settle(shelf, "accept", first.id).state == settle(shelf, "accept", first.id).state == "done"
    assert settle(shelf, "decline", second.id).state == "declined"
    for what, gift in (("accept", second), ("decline", first)):
        with pytest.raises(CannotGive):
            settle(shelf, what, gift.id)
    with pytest.raises(CannotGive, match="unknown"):
        settle(shelf, "accept", third.id, who=2)
    shelf.books.now = third.until
    with pytest.raises(CannotGive):
        settle(shelf, "accept", third.id)
    with shelf.books.work() as work:
        assert [transfers.let_go(work, one) for one in transfers.due(work.db, work.now, 9)] == [True]
        assert transfers.due(work.db, work.now, 9) == []
    sent, got = shelf.books.standing(), shelf.books.standing(1)
    assert (sent.available, sent.held, got.available) == (900, 0, 100)


def test_a_number_nobody_has_waits_as_long_and_comes_back_alike(shelf: Shelf) -> None:
    allow(shelf)  # also where nobody has to accept what was not sent to a number

    def sent(receiver: Party, key: str) -> Gift:
        with shelf.books.work() as work:
            return transfers.give(work, party(shelf, 0), receiver, 100, key, named=Named("139****2222", "b"))

    nobody, somebody = Party([], []), party(shelf, 1)
    first, second = sent(nobody, "a"), sent(somebody, "b")
    assert sent(nobody, "a").id == first.id
    assert [(one.state, one.named, one.until) for one in (first, second)] == [("open", "139****2222", first.until)] * 2
    assert shelf.books.standing().held == 200
    with pytest.raises(CannotGive, match="unknown"):
        settle(shelf, "accept", first.id)
    with shelf.books.work() as work:
        assert [one.id for one in transfers.waiting_for(work.db, shelf.books.own(1), work.now)] == [second.id]
    shelf.books.now = first.until
    with shelf.books.work() as work:
        assert [transfers.let_go(work, one) for one in transfers.due(work.db, work.now, 9)] == [True, True]
        assert {(one.state, one.ended_at) for one in transfers.made_by(work.db, shelf.books.own(0), 9)} == {
            ("released", work.now)
        }
    assert (shelf.books.standing().available, shelf.books.standing().held) == (1_000, 0)
    assert shelf.books.verify().holds


def send(shelf: Shelf, to: Party, named: Named, key: str) -> Gift:
    with shelf.books.work() as work:
        return transfers.give(work, party(shelf, 0), to, 100, key, named=named)


def test_that_it_was_declined_is_not_seen_by_whoever_named_a_number(shelf: Shelf) -> None:
    allow(shelf)
    nobodys = send(shelf, Party([], []), Named("139****2222", "a"), "a")
    declined = send(shelf, party(shelf, 1), Named("139****2222", "b"), "b")
    shelf.books.now += timedelta(hours=1)
    assert settle(shelf, "decline", declined.id).state == settle(shelf, "decline", declined.id).state == "open"
    assert shelf.books.standing().held == 200
    with shelf.books.work() as work:
        assert transfers.given_today(work, shelf.books.own(0)) == 200
        assert transfers.waiting_for(work.db, shelf.books.own(1), work.now) == []
    with pytest.raises(CannotGive, match="over"):
        settle(shelf, "accept", declined.id)
    shelf.books.now = nobodys.until
    with shelf.books.work() as work:
        assert [transfers.let_go(work, one) for one in transfers.due(work.db, work.now, 9)] == [True, True]
        ended = {one.id: (one.state, one.ended_at) for one in transfers.made_by(work.db, shelf.books.own(0), 9)}
        assert ended == {nobodys.id: ("released", work.now), declined.id: ("declined", work.now)}
    assert (shelf.books.standing().available, shelf.books.standing().held) == (1_000, 0)


def test_one_key_means_one_number_also_where_no_more_of_it_is_shown(shelf: Shelf) -> None:
    allow(shelf)
    first = send(shelf, party(shelf, 1), Named("139****2222", "a"), "k")
    assert send(shelf, Party([], []), Named("139****2222", "a"), "k").id == first.id, "somebody's or not by now"
    for to in (party(shelf, 1), party(shelf, 2), Party([], [])):
        with pytest.raises(Conflict):
            send(shelf, to, Named("139****2222", "b"), "k")


def test_what_has_died_while_it_waited_is_not_accepted_and_comes_back_once(shelf: Shelf) -> None:
    allow(shelf, accept=True)
    shelf.books.award(50, lives=101)
    gift = give(shelf, 50)
    shelf.books.to(102)
    with pytest.raises(CannotGive, match="gone"):
        settle(shelf, "accept", gift.id)
    shelf.books.now = gift.until
    with shelf.books.work() as work:
        assert transfers.let_go(work, gift.id)
    assert shelf.books.left() == [(50, 106), (1_000, None)]
    again = give(shelf, 50)
    shelf.books.to(107)
    with shelf.books.work() as work:
        assert transfers.let_go(work, again.id)
    assert shelf.books.left() == [(1_000, None)]


@pytest.mark.parametrize(
    "wrong", [{"day": 0}, {"new_days": 367}, {"day": "5"}, {"on": 1}, {"accept": None}, {"more": 1}, {"day": True}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    sensible = {"on": True, "day": 5, "new_days": 0, "phone_days": 0, "accept": True}
    assert Limits(**sensible).day == 5
    with pytest.raises(ValueError, match=r"\w"):
        Limits(**{**sensible, **wrong})

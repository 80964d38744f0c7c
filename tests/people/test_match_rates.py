"""Whom the day's orders were bought by: friends, members, nobody; by store and by rep, within sight."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from people import match_rates, order_lists, persons, today
from people.access import Sight
from storage.database import open_engine, transaction
from storage.tables import Person, ShopOrder
from storage.work import SHANGHAI, Work

NOW = datetime(2026, 11, 27, 4, tzinfo=UTC)
BOSS, LISI = Sight(everybody=True), Sight(everybody=False, userids=frozenset({"lisi"}))


def order(number: str, who: Person | None, paid_at: datetime, store: str, staff: str) -> ShopOrder:
    usual = ShopOrder(source="pos", order_no=number, amount=1, refunded=0, digest="d", received_at=NOW)
    usual.person_id, usual.paid_at, usual.store, usual.staff = who and who.id, paid_at, store, staff
    return usual


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    with transaction(engine) as db:
        friend, lost = (persons.person_of(Work(db, NOW), f"wm{n}", NOW) for n in (1, 2))
        member = Person(first_seen_at=NOW, last_seen_at=NOW)
        db.add(member)
        db.flush()
        persons.relation_of(db, friend, "lisi", "wm1").state = "active"
        persons.relation_of(db, lost, "lisi", "wm2").state = "ended_by_customer"
        bought = [(friend, "静安店", "lisi"), (friend, "静安店", "wangwu"), (lost, "静安店", "lisi"),
                  (member, "徐汇店", "wangwu"), (None, "静安店", "lisi"), (None, "", "")]  # fmt: skip
        for number, (who, store, staff) in enumerate(bought):
            db.add(order(str(number), who, NOW, store, staff))
        db.add(order("before", None, NOW - timedelta(days=1), "静安店", "lisi"))
    yield engine
    engine.dispose()


def test_each_store_and_rep_says_how_many_are_friends_members_and_nobody_s(engine: Engine) -> None:
    with transaction(engine) as db:
        stores = match_rates.by_store(db, BOSS, NOW.date(), SHANGHAI)
        reps = match_rates.by_rep(db, BOSS, NOW.date(), SHANGHAI)
    assert {one.name: (one.orders, one.friends, one.members, one.nobodys) for one in stores} == {
        "静安店": (4, 2, 1, 1), "徐汇店": (1, 0, 1, 0), "": (1, 0, 0, 1)}  # fmt: skip
    assert [(one.name, one.orders, one.known) for one in reps] == [("lisi", 3, 2), ("wangwu", 2, 2)]


def test_the_whole_day_is_what_the_viewer_would_find_among_the_orders(engine: Engine) -> None:
    with transaction(engine) as db:
        boss, lisi = (match_rates.whole(db, sight, NOW.date(), SHANGHAI) for sight in (BOSS, LISI))
        asked = order_lists.Asked(paid=today.bounds(NOW.date(), SHANGHAI))
        found, _after = order_lists.page(db, LISI, asked, limit=50)
        empty = match_rates.whole(db, BOSS, NOW.date() + timedelta(days=3), SHANGHAI)
    assert (boss.orders, boss.friends, boss.members, boss.nobodys, boss.amount) == (6, 2, 2, 2, 6)
    assert (lisi.orders, lisi.friends, lisi.members, lisi.nobodys, lisi.amount) == (3, 2, 1, 0, 3)
    assert len(found) == lisi.orders
    assert (empty.orders, empty.amount) == (0, 0)


def test_a_rep_sees_their_own_and_no_store(engine: Engine) -> None:
    with transaction(engine) as db:
        assert match_rates.by_store(db, LISI, NOW.date(), SHANGHAI) == []
        assert [one.name for one in match_rates.by_rep(db, LISI, NOW.date(), SHANGHAI)] == ["lisi"]

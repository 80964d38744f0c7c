"""Who buys more often in a day, or in more stores, than one person does is told of, until somebody says it is fine."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select

from people import unusual
from people.unusual import Busy, Limits
from storage.database import open_engine, reading, transaction
from storage.tables import Alarm, Person, ShopOrder
from storage.work import Work

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 27, 4, tzinfo=UTC)
TODAY = NOW.astimezone(ZONE).date()
MIDNIGHT = datetime(2026, 11, 26, 16, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def person(engine: Engine) -> int:
    with transaction(engine) as db:
        row = Person(first_seen_at=NOW, last_seen_at=NOW)
        db.add(row)
        db.flush()
        return row.id


def buys(engine: Engine, who: int | None, *stores: str, at: datetime = NOW) -> None:
    with transaction(engine) as db:
        db.add_all(
            ShopOrder(source=f"pos-{who}", order_no=f"{at:%d%H%M}-{number}", person_id=who, paid_at=at, amount=1_000,
                      store=store, digest="d", received_at=NOW, refunded=0)
            for number, store in enumerate(stores)
        )  # fmt: skip


def told(engine: Engine, days: int = 2) -> list[Busy]:
    with reading(engine) as db:
        return list(unusual.recent(db, TODAY, days, ZONE))


def test_six_orders_or_three_stores_of_a_day_are_told_of_and_fewer_are_not(engine: Engine) -> None:
    often, wide, calm = person(engine), person(engine), person(engine)
    buys(engine, often, *[""] * 6)
    buys(engine, wide, "静安", "徐汇", "浦东", "浦东")
    buys(engine, calm, "静安", "徐汇", "", "静安", "徐汇")
    buys(engine, None, *["静安"] * 20)
    assert told(engine) == [Busy(often, TODAY, 6, 0, 6_000), Busy(wide, TODAY, 4, 3, 4_000)]


def test_a_day_is_the_shops(engine: Engine) -> None:
    who = person(engine)
    buys(engine, who, *["静安"] * 3, at=MIDNIGHT)
    buys(engine, who, *["静安"] * 3, at=MIDNIGHT - timedelta(minutes=1))
    assert told(engine) == []
    buys(engine, who, *["静安"] * 3, at=MIDNIGHT + timedelta(minutes=1))
    assert [(one.day, one.orders) for one in told(engine)] == [(TODAY, 6)]


def test_an_alarm_stands_while_somebody_is_to_be_looked_at(engine: Engine) -> None:
    who = person(engine)
    buys(engine, who, *["静安"] * 6)
    with transaction(engine) as db:
        assert unusual.look(Work(db, NOW, zone=ZONE)) == 1
        assert "1 位客户" in db.scalars(select(Alarm.text).where(Alarm.cleared_at.is_(None))).one()
        unusual.say_fine(Work(db, NOW, zone=ZONE), who, True, by="boss")
        assert unusual.look(Work(db, NOW, zone=ZONE)) == 0
        assert db.scalars(select(Alarm).where(Alarm.cleared_at.is_(None))).all() == []


def test_who_was_all_right_stays_so_when_they_are_one_with_another_and_can_be_told_of_again(engine: Engine) -> None:
    head = person(engine)
    other = person(engine)
    with transaction(engine) as db:
        unusual.say_fine(Work(db, NOW, zone=ZONE), other, True, by="boss")
        db.get_one(Person, other).merged_into = head
    buys(engine, head, *["静安"] * 6)
    assert told(engine) == []
    with transaction(engine) as db:
        assert [one.id for one in unusual.fine_people(db)] == [head]
        unusual.say_fine(Work(db, NOW, zone=ZONE), head, False, by="boss")
    assert [one.person_id for one in told(engine)] == [head]


def test_limits_that_would_tell_of_everybody_are_refused(engine: Engine) -> None:
    with transaction(engine) as db:
        work = Work(db, NOW, zone=ZONE)
        with pytest.raises(ValueError, match="2 to 1,000"):
            unusual.set_limits(work, 1, 3, by="boss")
        unusual.set_limits(work, 20, 2, by="boss")
        assert unusual.limits(db) == Limits(20, 2)

"""A till that falls silent at a busy hour is told of; one that is always slow, or new, is not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from people import freshness
from storage.database import open_engine, transaction
from storage.tables import Alarm, OrderSource, ShopOrder
from storage.work import Work

NOW = datetime(2026, 11, 27, 4, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def till(engine: Engine, name: str, an_hour: int, weeks: int = 4, quiet_minutes: float = 20) -> None:
    """A source with so many orders around this hour of each of the last weeks, quiet for so long."""
    with transaction(engine) as db:
        heard = NOW - timedelta(minutes=quiet_minutes)
        db.add(OrderSource(name=name, first_at=NOW - timedelta(weeks=weeks), last_at=heard, orders=1))
        for week in range(1, weeks + 1):
            for number in range(an_hour):
                at = NOW - timedelta(weeks=week, minutes=25 - 50 * number / an_hour)
                db.add(ShopOrder(source=name, order_no=f"{week}-{number}", paid_at=at, amount=100, digest="d",
                                 received_at=at, refunded=0))  # fmt: skip


def look(engine: Engine) -> tuple[int, int]:
    with transaction(engine) as db:
        return freshness.look(Work(db, NOW))


def texts(engine: Engine) -> list[str]:
    with transaction(engine) as db:
        return list(db.scalars(select(Alarm.text).where(Alarm.cleared_at.is_(None))))


def test_a_busy_till_that_is_silent_for_a_quarter_of_an_hour_is_told_of_by_name(engine: Engine) -> None:
    till(engine, "静安店", 30, quiet_minutes=16)
    till(engine, "徐汇店", 30, quiet_minutes=14)
    assert look(engine) == (2, 1)
    (text,) = texts(engine)
    assert text.startswith("订单来源“静安店”已有 16 分钟没有新订单，往常这个时段每小时约 30 笔")


@pytest.mark.parametrize(("an_hour", "weeks"), [(4, 4), (30, 3), (0, 4)])
def test_a_slow_or_new_till_may_be_silent(engine: Engine, an_hour: int, weeks: int) -> None:
    till(engine, "静安店", an_hour, weeks)
    assert look(engine) == (1, 0)


def test_the_alarm_is_over_when_orders_come_again(engine: Engine) -> None:
    till(engine, "静安店", 30)
    look(engine)
    with transaction(engine) as db:
        db.get_one(OrderSource, "静安店").last_at = NOW
    assert look(engine) == (1, 0)
    assert texts(engine) == []

"""Whether a till or shop has fallen silent: no order for longer than its own past makes believable.

For each hour of the week it is counted how many orders the four last such hours had. By that rate (orders as a Poisson
stream) a silence of 15 minutes or more is an alarm when it would come by chance less than once in a thousand times: at
a busy hour after a quarter of an hour, at a slow one later or never.
"""

import math
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from people import alarms
from storage.tables import OrderSource, ShopOrder
from storage.work import Work

WEEKS = 4
SHORTEST = timedelta(minutes=15)
CHANCE = 0.001
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def look(work: Work) -> tuple[int, int]:
    """See which sources are silent and let one alarm name them; how many were looked at and how many are silent."""
    sources = work.db.scalars(select(OrderSource).order_by(OrderSource.name)).all()
    told = []
    for one in sources:
        rate = _per_hour(work.db, one.name, work.now)
        quiet = _is_silence(work.now - one.last_at, rate)
        one.quiet_since = one.last_at if quiet else None
        if quiet:
            told.append(WORDS.format(one.name, int((work.now - one.last_at) / MINUTE), f"{rate:.0f}"))
    if told:
        alarms.raise_alarm(work, ALARM, "；".join(told) + "。请检查收银系统和它的网络")
    else:
        alarms.clear(work, ALARM)
    return len(sources), len(told)


ALARM = "silent_sources"
WORDS = "订单来源“{}”已有 {} 分钟没有新订单，往常这个时段每小时约 {} 笔"


def _is_silence(since: timedelta, per_hour: float) -> bool:
    """Whether nothing for so long is hardly chance at this rate."""
    return since >= SHORTEST and math.exp(-per_hour * (since / HOUR)) < CHANCE


def _per_hour(db: Session, source: str, now: datetime) -> float:
    """Orders an hour at this hour of the week, by the last four weeks; the smallest of them if any had none."""
    counts = [_count(db, source, now - timedelta(weeks=week)) for week in range(1, WEEKS + 1)]
    return 0.0 if 0 in counts else sum(counts) / WEEKS


def _count(db: Session, source: str, around: datetime) -> int:
    """Orders told while they were fresh, in the hour around a moment."""
    own = select(func.count()).select_from(ShopOrder).where(
        ShopOrder.source == source,
        ShopOrder.paid_at.between(around - HOUR / 2, around + HOUR / 2),
    )  # fmt: skip
    return int(db.scalar(own) or 0)

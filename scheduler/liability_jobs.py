"""The job that looks how published forecasts of redemptions did: each month of them once, when it is over."""

from collections.abc import Callable
from itertools import groupby

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from loyalty.ledger import proof
from loyalty.liability import facts, published
from storage.database import reading, transaction
from storage.work import Work

Stopping = Callable[[], bool]


def score(engine: Engine, work: Callable[[Session], Work], stopping: Stopping) -> int:
    """Score every month of every publication that is over and was not; how many. Read outside any transaction."""
    with reading(engine) as db:
        now = work(db)
        today = now.now.astimezone(now.zone).date()
        waiting = published.due(db, today)
    count = 0
    for month, some in groupby(waiting, key=lambda one: one.month):
        if stopping():
            break
        with proof.one_moment(engine) as db:
            told = facts.read(db, published.last_day(month), now.zone)
        with transaction(engine) as db:
            count += published.keep_scores(work(db), list(some), told)
    return count

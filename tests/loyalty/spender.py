"""A process that spends points, for tests of several, or of one that dies; it tells what became of each of its doings.

``dies_at`` is the statement (or, negative, the commit) at which it kills itself without a word, as a power cut would.
"""

import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from loyalty.ledger import earn, spend
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from loyalty.ledger.lots import NotEnough
from storage.database import open_engine, transaction
from storage.work import Work
from tests.forks import Fork
from tests.loyalty.books import START

REFUSED = "refused"


def start(**asked: Any) -> Fork:
    """Begin one."""
    return Fork(_main, asked)


# --- inside the process ----------------------------------------------------------------------------------------------


def _main(asked: Mapping[str, Any]) -> Any:
    """Do what is asked; what became of it."""
    engine = open_engine(asked["url"])
    if asked.get("dies_at"):
        _die(engine, asked["dies_at"])
    work = {"redeem": _redeem_all, "one_by_one": _one_by_one, "anything": _anything}[asked["does"]]
    told = work(engine, asked)
    engine.dispose()
    return told


def _die(engine: Engine, at: int) -> None:
    count = {"statements": 0, "commits": 0}

    def statement(*_: Any) -> None:
        count["statements"] += 1
        if count["statements"] == at:
            os.kill(os.getpid(), signal.SIGKILL)

    if engine.dialect.name == "sqlite":
        event.listen(engine, "before_cursor_execute", statement)
    else:
        _listen_at_the_driver(engine, statement)
    commit = engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        count["commits"] += 1
        if count["commits"] == -at:
            commit(connection)
            os.kill(os.getpid(), signal.SIGKILL)
        commit(connection)

    engine.dialect.do_commit = do_commit  # type: ignore[method-assign]


def _listen_at_the_driver(engine: Engine, statement: Callable[[], None]) -> None:
    """Also what goes in the driver's own words (``storage.at_once``)."""

    class Watched(psycopg.Cursor[Any]):
        def execute(self, *told: Any, **more: Any) -> Any:
            statement()
            return super().execute(*told, **more)

        def executemany(self, *told: Any, **more: Any) -> None:
            statement()
            super().executemany(*told, **more)

    @event.listens_for(engine, "checkout")
    def watch(connection: Any, *_: Any) -> None:
        connection.cursor_factory = Watched


def _redeem(engine: Engine, account: int, points: int, key: str) -> str:
    try:
        with transaction(engine) as db:
            about = About("redeem", key, START, "test", request={"points": points})
            return str(spend.redeem(Work(db, START, cause="test"), account, points, about).id)
    except NotEnough:
        return REFUSED


def _redeem_all(engine: Engine, asked: Mapping[str, Any]) -> list[str]:
    """Every thread once, at once; all under one key where one is given."""
    account, points, threads = asked["account"], asked["points"], asked["threads"]
    keys = [asked.get("key") or f"{asked['name']}-{n}" for n in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda key: _redeem(engine, account, points, key), keys))


def _one_by_one(engine: Engine, asked: Mapping[str, Any]) -> list[str]:
    """Redemptions with the same keys whenever it is started."""
    return [_redeem(engine, asked["account"], asked["points"], f"till-{n}") for n in range(asked["times"])]


def _anything(engine: Engine, asked: Mapping[str, Any]) -> list[list[Any]]:
    """Doings by chance from some threads; of each that was kept: whose account, and how many points it came to."""
    with ThreadPoolExecutor(asked["threads"]) as pool:
        parts = pool.map(lambda n: _doings(engine, asked, f"{asked['name']}-{n}"), range(asked["threads"]))
        return [one for part in parts for one in part]


def _doings(engine: Engine, asked: Mapping[str, Any], name: str) -> list[list[Any]]:
    chance = random.Random(name)
    holds: list[tuple[int, int, int]] = []
    spent: list[tuple[int, int, int]] = []
    kept: list[list[Any]] = []
    doings: Sequence[Callable[..., Any]] = (_earn, _spend, _set_apart, _decide, _return, _give)
    for number in range(asked["times"]):
        does, points = chance.choice(doings), chance.randint(1, 60)
        account, other = chance.sample(asked["accounts"], 2)
        about = About(does.__name__[1:], f"{name}-{number}", START, "test", request={"n": number})
        try:
            with transaction(engine) as db:
                told = does(Work(db, START, cause="test"), about, account, other, points, holds, spent)
        except (NotEnough, spend.TooMuchBack):
            continue
        kept += told
    return kept


def _earn(work: Work, about: About, account: int, other: int, points: int, holds: Any, spent: Any) -> Any:
    earn.award(work, account, [Grant(points, START, START + timedelta(days=points), "purchase")], about)
    return [[account, points]]


def _spend(work: Work, about: About, account: int, other: int, points: int, holds: Any, spent: Any) -> Any:
    spent.append((spend.redeem(work, account, points, about).id, account, points))
    return [[account, -points]]


def _set_apart(work: Work, about: About, account: int, other: int, points: int, holds: Any, spent: Any) -> Any:
    holds.append((spend.hold(work, account, points, START + timedelta(days=1), about).id, account, points))
    return []


def _decide(work: Work, about: About, account: int, other: int, points: int, holds: Any, spent: Any) -> Any:
    if not holds:
        return []
    hold, whose, there = holds.pop()
    taken = min(points, there)
    spend.capture(work, hold, taken, about, timedelta(days=3))
    return [[whose, -taken]]


def _return(work: Work, about: About, account: int, other: int, points: int, holds: Any, spent: Any) -> Any:
    if not spent:
        return []
    txn, whose, there = spent.pop()
    back = min(points, there)
    spend.give_back(work, txn, back, about, timedelta(0))
    return [[whose, back]]


def _give(work: Work, about: About, account: int, other: int, points: int, holds: Any, spent: Any) -> Any:
    spend.transfer(work, account, other, points, about)
    return [[account, -points], [other, points]]

"""Jobs that keep the books of points: bring them to the clock, let go of holds, seal, close days, prove all of it."""

import logging
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from loyalty import accounts, programme
from loyalty.ledger import daily, proof, seals, spend, sweeps
from loyalty.ledger.proof import Proof
from loyalty.ledger.sweeps import Allows
from people import alarms
from storage.database import reading, transaction
from storage.tables import PointsSeal
from storage.work import Work

log = logging.getLogger(__name__)

PORTION = 1_000
"""So many accounts are looked up at once."""
TOGETHER = 20
"""So many are brought to the present in one transaction, so that a till never waits long for one of them."""
ALARM = "points"

MakeWork = Callable[[Session], Work]
Stopping = Callable[[], bool]


def sweep(engine: Engine, work: MakeWork, stopping: Stopping, may_die: Allows = lambda _lot: True) -> int:
    """Bring every account that is behind the clock to the present; how many."""
    count = after = 0
    while not stopping():
        with reading(engine) as db:
            ids = sweeps.due(db, work(db).now, PORTION, after)
        if not ids:
            break
        for first in range(0, len(ids), TOGETHER):
            with transaction(engine) as db:
                for together in accounts.owing_together(db, ids[first : first + TOGETHER]):
                    spend.settle(work(db), together)
                for account_id in ids[first : first + TOGETHER]:
                    count += bool(sweeps.sweep(work(db), account_id, may_die))
            if stopping():
                return count
        after = ids[-1]
    return count


def let_go(engine: Engine, work: MakeWork, stopping: Stopping) -> int:
    """Release the holds that nobody decided in time; how many."""
    count = 0
    while not stopping():
        with reading(engine) as db:
            ids = sweeps.undecided(db, work(db).now, PORTION)
        for hold_id in ids:
            with transaction(engine) as db:
                own = work(db)
                sweeps.let_go(own, hold_id, programme.release_grace(own))
        count += len(ids)
        if len(ids) < PORTION:
            break
    return count


def seal(engine: Engine, work: MakeWork, stopping: Stopping, *, everything: bool = False) -> int:
    """Close blocks until all that was committed is sealed, and write each head down outside; how many transactions."""
    count = 0
    while not stopping():
        with transaction(engine) as db:
            some = seals.seal(work(db), everything=everything)
        if not some:
            break
        count += some
        _tell_head(engine)
    return count


def _tell_head(engine: Engine) -> None:
    """The last seal goes into the log, and into a file beside the data."""
    with reading(engine) as db:
        last = db.scalars(select(PointsSeal).order_by(PointsSeal.number.desc()).limit(1)).one()
    log.info("points sealed: block %d, %d transactions, head %s", last.number, last.size, last.hash)
    file = heads_file(engine)
    if not file.parent.is_dir():
        return
    try:
        seals.write_head(file, last.number, last.hash, last.made_at)
    except OSError as error:
        log.warning("the head of the points' seals could not be written to %s: %s", file, error.strerror)


def heads_file(engine: Engine) -> Path:
    """Where the heads of the seals are written: beside SQLite's file; for PostgreSQL in ``data/``, if there is one."""
    name = Path(engine.url.database or "scrm")
    folder = name.parent if engine.dialect.name == "sqlite" else Path("data")
    return folder / f"{name.stem}.points-heads.txt"


def close_days(engine: Engine, work: MakeWork, stopping: Stopping) -> int:
    """Keep the report of every day that is over; how many days."""
    with reading(engine) as db:
        now = work(db)
        days = list(daily.to_close(db, now.now.astimezone(now.zone).date(), now.zone))
    count = 0
    for day in days:
        if stopping():
            break
        with transaction(engine) as db:
            daily.close(work(db), day)
        count += 1
    return count


def prove(engine: Engine, work: MakeWork) -> Proof:
    """Prove the books, the seals against what was written outside, the last closed day; an alarm where they differ."""
    with proof.one_moment(engine) as db:
        zone = work(db).zone
        found = proof.verify(db)
        seals.hold_against(db, found, seals.read_heads(heads_file(engine)))
        day = daily.latest(db)
        differ = daily.differences(db, day, zone) if day is not None else []
    with transaction(engine) as db:
        if found.holds and not differ:
            alarms.clear(work(db), ALARM)
        else:
            alarms.raise_alarm(work(db), ALARM, _alarm([*map(str, found.faults), *differ], found.more))
    return found


def _alarm(faults: list[str], more: int) -> str:
    return f"积分账对不上：{len(faults) + more} 处，第一处是 {faults[0]}。请运行 scrm ledger verify，先不要改动数据库"

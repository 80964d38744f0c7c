"""Bookkeeping after the clock: what has become available, what has died, holds that nobody decided.

Balances do not depend on it (``lots``): it brings the books to where time is already.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import literal_column, select, union
from sqlalchemy.orm import Session

from loyalty.ledger import book, spend
from loyalty.ledger.book import AVAILABLE, EXPIRED, HAS_POINTS, PENDING, About
from loyalty.ledger.lots import Left
from storage.tables import PointsAccount, PointsHold, PointsLotNow, PointsTxn, has_died
from storage.work import Work

Allows = Callable[[Left], bool]


def due(db: Session, at: datetime, limit: int, after: int = 0) -> Sequence[int]:
    """The next accounts whose books are behind the clock, in order; each half of the question has its index."""
    now = PointsLotNow
    activated = select(now.account_id).where(now.pending > literal_column("0"), now.activates_at <= at)
    died = select(now.account_id).where(HAS_POINTS, has_died(at))
    behind = union(activated, died).subquery()
    own = select(behind.c.account_id).where(behind.c.account_id > after)
    return db.scalars(own.order_by(behind.c.account_id).limit(limit)).all()


def sweep(work: Work, account_id: int, may_die: Allows = lambda _lot: True) -> list[PointsTxn]:
    """Bring one account's books to the present: points that have come alive, then those that have died.

    A lot whose end was not told in time has not died (``Left.over``); ``may_die`` keeps others too.
    """
    made = []
    for kind in ("activate", "expire"):
        account = work.db.get_one(PointsAccount, account_id, with_for_update=True, populate_existing=True)
        about = About(kind, f"{kind}:{account_id}:{account.version}", work.now, "clock")
        draft = book.begin(work, about, account_id)
        if isinstance(draft, PointsTxn):
            continue
        for lot in draft.of(account_id):
            if kind == "activate" and lot.alive(work.now):
                draft.move(lot, PENDING, AVAILABLE, lot.pending)
            elif kind == "expire" and lot.over(work.now) and may_die(lot):
                draft.move(lot, PENDING, EXPIRED, lot.pending)
                draft.move(lot, AVAILABLE, EXPIRED, lot.available)
        if kind == "activate":
            draft.repay(account_id)
        if draft.entries:
            made.append(book.write(draft))
    return made


def undecided(db: Session, at: datetime, limit: int) -> Sequence[int]:
    """Open holds whose time is over."""
    own = select(PointsHold.id).where(PointsHold.state == "open", PointsHold.deadline <= at)
    return db.scalars(own.order_by(PointsHold.deadline, PointsHold.id).limit(limit)).all()


def let_go(work: Work, hold_id: int, grace: timedelta) -> None:
    """Release a hold that nobody decided in time; one that was decided meanwhile stays so."""
    try:
        spend.release(work, hold_id, About("release", f"deadline:{hold_id}", work.now, "clock"), grace)
    except spend.Settled:
        return

"""Taking back what an order earned, when it is refunded (loyalty.md §2.6).

The caller says how much of the order's points must be gone by now in all (``target``), so that the order of partial
refunds does not matter; here only what is missing is taken: what has died unspent counts as gone, then the order's own
points, then by policy others', then a debt, and what is left is written down as lost. A refund that turns out to be
another order's lets back what it took, the other way round (``let_back``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loyalty.ledger import book
from loyalty.ledger.book import AVAILABLE, CLAW_LOSS, CLAWED, DEBT, EXPIRED, PENDING, About, Accounts, Draft
from loyalty.ledger.lots import Left, in_order
from loyalty.ledger.spend import come_back
from storage.tables import PointsEntry, PointsLot, PointsTxn
from storage.work import Work

CLAWS = ("claw", "unclaw")
ONLY_PENDING, WITHIN_BALANCE, ALLOW_DEBT = POLICIES = ("only_pending", "within_balance", "allow_debt")


@dataclass(frozen=True)
class Policy:
    """What may be taken for it."""

    rule: str = ALLOW_DEBT
    debt_limit: int | None = None
    """None: as much as the order earned."""


def claw_back(work: Work, accounts: Accounts, earned_by: int, target: int, about: About, policy: Policy) -> PointsTxn:
    """Let ``target`` points of what a transaction brought in be gone in all. Raises ``ValueError`` for more.

    Of several accounts of one person, the others' points are taken before anything is owed.
    """
    ids, about = book.several(accounts), replace(about, kind="claw", reverses=earned_by)
    draft = book.begin(work, about, *ids)
    if isinstance(draft, PointsTxn):
        return draft
    own = _lots(work.db, earned_by)
    earned = sum(one.issued for one in own)
    if not 0 <= target <= earned:
        raise ValueError(f"{target} of {earned} earned points")
    draft.also(one.id for one in own)
    wanted = target - _gone(work.db, earned_by)
    taken = max(0, wanted)
    lots = in_order(draft.lots[one.id] for one in own)
    left = _own(draft, lots, max(0, wanted), policy, earned_by)
    if policy.rule != ONLY_PENDING:
        left = _others(draft, ids, left)
    if policy.rule == ALLOW_DEBT and left:
        limit = earned if policy.debt_limit is None else policy.debt_limit
        owed = min(left, max(0, limit - _owed_for(work.db, earned_by)))
        draft.move(lots[0], DEBT, CLAWED, owed)
        left -= owed
    draft.move(lots[0], CLAW_LOSS, CLAWED, left)
    return book.write(draft, {"points": taken, "lost": left})


def _lots(db: Session, txn_id: int) -> Sequence[PointsLot]:
    return db.scalars(select(PointsLot).where(PointsLot.txn_id == txn_id).order_by(PointsLot.id)).all()


def _gone(db: Session, earned_by: int) -> int:
    """What earlier refunds of it have taken."""
    own = (
        select(func.coalesce(func.sum(PointsEntry.amount), 0))
        .join(PointsTxn, PointsTxn.id == PointsEntry.txn_id)
        .where(PointsTxn.reverses == earned_by, PointsTxn.kind.in_(CLAWS), PointsEntry.bucket == CLAWED)
    )
    return int(db.scalar(own) or 0)


def _owed_for(db: Session, earned_by: int) -> int:
    """What was written as a debt for it before."""
    own = (
        select(func.coalesce(func.sum(PointsEntry.amount), 0))
        .join(PointsTxn, PointsTxn.id == PointsEntry.txn_id)
        .where(PointsTxn.reverses == earned_by, PointsTxn.kind.in_(CLAWS), PointsEntry.bucket == DEBT)
    )
    return -int(db.scalar(own) or 0)


def _own(draft: Draft, lots: Sequence[Left], left: int, policy: Policy, earned_by: int) -> int:
    """Of the order's own lots: what has died first, then pending, then available."""
    died = _died(draft.work.db, earned_by)
    for lot in lots:
        n = min(left, died.get(lot.lot_id, 0))
        draft.move(lot, EXPIRED, CLAWED, n)
        left -= n
    for lot in lots:
        if lot.over(draft.about.at):
            n = min(left, lot.points)
            ready = min(n, lot.available)
            draft.move(lot, AVAILABLE, CLAWED, ready)
            draft.move(lot, PENDING, CLAWED, n - ready)
            left -= n
    for lot in lots:
        waits = lot.activates_at > draft.about.at
        if waits or policy.rule != ONLY_PENDING:
            n = min(left, lot.pending)
            draft.move(lot, PENDING, CLAWED, n)
            left -= n
    if policy.rule != ONLY_PENDING:
        for lot in lots:
            n = min(left, lot.available)
            draft.move(lot, AVAILABLE, CLAWED, n)
            left -= n
    return left


def _died(db: Session, earned_by: int) -> dict[int, int]:
    own = (
        select(PointsEntry.lot_id, func.sum(PointsEntry.amount))
        .join(PointsLot, PointsLot.id == PointsEntry.lot_id)
        .where(PointsLot.txn_id == earned_by, PointsEntry.bucket == EXPIRED)
        .group_by(PointsEntry.lot_id)
    )
    died = {lot_id: int(n) for lot_id, n in db.execute(own)}
    again = _given_again(db, list(died))
    for lot_id in died:
        back = min(again, died[lot_id])
        died[lot_id], again = died[lot_id] - back, again - back
    return died


def _given_again(db: Session, lot_ids: Sequence[int]) -> int:
    """What was given again (补发) of the losses in which these lots had a part: that is not lost to the customer."""
    losses = select(PointsEntry.txn_id).where(PointsEntry.lot_id.in_(lot_ids), PointsEntry.bucket == EXPIRED)
    own = select(func.coalesce(func.sum(PointsLot.issued), 0)).join(PointsTxn, PointsTxn.id == PointsLot.txn_id)
    return int(db.scalar(own.where(PointsTxn.kind == "reissue", PointsTxn.reverses.in_(losses))) or 0)


def _others(draft: Draft, ids: Sequence[int], left: int) -> int:
    for lot in in_order(lot for one in ids for lot in draft.of(one)):
        if lot.alive(draft.about.at):
            n = min(left, lot.points)
            draft.take_out(lot, CLAWED, n)
            left -= n
    return left


# --- back again ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Taken:
    """So many points that a refund took, out of which bucket of which lot, and when."""

    lot_id: int
    out_of: str
    points: int
    at: datetime


def let_back(work: Work, earned_by: int, target: int, about: About, grace: timedelta) -> PointsTxn | None:
    """Let no more than ``target`` points be gone in all; None where no more are.

    What was taken last comes back first, to where it was: a loss and a debt are lessened, points return to their lots,
    or, where those have died since, for the days of ``grace``. What had died before it was taken stays dead.
    """
    about = replace(about, kind="unclaw", reverses=earned_by)
    ids = _touched(work.db, earned_by)
    draft = book.begin(work, about, *ids) if ids else None
    if draft is None or isinstance(draft, PointsTxn):
        return draft
    taken = _taken(work.db, earned_by)
    back = left = max(0, sum(one.points for one in taken) - target)
    if not back:
        return None
    draft.also(one.lot_id for one in taken)
    for one in reversed(taken):
        part = min(left, one.points)
        _return(draft, one, part, grace)
        left -= part
    draft.repay_each(ids)
    return book.write(draft, {"points": back})


def _touched(db: Session, earned_by: int) -> Sequence[int]:
    own = select(PointsEntry.account_id).join(PointsTxn, PointsTxn.id == PointsEntry.txn_id).distinct()
    return db.scalars(own.where(PointsTxn.reverses == earned_by, PointsTxn.kind.in_(CLAWS))).all()


def _taken(db: Session, earned_by: int) -> list[_Taken]:
    """What is gone of it, in the order in which it went; what was let back, the last first, is so no longer.

    A move is two entries, one after the other.
    """
    own = (
        select(PointsEntry.lot_id, PointsEntry.bucket, PointsEntry.amount, PointsTxn.effective_at)
        .join(PointsTxn, PointsTxn.id == PointsEntry.txn_id)
        .where(PointsTxn.reverses == earned_by, PointsTxn.kind.in_(CLAWS))
        .order_by(PointsTxn.id, PointsEntry.number)
    )
    rows = db.execute(own).all()
    found: list[_Taken] = []
    for out, into in zip(rows[::2], rows[1::2], strict=True):
        if into.bucket == CLAWED:
            found.append(_Taken(into.lot_id, out.bucket, into.amount, into.effective_at))
        elif out.bucket == CLAWED:
            _drop(found, into.amount)
    return found


def _drop(taken: list[_Taken], points: int) -> None:
    while points:
        last = taken.pop()
        if last.points > points:
            taken.append(replace(last, points=last.points - points))
        points -= min(points, last.points)


def _return(draft: Draft, one: _Taken, points: int, grace: timedelta) -> None:
    """So many points of one move, the other way round."""
    lot = draft.lots[one.lot_id]
    if one.out_of in (CLAW_LOSS, EXPIRED):
        draft.move(lot, CLAWED, one.out_of, points)
    elif one.out_of == DEBT:
        _forgive(draft, lot, points, grace)
    elif lot.over(one.at):
        draft.move(lot, CLAWED, EXPIRED, points)
    else:
        come_back(draft, lot, CLAWED, points, grace)


def _forgive(draft: Draft, lot: Left, points: int, grace: timedelta) -> None:
    """Owe so much less; what was paid of it since returns to the lots that paid, the last that did first."""
    owed = min(points, draft.debts[lot.account_id])
    draft.move(lot, CLAWED, DEBT, owed)
    left = points - owed
    for payer, paid in _payers(draft, lot.account_id) if left else ():
        part = min(left, paid)
        come_back(draft, payer, CLAWED, part, grace)
        left -= part
    come_back(draft, lot, CLAWED, left, grace)


def _payers(draft: Draft, account_id: int) -> list[tuple[Left, int]]:
    paid = func.sum(PointsEntry.amount)
    own = select(PointsEntry.lot_id, paid).where(PointsEntry.account_id == account_id, PointsEntry.bucket == DEBT)
    own = own.group_by(PointsEntry.lot_id).having(paid > 0).order_by(func.max(PointsEntry.txn_id).desc())
    found = draft.work.db.execute(own).all()
    draft.also(lot_id for lot_id, _ in found)
    return [(draft.lots[lot_id], int(n)) for lot_id, n in found]

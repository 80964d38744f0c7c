"""Taking back what an order earned, when it is refunded (loyalty.md §2.6).

The caller says how much of the order's points must be gone by now in all (``target``), so that the order of partial
refunds does not matter; here only what is missing is taken: what has died unspent counts as gone, then the order's own
points, then by policy others', then a debt, and what is left is written down as lost. A refund that turns out to be
another order's lets back what it took, the other way round (``let_back``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loyalty.ledger import book
from loyalty.ledger.book import AVAILABLE, CLAW_LOSS, CLAWED, DEBT, EXPIRED, PENDING, TRANSIT, About, Accounts, Draft
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


def claw_back(
    work: Work,
    accounts: Accounts,
    earned_by: int,
    target: int,
    about: About,
    policy: Policy,
    because: Mapping[str, Any] | None = None,
) -> PointsTxn:
    """Let ``target`` points of what a transaction brought in be gone in all. Raises ``ValueError`` for more.

    Of several accounts of one person, the others' points are taken before anything is owed. ``because``: why it is so
    many, kept with what was taken.
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
    before = _taken(work.db, earned_by)
    left = taken = max(0, target - sum(one.points for one in before))
    lots = in_order(draft.lots[one.id] for one in own)
    left = _own(draft, lots, left, policy, earned_by)
    if policy.rule != ONLY_PENDING:
        left = _others(draft, ids, left)
    if policy.rule == ALLOW_DEBT and left:
        limit = earned if policy.debt_limit is None else policy.debt_limit
        owed = min(left, max(0, limit - sum(one.points for one in before if one.out_of == DEBT)))
        draft.move(lots[0], DEBT, CLAWED, owed)
        left -= owed
    draft.move(lots[0], CLAW_LOSS, CLAWED, left)
    return book.write(draft, {"points": taken, "lost": left, **({"because": because} if because else {})})


def _lots(db: Session, txn_id: int) -> Sequence[PointsLot]:
    return db.scalars(select(PointsLot).where(PointsLot.txn_id == txn_id).order_by(PointsLot.id)).all()


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


@dataclass
class _Paid:
    """So many points that have paid what an account owes."""

    owing: int
    """The account that owes."""
    account_id: int
    lot_id: int
    """Out of which lot, of which account."""
    owed_lot: int | None
    """By which the other one came to owe, where one account has paid for another; none: it has paid for itself."""
    points: int


def let_back(work: Work, earned_by: int, target: int, about: About, grace: timedelta) -> PointsTxn | None:
    """Let no more than ``target`` points be gone in all; None where no more are.

    What was taken last comes back first, to where it was: a loss and a debt are lessened, points return to their lots,
    or, where those have died since, for the days of ``grace``. What had died before it was taken stays dead, and what
    has paid a debt returns to whoever paid.
    """
    about = replace(about, kind="unclaw", reverses=earned_by)
    touched = _touched(work.db, earned_by)
    draft = _hold_payers(work, about, touched) if touched else None
    if draft is None or isinstance(draft, PointsTxn):
        return draft
    taken, paid = _taken(work.db, earned_by), _paid(work.db, touched)
    back = left = max(0, sum(one.points for one in taken) - target)
    if not back:
        return None
    draft.also(
        [*(one.lot_id for one in taken), *(one.lot_id for one in paid), *(one.owed_lot for one in paid if one.owed_lot)]
    )
    for one in reversed(taken):
        part = min(left, one.points)
        _return(draft, one, part, paid, grace)
        left -= part
    draft.repay_each(draft.accounts)
    return book.write(draft, {"points": back})


def _hold_payers(work: Work, about: About, touched: Sequence[int]) -> Draft | PointsTxn:
    """These accounts, and those that have paid for them, held at once: again if another paid before they were."""
    wanted = {*touched, *_payers(work.db, touched)}
    while True:
        draft = book.begin(work, about, *wanted)
        if isinstance(draft, PointsTxn) or wanted >= (paying := _payers(work.db, touched)):
            return draft
        wanted |= paying


def _payers(db: Session, touched: Sequence[int]) -> set[int]:
    return {one.account_id for one in _paid(db, touched)}


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


def _return(draft: Draft, one: _Taken, points: int, paid: Sequence[_Paid], grace: timedelta) -> None:
    """So many points of one move, the other way round."""
    lot = draft.lots[one.lot_id]
    if one.out_of in (CLAW_LOSS, EXPIRED):
        draft.move(lot, CLAWED, one.out_of, points)
    elif one.out_of == DEBT:
        _forgive(draft, lot, points, paid, grace)
    elif lot.over(one.at):
        draft.move(lot, CLAWED, EXPIRED, points)
    else:
        come_back(draft, lot, CLAWED, points, grace)


def _forgive(draft: Draft, lot: Left, points: int, paid: Sequence[_Paid], grace: timedelta) -> None:
    """Owe so much less; what was paid of it since returns to the lots that paid, the last that did first."""
    left = max(0, points - draft.debts[lot.account_id])
    draft.move(lot, CLAWED, DEBT, points)
    for one in reversed(paid):
        if one.owing == lot.account_id:
            part = min(left, one.points)
            one.points -= part
            left -= part
            _unpay(draft, one, part, grace)


def _unpay(draft: Draft, one: _Paid, points: int, grace: timedelta) -> None:
    """So many points of one payment, the other way round."""
    out_of = DEBT
    if one.owed_lot is not None:
        draft.move(draft.lots[one.owed_lot], DEBT, TRANSIT, points)
        out_of = TRANSIT
    come_back(draft, draft.lots[one.lot_id], out_of, points, grace)


def _paid(db: Session, account_ids: Sequence[int]) -> list[_Paid]:
    """What has paid the debts of these accounts and has not returned, in the order in which it did."""
    found: dict[tuple[int, int, int, int | None], int] = {}
    for moves in _debt_moves(db, account_ids):
        for one in _payments(moves):
            if one.owing in account_ids:
                key = (one.owing, one.account_id, one.lot_id, one.owed_lot)
                found[key] = found.pop(key, 0) + one.points
    return [_Paid(*key, points) for key, points in found.items() if points > 0]


Move = tuple[Any, Any]
"""Two entries, one after the other: out of a bucket of a lot, and into another."""


def _debt_moves(db: Session, account_ids: Sequence[int]) -> list[list[Move]]:
    """All moves of each transaction in which these accounts came to owe, or less of it was owed."""
    entry = PointsEntry
    some = select(entry.txn_id).where(entry.account_id.in_(account_ids), entry.bucket == DEBT)
    asked = select(entry.txn_id, entry.account_id, entry.lot_id, entry.bucket, entry.amount)
    rows = db.execute(asked.where(entry.txn_id.in_(some)).order_by(entry.txn_id, entry.number)).all()
    return [
        list(zip(own[::2], own[1::2], strict=True))
        for own in (list(each) for _, each in groupby(rows, key=lambda one: one.txn_id))
    ]


def _payments(moves: Sequence[Move]) -> Iterator[_Paid]:
    """What these moves pay of a debt, or (below zero) return of what was paid.

    From one account to another it goes in transit: what pays goes into it right before the other's debt is paid, and
    comes out of it right after the debt is there again (``Draft.settle``, ``_unpay``).
    """
    over: list[Any] = []
    for (out, into), (after, _) in pairwise([*moves, (None, None)]):
        if into.bucket == DEBT and out.bucket in (PENDING, AVAILABLE):
            yield _Paid(out.account_id, out.account_id, out.lot_id, None, into.amount)
        elif into.bucket == DEBT and out.bucket == TRANSIT:
            yield from (_Paid(out.account_id, one.account_id, one.lot_id, out.lot_id, -one.amount) for one in over)
        elif out.bucket == DEBT and into.bucket == TRANSIT and after.account_id != out.account_id:
            yield _Paid(out.account_id, after.account_id, after.lot_id, out.lot_id, out.amount)
        elif out.bucket == DEBT and into.bucket != CLAWED:
            yield _Paid(out.account_id, out.account_id, out.lot_id, None, out.amount)
        over = [*over, out] if into.bucket == TRANSIT and out.bucket in (PENDING, AVAILABLE) else []

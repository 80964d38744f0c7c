"""Points go out: set apart and taken (hold, capture, release), spent at once, given back, given on.

Exactly what was asked for or nothing; while something is owed nothing goes out. What is given back returns to the lots
it came from, in the reverse order, with the expiry they had (loyalty.md §2.5–2.7). A person may have several accounts:
the soonest to die goes first over all of them, and what one owes the others pay. Whoever spends is active: the points
that die of idleness live on, of all these accounts (``ledger.idle``).

Of the points that came in together and all that came of them, days of grace are given once and hands are changed once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from loyalty import takeover
from loyalty.ledger import book
from loyalty.ledger.book import AVAILABLE, DONATED, EXPIRED, HELD, REDEEMED, TRANSIT, About, Accounts, Draft
from loyalty.ledger.lots import Left, NotEnough, anything, take
from storage.tables import PointsAccount, PointsEntry, PointsHold, PointsLot, PointsTxn
from storage.work import Work

Fits = Callable[[Left], bool]


class InDebt(ValueError):
    """The account owes points; until they are paid nothing goes out."""

    def __init__(self, debt: int) -> None:
        super().__init__(f"{debt} points are owed")
        self.debt = debt


class Settled(ValueError):
    """The hold was captured or released already."""


class Died(ValueError):
    """Some of what was set apart to be given on has died meanwhile."""


class TooMuchBack(ValueError):
    """More than was spent and not yet given back."""


def _take(draft: Draft, ids: Sequence[int], points: int, fits: Fits = anything) -> Sequence[tuple[Left, int]]:
    """From which lots; what is owed is paid first. Raises ``InDebt`` and ``NotEnough``."""
    if points <= 0:
        raise ValueError("at least one point goes out")
    if draft.takes_over and takeover.shut(draft.work):
        raise NotEnough(points, 0)
    if debt := draft.settle(ids):
        raise InDebt(debt)
    return take([lot for one in ids for lot in draft.of(one)], points, draft.about.at, fits)


def redeem(work: Work, accounts: Accounts, points: int, about: About, fits: Fits = anything) -> PointsTxn:
    """Spend points of lots that fit at once. Raises ``NotEnough``, ``InDebt``, ``Conflict``; nothing changed then."""
    return _out(work, accounts, points, about, REDEEMED, fits)


def donate(work: Work, accounts: Accounts, points: int, about: About, fits: Fits = anything) -> PointsTxn:
    """Give points to a cause (``about.source`` names it); that cannot be taken back."""
    return _out(work, accounts, points, about, DONATED, fits)


def _out(work: Work, accounts: Accounts, points: int, about: About, into: str, fits: Fits) -> PointsTxn:
    ids = book.several(accounts)
    corrects = about.reverses is not None
    draft = book.begin(work, about if corrects else replace(about, active=about.at), *ids)
    if isinstance(draft, PointsTxn):
        return draft
    for lot, n in _take(draft, ids, points, fits):
        draft.take_out(lot, into, n)
    return book.write(draft, {"points": points})


# --- in two steps ----------------------------------------------------------------------------------------------------


def hold(
    work: Work,
    accounts: Accounts,
    points: int,
    deadline: datetime,
    about: About,
    fits: Fits = anything,
    *,
    active: bool = True,
) -> PointsTxn:
    """Set points apart until it is decided; they do not die meanwhile. Its id is that of the transaction.

    Of several accounts it stands with the first; its entries say what it took from which. ``active``: whether it is a
    redemption already, by which points that die of idleness live on.
    """
    ids = book.several(accounts)
    draft = book.begin(work, replace(about, active=about.at if active else None), *ids)
    if isinstance(draft, PointsTxn):
        return draft
    for lot, n in _take(draft, ids, points, fits):
        draft.take_out(lot, HELD, n)
    txn = book.write(draft, {"points": points})
    row = {"id": txn.id, "account_id": ids[0], "amount": points, "deadline": deadline, "state": "open"}
    work.db.execute(insert(PointsHold), [{**row, "purpose": about.source[:60]}])
    return txn


def capture(
    work: Work, hold_id: int, points: int | None, about: About, grace: timedelta, person: Sequence[int] = ()
) -> PointsTxn:
    """Spend what a hold has set apart, or so many points of it; the rest comes back. Raises ``Settled``.

    ``person`` are all accounts of theirs, which ``about.active`` renews.
    """
    return _settle(work, hold_id, points, replace(about, kind="capture", reverses=hold_id), grace, person)


def release(work: Work, hold_id: int, about: About, grace: timedelta) -> PointsTxn:
    """Give back all that a hold has set apart. Raises ``Settled``."""
    return _settle(work, hold_id, 0, replace(about, kind="release", reverses=hold_id), grace)


def _settle(
    work: Work, hold_id: int, points: int | None, about: About, grace: timedelta, person: Sequence[int] = ()
) -> PointsTxn:
    held, ids = _held(work, hold_id)
    draft = _deciding(work, held, about, *ids, *person)
    if isinstance(draft, PointsTxn):
        return draft
    wanted = held.amount if points is None else points
    if not 0 <= wanted <= held.amount:
        raise ValueError(f"{wanted} of {held.amount} held points")
    parts = _parts(work.db, hold_id, HELD)
    draft.also(parts)
    left = wanted
    for lot_id, n in parts.items():
        spent = min(left, n)
        left -= spent
        draft.move(draft.lots[lot_id], HELD, REDEEMED, spent)
        come_back(draft, draft.lots[lot_id], HELD, n - spent, grace)
    draft.repay_each(ids)
    txn = book.write(draft, {"points": wanted, "back": held.amount - wanted})
    _decided(work, hold_id, "captured" if wanted else "released", txn)
    return txn


def _held(work: Work, hold_id: int) -> tuple[PointsHold, Sequence[int]]:
    """The hold, held itself, and the accounts it took from. Raises ``LookupError``."""
    held = book.hold_row(work, hold_id)
    if held is None:
        raise LookupError(f"no hold {hold_id}")
    return held, accounts_of(work.db, hold_id)


def _deciding(work: Work, held: PointsHold, about: About, *account_ids: int) -> Draft | PointsTxn:
    """Begin to decide an open hold. Raises ``Settled``."""
    draft = book.begin(work, about, *account_ids)
    if isinstance(draft, Draft) and held.state != "open":
        raise Settled(f"hold {held.id} was {held.state}")
    return draft


def _decided(work: Work, hold_id: int, state: str, txn: PointsTxn) -> None:
    work.db.execute(
        update(PointsHold).where(PointsHold.id == hold_id).values(state=state, settled_by=txn.id),
        execution_options={"synchronize_session": False},
    )


def _parts(db: Session, txn_id: int, bucket: str) -> dict[int, int]:
    """What a transaction took from which lots, in its order."""
    own = select(PointsEntry.lot_id, PointsEntry.amount).where(
        PointsEntry.txn_id == txn_id, PointsEntry.bucket == bucket, PointsEntry.amount > 0
    )
    found: dict[int, int] = {}
    for lot_id, amount in db.execute(own.order_by(PointsEntry.number)):
        found[lot_id] = found.get(lot_id, 0) + amount
    return found


def come_back(draft: Draft, lot: Left, out_of: str, points: int, grace: timedelta) -> None:
    """Points of a lot return to it; if it has died meanwhile, they live for the days of grace in a lot of their own.

    Days of grace are given once: what lived of them, or came of what did, is gone when it is over.
    """
    at = draft.about.at
    if not points:
        return
    if not lot.over(at):
        draft.move(lot, out_of, AVAILABLE if lot.activates_at <= at else "pending", points)
    elif not grace or "restored" in _origins(draft.work.db, [lot.lot_id])[lot.lot_id]:
        draft.move(lot, out_of, EXPIRED, points)
    else:
        draft.move(lot, out_of, TRANSIT, points)
        facts = _facts(draft.work.db, lot.lot_id)
        draft.issue(
            lot.account_id,
            points,
            AVAILABLE,
            TRANSIT,
            notice_days=lot.notice_days,
            **{**facts, "activates_at": at, "expires_at": at + grace, "origin": "restored", "origin_lot": lot.lot_id},
        )  # the days of grace are counted, also of what died of idleness


KEPT = ("channel", "store", "campaign", "jurisdiction", "uses")


def _facts(db: Session, lot_id: int) -> dict[str, Any]:
    lot = db.get_one(PointsLot, lot_id)
    return {name: getattr(lot, name) for name in KEPT}


def _origins(db: Session, lot_ids: Iterable[int]) -> dict[int, set[str]]:
    """How each of these lots came to be, and all that it came of."""
    found = {one: set[str]() for one in lot_ids}
    looked_at = {one: [one] for one in found}
    while looked_at:
        own = select(PointsLot.id, PointsLot.origin, PointsLot.origin_lot).where(PointsLot.id.in_(looked_at))
        before: dict[int, list[int]] = defaultdict(list)
        for number, origin, origin_lot in db.execute(own):
            for one in looked_at[number]:
                found[one].add(origin)
            if origin_lot is not None:
                before[origin_lot] += looked_at[number]
        looked_at = before
    return found


def give_back(work: Work, spent_txn: int, points: int, about: About, grace: timedelta) -> PointsTxn:
    """Undo so much of a redemption, the last points taken first. Raises ``TooMuchBack``."""
    about = replace(about, kind="give_back", reverses=spent_txn)
    ids = accounts_of(work.db, spent_txn)
    draft = book.begin(work, about, *ids)
    if isinstance(draft, PointsTxn):
        return draft
    parts = _parts(work.db, spent_txn, REDEEMED)
    for lot_id, n in _returned(work.db, spent_txn).items():
        parts[lot_id] -= n
    if not 0 < points <= sum(parts.values()):
        raise TooMuchBack(f"{points} points to give back, {sum(parts.values())} can be")
    draft.also(parts)
    left = points
    for lot_id, n in reversed(parts.items()):
        back = min(left, n)
        left -= back
        come_back(draft, draft.lots[lot_id], REDEEMED, back, grace)
    draft.repay_each(ids)
    return book.write(draft, {"points": points})


def accounts_of(db: Session, txn_id: int) -> Sequence[int]:
    """The accounts a transaction touched, in order. Raises ``LookupError``."""
    own = select(PointsEntry.account_id).where(PointsEntry.txn_id == txn_id).distinct()
    if not (found := db.scalars(own.order_by(PointsEntry.account_id)).all()):
        raise LookupError(f"no transaction {txn_id}")
    return found


def _returned(db: Session, spent_txn: int) -> dict[int, int]:
    own = (
        select(PointsEntry.lot_id, PointsEntry.amount)
        .join(PointsTxn, PointsTxn.id == PointsEntry.txn_id)
        .where(PointsTxn.reverses == spent_txn, PointsTxn.kind == "give_back", PointsEntry.bucket == REDEEMED)
    )
    found: dict[int, int] = {}
    for lot_id, amount in db.execute(own):
        found[lot_id] = found.get(lot_id, 0) - amount
    return found


# --- among one's own -------------------------------------------------------------------------------------------------


def settle(work: Work, accounts: Sequence[int]) -> PointsTxn | None:
    """Let what stands in one account of a person pay what another of theirs owes; None where there is nothing to pay.

    Without it points would die beside a debt that they could have paid.
    """
    ids = book.several(accounts)
    own = select(PointsAccount.version).where(PointsAccount.id == ids[0]).with_for_update()
    about = About("settle", f"settle:{ids[0]}:{work.db.scalar(own)}", work.now, "clock")
    draft = book.begin(work, about, *ids)
    if isinstance(draft, PointsTxn):
        return None
    draft.settle(ids)
    return book.write(draft) if draft.entries else None


# --- to somebody else ------------------------------------------------------------------------------------------------


def transfer(work: Work, sender: Accounts, receiver: int, points: int, about: About) -> PointsTxn:
    """Give points to somebody at once, who gets them with the expiry they have and cannot give them on."""
    ids = book.several(sender)
    if receiver in ids:
        raise ValueError("nobody gives points to themselves")
    draft = book.begin(work, about, *ids, receiver)
    if isinstance(draft, PointsTxn):
        return draft
    for lot, n in _take(draft, ids, points, first_hand(work.db, [lot.lot_id for one in ids for lot in draft.of(one)])):
        draft.take_out(lot, TRANSIT, n)
        _arrive(draft, lot, n, receiver)
    draft.repay(receiver)
    return book.write(draft, {"points": points})


def hand_over(work: Work, hold_id: int, receiver: int, about: About) -> PointsTxn:
    """Give somebody all that a hold has set apart to be given, with the expiry it has.

    Raises ``Settled``; ``Died`` where some of it has died since, ``InDebt`` where whoever gives owes points by now, and
    ``NotEnough`` while nothing can be spent here. Then nothing has changed, and the hold is open still.
    """
    held, ids = _held(work, hold_id)
    draft = _deciding(work, held, replace(about, kind="transfer", reverses=hold_id), *ids, receiver)
    if isinstance(draft, PointsTxn):
        return draft
    if draft.takes_over and takeover.shut(work):
        raise NotEnough(held.amount, 0)
    if debt := draft.settle(ids):
        raise InDebt(debt)
    parts = _parts(work.db, hold_id, HELD)
    draft.also(parts)
    for lot_id, n in parts.items():
        lot = draft.lots[lot_id]
        if lot.over(draft.about.at):
            raise Died(f"lot {lot_id} of hold {hold_id}")
        draft.move(lot, HELD, TRANSIT, n)
        _arrive(draft, lot, n, receiver)
    draft.repay(receiver)
    txn = book.write(draft, {"points": held.amount})
    _decided(work, hold_id, "captured", txn)
    return txn


def _arrive(draft: Draft, lot: Left, points: int, receiver: int) -> None:
    """Points of a lot that are in transit come in at the receiver's."""
    facts = {**_facts(draft.work.db, lot.lot_id), "origin": "transfer", "origin_lot": lot.lot_id}
    facts |= {"idle_months": lot.idle_months, "activates_at": lot.activates_at, "expires_at": lot.expires_at}
    draft.issue(receiver, points, AVAILABLE, TRANSIT, notice_days=lot.notice_days, **facts)


def first_hand(db: Session, lot_ids: Iterable[int]) -> Fits:
    """Whether a lot, one of these, may be given on: not what was received, nor what came back of that."""
    origins = _origins(db, lot_ids)
    return lambda lot: "transfer" not in origins[lot.lot_id]

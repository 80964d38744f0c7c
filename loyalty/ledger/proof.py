"""Proof of the books: every transaction hashed anew and summed, every cache rebuilt, every seal followed.

``verify`` reads everything once, a portion at a time, and names what does not fit.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session

from loyalty.ledger import book, seals
from loyalty.ledger.book import AVAILABLE, DEBT, HELD, ISSUED, PENDING, TRANSIT
from storage.tables import PointsAccount, PointsEntry, PointsLot, PointsLotNow, PointsSealed, PointsTxn

PORTION = 2_000
MOST_FAULTS = 100


@dataclass
class Proof:
    """What was found."""

    transactions: int = 0
    lots: int = 0
    entries: int = 0
    accounts: int = 0
    seals: int = 0
    unsealed: int = 0
    head: str = ""
    """The last seal's hash: keep it outside, and nobody can write the books anew."""
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether all of it fits."""
        return not self.faults

    def fault(self, words: str) -> None:
        """Write down what does not fit; the first hundred."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(words)


def verify(db: Session) -> Proof:
    """Look at everything there is."""
    proof = Proof()
    hashes: dict[int, str] = {}
    sums: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for txn, lots, entries in _whole(db, proof):
        proof.transactions += 1
        proof.lots += len(lots)
        proof.entries += len(entries)
        hashes[txn.id] = txn.content_hash
        _check_txn(proof, txn, lots, entries)
        for one in entries:
            sums[one.lot_id][one.bucket] += one.amount
    _check_lots(db, proof, sums)
    _check_accounts(db, proof, sums)
    _check_strays(db, proof)
    seals.check(db, proof, hashes)
    proof.unsealed = proof.transactions - int(db.scalar(select(func.count()).select_from(PointsSealed)) or 0)
    return proof


NAMED: Mapping[Any, str] = {PointsTxn: "transaction", PointsLot: "lot", PointsLotNow: "what is kept of lot"}
Whole = tuple[PointsTxn, Sequence[PointsLot], Sequence[PointsEntry]]


def _whole(db: Session, proof: Proof) -> Iterator[Whole]:
    """Every transaction with its lots and entries, portion by portion."""
    after = -1
    while True:
        own = select(PointsTxn.id).where(PointsTxn.id > after).order_by(PointsTxn.id).limit(PORTION)
        ids = db.scalars(own).all()
        if not ids:
            return
        after = ids[-1]
        txns = _readable(db, proof, PointsTxn, ids)
        lots: dict[int, list[PointsLot]] = defaultdict(list)
        entries: dict[int, list[PointsEntry]] = defaultdict(list)
        theirs = db.scalars(select(PointsLot.id).where(PointsLot.txn_id.in_(ids)).order_by(PointsLot.id)).all()
        for lot in _readable(db, proof, PointsLot, theirs):
            lots[lot.txn_id].append(lot)
        those = select(PointsEntry).where(PointsEntry.txn_id.in_(ids))
        for entry in db.scalars(those.order_by(PointsEntry.txn_id, PointsEntry.number)):
            entries[entry.txn_id].append(entry)
        for txn in txns:
            yield txn, lots[txn.id], entries[txn.id]
        db.expunge_all()


def _readable(db: Session, proof: Proof, table: Any, ids: Sequence[int]) -> list[Any]:
    """The rows of these ids; one that cannot even be read is a fault, and the others are read all the same."""
    key = inspect(table).primary_key[0]
    own = select(table).where(key.in_(ids)).order_by(key)
    try:
        return list(db.scalars(own))
    except ValueError:
        if len(ids) == 1:
            proof.fault(f"{NAMED[table]} {ids[0]}: it cannot be read")
            return []
    half = len(ids) // 2
    return [*_readable(db, proof, table, ids[:half]), *_readable(db, proof, table, ids[half:])]


TXN_COLUMNS = (
    "id", "kind", "key", "request_hash", "result", "effective_at", "recorded_at", "actor", "reason", "source",
    "reverses", "rule_version", "approval_id",
)  # fmt: skip


def _check_txn(proof: Proof, txn: PointsTxn, lots: Sequence[PointsLot], entries: Sequence[PointsEntry]) -> None:
    row = {name: getattr(txn, name) for name in TXN_COLUMNS}
    said = [{name: getattr(one, name) for name in book.COLUMNS} for one in lots]
    moved = [[one.account_id, one.lot_id, one.bucket, one.amount] for one in entries]
    if [one.number for one in entries] != list(range(len(entries))):
        proof.fault(f"transaction {txn.id}: an entry is missing")
    if book.content_hash(row, said, moved) != txn.content_hash:
        proof.fault(f"transaction {txn.id}: what it says is not what was written")
    if sum(one.amount for one in entries):
        proof.fault(f"transaction {txn.id}: its entries do not sum to nothing")


def _check_lots(db: Session, proof: Proof, sums: dict[int, dict[str, int]]) -> None:
    """Each lot: what came in is what is there and what went; what is kept of it is what its entries say."""
    after = -1
    own = select(PointsLot.id).order_by(PointsLot.id).limit(PORTION)
    while ids := db.scalars(own.where(PointsLot.id > after)).all():
        after = ids[-1]
        kept = {one.lot_id: one for one in _readable(db, proof, PointsLotNow, ids)}
        for lot in _readable(db, proof, PointsLot, ids):
            _check_lot(proof, lot, kept.get(lot.id), sums.get(lot.id, {}))
        db.expunge_all()


def _check_lot(proof: Proof, lot: PointsLot, kept: PointsLotNow | None, said: dict[str, int]) -> None:
    came = -said.get(ISSUED, 0) or -min(0, said.get(TRANSIT, 0))
    if sum(said.values()) or came > lot.issued or (said.get(ISSUED, 0) and came != lot.issued):
        proof.fault(f"lot {lot.id}: what came in is not what is there and what went")
    buckets = {name: said.get(name, 0) for name in (PENDING, AVAILABLE, HELD)}
    if min(buckets.values()) < 0:
        proof.fault(f"lot {lot.id}: less than nothing in a bucket")
    if kept is None or {name: getattr(kept, name) for name in buckets} != buckets:
        proof.fault(f"lot {lot.id}: what is kept of it is not what its entries say")
    elif (kept.account_id, kept.activates_at, kept.expires_at, kept.uses) != (
        lot.account_id,
        lot.activates_at,
        lot.expires_at,
        lot.uses,
    ):
        proof.fault(f"lot {lot.id}: what is kept of it is not what was issued")


def _check_accounts(db: Session, proof: Proof, sums: dict[int, dict[str, int]]) -> None:
    owners = dict(db.execute(select(PointsLot.id, PointsLot.account_id)).all())
    found: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for lot_id, buckets in sums.items():
        if lot_id not in owners:
            proof.fault(f"lot {lot_id}: entries without a lot")
            continue
        for bucket, amount in buckets.items():
            found[owners[lot_id]][bucket] += amount
    for account in db.scalars(select(PointsAccount).order_by(PointsAccount.id)):
        proof.accounts += 1
        said = found.pop(account.id, {})
        kept: dict[str, Any] = {PENDING: account.pending, AVAILABLE: account.available, HELD: account.held}
        if any(kept[name] != said.get(name, 0) for name in kept) or account.debt != -said.get(DEBT, 0):
            proof.fault(f"account {account.id}: what is kept of it is not what its entries say")
    for account_id in found:
        proof.fault(f"account {account_id}: entries without an account")


def _check_strays(db: Session, proof: Proof) -> None:
    """Entries and lots of transactions that are not there."""
    for theirs, name in ((PointsEntry.txn_id, "entries"), (PointsLot.txn_id, "lots")):
        own = select(theirs).outerjoin(PointsTxn, PointsTxn.id == theirs).where(PointsTxn.id.is_(None))
        for stray in db.scalars(own.distinct().limit(MOST_FAULTS)):
            proof.fault(f"transaction {stray}: it is gone, and its {name} are there")

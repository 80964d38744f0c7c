"""Sealing: blocks of transactions closed together, each block holding the hash of the one before.

A job seals what has been committed, behind the writers, so that these never wait for one another; whoever commits late
comes into a later block. A changed, removed or added transaction breaks its block and is named. Whoever owns the
database could write everything anew: therefore the last hash (``Proof.head``) is to be kept elsewhere.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from loyalty.ledger.book import digest
from storage.tables import PointsSeal, PointsSealed, PointsTxn
from storage.work import Work

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from loyalty.ledger.proof import Proof

BLOCK = 5_000
BEGINNING = "0" * 64


def seal(work: Work) -> int:
    """Close the next block; how many transactions are in it. One at a time: under the jobs' lease."""
    sealed = select(PointsSealed.txn_id).where(PointsSealed.txn_id == PointsTxn.id).exists()
    own = select(PointsTxn.id, PointsTxn.content_hash).where(~sealed).order_by(PointsTxn.id).limit(BLOCK)
    found = work.db.execute(own).all()
    if not found:
        return 0
    last = work.db.scalars(select(PointsSeal).order_by(PointsSeal.number.desc()).limit(1)).one_or_none()
    number, before = (last.number + 1, last.hash) if last is not None else (1, BEGINNING)
    block = _hash(number, work.now, before, {one.id: one.content_hash for one in found})
    row = {"number": number, "made_at": work.now, "size": len(found), "hash_before": before, "hash": block}
    work.db.execute(insert(PointsSeal), [row])
    work.db.execute(insert(PointsSealed), [{"txn_id": one.id, "seal": number} for one in found])
    return len(found)


def _hash(number: int, made_at: datetime, before: str, hashes: Mapping[int, str]) -> str:
    return digest([number, made_at, before, sorted([one, each] for one, each in hashes.items())])


def check(db: "Session", proof: "Proof", hashes: Mapping[int, str]) -> None:
    """Follow the chain of seals over the transactions there are."""
    blocks: dict[int, dict[int, str]] = {}
    for txn_id, number in db.execute(select(PointsSealed.txn_id, PointsSealed.seal)):
        blocks.setdefault(number, {})[txn_id] = hashes.get(txn_id, "")
        if txn_id not in hashes:
            proof.fault(f"transaction {txn_id}: it was sealed and is gone")
    before, expected = BEGINNING, 1
    for one in db.scalars(select(PointsSeal).order_by(PointsSeal.number)):
        proof.seals += 1
        inside = blocks.pop(one.number, {})
        right = (one.number, one.size, one.hash_before) == (expected, len(inside), before)
        if not right or one.hash != _hash(one.number, one.made_at, one.hash_before, inside):
            proof.fault(f"seal {one.number}: its block was changed")
        before, expected = one.hash, one.number + 1
    for number in blocks:
        proof.fault(f"seal {number}: it is gone")
    proof.head = before

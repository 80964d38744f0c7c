"""Sealing: blocks of transactions closed together, each block holding the hash of the one before.

A job seals what has been committed, behind the writers, so that these never wait for one another; whoever commits late
comes into a later block. A changed, removed or added transaction breaks its block and is named. Whoever owns the
database could write everything anew: therefore each new head is also written outside of it (``heads``), and ``verify``
holds the chain against what stands there.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from loyalty.ledger.book import digest, first_id
from storage.tables import PointsSeal, PointsSealed, PointsTxn
from storage.work import Work

if TYPE_CHECKING:
    from loyalty.ledger.proof import Proof, Reader

BLOCK = 5_000
BEGINNING = "0" * 64
LATE = timedelta(days=2)
"""So much older than the last seal a transaction may be that commits only now; the nightly sealing looks at all."""


def seal(work: Work, *, everything: bool = False) -> int:
    """Close the next block; how many transactions are in it. One at a time: under the jobs' lease.

    Transactions much older than the last seal are only looked for where ``everything`` is asked for.
    """
    last = work.db.scalars(select(PointsSeal).order_by(PointsSeal.number.desc()).limit(1)).one_or_none()
    sealed = select(PointsSealed.txn_id).where(PointsSealed.txn_id == PointsTxn.id).exists()
    own = select(PointsTxn.id, PointsTxn.content_hash).where(~sealed).order_by(PointsTxn.id).limit(BLOCK)
    if last is not None and not everything:
        own = own.where(PointsTxn.id >= first_id(last.made_at - LATE))
    found = work.db.execute(own).all()
    if not found:
        return 0
    number, before = (last.number + 1, last.hash) if last is not None else (1, BEGINNING)
    block = _hash(number, work.now, before, {one.id: one.content_hash for one in found})
    row = {"number": number, "made_at": work.now, "size": len(found), "hash_before": before, "hash": block}
    work.db.execute(insert(PointsSeal), [row])
    work.db.execute(insert(PointsSealed), [{"txn_id": one.id, "seal": number} for one in found])
    return len(found)


def _hash(number: int, made_at: datetime, before: str, hashes: Mapping[int, str]) -> str:
    return digest([number, made_at, before, sorted([one, each] for one, each in hashes.items())])


def check(reader: "Reader") -> None:
    """Follow the chain of seals over the transactions there are."""
    proof, before, expected = reader.proof, BEGINNING, 1
    for numbers in reader.pages(PointsSeal):
        for one in reader.of(PointsSeal, numbers):
            proof.seals += 1
            inside = _inside(reader, one.number)
            right = (one.number, one.size, one.hash_before) == (expected, len(inside), before)
            if not right or one.hash != _hash(one.number, one.made_at, one.hash_before, inside):
                proof.fault(PointsSeal, one.number, "it, or its block, was changed")
            before, expected = one.hash, one.number + 1
    gone = select(PointsSealed.seal).outerjoin(PointsSeal, PointsSeal.number == PointsSealed.seal)
    for (number,) in reader.tried(PointsSealed, gone.where(PointsSeal.number.is_(None)).distinct().limit(100)):
        proof.fault(PointsSeal, number, "it is gone, and transactions are in its block")
    proof.head = before


def _inside(reader: "Reader", number: int) -> dict[int, str]:
    """The transactions of a block and their hashes."""
    own = select(PointsSealed.txn_id, PointsTxn.content_hash).where(PointsSealed.seal == number)
    found = reader.tried(PointsSealed, own.outerjoin(PointsTxn, PointsTxn.id == PointsSealed.txn_id))
    for txn_id, known in found:
        if known is None:
            reader.proof.fault(PointsTxn, txn_id, "it was sealed and is gone")
    return {txn_id: known or "" for txn_id, known in found}


# --- outside ---------------------------------------------------------------------------------------------------------


def write_head(file: Path, number: int, head: str, at: datetime) -> None:
    """Add the head of the chain to a file outside the database: time, number of the seal, its hash. ``OSError``."""
    with file.open("a", encoding="ascii") as out:
        out.write(f"{at.isoformat(timespec='seconds')} {number} {head}\n")


def read_heads(file: Path) -> list[tuple[int, str]]:
    """The heads of such a file; lines that are none are left out. Empty where there is no file."""
    if not file.exists():
        return []
    rows = (line.split() for line in file.read_text(encoding="ascii", errors="replace").splitlines())
    return [(int(row[1]), row[2]) for row in rows if len(row) == 3 and row[1].isdecimal()]


def hold_against(db: Any, proof: "Proof", heads: Iterable[tuple[int, str]]) -> int:
    """Compare the chain with heads that were kept outside; how many were looked at."""
    known, count = dict(heads), 0
    numbers = sorted(known)
    for first in range(0, len(numbers), BLOCK):
        some = numbers[first : first + BLOCK]
        there = dict(db.execute(select(PointsSeal.number, PointsSeal.hash).where(PointsSeal.number.in_(some))).all())
        for number in some:
            count += 1
            if there.get(number) != known[number]:
                proof.fault(PointsSeal, number, "it is not the one whose hash was written outside the database")
    return count

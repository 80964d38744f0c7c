"""Proof of the books: every transaction hashed anew and summed, every cache rebuilt, every seal followed.

``verify`` reads everything once, a portion at a time, so that its memory does not grow with the books, and names what
does not fit by table and id. What cannot be read at all (a torn page, a value that is none) is a fault like another,
and the rest is read all the same.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, Executable, Table, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from loyalty.ledger import book, idle, seals
from loyalty.ledger.book import AVAILABLE, DEBT, HELD, ISSUED, PENDING, STANDING, TRANSIT
from storage.tables import (
    PointsAccount,
    PointsEntry,
    PointsHold,
    PointsLot,
    PointsLotNow,
    PointsRenewal,
    PointsSealed,
    PointsTxn,
)

PORTION = 2_000
MOST_FAULTS = 100
UNREADABLE = (ValueError, TypeError, OverflowError, DBAPIError)
CHANGED = "it, or one of its lots, entries or renewals, is not what was written"
Tell = Callable[[int], None]
"""Told how many more transactions were looked at."""


@dataclass(frozen=True)
class Fault:
    """Something that does not fit."""

    table: str
    id: int
    what: str

    def __str__(self) -> str:
        """As a sentence."""
        return f"{self.table} {self.id}: {self.what}"


@dataclass
class Proof:
    """What was found."""

    transactions: int = 0
    lots: int = 0
    entries: int = 0
    accounts: int = 0
    set_apart: int = 0
    """Holds, open or settled."""
    seals: int = 0
    unsealed: int = 0
    head: str = ""
    """The last seal's hash: keep it outside, and nobody can write the books anew."""
    faults: list[Fault] = field(default_factory=list)
    more: int = 0
    """Faults beyond the first hundred."""

    @property
    def holds(self) -> bool:
        """Whether all of it fits."""
        return not self.faults

    @property
    def sealed(self) -> int:
        """Transactions in closed blocks."""
        return self.transactions - self.unsealed

    def fault(self, table: Any, number: int, what: str) -> None:
        """Write down what does not fit; the first hundred, and how many more."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(table.__tablename__, number, what))
        else:
            self.more += 1


@contextmanager
def one_moment(engine: Engine) -> Iterator[Session]:
    """Look at the books as they were at one moment, however long it takes and whoever writes meanwhile."""
    sqlite = engine.dialect.name == "sqlite"
    options = {"sqlite_begin": "DEFERRED"} if sqlite else {"isolation_level": "REPEATABLE READ"}
    with Session(engine.execution_options(**options, postgresql_readonly=True), expire_on_commit=False) as db:
        yield db


def verify(db: Session, tell: Tell = lambda _done: None) -> Proof:
    """Look at everything there is; in ``one_moment`` where others write meanwhile."""
    proof = Proof()
    reader = Reader(db, proof)
    for portion in reader.pages(PointsTxn):
        _check_txns(reader, portion)
        tell(len(portion))
    _check_lots(reader)
    _check_accounts(reader)
    _check_holds(reader)
    _check_strays(reader)
    seals.check(reader)
    sealed = reader.one(PointsSealed, select(func.count()).select_from(PointsSealed)) or 0
    proof.unsealed = max(0, proof.transactions - sealed)
    return proof


# --- reading what may be broken --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reader:
    """Reads rows of which some may not be readable."""

    db: Session
    proof: Proof

    def _apart(self) -> AbstractContextManager[Any]:
        """On PostgreSQL a statement that fails ends all of its transaction but for this."""
        return nullcontext() if self.db.get_bind().dialect.name == "sqlite" else self.db.begin_nested()

    def rows(self, question: Executable) -> Sequence[Any]:
        """All rows, or one of ``UNREADABLE``."""
        with self._apart():
            return self.db.execute(question).all()

    def one(self, table: Any, question: Executable) -> Any:
        """One value; None, and a fault, where it cannot be read."""
        found = self.tried(table, question)
        return found[0][0] if found else None

    def tried(self, table: Any, question: Executable, number: int = 0) -> Sequence[Any]:
        """All rows; none, and a fault, where they cannot be read."""
        try:
            return self.rows(question)
        except UNREADABLE as error:
            self.proof.fault(table, number, f"from here on it cannot be read: {words(error)}")
            return []

    def pages(self, table: Any) -> Iterator[Sequence[int]]:
        """The keys of a table, portion by portion."""
        (key,) = table.__table__.primary_key
        after = None
        while True:
            own = select(key).order_by(key).limit(PORTION)
            found = self.tried(table, own if after is None else own.where(key > after), after or 0)
            ids = [one for (one,) in found if isinstance(one, int)]
            for (one,) in found:
                if not isinstance(one, int):
                    self.proof.fault(table, after or 0, f"a row after it has no number for its key, but {one!r:.40}")
            if not ids:
                return
            after = ids[-1]
            yield ids

    def of(self, table: Any, ids: Sequence[int], key: Any = None, order: Sequence[Any] = ()) -> list[Any]:
        """The rows of these ids; one that cannot be read is a fault, and the others are read all the same."""
        own: Table = table.__table__
        column = key if key is not None else next(iter(own.primary_key))
        try:
            return list(self.rows(select(own).where(column.in_(ids)).order_by(*(order or (column,)))))
        except UNREADABLE as error:
            if len(ids) == 1:
                self.proof.fault(table, ids[0], f"{_of(column)}it cannot be read: {words(error)}")
                return []
        half = len(ids) // 2
        return [*self.of(table, ids[:half], key, order), *self.of(table, ids[half:], key, order)]


def _of(column: Any) -> str:
    return "of this transaction, " if column.name == "txn_id" else ""


def words(error: BaseException) -> str:
    """Why something cannot be read; a page of the database that is broken is called so."""
    said = str(getattr(error, "orig", error)).strip().partition("\n")[0]
    torn = any(one in said for one in ("malformed", "invalid page", "checksum", "not a database", "could not read"))
    return f"a broken page ({said})" if torn else said


# --- transactions ----------------------------------------------------------------------------------------------------

TXN_COLUMNS = (
    "id", "kind", "key", "request_hash", "result", "effective_at", "recorded_at", "actor", "reason", "source",
    "reverses", "rule_version", "approval_id",
)  # fmt: skip


def _check_txns(reader: Reader, ids: Sequence[int]) -> None:
    """Each of these transactions with its lots, its entries and what it renewed."""
    proof, entry = reader.proof, PointsEntry
    lots: dict[int, list[Any]] = defaultdict(list)
    entries: dict[int, list[Any]] = defaultdict(list)
    renewed: dict[int, list[Any]] = defaultdict(list)
    for lot in reader.of(PointsLot, ids, PointsLot.txn_id, (PointsLot.id,)):
        lots[lot.txn_id].append(lot)
    for one in reader.of(PointsEntry, ids, entry.txn_id, (entry.txn_id, entry.number)):
        entries[one.txn_id].append(one)
    for each in reader.of(PointsRenewal, ids, PointsRenewal.txn_id):
        renewed[each.txn_id].append(each)
    for txn in reader.of(PointsTxn, ids):
        _check_txn(proof, txn, lots[txn.id], entries[txn.id], renewed[txn.id])
    proof.transactions += len(ids)
    proof.entries += sum(map(len, entries.values()))


def _check_txn(proof: Proof, txn: Any, lots: Sequence[Any], entries: Sequence[Any], renewed: Sequence[Any]) -> None:
    if [one.number for one in entries] != list(range(len(entries))):
        proof.fault(PointsTxn, txn.id, "an entry of it is missing")
    if _hash(txn, lots, entries, renewed) != txn.content_hash:
        proof.fault(PointsTxn, txn.id, CHANGED)
    elif sum(one.amount for one in entries):
        proof.fault(PointsTxn, txn.id, "its entries do not sum to nothing")
    elif sum(one.amount for one in entries if one.bucket == TRANSIT):
        proof.fault(PointsTxn, txn.id, "it leaves points in transit")


def _hash(txn: Any, lots: Sequence[Any], entries: Sequence[Any], renewed: Sequence[Any]) -> str | None:
    row = {name: getattr(txn, name) for name in TXN_COLUMNS}
    said = [{name: getattr(one, name) for name in book.COLUMNS} for one in lots]
    moved = [[one.account_id, one.lot_id, one.bucket, one.amount] for one in entries]
    ends = [[one.account_id, one.idle_months, one.ends_at] for one in renewed]
    try:
        return book.content_hash(row, said, moved, ends)
    except TypeError:
        return None


# --- what is kept beside them ----------------------------------------------------------------------------------------


def _sums(reader: Reader, column: Any, after: int | None, last: int | None) -> dict[int, dict[str, int]]:
    """What the entries of these lots (or accounts) come to, by bucket; also of those that do not exist."""
    entry = PointsEntry
    own = select(column, entry.bucket, func.sum(entry.amount)).group_by(column, entry.bucket)
    own = own if after is None else own.where(column > after)
    own = own if last is None else own.where(column <= last)
    found: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for number, bucket, amount in reader.tried(PointsEntry, own):
        found[number][bucket] = int(amount or 0)
    return found


def _ranges(reader: Reader, table: Any) -> Iterator[tuple[int | None, int | None, Sequence[int]]]:
    """The whole line of numbers cut where the table's portions end: after which, up to which, and those there are."""
    after = None
    for ids in reader.pages(table):
        yield after, ids[-1], ids
        after = ids[-1]
    yield after, None, []


def _check_lots(reader: Reader) -> None:
    """Each lot: what came in is what is there and what went; what is kept of it is what its entries say."""
    for after, last, ids in _ranges(reader, PointsLot):
        sums = _sums(reader, PointsEntry.lot_id, after, last)
        kept = {one.lot_id: one for one in reader.of(PointsLotNow, ids)} if ids else {}
        lots = {one.id: one for one in reader.of(PointsLot, ids)} if ids else {}
        reader.proof.lots += len(ids)
        told_of = {number for number, one in kept.items() if one.notice_days}
        ends = idle.ends(reader.tried, lots.values(), told_of)
        for lot in lots.values():
            end = ends.get(lot.id, lot.expires_at)
            _check_lot(reader.proof, lot, kept.get(lot.id), sums.get(lot.id, {}), end)
        for stray in sorted(set(sums) - set(ids)):
            reader.proof.fault(PointsLot, stray, "there are entries of it, and it is gone")
    own = select(PointsLotNow.lot_id).outerjoin(PointsLot, PointsLot.id == PointsLotNow.lot_id)
    for (stray,) in reader.tried(PointsLotNow, own.where(PointsLot.id.is_(None)).limit(MOST_FAULTS)):
        reader.proof.fault(PointsLotNow, stray, "there is no such lot")


def _check_lot(proof: Proof, lot: Any, kept: Any, said: Mapping[str, int], end: Any) -> None:
    came = -said.get(ISSUED, 0) or -min(0, said.get(TRANSIT, 0))
    if sum(said.values()) or not _fits(lot.issued, came, said):
        proof.fault(PointsLot, lot.id, "what came in is not what is there and what went")
    buckets = {name: said.get(name, 0) for name in (PENDING, AVAILABLE, HELD)}
    if min(buckets.values()) < 0:
        proof.fault(PointsLot, lot.id, "less than nothing is in a bucket")
    elif isinstance(lot.issued, int) and sum(buckets.values()) > lot.issued:
        proof.fault(PointsLot, lot.id, "more is there than was issued")
    if kept is None or {name: getattr(kept, name) for name in buckets} != buckets:
        proof.fault(PointsLotNow, lot.id, "it is not what the lot's entries say")
    elif _facts(kept) != _facts(lot):
        proof.fault(PointsLotNow, lot.id, "it is not what was issued")
    elif kept.expires_at != end and (lot.idle_months is None or any(buckets.values())):  # of none the end may wait
        moved = "what was issued" if lot.idle_months is None else "where purchases and redemptions have moved it"
        proof.fault(PointsLotNow, lot.id, f"its end is not {moved}")


def _fits(issued: Any, came: int, said: Mapping[str, int]) -> bool:
    return isinstance(issued, int) and (came == issued if said.get(ISSUED) else came <= issued)


def _facts(row: Any) -> tuple[Any, ...]:
    return (row.account_id, row.activates_at, row.uses, row.idle_months)


def _check_accounts(reader: Reader) -> None:
    for after, last, ids in _ranges(reader, PointsAccount):
        sums = _sums(reader, PointsEntry.account_id, after, last)
        reader.proof.accounts += len(ids)
        idles = _idling(reader, ids)
        for account in reader.of(PointsAccount, ids) if ids else ():
            said = {name: sums.get(account.id, {}).get(name, 0) for name in STANDING}
            said[DEBT] = -said[DEBT]
            if {name: getattr(account, name) for name in STANDING} != said:
                reader.proof.fault(PointsAccount, account.id, "it is not what its entries say")
            elif min(said.values()) < 0:
                reader.proof.fault(PointsAccount, account.id, "less than nothing is in a bucket")
            elif account.idles != (account.id in idles):
                reader.proof.fault(PointsAccount, account.id, "its lots say otherwise whether they die of idleness")
        for stray in sorted(set(sums) - set(ids)):
            reader.proof.fault(PointsAccount, stray, "there are entries of it, and it is gone")


def _idling(reader: Reader, ids: Sequence[int]) -> set[int]:
    """Those of these accounts with lots that die of idleness."""
    if not ids:
        return set()
    own = select(PointsLot.account_id).where(PointsLot.account_id.between(ids[0], ids[-1]))
    return {one for (one,) in reader.tried(PointsLot, own.where(PointsLot.idle_months.is_not(None)).distinct())}


def _check_holds(reader: Reader) -> None:
    """Each hold is of what its transaction set apart, and is settled by what settled it."""
    entry, txn = PointsEntry, PointsTxn
    for ids in reader.pages(PointsHold):
        reader.proof.set_apart += len(ids)
        theirs = (entry.txn_id.in_(ids), entry.bucket == HELD, entry.amount > 0)
        held = dict(_pairs(reader, PointsEntry, select(entry.txn_id, func.sum(entry.amount)).where(*theirs)
                           .group_by(entry.txn_id)))  # fmt: skip
        settled = select(txn.reverses, txn.id).where(
            txn.reverses.in_(ids), txn.kind.in_(("capture", "release", "transfer"))
        )
        by: dict[int, list[int]] = defaultdict(list)
        for number, one in _pairs(reader, PointsTxn, settled):
            by[number].append(one)
        for hold in reader.of(PointsHold, ids):
            if hold.amount != held.get(hold.id, 0):
                reader.proof.fault(PointsHold, hold.id, "it is not what its transaction set apart")
            if by[hold.id] != ([] if hold.state == "open" else [hold.settled_by]):
                reader.proof.fault(PointsHold, hold.id, f"it is {hold.state}, and the books say otherwise")


def _pairs(reader: Reader, table: Any, question: Executable) -> Collection[tuple[int, int]]:
    return [(int(one), int(other)) for one, other in reader.tried(table, question)]


def _check_strays(reader: Reader) -> None:
    """Entries, lots and renewals of transactions that are not there."""
    for table, name in ((PointsEntry, "entries"), (PointsLot, "lots"), (PointsRenewal, "renewals")):
        own = select(table.txn_id).outerjoin(PointsTxn, PointsTxn.id == table.txn_id).where(PointsTxn.id.is_(None))
        for (stray,) in reader.tried(table, own.distinct().limit(MOST_FAULTS)):
            reader.proof.fault(PointsTxn, stray, f"it is gone, and its {name} are there")

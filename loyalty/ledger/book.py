"""Writing into the books: one transaction at a time, once for its key, whole or not at all.

Every operation does the same: hold the accounts it touches (in ascending order, so that two never wait for each other),
look whether its key is known, work out its moves, write. What was written is answered again to the same request and
refused to any other (``Conflict``). Ids are made here, of time and chance, so that writers meet on no row but those of
their accounts. Only this module writes to the tables of ``storage.tables.points``.
"""

import hashlib
import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from loyalty.ledger.lots import Left, in_order
from storage.database import insert_new
from storage.tables import PointsAccount, PointsEntry, PointsHold, PointsLot, PointsLotNow, PointsTxn
from storage.work import Work

PENDING, AVAILABLE, HELD, DEBT = STANDING = ("pending", "available", "held", "debt")
"""Buckets in which points stand; the others say where they came from or went."""
ISSUED, REDEEMED, EXPIRED, DONATED = "issued", "redeemed", "expired", "donated"
CLAWED, CLAW_LOSS, TRANSIT = "clawed", "claw_loss", "transit"
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


class Conflict(ValueError):
    """The key was used for something else."""


class NoAccount(LookupError):
    """There is no such account."""


def new_id(at: datetime) -> int:
    """Milliseconds since 2020 and 22 bits of chance: grows with time, fits 63 bits."""
    return int((at - EPOCH).total_seconds() * 1000) << 22 | secrets.randbits(22)


def canonical(value: Any) -> bytes:
    """One spelling for one value: sorted names, no floats (loyalty.md §2.10)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_spelt).encode()


def _spelt(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"{type(value).__name__} has no canonical spelling")


def digest(value: Any) -> str:
    """SHA-256 of its canonical spelling, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


@dataclass(frozen=True)
class About:
    """What a transaction is, who did it and why."""

    kind: str
    key: str
    at: datetime
    """When it takes effect."""
    actor: str
    reason: str = ""
    source: str = ""
    reverses: int | None = None
    rule_version: int | None = None
    approval_id: int | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    """All that was asked, for ``Conflict``."""

    @property
    def request_hash(self) -> str:
        """Of the request."""
        return digest({"kind": self.kind, **self.request})


@dataclass(frozen=True)
class Entry:
    """So many points into (plus) or out of (minus) a bucket of a lot."""

    account_id: int
    lot_id: int
    bucket: str
    amount: int


@dataclass
class Draft:
    """The moves of a transaction that is being worked out, on accounts that are held."""

    work: Work
    about: About
    accounts: Mapping[int, PointsAccount]
    lots: dict[int, Left]
    """What is left of the lots of these accounts, as the moves so far leave it."""
    entries: list[Entry] = field(default_factory=list)
    new: list[PointsLot] = field(default_factory=list)
    debts: dict[int, int] = field(default_factory=dict)
    """Of each account, as the moves so far leave it."""

    def move(self, lot: Left, out_of: str, into: str, points: int) -> None:
        """Move points of a lot from one bucket to another."""
        if points < 0:
            raise ValueError("points move forwards")
        if points:
            self._enter(lot, out_of, -points)
            self._enter(lot, into, points)

    def _enter(self, lot: Left, bucket: str, amount: int) -> None:
        self.entries.append(Entry(lot.account_id, lot.lot_id, bucket, amount))
        if bucket in (PENDING, AVAILABLE, HELD):
            setattr(lot, bucket, getattr(lot, bucket) + amount)
        elif bucket == DEBT:
            self.debts[lot.account_id] -= amount

    def issue(self, account_id: int, points: int, into: str, out_of: str = ISSUED, **facts: Any) -> Left:
        """A new lot with so many points."""
        uses = facts.pop("uses", None) or {}
        row = PointsLot(id=new_id(self.work.now), account_id=account_id, issued=points, uses=uses, **_lot(facts))
        self.new.append(row)
        left = Left(row.id, account_id, row.activates_at, row.expires_at, uses=uses)
        self.lots[left.lot_id] = left
        self.move(left, out_of, into, points)
        return left

    def of(self, account_id: int) -> list[Left]:
        """The lots of one account."""
        return [one for one in self.lots.values() if one.account_id == account_id]

    def also(self, lot_ids: Iterable[int]) -> None:
        """Look at these lots too, of which nothing may be left."""
        self.lots = {**these_lots(self.work.db, lot_ids), **self.lots}

    def take_out(self, lot: Left, into: str, points: int) -> None:
        """Out of a lot that is alive, whichever bucket its points are still written in."""
        ready = min(lot.available, points)
        self.move(lot, AVAILABLE, into, ready)
        self.move(lot, PENDING, into, points - ready)

    def repay(self, account_id: int) -> None:
        """Let what is there pay what is owed, the soonest to die first."""
        for lot in in_order(self.of(account_id)):
            owed = self.debts[account_id]
            if not owed:
                return
            if lot.alive(self.about.at):
                self.take_out(lot, DEBT, min(owed, lot.points))


LOT_DEFAULTS: Mapping[str, Any] = {
    "origin_lot": None,
    "channel": "",
    "store": "",
    "campaign": "",
    "jurisdiction": "",
    "qualifies": False,
}


def _lot(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**LOT_DEFAULTS, **facts}


# --- beginning -------------------------------------------------------------------------------------------------------


def replayed(db: Session, about: About) -> PointsTxn | None:
    """The transaction of this key, if the same was asked before. Raises ``Conflict`` if it was something else."""
    known = db.scalars(select(PointsTxn).where(PointsTxn.key == about.key)).one_or_none()
    if known is not None and known.request_hash != about.request_hash:
        raise Conflict(f"key {about.key} was used for another request")
    return known


def begin(work: Work, about: About, *account_ids: int) -> Draft | PointsTxn:
    """Hold these accounts and what is left of their lots; the transaction there is, if this was done before.

    Raises ``Conflict`` and ``NoAccount``.
    """
    ids = sorted(set(account_ids))
    own = select(PointsAccount).where(PointsAccount.id.in_(ids)).order_by(PointsAccount.id).with_for_update()
    accounts = {one.id: one for one in work.db.scalars(own.execution_options(populate_existing=True))}
    if len(accounts) < len(ids):
        raise NoAccount(f"no account {min(set(ids) - set(accounts))}")
    if (known := replayed(work.db, about)) is not None:
        return known
    return Draft(work, about, accounts, lots_of(work.db, ids), debts={one: accounts[one].debt for one in ids})


def lots_of(db: Session, account_ids: Sequence[int]) -> dict[int, Left]:
    """What is left of the lots of these accounts that have points."""
    now = PointsLotNow
    own = select(now).where(now.account_id.in_(account_ids), now.pending + now.available > 0)
    return {one.lot_id: _left(one) for one in db.scalars(own.order_by(now.lot_id))}


def these_lots(db: Session, lot_ids: Iterable[int]) -> dict[int, Left]:
    """What is left of these lots, also if it is nothing."""
    own = select(PointsLotNow).where(PointsLotNow.lot_id.in_(sorted(set(lot_ids))))
    return {one.lot_id: _left(one) for one in db.scalars(own)}


def _left(one: PointsLotNow) -> Left:
    return Left(
        one.lot_id, one.account_id, one.activates_at, one.expires_at, one.pending, one.available, one.held, one.uses
    )


# --- writing ---------------------------------------------------------------------------------------------------------


def write(draft: Draft, result: Mapping[str, Any] | None = None) -> PointsTxn:
    """Write the transaction and what it leaves; ``result`` is answered now and whenever the same is asked again."""
    work, about, txn_id = draft.work, draft.about, new_id(draft.work.now)
    if sum(one.amount for one in draft.entries):
        raise AssertionError("the entries do not sum to nothing")
    entries = [[one.account_id, one.lot_id, one.bucket, one.amount] for one in draft.entries]
    row = {
        "id": txn_id,
        "kind": about.kind,
        "key": about.key,
        "request_hash": about.request_hash,
        "result": {"txn": txn_id, **(result or {})},
        "effective_at": about.at,
        "recorded_at": work.now,
        "actor": about.actor,
        "reason": about.reason,
        "source": about.source,
        "reverses": about.reverses,
        "rule_version": about.rule_version,
        "approval_id": about.approval_id,
    }
    new = [_row(one) for one in draft.new]
    row["content_hash"] = content_hash(row, new, entries)
    work.db.execute(insert(PointsTxn), [row])
    if new:
        work.db.execute(insert(PointsLot), [{**one, "txn_id": txn_id} for one in new])
    if entries:
        names = ("account_id", "lot_id", "bucket", "amount")
        rows = [
            {"txn_id": txn_id, "number": number, **dict(zip(names, one, strict=True))}
            for number, one in enumerate(entries)
        ]
        work.db.execute(insert(PointsEntry), rows)
    _keep_lots(draft, {one["id"] for one in new})
    _keep_accounts(draft)
    return work.db.get_one(PointsTxn, txn_id)


COLUMNS = (
    "id", "account_id", "issued", "activates_at", "expires_at", "origin", "origin_lot", "channel", "store", "campaign",
    "jurisdiction", "uses", "qualifies",
)  # fmt: skip


def _row(lot: PointsLot) -> dict[str, Any]:
    return {name: getattr(lot, name) for name in COLUMNS}


def content_hash(txn: Mapping[str, Any], lots: Iterable[Mapping[str, Any]], entries: Iterable[Sequence[Any]]) -> str:
    """Of everything a transaction says, its own hash apart."""
    return digest(
        {
            "txn": {name: value for name, value in txn.items() if name != "content_hash"},
            "lots": sorted(({**one} for one in lots), key=lambda one: one["id"]),
            "entries": [list(one) for one in entries],
        }
    )


def _keep_lots(draft: Draft, new: set[int]) -> None:
    touched = {one.lot_id for one in draft.entries if one.bucket in (PENDING, AVAILABLE, HELD)}
    fresh, old = [], []
    for lot_id in sorted(touched | new):
        one = draft.lots[lot_id]
        counts: dict[str, Any] = {PENDING: one.pending, AVAILABLE: one.available, HELD: one.held}
        if lot_id in new:
            facts = {"activates_at": one.activates_at, "expires_at": one.expires_at, "uses": dict(one.uses)}
            fresh.append({"lot_id": lot_id, "account_id": one.account_id, **facts, **counts})
        else:
            old.append({"lot_id": lot_id, **counts})
    if fresh:
        draft.work.db.execute(insert(PointsLotNow), fresh)
    if old:
        draft.work.db.execute(update(PointsLotNow), old)


def _keep_accounts(draft: Draft) -> None:
    sums: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(STANDING, 0))
    for one in draft.entries:
        if one.bucket in STANDING:
            sums[one.account_id][one.bucket] += one.amount
    for account_id, account in draft.accounts.items():
        change = sums[account_id]
        account.pending += change[PENDING]
        account.available += change[AVAILABLE]
        account.held += change[HELD]
        account.debt -= change[DEBT]
        account.version += 1
        if min(account.pending, account.available, account.held, account.debt) < 0:
            raise AssertionError(f"account {account_id} would go below nothing")
    draft.work.db.flush()


def open_account(work: Work, person_id: int) -> PointsAccount:
    """The account of a person, made when there is none."""
    row = {"person_id": person_id, "made_at": work.now}
    insert_new(work.db, PointsAccount, [row], ["person_id"])
    return work.db.scalars(select(PointsAccount).where(PointsAccount.person_id == person_id)).one()


def hold_row(work: Work, hold_id: int) -> PointsHold | None:
    """A hold, held itself."""
    return work.db.get(PointsHold, hold_id, with_for_update=True, populate_existing=True)

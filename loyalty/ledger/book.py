"""Writing into the books: one transaction at a time, once for its key, whole or not at all.

Every operation does the same: hold the accounts it touches (in ascending order, so that two never wait for each other),
look whether its key is known, work out its moves, write. What was written is answered again to the same request and
refused to any other (``Conflict``). Ids are made here, of time and chance, so that writers meet on no row but those of
their accounts. Every spend of every customer takes this road, so it asks two questions and loads no objects.
"""

import hashlib
import json
import secrets
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, bindparam, literal_column, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

from loyalty.ledger import idle
from loyalty.ledger.lots import Left, in_order
from storage.at_once import Tell, all_at_once, answers, change
from storage.database import among, packed
from storage.rows import add_rows, insert_new
from storage.tables import PointsAccount, PointsEntry, PointsHold, PointsLot, PointsLotNow, PointsTxn, Setting
from storage.work import Work

PENDING, AVAILABLE, HELD, DEBT = STANDING = ("pending", "available", "held", "debt")
"""Buckets in which points stand; the others say where they came from or went."""
ISSUED, REDEEMED, EXPIRED, DONATED = "issued", "redeemed", "expired", "donated"
CLAWED, CLAW_LOSS, TRANSIT = "clawed", "claw_loss", "transit"
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
Accounts = int | Sequence[int]
"""One account, or all those of one person (loyalty.md §6.3): then they pay for each other."""


class Conflict(ValueError):
    """The key was used for something else."""


class NoAccount(LookupError):
    """There is no such account."""


_TURN, _GIVEN = threading.Lock(), dict[int, int]()
RECENT = 64
"""Milliseconds of which it is known how many ids were given."""


def new_id(at: datetime) -> int:
    """Milliseconds since 2020 and 22 bits that begin by chance and go up: grows with time, fits 63 bits.

    One process never gives the same twice; two of them meet only if they write in the same millisecond and begin
    within each other's numbers, and then the later one is refused and tried again.
    """
    moment = int((at - EPOCH).total_seconds() * 1000)
    with _TURN:
        before = _GIVEN.get(moment)
        number = moment << 22 | secrets.randbits(21) if before is None else before + 1
        _GIVEN[moment] = number
        if len(_GIVEN) > RECENT:
            _GIVEN.pop(next(iter(_GIVEN)))
    return number


def first_id(at: datetime) -> int:
    """No id that was made at that moment or later is smaller."""
    return int((at - EPOCH).total_seconds() * 1000) << 22


def time_of(number: int) -> datetime:
    """The millisecond in which an id was made."""
    return EPOCH + timedelta(milliseconds=number >> 22)


def several(accounts: Accounts) -> list[int]:
    """The accounts in ascending order, each once. Raises ``NoAccount`` for none."""
    ids = [accounts] if isinstance(accounts, int) else sorted(set(accounts))
    if not ids:
        raise NoAccount("no account")
    return ids


def _spelt(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"{type(value).__name__} has no canonical spelling")


_SPELL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_spelt).encode


def canonical(value: Any) -> bytes:
    """One spelling for one value: sorted names, no floats (loyalty.md §2.10)."""
    return _SPELL(value).encode()


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
    active: datetime | None = None
    """When the person bought or redeemed: from then on their points idle anew; none: it is nothing they did."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """All that was asked, for ``Conflict``."""

    @cached_property
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
    accounts: Mapping[int, Any]
    """As they were when they were held."""
    lots: dict[int, Left]
    """What is left of the lots of these accounts, as the moves so far leave it."""
    entries: list[Entry] = field(default_factory=list)
    new: list[dict[str, Any]] = field(default_factory=list)
    """Lots that come to be, as rows."""
    debts: dict[int, int] = field(default_factory=dict)
    """Of each account, as the moves so far leave it."""
    takes_over: bool = False
    """Whether ``loyalty.takeover`` has a say."""

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

    def issue(
        self, account_id: int, points: int, into: str, out_of: str = ISSUED, *, notice_days: int = 0, **facts: Any
    ) -> Left:
        """A new lot with so many points; ``notice_days`` before its end it must have been told."""
        row = {**LOT_DEFAULTS, **facts, "id": new_id(self.work.now), "account_id": account_id, "issued": points}
        row["uses"] = dict(row["uses"])
        if row["idle_months"] is not None:
            self._among_the_renewed(row)
        self.new.append(row)
        left = Left(row["id"], account_id, row["activates_at"], row["expires_at"], uses=row["uses"])
        left.notice_days, left.idle_months = notice_days, row["idle_months"]
        earned = left.idle_months is not None and row["origin"] != "transfer"  # what is given on may wait to be told of
        if left.expires_at is None or (earned and left.expires_at <= self.about.at):
            left.notice_days = 0  # dead when it comes in: nobody can be told of it
        self.lots[left.lot_id] = left
        self.move(left, out_of, into, points)
        return left

    def _among_the_renewed(self, row: dict[str, Any]) -> None:
        """A lot that dies of idleness shares the end of those that are there, but one that was given on keeps its own.

        Its id is later than those of the renewals there were: they have not moved it.
        """
        if not self.accounts[row["account_id"]].idles:
            return
        ends, txn_id = idle.last(self.work.db, row["account_id"], row["idle_months"])
        if ends is not None and row["origin"] != "transfer":
            row["expires_at"] = max(row["expires_at"], ends)
        if row["id"] < txn_id:
            row["id"] = new_id(time_of(txn_id) + timedelta(milliseconds=1))

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

    def repay_each(self, account_ids: Iterable[int]) -> None:
        """Let each of these accounts pay what it owes itself."""
        for one in account_ids:
            self.repay(one)

    def settle(self, account_ids: Sequence[int]) -> int:
        """Let these accounts pay what each owes, then what another of them owes; what is owed still."""
        self.repay_each(account_ids)
        for one in account_ids:
            if self.debts[one]:
                self._pay_for(one, [other for other in account_ids if other != one])
        return sum(self.debts[one] for one in account_ids)

    def _pay_for(self, owing: int, others: Sequence[int]) -> None:
        """Points go over in transit: out of a lot of one account, into a lot by which the other came to owe."""
        payers = in_order(one for other in others for one in self.of(other) if one.alive(self.about.at) and one.points)
        if not payers:
            return
        owed_by = self._owed_by(owing)
        for lot in payers:
            n = min(self.debts[owing], lot.points)
            self.take_out(lot, TRANSIT, n)
            self.move(owed_by, TRANSIT, DEBT, n)

    def _owed_by(self, account_id: int) -> Left:
        entry = PointsEntry
        owed = select(entry.lot_id).where(entry.account_id == account_id, entry.bucket == DEBT, entry.amount < 0)
        lot_id = self.work.db.scalars(owed.order_by(entry.txn_id.desc(), entry.number).limit(1)).one()
        self.also([lot_id])
        return self.lots[lot_id]


LOT_DEFAULTS: Mapping[str, Any] = {
    "origin_lot": None,
    "idle_months": None,
    "channel": "",
    "store": "",
    "campaign": "",
    "jurisdiction": "",
    "uses": {},
    "qualifies": False,
}


# --- beginning -------------------------------------------------------------------------------------------------------


def replayed(db: Session, about: About) -> PointsTxn | None:
    """The transaction of this key, if the same was asked before. Raises ``Conflict`` if it was something else."""
    known = db.execute(select(PointsTxn.id, PointsTxn.request_hash).where(PointsTxn.key == about.key)).one_or_none()
    return None if known is None else _again(db, about, *known)


T_TXN, T_LOT, T_ENTRY, T_NOW, T_ACCOUNT = (
    cast(Table, one.__table__) for one in (PointsTxn, PointsLot, PointsEntry, PointsLotNow, PointsAccount)
)
NOW, ACCOUNT = T_NOW.c, T_ACCOUNT.c
HAS_POINTS = NOW.pending + NOW.available > literal_column("0")
"""In the words of the partial indexes."""
LEFT = (
    NOW.lot_id, NOW.account_id, NOW.activates_at, NOW.expires_at, NOW.pending, NOW.available, NOW.held, NOW.uses,
    NOW.notice_days, NOW.not_before, NOW.idle_months,
)  # fmt: skip
"""In the order of ``Left``."""
TAKEOVER = "points_takeover"
"""The setting of ``loyalty.takeover``."""
TAKES_OVER = select(literal_column("1")).where(Setting.name == TAKEOVER).exists()
"""Whether the shop has ever taken over an older points system (``loyalty.takeover``): mostly not."""


def _which(dialect: str, ids: Collection[int]) -> tuple[bool, dict[str, Any]]:
    """Whether it is one account, as it mostly is, and the parameter of these.

    For one PostgreSQL keeps its plan; for an array it would make another one each time, a quarter of all it does.
    """
    return (True, {"id": next(iter(ids))}) if len(ids) == 1 else (False, {"ids": packed(dialect, ids)})


def _of(column: ColumnElement[Any], dialect: str, *, one: bool) -> ColumnElement[bool]:
    return column == bindparam("id") if one else among(dialect, column, "ids")


@cache
def _own_accounts(dialect: str, *, one: bool) -> Select[Any]:
    """These accounts, held in ascending order."""
    own = select(*(ACCOUNT[name] for name in ("id", *STANDING, "version", "idles")))
    return own.where(_of(ACCOUNT.id, dialect, one=one)).order_by(ACCOUNT.id).with_for_update()


@cache
def _known_and_left(dialect: str, *, one: bool) -> Select[Any]:
    """The transaction of a key, if there is one, and what is left of the lots: one question for both."""
    return select(PointsTxn.id, PointsTxn.request_hash, TAKES_OVER.label("takes_over"), *LEFT).select_from(
        select(literal_column("1").label("one"))
        .subquery("one")
        .outerjoin(T_TXN, PointsTxn.key == bindparam("key"))
        .outerjoin(T_NOW, and_(_of(NOW.account_id, dialect, one=one), HAS_POINTS))
    )


def hold(work: Work, ids: Collection[int]) -> dict[int, Any]:
    """These accounts by their ids, as they are while nobody else moves them. Raises ``NoAccount``."""
    work.db.flush()
    line = work.db.connection()
    kind = line.dialect.name
    one, own = _which(kind, ids)
    (found,) = answers(line, (_own_accounts(kind, one=one), own))
    return _all_of(ids, found)


def _all_of(ids: Collection[int], found: Sequence[Any]) -> dict[int, Any]:
    accounts = {one.id: one for one in found}
    if len(accounts) < len(ids):
        raise NoAccount(f"no account {min(set(ids) - set(accounts))}")
    return accounts


def begin(work: Work, about: About, *account_ids: int) -> Draft | PointsTxn:
    """Hold these accounts and what is left of their lots; the transaction there is, if this was done before.

    Raises ``Conflict`` and ``NoAccount``.
    """
    ids = several(account_ids)
    work.db.flush()
    line = work.db.connection()
    kind = line.dialect.name
    one, own = _which(kind, ids)
    asked = _known_and_left(kind, one=one), {**own, "key": about.key}
    held, found = answers(line, (_own_accounts(kind, one=one), own), asked)
    accounts = _all_of(ids, held)
    if found[0][0] is not None:
        return _again(work.db, about, found[0][0], found[0][1])
    lots = {one[3]: _left(one[3:]) for one in found if one[3] is not None}
    debts = {one: accounts[one].debt for one in ids}
    return Draft(work, about, accounts, lots, debts=debts, takes_over=bool(found[0][2]))


def _again(db: Session, about: About, txn_id: int, request_hash: str) -> PointsTxn:
    if request_hash != about.request_hash:
        raise Conflict(f"key {about.key} was used for another request")
    return db.get_one(PointsTxn, txn_id)


def lots_of(db: Session, account_ids: Sequence[int]) -> dict[int, Left]:
    """What is left of the lots of these accounts that have points."""
    own = select(*LEFT).where(NOW.account_id.in_(account_ids), HAS_POINTS)
    return {one.lot_id: _left(one) for one in db.execute(own.order_by(NOW.lot_id))}


def these_lots(db: Session, lot_ids: Iterable[int]) -> dict[int, Left]:
    """What is left of these lots, also if it is nothing."""
    own = select(*LEFT).where(NOW.lot_id.in_(sorted(set(lot_ids))))
    found = {one.lot_id: _left(one) for one in db.execute(own)}
    idle.catch_up(db, found.values())
    return found


def _left(one: Sequence[Any]) -> Left:
    return Left(*one)


# --- writing ---------------------------------------------------------------------------------------------------------


def write(draft: Draft, result: Mapping[str, Any] | None = None) -> PointsTxn:
    """Write the transaction and what it leaves; ``result`` is answered now and whenever the same is asked again."""
    (row,) = write_all([(draft, result or {})])
    return PointsTxn(**row)


def write_all(written: Sequence[tuple[Draft, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Write several transactions in a few statements; those that share an account only add to it. Their rows."""
    drafts = [draft for draft, _ in written]
    renewed = [idle.due(draft) for draft in drafts]
    rows = [_txn(draft, result, some) for (draft, result), some in zip(written, renewed, strict=True)]
    db = drafts[0].work.db
    line = db.connection()
    with all_at_once(line) if len(drafts) == 1 else nullcontext() as tell:  # many are copied, which goes alone
        _keep(line, tell, rows, drafts)
        _keep_lots(line, tell, drafts)
        for row, some in zip(rows, renewed, strict=True):
            idle.keep(line, some, row["id"], row["effective_at"])
        _keep_accounts(line, tell, drafts)
    _forget(db, {account_id for draft in drafts for account_id in draft.accounts})
    return rows


def _txn(draft: Draft, result: Mapping[str, Any], renewed: Sequence[idle.Renewal]) -> dict[str, Any]:
    work, about, txn_id = draft.work, draft.about, new_id(draft.work.now)
    if sum(one.amount for one in draft.entries):
        raise AssertionError("the entries do not sum to nothing")
    row = {
        "id": txn_id,
        "kind": about.kind,
        "key": about.key,
        "request_hash": about.request_hash,
        "result": {"txn": txn_id, **result},
        "effective_at": about.at,
        "recorded_at": work.now,
        "actor": about.actor,
        "reason": about.reason,
        "source": about.source,
        "reverses": about.reverses,
        "rule_version": about.rule_version,
        "approval_id": about.approval_id,
    }
    entries = [[one.account_id, one.lot_id, one.bucket, one.amount] for one in draft.entries]
    ends = [[one.account_id, one.idle_months, one.ends_at] for one in renewed]
    return {**row, "content_hash": content_hash(row, draft.new, entries, ends)}


ENTRY = ("account_id", "lot_id", "bucket", "amount")


def _keep(line: Connection, tell: Tell | None, txns: Sequence[Mapping[str, Any]], drafts: Sequence[Draft]) -> None:
    """The rows that are only added."""
    lots, entries = [], []
    for txn, draft in zip(txns, drafts, strict=True):
        own = {"txn_id": txn["id"]}
        lots += [{**one, **own} for one in draft.new]
        entries += [
            {**own, "number": number, **{name: getattr(one, name) for name in ENTRY}}
            for number, one in enumerate(draft.entries)
        ]
    for table, rows in ((PointsTxn, txns), (PointsLot, lots), (PointsEntry, entries)):
        add_rows(line, table, rows, tell)


COLUMNS = (
    "id", "account_id", "issued", "activates_at", "expires_at", "origin", "origin_lot", "channel", "store", "campaign",
    "jurisdiction", "uses", "qualifies", "idle_months",
)  # fmt: skip


def content_hash(
    txn: Mapping[str, Any],
    lots: Iterable[Mapping[str, Any]],
    entries: Iterable[Sequence[Any]],
    renewed: Iterable[Sequence[Any]] = (),
) -> str:
    """Of everything a transaction says, its own hash apart.

    What it does not say of idleness has no part in it: so the hashes from before there was such a thing are right.
    """
    said = {
        "txn": {name: value for name, value in txn.items() if name != "content_hash"},
        "lots": sorted(map(_as_said, lots), key=lambda one: one["id"]),
        "entries": [list(one) for one in entries],
    }
    ends = sorted(list(one) for one in renewed)
    return digest({**said, "renewed": ends} if ends else said)


def _as_said(lot: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in lot.items() if name != "idle_months" or value is not None}


KEEP_LOT = (
    update(T_NOW)
    .where(NOW.lot_id == bindparam("of_lot"))
    .values({name: bindparam(name) for name in (PENDING, AVAILABLE, HELD)})
)
KEEP_END = update(T_NOW).where(NOW.lot_id == bindparam("of_lot")).values(expires_at=bindparam("end"), not_before=None)
KEEP_ACCOUNT = (
    update(T_ACCOUNT)
    .where(ACCOUNT.id == bindparam("of_account"))
    .values({name: ACCOUNT[name] + bindparam(f"more_{name}") for name in (*STANDING, "version")})
)


def _keep_lots(line: Connection, tell: Tell | None, drafts: Sequence[Draft]) -> None:
    fresh, old, moved = [], [], []
    for draft in drafts:
        new = {one["id"] for one in draft.new}
        touched = {one.lot_id for one in draft.entries if one.bucket in (PENDING, AVAILABLE, HELD)}
        for lot_id in sorted(touched | new):
            one = draft.lots[lot_id]
            counts: dict[str, Any] = {PENDING: one.pending, AVAILABLE: one.available, HELD: one.held}
            if lot_id in new:
                facts = {"activates_at": one.activates_at, "expires_at": one.expires_at, "uses": dict(one.uses)}
                own = {"lot_id": lot_id, "account_id": one.account_id, "notice_days": one.notice_days}
                fresh.append({**own, **facts, **counts, "idle_months": one.idle_months})
            else:
                old.append({"of_lot": lot_id, **counts})
                if one.moved:
                    moved.append({"of_lot": lot_id, "end": one.expires_at})
    add_rows(line, PointsLotNow, fresh, tell)
    change(line, tell, KEEP_LOT, old)
    if moved:
        line.execute(KEEP_END, moved)


def _keep_accounts(line: Connection, tell: Tell | None, drafts: Sequence[Draft]) -> None:
    sums: dict[int, dict[str, int]] = {}
    accounts: dict[int, Any] = {}
    for draft in drafts:
        accounts |= draft.accounts
        for account_id in draft.accounts:
            sums.setdefault(account_id, dict.fromkeys((*STANDING, "version"), 0))["version"] += 1
        for one in draft.entries:
            if one.bucket in STANDING:
                sums[one.account_id][one.bucket] += -one.amount if one.bucket == DEBT else one.amount
    for account_id, more in sums.items():
        if min(getattr(accounts[account_id], name) + more[name] for name in STANDING) < 0:
            raise AssertionError(f"account {account_id} would go below nothing")
    rows = [{"of_account": one, **{f"more_{name}": n for name, n in more.items()}} for one, more in sums.items()]
    change(line, tell, KEEP_ACCOUNT, rows)
    idles = {lot["account_id"] for draft in drafts for lot in draft.new if lot["idle_months"] is not None}
    if first := [one for one in sorted(idles) if not accounts[one].idles]:
        line.execute(update(T_ACCOUNT).where(ACCOUNT.id.in_(first)).values(idles=True))


def _forget(db: Session, account_ids: Iterable[int]) -> None:
    """Whoever looks at one of these accounts in this session reads it anew."""
    for one in account_ids:
        if (known := db.identity_map.get(identity_key(PointsAccount, one))) is not None:
            db.expire(known)


def open_account(work: Work, person_id: int) -> PointsAccount:
    """The account of a person, made when there is none."""
    row = {"person_id": person_id, "made_at": work.now}
    insert_new(work.db, PointsAccount, [row], ["person_id"])
    return work.db.scalars(select(PointsAccount).where(PointsAccount.person_id == person_id)).one()


def hold_row(work: Work, hold_id: int) -> PointsHold | None:
    """A hold, held itself."""
    return work.db.get(PointsHold, hold_id, with_for_update=True, populate_existing=True)

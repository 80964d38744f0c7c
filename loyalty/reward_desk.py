"""The catalogue of rewards as people set it up: drafted, live, paused; codes uploaded; what it comes to.

What was redeemed keeps the price and worth of its moment, so that a live reward may be edited. A cause is paid at the
published rate: each donation carries what it was worth when it was made, and a payment is exactly those it names.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from loyalty import tiers
from loyalty.ledger.book import DONATED
from loyalty.rewards import COUNTS, COUPON, DONATION, GOODS, KINDS, LIVE, OPEN, RELEASED, RETURNED, USED
from storage.database import changed_rows
from storage.rows import insert_new
from storage.tables import PointsEntry, PointsTxn, Redemption, Reward, RewardCode, Settlement
from storage.work import Work

DRAFT, PAUSED = "draft", "paused"
MOVES: Mapping[tuple[str, str], str] = {
    ("go", DRAFT): LIVE,
    ("pause", LIVE): PAUSED,
    ("go", PAUSED): LIVE,
}
MAX_NAME, MAX_ABOUT, MAX_STORE, MOST_STORES = 60, 1_000, 64, 200
MOST = 100_000_000
LONGEST_DAYS = 366
MOST_CODES = 100_000
MAX_CODE = 60


class Wrong(ValueError):
    """What is wrong with a draft: (field, code), of which the console knows the words."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(", ".join(f"{name}: {code}" for name, code in problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Draft:
    """A reward as somebody wrote it: points, pieces, days; ``worth`` in fen; times in UTC."""

    name: str
    kind: str = GOODS
    about: str = ""
    points: int | None = None
    stock: int | None = None
    per_person: int | None = None
    per_day: int | None = None
    stores: tuple[str, ...] = ()
    from_at: datetime | None = None
    to_at: datetime | None = None
    level: str = ""
    days: int | None = 30
    cause: str = ""
    worth: int | None = 0


def check(draft: Draft, levels: Sequence[str]) -> None:
    """Raises ``Wrong`` with everything that is wrong with it."""
    wrong = [
        (name, code)
        for name, code, is_wrong in (
            ("name", "length", not 0 < len(draft.name) <= MAX_NAME),
            ("about", "length", len(draft.about) > MAX_ABOUT),
            ("kind", "kind", draft.kind not in KINDS),
            ("points", "points", not _within(draft.points, 1)),
            ("stock", "number", draft.stock is not None and not _within(draft.stock, 0)),
            ("per_person", "number", draft.per_person is not None and not _within(draft.per_person, 1)),
            ("per_day", "number", draft.per_day is not None and not _within(draft.per_day, 1)),
            ("stores", "length", len(draft.stores) > MOST_STORES or any(len(one) > MAX_STORE for one in draft.stores)),
            ("to_at", "order", None not in (draft.from_at, draft.to_at) and not _in_order(draft)),
            ("level", "level", bool(draft.level) and draft.level not in levels),
            ("days", "days", draft.days is None or not 0 <= draft.days <= LONGEST_DAYS),
            ("cause", "length", draft.kind == DONATION and not 0 < len(draft.cause) <= MAX_NAME),
            ("worth", "fen", draft.kind == DONATION and not _within(draft.worth, 1)),
        )
        if is_wrong
    ]
    if wrong:
        raise Wrong(wrong)


def _within(number: int | None, least: int) -> bool:
    return number is not None and least <= number <= MOST


def _in_order(draft: Draft) -> bool:
    return draft.from_at is not None and draft.to_at is not None and draft.from_at < draft.to_at


def keep(work: Work, draft: Draft, by: str, reward_id: int | None = None) -> Reward:
    """Keep a reward, new (as a draft) or changed; of coupons codes are the stock. Raises ``Wrong``, ``LookupError``.

    Once it was live its kind stays what it was, and its stock is changed by ``restock`` alone.
    """
    check(draft, [one.key for one in tiers.scheme(work.db).levels])
    row = held(work, reward_id) if reward_id is not None else _new(work, by)
    if reward_id is not None and row.state != DRAFT and row.kind != draft.kind:
        raise Wrong([("kind", "fixed")])
    told = {**asdict(draft), "stores": list(draft.stores), "worth": draft.worth if draft.kind == DONATION else 0}
    if reward_id is not None and row.state != DRAFT:
        del told["stock"]  # it moves while somebody fills in a form: ``restock`` changes it
    for name, value in told.items():
        setattr(row, name, value)
    work.db.add(row)
    work.db.flush()
    if row.kind == COUPON:
        row.stock = _free(work.db, row.id)
        work.db.flush()
    return row


def _new(work: Work, by: str) -> Reward:
    return Reward(state=DRAFT, made_by=by[:100], made_at=work.now)


def held(work: Work, reward_id: int) -> Reward:
    """The reward, held until the end of the transaction. Raises ``LookupError``."""
    found = work.db.get(Reward, reward_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise LookupError(f"no reward {reward_id}")
    return found


def move(row: Reward, do: str) -> bool:
    """Let a reward (held) go live or pause; False where that does not fit its state."""
    after = MOVES.get((do, row.state))
    row.state = after or row.state
    return after is not None


def restock(row: Reward, more: int) -> bool:
    """Put so many more (or fewer) pieces of a reward (held) into stock; False where there are not so many to take."""
    if row.kind == COUPON or row.stock is None or not 0 <= row.stock + more <= MOST:
        return False
    row.stock += more
    return True


# --- codes -----------------------------------------------------------------------------------------------------------


class BadCodes(ValueError):
    """Codes that cannot be taken: empty, too_many, or bad (``line``)."""

    def __init__(self, code: str, line: int = 0) -> None:
        super().__init__(f"{code} {line or ''}".strip())
        self.code, self.line = code, line


def read_codes(text: str) -> list[str]:
    """The first column of a CSV, each code once, in order; a first line ``code`` is left out. Raises ``BadCodes``."""
    found: dict[str, None] = {}
    for line, row in enumerate(csv.reader(io.StringIO(text.removeprefix("\ufeff"))), start=1):
        value = row[0].strip() if row else ""
        if not value or (line == 1 and value.lower() in ("code", "券码", "兑换码")):
            continue
        if len(value) > MAX_CODE or not value.isprintable():
            raise BadCodes("bad", line)
        found[value] = None
    if not 0 < len(found) <= MOST_CODES:
        raise BadCodes("too_many" if found else "empty")
    return list(found)


def add_codes(work: Work, row: Reward, codes: Sequence[str]) -> int:
    """Add these codes to a coupon (held); those it has already are left. How many were new."""
    rows = [{"reward_id": row.id, "value": one, "added_at": work.now} for one in codes]
    new = len(insert_new(work.db, RewardCode, rows, ["reward_id", "value"]))
    row.stock = _free(work.db, row.id)
    work.db.flush()
    return new


def _free(db: Session, reward_id: int) -> int:
    own = (RewardCode.reward_id == reward_id, RewardCode.redemption_id.is_(None))
    return int(db.scalar(select(func.count()).select_from(RewardCode).where(*own)) or 0)


def last_signs(db: Session, reward_id: int, limit: int = 5) -> Sequence[str]:
    """The last four signs of the codes that go next: all that is ever shown of them."""
    own = select(RewardCode.value).where(RewardCode.reward_id == reward_id, RewardCode.redemption_id.is_(None))
    return [one[-4:] for one in db.scalars(own.order_by(RewardCode.id).limit(limit))]


# --- looking ---------------------------------------------------------------------------------------------------------


def listed(db: Session) -> Sequence[Reward]:
    """Every reward: live ones first, then drafts, then paused ones; the newest of each first."""
    order = case((Reward.state == LIVE, 0), (Reward.state == DRAFT, 1), else_=2)
    return db.scalars(select(Reward).order_by(order, Reward.id.desc()).limit(500)).all()


@dataclass(frozen=True)
class Count:
    """What became of one reward: redemptions by state, and the points that were spent on it or are set apart."""

    open: int = 0
    used: int = 0
    returned: int = 0
    released: int = 0
    points: int = 0


def counts(db: Session, since: datetime | None = None) -> dict[int, Count]:
    """Of each reward, of redemptions since then (or all)."""
    own = select(Redemption.reward_id, Redemption.state, func.count(), func.sum(Redemption.points))
    own = own if since is None else own.where(Redemption.made_at >= since)
    found: dict[int, dict[str, int]] = {}
    for reward_id, state, n, points in db.execute(own.group_by(Redemption.reward_id, Redemption.state)):
        one = found.setdefault(reward_id, {"points": 0})
        one[state] = int(n)
        one["points"] += int(points) if state in COUNTS else 0
    return {reward_id: Count(**one) for reward_id, one in found.items()}


def redemptions(
    db: Session, *, reward_id: int | None = None, state: str = "", limit: int, before: int | None = None
) -> tuple[Sequence[Redemption], int | None]:
    """One page, the newest first, and the id before which the next one lies."""
    own = select(Redemption).order_by(Redemption.id.desc()).limit(limit + 1)
    own = own.where(Redemption.reward_id == reward_id) if reward_id is not None else own
    own = own.where(Redemption.state == state) if state in (OPEN, USED, RETURNED, RELEASED) else own
    found = db.scalars(own.where(Redemption.id < before) if before is not None else own).all()
    return found[:limit], found[limit - 1].id if len(found) > limit else None


# --- donations -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cause:
    """What was given to one cause: donations, points and fen; of these, what has been paid."""

    name: str
    count: int
    points: int
    fen: int
    paid_count: int
    paid_points: int
    paid_fen: int
    in_books: int
    """Points that the books say were donated to it: the same as ``points``, or something is wrong."""

    @property
    def reconciles(self) -> bool:
        """Whether redemptions and books say the same."""
        return self.points == self.in_books


def causes(db: Session) -> list[Cause]:
    """Every cause, with what the books say of it."""
    paid = case((Redemption.settlement_id.is_not(None), 1), else_=0)
    own = (
        select(
            Reward.cause, func.count(), func.sum(Redemption.points), func.sum(Redemption.worth), func.sum(paid),
            func.sum(paid * Redemption.points), func.sum(paid * Redemption.worth),
        )
        .join(Reward, Reward.id == Redemption.reward_id)
        .where(Reward.kind == DONATION)
        .group_by(Reward.cause)
    )  # fmt: skip
    booked, found = _booked(db), []
    for name, count, points, fen, *paid_ones in db.execute(own.order_by(Reward.cause)):
        paid_count, paid_points, paid_fen = (int(one) for one in paid_ones)
        in_books = booked.get(f"cause:{name}", 0)
        found.append(Cause(name, int(count), int(points), int(fen), paid_count, paid_points, paid_fen, in_books))
    return found


def _booked(db: Session) -> dict[str, int]:
    own = select(PointsTxn.source, func.sum(PointsEntry.amount)).join(PointsEntry, PointsEntry.txn_id == PointsTxn.id)
    given = own.where(PointsTxn.kind == "donate", PointsEntry.bucket == DONATED)
    return {source: int(n) for source, n in db.execute(given.group_by(PointsTxn.source))}


def settle(work: Work, cause: str, certificate: str, by: str) -> Settlement | None:
    """Write down that everything given to a cause and not paid yet was paid now; None where there is nothing.

    ``certificate`` is the number of its receipt, 1 to 60 signs. Raises ``ValueError`` without one.
    """
    if not 0 < len(certificate.strip()) <= MAX_NAME:
        raise ValueError("the number of the receipt is missing")
    theirs = select(Reward.id).where(Reward.kind == DONATION, Reward.cause == cause).order_by(Reward.id)
    rewards = work.db.scalars(theirs.with_for_update()).all()
    unpaid = (Redemption.reward_id.in_(rewards), Redemption.settlement_id.is_(None))
    sums = select(
        func.count(), func.coalesce(func.sum(Redemption.points), 0), func.coalesce(func.sum(Redemption.worth), 0)
    )
    count, points, fen = work.db.execute(sums.where(*unpaid)).one()
    if not count:
        return None
    facts = {"cause": cause, "count": int(count), "points": int(points), "fen": int(fen)}
    row = Settlement(**facts, certificate=certificate.strip(), made_by=by[:100], made_at=work.now)
    work.db.add(row)
    work.db.flush()
    if changed_rows(work.db, update(Redemption).where(*unpaid).values(settlement_id=row.id)) != count:
        raise AssertionError("a donation came in between")
    return row


def settlements(db: Session, limit: int = 100) -> Sequence[Settlement]:
    """What was paid, the newest first."""
    return db.scalars(select(Settlement).order_by(Settlement.id.desc()).limit(limit)).all()

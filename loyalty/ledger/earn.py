"""Points come in: awards, re-issues, corrections upwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loyalty.ledger import book
from loyalty.ledger.book import AVAILABLE, EXPIRED, PENDING, About
from loyalty.ledger.lots import Left
from storage.tables import PointsEntry, PointsLot, PointsTxn
from storage.work import Work


class TooMuch(ValueError):
    """More than there was to give again."""


@dataclass(frozen=True)
class Grant:
    """Points that come in together."""

    points: int
    activates_at: datetime
    expires_at: datetime | None
    """From then on they are gone; none: never. Of those that die of idleness, if nothing is bought or redeemed."""
    origin: str
    """purchase, marketing, compensation, reissue."""
    channel: str = ""
    store: str = ""
    campaign: str = ""
    jurisdiction: str = ""
    uses: Mapping[str, Any] = field(default_factory=dict)
    qualifies: bool = False
    notice_days: int = 0
    """So long before they die it must have been told; until then they live on (``loyalty.notices``)."""
    idle_months: int | None = None
    """After how many months without a purchase or redemption they die; none: not of that (``ledger.idle``)."""

    def __post_init__(self) -> None:
        if self.points <= 0:
            raise ValueError("an award is at least one point")
        if self.expires_at is not None and self.expires_at <= self.activates_at:
            raise ValueError("points cannot be gone before they are there")
        if self.idle_months is not None and self.expires_at is None:
            raise ValueError("points that die of idleness have an end")


def award(
    work: Work,
    account_id: int,
    grants: Sequence[Grant],
    about: About,
    because: Mapping[str, Any] | None = None,
    person: Sequence[int] = (),
) -> PointsTxn:
    """Let points come in, each grant as a lot of its own; what is owed is paid from what is there at once.

    ``because`` is kept with it: why so many; ``person`` are all accounts of theirs, which ``about.active`` renews.
    Asking again with the same key gives the first answer. Raises ``Conflict`` and ``NoAccount``.
    """
    draft = book.begin(work, about, account_id, *person)
    if isinstance(draft, PointsTxn):
        return draft
    result = issue(draft, account_id, grants, because)
    draft.repay(account_id)
    return book.write(draft, result)


def issue(
    draft: book.Draft, account_id: int, grants: Sequence[Grant], because: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Open the lots of these grants in a draft; what is answered."""
    lots = [_issue(draft, account_id, one) for one in grants]
    told = {"points": sum(one.points for one in grants), "lots": [one.lot_id for one in lots]}
    return told if because is None else {**told, "because": dict(because)}


def _issue(draft: book.Draft, account_id: int, one: Grant) -> Left:
    into = PENDING if one.activates_at > draft.about.at else AVAILABLE
    facts = {each.name: getattr(one, each.name) for each in fields(one) if each.name != "points"}
    return draft.issue(account_id, one.points, into, **facts)


def reissue(work: Work, account_id: int, grant: Grant, lost_txn: int, about: About) -> PointsTxn:
    """Give again what an expiry or a clearing took (补发): at most as much as it took. Raises ``TooMuch``."""
    draft = book.begin(work, about, account_id)
    if isinstance(draft, PointsTxn):
        return draft
    left = _lost(work.db, account_id, lost_txn) - _given_again(work.db, lost_txn)
    if grant.points > left:
        raise TooMuch(f"{grant.points} points asked for, {left} of what was lost are left")
    lot = _issue(draft, account_id, grant)
    draft.repay(account_id)
    return book.write(draft, {"points": grant.points, "lots": [lot.lot_id]})


def _lost(db: Session, account_id: int, txn_id: int) -> int:
    own = (PointsEntry.txn_id == txn_id, PointsEntry.account_id == account_id, PointsEntry.bucket == EXPIRED)
    return int(db.scalar(select(func.coalesce(func.sum(PointsEntry.amount), 0)).where(*own)) or 0)


def _given_again(db: Session, txn_id: int) -> int:
    own = select(func.coalesce(func.sum(PointsLot.issued), 0)).join(PointsTxn, PointsTxn.id == PointsLot.txn_id)
    return int(db.scalar(own.where(PointsTxn.kind == "reissue", PointsTxn.reverses == txn_id)) or 0)

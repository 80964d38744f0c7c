"""Points that die of idleness: what moves their ends, and where these are, made of what has moved them.

Whoever buys or redeems (``About.active``) renews the points of each account they have: all lots of one rule share one
end. A renewal is kept with its transaction and hashed with it; it moves what has not died when that takes effect, so
that nothing comes back to life, whether or not it was swept (docs/decisions/0016). Of a lot of which nothing is left
the end is worked out when points come back to it (``catch_up``). Accounts without such lots pay nothing for it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Executable, Table, and_, case, func, insert, literal_column, not_, select, update
from sqlalchemy.orm import Session

from loyalty.expiry import idle_end
from loyalty.ledger.lots import Left
from storage.tables import PointsLot, PointsLotNow, PointsNotice, PointsRenewal, PointsTxn, has_died

if TYPE_CHECKING:
    from loyalty.ledger.book import Draft

T_RENEWAL, T_NOW = (cast(Table, one.__table__) for one in (PointsRenewal, PointsLotNow))
NOW = T_NOW.c
SOMETHING_LEFT = NOW.pending + NOW.available + NOW.held > literal_column("0")


@dataclass(frozen=True)
class Renewal:
    """The lots of an account that die after so many idle months die no earlier than this."""

    account_id: int
    idle_months: int
    ends_at: datetime


def due(draft: "Draft") -> list[Renewal]:
    """What a draft renews: nothing where nobody was active, and what would move no end is left out.

    A lot that was given on may end sooner than the others; a purchase that moves nothing else lets it share their end.
    """
    active = draft.about.active
    if active is None:
        return []
    fresh = {(one["account_id"], one["idle_months"]): (None, None) for one in draft.new if one["idle_months"]}
    idling = [number for number, one in draft.accounts.items() if one.idles]
    known = _ends_there(draft.work.db, idling, draft.about.at)
    found = []
    for (account_id, months), (last, soonest) in {**fresh, **known}.items():
        ends = idle_end(active, months, draft.work.zone)
        ends = ends if last is None else max(last, ends)
        if last is None or last < ends or (soonest is not None and soonest < ends):
            found.append(Renewal(account_id, months, ends))
    return sorted(found, key=lambda one: (one.account_id, one.idle_months))


def _ends_there(
    db: Session, account_ids: Sequence[int], at: datetime
) -> dict[tuple[int, int], tuple[datetime | None, datetime | None]]:
    """By account and rule of the lots there are: the end of the last renewal, and the soonest of what is left."""
    if not account_ids:
        return {}
    soonest = func.min(case((and_(SOMETHING_LEFT, not_(has_died(at))), NOW.expires_at))).label("soonest")
    own = select(NOW.account_id, NOW.idle_months, soonest).where(NOW.idle_months.is_not(None))
    rules = own.where(NOW.account_id.in_(account_ids)).group_by(NOW.account_id, NOW.idle_months).subquery()
    renewal = PointsRenewal
    theirs = (renewal.account_id == rules.c.account_id, renewal.idle_months == rules.c.idle_months)
    last = select(func.max(renewal.ends_at)).where(*theirs).scalar_subquery()
    asked = select(rules.c.account_id, rules.c.idle_months, last, rules.c.soonest)
    return {(account_id, months): (ends, soon) for account_id, months, ends, soon in db.execute(asked)}


def last(db: Session, account_id: int, months: int) -> tuple[datetime | None, int]:
    """The end that the last renewal of an account and rule gave, and the latest transaction that made one; or 0."""
    renewal = PointsRenewal
    own = select(func.max(renewal.ends_at), func.coalesce(func.max(renewal.txn_id), 0))
    ends, txn_id = db.execute(own.where(renewal.account_id == account_id, renewal.idle_months == months)).one()
    return ends, txn_id


def keep(line: Connection, renewals: Sequence[Renewal], txn_id: int, at: datetime) -> None:
    """Write down what a transaction renews, and move the ends of what is left of the lots that came before it.

    What has died stays dead, and what was told of the end before counts no more.
    """
    if not renewals:
        return
    line.execute(insert(T_RENEWAL), [{**vars(one), "txn_id": txn_id} for one in renewals])
    for one in renewals:
        own = update(T_NOW).where(
            NOW.account_id == one.account_id,
            NOW.idle_months == one.idle_months,
            NOW.lot_id < txn_id,
            NOW.expires_at < one.ends_at,
            SOMETHING_LEFT,
            not_(has_died(at)),
        )
        line.execute(own.values(expires_at=one.ends_at, not_before=None))


def catch_up(db: Session, lots: Collection[Left]) -> None:
    """Give those of these lots of which nothing is left the ends to which renewals have moved them meanwhile."""
    spent = {one.lot_id: one for one in lots if one.idle_months is not None and not one.points + one.held}
    if not spent:
        return
    rows = db.scalars(select(PointsLot).where(PointsLot.id.in_(spent))).all()
    waiting = {one.lot_id for one in spent.values() if one.notice_days}
    for lot_id, end in ends(lambda _table, asked: db.execute(asked).all(), rows, waiting).items():
        one = spent[lot_id]
        if one.expires_at != end:
            one.expires_at, one.not_before, one.moved = end, None, True


# --- made anew -------------------------------------------------------------------------------------------------------

Ask = Callable[[Any, Executable], Sequence[Any]]
"""Rows of a question about a table."""


@dataclass(frozen=True)
class Moved:
    """A renewal as it is looked at again."""

    ends_at: datetime
    txn_id: int
    at: datetime
    """When its transaction took effect."""


def ends(ask: Ask, lots: Collection[Any], waiting: Collection[int]) -> dict[int, datetime]:
    """The ends of these lots (rows of ``points_lot``), of those that die of idleness, from what has moved them.

    ``waiting`` are those that must be told of before they die.
    """
    idle = [one for one in lots if one.idle_months is not None]
    if not idle:
        return {}
    renewal, notice = PointsRenewal, PointsNotice
    moved: dict[tuple[int, int], list[Moved]] = defaultdict(list)
    own = select(renewal.account_id, renewal.idle_months, renewal.ends_at, renewal.txn_id, PointsTxn.effective_at).join(
        PointsTxn, PointsTxn.id == renewal.txn_id
    )
    theirs = own.where(renewal.account_id.in_({one.account_id for one in idle}))
    for account_id, months, *rest in ask(renewal, theirs.order_by(renewal.ends_at, renewal.txn_id)):
        moved[account_id, months].append(Moved(*rest))
    told: dict[int, dict[datetime, datetime]] = defaultdict(dict)
    asked = select(notice.lot_id, notice.expires_at, notice.ends_at)
    for lot_id, of_end, dies in ask(notice, asked.where(notice.lot_id.in_({one.id for one in idle} & set(waiting)))):
        told[lot_id][of_end] = dies
    return {
        one.id: end_of(one.id, one.expires_at, moved[one.account_id, one.idle_months],
                       told[one.id] if one.id in waiting else None)
        for one in idle
    }  # fmt: skip


def end_of(lot_id: int, first: datetime, moved: Sequence[Moved], told: Mapping[datetime, datetime] | None) -> datetime:
    """Where a lot's end is now: where it was when it came in, moved by each renewal that found it alive.

    ``told``: of each end that was told of, when the lot dies by that; none: it need not be told of.
    """
    end = first
    for one in moved:
        dies = end if told is None else told.get(end)
        if one.txn_id > lot_id and one.ends_at > end and (dies is None or dies > one.at):
            end = one.ends_at
    return end

"""What an approval can carry out: one row of ``DEEDS`` each, in plain sight.

A deed looks (what would it come to now? ``Look``) and acts. It is looked at when it is asked for and again when it is
carried out; ``loyalty.approvals`` compares. What is done to many accounts is done line by line (``each``), every line
under a key of its own, so that a repetition changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import and_, func, not_, select
from sqlalchemy.orm import Session

from loyalty import authority, group_buys, programme, takeover, tiers, transfers
from loyalty.ledger import book, claw, earn, spend, standing
from loyalty.ledger.book import AVAILABLE, CLAWED, EXPIRED, PENDING, About, Accounts
from loyalty.ledger.claw import WITHIN_BALANCE, Policy
from loyalty.ledger.earn import Grant
from loyalty.ledger.lots import take
from storage.tables import (
    Approval,
    ApprovalLine,
    Campaign,
    PointsAccount,
    PointsEntry,
    PointsLot,
    PointsLotNow,
    PointsTxn,
    has_died,
)
from storage.work import Work

TOP = 20
"""So many of the accounts it moves most for are shown by name."""


@dataclass(frozen=True)
class Look:
    """What it comes to."""

    accounts: int
    points: int
    """Plus: more points are out than before."""
    size: int
    """Points moved in all, whichever way."""
    top: Sequence[tuple[int, int]] = ()
    """(account, points), the most first; the first twenty."""

    def told(self) -> dict[str, Any]:
        """As it is kept."""
        return {**asdict(self), "top": [list(one) for one in self.top]}


NOTHING = Look(0, 0, 0)


@dataclass(frozen=True)
class Deed:
    """How a kind is looked at and carried out."""

    look: Callable[[Session, Approval, datetime], Look]
    do: Callable[[Work, Approval], dict[str, Any]] | None = None
    each: Callable[[Work, Approval, ApprovalLine], int | None] | None = None
    """For many: one account; the transaction, or None where nothing is left to do."""
    let_be: Callable[[Work, Approval], None] | None = None
    """What is to be put back where nothing comes of it."""


def _about(work: Work, approval: Approval, kind: str, account_id: int | None = None, **more: Any) -> About:
    key = f"approval:{approval.id}" if account_id is None else f"approval:{approval.id}:{account_id}"
    return About(
        kind,
        key,
        work.now,
        approval.made_by,
        reason=approval.reason,
        source=f"approval:{approval.id}",
        approval_id=approval.id,
        request={"payload": approval.payload, "account": account_id},
        **more,
    )


def _grant(work: Work, payload: Mapping[str, Any], points: int, origin: str) -> Grant:
    """Points that are there at once, until the moment the payload says."""
    ends = payload.get("expires_at")
    until, own = datetime.fromisoformat(ends) if ends else None, programme.rules_at(work, work.now).programme
    return own.grant(points, work.now, until, origin, work.now, idle_months=payload.get("idle_months"))


# --- one account -----------------------------------------------------------------------------------------------------


def _one(account_id: int, points: int) -> Look:
    return Look(1, points, abs(points), ((account_id, points),)) if points else NOTHING


def _owned(db: Session, account_id: int) -> bool:
    """Whether the account is somebody's (still)."""
    return db.scalar(select(PointsAccount.person_id).where(PointsAccount.id == account_id)) is not None


def _look_award(db: Session, approval: Approval, at: datetime) -> Look:
    account_ids, points = approval.payload["account_ids"], approval.payload["points"]
    if not _owned(db, account_ids[0]):
        return NOTHING
    if points < 0:
        points = -min(-points, standing.standing(db, account_ids, at).available)
    return _one(account_ids[0], points)


def _award(work: Work, approval: Approval) -> dict[str, Any]:
    payload = approval.payload
    grant = _grant(work, payload, payload["points"], payload.get("origin", "marketing"))
    txn = earn.award(work, payload["account_ids"][0], [grant], _about(work, approval, "award"))
    return {"txn": txn.id, "points": payload["points"]}


def _adjust(work: Work, approval: Approval) -> dict[str, Any]:
    account_ids, points = approval.payload["account_ids"], approval.payload["points"]
    about = _about(work, approval, "adjust")
    if points > 0:
        txn = earn.award(work, account_ids[0], [_grant(work, approval.payload, points, "compensation")], about)
    else:
        txn = take_away(work, account_ids, -points, about)
    return {"txn": txn.id, "points": points}


def take_away(work: Work, accounts: Accounts, points: int, about: About) -> PointsTxn:
    """Correct downwards: exactly so many, the soonest to die first. Raises ``NotEnough`` and ``InDebt``."""
    ids = book.several(accounts)
    draft = book.begin(work, about, *ids)
    if isinstance(draft, PointsTxn):
        return draft
    if debt := draft.settle(ids):
        raise spend.InDebt(debt)
    for lot, n in take([lot for one in ids for lot in draft.of(one)], points, about.at):
        draft.take_out(lot, CLAWED, n)
    return book.write(draft, {"points": -points})


def _look_reissue(db: Session, approval: Approval, at: datetime) -> Look:
    payload, account_id = approval.payload, approval.payload["account_ids"][0]
    if not _owned(db, account_id):
        return NOTHING
    return _one(account_id, min(payload["points"], lost(db, account_id, payload["lost_txn"])))


def lost(db: Session, account_id: int, txn_id: int) -> int:
    """What an expiry or a clearing took from the account and nobody has given again yet."""
    gone = (PointsEntry.txn_id == txn_id, PointsEntry.account_id == account_id, PointsEntry.bucket == EXPIRED)
    took = db.scalar(select(func.coalesce(func.sum(PointsEntry.amount), 0)).where(*gone))
    again = select(func.coalesce(func.sum(PointsLot.issued), 0)).join(PointsTxn, PointsTxn.id == PointsLot.txn_id)
    given = db.scalar(again.where(PointsTxn.kind == "reissue", PointsTxn.reverses == txn_id))
    return max(0, int(took or 0) - int(given or 0))


def _reissue(work: Work, approval: Approval) -> dict[str, Any]:
    payload = approval.payload
    about = _about(work, approval, "reissue", reverses=payload["lost_txn"])
    grant = _grant(work, payload, payload["points"], "reissue")
    txn = earn.reissue(work, payload["account_ids"][0], grant, payload["lost_txn"], about)
    return {"txn": txn.id, "points": payload["points"]}


def _look_transfer(db: Session, approval: Approval, at: datetime) -> Look:
    senders, receiver, points = (approval.payload[name] for name in ("account_ids", "receiver", "points"))
    if not (_owned(db, senders[0]) and _owned(db, receiver)):
        return NOTHING
    there = min(points, standing.standing(db, senders, at).available)
    return Look(2, 0, there, ((senders[0], -there), (receiver, there))) if there else NOTHING


def _transfer(work: Work, approval: Approval) -> dict[str, Any]:
    senders, receiver, points = (approval.payload[name] for name in ("account_ids", "receiver", "points"))
    txn = spend.transfer(work, senders, receiver, points, _about(work, approval, "transfer"))
    return {"txn": txn.id, "points": points}


# --- many accounts ---------------------------------------------------------------------------------------------------


def _look_bulk_award(db: Session, approval: Approval, at: datetime) -> Look:
    line, account = ApprovalLine, PointsAccount
    own = (line.approval_id == approval.id, account.person_id.is_not(None))
    join = select(func.count(), func.coalesce(func.sum(line.points), 0)).join(account, account.id == line.account_id)
    accounts, points = db.execute(join.where(*own)).one()
    top = select(line.account_id, line.points).join(account, account.id == line.account_id).where(*own)
    rows = db.execute(top.order_by(line.points.desc(), line.account_id).limit(TOP))
    return Look(int(accounts), int(points), int(points), tuple((one, n) for one, n in rows))


def _award_line(work: Work, approval: Approval, line: ApprovalLine) -> int | None:
    if not _owned(work.db, line.account_id):
        return None
    grant = _grant(work, approval.payload, line.points, "marketing")
    return earn.award(work, line.account_id, [grant], _about(work, approval, "award", line.account_id)).id


def _look_bulk_clear(db: Session, approval: Approval, at: datetime) -> Look:
    line, lot = ApprovalLine, PointsLotNow
    living = and_(lot.pending + lot.available > 0, not_(has_died(at)))
    there = func.sum(lot.pending + lot.available)
    own = (
        select(line.account_id, there.label("points"))
        .join(lot, lot.account_id == line.account_id)
        .where(line.approval_id == approval.id, living)
        .group_by(line.account_id)
    )
    some = own.subquery()
    accounts, points = db.execute(select(func.count(), func.coalesce(func.sum(some.c.points), 0))).one()
    top = db.execute(own.order_by(there.desc(), line.account_id).limit(TOP))
    return Look(int(accounts), -int(points), int(points), tuple((one, -int(n)) for one, n in top))


def _clear_line(work: Work, approval: Approval, line: ApprovalLine) -> int | None:
    txn = clear(work, line.account_id, _about(work, approval, "clear", line.account_id))
    return txn.id if txn is not None else None


def clear(work: Work, account_id: int, about: About) -> PointsTxn | None:
    """Let all that is alive or will be go, but what is held; None where there is nothing. ``lost`` says how much."""
    draft = book.begin(work, about, account_id)
    if isinstance(draft, PointsTxn):
        return draft
    draft.repay(account_id)
    for lot in draft.of(account_id):
        if not lot.over(about.at):
            draft.move(lot, PENDING, EXPIRED, lot.pending)
            draft.move(lot, AVAILABLE, EXPIRED, lot.available)
    gone = sum(one.amount for one in draft.entries if one.bucket == EXPIRED)
    return book.write(draft, {"points": -gone}) if draft.entries else None


def _look_bulk_undo(db: Session, approval: Approval, at: datetime) -> Look:
    line = ApprovalLine
    own = select(line.account_id, line.points).where(line.approval_id == approval.id)
    total = select(
        func.count(), func.coalesce(func.sum(line.points), 0), func.coalesce(func.sum(func.abs(line.points)), 0)
    )
    accounts, points, size = db.execute(total.where(line.approval_id == approval.id)).one()
    top = db.execute(own.order_by(func.abs(line.points).desc(), line.account_id).limit(TOP))
    return Look(int(accounts), int(points), int(size), tuple((one, n) for one, n in top))


def _undo_line(work: Work, approval: Approval, line: ApprovalLine) -> int | None:
    """Take an award back as far as it is there; give what was cleared again, as far as nobody has."""
    before = work.db.get_one(ApprovalLine, (approval.payload["batch"], line.account_id)).txn_id
    if before is None:
        return None
    if line.points < 0:
        about = _about(work, approval, "claw", line.account_id, reverses=before)
        return claw.claw_back(work, line.account_id, before, -line.points, about, Policy(WITHIN_BALANCE)).id
    again = min(line.points, lost(work.db, line.account_id, before))
    if not again or not _owned(work.db, line.account_id):
        return None
    about = _about(work, approval, "reissue", line.account_id, reverses=before)
    return earn.reissue(work, line.account_id, _grant(work, approval.payload, again, "reissue"), before, about).id


def _take_over_line(work: Work, approval: Approval, line: ApprovalLine) -> int | None:
    """Bring an account to what an older system said it had: what is missing comes in as it was there, the rest goes."""
    if not line.points or not _owned(work.db, line.account_id):
        return None
    about = _about(work, approval, "take_over", line.account_id)
    if line.points < 0:
        n = min(-line.points, standing.standing(work.db, [line.account_id], work.now).available)
        return take_away(work, [line.account_id], n, about).id if n else None
    day = date.fromisoformat(approval.payload["day"])
    some = takeover.lots_of(work.db, line.account_id, day, line.points)
    living = [one for one in some if one.expires_at is None or one.expires_at > work.now]
    own = programme.rules_at(work, work.now).programme
    grants = [
        own.grant(one.points, work.now, one.expires_at, one.origin, work.now, idle_months=one.idle_months)
        for one in living
    ]
    return earn.award(work, line.account_id, grants, about).id if grants else None


# --- the house -------------------------------------------------------------------------------------------------------


def look_rules(db: Session, approval: Approval, at: datetime) -> Look:
    """It moves nothing by itself."""
    return NOTHING


def _authority(work: Work, approval: Approval) -> dict[str, Any]:
    authority.set_limits(work, authority.Limits(**approval.payload), by=approval.made_by)
    return {}


def _policy(work: Work, approval: Approval) -> dict[str, Any]:
    """Other rules from a day on. Raises ``programme.Refused`` where that day has passed meanwhile."""
    since = datetime.fromisoformat(approval.payload["valid_from"])
    row = programme.decide(work, approval.payload["definition"], since, approval.made_by, approval.id)
    return {"version": row.version}


def _tiers(work: Work, approval: Approval) -> dict[str, Any]:
    tiers.set_scheme(work, tiers.of(approval.payload), by=approval.made_by)
    return {}


def _gifts(work: Work, approval: Approval) -> dict[str, Any]:
    transfers.set_limits(work, transfers.Limits(**approval.payload), by=approval.made_by)
    return {}


def _groups(work: Work, approval: Approval) -> dict[str, Any]:
    group_buys.set_terms(work, group_buys.Terms(**approval.payload), by=approval.made_by)
    return {}


def campaign_facts(row: Campaign) -> dict[str, Any]:
    """All that a campaign promises, as the payload that is agreed to."""
    told = {name: getattr(row, name) for name in ("name", "audience", "multiplier", "stacks", "cap", "budget")}
    times = {"from_at": row.from_at.isoformat(), "to_at": row.to_at.isoformat()}
    return {"campaign": row.id, **told, **times, "gives_back": row.gives_back}


def campaign_of(payload: Mapping[str, Any]) -> Campaign:
    """The campaign that was agreed to, or is to be: a row that is not kept."""
    told = {name: value for name, value in payload.items() if name not in ("campaign", "from_at", "to_at")}
    times = {name: datetime.fromisoformat(payload[name]) for name in ("from_at", "to_at")}
    return Campaign(id=payload["campaign"], **told, **times)


def _look_campaign(db: Session, approval: Approval, at: datetime) -> Look:
    """At most its budget; one without is as large as can be."""
    budget = approval.payload["budget"]
    size = NO_BUDGET if budget is None else int(budget)
    return Look(0, size, size)


NO_BUDGET = 10**6


MINUTE = timedelta(minutes=1)


def first_minute(at: datetime) -> datetime:
    """From when something that is agreed to at this moment holds: the next full minute, before which all is settled."""
    return at.replace(second=0, microsecond=0) + MINUTE


def _campaign(work: Work, approval: Approval) -> dict[str, Any]:
    """Live from its beginning, or from now on where that has passed: what was paid before has earned by its own rules.

    Raises ``ValueError`` where it was changed meanwhile, or is over.
    """
    row = work.db.get(Campaign, approval.payload["campaign"], with_for_update=True)
    if row is None or campaign_facts(row) != approval.payload or row.state != "submitted":
        raise ValueError("the campaign is not what was agreed to")
    row.from_at = max(row.from_at, first_minute(work.now))
    if row.from_at >= row.to_at:
        raise ValueError("the campaign is over")
    row.state, row.approval_id = "live", approval.id
    return {"campaign": row.id, "from_at": row.from_at.isoformat()}


def _campaign_stays_a_draft(work: Work, approval: Approval) -> None:
    row = work.db.get(Campaign, approval.payload["campaign"], with_for_update=True)
    if row is not None and (row.state, row.approval_id) == ("submitted", approval.id):
        row.state = "draft"


DEEDS: Mapping[str, Deed] = MappingProxyType(
    {
        "award": Deed(_look_award, _award),
        "adjust": Deed(_look_award, _adjust),
        "reissue": Deed(_look_reissue, _reissue),
        "transfer": Deed(_look_transfer, _transfer),
        "bulk_award": Deed(_look_bulk_award, each=_award_line),
        "bulk_clear": Deed(_look_bulk_clear, each=_clear_line),
        "bulk_undo": Deed(_look_bulk_undo, each=_undo_line),
        "take_over": Deed(_look_bulk_undo, each=_take_over_line),
        "campaign": Deed(_look_campaign, _campaign, let_be=_campaign_stays_a_draft),
        "policy": Deed(look_rules, _policy),
        "tiers": Deed(look_rules, _tiers),
        "gifts": Deed(look_rules, _gifts),
        "groups": Deed(look_rules, _groups),
        "authority": Deed(look_rules, _authority),
    }
)
"""What can be carried out. Another kind: a row here and in ``authority.LEAST``."""

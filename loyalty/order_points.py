"""What orders and refunds do to points: an order earns by the rules of its day, a refund takes back what it must.

The award of an order holds why it is so many (``result.because``); a refund works from that, never from today's rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loyalty import boosts, campaigns, earning, programme
from loyalty.earning import Earned, Terms
from loyalty.expiry import Expiry
from loyalty.ledger import bulk, claw, spend
from loyalty.ledger.book import REDEEMED, About
from loyalty.ledger.earn import Grant
from loyalty.programme import Rules
from storage.tables import PointsEntry, PointsTxn
from storage.work import Work

ACTOR = "orders"


@dataclass(frozen=True)
class Paid:
    """An order as points see it. Money in fen."""

    reference: str
    """``order:pos-01:A1001``."""
    account_id: int
    paid_at: datetime
    amount: int
    by_category: Mapping[str, int]
    store: str = ""
    campaigns: frozenset[int] = frozenset()
    """Campaigns with an audience that has this person."""
    tier: str = ""
    tier_factor: int = earning.ONE
    person: tuple[int, ...] = ()
    """All accounts of the same person, where it matters; none: this one alone."""

    @property
    def accounts(self) -> tuple[int, ...]:
        """All accounts of the person, as far as known."""
        return self.person or (self.account_id,)


def earn(work: Work, orders: Sequence[Paid]) -> dict[str, int]:
    """Let these orders earn, each once, in the order given; points by reference."""
    used = campaigns.Used.of(work, [(one.accounts, one.paid_at) for one in orders])
    waiting = _waiting(work, orders)
    awards, points = [], {}
    for one in orders:
        rules = programme.rules_at(work, one.paid_at)
        earned = _earned(one, rules, used, waiting)
        used.add(one.account_id, one.paid_at, earned)
        waiting.use(work, one.reference, earned)
        points[one.reference] = earned.total
        awards.append(_award(work, one, rules, earned))
    used.keep(work)
    bulk.award_many(work, awards)
    return points


def _waiting(work: Work, orders: Sequence[Paid]) -> boosts.Waiting:
    """What of their own these people may use for their orders."""
    times = [one.paid_at for one in orders]
    ids = {account_id for one in orders for account_id in one.accounts}
    return boosts.Waiting.of(work, ids, min(times), max(times)) if times else boosts.Waiting()


def _earned(one: Paid, rules: Rules, used: campaigns.Used, waiting: boosts.Waiting) -> Earned:
    own = rules.programme
    for_all = used.boosts(one.accounts, one.paid_at, one.campaigns)
    better = [
        each
        for each in waiting.best(one.accounts, one.paid_at)
        if all(other.stacks or other.factor < each.factor for other in for_all)
    ]
    terms = Terms(
        own.rate,
        one.tier,
        one.tier_factor,
        [*for_all, *better],
        own.order_cap,
        used.day_room(one.accounts, one.paid_at, own.day_cap),
    )
    return earning.earn(own.basis(one.amount, one.by_category), terms)


def _award(work: Work, one: Paid, rules: Rules, earned: Earned) -> bulk.Award:
    about = About(
        kind="award",
        key=one.reference,
        at=work.now,
        actor=ACTOR,
        source=one.reference,
        rule_version=rules.version,
        active=one.paid_at,
        request={"account": one.account_id, "amount": one.amount, "paid_at": one.paid_at},
    )
    return bulk.Award(one.account_id, _grants(work, one, rules, earned), about, earned.because, one.accounts)


def _grants(work: Work, one: Paid, rules: Rules, earned: Earned) -> list[Grant]:
    own, campaign = rules.programme, next(iter(earned.by_campaign), None)
    days = work.pending_days if own.pending_days is None else own.pending_days
    since = one.paid_at + timedelta(days=days)
    found = []
    for points, origin, expiry in (
        (earned.base, "purchase", own.expiry),
        (earned.bonus, "marketing", own.bonus_expiry or own.expiry),
    ):
        if points:
            found.append(
                own.grant(
                    points,
                    since,
                    _ends(expiry, one.paid_at, since, work.zone),
                    origin,
                    work.now,
                    idle_months=expiry.idle_months,
                    channel="order",
                    store=one.store,
                    campaign=_named(campaign) if campaign and origin == "marketing" else "",
                    qualifies=origin == "purchase",
                )
            )
    return found


def _ends(expiry: Expiry, paid_at: datetime, since: datetime, zone: ZoneInfo) -> datetime | None:
    """When points of an order die: inactivity counts from the purchase, unless they would be dead before they live."""
    ends = expiry.ends(paid_at if expiry.idle_months else since, zone)
    return expiry.ends(since, zone) if ends is not None and ends <= since else ends


def _named(campaign: int) -> str:
    """A campaign by its number; what was somebody's own as ``boost:5``."""
    return str(campaign) if campaign > 0 else f"boost:{-campaign}"


# --- refunds ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Returned:
    """A refund as points see it."""

    reference: str
    """``refund:pos-01:R1``."""
    order: str
    """The reference of its order."""
    amount: int
    """Fen that the order cost."""
    refunded: int
    """Fen that have come back of it in all, this refund among them."""
    refund: str = ""
    """The reference of the one refund it is about; none: of all that came back before."""
    money: int = 0
    """Fen that this refund gave back."""


def take_back(work: Work, one: Returned) -> dict[str, int]:
    """Take back what the order does not earn any more, give back what was spent on it; points of both."""
    return {"taken": _take(work, one), "given_back": _give_back(work, one)}


def let_back(work: Work, one: Returned) -> None:
    """Undo what a refund did that turned out to be another order's; ``refunded`` is what has come back without it.

    What it took comes back, and what it gave back is spent again. Raises ``NotEnough`` and ``InDebt`` where that was
    spent since.
    """
    _let_back(work, one)
    _spend_again(work, one)


def award_of(db: Session, order: str) -> PointsTxn | None:
    """The award of an order."""
    return db.scalars(select(PointsTxn).where(PointsTxn.key == order)).one_or_none()


def moves_of(db: Session, order: str) -> Sequence[PointsTxn]:
    """What else happened to points on account of an order; the oldest first."""
    kinds = ("claw", "unclaw", "give_back", "redeem", "capture")
    own = select(PointsTxn).where(PointsTxn.source == order, PointsTxn.kind.in_(kinds)).order_by(PointsTxn.id)
    return db.scalars(own).all()


def _take(work: Work, one: Returned) -> int:
    award = award_of(work.db, one.order)
    if award is None or not (awarded := int(award.result["points"])):
        return 0
    rules = programme.rules_of(work, award.rule_version or 0)
    still = earning.still_earned(award.result["because"], awarded, one.refunded)
    target = awarded - still
    about = About("claw", f"{one.reference}:claw", work.now, ACTOR, source=one.order, reverses=award.id,
                  rule_version=rules.version, request={"target": target})  # fmt: skip
    account_id, because = _account(work, award.id), award.result["because"]
    held = campaigns.hold(work, because, account_id)
    why = {
        "refund": one.refund,
        "money": one.money,
        "left": one.amount - one.refunded,
        "earned": awarded,
        "still": still,
    }
    txn = claw.claw_back(work, account_id, award.id, target, about, rules.programme.policy, why)
    taken = int(txn.result["points"])
    campaigns.give_back(work, held, because, account_id, Fraction(taken, awarded))
    return taken


def _let_back(work: Work, one: Returned) -> None:
    award = award_of(work.db, one.order)
    if award is None or not (awarded := int(award.result["points"])):
        return
    rules = programme.rules_of(work, award.rule_version or 0)
    target = awarded - earning.still_earned(award.result["because"], awarded, one.refunded)
    about = About("unclaw", f"{one.reference}:unclaw", work.now, ACTOR, source=one.order, reverses=award.id,
                  rule_version=rules.version, request={"target": target})  # fmt: skip
    account_id, because = _account(work, award.id), award.result["because"]
    held = campaigns.hold(work, because, account_id)
    txn = claw.let_back(work, award.id, target, about, timedelta(days=rules.programme.restore_grace_days))
    if txn is not None:
        campaigns.give_back(work, held, because, account_id, -Fraction(int(txn.result["points"]), awarded))


def _account(work: Work, txn_id: int) -> int:
    own = select(PointsEntry.account_id).where(PointsEntry.txn_id == txn_id).limit(1)
    return int(work.db.scalars(own).one())


def _give_back(work: Work, one: Returned) -> int:
    """So much of what was spent on the order as came back of its money, in all; the last refund gives the rest."""
    spent = _spent_on(work, one.order)
    left = given = max(0, _due_back(work, one, spent))
    for spent_txn, n in spent.items():
        points = min(left, n - _returned(work, spent_txn))
        if points > 0:
            about = About("give_back", f"{one.reference}:{spent_txn}", work.now, ACTOR, source=one.order)
            grace = timedelta(days=programme.rules_at(work, work.now).programme.restore_grace_days)
            spend.give_back(work, spent_txn, points, about, grace)
            left -= points
    return given


def _due_back(work: Work, one: Returned, spent: Mapping[int, int]) -> int:
    """How many more points spent on the order are to come back; below nothing: so many too many did."""
    again = _spent_again(work, one.order)
    whole, back = sum(spent.values()) - again, sum(_returned(work, txn_id) for txn_id in spent) - again
    return (whole if one.refunded >= one.amount else whole * one.refunded // one.amount) - back


def _spend_again(work: Work, one: Returned) -> None:
    """Spend on the order once more what it was given back too much; it goes by the first redemption there was."""
    spent = _spent_on(work, one.order)
    too_many = -_due_back(work, one, spent)
    if too_many > 0:
        first = min(spent)
        about = About("redeem", f"{one.reference}:again", work.now, ACTOR, source=one.order, reverses=first)
        spend.redeem(work, spend.accounts_of(work.db, first), too_many, about)


def _spent_again(work: Work, order: str) -> int:
    """Points of ``_spend_again``: they were spent on the order before."""
    own = select(PointsTxn.result).where(PointsTxn.source == order, PointsTxn.kind == "redeem")
    return sum(int(result["points"]) for result in work.db.scalars(own.where(PointsTxn.reverses.is_not(None))))


def _spent_on(work: Work, order: str) -> dict[int, int]:
    own = (
        select(PointsTxn.id, func.sum(PointsEntry.amount))
        .join(PointsEntry, PointsEntry.txn_id == PointsTxn.id)
        .where(PointsTxn.source == order, PointsTxn.kind.in_(["redeem", "capture"]), PointsEntry.bucket == REDEEMED)
    )
    return {txn_id: int(points) for txn_id, points in work.db.execute(own.group_by(PointsTxn.id))}


def _returned(work: Work, spent_txn: int) -> int:
    own = (
        select(func.coalesce(func.sum(PointsEntry.amount), 0))
        .join(PointsTxn, PointsTxn.id == PointsEntry.txn_id)
        .where(PointsTxn.reverses == spent_txn, PointsTxn.kind == "give_back", PointsEntry.bucket == REDEEMED)
    )
    return -int(work.db.scalar(own) or 0)

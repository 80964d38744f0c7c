"""Points given from one person to another (转赠): off until the shop turns it on, within limits, perhaps accepted.

The books let points be given once (``spend.transfer``): what was received cannot be given on, keeps its expiry, counts
for no tier. Around them stand the shop's limits: so many points a day, nothing in the first days of a customer nor
after another phone number. Where the other has to accept, points are set apart for 72 hours and then come back.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loyalty import programme
from loyalty.ledger import spend
from loyalty.ledger.book import About, Conflict
from loyalty.ledger.lots import Left, NotEnough
from storage import shop_settings
from storage.tables import Evidence, Gift, Person, PointsAccount, PointsLot
from storage.work import Work

SETTING = "points_gifts"
OPEN, DONE, DECLINED, RELEASED = "open", "done", "declined", "released"
WAITS = timedelta(hours=72)
"""So long the other can accept."""
MOST = 10**8
CLOCK = "clock"


class CannotGive(ValueError):
    """Why not: off, oneself, new (``until``), phone (``until``), day_limit (``left``), over (``state``), unknown."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(f"{code} {facts or ''}".strip())
        self.code, self.facts = code, facts


@dataclass(frozen=True)
class Limits:
    """As the shop has set them; points and days."""

    on: bool = False
    day: int = 1_000
    """So many one person may give on one of the shop's days."""
    new_days: int = 30
    """So many days after we met somebody they give nothing."""
    phone_days: int = 7
    """So many days after another phone number was proved they give nothing."""
    accept: bool = True
    """Whether the other has to accept."""


def limits(db: Session) -> Limits:
    """The shop's own."""
    return Limits(**shop_settings.read(db, SETTING))


def set_limits(work: Work, wanted: Limits, *, by: str) -> None:
    """Set them. Raises ``ValueError`` for what makes no sense."""
    if not (0 < wanted.day <= MOST and 0 <= wanted.new_days <= 366 and 0 <= wanted.phone_days <= 366):
        raise ValueError("a day allows 1 to 100,000,000 points, and waits are 0 to 366 days")
    shop_settings.keep(work.db, SETTING, asdict(wanted), by=by, at=work.now)


@dataclass(frozen=True)
class Party:
    """One of the two: all anchors of a person, and their accounts (of the receiver at least one)."""

    people: Sequence[int]
    accounts: Sequence[int]


def give(work: Work, sender: Party, receiver: Party, points: int, key: str, *, by: str = "customer") -> Gift:
    """Give points, once for ``key`` (1 to 180 signs): at once, or as soon as it is accepted.

    Raises ``CannotGive``, ``NotEnough`` (of what may be given on), ``InDebt``, ``Conflict``; then nothing has changed.
    """
    _hold(work.db, [*sender.accounts, *receiver.accounts])
    known = work.db.scalars(select(Gift).where(Gift.key == key)).one_or_none()
    if known is not None:
        if (known.points, known.sender_id in sender.accounts, known.receiver_id in receiver.accounts) != (points, 1, 1):
            raise Conflict(f"key {key} was used for another gift")
        return known
    own = limits(work.db)
    _may(work, own, sender, receiver, points)
    row = _new(work, sender, receiver, points, key, by)
    about = About("hold", f"gift:{key}", work.now, by, source="gift", request={"to": row.receiver_id, "points": points})
    if own.accept:
        row.hold_id = spend.hold(work, sender.accounts, points, row.until, about, _first_hand(work.db, sender)).id
    else:
        row.txn_id = _hand_over(work, row, sender.accounts, by)
    work.db.add(row)
    work.db.flush()
    return row


def _hold(db: Session, account_ids: Sequence[int]) -> None:
    """Two gifts of one person wait for each other; the accounts in ascending order, as the books hold them."""
    own = select(PointsAccount.id).where(PointsAccount.id.in_(account_ids)).order_by(PointsAccount.id)
    db.execute(own.with_for_update()).all()


def _may(work: Work, own: Limits, sender: Party, receiver: Party, points: int) -> None:
    if not own.on:
        raise CannotGive("off")
    if points <= 0:
        raise ValueError("at least one point is given")
    if set(sender.people) & set(receiver.people):
        raise CannotGive("oneself")
    if not receiver.accounts:
        raise CannotGive("unknown")
    if not sender.accounts:
        raise NotEnough(points, 0)
    met = work.db.scalar(select(func.min(Person.first_seen_at)).where(Person.id.in_(sender.people)))
    if met is None or met + timedelta(days=own.new_days) > work.now:
        raise CannotGive("new", until=met and met + timedelta(days=own.new_days))
    changed = _phone_since(work.db, sender.people)
    if changed is not None and changed + timedelta(days=own.phone_days) > work.now:
        raise CannotGive("phone", until=changed + timedelta(days=own.phone_days))
    if (left := own.day - given_today(work, sender.accounts)) < points:
        raise CannotGive("day_limit", left=max(0, left))


def _phone_since(db: Session, people: Sequence[int]) -> datetime | None:
    """When a phone number was proved that is not their first; none where there is at most one."""
    own = (Evidence.anchor_id.in_(people), Evidence.type == "phone", Evidence.verified.is_(True))
    first_told = select(Evidence.value, func.min(Evidence.first_seen_at).label("at")).where(*own)
    times = sorted(at for _value, at in db.execute(first_told.group_by(Evidence.value)))
    return times[-1] if len(times) > 1 else None


def given_today(work: Work, account_ids: Sequence[int]) -> int:
    """Points given by the owner of these accounts on this day of the shop, also those that wait to be accepted."""
    today = work.now.astimezone(work.zone).date()
    own = (Gift.sender_id.in_(account_ids), Gift.day == today, Gift.state.in_((OPEN, DONE)))
    return int(work.db.scalar(select(func.coalesce(func.sum(Gift.points), 0)).where(*own)) or 0)


def _new(work: Work, sender: Party, receiver: Party, points: int, key: str, by: str) -> Gift:
    return Gift(
        key=key,
        sender_id=min(sender.accounts),
        receiver_id=min(receiver.accounts),
        points=points,
        state=OPEN,
        day=work.now.astimezone(work.zone).date(),
        made_by=by[:100],
        made_at=work.now,
        until=work.now + WAITS,
    )


def _first_hand(db: Session, sender: Party) -> spend.Fits:
    """Only what they earned themselves is set apart: what they were given they cannot give on."""
    own = select(PointsLot.id).where(PointsLot.account_id.in_(sender.accounts), PointsLot.origin == "transfer")
    given = set(db.scalars(own))

    def fits(lot: Left) -> bool:
        return lot.lot_id not in given

    return fits


def _hand_over(work: Work, row: Gift, accounts: Sequence[int], by: str) -> int:
    about = About("transfer", f"gift:{row.key}:done", work.now, by, source="gift", request={"points": row.points})
    row.state, row.ended_at = DONE, work.now
    return spend.transfer(work, accounts, row.receiver_id, row.points, about).id


# --- settling --------------------------------------------------------------------------------------------------------


def _row(db: Session, gift_id: int) -> Gift:
    found = db.get(Gift, gift_id)
    if found is None:
        raise CannotGive("unknown")
    paid_from = spend.accounts_of(db, found.hold_id) if found.hold_id is not None else ()
    _hold(db, [found.sender_id, found.receiver_id, *paid_from])
    db.refresh(found)
    return found


def accept(work: Work, gift_id: int, receiver: Sequence[int], *, by: str = "customer") -> Gift:
    """The receiver (their accounts) takes it; again: no change. Raises ``CannotGive``, ``NotEnough``, ``InDebt``."""
    row = _theirs(work.db, gift_id, receiver)
    if row.state == DONE:
        return row
    if row.state != OPEN or work.now >= row.until:
        raise CannotGive("over", state=row.state)
    sender = _release(work, row, by)
    row.txn_id = _hand_over(work, row, sender, by)
    work.db.flush()
    return row


def _theirs(db: Session, gift_id: int, receiver: Sequence[int]) -> Gift:
    row = _row(db, gift_id)
    if row.receiver_id not in receiver:
        raise CannotGive("unknown")
    return row


def _release(work: Work, row: Gift, by: str) -> Sequence[int]:
    """Bring what was set apart back to whoever gives; the accounts it came from."""
    if row.hold_id is None:
        raise LookupError("nothing is held")
    days = timedelta(days=programme.rules_at(work, work.now).programme.release_grace_days)
    about = About("release", f"gift:{row.key}:back", work.now, by, source="gift")
    try:
        spend.release(work, row.hold_id, about, days)
    except spend.Settled:
        if row.state == OPEN and work.now < row.until:
            raise CannotGive("over", state=RELEASED) from None
    return spend.accounts_of(work.db, row.hold_id)


def decline(work: Work, gift_id: int, receiver: Sequence[int], *, by: str = "customer") -> Gift:
    """The receiver does not want it; again: no change. Raises ``CannotGive`` when it is over."""
    row = _theirs(work.db, gift_id, receiver)
    if row.state == DECLINED:
        return row
    if row.state != OPEN:
        raise CannotGive("over", state=row.state)
    _release(work, row, by)
    row.state, row.ended_at = DECLINED, work.now
    work.db.flush()
    return row


def due(db: Session, at: datetime, limit: int) -> Sequence[int]:
    """What nobody accepted in time."""
    own = select(Gift.id).where(Gift.state == OPEN, Gift.until <= at)
    return db.scalars(own.order_by(Gift.until, Gift.id).limit(limit)).all()


def let_go(work: Work, gift_id: int) -> bool:
    """Bring back what nobody accepted; False where it was decided meanwhile."""
    row = _row(work.db, gift_id)
    if row.state != OPEN or work.now < row.until:
        return False
    _release(work, row, CLOCK)
    row.state, row.ended_at = RELEASED, work.now
    work.db.flush()
    return True

"""Points given from one person to another (转赠): off until the shop turns it on, within limits, perhaps accepted.

The books let points be given once (``spend.transfer``): what was received cannot be given on, keeps its expiry, counts
for no tier. Around them stand the shop's limits: so many points a day, nothing in the first days of a customer nor
after another phone number. Where the other has to accept, points are set apart for 72 hours and then come back.

Whoever names the other by a phone number (``named``) is never told whose it is, nor whether it is anybody's: such a
gift always waits, for nobody where nobody is known, and looks the same until it is accepted.

Before: the customer's own page and the API. After: the job that brings back what nobody accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
OPEN, DONE, DECLINED, RELEASED = STATES = ("open", "done", "declined", "released")
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
    """Whether the other has to accept also what was not sent to a number."""


def limits(db: Session) -> Limits:
    """The shop's own."""
    return Limits(**shop_settings.read(db, SETTING))


def of(raw: Mapping[str, Any]) -> Limits:
    """Limits out of a payload. Raises ``ValueError`` for what makes no sense."""
    try:
        found = Limits(**raw)
    except TypeError:
        raise ValueError("on, day, new_days, phone_days and accept") from None
    kinds = {name: type(one) for name, one in asdict(found).items()}
    if kinds != {"on": bool, "day": int, "new_days": int, "phone_days": int, "accept": bool}:
        raise ValueError("whole numbers, and yes or no")
    if not (0 < found.day <= MOST and 0 <= found.new_days <= 366 and 0 <= found.phone_days <= 366):
        raise ValueError("a day allows 1 to 100,000,000 points, and waits are 0 to 366 days")
    return found


def set_limits(work: Work, wanted: Limits, *, by: str) -> None:
    """Set them: an approval does (``loyalty.deeds``). Raises ``ValueError`` as ``of`` does."""
    shop_settings.keep(work.db, SETTING, asdict(of(asdict(wanted))), by=by, at=work.now)


def turn_off(work: Work, *, by: str) -> bool:
    """From now on nothing is given; what waits can be accepted still. False where it was off."""
    own = limits(work.db)
    if own.on:
        set_limits(work, replace(own, on=False), by=by)
    return own.on


@dataclass(frozen=True)
class Party:
    """One of the two: all anchors of a person, and accounts of theirs; a receiver nobody knows has neither."""

    people: Sequence[int]
    accounts: Sequence[int]


def give(
    work: Work, sender: Party, receiver: Party, points: int, key: str, *, named: str = "", by: str = "customer"
) -> Gift:
    """Give points, once for ``key`` (1 to 180 signs): at once, or as soon as it is accepted.

    ``named``: the number it is sent to, its middle hidden; then it waits in any case, also for a receiver nobody knows.
    Raises ``CannotGive``, ``NotEnough`` (of what may be given on), ``InDebt``, ``Conflict``; then nothing has changed.
    """
    _hold(work.db, [*sender.accounts, *receiver.accounts])
    known = work.db.scalars(select(Gift).where(Gift.key == key)).one_or_none()
    if known is not None:
        same_end = known.named == named and (named != "" or known.receiver_id in receiver.accounts)
        if not (known.points == points and known.sender_id in sender.accounts and same_end):
            raise Conflict(f"key {key} was used for another gift")
        return known
    own = limits(work.db)
    _may(work, own, sender, receiver, points)
    if not receiver.accounts and not named:
        raise CannotGive("unknown")
    row = _new(work, sender, receiver, points, key, by)
    row.named = named[:20]
    about = About("hold", f"gift:{key}", work.now, by, source="gift", request={"to": row.receiver_id, "points": points})
    if own.accept or named:
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
        receiver_id=min(receiver.accounts, default=None),
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
    if row.receiver_id is None:
        raise CannotGive("unknown")
    row.state, row.ended_at = DONE, work.now
    return spend.transfer(work, accounts, row.receiver_id, row.points, about).id


# --- settling --------------------------------------------------------------------------------------------------------


def _row(db: Session, gift_id: int) -> Gift:
    found = db.get(Gift, gift_id)
    if found is None:
        raise CannotGive("unknown")
    paid_from = spend.accounts_of(db, found.hold_id) if found.hold_id is not None else ()
    ends = [one for one in (found.sender_id, found.receiver_id) if one is not None]
    _hold(db, [*ends, *paid_from])
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


# --- looking ---------------------------------------------------------------------------------------------------------


def made_by(db: Session, account_ids: Sequence[int], limit: int) -> Sequence[Gift]:
    """What the owner of these accounts has given or would like to give, the newest first."""
    own = select(Gift).where(Gift.sender_id.in_(account_ids))
    return db.scalars(own.order_by(Gift.id.desc()).limit(limit)).all()


def waiting_for(db: Session, account_ids: Sequence[int], at: datetime) -> Sequence[Gift]:
    """What the owner of these accounts can accept now, the soonest to go back first."""
    own = select(Gift).where(Gift.receiver_id.in_(account_ids), Gift.state == OPEN, Gift.until > at)
    return db.scalars(own.order_by(Gift.until, Gift.id)).all()


def listed(
    db: Session, *, state: str = "", account_ids: Sequence[int] | None = None, limit: int, before: int | None = None
) -> tuple[Sequence[Gift], int | None]:
    """One page of gifts (from or to these accounts), the newest first, and the id before which the next one lies."""
    own = select(Gift).order_by(Gift.id.desc()).limit(limit + 1)
    own = own.where(Gift.state == state) if state in STATES else own
    if account_ids is not None:
        own = own.where(Gift.sender_id.in_(account_ids) | Gift.receiver_id.in_(account_ids))
    found = db.scalars(own.where(Gift.id < before) if before is not None else own).all()
    return found[:limit], found[limit - 1].id if len(found) > limit else None

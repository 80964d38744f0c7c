"""Points given from one person to another (转赠): off until the shop turns it on, within limits, perhaps accepted.

The books let points be given once (``spend.transfer``): what was received cannot be given on, keeps its expiry, counts
for no tier. Around them stand the shop's limits: so many points a day, nothing in the first days of a customer nor
after another phone number. Where the other has to accept, points are set apart for 72 hours and then come back.

Whoever names the other by a phone number (``named``) is never told whose it is, nor whether it is anybody's: such a
gift always waits, for nobody where nobody is known, and looks the same until it is accepted. Declined, it is gone from
the other's sight, and comes back when its time is over as one does that nobody could accept.

Before: the customer's own page and the API. After: the job that brings back what nobody accepted.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loyalty import programme, takeover
from loyalty.ledger import book, spend, standing
from loyalty.ledger.book import About, Conflict
from loyalty.ledger.lots import NotEnough
from loyalty.ledger.standing import Standing
from storage import shop_settings
from storage.tables import Evidence, Gift, Person, PointsAccount, PointsHold, PointsTxn
from storage.work import Work

SETTING = "points_gifts"
OPEN, DONE, DECLINED, RELEASED = STATES = ("open", "done", "declined", "released")
WAITS = timedelta(hours=72)
"""So long the other can accept."""
CLOCK = "clock"
OF_GIFT = re.compile(r"gift:(.+?)(?::(?:back|done))?")
"""The keys of a gift's transactions."""


class CannotGive(ValueError):
    """Why not: off, oneself, new, phone (``until``), day_limit (``day``, ``left``), over (``state``), gone, unknown.

    gone: the points have died since, or whoever gives needs them for what they owe.
    """

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(f"{code} {facts or ''}".strip())
        self.code, self.facts = code, facts


class Limits(BaseModel):
    """As the shop has set them; points and days."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    on: bool = False
    day: int = Field(default=1_000, ge=1, le=10**8)
    """So many one person may give on one of the shop's days."""
    new_days: int = Field(default=30, ge=0, le=366)
    """So many days after we met somebody they give nothing."""
    phone_days: int = Field(default=7, ge=0, le=366)
    """So many days after another phone number was proved they give nothing."""
    accept: bool = True
    """Whether the other has to accept also what was not sent to a number."""


def limits(db: Session) -> Limits:
    """The shop's own."""
    return Limits(**shop_settings.read(db, SETTING))


def set_limits(work: Work, wanted: Limits, *, by: str) -> None:
    """Set them: an approval does (``loyalty.deeds``)."""
    shop_settings.keep(work.db, SETTING, wanted.model_dump(), by=by, at=work.now)


def turn_off(work: Work, *, by: str) -> bool:
    """From now on nothing is given; what waits can be accepted still. False where it was off."""
    own = limits(work.db)
    if own.on:
        set_limits(work, own.model_copy(update={"on": False}), by=by)
    return own.on


@dataclass(frozen=True)
class Party:
    """One of the two: all anchors of a person, and accounts of theirs; a receiver nobody knows has neither."""

    people: Sequence[int]
    accounts: Sequence[int]


@dataclass(frozen=True)
class Named:
    """The phone number that a gift is sent to, as far as it is kept."""

    shown: str
    """Its middle hidden."""
    digest: str
    """Of the whole number, keyed: under one key another number is another gift."""


def give(
    work: Work,
    sender: Party,
    receiver: Party,
    points: int,
    key: str,
    *,
    named: Named | None = None,
    by: str = "customer",
) -> Gift:
    """Give points, once for ``key`` (1 to 180 signs): at once, or as soon as it is accepted.

    ``named``: the number it is sent to; then it waits in any case, also for a receiver nobody knows.
    Raises ``CannotGive``, ``NotEnough`` (of what may be given on), ``InDebt``, ``Conflict``; then nothing has changed.
    """
    _hold(work.db, [*sender.accounts, *receiver.accounts])
    row = _new(work, sender, receiver, points, key, by)
    to = row.receiver_id if named is None else named.digest
    about = About("hold", f"gift:{key}", work.now, by, source="gift", request={"to": to, "points": points})
    known = work.db.scalars(select(Gift).where(Gift.key == key)).one_or_none()
    if known is not None:
        return _again(work.db, known, about, sender, receiver, points, named)
    own = check(work, sender, receiver, points)
    if not receiver.accounts and not named:
        raise CannotGive("unknown")
    row.named = "" if named is None else named.shown[:20]
    if own.accept or named:
        fits = spend.first_hand(work.db, book.lots_of(work.db, sender.accounts))
        row.hold_id = spend.hold(work, sender.accounts, points, row.until, about, fits, active=False).id
    else:
        row.txn_id = spend.transfer(work, sender.accounts, min(receiver.accounts), points, _done(work, row, by)).id
        row.state, row.ended_at = DONE, work.now
    work.db.add(row)
    work.db.flush()
    return row


def check(work: Work, sender: Party, receiver: Party, points: int) -> Limits:
    """Whether so many could be given now, with nothing set apart: raises what ``give`` raises but ``Conflict``.

    Of the receiver it asks only whether they are who gives, which tells nothing of anybody else. What they do not have
    is said before what the day still allows: another day would not help. Within which limits is the answer.
    """
    own = limits(work.db)
    _may(work, own, sender, receiver, points)
    if takeover.shut(work):
        raise NotEnough(points, 0)
    there = standing.standing(work.db, sender.accounts, work.now)
    if there.debt:
        raise spend.InDebt(there.debt)
    if (has := first_hand(work.db, there, work.now)) < points:
        raise NotEnough(points, has)
    if (left := own.day - given_today(work, sender.accounts)) < points:
        raise CannotGive("day_limit", day=own.day, left=max(0, left))
    return own


def first_hand(db: Session, there: Standing, at: datetime) -> int:
    """How many of somebody's points can be given: not what was given to them."""
    return there.fitting(at, spend.first_hand(db, [one.lot_id for one in there.lots]))


def _again(
    db: Session, known: Gift, about: About, sender: Party, receiver: Party, points: int, named: Named | None
) -> Gift:
    """The gift of this key, where the same is asked. Raises ``Conflict``."""
    if named is not None:
        book.replayed(db, about)
    same_end = known.receiver_id in receiver.accounts if named is None else known.named == named.shown[:20]
    if not (known.points == points and known.sender_id in sender.accounts and same_end):
        raise Conflict(f"key {known.key} was used for another gift")
    return known


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


def _done(work: Work, row: Gift, by: str) -> About:
    return About("transfer", f"gift:{row.key}:done", work.now, by, source="gift", request={"points": row.points})


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
    """The receiver (their accounts) takes it, with the end it has; again: no change. Raises ``CannotGive``."""
    row = _theirs(work.db, gift_id, receiver)
    if row.state == DONE:
        return row
    if row.state != OPEN or row.ended_at is not None or work.now >= row.until:
        raise CannotGive("over", state=row.state)
    if row.hold_id is None or row.receiver_id is None:
        raise LookupError("nothing is held, or nobody can accept it")
    try:
        row.txn_id = spend.hand_over(work, row.hold_id, row.receiver_id, _done(work, row, by)).id
    except spend.Settled:
        raise CannotGive("over", state=RELEASED) from None
    except (spend.Died, spend.InDebt, NotEnough):
        raise CannotGive("gone") from None
    row.state, row.ended_at = DONE, work.now
    work.db.flush()
    return row


def _theirs(db: Session, gift_id: int, receiver: Sequence[int]) -> Gift:
    row = _row(db, gift_id)
    if row.receiver_id not in receiver:
        raise CannotGive("unknown")
    return row


def _release(work: Work, row: Gift, by: str) -> None:
    """Bring back what was set apart, unless the clock has done so by itself (``sweeps.let_go``)."""
    hold = work.db.get_one(PointsHold, row.hold_id, with_for_update=True, populate_existing=True)
    if hold.state != RELEASED:
        about = About("release", f"gift:{row.key}:back", work.now, by, source="gift")
        spend.release(work, hold.id, about, programme.release_grace(work))


def decline(work: Work, gift_id: int, receiver: Sequence[int], *, by: str = "customer") -> Gift:
    """The receiver does not want it; again: no change. Raises ``CannotGive`` when it is over.

    What was sent to a number stays open (``ended_at`` says that it was declined), and is shown to the receiver no more.
    """
    row = _theirs(work.db, gift_id, receiver)
    if row.state == DECLINED or (row.state == OPEN and row.ended_at is not None):
        return row
    if row.state != OPEN:
        raise CannotGive("over", state=row.state)
    row.ended_at = work.now
    if not row.named:
        _release(work, row, by)
        row.state = DECLINED
    work.db.flush()
    return row


def due(db: Session, at: datetime, limit: int) -> Sequence[int]:
    """What nobody accepted in time."""
    own = select(Gift.id).where(Gift.state == OPEN, Gift.until <= at)
    return db.scalars(own.order_by(Gift.until, Gift.id).limit(limit)).all()


def let_go(work: Work, gift_id: int) -> bool:
    """Bring back what nobody accepted, or what was declined unseen; False where it was decided meanwhile."""
    row = _row(work.db, gift_id)
    if row.state != OPEN or work.now < row.until:
        return False
    _release(work, row, CLOCK)
    row.state, row.ended_at = RELEASED if row.ended_at is None else DECLINED, work.now
    work.db.flush()
    return True


# --- looking ---------------------------------------------------------------------------------------------------------


def made_by(db: Session, account_ids: Sequence[int], limit: int) -> Sequence[Gift]:
    """What the owner of these accounts has given or would like to give, the newest first."""
    own = select(Gift).where(Gift.sender_id.in_(account_ids))
    return db.scalars(own.order_by(Gift.id.desc()).limit(limit)).all()


def waiting_for(db: Session, account_ids: Sequence[int], at: datetime) -> Sequence[Gift]:
    """What the owner of these accounts can accept now, the soonest to go back first."""
    waits = (Gift.state == OPEN, Gift.ended_at.is_(None), Gift.until > at)
    own = select(Gift).where(Gift.receiver_id.in_(account_ids), *waits)
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


def of_txns(db: Session, txns: Collection[PointsTxn]) -> dict[int, Gift]:
    """The gifts that transactions are of (set apart, handed over, come back), by the ids of those that are of one."""
    back = {one.reverses for one in txns if one.kind == "release" and one.reverses is not None}
    held = dict(db.execute(select(PointsTxn.id, PointsTxn.key).where(PointsTxn.id.in_(back))).all()) if back else {}
    keys = {one.id: OF_GIFT.fullmatch(held.get(one.reverses or 0, one.key)) for one in txns}
    wanted = {txn_id: found[1] for txn_id, found in keys.items() if found is not None}
    if not wanted:
        return {}
    known = {one.key: one for one in db.scalars(select(Gift).where(Gift.key.in_(set(wanted.values()))))}
    return {txn_id: known[key] for txn_id, key in wanted.items() if key in known}

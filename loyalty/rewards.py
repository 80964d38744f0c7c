"""Rewards (奖品): redeemed for points, handed out at a counter (核销), returned, or let go of where nobody came.

``redeem`` sets points apart (a hold) and takes one from the stock, in one transaction: never a point or a piece too
many, however many ask at once. ``hand_out`` spends them, once. Coupon codes and donations are done at once. Whoever
redeems holds the reward's row first and then accounts; whoever settles holds the redemption's before. Everything is
under a key, so that asking again changes nothing.

Before: the customer's page, the API and ``loyalty.group_buys``. After: ``console.counter``, and the job that releases
what nobody came for. What stands in the catalogue, ``loyalty.reward_desk`` keeps.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from loyalty import programme, takeover, tiers
from loyalty.ledger import spend
from loyalty.ledger.book import About, Conflict
from loyalty.ledger.lots import Left, NotEnough
from loyalty.ledger.spend import InDebt
from loyalty.ledger.standing import Standing
from storage.tables import Gift, GroupBuy, GroupSeat, Person, PointsAccount, PointsHold, Redemption, Reward, RewardCode
from storage.work import Work

GOODS, COUPON, EXPERIENCE, DONATION = KINDS = ("goods", "coupon", "experience", "donation")
AT_ONCE = frozenset({COUPON, DONATION})
"""Kinds that nobody has to hand out."""
LIVE = "live"
OPEN, USED, RETURNED, RELEASED = STATES = ("open", "used", "returned", "released")
COUNTS = (OPEN, USED)
"""States that count for the limits: what came back is free again."""
LONGEST_KEY = 180
LONGEST_NOTE = 200
CLOCK = "clock"


class CannotRedeem(ValueError):
    """Why not, as a code of which console and API know the words, and what belongs to it.

    no_reward, not_live, early (``at``), over, level (``needed``), person_limit (``most``), day_limit (``most``),
    sold_out.
    """

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(f"{code} {facts or ''}".strip())
        self.code, self.facts = code, facts


class CannotHandOut(ValueError):
    """Why it cannot be handed out or returned.

    no_code, used (``at``, ``store``, ``by``), returned, released, late (``until``), wrong_store (``stores``), donation.
    """

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(f"{code} {facts or ''}".strip())
        self.code, self.facts = code, facts


# --- codes -----------------------------------------------------------------------------------------------------------

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""31 signs, none of which is taken for another: no 0, O, 1, I, L. As many as a prime, for the check."""
SIGNS = 8


def new_code() -> str:
    """Seven signs by chance and one that checks them."""
    own = [secrets.randbelow(len(LETTERS)) for _ in range(SIGNS - 1)]
    return "".join(LETTERS[one] for one in [*own, _check(own)])


def _check(values: Sequence[int]) -> int:
    """So that Σ place × value is a multiple of 31: one wrong sign, or two that changed places, are always found."""
    total = sum(place * one for place, one in enumerate(values, start=1))
    return -total * pow(SIGNS, -1, len(LETTERS)) % len(LETTERS)


def read_code(typed: str) -> str | None:
    """The code in what was typed or scanned (also an address that ends with it); None where it is none."""
    plain = typed.strip().rpartition("=")[2].upper().replace("-", "").replace(" ", "")
    if len(plain) != SIGNS or set(plain) - set(LETTERS):
        return None
    values = [LETTERS.index(one) for one in plain]
    return plain if _check(values[:-1]) == values[-1] else None


def spelt(code: str) -> str:
    """As people read it: ``ABCD-2345``."""
    return f"{code[:4]}-{code[4:]}"


# --- which points fit ------------------------------------------------------------------------------------------------

Fits = Callable[[Left], bool]


def fits(reward_id: int | None, at: datetime, zone: ZoneInfo) -> Fits:
    """Whether points of a lot may be spent on this reward (none: on something that is no reward) at that moment.

    A lot says so in ``uses``: ``{"weekdays": [6, 7]}`` (Monday is 1) in the shop's time zone, ``{"rewards": [3]}``. A
    restriction that is not known here is not met.
    """
    weekday = at.astimezone(zone).isoweekday()
    met: Mapping[str, Callable[[Any], bool]] = {
        "weekdays": lambda value: weekday in value,
        "rewards": lambda value: reward_id in value,
    }
    return lambda lot: all(name in met and met[name](value) for name, value in lot.uses.items())


# --- redeeming -------------------------------------------------------------------------------------------------------


def redeem(
    work: Work,
    person_ids: Sequence[int],
    account_ids: Sequence[int],
    reward_id: int,
    key: str,
    *,
    by: str = "customer",
) -> Redemption:
    """Let a person (all their anchors) redeem a reward, once for ``key``, paid from these accounts; ``by`` whom.

    Limits and tier are those of the whole person. A key has 1 to 180 signs.

    Points are set apart until it is handed out or its days are over; coupons and donations are spent at once. Asked
    again with the same key it gives the same redemption. Raises ``CannotRedeem``, ``NotEnough`` (points that may be
    spent on it), ``InDebt``, ``Conflict`` (the key was used for something else); then nothing has changed.
    """
    if not 0 < len(key) <= LONGEST_KEY:
        raise ValueError(f"a key has 1 to {LONGEST_KEY} signs")
    everybody = hold_people(work.db, person_ids, account_ids)
    reward = held(work.db, reward_id)
    known = work.db.scalars(select(Redemption).where(Redemption.key == key)).one_or_none()
    if known is not None:
        return _again(known, reward_id, everybody)
    if everybody and reward.level:
        tiers.look(work, everybody)
    if (why := obstacle(work.db, reward, everybody, work.now, work.zone)) is not None:
        raise why
    if not account_ids:
        raise NotEnough(reward.points, 0)
    return _paid(work, reward, sorted(set(account_ids)), key, by)


def hold_people(db: Session, person_ids: Sequence[int], account_ids: Sequence[int]) -> list[int]:
    """All accounts of whoever these anchors are; nobody is joined to them or parted from them meanwhile.

    Raises ``ValueError`` for somebody else's account.
    """
    heads = select(func.coalesce(Person.merged_into, Person.id)).where(Person.id.in_(person_ids))
    ids = list(db.scalars(heads))
    people = select(Person.id).where(or_(Person.id.in_([*ids, *person_ids]), Person.merged_into.in_(ids)))
    everybody = db.scalars(people.order_by(Person.id).with_for_update(key_share=True)).all()
    own = list(db.scalars(select(PointsAccount.id).where(PointsAccount.person_id.in_(everybody))))
    if foreign := set(account_ids) - set(own):
        raise ValueError(f"account {min(foreign)} is not theirs")
    return own


def held(db: Session, reward_id: int) -> Reward:
    """The reward, held: everybody who wants one waits for the others. Raises ``CannotRedeem``."""
    found = db.get(Reward, reward_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise CannotRedeem("no_reward")
    return found


def _again(known: Redemption, reward_id: int, account_ids: Sequence[int]) -> Redemption:
    if known.reward_id != reward_id or known.account_id not in account_ids:
        raise Conflict(f"key {known.key} was used for another redemption")
    return known


def obstacle(
    db: Session, reward: Reward, account_ids: Sequence[int], at: datetime, zone: ZoneInfo
) -> CannotRedeem | None:
    """What stands in the way, points aside; None where nothing does."""
    if reward.state != LIVE:
        return CannotRedeem("not_live")
    if reward.from_at is not None and at < reward.from_at:
        return CannotRedeem("early", at=reward.from_at)
    if reward.to_at is not None and at >= reward.to_at:
        return CannotRedeem("over")
    if reward.level and not _reaches(db, reward.level, account_ids, at):
        return CannotRedeem("level", needed=tiers.scheme(db).levels[tiers.scheme(db).place(reward.level)].name)
    if reward.per_person is not None and had(db, reward.id, account_ids) >= reward.per_person:
        return CannotRedeem("person_limit", most=reward.per_person)
    if reward.per_day is not None and _on(db, reward.id, at, zone) >= reward.per_day:
        return CannotRedeem("day_limit", most=reward.per_day)
    return CannotRedeem("sold_out") if reward.stock == 0 else None


def hindrance(
    db: Session, reward: Reward, everybody: Sequence[int], paying: Standing, points: int, at: datetime, zone: ZoneInfo
) -> CannotRedeem | NotEnough | InDebt | None:
    """What redeeming it for so many points would be refused with at this moment, without trying; None: with nothing.

    ``everybody``: all accounts of the person, for limits and tier; ``paying``: what those have that may be spent from.
    """
    if (why := obstacle(db, reward, everybody, at, zone)) is not None:
        return why
    if takeover.state(db).name == takeover.SHADOW:
        return NotEnough(points, 0)
    if paying.debt:
        return InDebt(paying.debt)
    usable = paying.fitting(at, fits(reward.id, at, zone))
    return NotEnough(points, usable) if usable < points else None


def _reaches(db: Session, level: str, account_ids: Sequence[int], at: datetime) -> bool:
    scheme = tiers.scheme(db)
    has = tiers.at(db, account_ids, at).key if account_ids else scheme.levels[0].key
    return scheme.place(has) >= scheme.place(level)


def had(db: Session, reward_id: int, account_ids: Sequence[int]) -> int:
    """How many of a reward the owner of these accounts has had and not brought back, or has a seat in a group for."""
    own = (Redemption.reward_id == reward_id, Redemption.account_id.in_(account_ids), Redemption.state.in_(COUNTS))
    count = int(db.scalar(select(func.count()).select_from(Redemption).where(*own)) or 0)
    return count + _seats(db, reward_id, GroupSeat.account_id.in_(account_ids))


def _seats(db: Session, reward_id: int, *where: ColumnElement[bool]) -> int:
    """Open seats of groups for a reward: perhaps they become redemptions."""
    own = select(func.count()).select_from(GroupSeat).join(GroupBuy, GroupBuy.id == GroupSeat.group_id)
    return int(db.scalar(own.where(GroupBuy.reward_id == reward_id, GroupSeat.state == OPEN, *where)) or 0)


def _on(db: Session, reward_id: int, at: datetime, zone: ZoneInfo) -> int:
    day = at.astimezone(zone).date()
    own = (Redemption.reward_id == reward_id, Redemption.day == day, Redemption.state.in_(COUNTS))
    return int(db.scalar(select(func.count()).select_from(Redemption).where(*own)) or 0) + _seats(db, reward_id)


def _paid(work: Work, reward: Reward, ids: Sequence[int], key: str, by: str) -> Redemption:
    """Points and stock, both or neither. Raises ``NotEnough`` and ``InDebt``."""
    row = new_row(work, reward, ids[0], key, by)
    about = _about(work, reward, "hold", key, by)
    suits = fits(reward.id, work.now, work.zone)
    if reward.kind == DONATION:
        row.txn_id = spend.donate(work, ids, reward.points, _about(work, reward, "donate", key, by), suits).id
    elif reward.kind == COUPON:
        row.txn_id = spend.redeem(work, ids, reward.points, _about(work, reward, "redeem", key, by), suits).id
    else:
        row.hold_id = spend.hold(work, ids, reward.points, row.until, about, suits).id
    if reward.kind in AT_ONCE:
        row.state, row.ended_at, row.ended_by = USED, work.now, by
    take_one(reward)
    work.db.add(row)
    work.db.flush()
    if reward.kind == COUPON:
        _give_code(work.db, row)
    return row


def new_row(work: Work, reward: Reward, account_id: int, key: str, by: str) -> Redemption:
    """A redemption that begins now; whoever asks for it says what it was paid with."""
    today = work.now.astimezone(work.zone).date()
    code = new_code()
    while work.db.scalar(select(Redemption.id).where(Redemption.code == code)) is not None:
        code = new_code()
    return Redemption(
        reward_id=reward.id,
        account_id=account_id,
        code=code,
        key=key,
        points=reward.points,
        worth=reward.worth,
        state=OPEN,
        day=today,
        made_by=by[:100],
        made_at=work.now,
        until=datetime.combine(today + timedelta(days=reward.days + 1), time(), work.zone),
    )


def _about(work: Work, reward: Reward, kind: str, key: str, by: str) -> About:
    source = f"cause:{reward.cause}" if kind == "donate" else f"reward:{reward.id}"
    return About(kind, f"reward:{key}", work.now, by, reason=reward.name, source=source, request={"reward": reward.id})


def take_one(reward: Reward) -> None:
    """One less in stock, of a reward that is held. Raises ``CannotRedeem``."""
    if reward.stock is None:
        return
    if reward.stock <= 0:
        raise CannotRedeem("sold_out")
    reward.stock -= 1


def put_back(reward: Reward) -> None:
    """One more in stock; not of coupons: whoever had the code has seen it."""
    if reward.stock is not None and reward.kind != COUPON:
        reward.stock += 1


def _give_code(db: Session, row: Redemption) -> None:
    free = select(RewardCode).where(RewardCode.reward_id == row.reward_id, RewardCode.redemption_id.is_(None))
    code = db.scalars(free.order_by(RewardCode.id).limit(1).with_for_update()).one_or_none()
    if code is None:
        raise CannotRedeem("sold_out")
    code.redemption_id = row.id
    db.flush()


# --- settling --------------------------------------------------------------------------------------------------------


def by_code(db: Session, code: str) -> Redemption | None:
    """The redemption of a code, as ``read_code`` gives it."""
    return db.scalars(select(Redemption).where(Redemption.code == code)).one_or_none()


def _row(db: Session, redemption_id: int) -> Redemption:
    found = db.get(Redemption, redemption_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise LookupError(f"no redemption {redemption_id}")
    return found


def hand_out(work: Work, redemption_id: int, store: str, by: str, once: str) -> Redemption:
    """Hand it out at a store (核销): the points are spent. The same press (``once``, 1 to 64 signs) sent twice is one.

    Raises ``CannotHandOut`` and ``LookupError``.
    """
    row = _row(work.db, redemption_id)
    if row.state == USED and once and row.confirmed == once:
        return row
    if (why := why_not(work.db, row, store, work.now)) is not None:
        raise why
    if row.hold_id is not None:
        row.txn_id = _capture(work, row, by)
    row.state, row.ended_at, row.ended_by = USED, work.now, by[:100]
    row.store, row.confirmed = store[:64], once[:64]
    work.db.flush()
    return row


def why_not(db: Session, row: Redemption, store: str, at: datetime) -> CannotHandOut | None:
    """Why it cannot be handed out at this store now; None where it can."""
    if row.state == USED:
        return CannotHandOut("used", at=row.ended_at, store=row.store, by=row.ended_by)
    if row.state != OPEN:
        return CannotHandOut(row.state, at=row.ended_at)
    if at >= row.until:
        return CannotHandOut("late", until=row.until)
    stores = db.get_one(Reward, row.reward_id).stores
    if stores and store not in stores:
        return CannotHandOut("wrong_store", stores=stores)
    return None


def _capture(work: Work, row: Redemption, by: str) -> int:
    """Raises ``CannotHandOut`` where somebody else has settled the hold."""
    if row.hold_id is None:
        raise LookupError("nothing is held")
    reward = work.db.get_one(Reward, row.reward_id)
    about = About("capture", f"reward:{row.id}:used", work.now, by, reason=reward.name, source=f"reward:{reward.id}")
    try:
        return spend.capture(work, row.hold_id, None, about, _grace(work)).id
    except spend.Settled:
        raise CannotHandOut(RELEASED, at=None) from None


def _grace(work: Work) -> timedelta:
    return timedelta(days=programme.rules_at(work, work.now).programme.release_grace_days)


def give_back(work: Work, redemption_id: int, by: str, note: str) -> Redemption:
    """Take a reward back: its points return to the lots they came from, the piece to the stock. Again: no change.

    A coupon's code is not given to anybody else. Raises ``CannotHandOut`` (released already, a donation).
    """
    row = _row(work.db, redemption_id)
    if row.state == RETURNED:
        return row
    reward = held(work.db, row.reward_id)
    if reward.kind == DONATION:
        raise CannotHandOut(DONATION)
    if row.state == RELEASED:
        raise CannotHandOut(RELEASED, at=row.ended_at)
    _undo(work, row, reward, by)
    row.state, row.ended_at, row.ended_by, row.note = RETURNED, work.now, by[:100], note.strip()[:LONGEST_NOTE]
    work.db.flush()
    return row


def _undo(work: Work, row: Redemption, reward: Reward, by: str) -> None:
    about = About("release", f"reward:{row.id}:back", work.now, by, reason=reward.name, source=f"reward:{reward.id}")
    if row.txn_id is not None:
        days = timedelta(days=programme.rules_at(work, work.now).programme.restore_grace_days)
        spend.give_back(work, row.txn_id, row.points, about, days)
    elif row.hold_id is not None and _still_held(work.db, row.hold_id):
        spend.release(work, row.hold_id, about, _grace(work))
    put_back(reward)


def _still_held(db: Session, hold_id: int) -> bool:
    """Whether nobody has settled the hold by itself; looked at while it is held."""
    own = select(PointsHold.state).where(PointsHold.id == hold_id).with_for_update()
    return db.scalar(own) == OPEN


def due(db: Session, at: datetime, limit: int) -> Sequence[int]:
    """What nobody came for in time, the oldest first."""
    own = select(Redemption.id).where(Redemption.state == OPEN, Redemption.until <= at)
    return db.scalars(own.order_by(Redemption.until, Redemption.id).limit(limit)).all()


def let_go(work: Work, redemption_id: int) -> bool:
    """Release what nobody came for; False where it was handed out or settled meanwhile."""
    row = _row(work.db, redemption_id)
    if row.state != OPEN or work.now < row.until:
        return False
    _undo(work, row, held(work.db, row.reward_id), CLOCK)
    row.state, row.ended_at, row.ended_by = RELEASED, work.now, CLOCK
    work.db.flush()
    return True


# --- looking ---------------------------------------------------------------------------------------------------------


def catalogue(db: Session, at: datetime) -> Sequence[Reward]:
    """What can be redeemed at a moment, the cheapest first; also what is sold out."""
    here = (Reward.from_at.is_(None) | (Reward.from_at <= at), Reward.to_at.is_(None) | (Reward.to_at > at))
    return db.scalars(select(Reward).where(Reward.state == LIVE, *here).order_by(Reward.points, Reward.id)).all()


def of_accounts(db: Session, account_ids: Sequence[int], limit: int = 50) -> Sequence[Redemption]:
    """What the owner of these accounts has redeemed, the newest first."""
    own = select(Redemption).where(Redemption.account_id.in_(account_ids))
    return db.scalars(own.order_by(Redemption.id.desc()).limit(limit)).all()


def settles(db: Session, hold: PointsHold) -> bool:
    """Whether a hold is that of a redemption, a gift or a group's seat: then it is settled there, and nowhere else."""
    owners = ((Redemption, Redemption.account_id), (Gift, Gift.sender_id), (GroupSeat, GroupSeat.account_id))
    asked = [select(one.id).where(account == hold.account_id, one.hold_id == hold.id) for one, account in owners]
    return any(db.scalar(own.limit(1)) is not None for own in asked)


def coupon_of(db: Session, redemption_id: int) -> str | None:
    """The coupon code somebody got: for themselves alone."""
    return db.scalar(select(RewardCode.value).where(RewardCode.redemption_id == redemption_id))

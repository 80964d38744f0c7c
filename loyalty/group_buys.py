"""Group purchases (积分拼团): so many people together get a reward for fewer points each. Off until turned on.

Whoever joins has their points set apart until the group's deadline, and a piece of the stock kept. With the last seat
taken all of them are spent at once, and everybody has a redemption to pick up; at the deadline all of them come back.
A seat is a person's, not an account's: of two who turn out to be one, one seat is given back. Every group is held by
its row, so that there is one who sees it full.

Before: the customer's own page and the API. After: the job that looks at every open group, and the counter.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from loyalty import programme, rewards, tiers
from loyalty.ledger import spend
from loyalty.ledger.book import About, Conflict
from loyalty.ledger.lots import NotEnough
from storage import shop_settings
from storage.tables import GroupBuy, GroupSeat, Person, PointsAccount, PointsHold, PointsTxn, Redemption, Reward
from storage.work import Work

SETTING = "points_groups"
OPEN, DONE, FAILED = STATES = ("open", "done", "failed")
CAPTURED, RELEASED = "captured", "released"
TOGETHER = (rewards.GOODS, rewards.EXPERIENCE)
"""Kinds of rewards that people get together: what is done at once has nothing to wait for."""
CLOCK, FULL = "clock", "group"
KEY = "group:"
"""With this begin the keys of what a group makes: seats, redemptions, transactions."""
"""Who settles a seat in the books: the deadline, or the last seat that was taken."""


class CannotJoin(ValueError):
    """Why not: off, no_group, over (``state``), kind (of reward). What the reward forbids is ``CannotRedeem``."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(f"{code} {facts or ''}".strip())
        self.code, self.facts = code, facts


class Terms(BaseModel):
    """As the shop has set them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    on: bool = False
    seats: int = Field(default=3, ge=2, le=100)
    percent: int = Field(default=80, ge=1, le=100)
    """What each pays, of the reward's price; rounded up to a whole point."""
    hours: int = Field(default=24, ge=1, le=24 * 30)
    """So long a group may take."""


def terms(db: Session) -> Terms:
    """The shop's own."""
    return Terms(**shop_settings.read(db, SETTING))


def set_terms(work: Work, wanted: Terms, *, by: str) -> None:
    """Set them: an approval does (``loyalty.deeds``)."""
    shop_settings.keep(work.db, SETTING, wanted.model_dump(), by=by, at=work.now)


def turn_off(work: Work, *, by: str) -> bool:
    """From now on no group begins; those that have begun go on to their end. False where it was off."""
    own = terms(work.db)
    if own.on:
        set_terms(work, own.model_copy(update={"on": False}), by=by)
    return own.on


def price(reward: Reward, own: Terms) -> int:
    """What each pays for a reward in a group, in points."""
    return -(-reward.points * own.percent // 100)


def offered(reward: Reward, own: Terms) -> int | None:
    """What each would pay for a reward in a group that is begun now; None where none can be."""
    return price(reward, own) if own.on and reward.kind in TOGETHER else None


def begin(
    work: Work, person_ids: Sequence[int], account_ids: Sequence[int], reward_id: int, key: str, *, by: str = "customer"
) -> GroupBuy:
    """Open a group for a reward and join it, once for ``key`` (1 to 180 signs). Raises as ``join`` does."""
    rewards.hold_people(work.db, person_ids, account_ids)
    reward = rewards.held(work.db, reward_id)
    known = work.db.scalars(select(GroupBuy).where(GroupBuy.key == key)).one_or_none()
    if known is not None:
        if known.reward_id != reward_id:
            raise Conflict(f"key {key} was used for another group")
        return known
    own = terms(work.db)
    if not own.on:
        raise CannotJoin("off")
    if reward.kind not in TOGETHER:
        raise CannotJoin("kind")
    row = GroupBuy(
        key=key,
        code=_new_code(work.db),
        reward_id=reward_id,
        seats=own.seats,
        points=price(reward, own),
        state=OPEN,
        made_by=by[:100],
        made_at=work.now,
        deadline=work.now + timedelta(hours=own.hours),
    )
    work.db.add(row)
    work.db.flush()
    join(work, person_ids, account_ids, row.id, by=by)
    return row


def _new_code(db: Session) -> str:
    code = rewards.new_code()
    while by_code(db, code) is not None:
        code = rewards.new_code()
    return code


def join(
    work: Work, person_ids: Sequence[int], account_ids: Sequence[int], group_id: int, *, by: str = "customer"
) -> GroupSeat:
    """Take a seat, once a person; with the last one everybody gets the reward. Joining again gives the same seat.

    Raises ``CannotJoin``, ``CannotRedeem``, ``NotEnough``, ``InDebt``; then nothing has changed.
    """
    everybody = rewards.hold_people(work.db, person_ids, account_ids)
    group, reward = _held(work.db, group_id)
    mine = select(GroupSeat).where(GroupSeat.group_id == group_id, GroupSeat.account_id.in_(everybody))
    known = work.db.scalars(mine.where(GroupSeat.state != RELEASED).order_by(GroupSeat.id)).first()
    if known is not None:
        return known
    if group.state != OPEN or work.now >= group.deadline:
        raise CannotJoin("over", state=group.state)
    if everybody and reward.level:
        tiers.look(work, everybody)
    if (why := rewards.obstacle(work.db, reward, everybody, work.now, work.zone)) is not None:
        raise why
    if not account_ids:
        raise NotEnough(group.points, 0)
    _hold_accounts(work.db, group_id, everybody)
    seat = _seat(work, group, reward, sorted(set(account_ids)), by)
    _settle(work, group, reward)
    work.db.refresh(seat)
    return seat


def _held(db: Session, group_id: int) -> tuple[GroupBuy, Reward]:
    """The reward's row first, as everybody who redeems does; then the group's. Raises ``CannotJoin``."""
    reward_id = db.scalar(select(GroupBuy.reward_id).where(GroupBuy.id == group_id))
    if reward_id is None:
        raise CannotJoin("no_group")
    reward = rewards.held(db, reward_id)
    return db.get_one(GroupBuy, group_id, with_for_update=True, populate_existing=True), reward


def _hold_accounts(db: Session, group_id: int, more: Sequence[int] = ()) -> None:
    """All accounts that may be moved or renewed, in ascending order as the books hold them."""
    seats = seats_of(db, group_id)
    ids = {account for seat, _person in seats for account in spend.accounts_of(db, seat.hold_id)}
    ids.update(more, _accounts(db, [person for _seat, person in seats]))
    own = select(PointsAccount.id).where(PointsAccount.id.in_(ids)).order_by(PointsAccount.id)
    db.execute(own.with_for_update()).all()


def _accounts(db: Session, people: Sequence[int | None]) -> Sequence[int]:
    """All accounts of these people."""
    known = [one for one in people if one is not None]
    anchors = select(Person.id).where(Person.id.in_(known) | Person.merged_into.in_(known))
    return db.scalars(select(PointsAccount.id).where(PointsAccount.person_id.in_(anchors))).all()


def _seat(work: Work, group: GroupBuy, reward: Reward, ids: Sequence[int], by: str) -> GroupSeat:
    tries = select(func.count()).select_from(GroupSeat).where(GroupSeat.group_id == group.id)
    key = f"{KEY}{group.id}:{ids[0]}:{work.db.scalar(tries)}"
    about = About("hold", key, work.now, by, reason=reward.name, source=f"group:{group.id}")
    fits = rewards.fits(reward.id, work.now, work.zone)
    hold = spend.hold(work, ids, group.points, group.deadline, about, fits, active=False)
    rewards.take_one(reward)
    seat = GroupSeat(group_id=group.id, account_id=ids[0], hold_id=hold.id, state=OPEN, made_at=work.now)
    work.db.add(seat)
    work.db.flush()
    return seat


# --- settling --------------------------------------------------------------------------------------------------------


def seats_of(db: Session, group_id: int) -> list[tuple[GroupSeat, int | None]]:
    """The seats that count, in the order they were taken, and whose each is now (none: somebody who was erased)."""
    head = func.coalesce(Person.merged_into, Person.id)
    own = (
        select(GroupSeat, head)
        .join(PointsAccount, PointsAccount.id == GroupSeat.account_id)
        .outerjoin(Person, Person.id == PointsAccount.person_id)
        .where(GroupSeat.group_id == group_id, GroupSeat.state != RELEASED)
        .order_by(GroupSeat.id)
    )
    return [(seat, person) for seat, person in db.execute(own)]


def _settle(work: Work, group: GroupBuy, reward: Reward) -> None:
    """Give back the seats that are nobody's or a second one of somebody; then see whether it is full or over."""
    known = set[int | None]()
    for seat, person in seats_of(work.db, group.id):
        if person is None or person in known or not _holds(work.db, seat):
            _give_back(work, seat, reward)
        known.add(person)
    seats = seats_of(work.db, group.id)
    if len(seats) >= group.seats:
        for seat, person in seats:
            _take(work, seat, group, reward, _accounts(work.db, [person]))
        group.state, group.ended_at = DONE, work.now
    elif work.now >= group.deadline:
        for seat, _person in seats:
            _give_back(work, seat, reward)
        group.state, group.ended_at = FAILED, work.now
    work.db.flush()


def _holds(db: Session, seat: GroupSeat) -> bool:
    """Whether its points are still set apart."""
    return db.scalar(select(PointsHold.state).where(PointsHold.id == seat.hold_id).with_for_update()) == OPEN


def _about(work: Work, seat: GroupSeat, kind: str, by: str, reward: Reward) -> About:
    key = f"{KEY}{seat.group_id}:seat:{seat.id}"
    return About(kind, key, work.now, by, reason=reward.name, source=f"group:{seat.group_id}")


def _give_back(work: Work, seat: GroupSeat, reward: Reward) -> None:
    if _holds(work.db, seat):
        spend.release(work, seat.hold_id, _about(work, seat, "release", CLOCK, reward), programme.release_grace(work))
    rewards.put_back(reward)
    seat.state = RELEASED
    work.db.flush()


def _take(work: Work, seat: GroupSeat, group: GroupBuy, reward: Reward, person: Sequence[int]) -> None:
    """Its points are spent, and whoever has it has a reward to pick up; with that they are active (all accounts)."""
    about = replace(_about(work, seat, "capture", FULL, reward), active=work.now)
    txn = spend.capture(work, seat.hold_id, None, about, programme.release_grace(work), person)
    row: Redemption = rewards.new_row(work, reward, seat.account_id, f"{KEY}{group.id}:{seat.id}", group.made_by)
    row.points, row.txn_id = group.points, txn.id
    work.db.add(row)
    work.db.flush()
    seat.state, seat.redemption_id = CAPTURED, row.id
    work.db.flush()


def to_look_at(db: Session, at: datetime, limit: int) -> Sequence[int]:
    """Open groups, those whose time is over first."""
    own = select(GroupBuy.id).where(GroupBuy.state == OPEN, GroupBuy.made_at <= at)
    return db.scalars(own.order_by(GroupBuy.deadline, GroupBuy.id).limit(limit)).all()


def look(work: Work, group_id: int) -> GroupBuy:
    """Bring a group to the present: seats of people who turned out to be one, its deadline. Again: no change."""
    group, reward = _held(work.db, group_id)
    if group.state == OPEN:
        _hold_accounts(work.db, group_id)
        _settle(work, group, reward)
    return group


# --- looking ---------------------------------------------------------------------------------------------------------


def by_code(db: Session, code: str) -> GroupBuy | None:
    """The group of a code, as ``rewards.read_code`` gives it."""
    return db.scalars(select(GroupBuy).where(GroupBuy.code == code)).one_or_none()


def of_accounts(db: Session, account_ids: Sequence[int], limit: int) -> Sequence[GroupBuy]:
    """The groups in which the owner of these accounts has or had a seat, the newest first."""
    seats = select(GroupSeat.group_id).where(GroupSeat.account_id.in_(account_ids))
    return db.scalars(select(GroupBuy).where(GroupBuy.id.in_(seats)).order_by(GroupBuy.id.desc()).limit(limit)).all()


def listed(
    db: Session, *, state: str = "", limit: int, before: int | None = None
) -> tuple[Sequence[GroupBuy], int | None]:
    """One page of groups, the newest first, and the id before which the next one lies."""
    own = select(GroupBuy).order_by(GroupBuy.id.desc()).limit(limit + 1)
    own = own.where(GroupBuy.state == state) if state in STATES else own
    found = db.scalars(own.where(GroupBuy.id < before) if before is not None else own).all()
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def taken(db: Session, group_ids: Sequence[int]) -> dict[int, int]:
    """How many seats of each group count; of one that was not full, at its deadline. Groups without one are left out.

    Seats that were given back before the deadline were nobody's, or a second one of somebody.
    """
    own = select(GroupSeat.group_id, func.count()).where(GroupSeat.group_id.in_(group_ids), GroupSeat.state != RELEASED)
    found = db.execute(own.group_by(GroupSeat.group_id)).all()
    return {group_id: int(n) for group_id, n in [*found, *db.execute(_at_the_end(group_ids))]}


def _at_the_end(group_ids: Sequence[int]) -> Select[int, int]:
    """How many distinct people had a seat when the time of these groups was over."""
    head = func.coalesce(Person.merged_into, Person.id)
    return (
        select(GroupBuy.id, func.count(head.distinct()))
        .join(GroupSeat, GroupSeat.group_id == GroupBuy.id)
        .join(PointsHold, PointsHold.id == GroupSeat.hold_id)
        .join(PointsTxn, PointsTxn.id == PointsHold.settled_by)
        .join(PointsAccount, PointsAccount.id == GroupSeat.account_id)
        .join(Person, Person.id == PointsAccount.person_id)
        .where(GroupBuy.id.in_(group_ids), GroupBuy.state == FAILED, PointsTxn.effective_at >= GroupBuy.deadline)
        .group_by(GroupBuy.id)
    )

"""What became of rewards and gifts, as lines in the stories of those who redeemed, gave and got.

The books of points know accounts and no people, so whoever redeems, at whichever door, leaves a row that says what was
told of it last; this job tells the rest. A name of somebody else stands in no line: it would outlive them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from loyalty import group_buys, rewards, transfers
from loyalty.rewards import AT_ONCE
from people import acts
from people.acts import Act
from storage.database import past_crossings, transaction
from storage.tables import Gift, Person, PointsAccount, Redemption, Reward

if TYPE_CHECKING:
    from scheduler.timetable import Hands

PORTION = 500
Whose = Mapping[int, tuple[int, int]]
"""Of each account the person, and the one that was them before a merge."""


def tell_of_rewards(hands: "Hands") -> str:
    """Tell of what was redeemed and given since the last time, each state once."""
    counts = [_tell(hands, table, lines) for table, lines in ((Redemption, _of_redemptions), (Gift, _of_gifts))]
    return f"redemptions told of: {counts[0]}, gifts: {counts[1]}"


def _tell(hands: "Hands", table: Any, lines: Callable[[Session, Any], Iterator[Act]]) -> int:
    """A portion in each transaction; how many rows in all."""
    told = 0
    while not hands.stopping():
        rows = past_crossings(partial(_tell_some, hands, table, lines))
        told += rows
        if rows < PORTION:
            break
    return told


def _tell_some(hands: "Hands", table: Any, lines: Callable[[Session, Any], Iterator[Act]]) -> int:
    with transaction(hands.engine) as db:
        untold = select(table).where(table.told != table.state).order_by(table.id).limit(PORTION)
        rows = db.scalars(untold).all()
        acts.tell(hands.work(db, "tell of rewards"), lines(db, rows))
        for one in rows:  # what has gone on meanwhile is told at the next turn
            db.execute(update(table).where(table.id == one.id, table.state == one.state).values(told=one.state))
        return len(rows)


def _whose(db: Session, account_ids: Sequence[int | None]) -> Whose:
    """Nobody who was erased is in it; until this is kept nobody joins, parts or erases those who are."""
    own = select(PointsAccount.id, Person.id, Person.merged_into).join(Person, Person.id == PointsAccount.person_id)
    own = own.where(PointsAccount.id.in_({one for one in account_ids if one is not None})).order_by(Person.id)
    found = db.execute(own.with_for_update(read=True, key_share=True, of=Person))
    return {account: (head or anchor, anchor) for account, anchor, head in found}


def _of_redemptions(db: Session, rows: Sequence[Redemption]) -> Iterator[Act]:
    whose = _whose(db, [one.account_id for one in rows])
    own = select(Reward.id, Reward.name, Reward.kind).where(Reward.id.in_({one.reward_id for one in rows}))
    known = {number: (name, kind) for number, name, kind in db.execute(own)}
    for one in rows:
        if one.account_id in whose:
            yield from _of_redemption(one, *known[one.reward_id], whose[one.account_id])


def _of_redemption(row: Redemption, name: str, kind: str, whose: tuple[int, int]) -> Iterator[Act]:
    about: dict[str, Any] = {"name": name, "points": row.points, "kind": kind, "redemption": row.id}
    if not row.told:
        there = not row.key.startswith(group_buys.KEY)  # whoever came last made those of all
        yield Act("redeemed", *whose, row.made_at, f"redemption:{row.id}", about, there)
    if row.state == rewards.OPEN or row.ended_at is None or (row.state == rewards.USED and kind in AT_ONCE):
        return
    once = f"redemption:{row.id}:{row.state}"
    if row.state == rewards.USED:
        yield Act("collected", *whose, row.ended_at, once, {**about, "store": row.store})
    else:
        told = "reward_returned" if row.state == rewards.RETURNED else "reward_missed"
        yield Act(told, *whose, row.ended_at, once, about, there=False)


def _of_gifts(db: Session, rows: Sequence[Gift]) -> Iterator[Act]:
    whose = _whose(db, [end for one in rows for end in (one.sender_id, one.receiver_id)])
    for one in rows:
        about: dict[str, Any] = {"points": one.points, "gift": one.id}
        sender, receiver = whose.get(one.sender_id), whose.get(one.receiver_id or 0)
        if sender is not None and not one.told:
            yield Act("points_sent", *sender, one.made_at, f"gift:{one.id}", about)
        if one.state == transfers.OPEN or one.ended_at is None:
            continue
        if one.state == transfers.DONE:
            if receiver is not None:
                accepted = one.hold_id is not None
                yield Act("points_got", *receiver, one.ended_at, f"gift:{one.id}:got", about, there=accepted)
        elif sender is not None:
            yield Act("points_back", *sender, one.ended_at, f"gift:{one.id}:back", about, there=False)

"""The job about rewards: what nobody came for, accepted or joined in time goes back, its points and its piece."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from loyalty import group_buys, rewards, transfers
from storage.database import reading, transaction

if TYPE_CHECKING:
    from scheduler.timetable import Hands

PORTION = 500


def let_go_of_rewards(hands: "Hands") -> str:
    """Release rewards whose days are over, gifts that nobody accepted, groups that were not filled."""
    count = _each(hands, rewards.due, rewards.let_go)
    gifts = _each(hands, transfers.due, transfers.let_go)
    groups = _each(hands, group_buys.to_look_at, group_buys.look, turns=1)
    return f"rewards let go of: {count}, gifts: {gifts}, groups looked at: {groups}"


def _each(
    hands: "Hands", due: Callable[[Session, datetime, int], Sequence[int]], do: Callable[..., Any], turns: int = 1_000
) -> int:
    """Each in a transaction of its own; how many."""
    count = 0
    for _turn in range(turns):
        with reading(hands.engine) as db:
            ids = due(db, hands.clock(), PORTION)
        for one in ids:
            if hands.stopping():
                return count
            with transaction(hands.engine) as db:
                count += bool(do(hands.work(db, "let go of rewards"), one))
        if len(ids) < PORTION:
            break
    return count

"""The job about rewards: what nobody came for in time goes back, its points and its piece."""

from typing import TYPE_CHECKING

from loyalty import rewards
from storage.database import reading, transaction

if TYPE_CHECKING:
    from scheduler.timetable import Hands

PORTION = 500


def let_go_of_rewards(hands: "Hands") -> str:
    """Release every reward whose days are over, each in a transaction of its own."""
    count = 0
    while not hands.stopping():
        with reading(hands.engine) as db:
            ids = rewards.due(db, hands.clock(), PORTION)
        for one in ids:
            with transaction(hands.engine) as db:
                count += rewards.let_go(hands.work(db, "let go of rewards"), one)
        if len(ids) < PORTION:
            break
    return f"rewards let go of: {count}"

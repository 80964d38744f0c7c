"""Rewards for tests: a shelf beside the books, and every operation in a word."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from loyalty import reward_desk, rewards
from loyalty.reward_desk import Draft
from storage.tables import PointsAccount, Redemption, Reward
from tests.loyalty.books import Books


@dataclass
class Shelf:
    books: Books
    said: int = 0
    persons: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with self.books.work() as work:
            rows = work.db.execute(select(PointsAccount.id, PointsAccount.person_id))
            self.persons = {account: person or 0 for account, person in rows}

    def put(self, **facts: Any) -> int:
        """A reward that is live; its id."""
        draft = Draft(**{"name": "杯子", "points": 30, "stock": 5, **facts})
        with self.books.work() as work:
            row = reward_desk.keep(work, draft, "boss")
            reward_desk.move(row, "go")
            return row.id

    def change(self, reward: int, do: str) -> None:
        with self.books.work() as work:
            reward_desk.move(reward_desk.held(work, reward), do)

    def redeem(self, reward: int, *, who: int = 0, key: str = "") -> Redemption:
        self.said += 1
        own = self.books.own(who)
        with self.books.work() as work:
            people = [self.persons[one] for one in own]
            return rewards.redeem(work, people, own, reward, key or f"r-{self.said}")

    def hand_out(self, redemption: int, *, store: str = "静安店", once: str = "") -> Redemption:
        with self.books.work() as work:
            return rewards.hand_out(work, redemption, store, "lisi", once)

    def give_back(self, redemption: int) -> Redemption:
        with self.books.work() as work:
            return rewards.give_back(work, redemption, "lisi", "不合适")

    def let_go(self) -> int:
        with self.books.work() as work:
            return sum(rewards.let_go(work, one) for one in rewards.due(work.db, work.now, 100))

    def codes(self, reward: int, codes: Sequence[str]) -> int:
        with self.books.work() as work:
            return reward_desk.add_codes(work, reward_desk.held(work, reward), codes)

    def stock(self, reward: int) -> int | None:
        with self.books.work() as work:
            return work.db.get_one(Reward, reward).stock

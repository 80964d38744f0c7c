"""Books for tests: two people with accounts, a clock in days, and every operation in a word."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from loyalty.expiry import idle_end
from loyalty.ledger import book, claw, earn, proof, spend, standing, sweeps
from loyalty.ledger.book import About
from loyalty.ledger.claw import Policy
from loyalty.ledger.earn import Grant
from loyalty.ledger.lots import Left
from loyalty.ledger.proof import Proof
from storage.database import open_engine, transaction
from storage.tables import Person, PointsAccount, PointsEntry, PointsLot, PointsTxn
from storage.work import SHANGHAI, Work

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


@dataclass
class Books:
    url: str
    now: datetime = START
    people: list[int] = field(default_factory=list)
    """The account of each."""
    joined: bool = False
    """Whether the first and the third turned out to be one person."""
    said: int = 0

    def __post_init__(self) -> None:
        self.engine = open_engine(self.url)
        with self.work() as work:
            for number in (1, 2, 3):
                person = Person(name=f"客户{number}", first_seen_at=START, last_seen_at=START)
                work.db.add(person)
                work.db.flush()
                self.people.append(book.open_account(work, person.id).id)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def work(self) -> Iterator[Work]:
        with transaction(self.engine) as db:
            yield Work(db, self.now, cause="test")

    def own(self, who: int) -> list[int]:
        """All accounts of the person who has this one."""
        together = self.joined and who in (0, 2)
        return [self.people[one] for one in ((0, 2) if together else (who,))]

    def to(self, number: float) -> None:
        self.now = day(number)

    def about(self, kind: str, key: str = "", **more: Any) -> About:
        self.said += 1
        return About(kind, key or f"{kind}-{self.said}", self.now, "test", **more)

    # --- what can be done ---

    def award(
        self, points: int, *, who: int = 0, lives: float | None = None, pends: float = 0, key: str = "", **more: Any
    ) -> int:
        """The transaction's id; ``lives`` until that day."""
        alive = self.now + timedelta(days=pends)
        grant = Grant(points, alive, None if lives is None else day(lives), more.pop("origin", "purchase"), **more)
        request = {"points": points, "who": who, "lives": lives}
        with self.work() as work:
            about = self.about("award", key, request=request)
            return earn.award(work, self.people[who], [grant], about).id

    def buys(
        self, points: int, *, who: int = 0, months: int = 12, paid: float | None = None, notice_days: int = 0
    ) -> int:
        """An order told now, paid then, whose points die after so many months of idleness; the transaction's id."""
        at = self.now if paid is None else day(paid)
        grant = self.idling(points, months, at, notice_days)
        with self.work() as work:
            about = replace(self.about("award"), active=at)
            return earn.award(work, self.people[who], [grant] if points else [], about, person=self.own(who)).id

    def idling(self, points: int, months: int, at: datetime, notice_days: int = 0) -> Grant:
        """Points that die of idleness, since that moment."""
        ends = idle_end(at, months, SHANGHAI)
        return Grant(max(1, points), at, ends, "purchase", notice_days=notice_days, idle_months=months)

    def given(self, points: int, *, who: int = 0, months: int = 12, notice_days: int = 0) -> int:
        """The same by a clerk, which is nothing that the customer did."""
        with self.work() as work:
            some = [self.idling(points, months, self.now, notice_days)]
            return earn.award(work, self.people[who], some, self.about("award")).id

    def redeem(self, points: int, *, who: int = 0, key: str = "") -> int:
        with self.work() as work:
            about = self.about("redeem", key, request={"points": points, "who": who})
            return spend.redeem(work, self.own(who), points, about).id

    def hold(self, points: int, *, who: int = 0, days: float = 3, key: str = "") -> int:
        with self.work() as work:
            about = self.about("hold", key, request={"points": points})
            return spend.hold(work, self.own(who), points, self.now + timedelta(days=days), about).id

    def capture(self, hold: int, points: int | None = None, *, grace: float = 3) -> int:
        with self.work() as work:
            return spend.capture(work, hold, points, self.about("capture"), timedelta(days=grace)).id

    def release(self, hold: int, *, grace: float = 3) -> int:
        with self.work() as work:
            return spend.release(work, hold, self.about("release"), timedelta(days=grace)).id

    def give_back(self, spent: int, points: int, *, grace: float = 0) -> int:
        with self.work() as work:
            return spend.give_back(work, spent, points, self.about("give_back"), timedelta(days=grace)).id

    def claw(self, earned: int, target: int, policy: Policy = Policy(), *, who: int = 0) -> PointsTxn:  # noqa: B008
        with self.work() as work:
            return claw.claw_back(work, self.own(who), earned, target, self.about("claw", reverses=earned), policy)

    def let_back(self, earned: int, target: int, *, grace: float = 3) -> PointsTxn | None:
        with self.work() as work:
            return claw.let_back(work, earned, target, self.about("unclaw"), timedelta(days=grace))

    def settle(self, who: int = 0) -> PointsTxn | None:
        with self.work() as work:
            return spend.settle(work, self.own(who))

    def transfer(self, points: int, *, who: int = 0) -> int:
        receiver = self.people[0 if who == 1 else 1]
        with self.work() as work:
            return spend.transfer(work, self.own(who), receiver, points, self.about("transfer")).id

    def offer(self, points: int, *, who: int = 0, days: float = 3) -> int:
        """Set apart to be given to the other, once they accept."""
        with self.work() as work:
            fits = spend.first_hand(work.db, book.lots_of(work.db, self.own(who)))
            until = self.now + timedelta(days=days)
            return spend.hold(work, self.own(who), points, until, self.about("hold"), fits, active=False).id

    def hand_over(self, hold: int, *, to: int = 1) -> int:
        with self.work() as work:
            return spend.hand_over(work, hold, self.people[to], self.about("transfer")).id

    def donate(self, points: int, *, who: int = 0) -> int:
        with self.work() as work:
            return spend.donate(work, self.own(who), points, self.about("donate", source="cause:1")).id

    def reissue(self, points: int, lost: int, *, who: int = 0) -> int:
        grant = Grant(points, self.now, None, "reissue")
        with self.work() as work:
            return earn.reissue(work, self.people[who], grant, lost, self.about("reissue", reverses=lost)).id

    def sweep(self) -> None:
        with self.work() as work:
            for account_id in sweeps.due(work.db, self.now, 100):
                sweeps.sweep(work, account_id)

    # --- what there is ---

    def standing(self, who: int = 0) -> standing.Standing:
        with self.work() as work:
            return standing.standing(work.db, self.own(who), self.now)

    def left(self, who: int = 0) -> list[tuple[int, float | None]]:
        """What is left of each lot that is alive or will be, and the day it dies."""
        return [(one.points, _days(one)) for one in self.standing(who).lots if one.points]

    def sum(self, bucket: str, who: int = 0) -> int:
        with self.work() as work:
            own = select(PointsEntry.amount).where(
                PointsEntry.bucket == bucket, PointsEntry.account_id == self.people[who]
            )
            return sum(work.db.scalars(own))

    def rows(self, table: Any) -> Sequence[Any]:
        with self.work() as work:
            return work.db.scalars(select(table).order_by(*table.__table__.primary_key)).all()

    def verify(self) -> Proof:
        with self.work() as work:
            return proof.verify(work.db)

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of the books, to see that nothing has changed."""
        tables = (PointsTxn, PointsLot, PointsEntry, PointsAccount)
        return {
            one.__tablename__: [{k: v for k, v in vars(row).items() if not k.startswith("_")} for row in self.rows(one)]
            for one in tables
        }


def _days(lot: Left) -> float | None:
    return None if lot.expires_at is None else (lot.expires_at - START) / timedelta(days=1)

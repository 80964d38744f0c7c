"""Handing customers over, from end to end: begins a plan with what goes along, reads WeCom's lists, asks how it went.

The plan and its rules are ``people.handover``; here it meets channel codes, tags and the gateway.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from people import handover
from people.access import Sight
from storage.database import Clock, reading, transaction
from storage.tables import Handover
from storage.work import Work
from tagging import channels, marks
from wecom.gateway import Gateway
from wecom.transfers import Result


@dataclass(frozen=True)
class Wish:
    """Who is to get whose customers."""

    giver: str
    taker: str
    chosen: Collection[str] | None = None
    """external_userids; None: all of the giver's."""
    words: str = ""
    """What WeCom tells the customers of somebody who stays (up to 200 characters)."""
    codes: bool | None = None
    """Whether channel codes that lead to the giver lead to the taker from now on; None: when the giver has left."""


def begin(work: Work, sight: Sight, wish: Wish, by: str) -> Handover:
    """Make a plan, and what goes along with it at once. Raises ``handover.CannotHandOver``."""
    wanted = {"chosen": wish.chosen, "words": wish.words, "by": by}
    plan = handover.plan(work, sight, wish.giver, wish.taker, **wanted)  # type: ignore[arg-type]
    if plan.resigned if wish.codes is None else wish.codes:
        handover.count_moved(work, plan.id, codes=channels.hand_over(work, wish.giver, wish.taker))
    if plan.resigned:
        handover.count_moved(work, plan.id, tasks=handover.give_open_tasks(work, wish.giver, wish.taker))
    return plan


@dataclass(frozen=True)
class Transferrer:
    """Asks WeCom about customers on their way."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    work: Callable[[Session], Work]

    def read_unassigned(self) -> int:
        """Read WeCom's list of customers whose rep has left; how many there are. Raises ``TryLater``."""
        began, count, cursor = self.clock(), 0, ""
        while True:
            page, cursor = self.gateway.transfers.unassigned(cursor)
            with transaction(self.engine) as db:
                handover.keep_unassigned(self.work(db), page, began)
            count += len(page)
            if not cursor:
                break
        with transaction(self.engine) as db:
            handover.forget_assigned(self.work(db), began)
        return count

    def settle(self) -> int:
        """Ask how every plan under way stands; how many customers were settled or asked for again."""
        with reading(self.engine) as db:
            plans = handover.unsettled(db)
        return sum(self._settle(plan) for plan in plans)

    def _settle(self, plan: Handover) -> int:
        results = self.gateway.transfers.results(plan.giver, plan.taker, resigned=plan.resigned)
        with reading(self.engine) as db:
            moved = handover.done_at(db, plan, results)
        for row_id, at in moved:
            with transaction(self.engine) as db:  # one customer each: events about them wait for nobody else's
                work = self.work(db)
                new = handover.done(work, row_id, at)
                if new is not None:
                    marks.push_all(work, new)
        return len(moved) + self._settle_rest(plan, results)

    def _settle_rest(self, plan: Handover, results: dict[str, Result]) -> int:
        with transaction(self.engine) as db:
            return handover.settle(self.work(db), plan.id, results)

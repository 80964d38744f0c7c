"""Many awards at once leave the same books as one after the other, each once for its key (I12, I24)."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from handlers import orders as road
from loyalty.ledger import bulk, earn
from loyalty.ledger.book import About, Conflict
from loyalty.ledger.bulk import Award
from loyalty.ledger.earn import Grant
from people import orders
from soak import many
from storage.tables import Campaign, PointsCounter, PointsLot, PointsTxn
from storage.work import SHANGHAI
from tests.loyalty.books import Books, day

DRAWN = st.lists(
    st.tuples(
        st.integers(0, 2),  # who
        st.lists(st.integers(1, 300), max_size=2),  # points of each grant
        st.integers(0, 5),  # days until they can be spent
        st.integers(0, 3),  # the key
    ),
    max_size=8,
)
THREADS = many(6, 20)


def award(books: Books, who: int, points: Sequence[int], pends: int, key: str) -> Award:
    alive = books.now + timedelta(days=pends)
    grants = [Grant(n, alive, alive + timedelta(days=30), "purchase") for n in points]
    about = About("award", key, books.now, "test", request={"who": who, "points": list(points), "pends": pends})
    return Award(books.people[who], grants, about, {"basis": sum(points)})


def told(books: Books, prefix: str) -> list[Any]:
    """What the transactions of these keys say, without ids."""
    with books.work() as work:
        own = select(PointsTxn).where(PointsTxn.key.startswith(prefix)).order_by(PointsTxn.key)
        found = []
        for txn in work.db.scalars(own):
            lots = work.db.scalars(select(PointsLot).where(PointsLot.txn_id == txn.id).order_by(PointsLot.id))
            left = [(one.account_id, one.issued, one.activates_at, one.expires_at, one.origin) for one in lots]
            found.append((txn.key.removeprefix(prefix), txn.kind, txn.result["points"], txn.result["because"], left))
        return found


@settings(
    max_examples=many(15, 200),
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=DRAWN, owes=st.booleans())
def test_many_awards_at_once_are_the_same_as_one_after_the_other(books: Books, drawn: Any, owes: bool) -> None:
    run = f"r{books.said}:"
    books.said += 1
    if owes:
        earned = books.award(500, who=0)
        books.redeem(books.standing(0).available, who=0)
        books.claw(earned, 50)
        assert books.standing(0).debt
    keyed = {f"{number}:{key}": (who, points, pends) for number, (who, points, pends, key) in enumerate(drawn)}
    with books.work() as work:
        bulk.award_many(work, [award(books, *said, f"{run}many:{key}") for key, said in keyed.items()])
    with books.work() as work:
        for key, said in keyed.items():
            one = award(books, *said, f"{run}one:{key}")
            earn.award(work, one.account_id, one.grants, one.about, one.because)
    assert told(books, f"{run}many:") == told(books, f"{run}one:")


def test_i12_an_award_that_is_known_is_not_made_again_and_another_under_its_key_is_refused(books: Books) -> None:
    first = award(books, 0, [100], 0, "order:a")
    with books.work() as work:
        bulk.award_many(work, [first, first, award(books, 1, [50], 0, "order:b")])
    with books.work() as work:
        bulk.award_many(work, [first])
    assert [books.standing(who).available for who in (0, 1)] == [100, 50]
    with pytest.raises(Conflict), books.work() as work:
        bulk.award_many(work, [award(books, 2, [7], 0, "order:c"), award(books, 0, [99], 0, "order:a")])
    assert books.standing(2).available == 0


def test_i24_a_budget_is_never_passed_however_many_sell_at_once(books: Books) -> None:
    with books.work() as work:
        campaign = Campaign(name="加速日", from_at=day(-1), to_at=day(1), state="live", made_by="boss", made_at=day(-1))
        campaign.multiplier, campaign.budget, campaign.cap = 20_000, 400, 150
        work.db.add(campaign)
    trouble: list[Exception] = []

    def sell(number: int) -> None:
        try:
            for sale in range(3):
                who = {"type": "till:member", "value": f"m{number % 4}"}
                order = {"source": "till", "order_no": f"{number}-{sale}", "paid_at": books.now.isoformat(),
                         "amount": "90.00", "identity": who}  # fmt: skip
                with books.work() as work:
                    road.take_orders(work, {0: orders.read_order(order, books.now, SHANGHAI)})
        except Exception as error:  # noqa: BLE001  # told by the test itself
            trouble.append(error)

    threads = [threading.Thread(target=sell, args=(number,)) for number in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not trouble, trouble
    with books.work() as work:
        bonus = select(func.coalesce(func.sum(PointsLot.issued), 0)).where(PointsLot.origin == "marketing")
        given_ = int(work.db.scalar(bonus) or 0)
        used = dict(work.db.execute(select(PointsCounter.key, PointsCounter.used)).all())
    assert given_ == used["campaign:1"] == 400
    assert all(used[key] <= 150 for key in used if key != "campaign:1")

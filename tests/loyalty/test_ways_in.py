"""Whichever way points come in, they know their place and are told of as its law asks, before they die (I32)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from handlers import points_rows
from loyalty import acts, approvals, giving, order_points, programme, takeover
from loyalty.approvals import Asked
from loyalty.giving import Gift
from loyalty.order_points import Paid
from storage.tables import PointsLot, PointsLotNow
from storage.work import SHANGHAI, Work
from tests.loyalty.desk import Desk

QUEBEC = {
    "jurisdiction": "CA-QC",
    "expiry": {"kind": "inactivity", "months": 12},
    "notice_days": 0,
    "acts": {"joining": 50},
}


def by_an_order(desk: Desk, work: Work) -> None:
    order_points.earn(work, [Paid("order:pos:1", desk.books.people[0], work.now, 5000, {})])


def by_an_act(desk: Desk, work: Work) -> None:
    acts.reward(work, 1, "joining", key="joining:1", at=work.now)


def by_a_journey(desk: Desk, work: Work) -> None:
    giving.give(work, Gift(1, 50, "journey:1", "journey:1:1", "理由"))


def by_hand(desk: Desk, work: Work) -> None:
    life = approvals.usual_life(work)
    asked = Asked("award", {"account_ids": [desk.books.people[0]], "points": 50, **life}, "理由", "hand")
    approvals.submit(work, asked, desk.hand("wang"))


def out_of_a_history(desk: Desk, work: Work) -> None:
    for number, days in enumerate((700, 3)):
        at = (work.now - timedelta(days=days)).isoformat()
        told = {"kind": "earn", "entry_no": f"{number}", "source": "old", "points": "50", "at": at}
        whose = {"identity_type": "old:member", "identity_value": f"M{number}"}
        row = points_rows.read_points({**told, **whose}, work.now, SHANGHAI)
        assert points_rows.take_history(work, {0: row}).accepted == [0]


def taken_over(desk: Desk, work: Work) -> None:
    expiry = programme.rules_at(work, work.now).programme.expiry
    told = takeover.Told(50, expiry.ends(work.now, SHANGHAI), "purchase", expiry.idle_months)
    takeover.begin(work, takeover.BALANCES, actor="test")
    day = work.now.date()
    takeover.note(work, day, [(desk.books.people[0], told)])
    want = takeover.wanted(work, day)
    approval = approvals.submit(
        work, Asked(takeover.KIND, want.payload, "接管", want.once, want.lines), desk.hand("wang")
    )
    takeover.waits_for(work, approval.id, "wang")


@pytest.mark.parametrize(
    "come", [by_an_order, by_an_act, by_a_journey, by_hand, out_of_a_history, taken_over], ids=lambda one: one.__name__
)
def test_i32_points_of_a_place_are_told_of_as_its_law_asks_whichever_way_they_come(
    database_url: str, come: Callable[[Desk, Work], None]
) -> None:
    desk = Desk(database_url, {"wang": "boss"})
    with desk.work() as work:
        programme.decide(work, QUEBEC, work.now, "boss")
    desk.books.to(1)
    with desk.work() as work:
        come(desk, work)
    for _ in range(2):  # nobody else could agree: it waits for two days
        desk.later(49)
    lots = desk.books.rows(PointsLot)
    assert lots
    assert {(one.jurisdiction, one.idle_months) for one in lots} == {("CA-QC", 12)}
    assert {one.notice_days for one in desk.books.rows(PointsLotNow)} == {30}
    desk.books.to(1000)
    desk.books.sweep()
    assert sum(one.available for one in desk.books.rows(PointsLotNow)) == 50 * len(lots)
    assert desk.books.verify().holds
    desk.books.close()

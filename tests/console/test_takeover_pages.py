"""Taking over an older points system in the console: what differs is listed, and the switch needs others' words."""

from datetime import timedelta

from loyalty import takeover
from loyalty.ledger import bulk
from loyalty.takeover import Told
from storage.tables import Approval, PointsTxn
from tests.console.acting import Counter
from tests.console.test_approvals_pages import decide


def noted(counter: Counter, days_ago: int, **points: int) -> None:
    """What an older system said of the customers of these reps at the end of a day."""
    shop = counter.shop
    day = (shop.now() - timedelta(days=days_ago)).astimezone(shop.parts.zone).date()
    with shop.work() as work:
        takeover.begin(work, takeover.BALANCES, actor="test")
        own = bulk.open_accounts(work, [counter.people[rep] for rep in points])
        ends = shop.now() + timedelta(days=300)
        takeover.note(work, day, [(own[counter.people[rep]], Told(n, ends)) for rep, n in points.items()])


def test_differences_are_listed_and_the_switch_is_agreed_to_by_others(fresh: Counter) -> None:
    operator = fresh.visitor("wangwu")
    assert "还没有旧系统的余额" in operator.get("/points/takeover").text
    noted(fresh, 3, lisi=100, sunqi=70)
    noted(fresh, 2, lisi=60, sunqi=70)
    page = operator.get("/points/takeover").text
    assert "对照中" in page
    assert page.count("全对上") == 1
    lines = operator.get("/points/takeover/differences.csv").get_data(as_text=True).splitlines()
    assert lines[1:] == [f"p_{fresh.people['lisi']},100,60,-40"]
    assert operator.post("/points/takeover/switch", {"reason": ""}).status_code == 303
    assert fresh.shop.rows(Approval) == []
    operator.post("/points/takeover/switch", {"reason": "三天都对得上"})
    (approval,) = fresh.shop.rows(Approval)
    assert (approval.kind, approval.grade, approval.size) == ("take_over", 2, 130)
    assert "切换在等审批" in operator.get("/points/takeover").text
    assert decide(fresh.visitor("zhangsan"), approval) == 303
    assert decide(fresh.visitor("zhaoliu"), approval) == 303
    for _ in range(3):
        fresh.shop.run("tend approvals")
    assert fresh.shop.rows(Approval)[0].state == "done", fresh.shop.rows(Approval)[0].note
    assert "已切换" in operator.get("/points/takeover").text
    assert sorted(one.result["points"] for one in fresh.shop.rows(PointsTxn)) == [60, 70]


def test_who_may_not_see_the_books_does_not_see_this(fresh: Counter) -> None:
    assert fresh.visitor("lisi").get("/points/takeover").status_code == 404

"""Taking over an older points system: after the switch everybody has what it said last, and what was earned since."""

from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loyalty import approvals, authority, takeover
from loyalty.approvals import Asked
from loyalty.ledger import bulk, earn, proof, standing
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from loyalty.takeover import ORIGINS, Told
from soak import FULL
from storage import shop_settings
from storage.tables import Approval, OldBalance, Person
from storage.work import Work
from tests.shop import Shop

NUMBERS = count()
POINTS = st.integers(0, 300)
OLD = st.lists(st.tuples(st.integers(1, 200), st.sampled_from([None, 40, 400]), st.sampled_from(ORIGINS)), max_size=4)
PEOPLE = st.lists(st.tuples(OLD, POINTS, POINTS), min_size=1, max_size=4)
"""Of each: what the older system says, what was earned here before that day was over, and after."""


def give(work: Work, account_id: int, points: int, days_ago: float) -> None:
    if points:
        at = work.now - timedelta(days=days_ago)
        about = About("award", f"t:{next(NUMBERS)}", at, "test")
        earn.award(work, account_id, [Grant(points, at, None, "purchase")], about)


@settings(
    max_examples=200 if FULL else 12,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(people=PEOPLE)
def test_after_the_switch_everybody_has_what_was_said_last_and_what_came_since(
    shop: Shop, people: list[tuple[list[tuple[int, int | None, str]], int, int]]
) -> None:
    shop.advance(seconds=1)
    with shop.work() as work:
        work.db.query(OldBalance).delete()
        shop_settings.keep(work.db, takeover.SETTING, {}, by="test", at=work.now)
        work.db.expire_all()
        day = (work.now - timedelta(days=2)).astimezone(work.zone).date()
        takeover.begin(work, takeover.BALANCES, actor="test")
        made = [Person(first_seen_at=work.now, last_seen_at=work.now) for _ in people]
        work.db.add_all(made)
        work.db.flush()
        accounts = bulk.open_accounts(work, [one.id for one in made])
        own = [accounts[one.id] for one in made]
        wanted = []
        for account_id, (old, before, since) in zip(own, people, strict=True):
            kept = {(ends, origin): n for n, ends, origin in old}
            told = [Told(n, None if ends is None else work.now + timedelta(days=ends), origin)
                    for (ends, origin), n in kept.items()]  # fmt: skip
            told = told or [Told(1, None)]
            takeover.note(work, day, [(account_id, one) for one in told])
            give(work, account_id, before, 4)
            give(work, account_id, since, 0.5)
            wanted.append(sum(one.points for one in told) + since)
        want = takeover.wanted(work, day)
        asked = Asked(takeover.KIND, want.payload, "接管", want.once, want.lines)
        approval = approvals.submit(work, asked, authority.of_user("zhangsan", "boss"))
        takeover.waits_for(work, approval.id, "zhangsan")
    for later in (49, 49, 0, 0):
        with shop.work() as work:
            if work.db.get_one(Approval, approval.id).state != "running":
                work.now += timedelta(hours=later)
            approvals.go_on(work, approval.id)
    with shop.work() as work:
        assert work.db.get_one(Approval, approval.id).state == "done"
        assert not takeover.shut(work)
        assert [standing.standing(work.db, [one], work.now).available for one in own] == wanted
        assert proof.verify(work.db).holds

"""What is done to points by hand waits for others' words, as grave as it is; nobody gets around that (I26)."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loyalty import approvals, authority, insiders
from loyalty.approvals import CannotDo
from loyalty.authority import Facts, Hand, Limits
from loyalty.deeds import campaign_facts
from loyalty.ledger.book import Conflict
from people.access import RIGHTS
from storage.tables import (
    Approval,
    ApprovalLine,
    ApprovalWord,
    Campaign,
    Person,
    PointsAccount,
    PointsRules,
    PointsTxn,
)
from tests.loyalty.desk import Desk
from tests.machines import Ground, walk

DAY = timedelta(hours=24)


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    desk = Desk(database_url)
    yield desk
    proof = desk.books.verify()
    assert proof.holds, proof.faults
    desk.books.close()


def code(refused: Any) -> str:
    return str(refused.value.code)


# --- how grave -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "accounts", "person", "total", "expected"),
    [
        ("award", 1, 200, 200, (0, [])),
        ("award", 1, 201, 201, (1, ["person"])),
        ("adjust", 1, 200, 2_001, (1, ["day"])),
        ("award", 1, 50_000, 50_000, (1, ["person", "day"])),
        ("award", 1, 200, 50_001, (2, ["large"])),
        ("award", 1, 200, 500_001, (3, ["huge"])),
        ("reissue", 1, 1, 1, (1, ["kind"])),
        ("bulk_award", 2, 1, 2, (2, ["kind", "many"])),
        ("bulk_clear", 2, 1, 2, (3, ["kind"])),
        ("policy", 0, 0, 0, (2, ["kind"])),
    ],
)
def test_the_grade_follows_kind_people_and_points(
    kind: str, accounts: int, person: int, total: int, expected: tuple[int, list[str]]
) -> None:
    assert authority.grade(Facts(kind, accounts, person, total), Limits()) == expected


def test_who_decides_has_the_right_to() -> None:
    assert RIGHTS["decide_points"] == authority.DECIDERS


def test_a_little_is_done_at_once_and_says_by_whom_and_why(desk: Desk) -> None:
    done = desk.ask("li", points=200)
    assert (done.state, done.grade, desk.available()) == ("done", 0, 200)
    (txn,) = desk.books.rows(PointsTxn)
    assert (txn.approval_id, txn.actor, txn.reason, txn.kind) == (done.id, "li", "理由", "award")
    assert desk.now(done).result == {"txn": txn.id, "points": 200}


def test_many_small_ones_are_a_large_one(desk: Desk) -> None:
    assert desk.ask("li", points=150).grade == 0
    assert desk.ask("li", points=51).reasons == ["person"]
    assert desk.ask("zhao", points=150).grade == 0  # another hand has a day of its own
    assert desk.ask(desk.key("till", "li"), points=51).grade == 1  # a key of li's has not
    desk.later(24)
    assert desk.ask("li", points=200).grade == 0


def test_what_was_refused_does_not_count_against_its_maker(desk: Desk) -> None:
    wanted = desk.ask("li", points=5_000)
    desk.cancel(wanted, "li")
    assert desk.ask("li", points=200).grade == 0


def test_a_day_has_a_sum_for_all_people_together(desk: Desk) -> None:
    with desk.work() as work:
        authority.set_limits(work, Limits(person=200, day=300), by="wang")
    assert desk.ask("li", points=200, to=0).grade == 0
    assert desk.ask("li", points=101, to=1).reasons == ["day"]
    assert desk.ask("li", points=99, to=2).reasons == ["day"]  # what waits counts too


# --- who decides -----------------------------------------------------------------------------------------------------


def test_one_word_of_somebody_else_carries_it_out_once(desk: Desk) -> None:
    asked = desk.ask("li", points=500)
    assert (asked.state, desk.available()) == ("waiting", 0)
    assert desk.approve(asked, "zhao").state == "done"
    assert desk.approve(asked, "zhao").state == "done"
    assert desk.available() == 500
    with pytest.raises(CannotDo) as refused:
        desk.approve(asked, "wang")
    assert code(refused) == "over"


def test_nobody_decides_what_they_made_not_the_boss_and_not_by_a_key(desk: Desk) -> None:
    asked = desk.ask("wang", points=500)
    by_key = desk.ask(desk.key("till", "wang"), points=500, to=1)
    for who in ("wang", desk.key("till", "wang"), desk.key("other", "WANG"), Hand("Wang", "Wang", "boss")):
        for one in (asked, by_key):
            with pytest.raises(CannotDo) as refused:
                desk.approve(one, who)
            assert code(refused) == "own"
            with pytest.raises(CannotDo):
                desk.reject(one, who)
    assert desk.approve(asked, "li").state == desk.approve(by_key, "li").state == "done"


def test_a_key_of_the_command_line_is_a_hand_of_its_own(desk: Desk) -> None:
    first, second = desk.key("first", "command line"), desk.key("second", "command line")
    asked = desk.ask(first, points=500)
    with pytest.raises(CannotDo):
        desk.approve(asked, first)
    assert desk.approve(asked, second).state == "done"


def test_a_rep_has_no_say(desk: Desk) -> None:
    asked = desk.ask("li", points=500)
    for act, why in ((desk.approve, "no_right"), (desk.reject, "no_right"), (desk.cancel, "not_maker")):
        with pytest.raises(CannotDo) as refused:
            act(asked, "sun")
        assert code(refused) == why


@pytest.mark.parametrize("who", ["wang", "chen", "zhao"])
def test_only_whoever_asked_lets_it_be_and_others_say_no_with_a_reason(desk: Desk, who: str) -> None:
    asked = desk.ask("li", points=500)
    with pytest.raises(CannotDo) as refused:
        desk.cancel(asked, who)
    assert (code(refused), desk.state(asked)) == ("not_maker", "waiting")
    with pytest.raises(CannotDo) as refused:
        desk.reject(asked, who, " ")
    assert code(refused) == "no_reason"
    assert desk.reject(asked, who, "不对").note == "不对"


def test_a_key_lets_be_what_its_maker_asked_for(desk: Desk) -> None:
    asked = desk.ask("li", points=500)
    assert desk.cancel(asked, desk.key("till", "li")).state == "cancelled"


def test_much_needs_two_and_a_boss_among_them(desk: Desk) -> None:
    asked = desk.ask("wang", points=60_000)
    assert (asked.grade, asked.reasons) == (2, ["large"])
    assert desk.approve(asked, "li").state == "waiting"
    assert desk.approve(asked, "li").state == "waiting"  # twice the same is one
    assert desk.approve(asked, "zhao").state == "waiting"  # two, but no boss
    assert desk.approve(asked, "chen").state == "done"
    assert desk.available() == 60_000


def test_very_much_waits_a_day_more_and_can_be_stopped_meanwhile(desk: Desk) -> None:
    asked, other = desk.ask("wang", points=500_001), desk.ask("wang", points=500_001, to=1)
    for one in (asked, other):
        desk.approve(one, "li")
        assert desk.approve(one, "chen").state == "approved"
    desk.later(23.9)
    assert desk.available() == 0
    desk.reject(other, "zhao")
    desk.later(0.2)
    assert (desk.available(0), desk.available(1)) == (500_001, 0)
    assert desk.state(other) == "rejected"


def test_a_no_ends_it_and_needs_a_reason(desk: Desk) -> None:
    asked = desk.ask("li", points=500)
    with pytest.raises(CannotDo) as refused:
        desk.reject(asked, "zhao", " ")
    assert code(refused) == "no_reason"
    assert desk.reject(asked, "zhao").note == "不对"
    with pytest.raises(CannotDo):
        desk.approve(asked, "wang")
    assert desk.available() == 0


def test_after_three_days_it_is_over(desk: Desk) -> None:
    asked = desk.ask("li", points=500)
    desk.books.now += timedelta(hours=72)
    with pytest.raises(CannotDo) as refused:
        desk.approve(asked, "wang")
    assert (code(refused), refused.value.facts) == ("over", {"state": "expired"})
    desk.tend()
    assert desk.state(asked) == "expired"


def test_who_is_alone_gets_a_day_instead_of_a_second_person(database_url: str) -> None:
    desk = Desk(database_url, {"wang": "boss", "sun": "rep"})
    asked = desk.ask("wang", points=500)
    assert (asked.state, asked.short, asked.due_at) == ("waiting", True, asked.made_at + DAY)
    other = desk.ask("wang", points=500, to=1)
    desk.later(20)
    desk.cancel(other, "wang")
    assert desk.available() == 0
    desk.later(4)
    assert (desk.available(0), desk.available(1)) == (500, 0)
    grave = desk.ask("wang", points=600_000)
    desk.later(47)
    assert desk.state(grave) == "waiting"
    desk.later(1)
    assert desk.state(grave) == "done"
    desk.books.close()


def test_where_one_of_two_is_missing_the_other_and_a_day_will_do(database_url: str) -> None:
    desk = Desk(database_url, {"wang": "boss", "li": "manager"})
    asked = desk.ask("wang", points=60_000)
    desk.later(25)
    assert desk.state(asked) == "waiting"  # li has not said anything
    assert desk.approve(asked, "li").state == "done"
    asked = desk.ask("li", points=60_000)
    assert desk.approve(asked, "wang").state == "approved"
    desk.later(24)
    assert desk.state(asked) == "done"
    desk.books.close()


def test_nobody_becomes_alone_by_shutting_the_others_out(database_url: str) -> None:
    desk = Desk(database_url, {"wang": "boss", "li": "manager"})
    desk.shut_out("li")
    asked = desk.ask("wang", points=500)
    desk.later(72)
    assert desk.state(asked) == "expired"
    assert desk.ask("wang", points=500, to=1).due_at == desk.books.now + DAY
    desk.books.close()


# --- exactly what was agreed to --------------------------------------------------------------------------------------


def test_what_was_changed_behind_our_back_is_not_carried_out(desk: Desk) -> None:
    asked = desk.ask("li", points=500)
    desk.tamper(asked, points=5_000)
    assert (desk.approve(asked, "zhao").state, desk.now(asked).note) == ("returned", "changed")
    later = desk.ask("wang", points=500_001)
    desk.approve(later, "li")
    desk.approve(later, "chen")
    desk.tamper(later, account_ids=[desk.books.people[1]])
    desk.later(24)
    assert desk.state(later) == "returned"
    assert desk.available(0) == desk.available(1) == 0


def test_what_would_come_to_something_else_is_back_with_its_maker(desk: Desk) -> None:
    desk.books.award(1_000)
    asked = desk.ask("li", "adjust", -500)
    fits = desk.ask("li", "adjust", -400)
    desk.books.redeem(590)  # 410 are left
    assert (desk.approve(asked, "zhao").state, desk.now(asked).note) == ("returned", "drift")
    assert desk.available() == 410
    assert desk.approve(fits, "zhao").state == "done"
    assert desk.available() == 10


def test_more_than_there_is_cannot_even_be_asked_for(desk: Desk) -> None:
    desk.books.award(100)
    with pytest.raises(CannotDo) as refused:
        desk.ask("li", "adjust", -101)
    assert (code(refused), refused.value.facts) == ("not_enough", {"wanted": 101, "available": 100})
    assert desk.books.rows(Approval) == []
    assert desk.ask("li", "adjust", -100).state == "done"
    assert desk.available() == 0


def test_who_was_erased_meanwhile_gets_nothing(desk: Desk) -> None:
    asked = desk.ask("li", points=500)
    with desk.work() as work:
        work.db.get_one(PointsAccount, desk.books.people[0]).person_id = None
    assert desk.approve(asked, "zhao").state == "returned"


def test_asking_twice_under_one_name_asks_once(desk: Desk) -> None:
    first = desk.ask("li", points=100, once="same")
    assert desk.ask("li", points=100, once="same").id == first.id
    for who, points in (("li", 101), ("zhao", 100)):
        with pytest.raises(Conflict):
            desk.ask(who, points=points, once="same")
    assert desk.available() == 100


@pytest.mark.parametrize("points", [0, -5, True, 1.5, "5", 10**9])
def test_nonsense_is_refused(desk: Desk, points: Any) -> None:
    with pytest.raises(CannotDo) as refused:
        desk.ask("li", points=points)
    assert code(refused) == "bad_points"


# --- kinds -----------------------------------------------------------------------------------------------------------


def test_i22_what_was_lost_is_given_again_with_anothers_word_and_never_more(desk: Desk) -> None:
    desk.books.award(70, lives=5)
    desk.books.to(6)
    desk.books.sweep()
    (lost,) = (one.id for one in desk.books.rows(PointsTxn) if one.kind == "expire")
    with pytest.raises(CannotDo) as refused:
        desk.ask("li", "reissue", 71, lost_txn=lost)
    assert code(refused) == "not_enough"
    first, second = (desk.ask("li", "reissue", 50, lost_txn=lost) for _ in range(2))
    assert desk.approve(first, "zhao").state == "done"
    assert desk.approve(second, "zhao").state == "returned"  # 20 are left of what was lost
    assert desk.available() == 50


def test_a_transfer_over_the_limit_moves_what_was_agreed_to(desk: Desk) -> None:
    desk.books.award(300)
    asked = desk.ask("li", "transfer", 250, receiver=desk.books.people[1])
    assert desk.approve(asked, "zhao").state == "done"
    assert (desk.available(0), desk.available(1)) == (50, 250)


def test_limits_are_changed_with_two_words(desk: Desk) -> None:
    wanted: dict[str, Any] = {"person": 1_000, "day": 5_000, "large": 60_000, "huge": 600_000, "rep_month": 300}
    asked = desk.ask("wang", "authority", None, **wanted)
    desk.approve(asked, "li")
    with desk.work() as work:
        assert authority.limits(work.db) == Limits()
    desk.approve(asked, "chen")
    with desk.work() as work:
        assert authority.limits(work.db) == Limits(**wanted)
    with pytest.raises(CannotDo) as refused:
        desk.ask("wang", "authority", None, person=10, day=5)
    assert code(refused) == "bad_limits"
    assert "pydantic" not in refused.value.facts["why"]


def test_other_rules_hold_after_two_words(desk: Desk) -> None:
    since = (desk.books.now + timedelta(days=9)).isoformat()
    asked = desk.ask("wang", "policy", None, definition={"order_cap": 500}, valid_from=since)
    late = desk.ask("wang", "policy", None, definition={"order_cap": 600}, valid_from=desk.books.now.isoformat())
    desk.books.now += timedelta(hours=1)
    for one in (asked, late):
        desk.approve(one, "li")
    assert desk.approve(asked, "chen").result == {"version": 1}
    (row,) = desk.books.rows(PointsRules)
    assert (row.definition, row.approval_id) == ({"order_cap": 500}, asked.id)
    assert desk.approve(late, "chen").state == "returned"  # its day has begun
    with pytest.raises(CannotDo) as refused:
        desk.ask("wang", "policy", None, definition={"acts": {"sharing": 5}}, valid_from=since)
    assert code(refused) == "bad_rules"


def test_a_campaign_goes_live_as_it_was_agreed_to(desk: Desk) -> None:
    with desk.work() as work:
        facts = {"multiplier": 20_000, "from_at": work.now, "to_at": work.now + DAY, "made_by": "wang"}
        rows = [Campaign(name=name, state="submitted", made_at=work.now, **facts) for name in ("加速", "再加速")]
        rows[0].budget = 9_000
        work.db.add_all(rows)
        work.db.flush()
        payloads = [campaign_facts(one) for one in rows]
    small, unbounded = (
        desk.ask(who, "campaign", None, **one) for who, one in zip(("wang", "zhao"), payloads, strict=True)
    )
    assert (small.grade, unbounded.grade) == (1, 3)
    with desk.work() as work:
        work.db.get_one(Campaign, payloads[0]["campaign"]).multiplier = 30_000
    assert desk.approve(small, "li").state == "returned"
    with desk.work() as work:
        work.db.get_one(Campaign, payloads[0]["campaign"]).multiplier = 20_000
    again = desk.ask("wang", "campaign", None, **payloads[0])
    desk.approve(again, "chen")
    assert {one.name: one.state for one in desk.books.rows(Campaign)} == {"加速": "live", "再加速": "submitted"}


def test_a_rep_gives_from_the_months_budget_and_nothing_else(desk: Desk) -> None:
    with pytest.raises(CannotDo) as refused:
        desk.ask("sun", points=1)
    assert (code(refused), refused.value.facts) == ("over_budget", {"left": 0})
    with desk.work() as work:
        authority.set_limits(work, Limits(rep_month=500), by="wang")
    assert desk.ask("sun", points=300).state == "done"
    with pytest.raises(CannotDo) as refused:
        desk.ask("sun", points=201)
    assert refused.value.facts == {"left": 200}
    with pytest.raises(CannotDo) as refused:
        desk.ask("sun", "adjust", 5)
    assert code(refused) == "rep_kind"
    desk.books.to(31)  # the first of February in Shanghai
    assert desk.ask("sun", points=500).state == "done"
    assert desk.available() == 800


def test_our_own_people_are_pointed_out(desk: Desk) -> None:
    with desk.work() as work:
        work.db.get_one(Person, work.db.get_one(PointsAccount, desk.books.people[0]).person_id).phone = "13800138001"
        insiders.tell(work, ["13800138001", " ", "13800138001"], by="wang")
        assert insiders.known(work.db) == ["13800138001"]
    assert desk.ask("li", points=10).preview["staff"] == [desk.books.people[0]]
    assert desk.ask("li", points=10, to=1).preview["staff"] == []


# --- many at once ----------------------------------------------------------------------------------------------------


def lines(desk: Desk, points: int) -> list[tuple[int, int]]:
    return [(one, points) for one in desk.books.people]


def agreed(desk: Desk, asked: Approval) -> Approval:
    desk.approve(asked, "li")
    return desk.approve(asked, "chen")


def test_many_get_theirs_line_by_line_and_once(desk: Desk) -> None:
    asked = desk.ask("wang", "bulk_award", None, lines=lines(desk, 30))
    assert (asked.grade, asked.preview["accounts"], asked.preview["points"]) == (2, 3, 90)
    assert agreed(desk, asked).state == "running"
    with desk.work() as work:
        assert approvals.go_on(work, asked.id, most=2) == 2
    desk.tend()
    desk.tend()
    assert [desk.available(who) for who in range(3)] == [30, 30, 30]
    assert desk.now(asked).result == {"accounts": 3, "points": 90}
    assert len(desk.books.rows(PointsTxn)) == 3


def test_a_batch_can_be_taken_back_as_far_as_it_is_there(desk: Desk) -> None:
    asked = desk.ask("wang", "bulk_award", None, lines=lines(desk, 30))
    agreed(desk, asked)
    desk.tend()
    desk.books.redeem(20, who=1)
    undo = desk.undo("wang", asked)
    assert (undo.grade, undo.preview["points"]) == (2, -90)
    agreed(desk, undo)
    desk.tend()
    assert [desk.available(who) for who in range(3)] == [0, 0, 0]
    assert desk.now(undo).result == {"accounts": 3, "points": -70}  # 20 were spent


def test_clearing_waits_a_day_takes_what_is_there_and_can_be_given_again(desk: Desk) -> None:
    desk.books.award(100, who=0)
    desk.books.award(40, who=1, pends=9)
    desk.books.award(25, who=1, lives=2)
    held = desk.books.hold(10, who=0, days=9)
    asked = desk.ask("wang", "bulk_clear", None, lines=lines(desk, 0), announced="短信，十一月一日")
    assert (asked.grade, asked.preview["accounts"], asked.preview["points"]) == (3, 2, -155)
    assert agreed(desk, asked).state == "approved"
    desk.later(24)
    assert [desk.available(who) for who in range(3)] == [0, 0, 0]
    assert desk.now(asked).result == {"accounts": 2, "points": -155}
    desk.books.release(held)
    assert desk.available() == 10  # what was held was not ours to clear
    undo = desk.undo("wang", asked)
    agreed(desk, undo)
    desk.tend()
    assert [desk.available(who) for who in range(3)] == [100, 65, 0]


def test_clearing_something_else_than_was_shown_is_back_with_its_maker(desk: Desk) -> None:
    desk.books.award(1_000)
    asked = desk.ask("wang", "bulk_clear", None, lines=lines(desk, 0), announced="短信")
    agreed(desk, asked)
    desk.books.award(21, who=1)  # two in a hundred points more, and one account
    desk.later(24)
    assert (desk.state(asked), desk.now(asked).note, desk.available()) == ("returned", "drift", 1_000)


def test_lines_that_were_changed_are_not_carried_out(desk: Desk) -> None:
    asked = desk.ask("wang", "bulk_award", None, lines=lines(desk, 30))
    with desk.work() as work:
        line = work.db.get_one(ApprovalLine, (asked.id, desk.books.people[0]))
        line.points = 31
    assert agreed(desk, asked).state == "returned"


def test_nobody_is_nothing_to_do(desk: Desk) -> None:
    for kind, expected in (("bulk_award", "bad_points"), ("bulk_clear", "nothing")):
        with pytest.raises(CannotDo) as refused:
            desk.ask("wang", kind, None, lines=lines(desk, 0))
        assert code(refused) == expected


# --- I26 -------------------------------------------------------------------------------------------------------------

USERS = ("wang", "chen", "li", "zhao", "sun")
HANDS = st.sampled_from([*USERS, "key of wang", "key of li", "key of nobody"])
SIZES = st.sampled_from([60, 150, 201, 3_000, 60_000, 600_000, 700_000])
LOW = Limits(person=200, day=500)


class Approvals(RuleBasedStateMachine):
    """Everybody asks, agrees, refuses and tampers; what is carried out is held against rules written down anew."""

    def __init__(self, url: str, roles: dict[str, str]) -> None:
        super().__init__()
        self.desk = Desk(url, roles)
        self.asked: dict[int, dict[str, Any]] = {}
        self.tampered: set[int] = set()
        with self.desk.work() as work:
            authority.set_limits(work, LOW, by="wang")

    def teardown(self) -> None:
        self.desk.books.close()

    def who(self, name: str) -> Hand | None:
        if name.startswith("key"):
            maker = name.rpartition(" ")[2]
            return self.desk.key(name, maker if maker in self.desk.roles else "command line")
        return self.desk.hand(name) if name in self.desk.roles else None

    def behind(self, name: str) -> str:
        """The user whose hand it is, as this test sees it."""
        maker = name.rpartition(" ")[2]
        return maker if maker in self.desk.roles else name

    def power(self, name: str) -> str:
        """The role of their word."""
        return self.desk.roles.get(self.behind(name), "boss")

    @rule(name=HANDS, points=SIZES, to=st.sampled_from([0, 1]), down=st.booleans())
    def asks(self, name: str, points: int, to: int, down: bool) -> None:
        self.ask(name, points, to, down)

    @rule(name=HANDS, points=st.lists(st.sampled_from([60, 150, 200]), min_size=2, max_size=12))
    def asks_for_many_small_ones(self, name: str, points: list[int]) -> None:
        for number, one in enumerate(points):
            self.ask(name, one, number % 3, down=False)

    def ask(self, name: str, points: int, to: int, down: bool) -> None:
        who, kind = self.who(name), "adjust" if down else "award"
        if who is None:
            return
        others = [one for one, role in self.desk.roles.items() if role in ("boss", "manager", "operator")]
        others = [one for one in others if one != self.behind(name)]
        there = self.desk.available(to)
        try:
            made = self.desk.ask(who, kind, -points if down else points, to=to)
        except CannotDo as error:
            refused: CannotDo | None = error
        else:
            refused = None
        if refused is not None:
            assert (refused.code == "not_enough") == (down and points > there > 0), refused
            return
        bosses = [one for one in others if self.desk.roles[one] == "boss"]
        self.asked[made.id] = {
            "by": name, "points": -points if down else points, "to": to, "at": self.desk.books.now,
            "others": len(others), "bosses": len(bosses), "yes": {},
        }  # fmt: skip

    def still_open(self) -> list[int]:
        rows = self.desk.books.rows(Approval)
        return [one.id for one in rows if one.state in ("waiting", "approved")] or sorted(self.asked)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), names=st.lists(HANDS, min_size=1, max_size=5, unique=True), again=st.booleans())
    def agree(self, data: Any, names: list[str], again: bool) -> None:
        number = data.draw(st.sampled_from(self.still_open()))
        for name in names:
            self.agrees(number, name, again)

    def agrees(self, number: int, name: str, again: bool) -> None:
        who, facts = self.who(name), self.asked[number]
        if who is None:
            return
        for _ in range(1 + again):
            try:
                self.desk.approve(number, who)
            except CannotDo as error:
                refused: CannotDo | None = error
            else:
                refused = None
            if refused is not None:
                assert (refused.code == "own") == (self.behind(name) == self.behind(facts["by"])), refused
                return
            facts["yes"].setdefault(self.behind(name), (self.desk.books.now, self.power(name)))

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), name=HANDS, no=st.booleans())
    def ends_it(self, data: Any, name: str, no: bool) -> None:
        number, who = data.draw(st.sampled_from(sorted(self.asked))), self.who(name)
        if who is None:
            return
        try:
            self.desk.reject(number, who) if no else self.desk.cancel(number, who)
        except CannotDo:
            return
        own = self.behind(name) == self.behind(self.asked[number]["by"])
        assert own is not no, "only whoever asked lets it be; only others say no"

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), names=st.permutations(["wang", "chen", "li", "zhao"]))
    def tampers(self, data: Any, names: list[str]) -> None:
        number = data.draw(st.sampled_from(self.still_open()))
        if self.desk.state(number) in ("waiting", "approved"):
            other = self.desk.books.people[(self.asked[number]["to"] + 1) % 3]
            self.desk.tamper(number, account_ids=[other])
            self.tampered.add(number)
            for name in names:
                self.agrees(number, name, again=False)

    @rule(hours=st.sampled_from([1, 12, 24, 30, 80]))
    def time_passes(self, hours: float) -> None:
        self.desk.later(hours)

    def txns(self) -> list[PointsTxn]:
        return [one for one in self.desk.books.rows(PointsTxn) if one.approval_id is not None]

    @invariant()
    def i26_nothing_was_done_without_the_words_it_needs(self) -> None:
        grades = {one.id: one.grade for one in self.desk.books.rows(Approval)}
        for txn in self.txns():
            number = txn.approval_id or 0
            facts, grade = self.asked[number], grades[number]
            assert number not in self.tampered
            assert txn.result["points"] == facts["points"]
            words = {hand: word for hand, word in facts["yes"].items() if word[0] <= txn.recorded_at}
            assert self.behind(facts["by"]) not in words
            assert "rep" not in {role for _, role in words.values()}
            self._enough(facts, grade, words, txn)

    def _enough(self, facts: dict[str, Any], grade: int, words: dict[str, Any], txn: PointsTxn) -> None:
        needed = {0: 0, 1: 1, 2: 2, 3: 2}[grade]
        waited = txn.recorded_at - facts["at"]
        full = len(words) >= needed and (grade < 2 or "boss" in {role for _, role in words.values()})
        if not full:
            assert facts["others"] < needed or not facts["bosses"], "somebody else was there to ask"
            assert len(words) >= min(needed, facts["others"])
            assert waited >= DAY
        if grade == 3:
            before = sum(1 for at, _ in words.values() if at <= txn.recorded_at - DAY)
            assert before >= (needed if full else min(needed, facts["others"]))
            assert waited >= DAY

    @invariant()
    def i26_it_was_done_once(self) -> None:
        numbers = [one.approval_id for one in self.txns()]
        assert len(numbers) == len(set(numbers))
        done = {one.id for one in self.desk.books.rows(Approval) if one.state == "done"}
        assert done == set(numbers)

    @invariant()
    def no_hand_gives_more_in_a_day_without_a_word_than_it_may(self) -> None:
        alone = [one for one in self.desk.books.rows(Approval) if one.grade == 0 and one.state == "done"]
        for last in alone:
            same = [one for one in alone if one.hand == last.hand and last.made_at - DAY < one.made_at <= last.made_at]
            assert sum(one.size for one in same) <= LOW.day
            assert sum(one.size for one in same if one.account_id == last.account_id) <= LOW.person

    @invariant()
    def every_yes_was_to_what_was_asked(self) -> None:
        hashes = {one.id: (one.payload_hash, one.hand) for one in self.desk.books.rows(Approval)}
        for word in self.desk.books.rows(ApprovalWord):
            assert word.payload_hash == hashes[word.approval_id][0]
            assert word.hand != hashes[word.approval_id][1]


SHOPS = (
    {"wang": "boss", "chen": "boss", "li": "manager", "zhao": "operator", "sun": "rep"},
    {"wang": "boss", "li": "manager", "sun": "rep"},
    {"wang": "boss"},
)


@pytest.mark.parametrize("roles", SHOPS, ids=["five", "three", "alone"])
def test_i26_no_one_gets_around_the_second_person(ground: Ground, roles: dict[str, str]) -> None:
    walk(partial(Approvals, roles=roles), ground, sqlite=20 if roles is SHOPS[0] else 8, postgresql=1)

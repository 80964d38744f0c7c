"""Journeys about points and orders: whose day it is, what is said with which numbers, and never of what is gone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from loyalty import accounts, authority, boosts, notices, order_points
from loyalty.ledger import earn, spend
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from outreach import cards, occasions, points_told
from outreach.journeys import ready_made
from outreach.journeys.definition import EMPTY
from people import persons
from storage.tables import (
    Campaign,
    Enrolment,
    Interaction,
    Person,
    PointsBoost,
    PointsNotice,
    PointsTxn,
    RepCard,
    Reward,
    ShopOrder,
    StepRun,
    TierChange,
    Touch,
)
from tests.outreach.journeys.life import REPS, ZONE, Life


@pytest.fixture(params=["sqlite", "postgresql"])
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    one = Life(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))
    for _ in range(3):
        one.add_person(REPS[0])
    one.now = datetime(2026, 11, 23, 2, 5, tzinfo=UTC)
    one.read()
    yield one
    one.close()


def gone_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), ZONE).astimezone(UTC)


def points(life: Life, who: int, number: int, last: date | None, *, notice: int = 7, person: int | None = None) -> None:
    with life.work() as work:
        person_id = person or life.people[who]
        account = accounts.open_account(work, person_id)
        life.lines += 1
        about = About("award", f"a{life.lines}", work.now, "test")
        grant = Grant(
            number, work.now, gone_after(last) if last else None, "purchase", qualifies=True, notice_days=notice
        )
        earn.award(work, account, [grant], about)


def spent(life: Life, who: int, number: int) -> None:
    with life.work() as work:
        life.lines += 1
        ids = accounts.accounts_of(work.db, persons.anchors(work.db, life.people[who]))
        spend.redeem(work, ids, number, About("redeem", f"r{life.lines}", work.now, "test"))


def journey(trigger: dict[str, Any], *steps: dict[str, Any], again: str = "each", **more: Any) -> dict[str, Any]:
    named = [{"id": f"s{number}", **one} for number, one in enumerate(steps, 1)]
    return {**EMPTY, "trigger": trigger, "again": {"rule": again}, "service": True, **more, "steps": named}


def about_points(days: int = -30, *ways: str, text: str = "{name}：{expiring}，共 {points} 分") -> dict[str, Any]:
    send = {"do": "send", "ways": list(ways or ("card",)), "text": text}
    if "mass" in ways:
        send["mass_text"] = "您有积分快到期了"
    return journey({"on": "date", "date": "points_end", "days": days, "at": "10:00"}, send)


def run(life: Life, *, days: float = 0) -> None:
    life.now += timedelta(days=days)
    life.read()
    life.keep_days()
    life.walk()


def outcomes(life: Life) -> list[dict[str, Any]]:
    return [one.outcome for one in life.rows(StepRun)]


def test_who_has_points_that_die_in_thirty_days_hears_once_of_all_of_them_by_date(life: Life) -> None:
    life.make(about_points())
    with life.work() as work:
        work.db.add(Person(id=500, merged_into=life.people[0], first_seen_at=work.now, last_seen_at=work.now))
    points(life, 0, 120, date(2026, 12, 23))
    points(life, 0, 30, date(2026, 12, 23), person=500)
    points(life, 0, 40, date(2026, 12, 1))
    points(life, 0, 7, date(2027, 6, 1))
    points(life, 1, 50, date(2026, 12, 24))
    run(life)
    (card,) = life.rows(RepCard)
    assert card.text == "客户0：12月1日 40 分、12月23日 150 分，共 197 分"
    assert [one.person_id for one in life.rows(Enrolment)] == [life.people[0]]
    run(life, days=1)
    assert {one.person_id for one in life.rows(Enrolment)} == {life.people[0], life.people[1]}


def test_a_text_leads_to_their_own_page(life: Life) -> None:
    life.make(about_points(text="看这里：{me}"))
    points(life, 0, 120, date(2026, 12, 23))
    run(life)
    (card,) = life.rows(RepCard)
    assert card.text.startswith("看这里：https://shop.test/me/")


def test_nobody_hears_of_points_that_are_gone(life: Life) -> None:
    wait = {"do": "wait", "days": 5, "at": "10:00"}
    send = {"do": "send", "ways": ["card"], "text": "{expiring}"}
    life.make(journey({"on": "date", "date": "points_end", "days": -30, "at": "10:00"}, wait, send))
    points(life, 0, 120, date(2026, 12, 23))
    points(life, 1, 60, date(2026, 12, 23))
    run(life)
    spent(life, 0, 120)
    run(life, days=5)
    assert [one.person_id for one in life.rows(RepCard)] == [life.people[1]]
    assert {"skipped": "gone"} in outcomes(life)


def test_whoever_spends_them_before_the_task_is_made_is_in_no_task(life: Life) -> None:
    life.make(about_points(-30, "mass"))
    for who in (0, 1):
        points(life, who, 120, date(2026, 12, 23))
    run(life)
    spent(life, 0, 120)
    life.now += timedelta(hours=1)
    life.cut_waves()
    life.ask()
    (task,) = life.tasks.values()
    assert len(task.receivers) == 1
    gone = life.rows(Touch, Touch.person_id == life.people[0])
    assert [one.state for one in gone] == ["cancelled"]


def test_a_window_that_is_open_comes_before_the_card_and_the_card_before_the_task(life: Life) -> None:
    life.make(about_points(-30, "kf", "card", "mass"))
    for who in (0, 1):
        points(life, who, 120, date(2026, 12, 23))
    life.happens(life.people[0], "kf_in")
    run(life)
    assert {(one.person_id, one.way) for one in life.rows(Touch)} == {(life.people[0], "kf"), (life.people[1], "card")}


def test_points_that_die_on_neighbouring_days_are_told_of_together(life: Life) -> None:
    life.make(about_points(-7, text="{expiring}"))
    points(life, 0, 120, date(2026, 11, 30))
    points(life, 0, 30, date(2026, 12, 1))
    run(life)
    run(life, days=1)
    assert [one.text for one in life.rows(RepCard)] == ["11月30日 120 分、12月1日 30 分"]
    assert len(life.rows(Enrolment)) == 2
    assert {"skipped": "told"} in outcomes(life)
    with life.work() as work:
        work.db.scalars(select(RepCard)).one().shown_at = work.now
    assert note(life) == 2


def test_what_was_sent_or_shown_is_a_notice_and_what_was_not_lets_the_points_live(life: Life) -> None:
    life.make(about_points(-30, "kf", "card"))
    for who in (0, 1, 2):
        points(life, who, 120, date(2026, 12, 23))
    life.happens(life.people[0], "kf_in")
    run(life)
    note(life)
    assert life.rows_of(PointsNotice) == []
    life.settle_kf()
    with life.work() as work:
        work.db.scalars(select(RepCard).where(RepCard.person_id == life.people[1])).one().shown_at = work.now
    note(life)
    note(life)
    assert sorted(one.way for one in life.rows_of(PointsNotice)) == ["card", "kf"]
    life.now = gone_after(date(2026, 12, 23))
    assert [available(life, who) for who in (0, 1, 2)] == [0, 0, 120]


def note(life: Life) -> int:
    with life.work() as work:
        return points_told.note(work, 0)[0]


def available(life: Life, who: int) -> int:
    with life.work() as work:
        return accounts.standing_of(work.db, [life.people[who]], work.now).available


def test_a_rep_is_asked_to_tell_whom_nothing_else_has_told(life: Life) -> None:
    points(life, 0, 120, date(2026, 12, 3))
    points(life, 1, 80, date(2027, 6, 1))
    points(life, 2, 60, date(2026, 12, 1), notice=0)
    with life.work() as work:
        (draft,) = [one for one in occasions.wanted(work) if one.kind == occasions.POINTS]
        assert draft.person_id == life.people[0]
        assert draft.because == "120 积分12月3日起过期"
        card = cards.make(work, draft, life.rules).card
        assert card is not None
        card.shown_at = work.now
    with life.work() as work:
        assert not [one for one in occasions.wanted(work) if one.kind == occasions.POINTS]
    assert note(life) == 1
    life.now = gone_after(date(2026, 12, 3))
    assert available(life, 0) == 0


def test_what_should_have_died_long_ago_is_still_to_be_told(life: Life) -> None:
    points(life, 0, 120, date(2026, 11, 25))
    life.now += timedelta(days=200)
    with life.work() as work:
        (draft,) = [one for one in occasions.wanted(work) if one.kind == occasions.POINTS]
        assert draft.because == "120 积分早该过期了，还没告诉客户"
        cards.make(work, draft, life.rules).card.shown_at = work.now  # type: ignore[union-attr]
    assert note(life) == 1
    life.now += timedelta(days=6.9)
    assert available(life, 0) == 120
    life.now += timedelta(days=0.1)
    assert available(life, 0) == 0


# --- orders ----------------------------------------------------------------------------------------------------------


def order(
    life: Life, who: int, amount: str, *, store: str = "静安店", points_earned: int = 0, days_ago: float = 0
) -> None:
    with life.work() as work:
        life.lines += 1
        number, at = f"A{life.lines}", work.now - timedelta(days=days_ago)
        told = {"source": "till", "order_no": number, "digest": "", "received_at": work.now}
        fen = int(amount.replace(".", ""))
        work.db.add(ShopOrder(person_id=life.people[who], paid_at=at, amount=fen, store=store, **told))
        details = {"source": "till", "order_no": number, "amount": amount, "points": points_earned}
        persons.tell(work, life.people[who], "bought", at, once=f"order:till:{number}", details=details)


TASK = {"do": "task", "text": "看看 {name}"}


def set_out(life: Life) -> list[int]:
    return [one.person_id for one in life.rows(Enrolment)]


def test_an_order_lets_set_out_if_it_is_large_enough_and_from_that_store(life: Life) -> None:
    life.make(journey({"on": "event", "kinds": ["bought"], "amount": 100, "stores": ["静安店"]}, TASK))
    order(life, 0, "99.99")
    order(life, 1, "100.00")
    order(life, 2, "500.00", store="徐汇店")
    run(life)
    assert set_out(life) == [life.people[1]]


def test_who_has_not_bought_for_two_weeks_sets_out_on_that_day_only(life: Life) -> None:
    life.make(journey({"on": "date", "date": "last_order", "days": 14, "at": "10:00"}, TASK))
    order(life, 0, "10.00", days_ago=14)
    order(life, 1, "10.00", days_ago=14)
    order(life, 1, "10.00", days_ago=3)
    order(life, 2, "10.00", days_ago=20)
    run(life)
    assert set_out(life) == [life.people[0]]


def test_near_a_threshold_is_told_once_in_thirty_days(life: Life) -> None:
    life.make(journey({"on": "date", "date": "near_points", "days": 0, "points": 100, "at": "10:00"}, TASK))
    for who, number in enumerate((79, 80, 100)):
        points(life, who, number, None)
    run(life)
    assert set_out(life) == [life.people[1]]
    run(life, days=1)
    run(life, days=10)
    assert len(set_out(life)) == 1
    run(life, days=25)
    assert len(set_out(life)) == 2


def test_near_the_cheapest_reward_that_can_be_had(life: Life) -> None:
    life.make(journey({"on": "date", "date": "near_points", "days": 0, "at": "10:00"}, TASK))
    with life.work() as work:
        facts = {"stores": [], "days": 7, "made_by": "boss", "made_at": work.now, "kind": "goods"}
        for name, price, state, stock in (("杯", 10, "draft", 5), ("袋", 20, "live", 0), ("豆", 100, "live", None)):
            work.db.add(Reward(name=name, points=price, state=state, stock=stock, **facts))
    points(life, 0, 16, None)
    points(life, 1, 85, None)
    run(life)
    (one,) = life.rows(Enrolment)
    assert (one.person_id, one.because["points"], one.because["reward"]) == (life.people[1], 100, "豆")


def test_a_tier_that_would_be_lost_is_told_of_and_one_that_is_safe_is_not(life: Life) -> None:
    life.make(journey({"on": "date", "date": "tier_end", "days": -30, "at": "10:00"}, TASK))
    for who, number in ((0, 100), (1, 2_500)):
        points(life, who, number, None)
        with life.work() as work:
            (account,) = accounts.accounts_of(work.db, [life.people[who]])
            told = {"why": "up", "before": "silver", "after": "gold", "points": 2_000, "recorded_at": work.now}
            work.db.add(TierChange(account_id=account, until=date(2027, 1, 1), at=work.now, **told))
    life.now = datetime(2026, 12, 2, 2, 5, tzinfo=UTC)
    run(life)
    assert set_out(life) == [life.people[0]]


# --- points that a journey gives -------------------------------------------------------------------------------------

BOOST = {"do": "boost", "times": 2, "cap": 50, "days": 7}
GIVE = {"do": "give", "points": 50, "reason": "好久不见"}


def test_a_journey_gives_points_once_and_they_do_not_begin_it_again(life: Life) -> None:
    own = life.make(journey({"on": "event", "kinds": ["points_earned"]}, GIVE))
    other = life.make(journey({"on": "event", "kinds": ["points_earned"]}, TASK))
    order(life, 0, "10.00", points_earned=10)
    for _ in range(4):
        run(life, days=0.01)
    assert available(life, 0) == 50
    assert len(life.rows(Enrolment, Enrolment.journey_id == own)) == 1
    assert len(life.rows(Enrolment, Enrolment.journey_id == other)) == 2
    (line,) = life.rows(Interaction, Interaction.kind == "points_given")
    assert line.details["points"] == 50
    (txn,) = life.rows_of(PointsTxn)
    assert (txn.actor, txn.source) == (f"journey:{own}", f"journey:{own}")


def test_a_journey_gives_no_more_in_a_day_than_one_hand_may(life: Life) -> None:
    with life.work() as work:
        authority.set_limits(work, authority.Limits(person=60, day=100), by="boss")
    life.make(journey({"on": "event", "kinds": ["bought"]}, GIVE))
    for who in (0, 1, 2):
        order(life, who, "10.00")
    run(life)
    assert sum(available(life, who) for who in (0, 1, 2)) == 100
    assert {"skipped": "points_budget"} in outcomes(life)


def test_a_coupon_for_more_points_is_used_by_one_order_within_its_days(life: Life) -> None:
    life.make(journey({"on": "date", "date": "last_order", "days": 14, "at": "10:00"}, BOOST))
    order(life, 0, "10.00", days_ago=14)
    order(life, 1, "10.00", days_ago=14)
    run(life)
    assert [one.state for one in life.rows(Enrolment)] == ["done", "done"]
    assert buys(life, 0, 100_00) == 150
    assert buys(life, 0, 100_00) == 100
    life.now += timedelta(days=8)
    assert buys(life, 1, 100_00) == 100
    (used, unused) = life.rows(PointsBoost)
    assert (used.points, unused.used_at) == (50, None)


def buys(life: Life, who: int, fen: int) -> int:
    """What an order earns that is paid now."""
    with life.work() as work:
        life.lines += 1
        account = accounts.open_account(work, life.people[who])
        paid = order_points.Paid(f"order:till:B{life.lines}", account, work.now, fen, {})
        return order_points.earn(work, [paid])[paid.reference]


def test_a_coupon_is_kept_where_a_campaign_gives_as_much(life: Life) -> None:
    with life.work() as work:
        given = boosts.Given("2 倍积分券", 20_000, 500, 30, "journey:1")
        assert boosts.give(work, life.people[0], "k", given)
        assert not boosts.give(work, life.people[0], "k", given)
        days = {"from_at": work.now, "to_at": work.now + timedelta(days=1)}
        facts = {"state": "live", "made_by": "boss", "made_at": work.now, "audience": {}}
        work.db.add(Campaign(name="加速日", multiplier=20_000, **days, **facts))
    assert buys(life, 0, 100_00) == 200
    life.now += timedelta(days=2)
    assert buys(life, 0, 100_00) == 200
    assert buys(life, 0, 100_00) == 100


def test_who_is_in_control_gets_no_coupon(life: Life) -> None:
    half = {"service": False, "control": 5_000}
    life.make(journey({"on": "date", "date": "last_order", "days": 14, "at": "10:00"}, BOOST, **half))
    for _ in range(20):
        life.add_person(REPS[0])
    for who in range(23):
        order(life, who, "10.00", days_ago=14)
    run(life)
    apart = len(life.rows(Enrolment, Enrolment.arm != ""))
    assert 0 < apart < 23
    assert len(life.rows(PointsBoost)) == 23 - apart


def test_every_ready_made_one_about_points_can_be_published(life: Life) -> None:
    for one in ready_made.READY:
        life.make(one.definition)


def test_the_first_notice_is_the_one_that_counts(life: Life) -> None:
    points(life, 0, 120, date(2026, 12, 23))
    with life.work() as work:
        ids = accounts.accounts_of(work.db, [life.people[0]])
        assert notices.told(work, ids, gone_after(date(2026, 12, 23)), notices.PAGE, "me") == 1
        assert notices.told(work, ids, gone_after(date(2026, 12, 23)), notices.KF, "touch") == 0

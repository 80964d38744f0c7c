"""What comes of a broadcast: who leaves because of it, which wording did better, who has it in WeCom's words."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from outreach import comparing, results
from outreach.arms import CONTROL, arm_of
from outreach.broadcasts import arms_of
from outreach.experiments import Saying
from storage.tables import Broadcast, Interaction, Interval, Relation, Touch
from tests.journeys.broadcasting import begin, confirm_all, open_shop, read_back, received, run, state, states
from tests.shop import Shop, close_shop


@pytest.fixture
def shop(sqlite_url: str) -> Iterator[Shop]:
    shop = open_shop(sqlite_url, customers=60)
    yield shop
    close_shop(shop)


def leave(shop: Shop, count: int) -> list[int]:
    """So many of those who have it delete their rep."""
    gone = shop.rows(Touch, Touch.state == "sent")[:count]
    for one in gone:
        shop.world.customer_deletes(one.userid, one.external_userid)
    shop.advance(seconds=30)
    shop.catch_up()
    return [one.person_id for one in gone]


def confirm_some(shop: Shop) -> str:
    """The rep with most customers confirms; who that is."""
    first = max(shop.world.members, key=lambda one: sum(len(each.parcels) for each in shop.world.mass_todos(one)))
    for errand in shop.world.mass_todos(first):
        shop.world.confirm_mass(first, errand.msgid)
    return str(first)


def test_when_too_many_leave_the_rest_is_withdrawn_and_the_maker_told_once(shop: Shop) -> None:
    number = begin(shop)
    run(shop)
    confirm_some(shop)
    read_back(shop)
    leave(shop, 11)
    run(shop, 6)
    (kept,) = shop.rows(Broadcast, Broadcast.id == number)
    assert kept.state == "stopped"
    assert "11 位客户删除了成员" in (kept.note or "")
    assert not any(shop.world.mass_todos(one) for one in shop.world.members)
    before = len(received(shop))
    run(shop, 12)
    assert (len(received(shop)), set(states(shop))) == (before, {"sent", "cancelled"})
    told = [one for one in shop.world.app_messages.values() if one.userid == "wangwu"]
    assert ["删除成员的客户太多" in one.content["title"] for one in told] == [True]


def test_ten_of_many_or_one_of_three_is_no_reason(shop: Shop) -> None:
    number = begin(shop)
    run(shop)
    confirm_some(shop)
    read_back(shop)
    leave(shop, 10)
    run(shop, 6)
    assert state(shop, number) == "running"
    with shop.db() as db:
        found = results.losses(db, db.get_one(Broadcast, number), shop.now())
    assert (found.deleted, found.most, found.too_many) == (10, 10, False)


def test_three_times_the_usual_counts_where_many_leave_on_any_day(shop: Shop) -> None:
    """56 left in four weeks and 60 are here: of a thousand 17.2 leave on a usual day, and 51.7 is three times that."""
    with shop.db() as db:
        for n, one in enumerate(db.query(Relation).limit(56)):
            at = shop.now() - timedelta(days=n % 27 + 1)
            ended = {"began_at": at, "ended_at": at, "ended_by": "customer", "origin": "arrival"}
            who = {"relation_id": one.id, "person_id": one.person_id, "userid": one.userid}
            db.add(Interval(number=50 + n, **who, **ended))
        db.flush()
        rate = results.usual_rate(db, shop.now())
    assert rate == pytest.approx(56 / (28 * 116))
    assert [results.Losses(1000, left, 1000 * rate).too_many for left in (51, 52)] == [False, True]


def test_who_leaves_after_a_day_or_before_it_came_is_not_counted(shop: Shop) -> None:
    number = begin(shop)
    run(shop)
    confirm_all(shop)
    read_back(shop)
    shop.advance(hours=25)
    leave(shop, 3)
    with shop.db() as db:
        assert results.deleted(db, db.get_one(Broadcast, number)) == {}


def test_two_wordings_and_a_control_group_are_compared_by_assignment_and_only_at_the_end(shop: Shop) -> None:
    number = begin(shop, other_text="周五来，第二杯半价。{rep}", control=3000)
    run(shop)
    confirm_all(shop)
    read_back(shop)
    with shop.db() as db:
        broadcast = db.get_one(Broadcast, number)
        shares = arms_of(broadcast)
        early = comparing.comparison(db, broadcast, shop.now())
    by_arm = Counter(one.arm for one in shop.rows(Touch))
    planned = {one.person_id: one.arm for one in shop.rows(Touch)}
    assert planned == {one: arm_of(f"broadcast:{number}", f"p_{one}", shares) for one in planned}
    assert set(by_arm) == {CONTROL, "a", "b"}
    control = {one.external_userid for one in shop.rows(Touch, Touch.arm == CONTROL)}
    assert not control & set(received(shop))
    texts = {one.text[:3] for one in shop.world.mass_tasks.values()}
    assert texts == {"本周五", "周五来"}
    assert early is not None
    assert (early.over, [one.did for one in early.arms], early.pairs) == (False, [None, None, None], ())
    talk(shop, "b", 10)
    talk(shop, CONTROL, 1)
    shop.advance(days=8)
    with shop.db() as db:
        found = comparing.comparison(db, db.get_one(Broadcast, number), shop.now())
    assert found is not None
    assert {one.name: (one.assigned, one.did) for one in found.arms} == {
        CONTROL: (by_arm[CONTROL], 1),
        "a": (by_arm["a"], 0),
        "b": (by_arm["b"], 10),
    }
    assert [(one.variant, one.other) for one in found.pairs] == [("a", CONTROL), ("b", CONTROL), ("b", "a")]
    assert {one.outcome.saying for one in found.pairs} == {Saying.NOT_YET}  # so few that nothing may be said


def talk(shop: Shop, arm: str, count: int) -> None:
    """So many people of an arm say something; of each twice, and once long before."""
    with shop.db() as db:
        for one in db.query(Touch).filter_by(arm=arm).limit(count):
            for n, at in enumerate((shop.now(), shop.now() + timedelta(days=1))):
                db.add(Interaction(person_id=one.person_id, kind="kf_in", at=at, once=f"talk:{one.id}:{n}"))
        other = db.query(Touch).filter_by(arm=arm).offset(count).first()
        if other is not None:
            at = shop.now() - timedelta(days=3)
            db.add(Interaction(person_id=other.person_id, kind="kf_in", at=at, once=f"early:{other.id}"))


def test_each_customer_and_rep_is_told_in_wecoms_words(shop: Shop) -> None:
    shop.world.limits.mass_quota = "day_1"
    number = begin(shop)
    run(shop)
    first = confirm_some(shop)
    gone = next(one for one in shop.rows(Touch) if one.userid != first)
    shop.world.customer_deletes(gone.userid, gone.external_userid)
    full = next(one for one in shop.rows(Touch) if one.userid not in (first,) and one.id != gone.id)
    shop.world.member_mass(full.userid, "我自己发的", [full.external_userid])
    confirm_all(shop)
    read_back(shop)
    with shop.db() as db:
        broadcast = db.get_one(Broadcast, number)
        lines = results.reps(db, broadcast)
        shown = {
            one.touch.person_id: one.touch.state for one in results.every_customer(db, broadcast, results.EVERYBODY)
        }
    assert (shown[gone.person_id], shown[full.person_id]) == ("no_friend", "quota")
    assert sum(one.states.get("sent", 0) for one in lines) == 58
    assert all(one.confirmed_at is not None and not one.open_tasks for one in lines)

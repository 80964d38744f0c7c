"""What was redeemed, collected, brought back, given and got stands in the stories of those it is about, each once."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from bot import people_desk
from loyalty import accounts, group_buys, reward_desk, rewards, transfers
from loyalty.group_buys import Terms
from loyalty.ledger import earn
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from loyalty.reward_desk import Draft
from loyalty.transfers import Limits, Named, Party
from people import persons
from scheduler import rewards_told
from storage.tables import Gift, Interaction, Person, PointsAccount, Redemption
from storage.work import Work
from tests.opened import BOTH
from tests.shop import Shop


def somebody(shop: Shop, name: str) -> tuple[int, int]:
    """A person with 100 points of their own, and their account."""
    with shop.work() as work:
        person = Person(name=name, first_seen_at=work.now, last_seen_at=work.now)
        work.db.add(person)
        work.db.flush()
        account_id = accounts.open_account(work, person.id)
        grant = Grant(100, work.now, work.now + timedelta(days=300), "purchase")
        earn.award(work, account_id, [grant], About("award", f"first:{account_id}", work.now, "test"))
        return person.id, account_id


def reward(work: Work, **facts: object) -> int:
    row = reward_desk.keep(work, Draft(**{"name": "杯子", "points": 30, "stock": 5, **facts}), "boss")
    reward_desk.move(row, "go")
    return row.id


def told(shop: Shop, person_id: int) -> list[tuple[str, object]]:
    """The lines of a story, with the points each tells of."""
    rows = shop.rows(Interaction, Interaction.person_id == person_id)
    return [(one.kind, one.details.get("points")) for one in sorted(rows, key=lambda one: (one.at, one.id))]


def redeem(shop: Shop, whose: tuple[int, int], reward_id: int, key: str = "k") -> int:
    with shop.work() as work:
        return rewards.redeem(work, [whose[0]], [whose[1]], reward_id, key).id


def give(shop: Shop, sender: tuple[int, int], receiver: tuple[int, int], key: str, *, accept: bool) -> int:
    with shop.work() as work:
        transfers.set_limits(work, Limits(on=True, new_days=0, accept=accept), by="boss")
        ends = [Party([person], [account]) for person, account in (sender, receiver)]
        return transfers.give(work, *ends, 20, key).id


@pytest.mark.parametrize("opened_shop", BOTH, indirect=True)
def test_a_reward_is_told_of_when_redeemed_and_when_collected_however_often_the_job_runs(shop: Shop) -> None:
    whose = somebody(shop, "小雨")
    with shop.work() as work:
        cup = reward(work)
    number = redeem(shop, whose, cup)
    assert shop.run("tell of rewards") == {"tell of rewards": "redemptions told of: 1, gifts: 0"}
    assert told(shop, whose[0]) == [("redeemed", 30)]
    shop.advance(days=2)
    with shop.work() as work:
        rewards.hand_out(work, number, "静安店", "lisi", "once")
    shop.run("tell of rewards")
    assert shop.run("tell of rewards") == {"tell of rewards": "redemptions told of: 0, gifts: 0"}
    assert told(shop, whose[0]) == [("redeemed", 30), ("collected", 30)]
    (collected,) = shop.rows(Interaction, Interaction.kind == "collected")
    assert collected.details["store"] == "静安店"
    (person,) = shop.rows(Person, Person.id == whose[0])
    assert person.last_seen_at == collected.at


@pytest.mark.parametrize("opened_shop", BOTH, indirect=True)
def test_what_went_on_while_nobody_told_of_it_is_told_in_its_order(shop: Shop) -> None:
    whose = somebody(shop, "小雨")
    with shop.work() as work:
        cup = reward(work)
    number = redeem(shop, whose, cup)
    shop.advance(hours=1)
    with shop.work() as work:
        rewards.hand_out(work, number, "静安店", "lisi", "once")
    shop.advance(hours=1)
    with shop.work() as work:
        rewards.give_back(work, number, "lisi", "不合适")
    shop.run("tell of rewards")
    assert told(shop, whose[0]) == [("redeemed", 30), ("reward_returned", 30)]
    (person,) = shop.rows(Person, Person.id == whose[0])
    (redeemed,) = shop.rows(Interaction, Interaction.kind == "redeemed")
    assert person.last_seen_at == redeemed.at, "that somebody at the counter took it back is nothing they did"
    assert "不合适" not in str([one.details for one in shop.rows(Interaction)])


def test_what_nobody_came_for_is_told_of_as_missed(shop: Shop) -> None:
    whose = somebody(shop, "小雨")
    with shop.work() as work:
        cup = reward(work, days=3)
    redeem(shop, whose, cup)
    shop.advance(days=5)
    shop.run("let go of rewards")
    shop.run("tell of rewards")
    assert told(shop, whose[0]) == [("redeemed", 30), ("reward_missed", 30)]


def test_a_coupon_and_a_donation_are_one_line(shop: Shop) -> None:
    whose = somebody(shop, "小雨")
    with shop.work() as work:
        coupon = reward(work, kind="coupon", stock=None)
        reward_desk.add_codes(work, reward_desk.held(work, coupon), ["A1"])
        trees = reward(work, kind="donation", stock=None, cause="种树", worth=150)
    redeem(shop, whose, coupon, "c")
    redeem(shop, whose, trees, "d")
    shop.run("tell of rewards")
    assert told(shop, whose[0]) == [("redeemed", 30), ("redeemed", 30)]


@pytest.mark.parametrize("opened_shop", BOTH, indirect=True)
def test_a_gift_is_told_of_to_both_and_names_nobody(shop: Shop) -> None:
    sender, receiver = somebody(shop, "小雨"), somebody(shop, "阿哲")
    give(shop, sender, receiver, "at once", accept=False)
    waiting = give(shop, sender, receiver, "waits", accept=True)
    shop.run("tell of rewards")
    assert told(shop, sender[0]) == [("points_sent", 20), ("points_sent", 20)]
    assert told(shop, receiver[0]) == [("points_got", 20)]
    shop.advance(hours=1)
    with shop.work() as work:
        transfers.accept(work, waiting, [receiver[1]])
    shop.run("tell of rewards")
    assert told(shop, receiver[0]) == [("points_got", 20), ("points_got", 20)]
    assert not {"小雨", "阿哲"} & set(str([one.details for one in shop.rows(Interaction)]).split("'"))


def test_a_gift_that_nobody_accepted_comes_back_and_so_it_is_told(shop: Shop) -> None:
    sender, receiver = somebody(shop, "小雨"), somebody(shop, "阿哲")
    give(shop, sender, receiver, "waits", accept=True)
    with shop.work() as work:
        ends = Party([sender[0]], [sender[1]]), Party([], [])
        transfers.give(work, *ends, 10, "unknown", named=Named("139****2222", "digest"))
    shop.run("tell of rewards")
    shop.advance(hours=80)
    shop.run("let go of rewards")
    shop.run("tell of rewards")
    assert sorted(told(shop, sender[0])) == sorted(
        [("points_sent", 20), ("points_sent", 10), ("points_back", 20), ("points_back", 10)]
    )
    assert told(shop, receiver[0]) == []


def test_of_somebody_erased_nothing_is_told_and_nothing_waits_for_ever(shop: Shop) -> None:
    whose = somebody(shop, "小雨")
    with shop.work() as work:
        cup = reward(work)
    redeem(shop, whose, cup)
    people_desk.erase(shop.parts.engine, persons.public_id(whose[0]))
    assert shop.run("tell of rewards") == {"tell of rewards": "redemptions told of: 1, gifts: 0"}
    assert shop.rows(Interaction) == []
    assert shop.run("tell of rewards") == {"tell of rewards": "redemptions told of: 0, gifts: 0"}


def test_many_are_told_of_portion_by_portion(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards_told, "PORTION", 2)
    whose = somebody(shop, "小雨")
    with shop.work() as work:
        pin = reward(work, points=1, stock=9)
    for n in range(5):
        redeem(shop, whose, pin, f"k{n}")
    assert shop.run("tell of rewards") == {"tell of rewards": "redemptions told of: 5, gifts: 0"}
    assert told(shop, whose[0]) == [("redeemed", 1)] * 5


def test_what_changes_while_it_is_told_of_is_told_of_at_the_next_turn(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    whose = somebody(shop, "小雨")
    with shop.work() as work:
        cup = reward(work)
    number = redeem(shop, whose, cup)
    before = rewards_told.acts.tell

    def meanwhile(work: Work, lines: Sequence[object]) -> None:
        before(work, lines)
        row = work.db.connection()
        table = Redemption.__table__
        row.execute(table.update().where(table.c.id == number).values(state="released", ended_at=work.now))

    monkeypatch.setattr(rewards_told.acts, "tell", meanwhile)
    shop.run("tell of rewards")
    monkeypatch.setattr(rewards_told.acts, "tell", before)
    shop.run("tell of rewards")
    assert told(shop, whose[0]) == [("redeemed", 30), ("reward_missed", 30)]


def test_the_index_is_used_that_holds_what_is_to_be_told(shop: Shop) -> None:
    with shop.parts.engine.connect() as line:
        for table in (Redemption, Gift):
            asked = select(table.id).where(table.told != table.state).order_by(table.id).limit(5)
            spelt = str(asked.compile(line, compile_kwargs={"literal_binds": True}))
            plan = str(line.exec_driver_sql(f"EXPLAIN QUERY PLAN {spelt}").all())
            assert f"ix_{table.__tablename__}_untold" in plan


def test_whoever_did_nothing_themselves_was_not_here(shop: Shop) -> None:
    sender, receiver = somebody(shop, "小雨"), somebody(shop, "阿哲")
    (before,) = shop.rows(Person, Person.id == receiver[0])
    shop.advance(hours=1)
    give(shop, sender, receiver, "at once", accept=False)
    shop.run("tell of rewards")
    assert shop.rows(Person, Person.id == receiver[0])[0].last_seen_at == before.last_seen_at
    shop.advance(hours=1)
    waiting = give(shop, sender, receiver, "waits", accept=True)
    shop.advance(hours=1)
    with shop.work() as work:
        transfers.accept(work, waiting, [receiver[1]])
    shop.run("tell of rewards")
    assert shop.rows(Person, Person.id == receiver[0])[0].last_seen_at == shop.now()


def test_of_a_group_that_became_full_only_who_came_last_was_here(shop: Shop) -> None:
    first, last = somebody(shop, "小雨"), somebody(shop, "阿哲")
    with shop.work() as work:
        group_buys.set_terms(work, Terms(on=True, seats=2, percent=80, hours=24), by="boss")
        cup = reward(work, points=50)
        group = group_buys.begin(work, [first[0]], [first[1]], cup, "g", by="customer")
    came = shop.now()
    shop.advance(hours=2)
    with shop.work() as work:
        group_buys.join(work, [last[0]], [last[1]], group.id, by="customer")
    shop.run("tell of rewards")
    assert told(shop, first[0]) == [("redeemed", 40)]
    assert shop.rows(Person, Person.id == first[0])[0].last_seen_at == came


@pytest.mark.parametrize("opened_shop", ["postgresql"], indirect=True)
@pytest.mark.parametrize("how", ["joined", "erased"])
def test_whoever_is_joined_or_erased_meanwhile_is_waited_for(shop: Shop, how: str) -> None:
    """On SQLite there is one writer at a time."""
    kept, gone = somebody(shop, "小雨"), somebody(shop, "阿哲")
    with shop.work() as work:
        cup = reward(work)
    redeem(shop, gone, cup, "gone")
    redeem(shop, kept, cup, "kept")
    with ThreadPoolExecutor(1) as pool:
        with shop.work() as work:
            work.db.scalars(select(Person).where(Person.id.in_([kept[0], gone[0]])).with_for_update()).all()
            if how == "joined":
                work.db.execute(update(Person).where(Person.id == gone[0]).values(merged_into=kept[0]))
            else:
                work.db.execute(update(PointsAccount).where(PointsAccount.id == gone[1]).values(person_id=None))
                work.db.execute(delete(Person).where(Person.id == gone[0]))
            running = pool.submit(shop.run, "tell of rewards")
            time.sleep(0.5)
            assert not running.done()
        assert running.result(10) == {"tell of rewards": "redemptions told of: 2, gifts: 0"}
    assert told(shop, gone[0]) == []
    assert told(shop, kept[0]) == [("redeemed", 30)] * (2 if how == "joined" else 1)
    if how == "joined":
        assert {one.anchor_id for one in shop.rows(Interaction)} == {None, gone[0]}

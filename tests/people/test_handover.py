"""Customers change hands, on the job and after somebody has left: asked once, with a result each."""

from typing import Any

import pytest
from sqlalchemy import select

from people import access, by_hand, directory, handover, persons
from people.access import Sight, Viewer
from people.directory import Filter
from people.handover import CannotHandOver
from scheduler import handovers
from scheduler.handovers import Wish
from storage.tables import Channel, Handover, HandoverRow, Interaction, OutboxRow, Person, Relation, Task, Unassigned
from tests.faults.crashes import Died, Reaper
from tests.shop import Shop, build_shop, close_shop

ALL = Sight(everybody=True)
TRANSFER, RESIGNED = "externalcontact/transfer_customer", "externalcontact/resigned/transfer_customer"


def customers(shop: Shop, *names: str, userid: str = "lisi") -> list[str]:
    channel = shop.channel(name=f"{userid}的码", members=(userid,))
    arrivals = [shop.world.scan(channel.code, name=name, userid=userid) for name in names]
    shop.catch_up()
    return [one.external_userid for one in arrivals]


def begin(shop: Shop, giver: str = "lisi", taker: str = "wangwu", **wish: Any) -> int:
    with shop.work() as work:
        plan_id = handovers.begin(work, ALL, Wish(giver, taker, **wish), by="zhangsan").id
    shop.catch_up()
    return plan_id


def results(shop: Shop, plan_id: int) -> list[tuple[str, int | None, str | None]]:
    with shop.db() as db:
        return [(row.state, row.errcode, row.detail) for row, _ in handover.rows(db, plan_id)]


def by_customer(shop: Shop, plan_id: int) -> dict[str, tuple[str, int | None, str | None]]:
    with shop.db() as db:
        rows = handover.rows(db, plan_id)
        return {row.external_userid: (row.state, row.errcode, row.detail) for row, _ in rows}


def plan_of(shop: Shop, plan_id: int) -> Handover:
    with shop.db() as db:
        return db.get_one(Handover, plan_id)


def a_day(shop: Shop) -> None:
    """WeCom takes 24 hours; our job asks now and then."""
    shop.advance(hours=24, minutes=1)
    shop.catch_up()
    shop.run("settle handovers")


def seen_by(shop: Shop, userid: str, role: str = "rep") -> list[str]:
    """The names of the customers this user sees now."""
    with shop.db() as db:
        sight = access.sight_of(db, Viewer(userid, role))
        return sorted(one.name for one in directory.every(db, sight, Filter()))


def settle(shop: Shop) -> int:
    parts = shop.parts
    hands = parts.hands(lambda: None, lambda: False)
    asker = handovers.Transferrer(parts.engine, parts.gateway, parts.clock, lambda db: hands.work(db, "test"))
    return asker.settle()


def task(shop: Shop, person_id: int | None, userid: str, state: str = "open") -> int:
    with shop.work() as work:
        row = Task(person_id=person_id, userid=userid, text="回访", state=state, once=f"{person_id}{userid}{state}",
                   created_by=userid, created_at=work.now)  # fmt: skip
        work.db.add(row)
        work.db.flush()
        return row.id


def test_chosen_customers_go_over_with_owner_tasks_tags_and_history(shop: Shop) -> None:
    rain, zhe, lin = customers(shop, "小雨", "阿哲", "林夕")
    with shop.work() as work:
        person = persons.find_person(work.db, "external_userid", rain)
        assert person is not None
        by_hand.add_note(work, person, "对花生过敏", by="lisi", once="1")
        person_id = person.id
    mine, done, other = task(shop, person_id, "lisi"), task(shop, person_id, "lisi", "done"), task(shop, None, "lisi")
    plan = begin(shop, chosen=[rain, zhe], words="以后由王五为您服务")
    assert results(shop, plan) == [("asked", None, None)] * 2
    (call,) = shop.world.calls_to(TRANSFER)
    assert call.body["transfer_success_msg"] == "以后由王五为您服务"
    assert seen_by(shop, "lisi") == ["小雨", "林夕", "阿哲"]
    a_day(shop)
    assert results(shop, plan) == [("done", None, None)] * 2
    assert (plan_of(shop, plan).state, plan_of(shop, plan).moved) == ("done", {"tasks": 1})
    assert (seen_by(shop, "lisi"), seen_by(shop, "wangwu")) == (["林夕"], ["小雨", "阿哲"])
    assert {one.id: one.userid for one in shop.rows(Task)} == {mine: "wangwu", done: "lisi", other: "lisi"}
    with shop.db() as db:
        person = db.get_one(Person, person_id)
        sight = access.sight_of(db, Viewer("wangwu", "rep"))
        story, _ = directory.story(db, sight, person, limit=50)
        assert person.owner == "wangwu"
        assert [one.tag.name for one in directory.tags_on(db, [person_id])[person_id]] == ["抖音"]
    kinds = [one.kind for one in story]
    assert {"note", "added", "welcomed", "handed_over", "transferred"} <= set(kinds)
    assert kinds.count("handed_over") == 1
    assert shop.world.tag_names(shop.world.relation("wangwu", rain)) == ["抖音"]
    assert lin not in str(call.body)


def test_the_old_rep_loses_sight_at_the_next_request_also_as_owner_by_hand(shop: Shop) -> None:
    (rain,) = customers(shop, "小雨")
    with shop.work() as work:
        person = work.db.scalars(select(Person)).one()
        persons.give_owner(work, person, "lisi")
    begin(shop)
    a_day(shop)
    assert (seen_by(shop, "lisi"), seen_by(shop, "wangwu")) == ([], ["小雨"])
    with shop.db() as db:
        person = db.scalars(select(Person)).one()
        assert (person.owner, person.owner_by_hand) == ("wangwu", True)
        lisi = access.sight_of(db, Viewer("lisi", "rep"))
        assert access.person_in_sight(db, lisi, person.id) is None
    assert rain


def test_a_transfer_made_in_wecoms_own_console_takes_tasks_and_owner_along(shop: Shop) -> None:
    (rain,) = customers(shop, "小雨")
    with shop.work() as work:
        person = work.db.scalars(select(Person)).one()
        persons.give_owner(work, person, "lisi")
    mine = task(shop, person.id, "lisi")
    shop.advance(minutes=5)
    shop.world.transfer("lisi", "wangwu", rain)
    shop.catch_up()
    assert (seen_by(shop, "lisi"), seen_by(shop, "wangwu")) == ([], ["小雨"])
    assert {one.id: one.userid for one in shop.rows(Task)} == {mine: "wangwu"}
    assert shop.rows(Person)[0].owner == "wangwu"


def test_each_customer_has_wecoms_own_reason(shop: Shop) -> None:
    rain, zhe, lin = customers(shop, "小雨", "阿哲", "林夕")
    shop.world.begin_transfer(shop.world.member("lisi"), shop.world.member("zhaoliu"), zhe)
    shop.world.member_deletes("lisi", lin)
    plan = begin(shop)
    assert by_customer(shop, plan) == {
        rain: ("asked", None, None),
        zhe: ("asked", 40129, "客户正在接替中"),
        lin: ("refused", 40131, "客户不是原成员的客户"),
    }
    shop.world.refuse_transfer(rain)
    shop.catch_up()
    assert by_customer(shop, plan)[rain] == ("refused", None, "客户拒绝了接替")
    story = [one for one in shop.rows(Interaction) if one.kind == "transfer_failed"]
    assert [one.details["reason"] for one in story] == ["customer_refused"]
    shop.advance(days=4)
    shop.catch_up()
    shop.run("settle handovers")
    assert by_customer(shop, plan)[zhe] == ("refused", None, "企业微信没有这次接替的记录")
    assert plan_of(shop, plan).state == "done"
    assert len(shop.world.calls_to(TRANSFER)) == 1


def test_events_that_were_lost_are_made_up_for_by_asking(shop: Shop) -> None:
    rain, zhe = customers(shop, "小雨", "阿哲")
    plan = begin(shop)
    shop.world.listeners.clear()
    shop.world.refuse_transfer(zhe, "customer_limit_exceed")
    a_day(shop)
    assert by_customer(shop, plan) == {
        rain: ("done", None, None),
        zhe: ("refused", None, "接替成员的客户已达上限"),
    }
    assert (seen_by(shop, "lisi"), seen_by(shop, "wangwu")) == (["阿哲"], ["小雨"])
    assert shop.world.tag_names(shop.world.relation("wangwu", rain)) == ["抖音"]
    states = {one.userid: one.state for one in shop.rows(Relation, Relation.external_userid == rain)}
    assert states == {"lisi": "transferred", "wangwu": "active"}


def test_the_customers_of_a_leaver_go_with_codes_and_tasks(shop: Shop) -> None:
    rain, zhe = customers(shop, "小雨", "阿哲")
    code = shop.channel(name="门店", members=("lisi", "zhaoliu"), spare=("wangwu",))
    whole_day = {"days": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "23:59", "members": ["lisi", "wangwu"]}
    timed = shop.channel(name="按时段", members=("zhaoliu",), timetable=(whole_day,))
    about, free = task(shop, 1, "lisi"), task(shop, None, "lisi")
    shop.world.dismiss_member("lisi")
    shop.catch_up()
    shop.advance(hours=1)
    shop.tick()
    with shop.db() as db:
        (leaver,) = handover.leavers(db, ALL)
        assert (leaver.userid, leaver.customers) == ("lisi", 2)
        assert handover.leavers(db, Sight(everybody=False, userids=frozenset({"wangwu"}))) == []
        assert [(one.external_userid, one.name) for one in handover.candidates(db, "lisi")] == sorted(
            [(rain, "小雨"), (zhe, "阿哲")]
        )
    plan = begin(shop)
    assert results(shop, plan) == [("asked", None, None)] * 2
    assert len(shop.world.calls_to(RESIGNED)) == 1
    seats = {one.name: [(seat.userid, seat.spare) for seat in one.seats] for one in shop.rows(Channel)}
    assert seats["门店"] == [("wangwu", False), ("zhaoliu", False), ("wangwu", True)]
    assert seats["lisi的码"] == [("wangwu", False)]
    assert [row["members"] for row in shop.rows(Channel, Channel.id == timed.id)[0].timetable] == [["wangwu"]]
    assert sorted(shop.world.way(code.code).users) == ["wangwu", "zhaoliu"]
    assert shop.world.way(timed.code).users == ("wangwu",) or shop.world.way(timed.code).users == ["wangwu"]
    a_day(shop)
    assert results(shop, plan) == [("done", None, None)] * 2
    assert plan_of(shop, plan).moved == {"codes": 3, "tasks": 2}
    assert {one.id: one.userid for one in shop.rows(Task)} == {about: "wangwu", free: "wangwu"}
    assert (seen_by(shop, "lisi"), seen_by(shop, "wangwu")) == ([], ["小雨", "阿哲"])
    shop.advance(hours=1)
    shop.tick()
    assert shop.rows(Unassigned) == []


def test_a_long_list_of_unassigned_customers_is_read_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wecom.transfers.PAGE", 2)
    for number in range(5):
        shop.world.remember("lisi", f"客户{number}")
    stale = Unassigned(giver="zhaoliu", external_userid="wmgone", left_at=shop.now(), read_at=shop.now())
    with shop.db() as db:
        db.add(stale)
    shop.world.dismiss_member("lisi")
    shop.catch_up()
    shop.advance(hours=1)
    shop.tick()
    assert dict(shop.jobs_run)["read unassigned"] == "unassigned customers: 5"
    assert {one.giver for one in shop.rows(Unassigned)} == {"lisi"}
    assert len(shop.world.calls_to("externalcontact/get_unassigned_list")) >= 3


def test_a_line_that_breaks_is_asked_about_before_anything_is_repeated(shop: Shop) -> None:
    customers(shop, "小雨")
    break_line(shop, carried_out=True)
    plan = begin(shop)
    assert results(shop, plan) == [("unclear", None, handover.CHECKING)]
    shop.advance(minutes=10)
    assert settle(shop) == 1
    assert results(shop, plan) == [("asked", None, None)]
    shop.catch_up()
    assert len(shop.world.transfers) == 1
    a_day(shop)
    assert results(shop, plan) == [("done", None, None)]


def test_what_wecom_has_never_heard_of_is_asked_for_once_more(shop: Shop) -> None:
    customers(shop, "小雨")
    break_line(shop, carried_out=False)
    plan = begin(shop)
    assert results(shop, plan) == [("unclear", None, handover.CHECKING)]
    assert settle(shop) == 0
    shop.advance(minutes=10)
    assert settle(shop) == 1
    assert results(shop, plan) == [("waiting", None, None)]
    assert settle(shop) == 0
    shop.catch_up()
    assert results(shop, plan) == [("asked", None, None)]
    assert len(shop.world.transfers) == 1


def break_line(shop: Shop, *, carried_out: bool) -> None:
    """The next transfer ends in a broken line, after WeCom has heard it or before."""
    from wecom.errors import Unclear

    deliver = shop.parts.gateway.deliver

    def broken(command: Any, content: Any = None) -> Any:
        if command.name != "TransferCustomers":
            return deliver(command, content)
        shop.parts.gateway.deliver = deliver  # type: ignore[method-assign]
        if carried_out:
            deliver(command, content)
        raise Unclear("the line broke")

    shop.parts.gateway.deliver = broken  # type: ignore[method-assign]


def test_a_plan_that_is_called_off_asks_for_nobody_else(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "A_CALL", 1)
    customers(shop, "小雨", "阿哲", "林夕")
    with shop.work() as work:
        plan = handovers.begin(work, ALL, Wish("lisi", "wangwu"), by="zhangsan").id
    sender = shop.parts.sender()
    (claimed,) = sender.claim("calls", 1)
    sender.deliver_one(claimed)
    with shop.work() as work:
        assert handover.cancel(work, plan) == 2
        assert handover.cancel(work, plan) == 0
    shop.catch_up()
    assert [state for state, _, _ in results(shop, plan)] == ["asked", "refused", "refused"]
    assert results(shop, plan)[1][2] == "移交已取消，没有发出"
    a_day(shop)
    assert [state for state, _, _ in results(shop, plan)] == ["done", "refused", "refused"]
    assert plan_of(shop, plan).state == "cancelled"


def test_many_customers_go_in_calls_of_a_hundred(shop: Shop) -> None:
    for number in range(230):
        shop.world.remember("lisi", f"客户{number}")
    from scheduler.first_fill import take_over_page

    cursor = ""
    while True:
        page, cursor = shop.parts.gateway.relations(["lisi"], cursor)
        with shop.work() as work:
            take_over_page(work, page)
        if not cursor:
            break
    plan = begin(shop)
    assert [len(call.body["external_userid"]) for call in shop.world.calls_to(TRANSFER)] == [100, 100, 30]
    with shop.db() as db:
        assert handover.counts(db, plan) == {"asked": 230}


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (Wish("lisi", "lisi"), "同一人"),
        (Wish("lisi", "nobody"), "没有这位成员"),
        (Wish("nobody", "lisi"), "没有这位成员"),
        (Wish("lisi", "wangwu", words="长" * 201), "最多 200 个字"),
        (Wish("lisi", "wangwu", chosen=["wmnobody"]), "不是这位成员的客户"),
        (Wish("wangwu", "lisi"), "没有可以移交的客户"),
    ],
)
def test_a_plan_that_cannot_be_says_why_and_keeps_nothing(shop: Shop, wish: Wish, why: str) -> None:
    customers(shop, "小雨")
    with pytest.raises(CannotHandOver, match=why), shop.work() as work:
        handovers.begin(work, ALL, wish, by="zhangsan")
    assert (shop.rows(Handover), shop.rows(HandoverRow)) == ([], [])
    assert shop.world.calls_to(TRANSFER) == []


def test_reps_outside_ones_sight_look_as_if_there_were_none(shop: Shop) -> None:
    customers(shop, "小雨")
    for sight in ({"lisi"}, {"wangwu"}):
        with pytest.raises(CannotHandOver, match="没有这位成员"), shop.work() as work:
            handovers.begin(work, Sight(everybody=False, userids=frozenset(sight)), Wish("lisi", "wangwu"), by="x")


def test_nobody_is_asked_for_twice_at_a_time(shop: Shop) -> None:
    customers(shop, "小雨")
    begin(shop)
    with pytest.raises(CannotHandOver, match="都已在移交中"), shop.work() as work:
        handovers.begin(work, ALL, Wish("lisi", "wangwu"), by="zhangsan")


def test_in_watch_mode_nobody_is_handed_over(database_url: str) -> None:
    shop = build_shop(database_url, watch=["all"])
    shop.open_for_business()
    shop.world.remember("lisi", "小雨")
    with pytest.raises(CannotHandOver, match="观察模式"), shop.work() as work:
        handovers.begin(work, ALL, Wish("lisi", "wangwu"), by="zhangsan")
    close_shop(shop)


def test_asking_how_it_went_killed_at_any_commit_ends_the_same(shop: Shop) -> None:
    externals = customers(shop, "小雨", "阿哲", "林夕")
    for number in range(3):
        task(shop, number + 1, "lisi")
    plan = begin(shop)
    shop.world.listeners.clear()
    shop.advance(hours=25)
    for number in range(1, 4):
        for before in (True, False):
            reaper = Reaper()
            reaper.at, reaper.before = number, before
            with reaper.watching(shop.parts.engine):
                try:
                    settle(shop)
                except Died:
                    pass
    settle(shop)
    assert results(shop, plan) == [("done", None, None)] * 3
    assert plan_of(shop, plan).moved == {"tasks": 3}
    told = [one for one in shop.rows(Interaction) if one.kind == "handed_over"]
    assert len(told) == len(externals)
    assert {one.userid for one in shop.rows(Task)} == {"wangwu"}
    assert shop.rows(OutboxRow, OutboxRow.name == "TransferCustomers")[0].state == "done"

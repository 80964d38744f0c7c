"""Chats for people to read: whose they may see, who waits, how quickly answers came, how satisfied they were."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event

from people import access, chat_lists, chat_search, consent
from people.access import Viewer
from storage.tables import Interaction, Person
from tagging import wishes
from tests.handlers.kf_desk import KfDesk, open_desk
from tests.shop import Shop


@pytest.fixture
def desk(shop: Shop) -> KfDesk:
    return open_desk(shop)


@contextmanager
def listening(of: type, what: str, heard: Callable[..., None]) -> Iterator[None]:
    """``heard`` is called whenever it happens in here."""
    event.listen(of, what, heard)
    try:
        yield
    finally:
        event.remove(of, what, heard)


def names(desk: KfDesk, viewer: Viewer, which: chat_search.Turn = "all") -> list[str]:
    now = desk.shop.now()
    with desk.shop.db() as db:
        sight = access.sight_of(db, viewer)
        rows, _ = chat_search.page(db, sight, which, viewer=viewer.userid, now=now)
        return [one.person.name for one in rows]


ALL = access.Sight(everybody=True)
BOSS, LISI, WANGWU = Viewer("boss", "boss"), Viewer("lisi", "rep"), Viewer("wangwu", "rep")


def test_the_list_shows_who_waits_who_is_mine_and_nobody_elses(desk: KfDesk) -> None:
    desk.answer()
    first, second, third = (KfDesk(desk.shop, desk.account) for _ in range(3))
    for one, name, text in ((first, "小雨", "转人工"), (second, "阿哲", "几点开门"), (third, "林夕", "你们有活动吗")):
        desk.shop.advance(seconds=10)
        one.enter(name)
        one.say(text)
    desk.shop.world.kf_take(desk.account, "lisi", first.customer)
    desk.shop.catch_up()
    assert names(desk, BOSS) == ["林夕", "小雨", "阿哲"]
    assert names(desk, BOSS, "waiting") == ["林夕"]
    assert names(desk, LISI, "mine") == names(desk, LISI) == ["小雨"]
    assert names(desk, WANGWU) == []
    now = desk.shop.now()
    with desk.shop.db() as db:
        sight = access.sight_of(db, BOSS)
        counted = chat_search.counts(db, sight, viewer="boss", now=now)
        assert {one: counted[one] for one in ("all", "waiting", "mine", "pool")} == {
            "all": 3,
            "waiting": 1,
            "mine": 0,
            "pool": 0,
        }
        assert chat_lists.chat_in_sight(db, access.sight_of(db, WANGWU), 1) is None


def test_pages_of_chats_and_of_lines_meet_without_gap(desk: KfDesk) -> None:
    for name in ("小雨", "阿哲", "林夕"):
        desk.shop.advance(seconds=1)
        desk.enter(name)
    for number in range(5):
        desk.say(f"{number}")
    now = desk.shop.now()
    with desk.shop.db() as db:
        sight, seen, after = access.sight_of(db, BOSS), [], None
        while True:
            rows, after = chat_search.page(db, sight, "all", viewer="", now=now, limit=1, after=after)
            seen += [one.person.name for one in rows]
            if after is None:
                break
        assert seen == ["林夕", "阿哲", "小雨"]
        (chat, *_), _ = chat_search.page(db, sight, "all", viewer="", now=now)
        page, then = chat_lists.lines(db, chat.conversation, limit=4)
        rest, end = chat_lists.lines(db, chat.conversation, limit=4, after=then)
        assert [one.details.get("text") for one in page + rest] == ["4", "3", "2", "1", "0", None]
        assert end is None


def test_unread_is_what_nobody_has_looked_at(desk: KfDesk) -> None:
    desk.enter()
    desk.say("一")
    desk.say("二")
    with desk.shop.db() as db:
        (chat,), _ = chat_search.page(db, access.sight_of(db, BOSS), "all", viewer="", now=desk.shop.now())
        assert (chat.unread, chat.last is not None and chat.last.details["text"]) == (2, "二")
        assert chat_lists.mark_read(chat.conversation, chat.conversation.last_at)
    desk.shop.advance(seconds=2)
    desk.say("三")
    with desk.shop.db() as db:
        (chat,), _ = chat_search.page(db, access.sight_of(db, BOSS), "all", viewer="", now=desk.shop.now())
        assert chat.unread == 1


def test_response_times_are_measured_by_us_for_each_who_answered(desk: KfDesk) -> None:
    world, shop = desk.shop.world, desk.shop
    desk.answer()
    start = shop.now()
    desk.enter()
    desk.say("几点开门")
    shop.advance(seconds=60)
    desk.say("转人工")
    world.kf_take(desk.account, "lisi", desk.customer)
    for wait in (10, 20, 90):
        shop.advance(seconds=1)
        world.kf_say(desk.account, desk.customer, "在吗")
        world.kf_say(desk.account, desk.customer, "喂")
        shop.advance(seconds=wait)
        world.kf_servicer_says(desk.account, "lisi", desk.customer, "在的")
        shop.catch_up()
    shop.advance(seconds=1)
    desk.say("还有吗")
    with shop.db() as db:
        found, unanswered = chat_lists.response_times(db, ALL, start, shop.now() + timedelta(seconds=1))
    times = {one.by: one for one in found}
    assert set(times) == {"bot", "lisi"}
    assert (times["lisi"].answers, times["lisi"].median, times["lisi"].first) == (3, 20.0, None)
    assert times["lisi"].within_30s == pytest.approx(2 / 3)
    assert (times["bot"].first, times["bot"].measured_by) == (0.0, "us")
    assert unanswered == 1


def test_a_report_reaches_as_far_as_sight_and_loads_no_line(desk: KfDesk) -> None:
    world, shop = desk.shop.world, desk.shop
    desk.answer()
    desk.set(asks_satisfaction=True)
    start = shop.now()
    for name, rep, wait, stars in (("小雨", "lisi", 10, 5), ("阿哲", "wangwu", 20, 2), ("林夕", "lisi", 40, 1)):
        desk.enter(name)
        desk.say("几点开门")
        desk.say("转人工")
        world.kf_take(desk.account, rep, desk.customer)
        shop.catch_up()
        desk.say("在吗")
        shop.advance(seconds=wait)
        world.kf_servicer_says(desk.account, rep, desk.customer, "在的")
        world.kf_end(desk.account, desk.customer)
        shop.catch_up()
        desk.say(str(stars))
    loaded: list[Interaction] = []
    with shop.db() as db, listening(Interaction, "load", lambda line, _: loaded.append(line)):
        span = start, shop.now() + timedelta(seconds=1)
        sights = {one.userid: access.sight_of(db, one) for one in (BOSS, LISI, WANGWU, Viewer("sunqi", "rep"))}
        times = {who: chat_lists.response_times(db, sight, *span)[0] for who, sight in sights.items()}
        rated = {who: chat_lists.satisfaction(db, sight, *span)[0] for who, sight in sights.items()}
    assert loaded == []
    counted = {who: {one.by: one.answers for one in some} for who, some in times.items()}
    assert counted["boss"] == {"bot": 9, "lisi": 2, "wangwu": 1}
    assert counted["lisi"] == {"bot": 6, "lisi": 2}
    assert counted["wangwu"] == {"bot": 3, "wangwu": 1}
    assert counted["sunqi"] == {}
    for who in ("lisi", "wangwu"):
        (mine,) = [one for one in times[who] if one.by == who]
        assert mine in times["boss"], "a rep's figures are the same whoever looks"
    stars = {who: {one.servicer: one.mean for one in some} for who, some in rated.items()}
    assert stars == {
        "boss": {"lisi": 3.0, "wangwu": 2.0},
        "lisi": {"lisi": 3.0},
        "wangwu": {"wangwu": 2.0},
        "sunqi": {},
    }


def test_satisfaction_is_reported_by_servicer(desk: KfDesk) -> None:
    world, shop = desk.shop.world, desk.shop
    desk.set(asks_satisfaction=True)
    start = shop.now()
    for name, stars in (("小雨", 5), ("阿哲", 2), ("林夕", None)):
        desk.enter(name)
        desk.say("人工")
        world.kf_take(desk.account, "lisi", desk.customer)
        world.kf_servicer_says(desk.account, "lisi", desk.customer, "您好")
        world.kf_end(desk.account, desk.customer)
        shop.catch_up()
        if stars:
            desk.say(str(stars))
    with shop.db() as db:
        (row,), asked = chat_lists.satisfaction(db, ALL, start, shop.now() + timedelta(seconds=1))
    assert (row.servicer, row.answers, row.mean, asked) == ("lisi", 2, 3.5, 3)
    assert row.by_stars == {1: 0, 2: 1, 3: 0, 4: 0, 5: 1}


def test_opting_out_by_anybody_is_one_line_and_asked_by_every_sender(desk: KfDesk) -> None:
    desk.enter()
    number = desk.person().id
    with desk.shop.work() as work:
        person = work.db.get_one(Person, number)
        assert consent.opt_out(work, person, "lisi")
        assert not consent.opt_out(work, person, "kf")
        assert consent.is_out(person)
        assert not consent.may_start(work.db, number)
        assert work.db.query(Person).where(consent.wanting()).count() == 0
    with desk.shop.work() as work:
        assert consent.opt_in(work, work.db.get_one(Person, number), "page")
    assert [one.details["by"] for one in desk.story("opted_out") + desk.story("opted_in")] == ["lisi", "page"]


@pytest.mark.parametrize(
    "said",
    [
        "人工",
        "转人工！",
        "我要转人工",
        "请帮我转人工客服，谢谢",
        "有人工吗？",
        "找真人",
        "客服",
        "轉人工",
        "你好，请转人工服务",
    ],
)
def test_who_asks_for_a_human_is_understood(said: str) -> None:
    assert wishes.wants_human(said)


@pytest.mark.parametrize(
    "said", ["人工智能", "不要人工", "人工费多少", "客服态度真好", "这是人工的吗还是机器做的", "", "人" * 20_000]
)
def test_who_does_not_ask_for_a_human_is_left_to_the_answers(said: str) -> None:
    assert not wishes.wants_human(said)


@pytest.mark.parametrize(
    "said",
    ["退订", "TD", "ＴＤ", "不要再发了", "别再给我发消息了", "请不要再发广告", "怎么退订", "取消订阅", "不要打扰我"],
)
def test_who_wants_no_more_messages_is_understood(said: str) -> None:
    assert wishes.wants_to_stop(said)


@pytest.mark.parametrize(
    "said", ["退订单", "不退订", "别发了货还没到", "不要再发货了", "T", "退订是什么意思我没说要退", "想" * 24]
)
def test_who_wants_something_else_is_not_taken_off(said: str) -> None:
    assert not wishes.wants_to_stop(said)

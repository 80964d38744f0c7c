"""The inbox narrowed and searched, on both databases; answers counted; WeCom's figures of reps added up."""

from datetime import date, timedelta

import pytest
from sqlalchemy import delete

from people import access, chat_lists, chat_search, rep_figures
from people.access import Viewer
from storage.tables import Person, RepDay
from tagging import answer_uses
from tests.handlers.kf_desk import KfDesk, open_desk
from tests.shop import Shop

BOSS, LISI, WANGWU = Viewer("boss", "boss"), Viewer("lisi", "rep"), Viewer("wangwu", "rep")


@pytest.fixture
def desk(shop: Shop) -> KfDesk:
    """Three chats: one the bot has, one in the pool, one that is over."""
    desk = open_desk(shop)
    for name, text in (("小雨", "周末有手冲课吗"), ("阿哲", "转人工"), ("林夕", "转人工，谢谢")):
        shop.advance(seconds=10)
        desk.enter(name)
        desk.say(text)
    shop.world.kf_take(desk.account, "lisi", desk.customer)
    shop.world.kf_end(desk.account, desk.customer)
    shop.catch_up()
    return desk


def names(desk: KfDesk, viewer: Viewer, turn: chat_search.Turn, open_kfid: str = "") -> list[str]:
    with desk.shop.db() as db:
        sight, now = access.sight_of(db, viewer), desk.shop.now()
        rows, _ = chat_search.page(db, sight, turn, viewer=viewer.userid, now=now, open_kfid=open_kfid)
        return [one.person.name for one in rows]


def test_every_filter_holds_what_it_says_and_counts_it(desk: KfDesk) -> None:
    found: dict[chat_search.Turn, list[str]] = {one: names(desk, BOSS, one) for one in chat_search.TURNS}
    assert found == {
        "all": ["林夕", "阿哲", "小雨"],
        "waiting": ["小雨"],
        "mine": [],
        "pool": ["阿哲"],
        "bot": ["小雨"],
        "ended": ["林夕"],
    }
    with desk.shop.db() as db:
        sight, now = access.sight_of(db, BOSS), desk.shop.now()
        counted = chat_search.counts(db, sight, viewer="boss", now=now)
        assert counted == {turn: len(some) for turn, some in found.items()}
        nothing = chat_search.counts(db, sight, viewer="boss", now=now, open_kfid="wk-other")
        assert set(nothing.values()) == {0}
    assert names(desk, BOSS, "all", "wk-other") == names(desk, WANGWU, "all") == []


def test_ones_own_customers_chats_are_ones_own_and_counted_within_sight(desk: KfDesk) -> None:
    with desk.shop.db() as db:
        person = db.get_one(Person, desk.chat().person_id)
        person.owner, person.owner_by_hand = "wangwu", True
    with desk.shop.db() as db:
        for viewer, everything in ((WANGWU, 1), (BOSS, 3)):
            sight, now = access.sight_of(db, viewer), desk.shop.now()
            counted = chat_search.counts(db, sight, viewer="wangwu", now=now)
            assert (counted["all"], counted["mine"], counted["ended"]) == (everything, 1, 1)
    assert names(desk, WANGWU, "mine") == ["林夕"]


def test_pages_meet_without_gap(desk: KfDesk) -> None:
    seen, after = [], None
    with desk.shop.db() as db:
        sight, now = access.sight_of(db, BOSS), desk.shop.now()
        while True:
            rows, after = chat_search.page(db, sight, "all", viewer="", now=now, limit=1, after=after)
            seen += [one.person.name for one in rows]
            if after is None:
                break
    assert seen == ["林夕", "阿哲", "小雨"]


@pytest.mark.parametrize(
    ("words", "people"), [("手冲课", ["小雨"]), ("转人工", ["林夕", "阿哲"]), ("课", ["小雨"]), ("茶", [])]
)
def test_what_was_said_is_found_within_sight_only(desk: KfDesk, words: str, people: list[str]) -> None:
    with desk.shop.db() as db:
        heard, following = chat_search.said(db, access.sight_of(db, BOSS), words)
        assert [one.person.name for one in heard if one.line.kind == "kf_in"] == people
        assert following is None
        assert chat_search.said(db, access.sight_of(db, WANGWU), words) == ([], None)
        first, then = chat_search.said(db, access.sight_of(db, BOSS), "转人工", limit=1)
        second, end = chat_search.said(db, access.sight_of(db, BOSS), "转人工", limit=1, after=then)
        assert (len({first[0].line.id, second[0].line.id}), end) == (2, None)


def test_a_line_searched_for_stands_among_its_neighbours(desk: KfDesk) -> None:
    first = desk.say("第一句")
    for n in range(20):
        desk.shop.advance(seconds=1)
        desk.say(f"闲话 {n}")
    (line,) = [one for one in desk.story("kf_in") if one.details["msgid"] == first]
    newest, chat = desk.story("kf_in")[-1], desk.chat()
    with desk.shop.db() as db:
        place = chat_search.place_of(db, chat, line.id)
        shown, _ = chat_lists.lines(db, chat, after=place)
        said = [one.details.get("text") for one in shown if one.kind == "kf_in"]
        assert said[said.index("第一句") - 1] == "闲话 0"
        assert "闲话 12" not in said
        assert chat_search.place_of(db, chat, line.id + 10**6) is None
        assert chat_search.place_of(db, chat, newest.id) is None


def test_a_file_belongs_to_its_chat_alone(desk: KfDesk) -> None:
    desk.shop.world.kf_send_file(desk.account, desk.customer, "image")
    desk.shop.catch_up()
    other = KfDesk(desk.shop, desk.account)
    other.enter("周舟")
    other.say("在吗")
    (line,) = [one for one in desk.story("kf_in") if one.details["type"] == "image"]
    own, others = desk.chat(), other.chat()
    with desk.shop.db() as db:
        (kept,) = chat_search.files_of(db, [line.id]).values()
        assert chat_search.file_in(db, own, kept.id) is kept
        assert chat_search.file_in(db, others, kept.id) is None


def test_an_answer_counts_when_it_was_given(desk: KfDesk) -> None:
    hours, invoice = desk.answer(), desk.answer("发票", definition={"any_keywords": ["发票"]}, hand_over=True)
    for text in ("几点开门", "营业时间", "我要发票"):
        desk.say(text)
    with desk.shop.db() as db:
        now = desk.shop.now()
        assert answer_uses.given(db, now - timedelta(days=1)) == {hours: 2, invoice: 1}
        assert answer_uses.given(db, now + timedelta(days=1)) == {}


def test_wecoms_figures_are_added_up_for_reps_in_sight(shop: Shop) -> None:
    with shop.db() as db:
        db.execute(delete(RepDay))
        for userid, day, chats, rate in (("lisi", 20, 10, 100.0), ("lisi", 21, 30, 60.0), ("wangwu", 21, 5, None)):
            own = {"chats": chats, "messages": 2 * chats, "reply_percentage": rate, "read_at": shop.now()}
            db.add(RepDay(userid=userid, day=date(2026, 11, day), **own))
    with shop.db() as db:
        first, last = date(2026, 11, 20), date(2026, 11, 21)
        lisi, wangwu = rep_figures.rep_figures(db, access.sight_of(db, BOSS), first, last)
        assert (lisi.userid, lisi.days, lisi.chats, lisi.messages, lisi.reply_percentage) == ("lisi", 2, 40, 80, 70.0)
        assert (wangwu.userid, wangwu.reply_percentage, wangwu.first_reply_minutes) == ("wangwu", None, None)
        assert [one.userid for one in rep_figures.rep_figures(db, access.sight_of(db, LISI), first, last)] == ["lisi"]
        assert rep_figures.read_until(db) == last
        assert rep_figures.rep_figures(db, access.sight_of(db, BOSS), date(2026, 1, 1), date(2026, 1, 2)) == []

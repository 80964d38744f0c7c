"""The inbox of 微信客服: who sees which chat, what is answered arrives, what cannot be is said in words."""

import re

import pytest

from people import chat_search
from sandbox.kf_actors import FILES, SAMPLES
from storage.tables import KeptFile, PersonTag, Tag
from tagging import tags
from tests.console.acting import Counter, Visitor
from tests.handlers.kf_desk import KfDesk, open_desk, refusals

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}} %(n)s javascript:alert(1)",
    "</textarea></p><svg onload=alert(1)>",
)


@pytest.fixture
def desk(quiet: Counter) -> KfDesk:
    return open_desk(quiet.shop)


@pytest.fixture
def asked(desk: KfDesk) -> KfDesk:
    """A customer nobody serves yet has asked something that no answer fits."""
    desk.enter("小雨")
    desk.say("你们有拼配豆吗")
    return desk


def here(desk: KfDesk) -> str:
    return f"/chats/{desk.chat().id}"


def once(visitor: Visitor, path: str) -> dict[str, str]:
    """What the forms of the page bring along without anybody knowing."""
    page = visitor.get(path).text
    return {name: re.findall(rf'name="{name}" value="([^"]*)"', page)[0] for name in ("once", "seen")}


def test_the_list_shows_who_waits_what_they_said_and_what_may_be_sent(quiet: Counter, asked: KfDesk) -> None:
    page = quiet.visitor("wangwu").get("/chats").text
    for words in ("小雨", "你们有拼配豆吗", "等我们回复", "机器人接待", "还能发 5 条", "48 小时", "1 条没看过"):
        assert words in page, words
    assert "等我们回复 <small" in page
    for turn, there in {"waiting": True, "bot": True, "pool": False, "ended": False, "nonsense": True}.items():
        assert ("小雨" in quiet.visitor("wangwu").get(f"/chats?turn={turn}").text) is there, turn
    assert "小雨" not in quiet.visitor("wangwu").get("/chats?account=wk-other").text


def test_an_open_list_shows_itself_anew_without_counting_every_chat(
    quiet: Counter, asked: KfDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    wangwu = quiet.visitor("wangwu")
    whole = wangwu.get("/chats").text
    asked.say("还在吗")
    monkeypatch.delattr(chat_search, "counts")
    anew = wangwu.get("/chats", headers={"X-Shown-Anew": "1"}).text
    assert ("还在吗" in anew, "全部 <small" in whole, "全部 <small" in anew) == (True, True, False)
    for page in (whole, anew, wangwu.get("/chats?account=wk-other", headers={"X-Shown-Anew": "1"}).text):
        assert 'id="chats" data-live data-fresh' in page


def test_a_reply_reaches_the_customer_once_however_often_it_is_sent(quiet: Counter, asked: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    form = {**once(wangwu, here(asked)), "text": "有的，云南和埃塞两种 <b>"}
    for _again in range(2):
        assert wangwu.post(f"{here(asked)}/reply", form).status_code == 303
    quiet.shop.catch_up()
    assert asked.replies() == ["有的，云南和埃塞两种 <b>"]
    page = wangwu.get(here(asked)).text
    assert "有的，云南和埃塞两种 &lt;b&gt;" in page
    assert "还能发 4 条" in page
    assert "条没看过" not in wangwu.get("/chats").text
    assert [line.subject for line in quiet.audit("chat.reply")] == [f"k_{asked.chat().id}"]
    assert "拼配" not in str([line.details for line in quiet.audit("chat.reply")])


def test_when_the_window_is_over_the_page_says_so_and_nothing_is_lost(quiet: Counter, asked: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    form = {**once(wangwu, here(asked)), "text": "迟到的回复"}
    quiet.shop.advance(hours=49)
    wangwu = quiet.visitor("wangwu")
    answer = wangwu.post(f"{here(asked)}/reply", form)
    assert answer.status_code == 422
    for words in ("客户最后一次发言已超过 48 小时", "迟到的回复</textarea>", "你写的还在"):
        assert words in answer.text, words
    page = wangwu.get(here(asked)).text
    assert "客户最后一次发言已超过 48 小时" in page
    assert "<textarea" not in page
    assert "more than 48 hours" in wangwu.get(f"{here(asked)}?lang=en").text
    quiet.shop.catch_up()
    assert (asked.replies(), refusals(quiet.shop)) == ([], [])
    assert quiet.audit("chat.reply") == []


def test_the_sixth_message_is_refused_in_words(quiet: Counter, asked: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    statuses = [wangwu.post(f"{here(asked)}/reply", {"text": f"第 {n} 句"}).status_code for n in range(6)]
    assert statuses == [303] * 5 + [422]
    assert "已发满 5 条" in wangwu.get(here(asked)).text
    quiet.shop.catch_up()
    assert (len(asked.replies()), refusals(quiet.shop)) == (5, [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "请先写点什么"),
        ("  \n", "请先写点什么"),
        ("长" * 2001, "最多 2000 个字"),
        ("长" * 700, "消息太长"),
    ],
)
def test_what_cannot_be_sent_at_all_is_given_back(quiet: Counter, asked: KfDesk, text: str, words: str) -> None:
    answer = quiet.visitor("wangwu").post(f"{here(asked)}/reply", {"text": text})
    assert (answer.status_code, words in answer.text, text.strip() in answer.text) == (422, True, True)


def test_a_chat_is_handed_over_and_ended_and_the_customer_is_told(quiet: Counter, asked: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    page = wangwu.post(f"{here(asked)}/hand-over", {"to": "lisi", "word": "这就请李四来"}, follow_redirects=True).text
    assert "已转给 李四" in page
    assert "接待人员正在接待，请在企业微信客户端里回复" in page
    quiet.shop.catch_up()
    assert (asked.chat().servicer, asked.replies()) == ("lisi", ["这就请李四来"])
    assert "王五 把会话转给 李四" in wangwu.get(here(asked)).text
    assert wangwu.post(f"{here(asked)}/end").status_code == 303
    quiet.shop.catch_up()
    assert asked.shop.world.kf_session(asked.account, asked.customer).servicer == ""
    assert "会话已结束，要等客户再次发言" in wangwu.get(here(asked)).text
    refused = wangwu.post(f"{here(asked)}/hand-over", {"to": ""})
    assert (refused.status_code, "会话现在的状态不能转给接待人员" in refused.text) == (422, True)
    assert [len(quiet.audit(one)) for one in ("chat.hand_over", "chat.end")] == [1, 1]


def test_who_does_not_receive_is_given_nobody(quiet: Counter, asked: KfDesk) -> None:
    quiet.shop.world.kf_receiving(asked.account, "lisi", False)
    quiet.shop.catch_up()
    wangwu = quiet.visitor("wangwu")
    assert "（没在接待）" in wangwu.get(here(asked)).text
    for to in ("lisi", "nobody"):
        assert "现在不接待" in wangwu.post(f"{here(asked)}/hand-over", {"to": to}).text


def test_a_rep_sees_the_chats_they_have_and_anothers_like_none(quiet: Counter, asked: KfDesk) -> None:
    lisi, nothing = quiet.visitor("lisi"), quiet.visitor("lisi").get("/chats/999999")
    unseen = lisi.get(here(asked))
    assert (unseen.status_code, unseen.data) == (404, nothing.data)
    assert "小雨" not in lisi.get("/chats").text
    assert "你们有" not in lisi.get("/chats?q=拼配豆").text
    for act in ("reply", "hand-over", "end", "read", "tags"):
        answer = lisi.post(f"{here(asked)}/{act}", {"text": "x", "tag": "t_1"})
        assert (answer.status_code, answer.data) == (404, nothing.data), act
    quiet.visitor("wangwu").post(f"{here(asked)}/hand-over", {"to": "lisi"})
    quiet.shop.catch_up()
    page = lisi.get(here(asked))
    assert page.status_code == 200
    assert "/customers/p_" not in page.text  # the chat is theirs now, the customer is not
    assert "小雨" in lisi.get("/chats?turn=mine").text
    assert quiet.count(PersonTag) == 0


def test_a_chat_that_is_not_there_answers_404_to_everything(quiet: Counter, desk: KfDesk) -> None:
    boss = quiet.visitor("zhangsan")
    for number in (0, 999_999, 2**70):
        assert boss.get(f"/chats/{number}").status_code == 404
        assert boss.post(f"/chats/{number}/reply", {"text": "x"}).status_code == 404
        assert boss.get(f"/chats/{number}/files/1").status_code == 404


def test_everything_said_is_found_and_shown_where_it_was_said(quiet: Counter, asked: KfDesk) -> None:
    for n in range(70):
        quiet.shop.world.kf_say(asked.account, asked.customer, f"闲话 {n}")
    quiet.shop.catch_up()
    wangwu = quiet.visitor("wangwu")
    found = wangwu.get("/chats?q=拼配豆").text
    link = re.findall(r'href="(/chats/\d+\?line=\d+)#line', found)
    assert len(link) == 1
    page = wangwu.get(link[0]).text
    assert "chat-line in found" in page
    assert "闲话 69" not in page
    assert "闲话 69" in wangwu.get(here(asked)).text
    assert "名字里有“小雨”的客户" in wangwu.get("/chats?q=小雨").text
    assert "没有人说过“美式咖啡”" in wangwu.get("/chats?q=美式咖啡").text


def test_pages_of_the_list_meet(quiet: Counter, desk: KfDesk) -> None:
    for n in range(33):
        quiet.shop.advance(seconds=1)
        customer = quiet.shop.world.kf_enter(desk.account, f"客人{n:02}").external_userid
        quiet.shop.world.kf_say(desk.account, customer, "在吗")
    quiet.shop.catch_up()
    wangwu = quiet.visitor("wangwu")
    first = wangwu.get("/chats").text
    onward = re.findall(r'href="(/chats\?after=[^"]+)" rel="next"', first)
    second = wangwu.get(onward[0]).text
    names = [sorted(set(re.findall(r"客人\d\d", page))) for page in (first, second)]
    assert [len(one) for one in names] == [30, 3]
    assert not set(names[0]) & set(names[1])


@pytest.mark.parametrize("payload", PAYLOADS)
def test_whatever_a_customer_writes_is_text(quiet: Counter, desk: KfDesk, payload: str) -> None:
    desk.enter(payload)
    desk.say(payload)
    desk.say(msgtype="link", payload={"title": payload, "desc": payload, "url": f"javascript:{payload}"})
    desk.say(msgtype=payload, payload={"x": payload})
    desk.say(
        msgtype="merged_msg", payload={"title": payload, "item": [{"sender_name": payload, "msg_content": payload}]}
    )
    wangwu = quiet.visitor("wangwu")
    for path in ("/chats", here(desk), "/chats?q=alert", f"/chats?q={payload}"):
        page = wangwu.get(path).text
        for raw in ("<script>alert", "<img src=x", "<svg onload", "7*7}}</h1>49", 'href="javascript'):
            assert raw not in page, (path, raw)
    assert "还看不懂的消息，已原样保存" in wangwu.get(here(desk)).text


def test_every_kind_of_message_and_event_is_said_in_words(quiet: Counter, desk: KfDesk) -> None:
    desk.enter()
    for msgtype in SAMPLES:
        desk.say(msgtype=msgtype)
    gone = desk.say("写错了")
    quiet.shop.world.kf_recall(desk.account, desk.customer, gone)
    quiet.shop.catch_up()
    page = quiet.visitor("wangwu").get(here(desk)).text
    for words in (
        "位置",
        "豆子咖啡人民广场店",
        "聊天记录",
        "¥59.00",
        "拿铁",
        "客户打开了聊天",
        "客户撤回了一条消息",
        "已撤回",
    ):
        assert words in page, words
    assert "还看不懂" not in page


def test_a_failed_message_says_why(quiet: Counter, asked: KfDesk) -> None:
    quiet.visitor("wangwu").post(f"{here(asked)}/reply", {"text": "收到了吗"})
    quiet.shop.catch_up()
    (sent,) = asked.lines("app")
    quiet.shop.world.kf_fail(sent.msgid, 10)
    quiet.shop.catch_up()
    assert "没有送达：客户拒收" in quiet.visitor("wangwu").get(here(asked)).text


def test_a_picture_is_shown_everything_else_is_only_given_to_be_saved(quiet: Counter, asked: KfDesk) -> None:
    evil = b"<html><script>alert(1)</script>"
    for kind in FILES:
        quiet.shop.world.kf_send_file(asked.account, asked.customer, kind)
    quiet.shop.world.kf_send_file(asked.account, asked.customer, "image", evil, "photo.png")
    quiet.shop.catch_up()
    wangwu = quiet.visitor("wangwu")
    kept = quiet.shop.rows(KeptFile)
    assert len(kept) == 5
    for one in kept:
        answer = wangwu.get(f"{here(asked)}/files/{one.id}")
        assert answer.status_code == 200
        picture = one.content_type == "image/png"
        assert answer.headers["Content-Disposition"].startswith("inline" if picture else "attachment"), one.content_type
        assert answer.mimetype == ("image/png" if picture else "application/octet-stream")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["Cache-Control"] == "no-store"
    assert [one.content_type for one in kept].count("image/png") == 1
    assert quiet.visitor("lisi").get(f"{here(asked)}/files/{kept[0].id}").status_code == 404
    assert wangwu.get(here(asked)).text.count('class="bubble-picture"') == 1


def test_a_file_of_another_chat_is_not_given_through_this_one(quiet: Counter, asked: KfDesk) -> None:
    other = KfDesk(quiet.shop, asked.account)
    other.enter("阿哲")
    quiet.shop.world.kf_send_file(other.account, other.customer, "image")
    quiet.shop.catch_up()
    (kept,) = quiet.shop.rows(KeptFile)
    wangwu = quiet.visitor("wangwu")
    assert wangwu.get(f"{here(other)}/files/{kept.id}").status_code == 200
    assert wangwu.get(f"{here(asked)}/files/{kept.id}").status_code == 404


def test_a_tag_by_hand_and_who_wants_nothing_more_are_seen(quiet: Counter, asked: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    wangwu.post("/tags/new", {"group": "意向", "name": "拼配"})
    (tag,) = [one for one in quiet.shop.rows(Tag) if one.name == "拼配"]
    wangwu.post(f"{here(asked)}/tags", {"tag": f"t_{tag.id}"})
    asked.say("退订")
    page = wangwu.get(here(asked)).text
    assert "王五手动添加" in page
    assert "不再接收消息" in page
    assert "请先选一个标签" in wangwu.post(f"{here(asked)}/tags", {"tag": ""}, follow_redirects=True).text
    assert len(quiet.audit("person.tag")) == 1
    with quiet.shop.work() as work:
        tags.forget(work, work.db.get_one(Tag, tag.id))
    wangwu.post(f"{here(asked)}/tags", {"tag": f"t_{tag.id}"})
    assert (len(quiet.audit("person.tag")), quiet.shop.rows(PersonTag, PersonTag.tag_id == tag.id)) == (1, [])


def test_what_came_after_one_looked_stays_unread(quiet: Counter, asked: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    form = once(wangwu, here(asked))
    quiet.shop.advance(seconds=5)
    asked.say("还在吗")
    wangwu.post(f"{here(asked)}/read", {"seen": form["seen"]})
    assert "1 条没看过" in wangwu.get("/chats").text
    wangwu.post(f"{here(asked)}/read", {"seen": once(wangwu, here(asked))["seen"]})
    assert "条没看过" not in wangwu.get("/chats").text
    wangwu.post(f"{here(asked)}/read", {"seen": "nonsense"})
    assert len(quiet.audit("chat.read")) == 2


def test_the_report_keeps_our_seconds_and_wecoms_days_apart(quiet: Counter, asked: KfDesk) -> None:
    quiet.shop.advance(seconds=20)
    quiet.visitor("wangwu").post(f"{here(asked)}/reply", {"text": "有的"})
    quiet.shop.catch_up()
    quiet.shop.advance(seconds=1)
    page = quiet.visitor("wangwu").get("/chats/report?days=1").text
    measured, counted = page.index("微信客服·按秒实测"), page.index("企业微信·按天统计")
    assert "王五" in page[measured:counted]
    assert "20 秒" in page[measured:counted]
    assert "100%" in page[measured:counted]
    assert "企业微信还没有给出这段时间的数字" in page[counted:]
    quiet.shop.advance(days=1)
    quiet.shop.tick()
    theirs = quiet.visitor("wangwu").get("/chats/report?days=7").text
    assert "还没有给出" not in theirs[theirs.index("企业微信·按天统计") :]
    assert quiet.visitor("lisi").get("/chats/report").status_code == 404

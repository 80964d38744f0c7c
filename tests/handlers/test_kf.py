"""微信客服: what is said is pulled once and kept, and answered within WeCom's rules or not at all."""

import json
from datetime import timedelta
from typing import Any

import pytest

from handlers import kf_items
from people import alarms, conversations, joining, kept_files, persons
from people.conversations import ENDED, HUMAN, NEW, POOL
from sandbox.clock import ManualClock
from sandbox.facts import App
from sandbox.kf_actors import SAMPLES
from sandbox.world import AES_KEY, World
from storage.tables import Conversation, InboxRow, Interaction, KeptFile, KfAccount, OutboxRow, Person
from tests.handlers.kf_desk import HOURS, KfDesk, open_desk, refusals
from tests.shop import START, Shop, build_shop, close_shop


@pytest.fixture
def desk(shop: Shop) -> KfDesk:
    return open_desk(shop)


# --- pulling ---------------------------------------------------------------------------------------------------------


def test_what_a_customer_says_is_kept_with_who_they_are(desk: KfDesk) -> None:
    desk.enter("小雨", unionid="un-1")
    msgid = desk.say("在吗 😀")
    person = desk.person()
    assert (person.name, bool(person.avatar)) == ("小雨", True)
    (line,) = desk.story("kf_in")
    assert line.details == {
        "type": "text",
        "text": "在吗 😀",
        "open_kfid": desk.account,
        "msgid": msgid,
        "silent": "没有符合的答案",
    }
    assert [one.details["type"] for one in desk.story("kf_event")] == ["enter_session"]
    assert (desk.chat().state, desk.chat().sent_since) == (NEW, 0)


def test_the_same_callback_again_changes_nothing(desk: KfDesk) -> None:
    desk.enter()
    desk.say("在吗")
    before = len(desk.story())
    for event in list(desk.shop.world.events):
        desk.shop.deliverer.redeliver(event.id)
    desk.shop.catch_up()
    assert len(desk.story()) == before


def test_every_known_type_becomes_a_line_under_plain_names(desk: KfDesk) -> None:
    desk.enter()
    for msgtype in SAMPLES:
        desk.shop.world.kf_say(desk.account, desk.customer, msgtype=msgtype)
    desk.shop.catch_up()
    lines = {one.details["type"]: one.details for one in desk.story("kf_in")}
    assert set(lines) == set(SAMPLES)
    assert lines["location"]["name"] == "豆子咖啡人民广场店"
    assert lines["link"]["description"] == "云南水洗"
    assert lines["channels_shop_order"]["price"] == "¥59.00"
    assert lines["merged_msg"]["items"][0]["sender"] == "阿哲"
    assert not any("raw" in one for one in lines.values())


def test_a_type_nobody_knows_is_kept_raw(desk: KfDesk) -> None:
    desk.enter()
    desk.say(msgtype="hologram", payload={"beam": [1, 2, {"x": "y"}]})
    (line,) = desk.story("kf_in")
    assert line.details["type"] == "hologram"
    assert line.details["raw"]["hologram"] == {"beam": [1, 2, {"x": "y"}]}


@pytest.mark.parametrize(
    "text",
    [
        "😀" * 500,
        "长" * 20_000,
        "a\u200b\u200c\u200d\u2060b",
        "\ud83d half",
        "nul\x00nul",
        "  \u3000 ",
        "{{7*7}} $1 %s",
        "<script>",
    ],
)
def test_whatever_they_write_is_kept_and_nothing_sticks(desk: KfDesk, text: str) -> None:
    desk.answer()
    desk.enter()
    desk.say(text)
    desk.say("下一句")
    first, second = desk.story("kf_in")
    assert first.details["text"] == kf_items.fit(text)
    assert second.details["text"] == "下一句"
    assert {one.state for one in desk.shop.rows(InboxRow)} == {"done"}


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"msgtype": None, "origin": "three"},
        {
            "msgid": "m" * 500,
            "msgtype": "text",
            "origin": 3,
            "external_userid": "wm1",
            "text": "no object",
            "send_time": 1,
        },
        {"msgid": "m2", "msgtype": "event", "event": {"event_type": "brand_new", "x": float("nan")}, "origin": 4},
        {"msgid": "m3", "msgtype": "text", "origin": 3, "external_userid": "w" * 200, "text": {"content": "hi"}},
        {"msgid": "m4", "msgtype": "text", "origin": 77, "external_userid": "wm2", "text": {"content": "hi"}},
        {"msgid": "m5", "msgtype": "voice", "origin": 3, "external_userid": "wm3", "voice": {"media_id": "x" * 900}},
        {"msgid": "m6", "msgtype": "event", "origin": 4, "event": "nothing"},
    ],
)
def test_an_element_of_no_shape_is_kept_and_holds_nothing_up(desk: KfDesk, item: dict[str, Any]) -> None:
    desk.enter()
    account = desk.shop.world.kf_accounts[desk.account]
    desk.shop.world._list(desk.account, {"origin": 3}, "text", {})
    account.items[-1].body.clear()
    account.items[-1].body.update(json.loads(json.dumps(item)))
    desk.shop.catch_up()
    desk.say("下一句")
    assert desk.story("kf_in")[-1].details["text"] == "下一句"
    kept = len(desk.story()) + len(desk.shop.rows(InboxRow, InboxRow.name.startswith("kf_item")))
    assert kept == 3
    assert {one.state for one in desk.shop.rows(InboxRow)} == {"done"}


def test_more_pages_and_empty_ones_are_followed_to_the_end(desk: KfDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wecom.kf.PAGE", 5)
    desk.enter()
    desk.shop.world.faults.empty_page, desk.shop.world.faults.short_page = 0.4, 0.4
    for number in range(60):
        desk.shop.world.kf_say(desk.account, desk.customer, f"{number}")
    desk.shop.catch_up()
    assert [one.details["text"] for one in sorted(desk.story("kf_in"), key=lambda one: one.id)] == [
        str(number) for number in range(60)
    ]


def test_a_page_that_is_kept_costs_no_try(desk: KfDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wecom.kf.PAGE", 1)
    desk.enter()
    for number in range(12):
        desk.shop.world.kf_say(desk.account, desk.customer, f"{number}")
    desk.shop.catch_up()
    assert len(desk.story("kf_in")) == 12
    assert max(one.tries for one in desk.shop.rows(InboxRow)) == 1


def test_a_dead_token_and_a_refused_cursor_lose_nothing(desk: KfDesk) -> None:
    desk.enter()
    desk.shop.world.fail_next("kf/sync_msg", 95007)
    desk.shop.world.fail_next("kf/sync_msg", 50100)
    desk.say("一")
    desk.set(cursor="not a cursor of WeCom's")
    desk.say("二")
    assert [one.details["text"] for one in desk.story("kf_in")] == ["一", "二"]
    assert len(desk.story("kf_event")) == 1


def test_pulling_too_often_waits_and_goes_on(desk: KfDesk) -> None:
    desk.enter()
    desk.shop.world.fail_next("kf/sync_msg", 45009)
    desk.say("在吗")
    assert desk.story("kf_in") == []
    desk.shop.advance(seconds=62)
    desk.shop.catch_up()
    assert len(desk.story("kf_in")) == 1


def test_a_lost_callback_is_made_good_within_some_minutes(desk: KfDesk) -> None:
    desk.enter()
    desk.shop.world.faults.lose = 1.0
    desk.say("有人吗")
    assert desk.story("kf_in") == []
    desk.shop.advance(minutes=11)
    desk.shop.tick()
    assert [one.details["text"] for one in desk.story("kf_in")] == ["有人吗"]
    desk.shop.advance(minutes=11)
    desk.shop.tick()
    assert len(desk.shop.rows(InboxRow, InboxRow.name == "kf_pull_due")) == 1


def test_accounts_come_and_go_with_what_wecom_lists(desk: KfDesk) -> None:
    shop = desk.shop
    other = open_desk(shop, ("zhaoliu",), "售后")
    named = {one.open_kfid: (one.name, one.manageable, set(one.servicers)) for one in shop.rows(KfAccount)}
    assert named == {desk.account: ("豆子客服", True, {"lisi", "wangwu"}), other.account: ("售后", True, {"zhaoliu"})}
    shop.world.kf_close(other.account)
    shop.catch_up()
    assert [one.gone_at is None for one in shop.rows(KfAccount, KfAccount.open_kfid == other.account)] == [False]
    shop.world.kf_authorise(desk.account, 1000002, False)
    shop.world.kf_say(desk.account, shop.world.new_customer("小雨").external_userid, "在吗")
    shop.catch_up()
    assert not shop.rows(KfAccount, KfAccount.open_kfid == desk.account)[0].manageable


def test_several_accounts_keep_cursors_of_their_own(desk: KfDesk) -> None:
    other = open_desk(desk.shop, name="售后")
    desk.enter()
    other.enter(external_userid=desk.customer)
    for number in range(10):
        desk.shop.world.kf_say(desk.account, desk.customer, f"售前 {number}")
        desk.shop.world.kf_say(other.account, desk.customer, f"售后 {number}")
    desk.shop.catch_up()
    texts = [(one.details["open_kfid"], one.details["text"]) for one in desk.story("kf_in")]
    assert len(texts) == len(set(texts)) == 20
    assert len(desk.shop.rows(Person)) == 1
    assert len(desk.shop.rows(Conversation)) == 2


def test_a_customer_known_by_unionid_is_the_same_person(desk: KfDesk) -> None:
    channel = desk.shop.channel()
    arrival = desk.shop.world.scan(channel.code, name="小雨", userid="lisi")
    desk.shop.world.customers[arrival.external_userid].unionid = "un-9"
    desk.shop.catch_up()
    with desk.shop.work() as work:
        known = persons.find_person(work.db, persons.EXTERNAL, arrival.external_userid)
        assert known is not None
        joining.learn(work, known, [joining.Given(persons.UNIONID, "un-9")], source="wecom")
    desk.enter("小雨", unionid="un-9")
    desk.say("我是老客户")
    (person,) = desk.shop.rows(Person, Person.merged_into.is_(None))
    assert {one.person_id for one in desk.story("kf_in")} == {person.id}


# --- what happens ----------------------------------------------------------------------------------------------------


def test_a_recalled_message_stays_and_is_marked(desk: KfDesk) -> None:
    desk.enter()
    msgid = desk.say("说错了")
    desk.shop.world.kf_recall(desk.account, desk.customer, msgid)
    desk.shop.catch_up()
    (line,) = desk.story("kf_in")
    assert (line.details["text"], line.details["recalled_by"]) == ("说错了", "customer")
    assert line.details["recalled_at"]


def test_a_message_that_did_not_arrive_says_so_on_its_line(desk: KfDesk) -> None:
    desk.answer()
    desk.enter()
    desk.shop.world.kf_refuse(desk.account, desk.customer)
    desk.say("几点开门")
    desk.shop.catch_up()
    (line,) = desk.story("kf_out")
    assert (line.details["fate"], line.details["why"]) == ("failed", "客户拒收")
    assert desk.chat().sent_since == 1


def test_a_servicer_who_stops_receiving_is_known_by_the_account(desk: KfDesk) -> None:
    desk.enter()
    desk.shop.world.kf_receiving(desk.account, "lisi", on=False, stop_type=1)
    desk.shop.catch_up()
    (account,) = desk.shop.rows(KfAccount)
    assert account.servicers["lisi"] == {"receiving": False, "stop_type": 1}
    (kept,) = desk.shop.rows(InboxRow, InboxRow.name == "kf_item.servicer_status_change")
    assert (kept.state, kept.outcome) == ("done", "kept: it concerns no customer")


def test_whose_a_chat_is_follows_what_servicers_do(desk: KfDesk) -> None:
    world = desk.shop.world
    desk.enter()
    desk.say("转人工")
    assert desk.chat().state == POOL
    world.kf_take(desk.account, "lisi", desk.customer)
    desk.shop.catch_up()
    assert (desk.chat().state, desk.chat().servicer) == (HUMAN, "lisi")
    world.kf_servicer_says(desk.account, "lisi", desk.customer, "您好，我是李四")
    world.kf_pass_on(desk.account, desk.customer, "wangwu")
    desk.shop.catch_up()
    assert (desk.chat().state, desk.chat().servicer) == (HUMAN, "wangwu")
    world.kf_end(desk.account, desk.customer)
    desk.shop.catch_up()
    assert (desk.chat().state, desk.chat().servicer) == (ENDED, None)
    desk.say("还有一件事")
    assert desk.chat().state == NEW
    by = [(one.details["by"], one.details["text"]) for one in desk.story("kf_out")]
    assert ("lisi", "您好，我是李四") in by


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_fetched_and_named_by_what_it_is(desk: KfDesk) -> None:
    desk.enter()
    for kind in ("image", "voice", "video", "file"):
        desk.shop.world.kf_send_file(desk.account, desk.customer, kind, filename="../../etc/passwd")
    desk.shop.catch_up()
    kept = desk.shop.rows(KeptFile)
    assert [(one.state, one.content_type, one.name) for one in kept] == [
        ("kept", "image/png", f"image-{kept[0].id}.png"),
        ("kept", "audio/amr", f"voice-{kept[1].id}.amr"),
        ("kept", "video/mp4", f"video-{kept[2].id}.mp4"),
        ("kept", "application/pdf", f"file-{kept[3].id}.pdf"),
    ]


@pytest.mark.parametrize(
    "content", ["<!DOCTYPE html><script>alert(1)</script>", "<svg onload='alert(1)'/>", '{"a": 1}']
)
def test_what_a_browser_might_run_is_only_given_as_a_download(desk: KfDesk, content: str) -> None:
    desk.enter()
    desk.shop.world.kf_send_file(desk.account, desk.customer, "image", content)
    desk.shop.catch_up()
    (kept,) = desk.shop.rows(KeptFile)
    served = kept_files.serving(kept)
    assert kept.state == "kept"
    assert served is not None
    assert (served.inline, served.content_type) == (False, "application/octet-stream")


def test_a_file_that_is_gone_is_refused_by_name(desk: KfDesk) -> None:
    desk.enter()
    desk.say(msgtype="voice", payload={"media_id": "long-gone"})
    (kept,) = desk.shop.rows(KeptFile)
    assert kept.state == "refused"
    assert "40007" in str(kept.detail)
    assert desk.story("kf_in")[0].details["file_refused"] == kept.detail


def test_a_huge_voice_is_refused_by_name_and_never_held(desk: KfDesk) -> None:
    desk.enter()
    media_id = desk.shop.world.customer_media("voice", b"#!AMR\n" + bytes(100 * 1024 * 1024))
    desk.say(msgtype="voice", payload={"media_id": media_id})
    (kept,) = desk.shop.rows(KeptFile)
    assert (kept.state, kept.size) == ("refused", 0)
    assert "最多 20 MB" in str(kept.detail)


# --- the window ------------------------------------------------------------------------------------------------------


def reply(desk: KfDesk, text: str = "您好", by: str = "lisi") -> str | None:
    """One of us writes in the console; why not, if not."""
    number, once = desk.chat().id, f"t:{text}:{len(desk.story())}"
    with desk.shop.work() as work:
        chat = conversations.held(work, number)
        assert chat is not None
        try:
            conversations.send(work, chat, conversations.Message(text), once=once, by=by)
        except conversations.CannotSend as why:
            return str(why)
    desk.shop.catch_up()
    return None


def test_five_and_no_more_until_they_write_again(desk: KfDesk) -> None:
    desk.enter()
    desk.say("在吗")
    assert [reply(desk, f"{n}") for n in range(5)] == [None] * 5
    assert "发满 5 条" in str(reply(desk, "六"))
    assert desk.chat().sent_since == 5
    desk.shop.advance(seconds=2)
    desk.say("谢谢")
    assert desk.chat().sent_since == 0
    assert reply(desk, "不客气") is None
    assert refusals(desk.shop, 95001, 95002, 95018) == []


def test_nothing_after_48_hours_and_nothing_first(desk: KfDesk) -> None:
    desk.enter()
    assert "还没有发过消息" in str(reply(desk))
    desk.say("在吗")
    desk.shop.advance(hours=47, minutes=59)
    assert reply(desk) is None
    desk.shop.advance(minutes=1)
    assert "48 小时" in str(reply(desk, "晚了"))
    (row,) = desk.shop.rows(OutboxRow, OutboxRow.name == "ReplyKf")
    assert row.before == desk.chat().last_customer_at + timedelta(hours=48)


def test_what_is_on_its_way_counts_and_is_given_back_when_refused(desk: KfDesk) -> None:
    desk.enter()
    desk.say("在吗")
    desk.shop.world.fail_next("kf/send_msg", 40058)
    number = desk.chat().id
    with desk.shop.work() as work:
        chat = conversations.held(work, number)
        assert chat is not None
        conversations.send(work, chat, conversations.Message("一"), once="one", by="lisi")
        assert chat.sent_since == 1
    desk.shop.catch_up()
    assert desk.chat().sent_since == 0
    (line,) = desk.story("kf_out")
    assert line.details["fate"] == "refused"


def test_what_waits_while_they_write_again_counts_after_it_too(desk: KfDesk) -> None:
    desk.enter()
    desk.say("在吗")
    number = desk.chat().id
    with desk.shop.work() as work:
        chat = conversations.held(work, number)
        assert chat is not None
        for n in range(4):
            conversations.send(work, chat, conversations.Message(f"{n}"), once=f"w{n}", by="lisi")
    desk.shop.world.kf_say(desk.account, desk.customer, "喂")
    for taken in desk.shop.parts.dispatcher().claim("events", 5):
        desk.shop.parts.dispatcher().handle_one(taken)
    assert desk.chat().sent_since == 4
    desk.shop.catch_up()
    assert reply(desk, "五") is None
    assert "发满" in str(reply(desk, "六"))
    assert refusals(desk.shop, 95001) == []


def test_a_broken_line_is_asked_again_and_read_once(desk: KfDesk) -> None:
    desk.answer()
    desk.enter()
    desk.shop.world.faults.reset_after_effect = 0.6
    desk.shop.world.kf_say(desk.account, desk.customer, "几点开门")
    for _ in range(30):
        desk.shop.catch_up()
        desk.shop.advance(seconds=5)
    assert desk.replies() == [HOURS]
    assert {one.state for one in desk.shop.rows(OutboxRow, OutboxRow.name == "SendKf")} <= {"done", "held"}


def test_a_sender_that_died_is_followed_by_one_that_asks_again(desk: KfDesk) -> None:
    desk.answer()
    desk.enter()
    desk.shop.world.kf_say(desk.account, desk.customer, "几点开门")
    dispatcher, sender = desk.shop.parts.dispatcher(), desk.shop.parts.sender()
    for taken in dispatcher.claim("events", 5):
        dispatcher.handle_one(taken)
    (claimed,) = sender.claim("kf", 5)
    sender._make(claimed)
    desk.shop.advance(seconds=31)
    sender.rescue()
    desk.shop.catch_up()
    assert desk.replies() == [HOURS]
    assert [one.details["fate"] for one in desk.story("kf_out")] == ["sent"]
    assert len(desk.shop.world.calls_to("kf/send_msg")) == 2


# --- welcome, notice, opting out -------------------------------------------------------------------------------------


def test_who_opens_the_chat_is_greeted_once_with_a_menu_that_leads_somewhere(desk: KfDesk) -> None:
    desk.answer("营业时间")
    desk.set(welcome={"text": "欢迎来到豆子咖啡", "menu": ["营业时间", "豆单"]})
    desk.enter()
    assert desk.replies() == ["欢迎来到豆子咖啡"]
    (line,) = desk.story("kf_out")
    assert (line.details["menu"], line.details["fate"]) == (["营业时间", "豆单"], "sent")
    entry = desk.lines("app")[0].content["list"][0]["click"]
    desk.shop.world.kf_click(desk.account, desk.customer, entry["id"])
    desk.shop.catch_up()
    assert desk.replies() == ["欢迎来到豆子咖啡", HOURS]
    assert desk.chat().sent_since == 1


def test_a_greeting_that_comes_too_late_is_not_tried(desk: KfDesk) -> None:
    desk.set(welcome={"text": "欢迎"})
    desk.shop.world.kf_enter(desk.account, "小雨")
    desk.shop.advance(seconds=21)
    desk.shop.catch_up()
    assert desk.shop.world.calls_to("kf/send_msg_on_event") == []


def test_the_privacy_notice_comes_once_with_the_first_reply(database_url: str) -> None:
    shop = build_shop(database_url)
    shop.open_for_business()
    settings = shop.parts.settings
    object.__setattr__(settings, "privacy", settings.privacy.model_copy(update={"notice": "我们会保存聊天内容"}))
    desk = open_desk(shop)
    desk.answer()
    desk.answer("豆单", "本周：云南水洗", definition={"any_keywords": ["豆单"]}, menu=("营业时间",))
    desk.enter()
    desk.say("几点开门")
    desk.say("豆单")
    assert desk.replies() == [f"{HOURS}\n\n我们会保存聊天内容", "本周：云南水洗"]
    close_shop(shop)


def test_opting_out_is_obeyed_confirmed_once_and_taken_back(desk: KfDesk) -> None:
    desk.enter()
    desk.say("退订")
    assert (desk.person().opted_out, desk.person().opted_out_by) == (True, "kf")
    assert len(desk.replies()) == 1
    desk.say("退订")
    assert len(desk.replies()) == 1
    assert len(desk.story("opted_out")) == 1
    desk.say("恢复订阅")
    assert not desk.person().opted_out
    assert len(desk.story("opted_in")) == 1
    assert len(desk.replies()) == 2


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_question_is_answered_once_and_says_why(desk: KfDesk) -> None:
    answer = desk.answer()
    desk.enter()
    desk.say("请问你们几点开门？")
    assert desk.replies() == [HOURS]
    (line,) = desk.story("kf_out")
    assert line.details["answer"] == {"id": answer, "name": "营业时间", "because": "说到“几点”"}
    assert desk.story("kf_in")[0].details["answered"]["answer"]["id"] == answer


def test_the_longer_words_win_and_a_tie_is_silence(desk: KfDesk) -> None:
    desk.answer("价格", "见价目表", definition={"any_keywords": ["价格"]})
    desk.answer("批发价格", "批发请找王五", definition={"any_keywords": ["批发价格"]})
    desk.answer("发货", "48 小时内发货", definition={"any_keywords": ["发货"]})
    desk.answer("快递", "顺丰", definition={"any_keywords": ["快递"]})
    desk.answer("送达", "三天", definition={"any_keywords": ["送到"]}, place=1)
    desk.enter()
    desk.say("批发价格多少")
    desk.say("发货走快递吗")
    desk.say("随便看看")
    assert desk.replies() == ["批发请找王五"]
    assert "同样合适" in desk.story("kf_in")[1].details["silent"]
    desk.say("快递几天送到")
    assert desk.replies() == ["批发请找王五", "顺丰"]


def test_a_question_of_the_faq_is_met_by_its_pieces(desk: KfDesk) -> None:
    desk.answer("停车", "楼下有停车场", definition={"questions": ["你们那里好停车吗", "附近有没有停车场"]})
    desk.enter()
    desk.say("好停车吗")
    desk.say("请问附近有没有停车场啊")
    desk.say("停车")
    assert desk.replies() == ["楼下有停车场"] * 2


def test_the_bot_is_silent_while_somebody_else_has_the_chat(desk: KfDesk) -> None:
    desk.answer()
    desk.enter()
    desk.say("转人工")
    desk.say("几点开门")
    desk.shop.world.kf_take(desk.account, "lisi", desk.customer)
    desk.say("几点开门")
    assert desk.replies() == ["正在为您转接人工客服，请稍候。"]
    assert desk.shop.world.calls_to("kf/send_msg") == []


def test_an_answer_may_hand_over_with_its_own_words(desk: KfDesk) -> None:
    desk.answer("退款", "这就请同事帮您看", definition={"any_keywords": ["退款"]}, hand_over=True)
    desk.enter()
    desk.say("我要退款")
    assert desk.replies() == ["这就请同事帮您看"]
    assert desk.chat().state == POOL


def test_who_answers_for_a_customer_gets_their_chat_and_else_the_pool(desk: KfDesk) -> None:
    desk.enter()
    number = desk.person().id
    with desk.shop.work() as work:
        work.db.get_one(Person, number).owner = "wangwu"
    desk.shop.world.kf_receiving(desk.account, "lisi", on=False)
    desk.say("人工")
    assert (desk.chat().state, desk.chat().servicer) == (HUMAN, "wangwu")
    other = KfDesk(desk.shop, desk.account)
    other.enter("阿哲")
    other.say("人工")
    assert other.chat().state == POOL


def test_a_servicer_who_has_just_stopped_leaves_the_chat_to_the_pool(desk: KfDesk) -> None:
    desk.enter()
    number = desk.person().id
    with desk.shop.work() as work:
        work.db.get_one(Person, number).owner = "wangwu"
    desk.shop.world.kf_accounts[desk.account].servicers["wangwu"].receiving = False
    desk.say("人工")
    assert (desk.chat().state, desk.shop.world.kf_state(desk.account, desk.customer)) == (POOL, POOL)
    assert desk.replies() == ["正在为您转接人工客服，请稍候。"]


def test_the_bot_does_not_talk_to_a_bot(desk: KfDesk) -> None:
    desk.answer()
    desk.enter()
    for _ in range(8):
        desk.say("几点")
        desk.shop.advance(seconds=3)
    assert len(desk.replies()) == 3
    desk.say(HOURS)
    assert len(desk.replies()) == 3
    assert [one.details["why"] for one in desk.story("kf_event") if one.details["type"] == "bot_silent"]
    desk.shop.advance(minutes=11)
    desk.say("几点")
    assert len(desk.replies()) == 4


def test_what_was_said_long_ago_is_not_answered(desk: KfDesk) -> None:
    desk.answer()
    desk.enter()
    desk.shop.world.faults.lose = 1.0
    desk.say("几点开门")
    desk.shop.world.faults.lose = 0.0
    desk.shop.advance(minutes=30)
    desk.say("没人吗")
    assert len(desk.story("kf_in")) == 2
    assert desk.replies() == []


def test_satisfaction_is_asked_at_the_end_and_kept(desk: KfDesk) -> None:
    world = desk.shop.world
    desk.set(asks_satisfaction=True)
    desk.enter()
    desk.say("人工")
    world.kf_take(desk.account, "lisi", desk.customer)
    world.kf_servicer_says(desk.account, "lisi", desk.customer, "您好")
    world.kf_end(desk.account, desk.customer)
    desk.shop.catch_up()
    assert desk.replies()[-1] == "请为本次服务打分："
    desk.shop.advance(seconds=5)
    world.kf_click(desk.account, desk.customer, "rate:4")
    desk.shop.catch_up()
    assert (desk.chat().rating, desk.chat().rated_at is None) == (4, False)
    (rated,) = [one for one in desk.story("kf_event") if one.details["type"] == "rated"]
    assert (rated.details["rating"], rated.details["servicer"]) == (4, "lisi")
    assert desk.replies()[-1] == "谢谢您的评价！"


def test_watching_shows_and_writes_nothing(database_url: str) -> None:
    shop = build_shop(database_url, watch=("answers",))
    shop.open_for_business()
    desk = open_desk(shop)
    desk.answer()
    desk.set(welcome={"text": "欢迎"}, asks_satisfaction=True)
    desk.enter()
    desk.say("几点开门")
    desk.say("转人工")
    assert desk.replies() == []
    assert desk.shop.world.kf_state(desk.account, desk.customer) == NEW
    assert (desk.chat().state, desk.chat().sent_since) == (NEW, 0)
    assert desk.story("kf_out") == []
    assert sorted((one.name, one.state) for one in shop.rows(OutboxRow)) == [
        ("SendKf", "watched"),
        ("SendKfOnEvent", "watched"),
        ("TransKf", "watched"),
    ]
    close_shop(shop)


def test_a_chat_that_is_somebody_elses_than_we_thought_is_looked_at(desk: KfDesk) -> None:
    desk.answer()
    desk.enter()
    desk.say("在吗")
    session = desk.shop.world.kf_session(desk.account, desk.customer)
    session.state, session.servicer = HUMAN, "lisi"
    desk.say("几点开门")
    assert desk.replies() == []
    assert (desk.chat().state, desk.chat().servicer) == (HUMAN, "lisi")
    assert desk.story("kf_out")[0].details["fate"] == "refused"


def test_a_chat_ends_with_its_48_hours_and_waiting_raises_an_alarm(desk: KfDesk) -> None:
    desk.enter()
    desk.say("人工")
    desk.shop.advance(minutes=12)
    desk.shop.tick()
    with desk.shop.db() as db:
        assert [one.kind for one in alarms.standing(db) if one.kind == "kf_waiting"] == ["kf_waiting"]
    desk.shop.advance(hours=49)
    desk.shop.tick()
    assert desk.chat().state == ENDED
    with desk.shop.db() as db:
        assert [one.kind for one in alarms.standing(db) if one.kind == "kf_waiting"] == []


def test_an_interaction_is_one_line_for_each_message(desk: KfDesk) -> None:
    desk.enter()
    desk.say("一")
    desk.say("二")
    assert len({one.once for one in desk.shop.rows(Interaction)}) == 3


def test_a_desk_with_a_secret_and_receiver_of_its_own_is_asked_with_it(sqlite_url: str) -> None:
    """Older corps: 微信客服 calls back at /wecom/callback/kf and is asked with its own secret."""
    world = World.small_shop(ManualClock(START), seed=7)
    ours = world.app(1000002)
    own = App(1000009, "微信客服", "kf-secret", "kftoken", AES_KEY, ours.callback_url + "/kf")
    world.add_app(own)
    receiver = {"secret": "kf-secret", "token": "kftoken", "encoding_aes_key": AES_KEY}
    shop = build_shop(sqlite_url, world, kf=receiver)
    shop.open_for_business()
    account = world.kf_account("豆子客服", ("lisi",), managers=(1000009,))
    shop.catch_up()
    desk = KfDesk(shop, account.open_kfid)
    desk.answer()
    desk.enter()
    desk.say("几点开门")
    assert desk.replies() == [HOURS]
    assert {one.agent_id for one in world.calls if one.path.startswith("kf/")} == {1000009}
    close_shop(shop)


def test_a_callback_after_which_all_was_read_asks_nothing(desk: KfDesk) -> None:
    desk.enter()
    before = len(desk.shop.world.calls_to("kf/sync_msg"))
    for number in range(10):
        desk.shop.world.kf_say(desk.account, desk.customer, f"{number}")
    desk.shop.advance(seconds=5)
    desk.shop.catch_up()
    assert len(desk.story("kf_in")) == 10
    assert len(desk.shop.world.calls_to("kf/sync_msg")) - before == 1

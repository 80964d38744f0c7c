"""Operations: what came in, what goes out, and what a person decides about it."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from storage import audit
from storage.tables import Alarm, Channel, Gate, InboxRow, JobRun, Member, OutboxRow, Person, Tag
from tests.console.acting import Counter
from tests.shop import event_xml
from wecom.commands import TellMembers, UpdateContactWay

SECRET_WORDS = "我的卡号是 6222"


@pytest.fixture
def troubled(quiet: Counter) -> Counter:
    """A shop with a set-aside event, a held and a refused call, an unknown event and a chat message."""
    shop = quiet.shop
    shop.world.scan(shop.channel("有欢迎语", text="你好").code, userid="lisi")
    shop.catch_up()
    shop.post(event_xml("enter_agent", FromUserName="lisi", CreateTime="1795342800"))
    chat = {"ToUserName": "x", "FromUserName": "lisi", "MsgType": "text", "Content": SECRET_WORDS, "CreateTime": "1"}
    shop.post("<xml>" + "".join(f"<{name}>{value}</{name}>" for name, value in chat.items()) + "</xml>")
    shop.catch_up()
    with shop.work() as work:
        first = work.db.get_one(InboxRow, 1)
        first.state, first.outcome, first.tries = "aside", "KeyError: 'x'", 3
        work.ask(TellMembers(["zhangsan"], "【提醒】"), once="tell", key="tell")
        work.ask(TellMembers(["zhangsan"], "【拒绝】"), once="tell2", key="tell2")
        work.db.flush()
        held = update(OutboxRow).where(OutboxRow.once == "tell")
        work.db.execute(held.values(state="held", outcome="the sender stopped in the middle of it"))
        refused = update(OutboxRow).where(OutboxRow.once == "tell2")
        work.db.execute(refused.values(state="refused", outcome="message/send: 接收人全部无效 (81013)", errcode=81013))
        work.db.add(Alarm(kind="silence", text="没有事件", raised_at=work.now, last_at=work.now))
        work.db.add(Alarm(kind="old", text="早就好了", raised_at=work.now, last_at=work.now, cleared_at=work.now))
    return quiet


def call_id(counter: Counter, once: str) -> int:
    (row,) = counter.shop.rows(OutboxRow, OutboxRow.once == once)
    return int(row.id)


def test_the_overview_counts_and_names_what_is_wrong(troubled: Counter) -> None:
    with troubled.shop.db() as db:
        until = troubled.shop.now() + timedelta(minutes=1)
        db.add(Gate(api="externalcontact/get_contact_way", blocked_until=until, used=0))
    page = troubled.visitor("wangwu").get("/operations").text
    for words in ("没有事件", "早就好了", "成员打开应用", "暂停到", "现有 5 名成员", "已完成"):
        assert words in page, words


def test_events_are_narrowed_by_state_and_kind(troubled: Counter) -> None:
    wangwu = troubled.visitor("wangwu")
    assert "客户添加了成员" in wangwu.get("/operations/events?state=aside").text
    assert "没有这样的事件" in wangwu.get("/operations/events?state=waiting").text
    page = wangwu.get("/operations/events?name=enter_agent").text
    assert "成员打开应用" in page
    assert "已保存，没有后续步骤" in page
    assert wangwu.get("/operations/events?state=x&name=';--&before=z").status_code == 200


def test_an_event_is_shown_as_it_came_but_for_codes_and_words(troubled: Counter) -> None:
    wangwu = troubled.visitor("wangwu")
    arrival = troubled.shop.rows(InboxRow)[0]
    code = arrival.xml.partition("<WelcomeCode><![CDATA[")[2].partition("]]>")[0]
    page = wangwu.get(f"/operations/events/{arrival.id}").text
    assert code
    assert code not in page
    assert "&lt;ExternalUserID&gt;" in page
    chat = troubled.shop.rows(InboxRow, InboxRow.name == "message.text")[0]
    assert SECRET_WORDS not in wangwu.get(f"/operations/events/{chat.id}").text
    (answer,) = troubled.shop.rows(OutboxRow, OutboxRow.name == "TellRep")
    assert SECRET_WORDS in str(answer.body)
    assert SECRET_WORDS not in wangwu.get(f"/operations/calls/{answer.id}").text
    assert wangwu.get("/operations/events/99999").status_code == 404


def test_a_set_aside_event_runs_again_and_an_audit_line_says_who_asked(troubled: Counter) -> None:
    wangwu = troubled.visitor("wangwu")
    answer = wangwu.post("/operations/events/replay", {"id": "1"}, follow_redirects=True)
    assert "1 个事件会再处理一次" in answer.text
    troubled.shop.catch_up()
    assert troubled.shop.rows(InboxRow)[0].state == "done"
    (line,) = troubled.audit("event.replay")
    assert (line.actor, line.subject, line.details) == ("wangwu", "1", {"count": 1})
    assert "没有搁置的事件" in wangwu.post("/operations/events/replay", {"id": "1"}, follow_redirects=True).text


def test_all_set_aside_events_run_again_only_when_asked_in_so_many_words(troubled: Counter) -> None:
    wangwu = troubled.visitor("wangwu")
    wangwu.post("/operations/events/replay")
    assert troubled.shop.rows(InboxRow)[0].state == "aside"
    wangwu.post("/operations/events/replay", {"all": "1"})
    assert troubled.shop.rows(InboxRow)[0].state == "waiting"


def test_a_held_call_is_sent_again_or_never_by_a_persons_word(troubled: Counter) -> None:
    wangwu = troubled.visitor("wangwu")
    held, refused = call_id(troubled, "tell"), call_id(troubled, "tell2")
    page = wangwu.get(f"/operations/calls/{held}").text
    assert "成员可能会收到两条同样的消息" in page
    assert "发到一半中断了" in page
    wangwu.post(f"/operations/calls/{held}/decide", {"decision": "perhaps"})
    assert troubled.shop.rows(OutboxRow, OutboxRow.id == held)[0].state == "held"
    wangwu.post(f"/operations/calls/{held}/decide", {"decision": "again"})
    troubled.shop.catch_up()
    sent = troubled.shop.world.calls_to("message/send")
    assert [one.body["text"]["content"] for one in sent if one.body["touser"] == "zhangsan"] == ["【提醒】"]
    wangwu.post(f"/operations/calls/{refused}/decide", {"decision": "drop"})
    assert troubled.shop.rows(OutboxRow, OutboxRow.id == refused)[0].state == "dropped"
    assert [line.subject for line in troubled.audit("call.again")] == [str(held)]
    assert [line.subject for line in troubled.audit("call.drop")] == [str(refused)]
    answer = wangwu.post(f"/operations/calls/{held}/decide", {"decision": "again"}, follow_redirects=True)
    assert "它已经有结果了" in answer.text
    assert len(troubled.audit("call.again")) == 1


def test_a_call_is_shown_without_its_code(quiet: Counter) -> None:
    channel = quiet.shop.channel("有欢迎语", text="你好")
    quiet.shop.world.scan(channel.code, userid="lisi")
    quiet.shop.catch_up()
    (row,) = quiet.shop.rows(OutboxRow, OutboxRow.name == "SendWelcome")
    page = quiet.visitor("wangwu").get(f"/operations/calls/{row.id}").text
    assert row.body["code"] not in page
    assert "你好" in page
    assert row.body["code"] not in quiet.visitor("wangwu").get("/operations/calls").text


def test_jobs_say_when_they_ran_and_when_they_are_due(counter: Counter) -> None:
    page = counter.visitor("wangwu").get("/operations/jobs").text
    for words in ("每晚核对", "每天 03:00", "每 10 秒", "还没到时间", "读入企业微信已有数据"):
        assert words in page, words


def test_members_are_read_anew_on_demand(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    quiet.shop.world.member("sunqi").in_range = False
    quiet.shop.world.members.pop("sunqi")
    answer = wangwu.post("/operations/organisation", follow_redirects=True)
    assert "读到 4 名成员，1 人已离开" in answer.text
    assert [one.userid for one in quiet.shop.rows(Member) if one.left_at] == ["sunqi"]
    (line,) = quiet.audit("organisation.read")
    assert line.details == {"members": 4, "left": ["sunqi"]}
    quiet.shop.catch_up()
    assert "sunqi" not in quiet.shop.world.contact_ways[next(iter(quiet.shop.world.contact_ways))].users


def test_when_wecom_is_away_it_says_so_and_keeps_what_is_there(quiet: Counter) -> None:
    quiet.shop.world.fail_next("department/list", -1)
    answer = quiet.visitor("wangwu").post("/operations/organisation", follow_redirects=True)
    assert "没有读到" in answer.text
    assert "原有的成员和部门没有改变" in answer.text
    assert len(quiet.audit("organisation.read_failed")) == 1


@pytest.mark.parametrize("path", ["", "/events", "/events/1", "/calls", "/calls/1", "/jobs"])
def test_only_bosses_and_operators_see_operations(counter: Counter, path: str) -> None:
    for userid, status in (("zhangsan", 200), ("wangwu", 200), ("zhaoliu", 404), ("lisi", 404)):
        assert counter.visitor(userid).get(f"/operations{path}").status_code == status


@pytest.mark.parametrize("path", ["/events/replay", "/calls/1/decide", "/organisation"])
def test_others_change_nothing(counter: Counter, path: str) -> None:
    for userid in ("zhaoliu", "lisi"):
        data = {"all": "1", "decision": "again"}
        assert counter.visitor(userid).post(f"/operations{path}", data).status_code == 404
    assert counter.audit("event.replay") == counter.audit("organisation.read") == []


def test_the_chain_of_audit_lines_holds_after_all_this(troubled: Counter) -> None:
    troubled.visitor("wangwu").post("/operations/events/replay", {"all": "1"})
    with troubled.shop.db() as db:
        assert audit.verify(db) == []


def test_what_the_machine_wrote_is_said_in_the_language_of_the_page(troubled: Counter) -> None:
    troubled.shop.tick()
    wangwu = troubled.visitor("wangwu")
    chinese, english = wangwu.get("/operations/jobs?lang=zh").text, wangwu.get("/operations/jobs?lang=en").text
    for run in troubled.shop.rows(JobRun):
        if run.ok and run.outcome and not run.outcome.startswith("left out"):
            assert run.outcome not in chinese, run.outcome
    assert "读入了" in chinese
    assert "All taken over" in english
    calls = wangwu.get("/operations/calls?lang=zh").text
    assert "事件 #1" in calls
    assert "Event #1" in wangwu.get("/operations/calls?lang=en").text


def test_a_tag_says_why_in_english_too(troubled: Counter) -> None:
    boss = troubled.visitor("zhangsan")
    person = troubled.shop.rows(Person)[0]
    tag = troubled.shop.rows(Tag)[0]
    boss.post(f"/customers/p_{person.id}/tags", {"tag": f"t_{tag.id}"})
    page = boss.get(f"/customers/p_{person.id}?lang=en").text
    assert "Scanned the channel code “有欢迎语” and added" in page or "Added by hand by" in page


def test_events_and_calls_say_whom_they_are_about(quiet: Counter) -> None:
    quiet.shop.world.scan(quiet.shop.channel("有欢迎语", text="你好").code, name="小雨", userid="lisi")
    quiet.shop.catch_up()
    (person,) = quiet.shop.rows(Person)
    wangwu = quiet.visitor("wangwu")
    link = f'href="/customers/p_{person.id}">小雨</a> · '
    (event,) = quiet.shop.rows(InboxRow)
    (greeting,) = quiet.shop.rows(OutboxRow, OutboxRow.name == "SendWelcome")
    for path in ("events", "calls", f"events/{event.id}", f"calls/{greeting.id}"):
        page = wangwu.get(f"/operations/{path}").text
        assert link in page, path
        assert '<span class="cut">李四</span>' in page, path


def test_a_call_about_a_code_names_the_code_and_a_broken_event_nobody(quiet: Counter) -> None:
    with quiet.shop.work() as work:
        channel = work.db.scalars(select(Channel).where(Channel.code == quiet.channel)).one()
        channel.name = "=门口<b>"
        work.ask(UpdateContactWay("c", ["lisi"], "x", True, channel.code, channel.id), once="way", key="way")
        arrival = {"identity": "broken", "name": "no.such", "key": "k", "lane": "events", "xml": "<xml><"}
        work.db.add(InboxRow(**arrival, due_at=work.now, event_at=work.now, received_at=work.now, state="done"))
    wangwu = quiet.visitor("wangwu")
    assert f'href="/channels/{quiet.channel}">=门口&lt;b&gt;</a>' in wangwu.get("/operations/calls").text
    assert wangwu.get("/operations/events").status_code == 200

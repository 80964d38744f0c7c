"""Answers in the console: made, tried, changed, stopped; accounts with what they say first."""

import pytest

from storage.tables import Answer, KfAccount
from tests.console.acting import Counter
from tests.handlers.kf_desk import HOURS, KfDesk, open_desk

ANSWER = {
    "name": "营业时间",
    "questions": "你们几点开门\n",
    "any": "营业时间\n关门 !关门票",
    "text": HOURS,
    "menu": "转人工\n地址",
}


@pytest.fixture
def desk(quiet: Counter) -> KfDesk:
    return open_desk(quiet.shop)


def test_an_answer_made_here_is_given_to_the_next_customer_and_counted(quiet: Counter, desk: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    assert "自动回复已保存" in wangwu.post("/answers/new", ANSWER, follow_redirects=True).text
    desk.enter()
    desk.say("请问你们几点开门呀")
    assert desk.replies() == [HOURS]
    quiet.shop.advance(minutes=1)
    page = wangwu.get("/answers").text
    assert '<td class="num">1</td>' in page
    assert "关门" in page
    assert [line.subject for line in quiet.audit("answer.create")] == ["a_1"]
    seen = wangwu.get(f"/chats/{desk.chat().id}").text
    assert "自动回复“营业时间”：说到“" in seen
    assert "转人工" in seen


def test_a_sentence_is_tried_and_told_why_there_is_no_answer(quiet: Counter, desk: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    wangwu.post("/answers/new", ANSWER)
    page = wangwu.post("/answers/try", {"text": "你们几点开门<b>"}).text
    for words in ("会回答", "营业时间", HOURS, "说到“", "你们几点开门&lt;b&gt;"):
        assert words in page, words
    assert "没有符合的答案" in wangwu.post("/answers/try", {"text": "关门票多少钱"}).text
    assert "No answer fits" in wangwu.post("/answers/try?lang=en", {"text": "在吗"}).text
    assert "对方可能也是机器人" in wangwu.post("/answers/try?lang=zh", {"text": HOURS}).text
    assert desk.story() == []


def test_two_that_fit_equally_well_are_named(quiet: Counter, desk: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    wangwu.post("/answers/new", {**ANSWER, "questions": ""})
    wangwu.post("/answers/new", {**ANSWER, "questions": "", "name": "打烊"})
    assert "几个答案同样合适：营业时间、打烊" in wangwu.post("/answers/try", {"text": "看看营业时间"}).text


def test_an_answer_is_changed_once_stopped_taken_up_and_deleted(quiet: Counter, desk: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    wangwu.post("/answers/new", ANSWER)
    form = wangwu.get("/answers/1/edit").text
    assert "关门 !关门票" in form
    assert "你们几点开门" in form
    changed = {**ANSWER, "text": "九点开门", "version": "1", "hand_over": "1"}
    assert wangwu.post("/answers/1/edit", changed).status_code == 303
    stale = wangwu.post("/answers/1/edit", changed)
    assert (stale.status_code, "你打开之后有人改过" in stale.text) == (422, True)
    for verb in ("stop", "resume", "delete"):
        assert wangwu.post(f"/answers/1/{verb}").status_code == 303
    assert [one.state for one in quiet.shop.rows(Answer)] == ["deleted"]
    assert wangwu.post("/answers/1/stop").status_code == 404
    assert wangwu.get("/answers/99/edit").status_code == 404
    assert [len(quiet.audit(f"answer.{one}")) for one in ("change", "stop", "resume", "delete")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "名称需 1–60 个字"),
        ({"text": ""}, "请填写回复的文字"),
        ({"text": "长" * 400}, "回复太长"),
        ({"menu": "\n".join("一二三四五六七八九十甲")}, "菜单最多 10 项"),
        ({"questions": "", "any": "/(a+/"}, "正则"),
        ({"questions": "", "any": ""}, "关键词"),
        ({"questions": "？"}, "每条问法需"),
        ({"place": "x"}, "0–9999"),
    ],
)
def test_a_wrong_answer_is_refused_by_name_and_what_was_typed_stays(
    quiet: Counter, desk: KfDesk, change: dict[str, str], words: str
) -> None:
    answer = quiet.visitor("wangwu").post("/answers/new", {**ANSWER, **change})
    assert (answer.status_code, words in answer.text) == (422, True)
    assert ANSWER["text"] in answer.text or "text" in change
    assert quiet.shop.rows(Answer) == []


def test_the_drawn_phone_follows_the_form(quiet: Counter) -> None:
    page = quiet.visitor("wangwu").post("/answers/preview", {**ANSWER, "text": "<script>alert(1)</script>"}).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "转人工" in page


def test_an_account_greets_as_it_was_told_and_asks_how_it_was(quiet: Counter, desk: KfDesk) -> None:
    wangwu = quiet.visitor("wangwu")
    page = wangwu.get("/answers/accounts").text
    for words in ("豆子客服", "已接通", "李四", "正在接待"):
        assert words in page, words
    form = {"text": "你好，想喝点什么", "menu": "营业时间\n转人工", "asks_satisfaction": "1"}
    assert "已保存" in wangwu.post(f"/answers/accounts/{desk.account}", form, follow_redirects=True).text
    desk.enter()
    assert desk.replies() == ["你好，想喝点什么"]
    assert quiet.shop.rows(KfAccount)[0].asks_satisfaction is True
    wangwu.post(f"/answers/accounts/{desk.account}", form)
    assert len(quiet.audit("kf_account.change")) == 1
    long = wangwu.post(f"/answers/accounts/{desk.account}", {"text": "长" * 400})
    assert (long.status_code, "欢迎语太长" in long.text, "长" * 400 in long.text) == (422, True, True)
    assert wangwu.post("/answers/accounts/wk-none", form).status_code == 404


def test_trouble_with_an_account_is_told(quiet: Counter, desk: KfDesk) -> None:
    desk.set(trouble="kf/sync_msg: <b>95012</b>", servicers={})
    page = quiet.visitor("wangwu").get("/answers/accounts").text
    assert "有故障" in page
    assert "&lt;b&gt;95012" in page
    assert "还没有接待人员" in page


def test_a_manager_looks_and_a_rep_has_no_answers(quiet: Counter, desk: KfDesk) -> None:
    manager, rep = quiet.visitor("zhaoliu"), quiet.visitor("lisi")
    quiet.visitor("wangwu").post("/answers/new", ANSWER)
    for path in ("/answers", "/answers/accounts", "/chats/report"):
        assert (manager.get(path).status_code, rep.get(path).status_code) == (200, 404), path
    assert "新建自动回复" not in manager.get("/answers").text
    for path in ("/answers/new", "/answers/1/stop", f"/answers/accounts/{desk.account}"):
        assert manager.post(path, ANSWER).status_code == 404

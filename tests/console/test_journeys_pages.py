"""Journeys in the console: clicked together from nothing, published, walked, changed only as a version, stopped."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from insight import segments
from outreach import cards
from outreach.journeys import desk, ready_made
from outreach.journeys.definition import EMPTY
from people import persons
from storage.tables import Enrolment, Journey, JourneyVersion, Material, RepCard
from tests.console.acting import Counter, FormReader, Visitor
from tests.shop import Shop

BY = "wangwu"
JOBS = ("read what happened", "keep days", "look into segments", "walk journeys")
HI = "你好 {name}，我是{rep}，豆子喝得惯吗？"


class Editor:
    """Somebody at the editor: each press sends the form as the page shows it, with what was typed since."""

    def __init__(self, visitor: Visitor, path: str) -> None:
        self.visitor, self.path = visitor, path
        self.page: TestResponse = visitor.get(path)

    def press(self, do: str, **typed: Any) -> TestResponse:
        reader = FormReader("version")
        reader.feed(self.page.text)
        self.page = self.visitor.post(self.path, {**reader.sent, **typed, "do": do})
        return self.page


def only(counter: Counter) -> Journey:
    (found,) = counter.shop.rows(Journey)
    assert isinstance(found, Journey)
    return found


def pass_time(shop: Shop, **span: float) -> None:
    shop.advance(**span)
    shop.run(*JOBS)


def arrive(counter: Counter, name: str, rep: str = "lisi") -> None:
    counter.shop.world.scan(counter.channel, name=name, userid=rep)
    counter.shop.catch_up()
    pass_time(counter.shop, seconds=30)


def made(counter: Counter, name: str = "回访", **changes: Any) -> int:
    """A live journey: after three days a card."""
    steps = [{"id": "s1", "do": "wait", "days": 3, "at": "10:00"},
             {"id": "s2", "do": "send", "ways": ["card"], "text": HI}]  # fmt: skip
    with counter.shop.work() as work:
        journey = desk.create(work, name, {**EMPTY, "steps": steps, **changes}, by=BY)
        desk.publish(work, journey, by=BY)
        return journey.id


def test_a_journey_is_clicked_together_published_walked_changed_and_stopped(fresh: Counter) -> None:
    wangwu, shop = fresh.visitor(BY), fresh.shop
    assert "还没有旅程" in wangwu.get("/journeys").text
    editor = Editor(wangwu, "/journeys/new")
    assert "还没有步骤" in editor.page.text
    editor.press("add", name="新客回访", add_do="send")
    assert "autofocus" in editor.page.text
    editor.press("add", add_do="wait", add_at="0", **{"s0-text": HI})
    assert shop.rows(Journey) == []
    editor.press("add", add_do="end", add_at="")
    editor.press("drop-2")
    saved = editor.press("save", **{"s0-number": "2", "s0-at": "10:00", "goal_kinds": ["kf_in"], "goal_days": "7"})
    assert saved.status_code == 303, saved.text
    journey = only(fresh)
    assert (journey.state, journey.draft["goal"]) == ("off", {"kinds": ["kf_in"], "days": 7})
    assert journey.draft["steps"] == [
        {"id": "s2", "do": "wait", "days": 2, "at": "10:00"},
        {"id": "s1", "do": "send", "ways": ["card"], "text": HI},
    ]
    page = wangwu.get("/journeys/1").text
    for words in ("客户一添加成员就出发", "等 2 天，到 10:00", "经成员的卡片（一键发出）说", "没有人会出发"):
        assert words in page, words
    assert f"你好 小雨，我是{shop.world.members[BY].name}，豆子喝得惯吗？" in page
    arrive(fresh, "早来的")
    assert wangwu.post("/journeys/1/publish", {"cut": "0"}).status_code == 303
    arrive(fresh, "小雨")
    page = wangwu.get("/journeys/1").text
    assert "小雨" in page
    assert "早来的" not in page
    assert "第 1 步：等一段时间" in page
    pass_time(shop, days=1)
    assert shop.rows(RepCard, RepCard.kind == "journey") == []
    pass_time(shop, days=1)
    (card,) = shop.rows(RepCard, RepCard.kind == "journey")
    assert (card.userid, card.text) == ("lisi", "你好 小雨，我是李四，豆子喝得惯吗？")
    wangwu = fresh.visitor(BY)
    assert "来过 1" in wangwu.get("/journeys/1").text

    assert wangwu.get("/journeys/1/edit").status_code == 303
    late = wangwu.post("/journeys/1/edit", {"name": "x", "do": "save", "version": "1"})
    assert (late.status_code, "请先建一个新版本" in late.text) == (422, True)
    assert "已建好新版本的草稿" in wangwu.post("/journeys/1/versions", follow_redirects=True).text
    editor = Editor(wangwu, "/journeys/1/edit")
    assert editor.press("save", **{"s0-number": "5"}).status_code == 303
    arrive(fresh, "阿哲")
    assert [one.version for one in shop.rows(Enrolment)] == [1, 1]
    assert "让他们按旧版本走完" in wangwu.get("/journeys/1?version=draft").text
    wangwu.post("/journeys/1/publish", {"cut": "1"})
    pass_time(shop, minutes=1)
    arrive(fresh, "老周")
    assert [(one.version, one.state) for one in shop.rows(Enrolment)] == [(1, "done"), (1, "left"), (2, "live")]
    assert "旧版本" in wangwu.get("/journeys/1?version=1").text
    wangwu.post("/journeys/1/stop", {"cut": "0"})
    assert only(fresh).state == "draining"
    wangwu.post("/journeys/1/stop", {"cut": "1"})
    pass_time(shop, minutes=1)
    assert [one.left_because for one in shop.rows(Enrolment)] == ["", "stopped", "stopped"]
    told = [one.action for name in ("create", "publish", "open_version", "change", "stop")
            for one in fresh.audit(f"journey.{name}")]  # fmt: skip
    assert len(told) == 7


def test_every_ready_made_one_is_chosen_once_read_tried_and_kept_by_the_editor_as_it_is(fresh: Counter) -> None:
    boss, shop = fresh.visitor("zhangsan"), fresh.shop
    for one in ready_made.READY:
        assert boss.post(f"/journeys/ready/{one.key}").status_code == 303
        boss.post(f"/journeys/ready/{one.key}")
    rows = shop.rows(Journey)
    assert [one.ready_made for one in rows] == [one.key for one in ready_made.READY]
    page = boss.get("/journeys").text
    assert page.count("已选用") == len(ready_made.READY)
    assert "/journeys/ready/" not in page
    assert f'class="chosen nowrap" href="/journeys/{rows[0].id}"' in page
    for row in rows:
        for more in ("", "/dry-run"):
            for language in ("zh", "en"):
                assert boss.get(f"/journeys/{row.id}{more}?lang={language}").status_code == 200, (row.name, more)
        assert boss.sends_as_it_is(f"/journeys/{row.id}/edit", do="save").status_code == 303
    assert [one.draft for one in shop.rows(Journey)] == [one.draft for one in rows]
    assert boss.post("/journeys/ready/none").status_code == 404


def test_a_draft_that_was_never_published_is_thrown_away_and_may_be_chosen_again(fresh: Counter) -> None:
    boss, shop = fresh.visitor("zhangsan"), fresh.shop
    boss.post("/journeys/ready/welcome")
    assert "扔掉这个草稿" in boss.get("/journeys/1").text
    page = boss.post("/journeys/1/discard", follow_redirects=True).text
    assert "草稿已扔掉" in page
    assert "/journeys/ready/welcome" in page
    assert shop.rows(Journey) == []
    assert [(one.action, one.details["name"]) for one in fresh.audit("journey.discard")] == [
        ("journey.discard", "新客跟进（第 1、3、7 天）")
    ]
    live = made(fresh)
    assert "扔掉这个草稿" not in boss.get(f"/journeys/{live}").text
    assert "已经发布过，不能扔掉" in boss.post(f"/journeys/{live}/discard", follow_redirects=True).text
    assert len(shop.rows(Journey)) == 1
    assert fresh.visitor("lisi").post(f"/journeys/{live}/discard").status_code == 404


def test_without_a_control_group_it_is_said_that_nothing_can_be_said_and_how_to_get_one(fresh: Counter) -> None:
    boss, goal = fresh.visitor("zhangsan"), {"kinds": ["kf_in"], "days": 7}
    page = boss.get(f"/journeys/{made(fresh, goal=goal)}").text
    assert "没有留对照组，就说不出旅程有没有用" in page
    assert "才给出结果" not in page
    page = boss.get(f"/journeys/{made(fresh, '有对照', goal=goal, control=1000)}").text
    assert "没有留对照组，就" not in page
    assert "才给出结果" in page
    assert "没有设目标，就没有可以比较的" in boss.get(f"/journeys/{made(fresh, '没目标')}").text


FULL: dict[str, Any] = {
    "trigger": {"on": "schedule", "every": "month", "days": [1, 31], "at": "09:30"},
    "again": {"rule": "after", "days": 60},
    "exits": {"kinds": ["group_left", "opted_out"], "no_match": True},
    "goal": {"kinds": ["opened"], "days": 20},
    "control": 1250,
    "service": True,
    "priority": 77,
    "max_days": 40,
}


def test_whatever_a_program_wrote_comes_back_from_the_editor_as_it_was(fresh: Counter) -> None:
    shop, wangwu = fresh.shop, fresh.visitor(BY)
    with shop.work() as work:
        segment = segments.create(work, "聊过的", {"field": "last_talk_days", "op": "<=", "value": 30}, by=BY)
        listed = segments.create(work, "老客名单", {"all": []}, by=BY, kind="static")
        work.db.add(Material(id=5, name="菜单", kind="link", contents=[{"name": "a", "title": "菜单", "url": "https://x.cn/m"}],
                             made_by=BY, made_at=work.now, changed_at=work.now))  # fmt: skip
        deep = {"any": [{"not": {"field": "opted_out", "op": "is", "value": True}}, dict(segment.filter)]}
        tag = f"t_{fresh.tag_id}"
        steps: list[dict[str, Any]] = [
            {"id": "a", "do": "window", "from": "09:00", "to": "03:00", "working_days": True},
            {"id": "b", "do": "wait", "hours": 5},
            {"id": "c", "do": "branch", "ways": [
                {"if": dict(segment.filter), "to": "d"},
                {"if": {"field": "list", "op": "is", "value": f"s_{listed.id}"}, "to": "end"},
                {"if": deep, "to": "e"}], "otherwise": "f"},
            {"id": "d", "do": "wait_for", "kinds": ["kf_in", "opened"], "days": 4, "then": "end", "otherwise": "f"},
            {"id": "e", "do": "send", "ways": ["card", "mass"], "text": "两行\n看看 {link:5}", "at": "10:00",
             "late_hours": 24, "late": "skip", "next": "g",
             "attachments": [{"kind": "link", "title": "“菜单” <b>", "url": "https://x.cn/m"}]},
            {"id": "f", "do": "split",
             "arms": [{"name": "甲", "share": 1250, "to": "g"}, {"name": "乙", "share": 8750}]},
            {"id": "g", "do": "task", "text": "问问 {name}", "days": 2},
            {"id": "h", "do": "tag", "add": [tag], "remove": []},
            {"id": "m", "do": "send", "ways": ["kf", "card"], "text": "{name}，在吗"},
            {"id": "i", "do": "webhook", "url": "https://x.cn/hook"},
            {"id": "j", "do": "goal"},
            {"id": "k", "do": "wait", "minutes": 30, "next": "b"},
            {"id": "l", "do": "end"},
        ]  # fmt: skip
        steps[7].pop("remove")
        journey = desk.create(work, "什么都有", {**FULL, "who": deep, "steps": steps}, by="key:pos")
        definition = dict(journey.draft)
    saved = wangwu.sends_as_it_is("/journeys/1/edit", do="save")
    assert saved.status_code == 303, saved.text
    assert only(fresh).draft == definition
    page = wangwu.get("/journeys/1").text
    for words in ("每月 1、31 日 09:30", "以下至少符合一个", "12.5%", "在名单里", "去第 5 步", "否则：去第 6 步",
                  "没有路通到这一步", "晚了就不说，最多晚 24 小时", "附件 1 个", "只在工作日",
                  "不行就经成员的卡片"):  # fmt: skip
        assert words in page, words
    refused = wangwu.post("/journeys/1/publish", follow_redirects=True).text
    assert "第 13 步：没有路通到这一步" in refused
    assert shop.rows(JourneyVersion) == []


def test_every_fault_stands_beside_its_step_and_what_was_typed_stays(fresh: Counter) -> None:
    editor = Editor(fresh.visitor(BY), "/journeys/new")
    for do in ("wait", "send", "split", "branch", "wait_for", "tag"):
        editor.press("add", add_do=do, add_at="")
    page = editor.press(
        "save", name="", on="stage", control="80", again="each", priority="viel",
        **{"s0-number": "bald", "s1-text": "{name}你好", "s1-way0": "mass", "s2-p0-share": "90", "s4-kinds": []},
    )  # fmt: skip
    assert page.status_code == 422
    faults = ("请至少选一项", "应是 0–365 的整数（等多久）", "群发任务对所有人是同一段文字，只能用 {rep}",
              "请填 0–50 的整数",
              "各组的百分比合起来应是 100", "请选一个分层作条件", "请选要加或要去掉的标签",
              "应是 1–100 的整数（优先级，大的先）")  # fmt: skip
    for words in faults:
        assert words in page.text, words
    assert page.text.count('class="step-card sheet wrong"') == 6
    for typed in ('value="bald"', "{name}你好", 'value="viel"', 'value="80"'):
        assert typed in page.text, typed
    assert fresh.shop.rows(Journey) == []
    english = fresh.visitor(BY).post("/journeys/new?lang=en", {"name": "", "do": "save"})
    assert (english.status_code, "1–60" in english.text) == (422, True)


def test_steps_move_lose_what_led_to_them_and_take_attachments_from_the_library(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        work.db.add(Material(id=5, name="菜单", kind="link", contents=[{"name": "a", "title": "菜单", "url": "https://x.cn/m"}],
                             made_by=BY, made_at=work.now, changed_at=work.now))  # fmt: skip
    editor = Editor(fresh.visitor(BY), "/journeys/new")
    for do in ("wait", "send", "task"):
        editor.press("add", name="动", add_do=do, add_at="")
    editor.press("show", **{"s0-next": "s3", "s1-text": "看看", "s2-text": "问问"})
    editor.press("pin-1", **{"s1-pin": "5"})
    assert "x.cn/m" in editor.page.text
    editor.press("up-2")
    editor.press("drop-1")
    saved = editor.press("save")
    assert saved.status_code == 303, saved.text
    wait, send = only(fresh).draft["steps"]
    assert "next" not in wait
    (row,) = send["attachments"]
    assert (row["kind"], row["url"]) == ("link", "https://x.cn/m")


def test_a_form_that_nobody_of_ours_sends_breaks_nothing(fresh: Counter) -> None:
    wangwu = fresh.visitor(BY)
    odd: list[dict[str, Any]] = [
        {"s0-do": "send", "s0-id": "s1", "s0-attachments": '[5, {"media": {"a": 1}}, {"kind": "x", "media": 1e400}]'},
        {"s0-do": "send", "s0-id": "s1", "s0-attachments": f'[{{"kind": "image", "media": {10**30}}}]'},
        {"s0-do": "branch", "s0-id": "s1", "s0-p0-to": "end", "s0-p0-if": "kept", "s0-p0-kept": '{"all": [[]]}'},
        {"s0-do": "dance", "s0-id": "../", "who": "kept", "who_kept": "{" * 5000, "segment": "9" * 19},
        {"on": "nothing", "again": "never?", "every": "year", "weekdays": ["9", "x"], "around": "x", "at": "99:99"},
    ]
    for form in odd:
        for do in ("save", "show", "add", "up-0", "drop-9", "part-0", "unpart-0-7", "pin-0", "unpin-0-3", "x--"):
            answer = wangwu.post("/journeys/new", {"name": "x", "add_do": "wait", **form, "do": do})
            assert answer.status_code in (200, 422, 303), (form, do)
        assert wangwu.post("/journeys/preview", form).status_code == 200
    assert {one.state for one in fresh.shop.rows(Journey)} <= {"off"}


def test_who_opened_before_a_change_overwrites_nothing(fresh: Counter) -> None:
    fresh.visitor("zhangsan").post("/journeys/ready/birthday")
    first, second = (Editor(fresh.visitor(one), "/journeys/1/edit") for one in ("zhangsan", BY))
    assert first.press("save", name="先改的").status_code == 303
    late = second.press("save", name="后改的")
    assert (late.status_code, "有人改过它" in late.text) == (422, True)
    assert only(fresh).name == "先改的"


def test_a_manager_sees_the_journey_and_only_who_of_it_is_theirs_and_a_rep_nothing(fresh: Counter) -> None:
    journey = made(fresh)
    arrive(fresh, "小雨", "lisi")
    arrive(fresh, "阿明", "sunqi")
    pass_time(fresh.shop, days=3)
    boss, manager, rep = (fresh.visitor(one) for one in ("zhangsan", "zhaoliu", "lisi"))
    page = manager.get(f"/journeys/{journey}").text
    assert "阿明" in page
    assert "小雨" not in page.replace("你好 小雨", "")
    assert "来过" not in page
    assert "数的是你和下属的客户" in page
    assert 'figure-number">1<' in page
    for gone in ("发布", "停止这个旅程", "用上个月试一试"):
        assert gone not in page, gone
    assert manager.get(f"/journeys/{journey}/edit").status_code == 404
    assert manager.post(f"/journeys/{journey}/stop", {"cut": "1"}).status_code == 404
    assert rep.get(f"/journeys/{journey}").status_code == 404
    assert "来过 2" in boss.get(f"/journeys/{journey}").text


def test_a_customers_page_says_why_they_set_out_what_is_next_and_why_they_left(fresh: Counter) -> None:
    journey = made(fresh, exits={"kinds": ["group_left"], "no_match": False}, control=0)
    arrive(fresh, "小雨")
    (enrolment,) = fresh.shop.rows(Enrolment)
    boss = fresh.visitor("zhangsan")
    page = boss.get(f"/customers/p_{enrolment.person_id}").text
    for words in ("出发是因为添加成员", "第 1 步：等一段时间", "11月25日 10:00"):
        assert words in page, words
    assert "出发是因为" not in fresh.visitor("lisi").get(f"/customers/p_{enrolment.person_id}").text
    assert "Step 1: Wait some time" in boss.get(f"/customers/p_{enrolment.person_id}?lang=en").text
    with fresh.shop.work() as work:
        persons.tell(work, enrolment.person_id, "group_left", fresh.shop.now(), once="t:1", details={})
    pass_time(fresh.shop, seconds=30)
    boss = fresh.visitor("zhangsan")
    assert "离开是因为客户离开客户群" in boss.get(f"/customers/p_{enrolment.person_id}").text
    assert "离开了：客户离开客户群 1" in boss.get(f"/journeys/{journey}").text
    shown = boss.get(f"/journeys/{journey}?state=left").text
    assert "小雨" in shown
    assert "没有这样的客户" in boss.get(f"/journeys/{journey}?state=live").text


def test_what_only_lies_with_a_rep_does_not_read_as_done_and_the_story_names_the_journey(fresh: Counter) -> None:
    steps = [{"id": "s1", "do": "task", "text": "打个电话"},
             {"id": "s2", "do": "send", "ways": ["card"], "text": HI}]  # fmt: skip
    journey = made(fresh, "回访新客", steps=steps)
    arrive(fresh, "小雨")
    pass_time(fresh.shop, days=1)
    boss = fresh.visitor("zhangsan")
    page = boss.get(f"/journeys/{journey}").text
    assert "已放进成员的清单 1" in page
    assert "成员已发出" not in page
    with fresh.shop.work() as work:
        card = work.db.query(RepCard).filter_by(kind="journey").one()
        assert cards.sent(work, card, HI, by="lisi")
        person_id = card.person_id
    assert "成员已发出 1" in boss.get(f"/journeys/{journey}").text
    story = boss.get(f"/customers/p_{person_id}").text
    assert "李四 发了消息（旅程“回访新客”）" in story
    assert "李四 记下待办（旅程“回访新客”）" in story


def test_a_mass_task_that_waits_says_for_whom_it_waits(fresh: Counter) -> None:
    steps = [{"id": "s1", "do": "send", "ways": ["mass"], "text": "有空来坐坐，{rep}"}]
    journey = made(fresh, steps=steps)
    arrive(fresh, "小雨")
    assert "等着安排群发任务 1" in fresh.visitor("zhangsan").get(f"/journeys/{journey}").text


@pytest.mark.parametrize("asked", ["version=9", "version=draft", "version=x"])
def test_a_version_that_is_not_there_is_no_page(fresh: Counter, asked: str) -> None:
    journey = made(fresh)
    expected = 200 if asked == "version=draft" else 404
    assert fresh.visitor("zhangsan").get(f"/journeys/{journey}?{asked}").status_code == expected


def test_the_dry_run_tells_last_month_by_day_and_why_not(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    boss.post("/journeys/ready/welcome")
    page = boss.get("/journeys/1/dry-run").text
    assert 'figure-number">5<' in page
    assert "11月22日" in page
    assert "100%" in page
    assert 'href="/journeys/1/edit"' in page
    assert 'href="/journeys/1?version=draft#publish"' in page
    assert 'id="publish"' in boss.get("/journeys/1?version=draft").text
    assert fresh.shop.rows(Enrolment) == []
    with fresh.shop.work() as work:
        desk.create(work, "空的", EMPTY, by=BY)
    page = boss.get("/journeys/2/dry-run").text
    assert "至少要有一步" in page
    assert "#publish" not in page
    assert "建新版本" in boss.get(f"/journeys/{made(fresh)}/dry-run").text

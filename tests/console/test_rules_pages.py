"""Tags and rules in the console: made, tried before saving, followed, undone; renamed and deleted tags."""

from datetime import timedelta

import pytest

from people import persons
from storage.tables import Person, PersonTag, Tag, TagGround, TagRule
from storage.work import Work
from tagging import rule_work, rules
from tagging.rules import Words
from tests.console.acting import REPS, SEEN_BY, Counter

RULE = {
    "name": "问价",
    "any": "多少钱\n价格 !价格表",
    "none": "不谈价格",
    "guard": "1",
    "new_tags": "意向/问价",
    "do": "save",
}


def say(counter: Counter, text: str, external: str = "wm1") -> None:
    with counter.shop.work() as work:
        told(work, persons.person_of(work, external), text)


def told(work: Work, person: Person, text: str) -> None:
    """Words of a customer, heard by the rules."""
    own = {"person_id": person.id, "userid": None, "kind": "kf_in", "at": work.now}
    line = persons.told(work, {**own, "details": {"text": text}, "once": f"{person.id}:{text}"})
    assert line is not None
    rules.hear(work, person, Words(text, line, rules.KF, work.now))


@pytest.fixture
def ruled(quiet: Counter) -> Counter:
    quiet.visitor("wangwu").post("/rules/new", RULE)
    assert [one.name for one in quiet.shop.rows(TagRule)] == ["问价"]
    return quiet


def test_a_rule_is_made_and_says_what_it_does(ruled: Counter) -> None:
    (rule,) = ruled.shop.rows(TagRule)
    assert rule.definition["any_keywords"][1]["exclude"] == ["价格表"]
    say(ruled, "这件多少钱")
    page = ruled.visitor("wangwu").get(f"/rules/{rule.id}").text
    for words in ("这件<mark>多少钱</mark>", "不谈价格", "问价", "第 1 版", "前面直接是“不、没、没有、别”时不算"):
        assert words in page, words
    assert [line.subject for line in ruled.audit("rule.create")] == [f"r_{rule.id}"]


def test_a_sentence_is_tried_before_saving_and_nothing_is_kept(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    page = wangwu.post("/rules/new", {**RULE, "do": "try", "text": "有价格表吗，多少钱"}).text
    assert "在排除词“价格表”里" in page
    assert "<mark>多少钱</mark>" in page
    assert quiet.shop.rows(TagRule) == []


def test_the_last_thirty_days_are_tried_before_saving(quiet: Counter) -> None:
    say(quiet, "你好，多少钱呀")
    say(quiet, "几点开门", "wm2")
    page = quiet.visitor("wangwu").post("/rules/new", {**RULE, "do": "preview"}).text
    assert "看了 2 条客户的话，命中 1 条，1 人会有这个标签，其中 0 人已有。" in page
    assert quiet.shop.rows(PersonTag) == []


def test_a_changed_rule_keeps_its_versions(ruled: Counter) -> None:
    wangwu = ruled.visitor("wangwu")
    (rule,) = ruled.shop.rows(TagRule)
    assert "价格 !价格表" in wangwu.get(f"/rules/{rule.id}/edit").text
    changed = {**RULE, "any": "怎么卖", "new_tags": "", "tags": "意向/问价", "version": "1"}
    assert "第 2 版" in wangwu.post(f"/rules/{rule.id}/edit", changed, follow_redirects=True).text
    assert wangwu.post(f"/rules/{rule.id}/edit", changed).status_code == 422  # opened before the change


def test_a_wrong_rule_keeps_what_was_typed_and_says_what_is_wrong(quiet: Counter) -> None:
    answer = quiet.visitor("wangwu").post("/rules/new", {**RULE, "any": "/(a+/", "new_tags": "问价"})
    assert answer.status_code == 422
    assert "新标签写作 组/标签" in answer.text
    answer = quiet.visitor("wangwu").post("/rules/new", {**RULE, "any": "/(a+/"})
    assert "正则" in answer.text
    assert "/(a+/" in answer.text


def test_undo_and_backfill_are_seen_under_way_and_done(ruled: Counter) -> None:
    (rule,) = ruled.shop.rows(TagRule)
    say(ruled, "多少钱")
    wangwu = ruled.visitor("wangwu")
    assert "正在收回" in wangwu.post(f"/rules/{rule.id}/undo", follow_redirects=True).text
    ruled.shop.advance(seconds=6)
    ruled.shop.tick()
    assert ruled.shop.rows(PersonTag) == []
    assert "已收回" in wangwu.get(f"/rules/{rule.id}").text
    wangwu.post(f"/rules/{rule.id}/resume")
    wangwu.post(f"/rules/{rule.id}/backfill")
    assert [one.action for one in ruled.audit("rule.undo") + ruled.audit("rule.backfill")] == [
        "rule.undo",
        "rule.backfill",
    ]


def test_a_second_rule_of_a_name_is_refused_and_the_error_is_reached_from_the_top(ruled: Counter) -> None:
    wangwu = ruled.visitor("wangwu")
    refused = wangwu.post("/rules/new", {**RULE, "new_tags": ""})
    assert refused.status_code == 422
    assert '<a href="#f-name">已有一条规则叫“问价”' in refused.text
    assert '<a href="#f-tags">请选 1–20 个标签' in refused.text
    assert refused.text.index('id="e-tags"') < refused.text.index('id="f-new_tags"')
    assert len(ruled.shop.rows(TagRule)) == 1


def test_a_word_of_one_character_is_called_weak_while_trying_and_when_saved(quiet: Counter) -> None:
    wangwu, weak = quiet.visitor("wangwu"), {**RULE, "any": "贵"}
    for do in ("try", "preview", "save"):
        page = wangwu.post("/rules/new", {**weak, "do": do, "text": "太贵了"}, follow_redirects=True).text
        assert "“贵”只有一个字" in page, do


def version_time(page: str) -> str:
    return page.split("现在的版本")[1].split('figure-of">')[1].split("<")[0]


def test_hits_stand_by_when_it_was_said_and_the_version_keeps_its_time(ruled: Counter) -> None:
    (rule,) = ruled.shop.rows(TagRule)
    wangwu = ruled.visitor("wangwu")
    with ruled.shop.work() as work:
        person = persons.person_of(work, "wm1")
        for n, days in enumerate((1, 3, 2)):
            at = work.now - timedelta(days=days)
            row = {"person_id": person.id, "userid": None, "kind": "kf_in", "at": at, "once": f"said:{n}"}
            line = persons.told(work, {**row, "details": {"text": f"前{days}天多少钱"}})
            assert line is not None
            rules.hear(work, person, Words(f"前{days}天多少钱", line, rules.KF, at))
        found, before = rule_work.hits(work.db, rule.id, Person.id.is_not(None), limit=2)
        found += rule_work.hits(work.db, rule.id, Person.id.is_not(None), limit=2, before=before)[0]
        assert [one.evidence["quote"] for one in found] == [f"前{n}天多少钱" for n in (1, 2, 3)]
    made = version_time(wangwu.get(f"/rules/{rule.id}").text)
    ruled.shop.advance(hours=1)
    wangwu.post(f"/rules/{rule.id}/stop")
    assert version_time(wangwu.get(f"/rules/{rule.id}").text) == made


def test_the_list_says_so_when_nobody_talked_yesterday(ruled: Counter) -> None:
    assert "昨天没有客户聊过" in ruled.visitor("wangwu").get("/rules").text
    say(ruled, "多少钱")
    ruled.shop.advance(hours=24)
    assert "规则听得到 1 / 1 位" in ruled.visitor("wangwu").get("/rules").text


def test_a_tag_by_a_rule_can_be_given_by_hand_too_and_names_the_rule(ruled: Counter) -> None:
    say(ruled, "多少钱")
    (rule,), (person,) = ruled.shop.rows(TagRule), ruled.shop.rows(Person)
    (tag,) = [one for one in ruled.shop.rows(Tag) if one.name == "问价"]
    wangwu = ruled.visitor("wangwu")
    page = wangwu.get(f"/customers/p_{person.id}").text
    assert "问价（已有，由规则）</option>" in page
    assert "规则“问价” 添加了标签 意向/问价" in page
    assert f'<a href="/rules/{rule.id}">问价</a> 第 1 版' in page
    wangwu.post(f"/customers/p_{person.id}/tags", {"tag": f"t_{tag.id}"})
    assert len(ruled.shop.rows(TagGround)) == 2
    assert "（已有" not in wangwu.get(f"/customers/p_{person.id}").text


def test_tags_are_made_renamed_and_deleted(ruled: Counter) -> None:
    say(ruled, "多少钱")
    wangwu = ruled.visitor("wangwu")
    (tag,) = [one for one in ruled.shop.rows(Tag) if one.name == "问价"]
    assert "问价" in wangwu.get("/tags").text
    wangwu.post(f"/tags/{tag.id}/rename", {"name": "问过价"})
    wangwu.post("/tags/new", {"group": "意向", "name": "下单"})
    refused = wangwu.post(f"/tags/{tag.id}/rename", {"name": "下单"})
    assert (refused.status_code, "已有同名标签" in refused.text) == (422, True)
    assert "1 人不再有它" in wangwu.post(f"/tags/{tag.id}/delete", follow_redirects=True).text
    assert ruled.shop.rows(PersonTag) == []


def test_a_manager_sees_whom_a_rule_met_of_their_own_and_no_number_whole(fresh: Counter) -> None:
    fresh.visitor("wangwu").post("/rules/new", RULE)
    (rule,) = fresh.shop.rows(TagRule)
    with fresh.shop.work() as work:
        for rep, person_id in fresh.people.items():
            told(work, work.db.get_one(Person, person_id), f"{rep}那款多少钱 13812345678")
    page, boss = (fresh.visitor(one).get(f"/rules/{rule.id}").text for one in ("zhaoliu", "zhangsan"))
    for rep in REPS:
        mine = rep in SEEN_BY["zhaoliu"]
        assert (f"{rep}那款" in page, f"{rep}的客人" in page, f"{rep}那款" in boss) == (mine, mine, True), rep
    assert "上面的数字是全店的" in page
    assert "全店" not in boss
    assert "13812345678" not in page + boss
    assert "138****5678" in page
    assert "全店" in fresh.visitor("zhaoliu").get("/rules").text


def test_a_manager_looks_and_a_rep_sees_no_rules(ruled: Counter) -> None:
    manager, rep = ruled.visitor("zhaoliu"), ruled.visitor("lisi")
    (rule,) = ruled.shop.rows(TagRule)
    assert manager.get("/rules").status_code == 200
    assert manager.post(f"/rules/{rule.id}/undo").status_code == 404
    assert rep.get("/rules").status_code == 404
    assert rep.get("/tags").status_code == 404

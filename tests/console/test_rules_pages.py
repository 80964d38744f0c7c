"""Tags and rules in the console: made, tried before saving, followed, undone; renamed and deleted tags."""

import pytest

from people import persons
from storage.tables import Person, PersonTag, Tag, TagRule
from storage.work import Work
from tagging import rules
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
    for words in ("这件多少钱", "不谈价格", "问价", "第 1 版"):
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
    assert "看了 2 条客户的话，命中 1 条，1 人会有这个标签。" in page
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

"""Segments in the console: written like sentences, counted while written, kept, frozen, exported; the life cycle."""

from typing import Any

import pytest

from insight import segments
from people import consent
from storage.tables import Person, Segment, SegmentMember
from tests.console.acting import Counter

FORM = {"name": "来自渠道的", "kind": "live", "mode": "all", "b0-mode": "all", "do": "save"}


def line(number: str, field: str, op: str, **more: Any) -> dict[str, Any]:
    """The fields of one condition."""
    return {f"b{number}-field": field, f"b{number}-op": op, **{f"b{number}-{name}": one for name, one in more.items()}}


def from_channel(counter: Counter) -> dict[str, Any]:
    return {**FORM, **line("0-0", "channel", "has_any", names=[counter.channel])}


@pytest.fixture
def made(fresh: Counter) -> Counter:
    """A shop with one segment: everybody who came over the code, five people."""
    assert fresh.visitor("wangwu").post("/segments/new", from_channel(fresh)).status_code == 303
    return fresh


def only(counter: Counter) -> Segment:
    (found,) = counter.shop.rows(Segment)
    assert isinstance(found, Segment)
    return found


def test_a_segment_is_made_and_reads_like_a_sentence(made: Counter) -> None:
    segment = only(made)
    assert segment.filter == {"all": [{"field": "channel", "op": "has_any", "value": [made.channel]}]}
    assert segment.size == 5
    page = made.visitor("wangwu").get(f"/segments/{segment.id}").text
    assert "来自渠道有其中任何一个：抖音直播间" in page
    assert page.count("的客人</a>") == 5
    assert "来自渠道有其中任何一个" in made.visitor("wangwu").get("/segments").text
    assert [one.subject for one in made.audit("segment.create")] == ["s_1"]


def test_the_count_follows_what_is_written_and_keeps_nothing(fresh: Counter) -> None:
    wangwu = fresh.visitor("wangwu")
    form = from_channel(fresh)
    assert 'counted-number num">5<' in wangwu.post("/segments/count", form).text
    none = {**form, "b0-mode": "none"}
    assert 'counted-number num">0<' in wangwu.post("/segments/count", none).text
    unfinished = {**FORM, **line("0-0", "channel", "has_any")}
    assert "还没有写完" in wangwu.post("/segments/count", unfinished).text
    page = wangwu.post("/segments/new", {**form, "do": "count"})
    assert 'counted-number num">5<' in page.text
    assert fresh.shop.rows(Segment) == []


def test_conditions_and_groups_come_and_go_without_script(fresh: Counter) -> None:
    wangwu = fresh.visitor("wangwu")
    form = from_channel(fresh)
    page = wangwu.post("/segments/new", {**form, "do": "add-0", "add-0-field": "last_talk_days"}).text
    assert 'name="b0-1-field" value="last_talk_days"' in page
    assert 'value="<=" selected' in page.replace("&lt;", "<")
    page = wangwu.post("/segments/new", {**form, "do": "block"}).text
    assert 'name="b1-mode"' in page
    page = wangwu.post("/segments/new", {**form, "do": "drop-0-0"}).text
    assert "还没有条件：所有客户都算。" in page


def test_two_groups_are_joined_as_written_and_come_back_as_they_were(fresh: Counter) -> None:
    wangwu = fresh.visitor("wangwu")
    form = {**from_channel(fresh), "mode": "any", "b1-mode": "none", **line("1-0", "last_talk_days", "<=", days="30"),
            **line("1-1", "behaviour", ">=", names=["group_joined"], days="7", times="2")}  # fmt: skip
    wangwu.post("/segments/new", form)
    segment = only(fresh)
    assert list(segment.filter) == ["any"]
    assert segment.filter["any"][1] == {
        "not": {
            "any": [
                {"field": "last_talk_days", "op": "<=", "value": 30},
                {"field": "behaviour", "op": ">=", "value": {"kinds": ["group_joined"], "times": 2, "days": 7}},
            ]
        }
    }
    page = wangwu.get(f"/segments/{segment.id}/edit").text
    for words in ('name="b1-1-field" value="behaviour"', 'name="mode"', 'value="none" selected'):
        assert words in page, words
    again = {**form, "version": "1"}
    wangwu.post(f"/segments/{segment.id}/edit", again)
    assert only(fresh).version == 1


def test_a_wrong_line_says_so_beside_it_and_keeps_what_was_typed(fresh: Counter) -> None:
    form = {**from_channel(fresh), "name": "", **line("0-1", "last_talk_days", "<=", days="bald")}
    form |= line("0-2", "tag", "has_any")
    form |= line("0-3", "arrival_days", "between", **{"from": "2026-11-02", "to": "2026-11-01"})
    answer = fresh.visitor("wangwu").post("/segments/new", form)
    assert answer.status_code == 422
    for words in (
        "应是天数：0–3650 的整数",
        "请至少选一项",
        "结束日期不能早于开始日期",
        "名称需 1–60 个字",
        'value="bald"',
    ):
        assert words in answer.text, words
    english = fresh.visitor("wangwu").post("/segments/new?lang=en", form).text
    for words in ("must be a number of days, 0–3650", "Choose at least one", "the last day cannot be before the first"):
        assert words in english, words


def test_a_filter_that_only_programs_write_is_edited_as_json(made: Counter) -> None:
    tag = {"field": "opted_out", "op": "is", "value": True}
    with made.shop.work() as work:
        deep = {"all": [{"any": [tag, {"all": [tag, {"not": tag}]}]}]}
        one = segments.create(work, "很深", deep, by="key:pos")
    wangwu = made.visitor("wangwu")
    page = wangwu.get(f"/segments/{one.id}/edit").text
    assert 'name="raw"' in page
    assert "不再接收消息" in wangwu.get(f"/segments/{one.id}").text
    form = {"name": "很深", "version": "1", "do": "save"}
    wrong = wangwu.post(f"/segments/{one.id}/edit", {**form, "raw": '{"all": [{"any": []}]}'})
    assert (wrong.status_code, "filter.all[0].any" in wrong.text) == (422, True)
    assert "这不是 JSON" in wangwu.post(f"/segments/{one.id}/edit", {**form, "raw": "{"}).text
    assert wangwu.post(f"/segments/{one.id}/edit", {**form, "raw": '{"all": []}'}).status_code == 303


def test_who_opened_before_a_change_overwrites_nothing(made: Counter) -> None:
    wangwu = made.visitor("wangwu")
    form = {**from_channel(made), "name": "新名字", "version": "1"}
    assert wangwu.post("/segments/1/edit", form).status_code == 303
    late = wangwu.post("/segments/1/edit", {**form, "name": "又一个"})
    assert (late.status_code, "有人改过这个分层" in late.text) == (422, True)
    assert only(made).name == "新名字"


def test_a_list_is_fixed_and_can_be_asked_for(made: Counter) -> None:
    wangwu = made.visitor("wangwu")
    wangwu.post("/segments/1/snapshot", {"name": "今天的"})
    taken = made.shop.rows(Segment)[1]
    assert (taken.kind, taken.size, made.count(SegmentMember)) == ("static", 5, 5)
    assert "已有同名的分层" in wangwu.post("/segments/1/snapshot", {"name": "今天的"}, follow_redirects=True).text
    assert "只能改名称" in wangwu.get(f"/segments/{taken.id}/edit").text
    form = {**FORM, "name": "不在今天的", **line("0-0", "list", "not_in", names=[f"s_{taken.id}"])}
    page = wangwu.post("/segments/new", form, follow_redirects=True).text
    assert "在名单里不是其中任何一个：今天的" in page
    wangwu.post(f"/segments/{taken.id}/delete")
    assert made.count(SegmentMember) == 0
    assert "今天的（已不在）" not in page


def test_a_manager_sees_only_their_own_and_a_rep_nothing(made: Counter) -> None:
    manager, rep = made.visitor("zhaoliu"), made.visitor("lisi")
    page = manager.get("/segments/1").text
    assert page.count("的客人</a>") == 2
    assert "其中你能看到的" in page
    assert manager.get("/segments/1/edit").status_code == 404
    assert manager.post("/segments/count", FORM).status_code == 404
    assert manager.get("/segments/1/export").status_code == 404
    assert rep.get("/segments").status_code == 404
    assert '<td class="num nowrap">–</td>' in manager.get("/segments").text


def test_an_export_is_noted_and_hides_phones(made: Counter) -> None:
    boss = made.visitor("zhangsan")
    assert "将导出 5 人" in boss.get("/segments/1/export").text
    assert boss.post("/segments/1/export", {"reason": ""}).status_code == 422
    rows = boss.post("/segments/1/export", {"reason": "十一月回访"}).text.splitlines()
    assert len(rows) == 6
    assert "138****" in rows[1]
    (told,) = made.audit("customers.export")
    assert (told.subject, told.details["count"], told.details["reason"]) == ("s_1", 5, "十一月回访")


def test_the_life_cycle_is_shown_everywhere_with_its_reason(made: Counter) -> None:
    made.shop.advance(minutes=11)
    made.shop.tick()
    boss = made.visitor("zhangsan")
    page = boss.get("/segments/life-cycle").text
    assert page.count('class="figure-number num">5<') == 1
    assert "第一次添加，未满 30 天" in made.page_of("zhangsan", "lisi")
    english = boss.get(f"/customers/p_{made.people['lisi']}?lang=en").text
    assert "First added" in english
    assert boss.get("/segments/life-cycle/new").text.count("的客人</a>") == 5
    assert made.visitor("zhaoliu").get("/segments/life-cycle/new").text.count("的客人</a>") == 2
    assert boss.get("/segments/life-cycle/dead").status_code == 404


def test_the_rules_are_the_shops(made: Counter) -> None:
    wangwu = made.visitor("wangwu")
    numbers = {"new_days": "1", "active_days": "30", "loyal_talks": "6", "loyal_days": "90", "lost_days": "0"}
    assert "应是 1–365 的整数" in wangwu.post("/segments/life-cycle", {**numbers, "new_days": "x"}).text
    assert wangwu.post("/segments/life-cycle", numbers).status_code == 303
    assert made.visitor("zhaoliu").post("/segments/life-cycle", numbers).status_code == 404
    made.shop.advance(minutes=11)
    made.shop.tick()
    made.shop.advance(days=2)
    made.shop.tick()
    assert {one.life_cycle for one in made.shop.rows(Person)} == {"active"}
    page = made.visitor("wangwu").get("/segments/life-cycle").text
    assert "30 天内有往来" in page
    assert [one.details["new_days"] for one in made.audit("life_cycle.rules")] == [1]


def test_who_opted_out_is_found(made: Counter) -> None:
    with made.shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, made.people["lisi"]), "lisi")
    form = {**FORM, "name": "愿意的", **line("0-0", "opted_out", "is", yes="0")}
    made.visitor("wangwu").post("/segments/new", form)
    assert made.shop.rows(Segment)[1].size == 4

"""The list, its export, and the page about one person: what is shown to whom, and what each change leaves behind."""

import csv
import io
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from people import by_hand, consent, persons
from people.relations import Fact
from storage import sheets
from storage.tables import AuditRow, Interaction, Person, PersonTag, Relation, RelationTag, Tag, Task, User, Welcome
from tagging import rules, tags
from tagging.rules import Draft, Words
from tests.console.acting import REPS, ROLES, SEEN_BY, Counter

HOSTILE = [
    "=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", ' "=1', "'=1", "'\"=cmd|' /C calc'!A0", "＝1",
    'say "hi", you', "a\nb", "plain", "138****0000", "",
]  # fmt: skip

FILTERS = ("q", "tag", "owner", "channel", "stage", "out", "after", "kinds", "outcome", "day", "before")


def rows_of(text: str) -> list[list[str]]:
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:], newline="")))


def rename(counter: Counter, rep: str, name: str, **more: object) -> None:
    with counter.shop.db() as db:
        person = db.get_one(Person, counter.people[rep])
        person.name = name
        for field, value in more.items():
            setattr(person, field, value)


# --- the list --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("userid", ROLES)
@pytest.mark.parametrize(
    "narrowed", ["", "q=客人", "stage=active", "q=1000", "channel={code}", "tag=t_{tag}", "q=wm", "owner={owner}"]
)
def test_lists_searches_and_filters_name_only_customers_in_sight(counter: Counter, userid: str, narrowed: str) -> None:
    for owner in REPS if "owner" in narrowed else ("lisi",):
        query = narrowed.format(code=counter.channel, tag=counter.tag_id, owner=owner)
        page = counter.visitor(userid).get(f"/customers?{query}")
        named = {rep for rep in REPS if f"{rep}的客人" in page.text}
        assert named <= SEEN_BY[userid], query
        if query in ("", "q=客人", "stage=active", f"channel={counter.channel}", f"tag=t_{counter.tag_id}"):
            assert named == SEEN_BY[userid], query
            assert f"{len(named)} 人" in page.text


def test_a_rep_finds_nothing_of_a_peer_whatever_they_search_for(counter: Counter) -> None:
    lisi = counter.visitor("lisi")
    (peer,) = counter.shop.rows(Person, Person.id == counter.people["wangwu"])
    (relation,) = counter.shop.rows(Relation, Relation.person_id == peer.id)
    for q in (peer.name, peer.phone, peer.phone[-4:], relation.external_userid, f"p_{peer.id}"):
        assert "没有符合条件的客户" in lisi.get("/customers", query_string={"q": q}).text, q


def test_a_remark_of_a_peer_on_a_shared_customer_cannot_be_felt_out(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        person = work.db.get_one(Person, fresh.people["lisi"])
        external = persons.identity(work.db, person, "external_userid") or ""
        other = persons.relation_of(work.db, person, "wangwu", external)
        other.state, other.remark = "active", "秘密备注"
    assert "没有符合条件" in fresh.visitor("lisi").get("/customers?q=秘密备注").text
    assert "lisi的客人" in fresh.visitor("wangwu").get("/customers?q=秘密备注").text
    assert "秘密备注" not in fresh.page_of("lisi", "lisi")


def test_hidden_digits_of_a_phone_cannot_be_felt_out(counter: Counter) -> None:
    (person,) = counter.shop.rows(Person, Person.id == counter.people["lisi"])
    lisi = counter.visitor("lisi")
    found = {size: "lisi的客人" in lisi.get(f"/customers?q={person.phone[-size:]}").text for size in range(2, 12)}
    assert [size for size, yes in found.items() if yes] == [4, 11]


def test_a_filter_on_something_that_is_not_there_finds_nobody(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    for query in ("tag=t_999", "tag=nonsense", "channel=nonsense", "owner=nobody", "q=%25", "q=_"):
        assert "没有符合条件的客户" in boss.get(f"/customers?{query}").text, query


def test_pages_follow_each_other_without_gap_or_repeat(fresh: Counter) -> None:
    with fresh.shop.db() as db:
        same = fresh.shop.now()
        db.add_all(Person(name=f"旧客{number:03}", first_seen_at=same, last_seen_at=same) for number in range(120))
    boss, path, seen = fresh.visitor("zhangsan"), "/customers", []
    while path:
        page = boss.get(path).text
        seen += [part.split("</a>")[0].split(">")[1] for part in page.split('row-link cut"')[1:]]
        onward = page.split('rel="next"')[0].rpartition('href="')[2].split('"')[0] if 'rel="next"' in page else ""
        path = onward.replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 125


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(st.text(max_size=30), st.sampled_from(["' OR 1=1 --", "%' OR '1'='1", "'; DROP TABLE person;--"]))
)
def test_nothing_typed_anywhere_is_ever_a_command(counter: Counter, text: str) -> None:
    lisi = counter.visitor("lisi")
    own = f"/customers/p_{counter.people['lisi']}"
    for path, names in (("/customers", FILTERS[:1]), ("/customers", FILTERS), ("/welcomes", FILTERS), (own, FILTERS)):
        answer = lisi.get(path, query_string=dict.fromkeys(names, text))
        assert answer.status_code in (200, 429), path
        assert "wangwu的客人" not in answer.text
    assert counter.count(Person) == len(REPS)


@pytest.mark.parametrize("person_id", ["p_0", "p_-1", "p_９", "17", "p_", "p_1x", "p_" + "9" * 40, "..", "%00"])
def test_an_odd_id_is_just_not_there(counter: Counter, person_id: str) -> None:
    assert counter.visitor("zhangsan").get(f"/customers/{person_id}").status_code == 404


def test_a_script_that_searches_is_slowed_down(counter: Counter) -> None:
    boss = counter.visitor("wangwu")
    counter.shop.advance(minutes=5)
    answers = [boss.get("/customers?q=x").status_code for _ in range(121)]
    assert (answers[0], answers[-2], answers[-1]) == (200, 200, 429)
    assert int(boss.get("/customers?q=x").headers["Retry-After"]) <= 61
    assert counter.visitor("zhangsan").get("/customers?q=x").status_code == 200


# --- one person ------------------------------------------------------------------------------------------------------


def test_words_that_one_rep_passed_on_are_read_by_those_who_see_that_rep(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        rules.create(work, Draft("问价", definition={"any_keywords": ["多少钱"]}, tags=(("意向", "问价"),)), by="boss")
        person = work.db.get_one(Person, fresh.people["lisi"])
        relation = persons.relation_of(work.db, person, "sunqi", "wmBoth")
        relation.state, relation.added_at = "active", work.now
        line = {"person_id": person.id, "userid": "sunqi", "kind": "forwarded", "at": work.now, "once": "forwarded:1"}
        number = persons.told(work, {**line, "details": {"text": "别告诉李四，这款多少钱"}})
        assert number is not None
        rules.hear(work, person, Words("别告诉李四，这款多少钱", number, rules.FORWARDED, work.now))
    for userid, reads in (("zhangsan", True), ("wangwu", True), ("lisi", False)):
        page = fresh.page_of(userid, "lisi")
        assert "成员转来的话符合规则" in page
        assert ("别告诉李四" in page, "多少钱" in page) == (reads, reads), userid


def test_phones_are_masked_and_showing_one_leaves_a_line(fresh: Counter) -> None:
    (person,) = fresh.shop.rows(Person, Person.id == fresh.people["lisi"])
    rename(fresh, "lisi", person.name, phone="13812345678")
    with fresh.shop.db() as db:
        relation = db.query(Relation).filter_by(person_id=person.id).one()
        relation.remark, relation.description = "小雨 138 1234 5678", "电话１３８１２３４５６７８"
    for userid in ("zhangsan", "wangwu", "lisi"):
        page = fresh.page_of(userid, "lisi")
        assert "138****5678" in page
        assert not any(one in page for one in ("12345678", "1234 5678", "１２３４５６７８"))
    shown = fresh.visitor("zhangsan").post(f"/customers/p_{person.id}/phone")
    assert "13812345678" in shown.text
    assert [(line.actor, line.subject) for line in fresh.audit("person.phone")] == [("zhangsan", f"p_{person.id}")]
    for userid in ("wangwu", "lisi"):
        assert fresh.visitor(userid).post(f"/customers/p_{person.id}/phone").status_code == 404


def test_a_note_is_kept_once_shown_and_only_its_writer_takes_it_back(fresh: Counter) -> None:
    lisi, boss, path = fresh.visitor("lisi"), fresh.visitor("zhangsan"), f"/customers/p_{fresh.people['lisi']}"
    for _twice in range(2):
        assert lisi.post(f"{path}/notes", {"text": " 喜欢手冲 ", "once": "one"}).status_code == 303
    notes = [line for line in fresh.lines("lisi") if line.details.get("text") == "喜欢手冲"]
    assert len(notes) == 1
    assert len(fresh.audit("person.note")) == 1
    assert "喜欢手冲" in boss.get(path).text
    assert boss.post(f"{path}/notes/{notes[0].id}/delete").status_code == 404
    other = f"/customers/p_{fresh.people['wangwu']}"
    assert fresh.visitor("wangwu").post(f"{other}/notes/{notes[0].id}/delete").status_code == 404
    assert lisi.post(f"{path}/notes/{notes[0].id}/delete").status_code == 303
    assert "喜欢手冲" not in boss.get(path).text
    assert [line.actor for line in fresh.audit("person.note_delete")] == ["lisi"]


@pytest.mark.parametrize("text", ["", "   ", "长" * 2001])
def test_a_note_that_cannot_be_kept_is_given_back_with_the_reason(counter: Counter, text: str) -> None:
    answer = counter.visitor("lisi").post(f"/customers/p_{counter.people['lisi']}/notes", {"text": text})
    assert answer.status_code == 422
    assert "备注需 1–2000 个字" in answer.text


def test_the_bosss_note_is_for_everybody_who_sees_the_customer(fresh: Counter) -> None:
    path = f"/customers/p_{fresh.people['lisi']}"
    fresh.visitor("wangwu").post(f"{path}/notes", {"text": "老板请特别照顾"})
    assert "老板请特别照顾" in fresh.visitor("lisi").get(path).text


def test_a_tag_given_by_hand_says_who_gave_it_and_reaches_wecom(fresh: Counter) -> None:
    lisi, path = fresh.visitor("lisi"), f"/customers/p_{fresh.people['lisi']}"
    assert lisi.post(f"{path}/tags/t_{fresh.tag_id}/delete").status_code == 303
    assert fresh.count(PersonTag, PersonTag.person_id == fresh.people["lisi"]) == 0
    assert lisi.post(f"{path}/tags", {"tag": f"t_{fresh.tag_id}"}).status_code == 303
    fresh.shop.catch_up()
    (given_now,) = fresh.shop.rows(PersonTag, PersonTag.person_id == fresh.people["lisi"])
    assert (given_now.source, given_now.because, given_now.actor) == ("manual", "李四手动添加", "lisi")
    assert fresh.shop.world.calls_to("externalcontact/mark_tag")[-1].body["userid"] == "lisi"
    page = lisi.get(path).text
    assert "李四 添加了标签 来源/抖音" in page
    assert "李四 去掉了标签 来源/抖音" in page
    assert [line.action for line in fresh.shop.rows(AuditRow) if line.actor == "lisi"] == [
        "person.untag",
        "person.tag",
    ]


def test_a_form_that_was_open_since_before_a_tag_was_deleted_does_not_bring_it_back(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        tags.forget(work, work.db.get_one(Tag, fresh.tag_id))
    path = f"/customers/p_{fresh.people['lisi']}"
    said = fresh.visitor("lisi").post(f"{path}/tags", {"tag": f"t_{fresh.tag_id}"}, follow_redirects=True).text
    assert "请先选一个标签" in said
    assert fresh.count(PersonTag, PersonTag.person_id == fresh.people["lisi"]) == 0
    assert [one.deleted_at is None for one in fresh.shop.rows(Tag, Tag.id == fresh.tag_id)] == [False]


def test_what_wecom_refused_is_shown_with_its_reason_and_can_be_tried_again(fresh: Counter) -> None:
    with fresh.shop.db() as db:
        row = db.query(RelationTag).join(Relation, Relation.id == RelationTag.relation_id)
        refused = row.filter(Relation.userid == "lisi").one()
        refused.at_wecom, refused.detail = "refused", "标签无效（40068）"
    lisi, path = fresh.visitor("lisi"), f"/customers/p_{fresh.people['lisi']}"
    page = lisi.get(path).text
    assert "标签没有同步：来源/抖音" in page
    assert "标签无效（40068）" in page
    lisi.post(f"{path}/tags", {"tag": f"t_{fresh.tag_id}"})
    fresh.shop.catch_up()
    assert "没有未完成的事" in lisi.get(path).text or "标签没有同步" not in lisi.get(path).text


def test_a_manager_gives_a_customer_to_somebody_below_and_to_nobody_else(fresh: Counter) -> None:
    manager, path = fresh.visitor("zhaoliu"), f"/customers/p_{fresh.people['zhaoliu']}"
    assert manager.post(f"{path}/owner", {"owner": "lisi"}).status_code == 404
    assert manager.post(f"{path}/owner", {"owner": "nobody"}).status_code == 404
    assert manager.post(f"{path}/owner", {"owner": "sunqi"}).status_code == 303
    (person,) = fresh.shop.rows(Person, Person.id == fresh.people["zhaoliu"])
    assert (person.owner, person.owner_by_hand) == ("sunqi", True)
    assert "赵六 把负责人改为 孙七" in manager.get(path).text
    manager.post(f"{path}/owner", {"owner": ""})
    (person,) = fresh.shop.rows(Person, Person.id == fresh.people["zhaoliu"])
    assert (person.owner, person.owner_by_hand) == ("zhaoliu", False)
    assert [line.details["to"] for line in fresh.audit("person.owner")] == ["sunqi", None]


def test_after_a_transfer_the_old_rep_is_out_at_once_and_the_new_one_has_the_history(fresh: Counter) -> None:
    lisi, wangwu, path = fresh.visitor("lisi"), fresh.visitor("wangwu"), f"/customers/p_{fresh.people['lisi']}"
    with fresh.shop.db() as db:
        db.query(User).filter_by(userid="wangwu").one().role = "rep"
    assert (lisi.get(path).status_code, wangwu.get(path).status_code) == (200, 404)
    with fresh.shop.work() as work:
        person = work.db.get_one(Person, fresh.people["lisi"])
        external = persons.identity(work.db, person, "external_userid") or ""
        old = persons.relation_of(work.db, person, "lisi", external)
        new = persons.relation_of(work.db, person, "wangwu", external)
        at = fresh.shop.now()
        persons.record(work, person, old, Fact("transferred", at))
        persons.record(work, person, new, Fact("full", at))
    assert (lisi.get(path).status_code, wangwu.get(path).status_code) == (404, 200)
    assert "lisi的备注" in wangwu.get(path).text
    assert "lisi的客人" not in lisi.get("/customers").text


def test_reps_of_one_customer_do_not_read_each_other(fresh: Counter) -> None:
    fresh.shop.world.scan(fresh.channel, userid="wangwu", external_userid=_external(fresh, "lisi"))
    fresh.shop.catch_up()
    page = fresh.page_of("lisi", "lisi")
    assert "lisi的备注" in page
    assert "王五" not in page
    assert "王五" in fresh.page_of("zhangsan", "lisi")


def _external(counter: Counter, rep: str) -> str:
    with counter.shop.db() as db:
        return persons.identity(db, db.get_one(Person, counter.people[rep]), "external_userid") or ""


def test_the_story_narrows_to_a_kind_and_turns_its_pages(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        for number in range(40):
            details = {"text": f"第{number}条"}
            persons.tell(work, fresh.people["lisi"], "note", work.now, once=f"x{number}", details=details)
    lisi, path = fresh.visitor("lisi"), f"/customers/p_{fresh.people['lisi']}"
    first = lisi.get(f"{path}?kinds=note").text
    assert first.count("story-text") == 30
    onward = first.split("更早")[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")
    assert lisi.get(onward).text.count("story-text") == 11
    assert "lisi的备注" not in lisi.get(f"{path}?kinds=relation").text


# --- export ----------------------------------------------------------------------------------------------------------


def test_an_export_says_who_why_and_how_many_and_masks_phones(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    assert boss.post("/customers/export", {"reason": ""}).status_code == 422
    assert fresh.audit("customers.export") == []
    answer = boss.post("/customers/export", {"reason": "十一月回访", "owner": "lisi"})
    heads, *rows = rows_of(answer.text)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=customers-2026-11-22.csv")
    assert [row[heads.index("姓名")] for row in rows] == ["lisi的客人"]
    assert rows[0][heads.index("手机")].startswith("138****")
    (line,) = fresh.audit("customers.export")
    assert (line.actor, line.details["reason"], line.details["count"]) == ("zhangsan", "十一月回访", 1)
    whole = boss.post("/customers/export", {"reason": "十一月回访", "phones": "whole"})
    assert "13800001001" in whole.text
    assert len(rows_of(whole.text)) == 1 + len(REPS)
    assert fresh.audit("customers.export")[-1].details["whole_phones"] is True


def test_an_export_too_many_is_refused(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    answers = [boss.post("/customers/export", {"reason": "again"}) for _ in range(11)]
    assert [one.status_code for one in answers] == [200] * 10 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3601


@pytest.mark.parametrize("name", HOSTILE)
def test_no_cell_of_an_export_is_a_formula_and_every_one_reads_back(counter: Counter, name: str) -> None:
    rename(counter, "lisi", name)
    counter.shop.advance(hours=2)
    heads, *rows = rows_of(counter.visitor("zhangsan").post("/customers/export", {"reason": "test"}).text)
    cells = [row[heads.index("姓名")] for row in rows]
    assert cells.count(sheets.guarded(name)) == 1
    for cell in cells:
        assert cell.lstrip(' \t\r\n"')[:1] not in set("=+-@＝＋－＠")
    assert sheets.guarded(name) in (name, "'" + name)


# --- why no welcome? -------------------------------------------------------------------------------------------------


def test_a_rep_sees_why_their_own_welcomes_did_not_go_out_and_no_others(counter: Counter) -> None:
    rename(counter, "lisi", "lisi的客人")
    assert counter.count(Welcome) == len(REPS)
    page = counter.visitor("lisi").get("/welcomes?outcome=no_text").text
    assert "lisi的客人" in page
    assert "这个渠道没有设置欢迎语" in page
    assert "wangwu的客人" not in page
    assert all(f"{rep}的客人" in counter.visitor("zhangsan").get("/welcomes?day=2026-11-22").text for rep in REPS)
    assert "这里没有欢迎语" in counter.visitor("zhangsan").get("/welcomes?day=2026-11-21").text


def test_every_edit_by_hand_leaves_one_line_each(fresh: Counter) -> None:
    boss, path = fresh.visitor("zhangsan"), f"/customers/p_{fresh.people['lisi']}"
    boss.post(f"{path}/notes", {"text": "a"})
    boss.post(f"{path}/tags/t_{fresh.tag_id}/delete")
    boss.post(f"{path}/tags", {"tag": f"t_{fresh.tag_id}"})
    boss.post(f"{path}/owner", {"owner": "wangwu"})
    boss.post(f"{path}/phone")
    boss.post("/customers/export", {"reason": "why"})
    boss.post("/sign-out")
    lines = [line for line in fresh.shop.rows(AuditRow) if line.actor == "zhangsan"]
    assert [line.action for line in lines][-7:] == [
        "person.note",
        "person.untag",
        "person.tag",
        "person.owner",
        "person.phone",
        "customers.export",
        "sign_in.out",
    ]
    assert {line.address for line in lines} == {"127.0.0.1"}
    assert fresh.count(Interaction, Interaction.kind.in_(("tagged", "untagged", "owner_given"))) == 3


# --- who left and came back ------------------------------------------------------------------------------------------


def test_who_came_back_is_known_since_the_first_time_and_the_story_says_again(fresh: Counter) -> None:
    shop, person_id = fresh.shop, fresh.people["lisi"]
    (relation,) = shop.rows(Relation, Relation.person_id == person_id)
    first = relation.added_at
    shop.advance(days=40)
    shop.world.customer_deletes("lisi", relation.external_userid)
    shop.catch_up()
    shop.advance(days=1)
    shop.world.scan(fresh.channel, external_userid=relation.external_userid, userid="lisi")
    shop.catch_up()
    began = first.astimezone(shop.parts.zone).isoformat(timespec="seconds")
    for path in ("/customers", f"/customers/p_{person_id}"):
        assert f'datetime="{began}"' in fresh.visitor("lisi").get(path).text.split("经过")[0], path
    page = fresh.page_of("lisi", "lisi")
    assert page.count("再次添加了 李四") == 1
    assert page.count(">添加了 李四<") == 1


def test_a_return_is_told_from_a_first_arrival_although_the_news_came_out_of_order(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        person = persons.person_of(work, "wmLate")
        person.name = "迟到的消息"
        relation = persons.relation_of(work.db, person, "lisi", "wmLate")
        times = [work.now + timedelta(hours=n) for n in range(3)]
        persons.record(work, person, relation, Fact("full", times[2]))
        persons.record(work, person, relation, Fact("deleted_by_customer", times[1]))
        persons.record(work, person, relation, Fact("full", times[0]))
        persons.tell(work, person.id, "added", times[2], once="late-2", userid="lisi")
        persons.tell(work, person.id, "added", times[0], once="late-0", userid="lisi", details={"again": True})
        number = person.id
    story = fresh.visitor("lisi").get(f"/customers/p_{number}").text.split('class="story"')[1]
    assert story.index("再次添加了 李四") < story.index(">添加了 李四<")


# --- what a customer wants, follow-ups, privacy -----------------------------------------------------------------------


def test_a_rep_notes_in_one_tap_that_a_customer_wants_no_more_and_who_and_when_is_seen(fresh: Counter) -> None:
    lisi, there = fresh.visitor("lisi"), f"/customers/p_{fresh.people['lisi']}"
    page = lisi.post(f"{there}/opt-out", follow_redirects=True).text
    for words in ("不再接收消息</span>", "不再接收消息：李四，"):
        assert words in page, words
    fresh.shop.advance(minutes=3)
    lisi.post(f"{there}/opt-out")  # holds already
    assert "lisi的客人" in fresh.visitor("zhangsan").get("/customers?out=1").text
    assert "1 人" in fresh.visitor("zhangsan").get("/customers?out=1").text
    page = lisi.post(f"{there}/opt-in", follow_redirects=True).text
    assert "客户不想再收到消息" in page
    assert "没有符合条件的客户" in lisi.get("/customers?out=1").text
    assert [len(fresh.audit(one)) for one in ("person.opt_out", "person.opt_in")] == [1, 1]
    assert [line.kind for line in fresh.lines("lisi")][-2:] == ["opted_out", "opted_in"]


def test_whoever_else_said_it_is_named_too(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        person = work.db.get_one(Person, fresh.people["lisi"])
        consent.opt_out(work, person, "kf")
    assert "客户在微信客服里说的" in fresh.page_of("lisi", "lisi")


def test_a_follow_up_is_made_in_plain_chinese_put_off_and_finished(fresh: Counter) -> None:
    lisi, there = fresh.visitor("lisi"), f"/customers/p_{fresh.people['lisi']}"
    page = lisi.post(
        f"{there}/tasks", {"text": "问问豆子", "at": "明天下午三点", "once": "1"}, follow_redirects=True
    ).text
    assert "已记下，11月23日（周一）15:00 提醒你" in page
    assert "问问豆子" in page
    lisi.post(f"{there}/tasks", {"text": "问问豆子", "at": "明天下午三点", "once": "1"})  # sent twice
    (task,) = fresh.shop.rows(Task)
    assert (task.userid, task.person_id, task.due_at.hour) == ("lisi", fresh.people["lisi"], 7)
    lisi.post(f"/tasks/{task.id}/postpone", {"at": "周五上午十点", "next": there})
    assert fresh.shop.rows(Task)[0].due_at.day == 27
    assert (
        "没看懂" in lisi.post(f"/tasks/{task.id}/postpone", {"at": "改天", "next": there}, follow_redirects=True).text
    )
    answer = lisi.post(f"/tasks/{task.id}/finish", {"next": there})
    assert answer.headers["Location"] == there
    assert fresh.shop.rows(Task)[0].state == "done"
    page = fresh.page_of("lisi", "lisi")
    assert "记一件待办" in page
    assert "李四 完成了待办" in page
    assert [len(fresh.audit(f"task.{one}")) for one in ("add", "postpone", "finish")] == [2, 1, 1]


def test_the_time_may_stand_in_the_words_themselves(fresh: Counter) -> None:
    fresh.visitor("lisi").post(f"/customers/p_{fresh.people['lisi']}/tasks", {"text": "明天下午三点提醒我联系小雨"})
    (task,) = fresh.shop.rows(Task)
    assert (task.text, task.due_at.hour) == ("联系小雨", 7)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"text": "问问", "at": "改天"}, "没看懂这个时间"),
        ({"text": "问问", "at": "昨天下午三点"}, "已经过去了"),
        ({"text": " ", "at": ""}, "待办需 1–200 个字"),
        ({"text": "长" * 201, "at": "明天"}, "待办需 1–200 个字"),
    ],
)
def test_a_follow_up_that_cannot_be_keeps_what_was_typed(fresh: Counter, sent: dict[str, str], words: str) -> None:
    answer = fresh.visitor("lisi").post(f"/customers/p_{fresh.people['lisi']}/tasks", sent)
    assert answer.status_code == 422
    assert words in answer.text
    assert not sent["text"].strip() or f'value="{sent["text"]}"' in answer.text
    assert fresh.shop.rows(Task) == []


def test_somebody_elses_follow_up_is_seen_from_above_and_touched_by_nobody_else(fresh: Counter) -> None:
    there = f"/customers/p_{fresh.people['lisi']}"
    fresh.visitor("lisi").post(f"{there}/tasks", {"text": "回访", "at": "十分钟后"})
    (task,) = fresh.shop.rows(Task)
    boss = fresh.visitor("zhangsan")
    assert "回访" in boss.get(there).text
    assert f"/tasks/{task.id}/finish" not in boss.get(there).text
    assert boss.post(f"/tasks/{task.id}/finish").status_code == 404
    assert boss.post(f"/tasks/{task.id}/postpone", {"at": "明天"}).status_code == 404


def test_today_lists_what_is_due_and_whom_it_is_about(fresh: Counter) -> None:
    lisi, there = fresh.visitor("lisi"), f"/customers/p_{fresh.people['lisi']}"
    assert "要跟进" not in lisi.get("/").text
    lisi.post(f"{there}/tasks", {"text": "今天的", "at": "十分钟后"})
    lisi.post(f"{there}/tasks", {"text": "明天的", "at": "明天上午九点"})
    page = lisi.get("/").text
    for words in ("要跟进", "今天的", f'<a href="{there}">lisi的客人</a>'):
        assert words in page, words
    assert "明天的" not in page
    fresh.shop.advance(minutes=20)
    assert "已到时间" in lisi.get("/").text
    assert "要跟进" not in fresh.visitor("zhangsan").get("/").text
    (task, _later) = fresh.shop.rows(Task)
    assert lisi.post(f"/tasks/{task.id}/finish", {"next": "/"}).headers["Location"] == "/"
    assert "要跟进" not in lisi.get("/").text


def test_every_phone_says_where_it_is_from_and_stays_masked(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        person = work.db.get_one(Person, fresh.people["lisi"])
        by_hand.add_note(work, person, "老公电话 13912345678", by="lisi", once="tel")
    page = fresh.page_of("lisi", "lisi")
    for words in ("139****5678", "备注记录", "江苏"):
        assert words in page, words
    assert "13912345678" not in page


def test_the_boss_gives_out_everything_that_is_held_and_it_is_noted(fresh: Counter) -> None:
    there = f"/customers/p_{fresh.people['lisi']}"
    answer = fresh.visitor("zhangsan").post(f"{there}/held")
    assert answer.headers["Content-Disposition"] == f"attachment; filename=p_{fresh.people['lisi']}.json"
    held = answer.get_json()
    assert held["person"] == f"p_{fresh.people['lisi']}"
    assert [one["name"] for one in held["tables"]["person"]] == ["lisi的客人"]
    assert "lisi的备注" in answer.text
    assert "wangwu的" not in answer.text
    (line,) = fresh.audit("customer.export")
    assert (line.actor, line.details["rows"]["person"]) == ("zhangsan", 1)


def test_a_customer_is_erased_only_after_their_name_was_typed_and_a_receipt_stays(fresh: Counter) -> None:
    boss, there = fresh.visitor("zhangsan"), f"/customers/p_{fresh.people['lisi']}"
    assert "请照着写：lisi的客人" in boss.get(f"{there}/erase").text
    wrong = boss.post(f"{there}/erase", {"typed": "wangwu的客人"})
    assert (wrong.status_code, "什么也没有删除" in wrong.text) == (422, True)
    assert fresh.count(Person) == len(REPS)
    answer = boss.post(f"{there}/erase", {"typed": "lisi的客人"})
    page = boss.get(answer.headers["Location"]).text
    for words in ("删除回执", f"p_{fresh.people['lisi']}", "张三", "person"):
        assert words in page, words
    assert fresh.count(Person) == len(REPS) - 1
    assert boss.get(there).status_code == 404
    assert "lisi的客人" not in boss.get("/customers").text
    (line,) = fresh.audit("customer.erase")
    assert line.subject == f"p_{fresh.people['lisi']}"


def test_only_the_boss_gives_out_or_erases(fresh: Counter) -> None:
    there = f"/customers/p_{fresh.people['lisi']}"
    for userid in ("wangwu", "zhaoliu", "lisi"):
        visitor = fresh.visitor(userid)
        assert "全部资料" not in fresh.page_of(userid, "lisi")
        answers = [visitor.post(f"{there}/held"), visitor.get(f"{there}/erase"), visitor.get("/erasures/1"),
                   visitor.post(f"{there}/erase", {"typed": "lisi的客人"})]  # fmt: skip
        assert [one.status_code for one in answers] == [404] * 4
    assert fresh.count(Person) == len(REPS)

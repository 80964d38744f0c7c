"""Bulk tags in the console: of a list or a file, looked at first, confirmed, followed, undone; and who may what."""

import io
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from storage.tables import BulkJob, BulkRow, PersonTag, Relation, TagGround
from tagging import bulk, tags
from tests.console.acting import Counter, Visitor

NEW = "/customers/bulk/new"


@pytest.fixture
def tag(fresh: Counter) -> str:
    with fresh.shop.work() as work:
        return tags.public_id(tags.tag_named(work, "活动", "双十一").id)


def sheet(*lines: str, head: str = "客户 ID", encoding: str = "utf-8-sig") -> tuple[io.BytesIO, str]:
    return io.BytesIO("\r\n".join((head, *lines)).encode(encoding)), "名单.csv"


def ask(visitor: Visitor, own: str, **more: Any) -> TestResponse:
    data = {"what": "tag", "tags": own, "reason": "双十一预热", **more}
    return visitor.post(NEW, data, content_type="multipart/form-data")


def work_on(counter: Counter) -> None:
    counter.shop.advance(seconds=6)
    counter.shop.tick()


def tagged(counter: Counter, tag: str) -> set[int]:
    return {one.person_id for one in counter.shop.rows(PersonTag, PersonTag.tag_id == int(tag[2:]))}


def test_the_list_as_it_is_filtered_is_looked_at_and_then_tagged(fresh: Counter, tag: str) -> None:
    boss = fresh.visitor("zhangsan")
    assert f"{NEW}?owner=lisi" in boss.get("/customers?owner=lisi").text.replace("&amp;", "&")
    assert "客户列表里的 1 人" in boss.get(f"{NEW}?owner=lisi").text
    answer = ask(boss, tag, owner="lisi")
    page = boss.get(answer.headers["Location"]).text
    for words in ("给 1 人打上", "李四", "双十一预热", "lisi的客人"):
        assert words in page, words
    assert tagged(fresh, tag) == set()
    page = boss.post(f"{answer.headers['Location']}/start", follow_redirects=True).text
    assert 'data-fresh="2"' in page
    work_on(fresh)
    assert tagged(fresh, tag) == {fresh.people["lisi"]}
    page = boss.get(answer.headers["Location"]).text
    assert "已完成" in page
    assert "1 / 1 行" in page
    assert [line.action for line in fresh.audit("bulk.prepare") + fresh.audit("bulk.start")] == [
        "bulk.prepare",
        "bulk.start",
    ]


def test_a_file_is_read_line_by_line_and_rejects_come_back(fresh: Counter, tag: str) -> None:
    boss = fresh.visitor("zhangsan")
    lines = (f"p_{fresh.people['lisi']}", "13900000000", f"p_{fresh.people['lisi']}", "没有的人")
    answer = ask(boss, tag, who="file", file=sheet(*lines))
    there = answer.headers["Location"]
    page = boss.get(there).text
    for words in ("给 1 人打上", "找不到这位客户", "与第 2 行是同一位客户", "139****0000"):
        assert words in page, words
    only = boss.get(f"{there}?outcome=refused").text
    assert "没有的人" in only
    assert "lisi的客人" not in only
    rejects = boss.get(f"{there}/rejected.csv")
    assert "没有的人,找不到这位客户,5" in rejects.text
    assert rejects.mimetype == "text/csv"
    assert len(fresh.audit("bulk.rejected")) == 1


def test_the_example_file_is_one_that_we_read(fresh: Counter, tag: str) -> None:
    boss = fresh.visitor("zhangsan")
    example = boss.get("/customers/bulk/example.csv")
    answer = ask(boss, tag, who="file", file=(io.BytesIO(example.data), "x.csv"))
    assert answer.status_code == 303
    assert fresh.count(BulkRow) == 3


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"tags": ""}, "请选 1–10 个标签"),
        ({"reason": " "}, "请写明原因"),
        ({"who": "file"}, "请选择一个 CSV 文件"),
        ({"who": "file", "file": (b"", "x.csv")}, "请选择一个 CSV 文件"),
        ({"who": "file", "file": ("姓名\r\n小雨".encode("gb18030"), "x.csv")}, "第一行要写列名"),
        ({"who": "file", "file": (b"\x00\x01\xff\xfe\x00", "x.csv")}, "CSV"),
        ({"tag": "t_999999"}, "没有符合条件的客户"),
        ({"tags": "t_999999"}, "请选 1–10 个现有的标签"),
    ],
)
def test_what_cannot_be_done_is_said_and_what_was_typed_stays(
    fresh: Counter, tag: str, more: dict[str, Any], words: str
) -> None:
    if isinstance(more.get("file"), tuple):
        more = {**more, "file": (io.BytesIO(more["file"][0]), more["file"][1])}
    answer = ask(fresh.visitor("zhangsan"), tag, **more)
    assert answer.status_code == 422
    assert words in answer.text
    assert "双十一预热" in answer.text or more.get("reason")
    assert fresh.shop.rows(BulkJob, BulkJob.state != bulk.READING) == []


def test_pause_go_on_cancel_and_undo(fresh: Counter, tag: str) -> None:
    boss = fresh.visitor("zhangsan")
    there = ask(boss, tag).headers["Location"]
    boss.post(f"{there}/start")
    assert "已暂停" in boss.post(f"{there}/stop", follow_redirects=True).text
    work_on(fresh)
    assert tagged(fresh, tag) == set()
    boss.post(f"{there}/resume")
    work_on(fresh)
    assert tagged(fresh, tag) == set(fresh.people.values())
    assert "已经不在这一步" in boss.post(f"{there}/cancel", follow_redirects=True).text
    assert "正在收回" in boss.post(f"{there}/undo", follow_redirects=True).text
    work_on(fresh)
    assert tagged(fresh, tag) == set()
    assert "已收回" in boss.get(there).text
    assert fresh.shop.rows(TagGround, TagGround.source == bulk.SOURCE) == []


def test_tags_are_taken_off_too_and_that_is_not_undone(fresh: Counter) -> None:
    boss, own = fresh.visitor("zhangsan"), f"t_{fresh.tag_id}"
    there = ask(boss, own, what="untag", owner="lisi").headers["Location"]
    assert "从 1 人去掉" in boss.get(there).text
    boss.post(f"{there}/start")
    work_on(fresh)
    assert fresh.people["lisi"] not in tagged(fresh, own)
    assert "收回打上的标签" not in boss.get(there).text
    assert "不能撤销" in boss.post(f"{there}/undo", follow_redirects=True).text


def test_a_big_job_waits_for_a_second_person(fresh: Counter, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "ALONE_UP_TO", 3)
    boss, manager, operator = (fresh.visitor(one) for one in ("zhangsan", "zhaoliu", "wangwu"))
    there = ask(boss, tag).headers["Location"]
    page = boss.get(there).text
    assert "要另一位老板或主管确认" in page
    assert "给 5 人打上" not in page
    assert "需要另一位" in boss.post(f"{there}/start", follow_redirects=True).text
    assert "请由另一位" in boss.post(f"{there}/confirm", follow_redirects=True).text
    assert operator.post(f"{there}/confirm").status_code == 404
    page = manager.get(there).text
    assert "张三 想改 5 人" in page
    assert "lisi的客人" not in page  # the word is theirs, the names are not
    assert manager.post(f"{there}/start").status_code == 404
    assert manager.get(f"{there}/rejected.csv").status_code == 404
    assert "已确认" in manager.post(f"{there}/confirm", follow_redirects=True).text
    work_on(fresh)
    assert tagged(fresh, tag) == set(fresh.people.values())
    assert manager.get(there).status_code == 404  # the word is given
    assert "由 赵六 确认" in boss.get(there).text


def test_a_manager_reaches_only_people_in_sight_and_sees_only_their_own_jobs(fresh: Counter, tag: str) -> None:
    manager = fresh.visitor("zhaoliu")
    others = ask(fresh.visitor("zhangsan"), tag, owner="lisi").headers["Location"]
    assert manager.get(others).status_code == 404
    assert others not in manager.get("/customers/bulk").text
    everybody = ask(manager, tag).headers["Location"]
    assert "给 2 人打上" in manager.get(everybody).text
    named = ask(manager, tag, who="file", file=sheet(*(f"p_{one}" for one in fresh.people.values())))
    there = named.headers["Location"]
    manager.post(f"{there}/start")
    work_on(fresh)
    assert tagged(fresh, tag) == {fresh.people["zhaoliu"], fresh.people["sunqi"]}
    assert manager.get(f"{there}/rejected.csv").text.count("找不到这位客户") == 3
    assert "名单.csv" in manager.get("/customers/bulk").text


def test_who_left_ones_sight_meanwhile_is_named_no_more(fresh: Counter, tag: str) -> None:
    manager = fresh.visitor("zhaoliu")
    there = ask(manager, tag).headers["Location"]
    assert "sunqi的客人" in manager.get(there).text
    with fresh.shop.work() as work:
        own = Relation.person_id == fresh.people["sunqi"]
        work.db.scalars(select(Relation).where(own)).one().state = "transferred"
    assert "sunqi的客人" not in manager.get(there).text


def test_a_rep_has_no_bulk_work(fresh: Counter, tag: str) -> None:
    rep = fresh.visitor("lisi")
    assert "批量打标签" not in rep.get("/customers").text
    assert rep.get(NEW).status_code == rep.get("/customers/bulk").status_code == 404
    assert ask(rep, tag).status_code == 404
    assert fresh.shop.rows(BulkJob) == []

"""Tags on their way to WeCom: who waited for a tag is marked once it is there, however many they are."""

from typing import Any

import pytest
from sqlalchemy import event

from people import persons
from storage.tables import OutboxRow, Progress, RelationTag, Tag
from tagging import marks, tags
from tagging.tags import Ground
from tests.shop import Shop
from wecom.commands import AddCorpTag


def waiting(shop: Shop, count: int) -> int:
    """So many customers of lisi wait for a tag that is still to be made; its id."""
    with shop.work() as work:
        tag = tags.tag_named(work, "活动", "双十一")
        for number in range(count):
            person = persons.person_of(work, f"wm{number}")
            relation = persons.relation_of(work.db, person, "lisi", f"wm{number}")
            relation.state, relation.added_at = "active", work.now
            tags.give(work, person, tag, Ground("manual", "李四手动添加"))
        return tag.id


def made(shop: Shop, tag_id: int) -> int:
    """WeCom has made the tag; how many statements that took us."""
    statements = 0

    def count(*_: Any) -> None:
        nonlocal statements
        statements += 1

    event.listen(shop.parts.engine, "before_cursor_execute", count)
    with shop.work() as work:
        made_there = {"tag_group": {"group_id": "g1", "tag": [{"id": "t1", "name": "双十一"}]}}
        marks.tag_made(work, AddCorpTag("活动", "双十一", tag_id), made_there)
    event.remove(shop.parts.engine, "before_cursor_execute", count)
    return statements


def asked(shop: Shop) -> int:
    return len(shop.rows(OutboxRow, OutboxRow.name == "MarkTag"))


def test_whoever_waits_is_marked_in_statements_that_do_not_grow_with_their_number(shop: Shop) -> None:
    tag_id = waiting(shop, 40)
    assert made(shop, tag_id) < 20
    assert asked(shop) == 40
    assert shop.rows(Progress, Progress.name.startswith(marks.PREFIX)) == []


def test_of_many_the_first_are_marked_at_once_and_the_rest_by_the_clock(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "PORTION", 3)
    tag_id = waiting(shop, 10)
    made(shop, tag_id)
    assert asked(shop) == 3
    shop.advance(seconds=6)
    shop.parts.loop(lambda: None, lambda: False).run_due()
    assert asked(shop) == 10
    assert shop.rows(Progress, Progress.name.startswith(marks.PREFIX)) == []
    assert {one.wanted for one in shop.rows(RelationTag)} == {True}


def test_a_tag_deleted_meanwhile_is_brought_to_nobody_else(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "PORTION", 3)
    tag_id = waiting(shop, 10)
    made(shop, tag_id)
    with shop.work() as work:
        tags.forget(work, work.db.get_one(Tag, tag_id))
    assert marks.go_on(shop.parts.engine, shop.work_in, lambda: False) == 1
    assert asked(shop) == 3
    assert shop.rows(Progress, Progress.name.startswith(marks.PREFIX)) == []

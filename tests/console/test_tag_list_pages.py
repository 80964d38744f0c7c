"""The list of corp tags: what may be changed here, and where the rest is."""

from storage.tables import PersonTag, Tag
from tests.console.acting import Counter


def test_a_tag_that_wecom_made_elsewhere_says_where_it_is_changed(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    assert "/tags/1/delete" in boss.get("/tags").text
    with fresh.shop.db() as db:
        db.get_one(Tag, fresh.tag_id).made_here = False
    page = boss.get("/tags").text
    assert f"/tags/{fresh.tag_id}/delete" not in page
    assert "在企业微信管理后台更改" in page
    for what in ("rename", "delete"):
        refused = boss.post(f"/tags/{fresh.tag_id}/{what}", {"name": "别的"})
        assert (refused.status_code, "企业微信不让我们改名或删除" in refused.text) == (422, True)
    refused = boss.post(f"/tags/{fresh.tag_id}/delete?lang=en")
    assert "only an administrator" in refused.text
    assert fresh.shop.rows(PersonTag)


def test_a_tag_under_deletion_says_so_and_is_gone_when_wecom_has_deleted_it(fresh: Counter) -> None:
    boss, count = fresh.visitor("zhangsan"), fresh.count(PersonTag, PersonTag.tag_id == fresh.tag_id)
    said = boss.post(f"/tags/{fresh.tag_id}/delete", follow_redirects=True).text
    assert f"删好后 {count} 人不再有它" in said
    assert "正在删除" in said
    assert f"/tags/{fresh.tag_id}/delete" not in said
    fresh.shop.catch_up()
    assert fresh.count(PersonTag, PersonTag.tag_id == fresh.tag_id) == 0
    assert "来源" not in boss.get("/tags").text

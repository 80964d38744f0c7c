"""The library through the open API: made, found, changed, refused at the exact place, deleted when nothing uses it."""

from storage.tables import AuditRow, Channel
from tests.api.caller import ONE_DATABASE, Caller, Json, problem
from tests.shop import Shop

LINK: Json = {
    "name": "秋季菜单",
    "kind": "link",
    "folder": "饮品",
    "contents": [{"title": "秋季新品", "url": "https://shop.example.com/menu"}],
    "open_tags": [{"group": "兴趣", "name": "菜单"}],
}


def test_a_link_is_made_found_changed_and_goes_with_a_channel(shop: Shop, api: Caller) -> None:
    answer = api.post("/materials", LINK, once="autumn")
    assert (answer.status_code, answer.get_json()["id"]) == (201, "m_1")
    assert api.post("/materials", LINK, once="autumn").get_json() == answer.get_json()
    made = api.get("/materials/m_1")
    assert made["opens"] == {"sent": 0, "opened": 0, "opens": 0, "tasks": 0, "task_opens": 0}
    assert made["contents"][0]["name"] == "a"
    api.post("/materials", {"name": "会员日", "kind": "text", "contents": [{"text": "周五八折"}]})
    assert [one["id"] for one in api.walk("/materials", limit=1)] == ["m_2", "m_1"]
    for query, ids in (({"q": "八折"}, ["m_2"]), ({"kind": "link"}, ["m_1"]), ({"folder": "饮品"}, ["m_1"])):
        assert [one["id"] for one in api.walk("/materials", **query)] == ids, query

    card = {"kind": "link", "title": "秋季新品", "url": "https://shop.example.com/menu", "material": 1, "variant": "a"}
    welcome = {"text": "看 {link:1}", "attachments": [card]}
    code = api.post("/channels", {"name": "抖音", "members": ["lisi"], "welcome": welcome}).get_json()["code"]
    refused = problem(api.delete("/materials/m_1"), 409, "conflict")
    assert "抖音" in refused["detail"]
    changed = api.patch("/materials/m_1", {"contents": [{"title": "冬", "url": "https://shop.example.com/w"}]})
    assert (changed.status_code, changed.get_json()["version"]) == (200, 2)
    (channel,) = shop.rows(Channel)
    assert channel.welcome["attachments"][0]["url"] == "https://shop.example.com/w"
    assert api.patch(f"/channels/{code}", {"welcome": {"text": "", "attachments": []}}).status_code == 200
    assert api.delete("/materials/m_1").status_code == 204
    problem(api.ask("GET", "/materials/m_1"), 404, "not-found")
    (line,) = shop.rows(AuditRow, AuditRow.action == "material.delete")
    assert (line.actor, line.subject) == ("key:pos", "m_1")


@ONE_DATABASE
def test_what_cannot_be_sent_is_refused_at_its_place(shop: Shop, api: Caller) -> None:
    for changes, loc in (
        ({"contents": [{"title": "x", "url": "ftp://a"}]}, ["body", "contents", 0]),
        ({"contents": [{"title": "长" * 43, "url": "https://a.b"}]}, ["body", "contents", 0]),
        ({"contents": [{"url": "https://a.b", "title": "x", "colour": "red"}]}, ["body", "contents", 0, "colour"]),
        ({"contents": []}, ["body", "contents"]),
        ({"kind": "poem"}, ["body", "kind"]),
        ({"kind": "text", "contents": [{"text": "{link:9}"}], "open_tags": []}, ["body", "contents", 0]),
        ({"kind": "image", "contents": [{"media": 9}], "open_tags": []}, ["body", "contents", 0]),
        ({"kind": "text", "contents": [{"text": "x"}]}, ["body", "open_tags"]),
        ({"name": ""}, ["body", "name"]),
    ):
        found = problem(api.post("/materials", {**LINK, **changes}), 422, "invalid")
        assert loc in [one["loc"] for one in found["errors"]], (changes, found)
    attached = {"kind": "link", "title": "x", "url": "https://a.b", "material": 7}
    body = {"name": "抖音", "members": ["lisi"], "welcome": {"attachments": [attached]}}
    assert "素材库里没有" in problem(api.post("/channels", body), 422, "invalid")["detail"]


@ONE_DATABASE
def test_a_key_without_the_scope_sees_no_library(shop: Shop) -> None:
    problem(Caller(shop, "channels").ask("GET", "/materials"), 403, "missing-scope")
    assert Caller(shop, "materials:read", name="reader").get("/materials")["items"] == []

"""The library in the console: made with its pictures and wordings, found, used, counted, taken back, deleted."""

import io
import re

import pytest

from storage.tables import AuditRow, Channel, Material, Media, PersonTag
from tests.console.acting import REPS, Counter, Visitor
from tests.shop import TINY_PNG

LINK = {
    "kind": "link",
    "name": "秋季菜单",
    "folder": "饮品",
    "a-0-kind": "link",
    "a-0-title": "秋季新品",
    "a-0-url": "https://shop.example.com/menu",
    "new_tags": "兴趣/菜单",
    "tell_rep": "1",
    "do": "save",
}


@pytest.fixture
def operator(quiet: Counter) -> Visitor:
    return quiet.visitor("wangwu")


def test_a_link_is_made_used_opened_counted_and_its_tags_taken_back(quiet: Counter, operator: Visitor) -> None:
    page = operator.post("/materials/new", LINK, follow_redirects=True)
    (material,) = quiet.shop.rows(Material)
    assert (material.name, material.folder, material.tell_rep) == ("秋季菜单", "饮品", True)
    assert "现在没有地方用它" in page.text
    number = material.id
    form = operator.get("/channels/" + quiet.channel + "/edit").text
    assert f'value="add:material:{number}"' in form
    added = operator.post(f"/channels/{quiet.channel}/edit", {**channel_form(quiet), "do": f"add:material:{number}"})
    assert 'value="秋季新品"' in added.text
    used = {f"a-0-{name}": value for name, value in ATTACHED.items()} | {"a-0-material": str(number)}
    operator.post(f"/channels/{quiet.channel}/edit", {**channel_form(quiet), **used, "do": "save"})
    page = operator.get(f"/materials/{number}").text
    assert "渠道活码的欢迎语" in page
    assert "还在用着" in operator.post(f"/materials/{number}/delete", follow_redirects=True).text

    quiet.shop.world.scan(quiet.channel, name="小雨", userid=REPS[1])
    quiet.shop.catch_up()
    address = quiet.shop.world.sent[-1].attachments[0]["link"]["url"]
    quiet.stranger().client.get(address.removeprefix("http://127.0.0.1:8000"), headers={"User-Agent": "iPhone Mobile"})
    quiet.shop.catch_up()
    page = operator.get(f"/materials/{number}").text
    assert re.search(r'figure-number">1</span>\s*<span class="figure-of">共发给 1 人 · 100', page)
    assert "1 / 1" in operator.get("/materials").text
    assert "打开了“秋季菜单”" in quiet.visitor("zhangsan").get("/customers/p_1").text
    page = operator.post(f"/materials/{number}/take-back", follow_redirects=True).text
    assert "正在收回它打的标签" in page
    assert f"/materials/{number}/take-back" not in page
    quiet.shop.run("carry out rules")
    page = operator.get(f"/materials/{number}").text
    assert "收回过它打的标签，涉及 1 人次" in page
    assert "正在收回" not in page
    assert quiet.count(PersonTag, PersonTag.source == "link") == 0
    assert [one.action for one in quiet.shop.rows(AuditRow, AuditRow.subject == f"m_{number}")] == [
        "material.create",
        "material.take_back",
    ]


ATTACHED = {"kind": "link", "title": "秋季新品", "url": "https://shop.example.com/menu", "desc": "", "picurl": ""}


def channel_form(quiet: Counter) -> dict[str, object]:
    (channel,) = quiet.shop.rows(Channel)
    kept = {"version": str(channel.version), "text": "", "skip_verify": "1"}
    return {"name": channel.name, "members": list(REPS), **kept}


def test_a_channel_follows_the_library_when_that_changes(quiet: Counter, operator: Visitor) -> None:
    operator.post("/materials/new", LINK)
    used = {f"a-0-{name}": value for name, value in ATTACHED.items()} | {"a-0-material": "1"}
    operator.post(f"/channels/{quiet.channel}/edit", {**channel_form(quiet), **used, "do": "save"})
    changed = {**LINK, "a-0-url": "https://shop.example.com/winter", "version": "1", "new_tags": ""}
    operator.post("/materials/1/edit", changed)
    (channel,) = quiet.shop.rows(Channel)
    assert channel.welcome["attachments"][0]["url"] == "https://shop.example.com/winter"
    assert operator.post("/materials/1/edit", changed).status_code == 422  # opened before the change


def test_texts_have_wordings_and_pictures_are_kept_with_the_form(quiet: Counter, operator: Visitor) -> None:
    text = {"kind": "text", "name": "会员日", "a-0-kind": "text", "a-0-text": "周五八折"}
    added = operator.post("/materials/new", {**text, "do": "add"}).text
    assert 'name="a-1-text"' in added
    operator.post("/materials/new", {**text, "a-1-kind": "text", "a-1-text": "周五见", "a-1-name": "短", "do": "save"})
    picture = {"kind": "image", "name": "海报", "a-0-kind": "image", "do": "save"}
    sent = {**picture, "a-0-file": (io.BytesIO(TINY_PNG), "poster.png")}
    operator.post("/materials/new", sent, content_type="multipart/form-data")
    words, poster = quiet.shop.rows(Material)
    assert [one["name"] for one in words.contents] == ["a", "短"]
    (media,) = quiet.shop.rows(Media)
    assert poster.contents == [{"name": "a", "media": media.id}]
    assert "周五见" in operator.get("/materials/1").text
    for query, shown in (("q=周五", {"会员日"}), ("kind=image", {"海报"}), ("q=没有这样的", set())):
        page = operator.get(f"/materials?{query}").text
        assert {one for one in ("会员日", "海报") if f"<span>{one}</span>" in page} == shown
    phone = operator.post("/materials/preview", {**text, "a-0-text": "周五八折 {link:7}", "shown": "0"}).text
    assert "周五八折 http://127.0.0.1:8000/t/…" in phone


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "名称需 1–60 个字"),
        ({"a-0-url": "javascript:alert(1)"}, "网址要以 https:// 开头"),
        ({"a-0-title": ""}, "请填写标题"),
        ({"a-0-title": "长" * 50}, "标题太长：最多 128 字节"),
        ({"new_tags": "没有组"}, "新标签写作 组/标签"),
    ],
)
def test_what_wecom_would_not_take_is_refused_beside_its_field(
    counter: Counter, changes: dict[str, str], words: str
) -> None:
    answer = counter.visitor("wangwu").post("/materials/new", {**LINK, **changes})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="饮品"' in answer.text
    assert counter.count(Material) == 0


def test_a_text_may_only_name_links_that_there_are(counter: Counter) -> None:
    text = {"kind": "text", "name": "会员日", "a-0-kind": "text", "a-0-text": "看 {link:99}", "do": "save"}
    answer = counter.visitor("wangwu").post("/materials/new", text)
    assert "素材库里没有链接 99" in answer.text
    unknown = counter.visitor("wangwu").post("/materials/new", {**text, "a-0-text": "{points} 分"})
    assert "不认识 {points}" in unknown.text
    assert counter.count(Material) == 0


def test_reps_see_no_library_and_managers_change_none(counter: Counter) -> None:
    assert counter.visitor("lisi").get("/materials").status_code == 404
    assert counter.visitor("zhaoliu").get("/materials").status_code == 200
    assert counter.visitor("zhaoliu").get("/materials/new").status_code == 404

"""Broadcasts in the console: written, looked at, approved by a second person, followed, stopped; who sees what."""

import io
from dataclasses import replace
from typing import Any

import pytest

from insight import segments
from people import consent
from storage.tables import Broadcast, MassTask, Media, Person, Touch
from tests.console.acting import Counter, Visitor
from tests.journeys import broadcasting
from tests.shop import TINY_PNG

TEXT = "本周五会员日，全场八折。{rep}"
MP4 = b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 64


def form(counter: Counter, **changes: Any) -> dict[str, Any]:
    return {"name": "会员日", "audience": "people", "segment": segment(counter), "text": TEXT, "do": "save", **changes}


def segment(counter: Counter) -> int:
    with counter.shop.work() as work:
        known = segments.listed(work.db, limit=1)[0]
        return known[0].id if known else segments.create(work, "所有人", {"all": []}, by="wangwu").id


def written(counter: Counter, by: str = "wangwu", **changes: Any) -> int:
    answer = counter.visitor(by).post("/broadcasts/new", form(counter, **changes))
    assert answer.status_code == 303, answer.text
    return int(answer.headers["Location"].rpartition("/")[2])


def only(counter: Counter, number: int) -> Broadcast:
    (found,) = counter.shop.rows(Broadcast, Broadcast.id == number)
    assert isinstance(found, Broadcast)
    return found


def run(counter: Counter, minutes: int = 3) -> None:
    broadcasting.run(counter.shop, minutes)


def confirm(counter: Counter, *userids: str) -> None:
    for userid in userids or tuple(counter.shop.world.members):
        for errand in counter.shop.world.mass_todos(userid):
            counter.shop.world.confirm_mass(userid, errand.msgid)


def told(counter: Counter, userid: str) -> list[Any]:
    return [one for one in counter.shop.world.app_messages.values() if one.userid == userid]


def test_a_broadcast_is_written_looked_at_sent_and_followed_rep_by_rep(fresh: Counter) -> None:
    with fresh.shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, fresh.people["sunqi"]), "kf")
    wangwu = fresh.visitor("wangwu")
    assert "写第一条" in wangwu.get("/broadcasts").text
    assert f'href="/broadcasts/new?segment={segment(fresh)}"' in wangwu.get(f"/segments/{segment(fresh)}").text
    assert f'value="{segment(fresh)}" selected' in wangwu.get(f"/broadcasts/new?segment={segment(fresh)}").text
    number = written(fresh)
    page = wangwu.get(f"/broadcasts/{number}").text
    for words in ("提交：4 人会收到", "表示过不再接收消息", "草稿：还没有提交", "全场八折。王五"):
        assert words in page, words
    left_out = wangwu.get(f"/broadcasts/{number}/people?why=opted_out").text
    assert "sunqi的客人" in left_out
    assert "lisi的客人" not in left_out
    assert "lisi的客人" in wangwu.get(f"/broadcasts/{number}/people").text
    assert "已提交" in wangwu.post(f"/broadcasts/{number}/submit", follow_redirects=True).text
    run(fresh)
    confirm(fresh, "lisi")
    run(fresh)
    page = wangwu.get(f"/broadcasts/{number}").text
    for words in ("已确认", "还没有确认", "待发送", "提醒没确认的 3 位", "表示过不再接收消息"):
        assert words in page, words
    assert [one.text for one in fresh.shop.world.chats["lisi", external(fresh, "lisi")]][
        -1
    ] == "本周五会员日，全场八折。李四"
    assert "lisi的客人" in wangwu.get(f"/broadcasts/{number}/people?state=sent").text
    assert "lisi的客人" not in wangwu.get(f"/broadcasts/{number}/people?state=asked").text
    rows = wangwu.get(f"/broadcasts/{number}/reps.csv").text
    assert "李四" in rows
    assert "已发送" in rows
    assert [one.action for one in fresh.audit("broadcast.create") + fresh.audit("broadcast.submit")] == [
        "broadcast.create",
        "broadcast.submit",
    ]


def test_the_preflight_names_who_gets_nothing_what_is_in_the_way_and_what_falls_to_each_rep(fresh: Counter) -> None:
    first = written(fresh, name="早到的")
    fresh.visitor("wangwu").post(f"/broadcasts/{first}/submit")
    run(fresh)
    page = fresh.visitor("wangwu").get(f"/broadcasts/{written(fresh)}").text
    for words in (
        "每位客户每天最多一条",
        "群发“早到的”",
        "占着的是：群发 5",
        f'href="/customers/p_{fresh.people["lisi"]}"',
    ):
        assert words in page, words
    assert "由谁发" not in page
    fresh.shop.advance(days=5)
    page = fresh.visitor("wangwu").get(f"/broadcasts/{written(fresh)}").text
    for words in ("由谁发", "5 位成员各自确认后", "李四"):
        assert words in page, words


def external(counter: Counter, rep: str) -> str:
    (touch,) = counter.shop.rows(Touch, Touch.person_id == counter.people[rep])
    return str(touch.external_userid)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "{name}你好"}, "企业微信没有占位符：只能用 {rep}"),
        ({"other_text": "你有 {points} 分"}, "（写了 {points}）"),
        ({"text": ""}, "写一段文字，或加一个附件"),
        ({"text": "字" * 1400}, "文字太长：最多 4000 字节"),
        ({"name": " "}, "名称需 1–60 个字"),
        ({"segment": ""}, "请选一个分层"),
        ({"audience": "groups"}, "请选至少一个客户群"),
        ({"control": "60"}, "对照组最多占一半"),
        ({"control": "abc"}, "请填 0 到 50 的整数"),
        ({"when": "at", "send_at": ""}, "请选什么时候发"),
        ({"when": "at", "send_at": "2020-01-01T10:00"}, "这个时间已经过去"),
        ({"when": "again", "every": "week"}, "请选每周的哪几天"),
        ({"when": "again", "every": "month", "month_days": "32"}, "请填每月的几号"),
        ({"when": "again", "every": "day", "at": ""}, "请填几点发"),
        ({"a-0-kind": "link", "a-0-title": "菜单", "a-0-url": "javascript:alert(1)"}, "网址要以 https:// 开头"),
        ({"a-0-kind": "miniprogram", "a-0-title": "点单"}, "请填写AppID"),
        ({"a-0-kind": "image"}, "请选择要发的图片"),
    ],
)
def test_what_wecom_cannot_do_is_refused_beside_its_field_and_what_was_typed_stays(
    counter: Counter, changes: dict[str, Any], words: str
) -> None:
    before = counter.count(Broadcast)
    answer = counter.visitor("wangwu").post("/broadcasts/new", form(counter, **{"text": "别弄丢我", **changes}))
    assert answer.status_code == 422
    assert words in answer.text
    assert "别弄丢我" in answer.text or changes.get("text") is not None
    assert counter.count(Broadcast) == before


def test_attachments_are_kept_drawn_and_sent_as_wecom_takes_them(fresh: Counter) -> None:
    wangwu = fresh.visitor("wangwu")
    rows = {
        "a-0-kind": "image",
        "a-0-file": (io.BytesIO(TINY_PNG), "a.png"),
        "a-1-kind": "link",
        "a-1-title": "菜单",
        "a-1-url": "https://shop.example/menu",
        "a-2-kind": "video",
        "a-2-file": (io.BytesIO(MP4), "店.mp4"),
        "a-3-kind": "file",
        "a-3-file": (io.BytesIO(b"%PDF-1.7 price list"), "../价目表.pdf"),
    }
    page = wangwu.post("/broadcasts/new", form(fresh, **rows, do="show"), content_type="multipart/form-data").text
    assert "价目表.pdf" in page
    assert "店.mp4" in page
    kept = {"image": 1, "video": 2, "file": 3}
    again = {f"a-{n}-kind": one for n, one in enumerate(("image", "link", "video", "file"))}
    again |= {"a-1-title": "菜单", "a-1-url": "https://shop.example/menu"}
    again |= {"a-0-media": "1", "a-2-media": "2", "a-3-media": "3"}
    number = written(fresh, **again)
    assert [one["kind"] for one in only(fresh, number).contents[0]["attachments"]] == ["image", "link", "video", "file"]
    assert [one.file_name for one in fresh.shop.rows(Media)][1:] == ["店.mp4", "价目表.pdf"]
    run(fresh, 1)
    assert "已发到你的企业微信" in wangwu.post(f"/broadcasts/{number}/try", follow_redirects=True).text
    run(fresh, 1)
    assert [one.msgtype for one in told(fresh, "wangwu")] == ["text", "text", "image", "news", "video", "file"]
    assert told(fresh, "wangwu")[1].content["content"] == TEXT.replace("{rep}", "王五")
    wangwu.post(f"/broadcasts/{number}/submit")
    fresh.shop.advance(days=4)  # WeCom has forgotten what was uploaded
    run(fresh, 5)
    (sent, *_) = fresh.shop.world.mass_tasks.values()
    assert [one["msgtype"] for one in sent.attachments] == ["image", "link", "video", "file"]
    assert kept == {"image": 1, "video": 2, "file": 3}


def test_what_is_no_video_and_no_picture_is_refused_by_its_content(counter: Counter) -> None:
    rows = {"a-0-kind": "video", "a-0-file": (io.BytesIO(b"MZ" + b"\x00" * 90), "film.mp4"),
            "a-1-kind": "image", "a-1-file": (io.BytesIO(b"GIF89a......."), "b.png")}  # fmt: skip
    answer = counter.visitor("wangwu").post(
        "/broadcasts/new", form(counter, **rows), content_type="multipart/form-data"
    )
    assert answer.status_code == 422
    assert "只接受 MP4 视频" in answer.text
    assert "只接受 PNG 或 JPG 图片" in answer.text


def test_a_second_person_approves_and_never_the_maker(fresh: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fresh.shop.app.extensions, "rules", replace(fresh.shop.parts.rules, second_above=2))
    number = written(fresh)
    wangwu, boss = fresh.visitor("wangwu"), fresh.visitor("zhangsan")
    assert "要另一位同事批准" in wangwu.post(f"/broadcasts/{number}/submit", follow_redirects=True).text
    assert "请你批准" not in wangwu.get(f"/broadcasts/{number}").text
    assert "制作人不能批准自己的群发" in wangwu.post(f"/broadcasts/{number}/approve", follow_redirects=True).text
    assert "王五 的群发等你批准" in boss.get("/broadcasts").text
    assert "请你批准" in boss.get(f"/broadcasts/{number}").text
    boss.post(f"/broadcasts/{number}/return", {"words": "日期写错了"})
    assert "日期写错了" in wangwu.get(f"/broadcasts/{number}").text
    fresh.shop.tick()
    assert "日期写错了" in told(fresh, "wangwu")[-1].content["description"]
    wangwu.post(f"/broadcasts/{number}/submit")
    assert "已批准" in boss.post(f"/broadcasts/{number}/approve", follow_redirects=True).text
    run(fresh)
    assert (only(fresh, number).state, only(fresh, number).approved_by) == ("running", "zhangsan")
    assert len(fresh.shop.rows(MassTask)) == 5


def test_a_manager_reaches_and_sees_only_their_own_reps(fresh: Counter) -> None:
    zhaoliu = fresh.visitor("zhaoliu")
    mine, theirs = written(fresh, by="zhaoliu", name="我们店"), written(fresh)
    page = zhaoliu.get(f"/broadcasts/{mine}").text
    assert "提交：2 人会收到" in page
    assert zhaoliu.get(f"/broadcasts/{theirs}").status_code == 404
    assert "lisi的客人" not in zhaoliu.get(f"/broadcasts/{mine}/people?why=no_relation").text
    zhaoliu.post(f"/broadcasts/{mine}/submit")
    run(fresh)
    assert {one.userid for one in fresh.shop.rows(MassTask)} == {"zhaoliu", "sunqi"}
    fresh.shop.advance(days=4)
    fresh.visitor("wangwu").post(f"/broadcasts/{theirs}/submit")
    run(fresh)
    zhaoliu = fresh.visitor("zhaoliu")
    page = zhaoliu.get(f"/broadcasts/{theirs}").text
    assert "孙七" in page
    assert "李四" not in page
    assert zhaoliu.post(f"/broadcasts/{theirs}/stop").status_code == 404
    assert fresh.visitor("lisi").get("/broadcasts").status_code == 404


def test_reps_are_reminded_three_times_a_day_and_their_managers_told_once(fresh: Counter) -> None:
    number = written(fresh)
    wangwu = fresh.visitor("wangwu")
    wangwu.post(f"/broadcasts/{number}/submit")
    run(fresh)
    for _ in range(3):
        assert (
            "已请企业微信提醒 1 位成员"
            in wangwu.post(f"/broadcasts/{number}/remind", {"userid": "lisi"}, follow_redirects=True).text
        )
        run(fresh, 1)
    page = wangwu.post(f"/broadcasts/{number}/remind", {"userid": "lisi"}, follow_redirects=True).text
    assert "没有提醒 李四：24 小时内已提醒 3 次" in page
    assert "之后可以再提醒" in page
    (errand,) = fresh.shop.world.mass_todos("lisi")
    assert errand.reminders == 3
    assert "位主管" in wangwu.post(f"/broadcasts/{number}/managers", follow_redirects=True).text
    run(fresh, 1)
    written_to = [one for one in fresh.shop.world.app_messages.values() if "门店" in str(one.content)]
    assert written_to
    assert all("会员日" in one.content["description"] for one in written_to)
    again = wangwu.post(f"/broadcasts/{number}/managers", follow_redirects=True).text
    assert "没有可以通知的主管" in again


def test_stopping_says_how_many_were_out_and_a_copy_begins_as_a_draft(fresh: Counter) -> None:
    number = written(fresh)
    wangwu = fresh.visitor("wangwu")
    wangwu.post(f"/broadcasts/{number}/submit")
    run(fresh)
    confirm(fresh, "lisi")
    run(fresh, 15)
    page = wangwu.post(f"/broadcasts/{number}/stop", follow_redirects=True).text
    assert "已经发出的 1 份收不回来" in page
    run(fresh)
    assert all(not fresh.shop.world.mass_todos(one) for one in fresh.shop.world.members)
    copy = wangwu.get(f"/broadcasts/new?like={number}").text
    assert "本周五会员日" in copy
    assert wangwu.get(f"/broadcasts/{number}/edit").status_code == 303


def test_changing_sees_that_somebody_else_was_quicker_and_a_draft_can_be_given_up(fresh: Counter) -> None:
    number = written(fresh)
    wangwu = fresh.visitor("wangwu")
    chosen = {"segment": segment(fresh), "text": "另一段", "do": "save"}
    assert wangwu.sends_as_it_is(f"/broadcasts/{number}/edit", **chosen).status_code == 303
    late = wangwu.post(f"/broadcasts/{number}/edit", form(fresh, version=1))
    assert late.status_code == 422
    assert "你打开之后有人改过它" in late.text
    assert "已放弃" in wangwu.post(f"/broadcasts/{number}/discard", follow_redirects=True).text
    assert only(fresh, number).state == "stopped"


def test_the_phone_follows_both_wordings(counter: Counter) -> None:
    asked = form(counter, other_text="第二种说法")
    drawn = counter.visitor("wangwu").post("/broadcasts/preview", asked).text
    assert drawn.count('class="phone"') == 2
    assert "第二种说法" in drawn
    assert "全场八折。王五" in drawn


def test_the_boss_exports_each_customers_part(fresh: Counter) -> None:
    number = written(fresh)
    fresh.visitor("wangwu").post(f"/broadcasts/{number}/submit")
    run(fresh)
    confirm(fresh)
    run(fresh, 15)
    assert fresh.visitor("wangwu").post(f"/broadcasts/{number}/customers.csv").status_code == 404
    boss: Visitor = fresh.visitor("zhangsan")
    rows = boss.post(f"/broadcasts/{number}/customers.csv").text.splitlines()
    assert len(rows) == 6
    assert all("已发送" in one for one in rows[1:])
    assert [one.subject for one in fresh.audit("customers.export")] == [f"b_{number}"]


def test_what_the_floors_below_say_is_said_in_english_too(counter: Counter) -> None:
    rows = {"a-0-kind": "link", "a-0-title": "x", "a-0-url": "ftp://x"}
    asked = form(counter, text="{name} {link:99}", control="70", **rows)
    page = counter.visitor("wangwu").post("/broadcasts/new?lang=en", asked).text
    for words in ("only {rep} works", "The address begins with https://", "The control group is at most a half"):
        assert words in page, words
    assert "素材库里没有链接" not in page

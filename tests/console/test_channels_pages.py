"""Channel codes at the console: made, changed, stopped and deleted, and what WeCom gets to see of it."""

import io
import re
import zipfile
from typing import Any

import pytest

from storage.tables import AuditRow, Channel, Media, OutboxRow, Tag, Welcome
from tests.console.acting import Counter, Visitor
from tests.console.drawings import SVG, png
from tests.shop import TINY_PNG

ADD, UPDATE, DELETE = (f"externalcontact/{one}_contact_way" for one in ("add", "update", "del"))


def filled(**changes: Any) -> dict[str, Any]:
    """The form as an operator would fill it in."""
    return {
        "do": "save",
        "version": "0",
        "name": "抖音短视频",
        "members": ["zhangsan", "lisi"],
        "spare": ["zhaoliu"],
        "new_tags": "来源/抖音，门店/静安店",
        "text": "你好 {name}，我是{rep}",
        "skip_verify": "1",
        "daily_cap": "20",
        **changes,
    }


def made(counter: Counter, visitor: Visitor, **changes: Any) -> Channel:
    """A code made through the form."""
    answer = visitor.post("/channels/new", filled(**changes))
    assert answer.status_code == 302 or answer.status_code == 303, re.findall(r"field-error.*?</p>", answer.text, re.S)
    counter.shop.catch_up()
    return channels(counter)[-1]


def channels(counter: Counter) -> list[Channel]:
    """Every code but the one the shop came with."""
    return [one for one in counter.shop.rows(Channel) if one.code != counter.channel]


def at_wecom(counter: Counter, channel: Channel) -> Any:
    return counter.shop.world.contact_ways[channel.config_id or ""]


def test_an_operator_makes_a_code_and_wecom_has_it(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    channel = made(quiet, wangwu)
    assert (channel.name, channel.daily_cap, channel.skip_verify) == ("抖音短视频", 20, True)
    assert [(seat.userid, seat.spare) for seat in channel.seats] == [
        ("zhangsan", False),
        ("lisi", False),
        ("zhaoliu", True),
    ]
    way = at_wecom(quiet, channel)
    assert (way.state, way.users, way.remark) == (channel.code, ("zhangsan", "lisi"), "抖音短视频")
    assert {(tag.group_name, tag.name) for tag in quiet.shop.rows(Tag) if tag.wecom_id} >= {
        ("来源", "抖音"),
        ("门店", "静安店"),
    }
    (line,) = quiet.audit("channel.create")
    assert (line.actor, line.subject, line.details) == ("wangwu", channel.code, {"name": "抖音短视频"})
    page = wangwu.get(f"/channels/{channel.code}").text
    assert "已创建，可以下载二维码了" in page
    assert "来源" in page
    assert wangwu.get(f"/channels/{channel.code}/qr").data == TINY_PNG


def test_mistakes_stand_beside_their_fields_and_nothing_is_lost(quiet: Counter) -> None:
    before = len(quiet.shop.world.calls_to(ADD))
    answer = quiet.visitor("wangwu").post(
        "/channels/new",
        filled(name="", members=[], text="你好 {nickname}" + "好" * 1400, new_tags="抖音", daily_cap="很多"),
    )
    assert answer.status_code == 422
    for words in ("写作 组/标签", "请填整数", "还没有保存", "你好 {nickname}"):
        assert words in answer.text
    answer = quiet.visitor("wangwu").post("/channels/new", filled(name="", members=[], text="你好 {nickname}"))
    for words in ("名称需 1–30 个字", "请至少选择一名接待成员", "不认识 {nickname}"):
        assert words in answer.text
    assert channels(quiet) == []
    assert len(quiet.shop.world.calls_to(ADD)) == before


def test_small_buttons_add_and_drop_rows_without_saving_anything(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    page = wangwu.post("/channels/new", filled(do="add:link")).text
    assert 'name="a-0-url"' in page
    rows = {"a-0-kind": "link", "a-0-title": "菜单", "a-0-url": "https://example.com", "a-1-kind": "miniprogram"}
    page = wangwu.post("/channels/new", filled(do="up:a:1", **rows)).text
    assert page.index('name="a-0-appid"') < page.index('name="a-1-url"')
    page = wangwu.post("/channels/new", filled(do="drop:a:0", **rows)).text
    assert "a-0-appid" in page
    assert "a-1-kind" not in page
    page = wangwu.post("/channels/new", filled(do="add:slot")).text
    assert 'name="t-0-days"' in page
    assert page.count('name="t-0-members" value="lisi" checked') == 1
    assert channels(quiet) == []


def test_a_welcome_with_picture_link_and_mini_program_reaches_the_customer(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    rows = {
        "a-0-kind": "image",
        "a-0-file": (io.BytesIO(png()), "../../etc/passwd.png"),
        "a-1-kind": "link",
        "a-1-title": "菜单",
        "a-1-url": "https://example.com/menu",
        "a-2-kind": "miniprogram",
        "a-2-title": "点单",
        "a-2-appid": "wx123",
        "a-2-page": "pages/a",
        "a-2-file": (io.BytesIO(png(9, 9)), "x.svg"),
    }
    channel = made(quiet, wangwu, **rows)
    first, second = quiet.shop.rows(Media)
    assert first.file_name == f"{first.digest[:16]}.png"
    assert [one["kind"] for one in channel.welcome["attachments"]] == ["image", "link", "miniprogram"]
    quiet.shop.world.scan(channel.code, name="小雨", userid="lisi")
    quiet.shop.catch_up()
    sent = quiet.shop.world.sent[-1]
    assert sent.text == "你好 小雨，我是李四"
    assert [one["msgtype"] for one in sent.attachments] == ["image", "link", "miniprogram"]
    assert sent.attachments[0]["image"]["media_id"] == first.media_id
    assert sent.attachments[2]["miniprogram"]["pic_media_id"] == second.media_id


@pytest.mark.parametrize("trap", [SVG, b"<html>", png(said=(20_000, 20_000)), png()[:50]])
def test_a_trap_instead_of_a_picture_is_refused_and_the_form_kept(quiet: Counter, trap: bytes) -> None:
    rows = {"a-0-kind": "image", "a-0-file": (io.BytesIO(trap), "photo.png")}
    answer = quiet.visitor("wangwu").post("/channels/new", filled(**rows))
    assert answer.status_code == 422
    assert "第 1 个附件" in answer.text
    assert 'value="抖音短视频"' in answer.text
    assert quiet.shop.rows(Media) == []
    assert channels(quiet) == []


def test_what_wecom_refuses_is_told_and_leaves_nothing_behind(quiet: Counter) -> None:
    quiet.shop.world.fail_next(ADD, 41054)
    answer = quiet.visitor("wangwu").post("/channels/new", filled())
    assert answer.status_code == 422
    assert "成员未激活" in answer.text
    assert "没有创建任何渠道码，你填的内容都还在" in answer.text
    assert channels(quiet) == []
    assert [line.details for line in quiet.audit("channel.withdraw")] == [{"errcode": 41054}]


def test_a_code_wecom_did_not_answer_for_is_kept_and_finished_later(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    quiet.shop.world.fail_next(ADD, -1)
    answer = wangwu.post("/channels/new", filled(), follow_redirects=True)
    assert "继续创建" in answer.text
    (channel,) = channels(quiet)
    assert channel.config_id is None
    quiet.shop.advance(minutes=1)
    quiet.shop.tick()
    page = wangwu.get(f"/channels/{channel.code}").text
    assert "没有创建完成" in page
    wangwu.post(f"/channels/{channel.code}/finish")
    (channel,) = channels(quiet)
    assert at_wecom(quiet, channel).state == channel.code
    assert len(quiet.audit("channel.finish")) == 1


def test_a_change_reaches_wecom_and_its_history(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    channel = made(quiet, wangwu)
    page = wangwu.get(f"/channels/{channel.code}/edit").text
    assert f'name="version" value="{channel.version}"' in page
    changes = filled(version=str(channel.version), name="抖音直播间二", members=["wangwu"], text="欢迎")
    before = len(quiet.shop.world.calls_to(UPDATE))
    answer = wangwu.post(f"/channels/{channel.code}/edit", changes, follow_redirects=True)
    assert "成员变更在企业微信最长约 1 小时生效" in answer.text
    quiet.shop.catch_up()
    way = at_wecom(quiet, channel)
    assert (way.users, way.remark) == (("wangwu",), "抖音直播间二")
    assert len(quiet.shop.world.calls_to(UPDATE)) == before + 1
    (line,) = quiet.audit("channel.change")
    assert line.details["name"] == ["抖音短视频", "抖音直播间二"]
    assert set(line.details) == {"name", "members", "text"}
    assert "抖音直播间二" in wangwu.get(f"/channels/{channel.code}").text


def test_a_second_code_of_one_name_is_made_only_when_that_is_meant(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    first = made(quiet, wangwu)
    answer = wangwu.post("/channels/new", filled())
    assert answer.status_code == 422
    assert "已经有一个叫“抖音短视频”的渠道活码了" in answer.text
    assert 'name="same_name"' in answer.text
    assert len(channels(quiet)) == 1
    assert made(quiet, wangwu, same_name="1").code != first.code
    keeps_its_name = filled(version=str(first.version), text="欢迎")
    assert wangwu.post(f"/channels/{first.code}/edit", keeps_its_name).status_code == 303
    third = made(quiet, wangwu, name="第三个")
    taken = wangwu.post(f"/channels/{third.code}/edit", filled(version=str(third.version)))
    assert (taken.status_code, "已经有一个叫" in taken.text) == (422, True)


def test_the_form_has_one_name_for_what_it_does(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    buttons = re.compile(r'name="do" value="save"[^>]*>([^<]+)<')
    assert buttons.findall(wangwu.get("/channels/new").text) == ["创建", "创建"]
    assert buttons.findall(wangwu.get(f"/channels/{quiet.channel}/edit").text) == ["保存", "保存"]


def test_a_code_says_what_became_of_the_welcomes_that_did_not_go_out(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    channel = made(quiet, wangwu)
    for name in ("甲", "乙", "丙"):
        quiet.shop.world.scan(channel.code, userid="lisi", name=name)
    quiet.shop.catch_up()
    with quiet.shop.db() as db:
        db.query(Welcome).filter_by(channel_id=channel.id).order_by(Welcome.id).first().outcome = "no_code"
    assert "近 30 天 3 人到来：已送达 2，没有凭证 1" in wangwu.get(f"/channels/{channel.code}").text
    assert "3 arrivals in 30 days: Sent 2, No code 1" in wangwu.get(f"/channels/{channel.code}?lang=en").text


def test_two_people_changing_one_code_do_not_overwrite_each_other(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    channel = made(quiet, wangwu)
    one = filled(version=str(channel.version), name="第一个")
    other = filled(version=str(channel.version), name="第二个")
    assert wangwu.post(f"/channels/{channel.code}/edit", one).status_code == 303
    answer = quiet.visitor("zhangsan").post(f"/channels/{channel.code}/edit", other)
    assert answer.status_code == 422
    assert "你打开之后有人改过它" in answer.text
    assert [row.name for row in channels(quiet)] == ["第一个"]


def test_stopping_needs_a_spare_rep_and_leads_the_printed_code_to_them(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    bare = made(quiet, wangwu, spare=[])
    answer = wangwu.post(f"/channels/{bare.code}/stop", follow_redirects=True)
    assert "停用前请先指定备用成员" in answer.text
    assert channels(quiet)[-1].state == "active"
    channel = made(quiet, wangwu, name="有备用")
    assert "印出去的二维码仍然有效" in wangwu.post(f"/channels/{channel.code}/stop", follow_redirects=True).text
    quiet.shop.catch_up()
    assert at_wecom(quiet, channel).users == ("zhaoliu",)
    wangwu.post(f"/channels/{channel.code}/resume")
    quiet.shop.catch_up()
    assert at_wecom(quiet, channel).users == ("zhangsan", "lisi")
    assert len(quiet.audit("channel.stop")) == len(quiet.audit("channel.resume")) == 1


def test_deleting_says_what_it_cuts_off_and_wants_the_name(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    channel = made(quiet, wangwu, name="要删的")
    quiet.shop.world.scan(channel.code)
    quiet.shop.catch_up()
    assert "近 30 天有 1 人从这个码来" in wangwu.get(f"/channels/{channel.code}/delete").text
    assert wangwu.post(f"/channels/{channel.code}/delete", {"name": "别的"}).status_code == 422
    assert channels(quiet)[-1].state == "active"
    wangwu.post(f"/channels/{channel.code}/delete", {"name": "要删的"}, follow_redirects=True)
    quiet.shop.catch_up()
    assert channel.config_id not in quiet.shop.world.contact_ways
    (line,) = quiet.audit("channel.delete")
    assert line.details == {"name": "要删的", "arrivals_30_days": 1}
    assert "要删的" not in wangwu.get("/channels").text
    assert "要删的" in wangwu.get("/channels?state=deleted").text
    assert wangwu.get(f"/channels/{channel.code}/edit").status_code == 404
    assert wangwu.post(f"/channels/{channel.code}/resume").status_code == 404


def test_a_leaver_is_taken_off_and_nobody_left_is_flagged(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    channel = made(quiet, wangwu, members=["lisi"], spare=["zhaoliu"])
    quiet.shop.world.dismiss_member("lisi")
    quiet.shop.catch_up()
    assert at_wecom(quiet, channel).users == ("zhaoliu",)
    assert "由备用成员接待" in wangwu.get(f"/channels/{channel.code}").text
    quiet.shop.world.dismiss_member("zhaoliu")
    quiet.shop.catch_up()
    assert "没有人能接待" in wangwu.get("/channels?state=trouble").text
    assert "已离职" in wangwu.get(f"/channels/{channel.code}/edit").text


def test_the_page_counts_who_came_who_went_and_who_serves(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    slot = {"t-0-days": ["1", "2", "3", "4", "5", "6", "7"], "t-0-from": "18:00", "t-0-to": "02:00",
            "t-0-holidays": "same", "t-0-members": ["lisi"]}  # fmt: skip
    channel = made(quiet, wangwu, text="", **slot)
    arrival = quiet.shop.world.scan(channel.code, userid="lisi")
    quiet.shop.world.scan(channel.code, userid="lisi", name="阿哲")
    quiet.shop.catch_up()
    quiet.shop.advance(days=2)
    quiet.shop.world.customer_deletes("lisi", arrival.external_userid)
    quiet.shop.catch_up()
    wangwu = quiet.visitor("wangwu")
    page = wangwu.get(f"/channels/{channel.code}").text
    assert "2 / 2，近 90 天" in page
    assert "次日 02:00 · 李四" in page
    rows = [line.split(",") for line in wangwu.get(f"/channels/{channel.code}/days.csv").text.splitlines()]
    assert len(rows) == 31
    assert rows[-3][-2:] == ["2", "0"]
    assert rows[-1][-2:] == ["0", "1"]
    assert [line.details["count"] for line in quiet.audit("channel.export")] == [30]


def test_a_manager_sees_only_their_own_reps_figures(counter: Counter) -> None:
    path = f"/channels/{counter.channel}"
    assert "张三" not in re.findall(r"<tr><td>(.*?)</td>", counter.visitor("zhaoliu").get(path).text)
    assert "张三" in counter.visitor("wangwu").get(path).text
    boss, manager = (counter.visitor(one).get("/channels").text for one in ("zhangsan", "zhaoliu"))
    assert '<td class="num">5</td>' in boss
    assert '<td class="num">5</td>' not in manager
    assert '<td class="num">2</td>' in manager


def test_the_list_is_narrowed_by_name_tag_rep_and_state_and_exported(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    made(quiet, wangwu, name="=HYPERLINK(1)", members=["lisi"])
    made(quiet, wangwu, name="公众号", members=["sunqi"], new_tags="来源/公众号")
    tag = next(one.id for one in quiet.shop.rows(Tag) if one.name == "公众号")
    assert "公众号" in wangwu.get(f"/channels?tag={tag}").text
    assert "HYPERLINK" not in wangwu.get(f"/channels?tag={tag}").text
    assert "HYPERLINK" in wangwu.get("/channels?member=lisi").text
    assert "没有符合条件" in wangwu.get("/channels?q=100%25").text
    assert wangwu.get("/channels?state=';DROP&tag=x&before=y").status_code == 200
    exported = wangwu.get("/channels/export.csv?q=HYPER")
    assert exported.mimetype == "text/csv"
    assert ",'=HYPERLINK(1)," in exported.text
    assert quiet.audit("channel.export")[-1].details["count"] == 1


def test_all_qr_pictures_come_in_one_archive_and_missing_ones_are_named(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    channel = made(quiet, wangwu, name="../门店/静安?")
    gone = made(quiet, wangwu, name="没了的")
    del quiet.shop.world.contact_ways[gone.config_id or ""]
    answer = wangwu.get("/channels/qr.zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert f"门店_静安-{channel.code}.png" in archive.namelist()
    assert archive.read(f"门店_静安-{channel.code}.png") == TINY_PNG
    assert gone.code in archive.read("missing.txt").decode()
    assert not any("/" in name or ".." in name for name in archive.namelist())
    assert quiet.audit("channel.pictures")[-1].details == {"count": 2, "missing": 1}
    with quiet.shop.db() as db:
        db.get_one(Channel, gone.id).qr_code = "http://169.254.169.254/latest/meta-data"
    assert wangwu.get(f"/channels/{gone.code}/qr").status_code == 404


def test_the_phone_shows_what_a_customer_would_read(counter: Counter) -> None:
    visitor = counter.visitor("wangwu")
    answer = visitor.post("/channels/preview", filled(text="你好 {name}，我是{rep}<script>", **{"a-0-kind": "image"}))
    assert "你好 小雨，我是张三&lt;script&gt;" in answer.text
    assert "还没有图片" in answer.text
    assert "<html" not in answer.text


@pytest.mark.parametrize(
    ("path", "open_to"),
    [
        ("/channels", "zhangsan wangwu zhaoliu"),
        ("/channels/{code}", "zhangsan wangwu zhaoliu"),
        ("/channels/{code}/qr", "zhangsan wangwu zhaoliu"),
        ("/channels/{code}/days.csv", "zhangsan wangwu zhaoliu"),
        ("/channels/export.csv", "zhangsan wangwu zhaoliu"),
        ("/channels/new", "zhangsan wangwu"),
        ("/channels/{code}/edit", "zhangsan wangwu"),
        ("/channels/{code}/delete", "zhangsan wangwu"),
        ("/channels/import", "zhangsan wangwu"),
        ("/channels/copies", "zhangsan wangwu"),
    ],
)
def test_who_may_open_which_page(counter: Counter, path: str, open_to: str) -> None:
    for userid in ("zhangsan", "wangwu", "zhaoliu", "lisi"):
        answer = counter.visitor(userid).get(path.format(code=counter.channel))
        assert answer.status_code == (200 if userid in open_to.split() else 404), userid
    assert counter.visitor("zhangsan").get("/channels/nobody").status_code == 404


@pytest.mark.parametrize("verb", ["edit", "stop", "resume", "delete", "finish"])
def test_a_manager_and_a_rep_change_nothing(counter: Counter, verb: str) -> None:
    before = counter.count(AuditRow, AuditRow.action.startswith("channel."))
    for userid in ("zhaoliu", "lisi"):
        assert counter.visitor(userid).post(f"/channels/{counter.channel}/{verb}", filled()).status_code == 404
    assert counter.count(AuditRow, AuditRow.action.startswith("channel.")) == before
    assert counter.count(OutboxRow, OutboxRow.name == "UpdateContactWay") == 0

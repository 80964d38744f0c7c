"""Settings: who may come in, which keys open what, the calendar, and the log of all that."""

import csv
import io
import re
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from people import api_keys, calendar
from storage import audit
from storage.tables import ApiKey, CalendarDay, Channel, Department, Member, User
from tests.console.acting import Counter, Visitor
from tests.shop import Shop

LINK = re.compile(r"<code>(http://127\.0\.0\.1:8000)(/sign-in/link/[^<]+)</code>")
KEY = re.compile(r"<code>(scrm_[A-Za-z0-9_-]+)</code>")


def user(counter: Counter, userid: str) -> User:
    with counter.shop.db() as db:
        return db.scalars(select(User).where(User.userid == userid)).one()


def test_members_show_who_serves_and_who_has_left(quiet: Counter) -> None:
    quiet.shop.world.dismiss_member("sunqi")
    quiet.shop.catch_up()
    wangwu = quiet.visitor("wangwu")
    page = wangwu.get("/settings").text
    assert "已离开 1" in page
    assert "能接待客户 4" in page
    assert "孙七" in wangwu.get("/settings?who=left").text
    assert "孙七" not in wangwu.get("/settings?who=serving").text
    assert "赵六" in wangwu.get("/settings?department=3").text
    assert "王五" not in re.findall(r"<tr><td>(.*?)</td>", wangwu.get("/settings?department=3").text)


def test_departments_stand_below_the_one_they_belong_to_with_all_who_lead_them(quiet: Counter) -> None:
    with quiet.shop.db() as db:
        db.add(Department(id=900, name="新店筹备", parent_id=2, order=9))
        db.add(Department(id=901, name="孤儿", parent_id=777, order=99))
        db.get_one(Member, "zhangsan").leads = [1]
    page = quiet.visitor("wangwu").get("/settings").text
    found = re.findall(r'<li class="deep-(\d)"><a [^>]*>([^<]+)</a><small class="muted">([^<]*)<', page)
    names = [name for _depth, name, _who in found]
    assert names.index("新店筹备") == names.index("门店") + 1
    assert ("0", "豆子咖啡", "张三") in found
    assert {name: depth for depth, name, _who in found} == {
        "豆子咖啡": "0", "门店": "1", "新店筹备": "2", "会员服务": "1", "孤儿": "0"
    }  # fmt: skip


def test_a_new_user_comes_in_by_a_link_that_is_shown_once(quiet: Counter) -> None:
    boss = quiet.visitor("zhangsan")
    page = boss.post("/settings/users", {"userid": "sunqi", "role": "operator"}).text
    (link,) = LINK.findall(page)
    assert LINK.search(boss.get("/settings/users").text) is None
    visitor = quiet.stranger()
    assert visitor.post(link[1]).status_code == 303
    assert visitor.get("/channels").status_code == 200
    assert quiet.stranger().post(link[1]).status_code == 410
    (line,) = quiet.audit("user.add")
    assert (line.actor, line.subject, line.details) == ("zhangsan", "sunqi", {"role": "operator"})
    assert link[1] not in str([one.details for one in quiet.audit("user.add")])


@pytest.mark.parametrize("sent", [{"userid": "wangwu", "role": "rep"}, {"userid": "x", "role": "king"}, {"userid": ""}])
def test_a_user_twice_or_without_a_role_is_refused(counter: Counter, sent: dict[str, str]) -> None:
    before = counter.count(User)
    assert counter.visitor("zhangsan").post("/settings/users", sent).status_code == 422
    assert counter.count(User) == before


def test_the_last_boss_can_be_neither_demoted_nor_disabled(quiet: Counter) -> None:
    boss, own = quiet.visitor("zhangsan"), user(quiet, "zhangsan").id
    for path, data in ((f"/settings/users/{own}/role", {"role": "rep"}), (f"/settings/users/{own}/disable", {})):
        answer = boss.post(path, data)
        assert answer.status_code == 422
        assert "最后一位老板" in answer.text
    other = user(quiet, "wangwu").id
    assert boss.post(f"/settings/users/{other}/role", {"role": "boss"}).status_code == 303
    assert boss.post(f"/settings/users/{own}/disable").status_code == 303
    assert boss.get("/settings/users").status_code == 302 or boss.get("/settings/users").status_code == 303
    second = quiet.visitor("wangwu")
    assert second.post(f"/settings/users/{other}/role", {"role": "rep"}).status_code == 422
    assert user(quiet, "wangwu").role == "boss"


def test_a_boss_who_has_left_the_corp_does_not_count(quiet: Counter) -> None:
    boss, own = quiet.visitor("zhangsan"), user(quiet, "zhangsan").id
    boss.post("/settings/users", {"userid": "sunqi", "role": "boss"})
    quiet.shop.world.dismiss_member("sunqi")
    quiet.shop.catch_up()
    assert boss.post(f"/settings/users/{own}/role", {"role": "rep"}).status_code == 422


def test_a_disabled_user_is_out_at_the_next_request_and_back_when_let_in(quiet: Counter) -> None:
    boss, wangwu, number = quiet.visitor("zhangsan"), quiet.visitor("wangwu"), user(quiet, "wangwu").id
    assert wangwu.get("/channels").status_code == 200
    boss.post(f"/settings/users/{number}/disable")
    assert wangwu.get("/channels").status_code in (302, 303)
    boss.post(f"/settings/users/{number}/enable")
    assert quiet.visitor("wangwu").get("/channels").status_code == 200
    assert [len(quiet.audit(f"user.{verb}")) for verb in ("disable", "enable")] == [1, 1]


def test_a_forgotten_password_ends_every_session_and_gives_a_link(quiet: Counter) -> None:
    boss, wangwu, number = quiet.visitor("zhangsan"), quiet.visitor("wangwu"), user(quiet, "wangwu").id
    page = boss.post(f"/settings/users/{number}/forget-password").text
    assert wangwu.get("/channels").status_code in (302, 303)
    assert user(quiet, "wangwu").password_hash is None
    (link,) = LINK.findall(page)
    assert quiet.stranger().post(link[1]).status_code == 303
    assert LINK.search(boss.post(f"/settings/users/{number}/link").text)
    assert boss.post("/settings/users/9999/link").status_code == 404


def test_a_key_is_shown_once_and_only_its_digest_is_kept(quiet: Counter) -> None:
    boss = quiet.visitor("zhangsan")
    scopes = {"scope": ["customers:read", "channels:read", "channels:write"], "days": "30"}
    page = boss.post("/settings/keys", {"name": "收银台", **scopes}).text
    (plain,) = KEY.findall(page)
    assert len(plain) >= 37
    (row,) = quiet.shop.rows(ApiKey)
    assert (row.name, row.scopes, row.hint, row.created_by) == (
        "收银台",
        ["channels", "customers:read"],
        plain[-4:],
        "zhangsan",
    )
    assert row.expires_at == quiet.shop.now() + timedelta(days=30)
    assert plain not in boss.get("/settings/keys").text
    assert plain not in str([line.details for line in quiet.audit("key.create")])
    with quiet.shop.db() as db:
        found = api_keys.find(db, plain, quiet.shop.now())
        assert found is not None
        assert api_keys.find(db, plain, quiet.shop.now() + timedelta(days=31)) is None
        assert api_keys.find(db, plain + "x", quiet.shop.now()) is None
        assert api_keys.find(db, row.digest, quiet.shop.now()) is None
    boss.post(f"/settings/keys/{row.id}/revoke")
    with quiet.shop.db() as db:
        assert api_keys.find(db, plain, quiet.shop.now()) is None
    assert [line.details for line in quiet.audit("key.revoke")] == [{"hint": plain[-4:]}]


@pytest.mark.parametrize("sent", [{"name": "", "scope": "all"}, {"name": "x"}, {"name": "x", "scope": "everything"}])
def test_a_key_without_name_or_with_an_unknown_scope_is_not_made(counter: Counter, sent: dict[str, str]) -> None:
    assert counter.visitor("zhangsan").post("/settings/keys", sent).status_code == 422
    assert counter.count(ApiKey) == 0


def test_scopes_open_what_they_say_and_nothing_else() -> None:
    assert api_keys.allows(["all"], "points", "write")
    assert api_keys.allows(["channels"], "channels", "write")
    assert api_keys.allows(["customers:read"], "customers", "read")
    assert not api_keys.allows(["customers:read"], "customers", "write")
    assert not api_keys.allows(["channels"], "customers", "read")
    assert [api_keys.known_scope(one) for one in ("all", "tags:read", "tags:", "tags:eat", "x", "")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_day_changed_by_hand_changes_who_serves(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    slot = {"days": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "23:59", "holidays": "off", "members": ["lisi"]}
    channel = quiet.shop.channel("看日历", members=("lisi",), spare=("zhaoliu",), timetable=(slot,))
    assert quiet.shop.world.contact_ways[channel.config_id or ""].users == ("lisi",)
    today = quiet.shop.now().astimezone(quiet.shop.parts.zone).date()
    wangwu.post("/settings/calendar", {"day": today.isoformat(), "kind": "holiday", "name": "店庆"})
    quiet.shop.advance(minutes=1)
    quiet.shop.tick()
    assert quiet.shop.world.contact_ways[channel.config_id or ""].users == ("zhaoliu",)
    assert "店庆" in wangwu.get("/settings/calendar").text
    wangwu.post("/settings/calendar", {"day": today.isoformat(), "kind": ""})
    assert quiet.shop.rows(CalendarDay, CalendarDay.day == today) == []
    assert [line.details for line in quiet.audit("calendar.change")] == [
        {"from": "", "to": "holiday"},
        {"from": "holiday", "to": ""},
    ]
    assert quiet.shop.rows(Channel)


def test_the_calendar_marks_published_holidays_and_says_when_a_year_is_not_known(counter: Counter) -> None:
    visitor = counter.visitor("wangwu")
    assert 'class="holiday"' in visitor.get("/settings/calendar?year=2026").text
    assert "还没有公布" in visitor.get("/settings/calendar?year=2031").text
    assert visitor.get("/settings/calendar?year=999999").status_code == 200
    assert visitor.post("/settings/calendar", {"day": "soon"}, follow_redirects=True).status_code == 200
    with counter.shop.db() as db:
        assert calendar.of_year(db, 2026)[date(2026, 1, 1)].kind == "holiday"


def test_the_log_is_narrowed_proved_and_exported_with_a_line_about_it(quiet: Counter) -> None:
    boss = quiet.visitor("zhangsan")
    boss.post("/settings/keys", {"name": "=cmd", "scope": "all"})
    boss.post("/settings/calendar", {"day": "2026-12-31", "kind": "holiday"})
    assert "key.create" in boss.get("/settings/audit?action=key").text
    assert "calendar.change" not in boss.get("/settings/audit?action=key").text
    assert "没有这样的记录" in boss.get("/settings/audit?from=2030-01-01").text
    assert "calendar.change" in boss.get("/settings/audit?actor=zhangsan&to=2026-11-22").text
    assert "没有缺行" in boss.get("/settings/audit?verify=1").text
    exported = boss.get("/settings/audit.csv?action=key").data.decode("utf-8-sig")
    (row,) = list(csv.DictReader(io.StringIO(exported)))
    assert (row["做了什么"], row["对象"]) == ("key.create", "'=cmd")
    assert [line.details for line in quiet.audit("audit.export")] == [{"count": 1}]


def test_the_log_calls_things_by_their_names(counter: Counter) -> None:
    boss, person = counter.visitor("zhangsan"), f"p_{counter.people['lisi']}"
    boss.post(f"/customers/{person}/tags", {"tag": f"t_{counter.tag_id}"})
    boss.post(f"/customers/{person}/owner", {"owner": "wangwu"})
    boss.get(f"/channels/{counter.channel}/days.csv")
    with counter.shop.db() as db:
        for actor in ("demo", "first start", "command line", "key:收银台"):
            audit.note(db, actor=actor, action="channel.create", subject="gone", at=counter.shop.now())
        audit.note(db, actor="lisi", action="sign_in.good", details={"by": "wecom"}, at=counter.shop.now())
    page = boss.get("/settings/audit").text
    assert f'href="/customers/{person}" title="{person}">lisi的客人</a>' in page
    assert f'href="/channels/{counter.channel}" title="{counter.channel}">抖音直播间</a>' in page
    for words in ("标签 来源/抖音", "改为 王五", "方式 企业微信扫码"):
        assert words in page, words
    for words in ("演示", "首次启动", "命令行", "API 密钥“收银台”"):
        assert f"<td>{words}</td>" in page, words


def test_watch_mode_is_shown_as_the_settings_say(sqlite_url: str) -> None:
    from tests.console.acting import people_only
    from tests.shop import build_shop, close_shop

    shop: Shop = build_shop(sqlite_url, watch=("tags",))
    page = people_only(shop).visitor("zhangsan").get("/settings/house").text
    close_shop(shop)
    assert page.count("只展示，不发给企业微信") == 1
    assert "/wecom/callback" in page
    assert "sandbox-app-secret" not in page


PAGES = {
    "": "zhangsan wangwu",
    "/users": "zhangsan",
    "/keys": "zhangsan",
    "/calendar": "zhangsan wangwu",
    "/audit": "zhangsan",
    "/audit.csv": "zhangsan",
    "/house": "zhangsan wangwu",
}


@pytest.mark.parametrize(("path", "open_to"), PAGES.items())
def test_who_may_open_which_page(counter: Counter, path: str, open_to: str) -> None:
    for userid in ("zhangsan", "wangwu", "zhaoliu", "lisi"):
        status = counter.visitor(userid).get(f"/settings{path}").status_code
        assert status == (200 if userid in open_to.split() else 404), userid


@pytest.mark.parametrize(
    "path",
    ["/users", "/users/1/role", "/users/1/disable", "/users/1/enable", "/users/1/link", "/keys", "/keys/1/revoke"],
)
def test_an_operator_does_not_touch_the_house(counter: Counter, path: str) -> None:
    before = counter.count(User), counter.count(ApiKey)
    data = {"userid": "sunqi", "role": "boss", "name": "x", "scope": "all"}
    assert Visitor(counter.visitor("wangwu").client).post(f"/settings{path}", data).status_code == 404
    assert (counter.count(User), counter.count(ApiKey)) == before

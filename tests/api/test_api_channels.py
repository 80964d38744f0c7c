"""Channel codes through the open API: what WeCom received, what is answered, what became of who came."""

from typing import Any

import pytest
import requests

from sandbox.knobs import Faults
from storage.tables import AuditRow, Channel
from tests.api.caller import ONE_DATABASE, Caller, Json, problem
from tests.shop import Shop

DOUYIN = {
    "name": "抖音直播间",
    "members": ["zhangsan", "lisi"],
    "tags": [{"group": "来源", "name": "抖音"}],
    "welcome": {"text": "你好 {name}，欢迎！"},
    "skip_verify": True,
}


def make(api: Caller, **changes: Any) -> Json:
    answer = api.post("/channels", {**DOUYIN, **changes})
    assert answer.status_code == 201, answer.text
    found: Json = answer.get_json()
    return found


def test_a_code_is_made_at_wecom_and_works(shop: Shop, api: Caller) -> None:
    made = make(api)
    (call,) = shop.world.calls_to("externalcontact/add_contact_way")
    assert call.body == {
        "type": 2,
        "scene": 2,
        "remark": "抖音直播间",
        "skip_verify": True,
        "state": made["code"],
        "user": ["zhangsan", "lisi"],
    }
    assert made == {
        "code": made["code"],
        "config_id": made["config_id"],
        "qr_code": f"http://sandbox.invalid/qr/{made['config_id']}.png",
        "name": "抖音直播间",
        "state": "active",
        "members": ["zhangsan", "lisi"],
        "spare": [],
        "tags": [{"group": "来源", "name": "抖音"}],
        "welcome": {"text": "你好 {name}，欢迎！", "attachments": []},
        "skip_verify": True,
        "daily_cap": None,
        "timetable": [],
        "leads_to": ["zhangsan", "lisi"],
        "trouble": None,
        "created_at": "2026-11-22T18:00:00+08:00",
        "changed_at": "2026-11-22T18:00:00+08:00",
    }
    assert api.get(f"/channels/{made['code']}") == made
    assert api.get("/channels")["items"] == [made]
    (line,) = shop.rows(AuditRow, AuditRow.action == "channel.create")
    assert (line.actor, line.subject) == ("key:pos", made["code"])

    shop.world.scan(made["code"], name="小雨")
    shop.catch_up()
    assert [sent.text for sent in shop.world.sent] == ["你好 小雨，欢迎！"]
    assert [tag["name"] for tag in api.get("/customers/p_1")["tags"]] == ["抖音"]


def test_everything_a_code_can_have_is_kept(api: Caller) -> None:
    timetable = [{"days": [1, 7], "from": "09:00", "to": "23:00", "members": ["lisi"], "holidays": "same"}]
    welcome = {"text": "你好", "attachments": [{"kind": "link", "title": "菜单", "url": "https://example.com/m"}]}
    made = make(api, spare=["wangwu"], daily_cap=20, timetable=timetable, welcome=welcome, skip_verify=False)
    assert (made["spare"], made["daily_cap"], made["skip_verify"]) == (["wangwu"], 20, False)
    assert made["timetable"] == timetable
    assert made["welcome"] == welcome
    assert made["leads_to"] == ["lisi"]


def test_a_code_is_changed_and_wecom_with_it(shop: Shop, api: Caller) -> None:
    code = make(api)["code"]
    changed = api.patch(f"/channels/{code}", {"name": "抖音二号", "members": ["lisi"], "daily_cap": 5})
    assert changed.status_code == 200
    assert (changed.get_json()["name"], changed.get_json()["members"]) == ("抖音二号", ["lisi"])
    assert changed.get_json()["tags"] == DOUYIN["tags"]
    assert changed.get_json()["welcome"]["text"] == "你好 {name}，欢迎！"
    shop.catch_up()
    body = shop.world.calls_to("externalcontact/update_contact_way")[-1].body
    assert (body["user"], body["remark"], body["state"]) == (["lisi"], "抖音二号", code)
    assert api.patch(f"/channels/{code}", {"daily_cap": None}).get_json()["daily_cap"] is None
    assert api.patch(f"/channels/{code}", {"tags": []}).get_json()["tags"] == []
    (line, *_) = shop.rows(AuditRow, AuditRow.action == "channel.change")
    assert line.details == {"fields": ["daily_cap", "members", "name"]}


@ONE_DATABASE
def test_a_new_welcome_needs_no_call_to_wecom(shop: Shop, api: Caller) -> None:
    code = make(api)["code"]
    shop.catch_up()
    calls = len(shop.world.calls)
    assert api.patch(f"/channels/{code}", {"welcome": {"text": "晚上好"}}).get_json()["welcome"]["text"] == "晚上好"
    assert api.patch(f"/channels/{code}", {}).status_code == 200
    shop.catch_up()
    assert len(shop.world.calls) == calls


def test_a_stopped_code_leads_to_the_spare_rep_and_comes_back(shop: Shop, api: Caller) -> None:
    code = make(api, spare=["wangwu"])["code"]
    stopped = api.patch(f"/channels/{code}", {"state": "stopped"}).get_json()
    assert (stopped["state"], stopped["leads_to"]) == ("stopped", ["wangwu"])
    assert [one["code"] for one in api.get("/channels", state="stopped")["items"]] == [code]
    assert api.get("/channels", state="active")["items"] == []
    shop.catch_up()
    assert shop.world.calls_to("externalcontact/update_contact_way")[-1].body["user"] == ["wangwu"]
    assert api.patch(f"/channels/{code}", {"state": "active"}).get_json()["leads_to"] == ["zhangsan", "lisi"]
    shop.catch_up()
    assert shop.world.calls_to("externalcontact/update_contact_way")[-1].body["user"] == ["zhangsan", "lisi"]


@ONE_DATABASE
def test_a_code_without_a_spare_rep_cannot_be_stopped(api: Caller) -> None:
    code = make(api)["code"]
    found = problem(api.patch(f"/channels/{code}", {"state": "stopped"}), 422, "invalid")
    assert found["errors"][0]["loc"] == ["body", "spare"]
    assert api.get(f"/channels/{code}")["state"] == "active"
    both = api.patch(f"/channels/{code}", {"state": "stopped", "spare": ["wangwu"]})
    assert both.get_json()["leads_to"] == ["wangwu"]


def test_a_deleted_code_is_gone_but_its_funnel_stays(shop: Shop, api: Caller) -> None:
    made = make(api)
    assert api.delete(f"/channels/{made['code']}").status_code == 204
    shop.catch_up()
    (call,) = shop.world.calls_to("externalcontact/del_contact_way")
    assert call.body == {"config_id": made["config_id"]}
    for method in ("GET", "DELETE"):
        problem(api.ask(method, f"/channels/{made['code']}"), 404, "not-found")
    problem(api.patch(f"/channels/{made['code']}", {"name": "x"}), 404, "not-found")
    assert api.get("/channels")["items"] == []
    assert api.get(f"/channels/{made['code']}/funnel")["total"]["scans"] == 0
    problem(api.ask("GET", "/channels/c-none/funnel"), 404, "not-found")


def test_many_codes_are_paged(shop: Shop, api: Caller) -> None:
    codes = [make(api, name=f"码{n}")["code"] for n in range(5)]
    assert [one["code"] for one in api.walk("/channels", limit=2)] == codes[::-1]


WRONG_CODES: list[tuple[Json, list[Any]]] = [
    ({"name": ""}, ["body", "name"]),
    ({"name": "长" * 31}, ["body", "name"]),
    ({"name": "两\n行"}, ["body", "name"]),
    ({"members": []}, ["body", "members"]),
    ({"members": ["nobody"]}, ["body", "members"]),
    ({"members": ["lisi"] * 101}, ["body", "members"]),
    ({"tags": [{"group": "来源"}]}, ["body", "tags", 0, "name"]),
    ({"tags": [{"group": "来源", "name": "抖音", "id": "t_1"}]}, ["body", "tags", 0, "id"]),
    ({"welcome": {"text": "你好 {points}"}}, ["body", "welcome", "text"]),
    ({"welcome": {"text": "字" * 1334}}, ["body", "welcome", "text"]),
    ({"welcome": {"attachments": [{"kind": "image", "media": 9}]}}, ["body", "welcome", "attachments"]),
    ({"welcome": {"attachments": [{"kind": "video"}]}}, ["body", "welcome", "attachments", 0]),
    ({"skip_verify": "yes"}, ["body", "skip_verify"]),
    ({"daily_cap": 0}, ["body", "daily_cap"]),
    ({"daily_cap": True}, ["body", "daily_cap"]),
    (
        {"timetable": [{"days": [8], "from": "09:00", "to": "18:00", "members": ["lisi"]}]},
        ["body", "timetable", 0, "days", 0],
    ),
    ({"timetable": [{"days": [1], "from": "09:00", "to": "09:00", "members": ["lisi"]}]}, ["body", "timetable"]),
    ({"state": "active"}, ["body", "state"]),
    ({"colour": "red"}, ["body", "colour"]),
]


def test_a_wrong_code_is_refused_with_the_field_and_nothing_is_made(shop: Shop, api: Caller) -> None:
    for change, where in WRONG_CODES:
        found = problem(api.post("/channels", {**DOUYIN, **change}), 422, "invalid")
        assert where in [one["loc"] for one in found["errors"]]
    assert shop.rows(Channel) == []
    assert shop.world.calls_to("externalcontact/add_contact_way") == []


@ONE_DATABASE
def test_null_is_not_the_same_as_left_out(api: Caller) -> None:
    code = make(api)["code"]
    problem(api.patch(f"/channels/{code}", {"name": None}), 422, "invalid")


# --- when WeCom does not play along ----------------------------------------------------------------------------------


@ONE_DATABASE
def test_a_refusal_of_wecom_is_told_in_its_words_and_leaves_nothing(
    shop: Shop, api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.world.limits.contact_ways = 0
    found = problem(api.post("/channels", DOUYIN, once="k1"), 409, "refused-by-wecom")
    assert found["errcode"] == 41045
    assert "联系我数量已达上限" in found["detail"]
    assert shop.rows(Channel) == []
    shop.world.limits.contact_ways = 10
    assert api.post("/channels", DOUYIN, once="k1").status_code == 201


@ONE_DATABASE
def test_a_busy_wecom_means_later_and_leaves_nothing(shop: Shop, api: Caller) -> None:
    shop.world.faults = Faults(busy=1.0)
    answer = api.post("/channels", DOUYIN, once="k1")
    problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert shop.rows(Channel) == []
    shop.world.faults = Faults()
    assert api.post("/channels", DOUYIN, once="k1").status_code == 201
    assert len(shop.world.contact_ways) == 1


def test_a_line_that_broke_after_the_effect_makes_one_code_when_repeated(shop: Shop, api: Caller) -> None:
    assert shop.parts.gateway._contact.token()  # it is known already: only the code's own call breaks
    shop.world.faults = Faults(reset_after_effect=1.0)
    found = problem(api.post("/channels", DOUYIN, once="k1"), 502, "unclear")
    assert len(shop.world.contact_ways) == 1
    shop.world.faults = Faults()
    made = api.post("/channels", DOUYIN, once="k1")
    assert (made.status_code, made.get_json()["code"]) == (201, found["code"])
    assert made.get_json()["config_id"] in shop.world.contact_ways
    assert made.get_json()["trouble"] is None
    assert len(shop.world.contact_ways) == len(shop.rows(Channel)) == 1


def test_a_code_whose_making_broke_is_completed_by_resuming_it(shop: Shop, api: Caller) -> None:
    assert shop.parts.gateway._contact.token()
    shop.world.faults = Faults(reset_after_effect=1.0)
    code = problem(api.post("/channels", DOUYIN), 502, "unclear")["code"]
    shop.world.faults = Faults()
    assert api.get(f"/channels/{code}")["config_id"] is None
    assert api.get(f"/channels/{code}")["trouble"]
    done = api.patch(f"/channels/{code}", {"state": "active"}).get_json()
    assert done["config_id"] in shop.world.contact_ways
    assert done["trouble"] is None


@ONE_DATABASE
def test_an_unreachable_wecom_means_later(shop: Shop, api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: Any, **kwargs: Any) -> None:
        raise requests.ConnectTimeout

    monkeypatch.setattr(shop.parts.gateway._contact._http, "request", gone)
    found = problem(api.post("/channels", DOUYIN), 503, "unavailable")
    assert found["detail"] == "WeCom cannot be reached"
    assert shop.rows(Channel) == []


# --- the funnel ------------------------------------------------------------------------------------------------------


def test_the_funnel_tells_what_became_of_who_came(shop: Shop, api: Caller) -> None:
    code = make(api)["code"]
    rain = shop.world.scan(code, name="小雨", userid="lisi")
    ming = shop.world.scan(code, name="阿明", userid="zhangsan")
    shop.catch_up()
    shop.world.customer_deletes("zhangsan", ming.external_userid)
    shop.catch_up()
    shop.advance(days=1)
    shop.world.scan(code, name="小雨", userid="zhangsan", external_userid=rain.external_userid)
    shop.world.scan(code, name="阿明", userid="zhangsan", external_userid=ming.external_userid)
    shop.catch_up()

    found = api.get(f"/channels/{code}/funnel")
    assert set(found) == {"code", "from", "to", "total", "by_kind", "by_day"}
    assert (found["from"], found["to"]) == ("2026-10-25", "2026-11-23")
    assert found["total"] == {"scans": 4, "half": 0, "added": 4, "welcomed": 4, "still_there": 3}
    kinds = {name: steps["scans"] for name, steps in found["by_kind"].items()}
    assert kinds == {"new_to_shop": 2, "new_to_rep": 1, "re_added": 1}
    days = {one["day"]: one for one in found["by_day"]}
    assert len(days) == 30
    assert days["2026-11-22"] == {
        "day": "2026-11-22", "scans": 2, "half": 0, "added": 2, "welcomed": 2, "still_there": 1
    }  # fmt: skip
    for step in ("scans", "half", "added", "welcomed", "still_there"):
        assert found["total"][step] == sum(one[step] for one in found["by_day"])
        assert found["total"][step] == sum(one[step] for one in found["by_kind"].values())
    only = api.get(f"/channels/{code}/funnel?from=2026-11-23&to=2026-11-23")
    assert (only["total"]["scans"], len(only["by_day"])) == (2, 1)


@ONE_DATABASE
def test_the_funnel_counts_who_is_only_half_there(shop: Shop, api: Caller) -> None:
    code = make(api, skip_verify=False)["code"]
    shop.world.scan(code, name="半半", userid="lisi")
    shop.catch_up()
    total = api.get(f"/channels/{code}/funnel")["total"]
    assert total["scans"] == total["half"] + total["added"]


IMPOSSIBLE_DAYS = ("from=2026-11-23&to=2026-11-22", "from=2025-01-01&to=2026-11-22", "from=yesterday",
                   "to=2026-02-30", "to=1700000000", "from=0001-01-01&to=0001-01-02", "to=9999-12-31",
                   "to=0001-01-01")  # fmt: skip


@ONE_DATABASE
def test_impossible_days_are_refused(api: Caller) -> None:
    code = make(api)["code"]
    for query in IMPOSSIBLE_DAYS:
        problem(api.ask("GET", f"/channels/{code}/funnel?{query}"), 422, "invalid")


# --- tags and the day ------------------------------------------------------------------------------------------------


def test_the_tags_are_listed_with_how_many_have_them(shop: Shop, api: Caller) -> None:
    code = make(api, tags=[{"group": "来源", "name": "抖音"}, {"group": "城市", "name": "上海"}])["code"]
    shop.world.scan(code, name="小雨")
    shop.catch_up()
    tags = api.walk("/tags", limit=1)
    assert [(tag["id"], tag["group"], tag["name"], tag["customers"]) for tag in tags] == [
        ("t_1", "来源", "抖音", 1),
        ("t_2", "城市", "上海", 1),
    ]
    assert set(tags[0]) == {"id", "group", "name", "wecom_id", "customers"}
    assert tags[0]["wecom_id"]


def test_the_day_is_told_in_figures(shop: Shop, api: Caller) -> None:
    shop.world.scan(make(api)["code"], name="小雨")
    shop.catch_up()
    assert api.get("/reports/today") == {
        "day": "2026-11-22",
        "arrivals": 1,
        "new_to_shop": 1,
        "new_to_rep": 0,
        "re_added": 0,
        "half": 0,
        "lost": 0,
        "net": 1,
        "welcomes": {"sent": 1},
        "median_welcome_seconds": 0.0,
        "slowest_welcome_seconds": 0.0,
    }
    assert api.get("/reports/today", day="2026-11-21")["arrivals"] == 0
    problem(api.ask("GET", "/reports/today?day=1999-12-31"), 422, "invalid")
    problem(api.ask("GET", "/reports/yesterday"), 404, "not-found")

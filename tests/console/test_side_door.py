"""The sidebar's own door: WeCom says who it is, once, to the browser that asked; and what its pages carry."""

from urllib.parse import parse_qs, urlsplit

from werkzeug.test import TestResponse

from console import headers
from storage.tables import AuditRow, Member
from tests.console.acting import Counter, Visitor

EVIL = (
    "?next=//evil.example",
    "?next=/\\evil.example",
    "?s=https://evil.example",
    "?redirect_uri=https://evil.example",
)


def asks(visitor: Visitor, path: str = "/sidebar") -> str:
    """The state with which the browser is sent to WeCom."""
    answer = visitor.get(path)
    assert answer.status_code == 303
    there = urlsplit(answer.location)
    asked = {name: one for name, (one,) in parse_qs(there.query).items()}
    assert there.netloc == "sandbox.invalid"
    assert asked["scope"] == "snsapi_base"
    assert asked["redirect_uri"] == "http://127.0.0.1:8000/sidebar/come"
    return asked["state"]


def comes_back(visitor: Visitor, state: str, code: str) -> TestResponse:
    return visitor.get(f"/sidebar/come?code={code}&state={state}")


def come_in(door: Counter, visitor: Visitor, userid: str = "sunqi") -> str:
    """The name under which the page goes on."""
    answer = comes_back(visitor, asks(visitor), door.shop.world.sign_in.give_code(userid))
    assert answer.status_code == 303, answer.text
    assert answer.location.startswith("/sidebar?s=")
    return answer.location.removeprefix("/sidebar?s=")


def look(visitor: Visitor, name: str, **fields: str) -> TestResponse:
    return visitor.post("/sidebar/look", {"s": name, **fields})


def test_a_member_without_a_console_user_comes_in_and_is_out_when_she_has_left(door: Counter) -> None:
    visitor = door.stranger()
    name = come_in(door, visitor)
    page = visitor.get(f"/sidebar?s={name}")
    assert page.status_code == 200
    assert "今天的清单" in look(visitor, name).text
    assert "Self-check" in visitor.get(f"/sidebar?s={name}&lang=en").text
    assert "Today’s list" in look(visitor, name).text
    assert visitor.get("/customers").status_code == 303
    assert "sign-in" in visitor.get("/customers").location
    with door.shop.db() as db:
        db.get_one(Member, "sunqi").left_at = door.shop.now()
    assert look(visitor, name).status_code == 401
    assert visitor.get(f"/sidebar?s={name}").status_code == 303


def test_a_state_is_this_browsers_and_counts_once_and_so_does_a_code(door: Counter) -> None:
    mine, theirs = door.stranger(), door.stranger()
    state, code = asks(mine), door.shop.world.sign_in.give_code("sunqi")
    assert comes_back(theirs, state, code).status_code == 400
    assert comes_back(mine, "", code).status_code == 400
    assert comes_back(mine, state, code).status_code == 303
    assert comes_back(mine, state, code).status_code == 400
    again = comes_back(mine, asks(mine), code)
    assert (again.status_code, "已用过或已过期" in again.text) == (400, True)


def test_who_is_no_member_of_ours_is_told_whom_to_ask(door: Counter) -> None:
    with door.shop.db() as db:
        db.get_one(Member, "sunqi").status = 2
    visitor = door.stranger()
    answer = comes_back(visitor, asks(visitor), door.shop.world.sign_in.give_code("sunqi"))
    assert (answer.status_code, "可见范围" in answer.text) == (403, True)


def test_a_page_is_only_as_good_as_the_browser_and_the_hours_since(door: Counter) -> None:
    visitor, other = door.stranger(), door.stranger()
    name = come_in(door, visitor)
    assert look(other, name).status_code == 401
    assert look(visitor, "").status_code == 401
    assert look(visitor, "sunqi").status_code == 401
    second = come_in(door, visitor, "lisi")
    assert [look(visitor, one).status_code for one in (name, second)] == [200, 200]
    door.shop.advance(hours=12, seconds=1)
    assert look(visitor, name).status_code == 401


def test_nothing_in_the_address_leads_elsewhere_and_no_other_site_may_post(door: Counter) -> None:
    for more in EVIL:
        asks(door.stranger(), f"/sidebar{more}")
    visitor = door.stranger()
    name = come_in(door, visitor)
    assert visitor.client.post("/sidebar/look", data={"s": name}).status_code == 403
    foreign = {"headers": {"Sec-Fetch-Site": "cross-site"}}
    assert visitor.post("/sidebar/look", {"s": name}, **foreign).status_code == 403


def test_the_console_user_of_this_browser_is_not_who_acts_in_the_sidebar(door: Counter) -> None:
    boss = door.visitor("zhangsan")
    name = come_in(door, boss, "sunqi")
    assert look(boss, name, external_userid="wmNobody").status_code == 404
    (refused,) = door.shop.rows(AuditRow, AuditRow.action == "access.refuse")
    assert refused.actor == "sunqi"


def test_only_the_sidebar_loads_wecoms_scripts_and_only_the_sandbox_frames_it(door: Counter) -> None:
    visitor = door.stranger()
    page = visitor.get(f"/sidebar?s={come_in(door, visitor)}")
    policy = page.headers["Content-Security-Policy"]
    assert "frame-ancestors http://sandbox.invalid" in policy
    assert "script-src 'self' http://sandbox.invalid;" in policy
    assert "X-Frame-Options" not in page.headers
    other = visitor.get("/sign-in?stay=1").headers
    assert (other["X-Frame-Options"], "frame-ancestors 'none'" in other["Content-Security-Policy"]) == ("DENY", True)
    real = headers.sidebar_policy("https://open.weixin.qq.com")
    assert "frame-ancestors 'none'" in real
    assert f"script-src 'self' {headers.SDK_OF_WECOM};" in real

"""Coming in: by password, by link, by WeCom; and staying out when one should."""

import re
import statistics
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

import console
from console.doors import safe_return
from people import common_passwords, sign_in
from storage.tables import Attempt, SignIn, SignInLink, User
from tests.console.acting import PASSWORD, Counter, Visitor

IN_WECOM = {"User-Agent": "Mozilla/5.0 (iPhone) wxwork/4.1.36 MicroMessenger/7.0.1"}


def give_password(counter: Counter, userid: str = "lisi") -> None:
    with counter.shop.db() as db:
        user = db.scalars(select(User).where(User.userid == userid)).one()
        sign_in.set_password(db, user, PASSWORD, counter.shop.now())


def session_of(visitor: Visitor) -> str:
    cookie = visitor.client.get_cookie("scrm")
    return cookie.value if cookie else ""


def test_a_right_password_opens_the_console(door: Counter) -> None:
    give_password(door)
    visitor = door.stranger()
    answer = visitor.signs_in("LiSi", next="/customers?q=a")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/customers?q=a")
    cookie = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith("scrm="))
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert visitor.get("/").status_code == 200
    assert [line.actor for line in door.audit("sign_in.good")] == ["lisi"]


def test_signing_in_again_gives_a_new_session_and_kills_the_old(door: Counter) -> None:
    give_password(door)
    visitor, thief = door.stranger(), door.stranger()
    visitor.signs_in("lisi")
    first = session_of(visitor)
    thief.client.set_cookie("scrm", first)
    assert thief.get("/").status_code == 200
    visitor.learn_token()
    visitor.signs_in("lisi")
    assert session_of(visitor) != first
    assert thief.get("/").status_code == 303
    assert visitor.get("/").status_code == 200


def test_a_session_a_stranger_chose_is_never_taken_over(door: Counter) -> None:
    give_password(door)
    visitor = door.stranger()
    visitor.client.set_cookie("scrm", "chosen-by-somebody-else")
    visitor.signs_in("lisi")
    assert session_of(visitor) != "chosen-by-somebody-else"


def test_only_digests_are_kept(door: Counter) -> None:
    give_password(door)
    visitor = door.stranger()
    visitor.signs_in("lisi")
    with door.shop.db() as db:
        link = sign_in.issue_link(db, db.scalars(select(User)).first() or User(), door.shop.now())
    kept = [row.digest for row in (*door.shop.rows(SignIn), *door.shop.rows(SignInLink))]
    assert len(session_of(visitor)) >= 43 <= len(link)
    assert session_of(visitor) not in kept
    assert link not in kept
    (user,) = door.shop.rows(User, User.userid == "lisi")
    assert user.password_hash.startswith("$argon2id$")


def test_signing_out_ends_the_session_also_in_a_copied_cookie(door: Counter) -> None:
    visitor, copy = door.visitor("lisi"), door.stranger()
    copy.client.set_cookie("scrm", session_of(visitor))
    assert visitor.post("/sign-out").headers["Location"] == "/sign-in?stay=1"
    assert copy.get("/").status_code == 303
    assert [line.actor for line in door.audit("sign_in.out")] == ["lisi"]


def test_a_new_password_a_disabled_user_and_a_leaving_member_are_out_at_the_next_request(door: Counter) -> None:
    give_password(door)
    others = [door.visitor("lisi"), door.visitor("lisi")]
    here = door.visitor("lisi")
    new = "再来一杯 flat white"
    answer = here.post("/my-sign-in/password", {"old": PASSWORD, "new": new})
    assert answer.status_code == 303
    assert [one.get("/").status_code for one in (here, *others)] == [200, 303, 303]

    with door.shop.db() as db:
        user = db.scalars(select(User).where(User.userid == "lisi")).one()
        sign_in.disable(db, user.id, door.shop.now())
    assert here.get("/").status_code == 303
    assert door.stranger().signs_in("lisi", new).status_code == 401

    manager = door.visitor("zhaoliu")
    door.shop.world.dismiss_member("zhaoliu")
    door.shop.catch_up()
    assert manager.get("/").status_code == 303


def test_out_everywhere_ends_every_session_of_mine_and_of_nobody_else(door: Counter) -> None:
    one, two, other = door.visitor("lisi"), door.visitor("lisi"), door.visitor("wangwu")
    one.post("/my-sign-in/out-everywhere")
    assert [visitor.get("/").status_code for visitor in (one, two, other)] == [303, 303, 200]


def test_a_session_ends_with_the_working_day(door: Counter) -> None:
    visitor = door.visitor("lisi")
    door.shop.advance(hours=11, minutes=59)
    assert visitor.get("/").status_code == 200
    door.shop.advance(minutes=2)
    assert visitor.get("/").status_code == 303


# --- who guesses -----------------------------------------------------------------------------------------------------


def test_the_eleventh_wrong_password_is_refused_and_the_right_one_works_when_the_lock_ends(door: Counter) -> None:
    give_password(door)
    visitor = door.stranger()
    tries = [visitor.signs_in("lisi", f"wrong {number}") for number in range(11)]
    assert [one.status_code for one in tries] == [401] * 10 + [429]
    assert tries[-1].headers["Retry-After"] == "600"
    assert visitor.signs_in("lisi").status_code == 429
    door.shop.advance(minutes=10, seconds=1)
    assert visitor.signs_in("lisi").status_code == 303
    assert len(door.audit("sign_in.bad")) == 10
    assert len(door.audit("sign_in.slow_down")) == 2


def test_guesses_spread_over_many_names_from_one_address_are_refused_too(door: Counter) -> None:
    visitor = door.stranger()
    tries = [visitor.signs_in(f"user{number}", "wrong") for number in range(20)]
    assert [one.status_code for one in tries] == [401] * 10 + [429] * 10


def test_guesses_at_one_user_from_many_addresses_are_refused_too(door: Counter) -> None:
    give_password(door)
    visitor = door.stranger()
    visitor.learn_token()
    seen = []
    for number in range(12):
        data = {"userid": "lisi", "password": "wrong"}
        seen.append(visitor.post("/sign-in", data, headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code)
    assert seen == [401] * 10 + [429] * 2
    assert {row.address for row in door.shop.rows(Attempt)} == {f"10.0.0.{number}" for number in range(10)}


def test_what_was_typed_as_a_name_is_not_kept(door: Counter) -> None:
    door.stranger().signs_in("my-secret-password", "oops")
    assert "my-secret-password" not in str([vars(row) for row in door.shop.rows(Attempt)])
    assert [line.actor for line in door.audit("sign_in.bad")] == ["-"]


def test_an_unknown_user_gets_the_same_answer_in_the_same_time(door: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_hasher", PasswordHasher())
    give_password(door)
    answers, times = {}, {"lisi": [], "nobody": []}
    sign_in.matches(None, "warm up")
    for _turn in range(4):
        for name in times:
            visitor = door.stranger()
            visitor.learn_token()
            started = time.perf_counter()
            answer = visitor.post("/sign-in", {"userid": name, "password": "wrong"})
            times[name].append(time.perf_counter() - started)
            same = re.sub(r'value="[^"]*"', "", answer.text)
            answers[name] = (answer.status_code, same)
    assert answers["lisi"] == answers["nobody"]
    slow, fast = sorted((statistics.median(times["lisi"]), statistics.median(times["nobody"])), reverse=True)
    assert slow < fast * 2


@pytest.mark.parametrize(
    "password",
    ["password", "Passw0rd!", "12345678", "qwertyui", "1qaz2wsx", "13800138000", "19900101", "aaaaaaaa", "abcabcabc",
     "admin123456", "woaini1314", "iloveyou520", "87654321", "lisi2026", "zaq12wsx", "adminadmin", "drowssap",
     "5201314520", "qq123456789", "zhangsan123"],
)  # fmt: skip
def test_a_common_password_is_refused(password: str) -> None:
    assert common_passwords.too_common(password, "lisi")


@pytest.mark.parametrize(
    "password", ["每天第一杯 please", "correct horse battery staple", "Xk9#mQ2$vL", "三点半去浇花吧谢谢"]
)
def test_a_good_password_is_taken(password: str) -> None:
    assert sign_in.password_trouble(password, "lisi") is None


def test_a_password_has_8_to_128_characters_of_any_kind() -> None:
    assert sign_in.password_trouble("短") is not None
    assert sign_in.password_trouble("x7" * 64 + "y") is not None
    assert sign_in.password_trouble("好咖啡 and a very long sentence of sixty-four characters, or more") is None


def test_passwords_are_hashed_with_argon2id_at_todays_cost() -> None:
    hasher = PasswordHasher()
    assert (hasher.type.name, hasher.memory_cost >= 65_536 or hasher.time_cost >= 3) == ("ID", True)


def test_nothing_that_guards_a_door_uses_weak_randomness() -> None:
    own = [Path(sign_in.__file__), *Path(console.__file__).parent.glob("*.py")]
    assert [path.name for path in own if re.search(r"\brandom\.|import random", path.read_text("utf-8"))] == []


# --- links -----------------------------------------------------------------------------------------------------------


def link_for(counter: Counter, userid: str = "lisi") -> str:
    with counter.shop.db() as db:
        user = db.scalars(select(User).where(User.userid == userid)).one()
        return "/sign-in/link/" + sign_in.issue_link(db, user, counter.shop.now())


def test_a_link_signs_in_once_and_looking_at_it_does_not_use_it_up(door: Counter) -> None:
    link, visitor = link_for(door), door.stranger()
    for _look in range(3):
        assert visitor.get(link).status_code == 200
    assert visitor.post(link).status_code == 303
    assert visitor.get("/").status_code == 200
    assert door.stranger().post(link).status_code == 410
    assert door.stranger().post("/sign-in/link/nonsense").status_code == 410


def test_a_link_lives_a_day_and_dies_with_its_user(door: Counter) -> None:
    old, link = link_for(door), link_for(door, "wangwu")
    door.shop.advance(hours=24, seconds=1)
    assert door.stranger().post(old).status_code == 410
    link = link_for(door, "wangwu")
    with door.shop.db() as db:
        user = db.scalars(select(User).where(User.userid == "wangwu")).one()
        sign_in.disable(db, user.id, door.shop.now())
        sign_in.enable(db, user.id)
    assert door.stranger().post(link).status_code == 410


# --- WeCom -----------------------------------------------------------------------------------------------------------


def sent_to_wecom(visitor: Visitor, path: str = "/sign-in/wecom", **more: object) -> tuple[str, dict[str, str]]:
    address = urlsplit(visitor.client.get(path, **more).headers["Location"])
    return f"{address.path}#{address.fragment}", {name: one[0] for name, one in parse_qs(address.query).items()}


def comes_back(visitor: Visitor, counter: Counter, userid: str, state: str, *, is_member: bool = True) -> str:
    code = counter.shop.world.sign_in.give_code(userid, is_member)
    return f"/sign-in/wecom/done?code={code}&state={state}"


def test_inside_wecom_one_is_signed_in_without_typing(door: Counter) -> None:
    visitor = door.stranger()
    answer = visitor.get("/sign-in?next=/customers", headers=IN_WECOM)
    assert answer.headers["Location"] == "/sign-in/wecom?next=/customers"
    path, asked = sent_to_wecom(visitor, answer.headers["Location"], headers=IN_WECOM)
    assert path == "/connect/oauth2/authorize#wechat_redirect"
    assert list(asked) == ["appid", "redirect_uri", "response_type", "scope", "state", "agentid"]
    assert (asked["scope"], asked["redirect_uri"]) == ("snsapi_base", "http://127.0.0.1:8000/sign-in/wecom/done")
    assert re.fullmatch(r"[0-9a-f]{32}", asked["state"])
    answer = visitor.get(comes_back(visitor, door, "lisi", asked["state"]))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/customers")
    assert "李四" in visitor.get("/").text


def test_elsewhere_wecom_shows_a_qr_code(door: Counter) -> None:
    visitor = door.stranger()
    path, asked = sent_to_wecom(visitor)
    assert path == "/wwlogin/sso/login#"
    assert (asked["login_type"], asked["agentid"]) == ("CorpApp", "1000002")
    assert visitor.get(comes_back(visitor, door, "ZhangSan", asked["state"])).status_code == 303


def test_a_state_is_good_once_in_the_browser_it_was_made_for(door: Counter) -> None:
    visitor, other = door.stranger(), door.stranger()
    _, asked = sent_to_wecom(visitor)
    assert other.get(comes_back(other, door, "zhangsan", asked["state"])).status_code == 400
    assert other.get("/").status_code == 303
    assert visitor.get(comes_back(visitor, door, "lisi", "")).status_code == 400
    assert visitor.get(comes_back(visitor, door, "lisi", asked["state"])).status_code == 303
    assert visitor.get(comes_back(visitor, door, "lisi", asked["state"])).status_code == 400


def test_a_used_or_invented_code_signs_nobody_in(door: Counter) -> None:
    visitor = door.stranger()
    back = comes_back(visitor, door, "lisi", sent_to_wecom(visitor)[1]["state"])
    assert visitor.get(back).status_code == 303
    again = re.sub("state=.*", "state=" + sent_to_wecom(visitor)[1]["state"], back)
    stranger = door.stranger()
    again = re.sub("state=.*", "state=" + sent_to_wecom(stranger)[1]["state"], back)
    assert stranger.get(again).status_code == 400
    assert stranger.get("/").status_code == 303


def test_a_member_without_access_is_told_who_can_give_it(door: Counter) -> None:
    visitor = door.stranger()
    answer = visitor.get(comes_back(visitor, door, "sunqi", sent_to_wecom(visitor)[1]["state"]))
    assert answer.status_code == 403
    assert "sunqi" in answer.text
    assert "张三" in answer.text
    assert visitor.get("/").status_code == 303


def test_somebody_outside_the_company_learns_nothing(door: Counter) -> None:
    visitor = door.stranger()
    customer = door.shop.world.new_customer("小雨").external_userid
    answer = visitor.get(comes_back(visitor, door, customer, sent_to_wecom(visitor)[1]["state"], is_member=False))
    assert answer.status_code == 403
    assert "张三" not in answer.text


@pytest.mark.parametrize(
    "outside",
    ["//evil.example", "/\\evil.example", "https:evil.example", "https://ok.example@evil.example", "http://evil",
     "https://127.0.0.1:8000.evil.example", "\\\\evil", "javascript:alert(1)", "/\n/evil", "///evil", "", "evil", " /x",
     "/\t/evil.example"],
)  # fmt: skip
def test_the_way_back_always_stays_inside(counter: Counter, outside: str) -> None:
    assert safe_return(outside) == "/"
    page = counter.visitor("lisi").get("/sign-in", query_string={"next": outside})
    assert page.headers["Location"] == "/"


def test_the_way_back_keeps_our_own_addresses() -> None:
    assert safe_return("/customers?q=小雨&tag=t_1") == "/customers?q=小雨&tag=t_1"

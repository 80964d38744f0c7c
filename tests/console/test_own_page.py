"""A customer's own page: how little a bare address tells, who is kept out, and what the console has to do with it."""

import logging
import time
from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import TooManyRequests

from console import own_page, pace
from console.pace import Pace
from loyalty import accounts
from loyalty.ledger import spend
from loyalty.ledger.book import About
from loyalty.ledger.claw import Policy, claw_back
from people import consent, persons
from storage.tables import OwnPage, OwnVisit, Person
from tests.api.caller import Caller
from tests.console.acting import Counter
from tests.console.own import TOKEN, Phone, address_of, award, nobody_has_asked, phone
from tests.console.test_side_door import come_in

NAME = "欧阳小雨"


@pytest.fixture
def mine(fresh: Counter) -> Phone:
    """The page of 李四's customer, who has 137 points, 80 of which end in 40 days."""
    who = fresh.people["lisi"]
    with fresh.shop.db() as db:
        db.get_one(Person, who).name = NAME
    award(fresh.shop, who, 57)
    award(fresh.shop, who, 80, days=40)
    return phone(fresh.shop, who)


@pytest.fixture(autouse=True)
def _own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody_has_asked(monkeypatch)


def test_a_bare_address_tells_a_letter_and_how_many_digits(mine: Phone) -> None:
    page = mine.get()
    assert "欧**" in page.text
    assert "1** 分" in page.text
    assert "8* 分" in page.text
    assert "豆子咖啡" in page.text
    plain = page.text.replace(mine.path, "").replace(TOKEN.search(page.text)[1], "")
    for told in (NAME, NAME[1:], "欧阳", "137", "80 分", "57 分", "银卡", "<script"):
        assert told not in plain, told


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(alphabet="雨阳林Mo é👩🏽", min_size=0, max_size=6),
    points=st.integers(1, 99_999),
    other=st.integers(1, 99_999),
)
def test_whoever_looks_alike_has_the_same_bare_page(door_app: Flask, name: str, points: int, other: int) -> None:
    """Nothing of a name but its first letter, nothing of a number but its first digit and its length."""
    with door_app.test_request_context("/me/x"):
        shown = own_page.masked(points)
        assert own_page.letter(name) == own_page.letter(name.strip()[:1] + "别的")[: len(own_page.letter(name))] or (
            len(name.strip()) < 2 and own_page.letter(name) == "**"
        )
        assert str(points) not in shown
        if (str(points)[0], len(str(points))) == (str(other)[0], len(str(other))) or points < 10 > other:
            assert own_page.masked(other) == shown


@pytest.fixture
def door_app(fresh: Counter) -> Flask:
    return fresh.shop.app


def test_two_people_who_look_alike_have_the_same_bare_page(fresh: Counter) -> None:
    shown = []
    for rep, name, points in (("lisi", "欧阳小雨", 137), ("wangwu", "欧文", 189)):
        with fresh.shop.db() as db:
            db.get_one(Person, fresh.people[rep]).name = name
        award(fresh.shop, fresh.people[rep], points)
        one = phone(fresh.shop, fresh.people[rep])
        page = one.get().text.replace(one.path, "/me/x")
        shown.append([line for line in page.splitlines() if "csrf_token" not in line])
    assert shown[0] == shown[1]


def test_nobody_keeps_it_or_hears_of_its_address(mine: Phone) -> None:
    for more in ("", "/counter", "/rewards/1", "/redemptions/1", "/gifts", "/groups/ABCD2345"):
        carried = mine.get(more).headers
        assert carried["Referrer-Policy"] == "no-referrer"
        assert carried["Cache-Control"] == "no-store"
        assert carried["X-Robots-Tag"] == "noindex, nofollow"
        assert "default-src 'none'" in carried["Content-Security-Policy"]
    cookie = mine.post("/code").headers.getlist("Set-Cookie")
    (own,) = [one for one in cookie if one.startswith("me=")]
    assert f"Path={mine.path}" in own
    assert "HttpOnly" in own
    assert "SameSite=Lax" in own


def test_a_token_that_is_not_there_looks_like_one_that_was_called_back(fresh: Counter, mine: Phone) -> None:
    boss = fresh.visitor("zhangsan")
    who = fresh.people["lisi"]
    digits = mine.code()
    till = Caller(fresh.shop, "points", name="收银台")
    assert till.post("/points/confirmations", {"code": digits}).status_code == 200
    assert mine.inside
    assert boss.post(f"/points/p_{who}/own-page/revoke").status_code == 303
    gone, never = mine.get(), mine.client.get("/me/" + "x" * 24)
    assert (gone.status_code, never.status_code) == (404, 404)
    assert gone.text == never.text
    assert mine.client.get(mine.path + "/wechat").status_code == 404
    assert fresh.count(OwnVisit) == 0
    assert address_of(fresh.shop, who) != mine.path
    assert [one.action for one in fresh.audit("customer.own_page_revoke")] == ["customer.own_page_revoke"]


def test_a_wrong_token_takes_as_long_as_a_called_back_one(fresh: Counter, mine: Phone) -> None:
    with fresh.shop.db() as db:
        db.query(OwnPage).one().revoked_at = fresh.shop.now()

    took: dict[str, list[float]] = {mine.path: [], "/me/" + "y" * 24: []}
    for _ in range(12):
        for path, times in took.items():
            began = time.process_time()  # a busy machine is nobody's secret
            mine.client.get(path)
            times.append(time.process_time() - began)
    gone, never = (sorted(times)[6] for times in took.values())
    assert 0.5 < gone / never < 2


def test_whoever_tries_tokens_is_slowed_down(mine: Phone) -> None:
    seen = [mine.client.get(f"/me/guess{n}").status_code for n in range(32)]
    assert seen[:30] == [404] * 30
    assert seen[-1] == 429
    assert mine.get().status_code == 200, "whoever has an address still opens it"
    answer = mine.client.get("/me/guess")
    assert int(answer.headers["Retry-After"]) > 0


def test_forms_from_elsewhere_change_nothing(fresh: Counter, mine: Phone) -> None:
    who = fresh.people["lisi"]
    client = mine.client
    for more in (
        "/messages", "/code", "/counter", "/leave", "/bound", "/rewards/1", "/rewards/1/group", "/gifts", "/gifts/1",
        "/groups/ABCD2345",
    ):  # fmt: skip
        assert client.post(mine.path + more, data={"wanted": "0"}).status_code == 403
        foreign = {"Origin": "https://evil.example"}
        assert mine.post(more, {"wanted": "0"}, headers=foreign).status_code == 403
        assert mine.post(more, headers={"Origin": "null", "Sec-Fetch-Site": "cross-site"}).status_code == 403
    with fresh.shop.db() as db:
        assert not consent.is_out(db.get_one(Person, who))
    assert mine.post("/messages", {"wanted": "0"}, headers={"Origin": "http://127.0.0.1:8000"}).status_code == 303
    with fresh.shop.db() as db:
        assert consent.is_out(db.get_one(Person, who))


def test_who_wants_to_hear_nothing_says_so_without_signing_in_and_takes_it_back(fresh: Counter, mine: Phone) -> None:
    mine.post("/messages", {"wanted": "0"})
    assert "不会再主动给你发消息" in mine.get().text
    assert [one.kind for one in fresh.lines("lisi")][-1] == "opted_out"
    mine.post("/messages", {"wanted": "1"})
    assert "不再接收店里的消息" in mine.get().text
    assert [one.kind for one in fresh.lines("lisi")][-1] == "opted_in"


def test_without_having_come_in_nothing_further_is_shown_or_done(mine: Phone) -> None:
    for more in ("/counter", "/rewards/1", "/redemptions/1", "/gifts", "/groups", "/groups/ABCD2345"):
        assert mine.get(more).location == mine.path
    for more in ("/counter", "/bound", "/rewards/1", "/rewards/1/group", "/gifts", "/gifts/1", "/groups/ABCD2345"):
        assert mine.post(more, {"key": "k"}).status_code == 303
    assert not mine.inside


def test_a_page_asks_for_ten_codes_and_no_more(mine: Phone) -> None:
    seen = [mine.post("/code").status_code for _ in range(12)]
    assert seen == [303] * 10 + [429] * 2


def test_nothing_of_an_address_is_logged(
    mine: Phone, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> str:
        raise RuntimeError("broken")

    monkeypatch.setattr(own_page, "_little", breaks)
    with caplog.at_level(logging.DEBUG):
        assert mine.get().status_code == 500
    assert "failed" in caplog.text
    assert mine.path.rpartition("/")[2] not in caplog.text


def test_a_rep_confirms_their_own_customer_and_nobody_elses(fresh: Counter, mine: Phone) -> None:
    digits = mine.code()
    other = fresh.visitor("zhaoliu").post("/points/confirm", {"code": digits})
    assert (other.status_code, "没有这个确认码" in other.text) == (422, True)
    assert not mine.inside
    answer = fresh.visitor("lisi").post("/points/confirm", {"code": f"{digits[:3]} {digits[3:]}"})
    assert answer.location.endswith(f"/points/p_{fresh.people['lisi']}")
    assert mine.inside
    assert [one.actor for one in fresh.audit("customer.confirm")] == ["lisi"]


def test_a_member_who_guesses_codes_is_slowed_down(fresh: Counter, mine: Phone) -> None:
    rep = fresh.visitor("lisi")
    for n in range(11):
        rep.post("/points/confirm", {"code": f"{n:06d}"})
    answer = rep.post("/points/confirm", {"code": mine.code()})
    assert (answer.status_code, "十分钟后" in answer.text) == (422, True)


def test_only_the_boss_calls_an_address_back_and_a_rep_makes_one_for_their_own(fresh: Counter) -> None:
    own, other = f"/points/p_{fresh.people['lisi']}", f"/points/p_{fresh.people['wangwu']}"
    rep = fresh.visitor("lisi")
    assert rep.post(f"{own}/own-page").status_code == 303
    assert "/me/" in rep.get(own).text
    assert rep.post(f"{other}/own-page").status_code == 404
    assert rep.post(f"{own}/own-page/revoke").status_code == 404
    assert fresh.visitor("zhangsan").post(f"{own}/own-page/revoke").status_code == 303
    assert fresh.count(OwnPage, OwnPage.revoked_at.is_(None)) == 0


def test_what_is_owed_and_what_waits_is_explained(fresh: Counter, mine: Phone) -> None:
    award(fresh.shop, fresh.people["lisi"], 30, pends=7)
    digits = mine.code()
    Caller(fresh.shop, "points").post("/points/confirmations", {"code": digits})
    page = mine.get().text
    assert "137" in page
    assert "过了退货期才能用" in page
    assert "订单 80（pos-01）" in page
    assert "银卡" in page
    assert "lisi" not in page
    assert "店员" not in page
    assert "规则第 0 版" not in page
    english = mine.get(lang="en").text
    assert "My points" in english
    assert "可用" not in english


def test_beside_the_chat_a_rep_sees_points_and_confirms_whoever_shows_a_code(fresh: Counter, mine: Phone) -> None:
    rep = fresh.stranger()
    name = come_in(fresh, rep, "lisi")
    with fresh.shop.db() as db:
        external = persons.identity(db, db.get_one(Person, fresh.people["lisi"]), persons.EXTERNAL)
    here = {"s": name, "external_userid": external or ""}
    page = rep.post("/sidebar/look", here).text
    assert "137 分" in page
    assert mine.path in page
    theirs = phone(fresh.shop, fresh.people["wangwu"]).code()
    assert "没有这个确认码" in rep.post("/sidebar/confirm", {**here, "code": theirs}).text
    assert not mine.inside
    assert "已确认是本人" in rep.post("/sidebar/confirm", {**here, "code": mine.code()}).text
    assert mine.inside
    other = come_in(fresh, rep, "sunqi")
    assert rep.post("/sidebar/confirm", {**here, "s": other, "code": mine.code()}).status_code == 404


def test_a_page_says_what_a_refund_left_owed_and_why_nothing_can_be_redeemed(fresh: Counter, mine: Phone) -> None:
    shop, who = fresh.shop, fresh.people["lisi"]
    txn = award(shop, who, 300)
    with shop.work() as work:
        own = accounts.accounts_of(work.db, [who])
        spend.redeem(work, own, 400, About("redeem", "r", work.now, "key:till"))
        claw_back(work, own[0], txn, 300, About("claw", "c", work.now, "orders"), Policy("allow_debt", None))
    Caller(shop, "points").post("/points/confirmations", {"code": mine.code()})
    page = mine.get().text
    assert "还欠 263 分" in page
    assert "还清前不能兑换" in page


def test_at_a_public_door_nobody_is_remembered_for_ever(monkeypatch: pytest.MonkeyPatch, fresh: Counter) -> None:
    monkeypatch.setattr(pace, "KEYS", 50)
    own, now = Pace(2, timedelta(minutes=10)), fresh.shop.now()
    for n in range(200):
        own.step(f"192.0.2.{n}", now + timedelta(minutes=n))
    assert len(own._times) <= 51
    own.step("192.0.2.199", now + timedelta(minutes=199))
    with pytest.raises(TooManyRequests):
        own.step("192.0.2.199", now + timedelta(minutes=199))

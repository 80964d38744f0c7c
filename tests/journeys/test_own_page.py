"""From the link in a chat to points spent at the counter; and whom the customer's own page is shown to."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from loyalty import accounts, rewards
from loyalty.ledger import earn
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from people import binding, evidence, identities, joining, own_pages, persons
from people.access import Sight
from people.joining import Given
from sandbox.till import Till
from storage.tables import (
    AuditRow,
    Evidence,
    Interaction,
    OwnPage,
    OwnVisit,
    Person,
    PointsNotice,
    Redemption,
    Review,
    Reward,
)
from storage.work import Work
from tests.api.caller import PROBLEM, Caller, make_key
from tests.console.own import address_of, award, nobody_has_asked, phone
from tests.shop import Shop

NUMBER = "13911112222"
EVERYBODY = Sight(everybody=True)


@pytest.fixture(autouse=True)
def _own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody_has_asked(monkeypatch)


def customer(shop: Shop, name: str = "小雨", unionid: str | None = "u-rain") -> tuple[int, str]:
    """Somebody in WeCom: who they are here, and there."""
    external = shop.world.scan(shop.channel(text="").code, name=name, userid="lisi", unionid=unionid).external_userid
    shop.catch_up()
    with shop.db() as db:
        person = persons.find_person(db, persons.EXTERNAL, external)
        assert person is not None
        return person.id, external


def member(shop: Shop, points: int) -> int:
    """Somebody of a till, known by a number, older than whoever comes later."""
    with shop.work() as work:
        place = joining.person_by(work, "phone", NUMBER, verified=True, source="pos-01", at=work.now)
        assert place is not None
    award(shop, place[1], points)
    return place[1]


def bind(shop: Shop, person_id: int, by: str = "lisi") -> None:
    with shop.work() as work:
        person = work.db.get_one(Person, person_id)
        phone_number = identities.spelt("phone", NUMBER)
        found = binding.match(work.db, EVERYBODY, person.id, phone_number)
        assert binding.bind(work, person, phone_number, found, by=by) == binding.BOUND


def test_a_code_at_the_till_opens_the_page_and_points_are_spent(shop: Shop) -> None:
    who, _external = customer(shop)
    award(shop, who, 137, days=40)
    mine, till = phone(shop, who), Caller(shop, "points", name="收银台")
    assert not mine.inside
    digits = mine.code()
    assert not mine.inside
    told = till.post("/points/confirmations", {"code": digits})
    assert told.status_code == 200
    assert told.get_json() == {"customer_id": f"p_{who}", "available": 137, "confirmed": 0}
    assert mine.inside
    assert "137" in mine.get().text
    assert "137 元" not in mine.get().text
    assert not phone(shop, who).inside, "another browser has not come in"
    assert till.post("/points/confirmations", {"code": digits}).status_code == 404, "a code works once"
    again = mine.code("/counter", "/counter")
    told = till.post("/points/confirmations", {"code": f"{again[:3]} {again[3:]}"})
    spent = till.post("/points/redemptions", {"customer_id": told.get_json()["customer_id"], "points": 100})
    assert spent.get_json()["available"] == 37
    assert "兑换" in mine.get().text
    assert [one.kind for one in shop.rows(Interaction) if one.kind == "confirmed"] == ["confirmed"] * 2
    assert {one.actor for one in shop.rows(AuditRow) if one.action == "customer.confirm"} == {"key:收银台"}
    shop.advance(minutes=31)
    assert not mine.inside, "half an hour is over"


def test_a_code_is_too_old_after_ten_minutes_and_wrong_ones_are_slowed_down(shop: Shop) -> None:
    who, _external = customer(shop)
    mine, till = phone(shop, who), Caller(shop, "points", name="收银台")
    digits = mine.code()
    shop.advance(minutes=11)
    assert till.post("/points/confirmations", {"code": digits}).status_code == 404
    wrong = [till.post("/points/confirmations", {"code": f"{n:06d}"}).status_code for n in range(12)]
    assert wrong[:9] == [404] * 9
    assert wrong[-1] == 429
    fresh = phone(shop, who).code()
    slowed = till.post("/points/confirmations", {"code": fresh})
    assert (slowed.status_code, slowed.mimetype) == (429, PROBLEM)
    assert int(slowed.headers["Retry-After"]) > 0
    other = Caller(shop, "points", name="另一台")
    assert other.post("/points/confirmations", {"code": fresh}).status_code == 200, "one till does not starve another"


def test_whoever_wechat_knows_comes_in_and_a_stranger_does_not(shop: Shop) -> None:
    who, external = customer(shop)
    award(shop, who, 137)
    mine = phone(shop, who)
    assert mine.by_wechat(shop, external).status_code == 303
    assert mine.inside
    other, their_external = customer(shop, "阿哲", "u-zhe")
    theirs = phone(shop, who)
    assert theirs.by_wechat(shop, their_external).status_code == 303
    assert "另一位会员" in theirs.get().text
    assert not theirs.inside
    with shop.db() as db:
        assert persons.anchors(db, who) == [who]
        assert persons.anchors(db, other) == [other]
    assert [(one.a, one.b, one.kind) for one in shop.rows(Review)] == [(who, other, "proposal")]


def test_a_wechat_nobody_knows_needs_a_code_once(shop: Shop) -> None:
    who, external = customer(shop, unionid=None)
    mine, till = phone(shop, who), Caller(shop, "points", name="收银台")
    mine.by_wechat(shop, external)
    assert not mine.inside, "the address alone proves nothing"
    with shop.db() as db:
        digits = db.query(OwnVisit).one().code
    assert till.post("/points/confirmations", {"code": digits}).status_code == 200
    assert mine.inside
    again = phone(shop, who)
    again.by_wechat(shop, external)
    assert again.inside, "from then on WeChat is enough"


def test_a_sign_in_must_have_begun_in_this_browser_and_counts_once(shop: Shop) -> None:
    who, external = customer(shop)
    mine, theirs = phone(shop, who), phone(shop, who)
    state = mine.asks_wechat()
    code = shop.world.sign_in.give_code(external, False, "snsapi_userinfo")
    back = f"/me/wechat?code={code}&state={state}"
    assert theirs.client.get(back).status_code == 400
    assert mine.client.get(f"/me/wechat?code={code}&state=").status_code == 400
    for evil in ("&next=//evil.example", "&redirect_uri=https://evil.example", "&token=x"):
        assert mine.client.get(back.replace(state, "other") + evil).status_code == 400
    answer = mine.client.get(back + "&next=//evil.example")
    assert (answer.status_code, answer.location) == (303, mine.path)
    assert mine.client.get(back).status_code == 400
    spent = mine.client.get(f"/me/wechat?code={code}&state={mine.asks_wechat()}")
    assert spent.status_code == 400, "WeChat takes a code once"


def test_what_a_rep_bound_is_seen_and_not_spent_until_the_customer_confirms(shop: Shop) -> None:
    old = member(shop, 500)
    who, external = customer(shop)
    award(shop, who, 20)
    bind(shop, who)
    with shop.db() as db:
        assert set(persons.anchors(db, who)) == {who, old}
    till = Caller(shop, "points", name="收银台")
    assert till.get(f"/customers/{external}/points")["available"] == 520
    refused = till.post("/points/redemptions", {"customer_id": external, "points": 100})
    assert refused.status_code == 409
    assert refused.get_json()["type"].endswith("not-confirmed")
    assert refused.get_json()["available"] == 20
    assert till.post("/points/holds", {"customer_id": external, "points": 100}).status_code == 409
    assert till.post("/points/redemptions", {"customer_id": external, "points": 5}).status_code == 201
    mine = phone(shop, who)
    mine.by_wechat(shop, external)
    assert "139****2222" in mine.get().text
    assert "现在能用" in mine.get().text
    assert till.post("/points/redemptions", {"customer_id": external, "points": 100}).status_code == 409
    mine.post("/bound")
    assert till.post("/points/redemptions", {"customer_id": external, "points": 100}).status_code == 201
    assert "现在能用" not in mine.get().text


def test_whoever_bound_a_customer_cannot_confirm_it_and_somebody_else_can(shop: Shop) -> None:
    old = member(shop, 500)
    who, _external = customer(shop)
    bind(shop, who)
    with shop.work() as work:
        page = own_pages.of_person(work.db, work.db.get_one(Person, who)) or made(work, who)
        code = own_pages.show_code(work, page)
        found = own_pages.confirm(work, code, by="lisi")
        assert found is not None
        assert (found.certain, found.left) == (0, 1)
        assert joining.confirmed(work.db, who) == {who}
    with shop.work() as work:
        page = made(work, who)
        found = own_pages.confirm(work, own_pages.show_code(work, page), by="wangwu")
        assert found is not None
        assert (found.certain, found.left) == (1, 0)
        assert joining.confirmed(work.db, who) == {who, old}


def test_a_bound_number_that_nobody_else_has_is_confirmed_too_and_gifts_reach_it(shop: Shop) -> None:
    who, external = customer(shop)
    number = identities.spelt("phone", NUMBER)
    with shop.work() as work:
        person = work.db.get_one(Person, who)
        assert binding.bind(work, person, number, None, by="lisi") == binding.NOBODY
        assert own_pages.holder(work.db, "phone", number) is None
    mine = phone(shop, who)
    mine.by_wechat(shop, external)
    assert "139****2222" in mine.get().text
    mine.post("/bound")
    assert "139****2222" not in mine.get().text
    with shop.db() as db:
        assert own_pages.holder(db, "phone", number) == who


def test_a_bound_number_that_is_somebody_else_s_for_certain_is_not_the_customer_s_to_confirm(shop: Shop) -> None:
    old = member(shop, 500)
    who, _external = customer(shop)
    bind(shop, who)
    with shop.work() as work:
        joining.cut(work, who, by="boss", why="两个人")
        found = own_pages.confirm(work, own_pages.show_code(work, made(work, who)), by="wangwu")
        assert found is not None
        assert (found.certain, found.left) == (0, 0)
        assert own_pages.holder(work.db, "phone", identities.spelt("phone", NUMBER)) == old


def made(work: Work, person_id: int) -> OwnPage:
    person = work.db.get_one(Person, person_id)
    own_pages.address(work, person)
    page = own_pages.of_person(work.db, person)
    assert page is not None
    return page


def test_an_address_stays_the_same_through_a_merge_and_leads_to_who_it_is(shop: Shop) -> None:
    old = member(shop, 500)
    who, _external = customer(shop)
    before = address_of(shop, who)
    bind(shop, who)
    with shop.work() as work:
        head = persons.head_of(work.db, work.db.get_one(Person, who))
        assert head.id == min(old, who)
    assert address_of(shop, head.id) == before
    with shop.work() as work:
        joining.cut(work, who, by="boss", why="两个人")
        found = own_pages.find(work.db, before.removeprefix("/me/"))
        assert found is not None
        assert found[1].id == who


def test_whoever_has_seen_everything_was_told_what_ends_and_the_bare_address_tells_nobody(shop: Shop) -> None:
    who, external = customer(shop)
    with shop.work() as work:
        grant = Grant(80, work.now, work.now + timedelta(days=20), "purchase", notice_days=7)
        earn.award(work, accounts.open_account(work, who), [grant], About("award", "k", work.now, "rules"))
    mine = phone(shop, who)
    mine.get()
    assert shop.rows(PointsNotice) == []
    mine.by_wechat(shop, external)
    mine.get()
    assert [(one.way, one.points) for one in shop.rows(PointsNotice)] == [("me", 80)]


def test_evidence_of_a_confirmation_says_so(shop: Shop) -> None:
    member(shop, 5)
    who, _external = customer(shop)
    bind(shop, who)
    with shop.work() as work:
        own_pages.confirm(work, own_pages.show_code(work, made(work, who)), by="key:收银台")
        sources = {one.source for one in evidence_of(work, who)}
        assert {own_pages.CONFIRMED, f"{evidence.REP}lisi"} <= sources


def evidence_of(work: Work, person_id: int) -> list[Evidence]:
    own = select(Evidence).where(Evidence.anchor_id.in_(persons.anchors(work.db, person_id)))
    return list(work.db.scalars(own))


def test_a_given_identity_is_spelt_and_read_back(shop: Shop) -> None:
    told = [Given("unionid", "u 1"), Given("wx5a4d000000000001:openid", "o2")]
    assert own_pages.given(own_pages.spelt(told)) == told


def test_from_the_menu_everybody_comes_to_their_own_page_and_a_stranger_nowhere(shop: Shop) -> None:
    who, external = customer(shop)
    award(shop, who, 137)
    client = shop.app.test_client()
    assert "用微信登录" in client.get("/me").text
    answer = goes(shop, client, external)
    assert answer.location == address_of(shop, who)
    assert "137" in client.get(answer.location).text
    stranger = goes(shop, shop.app.test_client(), "")
    assert (stranger.status_code, stranger.headers.getlist("Set-Cookie")[0][:3] != "me=") == (404, True)


def goes(shop: Shop, client: FlaskClient, external_userid: str) -> TestResponse:
    """From the address that is everybody's over WeChat and back."""
    sent = client.get("/me/go")
    state = parse_qs(urlsplit(sent.location).query)["state"][0]
    code = shop.world.sign_in.give_code(external_userid, False, "snsapi_userinfo")
    return client.get(f"/me/wechat?code={code}&state={state}")


def test_the_shop_s_till_confirms_a_code_and_then_knows_the_customer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, external = customer(shop)
    award(shop, who, 137)
    _, key = make_key(shop, "orders:write", "points", "customers:read", name="till")
    monkeypatch.setattr(requests, "request", in_process(shop))
    own = Till(shop.world, "http://product.invalid", key)
    assert own.confirm("000000") == {"told": "no code of this name", "customer": ""}
    found = own.confirm(phone(shop, who).code())
    assert (found["customer"], found["available"]) == (external, 137)
    assert own.redeem(external, 100) == "ok"


def in_process(shop: Shop) -> Any:
    """Whoever calls the product over HTTP reaches it here."""

    def ask(method: str, url: str, *, json: Any, headers: dict[str, str], timeout: float) -> requests.Response:
        path = url.removeprefix("http://product.invalid")
        answer = shop.client.open(path, method=method, json=json, headers=headers)
        found = requests.Response()
        found.status_code, found._content = answer.status_code, answer.data
        found.headers["Content-Type"] = answer.content_type
        return found

    return ask


def test_a_reward_is_redeemed_once_for_a_form_and_handed_out_at_the_counter(shop: Shop) -> None:
    who, external = customer(shop)
    award(shop, who, 137)
    with shop.work() as work:
        mug = Reward(name="马克杯", kind="goods", points=100, stock=1, stores=[], days=7, state="live", made_by="boss")
        mug.made_at = work.now
        work.db.add(mug)
        work.db.flush()
        number = mug.id
    mine = phone(shop, who)
    mine.by_wechat(shop, external)
    assert "马克杯" in mine.get().text
    shown = mine.get(f"/rewards/{number}").text
    assert "兑换后还剩 37" in shown
    key = re.search(r'name="key" value="([^"]+)"', shown)
    assert key is not None
    first = mine.post(f"/rewards/{number}", {"key": key[1]})
    again = mine.post(f"/rewards/{number}", {"key": key[1]})
    assert first.location == again.location
    (row,) = shop.rows(Redemption)
    assert (row.points, row.state, row.made_by) == (100, "open", "customer")
    page = mine.client.get(first.location).text
    assert rewards.spelt(row.code) in page
    assert "data:image/svg+xml" in page
    with shop.work() as work:
        rewards.hand_out(work, row.id, "静安店", "lisi", "press-1")
    assert "已领取" in mine.client.get(first.location).text
    other = mine.post(f"/rewards/{number}", {"key": "another"})
    assert other.status_code in (200, 303)
    assert len(shop.rows(Redemption)) == 1, "none left, and not enough points"


def test_a_reward_is_not_paid_with_points_that_only_a_rep_has_bound(shop: Shop) -> None:
    member(shop, 500)
    who, external = customer(shop)
    award(shop, who, 20)
    bind(shop, who)
    with shop.work() as work:
        mug = Reward(name="马克杯", kind="goods", points=100, stores=[], days=7, state="live", made_by="boss")
        mug.made_at = work.now
        work.db.add(mug)
        work.db.flush()
        number = mug.id
    mine = phone(shop, who)
    mine.by_wechat(shop, external)
    assert "还差" in mine.get(f"/rewards/{number}").text
    assert "能用的积分不够" in mine.post(f"/rewards/{number}", {"key": "k"}).text
    assert shop.rows(Redemption) == []
    mine.post("/bound")
    assert mine.post(f"/rewards/{number}", {"key": "k"}).status_code == 303

"""A customer with a page of their own, for tests: their phone, their points, WeChat."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console import own_visit
from console.pace import Pace
from loyalty import accounts
from loyalty.ledger import earn
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from people import own_pages
from storage.tables import Person
from tests.shop import Shop

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
DIGITS = re.compile(r'class="digits">(\d{3}) (\d{3})<')


def award(shop: Shop, person_id: int, points: int, *, days: float | None = None, pends: float = 0) -> int:
    """Points of an order; they live so many days and can be spent in so many."""
    with shop.work() as work:
        alive = work.now + timedelta(days=pends)
        grant = Grant(points, alive, None if days is None else alive + timedelta(days=days), "purchase")
        account = accounts.open_account(work, person_id)
        key = f"test:{person_id}:{points}:{days}:{pends}"
        about = About("award", key, work.now, "rules", reason="消费", source=f"order:pos-01:{points}")
        return earn.award(work, account, [grant], about).id


def address_of(shop: Shop, person_id: int) -> str:
    """The path of their page."""
    with shop.work() as work:
        return urlsplit(own_pages.address(work, work.db.get_one(Person, person_id))).path


@dataclass
class Phone:
    """A browser at one customer's page."""

    client: FlaskClient
    path: str

    def get(self, more: str = "", **query: str) -> TestResponse:
        return self.client.get(self.path + more, query_string=query)

    def post(self, more: str, data: dict[str, Any] | None = None, **how: Any) -> TestResponse:
        found = TOKEN.search(self.client.get(self.path).text)
        token = found[1] if found else ""
        return self.client.post(self.path + more, data={"csrf_token": token, **(data or {})}, **how)

    def code(self, more: str = "/code", shown: str = "") -> str:
        """Ask for digits and read them."""
        assert self.post(more).status_code == 303
        found = DIGITS.search(self.get(shown).text)
        assert found is not None
        return found[1] + found[2]

    @property
    def inside(self) -> bool:
        """Whether it shows everything."""
        return "出示会员码" in self.get().text

    def asks_wechat(self) -> str:
        """The state with which it is sent to WeChat."""
        answer = self.get("/wechat")
        assert answer.status_code == 303
        there = urlsplit(answer.location)
        asked = {name: one for name, (one,) in parse_qs(there.query).items()}
        assert (there.netloc, asked["redirect_uri"]) == ("sandbox.invalid", "http://127.0.0.1:8000/me/wechat")
        return asked["state"]

    def by_wechat(self, shop: Shop, external_userid: str) -> TestResponse:
        """Sign in as whoever this is to WeChat; empty: a stranger."""
        code = shop.world.sign_in.give_code(external_userid, False, "snsapi_userinfo")
        return self.client.get(f"/me/wechat?code={code}&state={self.asks_wechat()}")


def phone(shop: Shop, person_id: int) -> Phone:
    """A fresh browser at their page."""
    return Phone(shop.app.test_client(), address_of(shop, person_id))


def nobody_has_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their pages' paces begin anew: all tests of a process come from one address, at one time of the day."""
    for name in ("LOOKS", "WRONG", "ACTS"):
        known: Pace = getattr(own_visit, name)
        monkeypatch.setattr(own_visit, name, Pace(known._most, known._window))

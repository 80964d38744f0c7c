"""The sidebar in a real browser, beside a chat in the sandbox's client: one tap, whose customers, the self-check."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server
from werkzeug.test import Client

from bot.assembly import assemble
from bot.callback import BELOW
from bot.web import create_door
from console import side_keys
from outreach import cards
from outreach.cards import Draft
from people import consent, persons
from sandbox.callbacks import Deliverer
from sandbox.clock import SystemClock
from sandbox.web import running
from sandbox.world import AGENT_ID, World
from storage.bell import LocalBell
from storage.database import utc_now
from storage.tables import AuditRow, Interaction, RepCard, Touch
from tests import databases
from tests.shop import Shop, settings_for

TEXT = "小雨，周五有手冲课，给你留了位置。"
LINK = {"kind": "link", "title": "手冲课", "url": "https://example.com/class"}


@dataclass
class Side:
    """A shop whose sidebar stands in the sandbox's client, both over HTTP."""

    shop: Shop
    sandbox: str
    address: str

    @property
    def world(self) -> World:
        return self.shop.world

    def customer(self, name: str, userid: str = "lisi") -> str:
        """A customer of this rep, whom we have heard of; the external_userid."""
        arrival = self.world.add_by_phone(userid, name)
        self.shop.catch_up()
        return arrival.external_userid

    def card(self, external: str, userid: str = "lisi", once: str = "one", **more: Any) -> int:
        """A card about this customer; its number."""
        with self.shop.work() as work:
            person = persons.find_person(work.db, "external_userid", external)
            assert person is not None
            given = {"text": TEXT, "because": "报过名，还没来", "kind": "journey", "source": "journey:1", **more}
            draft = Draft(userid, person.id, once=once, due_at=work.now - timedelta(minutes=1), **given)
            made = cards.make(work, draft, self.shop.parts.rules)
            assert made.card is not None, made.reason
            return made.card.id

    def beside(self, page: Page, userid: str, external: str = "", **more: str) -> FrameLocator:
        """The sidebar beside a chat in this rep's client."""
        page.goto(f"{self.sandbox}/client?{urlencode({'userid': userid, 'external_userid': external, **more})}")
        return page.frame_locator("#toolbar")

    def said(self, external: str, userid: str = "lisi") -> list[tuple[str, ...]]:
        lines = self.world.chat_of(userid, external)
        return [(one.text, *(each["msgtype"] for each in one.attachments)) for one in lines if one.who == "rep"]


def build(sandbox: str, world: World, url: str, port: int) -> Shop:
    """The product as it is beside a sandbox on this machine."""
    settings = settings_for(world, url, api_base=f"{sandbox}/cgi-bin/", oauth_base=sandbox, login_base=sandbox)
    web = settings.web.model_copy(update={"base_url": f"http://127.0.0.1:{port}"})
    parts = assemble(settings.model_copy(update={"web": web}), clock=utc_now, bell=LocalBell())
    door = Client(DispatcherMiddleware(NotFound(), {BELOW: create_door(parts)}))
    shop = Shop(world, None, parts, door, Deliverer.into(world, door))  # type: ignore[arg-type]
    shop.__dict__["now"] = lambda: datetime.now(UTC)
    return shop


@pytest.fixture
def side(tmp_path: Path, sqlite_template: Path) -> Iterator[Side]:
    world = World.small_shop(SystemClock(), seed=7)
    with running(world, deliverer=Deliverer(world, lambda *_: 200), threads=16) as sandbox:
        server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
        shop = build(sandbox, world, databases.fresh_sqlite(tmp_path, sqlite_template), server.server_port)
        server.app = shop.app
        world.app(AGENT_ID).home = f"http://127.0.0.1:{server.server_port}/"
        shop.open_for_business()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Side(shop, sandbox, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
        server.server_close()
        shop.deliverer.close()
        shop.parts.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    own = browser.new_context(locale="zh-CN", viewport={"width": 1280, "height": 860})
    yield own.new_page()
    own.close()


def test_one_tap_sends_the_prepared_text_once_and_the_card_is_done(page: Page, side: Side) -> None:
    external = side.customer("小雨")
    side.card(external, attachments=[LINK])
    sidebar = side.beside(page, "lisi", external)
    expect(sidebar.get_by_role("heading", name="小雨")).to_be_visible()
    expect(sidebar.get_by_text("报过名，还没来")).to_be_visible()
    expect(sidebar.locator("#text")).to_have_value(TEXT)
    sidebar.locator("#text").fill(TEXT + "来吗？")
    sidebar.locator("#send").click()
    expect(sidebar.get_by_text("已发送，记下了")).to_be_visible()
    expect(page.locator("#chat .bubble").get_by_text("来吗？")).to_be_visible()
    expect(sidebar.locator("#card")).to_have_count(0)
    assert side.said(external) == [(TEXT + "来吗？",), ("", "news")]
    assert [(one.state, one.ended_by) for one in side.shop.rows(RepCard)] == [("sent", "lisi")]
    assert [(one.state, one.way) for one in side.shop.rows(Touch)] == [("sent", "card")]
    (line,) = side.shop.rows(Interaction, Interaction.kind == "card_sent")
    assert line.details["text"] == TEXT + "来吗？"
    assert [one.actor for one in side.shop.rows(AuditRow, AuditRow.action == "card.sent")] == ["lisi"]


def test_what_is_sent_but_not_noted_is_noted_later_and_never_sent_again(page: Page, side: Side) -> None:
    external = side.customer("小雨")
    side.card(external)
    sidebar = side.beside(page, "lisi", external)
    page.route("**/sidebar/cards/*/sent", lambda route: route.abort())
    sidebar.locator("#send").click()
    expect(sidebar.get_by_text("请不要再发")).to_be_visible()
    expect(sidebar.locator("#send")).to_be_disabled()
    page.unroute("**/sidebar/cards/*/sent")
    sidebar.get_by_role("button", name="记下").click()
    expect(sidebar.get_by_text("已发送，记下了")).to_be_visible()
    assert side.said(external) == [(TEXT,)]
    assert [one.state for one in side.shop.rows(RepCard)] == ["sent"]


def test_a_customer_who_has_gone_gets_nothing_and_the_card_stays_open(page: Page, side: Side) -> None:
    external = side.customer("小雨")
    side.card(external)
    sidebar = side.beside(page, "lisi", external)
    expect(sidebar.locator("#send")).to_be_enabled()
    side.world.customer_deletes("lisi", external)
    sidebar.locator("#send").click()
    expect(sidebar.get_by_text("没有发出去：")).to_contain_text("not a friend")
    assert side.said(external) == []
    assert [one.state for one in side.shop.rows(RepCard)] == ["open"]


def test_a_card_that_is_over_by_now_is_not_sent_from_an_old_page(page: Page, side: Side) -> None:
    external, other = side.customer("小雨"), side.customer("阿明")
    card = side.card(external)
    sidebar = side.beside(page, "lisi", external)
    expect(sidebar.locator("#send")).to_be_enabled()
    with side.shop.work() as work:
        cards.done(work, work.db.get_one(RepCard, card), by="lisi")
    sidebar.locator("#send").click()
    expect(sidebar.get_by_text("刚刚已经处理过了")).to_be_visible()
    side.card(other, once="two")
    sidebar = side.beside(page, "lisi", other)
    expect(sidebar.locator("#send")).to_be_enabled()
    with side.shop.work() as work:
        person = persons.find_person(work.db, "external_userid", other)
        assert person is not None
        consent.opt_out(work, person, "kf")
    sidebar.locator("#send").click()
    expect(sidebar.get_by_text("没有发送")).to_be_visible()
    assert side.said(external) == side.said(other) == []


def test_another_reps_customer_is_not_shown_whatever_the_page_asks(page: Page, side: Side) -> None:
    external, own = side.customer("小雨"), side.customer("阿明", "wangwu")
    card = side.card(external)
    sidebar = side.beside(page, "wangwu", own)
    expect(sidebar.get_by_role("heading", name="阿明")).to_be_visible()
    frame = page.frames[-1]
    ask = """async ([path, fields]) => {
      const { name, token } = document.querySelector("main").dataset;
      const body = new URLSearchParams({ ...fields, s: name, csrf_token: token });
      const answer = await fetch(path, { method: "POST", body });
      return [answer.status, await answer.text()];
    }"""
    hers = {"external_userid": external}
    told = [frame.evaluate(ask, ["/sidebar/look", one]) for one in (hers, {"external_userid": "wmNobody"})]
    assert [status for status, _ in told] == [404, 404]
    assert told[0][1] == told[1][1]
    assert "小雨" not in told[0][1]
    for path, fields in (
        (f"/sidebar/cards/{card}/sent", {"text": TEXT, **hers}),
        (f"/sidebar/cards/{card}/done", hers),
        (f"/sidebar/cards/{card}/may", hers),
        ("/sidebar/tags", {"tag": "t_1", **hers}),
        ("/sidebar/tags/take", {"tag": "t_1", **hers}),
        ("/sidebar/look", {"chat_id": "wrNobody"}),
    ):
        assert frame.evaluate(ask, [path, fields])[0] == 404, path
    assert frame.evaluate(ask, ["/sidebar/look", {"s": "x"}])[0] == 200  # the page's own name stands behind it
    assert [one.state for one in side.shop.rows(RepCard)] == ["open"]
    refused = side.shop.rows(AuditRow, AuditRow.action == "access.refuse")
    assert {one.actor for one in refused} == {"wangwu"}
    assert len(refused) == 8


def test_the_list_tags_and_what_she_says_of_a_card(page: Page, side: Side) -> None:
    side.world.console_tags("意向", ("问价", "复购"))
    external, other = side.customer("小雨"), side.customer("阿明")
    side.card(external, until=utc_now() + timedelta(days=9))
    side.card(other, once="two", because="两周没来")
    sidebar = side.beside(page, "lisi", external)
    sidebar.get_by_label("添加标签").select_option(label="问价")
    expect(sidebar.locator(".side-tag")).to_contain_text("问价")
    side.shop.catch_up()
    assert side.world.tag_names(side.world.relation("lisi", external)) == ["问价"]
    sidebar.get_by_label("去掉标签 问价").click()
    expect(sidebar.get_by_text("还没有标签。")).to_be_visible()
    sidebar.get_by_text("推迟").click()
    sidebar.get_by_role("button", name="明天上午十点").click()
    expect(sidebar.locator("#card")).to_have_count(0)
    sidebar.get_by_role("button", name="今天的清单").click()
    expect(sidebar.locator(".day-list li li")).to_have_text(["两周没来"])
    sidebar.get_by_role("button", name="不相关").click()
    expect(sidebar.get_by_text("今天没有要特别找的人")).to_be_visible()
    assert [one.state for one in side.shop.rows(RepCard)] == ["snoozed", "irrelevant"]
    assert [one.state for one in side.shop.rows(Touch)] == ["held", "cancelled"]


def test_a_group_is_shown_in_short_to_who_is_in_it(page: Page, side: Side) -> None:
    external = side.customer("小雨")
    chat_id = side.world.open_group("lisi", "豆友一群", [external]).chat_id
    time.sleep(2.5)  # so long WeCom itself takes until it tells of a group
    side.shop.catch_up()
    sidebar = side.beside(page, "lisi", chat_id=chat_id)
    expect(sidebar.get_by_role("heading", name="豆友一群")).to_be_visible()
    expect(sidebar.get_by_text("小雨")).to_be_visible()


@pytest.mark.parametrize(
    ("spoil", "check", "told"),
    [
        ({"trusted_domain": "crm.example.com"}, "domain", "设置可信域名"),
        ({"customer_contact": False}, "permission", "可调用接口的应用"),
    ],
)
def test_the_self_check_names_what_fails_and_where_it_is_mended(
    page: Page, side: Side, spoil: dict[str, Any], check: str, told: str
) -> None:
    external = side.customer("小雨")
    sidebar = side.beside(page, "lisi", external)
    expect(sidebar.locator("[data-check=signed].good")).to_have_count(1)
    expect(sidebar.locator(".checks .bad")).to_have_count(0)
    for name, value in spoil.items():
        setattr(side.world.app(AGENT_ID), name, value)
    page.frames[-1].evaluate("location.reload()")
    wrong = sidebar.locator(".checks .bad")
    expect(wrong).to_have_attribute("data-check", check)
    expect(wrong).to_contain_text(told)
    expect(sidebar.get_by_role("heading", name="今天的清单")).to_be_visible()


def test_only_an_address_of_ours_is_signed(side: Side) -> None:
    with side.shop.app.test_request_context("/sidebar"):
        for url in (
            "https://crm.example.com/sidebar?s=x",
            f"{side.address}/customers",
            f"{side.address}.evil/sidebar?",
        ):
            assert side_keys.signed(url, None) == {"failed": "address", "told": side.address}
        assert set(side_keys.signed(f"{side.address}/sidebar?s=x#top", None)) == {"config", "agent_config", "now"}

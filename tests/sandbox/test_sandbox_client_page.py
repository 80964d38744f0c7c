"""The rep's client in a real browser, with a tiny page in its toolbar that does what the product's will do."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from flask import Flask, redirect, request
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from sandbox.callbacks import Deliverer
from sandbox.clock import ManualClock, SystemClock
from sandbox.credentials import js_signature
from sandbox.web import running
from sandbox.world import AGENT_ID, World

SIDEBAR = """<!doctype html><meta charset="utf-8"><title>sidebar</title>
<script src="{sandbox}/open/js/jweixin-1.2.0.js"></script>
<script src="{sandbox}/wwopen/js/jwxwork-1.0.0.js"></script>
<p id="who">{userid}</p><p id="state">…</p><p id="customer"></p><p id="sent"></p>
<button id="send">发送</button>
<script>
const say = (id, text) => {{ document.getElementById(id).textContent = text; }};
const words = {{ msgtype: "text", text: {{ content: "豆子到了" }} }};
const send = () => wx.invoke("sendChatMessage", words, (said) => say("sent", said.err_msg));
wx.error((said) => say("state", said.errMsg));
wx.ready(() => wx.agentConfig({{ ...{agent_config},
  fail: (said) => say("state", said.errMsg),
  success: () => wx.invoke("getContext", {{}}, (context) => {{
    say("state", context.entry);
    wx.invoke("getCurExternalContact", {{}}, (said) => say("customer", said.userId || said.err_msg));
    if (location.hash === "#untapped") send();
  }}),
}}));
document.getElementById("send").onclick = send;
wx.config({config});
</script>"""


NEWER = """<!doctype html><meta charset="utf-8"><title>sidebar</title>
<script src="{sandbox}/wwopen/js/jwxwork-1.0.0.js"></script>
<p id="who">{userid}</p><p id="state">…</p><p id="customer"></p><p id="sent"></p>
<button id="send">发送</button>
<script>
const say = (id, text) => {{ document.getElementById(id).textContent = text; }};
const config = {config}, mine = {agent_config};
ww.register({{ corpId: config.appId, agentId: mine.agentid, jsApiList: mine.jsApiList,
  getConfigSignature: async () => config, getAgentConfigSignature: () => mine,
  onAgentConfigFail: (said) => say("state", said.errMsg) }});
ww.getContext().then((said) => say("state", said.entry), () => {{}});
ww.getCurExternalContact({{ success: (said) => say("customer", said.userId) }}).catch(() => {{}});
const words = {{ msgtype: "text", text: {{ content: "豆子到了" }} }};
document.getElementById("send").onclick = () => ww.sendChatMessage(words)
  .then((said) => say("sent", said.errMsg), (said) => say("sent", said.errMsg));
</script>"""


@dataclass
class Product:
    """Stands in for the product: signs its page, and knows the rep by OAuth."""

    world: World
    sandbox: str
    address: str = ""
    spoilt: dict[str, Any] = field(default_factory=dict)
    html: str = SIDEBAR

    def app(self) -> Flask:
        app = Flask(__name__)
        app.add_url_rule("/sidebar", view_func=self.sidebar)
        return app

    def sidebar(self) -> str | Response:
        if "code" not in request.args:
            asked = {"appid": self.world.corp_id, "agentid": AGENT_ID, "redirect_uri": request.url, "state": "s1"}
            return redirect(f"{self.sandbox}/connect/oauth2/authorize?{urlencode(asked)}")
        who = self.ask("auth/getuserinfo", code=request.args["code"])["userid"]
        config = {"appId": self.world.corp_id, **self.signed("get_jsapi_ticket"), "jsApiList": ["sendChatMessage"]}
        names = ["getContext", "getCurExternalContact", "sendChatMessage"]
        whose = {"corpid": self.world.corp_id, "agentid": AGENT_ID, "jsApiList": names}
        agent_config = {**whose, **self.signed("ticket/get", type="agent_config"), **self.spoilt}
        return self.html.format(
            sandbox=self.sandbox, userid=who, config=json.dumps(config), agent_config=json.dumps(agent_config)
        )

    def signed(self, path: str, **query: str) -> dict[str, Any]:
        ticket, stamp = self.ask(path, **query)["ticket"], int(time.time())
        seal = js_signature(ticket, "n1", stamp, request.url)
        return {"beta": True, "nonceStr": "n1", "timestamp": stamp, "signature": seal}

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        token = self.world.tokens.ask(AGENT_ID).value
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{self.sandbox}/cgi-bin/{path}", params={**query, "access_token": token}, timeout=5)
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def product() -> Iterator[Product]:
    world = World.small_shop(SystemClock(), callback_url="")
    with running(world, deliverer=Deliverer(world, lambda *_: 200), threads=16) as address:
        made = Product(world, address)
        server = make_server("127.0.0.1", 0, made.app(), threaded=True)
        made.address = f"http://127.0.0.1:{server.server_port}"
        world.app(AGENT_ID).home = f"{made.address}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    own = browser.new_context()
    yield own.new_page()
    own.close()


def opened(page: Page, product: Product, customer: str) -> Any:
    page.goto(f"{product.sandbox}/client?{urlencode({'userid': 'lisi', 'external_userid': customer})}")
    return page.frame_locator("#toolbar")


@pytest.mark.parametrize("html", [SIDEBAR, NEWER], ids=["wx", "ww"])
def test_a_tap_in_the_toolbar_sends_into_the_open_chat(page: Page, product: Product, html: str) -> None:
    product.html = html
    customer = product.world.remember("lisi", "小雨").external_userid
    sidebar = opened(page, product, customer)
    expect(sidebar.locator("#who")).to_have_text("lisi")
    expect(sidebar.locator("#state")).to_have_text("single_chat_tools")
    expect(sidebar.locator("#customer")).to_have_text(customer)
    sidebar.locator("#send").click()
    expect(sidebar.locator("#sent")).to_have_text("sendChatMessage:ok")
    expect(page.locator("#chat .bubble").get_by_text("豆子到了")).to_be_visible()
    assert [one.text for one in product.world.chat_of("lisi", customer)] == ["豆子到了"]
    page.fill("#write-rep", "给您留一包")
    page.locator("#chat").get_by_role("button", name="发送").click()
    expect(page.locator("#chat .bubble").get_by_text("给您留一包")).to_be_visible()


def is_sending(answer: Any) -> bool:
    return "sendChatMessage" in (answer.request.post_data or "") and answer.url.endswith("/js_invoke")


def test_a_page_nobody_tapped_sends_nothing(page: Page, product: Product) -> None:
    """Playwright's own looking into a frame counts as a tap there, so the answer is read off the line."""
    customer = product.world.remember("lisi", "小雨").external_userid
    product.world.app(AGENT_ID).toolbar = f"{product.address}/sidebar#untapped"
    with page.expect_response(is_sending, timeout=90_000) as answer:  # on a busy machine the frame takes its time
        opened(page, product, customer)
    assert answer.value.json() == {"err_msg": "sendChatMessage:fail without a tap of the user"}
    assert product.world.chat_of("lisi", customer) == []


@pytest.mark.parametrize("html", [SIDEBAR, NEWER], ids=["wx", "ww"])
def test_a_wrong_signature_is_told_to_the_page(page: Page, product: Product, html: str) -> None:
    product.html = html
    product.spoilt = {"signature": "0" * 40}
    sidebar = opened(page, product, product.world.remember("lisi", "小雨").external_userid)
    expect(sidebar.locator("#state")).to_have_text("agentConfig:fail invalid jsapi signature")


def test_outside_the_client_there_is_no_sdk(page: Page, product: Product) -> None:
    code = product.world.sign_in.give_code("lisi")
    page.goto(f"{product.address}/sidebar?code={code}")
    expect(page.locator("#state")).to_have_text("config:fail not in WeCom")


def test_a_rep_sends_a_mass_message_from_the_page(page: Page, product: Product) -> None:
    world = product.world
    world.limits.mass_dispatch_seconds = 0
    customer = world.remember("lisi", "小雨").external_userid
    world.make_mass({"lisi": [customer]}, "周五手冲课，来吗")
    page.goto(f"{product.sandbox}/?{urlencode({'customer': customer, 'rep': 'lisi'})}")
    page.locator("#rep-screen").get_by_text("群发助手").click()
    page.locator("#rep-screen").get_by_role("button", name="发送").first.click()
    expect(page.locator("#rep-screen").get_by_text("已送达 1")).to_be_visible()
    page.locator("#customer-screen").get_by_text("李四").click()
    expect(page.locator("#customer-screen .bubble")).to_contain_text("周五手冲课，来吗")
    assert [one.receiver for one in world.mass_received()] == [customer]


@pytest.mark.parametrize(("zone", "shown"), [("Asia/Shanghai", "18:00:00"), ("America/New_York", "05:00:00")])
def test_the_clock_shows_the_shops_time_wherever_the_browser_is(browser: Browser, zone: str, shown: str) -> None:
    world = World.small_shop(ManualClock(datetime(2026, 11, 24, 10, tzinfo=UTC).timestamp()), callback_url="")
    world.zone = zone
    with running(world, deliverer=Deliverer(world, lambda *_: 200), threads=4) as address:
        own = browser.new_context(timezone_id="Europe/Paris", locale="en-US")
        page = own.new_page()
        page.goto(f"{address}/?lang=en")
        expect(page.locator("#clock")).to_have_text(shown)
        expect(page.locator("header")).to_contain_text(f"shop time {zone}")
        own.close()

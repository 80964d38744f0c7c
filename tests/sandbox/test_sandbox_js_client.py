"""Pages in the chat's toolbar: two signatures, then the customer of the chat, then a message into it."""

import hashlib
from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox.web import create_app
from sandbox.world import AGENT_ID, World

URL = "https://crm.test/sidebar?a=1&b=2"
APIS = ["getContext", "getCurExternalContact", "getCurExternalChat", "sendChatMessage"]
Json = dict[str, Any]


def sealed(ticket: str, url: str = URL, nonce: str = "n1", timestamp: int = 1_700_000_003) -> Json:
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    return {"nonceStr": nonce, "timestamp": timestamp, "signature": hashlib.sha1(text.encode()).hexdigest()}


class Page:
    """A page of the product that does what WeCom's manual says, step by step."""

    def __init__(self, api: Any, client: FlaskClient) -> None:
        self.client = client
        self.corp_ticket = api.get("get_jsapi_ticket")["ticket"]
        self.app_ticket = api.get("ticket/get", type="agent_config")["ticket"]
        self.corp_id, self.leave = api.world.corp_id, ""

    def act(self, name: str, **body: Any) -> Json:
        found: Json = self.client.post(f"/sandbox/{name}", json=body).json or {}
        self.leave = found.get("leave", self.leave)
        return found

    def config(self, url: str = URL, **change: Any) -> Json:
        settings = {"beta": True, "appId": self.corp_id, "jsApiList": APIS, **sealed(self.corp_ticket), **change}
        return self.act("js_config", url=url, settings=settings)

    def agent_config(self, url: str = URL, **change: Any) -> Json:
        whose = {"corpid": self.corp_id, "agentid": AGENT_ID, "jsApiList": APIS}
        settings = {**whose, **sealed(self.app_ticket), **change}
        return self.act("js_agent_config", url=url, settings=settings, leave=self.leave)

    def invoke(
        self, function: str, external_userid: str = "", *, tapped: bool = True, chat_id: str = "", **settings: Any
    ) -> Json:
        whose = {"userid": "lisi", "external_userid": external_userid, "tapped": tapped, "chat_id": chat_id}
        return self.act("js_invoke", function=function, settings=settings, leave=self.leave, **whose)


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_app(world).test_client()


@pytest.fixture
def page(api: Any, client: FlaskClient) -> Page:
    return Page(api, client)


@pytest.fixture
def ready(page: Page) -> Page:
    page.config()
    page.agent_config()
    return page


@pytest.fixture
def customer(world: World) -> str:
    return world.remember("lisi", "小雨").external_userid


def test_the_admin_prefix_recomputes_a_signature(page: Page) -> None:
    asked = {"agent_id": AGENT_ID, "noncestr": "n1", "timestamp": 1_700_000_003, "url": f"{URL}#top"}
    for kind, ticket, other in (
        ("jsapi", page.corp_ticket, page.app_ticket),
        ("agent_config", page.app_ticket, page.corp_ticket),
    ):
        right, wrong = sealed(ticket)["signature"], sealed(other)["signature"]
        assert page.act("check_js_signature", kind=kind, **asked, signature=right) == {"valid": True}
        assert page.act("check_js_signature", kind=kind, **asked, signature=wrong) == {"valid": False}


def test_two_good_signatures_open_the_client(page: Page) -> None:
    assert page.config(url=f"{URL}#anything")["errMsg"] == "config:ok"
    assert page.agent_config()["errMsg"] == "agentConfig:ok"


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"signature": "0" * 40}, 40093),
        ({"nonceStr": "other"}, 40093),
        ({"timestamp": 1_700_000_004}, 40093),
        ({"url": "https://crm.test/sidebar?a=1"}, 40093),
        ({"appId": "ww-other"}, 40013),
    ],
)
def test_a_wrong_wx_config_is_told_why(page: Page, change: Json, errcode: int) -> None:
    said = page.config(**change)
    assert said["errCode"] == errcode
    assert said["errMsg"].startswith("config:fail ")
    assert "leave" not in said


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"signature": "0" * 40}, 40093),
        ({"url": "https://crm.test/sidebar?a=1"}, 40093),
        ({"corpid": "ww-other"}, 40013),
        ({"agentid": 1_000_099}, 40056),
        ({"agentid": "mine"}, 40056),
    ],
)
def test_a_wrong_wx_agent_config_is_told_why(page: Page, change: Json, errcode: int) -> None:
    page.config()
    said = page.agent_config(**change)
    assert said["errCode"] == errcode
    assert said["errMsg"].startswith("agentConfig:fail ")
    assert page.invoke("getContext")["err_msg"] == "getContext:fail no permission"


def test_the_corps_ticket_does_not_sign_for_the_app(page: Page) -> None:
    page.config()
    assert page.agent_config(**sealed(page.corp_ticket))["errCode"] == 42012


def test_wx_config_comes_first(page: Page) -> None:
    assert page.agent_config()["errCode"] == 40093
    page.config(url="https://crm.test/other", **sealed(page.corp_ticket, "https://crm.test/other"))
    assert page.agent_config()["errCode"] == 40093


def test_only_the_trusted_domain_may_speak_for_the_app(page: Page, world: World) -> None:
    world.app(AGENT_ID).trusted_domain = "shop.test"
    page.config()
    assert page.agent_config()["errCode"] == 50001
    world.app(AGENT_ID).trusted_domain = "crm.test"
    assert page.agent_config()["errMsg"] == "agentConfig:ok"


def test_an_old_ticket_signs_nothing(page: Page, clock: Any) -> None:
    clock.advance(7200)
    assert page.config()["errCode"] == 40093


def test_the_page_learns_where_it_stands(ready: Page, world: World, customer: str) -> None:
    assert ready.invoke("getContext", customer)["entry"] == "single_chat_tools"
    assert ready.invoke("getContext")["entry"] == "normal"
    assert ready.invoke("getCurExternalContact", customer) == {
        "err_msg": "getCurExternalContact:ok",
        "userId": customer,
    }
    nobody = "getCurExternalContact:fail without context of external contact"
    assert ready.invoke("getCurExternalContact")["err_msg"] == nobody
    stranger = world.remember("wangwu", "大鹏").external_userid
    assert ready.invoke("getCurExternalContact", stranger)["err_msg"] == nobody
    world.update_member("lisi", customer_contact=False)
    assert ready.invoke("getCurExternalContact", customer)["err_msg"] == "getCurExternalContact:fail no permission"


def test_beside_a_groups_chat_the_page_learns_which_group_and_no_customer(
    ready: Page, world: World, customer: str
) -> None:
    chat_id = world.open_group("lisi", "豆友一群", [customer]).chat_id
    assert ready.invoke("getContext", customer, chat_id=chat_id)["entry"] == "group_chat_tools"
    told = ready.invoke("getCurExternalChat", chat_id=chat_id)
    assert told == {"err_msg": "getCurExternalChat:ok", "chatId": chat_id}
    assert "userId" not in ready.invoke("getCurExternalContact", customer, chat_id=chat_id)
    for there in ("", "wrNobody"):
        nothing = ready.invoke("getCurExternalChat", customer, chat_id=there)["err_msg"]
        assert nothing == "getCurExternalChat:fail without context of external chat"
    world.app(AGENT_ID).customer_contact = False
    refused = ready.invoke("getCurExternalChat", chat_id=chat_id)["err_msg"]
    assert refused == "getCurExternalChat:fail no permission"


def test_only_what_was_asked_for_may_be_called(page: Page, customer: str) -> None:
    page.config()
    page.agent_config(jsApiList=["getContext"])
    assert page.invoke("getContext", customer)["err_msg"] == "getContext:ok"
    assert page.invoke("sendChatMessage", customer)["err_msg"] == "sendChatMessage:fail no permission"
    assert page.invoke("openEnterpriseChat")["err_msg"] == "openEnterpriseChat:fail function not exist"


def test_a_text_arrives_in_the_customers_chat(ready: Page, world: World, customer: str) -> None:
    said = ready.invoke("sendChatMessage", customer, msgtype="text", enterChat=True, text={"content": "豆子到了"})
    assert said == {"err_msg": "sendChatMessage:ok"}
    assert [(one.who, one.text) for one in world.chat_of("lisi", customer)] == [("rep", "豆子到了")]


NEWS = {"link": "https://shop.example/beans", "title": "本周豆单", "desc": "", "imgUrl": ""}


def test_links_and_mini_programs_arrive_as_what_they_are(
    ready: Page, world: World, customer: str, client: FlaskClient
) -> None:
    program = {"appid": "wx1", "title": "豆子咖啡", "imgUrl": "x", "page": "index.html"}
    ready.invoke("sendChatMessage", customer, msgtype="news", news=NEWS)
    ready.invoke("sendChatMessage", customer, msgtype="miniprogram", miniprogram=program)
    seen = client.get("/sandbox/view", query_string={"customer": customer, "rep": "lisi"}).json or {}
    assert [one["attachments"] for one in seen["chat"]["lines"]] == [["本周豆单"], ["豆子咖啡"]]


def test_a_file_must_have_been_uploaded(ready: Page, api: Any, world: World, customer: str) -> None:
    assert "fail" in ready.invoke("sendChatMessage", customer, msgtype="file", file={"mediaid": "none"})["err_msg"]
    url = "https://qyapi.weixin.qq.com/cgi-bin/media/upload"
    query, files = {"access_token": api.get_token(), "type": "file"}, {"media": ("菜单.pdf", b"%PDF-1.4 long")}
    media_id = api.session.post(url, params=query, files=files).json()["media_id"]
    said = ready.invoke("sendChatMessage", customer, msgtype="file", file={"mediaid": media_id})
    assert said["err_msg"] == "sendChatMessage:ok"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"msgtype": "text", "text": {"content": ""}}, "invalid parameter"),
        ({"msgtype": "text"}, "invalid parameter"),
        ({"msgtype": "voice", "voice": {"mediaid": "x"}}, "invalid parameter"),
        ({"msgtype": "news", "news": {"title": "x"}}, "invalid parameter"),
        ({"msgtype": "text", "text": {"content": "x"}, "tapped": False}, "without a tap of the user"),
    ],
)
def test_what_cannot_be_sent_is_refused(ready: Page, world: World, customer: str, body: Json, why: str) -> None:
    assert ready.invoke("sendChatMessage", customer, **body)["err_msg"] == f"sendChatMessage:fail {why}"
    assert world.chat_of("lisi", customer) == []


def test_nothing_is_sent_to_who_is_no_friend_any_more(ready: Page, world: World, customer: str) -> None:
    world.customer_deletes("lisi", customer)
    said = ready.invoke("sendChatMessage", customer, msgtype="text", text={"content": "在吗"})
    assert said["err_msg"] == "sendChatMessage:fail not a friend"
    assert [one.text for one in world.chat_of("lisi", customer) if one.who == "rep"] == []


# --- the page around it -----------------------------------------------------------------------------------------


def test_the_clients_page_frames_the_products_page_and_nothing_else(
    client: FlaskClient, world: World, customer: str
) -> None:
    app = world.app(AGENT_ID)
    shown = client.get("/client", query_string={"userid": "lisi", "external_userid": customer})
    assert 'src="http://product.invalid/sidebar"' in shown.text, "beside the callback"
    app.home = "http://127.0.0.1:8000/"
    assert 'src="http://127.0.0.1:8000/sidebar"' in client.get("/client").text
    app.toolbar = "https://crm.test/tools?x=1"
    shown = client.get("/client", query_string={"userid": "lisi", "external_userid": customer, "lang": "en"})
    assert 'src="https://crm.test/tools?x=1"' in shown.text
    assert "frame-src 'self' https://crm.test" in shown.headers["Content-Security-Policy"]
    assert f'data-customer="{customer}"' in shown.text
    assert "frame-src" not in client.get("/").headers["Content-Security-Policy"]


def test_without_a_page_for_the_toolbar_it_says_so(client: FlaskClient, world: World) -> None:
    world.app(AGENT_ID).callback_url = ""
    assert "没有配置聊天工具栏" in client.get("/client?userid=lisi").text


def test_a_chat_is_opened_where_none_is_asked_for(client: FlaskClient, world: World, customer: str) -> None:
    latest = world.remember("lisi", "阿哲").external_userid
    assert f'data-customer="{latest}"' in client.get("/client?userid=lisi").text
    assert 'data-customer=""' in client.get("/client?userid=sunqi").text


@pytest.mark.parametrize("path", ["/open/js/jweixin-1.2.0.js", "/wwopen/js/jwxwork-1.0.0.js"])
def test_the_script_lies_where_wecoms_lie(client: FlaskClient, path: str) -> None:
    with client.get(path) as said:
        assert said.mimetype == "text/javascript"
        assert "agentConfig" in said.get_data(as_text=True)


SIGN_IN = {"appid": "wwsandbox000000001", "agentid": "1000002", "redirect_uri": "http://crm.test/back", "state": "S"}


def test_in_the_toolbar_nobody_is_asked_who_he_is(client: FlaskClient, api: Any) -> None:
    client.get("/client?userid=lisi")
    framed = client.get("/connect/oauth2/authorize", query_string=SIGN_IN, headers={"Sec-Fetch-Dest": "iframe"})
    granted = client.get(framed.headers["Location"])
    code = granted.headers["Location"].split("code=")[1].split("&")[0]
    assert api.get("auth/getuserinfo", code=code)["userid"] == "lisi"
    alone = client.get("/connect/oauth2/authorize", query_string=SIGN_IN)
    assert "你是谁" in alone.text

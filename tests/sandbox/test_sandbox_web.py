"""The sandbox as a web server: pages, sign-in, pictures, the admin API, real sockets."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient

from sandbox.admin import METHODS
from sandbox.callbacks import Deliverer
from sandbox.clock import ManualClock, SystemClock
from sandbox.web import create_app, running
from sandbox.words import words_in
from sandbox.world import AGENT_ID, World

SIGN_IN = {
    "appid": "wwsandbox000000001",
    "agentid": "1000002",
    "redirect_uri": "http://crm.test/back?a=1",
    "state": "S1",
}


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_app(world, Deliverer(world, lambda *_: 200)).test_client()


def test_the_api_is_served_under_cgi_bin(client: FlaskClient, world: World) -> None:
    said = client.get("/cgi-bin/gettoken", query_string={"corpid": world.corp_id, "corpsecret": "sandbox-app-secret"})
    assert said.json is not None
    assert said.json["expires_in"] == 7200


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_person_page_opens(client: FlaskClient, language: str) -> None:
    said = client.get("/", query_string={"lang": language})
    assert said.status_code == 200
    assert "script-src" not in said.text
    assert "<script>" not in said.text
    assert "default-src 'self'" in said.headers["Content-Security-Policy"]


def test_both_phones_see_what_happened(client: FlaskClient, world: World) -> None:
    way = world.make_way(["lisi"], "counter")
    arrival = client.post("/sandbox/scan", json={"config_id": way.config_id, "name": "小雨"}).json
    assert arrival is not None
    query = {"customer": arrival["external_userid"], "rep": "lisi"}
    seen = client.get("/sandbox/view", query_string=query).json
    assert seen is not None
    assert seen["friends"][0]["name"] == "李四"
    assert seen["clients"][0]["name"] == "小雨"
    assert seen["events"][0]["tries"][0]["status"] == 200


def test_customers_called_alike_are_told_apart(client: FlaskClient, world: World) -> None:
    way = world.make_way(["lisi"], "counter")
    for name in ("小雨", "小雨", "阿明"):
        client.post("/sandbox/scan", json={"config_id": way.config_id, "name": name})
    seen = client.get("/sandbox/view").json
    assert seen is not None
    told = {one["id"]: one["number"] for one in seen["customers"]}
    names = {one["id"]: one["name"] for one in seen["customers"]}
    assert all(number == (one[-4:] if names[one] == "小雨" else "") for one, number in told.items())
    assert len({number for one, number in told.items() if names[one] == "小雨"}) == 2


def test_a_code_is_called_by_its_remark_everywhere_a_person_looks(client: FlaskClient, world: World) -> None:
    named = world.make_way(["lisi"], "k7Qx", remark="收银台")
    asking = world.make_way(["lisi"], "p2Zt", remark="企业团购", skip_verify=False)
    friend = world.scan(named.config_id).external_userid
    world.scan(asking.config_id, name="阿哲")
    seen = client.get("/sandbox/view", query_string={"customer": friend, "rep": "lisi"}).json
    assert seen is not None
    assert seen["chat"]["channel"] == {"title": "收银台", "state": "k7Qx"}
    assert seen["requests"][0]["channel"]["title"] == "企业团购"
    assert [(way["title"], way["verify"]) for way in seen["ways"]] == [("企业团购", True), ("收银台", False)]
    assert seen["events"][0]["about"][-1] == "收银台"
    del world.contact_ways[named.config_id]
    gone = client.get("/sandbox/view", query_string={"customer": friend, "rep": "lisi"}).json
    assert gone is not None
    assert gone["chat"]["channel"] == {"title": "k7Qx", "state": "k7Qx"}


@pytest.mark.parametrize("who", ["customer", "member"])
def test_a_parting_reads_differently_on_either_phone(world: World, who: str) -> None:
    arrival = world.scan(world.make_way(["lisi"]).config_id)
    pair = ("lisi", arrival.external_userid)
    {"customer": world.customer_deletes, "member": world.member_deletes}[who](*pair)
    notices = [line.text for line in world.chat_of(*pair) if line.who == "notice"]
    assert notices == ["befriended", f"{who}_deleted"]
    for language in ("zh", "en"):
        words = words_in(language)
        assert all(words[name] for name in notices)
        assert words[f"customer {who}_deleted"] != words[f"{who}_deleted"]


def test_whatever_a_scan_leads_to_is_said(client: FlaskClient, world: World) -> None:
    way = world.make_way(["lisi"])
    found = world.scan(way.config_id)
    again = client.post(f"/scan/{way.config_id}", data={"external_userid": found.external_userid})
    assert "你们已经是好友了" in again.text
    for language in ("zh", "en"):
        words = words_in(language)
        assert all("{rep}" in words[f"scanned {outcome}"] for outcome in ("added", "half", "waiting", "already"))
        assert words["scanned nothing"]


def test_the_page_leads_to_the_product_where_there_is_one(client: FlaskClient, world: World) -> None:
    assert ">控制台</a>" not in client.get("/").text
    world.app(AGENT_ID).home = "http://127.0.0.1:8000/"
    assert '<a href="http://127.0.0.1:8000/">控制台</a>' in client.get("/").text


def test_the_word_is_member_everywhere() -> None:
    assert not [words for words in words_in("zh").values() if "员工" in words]


def test_a_scanned_code_becomes_a_customer_without_script(client: FlaskClient, world: World) -> None:
    way = world.make_way(["lisi"], "counter")
    assert "李四" in client.get(f"/scan/{way.config_id}").text
    assert client.post(f"/scan/{way.config_id}", data={"name": "阿哲"}).status_code == 200
    assert [one.name for one in world.customers.values()] == ["阿哲"]
    assert client.get("/scan/nothing").status_code == 404


def test_a_channel_code_has_a_picture(client: FlaskClient, world: World) -> None:
    way = world.make_way(["lisi"], "counter")
    assert client.get(f"/qr/{way.config_id}.png").data.startswith(b"\x89PNG")
    assert client.get("/qr/none.png").status_code == 404
    assert "李" in client.get("/avatar/lisi.svg").text


@pytest.mark.parametrize("path", ["/connect/oauth2/authorize", "/wwlogin/sso/login"])
def test_signing_in_brings_a_code_and_the_state_back(client: FlaskClient, api: Any, path: str) -> None:
    assert "李四" in client.get(path, query_string=SIGN_IN).text
    said = client.get("/sandbox-sign-in/grant", query_string={**SIGN_IN, "userid": "lisi"})
    back = urlsplit(said.headers["Location"])
    query = parse_qs(back.query)
    assert (back.netloc, query["state"], query["a"]) == ("crm.test", ["S1"], ["1"])
    assert api.get("auth/getuserinfo", code=query["code"][0])["userid"] == "lisi"


def test_only_the_trusted_domain_gets_a_code(client: FlaskClient, world: World) -> None:
    world.app(AGENT_ID).trusted_domain = "shop.test"
    assert "50001" in client.get("/connect/oauth2/authorize", query_string=SIGN_IN).text
    assert client.get("/sandbox-sign-in/grant", query_string={**SIGN_IN, "userid": "lisi"}).status_code == 403


def test_the_admin_api_turns_knobs_and_moves_time(client: FlaskClient, world: World, clock: ManualClock) -> None:
    assert client.post("/sandbox/faults", json={"busy": 0.5}).status_code == 200
    assert world.faults.busy == 0.5
    assert client.post("/sandbox/faults", json={"bussy": 0.5}).status_code == 400
    now = clock.now()
    client.post("/sandbox/clock", json={"seconds": 60})
    assert clock.now() == now + 60
    assert client.post("/sandbox/unheard_of", json={}).status_code == 404
    assert client.post("/sandbox/kill_token", data="x=1").status_code == 415


@pytest.mark.parametrize(
    "name",
    [
        *("state", "calls", "sent", "deliveries", "events", "counts", "view", "words", "kf_accounts", "kf_sent"),
    ],
)
def test_every_view_is_json(client: FlaskClient, world: World, name: str) -> None:
    world.scan(world.make_way(["lisi"]).config_id)
    assert client.get(f"/sandbox/{name}").is_json


def act(client: FlaskClient, deed: str, /, **body: Any) -> Any:
    said = client.post(f"/sandbox/{deed}", json=body)
    assert said.status_code == 200, said.text
    return said.json


def test_a_kf_chat_is_played_from_the_admin_api(client: FlaskClient, api: Any, world: World) -> None:
    open_kfid = act(client, "kf_account", name="豆子客服", servicers=["lisi"])["open_kfid"]
    visit = act(client, "kf_enter", open_kfid=open_kfid, name="小雨", scene="poster")
    pair = {"open_kfid": open_kfid, "external_userid": visit["external_userid"]}
    act(client, "kf_say", **pair, text="找人工")
    act(client, "kf_send_file", **pair, kind="image")
    api.post("kf/service_state/trans", {**pair, "service_state": 2})
    query = {"customer": pair["external_userid"], "rep": "lisi", "kf": open_kfid}
    waiting = client.get("/sandbox/view", query_string=query).json or {}
    assert [(one["name"], one["state"]) for one in waiting["desk"]] == [("小雨", 2)]
    act(client, "kf_take", **pair, servicer="lisi")
    act(client, "kf_servicer_says", **pair, servicer="lisi", text="我来")
    seen = client.get("/sandbox/view", query_string=query).json or {}
    assert (seen["kf"]["state"], seen["kf"]["servicer_name"]) == (3, "李四")
    assert [(one["who"], one["text"]) for one in seen["kf"]["lines"]] == [
        ("customer", "找人工"),
        ("customer", "image"),
        ("notice", "kf_waiting"),
        ("notice", "kf_taken"),
        ("servicer", "我来"),
    ]
    act(client, "kf_end", **pair)
    assert (client.get("/sandbox/kf_chat", query_string=pair).json or {})["state"] == 4
    assert client.post("/sandbox/kf_end", json=pair).status_code == 400
    (account,) = client.get("/sandbox/kf_accounts").json or []
    assert (account["servicers"][0]["userid"], account["messages"]) == ("lisi", 6)


def test_a_kf_link_leads_to_the_chat_on_the_page(client: FlaskClient, api: Any, world: World) -> None:
    account = world.kf_account("豆子客服")
    url = api.post("kf/add_contact_way", {"open_kfid": account.open_kfid, "scene": "poster"})["url"]
    path = url.removeprefix(world.base_url) + "&scene_param=a%3D1"
    assert "豆子客服" in client.get(path).text
    back = client.post(path, data={"name": "阿哲"}).headers["Location"]
    assert parse_qs(urlsplit(back).query)["kf"] == [account.open_kfid]
    assert account.items[-1].body["event"]["scene_param"] == "a=1"
    assert client.get("/kf/nowhere").status_code == 404


def test_a_member_talks_with_the_app_and_presses_its_cards(client: FlaskClient, api: Any, world: World) -> None:
    card = {
        "card_type": "vote_interaction",
        "main_title": {"title": "周末谁上班"},
        "task_id": "t-1",
        "checkbox": {"question_key": "q", "option_list": [{"id": "a", "text": "周六"}]},
        "submit_button": {"text": "提交", "key": "go"},
    }
    act(client, "member_writes", userid="lisi", text="帮助", agent_id=AGENT_ID)
    body = {"touser": "lisi", "msgtype": "template_card", "agentid": AGENT_ID, "template_card": card}
    msgid = api.post("message/send", body)["msgid"]
    seen = client.get("/sandbox/view", query_string={"rep": "lisi"}).json or {}
    (app,) = seen["apps"]
    assert [(one["who"], one["msgtype"]) for one in app["lines"]] == [("member", "text"), ("app", "template_card")]
    act(client, "press_card", userid="lisi", msgid=msgid, key="go", selected={"q": ["a"]})
    chosen = "<SelectedItem><QuestionKey><![CDATA[q]]></QuestionKey><OptionIds><OptionId><![CDATA[a]]></OptionId>"
    assert chosen in world.events[-1].xml
    act(client, "press_card_menu", userid="lisi", msgid=msgid, key="mute")
    assert world.events[-1].fields["Event"] == "template_card_menu_event"
    act(client, "member_clicks", userid="lisi", key="today", agent_id=AGENT_ID)
    assert (world.events[-1].fields["Event"], world.events[-1].fields["EventKey"]) == ("click", "today")


def test_every_act_has_a_method_behind_it(world: World) -> None:
    assert [name for name in METHODS if not callable(getattr(world, name, None))] == []


def test_what_the_kf_chat_shows_has_words_in_both_languages() -> None:
    kinds = ["image", "file", "note", "msgmenu"]
    needed = [
        "kf",
        "kf_waiting",
        "kf_taken",
        "kf_ended",
        *(f"kf_state {n}" for n in range(5)),
        *(f"type {k}" for k in kinds),
    ]
    for language in ("zh", "en"):
        assert all(words_in(language)[name] for name in needed)


@pytest.fixture
def served() -> Iterator[tuple[World, str]]:
    world = World.small_shop(SystemClock(), callback_url="")
    deliverer = Deliverer(world, lambda *_: 200)
    with running(world, deliverer=deliverer, threads=8) as address:
        yield world, address


def test_it_answers_hundreds_of_calls_a_second(served: tuple[World, str]) -> None:
    world, address = served
    token = world.tokens.ask(AGENT_ID).value
    with requests.Session() as session:
        session.trust_env = False
        started = time.monotonic()
        for _ in range(100):
            said = session.get(f"{address}/cgi-bin/user/get", params={"access_token": token, "userid": "lisi"})
            assert said.json()["errcode"] == 0
        assert time.monotonic() - started < 1.0


def test_a_reset_breaks_the_line_for_real(served: tuple[World, str]) -> None:
    world, address = served
    world.faults.reset_after_effect = 1.0
    query = {"corpid": world.corp_id, "corpsecret": "sandbox-app-secret"}
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/cgi-bin/gettoken", params=query, timeout=5)
    assert world.calls_to("gettoken")[0].accepted


def test_callbacks_travel_over_http(served: tuple[World, str]) -> None:
    _, address = served
    other = World.small_shop(SystemClock(), callback_url=f"{address}/sandbox/words")
    deliverer = Deliverer.over_http(other, workers=2, spacing=(0.05, 0.05, 0.05))
    other.scan(other.make_way(["lisi"]).config_id)
    ended = time.monotonic() + 5
    while deliverer.waiting() and time.monotonic() < ended:
        time.sleep(0.02)
    deliverer.close()
    assert [one.status for one in deliverer.recent()[0].tries] == [404] * 4
    assert deliverer.recent()[0].fate == "lost"

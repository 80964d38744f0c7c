"""Calls of a shop's own addresses: where they may go, and that each is made until it is taken."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from scheduler import calling, webhooks
from scheduler.calling import NotThere, look_up
from storage.tables import WebhookCall
from tests.shop import Shop

JOB = "call webhooks"


class Receiver(BaseHTTPRequestHandler):
    """Answers as it is told, and keeps what it heard."""

    answers: list[int] = []  # noqa: RUF012
    heard: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.heard.append((self.headers["webhook-id"], body))
        self.send_response(self.answers.pop(0) if self.answers else 204)
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A receiver on this machine, which for once counts as outside."""
    Receiver.answers, Receiver.heard = [], []
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(calling, "is_outside", lambda ip: ip == "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}/hook?a=1"
    server.shutdown()
    server.server_close()


def planned(shop: Shop, url: str) -> None:
    with shop.work() as work:
        body = {"type": "journey.step", "customer": "p_1"}
        work.db.add(WebhookCall(once="journey:e1:s1:1", url=url, body=body, due_at=work.now, made_at=work.now))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.1.2.3", "192.168.0.1", "172.16.0.9", "0.0.0.0"),
        *("0177.0.0.1", "0x7f000001", "2130706433", "127.1", "[::ffff:127.0.0.1]", "[fd00::1]", "224.0.0.1"),
        *("[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::ffff:a9fe:a9fe]", "[fe80::1]", "[::]", "0"),
        *("100.64.0.1", "198.18.0.1", "240.0.0.1", "0x7f.1", "017700000001", "[2001:0:7f00:1::]", "100.100.100.200"),
    ],
)
def test_an_address_that_leads_inside_is_not_called_however_it_is_spelt(host: str) -> None:
    with pytest.raises(NotThere):
        look_up(f"http://{host}/hook")


def test_a_name_that_leads_inside_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("93.184.216.34", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(NotThere, match="内部网络"):
        look_up("https://rebinding.test/hook")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers[:1])
    assert look_up("https://rebinding.test/hook").ip == "93.184.216.34"


def test_a_call_is_made_again_until_it_is_taken_and_never_follows_anybody(shop: Shop, address: str) -> None:
    planned(shop, address)
    Receiver.answers = [500, 302]
    for _ in range(4):
        shop.run(JOB)
        shop.advance(minutes=10)
    assert [name for name, _ in Receiver.heard] == ["msg_1"] * 3
    (call,) = shop.rows(WebhookCall)
    assert (call.state, call.tries, call.outcome) == ("done", 3, "HTTP 204")
    assert Receiver.heard[0][1] == {"type": "journey.step", "customer": "p_1"}


def test_what_nobody_takes_is_given_up_and_says_why(shop: Shop) -> None:
    planned(shop, "http://127.0.0.1:9/hook")
    for _ in range(webhooks.MOST_TRIES + 1):
        shop.run(JOB)
        shop.advance(hours=7)
    (call,) = shop.rows(WebhookCall)
    assert (call.state, call.tries) == ("given_up", webhooks.MOST_TRIES)
    assert "内部网络" in call.outcome

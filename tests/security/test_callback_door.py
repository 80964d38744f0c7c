"""S2, S6 to S12: what the callback's door lets in, and what it says."""

import ast
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import wecom.envelope
from bot.server import Connection, server_for
from storage.tables import InboxRow
from tests.shop import Shop, event_xml

CONTACT = "change_external_contact"
ADDED = event_xml(CONTACT, ChangeType="add_external_contact", UserID="lisi", ExternalUserID="wm1", CreateTime="1")
ROOT = Path(__file__).resolve().parents[2]


def rows(door: Shop) -> int:
    return len(door.rows(InboxRow))


def knock(door: Shop, *, body: bytes | None = None, query: object = None, xml: str = ADDED, **options: object) -> int:
    """Deliver something nearly right; the status."""
    own_query, own_body = door.seal(xml)
    found = door.client.post(
        "/wecom/callback",
        query_string=own_query if query is None else query,
        data=own_body if body is None else body,
        content_type=options.pop("content_type", "text/xml"),
        **options,
    )
    return found.status_code


def test_no_signature_is_compared_with_equals() -> None:
    tree = ast.parse(Path(wecom.envelope.__file__).read_text(encoding="utf-8"))
    compared = [
        ast.unparse(one)
        for one in ast.walk(tree)
        if isinstance(one, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in one.ops)
    ]
    secret = ("signature", "token", "receive", "digest", "plain[-pad:]")
    assert [one for one in compared if any(word in one.lower() for word in secret[:4])] == []
    assert "hmac.compare_digest" in ast.unparse(tree)


def test_only_one_module_parses_xml() -> None:
    """S5: a parser that is not the one wrapper would be one that nobody has bounded."""
    own = [
        path for path in ROOT.glob("*/**/*.py") if path.relative_to(ROOT).parts[0] not in ("tests", "sandbox", ".venv")
    ]
    parsers = ("xml.etree", "xmltodict", "lxml", "minidom", "defusedxml", "xml.sax", "expat")
    using = [
        path.relative_to(ROOT).as_posix()
        for path in own
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom) and any(one in ast.unparse(node) for one in parsers)
    ]
    assert set(using) <= {"wecom/xml.py"}


def test_a_body_over_the_cap_is_413(door: Shop) -> None:
    before = rows(door)
    assert knock(door, body=b"<xml>" + b"a" * 1_000_000 + b"</xml>") == 413
    assert rows(door) == before


@pytest.mark.parametrize(("depth", "status"), [(19, 200), (21, 403), (5000, 403)])
def test_a_document_nested_too_deep_is_refused(door: Shop, depth: int, status: int) -> None:
    inner = "<xml><Event>x</Event>" + "<a>" * (depth - 1) + "</a>" * (depth - 1) + "</xml>"
    assert knock(door, xml=inner) == status
    query, _ = door.seal(ADDED)
    outer = b"<a>" * depth + b"</a>" * depth
    assert knock(door, body=outer, query=query) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "127.0.0.1:8000"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "https"},
        {"X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz"},
        {"X-HTTP-Method-Override": "GET"},
        {"Forwarded": "for=127.0.0.1;host=localhost"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_no_header_switches_the_check_off(door: Shop, headers: dict[str, str]) -> None:
    query, body = door.seal(ADDED)
    forged = {**query, "msg_signature": "0" * 40}
    before = rows(door)
    assert door.client.post("/wecom/callback", query_string=forged, data=body, headers=headers).status_code == 403
    assert rows(door) == before
    assert door.client.post("/wecom/callback", query_string=query, data=body, headers=headers).status_code == 200


def test_the_answer_to_an_event_is_empty(door: Shop) -> None:
    query, body = door.seal(ADDED)
    answer = door.client.post("/wecom/callback", query_string=query, data=body, content_type="text/xml")
    assert (answer.status_code, answer.data) == (200, b"")


def test_the_url_check_gives_the_echo_as_plain_text_and_only_for_a_good_signature(door: Shop) -> None:
    assert door.deliverer.verify_url(1000002)
    app = door.world.app(1000002)
    sealer = app.envelope(door.world.corp_id)
    echo = sealer.encrypt("<script>alert(1)</script>")
    query = {"timestamp": "1", "nonce": "n", "echostr": echo, "msg_signature": sealer.sign("1", "n", echo)}
    answer = door.client.get("/wecom/callback", query_string=query)
    assert answer.data == b"<script>alert(1)</script>"
    assert answer.mimetype == "text/plain"
    forged = door.client.get("/wecom/callback", query_string={**query, "msg_signature": "0" * 40})
    assert (forged.status_code, forged.data) == (403, b"not for us")


def test_a_captured_request_sent_again_has_no_second_effect(door: Shop) -> None:
    """S9: replays are harmless at any age, because what they say is known already."""
    fresh = event_xml(CONTACT, ChangeType="add_external_contact", UserID="lisi", ExternalUserID="wmR", CreateTime="2")
    query, body = door.seal(fresh)
    before = rows(door)
    for pause in (0, 10, 600, 86_400):
        door.advance(seconds=pause)
        answers = [door.client.post("/wecom/callback", query_string=query, data=body) for _ in range(50)]
        assert {one.status_code for one in answers} == {200}
    assert rows(door) == before + 1


@pytest.mark.parametrize(
    "change",
    [
        {"msg_signature": None},
        {"timestamp": None},
        {"nonce": None},
        {"msg_signature": ["x", "y"]},
        {"timestamp": ["1", "2"]},
        {"nonce": ["a", "b"]},
        {"timestamp": "abc"},
        {"timestamp": "１２３"},
        {"timestamp": "-5"},
        {"nonce": "n" * 10_000},
        {"nonce": ""},
    ],
    ids=lambda change: repr(change)[:40],
)
@pytest.mark.parametrize("path", ["/wecom/callback", "/wecom/callback/nobody"])
def test_a_missing_or_doubled_field_is_400_whoever_is_addressed(
    door: Shop, change: dict[str, object], path: str
) -> None:
    query, body = door.seal(ADDED)
    changed = {name: value for name, value in {**query, **change}.items() if value is not None}
    before = rows(door)
    posted = door.client.post(path, query_string=changed, data=body, content_type="text/xml")
    got = door.client.get(path, query_string={**changed, "echostr": "x"})
    assert (posted.status_code, posted.data) == (400, b"malformed")
    assert (got.status_code, got.data) == (400, b"malformed")
    assert rows(door) == before


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/html"]
)
def test_another_content_type_is_400(door: Shop, kind: str) -> None:
    assert knock(door, content_type=kind) == 400


@pytest.mark.parametrize("kind", ["text/xml", "text/xml; charset=utf-8", "application/xml", ""])
def test_the_content_types_of_wecom_and_its_gateways_are_taken(door: Shop, kind: str) -> None:
    assert knock(door, content_type=kind) == 200


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"encrypt": "x"}).encode(),
        gzip.compress(b"<xml>" + b"a" * 10_000_000 + b"</xml>", mtime=0),
        b"",
        b"\x00\xff\xfe",
        b"<xml><Encrypt>not base64 at all!</Encrypt></xml>",
        b"<xml><Encrypt/></xml>",
        b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>",
        "<xml><Encrypt>密文</Encrypt></xml>".encode(),
        b"<?xml version='1.0' encoding='utf-16'?><!DOCTYPE x><xml><Encrypt>a</Encrypt></xml>",
        b"<?xml version='1.0' encoding='no-such'?><xml><Encrypt>a</Encrypt></xml>",
        b"<?xml version='1.0' encoding='hex'?><xml><Encrypt>a</Encrypt></xml>",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_is_no_envelope_is_403(door: Shop, body: bytes) -> None:
    before = rows(door)
    assert knock(door, body=body) == 403
    assert knock(door, body=body, headers={"Content-Encoding": "gzip"}) == 403
    assert rows(door) == before


def test_an_unknown_receiver_is_answered_like_a_bad_signature(door: Shop) -> None:
    query, body = door.seal(ADDED)

    def ask(path: str, signature: str) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
        forged = {**query, "msg_signature": signature, "echostr": "x"}
        posted = door.client.post(path, query_string=forged, data=body, content_type="text/xml")
        got = door.client.get(path, query_string=forged)
        assert (got.status_code, got.data) == (posted.status_code, posted.data)
        return posted.status_code, posted.data, tuple(sorted(posted.headers.items()))

    known = ask("/wecom/callback", "0" * 40)
    assert ask("/wecom/callback/ww123", "0" * 40) == known
    assert ask("/wecom/callback/contact", query["msg_signature"]) == known

    def fastest(path: str) -> float:
        times = []
        for _ in range(30):
            started = time.perf_counter()
            ask(path, "0" * 40)
            times.append(time.perf_counter() - started)
        return min(times)

    assert abs(fastest("/wecom/callback") - fastest("/wecom/callback/ww123")) < 0.003


# --- over a real socket -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(door: Shop) -> Iterator[tuple[str, int]]:
    server = server_for(door.app, "127.0.0.1", 0, threads=2, timeout=1)
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield server.bind_addr
    server.stop()
    thread.join()


def speak(address: tuple[str, int], head: bytes, chunks: Iterator[bytes]) -> bytes:
    """Say it by hand; whatever comes back."""
    with socket.create_connection(address, timeout=5) as line:
        line.sendall(head)
        try:
            for chunk in chunks:
                line.sendall(chunk)
        except OSError:
            pass
        found = b""
        try:
            while piece := line.recv(4096):
                found += piece
        except OSError:
            pass
        return found


def head(door: Shop, *lines: str) -> bytes:
    query, _ = door.seal(ADDED)
    path = "&".join(f"{name}={value}" for name, value in query.items())
    return "\r\n".join(
        [f"POST /wecom/callback?{path} HTTP/1.1", "Host: x", "Content-Type: text/xml", *lines, "", ""]
    ).encode()


def test_a_chunked_body_without_end_is_cut_off(door: Shop, served: tuple[str, int]) -> None:
    before = rows(door)

    def chunks() -> Iterator[bytes]:
        for _ in range(200):
            yield b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
        yield b"0\r\n\r\n"

    answer = speak(served, head(door, "Transfer-Encoding: chunked"), chunks())
    assert answer == b"" or answer.split(b" ")[1] in (b"403", b"413")
    assert rows(door) == before


def test_a_whole_body_in_chunks_is_taken(door: Shop, served: tuple[str, int]) -> None:
    fresh = event_xml(CONTACT, ChangeType="add_external_contact", UserID="lisi", ExternalUserID="wmC", CreateTime="3")
    query, body = door.seal(fresh)
    path = "&".join(f"{name}={value}" for name, value in query.items())
    start = (
        f"POST /wecom/callback?{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    pieces = iter([f"{len(body):x}\r\n".encode() + body + b"\r\n", b"0\r\n\r\n"])
    before = rows(door)
    assert b" 200 " in speak(served, start.encode(), pieces).split(b"\r\n")[0]
    assert rows(door) == before + 1


def test_a_sender_who_dawdles_is_cut_off_and_others_are_served(door: Shop, served: tuple[str, int]) -> None:
    started = time.monotonic()
    with socket.create_connection(served, timeout=10) as slow:
        slow.sendall(head(door, "Content-Length: 500") + b"<xml>")
        start = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert b" 200 " in speak(served, start, iter(())).split(b"\r\n")[0]
        while slow.recv(4096):
            pass
    assert time.monotonic() - started < 5


def test_a_sender_of_one_byte_now_and_then_is_cut_off_too(
    door: Shop, served: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time; the request as a whole does not."""
    monkeypatch.setattr(Connection, "arrives_within", 1.0)
    started, before = time.monotonic(), rows(door)
    drops = (b"<" for _ in iter(lambda: time.sleep(0.1), 0))
    answer = speak(served, head(door, "Content-Length: 5000"), drops)
    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]
    assert time.monotonic() - started < 5
    start = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert b" 200 " in speak(served, start, iter(())).split(b"\r\n")[0]
    assert rows(door) == before

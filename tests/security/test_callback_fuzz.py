"""S13: whatever arrives, from sealed bytes to a value, only ``BadEnvelope`` ever escapes."""

import base64
from typing import Any
from xml.sax.saxutils import escape

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.routes import lane_of
from sandbox.envelope import Envelope as Sealer
from soak import many
from tests.fixtures_outside import outside
from wecom import xml
from wecom.envelope import Envelope, Seal, single
from wecom.errors import BadEnvelope
from wecom.events import KINDS, Event, read_event

QUICK = settings(
    max_examples=many(120, 20_000),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TOKEN, KEY, CORP = "simToken2026", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "wwsimcorp000000001"
OURS, THEIRS = Envelope(TOKEN, KEY, CORP), Sealer(TOKEN, KEY, CORP)
NAMES = ["Event", "ChangeType", "UserID", "ExternalUserID", "CreateTime", "State", "WelcomeCode", "MsgType", "InfoType"]
NAMES += ["Id", "NewUserID", "Status", "AgentID", "FailReason", "Source", "TimeStamp", "MemChangeList"]
TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=30)
WORD = st.one_of(TEXT, st.sampled_from([name.split(".")[0] for name in KINDS] + [n.split(".")[-1] for n in KINDS]))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Something like an event: its elements empty, doubled, nested or of the wrong kind."""
    fields = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.recursive(WORD, _nested, max_leaves=4)), max_size=14))
    return "<xml>" + "".join(_element(name, value) for name, value in fields) + "</xml>"


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=3)


def _element(name: str, value: Any) -> str:
    text = "".join(_element(*one) for one in value) if isinstance(value, list) else escape(value)
    return f"<{name}>{text}</{name}>"


def read_or_refuse(text: str) -> Event | None:
    """The event, or None when it was refused as it should be."""
    try:
        return read_event(text)
    except BadEnvelope:
        return None


@QUICK
@given(st.binary(max_size=400))
def test_any_body_is_opened_or_refused(body: bytes) -> None:
    try:
        OURS.open(Seal("0" * 40, "1", "n"), body)
    except BadEnvelope:
        return
    raise AssertionError("nobody signed this")


@QUICK
@given(st.binary(max_size=200), st.integers(0, 3))
def test_any_signed_plaintext_is_opened_or_refused(plain: bytes, blocks: int) -> None:
    """Signed rightly, and inside it anything: only cipher, padding, length and receiver are in the way."""
    encryptor = THEIRS._cipher().encryptor()
    whole = plain + b"\x00" * (-len(plain) % 16) + bytes([16]) * 16 * blocks
    sealed = base64.b64encode(encryptor.update(whole) + encryptor.finalize()).decode()
    seal = Seal(THEIRS.sign("1", "n", sealed), "1", "n")
    try:
        OURS.unseal(seal, sealed)
    except BadEnvelope:
        return


@QUICK
@given(st.text(max_size=200))
def test_any_text_is_an_event_or_refused(text: str) -> None:
    read_or_refuse(text)
    read_or_refuse(f"<xml>{text}</xml>")


@QUICK
@given(documents())
def test_any_document_becomes_an_event_that_can_be_kept(text: str) -> None:
    event = read_or_refuse(text)
    if event is None:
        return
    assert len(event.identity) == 64
    assert 0 < len(event.name) <= 100
    assert event.key
    assert lane_of(event) in ("welcome", "events")
    for name in event.needs:
        assert 0 < len(getattr(event, name)) <= 64


@QUICK
@given(documents())
def test_sealing_and_opening_gives_the_same_text(text: str) -> None:
    sealed = THEIRS.encrypt(text)
    assert OURS.unseal(Seal(THEIRS.sign("1", "n", sealed), "1", "n"), sealed) == text


@QUICK
@given(st.dictionaries(st.sampled_from(["msg_signature", "timestamp", "nonce"]), st.lists(st.text(), max_size=2)))
def test_any_query_is_read_or_refused(query: dict[str, list[str]]) -> None:
    try:
        Seal.read(query)
        single(query, "echostr")
    except BadEnvelope:
        return


@settings(QUICK, max_examples=many(100, 5000))
@given(st.data())
def test_a_sample_with_a_byte_changed_is_an_event_or_refused(data: st.DataObject) -> None:
    outside.need()
    raw = bytearray(data.draw(st.sampled_from(outside.incoming())).xml.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        xml.read(bytes(raw))
    except BadEnvelope:
        return
    read_or_refuse(bytes(raw).decode("utf-8-sig"))


def test_an_encoding_that_nobody_knows_is_no_way_in() -> None:
    for name in ("hex", "no-such", "utf-16", "GBK", "punycode"):
        event = read_or_refuse(f"<?xml version='1.0' encoding='{name}'?><xml><Event>点击</Event></xml>")
        assert event is not None, name
        assert event.name == "点击", name

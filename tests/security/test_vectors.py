"""S1, S3, S4, S5: envelopes that other implementations sealed, and those that only an attacker would seal."""

import time
from typing import Any

import pytest

from bot.settings import Settings
from sandbox.envelope import Envelope as Sealer
from storage.tables import InboxRow
from tests.fixtures_outside import outside
from tests.shop import SECRET_KEY, Shop
from wecom.envelope import Envelope, Seal
from wecom.errors import BadEnvelope

Vector = dict[str, Any]
AN_OK_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
COUNTS = {"vectors": 25, "generated": 40, "hostile": 16}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "good" in metafunc.fixturenames:
        ok = [*outside.verified("vectors", "ok"), *outside.verified("generated", "ok")]
        metafunc.parametrize("good", [one for one in ok if one["kind"] != "signature_only"], ids=lambda one: one["id"])
    if "signed" in metafunc.fixturenames:
        ok = outside.verified("vectors", "ok")
        metafunc.parametrize(
            "signed", [one for one in ok if one["kind"] == "signature_only"], ids=lambda one: one["id"]
        )
    if "bad" in metafunc.fixturenames:
        bad = outside.verified("vectors", "bad_signature", "bad_receive_id")
        bad += outside.verified("hostile", "reject", "bad_receive_id")
        metafunc.parametrize("bad", bad, ids=lambda one: one["id"])


def envelope_of(vector: Vector) -> Envelope:
    """The envelope of whoever expects this vector."""
    return Envelope(vector["token"] or "anytoken", vector["encoding_aes_key"] or AN_OK_KEY, vector["receive_id"] or "")


def seal_of(vector: Vector) -> Seal:
    """The seal that came with the vector, or one of our own where only the cipher was published."""
    stamp, nonce = vector["timestamp"] or "1", vector["nonce"] or "n"
    signature = vector["msg_signature"]
    if signature is None:
        sealer = Sealer(vector["token"] or "anytoken", vector["encoding_aes_key"], vector["receive_id"])
        signature = sealer.sign(stamp, nonce, vector["encrypt"])
    return Seal(signature, stamp, nonce)


def call(door: Shop, vector: Vector) -> tuple[int, bytes, float]:
    """Deliver the vector to the callback; status, body and seconds."""
    door.app.extensions["door"].extensions["envelopes"] = {"": envelope_of(vector)}
    seal, client = seal_of(vector), door.client
    query = {"msg_signature": seal.signature, "timestamp": seal.timestamp, "nonce": seal.nonce}
    started = time.perf_counter()
    if vector["kind"] == "echostr":
        answer = client.get("/wecom/callback", query_string={**query, "echostr": vector["encrypt"]})
    else:
        body = f"<xml><Encrypt><![CDATA[{vector['encrypt']}]]></Encrypt></xml>"
        answer = client.post("/wecom/callback", query_string=query, data=body, content_type="text/xml")
    return answer.status_code, answer.data, time.perf_counter() - started


@pytest.fixture(autouse=True)
def _at_hand() -> None:
    outside.need()


def test_every_vector_is_there() -> None:
    assert {part: len([one for one in outside.vectors()[part] if one.get("verified")]) for part in COUNTS} == COUNTS


def test_a_sealed_text_of_others_opens_to_its_plaintext(good: Vector) -> None:
    assert envelope_of(good).unseal(seal_of(good), good["encrypt"]) == good["plaintext"]


def test_a_signature_of_others_is_right(signed: Vector) -> None:
    right, wrong = seal_of(signed), Seal("0" * 40, signed["timestamp"], signed["nonce"])
    envelope_of(signed)._check_signature(right, signed["encrypt"])
    with pytest.raises(BadEnvelope, match="signature"):
        envelope_of(signed)._check_signature(wrong, signed["encrypt"])


def test_the_callback_takes_a_good_vector_and_shows_nothing_of_it(door: Shop, good: Vector) -> None:
    status, body, _ = call(door, good)
    if good["kind"] == "echostr":
        assert (status, body.decode()) == (200, good["plaintext"])
    elif good["plaintext"].lstrip().startswith("<xml") and "<!" not in good["plaintext"].replace("<![CDATA[", ""):
        assert (status, body) == (200, b"")
    else:
        assert (status, body) == (403, b"not for us")


def test_a_bad_vector_is_refused_quickly_and_leaves_no_row(door: Shop, bad: Vector) -> None:
    before = len(door.rows(InboxRow))
    status, body, seconds = call(door, bad)
    assert status in (400, 403)
    assert body in (b"not for us", b"malformed")
    assert len(door.rows(InboxRow)) == before
    assert min(seconds, *(call(door, bad)[2] for _ in range(2))) < 0.05


@pytest.mark.parametrize("name", ["xxe_inside", "billion_laughs_inside"])
def test_a_document_type_inside_the_envelope_is_refused_in_no_time(door: Shop, name: str) -> None:
    vector = next(one for one in outside.vectors()["generated"] if one["id"] == name)
    before = len(door.rows(InboxRow))
    status, body, seconds = call(door, vector)
    assert (status, body) == (403, b"not for us")
    assert seconds < 0.1
    assert len(door.rows(InboxRow)) == before


def test_base64_with_white_space_is_refused_or_read_but_nothing_breaks(door: Shop) -> None:
    vector = next(one for one in outside.vectors()["hostile"] if one["id"] == "base64_whitespace")
    assert call(door, vector)[0] in (200, 400, 403)


def settings_with(key: str) -> Settings:
    wecom = {"corp_id": "ww1", "agent_id": 1, "secret": "s", "token": "t", "encoding_aes_key": key}
    return Settings(wecom=wecom, web={"secret_key": SECRET_KEY})


def test_keys_that_real_consoles_hand_out_are_taken_at_the_start() -> None:
    for one in outside.vectors()["good_aes_keys"]:
        assert settings_with(one["key"]).wecom.encoding_aes_key.get_secret_value() == one["key"]
        assert len(Envelope("t", one["key"], "ww1")._key) == 32


def test_a_malformed_key_stops_the_start_without_being_shown() -> None:
    for one in outside.vectors()["bad_aes_keys"]:
        with pytest.raises(ValueError, match="43") as refused:
            settings_with(one["key"])
        assert not one["key"] or one["key"] not in str(refused.value)
        with pytest.raises(ValueError, match="43"):
            Envelope("t", one["key"], "ww1")


def test_a_wrong_first_and_a_wrong_last_digit_are_refused_alike(door: Shop) -> None:
    vector = dict(outside.verified("vectors", "ok")[1])
    answers = []
    for place in (0, 39):
        digits = list(vector["msg_signature"])
        digits[place] = "0" if digits[place] != "0" else "1"
        answers.append(call(door, {**vector, "msg_signature": "".join(digits)})[:2])
    assert answers == [(403, b"not for us")] * 2

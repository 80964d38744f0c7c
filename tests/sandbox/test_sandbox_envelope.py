"""The cipher and the signatures, against answers known beforehand."""

import pytest

from sandbox.credentials import js_signature
from sandbox.envelope import BadEnvelope, Envelope

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
RANDOM = b"0123456789abcdef"
TEXT_B = "<xml><MsgType><![CDATA[event]]></MsgType><Name><![CDATA[张三]]></Name></xml>"
ENCRYPT_A = "4j/AuRx71kQlxVlzbpsMWIZf9y84Az528Om/0Ud//Vz5oqmpQAHo2+JUZpDzaB4eTfnF832b0SJXtGxeBKnGWQ=="
ENCRYPT_B = (
    "4j/AuRx71kQlxVlzbpsMWN/E0gZoDFspKeCaaBs75n5qj+8FVqLt2ZwJNXamhc75UnIwVnTQWJ3nV2m7WT/rD11k2G9WVGN4HgYjJxq11RCKTXPY"
    "m4POV27fGrqWJ2bmxq/yC2GryobHzR/CGHSSe2RShNb9TQVxJ6lm6/Lxap8="
)


@pytest.fixture
def envelope() -> Envelope:
    return Envelope("simToken2026", KEY, "wwsimcorp000000001")


@pytest.mark.parametrize(
    ("timestamp", "nonce", "text", "encrypt", "signature"),
    [
        ("1700000000", "nonce001", "echo-12345", ENCRYPT_A, "acd6f4027be6067a1e4779dc4d8f9b18a6ebd56c"),
        ("1700000001", "nonce002", TEXT_B, ENCRYPT_B, "5b8be4d8559d34e68cdbafa640ca19433a4cf52a"),
    ],
)
def test_the_known_answers_come_out(
    envelope: Envelope, timestamp: str, nonce: str, text: str, encrypt: str, signature: str
) -> None:
    assert envelope.encrypt(text, RANDOM) == encrypt
    assert envelope.decrypt(encrypt) == text
    assert envelope.sign(timestamp, nonce, encrypt) == signature


def test_every_length_of_padding_opens_again(envelope: Envelope) -> None:
    for length in range(70):
        text = "长" + "x" * length
        assert envelope.decrypt(envelope.encrypt(text)) == text


def test_an_envelope_for_somebody_else_does_not_open(envelope: Envelope) -> None:
    sealed = Envelope("simToken2026", KEY, "wwsomebodyelse").encrypt("hello")
    with pytest.raises(BadEnvelope):
        envelope.decrypt(sealed)


def test_a_key_of_the_wrong_length_is_turned_away() -> None:
    with pytest.raises(ValueError, match="43"):
        Envelope("token", "c2hvcnQga2V5", "ww")


def test_the_js_signature_is_the_known_one_and_ignores_the_fragment() -> None:
    url = "https://crm.example.test/sidebar?a=1&b=2"
    expected = "8326855fa88b3c796b9c861da9f3ad8472377574"
    assert js_signature("SIMTICKET0001", "noncejs01", "1700000003", url) == expected
    assert js_signature("SIMTICKET0001", "noncejs01", 1700000003, url + "#top") == expected

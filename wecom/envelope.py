"""Opens what WeCom sealed for us: signature first, in constant time, then decryption, padding, length and receiver.

Before: ``bot.callback``. After: ``wecom.events.read_event``. The cipher is wechatpy's; its checks are not enough
(it compares signatures with ``!=``, does not look at the padding and asserts the key), so those are ours.
Rules: WeCom's callback protocol; the 32-byte block of its PKCS#7 is no mistake.
"""

import base64
import binascii
import hmac
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from wechatpy.crypto.cryptography import WeChatCipher
from wechatpy.utils import WeChatSigner

from wecom import xml
from wecom.errors import BadEnvelope, Malformed

AES_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
SIGNATURE = re.compile(r"[0-9a-f]{40}")
TIMESTAMP = re.compile(r"[0-9]{1,13}")
BLOCK = 32


@dataclass(frozen=True)
class Seal:
    """The query fields that come with every callback."""

    signature: str
    timestamp: str
    nonce: str

    @classmethod
    def read(cls, query: Mapping[str, list[str]]) -> "Seal":
        """Take them from the query; raises ``Malformed`` when one is missing, doubled or out of shape."""
        signature, timestamp, nonce = (single(query, name) for name in ("msg_signature", "timestamp", "nonce"))
        if not TIMESTAMP.fullmatch(timestamp) or len(nonce) > 128:
            raise Malformed("timestamp or nonce malformed")
        return cls(signature, timestamp, nonce)


def single(query: Mapping[str, list[str]], name: str) -> str:
    """The one value of a query field; raises ``Malformed`` when it is missing or doubled."""
    values = query.get(name, [])
    if len(values) != 1 or not values[0]:
        raise Malformed(f"{name} must be given once")
    return values[0]


@dataclass(frozen=True)
class Envelope:
    """Token, key and receive id of one receiver. Raises ``ValueError`` for a key that is not 43 base64 characters."""

    token: str = field(repr=False)
    aes_key: str = field(repr=False)
    receive_id: str

    def __post_init__(self) -> None:
        if not AES_KEY.fullmatch(self.aes_key):
            raise ValueError("encoding_aes_key must be 43 characters of A-Z a-z 0-9")

    @cached_property
    def _key(self) -> bytes:
        return base64.b64decode(self.aes_key + "=")

    def open(self, seal: Seal, body: bytes) -> str:
        """The decrypted inner XML of a POST. Raises ``BadEnvelope``."""
        sealed = xml.read(body).get("Encrypt")
        if not isinstance(sealed, str):
            raise BadEnvelope("no Encrypt element")
        return self.unseal(seal, sealed)

    def unseal(self, seal: Seal, sealed: str) -> str:
        """The text inside ``sealed`` (base64), as in the URL check's ``echostr``. Raises ``BadEnvelope``."""
        self._check_signature(seal, sealed)
        plain = self._decrypt(sealed)
        message, receiver = _split(plain)
        if not hmac.compare_digest(receiver, self.receive_id.encode()):
            raise BadEnvelope("sealed for another receiver")
        try:
            return message.decode()
        except UnicodeDecodeError:
            raise BadEnvelope("not UTF-8") from None

    def _check_signature(self, seal: Seal, sealed: str) -> None:
        signer = WeChatSigner()
        signer.add_data(self.token, seal.timestamp, seal.nonce, sealed)
        if not hmac.compare_digest(signer.signature.encode(), seal.signature.encode()):
            raise BadEnvelope("signature does not match")

    def _decrypt(self, sealed: str) -> bytes:
        try:
            cipher_text = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise BadEnvelope("not base64") from None
        if not cipher_text or len(cipher_text) % 16:
            raise BadEnvelope("not whole blocks")
        return bytes(WeChatCipher(self._key, self._key[:16]).decrypt(cipher_text))


def _split(plain: bytes) -> tuple[bytes, bytes]:
    """Message and receive id out of 16 random bytes + length + message + receive id + padding."""
    pad = plain[-1]
    if not 1 <= pad <= BLOCK or plain[-pad:] != bytes([pad]) * pad:
        raise BadEnvelope("bad padding")
    content = plain[16:-pad]
    if len(content) < 4:
        raise BadEnvelope("too short")
    (length,) = struct.unpack(">I", content[:4])
    if length > len(content) - 4:
        raise BadEnvelope("length beyond the end")
    return content[4 : 4 + length], content[4 + length :]

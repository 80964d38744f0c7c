"""WeCom's sealed envelope for callbacks, made from its description: AES-256-CBC, a signature, an outer XML.

The product has its own reading of the same rules; the two are written apart so that they check each other.
"""

import base64
import hashlib
import os
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 32


class BadEnvelope(ValueError):
    """The bytes are not what this key and receiver would have sealed."""


class Envelope:
    """Seals and opens with one app's token and key, for one receiver id."""

    def __init__(self, token: str, encoding_aes_key: str, receive_id: str) -> None:
        self._token = token
        self._key = base64.b64decode(encoding_aes_key + "=")
        if len(self._key) != BLOCK:
            raise ValueError("an EncodingAESKey is 43 letters and digits")
        self._receive_id = receive_id.encode()

    def encrypt(self, message: str, random16: bytes | None = None) -> str:
        """Seal a message; the 16 random bytes can be given for a known answer."""
        body = message.encode()
        plain = (random16 or os.urandom(16)) + struct.pack(">I", len(body)) + body + self._receive_id
        encryptor = self._cipher().encryptor()
        return base64.b64encode(encryptor.update(padded(plain)) + encryptor.finalize()).decode()

    def decrypt(self, encrypt: str) -> str:
        """Open what was sealed for this receiver."""
        decryptor = self._cipher().decryptor()
        plain = unpadded(decryptor.update(base64.b64decode(encrypt)) + decryptor.finalize())
        (length,) = struct.unpack(">I", plain[16:20])
        if plain[20 + length :] != self._receive_id:
            raise BadEnvelope("sealed for another receiver")
        return plain[20 : 20 + length].decode()

    def sign(self, timestamp: str, nonce: str, encrypt: str) -> str:
        """The signature over token, timestamp, nonce and ciphertext."""
        parts = sorted(part.encode() for part in (self._token, timestamp, nonce, encrypt))
        return hashlib.sha1(b"".join(parts), usedforsecurity=False).hexdigest()

    def _cipher(self) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self._key), modes.CBC(self._key[:16]))


def padded(plain: bytes) -> bytes:
    """PKCS#7 to a multiple of 32; a whole block more when already aligned."""
    count = BLOCK - len(plain) % BLOCK
    return plain + bytes([count]) * count


def unpadded(plain: bytes) -> bytes:
    """Without the padding, which must be sound."""
    count = plain[-1] if plain else 0
    if not 1 <= count <= BLOCK:
        raise BadEnvelope("the padding is broken")
    return plain[:-count]


def outer_xml(corp_id: str, agent_id: int | None, encrypt: str) -> bytes:
    """The body WeCom posts."""
    agent = "" if agent_id is None else str(agent_id)
    return (
        f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName>"
        f"<Encrypt><![CDATA[{encrypt}]]></Encrypt>"
        f"<AgentID><![CDATA[{agent}]]></AgentID></xml>"
    ).encode()

"""What WeCom hands out and takes back: access tokens, jsapi tickets, sign-in codes, page cursors.

Each has a life, and a way to die early.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.errors import Refusal
from sandbox.knobs import Limits

NewId = Callable[[str, int], str]
TOKEN_LENGTH = 214


@dataclass(slots=True)
class Token:
    """One access token."""

    value: str
    agent_id: int
    expires_at: float
    killed: bool = False


class Tokens:
    """One access token for each app, the same within its validity."""

    def __init__(self, clock: Clock, limits: Limits, new_id: NewId) -> None:
        self._clock, self._limits, self._new_id = clock, limits, new_id
        self._current: dict[int, Token] = {}
        self._known: dict[str, Token] = {}
        self.issued = 0

    def ask(self, agent_id: int) -> Token:
        """The app's token: the old one while it is good."""
        token = self._current.get(agent_id)
        if token is None or token.killed or token.expires_at <= self._clock.now():
            token = self._issue(agent_id)
        return token

    def agent_of(self, value: str) -> int:
        """Whose token this is, or a refusal saying why it is none."""
        if not value:
            raise Refusal(41001)
        token = self._known.get(value)
        if token is None or token.killed:
            raise Refusal(40014)
        if token.expires_at <= self._clock.now():
            raise Refusal(42001)
        return token.agent_id

    def seconds_left(self, token: Token) -> int:
        """How long a token will still be good."""
        return int(token.expires_at - self._clock.now())

    def kill(self, agent_id: int | None = None) -> None:
        """End the token of an app (of all apps) before its time."""
        for token in self._current.values():
            if agent_id in (None, token.agent_id):
                token.killed = True

    def _issue(self, agent_id: int) -> Token:
        expires_at = self._clock.now() + self._limits.token_seconds
        token = Token(self._new_id("", TOKEN_LENGTH), agent_id, expires_at)
        self._current[agent_id] = self._known[token.value] = token
        self.issued += 1
        return token


class Tickets:
    """jsapi tickets: one for the corp ("jsapi"), one for each app ("agent_config")."""

    def __init__(self, clock: Clock, limits: Limits, new_id: NewId) -> None:
        self._clock, self._limits, self._new_id = clock, limits, new_id
        self._tickets: dict[tuple[str, int], tuple[str, float]] = {}

    def ask(self, kind: str, agent_id: int) -> tuple[str, int]:
        """The ticket and the seconds it has left."""
        key = (kind, agent_id if kind == "agent_config" else 0)
        value, expires_at = self._tickets.get(key, ("", 0.0))
        if expires_at <= self._clock.now():
            value, expires_at = self._new_id("", 86), self._clock.now() + self._limits.ticket_seconds
            self._tickets[key] = (value, expires_at)
        return value, int(expires_at - self._clock.now())


def js_signature(ticket: str, noncestr: str, timestamp: str | int, url: str) -> str:
    """The signature `wx.config` and `wx.agentConfig` expect for a page."""
    page = url.split("#", 1)[0]
    text = f"jsapi_ticket={ticket}&noncestr={noncestr}&timestamp={timestamp}&url={page}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class SignInCode:
    """Whom a code stands for, and until when."""

    person: str
    """A userid, or the external_userid of a customer."""
    is_member: bool
    scope: str
    expires_at: float
    used: bool = False


class SignIn:
    """OAuth codes (5 minutes, once) and the user tickets they lead to."""

    def __init__(self, clock: Clock, limits: Limits, new_id: NewId) -> None:
        self._clock, self._limits, self._new_id = clock, limits, new_id
        self._codes: dict[str, SignInCode] = {}
        self._tickets: dict[str, tuple[str, float]] = {}

    def give_code(self, person: str, is_member: bool = True, scope: str = "snsapi_base") -> str:
        """A new code for a person."""
        code = self._new_id("", 43)
        expires_at = self._clock.now() + self._limits.oauth_code_seconds
        self._codes[code] = SignInCode(person, is_member, scope, expires_at)
        return code

    def redeem(self, code: str) -> SignInCode:
        """Use a code, or be refused: 40029 unknown, 42022 used, 42003 too late."""
        found = self._codes.get(code)
        if found is None:
            raise Refusal(40029)
        if found.used:
            raise Refusal(42022)
        if found.expires_at <= self._clock.now():
            raise Refusal(42003)
        found.used = True
        return found

    def give_ticket(self, userid: str) -> str:
        """A user ticket, for the details he consented to show."""
        ticket = self._new_id("", 64)
        self._tickets[ticket] = (userid, self._clock.now() + self._limits.user_ticket_seconds)
        return ticket

    def person_of_ticket(self, ticket: str) -> str:
        """Whose user ticket this is."""
        userid, expires_at = self._tickets.get(ticket, ("", 0.0))
        if not userid:
            raise Refusal(84015)
        if expires_at <= self._clock.now():
            raise Refusal(84014)
        return userid


class Cursors:
    """Page marks nobody can read or make: signed, for one endpoint, dying after ten minutes (or lasting, if asked)."""

    def __init__(self, clock: Clock, limits: Limits, secret: str) -> None:
        self._clock, self._limits, self._secret = clock, limits, secret.encode()

    def make(self, path: str, place: Any, *, lasting: bool = False) -> str:
        """A mark for a place, good at this endpoint."""
        expires_at = None if lasting else self._clock.now() + self._limits.cursor_seconds
        payload = json.dumps([place, expires_at], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._seal(path, payload) + payload).decode().rstrip("=")

    def read(self, path: str, cursor: str) -> Any:
        """The place a cursor marks, or 50100."""
        try:
            sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError as error:
            raise Refusal(50100) from error
        seal, payload = sealed[:12], sealed[12:]
        if not hmac.compare_digest(seal, self._seal(path, payload)):
            raise Refusal(50100)
        place, expires_at = json.loads(payload)
        if expires_at is not None and expires_at <= self._clock.now():
            raise Refusal(50100)
        return place

    def _seal(self, path: str, payload: bytes) -> bytes:
        return hmac.new(self._secret + path.encode(), payload, hashlib.sha256).digest()[:12]

"""One API call, read strictly: what came in, and the little language endpoints read it with.

A missing field is refused with the code the endpoint names, a field of the wrong kind with 40058, a text that is too
long with the code of its limit. Lengths are in UTF-8 bytes unless the endpoint says characters.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sandbox.errors import Refusal
from sandbox.facts import App, Json
from sandbox.world import World

Default = TypeVar("Default")


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived, whichever way: over HTTP or in process."""

    verb: str
    path: str
    """Without /cgi-bin/."""
    query: Mapping[str, str]
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    ip: str = "127.0.0.1"

    def header(self, name: str) -> str:
        """A header by name, in any case; empty where there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), "")


@dataclass(frozen=True, slots=True)
class Binary:
    """An answer that is not JSON."""

    data: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(slots=True)
class Call:
    """A request that has passed the gate: whose app it is, and its fields."""

    world: World
    request: Request
    app: App | None
    body: Json = field(default_factory=dict)

    @property
    def agent_id(self) -> int:
        """The agentid of the app that calls."""
        return self.caller.agent_id

    @property
    def caller(self) -> App:
        """The app that calls."""
        if self.app is None:
            raise Refusal(41001)
        return self.app

    def asked(self, name: str, missing: int = 40058) -> str:
        """A query parameter that must be there."""
        value = self.request.query.get(name, "")
        if not value:
            raise Refusal(missing)
        return value

    def option(self, name: str, default: str = "") -> str:
        """A query parameter that may be there."""
        return self.request.query.get(name, default)

    def has(self, name: str) -> bool:
        """Whether the body says anything here."""
        return self.body.get(name) is not None

    def text(
        self,
        name: str,
        default: str | None = None,
        *,
        missing: int = 40058,
        chars: int = 0,
        size: int = 0,
        too_long: int = 40058,
    ) -> str:
        """A string: there, or its default, or refused; not too long in characters or bytes."""
        value = self.body.get(name)
        if value is None or (value == "" and default is None):
            return given(default, missing)
        if not isinstance(value, str):
            raise Refusal(40058, f"{name} must be a string")
        return bounded(value, chars, size, too_long)

    def number(
        self, name: str, default: int | None = None, *, missing: int = 40058, low: int = 0, high: int = 2**32 - 1
    ) -> int:
        """A whole number within its range."""
        value = self.body.get(name)
        if value is None:
            return given(default, missing)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Refusal(40058, f"{name} is out of range")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A yes or no, which may come as 1 or 0."""
        value = self.body.get(name)
        if value is None:
            return default
        if not isinstance(value, bool) and value not in (0, 1):
            raise Refusal(40058, f"{name} must be true or false")
        return bool(value)

    def texts(self, name: str, *, most: int = 0, missing: int | None = None, too_many: int = 40058) -> list[str]:
        """A list of strings; empty when it is not there, unless that is refused."""
        value = self.body.get(name)
        if not value:
            return given([] if missing is None else None, missing or 40058)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise Refusal(40058, f"{name} must be a list of strings")
        if most and len(value) > most:
            raise Refusal(too_many)
        return value

    def part(self, name: str) -> Json:
        """An object inside the body; empty when it is not there."""
        value = self.body.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Refusal(40058, f"{name} must be an object")
        return value

    def page(self, place: Any = None) -> Any:
        """Where the cursor points, or the place to begin at."""
        cursor = self.text("cursor", "")
        return self.world.cursors.read(self.request.path, cursor) if cursor else place

    def page_size(self, limit: int) -> int:
        """How many this page holds: sometimes fewer than asked, sometimes none, with more to come."""
        world = self.world
        if world.happens(world.faults.empty_page):
            return 0
        return world.rng.randint(1, limit) if world.happens(world.faults.short_page) else limit

    def next_page(self, place: Any) -> str:
        """A cursor for the place to go on from."""
        return self.world.cursors.make(self.request.path, place)


def given(default: Default | None, missing: int) -> Default:
    """What stands in for a field that is not there; without that, a refusal."""
    if default is None:
        raise Refusal(missing)
    return default


def bounded(text: str, chars: int = 0, size: int = 0, too_long: int = 40058) -> str:
    """The text, unless it has too many characters or bytes."""
    if (chars and len(text) > chars) or (size and len(text.encode()) > size):
        raise Refusal(too_long)
    return text


def read_json(body: bytes) -> Json:
    """The body as an object; what is no JSON, and no object, is 40058."""
    try:
        found = json.loads(body) if body else {}
    except ValueError as error:
        raise Refusal(40058, "Warning: wrong json format") from error
    if not isinstance(found, dict):
        raise Refusal(40058, "Warning: wrong json format")
    return found

"""Plays customers and reps in the sandbox, and reads our own books to tell what came of it.

For the demo it goes on for ever in an unhurried rhythm; for the story it plays a fixed list. It acts only as people
act: over the sandbox's address, never in our database.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests

SURNAMES = "林陈周吴许何沈叶宋唐韩冯"
GIVEN = (
    "小雨",
    "阿哲",
    "晨晨",
    "一一",
    "可可",
    "老师",
    "大鹏",
    "Momo",
    "乐乐",
    "思远",
    "念念",
    "阿May",
    "小满",
    "知夏",
)
PATIENCE = 10.0


@dataclass
class Sandbox:
    """The sandbox at an address, acted on as by a person."""

    address: str

    def __post_init__(self) -> None:
        self._http = requests.Session()

    def act(self, act: str, /, **body: Any) -> Any:
        """Do one thing in the sandbox; what it answers."""
        answer = self._http.post(f"{self.address}/sandbox/{act}", json=body, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def view(self, view: str, /, **query: Any) -> Any:
        """Look at the sandbox."""
        answer = self._http.get(f"{self.address}/sandbox/{view}", params=query, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()


def names(chance: random.Random) -> Iterator[str]:
    """Believable customers, without end."""
    while True:
        given = chance.choice(GIVEN)
        yield given if chance.random() < 0.4 else chance.choice(SURNAMES) + given


def scan(sandbox: Sandbox, code: str, name: str, **more: Any) -> dict[str, Any]:
    """A customer scans a channel code; the arrival as the sandbox tells it."""
    arrival: dict[str, Any] = sandbox.act("scan", config_id=code, name=name, **more)
    return arrival

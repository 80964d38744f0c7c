"""What a page in the chat's toolbar needs to speak with the client: two tickets, two signatures (wecom.md §4.5).

``wx.config`` is signed with the corp's ticket, ``wx.agentConfig`` with the app's; mixing them up gives 42012 or 40093.
The signature is over the page's full address without what comes behind the ``#``. Part of the gateway:
``Gateway.js``. Neither ticket ever goes to a browser.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from wecom.line import Line

TicketKind = Literal["jsapi", "agent_config"]
CALLS: dict[TicketKind, tuple[str, dict[str, str]]] = {
    "jsapi": ("get_jsapi_ticket", {}),
    "agent_config": ("ticket/get", {"type": "agent_config"}),
}
"""How a ticket of each kind is asked for."""
NONCE_BYTES = 12


def signature(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """The signature of a page; ``timestamp`` in seconds."""
    page = url.split("#", 1)[0]
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class PageKeys:
    """Everything that a page hands to ``wx.config`` and ``wx.agentConfig``."""

    config: dict[str, Any]
    agent_config: dict[str, Any]


class JsSdk:
    """Signs pages of ours, with the tickets of one app."""

    def __init__(self, line: Line, agent_id: int) -> None:
        self._line, self._agent_id = line, agent_id

    def keys_for(self, url: str, apis: Sequence[str], now: datetime, nonce: str = "") -> PageKeys:
        """Sign the page at this address for these functions. Raises ``TryLater`` and ``Refused``."""
        nonce, timestamp = nonce or secrets.token_hex(NONCE_BYTES), int(now.timestamp())

        def signed(kind: TicketKind) -> dict[str, Any]:
            seal = signature(self.ticket(kind), nonce, timestamp, url)
            return {"timestamp": timestamp, "nonceStr": nonce, "signature": seal, "jsApiList": list(apis)}

        corp_id = self._line.corp_id
        return PageKeys(
            {"beta": True, "appId": corp_id, **signed("jsapi")},
            {"corpid": corp_id, "agentid": self._agent_id, **signed("agent_config")},
        )

    def ticket(self, kind: TicketKind, stale: str | None = None) -> str:
        """The living ticket of this kind, shared like a token; asked for where there is none but the ``stale`` one."""
        api, params = CALLS[kind]
        return self._line.ticket(kind, api, params, stale)

    def renew(self, url: str, keys: PageKeys) -> None:
        """Fetch the tickets anew that these keys were made with: the client has refused them (42012, 40093).

        Who reports the same keys twice makes us ask once only: by then the tickets are others.
        """
        self._renew("jsapi", url, keys.config)
        self._renew("agent_config", url, keys.agent_config)

    def _renew(self, kind: TicketKind, url: str, keys: dict[str, Any]) -> None:
        ticket = self.ticket(kind)
        if signature(ticket, keys["nonceStr"], keys["timestamp"], url) == keys["signature"]:
            self.ticket(kind, stale=ticket)

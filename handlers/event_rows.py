"""What people did elsewhere, out of a file: each told once, by its id."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from handlers.customer_rows import YES
from people import behaviour
from people.behaviour import GivenEvent
from people.orders import Bad

COLUMNS = ("source", "event_id", "kind", "at", "identity_type", "identity_value", "identity_verified", "details")
NEEDED = ("source", "event_id", "kind", "at", "identity_type", "identity_value")


def who_of(cells: Mapping[str, str]) -> dict[str, Any] | None:
    """The identity of a row, as the API takes it. Raises ``Bad``."""
    if not cells.get("identity_value"):
        return None
    told: dict[str, Any] = {"type": cells.get("identity_type", ""), "value": cells["identity_value"]}
    if said := cells.get("identity_verified", "").strip().lower():
        if said not in YES:
            raise Bad("identity_verified: true or false")
        told["verified"] = YES[said]
    return told


def read_event(cells: Mapping[str, str], now: datetime, zone: ZoneInfo) -> GivenEvent:
    """A row's event; ``details`` is a JSON object. Raises ``Bad``."""
    told: dict[str, Any] = {name: cells.get(name, "") for name in ("source", "event_id", "kind", "at")}
    if text := cells.get("details", "").strip():
        try:
            told["details"] = json.loads(text)
        except ValueError:
            raise Bad("details: a JSON object") from None
    return behaviour.read_event({**told, "identity": who_of(cells)}, now, zone)

"""What people did elsewhere (a review, a visit to the shop's app), as other systems tell it: checked, told once.

A line of the story says it; what it earns is the shop's rules (``loyalty.programme``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from people import orders
from people.orders import Bad, Who
from storage.tables.orders import reference

FIELDS = frozenset({"source", "event_id", "kind", "at", "identity", "details"})
KIND = re.compile(r"^[a-z][a-z0-9_.-]{0,39}$")
MOST_DETAILS = 20
LONGEST = 500


@dataclass(frozen=True)
class GivenEvent:
    """Something a person did, checked."""

    source: str
    event_id: str
    kind: str
    at: datetime
    who: Who
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def once(self) -> str:
        """Why there can be only one."""
        return reference("did", self.source, self.event_id)


def read_event(told: Any, now: datetime, zone: ZoneInfo) -> GivenEvent:
    """An event out of JSON. Raises ``Bad``."""
    orders.only(told, FIELDS, "event")
    source, event_id = orders.named(told, "event_id", "did")
    kind = told.get("kind")
    if not isinstance(kind, str) or not KIND.match(kind):
        raise Bad("kind: a word of small letters, such as review")
    who = orders.who(told.get("identity"))
    if who is None:
        raise Bad("identity: missing")
    return GivenEvent(source, event_id, kind, orders.moment(told, "at", now, zone), who, _details(told.get("details")))


def _details(told: Any) -> dict[str, Any]:
    """A flat object of short texts, numbers and truths."""
    if told is None:
        return {}
    if not isinstance(told, Mapping) or len(told) > MOST_DETAILS:
        raise Bad(f"details: an object of at most {MOST_DETAILS} values")
    for name, value in told.items():
        if not isinstance(value, str | int | float | bool) or len(str(value)) > LONGEST or len(str(name)) > 40:
            raise Bad(f"details.{str(name)[:40]}: a short text, a number, true or false")
    return dict(told)

"""Reads one element of a kf message list: who, when, what kind of thing, and what it carries under plain names.

WeCom's words are in kf reference §6.2. What nobody knows is kept raw; what no database would take (NUL, halves of
surrogate pairs, numbers that are none, endless nesting) is made fit to be kept. Values in, values out; never raises.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from wecom.answers import number, part, text

CUSTOMER, SYSTEM, SERVICER = 3, 4, 5
"""Where an element comes from."""
FILES = ("image", "voice", "video", "file")
KNOWN = frozenset(
    {
        "text",
        *FILES,
        *("location", "link", "business_card", "miniprogram", "msgmenu", "channels_shop_product"),
        *("channels_shop_order", "merged_msg", "channels", "meeting", "schedule", "note"),
    }
)
EVENTS = frozenset(
    {
        "enter_session",
        "msg_send_fail",
        "servicer_status_change",
        "session_status_change",
        "user_recall_msg",
        "servicer_recall_msg",
        "reject_customer_msg_switch_change",
    }
)
PLAIN: Mapping[str, str] = {
    "content": "text",
    "desc": "description",
    "pic_url": "picture",
    "head_img": "picture",
    "image_url": "picture",
    "thumb_media_id": "picture_media_id",
    "pagepath": "page",
    "head_content": "head",
    "tail_content": "tail",
    "list": "entries",
    "item": "items",
    "sales_price": "price",
    "price_wording": "price",
    "product_titles": "title",
    "shop_nickname": "shop",
    "shop_head_img": "shop_picture",
    "msg_content": "content",
    "sender_name": "sender",
    "msgtype": "type",
    "old_servicer_userid": "from",
    "new_servicer_userid": "to",
    "servicer_userid": "servicer",
    "recall_msgid": "concerns",
    "fail_msgid": "concerns",
    "reject_switch": "rejects",
}
"""WeCom's names for what a customer would call otherwise."""
SAID_ELSEWHERE = frozenset({"event_type", "open_kfid", "external_userid", "welcome_code", "msg_code"})
"""Of an event: known from the line itself, or a secret of twenty seconds."""
MAX_ID, MAX_DEPTH = 64, 12
UNFIT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Item:
    """One element: a message of the customer or a servicer, or an event."""

    msgid: str
    type: str
    """The msgtype, or of an event its event_type."""
    origin: int
    is_event: bool
    at: datetime
    external_userid: str
    """Empty where it concerns no customer (or one whose id no column takes)."""
    servicer: str
    payload: dict[str, Any] = field(repr=False)
    raw: dict[str, Any] = field(repr=False)

    @property
    def text(self) -> str:
        """The words of a text message."""
        return text(self.payload, "content") if self.type == "text" and not self.is_event else ""

    @property
    def menu_id(self) -> str:
        """Which entry of a menu was clicked."""
        return text(self.payload, "menu_id") if self.type == "text" and not self.is_event else ""

    @property
    def media_id(self) -> str | None:
        """The file that came along, if it is one."""
        return text(self.payload, "media_id") if self.type in FILES and not self.is_event else None

    def details(self) -> dict[str, Any]:
        """What the line of the story keeps: plain names for what we know, everything as it came for the rest."""
        if self.type not in (EVENTS if self.is_event else KNOWN):
            return {"type": self.type, "raw": self.raw}
        own = {name: value for name, value in self.payload.items() if name not in SAID_ELSEWHERE}
        return {**plain(own), "type": self.type}


def read_item(given: Mapping[str, Any], now: datetime) -> Item:
    """Make sense of an element, whatever it is."""
    raw = fit(dict(given))
    kind = text(raw, "msgtype") or "unknown"
    is_event = kind == "event"
    payload = part(raw, kind)
    whose = payload if is_event and text(payload, "external_userid") else raw
    external = text(whose, "external_userid")
    return Item(
        msgid=text(raw, "msgid") or _digest(raw),
        type=(text(payload, "event_type") or "unknown" if is_event else kind)[:60],
        origin=number(raw, "origin") or 0,
        is_event=is_event,
        at=_moment(raw, now),
        external_userid=external if len(external) <= MAX_ID else "",
        servicer=text(payload if is_event else raw, "servicer_userid")[:MAX_ID],
        payload=payload,
        raw=raw,
    )


def _digest(raw: Mapping[str, Any]) -> str:
    """A name for what has none: the same element read again has the same."""
    return "no-msgid-" + hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:40]


def _moment(raw: Mapping[str, Any], now: datetime) -> datetime:
    """When it was sent (whole seconds); what is no time, or lies in the future, counts as now."""
    seconds = number(dict(raw), "send_time") or 0
    if not 0 < seconds < (now + timedelta(minutes=5)).timestamp():
        return now
    return datetime.fromtimestamp(seconds, UTC)


def fit(value: Any, depth: int = 0) -> Any:
    """The same, fit for every database and every page."""
    if isinstance(value, str):
        return UNFIT.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {fit(str(name)): fit(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list):
        return [fit(one, depth + 1) for one in value]
    return value


def plain(value: Any) -> Any:
    """The same under plain names, all the way down."""
    if isinstance(value, dict):
        return {PLAIN.get(name, name): plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value

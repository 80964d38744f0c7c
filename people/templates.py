"""Orders in another system's own words, and which of its words are ours: set up once for each door (设置 → 外部系统).

A template says of each of our fields where it stands in what they send (``data.items[0].id``), or what it always is
(``=pos-01``). Nothing is computed and nothing guessed: what a path does not lead to is missing.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from people import orders
from people.orders import Bad, GivenOrder, GivenRefund

PATH = re.compile(r"^[^.\[\]=\s][^.\[\]]{0,59}(\[\d{1,3}\])*(\.[^.\[\]]{1,60}(\[\d{1,3}\])*){0,9}$")
STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
FIXED = "="
MOST = 1000
"""Orders in one message."""
MILLISECONDS_FROM = 10**11
"""A number of seconds is below that until the year 5138."""
NEEDED = ("source", "order_no", "paid_at", "amount")
OF_LINES = ("line_sku", "line_name", "line_category", "line_quantity", "line_amount")
FIELDS: Sequence[str] = (
    "list", *NEEDED, "unit", "identity_type", "identity_value", "store", "staff", "kind", "refund_when", "refund_no",
    "lines", *OF_LINES,
)  # fmt: skip
"""``list``: where the orders are, if a message holds several. ``unit``: ``=fen``, else yuan. An order whose ``kind`` is
what ``refund_when`` says is a refund."""
LONGEST = 200


class BadTemplate(ValueError):
    """Why a template cannot be: sentences by field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("；".join(f"{name}：{words}" for name, words in problems.items()))
        self.problems = dict(problems)


def checked(template: Mapping[str, str]) -> dict[str, str]:
    """A template without what is empty. Raises ``BadTemplate``."""
    found = {name: text.strip() for name, text in template.items() if text.strip()}
    problems = {name: "没有这个字段" for name in found if name not in FIELDS}
    problems |= {name: "请填写：没有它就不是一笔订单" for name in NEEDED if name not in found}
    problems |= {
        name: "写成 data.items[0].id 这样，或以 = 开头写固定值" for name, text in found.items() if not _is(text)
    }
    if ("identity_type" in found) != ("identity_value" in found):
        problems["identity_type"] = "类型和值要一起填"
    if ("kind" in found) != ("refund_when" in found):
        problems["refund_when"] = "要写明什么时候是退款（例如 =REFUNDED），以及在哪个字段里"
    if found.get("unit", "=yuan") not in ("=yuan", "=fen"):
        problems["unit"] = "写 =yuan 或 =fen"
    if problems:
        raise BadTemplate(problems)
    return found


def _is(text: str) -> bool:
    return len(text) <= LONGEST and (text.startswith(FIXED) or PATH.match(text) is not None)


def parsed(text: bytes) -> Any:
    """JSON with exact numbers. Raises ``ValueError``."""
    return json.loads(text.decode("utf-8"), parse_float=Decimal, parse_constant=_no_number)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


@dataclass
class Read:
    """What a message holds, by places in it."""

    orders: dict[int, GivenOrder] = field(default_factory=dict)
    refunds: dict[int, GivenRefund] = field(default_factory=dict)
    rejected: dict[int, str] = field(default_factory=dict)


def read(template: Mapping[str, str], told: Any, now: datetime, zone: ZoneInfo) -> Read:
    """The orders and refunds of a message. Raises ``Bad`` where there is no list of them."""
    found = Read()
    for number, one in enumerate(_several(template, told)):
        try:
            given = _one(template, one, now, zone)
        except Bad as error:
            found.rejected[number] = str(error)
            continue
        if isinstance(given, GivenOrder):
            found.orders[number] = given
        else:
            found.refunds[number] = given
    return found


def _several(template: Mapping[str, str], told: Any) -> Sequence[Any]:
    if "list" not in template:
        return told if isinstance(told, list) and told else [told]
    some = at(told, template["list"])
    if not isinstance(some, list) or not 0 < len(some) <= MOST:
        raise Bad(f"list: {template['list']} leads to no list of 1 to {MOST} orders")
    return some


def _one(template: Mapping[str, str], one: Any, now: datetime, zone: ZoneInfo) -> GivenOrder | GivenRefund:
    def text(name: str) -> str:
        return _text(at(one, template[name])) if name in template else ""

    who = {"type": text("identity_type"), "value": text("identity_value")}
    told: dict[str, Any] = {"source": text("source"), "order_no": text("order_no")}
    told |= {"amount": _amount(template, at(one, template["amount"]))}
    told |= {"identity": who} if who["value"] else {}
    when = _moment(at(one, template["paid_at"]))
    if "kind" in template and text("kind") == text("refund_when"):
        number = text("refund_no") or f"{told['order_no']}@{when[:16]}"
        told |= {"amount": told["amount"].removeprefix("-"), "order_no": told["order_no"] or None}
        return orders.read_refund({**told, "refund_no": number, "refunded_at": when}, now, zone)
    told |= {"store": text("store"), "staff": text("staff"), "lines": list(_lines(template, one))}
    return orders.read_order({**told, "paid_at": when}, now, zone)


def _lines(template: Mapping[str, str], one: Any) -> Iterator[dict[str, Any]]:
    some = at(one, template["lines"]) if "lines" in template else None
    for line in some if isinstance(some, list) else ():
        told = {name.removeprefix("line_"): at(line, template[name]) for name in OF_LINES if name in template}
        given: dict[str, Any] = {name: _text(value) for name, value in told.items() if value is not None}
        if "amount" in given:
            given["amount"] = _amount(template, told["amount"])
        yield given


def at(told: Any, path: str) -> Any:
    """What a path leads to; None where it leads nowhere. ``=text`` is that text."""
    if path.startswith(FIXED):
        return path[1:]
    for name, number in STEP.findall(path):
        if number:
            told = told[int(number)] if isinstance(told, list) and int(number) < len(told) else None
        else:
            told = told.get(name) if isinstance(told, dict) else None
    return told


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value.strip() if isinstance(value, str) else str(value) if isinstance(value, int | Decimal) else ""


def _amount(template: Mapping[str, str], value: Any) -> str:
    """Yuan as text; of fen, a whole number of them. Raises ``Bad``."""
    text = _text(value)
    if template.get("unit") != "=fen":
        return text
    if not re.match(r"^-?\d{1,10}$", text):
        raise Bad(f"amount: {text[:20]!r} is not a whole number of fen")
    return ("-" if text.startswith("-") else "") + orders.yuan(abs(int(text)))


def _moment(value: Any) -> str:
    """A time as ISO 8601: what is a number counts seconds or milliseconds since 1970."""
    text = _text(value)
    if not re.match(r"^\d{9,13}$", text):
        return text
    number = int(text)
    seconds = number / 1000 if number >= MILLISECONDS_FROM else number
    return datetime.fromtimestamp(seconds, UTC).isoformat()


EXAMPLE: Mapping[str, str] = MappingProxyType(
    {
        "list": "orders",
        "source": "=shop-01",
        "order_no": "id",
        "paid_at": "pay_time",
        "amount": "total",
        "unit": "=fen",
        "identity_type": "=shop-01:buyer",
        "identity_value": "buyer.id",
        "kind": "status",
        "refund_when": "=REFUNDED",
        "lines": "items",
        "line_sku": "sku",
        "line_name": "title",
        "line_quantity": "count",
        "line_amount": "price",
    }
)
"""One that reads ``{"orders": [{"id": …, "pay_time": …, "total": 19990, "buyer": {"id": …}, "items": […]}]}``."""

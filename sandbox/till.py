"""The shop's till (收银台): sells, takes things back, takes points, and tells the product over its open API.

It is any shop's till, not WeCom's: it knows a customer by what they show at the counter (their code, or a phone), and
tells a sale again when it is not sure that it was heard.
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import requests

from sandbox.facts import Json

if TYPE_CHECKING:
    from sandbox.world import World

SOURCE = "till-01"
PATIENCE = 10.0
ITEMS: dict[str, tuple[str, int]] = {
    "美式": ("咖啡", 1800),
    "拿铁": ("咖啡", 2800),
    "手冲": ("咖啡", 3800),
    "豆子 250 g": ("豆子", 8800),
    "挂耳一盒": ("豆子", 5900),
    "马克杯": ("周边", 7900),
}
"""What the shop sells: category and price in fen."""


@dataclass
class Receipt:
    """One sale, as the till printed it. Money in fen."""

    number: str
    at: float
    customer: str
    """external_userid or phone; empty: somebody who showed nothing."""
    lines: list[tuple[str, int]]
    """Name and pieces."""
    amount: int
    refunded: int = 0
    refunds: int = 0
    points: int = 0
    """Spent on it."""
    told: str = ""
    """What the product answered last."""


@dataclass
class Till:
    """A counter with a key to the product's API."""

    world: "World"
    address: str = ""
    key: str = ""
    receipts: list[Receipt] = field(default_factory=list)

    def connect(self, address: str, key: str) -> None:
        """Tell the product at this address from now on."""
        self.address, self.key = address.rstrip("/"), key

    def sell(
        self, items: Json, customer: str = "", staff: str = "", days_ago: float = 0.0, times: int = 1, points: int = 0
    ) -> Receipt:
        """Sell so many pieces of each item, perhaps partly for points, and tell it (``times`` over, as tills do).

        Raises ``KeyError`` for what the shop does not sell.
        """
        lines = [(name, int(pieces)) for name, pieces in items.items() if int(pieces) > 0]
        amount = sum(ITEMS[name][1] * pieces for name, pieces in lines)
        if not lines:
            raise ValueError("nothing is on the counter")
        at = self.world.clock.now() - days_ago * 86_400
        receipt = Receipt(f"T{len(self.receipts) + 1:05d}", at, customer, lines, amount)
        with self.world.lock:
            self.receipts.append(receipt)
        order = self._order(receipt, staff)
        for _ in range(times):
            receipt.told = self._tell("orders", {"orders": [order]})
        if points:
            self.redeem(customer, points, receipt.number)
        return receipt

    def refund(self, number: str, amount: int = 0) -> Receipt:
        """Give money back, all that is left or so many fen. Raises ``KeyError`` and ``ValueError``."""
        receipt = self._receipt(number)
        back = amount or receipt.amount - receipt.refunded
        if not 0 < back <= receipt.amount - receipt.refunded:
            raise ValueError(f"{number} has no more to give back")
        receipt.refunded, receipt.refunds = receipt.refunded + back, receipt.refunds + 1
        refund = {"source": SOURCE, "refund_no": f"{number}-R{receipt.refunds}", "order_no": number,
                  "refunded_at": _iso(self.world.clock.now()), "amount": _yuan(back)}  # fmt: skip
        receipt.told = self._tell("refunds", {"refunds": [refund]})
        return receipt

    def redeem(self, customer: str, points: int, number: str = "") -> str:
        """Take points, perhaps for a sale; what the product said."""
        body: Json = {"customer_id": customer, "points": points, "reason": f"收银台 {number}".strip()}
        if number:
            body["order"] = {"source": SOURCE, "order_no": number}
        told = self._tell("points/redemptions", body)
        if number:
            receipt = self._receipt(number)
            receipt.told, receipt.points = told, receipt.points + (points if told == "ok" else 0)
        return told

    def confirm(self, code: str) -> Json:
        """Read the six digits off a customer's phone: who it is, as the till knows customers, or why not."""
        answer = self._ask("POST", "points/confirmations", {"code": code})
        told = answer.json() if answer is not None and "json" in answer.headers.get("Content-Type", "") else {}
        if answer is None or not answer.ok:
            return {"told": str(told.get("detail") or told.get("title") or "no answer"), "customer": ""}
        who = self._ask("GET", f"customers/{told['customer_id']}")
        known = who.json() if who is not None and who.ok else {}
        return {"told": "ok", "customer": known.get("external_userid") or told["customer_id"], **told}

    def points_of(self, customer: str) -> Json:
        """What the product says this customer has."""
        answer = self._ask("GET", f"customers/{customer}/points")
        return answer.json() if answer is not None and answer.ok else {}

    def latest(self, limit: int) -> list[Json]:
        """The last receipts, the newest first."""
        return [asdict(one) for one in reversed(self.receipts[-limit:])]

    def _receipt(self, number: str) -> Receipt:
        found = next((one for one in self.receipts if one.number == number), None)
        if found is None:
            raise KeyError(number)
        return found

    def _order(self, receipt: Receipt, staff: str) -> Json:
        lines = [_line(name, pieces) for name, pieces in receipt.lines]
        order: Json = {"source": SOURCE, "order_no": receipt.number, "paid_at": _iso(receipt.at),
                       "amount": _yuan(receipt.amount), "store": self.world.corp_name, "lines": lines}  # fmt: skip
        if staff:
            order["staff"] = staff
        if receipt.customer:
            is_phone = receipt.customer.isdecimal()
            order["identity"] = {"type": "phone" if is_phone else "external_userid", "value": receipt.customer}
        return order

    def _tell(self, path: str, body: Json) -> str:
        answer = self._ask("POST", path, body)
        if answer is None:
            return "no answer"
        told = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        if not answer.ok:
            return str(told.get("detail") or told.get("title") or answer.status_code)
        rejected = told.get("rejected") or []
        return str(rejected[0]["error"]) if rejected else "ok"

    def _ask(self, method: str, path: str, body: Any = None) -> requests.Response | None:
        if not self.address:
            return None
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": uuid4().hex}
        try:
            return requests.request(
                method, f"{self.address}/api/v1/{path}", json=body, headers=headers, timeout=PATIENCE
            )
        except requests.RequestException:
            return None


def _line(name: str, pieces: int) -> Json:
    kind, price = ITEMS[name]
    return {"name": name, "category": kind, "quantity": pieces, "amount": _yuan(price * pieces)}


def _iso(at: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)).isoformat()


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"

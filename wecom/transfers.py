"""Customers on their way from one rep to another (继承), as WeCom tells it. Part of the gateway: ``Gateway.transfers``.

Rules: wecom.md §4.12. A transfer on the job takes effect by itself within 24 hours unless the customer refuses; the
customers of somebody who left wait in the list of the unassigned until they are given to somebody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from wecom.answers import items, number, text
from wecom.line import Answer

DONE, WAITING, DECLINED, FULL, NO_RECORD = 1, 2, 3, 4, 5
"""WeCom's numbers for how a transfer stands."""
PAGE = 1000


@dataclass(frozen=True)
class Waiting:
    """A customer whom nobody looks after, because their rep has left the corp."""

    giver: str
    external_userid: str
    left_at: datetime | None


@dataclass(frozen=True)
class Result:
    """How the transfer of one customer stands. ``at`` is when it took effect, where WeCom says so."""

    external_userid: str
    status: int
    at: datetime | None


class Transfers:
    """The questions about transfers; ``read`` makes a call that changes nothing."""

    def __init__(self, read: Callable[..., Answer]) -> None:
        self._read = read

    def unassigned(self, cursor: str = "") -> tuple[list[Waiting], str]:
        """One page of customers of those who left, and the next cursor (``""`` = end). Raises ``TryLater``."""
        body = {"page_size": PAGE} | ({"cursor": cursor} if cursor else {})
        answer = self._read("externalcontact/get_unassigned_list", body)
        page = [
            Waiting(text(one, "handover_userid"), text(one, "external_userid"), _moment(one, "dimission_time"))
            for one in items(answer, "info")
        ]
        return [one for one in page if one.giver and one.external_userid], text(answer, "next_cursor")

    def results(self, giver: str, taker: str, *, resigned: bool) -> dict[str, Result]:
        """How every transfer between these two stands; of one customer's several the latest. Raises ``TryLater``."""
        api = f"externalcontact/{'resigned/' if resigned else ''}transfer_result"
        found: dict[str, Result] = {}
        cursor = ""
        while True:
            body: dict[str, Any] = {"handover_userid": giver, "takeover_userid": taker}
            answer = self._read(api, body | ({"cursor": cursor} if cursor else {}))
            for one in items(answer, "customer"):
                result = Result(text(one, "external_userid"), number(one, "status") or 0, _moment(one, "takeover_time"))
                found[result.external_userid] = _later(found.get(result.external_userid), result)
            cursor = text(answer, "next_cursor")
            if not cursor:
                return found


def _later(one: Result | None, other: Result) -> Result:
    """Of two of one customer the one that still runs, or else took effect later."""
    if one is None or other.status == WAITING:
        return other
    long_ago = datetime.fromtimestamp(0, UTC)
    return one if one.status == WAITING or (one.at or long_ago) > (other.at or long_ago) else other


def _moment(answer: Answer, name: str) -> datetime | None:
    seconds = number(answer, name)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None

"""微信客服 in our own words: messages pulled page by page, who the customers are, accounts, states, files.

Part of the gateway (``Gateway.kf``), over a line of its own where 微信客服 has its own secret. A callback says only
that there is something; what it is comes with ``page``. Rules: WeCom's pages on kf/sync_msg, kf/send_msg and the
session states; for our own reading of them see ``people.conversations``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wecom.answers import items, number, text
from wecom.commands import Command, FetchFile
from wecom.errors import BAD_CURSOR, BAD_KF_TOKEN, Refused, TryLater, Unclear
from wecom.line import Answer, Line
from wecom.pacing import PULL_WITHOUT_TOKEN

PAGE = 50
"""Messages a page. WeCom gives up to 1,000, but a page is kept in one transaction (5 ms a message), and a callback that
comes meanwhile waits for SQLite's one writer."""
AT_ONCE = 100
"""Customers or accounts in one question."""
MAX_FILE = 20 * 1024 * 1024
"""As much as WeCom lets anybody send."""
AMR = 0


@dataclass(frozen=True)
class Page:
    """Some messages as WeCom gives them, and how to go on."""

    messages: tuple[Answer, ...] = field(repr=False)
    cursor: str
    more: bool
    """The only sign of the end: an empty page with more to come is nothing unusual."""


@dataclass(frozen=True)
class KfCustomer:
    """Who a customer of 微信客服 is."""

    external_userid: str
    name: str
    avatar: str | None
    gender: int
    unionid: str | None


@dataclass(frozen=True)
class KfAccountFacts:
    """An account, and who answers for it where we may know that."""

    open_kfid: str
    name: str
    manageable: bool
    servicers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """``{userid: {"receiving": bool, "stop_type": int}}``."""


class Kf:
    """微信客服 over one line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    # --- what we ask -------------------------------------------------------------------------------------------------

    def deliver(self, command: Command) -> Answer:
        """Carry out a command of this lane; ``FetchFile`` answers with ``{"content": bytes}``."""
        if isinstance(command, FetchFile):
            return {"content": self._line.download(command.api, command.request(), MAX_FILE)}
        return self._line.call(command.api, command.request())

    # --- what we read ------------------------------------------------------------------------------------------------

    def page(self, open_kfid: str, cursor: str = "", token: str = "") -> Page:
        """The messages after this cursor (none: from the beginning of the three days that WeCom keeps).

        A dead token is left out, and a cursor that WeCom refuses begins anew: who knows the messages by their msgid
        may read them twice. Raises ``Blocked``, ``TryLater`` and ``Refused``.
        """
        try:
            return self._page(open_kfid, cursor, token)
        except Refused as error:
            if error.errcode == BAD_KF_TOKEN and token:
                return self.page(open_kfid, cursor)
            if error.errcode == BAD_CURSOR and cursor:
                return self.page(open_kfid, "", token)
            raise

    def _page(self, open_kfid: str, cursor: str, token: str) -> Page:
        body: Answer = {"open_kfid": open_kfid, "limit": PAGE, "voice_format": AMR}
        body |= ({"cursor": cursor} if cursor else {}) | ({"token": token} if token else {})
        answer = self._read("kf/sync_msg", body, counted_as="" if token else PULL_WITHOUT_TOKEN)
        next_cursor = text(answer, "next_cursor")
        return Page(tuple(items(answer, "msg_list")), next_cursor or cursor, number(answer, "has_more") == 1)

    def customers(self, external_userids: Sequence[str]) -> list[KfCustomer]:
        """Who these are, as far as WeCom says. Raises ``TryLater`` and ``Refused``."""
        found = []
        for first in range(0, len(external_userids), AT_ONCE):
            body = {"external_userid_list": list(external_userids[first : first + AT_ONCE])}
            found += items(self._read("kf/customer/batchget", body), "customer_list")
        return [_customer(one) for one in found]

    def accounts(self) -> list[KfAccountFacts]:
        """Every account of the corp; of those we may manage also who answers. Raises ``TryLater`` and ``Refused``."""
        found: list[Answer] = []
        while True:
            answer = self._read("kf/account/list", {"offset": len(found), "limit": AT_ONCE})
            page = items(answer, "account_list")
            found += page
            if len(page) < AT_ONCE:
                return [self._account(one) for one in found]

    def _account(self, one: Answer) -> KfAccountFacts:
        open_kfid, manageable = text(one, "open_kfid"), bool(one.get("manage_privilege"))
        return KfAccountFacts(
            open_kfid, text(one, "name")[:100], manageable, self._servicers(open_kfid) if manageable else {}
        )

    def _servicers(self, open_kfid: str) -> dict[str, dict[str, Any]]:
        answer = self._read("kf/servicer/list", params={"open_kfid": open_kfid})
        named = [one for one in items(answer, "servicer_list") if text(one, "userid")]
        return {
            text(one, "userid"): {"receiving": number(one, "status") == 0, "stop_type": number(one, "stop_type") or 0}
            for one in named
        }

    def _read(
        self, api: str, body: Answer | None = None, *, params: Answer | None = None, counted_as: str = ""
    ) -> Answer:
        """A call that changes nothing: a broken line only means asking again."""
        try:
            return self._line.call(api, body, params=params, counted_as=counted_as)
        except Unclear as error:
            raise TryLater(str(error)) from None


def _customer(one: Answer) -> KfCustomer:
    return KfCustomer(
        external_userid=text(one, "external_userid"),
        name=text(one, "nickname")[:200],
        avatar=text(one, "avatar")[:500] or None,
        gender=number(one, "gender") or 0,
        unionid=text(one, "unionid") or None,
    )

"""Mass messages 企业群发 as WeCom tells of them: which there are, who has sent his part, who received it.

Part of the gateway: ``Gateway.mass``. Rules: wecom.md §4.9. A task that was made sends nothing: each member it names
has to confirm, and there is no callback, so that whoever wants to know must ask. Right after its making a task is still
being handed out; then ``members`` and ``results`` raise ``Busy`` (41063). The commands are in ``wecom.commands``:
``MakeMass``, ``MakeGroupMass``, ``RemindMass``, ``CancelMass``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from wecom.answers import Answer, items, number, part, text

T = TypeVar("T")
LIST = "externalcontact/get_groupmsg_list_v2"
MEMBERS = "externalcontact/get_groupmsg_task"
RESULTS = "externalcontact/get_groupmsg_send_result"
TASKS_A_PAGE, ROWS_A_PAGE = 100, 1000
LONGEST_SPAN = timedelta(days=31)
"""The longest time that one question for tasks may span."""

UNSENT, SENT, NO_FRIEND, QUOTA_USED = range(4)
"""WeCom's four words for a receiver: waiting, received, no friend any more, has had other mass messages."""
BY_CORP, BY_MEMBERS, BY_ALL = 0, 1, 2
"""Whose tasks one asks for."""
HAS_SENT = 2
ChatType = Literal["single", "group"]


@dataclass(frozen=True)
class MassTask:
    """A mass message, by the corp or by a member on his own."""

    msgid: str
    creator: str
    """Empty where it was made over the API."""
    created_at: datetime | None
    personal: bool
    text: str = field(repr=False)
    attachments: tuple[Answer, ...] = field(repr=False)


@dataclass(frozen=True)
class MassMember:
    """One member's part of a task. ``sent_at`` is when he confirmed."""

    userid: str
    sent: bool
    sent_at: datetime | None


@dataclass(frozen=True)
class MassResult:
    """What became of it for one receiver: a customer by external_userid, or a group by chat_id."""

    userid: str
    external_userid: str
    chat_id: str
    status: int
    """One of ``UNSENT``, ``SENT``, ``NO_FRIEND``, ``QUOTA_USED``."""
    sent_at: datetime | None


def pages(read: Callable[[str], tuple[list[T], str]]) -> Iterator[list[T]]:
    """Every page of a question, from its first on; ``read`` takes a cursor."""
    cursor = ""
    while True:
        page, cursor = read(cursor)
        yield page
        if not cursor:
            return


class MassMessages:
    """The questions about mass messages; ``read`` makes a call that changes nothing."""

    def __init__(self, read: Callable[[str, Answer], Answer]) -> None:
        self._read = read

    def page(
        self,
        chat_type: ChatType,
        since: datetime,
        until: datetime,
        *,
        filter_type: int = BY_ALL,
        creator: str = "",
        cursor: str = "",
    ) -> tuple[list[MassTask], str]:
        """One page (up to 100) of the tasks made in a time of at most a month, and the next cursor (``""`` = end).

        An empty page with a next cursor is nothing unusual. Raises ``TryLater`` and ``Refused``.
        """
        body: dict[str, Any] = {
            "chat_type": chat_type,
            "start_time": int(since.timestamp()),
            "end_time": int(until.timestamp()),
            "filter_type": filter_type,
            "limit": TASKS_A_PAGE,
        }
        body |= ({"creator": creator} if creator else {}) | ({"cursor": cursor} if cursor else {})
        answer = self._read(LIST, body)
        found = [_task(one) for one in items(answer, "group_msg_list") if text(one, "msgid")]
        return found, text(answer, "next_cursor")

    def members(self, msgid: str, cursor: str = "") -> tuple[list[MassMember], str]:
        """One page (up to 1,000) of the members who were asked to send it, and the next cursor (``""`` = end)."""
        answer = self._read(MEMBERS, _rows_of(msgid, cursor))
        return [_member(one) for one in items(answer, "task_list") if text(one, "userid")], text(answer, "next_cursor")

    def results(self, msgid: str, userid: str, cursor: str = "") -> tuple[list[MassResult], str]:
        """One page (up to 1,000) of a member's receivers, and the next cursor (``""`` = end).

        Of a task for groups WeCom lists only those that received it.
        """
        answer = self._read(RESULTS, {**_rows_of(msgid, cursor), "userid": userid})
        return [_result(one, userid) for one in items(answer, "send_list")], text(answer, "next_cursor")


def _rows_of(msgid: str, cursor: str) -> Answer:
    return {"msgid": msgid, "limit": ROWS_A_PAGE} | ({"cursor": cursor} if cursor else {})


def _task(one: Answer) -> MassTask:
    return MassTask(
        msgid=text(one, "msgid"),
        creator=text(one, "creator")[:64],
        created_at=_moment(one, "create_time"),
        personal=number(one, "create_type") == BY_MEMBERS,
        text=text(part(one, "text"), "content"),
        attachments=tuple(items(one, "attachments")),
    )


def _member(one: Answer) -> MassMember:
    return MassMember(text(one, "userid")[:64], number(one, "status") == HAS_SENT, _moment(one, "send_time"))


def _result(one: Answer, userid: str) -> MassResult:
    return MassResult(
        userid=text(one, "userid")[:64] or userid,
        external_userid=text(one, "external_userid")[:64],
        chat_id=text(one, "chat_id")[:64],
        status=number(one, "status") or UNSENT,
        sent_at=_moment(one, "send_time"),
    )


def _moment(one: Answer, name: str) -> datetime | None:
    seconds = number(one, name)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None

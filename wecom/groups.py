"""Customer groups (客户群) as WeCom tells them: which there are, and who is in one. Source: wecom.md §4.11.

What it tells is two seconds old at least: WeCom writes changes of a group down asynchronously.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wecom.answers import Answer, items, number, part, text
from wecom.errors import Refused

LIST, GET = "externalcontact/groupchat/list", "externalcontact/groupchat/get"
PAGE = 1000
OWNERS_A_CALL = 100
NO_SUCH_GROUP = frozenset({40050, 90501, 90509})
TOO_MANY_OWNERS = 81017
"""More than a thousand members in sight: groups must be asked for by their owners."""


@dataclass(frozen=True)
class GroupMemberFacts:
    """Somebody in a group; a customer by external_userid, whether or not anybody of ours has added them."""

    member: str
    type: int
    """1 one of ours, 2 a customer or a stranger."""
    name: str
    joined_at: datetime
    scene: int | None
    """1 invited, 2 by a link, 3 by a QR code."""


@dataclass(frozen=True)
class GroupFacts:
    """A customer group, as WeCom tells it."""

    chat_id: str
    name: str
    owner: str
    created_at: datetime | None
    version: str
    """WeCom's member_version: another one with each change of the members."""
    members: tuple[GroupMemberFacts, ...]


class Groups:
    """The part of the gateway that reads customer groups. ``read`` makes one call that changes nothing."""

    def __init__(self, read: Callable[[str, Answer], Answer]) -> None:
        self._read = read

    def page(self, owners: Sequence[str] = (), cursor: str = "") -> tuple[list[str], str]:
        """One page (up to 1,000) of chat_ids, of up to 100 owners or of all, and the next cursor (``""`` = end).

        Raises ``Refused`` with ``TOO_MANY_OWNERS`` when all are too many.
        """
        body: Answer = {"status_filter": 0, "limit": PAGE}
        if owners:
            body["owner_filter"] = {"userid_list": list(owners)}
        if cursor:
            body["cursor"] = cursor
        answer = self._read(LIST, body)
        found = (text(one, "chat_id") for one in items(answer, "group_chat_list"))
        return [one for one in found if one], text(answer, "next_cursor")

    def one(self, chat_id: str) -> GroupFacts | None:
        """A group with its members; None when there is no such group (any more) within our sight."""
        try:
            answer = self._read(GET, {"chat_id": chat_id, "need_name": 1})
        except Refused as error:
            if error.errcode in NO_SUCH_GROUP:
                return None
            raise
        return _group(part(answer, "group_chat"), chat_id)


def _group(chat: Answer, chat_id: str) -> GroupFacts:
    created_at = _moment(chat, "create_time")
    return GroupFacts(
        chat_id=text(chat, "chat_id") or chat_id,
        name=text(chat, "name")[:200],
        owner=text(chat, "owner")[:64],
        created_at=created_at,
        version=text(chat, "member_version")[:64],
        members=tuple(_member(one, created_at) for one in items(chat, "member_list") if text(one, "userid")),
    )


def _member(one: Answer, created_at: datetime | None) -> GroupMemberFacts:
    return GroupMemberFacts(
        member=text(one, "userid")[:64],
        type=number(one, "type") or 2,
        name=(text(one, "name") or text(one, "group_nickname"))[:200],
        joined_at=_moment(one, "join_time") or created_at or datetime.fromtimestamp(0, UTC),
        scene=number(one, "join_scene"),
    )


def _moment(one: Answer, name: str) -> datetime | None:
    seconds = number(one, name)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None

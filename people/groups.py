"""Customer groups (客户群) as we keep them: whose, who is in them, who came and went.

A group's members may be people whom nobody of ours has added: they are kept by their external_userid and are no persons
(WeCom tells nothing more of them, 84061). Of persons, joins and leaves are lines of their story, told once, whether an
event or a comparison with WeCom brought them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from people import persons, privacy
from storage.rows import insert_new
from storage.tables import GroupChat, GroupMember, Identity, Interaction, Person
from storage.work import Work
from wecom.groups import GroupFacts, GroupMemberFacts

OUTSIDER = 2
"""A customer or a stranger; the other kind is one of ours."""


@dataclass(frozen=True)
class GroupDifference:
    """Something about a group that is not the same here and at WeCom. ``kind``: new, back, changed, joined, left."""

    kind: str
    who: str
    was: str
    now: str


def differences(db: Session, facts: GroupFacts) -> list[GroupDifference]:
    """What ``keep`` would change, were it given this group."""
    chat, name = db.get(GroupChat, facts.chat_id), facts.name or facts.chat_id
    if chat is None:
        return [GroupDifference("new", name, "", f"{len(facts.members)}")]
    found = [GroupDifference("back", name, "dismissed", "")] if chat.dismissed_at else []
    for was, now in ((chat.name, facts.name), (chat.owner, facts.owner)):
        found += [GroupDifference("changed", name, was, now)] if was != now else []
    inside = _inside(db, facts.chat_id)
    there = _there(db, facts)
    found += [GroupDifference("joined", name, "", one.name) for key, one in there.items() if key not in inside]
    found += [GroupDifference("left", name, one.name, "") for key, one in inside.items() if key not in there]
    renamed = ((inside[key], one) for key, one in there.items() if key in inside)
    found += [GroupDifference("changed", name, ours.name, one.name) for ours, one in renamed if ours.name != one.name]
    if not found and chat.version != facts.version:  # somebody came and went between two looks
        found.append(GroupDifference("changed", name, "", ""))
    return found


def keep(
    work: Work, facts: GroupFacts, *, left_at: datetime | None = None, quit_scene: int | None = None
) -> GroupChat | None:
    """Keep a group as WeCom tells it; None when we have read it more lately than these facts.

    Who is not in it any more left at ``left_at`` (or now), by themselves (``quit_scene`` 0) or removed (1).
    """
    row = {"chat_id": facts.chat_id, "name": "", "owner": "", "version": ""}
    insert_new(work.db, GroupChat, [row], ["chat_id"], returning="chat_id")
    chat = work.db.get_one(GroupChat, facts.chat_id, with_for_update=True, populate_existing=True)
    read_at = work.looked_at or work.now
    if chat.read_at is not None and chat.read_at > read_at:
        return None
    chat.name, chat.owner, chat.version = facts.name, facts.owner, facts.version
    chat.created_at, chat.dismissed_at, chat.read_at = facts.created_at, None, read_at
    inside = _inside(work.db, chat.chat_id)
    there = _there(work.db, facts)
    gone = [one for key, one in inside.items() if key not in there]
    _let_go(work, chat, gone, left_at or work.now, {"scene": quit_scene})
    for key, one in there.items():
        if key in inside:
            inside[key].name = one.name
    _take_in(work, chat, [one for key, one in there.items() if key not in inside])
    return chat


def dismiss(work: Work, chat_id: str, at: datetime) -> bool:
    """The group was dissolved, or is out of our sight for good; False when we knew that or never knew the group."""
    chat = work.db.get(GroupChat, chat_id, with_for_update=True, populate_existing=True)
    if chat is None or chat.dismissed_at is not None:
        return False
    chat.dismissed_at, chat.read_at = at, work.looked_at or work.now
    _let_go(work, chat, list(_inside(work.db, chat_id).values()), at, {"scene": None, "dismissed": True})
    return True


def tell_earlier(work: Work, person: Person, external_userid: str) -> None:
    """Somebody has become a person: the groups they were seen in before belong to their story."""
    stays = (
        select(GroupMember, GroupChat)
        .join(GroupChat, GroupChat.chat_id == GroupMember.chat_id)
        .where(GroupMember.member == external_userid)
        .order_by(GroupMember.id)
    )
    lines = []
    for one, chat in work.db.execute(stays).all():
        lines.append(_joined(person.id, chat, one))
        if one.left_at is not None:
            lines.append(_left(person.id, chat, one, one.left_at, {"scene": None}))
    insert_new(work.db, Interaction, lines, ["once"])


def _stay(one: GroupMember | GroupMemberFacts) -> tuple[str, datetime]:
    """What no other stay in this group is called: who joins again has another time."""
    return one.member, one.joined_at


def _there(db: Session, facts: GroupFacts) -> dict[tuple[str, datetime], GroupMemberFacts]:
    """Who is in the group by WeCom's word, but for those who were erased here and have not come anew since."""
    joined: dict[str, datetime | None] = {one.member: one.joined_at for one in facts.members if one.type == OUTSIDER}
    gone = privacy.erased(db, joined)
    return {_stay(one): one for one in facts.members if one.member not in gone}


def _inside(db: Session, chat_id: str) -> dict[tuple[str, datetime], GroupMember]:
    own = select(GroupMember).where(GroupMember.chat_id == chat_id, GroupMember.left_at.is_(None))
    return {_stay(one): one for one in db.scalars(own.order_by(GroupMember.id))}


def _take_in(work: Work, chat: GroupChat, new: Sequence[GroupMemberFacts]) -> None:
    rows = [
        {
            "chat_id": chat.chat_id,
            "member": one.member,
            "type": one.type,
            "name": one.name,
            "joined_at": one.joined_at,
            "scene": one.scene,
        }
        for one in new
    ]
    made = len(insert_new(work.db, GroupMember, rows, ["chat_id", "member", "joined_at"]))
    if made < len(rows):  # an older reading had said of this very stay that it was over
        for one in new:
            own = (GroupMember.member == one.member, GroupMember.joined_at == one.joined_at)
            work.db.execute(update(GroupMember).where(GroupMember.chat_id == chat.chat_id, *own).values(left_at=None))
    known = _known(work.db, [one.member for one in new if one.type == OUTSIDER])
    lines = [_joined(known[one.member], chat, one) for one in new if one.member in known]
    insert_new(work.db, Interaction, lines, ["once"])


def _let_go(work: Work, chat: GroupChat, gone: Sequence[GroupMember], at: datetime, how: dict[str, Any]) -> None:
    for one in gone:
        one.left_at = max(at, one.joined_at)
    known = _known(work.db, [one.member for one in gone if one.type == OUTSIDER])
    lines = [_left(known[one.member], chat, one, max(at, one.joined_at), how) for one in gone if one.member in known]
    insert_new(work.db, Interaction, lines, ["once"])


def _known(db: Session, external_userids: Iterable[str]) -> dict[str, int]:
    wanted = list(external_userids)
    own = select(Identity.value, Identity.person_id).where(
        Identity.type == persons.EXTERNAL, Identity.value.in_(wanted)
    )
    return dict(db.execute(own).all()) if wanted else {}


def _joined(person_id: int, chat: GroupChat, stay: GroupMember | GroupMemberFacts) -> dict[str, Any]:
    return _line(person_id, chat, stay, "group_joined", stay.joined_at, {"scene": stay.scene})


def _left(person_id: int, chat: GroupChat, stay: GroupMember, at: datetime, how: dict[str, Any]) -> dict[str, Any]:
    return _line(person_id, chat, stay, "group_left", at, how)


def _line(
    person_id: int, chat: GroupChat, stay: GroupMember | GroupMemberFacts, kind: str, at: datetime, how: dict[str, Any]
) -> dict[str, Any]:
    return {
        "person_id": person_id,
        "userid": chat.owner or None,
        "kind": kind,
        "at": at,
        "details": {"chat_id": chat.chat_id, "name": chat.name, **how},
        "once": f"{kind}:{chat.chat_id}:{stay.member}:{int(stay.joined_at.timestamp())}",
    }

"""What the sidebar tells of a customer, in five lines, and of a group: little, because it stands beside a chat."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console.customers import STAGES, choices, remark_of
from console.person import had
from console.segment_words import LIFE_WORDS
from console.side_door import Visitor
from console.today import rep_names
from console.words import N_
from insight import lifecycle
from loyalty import accounts, tiers
from outreach import budget, cards
from people import directory, joining, own_pages, persons, sign_in, stages, tasks, unfinished
from storage.tables import GroupChat, GroupMember, Identity, Person, RepCard, Touch
from storage.work import Work
from tagging import tags

TASKS = 3
WAYS: Mapping[str, str] = {
    "mass": N_("群发"),
    "card": N_("一对一消息"),
    "own": N_("成员自己的群发"),
    "journey": N_("旅程"),
}
"""How somebody was reached, by ``Touch.way``."""
LAST: Mapping[str, str] = {
    "kf_in": N_("在微信客服发来消息"),
    "kf_out": N_("在微信客服收到回复"),
    "forwarded": N_("说的话被转发"),
    "note": N_("有了新备注"),
    "welcomed": N_("收到欢迎语"),
    "added": N_("添加好友"),
    cards.SENT_LINE: N_("收到你们发的消息"),
}
"""What counts as contact."""


def of(work: Work, visitor: Visitor, person: Person) -> dict[str, Any]:
    """Everything the page shows of a customer."""
    db, sight = work.db, visitor.sight
    picture = directory.picture(db, sight, person)
    relation = next(
        iter(
            sorted(picture.relations, key=lambda one: (one.userid != visitor.userid, one.state not in persons.LIVING))
        ),
        None,
    )
    story, _ = directory.story(db, sight, person, limit=1, kinds=tuple(LAST))
    return {
        "picture": picture,
        "relation": relation,
        "remark": remark_of([relation] if relation is not None else [], person),
        "stage": STAGES[stages.stage_of(one.state for one in picture.relations)],
        "life": LIFE_WORDS.get(person.life_cycle or ""),
        "life_change": lifecycle.latest(db, person.id),
        "last": story[0] if story else None,
        "last_words": LAST,
        "todo": unfinished.of(picture, work.now),
        "open_tasks": tasks.open_about(db, person, [visitor.userid], limit=TASKS),
        "touch": last_touch(db, person),
        "ways": WAYS,
        "tag_choices": choices(db, sight).tags,
        "own": had(tags.reasons(db, person.id, sight.rep)),
        "names": rep_names(db, sight, [one.userid for one in picture.relations] + [person.owner or ""]),
        "has_console": sign_in.find_user(db, visitor.userid) is not None,
        "me": visitor.userid,
        "points": points_of(work, person),
    }


def points_of(work: Work, person: Person) -> dict[str, Any]:
    """What they have in points, what ends next, which level, what waits for their word, the address of their page."""
    anchors = persons.anchors(work.db, person.id)
    standing = accounts.standing_of(work.db, anchors, work.now)
    sure = sorted(joining.confirmed(work.db, own_pages.anchor_of(work.db, person)))
    return {
        "standing": standing,
        "ends": next(iter(standing.ends(work.now, work.zone)), None),
        "level": tiers.at(work.db, accounts.accounts_of(work.db, anchors), work.now).name,
        "unsure": standing.available - accounts.standing_of(work.db, sure, work.now).available,
        "address": own_pages.address(work, person),
    }


def last_touch(db: Session, person: Person) -> Touch | None:
    """The last thing of ours that reached them or is on its way."""
    own = (Touch.person_id == person.id, Touch.state.in_(budget.TAKEN))
    return db.scalars(select(Touch).where(*own).order_by(Touch.at.desc(), Touch.id.desc()).limit(1)).one_or_none()


def next_card(work: Work, userid: str, person: Person) -> RepCard | None:
    """Her card about this customer that the day's list has no room for: beside the chat it is shown all the same."""
    mine = (RepCard.person_id == person.id, RepCard.userid == userid, *cards.due(work.now), *cards.may_show())
    asked = select(RepCard).join(Person, Person.id == RepCard.person_id).where(*mine)
    return work.db.scalars(asked.order_by(RepCard.rank.desc(), RepCard.id).limit(1)).one_or_none()


def group(db: Session, visitor: Visitor, chat_id: str) -> dict[str, Any] | None:
    """A customer group in short, for whoever is in it or may see its owner's customers; None for others."""
    chat = db.get(GroupChat, chat_id)
    if chat is None or not (visitor.sight.rep(chat.owner) or _is_in(db, chat_id, visitor.userid)):
        return None
    inside = (GroupMember.chat_id == chat_id, GroupMember.left_at.is_(None))
    by_type = dict(db.execute(select(GroupMember.type, func.count()).where(*inside).group_by(GroupMember.type)).all())
    known = (
        select(Person)
        .join(Identity, Identity.person_id == Person.id)
        .join(GroupMember, GroupMember.member == Identity.value)
        .where(*inside, Identity.type == persons.EXTERNAL, visitor.sight.people())
    )
    mine = list(db.scalars(known.order_by(GroupMember.joined_at.desc(), Person.id).limit(20)).unique())
    return {
        "chat": chat,
        "ours": by_type.get(1, 0),
        "others": by_type.get(2, 0),
        "mine": mine,
        "owner": _name(db, chat),
    }


def _is_in(db: Session, chat_id: str, userid: str) -> bool:
    own = (GroupMember.chat_id == chat_id, GroupMember.member == userid, GroupMember.left_at.is_(None))
    return db.scalar(select(GroupMember.id).where(*own).limit(1)) is not None


def _name(db: Session, chat: GroupChat) -> str:
    return persons.rep_name(db, chat.owner)

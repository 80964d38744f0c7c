"""Tracked links (追踪链接, ``/t/<token>``): made for one person or for one mass task, and how often they were opened.

An address leads to the one place it was made for, and nobody can guess another: its token says nothing of whom it was
made for. In welcomes, answers of 微信客服 and one-tap cards everybody has their own; in a mass message, whose text is
the same for all, each task has one. What follows an opening is in ``outreach.opens``.
"""

import hashlib
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.rows import insert_new
from storage.tables import LinkOpen, MassTask, Material, Person, TrackedLink
from storage.work import Work
from tagging.placeholders import LINK

TOKEN_BYTES = 18
"""144 bits: nobody finds one by trying."""
TRACK, MATERIAL, TRACKED = "track", "material", "tracked"
"""Marks of a link attachment: that whoever opens it is to be known, which one of the library it is, that it is done."""
LONGEST_ONCE = 160
WELCOME = "welcome"
Attachments = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _For:
    """Whom an address is made for, and where it is sent."""

    source: str
    name: str
    """What no other receiver is called: with the target it says why there can be only one."""
    person_id: int | None = None
    external_userid: str | None = None
    task_id: int | None = None
    userid: str | None = None


def url_of(material: Material) -> str:
    """Where a link of the library leads: that of its first wording. Raises ``ValueError`` for what is no link."""
    if material.kind != "link" or not material.contents:
        raise ValueError(f"material {material.id} is no link: only links can be tracked")
    return str(material.contents[0]["url"])


def leads_outside(url: str) -> bool:
    """Whether a browser may be sent there: an address of the web, on one line."""
    return re.match(r"https?://[^/\s\\]", url) is not None and url.isprintable() and " " not in url


def _made(work: Work, url: str, material_id: int | None, receiver: _For) -> str:
    if not leads_outside(url):
        raise ValueError("a tracked link must lead to an address that begins with https:// or http://")
    if not work.home:
        raise LookupError("this work does not know where customers' pages are (Work.home)")
    once = _once(receiver.name, material_id, url)
    row = {
        "token": secrets.token_urlsafe(TOKEN_BYTES),
        "url": url,
        "material_id": material_id,
        "source": receiver.source,
        "once": once,
        "person_id": receiver.person_id,
        "external_userid": receiver.external_userid,
        "task_id": receiver.task_id,
        "userid": receiver.userid,
        "opens": 0,
        "made_at": work.now,
    }
    (token,) = insert_new(work.db, TrackedLink, [row], ["once"], returning="token") or [
        work.db.scalars(select(TrackedLink.token).where(TrackedLink.once == once)).one()
    ]
    return f"{work.home}/t/{token}"


def _once(name: str, material_id: int | None, url: str) -> str:
    """Another address of the same link, or another link, is another one."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    whole = f"{name}:{'' if material_id is None else material_id}:{digest}"
    return whole if len(whole) <= LONGEST_ONCE else hashlib.sha256(whole.encode()).hexdigest()


# --- in what is sent -------------------------------------------------------------------------------------------------


def wanted(text: str, attachments: Attachments = ()) -> bool:
    """Whether a message holds anything to be tracked: without it nothing is asked of the database."""
    return LINK.search(text) is not None or any(_is_tracked(one) for one in attachments)


def _is_tracked(one: Mapping[str, Any]) -> bool:
    return one.get("kind") == "link" and bool(one.get(TRACK) or one.get(MATERIAL))


def personal(
    work: Work,
    text: str,
    attachments: Attachments,
    person: Person,
    source: str,
    userid: str | None = None,
    *,
    again: str = "",
) -> tuple[str, list[dict[str, Any]]]:
    """A text and attachments (``{"kind": "link", "material": 5, "url": …}``) with the person's own addresses.

    The same when asked again. ``source`` says where it is sent (``answer:2``, ``journey:5:v1:s2``), ``userid`` which
    rep sends it, ``again`` parts what is sent once more from what was sent before.
    """
    name = f"{source}:{again}:p{person.id}:{userid or ''}"
    return _filled(work, text, attachments, _For(source, name, person_id=person.id, userid=userid))


def of_arrival(
    work: Work, userid: str, external_userid: str, text: str, attachments: Attachments
) -> tuple[str, Attachments]:
    """The same for a welcome, which is quicker than we are in getting to know the person."""
    if not wanted(text, attachments):
        return text, attachments
    name = f"{WELCOME}:{userid}:{external_userid}"
    return _filled(work, text, attachments, _For(WELCOME, name, external_userid=external_userid, userid=userid))


def of_task(work: Work, task: MassTask) -> None:
    """Put the task's own addresses into its text and attachments, once; a task without links stays as it is."""
    if not wanted(task.text, task.attachments):
        return
    receiver = _For(_place(task.source), f"task:{task.id}", task_id=task.id, userid=task.userid)
    task.text, task.attachments = _filled(work, task.text, task.attachments, receiver)


def _place(source: str) -> str:
    """Where a task comes from, as its links say it: a wave (``journey:5:v1:s2:20261127``) is of its step on any day."""
    return ":".join(source.split(":")[:4])


def _filled(work: Work, text: str, attachments: Attachments, receiver: _For) -> tuple[str, list[dict[str, Any]]]:
    def address(number: int) -> str:
        own = select(Material).where(Material.id == number)
        material = work.found(("material", number), lambda: work.db.scalars(own).one_or_none())
        return "" if material is None else _made(work, url_of(material), material.id, receiver)

    rows = [dict(one) for one in attachments]
    for one in filter(_is_tracked, rows):
        number = one.pop(MATERIAL, None)
        one["url"] = _made(work, str(one["url"]), number, receiver)
        one[TRACKED] = one.pop(TRACK, True)
    return LINK.sub(lambda match: address(int(match[1])), text), rows


# --- counting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opens:
    """How often the links of one source were opened: of a broadcast, a journey, the welcomes."""

    links: int = 0
    """Addresses that were made."""
    opened: int = 0
    """Of these, how many were opened at all. Of links for one person each: so many people."""
    opens: int = 0
    people: int = 0
    """So many are known by name; in mass messages only those who signed in on the page."""
    by_arm: Mapping[str, int] = field(default_factory=dict)
    """Openings of the mass tasks of each wording, and below of each rep's tasks."""
    by_rep: Mapping[str, int] = field(default_factory=dict)


def opens_of(db: Session, source: str) -> Opens:
    """Counted for everything that was sent from this source (``broadcast:3``)."""
    own = TrackedLink.source == source
    links, opened, opens = db.execute(
        select(
            func.count(), func.count().filter(TrackedLink.opens > 0), func.coalesce(func.sum(TrackedLink.opens), 0)
        ).where(own)
    ).one()
    named = select(func.count(LinkOpen.person_id.distinct())).join(TrackedLink, TrackedLink.id == LinkOpen.link_id)
    rows = db.execute(
        select(TrackedLink.userid, MassTask.arm, func.sum(TrackedLink.opens))
        .outerjoin(MassTask, MassTask.id == TrackedLink.task_id)
        .where(own, TrackedLink.opens > 0)
        .group_by(TrackedLink.userid, MassTask.arm)
    ).all()
    return Opens(
        links=links,
        opened=opened,
        opens=int(opens),
        people=db.scalars(named.where(own)).one(),
        by_arm=_summed((arm, count) for _, arm, count in rows),
        by_rep=_summed((userid, count) for userid, _, count in rows),
    )


def opened_of(db: Session, sources: Collection[str]) -> dict[str, int]:
    """How often the links of each of these sources were opened; those that never were are not in it."""
    own = select(TrackedLink.source, func.sum(TrackedLink.opens)).where(
        TrackedLink.source.in_(sources), TrackedLink.opens > 0
    )
    return {source: int(count) for source, count in db.execute(own.group_by(TrackedLink.source))}


def _summed(pairs: Any) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for name, count in pairs:
        if name is not None:
            found[name] = found.get(name, 0) + int(count)
    return found

"""What follows when a tracked link was opened: it is counted, told in the story, tagged, and the rep hears of it.

Before: ``console.tracked`` (the page ``/t/<token>``) writes the opening into the inbox, so that the customer waits for
one short write and nothing is lost when a worker dies. Here: the step that follows, once, whatever happens.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from outreach import cards, hours
from outreach.budget import Rules
from people import persons
from storage.inbox import EVENTS, Arriving
from storage.rows import insert_new, upsert
from storage.tables import LinkOpen, Material, Person, Progress, Tag, TagGround, TrackedLink
from storage.work import Work
from tagging import tags
from tagging.tags import Ground
from wecom import xml
from wecom.events import LinkOpened, read_event

OPENED = "opened"
"""The kind of the story's line, and of the rep's card."""
EVENT = "link_opened"
LINK = "link"
"""The source of the grounds."""
AT_ONCE, LOOKED_AT = 300, 20_000
"""So many grounds are taken back, and so many looked through for them, in one transaction."""
TAKING_BACK = "take back:"
"""How its progress is called, with the source of the grounds behind it; while it is ``running``, a job goes on."""
RUNNING, DONE = "running", "done"
CARD_LIVES = timedelta(days=3)
"""Who opened something three days ago is no longer thinking of it."""


def arriving(token: str, visitor: str, device: str, at: datetime) -> Arriving:
    """An opening on its way into the inbox; the same ``visitor``, a browser, comes only once within a minute."""
    visit = hashlib.sha256(f"{token}:{visitor}:{at:%Y%m%d%H%M}".encode()).hexdigest()[:40]
    told = {"Event": EVENT, "Token": token, "Visit": visit, "Device": device}
    text = xml.write({**told, "CreateTime": str(int(at.timestamp()))})
    event = read_event(text)
    return Arriving(event.identity, event.name, event.key, EVENTS, text, at)


@dataclass(frozen=True)
class Opening:
    """One opening of a link that is known to be somebody's."""

    link: TrackedLink
    person: Person
    material: Material | None
    at: datetime

    @property
    def called(self) -> str:
        """What was opened, in words."""
        return self.material.name if self.material is not None else self.link.url


def record(work: Work, event: LinkOpened) -> Opening | None:
    """Count an opening once and do what follows from it; None where it is nobody's by name, or the link is gone."""
    link = work.db.scalars(select(TrackedLink).where(TrackedLink.token == event.token)).one_or_none()
    if link is None:
        return None  # made for somebody who was erased meanwhile
    person, at = _whose(work, link), event.at or work.now
    row = {"link_id": link.id, "person_id": person.id if person is not None else None, "at": at}
    if not insert_new(work.db, LinkOpen, [{**row, "device": event.device or "", "once": event.identity}], ["once"]):
        return None
    one_more = update(TrackedLink).where(TrackedLink.id == link.id)
    work.db.execute(one_more.values(opens=TrackedLink.opens + 1, opened_at=at))
    if person is None:
        return None
    material = work.db.get(Material, link.material_id) if link.material_id is not None else None
    opening = Opening(link, person, material, at)
    _tell(work, opening, event.identity)
    _tag(work, opening)
    _let_the_rep_know(work, opening)
    return opening


def _whose(work: Work, link: TrackedLink) -> Person | None:
    """Whom the link was made for: of a welcome's, whoever has come to be known under that id."""
    if link.person_id is not None:
        return work.db.get(Person, link.person_id)
    if link.external_userid is None:
        return None
    person = persons.find_person(work.db, persons.EXTERNAL, link.external_userid)
    if person is not None:
        link.person_id = person.id
    return person


def _tell(work: Work, opening: Opening, identity: str) -> None:
    link = opening.link
    details = {"material": link.material_id, "url": link.url, "link": link.id, "name": opening.called}
    person_id, once = opening.person.id, f"event:{identity}"  # by which an erasure finds the event too
    persons.tell(work, person_id, OPENED, opening.at, once=once, userid=link.userid, details=details)
    opening.person.last_seen_at = max(opening.person.last_seen_at, opening.at)


def _tag(work: Work, opening: Opening) -> None:
    material = opening.material
    if material is None or not material.open_tags:
        return
    ground = Ground(
        LINK,
        f"打开了“{material.name}”",
        source_id=source_id(material),
        evidence={"link": opening.link.id},
        at=opening.at,
    )
    for tag in work.db.scalars(select(Tag).where(Tag.id.in_(material.open_tags)).order_by(Tag.id)):
        tags.give(work, opening.person, tag, ground)


def _let_the_rep_know(work: Work, opening: Opening) -> None:
    """A card for who sent the link, or who answers for the person: one a day for each link."""
    link, material = opening.link, opening.material
    userid = link.userid or opening.person.owner
    if material is None or not material.tell_rep or userid is None:
        return
    local = opening.at.astimezone(work.zone)
    card = cards.Draft(
        userid=userid,
        person_id=opening.person.id,
        kind=OPENED,
        source=source_id(material),
        once=f"{OPENED}:{material.id}:{opening.person.id}:{userid}:{local:%Y%m%d}",
        because=f"打开了“{material.name}”",
        due_at=opening.at,
        until=hours.instant(local.date() + CARD_LIVES, time(), work.zone),
        asks_to_write=False,
    )
    cards.make(work, card, Rules())


def source_id(material: Material) -> str:
    """How the grounds of a link of the library are known: ``material:5``."""
    return f"material:{material.id}"


# --- taking back -----------------------------------------------------------------------------------------------------


def tagged_by(db: Session, material: Material) -> int:
    """How many people have a tag because they opened this link."""
    return db.scalars(select(func.count(TagGround.person_id.distinct())).where(*_grounds(material))).one()


def _grounds(material: Material) -> tuple[ColumnElement[bool], ...]:
    """Found by way of those who opened it: grounds have no index by where they come from."""
    openers = select(LinkOpen.person_id).join(TrackedLink, TrackedLink.id == LinkOpen.link_id)
    theirs = TagGround.person_id.in_(openers.where(TrackedLink.material_id == material.id))
    return (theirs, TagGround.source == LINK, TagGround.source_id == source_id(material))


def ask_to_take_back(work: Work, material: Material) -> None:
    """Have every tag that this link has given until now taken back; the job does it, portion by portion."""
    upto = work.db.scalars(select(func.coalesce(func.max(TagGround.id), 0))).one()
    row = {"name": TAKING_BACK + source_id(material), "state": RUNNING, "at": {"after": 0, "upto": upto}, "done": 0}
    rows = [{**row, "started_at": work.now, "changed_at": work.now}]
    upsert(work.db, Progress, rows, ["name"], ["state", "at", "done", "started_at", "changed_at"])


def taken_back(db: Session, material: Material) -> Progress | None:
    """How far that has come, or how it ended; None where nobody has asked for it."""
    return db.get(Progress, TAKING_BACK + source_id(material))


def to_take_back(db: Session) -> list[str]:
    """What is being taken back, by its name."""
    own = (Progress.name.startswith(TAKING_BACK), Progress.state == RUNNING)
    return list(db.scalars(select(Progress.name).where(*own).order_by(Progress.started_at, Progress.name)))


def take_back(work: Work, name: str) -> int | None:
    """End the grounds of one portion of people; how many that were, None when it is over. A transaction each.

    A tag that somebody else gave too stays. Grounds have no index by where they come from: they are gone through once,
    in the order in which they were given.
    """
    progress = work.db.get_one(Progress, name, with_for_update=True)
    after, upto = progress.at["after"], progress.at["upto"]
    if progress.state != RUNNING or after >= upto:
        progress.state, progress.changed_at = DONE, work.now
        return None
    source, last = name.removeprefix(TAKING_BACK), min(after + LOOKED_AT, upto)
    own = (TagGround.id > after, TagGround.id <= last, TagGround.source == LINK, TagGround.source_id == source)
    asked = select(TagGround.id, TagGround.tag_id, TagGround.person_id).where(*own).order_by(TagGround.id)
    rows = work.db.execute(asked.limit(AT_ONCE)).all()
    found: dict[int, list[int]] = {}
    for _, tag_id, person_id in rows:
        found.setdefault(tag_id, []).append(person_id)
    for tag_id, people in found.items():
        tags.withdraw(work, people, work.db.get_one(Tag, tag_id), LINK, source)
    progress.at = {"after": rows[-1].id if len(rows) == AT_ONCE else last, "upto": upto}
    progress.done, progress.changed_at = progress.done + len(rows), work.now
    return len(rows)

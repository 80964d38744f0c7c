"""The job that gives and takes the labels of points: once a day, a portion of people a transaction."""

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, false, or_, select

from insight import labels, segments
from insight.labels import LABELS, Label, Settings
from storage.database import reading, transaction
from storage.tables import Person, Tag, TagGround
from storage.work import Work
from tagging import tags
from tagging.tags import Ground

if TYPE_CHECKING:
    from scheduler.timetable import Hands

PORTION = 200
SOURCE = "points"


def put_labels(hands: "Hands") -> str:
    """Give each label that is on to whoever fits, take it from whoever does not; of what is off from everybody."""
    with reading(hands.engine) as db:
        own = labels.settings(db)
    given = taken = 0
    for label in LABELS:
        more = True
        while more and not hands.stopping():
            with transaction(hands.engine) as db:
                new, gone, more = _put(hands.work(db, "put labels"), label, own)
            given, taken = given + new, taken + gone
    return f"labels given: {given}, taken: {taken}"


def _put(work: Work, label: Label, own: Settings) -> tuple[int, int, bool]:
    """A portion: how many got it, how many lost it, and whether there may be more."""
    asked = segments.question(work.db, work.now, work.zone)
    numbers = own.numbers[label.key]
    is_on, source_id = label.key in own.on, labels.ground_of(label, numbers)
    fits = segments.condition(label.tree(numbers), asked)
    has = select(TagGround.person_id).where(TagGround.source == SOURCE, TagGround.source_id == source_id)
    lacking = select(Person).where(fits, Person.id.not_in(has)).order_by(Person.id).limit(PORTION)
    new = list(work.db.scalars(lacking)) if is_on else []
    if new:
        tag = tags.tag_named(work, labels.GROUP, label.name)
        for person in new:
            tags.give(work, person, tag, Ground(SOURCE, label.because(numbers), source_id))
    gone = _over(work, label, source_id, fits if is_on else false())
    for tag_id, ground in sorted({(tag_id, ground) for _, tag_id, ground in gone}):
        people = [person_id for person_id, *which in gone if which == [tag_id, ground]]
        tags.withdraw(work, people, work.db.get_one(Tag, tag_id), SOURCE, ground)
    return len(new), len(gone), len(new) == PORTION or len(gone) == PORTION


def _over(work: Work, label: Label, source_id: str, fits: ColumnElement[bool]) -> list[tuple[int, int, str]]:
    """Who has it and does not fit, or has it by other numbers: person, tag and ground."""
    mine = TagGround.source_id.startswith(f"label:{label.key}:", autoescape=True)
    still = select(Person.id).where(fits)
    old = or_(TagGround.source_id != source_id, TagGround.person_id.not_in(still))
    own = select(TagGround.person_id, TagGround.tag_id, TagGround.source_id)
    own = own.where(TagGround.source == SOURCE, mine, old).order_by(TagGround.person_id).limit(PORTION)
    return [(person_id, tag_id, ground) for person_id, tag_id, ground in work.db.execute(own)]

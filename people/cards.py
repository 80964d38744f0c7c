"""Many customers at once, each with identities, relations and tags: what a list of the API shows, in few questions."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from people import stages
from people.access import Sight
from people.directory import TagOnPerson, tags_on
from storage.tables import Channel, Identity, Person, Relation


@dataclass(frozen=True)
class Card:
    """One customer."""

    person: Person
    identities: list[Identity]
    relations: list[Relation]
    tags: list[TagOnPerson]
    channels: dict[int, str]
    """The codes of the channels named by the relations."""

    @property
    def stage(self) -> str:
        """new, active, half or lost."""
        return stages.stage_of(one.state for one in self.relations)

    def known_as(self, type_: str) -> str | None:
        """The (first) identity of a type."""
        return next((one.value for one in self.identities if one.type == type_), None)


def cards(db: Session, sight: Sight, people: Sequence[Person]) -> list[Card]:
    """The cards of these people, in their order; four questions however many they are."""
    ids = [one.id for one in people]
    identities: dict[int, list[Identity]] = defaultdict(list)
    for one in db.scalars(select(Identity).where(Identity.person_id.in_(ids)).order_by(Identity.id)):
        identities[one.person_id].append(one)
    relations: dict[int, list[Relation]] = defaultdict(list)
    own = select(Relation).where(Relation.person_id.in_(ids), sight.reps(Relation.userid.expression))
    for relation in db.scalars(own.order_by(Relation.added_at, Relation.id)):
        relations[relation.person_id].append(relation)
    named = {one.channel_id for some in relations.values() for one in some if one.channel_id is not None}
    codes = dict(db.execute(select(Channel.id, Channel.code).where(Channel.id.in_(named))).all())
    tags = tags_on(db, ids)
    return [Card(one, identities[one.id], relations[one.id], tags.get(one.id, []), codes) for one in people]

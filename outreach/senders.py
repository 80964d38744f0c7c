"""From which rep a person hears: the owner, if that relation is alive, else the rep who has them since last.

Only a rep who serves (who can confirm a task, and has a list) is asked. One rule in one place: broadcasts ask it of
many inside their own statement (``relation``), journeys of one person, standing occasions of some hundred.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from insight.fields import ENDED, LIVING
from storage.tables import Member, Person, Relation


def relation(*within: ColumnElement[bool]) -> ColumnElement[int]:
    """The id of the relation over which a ``Person`` of the statement around is written to; null: nobody can.

    ``within``: conditions on ``Relation`` that narrow from whom it may come.
    """
    reps = select(Member.userid).where(Member.serves.is_(True), Member.left_at.is_(None))
    serving = Relation.userid.in_(reps).is_(True)  # so PostgreSQL reads the members once, not again for each person
    own = select(Relation.id).where(Relation.person_id == Person.id, Relation.state == "active", serving, *within)
    youngest = own.order_by(Relation.added_at.desc().nulls_last(), Relation.id.desc()).limit(1)
    # By the person, never by the rep: whoever looks a rep's thousands of relations up for each person never ends.
    owners = youngest.where(Relation.userid.concat("") == Person.owner)
    return func.coalesce(owners.correlate(Person).scalar_subquery(), youngest.correlate(Person).scalar_subquery())


def sender_of(db: Session, person: Person) -> Relation | None:
    """The relation over which one person is written to; None: nobody can."""
    sender = aliased(Relation)
    own = select(sender).join(Person, sender.id == relation()).where(Person.id == person.id)
    return db.scalars(own).one_or_none()


def reps_of(db: Session, person_ids: Collection[int]) -> dict[int, str]:
    """By which rep each of some hundred people is written to; those whom nobody can are not in it."""
    sender = aliased(Relation)
    own = select(Person.id, sender.userid).join(sender, sender.id == relation())
    return dict(db.execute(own.where(Person.id.in_(person_ids))).all())


def is_lost() -> ColumnElement[bool]:
    """The condition on ``Person`` that holds for those whom somebody had, and nobody has any more."""

    def some(*states: str) -> ColumnElement[bool]:
        return exists().where(Relation.person_id == Person.id, Relation.state.in_(states))

    return and_(some(*ENDED), ~some(*LIVING))

"""From which rep a person hears: the owner, if that relation is alive, else the rep who has them since last."""

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.orm import Session

from insight.fields import ENDED, LIVING
from storage.tables import Member, Person, Relation


def sender_of(db: Session, person: Person) -> Relation | None:
    """The relation over which one person is written to (``audience`` asks the same of many); None: nobody can."""
    served = (Member.serves.is_(True), Member.left_at.is_(None), Relation.state == "active")
    own = (
        select(Relation).join(Member, Member.userid == Relation.userid).where(Relation.person_id == person.id, *served)
    )
    youngest = own.order_by((Relation.userid == person.owner).desc(), Relation.added_at.desc(), Relation.id.desc())
    return db.scalars(youngest.limit(1)).one_or_none()


def is_lost() -> ColumnElement[bool]:
    """The condition on ``Person`` that holds for those whom somebody had, and nobody has any more."""

    def some(*states: str) -> ColumnElement[bool]:
        return exists().where(Relation.person_id == Person.id, Relation.state.in_(states))

    return and_(some(*ENDED), ~some(*LIVING))

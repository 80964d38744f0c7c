"""Whose points stand where: each anchor of a person has an account of its own, and the person is all of them together.

So nothing is rewritten when two turn out to be one person, or one turns out to be two (loyalty.md §6.3). Who the
anchors of a person are, ``people.persons.anchors`` says.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from loyalty.ledger import book, standing
from loyalty.ledger.standing import Standing
from storage.tables import Person, PointsAccount
from storage.work import Work


def accounts_of(db: Session, person_ids: Sequence[int]) -> Sequence[int]:
    """The ids of the accounts of these people, in ascending order; empty when none was opened."""
    return list(_whose(db, person_ids))


def by_person(db: Session, person_ids: Collection[int]) -> dict[int, int]:
    """The accounts there are of these anchors, by anchor."""
    return {person_id: account_id for account_id, person_id in _whose(db, sorted(person_ids)).items()}


def _whose(db: Session, person_ids: Sequence[int]) -> Mapping[int, int]:
    """The person of each account."""
    own = select(PointsAccount.id, PointsAccount.person_id).where(PointsAccount.person_id.in_(person_ids))
    return {account_id: person_id or 0 for account_id, person_id in db.execute(own.order_by(PointsAccount.id))}


def owing_together(db: Session, account_ids: Collection[int]) -> list[list[int]]:
    """All accounts of each person who has one of these, several in all, and owes by one of them."""
    head = func.coalesce(Person.merged_into, Person.id)
    theirs = select(head).join(PointsAccount, PointsAccount.person_id == Person.id)
    heads = set(db.scalars(theirs.where(PointsAccount.id.in_(account_ids))))
    own = select(head, PointsAccount.id, PointsAccount.debt).join(PointsAccount, PointsAccount.person_id == Person.id)
    found: dict[int, list[tuple[int, int]]] = {}
    for person, account_id, debt in db.execute(own.where(or_(Person.id.in_(heads), Person.merged_into.in_(heads)))):
        found.setdefault(person, []).append((account_id, debt))
    return [sorted(one for one, _ in some) for some in found.values() if len(some) > 1 and any(d for _, d in some)]


def open_account(work: Work, person_id: int) -> int:
    """The id of an anchor's account, made when there is none."""
    return book.open_account(work, person_id).id


def standing_of(db: Session, person_ids: Sequence[int], at: datetime) -> Standing:
    """What these anchors of one person have together at a moment, in points; nothing where there is no account."""
    return standing.standing(db, accounts_of(db, person_ids), at)


def standings(db: Session, people: Mapping[int, Sequence[int]], at: datetime) -> dict[int, Standing]:
    """The same of many people at once, each by its anchors, in two questions."""
    whose = _whose(db, sorted({one for some in people.values() for one in some}))
    per_account = standing.parts(db, list(whose))
    of_anchor: dict[int, list[int]] = {}
    for account_id, person_id in whose.items():
        of_anchor.setdefault(person_id, []).append(account_id)
    return {
        person: standing.together([per_account[one] for each in anchors for one in of_anchor.get(each, ())], at)
        for person, anchors in people.items()
    }

"""Customers who are our own people (自己人): the shop tells their phone numbers and unionids.

They buy and collect points like anybody; where points go to them, whoever decides or looks after the books sees it.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from storage import shop_settings
from storage.tables import Identity, Person
from storage.work import Work

SETTING = "points_staff"
MOST = 5_000


def known(db: Session) -> list[str]:
    """The phone numbers and unionids, as the shop has told them."""
    return list(shop_settings.read(db, SETTING).get("known", []))


def tell(work: Work, values: Iterable[str], *, by: str) -> None:
    """Say which they are; the first 5,000 that are not empty."""
    kept = list(dict.fromkeys(one.strip() for one in values if one.strip()))[:MOST]
    shop_settings.keep(work.db, SETTING, {"known": kept}, by=by, at=work.now)


def owns(
    anchor: InstrumentedAttribute[int] | InstrumentedAttribute[int | None], values: Collection[str]
) -> ColumnElement[bool]:
    """The condition that an anchor has one of these values."""
    ids = exists().where(
        Identity.person_id == anchor, Identity.type.in_(("phone", "unionid")), Identity.value.in_(values)
    )
    own = aliased(Person)
    return or_(ids, exists().where(own.id == anchor, own.phone.in_(values)))


def among(db: Session, heads: Collection[int]) -> set[int]:
    """Who of these people is one of ours, by any of their anchors."""
    values = known(db)
    if not values or not heads:
        return set()
    head = func.coalesce(Person.merged_into, Person.id)
    return set(db.scalars(select(head).where(head.in_(heads), owns(Person.id, values))))

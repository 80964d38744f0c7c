"""Orders and refunds as the console lists them, within what the viewer may see. Newest first, page by page.

Orders of nobody are seen by those who see everybody: they are nobody's customers yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from people.access import Sight
from people.orders import ASIDE, CONTESTED, EFFECTIVE, LEFT, PARKED, WAITING
from storage.tables import OrderSource, Person, Refund, ShopOrder
from storage.tables.orders import UNDONE as NOT_DONE

Cursor = tuple[datetime, int]
UNDONE = (WAITING, PARKED, ASIDE, CONTESTED)
"""States in which somebody is to look at a refund."""
NOBODYS, REFUNDED = "nobodys", "refunded"


@dataclass(frozen=True)
class Asked:
    """Which orders."""

    q: str = ""
    """An order number, or the beginning of a person's name."""
    source: str = ""
    store: str = ""
    state: str = ""
    """nobodys, refunded, or all."""
    person_id: int | None = None
    paid: tuple[datetime, datetime] | None = None
    """Paid from the first of these moments (UTC) on, and before the second."""


def page(
    db: Session, sight: Sight, asked: Asked, *, limit: int, after: Cursor | None = None
) -> tuple[list[tuple[ShopOrder, Person | None]], Cursor | None]:
    """Orders with whose they are, and where the next page begins (None at the end)."""
    own = select(ShopOrder, Person).outerjoin(Person, Person.id == ShopOrder.person_id).where(*_where(sight, asked))
    if after is not None:
        at, number = after
        own = own.where(or_(ShopOrder.paid_at < at, and_(ShopOrder.paid_at == at, ShopOrder.id < number)))
    rows: list[tuple[ShopOrder, Person | None]] = [(order, person) for order, person in db.execute(
        own.order_by(ShopOrder.paid_at.desc(), ShopOrder.id.desc()).limit(limit + 1))]  # fmt: skip
    more = len(rows) > limit
    return rows[:limit], (rows[limit - 1][0].paid_at, rows[limit - 1][0].id) if more else None


def _where(sight: Sight, asked: Asked) -> list[ColumnElement[bool]]:
    where = [] if sight.everybody else [ShopOrder.person_id.is_not(None), sight.people()]
    if asked.q:
        named = Person.name.startswith(asked.q, autoescape=True)
        where.append(or_(ShopOrder.order_no == asked.q, named))
    if asked.source:
        where.append(ShopOrder.source == asked.source)
    if asked.store:
        where.append(ShopOrder.store == asked.store)
    if asked.state == NOBODYS:
        where.append(ShopOrder.person_id.is_(None))
    if asked.state == REFUNDED:
        where.append(ShopOrder.refunded > 0)
    if asked.person_id is not None:
        where.append(ShopOrder.person_id == asked.person_id)
    if asked.paid is not None:
        where += [ShopOrder.paid_at >= asked.paid[0], ShopOrder.paid_at < asked.paid[1]]
    return where


def one(db: Session, sight: Sight, order_id: int) -> tuple[ShopOrder, Person | None] | None:
    """One order and whose it is, if the viewer may see it."""
    own = select(ShopOrder, Person).outerjoin(Person, Person.id == ShopOrder.person_id)
    found = db.execute(own.where(ShopOrder.id == order_id, *_where(sight, Asked()))).one_or_none()
    return None if found is None else (found[0], found[1])


def refunds_of(db: Session, order_id: int) -> Sequence[Refund]:
    """What came back of an order, the oldest first."""
    own = select(Refund).where(Refund.order_id == order_id, Refund.state.in_(EFFECTIVE))
    return db.scalars(own.order_by(Refund.refunded_at, Refund.id)).all()


def without_effect(db: Session, order: ShopOrder) -> Sequence[Refund]:
    """Refunds that name this order and have taken nothing of it: waiting, aside, left, or on another one."""
    states = Refund.state.in_((WAITING, ASIDE, CONTESTED, LEFT))
    own = select(Refund).where(NOT_DONE, states, Refund.source == order.source, Refund.order_no == order.order_no)
    return db.scalars(own.order_by(Refund.refunded_at, Refund.id)).all()


def undone(db: Session, state: str, *, limit: int, before: int | None = None) -> tuple[list[Refund], int | None]:
    """Refunds that somebody is to look at, newest first; the id before which the next page lies.

    ``state``: those of one, also those that were left; else all that are open.
    """
    states = [state] if state in (*UNDONE, LEFT) else list(UNDONE)
    own = select(Refund).where(Refund.state.in_(states))
    if before is not None:
        own = own.where(Refund.id < before)
    rows = list(db.scalars(own.order_by(Refund.id.desc()).limit(limit + 1)))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def undone_counts(db: Session) -> dict[str, int]:
    """How many refunds wait, are parked, are set aside, and are contested; read off the index of those not done."""
    own = select(Refund.state, func.count()).where(Refund.state.in_(UNDONE), NOT_DONE).group_by(Refund.state)
    return {state: int(count) for state, count in db.execute(own)}


def by_id(db: Session, order_ids: Iterable[int | None]) -> dict[int, ShopOrder]:
    """These orders."""
    own = select(ShopOrder).where(ShopOrder.id.in_({one for one in order_ids if one}))
    return {one.id: one for one in db.scalars(own)}


def numbers(db: Session, order_ids: Iterable[int | None]) -> dict[int, str]:
    """The numbers of these orders."""
    own = select(ShopOrder.id, ShopOrder.order_no).where(ShopOrder.id.in_({one for one in order_ids if one}))
    return dict(db.execute(own).all())


def sources(db: Session) -> Sequence[OrderSource]:
    """Every source, the one that was heard last first."""
    return db.scalars(select(OrderSource).order_by(OrderSource.last_at.desc(), OrderSource.name)).all()

"""Points given from one customer to another (转赠): given, accepted, declined, as the shop's limits allow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from secrets import token_hex
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session

from api import here, paging
from api.customers import anchor_named, person_named
from api.operations import Call, Reply
from api.points import CustomerId, Points, paying, refused
from api.problems import CONFLICT, Problem, not_found
from api.rewards import number_of, owner_of
from api.shapes import Asked, Line, Paged, Shape, example
from loyalty import accounts, transfers
from loyalty.transfers import OPEN, STATES, CannotGive, Party
from people import persons
from storage.database import reading
from storage.tables import Gift

PREFIX = "g_"
WHY_NOT: Mapping[str, str] = {
    "off": "the shop lets nobody give points",
    "oneself": "nobody gives points to themselves",
    "new": "the customer is new",
    "phone": "the customer's phone number is new",
    "day_limit": "a day allows no more",
    "over": "it is decided already",
    "gone": "its points have expired since, or whoever gives owes them",
    "unknown": "there is nobody to accept it",
}
"""In words, what ``reason`` says to programs."""


class GiftAsked(Asked):
    """Who gives whom how much."""

    model_config = example({"customer_id": "p_17", "to_customer_id": "p_18", "points": 100})
    customer_id: CustomerId
    to_customer_id: CustomerId
    points: Points


class GiftShape(Shape):
    """Points that one customer gives another."""

    id: str = Field(examples=["g_3"])
    customer_id: str | None = Field(description="Who gives; null: erased.")
    to_customer_id: str | None = Field(
        description="Who gets it; null: erased, or sent from the customer's own page to a number nobody is known by."
    )
    points: int
    state: str = Field(
        json_schema_extra={"enum": list(STATES)},
        description="open: waits to be accepted, also where it was sent to a number and declined: whoever gives is not "
        "told before its time is over; done; declined; released: nobody accepted in time.",
    )
    made_at: datetime
    until: datetime = Field(description="While it is open: until then it can be accepted.")
    ended_at: datetime | None


class GiftPage(Shape):
    """Gifts, the newest first."""

    items: list[GiftShape]
    next_cursor: str | None


class GiftsQuery(Paged):
    """Which of them."""

    customer_id: Annotated[Line, Field(max_length=64, description="From or to this customer.")] = ""
    state: Annotated[str, StringConstraints(pattern=f"^({'|'.join(STATES)})$")] | None = None


@contextmanager
def _within_limits() -> Iterator[None]:
    """What the limits refuse, as problems with their ``reason`` and its facts."""
    try:
        with refused():
            yield
    except CannotGive as error:
        facts = {name: here.local(one).isoformat() if isinstance(one, datetime) else one
                 for name, one in error.facts.items()}  # fmt: skip
        raise Problem(CONFLICT, WHY_NOT[error.code], more={"reason": error.code, **facts}) from None


def list_gifts(call: Call, query: GiftsQuery) -> Reply:
    """What customers have given each other, the newest first."""
    place = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        own = None
        if query.customer_id:
            own = accounts.accounts_of(db, persons.anchors(db, person_named(db, query.customer_id).id))
        found, following = transfers.listed(
            db, state=query.state or "", account_ids=own, limit=query.limit, before=place[0] if place else None
        )
        items = [_shape(db, one) for one in found]
    return Reply(200, GiftPage(items=items, next_cursor=paging.encode(following) if following else None))


def get_gift(call: Call, gift_id: str) -> Reply:
    """One gift as it stands."""
    with reading(here.engine()) as db:
        return Reply(200, _shape(db, _named(db, gift_id)))


def give_points(call: Call, body: GiftAsked) -> Reply:
    """Give points to another customer: at once, or once they accept, as the shop has set it.

    Within the shop's limits; a refusal says its `reason`, with `until` or `left`. What was received cannot be given on.
    """
    with _within_limits(), call.work() as work:
        person, own = paying(work, body.customer_id, body.points)
        other = persons.head_of(work.db, person_named(work.db, body.to_customer_id))
        account = accounts.open_account(work, anchor_named(work.db, body.to_customer_id, other))
        sender = Party(persons.anchors(work.db, person.id), own)
        receiver = Party(persons.anchors(work.db, other.id), [account])
        key = f"api:{call.key.id}:{token_hex(12)}"
        row = transfers.give(work, sender, receiver, body.points, key, by=call.actor)
        call.note(work, "gift.give", persons.public_id(person.id), {"count": row.points})
        return call.keep(work, Reply(201, _shape(work.db, row)))


def accept_gift(call: Call, gift_id: str) -> Reply:
    """In the name of whoever gets it, with the end the points have; again: no change. What has expired is refused."""
    return _settled(call, gift_id, accepts=True)


def decline_gift(call: Call, gift_id: str) -> Reply:
    """In the name of whoever was to get it; again: no change.

    The points come back at once; of what was sent to a number when its time is over, so that nothing shows whose it is.
    """
    return _settled(call, gift_id, accepts=False)


def _settled(call: Call, gift_id: str, *, accepts: bool) -> Reply:
    with _within_limits(), call.work() as work:
        row = _named(work.db, gift_id)
        receiver = [row.receiver_id] if row.receiver_id is not None else []
        settle = transfers.accept if accepts else transfers.decline
        done = settle(work, row.id, receiver, by=call.actor)
        details = {"count": done.points}
        call.note(
            work, "gift.accept" if accepts else "gift.decline", owner_of(work.db, done.receiver_id) or "", details
        )
        return call.keep(work, Reply(200, _shape(work.db, done)))


def _named(db: Session, gift_id: str) -> Gift:
    number = number_of(gift_id, PREFIX)
    row = db.get(Gift, number) if number is not None else None
    if row is None:
        raise not_found("gift")
    return row


def _shape(db: Session, row: Gift) -> GiftShape:
    return GiftShape(
        id=f"{PREFIX}{row.id}",
        customer_id=owner_of(db, row.sender_id),
        to_customer_id=owner_of(db, row.receiver_id),
        points=row.points,
        state=row.state,
        made_at=here.local(row.made_at),
        until=here.local(row.until),
        ended_at=None if row.ended_at is None or row.state == OPEN else here.local(row.ended_at),
    )

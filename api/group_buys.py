"""Rewards that customers get together for fewer points (拼团): begun, joined, looked at."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from secrets import token_hex
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session

from api import here, paging
from api.operations import Call, Reply
from api.points import CustomerId, paying, refused
from api.problems import CONFLICT, Problem, invalid, not_found
from api.rewards import number_of
from api.shapes import Asked, Line, Paged, Shape, example
from loyalty import group_buys, reward_desk, rewards
from loyalty.group_buys import STATES, CannotJoin
from people import persons
from storage.database import reading
from storage.tables import GroupBuy, Reward

PREFIX = "gb_"
WHY_NOT: Mapping[str, str] = {
    "off": "the shop lets nobody begin a group",
    "kind": "this kind of reward is not got together",
    "no_group": "there is no such group",
    "over": "the group has ended",
}
"""In words, what ``reason`` says to programs."""


class GroupAsked(Asked):
    """Who begins a group, and for which reward."""

    model_config = example({"customer_id": "p_17", "reward_id": "rw_3"})
    customer_id: CustomerId
    reward_id: Annotated[Line, Field(min_length=1, max_length=40)]


class SeatAsked(Asked):
    """Who joins."""

    model_config = example({"customer_id": "p_18"})
    customer_id: CustomerId


class SeatShape(Shape):
    """One who has joined."""

    customer_id: str | None = Field(description="Null: erased.")
    at: datetime
    redemption_id: str | None = Field(description="What they got for it, once the group is full.", examples=["rd_17"])


class GroupShape(Shape):
    """A group for a reward."""

    id: str = Field(examples=["gb_3"])
    code: str = Field(description="By which others find it on their own pages.", examples=["ABCD-2345"])
    reward_id: str
    seats: int = Field(description="So many customers it takes.")
    points: int = Field(description="What each pays once it is full; set apart until then.")
    state: str = Field(
        json_schema_extra={"enum": list(STATES)},
        description="open; done: full; failed: not full in time, all came back.",
    )
    made_at: datetime
    deadline: datetime
    ended_at: datetime | None
    joined: list[SeatShape] = Field(description="The seats that count, in the order they were taken.")


class GroupPage(Shape):
    """Groups, the newest first."""

    items: list[GroupShape]
    next_cursor: str | None


class GroupsQuery(Paged):
    """Which of them."""

    state: Annotated[str, StringConstraints(pattern=f"^({'|'.join(STATES)})$")] | None = None


@contextmanager
def _on_terms() -> Iterator[None]:
    """What the terms refuse, as problems with their ``reason``."""
    try:
        with refused():
            yield
    except CannotJoin as error:
        raise Problem(CONFLICT, WHY_NOT[error.code], more={"reason": error.code, **error.facts}) from None


def list_groups(call: Call, query: GroupsQuery) -> Reply:
    """Every group, the newest first."""
    place = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        before = place[0] if place else None
        found, following = group_buys.listed(db, state=query.state or "", limit=query.limit, before=before)
        items = [_shape(db, one) for one in found]
    return Reply(200, GroupPage(items=items, next_cursor=paging.encode(following) if following else None))


def get_group(call: Call, group_id: str) -> Reply:
    """One group as it stands."""
    with reading(here.engine()) as db:
        return Reply(200, _shape(db, _named(db, group_id)))


def begin_group(call: Call, body: GroupAsked) -> Reply:
    """Begin a group for a reward and take its first seat; the points are set apart until it is full or its time over.

    A refusal says its `reason`, as for redemptions of rewards.
    """
    with _on_terms(), call.work() as work:
        number = number_of(body.reward_id, "rw_")
        reward = work.db.get(Reward, number) if number is not None else None
        if reward is None or reward.state == reward_desk.DRAFT:
            raise invalid([(("body", "reward_id"), "not known")])
        price = group_buys.price(reward, group_buys.terms(work.db))
        person, own = paying(work, body.customer_id, price)
        key = f"api:{call.key.id}:{token_hex(12)}"
        row = group_buys.begin(work, persons.anchors(work.db, person.id), own, reward.id, key, by=call.actor)
        call.note(work, "group.begin", persons.public_id(person.id), {"reward": reward.id, "count": row.points})
        return call.keep(work, Reply(201, _shape(work.db, row)))


def join_group(call: Call, group_id: str, body: SeatAsked) -> Reply:
    """Take a seat, once a customer; with the last one everybody has a redemption to pick up."""
    with _on_terms(), call.work() as work:
        row = _named(work.db, group_id)
        person, own = paying(work, body.customer_id, row.points)
        group_buys.join(work, persons.anchors(work.db, person.id), own, row.id, by=call.actor)
        work.db.refresh(row)
        call.note(work, "group.join", persons.public_id(person.id), {"count": row.points})
        return call.keep(work, Reply(200, _shape(work.db, row)))


def _named(db: Session, group_id: str) -> GroupBuy:
    number = number_of(group_id, PREFIX)
    row = db.get(GroupBuy, number) if number is not None else None
    if row is None:
        raise not_found("group")
    return row


def _shape(db: Session, row: GroupBuy) -> GroupShape:
    return GroupShape(
        id=f"{PREFIX}{row.id}",
        code=rewards.spelt(row.code),
        reward_id=f"rw_{row.reward_id}",
        seats=row.seats,
        points=row.points,
        state=row.state,
        made_at=here.local(row.made_at),
        deadline=here.local(row.deadline),
        ended_at=None if row.ended_at is None else here.local(row.ended_at),
        joined=[
            SeatShape(
                customer_id=None if person is None else persons.public_id(person),
                at=here.local(seat.made_at),
                redemption_id=None if seat.redemption_id is None else f"rd_{seat.redemption_id}",
            )
            for seat, person in group_buys.seats_of(db, row.id)
        ],
    )

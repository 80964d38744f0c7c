"""Rewards: what points can be spent on, and what became of something that was redeemed."""

from datetime import datetime

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import here
from api.operations import Call, Reply
from api.problems import not_found
from api.shapes import Shape
from loyalty import rewards, tiers
from people import persons
from storage.database import reading
from storage.tables import Person, PointsAccount, Redemption, Reward


class RewardShape(Shape):
    """Something that can be redeemed now, unless its stock is 0."""

    id: str = Field(examples=["rw_3"])
    name: str
    kind: str = Field(json_schema_extra={"enum": list(rewards.KINDS)})
    about: str
    points: int
    stock: int | None = Field(description="How many are left; null: as many as are wanted.")
    per_person: int | None = Field(description="So many one customer can have in all.")
    per_day: int | None = Field(description="So many all customers together can have on one of the shop's days.")
    stores: list[str] = Field(description="Where it is handed out; empty: in every store.")
    until: datetime | None = Field(description="It can be redeemed before then; null: without end.")
    tier: str | None = Field(description="The tier that one needs at least.")
    days: int = Field(description="So many days there are to pick it up.")


class RewardPage(Shape):
    """The catalogue, the cheapest first."""

    items: list[RewardShape]


class RedemptionShape(Shape):
    """What was spent, and what is left."""

    id: str = Field(examples=["x_878398122012345", "rd_17"])
    customer_id: str | None
    points: int
    available: int
    reward_id: str | None = None
    state: str = Field(
        default="used",
        json_schema_extra={"enum": list(rewards.STATES)},
        description="open: set apart until it is handed out; used; returned; released: nobody came for it.",
    )
    code: str | None = Field(default=None, description="What the customer shows at the counter, while it is open.")
    coupon: str | None = Field(default=None, description="Of a coupon: its code, for the customer alone.")
    until: datetime | None = Field(default=None, description="Until then it can be picked up.")
    store: str | None = Field(default=None, description="Where it was handed out.")


def list_rewards(call: Call) -> Reply:
    """What can be redeemed now, the cheapest first; also what is sold out."""
    with reading(here.engine()) as db:
        return Reply(200, RewardPage(items=[_reward(db, one) for one in rewards.catalogue(db, here.now())]))


def _reward(db: Session, row: Reward) -> RewardShape:
    level = next((one.key for one in tiers.scheme(db).levels if row.level and one.key == row.level), None)
    return RewardShape(
        id=f"rw_{row.id}",
        name=row.name,
        kind=row.kind,
        about=row.about,
        points=row.points,
        stock=row.stock,
        per_person=row.per_person,
        per_day=row.per_day,
        stores=list(row.stores),
        until=None if row.to_at is None else here.local(row.to_at),
        tier=level,
        days=row.days,
    )


def number_of(public: str, prefix: str) -> int | None:
    """The number behind ``rw_3``; None where it is none."""
    digits = public.removeprefix(prefix)
    fits = public.startswith(prefix) and digits.isascii() and digits.isdecimal() and len(digits) <= 18
    return int(digits) if fits else None


def shape_of(db: Session, row: Redemption, available: int) -> RedemptionShape:
    """A redemption of a reward as it stands."""
    is_open = row.state == rewards.OPEN
    return RedemptionShape(
        id=f"rd_{row.id}",
        customer_id=owner_of(db, row.account_id),
        points=row.points,
        available=available,
        reward_id=f"rw_{row.reward_id}",
        state=row.state,
        code=rewards.spelt(row.code) if is_open else None,
        coupon=rewards.coupon_of(db, row.id) if row.state == rewards.USED else None,
        until=here.local(row.until) if is_open else None,
        store=row.store or None,
    )


def owner_of(db: Session, account_id: int | None) -> str | None:
    """The customer of an account; None where there is none, or they were erased."""
    anchor = db.scalar(select(PointsAccount.person_id).where(PointsAccount.id == account_id))
    return None if anchor is None else persons.public_id(persons.head_of(db, db.get_one(Person, anchor)).id)


def row_named(db: Session, redemption_id: str) -> Redemption:
    """Raises ``Problem``."""
    number = number_of(redemption_id, "rd_")
    row = db.get(Redemption, number) if number is not None else None
    if row is None:
        raise not_found("redemption")
    return row

"""Points: what a customer has and how it came to that, spent at once or in two steps."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from secrets import token_hex
from typing import Annotated, Any

from pydantic import AwareDatetime, Field
from sqlalchemy.orm import Session

from api import here, paging
from api.customers import anchor_named, person_named, points_of
from api.operations import Call, Reply
from api.problems import CONFLICT, HOLD_SETTLED, IN_DEBT, NOT_CONFIRMED, NOT_ENOUGH, Problem, invalid, not_found
from api.rewards import RedemptionShape, number_of, row_named, shape_of
from api.shapes import Asked, Line, Paged, Shape, example, optional
from loyalty import accounts, programme, reward_desk, rewards
from loyalty.ledger import history, spend
from loyalty.ledger.book import About
from loyalty.ledger.history import Happening
from loyalty.ledger.lots import NotEnough
from people import joining, persons
from storage.database import reading
from storage.tables import Person, PointsAccount, PointsHold, Reward
from storage.tables.orders import reference
from storage.work import Work

MOST = 100_000_000
USUAL, LONGEST = timedelta(hours=24), timedelta(days=30)
CustomerId = Annotated[Line, Field(min_length=1, max_length=64, examples=["p_17"])]
Points = Annotated[int, Field(ge=1, le=MOST)]
Reason = Annotated[Line, Field(max_length=200, description="Why; shown to the customer and in the console.")]


class MoveShape(Shape):
    """Points into (plus) or out of (minus) where they stand."""

    bucket: str = Field(json_schema_extra={"enum": ["pending", "available", "held", "debt"]})
    points: int
    lot: str
    activates_at: datetime
    last_day: date | None = Field(description="The last day of these points; null: they do not expire.")


class EntryShape(Shape):
    """One thing that happened to the customer's points, whole."""

    id: str
    kind: str = Field(examples=["award", "redeem", "hold", "capture", "give_back", "claw", "unclaw", "expire"])
    at: datetime
    points: int = Field(description="What it brought or took: available and pending together, less what became owed.")
    reason: str
    source: str = Field(examples=["order:pos-01:A1001"])
    actor: str
    reverses: str | None = Field(description="The entry that it settles or takes back.")
    rule_version: int | None
    moves: list[MoveShape]


class EntryPage(Shape):
    """What happened, newest first."""

    items: list[EntryShape]
    next_cursor: str | None


class EntriesQuery(Paged):
    """Page by page."""


class OrderNamed(Asked):
    """An order by its source and number."""

    source: Annotated[Line, Field(min_length=1, max_length=64, examples=["pos-01"])]
    order_no: Annotated[Line, Field(min_length=1, max_length=100, examples=["A1001"])]


class RedemptionAsked(Asked):
    """Points to spend at once, or a reward of the catalogue to spend them on."""

    model_config = example({"customer_id": "p_17", "points": 100, "reason": "满减券"})
    customer_id: CustomerId
    points: Points | None = None
    reward_id: Annotated[Line, Field(min_length=1, max_length=40)] | None = None
    reason: Reason = ""
    order: OrderNamed | None = Field(
        default=None, description="The order that they were spent on: what comes back of its money brings them back."
    )


class HoldAsked(Asked):
    """Points to set apart until it is decided."""

    model_config = example({"customer_id": "p_17", "points": 100, "purpose": "cart 4711"})
    customer_id: CustomerId
    points: Points
    purpose: Annotated[Line, Field(max_length=60, description="What for.")] = ""
    until: (
        Annotated[
            AwareDatetime,
            Field(strict=False, description="Released by itself then; in 24 hours if left out, 30 days at most."),
        ]
        | None
    ) = None


class HoldShape(Shape):
    """Points set apart."""

    id: str = Field(examples=["h_878398122012345"])
    customer_id: str | None
    points: int
    purpose: str
    until: datetime
    state: str = Field(json_schema_extra={"enum": ["open", "captured", "released"]})
    captured: int = Field(description="How many of them were spent.")


class CaptureAsked(Asked):
    """How many of the points that were set apart are spent; the rest comes back."""

    model_config = example({"points": 80})
    points: Points = optional("All of them, if left out.")


# --- reading ---------------------------------------------------------------------------------------------------------


def get_points(call: Call, customer_id: str) -> Reply:
    """What a customer has: what can be spent, what is pending, set apart or owed, and when which points expire."""
    with reading(here.engine()) as db:
        person = person_named(db, customer_id)
        return Reply(200, points_of(db, [person], here.now(), here.zone())[person.id])


def list_point_entries(call: Call, customer_id: str, query: EntriesQuery) -> Reply:
    """What happened to a customer's points, newest first."""
    place = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        own = _accounts(db, person_named(db, customer_id))
        found, following = history.page(db, own, limit=query.limit, before=place[0] if place else None)
        items = [_entry(one) for one in found]
    return Reply(200, EntryPage(items=items, next_cursor=paging.encode(following) if following else None))


def _entry(one: Happening) -> EntryShape:
    txn = one.txn
    return EntryShape(
        id=f"x_{txn.id}",
        kind=txn.kind,
        at=here.local(txn.effective_at),
        points=one.points,
        reason=txn.reason,
        source=txn.source,
        actor=txn.actor,
        reverses=f"x_{txn.reverses}" if txn.reverses is not None else None,
        rule_version=txn.rule_version,
        moves=[
            MoveShape(
                bucket=each.bucket,
                points=each.points,
                lot=f"l_{each.lot_id}",
                activates_at=here.local(each.activates_at),
                last_day=_last_day(each.expires_at),
            )
            for each in one.moves
        ],
    )


def _last_day(ends: datetime | None) -> date | None:
    return None if ends is None else here.local(ends - timedelta(microseconds=1)).date()


def _accounts(db: Session, person: Person) -> Sequence[int]:
    return accounts.accounts_of(db, persons.anchors(db, person.id))


# --- spending --------------------------------------------------------------------------------------------------------


WHY_NOT: Mapping[str, str] = {
    "no_reward": "there is no such reward",
    "not_live": "the reward is paused",
    "early": "the reward cannot be redeemed yet",
    "over": "the reward cannot be redeemed any more",
    "level": "the customer's tier is too low",
    "person_limit": "the customer has had as many as one can have",
    "day_limit": "as many as a day allows were redeemed today",
    "sold_out": "none is left",
}
"""In words, what ``reason`` says to programs."""


@contextmanager
def refused() -> Iterator[None]:
    """What the books and rewards refuse, as problems."""
    try:
        yield
    except NotEnough as error:
        raise Problem(NOT_ENOUGH, str(error), more={"available": error.available}) from None
    except spend.InDebt as error:
        raise Problem(IN_DEBT, str(error), more={"debt": error.debt}) from None
    except rewards.CannotRedeem as error:
        raise Problem(CONFLICT, f"{WHY_NOT[error.code]}", more={"reason": error.code}) from None


def paying(work: Work, customer_id: str, points: int) -> tuple[Person, Sequence[int]]:
    """Who it is, and the accounts they may spend from. Raises ``Problem`` and ``NotEnough``.

    What only a rep's word has joined to whoever is named is not spent (``joining.confirmed``).
    """
    person = persons.head_of(work.db, person_named(work.db, customer_id))
    sure = sorted(joining.confirmed(work.db, anchor_named(work.db, customer_id, person)))
    everybody = persons.anchors(work.db, person.id)
    if len(sure) < len(everybody):
        left = accounts.standing_of(work.db, sure, work.now).available
        if left < points <= accounts.standing_of(work.db, everybody, work.now).available:
            raise Problem(NOT_CONFIRMED, more={"available": left})
    if not (own := accounts.accounts_of(work.db, sure)):
        raise NotEnough(points, 0)
    return person, own


def _about(call: Call, work: Work, kind: str, reason: str = "", source: str = "") -> About:
    """A repetition is told by its Idempotency-Key, so that each request has a key of its own in the books."""
    return About(kind, f"api:{call.key.id}:{token_hex(12)}", work.now, call.actor, reason=reason, source=source)


def redeem_points(call: Call, body: RedemptionAsked) -> Reply:
    """Spend points at once: exactly so many, or none; or redeem a reward, whose price it is.

    The soonest to expire go first. A reward to be picked up is set apart, and spent when it is handed out.
    """
    if body.reward_id is not None:
        return _redeem_reward(call, body, body.reward_id)
    if body.points is None:
        raise invalid([(("body", "points"), "points or reward_id is needed")])
    with refused(), call.work() as work:
        person, own = paying(work, body.customer_id, body.points)
        order = reference("order", body.order.source, body.order.order_no) if body.order else ""
        about = _about(call, work, "redeem", body.reason, order)
        txn = spend.redeem(work, own, body.points, about, rewards.fits(None, work.now, work.zone))
        public = persons.public_id(person.id)
        call.note(work, "points.redeem", public, {"points": body.points, "txn": txn.id})
        shape = RedemptionShape(
            id=f"x_{txn.id}", customer_id=public, points=body.points, available=_left(work.db, person.id)
        )
        return call.keep(work, Reply(201, shape))


def _left(db: Session, person_id: int) -> int:
    return accounts.standing_of(db, persons.anchors(db, person_id), here.now()).available


def _redeem_reward(call: Call, body: RedemptionAsked, reward_id: str) -> Reply:
    if body.points is not None or body.order is not None:
        raise invalid([(("body", "reward_id"), "goes without points and without order")])
    with refused(), call.work() as work:
        number = number_of(reward_id, "rw_")
        reward = work.db.get(Reward, number) if number is not None else None
        if reward is None or reward.state == reward_desk.DRAFT:
            raise invalid([(("body", "reward_id"), "not known")])
        person, own = paying(work, body.customer_id, reward.points)
        everybody, key = persons.anchors(work.db, person.id), f"api:{call.key.id}:{token_hex(12)}"
        row = rewards.redeem(work, everybody, own, reward.id, key, by=call.actor)
        public = persons.public_id(person.id)
        call.note(work, "points.redeem", public, {"points": row.points, "redemption": row.id})
        return call.keep(work, Reply(201, shape_of(work.db, row, _left(work.db, person.id))))


def get_redemption(call: Call, redemption_id: str) -> Reply:
    """A redemption of a reward as it stands (``rd_…``); what was spent otherwise is among the entries."""
    with reading(here.engine()) as db:
        row = row_named(db, redemption_id)
        anchor = db.get_one(PointsAccount, row.account_id).person_id
        return Reply(200, shape_of(db, row, _left(db, anchor) if anchor is not None else 0))


def hold_points(call: Call, body: HoldAsked) -> Reply:
    """Set points apart: nobody else can spend them and they do not expire, until captured or released."""
    with refused(), call.work() as work:
        until = _until(body, work.now)
        person, own = paying(work, body.customer_id, body.points)
        txn = spend.hold(work, own, body.points, until, _about(call, work, "hold", source=body.purpose))
        public = persons.public_id(person.id)
        call.note(work, "points.hold", public, {"points": body.points, "hold": txn.id})
        return call.keep(work, Reply(201, _hold(work.db, _row(work, f"h_{txn.id}"))))


def _until(body: HoldAsked, now: datetime) -> datetime:
    until = body.until or now + USUAL
    if not now < until <= now + LONGEST:
        raise invalid([(("body", "until"), "must be in the future, at most 30 days away")])
    return until


def capture_hold(call: Call, hold_id: str, body: CaptureAsked) -> Reply:
    """Spend what was set apart, or so many points of it; the rest comes back."""
    return _settle(call, "capture", hold_id, body.points)


def release_hold(call: Call, hold_id: str) -> Reply:
    """Give back what was set apart. Points that expired meanwhile live three days longer."""
    return _settle(call, "release", hold_id, 0)


def _settle(call: Call, kind: str, hold_id: str, points: int | None) -> Reply:
    try:
        with call.work() as work:
            row = _row(work, hold_id)
            if points is not None and points > row.amount:
                raise invalid([(("body", "points"), f"at most {row.amount}: so many were set apart")])
            if rewards.settles(work.db, row):
                raise Problem(CONFLICT, "the hold is that of a redemption, a gift or a group: it is settled there")
            about = _about(call, work, kind)
            if kind == "release":
                spend.release(work, row.id, about, programme.release_grace(work))
            else:
                spend.capture(work, row.id, points, about, programme.release_grace(work))
            work.db.refresh(row)
            call.note(work, f"points.{kind}", hold_id, {"points": points})
            return call.keep(work, Reply(200, _hold(work.db, row, row.amount if points is None else points)))
    except spend.Settled:
        with reading(here.engine()) as db:
            state = db.get_one(PointsHold, _number(hold_id)).state
        raise Problem(HOLD_SETTLED, more={"state": state}) from None


def _number(hold_id: str) -> int:
    digits = hold_id.removeprefix("h_")
    if not (hold_id.startswith("h_") and digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        raise not_found("hold")
    return int(digits)


def _row(work: Work, hold_id: str) -> PointsHold:
    row = work.db.get(PointsHold, _number(hold_id), populate_existing=True)
    if row is None:
        raise not_found("hold")
    return row


def _hold(db: Session, row: PointsHold, captured: int = 0) -> HoldShape:
    person_id: Any = db.get_one(PointsAccount, row.account_id).person_id
    person = None if person_id is None else persons.head_of(db, db.get_one(Person, person_id))
    return HoldShape(
        id=f"h_{row.id}",
        customer_id=None if person is None else persons.public_id(person.id),
        points=row.amount,
        purpose=row.purpose,
        until=here.local(row.deadline),
        state=row.state,
        captured=captured,
    )

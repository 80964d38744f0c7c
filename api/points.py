"""Points: what a customer has and how it came to that, spent at once or in two steps."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from secrets import token_hex
from typing import Annotated, Any

from pydantic import AwareDatetime, Field
from sqlalchemy.orm import Session

from api import here, paging
from api.customers import anchor_named, person_named, points_of
from api.operations import Call, Reply
from api.problems import HOLD_SETTLED, IN_DEBT, NOT_CONFIRMED, NOT_ENOUGH, Problem, invalid, not_found
from api.shapes import Asked, Line, Paged, Shape, example, optional
from loyalty import accounts
from loyalty.ledger import history, spend
from loyalty.ledger.book import About
from loyalty.ledger.history import Happening
from loyalty.ledger.lots import NotEnough
from people import joining, persons
from storage.database import reading
from storage.tables import Person, PointsAccount, PointsHold
from storage.tables.orders import reference
from storage.work import Work

MOST = 100_000_000
GRACE = timedelta(days=3)
"""So long points live on that come back from a hold after their end."""
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
    kind: str = Field(examples=["award", "redeem", "hold", "capture", "release", "give_back", "claw", "expire"])
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


class RedemptionShape(Shape):
    """What was spent, and what is left."""

    id: str
    customer_id: str
    points: int
    available: int


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


@contextmanager
def _refused() -> Iterator[None]:
    """What the books refuse, as problems."""
    try:
        yield
    except NotEnough as error:
        raise Problem(NOT_ENOUGH, str(error), more={"available": error.available}) from None
    except spend.InDebt as error:
        raise Problem(IN_DEBT, str(error), more={"debt": error.debt}) from None


def _own(work: Work, customer_id: str, points: int) -> tuple[Person, Sequence[int]]:
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
    """Spend points at once: exactly so many, or none. The soonest to expire go first."""
    points = _asked_points(body)
    with _refused(), call.work() as work:
        person, own = _own(work, body.customer_id, points)
        order = reference("order", body.order.source, body.order.order_no) if body.order else ""
        txn = spend.redeem(work, own, points, _about(call, work, "redeem", body.reason, order))
        public = persons.public_id(person.id)
        call.note(work, "points.redeem", public, {"points": points, "txn": txn.id})
        left = accounts.standing_of(work.db, persons.anchors(work.db, person.id), work.now).available
        shape = RedemptionShape(id=f"x_{txn.id}", customer_id=public, points=points, available=left)
        return call.keep(work, Reply(201, shape))


def _asked_points(body: RedemptionAsked) -> int:
    """How many points. Raises ``Problem``: rewards are not known here yet, this is the place to look one up."""
    if body.reward_id is not None:
        raise invalid([(("body", "reward_id"), "not known")])
    if body.points is None:
        raise invalid([(("body", "points"), "points or reward_id is needed")])
    return body.points


def hold_points(call: Call, body: HoldAsked) -> Reply:
    """Set points apart: nobody else can spend them and they do not expire, until captured or released."""
    with _refused(), call.work() as work:
        until = _until(body, work.now)
        person, own = _own(work, body.customer_id, body.points)
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
            about = _about(call, work, kind)
            if kind == "release":
                spend.release(work, row.id, about, GRACE)
            else:
                spend.capture(work, row.id, points, about, GRACE)
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

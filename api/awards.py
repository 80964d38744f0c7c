"""Points given and corrected by hand: done at once where it is little, waiting for somebody else's word otherwise."""

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session

from api import here
from api.approvals import ApprovalShape, refusal, shown
from api.customers import person_named
from api.operations import Call, Reply
from api.shapes import Asked, Line, Shape, example
from loyalty import approvals, authority
from loyalty.approvals import MOST_POINTS, CannotDo
from loyalty.ledger import standing
from people import persons
from storage.tables import Approval, Person
from storage.work import Work

CustomerId = Annotated[Line, Field(min_length=1, max_length=64, examples=["p_17"])]
Reason = Annotated[Line, Field(min_length=1, max_length=approvals.LONGEST_REASON, examples=["生日"])]


class AwardAsked(Asked):
    """Points for somebody."""

    model_config = example({"customer_id": "p_17", "points": 100, "reason": "生日"})
    customer_id: CustomerId
    points: Annotated[int, Field(ge=1, le=MOST_POINTS)]
    reason: Reason


class AdjustmentAsked(Asked):
    """A correction; minus takes points away, exactly so many."""

    model_config = example({"customer_id": "p_17", "points": -30, "reason": "重复积分"})
    customer_id: CustomerId
    points: Annotated[int, Field(ge=-MOST_POINTS, le=MOST_POINTS, description="Not 0.")]
    reason: Reason


class GivenShape(Shape):
    """What was done (201), or what waits (202): then `transaction_id` is null."""

    customer_id: str
    points: int
    transaction_id: str | None
    available: int | None = Field(description="What the customer can spend now; null while it waits.")
    approval: ApprovalShape | None = Field(description="Null where nobody else had to agree.")


def award_points(call: Call, body: AwardAsked) -> Reply:
    """Give points. Up to the shop's limit they are there at once (201); above it they wait for an approval (202)."""
    return _asked(call, "award", body)


def adjust_points(call: Call, body: AdjustmentAsked) -> Reply:
    """Correct somebody's points, up or down: 201 where it is done, 202 where it waits. More than there is: 409."""
    return _asked(call, "adjust", body)


def _asked(call: Call, kind: str, body: AwardAsked | AdjustmentAsked) -> Reply:
    try:
        with call.work() as work:
            person = persons.head_of(work.db, person_named(work.db, body.customer_id))
            approval = _submit(call, work, kind, person, body)
            subject = persons.public_id(person.id)
            call.note(work, f"points.{kind}", subject, {"approval": approval.id, "points": body.points})
            return call.keep(work, _reply(work.db, approval, person, body.points))
    except CannotDo as error:
        raise refusal(error) from None


def _submit(call: Call, work: Work, kind: str, person: Person, body: AwardAsked | AdjustmentAsked) -> Approval:
    accounts = approvals.own_accounts(work, persons.anchors(work.db, person.id))
    payload: dict[str, Any] = {"account_ids": accounts, "points": body.points}
    if body.points > 0:
        payload |= approvals.usual_life(work)
    once = f"api:{approvals.chance()}"  # a repetition is told by its Idempotency-Key
    asked = approvals.Asked(kind, payload, body.reason, once)
    return approvals.submit(work, asked, authority.of_key(work.db, call.key))


def _reply(db: Session, approval: Approval, person: Person, points: int) -> Reply:
    done = approval.state == approvals.DONE
    accounts = approval.payload["account_ids"]
    answer = GivenShape(
        customer_id=persons.public_id(person.id),
        points=points,
        transaction_id=str(approval.result["txn"]) if done else None,
        available=standing.standing(db, accounts, here.now()).available if done else None,
        approval=None if done else shown(db, approval),
    )
    return Reply(201 if done else 202, answer)

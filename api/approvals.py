"""Approvals: what waits for somebody else's word, read and decided; never by whoever made it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session

from api import here, paging
from api.operations import Call, Reply
from api.problems import CONFLICT, FORBIDDEN, Problem, invalid, not_found
from api.shapes import Asked, Line, Loose, Paged, Shape, example
from loyalty import approvals, authority
from loyalty.approvals import CannotDo
from storage.database import reading
from storage.tables import Approval

PREFIX = "a_"
State = Annotated[
    str,
    StringConstraints(pattern=r"^(waiting|approved|running|done|rejected|cancelled|expired|returned)$"),
]
SAYS: Mapping[str, str] = {
    "own": "whoever made it cannot decide it, nor any key of theirs",
    "no_right": "this key's maker has no say in approvals",
    "not_maker": "only whoever made it lets it be; others reject it, with the reason",
    "over": "it is decided already: {state}",
    "not_enough": "{available} points are available, {wanted} were asked for",
    "nothing": "there is nothing to do",
    "no_reason": "a reason of 1 to {most} characters is needed",
    "bad_points": "points: a whole number, not 0, at most {most}",
    "rep_kind": "a rep can only give points",
    "over_budget": "{left} points are left of this month's budget",
    "in_debt": "the customer owes {debt} points",
    "not_possible": "it is not possible as it was asked for",
}
FORBIDDEN_TO = ("own", "no_right", "not_maker", "rep_kind")
AT = {"bad_points": ("body", "points"), "no_reason": ("body", "reason")}


def refusal(error: CannotDo) -> Problem:
    """Why not, as a problem: 403 to who may not, 422 where a field is wrong, 409 where it does not fit."""
    words = SAYS.get(error.code, error.code).format(**error.facts)
    if error.code in AT:
        return invalid([(AT[error.code], words)])
    kind = FORBIDDEN if error.code in FORBIDDEN_TO else CONFLICT
    return Problem(kind, words, more={"because": error.code, **error.facts})


class WordShape(Shape):
    """What somebody said."""

    by: str
    yes: bool
    at: datetime


class ApprovalShape(Shape):
    """Something to be done to points that others have a say in."""

    id: str = Field(examples=["a_3"])
    kind: str = Field(
        description="award, adjust, reissue, transfer, bulk_award, bulk_clear, bulk_undo, campaign; rules: policy, "
        "tiers, gifts, groups, authority."
    )
    grade: int = Field(description="1: one other person; 2: two, a boss among them; 3: the same, and a day's delay.")
    because: list[str] = Field(description="Which rules make it so grave: kind, person, day, many, large, huge.")
    state: str = Field(
        description="waiting, approved (until due_at), running, done, rejected, cancelled, expired, returned."
    )
    reason: str
    made_by: str
    made_at: datetime
    expires_at: datetime = Field(description="When nobody can decide it any more.")
    due_at: datetime | None = Field(description="When it is carried out, where it has to wait.")
    accounts: int
    points: int = Field(description="How many more are out by it; minus: fewer.")
    size: int = Field(description="Points moved in all.")
    words: list[WordShape]
    note: str = Field(description="Why it was rejected or is back with its maker.")
    result: Loose


class ApprovalPage(Shape):
    """Approvals, the newest first."""

    items: list[ApprovalShape]
    next_cursor: str | None


class ApprovalsQuery(Paged):
    """Which of them."""

    state: State | None = None


class RejectionAsked(Asked):
    """Why not."""

    model_config = example({"reason": "金额不对"})
    reason: Annotated[Line, Field(min_length=1, max_length=approvals.LONGEST_REASON)]


def list_approvals(call: Call, query: ApprovalsQuery) -> Reply:
    """One page of what needed somebody else's word."""
    before = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        states = (query.state,) if query.state else ()
        found, following = approvals.listed(db, states, limit=query.limit, before=before[0] if before else None)
        items = [shown(db, one) for one in found]
    return Reply(200, ApprovalPage(items=items, next_cursor=paging.encode(following) if following else None))


def get_approval(call: Call, approval_id: str) -> Reply:
    """One approval, what was said about it and what became of it."""
    with reading(here.engine()) as db:
        return Reply(200, shown(db, known(db, approval_id)))


def approve_points(call: Call, approval_id: str) -> Reply:
    """Agree. The last word that is needed carries it out; saying it again changes nothing. Never by the maker (403)."""
    return _decided(call, approval_id, "approve")


def reject_points(call: Call, approval_id: str, body: RejectionAsked) -> Reply:
    """Say no, with the reason; that ends it. Never by the maker, who may cancel."""
    return _decided(call, approval_id, "reject", body.reason)


def cancel_points(call: Call, approval_id: str) -> Reply:
    """Let one's own be, as long as it has not been begun. Others (403) reject it, with the reason."""
    return _decided(call, approval_id, "cancel")


def _decided(call: Call, approval_id: str, how: str, words: str = "") -> Reply:
    try:
        with call.work() as work:
            number, who = known(work.db, approval_id).id, authority.of_key(work.db, call.key)
            if how == "approve":
                approval = approvals.approve(work, number, who)
            elif how == "reject":
                approval = approvals.reject(work, number, who, words)
            else:
                approval = approvals.cancel(work, number, who)
            call.note(work, f"approval.{how}", approval_id, {"state": approval.state})
            return Reply(200, shown(work.db, approval))
    except CannotDo as error:
        raise refusal(error) from None


def known(db: Session, approval_id: str) -> Approval:
    """The approval of this id; 404 when there is none."""
    digits = approval_id.removeprefix(PREFIX)
    right = approval_id != digits and digits.isascii() and digits.isdecimal() and len(digits) <= 15
    found = db.get(Approval, int(digits)) if right else None
    if found is None:
        raise not_found("approval")
    return found


def shown(db: Session, one: Approval) -> ApprovalShape:
    """An approval as it is answered."""
    return ApprovalShape(
        id=f"{PREFIX}{one.id}",
        kind=one.kind,
        grade=one.grade,
        because=list(one.reasons),
        state=one.state,
        reason=one.reason,
        made_by=one.made_by,
        made_at=here.local(one.made_at),
        expires_at=here.local(one.expires_at),
        due_at=here.local(one.due_at) if one.due_at else None,
        accounts=one.preview["accounts"],
        points=one.preview["points"],
        size=one.size,
        words=[
            WordShape(by=each.said_by, yes=each.yes, at=here.local(each.at)) for each in approvals.words(db, one.id)
        ],
        note=one.note,
        result=dict(one.result),
    )

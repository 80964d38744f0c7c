"""Segments: people who fit a filter, now (live) or when it was taken (static). The same tree as in the console."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session

from api import customers, here, paging
from api.operations import Call, Reply
from api.problems import not_found
from api.shapes import Asked, Line, Loose, Paged, Shape, example, optional
from insight import segments
from insight.fields import FIELDS, Question
from insight.fields import Field as Asking
from insight.values import Names, Times
from storage.database import reading
from storage.tables import Segment

FILTER = (
    'A tree: `{"all": […]}`, `{"any": […]}`, `{"not": {…}}`, or a leaf `{"field", "op", "value"}`; `{"all": []}` is '
    "everybody. `GET /segments/fields` lists every field with its operators. A fault is answered with its exact place."
)
EXAMPLE = {
    "all": [
        {"field": "tag", "op": "has", "value": "t_5"},
        {"field": "last_talk_days", "op": "not_in_last", "value": 30},
        {"not": {"field": "opted_out", "op": "is", "value": True}},
    ]
}
SegmentId = Annotated[str, StringConstraints(pattern=r"^s_[0-9]{1,15}$")]
Name = Annotated[Line, Field(min_length=1, max_length=segments.MAX_NAME, examples=["抖音来的"])]


class SegmentAsked(Asked):
    """A new segment."""

    model_config = example({"name": "抖音来的", "filter": EXAMPLE})
    name: Name
    filter: Annotated[Loose, Field(description=FILTER)]
    kind: Annotated[
        Literal["live", "static"],
        Field(description="`live`: worked out anew each time. `static`: whoever fits now is taken in and stays."),
    ] = "live"


class SegmentChange(Asked):
    """What is to be different; what is left out stays. The filter of a static segment cannot be changed."""

    model_config = example({"name": "抖音来的老客"})
    name: Name = optional()
    filter: Loose = optional(FILTER)


class SegmentShape(Shape):
    """A segment."""

    id: str = Field(examples=["s_3"])
    name: str
    kind: str = Field(description="live or static.")
    filter: Loose = Field(description=FILTER)
    version: int = Field(description="Grows with every change.")
    size: int | None = Field(description="How many people it had at `size_at`; counted anew when one segment is shown.")
    size_at: datetime | None
    created_by: str
    created_at: datetime
    changed_at: datetime


class SegmentPage(Shape):
    """Segments, the newest first."""

    items: list[SegmentShape]
    next_cursor: str | None


class OperatorShape(Shape):
    """An operator of a field, with a value that it takes."""

    op: str = Field(examples=["has"])
    example: Any = Field(description="A value of the right form; null where the operator stands alone.")


class FieldShape(Shape):
    """Something a filter can ask about."""

    field: str = Field(examples=["tag"])
    name: str = Field(description="What the console calls it.")
    operators: list[OperatorShape]
    choices: list[str] | None = Field(description="The words there are, where they are fixed.")


class FieldPage(Shape):
    """Every field."""

    items: list[FieldShape]
    next_cursor: str | None


class SegmentsQuery(Paged):
    """Which page."""


class MembersQuery(Paged):
    """Which page."""


# --- reading ---------------------------------------------------------------------------------------------------------


def list_fields(call: Call) -> Reply:
    """Every field a filter can ask about, with its operators and an example of each value."""
    return Reply(200, FieldPage(items=[_field(one) for one in FIELDS], next_cursor=None))


def _field(one: Asking) -> FieldShape:
    form = one.form
    choices = form.choices if isinstance(form, Names) else form.kinds if isinstance(form, Times) else ()
    operators = [OperatorShape(op=op, example=form.example(op)) for op in form.ops]
    return FieldShape(field=one.name, name=one.words, operators=operators, choices=list(choices) or None)


def list_segments(call: Call, query: SegmentsQuery) -> Reply:
    """One page of the segments that there are."""
    before = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        found, following = segments.listed(db, limit=query.limit, before=before[0] if before else None)
        items = [shown(one) for one in found]
    return Reply(200, SegmentPage(items=items, next_cursor=paging.encode(following) if following else None))


def get_segment(call: Call, segment_id: str) -> Reply:
    """One segment, with how many people are in it now."""
    with reading(here.engine()) as db:
        segment = _living(db, segment_id)
        size = segments.count(db, segments.members(segment, _question(db)))
        return Reply(200, shown(segment, size))


def list_members(call: Call, segment_id: str, query: MembersQuery) -> Reply:
    """One page of who is in the segment now, those first who became known last."""
    before = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        segment = _living(db, segment_id)
        inside = segments.members(segment, segments.question(db, here.now(), here.zone(), paged=segment.size))
        found, following = segments.page(db, inside, limit=query.limit, before=before[0] if before else None)
        items = customers.all_shown(db, found)
    cursor = paging.encode(following) if following else None
    return Reply(200, customers.CustomerPage(items=items, next_cursor=cursor))


def shown(segment: Segment, size: int | None = None) -> SegmentShape:
    """A segment as it is answered; ``size``: counted just now."""
    at = here.now() if size is not None else segment.size_at
    return SegmentShape(
        id=segments.public_id(segment.id),
        name=segment.name,
        kind=segment.kind,
        filter=segment.filter,
        version=segment.version,
        size=segment.size if size is None else size,
        size_at=here.local(at) if at else None,
        created_by=segment.created_by,
        created_at=here.local(segment.created_at),
        changed_at=here.local(segment.changed_at),
    )


def _question(db: Session) -> Question:
    return segments.question(db, here.now(), here.zone())


def _living(db: Session, segment_id: str, *, lock: bool = False) -> Segment:
    digits = segment_id.removeprefix(segments.PREFIX)
    right = segment_id != digits and digits.isascii() and digits.isdecimal() and len(digits) <= 15
    segment = segments.living(db, int(digits), lock=lock) if right else None
    if segment is None:
        raise not_found("segment")
    return segment


# --- changing --------------------------------------------------------------------------------------------------------


def make_segment(call: Call, body: SegmentAsked) -> Reply:
    """Make a segment. A static one takes in whoever fits now."""
    with call.work() as work:
        segment = segments.create(work, body.name, body.filter, by=call.actor, kind=body.kind)
        told = {"name": segment.name, "kind": segment.kind, "size": segment.size}
        call.note(work, "segment.create", segments.public_id(segment.id), told)
        return call.keep(work, Reply(201, shown(segment)))


def change_segment(call: Call, segment_id: str, body: SegmentChange) -> Reply:
    """Change what the body names."""
    given = body.model_fields_set
    with call.work() as work:
        segment = _living(work.db, segment_id, lock=True)
        name = body.name if "name" in given else segment.name
        tree = body.filter if "filter" in given else segment.filter
        if segments.change(work, segment, name=name, tree=tree, by=call.actor):
            call.note(work, "segment.change", segment_id, {"fields": sorted(given), "version": segment.version})
        work.db.flush()
        return Reply(200, shown(segment))


def delete_segment(call: Call, segment_id: str) -> Reply:
    """Delete a segment. Who was in a static one is forgotten."""
    with call.work() as work:
        segment = _living(work.db, segment_id, lock=True)
        segments.delete(work, segment, by=call.actor)
        call.note(work, "segment.delete", segment_id, {"name": segment.name})
    return Reply(204)

"""Broadcasts: one message to many, looked at before, approved, and read back in WeCom's own words."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session

from api import here, paging
from api.channels import ImageAsked, LinkAsked, Media, MiniProgramAsked
from api.operations import Call, Reply
from api.problems import not_found
from api.segments import SegmentId
from api.shapes import Asked, Day, Line, Loose, Paged, Prose, Shape, example, optional
from insight import segments
from outreach import broadcasts, results
from outreach.audience import Counted
from outreach.broadcasts import GROUPS, PEOPLE, Draft
from storage.database import reading
from storage.tables import Broadcast
from wecom.attachments import MAX_ATTACHMENTS

PREFIX = "b_"
BroadcastId = Annotated[str, StringConstraints(pattern=r"^b_[0-9]{1,15}$")]
Name = Annotated[Line, Field(min_length=1, max_length=broadcasts.NAME_AT_MOST, examples=["双十一"])]
TEXT = (
    "One text for all its receivers: WeCom has no placeholders in mass messages, only `{rep}` may differ, by sender. "
    "`{name}`, points and personal links are refused."
)


class VideoAsked(Asked):
    """A video (MP4) that was uploaded in the console."""

    kind: Literal["video"]
    media: Media


class FileAsked(Asked):
    """A file that was uploaded in the console."""

    kind: Literal["file"]
    media: Media


MassAttachment = Annotated[
    ImageAsked | LinkAsked | MiniProgramAsked | VideoAsked | FileAsked, Field(discriminator="kind")
]
ChatId = Annotated[Line, Field(min_length=1, max_length=64)]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"), Field(examples=["10:00"])]


class RepeatAsked(Asked):
    """When it comes again. Each time is a broadcast of its own; it is approved once."""

    every: Literal["day", "week", "month"]
    days: Annotated[
        tuple[Annotated[int, Field(ge=1, le=31)], ...],
        Field(max_length=31, description="Of a week (1 is Monday) or of a month (31: its last day); none for `day`."),
    ] = ()
    at: Clock
    working: Annotated[bool, Field(description="Whether a day that is not worked moves it to the next that is.")] = True
    until: Annotated[Day | None, Field(description="The last day; null: none.")] = None


class BroadcastAsked(Asked):
    """A new broadcast. Nothing is sent before it is approved."""

    model_config = example(
        {
            "name": "双十一",
            "segment_id": "s_3",
            "text": "本周五会员日。{rep}",
            "attachments": [],
            "send_at": None,
        }
    )
    name: Name
    segment_id: Annotated[
        SegmentId | None, Field(description="Who is meant; null where `chat_ids` says which groups.")
    ] = None
    text: Annotated[Prose, Field(max_length=4000, description=TEXT)] = ""
    other_text: Annotated[Prose, Field(max_length=4000)] = optional("A second wording, to be compared with the first.")
    attachments: Annotated[tuple[MassAttachment, ...], Field(max_length=MAX_ATTACHMENTS)] = ()
    chat_ids: Annotated[
        tuple[ChatId, ...], Field(max_length=2000, description="Groups instead of people; their owners send it.")
    ] = ()
    control: Annotated[
        int, Field(ge=0, le=broadcasts.CONTROL_AT_MOST, description="So many of 10,000 get nothing.")
    ] = 0
    metric: Annotated[
        Literal["talked", "opened", "left"], Field(description="By what wordings and control are compared.")
    ] = "talked"
    service: Annotated[
        bool, Field(description="Whether the long-term control group gets it too: it serves people.")
    ] = False
    send_at: Annotated[datetime | None, Field(strict=False, description="Not before; null: as soon as it may.")] = None
    repeat: Annotated[RepeatAsked | None, Field(description="When it comes again; null: once.")] = None


class CountedShape(Shape):
    """Who would get it, and why each of the others does not."""

    selected: int
    will_get_it: int
    control: int = Field(description="Left out on purpose, to compare with.")
    held_out: int = Field(description="Of the shop's long-term control group.")
    left_out: dict[str, int] = Field(description="opted_out, no_relation, rep_away, quota, gap: how many of each.")


class BroadcastLine(Shape):
    """A broadcast."""

    id: str = Field(examples=["b_3"])
    name: str
    state: str = Field(description="draft, asked (a second person decides), approved, running, stopped, done.")
    segment_id: str | None
    chat_ids: list[str]
    contents: list[Loose]
    control: int
    service: bool
    metric: str
    send_at: datetime | None = Field(description="Of a recurring one: its next time.")
    repeat: Loose | None
    parent_id: str | None = Field(description="The recurring one of which it is one time.")
    size: int | None = Field(description="How many were to get it when it was submitted.")
    made_by: str
    approved_by: str | None
    note: str | None = Field(description="Why it is back with its maker.")
    made_at: datetime


class BroadcastShape(BroadcastLine):
    """A broadcast and how it stands."""

    states: dict[str, int] = Field(
        description="Receivers: held, asked, sent, no_friend, quota, refused, cancelled, expired, left_out, control."
    )
    deleted: int = Field(description="Receivers who deleted their rep within 24 hours of it.")
    reps: list[Loose] = Field(description="The same for each rep.")


class BroadcastPage(Shape):
    """Broadcasts, the newest first; how each stands says `GET /broadcasts/{id}`."""

    items: list[BroadcastLine]
    next_cursor: str | None


class BroadcastsQuery(Paged):
    """Which page."""


def list_broadcasts(call: Call, query: BroadcastsQuery) -> Reply:
    """One page of the broadcasts; what became of their receivers is counted for one of them at a time."""
    before = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        found, following = broadcasts.listed(db, limit=query.limit, before=before[0] if before else None)
        items = [_line(one) for one in found]
    return Reply(200, BroadcastPage(items=items, next_cursor=paging.encode(following) if following else None))


def get_broadcast(call: Call, broadcast_id: str) -> Reply:
    """One broadcast, with what became of each of its receivers in numbers."""
    with reading(here.engine()) as db:
        return Reply(200, shown(db, known(db, broadcast_id)))


def make_broadcast(call: Call, body: BroadcastAsked) -> Reply:
    """Write a broadcast. What WeCom cannot do is refused here, with the reason."""
    draft = _draft(body)
    with call.work() as work:
        broadcast = broadcasts.create(work, draft, by=call.actor)
        call.note(work, "broadcast.create", public_id(broadcast), {"name": broadcast.name})
        return call.keep(work, Reply(201, shown(work.db, broadcast)))


def _draft(body: BroadcastAsked) -> Draft:
    repeat = body.repeat.model_dump(mode="json", exclude_none=True) if body.repeat is not None else {}
    if repeat.get("every") == "day":
        repeat.pop("days", None)
    return Draft(
        name=body.name,
        segment_id=None if body.segment_id is None else int(body.segment_id.removeprefix(segments.PREFIX)),
        text=body.text,
        other_text=body.other_text or "",
        attachments=tuple(one.model_dump(mode="json", exclude_none=True) for one in body.attachments),
        control=body.control,
        send_at=_aware(body.send_at),
        chat_ids=body.chat_ids,
        audience=GROUPS if body.chat_ids else PEOPLE,
        repeat=repeat,
        metric=body.metric,
        service=body.service,
    )


def _aware(moment: datetime | None) -> datetime | None:
    """A time without an offset is the shop's."""
    return moment.replace(tzinfo=here.zone()) if moment is not None and moment.tzinfo is None else moment


def preflight(call: Call, broadcast_id: str) -> Reply:
    """Who would get it now, and why each of the others does not. Changes nothing."""
    with reading(here.engine()) as db:
        broadcast = known(db, broadcast_id)
        counted = broadcasts.preflight(db, broadcast, here.rules(), here.now(), here.zone())
    return Reply(200, _counted(counted))


def approve(call: Call, broadcast_id: str) -> Reply:
    """Submit it; above the shop's `second_above` (500) a second key (another name) has to call this again."""
    with call.work() as work:
        broadcast = known(work.db, broadcast_id, lock=True)
        size = broadcasts.preflight(work.db, broadcast, here.rules(), here.now(), here.zone()).will
        if broadcast.state == broadcasts.ASKED:
            broadcasts.approve(work, broadcast, size, by=call.actor)
        else:
            broadcasts.submit(work, broadcast, size, by=call.actor, above=here.rules().second_above)
        call.note(work, "broadcast.approve", broadcast_id, {"state": broadcast.state, "size": size})
        work.db.flush()
        return Reply(200, shown(work.db, broadcast))


def stop(call: Call, broadcast_id: str) -> Reply:
    """Let nobody get it who has not. What is out is out: `states` says how many."""
    with call.work() as work:
        broadcast = known(work.db, broadcast_id, lock=True)
        ended = broadcasts.stop(work, broadcast, by=call.actor)
        call.note(work, "broadcast.stop", broadcast_id, {"tasks": ended})
        work.db.flush()
        return Reply(200, shown(work.db, broadcast))


def public_id(broadcast: Broadcast) -> str:
    """``b_3``."""
    return f"{PREFIX}{broadcast.id}"


def known(db: Session, broadcast_id: str, *, lock: bool = False) -> Broadcast:
    """The broadcast of this id; 404 when there is none."""
    digits = broadcast_id.removeprefix(PREFIX)
    right = broadcast_id != digits and digits.isascii() and digits.isdecimal() and len(digits) <= 15
    found = db.get(Broadcast, int(digits), with_for_update=lock or None) if right else None
    if found is None:
        raise not_found("broadcast")
    return found


def _counted(counted: Counted) -> CountedShape:
    return CountedShape(
        selected=counted.selected,
        will_get_it=counted.will,
        control=counted.control,
        held_out=counted.held_out,
        left_out=dict(counted.reasons),
    )


def shown(db: Session, broadcast: Broadcast) -> BroadcastShape:
    """A broadcast as it is answered."""
    standing = results.standing(db, broadcast)
    return BroadcastShape(
        **dict(_line(broadcast)),
        states=dict(standing.states),
        deleted=len(results.deleted(db, broadcast)),
        reps=[{"userid": userid, "name": name, **states} for userid, name, states in standing.reps],
    )


def _line(broadcast: Broadcast) -> BroadcastLine:
    segment_id = broadcast.segment_id
    return BroadcastLine(
        id=public_id(broadcast),
        name=broadcast.name,
        state=broadcast.state,
        segment_id=None if segment_id is None else segments.public_id(segment_id),
        chat_ids=list(broadcast.chat_ids),
        contents=[dict(one) for one in broadcast.contents],
        control=broadcast.control,
        service=broadcast.service,
        metric=broadcast.metric,
        repeat=dict(broadcast.repeat) or None,
        parent_id=f"{PREFIX}{broadcast.parent_id}" if broadcast.parent_id else None,
        send_at=here.local(broadcast.send_at) if broadcast.send_at else None,
        size=broadcast.size,
        made_by=broadcast.made_by,
        approved_by=broadcast.approved_by,
        note=broadcast.note,
        made_at=here.local(broadcast.made_at),
    )

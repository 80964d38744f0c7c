"""Channel codes (渠道活码): made at WeCom, changed, stopped, resumed, taken down; and what became of who came."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import here, paging
from api.operations import Call, Reply
from api.problems import invalid, not_found, of_wecom
from api.shapes import Asked, Day, Line, Loose, Paged, Prose, Query, Shape, TagName, Userid, example, optional
from storage.database import reading
from storage.tables import Channel
from storage.work import Work
from tagging import channels, funnel
from tagging.channel_desk import Desk
from tagging.channels import Draft
from wecom.errors import TryLater, Unclear

MAX_DAYS = 366
USUAL_DAYS = 30
AT_WECOM = frozenset({"name", "members", "spare", "skip_verify", "daily_cap", "timetable"})
"""What WeCom must be told of when it changes; welcome and tags are ours alone."""


Name = Annotated[Line, Field(min_length=1, max_length=channels.MAX_NAME, examples=["抖音直播间"])]
Members = Annotated[
    tuple[Userid, ...],
    Field(min_length=1, max_length=channels.MAX_MEMBERS, description="Who receives the customers, by userid."),
]
Spare = Annotated[
    tuple[Userid, ...],
    Field(max_length=channels.MAX_MEMBERS, description="Who steps in when nobody else can; needed to stop a code."),
]
Tags = Annotated[tuple[TagName, ...], Field(max_length=50, description="Given to everybody who comes over the code.")]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"), Field(examples=["09:00"])]
Media = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="A picture that was uploaded in the console, by its number.")
]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\x00-\x20\x7f]+$"), Field(max_length=2048)]
DailyCap = Annotated[
    int | None,
    Field(ge=1, le=1_000_000, description="How many customers one rep gets from this code a day; null: no limit."),
]


class FromLibrary(Asked):
    """Where it was taken from the library: it then follows what the library says (`GET /materials`)."""

    material: Annotated[int, Field(ge=1, le=2**53 - 1)] = optional("Its number in the library: 5 for `m_5`.")
    variant: Annotated[Line, Field(max_length=20)] = optional("Which of its wordings.")


class ImageAsked(FromLibrary):
    """A picture."""

    kind: Literal["image"]
    media: Media


class LinkAsked(FromLibrary):
    """A link card."""

    kind: Literal["link"]
    title: Annotated[Line, Field(min_length=1, max_length=128)]
    url: Url
    picurl: Url | None = None
    desc: Annotated[Prose, Field(max_length=512)] | None = None
    track: bool = optional("Whether to write down who opens it; one of the library is always tracked.")


class MiniProgramAsked(FromLibrary):
    """A mini program card."""

    kind: Literal["miniprogram"]
    title: Annotated[Line, Field(min_length=1, max_length=64)]
    appid: Annotated[Line, Field(min_length=1, max_length=64)]
    page: Annotated[Line, Field(min_length=1, max_length=1024)]
    media: Media


AttachmentAsked = Annotated[ImageAsked | LinkAsked | MiniProgramAsked, Field(discriminator="kind")]


class WelcomeAsked(Asked):
    """What a new customer is greeted with. `{name}`, `{rep}` and `{channel}` are filled in."""

    text: Annotated[Prose, Field(max_length=4000, description="At most 4,000 bytes of UTF-8.")] = ""
    attachments: Annotated[tuple[AttachmentAsked, ...], Field(max_length=channels.MAX_ATTACHMENTS)] = ()


class SlotAsked(Asked):
    """Who serves on which days from when to when, in the shop's time; a slot may run past midnight."""

    days: Annotated[
        tuple[Annotated[int, Field(ge=1, le=7)], ...], Field(min_length=1, max_length=7, description="1 is Monday.")
    ]
    starts: Clock = Field(alias="from")
    ends: Clock = Field(alias="to")
    members: Members
    holidays: Annotated[
        Literal["same", "off", "only"],
        Field(description="On public holidays the slot runs as usual, pauses, or runs only then."),
    ] = "same"


Timetable = Annotated[tuple[SlotAsked, ...], Field(max_length=50)]


class ChannelAsked(Asked):
    """A new channel code."""

    model_config = example(
        {
            "name": "抖音直播间",
            "members": ["zhangsan", "lisi"],
            "tags": [{"group": "来源", "name": "抖音"}],
            "welcome": {"text": "你好 {name}，欢迎！"},
            "skip_verify": True,
        }
    )
    name: Name
    members: Members
    tags: Tags = ()
    welcome: WelcomeAsked = Field(default_factory=WelcomeAsked)
    skip_verify: bool = Field(default=True, description="Whether customers are added without a rep's confirmation.")
    spare: Spare = ()
    daily_cap: DailyCap = None
    timetable: Timetable = ()


class ChannelChange(Asked):
    """What is to be different; what is left out stays as it is."""

    model_config = example({"members": ["lisi"], "spare": ["wangwu"], "state": "stopped"})
    name: Name = optional()
    members: Members = optional()
    tags: Tags = optional()
    welcome: WelcomeAsked = optional()
    skip_verify: bool = optional()
    spare: Spare = optional()
    daily_cap: DailyCap = optional()
    timetable: Timetable = optional()
    state: Literal["active", "stopped"] = optional(
        "`stopped`: the printed code lives on and leads to the spare reps. `active`: takes it into use "
        "again, and completes a code whose making at WeCom was interrupted.",
    )


class ChannelTagShape(Shape):
    """A corp tag."""

    group: str
    name: str


class WelcomeShape(Shape):
    """What a new customer is greeted with."""

    text: str
    attachments: list[Loose]


class ChannelShape(Shape):
    """A channel code."""

    code: str = Field(description="Our name for it, and WeCom's State.")
    config_id: str | None
    qr_code: str | None = Field(description="Where WeCom keeps the picture of the code.")
    name: str
    state: Annotated[str, Field(json_schema_extra={"enum": ["active", "stopped", "deleted"]})]
    members: list[str]
    spare: list[str]
    tags: list[ChannelTagShape]
    welcome: WelcomeShape
    skip_verify: bool
    daily_cap: int | None
    timetable: list[Loose]
    leads_to: list[str] = Field(description="The reps to whom WeCom now leads the code.")
    trouble: str | None = Field(description="Why the code does not work as it should, if so.")
    created_at: datetime
    changed_at: datetime


class ChannelPage(Shape):
    """Channel codes, newest first. Deleted ones are not listed."""

    items: list[ChannelShape]
    next_cursor: str | None


class ChannelsQuery(Paged):
    """Which codes."""

    state: Literal["active", "stopped"] | None = None


class FunnelQuery(Query):
    """The days counted, both included; the last 30 if not said, 366 at most."""

    first: Annotated[Day, Field(description="The first day.")] | None = Field(default=None, alias="from")
    last: Annotated[Day, Field(description="The last day.")] | None = Field(default=None, alias="to")


class StepsShape(Shape):
    """How many reached each step. `scans = half + added`: WeCom does not tell of a scan that led to nothing."""

    scans: int
    half: int = Field(description="Only one side has added the other, so far.")
    added: int
    welcomed: int = Field(description="Our welcome reached them.")
    still_there: int = Field(description="Added, and neither side has ended it.")


class KindsShape(Shape):
    """The steps by what the arrival was."""

    new_to_shop: StepsShape
    new_to_rep: StepsShape = Field(description="Known to the shop, new to this rep.")
    re_added: StepsShape = Field(description="Was with this rep before.")


class DayShape(StepsShape):
    """The steps of those who came on one day of the shop."""

    day: date


class FunnelShape(Shape):
    """What became of those who came over the code, by the day on which they came."""

    code: str
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    total: StepsShape
    by_kind: KindsShape
    by_day: list[DayShape]


# --- reading ---------------------------------------------------------------------------------------------------------


def list_channels(call: Call, query: ChannelsQuery) -> Reply:
    """One page of channel codes, newest first."""
    before = paging.decode(query.cursor)
    wanted = select(Channel).where(Channel.state == query.state if query.state else Channel.state != "deleted")
    if before:
        wanted = wanted.where(Channel.id < before[0])
    with reading(here.engine()) as db:
        found = db.scalars(wanted.order_by(Channel.id.desc()).limit(query.limit + 1)).all()
        more, found = len(found) > query.limit, found[: query.limit]
        items = [shown(db, one) for one in found]
    return Reply(200, ChannelPage(items=items, next_cursor=paging.encode(found[-1].id) if more else None))


def get_channel(call: Call, code: str) -> Reply:
    """One channel code."""
    with reading(here.engine()) as db:
        return Reply(200, shown(db, _living(db, code)))


def get_funnel(call: Call, code: str, query: FunnelQuery) -> Reply:
    """Scans, half added, added, welcomed, still there: in all, by kind and by day. Of a deleted code too."""
    today = here.local(here.now()).date()
    last = query.last or today
    first = query.first or last - timedelta(days=min(USUAL_DAYS - 1, (last - date.min).days))
    if not 0 <= (last - first).days < MAX_DAYS or not 2000 <= first.year <= last.year <= 2200:
        raise invalid([(("query", "from"), f"from and to must span 1 to {MAX_DAYS} days, in this order")])
    with reading(here.engine()) as db:
        channel = _named(db, code)
        if channel is None:
            raise not_found("channel")
        found = funnel.of_channel(db, channel, first, last, here.zone())
    return Reply(
        200,
        FunnelShape.model_validate(
            {
                "code": channel.code,
                "from": first,
                "to": last,
                "total": asdict(found.total),
                "by_kind": {kind: asdict(steps) for kind, steps in found.by_kind.items()},
                "by_day": [{"day": day, **asdict(steps)} for day, steps in found.by_day.items()],
            }
        ),
    )


def shown(db: Session, channel: Channel) -> ChannelShape:
    """A channel code as the API shows it."""
    return ChannelShape(
        code=channel.code,
        config_id=channel.config_id,
        qr_code=channel.qr_code,
        name=channel.name,
        state=channel.state,
        members=[seat.userid for seat in channel.seats if not seat.spare],
        spare=[seat.userid for seat in channel.seats if seat.spare],
        tags=[ChannelTagShape(group=group, name=name) for group, name in channels.tag_names(db, channel)],
        welcome=WelcomeShape(
            text=str(channel.welcome.get("text") or ""), attachments=channel.welcome.get("attachments") or []
        ),
        skip_verify=channel.skip_verify,
        daily_cap=channel.daily_cap,
        timetable=channel.timetable,
        leads_to=channel.at_wecom,
        trouble=channel.trouble,
        created_at=here.local(channel.created_at),
        changed_at=here.local(channel.changed_at),
    )


def _named(db: Session, code: str | None, *, lock: bool = False) -> Channel | None:
    wanted = select(Channel).where(Channel.code == code)
    return db.scalars(wanted.with_for_update() if lock else wanted).one_or_none()


def _living(db: Session, code: str, *, lock: bool = False) -> Channel:
    channel = _named(db, code, lock=lock)
    if channel is None or channel.state == "deleted":
        raise not_found("channel")
    return channel


# --- changing --------------------------------------------------------------------------------------------------------


def open_channel(call: Call, body: ChannelAsked) -> Reply:
    """Make a channel code at WeCom; the answer holds its QR code.

    When the line to WeCom breaks in the middle the answer is 502 with the `code`; the same request with the same
    Idempotency-Key, or a PATCH with `"state": "active"`, completes that very code.
    """
    desk = Desk(here.engine(), here.gateway(), here.start_work)
    begun = _begun(call)
    opened: list[str] = []

    def note(work: Work, channel: Channel) -> None:
        opened.append(channel.code)
        call.begun(work, channel.code)
        call.note(work, "channel.create", channel.code, {"name": channel.name})

    draft = _draft(Draft("", ()), body)
    try:
        channel = desk.finish(begun.id) if begun else desk.open(draft, by=call.actor[:64], note=note)
    except TryLater:
        _withdraw(call, opened)
        raise
    except Unclear as error:
        raise of_wecom(error, {"code": begun.code if begun else opened[0]}) from None
    here.bell().ring()
    with reading(here.engine()) as db:
        return Reply(201, shown(db, db.get_one(Channel, channel.id)))


def _begun(call: Call) -> Channel | None:
    """The code that an interrupted request with the same Idempotency-Key began to make."""
    if call.claim is None or call.claim.begun is None:
        return None
    with reading(here.engine()) as db:
        channel = _named(db, call.claim.begun)
    return channel if channel is not None and channel.state != "deleted" else None


def _withdraw(call: Call, opened: list[str]) -> None:
    """WeCom was never asked: leave nothing behind, so that asking again makes one code and not two."""
    for code in opened:
        with call.work() as work:
            channel = _named(work.db, code)
            if channel is not None and channel.config_id is None:
                work.db.delete(channel)
                call.note(work, "channel.withdraw", code, {"name": channel.name})


def change_channel(call: Call, code: str, body: ChannelChange) -> Reply:
    """Change what the body names, stop the code, or take it into use again."""
    if body.model_fields_set >= {"state"} and body.state == "active":
        _finish(code)
    with call.work() as work:
        channel = _living(work.db, code, lock=True)
        wanted = body.model_fields_set - {"state"}
        if wanted:
            channels.change(work, channel, _draft(_as_it_is(work.db, channel), body))
        if "state" in body.model_fields_set and body.state != channel.state:
            (channels.stop if body.state == "stopped" else channels.resume)(work, channel)
        if wanted & AT_WECOM:
            channels.push_settings(work, channel)
        if body.model_fields_set:
            call.note(work, "channel.change", code, {"fields": sorted(body.model_fields_set)})
        work.db.flush()
        return Reply(200, shown(work.db, channel))


def _finish(code: str) -> None:
    """Complete a code whose making was interrupted."""
    with reading(here.engine()) as db:
        channel = _living(db, code)
    if channel.config_id is None:
        Desk(here.engine(), here.gateway(), here.start_work).finish(channel.id)


def delete_channel(call: Call, code: str) -> Reply:
    """Take the code down at WeCom for good: a printed one leads nowhere then. Who came over it stays known."""
    with call.work() as work:
        channel = _living(work.db, code, lock=True)
        channels.delete(work, channel)
        call.note(work, "channel.delete", code, {"name": channel.name})
    return Reply(204)


def _as_it_is(db: Session, channel: Channel) -> Draft:
    return Draft(
        name=channel.name,
        members=tuple(seat.userid for seat in channel.seats if not seat.spare),
        tags=tuple(channels.tag_names(db, channel)),
        text=str(channel.welcome.get("text") or ""),
        attachments=tuple(channel.welcome.get("attachments") or ()),
        skip_verify=channel.skip_verify,
        spare=tuple(seat.userid for seat in channel.seats if seat.spare),
        daily_cap=channel.daily_cap,
        timetable=tuple(channel.timetable),
    )


def _draft(draft: Draft, body: ChannelAsked | ChannelChange) -> Draft:
    """The draft with everything that the body names."""
    given: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set - {"state", "welcome"}}
    if "tags" in given:
        given["tags"] = tuple((tag.group, tag.name) for tag in body.tags)
    if "timetable" in given:
        given["timetable"] = tuple(_plain(slot) for slot in body.timetable)
    if "welcome" in body.model_fields_set:
        given |= {"text": body.welcome.text, "attachments": tuple(_plain(one) for one in body.welcome.attachments)}
    return replace(draft, **given)


def _plain(asked: Asked) -> Mapping[str, Any]:
    return asked.model_dump(mode="json", by_alias=True, exclude_none=True)

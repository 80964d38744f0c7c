"""Customers: the list with its filters in the address, and its export.

Whom one may see is decided by ``people.access`` alone; a customer out of sight is answered exactly like one that does
not exist.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import TooManyRequests

from console import here
from console.cursors import read_cursor, write_cursor
from console.doors import guarded
from console.pace import Pace
from console.today import rep_names
from console.words import N_, _, listed
from people import access, cards, directory, persons, stages
from people.access import Sight
from people.cards import Card
from people.directory import Filter
from storage import sheets
from storage.database import reading
from storage.tables import AuditRow, Channel, Interval, Member, Person, Relation, Tag
from storage.work import Work
from tagging import tags

pages = Blueprint("customers", __name__)

PAGE = 50
BATCH = 500
SEARCHES = Pace(120, timedelta(minutes=1))
EXPORTS_AN_HOUR = 10
FILTERS = ("q", "tag", "owner", "channel", "stage", "out")
"""What the address may narrow the list by; ``out=1``: those who want to hear nothing more."""
STAGES: Mapping[str, tuple[str, str]] = {
    "active": (N_("在联"), "good"),
    "half": (N_("待确认"), "warn"),
    "lost": (N_("已流失"), "bad"),
    "new": (N_("未加好友"), "quiet"),
}


# --- the list --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What the address asks for, as it stands there and as the directory understands it."""

    values: dict[str, str]
    wanted: Filter
    nobody: bool = False
    """A tag or channel was named that is not there: then nobody is meant, not everybody."""

    @property
    def given(self) -> dict[str, str]:
        """The conditions that are set, for an address."""
        return {name: value for name, value in self.values.items() if value}

    def address(self, **changes: str | None) -> str:
        """The list's address with these filters changed; a new filter begins at the first page."""
        values = {**self.values, **changes}
        return url_for("customers.index", **{name: value for name, value in values.items() if value})  # type: ignore[arg-type]


def asked_for(db: Session) -> Asked:
    """The filters of this request."""
    source = request.values
    values = {name: source.get(name, "").strip()[:100] for name in FILTERS}
    opted_out = values["out"] == "1"
    stage = values["stage"] if values["stage"] in stages.STAGES else None
    tag_id = number_of("t_", values["tag"]) if values["tag"] else None
    channel_id = _channel_id(db, values["channel"])
    nobody = (bool(values["tag"]) and tag_id is None) or (bool(values["channel"]) and channel_id is None)
    wanted = Filter(values["q"], tag_id, values["owner"] or None, channel_id, stage=stage, opted_out=opted_out)
    return Asked({**values, "stage": stage or "", "out": "1" if opted_out else ""}, wanted, nobody)


def _channel_id(db: Session, code: str) -> int | None:
    return db.scalar(select(Channel.id).where(Channel.code == code)) if code else None


def number_of(prefix: str, public: str) -> int | None:
    """The number in a public id such as ``p_17``; None for anything else."""
    return here.number(public[len(prefix) :]) if public.startswith(prefix) else None


@pages.get("/customers")
@guarded("see_people")
def index() -> str:
    """Everybody in sight, newest first, narrowed by what stands in the address."""
    after = read_cursor(request.args.get("after"))
    with here.reading() as db:
        asked, sight = asked_for(db), here.sight(db)
        if asked.values["q"]:
            SEARCHES.step(here.viewer().user_id, here.now())
        found: list[Person] = []
        following, total = None, 0
        if not asked.nobody:
            found, following = directory.page(db, sight, asked.wanted, limit=PAGE, after=after)
            total = directory.count(db, sight, asked.wanted)
        shown = cards.cards(db, sight, found)
        return render_template(
            "customers/index.html",
            asked=asked,
            listed=shown,
            total=total,
            following=asked.address(after=write_cursor(following)) if following else "",
            first=asked.address() if after else "",
            names=rep_names(db, sight, [one.owner or "" for one in found]),
            remarks={one.person.id: remark_of(one.relations, one.person) for one in shown},
            choices=choices(db, sight),
            stage_words=STAGES,
            since=_since(db, sight, shown),
        )


def _since(db: Session, sight: Sight, found: Sequence[Card]) -> dict[int, datetime | None]:
    """Since when each has been known to a rep in sight: who left and came back is known since the first time."""
    began = select(Interval.person_id, func.min(Interval.began_at)).where(
        Interval.person_id.in_([one.person.id for one in found]),
        Interval.began_at.is_not(None),
        sight.reps(Interval.userid.expression),
    )
    return dict(db.execute(began.group_by(Interval.person_id)).all())


def remark_of(relations: Sequence[Relation], person: Person) -> str:
    """What the reps in sight call this person, where it says more than the name."""
    remarks = dict.fromkeys(one.remark for one in relations if one.remark and one.remark != person.name)
    return listed(remarks)


@dataclass(frozen=True)
class Choices:
    """What the filters offer."""

    tags: dict[str, list[Tag]]
    owners: list[tuple[str, str]]
    channels: list[tuple[str, str]]

    @property
    def tag_options(self) -> list[tuple[str, str]]:
        """Every tag as (public id, group/name)."""
        return [(tags.public_id(one.id), f"{group}/{one.name}") for group, some in self.tags.items() for one in some]


def choices(db: Session, sight: Sight) -> Choices:
    """Tags by group, reps in sight, channels: what one may narrow the list to."""
    grouped: dict[str, list[Tag]] = {}
    for tag in db.scalars(select(Tag).where(Tag.deleted_at.is_(None)).order_by(Tag.group_name, Tag.name).limit(500)):
        grouped.setdefault(tag.group_name, []).append(tag)
    reps = select(Member).where(Member.serves.is_(True), sight.reps(Member.userid.expression)).order_by(Member.name)
    owners = [(one.userid, one.name or one.userid) for one in db.scalars(reps.limit(500))]
    known = select(Channel.code, Channel.name).where(Channel.state != "deleted").order_by(Channel.id.desc()).limit(200)
    return Choices(grouped, owners, [(code, name) for code, name in db.execute(known)])


# --- export ----------------------------------------------------------------------------------------------------------


@pages.get("/customers/export")
@guarded("export")
def ask_export() -> str:
    """What would be exported, and why it is wanted."""
    return _export_form()


def _export_form(error: str = "") -> str:
    with here.reading() as db:
        asked, sight = asked_for(db), here.sight(db)
        total = 0 if asked.nobody else directory.count(db, sight, asked.wanted)
        return render_template(
            "customers/export.html", asked=asked, total=total, error=error, shown=in_words(db, asked)
        )


def in_words(db: Session, asked: Asked) -> list[str]:
    """The filters as a person would say them."""
    parts = [f"“{asked.wanted.q}”"] if asked.wanted.q else []
    if asked.wanted.tag_id and (tag := db.get(Tag, asked.wanted.tag_id)):
        parts.append(f"{tag.group_name}/{tag.name}")
    if asked.wanted.owner:
        parts.append(persons.rep_name(db, asked.wanted.owner))
    if asked.wanted.channel_id and (channel := db.get(Channel, asked.wanted.channel_id)):
        parts.append(channel.name)
    parts += [_(STAGES[asked.wanted.stage][0])] if asked.wanted.stage else []
    return [*parts, *([_("不再接收消息")] if asked.wanted.opted_out else [])]


@pages.post("/customers/export")
@guarded("export")
def export() -> Any:
    """The list as CSV, with the same filters; who, why and how many are noted before the first line leaves."""
    reason = request.form.get("reason", "").strip()[:200]
    if len(reason) < 2:
        return _export_form(_("请写明用途，例如“十一月回访名单”")), 422
    whole_phones = request.form.get("phones") == "whole" and here.may("see_phones")
    with here.working() as work:
        asked, sight = asked_for(work.db), here.sight(work.db)
        _not_too_often(work)
        total = 0 if asked.nobody else directory.count(work.db, sight, asked.wanted)
        filters = {name: value for name, value in asked.values.items() if value}
        told = {"reason": reason, "count": total, "filters": filters, "whole_phones": whole_phones}
        here.note(work, "customers.export", details=told)
    return _stream(asked, sight, whole_phones)


def _not_too_often(work: Work) -> None:
    hour = timedelta(hours=1)
    lately = select(AuditRow.at).where(
        AuditRow.action == "customers.export",
        AuditRow.actor == here.viewer().userid,
        AuditRow.at > work.now - hour,
    )
    times = work.db.scalars(lately.order_by(AuditRow.at)).all()
    if len(times) >= EXPORTS_AN_HOUR:
        raise TooManyRequests(retry_after=int((times[0] + hour - work.now).total_seconds()) + 1)


def _stream(asked: Asked, sight: Sight, whole_phones: bool) -> Response:
    heads = [
        _("编号"),
        _("客户 ID"),
        _("姓名"),
        _("状态"),
        _("负责人"),
        _("手机"),
        _("标签"),
        _("首次见到"),
        _("最近往来"),
    ]
    stage_words = {name: _(label) for name, (label, _tone) in STAGES.items()}
    engine, zone = here.engine(), here.zone()

    def rows() -> Iterator[list[object]]:
        with reading(engine) as db:
            seen = select(Member.userid, Member.name).where(sight.reps(Member.userid.expression))
            names = {userid: name or userid for userid, name in db.execute(seen)}
            for card in () if asked.nobody else _every(db, sight, asked.wanted):
                person = card.person
                yield [
                    persons.public_id(person.id),
                    card.known_as("external_userid"),
                    person.name,
                    stage_words[card.stage],
                    names.get(person.owner or ""),
                    person.phone if whole_phones else access.masked(person.phone),
                    "|".join(f"{one.tag.group_name}/{one.tag.name}" for one in card.tags),
                    f"{person.first_seen_at.astimezone(zone):%Y-%m-%d %H:%M}",
                    f"{person.last_seen_at.astimezone(zone):%Y-%m-%d %H:%M}",
                ]

    answer = Response(sheets.lines(heads, rows()), mimetype="text/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=f"customers-{here.today()}.csv")
    return answer


def _every(db: Session, sight: Sight, wanted: Filter) -> Iterator[Card]:
    """The whole list as cards, some hundreds at a time, in an order that does not move meanwhile."""
    before: int | None = None
    while True:
        found, before = directory.newest(db, sight, wanted, limit=BATCH, before=before)
        yield from cards.cards(db, sight, found)
        if before is None:
            return

"""Customers: the list with its filters in the address, its export, and the page about one person.

Whom one may see is decided by ``people.access`` alone; a customer out of sight is answered exactly like one that does
not exist.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import TooManyRequests

from console import chat_lines, here
from console.books import ACTORS
from console.cursors import read_cursor, write_cursor
from console.doors import guarded
from console.layout import back_to, say
from console.pace import Pace
from console.shown import attached
from console.today import OUTCOMES, rep_names
from console.words import N_, _, listed, mark, said
from people import access, by_hand, cards, directory, persons, phones, stages, tasks, unfinished
from people.access import Sight
from people.cards import Card
from people.conversations import BOT, KF_EVENT
from people.directory import Filter
from storage import sheets
from storage.database import reading
from storage.tables import AuditRow, Channel, Interaction, Interval, Member, Person, PersonalTag, Relation, Tag
from storage.work import Work
from tagging import tags
from tagging.tags import Ground

pages = Blueprint("customers", __name__)

PAGE, STORY_PAGE, TASKS = 50, 30, 20
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
RELATION_STATES: Mapping[str, tuple[str, str]] = {
    "active": (N_("在联"), "good"),
    "half": (N_("待确认"), "warn"),
    "ended_by_rep": (N_("成员删除了客户"), "bad"),
    "ended_by_customer": (N_("客户删除了成员"), "bad"),
    "ended_by_both": (N_("互相删除"), "bad"),
    "transferred": (N_("已转交"), "quiet"),
    "unknown": (N_("未知"), "quiet"),
}
AT_WECOM: Mapping[str, tuple[str, str]] = {
    "done": (N_("企业微信已显示"), "good"),
    "pending": (N_("正在同步到企业微信"), "info"),
    "refused": (N_("企业微信拒绝"), "bad"),
    "watched": (N_("观察模式，未同步"), "info"),
    "none": (N_("没有在联成员，只在这里"), "quiet"),
}
SOURCES = {
    "channel": N_("渠道"),
    "manual": N_("手动"),
    "wecom": N_("企业微信"),
    "api": N_("接口"),
    "keyword": N_("规则：说了什么"),
    "arrival": N_("规则：什么时候来"),
    "loss": N_("规则：流失了"),
    "group": N_("客户群"),
    "import": N_("导入"),
}
EDIT_WORDS = {"remark": N_("备注名"), "description": N_("描述"), "phones": N_("备注电话")}
OUT_BY = {"kf": N_("客户在微信客服里说的"), "page": N_("客户自己在页面上点的"), "api:%(name)s": N_("接口 %(name)s")}
"""Who may say so besides members."""
PLACE_WORDS = {
    "identity": N_("其他系统"),
    "profile": N_("企业微信资料"),
    "remark": N_("备注"),
    "note": N_("备注记录"),
}
"""Where a phone number stands."""
IDENTITY_WORDS = {"external_userid": N_("客户 ID"), "unionid": "unionid", "phone": N_("手机")}


class Kind(NamedTuple):
    """How a kind of story line looks."""

    words: str
    icon: str
    tone: str = ""


KINDS: Mapping[str, Kind] = {
    "added": Kind(N_("添加了 %(rep)s"), "person-plus", "good"),
    "half_added": Kind(N_("添加了 %(rep)s，待确认"), "person-dash", "warn"),
    "taken_over": Kind(N_("接入前已是 %(rep)s 的客户"), "person-check"),
    "edited": Kind(N_("%(rep)s 修改了备注或资料"), "pencil"),
    "deleted_by_rep": Kind(N_("%(rep)s 删除了客户"), "person-x", "bad"),
    "deleted_by_customer": Kind(N_("客户删除了 %(rep)s"), "person-x", "bad"),
    "transferred": Kind(N_("从 %(rep)s 转交给同事"), "arrow-left-right"),
    "transfer_failed": Kind(N_("转交没有成功"), "arrow-left-right", "warn"),
    "archive_agreed": Kind(N_("同意了会话存档"), "shield-check"),
    "welcomed": Kind(N_("收到 %(rep)s 的欢迎语"), "chat-heart", "good"),
    "note": Kind(N_("%(by)s 写了备注"), "sticky"),
    "tagged": Kind(N_("%(by)s 添加了标签 %(tag)s"), "tag"),
    "untagged": Kind(N_("%(by)s 去掉了标签 %(tag)s"), "tag"),
    "owner_given": Kind(N_("%(by)s 把负责人改为 %(to)s"), "person-badge"),
    "kf_in": Kind(N_("在微信客服里说"), "chat-left-text"),
    "kf_out": Kind(N_("%(by)s 在微信客服里回复"), "chat-right-text"),
    "kf_event": Kind(N_("微信客服"), "headset"),
    "forwarded": Kind(N_("%(rep)s 转来客户的话"), "chat-left-quote"),
    "task": Kind(N_("%(by)s 记下待办"), "alarm"),
    "task_done": Kind(N_("%(by)s 完成了待办"), "check2-square", "good"),
    "group_joined": Kind(N_("进入客户群 %(group)s"), "people", "good"),
    "group_left": Kind(N_("离开客户群 %(group)s"), "people"),
    "opted_out": Kind(N_("不再接收消息"), "bell-slash", "warn"),
    "opted_in": Kind(N_("重新接收消息"), "bell"),
    "handed_over": Kind(N_("由 %(by)s 转交给 %(to)s"), "arrow-left-right"),
}
SPOKEN = frozenset({"note", "welcomed", "kf_in", "kf_out", "forwarded", "task", "task_done"})
"""Lines whose text is somebody's own words."""
AGAIN: Mapping[str, Kind] = {
    "added": Kind(N_("再次添加了 %(rep)s"), "person-plus", "good"),
    "half_added": Kind(N_("再次添加了 %(rep)s，待确认"), "person-dash", "warn"),
}
"""The same lines about somebody who had left this rep before."""
GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "relation": (
        N_("来往"),
        (
            "added",
            "half_added",
            "taken_over",
            "deleted_by_rep",
            "deleted_by_customer",
            "transferred",
            "transfer_failed",
        ),
    ),
    "chat": (N_("聊天"), ("kf_in", "kf_out", "kf_event", "forwarded")),
    "welcome": (N_("欢迎语"), ("welcomed",)),
    "note": (N_("备注"), ("note",)),
    "task": (N_("待办"), ("task", "task_done")),
    "group": (N_("客户群"), ("group_joined", "group_left")),
    "by_hand": (N_("手动修改"), ("tagged", "untagged", "owner_given", "edited")),
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
    digits = public.removeprefix(prefix)
    fits = public.startswith(prefix) and digits.isascii() and digits.isdecimal() and len(digits) <= 15
    return int(digits) if fits else None


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
            remarks={one.person.id: _remark(one.relations, one.person) for one in shown},
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


def _remark(relations: Sequence[Relation], person: Person) -> str:
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
    return [*parts, *([_("不再接收")] if asked.wanted.opted_out else [])]


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


# --- one person ------------------------------------------------------------------------------------------------------


@pages.get("/customers/<person_id>")
@guarded("see_people")
def show(person_id: str) -> str:
    """One person: who they are, their story, and what is unfinished."""
    return page_of(person_id)


def page_of(person_id: str, *, phone_shown: bool = False, **typed: str) -> str:
    """The page, with what was typed (``note``, ``task``, ``task_at``) and what is wrong with it (``…_error``)."""
    with here.reading() as db:
        person = person_of(db, person_id)
        facts = None if person is None else _facts(db, person)
    if person is None or facts is None:
        here.not_here(person_id)
    phone = person.phone if phone_shown else access.masked(person.phone)
    empty = {"note": "", "task": "", "task_at": "", "once": secrets.token_hex(12)}
    return render_template(
        "customers/show.html",
        public=person_id,
        phone=phone,
        phone_shown=phone_shown,
        words=_WORDS,
        **facts,
        **{**empty, **typed},
    )


def _facts(db: Session, person: Person) -> dict[str, Any]:
    """Everything the page shows about a person."""
    sight = here.sight(db)
    group = request.args.get("kinds", "")
    kinds = GROUPS[group][1] if group in GROUPS else ()
    after = read_cursor(request.args.get("after"))
    picture = directory.picture(db, sight, person)
    q = request.args.get("q", "").strip()[:100]
    story, following = directory.story(db, sight, person, limit=STORY_PAGE, kinds=kinds, q=q, after=after)
    intervals = directory.intervals(db, [one.id for one in picture.relations])
    userids = [one.userid for one in picture.relations]
    open_tasks = tasks.open_about(db, person, None if sight.everybody else sorted(sight.userids), limit=TASKS)
    doers = [one.userid for one in open_tasks]
    names = rep_names(db, sight, [*userids, *doers, person.owner or ""]) | _names_told(db, story)
    return {
        "person": person,
        "picture": picture,
        "intervals": intervals,
        "stage": stages.stage_of(one.state for one in picture.relations),
        "since": min((one.began_at for some in intervals.values() for one in some if one.began_at), default=None),
        "todo": unfinished.of(picture, here.now()),
        "open_tasks": open_tasks,
        "phones": phones.of_person(db, sight, person),
        "out_by": _out_by(db, person),
        "lines": [_line(one, names, _came_again(one, intervals)) for one in story],
        "following": write_cursor(following),
        "after": bool(after),
        "group": group if kinds else "",
        "q": q,
        "grounds": tags.grounds(db, person.id),
        "personal": _personal_tags(db, picture.relations),
        "names": names,
        "choices": choices(db, sight),
        "own": {one.tag.id for one in picture.tags},
        "remark": _remark(picture.relations, person),
    }


def _out_by(db: Session, person: Person) -> str:
    """Who said that this person wants to hear nothing more."""
    by = person.opted_out_by or ""
    member = db.get(Member, by)
    return (member.name or by) if member is not None else said(by, OUT_BY.items())


_WORDS: Mapping[str, Mapping[str, Any]] = {
    "stages": STAGES,
    "relations": RELATION_STATES,
    "at_wecom": AT_WECOM,
    "sources": SOURCES,
    "identities": IDENTITY_WORDS,
    "groups": GROUPS,
    "outcomes": OUTCOMES,
    "places": PLACE_WORDS,
}


def person_of(db: Session, person_id: str) -> Person | None:
    """The person this public id names, if there is one and the viewer may see them."""
    number = number_of("p_", person_id)
    return access.person_in_sight(db, here.sight(db), number) if number is not None else None


@dataclass(frozen=True)
class Line:
    """One line of the story as it is shown."""

    row: Interaction
    words: str
    icon: str
    tone: str
    text: str
    said: bool
    """Whether somebody said this, word for word."""
    own: bool


def _names_told(db: Session, story: Sequence[Interaction]) -> dict[str, str]:
    """Names of everybody the visible lines speak of: who may read the line may read who it is about."""
    told = {one.userid for one in story} | {str(one.details.get(who)) for one in story for who in ("by", "to")}
    rows = db.execute(select(Member.userid, Member.name).where(Member.userid.in_([one for one in told if one])))
    return {userid: name or userid for userid, name in rows}


def _personal_tags(db: Session, relations: Sequence[Relation]) -> dict[int, list[PersonalTag]]:
    """The reps' own tags, by relation; only those of reps in sight are here."""
    own = select(PersonalTag).where(PersonalTag.relation_id.in_([one.id for one in relations]))
    found: dict[int, list[PersonalTag]] = {}
    for one in db.scalars(own.order_by(PersonalTag.group_name, PersonalTag.name)):
        found.setdefault(one.relation_id, []).append(one)
    return found


def _came_again(row: Interaction, intervals: Mapping[int, Sequence[Interval]]) -> bool:
    """Whether this arrival was a return: as the intervals say, or where they say nothing what was told at the time."""
    own = (one for some in intervals.values() for one in some if one.userid == row.userid)
    begun = next((one for one in own if row.at in (one.began_at, one.confirmed_at)), None)
    return begun.number > 1 if begun is not None else bool(row.details.get("again"))


def _line(row: Interaction, names: Mapping[str, str], again: bool) -> Line:
    kind = KINDS.get(row.kind, Kind(row.kind, "dot"))
    if again:
        kind = AGAIN.get(row.kind, kind)
    details = row.details

    def called(userid: object) -> str:
        if userid == BOT:
            return _("机器人")
        return names.get(str(userid)) or said(str(userid), ACTORS) if userid else _("未知")

    values = {
        "rep": called(row.userid),
        "by": called(details.get("by")),
        "to": called(details.get("to")) if details.get("to") else _("自动"),
        "tag": details.get("tag") or "",
        "group": details.get("name") or _("（没有名字的群）"),
    }
    spoken = row.kind in SPOKEN
    own = row.kind == by_hand.NOTE and details.get("by") == here.viewer().userid
    text = str(details.get("text") or "") if spoken else _aside(row, names)
    text = "\n".join([text, *map(attached, details.get("attachments") or [])]).strip() if spoken else text
    return Line(
        row, _(kind.words, **values) if row.kind in KINDS else kind.words, kind.icon, kind.tone, text, spoken, own
    )


def _aside(row: Interaction, names: Mapping[str, str]) -> str:
    """What else is known about a line."""
    if row.kind == "edited":
        changed = row.details.get("changed") or {}
        return listed((_change(name, before, after) for name, (before, after) in changed.items()), "；")
    if row.kind == KF_EVENT:
        return chat_lines.happened(row.details, names)
    if row.kind == "transfer_failed":
        return str(row.details.get("reason") or "")
    channel = row.details.get("channel")
    return _("来自渠道“%(channel)s”", channel=channel) if channel else ""


def _change(name: str, before: Any, after: Any) -> str:
    words = _(EDIT_WORDS.get(name, name))
    old, new = ((listed(one) if isinstance(one, list) else str(one)) or _("（空）") for one in (before, after))
    return f"{words}{mark('：')}{old} → {new}"


# --- by hand ---------------------------------------------------------------------------------------------------------


@pages.post("/customers/<person_id>/phone")
@guarded("see_phones")
def show_phone(person_id: str) -> str:
    """Show the whole phone number once; that it was looked at is noted."""
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None:
            here.note(work, "person.phone", person_id)
    return page_of(person_id, phone_shown=True)


@pages.post("/customers/<person_id>/notes")
@guarded("edit_people")
def add_note(person_id: str) -> Any:
    """Write a note."""
    text, once = request.form.get("text", ""), request.form.get("once", "")[:64]
    trouble = ""
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None:
            by = here.viewer().userid
            try:
                if by_hand.add_note(work, person, text, by=by, once=f"{person.id}:{by}:{once or secrets.token_hex(8)}"):
                    here.note(work, "person.note", person_id)
            except ValueError as error:
                trouble = str(error)
    if person is None:
        here.not_here(person_id)
    if trouble:
        return page_of(person_id, note=text, note_error=_(trouble)), 422
    return back_to("customers.show", person_id=person_id)


@pages.post("/customers/<person_id>/notes/<int:note_id>/delete")
@guarded("edit_people")
def delete_note(person_id: str, note_id: int) -> Any:
    """Take back one's own note."""
    note = None
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None and note_id < 2**53:
            note = by_hand.own_note(work.db, person, note_id, here.viewer().userid)
        if note is not None:
            by_hand.take_back(work, note)
            here.note(work, "person.note_delete", person_id)
    if note is None:
        here.not_here(person_id)
    say(_("备注已删除"))
    return back_to("customers.show", person_id=person_id)


@pages.post("/customers/<person_id>/tags")
@guarded("edit_people")
def give_tag(person_id: str) -> Any:
    """Put a tag on the person, here and at WeCom; again means: try once more where WeCom refused."""
    tag_id = number_of("t_", request.form.get("tag", ""))
    with here.working() as work:
        person = person_of(work.db, person_id)
        tag = work.db.get(Tag, tag_id) if person is not None and tag_id is not None else None
        if person is not None and tag is not None:
            by = here.viewer().userid
            because = f"{persons.rep_name(work.db, by)}手动添加"
            if tags.give(work, person, tag, Ground("manual", because, actor=by)):
                _tell(work, person, by_hand.TAGGED, {"tag": f"{tag.group_name}/{tag.name}"})
            here.note(work, "person.tag", person_id, {"tag": tags.public_id(tag.id)})
    if person is None:
        here.not_here(person_id)
    if tag is None:
        say(_("请先选一个标签"), "warn")
    return back_to("customers.show", person_id=person_id)


@pages.post("/customers/<person_id>/tags/<tag_id>/delete")
@guarded("edit_people")
def take_tag(person_id: str, tag_id: str) -> Any:
    """Take a tag off the person, here and at WeCom."""
    number = number_of("t_", tag_id)
    with here.working() as work:
        person = person_of(work.db, person_id)
        tag = work.db.get(Tag, number) if person is not None and number is not None else None
        if person is not None and tag is not None and tags.take_away(work, person, tag):
            _tell(work, person, by_hand.UNTAGGED, {"tag": f"{tag.group_name}/{tag.name}"})
            here.note(work, "person.untag", person_id, {"tag": tags.public_id(tag.id)})
    if person is None or tag is None:
        here.not_here(person_id)
    return back_to("customers.show", person_id=person_id)


@pages.post("/customers/<person_id>/owner")
@guarded("give_owner")
def give_owner(person_id: str) -> Any:
    """Let another rep answer for the person; nothing chosen goes back to the longest-standing rep."""
    userid = request.form.get("owner") or None
    with here.working() as work:
        person, sight = person_of(work.db, person_id), here.sight(work.db)
        known = userid is None or (work.db.get(Member, userid) is not None and sight.rep(userid))
        if person is not None and known:
            persons.give_owner(work, person, userid)
            _tell(work, person, by_hand.OWNER_GIVEN, {"to": userid})
            here.note(work, "person.owner", person_id, {"to": userid})
    if person is None or not known:
        here.not_here(person_id)
    say(_("负责人已更改"))
    return back_to("customers.show", person_id=person_id)


def _tell(work: Work, person: Person, kind: str, details: Mapping[str, Any]) -> None:
    by = here.viewer().userid
    by_hand.tell(work, person, kind, by=by, once=f"{kind}:{secrets.token_hex(12)}", details=details)

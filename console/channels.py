"""Channel codes (引流): the list, the form with its drawn phone, one code's page with figures.

Making and changing go through ``tagging.channel_desk`` and ``tagging.channels``; what WeCom refuses is told as what
happened, what was kept, what to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any

from flask import Blueprint, Response, abort, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import attachment_rows, channel_charts, channel_form, forms, here, shown
from console.channel_form import Form
from console.doors import guarded
from console.forms import Problems
from console.layout import back_to, say
from console.today import OUTCOMES
from console.words import N_, _, listed, mark
from storage import sheets
from storage.tables import AuditRow, Channel, Department, Member, Tag
from storage.work import Work
from tagging import channel_lists, channel_numbers, channels
from tagging.channel_desk import Desk
from tagging.channel_lists import Filter
from tagging.channels import Invalid
from tagging.timetable import Slot
from wecom.errors import Refused, TryLater, Unclear, WeComError

pages = Blueprint("channels", __name__, url_prefix="/channels")

PAGE = 100
STATE_WORDS = {
    "all": N_("在用和停用"),
    "active": N_("使用中"),
    "stopped": N_("已停用"),
    "trouble": N_("没有人能接待"),
    "unfinished": N_("没有创建完成"),
    "deleted": N_("已删除"),
}
KIND_WORDS = {
    "new_to_shop": N_("新到店"),
    "new_to_rep": N_("老客新加"),
    "re_added": N_("再次添加"),
    "half": N_("半添加"),
}
HISTORY_WORDS = {
    "channel.create": N_("创建"),
    "channel.withdraw": N_("企业微信没有接受创建"),
    "channel.finish": N_("继续创建"),
    "channel.change": N_("修改"),
    "channel.stop": N_("停用"),
    "channel.resume": N_("恢复使用"),
    "channel.delete": N_("删除"),
    "channel.picture": N_("下载二维码"),
}
FIELD_WORDS = {
    "name": N_("名称"),
    "members": N_("接待成员"),
    "spare": N_("备用成员"),
    "tags": N_("标签"),
    "text": N_("欢迎语"),
    "attachments": N_("附件"),
    "skip_verify": N_("自动通过"),
    "daily_cap": N_("每日上限"),
    "timetable": N_("时段"),
}
FROM_BELOW = (
    N_("已停用，由备用成员接待"),
    N_("已停用，且没有可接待的备用成员"),
    N_("今天都已达上限，由备用成员接待"),
    N_("今天都已达上限，但没有备用成员，仍由他们接待"),
    N_("当前时段没有人值班，由备用成员接待"),
    N_("当前时段没有人值班，也没有可接待的备用成员"),
    N_("值班成员都不能接待，由备用成员接待"),
    N_("值班成员都不能接待，也没有可接待的备用成员"),
    N_("还没有在企业微信创建成功，请点“继续创建”"),
    N_("现在没有人能接待：请检查成员、时段和备用成员"),
    N_("停用前请先指定备用成员：印出去的二维码还会有人扫"),
    N_("名称需 1–30 个字"),
    N_("请至少选择一名接待成员"),
    N_("一个渠道活码最多 100 名成员"),
    N_("每日上限至少为 1；不限请留空"),
    N_("欢迎语最多 4000 字节（约 1,333 个汉字）"),
    N_("附件最多 9 个"),
    N_("请填整数；不限请留空"),
)
"""What ``tagging`` says about a code, to be found by the catalogue."""
WEEKDAYS = (N_("周一"), N_("周二"), N_("周三"), N_("周四"), N_("周五"), N_("周六"), N_("周日"))
HOLIDAY_WORDS = {"same": N_("节假日照常"), "off": N_("节假日休息"), "only": N_("只在节假日")}


# --- the list --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One row of the list."""

    channel: Channel
    figures: channel_numbers.Row
    tags: list[tuple[str, str]]


@pages.get("")
@guarded("see_channels")
def index() -> str:
    """Every code that fits the filter, newest first."""
    wanted = list_filter()
    with here.reading() as db:
        found, following = channel_lists.page(db, wanted, limit=PAGE, before=here.number(request.args.get("before")))
        return render_template(
            "channels/index.html",
            lines=_lines(db, found),
            wanted=wanted,
            filters=filter_values(wanted),
            states=STATE_WORDS,
            following=following,
            tags=channel_lists.tags_in_use(db),
            names=member_names(db),
            members=_serving(db),
            any_at_all=bool(found) or db.scalar(select(Channel.id).limit(1)) is not None,
        )


def list_filter() -> Filter:
    """What the address narrows the list to."""
    state = request.args.get("state", "all")
    return Filter(
        q=request.args.get("q", "").strip()[:100],
        state=state if state in channel_lists.STATES else "all",
        userid=request.args.get("member") or None,
        tag_id=here.number(request.args.get("tag")),
    )


def filter_values(wanted: Filter) -> dict[str, Any]:
    """The same as parts of an address, empty ones left out."""
    state = None if wanted.state == "all" else wanted.state
    values = {"q": wanted.q, "state": state, "member": wanted.userid, "tag": wanted.tag_id}
    return {name: value for name, value in values.items() if value}


def _lines(db: Session, found: Sequence[Channel]) -> list[Line]:
    reps = here.sight(db).reps
    figures = channel_numbers.for_list(db, [one.id for one in found], here.now(), here.zone(), reps)
    ids = {tag_id for one in found for tag_id in one.tags}
    rows = db.execute(select(Tag.id, Tag.group_name, Tag.name).where(Tag.id.in_(ids)))
    named = {tag_id: (group, name) for tag_id, group, name in rows}
    return [Line(one, figures[one.id], [named[tag] for tag in one.tags if tag in named]) for one in found]


def member_names(db: Session) -> dict[str, str]:
    """What to call each member."""
    return {userid: name or userid for userid, name in db.execute(select(Member.userid, Member.name))}


@pages.get("/export.csv")
@guarded("see_channels")
def export() -> Response:
    """The filtered list as CSV; noted with its count."""
    with here.reading() as db:
        lines = _lines(db, list(channel_lists.every(db, list_filter())))
        names = member_names(db)
    with here.working() as work:
        here.note(work, "channel.export", details={"count": len(lines), **filter_values(list_filter())})
    head = [_("编号"), _("名称"), _("状态"), _("接待成员"), _("标签"), _("今天"), _("近 7 天"), _("近 30 天"),
            _("欢迎语已送达"), _("欢迎语总数"), _("二维码"), _("创建时间")]  # fmt: skip
    return csv_answer("channels.csv", head, (_csv_row(one, names) for one in lines))


def _csv_row(line: Line, names: Mapping[str, str]) -> list[Any]:
    one, figures = line.channel, line.figures
    return [
        one.code,
        one.name,
        _(STATE_WORDS["unfinished" if one.config_id is None else one.state]),
        "|".join(names.get(userid, userid) for userid in one.at_wecom),
        "|".join(f"{group}/{name}" for group, name in line.tags),
        figures.today,
        figures.week,
        figures.month,
        figures.sent,
        figures.welcomes,
        one.qr_code,
        one.created_at.astimezone(here.zone()),
    ]


def csv_answer(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A CSV to keep."""
    content = "".join(sheets.lines(head, rows))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, mimetype="text/csv", headers=headers)


# --- making and changing ---------------------------------------------------------------------------------------------


def desk() -> Desk:
    """Where codes are made."""
    return Desk(here.engine(), here.gateway(), here.start_work)


@pages.get("/new")
@guarded("edit_channels")
def new() -> str:
    """An empty form, or one filled like another code (``?like=``)."""
    with here.reading() as db:
        like = channel_lists.find(db, request.args.get("like", ""))
        return _form(db, channel_form.of_channel(db, like) if like else Form())


@pages.post("/new")
@guarded("edit_channels")
def create() -> Any:
    """Make a code, or only one of the form's small buttons."""
    form, problems, do = _sent()
    if do == "save" and not problems:
        problems = _same_name(form)
    if do == "save" and not problems:
        try:
            made = desk().open(form.draft(), by=here.viewer().userid, note=_note_creation)
        except Invalid as error:
            problems = error.problems
        except Refused as error:
            problems = [_told_of_refusal(form, error)]
        except (TryLater, Unclear) as error:
            return _left_unfinished(form, error)
        else:
            say(_("“%(name)s”已创建，可以下载二维码了", name=made.name))
            here.bell().ring()
            return back_to("channels.show", code=made.code)
    with here.reading() as db:
        return _form(db, form, problems), 422 if problems else 200


def _sent() -> tuple[Form, Problems, str]:
    """The form as sent, with its pictures kept and its small button pressed; ``do`` is ``save`` or ``show``."""
    form, do = channel_form.read(request.form), request.form.get("do", "save")
    problems: Problems = []
    if any(file.filename for file in request.files.values()):
        with here.working() as work:
            form, problems = channel_form.keep_pictures(work, form, request.form, request.files)
            kept = [one["media"] for one in form.attachments if one.get("media")]
            here.note(work, "picture.keep", details={"pictures": kept})
    return channel_form.changed(form, do), problems, "save" if do == "save" else "show"


def _note_creation(work: Work, channel: Channel) -> None:
    here.note(work, "channel.create", channel.code, {"name": channel.name})


def _told_of_refusal(form: Form, error: Refused) -> tuple[str, str]:
    with here.working() as work:
        here.note(work, "channel.withdraw", form.name, {"errcode": error.errcode})
    return "", _("企业微信没有接受：%(why)s。没有创建任何渠道码，你填的内容都还在，改好后再点创建。", why=str(error))


def _left_unfinished(form: Form, error: WeComError) -> Any:
    """WeCom is away: the intent was kept and can be completed."""
    why = _("企业微信暂时没有回应（%(why)s）。内容已保存，二维码还没有生成：稍后点“继续创建”。", why=str(error))
    say(why, "warn")
    return back_to("channels.index", q=form.name, state="unfinished")


@pages.post("/<code>/finish")
@guarded("edit_channels")
def finish(code: str) -> Any:
    """Go on making a code that WeCom had not answered for."""
    channel_id = _found(code).id
    try:
        desk().finish(channel_id)
    except WeComError as error:
        say(_("还是没有成功：%(why)s。内容还在，可以稍后再试。", why=str(error)), "bad")
        return back_to("channels.show", code=code)
    with here.working() as work:
        here.note(work, "channel.finish", code)
    say(_("已创建完成"))
    return back_to("channels.show", code=code)


@pages.get("/<code>/edit")
@guarded("edit_channels")
def edit(code: str) -> str:
    """The form of a code as it is."""
    with here.reading() as db:
        channel = _living(db, code)
        return _form(db, channel_form.of_channel(db, channel), channel=channel)


@pages.post("/<code>/edit")
@guarded("edit_channels")
def change(code: str) -> Any:
    """Bring a code to what the form says, and WeCom after it."""
    _found(code)
    form, problems, do = _sent()
    if do == "save" and not problems:
        problems = _same_name(form, code) or _save(code, form)
        if not problems:
            say(_("已保存。成员变更在企业微信最长约 1 小时生效"))
            return back_to("channels.show", code=code)
    with here.reading() as db:
        return _form(db, form, problems, channel=_living(db, code)), 422 if problems else 200


def _same_name(form: Form, code: str = "") -> Problems:
    """Two codes of one name cannot be told apart in any list: asked once whether that is meant."""
    if form.same_name:
        return []
    with here.reading() as db:
        own = select(Channel.code).where(Channel.name == form.name, Channel.state != "deleted")
        others = set(db.scalars(own))
    if not others or code in others:
        return []
    return [("same_name", _("已经有一个叫“%(name)s”的渠道活码了。请换一个名称；确实要同名，勾选下面一项再保存。",
                            name=form.name))]  # fmt: skip


def _save(code: str, form: Form) -> Problems:
    """Keep the change; why it could not be kept, if so."""
    try:
        with here.working() as work:
            channel = _locked(work.db, code)
            forms.same_version(form.version, channel.version)
            _change(work, channel, form)
    except Invalid as error:
        return error.problems
    return []


def _change(work: Work, channel: Channel, form: Form) -> None:
    before = channel_form.of_channel(work.db, channel)
    channels.change(work, channel, form.draft())
    channels.push_settings(work, channel)
    work.db.flush()
    after = channel_form.of_channel(work.db, channel)
    names = [one for one in FIELD_WORDS if getattr(before, one) != getattr(after, one)]
    details = {one: [getattr(before, one), getattr(after, one)] for one in names}
    here.note(work, "channel.change", channel.code, details)


def _form(db: Session, form: Form, problems: Sequence[tuple[str, str]] = (), *, channel: Channel | None = None) -> str:
    errors = forms.told(("text" if name == "welcome" else name, words) for name, words in problems)
    return render_template(
        "channels/form.html",
        form=form,
        errors=errors,
        channel=channel,
        members=_serving(db, also=(*form.members, *form.spare)),
        departments={one.id: one.name for one in db.scalars(select(Department))},
        tags=[forms.tag_value(one.group_name, one.name) for one in channel_lists.tags_in_use(db)],
        tag_of=forms.tag_of,
        most_bytes=channels.MAX_TEXT_BYTES,
        weekdays=WEEKDAYS,
        holidays=[(name, _(words)) for name, words in HOLIDAY_WORDS.items()],
        names=member_names(db),
        preview=channel_form.preview(db, form),
        pictures=channel_form.pictures_of(db, form),
        full=len(form.attachments) >= channels.MAX_ATTACHMENTS,
        library=attachment_rows.offered(db, channel_form.KINDS),
    )


def _serving(db: Session, also: Sequence[str] = ()) -> list[Member]:
    """The members to choose from: who serve customers, and who are chosen already."""
    fit = Member.serves.is_(True) & Member.left_at.is_(None)
    return list(db.scalars(select(Member).where(fit | Member.userid.in_(also)).order_by(Member.name, Member.userid)))


@pages.post("/preview")
@guarded("edit_channels")
def preview() -> str:
    """The drawn phone alone, for the live preview."""
    form = channel_form.read(request.form)
    with here.reading() as db:
        return render_template(
            "channels/preview.html",
            preview=channel_form.preview(db, form),
            pictures=channel_form.pictures_of(db, form),
        )


# --- one code --------------------------------------------------------------------------------------------------------


@pages.get("/<code>")
@guarded("see_channels")
def show(code: str) -> str:
    """One code: its picture, its figures, who serves now and why, its week, its history."""
    with here.reading() as db:
        channel = in_sight(db, code)
        reps, now, zone = here.sight(db).reps, here.now(), here.zone()
        days = channel_numbers.by_day(db, channel.id, now, zone, reps)
        slots = [Slot.read(row) for row in channel.timetable]
        names = member_names(db)
        form = channel_form.of_channel(db, channel)
        figures = channel_numbers.for_list(db, [channel.id], now, zone, reps)[channel.id]
        greeted = channel_numbers.welcomes(db, channel.id, now, zone, reps)
        return render_template(
            "channels/show.html",
            channel=channel,
            figures=figures,
            days=days,
            chart=_chart(days),
            kinds=KIND_WORDS,
            stayed=channel_numbers.stayed(db, channel.id, now, reps),
            welcomes=greeted,
            fate=_fate(figures.month, greeted),
            outcomes=OUTCOMES,
            per_rep=channel_numbers.per_rep(db, channel.id, now, zone, reps),
            serving=channels.serving_now(db, channel, now, zone),
            slots=slots,
            week=channel_charts.week(_shifts(slots, names), [_(one) for one in WEEKDAYS]) if slots else None,
            weekdays=WEEKDAYS,
            holidays=HOLIDAY_WORDS,
            states=STATE_WORDS,
            tags=channels.tag_names(db, channel),
            names=names,
            form=form,
            preview=channel_form.preview(db, form),
            pictures=channel_form.pictures_of(db, form),
            history=_history(db, code),
            actions=HISTORY_WORDS,
            fields=FIELD_WORDS,
            changed_fields=_changed_fields,
        )


def _fate(arrivals: int, greeted: Mapping[str, int]) -> str:
    """What became of the welcomes of everybody who came: those that could not be sent are said, too."""
    parts = [
        f"{_(words)} {shown.count(greeted[name])}" for name, (words, *_more) in OUTCOMES.items() if name in greeted
    ]
    came = _("近 30 天 %(n)s 人到来", n=shown.count(arrivals))
    return f"{came}{mark('：')}{listed(parts, '，')}" if parts else came


def _chart(days: Sequence[channel_numbers.Day]) -> channel_charts.Drawing:
    labels = [f"{one.day.month}-{one.day.day}" for one in days]
    series = [[one.arrivals.get(kind, 0) for one in days] for kind in channel_numbers.KINDS]
    return channel_charts.stacked(labels, series, [_(KIND_WORDS[kind]) for kind in channel_numbers.KINDS])


def _shifts(slots: Sequence[Slot], names: Mapping[str, str]) -> list[channel_charts.Shift]:
    """The timetable as stretches of single days: a night is cut at midnight."""
    found = []
    for number, slot in enumerate(slots):
        words, series = listed(names.get(one, one) for one in slot.members), number % 6 + 1
        for day in slot.days:
            if slot.starts < slot.ends:
                found.append(channel_charts.Shift(day, slot.starts, slot.ends, series, words))
            else:
                found.append(channel_charts.Shift(day, slot.starts, None, series, words))
                found.append(channel_charts.Shift(day % 7 + 1, time(), slot.ends, series, words))
    return found


def _history(db: Session, code: str, most: int = 30) -> list[AuditRow]:
    own = select(AuditRow).where(AuditRow.subject == code, AuditRow.action.in_(HISTORY_WORDS))
    return list(db.scalars(own.order_by(AuditRow.id.desc()).limit(most)))


def _changed_fields(row: AuditRow) -> str:
    """Which fields a change touched, in words."""
    return listed(_(FIELD_WORDS[name]) for name in row.details if name in FIELD_WORDS)


@pages.get("/<code>/days.csv")
@guarded("see_channels")
def days_csv(code: str) -> Response:
    """The figures of 30 days as CSV; noted with its count."""
    with here.reading() as db:
        channel = in_sight(db, code)
        days = channel_numbers.by_day(db, channel.id, here.now(), here.zone(), here.sight(db).reps)
    with here.working() as work:
        here.note(work, "channel.export", code, {"count": len(days), "what": "days"})
    head = [_("日期"), *(_(KIND_WORDS[kind]) for kind in channel_numbers.KINDS), _("合计"), _("流失")]
    rows = ([one.day.isoformat(), *(one.arrivals.get(kind, 0) for kind in channel_numbers.KINDS), one.total, one.lost]
            for one in days)  # fmt: skip
    return csv_answer(f"{code}-days.csv", head, rows)


def in_sight(db: Session, code: str) -> Channel:
    """The code of this name. 404 when there is none."""
    channel = channel_lists.find(db, code)
    if channel is None:
        here.not_here()
    return channel


def _living(db: Session, code: str) -> Channel:
    """The same, not deleted."""
    channel = in_sight(db, code)
    if channel.state == "deleted":
        here.not_here()
    return channel


def _locked(db: Session, code: str) -> Channel:
    """The same, to be changed: nobody else changes it meanwhile. Look for it with ``_found`` first."""
    own = select(Channel).where(Channel.code == code, Channel.state != "deleted").with_for_update()
    return db.scalars(own).one_or_none() or abort(404)


def _found(code: str) -> Channel:
    with here.reading() as db:
        return _living(db, code)


@pages.post("/<code>/stop")
@guarded("edit_channels")
def stop(code: str) -> Any:
    """Stop a code: the printed QR leads to the spare reps from now on."""
    _found(code)
    try:
        with here.working() as work:
            channels.stop(work, _locked(work.db, code))
            here.note(work, "channel.stop", code)
    except Invalid as error:
        say(listed((_(words) for _field, words in error.problems), "；"), "bad")
        return back_to("channels.edit", code=code, _anchor="spare")
    say(_("已停用。印出去的二维码仍然有效，会由备用成员接待"))
    return back_to("channels.show", code=code)


@pages.post("/<code>/resume")
@guarded("edit_channels")
def resume(code: str) -> Any:
    """Take a stopped code into use again."""
    _found(code)
    with here.working() as work:
        channels.resume(work, _locked(work.db, code))
        here.note(work, "channel.resume", code)
    say(_("已恢复使用"))
    return back_to("channels.show", code=code)


@pages.get("/<code>/delete")
@guarded("edit_channels")
def ask_delete(code: str) -> str:
    """What deleting would cut off, before it is done."""
    return _delete_page(code)


@pages.post("/<code>/delete")
@guarded("edit_channels")
def delete(code: str) -> Any:
    """Take a code down at WeCom for good; its name must be typed."""
    if request.form.get("name", "").strip() != _found(code).name:
        return _delete_page(code, _("和名称不一样，没有删除。请照抄上面的名称")), 422
    with here.working() as work:
        channel = _locked(work.db, code)
        arrivals = channel_numbers.recent_arrivals(work.db, channel.id, work.now, work.zone)
        channels.delete(work, channel)
        here.note(work, "channel.delete", code, {"name": channel.name, "arrivals_30_days": arrivals})
    say(_("“%(name)s”已删除，客户和历史都还在", name=channel.name))
    return back_to("channels.index")


def _delete_page(code: str, error: str = "") -> str:
    with here.reading() as db:
        channel = _living(db, code)
        arrivals = channel_numbers.recent_arrivals(db, channel.id, here.now(), here.zone())
        return render_template("channels/delete.html", channel=channel, arrivals=arrivals, error=error)

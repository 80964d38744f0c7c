"""Today: how the day goes in figures one can follow up, and what stands still. A rep sees only their own."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import chart, here, waiting
from console.books import FILL_WORDS
from console.cursors import read_cursor, write_cursor
from console.doors import guarded
from console.words import N_, _
from loyalty.ledger import daily
from people import alarms, match_rates, persons, tasks, today
from people.access import Sight
from people.match_rates import Rate
from storage import inbox, outbox, sheets
from storage.tables import Channel, OrderSource, Person, PointsTxn, Progress, Task

pages = Blueprint("today", __name__)

SPAN = 14
"""Days in the chart."""
PAGE, FOLLOW_UPS = 50, 50
OUTCOMES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "sent": (N_("已送达"), "good", ""),
        "waiting": (N_("正在发送"), "info", ""),
        "no_code": (
            N_("没有凭证"),
            "warn",
            N_("企业微信没有给发送凭证：成员在管理后台设有欢迎语，或双方已聊过天"),
        ),
        "already": (N_("已聊过或已发过"), "quiet", N_("企业微信答复 41051：对方已收到别的欢迎语，或已开始聊天")),
        "no_text": (N_("没有设置欢迎语"), "quiet", N_("不是通过渠道活码来的，或这个渠道没有欢迎语")),
        "late": (N_("超过 20 秒"), "bad", N_("凭证只活 20 秒，过后不再发送")),
        "refused": (N_("企业微信拒绝"), "bad", N_("企业微信说了不，原因在列表里")),
        "unclear": (N_("不知道是否送达"), "bad", N_("请求发出后断线；不会盲目重发")),
        "watched": (N_("观察模式，未发送"), "info", N_("只展示会发什么")),
    }
)


def day_asked() -> date:
    """The day in the address, never one that has not come; the shop's today otherwise."""
    try:
        return min(date.fromisoformat(request.args.get("day", "")), here.today())
    except ValueError:
        return here.today()


@pages.get("/")
@guarded("see_today")
def show() -> str:
    """The day in figures, each with what it is a part of and a way to what it counts."""
    day, zone = day_asked(), here.zone()
    with here.reading() as db:
        sight = here.sight(db)
        days = today.days(db, sight, day, SPAN, zone)
        median, longest = today.slowest_welcome(db, sight, day, zone)
        outcomes = today.welcomes(db, sight, day, zone)
        facts = {
            "served": today.served_now(db, sight),
            "progress": db.get(Progress, "first_fill"),
            "boxes": _boxes(db),
            "waits": waiting.for_viewer(db, sight) if day == here.today() else [],
            "sales": _sales(db, sight, day),
            "points": _points(db, day),
            "alarms": alarms.standing(db) if here.may("see_operations") else [],
            "follow_ups": (due := _follow_ups(db)),
            "about": _about(db, sight, due),
            "by_store": match_rates.by_store(db, sight, day, zone),
            "by_rep": (by_rep := match_rates.by_rep(db, sight, day, zone)),
            "rep_names": rep_names(db, sight, [one.name for one in by_rep]),
            "has_channels": db.scalar(select(Channel.id).limit(1)) is not None,
        }
    return render_template(
        "today/show.html",
        day=day,
        is_today=day == here.today(),
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
        figures=days[-1],
        days=days,
        chart=chart.of_days(days),
        outcomes=outcomes,
        words=OUTCOMES,
        median=median,
        longest=longest,
        fill_steps=FILL_WORDS,
        new_channel=_new_channel(),
        **facts,
    )


def _sales(db: Session, sight: Sight, day: date) -> Rate | None:
    """The day's orders, in a shop of which any till has told."""
    told = here.may("see_orders") and db.scalar(select(OrderSource.name).limit(1)) is not None
    return match_rates.whole(db, sight, day, here.zone()) if told else None


def _points(db: Session, day: date) -> daily.Total | None:
    """What the day did to points, for whoever sees the books, once there is anything in them."""
    kept = here.may("see_ledger") and db.scalar(select(PointsTxn.id).limit(1)) is not None
    return daily.total(db, day, here.zone()) if kept else None


def _follow_ups(db: Session) -> Sequence[Task]:
    """The viewer's tasks whose time is over, or comes before the day ends."""
    ends = datetime.combine(here.today() + timedelta(days=1), time.min, here.zone())
    return tasks.open_of(db, here.viewer().userid, until=ends, limit=FOLLOW_UPS)


def _about(db: Session, sight: Sight, due: Sequence[Task]) -> dict[int, str]:
    """Whom the tasks are about, as far as the viewer may see them still."""
    ids = [one.person_id for one in due if one.person_id is not None]
    return dict(db.execute(select(Person.id, Person.name).where(Person.id.in_(ids), sight.people())).all())


def _boxes(db: Session) -> dict[str, Any] | None:
    """How inbox and outbox stand, for those who can do something about it."""
    if not here.may("see_operations"):
        return None
    return {"inbox": inbox.health(db), "outbox": outbox.health(db)}


def _new_channel() -> str:
    """Where a first channel code is made, if the viewer may."""
    there = "channels.new" in current_app.view_functions and here.may("edit_channels")
    return url_for("channels.new") if there else ""


@pages.get("/today.csv")
@guarded("see_today")
def table() -> Response:
    """The chart's days as CSV."""
    with here.reading() as db:
        days = today.days(db, here.sight(db), day_asked(), SPAN, here.zone())
    heads = [_("日期"), _("新到店"), _("老客新加"), _("再次添加"), _("半添加"), _("流失"), _("净增")]
    rows = [[one.day, one.new_to_shop, one.new_to_rep, one.re_added, one.half, one.lost, one.net] for one in days]
    return attachment("".join(sheets.lines(heads, rows)), f"today-{day_asked()}.csv")


def attachment(text: str, name: str) -> Response:
    """A CSV to be saved under this name."""
    answer = Response(text, mimetype="text/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


# --- why no welcome? -------------------------------------------------------------------------------------------------


@pages.get("/welcomes")
@guarded("see_today")
def welcomes() -> str:
    """Every welcome with its outcome in words, newest first; narrowed by outcome and day."""
    outcome = request.args.get("outcome", "")
    outcome = outcome if outcome in OUTCOMES else ""
    day = day_asked() if request.args.get("day") else None
    before = read_cursor(request.args.get("before"))
    with here.reading() as db:
        sight = here.sight(db)
        found, following = today.greetings(
            db, sight, outcome=outcome, day=day, zone=here.zone(), limit=PAGE, before=before
        )
        names = rep_names(db, sight, [one.welcome.userid for one in found])
    return render_template(
        "today/welcomes.html",
        found=found,
        outcome=outcome,
        day=day,
        before=bool(before),
        following=write_cursor(following),
        words=OUTCOMES,
        names=names,
    )


def rep_names(db: Session, sight: Sight, userids: list[str]) -> dict[str, str]:
    """The names of these reps; who is out of sight has none to show."""
    return {one: persons.rep_name(db, one) if sight.rep(one) else _("其他成员") for one in {*userids} if one}

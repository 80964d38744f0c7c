"""What became of a broadcast: for each rep, customer and group, in WeCom's own words; reminding, and what is exported.

The page itself is shown by ``console.broadcasts``. A manager sees their own reps' part.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, render_template, request
from sqlalchemy.orm import Session

from console import attachment_rows, broadcast_form, exports, here
from console.broadcast_seen import BEFORE, UNDER_WAY, decides, known, names, public_id, rules, state_of
from console.broadcast_words import (
    ARM_WORDS,
    FOUR,
    METRIC_WORDS,
    RESULT_WORDS,
    SAYING_WORDS,
    TASK_WORDS,
    WHY_WORDS,
    holder_words,
    outcome,
    reason_words,
    recurs,
    told,
)
from console.doors import guarded
from console.layout import back_to, say
from console.words import _
from outreach import audience, broadcasts, budget, comparing, groups, links, mass, planned, results, telling
from outreach.arms import CONTROL, GHOSTS
from outreach.broadcasts import CannotDo
from outreach.results import RepLine
from people import persons
from people.access import Sight
from storage import sheets
from storage.database import reading
from storage.tables import Broadcast, Member
from storage.work import Work

pages = Blueprint("broadcast_results", __name__, url_prefix="/broadcasts")

PEOPLE = 50
TIMES = 20


def result_page(db: Session, broadcast: Broadcast) -> str:
    """What became of a broadcast that was approved."""
    sight, form = here.sight(db), broadcast_form.of_broadcast(broadcast)
    lines = results.reps(db, broadcast, sight)
    standing = results.standing(db, broadcast, sight)
    everything = decides(db, broadcast)
    waiting = [one for one in lines if one.open_tasks]
    stores = telling.unconfirmed(db, [(one.userid, one.name) for one in waiting])
    return render_template(
        "broadcasts/show.html",
        broadcast=broadcast,
        state_words=state_of(broadcast),
        note=told(broadcast.note),
        recurs=recurs(broadcast.repeat),
        times=_times(db, broadcast),
        lines=lines,
        waiting=waiting,
        stores=stores,
        leader_names=_called(db, [who for one in stores for who in one.leaders]),
        groups=results.groups(db, broadcast, sight) if broadcast.audience == broadcasts.GROUPS else [],
        standing=standing,
        four=[(one, *RESULT_WORDS[one]) for one in FOUR],
        results=RESULT_WORDS,
        left_out=_left_out(db, broadcast, sight),
        reasons=reason_words(rules()),
        task_words=TASK_WORDS,
        outcome=outcome,
        reminders=_reminders(lines),
        reminder_words=reminder_words,
        opens=links.opens_of(db, broadcasts.source_of(broadcast)),
        **(_of_all(db, broadcast, standing) if everything else {}),
        metrics=METRIC_WORDS,
        sayings=SAYING_WORDS,
        arms=ARM_WORDS,
        previews=broadcast_form.previews(form, here.my_name()),
        media=attachment_rows.media_of(db, form.attachments),
        names=names(db, [broadcast]) | _rep_names(db, lines),
        decides=everything,
        under_way=broadcast.state in UNDER_WAY,
    )


def _of_all(db: Session, broadcast: Broadcast, standing: results.Standing) -> dict[str, Any]:
    """What can only be said of all its receivers together: who left, which wording did better."""
    return {
        "losses": results.losses(db, broadcast, here.now()) if standing.states.get(results.SENT) else None,
        "comparison": comparing.comparison(db, broadcast, here.now()),
    }


def _times(db: Session, broadcast: Broadcast) -> list[Broadcast]:
    """The times of one that recurs, the last first."""
    own = Broadcast.parent_id == broadcast.id
    return broadcasts.listed(db, limit=TIMES, seen=own)[0] if broadcast.repeat else []


def _left_out(db: Session, broadcast: Broadcast, sight: Sight) -> Mapping[str, int]:
    """Why those who were meant did not get it, where one sees them all."""
    if not sight.everybody:
        return {}
    if broadcast.audience == broadcasts.GROUPS:
        looked = groups.looked_at(db, broadcast.chat_ids, broadcasts.maker(db, broadcast), rules(), here.now(),
                                  broadcasts.source_of(broadcast))  # fmt: skip
        return groups.counted(looked).reasons
    return audience.planned(db, broadcasts.source_of(broadcast)).reasons


def _rep_names(db: Session, lines: Sequence[RepLine]) -> dict[str, str]:
    return {one.userid: one.name for one in lines}


# --- people, by name -------------------------------------------------------------------------------------------------


@pages.get("/<int:broadcast_id>/people")
@guarded("see_broadcasts")
def people(broadcast_id: int) -> str:
    """Those in sight who get it, or do not, and why: before planning as it would be, afterwards as it is."""
    why, state, userid = (request.args.get(one, "")[:64] for one in ("why", "state", "userid"))
    after = here.number(request.args.get("after")) or 0
    with here.reading() as db:
        broadcast, sight = known(db, broadcast_id), here.sight(db)
        if broadcast.audience == broadcasts.GROUPS:
            here.not_here(public_id(broadcast))
        if broadcast.planned_at is None and broadcast.state in BEFORE:
            rows, following = _foreseen(db, broadcast, sight, why if why in WHY_WORDS else "", after)
        else:
            rows, following = _as_it_is(db, broadcast, sight, {"state": state, "reason": why, "userid": userid}, after)
        return render_template(
            "broadcasts/people.html",
            broadcast=broadcast,
            rows=rows,
            following=following,
            after=after,
            asked={"why": why, "state": state, "userid": userid},
            why_words=WHY_WORDS,
            results=RESULT_WORDS,
            reasons=reason_words(rules()),
            held=_held(db, broadcast, rows),
            names=_called(db, [userid for _person, userid, *_rest in rows if userid]),
            before=broadcast.state in BEFORE,
        )


Row = tuple[tuple[int, str], str | None, str, str, bool, datetime]
"""(id and name), rep, state, reason, whether they deleted the rep within a day, for when it is or was planned."""


def _held(db: Session, broadcast: Broadcast, rows: Sequence[Row]) -> dict[int, str]:
    """Of those on this page who get nothing because something else of ours is in the way: what that is."""
    asked = [(who[0], at) for who, _rep, _state, why, _deleted, at in rows if why in (audience.QUOTA, audience.GAP)]
    found = budget.around(db, rules(), asked, but=(broadcasts.source_of(broadcast),))
    called = planned.names_of(db, {budget.kind_of(one.source) for one in found.values()})
    return {person_id: holder_words(one, called, here.zone()) for person_id, one in found.items()}


def _foreseen(db: Session, broadcast: Broadcast, sight: Sight, why: str, after: int) -> tuple[list[Row], int | None]:
    if not decides(db, broadcast):
        here.not_here(public_id(broadcast))
    try:
        plan = broadcasts.plan_of(db, broadcast, rules(), here.now(), here.zone())
    except CannotDo:
        return [], None  # its segment is gone, as the page before says
    found, following = audience.people(db, plan, why, sight.people(), limit=PEOPLE, after=after)
    state = "held" if not why else CONTROL if why in GHOSTS else "left_out"
    return [((one.id, one.name), userid, state, why, False, plan.at) for one, userid in found], following


def _as_it_is(
    db: Session, broadcast: Broadcast, sight: Sight, which: Mapping[str, str], after: int
) -> tuple[list[Row], int | None]:
    found, following = results.customers(db, broadcast, sight, limit=PEOPLE, after=after, which=which)
    rows = [
        (
            (one.touch.person_id, one.name),
            one.touch.userid,
            one.touch.state,
            one.touch.reason,
            one.deleted,
            one.touch.at,
        )
        for one in found
    ]
    return rows, following


def _called(db: Session, userids: Sequence[str]) -> dict[str, str]:
    return {one.userid: one.name or one.userid for one in db.query(Member).where(Member.userid.in_(set(userids)))}


# --- exports ---------------------------------------------------------------------------------------------------------


@pages.get("/<int:broadcast_id>/reps.csv")
@guarded("see_broadcasts")
def reps_csv(broadcast_id: int) -> Response:
    """Each rep's part as CSV; noted."""
    with here.reading() as db:
        broadcast = known(db, broadcast_id)
        lines = results.reps(db, broadcast, here.sight(db))
    with here.working() as work:
        here.note(work, "broadcast.export", public_id(broadcast), {"name": broadcast.name, "count": len(lines)})
    head = [_("门店"), _("成员"), _("确认时间"), _("收到的人"), *(_(words) for words, _tone in RESULT_WORDS.values()),
            _("一天内删除")]  # fmt: skip
    rows = (
        [one.store, one.name, _time(one.confirmed_at), one.reached, *(one.states.get(name, 0) for name in RESULT_WORDS),
         one.deleted]
        for one in lines
    )  # fmt: skip
    return _csv(f"{public_id(broadcast)}-reps.csv", "".join(sheets.lines(head, rows)))


def _time(at: Any) -> str:
    return f"{at.astimezone(here.zone()):%Y-%m-%d %H:%M}" if at else ""


def _csv(name: str, content: str | Iterator[str]) -> Response:
    answer = Response(content, mimetype="text/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


@pages.post("/<int:broadcast_id>/customers.csv")
@guarded("export")
def customers_csv(broadcast_id: int) -> Response:
    """Each customer's part as CSV, by the rules of every export of customers; read as it is sent."""
    with here.working() as work:
        broadcast, sight = known(work.db, broadcast_id), here.sight(work.db)
        exports.not_too_often(work)
        told_of = {"reason": _("群发结果"), "name": broadcast.name}
        here.note(work, exports.ACTION, public_id(broadcast), told_of)
    engine, zone = here.engine(), here.zone()
    states = {name: _(words) for name, (words, _tone) in RESULT_WORDS.items()}
    reasons = reason_words(rules())
    head = [_("客户 ID"), _("姓名"), _("成员"), _("结果"), _("原因"), _("时间"), _("一天内删除")]

    def rows() -> Iterator[list[object]]:
        with reading(engine) as db:
            called = {one.userid: one.name or one.userid for one in db.query(Member)}
            for one in results.every_customer(db, broadcast, sight):
                touch = one.touch
                when = f"{touch.at.astimezone(zone):%Y-%m-%d %H:%M}" if touch.state == results.SENT else ""
                yield [
                    persons.public_id(touch.person_id),
                    one.name,
                    called.get(touch.userid or "", touch.userid),
                    states[touch.state],
                    reasons.get(touch.reason, touch.reason),
                    when,
                    int(one.deleted),
                ]

    return _csv(f"{public_id(broadcast)}-customers.csv", sheets.lines(head, rows()))


# --- bringing to mind ------------------------------------------------------------------------------------------------


def _reminders(lines: Sequence[RepLine]) -> dict[str, int]:
    """How often each rep may still be reminded; 0: three times within 24 hours, or nothing to remind of."""
    return {one.userid: max((mass.reminders_left(task, here.now()) for task in one.open_tasks), default=0)
            for one in lines}  # fmt: skip


def reminder_words(line: RepLine) -> str:
    """Why a rep cannot be reminded now, and from when on again."""
    last = max((one.reminded_at for one in line.open_tasks if one.reminded_at), default=None)
    if last is None:
        return ""
    again = (last + mass.REMINDERS_WITHIN).astimezone(here.zone())
    return _("24 小时内已提醒 3 次，企业微信不再接受；%(at)s 之后可以再提醒", at=f"{again:%m-%d %H:%M}")


@pages.post("/<int:broadcast_id>/remind")
@guarded("see_broadcasts")
def remind(broadcast_id: int) -> Any:
    """Have WeCom ask again the reps who have not confirmed: one (``userid``), or all in sight."""
    userid = request.form.get("userid", "")
    with here.working() as work:
        broadcast, sight = known(work.db, broadcast_id), here.sight(work.db)
        lines = [
            one for one in results.reps(work.db, broadcast, sight) if one.open_tasks and userid in ("", one.userid)
        ]
        asked = [one for one in lines if sum(mass.remind(work, task) for task in one.open_tasks)]
        if asked:
            who = [one.userid for one in asked]
            here.note(work, "broadcast.remind", public_id(broadcast), {"name": broadcast.name, "members": who})
    left = [one.name for one in lines if one not in asked]
    if asked:
        say(_("已请企业微信提醒 %(n)s 位成员", n=len(asked)))
    if left:
        say(_("没有提醒 %(who)s：24 小时内已提醒 3 次，企业微信不再接受", who="、".join(left)), "warn")
    if not lines:
        say(_("没有还没确认的成员"), "warn")
    return back_to("broadcasts.show", broadcast_id=broadcast_id)


@pages.post("/<int:broadcast_id>/managers")
@guarded("see_broadcasts")
def tell_managers(broadcast_id: int) -> Any:
    """Write to each store's leaders who of theirs has not confirmed."""
    with here.working() as work:
        broadcast = known(work.db, broadcast_id)
        told_count = _tell(work, broadcast)
        if told_count:
            here.note(work, "broadcast.managers", public_id(broadcast), {"name": broadcast.name, "count": told_count})
    if told_count:
        say(_("已发给 %(n)s 位主管", n=told_count))
    else:
        say(_("没有可以通知的主管：门店没有负责人，或今天已经通知过"), "warn")
    return back_to("broadcasts.show", broadcast_id=broadcast_id)


def _tell(work: Work, broadcast: Broadcast) -> int:
    lines = [one for one in results.reps(work.db, broadcast, here.sight(work.db)) if one.open_tasks]
    return telling.managers(work, broadcast, telling.unconfirmed(work.db, [(one.userid, one.name) for one in lines]))

"""Handover (交接): whose customers wait for somebody, a plan that gives them to a colleague, and how each one went.

The plan and its rules are ``people.handover``, what goes along ``scheduler.handovers``. A manager hands over among
those below them; a plan with anybody else in it is not there for them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console import here, known
from console.customers import Asked, asked_for, choices
from console.doors import guarded
from console.layout import back_to, say
from console.words import N_, _, said
from people import directory, handover, lookups
from people.access import Sight
from people.directory import Filter
from people.handover import Candidate, CannotHandOver
from people.members import QUIT
from scheduler import handovers
from scheduler.handovers import Wish
from storage.tables import Handover, HandoverRow, Member, Unassigned

pages = Blueprint("handover", __name__, url_prefix="/customers/handover")

PAGE = 100
PLANS = 50
NAMES_SHOWN = 300
FILTERS = ("q", "tag", "channel")
HOPELESS = frozenset({40096, 40128, 40131})
"""What WeCom answers the same way next time: not ours to see, handed over twice in 90 days, not the giver's."""
STATE_WORDS: Mapping[str, tuple[str, str]] = {
    handover.RUNNING: (N_("正在交接"), "info"),
    handover.ENDED: (N_("已结束"), "good"),
    handover.CANCELLED: (N_("已取消"), "quiet"),
}
ROW_WORDS: Mapping[str, tuple[str, str]] = {
    handover.WAITING: (N_("等着发出"), "info"),
    handover.ASKED: (N_("企业微信正在转"), "info"),
    handover.UNCLEAR: (N_("正在向企业微信核对"), "warn"),
    handover.DONE: (N_("已转给新成员"), "good"),
    handover.REFUSED: (N_("没有转成"), "bad"),
}


# --- what there is ---------------------------------------------------------------------------------------------------


@pages.get("")
@guarded("hand_over")
def index() -> str:
    """Who left customers behind, and the plans so far."""
    with here.reading() as db:
        sight = here.sight(db)
        plans = _plans(db, sight)
        return render_template(
            "handover/index.html",
            leavers=handover.leavers(db, sight),
            read_at=db.scalar(select(func.max(Unassigned.read_at))),
            plans=plans,
            counts=_counts(db, plans),
            names=_names(db, plans),
            states=STATE_WORDS,
        )


def _plans(db: Session, sight: Sight) -> list[Handover]:
    shown = sight.reps(Handover.giver.expression), sight.reps(Handover.taker.expression)
    return list(db.scalars(select(Handover).where(*shown).order_by(Handover.id.desc()).limit(PLANS)))


def _counts(db: Session, plans: Sequence[Handover]) -> dict[int, dict[str, int]]:
    own = select(HandoverRow.handover_id, HandoverRow.state, func.count()).group_by(
        HandoverRow.handover_id, HandoverRow.state
    )
    found: dict[int, dict[str, int]] = {}
    for plan_id, state, count in db.execute(own.where(HandoverRow.handover_id.in_([one.id for one in plans]))):
        found.setdefault(plan_id, {})[state] = count
    return found


def _names(db: Session, plans: Sequence[Handover]) -> dict[str, str]:
    userids = {one for plan in plans for one in (plan.giver, plan.taker, plan.by)}
    found = known.reps(db, userids)
    return {one: found[one.lower()] for one in userids if one.lower() in found}


# --- the plan --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Whose customers are to go, and which of them."""

    giver: str
    resigned: bool
    left_at: datetime | None
    everybody: Sequence[Candidate]
    chosen: Sequence[Candidate]
    asked: Asked
    again: int = 0
    """The plan whose refused customers are meant; 0: none."""

    @property
    def some(self) -> bool:
        """Whether not everybody of the giver's is meant."""
        return bool(self.again) or _narrows(self.asked)


@dataclass(frozen=True)
class Form:
    """The rest of the plan as it stands on the page."""

    taker: str = ""
    words: str = ""
    codes: bool = False
    errors: Mapping[str, str] = field(default_factory=dict)


def _narrows(asked: Asked) -> bool:
    return any(asked.values[name] for name in FILTERS)


@pages.get("/new")
@guarded("hand_over")
def new() -> str:
    """Whose customers, which of them, and to whom."""
    with here.reading() as db:
        if not request.args.get("giver"):
            return render_template("handover/whose.html", members=_givers(db, here.sight(db)))
        choice = _choice(db)
        return _form(db, choice, Form(codes=choice.resigned))


def _givers(db: Session, sight: Sight) -> list[Member]:
    """Whoever has customers now, those who left first."""
    own = select(Member).where(sight.reps(Member.userid.expression), Member.serves | Member.left_at.is_not(None))
    return list(db.scalars(own.order_by(Member.left_at.is_(None), Member.name)))


def _choice(db: Session) -> Choice:
    """What address or form ask for; a giver out of sight is not there."""
    sight, giver = here.sight(db), request.values.get("giver", "")
    member = db.get(Member, giver)
    waiting = db.scalar(select(func.max(Unassigned.left_at)).where(Unassigned.giver == giver))
    everybody = handover.candidates(db, giver)
    if not sight.rep(giver) or (member is None and not everybody):
        here.not_here()
    resigned = member is None or member.left_at is not None or member.status == QUIT
    left_at = waiting or (member.left_at if member is not None else None)
    again, asked = here.number(request.values.get("again")) or 0, asked_for(db)
    chosen = _chosen(db, sight, everybody, asked, again)
    return Choice(giver, resigned, left_at, everybody, chosen, asked, again)


def _chosen(db: Session, sight: Sight, everybody: Sequence[Candidate], asked: Asked, again: int) -> list[Candidate]:
    chosen = list(everybody)
    if again:
        meant = _retried(db, again)
        chosen = [one for one in chosen if one.external_userid in meant]
    if _narrows(asked):
        wanted = Filter(asked.wanted.q, asked.wanted.tag_id, channel_id=asked.wanted.channel_id)
        ids = set() if asked.nobody else set(directory.every_id(db, sight, wanted))
        chosen = [one for one in chosen if one.person_id in ids]
    return chosen


def _retried(db: Session, plan_id: int) -> Collection[str]:
    """The customers of a plan who did not go over, where asking again may end differently."""
    own = select(HandoverRow).where(HandoverRow.handover_id == plan_id, HandoverRow.state == handover.REFUSED)
    return {one.external_userid for one in db.scalars(own) if _hopeful(one)}


def _hopeful(row: HandoverRow) -> bool:
    """Whoever said no themselves is not asked again."""
    return row.errcode not in HOPELESS and row.detail != handover.DECLINED


def _form(db: Session, choice: Choice, form: Form) -> str:
    sight = here.sight(db)
    seen = lookups.visible(db, sight, [one.person_id for one in choice.chosen[:NAMES_SHOWN] if one.person_id])
    able = select(Member).where(Member.left_at.is_(None), Member.status == 1, Member.serves.is_(True))
    takers = able.where(sight.reps(Member.userid.expression), Member.userid != choice.giver).order_by(Member.name)
    return render_template(
        "handover/form.html",
        choice=choice,
        form=form,
        takers=list(db.scalars(takers)),
        shown=choice.chosen[:NAMES_SHOWN],
        seen=seen,
        asked=choice.asked,
        choices=choices(db, sight),
        address=_address,
        who=known.reps(db, {choice.giver}).get(choice.giver.lower()) or choice.giver,
        most=handover.MOST,
        max_words=handover.MAX_WORDS,
    )


def _address(choice: Choice, **changes: str | None) -> str:
    """The form's address with these filters changed."""
    values: dict[str, Any] = {name: choice.asked.values[name] or None for name in FILTERS} | changes
    return url_for("handover.new", giver=choice.giver, again=choice.again or None, **values)


@pages.post("/new")
@guarded("hand_over")
def begin() -> Any:
    """Ask WeCom to give these customers to the colleague."""
    form = Form(request.form.get("taker", ""), request.form.get("words", "").strip(), "codes" in request.form)
    with here.reading() as db:
        choice = _choice(db)
    chosen = [one.external_userid for one in choice.chosen] if choice.some else None
    try:
        if not form.taker:
            raise CannotHandOver(_("请选择交给谁"))
        with here.working() as work:
            wish = Wish(choice.giver, form.taker, chosen, form.words, form.codes)
            plan = handovers.begin(work, here.sight(work.db), wish, here.viewer().userid)
            plan_id, count = plan.id, sum(handover.counts(work.db, plan.id).values())
            here.note(work, "handover.begin", f"h_{plan_id}", {"from": plan.giver, "to": plan.taker, "count": count})
    except CannotHandOver as error:
        with here.reading() as db:
            wrong = Form(form.taker, form.words, form.codes, {"": said(str(error))})
            return _form(db, choice, wrong), 422
    say(_("已请企业微信转交 %(n)s 位客户", n=count))
    return back_to("handover.show", handover_id=plan_id)


# --- one plan --------------------------------------------------------------------------------------------------------


def _found(db: Session, handover_id: int) -> Handover:
    plan, sight = db.get(Handover, handover_id), here.sight(db)
    return plan if plan is not None and sight.rep(plan.giver) and sight.rep(plan.taker) else here.not_here()


@pages.get("/<int:handover_id>")
@guarded("hand_over")
def show(handover_id: int) -> str:
    """How each customer of a plan stands, with WeCom's reason where it said no."""
    state, after = request.args.get("state", ""), here.number(request.args.get("after")) or 0
    state = state if state in ROW_WORDS else ""
    with here.reading() as db:
        plan = _found(db, handover_id)
        found = handover.rows(db, plan.id, state=state or None, after=after, limit=PAGE + 1)
        rows = found[:PAGE]
        counts = handover.counts(db, plan.id)
        return render_template(
            "handover/show.html",
            plan=plan,
            rows=rows,
            seen=lookups.visible(db, here.sight(db), [person.id for _row, person in rows]),
            state_chosen=state,
            after=after,
            following=rows[-1][0].id if len(found) > PAGE else None,
            counts=counts,
            total=sum(counts.values()),
            settled=counts.get(handover.DONE, 0) + counts.get(handover.REFUSED, 0),
            retried=_still_there(db, plan),
            names=_names(db, [plan]),
            states=STATE_WORDS,
            row_words=ROW_WORDS,
        )


def _still_there(db: Session, plan: Handover) -> int:
    """How many customers may be tried again: they did not go over, and are still the giver's."""
    if plan.state == handover.RUNNING:
        return 0
    meant = _retried(db, plan.id)
    return sum(one.external_userid in meant for one in handover.candidates(db, plan.giver)) if meant else 0


@pages.post("/<int:handover_id>/cancel")
@guarded("hand_over")
def cancel(handover_id: int) -> Any:
    """Ask WeCom for no more of it; what it was asked for goes on."""
    with here.working() as work:
        plan = _found(work.db, handover_id)
        running = plan.state == handover.RUNNING
        count = handover.cancel(work, plan.id)
        if running:
            here.note(work, "handover.cancel", f"h_{handover_id}", {"count": count})
    if running:
        say(_("已取消；%(n)s 位还没发出的客户不动，已经请求的会照常转", n=count))
    else:
        say(_("它已经结束了，没有改变什么"), "warn")
    return back_to("handover.show", handover_id=handover_id)

"""Campaigns of more points (积分加速日) and the rules of earning: set up, tried on earlier orders, sent for a word."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, render_template, request
from pydantic import ValidationError
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from console import here
from console.approvals import ask, asked_before, me, sent
from console.doors import guarded
from console.layout import back_to, say
from console.programme_words import ACT_WORDS, CLAWS, LAWS, times
from console.words import N_, _, said
from handlers import rehearsal
from insight import segments
from loyalty import approvals, campaign_desk, campaigns, programme
from loyalty.approvals import Asked, CannotDo
from loyalty.campaign_desk import Draft, Wrong
from loyalty.deeds import campaign_facts
from loyalty.earning import ONE
from loyalty.programme import ACTS, Programme
from storage.tables import Campaign, Segment

pages = Blueprint("campaigns", __name__, url_prefix="/points")

PAGE = 50
PHASE_WORDS: Mapping[str, tuple[str, str]] = {
    "draft": (N_("草稿"), "quiet"),
    "submitted": (N_("等审批"), "warn"),
    "ahead": (N_("还没开始"), "info"),
    "running": (N_("进行中"), "good"),
    "paused": (N_("已暂停"), "warn"),
    "ended": (N_("已提前结束"), "quiet"),
    "over": (N_("已结束"), "quiet"),
}
WRONG_WORDS: Mapping[tuple[str, str], str] = {
    ("name", "length"): N_("写一个 60 字以内的名称"),
    ("from_at", "time"): N_("选开始的时间"),
    ("to_at", "time"): N_("选结束的时间"),
    ("to_at", "order"): N_("结束要在开始之后，最长一年"),
    ("to_at", "past"): N_("这个时间已经过去了"),
    ("from_at", "past"): N_("这个时间已经过去了：之前付款的订单不会补，请选现在以后"),
    ("multiplier", "times"): N_("倍数大于 1，最多 10，例如 2 或 1.5"),
    ("segment", "gone"): N_("这个分层已经删除了，请另选一个"),
    ("cap", "points"): N_("整数，至少 1；不限请留空"),
    ("budget", "points"): N_("整数，至少 1；不限请留空"),
    ("", "live"): N_("它已经生效或结束了，不能再改"),
}
LAW_WORDS: Sequence[tuple[str, str]] = (
    (
        "expiry: in %(place)s points may not expire by the passage of time alone (%(law)s)",
        N_("那里的法律不许积分只因为时间过去就过期（%(law)s）。可以选“若干个月没有消费也没有兑换”，或不过期"),
    ),
    (
        "expiry: in %(place)s it takes at least %(n)s months of inactivity (%(law)s)",
        N_("那里至少要 %(n)s 个月没有消费也没有兑换，积分才可以过期（%(law)s）"),
    ),
    (
        "expiry: in %(place)s it is told at most %(n)s days before (%(law)s)",
        N_("那里最多提前 %(n)s 天告诉客户才算数（%(law)s）"),
    ),
)


@pages.get("/campaigns")
@guarded("see_points_programme")
def index() -> str:
    """Campaigns, the newest first, and what each has given."""
    with here.reading() as db:
        found, following = campaign_desk.listed(db, limit=PAGE, before=here.number(request.args.get("before")))
        return render_template(
            "campaigns/index.html",
            found=found,
            following=following,
            phases={one.id: campaign_desk.phase(one, here.now()) for one in found},
            phase_words=PHASE_WORDS,
            used=campaign_desk.used(db, [one.id for one in found]),
            times=times,
        )


@pages.get("/campaigns/new")
@guarded("edit_points_programme")
def new() -> str:
    """An empty form."""
    return _form(MultiDict({"multiplier": "2"}))


@pages.post("/campaigns/new")
@guarded("edit_points_programme")
def create() -> Any:
    """Keep a draft."""
    return _keep(None)


@pages.get("/campaigns/<int:campaign_id>/edit")
@guarded("edit_points_programme")
def edit(campaign_id: int) -> str:
    """The form of a draft."""
    with here.reading() as db:
        row = _campaign(db, campaign_id)
        known = {"name": row.name, "multiplier": times(row.multiplier), "cap": row.cap, "budget": row.budget}
        ends = {"from_at": _typed(row.from_at), "to_at": _typed(row.to_at)}
        ticks = {"stacks": row.stacks, "gives_back": row.gives_back}
        shown = {name: str(value) for name, value in {**known, **ends}.items() if value is not None}
        return _form(MultiDict({**shown, **{name: "1" for name, on in ticks.items() if on}}), row)


@pages.post("/campaigns/<int:campaign_id>/edit")
@guarded("edit_points_programme")
def change(campaign_id: int) -> Any:
    """Change a draft; one that waits for approval goes back to the beginning."""
    return _keep(campaign_id)


def _keep(campaign_id: int | None) -> Any:
    row = None
    try:
        with here.working() as work:
            row = _campaign(work.db, campaign_id) if campaign_id is not None else None
            kept = campaign_desk.keep(work, _draft(work.db, row), here.viewer().userid, row)
            here.note(work, "campaign.save", f"campaign:{kept.id}", {"name": kept.name})
            number = kept.id
    except Wrong as error:
        told = {name: _(WRONG_WORDS[name, code]) for name, code in error.problems}
        return _form(request.form, row, told), 422
    return back_to("campaigns.show", campaign_id=number)


def _draft(db: Session, row: Campaign | None) -> Draft:
    form = request.form
    return Draft(
        name=form.get("name", "").strip(),
        from_at=_moment(form.get("from_at", "")),
        to_at=_moment(form.get("to_at", "")),
        multiplier=_factor(form.get("multiplier", "")),
        audience=_audience(db, form.get("segment", ""), row),
        stacks=bool(form.get("stacks")),
        cap=_points(form.get("cap", "")),
        budget=_points(form.get("budget", "")),
        gives_back=bool(form.get("gives_back")),
    )


def _moment(typed: str) -> datetime | None:
    try:
        return datetime.fromisoformat(typed.strip()).replace(tzinfo=here.zone())
    except ValueError:
        return None


def _typed(at: datetime) -> str:
    return f"{at.astimezone(here.zone()):%Y-%m-%dT%H:%M}"


def _factor(typed: str) -> int | None:
    try:
        return int(Decimal(typed.strip()) * ONE) if len(typed) <= 8 else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _points(typed: str) -> int | None:
    """Points, none for without end, 0 for what is no number (and refused as such)."""
    typed = typed.strip()
    return None if not typed else int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= 9 else 0


def _audience(db: Session, chosen: str, row: Campaign | None) -> dict[str, Any]:
    """The filter of a segment as it is now: a later change of the segment does not change what was agreed to."""
    if chosen == "same" and row is not None:
        return dict(row.audience)
    if not chosen:
        return {}
    found = db.get(Segment, here.number(chosen) or 0)
    if found is None or found.deleted_at is not None:
        raise Wrong([("segment", "gone")])
    if found.kind == segments.STATIC:
        return {"field": "list", "op": "has", "value": segments.public_id(found.id)}
    return dict(found.filter)


def _form(typed: MultiDict[str, str], row: Campaign | None = None, errors: Mapping[str, str] | None = None) -> str:
    with here.reading() as db:
        choices = [(str(one.id), one.name) for one in segments.listed(db, limit=200)[0]]
    return render_template("campaigns/form.html", typed=typed, row=row, errors=errors or {}, choices=choices)


def _campaign(db: Session, campaign_id: int) -> Campaign:
    row = db.get(Campaign, campaign_id)
    if row is None:
        here.not_here(f"campaign:{campaign_id}")
    return row


@pages.get("/campaigns/<int:campaign_id>")
@guarded("see_points_programme")
def show(campaign_id: int) -> str:
    """One campaign: what it promises, and what it would have made of earlier weeks."""
    with here.reading() as db:
        row = _campaign(db, campaign_id)
        work = here.start_work(db)
        own = programme.rules_at(work, work.now).programme
        phase = campaign_desk.phase(row, here.now())
        tried = rehearsal.campaign(db, row, own, here.now(), here.zone()) if phase in ("draft", "submitted") else []
        return render_template(
            "campaigns/show.html",
            row=row,
            phase=phase,
            phase_words=PHASE_WORDS,
            tried=tried,
            used=campaign_desk.used(db, [row.id]).get(row.id, 0),
            pauses=campaigns.pauses(row),
            times=times,
            size=segments.count(db, segments.condition(row.audience, segments.question(db, here.now(), here.zone())))
            if row.audience
            else None,
        )


@pages.post("/campaigns/<int:campaign_id>/submit")
@guarded("edit_points_programme")
def submit(campaign_id: int) -> Any:
    """Ask for approval of exactly what stands here."""
    try:
        with here.working() as work:
            row = _campaign(work.db, campaign_id)
            late = row.state == campaign_desk.DRAFT and row.from_at <= work.now
            if row.state == campaign_desk.DRAFT and not late:
                row.state = campaign_desk.SUBMITTED
                work.db.flush()
                once = f"campaign:{row.id}:{work.now.isoformat()}"
                asked = Asked("campaign", campaign_facts(row), request.form.get("reason", ""), once)
                row.approval_id = approvals.submit(work, asked, me()).id
                here.note(work, "campaign.submit", f"campaign:{row.id}", {"name": row.name})
    except CannotDo:
        say(_("写一句为什么办这次活动"), "bad")
        return back_to("campaigns.show", campaign_id=campaign_id)
    if late:
        say(_("开始的时间已经过去了，请先改时间再提交"), "bad")
        return back_to("campaigns.show", campaign_id=campaign_id)
    say(_("已提交审批；批准后到时间自动生效，批晚了就从批准时起"))
    return back_to("campaigns.show", campaign_id=campaign_id)


@pages.post("/campaigns/<int:campaign_id>/move")
@guarded("edit_points_programme")
def move(campaign_id: int) -> Any:
    """Pause, resume or end it: less can be given at once, more only by approval."""
    do = request.form.get("do", "")
    with here.working() as work:
        row = _campaign(work.db, campaign_id)
        done = campaign_desk.move(row, do, work.now)
        if done:
            here.note(work, f"campaign.{do}", f"campaign:{row.id}", {"name": row.name})
    say(_("已更改") if done else _("它现在的状态不能这样改"), "good" if done else "warn")
    return back_to("campaigns.show", campaign_id=campaign_id)


# --- the rules -------------------------------------------------------------------------------------------------------


@pages.get("/rules")
@guarded("see_points_programme")
def rules() -> str:
    """The rules that hold, those that will, and those that did."""
    return _rules(None)


def _rules(typed: MultiDict[str, str] | None, errors: Mapping[str, str] | None = None) -> str:
    with here.reading() as db:
        work = here.start_work(db)
        now_hold = programme.rules_at(work, work.now)
        wanted, tried = None, None
        if typed is not None and not errors:
            wanted = Programme(**_definition(typed))
            tried = rehearsal.rules(db, now_hold.programme, wanted, work.now)
        return render_template(
            "campaigns/rules.html",
            now_hold=now_hold,
            versions=programme.versions(db),
            typed=typed if typed is not None else _as_form(now_hold.programme),
            errors=errors or {},
            asked=asked_before(db, "policy"),
            tried=tried,
            acts=ACT_WORDS,
            laws=LAWS,
            claws=CLAWS,
            law_choices=[(place, _(words)) for place, words in LAWS.items()],
            claw_choices=[(name, _(words)) for name, words in CLAWS.items()],
            times=times,
            pending_days=work.pending_days,
        )


def _as_form(own: Programme) -> MultiDict[str, str]:
    told = {
        "rate": times(own.rate),
        "excluded": "，".join(own.excluded),
        "pending_days": own.pending_days,
        "kind": own.expiry.kind,
        "months": own.expiry.months,
        "day": own.expiry.day,
        "notice_days": own.notice_days,
        "jurisdiction": own.jurisdiction,
        "order_cap": own.order_cap,
        "day_cap": own.day_cap,
        "claw": own.claw,
        **{f"act_{name}": own.acts.get(name, 0) for name in ACTS},
    }
    return MultiDict({name: str(value) for name, value in told.items() if value is not None})


def _definition(form: MultiDict[str, str]) -> dict[str, Any]:
    """What the form says, right or not: the model says what is wrong."""

    def number(name: str) -> Any:
        typed = form.get(name, "").strip()
        return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= 9 else typed or None

    excluded = [one.strip() for one in form.get("excluded", "").replace("，", ",").split(",") if one.strip()]
    expiry = {"kind": form.get("kind", "rolling"), "day": form.get("day") or "12-31", "months": number("months") or 12}
    return {
        "rate": _factor(form.get("rate", "")),
        "excluded": excluded,
        "pending_days": number("pending_days"),
        "expiry": expiry,
        "notice_days": number("notice_days") or 0,
        "jurisdiction": form.get("jurisdiction", ""),
        "order_cap": number("order_cap"),
        "day_cap": number("day_cap"),
        "claw": form.get("claw", "allow_debt"),
        "acts": {name: number(f"act_{name}") or 0 for name in ACTS},
    }


@pages.post("/rules")
@guarded("edit_points_programme")
def decide() -> Any:
    """Try other rules on last month's orders (``do`` is ``try``), or ask for approval of them."""
    form = request.form
    since = _moment(form.get("valid_from", ""))
    try:
        wanted = Programme(**_definition(form))
    except ValidationError as error:
        return _rules(form, dict(_wrong(one["loc"], one["msg"]) for one in error.errors())), 422
    if form.get("do") == "try":
        return _rules(form)
    if since is None or since < here.now():
        return _rules(form, {"valid_from": _("选一个将来的时间：过去的订单已经按当时的规则算过了")}), 422
    definition = wanted.model_dump(mode="json", exclude_defaults=True)
    payload = {"definition": definition, "valid_from": since.isoformat()}
    try:
        approval = ask("policy", payload, form.get("reason", ""))
    except CannotDo:
        return _rules(form, {"reason": _("写一句为什么改")}), 422
    return sent(approval)


def _wrong(loc: Sequence[Any], words: str) -> tuple[str, str]:
    """The field that is wrong, and why: the model speaks English; what a law forbids has words here."""
    why = words.removeprefix("Value error, ")
    known = said(why, LAW_WORDS)
    named = str(loc[0]) if loc else why.partition(":")[0]
    return named, known if known != why else _("这里填得不对（%(why)s）", why=why)

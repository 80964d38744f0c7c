"""Approvals (审批): what is to be done to points by hand: asked for, looked at whole, decided by others in two steps.

A rep sees and asks for their own; whoever may decide sees all, customers out of their sight without a name. What
happens exactly, whom it hits and why it is so grave stands on one page, the one that the card in WeCom leads to.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console import approval_shown, approval_words, here, known
from console.doors import guarded
from console.layout import back_to, say
from console.programme_words import ACT_WORDS, CLAWS, DOWNGRADES, LAWS, WINDOWS, times
from console.shown import moment
from console.words import _
from insight import segments
from loyalty import approvals, authority, insiders
from loyalty.approvals import Asked, CannotDo
from loyalty.authority import Hand
from loyalty.deeds import DEEDS, look_rules
from loyalty.ledger import standing
from loyalty.ledger.book import Conflict
from people import access, persons
from storage.tables import Approval, ApprovalLine, Member, Person, PointsAccount, Segment
from storage.work import Work

pages = Blueprint("approvals", __name__, url_prefix="/approvals")

PAGE = 30
MOST_SEGMENTS = 500
TABS: Mapping[str, Sequence[str]] = {
    "waiting": (approvals.WAITING, approvals.APPROVED, approvals.RUNNING),
    "mine": (),
    "done": (approvals.DONE, approvals.REJECTED, approvals.CANCELLED, approvals.EXPIRED, approvals.RETURNED),
}


def me() -> Hand:
    """Whoever is signed in, as approvals know them."""
    viewer = here.viewer()
    return authority.of_user(viewer.userid, viewer.role)


def public_id(approval: Approval) -> str:
    """``a_3``."""
    return f"a_{approval.id}"


# --- all of them -----------------------------------------------------------------------------------------------------


@pages.get("")
@guarded("award_points")
def index() -> str:
    """What waits, what I have asked for, what is over."""
    tab = request.args.get("tab", "waiting" if here.may("decide_points") else "mine")
    tab = tab if tab in TABS and (tab == "mine" or here.may("decide_points")) else "mine"
    with here.reading() as db:
        before = here.number(request.args.get("before"))
        hand = me().hand if tab == "mine" else ""
        found, following = approvals.listed(db, TABS[tab], limit=PAGE, before=before, hand=hand)
        mine = {one.id for one in found if one.hand == me().hand or _has_said(db, one)}
        return render_template(
            "approvals/index.html",
            found=found,
            following=following,
            tab=tab,
            mine=mine,
            kinds=approval_words.KINDS,
            states={one.id: approval_words.state_of(one) for one in found},
            names=_members(db, [one.hand for one in found]),
            left=_left(db),
        )


def _has_said(db: Session, approval: Approval) -> bool:
    return any(one.hand == me().hand for one in approvals.words(db, approval.id))


def _left(db: Session) -> int | None:
    """What a rep can still give this month; None for others."""
    if here.viewer().role != access.REP:
        return None
    work = here.start_work(db)
    return max(0, authority.limits(db).rep_month - approvals.spent_this_month(work, me().hand))


def _members(db: Session, userids: Sequence[str]) -> dict[str, str]:
    rows = db.execute(select(Member.userid, Member.name).where(Member.userid.in_(set(userids))))
    return {userid: name or userid for userid, name in rows}


# --- one of them -----------------------------------------------------------------------------------------------------


@pages.get("/<int:approval_id>")
@guarded("award_points")
def show(approval_id: int) -> str:
    """What exactly happens, to whom, how grave it is and why; ``?sure=yes`` or ``no`` is the second step."""
    with here.reading() as db:
        approval = _own(db, approval_id)
        said = approvals.words(db, approval.id)
        mine = approvals.made_by(approval, me())
        still = approval.state in approvals.OPEN
        top = [*approval.preview["top"]]
        return render_template(
            "approvals/show.html",
            approval=approval,
            kind=approval_words.KINDS[approval.kind],
            state_words=approval_words.state_of(approval),
            grade=approval_words.GRADES[approval.grade],
            because=[approval_words.BECAUSE[one] for one in approval.reasons],
            note=approval_words.note_of(approval),
            said=said,
            left=approval_words.missing(approval, said),
            moved=approval_words.moved,
            names=_members(db, [approval.hand, *(one.hand for one in said)]),
            top=top,
            people=known.whose(db, here.sight(db), [account for account, _n in top]),
            now=_now(db, approval) if still else None,
            progress=_progress(db, approval),
            may_decide=still and not mine and here.may("decide_points") and not _said_yes(said),
            may_refuse=still and not mine and here.may("decide_points"),
            may_cancel=still and mine,
            may_undo=_may_undo(approval),
            sure=request.args.get("sure", ""),
            rules=DEEDS[approval.kind].look is look_rules,
            exactly=approval_shown.of(db, approval),
            times=times,
            acts=ACT_WORDS,
            laws=LAWS,
            claws=CLAWS,
            windows=dict(WINDOWS),
            downgrades=dict(DOWNGRADES),
            pending_days=here.start_work(db).pending_days,
        )


def _said_yes(said: Sequence[Any]) -> bool:
    return any(one.hand == me().hand and one.yes for one in said)


def _may_undo(approval: Approval) -> bool:
    done = approval.kind in ("bulk_award", "bulk_clear") and approval.state == approvals.DONE
    return done and here.may("make_points")


def _own(db: Session, approval_id: int) -> Approval:
    """The approval, where the viewer made it or may decide it; as if there were none otherwise."""
    found = db.get(Approval, approval_id)
    if found is None or (found.hand != me().hand and not here.may("decide_points")):
        here.not_here(f"a_{approval_id}")
    return found


def _now(db: Session, approval: Approval) -> Any:
    """What it would come to at this moment."""
    return DEEDS[approval.kind].look(db, approval, here.now())


def _progress(db: Session, approval: Approval) -> tuple[int, int] | None:
    if DEEDS[approval.kind].each is None or approval.state not in (approvals.RUNNING, approvals.DONE):
        return None
    own = select(ApprovalLine.state, func.count()).where(ApprovalLine.approval_id == approval.id)
    counts = {state: int(n) for state, n in db.execute(own.group_by(ApprovalLine.state))}
    return sum(counts.values()) - counts.get(approvals.WAITING, 0), sum(counts.values())


# --- deciding --------------------------------------------------------------------------------------------------------


def _decided(approval_id: int, action: str, decide: Callable[[Work, int], Approval], done: str) -> Any:
    with here.reading() as db:
        seen = _own(db, approval_id)
    if action != "cancel" and request.form.get("content", "") != seen.payload_hash:
        say(_("内容和你看到的不一样了，什么也没有改变。请看过再决定。"), "bad")
        return back_to("approvals.show", approval_id=approval_id)
    try:
        with here.working() as work:
            approval = decide(work, approval_id)
            here.note(work, f"approval.{action}", public_id(approval), {"state": approval.state})
    except CannotDo as error:
        say(approval_words.why_not(error), "bad")
    else:
        bad = approval_words.state_of(approval)[1] == "bad" and action == "approve"
        with here.reading() as db:
            say(f"{done} · {_stands(db, approval)}", "bad" if bad else "good")
    return back_to("approvals.show", approval_id=approval_id)


def _stands(db: Session, approval: Approval) -> str:
    """How it stands now, with whose word is missing and when it is done."""
    left = approval_words.missing(approval, approvals.words(db, approval.id))
    waits = approval.state in approvals.OPEN and approval.due_at is not None
    when = _("%(at)s 执行", at=moment(approval.due_at)) if waits else ""
    return " · ".join(one for one in (_(approval_words.state_of(approval)[0]), left, when) if one)


@pages.post("/<int:approval_id>/approve")
@guarded("decide_points")
def approve(approval_id: int) -> Any:
    """Agree to exactly what was on the page."""
    return _decided(approval_id, "approve", lambda work, number: approvals.approve(work, number, me()), _("你已同意"))


@pages.post("/<int:approval_id>/reject")
@guarded("decide_points")
def reject(approval_id: int) -> Any:
    """Say no, with the reason."""
    words = request.form.get("words", "")
    return _decided(
        approval_id, "reject", lambda work, number: approvals.reject(work, number, me(), words), _("你已驳回")
    )


@pages.post("/<int:approval_id>/cancel")
@guarded("award_points")
def cancel(approval_id: int) -> Any:
    """Let it be."""
    return _decided(approval_id, "cancel", lambda work, number: approvals.cancel(work, number, me()), _("已撤销"))


# --- asking: one customer --------------------------------------------------------------------------------------------


@pages.get("/new/<person_id>")
@guarded("award_points")
def new(person_id: str) -> str:
    """A form for one customer."""
    with here.reading() as db:
        return _form(db, in_sight(db, person_id), {})


@pages.post("/new/<person_id>")
@guarded("award_points")
def create(person_id: str) -> Any:
    """Give or correct points: at once where it is little, otherwise it waits."""
    form = {name: request.form.get(name, "").strip() for name in ("kind", "points", "reason", "once")}
    with here.reading() as db:
        person = in_sight(db, person_id)
    try:
        with here.working() as work:
            approval = approvals.submit(work, _asked(work, person, form), me())
            details = {"approval": approval.id, "points": approval.payload["points"]}
            here.note(work, f"points.{approval.kind}", persons.public_id(person.id), details)
    except (CannotDo, Conflict) as error:
        with here.reading() as db:
            return _form(db, person, form, approval_words.why_not(error)), 422
    return sent(approval)


def sent(approval: Approval) -> Any:
    """The answer to whoever has just asked for it: its page, and how it stands."""
    with here.reading() as db:
        say(_stands(db, approval), "good" if approval.state == approvals.DONE else "warn")
    return back_to("approvals.show", approval_id=approval.id)


def _asked(work: Work, person: Person, form: Mapping[str, str]) -> Asked:
    accounts = approvals.own_accounts(work, persons.anchors(work.db, person.id))
    points = whole(form["points"])
    kind = "adjust" if form["kind"] in ("up", "down") else "award"
    points = -points if form["kind"] == "down" else points
    payload = {"account_ids": accounts, "points": points}
    if points > 0:
        payload |= approvals.usual_life(work)
    return Asked(kind, payload, form["reason"], once_of(form))


def once_of(form: Mapping[str, str]) -> str:
    """The name under which a form that is sent twice asks once."""
    return f"form:{here.viewer().user_id}:{form['once'] or approvals.chance()}"[:200]


def whole(text: str) -> int:
    """The points that were typed. Raises ``CannotDo``: digits and nothing else."""
    number = here.number(text.replace(",", ""))
    if number is None:
        raise CannotDo("bad_points", most=f"{approvals.MOST_POINTS:,}")
    return number


def in_sight(db: Session, name: str) -> Person:
    """The customer of an address, where the viewer may see them; as if there were none otherwise."""
    digits = here.number(name.removeprefix("p_"))
    found = access.person_in_sight(db, here.sight(db), digits) if digits is not None else None
    if found is None:
        here.not_here(name)
    return found


def _form(db: Session, person: Person, form: Mapping[str, str], error: str = "") -> str:
    accounts = select(PointsAccount.id).where(PointsAccount.person_id.in_(persons.anchors(db, person.id)))
    now = standing.standing(db, db.scalars(accounts).all(), here.now())
    return render_template(
        "approvals/new.html",
        person=person,
        key=persons.public_id(person.id),
        now=now,
        form=form,
        error=error,
        left=_left(db),
        limits=authority.limits(db),
        once=form.get("once") or approvals.chance(),
        rep=here.viewer().role == access.REP,
    )


# --- asking: many ----------------------------------------------------------------------------------------------------


@pages.get("/many")
@guarded("make_points")
def many() -> str:
    """A form for a segment."""
    with here.reading() as db:
        return _many(db, {})


@pages.post("/many")
@guarded("make_points")
def create_many() -> Any:
    """Give points to a segment, or clear theirs; always with others' words."""
    names = ("segment", "kind", "points", "reason", "announced", "once")
    form = {name: request.form.get(name, "").strip() for name in names}
    try:
        with here.working() as work:
            approval = approvals.submit(work, _many_asked(work, form), me())
            here.note(work, f"points.{approval.kind}", public_id(approval), dict(approval.preview, top=None))
    except (CannotDo, Conflict) as error:
        with here.reading() as db:
            return _many(db, form, approval_words.why_not(error)), 422
    return sent(approval)


def _many_asked(work: Work, form: Mapping[str, str]) -> Asked:
    number = here.number(form["segment"])
    segment = segments.living(work.db, number) if number is not None else None
    if segment is None:
        raise CannotDo("nothing")
    fits = segments.members(segment, segments.question(work.db, work.now, work.zone))
    own = select(Person.id).where(fits, access.sight_of(work.db, here.viewer()).people()).order_by(Person.id)
    people = list(work.db.scalars(own.limit(approvals.MOST_LINES + 1)))
    once = once_of(form)
    if form["kind"] == "clear":
        lines = [(one, 0) for one in approvals.accounts_with_points(work.db, people, work.now)]
        return Asked("bulk_clear", {"announced": _announced(form)}, form["reason"], once, lines)
    points = whole(form["points"])
    lines = [(one, points) for one in approvals.accounts_of(work, people)]
    return Asked("bulk_award", approvals.usual_life(work), form["reason"], once, lines)


def _announced(form: Mapping[str, str]) -> str:
    """How the customers were told that their points go. Raises ``CannotDo``."""
    if not 0 < len(form["announced"]) <= approvals.LONGEST_REASON:
        raise CannotDo("no_reason", most=approvals.LONGEST_REASON)
    return form["announced"]


def _many(db: Session, form: Mapping[str, str], error: str = "") -> str:
    own = select(Segment.id, Segment.name).where(Segment.deleted_at.is_(None)).order_by(Segment.name)
    rows = db.execute(own.limit(MOST_SEGMENTS)).all()
    return render_template(
        "approvals/many.html",
        form=form,
        error=error,
        segments=[(one.id, one.name) for one in rows],
        once=form.get("once") or approvals.chance(),
    )


@pages.post("/<int:approval_id>/undo")
@guarded("make_points")
def undo(approval_id: int) -> Any:
    """Ask to take back what a batch did."""
    try:
        with here.working() as work:
            before = _own(work.db, approval_id)
            lines = approvals.undo_of(work.db, approval_id)
            payload = {"batch": approval_id, **approvals.usual_life(work)}
            reason = _("撤回：%(why)s", why=before.reason)[: approvals.LONGEST_REASON]
            approval = approvals.submit(
                work, Asked("bulk_undo", payload, reason, f"undo:{approvals.chance()}", lines), me()
            )
            here.note(work, "points.bulk_undo", public_id(approval), {"batch": approval_id})
    except CannotDo as error:
        say(approval_words.why_not(error), "bad")
        return back_to("approvals.show", approval_id=approval_id)
    return sent(approval)


# --- the limits ------------------------------------------------------------------------------------------------------

LIMIT_WORDS: Mapping[str, str] = approval_words.LIMITS


def asked_before(db: Session, kind: str) -> list[tuple[str, str]]:
    """What was asked for of these rules and is still open: a line each, and its page for whoever may see it."""
    found = approvals.open_ones(db, kind, here.now())
    seen = [one.id for one in found if one.hand == me().hand or here.may("decide_points")]
    links = {one: url_for("approvals.show", approval_id=one) for one in seen}
    return [
        (_("审批 %(n)s 还没有结果：%(state)s", n=one.id, state=_stands(db, one)), links.get(one.id, ""))
        for one in found
    ]


def ask(kind: str, payload: Mapping[str, Any], reason: str) -> Approval:
    """Ask for other rules of this kind; what is asked for already is not asked again. Raises ``CannotDo``."""
    with here.working() as work:
        approvals.one_at_a_time(work.db, me().hand)  # of two presses the second finds what the first has asked for
        for one in approvals.open_ones(work.db, kind, work.now):
            if one.payload == payload:
                say(_("一样的内容已经提交过了，没有再提交一份。"), "warn")
                return one
        approval = approvals.submit(work, Asked(kind, payload, reason, f"{kind}:{approvals.chance()}"), me())
        here.note(work, f"points.{kind}", public_id(approval), {"approval": approval.id})
    return approval


@pages.get("/limits")
@guarded("set_points")
def limits() -> str:
    """How much may be given without anybody else, and who our own people are."""
    with here.reading() as db:
        return _limits(db, {})


def _limits(db: Session, typed: Mapping[str, str], error: str = "") -> str:
    own = authority.limits(db)
    return render_template(
        "approvals/limits.html",
        words=LIMIT_WORDS,
        values={name: typed.get(name, str(getattr(own, name))) for name in LIMIT_WORDS},
        reason=typed.get("reason", ""),
        staff="\n".join(insiders.known(db)),
        asked=asked_before(db, "authority"),
        error=error,
    )


@pages.post("/limits")
@guarded("set_points")
def set_limits() -> Any:
    """Ask for other limits: two others have to agree. Our own people's numbers are kept at once."""
    if request.form.get("do") == "staff":
        with here.working() as work:
            insiders.tell(work, request.form.get("staff", "").splitlines(), by=here.viewer().userid)
            here.note(work, "points.staff", details={"known": len(insiders.known(work.db))})
        say(_("已保存"))
        return back_to("approvals.limits")
    typed = {name: request.form.get(name, "").strip() for name in (*LIMIT_WORDS, "reason")}
    try:
        approval = ask("authority", {name: here.number(typed[name]) for name in LIMIT_WORDS}, typed["reason"])
    except CannotDo as error:
        with here.reading() as db:
            return _limits(db, typed, approval_words.why_not(error)), 422
    return sent(approval)

"""Who is one person (身份合并): pairs that wait for somebody's word, parting again, what names nobody, and binding.

Evidence joins people by itself (``people.joining``); what it may not decide alone is decided here, with a reason.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from console import here, known
from console.doors import guarded
from console.layout import back_to, say
from console.pace import Pace
from console.person import person_of
from console.words import N_, _
from loyalty import accounts, tiers
from people import (
    binding,
    blocking,
    blocklist,
    doubts,
    explaining,
    guards,
    identities,
    joining,
    merging,
    persons,
    reviews,
)
from people.blocking import Foreseen
from people.reviews import NotOne, NotYours
from storage import lists
from storage.tables import BlockedValue, Person, Review
from storage.work import Work

pages = Blueprint("joined", __name__)

PAGE, LONGEST = 20, 200
TRIES = Pace(20, timedelta(minutes=10))
"""So many numbers a rep may try: nobody is to find out by trying who is a member."""
KIND_WORDS: Mapping[str, tuple[str, str, str]] = {
    doubts.PROPOSAL: (N_("可能是同一人"), "info", N_("有相同的线索，但还不足以自动合并")),
    doubts.CONFLICT: (N_("有矛盾"), "warn", N_("有相同的身份，也有说明不是同一人的身份")),
    doubts.GUARD: (N_("需要两个人决定"), "bad", N_("证据足够，但两边都有东西会合在一起：一人提出，另一人确认")),
}
REASON_WORDS: Mapping[str, str] = {
    "": N_("两边都出现过这个号码，至少一边没有核实，或隔了半年以上"),
    "two_unionids": N_("两边的 unionid 不同：微信里是两个人"),
    "too_many": N_("合起来同一种身份会太多"),
    "guarded": N_("事关积分、订单或等级"),
    "bound_twice": N_("两位成员把同一个号码绑给了不同的客户"),
}
STAKE_WORDS: Mapping[str, str] = {
    guards.POINTS: N_("两边都有 1,000 以上的积分"),
    guards.ORDERS: N_("最近 30 天两边都有订单"),
    guards.TIERS: N_("两边的等级不同，合并后都按高的算"),
}
SOURCE_WORDS: Mapping[str, str] = {
    "wecom": N_("企业微信"),
    "remark": N_("成员备注"),
    "asked": N_("成员想绑定"),
    "api": N_("接口"),
    "confirmed": N_("客户确认"),
    "wechat": N_("微信登录"),
}
WHAT_WORDS: Mapping[str, str] = {
    "interaction": N_("经过"),
    "relation": N_("和成员的关系"),
    "conversation": N_("微信客服会话"),
    "tag_ground": N_("标签的来由"),
    "enrolment": N_("旅程"),
    "touch": N_("触达"),
    "rep_card": N_("卡片"),
    "task": N_("待办"),
    "shop_order": N_("订单"),
    "refund": N_("退款"),
    "segment_member": N_("名单"),
    "tracked_link": N_("追踪链接"),
    "link_open": N_("打开链接"),
}
"""What would leave with an anchor; what has no words here is not worth a line."""


@pages.app_context_processor
def known_words() -> dict[str, Any]:
    """How templates say by what somebody is known."""
    return {"known_words": {"sources": SOURCE_WORDS, "shown": explaining.shown}}


# --- what waits ------------------------------------------------------------------------------------------------------


@pages.get("/customers/same")
@guarded("join_people")
def index() -> str:
    """Every pair that waits, with what is known of both."""
    with here.reading() as db:
        return _listed(db)


def _listed(db: Session, errors: Mapping[int, str] | None = None) -> str:
    found, following = reviews.listed(db, here.sight(db), limit=PAGE, after=here.number(request.args.get("after")) or 0)
    return render_template(
        "joined/index.html",
        waiting=found,
        kinds=KIND_WORDS,
        reasons=REASON_WORDS,
        stakes=STAKE_WORDS,
        tiers=_tiers(db, found),
        known=reviews.about(db, found),
        following=following,
        errors=errors or {},
        me_acts=here.viewer().userid,
    )


def _tiers(db: Session, found: Sequence[reviews.Waiting]) -> dict[int, str]:
    """The tier that each of two has now, where their tiers are what is at stake."""
    heads = {
        one.id for pair in found if guards.TIERS in pair.review.why.get("stakes", ()) for one in (pair.one, pair.other)
    }
    anchors = persons.anchors_of(db, heads)
    known_by = accounts.by_person(db, {one for some in anchors.values() for one in some})
    own = {head: [known_by[one] for one in some if one in known_by] for head, some in anchors.items()}
    return {head: tiers.at(db, some, here.now()).name for head, some in own.items() if some}


@pages.post("/customers/same/<int:review_id>/join")
@guarded("join_people")
def join(review_id: int) -> Any:
    """They are one person; a guarded pair needs a second one to say so."""
    return _decide(review_id, together=True)


@pages.post("/customers/same/<int:review_id>/apart")
@guarded("join_people")
def apart(review_id: int) -> Any:
    """They are two."""
    return _decide(review_id, together=False)


def _decide(review_id: int, *, together: bool) -> Any:
    why, by, trouble = request.form.get("why", "").strip()[:LONGEST], here.viewer().userid, ""
    with here.working() as work:
        review = reviews.living(work.db, here.sight(work.db), review_id)
        if review is not None:
            savepoint = work.db.begin_nested()
            try:
                trouble = "" if why else _("请写下原因")
                if not trouble:
                    _say_done(_carry_out(work, review, together=together, by=by, why=why))
                    details = {"other": persons.public_id(review.b), "reason": why}
                    here.note(work, _ACTIONS[review.state], persons.public_id(review.a), details)
                savepoint.commit()
            except (NotYours, NotOne) as error:
                savepoint.rollback()
                trouble = _(TROUBLES[type(error)])
    if review is None:
        here.not_here(str(review_id))
    if trouble:
        with here.reading() as db:
            return _listed(db, {review_id: trouble}), 422
    return back_to("joined.index")


_ACTIONS = {"asked": "customer.ask_join", "merged": "customer.join", "apart": "customer.apart"}
TROUBLES: Mapping[type[Exception], str] = {
    NotYours: N_("这一对是你提出的，要由另一个人确认"),
    NotOne: N_("这两位不能合并：合起来同一种身份会太多，例如有两个 unionid"),
}


def _carry_out(work: Any, review: Review, *, together: bool, by: str, why: str) -> str:
    if not together:
        reviews.keep_apart(work, review, by=by, why=why)
        return _("记下了：是两个人，以后不会自动合并")
    if reviews.join(work, review, by=by, why=why):
        return _("已合并；需要时可以在客户页拆开")
    return _("已提出，等另一个人确认")


def _say_done(sentence: str) -> None:
    say(sentence)


# --- parting ---------------------------------------------------------------------------------------------------------


@pages.get("/customers/<person_id>/separate/<anchor_id>")
@guarded("separate_people")
def ask_separate(person_id: str, anchor_id: str) -> str:
    """What would leave with this part of a person."""
    with here.reading() as db:
        person, anchor = _part(db, person_id, anchor_id)
        if person is None or anchor is None:
            here.not_here(anchor_id)
        leaving = merging.going(db, anchor.id)
        return render_template(
            "joined/separate.html",
            person=person,
            anchor=anchor,
            known=reviews.known(db, person.id)[anchor.id],
            leaving=[(_(WHAT_WORDS[name]), count) for name, count in leaving.items() if name in WHAT_WORDS],
        )


@pages.post("/customers/<person_id>/separate/<anchor_id>")
@guarded("separate_people")
def separate(person_id: str, anchor_id: str) -> Any:
    """Let this part be somebody else: it gets back what was its own."""
    why = request.form.get("why", "").strip()[:LONGEST]
    with here.working() as work:
        person, anchor = _part(work.db, person_id, anchor_id)
        if person is not None and anchor is not None and why:
            joining.cut(work, anchor.id, by=here.viewer().userid, why=why)
            here.note(work, "customer.separate", anchor_id, {"from": person_id, "reason": why})
    if person is None or anchor is None:
        here.not_here(anchor_id)
    if not why:
        say(_("请写下原因"), "bad")
        return back_to("joined.ask_separate", person_id=person_id, anchor_id=anchor_id)
    say(_("已拆开；两边不会再自动合并"))
    return back_to("person.show", person_id=person_id)


def _part(db: Session, person_id: str, anchor_id: str) -> tuple[Person | None, Person | None]:
    """A person in sight, and one of the anchors they are made of (not the one that speaks for all)."""
    person, number = person_of(db, person_id), here.number(anchor_id.removeprefix("p_"))
    anchor = db.get(Person, number) if number is not None else None
    inside = person is not None and anchor is not None and anchor.merged_into == person.id
    return person, anchor if inside else None


# --- what names nobody -----------------------------------------------------------------------------------------------

SHOWN, LINES = 20, 30
"""So many of the people who would change are named, so many lines of history are shown."""


@pages.get("/customers/blocked")
@guarded("see_blocked")
def blocked() -> str:
    """The identities that the shop has blocked, or those that are out by rule; what was done to them lately."""
    return _blocked_page()


def _blocked_page(typed: Mapping[str, str] | None = None, error: str = "") -> str:
    by_rule = request.args.get("by") == "rule"
    with here.reading() as db:
        shown, following = (
            (blocking.crowded(db, limit=PAGE), None)
            if by_rule
            else blocking.listed(db, limit=PAGE, before=here.number(request.args.get("before")))
        )
        history, _older = lists.audit_rows(db, action="identity", limit=LINES)
        return render_template(
            "joined/blocked.html",
            shown=shown,
            following=following,
            by_rule=by_rule,
            history=history,
            names=_names(db, {one.by for one in shown} | {one.actor for one in history}),
            types=blocking.types(db),
            typed=typed or {},
            error=error,
            actions=BLOCK_WORDS,
        )


BLOCK_WORDS: Mapping[str, tuple[str, str]] = {
    "identity.block": (N_("停用了"), "warn"),
    "identity.unblock": (N_("恢复了"), "good"),
}


def _names(db: Session, userids: Collection[str]) -> dict[str, str]:
    found = known.reps(db, userids)
    return {one: found[one.lower()] for one in userids if one.lower() in found}


@pages.post("/customers/blocked")
@guarded("block_identities")
def block() -> Any:
    """Let an identity name nobody: first shown what that would do, then done, with a reason."""
    type_, typed = request.form.get("type", ""), request.form.get("value", "")
    why, sure, by = request.form.get("why", "").strip()[:LONGEST], "sure" in request.form, here.viewer().userid
    with here.reading() as db:
        value, error = _blockable(db, type_, typed)
        if not error and not (sure and why):
            foreseen = blocking.foresee(here.start_work(db), type_, value, counts=False)
            return _ask(db, foreseen, type_, value, error=_("请写下原因") if sure else ""), 422 if sure else 200
    if error:
        return _blocked_page({"type": type_, "value": typed}, error), 422
    with here.working() as work:
        if blocking.block(work, type_, value, by=by, why=why):
            _note_block(work, "identity.block", type_, value, why)
    say(_("已停用：它不再说明谁是谁"))
    return back_to("joined.blocked")


def _blockable(db: Session, type_: str, typed: str) -> tuple[str, str]:
    """The value as it is kept, and why it cannot be blocked."""
    if type_ not in blocking.types(db):
        return "", _("请选一种身份")
    try:
        value = identities.spelt(type_, typed)
    except ValueError:
        return "", _("这不像一个手机号") if type_ == identities.PHONE else _("请写下这个身份，最多 200 个字")
    if blocklist.names_nobody(type_, value):
        return value, _("它本来就不算数：系统认得这是随手填的")
    return value, _("它已经停用了") if blocking.is_blocked(db, type_, value) else ""


@pages.get("/customers/blocked/<int:blocked_id>")
@guarded("see_blocked")
def ask_unblock(blocked_id: int) -> str:
    """One blocked identity, and what would be if it counted again."""
    with here.reading() as db:
        return _ask_unblock(db, blocked_id)


def _ask_unblock(db: Session, blocked_id: int, error: str = "") -> str:
    row = blocking.living(db, blocked_id)
    if row is None:
        here.not_here(str(blocked_id))
    foreseen = blocking.foresee(here.start_work(db), row.type, row.value, counts=True)
    return _ask(db, foreseen, row.type, row.value, row=row, error=error)


@pages.post("/customers/blocked/<int:blocked_id>")
@guarded("block_identities")
def unblock(blocked_id: int) -> Any:
    """Let it count again, with a reason."""
    why, by = request.form.get("why", "").strip()[:LONGEST], here.viewer().userid
    if not why:
        with here.reading() as db:
            return _ask_unblock(db, blocked_id, _("请写下原因")), 422
    with here.working() as work:
        row = blocking.living(work.db, blocked_id, held=True)
        if row is not None:
            type_, value = row.type, row.value
            blocking.unblock(work, type_, value, by=by)
            _note_block(work, "identity.unblock", type_, value, why)
    if row is None:
        here.not_here(str(blocked_id))
    say(_("已恢复：它又说明谁是谁了"))
    return back_to("joined.blocked")


def _ask(
    db: Session, foreseen: Foreseen, type_: str, value: str, *, row: BlockedValue | None = None, error: str = ""
) -> str:
    return render_template(
        "joined/block.html",
        type=type_,
        value=value,
        row=row,
        foreseen=foreseen,
        most=SHOWN,
        people=blocking.named(db, foreseen.people()),
        names=_names(db, {row.by} if row else ()),
        error=error,
    )


def _note_block(work: Work, action: str, type_: str, value: str, why: str) -> None:
    here.note(work, action, explaining.shown(type_, value), {"kind": type_, "why": why})


# --- binding ---------------------------------------------------------------------------------------------------------


@pages.post("/customers/<person_id>/bind")
@guarded("edit_people")
def bind(person_id: str) -> Any:
    """Bind the member of a till who has this number: first shown (masked), then done."""
    TRIES.step(here.viewer().user_id, here.now())
    typed, sure, by = request.form.get("phone", "").strip(), request.form.get("sure") == "1", here.viewer().userid
    match, done = None, ""
    try:
        phone = identities.spelt(identities.PHONE, typed)
    except ValueError:
        phone = ""
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None and phone:
            match = binding.match(work.db, here.sight(work.db), person.id, phone)
            if sure:
                done = binding.bind(work, person, phone, match, by=by)
                here.note(work, "customer.bind", person_id, {"outcome": done})
    if person is None:
        here.not_here(person_id)
    if not phone:
        say(_("这不像一个手机号"), "bad")
        return back_to("person.show", person_id=person_id)
    if not sure:
        return render_template("joined/bind.html", person=person, phone=phone, match=match)
    say(_(DONE[done][0]), DONE[done][1])
    return back_to("person.show", person_id=person_id)


DONE = {
    binding.BOUND: (N_("已绑定：看得到订单了；客户自己确认以前，这些积分不能用"), "good"),
    binding.WAITS: (N_("已记下；这个号码另有其人，要由主管或运营决定"), "warn"),
    binding.NOBODY: (N_("已记下；以后有人用这个号码消费，就会和这位客户合在一起"), "good"),
}

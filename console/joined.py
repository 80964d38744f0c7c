"""Who is one person (身份合并): pairs that wait for somebody's word, parting again, and binding a till's member.

Evidence joins people by itself (``people.joining``); what it may not decide alone is decided here, with a reason.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from console import here
from console.doors import guarded
from console.layout import back_to, say
from console.pace import Pace
from console.person import person_of
from console.words import N_, _
from people import binding, doubts, identities, joining, merging, persons, reviews
from people.reviews import NotOne, NotYours
from storage.tables import Person, Review

pages = Blueprint("joined", __name__)

PAGE, LONGEST = 20, 200
TRIES = Pace(20, timedelta(minutes=10))
"""So many numbers a rep may try: nobody is to find out by trying who is a member."""
KIND_WORDS: Mapping[str, tuple[str, str, str]] = {
    doubts.PROPOSAL: (N_("可能是同一人"), "info", N_("有相同的线索，但还不足以自动合并")),
    doubts.CONFLICT: (N_("有矛盾"), "warn", N_("有相同的身份，也有说明不是同一人的身份")),
    doubts.GUARD: (N_("需要两个人决定"), "bad", N_("证据足够，但两边都有积分或最近的订单：一人提出，另一人确认")),
}
REASON_WORDS: Mapping[str, str] = {
    "": N_("两边都出现过这个号码，至少一边没有核实，或隔了半年以上"),
    "two_unionids": N_("两边的 unionid 不同：微信里是两个人"),
    "too_many": N_("合起来同一种身份会太多"),
    "guarded": N_("两边都有不少积分，或最近 30 天都有订单"),
    "bound_twice": N_("两位成员把同一个号码绑给了不同的客户"),
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
    return {"known_words": {"sources": SOURCE_WORDS, "shown": joining.shown}}


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
        known=reviews.about(db, found),
        following=following,
        errors=errors or {},
        me_acts=here.viewer().userid,
    )


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

"""The day list in the console (我的清单): whom to turn to today and why in this order; the shop's numbers for it below.

A rep sees her own; a manager or boss may look at that of a rep in sight, and changes nothing on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import time
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from console import here
from console.doors import guarded
from console.layout import back_to, say
from console.rep_words import worded
from console.words import N_, _
from outreach import cards, day_list
from people import persons, rep_rules, when
from people.rep_rules import RepRules, WrongRules
from storage.tables import Member, Person, RepCard
from storage.work import Work

pages = Blueprint("day", __name__)

Close = Callable[[Work, RepCard], bool]
SNOOZES = (("一小时后", N_("一小时后")), ("明天上午十点", N_("明天上午十点")), ("下周一上午十点", N_("下周一上午十点")))
"""When a card may come again, as ``people.when`` reads it."""
CLOSED = {
    "done": N_("记为已处理"),
    "later": N_("到时候再出现在清单里"),
    "irrelevant": N_("不再提了，一段时间内同样的不会再来"),
}
NUMBERS = {
    "most": (N_("每天最多几位只有卡片的客户"), N_("位")),
    "gap_days": (N_("处理过的客户几天内不再出现"), N_("天")),
    "rest_days": (N_("点过“不相关”的，几天内不再来"), N_("天")),
}
SWITCHES = {
    "occasions": N_("新客户、生日、沉睡自动出卡片"),
    "working_days": N_("只在工作日发清单（按设置里的节假日历）"),
}
TIMES = {
    "starts": N_("几点上班"),
    "ends": N_("几点下班"),
    "morning": N_("几点发清单"),
    "late": N_("最晚到几点还补发"),
}


@pages.get("/day")
@guarded("see_people")
def show() -> str:
    """The list, and why it is in this order."""
    return _page()


def _page(typed: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None) -> str:
    me = here.viewer().userid
    with here.reading() as db:
        work = here.start_work(db)
        asked = request.args.get("rep", "")
        userid = asked if asked and here.sight(db).rep(asked) and db.get(Member, asked) is not None else me
        if asked and userid != asked:
            here.not_here(f"day of {asked}"[:64])
        rules = rep_rules.rules(db)
        return render_template(
            "day/show.html",
            found=day_list.of(work, userid),
            order=day_list.PLACES,
            rep=userid,
            rep_name=persons.rep_name(db, userid),
            whose=_whose(db, me, userid),
            is_own=userid == me,
            snoozes=SNOOZES,
            rules=rules,
            typed=typed or _as_typed(rules),
            errors=errors or {},
            numbers=NUMBERS,
            times=TIMES,
            switches=SWITCHES,
        )


def _whose(db: Session, me: str, shown: str) -> list[tuple[str, str]]:
    """The lists that may be looked at: one's own (no rep), those of the reps in sight; always the one that is shown."""
    sight = here.sight(db)
    if not sight.everybody and sight.userids <= {me}:
        return []
    reps = db.query(Member).filter(Member.serves.is_(True), Member.userid != me, sight.reps(Member.userid.expression))
    others = [(one.userid, one.name or one.userid) for one in reps.order_by(Member.name).limit(200)]
    if shown != me and shown not in dict(others):
        others.append((shown, persons.rep_name(db, shown)))
    return [("", _("我的清单")), *others]


def _as_typed(rules: RepRules) -> dict[str, str]:
    values = {one.name: getattr(rules, one.name) for one in fields(rules)}
    return {name: value.strftime("%H:%M") if isinstance(value, time) else str(value) for name, value in values.items()}


# --- closing a card, here and in the sidebar -------------------------------------------------------------------------


def close(work: Work, card: RepCard, how: str, by: str) -> bool:
    """Do what a button says; False when the card was over. Raises ``ValueError`` with words for the rep."""
    if how == "done":
        return cards.done(work, card, by=by)
    if how == "irrelevant":
        return cards.irrelevant(work, card, request.form.get("reason", ""), by=by)
    at = when.read(request.form.get("at", ""), work.now, work.zone)
    if at is None or at.rest:
        raise ValueError("没看懂这个时间，请写成“明天下午三点”“周五上午十点”这样")
    return cards.snooze(work, card, at.at, by=by)


def closed_words(how: str) -> str:
    """What is said when it is done."""
    return CLOSED[how]


@pages.post("/day/cards/<int:card_id>/<any(done, later, irrelevant):how>")
@guarded("edit_people")
def over(card_id: int, how: str) -> Any:
    """It is done, wanted later, or not for this customer."""
    me, trouble, closed = here.viewer().userid, "", False
    with here.working() as work:
        card = cards.own(work.db, me, card_id)
        if card is not None:
            try:
                closed = close(work, card, how, me)
            except ValueError as error:
                trouble = str(error)
        if card is not None and closed:
            here.note(work, f"card.{card.state}", persons.public_id(card.person_id))
            name = work.db.get_one(Person, card.person_id).name
    if card is None:
        here.not_here(f"card {card_id}")
    if trouble:
        say(worded(trouble), "warn")
    elif closed:
        say(_("%(name)s：%(what)s", name=name or persons.public_id(card.person_id), what=_(closed_words(how))))
    return back_to("day.show")


# --- the numbers -----------------------------------------------------------------------------------------------------


@pages.post("/day/rules")
@guarded("edit_calendar")
def set_rules() -> Any:
    """Change the numbers; they hold from now on."""
    typed = {name: request.form.get(name, "").strip()[:9] for name in (*TIMES, *NUMBERS)}
    typed |= {name: str(request.form.get(name) == "1") for name in SWITCHES}
    try:
        with here.working() as work:
            if rep_rules.set_rules(work, _read(typed), by=here.viewer().userid):
                here.note(work, "rep_day.rules", details=typed)
    except WrongRules as error:
        return _page(typed, {name: worded(words) for name, words in error.faults.items()}), 422
    say(_("已保存，从现在起按它来"))
    return back_to("day.show")


def _read(typed: Mapping[str, str]) -> RepRules:
    """The numbers as typed. Raises ``WrongRules``."""
    faults: dict[str, str] = {}
    values: dict[str, Any] = {name: typed[name] == "True" for name in SWITCHES}
    for name in TIMES:
        try:
            values[name] = time.fromisoformat(typed[name])
        except ValueError:
            faults[name] = "请写成 09:30 这样"
    for name in NUMBERS:
        values[name] = here.number(typed[name])
        if values[name] is None:
            faults[name] = "请填一个整数"
    if faults:
        raise WrongRules(faults)
    return RepRules(**values)

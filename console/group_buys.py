"""Group purchases (拼团): whether and on which terms, every group, and who is in it.

Off until the boss has asked for it and two others have agreed (``loyalty.approvals``, kind ``groups``); the boss turns
it off at once. Customers begin and join groups on their own pages (``own_groups``), programs over the API.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, request
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import approval_words, forms, here, known
from console.approvals import ask as ask_for
from console.approvals import asked_before, sent
from console.doors import guarded
from console.layout import back_to, say
from console.words import N_, _
from loyalty import group_buys, rewards
from loyalty.approvals import CannotDo
from loyalty.group_buys import STATES, Terms
from storage.tables import GroupBuy, GroupSeat, Reward

pages = Blueprint("group_buys", __name__, url_prefix="/points/groups")

PAGE = 50
NUMBERS = ("seats", "percent", "hours")
RANGES = {"seats": N_("2 到 100 之间的整数"), "percent": N_("1 到 100 之间的整数"), "hours": N_("1 到 720 之间的整数")}
BECAME: dict[str, tuple[str, str]] = {
    "open": (N_("正在拼团"), "info"),
    "done": (N_("已成团"), "good"),
    "failed": (N_("没有拼满"), "quiet"),
}
SEATS: dict[str, tuple[str, str]] = {
    "open": (N_("积分已留出"), "info"),
    "captured": (N_("已兑换"), "good"),
    "released": (N_("已退回"), "quiet"),
}


@pages.get("")
@guarded("see_points_programme")
def index() -> str:
    """The terms, and every group, the newest first."""
    with here.reading() as db:
        return _page(db, {})


def _page(db: Session, typed: dict[str, Any], errors: Mapping[str, str] | None = None) -> str:
    """``errors``: what is wrong with each field, and with none of them (an empty name)."""
    state, before = request.args.get("state", ""), here.number(request.args.get("before"))
    found, following = group_buys.listed(db, state=state, limit=PAGE, before=before)
    own, names = group_buys.terms(db), select(Reward.id, Reward.name)
    return render_template(
        "group_buys/index.html",
        terms=own,
        typed={**own.model_dump(), **typed},
        words=approval_words.GROUPS,
        errors=errors or {},
        asked=asked_before(db, "groups"),
        found=found,
        following=following,
        state=state if state in STATES else "",
        became=BECAME,
        names=dict(db.execute(names.where(Reward.id.in_({one.reward_id for one in found}))).all()),
        taken=group_buys.taken(db, [one.id for one in found]),
    )


@pages.get("/<int:group_id>")
@guarded("see_points_programme")
def show(group_id: int) -> str:
    """One group: who took a seat when, and what became of it; also seats that were given back."""
    with here.reading() as db:
        row = db.get(GroupBuy, group_id)
        if row is None:
            here.not_here(f"group:{group_id}")
        seats = db.scalars(select(GroupSeat).where(GroupSeat.group_id == group_id).order_by(GroupSeat.id)).all()
        return render_template(
            "group_buys/show.html",
            row=row,
            reward=db.get_one(Reward, row.reward_id),
            code=rewards.spelt(row.code),
            seats=seats,
            taken=group_buys.taken(db, [row.id]).get(row.id, 0),
            people=known.whose(db, here.sight(db), [one.account_id for one in seats]),
            became=BECAME,
            states=SEATS,
        )


@pages.post("")
@guarded("set_points")
def ask() -> Any:
    """Ask for it to be on, on these terms: two others have to agree."""
    typed, errors = {name: request.form.get(name, "").strip() for name in (*NUMBERS, "reason")}, {}
    try:
        wanted = Terms.model_validate({"on": True, **{name: here.number(typed[name]) for name in NUMBERS}})
        approval = ask_for("groups", wanted.model_dump(), typed["reason"])
    except CannotDo as error:
        errors = {"reason" if error.code == "no_reason" else "": approval_words.why_not(error)}
    except ValidationError as error:
        errors = forms.outside(error, RANGES)
    if errors:
        with here.reading() as db:
            return _page(db, typed, errors), 422
    return sent(approval)


@pages.post("/off")
@guarded("set_points")
def turn_off() -> Any:
    """Off at once, without anybody else; groups that have begun go on to their end."""
    with here.working() as work:
        if group_buys.turn_off(work, by=here.viewer().userid):
            here.note(work, "points.groups_off")
    say(_("已关闭开团。正在拼的团不受影响。"))
    return back_to("group_buys.index")

"""Points given between customers (转赠): whether and within which limits, and what became of each gift.

Off until the boss has asked for it and two others have agreed (``loyalty.approvals``, kind ``gifts``); the boss turns
it off at once. Customers give on their own pages (``own_gifts``), programs over the API.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, request
from pydantic import ValidationError
from sqlalchemy.orm import Session

from console import approval_words, forms, here, known
from console.approvals import ask as ask_for
from console.approvals import asked_before, sent
from console.doors import guarded
from console.layout import back_to, say
from console.words import N_, _
from loyalty import transfers
from loyalty.approvals import CannotDo
from loyalty.transfers import STATES, Limits
from storage.tables import Gift

pages = Blueprint("gifts", __name__, url_prefix="/points/gifts")

PAGE = 50
NUMBERS = ("day", "new_days", "phone_days")
RANGES = {
    "day": N_("1 到 100,000,000 之间的整数"),
    "new_days": N_("0 到 366 之间的整数"),
    "phone_days": N_("0 到 366 之间的整数"),
}
BECAME: dict[str, tuple[str, str]] = {
    "open": (N_("等对方接收"), "info"),
    "done": (N_("已送到"), "good"),
    "declined": (N_("对方没有要"), "quiet"),
    "released": (N_("没有接收"), "warn"),
}


@pages.get("")
@guarded("see_points_programme")
def index() -> str:
    """The limits, and what was given, the newest first."""
    with here.reading() as db:
        return _page(db, {})


def _page(db: Session, typed: dict[str, Any], errors: Mapping[str, str] | None = None) -> str:
    """``errors``: what is wrong with each field, and with none of them (an empty name)."""
    state, before = request.args.get("state", ""), here.number(request.args.get("before"))
    found, following = transfers.listed(db, state=state, limit=PAGE, before=before)
    own = transfers.limits(db)
    return render_template(
        "gifts/index.html",
        limits=own,
        typed={**own.model_dump(), **typed},
        words=approval_words.GIFTS,
        errors=errors or {},
        asked=asked_before(db, "gifts"),
        found=found,
        following=following,
        state=state if state in STATES else "",
        became=BECAME,
        people=known.whose(db, here.sight(db), [one for row in found for one in _ends(row)]),
    )


def _ends(row: Gift) -> list[int]:
    return [one for one in (row.sender_id, row.receiver_id) if one is not None]


@pages.post("")
@guarded("set_points")
def ask() -> Any:
    """Ask for it to be on within these limits: two others have to agree."""
    typed: dict[str, Any] = {name: request.form.get(name, "").strip() for name in (*NUMBERS, "reason")}
    typed["accept"], errors = request.form.get("accept") == "1", {}
    try:
        numbers = {name: here.number(typed[name]) for name in NUMBERS}
        wanted = Limits.model_validate({"on": True, "accept": typed["accept"], **numbers})
        approval = ask_for("gifts", wanted.model_dump(), typed["reason"])
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
    """Off at once, without anybody else; what waits to be accepted can be accepted still."""
    with here.working() as work:
        if transfers.turn_off(work, by=here.viewer().userid):
            here.note(work, "points.gifts_off")
    say(_("已关闭转赠。等对方接收的不受影响。"))
    return back_to("gifts.index")

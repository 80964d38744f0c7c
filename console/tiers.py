"""Tiers (等级): the shop's levels, how many customers are in which, and asking for others, tried before they hold."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from console import approval_words, here
from console.approvals import ask as ask_for
from console.approvals import asked_before, sent
from console.doors import guarded
from console.programme_words import DOWNGRADES, WINDOWS
from console.words import _
from loyalty import tiers
from loyalty.approvals import CannotDo
from loyalty.earning import ONE
from loyalty.tiers import Level, Scheme

pages = Blueprint("tiers", __name__, url_prefix="/tiers")

ROWS = 5
"""So many levels fit the form."""


@pages.get("")
@guarded("make_points")
def show() -> str:
    """The levels there are and how many customers would reach which now."""
    with here.reading() as db:
        return _page(db, tiers.scheme(db))


def _page(db: Session, shown: Scheme, error: str = "", tried: bool = False) -> str:
    own = tiers.scheme(db)
    return render_template(
        "tiers/show.html",
        scheme=own,
        rows=_rows(shown),
        shown=shown,
        windows=[(one, _(words)) for one, words in WINDOWS],
        downgrades=[(one, _(words)) for one, words in DOWNGRADES],
        now=tiers.would_be(db, own, here.now(), here.zone()),
        then=tiers.would_be(db, shown, here.now(), here.zone()) if tried else None,
        error=error,
        asked=asked_before(db, "tiers"),
        reason=request.form.get("reason", ""),
        window_words=dict(WINDOWS)[own.window],
        downgrade_words=dict(DOWNGRADES)[own.downgrade],
    )


def _rows(scheme: Scheme) -> list[Mapping[str, str]]:
    """The fields of the form, empty ones to the end."""
    filled = [
        {
            "key": one.key,
            "name": one.name,
            "points": str(one.points),
            "factor": f"{one.factor / ONE:g}",
            "benefits": "；".join(one.benefits),
        }
        for one in scheme.levels
    ]
    return [*filled, *({"key": "", "name": "", "points": "", "factor": "", "benefits": ""},) * (ROWS - len(filled))]


@pages.post("")
@guarded("set_points")
def change() -> Any:
    """Look what other levels would do (``do=try``), or ask for them: two others have to agree."""
    try:
        wanted = _read(request.form)
    except ValueError:
        with here.reading() as db:
            words = _("等级不对：第一级从 0 分开始，往上越来越大；每级要有名字，倍数在 1 到 10 之间")
            return _page(db, tiers.scheme(db), words), 422
    if request.form.get("do") == "try":
        with here.reading() as db:
            return _page(db, wanted, tried=True)
    try:
        approval = ask_for("tiers", wanted.model_dump(mode="json"), request.form.get("reason", ""))
    except CannotDo as error:
        with here.reading() as db:
            return _page(db, wanted, approval_words.why_not(error), tried=True), 422
    return sent(approval)


def _read(form: Mapping[str, str]) -> Scheme:
    """Raises ``ValueError``."""
    levels = []
    for number in range(ROWS):
        name, points, factor = (form.get(f"{field}-{number}", "").strip() for field in ("name", "points", "factor"))
        if name or points:
            benefits = form.get(f"benefits-{number}", "").replace(";", "；").split("；")
            levels.append(
                Level(
                    key=form.get(f"key-{number}") or f"level{number}",
                    name=name,
                    points=int(points),
                    factor=round(float(factor or "1") * ONE),
                    benefits=tuple(one.strip() for one in benefits if one.strip()),
                )
            )
    return tiers.of({"levels": levels, "window": form.get("window"), "downgrade": form.get("downgrade")})

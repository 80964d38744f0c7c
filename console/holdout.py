"""The long-term control group (长期对照组): how large it is, whom it spares, and what all our writing changes."""

from typing import Any

from flask import Blueprint, render_template, request

from console import here
from console.broadcast_words import SAYING_WORDS
from console.doors import guarded
from console.layout import back_to, say
from console.words import N_, _
from outreach import holdout, holdout_report
from outreach.arms import BUCKETS
from outreach.holdout import CannotSet

pages = Blueprint("holdout", __name__, url_prefix="/settings/holdout")

METRIC_WORDS = {
    holdout_report.TALKED: N_("最近 30 天说过话（微信客服，或由成员转来）"),
    holdout_report.LEFT: N_("最近 30 天删除了成员"),
}


@pages.get("")
@guarded("see_settings")
def show() -> Any:
    """How large it is, and what it tells."""
    return _page()


def _page(typed: str | None = None, error: str = "") -> str:
    with here.reading() as db:
        group = holdout.holdout(db)
        report = holdout_report.report(db, here.now())
    return render_template(
        "settings/holdout.html",
        group=group,
        share=f"{group.share * 100 / BUCKETS:g}",
        typed=typed if typed is not None else f"{(group.share or holdout.USUAL) * 100 / BUCKETS:g}",
        error=error,
        report=report,
        metrics=METRIC_WORDS,
        sayings=SAYING_WORDS,
    )


@pages.post("")
@guarded("set_holdout")
def change() -> Any:
    """Make it so large, from now on; or draw it anew."""
    if request.form.get("do") == "draw":
        with here.working() as work:
            holdout.draw_anew(work, by=here.viewer().userid)
            here.note(work, "holdout.draw", details={"number": holdout.holdout(work.db).number})
        say(_("已重新抽选：从现在起换了一批人"))
        return back_to("holdout.show")
    typed = request.form.get("share", "").strip()[:9]
    try:
        with here.working() as work:
            if holdout.set_share(work, _share(typed), by=here.viewer().userid):
                here.note(work, "holdout.share", details={"percent": typed})
    except CannotSet:
        return _page(typed, _("请填 0 到 %(n)s 的数字", n=holdout.AT_MOST * 100 // BUCKETS)), 422
    say(_("已保存，从现在起按它来"))
    return back_to("holdout.show")


def _share(typed: str) -> int:
    """Percent as ten-thousandths; -1 for what is no number."""
    try:
        return round(float(typed) * BUCKETS / 100) if typed.isascii() else -1
    except (ValueError, OverflowError):
        return -1

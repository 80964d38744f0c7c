"""How quickly we answer (回复速度): what we measure in 微信客服 to the second, and apart from it WeCom's daily figures.

The two never stand in one table and are never added: they count different chats in different ways.
"""

from datetime import datetime, time, timedelta
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select

from console import here
from console.doors import guarded
from people import chat_lists, rep_figures
from people.conversations import BOT
from storage.tables import Member

pages = Blueprint("chat_report", __name__, url_prefix="/chats/report")

SPANS = (1, 7, 30)
"""Days one may look back over, today included."""


@pages.get("")
@guarded("see_answers")
def index() -> str:
    """First answers, medians, shares under 30 seconds, satisfaction; and WeCom's own days on a table of their own."""
    asked = here.number(request.args.get("days"))
    days = asked if asked in SPANS else 7
    last = here.today()
    first = last - timedelta(days=days - 1)
    since = datetime.combine(first, time(), here.zone())
    with here.reading() as db:
        sight = here.sight(db)
        times, unanswered = chat_lists.response_times(db, sight, since, here.now())
        rated, asked_ratings = chat_lists.satisfaction(db, sight, since, here.now())
        theirs = rep_figures.rep_figures(db, sight, first, last)
        members = db.execute(select(Member.userid, Member.name))
        return render_template(
            "chats/report.html",
            days=days,
            spans=SPANS,
            times=times,
            rated=rated,
            unanswered=unanswered if sight.everybody else None,
            asked=asked_ratings if sight.everybody else None,
            theirs=theirs,
            read_until=rep_figures.read_until(db),
            accounts={one.open_kfid: one.name or one.open_kfid for one in chat_lists.accounts(db)},
            names=dict(_named(members)),
            bot=BOT,
        )


def _named(members: Any) -> list[tuple[str, str]]:
    return [(userid, name or userid) for userid, name in members]

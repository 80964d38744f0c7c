"""The page behind a tracked link (``/t/<token>``): it writes down that somebody opened it and sends them on.

Public, and without a session: customers come here, on a domain of their own where ``web.customer_base_url`` names one.
The only place anybody is sent to is the one that was kept when the link was made; nothing in the request changes it.

An opening is one short write into the inbox, as a callback is; what follows from it happens later. Where even that
cannot be had (the database is locked for longer than a moment, or away) the customer is sent on all the same, and the
opening is lost but for a line in the log: a number that is one too small does less harm than a customer who waits.
"""

import logging
import re
from datetime import UTC, datetime, timedelta

from flask import Blueprint, redirect, render_template, request
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from console import here
from outreach import links, opens
from storage.tables import TrackedLink

log = logging.getLogger(__name__)

pages = Blueprint("tracked", __name__)

AGAIN_WITHIN = timedelta(minutes=1)
COOKIE = "opened"
"""When this browser opened this link last (seconds); it goes to this link only, and tells nothing of other links."""
MACHINES = re.compile(
    r"bot\b|bot/|spider|crawl|slurp|preview|prerender|scan|monitor|curl|wget|python|okhttp|go-http|java/|libwww|headless"
    r"|facebookexternalhit|embedly|whatsapp|telegram|dingtalk-?link|urlcheck",
    re.IGNORECASE,
)
"""Programs that look at a link before anybody does."""
DEVICES = (("wecom", "wxwork"), ("wechat", "micromessenger"), ("phone", "mobile"), ("phone", "android"))


@pages.get("/t/<token>")
def follow(token: str) -> Response | tuple[str, int]:
    """Send the browser to where the link leads, and write down that it was opened."""
    with here.reading() as db:
        url = db.scalar(select(TrackedLink.url).where(TrackedLink.token == token))
    if url is None or not links.leads_outside(url):
        return _gone()
    answer = redirect(url, 302)
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    if _by_a_person() and not _just_now():
        _write_down(token)
        _remember(answer, token)
    return answer


def _gone() -> tuple[str, int]:
    return render_template("tracked/gone.html"), 404


def _by_a_person() -> bool:
    """Whether a browser in somebody's hand asks, rather than a program that looks at links or fetches ahead."""
    agent = request.user_agent.string or ""
    ahead = any("prefetch" in request.headers.get(name, "").lower() for name in ("Purpose", "Sec-Purpose", "X-Moz"))
    return request.method == "GET" and bool(agent) and not ahead and MACHINES.search(agent) is None


def _just_now() -> bool:
    """Whether this browser opened this link less than a minute ago."""
    seconds = here.number(request.cookies.get(COOKIE))
    if seconds is None or seconds > here.now().timestamp():
        return False
    return here.now() - datetime.fromtimestamp(seconds, UTC) < AGAIN_WITHIN


def _remember(answer: Response, token: str) -> None:
    seconds, lives = str(int(here.now().timestamp())), int(AGAIN_WITHIN.total_seconds())
    path, secure = f"/t/{token}", here.home().startswith("https://")
    answer.set_cookie(COOKIE, seconds, lives, path=path, httponly=True, samesite="Lax", secure=secure)


def _write_down(token: str) -> None:
    agent = request.user_agent.string or ""
    device = next((name for name, sign in DEVICES if sign in agent.lower()), "desktop")
    try:
        here.intake().accept(opens.arriving(token, f"{here.address()} {agent}", device, here.now()))
    except SQLAlchemyError as error:
        log.error("an opened link could not be written down: %s", type(error).__name__)

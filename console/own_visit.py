"""What every part of a customer's own page (``/me/<token>``) begins with: whose it is, who looks, how often they may.

Public, and without script. The bare address shows little: it is sent in chats and may be passed on. A browser that has
come in (by WeChat, or by a code that the counter or a rep has confirmed) sees all of it for half an hour; its cookie
goes to this one page only. Whoever the page is about is decided by the token, never by anything a browser sends.

Nothing of an address is written into a log, no answer is kept by anybody, and a token that there is not looks like
one that was called back.

After: ``own_page`` (looking), ``own_door`` (coming in), ``own_rewards``, ``own_gifts``, ``own_groups``. A view opens
its page by ``looking`` or ``acting`` and is refused by an exception, which is answered here.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import segno
from flask import Blueprint, Response, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from console import here
from console.pace import Pace
from console.words import _
from loyalty import accounts, takeover
from people import joining, own_pages, persons
from storage import audit
from storage.tables import OwnPage, OwnVisit, Person, PointsAccount
from storage.work import Work

log = logging.getLogger(__name__)

COOKIE = "me"
WINDOW = timedelta(minutes=10)
LOOKS, WRONG, ACTS = Pace(900, WINDOW), Pace(30, WINDOW), Pace(60, WINDOW)
"""Of one address in so much time: pages, tokens (or codes of groups) that there are not, and forms."""
CUSTOMER = "customer"
PAGE = 20


class Gone(Exception):
    """There is no such page, or it was called back."""


class Outside(Exception):
    """Only for a browser that has come in; ``token`` says whose page it is at."""

    def __init__(self, token: str) -> None:
        super().__init__("not inside")
        self.token = token


@dataclass(frozen=True)
class Opened:
    """A page that was asked for, and by whom."""

    page: OwnPage
    person: Person
    visit: OwnVisit | None

    @property
    def inside(self) -> bool:
        """Whether this browser may see everything."""
        return self.visit is not None and self.visit.opened_at is not None


# --- opening ---------------------------------------------------------------------------------------------------------


def opened(db: Session, token: str) -> Opened:
    """The page of a token. Raises ``Gone``; ``TooManyRequests`` for who tries many tokens, or asks too often."""
    LOOKS.step(here.address(), here.now())
    found = own_pages.find(db, token[:60])
    if found is None:
        WRONG.step(here.address(), here.now())
        raise Gone
    cookie = request.cookies.get(COOKIE, "")
    return Opened(*found, own_pages.visit_of(db, found[0].id, cookie, here.now()) if cookie else None)


@contextmanager
def looking(token: str, *, inside: bool = False) -> Iterator[tuple[Session, Opened]]:
    """Look at a page; ``inside``: only for who has come in. Raises as ``opened`` does, and ``Outside``."""
    with here.reading() as db:
        yield db, _let_in(opened(db, token), inside)


@contextmanager
def acting(token: str, *, inside: bool = False) -> Iterator[tuple[Work, Opened]]:
    """Do something at a page, kept as a whole or not at all; every form goes at the same pace. Raises likewise."""
    ACTS.step(here.address(), here.now())
    with here.working() as work:
        yield work, _let_in(opened(work.db, token), inside)


def _let_in(found: Opened, inside: bool) -> Opened:
    if inside and not found.inside:
        raise Outside(found.page.token)
    return found


# --- whose points ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mine:
    """Whose accounts, and which of them may be spent from."""

    anchors: Sequence[int]
    own: Sequence[int]
    sure_anchors: Sequence[int]
    sure: Sequence[int]


def mine_of(db: Session, found: Opened) -> Mine:
    """What only a rep's word has joined to them is seen and not spent."""
    anchors, sure = persons.anchors(db, found.person.id), sorted(joining.confirmed(db, found.page.person_id))
    return Mine(anchors, accounts.accounts_of(db, anchors), sure, accounts.accounts_of(db, sure))


def shut(db: Session) -> bool:
    """Whether the books that count are still those of an older system (``loyalty.takeover``)."""
    return takeover.state(db).name == takeover.SHADOW


def letter(name: str | None) -> str:
    """The first letter of a name, unless that is all of it."""
    plain = (name or "").strip()
    return f"{plain[0]}**" if len(plain) > 1 else "**"


def letters(db: Session, account_ids: Sequence[int]) -> dict[int, str]:
    """As much of the names of whoever has these accounts as customers are shown of each other."""
    head = func.coalesce(Person.merged_into, Person.id)
    own = select(PointsAccount.id, head).join(Person, Person.id == PointsAccount.person_id)
    heads = dict(db.execute(own.where(PointsAccount.id.in_(account_ids))).all())
    names = dict(db.execute(select(Person.id, Person.name).where(Person.id.in_(set(heads.values())))).all())
    return {account: letter(names.get(heads.get(account, 0))) for account in account_ids}


# --- answers ---------------------------------------------------------------------------------------------------------


def back(token: str) -> AnyResponse:
    """To the first of the pages."""
    return redirect(url_for("own_page.show", token=token), 303)


def stop(title: str, sentence: str, status: int) -> Response:
    """A page that only says something."""
    return Response(render_template("own_page/stop.html", title=title, sentence=sentence), status)


def remember(answer: AnyResponse, token: str, cookie: str, waits: timedelta = timedelta()) -> None:
    """To this page only; longer than the visit itself, which the books end."""
    lives = int((own_pages.LIVES + waits).total_seconds())
    secure = here.home().startswith("https://")
    path = url_for("own_page.show", token=token)
    answer.set_cookie(COOKIE, cookie, lives, path=path, httponly=True, samesite="Lax", secure=secure)


def note(work: Work, found: Opened, action: str, details: Mapping[str, Any] | None = None) -> None:
    """Add an audit line in the customer's name."""
    subject = persons.public_id(found.person.id)
    audit.note(
        work.db, actor=CUSTOMER, action=action, subject=subject, details=details, address=here.address(), at=work.now
    )


def drawn(text: str) -> str:
    """A QR code as an address of its own; dark on white in every light."""
    return str(segno.make(text, error="m", micro=False).svg_data_uri(scale=8, border=3, dark="#000", light="#fff"))


# --- the pages -------------------------------------------------------------------------------------------------------


def blueprint(name: str) -> Blueprint:
    """A part of ``/me``, answering alike whatever happens."""
    pages = Blueprint(name, __name__, url_prefix="/me")
    pages.after_request(_keep_to_itself)
    pages.register_error_handler(Gone, _gone)
    pages.register_error_handler(Outside, _outside)
    pages.register_error_handler(own_pages.TooManyCodes, _too_many_codes)
    pages.register_error_handler(Exception, _failed)
    return pages


def _keep_to_itself(answer: Response) -> Response:
    """Nobody keeps it, finds it or hears of its address."""
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answer


def _gone(_error: Exception) -> AnyResponse:
    return Response(render_template("own_page/gone.html"), 404)


def _outside(error: Outside) -> AnyResponse:
    return back(error.token)


def _too_many_codes(_error: Exception) -> AnyResponse:
    answer = stop(_("要的确认码太多了"), _("请十分钟后再试，或直接告诉店员。"), 429)
    answer.headers["Retry-After"] = str(int(own_pages.CODES_WINDOW.total_seconds()))
    return answer


def _failed(error: Exception) -> Any:
    """The log tells what went wrong, and not at which address."""
    if isinstance(error, HTTPException):
        return error
    log.error("a customer's own page failed", exc_info=error)
    return stop(_("出了点问题"), _("请稍后再打开。"), 500)

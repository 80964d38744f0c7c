"""What a view may reach for, each by one line: the long-lived parts, who is looking, and the way to read and write.

Views look things up here and hand them down; below the views nobody looks anything up. Reading and writing are two
context managers, so that a GET cannot change anything by accident:

    with here.reading() as db: ...                      # GET
    with here.working("customers.note") as work: ...    # POST; kept as a whole, then the worker is woken
        here.note(work, "person.note", "p_17")
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from ipaddress import ip_address
from typing import Any, NoReturn, cast
from zoneinfo import ZoneInfo

from cryptography.fernet import Fernet
from flask import abort, current_app, g, request
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from people import access, persons, sign_in
from people.access import Sight, Viewer
from storage import audit, database
from storage.bell import Bell
from storage.inbox import Intake
from storage.tables import User
from storage.work import Work
from wecom.gateway import Gateway
from wecom.mp import Mp

# --- the parts -------------------------------------------------------------------------------------------------------


def engine() -> Engine:
    """The database."""
    return cast(Engine, current_app.extensions["engine"])


def gateway() -> Gateway:
    """The door to WeCom."""
    return cast(Gateway, current_app.extensions["gateway"])


def mp() -> Mp:
    """The shop's 公众号; where there is none it has no ``app_id``."""
    return cast(Mp, current_app.extensions["mp"])


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return cast(Callable[[], datetime], current_app.extensions["clock"])()


def zone() -> ZoneInfo:
    """The shop's time zone."""
    return cast(ZoneInfo, current_app.extensions["zone"])


def today() -> date:
    """The shop's day."""
    return now().astimezone(zone()).date()


def watch() -> Collection[str]:
    """Senders that only show what they would do."""
    return cast(Collection[str], current_app.extensions["watch"])


def notice() -> str:
    """The privacy notice that goes with the first thing we write to a customer."""
    return cast(str, current_app.extensions["notice"])


def home() -> str:
    """Where customers' own pages are reached from outside."""
    return cast(str, current_app.extensions["home"])


def intake() -> Intake:
    """Keeps events durably: what a customer's page tells takes the road that WeCom's events take."""
    return cast(Intake, current_app.extensions["intake"])


def cipher() -> Fernet:
    """Seals and opens secrets of others that we keep."""
    return cast(Fernet, current_app.extensions["cipher"])


def private_networks() -> bool:
    """Whether calls may lead into private networks."""
    return bool(current_app.extensions["private_networks"])


def bell() -> Bell:
    """Wakes the workers."""
    return cast(Bell, current_app.extensions["bell"])


def pages() -> Collection[str]:
    """The endpoints of this application."""
    return current_app.view_functions.keys()


def setting(name: str) -> str:
    """``base_url``, ``corp_id``, ``agent_id``, ``oauth_base``, ``login_base``, or ``sandbox`` (empty without one)."""
    return str(current_app.extensions[name])


# --- what is asked ---------------------------------------------------------------------------------------------------

LARGEST = 2**53 - 1
"""No id is larger: every database and JSON hold it exactly."""


def number(text: str | None) -> int | None:
    """The whole number that an address or a form names; None for anything else, and for what no id can be."""
    if not (text and text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST))):
        return None
    return int(text) if int(text) <= LARGEST else None


def shown_anew() -> bool:
    """Whether an open page asks for its live parts only, as ``console.js`` does every few seconds."""
    return "X-Shown-Anew" in request.headers


# --- who is looking --------------------------------------------------------------------------------------------------


def cookie_name() -> str:
    """The session cookie: bound to the host and to TLS where there is TLS."""
    return "__Host-scrm" if secure() else "scrm"


def secure() -> bool:
    """Whether the outside reaches us over TLS."""
    return setting("base_url").startswith("https://")


def session_token() -> str | None:
    """The session token the browser sent."""
    return request.cookies.get(cookie_name())


def user() -> User | None:
    """The signed-in user, asked for once a request: an ended session or a disabled user counts from the next one on."""
    if "user" not in g:
        token = session_token()
        if token is None:
            g.user = None
        else:
            with reading() as db:
                g.user = sign_in.user_of_session(db, token, now())
    return cast("User | None", g.user)


def known_user() -> User | None:
    """The signed-in user if this request has asked already: choosing a language is no reason to ask the database."""
    return cast("User | None", g.get("user"))


def viewer() -> Viewer:
    """Whoever is signed in. Only for guarded views: there always is somebody."""
    found = user()
    if found is None:
        raise LookupError("nobody is signed in")
    return Viewer(found.userid, found.role, found.id)


def my_name() -> str:
    """How whoever is signed in is called: the member's name, or the userid."""
    found = user()
    if found is None:
        return ""
    with reading() as db:
        return persons.rep_name(db, found.userid)


def may(right: str) -> bool:
    """Whether whoever is signed in has this right."""
    return user() is not None and viewer().may(right)


def sight(db: Session) -> Sight:
    """Whom the viewer may see, worked out at this request."""
    return access.sight_of(db, viewer())


def address() -> str:
    """Where the request comes from; a proxy on this very machine is believed when it names the sender."""
    peer = request.remote_addr or ""
    forwarded = request.headers.get("X-Forwarded-For", "")
    if not (forwarded and peer and ip_address(peer).is_loopback):
        return peer
    try:
        return str(ip_address(forwarded.rpartition(",")[2].strip()))
    except ValueError:
        return peer


# --- reading and writing ---------------------------------------------------------------------------------------------


@contextmanager
def reading() -> Iterator[Session]:
    """Look, without the right to write."""
    with database.reading(engine()) as db:
        yield db


@contextmanager
def working(cause: str = "") -> Iterator[Work]:
    """One piece of work, kept as a whole or not at all; afterwards the workers are woken if a call now waits."""
    with database.transaction(engine()) as db:
        work = start_work(db, cause)
        yield work
    if work.lanes:
        bell().ring()


def start_work(db: Session, cause: str = "") -> Work:
    """Work on a session that somebody else keeps: what ``tagging.channel_desk.Desk`` asks for."""
    cause = cause or f"console: {request.endpoint}"
    pending_days: int = current_app.extensions["pending_days"]
    return Work(db, now(), cause, zone=zone(), watch=watch(), notice=notice(), home=home(), pending_days=pending_days)


def note(
    work: Work, action: str, subject: str = "", details: Mapping[str, Any] | None = None, *, actor: str | None = None
) -> None:
    """Add an audit line, within the work it tells about, in the name of whoever is signed in (or ``actor``).

    In the sidebar that is the member who has opened it, whoever else is signed in in this browser.
    """
    who = actor or g.get("acting") or (found.userid if (found := user()) else "-")
    audit.note(work.db, actor=who, action=action, subject=subject, details=details, address=address(), at=work.now)


def not_here(subject: str = "") -> NoReturn:
    """Answer as if there were no such thing, whether there is none or it is not for this viewer; both are noted.

    ``note_refusal`` writes the line when the answer leaves: a view may be in the middle of work, which is undone.
    """
    g.refused = subject or request.path
    abort(404)


def note_refusal() -> None:
    """Write down that something was refused in this request, if it was."""
    subject = g.pop("refused", None)
    if subject is not None:
        with working() as work:
            details = {"method": request.method, "route": request.endpoint or ""}
            note(work, "access.refuse", subject, details)

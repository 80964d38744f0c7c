"""What a view may reach for, each by one line: the long-lived parts, and the way to read and to write.

Views look things up here and hand them down; below the views nobody looks anything up.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from ipaddress import ip_address
from typing import cast
from zoneinfo import ZoneInfo

from cryptography.fernet import Fernet
from flask import current_app, request
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outreach.budget import Rules
from people.access import Sight
from storage.bell import Bell
from storage.work import Work
from wecom.gateway import Gateway

EVERYBODY = Sight(everybody=True)
"""A key sees all customers; its scopes say what it may do with them."""


def engine() -> Engine:
    """The database."""
    return cast(Engine, current_app.extensions["engine"])


def gateway() -> Gateway:
    """The door to WeCom."""
    return cast(Gateway, current_app.extensions["gateway"])


def now() -> datetime:
    """The moment it is, aware, in UTC."""
    return cast(Callable[[], datetime], current_app.extensions["clock"])()


def zone() -> ZoneInfo:
    """The shop's time zone."""
    return cast(ZoneInfo, current_app.extensions["zone"])


def watch() -> Collection[str]:
    """Senders that only show what they would do."""
    return cast(Collection[str], current_app.extensions["watch"])


def rules() -> Rules:
    """How often, and when, a customer may hear from us."""
    return cast(Rules, current_app.extensions["rules"])


def notice() -> str:
    """The privacy notice that goes with the first thing we write to a customer."""
    return cast(str, current_app.extensions["notice"])


def home() -> str:
    """Where customers' own pages are reached from outside."""
    return cast(str, current_app.extensions["home"])


def pending_days() -> int:
    """How long points of an order wait."""
    return cast(int, current_app.extensions["pending_days"])


def cipher() -> Fernet:
    """Seals and opens secrets of others that we keep."""
    return cast(Fernet, current_app.extensions["cipher"])


def private_networks() -> bool:
    """Whether calls may lead into private networks."""
    return bool(current_app.extensions["private_networks"])


def bell() -> Bell:
    """Wakes the workers."""
    return cast(Bell, current_app.extensions["bell"])


def start_work(db: Session) -> Work:
    """Work on a session that somebody else keeps."""
    cause = f"api: {request.endpoint}"
    return Work(db, now(), cause, zone=zone(), watch=watch(), notice=notice(), home=home(), pending_days=pending_days())


def local(moment: datetime) -> datetime:
    """A moment in the shop's time: every time the API gives carries the shop's offset."""
    return moment.astimezone(zone())


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

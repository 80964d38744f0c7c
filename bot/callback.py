"""The door WeCom knocks at: check, decrypt, keep one row, answer. Nothing else happens here.

After: a worker, woken by the bell, takes the row out of the inbox. What could not be kept is answered 503, so that
WeCom sends it again; what was not sealed for us 403; what is malformed 400. The answer never holds anything decrypted
but the URL check's own echo.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from bot.assembly import Parts
from handlers.routes import lane_of
from storage.inbox import Arriving
from wecom.envelope import Envelope, Seal, single
from wecom.errors import BadEnvelope, Malformed
from wecom.events import Event, read_event

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

MAX_BODY = 256 * 1024
SPOKEN = ("", "text/xml", "application/xml", "text/plain", "application/octet-stream")
BELOW = "/wecom"

callback = Blueprint("callback", __name__)


def create_door(parts: Parts, headers: Sequence[tuple[str, str]] = ()) -> Flask:
    """The callback as an application of its own, mounted at ``BELOW``; every answer carries these headers.

    Who sends too much is cut off before it is read.
    """
    door = Flask(__name__, static_folder=None)
    door.config.update(MAX_CONTENT_LENGTH=MAX_BODY)
    door.extensions.update(parts=parts, envelopes=parts.envelopes())
    door.register_blueprint(callback)
    door.register_error_handler(HTTPException, _in_plain_text)

    door.wsgi_app = _with_headers(door.wsgi_app, [*headers, ("Cache-Control", "no-store")])  # type: ignore[method-assign, assignment]
    return door


def _with_headers(app: "WSGIApplication", headers: list[tuple[str, str]]) -> "WSGIApplication":
    """Added below Flask, where it costs nothing."""

    def inner(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        return app(environ, lambda status, own, *error: start(status, [*own, *headers], *error))

    return inner


def _in_plain_text(error: HTTPException) -> Response:
    return Response(error.name.lower(), error.code, mimetype="text/plain")


@callback.get("/callback", defaults={"receiver": ""})
@callback.get("/callback/<receiver>")
def check_url(receiver: str) -> Response:
    """WeCom's check when the address is saved: give the decrypted echo back, exactly."""
    try:
        query = _query()
        seal, sealed = Seal.read(query), single(query, "echostr")
        echo = _envelope(receiver).unseal(seal, sealed)
    except BadEnvelope as error:
        return _refuse(error)
    return Response(echo, mimetype="text/plain")


@callback.post("/callback", defaults={"receiver": ""})
@callback.post("/callback/<receiver>")
def receive_event(receiver: str) -> Response:
    """Write the event down, tell WeCom we have it."""
    if request.mimetype not in SPOKEN:
        return Response("the body must be XML", 400, mimetype="text/plain")
    try:
        seal = Seal.read(_query())
        xml = _envelope(receiver).open(seal, request.get_data())
        event = read_event(xml)
    except BadEnvelope as error:
        return _refuse(error)
    parts = _parts()
    try:
        parts.intake.accept(arriving(event, xml, parts.clock()))
    except SQLAlchemyError as error:
        log.error("a callback could not be stored: %s", type(error).__name__)
        return Response("not stored, please send again", 503, mimetype="text/plain")
    return Response(b"", mimetype="text/plain")


def arriving(event: Event, xml: str, now: datetime) -> Arriving:
    """The event as the inbox keeps it."""
    return Arriving(
        identity=event.identity,
        name=event.name,
        key=event.key[:200],
        lane=lane_of(event),
        xml=xml,
        event_at=event.at or now,
        welcome_code=getattr(event, "welcome_code", None),
        settles=event.settles,
    )


def _query() -> dict[str, list[str]]:
    return dict(request.args.lists())


def _parts() -> Parts:
    parts: Parts = current_app.extensions["parts"]
    return parts


def _envelope(receiver: str) -> Envelope:
    envelopes: dict[str, Envelope] = current_app.extensions["envelopes"]
    if receiver not in envelopes:
        raise BadEnvelope("no such receiver")
    return envelopes[receiver]


def _refuse(error: BadEnvelope) -> Response:
    log.info("callback refused: %s", error)
    malformed = isinstance(error, Malformed)
    return Response("malformed" if malformed else "not for us", 400 if malformed else 403, mimetype="text/plain")

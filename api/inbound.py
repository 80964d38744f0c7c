"""The doors through which other systems push their orders: a signature (Standard Webhooks) instead of a key."""

import json
import logging
from typing import Any

from flask import Response, current_app, request

from api import here
from api.problems import CONFLICT, INVALID, MALFORMED, NO_SIGNATURE, TOO_MANY, Problem, invalid
from api.rate import Rate
from handlers import inbound
from handlers.inbound import NothingTaken, NotSigned, OtherMessage
from outreach import webhooks
from people.orders import Bad
from storage.database import reading, transaction
from storage.tables import InboundDoor

log = logging.getLogger(__name__)


def receive(name: str) -> Response:
    """Take a message: 401 unless it is signed, 422 where nothing of it can be taken, 409 for an id used before."""
    body = request.get_data()
    row, message = _signed(name, body)
    rate: Rate = current_app.extensions["api_rate"]
    if wait := rate.wait(-row.id, here.now()):
        raise Problem(TOO_MANY, headers={"Retry-After": str(wait)})
    try:
        with transaction(here.engine()) as db:
            work = here.start_work(db)
            held = db.get_one(InboundDoor, row.id)
            answer = inbound.take(work, held, message, body)
    except OtherMessage:
        raise Problem(CONFLICT, "this webhook-id was used for another message") from None
    except NothingTaken as error:
        raise _trouble(row, invalid((("body", number), words) for number, words in error.why.items())) from None
    except Bad as error:
        raise _trouble(row, Problem(INVALID, str(error))) from None
    except (ValueError, RecursionError):
        raise _trouble(row, Problem(MALFORMED)) from None
    return _answer(answer.told() | {"again": answer.again})


def _signed(name: str, body: bytes) -> tuple[InboundDoor, str]:
    """The door, and the id of a message that was signed for it; every other one is refused alike."""
    with reading(here.engine()) as db:
        row = inbound.door(db, name)
    keys = webhooks.secrets_of(here.cipher(), row, here.now()) if row is not None else [inbound.no_secret()]
    headers = {one.lower(): value for one, value in request.headers.items()}
    try:
        message = inbound.check(keys, headers, body, here.now())
    except NotSigned as error:
        log.info("a message at a door was not signed")
        raise Problem(NO_SIGNATURE, str(error)) from None
    if row is None:
        raise Problem(NO_SIGNATURE)
    return row, message


def _trouble(row: InboundDoor, problem: Problem) -> Problem:
    """Note it for whoever looks after the door: signed messages that cannot be read mean its template is wrong."""
    with transaction(here.engine()) as db:
        held = db.get_one(InboundDoor, row.id, with_for_update=True)
        held.trouble, held.heard_at = problem.detail[:200], here.now()
    return problem


def _answer(told: dict[str, Any]) -> Response:
    return Response(json.dumps(told, ensure_ascii=False), content_type="application/json")

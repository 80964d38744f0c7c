"""What can go wrong, told alike everywhere below ``/api/v1``: RFC 9457 problem documents with a stable ``type``.

``KINDS`` is the whole list; each ``type`` is an address of ours that explains it. Nothing of our insides (a stack, a
path, a statement) ever leaves: an unexpected error goes to the log and says only that it happened.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, default_exceptions

from insight.segments import WrongFilter
from outreach.broadcasts import CannotDo
from outreach.journeys import desk
from outreach.journeys.definition import WrongJourney
from storage.database import is_away
from tagging.channels import Invalid
from wecom.errors import Answered, Refused, TryLater, Unclear, WeComError, explain

log = logging.getLogger(__name__)

PREFIX = "/api/v1/problems/"
CONTENT_TYPE = "application/problem+json"
SECONDS_TO_WAIT = 5
Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Kind:
    """One kind of problem: its name (the end of ``type``), its status, and what it means for the caller."""

    name: str
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """The stable address by which programs tell it apart."""
        return PREFIX + self.name


BAD_REQUEST = Kind("bad-request", 400, "The request cannot be read", "A header or the request line is out of shape.")
MALFORMED = Kind("malformed-json", 400, "The body is not JSON", "Send one JSON object, in UTF-8.")
BAD_CURSOR = Kind(
    "bad-cursor", 400, "The cursor is not one of ours", "Pass next_cursor of the same list unchanged, or none at all."
)
NO_KEY = Kind(
    "no-valid-key",
    401,
    "A valid API key is needed",
    "Send `Authorization: Bearer KEY`. The key is missing, unknown, expired or revoked; cookies do not count.",
)
NO_SIGNATURE = Kind(
    "no-valid-signature",
    401,
    "The message is not signed as it should be",
    "Sign it as Standard Webhooks says, with this door's secret; see detail. It may also be shut, or not be there.",
)
NO_SCOPE = Kind("missing-scope", 403, "The key lacks the scope", "Ask for a key with the scope that detail names.")
FORBIDDEN = Kind("not-yours-to-decide", 403, "Not yours to do", "See detail; somebody else has to do it.")
NOT_FOUND = Kind("not-found", 404, "There is no such thing", "The address is wrong, or what it names is not there.")
BAD_METHOD = Kind("method-not-allowed", 405, "Not by this method", "The Allow header lists the methods that work here.")
CONFLICT = Kind("conflict", 409, "It does not fit what is there", "See detail; the same request would fail again.")
REFUSED = Kind(
    "refused-by-wecom",
    409,
    "WeCom refused",
    "WeCom understood and said no, with errcode; nothing was changed, and asking again would not help.",
)
NOT_ENOUGH = Kind(
    "not-enough-points", 409, "Not enough points", "Fewer can be spent, as `available` says; nothing was changed."
)
IN_DEBT = Kind(
    "in-debt",
    409,
    "Points are owed",
    "Until as many as `debt` says are earned nothing can be spent; nothing was changed.",
)
NOT_CONFIRMED = Kind(
    "not-confirmed",
    409,
    "Some points wait for the customer's own word",
    "A rep has bound the member they belong to; until the customer has confirmed it (POST /points/confirmations, or "
    "on their own page) only `available` can be spent; nothing was changed.",
)
HOLD_SETTLED = Kind(
    "hold-settled", 409, "The hold is settled", "It was captured or released before, as `state` says, and stays so."
)
KEY_REUSED = Kind(
    "idempotency-key-reused",
    409,
    "This Idempotency-Key was used for another request",
    "Use a new key for every new request; repeat a key only with the very same body.",
)
IN_PROGRESS = Kind(
    "in-progress", 409, "The first request is still running", "Send it again a little later: its answer will be given."
)
TOO_LARGE = Kind("too-large", 413, "The body is too large", "A request may have 1 MB.")
BAD_TYPE = Kind("unsupported-media-type", 415, "The body must be JSON", "Send `Content-Type: application/json`.")
INVALID = Kind(
    "invalid",
    422,
    "Some fields are wrong",
    "errors lists every fault as {loc, msg}; loc begins with body or query. Unknown fields are faults too.",
)
TOO_MANY = Kind("too-many-requests", 429, "Too many requests", "Wait as many seconds as Retry-After says.")
INTERNAL = Kind("internal", 500, "Something went wrong here", "It is in our log. A repeated request may work.")
UNCLEAR = Kind(
    "unclear",
    502,
    "The line to WeCom broke",
    "It may or may not have been carried out. Send the same request with the same Idempotency-Key: it is completed, "
    "never done twice.",
)
UNAVAILABLE = Kind(
    "unavailable", 503, "Not possible just now", "Nothing was changed. Try again after Retry-After seconds."
)

KINDS = (
    BAD_REQUEST,
    MALFORMED,
    BAD_CURSOR,
    NO_KEY,
    NO_SIGNATURE,
    NO_SCOPE,
    FORBIDDEN,
    NOT_FOUND,
    BAD_METHOD,
    CONFLICT,
    REFUSED,
    NOT_ENOUGH,
    IN_DEBT,
    NOT_CONFIRMED,
    HOLD_SETTLED,
    KEY_REUSED,
    IN_PROGRESS,
    TOO_LARGE,
    BAD_TYPE,
    INVALID,
    TOO_MANY,
    INTERNAL,
    UNCLEAR,
    UNAVAILABLE,
)
BY_STATUS: Mapping[int, Kind] = {
    400: BAD_REQUEST,
    401: NO_KEY,
    403: NO_SCOPE,
    404: NOT_FOUND,
    405: BAD_METHOD,
    409: CONFLICT,
    413: TOO_LARGE,
    415: BAD_TYPE,
    422: INVALID,
    429: TOO_MANY,
    503: UNAVAILABLE,
}


class Problem(Exception):
    """The request ends here. ``more`` are further members of the document."""

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail or kind.title)
        self.kind, self.detail = kind, detail or kind.meaning
        self.headers, self.more = dict(headers or {}), dict(more or {})


def invalid(faults: Iterable[tuple[Loc, str]]) -> Problem:
    """A problem that names every field at fault."""
    errors = [{"loc": list(loc), "msg": words} for loc, words in faults]
    return Problem(
        INVALID, "; ".join(f"{_spelt(one['loc'])}: {one['msg']}" for one in errors[:3]), more={"errors": errors}
    )


def _spelt(loc: object) -> str:
    return ".".join(str(one) for one in loc) if isinstance(loc, list) else str(loc)


def not_found(what: str) -> Problem:
    """There is none of these."""
    return Problem(NOT_FOUND, f"no {what} of this name")


def answer(problem: Problem) -> Response:
    """The problem as its document."""
    kind = problem.kind
    document: dict[str, Any] = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": problem.detail}
    text = json.dumps(document | problem.more, ensure_ascii=False)
    return Response(text, kind.status, problem.headers, content_type=CONTENT_TYPE)


def install(blueprint: Blueprint) -> None:
    """Answer every error of this blueprint's views as a problem."""
    for status in default_exceptions:
        blueprint.register_error_handler(status, _of_http)
    blueprint.register_error_handler(Problem, answer)
    blueprint.register_error_handler(Invalid, _of_form)
    blueprint.register_error_handler(WrongFilter, _of_filter)
    blueprint.register_error_handler(CannotDo, _of_broadcast)
    blueprint.register_error_handler(WrongJourney, _of_journey)
    blueprint.register_error_handler(desk.CannotDo, _of_journey_desk)
    blueprint.register_error_handler(WeComError, _of_wecom)
    blueprint.register_error_handler(SQLAlchemyError, _of_storage)
    blueprint.register_error_handler(Exception, _unexpected)


def of_http(error: HTTPException) -> Response:
    """What Flask itself refuses, such as an unknown address or a wrong method, as a problem."""
    kind = BY_STATUS.get(error.code or 500, BAD_REQUEST if (error.code or 500) < 500 else INTERNAL)
    allow = getattr(error, "valid_methods", None)
    headers = {"Allow": ", ".join(sorted(allow))} if allow else {}
    return answer(Problem(kind, headers=headers))


def _of_http(error: Exception) -> Response:
    return of_http(error) if isinstance(error, HTTPException) else _unexpected(error)


def _of_form(error: Invalid) -> Response:
    """What a channel must fulfil beyond its shape; the form's fields are named like the API's."""
    return answer(invalid((_LOCS.get(name, ("body", *_place(name))), words) for name, words in error.problems))


def _of_broadcast(error: CannotDo) -> Response:
    """What a broadcast cannot be or do, each at the field that is at fault."""
    return answer(invalid((("body", *_place(place)), words) for place, words in error.problems))


def _place(place: str) -> Loc:
    """``attachments-0`` is the first of the attachments."""
    name, _dash, number = place.partition("-")
    field = {"segment": "segment_id"}.get(name, name)
    return (field, int(number)) if number else (field,) if field else ()


def _of_filter(error: WrongFilter) -> Response:
    """What is wrong with a segment, each at its place in the tree."""
    return answer(invalid((("body", *place), words) for place, words in error.faults))


def _of_journey(error: WrongJourney) -> Response:
    """What is wrong with a journey, each at its place in the definition."""
    return answer(invalid((("body", "definition", *place), words) for place, words in error.faults))


def _of_journey_desk(error: desk.CannotDo) -> Response:
    """What a journey cannot do as it stands."""
    return answer(Problem(CONFLICT, error.words))


_LOCS: Mapping[str, Loc] = {"attachments": ("body", "welcome", "attachments"), "welcome": ("body", "welcome", "text")}


def _of_wecom(error: WeComError) -> Response:
    return answer(of_wecom(error))


def of_wecom(error: WeComError, more: Mapping[str, object] | None = None) -> Problem:
    """What WeCom's trouble means for the caller."""
    if isinstance(error, TryLater):
        wait = max(1, int(error.wait.total_seconds())) if error.wait else SECONDS_TO_WAIT
        headers = {"Retry-After": str(wait)}
        errcode = getattr(error, "errcode", None)
        words = f"{explain(errcode)} ({errcode})" if errcode is not None else "WeCom cannot be reached"
        return Problem(UNAVAILABLE, words, headers=headers, more=more)
    if isinstance(error, Refused):
        words = f"{explain(error.errcode)} ({error.errcode})"
        return Problem(REFUSED, words, more={"errcode": error.errcode, **(more or {})})
    if isinstance(error, Unclear | Answered):
        return Problem(UNCLEAR, more=more)
    log.error("an error of WeCom that has no answer", exc_info=error)
    return Problem(INTERNAL, more=more)


def _of_storage(error: SQLAlchemyError) -> Response:
    if not is_away(error):
        return _unexpected(error)
    log.warning("storage is busy or away: %s", type(error).__name__)
    return answer(Problem(UNAVAILABLE, "storage is busy", headers={"Retry-After": "1"}))


def _unexpected(error: Exception) -> Response:
    log.error("an API request failed", exc_info=error)
    return answer(Problem(INTERNAL))

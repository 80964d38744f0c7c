"""How one operation runs: who calls, what is asked, the view, the answer, kept where an Idempotency-Key wants it.

Order of the checks: key (401), rate (429), scope (403), content type (415), size (413), JSON (400), fields (422), then
the Idempotency-Key (409), then the view.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, request
from pydantic import BaseModel

from api import here, keys, reading
from api.problems import BAD_REQUEST, IN_PROGRESS, KEY_REUSED, Kind, Problem
from api.shapes import Asked, Query, Shape
from people import api_keys
from storage import answers, audit
from storage.answers import Claim, Kept
from storage.database import transaction
from storage.tables import ApiKey
from storage.work import Work

MAX_KEY = 255


@dataclass(frozen=True)
class Reply:
    """An answer. ``kept`` once it is stored for its Idempotency-Key."""

    status: int
    shape: Shape | None = None
    kept: bool = False

    @property
    def text(self) -> str:
        """The body."""
        return "" if self.shape is None else self.shape.model_dump_json(by_alias=True)


@dataclass(frozen=True)
class Operation:
    """One thing the API can do; the table of them all is ``api.table``."""

    method: str
    path: str
    view: Callable[..., Reply]
    subject: str
    verb: str
    summary: str
    answer: type[Shape] | None
    status: int = 200
    again: int | None = None
    """The status when there was nothing left to do."""
    query: type[Query] | None = None
    body: type[Asked] | None = None
    creates: bool = False
    """Whether it takes an Idempotency-Key."""
    problems: tuple[Kind, ...] = ()
    """What can go wrong beyond what can go wrong everywhere."""

    @property
    def name(self) -> str:
        """Its name in programs, such as ``list_customers``."""
        return self.view.__name__


@dataclass(frozen=True)
class Call:
    """One request of one key, in the hands of a view."""

    key: ApiKey
    claim: Claim | None = None

    @property
    def actor(self) -> str:
        """How the key is named in the audit and beside what it made."""
        return f"key:{self.key.name}"

    def may(self, subject: str, verb: str) -> bool:
        """Whether the key has this scope too: for what goes beyond the scope of the operation."""
        return api_keys.allows(self.key.scopes, subject, verb)

    @contextmanager
    def work(self) -> Iterator[Work]:
        """One piece of work, kept as a whole or not at all; afterwards the workers are woken if a call now waits."""
        with transaction(here.engine()) as db:
            work = here.start_work(db)
            yield work
        if work.lanes:
            here.bell().ring()

    def note(self, work: Work, action: str, subject: str, details: Mapping[str, Any] | None = None) -> None:
        """Add the audit line, within the work it tells about."""
        audit.note(
            work.db,
            actor=self.actor,
            action=action,
            subject=subject,
            details=details,
            address=here.address(),
            at=work.now,
        )

    def begun(self, work: Work, what: str) -> None:
        """Note what this request has begun, so that a repetition completes it."""
        if self.claim is not None:
            answers.note(work.db, self.claim, what)

    def keep(self, work: Work, reply: Reply) -> Reply:
        """Keep the answer together with its effects: after a crash there are both or neither."""
        if self.claim is None:
            return reply
        answers.keep(work.db, self.claim, reply.status, reply.text)
        return replace(reply, kept=True)


def run(operation: Operation, values: Mapping[str, Any]) -> Response:
    """Answer one request. Raises ``Problem`` and whatever ``api.problems`` answers."""
    key = keys.admit(operation.subject, operation.verb)
    asked: dict[str, BaseModel | str] = {**reading.path_values(values)}
    if operation.query is not None:
        asked["query"] = reading.query(operation.query)
    else:
        reading.query(Query)
    body = reading.body(operation.body) if operation.body is not None else None
    if body is not None:
        asked["body"] = body
    once = request.headers.get("Idempotency-Key") if operation.creates else None
    if once is None:
        return _response(operation.view(Call(key), **asked))
    return _once(operation, key, _checked(once), asked, body)


def _checked(once: str) -> str:
    if not 0 < len(once) <= MAX_KEY or not once.isascii() or not once.isprintable():
        raise Problem(BAD_REQUEST, f"Idempotency-Key: 1 to {MAX_KEY} printable ASCII characters")
    return once


def _once(operation: Operation, key: ApiKey, once: str, asked: Mapping[str, Any], body: BaseModel | None) -> Response:
    """Run it once for this Idempotency-Key, or give the first answer again."""
    held = _claim(key, once, reading.digest(body))
    if isinstance(held, Kept):
        return _json(held.status, held.body, {"Idempotency-Replayed": "true"})
    try:
        reply = operation.view(Call(key, held), **asked)
        if not reply.kept:
            with transaction(here.engine()) as db:
                answers.keep(db, held, reply.status, reply.text)
    except answers.StillRunning:
        raise _in_progress() from None
    except Exception:
        with transaction(here.engine()) as db:
            answers.release(db, held)
        raise
    return _response(reply)


def _claim(key: ApiKey, once: str, digest: str) -> Claim | Kept:
    try:
        with transaction(here.engine()) as db:
            return answers.claim(db, key.id, once, digest, here.now())
    except answers.OtherRequest:
        raise Problem(KEY_REUSED) from None
    except answers.StillRunning:
        raise _in_progress() from None


def _in_progress() -> Problem:
    return Problem(IN_PROGRESS, headers={"Retry-After": "1"})


def _response(reply: Reply) -> Response:
    return _json(reply.status, reply.text)


def _json(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    response = Response(text, status, dict(headers or {}), content_type="application/json")
    if not text:
        response.headers.pop("Content-Type", None)
    return response

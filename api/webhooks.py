"""Webhooks: which addresses are told what happens here, and what became of each message."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api import here, paging
from api.operations import Call, Reply
from api.problems import invalid, not_found
from api.shapes import Asked, Line, Loose, Paged, Shape, example
from outreach import webhook_bodies, webhooks
from outreach.webhooks import EVENTS, CannotBe
from scheduler import calling
from storage.database import reading
from storage.tables import Webhook, WebhookMessage
from storage.work import Work

PREFIX, MESSAGE = "w_", "msg_"


class WebhookAsked(Asked):
    """An address to be told."""

    model_config = example({"url": "https://erp.example.com/hooks/scrm", "events": ["order.created", "points.changed"]})
    url: Annotated[Line, Field(min_length=1, max_length=calling.LONGEST, description="https, outside our network.")]
    events: Annotated[tuple[Annotated[Line, Field(max_length=40)], ...], Field(min_length=1, max_length=len(EVENTS))]


class WebhookShape(Shape):
    """An address that is told."""

    id: str
    url: str
    events: list[str]
    state: Literal["on", "off"]
    why: str = Field(description="Why it was turned off; empty: by hand.")
    waiting: int = Field(description="Messages that are still to be taken.")
    last_taken_at: datetime | None
    created_at: datetime
    secret: str | None = Field(default=None, description="Only in the first answer, never again.")


class WebhookList(Shape):
    """All of them, the newest first."""

    items: list[WebhookShape]
    next_cursor: str | None = None


class SecretShape(Shape):
    """A new secret. For 24 hours messages are signed with the one before, too."""

    secret: str = Field(description="Only in this answer, never again.")


class MessageShape(Shape):
    """A message: what it says, and what became of it."""

    id: str = Field(description="As in `webhook-id`.")
    event: str
    subject: str = Field(description="Whom it is about: what concerns one is told in order.")
    state: str = Field(description="waiting, done, given_up, or dropped (nothing to tell any more).")
    tries: int
    tried_at: datetime | None
    next_try_at: datetime | None
    outcome: str
    body: Loose | None = Field(description="Null when there is nothing to tell any more.")


class MessagePage(Shape):
    """One page, the newest first."""

    items: list[MessageShape]
    next_cursor: str | None


class MessagesQuery(Paged):
    """Which messages."""

    state: Literal["waiting", "done", "given_up", "dropped"] | None = None


def make_webhook(call: Call, body: WebhookAsked) -> Reply:
    """Tell an address what happens from now on.

    Messages are signed as Standard Webhooks (v1) with the secret that this answer shows once. What can be told, and
    what it says, stands under Webhooks in this document.
    """
    _look(body.url)
    with call.work() as work:
        try:
            row, plain = webhooks.make(work, here.cipher(), body.url, body.events, call.actor)
        except CannotBe as error:
            raise invalid([(("body", error.field), error.words)]) from None
        call.note(work, "webhook.create", _name(row), {"host": calling.shown(row.url), "events": row.events})
        shape = _shape(row, 0)
        kept = call.keep(work, Reply(201, shape))
    return Reply(201, shape.model_copy(update={"secret": plain}), kept=kept.kept)


def _look(url: str) -> None:
    """Refuse an address that is not one, or leads inside, before anything is kept."""
    try:
        if not here.private_networks() and not url.startswith("https://"):
            raise calling.NotThere(calling.HTTPS_ONLY)
        calling.look_up(url, private=here.private_networks())
    except calling.NotThere as why:
        raise invalid([(("body", "url"), str(why))]) from None


def list_webhooks(call: Call) -> Reply:
    """List the addresses that are told."""
    with reading(here.engine()) as db:
        waiting = webhooks.waiting(db)
        found = [_shape(one, waiting.get(one.id, 0)) for one in webhooks.listed(db)]
    return Reply(200, WebhookList(items=found))


def get_webhook(call: Call, webhook_id: str) -> Reply:
    """Show an address that is told."""
    with reading(here.engine()) as db:
        row = db.get(Webhook, _number(webhook_id)) or _none()
        return Reply(200, _shape(row, webhooks.waiting(db).get(row.id, 0)))


def delete_webhook(call: Call, webhook_id: str) -> Reply:
    """Tell an address nothing more and forget what was to be told to it."""
    with call.work() as work:
        row = _held(work, webhook_id)
        call.note(work, "webhook.delete", _name(row), {"host": calling.shown(row.url)})
        webhooks.remove(work, row)
    return Reply(204)


def enable_webhook(call: Call, webhook_id: str) -> Reply:
    """Tell an address again that was turned off: what still waits first."""
    with call.work() as work:
        row = _held(work, webhook_id)
        webhooks.turn_on(work, row)
        call.note(work, "webhook.enable", _name(row))
        return Reply(200, _shape(row, webhooks.waiting(work.db).get(row.id, 0)))


def change_webhook_secret(call: Call, webhook_id: str) -> Reply:
    """Give a webhook a new secret, shown once. The one before stays good for 24 hours."""
    with call.work() as work:
        row = _held(work, webhook_id)
        plain = webhooks.change_secret(work, here.cipher(), row)
        call.note(work, "webhook.secret", _name(row))
    return Reply(200, SecretShape(secret=plain))


def list_webhook_messages(call: Call, webhook_id: str, query: MessagesQuery) -> Reply:
    """List what an address was or is to be told, and what became of it; settled ones are kept for 30 days."""
    place = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        row = db.get(Webhook, _number(webhook_id)) or _none()
        before = place[0] if place else None
        found, following = webhooks.messages(db, row.id, query.state or "", limit=query.limit, before=before)
        shapes = [_message(one, webhook_bodies.body(db, one, here.zone())) for one in found]
    return Reply(200, MessagePage(items=shapes, next_cursor=paging.encode(following) if following else None))


def replay_webhook_message(call: Call, webhook_id: str, message_id: str) -> Reply:
    """Send a message again, under the same id."""
    with call.work() as work:
        row = _held(work, webhook_id)
        message = webhooks.replay(work, row.id, _number(message_id.rpartition("_")[2], prefix=""))
        if message is None or message_id != _message_name(message):
            raise not_found("message that could be sent again")
        call.note(work, "webhook.replay", _name(row), {"message": message_id})
        return Reply(200, _message(message, webhook_bodies.body(work.db, message, here.zone())))


def _held(work: Work, webhook_id: str) -> Webhook:
    return webhooks.held(work, _number(webhook_id)) or _none()


def _none() -> Any:
    raise not_found("webhook")


def _number(name: str, prefix: str = PREFIX) -> int:
    """The number in a name; 0, which nothing has, for what is no name of ours."""
    digits = name.removeprefix(prefix)
    return (
        int(digits) if name.startswith(prefix) and digits.isascii() and digits.isdecimal() and len(digits) < 16 else 0
    )


def _name(row: Webhook) -> str:
    return f"{PREFIX}{row.id}"


def _message_name(one: WebhookMessage) -> str:
    return f"{MESSAGE}{one.webhook_id}_{one.id}"


def _shape(row: Webhook, waiting: int) -> WebhookShape:
    return WebhookShape(
        id=_name(row),
        url=row.url,
        events=row.events,
        state="on" if row.state == webhooks.ON else "off",
        why=row.why,
        waiting=waiting,
        last_taken_at=here.local(row.taken_at) if row.taken_at else None,
        created_at=here.local(row.made_at),
    )


def _message(one: WebhookMessage, body: Mapping[str, Any] | None) -> MessageShape:
    waits = one.state == webhooks.WAITING
    return MessageShape(
        id=_message_name(one),
        event=one.event,
        subject=one.subject,
        state=one.state,
        tries=one.tries,
        tried_at=here.local(one.tried_at) if one.tried_at else None,
        next_try_at=here.local(one.due_at) if waits and one.due_at else None,
        outcome=one.outcome,
        body=dict(body) if body is not None else None,
    )


def described() -> dict[str, Any]:
    """The ``webhooks`` part of the OpenAPI document: every event with an example."""
    return {name: {"post": _described(name)} for name in EVENTS}


def _described(name: str) -> dict[str, Any]:
    event = EVENTS[name]
    body = {"type": name, "timestamp": "2026-11-22T18:00:00+08:00", "data": dict(event.example)}
    time = {"type": "string", "format": "date-time"}
    parts = {"type": {"const": name}, "timestamp": time, "data": {"type": "object"}}
    schema = {"type": "object", "required": list(parts), "properties": parts}
    headers = [
        {"name": one, "in": "header", "required": True, "description": words, "schema": {"type": "string"}}
        for one, words in HEADERS.items()
    ]
    return {
        "operationId": f"told_{name.replace('.', '_')}",
        "tags": ["webhooks"],
        "summary": event.about,
        "security": [],
        "parameters": headers,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": body}}},
        "responses": {"2XX": {"description": "Taken. Anything else, or none within 15 s: it comes again."}},
    }


HEADERS: Mapping[str, str] = {
    "webhook-id": "The message; a repetition has the same.",
    "webhook-timestamp": "When this try was sent, in seconds since 1970; refuse what is older than 5 minutes.",
    "webhook-signature": "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; two for a day after a change.",
}

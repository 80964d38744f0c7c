"""The OpenAPI document, written from the table of operations and the models they use; built once, when first read."""

import json
import re
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import webhooks
from api.operations import Operation
from api.problems import (
    BAD_METHOD,
    BAD_REQUEST,
    BAD_TYPE,
    CONTENT_TYPE,
    IN_PROGRESS,
    INTERNAL,
    INVALID,
    KEY_REUSED,
    MALFORMED,
    NO_KEY,
    NO_SCOPE,
    NOT_FOUND,
    TOO_LARGE,
    TOO_MANY,
    UNAVAILABLE,
    Kind,
)
from api.rate import PER_MINUTE
from api.shapes import ProblemShape
from api.table import OPERATIONS

EVERYWHERE = (NO_KEY, NO_SCOPE, BAD_METHOD, INVALID, TOO_MANY, INTERNAL, UNAVAILABLE)
WITH_BODY = (MALFORMED, TOO_LARGE, BAD_TYPE)
WITH_ONCE = (BAD_REQUEST, KEY_REUSED, IN_PROGRESS)
REF = "#/components/schemas/{model}"
PATH_VALUES = {
    "customer_id": ("The person's id or an `external_userid`.", "p_17"),
    "tag_id": ("The tag's id.", "t_5"),
    "code": ("The channel's code.", "c7QkWmZ3xYbA"),
    "rule_id": ("The rule's id.", "r_3"),
    "segment_id": ("The segment's id.", "s_3"),
    "material_id": ("The material's id.", "m_5"),
    "broadcast_id": ("The broadcast's id.", "b_3"),
    "journey_id": ("The journey's id.", "j_3"),
    "approval_id": ("The approval's id.", "a_7"),
    "webhook_id": ("The webhook's id.", "w_3"),
    "message_id": ("The message's id.", "msg_3_17"),
    "hold_id": ("The hold's id.", "h_878398122012345"),
    "redemption_id": ("The id of a redemption of a reward.", "rd_17"),
    "gift_id": ("The gift's id.", "g_3"),
    "group_id": ("The group's id.", "gb_3"),
}
ABOUT = f"""\
Customers, channel codes, tags, segments, the library, broadcasts and journeys of a shop on WeCom.

**Keys.** Send `Authorization: Bearer KEY`. A key is made in the console or by `scrm key create NAME --scope SCOPE` \
and shown once. Scopes: `all`, a subject (`customers`, `channels`, `tags`, `segments`, `materials`, `broadcasts`, \
`journeys`, `reports`, `orders`, `points`, `events`, `webhooks`), or one half of it (`customers:read`, \
`channels:write`). Cookies never count.

**Errors** are problem documents (RFC 9457). Programs look at `type`; each is explained at its own address, all at \
[/api/v1/problems](/api/v1/problems).

**Repeating safely.** POSTs that create take `Idempotency-Key`: the same key with the same body gives the first answer \
again (for 48 hours, with `Idempotency-Replayed: true`), with another body 409. Only what succeeded is kept; a request \
that failed leaves its key free.

**Lists** come in pages: `limit` (50, at most 500) and `cursor`. `next_cursor` is null at the end.

**Rate.** {PER_MINUTE} requests a minute for each key (and web process); then 429 with `Retry-After`.

**Times** are ISO 8601 with the shop's offset. Unknown fields and parameters are refused with 422.

**Webhooks** tell your systems what happens here; each event stands under Webhooks below. A system that pushes its \
orders signs them (Standard Webhooks) instead of using a key: `POST /api/v1/inbound/NAME`, made in the console under \
设置 → 外部系统.

**Not yet:** `insight` of a customer appears when it exists.
"""


@cache
def text() -> str:
    """The document as JSON. What is a shape to us is simply the thing to others."""
    return re.sub(r'"((?:#/components/schemas/)?[A-Z]\w+)Shape"', r'"\1"', json.dumps(_document(), ensure_ascii=False))


def _document() -> dict[str, Any]:
    schemas, definitions = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "wecom-scrm", "version": version("wecom-scrm"), "description": ABOUT},
        "servers": [{"url": "/api/v1"}],
        "security": [{"key": []}],
        "tags": [{"name": one} for one in dict.fromkeys(operation.subject for operation in OPERATIONS)],
        "paths": paths,
        "webhooks": webhooks.described(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
            "schemas": definitions,
        },
    }


def _schemas() -> tuple[dict[type[BaseModel], dict[str, Any]], dict[str, Any]]:
    """The schema of every model: of requests as we read them, of answers as we write them."""
    asked = [one.body for one in OPERATIONS if one.body]
    given = [one.answer for one in OPERATIONS if one.answer]
    wanted: list[tuple[type[BaseModel], Any]] = [(one, "validation") for one in dict.fromkeys(asked)]
    wanted += [(one, "serialization") for one in dict.fromkeys(given)] + [(ProblemShape, "serialization")]
    found, definitions = models_json_schema(wanted, ref_template=REF)
    return {model: found[(model, mode)] for model, mode in wanted}, definitions["$defs"]


def _operation(operation: Operation, schemas: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.subject],
        "summary": operation.summary,
        "description": f"{_words(operation)}\n\nScope: `{operation.subject}:{operation.verb}`.",
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
    }
    if operation.body is not None:
        content = {"application/json": {"schema": schemas[operation.body]}}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _words(operation: Operation) -> str:
    lines = (operation.view.__doc__ or "").strip().splitlines()
    return "\n".join(line.strip() for line in lines)


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found = [_in_path(name) for name in re.findall(r"{(\w+)}", operation.path)]
    if operation.query is not None:
        schema = operation.query.model_json_schema()
        found += [_in_query(name, one, schema) for name, one in schema.get("properties", {}).items()]
    if operation.creates:
        words = "Any text of your own for this one request; a repeated request gives the first answer again."
        text_of = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        found.append({"name": "Idempotency-Key", "in": "header", "description": words, "schema": text_of})
    return found


def _in_path(name: str) -> dict[str, Any]:
    words, example = PATH_VALUES[name]
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"name": name, "in": "path", "required": True, "description": words, "schema": schema, "example": example}


def _in_query(name: str, schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out cannot be null: there is no null in an address."""
    choices = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    plain = {key: value for key, value in schema.items() if key not in ("anyOf", "title", "default")}
    plain |= choices[0] if choices else {}
    if schema.get("default") is not None and schema["default"] != []:
        plain["default"] = schema["default"]
    words = plain.pop("description", None)
    told = {"name": name, "in": "query", "required": name in whole.get("required", []), "schema": plain}
    return told | ({"description": words} if words else {})


def _responses(operation: Operation, schemas: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {str(operation.status): _success(operation, schemas, "Done.")}
    if operation.again is not None:
        words = (
            "It waits for somebody else's word." if operation.again == 202 else "It was so already; nothing changed."
        )
        found[str(operation.again)] = _success(operation, schemas, words)
    by_status: dict[int, list[Kind]] = {}
    for kind in _problems(operation):
        by_status.setdefault(kind.status, []).append(kind)
    for status, kinds in sorted(by_status.items()):
        found[str(status)] = _problem(kinds, schemas)
    return found


def _success(operation: Operation, schemas: dict[type[BaseModel], dict[str, Any]], words: str) -> dict[str, Any]:
    if operation.answer is None:
        return {"description": words}
    return {"description": words, "content": {"application/json": {"schema": schemas[operation.answer]}}}


def _problems(operation: Operation) -> list[Kind]:
    return [
        *EVERYWHERE,
        *((NOT_FOUND,) if "{" in operation.path or operation.name == "find_customer" else ()),
        *(WITH_BODY if operation.body else ()),
        *(WITH_ONCE if operation.creates else ()),
        *operation.problems,
    ]


def _problem(kinds: list[Kind], schemas: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    words = "\n\n".join(f"`{kind.name}`: {kind.title}. {kind.meaning}" for kind in kinds)
    told: dict[str, Any] = {"description": words, "content": {CONTENT_TYPE: {"schema": schemas[ProblemShape]}}}
    if any(kind.status in (429, 503) or kind is IN_PROGRESS for kind in kinds):
        told["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return told

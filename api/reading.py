"""Reads a request into its models, or says everything that is wrong with it at once."""

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError

from api.problems import BAD_TYPE, MALFORMED, NOT_FOUND, Loc, Problem, invalid
from api.shapes import Asked, Query

Q = TypeVar("Q", bound=Query)
A = TypeVar("A", bound=Asked)
MAX_BODY = 1024 * 1024
MAX_PATH_VALUE = 200


def path_values(values: Mapping[str, Any]) -> dict[str, str]:
    """The variable parts of the address; one that cannot name anything names nothing."""
    found = {name: str(value) for name, value in values.items()}
    for value in found.values():
        if len(value) > MAX_PATH_VALUE or not value.isprintable():
            raise Problem(NOT_FOUND)
    return found


def query(model: type[Q]) -> Q:
    """What stands behind the question mark. A name given twice counts only where a list is meant."""
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        field = model.model_fields.get(name)
        plural = field is not None and "tuple" in str(field.annotation)
        given[name] = values if plural or len(values) > 1 else values[0]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _invalid("query", error) from None


def body(model: type[A]) -> A:
    """The JSON in the body."""
    data = request.get_data()
    if request.mimetype != "application/json":
        raise Problem(BAD_TYPE)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False, include_context=False)[0]["type"] == "json_invalid":
            raise Problem(MALFORMED) from None
        raise _invalid("body", error) from None


def digest(asked: BaseModel | None) -> str:
    """What makes a request the same request: method, address and what the body says, not how it is written."""
    text = asked.model_dump_json(exclude_unset=True, by_alias=True) if asked is not None else ""
    return hashlib.sha256(f"{request.method} {request.path}\n{text}".encode()).hexdigest()


def _invalid(where: str, error: ValidationError) -> Problem:
    faults: list[tuple[Loc, str]] = [
        ((where, *one["loc"]), one["msg"])
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return invalid(faults)

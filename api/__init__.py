"""The open API below ``/api/v1``: thin doors to what the console does too. ``api.table`` lists all it can do."""

from functools import partial

from flask import Blueprint, Flask, Response, request

from api import docs, inbound, operations, problems
from api.rate import Rate
from api.reading import MAX_BODY
from api.table import OPERATIONS

PREFIX = "/api/v1"


def register(app: Flask) -> None:
    """Add the open API to the application."""
    app.extensions["api_rate"] = Rate()
    app.register_blueprint(_blueprint())
    app.register_blueprint(docs.blueprint())
    app.before_request(_no_such_address)


def _blueprint() -> Blueprint:
    api = Blueprint("api", __name__, url_prefix=PREFIX)
    problems.install(api)
    api.before_request(_small_bodies)
    for operation in OPERATIONS:
        view = partial(_run, operation)
        rule = operation.path.replace("{", "<").replace("}", ">")
        api.add_url_rule(rule, operation.name, view, methods=[operation.method])
    api.add_url_rule("/inbound/<name>", "receive", inbound.receive, methods=["POST"])
    return api


def _run(operation: operations.Operation, **values: str) -> Response:
    return operations.run(operation, values)


def _small_bodies() -> None:
    """What is larger is refused before it is read."""
    request.max_content_length = MAX_BODY


def _no_such_address() -> Response | None:
    """Below our address every error is a problem document, also for an address or a method that is not there."""
    below = request.path == PREFIX or request.path.startswith(f"{PREFIX}/")
    return problems.of_http(request.routing_exception) if below and request.routing_exception else None

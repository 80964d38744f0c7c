"""The pages about the API: its OpenAPI document, a page to read and try it, and what each kind of problem means.

They hold no data and need no key. The page runs Swagger UI from files of our own machine, under the content
policy of the whole house: no inline script or style, nothing from elsewhere.
"""

import importlib.util
import json
from pathlib import Path

from flask import Blueprint, Response, send_from_directory

from api import problems
from api.problems import KINDS, NOT_FOUND, Problem

HERE = Path(__file__).parent / "static"


def blueprint() -> Blueprint:
    """The pages. Called ``api_docs``, so that its files are kept by browsers like the console's."""
    docs = Blueprint("api_docs", __name__, url_prefix="/api/v1", static_folder=_swagger(), static_url_path="/docs/ui")
    problems.install(docs)
    docs.add_url_rule("/openapi.json", "document", document)
    docs.add_url_rule("/docs", "page", page)
    docs.add_url_rule("/docs/<any('docs.js', 'docs.css'):name>", "own", own)
    docs.add_url_rule("/problems", "kinds", kinds)
    docs.add_url_rule("/problems/<name>", "kind", kind)
    return docs


def _swagger() -> str:
    """Where Swagger UI lies; found without importing what it brings along."""
    spec = importlib.util.find_spec("flask_openapi3_swagger")
    (folder, *_) = (spec.submodule_search_locations if spec else None) or [""]
    return str(Path(folder) / "templates" / "swagger")


def document() -> Response:
    """The OpenAPI document, built when first asked for."""
    from api.document import text  # nothing of it is needed until somebody reads it

    return Response(text(), content_type="application/json")


def page() -> Response:
    """A page to read the API and to try it."""
    return send_from_directory(HERE, "docs.html", mimetype="text/html")


def own(name: str) -> Response:
    """Our own script and style of that page."""
    return send_from_directory(HERE, name)


def kinds() -> Response:
    """Every kind of problem."""
    return _json({"items": [_told(one) for one in KINDS]})


def kind(name: str) -> Response:
    """What one kind of problem means: the ``type`` of a problem leads here."""
    found = next((one for one in KINDS if one.name == name), None)
    if found is None:
        raise Problem(NOT_FOUND)
    return _json(_told(found))


def _told(one: problems.Kind) -> dict[str, str | int]:
    return {"type": one.type, "title": one.title, "status": one.status, "meaning": one.meaning}


def _json(content: object) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), content_type="application/json")

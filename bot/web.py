"""The web application: callback, console, open API and the health pages, put together from the parts."""

import logging
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

import api
import console
from bot import callback, health
from bot.assembly import Parts

log = logging.getLogger(__name__)

MAX_UPLOAD = 12 * 1024 * 1024
"""The largest thing anybody may send us: a picture of 10 MB and its form."""


def create_app(parts: Parts) -> Flask:
    """Build the application around the parts. Does nothing at import."""
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SECRET_KEY=parts.settings.web.secret_key.get_secret_value(),
        MAX_CONTENT_LENGTH=MAX_UPLOAD,
        MAX_FORM_MEMORY_SIZE=1024 * 1024,
    )
    app.extensions.update(_looked_up_in_views(parts))
    app.register_blueprint(callback.callback)
    app.register_blueprint(health.health)
    app.before_request(_small_bodies_at_the_door)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    console.register(app)
    api.register(app)
    return app


def _looked_up_in_views(parts: Parts) -> dict[str, Any]:
    """What views of every blueprint find in ``app.extensions``, by name."""
    wecom = parts.settings.wecom
    return {
        "parts": parts,
        "envelopes": parts.envelopes(),
        "engine": parts.engine,
        "gateway": parts.gateway,
        "clock": parts.clock,
        "zone": parts.zone,
        "watch": wecom.watch,
        "bell": parts.bell,
        "base_url": parts.settings.web.base_url,
        "corp_id": wecom.corp_id,
        "agent_id": wecom.agent_id,
        "oauth_base": wecom.oauth_base,
        "login_base": wecom.login_base,
    }


def _small_bodies_at_the_door() -> None:
    """A callback is small: whoever sends more is cut off before it is read."""
    if request.blueprint == "callback":
        request.max_content_length = callback.MAX_BODY


def _too_large(error: HTTPException) -> tuple[str, int, dict[str, Any]]:
    return "too large", 413, {"Content-Type": "text/plain; charset=utf-8"}

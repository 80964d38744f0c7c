"""The web application: callback, console, open API and the health pages, put together from the parts."""

import logging
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import api
import console
from bot import callback, health
from bot.assembly import Parts
from console import headers

log = logging.getLogger(__name__)

MAX_UPLOAD = 22 * 1024 * 1024
"""The largest thing anybody may send us: a file of 20 MB and its form."""


def create_app(parts: Parts) -> Flask:
    """Build the application around the parts. Does nothing at import.

    The callback is an application of its own below ``/wecom``: it needs nothing of what the console does before and
    after each of its pages (language, headers, forms), and the console's faults are not the callback's.
    """
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SECRET_KEY=parts.settings.web.secret_key.get_secret_value(),
        MAX_CONTENT_LENGTH=MAX_UPLOAD,
        MAX_FORM_MEMORY_SIZE=1024 * 1024,
    )
    app.extensions.update(_looked_up_in_views(parts))
    app.register_blueprint(health.health)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    console.register(app)
    api.register(app)
    app.extensions["door"] = door = create_door(parts)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {callback.BELOW: door})  # type: ignore[method-assign]
    return app


def create_door(parts: Parts) -> Flask:
    """The callback alone, under the headers that every answer of the house carries."""
    return callback.create_door(parts, headers.always(parts.settings.wecom.oauth_base, parts.settings.web.base_url))


def _looked_up_in_views(parts: Parts) -> dict[str, Any]:
    """What views of every blueprint find in ``app.extensions``, by name."""
    wecom = parts.settings.wecom
    return {
        "parts": parts,
        "engine": parts.engine,
        "gateway": parts.gateway,
        "mp": parts.mp,
        "shop_name": parts.settings.web.shop_name,
        "clock": parts.clock,
        "zone": parts.zone,
        "watch": wecom.watch,
        "rules": parts.rules,
        "notice": parts.settings.privacy.notice,
        "pending_days": parts.settings.points.pending_days,
        "home": parts.settings.web.home,
        "intake": parts.intake,
        "bell": parts.bell,
        "cipher": parts.cipher,
        "private_networks": parts.settings.webhooks.private_networks,
        "base_url": parts.settings.web.base_url,
        "corp_id": wecom.corp_id,
        "agent_id": wecom.agent_id,
        "oauth_base": wecom.oauth_base,
        "login_base": wecom.login_base,
        "sandbox": wecom.sandbox,
    }


def _too_large(error: HTTPException) -> tuple[str, int, dict[str, Any]]:
    return "too large", 413, {"Content-Type": "text/plain; charset=utf-8"}

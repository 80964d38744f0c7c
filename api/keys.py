"""Who calls: an API key in the Authorization header, and nothing else. A cookie never opens this door."""

import logging
from datetime import timedelta
from typing import cast

from flask import current_app, request
from sqlalchemy import or_, update
from sqlalchemy.exc import OperationalError

from api import here
from api.problems import NO_KEY, NO_SCOPE, TOO_MANY, Problem
from api.rate import Rate
from people import api_keys
from storage.database import reading, transaction
from storage.tables import ApiKey

log = logging.getLogger(__name__)

NOTED_EVERY = timedelta(minutes=1)
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="wecom-scrm"'}


def admit(subject: str, verb: str) -> ApiKey:
    """The key that calls, if it lives, has not asked too often and has the scope. Raises ``Problem``."""
    key = _known_key()
    wait = cast(Rate, current_app.extensions["api_rate"]).wait(key.id, here.now())
    if wait:
        words = f"this key may ask {cast(Rate, current_app.extensions['api_rate']).per_minute} times a minute"
        raise Problem(TOO_MANY, words, headers={"Retry-After": str(wait)})
    if not api_keys.allows(key.scopes, subject, verb):
        raise Problem(NO_SCOPE, f"this needs the scope {subject}:{verb}")
    return key


def _known_key() -> ApiKey:
    scheme, _, plain = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Problem(NO_KEY, headers=CHALLENGE)
    with reading(here.engine()) as db:
        key = api_keys.find(db, plain.strip(), here.now())
    if key is None:
        raise Problem(NO_KEY, headers=CHALLENGE)
    _note_use(key)
    return key


def _note_use(key: ApiKey) -> None:
    """Remember when the key was last used, to the minute: a request that only reads should not wait for a writer."""
    before = here.now() - NOTED_EVERY
    if key.last_used_at is not None and key.last_used_at > before:
        return
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= before)
    try:
        with transaction(here.engine()) as db:
            db.execute(update(ApiKey).where(ApiKey.id == key.id, stale).values(last_used_at=here.now()))
    except OperationalError:
        log.info("could not note the use of API key %d just now", key.id)

"""Cursors: where the next page begins, signed so that only ours are followed, and only in the list they came from."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeSerializer

from api.problems import BAD_CURSOR, Problem

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(*place: int) -> str:
    """The cursor for a place in the list that is being asked for."""
    return str(_signer().dumps(list(place)))


def decode(cursor: str | None, numbers: int = 1) -> Sequence[int] | None:
    """The place a cursor stands for; None for the first page. Raises ``Problem`` for a foreign one."""
    if not cursor:
        return None
    try:
        place = _signer().loads(cursor)
    except BadSignature:
        raise Problem(BAD_CURSOR) from None
    if not isinstance(place, list) or len(place) != numbers:
        raise Problem(BAD_CURSOR)
    return [int(one) for one in place]


def to_number(moment: datetime) -> int:
    """A moment as microseconds: exact, and the same on every database."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def to_moment(number: int) -> datetime:
    """The moment of a number."""
    return EPOCH + timedelta(microseconds=number)


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt=f"cursor:{request.endpoint}")

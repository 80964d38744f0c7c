"""A place in a list that is ordered by time, as it stands in the address of the next page."""

import re
from datetime import UTC, datetime, timedelta

from people.directory import Cursor

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def write_cursor(cursor: Cursor | None) -> str:
    """A place in a list as it stands in an address."""
    return f"{(cursor[0] - EPOCH) // MICROSECOND}-{cursor[1]}" if cursor else ""


def read_cursor(text: str | None) -> Cursor | None:
    """The place an address names; None for anything else."""
    found = re.fullmatch(r"(\d{1,17})-(\d{1,15})", text or "", re.ASCII)
    if found is None:
        return None
    try:
        return EPOCH + int(found[1]) * MICROSECOND, int(found[2])
    except OverflowError:
        return None

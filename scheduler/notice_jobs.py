"""The job that writes down who was told that points of theirs will die, so that these can."""

from typing import TYPE_CHECKING

from outreach import points_told
from storage.database import transaction

if TYPE_CHECKING:
    from scheduler.timetable import Hands


def note_notices(hands: "Hands") -> str:
    """Note what was sent and shown about points that die; until it is noted they live on."""
    lots, after = 0, 0
    more = True
    while more and not hands.stopping():
        with transaction(hands.engine) as db:
            count, following = points_told.note(hands.work(db, "note notices"), after)
        after, more = following or 0, following is not None
        lots += count
    return f"lots told of: {lots}"

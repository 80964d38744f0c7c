"""Which broadcasts somebody may see and which they decide about; what one is called on the pages about it."""

from collections.abc import Sequence
from typing import cast

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import here
from console.broadcast_words import RECURS, STATE_WORDS
from outreach import broadcasts
from outreach.budget import Rules
from storage.tables import Broadcast, Member

BEFORE = (broadcasts.DRAFT, broadcasts.ASKED)
"""States in which nothing has been planned yet."""
UNDER_WAY = (broadcasts.APPROVED, broadcasts.RUNNING)


def rules() -> Rules:
    """How often, and when, a customer may hear from us."""
    return cast(Rules, current_app.extensions["rules"])


def public_id(broadcast: Broadcast) -> str:
    """How the audit and the API name a broadcast."""
    return f"b_{broadcast.id}"


def known(db: Session, broadcast_id: int, *, lock: bool = False) -> Broadcast:
    """The broadcast, if whoever looks may know of it; else 404."""
    own = select(Broadcast).where(Broadcast.id == broadcast_id, broadcasts.seen_by(here.sight(db)))
    return db.scalars(own.with_for_update(of=Broadcast) if lock else own).one_or_none() or here.not_here()


def decides(db: Session, broadcast: Broadcast) -> bool:
    """Whether whoever looks may decide about it, rather than only see their reps' part."""
    sight = here.sight(db)
    return here.may("make_broadcasts") and (sight.everybody or broadcast.made_by in sight.userids)


def own(db: Session, broadcast_id: int, *, lock: bool = False) -> Broadcast:
    """The same, to be decided about; else 404."""
    found = known(db, broadcast_id, lock=lock)
    return found if decides(db, found) else here.not_here(public_id(found))


def state_of(broadcast: Broadcast) -> tuple[str, str]:
    """What the state is called, and its tone."""
    if broadcast.repeat and broadcast.state == broadcasts.APPROVED:
        return RECURS
    return STATE_WORDS[broadcast.state]


def names(db: Session, found: Sequence[Broadcast]) -> dict[str, str]:
    """What those are called who had to do with these broadcasts."""
    userids = {who for one in found for who in (one.made_by, one.approved_by, one.stopped_by) if who}
    rows = db.execute(select(Member.userid, Member.name).where(Member.userid.in_(userids)))
    return {userid: name or userid for userid, name in rows}

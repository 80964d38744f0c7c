"""Who of our members may speak to us as a rep, and whom they may see: for the bot and the sidebar alike.

Whoever is no console user sees their own customers, as a rep does; a console user what their role lets them see.
"""

from sqlalchemy.orm import Session

from people import access, sign_in
from people.access import Sight, Viewer
from storage.tables import Member

MAY_NOT = (2, 5)
"""A member's status at WeCom: disabled, quit."""


def known(db: Session, userid: str) -> tuple[Member, Sight] | None:
    """The member and whom they may see; None for whoever is no member of ours (any more)."""
    member = db.get(Member, userid)
    if member is None or member.left_at is not None or member.status in MAY_NOT:
        return None
    user = sign_in.find_user(db, member.userid)
    viewer = Viewer(member.userid, user.role if user is not None else access.REP)
    return member, access.sight_of(db, viewer)

"""Who may see whom, decided here and nowhere else (上级管理下级、同级隔离、老板全局).

A boss sees everybody. An operator runs codes and campaigns for the whole shop and sees everybody, but not the house's
own settings. A manager sees their own customers and those of the reps below them. A rep sees their own. A customer
outside one's sight looks as if there were none: the same answer as for an id that does not exist.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import Session

from people import members
from storage.tables import Person, Relation, User, is_head

BOSS, MANAGER, OPERATOR, REP = ROLES = ("boss", "manager", "operator", "rep")
SEES_ALL = frozenset({BOSS, OPERATOR})
ONCE_SERVED = ("active", "half", "ended_by_customer", "ended_by_rep", "ended_by_both")
"""A relation that ended stays its rep's; one handed over by a transfer belongs to the new rep alone."""

NOT_USERS = ("command line", "key:")
"""Under these names work is asked for by others than console users."""

RIGHTS: dict[str, frozenset[str]] = {
    "see_people": frozenset(ROLES),
    "edit_people": frozenset(ROLES),
    "give_owner": frozenset({BOSS, MANAGER}),
    "join_people": frozenset({BOSS, OPERATOR, MANAGER}),
    "separate_people": frozenset({BOSS, MANAGER}),
    "see_blocked": frozenset({BOSS, OPERATOR}),
    "block_identities": frozenset({BOSS}),
    "see_channels": frozenset({BOSS, OPERATOR, MANAGER}),
    "edit_channels": frozenset({BOSS, OPERATOR}),
    "bulk_tags": frozenset({BOSS, OPERATOR, MANAGER}),
    "confirm_bulk": frozenset({BOSS, MANAGER}),
    "hand_over": frozenset({BOSS, MANAGER}),
    "privacy": frozenset({BOSS}),
    "see_points": frozenset(ROLES),
    "confirm_customers": frozenset(ROLES),
    "revoke_own_pages": frozenset({BOSS}),
    "list_points": frozenset({BOSS, OPERATOR, MANAGER}),
    "see_ledger": frozenset({BOSS, OPERATOR}),
    "see_orders": frozenset(ROLES),
    "match_refunds": frozenset({BOSS, OPERATOR}),
    "use_counter": frozenset(ROLES),
    "see_points_programme": frozenset({BOSS, OPERATOR, MANAGER}),
    "edit_points_programme": frozenset({BOSS, OPERATOR}),
    "see_chats": frozenset(ROLES),
    "answer_chats": frozenset(ROLES),
    "see_answers": frozenset({BOSS, OPERATOR, MANAGER}),
    "edit_answers": frozenset({BOSS, OPERATOR}),
    "see_tags": frozenset({BOSS, OPERATOR, MANAGER}),
    "edit_rules": frozenset({BOSS, OPERATOR}),
    "see_materials": frozenset({BOSS, OPERATOR, MANAGER}),
    "edit_materials": frozenset({BOSS, OPERATOR}),
    "see_segments": frozenset({BOSS, OPERATOR, MANAGER}),
    "edit_segments": frozenset({BOSS, OPERATOR}),
    "see_broadcasts": frozenset({BOSS, OPERATOR, MANAGER}),
    "make_broadcasts": frozenset({BOSS, OPERATOR, MANAGER}),
    "approve_broadcasts": frozenset({BOSS, OPERATOR, MANAGER}),
    "see_journeys": frozenset({BOSS, OPERATOR, MANAGER}),
    "edit_journeys": frozenset({BOSS, OPERATOR}),
    "award_points": frozenset(ROLES),
    "make_points": frozenset({BOSS, OPERATOR, MANAGER}),
    "decide_points": frozenset({BOSS, OPERATOR, MANAGER}),
    "set_points": frozenset({BOSS}),
    "see_liability": frozenset({BOSS}),
    "set_liability": frozenset({BOSS}),
    "see_today": frozenset(ROLES),
    "see_operations": frozenset({BOSS, OPERATOR}),
    "replay": frozenset({BOSS, OPERATOR}),
    "compare": frozenset({BOSS, OPERATOR}),
    "decide_calls": frozenset({BOSS, OPERATOR}),
    "read_organisation": frozenset({BOSS, OPERATOR}),
    "see_settings": frozenset({BOSS, OPERATOR}),
    "edit_calendar": frozenset({BOSS, OPERATOR}),
    "set_holdout": frozenset({BOSS}),
    "export": frozenset({BOSS}),
    "see_phones": frozenset({BOSS}),
    "manage_house": frozenset({BOSS}),
    "see_audit": frozenset({BOSS}),
}
"""What each role may do at all; whom it may do it to is ``Sight``."""


@dataclass(frozen=True)
class Viewer:
    """Somebody who looks: a console user, or an API key (which sees all within its scopes)."""

    userid: str
    role: str
    user_id: int = 0

    def may(self, right: str) -> bool:
        """Whether this role has the right. An unknown right is refused: a typing mistake must not open a door."""
        return self.role in RIGHTS.get(right, frozenset())


@dataclass(frozen=True)
class Sight:
    """Whose customers a viewer may see: everybody's, or those of these reps."""

    everybody: bool
    userids: frozenset[str] = frozenset()

    def people(self) -> ColumnElement[bool]:
        """The condition on ``Person`` that holds for those within sight, each once (``is_head``)."""
        if self.everybody:
            return is_head()
        served = select(Relation.person_id).where(Relation.userid.in_(self.userids), Relation.state.in_(ONCE_SERVED))
        theirs = or_(Person.id.in_(served), Person.owner.in_(self.userids) & Person.owner_by_hand.is_(True))
        return and_(is_head(), theirs)

    def reps(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """The condition that a userid column names a rep within sight."""
        return true() if self.everybody else column.in_(self.userids)

    def rep(self, userid: str) -> bool:
        """Whether this rep is within sight."""
        return self.everybody or userid in self.userids


def sight_of(db: Session, viewer: Viewer) -> Sight:
    """What this viewer may see now: worked out at each request, so that a transfer takes effect at once."""
    if viewer.role in SEES_ALL:
        return Sight(everybody=True)
    if viewer.role == MANAGER:
        return Sight(everybody=False, userids=frozenset(members.subordinates(db, viewer.userid)))
    return Sight(everybody=False, userids=frozenset({viewer.userid}))


def sight_of_asker(db: Session, by: str) -> Sight:
    """What somebody may see now who asked for work that is done later, by the name their work goes under.

    A console user by the role they have now; one who may not come in any more, or is not known, sees nobody. The
    command line and API keys see all.
    """
    user = db.scalars(select(User).where(User.userid == by, User.disabled_at.is_(None))).one_or_none()
    if user is not None:
        return sight_of(db, Viewer(user.userid, user.role, user.id))
    return Sight(everybody=by.startswith(NOT_USERS))


def person_in_sight(db: Session, sight: Sight, person_id: int) -> Person | None:
    """The person, if the viewer may see them; None also when there is no such person.

    Of an anchor that turned out to be somebody we knew it is them: its id stays good for ever.
    """
    head = select(func.coalesce(Person.merged_into, Person.id)).where(Person.id == person_id).scalar_subquery()
    return db.scalars(select(Person).where(Person.id == head, sight.people())).one_or_none()


def masked(phone: str | None) -> str | None:
    """A phone number with its middle hidden: 138****0000."""
    if not phone or len(phone) < 7:
        return phone and "****"
    return f"{phone[:3]}****{phone[-4:]}"

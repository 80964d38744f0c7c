"""What follows when our own members and departments change."""

from people import members, persons, renaming
from storage.work import Work
from tagging import channels
from wecom.events import DepartmentChanged, MemberChanged, MemberLeft
from wecom.gateway import DepartmentFacts, Gateway, MemberFacts


def fetch_member(event: MemberChanged, gateway: Gateway) -> MemberFacts | None:
    """Read the member anew: the event carries only what changed. Raises ``TryLater``."""
    return gateway.member(event.new_userid or event.userid)


def remember_member(event: MemberChanged, facts: MemberFacts | None, work: Work) -> None:
    """Keep the member as WeCom tells it; a renamed one keeps relations and seats."""
    if event.new_userid:
        renaming.rename(work, _spelling(work, event.userid), event.new_userid)
    if facts is not None:
        members.keep(work, [facts])
    elif event.status is not None and event.status.isdecimal():
        members.set_status(work, _spelling(work, event.new_userid or event.userid), int(event.status))


def lead_codes_anew(event: MemberChanged, facts: MemberFacts | None, work: Work) -> None:
    """A member who can no longer serve is taken off the channel codes at once."""
    channels.lead_codes_of(work, _spelling(work, event.new_userid or event.userid))


def mark_as_left(event: MemberLeft, _: None, work: Work) -> None:
    """The member is gone: remember when, and take them off every channel code at once."""
    userid = _spelling(work, event.userid)
    members.leave(work, userid)
    channels.lead_codes_of(work, userid)


def fetch_departments(event: DepartmentChanged, gateway: Gateway) -> list[DepartmentFacts]:
    """Read all departments anew: there are few, and an event tells only a part. Raises ``TryLater``."""
    return gateway.departments()


def remember_departments(event: DepartmentChanged, facts: list[DepartmentFacts] | None, work: Work) -> None:
    """Keep the departments as WeCom tells them."""
    if facts is not None:
        members.keep_departments(work, facts)


def _spelling(work: Work, userid: str) -> str:
    return persons.own_spelling(work, userid)

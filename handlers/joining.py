"""Points for those who have just become a rep's customer, once in their life, where the shop's rules give any."""

from typing import Any

from loyalty import acts
from loyalty.programme import JOINING
from people import persons
from storage.work import Work
from wecom.events import ContactAdded, ContactHalfAdded


def reward(event: ContactAdded | ContactHalfAdded, _: Any, work: Work) -> None:
    """Give the points of joining; who is not accepted yet has not joined."""
    at = event.at or work.now
    if isinstance(event, ContactHalfAdded) or not acts.points_for(work, JOINING, at):
        return
    person = persons.find_person(work.db, persons.EXTERNAL, event.external_userid)
    if person is not None:
        anchor = work.via.get(person.id, person.id)
        acts.reward(work, anchor, JOINING, key=f"joining:{anchor}", at=at)

"""The road of what people did elsewhere: told once in their story, and rewarded if the shop's rules say so."""

from collections.abc import Mapping

from handlers.orders import Taken
from loyalty import acts
from loyalty.programme import REVIEW
from people import joining, persons
from people.behaviour import GivenEvent
from storage.work import Work


def take_events(work: Work, given: Mapping[int, GivenEvent]) -> Taken:
    """Take a batch of events; keys are their places in it."""
    taken = Taken()
    for number, one in given.items():
        (taken.accepted if _take(work, one) else taken.duplicate).append(number)
    return taken


def _take(work: Work, one: GivenEvent) -> bool:
    type_, value, verified = one.who
    place = joining.person_by(work, type_, value, verified=verified, source=one.source, at=one.at)
    if place is None:
        return True  # of nobody in particular: nothing to be told of
    head, anchor = place
    work.via[head] = anchor
    details = {"what": one.kind, "source": one.source, **one.details}
    if not persons.tell(work, head, "did", one.at, once=one.once, details=details):
        return False
    if one.kind == REVIEW:  # what else earns, we see ourselves: a birthday told from outside would count twice
        acts.reward(work, anchor, REVIEW, key=one.once, at=one.at)
    return True

"""What follows when a customer and a rep find, change or lose each other."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from outreach import links
from people import groups, handover, persons, privacy, profiles, relations
from people.relations import Fact
from storage.outbox import Claimed
from storage.tables import Person, Relation, Tag
from storage.work import Work
from tagging import channels, marks, mirror, rules, welcomes
from wecom.events import (
    ArchiveAgreed,
    ContactAdded,
    ContactDeletedByCustomer,
    ContactDeletedByRep,
    ContactEdited,
    ContactEvent,
    ContactHalfAdded,
    TransferFailed,
)
from wecom.gateway import Gateway, Profile

Arrival = ContactAdded | ContactHalfAdded
ANOTHER_CORP = 2


def fetch_profile(event: ContactEvent, gateway: Gateway) -> Profile | None:
    """Read who this is from WeCom; None when nobody of ours has this customer any more. Raises ``TryLater``."""
    return gateway.profile(event.external_userid)


def plan_welcomes(events: Sequence[tuple[Arrival, tuple[str, ...], Work]], work: Work, hands: int) -> list[Claimed]:
    """Plan the welcomes of arrivals before anything else is done about them, where WeCom gave us a code.

    With each event come the codes of its other copies, and the work it belongs to. Gives the calls to make now, no more
    than there are hands for.
    """
    persons.look_up_members(work, {event.userid for event, _, _ in events})
    arrivals = []
    for event, more, own in events:
        if codes := tuple(code for code in (event.welcome_code, *more) if code):
            arrivals.append(_arrival(event, persons.own_spelling(work, event.userid), event.state, codes, own))
    return welcomes.plan(work, arrivals, hands, links.of_arrival)


def _arrival(event: Arrival, userid: str, state: str | None, codes: tuple[str, ...], work: Work) -> welcomes.Arrival:
    return welcomes.Arrival(
        userid=userid,
        external_userid=event.external_userid,
        state=state,
        codes=codes,
        event_at=event.at or work.now,
        received_at=work.received_at or work.now,
        half=isinstance(event, ContactHalfAdded),
        cause=work.cause,
    )


def remember_arrival(event: Arrival, profile: Profile | None, work: Work) -> None:
    """Know the person and the rep's relation to them, with where they came from."""
    person, relation = _pair(event, work)
    side = profile.side_of(event.userid) if profile else None
    fact = Fact(
        kind=relations.FULL if isinstance(event, ContactAdded) else relations.HALF,
        at=event.at or work.now,
        source_state=event.state or (side.state if side else None),
        had_code=event.welcome_code is not None,
        add_way=side.add_way if side else None,
    )
    persons.record(work, person, relation, fact)
    if profile is not None:
        profiles.remember(work, person, profile)


def take_over_from_colleague(event: Arrival, profile: Profile | None, work: Work) -> None:
    """Where a colleague handed the customer over, what hung on them comes along."""
    person, relation = _pair(event, work)
    handover.arrived(work, person, relation, event.at or work.now)


def tag_by_channel(event: Arrival, profile: Profile | None, work: Work) -> None:
    """Give the tags of the channel the customer came over, and bring all tags to the new relation."""
    person, relation = _pair(event, work)
    channel = welcomes.channel_of(work, relation.source_state)
    given: Sequence[Tag] = ()
    if channel is not None and channel.tags:
        rep = persons.member_of(work, relation.userid)
        name = (rep.name if rep else None) or relation.userid
        given = channels.give_own_tags(work, channel, person, rep_name=name, at=event.at)
    if relation.state == "active":
        marks.push_all(work, relation, besides={tag.id for tag in given})


def tag_by_rules(event: Arrival, profile: Profile | None, work: Work) -> None:
    """Give the tags of the rules that look at arrivals."""
    person, relation = _pair(event, work)
    if relation.state in ("active", "half") and not _came_by_transfer(work, relation):
        rules.hear_arrival(work, person, relation, event.at or work.now)


def take_over_tags(event: ContactEvent, profile: Profile | None, work: Work) -> None:
    """Keep the corp tags the rep has put on in WeCom."""
    side = profile.side_of(event.userid) if profile else None
    if side is not None and not _about_somebody_erased(event, work):
        person, relation = _pair(event, work)
        mirror.seen_at_wecom(work, person, relation, side.tags, by_rep=isinstance(event, ContactEdited))


def tell_arrival(event: Arrival, profile: Profile | None, work: Work) -> None:
    """Write the arrival into the person's story."""
    _, relation = _pair(event, work)
    channel = welcomes.channel_of(work, relation.source_state)
    details = {
        "state": relation.source_state,
        "channel": channel.name if channel else None,
        "add_way": relation.add_way,
    }
    last = persons.last_interval(work.db, relation)
    if last is not None and last.number > 1:
        details["again"] = True
    kind = "added" if isinstance(event, ContactAdded) else "half_added"
    _tell(event, kind, work, details=details)


def tell_earlier_groups(event: Arrival, profile: Profile | None, work: Work) -> None:
    """The customer groups in which we have seen them before belong to their story from now on."""
    person, _ = _pair(event, work)
    groups.tell_earlier(work, person, event.external_userid)


def tell_welcome(event: Arrival, profile: Profile | None, work: Work) -> None:
    """A welcome that was quicker than we were in getting to know the person is told of now."""
    _, relation = _pair(event, work)
    persons.tell_welcomed(work, welcomes.sent_to(work, relation.userid, event.external_userid, event.at or work.now))


def note_missing_welcome(event: Arrival, profile: Profile | None, work: Work) -> None:
    """An arrival without a code gets its reason, so that nobody has to guess why no welcome went out."""
    if event.welcome_code is not None:
        return
    _, relation = _pair(event, work)
    if _came_by_transfer(work, relation):
        return
    why = "企业微信没有给欢迎语凭证：成员在管理后台设有欢迎语、双方已聊过天，或确认前已发过"
    if profile is not None and profile.kind == ANOTHER_CORP:
        why = "对方是其他企业的企业微信用户，企业微信不提供欢迎语凭证"
    welcomes.note_missing_code(work, _arrival(event, relation.userid, relation.source_state, (), work), why)


def _came_by_transfer(work: Work, relation: Relation) -> bool:
    last = persons.last_interval(work.db, relation)
    return last is not None and last.origin == "transfer"


def keep_code_leading(event: Arrival, profile: Profile | None, work: Work) -> None:
    """After an arrival a daily cap may be reached: then the code leads to other reps from now on."""
    _, relation = _pair(event, work)
    channel = welcomes.channel_of(work, relation.source_state)
    if channel is not None and channel.daily_cap and channel.state != "deleted":
        channels.lead(work, channel)


def update_profile(event: ContactEdited, profile: Profile | None, work: Work) -> None:
    """The rep edited the customer: bring remark and name up to date. A lost relation stays lost.

    Of a relation we have never heard of, WeCom tells since when it lives: the callback of its arrival was lost.
    """
    if _about_somebody_erased(event, work):
        return
    person, relation = _pair(event, work)
    before = _what_the_rep_wrote(relation)
    if profile is not None:
        person = profiles.remember(work, person, profile)
        side = profile.side_of(event.userid)
        if relation.state == "unknown" and side is not None and side.since is not None:
            fact = Fact(relations.TAKEN_OVER, side.since, side.state, add_way=side.add_way)
            persons.record(work, person, relation, fact)
    now = _what_the_rep_wrote(relation)
    changed = {name: [before[name], now[name]] for name in now if now[name] != before[name]}
    _tell(event, "edited", work, details={"changed": changed})


def _what_the_rep_wrote(relation: Relation) -> dict[str, Any]:
    return {
        "remark": relation.remark or "",
        "description": relation.description or "",
        "phones": list(relation.remark_phones or []),
    }


def mark_deleted_by_rep(event: ContactDeletedByRep, _: None, work: Work) -> None:
    """The rep's side ended: a transfer is no loss, anything else is."""
    kind = relations.TRANSFERRED if event.by_transfer else relations.DELETED_BY_REP
    _end(event, kind, work)


def mark_deleted_by_customer(event: ContactDeletedByCustomer, _: None, work: Work) -> None:
    """The customer left this rep; the history stays."""
    _end(event, relations.DELETED_BY_CUSTOMER, work)


def _end(event: ContactEvent, kind: str, work: Work) -> None:
    if _about_somebody_erased(event, work):
        return
    person, relation = _pair(event, work)
    persons.record(work, person, relation, Fact(kind=kind, at=event.at or work.now))
    if kind != relations.TRANSFERRED:
        by = "customer" if kind == relations.DELETED_BY_CUSTOMER else "rep"
        rules.hear_loss(work, person, relation, by, event.at or work.now)
    else:
        handover.follow(work, person)  # the event does not say who has got them: that comes as an arrival
    if kind != relations.DELETED_BY_CUSTOMER:
        marks.gone_at_wecom(work, relation)
    _tell(event, kind, work)


def tell_transfer_failed(event: TransferFailed, _: None, work: Work) -> None:
    """A transfer did not happen: the story and the plan say so."""
    if _about_somebody_erased(event, work):
        return
    handover.failed(work, _pair(event, work)[1], event.reason)
    _tell(event, "transfer_failed", work, details={"reason": event.reason})


def tell_archive_agreed(event: ArchiveAgreed, _: None, work: Work) -> None:
    """The customer agreed to the message archive."""
    if _about_somebody_erased(event, work):
        return
    _tell(event, "archive_agreed", work)


def _about_somebody_erased(event: ContactEvent, work: Work) -> bool:
    """Whether this is somebody who was erased and has not come back: what our reps do about them is not kept."""

    def look() -> bool:
        known = persons.find_person(work.db, persons.EXTERNAL, event.external_userid)
        return known is None and bool(privacy.erased(work.db, {event.external_userid: None}))

    return not isinstance(event, Arrival) and work.found("erased", look)


def _pair(event: ContactEvent, work: Work) -> tuple[Person, Relation]:
    """Who the event is about. From here on nobody else changes what is between them."""

    def look() -> tuple[Person, Relation]:
        person = persons.person_of(work, event.external_userid, event.at)
        persons.hold(work, person)
        userid = persons.own_spelling(work, event.userid)
        return person, persons.relation_of(work.db, person, userid, event.external_userid)

    return work.found("pair", look)


def _tell(event: ContactEvent, kind: str, work: Work, details: Mapping[str, object] | None = None) -> None:
    person, relation = _pair(event, work)
    at: datetime = event.at or work.now
    once = f"event:{event.identity}"
    persons.tell(work, person.id, kind, at, once=once, userid=relation.userid, details=details)

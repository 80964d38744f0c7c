"""Every callback body that other projects published, through the real callback into a shop on each database."""

from collections import Counter
from typing import Any

import pytest

from handlers.routes import ROUTES
from storage.tables import Alarm, InboxRow, Interaction, Member, Relation, RelationFact, Welcome
from tests.fixtures_outside import outside
from tests.fixtures_outside.outside import Sample
from tests.shop import Shop
from wecom.events import UnknownEvent, read_event

EFFECTS = {
    "change_external_contact.add_external_contact": ("full", "added"),
    "change_external_contact.add_half_external_contact": ("half", "half_added"),
    "change_external_contact.edit_external_contact": (None, "edited"),
    "change_external_contact.del_external_contact": ("deleted_by_rep", "deleted_by_rep"),
    "change_external_contact.del_follow_user": ("deleted_by_customer", "deleted_by_customer"),
    "change_external_contact.transfer_fail": (None, "transfer_failed"),
    "change_external_contact.msg_audit_approved": (None, "archive_agreed"),
}
"""For each contact event: the fact it leaves on the relation, and the line it leaves in the story."""
STATES = {
    "full": "active",
    "half": "half",
    "deleted_by_rep": "ended_by_rep",
    "deleted_by_customer": "ended_by_customer",
    "transferred": "transferred",
}


@pytest.fixture(autouse=True)
def _at_hand() -> None:
    outside.need()


def test_all_samples_are_there() -> None:
    assert Counter(one.well_formed for one in outside.incoming()) == {True: 262, False: 3}


def test_no_sample_is_lost_and_none_breaks_anything(shop: Shop) -> None:
    statuses = Counter()
    for sample in outside.incoming():
        status = shop.post(sample.xml)
        statuses[sample.well_formed, status] += 1
        assert sample.well_formed or 400 <= status < 500, sample.name
    shop.catch_up()
    shop.clock.advance(10)  # what changed in a group is read a moment later, once for several events
    shop.catch_up()

    assert statuses == {(True, 200): 262, (False, 403): 3}
    rows = shop.rows(InboxRow)
    different = {read_event(one.xml).identity for one in outside.incoming() if one.well_formed}
    assert {one.identity for one in rows} == different
    assert {one.state for one in rows} == {"done"}
    unknown = [one for one in rows if type(read_event(one.xml)) not in ROUTES]
    assert all(one.outcome == "kept: no step follows this event" and one.xml for one in unknown)
    assert len(unknown) > 150


def contact_samples() -> list[Sample]:
    return [one for one in outside.incoming() if one.event in EFFECTS]


@pytest.mark.parametrize("kind", EFFECTS)
def test_every_contact_event_takes_its_effect(shop: Shop, kind: str) -> None:
    """Each sample in a customer of its own, so that none hides behind another."""
    samples = [one for one in contact_samples() if one.event == kind]
    assert samples
    for number, sample in enumerate(samples):
        ours = sample.xml.replace(sample.norm["external_userid"], f"wmSample{number:04d}")
        assert shop.post(ours) == 200, sample.name
    shop.catch_up()
    fact, line = EFFECTS[kind]
    for number, sample in enumerate(samples):
        (relation,) = shop.rows(Relation, Relation.external_userid == f"wmSample{number:04d}")
        own: Any = sample.norm
        assert relation.userid == own["userid"]
        transferred = own.get("source") == "DELETE_BY_TRANSFER"
        expected = "transferred" if transferred else fact
        facts = shop.rows(RelationFact, RelationFact.relation_id == relation.id)
        assert [one.kind for one in facts] == ([expected] if expected else []), sample.name
        assert relation.state == STATES.get(expected or "", "unknown"), sample.name
        if "state" in own and expected:
            assert relation.source_state == own["state"], sample.name
        lines = shop.rows(Interaction, Interaction.person_id == relation.person_id)
        assert [one.kind for one in lines] == ["transferred" if transferred else line], sample.name
        assert int(lines[0].at.timestamp()) == own["time"] if "time" in own else lines[0].at
    greeted = [one for one in samples if one.norm.get("welcome_code") and fact in ("full", "half")]
    assert (
        Counter(one.outcome for one in shop.rows(Welcome))
        == Counter(
            {"no_text": len(greeted), "no_code": len(samples) - len(greeted)} if fact in ("full", "half") else {}
        )
        + Counter()
    )


def test_samples_about_members_and_the_app_take_their_effect(shop: Shop) -> None:
    ours = [one for one in outside.incoming() if one.event.startswith("change_contact.")]
    leaving = [one for one in ours if one.event == "change_contact.delete_user"]
    assert leaving
    for sample in [one for one in ours if one not in leaving] + leaving:
        assert shop.post(sample.xml) == 200
    shop.post(next(one.xml for one in outside.incoming() if one.event == "close_inactive_agent"))
    shop.catch_up()
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    assert {one.kind for one in shop.rows(Alarm) if one.cleared_at is None} == {"app_suspended"}
    left = {one.userid for one in shop.rows(Member) if one.left_at is not None}
    assert {one.norm["userid"] for one in leaving} <= left


def test_a_sample_read_twice_is_the_same_event() -> None:
    kinds = Counter()
    for sample in outside.incoming():
        if sample.well_formed:
            first, second = read_event(sample.xml), read_event(sample.xml)
            assert first == second
            kinds[isinstance(first, UnknownEvent)] += 1
    assert kinds[False] >= 24

"""F5, F6: the whole shop, told of a customer's life in any order, some of it twice."""

from collections import Counter

import pytest

from soak import many
from storage.tables import InboxRow, Interaction, Interval, Relation
from tests.people import model
from tests.people.model import Life, Told
from tests.people.test_relations_fold import as_times, moment
from tests.shop import Shop, event_xml

REPS = ("zhangsan", "lisi", "wangwu")
CHANGES = {
    model.ADD: {"ChangeType": "add_external_contact"},
    model.HALF: {"ChangeType": "add_half_external_contact"},
    model.EDIT: {"ChangeType": "edit_external_contact"},
    model.BY_REP: {"ChangeType": "del_external_contact"},
    model.BY_CUSTOMER: {"ChangeType": "del_follow_user"},
    model.HANDED_OVER: {"ChangeType": "del_external_contact", "Source": "DELETE_BY_TRANSFER"},
}


def xml_of(told: Told, external: str) -> str:
    fields = {"UserID": told.rep, "ExternalUserID": external, "CreateTime": str(told.at), **CHANGES[told.what]}
    optional = {"State": told.state, "WelcomeCode": told.code}
    return event_xml(**fields, **{name: value for name, value in optional.items() if value})


@pytest.mark.parametrize("seed", range(many(3, 250)))
def test_any_order_of_a_customers_life_ends_in_the_same_place(shop: Shop, seed: int) -> None:
    """20 events each: states, intervals and story equal the model's, and nothing is left over."""
    start = int(shop.clock.now()) - 100_000
    lives = {f"wmLife{number}": Life(seed * 100 + number, REPS, start, 20) for number in range(2)}
    for external, life in lives.items():
        for number, told in enumerate(life.shuffled()):
            assert shop.post(xml_of(told, external)) == 200
            if number % 3 == seed % 3:
                shop.catch_up()
    shop.catch_up()

    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    for external, life in lives.items():
        relations = {one.userid: one for one in shop.rows(Relation, Relation.external_userid == external)}
        for rep, side in life.sides.items():
            if rep not in relations:
                assert not side.times
                continue
            assert relations[rep].state == side.state, (external, rep)
            intervals = shop.rows(Interval, Interval.relation_id == relations[rep].id)
            got = sorted(
                (one.number, [one.began_at, one.confirmed_at, one.ended_at, one.ended_by, one.origin])
                for one in intervals
            )
            assert [times for _, times in got] == [times[:5] for times in as_times(side)], (external, rep)
        person = next(iter(relations.values())).person_id
        told = Counter((one.what, one.rep, moment(one.at)) for one in life.told)
        lines = shop.rows(Interaction, Interaction.person_id == person)
        assert len(lines) == len(told)


def test_a_thousand_pairs_in_one_second_are_two_thousand_effects(shop: Shop) -> None:
    """F6: what the vendor advises as a key (sender and second) is the same for all of them."""
    pairs = many(25, 1000)
    second = str(int(shop.clock.now()))
    for number in range(pairs):
        for userid, external in (("lisi", f"wmA{number}"), ("lisi", f"wmB{number}")):
            added = {"ChangeType": "add_external_contact", "UserID": userid, "ExternalUserID": external}
            assert shop.post(event_xml(CreateTime=second, **added)) == 200
    shop.catch_up()
    assert len(shop.rows(Relation, Relation.state == "active")) == 2 * pairs
    assert len(shop.rows(Interaction, Interaction.kind == "added")) == 2 * pairs

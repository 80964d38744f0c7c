"""Who answers for a person: the oldest living relation; of the lost the rep they had last, in whatever order told."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations

from people import persons
from people.relations import Fact
from tests.shop import Shop

Told = tuple[str, str, int]
"""Rep, what happened, and in which hour."""
LIFE: tuple[Told, ...] = (
    ("lisi", "full", 0),
    ("wangwu", "full", 1),
    ("wangwu", "deleted_by_customer", 2),
    ("lisi", "deleted_by_rep", 3),
)


def owner_after(shop: Shop, name: str, told: Sequence[Told], by_hand: str | None = None) -> str | None:
    with shop.work() as work:
        person = persons.person_of(work, name)
        if by_hand:
            persons.give_owner(work, person, by_hand)
        for rep, kind, hour in told:
            relation = persons.relation_of(work.db, person, rep, name)
            persons.record(work, person, relation, Fact(kind, work.now + timedelta(hours=hour)))
        return person.owner


def test_a_lost_customer_keeps_the_rep_they_had_last_in_whatever_order_it_is_told(shop: Shop) -> None:
    for number, order in enumerate(permutations(LIFE)):
        assert owner_after(shop, f"wmLost{number}", order) == "lisi", order


def test_a_parting_told_before_the_arrival_leaves_an_owner_too(shop: Shop) -> None:
    assert owner_after(shop, "wmLate", (("wangwu", "deleted_by_customer", 1), ("wangwu", "full", 0))) == "wangwu"


def test_the_living_go_before_the_lost_and_the_hand_before_both(shop: Shop) -> None:
    assert owner_after(shop, "wmLiving", LIFE[:3]) == "lisi"
    assert owner_after(shop, "wmOther", (*LIFE[:2], LIFE[3])) == "wangwu"
    assert owner_after(shop, "wmHand", LIFE, by_hand="zhaoliu") == "zhaoliu"

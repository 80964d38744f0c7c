"""What a shop blocks stays blocked as long as somebody has it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from people import blocking, persons, privacy
from people.joining import Given
from storage.tables import BlockedValue, Person
from tests.people.joined import House

SHARED = "13911110001"


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    house = House(database_url)
    yield house
    house.close()


def test_a_block_of_what_others_have_too_outlives_an_erasure(house: House) -> None:
    with house.work() as work:
        blocking.block(work, "phone", SHARED, by="boss", why="门店电话")
    gone, one, other = (house.learn(Given("pos:member", f"M{n}"), Given("phone", SHARED)) for n in range(3))
    with house.work() as work:
        privacy.erase(work, work.db.get_one(Person, gone), by="boss")
        assert work.db.scalars(select(BlockedValue.value)).all() == [SHARED]
    for n, anchor in ((1, one), (2, other)):
        house.learn(Given("pos:member", f"M{n}"), Given("phone", SHARED), anchor=anchor)
    with house.work() as work:
        assert {persons.head_of(work.db, work.db.get_one(Person, who)).id for who in (one, other)} == {one, other}
        privacy.erase(work, work.db.get_one(Person, one), by="boss")
        privacy.erase(work, work.db.get_one(Person, other), by="boss")
        assert work.db.scalars(select(BlockedValue.value)).all() == []
